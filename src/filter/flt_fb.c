/* Fields of RTCP feedback: what is lost, how fast to send, whose picture to refresh.
 *
 * Wireshark opens some kinds of feedback and leaves the others as they are (rtcp.fci).
 * [RFC4585 6] [RFC5104 4] [draft-alvestrand-rmcat-remb]
 */
#include "filter/flt_args.h"

#include "rtp/rtcp.h"

enum { FB_HEAD = 8, NACK = 193 }; /* the latter: of H.261 [RFC2032 5.2.2] */
enum { GENERIC_NACK = 1, TMMBR = 3, TMMBN = 4, TRANSPORT_CC = 15 };
enum { PLI = 1, SLI = 2, FULL_INTRA = 4, APPLICATION = 15 };

static bool is_opened(const struct rtcp_pkt *p)
{
	if (p->type == RTCP_RTPFB)
		return p->count == GENERIC_NACK || p->count == TMMBR || p->count == TMMBN ||
		       p->count == TRANSPORT_CC;
	return p->count == PLI || p->count == SLI || p->count == FULL_INTRA ||
	       p->count == APPLICATION;
}

/* Temporary bit rates: SSRC, 6 bits of exponent, 17 of mantissa, 9 of overhead. */
static void bit_rates(unsigned what, const uint8_t *v, size_t n, struct outlet *o)
{
	for (; n >= 8; v += 8, n -= 8) {
		uint32_t rate = be32(v + 4);
		if (what == FB_TMMBR_SSRC)
			put_u(o, be32(v));
		else if (what == FB_TMMBR_EXP)
			put_u(o, rate >> 26);
		else if (what == FB_TMMBR_MANTISSA)
			put_u(o, rate >> 9 & 0x1ffff);
		else if (what == FB_TMMBR_OVERHEAD)
			put_u(o, rate & 0x1ff);
	}
}

/* What came of the transport's sequence numbers: where they begin, how many, and when. */
static void transport(unsigned what, const uint8_t *v, size_t n, struct outlet *o)
{
	if (n < 8)
		return;
	if (what == FB_CC_BASE)
		put_u(o, be16(v));
	else if (what == FB_CC_COUNT)
		put_u(o, be16(v + 2));
	else if (what == FB_CC_TIME)
		put_i(o, (int32_t)(be32(v + 4) & 0xffffff00u) / 256);
	else if (what == FB_CC_NUMBER)
		put_u(o, v[7]);
}

static void full_intra(unsigned what, const uint8_t *v, size_t n, struct outlet *o)
{
	for (; n >= 8; v += 8, n -= 8)
		if (what == FB_FIR_SSRC)
			put_u(o, be32(v));
		else if (what == FB_FIR_CSN)
			put_u(o, v[4]);
}

/* "REMB", number of SSRCs, 6 bits of exponent, 18 of mantissa, the SSRCs. */
static void max_rate(unsigned what, const uint8_t *v, size_t n, struct outlet *o)
{
	if (n < 8 || memcmp(v, "REMB", 4) != 0)
		return;
	if (what == FB_REMB_NUMBER)
		put_u(o, v[4]);
	else if (what == FB_REMB_EXP)
		put_u(o, v[5] >> 2);
	else if (what == FB_REMB_MANTISSA)
		put_u(o, be32(v + 4) & 0x3ffff);
	for (size_t i = 8; what == FB_REMB_SSRC && i + 4 <= n && i < 8 + 4u * v[4]; i += 4)
		put_u(o, be32(v + i));
}

static void feedback(const struct flt_field *f, const struct rtcp_pkt *p, struct outlet *o)
{
	const uint8_t *b = (const uint8_t *)p->body.p, *v = b + FB_HEAD;
	if (p->type == NACK && p->body.n >= 8 && (f->arg == FB_FSN || f->arg == FB_BLP))
		put_u(o, be16(b + (f->arg == FB_FSN ? 4 : 6)));
	if ((p->type != RTCP_RTPFB && p->type != RTCP_PSFB) || p->body.n < FB_HEAD)
		return;
	size_t n = p->body.n - FB_HEAD;
	if (f->arg == FB_FCI && n && !is_opened(p))
		put_bytes(o, v, n);
	else if (p->type == RTCP_RTPFB && (p->count == TMMBR || p->count == TMMBN))
		bit_rates(f->arg, v, n, o);
	else if (p->type == RTCP_RTPFB && p->count == TRANSPORT_CC)
		transport(f->arg, v, n, o);
	else if (p->type == RTCP_PSFB && p->count == FULL_INTRA)
		full_intra(f->arg, v, n, o);
	else if (p->type == RTCP_PSFB && p->count == APPLICATION)
		max_rate(f->arg, v, n, o);
}

unsigned flt_get_feedback(const struct flt_field *f, const struct cap_frame *fr,
			  struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	struct rtcp_pkt p;
	size_t at = 0;
	if (fr->media != RTP_RTCP || flt_is_srtcp(fr))
		return 0;
	while (!rtcp_next(fr->pkt.p, fr->pkt.n, &at, &p)) {
		o.layer++;
		feedback(f, &p, &o);
	}
	return o.n;
}
