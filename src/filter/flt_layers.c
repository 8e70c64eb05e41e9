/* Fields in words of what a frame is made of: its protocols in order, its addresses as text, the
 * number that Wireshark has for its link type.
 *
 * The decoder leaves the headers of each kind in a list of its own; their order in the frame is the
 * order of their places. What stands between two of them has no header that is kept: GRE, MPLS,
 * PPPoE and the like are named where they must have been. What is not known here ends the list.
 */
#include "filter/flt_args.h"

#include "rtp/rtp.h"
#include "sip/hdr.h"

enum kind {
	ETH = 1,
	VLAN = 2,
	IP4 = 4,
	IP6 = 8,
	UDP = 16,
	TCP = 32,
	ICMP4 = 64,
	ICMP6 = 128,
	VLAN_AD = 256
};
#define IP   (IP4 | IP6)
#define LINK (ETH | VLAN | VLAN_AD)

static const struct {
	uint16_t kind;
	const char *name;
} names[] = {
	{ETH,     "eth"       },
        {VLAN,    "vlan"      },
        {IP4,     "ip"        },
        {IP6,     "ipv6"      },
        {UDP,     "udp"       },
	{TCP,     "tcp"       },
        {ICMP4,   "icmp"      },
        {ICMP6,   "icmpv6"    },
        {VLAN_AD, "ieee8021ad"},
};

/* What is named between a header of `after` and the next one of `before`, when all of `has` and
 * nothing of `lacks` (enum cap_layer) was passed. */
static const struct {
	uint16_t after, before;
	uint8_t has, lacks;
	const char *name;
} between[] = {
	{LINK,      IP | ETH, CAP_L_MPLS,             CAP_L_GRE, "mpls"                  },
	{LINK,      IP,       CAP_L_PPPOE,            0,         "pppoes:ppp"            },
	{IP,        IP | ETH, CAP_L_GRE,              0,         "gre"                   },
	{IP,        ETH,      CAP_L_ERSPAN,           0,         "erspan"                },
	{IP,        IP | ETH, CAP_L_GRE | CAP_L_MPLS, 0,         "mpls"                  },
	{LINK | IP, ETH,      CAP_L_MPLS,             0,         "pwethheuristic:pwethcw"},
	{UDP,       ETH,      CAP_L_VXLAN,            0,         "vxlan"                 },
	{UDP,       IP | ETH, CAP_L_GENEVE,           0,         "geneve"                },
	{UDP,       IP,       CAP_L_GTP,              0,         "gtp"                   },
};

struct layer {
	const uint8_t *p;
	uint16_t kind;
};

struct layers { /* in the order of the frame */
	struct layer v[CAP_MAX_ETHS + CAP_MAX_VLANS + 2 * CAP_MAX_IPS + 1];
	unsigned n;
};

/* What stands in a datagram that was put together comes behind what stands in the frame. */
static bool is_before(const struct cap_rec *r, const uint8_t *a, const uint8_t *b)
{
	const uint8_t *end = r->p ? r->p + r->n : NULL;
	bool has_a = a >= r->p && a < end, has_b = b >= r->p && b < end;
	return has_a == has_b ? a < b : has_a;
}

/* p NULL: behind all the others. */
static void add_layer(struct layers *l, const struct cap_rec *r, const uint8_t *p, enum kind kind)
{
	unsigned i = l->n++;
	for (; i && p && is_before(r, p, l->v[i - 1].p); i--)
		l->v[i] = l->v[i - 1];
	l->v[i] = (struct layer){p, (uint16_t)kind};
}

static void collect(const struct cap_frame *fr, struct layers *l)
{
	const struct cap_pkt *k = &fr->pkt;
	/* of a frame that comes late, behind a gap, there are no bytes any more */
	const uint8_t *end = fr->rec.p ? fr->rec.p + fr->rec.n : NULL;
	for (unsigned i = 0; i < k->n_eths; i++)
		add_layer(l, &fr->rec, k->eths[i].p, ETH);
	for (unsigned i = 0; i < k->n_vlans; i++)
		add_layer(l, &fr->rec, k->tags[i].p, k->ad_tags >> i & 1 ? VLAN_AD : VLAN);
	for (unsigned i = 0; i < k->n_ips; i++)
		add_layer(l, &fr->rec, k->ips[i].hdr.p,
			  k->ips[i].src.family == ADDR_V4 ? IP4 : IP6);
	if (k->has_icmp || k->has_icmp6)
		add_layer(l, &fr->rec, k->icmp.p, k->has_icmp ? ICMP4 : ICMP6);
	for (unsigned i = 0; i < k->n_ports; i++) {
		const uint8_t *p = k->ports[i].hdr.p;
		bool is_here = p >= fr->rec.p && p < end; /* else of a datagram put together */
		add_layer(l, &fr->rec, is_here ? p : NULL,
			  k->ports[i].proto == CAP_UDP ? UDP : TCP);
	}
}

static void put_name(struct buf *b, const char *name)
{
	if (b->n)
		buf_chr(b, ':');
	buf_str(b, str_c(name));
}

