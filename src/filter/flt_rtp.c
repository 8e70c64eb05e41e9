/* Fields of media: RTP with its extensions, telephone events, RTCP.
 *
 * What a datagram is, the tracker has said (cap_frame.media), since nothing in it tells. RTCP is
 * walked packet by packet through its compound; `#2` asks for the second packet. One RTCP field may
 * be in packets of several types: its values are in the order of the packets.
 * [RFC3550 5.1, 6] [RFC4733 2.3] [RFC8285 4] [RFC4585 6]
 */
#include "filter/flt_args.h"

#include "base/assert.h"
#include "rtp/rtcp.h"
#include "track/trk_media.h"

static bool is_event(const struct cap_frame *fr)
{
	return fr->trk && trk_is_event(fr->trk, &fr->pkt.src, &fr->pkt.dst, fr->rtp.pt);
}

/* SRTCP says so in the first bit of its index, which stands before a tag of 10 bytes: some send
 * plain RTCP where SRTP was agreed. [RFC3711 3.4] */
bool flt_is_srtcp(const struct cap_frame *fr)
{
	enum { INDEX = 4, TAG = 10 };
	if (!fr->trk || !trk_is_secure(fr->trk, &fr->pkt.src, &fr->pkt.dst))
		return false;
	return fr->pkt.n < INDEX + TAG || fr->pkt.p[fr->pkt.n - INDEX - TAG] & 0x80;
}

/* The next packet of a compound. Of SRTCP the first eight bytes can be read, all behind them is
 * secret: its padding, and where another one begins. [RFC3711 3.4] */
static bool next_packet(const struct cap_frame *fr, bool is_secure, size_t *at, struct rtcp_pkt *p)
{
	enum { READABLE = 8 };
	const uint8_t *b = fr->pkt.p;
	if (!is_secure)
		return !rtcp_next(b, fr->pkt.n, at, p);
	if (*at || fr->pkt.n < READABLE)
		return false;
	*at = 4u + 4u * be16(b + 2);
	*p = (struct rtcp_pkt){.type = b[1],
			       .count = b[0] & 0x1f,
			       .has_pad = b[0] & 0x20,
			       .ssrc = be32(b + 4),
			       .body = str_of((const char *)b + 4, *at - 4)};
	return *at >= READABLE && *at <= fr->pkt.n;
}

/* The frame of the SDP that agreed on the ports of the packet; 0: none did. */
static uint32_t agreed_in(const struct cap_frame *fr)
{
	unsigned n = fr->pkt.n_ports;
	return fr->seen && n ? fr->seen[n - 1].setup_frame : 0;
}

/* rtp.setup*, rtcp.setup*: of each packet of a compound. */
unsigned flt_get_setup(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	bool is_rtcp = f->arg & SU_RTCP, is_secure = is_rtcp && flt_is_srtcp(fr);
	uint32_t frame_no = agreed_in(fr);
	size_t at = 0;
	struct rtcp_pkt p;
	if (!frame_no || fr->media != (is_rtcp ? RTP_RTCP : RTP_RTP))
		return 0;
	while (!is_rtcp || next_packet(fr, is_secure, &at, &p)) {
		if ((f->arg & 0xff) == SU_FRAME)
			put_u(&o, frame_no);
		else
			put_s(&o, (f->arg & 0xff) == SU_METHOD ? STR("SDP") : STR_NONE);
		if (!is_rtcp)
			break;
		o.layer++;
	}
	return o.n;
}

static void rtp_extension(const struct flt_field *f, const struct cap_frame *fr, struct outlet *o)
{
	const struct rtp_hdr *h = &fr->rtp;
	if (!h->ext.p)
		return;
	switch (f->arg) {
	case RT_EXT_PROFILE:
		put_u(o, h->ext_profile);
		break;
	case RT_EXT_LEN:
		put_u(o, h->ext.n / 4);
		break;
	case RT_EXTS:
		if (h->ext.n)
			put_u(o, 1);
		break;
	case RT_EXT_WORD:
		/* those of RFC 8285 are elements, not words */
		if (h->ext_profile == 0xbede || h->ext_profile >> 4 == 0x100)
			break;
		for (size_t i = 0; i + 4 <= h->ext.n; i += 4)
			put_u(o, be32((const uint8_t *)h->ext.p + i));
		break;
	}
}

