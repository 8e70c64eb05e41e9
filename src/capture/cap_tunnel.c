/* Tunnels: what a probe in a data centre (VXLAN, GRE, ERSPAN), in a provider's network (MPLS,
 * PPPoE) or behind a mobile core (GTP-U) sees SIP wrapped in.
 *
 * A header is taken for what it claims to be only when the rest of it fits, since two of them are
 * known by nothing but a UDP port. What cannot be told is left alone: the outer packet is then what
 * it is.
 */
#include "capture/cap_tunnel.h"

enum {
	TYPE_TRANSPARENT_ETHERNET = 0x6558,
	TYPE_PPP = 0x880b,
	TYPE_ERSPAN_II = 0x88be,
	TYPE_ERSPAN_III = 0x22eb,
};

static bool skip(struct cut *c, uint32_t n)
{
	bool is_there = n <= c->n;
	cut_skip(c, n);
	return is_there;
}

static bool looks_like_ip(const struct cut *c)
{
	return c->n >= 20 && (c->p[0] >> 4 == 4 || (c->p[0] >> 4 == 6 && c->n >= 40));
}

/* PPP's protocol field, one byte when its low bit is set. [RFC1661 2] */
static enum cap_inner ppp(struct cut *c, uint8_t *layers)
{
	enum { PPP_IPV4 = 0x21, PPP_IPV6 = 0x57 };
	*layers |= CAP_L_PPP;
	if (c->n >= 2 && c->p[0] == 0xff && c->p[1] == 3)
		skip(c, 2); /* address and control */
	if (c->n < 2)
		return CAP_INNER_NONE;
	bool is_short = c->p[0] & 1;
	uint16_t proto = is_short ? c->p[0] : be16(c->p);
	skip(c, is_short ? 1 : 2);
	return proto == PPP_IPV4 || proto == PPP_IPV6 ? CAP_INNER_IP : CAP_INNER_NONE;
}

/* Type II has a header of 8 bytes, type III of 12 and perhaps 8 more; type I, without a sequence
 * number in the GRE header, has none. [draft-foschiano-erspan] */
static enum cap_inner erspan(struct cut *c, uint16_t type, bool has_seq)
{
	if (type == TYPE_ERSPAN_II)
		return !has_seq || skip(c, 8) ? CAP_INNER_ETH : CAP_INNER_NONE;
	if (c->n < 12)
		return CAP_INNER_NONE;
	bool has_more = c->p[11] & 1;
	return skip(c, has_more ? 20 : 12) ? CAP_INNER_ETH : CAP_INNER_NONE;
}

enum cap_inner cap_gre(struct cut *c, uint16_t *type, uint8_t *layers)
{
	enum { CHECKSUM = 0x8000, ROUTING = 0x4000, KEY = 0x2000, SEQ = 0x1000, ACK = 0x0080 };
	if (c->n < 4)
		return CAP_INNER_NONE;
	uint16_t flags = be16(c->p);
	unsigned version = flags & 7;
	*type = be16(c->p + 2);
	if (version > 1 || flags & ROUTING)
		return CAP_INNER_NONE;
	uint32_t n = 4 + (flags & KEY ? 4 : 0) + (flags & SEQ ? 4 : 0);
	n += version == 0 ? (flags & CHECKSUM ? 4 : 0) : (flags & ACK ? 4 : 0);
	if (!skip(c, n))
		return CAP_INNER_NONE;
	if (version == 1) /* PPTP */
		return *type == TYPE_PPP ? ppp(c, layers) : CAP_INNER_NONE;
	switch (*type) {
	case TYPE_TRANSPARENT_ETHERNET:
		return CAP_INNER_ETH;
	case TYPE_ERSPAN_II:
	case TYPE_ERSPAN_III:
		*layers |= CAP_L_ERSPAN;
		return erspan(c, *type, flags & SEQ);
	case TYPE_PPP:
		return ppp(c, layers);
	default:
		return CAP_INNER_TYPE;
	}
}

/* The label stack does not say what follows it. IP shows by its first nibble; a nibble of 0 is the
 * control word of a pseudowire, and anything else an Ethernet frame without one. */
