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
