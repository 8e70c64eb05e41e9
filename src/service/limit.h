#pragma once
/* Bounds on how fast one party may start things, so that a client that storms keeps nobody else
 * from registering and calling. Token buckets, keyed by source address, user and method; one table
 * per shard. */

#include "base/addr.h"

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
