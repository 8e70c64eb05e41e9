/* Frames taken apart: link layer, VLAN tags, IPv4 and IPv6 with extension headers, tunnels
 * (cap_tunnel.c), UDP, TCP, and the packet that an ICMP error quotes.
 *
 * The quoted packet is decoded like a real one, because Wireshark's ip.addr and udp.port mean it
 * too; but it is marked, and nobody takes it for a message: the node that complains did not send
 * it. Of a fragment only the place in its datagram is noted; cap_frag.c puts the pieces together
 * and calls cap_pkt_transport.
 *
 * Lengths: the record may be shorter than the frame (snaplen) and longer than the IP packet
 * (Ethernet padding). Every header's own length is believed only as far as bytes are there.
 *
 * Invariants: no byte beyond record r is read; ips[0 .. n_ips) are outermost first; proto is UDP or
 * TCP only when src, dst, p, n are set; l4 is set only together with the p that it stands before.
 *
 * Messages that `rung serve` or Wireshark exported come without headers, their addresses in tags.
 *
 * [RFC791] [RFC8200 4] [RFC792] [RFC4443] [IEEE802.1Q]; SLL: tcpdump.org/linktypes.
 */
#include "capture/cap_pkt.h"
#include "capture/cap_tunnel.h"
#include "capture/cap_usual.h"
#include "track/trk.h"
#include "wire/hep.h"

#include <string.h>

#define MAX_TUNNELS 8 /* headers one in another */

enum {
	ETH_MIN_TYPE = 0x0600, /* below: a length */
	ETH_IPV4 = 0x0800,
	ETH_ARP = 0x0806,
	ETH_VLAN = 0x8100,
	ETH_VLAN_AD = 0x88a8, /* 802.1ad, of providers */
	ETH_IPV6 = 0x86dd,
	ETH_MPLS = 0x8847,
	ETH_MPLS_UPSTREAM = 0x8848,
	ETH_PPPOE = 0x8864,
};

static void on_inner(struct cap_pkt *k, struct cut c, enum cap_inner what, uint16_t type);
static void on_hep(struct cap_pkt *k, struct cut c);

static void set_ip(struct addr *a, const uint8_t *p, unsigned n)
{
	a->family = n == 4 ? ADDR_V4 : ADDR_V6;
	memcpy(a->ip, p, n);
}

static void set_payload(struct cap_pkt *k, uint8_t proto, const uint8_t *l4, struct cut c)
{
	k->proto = proto;
	k->l4 = l4;
	k->p = c.p;
	k->n = c.n;
}

/* The payload may be a tunnel, or what an agent of Homer sends. */
[[gnu::noinline]] static void on_udp_inner(struct cap_pkt *k, struct cut c)
{
	struct cut body = c;
	enum cap_inner inner = cap_udp_tunnel(&body, k->src.port, k->dst.port, &k->layers);
	if (inner) {
		set_payload(k, 0, NULL, (struct cut){0});
		on_inner(k, body, inner, 0);
	} else if (!k->is_quoted && wire_hep_starts(c.p, c.n)) {
		on_hep(k, c);
	}
}

static inline void on_udp(struct cap_pkt *k, struct cut c)
{
	if (c.n < 8)
		return;
	uint16_t len = be16(c.p + 4);
	k->src.port = be16(c.p);
	k->dst.port = be16(c.p + 2);
	if (k->n_ports < CAP_MAX_IPS)
		k->ports[k->n_ports++] = (struct cap_ports){
			{c.p, c.n},
                        k->src.port, k->dst.port, len, CAP_UDP
                };
	const uint8_t *l4 = c.p;
	cut_skip(&c, 8);
	if (len >= 8 && len - 8u > c.n)
		k->is_cut = true;
	else if (len >= 8)
		c.n = len - 8u;
	set_payload(k, CAP_UDP, l4, c);
	if (cap_may_be_tunnel(k->src.port, k->dst.port) || wire_hep_starts(c.p, c.n))
		on_udp_inner(k, c);
}

