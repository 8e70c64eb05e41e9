/* INVITE sessions between two user agents: set-up and end. [RFC3261 13, 15, 9] [RFC5407] */
#include "dialog/ses_priv.h"
#include "pair.h"

TEST(caller_hangs_up)
{
	struct pair p = pair_new();
	p.b->ring = 180;
	p.b->answer = 200;
	p.b->answer_ms = 500;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 180 (INVITE)\n"
			  "  510 b->a 200 (INVITE) sdp 1\n"
			  "  520 a->b ACK\n"
			  " 1000 a->b BYE\n"
			  " 1010 b->a 200 (BYE)\n");
	CHECK_EVENTS(p.a, "progress 180\n"
			  "answer 1\n"
			  "confirmed\n"
			  "ended by local, hung up, 0 hung up\n");
	CHECK_EVENTS(p.b, "confirmed\n"
			  "ended by remote, hung up, 0 hung up\n");
	pair_free(&p);
}

TEST(callee_hangs_up)
{
	struct pair p = pair_talking();
	CHECK(p.b->ses);
	ses_hangup(call_of(p.b), STR("Q.850;cause=16;text=\"enough\""));
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 b->a BYE\n"
			  "   10 a->b 200 (BYE)\n");
	CHECK_EVENTS(p.a, "ended by remote, hung up, 0 enough\n");
	CHECK_EVENTS(p.b, "ended by local, hung up, 0 hung up\n");
	pair_free(&p);
}

/* A session that only talks has nothing more; what wants more and finds no memory is refused, and a
 * call given up ends without a word. */
TEST(no_memory_for_more_than_talk)
{
	struct pair p = pair_talking();
	world_run(p.w, 40000);
	struct ses *a = call_of(p.a), *b = call_of(p.b);
	CHECK(!a->w && !b->w);
	uint32_t max = a->m->works.max;
	a->m->works.max = 0;
	CHECK_EQ(ses_modify(a), ERR_NOMEM);
	CHECK_EQ(ses_info(a, STR("text/plain"), STR("x")), ERR_LIMIT);
	ladder_clear(p.w);
	ses_hangup(b, STR_NONE);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 b->a BYE\n"
			  "   10 a->b 503 (BYE)\n");
	CHECK_EVENTS(p.b, "ended by local, hung up, 0 hung up\n");
	CHECK(!p.a->has_ended);
	ses_hangup(a, STR_NONE);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by local, hung up, 0 hung up\n");
	p.a->dlg->works.max = max;
	pair_free(&p);
}

TEST(callee_declines)
{
	struct pair p = pair_new();
	p.b->answer = 486;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 486 (INVITE)\n"
			  "   20 a->b ACK\n");
	CHECK_EVENTS(p.a, "ended by remote, rejected, 486 Busy Here\n");
	CHECK_EVENTS(p.b, "ended by local, rejected, 486 Busy Here\n");
	ladder_clear(p.w);
	p.b->answer = 0;
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	hangup(p.b); /* before an answer: 603 */
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "progress 180\nended by remote, rejected, 603 Decline\n");
	CHECK_EVENTS(p.b, "ended by local, rejected, 603 rejected\n");
	pair_free(&p);
}

TEST(ringing_is_repeated_each_minute)
{
	/* [RFC3261 13.3.1.1] */
	struct pair p = pair_new();
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 130000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 180 (INVITE)\n"
			  "60010 b->a 180 (INVITE)\n"
			  "120010 b->a 180 (INVITE)\n");
	CHECK_EQ(ses_ring(call_of(p.b), 100, false), ERR_STATE);
	CHECK_EQ(ses_ring(call_of(p.b), 200, false), ERR_STATE);
	hangup(p.a);
	pair_free(&p);
}

/* --- CANCEL ----------------------------------------------------------------------------------- */

TEST(caller_gives_up)
{
	struct pair p = pair_new();
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK(p.a->ses);
	ses_hangup(call_of(p.a), STR("SIP;cause=200;text=\"Call completed elsewhere\""));
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 180 (INVITE)\n"
			  " 1000 a->b CANCEL\n"
			  " 1010 b->a 200 (CANCEL)\n"
			  " 1010 b->a 487 (INVITE)\n"
			  " 1020 a->b ACK\n");
	CHECK_EVENTS(p.a, "progress 180\nended by local, cancelled, 487 cancelled\n");
	CHECK_EVENTS(p.b, "ended by remote, cancelled, 487 Call completed elsewhere\n");
	pair_free(&p);
}

