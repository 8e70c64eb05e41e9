/* Media: which datagrams are RTP, and whose.
 *
 *	ports   hash by address:port ─► struct port ─► struct trk_media (call, side, codecs), newest
 *	        first: one for each call that named it in SDP, for ports are used again
 *	flows   hash by address pair ─► struct flow: what was found for this pair, and its last
 *streams
 *
 * A datagram looks up its flow; a flow that is new, or older than the newest SDP, looks up its
 * destination and then its source among the ports. Behind NAT packets come from elsewhere than the
 * SDP says, but they go where it says; so the destination counts first. An SDP that names a private
 * address and came from a public one stands for that one, too, with the same port: many a NAT keeps
 * it. From then on a packet costs one look-up, whether there are 40 streams or 2,000. ICE
 *candidates are ports like the c= line's. What no SDP named is left to trk_find.c.
 *
 * Invariants:
 * 1. A trk_media is in its port's list and in its call's; flows that point to it are in its list
 *    and are cut loose before it is freed. A port without one is freed.
 * 2. A flow with streams is media, or is_content.
 * 3. At most MAX_FLOWS flows; one that was silent for long goes, and a new one takes its memory, so
 *    that `then` always leads to a flow. Streams belong to their call.
 *
 * [RFC3550] [RFC3605] [RFC5761] [RFC8839 5.1] [ITU-T T.38]
 */
#include "base/assert.h"
#include "track/trk_media_priv.h"
#include "track/trk_srtp.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FLOWS   65'536u
#define RENEW_AFTER 65'536u /* datagrams */

enum err trk_media_init(struct trk *t)
{
	list_init(&t->flow_ages);
	if (!t->cfg.has_media)
		return OK;
	enum err e = trk_streams_init(t);
	if (!e)
		e = htab_init(&t->ports, 64);
	return e ? e : htab_init(&t->flows, 64);
}

static void flow_unlink(struct trk *t, struct flow *f)
{
	htab_del(&t->flows, &f->node);
	list_del(&f->age);
	list_del(&f->of);
	trk_probe_drop(f);
}

void trk_media_fini(struct trk *t)
{
	if (!t->cfg.has_media || !t->flow_ages.next)
		return;
	while (!list_is_empty(&t->flow_ages)) {
		struct flow *f = LIST_ENTRY(t->flow_ages.next, struct flow, age);
		flow_unlink(t, f);
		free(f);
	}
	htab_fini(&t->ports);
	htab_fini(&t->flows);
	trk_streams_fini(t);
}

void trk_media_forget(struct trk *t, struct trk_call *c)
{
	struct trk_av *av = c->av;
	while (av && av->media) {
		struct trk_media *m = av->media;
		av->media = m->next;
		LIST_EACH (&m->flows, l) {
			struct flow *f = LIST_ENTRY(l, struct flow, of);
			list_del(&f->of);
			f->media = NULL;
			memset(f->last, 0, sizeof f->last);
			f->gen = 0;
		}
		trk_media_free(t, m);
	}
	while (av && av->codecs) {
		struct trk_codecs *k = av->codecs;
		av->codecs = k->next;
		free(k);
	}
	trk_keys_forget(c);
	trk_streams_forget(t, c);
}

static uint64_t hash_pair(const struct trk *t, const struct addr *a, const struct addr *b)
{
	return 3 * trk_addr_hash(t, a) + trk_addr_hash(t, b);
}

/* --- packets ---------------------------------------------------------------------------------- */

static void look_up(struct trk *t, struct flow *f)
{
	f->gen = t->media_gen;
	f->is_to_media = true;
	struct trk_media *m = trk_port_of(t, &f->to);
	if (!m) {
		m = trk_port_of(t, &f->from);
		f->is_to_media = false;
	}
	if (m == f->media)
		return;
	list_del(&f->of);
	f->media = m;
	if (m) {
		list_push(&m->flows, &f->of);
		if (f->is_content)
			trk_streams_adopt(t, f);
		trk_probe_drop(f);
		f->is_content = false;
	}
	memset(f->last, 0, sizeof f->last);
}

static inline bool is_between(const struct flow *f, const struct addr *from, const struct addr *to)
{
	return addr_eq(&f->from, from) && addr_eq(&f->to, to);
}

static struct flow *find(const struct trk *t, uint64_t hash, const struct addr *from,
			 const struct addr *to)
{
	for (struct hnode *n = htab_first(&t->flows, hash); n; n = htab_next(n)) {
		struct flow *f = CONTAINER_OF(n, struct flow, node);
		if (is_between(f, from, to))
			return f;
	}
	return NULL;
}

struct flow *trk_flow_find(struct trk *t, const struct addr *from, const struct addr *to)
{
	return find(t, hash_pair(t, from, to), from, to);
}

