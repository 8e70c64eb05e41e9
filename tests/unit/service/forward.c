/* What a proxy changes in a request and in a response, and what it leaves. [RFC3261 16.6, 16.7]
 * [RFC5393 4.2] */
#include "service/forward.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_us(void *ctx, const struct sip_uri *uri)
{
	return str_eq(uri->host, STR("192.0.2.1"));
}

static const struct rt_self self = {.key = "0123456789abcde", .is_us = is_us};

#define INVITE                                                                                     \
	"INVITE sip:b@192.0.2.1 SIP/2.0\r\n"                                                       \
	"Via: SIP/2.0/UDP 10.1.1.7:5060;rport;branch=z9hG4bK1\r\n"                                 \
	"Route: <sip:192.0.2.1;lr>\r\n"                                                            \
	"Max-Forwards: 70\r\n"                                                                     \
	"From: <sip:a@192.0.2.1>;tag=t1\r\n"                                                       \
	"To: <sip:b@192.0.2.1>\r\n"                                                                \
	"Call-ID: c1\r\n"                                                                          \
	"CSeq: 1 INVITE\r\n"                                                                       \
	"P-Asserted-Identity: <sip:boss@192.0.2.1>\r\n"                                            \
	"Proxy-Authorization: Digest username=\"a\", realm=\"ours\", nonce=\"n\", "                \
	"uri=\"sip:b@192.0.2.1\", response=\"r\"\r\n"                                              \
	"Proxy-Authorization: Digest username=\"a\", realm=\"theirs\", nonce=\"n\", "              \
	"uri=\"sip:b@192.0.2.1\", response=\"r\"\r\n"                                              \
	"X-Unknown:  kept,  as it is \r\n"                                                         \
	"Content-Length: 0\r\n\r\n"

struct fixture {
	struct tp_rx rx;
	struct rt_plan route;
	struct fwd_plan plan;
	struct fwd_target target;
	struct buf out;
};

static void open_fixture(struct fixture *f, struct str text)
{
	enum err e;
	memset(f, 0, sizeof(*f));
	f->rx.msg = sip_msg_from(text, &e);
	CHECK(f->rx.msg);
	CHECK_EQ(e, OK);
	CHECK(addr_parse(STR("198.51.100.7:41000"), 0, &f->rx.from));
	CHECK(addr_parse(STR("192.0.2.1:5060"), 0, &f->rx.to));
	e = rt_plan_make(&self, f->rx.msg, &f->route);
	CHECK_EQ(e, OK);
	f->plan = (struct fwd_plan){.rx = &f->rx,
				    .self = &self,
				    .route = &f->route,
				    .realm = STR("ours"),
				    .breadth = 60};
	f->target.ruri = STR("sip:b@203.0.113.9:5062");
	buf_init(&f->out);
}

static void close_fixture(struct fixture *f)
{
	sip_msg_free(f->rx.msg);
	buf_fini(&f->out);
}

static bool has(const struct fixture *f, const char *text)
{
	return str_find(buf_view(&f->out), str_c(text)) != SIZE_MAX;
}

static void compose(struct fixture *f)
{
	struct tp_dst dst = {0};
	enum err e = fwd_compose(&f->plan, &f->target,
				 STR("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours\r\n"), &dst,
				 &f->out);
	CHECK_EQ(e, OK);
}

TEST(request_is_edited_where_it_must_be)
{
	struct fixture f;
	open_fixture(&f, STR(INVITE));
	compose(&f);
	CHECK(str_starts(buf_view(&f.out), STR("INVITE sip:b@203.0.113.9:5062 SIP/2.0\r\nVia: "
					       "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours;lp=")));
	CHECK(has(&f, "Via: SIP/2.0/UDP "
		      "10.1.1.7:5060;branch=z9hG4bK1;received=198.51.100.7;rport=41000\r\n"));
	CHECK(!has(&f, "Route:"));
	CHECK(has(&f, "Max-Forwards: 69\r\n"));
	CHECK(has(&f, "Max-Breadth: 60\r\n"));
	CHECK(!has(&f, "realm=\"ours\""));
	CHECK(has(&f, "realm=\"theirs\""));
	CHECK(!has(&f, "P-Asserted-Identity"));
	CHECK(has(&f, "X-Unknown:  kept,  as it is \r\n"));
	close_fixture(&f);
}

