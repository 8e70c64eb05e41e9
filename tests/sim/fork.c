/* Forking, cancelling and choosing answers, with peers of text [RFC3261 16, 9] [RFC5393] [RFC6026].
 */
#include "scene.h"

static void register_both(struct scene *t, const char *b_q, const char *c_q)
{
	char text[80];
	snprintf(text, sizeof(text), B_CONTACT "%s", b_q);
	scene_register(t->b, text);
	snprintf(text, sizeof(text), C_CONTACT "%s", c_q);
	scene_register(t->c, text);
}

/* [RFC3261 16.7 step 10] [RFC3326 2] */
TEST_NO_OOM(fork_first_answer_cancels_the_other)
{
	struct scene *t = scene_new();
	register_both(t, "", "");
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1), *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	raw_reply(t->c, at_c, "180 Ringing", "c", NULL, NULL);
	raw_get(t->a, "SIP/2.0 180", 1);
	raw_get(t->a, "SIP/2.0 180", 1);
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
	struct raw_msg *cancel = raw_get(t->c, "CANCEL ", 1);
	CHECK(raw_has(cancel, "Reason: SIP;cause=200"));
	/* it is the INVITE's: same request-URI, Call-ID, From, To, CSeq number, top Via [9.1] */
	CHECK_STR_EQ(raw_uri(cancel), raw_uri(at_c));
	CHECK_STR_EQ(raw_header(cancel, "Via", 0), raw_header(at_c, "Via", 0));
	CHECK_EQ(raw_count(cancel, "Via"), 1);
	CHECK_STR_EQ(raw_header(cancel, "To", 0), raw_header(at_c, "To", 0));
	raw_reply(t->c, cancel, "200 OK", "c", NULL, NULL);
	raw_reply(t->c, at_c, "487 Request Terminated", "c", NULL, NULL);
	raw_get(t->c, "ACK ", 1);
	raw_get(t->a, "SIP/2.0 200", 1);
	raw_none(t->a, "SIP/2.0", 3);
	scene_free(t);
}

/* [RFC3261 16.7 step 5]: each 2xx to an INVITE goes back */
TEST_NO_OOM(fork_two_answers_both_arrive)
{
	struct scene *t = scene_new();
	register_both(t, "", "");
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1), *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
	raw_reply(t->c, at_c, "200 OK", "c", NULL, NULL);
	struct raw_msg *one = raw_get(t->a, "SIP/2.0 200", 1),
		       *two = raw_get(t->a, "SIP/2.0 200", 1);
	CHECK(raw_has(one, "tag=b") != raw_has(two, "tag=b"));
	CHECK(raw_has(one, "tag=c") != raw_has(two, "tag=c"));
	raw_none(t->a, "SIP/2.0", 3);
	scene_free(t);
}

