/* Link layers, IP, fragments. Each wraps the same datagram and must give the same message. */
#include "fixture.h"

#include <string.h>

#define MSG4 "1 192.0.2.1:5060 > 192.0.2.2:5060 OPTIONS 1\n"
#define MSG6 "1 [2001:db8::1]:5060 > [2001:db8::2]:5060 OPTIONS 1\n"

static void check_frame(const char *file, int line, uint32_t link, struct str frame,
			const char *want)
{
	struct buf cap;
	buf_init(&cap);
	pcap_begin(&cap, link);
	pcap_rec(&cap, 1, frame);
	check_capture(file, line, &cap, want);
	buf_fini(&cap);
}
#define CHECK_FRAME(link, frame, want) check_frame(__FILE__, __LINE__, link, frame, want)

struct layers { /* of one OPTIONS over UDP */
	struct buf m, u, ip, ip6, f;
	struct str v4, v6;
};

static void layers_init(struct layers *l)
{
	memset(l, 0, sizeof *l);
	struct str d = udp(&l->u, 5060, 5060, small_request(&l->m, "OPTIONS", 1, ""));
	l->v4 = ipv4(&l->ip, "192.0.2.1", "192.0.2.2", CAP_UDP, 0, 0, d);
	l->v6 = ipv6(&l->ip6, "2001:db8::1", "2001:db8::2", CAP_UDP, d);
}

static void layers_fini(struct layers *l)
{
	buf_fini(&l->m);
	buf_fini(&l->u);
	buf_fini(&l->ip);
	buf_fini(&l->ip6);
	buf_fini(&l->f);
}

/* A few bytes before the packet. */
static struct str with_lead(struct buf *b, struct str lead, struct str packet)
{
	buf_clear(b);
	buf_str(b, lead);
	buf_str(b, packet);
	return buf_view(b);
}

TEST_NO_OOM(link_layers)
{
	struct layers l;
	layers_init(&l);
	CHECK_FRAME(CAP_LINK_ETHERNET, eth(&l.f, 0x0800, l.v4), MSG4);
	CHECK_FRAME(CAP_LINK_ETHERNET, eth(&l.f, 0x86dd, l.v6), MSG6);
	/* a length, then LLC and SNAP [RFC1042]; another organization's protocol is none of ours */
	struct buf x;
	buf_init(&x);
	CHECK_FRAME(CAP_LINK_ETHERNET,
		    eth(&l.f, 300, with_lead(&x, STR("\xaa\xaa\3\0\0\0\x08\0"), l.v4)), MSG4);
	CHECK_FRAME(CAP_LINK_ETHERNET,
		    eth(&l.f, 300, with_lead(&x, STR("\xaa\xaa\3\0\0\x0c\x08\0"), l.v4)), "");
	buf_fini(&x);
	CHECK_FRAME(CAP_LINK_RAW, l.v4, MSG4);
	CHECK_FRAME(CAP_LINK_RAW_BSD, l.v6, MSG6);
	CHECK_FRAME(CAP_LINK_RAW_OPENBSD, l.v6, MSG6);
	CHECK_FRAME(CAP_LINK_IPV4, l.v4, MSG4);
	CHECK_FRAME(CAP_LINK_IPV6, l.v6, MSG6);
	CHECK_FRAME(CAP_LINK_NULL, with_lead(&l.f, STR("\2\0\0\0"), l.v4), MSG4);
	CHECK_FRAME(CAP_LINK_NULL, with_lead(&l.f, STR("\0\0\0\x1e"), l.v6), MSG6);
	CHECK_FRAME(CAP_LINK_LOOP, with_lead(&l.f, STR("\0\0\0\2"), l.v4), MSG4);
	CHECK_FRAME(CAP_LINK_SLL,
		    with_lead(&l.f, STR("\0\0\3\4\0\6\0\0\0\0\0\0\0\0\x08\x00"), l.v4), MSG4);
	CHECK_FRAME(CAP_LINK_SLL2,
		    with_lead(&l.f, STR("\x86\xdd\0\0\0\0\0\1\3\4\0\6\0\0\0\0\0\0\0\0"), l.v6),
		    MSG6);
	layers_fini(&l);
}

/* [RFC8926 3.4]: an Ethernet frame, with an option before it; IP itself; what only the ends say to
 * each other. */