static void on_tcp(struct cap_pkt *k, struct cut c)
{
	/* an ICMP error may quote just eight bytes: the ports */
	if (c.n < 8 || (c.n < 20 && !k->is_quoted))
		return;
	k->src.port = be16(c.p);
	k->dst.port = be16(c.p + 2);
	if (k->n_ports < CAP_MAX_IPS)
		k->ports[k->n_ports++] = (struct cap_ports){
			{c.p, c.n},
                        k->src.port, k->dst.port, 0, CAP_TCP
                };
	if (c.n < 20)
		return;
	k->tcp_seq = be32(c.p + 4);
	k->tcp_ack = be32(c.p + 8);
	k->tcp_flags = c.p[13] & 0x3f;
	uint32_t hdr = (uint32_t)(c.p[12] >> 4) * 4;
	if (hdr < 20)
		return;
	k->l4 = c.p;
	cut_skip(&c, hdr);
	k->proto = CAP_TCP;
	k->p = c.p;
	k->n = c.n;
}

static bool on_ipv4(struct cap_pkt *k, struct cut *c, uint8_t *proto)
{
	if (c->n < 20 || c->p[0] >> 4 != 4 || k->n_ips == CAP_MAX_IPS)
		return false;
	uint32_t hdr = (uint32_t)(c->p[0] & 15) * 4, total = be16(c->p + 2);
	struct cap_ip *ip = &k->ips[k->n_ips];
	if (hdr < 20 || hdr > c->n)
		return false;
	k->n_ips++;
	cap_set_ipv4(&k->src, c->p + 12);
	cap_set_ipv4(&k->dst, c->p + 16);
	cap_set_ipv4(&ip->src, c->p + 12);
	cap_set_ipv4(&ip->dst, c->p + 16);
	ip->hdr = (struct cap_hdr){c->p, c->n};
	ip->id = be16(c->p + 4);
	ip->n = (uint16_t)total;
	ip->proto = c->p[9];
	ip->ttl = c->p[8];
	uint16_t frag = be16(c->p + 6);
	/* a length of 0 comes from segmentation offload: the record knows better */
	if (total >= hdr && total < c->n)
		ip->hdr.n = c->n = total;
	else if (total > c->n)
		k->is_cut = true;
	cut_skip(c, hdr);
	*proto = ip->proto;
	if (frag & 0x3fff && !k->is_quoted) {
		k->is_fragment = true;
		k->frag = (struct cap_frag){(frag & 0x1fffu) * 8, !(frag & 0x2000)};
	}
	/* of a quoted packet only a first fragment has a transport header */
	return !(k->is_quoted && frag & 0x1fff);
}

static bool is_ipv6_extension(uint8_t proto)
{
	switch (proto) {
	case 0:   /* hop by hop */
	case 43:  /* routing */
	case 44:  /* fragment */
	case 51:  /* authentication */
	case 60:  /* destination options */
	case 135: /* mobility */
	case 139: /* host identity */
	case 140: /* shim6 */
		return true;
	default:
		return false;
	}
}

static bool ipv6_extensions(struct cap_pkt *k, struct cap_ip *ip, struct cut *c, uint8_t *proto)
{
	while (is_ipv6_extension(*proto)) {
		if (c->n < 8)
			return false;
		uint8_t next = c->p[0];
		uint32_t len = 8 + 8u * c->p[1];
		if (*proto == 51)
			len = 8 + 4u * c->p[1];
		if (*proto == 44) {
			len = 8;
			uint16_t f = be16(c->p + 2);
			ip->id = be32(c->p + 4);
			if ((f & 0xfff8 || f & 1) && !k->is_quoted) { /* else an atomic fragment */
				k->is_fragment = true;
				k->frag = (struct cap_frag){f & 0xfff8u, !(f & 1)};
				cut_skip(c, len);
				*proto = next;
				return true;
			}
			if (f & 0xfff8)
				return false;
		}
		if (len > c->n)
			return false;
		cut_skip(c, len);
		*proto = next;
	}
	return true;
}

/* IPv4 has one of them: the authentication header, which hides nothing. [RFC4302 3.1.1] */
static bool on_ipv4_ah(struct cap_pkt *k, struct cut *c, uint8_t *proto)
{
	return k->is_fragment || *proto != 51 ||
	       ipv6_extensions(k, &k->ips[k->n_ips - 1], c, proto);
}

static bool on_ipv6(struct cap_pkt *k, struct cut *c, uint8_t *proto)
{
	if (c->n < 40 || c->p[0] >> 4 != 6 || k->n_ips == CAP_MAX_IPS)
		return false;
	struct cap_ip *ip = &k->ips[k->n_ips++];
	uint32_t total = be16(c->p + 4);
	*ip = (struct cap_ip){
		.hdr = {c->p, c->n},
                  .n = (uint16_t)total, .proto = c->p[6], .ttl = c->p[7]
        };
	set_ip(&ip->src, c->p + 8, 16);
	set_ip(&ip->dst, c->p + 24, 16);
	k->src = ip->src;
	k->dst = ip->dst;
	*proto = ip->proto;
	cut_skip(c, 40);
	if (total && total < c->n)
		c->n = total;
	else if (total > c->n)
		k->is_cut = true;
	bool ok = ipv6_extensions(k, ip, c, proto);
	ip->proto = *proto;
	return ok;
}

