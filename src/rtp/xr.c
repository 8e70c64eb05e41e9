/* Extended reports. A packet holds the sender's SSRC and then blocks of type, a byte of the type's
 * own, and a length in words. Reading is a walk as with RTCP itself: lengths are checked where a
 * block is cut out, contents where it is opened. [RFC3611 2, 3, 4] */
#include "rtp/xr.h"

#include "rtp/bytes_priv.h"

#define HEAD      4u
#define VOIP_SIZE 32u
#define DLRR_SIZE 12u

static const uint8_t *bytes(struct str s)
{
	return (const uint8_t *)s.p;
}

enum err xr_next(const struct rtcp_pkt *p, size_t *at, struct xr_block *out)
{
	if (p->type != RTCP_XR || p->body.n < HEAD)
		return ERR_SYNTAX;
	struct str blocks = str_skip(p->body, HEAD); /* the sender's SSRC */
	if (*at >= blocks.n)
		return ERR_MORE;
	const uint8_t *b = bytes(blocks) + *at;
	size_t left = blocks.n - *at;
	if (left < HEAD || HEAD + 4u * get16(b + 2) > left)
		return ERR_SYNTAX;
	size_t n = 4u * get16(b + 2);
	*out = (struct xr_block){
		.type = b[0], .specific = b[1], .body = str_sub(blocks, *at + HEAD, n)};
	*at += HEAD + n;
	return OK;
}

enum err xr_voip_parse(const struct xr_block *k, struct xr_voip *out)
{
	const uint8_t *b = bytes(k->body);
	if (k->type != XR_VOIP || k->body.n < VOIP_SIZE)
		return ERR_SYNTAX;
	*out = (struct xr_voip){
		.ssrc = get32(b),
		.loss = b[4],
		.discard = b[5],
		.burst_density = b[6],
		.gap_density = b[7],
		.burst_ms = get16(b + 8),
		.gap_ms = get16(b + 10),
		.round_trip_ms = get16(b + 12),
		.end_system_ms = get16(b + 14),
		.signal_dbm = (int8_t)b[16],
		.noise_dbm = (int8_t)b[17],
		.echo_db = b[18],
		.gmin = b[19],
		.r = b[20],
		.external_r = b[21],
		.mos_lq = b[22],
		.mos_cq = b[23],
		.config = b[24],
		.buffer_ms = get16(b + 26),
		.buffer_max_ms = get16(b + 28),
		.buffer_abs_max_ms = get16(b + 30),
	};
	return OK;
}

enum err xr_reference_time(const struct xr_block *k, uint64_t *ntp)
{
	if (k->type != XR_REFERENCE_TIME || k->body.n < 8)
		return ERR_SYNTAX;
	*ntp = get64(bytes(k->body));
	return OK;
}

enum err xr_dlrr(const struct xr_block *k, unsigned i, struct rtcp_block *out)
{
	if (k->type != XR_DLRR)
		return ERR_SYNTAX;
	if (k->body.n / DLRR_SIZE <= i)
		return ERR_NOTFOUND;
	const uint8_t *b = bytes(k->body) + (size_t)i * DLRR_SIZE;
	*out = (struct rtcp_block){.ssrc = get32(b), .lsr = get32(b + 4), .dlsr = get32(b + 8)};
	return OK;
}

void xr_put_voip(struct buf *b, uint32_t sender, const struct xr_voip *v)
{
	uint8_t w[4 + 4 + HEAD + VOIP_SIZE] = {0x80, RTCP_XR};
	put16(w + 2, sizeof(w) / 4 - 1);
	put32(w + 4, sender);
	w[8] = XR_VOIP;
	put16(w + 10, VOIP_SIZE / 4);
	uint8_t *p = w + 12;
	put32(p, v->ssrc);
	p[4] = v->loss;
	p[5] = v->discard;
	p[6] = v->burst_density;
	p[7] = v->gap_density;
	put16(p + 8, v->burst_ms);
	put16(p + 10, v->gap_ms);
	put16(p + 12, v->round_trip_ms);
	put16(p + 14, v->end_system_ms);
	p[16] = (uint8_t)v->signal_dbm;
	p[17] = (uint8_t)v->noise_dbm;
	p[18] = v->echo_db;
	p[19] = v->gmin;
	p[20] = v->r;
	p[21] = v->external_r;
	p[22] = v->mos_lq;
	p[23] = v->mos_cq;
	p[24] = v->config;
	put16(p + 26, v->buffer_ms);
	put16(p + 28, v->buffer_max_ms);
	put16(p + 30, v->buffer_abs_max_ms);
	buf_put(b, w, sizeof(w));
}