TEST(cancel_waits_for_the_first_answer)
{
	struct pair p = pair_new();
	p.b->ring = 180;
	lose(p.w, p.b, p.a, 1);
	party_call(p.a, p.b, "");
	hangup(p.a);
	world_run(p.w, 100);
	lose(p.w, p.b, p.a, 0);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b-xa 180 (INVITE)\n"
			  "  500 a->b INVITE sdp 1\n"
			  "  510 b->a 180 (INVITE)\n"
			  "  520 a->b CANCEL\n"
			  "  530 b->a 200 (CANCEL)\n"
			  "  530 b->a 487 (INVITE)\n"
			  "  540 a->b ACK\n");
	CHECK_EVENTS(p.a, "progress 180\nended by local, cancelled, 487 cancelled\n");
	pair_free(&p);
}

TEST(cancel_crosses_the_answer)
{
	/* [RFC3261 9.1] [RFC5407 3.1.3]: the 200 wins, and is ended with BYE */
	struct pair p = pair_new();
	p.b->ring = 180;
	p.b->answer = 200;
	p.b->answer_ms = 500;
	party_call(p.a, p.b, "");
	world_run(p.w, 505);
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 180 (INVITE)\n"
			  "  505 a->b CANCEL\n"
			  "  510 b->a 200 (INVITE) sdp 1\n"
			  "  515 b->a 200 (CANCEL)\n"
			  "  520 a->b ACK\n"
			  "  520 a->b BYE\n"
			  "  530 b->a 200 (BYE)\n");
	CHECK_EVENTS(p.a, "progress 180\nended by local, cancelled, 0 cancelled\n");
	CHECK_EVENTS(p.b, "confirmed\nended by remote, hung up, 0 hung up\n");
	pair_free(&p);
}

TEST(cancel_crosses_a_refusal)
{
	struct pair p = pair_new();
	p.b->ring = 180;
	p.b->answer = 486;
	p.b->answer_ms = 500;
	party_call(p.a, p.b, "");
	world_run(p.w, 505);
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "progress 180\nended by remote, rejected, 486 Busy Here\n");
	CHECK_EVENTS(p.b, "ended by local, rejected, 486 Busy Here\n");
	pair_free(&p);
}

TEST(cancel_without_any_answer)
{
	struct pair p = pair_new();
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	lose(p.w, p.b, p.a, 1);
	hangup(p.a);
	world_run(p.w, 40000);
	CHECK_EVENTS(p.a, "progress 180\nended by network, no response, 408 no response\n");
	pair_free(&p);
}

/* --- nobody there ----------------------------------------------------------------------------- */

TEST(nobody_answers)
{
	struct pair p = pair_new();
	lose(p.w, p.a, p.b, 1);
	party_call(p.a, p.b, "");
	world_run(p.w, 40000);
	CHECK_EVENTS(p.a, "ended by network, no response, 408 no response\n");
	pair_free(&p);
}

TEST(nobody_listens)
{
	struct pair p = pair_new();
	struct ses_call call = {.target = str_c("sip:x@10.0.0.2:5999")};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by network, unreachable, 503 unreachable\n");
	ladder_clear(p.w);
	call.target = str_c("sip:x@nowhere.invalid");
	party_call_with(p.a, &call);
	world_run(p.w, 20000);
	CHECK_EVENTS(p.a, "ended by network, unreachable, 503 unreachable\n");
	ladder_clear(p.w);
	call.target = str_c("sip:x@nowhere.invalid");
	party_call_with(p.a, &call);
	hangup(p.a); /* while the name is being looked up, or right behind it */
	world_run(p.w, 20000);
	CHECK_EQ(p.a->n_ended, 3);
	pair_free(&p);
}

TEST(calls_that_cannot_be_made)
{
	struct pair p = pair_new();
	struct ses *s = NULL;
	static const struct ses_user none;
	struct ses_call call = {.target = STR("no uri"), .account = party_account(p.a)};
	CHECK_EQ(ses_call(p.a->dlg, &call, &none, NULL, &s), ERR_SYNTAX);
	CHECK(!s);
	call.target = STR("sip:b@10.0.0.2");
	call.account.from = STR("<sip:a@x");
	CHECK_EQ(ses_call(p.a->dlg, &call, &none, NULL, &s), ERR_SYNTAX);
	pair_free(&p);
}

/* --- the 2xx and its ACK ---------------------------------------------------------------------- */

