/* Bodies of several parts through the back-to-back user agent: passed whole, their SDP as each side
 * may see it. [RFC5621] [RFC3204] [RFC3892 4] */
#include "b2b_rig.h"

#include <stdio.h>

#define PARTS "Content-Type: multipart/mixed;boundary=b\nMIME-Version: 1.0\n"
#define OTHER                                                                                      \
	"--b\nContent-Type: application/isup;version=itu\nContent-Disposition: signal\n\nIAM\n"
#define SDP_AT "--b\nContent-Type: application/sdp\n\n"

/* A body of parts with a new description of that peer. */
static const char *parts(struct rig *g, struct raw *r)
{
	static char mem[2][900];
	static unsigned at;
	char *p = mem[at++ % 2];
	snprintf(p, sizeof(mem[0]), OTHER SDP_AT "%s\n--b--\n", rig_sdp(g, r, NULL));
	return p;
}

static void check_parts(const struct raw_msg *m, const char *origin)
{
	CHECK_STR(raw_header(m, "Content-Type", 0), "multipart/mixed;boundary=b");
	CHECK_EQ(raw_count(m, "Content-Type"), 1);
	CHECK_STR(raw_header(m, "MIME-Version", 0), "1.0");
	CHECK(str_starts(raw_body(m), STR("--b\r\nContent-Type: application/isup;version=itu\r\n"
					  "Content-Disposition: signal\r\n\r\nIAM\r\n--b\r\n"
					  "Content-Type: application/sdp\r\n\r\nv=0\r\n")));
	CHECK(raw_has(m, origin));
	CHECK(str_ends(raw_body(m), STR("\r\n--b--\r\n")));
}

static void parts_call(struct rig *g, const char *lines, const char *body, struct rig_end *a)
{
	*a = (struct rig_end){.r = g->a};
	a->q = (struct raw_req){
		.method = "INVITE", .uri = "sip:1002@" STAGE_SERVER, .extra = lines, .body = body};
	raw_ask(g->a, 0, &a->q);
}

TEST_NO_OOM(parts_pass_whole)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	parts_call(g, PARTS, parts(g, g->a), &a);
	rig_ring(g, g->b, &b);
	check_parts(b.invite, "\r\no=a 77 1 IN IP4 10.0.0.21\r\n");
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, PARTS, parts(g, g->b));
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 200", 2));
	check_parts(a.answer, "\r\no=b 77 1 IN IP4 10.0.0.22\r\n");
	rig_ack(&a, &a.q, NULL, NULL);
	raw_get(g->b, "ACK ", 2);
	/* a change, from either side, answered with SDP alone */
	struct raw_req q = rig_ask(&b, "INVITE", PARTS, parts(g, g->b));
	struct raw_msg *m = raw_get(g->a, "INVITE ", 2);
	check_parts(m, "\r\no=b 77 2 IN IP4 10.0.0.22\r\n");
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	raw_get(g->a, "ACK ", 2);
	m = raw_get(g->b, "SIP/2.0 200", 2);
	CHECK_STR(raw_header(m, "Content-Type", 0), "application/sdp");
	CHECK(raw_has(m, "o=a 77 2 "));
	rig_ack(&b, &q, NULL, NULL);
	/* of another party: in the image of the first */
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	rig_reply(g->b, raw_get(g->b, "NOTIFY ", 2), "200 OK");
	rig_ring(g, g->d, &d);
	raw_reply(g->d, d.invite, "200 OK", d.q.tag, PARTS, parts(g, g->d));
	m = raw_get(g->a, "INVITE ", 2);
	check_parts(m, "\r\no=b 77 3 IN IP4 10.0.0.22\r\n");
	raw_reply(g->a, m, "200 OK", NULL, PARTS, parts(g, g->a));
	raw_get(g->a, "ACK ", 2);
	check_parts(raw_get(g->d, "ACK ", 2), "\r\no=a 77 3 IN IP4 10.0.0.21\r\n");
	rig_reply(g->b, raw_get(g->b, "NOTIFY ", 2), "200 OK");
	rig_ask(&b, "BYE", NULL, NULL);
	raw_get(g->b, "SIP/2.0 200", 2);
	rig_bye(g, &a, &d);
	rig_free(g);
}

