/* Offer/answer for one audio stream [RFC3264].
 *
 * The model: a session is a row of m= lines (slots) that only grows [RFC3264 8]. One slot at most
 * is ours, the audio stream; the others belong to media that a peer once offered and we refused,
 * and every later offer and answer repeats them with port 0. So an answer always has exactly as
 * many m= lines as its offer [RFC3264 6].
 *
 * Descriptions are written in one go: everything after the o= line into a buffer on the stack, then
 * its hash decides whether the o= line's version grows [RFC3264 8], then both are appended to the
 * caller's buffer. Only when that buffer has taken all is the state changed.
 *
 * Payload numbers: in our offer a codec has the number that the session gave it before, else the
 * one of struct sdp_local; in our answer it has the offer's number, so that both directions use the
 * same [RFC3264 6.1]. What we send bears the peer's number.
 *
 * Our answer names one codec, the first of the offer that we have (the offerer's preference), and
 * telephone-event when both have it at that codec's clock: a peer that may switch codecs at will is
 * the commonest cause of garbled audio. As offerer we take what the answer lists, and send the
 * first.
 *
 * Invariants
 *  1. state is OFFERED exactly while an offer of ours is unanswered; `offered` is what it listed.
 *  2. stream changes only with a completed exchange (or is_active = false when the peer refused).
 *  3. own_slot < n_slots or own_slot == NO_SLOT; slots[own_slot] is the only one with is_ours.
 *
 * Hold: a peer that may not be sent to says sendonly or inactive, or (RFC 2543) puts 0.0.0.0 into
 * its c= line; both take away our sending [RFC3264 8.4]. */

#include "sdp/oa.h"

#include "base/hash.h"
#include "sdp/sdp_priv.h"

#include <string.h>

#define NO_SLOT  255
#define TAIL_MAX 4096 /* 16 refused m= lines and 8 codecs at their longest stay below */
#define TIME_MAX 64   /* two numbers of 20 digits need less */

#define PT_DYNAMIC_FIRST 96
#define PT_DYNAMIC_LAST  127

static const struct str dtmf_name = STR_INIT("telephone-event");

void sdp_oa_init(struct sdp_oa *oa, uint64_t id)
{
	*oa = (struct sdp_oa){
		.state = SDP_OA_IDLE,
		.id = id & INT32_MAX, /* some phones keep it in 32 bits, signed */
		.own_slot = NO_SLOT,
		.stream = {.dtmf_send = SDP_PT_NONE, .dtmf_recv = SDP_PT_NONE},
	};
}

/* --- codecs --------------------------------------------------------------------------------- */

static bool is_dtmf(const struct sdp_codec *c)
{
	return str_ieq(str_c(c->name), dtmf_name);
}

static bool is_same(const struct sdp_codec *a, const struct sdp_codec *b)
{
	return str_ieq(str_c(a->name), str_c(b->name)) && a->clock == b->clock &&
	       a->channels == b->channels;
}

static bool codec_is(const struct sdp_codec *c, const struct sdp_fmt *f)
{
	return str_ieq(str_c(c->name), f->name) && c->clock == f->clock &&
	       c->channels == f->channels;
}

static const struct sdp_codec *find_codec(const struct sdp_codec *list, size_t n,
					  const struct sdp_fmt *f)
{
	for (size_t i = 0; i < n; i++)
		if (f->name.n && codec_is(&list[i], f))
			return &list[i];
	return NULL;
}

static bool pt_is_taken(const struct sdp_codec *list, size_t n, uint8_t pt)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].pt == pt)
			return true;
	return false;
}

/* The number that the session has given a codec before, or SDP_PT_NONE. */
static uint8_t known_pt(const struct sdp_oa *oa, const struct sdp_codec *c)
{
	for (size_t i = 0; i < oa->stream.n_recv; i++)
		if (is_same(&oa->stream.recv[i], c))
			return oa->stream.recv[i].pt;
	return SDP_PT_NONE;
}

