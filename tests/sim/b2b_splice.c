/* Attended transfers between phones that know nothing of Replaces: b talks with a and with d, and
 * the exchange joins the two itself. On one shard or on two. [RFC3515] [RFC5589 7] [RFC3891] */
#include "b2b_rig.h"
#include "lookout.h"

#include "service/b2b.h"

#define BOTH(name)                                                                                 \
	static void name(bool apart);                                                              \
	TEST_NO_OOM(name##_on_one_shard)                                                           \
	{                                                                                          \
		name(false);                                                                       \
	}                                                                                          \
	TEST_NO_OOM(name##_on_two_shards)                                                          \
	{                                                                                          \
		name(true);                                                                        \
	}                                                                                          \
	static void name(bool apart)

struct two {
	struct rig *g;
	struct rig_end a, b, b2, d; /* a with b, b2 with d */
};

static bool are_apart(struct rig *g)
{
	struct b2b_stats st;
	b2b_stats(exc_b2b(g->t->s->exc, 0), &st);
	return st.live == 1;
}

/* A call of a with b, and one of b with d, who rings; on two shards or on one. */
static void one_and_a_half(struct two *t, bool apart)
{
	for (int i = 0; i < 64; i++) {
		t->g = rig_new();
		rig_talk(t->g, t->g->a, "1002", t->g->b, &t->a, &t->b);
		rig_call(t->g, t->g->b, "1003", NULL, &t->b2);
		rig_ring(t->g, t->g->d, &t->d);
		raw_reply(t->g->d, t->d.invite, "180 Ringing", t->d.q.tag, NULL, NULL);
		rig_set_caller(&t->b2, raw_get(t->g->b, "SIP/2.0 180", 2));
		if (are_apart(t->g) == apart)
			return;
		rig_answer(t->g, &t->d, &t->b2);
		rig_bye(t->g, &t->a, &t->b);
		rig_bye(t->g, &t->b2, &t->d);
		rig_free(t->g);
	}
	test_fail(__FILE__, __LINE__, "no such Call-IDs");
}

static void two_calls(struct two *t, bool apart)
{
	one_and_a_half(t, apart);
	rig_answer(t->g, &t->d, &t->b2);
	stage_run(t->g->t->s, 0.1);
}

static void notified(struct two *t, const char *status)
{
	struct raw_msg *m = raw_get(t->g->b, "NOTIFY ", 5);
	CHECK(raw_has(m, status));
	CHECK(raw_has(m, "Event: refer"));
	rig_reply(t->g->b, m, "200 OK");
	stage_run(t->g->t->s, 0.01);
}

static struct raw_req refer(struct two *t)
{
	char line[800], theirs[64];
	struct str to = str_c(t->b2.to), tag = str_skip(to, str_find(to, STR("tag=")) + 4);
	snprintf(line, sizeof(line),
		 "Refer-To: <sip:1003@" STAGE_SERVER
		 "?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\n",
		 t->b2.q.call_id, raw_cstr(tag, theirs, sizeof(theirs)), t->b2.q.tag);
	struct raw_req q = rig_ask(&t->b, "REFER", line, NULL);
	raw_get(t->g->b, "SIP/2.0 202", 2);
	notified(t, "SIP/2.0 100");
	return q;
}

/* r is asked for an offer, and makes one. */
static struct raw_msg *offers(struct rig *g, struct rig_end *e)
{
	struct raw_msg *m = raw_get(e->r, "INVITE ", 5);
	CHECK_EQ(raw_body(m).n, 0);
	CHECK_EQ(raw_count(m, "Replaces"), 0);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(e->q.call_id));
	raw_reply(e->r, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, e->r, NULL));
	return m;
}

static struct raw_msg *gets_offer(struct rig_end *e, const struct rig_end *of)
{
	char line[64];
	struct raw_msg *m = raw_get(e->r, "INVITE ", 5);
	snprintf(line, sizeof(line), "c=IN IP4 %s\r\n", of->r->ip);
	CHECK(raw_has(m, line));
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(e->q.call_id));
	return m;
}