/* An ICMP error quotes the packet it is about. Its type decides; an IP header follows at 8. */
static bool on_icmp(struct cap_pkt *k, struct cut *c, bool is_v6)
{
	if (c->n < 8)
		return false;
	uint8_t type = c->p[0];
	if (!k->is_quoted) {
		k->icmp_type = type;
		k->icmp_code = c->p[1];
		k->icmp = (struct cap_hdr){c->p, c->n};
		*(is_v6 ? &k->has_icmp6 : &k->has_icmp) = true;
	}
	bool quotes = is_v6 ? type >= 1 && type <= 4
			    : type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	cut_skip(c, 8);
	if (!quotes || k->is_quoted)
		return false;
	k->is_quoted = true;
	return true;
}

static void on_gre(struct cap_pkt *k, struct cut c)
{
	uint16_t type = 0;
	k->layers |= CAP_L_GRE;
	enum cap_inner inner = cap_gre(&c, &type, &k->layers);
	on_inner(k, c, inner, type);
}

static void on_ip(struct cap_pkt *k, struct cut c)
{
	while (c.n) {
		uint8_t proto = 0;
		bool is_v6 = c.p[0] >> 4 == 6;
		if (!(is_v6 ? on_ipv6(k, &c, &proto)
			    : on_ipv4(k, &c, &proto) && on_ipv4_ah(k, &c, &proto)))
			return;
		if (k->is_fragment) {
			k->proto = proto;
			k->p = c.p;
			k->n = c.n;
			return;
		}
		switch (proto) {
		case CAP_UDP:
			on_udp(k, c);
			return;
		case CAP_TCP:
			on_tcp(k, c);
			return;
		case CAP_IPIP:
		case CAP_IPV6:
			break;
		case CAP_GRE:
			on_gre(k, c);
			return;
		case CAP_ICMP:
		case CAP_ICMP6:
			if (!on_icmp(k, &c, proto == CAP_ICMP6))
				return;
			break;
		default:
			return;
		}
	}
}

void cap_pkt_transport(struct cap_pkt *k, const uint8_t *p, uint32_t n)
{
	struct cut c = {p, n};
	uint8_t proto = k->proto;
	k->is_fragment = false;
	k->proto = 0;
	k->p = NULL;
	k->n = 0;
	if (proto == CAP_UDP)
		on_udp(k, c);
	else if (proto == CAP_TCP)
		on_tcp(k, c);
	else if (proto == CAP_IPIP || proto == CAP_IPV6)
		on_ip(k, c);
	else if (proto == CAP_GRE)
		on_gre(k, c);
}

static void on_ethertype(struct cap_pkt *k, struct cut c, uint16_t type)
{
	enum cap_inner tunnel = CAP_INNER_NONE;
	/* 802.1Q, 802.1ad, and the tags of before its standard */
	while (type == ETH_VLAN || type == ETH_VLAN_AD || type == 0x9100 || type == 0x9200) {
		if (c.n < 4)
			return;
		if (k->n_vlans < CAP_MAX_VLANS) {
			k->tags[k->n_vlans] = (struct cap_hdr){c.p, c.n};
			if (type == ETH_VLAN_AD)
				k->ad_tags |= (uint8_t)(1u << k->n_vlans);
			k->vlans[k->n_vlans++] = be16(c.p) & 0xfff;
		}
		type = be16(c.p + 2);
		cut_skip(&c, 4);
	}
	/* below it is a length [IEEE 802.3 3.2.6]; with SNAP the type follows LLC [RFC1042] */
	if (type < ETH_MIN_TYPE && c.n >= 8 && memcmp(c.p, "\xaa\xaa\3\0\0\0", 6) == 0) {
		type = be16(c.p + 6);
		cut_skip(&c, 8);
	}
	if (type == ETH_IPV4 || type == ETH_IPV6) {
		on_ip(k, c);
		return;
	}
	if (type == ETH_ARP) {
		k->is_arp = true;
		k->arp = (struct cap_hdr){c.p, c.n};
	} else if (type == ETH_MPLS || type == ETH_MPLS_UPSTREAM) {
		tunnel = cap_mpls(&c, &k->layers);
	} else if (type == ETH_PPPOE) {
		tunnel = cap_pppoe(&c, &k->layers);
	}
	on_inner(k, c, tunnel, 0);
}

