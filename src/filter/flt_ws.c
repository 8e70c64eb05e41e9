/* Fields of WebSocket frames, as far as they lie in one segment in the clear. [RFC6455 5.2] */
#include "filter/flt_get.h"

static void ws_value(unsigned what, const uint8_t *p, unsigned n_hdr, uint64_t n, struct outlet *o)
{
	unsigned length = p[1] & 127, op = p[0] & 15;
	bool is_masked = p[1] & 128;
	const uint8_t *mask = is_masked ? p + n_hdr - 4 : NULL, *v = p + n_hdr;
	switch (what) {
	case WS_FIN:
		put_u(o, p[0] >> 7);
		break;
	case WS_OPCODE:
		put_u(o, op);
		break;
	case WS_MASK:
		put_u(o, is_masked);
		break;
	case WS_LENGTH:
		put_u(o, length);
		break;
	case WS_LENGTH_16:
	case WS_LENGTH_64:
		if (length == (what == WS_LENGTH_16 ? 126u : 127u))
			put_u(o, n);
		break;
	case WS_KEY:
		if (is_masked)
			put_bytes(o, mask, 4);
		break;
	case WS_PAYLOAD:
	case WS_MASKED:
		if (n && (what == WS_PAYLOAD || is_masked))
			put_u(o, 1);
		break;
	case WS_CLOSED:
		if (op == 8 && n)
			put_u(o, 1);
		break;
	case WS_STATUS:
		if (op == 8 && n >= 2)
			put_u(o, be16(v) ^ (mask ? (uint32_t)be16(mask) : 0));
		break;
	}
}

static bool is_begun_before(const struct cap_frame *fr)
{
	uint32_t first = fr->n_msgs ? fr->msgs[0].first_no : 0;
	return first && first != fr->rec.no;
}

/* The frames of a segment that brought SIP, as far as they lie in it whole: of what began in an
 * earlier one the header is there. [RFC6455 5.2] */
unsigned flt_get_ws(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	if (!fr->is_ws || !fr->pkt.n ||
	    (fr->tls && f->arg != WS_PROTO)) /* what was in TLS is not kept */
		return 0;
	const uint8_t *p = fr->pkt.p, *end = p + fr->pkt.n;
	if (f->arg == WS_PROTO)
		put_proto(&o, p, fr->pkt.n, fr->pkt.n);
	if (f->arg == WS_PROTO || is_begun_before(fr))
		return o.n;
	while (end - p >= 2 && !(p[0] & 0x70)) {
		unsigned length = p[1] & 127, n_hdr = 2 + (p[1] & 128 ? 4 : 0);
		uint64_t n = length;
		if (length > 125)
			n_hdr += length == 126 ? 2 : 8;
		if (end - p < (ptrdiff_t)n_hdr)
			break;
		if (length > 125)
			n = length == 126 ? be16(p + 2) : (uint64_t)be32(p + 2) << 32 | be32(p + 6);
		if (n > (uint64_t)(end - p) - n_hdr)
			break;
		ws_value(f->arg, p, n_hdr, n, &o);
		p += n_hdr + n;
		o.layer++;
	}
	return o.n;
}
