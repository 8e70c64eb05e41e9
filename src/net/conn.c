/* One TCP connection: connect or accept, read, write, close.
 *
 * Reading: bytes go into the shard's scratch and from there to the user; only what the user could
 * not use yet (an incomplete message) is kept in `in`, and then the socket is read right behind it.
 * So an idle connection holds no buffer, and a whole message is not copied on its way up. After a
 * few rounds the handler returns although there may be more, so that one fast peer does not hold
 * the loop; readiness is level-triggered and brings it back.
 *
 * Writing: straight to the socket while the FIFO is empty, else a copy at its end. ENV_WRITE is
 * wanted only while the FIFO holds something. The bound counts the memory that the FIFO holds, not
 * the payload: a two-byte pong to a peer that does not read costs seventy.
 *
 * Filters: with some between us and the socket, reading and writing go through the top one. Then
 * the FIFO, the bounds and what the user sees are in the clear; what the filters have translated
 * and the socket does not take is theirs and at most about one message. Reading goes on until they
 * have nothing more, since bytes that they hold do not make the socket readable.
 *
 * Ending: whatever goes wrong, wherever, net_conn_close closes the socket at once and queues a
 * task; the user hears of it from the loop, once, after all its unsent messages.
 *
 * Invariants:
 * 1. state == NET_CLOSED exactly when sock is NULL; then `in` is empty and no handler runs.
 * 2. `out` non-empty and state == NET_UP implies is_waiting, and that ENV_WRITE is wanted.
 * 3. queued_bytes is the sum of the sizes of the blocks in `out`; it exceeds max_queued_bytes
 * never.
 * 4. Bytes of one message are never interleaved with another's; messages leave in the order of
 *    net_conn_send.
 */
#include "net/conn.h"

#include <stdlib.h>
#include <string.h>

/* Rounds of reading per readiness: 256 kB at most before others get their turn. */
#define READ_ROUNDS 4
/* Least room behind an incomplete message. */
#define READ_MIN 4096
/* What the allocator adds to each message of the FIFO. */
#define MALLOC_HEAD 16

struct net_out {
	struct net_out *next;
	uint64_t tag;
	size_t n, off, size; /* off: bytes written; size: memory held */
	char bytes[];
};

enum err net_init(struct net *n, struct ev_loop *loop)
{
	*n = (struct net){.loop = loop, .scratch = malloc(NET_SCRATCH + NET_CIPHER)};
	if (!n->scratch)
		return ERR_NOMEM;
	n->cipher = n->scratch + NET_SCRATCH;
	return OK;
}

void net_fini(struct net *n)
{
	free(n->scratch);
	n->scratch = NULL;
}

static void drop_head(struct net_conn *c)
{
	struct net_out *o = c->out;
	c->out = o->next;
	if (!c->out)
		c->out_end = &c->out;
	c->queued_bytes -= o->size;
	free(o);
}

static void shut(struct net_conn *c, enum err why)
{
	if (c->filter && c->state != NET_CONNECTING)
		net_filters_bye(c);
	net_filters_free(c);
	env_close(c->sock);
	c->sock = NULL;
	c->state = NET_CLOSED;
	c->why = why;
	buf_fini(&c->in);
}

void net_conn_close(struct net_conn *c, enum err why)
{
	if (c->state == NET_CLOSED)
		return;
	shut(c, why);
	ev_defer(c->net->loop, &c->ending);
}

static void end(struct ev_task *t)
{
	struct net_conn *c = CONTAINER_OF(t, struct net_conn, ending);
	while (c->out) {
		uint64_t tag = c->out->tag;
		drop_head(c);
		c->user->on_unsent(c, tag, c->why);
	}
	c->user->on_down(c, c->why);
}

void net_conn_fini(struct net_conn *c)
{
	if (!c->net)
		return;
	if (c->state != NET_CLOSED)
		shut(c, ERR_NET);
	ev_defer_cancel(c->net->loop, &c->ending);
	while (c->out)
		drop_head(c);
}

static void want(struct net_conn *c)
{
	bool is_waiting = (c->out && c->state == NET_UP) || net_filters_wait(c);
	if (is_waiting && !c->is_waiting)
		c->written_us = ev_now_us(c->net->loop);
	c->is_waiting = is_waiting;
	env_want(c->sock, (c->is_deaf ? 0 : ENV_READ) | (is_waiting ? ENV_WRITE : 0));
}

