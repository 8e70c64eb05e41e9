/* Tokens and route plans. [RFC3261 16.4, 16.12] */
#include "service/route.h"

#include "test.h"

#include <stdio.h>

static bool is_us(void *ctx, const struct sip_uri *uri)
{
	return str_eq(uri->host, STR("192.0.2.1"));
}

static const struct rt_self self = {.key = "0123456789abcde", .is_us = is_us};

static struct rt_token token(void)
{
	struct rt_token t = {.caller_hash = rt_tag_hash(&self, STR("a-tag"))};
	t.caller.is_set = true;
	t.caller.dst =
		(struct tp_dst){.proto = TP_TCP, .flow = 0x1122334455667788, .is_fixed = true};
	CHECK(addr_parse(STR("[2001:db8::5]:5062"), 0, &t.caller.dst.to));
	t.callee.is_set = true;
	t.callee.dst = (struct tp_dst){.proto = TP_UDP, .is_fixed = true};
	CHECK(addr_parse(STR("192.0.2.9:5070"), 0, &t.callee.dst.to));
	return t;
}

TEST(token_comes_back_as_it_was)
{
	char text[RT_TOKEN_MAX];
	struct rt_token t = token(), back;
	struct str s = rt_token_put(&self, STR("call-1"), &t, text);
	CHECK(s.n < RT_TOKEN_MAX);
	CHECK(rt_token_read(&self, STR("call-1"), s, &back));
	CHECK_EQ(back.caller_hash, t.caller_hash);
	CHECK(back.caller.is_set && back.callee.is_set);
	CHECK_EQ(back.caller.dst.proto, TP_TCP);
	CHECK(back.caller.dst.flow == t.caller.dst.flow);
	CHECK(addr_eq(&back.caller.dst.to, &t.caller.dst.to));
	CHECK(addr_eq(&back.callee.dst.to, &t.callee.dst.to));
	CHECK(back.callee.dst.is_fixed);
}

TEST(token_of_another_call_or_changed_is_refused)
{
	char text[RT_TOKEN_MAX];
	struct rt_token t = token(), back;
	struct str s = rt_token_put(&self, STR("call-1"), &t, text);
	CHECK(!rt_token_read(&self, STR("call-2"), s, &back));
	for (size_t i = 0; i < s.n; i++) {
		char c = text[i];
		text[i] = c == 'A' ? 'B' : 'A';
		if (i + 1 < s.n) /* the last character has unused bits */
			CHECK(!rt_token_read(&self, STR("call-1"), s, &back));
		text[i] = c;
	}
	for (size_t n = 0; n + 1 < s.n; n++)
		CHECK(!rt_token_read(&self, STR("call-1"), str_of(text, n), &back));
	struct rt_self other = self;
	other.key[3] ^= 1;
	CHECK(!rt_token_read(&other, STR("call-1"), s, &back));
}

static struct sip_msg *request(const char *ruri, const char *routes)
{
	char mem[2048];
	int n = snprintf(mem, sizeof(mem),
			 "BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP "
			 "192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n%s"
			 "From: <sip:a@192.0.2.1>;tag=a-tag\r\nTo: "
			 "<sip:b@192.0.2.1>;tag=b-tag\r\nCall-ID: call-1\r\nCSeq: 2 BYE\r\n\r\n",
			 ruri, routes);
	enum err e;
	struct sip_msg *m = sip_msg_from(str_of(mem, (size_t)n), &e);
	CHECK(m);
	CHECK_EQ(e, OK);
	return m;
}

TEST(own_routes_are_counted_and_the_next_is_named)
{
	struct rt_plan p;
	struct sip_msg *m =
		request("sip:b@192.0.2.9",
			"Route: <sip:192.0.2.1;lr>, <sip:192.0.2.1:5061;transport=tcp;lr>\r\n"
			"Route: <sip:192.0.2.55;lr>\r\n");
	enum err e = rt_plan_make(&self, m, &p);
	CHECK_EQ(e, OK);
	CHECK_EQ(p.n_own, 2);
	CHECK_STR(p.next, "sip:192.0.2.55;lr");
	CHECK(!p.is_next_strict);
	CHECK(!p.has_token);
	sip_msg_free(m);
}

