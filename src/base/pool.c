/* Objects of one size with ids that outlive them.
 *
 * An object's memory is never returned before pool_fini, so a stale *id* can always be checked: the
 * slot's generation tells whether the object it named is still the one that lives there. Stale
 * *pointers* are bugs; with AddressSanitizer they are seen, because free objects are poisoned.
 *
 *   chunk:  | head | object | head | object | ...  64 of them, allocated when needed
 *   head:   generation (1 .. 2^24-1, never 0), slot, next free slot, liveness
 *
 * Invariants:
 * 1. n_used objects are live; the others of the first n_slots slots are in the free list, which
 *    holds slot+1 (0 ends it).
 * 2. The generation moves when an object is put back, so an id matches at most one life of a slot
 *    (until 2^24 lives have passed).
 * 3. Slots are reused last-in first-out: the warmest memory first.
 */

#include "base/pool.h"
#include "base/assert.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif
#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define CHUNK    64
#define GEN_MASK 0xff'ffffu

struct head {
	_Alignas(16) uint32_t gen;
	uint32_t slot;
	uint32_t next_free; /* slot+1, or 0 */
	uint32_t is_live;
};

static size_t stride(const struct pool *p)
{
	return sizeof(struct head) + ((p->size + 15) & ~(size_t)15);
}

static struct head *head_at(const struct pool *p, uint32_t slot)
{
	return (struct head *)(void *)((char *)p->chunks[slot / CHUNK] + slot % CHUNK * stride(p));
}

static struct head *head_of(const void *obj)
{
	return (struct head *)(void *)((char *)(uintptr_t)obj - sizeof(struct head));
}

void pool_init(struct pool *p, size_t size, uint32_t max, uint8_t kind, uint8_t shard)
{
	ASSERT(size > 0);
	*p = (struct pool){.size = size, .kind = kind, .shard = shard};
	p->max = max < LIMIT_POOL_OBJECTS ? max : LIMIT_POOL_OBJECTS;
}

void pool_fini(struct pool *p)
{
	for (uint32_t i = 0; i < p->n_chunks; i++) {
		ASAN_UNPOISON_MEMORY_REGION(p->chunks[i], CHUNK * stride(p));
		free(p->chunks[i]);
	}
	free(p->chunks);
	p->chunks = NULL;
	p->n_chunks = p->n_slots = p->n_used = p->free_head = 0;
}

static bool add_chunk(struct pool *p)
{
	if ((p->n_chunks & (p->n_chunks - 1)) == 0) { /* the array is full at powers of two */
		size_t cap = p->n_chunks ? 2 * (size_t)p->n_chunks : 1;
		void **chunks = realloc(p->chunks, cap * sizeof(*chunks));
		if (!chunks)
			return false;
		p->chunks = chunks;
	}
	void *c = aligned_alloc(16, CHUNK * stride(p));
	if (!c)
		return false;
	ASAN_POISON_MEMORY_REGION(c, CHUNK * stride(p));
	p->chunks[p->n_chunks++] = c;
	return true;
}

void *pool_get(struct pool *p)
{
	struct head *h;
	if (p->free_head) {
		h = head_at(p, p->free_head - 1);
		p->free_head = h->next_free;
	} else {
		if (p->n_slots >= p->max)
			return NULL;
		if (p->n_slots == p->n_chunks * CHUNK && !add_chunk(p))
			return NULL;
		h = head_at(p, p->n_slots);
		ASAN_UNPOISON_MEMORY_REGION(h, sizeof(*h));
		*h = (struct head){.gen = 1, .slot = p->n_slots++};
	}
	h->is_live = 1;
	p->n_used++;
	ASAN_UNPOISON_MEMORY_REGION(h + 1, p->size);
	return memset(h + 1, 0, p->size);
}

void pool_put(struct pool *p, void *obj)
{
	struct head *h = head_of(obj);
	ASSERT(h->is_live && h->slot < p->n_slots && head_at(p, h->slot) == h);
	h->is_live = 0;
	h->gen = (h->gen & GEN_MASK) == GEN_MASK ? 1 : h->gen + 1;
	h->next_free = p->free_head;
	p->free_head = h->slot + 1;
	p->n_used--;
	ASAN_POISON_MEMORY_REGION(obj, p->size);
}

obj_id pool_id(const struct pool *p, const void *obj)
{
	const struct head *h = head_of(obj);
	return (obj_id)p->kind << 56 | (obj_id)p->shard << 48 | (obj_id)h->gen << 24 | h->slot;
}

void *pool_find(const struct pool *p, obj_id id)
{
	uint32_t slot = (uint32_t)id & 0xff'ffff;
	if (obj_id_kind(id) != p->kind || obj_id_shard(id) != p->shard || slot >= p->n_slots)
		return NULL;
	struct head *h = head_at(p, slot);
	return h->is_live && h->gen == ((uint32_t)(id >> 24) & GEN_MASK) ? h + 1 : NULL;
}

void *pool_next(const struct pool *p, uint32_t *cursor)
{
	while (*cursor < p->n_slots) {
		struct head *h = head_at(p, (*cursor)++);
		if (h->is_live)
			return h + 1;
	}
	return NULL;
}