static void gets_answer(struct rig_end *e, const struct rig_end *of)
{
	char line[64];
	struct raw_msg *m = raw_get(e->r, "ACK ", 5);
	snprintf(line, sizeof(line), "c=IN IP4 %s\r\n", of->r->ip);
	CHECK(raw_has(m, line));
}

static void answers(struct rig *g, struct rig_end *e, const struct raw_msg *m)
{
	raw_reply(e->r, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, e->r, NULL));
	raw_get(e->r, "ACK ", 2);
}

static void meet(struct rig *g, struct rig_end *first, struct rig_end *other)
{
	offers(g, first);
	answers(g, other, gets_offer(other, first));
	gets_answer(first, other);
}

/* Both of b's dialogs end: the second at once, the first when he has had time. */
static void is_out(struct two *t)
{
	struct raw_msg *m = raw_get(t->g->b, "BYE ", 1);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(t->b2.q.call_id));
	CHECK(raw_has(m, "Transferred"));
	rig_reply(t->g->b, m, "200 OK");
	m = raw_get(t->g->b, "BYE ", 3);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(t->b.q.call_id));
	rig_reply(t->g->b, m, "200 OK");
}

static void still_talk(struct rig *g, struct rig_end *from, struct rig_end *to)
{
	rig_ask(from, "INFO", "Content-Type: text/plain\n", "still there\n");
	struct raw_msg *m = raw_get(to->r, "INFO ", 2);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(to->q.call_id));
	rig_reply(to->r, m, "200 OK");
	raw_get(from->r, "SIP/2.0 200", 2);
	stage_run(g->t->s, 0.1);
}

/* Both calls end as any. */
static void bye_both(struct two *t)
{
	still_talk(t->g, &t->a, &t->b);
	still_talk(t->g, &t->d, &t->b2);
	rig_bye(t->g, &t->a, &t->b);
	rig_bye(t->g, &t->b2, &t->d);
	rig_free(t->g);
}

static void refuses(struct rig_end *e, const struct raw_msg *m, const char *status)
{
	rig_reply(e->r, m, status);
	CHECK_EQ(raw_body(raw_get(e->r, "ACK ", 1)).n, 0);
}

#define LADDER(one, other)                                                                         \
	"    1 b->x REFER\n"                                                                       \
	"    1 x->b 202 (REFER)\n"                                                                 \
	"    1 x->b NOTIFY\n"                                                                      \
	"    1 x->d INVITE\n"                                                                      \
	"    3 b->x 200 (NOTIFY)\n"                                                                \
	"   13 d->x 200 (INVITE) d2\n"                                                             \
	"   13 x->a INVITE b2\n"                                                                   \
	"   15 a->x 200 (INVITE) a2\n"                                                             \
	"   15 x->a ACK\n" one other "   15 x->b BYE\n"                                            \
	"   17 b->x 200 (NOTIFY)\n"                                                                \
	"   27 b->x 200 (BYE)\n"                                                                   \
	" 2015 x->b BYE\n"

BOTH(joins)
{
	struct two t;
	two_calls(&t, apart);
	rig_clear(t.g);
	refer(&t);
	meet(t.g, &t.d, &t.a);
	notified(&t, "SIP/2.0 200");
	is_out(&t);
	CHECK_STR_EQ(buf_view(&t.g->ladder),
		     str_c(apart ? LADDER("   15 x->b NOTIFY\n", "   15 x->d ACK b3\n")
				 : LADDER("   15 x->d ACK b3\n", "   15 x->b NOTIFY\n")));
	still_talk(t.g, &t.a, &t.d);
	still_talk(t.g, &t.d, &t.a);
	struct raw_req q = rig_ask(&t.d, "INVITE", RIG_SDP, rig_sdp(t.g, t.g->d, "sendonly"));
	struct raw_msg *m = gets_offer(&t.a, &t.d);
	CHECK(raw_has(m, "a=sendonly"));
	answers(t.g, &t.a, m);
	raw_get(t.g->d, "SIP/2.0 200", 2);
	rig_ack(&t.d, &q, NULL, NULL);
	rig_bye(t.g, &t.d, &t.a);
	rig_free(t.g);
}

