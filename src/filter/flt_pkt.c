/* Fields of what is below SIP and RTP: the frame, Ethernet, VLAN, SLL, IP, UDP, TCP, ICMP, tunnels.
 *
 * Most are a few bits of a header, of which a frame may hold several (tunnels, the packet that an
 * ICMP error quotes): all are values of the field, in order, and their number is what `ip.src#2`
 * asks for. flt_field.arg says where the bits are, so that one getter serves them all.
 *
 * Strings borrow the record; nothing is allocated. cap_pkt.c has checked that the headers are
 * there; what may lie beyond the end is checked here.
 */
#include "filter/flt_get.h"

unsigned flt_get_frame(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	const struct cap_rec *r = &fr->rec;
	switch (f->arg) {
	case FR_BYTES:
		put_proto(&o, r->p, r->n, r->n);
		break;
	case FR_NUMBER:
		put_u(&o, r->no);
		break;
	case FR_LEN:
		put_u(&o, r->n_wire);
		break;
	case FR_CAP_LEN:
		put_u(&o, r->n);
		break;
	case FR_EPOCH:
		put_i(&o, r->at_ns);
		break;
	case FR_RELATIVE:
		put_i(&o, r->at_ns - fr->first_ns);
		break;
	case FR_DELTA:
		put_i(&o, r->at_ns - fr->last_ns);
		break;
	case FR_DELTA_SHOWN:
		put_i(&o, fr->has_shown ? r->at_ns - fr->shown_ns : 0);
		break;
	case FR_IFACE:
		if (r->is_ng)
			put_u(&o, r->iface);
		break;
	case FR_IFACE_NAME: /* as Wireshark says where the capture does not */
		if (r->is_ng)
			put_s(&o, r->if_name && *r->if_name   ? str_c(r->if_name)
				  : r->if_desc && *r->if_desc ? str_c(r->if_desc)
							      : STR("unknown"));
		break;
	case FR_IFACE_DESC:
		if (r->is_ng && r->if_desc && *r->if_desc)
			put_s(&o, str_c(r->if_desc));
		break;
	case FR_SECTION:
		if (r->is_ng)
			put_u(&o, r->section);
		break;
	case FR_QUEUE:
		if (r->options & CAP_HAS_QUEUE)
			put_u(&o, r->queue);
		break;
	case FR_ID:
		if (r->options & CAP_HAS_ID)
			put_u(&o, r->packet_id);
		break;
	case FR_FLAGS:
	case FR_DIRECTION:
	case FR_RECEPTION:
	case FR_FCS_LENGTH:
		if (r->options & CAP_HAS_FLAGS)
			put_u(&o, f->arg == FR_FLAGS       ? r->flags
				  : f->arg == FR_DIRECTION ? r->flags & 3
				  : f->arg == FR_RECEPTION ? r->flags >> 2 & 7
							   : r->flags >> 5 & 15);
		break;
	case FR_COMMENT:
		for (struct str next, all = r->comment; all.n; all = next)
			put_s(&o, str_cut(all, '\0', &next));
		break;
	case FR_ZERO:
		put_u(&o, 0);
		break;
	}
	return o.n;
}

/* --- headers ---------------------------------------------------------------------------------- */

#define MAX_HEADERS 8

static unsigned ports_of(const struct cap_pkt *k, uint8_t proto, const struct cap_ports *out[])
{
	unsigned n = 0;
	for (unsigned i = 0; i < k->n_ports; i++)
		if (k->ports[i].proto == proto)
			out[n++] = &k->ports[i];
	return n;
}

static unsigned headers(const struct cap_frame *fr, unsigned what, struct cap_hdr out[MAX_HEADERS])
{
	const struct cap_pkt *k = &fr->pkt;
	const struct cap_ports *ports[CAP_MAX_IPS];
	unsigned n = 0, n_ports;
	switch ((enum flt_header)what) {
	case HD_ETH:
		for (; n < k->n_eths; n++)
			out[n] = k->eths[n];
		break;
	case HD_VLAN:
	case HD_VLAN_AD:
		for (unsigned i = 0; i < k->n_vlans; i++)
			if ((k->ad_tags >> i & 1) == (what == HD_VLAN_AD))
				out[n++] = k->tags[i];
		break;
	case HD_IP:
	case HD_IP6:
		for (unsigned i = 0; i < k->n_ips; i++)
			if ((k->ips[i].src.family == ADDR_V6) == (what == HD_IP6))
				out[n++] = k->ips[i].hdr;
		break;
	case HD_UDP:
	case HD_TCP:
		n_ports = ports_of(k, what == HD_UDP ? CAP_UDP : CAP_TCP, ports);
		for (; n < n_ports; n++)
			out[n] = ports[n]->hdr;
		break;
	case HD_ICMP:
	case HD_ICMP6:
		if (what == HD_ICMP ? k->has_icmp : k->has_icmp6)
			out[n++] = k->icmp;
		break;
	case HD_RTP:
		if (fr->media == RTP_RTP)
			out[n++] = (struct cap_hdr){k->p, k->n};
		break;
	}
	return n;
}

