/* Reading descriptions: RFC 8866's example, what phones and browsers send, and what should not be.
 * [RFC8866 5] */

#include "sdp/sdp.h"

#include "test.h"

#include <string.h>

static struct sdp s;

#define HEAD "v=0\r\no=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\ns=Call\r\n"

static bool has_diag(enum sdp_diag_code code)
{
	for (unsigned i = 0; i < s.n_diags; i++)
		if (s.diags[i].code == code)
			return true;
	return false;
}

static void parse(struct str text)
{
	memset(&s, 0xa5, sizeof(s)); /* nothing may rely on what was there */
	CHECK_EQ(sdp_parse(text, &s), OK);
	CHECK_EQ(test_allocs(), 0);
}

static struct str ip(const struct addr *a)
{
	static char text[ADDR_TEXT_MAX];
	return str_c(addr_text(a, text));
}

TEST(example_of_the_rfc)
{
	struct str v;
	parse(STR(HEAD "i=SDP Offer #1\r\n"
		       "u=http://www.jdoe.example.com/home.html\r\n"
		       "e=Jane Doe <jane@jdoe.example.com>\r\n"
		       "p=+1 617 555-6011\r\n"
		       "c=IN IP4 198.51.100.1\r\n"
		       "b=AS:64\r\n"
		       "t=0 0\r\n"
		       "m=audio 49170 RTP/AVP 0\r\n"
		       "m=audio 49180 RTP/AVP 0\r\n"
		       "m=video 51372/2 RTP/AVP 99\r\n"
		       "c=IN IP6 2001:db8::2\r\n"
		       "a=rtpmap:99 h263-1998/90000\r\n"));
	CHECK_EQ(s.n_diags, 0);
	CHECK_STR(s.origin.user, "jdoe");
	CHECK_EQ(s.origin.id, 3724394400);
	CHECK_EQ(s.origin.version, 3724394405);
	CHECK_STR(s.origin.host, "198.51.100.1");
	CHECK_STR(s.name, "Call");
	CHECK_EQ(s.n_media, 3);
	CHECK(s.media[0].type == SDP_AUDIO && s.media[2].type == SDP_VIDEO);
	CHECK_EQ(s.media[0].port, 49170);
	CHECK_EQ(s.media[2].n_ports, 2);
	CHECK_EQ(s.media[0].proto, SDP_RTP_AVP);
	CHECK_STR(s.media[0].fmts, "0");
	CHECK_STR_EQ(ip(&s.media[1].conn.addr), str_c("198.51.100.1"));
	CHECK_STR_EQ(ip(&s.media[2].conn.addr), str_c("2001:db8::2"));
	CHECK_STR_EQ(ip(&s.media[1].rtcp), str_c("198.51.100.1:49181"));
	CHECK(s.media[0].dir == SDP_SENDRECV && !s.media[0].is_hold);
	CHECK(sdp_attr(&s, 2, SDP_A_RTPMAP, &v));
	CHECK_STR(v, "99 h263-1998/90000");
	CHECK(!sdp_attr(&s, 1, SDP_A_RTPMAP, NULL));
	CHECK(!sdp_attr(&s, -1, SDP_A_RTPMAP, NULL));
	CHECK(!sdp_attr(&s, 3, SDP_A_RTPMAP, NULL));
	CHECK_EQ(s.n_session_lines, 10);
}

