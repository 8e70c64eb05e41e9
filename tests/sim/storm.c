/* Storms: phones register and call each other over links that lose, repeat and reorder; then the
 * links heal. Invariants: every call that was started ends exactly once on every phone that knows
 * it; both sides hold the same view of who ended it, or one of them names the timer that did;
 * nothing is left in the exchange; an exchange that crashes between any two writes loses no
 * registration that it answered 200.
 *
 * RUNG_SEEDS chooses how many seeds (40 unless set; `make storm` runs 2,000), RUNG_SEED one alone.
 */
#include "policy/config.h"
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHONES 5
#define CALLS  24

static unsigned n_seeds(unsigned otherwise)
{
	const char *v = getenv("RUNG_SEEDS");
	return v ? (unsigned)strtoul(v, NULL, 10) : otherwise;
}

static uint64_t first_seed(void)
{
	const char *v = getenv("RUNG_SEED");
	return v ? strtoull(v, NULL, 10) : 1;
}

static double pick(struct stage *s, double least, double most)
{
	return least + (most - least) * (double)(sim_random(s->sim) % 10000) / 10000;
}

static void make_plans(struct stage *s, struct ph_plan *a, struct ph_plan *b)
{
	ph_plan_init(a);
	ph_plan_init(b);
	b->ring_s = pick(s, 0, 2);
	switch (sim_random(s->sim) % 7) {
	case 0:
		b->reject = 486;
		break;
	case 1:
		b->reject = 603;
		break;
	case 2: /* given up while it rings, or just when it is answered */
		a->cancel_s = pick(s, 0, 2);
		a->hangup_s = 3;
		break;
	case 3:
		b->ring_s = -1;
		a->cancel_s = pick(s, 0, 3);
		break;
	case 4:
		a->hangup_s = pick(s, 0.01, 4);
		break;
	case 5:
		b->hangup_s = pick(s, 0.01, 4);
		break;
	case 6: /* both at once, with a re-INVITE before */
		a->hold_s = pick(s, 0, 1);
		a->resume_s = pick(s, 1, 2);
		a->hangup_s = b->hangup_s = 3;
		break;
	}
	/* The callee's plan is replaced when the next call to it begins: the caller ends what
	 * nobody else does. */
	if (a->hangup_s < 0)
		a->hangup_s = pick(s, 5, 9);
	if (a->cancel_s < 0)
		a->cancel_s = 12;
}

struct totals {
	unsigned n_calls, n_timeouts, n_answered;
};

static bool is_timer(const struct stage_call *c)
{
	return strcmp(c->by, "network") == 0 || strcmp(c->cause, "no response") == 0 ||
	       strcmp(c->cause, "lost ACK") == 0 || strcmp(c->cause, "dialog gone") == 0;
}

static void print_call(const struct stage_phone *p, const char *call_id)
{
	struct str rest = str_of(p->log, p->n_log);
	while (rest.n) {
		struct str line = str_cut(rest, '\n', &rest);
		if (str_find(line, str_sub(str_c(call_id), 0, 6)) != SIZE_MAX)
			printf("# %s: " STR_FMT "\n", p->user, STR_ARG(line));
	}
}

static void fail(uint64_t seed, const struct stage_phone *p, const struct stage_call *c,
		 const char *what)
{
	printf("# seed %llu, phone %s, call %s: %s\n", (unsigned long long)seed, p->user,
	       c->call_id, what);
	for (size_t i = 0; i < p->stage->n_phones; i++)
		print_call(&p->stage->phones[i], c->call_id);
	CHECK(!"an invariant does not hold: see above");
}

/* The other party's record of the call, of several the one that answered; NULL when nobody else
 * ever heard of it. */
static struct stage_call *other_side(struct stage *s, const struct stage_phone *p,
				     const struct stage_call *c, struct stage_phone **who)
{
	struct stage_call *best = NULL;
	for (size_t i = 0; i < s->n_phones; i++) {
		struct stage_call *o =
			&s->phones[i] == p ? NULL : stage_find_call(&s->phones[i], c->call_id);
		if (!o || (best && !o->is_answered))
			continue;
		best = o;
		*who = &s->phones[i];
	}
	return best;
}