static uint64_t read_bits(const uint8_t *p, unsigned size, unsigned shift, unsigned n)
{
	uint64_t v = 0;
	while (size--)
		v = v << 8 | *p++;
	v >>= shift;
	return n ? v & ((1ull << n) - 1) : v;
}

unsigned flt_get_bits(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	struct cap_hdr h[MAX_HEADERS];
	unsigned n = headers(fr, f->arg >> 24, h), off = f->arg >> 16 & 255;
	unsigned size = f->arg >> 12 & 15;
	size = size ? size : 16;
	for (unsigned i = 0; i < n; i++) {
		o.layer++;
		if (!h[i].p || off + size > h[i].n)
			continue;
		const uint8_t *p = h[i].p + off;
		if (f->type == FLT_ETHER || f->type == FLT_IPV4 || f->type == FLT_IPV6)
			put_ip(&o, p, size);
		else if (f->type == FLT_BYTES)
			put_bytes(&o, p, size);
		else
			put_u(&o, read_bits(p, size, f->arg >> 6 & 63, f->arg & 63));
	}
	return o.n;
}

/* --- link layer and tunnels ------------------------------------------------------------------- */

unsigned flt_get_link(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	static const uint8_t layers[] = {
		[LK_GRE] = CAP_L_GRE, [LK_ERSPAN] = CAP_L_ERSPAN, [LK_VXLAN] = CAP_L_VXLAN,
		[LK_GTP] = CAP_L_GTP, [LK_MPLS] = CAP_L_MPLS,     [LK_PPPOE] = CAP_L_PPPOE,
		[LK_PPP] = CAP_L_PPP, [LK_GENEVE] = CAP_L_GENEVE,
	};
	struct outlet o = {out, 0, 1};
	struct cap_hdr h[MAX_HEADERS];
	if (f->arg == LK_ETH || f->arg == LK_VLAN || f->arg == LK_VLAN_AD) {
		unsigned n = headers(fr,
				     f->arg == LK_ETH    ? HD_ETH
				     : f->arg == LK_VLAN ? HD_VLAN
							 : HD_VLAN_AD,
				     h);
		for (unsigned i = 0; i < n; i++, o.layer++)
			put_proto(&o, h[i].p, f->arg == LK_ETH ? 14 : 4, h[i].n);
	} else if (f->arg == LK_HEP ? fr->pkt.is_hep : !!(fr->pkt.layers & layers[f->arg])) {
		put_u(&o, 1);
	}
	return o.n;
}

static void eth_addr(const struct flt_field *f, const uint8_t *a, struct outlet *o)
{
	switch (f->arg & 15) {
	case EA_ADDR:
		put_ip(o, a, 6);
		break;
	case EA_LG:
		put_u(o, a[0] >> 1 & 1);
		break;
	case EA_IG:
		put_u(o, a[0] & 1);
		break;
	case EA_OUI:
		put_u(o, read_bits(a, 3, 0, 0));
		break;
	}
}

/* arg: 16 the destination, 32 the source; what both have is said destination first. */
unsigned flt_get_eth(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	struct cap_hdr h[MAX_HEADERS];
	unsigned n = headers(fr, HD_ETH, h), what = f->arg & 15;
	for (unsigned i = 0; i < n; i++, o.layer++) {
		uint16_t type = be16(h[i].p + 12);
		bool is_type = type >= 0x600;
		if (what >= EA_LEN) {
			if (is_type == (what == EA_TYPE))
				put_u(&o, type);
			continue;
		}
		if (f->arg & 16)
			eth_addr(f, h[i].p, &o);
		if (f->arg & 32)
			eth_addr(f, h[i].p + 6, &o);
	}
	return o.n;
}

