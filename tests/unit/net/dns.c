/* The resolver over a back end of the test's own: cache, waiting, patience; over the table; and
 * over c-ares with a server of the test's own on loopback. */

#include "net/dns_priv.h"

#include "base/limits.h"
#include "event/sim.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim *sim;
static struct env *env;
static struct ev_loop loop;
static struct dns *d;

/* --- a back end that does as it is told ----------------------------------------------------- */

static struct {
	unsigned asked;
	struct dns_entry *last;
	enum { SAY_LATER, SAY_NOW, REFUSE } mood;
	struct dns_answer answer;
	enum err err;
	uint32_t ttl_s;
} fake;

static enum err fake_ask(struct dns *dns, struct dns_entry *e)
{
	CHECK(dns == d);
	if (fake.mood == REFUSE)
		return ERR_NET;
	fake.asked++;
	fake.last = e;
	if (fake.mood == SAY_NOW)
		dns_answered(e, fake.err, &fake.answer, fake.ttl_s);
	return OK;
}

static void fake_free(struct dns *dns)
{
	CHECK(dns->is_closing);
}

static const struct dns_backend fake_backend = {fake_ask, fake_free};

static struct {
	unsigned calls;
	enum err err;
	struct dns_answer a;
	struct dns_query *cancel;
	bool ask_again;
} got;

static void on_answer(void *ctx, enum err e, const struct dns_answer *a)
{
	struct dns_answer now;
	struct dns_query *q;
	CHECK(ctx == &got);
	got.calls++;
	got.err = e;
	if (a)
		got.a = *a;
	if (got.cancel) {
		dns_cancel(got.cancel);
		got.cancel = NULL;
	}
	if (got.ask_again) {
		got.ask_again = false;
		CHECK_EQ(dns_lookup(d, STR("a.example"), DNS_A, &now, on_answer, &got, &q), OK);
	}
}

static enum err ask(const char *name, unsigned types, struct dns_query **q)
{
	struct dns_query *unused;
	return dns_lookup(d, str_c(name), types, &got.a, on_answer, &got, q ? q : &unused);
}

static void world(void)
{
	struct addr ip = {
		.family = ADDR_V4, .ip = {10, 0, 0, 1}
        };
	struct sim_host *h;
	memset(&fake, 0, sizeof(fake));
	memset(&got, 0, sizeof(got));
	CHECK_EQ(sim_new(1, &sim), OK);
	CHECK_EQ(sim_host_new(sim, "host", &ip, 1, &h), OK);
	CHECK_EQ(sim_env_new(h, &env), OK);
	ev_loop_init(&loop, env);
	sim_add_loop(sim, &loop);
}

static void begin(void)
{
	world();
	fake.answer =
		(struct dns_answer){.n = 1, .addr = {{.family = ADDR_V4, .ip = {10, 0, 0, 5}}}};
	fake.ttl_s = 60;
	CHECK_EQ(dns_new_with(&loop, &fake_backend, NULL, &d), OK);
}

static void end(void)
{
	dns_free(d);
	sim_del_loop(sim, &loop);
	ev_loop_fini(&loop);
	env_free(env);
	sim_free(sim);
}

static void pass(uint64_t us)
{
	sim_run(sim, sim_now_us(sim) + us);
}

TEST(dns_one_question_for_many)
{
	begin();
	CHECK_EQ(ask("A.Example", DNS_A, NULL), ERR_MORE);
	CHECK_EQ(ask("a.example", DNS_A, NULL), ERR_MORE);
	CHECK_EQ(ask("a.EXAMPLE", DNS_A, NULL), ERR_MORE);
	CHECK_EQ(fake.asked, 1);
	CHECK_STR(str_of(fake.last->name, fake.last->n_name), "a.example");
	CHECK_EQ(ask("a.example", DNS_AAAA, NULL), ERR_MORE); /* another question */
	CHECK_EQ(fake.asked, 2);
	dns_answered(fake.last, ERR_NOTFOUND, NULL, 0);
	CHECK_EQ(got.calls, 0); /* never from inside */
	pass(0);
	CHECK_EQ(got.calls, 1);
	CHECK_EQ(got.err, ERR_NOTFOUND);
	end();
	CHECK_EQ(got.calls, 1); /* who still waits at the end hears nothing */
}

