/* UDP in virtual time: the way there and back, sizes, keep-alives, addresses, ICMP, tap. */

#include "rig.h"

#include <string.h>

static struct world *w;
static struct node *a, *b;

static void begin(void)
{
	w = world_new(false);
	a = node_new(w, "10.0.0.1", 1, NULL);
	b = node_new(w, "10.0.0.2", 1, NULL);
	node_listen(a, TP_UDP, "10.0.0.1:5060");
	node_listen(b, TP_UDP, "10.0.0.2:5060");
}

static enum err send_to(struct node *n, struct addr to, struct str bytes)
{
	struct tp_dst d = to_addr(TP_UDP, to);
	return tp_send(n->tp[0], &d, bytes, 0);
}

/* The Via says 192.0.2.9:5060, without a value for rport; the answer goes to where the request came
 * from. [RFC3581 4] [RFC3261 18.2.2] */
TEST(udp_there_and_back)
{
	begin();
	CHECK_EQ(send_to(a, node_addr(b, 0), request("call-1", NULL, 10)), OK);
	WAIT(w, b->n_msg == 1);
	struct tp_rx *rx = b->msg[0];
	CHECK_STR(rx->msg->call_id, "call-1");
	CHECK_EQ(rx->msg->body.n, 10);
	CHECK(rx->proto == TP_UDP && rx->flow == 0 && rx->at_us > 0);
	struct addr from = at("10.0.0.1:5060"), to = at("10.0.0.2:5060");
	CHECK(addr_eq(&rx->from, &from) && addr_eq(&rx->to, &to));
	struct tp_dst d = tp_response_dst(rx);
	CHECK_EQ(tp_send(b->tp[0], &d, response("call-1", NULL, 200), 0), OK);
	WAIT(w, a->n_msg == 1);
	CHECK_EQ(a->msg[0]->msg->status, 200);
	world_free(w);
}

