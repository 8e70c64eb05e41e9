/* One data folder: settings and accounts in SQLite, and the way to the journals of bindings.
 *
 * SQLite is asked for what changes seldom and must never be lost: WAL, synchronous=FULL. The server
 * and any number of `rung user` processes may have the folder open at once; the server alone has
 * its lock, since the journals have one writer. Whether another process changed something is what
 * `PRAGMA data_version` tells (2.4 µs); our own changes are counted.
 *
 * Every sentence for people is made here, in `why`: which file, what is wrong, what to do. A
 * database that SQLite cannot read is never touched: the server does not start, because an exchange
 * without its accounts would refuse every phone.
 *
 * Tables: meta(key, value); account(user, enabled, one HA1 per algorithm, changed). The schema's
 * version is user_version; application_id marks the file as ours.
 *
 * Ownership: struct st owns connection, statements (prepared at open, reset after each use), the
 * io view and the journals. Calls that use SQLite come one at a time; SQLite's own mutexes cover
 * the rest.
 */
#include "store/io_priv.h"

#include "base/assert.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define APPLICATION_ID 0x72756e67 /* "rung" */
#define SCHEMA_VERSION 1
#define BUSY_MS        5000

enum stmt {
	META_GET,
	META_PUT,
	META_INIT,
	ACC_ADD,
	ACC_REPLACE,
	ACC_UPSERT,
	ACC_DEL,
	ACC_GET,
	ACC_EACH,
	ACC_COUNT,
	DATA_VERSION,
	STMT__N
};

static const char *const sql[STMT__N] = {
	[META_GET] = "select value from meta where key = ?1",
	[META_PUT] = "insert into meta values (?1, ?2) on conflict (key) do update set value = ?2",
	[META_INIT] = "insert into meta values (?1, ?2) on conflict (key) do nothing",
	[ACC_ADD] = "insert into account values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing",
	[ACC_REPLACE] = "update account set enabled = ?2, ha1_md5 = ?3, ha1_sha256 = ?4,"
			" ha1_sha512_256 = ?5, changed = ?6 where user = ?1",
	[ACC_UPSERT] = "insert into account values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (user) do"
		       " update set enabled = ?2, ha1_md5 = ?3, ha1_sha256 = ?4,"
		       " ha1_sha512_256 = ?5, changed = ?6",
	[ACC_DEL] = "delete from account where user = ?1",
	[ACC_GET] = "select * from account where user = ?1",
	[ACC_EACH] = "select * from account order by user",
	[ACC_COUNT] = "select count(*) from account",
	[DATA_VERSION] = "pragma data_version",
};

static const char schema[] =
	"create table meta (key text primary key, value blob not null) without rowid;"
	"create table account (user text primary key, enabled integer not null, ha1_md5 blob not "
	"null,"
	" ha1_sha256 blob not null, ha1_sha512_256 blob not null, changed integer not null)"
	" without rowid;";

struct st {
	struct st_io *io;
	char *dir;
	sqlite3 *db;
	sqlite3_stmt *stmt[STMT__N];
	bool is_server, is_in_tx;
	uint64_t own_changes, seen_changes;
	int64_t seen_version;
	struct st_journals *journals[ST_SET__N];
	struct buf why, notices;
};

/* --- SQLite's answers ----------------------------------------------------------------------- */

static enum err say(struct st *s, int rc)
{
	buf_clear(&s->why);
	switch (rc & 0xff) {
	case SQLITE_FULL:
		buf_fmt(&s->why,
			"disk full: %s/rung.db cannot grow. Make room; nothing was changed",
			s->dir);
		return ERR_LIMIT;
	case SQLITE_NOMEM:
		buf_str(&s->why, STR("out of memory"));
		return ERR_NOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		buf_fmt(&s->why,
			"%s/rung.db is being changed by another process for more than %d s. Try "
			"again; "
			"if it stays so, find who has it open",
			s->dir, BUSY_MS / 1000);
		return ERR_STATE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		buf_fmt(&s->why,
			"%s/rung.db is damaged (%s). Nothing was changed. Restore it from a "
			"backup, or "
			"save what can be read (sqlite3 rung.db .recover | sqlite3 new.db), or "
			"move it "
			"away and begin with no accounts",
			s->dir, sqlite3_errstr(rc));
		return ERR_IO;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		buf_fmt(&s->why, "%s/rung.db cannot be written: check who owns the folder", s->dir);
		return ERR_IO;
	default:
		buf_fmt(&s->why, "%s/rung.db: %s (%s)", s->dir, sqlite3_errmsg(s->db),
			sqlite3_errstr(rc));
		return ERR_IO;
	}
}

static enum err run(struct st *s, const char *text)
{
	int rc = sqlite3_exec(s->db, text, NULL, NULL, NULL);
	return rc == SQLITE_OK ? OK : say(s, rc);
}

