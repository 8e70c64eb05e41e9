/* Fields of IP fragments: what a datagram was put together from, said where it became whole, and
 * the extension headers of IPv6, of which one says that there are pieces. [RFC8200 4]
 */
#include "filter/flt_get.h"

unsigned flt_get_frag(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	const struct cap_frag *g = &fr->pkt.frag;
	if (!fr->is_whole || g->is_v6 != !!(f->arg & PG_V6))
		return 0;
	switch (f->arg & 0xff) {
	case PG_ANY:
		put_u(&o, 1);
		break;
	case PG_FRAMES:
		for (uint32_t i = 0; i < g->n_pieces && i < CAP_MAX_PIECES; i++)
			put_u(&o, g->frames[i]);
		break;
	case PG_COUNT:
		put_u(&o, g->n_pieces);
		break;
	case PG_DATA:
		put_bytes(&o, g->p, g->n);
		break;
	case PG_LENGTH:
		put_u(&o, g->n);
		break;
	}
	return o.n;
}

enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60 };

static void put_ext6(unsigned what, const uint8_t *p, unsigned len, struct outlet *o)
{
	switch (what) {
	case E6_HEADER:
		put_proto(o, p, len, len);
		break;
	case E6_NEXT:
		put_u(o, p[0]);
		break;
	case E6_LEN:
		put_u(o, p[1]);
		break;
	case E6_OCTETS:
		put_u(o, len);
		break;
	case E6_TYPE:
		put_u(o, p[2]);
		break;
	case E6_LEFT:
		put_u(o, p[3]);
		break;
	case E6_OFFSET: /* in units of 8 bytes */
		put_u(o, be16(p + 2) >> 3);
		break;
	case E6_MORE:
		put_u(o, p[3] & 1);
		break;
	case E6_IDENT:
		put_u(o, be32(p + 4));
		break;
	}
}

static void walk_ext6(uint32_t arg, const struct cap_hdr *h, struct outlet *o)
{
	enum { HEAD = 40 };
	uint8_t proto = h->p[6];
	for (uint32_t at = HEAD; h->n >= 8 && at <= h->n - 8;) {
		const uint8_t *p = h->p + at;
		bool is_ext = proto == HOP_BY_HOP || proto == ROUTING || proto == FRAGMENT ||
			      proto == DESTINATION;
		uint32_t len = proto == FRAGMENT ? 8 : 8 + 8u * p[1];
		if (!is_ext || len > h->n - at)
			return;
		if (proto == arg >> 8)
			put_ext6(arg & 0xff, p, len, o);
		if (proto == FRAGMENT && be16(p + 2) & 0xfff8)
			return; /* what follows is no header */
		proto = p[0];
		at += len;
	}
}

unsigned flt_get_ext6(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (unsigned i = 0; i < fr->pkt.n_ips; i++) {
		const struct cap_ip *ip = &fr->pkt.ips[i];
		if (ip->src.family != ADDR_V6 || !ip->hdr.p || ip->hdr.n < 40)
			continue;
		o.layer++;
		walk_ext6(f->arg, &ip->hdr, &o);
	}
	return o.n;
}