/* b holds both, which the two are not to hear of once he is out: who is asked for an offer makes
 * one of his own, and no direction is left of what b has said. [RFC6337 5.3] */
BOTH(held_by_the_transferor)
{
	struct two t;
	two_calls(&t, apart);
	struct rig_end *of[2][2] = {{&t.b, &t.a}, {&t.b2, &t.d}};
	for (int i = 0; i < 2; i++) {
		struct raw_req q = rig_ask(of[i][0], "INVITE", RIG_SDP,
					   rig_sdp(t.g, t.g->b, "sendonly"));
		struct raw_msg *m = raw_get(of[i][1]->r, "INVITE ", 1);
		CHECK(raw_has(m, "a=sendonly"));
		raw_reply(of[i][1]->r, m, "200 OK", NULL, RIG_SDP,
			  rig_sdp(t.g, of[i][1]->r, "recvonly"));
		raw_get(of[i][1]->r, "ACK ", 1);
		raw_get(t.g->b, "SIP/2.0 200", 1);
		rig_ack(of[i][0], &q, NULL, NULL);
		stage_run(t.g->t->s, 0.1);
	}
	refer(&t);
	offers(t.g, &t.d);
	struct raw_msg *m = gets_offer(&t.a, &t.d);
	CHECK(!raw_has(m, "a=recvonly") && !raw_has(m, "a=sendonly"));
	answers(t.g, &t.a, m);
	m = raw_get(t.g->d, "ACK ", 1);
	CHECK(!raw_has(m, "a=recvonly") && !raw_has(m, "a=sendonly"));
	notified(&t, "SIP/2.0 200");
	is_out(&t);
	rig_bye(t.g, &t.a, &t.d);
	rig_free(t.g);
}

/* The target, or the transferee, will not: both calls are as they were. */
BOTH(one_refuses)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		two_calls(&t, apart);
		refer(&t);
		if (by_a) {
			offers(t.g, &t.d);
			refuses(&t.a, gets_offer(&t.a, &t.d), "488 Not Acceptable Here");
			raw_get(t.g->d, "ACK ", 1);
		} else {
			refuses(&t.d, raw_get(t.g->d, "INVITE ", 1), "488 Not Acceptable Here");
		}
		notified(&t, "SIP/2.0 488");
		if (by_a) /* d was told something, and is told again whom he talks with */
			meet(t.g, &t.b2, &t.d);
		raw_none(t.g->b, "BYE ", 5);
		raw_none(t.g->d, "INVITE ", 1);
		raw_none(t.g->a, "INVITE ", 1);
		bye_both(&t);
	}
}

static void sees(struct watch *w, const char *text)
{
	for (int i = 0; i < 5; i++) {
		lookout_next_within(w, 3);
		if (lookout_says(w, text))
			return;
	}
	test_fail(__FILE__, __LINE__, "never said: %s; the last was %s", text, w->notify->bytes);
}

/* a's and d's lamps burn through it all, one of b's goes out and then the other. [RFC4235] */
BOTH(lamps_of_a_joining)
{
	struct two t;
	struct watch of_a, of_b, of_d;
	two_calls(&t, apart);
	stage_account(t.g->t->s, "1004");
	struct raw *r = raw_new(t.g->t->s, "10.0.0.31", 5060, "1004");
	lookout_start(&of_a, r, "sip:1001@" STAGE_SERVER, "dialog");
	lookout_start(&of_b, r, "sip:1002@" STAGE_SERVER, "dialog");
	lookout_start(&of_d, r, "sip:1003@" STAGE_SERVER, "dialog");
	stage_run(t.g->t->s, 5);
	sees(&of_a, ">confirmed</state>");
	sees(&of_b, ">confirmed</state>");
	sees(&of_d, ">confirmed</state>");
	refer(&t);
	meet(t.g, &t.d, &t.a);
	notified(&t, "SIP/2.0 200");
	is_out(&t);
	sees(&of_b, ">terminated</state>");
	CHECK(lookout_is_quiet(&of_a, 3) && lookout_is_quiet(&of_d, 0.1));
	rig_bye(t.g, &t.a, &t.d);
	sees(&of_d, ">terminated</state>");
	sees(&of_a, ">terminated</state>");
	raw_free(r);
	rig_free(t.g);
}

