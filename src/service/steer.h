#pragma once
/* The routing policy in the exchange: it tells the policy (policy/decide) what a request is and who
 * is there, and gives the plan to the proxy, the B2BUA, or answers it. Seen by exchange.c and
 * dispatch.c. */

#include "service/exchange_priv.h"

/* A trunk's address needs no digest. */
bool steer_is_trunk(struct exc_shard *s, const struct addr *from);
/* Decides a request that asked nothing of the exchange itself; `user`: who has authenticated,
 * empty: nobody had to. False: there is no policy, or it leaves the request to its own domain. */
bool steer_on_request(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		      struct str user);
/* For struct prx_config: an own user's bindings, or the URI of another domain. ctx is a struct
 * exc_shard. */
size_t steer_expand(void *ctx, const struct sip_uri *contact, struct prx_target *t, size_t max);
/* For struct b2b_config: a seat of a trunk (1 + its slot) in force, and its account. */
enum code steer_take(void *ctx, uint16_t trunk, struct b2b_account *out);
void steer_leave(void *ctx, uint16_t trunk);
void steer_deaf(void *ctx, uint16_t trunk, uint32_t host, const struct sip_msg *refusal);
/* Frees the policy in force; the shards have stopped. */
void steer_free(struct exc *x);
