/* Joins in a file: what headers said of calls, for good.
 *
 * A Session-ID may be found again in another leg as long as the file lasts, and nearly every call
 * has one. So a file keeps 16 bytes for it in an open table, and no leg; the leg is made anew when
 * the value is met again. Live, marks go with their calls, and are like all others.
 *
 * Invariant: cap is a power of two and never full; a chain of equal hashes ends at a free place.
 */
#include "track/trk_join_priv.h"

#include <stdlib.h>

struct trk_head {
	uint64_t hash; /* of the value, with its ground; 0: free */
	uint32_t call; /* its place */
	uint32_t ev;
};

static void put(struct trk_head *heads, uint32_t cap, const struct trk_head *h)
{
	uint32_t at = (uint32_t)h->hash & (cap - 1);
	while (heads[at].hash)
		at = (at + 1) & (cap - 1);
	heads[at] = *h;
}

void trk_heads_free(struct trk_joins *s)
{
	slab_table_free(s->heads, s->heads_cap, sizeof *s->heads);
}

static bool grow(struct trk_joins *s)
{
	uint32_t cap = s->heads_cap ? 2 * s->heads_cap : 64;
	struct trk_head *a = slab_table(cap, sizeof *a);
	if (!a)
		return false;
	for (uint32_t i = 0; i < s->heads_cap; i++)
		if (s->heads[i].hash)
			put(a, cap, &s->heads[i]);
	trk_heads_free(s);
	s->heads = a;
	s->heads_cap = cap;
	return true;
}

void trk_head_put(struct trk *t, uint64_t hash, const struct trk_call *c, uint32_t ev)
{
	struct trk_joins *s = t->joins;
	if (s->n_heads >= s->heads_cap / 4 * 3 && !grow(s))
		return;
	put(s->heads, s->heads_cap, &(struct trk_head){hash | 1, c->no - 1, ev});
	s->n_heads++;
}

bool trk_head_next(const struct trk *t, uint64_t hash, uint32_t *cursor, struct trk_call **c,
		   uint32_t *ev)
{
	const struct trk_joins *s = t->joins;
	if (!s->heads_cap)
		return false;
	uint32_t mask = s->heads_cap - 1;
	for (;; ++*cursor) {
		const struct trk_head *h = &s->heads[((uint32_t)(hash | 1) + *cursor) & mask];
		if (!h->hash)
			return false;
		if (h->hash != (hash | 1))
			continue;
		*c = trk_place_at(t, h->call);
		*ev = h->ev;
		++*cursor;
		return true;
	}
}