TEST(udp_large)
{
	begin();
	struct str head = request("big", NULL, 0);
	struct str most = request("big", NULL, 65'507 - head.n - 4); /* four more digits */
	CHECK_EQ(most.n, 65'507);
	CHECK_EQ(send_to(a, node_addr(b, 0), most), OK);
	WAIT(w, b->n_msg == 1);
	CHECK_EQ(b->msg[0]->msg->n_bytes, 65'507);
	CHECK_EQ(b->msg[0]->msg->n_diags, 0);
	CHECK_EQ(send_to(a, node_addr(b, 0), request("big", NULL, 65'508 - head.n - 4)), ERR_LIMIT);
	world_free(w);
}

TEST(udp_garbage_and_keep_alives)
{
	struct tp_stats s;
	static const struct {
		const char *p;
		size_t n;
		bool is_keep_alive;
	} datagrams[] = {
		{"",			      0,  true }, /* empty */
		{"\r\n\r\n",                      4,  true },
		{"\r\n",			  2,  true },
		{"\0\0\0\0",                      4,  true },
		{"\0",			    1,  true },
		{"hello",                         5,  false},
		{"GET / HTTP/1.1\r\n\r\n",        18, false},
		{"\0\1\0\0\x21\x12\xa4\x42"
		 "0123456789ab", 20, true }, /* STUN: answered as such */
		{"\0\1\0\4\x21\x12\xa4\x42"
		 "0123456789ab", 20, false}, /* STUN that is broken */
		{"INVITE\0sip:x\0SIP/2.0",        20, false},
	};
	begin();
	node_tap(b);
	size_t keep_alives = 0, garbage = 0;
	for (size_t i = 0; i < sizeof(datagrams) / sizeof(datagrams[0]); i++) {
		struct str bytes = str_of(datagrams[i].p, datagrams[i].n);
		CHECK_EQ(send_to(a, node_addr(b, 0), bytes), OK);
		keep_alives += datagrams[i].is_keep_alive;
		garbage += !datagrams[i].is_keep_alive;
	}
	CHECK_EQ(send_to(a, node_addr(b, 0), request("after", NULL, 0)), OK);
	WAIT(w, b->n_msg == 1);
	tp_stats(b->tp[0], &s);
	CHECK_EQ(s.n_keep_alive, keep_alives);
	CHECK_EQ(s.n_garbage, garbage);
	CHECK_EQ(s.n_received, 1);
	CHECK_EQ(b->n_tap, garbage + 1); /* the tap sees what was dropped */
	CHECK_EQ(a->n_msg, 0);           /* and nobody was answered in SIP */
	/* line ends before a message belong to it [RFC3261 7.5] */
	static char text[2000] = "\r\n\r\n";
	struct str m = request("later", NULL, 3);
	memcpy(text + 4, m.p, m.n);
	CHECK_EQ(send_to(a, node_addr(b, 0), str_of(text, m.n + 4)), OK);
	WAIT(w, b->n_msg == 2);
	CHECK_STR(b->msg[1]->msg->call_id, "later");
	world_free(w);
}

/* What can be read but not accepted goes up, for the layer above to answer. */
TEST(udp_bad_but_readable)
{
	const struct sip_diag *why = NULL;
	begin();
	CHECK_EQ(
		send_to(a, node_addr(b, 0),
			STR("OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n")),
		OK);
	WAIT(w, b->n_msg == 1);
	CHECK_EQ(sip_msg_verdict(b->msg[0]->msg, &why), 400);
	CHECK(why);
	world_free(w);
}

TEST(udp_tap)
{
	begin();
	node_tap(a);
	node_tap(b);
	struct str m = request("tapped", NULL, 0);
	CHECK_EQ(send_to(a, node_addr(b, 0), m), OK);
	WAIT(w, b->n_msg == 1);
	struct addr from = at("10.0.0.1:5060"), to = at("10.0.0.2:5060");
	struct node *const both[] = {a, b};
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct node *n = both[i];
		CHECK_EQ(n->n_tap, 1);
		CHECK_EQ(n->tap[0].is_sent, n == a);
		CHECK_EQ(n->tap[0].n, m.n);
		CHECK(addr_eq(&n->tap[0].from, &from) && addr_eq(&n->tap[0].to, &to));
	}
	tp_set_tap(a->tp[0], NULL);
	CHECK_EQ(send_to(a, node_addr(b, 0), m), OK);
	CHECK_EQ(a->n_tap, 1);
	world_free(w);
}

TEST(udp_ipv6)
{
	w = world_new(false);
	a = node_new(w, "2001:db8::1", 1, NULL);
	b = node_new(w, "2001:db8::2", 1, NULL);
	node_listen(a, TP_UDP, "[2001:db8::1]:5060");
	node_listen(b, TP_UDP, "[2001:db8::2]:5070");
	CHECK_EQ(send_to(a, at("[2001:db8::2]:5070"), request("six", NULL, 0)), OK);
	WAIT(w, b->n_msg == 1);
	struct addr from = at("[2001:db8::1]:5060");
	CHECK(addr_eq(&b->msg[0]->from, &from));
	/* no listener of that family */
	CHECK_EQ(send_to(a, at("10.0.0.2:5060"), request("four", NULL, 0)), ERR_NET);
	world_free(w);
}

/* Several addresses: answers leave from the address that was asked, and names fit the peer. */
TEST(udp_several_addresses)
{
	struct addr out;
	w = world_new(false);
	a = node_new(w, "10.0.0.1,10.9.0.1,2001:db8::1", 1, NULL);
	b = node_new(w, "10.9.0.2,2001:db8::2", 1, NULL);
	node_listen(a, TP_UDP, "10.0.0.1:5060");
	node_listen(a, TP_UDP, "10.9.0.1:5070");
	node_listen(a, TP_UDP, "[::]:5060");
	node_listen(b, TP_UDP, "10.9.0.2:5060");
	/* asked at the second address */
	CHECK_EQ(send_to(b, at("10.9.0.1:5070"), request("x", NULL, 0)), OK);
	WAIT(w, a->n_msg == 1);
	struct tp_dst d = tp_response_dst(a->msg[0]);
	CHECK_EQ(tp_local_for(a->tp[0], &d, &out), OK);
	struct addr want = at("10.9.0.1:5070");
	CHECK(addr_eq(&out, &want));
	CHECK_EQ(tp_send(a->tp[0], &d, response("x", NULL, 200), 0), OK);
	WAIT(w, b->n_msg == 1);
	CHECK(addr_eq(&b->msg[0]->from, &want));
	/* pinned to the first */
	d = to_addr(TP_UDP, at("10.9.0.2:5060"));
	d.from = at("10.0.0.1:5060");
	CHECK_EQ(tp_send(a->tp[0], &d, request("y", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 2);
	CHECK(addr_eq(&b->msg[1]->from, &d.from));
	/* not pinned: whatever it leaves from is what it is called */
	d = to_addr(TP_UDP, at("10.9.0.2:5060"));
	CHECK_EQ(tp_local_for(a->tp[0], &d, &out), OK);
	CHECK_EQ(tp_send(a->tp[0], &d, request("z", NULL, 0), 0), OK);
	WAIT(w, b->n_msg == 3);
	CHECK(addr_eq(&b->msg[2]->from, &out));
	/* a wildcard is never named */
	d = to_addr(TP_UDP, at("[2001:db8::2]:5060"));
	CHECK_EQ(tp_local_for(a->tp[0], &d, &out), OK);
	want = at("[2001:db8::1]:5060");
	CHECK(addr_eq(&out, &want));
	world_free(w);
}

TEST(what_is_local)
{
	w = world_new(false);
	a = node_new(w, "10.0.0.1,10.9.0.1", 1, NULL);
	node_listen(a, TP_UDP, "0.0.0.0:5060");
	node_listen(a, TP_UDP, "10.9.0.1:5080");
	static const struct {
		const char *addr;
		bool is_local;
	} cases[] = {
		{"10.0.0.1:5060", true },
                {"10.9.0.1:5060", true },
                {"10.0.0.1",      true },
		{"127.0.0.7",     true },
                {"10.9.0.1:5080", true },
                {"10.0.0.1:5080", false},
		{"10.0.0.1:5061", false},
                {"10.0.0.9:5060", false},
                {"[::1]:5060",    false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct addr x = at(cases[i].addr);
		CHECK_EQ(tp_is_local(a->tp[0], &x), cases[i].is_local);
	}
	world_free(w);
}

/* A closed port: the error names the transaction by its branch. [RFC3261 18.4] */
TEST(udp_icmp)
{
	char out[TP_BRANCH_MAX];
	begin();
	struct str branch = tp_branch_make(a->tp[0], 0x1234, out);
	CHECK_EQ(send_to(a, at("10.0.0.2:9"), request("nobody", out, 0)), OK);
	WAIT(w, a->n_error == 1);
	struct addr peer = at("10.0.0.2:9");
	CHECK_EQ(a->error[0].e.err, ERR_NET);
	CHECK_EQ(a->error[0].e.owner, 0);
	CHECK(addr_eq(&a->error[0].e.peer, &peer));
	CHECK_STR_EQ(a->error[0].e.branch, branch);
	/* the socket goes on */
	CHECK_EQ(send_to(a, node_addr(b, 0), request("alive", NULL, 0)), OK);
	WAIT(w, b->n_msg == 1);
	world_free(w);
}

TEST(listen_fails_with_a_reason)
{
	const char *why = NULL;
	begin();
	struct addr taken = at("10.0.0.1:5060"), foreign = at("10.0.0.99:5060");
	CHECK_EQ(tp_listen(a->tp[0], TP_UDP, &taken, &why), ERR_NET);
	CHECK(why && *why);
	why = NULL;
	CHECK_EQ(tp_listen(a->tp[0], TP_TCP, &foreign, &why), ERR_NET);
	CHECK(why && *why);
	CHECK_EQ(tp_listen(a->tp[0], TP_TLS, &taken, &why), ERR_UNSUPPORTED);
	enum tp_proto p;
	struct addr local;
	CHECK(tp_listener(a->tp[0], 0, &p, &local));
	CHECK(!tp_listener(a->tp[0], 1, &p, &local));
	struct tp_dst d = to_addr(TP_TLS, node_addr(b, 0));
	CHECK_EQ(tp_send(a->tp[0], &d, request(NULL, NULL, 0), 0), ERR_UNSUPPORTED);
	world_free(w);
}

/* [RFC5626 5.4, 8]: the peer's transport answers with the address that it saw, from the address
 * that was asked. */
TEST(udp_ping)
{
	static const uint8_t txid[12] = "twelve bytes";
	begin();
	struct tp_dst d = to_addr(TP_UDP, node_addr(b, 0));
	CHECK_EQ(tp_ping(a->tp[0], &d, txid), OK);
	WAIT(w, a->n_pong == 1);
	struct addr local = node_addr(a, 0);
	CHECK(addr_eq(&a->pong.mapped, &local));
	CHECK(addr_eq(&a->pong.peer, &d.to));
	CHECK(memcmp(a->pong_txid, txid, sizeof(txid)) == 0);
	CHECK_EQ(b->n_pong, 0);
	CHECK_EQ(b->n_msg, 0);
	world_free(w);
}
