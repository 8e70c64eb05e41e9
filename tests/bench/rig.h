#pragma once
/* An exchange of one shard over null_env, for benches: its sources of requests are trusted, time is
 * moved by hand. Whatever cannot be had ends the bench. */

#include "null_env.h"
#include "service/exchange.h"

#define RIG_TEXT 2048
struct rig {
	struct env *env;
	struct ev_shards *shards;
	struct ev_loop *loop;
	struct st_mem *disk;
	struct st *st;
	struct exc *exc;
	struct addr server;
	uint32_t serial;
};

/* With accounts named by that format and a number from 0. */
void rig_open(struct rig *r, const char *name_format, unsigned n_accounts, bool is_b2bua);
void rig_close(struct rig *r);
/* A datagram arrives, and all that follows is done. */
void rig_feed(struct rig *r, struct str bytes, const struct addr *from);
/* What stands behind `head` until the end of the line. */
struct str rig_value(struct str msg, const char *head);
[[gnu::noreturn]] void rig_die(const char *what);