TEST(a_trusted_identity_stays)
{
	struct fixture f;
	open_fixture(&f, STR(INVITE));
	f.plan.is_trusted = true;
	compose(&f);
	CHECK(has(&f, "P-Asserted-Identity: <sip:boss@192.0.2.1>\r\n"));
	close_fixture(&f);
}

TEST(a_path_becomes_the_route)
{
	struct fixture f;
	open_fixture(&f, STR(INVITE));
	f.target.path = STR("<sip:edge.example.com;lr>");
	compose(&f);
	CHECK(has(&f, "\r\nRoute: <sip:edge.example.com;lr>\r\n"));
	CHECK(!has(&f, "<sip:192.0.2.1;lr>"));
	close_fixture(&f);
}

TEST(what_lacks_max_forwards_and_length_gets_them)
{
	struct fixture f;
	open_fixture(&f, STR("MESSAGE sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
			     "198.51.100.7;branch=z9hG4bK1\r\n"
			     "From: <sip:a@192.0.2.1>;tag=t1\r\nTo: <sip:b@192.0.2.1>\r\nCall-ID: "
			     "c1\r\nCSeq: 1 MESSAGE\r\n\r\nhello"));
	compose(&f);
	CHECK(has(&f, "Max-Forwards: 70\r\n"));
	CHECK(has(&f, "Content-Length: 5\r\n"));
	CHECK(has(&f,
		  "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\n")); /* same address, no rport
									    asked: nothing added */
	CHECK(str_ends(buf_view(&f.out), STR("\r\n\r\nhello")));
	close_fixture(&f);
}

TEST(a_strict_router_gets_itself_as_request_uri)
{
	struct fixture f;
	open_fixture(
		&f,
		STR("BYE sip:b@203.0.113.9 SIP/2.0\r\nVia: SIP/2.0/UDP "
		    "198.51.100.7;branch=z9hG4bK1\r\nMax-Forwards: 9\r\n"
		    "Route: <sip:192.0.2.1;lr>, <sip:old.example.com>, "
		    "<sip:next.example.com;lr>\r\n"
		    "From: <sip:a@192.0.2.1>;tag=t1\r\nTo: <sip:b@192.0.2.1>;tag=t2\r\nCall-ID: "
		    "c1\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n"));
	f.target.ruri = STR_NONE;
	compose(&f);
	CHECK(str_starts(buf_view(&f.out), STR("BYE sip:old.example.com SIP/2.0\r\n")));
	CHECK(has(&f, "Route: <sip:next.example.com;lr>\r\n"));
	CHECK(has(&f, "Route: <sip:b@203.0.113.9>\r\n"));
	close_fixture(&f);
}

TEST(a_loop_is_seen_and_a_spiral_is_none)
{
	struct fixture f;
	open_fixture(&f, STR(INVITE));
	CHECK(!fwd_is_loop(&self, f.rx.msg));
	f.target.ruri = f.rx.msg->ruri; /* goes on unchanged, and comes back so */
	compose(&f);
	enum err e;
	struct sip_msg *again = sip_msg_from(buf_view(&f.out), &e);
	CHECK(again);
	CHECK(!fwd_is_loop(&self, again)); /* the Route is gone: it was not the same yet */
	struct fixture g;
	open_fixture(&g, buf_view(&f.out));
	g.target.ruri = g.rx.msg->ruri;
	compose(&g);
	struct sip_msg *third = sip_msg_from(buf_view(&g.out), &e);
	CHECK(third);
	CHECK(fwd_is_loop(&self, third));
	struct fixture h; /* the same with another request-URI */
	open_fixture(&h, buf_view(&g.out));
	h.target.ruri = STR("sip:c@192.0.2.1");
	compose(&h);
	struct sip_msg *spiral = sip_msg_from(buf_view(&h.out), &e);
	CHECK(spiral);
	CHECK(!fwd_is_loop(&self, spiral));
	sip_msg_free(again);
	sip_msg_free(third);
	sip_msg_free(spiral);
	close_fixture(&f);
	close_fixture(&g);
	close_fixture(&h);
}

