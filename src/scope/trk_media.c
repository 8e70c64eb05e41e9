/* Media: which datagrams are RTP, and whose.
 *
 *	ports   hash by address:port ─► struct port ─► struct trk_media (call, side, codecs), newest
 *first: one for each call that named it in SDP, for ports are used again flows   hash by address
 *pair ─► struct flow: what was found for this pair, and its last stream
 *
 * A datagram looks up its flow; a flow that is new, or older than the newest SDP, looks up its
 * destination and then its source among the ports. Behind NAT packets come from elsewhere than the
 * SDP says, but they go where it says; so the destination counts first. From then on a packet costs
 * one look-up, whether there are 40 streams or 2,000. ICE candidates are ports like the c= line's.
 *
 * A stream is one SSRC received by one side of a call: when the addresses change in mid-call (ICE),
 * it goes on.
 *
 * Invariants:
 * 1. A trk_media is in its port's list and in its call's; flows that point to it are in its list
 *and are cut loose before it is freed. A port without one is freed.
 * 2. At most MAX_FLOWS flows; the one silent longest goes. Streams belong to their call.
 *
 * [RFC3550] [RFC3605] [RFC5761] [RFC8839 5.1] [RFC4733]
 */
#include "base/assert.h"
#include "scope/trk_priv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FLOWS  65'536u
#define MAX_CODECS 12
#define MAX_PORTS  64      /* of one call: media times candidates times hops */
#define MAX_CAND   8       /* candidates read of one medium */
#define QUIET_US   60'000u /* three packets of one stream */
#define MAX_GAP    3'000u  /* a minute; more is another stream */
#define NO_PT      255     /* of a stream before its first packet */

struct codec {
	uint8_t pt;
	uint32_t clock;
	char name[16];
};

struct trk_codecs { /* of one m= line, shared by its ports; freed with its call */
	struct trk_codecs *next;
	unsigned n;
	struct codec v[];
};

struct port {
	struct hnode node;
	struct addr addr;
	struct link media; /* never empty */
};

struct trk_media {              /* an address that one side of a call receives at */
	struct trk_media *next; /* of the call */
	struct link of_port, flows;
	struct port *port;
	struct trk_call *call;
	const struct trk_codecs *codecs; /* may be NULL */
	uint8_t side, type;
};

struct flow {
	struct hnode node;
	struct link age, of; /* of: its media's list */
	struct addr from, to;
	struct trk_media *media; /* NULL: not media */
	bool is_to_media;        /* media->addr is the destination */
	uint32_t gen;
	struct trk_stream *last;
};

enum err trk_media_init(struct trk *t)
{
	list_init(&t->flow_ages);
	if (!t->cfg.has_media)
		return OK;
	enum err e = htab_init(&t->ports, 64);
	return e ? e : htab_init(&t->flows, 64);
}

static void flow_free(struct trk *t, struct flow *f)
{
	htab_del(&t->flows, &f->node);
	list_del(&f->age);
	list_del(&f->of);
	free(f);
}

void trk_media_fini(struct trk *t)
{
	if (!t->cfg.has_media || !t->flow_ages.next)
		return;
	while (!list_is_empty(&t->flow_ages))
		flow_free(t, LIST_ENTRY(t->flow_ages.next, struct flow, age));
	htab_fini(&t->ports);
	htab_fini(&t->flows);
}

static void media_free(struct trk *t, struct trk_media *m)
{
	list_del(&m->of_port);
	if (list_is_empty(&m->port->media)) {
		htab_del(&t->ports, &m->port->node);
		free(m->port);
	}
	free(m);
}

void trk_media_forget(struct trk *t, struct trk_call *c)
{
	while (c->media) {
		struct trk_media *m = c->media;
		c->media = m->next;
		LIST_EACH (&m->flows, l) {
			struct flow *f = LIST_ENTRY(l, struct flow, of);
			list_del(&f->of);
			f->media = NULL;
			f->last = NULL;
			f->gen = 0;
		}
		media_free(t, m);
	}
	while (c->codecs) {
		struct trk_codecs *k = c->codecs;
		c->codecs = k->next;
		free(k);
	}
	while (c->streams) {
		struct trk_stream *s = c->streams;
		c->streams = s->next;
		free(s);
	}
}