/* Of those who answered: where two did at once, the caller has ended one at once, which says so;
 * both sides, when their BYEs crossed. */
static bool has_hung_up(struct stage *s, const char *call_id)
{
	for (size_t i = 0; i < s->n_phones; i++) {
		const struct stage_call *c = stage_find_call(&s->phones[i], call_id);
		if (c && c->is_answered && strcmp(c->by, "local") == 0)
			return true;
	}
	return false;
}

static void check_views(struct stage *s, uint64_t seed, struct totals *t)
{
	for (size_t i = 0; i < s->n_phones; i++) {
		struct stage_phone *p = &s->phones[i], *who;
		for (size_t k = 0; k < p->n_calls; k++) {
			struct stage_call *c = &p->calls[k], *o = other_side(s, p, c, &who);
			if (c->n_ended != 1)
				fail(seed, p, c,
				     c->n_ended ? "ended more than once" : "never ended");
			if (!c->is_caller)
				continue;
			t->n_calls++;
			t->n_answered += c->is_answered;
			t->n_timeouts += is_timer(c) || (o && is_timer(o));
			if (!o || is_timer(c) || is_timer(o) || !c->is_answered || !o->is_answered)
				continue;
			if (!has_hung_up(s, c->call_id))
				fail(seed, p, c, "neither side says that it hung up");
		}
	}
}

/* Each of the five that call has forwards to two that do not. */
static const char policy_text[] =
	"users:\n"
	"  '1001': {forward: {busy: '1006', no_answer: hunt, after: 2s}}\n"
	"  '1002': {forward: {busy: all, no_answer: '1007', after: 1s, offline: '1006'}}\n"
	"  '1003': {forward: '1006'}\n"
	"  '1004': {forward: {busy: '1003', no_answer: hunt, after: 1s}}\n"
	"groups:\n"
	"  hunt: {ring: in-turn, time: 2s, members: ['1006', '1007'], otherwise: '1006'}\n"
	"  all: {members: ['1006', '1007']}\n";

static void set_policy(struct stage *s, const char *text)
{
	struct pol_diags d;
	struct pol_config *c = NULL;
	pol_diags_init(&d);
	CHECK_EQ(pol_load(str_c(text), &c, &d), OK);
	pol_diags_fini(&d);
	CHECK_EQ(exc_set_policy(s->exc, c), OK);
}

static void storm(uint64_t seed, const char *policy, bool is_b2bua, struct totals *t)
{
	size_t n_shards = 1 + (seed - 1) % 3;
	const struct exc_cfg cfg = {.realm = STR_INIT("sim"),
				    .product = STR_INIT("rung"),
				    .is_b2bua = is_b2bua,
				    .has_farewell = is_b2bua && seed % 2};
	static struct ph_plan caller_plans[CALLS];
	static const struct sim_link healed = {.delay_us = 10000};
	struct sim_link bad = {
		.delay_us = 20000, .jitter_us = 40000, .loss = 0.2, .duplicate = 0.1};
	struct stage *s = stage_new_with(seed, n_shards, &bad, &cfg);
	char user[8];
	if (policy)
		set_policy(s, policy);
	for (unsigned i = 0; i < PHONES + (policy ? 2 : 0); i++) {
		snprintf(user, sizeof(user), "%u", 1001 + i);
		struct stage_phone *p = stage_phone(s, user, TP_UDP);
		ph_register(p->ph, 3600, false);
	}
	stage_run(s, 40);
	for (unsigned i = 0; i < CALLS; i++) {
		unsigned a = (unsigned)(sim_random(s->sim) % PHONES),
			 b = (a + 1 + (unsigned)(sim_random(s->sim) % (PHONES - 1))) % PHONES;
		make_plans(s, &caller_plans[i], &s->phones[b].plan);
		stage_call(&s->phones[a], s->phones[b].user, &caller_plans[i]);
		stage_run(s, pick(s, 0, 4));
		if (policy && i % 8 == 7) /* calls under way keep what they have */
			set_policy(s, policy);
	}
	sim_link_default(s->sim, &healed);
	stage_run(s,
		  190 + 4 * 32); /* Timer C; then the time-outs of CANCEL, BYE, INVITE in a row */
	check_views(s, seed, t);
	for (size_t i = 0; i < n_shards; i++)
		CHECK_EQ(exc_live(s->exc, i), 0);
	stage_free(s);
}

