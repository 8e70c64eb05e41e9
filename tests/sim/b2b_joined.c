/* What was joined out of two calls is a call like any: changed, referred, joined again, ended; on
 * one shard or on two. And a join with each allocation failing. [RFC3515] [RFC3891] */
#include "b2b_two.h"

#include "service/b2b.h"

/* A change by either, refused or not, without offer, by UPDATE; a refused request; and the reason
 * of the end. */
BOTH(joined_is_a_call_like_any)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		two_joined(&t, apart);
		struct rig_end *e = by_a ? &t.a : &t.d, *o = by_a ? &t.d : &t.a;
		struct raw_req q = rig_ask(e, "INVITE", NULL, NULL);
		rig_offers(t.g, o);
		CHECK(raw_has(raw_get(e->r, "SIP/2.0 200", 1), "m=audio"));
		rig_ack(e, &q, RIG_SDP, rig_sdp(t.g, e->r, NULL));
		rig_gets_answer(o, e);
		q = rig_ask(e, "INVITE", RIG_SDP, rig_sdp(t.g, e->r, "inactive"));
		rig_refuses(o, rig_gets_offer(o, e), "415 Unsupported");
		raw_ack(e->r, 0, &q, raw_get(e->r, "SIP/2.0 415", 1));
		q = rig_ask(e, "UPDATE", RIG_SDP, rig_sdp(t.g, e->r, "sendonly"));
		rig_answers(t.g, o, rig_gets_offer(o, e));
		raw_get(e->r, "SIP/2.0 200", 1);
		rig_ask(e, "INFO", "Content-Type: text/plain\n", "x\n");
		rig_reply(o->r, raw_get(o->r, "INFO ", 1), "486 Not now");
		raw_get(e->r, "SIP/2.0 486", 1);
		rig_ask(e, "BYE", "Reason: Q.850;cause=31;text=\"Enough\"\n", NULL);
		raw_get(e->r, "SIP/2.0 200", 1);
		struct raw_msg *m = raw_get(o->r, "BYE ", 1);
		CHECK(raw_has(m, "Enough"));
		rig_reply(o->r, m, "200 OK");
		rig_free(t.g);
	}
}

/* Either refers the other to b; who will not be called by him, and then is. */
BOTH(joined_and_transferred)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		struct rig_end b;
		two_joined(&t, apart);
		struct rig_end *e = by_a ? &t.a : &t.d, *o = by_a ? &t.d : &t.a;
		for (int i = 0; i < 2; i++) {
			rig_ask(e, "REFER", "Refer-To: <sip:1002@" STAGE_SERVER ">\n", NULL);
			raw_get(e->r, "SIP/2.0 202", 1);
			rig_notify(e->r, "SIP/2.0 100");
			rig_ring(t.g, t.g->b, &b);
			CHECK(raw_has(b.invite, by_a ? "Referred-By: <sip:1001@"
						     : "Referred-By: <sip:1003@"));
			if (i)
				break;
			raw_reply(t.g->b, b.invite, "486 Busy", b.q.tag, NULL, NULL);
			raw_get(t.g->b, "ACK ", 1);
			rig_notify(e->r, "SIP/2.0 486");
		}
		raw_reply(t.g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, rig_sdp(t.g, t.g->b, NULL));
		rig_answers(t.g, o, rig_gets_offer(o, &b));
		rig_gets_answer(&b, o);
		rig_notify(e->r, "SIP/2.0 200");
		rig_bye_from(e);
		rig_still_talk(t.g, o, &b);
		rig_bye(t.g, &b, o);
		rig_free(t.g);
	}
}

BOTH(joined_and_to_the_echo_test)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		two_joined(&t, apart);
		struct rig_end *e = by_a ? &t.a : &t.d, *o = by_a ? &t.d : &t.a;
		rig_ask(e, "REFER", "Refer-To: <sip:echo@" STAGE_SERVER ">\n", NULL);
		rig_notify(e->r, "SIP/2.0 100");
		struct raw_msg *m = raw_get(o->r, "INVITE ", 1);
		CHECK(raw_has(m, "c=IN IP4 10.0.0.1\r\n"));
		rig_answers(t.g, o, m);
		rig_notify(e->r, "SIP/2.0 200");
		rig_bye_from(e);
		rig_bye_from(o);
		rig_free(t.g);
	}
}

