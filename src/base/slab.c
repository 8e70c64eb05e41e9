/* Slabs: aligned to their size, so that a huge page fits under each. The advice may be refused (a
 * system without huge pages, or with none left): then there are small ones, and nothing else
 * changes.
 *
 * Invariant: [at, end) lies in v[n - 1], or is empty. */
#include "base/slab.h"

#include "base/grow.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_BYTES (SLAB_BYTES / 8)

/* Zeroed; n: a multiple of SLAB_BYTES. */
#ifdef __SANITIZE_ADDRESS__ /* which finds leaks through the heap only */
static void *map(size_t n, bool is_huge)
{
	(void)is_huge;
	void *p = aligned_alloc(SLAB_BYTES, n);
	return p ? memset(p, 0, n) : NULL;
}

static void unmap(void *p, size_t n)
{
	(void)n;
	free(p);
}
#else
static void *map(size_t n, bool is_huge)
{
	char *p = mmap(NULL, n + SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)p & (SLAB_BYTES - 1);
	if (before)
		(void)munmap(p, before);
	p += before;
	(void)munmap(p + n, SLAB_BYTES - before);
	if (is_huge)
		(void)madvise(p, n, MADV_HUGEPAGE);
	return p;
}

static void unmap(void *p, size_t n)
{
	(void)munmap(p, n);
}
#endif

static size_t in_slabs(size_t n)
{
	return (n + SLAB_BYTES - 1) / SLAB_BYTES * SLAB_BYTES;
}

static bool more(struct slabs *s, size_t n)
{
	struct slab *v = grow(s->v, &s->cap, s->n, sizeof *v);
	if (!v)
		return false;
	s->v = v;
	bool is_short = !s->n && n <= FIRST_BYTES;
	n = in_slabs(n);
	char *p = map(n, !is_short);
	if (!p)
		return false;
	s->v[s->n++] = (struct slab){p, n};
	s->at = p;
	s->end = p + (is_short ? FIRST_BYTES : n);
	return true;
}

void *slabs_get(struct slabs *s, size_t n, size_t align)
{
	size_t skip = -(uintptr_t)s->at & (align - 1), left = (size_t)(s->end - s->at);
	if (left < skip || left - skip < n) {
		if (!more(s, n))
			return NULL;
		skip = 0;
	}
	char *p = s->at + skip;
	s->at = p + n;
	return p;
}

void slabs_fini(struct slabs *s)
{
	for (size_t i = 0; i < s->n; i++)
		unmap(s->v[i].p, s->v[i].n);
	free(s->v);
	*s = (struct slabs){0};
}

void *slab_table(size_t n, size_t size)
{
	return n * size < SLAB_BYTES ? calloc(n, size) : map(in_slabs(n * size), true);
}

void slab_table_free(void *p, size_t n, size_t size)
{
	if (n * size < SLAB_BYTES)
		free(p);
	else
		unmap(p, in_slabs(n * size));
}