/* [RFC3261 16.6]: q from high to low, the next when the first has refused */
TEST_NO_OOM(serial_next_after_refusal)
{
	struct scene *t = scene_new();
	register_both(t, ";q=0.2", ";q=0.9");
	scene_invite(t);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	raw_none(t->b, "INVITE ", 0.1);
	raw_reply(t->c, at_c, "486 Busy Here", "c", NULL, NULL);
	raw_get(t->c, "ACK ", 1);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_none(t->a, "SIP/2.0 4", 0.1);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	raw_reply(t->b, at_b, "480 Nobody", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 180", 1);
	raw_get(t->a, "SIP/2.0 48", 1);
	scene_free(t);
}

/* The first group rings its time, is cancelled; the last rings as long as the caller waits: its
 * time is not what is left of the first one's. [RFC3261 16.6, 16.8] */
TEST_NO_OOM(serial_next_after_ringing)
{
	struct scene *t = scene_new();
	register_both(t, ";q=0.2", ";q=0.9");
	scene_invite(t);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->c, at_c, "180 Ringing", "c", NULL, NULL);
	struct raw_msg *cancel = raw_get(t->c, "CANCEL ", 40);
	raw_none(t->a, "SIP/2.0 4", 0);
	raw_reply(t->c, cancel, "200 OK", "c", NULL, NULL);
	raw_reply(t->c, at_c, "487 Request Terminated", "c", NULL, NULL);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	raw_none(t->b, "CANCEL ", 100);
	raw_reply(t->b, at_b, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

TEST_NO_OOM(serial_last_group_has_its_own_time)
{
	struct scene *t = scene_new();
	register_both(t, ";q=0.2", ";q=0.9");
	scene_invite(t);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->c, at_c, "486 Busy Here", "c", NULL, NULL);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	raw_none(t->b, "CANCEL ", 100);
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* Rang everywhere, nobody answered: what the caller hears is no 487, since he gave nothing up
 * [RFC3261 16.7 step 6, 16.8] */
TEST_NO_OOM(serial_nobody_answers)
{
	struct scene *t = scene_new();
	register_both(t, ";q=0.2", ";q=0.9");
	scene_invite(t);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->c, at_c, "180 Ringing", "c", NULL, NULL);
	raw_get(t->c, "CANCEL ", 40);
	raw_reply(t->c, at_c, "487 Request Terminated", "c", NULL, NULL);
	raw_get(t->b, "INVITE ", 1);
	struct raw_msg *end = raw_get(t->a, "SIP/2.0 4", 40);
	CHECK(raw_has(end, "SIP/2.0 408 "));
	scene_free(t);
}

/* [RFC3261 16.7 step 5]: a 6xx ends all branches, but waits for those that run */
TEST_NO_OOM(fork_6xx_ends_all)
{
	struct scene *t = scene_new();
	register_both(t, ";q=0.9", ";q=0.9");
	raw_register(t->c, 0, "<sip:later@10.0.0.23:5060>;q=0.1", NULL);
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1), *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->c, at_c, "180 Ringing", "c", NULL, NULL);
	raw_reply(t->b, at_b, "603 Decline", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	struct raw_msg *cancel = raw_get(t->c, "CANCEL ", 1);
	CHECK(raw_has(cancel, "Reason: SIP;cause=603;"));
	raw_none(t->a, "SIP/2.0 6", 1);
	raw_reply(t->c, cancel, "200 OK", "c", NULL, NULL);
	raw_reply(t->c, at_c, "487 Request Terminated", "c", NULL, NULL);
	raw_get(t->a, "SIP/2.0 603", 1);
	raw_none(t->c, "INVITE sip:later", 3);
	scene_free(t);
}

static const char *best_of(const char *from_b, const char *from_c, struct raw_msg **out,
			   struct scene **scene)
{
	static char status[4];
	struct scene *t = scene_new();
	register_both(t, "", "");
	scene_invite(t);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), from_b, "b",
		  "Proxy-Authenticate: Digest realm=\"b\", nonce=\"1\"\n", NULL);
	raw_reply(t->c, raw_get(t->c, "INVITE ", 1), from_c, "c",
		  "WWW-Authenticate: Digest realm=\"c\", nonce=\"2\"\n", NULL);
	struct raw_msg *end;
	do
		end = raw_get(t->a, "SIP/2.0 ", 40);
	while (raw_has(end, "SIP/2.0 1"));
	memcpy(status, end->bytes + 8, 3);
	if (out) {
		*out = end;
		*scene = t;
	} else {
		scene_free(t);
	}
	return status;
}

/* [RFC3261 16.7 step 6] */
TEST_NO_OOM(best_response)
{
	static const char *const row[][3] = {
		{"486 Busy Here",          "603 Decline",   "603"},
		{"404 Not Found",          "500 Oops",      "404"},
		{"302 Elsewhere",          "404 Not Found", "302"},
		{"487 Request Terminated", "486 Busy Here", "486"},
		{"408 Request Timeout",    "480 Nobody",    "480"},
		{"404 Not Found",          "486 Busy Here", "486"},
		{"480 Nobody",             "486 Busy Here", "486"},
		{"486 Busy Here",          "480 Nobody",    "486"},
		{"415 No",                 "486 Busy Here", "415"},
		{"486 Busy Here",          "484 Too Short", "484"},
		{"503 Overload",           "503 Overload",  "500"},
		{"503 Overload",           "501 Not here",  "501"},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		CHECK_STR_EQ(str_c(best_of(row[i][0], row[i][1], NULL, NULL)), str_c(row[i][2]));
}

/* [RFC3261 16.7 step 7] */
TEST_NO_OOM(best_response_gathers_challenges)
{
	struct raw_msg *m;
	struct scene *t;
	best_of("407 Proxy Authentication Required", "401 Unauthorized", &m, &t);
	CHECK_STR(raw_header(m, "Proxy-Authenticate", 0), "Digest realm=\"b\", nonce=\"1\"");
	CHECK_STR(raw_header(m, "WWW-Authenticate", 0), "Digest realm=\"c\", nonce=\"2\"");
	CHECK_EQ(raw_count(m, "Via"), 1);
	scene_free(t);
}

/* A branch without any answer counts as 408 [RFC3261 16.7]: better than a 5xx of another. */
TEST_NO_OOM(best_response_of_silence)
{
	struct scene *t = scene_new();
	register_both(t, "", "");
	scene_invite(t);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "500 Oops", "b", NULL, NULL);
	raw_none(t->a, "SIP/2.0", 30);
	raw_get(t->a, "SIP/2.0 408", 5);
	scene_free(t);
}