unsigned flt_get_rtp(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	const struct rtp_hdr *h = &fr->rtp;
	const uint8_t *p = fr->pkt.p;
	if (fr->media != RTP_RTP)
		return 0;
	switch (f->arg) {
	case RT_PROTO:
		put_proto(&o, p, fr->pkt.n, fr->pkt.n);
		break;
	case RT_PAYLOAD: /* of an event, that is rtpevent.* */
		if (h->payload.n && !is_event(fr))
			put_s(&o, h->payload);
		break;
	case RT_EXT_SEQ: /* counted from 65,536, or from below where the stream begins high */
		if (fr->stream && agreed_in(fr))
			put_u(&o, trk_stream_ext_seq(fr->stream, h->seq) +
					  (fr->stream->stats.base_seq > 0x8000 ? 0u : 0x10000u));
		break;
	case RT_CSRCS:
		if (h->n_csrc)
			put_u(&o, 1);
		break;
	case RT_CSRC:
		for (unsigned i = 0; i < h->n_csrc; i++)
			put_u(&o, be32(p + RTP_HDR_MIN + 4 * i));
		break;
	case RT_PAD_COUNT:
		if (h->n_pad)
			put_u(&o, h->n_pad);
		break;
	case RT_PAD_DATA:
		if (h->n_pad > 1)
			put_bytes(&o, p + fr->pkt.n - h->n_pad, h->n_pad - 1u);
		break;
	default:
		rtp_extension(f, fr, &o);
		break;
	}
	return o.n;
}

/* Elements of one or two byte headers [RFC8285 4.2, 4.3]. */
unsigned flt_get_rtp_ext(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	const struct rtp_hdr *h = &fr->rtp;
	if (fr->media != RTP_RTP || !h->ext.p)
		return 0;
	bool is_short = h->ext_profile == 0xbede;
	if (!is_short && h->ext_profile >> 4 != 0x100)
		return 0;
	const uint8_t *p = (const uint8_t *)h->ext.p, *end = p + h->ext.n;
	while (p < end) {
		if (!*p) { /* padding */
			p++;
			continue;
		}
		unsigned n_hdr = is_short ? 1 : 2;
		if (end - p < (ptrdiff_t)n_hdr)
			break;
		unsigned id = is_short ? p[0] >> 4 : p[0];
		unsigned n = is_short ? (p[0] & 15u) + 1 : p[1];
		if ((is_short && id == 15) || (size_t)(end - p) < n_hdr + n)
			break;
		if (f->arg == RX_ID)
			put_u(&o, id);
		else if (f->arg == RX_LEN)
			put_u(&o, n);
		else if (n)
			put_bytes(&o, p + n_hdr, n);
		p += n_hdr + n;
	}
	return o.n;
}

unsigned flt_get_event(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	struct rtp_event ev;
	if (fr->media != RTP_RTP || !is_event(fr) || rtp_event_parse(fr->rtp.payload, &ev))
		return 0;
	switch (f->arg) {
	case EV_PROTO:
		put_proto(&o, fr->rtp.payload.p, fr->rtp.payload.n, fr->rtp.payload.n);
		break;
	case EV_ID:
		put_u(&o, ev.event);
		break;
	case EV_END:
		put_u(&o, ev.is_end);
		break;
	case EV_RESERVED:
		put_u(&o, (uint8_t)fr->rtp.payload.p[1] >> 6 & 1);
		break;
	case EV_VOLUME:
		put_u(&o, ev.volume);
		break;
	case EV_DURATION:
		put_u(&o, ev.duration);
		break;
	}
	return o.n;
}

/* ZRTP, DTLS, TURN channels on a media port: presence. */
unsigned flt_get_media(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	if (fr->media == (enum rtp_kind)f->arg)
		put_proto(&o, fr->pkt.p, fr->pkt.n, fr->pkt.n);
	return o.n;
}

/* --- RTCP ------------------------------------------------------------------------------------- */

/* Seconds since 1900; a first bit of 0 means after 2036. [RFC4330 3] */
int64_t flt_ntp_ns(uint64_t ntp)
{
	int64_t s = (int64_t)(ntp >> 32) - 2'208'988'800;
	if (!(ntp >> 63))
		s += (int64_t)1 << 32;
	return s * 1'000'000'000 + (int64_t)((ntp & UINT32_MAX) * 1'000'000'000 >> 32);
}

