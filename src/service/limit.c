/* Token buckets in a fixed open-addressed table: a bucket is found by its 64-bit keyed hash, which
 * stands for the key (two parties that collide share a bucket; with a secret key nobody can aim at
 * that). The table never grows: a set of WAYS slots per hash, of which the one that was idle
 * longest is taken over. So memory is bounded, and an attacker with many sources displaces only
 * idle buckets of his own sets.
 *
 * Level is kept in millitokens. Invariant: 0 <= level <= burst * 1000.
 *
 * What was named is remembered in words that each shard writes for itself and all read: pairs of a
 * tag and the second of the naming, found by the party's hash. Two shards that ask in the same
 * moment may both be told that it is news; two parties of one hash share a minute. */
#include "service/limit.h"

#include "base/buf.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define SETS              2048 /* power of two; 2048 * 4 * 32 B = 256 kB a shard */
#define WAYS              4
#define NAMED             256
#define NAMED_S           60
#define ANSWERED_REFUSALS 20 /* 503s per storm; after them only every 64th is answered */

struct bucket {
	uint64_t hash, at_us, refused_at_us;
	uint32_t level;
	uint32_t refused;
};

struct lim {
	uint8_t key[16];
	struct bucket b[SETS][WAYS];
};

enum err lim_new(const uint8_t key[16], struct lim **out)
{
	struct lim *l = calloc(1, sizeof(*l));
	if (!l)
		return ERR_NOMEM;
	memcpy(l->key, key, sizeof(l->key));
	*out = l;
	return OK;
}

void lim_free(struct lim *l)
{
	free(l);
}

static uint64_t key_hash(const struct lim *l, const struct addr *from, struct str user,
			 struct str method)
{
	/* without the port: who storms from ever new ones is still one; long names share a bucket
	 */
	char party[sizeof(from->ip) + 16 + 1 + 64];
	struct buf b;
	buf_init_fixed(&b, party, sizeof(party));
	buf_put(&b, from->ip, sizeof(from->ip));
	buf_str(&b, str_sub(method, 0, 16));
	buf_chr(&b, ' ');
	buf_str(&b, str_sub(user, 0, 64));
	uint64_t h = htab_hash(l->key, b.p, b.n);
	return h ? h : 1;
}

static struct bucket *find(struct lim *l, uint64_t hash, uint64_t now_us, struct lim_rate rate)
{
	struct bucket *set = l->b[hash & (SETS - 1)], *oldest = &set[0];
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
		if (set[i].at_us < oldest->at_us)
			oldest = &set[i];
	}
	*oldest = (struct bucket){.hash = hash, .at_us = now_us, .level = rate.burst * 1000};
	return oldest;
}

enum lim_answer lim_take(struct lim *l, uint64_t now_us, struct lim_rate rate,
			 const struct addr *from, struct str user, struct str method,
			 uint64_t *refused)
{
	struct bucket *b = find(l, key_hash(l, from, user, method), now_us, rate);
	uint64_t gained = (now_us - b->at_us) * rate.per_s / 1000,
		 full = (uint64_t)rate.burst * 1000;
	if (gained > 0) { /* less than a millitoken: let the time add up */
		b->level =
			b->level + gained > full ? (uint32_t)full : (uint32_t)(b->level + gained);
		b->at_us = now_us;
	}
	if (b->refused && now_us - b->refused_at_us > LIM_CALM_US)
		b->refused = 0;
	if (b->level >= 1000) {
		b->level -= 1000;
		return LIM_PASS;
	}
	b->refused_at_us = now_us;
	b->refused++;
	if (refused)
		*refused = b->refused;
	if (b->refused == 1)
		return LIM_FIRST;
	return b->refused <= ANSWERED_REFUSALS || b->refused % 64 == 0 ? LIM_REFUSE : LIM_DROP;
}

struct lim_news {
	size_t n;
	struct ev_words *by_shard[];
};

enum err lim_news_new(size_t n_shards, struct lim_news **out)
{
	struct lim_news *n = calloc(1, sizeof(*n) + n_shards * sizeof(n->by_shard[0]));
	enum err e = n ? OK : ERR_NOMEM;
	for (; e == OK && n->n < n_shards; n->n += e == OK)
		e = ev_words_new(2 * NAMED, &n->by_shard[n->n]);
	if (e) {
		lim_news_free(n);
		return e;
	}
	*out = n;
	return OK;
}

void lim_news_free(struct lim_news *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->n; i++)
		ev_words_free(n->by_shard[i]);
	free(n);
}

bool lim_is_news(struct lim_news *n, const struct lim *l, size_t shard, uint64_t now_us,
		 const struct addr *from, struct str user, struct str method)
{
	uint64_t hash = key_hash(l, from, user, method);
	uint32_t tag = (uint32_t)(hash >> 32) | 1, now_s = (uint32_t)(now_us / 1000000);
	size_t at = 2 * (hash % NAMED);
	for (size_t i = 0; i < n->n; i++)
		if (ev_words_get(n->by_shard[i], at) == tag &&
		    now_s - ev_words_get(n->by_shard[i], at + 1) < NAMED_S)
			return false;
	ev_words_set(n->by_shard[shard], at + 1, now_s);
	ev_words_set(n->by_shard[shard], at, tag);
	return true;
}