/* [RFC3261 9.1]: no CANCEL before a provisional response */
TEST_NO_OOM(cancel_waits_for_provisional)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_cancel(t->a, 0, &t->call,
		   "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\n"
		   "Reason: Q.850;cause=26, SIP;cause=487\n");
	struct raw_msg *ok = raw_get(t->a, "SIP/2.0 200", 1);
	CHECK(raw_has(ok, "CSeq: 2 CANCEL"));
	raw_none(t->b, "CANCEL ", 5);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	struct raw_msg *cancel = raw_get(t->b, "CANCEL ", 1);
	CHECK(raw_has(cancel, "Reason: SIP;cause=200;text=\"Call completed elsewhere\", "
			      "Q.850;cause=26\r\n")); /* one of each protocol [RFC3326 2] */
	raw_reply(t->b, cancel, "200 OK", "b", NULL, NULL);
	raw_reply(t->b, at_b, "487 Request Terminated", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	struct raw_msg *end = raw_get(t->a, "SIP/2.0 487", 1);
	/* both answers bear the tag of one element, or the INVITE's is the callee's [9.2] */
	CHECK_EQ(raw_count(end, "Via"), 1);
	raw_ack(t->a, 0, &t->call, end);
	raw_none(t->a, "SIP/2.0 4", 5);
	scene_free(t);
}

/* A callee that never says anything: 487 when the INVITE times out. */
TEST_NO_OOM(cancel_of_a_silent_branch)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	raw_get(t->b, "INVITE ", 1);
	raw_cancel(t->a, 0, &t->call, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	raw_get(t->a, "SIP/2.0 487", 40);
	scene_free(t);
}

/* [RFC3261 9.1, 16.10]: the 200 wins */
TEST_NO_OOM(cancel_meets_answer)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 180", 1);
	raw_cancel(t->a, 0, &t->call, NULL);
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL); /* on the way at the same time */
	struct raw_msg *cancel = raw_get(t->b, "CANCEL ", 1);
	raw_reply(t->b, cancel, "481 Gone", "b", NULL, NULL);
	struct raw_msg *one = raw_get(t->a, "SIP/2.0 200", 1),
		       *two = raw_get(t->a, "SIP/2.0 200", 1);
	CHECK(raw_has(one, " CANCEL\r\n") != raw_has(two, " CANCEL\r\n"));
	raw_none(t->a, "SIP/2.0", 5);
	scene_free(t);
}

/* [RFC3261 9.2, 16.10]: a CANCEL that matches nothing */
TEST_NO_OOM(cancel_of_nothing)
{
	struct scene *t = scene_new();
	struct raw_req q = {.method = "INVITE",
			    .uri = TO_B,
			    .call_id = "none",
			    .tag = "t",
			    .branch = "z9hG4bKnone",
			    .cseq = 1,
			    .from_user = "1001"};
	raw_cancel(t->a, 0, &q, NULL);
	raw_get(t->a, "SIP/2.0 481", 1);
	scene_free(t);
}

/* [RFC3261 16.8, 16.7 step 2]: Timer C runs anew with each provisional but 100; then CANCEL */
TEST_NO_OOM(timer_c)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	raw_none(t->b, "CANCEL ", 170);
	raw_reply(t->b, at_b, "183 Still", "b", NULL, NULL);
	raw_none(t->b, "CANCEL ", 170);
	struct raw_msg *cancel = raw_get(t->b, "CANCEL ", 30);
	raw_none(t->a, "SIP/2.0 4", 0);
	raw_reply(t->b, cancel, "200 OK", "b", NULL, NULL);
	raw_reply(t->b, at_b, "487 Request Terminated", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 408", 1);
	scene_free(t);
}

/* Timer C, and the callee has gone: over 64*T1 after the CANCEL [RFC3261 9.1] */
TEST_NO_OOM(timer_c_of_a_dead_callee)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "180 Ringing", "b", NULL, NULL);
	raw_get(t->b, "CANCEL ", 200);
	raw_get(t->a, "SIP/2.0 408", 40);
	scene_free(t);
}

