/* What crosses from one side of a call to the other: header fields by table and rules, SDP with the
 * o= line of one session. */
#include "service/b2b_priv.h"
#include "test.h"

#include <stdlib.h>

static struct sip_msg *invite(const char *lines)
{
	char text[2048];
	struct buf b;
	enum err e;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b,
		"INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
		"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
		"Contact: <sip:a@10.0.0.1>\r\nUser-Agent: A\r\n%sContent-Length: 0\r\n\r\n",
		lines);
	struct sip_msg *m = sip_msg_from(buf_view(&b), &e);
	CHECK(m);
	return m;
}

static void check(const char *lines, const struct b2b_way *way, const char *passed)
{
	struct sip_msg *m = invite(lines);
	char text[2048];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	b2b_put_request(&b, m, way);
	CHECK_STR_EQ(buf_view(&b), str_c(passed));
	sip_msg_free(m);
}

TEST(headers_by_the_table)
{
	struct b2b_way way = {.realm = STR("r")};
	check("Subject: s\r\nX-Own: 1\r\nRecord-Route: <sip:p;lr>\r\nalert-info: <u>\r\n", &way,
	      "Subject: s\r\nAlert-Info: <u>\r\n");
	check("Authorization: Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", "
	      "response=\"1\"\r\n",
	      &way, "");
	check("Privacy: user\r\nSubject: s\r\n", &way, "Privacy: user\r\n");
}

/* [RFC3326 2] [RFC9366 3] */
TEST(one_reason_of_each_protocol)
{
	struct b2b_way way = {.realm = STR("r")};
	check("Reason: SIP;cause=302\r\nSubject: s\r\nReason: sip;cause=486, Q.850;cause=17\r\n",
	      &way, "Reason: SIP;cause=302, Q.850;cause=17\r\nSubject: s\r\n");
	check("Reason: STIR;cause=436\r\nReason: STIR;cause=437\r\n", &way,
	      "Reason: STIR;cause=436, STIR;cause=437\r\n");
}

/* [RFC3325 5] */
TEST(asserted_identity)
{
	static const char line[] = "P-Asserted-Identity: <sip:a@x>\r\n";
	static const char hidden[] = "P-Asserted-Identity: <sip:a@x>\r\nPrivacy: id\r\n";
	check(line, &(struct b2b_way){0}, "");
	check(line, &(struct b2b_way){.is_trusted = true}, line);
	check(hidden, &(struct b2b_way){.is_trusted = true}, "Privacy: id\r\n");
	check(hidden, &(struct b2b_way){.is_trusted = true, .is_next_trusted = true}, hidden);
}

TEST(headers_by_rules)
{
	struct fwd_headers h = {.pass = STR("Date, x-own"),
				.remove = STR("Subject"),
				.lines = STR("X-Route: 7\r\n")};
	struct b2b_way way = {.headers = &h, .is_trusted = true};
	check("Subject: s\r\nX-Own: 1\r\nX-Other: 2\r\n", &way, "X-Own: 1\r\nX-Route: 7\r\n");
	h = (struct fwd_headers){.diversion = STR("Diversion: <sip:n@x>\r\n"),
				 .asserted = STR("P-Asserted-Identity: <sip:1@x>\r\n")};
	check("P-Asserted-Identity: <sip:a@x>\r\nDiversion: <sip:o@x>\r\n", &way,
	      "Diversion: <sip:n@x>\r\nP-Asserted-Identity: <sip:1@x>\r\nDiversion: <sip:o@x>\r\n");
}

struct side {
	struct b2b b;
	struct b2b_call c;
	struct b2b_leg l;
};

static void side_init(struct side *s)
{
	*s = (struct side){0};
	buf_init(&s->b.sdp);
	s->c.b = &s->b;
	s->l.call = &s->c;
}

static void side_fini(struct side *s)
{
	buf_fini(&s->b.sdp);
	free(s->l.origin.line);
}

static void say(struct side *s, const char *in, const char *out)
{
	CHECK_STR_EQ(b2b_sdp_for(&s->l, str_c(in)), str_c(out));
}

/* [RFC3264 8] */
TEST(one_origin_for_each_side)
{
	struct side s;
	side_init(&s);
	say(&s, "v=0\r\no=a 1 5 IN IP4 h\r\ns=-\r\n", "v=0\r\no=a 1 5 IN IP4 h\r\ns=-\r\n");
	say(&s, "v=0\r\no=a 1 6 IN IP4 h\r\ns=x\r\n", "v=0\r\no=a 1 6 IN IP4 h\r\ns=x\r\n");
	/* another writer: what changes counts on, what does not stays */
	say(&s, "v=0\r\no=b 9 1 IN IP6 k\r\ns=y\r\n", "v=0\r\no=a 1 7 IN IP4 h\r\ns=y\r\n");
	say(&s, "v=0\r\no=b 9 2 IN IP6 k\r\ns=y\r\n", "v=0\r\no=a 1 7 IN IP4 h\r\ns=y\r\n");
	/* the first one again, whose own number is behind by now */
	say(&s, "v=0\r\no=a 1 6 IN IP4 h\r\ns=x\r\n", "v=0\r\no=a 1 8 IN IP4 h\r\ns=x\r\n");
	/* bare line ends, and what is no description */
	say(&s, "v=0\no=c 1 1 IN IP4 q\ns=z\n", "v=0\no=a 1 9 IN IP4 h\ns=z\n");
	say(&s, "nonsense", "nonsense");
	say(&s, "v=0\r\no= 1 1 IN IP4 q\r\n", "v=0\r\no= 1 1 IN IP4 q\r\n");
	say(&s, "v=0\r\no=broken\r\ns=-\r\n", "v=0\r\no=broken\r\ns=-\r\n");
	side_fini(&s);
}

/* Of a user name with spaces the last word is left. [RFC8866 5.2] */
TEST(no_space_in_the_user_name)
{
	struct side s;
	side_init(&s);
	say(&s, "v=0\r\no=John  Doe 1 5 IN IP4 h\r\ns=-\r\n",
	    "v=0\r\no=Doe 1 5 IN IP4 h\r\ns=-\r\n");
	say(&s, "v=0\r\no=John  Doe 1 6 IN IP4 h\r\ns=x\r\n",
	    "v=0\r\no=Doe 1 6 IN IP4 h\r\ns=x\r\n");
	side_fini(&s);
}