static void put_layer(struct buf *b, const struct cap_pkt *k, const struct layer *l, uint16_t next)
{
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].kind == l->kind)
			put_name(b, names[i].name);
	if (l->kind & LINK)
		put_name(b, l->kind == ETH && be16(l->p + 12) < 0x600 ? "llc" : "ethertype");
	for (unsigned i = 0; i < ARRAY_LEN(between); i++)
		if (between[i].after & l->kind && between[i].before & next &&
		    (k->layers & between[i].has) == between[i].has &&
		    !(k->layers & between[i].lacks))
			put_name(b, between[i].name);
}

static void put_link(struct buf *b, const struct cap_rec *r)
{
	if (r->link == CAP_LINK_SLL || r->link == CAP_LINK_SLL2)
		put_name(b, "sll:ethertype");
	else if (r->link == CAP_LINK_RAW || r->link == CAP_LINK_RAW_BSD ||
		 r->link == CAP_LINK_RAW_OPENBSD)
		put_name(b, "raw");
	else if (r->link == CAP_LINK_NULL || r->link == CAP_LINK_LOOP)
		put_name(b, "null");
	else if (r->link == CAP_LINK_PDU)
		put_name(b, "exported_pdu");
}

static void put_body(struct buf *b, const struct sip_msg *m)
{
	struct str rest, type = str_trim(str_cut(sip_value(m, SIP_HDR_CONTENT_TYPE), ';', &rest));
	if (!m->body.n)
		return;
	if (str_ieq(type, STR("application/sdp")))
		put_name(b, "sdp");
	else if (str_ieq(type, STR("message/sipfrag")))
		put_name(b, "sipfrag");
	else if (str_ieq(type, STR("text/plain")))
		put_name(b, "data-text-lines");
	else if (str_ends(type, STR("+xml")) || str_ends(type, STR("/xml")))
		put_name(b, "xml");
	else if (str_istarts(type, STR("multipart/")))
		put_name(b, sip_body_find(m, STR("application"), STR("sdp"), &rest)
				    ? "mime_multipart:sdp"
				    : "mime_multipart");
}

static void put_payload(struct buf *b, const struct cap_frame *fr)
{
	static const char *const media[] = {
		[RTP_RTP] = "rtp",   [RTP_RTCP] = "rtcp", [RTP_STUN] = "stun",
		[RTP_DTLS] = "dtls", [RTP_ZRTP] = "zrtp",
	};
	if (fr->pkt.is_fragment && !fr->is_whole)
		put_name(b, "data");
	if (fr->pkt.is_hep)
		put_name(b, "hep");
	if (fr->tls)
		put_name(b, "tls");
	if (fr->is_ws)
		put_name(b, "http:websocket");
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		if (i == 0 || flt_msg_layer(fr, i) != flt_msg_layer(fr, i - 1))
			put_name(b, "sip");
		put_body(b, cap_index(fr, i));
	}
	if (fr->media < ARRAY_LEN(media) && media[fr->media])
		put_name(b, media[fr->media]);
}

unsigned flt_get_protocols(const struct flt_field *f, const struct cap_frame *fr,
			   struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	struct layers l = {.n = 0};
	struct buf b;
	(void)f;
	if (!fr->words)
		return 0;
	buf_init_fixed(&b, fr->words->layers, sizeof fr->words->layers);
	put_link(&b, &fr->rec);
	collect(fr, &l);
	for (unsigned i = 0; i < l.n; i++)
		put_layer(&b, &fr->pkt, &l.v[i], i + 1 < l.n ? l.v[i + 1].kind : 0);
	if (fr->pkt.is_arp)
		put_name(&b, "arp");
	put_payload(&b, fr);
	if (b.n)
		put_s(&o, buf_view(&b));
	return o.n;
}

/* As `wtap` numbers them. */
unsigned flt_get_encap(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	static const struct {
		uint16_t link, encap;
	} types[] = {
		{CAP_LINK_NULL,        15 },
                {CAP_LINK_ETHERNET,    1  },
                {CAP_LINK_RAW_BSD,     7  },
		{CAP_LINK_RAW_OPENBSD, 7  },
                {CAP_LINK_RAW,         7  },
                {CAP_LINK_LOOP,        174},
		{CAP_LINK_SLL,         25 },
                {CAP_LINK_IPV4,        129},
                {CAP_LINK_IPV6,        130},
		{CAP_LINK_PDU,         155},
                {CAP_LINK_SLL2,        210},
	};
	struct outlet o = {out, 0, 1};
	(void)f;
	for (unsigned i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].link == fr->rec.link)
			put_i(&o, types[i].encap);
	return o.n;
}

/* An address as text: its host, where no name is known. */
unsigned flt_get_host(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	enum addr_family family = f->arg & IP_V6 ? ADDR_V6 : ADDR_V4;
	unsigned what = f->arg & 0xf;
	for (unsigned i = 0; fr->words && i < fr->pkt.n_ips; i++) {
		const struct cap_ip *ip = &fr->pkt.ips[i];
		if (ip->src.family != family)
			continue;
		o.layer++;
		for (unsigned way = 0; way < 2; way++) {
			struct buf b;
			if (what == (way ? IP_SRC : IP_DST))
				continue;
			buf_init_fixed(&b, fr->words->ip[i][way], sizeof fr->words->ip[i][way]);
			addr_put_ip(&b, way ? &ip->dst : &ip->src);
			put_s(&o, buf_view(&b));
		}
	}
	return o.n;
}
