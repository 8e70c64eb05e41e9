#pragma once
/* The table of server transactions and records by the hash of their key, made for what a server
 * looks up most: keys that are not there. It grows by doubling, a few buckets per addition. */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tsx_key {                     /* node: part of a transaction or a record */
	struct tsx_key *next, *prev; /* in the chain; prev NULL: the first */
	uint64_t hash;
	bool is_record;
};

struct keytab {
	uint64_t *buckets; /* pointer to the first node | 16 bits of a filter, above */
	uint64_t *old;     /* the smaller array while growing; its first `moved` are done */
	uint64_t mask, old_mask, moved, n;
};

enum err keytab_init(struct keytab *t, size_t n_buckets); /* a power of two */
void keytab_fini(struct keytab *t);                       /* the buckets, not the nodes */
void keytab_add(struct keytab *t, struct tsx_key *k, uint64_t hash);
void keytab_del(struct keytab *t, struct tsx_key *k); /* must be in it */
/* The first and further nodes with that hash; NULL at the end. */
struct tsx_key *keytab_first(const struct keytab *t, uint64_t hash);
struct tsx_key *keytab_next(const struct tsx_key *k);
/* A key with that hash will be deleted soon. */
void keytab_prefetch(const struct keytab *t, uint64_t hash);