TEST_NO_OOM(geneve)
{
	static const struct {
		struct str head;
		bool is_eth;
		const char *want;
	} of[] = {
		{STR_INIT("\0\0\x65\x58\0\0\7\0"),         true,  MSG4},
		{STR_INIT("\1\0\x65\x58\0\0\7\0\0\1\2\0"), true,  MSG4},
		{STR_INIT("\0\0\x08\0\0\0\7\0"),           false, MSG4},
		{STR_INIT("\0\x80\x08\0\0\0\7\0"),         false, ""  },
		{STR_INIT("\x3f\0\x65\x58\0\0\7\0"),       true,  ""  },
	};
	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		struct layers l;
		struct buf x, u, o;
		layers_init(&l);
		buf_init(&x);
		buf_init(&u);
		buf_init(&o);
		struct str in = of[i].is_eth ? eth(&l.f, 0x0800, l.v4) : l.v4;
		in = udp(&u, 33'333, 6'081, with_lead(&x, of[i].head, in));
		in = ipv4(&o, "198.51.100.1", "198.51.100.2", CAP_UDP, 0, 0, in);
		CHECK_FRAME(CAP_LINK_ETHERNET, eth(&x, 0x0800, in), of[i].want);
		buf_fini(&x);
		buf_fini(&u);
		buf_fini(&o);
		layers_fini(&l);
	}
}

static bool is_same_hdr(struct cap_hdr a, const uint8_t *pa, struct cap_hdr b, const uint8_t *pb)
{
	return a.n == b.n && a.p - pa == b.p - pb;
}

/* pa, pb: where the IP header of each would be. */
static bool is_same_pkt(const struct cap_pkt *a, const uint8_t *pa, const struct cap_pkt *b,
			const uint8_t *pb)
{
	bool ok = a->n_ips == b->n_ips && a->n_ports == b->n_ports && a->proto == b->proto &&
		  a->is_cut == b->is_cut && a->is_fragment == b->is_fragment && a->n == b->n &&
		  a->is_quoted == b->is_quoted && a->layers == b->layers &&
		  a->is_hep == b->is_hep && a->is_pdu == b->is_pdu &&
		  (a->p ? a->p - pa : 0) == (b->p ? b->p - pb : 0) &&
		  (a->l4 ? a->l4 - pa : 0) == (b->l4 ? b->l4 - pb : 0) &&
		  addr_eq(&a->src, &b->src) && addr_eq(&a->dst, &b->dst);
	for (unsigned i = 0; ok && i < a->n_ips; i++) {
		const struct cap_ip *x = &a->ips[i], *y = &b->ips[i];
		ok = addr_eq(&x->src, &y->src) && addr_eq(&x->dst, &y->dst) && x->id == y->id &&
		     x->n == y->n && x->proto == y->proto && x->ttl == y->ttl &&
		     is_same_hdr(x->hdr, pa, y->hdr, pb);
	}
	for (unsigned i = 0; ok && i < a->n_ports; i++) {
		const struct cap_ports *x = &a->ports[i], *y = &b->ports[i];
		ok = x->src == y->src && x->dst == y->dst && x->n == y->n && x->proto == y->proto &&
		     is_same_hdr(x->hdr, pa, y->hdr, pb);
	}
	return ok;
}

/* The short way of usual frames, over Ethernet, tells what the long one does, over a cooked link:
 * also of frames that are nearly usual. */
TEST_NO_OOM(usual_frames_as_any_other)
{
	enum { ETH = 14, SLL = 16, HEADERS = 28 };
	struct layers l;
	struct cap_pkt a = {0}, b = {0};
	uint8_t e[ETH + 600] = {0}, c[SLL + 600] = {0};
	uint32_t x = 1;
	unsigned n_usual = 0;
	layers_init(&l);
	CHECK(l.v4.n <= 600);
	for (unsigned i = 0; i < 40'000; i++) {
		uint32_t n = (uint32_t)l.v4.n, cut = n;
		memcpy(e + ETH, l.v4.p, n);
		e[12] = 0x08;
		for (unsigned k = 0; k < i % 3; k++) {
			x = x * 1'664'525 + 1'013'904'223;
			e[12 + (x >> 8) % (HEADERS + 2 + 4)] = (uint8_t)(x >> 24);
		}
		if (i % 7 == 0)
			memcpy(e + ETH + 22, i % 2 ? "\x12\xb5" : "\x08\x68", 2); /* tunnels */
		if (i % 5 == 0)
			cut = (x >> 16) % n;
		memcpy(c + SLL, e + ETH, n);
		memcpy(c + SLL - 2, e + ETH - 2, 2);
		struct cap_rec re = {.link = CAP_LINK_ETHERNET, .p = e, .n = ETH + cut},
			       rc = {.link = CAP_LINK_SLL, .p = c, .n = SLL + cut};
		re.n_wire = re.n + i % 2;
		rc.n_wire = rc.n + i % 2;
		CHECK_EQ(cap_pkt_decode(&re, &a), OK);
		CHECK_EQ(cap_pkt_decode(&rc, &b), OK);
		CHECK(a.n_eths == 1 && a.eths[0].p == e && a.eths[0].n == re.n && a.is_eth);
		CHECK(is_same_pkt(&a, e + ETH, &b, c + SLL));
		n_usual += a.proto == CAP_UDP && !a.is_cut;
		memset(e, 0, sizeof e);
	}
	CHECK(n_usual > 10'000 && n_usual < 35'000);
	layers_fini(&l);
}

