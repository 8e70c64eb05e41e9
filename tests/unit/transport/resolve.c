/* URIs to targets, over the table of names. [RFC3263 4] */

#include "rig.h"

#include <string.h>

static struct world *w;
static struct node *n;

static struct {
	unsigned calls;
	enum err e;
	struct tp_targets t;
} result;

static void begin(const char *ips, const char *udp, const char *tcp)
{
	w = world_new(false);
	n = node_new(w, ips, 1, NULL);
	if (udp)
		node_listen(n, TP_UDP, udp);
	if (tcp)
		node_listen(n, TP_TCP, tcp);
	memset(&result, 0, sizeof(result));
}

static void add(const char *name, const char *ip, uint32_t ttl_s)
{
	struct addr x = at(ip);
	CHECK(tp_dns(n->tp[0]));
	CHECK_EQ(dns_table_add(tp_dns(n->tp[0]), str_c(name), &x, ttl_s), OK);
}

static void on_result(void *ctx, enum err e, const struct tp_targets *t)
{
	CHECK(ctx == w);
	result.calls++;
	result.e = e;
	if (t)
		result.t = *t;
}

static enum err ask(const char *uri, struct tp_targets *now, struct tp_resolve **running)
{
	struct sip_uri u;
	enum err e = sip_uri_parse(str_c(uri), &u);
	if (e != OK && e != ERR_UNSUPPORTED)
		test_fail(__FILE__, __LINE__, "not a URI: %s", uri);
	return tp_resolve_uri(n->tp[0], &u, now, on_result, w, running);
}

static enum err resolve(const char *uri, struct tp_targets *t)
{
	struct tp_resolve *running;
	enum err e = ask(uri, t, &running);
	if (e != ERR_MORE)
		return e;
	result.calls = 0;
	WAIT(w, result.calls == 1);
	*t = result.t;
	return result.e;
}

TEST(resolve_numeric)
{
	struct tp_targets t;
	static const struct {
		const char *uri;
		enum err e;
		const char *to;
		enum tp_proto proto;
		bool is_fixed;
	} cases[] = {
		{"sip:10.0.0.9",                        OK,              "10.0.0.9:5060",      TP_UDP, false},
		{"sip:bob@10.0.0.9:5099",               OK,              "10.0.0.9:5099",      TP_UDP, false},
		{"sip:10.0.0.9;transport=tcp",          OK,              "10.0.0.9:5060",      TP_TCP, true },
		{"sip:10.0.0.9;transport=UDP",          OK,              "10.0.0.9:5060",      TP_UDP, true },
		{"sip:[2001:db8::9]:5061",              OK,              "[2001:db8::9]:5061", TP_TCP, false},
		{"sip:[2001:db8::9];transport=udp",     ERR_UNSUPPORTED, NULL,                 TP_UDP, true },
		{"sip:example.com;maddr=10.0.0.8:;lr",  ERR_NOTFOUND,    NULL,                 TP_UDP, false},
		{"sip:example.com;maddr=10.0.0.8;lr",   OK,              "10.0.0.8:5060",      TP_UDP, false},
		{"sip:example.com:5070;maddr=10.0.0.8", OK,              "10.0.0.8:5070",      TP_UDP, false},
		{"sips:10.0.0.9",                       ERR_UNSUPPORTED, NULL,                 TP_UDP, false},
		{"tel:+15551234",                       ERR_UNSUPPORTED, NULL,                 TP_UDP, false},
		{"sip:10.0.0.9;transport=sctp",         ERR_UNSUPPORTED, NULL,                 TP_UDP, false},
		{"sip:10.0.0.9;transport=tls",          ERR_UNSUPPORTED, NULL,                 TP_UDP, false},
		{"sip:10.0.0.9;transport=ws",           ERR_UNSUPPORTED, NULL,                 TP_UDP, false},
		{"sip:0.0.0.0",                         ERR_UNSUPPORTED, NULL,                 TP_UDP, false},
		{"sip:224.0.1.75",                      ERR_UNSUPPORTED, NULL,                 TP_UDP, false},
		{"sip:[ff02::1]",                       ERR_UNSUPPORTED, NULL,                 TP_UDP, false},
		{"sip:localhost:5070",                  OK,              "127.0.0.1:5070",     TP_UDP, false},
	};
	begin("10.0.0.1,2001:db8::1", "10.0.0.1:5060", NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err e = resolve(cases[i].uri, &t);
		if (e != cases[i].e)
			test_fail(__FILE__, __LINE__, "%s: %s", cases[i].uri, err_text(e));
		if (e != OK)
			continue;
		struct addr to = at(cases[i].to);
		CHECK_EQ(t.n, 1);
		CHECK(addr_eq(&t.dst[0].to, &to));
		CHECK_EQ(t.dst[0].proto, cases[i].proto);
		CHECK_EQ(t.dst[0].is_fixed, cases[i].is_fixed);
		CHECK(t.dst[0].flow == 0 && t.dst[0].from.family == ADDR_NONE);
	}
	world_free(w);
}