static void bind(sqlite3_stmt *q, int i, struct str v)
{
	sqlite3_bind_text64(q, i, v.n ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8);
}

static struct str column(sqlite3_stmt *q, int i)
{
	const void *p = sqlite3_column_blob(q, i);
	return str_of(p, p ? (size_t)sqlite3_column_bytes(q, i) : 0);
}

static void done(sqlite3_stmt *q)
{
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
}

/* One row: OK, none: ERR_NOTFOUND. The caller calls done() after it has read the columns. */
static enum err row(struct st *s, sqlite3_stmt *q)
{
	int rc = sqlite3_step(q);
	return rc == SQLITE_ROW ? OK : rc == SQLITE_DONE ? ERR_NOTFOUND : say(s, rc);
}

/* --- transactions --------------------------------------------------------------------------- */

enum err st_begin(struct st *s)
{
	ASSERT(!s->is_in_tx);
	enum err e = run(s, "begin immediate");
	s->is_in_tx = e == OK;
	return e;
}

void st_rollback(struct st *s)
{
	if (!s->is_in_tx)
		return;
	s->is_in_tx = false;
	sqlite3_exec(s->db, "rollback", NULL, NULL, NULL);
}

enum err st_commit(struct st *s)
{
	ASSERT(s->is_in_tx);
	enum err e = s->io->ops->before_commit(s->io);
	if (e != OK) {
		st_rollback(s);
		(void)!say(s, e == ERR_LIMIT ? SQLITE_FULL : SQLITE_IOERR);
		return e;
	}
	e = run(s, "commit");
	if (e != OK) {
		st_rollback(s);
		return e;
	}
	s->is_in_tx = false;
	s->own_changes++;
	return s->io->ops->after_commit(s->io);
}

/* Steps a statement that changes something, in a transaction of its own unless one is open.
 * *n_changed: rows. */
static enum err change(struct st *s, sqlite3_stmt *q, int *n_changed)
{
	bool is_own = !s->is_in_tx;
	enum err e = is_own ? st_begin(s) : OK;
	if (e == OK) {
		int rc = sqlite3_step(q);
		*n_changed = sqlite3_changes(s->db);
		e = rc == SQLITE_DONE ? OK : say(s, rc);
		sqlite3_reset(q);
		if (is_own && e == OK)
			e = st_commit(s);
		else if (is_own)
			st_rollback(s);
	}
	done(q);
	return e;
}

/* --- opening -------------------------------------------------------------------------------- */

static enum err number(struct st *s, const char *text, int64_t *out)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(s->db, text, -1, &q, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? OK : say(s, rc);
}

static enum err make_schema(struct st *s)
{
	char ids[96];
	enum err e = st_begin(s);
	if (e != OK)
		return e;
	int64_t n = 0; /* somebody else may have been faster */
	e = number(s, "select count(*) from sqlite_schema", &n);
	if (e == OK && n == 0) {
		sqlite3_snprintf(sizeof(ids), ids,
				 "pragma application_id = %d; pragma user_version = %d",
				 APPLICATION_ID, SCHEMA_VERSION);
		e = run(s, schema);
		if (e == OK)
			e = run(s, ids);
	}
	if (e == OK)
		return st_commit(s);
	st_rollback(s);
	return e;
}

static enum err check_schema(struct st *s)
{
	int64_t app = 0, version = 0, n_tables = 0;
	enum err e = number(s, "pragma application_id", &app);
	if (e == OK)
		e = number(s, "pragma user_version", &version);
	if (e == OK)
		e = number(s, "select count(*) from sqlite_schema", &n_tables);
	if (e != OK)
		return e;
	if (n_tables == 0)
		return make_schema(s);
	buf_clear(&s->why);
	if (app != APPLICATION_ID) {
		buf_fmt(&s->why,
			"%s/rung.db is an SQLite database, but not rung's. Use another folder",
			s->dir);
		return ERR_UNSUPPORTED;
	}
	if (version > SCHEMA_VERSION) {
		buf_fmt(&s->why,
			"%s/rung.db was written by a newer rung (schema %d, this one knows %d). "
			"Use that "
			"one, or another folder",
			s->dir, (int)version, SCHEMA_VERSION);
		return ERR_UNSUPPORTED;
	}
	return OK;
}

static int on_quick_check(void *arg, int n, char **values, char **names)
{
	bool *is_good = arg;
	*is_good = n == 1 && values[0] && strcmp(values[0], "ok") == 0;
	return 0;
}

/* Reads the whole database once: damage is found now, not by the first phone that meets it. */
static enum err check_pages(struct st *s)
{
	bool is_good = false;
	int rc = sqlite3_exec(s->db, "pragma quick_check(1)", on_quick_check, &is_good, NULL);
	if (rc != SQLITE_OK)
		return say(s, rc);
	return is_good ? OK : say(s, SQLITE_CORRUPT);
}

