/* Streams: one SSRC received by one side of a call, and the figures that each of its packets adds
 * to.
 *
 *	streams   hash by owner and SSRC ─► struct trk_stream; of nobody's by addresses and SSRC,
 *	          for a generator may use one SSRC in all of its calls
 *	flow      its last few streams: what a packet looks at first
 *
 * When addresses change in mid-call (ICE, a phone that moved) the stream goes on: its numbers go on
 * on the new path. A relay that the capture sees on both sides makes two streams of one SSRC: on
 *the second path come numbers that were there before. So a new path is taken for the old stream
 *only when its first packet is ahead of what came.
 *
 * Silence is measured where a look at the payload tells: G.711 in the clear. Six words of a packet
 * stand for it: when no sample in them is louder than 120 of 32,768 (-49 dB), it is silent.
 *
 * Invariants:
 * 1. A stream is in the table; in its call's list or among the orphans, never both.
 * 2. At most MAX_OF_CALL streams of a call, MAX_ORPHANS of nobody (live MAX_LIVE, the oldest goes,
 *and MAX_ALL_LIVE in all); packets of further ones are counted in all only. A stream's memory does
 *not grow.
 *
 * [RFC3550 5, 8] [RFC3389] [RFC4733] [RFC8839]
 */
#include "track/trk_media_priv.h"
#include "track/trk_srtp.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OF_CALL  256
#define MAX_ORPHANS  65'536u
#define MAX_LIVE     4'096u
#define MAX_ALL_LIVE 262'144u /* of calls and of nobody */
#define MAX_SAME     256u     /* streams of nobody's with one SSRC, among which RTCP looks */
#define NO_PT        255      /* of a stream before its first packet */
#define MAX_AHEAD    1'000    /* a new path goes on where the old one stopped */
#define EVENT_CLOCK  8'000
#define DYNAMIC_PT   96
#define MAX_EVENT    16

enum { LEVEL_NONE, LEVEL_ULAW, LEVEL_ALAW };

enum err trk_streams_init(struct trk *t)
{
	list_init(&t->orphans);
	enum err e = htab_init(&t->streams, 64);
	return e ? e : htab_init(&t->ssrcs, 64);
}

static void remove_from_tables(struct trk *t, struct trk_stream *s)
{
	htab_del(&t->streams, &s->node);
	if (s->is_by_ssrc)
		htab_del(&t->ssrcs, &s->by_ssrc);
	s->is_by_ssrc = false;
}

static void stream_free(struct trk *t, struct trk_stream *s)
{
	remove_from_tables(t, s);
	list_del(&s->orphan);
	trk_srtp_free(s->srtp);
	free(s->rtcp);
	free(s);
}

void trk_streams_fini(struct trk *t)
{
	while (t->orphans.next && !list_is_empty(&t->orphans))
		stream_free(t, LIST_ENTRY(t->orphans.next, struct trk_stream, orphan));
	trk_gap_fini(t);
	htab_fini(&t->streams);
	htab_fini(&t->ssrcs);
}

void trk_streams_forget(struct trk *t, struct trk_call *c)
{
	while (c->av && c->av->streams) {
		struct trk_stream *s = c->av->streams;
		c->av->streams = s->next;
		stream_free(t, s);
	}
	t->media_stream = NULL;
}

static uint64_t hash_ssrc(const struct trk *t, uint64_t owner, uint32_t ssrc)
{
	uint64_t k;
	memcpy(&k, t->hash_key, sizeof k);
	return hash_fold(owner ^ k ^ 0x9e3779b97f4a7c15u, ssrc ^ 0xd1b54a32d192ed03u);
}

static uint64_t hash_stream(const struct trk *t, const struct trk_call *c, const struct addr *from,
			    const struct addr *to, uint32_t ssrc)
{
	uint64_t owner =
		c ? (uintptr_t)c : addr_hash(t->hash_key, from) + 3 * addr_hash(t->hash_key, to);
	return hash_ssrc(t, owner, ssrc);
}

/* RTCP looks among the first MAX_SAME; a longer chain would only cost. */
static bool is_rare(const struct trk *t, uint64_t hash)
{
	unsigned n = 0;
	for (struct hnode *k = htab_first(&t->ssrcs, hash); k && n < MAX_SAME; k = htab_next(k))
		n++;
	return n < MAX_SAME;
}

static void put_into_tables(struct trk *t, struct trk_stream *s)
{
	uint64_t hash = hash_ssrc(t, 0, s->ssrc);
	htab_add(&t->streams, &s->node, hash_stream(t, s->call, &s->from, &s->to, s->ssrc));
	s->is_by_ssrc = !s->call && is_rare(t, hash);
	if (s->is_by_ssrc)
		htab_add(&t->ssrcs, &s->by_ssrc, hash);
}

