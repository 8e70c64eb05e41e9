#pragma once
/* An environment without a world: datagrams that are sent are kept for a look (the last one per
 * peer) and forgotten, nothing is ever received, time moves when told to. What is measured over it
 * is user space alone. */

#include "event/env.h"

struct env *null_env_new(void); /* NULL without memory; env_free */
/* The last datagram, valid until the next one. */
struct str null_env_last(const struct env *e);
/* The last one to that peer, of the first few peers. */
struct str null_env_last_to(const struct env *e, const struct addr *to);
void null_env_advance(struct env *e, uint64_t us);
