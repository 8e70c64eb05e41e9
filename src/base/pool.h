#pragma once
/* Objects of one size, bounded; each has a slot and a generation, so that a 64-bit id {kind:8
 * shard:8 generation:24 slot:24} can outlive the object: a stale id finds nothing. Memory comes in
 * chunks on demand, so an idle pool costs nothing, and a chunk whose objects are all back is freed
 * again once there are spare ones: what a burst took does not stay. With AddressSanitizer free
 * objects are poisoned. Not thread-safe: one pool belongs to one shard. */

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

typedef uint64_t obj_id; /* 0 names nothing */

struct pool {
	size_t size; /* bytes of an object as asked for */
	uint32_t max, n_used;
	uint8_t kind, shard, chunk_bits; /* a chunk holds 2^chunk_bits objects */
	uint32_t n_chunks, n_filled, n_spare;
	uint32_t open, spare, bare; /* lists of chunks, see pool.c */
	struct pool_chunk *chunks;
};

void pool_init(struct pool *p, size_t size, uint32_t max, uint8_t kind, uint8_t shard);
void pool_fini(struct pool *p);
void *pool_get(struct pool *p);           /* zeroed; NULL when the bound or memory is reached */
void pool_put(struct pool *p, void *obj); /* its ids are stale from now on */
obj_id pool_id(const struct pool *p, const void *obj);
void *pool_find(const struct pool *p,
		obj_id id); /* NULL when stale, of another kind or another shard */
/* The place of a live object, below n_chunks << chunk_bits, and what lives there: for those who
 * know that it does. */
uint32_t pool_slot(const void *obj);
void *pool_at(const struct pool *p, uint32_t slot);
/* Iteration over live objects: *cursor starts at 0; NULL at the end. The current one may be put
 * back. */
void *pool_next(const struct pool *p, uint32_t *cursor);

static inline uint8_t obj_id_shard(obj_id id)
{
	return (uint8_t)(id >> 48);
}
static inline uint8_t obj_id_kind(obj_id id)
{
	return (uint8_t)(id >> 56);
}
