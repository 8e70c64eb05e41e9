/* Connections and flows.
 *
 * A connection lives on one shard, in that shard's pool; its obj_id is the flow id that names it on
 * every shard. Accepted ones are reached by their flow only; ours also by address, so that a second
 * request to the same place takes the same way. A connection that a peer opened is never used for
 * its address: whoever connects from a port does not prove to be who listens there. [RFC5923]
 *
 *   OPENING ──handshakes─► OPEN ──closed──► DOWN ──round all shards──► slot free
 *      └────────failed────────────────────► slot free
 *
 * OPENING lasts until the peer is there and TLS and WebSocket, where they are spoken, are agreed
 * on; an accepted TCP connection is OPEN at once.
 *
 * Received bytes are cut into messages by wire/frame.h and given up one by one. CRLF CRLF between
 * messages is a ping and answered by CRLF [RFC5626 4.4.1]. Where a stream cannot be framed any
 * further (a Content-Length that makes no sense, a message over the bound), its head still goes up,
 * so that a request gets its 400; then nothing more is read, and the connection ends a little
 * later. The same for bytes that are no message: the requests before them get their answers.
 *
 * One timer per connection watches all that may end it: no connection in time, a message that is
 * never finished, a queue that does not move, silence. It runs until the nearest of these; traffic
 * only notes the time, and the timer looks at the notes when it fires.
 *
 * A connection that was up and ends must be known dead everywhere before its slot is used again.
 * Its own FLOW_DOWN message, part of it, goes round: shard by shard, each tells its user and sends
 * it on; when it is home the slot is free. No allocation can fail, no second message is needed, and
 * what the connection had received before is ahead of it in every inbox.
 *
 * Invariants:
 * 1. The word of a slot in tp.up holds the generation exactly while state == OPEN and the socket is
 *    there.
 * 2. begun_us != 0 exactly when net.in holds the beginning of a message.
 * 3. Only outgoing connections are in by_peer, and only until on_down.
 * 4. source->n counts the accepted connections of an address that are not DOWN.
 */
#include "transport/tp_priv.h"

#include <stdlib.h>

#define ACCEPTS_PER_TURN 64
#define WORD_UP          0x8000'0000u

/* --- who is up ------------------------------------------------------------------------------ */

static uint32_t word_of(tp_flow flow)
{
	return WORD_UP | ((uint32_t)(flow >> 24) & 0xff'ffffu);
}

static size_t slot_of(tp_flow flow)
{
	return flow & 0xff'ffffu;
}

bool tp_flow_is_up(struct tp *tp, tp_flow flow)
{
	if (obj_id_kind(flow) != TP_FLOW_KIND)
		return false;
	if (obj_id_shard(flow) == tp->shard) {
		const struct tp_conn *c = pool_find(&tp->conns, flow);
		return c && c->state == TP_CONN_OPEN && c->net.state == NET_UP;
	}
	if (obj_id_shard(flow) >= tp->n_shards)
		return false;
	const struct ev_words *up = ev_lent(tp->loop->shards, obj_id_shard(flow));
	return up && ev_words_get(up, slot_of(flow)) == word_of(flow);
}

static tp_flow flow_of(const struct tp_conn *c)
{
	return pool_id(&c->tp->conns, c);
}

struct tp_conn *tp_flow_find(struct tp *tp, tp_flow flow)
{
	struct tp_conn *c = pool_find(&tp->conns, flow);
	return c && c->net.state != NET_CLOSED ? c : NULL;
}

void tp_flow_close(struct tp *tp, tp_flow flow)
{
	struct tp_conn *c = tp_flow_find(tp, flow);
	if (c)
		net_conn_close(&c->net, ERR_TIMEOUT);
}

/* --- the timer ------------------------------------------------------------------------------ */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t due_of(const struct tp_conn *c)
{
	const struct tp_limits *l = &c->tp->limits;
	uint64_t due = c->until_us ? c->until_us : c->active_us + l->idle_us;
	if (c->begun_us)
		due = earlier(due, c->begun_us + l->message_us);
	if (c->net.is_waiting && c->state == TP_CONN_OPEN)
		due = earlier(due, c->net.written_us + l->stall_us);
	return due;
}

static void on_timer(struct tmr *t);

static void arm(struct tp_conn *c)
{
	uint64_t due = due_of(c), now = tp_now(c->tp);
	if (tmr_is_running(&c->timer) && c->timer.due_us <= due)
		return;
	ev_timer(c->tp->loop, &c->timer, due > now ? due - now : 0, on_timer);
}

static void on_timer(struct tmr *t)
{
	struct tp_conn *c = CONTAINER_OF(t, struct tp_conn, timer);
	const struct tp_limits *l = &c->tp->limits;
	uint64_t now = tp_now(c->tp);
	if (due_of(c) > now) {
		arm(c);
		return;
	}
	if (c->begun_us && c->begun_us + l->message_us <= now)
		c->tp->stats.n_unfinished++;
	else if (c->net.is_waiting && c->state == TP_CONN_OPEN &&
		 c->net.written_us + l->stall_us <= now)
		c->tp->stats.n_stalled++;
	net_conn_close(&c->net, ERR_TIMEOUT);
}

/* --- sources -------------------------------------------------------------------------------- */

static struct tp_source *find_source(struct tp *tp, const struct addr *ip, uint64_t hash)
{
	for (struct hnode *n = htab_first(&tp->sources, hash); n; n = htab_next(n)) {
		struct tp_source *s = CONTAINER_OF(n, struct tp_source, node);
		if (addr_ip_eq(&s->ip, ip))
			return s;
	}
	return NULL;
}

/* Counts one more connection of that address; NULL when it has too many. */
static struct tp_source *enter_source(struct tp *tp, const struct addr *peer)
{
	struct addr ip = *peer;
	ip.port = 0;
	uint64_t hash = addr_hash(tp->call_id_key, &ip);
	struct tp_source *s = find_source(tp, &ip, hash);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		s->ip = ip;
		htab_add(&tp->sources, &s->node, hash);
	}
	if (s->n >= tp->limits.max_per_source)
		return NULL;
	s->n++;
	return s;
}