/* The transferee's own change meets ours: its 491 is waited out, while the target's 200 waits for
 * its ACK; so is that of the target himself. [RFC3261 14.1] */
BOTH(glare)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		two_calls(&t, apart);
		refer(&t);
		if (by_a) {
			offers(t.g, &t.d);
			refuses(&t.a, gets_offer(&t.a, &t.d), "491 Request Pending");
			raw_none(t.g->d, "ACK ", 0);
			answers(t.g, &t.a, gets_offer(&t.a, &t.d));
			gets_answer(&t.d, &t.a);
		} else {
			refuses(&t.d, raw_get(t.g->d, "INVITE ", 1), "491 Request Pending");
			meet(t.g, &t.d, &t.a);
		}
		notified(&t, "SIP/2.0 200");
		is_out(&t);
		still_talk(t.g, &t.a, &t.d);
		rig_bye(t.g, &t.a, &t.d);
		rig_free(t.g);
	}
}

/* Who says 491 for ever is left where he is. */
BOTH(glare_without_end)
{
	struct two t;
	two_calls(&t, apart);
	refer(&t);
	for (int i = 0; i < 6; i++)
		refuses(&t.d, raw_get(t.g->d, "INVITE ", 5), "491 Request Pending");
	notified(&t, "SIP/2.0 491");
	bye_both(&t);
}

/* Who leaves while the two meet leaves the call that he was in. */
BOTH(target_leaves)
{
	for (int later = 0; later < 2; later++) {
		struct two t;
		struct raw_msg *m;
		two_calls(&t, apart);
		refer(&t);
		if (later) {
			offers(t.g, &t.d);
			m = gets_offer(&t.a, &t.d);
		} else {
			m = raw_get(t.g->d, "INVITE ", 1);
		}
		rig_ask(&t.d, "BYE", NULL, NULL);
		raw_get(t.g->d, "SIP/2.0 200", 1);
		rig_reply(t.g->b, raw_get(t.g->b, "BYE ", 1), "200 OK");
		notified(&t, "SIP/2.0 480");
		if (later) { /* a was offered another party */
			answers(t.g, &t.a, m);
			offers(t.g, &t.b);
			answers(t.g, &t.a, gets_offer(&t.a, &t.b));
			gets_answer(&t.b, &t.a);
		} else {
			refuses(&t.d, m, "487 Request Terminated");
		}
		still_talk(t.g, &t.a, &t.b);
		rig_bye(t.g, &t.a, &t.b);
		rig_free(t.g);
	}
}

BOTH(transferee_leaves_while_they_meet)
{
	struct two t;
	two_calls(&t, apart);
	refer(&t);
	offers(t.g, &t.d);
	struct raw_msg *m = gets_offer(&t.a, &t.d);
	rig_ask(&t.a, "BYE", NULL, NULL);
	raw_get(t.g->a, "SIP/2.0 200", 1);
	refuses(&t.a, m, "487 Request Terminated");
	raw_get(t.g->d, "ACK ", 1);
	notified(&t, "SIP/2.0 487");
	m = raw_get(t.g->b, "BYE ", 1);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(t.b.q.call_id));
	rig_reply(t.g->b, m, "200 OK");
	meet(t.g, &t.b2, &t.d);
	still_talk(t.g, &t.d, &t.b2);
	rig_bye(t.g, &t.b2, &t.d);
	rig_free(t.g);
}

/* The transferor leaves both calls at once, as some phones do: it goes on without him; and should
 * it fail nobody is left alone. */