static struct trk_stream *stream_next(struct hnode *n, const struct trk_call *c, uint32_t ssrc)
{
	for (; n; n = htab_next(n)) {
		struct trk_stream *s = CONTAINER_OF(n, struct trk_stream, node);
		if (s->ssrc == ssrc && s->call == c)
			return s;
	}
	return NULL;
}

static struct trk_stream *find_orphan(const struct trk *t, uint32_t ssrc, const struct addr *end,
				      bool is_sender)
{
	struct trk_stream *any = NULL;
	struct hnode *n = htab_first(&t->ssrcs, hash_ssrc(t, 0, ssrc));
	for (; n; n = htab_next(n)) {
		struct trk_stream *s = CONTAINER_OF(n, struct trk_stream, by_ssrc);
		if (s->ssrc != ssrc)
			continue;
		if (addr_ip_eq(is_sender ? &s->from : &s->to, end))
			return s;
		any = s;
	}
	return any;
}

struct trk_stream *trk_stream_find(const struct trk *t, const struct trk_call *c, uint32_t ssrc,
				   const struct addr *end, bool is_sender)
{
	struct trk_stream *any = NULL, *s;
	if (!c)
		return find_orphan(t, ssrc, end, is_sender);
	struct hnode *n = htab_first(&t->streams, hash_stream(t, c, end, end, ssrc));
	for (; (s = stream_next(n, c, ssrc)); n = htab_next(&s->node)) {
		if (addr_ip_eq(is_sender ? &s->from : &s->to, end))
			return s;
		any = s;
	}
	return any;
}

/* --- codecs ----------------------------------------------------------------------------------- */

/* The receiver's numbers count; where it named none, the sender's. [RFC3264 5.1] */
static const struct codec *codec_of(const struct trk_call *c, uint8_t side, uint8_t pt)
{
	for (int pass = 0; c && pass < 2; pass++)
		for (const struct trk_media *m = trk_av(c)->media; m; m = m->next)
			for (unsigned i = 0;
			     m->codecs && i < m->codecs->n && (m->side == side) == !pass; i++)
				if (m->codecs->v[i].pt == pt)
					return &m->codecs->v[i];
	return NULL;
}

bool trk_is_event(struct trk *t, const struct addr *from, const struct addr *to, uint8_t pt)
{
	struct flow *f = t->cfg.has_media ? trk_flow_find(t, from, to) : NULL;
	if (!f || !f->media)
		return false;
	uint8_t side = f->is_to_media ? f->media->side : !f->media->side;
	const struct codec *k = codec_of(f->media->call, side, pt);
	return k && str_ieq(str_c(k->name), STR("telephone-event"));
}

