#pragma once
/* Memory that grows for as long as a file is read and is given back as a whole. It comes by slabs
 * of SLAB_BYTES, for which the system is asked for huge pages: where it has them, a slab costs one
 * page fault instead of 512, and what jumps about in it fewer misses of the TLB. Only the first
 * slab is small, so that a short file stays cheap. Not thread-safe. */

#include <stddef.h>

#define SLAB_BYTES (2u << 20)

struct slab {
	void *p;
	size_t n;
};

struct slabs { /* zeroed = empty */
	struct slab *v;
	size_t n, cap;
	char *at, *end; /* what is left of the newest */
};

/* n bytes, not zeroed, for as long as *s lives; align: a power of two, SLAB_BYTES at most. More
 * than SLAB_BYTES come as a slab of their own. NULL when memory is refused. */
[[nodiscard]] void *slabs_get(struct slabs *s, size_t n, size_t align);
void slabs_fini(struct slabs *s);

/* A table of n elements of `size` bytes, zeroed, which is read and written all over: with huge
 * pages once it is as large as they are. NULL when memory is refused. */
[[nodiscard]] void *slab_table(size_t n, size_t size);
void slab_table_free(void *table, size_t n, size_t size);
