/* UDP: datagrams in and out, and what ICMP says about them.
 *
 * A readable socket is read until it is empty, but for at most LIMIT_DATAGRAMS_PER_TURN datagrams,
 * so that timers and other sockets get their turn in a flood. Every datagram goes through the one
 * scratch of the shard. Keep-alives (CRLF, NUL: RFC 5626 has STUN for that on UDP, phones send
 * these nevertheless) are counted and forgotten: answering unsolicited bytes would make a
 * reflector. STUN shares the port, told by its first byte [RFC7983 7]: Binding requests are
 * answered with the address that they came from [RFC5626 5.4, 8], which is hardly more than was
 * asked; answers go to whoever sent the request (tp_ping).
 *
 * ICMP errors come back through the socket's error queue with the beginning of the datagram that
 * they quote. Its top Via branch names the transaction, and if it is ours the shard: with
 * SO_REUSEPORT the error arrives at whichever socket the kernel's hash picks. [RFC3261 18.4]
 */
#include "transport/tp_priv.h"

#include "rtp/stun.h"

#include <string.h>

#define STUN_MAX 128 /* bytes of what we send */

/* --- ICMP ----------------------------------------------------------------------------------- */

static bool is_token_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       memchr("-.!%*_+`'~", c, 10);
}

/* The first branch after the start line of a message that may end anywhere. */
static struct str quoted_branch(struct str head)
{
	size_t i = str_chr(head, '\n');
	if (i == SIZE_MAX)
		return STR_NONE;
	head = str_skip(head, i);
	i = str_ifind(head, STR(";branch="));
	if (i == SIZE_MAX)
		return STR_NONE;
	head = str_skip(head, i + 8);
	for (i = 0; i < head.n && is_token_char(head.p[i]);)
		i++;
	return str_sub(head, 0, i);
}

static void take_icmp(struct tp *tp, const struct env_icmp *icmp)
{
	struct str head = str_of(icmp->head, icmp->n_head), call_id = STR_NONE;
	struct tp_error e = {.err = ERR_NET, .peer = icmp->peer, .branch = quoted_branch(head)};
	size_t shard = tp->shard;
	obj_id id;
	tp->stats.n_icmp++;
	if (tp_branch_read(tp, e.branch, &id)) {
		if (obj_id_shard(id) < tp->n_shards)
			shard = obj_id_shard(id);
	} else if (sip_peek_call_id(head, &call_id)) {
		shard = tp_owner_of(tp, call_id, STR_NONE);
	}
	tp_tell_error(tp, shard, &e);
}

static void drain_icmp(struct tp_listener *l)
{
	struct env_icmp icmp;
	for (unsigned i = 0; i < LIMIT_DATAGRAMS_PER_TURN; i++) {
		if (env_icmp_next(l->sock, &icmp) != OK)
			return;
		take_icmp(l->tp, &icmp);
	}
}

/* --- receiving ------------------------------------------------------------------------------ */

static bool is_keep_alive(struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		if (!memchr("\r\n\0", bytes.p[i], 3))
			return false;
	}
	return true;
}

static bool is_stun(struct str bytes)
{
	return bytes.n >= STUN_HDR && (uint8_t)bytes.p[0] <= 3;
}

static void take_stun(struct tp_listener *l, struct str bytes, const struct env_rx *rx,
		      const struct tp_origin *o)
{
	struct tp *tp = l->tp;
	struct stun_msg m;
	char mem[STUN_MAX];
	struct buf b;
	if (stun_parse(bytes.p, bytes.n, &m) != OK || m.method != STUN_BINDING) {
		tp_receive_garbage(tp, bytes, o);
		return;
	}
	tp->stats.n_keep_alive++;
	if (m.cls == STUN_REQUEST) {
		buf_init_fixed(&b, mem, sizeof(mem));
		stun_put_response(&b, m.txid, &rx->from, STR_NONE);
		enum err e = env_send(l->sock, b.p, b.n, &rx->from, l->is_any ? &rx->to : NULL);
		(void)e; /* who does not hear it asks again */
	} else if (m.cls == STUN_SUCCESS && tp->user.on_pong) {
		struct tp_pong pong = {.peer = rx->from, .mapped = m.mapped, .txid = m.txid};
		tp->user.on_pong(tp->user.ctx, &pong);
	}
}