TEST(lost_ack_is_sent_again)
{
	/* [RFC3261 13.3.1.4, 13.2.2.4] */
	struct pair p = pair_new();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 5);
	lose(p.w, p.a, p.b, 1);
	world_run(p.w, 2000);
	lose(p.w, p.a, p.b, 0);
	world_run(p.w, 10000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 200 (INVITE) sdp 1\n"
			  "   20 a-xb ACK\n"
			  "  510 b->a 200 (INVITE) sdp 1\n"
			  "  520 a-xb ACK\n"
			  " 1510 b->a 200 (INVITE) sdp 1\n"
			  " 1520 a-xb ACK\n"
			  " 3510 b->a 200 (INVITE) sdp 1\n"
			  " 3520 a->b ACK\n");
	CHECK_EVENTS(p.b, "confirmed\n");
	hangup(p.a);
	pair_free(&p);
}

TEST(ack_that_never_comes)
{
	/* the 32-second drop: BYE, and the verdict says why */
	struct pair p = pair_new();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 5);
	lose(p.w, p.a, p.b, 1);
	p.w->is_quiet = true;
	world_run(p.w, 31000);
	p.w->is_quiet = false;
	world_run(p.w, 1100);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "31510 b->a 200 (INVITE) sdp 1\n"
			  "31520 a-xb ACK\n"
			  "32010 b->a BYE\n"
			  "32020 a-xb 200 (BYE)\n");
	CHECK_EVENTS(p.a, "ended by remote, hung up, 0 lost ACK\n");
	world_run(p.w, 40000);
	CHECK_EVENTS(p.b, "ended by network, lost ACK, 0 lost ACK\n");
	pair_free(&p);
}

TEST(callee_hangs_up_before_the_ack)
{
	/* [RFC3261 15]: BYE not before the ACK */
	struct pair p = pair_new();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 15);
	hangup(p.b);
	hangup(p.b);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 200 (INVITE) sdp 1\n"
			  "   20 a->b ACK\n"
			  "   30 b->a BYE\n"
			  "   40 a->b 200 (BYE)\n");
	CHECK_EVENTS(p.b, "ended by local, hung up, 0 hung up\n");
	CHECK_EVENTS(p.a, "answer 1\nconfirmed\nended by remote, hung up, 0 hung up\n");
	pair_free(&p);
}

TEST(callee_hangs_up_and_no_ack_comes)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 5);
	lose(p.w, p.a, p.b, 1);
	world_run(p.w, 100);
	hangup(p.b);
	p.w->is_quiet = true;
	world_run(p.w, 31000);
	p.w->is_quiet = false;
	world_run(p.w, 70000);
	CHECK_EVENTS(p.b, "ended by local, hung up, 0 hung up\n");
	CHECK(p.a->has_ended);
	pair_free(&p);
}

TEST(bye_overtakes_the_ack)
{
	/* [RFC5407 3.1.2]; also while the callee waits with a BYE of its own: the peer was first */
	for (int closing = 0; closing < 2; closing++) {
		struct pair p = pair_new();
		p.b->answer = 200;
		party_call(p.a, p.b, "");
		world_run(p.w, 15);
		lose(p.w, p.a, p.b, 1); /* the ACK is lost */
		world_run(p.w, 10);
		lose(p.w, p.a, p.b, 0);
		if (closing)
			hangup(p.b);
		hangup(p.a);
		world_run(p.w, 1000);
		CHECK_EVENTS(p.a, "answer 1\nconfirmed\nended by local, hung up, 0 hung up\n");
		CHECK_EVENTS(p.b, "ended by remote, hung up, 0 hung up\n");
		pair_free(&p);
	}
}

/* --- BYE -------------------------------------------------------------------------------------- */

TEST(crossing_byes)
{
	/* both sides come to the same story: the caller */
	struct pair p = pair_talking();
	hangup(p.a);
	hangup(p.b);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b BYE\n"
			  "    0 b->a BYE\n"
			  "   10 a->b 200 (BYE)\n"
			  "   10 b->a 200 (BYE)\n");
	CHECK_EVENTS(p.a, "ended by local, hung up, 0 hung up\n");
	CHECK_EVENTS(p.b, "ended by remote, hung up, 0 hung up\n");
	pair_free(&p);
}

