/* HEP in: a source of records.
 *
 *	datagram ──┐
 *	           ├─► wire_hep_parse ─► unpacked, key compared ─► exported PDU ─► queue ─► cap_next
 *	TCP conn ──┘
 *
 * The sockets are read only in wait(), and only while the queue is empty: what the reader does not
 * take waits in the kernel, where it is dropped by the datagram, and TCP slows its sender. A turn
 * of env_poll reads at most BURST datagrams or BURST reads a socket; as little of it may unpack to
 * much, nothing is read any more, and what was read is dropped and counted, while MAX_QUEUE bytes
 * wait.
 *
 * Invariants: queue[at .. n) holds whole items; a record borrows the queue until the next wait().
 */
#include "capture/cap_hep.h"

#include "base/list.h"
#include "capture/cap_hep_priv.h"
#include "capture/cap_pdu.h"
#include "capture/cap_priv.h"
#include "event/env.h"
#include "wire/hep.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define BURST       64
#define MAX_CONNS   256
#define MAX_PAYLOAD (1u << 20) /* after unpacking */
#define MAX_QUEUE   (32u << 20)

struct item { /* its bytes follow, padded to 8 */
	int64_t at_ns;
	uint32_t n;
};

struct conn {
	struct link link;
	struct hep_in *h;
	struct env_sock *sock;
	struct buf in;
};

struct hep_in {
	struct env *env;
	struct env_sock *sock; /* datagrams, or the listener */
	struct link conns;
	unsigned n_conns;
	const char *key;
	struct buf queue;
	size_t at;
	struct buf unpacked;
	struct cap_counts counts;
	char datagram[WIRE_HEP_MAX + 1];
};

/* --- packets --------------------------------------------------------------------------------- */