TEST_NO_OOM(vlan_tags)
{
	struct layers l;
	struct buf tagged;
	buf_init(&tagged);
	layers_init(&l);
	CHECK_FRAME(CAP_LINK_ETHERNET,
		    eth(&l.f, 0x8100, with_lead(&tagged, STR("\x20\x05\x08\x00"), l.v4)), MSG4);
	/* QinQ, and with the ethertype that was used before the standard */
	CHECK_FRAME(CAP_LINK_ETHERNET,
		    eth(&l.f, 0x88a8, with_lead(&tagged, STR("\0\5\x81\0\0\7\x08\x00"), l.v4)),
		    MSG4);
	CHECK_FRAME(CAP_LINK_ETHERNET,
		    eth(&l.f, 0x9100, with_lead(&tagged, STR("\0\5\x81\0\0\7\x86\xdd"), l.v6)),
		    MSG6);
	buf_fini(&tagged);
	layers_fini(&l);
}

TEST_NO_OOM(padding_and_offload)
{
	struct layers l;
	layers_init(&l);
	struct buf padded;
	buf_init(&padded);
	buf_str(&padded, l.v4);
	buf_str(&padded, STR("padding"));
	CHECK_FRAME(CAP_LINK_RAW, buf_view(&padded), MSG4);
	l.ip.p[2] = l.ip.p[3] = 0; /* segmentation offload leaves the length at 0 */
	CHECK_FRAME(CAP_LINK_RAW, l.v4, MSG4);
	buf_fini(&padded);
	layers_fini(&l);
}

TEST_NO_OOM(ipv6_extension_headers)
{
	struct layers l;
	struct buf ext;
	buf_init(&ext);
	layers_init(&l);
	struct str d = buf_view(&l.u);
	/* hop by hop, then destination options of 16 bytes */
	struct str chain = with_lead(&ext,
				     STR("\x3c\0\1\4\0\0\0\0"
					 "\x11\1\1\4\0\0\0\0\0\0\0\0\0\0\0\0"),
				     d);
	CHECK_FRAME(CAP_LINK_RAW, ipv6(&l.ip6, "2001:db8::1", "2001:db8::2", 0, chain), MSG6);
	/* an atomic fragment is whole [RFC6946] */
	chain = with_lead(&ext, STR("\x11\0\0\0\0\0\0\1"), d);
	CHECK_FRAME(CAP_LINK_RAW, ipv6(&l.ip6, "2001:db8::1", "2001:db8::2", 44, chain), MSG6);
	/* an extension that claims more than there is */
	chain = with_lead(&ext, STR("\x11\xff\0\0\0\0\0\0"), d);
	CHECK_FRAME(CAP_LINK_RAW, ipv6(&l.ip6, "2001:db8::1", "2001:db8::2", 0, chain), "");
	buf_fini(&ext);
	layers_fini(&l);
}

/* An authentication header hides nothing, over IPv4 as over IPv6. [RFC4302 2] */
TEST_NO_OOM(authentication_header)
{
	struct layers l;
	struct buf ah;
	buf_init(&ah);
	layers_init(&l);
	struct str d = with_lead(&ah,
				 STR("\x11\4\0\0\0\0\0\1\0\0\0\1"
				     "abcdefghijkl"),
				 buf_view(&l.u));
	CHECK_FRAME(CAP_LINK_RAW, ipv4(&l.ip, "192.0.2.1", "192.0.2.2", 51, 0, 0, d), MSG4);
	CHECK_FRAME(CAP_LINK_RAW, ipv6(&l.ip6, "2001:db8::1", "2001:db8::2", 51, d), MSG6);
	d = with_lead(&ah, STR("\x11\xff\0\0\0\0\0\1"), STR("too short"));
	CHECK_FRAME(CAP_LINK_RAW, ipv4(&l.ip, "192.0.2.1", "192.0.2.2", 51, 0, 0, d), "");
	buf_fini(&ah);
	layers_fini(&l);
}

