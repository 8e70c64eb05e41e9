/* The data folder as files.
 *
 * Every file that rung makes here is readable by its owner alone: HA1s are as good as passwords for
 * this realm. The lock is flock(2) on the file `lock`, which the kernel gives back when the process
 * ends, however it ends; the number in it is only for the message to a second server. Writes go to
 * the page cache: they survive the end of the process, not of the machine; sync() is for the
 * moments when an old file is about to be removed in favour of a new one.
 *
 * Invariants: 1. no function here keeps state that two files share, so that each shard may write
 * its journal without asking. 2. the folder is held open by descriptor: renaming it under a running
 * server changes nothing.
 *
 * This file is the store's seam to the operating system, the only one in the folder that looks at
 * errno.
 */
#include "store/io_priv.h"

#include "base/assert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct st_file {
	int fd;
	char name[64];
};

struct disk {
	struct st_io io;
	int dir_fd, lock_fd;
	char *dir;
};

static struct disk *disk_of(struct st_io *io)
{
	return CONTAINER_OF(io, struct disk, io);
}

/* What failed and why, in one sentence; and what it means to callers. */
static enum err failed(const struct disk *d, const char *what, const char *name, struct buf *why)
{
	int e = errno;
	char text[128];
	if (why)
		buf_fmt(why, "cannot %s %s%s%s: %s", what, d->dir, *name ? "/" : "", name,
			strerror_r(e, text, sizeof(text)));
	if (e == ENOSPC || e == EDQUOT || e == EFBIG)
		return ERR_LIMIT;
	if (e == ENOENT)
		return ERR_NOTFOUND;
	return e == ENOMEM ? ERR_NOMEM : ERR_IO;
}

static void disk_free(struct st_io *io)
{
	struct disk *d = disk_of(io);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	if (d->dir_fd >= 0)
		close(d->dir_fd);
	free(d->dir);
	free(d);
}

static enum err disk_open(struct st_io *io, const char *name, bool create, struct st_file **out,
			  struct buf *why)
{
	struct disk *d = disk_of(io);
	struct st_file *f = calloc(1, sizeof(*f));
	if (!f)
		return ERR_NOMEM;
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->fd = openat(d->dir_fd, name, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0),
		       0600);
	if (f->fd < 0) {
		free(f);
		return failed(d, create ? "create" : "open", name, why);
	}
	*out = f;
	return OK;
}

static void disk_close(struct st_io *io, struct st_file *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f);
}

static enum err disk_size(struct st_io *io, struct st_file *f, uint64_t *n)
{
	struct stat s;
	if (fstat(f->fd, &s) != 0)
		return ERR_IO;
	*n = (uint64_t)s.st_size;
	return OK;
}

static enum err disk_read(struct st_io *io, struct st_file *f, uint64_t off, void *p, size_t cap,
			  size_t *n)
{
	*n = 0;
	while (*n < cap) {
		ssize_t r = pread(f->fd, (char *)p + *n, cap - *n, (off_t)(off + *n));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return ERR_IO;
		if (r == 0)
			break;
		*n += (size_t)r;
	}
	return OK;
}

static enum err disk_write(struct st_io *io, struct st_file *f, uint64_t off, const void *p,
			   size_t n, struct buf *why)
{
	size_t done = 0;
	while (done < n) {
		ssize_t r = pwrite(f->fd, (const char *)p + done, n - done, (off_t)(off + done));
		if (r < 0 && errno == EINTR)
			continue;
		if (r == 0)
			errno = ENOSPC;
		if (r <= 0)
			return failed(disk_of(io), "write", f->name, why);
		done += (size_t)r;
	}
	return OK;
}

static enum err disk_truncate(struct st_io *io, struct st_file *f, uint64_t n)
{
	return ftruncate(f->fd, (off_t)n) == 0 ? OK : ERR_IO;
}

static enum err disk_sync(struct st_io *io, struct st_file *f)
{
	return fdatasync(f->fd) == 0 ? OK : failed(disk_of(io), "sync", f->name, NULL);
}

