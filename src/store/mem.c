/* A disk in memory that fails and crashes on command.
 *
 * struct st_mem is the disk: named files, a counter of the operations that changed it, the fault
 * that waits, and one connection that keeps SQLite's in-memory database alive between stores.
 * struct mem_io is one process's view; it is freed with its store, the disk stays.
 *
 * Every change goes through `meet`, which decides whether it happens whole, by half, or not at all,
 * and what its caller learns. After a crash nothing changes the disk and everything fails until
 * st_mem_restart; what was applied before is there afterwards, exactly as after kill -9: the page
 * cache survives a process. A database transaction counts as one change: SQLite's own atomicity is
 * not ours to test.
 *
 * Single-threaded, like the simulation that it belongs to.
 */
#include "store/io_priv.h"

#include "base/assert.h"
#include "base/list.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct st_file { /* one file; it lives as long as it has a name or is open */
	struct link link;
	char name[64];
	struct buf data;
	unsigned n_open;
	bool is_removed;
};

struct st_mem {
	struct link files;
	uint64_t n_changes, fault_at, delay_us;
	enum st_fault fault;
	bool is_full, has_crashed, is_locked;
	sqlite3 *keeper;
	char uri[64];
};

struct mem_io {
	struct st_io io;
	struct st_mem *m;
	bool has_lock;
};

static struct st_mem *mem_of(struct st_io *io)
{
	return CONTAINER_OF(io, struct mem_io, io)->m;
}

enum extent { NOTHING, HALF, ALL };

/* Counts a change and tells how much of it happens; *result is what the caller is to learn. */
static enum extent meet(struct st_mem *m, bool takes_room, enum err *result)
{
	if (m->has_crashed) {
		*result = ERR_IO;
		return NOTHING;
	}
	m->n_changes++;
	enum st_fault fault = m->n_changes == m->fault_at ? m->fault : ST_FAULT_NONE;
	if (fault == ST_FAULT_NONE && m->is_full && takes_room)
		fault = ST_FAULT_FULL;
	*result = OK;
	switch (fault) {
	case ST_FAULT_NONE:
		return ALL;
	case ST_FAULT_FULL:
		*result = ERR_LIMIT;
		return NOTHING;
	case ST_FAULT_IO:
		*result = ERR_IO;
		return NOTHING;
	case ST_FAULT_SHORT:
		*result = ERR_LIMIT;
		return HALF;
	case ST_FAULT_CRASH_BEFORE:
	case ST_FAULT_CRASH_TORN:
	case ST_FAULT_CRASH_AFTER:
		m->has_crashed = true;
		*result = ERR_IO;
		return fault == ST_FAULT_CRASH_BEFORE ? NOTHING
		       : fault == ST_FAULT_CRASH_TORN ? HALF
						      : ALL;
	}
	return ALL;
}

static void explain(struct buf *why, enum err e, const char *name)
{
	if (why && e != OK)
		buf_fmt(why, "cannot write %s: %s", name,
			e == ERR_LIMIT ? "No space left on device" : "Input/output error");
}

