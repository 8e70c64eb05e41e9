/* The chain of filters of a connection: c->filter is the top one, the last one's `below` is the
 * socket.
 *
 * Invariants: 1. At the bottom at most c->reads_left reads go to the socket per readiness; what is
 * above sees ERR_MORE then, and the loop comes back. 2. A filter's `out` never exceeds one message
 * and what the handshake and answers to pings add: a filter writes it before it takes more. 3. An
 * empty `out` holds no memory.
 */
#include "net/filter.h"

#include "net/conn.h"

/* --- the socket ----------------------------------------------------------------------------- */

static enum err sock_write(struct net_conn *c, const void *p, size_t n, size_t *moved)
{
	enum err e = env_write(c->sock, p, n, moved);
	if (e == OK)
		c->written_us = ev_now_us(c->net->loop);
	return e;
}

enum err net_below_read(struct net_filter *f, struct net_conn *c, void *p, size_t cap, size_t *n)
{
	if (f->below)
		return f->below->ops->read(f->below, c, p, cap, n);
	if (!c->reads_left)
		return ERR_MORE;
	c->reads_left--;
	return env_read(c->sock, p, cap, n);
}

enum err net_below_shake(struct net_filter *f, struct net_conn *c)
{
	return f->below ? f->below->ops->shake(f->below, c) : OK;
}

enum err net_filter_flush(struct net_filter *f, struct net_conn *c)
{
	while (f->out_at < f->out.n) {
		const char *p = f->out.p + f->out_at;
		size_t n = f->out.n - f->out_at, moved = 0;
		enum err e = f->below ? f->below->ops->write(f->below, c, p, n, &moved)
				      : sock_write(c, p, n, &moved);
		if (e != OK)
			return e;
		f->out_at += moved;
	}
	buf_fini(&f->out);
	f->out_at = 0;
	return OK;
}

/* --- the whole chain ------------------------------------------------------------------------ */

bool net_filters_wait(const struct net_conn *c)
{
	for (const struct net_filter *f = c->filter; f; f = f->below) {
		if (f->out.n)
			return true;
	}
	return false;
}

bool net_filters_midway(const struct net_conn *c)
{
	for (const struct net_filter *f = c->filter; f; f = f->below) {
		if (f->ops->is_midway(f))
			return true;
	}
	return false;
}

enum err net_filters_flush(struct net_conn *c)
{
	for (struct net_filter *f = c->filter; f; f = f->below) {
		enum err e = net_filter_flush(f, c);
		if (e != OK)
			return e;
	}
	return OK;
}

void net_filters_bye(struct net_conn *c)
{
	for (struct net_filter *f = c->filter; f; f = f->below) {
		f->ops->bye(f);
		if (net_filter_flush(f, c) != OK)
			return;
	}
}

void net_filters_free(struct net_conn *c)
{
	for (struct net_filter *f; (f = c->filter);) {
		c->filter = f->below;
		buf_fini(&f->out);
		f->ops->free(f);
	}
}