static enum err disk_rename(struct st_io *io, const char *from, const char *to)
{
	struct disk *d = disk_of(io);
	return renameat(d->dir_fd, from, d->dir_fd, to) == 0 ? OK : failed(d, "rename", from, NULL);
}

static enum err disk_remove(struct st_io *io, const char *name)
{
	struct disk *d = disk_of(io);
	return unlinkat(d->dir_fd, name, 0) == 0 ? OK : failed(d, "remove", name, NULL);
}

static enum err disk_list(struct st_io *io, void (*fn)(void *arg, const char *name), void *arg)
{
	struct disk *d = disk_of(io);
	int fd = openat(d->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return ERR_IO;
	}
	for (struct dirent *e; (e = readdir(dir));)
		fn(arg, e->d_name);
	closedir(dir);
	return OK;
}

static enum err disk_sync_dir(struct st_io *io)
{
	return fsync(disk_of(io)->dir_fd) == 0 ? OK : ERR_IO;
}

static enum err disk_lock(struct st_io *io, long *pid, struct buf *why)
{
	struct disk *d = disk_of(io);
	ASSERT(d->lock_fd < 0);
	*pid = 0;
	int fd = openat(d->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(d, "open", "lock", why);
	char text[32] = "";
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		bool is_taken = errno == EWOULDBLOCK;
		enum err e = is_taken ? ERR_STATE : failed(d, "lock", "lock", why);
		if (is_taken && pread(fd, text, sizeof(text) - 1, 0) > 0)
			*pid = strtol(text, NULL, 10);
		close(fd);
		return e;
	}
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	/* On a full disk the number is missing; the lock is held all the same. */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
		(void)!ftruncate(fd, 0);
	d->lock_fd = fd;
	return OK;
}

static void disk_db_uri(struct st_io *io, struct buf *out)
{
	struct disk *d = disk_of(io);
	buf_str(out, STR("file:"));
	for (const char *p = d->dir; *p; p++) {
		if (*p == '?' || *p == '#' || *p == '%')
			buf_fmt(out, "%%%02x", (unsigned char)*p);
		else
			buf_chr(out, *p);
	}
	buf_str(out, STR("/rung.db"));
}

static enum err disk_commit_ok(struct st_io *io)
{
	return OK;
}

static uint64_t disk_write_delay_us(struct st_io *io)
{
	return 0;
}

static const struct st_io_ops disk_ops = {
	.free = disk_free,
	.open = disk_open,
	.close = disk_close,
	.size = disk_size,
	.read = disk_read,
	.write = disk_write,
	.truncate = disk_truncate,
	.sync = disk_sync,
	.rename = disk_rename,
	.remove = disk_remove,
	.list = disk_list,
	.sync_dir = disk_sync_dir,
	.lock = disk_lock,
	.db_uri = disk_db_uri,
	.before_commit = disk_commit_ok,
	.after_commit = disk_commit_ok,
	.write_delay_us = disk_write_delay_us,
};

/* mkdir -p; the last folder is private. */
static int make_dirs(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		int r = mkdir(path, 0755);
		*p = '/';
		if (r != 0 && errno != EEXIST)
			return -1;
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -1;
}

enum err st_disk_open(const char *dir, bool create, struct st_io **out, struct buf *why)
{
	struct disk *d = calloc(1, sizeof(*d));
	if (!d)
		return ERR_NOMEM;
	d->io.ops = &disk_ops;
	d->dir_fd = d->lock_fd = -1;
	enum err e = ERR_NOMEM;
	size_t n = strlen(dir);
	while (n > 1 && dir[n - 1] == '/')
		n--;
	d->dir = strndup(dir, n);
	if (!d->dir)
		goto out;
	if (create && make_dirs(d->dir) != 0) {
		e = failed(d, "create", "", why);
		goto out;
	}
	d->dir_fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dir_fd < 0) {
		e = failed(d, "open", "", why);
		goto out;
	}
	/* SQLite gives its side files the mode of the database: make that private from the start.
	 */
	if (create) {
		int fd = openat(d->dir_fd, "rung.db", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0) {
			e = failed(d, "create", "rung.db", why);
			goto out;
		}
		close(fd);
	}
	*out = &d->io;
	return OK;
out:
	disk_free(&d->io);
	return e;
}