static void sender_info(const struct flt_field *f, const struct rtcp_pkt *p, struct outlet *o)
{
	struct rtcp_sr sr;
	if (p->type != RTCP_SR || rtcp_sr_parse(p, &sr))
		return;
	switch (f->arg) {
	case RC_NTP_MSW:
		put_u(o, sr.ntp >> 32);
		break;
	case RC_NTP_LSW:
		put_u(o, sr.ntp & UINT32_MAX);
		break;
	case RC_NTP:
		put_i(o, flt_ntp_ns(sr.ntp));
		break;
	case RC_RTP_TS:
		put_u(o, sr.rtp_ts);
		break;
	case RC_PACKETS:
		put_u(o, sr.packets);
		break;
	case RC_OCTETS:
		put_u(o, sr.octets);
		break;
	}
}

static void report_blocks(const struct flt_field *f, const struct rtcp_pkt *p, struct outlet *o)
{
	struct rtcp_block b;
	if (p->type != RTCP_SR && p->type != RTCP_RR)
		return;
	for (unsigned i = 0; !rtcp_block_parse(p, i, &b); i++) {
		switch (f->arg) {
		case RC_SSRC:
			put_u(o, b.ssrc);
			break;
		case RC_FRACTION:
			put_u(o, b.fraction);
			break;
		case RC_LOST:
			put_i(o, b.lost);
			break;
		case RC_EXT_HIGH:
			put_u(o, b.ext_seq);
			break;
		case RC_HIGH_SEQ:
			put_u(o, b.ext_seq & 0xffff);
			break;
		case RC_HIGH_CYCLES:
			put_u(o, b.ext_seq >> 16);
			break;
		case RC_JITTER:
			put_u(o, b.jitter);
			break;
		case RC_LSR:
			put_u(o, b.lsr);
			break;
		case RC_DLSR:
			put_u(o, b.dlsr);
			break;
		}
	}
}

/* Behind the prefix of a private item; up to a zero byte, which some send. [RFC3550 6.5.8] */
static struct str item_text(uint8_t type, struct str text)
{
	enum { PRIV = 8 };
	struct str rest;
	if (type == PRIV && text.n)
		text = str_skip(text, 1u + (uint8_t)text.p[0]);
	return str_cut(text, '\0', &rest);
}

/* Chunks of a source and its items, each chunk padded to 4 bytes; sources of a BYE. */
static void sources(const struct flt_field *f, const struct rtcp_pkt *p, struct outlet *o)
{
	uint32_t ssrc;
	struct str why = rtcp_bye_reason(p);
	for (unsigned i = 0; f->arg == RC_SSRC && !rtcp_bye_source(p, i, &ssrc); i++)
		put_u(o, ssrc);
	if (why.n && f->arg == RC_SDES_LEN) /* the reason of a BYE looks like an item */
		put_u(o, why.n);
	else if (why.n && f->arg == RC_SDES_TEXT)
		put_s(o, why);
	if (p->type != RTCP_SDES)
		return;
	size_t at = 0;
	uint8_t type;
	struct str text;
	for (unsigned i = 0; i < p->count; i++) {
		if (!rtcp_sdes_chunk(p, &at, &ssrc))
			return;
		if (f->arg == RC_SSRC)
			put_u(o, ssrc);
		while (rtcp_sdes_item(p, &at, &type, &text)) {
			if (f->arg == RC_SDES_TYPE)
				put_u(o, type);
			else if (f->arg == RC_SDES_LEN)
				put_u(o, text.n);
			else if (f->arg == RC_SDES_TEXT)
				put_s(o, item_text(type, text));
		}
		if (f->arg == RC_SDES_TYPE) /* END [RFC3550 6.5] */
			put_u(o, 0);
	}
}

static void feedback(const struct flt_field *f, const struct rtcp_pkt *p, struct outlet *o)
{
	const uint8_t *b = (const uint8_t *)p->body.p;
	bool is_fb = p->type == RTCP_RTPFB || p->type == RTCP_PSFB;
	if (f->arg == RC_XR_BT && p->type == RTCP_XR)
		for (size_t i = 4; i + 4 <= p->body.n; i += 4 + 4u * be16(b + i + 2))
			put_u(o, b[i]);
	if (!is_fb || p->body.n < 8)
		return;
	if (f->arg == RC_MEDIA_SSRC)
		put_u(o, be32(b + 4));
	else if (f->arg == (p->type == RTCP_RTPFB ? RC_RTPFB_FMT : RC_PSFB_FMT))
		put_u(o, p->count);
	bool is_nack = p->type == RTCP_RTPFB && p->count == 1;
	for (size_t i = 8; is_nack && i + 4 <= p->body.n; i += 4) {
		unsigned first = be16(b + i), also = be16(b + i + 2);
		if (f->arg == RC_NACK_BLP)
			put_u(o, also);
		if (f->arg != RC_NACK_PID)
			continue;
		put_u(o, first);
		for (unsigned bit = 0; bit < 16; bit++) /* each that is asked for [RFC4585 6.2.1] */
			if (also >> bit & 1)
				put_u(o, (uint16_t)(first + bit + 1));
	}
}

