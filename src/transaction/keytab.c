/* Chained buckets with a filter.
 *
 * Nearly every request is new, so nearly every look-up finds nothing; but at a thousand requests a
 * second and 32 s for each record the nodes are far from the cache, and walking a chain costs more
 * than the whole machine step. Each bucket therefore keeps, in the 16 bits that a user-space
 * pointer leaves free, one bit per group of hashes that is in its chain: a look-up touches one
 * cache line (the bucket), and a node only when its bit is set, which by chance it is once in
 * thirty times.
 *
 * A bit stays when its node goes, until the bucket is empty or moved; most buckets hold no node or
 * one. When there are as many keys as buckets the table doubles: each addition then moves a few
 * buckets of the old array, so no request pays for all of them.
 *
 * Invariants: 1. A key is in the old array exactly when there is one and its old bucket is not
 * moved yet, also when it is added now. 2. MOVE buckets per addition end the move before the next
 * one.
 */
#include "transaction/keytab.h"

#include "base/assert.h"

#include <stdlib.h>

#define PTR_BITS 48
#define PTR_MASK ((1ull << PTR_BITS) - 1)
#define MOVE     4

static uint64_t bit_of(uint64_t hash)
{
	return 1ull << (PTR_BITS + (hash >> 60));
}

static struct tsx_key *head_of(uint64_t bucket)
{
	return (struct tsx_key *)(uintptr_t)(bucket & PTR_MASK);
}

static uint64_t *bucket_of(const struct keytab *t, uint64_t hash)
{
	if (t->old && (hash & t->old_mask) >= t->moved)
		return &t->old[hash & t->old_mask];
	return &t->buckets[hash & t->mask];
}

enum err keytab_init(struct keytab *t, size_t n_buckets)
{
	*t = (struct keytab){.buckets = calloc(n_buckets, sizeof(*t->buckets)),
			     .mask = n_buckets - 1};
	return t->buckets ? OK : ERR_NOMEM;
}

void keytab_fini(struct keytab *t)
{
	free(t->buckets);
	free(t->old);
	*t = (struct keytab){0};
}

static void link_key(uint64_t *b, struct tsx_key *k)
{
	uint64_t p = (uintptr_t)k;
	ASSERT((p & ~PTR_MASK) == 0);
	k->prev = NULL;
	k->next = head_of(*b);
	if (k->next)
		k->next->prev = k;
	*b = p | (*b & ~PTR_MASK) | bit_of(k->hash);
}

static void move_some(struct keytab *t)
{
	for (unsigned i = 0; i < MOVE && t->moved <= t->old_mask; i++, t->moved++)
		for (struct tsx_key *k = head_of(t->old[t->moved]), *next; k; k = next) {
			next = k->next;
			link_key(&t->buckets[k->hash & t->mask], k);
		}
	if (t->moved <= t->old_mask)
		return;
	free(t->old);
	t->old = NULL;
}

/* Without memory it stays as it is, only slower. */
static void grow(struct keytab *t)
{
	uint64_t n = 2 * (t->mask + 1), *more = calloc(n, sizeof(*more));
	if (!more)
		return;
	t->old = t->buckets;
	t->old_mask = t->mask;
	t->moved = 0;
	t->buckets = more;
	t->mask = n - 1;
}

void keytab_add(struct keytab *t, struct tsx_key *k, uint64_t hash)
{
	if (t->old)
		move_some(t);
	else if (t->n > t->mask)
		grow(t);
	k->hash = hash;
	link_key(bucket_of(t, hash), k);
	t->n++;
}

void keytab_del(struct keytab *t, struct tsx_key *k)
{
	t->n--;
	/* its neighbours are written, not read: nobody waits for them */
	if (k->next)
		k->next->prev = k->prev;
	if (k->prev) {
		k->prev->next = k->next;
		return;
	}
	uint64_t *b = bucket_of(t, k->hash);
	ASSERT_SLOW(head_of(*b) == k);
	*b = k->next ? (uintptr_t)k->next | (*b & ~PTR_MASK) : 0;
}

static struct tsx_key *from(struct tsx_key *k, uint64_t hash)
{
	while (k && k->hash != hash)
		k = k->next;
	return k;
}

struct tsx_key *keytab_first(const struct keytab *t, uint64_t hash)
{
	uint64_t b = *bucket_of(t, hash);
	return b & bit_of(hash) ? from(head_of(b), hash) : NULL;
}

struct tsx_key *keytab_next(const struct tsx_key *k)
{
	return from(k->next, k->hash);
}

void keytab_prefetch(const struct keytab *t, uint64_t hash)
{
	__builtin_prefetch(bucket_of(t, hash));
}