enum cap_inner cap_mpls(struct cut *c, uint8_t *layers)
{
	*layers |= CAP_L_MPLS;
	bool is_bottom = false;
	while (!is_bottom) {
		if (c->n < 4)
			return CAP_INNER_NONE;
		is_bottom = c->p[2] & 1;
		skip(c, 4);
	}
	if (looks_like_ip(c))
		return CAP_INNER_IP;
	if (c->n >= 4 && c->p[0] >> 4 == 0)
		skip(c, 4);
	return CAP_INNER_ETH;
}

enum cap_inner cap_pppoe(struct cut *c, uint8_t *layers)
{
	enum { VERSION_AND_TYPE = 0x11, SESSION_DATA = 0 };
	*layers |= CAP_L_PPPOE;
	if (c->n < 6 || c->p[0] != VERSION_AND_TYPE || c->p[1] != SESSION_DATA)
		return CAP_INNER_NONE;
	uint16_t len = be16(c->p + 4);
	skip(c, 6);
	if (len < c->n)
		c->n = len; /* what follows is Ethernet's padding */
	return ppp(c, layers);
}

static enum cap_inner vxlan(struct cut *c)
{
	enum { HAS_VNI = 0x08 };
	if (c->n < 8 || c->p[0] != HAS_VNI || c->p[7] != 0)
		return CAP_INNER_NONE;
	skip(c, 8);
	return CAP_INNER_ETH;
}

/* Options are passed over; of a control packet (O) there is nothing to see. */
static enum cap_inner geneve(struct cut *c)
{
	enum { VERSION = 0xc0, OPTIONS = 0x3f, CONTROL = 0x80, HEAD = 8 };
	if (c->n < HEAD || c->p[0] & VERSION || c->p[1] & CONTROL)
		return CAP_INNER_NONE;
	uint16_t type = be16(c->p + 2);
	if (!skip(c, HEAD + 4u * (c->p[0] & OPTIONS)))
		return CAP_INNER_NONE;
	if (type == TYPE_TRANSPARENT_ETHERNET)
		return CAP_INNER_ETH;
	return looks_like_ip(c) ? CAP_INNER_IP : CAP_INNER_NONE;
}

static enum cap_inner gtp_u(struct cut *c)
{
	enum {
		VERSION_1 = 0x30,
		VERSION_BITS = 0xf0,
		HAS_OPTIONS = 7,
		HAS_EXTENSION = 4,
		USER_DATA = 0xff
	};
	if (c->n < 8 || (c->p[0] & VERSION_BITS) != VERSION_1 || c->p[1] != USER_DATA)
		return CAP_INNER_NONE;
	uint8_t flags = c->p[0], next = 0;
	uint16_t len = be16(c->p + 2);
	skip(c, 8);
	if (len < c->n)
		c->n = len;
	if (flags & HAS_OPTIONS) {
		if (c->n < 4)
			return CAP_INNER_NONE;
		next = flags & HAS_EXTENSION ? c->p[3] : 0;
		skip(c, 4);
	}
	while (next) { /* length in words of four bytes, the next one's type at the end */
		uint32_t n = c->n ? 4u * c->p[0] : 0;
		if (n == 0 || n > c->n)
			return CAP_INNER_NONE;
		next = c->p[n - 1];
		skip(c, n);
	}
	return looks_like_ip(c) ? CAP_INNER_IP : CAP_INNER_NONE;
}

enum cap_inner cap_udp_tunnel(struct cut *c, uint16_t src_port, uint16_t dst_port, uint8_t *layers)
{
	enum cap_inner inner = CAP_INNER_NONE;
	uint8_t layer = CAP_L_GTP;
	if (dst_port == CAP_PORT_VXLAN) {
		inner = vxlan(c);
		layer = CAP_L_VXLAN;
	} else if (dst_port == CAP_PORT_GENEVE) {
		inner = geneve(c);
		layer = CAP_L_GENEVE;
	} else if (dst_port == CAP_PORT_GTP_U || src_port == CAP_PORT_GTP_U) {
		inner = gtp_u(c);
	}
	if (inner)
		*layers |= layer;
	return inner;
}