BOTH(transferor_leaves_both)
{
	for (int fails = 0; fails < 2; fails++) {
		struct two t;
		two_calls(&t, apart);
		refer(&t);
		offers(t.g, &t.d);
		struct raw_msg *m = gets_offer(&t.a, &t.d);
		rig_ask(&t.b, "BYE", NULL, NULL);
		rig_ask(&t.b2, "BYE", NULL, NULL);
		raw_get(t.g->b, "SIP/2.0 200", 1);
		raw_get(t.g->b, "SIP/2.0 200", 1);
		raw_none(t.g->d, "BYE ", 0.1);
		if (fails) {
			refuses(&t.a, m, "488 Not Acceptable Here");
			rig_reply(t.g->a, raw_get(t.g->a, "BYE ", 1), "200 OK");
			raw_get(t.g->d, "ACK ", 1);
			rig_reply(t.g->d, raw_get(t.g->d, "BYE ", 1), "200 OK");
		} else {
			answers(t.g, &t.a, m);
			gets_answer(&t.d, &t.a);
			still_talk(t.g, &t.a, &t.d);
			rig_bye(t.g, &t.a, &t.d);
		}
		rig_free(t.g);
	}
}

/* --- while the target rings ------------------------------------------------------------------- */

static void picks_up(struct two *t)
{
	raw_reply(t->g->d, t->d.invite, "200 OK", t->d.q.tag, RIG_SDP,
		  rig_sdp(t->g, t->g->d, NULL));
	CHECK(raw_has(raw_get(t->g->d, "ACK ", 1), t->d.q.call_id));
}

/* b's unanswered call to d ends with that status. */
static void is_refused(struct two *t, const char *start)
{
	struct raw_msg *m = raw_get(t->g->b, start, 5);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(t->b2.q.call_id));
	raw_ack(t->g->b, 0, &t->b2.q, m);
}

static void is_answered(struct two *t)
{
	struct raw_msg *m = raw_get(t->g->b, "SIP/2.0 200", 2);
	CHECK(raw_has(m, "c=IN IP4 10.0.0.24"));
	rig_set_caller(&t->b2, m);
	rig_ack(&t->b2, &t->b2.q, NULL, NULL);
	stage_run(t->g->t->s, 0.1);
}

/* When d answers he is for a, not for b. */
BOTH(rings_and_joins)
{
	for (int cancels = 0; cancels < 2; cancels++) {
		struct two t;
		one_and_a_half(&t, apart);
		refer(&t);
		if (cancels) {
			raw_cancel(t.g->b, 0, &t.b2.q, NULL);
			raw_get(t.g->b, "SIP/2.0 200", 1);
			is_refused(&t, "SIP/2.0 487");
			raw_none(t.g->d, "CANCEL ", 1);
		}
		picks_up(&t);
		meet(t.g, &t.d, &t.a);
		notified(&t, "SIP/2.0 200");
		if (!cancels)
			is_refused(&t, "SIP/2.0 487");
		rig_ask(&t.b, "BYE", NULL, NULL);
		raw_get(t.g->b, "SIP/2.0 200", 1);
		still_talk(t.g, &t.a, &t.d);
		rig_bye(t.g, &t.d, &t.a);
		rig_free(t.g);
	}
}

BOTH(rings_and_refuses)
{
	for (int cancels = 0; cancels < 2; cancels++) {
		struct two t;
		one_and_a_half(&t, apart);
		refer(&t);
		if (cancels) {
			raw_cancel(t.g->b, 0, &t.b2.q, NULL);
			is_refused(&t, "SIP/2.0 487");
		}
		raw_reply(t.g->d, t.d.invite, "486 Busy Here", t.d.q.tag, NULL, NULL);
		notified(&t, "SIP/2.0 486");
		if (!cancels)
			is_refused(&t, "SIP/2.0 486");
		still_talk(t.g, &t.a, &t.b);
		rig_bye(t.g, &t.a, &t.b);
		rig_free(t.g);
	}
}

