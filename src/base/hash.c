/* Keyed hash and intrusive hash table.
 *
 * SipHash is used wherever outsiders choose the key (Call-IDs, AORs, addresses): nobody who lacks
 * our secret can make names collide. For tables the form with one round per word and three at the
 * end is enough, and nearly twice as fast; its authors name it for that. What others see or what is
 * kept (nonces, tokens, sums) has the full form. The case-insensitive form folds eight bytes at a
 * time with arithmetic, so it costs about as much as the plain one.
 *
 * The table doubles when it holds one node per bucket. The buckets of the old half-size array are
 * moved four at a time by later insertions, so no insertion ever pays for a whole table; the move
 * is over before the table can be full again.
 *
 * Invariants:
 * 1. Sizes are powers of two; all nodes of one hash are in one chain, oldest first.
 * 2. While growing, old bucket i has been moved exactly when i < moved; a hash whose old bucket has
 *    not been moved lives there, also when it is added now. Therefore the two new buckets of an old
 *    one are empty until it is moved.
 * 3. Deleting never moves buckets, so htab_each may delete the node that it shows.
 */

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define MOVE_STEP   4
#define BUCKETS_MIN 16
#define BUCKETS_MAX ((size_t)1 << 32)

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

#define SIP_ROUND                                                                                  \
	do {                                                                                       \
		v0 += v1, v1 = rotl(v1, 13) ^ v0, v0 = rotl(v0, 32);                               \
		v2 += v3, v3 = rotl(v3, 16) ^ v2;                                                  \
		v0 += v3, v3 = rotl(v3, 21) ^ v0;                                                  \
		v2 += v1, v1 = rotl(v1, 17) ^ v2, v2 = rotl(v2, 32);                               \
	} while (0)

static inline uint64_t load64(const unsigned char *p)
{
	uint64_t w;
	memcpy(&w, p, 8);
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(w) : w;
}

/* Sets bit 5 of each byte that is an ASCII capital. */
static inline uint64_t fold(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
	uint64_t low7 = w & ~high;
	uint64_t ge_a = low7 + (0x80 - 'A') * ones;
	uint64_t gt_z = low7 + (0x7f - 'Z') * ones;
	return w | ((ge_a ^ gt_z) & ~w & high) >> 2;
}

