#pragma once
/* Seen only by proxy.c (transactions) and proxy_ack.c (what has none). */

#include "base/list.h"
#include "service/proxy.h"

struct prx {
	struct ev_loop *loop;
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct block_cache *blocks;
	const struct rt_self *self;
	struct str realm;
	uint64_t timer_c_us, serial_us;
	bool (*is_trusted)(void *ctx, const struct addr *to);
	void *ctx;
	struct pool contexts, branches, ack_pool;
	struct link acks; /* struct ack_wait */
	struct prx_stats stats;
};

void prx_init_acks(struct prx *p, uint32_t max);
/* Forgets the ACKs whose next hop is still being looked up. */
void prx_free_acks(struct prx *p);
