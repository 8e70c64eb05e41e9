#pragma once
/* The little that a store needs of a disk, so that the same code runs over files (disk.c) and over
 * memory (mem.c). Names are those of files in the data folder. One file is used by one thread at a
 * time; different files by different threads. */

#include "store/mem.h"

struct st_file;

struct st_io {
	const struct st_io_ops *ops;
};

struct st_io_ops {
	void (*free)(struct st_io *io);
	/* ERR_NOTFOUND: missing and not `create`. With create an existing file is emptied. */
	enum err (*open)(struct st_io *io, const char *name, bool create, struct st_file **out,
			 struct buf *why);
	void (*close)(struct st_io *io, struct st_file *f);
	enum err (*size)(struct st_io *io, struct st_file *f, uint64_t *n);
	/* Fewer bytes than asked for only at the end of the file. */
	enum err (*read)(struct st_io *io, struct st_file *f, uint64_t off, void *p, size_t cap,
			 size_t *n);
	/* All or an error. ERR_LIMIT: no space left. ERR_IO: anything else. */
	enum err (*write)(struct st_io *io, struct st_file *f, uint64_t off, const void *p,
			  size_t n, struct buf *why);
	enum err (*truncate)(struct st_io *io, struct st_file *f, uint64_t n);
	enum err (*sync)(struct st_io *io, struct st_file *f); /* to the platter */
	enum err (*rename)(struct st_io *io, const char *from, const char *to);
	enum err (*remove)(struct st_io *io, const char *name);
	/* Calls fn for each name in the folder, in no order; fn must not change the folder. */
	enum err (*list)(struct st_io *io, void (*fn)(void *arg, const char *name), void *arg);
	enum err (*sync_dir)(struct st_io *io);
	/* ERR_STATE: another process has it; *pid tells which (0: unknown). Held until free. */
	enum err (*lock)(struct st_io *io, long *pid, struct buf *why);
	/* Where SQLite finds its database, and over which of its VFS (NULL: its own). */
	void (*db_uri)(struct st_io *io, struct buf *out);
	/* Before a database transaction commits; an error means that it must be rolled back. */
	enum err (*before_commit)(struct st_io *io);
	/* After it did; an error means that the caller must not learn of the success. */
	enum err (*after_commit)(struct st_io *io);
	uint64_t (*write_delay_us)(struct st_io *io);
};

/* ERR_NOTFOUND without `create`. */
enum err st_disk_open(const char *dir, bool create, struct st_io **out, struct buf *why);
/* A view of m; freeing it leaves m alone. */
enum err st_mem_io(struct st_mem *m, struct st_io **out);

/* store.c uses these of journal.c. */
struct st_journals;
/* `name`: static, at most 8 letters; the first part of the names of its files. */
enum err st_journals_new(struct st_io *io, const char *name, struct st_journals **out);
void st_journals_free(struct st_journals *js);
void st_journals_stop(struct st_journals *js);
enum err st_journals_load(struct st_journals *js,
			  void (*fn)(void *arg, struct str key, struct str value), void *arg,
			  struct buf *notices, struct buf *why);
enum err st_journals_begin(struct st_journals *js, struct ev_shards *shards, uint32_t layout,
			   bool *rewrite, struct buf *why);
enum err st_journals_finish(struct st_journals *js, struct buf *notices, struct buf *why);
struct st_journal *st_journals_at(struct st_journals *js, size_t shard);
