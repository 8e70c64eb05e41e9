/* Settings and accounts, over a disk in memory. */
#include "rig.h"
#include "test.h"

#include "base/assert.h"

#include <string.h>

static struct st_account account(struct str user, uint8_t fill)
{
	struct st_account a = {.user = user, .is_enabled = true, .changed_s = 1000u + fill};
	memset(a.ha1, fill, sizeof(a.ha1));
	return a;
}

static void open_mem(struct st_mem *disk, struct st **out)
{
	struct buf why;
	buf_init(&why);
	enum err e = st_open_mem(disk, out, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
}

TEST(settings_keep_their_first_value)
{
	struct st_mem *disk = NULL;
	struct st *st;
	struct buf b;
	buf_init(&b);
	CHECK_EQ(st_mem_new(&disk), OK);
	open_mem(disk, &st);
	CHECK_EQ(st_meta_get(st, STR("realm"), &b), ERR_NOTFOUND);
	CHECK_EQ(st_meta_init(st, STR("realm"), STR("rung-1"), &b), OK);
	CHECK_STR(buf_view(&b), "rung-1");
	buf_clear(&b);
	CHECK_EQ(st_meta_init(st, STR("realm"), STR("other"), &b), OK);
	CHECK_STR(buf_view(&b), "rung-1");
	CHECK_EQ(st_meta_put(st, STR("realm"), STR("new")), OK);
	st_close(st);
	open_mem(disk, &st);
	buf_clear(&b);
	CHECK_EQ(st_meta_get(st, STR("realm"), &b), OK);
	CHECK_STR(buf_view(&b), "new");
	st_close(st);
	st_mem_free(disk);
	buf_fini(&b);
}

static bool collect(void *arg, const struct st_account *a)
{
	struct buf *b = arg;
	buf_fmt(b, STR_FMT ":%d:%02x ", STR_ARG(a->user), a->is_enabled, a->ha1[MD_SHA256][31]);
	return a->ha1[MD_MD5][0] != 0xee;
}

TEST(accounts_are_kept)
{
	struct st_mem *disk = NULL;
	struct st *st;
	CHECK_EQ(st_mem_new(&disk), OK);
	open_mem(disk, &st);
	struct st_account a = account(STR("100"), 1), got;
	CHECK_EQ(st_account_put(st, &a, ST_ADD), OK);
	CHECK_EQ(st_account_put(st, &a, ST_ADD), ERR_STATE);
	a = account(STR("200"), 2);
	CHECK_EQ(st_account_put(st, &a, ST_REPLACE), ERR_NOTFOUND);
	CHECK_EQ(st_account_put(st, &a, ST_UPSERT), OK);
	a = account(STR("100"), 3);
	a.is_enabled = false;
	CHECK_EQ(st_account_put(st, &a, ST_REPLACE), OK);
	st_close(st);
	open_mem(disk, &st);
	CHECK_EQ(st_account_get(st, STR("100"), &got), OK);
	CHECK(!got.is_enabled);
	CHECK_EQ(got.changed_s, 1003);
	CHECK_EQ(got.ha1[MD_MD5][15], 3);
	CHECK_EQ(got.ha1[MD_MD5][16], 0); /* MD5 is 16 bytes */
	CHECK_EQ(got.ha1[MD_SHA512_256][31], 3);
	CHECK_EQ(st_account_get(st, STR("10"), &got), ERR_NOTFOUND);
	size_t n = 0;
	CHECK_EQ(st_accounts_count(st, &n), OK);
	CHECK_EQ(n, 2);
	struct buf b;
	buf_init(&b);
	CHECK_EQ(st_accounts_each(st, collect, &b), OK);
	CHECK_STR(buf_view(&b), "100:0:03 200:1:02 ");
	CHECK_EQ(st_account_del(st, STR("100")), OK);
	CHECK_EQ(st_account_del(st, STR("100")), ERR_NOTFOUND);
	buf_clear(&b);
	CHECK_EQ(st_accounts_each(st, collect, &b), OK);
	CHECK_STR(buf_view(&b), "200:1:02 ");
	buf_fini(&b);
	st_close(st);
	st_mem_free(disk);
}

TEST(names_are_bytes_not_patterns)
{
	struct st_mem *disk = NULL;
	struct st *st;
	CHECK_EQ(st_mem_new(&disk), OK);
	open_mem(disk, &st);
	struct st_account a = account(STR("o'neil%"), 1), got;
	CHECK_EQ(st_account_put(st, &a, ST_ADD), OK);
	a = account(STR("O'Neil%"), 2);
	CHECK_EQ(st_account_put(st, &a, ST_ADD), OK); /* user parts are case-sensitive */
	CHECK_EQ(st_account_get(st, STR("o'neil%"), &got), OK);
	CHECK_EQ(got.ha1[0][0], 1);
	st_close(st);
	st_mem_free(disk);
}

TEST(a_transaction_is_all_or_nothing)
{
	struct st_mem *disk = NULL;
	struct st *st;
	CHECK_EQ(st_mem_new(&disk), OK);
	open_mem(disk, &st);
	struct st_account a = account(STR("1"), 1);
	CHECK_EQ(st_begin(st), OK);
	CHECK_EQ(st_account_put(st, &a, ST_ADD), OK);
	st_rollback(st);
	CHECK_EQ(st_account_del(st, STR("1")), ERR_NOTFOUND);
	CHECK_EQ(st_begin(st), OK);
	CHECK_EQ(st_account_put(st, &a, ST_ADD), OK);
	a.user = STR("2");
	CHECK_EQ(st_account_put(st, &a, ST_ADD), OK);
	CHECK_EQ(st_commit(st), OK);
	size_t n = 0;
	CHECK_EQ(st_accounts_count(st, &n), OK);
	CHECK_EQ(n, 2);
	st_close(st);
	st_mem_free(disk);
}

TEST(a_full_disk_refuses_and_says_so)
{
	struct st_mem *disk = NULL;
	struct st *st;
	CHECK_EQ(st_mem_new(&disk), OK);
	open_mem(disk, &st);
	struct st_account a = account(STR("1"), 1), got;
	st_mem_full(disk, true);
	CHECK_EQ(st_account_put(st, &a, ST_ADD), ERR_LIMIT);
	CHECK(str_find(st_why(st), STR("disk full")) != SIZE_MAX);
	CHECK_EQ(st_account_get(st, STR("1"), &got), ERR_NOTFOUND);
	st_mem_full(disk, false);
	CHECK_EQ(st_account_put(st, &a, ST_ADD), OK);
	st_close(st);
	st_mem_free(disk);
}

TEST(changes_are_noticed_once)
{
	struct st_mem *disk = NULL;
	struct st *st;
	CHECK_EQ(st_mem_new(&disk), OK);
	open_mem(disk, &st);
	CHECK(st_has_changed(st));
	CHECK(!st_has_changed(st));
	struct st_account a = account(STR("1"), 1);
	CHECK_EQ(st_account_put(st, &a, ST_ADD), OK);
	CHECK(st_has_changed(st));
	CHECK(!st_has_changed(st));
	st_close(st);
	st_mem_free(disk);
}

/* An account is there after a crash exactly when it was acknowledged, or, when the crash came
 * between, whole or not at all. */
TEST_NO_OOM(accounts_survive_a_crash_at_every_write)
{
	static const enum st_fault faults[] = {ST_FAULT_CRASH_BEFORE, ST_FAULT_CRASH_TORN,
					       ST_FAULT_CRASH_AFTER};
	for (size_t f = 0; f < ARRAY_LEN(faults); f++) {
		for (uint64_t k = 1; k <= 8; k++) {
			struct st_mem *disk = NULL;
			struct st *st;
			CHECK_EQ(st_mem_new(&disk), OK);
			open_mem(disk, &st);
			st_mem_fault(disk, k, faults[f]);
			unsigned n_acked = 0, n_there = 0;
			char name[8][2];
			for (unsigned i = 0; i < 6; i++) {
				name[i][0] = (char)('a' + i);
				struct st_account a = account(str_of(name[i], 1), 1);
				if (st_account_put(st, &a, ST_ADD) == OK)
					n_acked++;
			}
			CHECK_EQ(st_mem_has_crashed(disk), k <= 6);
			CHECK_EQ(n_acked, k <= 6 ? k - 1 : 6);
			st_close(st);
			st_mem_restart(disk);
			open_mem(disk, &st);
			for (unsigned i = 0; i < 6; i++) {
				struct st_account got;
				enum err e = st_account_get(st, str_of(name[i], 1), &got);
				CHECK(e == OK || e == ERR_NOTFOUND);
				CHECK(e == OK || i >= n_acked);
				n_there += e == OK;
			}
			CHECK_EQ(n_there, n_acked + (k <= 6 && faults[f] == ST_FAULT_CRASH_AFTER));
			st_close(st);
			st_mem_free(disk);
		}
	}
}