static void leave_source(struct tp_conn *c)
{
	struct tp_source *s = c->source;
	c->source = NULL;
	if (!s || --s->n)
		return;
	htab_del(&c->tp->sources, &s->node);
	free(s);
}

/* --- ending --------------------------------------------------------------------------------- */

static void free_conn(struct tp_conn *c)
{
	net_conn_fini(&c->net);
	ev_timer_stop(c->tp->loop, &c->timer);
	free(c->down);
	pool_put(&c->tp->conns, c);
}

static void on_unsent(struct net_conn *n, uint64_t tag, enum err why)
{
	const struct tp_conn *c = CONTAINER_OF(n, struct tp_conn, net);
	struct tp_error e = {
		.err = why == ERR_SYNTAX ? ERR_NET : why, .owner = tag, .peer = c->peer};
	if (tag)
		tp_tell_error(c->tp, obj_id_shard(tag), &e);
}

static void on_down(struct net_conn *n, enum err why)
{
	struct tp_conn *c = CONTAINER_OF(n, struct tp_conn, net);
	struct tp *tp = c->tp;
	bool was_open = c->state == TP_CONN_OPEN;
	if (why == ERR_LIMIT)
		tp->stats.n_overflow++;
	if (c->is_outgoing)
		htab_del(&tp->by_peer, &c->by_peer);
	leave_source(c);
	ev_timer_stop(tp->loop, &c->timer);
	c->state = TP_CONN_DOWN;
	if (!was_open) {
		tp->stats.n_unshaken += !c->is_outgoing;
		free_conn(c);
		return;
	}
	tp_flow flow = flow_of(c);
	ev_words_set(tp->up, slot_of(flow), 0);
	tp->user.on_flow_down(tp->user.ctx, flow);
	if (tp->n_shards == 1) {
		free_conn(c);
		return;
	}
	struct tp_flow_down *d = c->down;
	c->down = NULL;
	d->inbox.kind = INBOX_FLOW_DOWN;
	d->flow = flow;
	ev_send(tp->loop->shards, (tp->shard + 1) % tp->n_shards, &d->inbox);
}