/* [RFC3261 16.7 step 5, 16.11] [RFC6026 8]: a repeated 2xx still reaches the caller, when both
 * transactions have ended; another response does not */
TEST_NO_OOM(late_answers)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
	struct raw_msg *again = raw_get(t->a, "SIP/2.0 200", 1);
	CHECK_EQ(raw_count(again, "Via"), 1);
	stage_run(t->s, 60);
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	raw_reply(t->b, at_b, "486 Busy Here", "b", NULL, NULL);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	raw_none(t->a, "SIP/2.0", 3);
	scene_free(t);
}

/* [RFC3261 16.7 steps 5, 9]: a 2xx goes back whatever went before it; over the caller's connection,
 * too. The first is of a fork behind b, the second of a phone that was given up. */
static void late_2xx(bool is_stream)
{
	static const double silence[] = {0, 34};
	for (size_t i = 0; i < ARRAY_LEN(silence); i++) {
		struct scene *t = scene_new();
		scene_register(t->b, B_CONTACT);
		int sock = is_stream ? raw_connect(t->a) : 0;
		raw_ask(t->a, sock, &t->call);
		struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
		if (silence[i])
			raw_none(t->a, "SIP/2.0 2", silence[i]);
		else
			raw_reply(t->b, at_b, "486 Busy Here", "b", NULL, NULL);
		raw_ack(t->a, sock, &t->call, raw_get(t->a, "SIP/2.0 4", 1));
		raw_flush(t->a);
		raw_reply(t->b, at_b, "200 OK", "fork", "X-Late: yes\n", NULL);
		struct raw_msg *m = raw_get(t->a, "SIP/2.0 200", 1);
		CHECK_EQ(m->sock, sock);
		CHECK_EQ(raw_count(m, "Via"), 1);
		CHECK_EQ(raw_count(m, "X-Late"), 1);
		raw_none(t->a, "SIP/2.0", 5);
		scene_free(t);
	}
}

TEST_NO_OOM(a_2xx_behind_a_refusal)
{
	late_2xx(false);
	late_2xx(true);
}

/* A response whose Via was not written by us is nobody's [RFC3261 16.7 step 1, 18.1.2] */
TEST_NO_OOM(responses_that_nobody_asked_for)
{
	struct scene *t = scene_new();
	raw_say(t->x, 0,
		"SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKforged\n"
		"Via: SIP/2.0/UDP 10.0.0.21:5060;branch=z9hG4bKvictim\nFrom: <sip:a@b>;tag=1\n"
		"To: <sip:c@d>;tag=2\nCall-ID: forged\nCSeq: 1 INVITE\nContent-Length: 0\n\n");
	raw_none(t->a, "SIP/2.0", 3);
	scene_free(t);
}

static uint32_t breadth_of(const struct raw_msg *m)
{
	uint32_t n = 0;
	CHECK(str_u32(raw_header(m, "Max-Breadth", 0), &n));
	CHECK_EQ(raw_count(m, "Max-Breadth"), 1);
	return n;
}

/* [RFC5393 5.3.3]: what runs in parallel shares it; 60 when it is absent */
TEST_NO_OOM(max_breadth_is_split)
{
	static const char *const lines[] = {NULL, "Max-Breadth: 7\n"};
	for (int i = 0; i < 2; i++) {
		struct scene *t = scene_new();
		register_both(t, "", "");
		t->call.extra = lines[i];
		scene_invite(t);
		struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1),
			       *at_c = raw_get(t->c, "INVITE ", 1);
		CHECK(breadth_of(at_b) > 0);
		CHECK(breadth_of(at_c) > 0);
		CHECK(breadth_of(at_b) + breadth_of(at_c) <= (i ? 7u : 60u));
		raw_reply(t->b, at_b, "486 Busy Here", "b", NULL, NULL);
		raw_reply(t->c, at_c, "486 Busy Here", "c", NULL, NULL);
		raw_get(t->a, "SIP/2.0 486", 1);
		scene_free(t);
	}
}