void net_conn_deafen(struct net_conn *c)
{
	c->is_deaf = true;
	if (c->state == NET_UP)
		want(c);
}

/* --- reading -------------------------------------------------------------------------------- */

static void fail_read(struct net_conn *c, enum err e)
{
	if (e != ERR_MORE)
		net_conn_close(c, e == ERR_NOMEM ? ERR_NOMEM : ERR_NET);
}

static enum err take(struct net_conn *c, void *p, size_t cap, size_t *n)
{
	return c->filter ? c->filter->ops->read(c->filter, c, p, cap, n)
			 : env_read(c->sock, p, cap, n);
}

/* Is it worth to read again, after n bytes where `cap` had room? */
static bool may_have_more(const struct net_conn *c, size_t n, size_t cap)
{
	return !c->is_deaf && (c->filter || n == cap);
}

/* Nothing is pending: read into the scratch and keep what the user leaves. */
static bool read_fresh(struct net_conn *c)
{
	size_t n;
	enum err e = take(c, c->net->scratch, NET_SCRATCH, &n);
	if (e != OK) {
		fail_read(c, e);
		return false;
	}
	size_t used = c->user->on_bytes(c, str_of(c->net->scratch, n));
	if (c->state != NET_UP)
		return false;
	if (used < n) {
		buf_put(&c->in, c->net->scratch + used, n - used);
		if (c->in.err != OK) {
			net_conn_close(c, ERR_NOMEM);
			return false;
		}
	}
	return may_have_more(c, n, NET_SCRATCH);
}

/* An incomplete message is pending: read behind it. */
static bool read_behind(struct net_conn *c)
{
	size_t n, room;
	if (buf_reserve(&c->in, READ_MIN) != OK) {
		net_conn_close(c, ERR_NOMEM);
		return false;
	}
	room = c->in.cap - c->in.n;
	if (room > NET_SCRATCH)
		room = NET_SCRATCH;
	enum err e = take(c, c->in.p + c->in.n, room, &n);
	if (e != OK) {
		fail_read(c, e);
		return false;
	}
	c->in.n += n;
	size_t used = c->user->on_bytes(c, buf_view(&c->in));
	if (c->state != NET_UP)
		return false;
	if (used == c->in.n)
		buf_fini(&c->in);
	else
		buf_drop(&c->in, used);
	return may_have_more(c, n, room);
}

/* Filters count the rounds themselves: what they hold must be read, or nobody comes back for it. */
static void read_some(struct net_conn *c)
{
	c->reads_left = READ_ROUNDS;
	for (unsigned i = 0; c->filter || i < READ_ROUNDS; i++) {
		if (!(c->in.n ? read_behind(c) : read_fresh(c)))
			break;
	}
	if (c->state == NET_UP && c->filter && c->user->on_pause)
		c->user->on_pause(c, net_filters_midway(c));
	if (c->state == NET_UP && c->filter)
		want(c); /* reading may have left answers */
}

/* --- writing -------------------------------------------------------------------------------- */

static enum err give(struct net_conn *c, const void *p, size_t n, size_t *moved)
{
	*moved = 0;
	return c->filter ? c->filter->ops->write(c->filter, c, p, n, moved)
			 : env_write(c->sock, p, n, moved);
}

static void write_some(struct net_conn *c)
{
	enum err flushed = net_filters_flush(c);
	if (flushed != OK && flushed != ERR_MORE) {
		net_conn_close(c, ERR_NET);
		return;
	}
	while (c->out && flushed == OK) {
		struct net_out *o = c->out;
		size_t n;
		enum err e = give(c, o->bytes + o->off, o->n - o->off, &n);
		if (e == ERR_MORE)
			break;
		if (e != OK) {
			net_conn_close(c, ERR_NET);
			return;
		}
		c->written_us = ev_now_us(c->net->loop);
		o->off += n;
		if (o->off < o->n && !c->filter)
			break;
		if (o->off == o->n)
			drop_head(c);
	}
	want(c);
}

static enum err enqueue(struct net_conn *c, struct str bytes, size_t off, uint64_t tag)
{
	size_t size = sizeof(struct net_out) + bytes.n + MALLOC_HEAD;
	if (c->queued_bytes + size > c->max_queued_bytes)
		return ERR_LIMIT;
	struct net_out *o = malloc(sizeof(*o) + bytes.n);
	if (!o)
		return ERR_NOMEM;
	*o = (struct net_out){.tag = tag, .n = bytes.n, .off = off, .size = size};
	memcpy(o->bytes, bytes.p, bytes.n);
	*c->out_end = o;
	c->out_end = &o->next;
	c->queued_bytes += size;
	return OK;
}

