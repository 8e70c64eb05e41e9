/* The store over real files: lock, damage, another version, permissions. */
#include "rig.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool says(const struct buf *why, const char *part)
{
	return str_find(buf_view(why), str_c(part)) != SIZE_MAX;
}

static void poke(const char *dir, const char *name, long off, const void *p, size_t n)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	if (off < 0)
		off += lseek(fd, 0, SEEK_END);
	CHECK(pwrite(fd, p, n, off) == (ssize_t)n);
	close(fd);
}

static long size_of(const char *dir, const char *name)
{
	char path[300];
	struct stat s;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &s) == 0 ? (long)s.st_size : -1;
}

static void fill(const char *dir, struct buf *why)
{
	struct rig r;
	struct rig_put p[8];
	CHECK_EQ(rig_open(&r, NULL, dir, 1, why), OK);
	for (uint32_t k = 0; k < 8; k++) {
		rig_put(&r, &p[k], k, 60 + k);
		rig_turn(&r);
		CHECK_EQ(p[k].result, OK);
	}
	rig_close(&r);
}

#define FIRST "bindings.00000001.0"

TEST_NO_OOM(files_are_private_and_survive)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct rig r;
	buf_init(&why);
	fill(dir, &why);
	char path[300];
	struct stat s;
	snprintf(path, sizeof(path), "%s/rung.db", dir);
	CHECK_EQ(stat(path, &s), 0);
	CHECK_EQ(s.st_mode & 077, 0);
	snprintf(path, sizeof(path), "%s/" FIRST, dir);
	CHECK_EQ(stat(path, &s), 0);
	CHECK_EQ(s.st_mode & 077, 0);
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
	CHECK_EQ(r.n_loaded, 8);
	CHECK_EQ(r.loaded[7], 67);
	rig_close(&r);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(one_server_per_folder)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct rig r, second;
	char want[64];
	buf_init(&why);
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
	CHECK_EQ(rig_open(&second, NULL, dir, 1, &why), ERR_STATE);
	snprintf(want, sizeof(want), "another rung serve (pid %ld) uses %s", (long)getpid(), dir);
	CHECK(says(&why, want));
	/* a command may come in meanwhile */
	struct st *st;
	CHECK_EQ(st_open(dir, 0, &st, &why), OK);
	st_close(st);
	rig_close(&r);
	CHECK_EQ(rig_open(&second, NULL, dir, 1, &why), OK);
	rig_close(&second);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(changes_of_another_process_are_seen)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct st *server, *command;
	buf_init(&why);
	CHECK_EQ(st_open(dir, ST_SERVER | ST_CREATE, &server, &why), OK);
	CHECK(st_has_changed(server));
	CHECK(!st_has_changed(server));
	CHECK_EQ(st_open(dir, 0, &command, &why), OK);
	struct st_account a = {.user = STR("100"), .is_enabled = true}, got;
	CHECK_EQ(st_account_put(command, &a, ST_ADD), OK);
	CHECK(st_has_changed(server));
	CHECK(!st_has_changed(server));
	CHECK_EQ(st_account_get(server, STR("100"), &got), OK);
	st_close(command);
	st_close(server);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(a_torn_tail_is_dropped)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct rig r;
	buf_init(&why);
	fill(dir, &why);
	long n = size_of(dir, FIRST);
	char path[300];
	snprintf(path, sizeof(path), "%s/" FIRST, dir);
	CHECK_EQ(truncate(path, n - 5), 0);
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
	CHECK(!r.rewrite);
	CHECK_EQ(r.n_loaded, 7);
	CHECK_EQ(r.loaded[7], 0);
	CHECK(str_find(st_notices(r.st), STR("were being written")) != SIZE_MAX);
	struct rig_put p;
	rig_put(&r, &p, 7, 9);
	rig_turn(&r);
	rig_close(&r);
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
	CHECK_EQ(st_notices(r.st).n, 0);
	CHECK_EQ(r.loaded[7], 9);
	rig_close(&r);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(zeros_at_the_end_are_a_torn_tail)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct rig r;
	buf_init(&why);
	fill(dir, &why);
	char path[300];
	snprintf(path, sizeof(path), "%s/" FIRST, dir);
	CHECK_EQ(truncate(path, size_of(dir, FIRST) + 4096), 0);
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
	CHECK(!r.rewrite);
	CHECK_EQ(r.n_loaded, 8);
	rig_close(&r);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(a_damaged_journal_is_kept_aside)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct rig r;
	buf_init(&why);
	fill(dir, &why);
	long n = size_of(dir, FIRST);
	poke(dir, FIRST, n / 2, "\xff\xff\xff", 3);
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
	CHECK(r.rewrite);
	CHECK_EQ(r.n_loaded, 7);
	CHECK_EQ(r.loaded[0], 60);
	CHECK_EQ(r.loaded[7], 67);
	CHECK(str_find(st_notices(r.st), STR("is damaged")) != SIZE_MAX);
	CHECK(str_find(st_notices(r.st), STR(FIRST ".damaged")) != SIZE_MAX);
	rig_close(&r);
	CHECK_EQ(size_of(dir, FIRST ".damaged"), n);
	CHECK_EQ(size_of(dir, FIRST), -1);
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
	CHECK_EQ(st_notices(r.st).n, 0);
	CHECK_EQ(r.n_loaded, 7);
	rig_close(&r);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(a_damaged_head_or_last_record_too)
{
	static const long at[] = {0, 13, 29, -3};
	for (size_t i = 0; i < 4; i++) {
		const char *dir = rig_mkdir();
		struct buf why;
		struct rig r;
		buf_init(&why);
		fill(dir, &why);
		poke(dir, FIRST, at[i], "\x7f", 1);
		CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
		CHECK(r.rewrite);
		CHECK_EQ(r.n_loaded, at[i] < 0 ? 7 : 8);
		rig_close(&r);
		CHECK(size_of(dir, FIRST ".damaged") > 0);
		rig_rmdir(dir);
		buf_fini(&why);
	}
}

