#pragma once
/* RTCP compound packets [RFC3550 6], read by walking and written into a `struct buf`. XR (RFC 3611)
 * and feedback (RFC 4585) are recognised, not opened. */

#include "base/buf.h"

enum rtcp_type {
	RTCP_SR = 200,
	RTCP_RR = 201,
	RTCP_SDES = 202,
	RTCP_BYE = 203,
	RTCP_APP = 204,
	RTCP_RTPFB = 205,
	RTCP_PSFB = 206,
	RTCP_XR = 207
};

struct rtcp_pkt {      /* one packet of a compound */
	uint8_t type;  /* enum rtcp_type or another number 192..223 */
	uint8_t count; /* report, source or sub-type count */
	bool has_pad;
	uint32_t ssrc;   /* first word, 0 when there is none (empty BYE or SDES) */
	struct str body; /* after the 4-byte header, without padding */
};
/* Walks a compound: size_t at = 0; while ((e = rtcp_next(p, n, &at, &pkt)) == OK) ... ERR_MORE at
 * the end, ERR_SYNTAX when the rest cannot be read. The first packet being no SR or RR is not an
 * error (reduced size, RFC 5506). */
enum err rtcp_next(const void *p, size_t n, size_t *at, struct rtcp_pkt *out);

struct rtcp_sr {
	uint32_t ssrc;
	uint64_t ntp; /* 32.32 fixed point seconds since 1900 */
	uint32_t rtp_ts, packets, octets;
};
enum err rtcp_sr_parse(const struct rtcp_pkt *p, struct rtcp_sr *out);

struct rtcp_block { /* report block */
	uint32_t ssrc;
	uint8_t fraction;
	int32_t lost; /* 24 bits, signed */
	uint32_t ext_seq, jitter;
	uint32_t lsr, dlsr; /* middle 32 bits of the SR's NTP time; delay in 1/65536 s */
};
/* Report block i of an SR or RR; ERR_NOTFOUND past the last. */
enum err rtcp_block_parse(const struct rtcp_pkt *p, unsigned i, struct rtcp_block *out);

enum rtcp_sdes_item { RTCP_CNAME = 1, RTCP_NAME = 2, RTCP_TOOL = 6, RTCP_NOTE = 7 };
/* First item of that kind of the first chunk with this ssrc; ERR_NOTFOUND. */
enum err rtcp_sdes_find(const struct rtcp_pkt *p, uint32_t ssrc, uint8_t item, struct str *out);
/* Walks an SDES packet: size_t at = 0; for each of p->count chunks rtcp_sdes_chunk, and within it
 * while (rtcp_sdes_item(...)). Both are false at the end, and where the rest cannot be read. */
bool rtcp_sdes_chunk(const struct rtcp_pkt *p, size_t *at, uint32_t *ssrc);
bool rtcp_sdes_item(const struct rtcp_pkt *p, size_t *at, uint8_t *item, struct str *text);
/* Source i of a BYE; ERR_NOTFOUND past the last. */
enum err rtcp_bye_source(const struct rtcp_pkt *p, unsigned i, uint32_t *ssrc);
struct str rtcp_bye_reason(const struct rtcp_pkt *p);

/* At most 31 blocks each. */
void rtcp_put_sr(struct buf *b, const struct rtcp_sr *sr, const struct rtcp_block *blocks,
		 unsigned n);
void rtcp_put_rr(struct buf *b, uint32_t ssrc, const struct rtcp_block *blocks, unsigned n);
void rtcp_put_sdes_cname(struct buf *b, uint32_t ssrc, struct str cname); /* cut at 255 bytes */
void rtcp_put_bye(struct buf *b, uint32_t ssrc, struct str reason);

uint64_t rtcp_ntp(uint64_t wall_us); /* of µs since 1970 */
static inline uint32_t rtcp_ntp_mid(uint64_t ntp)
{
	return (uint32_t)(ntp >> 16);
}
/* Round trip in µs of a block about us that arrived at `now_ntp`; 0 when it cannot be told. */
uint32_t rtcp_round_trip_us(const struct rtcp_block *b, uint64_t now_ntp);