/* Linux cooked captures; the second version has the same things elsewhere. */
unsigned flt_get_sll(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	static const struct {
		uint8_t off, size;
	} where[2][7] = {
		{[SL_PKTTYPE] = {0, 2},
		 [SL_HATYPE] = {2, 2},
		 [SL_HALEN] = {4, 2},
		 [SL_SRC_ETH] = {6, 6},
		 [SL_ETYPE] = {14, 2} },
		{ [SL_PKTTYPE] = {10, 1},
		 [SL_HATYPE] = {8, 2},
		 [SL_HALEN] = {11, 1},
		 [SL_SRC_ETH] = {12, 6},
		 [SL_ETYPE] = {0, 2},
		 [SL_IFINDEX] = {4, 4}},
	};
	struct outlet o = {out, 0, 1};
	const struct cap_rec *r = &fr->rec;
	bool is_v2 = r->link == CAP_LINK_SLL2;
	unsigned off = where[is_v2][f->arg].off, size = where[is_v2][f->arg].size;
	unsigned n_hdr = is_v2 ? 20 : 16;
	if (!fr->pkt.is_sll || r->n < n_hdr)
		return 0;
	if (f->arg == SL_PROTO) {
		put_proto(&o, r->p, n_hdr, r->n);
	} else if (f->arg == SL_SRC_ETH) {
		if (read_bits(r->p + where[is_v2][SL_HALEN].off, where[is_v2][SL_HALEN].size, 0,
			      0) == 6)
			put_ip(&o, r->p + off, 6);
	} else if (size) {
		put_u(&o, read_bits(r->p + off, size, 0, 0));
	}
	return o.n;
}

/* What Wireshark says of checksums as long as it is not told to verify them. */
enum { CHECK_UNVERIFIED = 2, CHECK_ABSENT };

/* --- IP --------------------------------------------------------------------------------------- */

static void ip_values(const struct flt_field *f, const struct cap_ip *ip, struct outlet *o)
{
	size_t n = ip->src.family == ADDR_V4 ? 4 : 16;
	switch (f->arg & 0xf) {
	case IP_PROTO:
		if (ip->hdr.p)
			put_proto(o, ip->hdr.p, n == 4 ? (ip->hdr.p[0] & 15u) * 4 : 40, ip->hdr.n);
		else
			put_proto(o, NULL, 0, 0);
		break;
	case IP_ADDR:
		put_ip(o, ip->src.ip, n);
		put_ip(o, ip->dst.ip, n);
		break;
	case IP_SRC:
		put_ip(o, ip->src.ip, n);
		break;
	case IP_DST:
		put_ip(o, ip->dst.ip, n);
		break;
	case IP_NEXT:
		put_u(o, ip->proto);
		break;
	case IP_HDR_LEN:
		if (ip->hdr.p)
			put_u(o, (ip->hdr.p[0] & 15u) * 4);
		break;
	case IP_VERSION:
		put_u(o, n == 4 ? 4 : 6);
		break;
	case IP_CHECK:
		put_u(o, CHECK_UNVERIFIED);
		break;
	}
}

unsigned flt_get_ip(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	enum addr_family family = f->arg & IP_V6 ? ADDR_V6 : ADDR_V4;
	for (unsigned i = 0; i < fr->pkt.n_ips; i++) {
		/* ip.version is both's */
		if (fr->pkt.ips[i].src.family != family && f->arg != IP_VERSION)
			continue;
		o.layer++;
		ip_values(f, &fr->pkt.ips[i], &o);
	}
	return o.n;
}

unsigned flt_get_icmp(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	struct cap_hdr h[MAX_HEADERS];
	bool is_v6 = f->arg & IC_V6;
	if (!headers(fr, is_v6 ? HD_ICMP6 : HD_ICMP, h))
		return 0;
	uint8_t type = h[0].p[0], code = h[0].p[1];
	bool is_echo = is_v6 ? type == 128 || type == 129 : type == 0 || type == 8;
	bool has_mtu = is_v6 ? type == 2 : type == 3 && code == 4;
	switch (f->arg & 0xff) {
	case IC_PROTO:
		put_proto(&o, h[0].p, h[0].n, h[0].n);
		break;
	case IC_IDENT:
		if (is_echo)
			put_u(&o, be16(h[0].p + 4));
		break;
	case IC_SEQ:
		if (is_echo)
			put_u(&o, be16(h[0].p + 6));
		break;
	case IC_MTU:
		if (has_mtu)
			put_u(&o, is_v6 ? be32(h[0].p + 4) : be16(h[0].p + 6));
		break;
	}
	return o.n;
}