/* Whom the blocks of an extended report are about, and the losses that VoIP metrics repeat.
 * [RFC3611 4] */
static void extended_report(const struct flt_field *f, const struct rtcp_pkt *p, struct outlet *o)
{
	enum { REFERENCE_TIME = 4, DLRR = 5, STATISTICS = 6, VOIP = 7, HEAD = 4 };
	const uint8_t *b = (const uint8_t *)p->body.p;
	size_t n;
	for (size_t i = HEAD; p->type == RTCP_XR && i + HEAD <= p->body.n; i += n) {
		unsigned type = b[i];
		n = HEAD + 4u * be16(b + i + 2);
		if (n > p->body.n - i)
			break;
		size_t step = type == DLRR ? 12 : n;
		bool is_about = type && type <= VOIP && type != REFERENCE_TIME;
		for (size_t k = HEAD; f->arg == RC_SSRC && is_about && k + 4 <= n; k += step)
			put_u(o, be32(b + i + k));
		if (type == VOIP && n >= 12 && (f->arg == RC_FRACTION || f->arg == RC_DISCARDED))
			put_u(o, b[i + (f->arg == RC_FRACTION ? 8 : 9)]);
	}
}

static void rtcp_header(const struct flt_field *f, const struct rtcp_pkt *p, struct outlet *o)
{
	bool is_report = p->type == RTCP_SR || p->type == RTCP_RR;
	bool is_fb = p->type == RTCP_RTPFB || p->type == RTCP_PSFB;
	const uint8_t *header = (const uint8_t *)p->body.p - 4;
	switch (f->arg) {
	case RC_VERSION:
		put_u(o, 2);
		break;
	case RC_PADDING:
		put_u(o, p->has_pad);
		break;
	case RC_RC:
		if (is_report)
			put_u(o, p->count);
		break;
	case RC_SC:
		if (p->type == RTCP_SDES || p->type == RTCP_BYE)
			put_u(o, p->count);
		break;
	case RC_PT:
		put_u(o, p->type);
		break;
	case RC_LENGTH:
		put_u(o, be16(header + 2));
		break;
	case RC_SENDER:
		if ((is_report || is_fb || p->type == RTCP_XR) && p->body.n >= 4)
			put_u(o, p->ssrc);
		break;
	}
}

static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || (unsigned char)s.p[i] > '~')
			return false;
	return true;
}

static void rtcp_app(const struct flt_field *f, const struct rtcp_pkt *p, struct outlet *o)
{
	if (p->type != RTCP_APP || p->body.n < 8)
		return;
	if (f->arg == RC_APP_SUBTYPE)
		put_u(o, p->count);
	else if (f->arg == RC_SSRC)
		put_u(o, p->ssrc);
	else if (f->arg == RC_APP_NAME)
		put_s(o, str_sub(p->body, 4, 4));
	else if (p->body.n > 8 && (f->arg == RC_APP_DATA || f->arg == RC_APP_TEXT) &&
		 is_printable(str_skip(p->body, 8)) == (f->arg == RC_APP_TEXT))
		put_s(o, str_skip(p->body, 8));
}

unsigned flt_get_rtcp(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	struct rtcp_pkt p;
	size_t at = 0;
	if (fr->media != RTP_RTCP)
		return 0;
	bool is_secure = flt_is_srtcp(fr);
	if (is_secure && f->arg > RC_SENDER)
		return 0;
	while (next_packet(fr, is_secure, &at, &p)) {
		o.layer++;
		if (f->arg == RC_PROTO)
			put_proto(&o, p.body.p - 4, p.body.n + 4, p.body.n + 4);
		else if (f->arg <= RC_SENDER)
			rtcp_header(f, &p, &o);
		else if (f->arg <= RC_OCTETS)
			sender_info(f, &p, &o);
		else {
			report_blocks(f, &p, &o);
			sources(f, &p, &o);
			rtcp_app(f, &p, &o);
			feedback(f, &p, &o);
			extended_report(f, &p, &o);
		}
	}
	return o.n;
}