enum err net_conn_send(struct net_conn *c, struct str bytes, uint64_t tag)
{
	if (c->state == NET_CLOSED)
		return ERR_NET;
	size_t moved = 0;
	if (c->state == NET_UP && !c->out) {
		enum err e = give(c, bytes.p, bytes.n, &moved);
		if (e != OK && e != ERR_MORE) {
			net_conn_close(c, ERR_NET);
			return ERR_NET;
		}
		if (moved == bytes.n) {
			if (c->filter)
				want(c);
			return OK;
		}
	}
	enum err e = enqueue(c, bytes, moved, tag);
	/* Half a message is out: without the other half the stream is of no use. */
	if (e == ERR_LIMIT || (e != OK && moved)) {
		net_conn_close(c, e);
		return e == ERR_LIMIT ? ERR_LIMIT : ERR_NET;
	}
	if (e == OK && c->state == NET_UP)
		want(c);
	return e;
}

void net_conn_each_queued(struct net_conn *c, void (*fn)(void *ctx, struct str bytes), void *ctx)
{
	for (struct net_out *o = c->out; o; o = o->next)
		fn(ctx, str_of(o->bytes, o->n));
}

/* --- opening -------------------------------------------------------------------------------- */

static void come_up(struct net_conn *c)
{
	bool has_filter = c->filter;
	c->state = NET_UP;
	want(c);
	c->user->on_up(c);
	if (c->state == NET_UP)
		write_some(c);
	if (c->state == NET_UP && has_filter && !c->is_deaf)
		read_some(c); /* what came right behind the handshake */
}

static void shake(struct net_conn *c)
{
	c->reads_left = READ_ROUNDS;
	enum err e = c->filter ? c->filter->ops->shake(c->filter, c) : OK;
	if (e == OK)
		e = net_filters_flush(c) == ERR_NET ? ERR_NET : OK;
	if (e == OK)
		come_up(c);
	else if (e == ERR_MORE)
		want(c);
	else
		net_conn_close(c, e == ERR_AUTH || e == ERR_NOMEM ? e : ERR_NET);
}

static void ready(void *arg, unsigned events)
{
	struct net_conn *c = arg;
	if (c->state == NET_CONNECTING) {
		if (events & ENV_HUP) {
			net_conn_close(c, ERR_NET);
			return;
		}
		if (!(events & ENV_WRITE))
			return;
		c->state = NET_SHAKING;
	}
	if (c->state == NET_SHAKING) {
		shake(c);
		return;
	}
	if ((events & ENV_READ) && !c->is_deaf)
		read_some(c);
	if (c->state == NET_UP && (events & ENV_WRITE))
		write_some(c);
	if (c->state == NET_UP && (events & ENV_HUP) && (c->is_deaf || !(events & ENV_READ)))
		net_conn_close(c, ERR_NET);
}

static void init(struct net_conn *c, struct net *n, const struct net_conn_user *user,
		 size_t max_queued)
{
	*c = (struct net_conn){.net = n, .user = user, .max_queued_bytes = max_queued};
	c->out_end = &c->out;
	c->ending.fn = end;
	c->state = NET_CLOSED;
	buf_init(&c->in);
}

enum err net_conn_connect(struct net_conn *c, struct net *n, const struct net_conn_user *user,
			  const struct addr *local, const struct addr *peer, size_t max_queued)
{
	init(c, n, user, max_queued);
	enum err e = env_tcp_connect(n->loop->env, local, peer, ready, c, &c->sock);
	if (e == OK)
		c->state = NET_CONNECTING;
	return e;
}

enum err net_conn_accept(struct net_conn *c, struct net *n, const struct net_conn_user *user,
			 struct env_sock *listener, struct addr *peer, size_t max_queued)
{
	init(c, n, user, max_queued);
	enum err e = env_accept(listener, ready, c, &c->sock, peer);
	if (e == OK)
		c->state = NET_UP;
	return e;
}

void net_conn_filter(struct net_conn *c, struct net_filter *f)
{
	f->below = c->filter;
	c->filter = f;
	if (c->state == NET_UP)
		c->state = NET_SHAKING;
}