static void set_codec(struct trk_stream *s, uint8_t pt)
{
	const struct codec *k = codec_of(s->call, s->side, pt);
	struct sdp_fmt f = {0};
	bool is_static = !k && sdp_static_pt(pt, &f);
	uint32_t clock = k ? k->clock : is_static ? f.clock : 0;
	struct str name = k ? str_c(k->name) : f.name;
	s->pt = pt;
	s->channels = k ? k->channels : is_static ? f.channels : 1;
	str_copy(s->codec, sizeof s->codec, name);
	rtp_stats_clock(&s->stats, clock ? clock : 8'000);
	rtp_trace_clock(&s->trace, clock);
	s->level = s->crypt != TRK_PLAIN        ? LEVEL_NONE
		   : str_ieq(name, STR("PCMU")) ? LEVEL_ULAW
		   : str_ieq(name, STR("PCMA")) ? LEVEL_ALAW
						: LEVEL_NONE;
}

/* --- new ones --------------------------------------------------------------------------------- */

/* A live tracker forgets those of nobody that it has had for longest. */
static void orphan_drop(struct trk *t)
{
	struct trk_stream *s = LIST_ENTRY(t->orphans.next, struct trk_stream, orphan);
	struct flow *f = trk_flow_find(t, &s->from, &s->to);
	for (unsigned i = 0; f && i < FLOW_STREAMS; i++)
		if (f->last[i] == s) {
			memmove(&f->last[i], &f->last[i + 1],
				(FLOW_STREAMS - 1 - i) * sizeof f->last[0]);
			f->last[FLOW_STREAMS - 1] = NULL;
		}
	t->n_orphans--;
	stream_free(t, s);
}

static struct trk_stream *stream_new(struct trk *t, struct flow *f, const struct trk_datagram *p,
				     uint32_t ssrc)
{
	struct trk_media *m = f->media;
	struct trk_call *c = m ? m->call : NULL;
	if (!c && t->cfg.is_live && t->n_orphans >= MAX_LIVE)
		orphan_drop(t);
	if (c ? c->av->n_streams >= MAX_OF_CALL : t->n_orphans >= MAX_ORPHANS)
		return NULL;
	if (t->cfg.is_live && t->streams.n >= MAX_ALL_LIVE)
		return NULL;
	struct trk_stream *s = trk_alloc_lines(sizeof *s);
	if (!s)
		return NULL;
	*s = (struct trk_stream){.call = c,
				 .from = *p->from,
				 .to = *p->to,
				 .ssrc = ssrc,
				 .no = ++t->n_streams,
				 .n_paths = 1,
				 .pt = NO_PT,
				 .found = TRK_BY_CONTENT,
				 .first_frame = p->frame_no};
	rtp_stats_init(&s->stats, 8'000);
	list_init(&s->orphan);
	if (c) {
		s->side = f->is_to_media ? m->side : !m->side;
		s->media = m->type;
		s->crypt = m->crypt;
		s->found = m->is_guess ? TRK_BY_NAT : TRK_BY_SDP;
		s->next = c->av->streams;
		c->av->streams = s;
		c->av->n_streams++;
	} else {
		list_push(&t->orphans, &s->orphan);
		t->n_orphans++;
	}
	put_into_tables(t, s);
	return s;
}

static struct trk_stream *stream_of(struct trk *t, struct flow *f, const struct trk_datagram *p,
				    uint32_t ssrc, uint16_t seq)
{
	struct trk_call *c = f->media ? f->media->call : NULL;
	uint8_t side = !c ? 0 : f->is_to_media ? f->media->side : !f->media->side;
	struct trk_stream *s, *moved = NULL;
	struct hnode *n = htab_first(&t->streams, hash_stream(t, c, p->from, p->to, ssrc));
	for (; (s = stream_next(n, c, ssrc)); n = htab_next(&s->node)) {
		if (addr_eq(&s->from, p->from) && addr_eq(&s->to, p->to) && s->side == side)
			return s;
		uint16_t ahead = (uint16_t)(seq - s->stats.max_seq);
		if (c && s->side == side && ahead - 1u < MAX_AHEAD)
			moved = s;
	}
	if (moved) {
		moved->n_paths = (uint8_t)(moved->n_paths < 255 ? moved->n_paths + 1 : 255);
		return moved;
	}
	return stream_new(t, f, p, ssrc);
}

/* Another one than the flow's last, moved to the front of those it remembers. */
[[gnu::cold]] static struct trk_stream *other_stream(struct trk *t, struct flow *f,
						     const struct trk_datagram *p, uint32_t ssrc,
						     uint16_t seq)
{
	struct trk_stream *s, *before = f->last[0];
	unsigned i = 1;
	while (i < FLOW_STREAMS && f->last[i] && f->last[i]->ssrc != ssrc)
		i++;
	bool is_known = i < FLOW_STREAMS && f->last[i];
	s = is_known ? f->last[i] : stream_of(t, f, p, ssrc, seq);
	if (!s)
		return NULL;
	if (!s->stats.is_started && before)
		s->after_ssrc = before->ssrc;
	for (unsigned k = i < FLOW_STREAMS ? i : FLOW_STREAMS - 1; k > 0; k--)
		f->last[k] = f->last[k - 1];
	f->last[0] = s;
	return s;
}

/* The flow's stream with that SSRC. */
static inline struct trk_stream *flow_stream(struct trk *t, struct flow *f,
					     const struct trk_datagram *p, uint32_t ssrc,
					     uint16_t seq)
{
	struct trk_stream *s = f->last[0];
	return s && s->ssrc == ssrc ? s : other_stream(t, f, p, ssrc, seq);
}

void trk_streams_adopt(struct trk *t, struct flow *f)
{
	struct trk_call *c = f->media->call;
	for (unsigned i = FLOW_STREAMS; i-- > 0;) {
		struct trk_stream *s = f->last[i];
		if (!s || s->call || c->av->n_streams >= MAX_OF_CALL)
			continue;
		remove_from_tables(t, s);
		list_del(&s->orphan);
		t->n_orphans--;
		s->call = c;
		s->side = f->is_to_media ? f->media->side : !f->media->side;
		s->media = f->media->type;
		s->crypt = f->media->crypt;
		s->pt = NO_PT; /* what its payload types mean is known now */
		s->next = c->av->streams;
		c->av->streams = s;
		c->av->n_streams++;
		put_into_tables(t, s);
	}
}

/* --- packets ---------------------------------------------------------------------------------- */

/* A digit is sent in several packets with one timestamp, whose duration grows. [RFC4733 2.5.1] */
static void on_event(struct trk_stream *s, const struct rtp_hdr *h, struct str payload)
{
	struct rtp_event ev;
	if (rtp_event_parse(payload, &ev))
		return;
	char digit = rtp_event_digit(ev.event);
	if (!s->n_events || s->last_event_ts != h->ts) {
		s->last_event_ts = h->ts;
		s->n_events++;
		if (digit && s->n_digits < TRK_MAX_DIGITS)
			s->digits[s->n_digits++] = digit;
	}
	uint32_t ms = ev.duration * 1'000u / EVENT_CLOCK;
	if (digit && s->n_digits && ms > s->digit_ms[s->n_digits - 1])
		s->digit_ms[s->n_digits - 1] = (uint16_t)ms;
}

/* Events of an SRTP stream are read with the key that the SDP gave. */
static void on_secret_event(struct trk_stream *s, const struct trk_datagram *p,
			    const struct rtp_hdr *h)
{
	uint8_t clear[256];
	size_t n;
	struct rtp_hdr inner;
	if (s->crypt != TRK_SDES || p->bytes.n > sizeof clear)
		return;
	if (!trk_stream_open(s, p->bytes, h->seq, clear, &n) && !rtp_parse(clear, n, &inner))
		on_event(s, h, inner.payload);
}

/* Of nobody's streams: no SDP says what a payload type means. */
static bool looks_like_event(const struct rtp_hdr *h)
{
	struct rtp_event ev;
	return h->pt >= DYNAMIC_PT && h->payload.n == RTP_EVENT_SIZE &&
	       !rtp_event_parse(h->payload, &ev) && ev.event <= MAX_EVENT &&
	       !(h->payload.p[1] & 0x40);
}

/* What a packet of another payload type than the codec's is, as flags of rtp_trace; a change of
 * codec is made. */
[[gnu::cold]] static unsigned other_type(struct trk_stream *s, const struct trk_datagram *p,
					 const struct rtp_hdr *h)
{
	const struct codec *k = codec_of(s->call, s->side, h->pt);
	struct str name = k ? str_c(k->name) : STR_NONE;
	s->pts[h->pt >> 6] |= UINT64_C(1) << (h->pt & 63);
	if (str_ieq(name, STR("telephone-event")) || (!s->call && looks_like_event(h))) {
		if (s->crypt == TRK_PLAIN)
			on_event(s, h, h->payload);
		else
			on_secret_event(s, p, h);
		return RTP_T_EVENT;
	}
	if (h->pt == 13 || h->pt == 19 || str_ieq(name, STR("CN"))) {
		s->n_cn++;
		return RTP_T_CN;
	}
	set_codec(s, h->pt);
	return 0;
}

static void measure_silence(struct trk_stream *s, struct str payload)
{
	enum { WORDS = 6 };
	if (payload.n < WORDS * 8)
		return;
	static const uint64_t flips[] = {
		[LEVEL_ULAW] = UINT64_MAX, [LEVEL_ALAW] = 0x5555555555555555u};
	static const uint64_t louds[] = {
		[LEVEL_ULAW] = 0x7070707070707070u, [LEVEL_ALAW] = 0x7878787878787878u};
	uint64_t flip = flips[s->level], loud = louds[s->level], all = 0;
	size_t step = payload.n / WORDS;
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t w;
		memcpy(&w, payload.p + i * step, sizeof w);
		all |= w ^ flip;
	}
	s->n_measured++;
	s->n_silent += !(all & loud);
}

/* Of a packet that is not the next one: what is to be added to its flags. */
[[gnu::noinline]] static unsigned add_odd(struct trk *t, struct trk_stream *s, uint64_t at_us,
					  const struct rtp_hdr *h)
{
	uint64_t window = s->stats.seen, before_us = s->stats.last_us;
	uint32_t top = rtp_stats_ext_seq(&s->stats);
	bool is_first = !s->stats.is_started;
	enum rtp_seen seen =
		rtp_stats_add_untimed(&s->stats, h->seq, (uint32_t)h->payload.n, at_us);
	if (!is_first) {
		rtp_loss_follow(&s->loss, &s->stats, window, top, seen);
		uint32_t ahead = rtp_stats_ext_seq(&s->stats) - top;
		if (seen == RTP_NEW && ahead > 1)
			trk_gap_add(t, s, before_us, at_us, ahead - 1);
	}
	return seen == RTP_DUP ? RTP_T_DUP : 0;
}

static void add_figures(struct trk *t, struct trk_stream *s, int64_t at_ns, const struct rtp_hdr *h,
			unsigned flags)
{
	uint64_t at_us = (uint64_t)at_ns / 1'000, window = s->stats.seen;
	if (rtp_stats_is_next(&s->stats, h->seq)) {
		rtp_stats_add_untimed(&s->stats, h->seq, (uint32_t)h->payload.n, at_us);
		rtp_loss_follow_next(&s->loss, &s->stats, window);
	} else {
		flags |= add_odd(t, s, at_us, h);
	}
	if (h->has_marker) {
		flags |= RTP_T_MARKER;
		s->n_markers++;
	}
	rtp_trace_add(&s->trace, h->ts, flags, at_ns);
}

/* How many streams send at a time, for trk_gap.c. */
static void count_active(struct trk *t, struct trk_stream *s, int64_t at_ns)
{
	uint32_t second = (uint32_t)((uint64_t)at_ns / 1'000'000'000);
	if (s->last_second == second)
		return;
	s->last_second = second;
	if (t->gap.second != second) {
		t->gap.second = second;
		t->gap.n_active_before = t->gap.n_active;
		t->gap.n_active = 0;
	}
	t->gap.n_active++;
}

struct trk_stream *trk_stream_add(struct trk *t, struct flow *f, const struct trk_datagram *p,
				  const struct rtp_hdr *h)
{
	t->stats.n_rtp++;
	struct trk_stream *s = flow_stream(t, f, p, h->ssrc, h->seq);
	if (!s)
		return NULL;
	s->last_frame = p->frame_no;
	count_active(t, s, p->at_ns);
	unsigned flags = h->pt == s->pt ? 0 : other_type(s, p, h);
	if (s->level && h->pt == s->pt)
		measure_silence(s, h->payload);
	add_figures(t, s, p->at_ns, h, flags);
	if (t->joins && s->n_heard < TRK_HEAR && s->call && !flags)
		trk_join_hear(t, s, (uint64_t)p->at_ns / 1'000, h->payload);
	return s;
}

struct trk_stream *trk_stream_add_t38(struct trk *t, struct flow *f, const struct trk_datagram *p,
				      uint16_t seq)
{
	struct trk_stream *s = flow_stream(t, f, p, 0, seq);
	if (!s)
		return NULL;
	s->is_t38 = true;
	s->last_frame = p->frame_no;
	str_copy(s->codec, sizeof s->codec, STR("T.38"));
	struct rtp_hdr h = {.seq = seq, .payload = p->bytes};
	add_figures(t, s, p->at_ns, &h, 0);
	return s;
}

uint32_t trk_stream_ext_seq(const struct trk_stream *s, uint16_t seq)
{
	uint32_t top = rtp_stats_ext_seq(&s->stats);
	return top + (uint32_t)(int16_t)(seq - (uint16_t)top);
}

enum err trk_stream_open(struct trk_stream *s, struct str packet, uint16_t seq, uint8_t *out,
			 size_t *n)
{
	if (!s->call || s->crypt != TRK_SDES)
		return ERR_UNSUPPORTED;
	if (!s->srtp)
		s->srtp = trk_srtp_new();
	if (!s->srtp)
		return ERR_NOMEM;
	/* the packet may be opened before it was counted, or after */
	uint32_t roc = s->stats.is_started ? trk_stream_ext_seq(s, seq) >> 16 : 0;
	return trk_srtp_open(s->srtp, trk_av(s->call)->keys, !s->side, packet, roc, out, n);
}

/* --- for readers ------------------------------------------------------------------------------ */

struct trk_stream *trk_orphan_first(const struct trk *t)
{
	if (!t->orphans.next || list_is_empty(&t->orphans))
		return NULL;
	return LIST_ENTRY(t->orphans.next, struct trk_stream, orphan);
}

struct trk_stream *trk_orphan_next(const struct trk *t, const struct trk_stream *s)
{
	if (s->orphan.next == &t->orphans)
		return NULL;
	return LIST_ENTRY(s->orphan.next, struct trk_stream, orphan);
}

const char *trk_crypt_text(enum trk_crypt c)
{
	static const char *const texts[] = {"none", "SRTP, key in the SDP",
					    "DTLS-SRTP, not readable"};
	return texts[c];
}

const char *trk_found_text(enum trk_found f)
{
	static const char *const texts[] = {"SDP", "SDP, behind NAT", "content"};
	return texts[f];
}