/* Keyed, so that nobody can aim at one bucket. */
static uint64_t hash_addr(const struct trk *t, const struct addr *a)
{
	uint64_t k[2], w[2];
	memcpy(k, t->cfg.hash_key, sizeof k);
	memcpy(w, a->ip, sizeof w);
	return trk_fold(w[0] ^ k[0] ^ 0x9e3779b97f4a7c15u,
			w[1] ^ k[1] ^ 0xd1b54a32d192ed03u ^ (uint64_t)a->port << 40);
}

static uint64_t hash_pair(const struct trk *t, const struct addr *a, const struct addr *b)
{
	return trk_fold(hash_addr(t, a) ^ 0xa0761d6478bd642fu,
			hash_addr(t, b) ^ 0xe7037ed1a0b428dbu);
}

/* --- what SDP says ---------------------------------------------------------------------------- */

static struct port *port_find(const struct trk *t, const struct addr *a)
{
	for (struct hnode *n = htab_first(&t->ports, hash_addr(t, a)); n; n = htab_next(n)) {
		struct port *p = CONTAINER_OF(n, struct port, node);
		if (addr_eq(&p->addr, a))
			return p;
	}
	return NULL;
}

/* What the newest call that named the address said of it. */
static struct trk_media *port_of(const struct trk *t, const struct addr *a)
{
	struct port *p = port_find(t, a);
	return p ? LIST_ENTRY(p->media.next, struct trk_media, of_port) : NULL;
}

struct trk_call *trk_media_find(const struct trk *t, const struct addr *to, enum trk_side *side)
{
	const struct trk_media *m = t->cfg.has_media ? port_of(t, to) : NULL;
	if (!m)
		return NULL;
	*side = (enum trk_side)m->side;
	return m->call;
}

static const struct trk_codecs *read_codecs(const struct sdp *s, unsigned i, struct trk_call *c)
{
	struct codec v[MAX_CODECS];
	struct sdp_fmt f;
	unsigned at = 0, n = 0;
	while (n < MAX_CODECS && sdp_fmt_next(s, i, &at, &f)) {
		if (f.pt == SDP_PT_NONE)
			continue;
		v[n].pt = f.pt;
		v[n].clock = f.clock;
		str_copy(v[n++].name, sizeof v[0].name, f.name);
	}
	struct trk_codecs *k = malloc(sizeof *k + n * sizeof v[0]);
	if (!k)
		return NULL;
	k->n = n;
	memcpy(k->v, v, n * sizeof v[0]);
	k->next = c->codecs;
	c->codecs = k;
	return k;
}

static struct port *port_get(struct trk *t, const struct addr *a)
{
	struct port *p = port_find(t, a);
	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->addr = *a;
	list_init(&p->media);
	htab_add(&t->ports, &p->node, hash_addr(t, a));
	return p;
}

static struct trk_media *media_new(struct trk *t, struct trk_call *c, enum trk_side side,
				   const struct addr *a)
{
	struct trk_media *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->port = port_get(t, a);
	if (!m->port) {
		free(m);
		return NULL;
	}
	m->call = c;
	m->side = (uint8_t)side;
	list_init(&m->flows);
	list_add_after(&m->port->media, &m->of_port);
	m->next = c->media;
	c->media = m;
	return m;
}

struct medium { /* an m= line being learnt */
	enum trk_side side;
	uint8_t type;
	const struct trk_codecs *codecs;
};

static void learn_port(struct trk *t, struct trk_call *c, const struct medium *d,
		       const struct addr *a)
{
	if (!a->family || !a->port || addr_is_any(a))
		return;
	struct trk_media *m = c->media;
	unsigned n = 0;
	for (; m && !(addr_eq(&m->port->addr, a) && m->side == d->side); m = m->next)
		n++;
	if (!m && n < MAX_PORTS)
		m = media_new(t, c, d->side, a);
	if (!m)
		return;
	m->type = d->type;
	m->codecs = d->codecs;
	t->media_gen++;
}

/* candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host */
static bool candidate_addr(struct str v, struct addr *a)
{
	struct str word[6];
	for (unsigned i = 0; i < ARRAY_LEN(word); i++)
		word[i] = str_cut(v, ' ', &v);
	uint32_t port;
	return str_ieq(word[2], STR("udp")) && addr_parse(word[4], 0, a) &&
	       str_u32(word[5], &port) && port && port < 65'536 && (a->port = (uint16_t)port);
}

void trk_media_learn(struct trk *t, struct trk_call *c, enum trk_side side)
{
	const struct sdp *s = &t->sdp;
	for (unsigned i = 0; i < s->n_media; i++) {
		const struct sdp_media *m = &s->media[i];
		if (!m->port || !(sdp_proto_flags((enum sdp_proto)m->proto) & SDP_PF_RTP))
			continue;
		struct medium d = {side, m->type, read_codecs(s, i, c)};
		struct addr a = m->conn.addr;
		a.port = m->port;
		learn_port(t, c, &d, &a);
		if (m->rtcp.port != m->port)
			learn_port(t, c, &d, &m->rtcp);
		struct str v;
		unsigned at = 0;
		for (unsigned n = 0;
		     n < MAX_CAND && sdp_attr_next(s, (int)i, SDP_A_CANDIDATE, &at, &v); n++)
			if (candidate_addr(v, &a))
				learn_port(t, c, &d, &a);
	}
}

/* --- packets ---------------------------------------------------------------------------------- */

static void look_up(struct trk *t, struct flow *f)
{
	f->gen = t->media_gen;
	f->is_to_media = true;
	struct trk_media *m = port_of(t, &f->to);
	if (!m) {
		m = port_of(t, &f->from);
		f->is_to_media = false;
	}
	if (m == f->media)
		return;
	list_del(&f->of);
	f->media = m;
	f->last = NULL;
	if (m)
		list_push(&m->flows, &f->of);
}

static struct flow *flow_of(struct trk *t, const struct addr *from, const struct addr *to)
{
	uint64_t h = hash_pair(t, from, to);
	for (struct hnode *n = htab_first(&t->flows, h); n; n = htab_next(n)) {
		struct flow *f = CONTAINER_OF(n, struct flow, node);
		if (!addr_eq(&f->from, from) || !addr_eq(&f->to, to))
			continue;
		if (f->gen != t->media_gen)
			look_up(t, f);
		if (t->flow_ages.prev != &f->age) {
			list_del(&f->age);
			list_push(&t->flow_ages, &f->age);
		}
		return f;
	}
	if (t->flows.n >= MAX_FLOWS)
		flow_free(t, LIST_ENTRY(t->flow_ages.next, struct flow, age));
	struct flow *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->from = *from;
	f->to = *to;
	list_init(&f->of);
	list_push(&t->flow_ages, &f->age);
	htab_add(&t->flows, &f->node, h);
	look_up(t, f);
	return f;
}

/* The receiver's numbers count; where it named none, the sender's. [RFC3264 5.1] */
static const struct codec *codec_of(const struct trk_call *c, uint8_t side, uint8_t pt)
{
	for (int pass = 0; pass < 2; pass++)
		for (const struct trk_media *m = c->media; m; m = m->next)
			for (unsigned i = 0;
			     m->codecs && i < m->codecs->n && (m->side == side) == !pass; i++)
				if (m->codecs->v[i].pt == pt)
					return &m->codecs->v[i];
	return NULL;
}