void tp_on_flow_down(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct tp *tp = ctx;
	struct tp_flow_down *d = CONTAINER_OF(m, struct tp_flow_down, inbox);
	if (obj_id_shard(d->flow) == tp->shard) { /* all have heard */
		free_conn(pool_find(&tp->conns, d->flow));
		free(d);
		return;
	}
	tp->user.on_flow_down(tp->user.ctx, d->flow);
	ev_send(l->shards, (tp->shard + 1) % tp->n_shards, m);
}

/* --- receiving ------------------------------------------------------------------------------ */

/* Where a stream has filters, they hold beginnings of messages too. */
static void note_begun(struct tp_conn *c, bool is_begun, bool is_new)
{
	if (!is_begun) {
		c->begun_us = 0;
	} else if (!c->begun_us || is_new) {
		c->begun_us = tp_now(c->tp);
		arm(c);
	}
}

/* Nothing more is read; the answers to what came before, and the 400, may still go out. */
static void take_unframed(struct tp_conn *c, struct str rest, const struct tp_origin *o)
{
	struct tp *tp = c->tp;
	net_conn_deafen(&c->net);
	c->until_us = tp_now(tp) + LIMIT_LINGER_US;
	c->begun_us = 0;
	arm(c);
	if (c->frame.head_n)
		tp_receive(tp, str_sub(rest, 0, c->frame.head_n), o, false);
	else
		tp_receive_garbage(tp, rest, o);
}

static void tell_pong(struct tp_conn *c)
{
	struct tp *tp = c->tp;
	struct tp_pong pong = {.flow = flow_of(c), .peer = c->peer};
	if (tp->user.on_pong)
		tp->user.on_pong(tp->user.ctx, &pong);
}

static bool is_line_ends(struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] != '\r' && bytes.p[i] != '\n')
			return false;
	}
	return true;
}

/* One WebSocket message is one SIP message, whatever its Content-Length says [RFC7118 5]; or a
 * keep-alive as on TCP, which some phones send here too. */
static void take_ws(struct tp_conn *c, struct str msg, const struct tp_origin *o)
{
	if (!is_line_ends(msg)) {
		tp_receive(c->tp, msg, o, false);
		return;
	}
	c->tp->stats.n_keep_alive++;
	if (msg.n == 2)
		tell_pong(c);
	else if (msg.n == 4 && net_conn_send(&c->net, STR("\r\n"), 0) == OK && c->net.is_waiting)
		arm(c);
}

static void on_pause(struct net_conn *n, bool is_midway)
{
	struct tp_conn *c = CONTAINER_OF(n, struct tp_conn, net);
	c->active_us = tp_now(c->tp);
	note_begun(c, is_midway || n->in.n > 0, false);
	if (n->is_waiting)
		arm(c);
}

static size_t on_bytes(struct net_conn *n, struct str bytes)
{
	struct tp_conn *c = CONTAINER_OF(n, struct tp_conn, net);
	struct tp_origin o = {&c->peer, &c->local, (enum tp_proto)c->proto, flow_of(c)};
	size_t used = 0, len;
	c->active_us = tp_now(c->tp);
	if (!c->is_outgoing && !tp_may(c->tp, o.proto, &c->peer)) {
		net_conn_deafen(n);
		c->until_us = c->active_us;
		arm(c);
		return bytes.n;
	}
	if (tp_is_ws(o.proto)) {
		take_ws(c, bytes, &o);
		return bytes.n;
	}
	while (n->state == NET_UP && !n->is_deaf) {
		struct str rest = str_skip(bytes, used);
		switch (wire_frame_next(&c->frame, rest.p, rest.n, &len)) {
		case WIRE_MORE:
			note_begun(c, rest.n > 0, used > 0);
			return used;
		case WIRE_MESSAGE:
			tp_receive(c->tp, str_sub(rest, 0, len), &o, true);
			break;
		case WIRE_PING:
			c->tp->stats.n_keep_alive++;
			if (net_conn_send(n, STR("\r\n"), 0) == OK && n->is_waiting)
				arm(c);
			break;
		case WIRE_PONG:
			tell_pong(c);
			break;
		case WIRE_SKIP:
			break;
		case WIRE_ERROR:
			take_unframed(c, rest, &o);
			return bytes.n;
		}
		used += len;
	}
	return bytes.n;
}

/* --- opening -------------------------------------------------------------------------------- */

