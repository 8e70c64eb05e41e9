/* A single-producer single-consumer ring of records.
 *
 *   | len | record, padded to 8 | len | record | SKIP ... end |   then from the beginning again
 *
 * Positions only ever grow; their low bits are the place in the ring. A record is contiguous: when
 * it does not fit before the end, the rest of the ring is skipped. Each side keeps its own copy of
 * the other's position and looks at the true one only when the copy says full or empty, so that the
 * two cores share no cache line in the steady state.
 *
 * Invariants:
 * 1. tail <= head <= tail + size; bytes tail..head are published records.
 * 2. Only the producer writes head (release, after the record), only the consumer writes tail
 *    (release, when it is done with the record).
 * 3. A record is at most a quarter of the ring, so that one huge record cannot be in the way for
 * ever.
 */

#include "base/assert.h"
#include "event/shard.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define HEAD       8 /* bytes before each record */
#define SKIP       UINT64_MAX

struct ev_ring {
	_Alignas(CACHE_LINE) _Atomic(uint64_t) head; /* the producer's line */
	uint64_t tail_seen;
	uint64_t reserved; /* position after the reserved record, 0: none */
	_Atomic(uint64_t) dropped;
	_Alignas(CACHE_LINE) _Atomic(uint64_t) tail; /* the consumer's line */
	uint64_t head_seen;
	_Alignas(CACHE_LINE) size_t size;
	char bytes[];
};

enum err ev_ring_new(size_t size_bytes, struct ev_ring **out)
{
	ASSERT(size_bytes >= 64 && (size_bytes & (size_bytes - 1)) == 0);
	struct ev_ring *r = aligned_alloc(CACHE_LINE, sizeof(*r) + size_bytes);
	if (!r)
		return ERR_NOMEM;
	memset(r, 0, sizeof(*r) + size_bytes); /* no page faults while it is used */
	r->size = size_bytes;
	*out = r;
	return OK;
}

void ev_ring_free(struct ev_ring *r)
{
	free(r);
}

static uint64_t *len_at(struct ev_ring *r, uint64_t pos)
{
	return (uint64_t *)(void *)(r->bytes + (pos & (r->size - 1)));
}

/* Are `need` bytes free after `head`? */
static bool has_room(struct ev_ring *r, uint64_t head, uint64_t need)
{
	if (head + need - r->tail_seen <= r->size)
		return true;
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	return head + need - r->tail_seen <= r->size;
}

void *ev_ring_reserve(struct ev_ring *r, size_t n)
{
	ASSERT(n > 0 && r->reserved == 0);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t need = HEAD + (((uint64_t)n + 7) & ~(uint64_t)7);
	uint64_t to_end = r->size - (head & (r->size - 1));
	uint64_t skip = need > to_end ? to_end : 0;
	if (n > r->size / 4 || !has_room(r, head, skip + need)) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return NULL;
	}
	if (skip) {
		*len_at(r, head) = SKIP;
		head += skip;
	}
	*len_at(r, head) = n;
	r->reserved = head + need;
	return len_at(r, head) + 1;
}

void ev_ring_commit(struct ev_ring *r)
{
	ASSERT(r->reserved);
	atomic_store_explicit(&r->head, r->reserved, memory_order_release);
	r->reserved = 0;
}

struct str ev_ring_peek(struct ev_ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	if (tail == r->head_seen) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail == r->head_seen)
			return STR_NONE;
	}
	if (*len_at(r, tail) == SKIP) { /* a record follows: both were published at once */
		tail += r->size - (tail & (r->size - 1));
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
	uint64_t *len = len_at(r, tail);
	return str_of((char *)(len + 1), *len);
}

void ev_ring_pop(struct ev_ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	ASSERT(tail != r->head_seen && *len_at(r, tail) != SKIP);
	uint64_t need = HEAD + ((*len_at(r, tail) + 7) & ~(uint64_t)7);
	atomic_store_explicit(&r->tail, tail + need, memory_order_release);
}

uint64_t ev_ring_dropped(const struct ev_ring *r)
{
	return atomic_load_explicit(&r->dropped, memory_order_relaxed);
}