/* A name of ours that is forgotten: what we wrote there proves itself. */
TEST(a_token_makes_a_route_ours)
{
	char text[RT_TOKEN_MAX], routes[400];
	struct rt_token t = token();
	static const struct {
		const char *call_id;
		bool is_ours;
	} rows[] = {
		{"call-1", true },
                {"call-2", false},
                {"path\n", true }
        };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rt_plan p;
		struct str s = rt_token_put(&self, str_c(rows[i].call_id), &t, text);
		snprintf(routes, sizeof(routes),
			 "Route: <sip:" STR_FMT "@old.example.com;lr>, <sip:192.0.2.55;lr>\r\n",
			 STR_ARG(s));
		struct sip_msg *m = request("sip:b@192.0.2.9", routes);
		CHECK_EQ(rt_plan_make(&self, m, &p), OK);
		CHECK_EQ(p.n_own, rows[i].is_ours);
		CHECK_EQ(p.has_token || p.has_path, rows[i].is_ours);
		sip_msg_free(m);
	}
}

TEST(a_route_after_a_foreign_one_is_not_ours_to_remove)
{
	struct rt_plan p;
	struct sip_msg *m =
		request("sip:b@192.0.2.9", "Route: <sip:192.0.2.55>, <sip:192.0.2.1;lr>\r\n");
	enum err e = rt_plan_make(&self, m, &p);
	CHECK_EQ(e, OK);
	CHECK_EQ(p.n_own, 0);
	CHECK(p.is_next_strict);
	sip_msg_free(m);
}

static void check_side(const char *from_tag, bool is_callee)
{
	char text[RT_TOKEN_MAX], routes[400];
	struct rt_token t = token();
	t.caller_hash = rt_tag_hash(&self, str_c(from_tag));
	struct str s = rt_token_put(&self, STR("call-1"), &t, text);
	snprintf(routes, sizeof(routes), "Route: <sip:" STR_FMT "@192.0.2.1;lr>\r\n", STR_ARG(s));
	struct rt_plan p;
	struct sip_msg *m = request("sip:b@10.0.0.9", routes);
	enum err e = rt_plan_make(&self, m, &p);
	CHECK_EQ(e, OK);
	CHECK(p.has_token);
	const struct rt_side *side = rt_plan_side(&self, m, &p);
	CHECK(side);
	CHECK_EQ(side->dst.proto, is_callee ? TP_UDP : TP_TCP);
	sip_msg_free(m);
}

TEST(a_token_tells_the_direction_by_the_tag)
{
	check_side("a-tag", true);      /* the message's From tag: it comes from the caller */
	check_side("other-tag", false); /* the caller had another: it comes from the callee */
}

TEST(a_strict_router_is_undone)
{
	char text[RT_TOKEN_MAX], ruri[300];
	struct rt_token t = token();
	struct str s = rt_token_put(&self, STR("call-1"), &t, text);
	snprintf(ruri, sizeof(ruri), "sip:" STR_FMT "@192.0.2.1;lr", STR_ARG(s));
	struct rt_plan p;
	struct sip_msg *m = request(ruri, "Route: <sip:192.0.2.55;lr>, <sip:b@192.0.2.9>\r\n");
	enum err e = rt_plan_make(&self, m, &p);
	CHECK_EQ(e, OK);
	CHECK(p.is_strict_ruri && p.has_token);
	CHECK_STR(p.ruri, "sip:b@192.0.2.9");
	CHECK_STR(p.next, "sip:192.0.2.55;lr");
	sip_msg_free(m);
	m = request("sip:nobody@192.0.2.1;lr",
		    "Route: <sip:b@192.0.2.9>\r\n"); /* no token: an address of record, not a
							router's work */
	e = rt_plan_make(&self, m, &p);
	CHECK_EQ(e, OK);
	CHECK(!p.is_strict_ruri);
	CHECK_STR(p.ruri, "sip:nobody@192.0.2.1;lr");
	sip_msg_free(m);
}