/* d, who talks with a now, calls b and joins those two; on whichever shards all that is. */
BOTH(joined_and_joined_again)
{
	for (int i = 0; i < 8; i++) {
		struct two t, u;
		two_joined(&t, apart);
		u = (struct two){.g = t.g, .a = t.a, .b = t.d};
		rig_talk(t.g, t.g->d, "1002", t.g->b, &u.b2, &u.d);
		if (i % 2) { /* REFER in the new call, Replaces names the old one */
			u.a = u.d;
			u.d = t.a;
			u.b = u.b2;
			u.b2 = t.d;
		}
		char line[800];
		rig_ask(&u.b, "REFER", rig_refer_to(&u.b2, line), NULL);
		raw_get(t.g->d, "SIP/2.0 202", 1);
		rig_notify(t.g->d, "SIP/2.0 100");
		rig_meet(t.g, &u.d, &u.a);
		rig_notify(t.g->d, "SIP/2.0 200");
		struct raw_msg *m = raw_get(t.g->d, "BYE ", 1);
		CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(u.b2.q.call_id));
		rig_reply(t.g->d, m, "200 OK");
		rig_bye_from(&u.b);
		rig_still_talk(t.g, &u.a, &u.d);
		rig_still_talk(t.g, &u.d, &u.a);
		rig_bye(t.g, &u.d, &u.a);
		rig_free(t.g);
	}
}

/* --- want of memory --------------------------------------------------------------------------- */

static struct raw_msg *poll_reply(struct raw *r, const char *start, const char *status,
				  const char *body)
{
	struct raw_msg *m = raw_poll(r, start);
	if (m)
		raw_reply(r, m, status, NULL, body ? RIG_SDP : NULL, body);
	return m;
}

/* All the messages of a join, whatever of it comes about; a refuses or not. */
static void live(struct two *t, bool is_refused)
{
	struct rig *g = t->g;
	for (int i = 0; i < 40; i++) {
		stage_run(g->t->s, 0.05);
		poll_reply(g->b, "NOTIFY ", "200 OK", NULL);
		poll_reply(g->b, "BYE ", "200 OK", NULL);
		poll_reply(g->d, "INVITE ", "200 OK", rig_sdp(g, g->d, NULL));
		poll_reply(g->b, "INVITE ", "200 OK", rig_sdp(g, g->b, NULL));
		if (is_refused)
			poll_reply(g->a, "INVITE ", "488 No", NULL);
		else
			poll_reply(g->a, "INVITE ", "200 OK", rig_sdp(g, g->a, NULL));
		if (i == 10)
			rig_ask(&t->d, "INFO", "Content-Type: text/plain\n", "x\n");
		if (i == 15)
			rig_ask(&t->a, "INFO", "Content-Type: text/plain\n", "x\n");
		poll_reply(g->a, "INFO ", "200 OK", NULL);
		poll_reply(g->b, "INFO ", "200 OK", NULL);
		poll_reply(g->d, "INFO ", "200 OK", NULL);
	}
}

static void all_leave(struct two *t)
{
	struct rig *g = t->g;
	struct rig_end *all[] = {&t->a, &t->b, &t->b2, &t->d};
	struct b2b_stats st;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		rig_ask(all[i], "BYE", NULL, NULL);
	stage_run(g->t->s, 200);
	for (size_t i = 0; i < g->t->s->n_shards; i++) {
		b2b_stats(exc_b2b(g->t->s->exc, i), &st);
		CHECK_EQ(st.live, 0);
	}
}

BOTH(each_allocation_of_a_join_fails_once)
{
	for (int is_refused = 0; is_refused < 2; is_refused++) {
		size_t k = 1, before;
		do {
			struct two t;
			char line[800];
			two_calls(&t, apart);
			rig_ask(&t.b, "REFER", rig_refer_to(&t.b2, line), NULL);
			before = test_allocs();
			test_fail_alloc(k);
			live(&t, is_refused);
			before = test_allocs() - before;
			test_fail_alloc(0);
			all_leave(&t);
			rig_free(t.g);
		} while (k++ <= before);
		printf("# %zu allocations\n", k);
		CHECK(k > 10);
	}
}