/* The memory of the one silent longest is taken when there are MAX_FLOWS. */
static struct flow *flow_new(struct trk *t)
{
	if (t->flows.n < MAX_FLOWS)
		return trk_alloc_lines(sizeof(struct flow));
	struct flow *f = LIST_ENTRY(t->flow_ages.next, struct flow, age);
	flow_unlink(t, f);
	*f = (struct flow){0};
	return f;
}

[[gnu::noinline]] static struct flow *flow_get(struct trk *t, const struct addr *from,
					       const struct addr *to)
{
	uint64_t h = hash_pair(t, from, to);
	struct flow *f = find(t, h, from, to);
	if (f || !(f = flow_new(t)))
		return f;
	f->from = *from;
	f->to = *to;
	list_init(&f->of);
	f->renewed = t->n_datagrams;
	list_push(&t->flow_ages, &f->age);
	htab_add(&t->flows, &f->node, h);
	look_up(t, f);
	return f;
}

/* SDP that came since may name one of its ends. */
static inline void refresh(struct trk *t, struct flow *f)
{
	if (f->gen != t->media_gen)
		look_up(t, f);
}

/* In place: GCC takes a function that only fetches for one without effect, and drops its calls. */
[[gnu::always_inline]] static inline void fetch_next(const struct flow *f)
{
	const struct flow *next = f->then;
	if (next) {
		trk_stream_fetch(next->last[0]);
		trk_fetch(next->then, offsetof(struct flow, last[1]));
	}
}

/* Streams send at a steady rate, so the order in which they come repeats. Whose datagram came after
 * this flow's last one is therefore asked first, and what the next ones will need is fetched: with
 * thousands of flows each would wait for memory several times. */
static struct flow *flow_of(struct trk *t, const struct addr *from, const struct addr *to)
{
	struct flow *before = t->last_flow, *f = before ? before->then : NULL;
	if (!f || !is_between(f, from, to)) {
		f = flow_get(t, from, to);
		if (!f)
			return NULL;
		if (before)
			before->then = f;
	}
	t->last_flow = f;
	fetch_next(f);
	refresh(t, f);
	/* moving costs the neighbours' cache lines: a place in the list is renewed now and then */
	if (t->n_datagrams - f->renewed > RENEW_AFTER) {
		f->renewed = t->n_datagrams;
		list_del(&f->age);
		list_push(&t->flow_ages, &f->age);
	}
	return f;
}

static enum rtp_kind on_rtp(struct trk *t, struct flow *f, const struct trk_datagram *p,
			    struct rtp_hdr *rtp)
{
	if (rtp_parse(p->bytes.p, p->bytes.n, rtp))
		return RTP_UNKNOWN;
	if (!f->media && !f->is_content) {
		if (!trk_probe_add(f, p, rtp))
			return RTP_UNKNOWN;
		f->is_content = true;
		trk_probe_replay(t, f);
	}
	t->media_stream = trk_stream_add(t, f, p, rtp);
	return RTP_RTP;
}

/* A UDPTL packet: sequence number, then a length and so much of a primary packet. [T.38 9.1] */
static bool is_t38(const struct flow *f, const uint8_t *b, size_t n)
{
	return f->media && f->media->is_t38 && n >= 4 && b[2] < 128 && b[2] + 3u <= n;
}

static enum rtp_kind on_rtcp(struct trk *t, struct flow *f, const struct trk_datagram *p)
{
	if (f->media) {
		uint8_t side = f->is_to_media ? f->media->side : !f->media->side;
		trk_rtcp_add(t, f->media->call, side, p);
		return RTP_RTCP;
	}
	/* of streams that were found by their looks: on the same ports, or on the next ones */
	struct addr from = *p->from, to = *p->to;
	from.port--;
	to.port--;
	const struct flow *rtp = f->is_content ? f : trk_flow_find(t, &from, &to);
	if (!rtp || !rtp->is_content)
		return RTP_UNKNOWN;
	trk_rtcp_add(t, NULL, 0, p);
	return RTP_RTCP;
}

/* What the records of a datagram tell: type, version, epoch (2), number (6), length (2), content.
 * [RFC6347 4.1] A byte from 32 to 63 begins an encrypted one of DTLS 1.3. [RFC9147 4] */
static void on_dtls(const struct flow *f, const uint8_t *p, size_t n)
{
	enum { HEAD = 13, ALERT = 21, HANDSHAKE = 22, APPLICATION = 23, UNIFIED = 32, FATAL = 2 };
	struct trk_call *c = f->media->call;
	uint8_t *to = &c->av->dtls[f->is_to_media ? f->media->side : !f->media->side];
	while (n > HEAD) {
		size_t len = (size_t)p[11] << 8 | p[12];
		if (p[0] >= UNIFIED || p[3] || p[4] || p[0] == APPLICATION) {
			*to |= TRK_DT_SECRET;
			return;
		}
		if (p[0] == HANDSHAKE)
			*to |= TRK_DT_HELLO;
		if (p[0] == ALERT && n >= HEAD + 2 && p[HEAD] == FATAL) {
			*to |= TRK_DT_ALERT;
			c->av->dtls_alert = p[HEAD + 1];
		}
		if (len > n - HEAD)
			return;
		p += HEAD + len;
		n -= HEAD + len;
	}
}

