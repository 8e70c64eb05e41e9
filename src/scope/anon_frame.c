/* Frames made anew from what was understood of the old ones.
 *
 * Nothing of the old bytes is copied but what was rewritten: a message through anon_message, an RTP
 * or RTCP packet field by field. Ethernet addresses are made of the new IP addresses. Every packet
 * has true lengths and checksums; one that the sniffer had cut says again how long it was.
 *
 *	UDP   a packet for each message; its IP identification stays, which tells a mirror port
 *	TCP   a segment for each message; each direction counts its own sequence numbers
 *	WS    the same, in a WebSocket frame without a mask [RFC6455 5.2]
 *	RTP   header kept, extension zeroed, payload silenced; an event becomes the digit 0
 *	RTCP  figures kept; names, reasons, APP data and what cannot be read overwritten
 *	ICMP  the error with the headers that it quotes, and the SIP behind them
 */
#include "scope/anon_priv.h"

#include "base/cut.h"
#include "rtp/rtcp.h"

#include <stdlib.h>
#include <string.h>

struct flow { /* one direction of a TCP connection */
	struct hnode node;
	struct addr from, to;
	uint32_t next;
};

static void free_flow(void *table, struct hnode *n)
{
	htab_del(table, n);
	free(CONTAINER_OF(n, struct flow, node));
}

void anon_conns_fini(struct anon *a)
{
	htab_each(&a->conns, free_flow, &a->conns);
	htab_fini(&a->conns);
}

static struct flow *flow_of(struct anon *a, const struct addr *from, const struct addr *to)
{
	uint64_t h = addr_hash(a->key, from) + 3 * addr_hash(a->key, to);
	for (struct hnode *n = htab_first(&a->conns, h); n; n = htab_next(n)) {
		struct flow *f = CONTAINER_OF(n, struct flow, node);
		if (addr_eq(&f->from, from) && addr_eq(&f->to, to))
			return f;
	}
	struct flow *f = calloc(1, sizeof *f);
	if (!f) {
		a->err = ERR_NOMEM;
		return NULL;
	}
	*f = (struct flow){.from = *from, .to = *to, .next = 1};
	htab_add(&a->conns, &f->node, h);
	return f;
}

/* --- packets ---------------------------------------------------------------------------------- */

struct packet { /* to be made */
	struct addr from, to;
	uint8_t proto;
	uint16_t ip_id;
	uint32_t missing; /* bytes that the sniffer did not keep */
};