/* What we offer: all we have, what is in use first; numbers as they were, none twice. */
static size_t list_offered(const struct sdp_oa *oa, const struct sdp_local *l,
			   struct sdp_codec out[SDP_MAX_CODECS])
{
	size_t n = 0, n_local = l->n_codecs > SDP_MAX_CODECS ? SDP_MAX_CODECS : l->n_codecs;
	const struct sdp_codec *in_use = oa->stream.is_active ? &oa->stream.codec : NULL;
	for (size_t i = 0; in_use && i < n_local; i++)
		if (is_same(&l->codecs[i], in_use))
			out[n++] = l->codecs[i];
	for (size_t i = 0; i < n_local; i++)
		if (!in_use || !is_same(&l->codecs[i], in_use))
			out[n++] = l->codecs[i];
	for (size_t i = 0; i < n; i++) {
		uint8_t pt = known_pt(oa, &out[i]);
		if (pt != SDP_PT_NONE)
			out[i].pt = pt;
		else if (pt_is_taken(oa->stream.recv, oa->stream.n_recv, out[i].pt) ||
			 pt_is_taken(out, i, out[i].pt))
			for (pt = PT_DYNAMIC_FIRST; pt <= PT_DYNAMIC_LAST; pt++)
				if (!pt_is_taken(out, n, pt) &&
				    !pt_is_taken(oa->stream.recv, oa->stream.n_recv, pt)) {
					out[i].pt = pt;
					break;
				}
	}
	return n;
}

/* --- writing -------------------------------------------------------------------------------- */

static void put_codec(struct buf *b, const struct sdp_codec *c)
{
	buf_fmt(b, "a=rtpmap:%u %s/%u", c->pt, c->name, c->clock);
	if (c->channels > 1)
		buf_fmt(b, "/%u", c->channels);
	buf_str(b, STR("\r\n"));
	if (c->fmtp[0])
		buf_fmt(b, "a=fmtp:%u %s\r\n", c->pt, c->fmtp);
}

/* Our audio stream. */
static void put_stream(struct buf *b, const struct sdp_local *l, const char *proto,
		       const struct sdp_codec *codecs, size_t n, enum sdp_dir dir, bool has_mux)
{
	buf_fmt(b, "m=audio %u %s", l->rtp.port, proto);
	for (size_t i = 0; i < n; i++)
		buf_fmt(b, " %u", codecs[i].pt);
	buf_str(b, STR("\r\n"));
	for (size_t i = 0; i < n; i++)
		put_codec(b, &codecs[i]);
	if (l->ptime_ms)
		buf_fmt(b, "a=ptime:%u\r\n", l->ptime_ms);
	if (l->rtcp_port && l->rtcp_port != l->rtp.port + 1)
		buf_fmt(b, "a=rtcp:%u\r\n", l->rtcp_port);
	if (has_mux)
		buf_str(b, STR("a=rtcp-mux\r\n"));
	buf_fmt(b, "a=%s\r\n", sdp_dir_text(dir));
}

static void put_refused(struct buf *b, const struct sdp_oa_slot *slot)
{
	buf_fmt(b, "m=%s 0 %s %s\r\n", slot->media, slot->proto, slot->fmt);
}

static void put_net(struct buf *b, const struct addr *a)
{
	buf_str(b, a->family == ADDR_V6 ? STR("IN IP6 ") : STR("IN IP4 "));
	addr_put_ip(b, a);
	buf_str(b, STR("\r\n"));
}

/* `time`: the value of t= [RFC3264 6] */
static void begin_tail(struct buf *b, const struct sdp_local *l, struct str time)
{
	buf_fmt(b, "s=%s\r\nc=", l->tool ? l->tool : "-");
	put_net(b, &l->rtp);
	buf_fmt(b, "t=" STR_FMT "\r\n", STR_ARG(time));
}

/* That of an offer; a session without bounds where it says nothing that anybody could read. */
static struct str time_of(const struct sdp *s)
{
	for (unsigned i = 0; i < s->n_session_lines; i++) {
		struct str v = sdp_line_value(s, &s->lines[i]);
		if (s->lines[i].type == 't' && v.n && v.n < TIME_MAX)
			return v;
	}
	return STR("0 0");
}

