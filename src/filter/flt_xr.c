/* Fields of RTCP extended reports: what a receiver says of a stream beyond loss and jitter.
 *
 * A packet of them holds blocks, each with its type and length; a field belongs to blocks of one
 * type, where flt_field.arg says what bits it is, as in flt_pkt.c. Lists have a value per element.
 * [RFC3611 3, 4]
 */
#include "filter/flt_args.h"

#include "rtp/rtcp.h"

#define HEAD     4u
#define NO_VALUE 127u /* of a MOS [RFC3611 4.7.5] */

enum block { LOSS_RLE = 1, DUP_RLE, TIMES, REFERENCE, DLRR, STATISTICS };

static void bits(const struct flt_field *f, const uint8_t *p, size_t n, struct outlet *o)
{
	unsigned off = f->arg >> 16 & 255, size = f->arg >> 12 & 15;
	unsigned shift = f->arg >> 6 & 63, n_bits = f->arg & 63;
	uint64_t v = 0;
	if (off + size > n)
		return;
	for (unsigned i = 0; i < size; i++)
		v = v << 8 | p[off + i];
	v >>= shift;
	if (n_bits)
		v &= (1ull << n_bits) - 1;
	if (f->type == FLT_INT) {
		put_i(o, (int8_t)v);
	} else if (f->type == FLT_REAL) {
		struct flt_val *out = flt_out(o);
		if (out)
			out->f = v == NO_VALUE ? (double)v : (double)v / 10;
	} else {
		put_u(o, v);
	}
}

/* Runs of packets that came or not, and one bit for each of 15. */
static void chunks(unsigned what, const uint8_t *p, size_t n, struct outlet *o)
{
	for (size_t i = HEAD + 8; i + 2 <= n; i += 2) {
		unsigned chunk = be16(p + i);
		bool is_vector = chunk & 0x8000;
		if (what == XB_VECTOR && is_vector)
			put_u(o, chunk & 0x7fff);
		else if (what == XB_RUN && !is_vector && chunk)
			put_u(o, chunk & 0x3fff);
	}
}

static void block_value(const struct flt_field *f, const uint8_t *p, size_t n, struct outlet *o)
{
	unsigned what = f->arg, type = *p;
	bool is_rle = type == LOSS_RLE || type == DUP_RLE;
	switch (what) {
	case XB_LENGTH:
		put_u(o, be16(p + 2));
		break;
	case XB_SPECIFIC:
		if (!is_rle && type != TIMES && type != STATISTICS)
			put_u(o, p[1]);
		break;
	case XB_THINNING:
		if (is_rle || type == TIMES)
			put_u(o, p[1] & 15);
		break;
	case XB_BEGIN:
	case XB_END:
		if ((is_rle || type == TIMES || type == STATISTICS) && n >= HEAD + 8)
			put_u(o, be16(p + HEAD + (what == XB_BEGIN ? 4 : 6)));
		break;
	case XB_RUN:
	case XB_VECTOR:
		if (is_rle)
			chunks(what, p, n, o);
		break;
	case XB_RECEIPT:
		for (size_t i = HEAD + 8; type == TIMES && i + 4 <= n; i += 4)
			put_u(o, be32(p + i));
		break;
	case XB_LRR:
	case XB_DLRR:
		for (size_t i = HEAD; type == DLRR && i + 12 <= n; i += 12)
			put_u(o, be32(p + i + (what == XB_LRR ? 4 : 8)));
		break;
	case XB_TIME:
		if (type == REFERENCE && n >= HEAD + 8)
			put_i(o, flt_ntp_ns((uint64_t)be32(p + HEAD) << 32 | be32(p + HEAD + 4)));
		break;
	default:
		if (type == f->arg >> 24)
			bits(f, p, n, o);
		break;
	}
}

unsigned flt_get_xr(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	struct rtcp_pkt r;
	size_t at = 0;
	if (fr->media != RTP_RTCP || flt_is_srtcp(fr))
		return 0;
	while (!rtcp_next(fr->pkt.p, fr->pkt.n, &at, &r)) {
		const uint8_t *p = (const uint8_t *)r.body.p;
		o.layer++;
		for (size_t i = HEAD; r.type == RTCP_XR && i + HEAD <= r.body.n;) {
			size_t n = HEAD + 4u * be16(p + i + 2);
			if (n > r.body.n - i)
				break;
			block_value(f, p + i, n, &o);
			i += n;
		}
	}
	return o.n;
}