TEST(crossing_byes_one_lost)
{
	/* a's BYE is lost at first and finds nobody later: then b ended it */
	struct pair p = pair_talking();
	lose(p.w, p.a, p.b, 1);
	hangup(p.a);
	world_run(p.w, 5);
	lose(p.w, p.a, p.b, 0);
	hangup(p.b);
	world_run(p.w, 5000);
	CHECK_LADDER(p.w, "    0 a-xb BYE\n"
			  "    5 b->a BYE\n"
			  "   15 a->b 200 (BYE)\n"
			  "  500 a->b BYE\n"
			  "  510 b->a 481 (BYE)\n");
	CHECK_EVENTS(p.a, "ended by remote, hung up, 0 hung up\n");
	CHECK_EVENTS(p.b, "ended by local, hung up, 0 hung up\n");
	pair_free(&p);
}

TEST(bye_that_nobody_answers)
{
	struct pair p = pair_talking();
	lose(p.w, p.a, p.b, 1);
	hangup(p.a);
	world_run(p.w, 31000);
	CHECK_EVENTS(p.a, "");
	world_run(p.w, 2000);
	CHECK_EVENTS(p.a, "ended by local, hung up, 0 hung up\n");
	hangup(p.b);
	pair_free(&p);
}

TEST(bye_in_an_early_dialog)
{
	/* [RFC3261 15.1.2]: the INVITE is answered 487 */
	struct pair p = pair_new();
	unsigned done;
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	inside(p.a, "BYE", "", 0, &done);
	world_run(p.w, 1000);
	CHECK_EQ(done, 200);
	CHECK_EVENTS(p.b, "ended by remote, cancelled, 487 cancelled\n");
	CHECK_EVENTS(p.a, "progress 180\nended by remote, rejected, 487 Request Terminated\n");
	/* and the other way round, which no callee may do: the call goes on */
	ladder_clear(p.w);
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	inside(p.b, "BYE", "", 0, &done);
	world_run(p.w, 1000);
	CHECK_EQ(done, 200);
	CHECK(p.a->ses && p.b->ses);
	hangup(p.a);
	pair_free(&p);
}

TEST(bye_before_the_owner_was_told)
{
	/* the end is decided in a call of the owner's, and told later in the turn */
	struct pair p = pair_new();
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	struct tp_rx *invite = ses_invite(call_of(p.b));
	struct dlg *d = dialog(p.b);
	char text[1024];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b,
		"BYE sip:b@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKbye\r\n"
		"From: <sip:a@10.0.0.1>;tag=" STR_FMT "\r\nTo: <sip:b@10.0.0.2>;tag=" STR_FMT
		"\r\nCall-ID: " STR_FMT "\r\nCSeq: %u BYE\r\nMax-Forwards: 70\r\n"
		"Content-Length: 0\r\n\r\n",
		STR_ARG(dlg_remote_tag(d)), STR_ARG(dlg_local_tag(d)), STR_ARG(dlg_call_id(d)),
		d->remote_cseq + 1);
	struct tp_rx *bye = tp_rx_make(p.b->tp, buf_view(&b), &invite->from, &invite->to, TP_UDP);
	CHECK(bye);
	ladder_clear(p.w);
	CHECK_EQ(ses_reject(call_of(p.b), 486, STR_NONE, STR_NONE), OK);
	tsx_on_message(p.b->tsx, bye);
	tp_rx_unref(p.b->tp, bye);
	world_run(p.w, 5);
	CHECK_LADDER(p.w, "    0 b->a 486 (INVITE)\n    0 b->a 481 (BYE)\n");
	CHECK_EVENTS(p.b, "ended by local, rejected, 486 Busy Here\n");
	pair_free(&p);
}

TEST(dropped_in_every_state)
{
	struct pair p = pair_new();
	p.b->ring = 180;
	p.b->answer = 200;
	p.b->answer_ms = 500;
	static const unsigned at_ms[] = {5, 15, 505, 515, 530, 900};
	for (unsigned i = 0; i < ARRAY_LEN(at_ms); i++)
		for (unsigned who = 0; who < 2; who++) {
			party_call(p.a, p.b, "");
			world_run(p.w, at_ms[i]);
			struct party *x = who ? p.b : p.a;
			if (x->ses)
				ses_drop(x->ses);
			x->ses = NULL;
			ev_timer_stop(&x->loop, &x->answer_timer);
			world_run(p.w, 40000);
			if (p.b->ses) /* b rang on, nobody there to cancel */
				hangup(p.b);
			world_run(p.w, 40000);
			CHECK(!p.a->ses && !p.b->ses);
		}
	pair_free(&p);
}
