/* Chained buckets with a filter.
 *
 * Nearly every request is new, so nearly every look-up finds nothing; but at a thousand requests a
 * second and 32 s for each record the nodes are far from the cache, and walking a chain costs more
 * than the whole machine step. Each bucket therefore keeps, in the 16 bits that a user-space
 * pointer leaves free, one bit per group of hashes that is in its chain: a look-up touches one
 * cache line (the bucket), and a node only when its bit is set, which by chance it is once in
 * thirty times.
 *
 * A bit stays when its node goes, until the bucket is empty; buckets are mostly empty or hold one
 * node, since there are more buckets than keys. The buckets are zero pages until they are used.
 */
#include "transaction/keytab.h"

#include "base/assert.h"

#include <stdlib.h>

#define PTR_BITS 48
#define PTR_MASK ((1ull << PTR_BITS) - 1)

static uint64_t bit_of(uint64_t hash)
{
	return 1ull << (PTR_BITS + (hash >> 60));
}

static struct tsx_key *head_of(uint64_t bucket)
{
	return (struct tsx_key *)(uintptr_t)(bucket & PTR_MASK);
}

enum err keytab_init(struct keytab *t, size_t n_keys)
{
	size_t n = 64;
	while (n < n_keys)
		n *= 2;
	t->buckets = calloc(n, sizeof(*t->buckets));
	t->mask = n - 1;
	return t->buckets ? OK : ERR_NOMEM;
}

void keytab_fini(struct keytab *t)
{
	free(t->buckets);
	t->buckets = NULL;
}

void keytab_add(struct keytab *t, struct tsx_key *k, uint64_t hash)
{
	uint64_t *b = &t->buckets[hash & t->mask], p = (uintptr_t)k;
	ASSERT((p & ~PTR_MASK) == 0);
	k->hash = hash;
	k->prev = NULL;
	k->next = head_of(*b);
	if (k->next)
		k->next->prev = k;
	*b = p | (*b & ~PTR_MASK) | bit_of(hash);
}

void keytab_del(struct keytab *t, struct tsx_key *k)
{
	/* its neighbours are written, not read: nobody waits for them */
	if (k->next)
		k->next->prev = k->prev;
	if (k->prev) {
		k->prev->next = k->next;
		return;
	}
	uint64_t *b = &t->buckets[k->hash & t->mask];
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
	uint64_t b = t->buckets[hash & t->mask];
	return b & bit_of(hash) ? from(head_of(b), hash) : NULL;
}

struct tsx_key *keytab_next(const struct tsx_key *k)
{
	return from(k->next, k->hash);
}
