#pragma once
/* Bytes put aside to be read again: an unlinked file in TMPDIR, which the system removes with the
 * process. With a limit it is a ring: the oldest bytes give way. */

#include "base/buf.h"

struct spool {
	int fd;         /* -1: none yet, made with the first bytes */
	uint64_t n;     /* bytes put so far, also those that gave way */
	uint64_t limit; /* 0: none */
};

void spool_init(struct spool *s, uint64_t limit_bytes);
void spool_fini(struct spool *s);
/* *off: where they are found again. ERR_IO: no room on the disk, or no place for the file;
 * ERR_LIMIT: longer than the whole ring. */
enum err spool_put(struct spool *s, const void *p, size_t n, uint64_t *off);
/* ERR_NOTFOUND: they gave way; ERR_IO. */
enum err spool_get(const struct spool *s, uint64_t off, void *p, size_t n);
