/* Header values that are no addresses, and bodies. */

#include "sip/hdr.h"

#include "fixture.h"

#include <string.h>

/* [RFC3261 20.42] [RFC3581] [RFC4475 3.1.1.1, 3.1.2.1] [RFC5118 4.5] */
TEST(via)
{
	struct sip_via v;
	CHECK_EQ(sip_via_parse(
			 STR("SIP/2.0/UDP [2001:db8::9:1]:6050;received=2001:db8::9:255"
			     ";branch=z9hG4bKas3;rport=5061;ttl=16;maddr=224.2.0.1;x=\"a;,b\""),
			 &v),
		 OK);
	CHECK_STR(v.proto, "SIP/2.0");
	CHECK_STR(v.transport, "UDP");
	CHECK_STR(v.host, "2001:db8::9:1");
	CHECK_EQ(v.port, 6050);
	CHECK_STR(v.received, "2001:db8::9:255");
	CHECK_STR(v.branch, "z9hG4bKas3");
	CHECK_STR(v.maddr, "224.2.0.1");
	CHECK(v.has_rport && v.rport == 5061 && v.ttl == 16);
	CHECK_EQ(sip_via_parse(STR("SIP/2.0/UDP [::1];received=[2001:db8::9:255];rport"), &v), OK);
	CHECK_STR(v.received, "2001:db8::9:255");
	CHECK(v.has_rport && v.rport == 0 && v.port == 0);
	CHECK_EQ(sip_via_parse(
			 STR("SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5 ;\r\n branch = 390skdjuw"),
			 &v),
		 OK);
	CHECK_STR(v.host, "192.0.2.2");
	CHECK_STR(v.branch, "390skdjuw");
	CHECK_STR(v.transport, "UDP");
	CHECK_EQ(v.port, 5);
	CHECK_EQ(sip_via_parse(STR_NONE, &v), ERR_SYNTAX);
	CHECK_EQ(sip_via_parse(STR("SIP/2.0/UNKNOWN t4.example.com;BRANCH=z9hG4bKasd0f3en"), &v),
		 OK);
	CHECK_STR(v.branch, "z9hG4bKasd0f3en");
	CHECK_EQ(sip_via_parse(STR("SIP/2.0/UDP a;branch=z9hG4bKx; "), &v), OK);
	CHECK_STR(v.params, "branch=z9hG4bKx");
	static const char *const bad[] = {
		"",
		"SIP/2.0/UDP",
		"SIP/2.0/UDP ",
		"SIP/2.0 UDP a",
		"SIP/2.0/ a",
		"/2.0/UDP a",
		"SIP/2.0/UDPa",
		"SIP/2.0/UDP 192.0.2.15;;",
		"SIP/2.0/UDP a;,",
		"SIP/2.0/UDP a;branch=",
		"SIP/2.0/UDP a;=x",
		"SIP/2.0/UDP a:",
		"SIP/2.0/UDP a:65536",
		"SIP/2.0/UDP [::1",
		"SIP/2.0/UDP []",
		"SIP/2.0/UDP a b",
		"SIP/2.0/UDP a;rport=x",
		"SIP/2.0/UDP a;rport=65536",
		"SIP/2.0/UDP a;ttl=256",
		"SIP/2.0/UDP a;x=\"open",
		"SIP/2.0/UDP a, SIP/2.0/UDP b",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (sip_via_parse(str_c(bad[i]), &v) == OK)
			test_fail(__FILE__, __LINE__, "taken: %s", bad[i]);
}

/* [RFC3261 20.16] */
TEST(cseq)
{
	struct sip_cseq c;
	CHECK_EQ(sip_cseq_parse(STR("0009\r\n  INVITE"), &c), OK);
	CHECK_EQ(c.n, 9);
	CHECK_STR(c.method, "INVITE");
	CHECK_EQ(sip_cseq_parse(STR("4294967295 X"), &c), OK);
	CHECK_EQ(c.n, 4294967295u);
	CHECK_EQ(sip_cseq_parse(STR("4294967296 X"), &c), ERR_LIMIT);
	CHECK_EQ(sip_cseq_parse(STR("36893488147419103232 REGISTER"), &c), ERR_LIMIT);
	CHECK_EQ(sip_cseq_parse(STR("18446744073709551617 REGISTER"), &c), ERR_LIMIT);
	static const char *const bad[] = {"",   "1",         "INVITE",     "1INVITE",   "-1 INVITE",
					  "1 ", "1 IN VITE", "1 INVITE;x", "1.0 INVITE"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(sip_cseq_parse(str_c(bad[i]), &c), ERR_SYNTAX);
}

TEST(qvalue)
{
	uint16_t q = 7;
	CHECK(sip_q_parse(STR("0"), &q) && q == 0);
	CHECK(sip_q_parse(STR("0."), &q) && q == 0);
	CHECK(sip_q_parse(STR("1.000"), &q) && q == 1000);
	CHECK(sip_q_parse(STR("0.33"), &q) && q == 330);
	CHECK(sip_q_parse(STR("0.007"), &q) && q == 7);
	static const char *const bad[] = {"",    "2",  ".5",   "1.001", "0.1234",
					  "0,5", "01", "-0.1", "0.5x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!sip_q_parse(str_c(bad[i]), &q));
	CHECK_EQ(q, 7);
}

/* Too large is the largest. [RFC3261 20.19] */
TEST(seconds)
{
	uint32_t s;
	CHECK_EQ(sip_seconds_parse(STR("3600"), &s), OK);
	CHECK_EQ(s, 3600);
	CHECK_EQ(sip_seconds_parse(STR("280297596632815"), &s), OK);
	CHECK_EQ(s, UINT32_MAX);
	CHECK_EQ(sip_seconds_parse(STR("10000000000000000000000000000000000"), &s), OK);
	CHECK_EQ(s, UINT32_MAX);
	CHECK_EQ(sip_seconds_parse(STR(""), &s), ERR_SYNTAX);
	CHECK_EQ(sip_seconds_parse(STR("-1"), &s), ERR_SYNTAX);
	CHECK_EQ(sip_seconds_parse(STR("1 hour"), &s), ERR_SYNTAX);
}

TEST(media_type)
{
	struct sip_media_type t;
	struct str v;
	CHECK_EQ(sip_media_type_parse(STR("multipart/mixed ; boundary=\"a b\""), &t), OK);
	CHECK_STR(t.type, "multipart");
	CHECK_STR(t.subtype, "mixed");
	CHECK(sip_param(t.params, STR("boundary"), &v));
	CHECK_STR(v, "a b");
	CHECK(sip_media_type_is(STR("Application/SDP;charset=utf-8"), STR("application"),
				STR("sdp")));
	CHECK(!sip_media_type_is(STR("application/sdpx"), STR("application"), STR("sdp")));
	CHECK_EQ(sip_media_type_parse(STR("application"), &t), ERR_SYNTAX);
	CHECK_EQ(sip_media_type_parse(STR("application/"), &t), ERR_SYNTAX);
	CHECK_EQ(sip_media_type_parse(STR("/sdp"), &t), ERR_SYNTAX);
	CHECK_EQ(sip_media_type_parse(STR("a/b c"), &t), ERR_SYNTAX);
	CHECK_EQ(sip_media_type_parse(STR(""), &t), ERR_SYNTAX);
}

TEST(tokens)
{
	struct sip_msg *m =
		MSG(REQ_START REQ_REST "k: replaces,\r\n 100rel\r\nSupported: Timer\r\n" REQ_END);
	CHECK(sip_has_token(m, SIP_HDR_SUPPORTED, STR("100REL")));
	CHECK(sip_has_token(m, SIP_HDR_SUPPORTED, STR("timer")));
	CHECK(!sip_has_token(m, SIP_HDR_SUPPORTED, STR("100")));
	CHECK(!sip_has_token(m, SIP_HDR_REQUIRE, STR("timer")));
	sip_msg_free(m);
}

/* [RFC6665 8.2.1, 8.2.3] */
TEST(event_and_subscription_state)
{
	struct sip_event ev;
	struct sip_sub_state s;
	CHECK_EQ(sip_event_parse(STR("dialog ; id=7;x"), &ev), OK);
	CHECK_STR(ev.package, "dialog");
	CHECK_STR(ev.id, "7");
	CHECK_EQ(sip_event_parse(STR("message-summary"), &ev), OK);
	CHECK(!ev.id.p);
	CHECK_EQ(sip_event_parse(STR(""), &ev), ERR_SYNTAX);
	CHECK_EQ(sip_event_parse(STR("a b"), &ev), ERR_SYNTAX);
	CHECK_EQ(sip_sub_state_parse(STR("terminated;reason=timeout;retry-after=5"), &s), OK);
	CHECK_STR(s.state, "terminated");
	CHECK_STR(s.reason, "timeout");
	CHECK_EQ(s.expires, UINT32_MAX);
	CHECK_EQ(s.retry_after, 5);
	CHECK_EQ(sip_sub_state_parse(STR("active;expires=3600"), &s), OK);
	CHECK_EQ(s.expires, 3600);
	CHECK_EQ(sip_sub_state_parse(STR("active;expires=soon"), &s), ERR_SYNTAX);
	CHECK_EQ(sip_sub_state_parse(STR("active;expires"), &s), ERR_SYNTAX);
}

/* [RFC3326 2] [RFC3261 20.43] */
TEST(reason_and_warning)
{
	struct sip_reason r;
	struct sip_warning w;
	CHECK_EQ(sip_reason_parse(STR("Q.850 ;cause=16 ;text=\"Terminated, \\\"ok\\\"\""), &r), OK);
	CHECK_STR(r.protocol, "Q.850");
	CHECK(r.has_cause && r.cause == 16);
	CHECK_STR(r.text, "Terminated, \\\"ok\\\"");
	CHECK_EQ(sip_reason_parse(STR("SIP"), &r), OK);
	CHECK(!r.has_cause && !r.text.n);
	CHECK_EQ(sip_reason_parse(STR("SIP;cause=x"), &r), ERR_SYNTAX);
	CHECK_EQ(sip_reason_parse(STR(";cause=1"), &r), ERR_SYNTAX);
	CHECK_EQ(sip_warning_parse(
			 STR("307 isi.edu:5060 \"Session parameter 'foo' not understood\""), &w),
		 OK);
	CHECK_EQ(w.code, 307);
	CHECK_STR(w.agent, "isi.edu:5060");
	CHECK_STR(w.text, "Session parameter 'foo' not understood");
	static const char *const bad[] = {
		"",           "307",       "307 a",    "307 a b", "1812 overture \"x\"",
		"307a \"x\"", "307 \"x\"", "307 a \"x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(sip_warning_parse(str_c(bad[i]), &w), ERR_SYNTAX);
}

/* [RFC3262 7.2] */
TEST(rack)
{
	struct sip_rack r;
	CHECK_EQ(sip_rack_parse(STR("776656 1 INVITE"), &r), OK);
	CHECK(r.rseq == 776656 && r.cseq == 1);
	CHECK_STR(r.method, "INVITE");
	CHECK_EQ(sip_rack_parse(STR("4294967296 1 INVITE"), &r), ERR_LIMIT);
	CHECK_EQ(sip_rack_parse(STR("1 4294967296 INVITE"), &r), ERR_LIMIT);
	static const char *const bad[] = {"",         "1",          "1 ",         "1 2",
					  "1 INVITE", "x 1 INVITE", "1x 1 INVITE"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(sip_rack_parse(str_c(bad[i]), &r), ERR_SYNTAX);
	CHECK_EQ(sip_rack_parse(STR_NONE, &r), ERR_SYNTAX);
}

/* [RFC4028 4] */
TEST(session_expires)
{
	struct sip_session_expires s;
	CHECK_EQ(sip_session_expires_parse(STR("4000;refresher=uac"), &s), OK);
	CHECK(s.seconds == 4000 && s.has_refresher && s.is_uac_refresher);
	CHECK_EQ(sip_session_expires_parse(STR("90 ; x ; Refresher = UAS"), &s), OK);
	CHECK(s.seconds == 90 && s.has_refresher && !s.is_uac_refresher);
	CHECK_EQ(sip_session_expires_parse(STR("1800"), &s), OK);
	CHECK(!s.has_refresher);
	static const char *const bad[] = {
		"", "x", "90 x", "90;refresher", "90;refresher=me", ";refresher=uac"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(sip_session_expires_parse(str_c(bad[i]), &s), ERR_SYNTAX);
}

/* [RFC3891 6.1] [RFC4538 7] */
TEST(replaces)
{
	struct sip_replaces r;
	CHECK_EQ(sip_replaces_parse(
			 STR("98asjd8@test.com;from-tag=5FFE ; to-tag = r33th4x0r;early-only"), &r),
		 OK);
	CHECK_STR(r.call_id, "98asjd8@test.com");
	CHECK_STR(r.to_tag, "r33th4x0r");
	CHECK_STR(r.from_tag, "5FFE");
	CHECK(r.is_early_only);
	CHECK_EQ(sip_replaces_parse(STR("a@b;local-tag=1;remote-tag=2"), &r), OK);
	CHECK(!r.is_early_only);
	CHECK_STR(r.from_tag, "1");
	CHECK_STR(r.to_tag, "2");
	static const char *const bad[] = {"",
					  "a",
					  "a;to-tag=1",
					  "a;from-tag=1",
					  "a;to-tag=1;from-tag",
					  ";to-tag=1;from-tag=2"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(sip_replaces_parse(str_c(bad[i]), &r), ERR_SYNTAX);
}

/* [RFC3261 20.33] */
TEST(retry_after)
{
	struct sip_retry_after r;
	CHECK_EQ(sip_retry_after_parse(STR("18000;duration=3600"), &r), OK);
	CHECK(r.seconds == 18000 && r.duration == 3600 && !r.comment.n);
	CHECK_EQ(sip_retry_after_parse(STR("120 (I'm in (a \\) meeting))"), &r), OK);
	CHECK(r.seconds == 120 && r.duration == UINT32_MAX);
	CHECK_STR(r.comment, "I'm in (a \\) meeting)");
	CHECK_EQ(sip_retry_after_parse(STR("949302838503028349304023988 (x);duration=99999999999"),
				       &r),
		 OK);
	CHECK(r.seconds == UINT32_MAX && r.duration == UINT32_MAX);
	static const char *const bad[] = {"",        "x",          "1 x",          "1 (x",
					  "1 (x\\)", "1;duration", "1;duration=x", "(x) 1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(sip_retry_after_parse(str_c(bad[i]), &r), ERR_SYNTAX);
}

#define BODY(type, body) REQ_START REQ_REST "Content-Type: " type "\r\n\r\n" body

/* [RFC2046 5.1] [RFC3261 7.4.1] */
TEST(multipart)
{
	struct str part;
	struct sip_msg *m = MSG(BODY("application/sdp", "v=0\r\n"));
	CHECK(sip_body_find(m, STR("application"), STR("sdp"), &part));
	CHECK_STR(part, "v=0\r\n");
	CHECK(!sip_body_find(m, STR("text"), STR("plain"), &part));
	sip_msg_free(m);

	m = MSG(BODY("multipart/mixed;boundary=\"b1\"",
		     "preamble --b1\r\n--b1\r\n\r\nplain --b1\r\n--b1 \r\n"
		     "Content-Type:\r\n multipart/alternative; boundary=b2\r\n\r\n"
		     "--b2\r\nc: application/sdp\r\n\r\nv=0\r\ns=-\r\n--b2--\r\n"
		     "--b1\r\nContent-Type: text/empty\r\n\r\n\r\n--b1--\r\nepilogue"));
	CHECK(sip_body_find(m, STR("application"), STR("sdp"), &part));
	CHECK_STR(part, "v=0\r\ns=-");
	CHECK(sip_body_find(m, STR("text"), STR("plain"), &part)); /* the default type */
	CHECK_STR(part, "plain --b1");
	CHECK(sip_body_find(m, STR("text"), STR("empty"), &part));
	CHECK_EQ(part.n, 0);
	CHECK(!sip_body_find(m, STR("text"), STR("html"), &part));
	sip_msg_free(m);

	static const char *const broken[] = {
		BODY("multipart/mixed", "--b\r\nc: text/x\r\n\r\nx\r\n--b--"),
		BODY("multipart/mixed;boundary=", "--\r\nc: text/x\r\n\r\nx\r\n----"),
		BODY("multipart/mixed;boundary=b", "no delimiter"),
		BODY("multipart/mixed;boundary=b", "--b"),
		BODY("multipart/mixed;boundary=b", "--b--\r\nc: text/x\r\n\r\nx"),
		BODY("nonsense", "x"),
	};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		m = msg(str_c(broken[i]));
		CHECK(!sip_body_find(m, STR("text"), STR("x"), &part));
		sip_msg_free(m);
	}
	/* the closing delimiter was cut off: the part is what came */
	m = MSG(BODY("multipart/mixed;boundary=b", "--b\nc: text/x\n\nx"));
	CHECK(sip_body_find(m, STR("text"), STR("x"), &part));
	CHECK_STR(part, "x");
	sip_msg_free(m);
}

#define PART(head, body) "--b\r\n" head "\r\n" body "\r\n"
#define SDP_PART         PART("Content-Type: application/sdp\r\n", "v=0")
#define MIXED(parts)     BODY("multipart/mixed;boundary=b", parts "--b--\r\n")

/* What a user agent that knows SDP alone may take, and where it finds that. [RFC3261 20.11]
 * [RFC5621 4.2] */
TEST(bodies_that_are_known)
{
	static const struct {
		const char *text;
		bool is_known, has_sdp;
	} rows[] = {
		{REQ_START REQ_REST "\r\n",                  true,              false                  },
		{								 BODY("application/sdp",                                    "v=0"),              true,                    true},
		{								 BODY("text/plain",				      "x"),             false,                   false},
		{								 BODY("text/plain\r\nContent-Disposition: render;handling=optional",                                      "x"),              true,
		 false},
		{																		  BODY("text/plain\r\nContent-Disposition: render;handling=required",                                      "x"),             false,
		 false},
		{																		  BODY("application/sdp\r\nContent-Disposition: session;handling=required",                                    "v=0"),
		 true,									     true},
		{								 BODY("application/sdp\r\nContent-Disposition: early-session",                                    "v=0"),             false,
		 false},
		{																		  BODY("application/sdp\r\nContent-Disposition: early-session;handling=optional",
                 "v=0"),
		 true,									    false},
		{								 MIXED(SDP_PART),				      true,              true                       },
		{						     MIXED(PART("",				     "plain") SDP_PART),                                                  false,                        true},
		{        MIXED(PART("Content-Type: application/isup\r\nContent-Disposition: "
			    "signal;handling=required\r\n",				      "x") SDP_PART),
		 false,									  true},
		{        MIXED(PART("Content-Type: application/isup\r\nContent-Disposition: "
			    "signal;Handling=Optional\r\n",				       "x") SDP_PART),
		 true,									   true},
		{ MIXED(PART("Content-Type: application/sdp\r\nContent-Disposition: "
			    "early-session;handling=optional\r\n",				       "v=9") SDP_PART),
		 true,									   true},
		{             MIXED(PART("Content-Type: application/isup\r\nContent-Disposition: "
			    "x;handling=optional\r\n",				       "x")),
		 true,									  false},
		{			   BODY("multipart/alternative;boundary=b",
                 PART("Content-Type: application/newer\r\n",                                                          "x") SDP_PART "--b--\r\n"),
		 true, true},
		{																	     BODY("multipart/alternative;boundary=b",
                 PART("Content-Type: application/newer\r\n", "x") "--b--\r\n"),
		 false, false},
		{																	     BODY("multipart/related;boundary=b",
                 SDP_PART PART("Content-Type: image/x\r\n",                     "x") "--b--\r\n"),
		 true, true},
		{																		     BODY("multipart/related;boundary=b",
                 PART("Content-Type: image/x\r\n",                         "x") SDP_PART "--b--\r\n"),
		 false, true},
		{								     MIXED(PART("Content-Type: multipart/alternative;boundary=c\r\n",
                 "--c\r\nc: application/sdp\r\n\r\nv=0\r\n--c--")),
		 true,                true},
		{													BODY("multipart/mixed;boundary=b",                                      "no delimiter"),                                                       false,                               false},
		{BODY("multipart/mixed;boundary=b\r\nContent-Disposition: x;handling=optional",
                 "no delimiter"),
		 true,false},
		{																	  BODY("nonsense",				     "x"),						      false,											     false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str sdp;
		struct sip_msg *m = msg(str_c(rows[i].text));
		CHECK_EQ(sip_body_is_known(m), rows[i].is_known);
		CHECK_EQ(sip_msg_sdp(m, &sdp), rows[i].has_sdp);
		if (rows[i].has_sdp)
			CHECK_STR(sdp, "v=0");
		sip_msg_free(m);
	}
}

/* A message that nests forever ends the walk, not the stack. */
TEST(multipart_depth)
{
	struct buf b;
	struct str part;
	buf_init(&b);
	buf_str(&b, STR(REQ_START REQ_REST "Content-Type: multipart/mixed;boundary=b\r\n\r\n"));
	for (int i = 0; i < 1000; i++)
		buf_str(&b, STR("--b\r\nc: multipart/mixed;boundary=b\r\n\r\n"));
	CHECK_EQ(b.err, OK);
	struct sip_msg *m = msg(buf_view(&b));
	CHECK(!sip_body_find(m, STR("text"), STR("x"), &part));
	CHECK(!sip_body_is_known(m));
	sip_msg_free(m);
	buf_fini(&b);
}
