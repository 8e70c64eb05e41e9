#pragma once
/* What stands between a connection and its socket: TLS, WebSocket. A filter reads from and writes
 * to what is below it, another filter or the socket, and offers the same two calls above; the
 * connection (net/conn.h) asks for both and keeps its FIFO of whole messages in the clear. Filters
 * call nobody above them. */

#include "base/buf.h"

struct net_conn;
struct net_filter;

struct net_filter_ops {
	/* Goes on with the handshake, that of what is below first. OK: done; ERR_MORE: the peer
	 * has to say something; ERR_AUTH: its certificate is refused; else it failed. */
	enum err (*shake)(struct net_filter *f, struct net_conn *c);
	/* As env_read: at least one byte, or ERR_MORE. WebSocket gives one message per call. */
	enum err (*read)(struct net_filter *f, struct net_conn *c, void *p, size_t cap, size_t *n);
	/* As env_write: *moved bytes need not be given again, though they may wait in `out`. The
	 * first call for a message has all of it. */
	enum err (*write)(struct net_filter *f, struct net_conn *c, const void *p, size_t n,
			  size_t *moved);
	/* A record or message has begun to arrive and lacks its end. */
	bool (*is_midway)(const struct net_filter *f);
	/* Says goodbye into `out`. */
	void (*bye)(struct net_filter *f);
	void (*free)(struct net_filter *f);
};

struct net_filter { /* the beginning of a filter */
	const struct net_filter_ops *ops;
	struct net_filter *below; /* NULL: the socket */
	struct buf out;           /* translated bytes that wait for what is below */
	size_t out_at;            /* of these are written */
};

/* For filters: what is below f. */
enum err net_below_shake(struct net_filter *f, struct net_conn *c); /* OK when it is the socket */
enum err net_below_read(struct net_filter *f, struct net_conn *c, void *p, size_t cap, size_t *n);
/* Writes `out`. OK: it is empty now; ERR_MORE: there is no room below. */
enum err net_filter_flush(struct net_filter *f, struct net_conn *c);

/* For the connection: all its filters, which may be none. */
bool net_filters_wait(const struct net_conn *c); /* something is not written */
bool net_filters_midway(const struct net_conn *c);
enum err net_filters_flush(struct net_conn *c);
void net_filters_bye(struct net_conn *c); /* as far as the socket takes it */
void net_filters_free(struct net_conn *c);
