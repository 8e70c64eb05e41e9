#pragma once
/* A cache of memory blocks in a few size classes: what a shard needs for messages, without an
 * allocator call in the steady state. Blocks may be given back to another shard's cache than the
 * one they came from (messages move between shards); each cache keeps a bounded number of free
 * blocks per class and hands the rest to free(). Not thread-safe. */

#include <stddef.h>
#include <stdint.h>

#define BLOCK_CLASSES 9

struct block_cache { /* zeroed = empty */
	void *free[BLOCK_CLASSES];
	uint32_t n_free[BLOCK_CLASSES];
};

/* At least n bytes, aligned to 16, not zeroed; *got (may be NULL) is the usable size. NULL when
 * memory is refused. */
void *block_get(struct block_cache *c, size_t n, size_t *got);
/* NULL is harmless. With c NULL the block goes straight to free(). */
void block_put(struct block_cache *c, void *block);
void block_cache_fini(struct block_cache *c);