unsigned flt_get_arp(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	const struct cap_hdr *a = &fr->pkt.arp;
	if (!fr->pkt.is_arp)
		return 0;
	if (f->arg == AR_PROTO) {
		put_proto(&o, a->p, a->n, a->n);
		return o.n;
	}
	/* Ethernet and IPv4, as nearly all are [RFC826] */
	if (a->n < 28 || be32(a->p) != 0x00010800 || be16(a->p + 4) != 0x0604)
		return 0;
	switch (f->arg) {
	case AR_OPCODE:
		put_u(&o, be16(a->p + 6));
		break;
	case AR_SRC_HW:
		put_ip(&o, a->p + 8, 6);
		break;
	case AR_SRC_IP:
		put_ip(&o, a->p + 14, 4);
		break;
	case AR_DST_HW:
		put_ip(&o, a->p + 18, 6);
		break;
	case AR_DST_IP:
		put_ip(&o, a->p + 24, 4);
		break;
	}
	return o.n;
}

/* --- UDP and TCP ------------------------------------------------------------------------------ */

static unsigned tcp_header(const struct cap_ports *p)
{
	unsigned n = p->hdr.p && p->hdr.n > 12 ? (p->hdr.p[12] >> 4) * 4u : 20;
	return n <= p->hdr.n ? n : p->hdr.n;
}

unsigned flt_get_port(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	const struct cap_ports *ports[CAP_MAX_IPS];
	bool is_udp = f->arg & PT_UDP;
	unsigned n = ports_of(&fr->pkt, is_udp ? CAP_UDP : CAP_TCP, ports);
	for (unsigned i = 0; i < n; i++) {
		const struct cap_ports *p = ports[i];
		unsigned n_hdr = is_udp ? 8 : tcp_header(p), n_all = p->hdr.n;
		if (is_udp && p->n >= 8 && p->n < n_all)
			n_all = p->n;
		o.layer++;
		switch (f->arg & 0xff) {
		case PT_PROTO:
			put_proto(&o, p->hdr.p, p->hdr.p ? n_hdr : 0, n_all);
			break;
		case PT_ANY:
			put_u(&o, p->src);
			put_u(&o, p->dst);
			break;
		case PT_LEN: /* of what is quoted there is a piece only */
			if (!fr->pkt.is_quoted || i + 1 < n)
				put_u(&o, n_all - n_hdr);
			break;
		case PT_CHECK: /* UDP: zero is none [RFC768] */
			if (p->hdr.p && p->hdr.n >= (is_udp ? 8 : 18))
				put_u(&o, is_udp && !be16(p->hdr.p + 6) ? CHECK_ABSENT
									: CHECK_UNVERIFIED);
			break;
		case PT_PAYLOAD:
			if (p->hdr.p && n_all > n_hdr)
				put_bytes(&o, p->hdr.p + n_hdr, n_all - n_hdr);
			break;
		}
	}
	return o.n;
}

/* What a RST carries is the reason, as text. [RFC9293 3.5.3] */
static void reset_cause(const struct cap_hdr *h, struct outlet *o)
{
	unsigned n_hdr = (h->p[12] >> 4) * 4u;
	if (h->n > n_hdr)
		put_bytes(o, h->p + n_hdr, h->n - n_hdr);
}

unsigned flt_get_tcp(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	struct cap_hdr h[MAX_HEADERS];
	unsigned n = headers(fr, HD_TCP, h);
	for (unsigned i = 0; i < n; i++) {
		o.layer++;
		if (!h[i].p || h[i].n < 20)
			continue;
		uint8_t flags = h[i].p[13];
		bool is_ack = flags & CAP_TCP_ACK;
		if (f->arg == TC_HDR_LEN)
			put_u(&o, (h[i].p[12] >> 4) * 4u);
		else if ((f->arg == TC_SYN && flags & CAP_TCP_SYN && !is_ack) ||
			 (f->arg == TC_SYNACK && flags & CAP_TCP_SYN && is_ack) ||
			 (f->arg == TC_FIN && flags & CAP_TCP_FIN) ||
			 (f->arg == TC_RST && flags & CAP_TCP_RST) ||
			 (f->arg == TC_ACK_NONZERO && !is_ack && be32(h[i].p + 8)))
			put_u(&o, 1);
		else if (f->arg == TC_RESET_CAUSE && flags & CAP_TCP_RST)
			reset_cause(&h[i], &o);
	}
	return o.n;
}