TEST_NO_OOM(ip_in_ip)
{
	struct layers l;
	struct buf outer;
	buf_init(&outer);
	layers_init(&l);
	CHECK_FRAME(CAP_LINK_RAW, ipv4(&outer, "10.0.0.1", "10.0.0.2", CAP_IPIP, 0, 0, l.v4), MSG4);
	CHECK_FRAME(CAP_LINK_RAW, ipv4(&outer, "10.0.0.1", "10.0.0.2", CAP_IPV6, 0, 0, l.v6), MSG6);
	buf_fini(&outer);
	layers_fini(&l);
}

TEST_NO_OOM(icmp_quotes_are_no_messages)
{
	struct layers l;
	struct buf icmp, outer;
	buf_init(&icmp);
	buf_init(&outer);
	layers_init(&l);
	struct str error = with_lead(&icmp, STR("\3\3\0\0\0\0\0\0"), l.v4);
	CHECK_FRAME(CAP_LINK_RAW, ipv4(&outer, "192.0.2.2", "192.0.2.1", CAP_ICMP, 0, 0, error),
		    "");
	struct cap_pkt k;
	struct str whole = buf_view(&outer);
	struct cap_rec r = {.link = CAP_LINK_RAW,
			    .n = (uint32_t)whole.n,
			    .n_wire = (uint32_t)whole.n,
			    .p = (const uint8_t *)whole.p};
	CHECK_EQ(cap_pkt_decode(&r, &k), OK);
	CHECK(k.is_quoted && k.has_icmp && k.icmp_type == 3 && k.n_ips == 2);
	CHECK_EQ(k.ports[0].dst, 5060);
	buf_fini(&icmp);
	buf_fini(&outer);
	layers_fini(&l);
}

TEST_NO_OOM(unknown_links_are_counted)
{
	struct layers l;
	layers_init(&l);
	struct cap *c;
	struct cap_walk *w;
	struct buf cap;
	buf_init(&cap);
	pcap_begin(&cap, 147);
	pcap_rec(&cap, 1, l.v4);
	CHECK_EQ(cap_open_mem(buf_view(&cap), &c, &l.f), OK);
	CHECK_EQ(cap_walk_new(c, NULL, &w), OK);
	while (cap_walk_next(w))
		continue;
	uint16_t link;
	CHECK_EQ(cap_walk_unknown_links(w, &link), 1);
	CHECK_EQ(link, 147);
	cap_walk_free(w);
	cap_close(c);
	buf_fini(&cap);
	layers_fini(&l);
}

/* --- fragments -------------------------------------------------------------------------------- */

