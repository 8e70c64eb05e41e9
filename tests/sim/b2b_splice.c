/* Attended transfers between phones that know nothing of Replaces: b talks with a and with d, and
 * the exchange joins the two itself. On one shard or on two. [RFC3515] [RFC5589 7] [RFC3891] */
#include "b2b_two.h"
#include "lookout.h"

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
	two_refer(&t);
	rig_meet(t.g, &t.d, &t.a);
	two_notified(&t, "SIP/2.0 200");
	two_is_out(&t);
	CHECK_STR_EQ(buf_view(&t.g->ladder),
		     str_c(apart ? LADDER("   15 x->b NOTIFY\n", "   15 x->d ACK b3\n")
				 : LADDER("   15 x->d ACK b3\n", "   15 x->b NOTIFY\n")));
	rig_still_talk(t.g, &t.a, &t.d);
	rig_still_talk(t.g, &t.d, &t.a);
	struct raw_req q = rig_ask(&t.d, "INVITE", RIG_SDP, rig_sdp(t.g, t.g->d, "sendonly"));
	struct raw_msg *m = rig_gets_offer(&t.a, &t.d);
	CHECK(raw_has(m, "a=sendonly"));
	rig_answers(t.g, &t.a, m);
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
	struct rig_end *of[2][2] = {
		{&t.b,  &t.a},
                {&t.b2, &t.d}
        };
	for (int i = 0; i < 2; i++) {
		struct raw_req q =
			rig_ask(of[i][0], "INVITE", RIG_SDP, rig_sdp(t.g, t.g->b, "sendonly"));
		struct raw_msg *m = raw_get(of[i][1]->r, "INVITE ", 1);
		CHECK(raw_has(m, "a=sendonly"));
		raw_reply(of[i][1]->r, m, "200 OK", NULL, RIG_SDP,
			  rig_sdp(t.g, of[i][1]->r, "recvonly"));
		raw_get(of[i][1]->r, "ACK ", 1);
		raw_get(t.g->b, "SIP/2.0 200", 1);
		rig_ack(of[i][0], &q, NULL, NULL);
		stage_run(t.g->t->s, 0.1);
	}
	two_refer(&t);
	rig_offers(t.g, &t.d);
	struct raw_msg *m = rig_gets_offer(&t.a, &t.d);
	CHECK(!raw_has(m, "a=recvonly") && !raw_has(m, "a=sendonly"));
	rig_answers(t.g, &t.a, m);
	m = raw_get(t.g->d, "ACK ", 1);
	CHECK(!raw_has(m, "a=recvonly") && !raw_has(m, "a=sendonly"));
	two_notified(&t, "SIP/2.0 200");
	two_is_out(&t);
	rig_bye(t.g, &t.a, &t.d);
	rig_free(t.g);
}

/* The target refuses the offer that he is asked for, or the transferee the one that he is made. */
static void is_joined_in_vain(struct two *t, bool by_a)
{
	if (by_a) {
		rig_offers(t->g, &t->d);
		rig_refuses(&t->a, rig_gets_offer(&t->a, &t->d), "488 Not Acceptable Here");
		raw_get(t->g->d, "ACK ", 1);
	} else {
		rig_refuses(&t->d, raw_get(t->g->d, "INVITE ", 1), "488 Not Acceptable Here");
	}
	two_notified(t, "SIP/2.0 488");
}

/* The target, or the transferee, will not: both calls are as they were. */
BOTH(one_refuses)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct two t;
		two_calls(&t, apart);
		two_refer(&t);
		is_joined_in_vain(&t, by_a);
		if (by_a) /* d was told something, and is told again whom he talks with */
			rig_meet(t.g, &t.b2, &t.d);
		raw_none(t.g->b, "BYE ", 5);
		raw_none(t.g->d, "INVITE ", 1);
		raw_none(t.g->a, "INVITE ", 1);
		two_bye(&t);
	}
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
	lookout_sees(&of_a, ">confirmed</state>");
	lookout_sees(&of_b, ">confirmed</state>");
	lookout_sees(&of_d, ">confirmed</state>");
	two_refer(&t);
	rig_meet(t.g, &t.d, &t.a);
	two_notified(&t, "SIP/2.0 200");
	two_is_out(&t);
	lookout_sees(&of_b, ">terminated</state>");
	CHECK(lookout_is_quiet(&of_a, 3) && lookout_is_quiet(&of_d, 0.1));
	rig_bye(t.g, &t.a, &t.d);
	lookout_sees(&of_d, ">terminated</state>");
	lookout_sees(&of_a, ">terminated</state>");
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
		two_refer(&t);
		if (by_a) {
			rig_offers(t.g, &t.d);
			rig_refuses(&t.a, rig_gets_offer(&t.a, &t.d), "491 Request Pending");
			raw_none(t.g->d, "ACK ", 0);
			rig_answers(t.g, &t.a, rig_gets_offer(&t.a, &t.d));
			rig_gets_answer(&t.d, &t.a);
		} else {
			rig_refuses(&t.d, raw_get(t.g->d, "INVITE ", 1), "491 Request Pending");
			rig_meet(t.g, &t.d, &t.a);
		}
		two_notified(&t, "SIP/2.0 200");
		two_is_out(&t);
		rig_still_talk(t.g, &t.a, &t.d);
		rig_bye(t.g, &t.a, &t.d);
		rig_free(t.g);
	}
}

/* Who says 491 for ever is left where he is. */
BOTH(glare_without_end)
{
	struct two t;
	two_calls(&t, apart);
	two_refer(&t);
	for (int i = 0; i < 6; i++)
		rig_refuses(&t.d, raw_get(t.g->d, "INVITE ", 5), "491 Request Pending");
	two_notified(&t, "SIP/2.0 491");
	two_bye(&t);
}