static enum err open_db(struct st *s)
{
	struct buf uri;
	buf_init(&uri);
	s->io->ops->db_uri(s->io, &uri);
	const char *text = buf_cstr(&uri);
	int rc = SQLITE_NOMEM;
	if (text)
		rc = sqlite3_open_v2(
			text, &s->db,
			SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE, NULL);
	buf_fini(&uri);
	if (rc == SQLITE_CANTOPEN) {
		buf_fmt(&s->why, "there is no rung.db in %s", s->dir);
		return ERR_NOTFOUND;
	}
	if (rc != SQLITE_OK)
		return say(s, rc);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	enum err e = run(s, "pragma journal_mode = wal; pragma synchronous = full;"
			    "pragma foreign_keys = on");
	if (e == OK)
		e = check_schema(s);
	if (e == OK && s->is_server)
		e = check_pages(s);
	for (int i = 0; e == OK && i < STMT__N; i++) {
		rc = sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[i],
					NULL);
		e = rc == SQLITE_OK ? OK : say(s, rc);
	}
	return e;
}

static enum err take_lock(struct st *s)
{
	long pid;
	enum err e = s->io->ops->lock(s->io, &pid, &s->why);
	if (e != ERR_STATE)
		return e;
	if (pid)
		buf_fmt(&s->why, "another rung serve (pid %ld) uses %s. Stop it, or use --data DIR",
			pid, s->dir);
	else
		buf_fmt(&s->why, "another rung serve uses %s. Stop it, or use --data DIR", s->dir);
	return e;
}

/* Takes io. */
static const char *const set_names[ST_SET__N] = {
	[ST_BINDINGS] = "bindings", [ST_EVENTS] = "events", [ST_CALLS] = "calls"};

static enum err open_store(struct st_io *io, const char *dir, unsigned flags, struct st **out,
			   struct buf *why)
{
	struct st *s = calloc(1, sizeof(*s));
	enum err e = ERR_NOMEM;
	if (!s) {
		io->ops->free(io);
		return e;
	}
	s->io = io;
	s->seen_version = -1;
	s->is_server = flags & ST_SERVER;
	buf_init(&s->why);
	buf_init(&s->notices);
	s->dir = strdup(dir);
	if (!s->dir)
		goto out;
	e = s->is_server ? take_lock(s) : OK;
	if (e == OK)
		e = open_db(s);
	for (int i = 0; i < ST_SET__N && e == OK; i++)
		e = st_journals_new(io, set_names[i], &s->journals[i]);
	if (e != OK)
		goto out;
	*out = s;
	return OK;
out:
	buf_str(why, e == ERR_NOMEM ? STR("out of memory") : buf_view(&s->why));
	st_close(s);
	return e;
}

enum err st_open(const char *dir, unsigned flags, struct st **out, struct buf *why)
{
	struct st_io *io;
	enum err e = st_disk_open(dir, flags & ST_CREATE, &io, why);
	return e == OK ? open_store(io, dir, flags, out, why) : e;
}

enum err st_open_mem(struct st_mem *disk, struct st **out, struct buf *why)
{
	struct st_io *io;
	enum err e = st_mem_io(disk, &io);
	return e == OK ? open_store(io, "memory", ST_SERVER | ST_CREATE, out, why) : e;
}

void st_close(struct st *s)
{
	if (!s)
		return;
	for (int i = 0; i < ST_SET__N; i++)
		st_journals_free(s->journals[i]);
	for (int i = 0; i < STMT__N; i++)
		sqlite3_finalize(s->stmt[i]);
	sqlite3_close(s->db); /* an open transaction is rolled back */
	s->io->ops->free(s->io);
	buf_fini(&s->why);
	buf_fini(&s->notices);
	free(s->dir);
	free(s);
}

struct str st_notices(const struct st *s)
{
	return buf_view(&s->notices);
}

struct str st_why(const struct st *s)
{
	return buf_view(&s->why);
}

/* --- settings ------------------------------------------------------------------------------- */

enum err st_meta_get(struct st *s, struct str key, struct buf *out)
{
	sqlite3_stmt *q = s->stmt[META_GET];
	bind(q, 1, key);
	enum err e = row(s, q);
	if (e == OK)
		buf_str(out, column(q, 0));
	done(q);
	return e == OK ? out->err : e;
}

static enum err meta_change(struct st *s, enum stmt which, struct str key, struct str value)
{
	sqlite3_stmt *q = s->stmt[which];
	int n;
	bind(q, 1, key);
	sqlite3_bind_blob64(q, 2, value.n ? value.p : "", value.n, SQLITE_STATIC);
	return change(s, q, &n);
}

enum err st_meta_put(struct st *s, struct str key, struct str value)
{
	return meta_change(s, META_PUT, key, value);
}

