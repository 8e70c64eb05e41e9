#pragma once
/* Bounds on how fast one party may start things, so that a client that storms keeps nobody else
 * from registering and calling. Token buckets, keyed by source address (any port), user and method;
 * one table per shard. */

#include "base/addr.h"
#include "event/shard.h"

struct lim;
struct lim_rate {
	uint32_t per_s, burst;
};
enum err lim_new(const uint8_t key[16], struct lim **out);
void lim_free(struct lim *l);

enum lim_answer {
	LIM_PASS,
	LIM_FIRST,  /* the first refusal of a storm: name it */
	LIM_REFUSE, /* over the rate: answer 503 */
	LIM_DROP,   /* so far over it that an answer is a waste */
};
/* Takes one token for what `who` starts now. `*refused` (may be NULL) is how many this storm has
 * cost so far. A storm is over after LIM_CALM_US without a refusal. */
enum lim_answer lim_take(struct lim *l, uint64_t now_us, struct lim_rate rate,
			 const struct addr *from, struct str user, struct str method,
			 uint64_t *refused);
#define LIM_CALM_US 10000000ull

/* What all shards have named lately: a storm meets each of them, the operator hears of it once. */
struct lim_news;
enum err lim_news_new(size_t n_shards, struct lim_news **out);
void lim_news_free(struct lim_news *n); /* after the shards have stopped */
/* True for the first shard that asks about this party within a minute. All shards' lims must have
 * the same key. */
bool lim_is_news(struct lim_news *n, const struct lim *l, size_t shard, uint64_t now_us,
		 const struct addr *from, struct str user, struct str method);
