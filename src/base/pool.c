/* Objects of one size with ids that outlive them.
 *
 * A stale *id* can always be checked: the slot's generation tells whether the object it named is
 * still the one that lives there. Stale *pointers* are bugs; with AddressSanitizer they are seen,
 * because free objects are poisoned.
 *
 *   chunks[]:  memory, live objects, free list, generation to begin with      one per 2^n slots
 *   memory:    | pad | head | object | head | object | ...
 *   head:      generation (1 .. 2^24-1, never 0), slot, next free slot, liveness: 8 bytes, so that
 *              an object of 16 n + 8 bytes wastes nothing; the pad puts objects on 16 bytes
 *
 * A chunk has 64 kB or more less one slot, so that malloc gives each a mapping of its own as long
 * as its threshold is left alone (cmd sets it): freeing one gives its pages back at once. Slots are
 * touched only when they are used first, so a chunk costs what is used of it; the last one never
 * is, since what malloc adds would begin another page. Of the chunks that have emptied one in eight
 * is kept: load that goes up and down a little frees nothing. A chunk that gets memory again begins
 * with a generation above all that it had.
 *
 * Invariants:
 * 1. n_used objects are live; free slots of a chunk that were used before are in its free list,
 *    which holds index+1 (0 ends it); those from n_init on were never used.
 * 2. A chunk is in one list, or in none when it is full: open (has live objects and free slots),
 *    spare (has memory only), bare (has not even that). n_filled have memory, n_spare are spare.
 * 3. The generation moves when an object is put back, so an id matches at most one life of a slot
 *    (until 2^24 lives have passed).
 * 4. Slots are reused last-in first-out within a chunk, and the lists are stacks: the warmest
 *    memory first; a spare chunk only when no open one is left.
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

#define CHUNK_BYTES (64u << 10)
#define BITS_MIN    6
#define BITS_MAX    12
#define ALIGN       16u /* of objects */
#define SPARE_PART  8   /* one chunk in so many may be empty */
#define GEN_MASK    0xff'ffffu

struct head {
	uint64_t gen : 24, slot : 24;
	uint64_t next_free : 13; /* index in the chunk + 1, or 0 */
	uint64_t is_live : 1;
};
_Static_assert(sizeof(struct head) == 8 && BITS_MAX < 13, "each object has one");

struct pool_chunk {
	char *mem; /* NULL: none now */
	uint32_t n_live, n_init, free_head;
	uint32_t gen;        /* the highest that an object here has had */
	uint32_t next, prev; /* chunk+1 in its list; prev in the open one only */
};

