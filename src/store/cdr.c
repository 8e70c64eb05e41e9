/* Call detail records in SQLite.
 *
 * A database of its own because its bargain is another than that of the accounts: WAL with
 * synchronous=NORMAL, so that a commit is a write into the page cache (it outlives the process) and
 * the disk is waited for only at a checkpoint. Rows are added in batches, one transaction each.
 *
 * Columns come from cdr.def, in its order, behind `id`. A file of an older rung gets the columns
 * that it lacks when it is written to; until then they are empty. One of a newer rung may have
 * more, which nobody here asks for. So no version is needed: columns are only ever added.
 *
 * Reading is by start, newest first, through the index; a page of a listing skips rows by number,
 * which costs what it skips. */
#include "store/cdr.h"

#include "base/assert.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 5000

enum column_type { CT_TEXT, CT_COUNT, CT_TIME, CT_SPAN };
static const struct {
	const char *name;
	enum column_type type;
} columns[ST_CDR__N] = {
#define CDR_COLUMN(name, type, width, doc) [ST_CDR_##name] = {#name, CT_##type},
#include "store/cdr.def"
#undef CDR_COLUMN
};

struct st_cdrs {
	sqlite3 *db;
	sqlite3_stmt *add;
	bool has[ST_CDR__N]; /* columns that the table has */
	const char *dir;     /* own copy; for sentences */
	char *dir_mem;
	struct buf why;
};

static enum err say(struct st_cdrs *c, int rc)
{
	buf_clear(&c->why);
	if ((rc & 0xff) == SQLITE_NOMEM) {
		buf_str(&c->why, STR("out of memory"));
		return ERR_NOMEM;
	}
	if ((rc & 0xff) == SQLITE_FULL) {
		buf_fmt(&c->why, "disk full: %s/cdr.db cannot grow; calls are not recorded",
			c->dir);
		return ERR_LIMIT;
	}
	buf_fmt(&c->why, "%s/cdr.db: %s", c->dir, c->db ? sqlite3_errmsg(c->db) : "no memory");
	return ERR_IO;
}

static enum err run(struct st_cdrs *c, const char *text)
{
	int rc = sqlite3_exec(c->db, text, NULL, NULL, NULL);
	return rc == SQLITE_OK ? OK : say(c, rc);
}

static enum err prepare(struct st_cdrs *c, struct buf *text, sqlite3_stmt **out)
{
	const char *z = buf_cstr(text);
	int rc = z ? sqlite3_prepare_v2(c->db, z, -1, out, NULL) : SQLITE_NOMEM;
	return rc == SQLITE_OK ? OK : say(c, rc);
}

static const char *sql_type(size_t i)
{
	return columns[i].type == CT_TEXT ? "text" : "integer";
}

/* Which columns there are. */
static enum err learn_columns(struct st_cdrs *c)
{
	struct buf b;
	buf_init(&b);
	enum err e = OK;
	for (size_t i = 0; e == OK && i < ST_CDR__N; i++) {
		sqlite3_stmt *q = NULL;
		buf_clear(&b);
		buf_fmt(&b, "select 1 from pragma_table_info('cdr') where name = '%s'",
			columns[i].name);
		e = prepare(c, &b, &q);
		int rc = e ? SQLITE_ROW : sqlite3_step(q);
		sqlite3_finalize(q);
		c->has[i] = rc == SQLITE_ROW;
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			e = say(c, rc);
	}
	buf_fini(&b);
	return e;
}

/* "create table" with all columns, then those that a table of an older rung lacks. */
static enum err make_schema(struct st_cdrs *c)
{
	struct buf b;
	buf_init(&b);
	buf_str(&b, STR("create table if not exists cdr (id integer primary key"));
	for (size_t i = 0; i < ST_CDR__N; i++)
		buf_fmt(&b, ", \"%s\" %s", columns[i].name, sql_type(i));
	buf_str(&b, STR("); create index if not exists cdr_start on cdr (start)"));
	const char *z = buf_cstr(&b);
	enum err e = z ? run(c, z) : say(c, SQLITE_NOMEM);
	if (e == OK)
		e = learn_columns(c);
	for (size_t i = 0; e == OK && i < ST_CDR__N; i++) {
		if (c->has[i])
			continue;
		buf_clear(&b);
		buf_fmt(&b, "alter table cdr add column \"%s\" %s", columns[i].name, sql_type(i));
		z = buf_cstr(&b);
		e = z ? run(c, z) : say(c, SQLITE_NOMEM);
		c->has[i] = e == OK;
	}
	buf_fini(&b);
	return e;
}