/* The datagram in three pieces, in the order given; 8-byte units at which they begin. */
static void fragments(struct buf *cap, bool is_v6, const char *order)
{
	struct buf m, u, ip, ext;
	buf_init(&m);
	buf_init(&u);
	buf_init(&ip);
	buf_init(&ext);
	struct str d =
		udp(&u, 5060, 5060, small_request(&m, "OPTIONS", 1, "a body to make it long"));
	static const unsigned begin[] = {0, 10, 20, 1'000};
	pcap_begin(cap, CAP_LINK_RAW);
	for (uint64_t at = 1; *order; order++, at++) {
		unsigned i = (unsigned)(*order - '0'), off = begin[i] * 8;
		struct str piece = str_sub(d, off, begin[i + 1] * 8 - off);
		bool is_last = i == 2;
		if (!is_v6) {
			pcap_rec(cap, at,
				 ipv4(&ip, "192.0.2.1", "192.0.2.2", CAP_UDP, 77,
				      (uint16_t)(begin[i] | (is_last ? 0 : 0x2000)), piece));
			continue;
		}
		char head[8] = {CAP_UDP, 0, (char)(off >> 8), (char)(off | (is_last ? 0 : 1)), 0, 0,
				0,       77};
		pcap_rec(cap, at,
			 ipv6(&ip, "2001:db8::1", "2001:db8::2", 44,
			      with_lead(&ext, str_of(head, 8), piece)));
	}
	buf_fini(&m);
	buf_fini(&u);
	buf_fini(&ip);
	buf_fini(&ext);
}

TEST_NO_OOM(fragments_in_any_order)
{
	static const char *const orders[] = {"012", "021", "102", "120", "201", "210"};
	for (unsigned i = 0; i < 12; i++) {
		struct buf cap;
		buf_init(&cap);
		fragments(&cap, i >= 6, orders[i % 6]);
		CHECK_CAPTURE(cap, i >= 6 ? "3 [2001:db8::1]:5060 > [2001:db8::2]:5060 OPTIONS 1\n"
					  : "3 192.0.2.1:5060 > 192.0.2.2:5060 OPTIONS 1\n");
		buf_fini(&cap);
	}
}

TEST_NO_OOM(fragments_missing_or_twice)
{
	struct buf cap;
	buf_init(&cap);
	fragments(&cap, false, "02");
	CHECK_CAPTURE(cap, "");
	buf_clear(&cap);
	fragments(&cap, true, "0012");
	CHECK_CAPTURE(cap, "4 [2001:db8::1]:5060 > [2001:db8::2]:5060 OPTIONS 1\n");
	buf_fini(&cap);
}

/* Pieces of a datagram in a tunnel whose own datagrams come in pieces. */
TEST_NO_OOM(fragments_of_fragments)
{
	struct buf cap, m, u, in, out;
	buf_init(&cap);
	buf_init(&m);
	buf_init(&u);
	buf_init(&in);
	buf_init(&out);
	struct str d =
		udp(&u, 5060, 5060, small_request(&m, "OPTIONS", 1, "a body to make it long"));
	pcap_begin(&cap, CAP_LINK_RAW);
	for (unsigned i = 0; i < 4; i++) {
		struct str inner = ipv4(&in, "192.0.2.1", "192.0.2.2", CAP_UDP, 77,
					(uint16_t)(i < 2 ? 0x2000 : 10),
					str_sub(d, i < 2 ? 0 : 80, i < 2 ? 80 : d.n));
		pcap_rec(&cap, i + 1,
			 ipv4(&out, "10.0.0.1", "10.0.0.2", CAP_IPIP, (uint16_t)(5 + i / 2),
			      (uint16_t)(i % 2 ? 6 : 0x2000),
			      str_sub(inner, i % 2 ? 48 : 0, i % 2 ? inner.n : 48)));
	}
	if (m.err || u.err || in.err || out.err)
		cap.err = ERR_NOMEM;
	CHECK_CAPTURE(cap, "4 192.0.2.1:5060 > 192.0.2.2:5060 OPTIONS 1\n");
	buf_fini(&cap);
	buf_fini(&m);
	buf_fini(&u);
	buf_fini(&in);
	buf_fini(&out);
}

/* As many units as the datagram has, but beyond its end: it has not come, and the bytes of the one
 * before, in whose place it lies, are not its. */
TEST_NO_OOM(fragments_beyond_the_end)
{
	struct buf cap, m, u, ip, junk;
	buf_init(&cap);
	buf_init(&m);
	buf_init(&u);
	buf_init(&ip);
	buf_init(&junk);
	fragments(&cap, false, "012");
	struct str d =
		udp(&u, 5060, 5060, small_request(&m, "OPTIONS", 1, "a body to make it long"));
	buf_fill(&junk, 'x', 20 * 8);
	pcap_rec(&cap, 4,
		 ipv4(&ip, "192.0.2.1", "192.0.2.2", CAP_UDP, 78, 20, str_skip(d, 20 * 8)));
	pcap_rec(&cap, 5,
		 ipv4(&ip, "192.0.2.1", "192.0.2.2", CAP_UDP, 78, 0x2000 | 200, buf_view(&junk)));
	CHECK_CAPTURE(cap, "3 192.0.2.1:5060 > 192.0.2.2:5060 OPTIONS 1\n");
	buf_fini(&cap);
	buf_fini(&m);
	buf_fini(&u);
	buf_fini(&ip);
	buf_fini(&junk);
}

TEST(frames_without_memory)
{
	struct buf cap;
	buf_init(&cap);
	fragments(&cap, false, "210");
	CHECK_CAPTURE(cap, "3 192.0.2.1:5060 > 192.0.2.2:5060 OPTIONS 1\n");
	buf_fini(&cap);
}