/* Who leaves while the two meet leaves the call that he was in. */
BOTH(target_leaves)
{
	for (int later = 0; later < 2; later++) {
		struct two t;
		struct raw_msg *m;
		two_calls(&t, apart);
		two_refer(&t);
		if (later) {
			rig_offers(t.g, &t.d);
			m = rig_gets_offer(&t.a, &t.d);
		} else {
			m = raw_get(t.g->d, "INVITE ", 1);
		}
		rig_ask(&t.d, "BYE", NULL, NULL);
		raw_get(t.g->d, "SIP/2.0 200", 1);
		rig_reply(t.g->b, raw_get(t.g->b, "BYE ", 1), "200 OK");
		two_notified(&t, "SIP/2.0 480");
		if (later) { /* a was offered another party */
			rig_answers(t.g, &t.a, m);
			rig_offers(t.g, &t.b);
			rig_answers(t.g, &t.a, rig_gets_offer(&t.a, &t.b));
			rig_gets_answer(&t.b, &t.a);
		} else {
			rig_refuses(&t.d, m, "487 Request Terminated");
		}
		rig_still_talk(t.g, &t.a, &t.b);
		rig_bye(t.g, &t.a, &t.b);
		rig_free(t.g);
	}
}

BOTH(transferee_leaves_while_they_meet)
{
	struct two t;
	two_calls(&t, apart);
	two_refer(&t);
	rig_offers(t.g, &t.d);
	struct raw_msg *m = rig_gets_offer(&t.a, &t.d);
	rig_ask(&t.a, "BYE", NULL, NULL);
	raw_get(t.g->a, "SIP/2.0 200", 1);
	rig_refuses(&t.a, m, "487 Request Terminated");
	raw_get(t.g->d, "ACK ", 1);
	two_notified(&t, "SIP/2.0 487");
	m = raw_get(t.g->b, "BYE ", 1);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(t.b.q.call_id));
	rig_reply(t.g->b, m, "200 OK");
	rig_meet(t.g, &t.b2, &t.d);
	rig_still_talk(t.g, &t.d, &t.b2);
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
		two_refer(&t);
		rig_offers(t.g, &t.d);
		struct raw_msg *m = rig_gets_offer(&t.a, &t.d);
		rig_ask(&t.b, "BYE", NULL, NULL);
		rig_ask(&t.b2, "BYE", NULL, NULL);
		raw_get(t.g->b, "SIP/2.0 200", 1);
		raw_get(t.g->b, "SIP/2.0 200", 1);
		raw_none(t.g->d, "BYE ", 0.1);
		if (fails) {
			rig_refuses(&t.a, m, "488 Not Acceptable Here");
			rig_reply(t.g->a, raw_get(t.g->a, "BYE ", 1), "200 OK");
			raw_get(t.g->d, "ACK ", 1);
			rig_reply(t.g->d, raw_get(t.g->d, "BYE ", 1), "200 OK");
		} else {
			rig_answers(t.g, &t.a, m);
			rig_gets_answer(&t.d, &t.a);
			rig_still_talk(t.g, &t.a, &t.d);
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
		two_ringing(&t, apart);
		two_refer(&t);
		if (cancels) {
			raw_cancel(t.g->b, 0, &t.b2.q, NULL);
			raw_get(t.g->b, "SIP/2.0 200", 1);
			is_refused(&t, "SIP/2.0 487");
			raw_none(t.g->d, "CANCEL ", 1);
		}
		picks_up(&t);
		rig_meet(t.g, &t.d, &t.a);
		two_notified(&t, "SIP/2.0 200");
		if (!cancels)
			is_refused(&t, "SIP/2.0 487");
		rig_ask(&t.b, "BYE", NULL, NULL);
		raw_get(t.g->b, "SIP/2.0 200", 1);
		rig_still_talk(t.g, &t.a, &t.d);
		rig_bye(t.g, &t.d, &t.a);
		rig_free(t.g);
	}
}

BOTH(rings_and_refuses)
{
	for (int cancels = 0; cancels < 2; cancels++) {
		struct two t;
		two_ringing(&t, apart);
		two_refer(&t);
		if (cancels) {
			raw_cancel(t.g->b, 0, &t.b2.q, NULL);
			is_refused(&t, "SIP/2.0 487");
		}
		raw_reply(t.g->d, t.d.invite, "486 Busy Here", t.d.q.tag, NULL, NULL);
		two_notified(&t, "SIP/2.0 486");
		if (!cancels)
			is_refused(&t, "SIP/2.0 486");
		rig_still_talk(t.g, &t.a, &t.b);
		rig_bye(t.g, &t.a, &t.b);
		rig_free(t.g);
	}
}

/* Whom the join has failed with is the caller's. */
BOTH(rings_and_stays)
{
	for (int is_touched = 0; is_touched < 2; is_touched++) {
		struct two t;
		two_ringing(&t, apart);
		two_refer(&t);
		picks_up(&t);
		is_joined_in_vain(&t, is_touched);
		is_answered(&t);
		if (is_touched)
			rig_meet(t.g, &t.b2, &t.d);
		two_bye(&t);
	}
}

/* The transferee has not waited: d talks with b. */
BOTH(rings_for_nobody)
{
	struct two t;
	two_ringing(&t, apart);
	two_refer(&t);
	rig_bye(t.g, &t.a, &t.b);
	picks_up(&t);
	is_answered(&t);
	rig_bye(t.g, &t.b2, &t.d);
	rig_free(t.g);
}