static enum err prepare_add(struct st_cdrs *c)
{
	struct buf b;
	buf_init(&b);
	buf_str(&b, STR("insert into cdr ("));
	for (size_t i = 0; i < ST_CDR__N; i++)
		buf_fmt(&b, "%s\"%s\"", i ? ", " : "", columns[i].name);
	buf_str(&b, STR(") values (?"));
	for (size_t i = 1; i < ST_CDR__N; i++)
		buf_str(&b, STR(", ?"));
	buf_chr(&b, ')');
	enum err e = prepare(c, &b, &c->add);
	buf_fini(&b);
	return e;
}

/* Who called whom is nobody else's business; SQLite's other files get the mode of this one. */
static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static enum err open_db(struct st_cdrs *c, bool is_writer)
{
	struct buf b;
	buf_init(&b);
	if (c->dir_mem)
		buf_fmt(&b, "%s/cdr.db", c->dir_mem);
	else
		buf_str(&b, STR(":memory:"));
	const char *z = buf_cstr(&b);
	if (z && c->dir_mem && is_writer)
		make_file(z);
	int flags = SQLITE_OPEN_READWRITE | (is_writer ? SQLITE_OPEN_CREATE : 0);
	int rc = z ? sqlite3_open_v2(z, &c->db, flags, NULL) : SQLITE_NOMEM;
	buf_fini(&b);
	if (rc == SQLITE_CANTOPEN && !is_writer) {
		buf_fmt(&c->why,
			"there is no cdr.db in %s: no exchange of this version has run there",
			c->dir);
		return ERR_NOTFOUND;
	}
	if (rc != SQLITE_OK)
		return say(c, rc);
	sqlite3_busy_timeout(c->db, BUSY_MS);
	if (!is_writer)
		return learn_columns(c);
	enum err e = run(c, "pragma journal_mode = wal; pragma synchronous = normal");
	if (e == OK)
		e = make_schema(c);
	return e == OK ? prepare_add(c) : e;
}

enum err st_cdrs_open(const char *dir, bool is_writer, struct st_cdrs **out, struct buf *why)
{
	struct st_cdrs *c = calloc(1, sizeof(*c));
	if (!c) {
		buf_str(why, STR("out of memory"));
		return ERR_NOMEM;
	}
	buf_init(&c->why);
	c->dir = "memory";
	enum err e = OK;
	if (dir) {
		c->dir = c->dir_mem = strdup(dir);
		e = c->dir ? OK : ERR_NOMEM;
	}
	if (e == OK)
		e = open_db(c, is_writer);
	if (e) {
		buf_str(why, c->why.n ? buf_view(&c->why) : STR("out of memory"));
		st_cdrs_close(c);
		return e;
	}
	*out = c;
	return OK;
}

void st_cdrs_close(struct st_cdrs *c)
{
	if (!c)
		return;
	sqlite3_finalize(c->add);
	sqlite3_close(c->db);
	buf_fini(&c->why);
	free(c->dir_mem);
	free(c);
}

