/* Several shards: owners, foreign connections, who hears of what. */

#include "rig.h"

#include <stdio.h>
#include <string.h>

static struct world *w;
static struct node *a, *b;

static void begin(size_t shards)
{
	w = world_new(false);
	a = node_new(w, "10.0.0.1", 1, NULL);
	b = node_new(w, "10.0.0.2", shards, NULL);
	node_listen(a, TP_UDP, "10.0.0.1:5060");
	node_listen(b, TP_UDP, "10.0.0.2:5060");
	node_listen(b, TP_TCP, "10.0.0.2:5060");
}

static struct tp_stats sum(const struct node *n)
{
	struct tp_stats all = {0}, s;
	for (size_t i = 0; i < n->n; i++) {
		tp_stats(n->tp[i], &s);
		all.n_received += s.n_received;
		all.n_moved += s.n_moved;
		all.n_mismatched += s.n_mismatched;
	}
	return all;
}

/* All of one socket arrives at one shard; each message goes to the owner of its Call-ID, whole. */
TEST(shards_own_their_call_ids)
{
	char id[16];
	begin(3);
	node_tap(b);
	struct tp_dst d = to_addr(TP_UDP, node_addr(b, 0));
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof(id), "owned-%d", i);
		CHECK_EQ(tp_send(a->tp[0], &d, request(id, NULL, 30), 0), OK);
	}
	WAIT(w, b->n_msg == 30);
	size_t n_moved = 0, arrived = SIZE_MAX;
	for (size_t i = 0; i < 30; i++) {
		const struct sip_msg *m = b->msg[i]->msg;
		CHECK_EQ(b->msg_shard[i], tp_owner_of(b->tp[0], m->call_id, STR_NONE));
		CHECK_EQ(m->body.n, 30);
		CHECK(sip_value(m, SIP_HDR_CSEQ).n > 0);
	}
	for (size_t i = 0; i < 3; i++) {
		struct tp_stats s;
		tp_stats(b->tp[i], &s);
		if (s.n_received)
			arrived = i;
	}
	for (size_t i = 0; i < 30; i++)
		n_moved += b->msg_shard[i] != arrived;
	CHECK_EQ(sum(b).n_moved, n_moved);
	CHECK(n_moved > 5 && n_moved < 30);
	CHECK_EQ(b->n_tap, 30); /* exactly once each */
	/* messages of one call stay in order, whatever shard they pass */
	node_forget(b);
	for (size_t i = 0; i < 20; i++)
		CHECK_EQ(tp_send(a->tp[0], &d, request("one-call", NULL, i), 0), OK);
	WAIT(w, b->n_msg == 20);
	for (size_t i = 0; i < 20; i++)
		CHECK_EQ(b->msg[i]->msg->body.n, i);
	world_free(w);
}

/* A response goes where our branch says; one that contradicts itself goes nowhere. */
TEST(shards_responses_follow_the_branch)
{
	char out[TP_BRANCH_MAX] = "";
	begin(3);
	struct tp_dst d = to_addr(TP_UDP, node_addr(b, 0));
	for (size_t s = 0; s < 3; s++) {
		tp_branch_make(b->tp[0], (obj_id)s << 48 | 7, out);
		CHECK_EQ(tp_send(a->tp[0], &d, response(call_id_for(b, s), out, 200), 0), OK);
		WAIT(w, b->n_msg == s + 1);
		CHECK_EQ(b->msg_shard[s], s);
	}
	CHECK_EQ(tp_send(a->tp[0], &d, response(call_id_for(b, 0), out, 200), 0), OK);
	WAIT(w, sum(b).n_mismatched == 1);
	/* a request may bear our branch (it came back to us): its Call-ID counts */
	CHECK_EQ(tp_send(a->tp[0], &d, request(call_id_for(b, 1), out, 0), 0), OK);
	WAIT(w, b->n_msg == 4);
	CHECK_EQ(b->msg_shard[3], 1);
	/* a stranger's branch in a response: the Call-ID counts */
	CHECK_EQ(tp_send(a->tp[0], &d, response(call_id_for(b, 2), NULL, 200), 0), OK);
	WAIT(w, b->n_msg == 5);
	CHECK_EQ(b->msg_shard[4], 2);
	world_free(w);
}

static bool bodies_of_7_to_2(void *ctx, const struct sip_msg *m, size_t *shard)
{
	*shard = 2;
	return m->body.n == 7;
}