static void ready(void *arg, unsigned events)
{
	struct tp_listener *l = arg;
	struct tp *tp = l->tp;
	struct env_rx rx;
	for (unsigned i = 0; i < LIMIT_DATAGRAMS_PER_TURN; i++) {
		enum err e = env_recv(l->sock, tp->net.scratch, NET_SCRATCH, &rx);
		if (e == ERR_NET) {
			drain_icmp(l);
			continue;
		}
		if (e != OK) {
			l->behind_us = 0;
			return;
		}
		struct str bytes = str_of(tp->net.scratch, rx.n);
		struct tp_origin o = {.from = &rx.from, .to = &rx.to, .proto = TP_UDP};
		if (!tp_may(tp, TP_UDP, &rx.from))
			continue;
		if (is_keep_alive(bytes))
			tp->stats.n_keep_alive++;
		else if (is_stun(bytes))
			take_stun(l, bytes, &rx, &o);
		else
			tp_receive(tp, bytes, &o, false);
	}
	if (!l->behind_us)
		l->behind_us = tp_now(tp);
}

uint64_t tp_behind_us(const struct tp *tp)
{
	uint64_t most = 0, now = tp_now(tp);
	for (size_t i = 0; i < tp->n_listeners; i++) {
		uint64_t since = tp->listeners[i].behind_us;
		if (since && now - since > most)
			most = now - since;
	}
	return most;
}

enum err tp_udp_open(struct tp_listener *l, unsigned flags, const char **why)
{
	return env_udp_open(l->tp->loop->env, &l->local, flags, ready, l, &l->sock, why);
}

/* --- sending -------------------------------------------------------------------------------- */

/* What the tap shows as our address. */
static struct addr source_of(struct tp *tp, const struct tp_listener *l, const struct addr *src,
			     const struct addr *to)
{
	struct addr a = src->family ? *src : l->local;
	if (addr_is_any(&a) && env_source_for(tp->loop->env, to, &a) != OK)
		a = l->local;
	a.port = l->local.port;
	return a;
}

enum err tp_udp_send(struct tp *tp, const struct tp_dst *dst, struct str bytes)
{
	struct addr src;
	if (bytes.n > LIMIT_DATAGRAM_BYTES)
		return ERR_LIMIT;
	struct tp_listener *l = tp_pick(tp, TP_UDP, dst, &src);
	if (!l)
		return ERR_NET;
	enum err e = env_send(l->sock, bytes.p, bytes.n, &dst->to, src.family ? &src : NULL);
	if (e == ERR_MORE) { /* lost like any other datagram: the transaction sends again */
		tp->stats.n_udp_full++;
		return OK;
	}
	if (e != OK)
		return e;
	if (tp->tap.fn)
		src = source_of(tp, l, &src, &dst->to);
	tp_tap_sent(tp, TP_UDP, &src, &dst->to, bytes);
	return OK;
}

enum err tp_udp_ping(struct tp *tp, const struct tp_dst *dst, const uint8_t txid[12])
{
	char mem[STUN_MAX];
	struct buf b;
	struct addr src;
	struct tp_listener *l = tp_pick(tp, TP_UDP, dst, &src);
	if (!l)
		return ERR_NET;
	buf_init_fixed(&b, mem, sizeof(mem));
	stun_put_request(&b, txid, STR_NONE);
	enum err e = env_send(l->sock, b.p, b.n, &dst->to, src.family ? &src : NULL);
	return e == ERR_MORE ? OK : e;
}