/* Appends the whole description. Returns the new version through oa when all was taken. */
static enum err put_whole(struct sdp_oa *oa, const struct sdp_local *l, const struct buf *tail,
			  struct buf *out)
{
	static const uint8_t key[16] = "rung sdp version";
	if (tail->err)
		return tail->err;
	uint64_t hash = siphash(key, tail->p, tail->n);
	uint64_t version = oa->version;
	if (oa->version == 0)
		version = oa->id;
	else if (hash != oa->body_hash)
		version++;
	buf_fmt(out, "v=0\r\no=- %llu %llu ", (unsigned long long)oa->id,
		(unsigned long long)version);
	put_net(out, &l->rtp);
	buf_put(out, tail->p, tail->n);
	if (out->err)
		return out->err;
	oa->version = version;
	oa->body_hash = hash;
	return OK;
}

/* --- offer ---------------------------------------------------------------------------------- */

enum err sdp_oa_offer(struct sdp_oa *oa, const struct sdp_local *l, enum sdp_dir dir,
		      struct buf *out)
{
	char mem[TAIL_MAX];
	struct buf tail;
	struct sdp_codec codecs[SDP_MAX_CODECS];
	if (oa->state == SDP_OA_OFFERED)
		return ERR_STATE;
	struct sdp_oa next = *oa;
	if (next.own_slot == NO_SLOT) {
		if (next.n_slots == SDP_MAX_MEDIA)
			return ERR_LIMIT;
		next.own_slot = next.n_slots++;
		next.slots[next.own_slot] = (struct sdp_oa_slot){
			.type = SDP_AUDIO, .is_ours = true, .media = "audio", .proto = "RTP/AVP"};
	}
	size_t n = list_offered(oa, l, codecs);
	buf_init_fixed(&tail, mem, sizeof(mem));
	begin_tail(&tail, l, STR("0 0"));
	for (unsigned i = 0; i < next.n_slots; i++) {
		if (i == next.own_slot)
			put_stream(&tail, l, next.slots[i].proto, codecs, n, dir, l->has_rtcp_mux);
		else
			put_refused(&tail, &next.slots[i]);
	}
	enum err e = put_whole(&next, l, &tail, out);
	if (e)
		return e;
	next.state = SDP_OA_OFFERED;
	next.dir_wanted = dir;
	next.has_mux_offered = l->has_rtcp_mux;
	next.n_offered = n;
	memcpy(next.offered, codecs, n * sizeof(codecs[0]));
	*oa = next;
	return OK;
}

void sdp_oa_drop_offer(struct sdp_oa *oa)
{
	if (oa->state == SDP_OA_OFFERED)
		oa->state = oa->has_remote ? SDP_OA_STABLE : SDP_OA_IDLE;
	oa->is_ours_last = false;
}

/* --- what the peer says --------------------------------------------------------------------- */

static uint64_t remote_hash(const struct sdp *s)
{
	static const uint8_t key[16] = "rung sdp remote";
	return siphash(key, s->text.p, s->text.n);
}

static uint64_t origin_hash(const struct sdp *s)
{
	static const uint8_t user_key[16] = "rung sdp user", host_key[16] = "rung sdp host";
	return siphash(user_key, s->origin.user.p, s->origin.user.n) ^
	       siphash(host_key, s->origin.host.p, s->origin.host.n) ^ s->origin.id;
}

static void keep_remote(struct sdp_oa *oa, const struct sdp *s)
{
	oa->has_remote = true;
	oa->remote_origin = origin_hash(s);
	oa->remote_version = s->origin.version;
	oa->remote_hash = remote_hash(s);
}

enum sdp_change sdp_oa_change(const struct sdp_oa *oa, const struct sdp *s)
{
	if (!oa->has_remote)
		return SDP_FIRST;
	if (oa->remote_origin != origin_hash(s))
		return SDP_OTHER_ORIGIN;
	bool is_equal = oa->remote_hash == remote_hash(s);
	if (s->origin.version == oa->remote_version)
		return is_equal ? SDP_SAME : SDP_VERSION_STUCK;
	if (s->origin.version < oa->remote_version)
		return SDP_VERSION_BACK;
	return s->origin.version == oa->remote_version + 1 ? SDP_CHANGED : SDP_VERSION_JUMP;
}

