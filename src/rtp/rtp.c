/* The RTP header, telephone events, and the demultiplexer of a media port.
 *
 * One UDP port may carry STUN (ICE, NAT keep-alives), DTLS, ZRTP, TURN channels, RTP and, with
 * rtcp-mux, RTCP. The first byte tells them apart [RFC7983 7]:
 *
 *	0..3 STUN   16..19 ZRTP   20..63 DTLS   64..79 TURN channel   128..191 RTP or RTCP
 *
 * and RTP from RTCP by the second: RTCP's packet types 192..223 lie where RTP would have payload
 * types 64..95 with the marker set, which RTP therefore leaves unused [RFC5761 4].
 *
 * Everything here is a pure function over bytes; nothing is copied, nothing allocated. Lengths are
 * checked against each other before any field beyond the first twelve bytes is read. */

#include "rtp/rtp.h"

#include "rtp/bytes_priv.h"

enum rtp_kind rtp_demux_any(const void *p, size_t n)
{
	const uint8_t *b = p;
	if (n < 4)
		return RTP_UNKNOWN;
	if (b[0] >= 128 && b[0] <= 191) {
		if (b[1] >= 192 && b[1] <= 223)
			return n >= 8 || (b[1] == 203 && b[0] == 128) ? RTP_RTCP : RTP_UNKNOWN;
		return n >= RTP_HDR_MIN ? RTP_RTP : RTP_UNKNOWN;
	}
	if (b[0] <= 3)
		return n >= 20 && get32(b + 4) == 0x2112A442u ? RTP_STUN : RTP_UNKNOWN;
	if (b[0] >= 20 && b[0] <= 63)
		return n >= 13 ? RTP_DTLS : RTP_UNKNOWN;
	if (b[0] >= 16 && b[0] <= 19)
		return n >= 12 && get32(b + 4) == 0x5a525450u ? RTP_ZRTP : RTP_UNKNOWN;
	return b[0] >= 64 && b[0] <= 79 ? RTP_TURN : RTP_UNKNOWN;
}

enum err rtp_parse_any(const void *p, size_t n, struct rtp_hdr *out)
{
	const uint8_t *b = p;
	if (n < RTP_HDR_MIN || b[0] >> 6 != 2)
		return ERR_SYNTAX;
	unsigned n_csrc = b[0] & 0x0f;
	*out = (struct rtp_hdr){
		.has_marker = b[1] & 0x80,
		.pt = b[1] & 0x7f,
		.n_csrc = (uint8_t)n_csrc,
		.seq = get16(b + 2),
		.ts = get32(b + 4),
		.ssrc = get32(b + 8),
	};
	size_t at = RTP_HDR_MIN + 4u * n_csrc;
	if (b[0] & 0x10) {
		if (n < at + 4)
			return ERR_SYNTAX;
		size_t ext_n = 4u * get16(b + at + 2);
		out->ext_profile = get16(b + at);
		out->ext = str_of((const char *)b + at + 4, ext_n);
		at += 4 + ext_n;
	}
	if (n < at)
		return ERR_SYNTAX;
	if (b[0] & 0x20) {
		if (n == at || b[n - 1] == 0 || b[n - 1] > n - at)
			return ERR_SYNTAX;
		out->n_pad = b[n - 1];
		n -= out->n_pad;
	}
	out->payload = str_of((const char *)b + at, n - at);
	return OK;
}

void rtp_put(uint8_t out[RTP_HDR_MIN], uint8_t pt, bool marker, uint16_t seq, uint32_t ts,
	     uint32_t ssrc)
{
	out[0] = 0x80;
	out[1] = (uint8_t)((marker ? 0x80 : 0) | (pt & 0x7f));
	put16(out + 2, seq);
	put32(out + 4, ts);
	put32(out + 8, ssrc);
}

enum err rtp_event_parse(struct str payload, struct rtp_event *out)
{
	const uint8_t *b = (const uint8_t *)payload.p;
	if (payload.n < RTP_EVENT_SIZE)
		return ERR_SYNTAX;
	*out = (struct rtp_event){
		.event = b[0],
		.is_end = b[1] >> 7,
		.volume = b[1] & 0x3f,
		.duration = get16(b + 2),
	};
	return OK;
}

void rtp_event_put(uint8_t out[RTP_EVENT_SIZE], const struct rtp_event *ev)
{
	out[0] = ev->event;
	out[1] = (uint8_t)((ev->is_end ? 0x80 : 0) | (ev->volume & 0x3f));
	put16(out + 2, ev->duration);
}

static const char digits[] = "0123456789*#ABCD!"; /* in order of event numbers [RFC4733 3.2] */

char rtp_event_digit(uint8_t event)
{
	return event < sizeof(digits) - 1 ? digits[event] : 0;
}

int rtp_event_of_digit(char digit)
{
	if (digit >= 'a' && digit <= 'd')
		digit = (char)(digit - 'a' + 'A');
	for (int i = 0; digits[i]; i++)
		if (digits[i] == digit)
			return i;
	return -1;
}