/* The share holds for a branch whose name is looked up first. */
TEST_NO_OOM(max_breadth_of_names)
{
	struct scene *t = scene_new();
	raw_dns(t->s, "b.example", "10.0.0.22");
	raw_dns(t->s, "c.example", "10.0.0.23");
	scene_register(t->b, "<sip:1002@b.example>");
	scene_register(t->c, "<sip:1002@c.example>");
	t->call.extra = "Max-Breadth: 4\n";
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1), *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK_EQ(breadth_of(at_b) + breadth_of(at_c), 4);
	raw_reply(t->b, at_b, "600 Busy", "b", NULL, NULL);
	raw_reply(t->c, at_c, "486 Busy Here", "c", NULL, NULL);
	raw_get(t->a, "SIP/2.0 600", 1);
	scene_free(t);
}

TEST_NO_OOM(max_breadth_exhausted)
{
	struct scene *t = scene_new();
	register_both(t, "", "");
	t->call.extra = "Max-Breadth: 1\n";
	raw_ask(t->a, 0, &t->call);
	raw_get(t->a, "SIP/2.0 440", 1);
	raw_none(t->b, "INVITE ", 1);
	scene_free(t);
}

/* One value, and no more than ours [RFC5393 5.3.3] */
TEST_NO_OOM(max_breadth_is_bounded)
{
	static const char *const lines[] = {"Max-Breadth: 1000\n", "Max-Breadth: 61\n"};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct scene *t = scene_new();
		scene_register(t->b, B_CONTACT);
		t->call.extra = lines[i];
		scene_invite(t);
		struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
		CHECK_EQ(raw_count(m, "Max-Breadth"), 1);
		CHECK_EQ(breadth_of(m), 60);
		raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
		raw_get(t->a, "SIP/2.0 486", 1);
		scene_free(t);
	}
}

/* Serial branches each have the whole [RFC5393 5.3.3]. */
TEST_NO_OOM(max_breadth_in_series)
{
	struct scene *t = scene_new();
	register_both(t, ";q=0.2", ";q=0.9");
	t->call.extra = "Max-Breadth: 1\n";
	scene_invite(t);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK_EQ(breadth_of(at_c), 1);
	raw_reply(t->c, at_c, "486 Busy Here", "c", NULL, NULL);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(breadth_of(at_b), 1);
	raw_reply(t->b, at_b, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* [RFC4320 4.2]: a non-INVITE that nobody answers gets no 408, nor an answer that comes too late */
TEST_NO_OOM(non_invite_without_answer)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	struct raw_req q = {.method = "MESSAGE", .uri = TO_B, .contact = "", .body = "hello"};
	raw_ask(t->a, 0, &q);
	struct raw_msg *at_b = raw_get(t->b, "MESSAGE ", 1);
	raw_none(t->a, "SIP/2.0 4", 60);
	raw_flush(t->a); /* 100 */
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
	raw_none(t->a, "SIP/2.0", 2);
	scene_free(t);
}

/* The caller's connection ends while it rings: what is left may ring on, but not for ever
 * [RFC3261 16.8, 16.9] */
TEST_NO_OOM(caller_vanishes)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	for (int i = 0; i < 4; i++) { /* calls of either shard */
		int tcp = raw_connect(t->a);
		t->call = (struct raw_req){.method = "INVITE", .uri = TO_B};
		raw_ask(t->a, tcp, &t->call);
		struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
		raw_close(t->a, tcp);
		stage_run(t->s, 1);
		raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
		raw_none(t->b, "CANCEL ", 100);
		if (i == 3)
			raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
		else
			raw_get(t->b, "CANCEL ", 100);
		stage_run(t->s, 40); /* for the repetitions of the CANCEL */
		raw_flush(t->b);
	}
	scene_free(t); /* nothing is left, though the callee says no more */
}

/* A response that has lost all Vias but ours cannot go on [RFC3261 16.7 step 3] */
TEST_NO_OOM(response_without_our_callers_via)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	struct str via = raw_header(at_b, "Via", 0), from = raw_header(at_b, "From", 0),
		   id = raw_header(at_b, "Call-ID", 0);
	char text[1024];
	snprintf(text, sizeof(text),
		 "SIP/2.0 486 Busy Here\r\nVia: " STR_FMT "\r\nFrom: " STR_FMT "\r\nTo: <" TO_B
		 ">;tag=b\r\nCall-ID: " STR_FMT "\r\nCSeq: 2 INVITE\r\nContent-Length: 0\r\n\r\n",
		 STR_ARG(via), STR_ARG(from), STR_ARG(id));
	raw_bytes(t->b, 0, str_c(text));
	struct raw_msg *end = raw_get(t->a, "SIP/2.0 5", 40);
	CHECK_EQ(raw_count(end, "Via"), 1);
	scene_free(t);
}