static void storms(bool is_b2bua)
{
	struct totals t = {0};
	uint64_t first = first_seed();
	unsigned n = getenv("RUNG_SEED") ? 1 : n_seeds(40);
	for (unsigned i = 0; i < n; i++)
		storm(first + i, NULL, is_b2bua, &t);
	printf("# %u seeds, %u calls, %u answered, %u ended by a time-out (%.2f %%)\n", n,
	       t.n_calls, t.n_answered, t.n_timeouts, 100.0 * t.n_timeouts / t.n_calls);
	CHECK(t.n_timeouts * 20 <= t.n_calls);
}

TEST_NO_OOM(storm_of_calls_over_lossy_links)
{
	storms(false);
}

/* Each phone sees a call of its own: each ends once, and nothing is left of either. */
TEST_NO_OOM(storm_through_the_back_to_back_user_agent)
{
	storms(true);
}

TEST_NO_OOM(storm_with_forwards_and_hunts)
{
	struct totals t = {0};
	uint64_t first = first_seed();
	unsigned n = getenv("RUNG_SEED") ? 1 : n_seeds(20);
	for (unsigned i = 0; i < n; i++)
		storm(first + i, policy_text, false, &t);
	printf("# %u seeds, %u calls, %u answered, %u ended by a time-out (%.2f %%)\n", n,
	       t.n_calls, t.n_answered, t.n_timeouts, 100.0 * t.n_timeouts / t.n_calls);
}

/* ---- a crash between any two writes -----------------------------------------------------------
 */

static bool is_bound(struct stage *s, const char *user)
{
	char mem[128];
	struct buf aor;
	struct loc_targets found;
	buf_init_fixed(&aor, mem, sizeof(mem));
	dom_aor_of_user(exc_domains(s->exc), str_c(user), &aor);
	return loc_lookup(exc_location(s->exc), 0, buf_view(&aor), &found) == OK && found.n > 0;
}

/* False when the disk saw fewer than k changes: all have been tried. */
static bool crash_at(uint64_t k, enum st_fault fault)
{
	static const struct sim_link lan = {.delay_us = 1000};
	struct stage *s = stage_new(k, 2, &lan);
	char user[8];
	for (unsigned i = 0; i < 6; i++) {
		snprintf(user, sizeof(user), "%u", 1001 + i);
		stage_phone(s, user, TP_UDP);
	}
	uint64_t before = st_mem_changes(s->disk);
	st_mem_fault(s->disk, k, fault);
	for (unsigned i = 0; i < 6; i++) {
		ph_register(s->phones[i].ph, 3600, false);
		stage_run(s, 0.02);
	}
	stage_run(s, 0.5);
	bool has_crashed = st_mem_has_crashed(s->disk);
	CHECK(has_crashed || st_mem_changes(s->disk) - before < k);
	stage_crash(s);
	stage_open_exchange(s);
	for (unsigned i = 0; i < 6; i++)
		if (s->phones[i].n_registered && !is_bound(s, s->phones[i].user)) {
			printf("# crash %d at write %llu: %s was answered 200 and is gone\n", fault,
			       (unsigned long long)k, s->phones[i].user);
			CHECK(!"a registration that was answered 200 is lost");
		}
	stage_free(s);
	return has_crashed;
}

TEST_NO_OOM(crash_between_any_two_writes_loses_no_registration)
{
	static const enum st_fault faults[] = {ST_FAULT_CRASH_BEFORE, ST_FAULT_CRASH_TORN,
					       ST_FAULT_CRASH_AFTER};
	unsigned n = 0;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		for (uint64_t k = 1; crash_at(k, faults[i]); k++)
			n++;
	printf("# %u crashes\n", n);
	CHECK(n >= 12);
}