/* The last n < 8 of `all` bytes; they may be at NULL when there are none. */
static inline uint64_t load_rest(const unsigned char *p, size_t n, size_t all)
{
	if (n == 0)
		return 0;
	if (all >= 8)
		return load64(p + n - 8) >> (64 - 8 * n);
	uint64_t w = 0;
	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

/* Rounds per word and at the end are constants in every caller. */
[[gnu::always_inline]] static inline uint64_t
hash_bytes(const uint8_t key[16], const void *p, size_t n, int per_word, int at_end, bool is_folded)
{
	const unsigned char *in = p;
	uint64_t k0 = load64(key), k1 = load64(key + 8);
	uint64_t v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d;
	uint64_t v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
	uint64_t last = (uint64_t)n << 56, w = 0;
	size_t all = n;
	for (; n >= 8; n -= 8, in += 8) {
		w = load64(in);
		if (is_folded)
			w = fold(w);
		v3 ^= w;
		for (int i = 0; i < per_word; i++)
			SIP_ROUND;
		v0 ^= w;
	}
	w = load_rest(in, n, all);
	last |= is_folded ? fold(w) : w;
	v3 ^= last;
	for (int i = 0; i < per_word; i++)
		SIP_ROUND;
	v0 ^= last;
	v2 ^= 0xff;
	for (int i = 0; i < at_end; i++)
		SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t siphash(const uint8_t key[16], const void *p, size_t n)
{
	return hash_bytes(key, p, n, 2, 4, false);
}

uint64_t htab_hash(const uint8_t key[16], const void *p, size_t n)
{
	return hash_bytes(key, p, n, 1, 3, false);
}

uint64_t htab_hash_nocase(const uint8_t key[16], const void *p, size_t n)
{
	return hash_bytes(key, p, n, 1, 3, true);
}

enum err htab_init(struct htab *t, size_t n_expected)
{
	size_t n = BUCKETS_MIN;
	while (n < n_expected && n < BUCKETS_MAX)
		n *= 2;
	*t = (struct htab){.buckets = calloc(n, sizeof(*t->buckets)), .n_buckets = n};
	if (t->buckets)
		return OK;
	*t = (struct htab){0};
	return ERR_NOMEM;
}

void htab_fini(struct htab *t)
{
	free(t->buckets);
	free(t->old);
	*t = (struct htab){0};
}

/* Splits one old bucket into the two that take its place, each in the old order. */
static void split(struct htab *t, size_t i)
{
	struct hnode **low = &t->buckets[i], **high = &t->buckets[i + t->n_old];
	for (struct hnode *n = t->old[i]; n; n = n->next) {
		struct hnode ***tail = n->hash & t->n_old ? &high : &low;
		**tail = n;
		*tail = &n->next;
	}
	*low = *high = NULL;
}

static void grow_step(struct htab *t)
{
	for (int k = 0; k < MOVE_STEP && t->moved < t->n_old; k++)
		split(t, t->moved++);
	if (t->moved < t->n_old)
		return;
	free(t->old);
	t->old = NULL;
	t->n_old = t->moved = 0;
}

static void grow_begin(struct htab *t)
{
	if (t->n_buckets >= BUCKETS_MAX)
		return;
	struct hnode **b = calloc(2 * t->n_buckets, sizeof(*b));
	if (!b)
		return; /* longer chains until memory comes back; the next insertion asks again */
	t->old = t->buckets;
	t->n_old = t->n_buckets;
	t->moved = 0;
	t->buckets = b;
	t->n_buckets *= 2;
}

void htab_add(struct htab *t, struct hnode *node, uint64_t hash)
{
	if (t->old)
		grow_step(t);
	else if (t->n >= t->n_buckets)
		grow_begin(t);
	struct hnode **at = htab_bucket(t, hash);
	while (*at)
		at = &(*at)->next;
	node->hash = hash;
	node->next = NULL;
	*at = node;
	t->n++;
}

void htab_del(struct htab *t, struct hnode *node)
{
	struct hnode **at = htab_bucket(t, node->hash);
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node->next = NULL;
	t->n--;
}

static void each_of(struct hnode *n, void (*fn)(void *, struct hnode *), void *arg)
{
	while (n) {
		struct hnode *next = n->next;
		fn(arg, n);
		n = next;
	}
}

void htab_each(struct htab *t, void (*fn)(void *arg, struct hnode *node), void *arg)
{
	for (size_t i = t->moved; i < t->n_old; i++)
		each_of(t->old[i], fn, arg);
	for (size_t i = 0; i < t->n_buckets; i++)
		each_of(t->buckets[i], fn, arg);
}

/* --- quick ones ------------------------------------------------------------------------------- */

static uint64_t load(const char *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

/* n < 8 bytes, by loads that overlap. */
static uint64_t load_few(const char *p, size_t n)
{
	uint32_t low, high;
	if (n < sizeof low)
		return n ? (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[n / 2] << 8 |
				       (uint8_t)p[n - 1]
			 : 0;
	memcpy(&low, p, sizeof low);
	memcpy(&high, p + n - sizeof high, sizeof high);
	return (uint64_t)high << 32 | low;
}

uint64_t hash_quick(const uint8_t key[16], struct str s)
{
	const uint64_t k1 = load((const char *)key), k2 = load((const char *)key + 8);
	uint64_t h = s.n, g = h;
	while (s.n >= 32) { /* two chains, so that one waits while the other multiplies */
		h = hash_fold(load(s.p) ^ k1, load(s.p + 8) ^ h);
		g = hash_fold(load(s.p + 16) ^ k2, load(s.p + 24) ^ g);
		s.p += 32;
		s.n -= 32;
	}
	h += g << 1;
	while (s.n >= 8) {
		h = hash_fold(load(s.p) ^ k2, h ^ k1);
		s.p += 8;
		s.n -= 8;
	}
	return hash_fold(load_few(s.p, s.n) ^ k1, h ^ k2);
}

uint32_t hash_quick32(struct str s)
{
	static const uint8_t none[16] = "telling apart";
	uint64_t h = s.n ? hash_quick(none, s) : 0;
	return (uint32_t)(h ^ h >> 32);
}
