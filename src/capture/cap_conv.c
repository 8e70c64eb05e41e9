/* UDP and TCP conversations as Wireshark numbers them: two ends, whichever sends, counted from 0 in
 * the order of their first packets; for TCP a SYN on ports that had a connection before begins
 * another one. What an ICMP error quotes belongs to a conversation too.
 *
 * For media SDP makes conversations of one end, whoever sends to it or from it; a later SDP begins
 * another one there. The packet's source is looked for before its destination. They are kept in the
 * same table, their other end empty.
 *
 * A header is looked up by the addresses of the IP header before it, so that each layer of a tunnel
 * has its own conversation.
 *
 * Invariants: the table holds one conversation for two ends; with a bound, no more than that, and
 * no more than MAX_BYTES for the segments that wait to be acknowledged.
 */
#include "capture/cap_conv.h"

#include "base/cut.h"
#include "base/hash.h"
#include "base/list.h"
#include "event/env.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (64u << 20)
#define UDP_HEAD  8u
#define TCP_HEAD  20u

struct conv {
	struct hnode node;
	struct link lru;
	struct addr ends[2];
	uint8_t proto;        /* CAP_UDP, CAP_TCP */
	uint32_t stream;      /* UINT32_MAX: no packet yet */
	uint32_t begun_frame; /* of one end: the SDP's that began it */
	uint32_t setup_frame; /* ... and that of the last one, for RTCP */
	int64_t first_ns, last_ns;
	struct cap_seq *seq;       /* TCP */
	size_t n_bytes;            /* of seq, when it was looked at last */
	uint8_t completeness;      /* enum cap_complete, or-ed */
	bool has_segment, has_fin; /* it had one */
	bool fin_way;              /* who closed first */
};

struct cap_convs {
	struct htab table;
	uint8_t hash_key[16];
	struct link lru; /* longest silence first */
	size_t max, n_bytes;
	uint32_t n_udp, n_tcp; /* ever */
	size_t n_named;        /* ever: ends that SDP named */
	struct cap_stuns *stuns;
	struct cap_seen seen[CAP_MAX_IPS];
};

struct cap_convs *cap_convs_new(size_t max)
{
	struct cap_convs *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	env_entropy(c->hash_key, sizeof c->hash_key);
	list_init(&c->lru);
	c->max = max;
	c->stuns = cap_stuns_new(max);
	if (!c->stuns || htab_init(&c->table, 64)) {
		cap_stuns_free(c->stuns);
		free(c);
		return NULL;
	}
	return c;
}

static void forget(struct cap_convs *c, struct conv *v)
{
	htab_del(&c->table, &v->node);
	list_del(&v->lru);
	c->n_bytes -= v->n_bytes;
	cap_seq_free(v->seq);
	free(v);
}

static void forget_eldest(struct cap_convs *c)
{
	forget(c, LIST_ENTRY(c->lru.next, struct conv, lru));
}

void cap_convs_free(struct cap_convs *c)
{
	if (!c)
		return;
	while (!list_is_empty(&c->lru))
		forget_eldest(c);
	htab_fini(&c->table);
	cap_stuns_free(c->stuns);
	free(c);
}

static struct conv *new_conv(struct cap_convs *c, uint64_t hash, const struct addr ends[2],
			     uint8_t proto)
{
	if (c->max && c->table.n >= c->max)
		forget_eldest(c);
	struct conv *v = calloc(1, sizeof *v);
	if (!v || (proto == CAP_TCP && !(v->seq = cap_seq_new()))) {
		free(v);
		return NULL;
	}
	memcpy(v->ends, ends, sizeof v->ends);
	v->proto = proto;
	v->stream = UINT32_MAX;
	htab_add(&c->table, &v->node, hash);
	list_push(&c->lru, &v->lru);
	return v;
}

static uint64_t hash_of(const struct cap_convs *c, const struct addr ends[2], uint8_t proto)
{
	return addr_hash(c->hash_key, &ends[0]) + addr_hash(c->hash_key, &ends[1]) + proto;
}

/* way: which of the two ends sent it. */
static struct conv *find(struct cap_convs *c, const struct addr ends[2], uint8_t proto, int *way)
{
	uint64_t hash = hash_of(c, ends, proto);
	for (struct hnode *n = htab_first(&c->table, hash); n; n = htab_next(n)) {
		struct conv *v = CONTAINER_OF(n, struct conv, node);
		for (*way = 0; *way < 2 && v->proto == proto; ++*way)
			if (addr_eq(&v->ends[*way], &ends[0]) &&
			    addr_eq(&v->ends[!*way], &ends[1])) {
				list_del(&v->lru);
				list_push(&c->lru, &v->lru);
				return v;
			}
	}
	*way = 0;
	return NULL;
}