TEST(dns_keeps_answers_for_their_time)
{
	begin();
	fake.mood = SAY_NOW;
	CHECK_EQ(ask("a.example", DNS_A, NULL), OK);
	CHECK_EQ(got.a.n, 1);
	CHECK_EQ(got.a.addr[0].ip[3], 5);
	pass(59'000'000);
	CHECK_EQ(ask("a.example", DNS_A, NULL), OK);
	CHECK_EQ(fake.asked, 1);
	pass(2'000'000);
	CHECK_EQ(ask("a.example", DNS_A, NULL), OK);
	CHECK_EQ(fake.asked, 2);
	dns_flush(d);
	CHECK_EQ(ask("a.example", DNS_A, NULL), OK);
	CHECK_EQ(fake.asked, 3);
	CHECK_EQ(got.calls, 0);
	/* bounds: neither for ever nor not at all */
	fake.ttl_s = UINT32_MAX;
	CHECK_EQ(ask("b.example", DNS_A, NULL), OK);
	pass(3'601'000'000);
	CHECK_EQ(ask("b.example", DNS_A, NULL), OK);
	CHECK_EQ(fake.asked, 5);
	fake.ttl_s = 0;
	CHECK_EQ(ask("c.example", DNS_A, NULL), OK);
	CHECK_EQ(ask("c.example", DNS_A, NULL), OK);
	CHECK_EQ(fake.asked, 6);
	end();
}

TEST(dns_keeps_failures_shortly)
{
	static const struct {
		enum err err;
		uint64_t keep_us;
	} cases[] = {
		{ERR_NOTFOUND, 10'000'000},
		{ERR_TIMEOUT,  3'000'000 },
		{ERR_NET,      3'000'000 },
		{ERR_NOMEM,    0         },
	};
	begin();
	fake.mood = SAY_NOW;
	for (size_t i = 0; i < 4; i++) {
		dns_flush(d);
		fake.asked = 0;
		fake.err = cases[i].err;
		CHECK_EQ(ask("a.example", DNS_A, NULL), cases[i].err);
		pass(0);
		if (cases[i].keep_us) {
			pass(cases[i].keep_us - 100'000);
			CHECK_EQ(ask("a.example", DNS_A, NULL), cases[i].err);
			CHECK_EQ(fake.asked, 1);
		}
		pass(200'000);
		CHECK_EQ(ask("a.example", DNS_A, NULL), cases[i].err);
		CHECK_EQ(fake.asked, 2);
		pass(0);
	}
	fake.mood = REFUSE;
	dns_flush(d);
	CHECK_EQ(ask("a.example", DNS_A, NULL), ERR_NET);
	fake.mood = SAY_NOW;
	fake.err = OK;
	CHECK_EQ(ask("a.example", DNS_A, NULL), OK);
	end();
}

/* Nobody waits for ever; the late answer is still good for the next. */
TEST(dns_patience)
{
	begin();
	CHECK_EQ(ask("a.example", DNS_A, NULL), ERR_MORE);
	pass(7'900'000);
	CHECK_EQ(got.calls, 0);
	pass(200'000);
	CHECK_EQ(got.calls, 1);
	CHECK_EQ(got.err, ERR_TIMEOUT);
	CHECK_EQ(ask("a.example", DNS_A, NULL), ERR_MORE); /* joins the same question */
	CHECK_EQ(fake.asked, 1);
	dns_answered(fake.last, OK, &fake.answer, 60);
	pass(0);
	CHECK_EQ(got.calls, 2);
	CHECK_EQ(got.err, OK);
	CHECK_EQ(ask("a.example", DNS_A, NULL), OK);
	end();
}

TEST(dns_cancel_and_ask_in_callbacks)
{
	struct dns_query *q1, *q2;
	begin();
	CHECK_EQ(ask("a.example", DNS_A, &q1), ERR_MORE);
	dns_cancel(q1);
	dns_cancel(NULL);
	CHECK_EQ(ask("a.example", DNS_A, &q1), ERR_MORE);
	CHECK_EQ(ask("a.example", DNS_A, &q2), ERR_MORE);
	got.cancel = q2; /* the first one told cancels the second */
	got.ask_again = true;
	dns_answered(fake.last, OK, &fake.answer, 60);
	pass(0);
	CHECK_EQ(got.calls, 1);
	end();
}

TEST(dns_bounds)
{
	char name[32];
	begin();
	for (unsigned i = 0; i < LIMIT_DNS_ASKING; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		enum err e = ask(name, DNS_A, NULL);
		CHECK(e == ERR_MORE);
	}
	CHECK_EQ(ask("one.more", DNS_A, NULL), ERR_LIMIT);
	CHECK_EQ(ask("n0.example", DNS_A, NULL), ERR_MORE); /* joins */
	end();
	/* the answer used longest ago goes first */
	begin();
	fake.mood = SAY_NOW;
	CHECK_EQ(ask("old.example", DNS_A, NULL), OK);
	pass(0);
	for (unsigned i = 0; i < LIMIT_DNS_CACHE; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		enum err e = ask(name, DNS_A, NULL);
		CHECK(e == OK);
		pass(0);
		if (i == LIMIT_DNS_CACHE / 2)
			CHECK_EQ(ask("n0.example", DNS_A, NULL), OK); /* used again */
	}
	CHECK_EQ(ask("newer.example", DNS_A, NULL), OK);
	CHECK_EQ(ask("newest.example", DNS_A, NULL), OK);
	CHECK_EQ(d->entries.n, LIMIT_DNS_CACHE);
	fake.asked = 0;
	CHECK_EQ(ask("n0.example", DNS_A, NULL), OK);
	CHECK_EQ(fake.asked, 0);
	CHECK_EQ(ask("old.example", DNS_A, NULL), OK);
	CHECK_EQ(ask("n1.example", DNS_A, NULL), OK);
	CHECK_EQ(fake.asked, 2);
	end();
}

TEST(dns_names)
{
	static const char *const bad[] = {"",     ".",        ".example", "a b",
					  "a\nb", "exa mple", "a/b",      "x\x80y"};
	char longest[300];
	begin();
	fake.mood = SAY_NOW;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(ask(bad[i], DNS_A, NULL), ERR_SYNTAX);
	memset(longest, 'a', sizeof(longest));
	CHECK_EQ(dns_lookup(d, str_of(longest, 255), DNS_A, &got.a, on_answer, &got,
			    &(struct dns_query *){NULL}),
		 ERR_SYNTAX);
	CHECK_EQ(ask("a.example", 0, NULL), ERR_SYNTAX);
	CHECK_EQ(fake.asked, 0);
	CHECK_EQ(ask("_sip.ex-ample.com.", DNS_A, NULL), OK);
	/* [RFC6761 6.3] */
	CHECK_EQ(ask("LocalHost", DNS_A | DNS_AAAA, NULL), OK);
	CHECK_EQ(got.a.n, 2);
	CHECK(addr_is_loopback(&got.a.addr[0]) && addr_is_loopback(&got.a.addr[1]));
	CHECK_EQ(ask("x.localhost.", DNS_A, NULL), OK);
	CHECK_EQ(got.a.n, 1);
	CHECK_EQ(fake.asked, 1);
	end();
}

TEST(dns_table)
{
	struct addr v4 = {
		.family = ADDR_V4, .ip = {10, 1, 1, 1},
                     .port = 99
        };
	struct addr v6 = {
		.family = ADDR_V6, .ip = {0x20, 0x01, [15] = 1}
        };
	world();
	CHECK_EQ(dns_new(&loop, NULL, &d), ERR_UNSUPPORTED); /* no c-ares in virtual time */
	CHECK_EQ(dns_new_table(&loop, &d), OK);
	CHECK_EQ(dns_table_add(d, STR("A.example"), &v4, 10), OK);
	CHECK_EQ(dns_table_add(d, STR("a.example"), &v6, 20), OK);
	CHECK_EQ(ask("a.example", DNS_A | DNS_AAAA, NULL), ERR_MORE);
	CHECK_EQ(ask("a.example", DNS_AAAA, NULL), ERR_MORE);
	CHECK_EQ(ask("b.example", DNS_AAAA, NULL), ERR_MORE);
	pass(900);
	CHECK_EQ(got.calls, 0);
	pass(2'000);
	CHECK_EQ(got.calls, 3);
	CHECK_EQ(ask("b.example", DNS_AAAA, NULL), ERR_NOTFOUND);
	CHECK_EQ(ask("a.example", DNS_A | DNS_AAAA, NULL), OK);
	CHECK_EQ(got.a.n, 2);
	CHECK_EQ(got.a.addr[0].port, 0);
	pass(11'000'000); /* the shorter time of the two */
	CHECK_EQ(ask("a.example", DNS_A | DNS_AAAA, NULL), ERR_MORE);
	dns_table_delay(d, UINT64_MAX);
	CHECK_EQ(ask("c.example", DNS_A, NULL), ERR_MORE);
	got.calls = 0;
	pass(9'000'000);
	CHECK_EQ(got.calls, 2);
	CHECK_EQ(got.err, ERR_TIMEOUT);
	end();
	begin();
	CHECK_EQ(dns_table_add(d, STR("a"), &v4, 1), ERR_STATE);
	end();
}

/* --- c-ares --------------------------------------------------------------------------------- */

static struct {
	struct env_sock *sock;
	unsigned asked;
	bool is_silent;
} server;

/* An SRV behind a CNAME, compressed; a NAPTR. */
static const uint8_t srv_reply[] = {
	0xc0, 12, 0, 5,  0, 1, 0, 0, 0, 9, 0, 4, 1, 'x', 0xc0, 12, /* CNAME x.<question> */
	0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 7, 0, 9, 0, 3,   0,    4,  0x13, 0xc4, 1, 'H', 0,
};
static const uint8_t naptr_reply[] = {
	0xc0, 12, 0,   35,  0,   1,   0,   0,   0,   8, 0, 22,  0,   10,  0,   20,   1,
	'S',  7,  'S', 'I', 'P', '+', 'D', '2', 'T', 0, 4, '_', 't', 'c', 'p', 0xc0, 12,
};

/* Answers A with 192.0.2.1 and .2, AAAA with 2001:db8::7, SRV, NAPTR, names that begin with "no"
 * with NXDOMAIN.
 */
static size_t reply(uint8_t *p, size_t n)
{
	static const uint8_t v4[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1};
	static const uint8_t v6[] = {0xc0, 12, 0,  28,   0, 1,    0,    0,       0,
				     20,   0,  16, 0x20, 1, 0x0d, 0xb8, [27] = 7};
	size_t q = 12;
	while (q < n && p[q])
		q += p[q] + 1u;
	uint8_t type = p[q + 2];
	n = q + 5;
	p[2] = 0x84;
	p[3] = memcmp(p + 13, "no", 2) == 0 ? 3 : 0;
	p[7] = 0;
	p[11] = 0; /* no additional records (EDNS) */
	if (p[3])
		return n;
	p[7] = type == 1 ? 2 : type == 28;
	for (uint8_t i = 0; i < 2 && type == 1; i++, n += sizeof(v4)) {
		memcpy(p + n, v4, sizeof(v4));
		p[n + 15] = (uint8_t)(1 + i);
	}
	if (type == 28) {
		memcpy(p + n, v6, sizeof(v6));
		n += sizeof(v6);
	}
	if (type == 33) {
		p[7] = 2;
		memcpy(p + n, srv_reply, sizeof(srv_reply));
		n += sizeof(srv_reply);
	}
	if (type == 35) {
		p[7] = 1;
		memcpy(p + n, naptr_reply, sizeof(naptr_reply));
		n += sizeof(naptr_reply);
	}
	return n;
}

static void serve(void *arg, unsigned events)
{
	uint8_t p[1024];
	struct env_rx rx;
	while (env_recv(server.sock, p, 512, &rx) == OK) {
		server.asked++;
		if (!server.is_silent)
			CHECK_EQ(env_send(server.sock, p, reply(p, rx.n), &rx.from, NULL), OK);
	}
}

static void wait_calls(unsigned n)
{
	for (int i = 0; i < 3'000 && got.calls < n; i++) {
		ev_turn(&loop);
		env_poll(env, 1'000);
	}
	CHECK_EQ(got.calls, n);
}

static void begin_cares(void)
{
	char servers[ADDR_TEXT_MAX];
	const char *why;
	struct addr local = {
		.family = ADDR_V4, .ip = {127, 0, 0, 1}
        };
	memset(&got, 0, sizeof(got));
	memset(&server, 0, sizeof(server));
	CHECK_EQ(env_os_new(&env), OK);
	ev_loop_init(&loop, env);
	CHECK_EQ(env_udp_open(env, &local, 0, serve, NULL, &server.sock, &why), OK);
	local = env_local(server.sock);
	struct dns_config config = {.servers = addr_text(&local, servers), .timeout_ms = 50};
	CHECK_EQ(dns_new(&loop, &config, &d), OK);
}

static void end_cares(void)
{
	dns_free(d);
	env_close(server.sock);
	ev_loop_fini(&loop);
	env_free(env);
}

TEST_NO_OOM(cares_answers)
{
	begin_cares();
	CHECK_EQ(ask("host.rung.test", DNS_A, NULL), ERR_MORE);
	wait_calls(1);
	CHECK_EQ(got.err, OK);
	CHECK_EQ(got.a.n, 2);
	CHECK(got.a.addr[0].family == ADDR_V4 && got.a.addr[0].ip[0] == 192 &&
	      got.a.addr[0].ip[3] == 1 && got.a.addr[1].ip[3] == 2 && got.a.addr[0].port == 0);
	CHECK_EQ(ask("host.rung.test", DNS_A | DNS_AAAA, NULL), ERR_MORE);
	wait_calls(2);
	CHECK_EQ(got.a.n, 3);
	CHECK_EQ(ask("host.rung.test", DNS_AAAA, NULL), ERR_MORE);
	wait_calls(3);
	CHECK_EQ(got.a.n, 1);
	CHECK(got.a.addr[0].family == ADDR_V6 && got.a.addr[0].ip[15] == 7);
	unsigned before = server.asked;
	CHECK_EQ(ask("HOST.rung.test", DNS_A, NULL), OK);
	CHECK_EQ(ask("nobody.rung.test", DNS_A, NULL), ERR_MORE);
	wait_calls(4);
	CHECK_EQ(got.err, ERR_NOTFOUND);
	CHECK(server.asked > before);
	end_cares();
}

TEST_NO_OOM(cares_gives_up)
{
	begin_cares();
	server.is_silent = true;
	CHECK_EQ(ask("host.rung.test", DNS_A, NULL), ERR_MORE);
	wait_calls(1);
	CHECK_EQ(got.err, ERR_TIMEOUT);
	CHECK_EQ(server.asked, 2); /* tries */
	/* what is under way at the end is forgotten */
	CHECK_EQ(ask("other.rung.test", DNS_A, NULL), ERR_MORE);
	end_cares();
	CHECK_EQ(got.calls, 1);
}

TEST_NO_OOM(cares_bad_configuration)
{
	begin_cares();
	struct dns *other = NULL;
	struct dns_config config = {.servers = "no server at all"};
	CHECK(dns_new(&loop, &config, &other) != OK && !other);
	end_cares();
}

TEST_NO_OOM(cares_srv_and_naptr)
{
	begin_cares();
	CHECK_EQ(ask("_sip._udp.rung.test", DNS_SRV, NULL), ERR_MORE);
	wait_calls(1);
	CHECK_EQ(got.err, OK);
	CHECK_EQ(got.a.n, 1);
	CHECK_EQ(got.a.rr[0].priority, 3);
	CHECK_EQ(got.a.rr[0].weight, 4);
	CHECK_EQ(got.a.rr[0].port, 5060);
	CHECK_STR(dns_text(&got.a, got.a.rr[0].target), "h");
	CHECK_EQ(ask("rung.test", DNS_NAPTR, NULL), ERR_MORE);
	wait_calls(2);
	CHECK_EQ(got.a.n, 1);
	CHECK_EQ(got.a.rr[0].priority, 10);
	CHECK_EQ(got.a.rr[0].weight, 20);
	CHECK_EQ(got.a.rr[0].flag, 's');
	CHECK_STR(dns_text(&got.a, got.a.rr[0].service), "sip+d2t");
	CHECK_STR(dns_text(&got.a, got.a.rr[0].target), "_tcp.rung.test");
	CHECK_EQ(ask("_sip._udp.rung.test", DNS_SRV, NULL), OK);
	CHECK_EQ(ask("nobody.rung.test", DNS_NAPTR, NULL), ERR_MORE);
	wait_calls(3);
	CHECK_EQ(got.err, ERR_NOTFOUND);
	end_cares();
}

/* --- replies as bytes ----------------------------------------------------------------------- */

static size_t make_reply(uint8_t *p, const uint8_t *rrs, size_t n, uint8_t n_answers)
{
	static const uint8_t head[] = {0, 0, 0x84, 0,   0,   1,   0, 0, 0,  0, 0,
				       0, 4, 'r',  'u', 'n', 'g', 0, 0, 33, 0, 1};
	memcpy(p, head, sizeof(head));
	memcpy(p + sizeof(head), rrs, n);
	p[7] = n_answers;
	return sizeof(head) + n;
}

TEST(dns_reply_is_read)
{
	uint8_t p[128];
	struct dns_answer a;
	uint32_t ttl;
	size_t n = make_reply(p, srv_reply, sizeof(srv_reply), 2);
	CHECK_EQ(dns_reply_read(p, n, DNS_SRV, &a, &ttl), OK);
	CHECK_EQ(ttl, 7);
	CHECK_EQ(a.n, 1);
	CHECK_EQ(dns_reply_read(p, n, DNS_NAPTR, &a, &ttl), ERR_NOTFOUND);
	n = make_reply(p, naptr_reply, sizeof(naptr_reply), 1);
	CHECK_EQ(dns_reply_read(p, n, DNS_NAPTR, &a, &ttl), OK);
	CHECK_EQ(ttl, 8);
	CHECK_STR(dns_text(&a, a.rr[0].target), "_tcp.rung");
}

/* Cut anywhere, or with any byte changed: an error or an answer, never a walk without end. */
TEST(dns_reply_that_is_broken)
{
	uint8_t p[128], copy[128];
	struct dns_answer a;
	uint32_t ttl;
	size_t n = make_reply(p, srv_reply, sizeof(srv_reply), 2);
	for (size_t cut = 0; cut < n; cut++) {
		memcpy(copy, p, cut);
		CHECK_EQ(dns_reply_read(copy, cut, DNS_SRV, &a, &ttl), ERR_NET);
	}
	n = make_reply(p, naptr_reply, sizeof(naptr_reply), 1);
	for (size_t i = 0; i < n * 256; i++) {
		memcpy(copy, p, n);
		copy[i / 256] = (uint8_t)i;
		enum err e = dns_reply_read(copy, n, DNS_NAPTR, &a, &ttl);
		CHECK(e == OK || e == ERR_NET || e == ERR_NOTFOUND);
	}
	/* a name that points to itself */
	static const uint8_t loop_rr[] = {0xc0, 22, 0, 33, 0, 1, 0, 0, 0, 7, 0, 0};
	n = make_reply(p, loop_rr, sizeof(loop_rr), 1);
	CHECK_EQ(dns_reply_read(p, n, DNS_SRV, &a, &ttl), ERR_NET);
}

TEST(dns_answer_is_bounded)
{
	struct dns_answer a = {0};
	struct dns_rr rr = {.port = 1};
	char name[251];
	memset(name, 'n', sizeof(name));
	for (int i = 0; i < 5; i++)
		dns_add_rr(&a, &rr, str_of(name, sizeof(name)), STR_NONE);
	CHECK_EQ(a.n, 3); /* what fits */
	for (int i = 0; i < 50; i++)
		dns_add_rr(&a, &rr, STR("x"), STR_NONE);
	CHECK_EQ(a.n, DNS_MAX_RRS);
}

TEST(dns_table_of_services)
{
	struct dns_rr rr = {.priority = 1, .weight = 2, .port = 3};
	world();
	CHECK_EQ(dns_new_table(&loop, &d), OK);
	CHECK_EQ(dns_table_add_rr(d, STR("_sip._udp.example"), DNS_SRV, &rr, STR("H.example."),
				  STR_NONE, 10),
		 OK);
	dns_prefetch(d, STR("_SIP._udp.example"), DNS_SRV);
	dns_prefetch(d, STR("b.example"), DNS_SRV);
	pass(2'000);
	CHECK_EQ(ask("_sip._udp.example", DNS_SRV, NULL), OK);
	CHECK_EQ(got.calls, 0);
	CHECK_EQ(got.a.rr[0].port, 3);
	CHECK_STR(dns_text(&got.a, got.a.rr[0].target), "h.example");
	CHECK_EQ(ask("_sip._udp.example", DNS_A, NULL), ERR_MORE);
	CHECK_EQ(ask("_sip._udp.example", DNS_SRV | DNS_A, NULL), ERR_SYNTAX);
	CHECK_EQ(ask("localhost", DNS_SRV, NULL), ERR_NOTFOUND);
	end();
}
