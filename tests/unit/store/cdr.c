/* Call detail records: what is added is found again, by time, user and Call-ID, and goes by age and
 * number. */
#include "test.h"

#include "store/cdr.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct st_cdr cdr(uint64_t start_us, const char *caller, const char *callee)
{
	struct st_cdr r = {0};
	r.v[ST_CDR_start] = (struct st_val){.n = start_us, .is_set = true};
	r.v[ST_CDR_caller] = (struct st_val){.s = str_c(caller), .is_set = true};
	r.v[ST_CDR_callee] = (struct st_val){.s = str_c(callee), .is_set = true};
	r.v[ST_CDR_call_id] = (struct st_val){.s = STR("id"), .is_set = true};
	return r;
}

static bool collect(void *arg, const struct st_cdr *r)
{
	struct buf *b = arg;
	buf_fmt(b, "%llu:" STR_FMT "%s ", (unsigned long long)r->v[ST_CDR_start].n,
		STR_ARG(r->v[ST_CDR_caller].s), r->v[ST_CDR_talk].is_set ? "!" : "");
	return b->n < 100;
}

static void check_found(struct st_cdrs *c, const struct st_cdr_filter *f, const char *want)
{
	struct buf b;
	buf_init(&b);
	enum err e = st_cdrs_each(c, f, collect, &b);
	bool is_same = e == OK && b.err == OK && str_eq(buf_view(&b), str_c(want));
	if (e == OK && b.err == OK && !is_same)
		CHECK_STR_EQ(buf_view(&b), str_c(want));
	buf_fini(&b);
	CHECK(is_same);
}

static struct st_cdrs *open_three(void)
{
	struct buf why;
	struct st_cdrs *c = NULL;
	struct st_cdr rows[] = {cdr(10, "a@x", "b@x"), cdr(20, "b@x", "c@x"),
				cdr(30, "ab@x", "c@x")};
	rows[2].v[ST_CDR_session_id] = (struct st_val){.s = STR("aa;remote=bb"), .is_set = true};
	rows[1].v[ST_CDR_legs] = (struct st_val){.s = STR("ego leg"), .is_set = true};
	buf_init(&why);
	enum err e = st_cdrs_open(NULL, true, &c, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
	CHECK_EQ(st_cdrs_add(c, rows, 3), OK);
	return c;
}

TEST(cdrs_are_found)
{
	struct st_cdrs *c = open_three();
	check_found(c, &(struct st_cdr_filter){0}, "30:ab@x 20:b@x 10:a@x ");
	check_found(c, &(struct st_cdr_filter){.is_oldest_first = true}, "10:a@x 20:b@x 30:ab@x ");
	check_found(c, &(struct st_cdr_filter){.since_us = 20, .until_us = 30}, "20:b@x ");
	check_found(c, &(struct st_cdr_filter){.user = STR("b")}, "20:b@x 10:a@x ");
	check_found(c, &(struct st_cdr_filter){.user = STR("ab@x")}, "30:ab@x ");
	check_found(c, &(struct st_cdr_filter){.skip = 1, .limit = 1}, "20:b@x ");
	check_found(c, &(struct st_cdr_filter){.call_id = STR("no")}, "");
	check_found(c, &(struct st_cdr_filter){.call_id = STR("leg")}, "20:b@x ");
	check_found(c, &(struct st_cdr_filter){.call_id = STR("ego")}, "20:b@x ");
	check_found(c, &(struct st_cdr_filter){.call_id = STR("go")}, "");
	check_found(c, &(struct st_cdr_filter){.call_id = STR("id")}, "30:ab@x 20:b@x 10:a@x ");
	check_found(c, &(struct st_cdr_filter){.session_id = STR("bb")}, "30:ab@x ");
	check_found(c, &(struct st_cdr_filter){.session_id = STR("bb;remote=aa")}, "30:ab@x ");
	check_found(c, &(struct st_cdr_filter){.session_id = STR("cc")}, "");
	st_cdrs_close(c);
}

TEST(cdrs_go_by_age_and_number)
{
	struct st_cdrs *c = open_three();
	uint64_t n = 0;
	CHECK_EQ(st_cdrs_prune(c, 20, 100), OK);
	check_found(c, &(struct st_cdr_filter){0}, "30:ab@x 20:b@x ");
	CHECK_EQ(st_cdrs_prune(c, 0, 1), OK);
	CHECK_EQ(st_cdrs_count(c, &n), OK);
	CHECK_EQ(n, 1);
	check_found(c, &(struct st_cdr_filter){0}, "30:ab@x ");
	st_cdrs_close(c);
}

/* A file that lacks the newest columns can be read as it is, and has them when it is written to. */
TEST_NO_OOM(cdrs_of_an_older_rung)
{
	char dir[] = "/tmp/rung-cdr-XXXXXX", path[64];
	struct st_cdrs *c = NULL;
	struct st_cdr row = cdr(20, "b@x", "c@x");
	sqlite3 *old;
	struct buf why;
	buf_init(&why);
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/cdr.db", dir);
	CHECK_EQ(sqlite3_open(path, &old), SQLITE_OK);
	CHECK_EQ(
		sqlite3_exec(old,
			     "create table cdr (id integer primary key, start integer, caller text,"
			     " legs text, call_id text);"
			     "insert into cdr values (1, 10, 'a@x', '', 'id')",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(old);
	CHECK_EQ(st_cdrs_open(dir, false, &c, &why), OK);
	check_found(c, &(struct st_cdr_filter){0}, "10:a@x ");
	check_found(c, &(struct st_cdr_filter){.session_id = STR("session_id")}, "");
	st_cdrs_close(c);
	CHECK_EQ(st_cdrs_open(dir, true, &c, &why), OK);
	row.v[ST_CDR_session_id] = (struct st_val){.s = STR("aa"), .is_set = true};
	CHECK_EQ(st_cdrs_add(c, &row, 1), OK);
	check_found(c, &(struct st_cdr_filter){0}, "20:b@x 10:a@x ");
	check_found(c, &(struct st_cdr_filter){.session_id = STR("aa")}, "20:b@x ");
	st_cdrs_close(c);
	buf_fini(&why);
	static const char *const names[] = {"/cdr.db", "/cdr.db-wal", "/cdr.db-shm"};
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", dir, names[i]);
		remove(path);
	}
	CHECK_EQ(remove(dir), 0);
}

/* A reader beside the writer; and no database where no exchange has run. */
TEST_NO_OOM(cdrs_are_read_by_others)
{
	char dir[] = "/tmp/rung-cdr-XXXXXX", path[64];
	struct st_cdrs *w = NULL, *r = NULL;
	struct st_cdr row = cdr(10, "a@x", "b@x");
	struct buf why;
	buf_init(&why);
	CHECK(mkdtemp(dir));
	CHECK_EQ(st_cdrs_open(dir, false, &r, &why), ERR_NOTFOUND);
	CHECK(str_find(buf_view(&why), STR("no cdr.db")) != SIZE_MAX);
	CHECK_EQ(st_cdrs_open(dir, true, &w, &why), OK);
	CHECK_EQ(st_cdrs_open(dir, false, &r, &why), OK);
	CHECK_EQ(st_cdrs_add(w, &row, 1), OK);
	check_found(r, &(struct st_cdr_filter){0}, "10:a@x ");
	st_cdrs_close(r);
	st_cdrs_close(w);
	buf_fini(&why);
	static const char *const names[] = {"/cdr.db", "/cdr.db-wal", "/cdr.db-shm"};
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", dir, names[i]);
		remove(path);
	}
	CHECK_EQ(remove(dir), 0);
}