static struct conv *find_named(struct cap_convs *c, const struct addr *end)
{
	struct addr ends[2] = {*end, {0}};
	int way;
	return c->n_named ? find(c, ends, CAP_UDP, &way) : NULL;
}

static struct conv *conv_get(struct cap_convs *c, const struct addr ends[2], uint8_t proto,
			     int64_t at_ns, int *way)
{
	struct conv *v = find(c, ends, proto, way);
	if (!v && proto == CAP_UDP)
		v = find_named(c, &ends[0]);
	if (!v && proto == CAP_UDP)
		v = find_named(c, &ends[1]);
	if (!v)
		v = new_conv(c, hash_of(c, ends, proto), ends, proto);
	if (v && v->stream == UINT32_MAX) {
		v->stream = proto == CAP_TCP ? c->n_tcp++ : c->n_udp++;
		v->first_ns = v->last_ns = at_ns;
	}
	return v;
}

void cap_convs_name(struct cap_convs *c, const struct addr *end, uint32_t frame_no, bool is_rtcp)
{
	struct addr ends[2] = {*end, {0}};
	struct conv *v = find_named(c, end);
	if (!v && (v = new_conv(c, hash_of(c, ends, CAP_UDP), ends, CAP_UDP)))
		c->n_named++;
	if (!v || frame_no < v->begun_frame)
		return;
	v->setup_frame = frame_no;
	if (v->begun_frame && (is_rtcp || v->begun_frame == frame_no))
		return;
	v->begun_frame = frame_no;
	v->stream = UINT32_MAX;
}

static uint32_t setup_frame(struct cap_convs *c, const struct addr ends[2])
{
	const struct conv *v = find_named(c, &ends[1]);
	if (!v)
		v = find_named(c, &ends[0]);
	return v ? v->setup_frame : 0;
}

/* The IP header that a UDP or TCP header stands behind. */
static const struct cap_ip *ip_of(const struct cap_pkt *k, const struct cap_ports *p)
{
	for (unsigned i = k->n_ips; i-- > 0;) {
		const struct cap_hdr *h = &k->ips[i].hdr;
		if (h->p && p->hdr.p > h->p && p->hdr.p < h->p + h->n)
			return &k->ips[i];
	}
	return k->n_ips ? &k->ips[k->n_ips - 1] : NULL; /* put together from fragments */
}

/* Bytes of payload, also those that the capture has not. */
static uint32_t n_payload(const struct cap_ip *ip, const struct cap_ports *p, uint32_t n_hdr)
{
	const uint8_t *begin = ip->hdr.p, *data = p->hdr.p + n_hdr;
	uint32_t n = ip->n + (ip->src.family == ADDR_V6 ? 40u : 0);
	if (begin && data > begin && data <= begin + n)
		return (uint32_t)(begin + n - data);
	return p->hdr.n > n_hdr ? p->hdr.n - n_hdr : 0;
}

static struct conv *begin_again(struct cap_convs *c, struct conv *v, int64_t at_ns)
{
	struct cap_seq *seq = cap_seq_new();
	if (!seq)
		return v;
	cap_seq_free(v->seq);
	v->seq = seq;
	v->stream = c->n_tcp++;
	v->first_ns = v->last_ns = at_ns;
	v->completeness = 0;
	v->has_segment = v->has_fin = false;
	return v;
}

/* What Wireshark counts: a SYN only where a conversation begins, and of the first segment
 * nothing else but data behind it on fresh ports; it shows a SYN on used ports at once, all else
 * with the next segment. */
