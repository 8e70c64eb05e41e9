/* AOR → record, for one writer and many readers.
 *
 * 256 slices, each an open-addressing array of pointers that grows by itself: a slice of a million
 * bindings on two shards has 2,000 of them, so growing takes 100 µs, and the slices do not grow at
 * the same moment. A slot is empty, a tombstone, or a record's address with four bits of its hash
 * in the low bits (allocations are aligned to 16), which saves most looks at records that are not
 * meant. Slots are published one by one; a grown array is published whole, the old one retired.
 *
 * Why a reader without locks is right: it takes the array once; records that it can reach in it
 * were published when it began its turn or later, and what is retired meanwhile is freed only after
 * every shard has turned. It may see the state before or after a change, never a mixture: a record
 * is one pointer.
 *
 * Invariants: 1. At most two thirds of the slots are in use, tombstones and reserved places
 * included; so every probe ends. 2. n counts records, n_used records and tombstones. 3. next_expiry
 * of a slice is never later than that of its records.
 */
#include "location/table_priv.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static char tomb_place[16] __attribute__((aligned(16)));
#define TOMB ((void *)tomb_place)

static void *tagged(struct loc_rec *r)
{
	return (void *)((uintptr_t)r | (r->hash & 15u));
}

static struct loc_rec *untagged(void *p)
{
	return (struct loc_rec *)((uintptr_t)p & ~(uintptr_t)15);
}

static bool has_tag(const void *p, uint32_t hash)
{
	return ((uintptr_t)p & 15) == (hash & 15u);
}

static size_t first_slot(const struct loc_slots *s, uint32_t hash)
{
	return (hash >> 4) & (s->cap - 1);
}

void loc_rec_free(struct ev_retired *node)
{
	free(CONTAINER_OF(node, struct loc_rec, retired));
}

static void slots_free(struct ev_retired *node)
{
	free(CONTAINER_OF(node, struct loc_slots, retired));
}

static void retire(struct loc_table *t, struct ev_retired *node, void (*fn)(struct ev_retired *))
{
	if (t->loop)
		ev_retire(t->loop, node, fn);
	else
		fn(node);
}

static size_t rec_bytes(const struct loc_rec *r)
{
	return offsetof(struct loc_rec, body) + r->n;
}

void loc_table_init(struct loc_table *t)
{
	*t = (struct loc_table){0};
	for (size_t i = 0; i < LOC_SLICES; i++)
		t->slice[i].next_expiry = UINT32_MAX;
}

const struct loc_rec *loc_slot_get(const struct loc_slots *s, size_t i)
{
	void *p = ev_snap_get((ev_snap *)&s->slot[i]);
	return p && p != TOMB ? untagged(p) : NULL;
}

void loc_table_fini(struct loc_table *t)
{
	for (size_t i = 0; i < LOC_SLICES; i++) {
		struct loc_slots *s = ev_snap_get(&t->slice[i].slots);
		for (size_t k = 0; s && k < s->cap; k++)
			free((void *)loc_slot_get(s, k));
		free(s);
	}
}

/* The slot that holds the AOR's record, or NULL. */
static ev_snap *find_slot(struct loc_slots *s, uint64_t hash, struct str aor, struct loc_rec **out)
{
	uint32_t h = (uint32_t)(hash >> 32);
	for (size_t i = first_slot(s, h);; i = (i + 1) & (s->cap - 1)) {
		void *p = ev_snap_get(&s->slot[i]);
		if (!p)
			return NULL;
		if (p == TOMB || !has_tag(p, h))
			continue;
		struct loc_rec *r = untagged(p);
		if (r->hash == h && str_eq(loc_rec_aor(r), aor)) {
			*out = r;
			return &s->slot[i];
		}
	}
}

struct loc_rec *loc_table_find(struct loc_table *t, uint64_t hash, struct str aor)
{
	struct loc_slots *s = ev_snap_get(&loc_slice_of(t, hash)->slots);
	struct loc_rec *r = NULL;
	if (s)
		(void)find_slot(s, hash, aor, &r);
	return r;
}

static void fill_free(struct loc_slots *s, struct loc_rec *r)
{
	size_t i = first_slot(s, r->hash);
	for (void *p; (p = ev_snap_get(&s->slot[i])) && p != TOMB;)
		i = (i + 1) & (s->cap - 1);
	ev_snap_set(&s->slot[i], tagged(r));
}

