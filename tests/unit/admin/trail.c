/* Trails of calls over a disk in memory: what a process that ends anywhere leaves to the next. */
#include "admin/trail.h"
#include "event/sim.h"
#include "store/mem.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

struct rig {
	struct sim *sim;
	struct env *env;
	struct ev_shards *scope;
	struct st *st;
	struct st_cdrs *db;
	struct adm_trail *trail;
	char seen[4000];
	struct buf b;
};

static void on_step(void *arg, struct str step)
{
	struct rig *r = arg;
	CHECK(((uintptr_t)step.p & 7) == 0);
	buf_str(&r->b, step);
	buf_chr(&r->b, ' ');
}

static struct str left(struct rig *r)
{
	buf_init_fixed(&r->b, r->seen, sizeof(r->seen));
	adm_trail_replay(r->trail, on_step, r);
	return buf_view(&r->b);
}

static void begin(struct rig *r, struct st_mem *disk, struct st_cdrs *db)
{
	struct sim_host *host;
	struct addr ip;
	struct buf why;
	buf_init(&why);
	*r = (struct rig){.db = db};
	CHECK(addr_parse(STR("10.0.0.1"), 0, &ip));
	CHECK_EQ(sim_new(1, &r->sim), OK);
	CHECK_EQ(sim_host_new(r->sim, "x", &ip, 1, &host), OK);
	CHECK_EQ(sim_env_new(host, &r->env), OK);
	CHECK_EQ(ev_shards_new(&r->env, 1, &r->scope), OK);
	sim_add_loop(r->sim, ev_shard(r->scope, 0));
	enum err e = st_open_mem(disk, &r->st, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
	CHECK_EQ(adm_trail_new(r->st, r->scope, db, &r->trail), OK);
}

static void run(struct rig *r, uint64_t us)
{
	sim_run(r->sim, sim_now_us(r->sim) + us);
}

static void end(struct rig *r)
{
	sim_del_loop(r->sim, ev_shard(r->scope, 0));
	adm_trail_free(r->trail);
	st_close(r->st);
	ev_shards_free(r->scope);
	env_free(r->env);
	sim_free(r->sim);
}

static void add(struct rig *r, const char *id, const char *step)
{
	adm_trail_add(r->trail, str_c(id), 1000, STR("+"), str_c(step));
}

static struct st_cdrs *open_db(void)
{
	struct st_cdrs *db = NULL;
	struct buf why;
	buf_init(&why);
	CHECK_EQ(st_cdrs_open(NULL, true, &db, &why), OK);
	buf_fini(&why);
	return db;
}

TEST_NO_OOM(steps_are_left_in_order)
{
	struct st_mem *disk = NULL;
	struct st_cdrs *db = open_db();
	struct rig r;
	CHECK_EQ(st_mem_new(&disk), OK);
	begin(&r, disk, db);
	add(&r, "a", "a1");
	add(&r, "b", "b1");
	add(&r, "a", "a2");
	add(&r, "c", "c1");
	adm_trail_flush(r.trail);
	adm_trail_done(r.trail, STR("b"));
	adm_trail_done(r.trail, STR("unknown"));
	run(&r, 1000);
	CHECK_EQ(adm_trail_n(r.trail), 2);
	end(&r);
	begin(&r, disk, db);
	CHECK_STR(left(&r), "+a1 +a2 +c1 ");
	CHECK_STR(left(&r), ""); /* once */
	add(&r, "c", "c2");
	end(&r);
	begin(&r, disk, db); /* nobody has said that they are done */
	CHECK_STR(left(&r), "+a1 +a2 +c1 +c2 ");
	end(&r);
	st_mem_free(disk);
	st_cdrs_close(db);
}

/* The Call-ID of a call that is done begins another one. */
TEST_NO_OOM(done_and_begun_again)
{
	struct st_mem *disk = NULL;
	struct st_cdrs *db = open_db();
	struct rig r;
	CHECK_EQ(st_mem_new(&disk), OK);
	begin(&r, disk, db);
	add(&r, "a", "old");
	adm_trail_done(r.trail, STR("a"));
	add(&r, "a", "new");
	end(&r);
	begin(&r, disk, db);
	CHECK_STR(left(&r), "+new ");
	end(&r);
	st_mem_free(disk);
	st_cdrs_close(db);
}

/* Killed after its record was written and before that was known: it is not recorded again. */
TEST_NO_OOM(what_has_its_record_is_not_left)
{
	struct st_mem *disk = NULL;
	struct st_cdrs *db = open_db();
	struct rig r;
	struct st_cdr row = {0};
	CHECK_EQ(st_mem_new(&disk), OK);
	begin(&r, disk, db);
	add(&r, "a", "a1");
	add(&r, "b", "b1");
	row.v[ST_CDR_start] = (struct st_val){.n = 1000, .is_set = true};
	row.v[ST_CDR_call_id] = (struct st_val){.s = STR("a"), .is_set = true};
	CHECK_EQ(st_cdrs_add(db, &row, 1), OK);
	row.v[ST_CDR_start].n = 999; /* another call of that Call-ID */
	row.v[ST_CDR_call_id].s = STR("b");
	CHECK_EQ(st_cdrs_add(db, &row, 1), OK);
	end(&r);
	begin(&r, disk, db);
	CHECK_STR(left(&r), "+b1 ");
	CHECK_EQ(adm_trail_n(r.trail), 1);
	end(&r);
	st_mem_free(disk);
	st_cdrs_close(db);
}

/* Calls come and go for long enough that the journal is written anew, twice and more, around one
 * that stays. */
TEST_NO_OOM(a_long_call_outlives_compactions)
{
	struct st_mem *disk = NULL;
	struct st_cdrs *db = open_db();
	struct rig r;
	struct st_journal_stats s;
	static char big[2000];
	char id[16];
	memset(big, 'x', sizeof(big) - 1);
	CHECK_EQ(st_mem_new(&disk), OK);
	begin(&r, disk, db);
	add(&r, "long", "l1");
	for (unsigned i = 0; i < 10'000; i++) {
		snprintf(id, sizeof(id), "c%u", i);
		add(&r, id, big);
		if (i == 5000)
			add(&r, "long", "l2");
		adm_trail_flush(r.trail);
		adm_trail_done(r.trail, str_c(id));
		run(&r, 2'000);
	}
	run(&r, 3'000'000);
	st_journal_stats(st_journal(r.st, ST_CALLS, 0), &s);
	CHECK(s.n_compactions >= 2 && s.size_bytes < 12u << 20); /* of 20 MB */
	CHECK_EQ(adm_trail_n(r.trail), 1);
	end(&r);
	begin(&r, disk, db);
	CHECK_STR(left(&r), "+l1 +l2 ");
	end(&r);
	st_mem_free(disk);
	st_cdrs_close(db);
}