/* Whom the join has failed with is the caller's. */
BOTH(rings_and_stays)
{
	for (int is_touched = 0; is_touched < 2; is_touched++) {
		struct two t;
		one_and_a_half(&t, apart);
		refer(&t);
		picks_up(&t);
		if (is_touched) {
			offers(t.g, &t.d);
			refuses(&t.a, gets_offer(&t.a, &t.d), "488 Not Acceptable Here");
			raw_get(t.g->d, "ACK ", 1);
		} else {
			refuses(&t.d, raw_get(t.g->d, "INVITE ", 1), "488 Not Acceptable Here");
		}
		notified(&t, "SIP/2.0 488");
		is_answered(&t);
		if (is_touched)
			meet(t.g, &t.b2, &t.d);
		bye_both(&t);
	}
}

/* The transferee has not waited: d talks with b. */
BOTH(rings_for_nobody)
{
	struct two t;
	one_and_a_half(&t, apart);
	refer(&t);
	rig_bye(t.g, &t.a, &t.b);
	picks_up(&t);
	is_answered(&t);
	rig_bye(t.g, &t.b2, &t.d);
	rig_free(t.g);
}

/* --- afterwards ------------------------------------------------------------------------------- */

static void joined(struct two *t, bool apart)
{
	two_calls(t, apart);
	refer(t);
	meet(t->g, &t->d, &t->a);
	notified(t, "SIP/2.0 200");
	is_out(t);
	stage_run(t->g->t->s, 0.1);
}

/* A change by either, refused or not, without offer, by UPDATE; a refused request; and the reason
 * of the end. */
BOTH(joined_is_a_call_like_any)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		joined(&t, apart);
		struct rig_end *e = by_a ? &t.a : &t.d, *o = by_a ? &t.d : &t.a;
		struct raw_req q = rig_ask(e, "INVITE", NULL, NULL);
		struct raw_msg *m = offers(t.g, o);
		CHECK(raw_has(raw_get(e->r, "SIP/2.0 200", 1), "m=audio"));
		rig_ack(e, &q, RIG_SDP, rig_sdp(t.g, e->r, NULL));
		gets_answer(o, e);
		q = rig_ask(e, "INVITE", RIG_SDP, rig_sdp(t.g, e->r, "inactive"));
		refuses(o, gets_offer(o, e), "415 Unsupported");
		raw_ack(e->r, 0, &q, raw_get(e->r, "SIP/2.0 415", 1));
		q = rig_ask(e, "UPDATE", RIG_SDP, rig_sdp(t.g, e->r, "sendonly"));
		answers(t.g, o, gets_offer(o, e));
		raw_get(e->r, "SIP/2.0 200", 1);
		rig_ask(e, "INFO", "Content-Type: text/plain\n", "x\n");
		rig_reply(o->r, raw_get(o->r, "INFO ", 1), "486 Not now");
		raw_get(e->r, "SIP/2.0 486", 1);
		rig_ask(e, "BYE", "Reason: Q.850;cause=31;text=\"Enough\"\n", NULL);
		raw_get(e->r, "SIP/2.0 200", 1);
		m = raw_get(o->r, "BYE ", 1);
		CHECK(raw_has(m, "Enough"));
		rig_reply(o->r, m, "200 OK");
		rig_free(t.g);
	}
}

static void says(struct rig_end *e, const char *status)
{
	struct raw_msg *m = raw_get(e->r, "NOTIFY ", 5);
	CHECK(raw_has(m, status));
	rig_reply(e->r, m, "200 OK");
	stage_run(e->r->stage, 0.01);
}

static void bye_from(struct rig_end *e)
{
	rig_ask(e, "BYE", NULL, NULL);
	raw_get(e->r, "SIP/2.0 200", 1);
	stage_run(e->r->stage, 0.1);
}