TEST(formats)
{
	struct sdp_fmt f;
	unsigned at = 0;
	char mem[200];
	struct buf b;
	parse(STR(HEAD "c=IN IP4 192.0.2.1\r\nt=0 0\r\n"
		       "m=audio 4000 RTP/AVPF 0  8 111 101 18 x 200\r\n"
		       "a=rtpmap:8 pcma/8000\r\n"
		       "a=fmtp:18 annexb=no\r\n"
		       "a=rtpmap:101 telephone-event/8000\r\n"
		       "a=fmtp:101 0-16\r\n"
		       "a=rtpmap:111 opus/48000/2\r\n"
		       "a=fmtp:111  minptime=10;useinbandfec=1 \r\n"
		       "a=rtpmap:120 red/8000\r\n"));
	CHECK(sdp_fmt_next(&s, 0, &at, &f));
	CHECK(f.pt == 0 && f.is_static && f.clock == 8000 && f.channels == 1);
	CHECK_STR(f.name, "PCMU");
	CHECK(sdp_fmt_next(&s, 0, &at, &f));
	CHECK(f.pt == 8 && !f.is_static);
	CHECK_STR(f.name, "pcma");
	CHECK(sdp_fmt_next(&s, 0, &at, &f));
	CHECK(f.pt == 111 && f.clock == 48000 && f.channels == 2);
	CHECK_STR(f.fmtp, "minptime=10;useinbandfec=1");
	CHECK(sdp_fmt_next(&s, 0, &at, &f));
	CHECK(f.pt == 101);
	CHECK_STR(f.name, "telephone-event");
	CHECK_STR(f.fmtp, "0-16");
	CHECK(sdp_fmt_next(&s, 0, &at, &f));
	CHECK_STR(f.name, "G729");
	CHECK_STR(f.fmtp, "annexb=no");
	CHECK(sdp_fmt_next(&s, 0, &at, &f));
	CHECK(f.pt == SDP_PT_NONE);
	CHECK_STR(f.text, "x");
	CHECK(sdp_fmt_next(&s, 0, &at, &f));
	CHECK(f.pt == SDP_PT_NONE);
	CHECK(!sdp_fmt_next(&s, 0, &at, &f));
	CHECK(!sdp_fmt_next(&s, 1, &at, &f));
	CHECK(has_diag(SDP_DIAG_BAD_FORMAT) && !has_diag(SDP_DIAG_NO_RTPMAP));
	CHECK(sdp_fmt_of_pt(&s, 0, 120, &f)); /* has an rtpmap, but is not in the m= line */
	CHECK_STR(f.name, "red");
	CHECK(sdp_fmt_of_pt(&s, 0, 9, &f));
	CHECK_STR(f.name, "G722");
	CHECK(!sdp_fmt_of_pt(&s, 0, 99, &f));
	CHECK(!sdp_fmt_of_pt(&s, 1, 0, &f));
	CHECK(!sdp_fmt_of_pt(&s, 0, SDP_PT_NONE, &f));
	buf_init_fixed(&b, mem, sizeof(mem));
	sdp_print_formats(&s, 0, &b);
	CHECK_STR_EQ(buf_view(&b),
		     str_c("PCMU/8000, pcma/8000, opus/48000/2, telephone-event/8000, "
			   "G729/8000, x, 200"));
}

TEST(static_payload_types)
{
	struct sdp_fmt f;
	int n = 0;
	for (int pt = 0; pt < 256; pt++)
		n += sdp_static_pt((uint8_t)pt, &f);
	CHECK_EQ(n, 24);
	CHECK(sdp_static_pt(18, &f) && f.pt == 18 && f.clock == 8000);
	CHECK(sdp_static_pt(10, &f) && f.channels == 2);
	CHECK(!sdp_static_pt(1, &f) && !sdp_static_pt(96, &f));
}

