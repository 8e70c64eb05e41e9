/* URIs to targets, over the table of names. [RFC3263 4] */

#include "net/tls.h"
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

static void add_srv(const char *name, uint16_t priority, uint16_t weight, uint16_t port,
		    const char *target)
{
	struct dns_rr rr = {.priority = priority, .weight = weight, .port = port};
	CHECK(tp_dns(n->tp[0]));
	CHECK_EQ(dns_table_add_rr(tp_dns(n->tp[0]), str_c(name), DNS_SRV, &rr, str_c(target),
				  STR_NONE, 60),
		 OK);
}

static void add_naptr(const char *name, uint16_t order, uint16_t preference, const char *service,
		      const char *target)
{
	struct dns_rr rr = {.priority = order, .weight = preference, .flag = 's'};
	CHECK(tp_dns(n->tp[0]));
	CHECK_EQ(dns_table_add_rr(tp_dns(n->tp[0]), str_c(name), DNS_NAPTR, &rr, str_c(target),
				  str_c(service), 60),
		 OK);
}

static void check_targets(const struct tp_targets *t, const char *want)
{
	char mem[512], text[ADDR_TEXT_MAX];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	for (size_t i = 0; i < t->n; i++) {
		struct str proto = tp_proto_param(t->dst[i].proto);
		buf_fmt(&b, "%s" STR_FMT ":%s", i ? " " : "", STR_ARG(proto),
			addr_text(&t->dst[i].to, text));
	}
	CHECK_STR_EQ(buf_view(&b), str_c(want));
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

/* Ports of each transport; a sips URI leads to a secure one. [RFC3263 4.2] [RFC3261 26.2.2] */
TEST(resolve_secure)
{
	static const struct {
		const char *uri, *to;
		enum tp_proto proto;
	} cases[] = {
		{"sips:10.0.0.9",                    "10.0.0.9:5061", TP_TLS},
		{"sips:10.0.0.9:5099;transport=tcp", "10.0.0.9:5099", TP_TLS},
		{"sip:10.0.0.9;transport=tls",       "10.0.0.9:5061", TP_TLS},
		{"sips:10.0.0.9;transport=ws",       "10.0.0.9:443",  TP_WSS},
		{"sip:10.0.0.9;transport=wss",       "10.0.0.9:443",  TP_WSS},
		{"sip:10.0.0.9;transport=ws",        "10.0.0.9:80",   TP_WS },
		{"sips:10.0.0.9;transport=udp",      NULL,            TP_UDP},
	};
	struct tp_targets t;
	struct net_tls *tls = net_tls_new_null();
	CHECK(tls);
	begin("10.0.0.1", "10.0.0.1:5060", NULL);
	tp_set_tls(n->tp[0], tls);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err e = resolve(cases[i].uri, &t);
		if (!cases[i].to) {
			CHECK_EQ(e, ERR_UNSUPPORTED);
			continue;
		}
		CHECK_EQ(e, OK);
		struct addr to = at(cases[i].to);
		CHECK(t.n == 1 && t.dst[0].proto == cases[i].proto && t.dst[0].is_fixed);
		CHECK(addr_eq(&t.dst[0].to, &to));
		CHECK_EQ(t.dst[0].name != 0, tp_is_secure(cases[i].proto));
	}
	world_free(w);
	net_tls_free(tls);
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
		{"sip:10.0.0.9;transport=ws",           OK,              "10.0.0.9:80",        TP_WS,  true },
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
	/* a phone asks before it listens */
	CHECK_EQ(resolve("sip:10.0.0.5;transport=udp", &t), OK);
	CHECK_EQ(t.dst[0].proto, TP_UDP);
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

/* --- NAPTR and SRV [RFC3263 4.1, 4.2] ------------------------------------------------------- */

static void begin_both(void)
{
	begin("10.0.0.1", "10.0.0.1:5060", "10.0.0.1:5060");
	add("a.example.com", "10.0.0.5", 60);
	add("b.example.com", "10.0.0.6", 60);
	add("example.com", "10.0.0.9", 60);
}

/* The transports in the order of the domain's owner, then each one's hosts. */
TEST(resolve_naptr)
{
	struct tp_targets t;
	begin_both();
	add_naptr("example.com", 60, 50, "SIP+D2U", "_sip._udp.example.com");
	add_naptr("example.com", 50, 60, "SIP+D2X", "_sip._sctp.example.com");
	add_naptr("example.com", 50, 50, "SIP+D2T", "_tcp.elsewhere.example.com.");
	add_srv("_tcp.elsewhere.example.com", 0, 0, 5080, "a.example.com");
	add_srv("_sip._udp.example.com", 0, 0, 5090, "b.example.com");
	add_srv("_sip._tcp.example.com", 0, 0, 9, "b.example.com"); /* not what NAPTR says */
	CHECK_EQ(resolve("sip:bob@example.com", &t), OK);
	check_targets(&t, "tcp:10.0.0.5:5080 udp:10.0.0.6:5090");
	CHECK(!t.dst[0].is_fixed);
	world_free(w);
}

/* Nothing in NAPTR that we speak is as good as none. */
TEST(resolve_srv_without_naptr)
{
	struct tp_targets t;
	begin_both();
	add_naptr("example.com", 1, 1, "SIPS+D2T", "_sips._tcp.example.com");
	add_srv("_sips._tcp.example.com", 0, 0, 5061, "a.example.com");
	add_srv("_sip._udp.example.com", 20, 0, 5062, "b.example.com");
	add_srv("_sip._udp.example.com", 10, 0, 5063, "A.Example.com.");
	add_srv("_sip._tcp.example.com", 10, 0, 5064, "10.0.0.7");
	CHECK_EQ(resolve("sip:example.com", &t), OK);
	check_targets(&t, "udp:10.0.0.5:5063 udp:10.0.0.6:5062 tcp:10.0.0.7:5064");
	/* the URI names the transport: only that one is asked for */
	CHECK_EQ(resolve("sip:example.com;transport=tcp", &t), OK);
	check_targets(&t, "tcp:10.0.0.7:5064");
	CHECK(t.dst[0].is_fixed);
	/* a port leaves nothing but the address to ask for */
	CHECK_EQ(resolve("sip:example.com:5099", &t), OK);
	check_targets(&t, "udp:10.0.0.9:5099");
	CHECK_EQ(resolve("sip:example.com:5099;transport=tcp", &t), OK);
	check_targets(&t, "tcp:10.0.0.9:5099");
	world_free(w);
}

TEST(resolve_srv_that_says_no)
{
	struct tp_targets t;
	begin_both();
	add_srv("_sip._udp.example.com", 0, 0, 1, ".");
	add_srv("_sip._tcp.example.com", 0, 0, 5064, "a.example.com");
	CHECK_EQ(resolve("sip:example.com", &t), OK);
	check_targets(&t, "tcp:10.0.0.5:5064");
	CHECK_EQ(resolve("sip:example.com;transport=udp", &t), ERR_NOTFOUND);
	/* one dead host of two is no harm; a host behind two records stands there twice */
	add_srv("_sip._udp.two.example.com", 1, 0, 5060, "gone.example.com");
	add_srv("_sip._udp.two.example.com", 2, 0, 5060, "a.example.com");
	CHECK_EQ(resolve("sip:two.example.com", &t), OK);
	check_targets(&t, "udp:10.0.0.5:5060");
	world_free(w);
}

TEST(resolve_sips)
{
	struct tp_targets t;
	begin_both();
	CHECK_EQ(resolve("sips:example.com;transport=udp", &t), ERR_UNSUPPORTED);
	CHECK_EQ(resolve("sips:10.0.0.9;transport=udp", &t), ERR_UNSUPPORTED);
	/* what is not secure is passed over [RFC3263 4.1] */
	struct net_tls *tls = net_tls_new_null();
	CHECK(tls);
	tp_set_tls(n->tp[0], tls);
	add_naptr("example.com", 10, 1, "SIP+D2T", "_sip._tcp.example.com");
	add_naptr("example.com", 20, 1, "SIPS+D2T", "_sips._tcp.example.com");
	add_srv("_sip._tcp.example.com", 0, 0, 5060, "a.example.com");
	add_srv("_sips._tcp.example.com", 0, 0, 5071, "b.example.com");
	CHECK_EQ(resolve("sips:example.com", &t), OK);
	check_targets(&t, "tls:10.0.0.6:5071");
	world_free(w);
	net_tls_free(tls);
}

/* [RFC2782]: three to one, and a weight of 0 comes first rarely. */
TEST_NO_OOM(resolve_srv_weights)
{
	struct tp_targets t;
	unsigned first[3] = {0};
	begin("10.0.0.1", "10.0.0.1:5060", NULL);
	add_srv("_sip._udp.example.com", 7, 0, 1000, "10.0.0.5");
	add_srv("_sip._udp.example.com", 7, 25, 1001, "10.0.0.6");
	add_srv("_sip._udp.example.com", 7, 75, 1002, "10.0.0.7");
	add_srv("_sip._udp.example.com", 3, 0, 999, "10.0.0.4");
	for (int i = 0; i < 4000; i++) {
		CHECK_EQ(resolve("sip:example.com", &t), OK);
		CHECK_EQ(t.n, 4);
		CHECK_EQ(t.dst[0].to.port, 999); /* priority goes before chance */
		first[t.dst[1].to.port - 1000]++;
	}
	CHECK(first[0] > 5 && first[0] < 120); /* 1 in 101 */
	CHECK(first[1] > 850 && first[1] < 1150);
	CHECK(first[2] > 2800 && first[2] < 3150);
	world_free(w);
}

/* A resolver that answers nothing costs its time-out once. */
TEST(resolve_by_a_silent_resolver)
{
	struct tp_targets t;
	begin_both();
	dns_table_delay(tp_dns(n->tp[0]), UINT64_MAX);
	uint64_t before = ev_now_us(node_loop(n, 0));
	CHECK_EQ(resolve("sip:example.com", &t), ERR_TIMEOUT);
	CHECK(ev_now_us(node_loop(n, 0)) - before < 8'500'000);
	world_free(w);
}

/* --- dead hops [RFC3263 4.3] ---------------------------------------------------------------- */

TEST(resolve_dead_hops_last)
{
	struct tp_targets t;
	begin("10.0.0.1", "10.0.0.1:5060", NULL);
	add_srv("_sip._udp.example.com", 1, 0, 5060, "10.0.0.5");
	add_srv("_sip._udp.example.com", 2, 0, 5060, "10.0.0.6");
	add_srv("_sip._udp.example.com", 3, 0, 5060, "10.0.0.7");
	struct tp_dst a = to_addr(TP_UDP, at("10.0.0.5:5060")),
		      b = to_addr(TP_UDP, at("10.0.0.6:5060"));
	tp_hop_failed(n->tp[0], &a, 0);
	tp_hop_failed(n->tp[0], &b, 300);
	CHECK_EQ(resolve("sip:example.com", &t), OK);
	check_targets(&t, "udp:10.0.0.7:5060 udp:10.0.0.5:5060 udp:10.0.0.6:5060");
	a.proto = TP_TCP;
	CHECK(!tp_hop_is_dead(n->tp[0], &a)); /* another service */
	world_pass(w, 61'000'000);
	dns_flush(tp_dns(n->tp[0]));
	CHECK_EQ(resolve("sip:example.com", &t), OK);
	check_targets(&t, "udp:10.0.0.5:5060 udp:10.0.0.7:5060 udp:10.0.0.6:5060");
	tp_hop_answered(n->tp[0], &b);
	CHECK_EQ(resolve("sip:example.com", &t), OK);
	check_targets(&t, "udp:10.0.0.5:5060 udp:10.0.0.6:5060 udp:10.0.0.7:5060");
	world_free(w);
}

TEST(dead_hops_are_bounded)
{
	struct tp_stats stats;
	begin("10.0.0.1", "10.0.0.1:5060", NULL);
	for (unsigned i = 0; i < 1000; i++) {
		struct tp_dst d = to_addr(TP_UDP, at("10.0.0.5:5060"));
		d.to.port = (uint16_t)(1000 + i);
		tp_hop_failed(n->tp[0], &d, i == 0 ? 300 : 60);
	}
	struct tp_dst first = to_addr(TP_UDP, at("10.0.0.5:1000")),
		      second = to_addr(TP_UDP, at("10.0.0.5:1001")),
		      last = to_addr(TP_UDP, at("10.0.0.5:1999"));
	CHECK(tp_hop_is_dead(n->tp[0], &last));
	CHECK(tp_hop_is_dead(n->tp[0], &first)); /* for long */
	CHECK(!tp_hop_is_dead(n->tp[0], &second));
	tp_stats(n->tp[0], &stats);
	CHECK_EQ(stats.n_dead_hops, 1000);
	world_free(w);
}
