/* The builder: requests, responses, CANCEL, ACK. */

#include "sip/out.h"

#include "base/assert.h"

#include "fixture.h"

static struct str respond(const char *via, const char *source, unsigned status, struct buf *b)
{
	static char text[1024];
	struct buf t;
	struct sip_out o;
	struct addr from;
	buf_init_fixed(&t, text, sizeof(text));
	buf_str(&t, STR("INVITE sip:b@c SIP/2.0\r\n"));
	buf_str(&t, str_c(via));
	buf_str(&t, STR("f: <sip:a@b>;tag=1\r\nTo: \"B\" <sip:b@c>\r\nTimestamp: 54\r\ni: x@y\r\n"
			"CSeq:  7\r\n INVITE\r\n\r\n"));
	struct sip_msg *m = msg(buf_view(&t));
	CHECK(addr_parse(str_c(source), 0, &from));
	buf_clear(b);
	sip_out_response(&o, b, m, status, STR_NONE, STR("tt"), &from);
	enum err e = sip_out_end(&o, STR_NONE, STR_NONE);
	CHECK_EQ(e, OK);
	sip_msg_free(m);
	return buf_view(b);
}

#define REST                                                                                       \
	"From: <sip:a@b>;tag=1\r\nTo: \"B\" <sip:b@c>;tag=tt\r\nCall-ID: x@y\r\n"                  \
	"CSeq: 7\r\n INVITE\r\nContent-Length: 0\r\n\r\n"

/* [RFC3261 8.2.6.2, 18.2.1] [RFC3581 4] */
TEST(response_via)
{
	char mem[1024];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	CHECK_STR(respond("Via: SIP/2.0/UDP 192.0.2.1;branch=z9\r\n", "192.0.2.1:5060", 404, &b),
		  "SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9\r\n" REST);
	CHECK_STR(respond("Via: SIP/2.0/UDP host.example;branch=z9\r\n", "192.0.2.1:9", 404, &b),
		  "SIP/2.0 404 Not Found\r\n"
		  "Via: SIP/2.0/UDP host.example;branch=z9;received=192.0.2.1\r\n" REST);
	CHECK_STR(respond("v: SIP/2.0/UDP 192.0.2.1;rport;branch=z9 , SIP/2.0/UDP b\r\nVia: c\r\n",
			  "192.0.2.1:5071", 486, &b),
		  "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.1;rport=5071;branch=z9"
		  ";received=192.0.2.1 , SIP/2.0/UDP b\r\nVia: c\r\n" REST);
	CHECK_STR(
		respond("v: SIP/2.0/UDP 10.0.0.1;branch=z9;RPort\r\n", "[2001:db8::1]:7", 486, &b),
		"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9;RPort=7"
		";received=2001:db8::1\r\n" REST);
	CHECK_STR(respond("v: SIP/2.0/UDP 10.0.0.1;xrport;x=rport;rport;y\r\n", "192.0.2.7:8", 486,
			  &b),
		  "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 10.0.0.1;xrport;x=rport;rport=8;y"
		  ";received=192.0.2.7\r\n" REST);
	/* what the client wrote there itself is not believed */
	CHECK_STR(respond("Via: SIP/2.0/UDP 10.0.0.1;received=10.9.9.9;rport=1;branch=z9\r\n",
			  "192.0.2.7:8", 486, &b),
		  "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 10.0.0.1;received=192.0.2.7;rport=8"
		  ";branch=z9\r\n" REST);
	CHECK_STR(respond("Via: SIP/2.0/UDP 10.0.0.1;rport=1;received=[2001:db8::2]\r\n",
			  "192.0.2.7:8", 486, &b),
		  "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP "
		  "10.0.0.1;rport=8;received=192.0.2.7\r\n" REST);
	/* a stray semicolon stays at the end */
	CHECK_STR(respond("Via: SIP/2.0/UDP 10.0.0.1;rport;branch=z9;\r\n", "192.0.2.7:8", 486, &b),
		  "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP "
		  "10.0.0.1;rport=8;branch=z9;received=192.0.2.7;\r\n" REST);
	/* nor where it wrote it twice */
	CHECK_STR(respond("Via: SIP/2.0/UDP 10.0.0.1;rport=1;branch=z9;rport\r\n", "192.0.2.7:8",
			  486, &b),
		  "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP "
		  "10.0.0.1;rport=8;branch=z9;rport;received=192.0.2.7\r\n" REST);
}

/* [RFC3261 8.2.6.1] */
TEST(response_100)
{
	char mem[1024];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	CHECK_STR(respond("Via: SIP/2.0/UDP 192.0.2.1;branch=z9\r\n", "192.0.2.1", 100, &b),
		  "SIP/2.0 100 Trying\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9\r\n"
		  "From: <sip:a@b>;tag=1\r\nTo: \"B\" <sip:b@c>\r\nCall-ID: x@y\r\n"
		  "CSeq: 7\r\n INVITE\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n");
}