TEST(directions_and_hold)
{
	parse(STR(HEAD "c=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendonly\r\n"
		       "m=audio 4000 RTP/AVP 0\r\n"
		       "m=audio 4002 RTP/AVP 0\r\na=recvonly\r\n"
		       "m=audio 4004 RTP/AVP 0\r\na=inactive\r\n"
		       "m=audio 4006 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=sendrecv\r\n"));
	CHECK_EQ(s.dir, SDP_SENDONLY);
	CHECK(s.media[0].dir == SDP_SENDONLY && s.media[0].is_hold);
	CHECK(s.media[1].dir == SDP_RECVONLY && !s.media[1].is_hold);
	CHECK(s.media[2].dir == SDP_INACTIVE && s.media[2].is_hold);
	CHECK(s.media[3].dir == SDP_SENDRECV && s.media[3].is_hold);
	CHECK_EQ(s.n_diags, 0);
	CHECK_EQ(sdp_dir_flip(SDP_SENDONLY), SDP_RECVONLY);
	CHECK_EQ(sdp_dir_flip(SDP_RECVONLY), SDP_SENDONLY);
	CHECK_EQ(sdp_dir_flip(SDP_SENDRECV), SDP_SENDRECV);
	CHECK_EQ(sdp_dir_flip(SDP_INACTIVE), SDP_INACTIVE);
	CHECK_STR(str_c(sdp_dir_text(SDP_RECVONLY)), "recvonly");
	parse(STR(HEAD "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
		       "a=sendonly\r\na=inactive\r\n"));
	CHECK(has_diag(SDP_DIAG_TWO_DIRECTIONS));
	CHECK_EQ(s.media[0].dir, SDP_INACTIVE);
}

TEST(rtcp_attribute)
{
	parse(STR(HEAD "c=IN IP4 192.0.2.1\r\nt=0 0\r\n"
		       "m=audio 4000 RTP/AVP 0\r\na=rtcp:53020\r\n"
		       "m=audio 4000 RTP/AVP 0\r\na=rtcp:53021 IN IP4 192.0.2.9\r\n"
		       "m=audio 4000 RTP/AVP 0\r\na=rtcp:70000\r\n"
		       "m=audio 4000 RTP/AVP 0\r\na=rtcp:5 IN IP4\r\n"
		       "m=audio 65535 RTP/AVP 0\r\n"
		       "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone.example.com\r\n"));
	CHECK_STR_EQ(ip(&s.media[0].rtcp), str_c("192.0.2.1:53020"));
	CHECK_STR_EQ(ip(&s.media[1].rtcp), str_c("192.0.2.9:53021"));
	CHECK_STR_EQ(ip(&s.media[2].rtcp), str_c("192.0.2.1:4001"));
	CHECK(has_diag(SDP_DIAG_BAD_ATTR));
	CHECK_EQ(s.n_diags, 2);
	CHECK_EQ(s.media[4].rtcp.port, 0);
	CHECK_EQ(s.media[5].conn.addr.family, ADDR_NONE);
	CHECK_STR(s.media[5].conn.host, "phone.example.com");
	CHECK(s.media[5].rtcp.family == ADDR_NONE && s.media[5].rtcp.port == 4001);
}