/* Any single byte changed anywhere: never a crash, never a value that was not put, at most one
 * record lost. */
TEST_NO_OOM(any_byte_may_be_wrong)
{
	const char *dir = rig_mkdir();
	struct buf why, bytes;
	struct rig r;
	buf_init(&why);
	buf_init(&bytes);
	fill(dir, &why);
	long n = size_of(dir, FIRST);
	CHECK(n > 0);
	char path[300];
	snprintf(path, sizeof(path), "%s/" FIRST, dir);
	int fd = open(path, O_RDONLY);
	CHECK_EQ(buf_reserve(&bytes, (size_t)n), OK);
	CHECK_EQ(read(fd, bytes.p, (size_t)n), n);
	close(fd);
	for (long off = 0; off < n; off += 3) {
		if (off >= 8 && off < 12)
			continue; /* the version: another test */
		char cmd[700];
		snprintf(cmd, sizeof(cmd), "%s/bindings.00000002.0", dir);
		unlink(cmd);
		snprintf(cmd, sizeof(cmd), "%s/" FIRST ".damaged", dir);
		unlink(cmd);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		CHECK_EQ(write(fd, bytes.p, (size_t)n), n);
		close(fd);
		char c = (char)(bytes.p[off] ^ 0x41);
		poke(dir, FIRST, off, &c, 1);
		CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), OK);
		CHECK(r.n_loaded >= 7 && r.n_loaded <= 8);
		for (uint32_t k = 0; k < 8; k++)
			CHECK(r.loaded[k] == 60 + k || r.loaded[k] == 0);
		rig_close(&r);
	}
	rig_rmdir(dir);
	buf_fini(&why);
	buf_fini(&bytes);
}

TEST_NO_OOM(a_newer_journal_is_not_touched)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct rig r;
	buf_init(&why);
	fill(dir, &why);
	poke(dir, FIRST, 8, "\x02", 1);
	long n = size_of(dir, FIRST);
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), ERR_UNSUPPORTED);
	CHECK(says(&why, "newer rung"));
	CHECK_EQ(size_of(dir, FIRST), n);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(a_damaged_database_is_not_touched)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct rig r;
	buf_init(&why);
	fill(dir, &why);
	poke(dir, "rung.db", 0, "this is not a database.", 23);
	long n = size_of(dir, "rung.db");
	CHECK_EQ(rig_open(&r, NULL, dir, 1, &why), ERR_IO);
	CHECK(says(&why, "rung.db is damaged"));
	CHECK(says(&why, "Nothing was changed"));
	CHECK_EQ(size_of(dir, "rung.db"), n);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(damage_inside_the_database_is_found_at_start)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct st *st;
	buf_init(&why);
	CHECK_EQ(st_open(dir, ST_CREATE, &st, &why), OK);
	CHECK_EQ(st_begin(st), OK);
	for (int i = 0; i < 500; i++) {
		char name[16];
		int n = snprintf(name, sizeof(name), "%04d", i);
		struct st_account a = {.user = str_of(name, (size_t)n), .is_enabled = true};
		CHECK_EQ(st_account_put(st, &a, ST_ADD), OK);
	}
	CHECK_EQ(st_commit(st), OK);
	st_close(st);
	char junk[4096];
	memset(junk, 0x55, sizeof(junk));
	poke(dir, "rung.db", -8192, junk, sizeof(junk));
	CHECK_EQ(st_open(dir, ST_SERVER, &st, &why), ERR_IO);
	CHECK(says(&why, "is damaged"));
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(folders_are_made_or_missed)
{
	const char *dir = rig_mkdir();
	char sub[300];
	struct buf why;
	struct st *st;
	buf_init(&why);
	snprintf(sub, sizeof(sub), "%s/a", dir);
	CHECK_EQ(st_open(sub, 0, &st, &why), ERR_NOTFOUND);
	CHECK(says(&why, sub));
	buf_clear(&why);
	CHECK_EQ(st_open(dir, 0, &st, &why), ERR_NOTFOUND);
	CHECK(says(&why, "no rung.db in"));
	snprintf(sub, sizeof(sub), "%s/a/b//", dir);
	CHECK_EQ(st_open(sub, ST_CREATE, &st, &why), OK);
	st_close(st);
	snprintf(sub, sizeof(sub), "%s/a/b", dir);
	rig_rmdir(sub);
	snprintf(sub, sizeof(sub), "%s/a", dir);
	rig_rmdir(sub);
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(a_foreign_database_is_refused)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct st *st;
	buf_init(&why);
	CHECK_EQ(st_open(dir, ST_CREATE, &st, &why), OK);
	st_close(st);
	poke(dir, "rung.db", 68, "\0\0\0\0", 4); /* application_id */
	CHECK_EQ(st_open(dir, ST_CREATE, &st, &why), ERR_UNSUPPORTED);
	CHECK(says(&why, "not rung's"));
	rig_rmdir(dir);
	buf_fini(&why);
}

TEST_NO_OOM(a_newer_database_is_refused)
{
	const char *dir = rig_mkdir();
	struct buf why;
	struct st *st;
	buf_init(&why);
	CHECK_EQ(st_open(dir, ST_CREATE, &st, &why), OK);
	st_close(st);
	poke(dir, "rung.db", 60, "\0\0\0\x09", 4); /* user_version */
	CHECK_EQ(st_open(dir, ST_SERVER, &st, &why), ERR_UNSUPPORTED);
	CHECK(says(&why, "newer rung"));
	rig_rmdir(dir);
	buf_fini(&why);
}
