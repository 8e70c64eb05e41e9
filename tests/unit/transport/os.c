/* The same over the operating system, on loopback: what only the kernel can tell. */

#include "rig.h"

#include <string.h>

static struct world *w;
static struct node *a, *b;

static void begin(size_t shards)
{
	w = world_new(true);
	a = node_new(w, "127.0.0.1", 1, NULL);
	b = node_new(w, "127.0.0.1", shards, NULL);
	node_listen(a, TP_UDP, "127.0.0.1:0");
}

TEST_NO_OOM(os_udp)
{
	begin(1);
	node_listen(b, TP_UDP, "127.0.0.1:0");
	struct tp_dst d = to_addr(TP_UDP, node_addr(b, 0));
	CHECK_EQ(tp_send(a->tp[0], &d, request("one", NULL, 60'000), 0), OK);
	WAIT(w, b->n_msg == 1);
	CHECK_EQ(b->msg[0]->msg->body.n, 60'000);
	d = tp_response_dst(b->msg[0]);
	CHECK_EQ(tp_send(b->tp[0], &d, response("one", NULL, 200), 0), OK);
	WAIT(w, a->n_msg == 1);
	world_free(w);
}

/* On a wildcard the answer leaves from the address that was asked. */
TEST_NO_OOM(os_udp_wildcard)
{
	struct addr out;
	begin(1);
	node_listen(b, TP_UDP, "0.0.0.0:0");
	struct addr asked = at("127.0.0.77");
	asked.port = node_addr(b, 0).port;
	struct tp_dst d = to_addr(TP_UDP, asked);
	CHECK_EQ(tp_send(a->tp[0], &d, request("one", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 1);
	CHECK(addr_eq(&b->msg[0]->to, &asked));
	d = tp_response_dst(b->msg[0]);
	CHECK_EQ(tp_local_for(b->tp[0], &d, &out), OK);
	CHECK(addr_eq(&out, &asked));
	CHECK_EQ(tp_send(b->tp[0], &d, response("one", NULL, 200), 0), OK);
	WAIT(w, a->n_msg == 1);
	CHECK(addr_eq(&a->msg[0]->from, &asked));
	d = to_addr(TP_UDP, node_addr(a, 0));
	CHECK_EQ(tp_local_for(b->tp[0], &d, &out), OK);
	CHECK(addr_is_loopback(&out) && out.port == asked.port);
	CHECK(tp_is_local(b->tp[0], &asked) && tp_is_local(b->tp[0], &out));
	out = at("192.0.2.1");
	CHECK(!tp_is_local(b->tp[0], &out));
	world_free(w);
}

TEST_NO_OOM(os_ipv6)
{
	const char *why;
	struct addr any = at("[::1]:0");
	w = world_new(true);
	a = node_new(w, "127.0.0.1", 1, NULL);
	if (tp_listen(a->tp[0], TP_UDP, &any, &why) != OK ||
	    tp_listen(a->tp[0], TP_TCP, &any, &why) != OK) {
		world_free(w);
		test_skip("no IPv6 here");
	}
	b = node_new(w, "127.0.0.1", 1, NULL);
	node_listen(b, TP_UDP, "[::1]:0");
	for (size_t i = 0; i < 2; i++) {
		struct tp_dst d = to_addr(i ? TP_TCP : TP_UDP, node_addr(a, i));
		CHECK_EQ(tp_send(b->tp[0], &d, request("six", NULL, 0), 0), OK);
		WAIT(w, a->n_msg == i + 1);
		CHECK(a->msg[i]->from.family == ADDR_V6);
		d = tp_response_dst(a->msg[i]);
		CHECK_EQ(tp_send(a->tp[0], &d, response("six", NULL, 200), 0), OK);
		WAIT(w, b->n_msg == i + 1);
	}
	world_free(w);
}

/* The kernel quotes our datagram: its branch names the transaction. */
TEST_NO_OOM(os_icmp)
{
	char out[TP_BRANCH_MAX] = "";
	begin(1);
	node_listen(b, TP_UDP, "127.0.0.1:0");
	struct addr gone = at("127.0.0.1:1");
	struct tp_dst d = to_addr(TP_UDP, gone);
	struct str branch = tp_branch_make(a->tp[0], 0x1234, out);
	CHECK_EQ(tp_send(a->tp[0], &d, request("gone", out, 0), 0), OK);
	WAIT(w, a->n_error == 1);
	CHECK(addr_eq(&a->error[0].e.peer, &gone));
	CHECK_STR_EQ(a->error[0].e.branch, branch);
	d = to_addr(TP_UDP, node_addr(b, 0));
	CHECK_EQ(tp_send(a->tp[0], &d, request("there", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 1);
	world_free(w);
}

TEST_NO_OOM(os_tcp)
{
	begin(3);
	node_listen(b, TP_TCP, "127.0.0.1:15071");
	struct tp_dst d = to_addr(TP_TCP, node_addr(b, 0));
	for (int i = 0; i < 20; i++)
		CHECK_EQ(tp_send(a->tp[0], &d, request(call_id_for(b, 1), NULL, 5'000), 0), OK);
	WAIT(w, b->n_msg == 20);
	CHECK_EQ(node_connections(b), 1);
	for (size_t s = 0; s < 3; s++) {
		d = tp_response_dst(b->msg[0]);
		CHECK(tp_flow_is_up(b->tp[s], d.flow));
		CHECK_EQ(tp_send(b->tp[s], &d, response("x", NULL, 200), 0), OK);
		WAIT(w, a->n_msg == s + 1);
	}
	struct raw *r = raw_connect(w, "127.0.0.1", node_addr(b, 0));
	raw_write(r, request("raw", NULL, 0));
	WAIT(w, b->n_msg == 21);
	raw_close(r);
	WAIT(w, b->n_down == 3);
	world_free(w);
}

/* A queue over a real socket: nothing is lost, nothing changes places. */
TEST_NO_OOM(os_tcp_slow_reader)
{
	struct tp_limits limits = {.max_queued_bytes = 64u << 20};
	w = world_new(true);
	b = node_new(w, "127.0.0.1", 1, &limits);
	node_listen(b, TP_TCP, "127.0.0.1:0");
	struct raw *r = raw_connect(w, "127.0.0.1", node_addr(b, 0));
	r->is_slow = true;
	raw_write(r, request("slow", NULL, 0));
	WAIT(w, b->n_msg == 1);
	struct tp_dst d = tp_response_dst(b->msg[0]);
	struct str m = request("filler", NULL, 60'000);
	size_t n = 200; /* 12 MB: more than the kernel holds */
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(tp_send(b->tp[0], &d, m, 0), OK);
	world_pass(w, 1'000);
	raw_read_on(r);
	WAIT(w, r->in.n == n * m.n);
	for (size_t i = 0; i < n; i++)
		CHECK(memcmp(r->in.p + i * m.n, m.p, m.n) == 0);
	world_free(w);
}

TEST_NO_OOM(os_connect_refused)
{
	begin(1);
	struct tp_dst d = to_addr(TP_TCP, at("127.0.0.1:1"));
	enum err e = tp_send(a->tp[0], &d, request("x", NULL, 0), 4);
	if (e == OK) {
		WAIT(w, a->n_error == 1);
		CHECK_EQ(a->error[0].e.err, ERR_NET);
	} else {
		CHECK_EQ(e, ERR_NET);
	}
	world_free(w);
}

/* Shards share a port; two exchanges do not. */
TEST_NO_OOM(os_port_in_use)
{
	const char *why = NULL;
	begin(2);
	struct addr x = at("127.0.0.1:15072");
	static const enum tp_proto protos[] = {TP_UDP, TP_TCP};
	for (size_t i = 0; i < 2; i++) {
		node_listen(b, protos[i], "127.0.0.1:15072");
		CHECK_EQ(tp_listen(a->tp[0], protos[i], &x, &why), ERR_NET);
		CHECK_STR(str_c(why), "address already in use");
	}
	struct node *c = node_new(w, "127.0.0.1", 2, NULL);
	for (size_t i = 0; i < 2; i++)
		CHECK_EQ(tp_listen(c->tp[0], protos[i], &x, &why), ERR_NET);
	world_free(w);
}
