/* The file behind a spool. A ring's byte `off` lies at off % limit; what is put wraps around there.
 *
 * Invariant: bytes [n - limit, n) can be read, or all when there is no limit.
 */
#include "capture/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void spool_init(struct spool *s, uint64_t limit_bytes)
{
	*s = (struct spool){.fd = -1, .limit = limit_bytes};
}

void spool_fini(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static enum err open_file(struct spool *s)
{
	const char *dir = getenv("TMPDIR");
	char path[512];
	int n = snprintf(path, sizeof path, "%s/rung-spool.XXXXXX", dir && *dir ? dir : "/tmp");
	if (n < 0 || (size_t)n >= sizeof path)
		return ERR_IO;
	s->fd = mkstemp(path);
	if (s->fd < 0)
		return ERR_IO;
	unlink(path);
	return OK;
}

/* Bytes from `off` on that lie together in the file. */
static size_t together(const struct spool *s, uint64_t off, size_t n)
{
	if (!s->limit)
		return n;
	uint64_t room = s->limit - off % s->limit;
	return room < n ? (size_t)room : n;
}

static off_t place(const struct spool *s, uint64_t off)
{
	return (off_t)(s->limit ? off % s->limit : off);
}

enum err spool_put(struct spool *s, const void *bytes, size_t n, uint64_t *off)
{
	const char *p = bytes;
	if (s->limit && n > s->limit)
		return ERR_LIMIT;
	if (s->fd < 0 && open_file(s) != OK)
		return ERR_IO;
	uint64_t at = s->n;
	while (n) {
		ssize_t put = pwrite(s->fd, p, together(s, at, n), place(s, at));
		if (put <= 0)
			return ERR_IO;
		p += put;
		n -= (size_t)put;
		at += (uint64_t)put;
	}
	*off = s->n;
	s->n = at;
	return OK;
}

enum err spool_get(const struct spool *s, uint64_t off, void *bytes, size_t n)
{
	char *p = bytes;
	if (off + n > s->n || off + n < off || (s->limit && off + s->limit < s->n))
		return ERR_NOTFOUND;
	while (n) {
		ssize_t got = pread(s->fd, p, together(s, off, n), place(s, off));
		if (got <= 0)
			return ERR_IO;
		p += got;
		n -= (size_t)got;
		off += (uint64_t)got;
	}
	return OK;
}