/* Without SDP: what may be passed over is, what may not is refused */
TEST_NO_OOM(parts_without_sdp)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	parts_call(g, PARTS, OTHER "--b--\n", &a);
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 415", 2);
	CHECK(raw_has(m, "\"1010 "));
	raw_ack(g->a, 0, &a.q, m);
	parts_call(g, "Content-Type: text/x\nContent-Disposition: render;handling=optional\n",
		   "x\n", &a);
	rig_ring(g, g->b, &b);
	CHECK_EQ(raw_body(b.invite).n, 0);
	raw_reply(g->b, b.invite, "603 Decline", "t", NULL, NULL);
	raw_ack(g->a, 0, &a.q, raw_get(g->a, "SIP/2.0 603", 2));
	rig_free(g);
}

/* Nobody can give a body for header lines: it has to begin with what only the exchange knows */
TEST_NO_OOM(sdp_that_looks_like_headers)
{
	static const char evil[] = "Content-Type: application/sdp\nX-Evil: 1\n\nv=0\n";
	struct rig *g = rig_new();
	struct rig_end a, b;
	parts_call(g, RIG_SDP, evil, &a);
	rig_ring(g, g->b, &b);
	CHECK_EQ(raw_count(b.invite, "X-Evil"), 0);
	CHECK_EQ(raw_count(b.invite, "Content-Type"), 1);
	raw_reply(g->b, b.invite, "488 Not Acceptable Here", "t", NULL, NULL);
	raw_ack(g->a, 0, &a.q, raw_get(g->a, "SIP/2.0 488", 2));
	rig_free(g);
}

/* The refresh of a session says its SDP again and nothing else [RFC4028 7.4] */
TEST_NO_OOM(parts_are_said_once)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	parts_call(g, PARTS, parts(g, g->a), &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, PARTS "Session-Expires: 200;refresher=uac\n",
		  parts(g, g->b));
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 200", 2));
	rig_ack(&a, &a.q, NULL, NULL);
	raw_get(g->b, "ACK ", 2);
	struct raw_msg *m = raw_get(g->b, "INVITE ", 150);
	CHECK_STR(raw_header(m, "Content-Type", 0), "application/sdp");
	CHECK(str_starts(raw_body(m), STR("v=0\r\no=a 77 1 ")));
	raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->b, NULL));
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* The signed part that Referred-By names goes along with it [RFC3892 4] */
TEST_NO_OOM(referred_by_token)
{
	static const char token[] = "--b\nContent-Type: message/sipfrag\nContent-ID: <t@x>\n"
				    "Content-Disposition: aib;handling=optional\n\n"
				    "Refer-To: <sip:1003@x>\n--b--\n";
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER",
		"Refer-To: <sip:1003@" STAGE_SERVER ">\nReferred-By: <sip:b@x>;cid=\"t@x\"\n" PARTS,
		token);
	rig_reply(g->b, raw_get(g->b, "NOTIFY ", 2), "200 OK");
	rig_ring(g, g->d, &d);
	CHECK_STR(raw_header(d.invite, "Referred-By", 0), "<sip:b@x>;cid=\"t@x\"");
	CHECK_STR(raw_header(d.invite, "Content-Type", 0), "multipart/mixed;boundary=b");
	CHECK(raw_has(d.invite, "\r\nContent-ID: <t@x>\r\n"));
	CHECK(str_ends(raw_body(d.invite), STR("Refer-To: <sip:1003@x>\r\n--b--\r\n")));
	raw_reply(g->d, d.invite, "486 Busy Here", d.q.tag, NULL, NULL);
	rig_reply(g->b, raw_get(g->b, "NOTIFY ", 2), "200 OK");
	rig_bye(g, &a, &b);
	rig_free(g);
}