static void put16(struct buf *b, unsigned v)
{
	buf_chr(b, (char)(v >> 8));
	buf_chr(b, (char)v);
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

static uint32_t sum_bytes(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n > 1; p += 2, n -= 2)
		sum += be16(p);
	return n ? sum + (uint32_t)(*p << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t ip_bytes(const struct addr *a)
{
	return a->family == ADDR_V4 ? 4 : 16;
}

static void put_mac(struct buf *b, const struct addr *a)
{
	put16(b, 0x0200); /* locally administered */
	buf_put(b, a->ip + ip_bytes(a) - 4, 4);
}

static void put_ip(struct buf *b, const struct packet *k, size_t n)
{
	size_t at = b->n;
	n += k->missing;
	if (k->from.family == ADDR_V4) {
		put16(b, 0x4500);
		put16(b, (unsigned)(n + 20));
		put16(b, k->ip_id);
		put16(b, 0);
		put16(b, 64u << 8 | k->proto);
		put16(b, 0);
		buf_put(b, k->from.ip, 4);
		buf_put(b, k->to.ip, 4);
		if (!b->err) {
			uint16_t sum = fold(sum_bytes((uint8_t *)b->p + at, 20, 0));
			b->p[at + 10] = (char)(sum >> 8);
			b->p[at + 11] = (char)sum;
		}
		return;
	}
	put32(b, 6u << 28);
	put16(b, (unsigned)n);
	put16(b, (unsigned)k->proto << 8 | 64);
	buf_put(b, k->from.ip, 16);
	buf_put(b, k->to.ip, 16);
}

/* The checksum of what stands from `at` on goes to `at + sum_at`. [RFC768] [RFC8200 8.1] */
static void put_checksum(struct buf *b, const struct packet *k, size_t at, size_t sum_at,
			 bool has_pseudo)
{
	if (b->err)
		return;
	uint8_t *p = (uint8_t *)b->p + at;
	size_t n = b->n - at;
	uint32_t sum = sum_bytes(p, n, 0);
	if (has_pseudo) {
		size_t len = ip_bytes(&k->from);
		sum = sum_bytes(k->from.ip, len, sum_bytes(k->to.ip, len, sum));
		sum += (uint32_t)n + k->proto;
	}
	uint16_t v = fold(sum);
	if (!v && k->proto == CAP_UDP)
		v = 0xffff;
	p[sum_at] = (uint8_t)(v >> 8);
	p[sum_at + 1] = (uint8_t)v;
}

typedef void emit_fn(void *arg, const struct cap_rec *r);

static void begin(struct anon *a, const struct packet *k, size_t n)
{
	buf_clear(&a->frame);
	put_mac(&a->frame, &k->to);
	put_mac(&a->frame, &k->from);
	put16(&a->frame, k->from.family == ADDR_V4 ? 0x0800 : 0x86dd);
	put_ip(&a->frame, k, n);
}

static void end(struct anon *a, const struct packet *k, const struct cap_frame *fr, emit_fn *fn,
		void *arg)
{
	if (a->frame.err) {
		a->err = a->frame.err;
		return;
	}
	struct cap_rec r = fr->rec;
	r.link = CAP_LINK_ETHERNET;
	r.if_name = NULL; /* what people called it, and what they wrote to the packet */
	r.comment = STR_NONE;
	r.p = (const uint8_t *)a->frame.p;
	r.n = (uint32_t)a->frame.n;
	r.n_wire = r.n + k->missing;
	fn(arg, &r);
}

static struct packet packet_of(struct anon *a, const struct addr *from, const struct addr *to,
			       uint8_t proto)
{
	return (struct packet){.from = anon_addr(a, from), .to = anon_addr(a, to), .proto = proto};
}

static void put_udp(struct anon *a, const struct packet *k, struct str payload)
{
	begin(a, k, payload.n + 8);
	size_t at = a->frame.n;
	put16(&a->frame, k->from.port);
	put16(&a->frame, k->to.port);
	put16(&a->frame, (unsigned)(payload.n + 8 + k->missing));
	put16(&a->frame, 0);
	buf_str(&a->frame, payload);
	if (!k->missing)
		put_checksum(&a->frame, k, at, 6, true);
}

static void put_tcp(struct anon *a, const struct packet *k, struct str payload)
{
	struct flow *out = flow_of(a, &k->from, &k->to), *back = flow_of(a, &k->to, &k->from);
	if (!out || !back)
		return;
	begin(a, k, payload.n + 20);
	size_t at = a->frame.n;
	put16(&a->frame, k->from.port);
	put16(&a->frame, k->to.port);
	put32(&a->frame, out->next);
	put32(&a->frame, back->next);
	put16(&a->frame, 5u << 12 | CAP_TCP_ACK | 8 /* PSH */);
	put16(&a->frame, 0xffff);
	put32(&a->frame, 0);
	buf_str(&a->frame, payload);
	put_checksum(&a->frame, k, at, 16, true);
	out->next += (uint32_t)payload.n;
}

/* --- what they hold --------------------------------------------------------------------------- */

static void ws_head(struct buf *b, size_t n)
{
	buf_chr(b, (char)0x81); /* final, text */
	if (n < 126) {
		buf_chr(b, (char)n);
	} else if (n < 65'536) {
		buf_chr(b, 126);
		put16(b, (unsigned)n);
	} else {
		buf_chr(b, 127);
		put32(b, 0);
		put32(b, (uint32_t)n);
	}
}

#define MAX_PAYLOAD 65'000u

static void on_message(struct anon *a, const struct cap_frame *fr, size_t i, emit_fn *fn, void *arg)
{
	const struct trk_packet *p = &fr->msgs[i].pkt;
	bool is_udp = p->transport == TRK_UDP;
	struct packet k = packet_of(a, &p->from, &p->to, is_udp ? CAP_UDP : CAP_TCP);
	k.ip_id = p->ip_id;
	buf_clear(&a->payload);
	anon_message(a, &a->payload, cap_index(fr, i));
	struct str text = buf_view(&a->payload);
	if (is_udp) {
		if (!fr->is_whole && fr->rec.n_wire > fr->rec.n)
			k.missing = fr->rec.n_wire - fr->rec.n;
		put_udp(a, &k, str_sub(text, 0, MAX_PAYLOAD));
		end(a, &k, fr, fn, arg);
		return;
	}
	if (p->transport == TRK_WS || p->transport == TRK_WSS) {
		struct buf framed;
		buf_init(&framed);
		ws_head(&framed, text.n);
		buf_str(&framed, text);
		buf_clear(&a->payload);
		buf_str(&a->payload, buf_view(&framed));
		buf_fini(&framed);
		text = buf_view(&a->payload);
	}
	while (text.n) {
		struct str piece = str_sub(text, 0, MAX_PAYLOAD);
		put_tcp(a, &k, piece);
		end(a, &k, fr, fn, arg);
		text = str_skip(text, piece.n);
	}
}

static void silence_rtp(struct buf *b, const struct rtp_hdr *h, const char *base)
{
	if (b->err)
		return;
	if (h->ext.p)
		memset(b->p + (h->ext.p - base), 0, h->ext.n);
	char *payload = b->p + (h->payload.p - base);
	if (h->pt >= 96 && h->payload.n == RTP_EVENT_SIZE)
		payload[0] = 0; /* the digit; its times stay [RFC4733 2.3] */
	else
		memset(payload, h->pt == 0 ? 0xff : h->pt == 8 ? 0xd5 : 0, h->payload.n);
	if (h->n_pad > 1)
		memset(b->p + b->n - h->n_pad, 0, h->n_pad - 1u);
}

/* Chunks of {source, items up to a zero byte}. [RFC3550 6.5] */
static void mask_sdes(uint8_t *p, size_t n)
{
	for (size_t at = 4; at < n;) {
		if (!p[at]) { /* to the next chunk's items */
			at = (at + 4) / 4 * 4 + 4;
			continue;
		}
		size_t len = at + 1 < n ? p[at + 1] : 0;
		for (size_t i = at + 2; i < at + 2 + len && i < n; i++)
			p[i] = 'x';
		at += 2 + len;
	}
}

static void mask_rtcp(struct buf *b)
{
	struct rtcp_pkt pkt;
	size_t at = 0;
	enum err e = OK;
	if (b->err)
		return;
	while ((e = rtcp_next(b->p, b->n, &at, &pkt)) == OK) {
		uint8_t *p = (uint8_t *)b->p + (pkt.body.p - b->p);
		size_t named = pkt.type == RTCP_BYE ? 4u * pkt.count : 4; /* bytes of sources */
		bool is_text = pkt.type == RTCP_BYE || pkt.type == RTCP_APP;
		if (pkt.type == RTCP_SDES)
			mask_sdes(p, pkt.body.n);
		else if (is_text && pkt.body.n > named)
			memset(p + named, 0, pkt.body.n - named);
	}
	if (e != ERR_MORE && b->n > 8) /* encrypted, or none */
		memset(b->p + 8, 0, b->n - 8);
}

static bool on_media(struct anon *a, const struct cap_frame *fr, emit_fn *fn, void *arg)
{
	const struct cap_pkt *d = &fr->pkt;
	struct rtp_hdr h;
	bool is_rtp = fr->media == RTP_RTP && rtp_parse(d->p, d->n, &h) == OK;
	if (!is_rtp && fr->media != RTP_RTCP)
		return false;
	struct packet k = packet_of(a, &d->src, &d->dst, CAP_UDP);
	k.missing = fr->rec.n_wire > fr->rec.n ? fr->rec.n_wire - fr->rec.n : 0;
	k.ip_id = (uint16_t)(d->src.family == ADDR_V4 ? d->ips[d->n_ips - 1].id : 0);
	buf_clear(&a->payload);
	buf_put(&a->payload, d->p, d->n);
	if (is_rtp)
		silence_rtp(&a->payload, &h, (const char *)d->p);
	else
		mask_rtcp(&a->payload);
	put_udp(a, &k, buf_view(&a->payload));
	end(a, &k, fr, fn, arg);
	return true;
}

static bool on_icmp(struct anon *a, const struct cap_frame *fr, emit_fn *fn, void *arg)
{
	const struct cap_pkt *d = &fr->pkt;
	bool is_v6 = d->has_icmp6;
	if (!d->is_quoted || d->n_ips < 2 || (d->proto != CAP_UDP && d->proto != CAP_TCP) ||
	    (d->ips[0].src.family == ADDR_V6) != is_v6)
		return false;
	struct packet k =
		packet_of(a, &d->ips[0].src, &d->ips[0].dst, is_v6 ? CAP_ICMP6 : CAP_ICMP);
	struct packet q = packet_of(a, &d->src, &d->dst, d->proto);
	buf_clear(&a->payload);
	if (fr->n_quoted)
		anon_message(a, &a->payload, cap_index(fr, 0));
	struct str text = str_sub(buf_view(&a->payload), 0, MAX_PAYLOAD);
	size_t quoted = (q.from.family == ADDR_V4 ? 20 : 40) + 8 + text.n;
	begin(a, &k, 8 + quoted);
	size_t at = a->frame.n;
	buf_chr(&a->frame, (char)d->icmp_type);
	buf_chr(&a->frame, (char)d->icmp_code);
	put16(&a->frame, 0);
	put32(&a->frame, 0);
	put_ip(&a->frame, &q, 8 + text.n);
	put16(&a->frame, q.from.port);
	put16(&a->frame, q.to.port);
	put32(&a->frame, /* length, or sequence number */
	      d->proto == CAP_UDP ? (uint32_t)(8 + text.n) << 16 : 0);
	buf_str(&a->frame, text);
	put_checksum(&a->frame, &k, at, 2, is_v6);
	end(a, &k, fr, fn, arg);
	return true;
}

void anon_frame(struct anon *a, const struct cap_frame *fr, emit_fn *fn, void *arg)
{
	for (size_t i = 0; i < fr->n_msgs; i++)
		on_message(a, fr, i, fn, arg);
	if (!fr->n_msgs && !on_media(a, fr, fn, arg) && !on_icmp(a, fr, fn, arg))
		a->n_left_out++;
}