struct str st_cdrs_why(const struct st_cdrs *c)
{
	return buf_view(&c->why);
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum err add_one(struct st_cdrs *c, const struct st_cdr *row)
{
	for (int i = 0; i < ST_CDR__N; i++) {
		const struct st_val *v = &row->v[i];
		if (!v->is_set)
			sqlite3_bind_null(c->add, i + 1);
		else if (columns[i].type == CT_TEXT)
			sqlite3_bind_text64(c->add, i + 1, v->s.n ? v->s.p : "", v->s.n,
					    SQLITE_STATIC, SQLITE_UTF8);
		else
			sqlite3_bind_int64(c->add, i + 1, (sqlite3_int64)v->n);
	}
	int rc = sqlite3_step(c->add);
	sqlite3_reset(c->add);
	sqlite3_clear_bindings(c->add);
	return rc == SQLITE_DONE ? OK : say(c, rc);
}

/* Ends the transaction: nothing is kept unless all went well. */
static enum err end_batch(struct st_cdrs *c, enum err e)
{
	if (e == OK)
		e = run(c, "commit");
	if (e)
		sqlite3_exec(c->db, "rollback", NULL, NULL, NULL);
	return e;
}

enum err st_cdrs_add(struct st_cdrs *c, const struct st_cdr *rows, size_t n)
{
	enum err e = run(c, "begin immediate");
	if (e)
		return e;
	for (size_t i = 0; i < n && e == OK; i++)
		e = add_one(c, &rows[i]);
	return end_batch(c, e);
}

enum err st_cdrs_prune(struct st_cdrs *c, uint64_t before_us, uint64_t max_rows)
{
	struct buf b;
	buf_init(&b);
	buf_fmt(&b,
		"delete from cdr where start < %llu;"
		"delete from cdr where id <= (select max(id) from cdr) - %llu",
		(unsigned long long)before_us, (unsigned long long)max_rows);
	const char *z = buf_cstr(&b);
	enum err e = z ? run(c, "begin immediate") : say(c, SQLITE_NOMEM);
	if (e == OK)
		e = end_batch(c, run(c, z));
	buf_fini(&b);
	return e;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void put_query(const struct st_cdrs *c, struct buf *b, const struct st_cdr_filter *f)
{
	const char *order = f->is_oldest_first ? "asc" : "desc";
	buf_str(b, STR("select "));
	for (size_t i = 0; i < ST_CDR__N; i++)
		buf_fmt(b, c->has[i] ? "%s\"%s\"" : "%snull", i ? ", " : "", columns[i].name);
	buf_fmt(b, " from cdr where start >= %llu", (unsigned long long)f->since_us);
	if (f->until_us)
		buf_fmt(b, " and start < %llu", (unsigned long long)f->until_us);
	if (f->user.n)
		buf_str(b, STR(" and (caller = ?1 or callee = ?1"
			       " or substr(caller, 1, length(?1) + 1) = ?1 || '@'"
			       " or substr(callee, 1, length(?1) + 1) = ?1 || '@')"));
	if (f->call_id.n)
		buf_str(b,
			STR(" and (call_id = ?2 or instr(' ' || legs || ' ', ' ' || ?2 || ' '))"));
	if (f->session_id.n)
		buf_str(b, c->has[ST_CDR_session_id] ? STR(" and instr(session_id, ?3)")
						     : STR(" and ?3 is null"));
	buf_fmt(b, " order by start %s, id %s limit %lld offset %llu", order, order,
		f->limit ? (long long)f->limit : -1ll, (unsigned long long)f->skip);
}

static void read_row(sqlite3_stmt *q, struct st_cdr *row)
{
	*row = (struct st_cdr){0};
	for (int i = 0; i < ST_CDR__N; i++) {
		struct st_val *v = &row->v[i];
		v->is_set = sqlite3_column_type(q, i) != SQLITE_NULL;
		if (!v->is_set)
			continue;
		if (columns[i].type == CT_TEXT) {
			const void *p = sqlite3_column_blob(q, i);
			v->s = str_of(p, p ? (size_t)sqlite3_column_bytes(q, i) : 0);
		} else {
			v->n = (uint64_t)sqlite3_column_int64(q, i);
		}
	}
}

enum err st_cdrs_each(struct st_cdrs *c, const struct st_cdr_filter *f,
		      bool (*fn)(void *arg, const struct st_cdr *row), void *arg)
{
	sqlite3_stmt *q = NULL;
	struct st_cdr row;
	struct buf b;
	buf_init(&b);
	put_query(c, &b, f);
	enum err e = prepare(c, &b, &q);
	buf_fini(&b);
	if (e)
		return e;
	if (f->user.n)
		sqlite3_bind_text64(q, 1, f->user.p, f->user.n, SQLITE_STATIC, SQLITE_UTF8);
	if (f->call_id.n)
		sqlite3_bind_text64(q, 2, f->call_id.p, f->call_id.n, SQLITE_STATIC, SQLITE_UTF8);
	struct str rest, session = str_trim(str_cut(f->session_id, ';', &rest));
	if (f->session_id.n)
		sqlite3_bind_text64(q, 3, session.p, session.n, SQLITE_STATIC, SQLITE_UTF8);
	int rc;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		read_row(q, &row);
		if (!fn(arg, &row))
			break;
	}
	e = rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : say(c, rc);
	sqlite3_finalize(q);
	return e;
}

enum err st_cdrs_count(struct st_cdrs *c, uint64_t *n)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(c->db, "select count(*) from cdr", -1, &q, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*n = (uint64_t)sqlite3_column_int64(q, 0);
	enum err e = rc == SQLITE_ROW ? OK : say(c, rc);
	sqlite3_finalize(q);
	return e;
}