/* [RFC3261 16.6 step 8] */
TEST(loops_do_not_depend_on_the_method)
{
	struct fixture f, g;
	char text[2048];
	open_fixture(&f, STR(INVITE));
	CHECK(str_copy(text, sizeof(text), STR(INVITE)));
	memcpy(strstr(text, "1 INVITE"), "1 CANCEL", 8);
	memcpy(text, "CANCEL", 6);
	open_fixture(&g, str_c(text));
	CHECK_EQ(g.rx.msg->method, SIP_CANCEL);
	CHECK_EQ(fwd_loop_hash(&self, f.rx.msg), fwd_loop_hash(&self, g.rx.msg));
	close_fixture(&f);
	close_fixture(&g);
}

TEST(a_response_goes_back_without_our_via)
{
	enum err e;
	struct buf out;
	struct sip_msg *m =
		sip_msg_from(STR("SIP/2.0 407 Proxy Authentication Required\r\n"
				 "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours, SIP/2.0/UDP "
				 "10.1.1.7;branch=z9hG4bK1\r\n"
				 "From: <sip:a@192.0.2.1>;tag=t1\r\nTo: "
				 "<sip:b@192.0.2.1>;tag=x\r\nCall-ID: c1\r\n"
				 "CSeq: 1 INVITE\r\nProxy-Authenticate: Digest realm=\"one\", "
				 "nonce=\"1\"\r\nWWW-Authenticate: Digest  x=y ,realm=r\r\n"
				 "Authentication-Info: nextnonce=\"n\" \r\n"
				 "Content-Length: 0\r\n\r\n"),
			     &e);
	struct sip_msg *o =
		sip_msg_from(STR("SIP/2.0 407 Proxy Authentication Required\r\n"
				 "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours2\r\n"
				 "From: <sip:a@192.0.2.1>;tag=t1\r\nTo: "
				 "<sip:b@192.0.2.1>;tag=y\r\nCall-ID: c1\r\n"
				 "CSeq: 1 INVITE\r\nProxy-Authenticate: Digest realm=\"two\", "
				 "nonce=\"2\"\r\nContent-Length: 0\r\n\r\n"),
			     &e);
	CHECK(m && o);
	struct tp_rx a = {.msg = m}, b = {.msg = o};
	struct tp_rx *both[] = {&a, &b};
	buf_init(&out);
	e = fwd_response(m, both, 2, NULL, &out);
	CHECK_EQ(e, OK);
	CHECK(str_find(buf_view(&out), STR("z9hG4bKours")) == SIZE_MAX);
	CHECK(str_find(buf_view(&out), STR("Via: SIP/2.0/UDP 10.1.1.7;branch=z9hG4bK1\r\n")) !=
	      SIZE_MAX);
	CHECK(str_find(buf_view(&out), STR("realm=\"one\"")) != SIZE_MAX);
	/* what servers say is none of our business [RFC7616 3.6] */
	CHECK(str_find(buf_view(&out), STR("\r\nWWW-Authenticate: Digest  x=y ,realm=r\r\n"
					   "Authentication-Info: nextnonce=\"n\" \r\n")) !=
	      SIZE_MAX);
	CHECK(str_find(buf_view(&out), STR("realm=\"two\"")) != SIZE_MAX);
	sip_msg_free(m);
	sip_msg_free(o);
	buf_fini(&out);
}