/* A new array without tombstones, with room for `want` records. */
static enum err rebuild(struct loc_table *t, struct loc_slice *sl, size_t want)
{
	struct loc_slots *old = ev_snap_get(&sl->slots);
	size_t cap = 8;
	while (cap * 2 < want * 3)
		cap *= 2;
	struct loc_slots *s = calloc(1, sizeof(*s) + cap * sizeof(s->slot[0]));
	if (!s)
		return ERR_NOMEM;
	s->cap = cap;
	for (size_t i = 0; old && i < old->cap; i++) {
		const struct loc_rec *r = loc_slot_get(old, i);
		if (r)
			fill_free(s, (struct loc_rec *)r);
	}
	sl->n_used = sl->n;
	t->bytes += sizeof(*s) + cap * sizeof(s->slot[0]);
	ev_snap_set(&sl->slots, s);
	if (old) {
		t->bytes -= sizeof(*old) + old->cap * sizeof(old->slot[0]);
		retire(t, &old->retired, slots_free);
	}
	return OK;
}

enum err loc_table_reserve(struct loc_table *t, uint64_t hash)
{
	struct loc_slice *sl = loc_slice_of(t, hash);
	struct loc_slots *s = ev_snap_get(&sl->slots);
	size_t in_use = (size_t)sl->n_used + sl->n_reserved + 1;
	if (!s || in_use * 3 > s->cap * 2) {
		enum err e = rebuild(t, sl, (size_t)sl->n + sl->n_reserved + 1 + sl->n / 8);
		if (e != OK)
			return e;
	}
	sl->n_reserved++;
	return OK;
}

void loc_table_release(struct loc_table *t, uint64_t hash)
{
	struct loc_slice *sl = loc_slice_of(t, hash);
	ASSERT(sl->n_reserved > 0);
	sl->n_reserved--;
}

enum err loc_table_put(struct loc_table *t, uint64_t hash, struct loc_rec *r)
{
	struct loc_slice *sl = loc_slice_of(t, hash);
	struct loc_rec *old = NULL;
	struct loc_slots *s = ev_snap_get(&sl->slots);
	ev_snap *at = s ? find_slot(s, hash, loc_rec_aor(r), &old) : NULL;
	if (at) {
		ev_snap_set(at, tagged(r));
		t->bytes -= rec_bytes(old);
		retire(t, &old->retired, loc_rec_free);
	} else {
		enum err e = loc_table_reserve(t, hash);
		if (e != OK)
			return e;
		loc_table_release(t, hash);
		s = ev_snap_get(&sl->slots);
		size_t i = first_slot(s, r->hash);
		for (void *p; (p = ev_snap_get(&s->slot[i])) && p != TOMB;)
			i = (i + 1) & (s->cap - 1);
		sl->n_used += ev_snap_get(&s->slot[i]) == NULL;
		ev_snap_set(&s->slot[i], tagged(r));
		sl->n++;
		t->n++;
	}
	t->bytes += rec_bytes(r);
	if (r->next_expiry < sl->next_expiry)
		sl->next_expiry = r->next_expiry;
	return OK;
}

void loc_table_del(struct loc_table *t, uint64_t hash, struct str aor)
{
	struct loc_slice *sl = loc_slice_of(t, hash);
	struct loc_slots *s = ev_snap_get(&sl->slots);
	struct loc_rec *old = NULL;
	ev_snap *at = s ? find_slot(s, hash, aor, &old) : NULL;
	if (!at)
		return;
	/* Before a free slot nobody's probe goes on: no tombstone is needed. */
	size_t next = (size_t)(at - s->slot + 1) & (s->cap - 1);
	bool is_last = ev_snap_get(&s->slot[next]) == NULL;
	ev_snap_set(at, is_last ? NULL : TOMB);
	sl->n_used -= is_last;
	sl->n--;
	t->n--;
	t->bytes -= rec_bytes(old);
	retire(t, &old->retired, loc_rec_free);
}

void loc_slice_each(struct loc_slice *sl, void (*fn)(void *arg, struct loc_rec *r), void *arg)
{
	struct loc_slots *s = ev_snap_get(&sl->slots);
	for (size_t i = 0; s && i < s->cap; i++) {
		const struct loc_rec *r = loc_slot_get(s, i);
		if (r)
			fn(arg, (struct loc_rec *)r);
	}
}