TEST(webrtc)
{
	struct str v;
	parse(STR("v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
		  "a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n"
		  "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\n"
		  "a=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:4ZcD\r\na=ice-pwd:x\r\n"
		  "a=fingerprint:sha-256 19:E2\r\na=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\n"
		  "a=rtpmap:111 opus/48000/2\r\na=ssrc:1 cname:a\r\na=ssrc:1 msid:- b\r\n"
		  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"));
	CHECK_EQ(s.n_diags, 0);
	CHECK_EQ(s.origin.id, 4611731400430051336);
	CHECK_EQ(s.media[0].proto, SDP_UDP_TLS_RTP_SAVPF);
	CHECK(s.media[0].has_ice && s.media[0].has_fingerprint && s.media[0].has_rtcp_mux);
	CHECK(!s.media[0].has_crypto);
	CHECK_EQ(s.media[1].proto, SDP_UDP_DTLS_SCTP);
	CHECK(!s.media[1].has_ice && !s.media[1].has_rtcp_mux);
	CHECK(sdp_attr(&s, -1, SDP_A_GROUP, &v));
	CHECK_STR(v, "BUNDLE 0");
	CHECK(sdp_attr_named(&s, -1, STR("msid-semantic"), &v));
	CHECK_STR(v, " WMS");
	CHECK(sdp_attr_named(&s, -1, STR("extmap-allow-mixed"), &v));
	CHECK_STR(v, "");
	CHECK(!sdp_attr_named(&s, 0, STR("msid"), &v));
	unsigned at = 0, n = 0;
	while (sdp_attr_next(&s, 0, SDP_A_SSRC, &at, &v))
		n++;
	CHECK_EQ(n, 2);
	CHECK_STR(v, "1 msid:- b");
	CHECK_EQ(sdp_proto_flags(SDP_UDP_TLS_RTP_SAVPF),
		 SDP_PF_RTP | SDP_PF_SECURE | SDP_PF_DTLS | SDP_PF_FEEDBACK);
}

TEST(defaults_of_the_session)
{
	parse(STR(HEAD
		  "c=IN IP4 192.0.2.1/127\r\nt=0 0\r\na=fingerprint:sha-1 0\r\na=ice-ufrag:a\r\n"
		  "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
		  "a=ptime:20.0\r\na=maxptime: 150\r\n"
		  "m=image 4002 udptl t38\r\n"
		  "m=foo 4004 BAR/BAZ 1\r\n"));
	CHECK(s.media[0].has_fingerprint && s.media[0].has_ice && s.media[0].has_crypto);
	CHECK(s.media[0].ptime_ms == 20 && s.media[0].maxptime_ms == 150);
	CHECK_EQ(s.media[0].proto, SDP_RTP_SAVP);
	CHECK_STR(s.media[0].conn.host, "192.0.2.1");
	CHECK(s.media[1].type == SDP_IMAGE && s.media[1].proto == SDP_UDPTL);
	CHECK(s.media[1].has_fingerprint && !s.media[1].has_crypto);
	CHECK(s.media[2].type == SDP_OTHER && s.media[2].proto == SDP_PROTO_OTHER);
	CHECK_STR(s.media[2].proto_text, "BAR/BAZ");
	CHECK_EQ(s.n_diags, 0);
}

TEST(sloppy_but_readable)
{
	parse(STR("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=\nc=IN IP4 192.0.2.1\nt=0 0\n\n"
		  "m=audio 4000 RTP/AVP 0 96\na = sendonly\nq=what\na=rtpmap:8 PCMA"));
	CHECK(has_diag(SDP_DIAG_BARE_LF) && has_diag(SDP_DIAG_BAD_LINE));
	CHECK(has_diag(SDP_DIAG_EMPTY_NAME) && has_diag(SDP_DIAG_SPACE_AT_EQUALS));
	CHECK(has_diag(SDP_DIAG_UNKNOWN_TYPE) && has_diag(SDP_DIAG_NO_LAST_EOL));
	CHECK(has_diag(SDP_DIAG_BAD_RTPMAP) && has_diag(SDP_DIAG_NO_RTPMAP));
	CHECK_EQ(s.media[0].dir, SDP_SENDONLY);
	parse(STR("m=audio 4000 RTP/AVP 0\r\n"));
	CHECK(has_diag(SDP_DIAG_NO_VERSION) && has_diag(SDP_DIAG_NO_ORIGIN) &&
	      has_diag(SDP_DIAG_NO_NAME) && has_diag(SDP_DIAG_NO_TIMING) &&
	      has_diag(SDP_DIAG_NO_CONNECTION));
	CHECK_EQ(s.n_diags, 5);
	parse(STR("v=1\r\nt=0 0\r\ns=x\r\no=- 1\r\no=- 1 1 IN IP4 a\r\nc=IN\r\n"));
	CHECK(has_diag(SDP_DIAG_BAD_VERSION) && has_diag(SDP_DIAG_BAD_ORDER) &&
	      has_diag(SDP_DIAG_BAD_ORIGIN) && has_diag(SDP_DIAG_DUPLICATE) &&
	      has_diag(SDP_DIAG_BAD_CONNECTION));
	parse(STR(HEAD "c=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 99999 RTP/AVP 0\r\n"));
	CHECK(has_diag(SDP_DIAG_BAD_PORT));
	CHECK_EQ(s.media[0].port, 0);
	for (unsigned i = 0; i < SDP_DIAG__N; i++)
		CHECK(sdp_diag_text(i)[0] && sdp_diag_rfc(i) != NULL);
	CHECK_STR(str_c(sdp_diag_rfc(SDP_DIAG_NO_TIMING)), "RFC8866 5.9");
}

TEST(origin_numbers_saturate)
{
	parse(STR("v=0\r\no=- 99999999999999999999999 18446744073709551615 IN IP4 a\r\ns=-\r\n"
		  "t=0 0\r\n"));
	CHECK_EQ(s.origin.id, UINT64_MAX);
	CHECK_EQ(s.origin.version, UINT64_MAX);
	parse(STR("v=0\r\no=- abc 1x IN IP4 a\r\ns=-\r\nt=0 0\r\n"));
	CHECK(s.origin.id == 0 && s.origin.version == 0);
	CHECK_STR(s.origin.id_text, "abc");
}

TEST(not_sdp)
{
	CHECK_EQ(sdp_parse(STR(""), &s), ERR_SYNTAX);
	CHECK_EQ(sdp_parse(STR("hello"), &s), ERR_SYNTAX);
	CHECK_EQ(sdp_parse(STR("\r\n"), &s), ERR_SYNTAX);
	CHECK_EQ(sdp_parse(STR("<xml/>\r\n"), &s), ERR_SYNTAX);
	CHECK_EQ(sdp_parse(STR("q=1\r\n"), &s), ERR_SYNTAX);
	CHECK_EQ(sdp_parse(STR(HEAD "m=audio\r\n"), &s), ERR_SYNTAX);
	CHECK_EQ(sdp_parse(STR(HEAD "m=audio x RTP/AVP 0\r\n"), &s), ERR_SYNTAX);
	static char large[65536];
	CHECK_EQ(sdp_parse(str_of(large, sizeof(large)), &s), ERR_LIMIT);
}

TEST(bounds)
{
	char mem[60000];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, STR(HEAD "c=IN IP4 192.0.2.1\r\nt=0 0\r\n"));
	for (int i = 0; i < 20; i++)
		buf_fmt(&b, "m=audio %d RTP/AVP 0\r\na=mid:%d\r\n", 4000 + i, i);
	parse(buf_view(&b));
	CHECK_EQ(s.n_media, SDP_MAX_MEDIA);
	CHECK_EQ(s.n_lines, 5 + 2 * SDP_MAX_MEDIA); /* lines of the left-out media too */
	CHECK_EQ(s.media[15].n_lines, 2);
	CHECK(has_diag(SDP_DIAG_LIMIT));
	for (int i = 0; i < 600; i++)
		buf_str(&b, STR("a=x\r\n"));
	CHECK_EQ(b.err, OK);
	parse(buf_view(&b));
	buf_clear(&b);
	buf_str(&b, STR(HEAD "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n"));
	for (int i = 0; i < 600; i++)
		buf_str(&b, STR("a=x\r\n"));
	parse(buf_view(&b));
	CHECK_EQ(s.n_lines, SDP_MAX_LINES);
	CHECK_EQ(s.n_diags, SDP_MAX_DIAGS);
	CHECK_EQ(s.media[0].n_lines, SDP_MAX_LINES - 5);
}

TEST(printing)
{
	char mem[500];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	parse(STR("v=0\no=- 1 1 IN IP4 a\nzzz\ns= \nt=0 0\nm=audio 0 RTP/AVP 0\na = ptime:20"));
	sdp_print(&s, &b);
	CHECK_STR_EQ(buf_view(&b), str_c("v=0\r\no=- 1 1 IN IP4 a\r\ns= \r\nt=0 0\r\n"
					 "m=audio 0 RTP/AVP 0\r\na=ptime:20\r\n"));
	CHECK_STR_EQ(sdp_proto_text(SDP_RTP_AVP), str_c("RTP/AVP"));
}