static bool unpack(struct hep_in *h, struct str *payload)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)payload->p, .avail_in = (uInt)payload->n};
	int rc = Z_OK;
	buf_clear(&h->unpacked);
	if (inflateInit2(&z, 15 + 32) != Z_OK)
		return false;
	while (rc == Z_OK && h->unpacked.n < MAX_PAYLOAD) {
		if (buf_reserve(&h->unpacked, 16'384))
			break;
		z.next_out = (Bytef *)h->unpacked.p + h->unpacked.n;
		z.avail_out = 16'384;
		rc = inflate(&z, Z_NO_FLUSH);
		h->unpacked.n += 16'384 - z.avail_out;
	}
	inflateEnd(&z);
	*payload = buf_view(&h->unpacked);
	return rc == Z_STREAM_END;
}

static struct str dissector_of(const struct wire_hep *p)
{
	bool is_rtp_like = p->payload.n >= 8 && (p->payload.p[0] & 0xc0) == 0x80;
	switch (p->type) {
	case WIRE_HEP_SIP:
		return STR("sip");
	case WIRE_HEP_RTP:
		return is_rtp_like ? STR("rtp") : STR_NONE;
	case WIRE_HEP_RTCP: /* often an agent's own JSON about it */
		return is_rtp_like ? STR("rtcp") : STR_NONE;
	default:
		return STR_NONE;
	}
}

static void push(struct hep_in *h, const struct wire_hep *p, struct str dissector)
{
	struct buf *q = &h->queue;
	size_t at = q->n;
	uint64_t us = p->at_us ? p->at_us : env_wall_us(h->env);
	struct item i = {.at_ns = (int64_t)us * 1'000};
	buf_put(q, &i, sizeof i);
	size_t begin = q->n;
	cap_pdu_put(q, dissector, &p->from, &p->to, p->ip_proto == CAP_TCP ? TRK_TCP : TRK_UDP);
	buf_str(q, p->payload);
	i.n = (uint32_t)(q->n - begin);
	buf_fill(q, 0, -q->n & 7);
	if (q->err) { /* one message lost, and counted */
		q->err = OK;
		q->n = at;
		h->counts.n_dropped_iface++;
		return;
	}
	memcpy(q->p + at, &i, sizeof i);
}

static void on_packet(struct hep_in *h, struct wire_hep *p)
{
	h->counts.n_received++;
	bool is_ours = !h->key || str_eq(p->key, str_c(h->key));
	if (!is_ours || !p->from.family || !p->to.family ||
	    (p->is_packed && !unpack(h, &p->payload))) {
		h->counts.n_dropped_iface++;
		return;
	}
	struct str dissector = dissector_of(p);
	if (!dissector.n)
		return;
	if (h->queue.n > MAX_QUEUE)
		h->counts.n_dropped_iface++;
	else
		push(h, p, dissector);
}

static void on_datagrams(void *arg, unsigned events)
{
	struct hep_in *h = arg;
	struct env_rx rx;
	struct env_icmp icmp;
	(void)events;
	for (unsigned i = 0; i < BURST && h->queue.n <= MAX_QUEUE; i++) {
		enum err e = env_recv(h->sock, h->datagram, sizeof h->datagram, &rx);
		if (e == ERR_NET) {
			while (env_icmp_next(h->sock, &icmp) == OK)
				continue;
			return;
		}
		if (e)
			return;
		struct wire_hep p;
		size_t used;
		if (wire_hep_parse(h->datagram, rx.n, &p, &used) == OK)
			on_packet(h, &p);
		else
			h->counts.n_dropped_iface++;
	}
}

/* --- connections ----------------------------------------------------------------------------- */

static void conn_free(struct conn *c)
{
	list_del(&c->link);
	c->h->n_conns--;
	env_close(c->sock);
	buf_fini(&c->in);
	free(c);
}

/* False: no HEP, or no memory for it: the connection is of no use any more. */
static bool take_packets(struct conn *c)
{
	size_t at = 0, used;
	struct wire_hep p;
	enum err e = OK;
	while (at < c->in.n && (e = wire_hep_parse(c->in.p + at, c->in.n - at, &p, &used)) == OK) {
		on_packet(c->h, &p);
		at += used;
	}
	buf_drop(&c->in, at);
	if (e == ERR_SYNTAX)
		c->h->counts.n_dropped_iface++;
	return e != ERR_SYNTAX;
}

static void on_conn(void *arg, unsigned events)
{
	struct conn *c = arg;
	enum err e = OK;
	(void)events;
	for (unsigned i = 0; i < BURST && e == OK && c->h->queue.n <= MAX_QUEUE; i++) {
		size_t n = 0;
		e = buf_reserve(&c->in, 16'384);
		if (e == OK)
			e = env_read(c->sock, c->in.p + c->in.n, 16'384, &n);
		c->in.n += n;
		if (e == OK && !take_packets(c))
			e = ERR_SYNTAX;
	}
	if (e != OK && e != ERR_MORE)
		conn_free(c);
}

static void on_listener(void *arg, unsigned events)
{
	struct hep_in *h = arg;
	(void)events;
	for (unsigned i = 0; i < BURST; i++) {
		struct addr peer;
		struct conn *c = calloc(1, sizeof *c);
		if (!c)
			return;
		buf_init(&c->in);
		c->h = h;
		if (env_accept(h->sock, on_conn, c, &c->sock, &peer)) {
			free(c);
			return;
		}
		list_push(&h->conns, &c->link);
		if (++h->n_conns > MAX_CONNS)
			conn_free(LIST_ENTRY(h->conns.next, struct conn, link));
	}
}

/* --- the source ------------------------------------------------------------------------------ */

static bool hep_next(void *ctx, struct cap_rec *r)
{
	struct hep_in *h = ctx;
	struct item i;
	if (h->at == h->queue.n)
		return false;
	memcpy(&i, h->queue.p + h->at, sizeof i);
	h->at += sizeof i;
	*r = (struct cap_rec){
		.link = CAP_LINK_PDU,
		.n = i.n,
		.n_wire = i.n,
		.at_ns = i.at_ns,
		.p = (const uint8_t *)h->queue.p + h->at,
		.if_name = "hep",
	};
	h->at += (i.n + 7u) & ~7u;
	return true;
}

static bool hep_wait(void *ctx, unsigned ms)
{
	struct hep_in *h = ctx;
	if (h->at < h->queue.n)
		return true;
	buf_clear(&h->queue);
	h->at = 0;
	env_poll(h->env, ms * (uint64_t)1'000);
	return h->queue.n > 0;
}

static bool hep_count(void *ctx, struct cap_counts *out)
{
	struct hep_in *h = ctx;
	*out = h->counts;
	return true;
}

static void hep_close(void *ctx)
{
	struct hep_in *h = ctx;
	while (!list_is_empty(&h->conns))
		conn_free(LIST_ENTRY(h->conns.next, struct conn, link));
	env_close(h->sock);
	if (h->env)
		env_free(h->env);
	buf_fini(&h->queue);
	buf_fini(&h->unpacked);
	free(h);
}

static const struct cap_source source = {
	.next = hep_next, .wait = hep_wait, .count = hep_count, .close = hep_close};

enum err cap_open_hep(const char *at, const char *key, struct cap **out, struct buf *why)
{
	struct addr a;
	bool is_tcp;
	enum err e = cap_hep_address(at, &a, &is_tcp, why);
	if (e)
		return e;
	struct hep_in *h = calloc(1, sizeof *h);
	if (!h || env_os_new(&h->env)) {
		free(h);
		buf_fmt(why, "no memory");
		return ERR_NOMEM;
	}
	list_init(&h->conns);
	buf_init(&h->queue);
	buf_init(&h->unpacked);
	h->key = key;
	const char *reason = "no memory";
	e = is_tcp ? env_tcp_listen(h->env, &a, 0, on_listener, h, &h->sock, &reason)
		   : env_udp_open(h->env, &a, 0, on_datagrams, h, &h->sock, &reason);
	if (e) {
		buf_fmt(why, "it cannot be listened at: %s", reason);
		hep_close(h);
		return e;
	}
	return cap_open_source(&source, h, out, why);
}