static size_t stride(const struct pool *p)
{
	return (sizeof(struct head) + p->size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

/* Slots of a chunk by which objects are found. */
static uint32_t per_chunk(const struct pool *p)
{
	return 1u << p->chunk_bits;
}

/* Those that are used. */
static uint32_t room(const struct pool *p)
{
	return per_chunk(p) - 1;
}

static size_t chunk_bytes(const struct pool *p)
{
	return ALIGN + stride(p) * room(p);
}

static struct head *head_in(const struct pool *p, const struct pool_chunk *c, uint32_t i)
{
	return (struct head *)(void *)(c->mem + ALIGN - sizeof(struct head) + i * stride(p));
}

static struct head *head_of(const void *obj)
{
	return (struct head *)(void *)((char *)(uintptr_t)obj - sizeof(struct head));
}

static uint32_t next_gen(uint32_t gen)
{
	return (gen & GEN_MASK) == GEN_MASK ? 1 : gen + 1;
}

void pool_init(struct pool *p, size_t size, uint32_t max, uint8_t kind, uint8_t shard)
{
	ASSERT(size > 0);
	*p = (struct pool){.size = size, .kind = kind, .shard = shard, .chunk_bits = BITS_MIN};
	p->max = max < LIMIT_POOL_OBJECTS ? max : LIMIT_POOL_OBJECTS;
	while (p->chunk_bits < BITS_MAX && stride(p) * per_chunk(p) < CHUNK_BYTES)
		p->chunk_bits++;
}

static void chunk_free(const struct pool *p, struct pool_chunk *c)
{
	ASAN_UNPOISON_MEMORY_REGION(c->mem, chunk_bytes(p));
	free(c->mem);
	c->mem = NULL;
}

void pool_fini(struct pool *p)
{
	for (uint32_t i = 0; i < p->n_chunks; i++)
		chunk_free(p, &p->chunks[i]);
	free(p->chunks);
	p->chunks = NULL;
	p->n_chunks = p->n_filled = p->n_spare = p->n_used = 0;
	p->open = p->spare = p->bare = 0;
}

/* --- chunks --------------------------------------------------------------------------------- */

static void open_push(struct pool *p, uint32_t i)
{
	struct pool_chunk *c = &p->chunks[i];
	c->prev = 0;
	c->next = p->open;
	if (c->next)
		p->chunks[c->next - 1].prev = i + 1;
	p->open = i + 1;
}

static void open_remove(struct pool *p, uint32_t i)
{
	struct pool_chunk *c = &p->chunks[i];
	if (c->prev)
		p->chunks[c->prev - 1].next = c->next;
	else
		p->open = c->next;
	if (c->next)
		p->chunks[c->next - 1].prev = c->prev;
}

static void push(struct pool *p, uint32_t *list, uint32_t i)
{
	p->chunks[i].next = *list;
	*list = i + 1;
}

static uint32_t pop(struct pool *p, uint32_t *list)
{
	uint32_t i = *list - 1;
	*list = p->chunks[i].next;
	return i;
}

/* One more place in the table. */
static bool add_chunk(struct pool *p)
{
	uint32_t n = p->n_chunks;
	if ((uint64_t)n << p->chunk_bits >= LIMIT_POOL_OBJECTS)
		return false;
	if ((n & (n - 1)) == 0) { /* the table is full at powers of two */
		size_t cap = n ? 2 * (size_t)n : 1;
		struct pool_chunk *chunks = realloc(p->chunks, cap * sizeof(*chunks));
		if (!chunks)
			return false;
		p->chunks = chunks;
	}
	p->chunks[n] = (struct pool_chunk){0};
	p->n_chunks++;
	push(p, &p->bare, n);
	return true;
}

/* Memory for a bare chunk, which becomes spare. */
static bool fill_chunk(struct pool *p)
{
	if (!p->bare && !add_chunk(p))
		return false;
	struct pool_chunk *c = &p->chunks[p->bare - 1];
	c->mem = aligned_alloc(ALIGN, chunk_bytes(p));
	if (!c->mem)
		return false;
	ASAN_POISON_MEMORY_REGION(c->mem, chunk_bytes(p));
	c->n_init = c->free_head = 0;
	c->gen = next_gen(c->gen);
	push(p, &p->spare, pop(p, &p->bare));
	p->n_filled++;
	p->n_spare++;
	return true;
}

/* Makes sure that a chunk is open. */
static bool open_chunk(struct pool *p)
{
	if (p->open)
		return true;
	if (!p->spare && !fill_chunk(p))
		return false;
	open_push(p, pop(p, &p->spare));
	p->n_spare--;
	return true;
}

/* The last object of a chunk is back. */
static void chunk_emptied(struct pool *p, uint32_t i)
{
	open_remove(p, i);
	push(p, &p->spare, i);
	p->n_spare++;
	while (p->n_spare > p->n_filled / SPARE_PART + 1) {
		i = pop(p, &p->spare);
		chunk_free(p, &p->chunks[i]);
		push(p, &p->bare, i);
		p->n_spare--;
		p->n_filled--;
	}
}

/* --- objects -------------------------------------------------------------------------------- */

void *pool_get(struct pool *p)
{
	if (p->n_used >= p->max || !open_chunk(p))
		return NULL;
	uint32_t at = p->open - 1;
	struct pool_chunk *c = &p->chunks[at];
	struct head *h;
	if (c->free_head) {
		h = head_in(p, c, c->free_head - 1);
		c->free_head = h->next_free;
	} else {
		h = head_in(p, c, c->n_init);
		ASAN_UNPOISON_MEMORY_REGION(h, sizeof(*h));
		*h = (struct head){.gen = c->gen, .slot = (at << p->chunk_bits) + c->n_init++};
	}
	h->is_live = 1;
	p->n_used++;
	if (++c->n_live == room(p))
		open_remove(p, at);
	ASAN_UNPOISON_MEMORY_REGION(h + 1, p->size);
	return memset(h + 1, 0, p->size);
}

void pool_put(struct pool *p, void *obj)
{
	struct head *h = head_of(obj);
	uint32_t at = h->slot >> p->chunk_bits, i = h->slot & (per_chunk(p) - 1);
	ASSERT(h->is_live && at < p->n_chunks && head_in(p, &p->chunks[at], i) == h);
	struct pool_chunk *c = &p->chunks[at];
	h->is_live = 0;
	h->gen = next_gen(h->gen);
	if (h->gen > c->gen)
		c->gen = h->gen;
	h->next_free = c->free_head;
	c->free_head = i + 1;
	p->n_used--;
	ASAN_POISON_MEMORY_REGION(obj, p->size);
	if (c->n_live-- == room(p))
		open_push(p, at);
	if (c->n_live == 0)
		chunk_emptied(p, at);
}

obj_id pool_id(const struct pool *p, const void *obj)
{
	const struct head *h = head_of(obj);
	return (obj_id)p->kind << 56 | (obj_id)p->shard << 48 | (obj_id)h->gen << 24 | h->slot;
}

void *pool_find(const struct pool *p, obj_id id)
{
	uint32_t slot = (uint32_t)id & 0xff'ffff, at = slot >> p->chunk_bits;
	if (obj_id_kind(id) != p->kind || obj_id_shard(id) != p->shard || at >= p->n_chunks)
		return NULL;
	const struct pool_chunk *c = &p->chunks[at];
	uint32_t i = slot & (per_chunk(p) - 1);
	if (!c->mem || i >= c->n_init)
		return NULL;
	struct head *h = head_in(p, c, i);
	return h->is_live && h->gen == ((uint32_t)(id >> 24) & GEN_MASK) ? h + 1 : NULL;
}

uint32_t pool_slot(const void *obj)
{
	return head_of(obj)->slot;
}

void *pool_at(const struct pool *p, uint32_t slot)
{
	return head_in(p, &p->chunks[slot >> p->chunk_bits], slot & (per_chunk(p) - 1)) + 1;
}

void *pool_next(const struct pool *p, uint32_t *cursor)
{
	for (uint32_t at; (at = *cursor >> p->chunk_bits) < p->n_chunks;) {
		const struct pool_chunk *c = &p->chunks[at];
		uint32_t i = *cursor & (per_chunk(p) - 1);
		if (!c->mem || i >= c->n_init) {
			*cursor = (at + 1) << p->chunk_bits;
			continue;
		}
		struct head *h = head_in(p, c, i);
		++*cursor;
		if (h->is_live)
			return h + 1;
	}
	return NULL;
}