/* Either refers the other to b; who will not be called by him, and then is. */
BOTH(joined_and_transferred)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		struct rig_end b;
		joined(&t, apart);
		struct rig_end *e = by_a ? &t.a : &t.d, *o = by_a ? &t.d : &t.a;
		for (int i = 0; i < 2; i++) {
			rig_ask(e, "REFER", "Refer-To: <sip:1002@" STAGE_SERVER ">\n", NULL);
			raw_get(e->r, "SIP/2.0 202", 1);
			says(e, "SIP/2.0 100");
			rig_ring(t.g, t.g->b, &b);
			CHECK(raw_has(b.invite, by_a ? "Referred-By: <sip:1001@"
						     : "Referred-By: <sip:1003@"));
			if (i)
				break;
			raw_reply(t.g->b, b.invite, "486 Busy", b.q.tag, NULL, NULL);
			raw_get(t.g->b, "ACK ", 1);
			says(e, "SIP/2.0 486");
		}
		raw_reply(t.g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, rig_sdp(t.g, t.g->b, NULL));
		answers(t.g, o, gets_offer(o, &b));
		gets_answer(&b, o);
		says(e, "SIP/2.0 200");
		bye_from(e);
		still_talk(t.g, o, &b);
		rig_bye(t.g, &b, o);
		rig_free(t.g);
	}
}

BOTH(joined_and_to_the_echo_test)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		joined(&t, apart);
		struct rig_end *e = by_a ? &t.a : &t.d, *o = by_a ? &t.d : &t.a;
		rig_ask(e, "REFER", "Refer-To: <sip:echo@" STAGE_SERVER ">\n", NULL);
		says(e, "SIP/2.0 100");
		struct raw_msg *m = raw_get(o->r, "INVITE ", 1);
		CHECK(raw_has(m, "c=IN IP4 10.0.0.1\r\n"));
		answers(t.g, o, m);
		says(e, "SIP/2.0 200");
		bye_from(e);
		bye_from(o);
		rig_free(t.g);
	}
}

/* d, who talks with a now, calls b and joins those two; on whichever shards all that is. */
BOTH(joined_and_joined_again)
{
	for (int i = 0; i < 8; i++) {
		struct two t, u;
		joined(&t, apart);
		u = (struct two){.g = t.g, .a = t.a, .b = t.d};
		rig_talk(t.g, t.g->d, "1002", t.g->b, &u.b2, &u.d);
		if (i % 2) { /* REFER in the new call, Replaces names the old one */
			u.a = u.d;
			u.d = t.a;
			u.b = u.b2;
			u.b2 = t.d;
		}
		char line[800], ours[64], theirs[64];
		struct str to = str_c(u.b2.to), tag = str_skip(to, str_find(to, STR("tag=")) + 4);
		snprintf(line, sizeof(line),
			 "Refer-To: <sip:x@" STAGE_SERVER
			 "?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\n",
			 u.b2.q.call_id, raw_cstr(tag, theirs, sizeof(theirs)),
			 raw_cstr(str_c(u.b2.q.tag), ours, sizeof(ours)));
		rig_ask(&u.b, "REFER", line, NULL);
		raw_get(t.g->d, "SIP/2.0 202", 1);
		says(&u.b, "SIP/2.0 100");
		meet(t.g, &u.d, &u.a);
		says(&u.b, "SIP/2.0 200");
		struct raw_msg *m = raw_get(t.g->d, "BYE ", 1);
		CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(u.b2.q.call_id));
		rig_reply(t.g->d, m, "200 OK");
		bye_from(&u.b);
		still_talk(t.g, &u.a, &u.d);
		still_talk(t.g, &u.d, &u.a);
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
			char line[800], theirs[64];
			two_calls(&t, apart);
			struct str to = str_c(t.b2.to);
			struct str tag = str_skip(to, str_find(to, STR("tag=")) + 4);
			snprintf(line, sizeof(line),
				 "Refer-To: <sip:1003@" STAGE_SERVER
				 "?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\n",
				 t.b2.q.call_id, raw_cstr(tag, theirs, sizeof(theirs)), t.b2.q.tag);
			rig_ask(&t.b, "REFER", line, NULL);
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