static void on_eth(struct cap_pkt *k, struct cut c)
{
	if (k->n_eths < CAP_MAX_ETHS)
		k->eths[k->n_eths++] = (struct cap_hdr){c.p, c.n};
	uint16_t type = be16(c.p + 12);
	cut_skip(&c, 14);
	on_ethertype(k, c, type);
}

static void on_inner(struct cap_pkt *k, struct cut c, enum cap_inner what, uint16_t type)
{
	if (what == CAP_INNER_NONE || k->n_tunnels++ == MAX_TUNNELS)
		return;
	if (what == CAP_INNER_IP)
		on_ip(k, c);
	else if (what == CAP_INNER_TYPE)
		on_ethertype(k, c, type);
	else if (c.n >= 14)
		on_eth(k, c);
}

/* on_eth would do the same, step by step. */
static void on_usual(struct cap_pkt *k, struct cut c)
{
	enum { ETH = 14, IP = 20 };
	const uint8_t *p = c.p + ETH;
	uint16_t total = be16(p + 2);
	struct cap_ip *ip = k->ips;
	k->eths[0] = (struct cap_hdr){c.p, c.n};
	k->is_eth = true;
	k->n_eths = k->n_ips = 1;
	cap_set_ipv4(&k->src, p + 12);
	cap_set_ipv4(&k->dst, p + 16);
	cap_set_ipv4(&ip->src, p + 12);
	cap_set_ipv4(&ip->dst, p + 16);
	ip->hdr = (struct cap_hdr){p, total};
	ip->id = be16(p + 4);
	ip->n = total;
	ip->proto = CAP_UDP;
	ip->ttl = p[8];
	on_udp(k, (struct cut){p + IP, (uint32_t)total - IP});
}

/* BSD's loopback header is the address family in the byte order of the machine that captured. */
static void on_loopback(struct cap_pkt *k, struct cut c)
{
	if (c.n < 4)
		return;
	uint32_t af = be32(c.p);
	if (af > 0xffff)
		af = __builtin_bswap32(af);
	cut_skip(&c, 4);
	/* AF_INET is 2 everywhere; AF_INET6 is 10, 24, 28 or 30 */
	if (af == 2 || af == 10 || af == 24 || af == 28 || af == 30)
		on_ip(k, c);
}

/* A message without headers of its own, between two addresses that were told: an inner packet, as
 * it were. */
static void set_pdu(struct cap_pkt *k, const struct addr *src, const struct addr *dst, struct cut c)
{
	k->is_pdu = true;
	k->src = *src;
	k->dst = *dst;
	if (k->n_ips < CAP_MAX_IPS) {
		struct cap_ip *ip = &k->ips[k->n_ips++];
		*ip = (struct cap_ip){.src = *src, .dst = *dst, .proto = k->proto};
		ip->src.port = ip->dst.port = 0;
	}
	if (k->n_ports < CAP_MAX_IPS) {
		uint8_t *h = k->told;
		h[0] = (uint8_t)(src->port >> 8);
		h[1] = (uint8_t)src->port;
		h[2] = (uint8_t)(dst->port >> 8);
		h[3] = (uint8_t)dst->port;
		k->ports[k->n_ports++] = (struct cap_ports){
			.hdr = {h, sizeof k->told},
			.src = src->port,
			.dst = dst->port,
			.proto = k->proto
                };
	}
	k->l4 = k->p = c.p;
	k->n = c.n;
}

static void set_over(struct cap_pkt *k, enum trk_transport over)
{
	k->over = (uint8_t)over;
	k->proto = over == TRK_UDP ? CAP_UDP : CAP_TCP;
}

/* What an agent of Homer sends. Without addresses, packed, or with something else in it, it stays a
 * datagram. */
static void on_hep(struct cap_pkt *k, struct cut c)
{
	struct wire_hep h;
	size_t used;
	if (wire_hep_parse(c.p, c.n, &h, &used) != OK)
		return;
	k->is_hep = true;
	bool is_known = h.type == WIRE_HEP_SIP || h.type == WIRE_HEP_RTP || h.type == WIRE_HEP_RTCP;
	if (!is_known || h.is_packed || !h.from.family || !h.to.family || !h.payload.n)
		return;
	set_over(k, h.ip_proto == CAP_TCP ? TRK_TCP : TRK_UDP);
	struct cut body = {(const uint8_t *)h.payload.p, (uint32_t)h.payload.n};
	set_pdu(k, &h.from, &h.to, body);
}