TEST(response_to_tag_stays)
{
	char mem[1024];
	struct buf b;
	struct sip_out o;
	struct sip_msg *m =
		MSG("BYE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nTo: <sip:b@c>;tag=2\r\n"
		    "Call-ID: x\r\nCSeq: 1 BYE\r\nRecord-Route: <sip:p>\r\n"
		    "rECORD-rOUTE: <sip:q>\r\n\r\n");
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_out_response(&o, &b, m, 200, STR("Fine"), STR("new"), NULL);
	sip_out_copy(&o, m, SIP_HDR_RECORD_ROUTE);
	CHECK_EQ(sip_out_end(&o, STR("text/plain"), STR("hi")), OK);
	CHECK_STR(buf_view(&b),
		  "SIP/2.0 200 Fine\r\nVia: SIP/2.0/UDP a\r\nTo: <sip:b@c>;tag=2\r\nCall-ID: x\r\n"
		  "CSeq: 1 BYE\r\nRecord-Route: <sip:p>\r\nRecord-Route: <sip:q>\r\n"
		  "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi");
	sip_msg_free(m);
}

TEST(request)
{
	char mem[256];
	struct buf b;
	struct sip_out o;
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_out_request(&o, &b, STR("OPTIONS"), STR("sip:x"));
	sip_out_fmt(&o, SIP_HDR_CSEQ, "%u %s", 3u, "OPTIONS");
	sip_out_named(&o, STR("X-Y"), STR("z"));
	CHECK_EQ(sip_out_end(&o, STR_NONE, STR_NONE), OK);
	CHECK_STR(
		buf_view(&b),
		"OPTIONS sip:x SIP/2.0\r\nCSeq: 3 OPTIONS\r\nX-Y: z\r\nContent-Length: 0\r\n\r\n");
}

/* No value may begin a header of its own. */
TEST(no_smuggling)
{
	static const char *const bad[] = {"x\r\nEvil: 1", "x\nEvil: 1", "x\rEvil: 1",
					  "x\r\n",        "x\n",        "x\r",
					  "a\r\n b\r\nc", "a\r\n\r\n b"};
	char mem[256];
	struct buf b;
	struct sip_out o;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (int how = 0; how < 5; how++) {
			struct str v = str_c(bad[i]);
			buf_init_fixed(&b, mem, sizeof(mem));
			sip_out_request(&o, &b, how == 0 ? v : STR("A"), how == 1 ? v : STR("b"));
			sip_out_hdr(&o, SIP_HDR_SUBJECT, how == 2 ? v : STR("s"));
			sip_out_fmt(&o, SIP_HDR_DATE, STR_FMT, STR_ARG(how == 3 ? v : STR("d")));
			sip_out_named(&o, how == 4 ? v : STR("N"), STR("n"));
			CHECK_EQ(sip_out_end(&o, STR_NONE, STR_NONE), ERR_SYNTAX);
		}
	}
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_out_request(&o, &b, STR("A"), STR("b"));
	sip_out_hdr(&o, SIP_HDR_SUBJECT, STR("folded\r\n value\n\tagain"));
	CHECK_EQ(sip_out_end(&o, STR_NONE, STR_NONE), OK);
	buf_init_fixed(&b, mem, 20);
	sip_out_request(&o, &b, STR("OPTIONS"), STR("sip:x"));
	CHECK_EQ(sip_out_end(&o, STR_NONE, STR_NONE), ERR_LIMIT);
}

/* [RFC3261 9.1, 17.1.1.3] */
TEST(cancel_and_ack)
{
	char mem[1024];
	struct buf b;
	struct sip_msg *inv =
		MSG("INVITE sip:b@c SIP/2.0\r\n"
		    "Via: SIP/2.0/UDP us;branch=z9hG4bKq, SIP/2.0/UDP them;branch=z9hG4bKr\r\n"
		    "Route: <sip:r1;lr>\r\nMax-Forwards: 5\r\nRoute: <sip:r2;lr>\r\n"
		    "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\n"
		    "CSeq: 12 INVITE\r\nRequire: 100rel\r\n\r\n");
	struct sip_msg *resp = MSG("SIP/2.0 486 Busy\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKq\r\n"
				   "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>;tag=9\r\nCall-ID: x\r\n"
				   "CSeq: 12 INVITE\r\n\r\n");
	buf_init_fixed(&b, mem, sizeof(mem));
	CHECK_EQ(sip_out_cancel(&b, inv), OK);
	CHECK_STR(buf_view(&b),
		  "CANCEL sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKq\r\n"
		  "Route: <sip:r1;lr>\r\nRoute: <sip:r2;lr>\r\nMax-Forwards: 70\r\n"
		  "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 12 CANCEL\r\n"
		  "Content-Length: 0\r\n\r\n");
	buf_clear(&b);
	CHECK_EQ(sip_out_ack_non2xx(&b, inv, resp), OK);
	CHECK_STR(buf_view(&b),
		  "ACK sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKq\r\n"
		  "Route: <sip:r1;lr>\r\nRoute: <sip:r2;lr>\r\nMax-Forwards: 70\r\n"
		  "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>;tag=9\r\nCall-ID: x\r\nCSeq: 12 ACK\r\n"
		  "Content-Length: 0\r\n\r\n");
	sip_msg_free(inv);
	sip_msg_free(resp);
}

/* [RFC3261 20.17]: RFC 1123's date, always GMT */
TEST(date)
{
	static const struct {
		uint64_t wall_s;
		const char *text;
	} rows[] = {
		{0,          "Thu, 01 Jan 1970 00:00:00 GMT"},
		{951782400,  "Tue, 29 Feb 2000 00:00:00 GMT"},
		{1289690940, "Sat, 13 Nov 2010 23:29:00 GMT"},
	};
	char mem[64];
	struct buf b;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_init_fixed(&b, mem, sizeof(mem));
		sip_date_put(&b, rows[i].wall_s);
		CHECK_STR_EQ(buf_view(&b), str_c(rows[i].text));
	}
}