static void complete(struct conv *v, int way, const struct cap_seq_in *in, bool is_again,
		     struct cap_seen *out)
{
	bool is_syn = in->flags & CAP_TCP_SYN, is_ack = in->flags & CAP_TCP_ACK;
	out->has_fin = in->flags & CAP_TCP_FIN;
	if (out->has_fin && !v->has_fin) {
		v->has_fin = true;
		v->fin_way = way;
	}
	out->is_first_fin = out->has_fin && v->fin_way == way;
	unsigned had = v->completeness, has = had;
	if (!v->has_segment) {
		has |= is_syn && !is_ack ? CAP_COMPLETE_SYN : 0;
		has |= has && in->n && !is_again ? CAP_COMPLETE_DATA : 0;
	} else {
		if (is_ack)
			has |= is_syn  ? CAP_COMPLETE_SYNACK
			       : in->n ? CAP_COMPLETE_DATA
				       : CAP_COMPLETE_ACK;
		has |= is_ack && out->has_fin ? CAP_COMPLETE_FIN : 0;
		has |= in->flags & CAP_TCP_RST ? CAP_COMPLETE_RST : 0;
	}
	v->has_segment = true;
	v->completeness = (uint8_t)has;
	out->completeness = (uint8_t)(is_again ? has : had);
}

static void weigh(struct cap_convs *c, struct conv *v)
{
	size_t n = cap_seq_n_bytes(v->seq);
	c->n_bytes += n - v->n_bytes;
	v->n_bytes = n;
	while (c->max && c->n_bytes > MAX_BYTES && c->lru.next != &v->lru)
		forget_eldest(c);
}

struct place { /* where a header stands */
	const struct cap_ip *ip;
	const struct cap_ports *p;
	const struct cap_rec *r;
	bool is_quoted;
};

static void on_segment(struct cap_convs *c, const struct place *at, struct conv *v, int way,
		       struct cap_seen *out)
{
	const struct cap_ports *p = at->p;
	const struct cap_rec *r = at->r;
	const uint8_t *h = p->hdr.p;
	uint32_t n_hdr = (h[12] >> 4) * 4u;
	if (n_hdr < TCP_HEAD || n_hdr > p->hdr.n)
		return;
	struct cap_seq_in in = {.frame_no = r->no,
				.at_ns = r->at_ns,
				.seq = be32(h + 4),
				.ack = be32(h + 8),
				.n = n_payload(at->ip, p, n_hdr),
				.window = be16(h + 14),
				.flags = h[13],
				.options = h + TCP_HEAD,
				.n_options = (uint8_t)(n_hdr - TCP_HEAD)};
	if (at->is_quoted) {
		cap_seq_quote(v->seq, way, &in, &out->tcp);
		return;
	}
	bool is_again = cap_seq_is_new(v->seq, way, &in);
	if (is_again)
		begin_again(c, v, r->at_ns);
	complete(v, way, &in, is_again, out);
	cap_seq_add(v->seq, way, &in, is_again, &out->tcp);
	weigh(c, v);
}

static void on_header(struct cap_convs *c, const struct place *at, struct cap_seen *out)
{
	const struct cap_ports *p = at->p;
	bool is_tcp = p->proto == CAP_TCP;
	int64_t now_ns = at->r->at_ns;
	int way;
	if (!at->ip || !p->hdr.p || (is_tcp && p->hdr.n < TCP_HEAD))
		return;
	struct addr ends[2] = {at->ip->src, at->ip->dst};
	ends[0].port = p->src;
	ends[1].port = p->dst;
	struct conv *v = conv_get(c, ends, p->proto, now_ns, &way);
	if (!v)
		return;
	if (is_tcp)
		on_segment(c, at, v, way, out);
	out->is_there = true;
	out->stream = v->stream;
	out->setup_frame = is_tcp ? 0 : setup_frame(c, ends);
	out->has_times = is_tcp || (!at->is_quoted && p->n != UDP_HEAD);
	if (!out->has_times)
		return;
	out->since_ns = now_ns - v->first_ns;
	out->delta_ns = now_ns - v->last_ns;
	v->last_ns = now_ns;
}

const struct cap_seen *cap_convs_add(struct cap_convs *c, const struct cap_pkt *k,
				     const struct cap_rec *r)
{
	for (unsigned i = 0; i < k->n_ports; i++) {
		c->seen[i] = (struct cap_seen){0};
		struct place at = {ip_of(k, &k->ports[i]), &k->ports[i], r,
				   k->is_quoted && i + 1 == k->n_ports};
		on_header(c, &at, &c->seen[i]);
		bool is_last = i + 1 == k->n_ports && !k->is_quoted && !k->is_fragment;
		if (is_last && k->proto == CAP_UDP && c->seen[i].is_there &&
		    cap_is_stun(k->p, k->n))
			c->seen[i].stun = cap_stuns_add(c->stuns, c->seen[i].stream, k->p, r);
	}
	return c->seen;
}
