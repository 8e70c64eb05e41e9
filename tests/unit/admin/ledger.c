/* Call records on their way to the disk, in virtual time: batches, what is lost without memory, and
 * the last ones at the end. */
#include "test.h"

#include "admin/ledger.h"
#include "event/sim.h"

#include <stdio.h>
#include <string.h>

struct rig {
	struct sim *sim;
	struct env *env;
	struct ev_shards *shards;
	struct st_cdrs *db;
	struct adm_ledger *ledger;
	unsigned n_troubles;
};

static void on_trouble(void *ctx, struct str text)
{
	((struct rig *)ctx)->n_troubles++;
}

static void rig_init(struct rig *r)
{
	struct sim_host *host;
	struct addr ip;
	struct buf why;
	buf_init(&why);
	*r = (struct rig){0};
	CHECK(addr_parse(STR("10.0.0.1"), 0, &ip));
	CHECK_EQ(sim_new(1, &r->sim), OK);
	CHECK_EQ(sim_host_new(r->sim, "x", &ip, 1, &host), OK);
	CHECK_EQ(sim_env_new(host, &r->env), OK);
	CHECK_EQ(ev_shards_new(&r->env, 1, &r->shards), OK);
	sim_add_loop(r->sim, ev_shard(r->shards, 0));
	enum err e = st_cdrs_open(NULL, true, &r->db, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
	struct adm_ledger_cfg cfg = {.max_rows = 1000, .on_trouble = on_trouble, .ctx = r};
	CHECK_EQ(adm_ledger_new(ev_shard(r->shards, 0), r->db, &cfg, &r->ledger), OK);
}

static void rig_fini(struct rig *r)
{
	sim_del_loop(r->sim, ev_shard(r->shards, 0));
	adm_ledger_free(r->ledger);
	ev_shards_free(r->shards);
	env_free(r->env);
	sim_free(r->sim);
}

static void add(struct rig *r, unsigned n)
{
	char id[16];
	for (unsigned i = 0; i < n; i++) {
		struct st_cdr row = {0};
		snprintf(id, sizeof(id), "%u", i);
		row.v[ST_CDR_start] = (struct st_val){.n = i + 1, .is_set = true};
		row.v[ST_CDR_call_id] = (struct st_val){.s = str_c(id), .is_set = true};
		adm_ledger_add(r->ledger, &row);
	}
}

static uint64_t stored(struct rig *r)
{
	uint64_t n = 0;
	CHECK_EQ(st_cdrs_count(r->db, &n), OK);
	return n;
}

TEST_NO_OOM(ledger_writes_within_a_second)
{
	struct rig r;
	rig_init(&r);
	add(&r, 300);
	CHECK_EQ(stored(&r), 0);
	sim_run(r.sim, sim_now_us(r.sim) + 500'000);
	CHECK_EQ(stored(&r), 300);
	add(&r, 5);
	sim_run(r.sim, sim_now_us(r.sim) + 500'000);
	CHECK_EQ(stored(&r), 305);
	CHECK_EQ(r.n_troubles, 0);
	rig_fini(&r);
}

/* A record that finds no memory is counted and told; the others are written. */
TEST_NO_OOM(ledger_counts_what_it_loses)
{
	struct rig r;
	rig_init(&r);
	add(&r, 3);
	test_fail_alloc(1);
	add(&r, 2);
	test_fail_alloc(0);
	CHECK_EQ(adm_ledger_n_lost(r.ledger), 1);
	CHECK_EQ(r.n_troubles, 1);
	sim_run(r.sim, sim_now_us(r.sim) + 500'000);
	CHECK_EQ(stored(&r), 4);
	rig_fini(&r);
}

/* The batch's message has no memory: it is tried again. */
TEST_NO_OOM(ledger_tries_again)
{
	struct rig r;
	rig_init(&r);
	add(&r, 3);
	test_fail_alloc(1);
	sim_run(r.sim, sim_now_us(r.sim) + 250'000);
	test_fail_alloc(0);
	CHECK_EQ(stored(&r), 0);
	sim_run(r.sim, sim_now_us(r.sim) + 500'000);
	CHECK_EQ(stored(&r), 3);
	CHECK_EQ(adm_ledger_n_lost(r.ledger), 0);
	rig_fini(&r);
}
