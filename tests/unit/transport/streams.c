/* TLS, WS and WSS: messages, flows, bounds. Over env_sim with a null TLS, over env_os with a real
 * one. [RFC7118] [RFC5922] */

#include "net/tls.h"
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world *w;
static struct node *a, *b;
static struct net_tls *tls[2];

static const enum tp_proto streams[] = {TP_TCP, TP_TLS, TP_WS, TP_WSS};

static void begin(const struct tp_limits *limits, size_t shards)
{
	w = world_new(false);
	a = node_new(w, "10.0.0.1", 1, NULL);
	b = node_new(w, "10.0.0.2", shards, limits);
	tls[0] = net_tls_new_null();
	tls[1] = NULL;
	CHECK(tls[0]);
	tp_set_tls(a->tp[0], tls[0]);
	for (size_t i = 0; i < shards; i++)
		tp_set_tls(b->tp[i], tls[0]);
}

static void end(void)
{
	world_free(w);
	net_tls_free(tls[0]);
	net_tls_free(tls[1]);
}

static struct tp_stats stats_of(const struct node *n)
{
	struct tp_stats s;
	tp_stats(n->tp[0], &s);
	return s;
}

static void exchange(enum tp_proto proto)
{
	struct tp_dst d = to_addr(proto, node_addr(b, 0));
	CHECK_EQ(tp_send(a->tp[0], &d, request("one", NULL, 0), 0), OK);
	CHECK_EQ(tp_send(a->tp[0], &d, request("two", NULL, 60'000), 0), OK); /* still connecting */
	WAIT(w, b->n_msg == 2);
	CHECK(b->msg[0]->proto == proto && b->msg[0]->flow && b->msg[0]->flow == b->msg[1]->flow);
	CHECK_EQ(b->msg[1]->msg->body.n, 60'000);
	CHECK_EQ(node_connections(b), 1);
	for (size_t s = 0; s < b->n; s++) {
		d = tp_response_dst(b->msg[0]);
		CHECK(tp_flow_is_up(b->tp[s], d.flow));
		CHECK_EQ(tp_send(b->tp[s], &d, response("one", NULL, 200), 0), OK);
		WAIT(w, a->n_msg == s + 1);
	}
	/* the taps show SIP, not frames or records */
	CHECK(a->n_tap == 2 + b->n && a->tap[0].is_sent && a->tap[0].proto == proto);
	CHECK_EQ(a->tap[0].n, request("one", NULL, 0).n);
	CHECK(addr_eq(&a->tap[0].to, &b->msg[0]->to));
	CHECK_EQ(a->tap[2].n, response("one", NULL, 200).n);
}

TEST(streams_carry_messages)
{
	for (size_t i = 0; i < 4; i++) {
		begin(NULL, 3);
		node_listen(b, streams[i], "10.0.0.2:5061");
		node_tap(a);
		exchange(streams[i]);
		end();
	}
}

TEST(streams_need_a_certificate)
{
	const char *why = "";
	struct addr x = at("10.0.0.2:5061");
	begin(NULL, 1);
	tp_set_tls(b->tp[0], NULL);
	CHECK_EQ(tp_listen(b->tp[0], TP_TLS, &x, &why), ERR_UNSUPPORTED);
	CHECK_STR(str_c(why), "there is no certificate");
	struct tp_dst d = to_addr(TP_WSS, x);
	CHECK_EQ(tp_send(b->tp[0], &d, request("one", NULL, 0), 0), ERR_UNSUPPORTED);
	end();
}

/* --- WebSocket from a peer's hand ------------------------------------------------------------- */

#define UPGRADE                                                                                    \
	"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"               \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"             \
	"Sec-WebSocket-Protocol: sip\r\n\r\n"

static struct raw *upgraded(const char *ip)
{
	struct raw *r = raw_connect(w, ip, at("10.0.0.2:80"));
	raw_write(r, STR(UPGRADE));
	WAIT(w, str_find(buf_view(&r->in), STR("\r\n\r\n")) != SIZE_MAX);
	CHECK(str_starts(buf_view(&r->in), STR("HTTP/1.1 101 ")));
	buf_clear(&r->in);
	return r;
}

/* Masked with zeros; op 1: text. */
static struct str frame(unsigned op, struct str body)
{
	static char mem[4][4096];
	static unsigned slot;
	char *p = mem[slot++ % 4];
	CHECK(body.n > 0 && body.n < 4000);
	p[0] = (char)(0x80 | op);
	size_t n = 2;
	if (body.n < 126) {
		p[1] = (char)(0x80 | body.n);
	} else {
		p[1] = (char)(0x80 | 126);
		p[n++] = (char)(body.n >> 8);
		p[n++] = (char)(body.n & 255);
	}
	memset(p + n, 0, 4);
	memcpy(p + n + 4, body.p, body.n);
	return str_of(p, n + 4 + body.n);
}

TEST(ws_frames_at_every_byte)
{
	begin(NULL, 1);
	node_listen(b, TP_WS, "10.0.0.2:80");
	struct raw *r = upgraded("10.0.0.3");
	struct str f = frame(1, request("cut", NULL, 20));
	for (size_t cut = 1; cut < f.n; cut += 1 + (cut > 20 && cut < f.n - 20 ? 17 : 0)) {
		size_t before = b->n_msg;
		raw_write(r, str_of(f.p, cut));
		world_pass(w, 5'000);
		raw_write(r, str_skip(f, cut));
		WAIT(w, b->n_msg == before + 1);
		CHECK_EQ(b->msg[before]->msg->body.n, 20);
	}
	CHECK(!r->is_over);
	end();
}

/* Ping, SIP's own keep-alive in a message, goodbye; all in one piece with what follows. */
TEST(ws_control)
{
	begin(NULL, 1);
	node_listen(b, TP_WS, "10.0.0.2:80");
	struct raw *r = upgraded("10.0.0.3");
	raw_write(r, frame(9, STR("hi")));
	raw_write(r, frame(1, STR("\r\n\r\n")));
	raw_write(r, frame(1, request("one", NULL, 0)));
	WAIT(w, b->n_msg == 1);
	WAIT(w, r->in.n == 4 + 4);
	CHECK(memcmp(r->in.p, "\x8a\x02hi\x81\x02\r\n", 8) == 0);
	buf_clear(&r->in);
	raw_write(r, frame(8, STR("\x03\xe8")));
	WAIT(w, r->is_over);
	CHECK(r->in.n == 4 && memcmp(r->in.p, "\x88\x02\x03\xe8", 4) == 0);
	WAIT(w, b->n_down == 1);
	end();
}

TEST(ws_refuses_what_is_none)
{
	begin(NULL, 1);
	node_listen(b, TP_WS, "10.0.0.2:80");
	struct raw *r = raw_connect(w, "10.0.0.3", at("10.0.0.2:80"));
	raw_write(r, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	WAIT(w, r->is_over);
	CHECK(str_starts(buf_view(&r->in), STR("HTTP/1.1 426 ")));
	WAIT(w, stats_of(b).n_unshaken == 1);
	struct raw *r2 = upgraded("10.0.0.4");
	raw_write(r2, STR("\x81\x05Hello")); /* not masked */
	WAIT(w, r2->is_over);
	CHECK(r2->in.n == 4 && memcmp(r2->in.p, "\x88\x02\x03\xea", 4) == 0);
	CHECK_EQ(b->n_msg, 0);
	end();
}

/* Who takes his time: the handshake has 10 s, a message 30 s, pings in between or not. */
TEST(ws_slow_peers_are_ended)
{
	begin(NULL, 1);
	node_listen(b, TP_WS, "10.0.0.2:80");
	struct raw *r = raw_connect(w, "10.0.0.3", at("10.0.0.2:80"));
	raw_write(r, STR("GET / HTTP/1.1\r\n"));
	for (int i = 0; i < 9; i++) {
		world_pass(w, 1'000'000);
		CHECK(!r->is_over);
		raw_write(r, STR("X: y\r\n"));
	}
	world_pass(w, 2'000'000);
	CHECK(r->is_over && stats_of(b).n_unshaken == 1);
	struct raw *r2 = upgraded("10.0.0.4");
	raw_write(r2, STR("\x01\x83\0\0\0\0OPT")); /* a fragment */
	for (int i = 0; i < 29; i++) {
		world_pass(w, 1'000'000);
		CHECK(!r2->is_over);
		raw_write(r2, frame(9, STR("still here")));
	}
	world_pass(w, 2'000'000);
	CHECK(r2->is_over && stats_of(b).n_unfinished == 1);
	CHECK_EQ(node_connections(b), 0);
	end();
}

/* Pongs for a peer that reads nothing do not pile up, and it ends when its queue stands still. */
TEST(ws_pings_of_a_deaf_peer)
{
	begin(NULL, 1);
	node_listen(b, TP_WS, "10.0.0.2:80");
	struct raw *r = upgraded("10.0.0.3");
	CHECK(r->sock);
	r->is_slow = true;
	env_want(r->sock, 0);
	char body[125];
	memset(body, 'p', sizeof(body));
	for (int i = 0; i < 8'000 && !r->is_over; i++) {
		raw_write(r, frame(9, str_of(body, sizeof(body))));
		if (i % 50 == 0)
			world_pass(w, 1'000);
	}
	world_pass(w, 40'000'000);
	WAIT(w, node_connections(b) == 0);
	CHECK_EQ(stats_of(b).n_stalled, 1);
	end();
}

/* --- over the operating system, with certificates --------------------------------------------- */

static char dir[32];

static void begin_os(void)
{
	static struct net_tls_self self;
	static struct str names[] = {STR_INIT("example.com")};
	static struct addr ip;
	struct buf why;
	strcpy(dir, "/tmp/rung-tp.XXXXXX");
	CHECK(mkdtemp(dir));
	ip = at("127.0.0.1");
	self = (struct net_tls_self){
		.dir = dir, .names = names, .n_names = 1, .addrs = &ip, .n_addrs = 1};
	buf_init(&why);
	CHECK_EQ(net_tls_self(&self, &why), OK);
	struct net_tls_cfg server = {.cert = {self.cert}, .key = {self.key}, .n_certs = 1},
			   client = {.ca = self.cert};
	CHECK_EQ(net_tls_new(&server, &tls[0], &why), OK);
	CHECK_EQ(net_tls_new(&client, &tls[1], &why), OK);
	buf_fini(&why);
	w = world_new(true);
	a = node_new(w, "127.0.0.1", 1, NULL);
	b = node_new(w, "127.0.0.1", 2, NULL);
	tp_set_tls(a->tp[0], tls[1]);
	tp_set_tls(b->tp[0], tls[0]);
	tp_set_tls(b->tp[1], tls[0]);
}

static void end_os(void)
{
	char command[64];
	end();
	snprintf(command, sizeof(command), "rm -r %s", dir);
	CHECK_EQ(system(command), 0);
}

TEST_NO_OOM(os_streams_carry_messages)
{
	for (size_t i = 0; i < 4; i++) {
		begin_os();
		node_listen(b, streams[i], "127.0.0.1:15073");
		node_tap(a);
		exchange(streams[i]);
		end_os();
	}
}

static void ask(const char *uri, struct tp_dst *out)
{
	struct sip_uri u;
	struct tp_targets t;
	struct tp_resolve *running;
	CHECK_EQ(sip_uri_parse(str_c(uri), &u), OK);
	CHECK_EQ(tp_resolve_uri(a->tp[0], &u, &t, NULL, NULL, &running), OK);
	*out = t.dst[0];
}

/* A peer must prove the host of the URI that led to it; another host at the same address is
 * another connection. [RFC5922 7.3] */
TEST_NO_OOM(os_tls_peer_must_be_the_host_of_the_uri)
{
	struct tp_dst d;
	begin_os();
	node_listen(b, TP_TLS, "127.0.0.1:15074");
	ask("sips:example.com:15074;maddr=127.0.0.1", &d);
	CHECK(d.proto == TP_TLS && d.is_fixed);
	CHECK_EQ(tp_send(a->tp[0], &d, request("one", NULL, 0), 7), OK);
	WAIT(w, b->n_msg == 1);
	ask("sip:example.org:15074;transport=tls;maddr=127.0.0.1", &d);
	CHECK_EQ(tp_send(a->tp[0], &d, request("two", NULL, 0), 8), OK);
	WAIT(w, a->n_error == 1);
	CHECK(a->error[0].e.err == ERR_AUTH && a->error[0].e.owner == 8);
	ask("sip:EXAMPLE.com:15074;transport=tls;maddr=127.0.0.1", &d);
	CHECK_EQ(tp_send(a->tp[0], &d, request("three", NULL, 0), 9), OK);
	WAIT(w, b->n_msg == 2);
	CHECK(b->msg[0]->flow == b->msg[1]->flow);
	end_os();
}

/* Half a record, and a handshake that goes no further, cost a place for a time only. */
TEST_NO_OOM(os_tls_slow_peers_are_ended)
{
	struct tp_limits limits = {.handshake_us = 200'000};
	begin_os();
	struct node *c = node_new(w, "127.0.0.1", 1, &limits);
	tp_set_tls(c->tp[0], tls[0]);
	node_listen(c, TP_TLS, "127.0.0.1:0");
	struct raw *r = raw_connect(w, "127.0.0.1", node_addr(c, 0));
	raw_write(r, STR("\x16\x03\x01\x02"));
	WAIT(w, r->is_over);
	CHECK_EQ(stats_of(c).n_unshaken, 1);
	raw_connect(w, "127.0.0.1", node_addr(c, 0));
	WAIT(w, stats_of(c).n_unshaken == 2);
	CHECK_EQ(node_connections(c), 0);
	end_os();
}
