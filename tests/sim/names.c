/* Finding and keeping the way to a peer: names that lead to several servers, dead ones among them;
 * networks behind a NAT and what they are told; both families of addresses. Peers of text
 * [RFC3263] [RFC2782] [RFC3261 18.1.1] [RFC5658]. */
#include "scene.h"

/* ---- several servers of one name ------------------------------------------------------------- */

static void invite(struct scene *t, const char *uri)
{
	t->call = (struct raw_req){.method = "INVITE", .uri = uri};
	raw_ask(t->a, 0, &t->call);
}

static void busy(struct scene *t, struct raw *r, double within)
{
	struct raw_msg *m = raw_get(r, "INVITE ", within);
	raw_reply(r, m, "486 Busy Here", r->user, NULL, NULL);
	raw_get(r, "ACK ", 1);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
}

/* SRV decides the order and the port; the transport comes from NAPTR. */
TEST_NO_OOM(names_by_naptr_and_srv)
{
	struct scene *t = scene_new();
	raw_naptr(t->s, "far.example", "SIP+D2T", "_x._tcp.far.example");
	raw_srv(t->s, "_x._tcp.far.example", 1, 5099, "10.0.0.99");
	raw_listen(t->x, 5099);
	invite(t, "sip:u@far.example");
	struct raw_msg *m = raw_get(t->x, "INVITE ", 2);
	CHECK(!t->x->socks[m->sock].is_udp);
	CHECK(str_find(raw_header(m, "Via", 0), STR("SIP/2.0/TCP")) == 0);
	CHECK_STR(raw_uri(m), "sip:u@far.example");
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* [RFC3263 4.3]: the one that does not answer is waited for once; each attempt has a branch of its
 * own. When it is back it is first again. */
TEST_NO_OOM(names_with_a_dead_server)
{
	struct scene *t = scene_new();
	char first[256], second[256];
	raw_srv(t->s, "_sip._udp.two.example", 1, 5060, "10.0.0.22");
	raw_srv(t->s, "_sip._udp.two.example", 2, 5060, "10.0.0.99");
	invite(t, "sip:u@two.example"); /* b is silent */
	raw_cstr(raw_header(raw_get(t->b, "INVITE ", 1), "Via", 0), first, sizeof(first));
	raw_none(t->x, "INVITE ", 30);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 4);
	raw_cstr(raw_header(m, "Via", 0), second, sizeof(second));
	CHECK(strcmp(first, second) != 0);
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_get(t->x, "ACK ", 1);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	unsigned n_slow = 0; /* the other of the two shards may have to learn yet */
	for (int i = 0; i < 8; i++) {
		raw_flush(t->b);
		invite(t, "sip:u@two.example");
		busy(t, t->x, 34);
		n_slow += raw_poll(t->b, "INVITE ") != NULL;
		stage_run(t->s, 1);
	}
	CHECK(n_slow <= 1);
	stage_run(t->s, 120);
	raw_flush(t->b);
	invite(t, "sip:u@two.example");
	busy(t, t->b, 1);
	scene_free(t);
}

/* [RFC3261 21.5.4]: who says 503 is left alone as long as he asks for. */
TEST_NO_OOM(names_with_a_server_that_is_busy)
{
	struct scene *t = scene_new();
	raw_srv(t->s, "_sip._udp.two.example", 1, 5060, "10.0.0.22");
	raw_srv(t->s, "_sip._udp.two.example", 2, 5060, "10.0.0.99");
	unsigned n_refused = 0;
	for (int i = 0; i < 8; i++) {
		invite(t, "sip:u@two.example");
		stage_run(t->s, 0.5);
		struct raw_msg *m = raw_poll(t->b, "INVITE ");
		if (m) {
			raw_reply(t->b, m, "503 Service Unavailable", "b",
				  "Retry-After: 300 (maintenance)\n", NULL);
			n_refused++;
		}
		busy(t, t->x, 1);
	}
	CHECK(n_refused >= 1 && n_refused <= 2); /* each shard learns it once */
	stage_run(t->s, 310);
	raw_flush(t->b);
	invite(t, "sip:u@two.example");
	busy(t, t->b, 1);
	scene_free(t);
}

/* [RFC3261 18.1.1]: a large request goes by UDP when TCP is refused, and the next one does not
 * try. */
