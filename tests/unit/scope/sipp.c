/* Recorded calls as SIPp scenarios. That sipp really runs them is tests/interop/scope-sipp.sh's. */
#include "scope/sipp.h"

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* A call of three messages with what a peer may write to break a scenario. */
static void hostile_call(struct buf *cap)
{
	pcap_begin(cap, CAP_LINK_ETHERNET);
	rec_udp(cap, 1'000'000, "192.0.2.1:5060", "192.0.2.2:5070",
		STR("INVITE sip:b@192.0.2.2:5070 SIP/2.0\r\n"
		    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\n"
		    "From: \"]]> [service] \\x41\" <sip:a@192.0.2.1>;tag=one;x=y\r\n"
		    "To: <sip:b@192.0.2.2>\r\nCall-ID: --x--\r\nCSeq: 7 INVITE\r\n"
		    "Contact: <sip:a@somewhere.invalid:4000;transport=ws>;q=1\r\n"
		    "X-Folded: one\r\n  two\r\nX-Not: 192.0.2.11, 192.0.2.1.5\r\n"
		    "Content-Type: application/sdp\r\nContent-Length: 111\r\n\r\n"
		    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns= \r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
		    "m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\n"));
	rec_udp(cap, 2'000'000, "192.0.2.2:5070", "192.0.2.1:5060",
		STR("SIP/2.0 486 Busy [call_id]\r\nVia: SIP/2.0/UDP "
		    "192.0.2.1:5060;branch=z9hG4bKx\r\n"
		    "From: <sip:a@192.0.2.1>;tag=one\r\nTo: <sip:b@192.0.2.2>;tag=two\r\n"
		    "Call-ID: --x--\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"));
	rec_udp(cap, 3'000'000, "192.0.2.1:5060", "192.0.2.2:5070",
		STR("\"<&A sip:b@192.0.2.2:5070 SIP/2.0\r\n"
		    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKy\r\n"
		    "From: <sip:a@192.0.2.1>;tag=one\r\nTo: <sip:b@192.0.2.2>;tag=two\r\n"
		    "Call-ID: --x--\r\nCSeq: 8 \"<&A\r\n"
		    "Authorization: Digest username=\"a\1b\", realm=\"x\"\r\n"
		    "Content-Length: 0\r\n\r\n"));
}

static void scenario(struct buf *out, enum trk_side side)
{
	struct buf cap, why;
	struct cap *c;
	struct book *b;
	struct book_cfg cfg = {0};
	buf_init(&cap);
	buf_init(&why);
	hostile_call(&cap);
	CHECK_EQ(cap.err, OK);
	CHECK_EQ(cap_open_mem(buf_view(&cap), &c, &why), OK);
	CHECK_EQ(book_new(c, &cfg, &b), OK);
	while (book_read(b, 100))
		continue;
	CHECK(trk_first(book_trk(b)));
	CHECK_EQ(sipp_put(out, b, trk_first(book_trk(b)), side), OK);
	book_free(b);
	buf_fini(&cap);
	buf_fini(&why);
}

static bool has(const struct buf *b, const char *text)
{
	bool found = str_find(buf_view(b), str_c(text)) != SIZE_MAX;
	if (!found)
		printf("# not there: %s\n# in:\n" STR_FMT "\n", text, STR_ARG(buf_view(b)));
	return found;
}

TEST_NO_OOM(a_callers_side)
{
	struct buf b;
	buf_init(&b);
	scenario(&b, TRK_SIDE_CALLER);
	CHECK(has(&b, "INVITE sip:b@[remote_ip]:[remote_port] SIP/2.0\n"));
	CHECK(has(&b, "From: \"\\x5d\\x5d> \\x5bservice\\x5d \\x5cx41\" "
		      "<sip:a@[local_ip]>;tag=[pid]c[call_number];x=y\n"));
	CHECK(has(&b, "Contact: <sip:a@[local_ip]:[local_port];transport=[transport]>;q=1\n"));
	CHECK(has(&b, "X-Folded: one    two\n"));
	CHECK(has(&b, "X-Not: 192.0.2.11, 192.0.2.1.5\n"));
	CHECK(has(&b, "o=- 1 1 IN IP[media_ip_type] [media_ip]\ns=\\x20\n"
		      "c=IN IP[media_ip_type] [media_ip]\n"));
	CHECK(has(&b, "m=audio [media_port] RTP/AVP 0\nm=video [media_port+2] RTP/AVP 31\n"));
	CHECK(has(&b, "<recv response=\"486\" timeout=\"32000\" />"));
	CHECK(str_find(buf_view(&b), STR("--x")) == SIZE_MAX); /* no end of a comment in it */
	CHECK(has(&b, "[authentication]\n"));                  /* the name has what XML has not */
	buf_fini(&b);
}

TEST_NO_OOM(a_callees_side)
{
	struct buf b;
	buf_init(&b);
	scenario(&b, TRK_SIDE_CALLEE);
	CHECK(has(&b, "<recv request=\"INVITE\" rrs=\"true\">"));
	CHECK(has(&b, "<recv request=\"&#34;&#60;&#38;A\""));
	CHECK(has(&b, "<pause milliseconds=\"1000\" />"));
	CHECK(has(&b, "SIP/2.0 486 Busy \\x5bcall_id\\x5d\n[last_Via:]\n[last_From:]\n"
		      "[last_To:];tag=[pid]u[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n"));
	buf_fini(&b);
}
