#pragma once
/* A TCP connection as an object over env: reading keeps a buffer only while a message is
 * incomplete; writing goes through a FIFO of whole messages, bounded in bytes, that keeps their
 * order and knows who sent each. Nothing here calls its user from inside a call that the user made.
 *
 * Filters (TLS, WebSocket) may stand between it and the socket: the same calls, with "stands" and
 * "accepted" meaning that their handshakes are done. */

#include "event/loop.h"
#include "net/filter.h"

struct net { /* what the connections of one shard share; part of its owner */
	struct ev_loop *loop;
	char *scratch; /* NET_SCRATCH bytes: what was just read, until its user has returned */
	char *cipher;  /* NET_CIPHER more, for a filter: what it has read and not translated yet */
};
#define NET_SCRATCH 65536
#define NET_CIPHER  32768
enum err net_init(struct net *n, struct ev_loop *loop);
void net_fini(struct net *n);

struct net_conn_user {
	/* An outgoing connection stands, or the handshake of an accepted one is done. */
	void (*on_up)(struct net_conn *c);
	/* Bytes that were not used yet, contiguous, the new ones at the end. Returns how many are
	 * used now; the rest is shown again, with more behind it. May close c. */
	size_t (*on_bytes)(struct net_conn *c, struct str bytes);
	/* Before on_down: a message that was not written whole; `tag` as given to net_conn_send. */
	void (*on_unsent)(struct net_conn *c, uint64_t tag, enum err why);
	/* The last call: c is closed, its memory is the owner's again. `why`: ERR_NET closed, reset
	 * or unreachable; ERR_AUTH its certificate is refused; else as given to net_conn_close. */
	void (*on_down)(struct net_conn *c, enum err why);
	/* Of connections with filters: all that has come is read; is_midway: a record or message
	 * has begun that cannot be shown yet. May close c. May be NULL. */
	void (*on_pause)(struct net_conn *c, bool is_midway);
};

enum net_conn_state { NET_CONNECTING, NET_SHAKING, NET_UP, NET_CLOSED };

struct net_out;   /* a queued message */
struct net_conn { /* part of its owner */
	struct net *net;
	const struct net_conn_user *user;
	struct env_sock *sock;
	struct net_filter *filter; /* the top one, or NULL */
	struct ev_task ending;     /* runs on_unsent and on_down */
	struct buf in;             /* bytes of an incomplete message */
	struct net_out *out, **out_end;
	size_t queued_bytes, max_queued_bytes; /* memory held by the FIFO */
	uint64_t written_us;                   /* when is_waiting began, or a byte was written */
	enum err why;
	uint8_t state;      /* enum net_conn_state */
	uint8_t reads_left; /* of the socket, before others get their turn */
	bool is_deaf;       /* reads no more */
	bool is_waiting;    /* something is to be written and the socket has no room */
};

/* Begins to connect, from `local` (its port too, 0: any) when not NULL. ERR_NET: no way to get
 * there; then nothing was started and no callback comes. */
enum err net_conn_connect(struct net_conn *c, struct net *n, const struct net_conn_user *user,
			  const struct addr *local, const struct addr *peer, size_t max_queued);
/* Takes a waiting connection of a listener. ERR_MORE: there is none. */
enum err net_conn_accept(struct net_conn *c, struct net *n, const struct net_conn_user *user,
			 struct env_sock *listener, struct addr *peer, size_t max_queued);
/* Puts f on top of the filters of a connection that was just begun or accepted; takes f. */
void net_conn_filter(struct net_conn *c, struct net_filter *f);
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
