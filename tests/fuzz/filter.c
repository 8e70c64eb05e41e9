/* Any bytes as a display filter: lexer, parser, types, and, when it compiles, its evaluation over a
 * frame with two SIP messages in TCP, over STUN in a VLAN and a tunnel, and over RTP. */
#include "filter/flt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct sip_msg *msgs[2];
static struct cap_msg frame_msgs[2];
static struct cap_frame frame;

static void make_frame(void)
{
	static const char *const text[2] = {
		"INVITE sip:1002@192.0.2.57 SIP/2.0\r\nVia: SIP/2.0/TCP "
		"192.0.2.21;branch=z9hG4bKa\r\n"
		"From: <sip:1001@192.0.2.57>;tag=1\r\nTo: <sip:1002@192.0.2.57>\r\nCall-ID: a@b\r\n"
		"CSeq: 1 INVITE\r\nContact: <sip:1001@192.0.2.21>\r\nContent-Type: "
		"application/sdp\r\n"
		"Content-Length: 58\r\n\r\n"
		"v=0\r\no=- 1 1 IN IP4 192.0.2.21\r\ns=-\r\nm=audio 4000 RTP/AVP 0\r\n",
		"SIP/2.0 407 Proxy Authentication Required\r\nVia: SIP/2.0/TCP 192.0.2.21\r\n"
		"From: <sip:1001@192.0.2.57>;tag=1\r\nTo: <sip:1002@192.0.2.57>;tag=2\r\n"
		"Call-ID: a@b\r\nCSeq: 1 INVITE\r\n"
		"Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nContent-Length: 0\r\n\r\n"};
	struct addr a = {0}, b = {0};
	if (!addr_parse(STR("192.0.2.21:5060"), 0, &a) ||
	    !addr_parse(STR("192.0.2.57:5060"), 0, &b))
		abort();
	for (int i = 0; i < 2; i++) {
		enum err e = OK;
		msgs[i] = sip_msg_from(str_c(text[i]), &e);
		frame_msgs[i].pkt = (struct trk_packet){.msg = msgs[i], .from = a, .to = b};
	}
	frame = (struct cap_frame){.msgs = frame_msgs, .n_msgs = 2};
	frame.rec = (struct cap_rec){.no = 7, .n = 4, .n_wire = 900, .p = (const uint8_t *)"abcd"};
	frame.pkt.n_ips = frame.pkt.n_ports = 1;
	frame.pkt.ips[0] = (struct cap_ip){.src = a, .dst = b};
	frame.pkt.ports[0] = (struct cap_ports){{0}, 5060, 5060, 0, CAP_TCP};
}

/* Ethernet, VLAN 7, IPv4 in IPv4, UDP, a STUN binding request with a name. */
static const uint8_t stun_bytes[] = "\2\0\0\0\0\1\2\0\0\0\0\2\x81\0\xe0\7\x08\0"
				    "\x45\xb8\0\x54\0\1\x40\0\x40\4\0\0\xc0\0\2\1\xc0\0\2\2"
				    "\x45\0\0\x40\0\2\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2"
				    "\x0f\xa0\x0f\xa2\0\x2c\0\0"
				    "\0\1\0\x10\x21\x12\xa4\x42"
				    "abcdefghijkl"
				    "\0\6\0\5"
				    "a:b:c"
				    "\0\0\0"
				    "\0\x25\0\0";
static const uint8_t rtp_bytes[] = "\x92\x80\0\1\0\0\0\2\0\0\0\3"
				   "csrcCSRC"
				   "\xbe\xde\0\1\x10\7\x20\x08payload";
static struct cap_frame more[2];

static void make_more(void)
{
	const uint8_t *const bytes[2] = {stun_bytes, rtp_bytes};
	const uint32_t n[2] = {sizeof stun_bytes - 1, sizeof rtp_bytes - 1};
	for (int i = 0; i < 2; i++) {
		more[i].rec = (struct cap_rec){.no = 8,
					       .link = CAP_LINK_ETHERNET,
					       .p = bytes[i],
					       .n = n[i],
					       .n_wire = n[i]};
		more[i].first_ns = more[i].last_ns = -1;
	}
	if (cap_pkt_decode(&more[0].rec, &more[0].pkt) || more[0].pkt.proto != CAP_UDP ||
	    rtp_parse(rtp_bytes, n[1], &more[1].rtp))
		abort();
	more[1].media = RTP_RTP;
	more[1].pkt.p = rtp_bytes;
	more[1].pkt.n = n[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct flt *f;
	struct buf why;
	if (!msgs[0]) {
		make_frame();
		make_more();
	}
	buf_init(&why);
	if (!flt_compile(str_of((const char *)p, n), &f, &why)) {
		flt_match(f, &frame);
		flt_match(f, &more[0]);
		flt_match(f, &more[1]);
		flt_free(f);
	}
	buf_fini(&why);
	return 0;
}
