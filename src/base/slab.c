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
#include <sys/mman.h>

#define FIRST_BYTES (SLAB_BYTES / 8)

static size_t whole(size_t n, size_t of)
{
	return (n + of - 1) / of * of;
}

#ifdef __SANITIZE_ADDRESS__ /* each piece is a block of its own, whose ends are guarded */
enum { IN_SLABS = false };
#else
enum { IN_SLABS = true };
#endif

/* Zeroed; n: a multiple of SLAB_BYTES. */
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

static bool more(struct slabs *s, size_t n, size_t align)
{
	struct slab *v = grow(s->v, &s->cap, s->n, sizeof *v);
	if (!v)
		return false;
	s->v = v;
	bool is_short = !s->n && n <= FIRST_BYTES;
	size_t size = whole(n, IN_SLABS ? SLAB_BYTES : align);
	char *p = IN_SLABS ? map(size, !is_short) : aligned_alloc(align, size);
	if (!p)
		return false;
	s->v[s->n++] = (struct slab){p, size};
	s->at = p;
	s->end = p + (!IN_SLABS ? n : is_short ? FIRST_BYTES : size);
	return true;
}

void *slabs_get(struct slabs *s, size_t n, size_t align)
{
	size_t skip = -(uintptr_t)s->at & (align - 1), left = (size_t)(s->end - s->at);
	if (left < skip || left - skip < n) {
		if (!more(s, n, align))
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
		if (IN_SLABS)
			(void)munmap(s->v[i].p, s->v[i].n);
		else
			free(s->v[i].p);
	free(s->v);
	*s = (struct slabs){0};
}

void *slab_table(size_t n, size_t size)
{
	bool is_small = !IN_SLABS || n * size < SLAB_BYTES;
	return is_small ? calloc(n, size) : map(whole(n * size, SLAB_BYTES), true);
}

void slab_table_free(void *p, size_t n, size_t size)
{
	if (!IN_SLABS || n * size < SLAB_BYTES)
		free(p);
	else
		(void)munmap(p, whole(n * size, SLAB_BYTES));
}