static void set_codec(struct trk_stream *s, uint8_t pt)
{
	const struct codec *k = codec_of(s->call, s->side, pt);
	struct sdp_fmt f;
	uint32_t clock = k ? k->clock : sdp_static_pt(pt, &f) ? f.clock : 0;
	struct str name = k ? str_c(k->name) : sdp_static_pt(pt, &f) ? f.name : STR_NONE;
	s->pt = pt;
	str_copy(s->codec, sizeof s->codec, name);
	rtp_stats_clock(&s->stats, clock ? clock : 8'000);
}

static struct trk_stream *stream_of(struct flow *f, const struct trk_packet *p,
				    const struct rtp_hdr *h)
{
	struct trk_call *c = f->media->call;
	uint8_t side = f->is_to_media ? f->media->side : !f->media->side;
	for (struct trk_stream *s = c->streams; s; s = s->next)
		if (s->ssrc == h->ssrc && s->side == side) {
			if (!addr_eq(&s->from, &p->from) || !addr_eq(&s->to, &p->to))
				s->n_paths = (uint8_t)(s->n_paths < 255 ? s->n_paths + 1 : 255);
			return s;
		}
	struct trk_stream *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct trk_stream){.next = c->streams,
				 .call = c,
				 .from = p->from,
				 .to = p->to,
				 .ssrc = h->ssrc,
				 .side = side,
				 .media = f->media->type,
				 .n_paths = 1,
				 .pt = NO_PT,
				 .first_frame = p->frame_no};
	rtp_stats_init(&s->stats, 8'000);
	c->streams = s;
	return s;
}

/* A digit is sent in several packets with one timestamp. [RFC4733 2.5.1] */
static void on_event(struct trk_stream *s, const struct rtp_hdr *h)
{
	struct rtp_event ev;
	if (rtp_event_parse(h->payload, &ev) || (s->n_events && s->last_event_ts == h->ts))
		return;
	s->last_event_ts = h->ts;
	char digit = rtp_event_digit(ev.event);
	if (digit && s->n_events < sizeof s->digits - 1)
		s->digits[s->n_events] = digit;
	s->n_events++;
}

/* A time without any RTP: what a stream lost in it, the sniffer lost. */
static void note_quiet(struct trk *t, uint64_t at_us)
{
	if (t->rtp_us && at_us > t->rtp_us + QUIET_US) {
		t->quiet_from_us = t->rtp_us;
		t->quiet_to_us = at_us;
	}
	t->rtp_us = at_us;
}

/* The packet with that number comes next in s: were those before it lost in the quiet time? */
static void note_unseen(const struct trk *t, struct trk_stream *s, uint16_t seq, uint64_t at_us)
{
	uint16_t gap = (uint16_t)(seq - s->stats.max_seq - 1);
	bool is_gap = s->stats.is_started && gap > 1 && gap < MAX_GAP;
	if (is_gap && t->quiet_to_us && s->stats.last_us <= t->quiet_from_us &&
	    at_us >= t->quiet_to_us &&
	    at_us - s->stats.last_us < t->quiet_to_us - t->quiet_from_us + QUIET_US)
		s->n_unseen += gap;
}

static void on_rtp(struct trk *t, struct flow *f, const struct trk_packet *p,
		   const struct rtp_hdr *h)
{
	struct trk_stream *s = f->last;
	if (!s || s->ssrc != h->ssrc)
		s = f->last = stream_of(f, p, h);
	if (!s)
		return;
	t->stats.n_rtp++;
	note_quiet(t, p->at_us);
	note_unseen(t, s, h->seq, p->at_us);
	s->last_frame = p->frame_no;
	if (h->pt != s->pt) {
		const struct codec *k = codec_of(s->call, s->side, h->pt);
		if (k && str_ieq(str_c(k->name), STR("telephone-event")))
			on_event(s, h);
		else if (!k || !str_ieq(str_c(k->name), STR("CN")))
			set_codec(s, h->pt);
	}
	rtp_stats_add(&s->stats, h->seq, h->ts, (uint32_t)h->payload.n, p->at_us);
}

enum rtp_kind trk_media(struct trk *t, const struct trk_packet *p, struct rtp_hdr *rtp)
{
	if (!t->cfg.has_media)
		return RTP_UNKNOWN;
	struct flow *f = flow_of(t, &p->from, &p->to);
	if (!f || !f->media)
		return RTP_UNKNOWN;
	enum rtp_kind kind = rtp_demux(p->bytes.p, p->bytes.n);
	struct rtp_hdr h;
	if (kind != RTP_RTP)
		return kind;
	if (rtp_parse(p->bytes.p, p->bytes.n, &h))
		return RTP_UNKNOWN;
	on_rtp(t, f, p, &h);
	if (rtp)
		*rtp = h;
	return RTP_RTP;
}
