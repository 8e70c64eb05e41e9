/* The journal over a disk in memory: batches, refusals, compaction, change of the number of shards.
 */
#include "rig.h"
#include "test.h"

static void open_ok(struct rig *r, struct st_mem *disk, size_t n)
{
	struct buf why;
	buf_init(&why);
	enum err e = rig_open(r, disk, NULL, n, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
}

TEST(what_was_put_is_there_again)
{
	struct st_mem *disk = NULL;
	struct rig r;
	struct rig_put p[8];
	CHECK_EQ(st_mem_new(&disk), OK);
	open_ok(&r, disk, 2);
	CHECK(!r.rewrite);
	for (uint32_t k = 0; k < 6; k++)
		rig_put(&r, &p[k], k, 100 + k);
	CHECK(!p[0].is_told); /* never from inside the call */
	rig_turn(&r);
	for (uint32_t k = 0; k < 6; k++) {
		CHECK(p[k].is_told);
		CHECK_EQ(p[k].result, OK);
	}
	struct st_journal_stats s;
	st_journal_stats(st_journal(r.st, ST_BINDINGS, 0), &s);
	CHECK_EQ(s.n_puts, 3);
	CHECK_EQ(s.n_writes, 1); /* one write for the turn */
	rig_put(&r, &p[6], 3, 0);
	rig_put(&r, &p[7], 4, 204);
	rig_turn(&r);
	rig_close(&r);
	open_ok(&r, disk, 2);
	CHECK(!r.rewrite);
	CHECK_EQ(r.loaded[0], 100);
	CHECK_EQ(r.loaded[3], 0);
	CHECK_EQ(r.loaded[4], 204);
	CHECK_EQ(r.loaded[5], 105);
	CHECK_EQ(r.n_loaded, 8);
	rig_close(&r);
	st_mem_free(disk);
}

TEST(another_number_of_shards_rewrites)
{
	struct st_mem *disk = NULL;
	struct rig r;
	struct rig_put p[10];
	CHECK_EQ(st_mem_new(&disk), OK);
	open_ok(&r, disk, 2);
	for (uint32_t k = 0; k < 10; k++)
		rig_put(&r, &p[k], k, 7 + k);
	rig_turn(&r);
	rig_close(&r);
	open_ok(&r, disk, 3);
	CHECK(r.rewrite);
	rig_put(&r, &p[0], 2, 50);
	rig_turn(&r);
	CHECK_EQ(p[0].result, OK);
	rig_close(&r);
	open_ok(&r, disk, 3);
	CHECK(!r.rewrite);
	CHECK_EQ(r.n_loaded, 11);
	CHECK_EQ(r.loaded[2], 50);
	CHECK_EQ(r.loaded[9], 16);
	rig_close(&r);
	st_mem_free(disk);
}

static void refuse(enum st_fault fault, enum err want)
{
	struct st_mem *disk = NULL;
	struct rig r;
	struct rig_put p[4];
	CHECK_EQ(st_mem_new(&disk), OK);
	open_ok(&r, disk, 1);
	rig_put(&r, &p[0], 1, 11);
	rig_turn(&r);
	st_mem_fault(disk, 1, fault);
	rig_put(&r, &p[1], 2, 122); /* longer than what follows: leftovers reach past it */
	rig_put(&r, &p[2], 1, 199);
	rig_turn(&r);
	CHECK_EQ(p[1].result, want);
	CHECK_EQ(p[2].result, want);
	CHECK(st_journal_why(st_journal(r.st, ST_BINDINGS, 0)).n > 0);
	rig_put(&r, &p[3], 3, 1);
	rig_turn(&r);
	CHECK_EQ(p[3].result, OK);
	CHECK_EQ(st_journal_why(st_journal(r.st, ST_BINDINGS, 0)).n, 0);
	rig_close(&r);
	open_ok(&r, disk, 1);
	CHECK_EQ(r.loaded[1], 11);
	CHECK_EQ(r.loaded[2], 0);
	CHECK_EQ(r.loaded[3], 1);
	CHECK_EQ(st_notices(r.st).n, 0);
	rig_close(&r);
	st_mem_free(disk);
}

TEST(a_refused_batch_leaves_nothing)
{
	refuse(ST_FAULT_FULL, ERR_LIMIT);
	refuse(ST_FAULT_SHORT, ERR_LIMIT);
	refuse(ST_FAULT_IO, ERR_IO);
}

TEST(writes_may_take_time)
{
	struct st_mem *disk = NULL;
	struct rig r;
	struct rig_put p[2];
	CHECK_EQ(st_mem_new(&disk), OK);
	open_ok(&r, disk, 1);
	st_mem_delay(disk, 3000);
	uint64_t begun = env_now_us(r.env[0]);
	rig_put(&r, &p[0], 1, 11);
	rig_turn(&r);
	CHECK(!p[0].is_told || env_now_us(r.env[0]) >= begun + 3000);
	rig_put(&r, &p[1], 2, 12);
	while (!(p[0].is_told && p[1].is_told) && env_now_us(r.env[0]) < begun + 20000000)
		rig_turn(&r);
	CHECK(p[0].is_told && p[1].is_told);
	rig_close(&r);
	open_ok(&r, disk, 1);
	CHECK_EQ(r.loaded[2], 12);
	rig_close(&r);
	st_mem_free(disk);
}

TEST(compaction_forgets_what_is_replaced)
{
	struct st_mem *disk = NULL;
	struct rig r;
	struct rig_put p[3];
	struct st_journal_stats s;
	CHECK_EQ(st_mem_new(&disk), OK);
	open_ok(&r, disk, 1);
	for (uint32_t i = 1; i <= 20; i++) {
		rig_put(&r, &p[0], 1, i);
		rig_turn(&r);
	}
	rig_put(&r, &p[1], 2, 5);
	rig_turn(&r);
	struct st_journal *j = st_journal(r.st, ST_BINDINGS, 0);
	CHECK(!st_journal_wants_compaction(j, 0)); /* not worth it yet */
	CHECK_EQ(st_journal_compact_begin(j), OK);
	rig_keep(&r, 1, 20);
	rig_put(&r, &p[2], 3, 33); /* meanwhile */
	rig_turn(&r);
	rig_keep(&r, 2, 5);
	st_journal_compact_end(j);
	rig_turn(&r);
	rig_turn(&r);
	st_journal_stats(j, &s);
	CHECK_EQ(s.n_compactions, 1);
	rig_close(&r);
	open_ok(&r, disk, 1);
	CHECK(!r.rewrite);
	CHECK_EQ(r.n_loaded, 3);
	CHECK_EQ(r.loaded[1], 20);
	CHECK_EQ(r.loaded[2], 5);
	CHECK_EQ(r.loaded[3], 33);
	rig_close(&r);
	st_mem_free(disk);
}

TEST(a_compaction_that_fails_loses_nothing)
{
	struct st_mem *disk = NULL;
	struct rig r;
	struct rig_put p[3];
	CHECK_EQ(st_mem_new(&disk), OK);
	open_ok(&r, disk, 1);
	rig_put(&r, &p[0], 1, 11);
	rig_put(&r, &p[1], 2, 12);
	rig_turn(&r);
	struct st_journal *j = st_journal(r.st, ST_BINDINGS, 0);
	CHECK_EQ(st_journal_compact_begin(j), OK);
	rig_put(&r, &p[2], 2, 22);
	rig_turn(&r);
	rig_keep(&r, 1, 11);
	st_mem_fault(disk, 1, ST_FAULT_FULL);
	st_journal_compact_end(j);
	rig_turn(&r);
	rig_close(&r);
	open_ok(&r, disk, 1);
	CHECK(r.rewrite); /* two files are left */
	CHECK_EQ(r.loaded[1], 11);
	CHECK_EQ(r.loaded[2], 22);
	rig_close(&r);
	open_ok(&r, disk, 1);
	CHECK(!r.rewrite);
	CHECK_EQ(r.n_loaded, 2);
	rig_close(&r);
	st_mem_free(disk);
}

struct rereading {
	struct st_journal *j;
	unsigned n;
};

static void keep_again(void *arg, struct str key, struct str value)
{
	struct rereading *x = arg;
	x->n++;
	if (str_eq(key, STR("k1")) || str_eq(key, STR("k3")))
		st_journal_keep(x->j, key, value);
}

/* Who has not the values any more takes them from the old files, in parts. */
TEST(compaction_rereads_what_it_keeps)
{
	struct st_mem *disk = NULL;
	struct rig r;
	struct rig_put p;
	unsigned n_parts = 1;
	CHECK_EQ(st_mem_new(&disk), OK);
	open_ok(&r, disk, 1);
	for (uint32_t i = 1; i <= 40; i++) {
		rig_put(&r, &p, i % 4, 100 + i);
		rig_turn(&r);
	}
	struct rereading x = {.j = st_journal(r.st, ST_BINDINGS, 0)};
	CHECK_EQ(st_journal_compact_begin(x.j), OK);
	rig_put(&r, &p, 5, 55);
	rig_turn(&r);
	for (; !st_journal_reread(x.j, 1000, keep_again, &x); n_parts++)
		rig_turn(&r);
	CHECK(x.n == 40 && n_parts > 4);
	st_journal_compact_end(x.j);
	rig_turn(&r);
	rig_turn(&r);
	rig_close(&r);
	open_ok(&r, disk, 1);
	CHECK(!r.rewrite);
	CHECK_EQ(r.n_loaded, 21);
	CHECK_EQ(r.loaded[1], 137);
	CHECK_EQ(r.loaded[2], 0);
	CHECK_EQ(r.loaded[3], 139);
	CHECK_EQ(r.loaded[5], 55);
	rig_close(&r);
	st_mem_free(disk);
}