/* Directions, addresses and timing of the peer's media; `ours` is what we said or can say. */
static void take_media(struct sdp_stream *st, const struct sdp_media *m, enum sdp_dir ours)
{
	unsigned theirs = m->dir;
	if (m->is_hold)
		theirs &= ~(unsigned)SDP_RECVONLY;
	st->is_active = true;
	st->is_remote_hold = m->is_hold;
	st->dir = (enum sdp_dir)(ours & sdp_dir_flip((enum sdp_dir)theirs));
	st->rtp = m->conn.addr;
	st->rtp.port = m->port;
	st->rtcp = m->rtcp;
	st->host[0] = 0;
	if (m->conn.addr.family == ADDR_NONE)
		str_copy(st->host, sizeof(st->host), m->conn.host);
	st->ptime_ms = m->ptime_ms && m->ptime_ms <= 1000 ? (uint16_t)m->ptime_ms : 20;
	if (m->maxptime_ms && m->maxptime_ms < st->ptime_ms)
		st->ptime_ms = (uint16_t)m->maxptime_ms;
}

[[gnu::format(printf, 4, 5)]] static void say(struct sdp_why *why, unsigned status,
					      unsigned warning, const char *fmt, ...)
{
	struct buf b;
	va_list ap;
	*why = (struct sdp_why){.status = (uint16_t)status, .warning = (uint16_t)warning};
	buf_init_fixed(&b, why->text, sizeof(why->text) - 1);
	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	why->text[b.n] = 0;
}

static void put_supported(struct buf *b, const struct sdp_codec *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fmt(b, "%s%s/%u", i ? ", " : "", list[i].name, list[i].clock);
}

/* "no common codec: offered G729/8000; supported PCMU/8000, PCMA/8000" */
static void say_codecs(struct sdp_why *why, const struct sdp *s, unsigned m, const char *verb,
		       const struct sdp_codec *list, size_t n)
{
	char theirs[110], ours[80];
	struct buf a, b;
	buf_init_fixed(&a, theirs, sizeof(theirs));
	buf_init_fixed(&b, ours, sizeof(ours));
	sdp_print_formats(s, m, &a);
	put_supported(&b, list, n);
	say(why, 488, 305, "no common codec: %s %.*s%s; supported %.*s%s", verb, (int)a.n, a.p,
	    a.err ? "..." : "", (int)b.n, b.p, b.err ? "..." : "");
}

/* --- answer --------------------------------------------------------------------------------- */

/* The first format of the offer's m= line that we have, telephone-event aside. */
static const struct sdp_codec *choose(const struct sdp *s, unsigned m, const struct sdp_local *l,
				      uint8_t *pt)
{
	struct sdp_fmt f;
	unsigned at = 0;
	while (sdp_fmt_next(s, m, &at, &f)) {
		const struct sdp_codec *c = find_codec(l->codecs, l->n_codecs, &f);
		if (c && !is_dtmf(c)) {
			*pt = f.pt;
			return c;
		}
	}
	return NULL;
}

/* The peer's telephone-event at that clock, if we have it too. */
static const struct sdp_codec *choose_dtmf(const struct sdp *s, unsigned m,
					   const struct sdp_codec *list, size_t n, uint32_t clock,
					   uint8_t *pt)
{
	struct sdp_fmt f;
	unsigned at = 0;
	while (sdp_fmt_next(s, m, &at, &f)) {
		const struct sdp_codec *c = find_codec(list, n, &f);
		if (c && is_dtmf(c) && c->clock == clock) {
			*pt = f.pt;
			return c;
		}
	}
	return NULL;
}

static bool can_speak(const struct sdp_media *m)
{
	return m->type == SDP_AUDIO && (m->proto == SDP_RTP_AVP || m->proto == SDP_RTP_AVPF);
}

/* The slot that we answer with our stream: the one it has, else the first that works. NO_SLOT:
 * none, *why says the reason of the best candidate. */