/* The transport by its name, which is padded with zeros; it stands behind the type of the ports. */
static void read_over(struct cap_pkt *k, struct str name)
{
	while (name.n && !name.p[name.n - 1])
		name.n--;
	for (unsigned t = TRK_TCP; t <= TRK_WSS; t++)
		if (k->proto == CAP_TCP && str_eq(name, trk_transport_name((enum trk_transport)t)))
			set_over(k, (enum trk_transport)t);
}

/* Wireshark's exported PDUs: tags {type:16 length:16 value} up to an empty one, then one message.
 * The tags name dissector, addresses and ports. [Wireshark epan/exported_pdu.h] */
static void on_pdu(struct cap_pkt *k, struct cut c)
{
	enum {
		NAME = 12,
		V4_SRC = 20,
		V4_DST,
		V6_SRC,
		V6_DST,
		PORT_TYPE,
		SRC_PORT,
		DST_PORT,
		COLUMN = 33
	};
	struct addr src = {0}, dst = {0};
	bool is_known = false;
	while (c.n >= 4) {
		unsigned type = be16(c.p), n = be16(c.p + 2);
		const uint8_t *v = c.p + 4;
		cut_skip(&c, 4);
		if (!type || n > c.n)
			break;
		if (type == NAME)
			is_known =
				n >= 3 && (memcmp(v, "sip", 3) == 0 || memcmp(v, "rtp", 3) == 0 ||
					   memcmp(v, "rtcp", 3 + (n > 3)) == 0);
		else if ((type == V4_SRC || type == V4_DST) && n >= 4)
			set_ip(type == V4_SRC ? &src : &dst, v, 4);
		else if ((type == V6_SRC || type == V6_DST) && n >= 16)
			set_ip(type == V6_SRC ? &src : &dst, v, 16);
		else if (type == PORT_TYPE && n >= 4)
			set_over(k, be32(v) == 2 ? TRK_TCP : TRK_UDP);
		else if (type == COLUMN)
			read_over(k, str_of((const char *)v, n));
		else if ((type == SRC_PORT || type == DST_PORT) && n >= 4)
			*(type == SRC_PORT ? &src.port : &dst.port) = (uint16_t)be32(v);
		cut_skip(&c, n);
	}
	if (!is_known || !src.family || !k->proto)
		k->proto = 0;
	else
		set_pdu(k, &src, &dst, c);
}

/* Of any link. */
[[gnu::noinline]] static enum err decode(const struct cap_rec *r, struct cap_pkt *out)
{
	struct cut c = {r->p, r->n};
	out->l4 = out->p = NULL;
	out->n = 0;
	out->src = out->dst = (struct addr){0};
	switch (r->link) {
	case CAP_LINK_ETHERNET:
		out->is_eth = true;
		if (c.n >= 14)
			on_eth(out, c);
		return OK;
	case CAP_LINK_SLL:
		out->is_sll = true;
		if (c.n < 16)
			return OK;
		cut_skip(&c, 16);
		on_ethertype(out, c, be16(r->p + 14));
		return OK;
	case CAP_LINK_SLL2:
		out->is_sll = true;
		if (c.n < 20)
			return OK;
		cut_skip(&c, 20);
		on_ethertype(out, c, be16(r->p));
		return OK;
	case CAP_LINK_NULL:
	case CAP_LINK_LOOP:
		on_loopback(out, c);
		return OK;
	case CAP_LINK_RAW:
	case CAP_LINK_RAW_BSD:
	case CAP_LINK_RAW_OPENBSD:
	case CAP_LINK_IPV4:
	case CAP_LINK_IPV6:
		on_ip(out, c);
		return OK;
	case CAP_LINK_PDU:
		on_pdu(out, c);
		return OK;
	default:
		return ERR_UNSUPPORTED;
	}
}

enum err cap_pkt_decode(const struct cap_rec *r, struct cap_pkt *out)
{
	struct cut c = {r->p, r->n};
	/* arrays are as long as their counts say: clearing them, too, takes as long as decoding */
	const size_t from = offsetof(struct cap_pkt, icmp), to = offsetof(struct cap_pkt, src);
	memset((char *)out + from, 0, to - from);
	out->is_cut = c.n < r->n_wire;
	if (!cap_is_usual(r))
		return decode(r, out);
	on_usual(out, c);
	return OK;
}