/* The layer above may know better than the Call-ID; and then the answers to REGISTER are free. */
TEST(shards_ask_above)
{
	char out[TP_BRANCH_MAX], text[600];
	begin(3);
	struct tp_dst d = to_addr(TP_UDP, node_addr(b, 0));
	for (size_t i = 0; i < 3; i++)
		tp_set_owner(b->tp[i], bodies_of_7_to_2, NULL);
	for (size_t i = 0; i < 3; i++) {
		CHECK_EQ(tp_send(a->tp[0], &d, request(call_id_for(b, i), NULL, 7), 0), OK);
		CHECK_EQ(tp_send(a->tp[0], &d, request(call_id_for(b, i), NULL, 8), 0), OK);
		WAIT(w, b->n_msg == 2 * i + 2);
	}
	for (size_t i = 0; i < 6; i++)
		CHECK_EQ(b->msg_shard[i], b->msg[i]->msg->body.n == 7 ? 2 : i / 2);
	tp_branch_make(b->tp[0], (obj_id)1 << 48 | 7, out);
	struct str r = response(call_id_for(b, 0), out, 200);
	size_t at = str_find(r, STR("CSeq: 1 ")) + 8;
	int n = snprintf(text, sizeof(text), "%.*sREGISTER%s", (int)at, r.p,
			 "\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(tp_send(a->tp[0], &d, str_of(text, (size_t)n), 0), OK);
	WAIT(w, b->n_msg == 7);
	CHECK_EQ(b->msg_shard[6], 1);
	CHECK_EQ(tp_send(a->tp[0], &d, r, 0), OK); /* an OPTIONS' is held to its Call-ID */
	WAIT(w, sum(b).n_mismatched == 1);
	world_free(w);
}

/* A connection is reached from every shard, its end is heard on every shard, once. */
TEST(shards_share_flows)
{
	begin(4);
	struct raw *r = raw_connect(w, "10.0.0.3", at("10.0.0.2:5060"));
	for (size_t s = 0; s < 4; s++) {
		raw_write(r, request(call_id_for(b, s), NULL, 0));
		WAIT(w, b->n_msg == s + 1);
		CHECK_EQ(b->msg_shard[s], s);
		CHECK(b->msg[s]->flow == b->msg[0]->flow);
	}
	struct tp_dst d = tp_response_dst(b->msg[0]);
	CHECK(!tp_flow_is_up(b->tp[0], d.flow + (1 << 24)));
	CHECK(!tp_flow_is_up(b->tp[0], d.flow + 1));
	CHECK(!tp_flow_is_up(b->tp[0], (d.flow & ~(255ull << 48)) | 200ull << 48));
	for (size_t s = 0; s < 4; s++) {
		CHECK(tp_flow_is_up(b->tp[s], d.flow));
		CHECK_EQ(tp_send(b->tp[s], &d, response("x", NULL, 200 + (int)s), 0), OK);
	}
	struct str one = response("x", NULL, 200);
	WAIT(w, r->in.n == 4 * one.n);
	/* several of one shard keep their order */
	buf_clear(&r->in);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(tp_send(b->tp[i < 4 ? 1 : 2], &d, response("x", NULL, 300 + i), 0), OK);
	WAIT(w, r->in.n == 8 * one.n);
	int last[2] = {300, 304};
	for (int i = 0; i < 8; i++) {
		uint32_t status = 0;
		CHECK(str_u32(str_of(r->in.p + (size_t)i * one.n + 8, 3), &status));
		CHECK_EQ(status, last[status >= 304]++);
	}
	raw_close(r);
	WAIT(w, b->n_down == 4);
	world_pass(w, 100'000);
	CHECK_EQ(b->n_down, 4);
	bool seen[4] = {0};
	for (size_t i = 0; i < 4; i++) {
		CHECK(b->down[i].flow == d.flow);
		seen[b->down[i].shard] = true;
		CHECK(!tp_flow_is_up(b->tp[i], d.flow));
		CHECK_EQ(tp_send(b->tp[i], &d, response("x", NULL, 200), 1), ERR_NET);
	}
	CHECK(seen[0] && seen[1] && seen[2] && seen[3]);
	CHECK_EQ(node_connections(b), 0);
	CHECK_EQ(b->n_error, 0);
	world_free(w);
}

/* A connection of ours is on the shard of its address, whoever asked for it. */
TEST(shards_share_connections_by_address)
{
	begin(4);
	node_listen(a, TP_TCP, "10.0.0.1:5060");
	struct tp_dst d = to_addr(TP_TCP, at("10.0.0.1:5060"));
	for (size_t s = 0; s < 4; s++)
		CHECK_EQ(tp_send(b->tp[s], &d, request("x", NULL, s), 0), OK);
	WAIT(w, a->n_msg == 4);
	CHECK_EQ(node_connections(b), 1);
	CHECK_EQ(node_connections(a), 1);
	/* the answers come in there and go to their owners */
	for (size_t s = 0; s < 4; s++) {
		struct tp_dst back = tp_response_dst(a->msg[0]);
		CHECK_EQ(tp_send(a->tp[0], &back, response(call_id_for(b, s), NULL, 200), 0), OK);
		WAIT(w, b->n_msg == s + 1);
		CHECK_EQ(b->msg_shard[s], s);
	}
	world_free(w);
}

/* A send that fails on another shard is told to the shard of its owner. */
TEST(shards_hear_of_failures)
{
	begin(4);
	struct tp_dst d = to_addr(TP_TCP, at("10.0.0.1:9"));
	for (size_t s = 0; s < 4; s++)
		CHECK_EQ(tp_send(b->tp[s], &d, request("x", NULL, 0), (obj_id)s << 48 | 5), OK);
	WAIT(w, b->n_error == 4);
	bool seen[4] = {0};
	for (size_t i = 0; i < 4; i++) {
		CHECK_EQ(b->error[i].e.err, ERR_NET);
		CHECK_EQ(obj_id_shard(b->error[i].e.owner), b->error[i].shard);
		CHECK(addr_eq(&b->error[i].e.peer, &d.to));
		seen[b->error[i].shard] = true;
	}
	CHECK(seen[0] && seen[1] && seen[2] && seen[3]);
	/* a flow that ended while the message was on its way to it */
	struct raw *r = raw_connect(w, "10.0.0.3", at("10.0.0.2:5060"));
	raw_write(r, request("x", NULL, 0));
	WAIT(w, b->n_msg == 1);
	d = tp_response_dst(b->msg[0]);
	size_t home = obj_id_shard(d.flow), other = (home + 1) % 4;
	raw_write(r, STR("garbage that ends it\r\n\r\n"));
	node_forget(b);
	for (int i = 0; i < 5'000 && b->n_down == 0 && b->n_error == 0; i++) {
		enum err e = tp_send(b->tp[other], &d, response("x", NULL, 200),
				     (obj_id)other << 48 | 6);
		CHECK(e == OK || e == ERR_NET);
		world_pass(w, 20);
	}
	WAIT(w, b->n_down == 4);
	for (size_t i = 0; i < b->n_error; i++)
		CHECK_EQ(b->error[i].shard, other);
	world_free(w);
}

/* What the other shard cannot even begin is told as well. */
TEST(shards_hear_of_refusals)
{
	struct tp_limits limits = {.max_connections = 1};
	w = world_new(false);
	a = node_new(w, "10.0.0.1", 1, NULL);
	b = node_new(w, "10.0.0.2", 2, &limits);
	for (int port = 0; port < 8; port++) /* to 8 places with room for one per shard */
		for (size_t s = 0; s < 2; s++) {
			struct tp_dst d = to_addr(TP_TCP, at("10.99.0.1:5060"));
			d.to.port = (uint16_t)(5060 + port);
			enum err e = tp_send(b->tp[s], &d, request("x", NULL, 0),
					     (obj_id)s << 48 | (obj_id)(port + 1));
			CHECK(e == OK || e == ERR_LIMIT);
		}
	world_pass(w, 1'000'000);
	CHECK(b->n_error > 0);
	for (size_t i = 0; i < b->n_error; i++) {
		CHECK_EQ(b->error[i].e.err, ERR_LIMIT);
		CHECK_EQ(obj_id_shard(b->error[i].e.owner), b->error[i].shard);
	}
	world_free(w);
}

/* With a shared port the kernel may give an ICMP error to any of our sockets; the quoted branch
 * brings it to its transaction's shard. */
TEST(shards_hear_of_icmp)
{
	char out[TP_BRANCH_MAX] = "";
	begin(4);
	struct tp_dst d = to_addr(TP_UDP, at("10.0.0.1:9"));
	for (size_t s = 0; s < 4; s++) {
		struct str branch = tp_branch_make(b->tp[0], (obj_id)s << 48 | 7, out);
		CHECK_EQ(tp_send(b->tp[1], &d, request("x", out, 0), 0), OK);
		WAIT(w, b->n_error == s + 1);
		CHECK_EQ(b->error[s].shard, s);
		CHECK_STR_EQ(b->error[s].e.branch, branch);
	}
	/* somebody else's branch, as in a response that we sent: the Call-ID tells */
	const char *id = call_id_for(b, 2);
	CHECK_EQ(tp_send(b->tp[1], &d, response(id, "z9hG4bKtheirs", 200), 0), OK);
	WAIT(w, b->n_error == 5);
	CHECK_EQ(b->error[4].shard, 2);
	CHECK_STR(b->error[4].e.branch, "z9hG4bKtheirs");
	world_free(w);
}

/* Everything ends while messages are on their way between shards: nothing leaks. */
TEST(shards_end_with_full_inboxes)
{
	begin(4);
	struct raw *r = raw_connect(w, "10.0.0.3", at("10.0.0.2:5060"));
	raw_write(r, request("x", NULL, 0));
	WAIT(w, b->n_msg == 1);
	struct tp_dst d = tp_response_dst(b->msg[0]), u = to_addr(TP_UDP, node_addr(b, 0));
	for (size_t s = 0; s < 4; s++) {
		CHECK_EQ(tp_send(b->tp[s], &d, response("x", NULL, 200), 1), OK);
		CHECK_EQ(tp_send(a->tp[0], &u, request(call_id_for(b, s), NULL, 0), 0), OK);
	}
	/* by hand, so that it stops between two shards: each takes what has come, once */
	raw_close(r);
	world_pass(w, 990);
	env_poll(b->env[obj_id_shard(d.flow)], 0);
	world_free(w);
}

TEST(shards_free_without_running)
{
	begin(2);
	world_free(w);
}