static void tap_queued(void *ctx, struct str bytes)
{
	struct tp_conn *c = ctx;
	tp_tap_sent(c->tp, (enum tp_proto)c->proto, &c->local, &c->peer, bytes);
}

static void open_conn(struct tp_conn *c)
{
	c->state = TP_CONN_OPEN;
	c->until_us = 0;
	c->active_us = tp_now(c->tp);
	c->local = env_local(c->net.sock);
	tp_flow flow = flow_of(c);
	ev_words_set(c->tp->up, slot_of(flow), word_of(flow));
	arm(c);
}

static void on_up(struct net_conn *n)
{
	struct tp_conn *c = CONTAINER_OF(n, struct tp_conn, net);
	open_conn(c);
	net_conn_each_queued(n, tap_queued, c);
}

static const struct net_conn_user conn_user = {on_up, on_bytes, on_unsent, on_down, on_pause};

static struct tp_conn *new_conn(struct tp *tp, enum tp_proto proto)
{
	struct tp_conn *c = pool_get(&tp->conns);
	if (!c)
		return NULL;
	c->tp = tp;
	c->proto = (uint8_t)proto;
	wire_frame_init(&c->frame, tp->limits.max_message);
	if (tp->n_shards > 1 && !(c->down = malloc(sizeof(*c->down)))) {
		pool_put(&tp->conns, c);
		return NULL;
	}
	return c;
}

static uint64_t hash_peer(const struct tp *tp, enum tp_proto proto, const struct addr *peer)
{
	return addr_hash(tp->call_id_key, peer) + (uint64_t)proto;
}

size_t tp_shard_of_peer(const struct tp *tp, enum tp_proto proto, const struct addr *peer)
{
	return hash_peer(tp, proto, peer) % tp->n_shards;
}

struct tp_conn *tp_conn_to(struct tp *tp, const struct tp_dst *dst)
{
	uint64_t hash = hash_peer(tp, dst->proto, &dst->to);
	for (struct hnode *n = htab_first(&tp->by_peer, hash); n; n = htab_next(n)) {
		struct tp_conn *c = CONTAINER_OF(n, struct tp_conn, by_peer);
		if (c->net.state != NET_CLOSED && !c->net.is_deaf && c->proto == dst->proto &&
		    c->name == dst->name && addr_eq(&c->peer, &dst->to))
			return c;
	}
	return NULL;
}

/* TLS and WebSocket. `peer`: whom we connect to; NULL: the connection was accepted. */
static enum err add_filters(struct tp_conn *c, const char *peer)
{
	struct net_filter *f = NULL;
	enum err e = OK;
	if (tp_is_secure(c->proto))
		e = c->tp->tls ? net_tls_filter(c->tp->tls, peer, &f) : ERR_UNSUPPORTED;
	if (f)
		net_conn_filter(&c->net, f);
	if (e != OK || !tp_is_ws(c->proto))
		return e;
	f = tp_ws_filter(peer);
	if (!f)
		return ERR_NOMEM;
	net_conn_filter(&c->net, f);
	return OK;
}

/* The name that the peer must prove, in `mem` if it is only an address. NULL: not known. */
static const char *peer_of(struct tp *tp, const struct tp_dst *dst, char mem[ADDR_TEXT_MAX])
{
	struct addr ip = dst->to;
	ip.port = 0;
	return dst->name ? tp_name_get(tp, dst->name) : addr_text(&ip, mem);
}

enum err tp_conn_open(struct tp *tp, const struct tp_dst *dst, struct tp_conn **out)
{
	struct addr local = tp_bind_for(tp, dst);
	char mem[ADDR_TEXT_MAX];
	const char *peer = peer_of(tp, dst, mem);
	struct tp_conn *c = peer ? new_conn(tp, dst->proto) : NULL;
	if (!peer)
		return ERR_NET;
	if (!c) {
		tp->stats.n_refused++;
		return ERR_LIMIT;
	}
	c->is_outgoing = true;
	c->peer = dst->to;
	c->name = dst->name;
	enum err e = net_conn_connect(&c->net, &tp->net, &conn_user, local.family ? &local : NULL,
				      &dst->to, tp->limits.max_queued_bytes);
	if (e == OK)
		e = add_filters(c, peer);
	if (e != OK) {
		free_conn(c);
		return e;
	}
	htab_add(&tp->by_peer, &c->by_peer, hash_peer(tp, dst->proto, &dst->to));
	c->until_us = tp_now(tp) + tp->limits.connect_us;
	arm(c);
	*out = c;
	return OK;
}

