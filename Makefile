# The developers' menu. `./run` and `./test` need none of it.
.PHONY: all test storm mutants lint format asan tsan fuzz bench cover install deb clean help
BUILD = build
RUNG_SEEDS ?= 2000
PREFIX ?= /usr/local

all: ## builds build/rung
	@tools/deps run
	@tools/build $(BUILD) rung
	@echo $(BUILD)/rung

test: ## all tests but lint
	@./test

storm: ## 2,000 seeds of lost, repeated and reordered messages, in all roles: make storm [RUNG_SEEDS=2000] [RUNG_SEED=187]
	@tools/deps run
	@tools/build $(BUILD) tests/sim/sim_storm tests/sim/sim_storm_ua tests/sim/sim_storm_roles
	RUNG_SEEDS=$(RUNG_SEEDS) $(BUILD)/tests/sim/sim_storm_roles storm_of
	RUNG_SEEDS=$(RUNG_SEEDS) $(BUILD)/tests/sim/sim_storm
	RUNG_SEEDS=$(RUNG_SEEDS) $(BUILD)/tests/sim/sim_storm_ua

mutants: ## breaks lines of rung one after the other; a test must see each: make mutants [MUTANT=b2bua]
	@tools/deps run
	@tools/mutants $(MUTANT)

lint: ## house rules, clang-format, clang-tidy, shellcheck
	@tools/lint

format: ## clang-format on all sources
	@find src tests -name '*.[ch]' 2>/dev/null | xargs clang-format-14 -i

asan: ## build/asan/rung, with the address and undefined-behaviour sanitizers
	@tools/build $(BUILD)/asan rung -- -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1
	@echo $(BUILD)/asan/rung

tsan: ## build/tsan/rung, with the thread sanitizer
	@tools/build $(BUILD)/tsan rung -- -Db_sanitize=thread -Db_lundef=false
	@echo $(BUILD)/tsan/rung

fuzz: ## all fuzzers for a minute each: make fuzz [TARGET=msg] [RUNS=20000000] [SECONDS_PER_TARGET=60]
	@tools/deps run dev
	@tools/fuzz $(TARGET)

bench: ## µs, instructions and allocations per operation, against the budget; then side by side with Kamailio
	@tools/deps run interop
	@tools/bench

cover: ## which lines the unit, page and simulation tests reach: build/cover/index.html
	@tools/cover

install: ## program, manual pages, systemd unit, completion: make install [PREFIX=/usr/local] [DESTDIR=]
	@tools/deps run
	@tools/build $(BUILD)/release installed -- --buildtype=release --prefix=$(PREFIX)
	@meson install -C $(BUILD)/release --no-rebuild

deb: ## a package for this Debian: build/deb/rung_VERSION_ARCH.deb
	@tools/deps run deb
	@tools/deb $(BUILD)

clean:
	rm -rf $(BUILD)

help:
	@sed -n 's/^\([a-z]*\):.*## /make \1  /p' Makefile
