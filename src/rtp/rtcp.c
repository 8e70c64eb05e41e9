/* RTCP: a compound datagram is a row of packets, each with its length in words [RFC3550 6.1].
 *
 * Reading is a walk: rtcp_next hands out one packet after another as views into the datagram and
 * checks that header, length and padding fit; the *_parse functions then open what the caller
 * knows. Nothing is allocated and nothing is decided here: whether a compound begins with a report
 * (it must, unless RFC 5506 is in use) is for the analyzer to say.
 *
 * Writing appends to a `struct buf`, which keeps the first failure. Lengths are in 32-bit words
 * minus one; all packets written here are whole words without padding. */

#include "rtp/rtcp.h"

#include "rtp/bytes_priv.h"

#include <string.h>

#define BLOCK_SIZE 24
#define SR_SIZE    24 /* sender information with its SSRC */
#define MAX_BLOCKS 31
#define TRIP_MAX_S 60u /* no network is slower; more is a clock or an answer gone wrong */

static const uint8_t *bytes(struct str s)
{
	return (const uint8_t *)s.p;
}

enum err rtcp_next(const void *p, size_t n, size_t *at, struct rtcp_pkt *out)
{
	if (*at >= n)
		return ERR_MORE;
	const uint8_t *b = (const uint8_t *)p + *at;
	size_t left = n - *at;
	if (left < 4 || b[0] >> 6 != 2)
		return ERR_SYNTAX;
	size_t size = 4u * get16(b + 2) + 4;
	if (size > left)
		return ERR_SYNTAX;
	*out = (struct rtcp_pkt){
		.type = b[1],
		.count = b[0] & 0x1f,
		.has_pad = b[0] & 0x20,
		.ssrc = size >= 8 ? get32(b + 4) : 0,
		.body = str_of((const char *)b + 4, size - 4),
	};
	if (out->has_pad) {
		uint8_t pad = b[size - 1];
		if (pad == 0 || pad > size - 4)
			return ERR_SYNTAX;
		out->body.n -= pad;
	}
	*at += size;
	return OK;
}

enum err rtcp_sr_parse(const struct rtcp_pkt *p, struct rtcp_sr *out)
{
	const uint8_t *b = bytes(p->body);
	if (p->type != RTCP_SR || p->body.n < SR_SIZE)
		return ERR_SYNTAX;
	*out = (struct rtcp_sr){
		.ssrc = get32(b),
		.ntp = get64(b + 4),
		.rtp_ts = get32(b + 12),
		.packets = get32(b + 16),
		.octets = get32(b + 20),
	};
	return OK;
}

enum err rtcp_block_parse(const struct rtcp_pkt *p, unsigned i, struct rtcp_block *out)
{
	if ((p->type != RTCP_SR && p->type != RTCP_RR) || i >= p->count)
		return ERR_NOTFOUND;
	size_t off = (p->type == RTCP_SR ? SR_SIZE : 4) + (size_t)i * BLOCK_SIZE;
	if (off + BLOCK_SIZE > p->body.n)
		return ERR_SYNTAX;
	const uint8_t *b = bytes(p->body) + off;
	uint32_t lost = get32(b + 4) & 0xffffff;
	*out = (struct rtcp_block){
		.ssrc = get32(b),
		.fraction = b[4],
		.lost = lost & 0x800000 ? (int32_t)lost - 0x1000000 : (int32_t)lost,
		.ext_seq = get32(b + 8),
		.jitter = get32(b + 12),
		.lsr = get32(b + 16),
		.dlsr = get32(b + 20),
	};
	return OK;
}

bool rtcp_sdes_chunk(const struct rtcp_pkt *p, size_t *at, uint32_t *ssrc)
{
	if (p->type != RTCP_SDES || *at + 4 > p->body.n)
		return false;
	*ssrc = get32(bytes(p->body) + *at);
	*at += 4;
	return true;
}

bool rtcp_sdes_item(const struct rtcp_pkt *p, size_t *at, uint8_t *item, struct str *text)
{
	const uint8_t *b = bytes(p->body) + *at;
	size_t left = p->body.n - *at;
	if (left == 0 || b[0] == 0) {
		*at = (*at + 4) & ~(size_t)3; /* one to four zero bytes end a chunk */
		return false;
	}
	if (left < 2 || 2u + b[1] > left) {
		*at = p->body.n;
		return false;
	}
	*item = b[0];
	*text = str_of((const char *)b + 2, b[1]);
	*at += 2u + b[1];
	return true;
}

enum err rtcp_sdes_find(const struct rtcp_pkt *p, uint32_t ssrc, uint8_t item, struct str *out)
{
	size_t at = 0, item_at;
	uint32_t whose;
	uint8_t kind;
	struct str text;
	if (p->type != RTCP_SDES)
		return ERR_NOTFOUND;
	for (unsigned chunk = 0; chunk < p->count; chunk++) {
		if (!rtcp_sdes_chunk(p, &at, &whose))
			return ERR_SYNTAX;
		while (item_at = at, rtcp_sdes_item(p, &at, &kind, &text))
			if (whose == ssrc && kind == item) {
				*out = text;
				return OK;
			}
		if (item_at < p->body.n && bytes(p->body)[item_at]) /* no end of the chunk */
			return ERR_SYNTAX;
	}
	return ERR_NOTFOUND;
}

