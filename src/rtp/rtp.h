#pragma once
/* RTP fixed header [RFC3550 5.1], telephone-event payload [RFC4733 2.3], and what shares a media
 * port [RFC7983 7] [RFC5761 4]. */

#include "base/cut.h"
#include "base/err.h"
#include "base/str.h"

#define RTP_HDR_MIN 12

enum rtp_kind { RTP_UNKNOWN, RTP_STUN, RTP_ZRTP, RTP_DTLS, RTP_TURN, RTP_RTP, RTP_RTCP, RTP_T38 };
enum rtp_kind rtp_demux_any(const void *p, size_t n);
/* Which protocol a datagram on a media port belongs to, by its first two bytes and least lengths.
 * Cheap; a full parse may still refuse it. Never RTP_T38: only SDP tells UDPTL from others. */
static inline enum rtp_kind rtp_demux(const void *p, size_t n)
{
	const uint8_t *b = p;
	bool is_rtp = n >= RTP_HDR_MIN && b[0] >> 6 == 2 && b[1] < 192; /* as nearly all are */
	return is_rtp ? RTP_RTP : rtp_demux_any(p, n);
}

struct rtp_hdr {
	bool has_marker;
	uint8_t pt, n_csrc, n_pad; /* n_pad: padding bytes at the end, the count included */
	uint16_t seq;
	uint32_t ts, ssrc;
	uint16_t ext_profile; /* when ext.p is not NULL */
	struct str ext;       /* extension data [RFC3550 5.3.1]; p NULL when none */
	struct str payload;   /* without padding; borrows the datagram */
};
enum err rtp_parse_any(const void *p, size_t n, struct rtp_hdr *out);
/* ERR_SYNTAX: version not 2, or lengths that do not fit. */
static inline enum err rtp_parse(const void *p, size_t n, struct rtp_hdr *out)
{
	const uint8_t *b = p;
	if (n < RTP_HDR_MIN || b[0] != 0x80) /* with padding, extension or CSRC */
		return rtp_parse_any(p, n, out);
	*out = (struct rtp_hdr){.has_marker = b[1] >> 7,
				.pt = b[1] & 0x7f,
				.seq = be16(b + 2),
				.ts = be32(b + 4),
				.ssrc = be32(b + 8),
				.payload = str_of((const char *)b + RTP_HDR_MIN, n - RTP_HDR_MIN)};
	return OK;
}
/* Writes 12 bytes: version 2, no padding, extension or CSRC. */
void rtp_put(uint8_t out[RTP_HDR_MIN], uint8_t pt, bool marker, uint16_t seq, uint32_t ts,
	     uint32_t ssrc);

struct rtp_event { /* [RFC4733 2.3] */
	uint8_t event;
	bool is_end;
	uint8_t volume;    /* -dBm0, 0..63 */
	uint16_t duration; /* ticks */
};
#define RTP_EVENT_SIZE 4
enum err rtp_event_parse(struct str payload, struct rtp_event *out);
void rtp_event_put(uint8_t out[RTP_EVENT_SIZE], const struct rtp_event *ev);
/* '0'..'9' '*' '#' 'A'..'D' and '!' (flash, 16); 0 for other events. */
char rtp_event_digit(uint8_t event);
/* The event of a digit, -1 when it is none. */
int rtp_event_of_digit(char digit);
