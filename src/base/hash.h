#pragma once
/* Intrusive chained hash table and keyed hash. The table grows by doubling, a few buckets per
 * insert, so that no single operation is slow; it never shrinks. Keys live in the caller's node; a
 * hash hit must be confirmed by comparing the key. */

#include "base/err.h"
#include "base/str.h"

/* SipHash-2-4 [Aumasson, Bernstein 2012]; key of 16 bytes. For what leaves the process. */
uint64_t siphash(const uint8_t key[16], const void *p, size_t n);
/* SipHash-1-3, for tables and what else stays inside; the second with ASCII letters folded to lower
 * case. */
uint64_t htab_hash(const uint8_t key[16], const void *p, size_t n);
uint64_t htab_hash_nocase(const uint8_t key[16], const void *p, size_t n);

__extension__ typedef unsigned __int128 hash_u128;
/* Both halves of a product, folded: mixes two words that nobody chose to collide. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
	hash_u128 m = (hash_u128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}
/* Much cheaper than htab_hash, to tell strings apart. Nobody makes many alike who does not know the
 * key; but who sees what comes of it may learn the key. */
uint64_t hash_quick(const uint8_t key[16], struct str s);
/* The same without a key, 0 of nothing: never for trust. */
uint32_t hash_quick32(struct str s);

struct hnode {
	struct hnode *next;
	uint64_t hash;
};

struct htab {
	struct hnode **buckets, **old; /* old: buckets not moved yet while growing */
	size_t n_buckets, n_old, moved, n;
};

enum err htab_init(struct htab *t, size_t n_expected);
void htab_fini(struct htab *t); /* frees the buckets, not the nodes */
void htab_add(struct htab *t, struct hnode *node,
	      uint64_t hash); /* cannot fail: growing is skipped without memory */
void htab_del(struct htab *t, struct hnode *node); /* the node must be in the table */

static inline struct hnode **htab_bucket(const struct htab *t, uint64_t hash)
{
	if (t->old) {
		size_t i = hash & (t->n_old - 1);
		if (i >= t->moved)
			return &t->old[i];
	}
	return &t->buckets[hash & (t->n_buckets - 1)];
}
/* First node with this hash, or NULL. */
static inline struct hnode *htab_first(const struct htab *t, uint64_t hash)
{
	struct hnode *n = *htab_bucket(t, hash);
	while (n && n->hash != hash)
		n = n->next;
	return n;
}
/* Next node with the same hash, or NULL. */
static inline struct hnode *htab_next(const struct hnode *node)
{
	struct hnode *n = node->next;
	while (n && n->hash != node->hash)
		n = n->next;
	return n;
}
/* Calls fn for each node; fn may delete that node (only). */
void htab_each(struct htab *t, void (*fn)(void *arg, struct hnode *node), void *arg);