[[gnu::noinline]] static enum rtp_kind on_any(struct trk *t, const struct trk_datagram *p,
					      struct rtp_hdr *rtp)
{
	t->media_stream = NULL;
	if (!t->cfg.has_media || (t->first_unlearnt && !trk_sdp_is_needed(t, p->bytes)))
		return RTP_UNKNOWN;
	t->n_datagrams++;
	struct flow *f = flow_of(t, p->from, p->to);
	if (!f || (!f->media && !t->cfg.finds_media))
		return RTP_UNKNOWN;
	const uint8_t *b = (const uint8_t *)p->bytes.p;
	enum rtp_kind kind = rtp_demux(b, p->bytes.n);
	if (kind == RTP_RTP)
		return on_rtp(t, f, p, rtp);
	if (kind == RTP_RTCP)
		return on_rtcp(t, f, p);
	if (kind == RTP_DTLS && f->media)
		on_dtls(f, b, p->bytes.n);
	if (is_t38(f, b, p->bytes.n)) {
		t->media_stream = trk_stream_add_t38(t, f, p, (uint16_t)(b[0] << 8 | b[1]));
		return RTP_T38;
	}
	return f->media || f->is_content ? kind : RTP_UNKNOWN;
}

/* The flow that is expected next, if it is this one and all that is known of it stands. */
static inline struct flow *expected_flow(const struct trk *t, const struct trk_datagram *p)
{
	struct flow *f = t->last_flow ? t->last_flow->then : NULL;
	bool is_it = f && is_between(f, p->from, p->to) && f->last[0] && f->gen == t->media_gen &&
		     t->n_datagrams - f->renewed < RENEW_AFTER && !t->first_unlearnt;
	return is_it ? f : NULL;
}

/* Most packets are RTP of a stream that is known; of those on_any would do the same. */
enum rtp_kind trk_media(struct trk *t, const struct trk_datagram *p, struct rtp_hdr *rtp)
{
	struct rtp_hdr own;
	struct flow *f = expected_flow(t, p);
	if (!rtp)
		rtp = &own;
	if (!f || rtp_demux(p->bytes.p, p->bytes.n) != RTP_RTP ||
	    rtp_parse(p->bytes.p, p->bytes.n, rtp))
		return on_any(t, p, rtp);
	t->n_datagrams++;
	t->last_flow = f;
	fetch_next(f);
	t->media_stream = trk_stream_add(t, f, p, rtp);
	return RTP_RTP;
}

struct trk_stream *trk_media_stream(const struct trk *t)
{
	return t->media_stream;
}

void trk_unreachable(struct trk *t, const struct addr *from, const struct addr *to)
{
	struct flow *f = t->cfg.has_media ? trk_flow_find(t, from, to) : NULL;
	if (!f)
		return;
	if (f->last[0])
		f->last[0]->n_unreachable++;
	if (f->media)
		f->media->call->av
			->n_unreachable[f->is_to_media ? f->media->side : !f->media->side]++;
}

enum rtp_kind trk_media_quoted(struct trk *t, const struct trk_datagram *p, struct rtp_hdr *rtp)
{
	const struct flow *f = t->cfg.has_media ? trk_flow_find(t, p->from, p->to) : NULL;
	if (!f || (!f->media && !f->is_content))
		return RTP_UNKNOWN;
	enum rtp_kind kind = rtp_demux(p->bytes.p, p->bytes.n);
	return kind == RTP_RTP && rtp_parse(p->bytes.p, p->bytes.n, rtp) ? RTP_UNKNOWN : kind;
}

bool trk_is_secure(struct trk *t, const struct addr *from, const struct addr *to)
{
	const struct flow *f = t->cfg.has_media ? trk_flow_find(t, from, to) : NULL;
	return f && f->media && f->media->crypt != TRK_PLAIN;
}

struct trk_call *trk_media_call(struct trk *t, const struct addr *from, const struct addr *to)
{
	struct flow *f = t->cfg.has_media ? flow_get(t, from, to) : NULL;
	if (!f)
		return NULL;
	refresh(t, f);
	return f->media ? f->media->call : NULL;
}

const struct trk_av trk_no_av;

struct trk_av *trk_av_get(struct trk *t, struct trk_call *c)
{
	if (!c->av && (c->av = trk_alloc(t, c, sizeof *c->av, _Alignof(struct trk_av))))
		memset(c->av, 0, sizeof *c->av);
	return c->av;
}
