/* Want of room: full pools and allocations that fail, one after the other, while a call forks. The
 * exchange says 503 or loses a message, as the network does; it neither dies nor keeps anything,
 * and afterwards works as before. */
#include "scene.h"

/* No room for client transactions: 503, then again at work. */
TEST_NO_OOM(full_client_pool)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	for (size_t i = 0; i < t->s->n_shards; i++)
		tsx_set_limits(exc_transactions(t->s->exc, i), 0, 1000, 1000);
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 503", 1);
	CHECK(raw_has(m, "9002"));
	raw_ack(t->a, 0, &t->call, m);
	for (size_t i = 0; i < t->s->n_shards; i++)
		tsx_set_limits(exc_transactions(t->s->exc, i), 1000, 1000, 1000);
	struct scene_dialog d;
	t->call = (struct raw_req){.method = "INVITE", .uri = TO_B};
	scene_invite(t);
	scene_answer(t, t->b, &d);
	scene_free(t);
}

/* Half of a fork fits: the call goes on with it. */
TEST_NO_OOM(half_a_fork)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_register(t->c, C_CONTACT);
	for (size_t i = 0; i < t->s->n_shards; i++)
		tsx_set_limits(exc_transactions(t->s->exc, i), 1, 1000, 1000);
	scene_invite(t);
	stage_run(t->s, 1);
	struct raw_msg *at_b = raw_poll(t->b, "INVITE "), *at_c = raw_poll(t->c, "INVITE ");
	CHECK(!at_b != !at_c);
	raw_reply(at_b ? t->b : t->c, at_b ? at_b : at_c, "200 OK", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* No room for server transactions: 503 with Retry-After [RFC3261 21.5.4]; a CANCEL and a BYE still
 * pass. */
TEST_NO_OOM(full_server_pool)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	for (size_t i = 0; i < t->s->n_shards; i++) {
		struct tsx_stats st;
		tsx_stats(exc_transactions(t->s->exc, i), &st);
		tsx_set_limits(exc_transactions(t->s->exc, i), 1000, st.live_server + 1, 1000);
	}
	raw_flush(t->a);
	for (int i = 0; i < 8; i++) {
		struct raw_req q = {.method = "INVITE", .uri = TO_B};
		raw_request(t->a, 0, &q);
	}
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 503", 1);
	CHECK(raw_header(m, "Retry-After", 0).n > 0);
	scene_free(t);
}

/* What a call does, whatever of it arrives. */
static void fork_and_answer(struct scene *t)
{
	struct raw_msg *m;
	raw_request(t->a, 0, &t->call);
	stage_run(t->s, 0.1);
	if ((m = raw_poll(t->a, "SIP/2.0 407"))) {
		raw_ack(t->a, 0, &t->call, m);
		raw_answer_challenge(t->a, &t->call, m);
		raw_request(t->a, 0, &t->call);
	}
	stage_run(t->s, 0.1);
	if ((m = raw_poll(t->b, "INVITE "))) {
		raw_reply(t->b, m, "180 Ringing", "b", NULL, NULL);
		raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	}
	if ((m = raw_poll(t->c, "INVITE ")))
		raw_reply(t->c, m, "486 Busy Here", "c", NULL, NULL);
	stage_run(t->s, 0.1);
	struct raw_req s = {.method = "SUBSCRIBE",
			    .uri = "sip:1001@" STAGE_SERVER,
			    .extra = "Event: message-summary\nExpires: 60\n"};
	raw_request(t->a, 0, &s);
	stage_run(t->s, 0.1);
	if ((m = raw_poll(t->a, "SIP/2.0 407"))) {
		raw_answer_challenge(t->a, &s, m);
		raw_request(t->a, 0, &s);
	}
	stage_run(t->s, 0.1);
}

TEST_NO_OOM(each_allocation_fails_once)
{
	bool is_last = false;
	size_t k = 1;
	for (; !is_last; k++) {
		struct scene *t = scene_new();
		scene_register(t->b, B_CONTACT);
		scene_register(t->c, "<sip:1002@c.example>");
		raw_dns(t->s, "c.example", "10.0.0.23");
		t->call.extra = "Supported: histinfo\n"
				"History-Info: <sip:z@z>;index=1\n";
		size_t before = test_allocs();
		test_fail_alloc(k);
		fork_and_answer(t);
		is_last = test_allocs() - before < k;
		test_fail_alloc(0);
		raw_flush(t->c);
		struct raw_req q = {.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
		raw_request(t->c, 0, &q);
		raw_get(t->c, "SIP/2.0 200", 1);
		scene_free(t); /* nothing is left */
	}
	CHECK(k > 10);
}