/* Both families take turns, IPv6 first; then the answer comes from the cache. [RFC7984 4] */
TEST(resolve_name_of_both_families)
{
	struct tp_targets t;
	static const char *const want[] = {"[2001:db8::5]:5060", "10.0.0.5:5060", "10.0.0.6:5060",
					   "10.0.0.7:5060"};
	begin("10.0.0.1,2001:db8::1", "10.0.0.1:5060", "10.0.0.1:5060");
	node_listen(n, TP_UDP, "[2001:db8::1]:5060");
	add("proxy.example.com", "10.0.0.5", 60);
	add("proxy.example.com", "10.0.0.6", 60);
	add("proxy.example.com", "10.0.0.7", 60);
	add("proxy.example.com", "2001:db8::5", 60);
	for (int round = 0; round < 2; round++) {
		struct tp_resolve *running;
		enum err e = ask("sip:Proxy.Example.COM", &t, &running);
		CHECK_EQ(e, round ? OK : ERR_MORE);
		if (!round) {
			WAIT(w, result.calls == 1);
			CHECK_EQ(result.e, OK);
			t = result.t;
		}
		CHECK_EQ(t.n, 4);
		for (size_t i = 0; i < 4; i++) {
			struct addr to = at(want[i]);
			CHECK(addr_eq(&t.dst[i].to, &to));
			CHECK_EQ(t.dst[i].proto, TP_UDP);
		}
	}
	CHECK_EQ(result.calls, 1);
	world_free(w);
}

/* Only families that we can send from, and addresses that there is a way to. */
TEST(resolve_name_of_our_families)
{
	struct tp_targets t;
	begin("10.0.0.1", "10.0.0.1:5060", NULL);
	add("both.example.com", "2001:db8::5", 60);
	add("both.example.com", "10.0.0.5", 60);
	add("six.example.com", "2001:db8::5", 60);
	CHECK_EQ(resolve("sip:both.example.com;transport=tcp", &t), OK);
	CHECK_EQ(t.n, 1);
	CHECK(t.dst[0].to.family == ADDR_V4 && t.dst[0].proto == TP_TCP && t.dst[0].is_fixed);
	CHECK_EQ(resolve("sip:six.example.com", &t), ERR_NOTFOUND);
	CHECK_EQ(resolve("sip:nobody.example.com", &t), ERR_NOTFOUND);
	world_free(w);
}

TEST(resolve_without_any_listener)
{
	struct tp_targets t;
	begin("10.0.0.1", NULL, NULL);
	add("both.example.com", "2001:db8::5", 60);
	add("both.example.com", "10.0.0.5", 60);
	CHECK_EQ(resolve("sip:both.example.com", &t), OK);
	CHECK_EQ(t.n, 1); /* there is no way to the other */
	CHECK(t.dst[0].proto == TP_TCP && !t.dst[0].is_fixed);
	CHECK_EQ(resolve("sip:10.0.0.5;transport=udp", &t), ERR_UNSUPPORTED);
	world_free(w);
}

TEST(resolve_many_addresses)
{
	struct tp_targets t;
	begin("10.0.0.1", "10.0.0.1:5060", NULL);
	char ip[] = "10.0.0.10";
	for (int i = 0; i < 10; i++) {
		ip[8] = (char)('0' + i);
		add("many.example.com", ip, 60);
	}
	CHECK_EQ(resolve("sip:many.example.com", &t), OK);
	CHECK_EQ(t.n, TP_MAX_TARGETS);
	world_free(w);
}

TEST(resolve_cancelled)
{
	struct tp_targets t;
	struct tp_resolve *r1, *r2;
	begin("10.0.0.1", "10.0.0.1:5060", NULL);
	add("proxy.example.com", "10.0.0.5", 60);
	CHECK_EQ(ask("sip:proxy.example.com", &t, &r1), ERR_MORE);
	CHECK_EQ(ask("sip:proxy.example.com", &t, &r2), ERR_MORE);
	tp_resolve_cancel(r1);
	tp_resolve_cancel(NULL);
	world_pass(w, 1'000'000);
	CHECK_EQ(result.calls, 1);
	/* one that still runs at the end */
	CHECK_EQ(ask("sip:other.example.com", &t, &r1), ERR_MORE);
	world_free(w);
	CHECK_EQ(result.calls, 1);
}

TEST(resolve_asks_the_resolver_given)
{
	struct tp_targets t;
	struct dns *dns = NULL;
	begin("10.0.0.1", "10.0.0.1:5060", NULL);
	struct addr x = at("10.0.0.77");
	CHECK_EQ(dns_new_table(node_loop(n, 0), &dns), OK);
	CHECK_EQ(dns_table_add(dns, STR("mine.example.com"), &x, 60), OK);
	tp_set_dns(n->tp[0], dns);
	CHECK(tp_dns(n->tp[0]) == dns);
	CHECK_EQ(resolve("sip:mine.example.com", &t), OK);
	CHECK(addr_ip_eq(&t.dst[0].to, &x));
	tp_set_dns(n->tp[0], NULL);
	dns_free(dns);
	world_free(w);
}