enum err st_meta_init(struct st *s, struct str key, struct str value, struct buf *out)
{
	enum err e = st_meta_get(s, key, out);
	if (e != ERR_NOTFOUND)
		return e;
	e = meta_change(s, META_INIT, key, value);
	return e == OK ? st_meta_get(s, key, out) : e;
}

/* --- accounts ------------------------------------------------------------------------------- */

enum err st_account_put(struct st *s, const struct st_account *a, enum st_put_mode mode)
{
	static const enum stmt by_mode[] = {
		[ST_ADD] = ACC_ADD, [ST_REPLACE] = ACC_REPLACE, [ST_UPSERT] = ACC_UPSERT};
	sqlite3_stmt *q = s->stmt[by_mode[mode]];
	int n = 0;
	bind(q, 1, a->user);
	sqlite3_bind_int(q, 2, a->is_enabled);
	for (int i = 0; i < MD__N; i++)
		sqlite3_bind_blob(q, 3 + i, a->ha1[i], (int)md_size((enum md_alg)i), SQLITE_STATIC);
	sqlite3_bind_int64(q, 6, (sqlite3_int64)a->changed_s);
	enum err e = change(s, q, &n);
	if (e == OK && n == 0)
		return mode == ST_ADD ? ERR_STATE : ERR_NOTFOUND;
	return e;
}

enum err st_account_del(struct st *s, struct str user)
{
	sqlite3_stmt *q = s->stmt[ACC_DEL];
	int n = 0;
	bind(q, 1, user);
	enum err e = change(s, q, &n);
	return e == OK && n == 0 ? ERR_NOTFOUND : e;
}

static void read_account(sqlite3_stmt *q, struct st_account *a)
{
	*a = (struct st_account){.user = column(q, 0), .is_enabled = sqlite3_column_int(q, 1)};
	for (int i = 0; i < MD__N; i++) {
		struct str h = column(q, 2 + i);
		if (h.n == md_size((enum md_alg)i))
			memcpy(a->ha1[i], h.p, h.n);
		else
			a->is_enabled = false; /* somebody else wrote it: nobody may pass with it */
	}
	a->changed_s = (uint64_t)sqlite3_column_int64(q, 5);
}

enum err st_account_get(struct st *s, struct str user, struct st_account *a)
{
	sqlite3_stmt *q = s->stmt[ACC_GET];
	bind(q, 1, user);
	enum err e = row(s, q);
	if (e == OK) {
		read_account(q, a);
		a->user = user;
	}
	done(q);
	return e;
}

enum err st_accounts_each(struct st *s, bool (*fn)(void *arg, const struct st_account *a),
			  void *arg)
{
	sqlite3_stmt *q = s->stmt[ACC_EACH];
	struct st_account a;
	enum err e;
	while ((e = row(s, q)) == OK) {
		read_account(q, &a);
		if (!fn(arg, &a))
			break;
	}
	done(q);
	return e == ERR_NOTFOUND ? OK : e;
}

enum err st_accounts_count(struct st *s, size_t *n)
{
	sqlite3_stmt *q = s->stmt[ACC_COUNT];
	enum err e = row(s, q);
	if (e == OK)
		*n = (size_t)sqlite3_column_int64(q, 0);
	done(q);
	return e;
}

bool st_has_changed(struct st *s)
{
	sqlite3_stmt *q = s->stmt[DATA_VERSION];
	int64_t version = s->seen_version;
	if (row(s, q) == OK)
		version = sqlite3_column_int64(q, 0);
	done(q);
	if (version == s->seen_version && s->own_changes == s->seen_changes)
		return false;
	s->seen_version = version;
	s->seen_changes = s->own_changes;
	return true;
}

/* --- journals ------------------------------------------------------------------------------- */

enum err st_journals_read(struct st *s, enum st_set set,
			  void (*fn)(void *arg, struct str key, struct str value), void *arg)
{
	ASSERT(s->is_server);
	buf_clear(&s->why);
	return st_journals_load(s->journals[set], fn, arg, &s->notices, &s->why);
}

enum err st_journals_open(struct st *s, enum st_set set, struct ev_shards *shards, uint32_t layout,
			  bool *rewrite)
{
	ASSERT(s->is_server);
	buf_clear(&s->why);
	return st_journals_begin(s->journals[set], shards, layout, rewrite, &s->why);
}

enum err st_journals_ready(struct st *s, enum st_set set)
{
	buf_clear(&s->why);
	return st_journals_finish(s->journals[set], &s->notices, &s->why);
}

void st_journals_leave(struct st *s, enum st_set set)
{
	st_journals_stop(s->journals[set]);
}

struct st_journal *st_journal(struct st *s, enum st_set set, size_t shard)
{
	return st_journals_at(s->journals[set], shard);
}