static struct st_file *find(struct st_mem *m, const char *name)
{
	LIST_EACH (&m->files, l) {
		struct st_file *f = LIST_ENTRY(l, struct st_file, link);
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

static void drop(struct st_file *f)
{
	if (f->n_open || !f->is_removed)
		return;
	buf_fini(&f->data);
	free(f);
}

static void unname(struct st_file *f)
{
	list_del(&f->link);
	f->is_removed = true;
	drop(f);
}

static enum err mem_open(struct st_io *io, const char *name, bool create, struct st_file **out,
			 struct buf *why)
{
	struct st_mem *m = mem_of(io);
	struct st_file *f = find(m, name);
	if (!f && !create)
		return ERR_NOTFOUND;
	if (create) {
		struct st_file *fresh = f ? NULL : calloc(1, sizeof(*fresh));
		if (!f && !fresh)
			return ERR_NOMEM;
		enum err e;
		enum extent x = meet(m, true, &e);
		if (x == ALL && fresh) {
			snprintf(fresh->name, sizeof(fresh->name), "%s", name);
			list_init(&fresh->link);
			buf_init(&fresh->data);
			list_push(&m->files, &fresh->link);
			f = fresh;
			fresh = NULL;
		} else if (x == ALL) {
			buf_clear(&f->data);
		}
		free(fresh);
		explain(why, e, name);
		if (e != OK)
			return e;
	}
	f->n_open++;
	*out = f;
	return OK;
}

static void mem_close(struct st_io *io, struct st_file *f)
{
	if (!f)
		return;
	f->n_open--;
	drop(f);
}

static enum err mem_size(struct st_io *io, struct st_file *f, uint64_t *n)
{
	*n = f->data.n;
	return OK;
}

static enum err mem_read(struct st_io *io, struct st_file *f, uint64_t off, void *p, size_t cap,
			 size_t *n)
{
	*n = off >= f->data.n ? 0 : f->data.n - off < cap ? f->data.n - off : cap;
	if (*n)
		memcpy(p, f->data.p + off, *n);
	return OK;
}

static enum err mem_write(struct st_io *io, struct st_file *f, uint64_t off, const void *p,
			  size_t n, struct buf *why)
{
	size_t end = off + n;
	if (end > f->data.n && buf_reserve(&f->data, end - f->data.n) != OK) {
		f->data.err = OK;
		return ERR_NOMEM;
	}
	enum err e;
	enum extent x = meet(mem_of(io), true, &e);
	size_t much = x == ALL ? n : x == HALF ? n / 2 : 0;
	if (off > f->data.n && much) {
		memset(f->data.p + f->data.n, 0, off - f->data.n);
		f->data.n = off;
	}
	if (much)
		memcpy(f->data.p + off, p, much);
	if (off + much > f->data.n)
		f->data.n = off + much;
	explain(why, e, f->name);
	return e;
}

static enum err mem_truncate(struct st_io *io, struct st_file *f, uint64_t n)
{
	enum err e;
	if (meet(mem_of(io), false, &e) == ALL && n < f->data.n)
		f->data.n = n;
	return e;
}

static enum err mem_sync(struct st_io *io, struct st_file *f)
{
	return mem_of(io)->has_crashed ? ERR_IO : OK;
}

static enum err mem_rename(struct st_io *io, const char *from, const char *to)
{
	struct st_mem *m = mem_of(io);
	struct st_file *f = find(m, from);
	if (!f)
		return ERR_NOTFOUND;
	enum err e;
	if (meet(m, false, &e) == ALL) {
		struct st_file *there = find(m, to);
		if (there)
			unname(there);
		snprintf(f->name, sizeof(f->name), "%s", to);
	}
	return e;
}

static enum err mem_remove(struct st_io *io, const char *name)
{
	struct st_mem *m = mem_of(io);
	struct st_file *f = find(m, name);
	if (!f)
		return ERR_NOTFOUND;
	enum err e;
	if (meet(m, false, &e) == ALL)
		unname(f);
	return e;
}

static enum err mem_list(struct st_io *io, void (*fn)(void *arg, const char *name), void *arg)
{
	struct st_mem *m = mem_of(io);
	LIST_EACH (&m->files, l)
		fn(arg, LIST_ENTRY(l, struct st_file, link)->name);
	return OK;
}

static enum err mem_sync_dir(struct st_io *io)
{
	return mem_of(io)->has_crashed ? ERR_IO : OK;
}

static enum err mem_lock(struct st_io *io, long *pid, struct buf *why)
{
	struct mem_io *v = CONTAINER_OF(io, struct mem_io, io);
	*pid = 0;
	if (v->m->is_locked)
		return ERR_STATE;
	v->m->is_locked = v->has_lock = true;
	return OK;
}

static void mem_db_uri(struct st_io *io, struct buf *out)
{
	buf_str(out, str_c(mem_of(io)->uri));
}

static enum err mem_before_commit(struct st_io *io)
{
	struct st_mem *m = mem_of(io);
	enum err e;
	if (meet(m, true, &e) == ALL)
		return OK; /* also CRASH_AFTER: after_commit tells */
	return e;
}

static enum err mem_after_commit(struct st_io *io)
{
	return mem_of(io)->has_crashed ? ERR_IO : OK;
}

static uint64_t mem_write_delay_us(struct st_io *io)
{
	return mem_of(io)->delay_us;
}

static void mem_io_free(struct st_io *io)
{
	struct mem_io *v = CONTAINER_OF(io, struct mem_io, io);
	if (v->has_lock)
		v->m->is_locked = false;
	free(v);
}

static const struct st_io_ops mem_ops = {
	.free = mem_io_free,
	.open = mem_open,
	.close = mem_close,
	.size = mem_size,
	.read = mem_read,
	.write = mem_write,
	.truncate = mem_truncate,
	.sync = mem_sync,
	.rename = mem_rename,
	.remove = mem_remove,
	.list = mem_list,
	.sync_dir = mem_sync_dir,
	.lock = mem_lock,
	.db_uri = mem_db_uri,
	.before_commit = mem_before_commit,
	.after_commit = mem_after_commit,
	.write_delay_us = mem_write_delay_us,
};

enum err st_mem_io(struct st_mem *m, struct st_io **out)
{
	struct mem_io *v = calloc(1, sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	v->io.ops = &mem_ops;
	v->m = m;
	*out = &v->io;
	return OK;
}

enum err st_mem_new(struct st_mem **out)
{
	struct st_mem *m = calloc(1, sizeof(*m));
	if (!m)
		return ERR_NOMEM;
	list_init(&m->files);
	/* The address makes the name of the shared in-memory database unique in this process. */
	snprintf(m->uri, sizeof(m->uri), "file:/rung-%p?vfs=memdb", (void *)m);
	if (sqlite3_open_v2(m->uri, &m->keeper,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
			    NULL) != SQLITE_OK) {
		sqlite3_close(m->keeper);
		free(m);
		return ERR_NOMEM;
	}
	*out = m;
	return OK;
}

void st_mem_free(struct st_mem *m)
{
	if (!m)
		return;
	LIST_EACH (&m->files, l)
		unname(LIST_ENTRY(l, struct st_file, link));
	sqlite3_close(m->keeper);
	free(m);
}

void st_mem_fault(struct st_mem *m, uint64_t k, enum st_fault fault)
{
	m->fault = fault;
	m->fault_at = m->n_changes + k;
}

void st_mem_full(struct st_mem *m, bool is_full)
{
	m->is_full = is_full;
}

bool st_mem_has_crashed(const struct st_mem *m)
{
	return m->has_crashed;
}

void st_mem_crash(struct st_mem *m)
{
	m->has_crashed = true;
}

void st_mem_restart(struct st_mem *m)
{
	m->has_crashed = false;
	m->fault = ST_FAULT_NONE;
	m->is_locked = false;
}

void st_mem_delay(struct st_mem *m, uint64_t delay_us)
{
	m->delay_us = delay_us;
}

uint64_t st_mem_changes(const struct st_mem *m)
{
	return m->n_changes;
}