enum err tp_conn_send(struct tp_conn *c, struct str bytes, obj_id owner)
{
	enum err e = net_conn_send(&c->net, bytes, owner);
	if (e != OK)
		return e;
	c->active_us = tp_now(c->tp);
	if (str_eq(bytes, STR("\r\n\r\n")) && c->frame.pongs_due < UINT8_MAX)
		c->frame.pongs_due++;
	if (c->state != TP_CONN_OPEN)
		return OK; /* shown when it is up */
	if (c->net.is_waiting)
		arm(c);
	tp_tap_sent(c->tp, (enum tp_proto)c->proto, &c->local, &c->peer, bytes);
	return OK;
}

/* --- accepting ------------------------------------------------------------------------------ */

/* No slot: take the connection and end it, so that its peer knows and the backlog empties. */
static enum err refuse(struct tp_listener *l)
{
	struct net_conn n;
	struct addr peer;
	enum err e = net_conn_accept(&n, &l->tp->net, &conn_user, l->sock, &peer, 0);
	net_conn_fini(&n);
	if (e == OK)
		l->tp->stats.n_refused++;
	return e;
}

static enum err accept_one(struct tp_listener *l)
{
	struct tp *tp = l->tp;
	struct tp_conn *c = new_conn(tp, l->proto);
	if (!c)
		return refuse(l);
	enum err e = net_conn_accept(&c->net, &tp->net, &conn_user, l->sock, &c->peer,
				     tp->limits.max_queued_bytes);
	if (e != OK) {
		free_conn(c);
		return e;
	}
	c->source =
		tp_may(tp, (enum tp_proto)l->proto, &c->peer) ? enter_source(tp, &c->peer) : NULL;
	if (!c->source || add_filters(c, NULL) != OK) {
		tp->stats.n_refused++;
		leave_source(c);
		free_conn(c);
		return OK;
	}
	if (c->net.state == NET_UP) {
		open_conn(c);
		return OK;
	}
	c->until_us = tp_now(tp) + tp->limits.handshake_us;
	arm(c);
	return OK;
}

static void accept_some(void *arg, unsigned events)
{
	struct tp_listener *l = arg;
	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		if (accept_one(l) == ERR_MORE)
			return;
	}
}

enum err tp_tcp_open(struct tp_listener *l, unsigned flags, const char **why)
{
	return env_tcp_listen(l->tp->loop->env, &l->local, flags, accept_some, l, &l->sock, why);
}

/* --- life ----------------------------------------------------------------------------------- */

enum err tp_flows_init(struct tp *tp)
{
	pool_init(&tp->conns, sizeof(struct tp_conn), (uint32_t)tp->limits.max_connections,
		  TP_FLOW_KIND, (uint8_t)tp->shard);
	enum err e = htab_init(&tp->by_peer, 64);
	if (e != OK)
		return e;
	e = htab_init(&tp->sources, 64);
	if (e == OK)
		e = ev_words_new(tp->limits.max_connections, &tp->up);
	if (e != OK) {
		htab_fini(&tp->sources);
		htab_fini(&tp->by_peer);
		return e;
	}
	if (tp->loop->shards)
		ev_lend(tp->loop->shards, tp->shard, tp->up);
	return OK;
}

static void free_source(void *arg, struct hnode *n)
{
	htab_del(arg, n);
	free(CONTAINER_OF(n, struct tp_source, node));
}

void tp_flows_fini(struct tp *tp)
{
	uint32_t cursor = 0;
	for (struct tp_conn *c; (c = pool_next(&tp->conns, &cursor));)
		free_conn(c);
	if (tp->loop->shards)
		ev_lend(tp->loop->shards, tp->shard, NULL);
	ev_words_free(tp->up);
	pool_fini(&tp->conns);
	htab_fini(&tp->by_peer);
	htab_each(&tp->sources, free_source, &tp->sources);
	htab_fini(&tp->sources);
}