static unsigned choose_slot(const struct sdp_oa *oa, const struct sdp_local *l,
			    const struct sdp *offer, struct sdp_why *why)
{
	uint8_t pt;
	say(why, 488, 304, "no audio stream in the offer");
	for (unsigned k = 0; k <= offer->n_media; k++) {
		unsigned i = k == 0 ? oa->own_slot : k - 1;
		if (i >= offer->n_media)
			continue;
		const struct sdp_media *m = &offer->media[i];
		if (m->type != SDP_AUDIO || m->port == 0)
			continue;
		if (!can_speak(m)) {
			if (why->warning != 305)
				say(why, 488, 302,
				    "audio over " STR_FMT
				    " is not supported; supported RTP/AVP, RTP/AVPF",
				    STR_ARG(str_sub(m->proto_text, 0, 40)));
			continue;
		}
		if (choose(offer, i, l, &pt))
			return i;
		say_codecs(why, offer, i, "offered", l->codecs, l->n_codecs);
	}
	return NO_SLOT;
}

/* A word that can be repeated in a line of ours; false when it is too long or no plain text. */
static bool copy_word(char *dst, size_t cap, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return str_copy(dst, cap, s);
}

/* The slots as the offer has them. */
static void take_slots(struct sdp_oa *oa, const struct sdp *offer, unsigned own)
{
	oa->n_slots = (uint8_t)offer->n_media;
	oa->own_slot = (uint8_t)own;
	for (unsigned i = 0; i < offer->n_media; i++) {
		const struct sdp_media *m = &offer->media[i];
		struct sdp_oa_slot *slot = &oa->slots[i];
		struct str fmts = m->fmts, first = sdp_word(&fmts);
		*slot = (struct sdp_oa_slot){.type = m->type, .is_ours = i == own};
		bool fits = copy_word(slot->media, sizeof(slot->media), m->type_text) &&
			    copy_word(slot->proto, sizeof(slot->proto), m->proto_text) &&
			    copy_word(slot->fmt, sizeof(slot->fmt), first.n ? first : STR("0"));
		if (!fits) /* nobody's media: some refused line in its place */
			*slot = (struct sdp_oa_slot){.type = SDP_OTHER,
						     .media = "application",
						     .proto = "udp",
						     .fmt = "0"};
	}
}

/* What the answer agrees on, in `st`; the codecs to list, with the offer's numbers, in st->recv. */
static void agree(struct sdp_stream *st, const struct sdp_local *l, const struct sdp *offer,
		  unsigned own, enum sdp_dir dir)
{
	const struct sdp_media *m = &offer->media[own];
	uint8_t pt = SDP_PT_NONE;
	*st = (struct sdp_stream){.dtmf_send = SDP_PT_NONE, .dtmf_recv = SDP_PT_NONE};
	take_media(st, m, dir);
	const struct sdp_codec *c = choose(offer, own, l, &pt);
	st->codec = *c;
	st->codec.pt = st->pt_recv = pt;
	st->recv[st->n_recv++] = st->codec;
	const struct sdp_codec *d = choose_dtmf(offer, own, l->codecs, l->n_codecs, c->clock, &pt);
	if (d) {
		st->recv[st->n_recv] = *d;
		st->recv[st->n_recv++].pt = st->dtmf_send = st->dtmf_recv = pt;
	}
	st->has_rtcp_mux = m->has_rtcp_mux && l->has_rtcp_mux;
	if (st->has_rtcp_mux)
		st->rtcp = st->rtp;
}

enum err sdp_oa_answer(struct sdp_oa *oa, const struct sdp_local *l, const struct sdp *offer,
		       enum sdp_dir dir, struct buf *out, struct sdp_why *why)
{
	char mem[TAIL_MAX];
	struct buf tail;
	if (oa->state == SDP_OA_OFFERED)
		return ERR_STATE;
	struct sdp_oa next = *oa;
	unsigned own = choose_slot(oa, l, offer, why);
	/* In a session that stands, the peer may take the stream away by port 0 [RFC3264 8.2]. */
	bool is_removed = own == NO_SLOT && oa->own_slot < offer->n_media &&
			  offer->media[oa->own_slot].port == 0;
	if (own == NO_SLOT && !is_removed)
		return ERR_UNSUPPORTED;
	take_slots(&next, offer, own);
	if (is_removed)
		next.stream.is_active = false;
	else
		agree(&next.stream, l, offer, own, dir);
	buf_init_fixed(&tail, mem, sizeof(mem));
	begin_tail(&tail, l, time_of(offer));
	for (unsigned i = 0; i < next.n_slots; i++) {
		if (i == own)
			put_stream(&tail, l, next.slots[i].proto, next.stream.recv,
				   next.stream.n_recv, next.stream.dir, next.stream.has_rtcp_mux);
		else
			put_refused(&tail, &next.slots[i]);
	}
	enum err e = put_whole(&next, l, &tail, out);
	if (e)
		return e;
	next.state = SDP_OA_STABLE;
	next.is_ours_last = false;
	keep_remote(&next, offer);
	*oa = next;
	*why = (struct sdp_why){0};
	return OK;
}