TEST_NO_OOM(large_falls_back_to_udp)
{
	struct scene *t = scene_new();
	static char body[2001];
	memset(body, 'x', 2000);
	raw_dns(t->s, "far.example", "10.0.0.99");
	for (int i = 0; i < 2; i++) {
		struct raw_req q = {.method = "MESSAGE",
				    .uri = "sip:u@far.example",
				    .contact = "",
				    .body = body};
		raw_ask(t->a, 0, &q);
		struct raw_msg *m = raw_get(t->x, "MESSAGE ", 2);
		CHECK(t->x->socks[m->sock].is_udp);
		CHECK(str_find(raw_header(m, "Via", 0), STR("SIP/2.0/UDP")) == 0);
		raw_reply(t->x, m, "200 OK", "x", NULL, NULL);
		raw_get(t->a, "SIP/2.0 200", 1);
	}
	scene_free(t);
}

/* ---- behind a NAT, with an address outside --------------------------------------------------- */

static bool has_in(struct str s, const char *text)
{
	return str_find(s, str_c(text)) != SIZE_MAX;
}

/* The phone outside is told the public address, the one on the LAN the local one; both sides of the
 * call come back through us. */
TEST_NO_OOM(advertised_address)
{
	struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	cfg.advertise[0] = (struct addr){
		.family = ADDR_V4, .ip = {203, 0, 113, 7}
        };
	struct scene *t = scene_new_with(&cfg);
	struct raw *out = raw_new(t->s, "198.51.100.9", 5060, "1002");
	struct scene_dialog d;
	raw_register(out, 0, "<sip:1002@198.51.100.9:5060>", NULL);
	raw_ask(t->a, 0, &t->call);
	scene_answer(t, out, &d);
	CHECK(has_in(raw_header(d.invite, "Via", 0), "203.0.113.7:5060"));
	CHECK(has_in(raw_header(d.invite, "Record-Route", 0), "@203.0.113.7:5060"));
	CHECK(has_in(raw_header(d.invite, "Record-Route", 1), "@10.0.0.1:5060"));
	/* from outside by the public address, from inside by the local one: both are ours */
	struct raw_req back = scene_in_dialog(&d, false, "INFO");
	raw_request(out, 0, &back);
	struct raw_msg *m = raw_get(t->a, "INFO ", 1);
	CHECK(has_in(raw_header(m, "Via", 0), "10.0.0.1:5060"));
	CHECK_EQ(raw_count(m, "Route"), 0);
	raw_reply(t->a, m, "200 OK", NULL, NULL, NULL);
	raw_get(out, "SIP/2.0 200", 1);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, 0, &bye);
	m = raw_get(out, "BYE ", 1);
	CHECK_EQ(raw_count(m, "Route"), 0);
	raw_reply(out, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	/* a request to the public address is one to us */
	struct raw_req q = {.method = "OPTIONS", .uri = "sip:203.0.113.7"};
	raw_request(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 200", 1);
	raw_free(out);
	scene_free(t);
}

/* ---- both families of addresses -------------------------------------------------------------- */

/* [RFC5658]: two Record-Routes, each side is told an address of its family; requests inside the
 * dialog cross over both ways. */
TEST_NO_OOM(from_ipv4_to_ipv6)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	stage_listen6(t->s);
	struct raw *six = raw_new(t->s, "2001:db8::22", 5060, "1002");
	raw_register(six, 0, "<sip:1002@[2001:db8::22]:5060>", NULL);
	raw_ask(t->a, 0, &t->call);
	scene_answer(t, six, &d);
	CHECK(has_in(raw_header(d.invite, "Via", 0), "[2001:db8::1]:5060"));
	CHECK(has_in(raw_header(d.invite, "Record-Route", 0), "@[2001:db8::1]:5060"));
	CHECK(has_in(raw_header(d.invite, "Record-Route", 1), "@10.0.0.1:5060"));
	struct raw_req back = scene_in_dialog(&d, false, "INFO");
	raw_request(six, 0, &back);
	struct raw_msg *m = raw_get(t->a, "INFO ", 1);
	CHECK_EQ(raw_count(m, "Route"), 0);
	raw_reply(t->a, m, "200 OK", NULL, NULL, NULL);
	raw_get(six, "SIP/2.0 200", 1);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, 0, &bye);
	m = raw_get(six, "BYE ", 1);
	CHECK_EQ(raw_count(m, "Route"), 0);
	raw_reply(six, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	raw_free(six);
	scene_free(t);
}
