/* Connections in virtual time: framing, keep-alive, reuse, order, bounds, all the ways to end. */

#include "rig.h"

#include <stdio.h>
#include <string.h>

static struct world *w;
static struct node *a, *b;

static void begin(const struct tp_limits *limits)
{
	w = world_new(false);
	a = node_new(w, "10.0.0.1", 1, NULL);
	b = node_new(w, "10.0.0.2", 1, limits);
	node_listen(b, TP_TCP, "10.0.0.2:5060");
}

static struct tp_dst to_b(void)
{
	return to_addr(TP_TCP, at("10.0.0.2:5060"));
}

static struct tp_stats stats_of(const struct node *n)
{
	struct tp_stats s;
	tp_stats(n->tp[0], &s);
	return s;
}

TEST(tcp_one_connection_for_one_address)
{
	struct tp_dst d;
	begin(NULL);
	d = to_b();
	CHECK_EQ(tp_send(a->tp[0], &d, request("one", NULL, 0), 0), OK);
	CHECK_EQ(tp_send(a->tp[0], &d, request("two", NULL, 9), 0), OK); /* still connecting */
	WAIT(w, b->n_msg == 2);
	CHECK_STR(b->msg[0]->msg->call_id, "one");
	CHECK_STR(b->msg[1]->msg->call_id, "two");
	CHECK_EQ(tp_send(a->tp[0], &d, request("three", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 3);
	CHECK_EQ(node_connections(a), 1);
	CHECK_EQ(node_connections(b), 1);
	/* the answer takes the connection, and needs no listener at a */
	CHECK(b->msg[0]->flow && b->msg[0]->flow == b->msg[2]->flow);
	CHECK(tp_flow_is_up(b->tp[0], b->msg[0]->flow));
	d = tp_response_dst(b->msg[0]);
	CHECK(d.is_fixed && d.flow == b->msg[0]->flow);
	CHECK_EQ(tp_send(b->tp[0], &d, response("one", NULL, 200), 0), OK);
	WAIT(w, a->n_msg == 1);
	CHECK(a->msg[0]->flow != 0);
	CHECK_EQ(node_connections(b), 1);
	world_free(w);
}

/* An accepted connection is not the way to the address that it came from. [RFC5923] */
TEST(tcp_accepted_is_reached_by_flow_only)
{
	struct tp_dst d;
	begin(NULL);
	d = to_b();
	CHECK_EQ(tp_send(a->tp[0], &d, request("one", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 1);
	d = to_addr(TP_TCP, b->msg[0]->from);
	CHECK_EQ(tp_send(b->tp[0], &d, request("back", NULL, 0), 77), OK);
	WAIT(w, b->n_error == 1); /* nobody listens there */
	CHECK_EQ(a->n_msg, 0);
	CHECK_EQ(b->error[0].e.err, ERR_NET);
	CHECK(b->error[0].e.owner == 77);
	CHECK(addr_eq(&b->error[0].e.peer, &d.to));
	CHECK_EQ(b->n_down, 0); /* it never stood */
	world_free(w);
}

/* Messages, keep-alives and line ends, cut at every byte. */
TEST(tcp_framing_at_every_byte)
{
	static char text[4000];
	size_t n = 0;
	begin(NULL);
	const struct str parts[] = {STR("\r\n"), request("cut-1", NULL, 20), STR("\r\n\r\n"),
				    request("cut-2", NULL, 0)};
	for (size_t i = 0; i < 4; i++) {
		memcpy(text + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	struct raw *r = raw_connect(w, "10.0.0.3", to_b().to);
	for (size_t cut = 1; cut < n; cut += 1 + (cut > 30 && cut < n - 30)) {
		size_t before = b->n_msg;
		raw_write(r, str_of(text, cut));
		world_pass(w, 5'000);
		raw_write(r, str_of(text + cut, n - cut));
		WAIT(w, b->n_msg == before + 2);
		CHECK_STR(b->msg[before]->msg->call_id, "cut-1");
		CHECK_EQ(b->msg[before]->msg->body.n, 20);
		CHECK_STR(b->msg[before + 1]->msg->call_id, "cut-2");
		if (b->n_msg > 100)
			node_forget(b);
	}
	/* one byte at a time */
	node_forget(b);
	for (size_t i = 0; i < n; i++) {
		raw_write(r, str_of(text + i, 1));
		world_pass(w, 1'000);
	}
	WAIT(w, b->n_msg == 2);
	CHECK(!r->is_over);
	world_free(w);
}

/* [RFC5626 4.4.1] */
TEST(tcp_ping_is_answered)
{
	begin(NULL);
	struct raw *r = raw_connect(w, "10.0.0.3", to_b().to);
	raw_write(r, STR("\r\n\r\n"));
	WAIT(w, r->in.n == 2);
	CHECK_STR(buf_view(&r->in), "\r\n");
	raw_write(r, STR("\r\n\r\n\r\n\r\n"));
	WAIT(w, r->in.n == 6);
	CHECK_EQ(stats_of(b).n_keep_alive, 3);
	CHECK_EQ(b->n_msg, 0);
	world_free(w);
}

/* A client's own ping, and what comes back, are no messages to anybody. */
TEST(tcp_ping_of_ours)
{
	begin(NULL);
	node_tap(a);
	struct tp_dst d = to_b();
	CHECK_EQ(tp_send(a->tp[0], &d, request("x", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 1);
	CHECK_EQ(tp_send(a->tp[0], &d, STR("\r\n\r\n"), 0), OK);
	WAIT(w, stats_of(b).n_keep_alive == 1);
	CHECK_EQ(tp_send(a->tp[0], &d, request("y", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 2);
	CHECK(a->n_tap == 2 && a->n_msg == 0 && stats_of(a).n_sent == 2);
	CHECK_EQ(node_connections(a), 1);
	world_free(w);
}

TEST(tcp_many_messages_keep_their_order)
{
	char id[16];
	begin(NULL);
	struct tp_dst d = to_b();
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "order-%d", i);
		CHECK_EQ(tp_send(a->tp[0], &d, request(id, NULL, (size_t)(i * 37 % 1500)), 0), OK);
		if (i % 10 == 0)
			world_pass(w, 700);
	}
	WAIT(w, b->n_msg == 100);
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "order-%d", i);
		CHECK_STR_EQ(b->msg[i]->msg->call_id, str_c(id));
	}
	world_free(w);
}

/* What cannot be framed any further, but has a head, goes up for its 400; then the connection ends.
 */
TEST(tcp_unframeable_goes_up_once)
{
	const struct sip_diag *why;
	begin(NULL);
	struct raw *r = raw_connect(w, "10.0.0.3", to_b().to);
	raw_write(r,
		  STR("OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n"
		      "From: <sip:a@b>;tag=1\r\nTo: <sip:x>\r\nCall-ID: bad\r\nCSeq: 1 OPTIONS\r\n"
		      "Content-Length: -5\r\n\r\nOPTIONS sip:smuggled SIP/2.0\r\n\r\n"));
	WAIT(w, b->n_msg == 1);
	CHECK_STR(b->msg[0]->msg->call_id, "bad");
	CHECK_EQ(sip_msg_verdict(b->msg[0]->msg, &why), 400);
	struct tp_dst d = tp_response_dst(b->msg[0]);
	CHECK_EQ(tp_send(b->tp[0], &d, response("bad", NULL, 400), 0), OK);
	WAIT(w, str_starts(buf_view(&r->in), STR("SIP/2.0 400")));
	raw_write(r, request("more", NULL, 0)); /* is not read any more */
	WAIT(w, r->is_over && b->n_down == 1);
	CHECK_EQ(b->n_msg, 1);
	world_free(w);
}

/* A connection that we do not read any more is no way to send a request. */
TEST(tcp_unframeable_answer)
{
	w = world_new(false);
	a = node_new(w, "10.0.0.1", 1, NULL);
	struct raw *r = raw_listen(w, "10.0.0.2:5060");
	struct tp_dst d = to_b();
	CHECK_EQ(tp_send(a->tp[0], &d, request("x", NULL, 0), 0), OK);
	WAIT(w, r->in.n > 0);
	raw_write(r, STR("SIP/2.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"));
	WAIT(w, a->n_msg == 1);
	CHECK_EQ(sip_msg_verdict(a->msg[0]->msg, NULL), -1);
	CHECK_EQ(tp_send(a->tp[0], &d, request("y", NULL, 0), 0), OK);
	CHECK_EQ(node_connections(a), 2);
	WAIT(w, a->n_down == 1);
	CHECK_EQ(node_connections(a), 1);
	world_free(w);
}

TEST(tcp_garbage_ends_it)
{
	begin(NULL);
	node_tap(b);
	struct raw *r = raw_connect(w, "10.0.0.3", to_b().to);
	raw_write(r, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	WAIT(w, r->is_over);
	CHECK_EQ(b->n_msg, 0);
	CHECK_EQ(b->n_tap, 1);
	CHECK_EQ(stats_of(b).n_garbage, 1);
	WAIT(w, node_connections(b) == 0);
	world_free(w);
}

/* --- ends ----------------------------------------------------------------------------------- */

TEST(tcp_peer_closes)
{
	begin(NULL);
	struct raw *r = raw_connect(w, "10.0.0.3", to_b().to);
	raw_write(r, request("one", NULL, 0));
	WAIT(w, b->n_msg == 1);
	struct tp_dst d = tp_response_dst(b->msg[0]);
	raw_close(r);
	WAIT(w, b->n_down == 1);
	CHECK(b->down[0].flow == d.flow);
	CHECK(!tp_flow_is_up(b->tp[0], d.flow));
	CHECK_EQ(tp_send(b->tp[0], &d, response("one", NULL, 200), 5), ERR_NET);
	/* the slot may serve another connection; the old name does not reach it */
	struct raw *s = raw_connect(w, "10.0.0.4", to_b().to);
	raw_write(s, request("two", NULL, 0));
	WAIT(w, b->n_msg == 2);
	CHECK(b->msg[1]->flow != d.flow);
	CHECK(!tp_flow_is_up(b->tp[0], d.flow) && tp_flow_is_up(b->tp[0], b->msg[1]->flow));
	CHECK_EQ(tp_send(b->tp[0], &d, response("one", NULL, 200), 5), ERR_NET);
	CHECK_EQ(b->n_error, 0);
	CHECK(!tp_flow_is_up(b->tp[0], 0));
	world_free(w);
}

TEST(tcp_slow_loris)
{
	begin(NULL);
	struct raw *r = raw_connect(w, "10.0.0.3", to_b().to);
	for (int i = 0; i < 40 && !r->is_over; i++) {
		if (r->sock)
			raw_write(r, i ? STR("X") : STR("OPTIONS"));
		world_pass(w, 1'000'000);
		CHECK(i > 28 || !r->is_over);
	}
	CHECK(r->is_over);
	CHECK_EQ(stats_of(b).n_unfinished, 1);
	world_free(w);
}

TEST(tcp_idle)
{
	struct tp_limits limits = {.idle_us = 60'000'000};
	begin(&limits);
	struct raw *r = raw_connect(w, "10.0.0.3", to_b().to);
	world_pass(w, 50'000'000);
	CHECK(!r->is_over);
	raw_write(r, STR("\r\n\r\n")); /* keeps it */
	world_pass(w, 55'000'000);
	CHECK(!r->is_over);
	world_pass(w, 10'000'000);
	CHECK(r->is_over && b->n_down == 1);
	CHECK_EQ(stats_of(b).n_unfinished, 0);
	world_free(w);
}

TEST(tcp_connect_refused_tells_each_owner_once)
{
	begin(NULL);
	struct tp_dst d = to_addr(TP_TCP, at("10.0.0.2:9"));
	for (obj_id id = 1; id <= 3; id++)
		CHECK_EQ(tp_send(a->tp[0], &d, request("x", NULL, 0), id), OK);
	CHECK_EQ(tp_send(a->tp[0], &d, request("x", NULL, 0), 0), OK); /* nobody to tell */
	CHECK_EQ(a->n_error, 0);
	WAIT(w, a->n_error == 3);
	world_pass(w, 1'000'000);
	CHECK_EQ(a->n_error, 3);
	for (obj_id id = 1; id <= 3; id++) {
		CHECK(a->error[id - 1].e.owner == id);
		CHECK_EQ(a->error[id - 1].e.err, ERR_NET);
	}
	CHECK_EQ(node_connections(a), 0);
	world_free(w);
}

TEST(tcp_connect_timeout)
{
	begin(NULL);
	struct tp_dst d = to_addr(TP_TCP, at("10.99.0.1:5060")); /* nobody */
	CHECK_EQ(tp_send(a->tp[0], &d, request("x", NULL, 0), 8), OK);
	world_pass(w, 4'900'000);
	CHECK_EQ(a->n_error, 0);
	world_pass(w, 200'000);
	CHECK_EQ(a->n_error, 1);
	CHECK_EQ(a->error[0].e.err, ERR_TIMEOUT);
	CHECK(a->error[0].e.owner == 8);
	CHECK_EQ(node_connections(a), 0);
	world_free(w);
}

/* --- slow peers ----------------------------------------------------------------------------- */

/* Fills the connection of a request that the raw peer has sent, until the queue begins to hold. */
static struct tp_dst fill(struct raw *r, unsigned n)
{
	size_t before = b->n_msg;
	raw_write(r, request("slow", NULL, 0));
	WAIT(w, b->n_msg == before + 1);
	struct tp_dst d = tp_response_dst(b->msg[before]);
	for (obj_id id = 1; id <= n; id++)
		CHECK_EQ(tp_send(b->tp[0], &d, request("filler", NULL, 8'000), id), OK);
	return d;
}

TEST(tcp_slow_reader_delays_nobody)
{
	begin(NULL);
	struct raw *slow = raw_connect(w, "10.0.0.3", to_b().to);
	slow->is_slow = true;
	fill(slow, 20); /* 160 kB, more than the window */
	struct raw *quick = raw_connect(w, "10.0.0.4", to_b().to);
	raw_write(quick, request("quick", NULL, 0));
	WAIT(w, b->n_msg == 2);
	struct tp_dst d = tp_response_dst(b->msg[1]);
	CHECK_EQ(tp_send(b->tp[0], &d, response("quick", NULL, 200), 0), OK);
	world_pass(w, 2'000);
	CHECK(str_starts(buf_view(&quick->in), STR("SIP/2.0 200")));
	/* it reads at last, and gets everything, in order */
	raw_read_on(slow);
	WAIT(w, slow->in.n >= 160'000);
	CHECK_EQ(slow->in.n, 20 * request("filler", NULL, 8'000).n);
	CHECK_EQ(b->n_error, 0);
	world_free(w);
}

TEST(tcp_overflow_closes_and_tells)
{
	begin(NULL);
	struct raw *slow = raw_connect(w, "10.0.0.3", to_b().to);
	slow->is_slow = true;
	struct tp_dst d = fill(slow, 8); /* one window */
	enum err e = OK;
	obj_id id = 9;
	for (; e == OK; id++)
		e = tp_send(b->tp[0], &d, request("filler", NULL, 8'000), id);
	CHECK_EQ(e, ERR_LIMIT);
	CHECK(id < 60);          /* 256 kB of queue */
	CHECK_EQ(b->n_error, 0); /* never from inside tp_send */
	CHECK(!tp_flow_is_up(b->tp[0], d.flow));
	WAIT(w, b->n_down == 1);
	CHECK(b->n_error > 0);
	for (size_t i = 0; i < b->n_error; i++) { /* in order, up to the one before the refused */
		CHECK_EQ(b->error[i].e.err, ERR_LIMIT);
		CHECK(b->error[i].e.owner == id - 1 - b->n_error + i);
	}
	CHECK_EQ(stats_of(b).n_overflow, 1);
	world_free(w);
}

TEST(tcp_stalled_queue)
{
	begin(NULL);
	struct raw *slow = raw_connect(w, "10.0.0.3", to_b().to);
	slow->is_slow = true;
	fill(slow, 12);
	world_pass(w, 31'000'000);
	CHECK_EQ(b->n_down, 0);
	world_pass(w, 2'000'000);
	CHECK_EQ(b->n_down, 1);
	CHECK(b->n_error > 0 && b->error[0].e.err == ERR_TIMEOUT);
	CHECK_EQ(stats_of(b).n_stalled, 1);
	world_free(w);
}

/* Two bytes of pong are not two bytes of memory. */
TEST(tcp_pings_without_reading)
{
	begin(NULL);
	struct raw *slow = raw_connect(w, "10.0.0.3", to_b().to);
	slow->is_slow = true;
	fill(slow, 10);
	for (int i = 0; i < 3'000 && slow->sock && b->n_down == 0; i++) {
		raw_write(slow, STR("\r\n\r\n\r\n\r\n"));
		world_pass(w, 100);
	}
	WAIT(w, b->n_down == 1);
	CHECK_EQ(stats_of(b).n_overflow, 1);
	world_free(w);
}

/* --- bounds --------------------------------------------------------------------------------- */

TEST(tcp_connections_per_source)
{
	struct tp_limits limits = {.max_per_source = 3};
	struct raw *r[4];
	begin(&limits);
	for (int i = 0; i < 4; i++) {
		r[i] = i ? raw_more(r[0], to_b().to) : raw_connect(w, "10.0.0.3", to_b().to);
		WAIT(w, r[i]->is_up);
		world_pass(w, 5'000);
	}
	CHECK(!r[2]->is_over && r[3]->is_over);
	CHECK_EQ(node_connections(b), 3);
	CHECK_EQ(stats_of(b).n_refused, 1);
	struct raw *other = raw_connect(w, "10.0.0.4", to_b().to);
	raw_write(other, request("other", NULL, 0));
	WAIT(w, b->n_msg == 1);
	raw_close(r[0]);
	WAIT(w, node_connections(b) == 3);
	struct raw *again = raw_more(r[1], to_b().to);
	raw_write(again, request("again", NULL, 0));
	WAIT(w, b->n_msg == 2);
	world_free(w);
}

TEST(tcp_connections_in_all)
{
	struct tp_limits limits = {.max_connections = 2};
	begin(&limits);
	struct raw *r1 = raw_connect(w, "10.0.0.3", to_b().to);
	struct raw *r2 = raw_connect(w, "10.0.0.4", to_b().to);
	WAIT(w, r1->is_up && r2->is_up);
	struct raw *r3 = raw_connect(w, "10.0.0.5", to_b().to);
	WAIT(w, r3->is_over);
	struct tp_dst d = to_addr(TP_TCP, at("10.0.0.1:5060"));
	CHECK_EQ(tp_send(b->tp[0], &d, request("x", NULL, 0), 1), ERR_LIMIT);
	CHECK(!r1->is_over && !r2->is_over);
	CHECK_EQ(stats_of(b).n_refused, 2);
	world_free(w);
}

TEST(tcp_message_over_the_bound)
{
	struct tp_limits limits = {.max_message = 5'000};
	begin(&limits);
	struct tp_dst d = to_b();
	CHECK_EQ(tp_send(a->tp[0], &d, request("fits", NULL, 4'500), 0), OK);
	WAIT(w, b->n_msg == 1);
	CHECK_EQ(tp_send(a->tp[0], &d, request("large", NULL, 5'000), 0), OK);
	WAIT(w, b->n_msg == 2); /* its head, for the answer */
	CHECK_STR(b->msg[1]->msg->call_id, "large");
	CHECK_EQ(b->msg[1]->msg->body.n, 0);
	CHECK(sip_msg_verdict(b->msg[1]->msg, NULL) >= 400);
	WAIT(w, b->n_down == 1);
	CHECK_EQ(tp_send(a->tp[0], &d, request("giant", NULL, 0), 0), OK);
	world_free(w);
}

/* --- names ---------------------------------------------------------------------------------- */

TEST(tcp_local_names)
{
	struct addr out, want;
	begin(NULL);
	struct tp_dst d = to_b();
	/* a has no TCP listener and no connection: an address without port */
	CHECK_EQ(tp_local_for(a->tp[0], &d, &out), OK);
	want = at("10.0.0.1");
	CHECK(addr_eq(&out, &want));
	CHECK_EQ(tp_send(a->tp[0], &d, request("x", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 1);
	/* now its connection's own */
	CHECK_EQ(tp_local_for(a->tp[0], &d, &out), OK);
	CHECK(addr_eq(&out, &b->msg[0]->from));
	/* with a listener: where it can be called */
	node_listen(a, TP_TCP, "10.0.0.1:5080");
	want = at("10.0.0.1:5080");
	CHECK_EQ(tp_local_for(a->tp[0], &d, &out), OK);
	CHECK(addr_eq(&out, &want));
	/* an accepted connection is known by its listener's address */
	d = tp_dst_back(b->msg[0]);
	want = at("10.0.0.2:5060");
	CHECK_EQ(tp_local_for(b->tp[0], &d, &out), OK);
	CHECK(addr_eq(&out, &want));
	world_free(w);
}

TEST(tcp_binds_to_its_only_address)
{
	w = world_new(false);
	a = node_new(w, "10.0.0.1,10.0.0.7", 1, NULL);
	b = node_new(w, "10.0.0.2", 1, NULL);
	node_listen(a, TP_UDP, "10.0.0.7:5060");
	node_listen(b, TP_TCP, "10.0.0.2:5060");
	struct tp_dst d = to_b();
	CHECK_EQ(tp_send(a->tp[0], &d, request("x", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 1);
	struct addr want = at("10.0.0.7:5060");
	CHECK(addr_ip_eq(&b->msg[0]->from, &want));
	world_free(w);
}

TEST(tcp_tap)
{
	begin(NULL);
	node_tap(a);
	node_tap(b);
	struct tp_dst d = to_b();
	struct str m = request("tapped", NULL, 5);
	CHECK_EQ(tp_send(a->tp[0], &d, m, 0), OK);
	CHECK_EQ(a->n_tap, 0); /* not on its way yet */
	WAIT(w, b->n_msg == 1);
	CHECK_EQ(tp_send(a->tp[0], &d, m, 0), OK);
	WAIT(w, b->n_msg == 2);
	CHECK_EQ(a->n_tap, 2);
	CHECK_EQ(b->n_tap, 2);
	for (size_t i = 0; i < 2; i++) {
		CHECK(a->tap[i].is_sent && !b->tap[i].is_sent);
		CHECK(a->tap[i].n == m.n && b->tap[i].n == m.n);
		CHECK(addr_eq(&a->tap[i].from, &b->tap[i].from));
		CHECK(addr_eq(&a->tap[i].to, &d.to) && addr_eq(&b->tap[i].to, &d.to));
	}
	CHECK_EQ(stats_of(a).n_sent, 2);
	world_free(w);
}

/* [RFC5626 3.5.1, 4.4.1]: CRLF CRLF is answered by CRLF, and that is told. */
TEST(tcp_ping)
{
	static const uint8_t txid[12];
	begin(NULL);
	struct tp_dst d = to_b();
	CHECK_EQ(tp_send(a->tp[0], &d, request("one", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 1);
	CHECK_EQ(tp_ping(a->tp[0], &d, txid), OK);
	WAIT(w, a->n_pong == 1);
	CHECK(a->pong.flow != 0 && tp_flow_is_up(a->tp[0], a->pong.flow));
	CHECK_EQ(a->pong.mapped.family, ADDR_NONE);
	CHECK_EQ(b->n_pong, 0);
	tp_flow_close(a->tp[0], a->pong.flow);
	tp_flow_close(a->tp[0], 0);
	WAIT(w, a->n_down == 1 && b->n_down == 1);
	world_free(w);
}