/* --- taking an answer ----------------------------------------------------------------------- */

/* The codecs of the answer that we offered: the first is sent; all may come, with our numbers. */
static void agree_answer(struct sdp_stream *st, const struct sdp_oa *oa, const struct sdp *answer)
{
	struct sdp_fmt f;
	unsigned at = 0;
	bool has_codec = false;
	while (sdp_fmt_next(answer, oa->own_slot, &at, &f) && st->n_recv < SDP_MAX_CODECS) {
		const struct sdp_codec *c = find_codec(oa->offered, oa->n_offered, &f);
		if (!c)
			continue;
		st->recv[st->n_recv++] = *c;
		if (!is_dtmf(c) && !has_codec) {
			has_codec = true;
			st->codec = *c;
			st->codec.pt = f.pt;
			st->pt_recv = c->pt;
		}
	}
	st->is_active = has_codec;
	const struct sdp_codec *d = choose_dtmf(answer, oa->own_slot, oa->offered, oa->n_offered,
						st->codec.clock, &st->dtmf_send);
	if (d)
		st->dtmf_recv = d->pt;
}

enum err sdp_oa_take_answer(struct sdp_oa *oa, const struct sdp *answer, struct sdp_why *why)
{
	*why = (struct sdp_why){0};
	if (oa->state != SDP_OA_OFFERED && !oa->is_ours_last)
		return ERR_STATE;
	oa->state = SDP_OA_STABLE;
	oa->is_ours_last = true;
	keep_remote(oa, answer);
	oa->stream.is_active = false;
	if (oa->own_slot >= answer->n_media || answer->media[oa->own_slot].type != SDP_AUDIO) {
		say(why, 400, 399, "the answer has %u m= lines where the offer had %u",
		    answer->n_media, oa->n_slots);
		return ERR_SYNTAX;
	}
	const struct sdp_media *m = &answer->media[oa->own_slot];
	if (m->port == 0) {
		say(why, 488, 304, "the peer refused the audio stream");
		return ERR_UNSUPPORTED;
	}
	if (!can_speak(m)) {
		say(why, 488, 302, "the answer changed the transport to " STR_FMT,
		    STR_ARG(str_sub(m->proto_text, 0, 40)));
		return ERR_UNSUPPORTED;
	}
	struct sdp_stream st = {.dtmf_send = SDP_PT_NONE, .dtmf_recv = SDP_PT_NONE};
	take_media(&st, m, oa->dir_wanted);
	agree_answer(&st, oa, answer);
	if (!st.is_active) {
		say_codecs(why, answer, oa->own_slot, "answered", oa->offered, oa->n_offered);
		return ERR_UNSUPPORTED;
	}
	st.has_rtcp_mux = m->has_rtcp_mux && oa->has_mux_offered;
	if (st.has_rtcp_mux)
		st.rtcp = st.rtp;
	oa->stream = st;
	return OK;
}

void sdp_put_refusal(struct buf *out, const struct sdp *offer)
{
	buf_str(out, STR("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"));
	for (unsigned i = 0; i < offer->n_media; i++) {
		const struct sdp_media *m = &offer->media[i];
		buf_fmt(out, "m=" STR_FMT " 0 " STR_FMT " " STR_FMT "\r\n", STR_ARG(m->type_text),
			STR_ARG(m->proto_text), STR_ARG(m->fmts));
	}
}

bool sdp_oa_is_refresh(const struct sdp_oa *oa, const struct sdp *s)
{
	return sdp_oa_change(oa, s) == SDP_SAME;
}