enum err rtcp_bye_source(const struct rtcp_pkt *p, unsigned i, uint32_t *ssrc)
{
	if (p->type != RTCP_BYE || i >= p->count)
		return ERR_NOTFOUND;
	if (4 * (size_t)i + 4 > p->body.n)
		return ERR_SYNTAX;
	*ssrc = get32(bytes(p->body) + 4 * (size_t)i);
	return OK;
}

struct str rtcp_bye_reason(const struct rtcp_pkt *p)
{
	struct str s = str_skip(p->body, 4u * p->count);
	if (p->type != RTCP_BYE || s.n == 0)
		return STR_NONE;
	return str_sub(s, 1, (uint8_t)s.p[0]);
}

/* --- writing -------------------------------------------------------------------------------- */

static void put_u32(struct buf *b, uint32_t v)
{
	uint8_t w[4];
	put32(w, v);
	buf_put(b, w, sizeof(w));
}

static void put_head(struct buf *b, uint8_t type, unsigned count, size_t body_size)
{
	put_u32(b, 2u << 30 | count << 24 | (uint32_t)type << 16 | (uint32_t)(body_size / 4));
}

static void put_blocks(struct buf *b, const struct rtcp_block *blocks, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct rtcp_block *r = &blocks[i];
		put_u32(b, r->ssrc);
		put_u32(b, (uint32_t)r->fraction << 24 | ((uint32_t)r->lost & 0xffffff));
		put_u32(b, r->ext_seq);
		put_u32(b, r->jitter);
		put_u32(b, r->lsr);
		put_u32(b, r->dlsr);
	}
}

void rtcp_put_sr(struct buf *b, const struct rtcp_sr *sr, const struct rtcp_block *blocks,
		 unsigned n)
{
	n = n > MAX_BLOCKS ? MAX_BLOCKS : n;
	put_head(b, RTCP_SR, n, SR_SIZE + (size_t)n * BLOCK_SIZE);
	put_u32(b, sr->ssrc);
	put_u32(b, (uint32_t)(sr->ntp >> 32));
	put_u32(b, (uint32_t)sr->ntp);
	put_u32(b, sr->rtp_ts);
	put_u32(b, sr->packets);
	put_u32(b, sr->octets);
	put_blocks(b, blocks, n);
}

void rtcp_put_rr(struct buf *b, uint32_t ssrc, const struct rtcp_block *blocks, unsigned n)
{
	n = n > MAX_BLOCKS ? MAX_BLOCKS : n;
	put_head(b, RTCP_RR, n, 4 + (size_t)n * BLOCK_SIZE);
	put_u32(b, ssrc);
	put_blocks(b, blocks, n);
}

void rtcp_put_sdes_cname(struct buf *b, uint32_t ssrc, struct str cname)
{
	cname.n = cname.n > 255 ? 255 : cname.n;
	size_t body = 4 + 2 + cname.n;
	size_t zeros = 4 - body % 4;
	put_head(b, RTCP_SDES, 1, body + zeros);
	put_u32(b, ssrc);
	buf_chr(b, RTCP_CNAME);
	buf_chr(b, (char)cname.n);
	buf_str(b, cname);
	buf_fill(b, 0, zeros);
}

void rtcp_put_bye(struct buf *b, uint32_t ssrc, struct str reason)
{
	reason.n = reason.n > 255 ? 255 : reason.n;
	size_t text = reason.n ? 1 + reason.n : 0;
	size_t zeros = (4 - text % 4) % 4;
	put_head(b, RTCP_BYE, 1, 4 + text + zeros);
	put_u32(b, ssrc);
	if (reason.n) {
		buf_chr(b, (char)reason.n);
		buf_str(b, reason);
		buf_fill(b, 0, zeros);
	}
}

/* --- time ----------------------------------------------------------------------------------- */

uint64_t rtcp_ntp(uint64_t wall_us)
{
	uint64_t s = wall_us / 1'000'000 + UINT64_C(2208988800); /* 1900 to 1970 */
	uint64_t fraction = (wall_us % 1'000'000 << 32) / 1'000'000;
	return s << 32 | fraction;
}

uint32_t rtcp_round_trip_us(const struct rtcp_block *b, uint64_t now_ntp)
{
	uint32_t trip = rtcp_ntp_mid(now_ntp) - b->lsr - b->dlsr;
	/* Clocks that tick differently may give a bit less than nothing, which is far too much. */
	if (b->lsr == 0 || trip > TRIP_MAX_S << 16)
		return 0;
	return (uint32_t)((uint64_t)trip * 1'000'000 >> 16);
}
