#pragma once
/* A TCP connection as an object over env: reading keeps a buffer only while a message is
 * incomplete; writing goes through a FIFO of whole messages, bounded in bytes, that keeps their
 * order and knows who sent each. Nothing here calls its user from inside a call that the user made.
 *
 * A filter that comes on top (TLS, WebSocket) is a net_conn_user of what is below it and offers the
 * same calls to what is above. */

#include "event/loop.h"

struct net_conn;

struct net { /* what the connections of one shard share; part of its owner */
	struct ev_loop *loop;
	char *scratch; /* NET_SCRATCH bytes: what was just read, until its user has returned */
};
#define NET_SCRATCH 65536
enum err net_init(struct net *n, struct ev_loop *loop);
void net_fini(struct net *n);

struct net_conn_user {
	/* An outgoing connection stands. */
	void (*on_up)(struct net_conn *c);
	/* Bytes that were not used yet, contiguous, the new ones at the end. Returns how many are
	 * used now; the rest is shown again, with more behind it. May close c. */
	size_t (*on_bytes)(struct net_conn *c, struct str bytes);
	/* Before on_down: a message that was not written whole; `tag` as given to net_conn_send. */
	void (*on_unsent)(struct net_conn *c, uint64_t tag, enum err why);
	/* The last call: c is closed, its memory is the owner's again. `why`: ERR_NET closed, reset
	 * or unreachable; else as given to net_conn_close. */
	void (*on_down)(struct net_conn *c, enum err why);
};

enum net_conn_state { NET_CONNECTING, NET_UP, NET_CLOSED };

struct net_out;   /* a queued message */
struct net_conn { /* part of its owner */
	struct net *net;
	const struct net_conn_user *user;
	struct env_sock *sock;
	struct ev_task ending; /* runs on_unsent and on_down */
	struct buf in;         /* bytes of an incomplete message */
	struct net_out *out, **out_end;
	size_t queued_bytes, max_queued_bytes; /* memory held by the FIFO */
	uint64_t written_us;                   /* when the FIFO last moved, or began to fill */
	enum err why;
	uint8_t state; /* enum net_conn_state */
	bool is_deaf;  /* reads no more */
};

/* Begins to connect, from `local` (its port too, 0: any) when not NULL. ERR_NET: no way to get
 * there; then nothing was started and no callback comes. */
enum err net_conn_connect(struct net_conn *c, struct net *n, const struct net_conn_user *user,
			  const struct addr *local, const struct addr *peer, size_t max_queued);
/* Takes a waiting connection of a listener. ERR_MORE: there is none. */
enum err net_conn_accept(struct net_conn *c, struct net *n, const struct net_conn_user *user,
			 struct env_sock *listener, struct addr *peer, size_t max_queued);
/* Writes or queues a copy of one message. ERR_NET: closed, or closed by this attempt. ERR_LIMIT:
 * the FIFO is full; the connection is closed with that reason. ERR_NOMEM: nothing has happened.
 * After an error no on_unsent comes for this message. */
enum err net_conn_send(struct net_conn *c, struct str bytes, uint64_t tag);
/* Closes at once; on_unsent and on_down come from the loop, later. Closing twice keeps the first
 * reason. */
void net_conn_close(struct net_conn *c, enum err why);
/* Reads no more; what is queued is still written. */
void net_conn_deafen(struct net_conn *c);
/* Closes and forgets, without any callback. Harmless on a zeroed or closed connection. */
void net_conn_fini(struct net_conn *c);
/* Calls fn with each message that waits, oldest first (a partly written one whole). */
void net_conn_each_queued(struct net_conn *c, void (*fn)(void *ctx, struct str bytes), void *ctx);
