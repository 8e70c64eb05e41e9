/* Offer and answer in sessions; changes of running ones. [RFC3264] [RFC3261 13.2.1, 14] [RFC3311]
 */
#include "pair.h"

TEST(early_media)
{
	struct pair p = pair_new();
	p.b->ring = 183;
	p.b->ring_sdp = true;
	p.b->answer = 200;
	p.b->answer_ms = 500;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	/* the answer of the 183 again in the 200 [RFC3261 13.2.1] */
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 183 (INVITE) sdp 1\n"
			  "  510 b->a 200 (INVITE) sdp 1\n"
			  "  520 a->b ACK\n");
	CHECK_EVENTS(p.a, "answer 1 early\nprogress 183\nearly media\nanswer 1\nconfirmed\n");
	CHECK_EQ(p.a->remote, 1);
	CHECK_EQ(p.b->remote, 1);
	hangup(p.a);
	pair_free(&p);
}

TEST(answer_only_in_the_provisional)
{
	/* some leave it out of the 200 */
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 183, "t", "", 7);
	respond(p.b, kept_st, kept_rx, 200, "t", "", 0);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "answer 7 early\nprogress 183\nearly media\nanswer 7\nconfirmed\n");
	hangup(p.a);
	pair_free(&p);
}

TEST(late_offer)
{
	struct pair p = pair_new();
	p.b->ring = 183;
	p.b->ring_sdp = true; /* not possible without 100rel: left out */
	p.b->answer = 200;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .is_late_offer = true};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE\n"
			  "   10 b->a 183 (INVITE)\n"
			  "   10 b->a 200 (INVITE) sdp 1\n"
			  "   20 a->b ACK sdp 1\n");
	CHECK_EVENTS(p.b, "answer 1\nconfirmed\n");
	CHECK_EQ(p.a->remote, 1);
	hangup(p.a);
	pair_free(&p);
}

TEST(late_offer_refused)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	p.a->refuse_offer = 488;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .is_late_offer = true};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by local, no common media, 0 no common media\n");
	CHECK_EVENTS(p.b, "answer 1\nconfirmed\nended by remote, hung up, 0 hung up\n");
	p.a->refuse_offer = 0;
	p.b->refuse_answer = true;
	ladder_clear(p.w);
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE\n"
			  "   10 b->a 200 (INVITE) sdp 2\n"
			  "   20 a->b ACK sdp 1\n"
			  "   30 b->a BYE\n"
			  "   40 a->b 200 (BYE)\n");
	CHECK_EVENTS(p.b, "answer 1\nended by local, no common media, 0 no common media\n");
	pair_free(&p);
}

TEST(offer_refused)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	p.b->refuse_offer = 488;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by remote, rejected, 488 Not Acceptable Here\n");
	CHECK_EVENTS(p.b, "ended by local, no common media, 488 no common media\n");
	ladder_clear(p.w);
	p.b->ring = 183;
	p.b->ring_sdp = true;
	p.b->answer = 0;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by remote, rejected, 488 Not Acceptable Here\n");
	ladder_clear(p.w);
	p.b->ring = 0;
	p.b->answer = 200;
	p.b->no_offer = true; /* an offer of b's own cannot be made */
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .is_late_offer = true};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by remote, rejected, 500 Server Internal Error\n");
	pair_free(&p);
}

TEST(answer_refused)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	p.a->refuse_answer = true;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 200 (INVITE) sdp 1\n"
			  "   20 a->b ACK\n"
			  "   20 a->b BYE\n"
			  "   30 b->a 200 (BYE)\n");
	CHECK_EVENTS(p.a, "answer 1\nended by local, no common media, 0 no common media\n");
	CHECK_EVENTS(p.b, "confirmed\nended by remote, hung up, 0 hung up\n");
	pair_free(&p);
}

/* --- changes ---------------------------------------------------------------------------------- */

TEST(both_sides_change_it)
{
	struct pair p = pair_talking();
	modify(p.a);
	CHECK_EQ(ses_modify(call_of(p.a)), ERR_STATE);
	world_run(p.w, 1000);
	modify(p.b);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 2\n"
			  "   10 b->a 200 (INVITE) sdp 2\n"
			  "   20 a->b ACK\n"
			  " 1000 b->a INVITE sdp 3\n"
			  " 1010 a->b 200 (INVITE) sdp 3\n"
			  " 1020 b->a ACK\n");
	CHECK_EVENTS(p.a, "answer 2\nrenegotiated by local\nrenegotiated by remote\n");
	CHECK_EVENTS(p.b, "renegotiated by remote\nanswer 3\nrenegotiated by local\n");
	CHECK_EQ(p.a->local, p.b->remote);
	CHECK_EQ(p.b->local, p.a->remote);
	hangup(p.b);
	pair_free(&p);
}

TEST(change_refused)
{
	struct pair p = pair_talking();
	p.b->refuse_offer = 488;
	modify(p.a);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "modify failed 488\n");
	CHECK_EVENTS(p.b, "");
	p.b->refuse_offer = 0;
	p.a->refuse_answer = true;
	ladder_clear(p.w);
	modify(p.a);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "answer 2\nmodify failed 488\n");
	p.a->no_offer = true;
	CHECK_EQ(ses_modify(call_of(p.a)), ERR_STATE);
	hangup(p.b);
	pair_free(&p);
}

TEST(glare)
{
	/* [RFC3261 14.1]: both are refused, and tried again at different times */
	struct pair p = pair_talking();
	modify(p.a);
	modify(p.b);
	world_run(p.w, 10000);
	CHECK(str_starts(buf_view(&p.w->ladder), STR("    0 a->b INVITE sdp 2\n"
						     "    0 b->a INVITE sdp 2\n"
						     "   10 a->b 491 (INVITE)\n"
						     "   10 b->a 491 (INVITE)\n")));
	CHECK_EVENTS(p.a, "renegotiated by remote\nanswer 4\nrenegotiated by local\n");
	CHECK_EVENTS(p.b, "answer 3\nrenegotiated by local\nrenegotiated by remote\n");
	CHECK_EQ(p.a->local, p.b->remote);
	CHECK_EQ(p.b->local, p.a->remote);
	hangup(p.a);
	pair_free(&p);
}

TEST(ack_of_a_change_is_lost)
{
	struct pair p = pair_talking();
	modify(p.a);
	world_run(p.w, 15);
	lose(p.w, p.a, p.b, 1);
	world_run(p.w, 100);
	lose(p.w, p.a, p.b, 0);
	CHECK_EQ(ses_modify(call_of(p.b)), ERR_STATE); /* its own 2xx is not acknowledged */
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 2\n"
			  "   10 b->a 200 (INVITE) sdp 2\n"
			  "   20 a-xb ACK\n"
			  "  510 b->a 200 (INVITE) sdp 2\n"
			  "  520 a->b ACK\n");
	/* and for good: the session ends [RFC3261 14.2] */
	ladder_clear(p.w);
	modify(p.a);
	world_run(p.w, 15);
	p.w->is_quiet = true;
	lose(p.w, p.a, p.b, 1);
	world_run(p.w, 31900);
	lose(p.w, p.a, p.b, 0);
	p.w->is_quiet = false;
	world_run(p.w, 10000);
	CHECK_EVENTS(p.b, "renegotiated by remote\nended by network, lost ACK, 0 lost ACK\n");
	CHECK_EQ(p.a->end.by, SES_BY_REMOTE);
	pair_free(&p);
}

TEST(change_before_the_ack)
{
	/* [RFC5407 3.1.4]: the ACK comes behind the re-INVITE */
	struct pair p = pair_new();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 15);
	lose(p.w, p.a, p.b, 1);
	world_run(p.w, 10);
	lose(p.w, p.a, p.b, 0);
	modify(p.a);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 200 (INVITE) sdp 1\n"
			  "   20 a-xb ACK\n"
			  "   25 a->b INVITE sdp 2\n"
			  "   35 b->a 200 (INVITE) sdp 2\n"
			  "   45 a->b ACK\n");
	CHECK_EVENTS(p.b, "confirmed\nrenegotiated by remote\n");
	hangup(p.b);
	pair_free(&p);
}

TEST(refused_change_before_the_ack)
{
	/* the re-INVITE stands for the ACK all the same, and the ACK comes later */
	struct pair p = pair_new();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 15);
	lose(p.w, p.a, p.b, 1);
	world_run(p.w, 10);
	lose(p.w, p.a, p.b, 0);
	p.b->refuse_offer = 488;
	modify(p.a);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.b, "confirmed\n");
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 200 (INVITE) sdp 1\n"
			  "   20 a-xb ACK\n"
			  "   25 a->b INVITE sdp 2\n"
			  "   35 b->a 488 (INVITE)\n"
			  "   45 a->b ACK\n");
	hangup(p.b);
	pair_free(&p);
}

TEST(change_without_an_offer)
{
	/* ours is in the 2xx, the answer in the ACK */
	struct pair p = pair_talking();
	unsigned done;
	inside(p.a, "INVITE", "", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	/* nobody sent the ACK; meanwhile b's offer is out: 491 for another */
	inside(p.a, "INVITE", "", 9, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 491);
	inside(p.a, "UPDATE", "", 9, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 491);
	CHECK_EVENTS(p.b, "");
	struct dlg *d = dialog(p.a);
	char text[512];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	party_put_sdp(p.a, 8, &b);
	dlg_send_ack(d, d->local_cseq - 2, STR_NONE, buf_view(&b));
	world_run(p.w, 100);
	CHECK_EVENTS(p.b, "answer 8\nrenegotiated by remote\n");
	/* once more, with an ACK that has no answer: the session goes on as it was */
	inside(p.a, "INVITE", "", 0, &done);
	world_run(p.w, 100);
	dlg_send_ack(d, d->local_cseq, STR_NONE, STR_NONE);
	world_run(p.w, 100);
	CHECK_EVENTS(p.b, "answer 8\nrenegotiated by remote\nmodify failed 488\n");
	hangup(p.b);
	pair_free(&p);
}

TEST(change_finds_no_dialog)
{
	/* 481 ends it; so does silence, which may be one way only: the peer hears a BYE [RFC3261
	 * 12.2.1.2] [RFC5057 5.2] */
	struct pair p = pair_talking();
	party_close(p.b);
	party_open(p.b);
	ladder_clear(p.w);
	modify(p.a);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by network, dialog gone, 481 dialog gone\n");
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 2\n"
			  "   10 b->a 481 (INVITE)\n"
			  "   20 a->b ACK\n"
			  "   20 a->b BYE\n"
			  "   30 b->a 481 (BYE)\n");
	pair_free(&p);
	p = pair_talking();
	lose(p.w, p.a, p.b, 1);
	modify(p.a);
	world_run(p.w, 40000);
	CHECK_EVENTS(p.a, "ended by network, dialog gone, 408 dialog gone\n");
	CHECK(!p.a->ses && p.b->ses);
	lose(p.w, p.a, p.b, 0);
	world_run(p.w, 10000);
	CHECK_EVENTS(p.b, "ended by remote, hung up, 0 Request Timeout\n");
	pair_free(&p);
}

TEST(hung_up_while_changing)
{
	struct pair p = pair_talking();
	modify(p.a);
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 2\n"
			  "    0 a->b BYE\n"
			  "   10 b->a 200 (INVITE) sdp 2\n"
			  "   10 b->a 200 (BYE)\n"
			  "   20 a->b ACK\n");
	CHECK_EVENTS(p.a, "ended by local, hung up, 0 hung up\n");
	pair_free(&p);
	p = pair_talking();
	modify(p.a);
	modify(p.b); /* glare, and the end during its wait */
	world_run(p.w, 50);
	hangup(p.a);
	pair_free(&p);
}

TEST(update)
{
	/* [RFC3311] */
	struct pair p = pair_talking();
	unsigned done;
	inside(p.a, "UPDATE", "", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	inside(p.a, "UPDATE", "", 5, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	CHECK_EQ(p.b->remote, 5);
	CHECK_EVENTS(p.b, "renegotiated by remote\n");
	p.b->refuse_offer = 488;
	inside(p.a, "UPDATE", "", 6, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 488);
	inside(p.a, "INVITE", "Content-Type: text/plain\r\n", 0, &done);
	world_run(p.w, 100);
	hangup(p.b);
	pair_free(&p);
}

static unsigned retry_after; /* of the last 500 */

static void hear_500(void *arg, const struct sim_packet *p)
{
	size_t at = str_find(p->bytes, STR("\r\nRetry-After: "));
	struct str none;
	if (!str_starts(p->bytes, STR("SIP/2.0 500 ")))
		return;
	if (at == SIZE_MAX ||
	    !str_u32(str_cut(str_skip(p->bytes, at + 15), '\r', &none), &retry_after))
		retry_after = UINT32_MAX;
}

/* Two forks have answered early; the 200 of one has no SDP, since its answer was given: that one
 * counts, not what the other said last [RFC3262 5] */
TEST(each_fork_keeps_its_early_answer)
{
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 183, "one", "", 5);
	respond(p.b, kept_st, kept_rx, 183, "two", "", 7);
	respond(p.b, kept_st, kept_rx, 183, "one", "", 9);
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "two", "", 0);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "answer 5 early\nprogress 183\nearly media\n"
			  "answer 7 early\nprogress 183\nearly media\n"
			  "answer 9 early\nprogress 183\nearly media\nanswer 7\nconfirmed\n");
	CHECK(p.a->is_confirmed);
	hangup(p.a);
	pair_free(&p);
}

TEST(early_changes_are_refused)
{
	struct pair p = pair_new();
	unsigned done;
	p.b->ring = 183;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	/* to the callee: its answer is still to come; when to ask again differs [RFC3311 5.2] */
	unsigned different = 0, last = UINT32_MAX;
	sim_tap(p.w->sim, hear_500, NULL);
	for (int i = 0; i < 8; i++) {
		inside(p.a, "UPDATE", "", 5, &done);
		world_run(p.w, 100);
		CHECK_EQ(done, 500);
		CHECK(retry_after <= 10);
		different += retry_after != last;
		last = retry_after;
	}
	CHECK(different > 2);
	inside(p.a, "UPDATE", "", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	inside(p.a, "INVITE", "", 5, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 500);
	/* to the caller: its offer is out */
	inside(p.b, "UPDATE", "", 5, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 491);
	inside(p.b, "UPDATE", "", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	inside(p.b, "INVITE", "", 5, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 491);
	inside(p.b, "REFER", "", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 405);
	hangup(p.a);
	pair_free(&p);
}

/* --- other requests --------------------------------------------------------------------------- */

static char heard[2048]; /* the last MESSAGE, or 200 to one */

static void hear_message(void *arg, const struct sim_packet *p)
{
	if (str_find(p->bytes, STR(" MESSAGE\r\n")) != SIZE_MAX)
		str_copy(heard, sizeof(heard), p->bytes);
}

/* [RFC3428 4, 7]: neither side says its Contact, and the 2xx is empty */
TEST(messages_have_no_contact)
{
	struct pair p = pair_talking();
	unsigned done;
	sim_tap(p.w->sim, hear_message, NULL);
	inside(p.a, "MESSAGE", "", 0, &done);
	world_run(p.w, 5);
	CHECK(str_starts(str_c(heard), STR("MESSAGE ")));
	CHECK(!strstr(heard, "\r\nContact:"));
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	CHECK(str_starts(str_c(heard), STR("SIP/2.0 200 ")));
	CHECK(!strstr(heard, "\r\nContact:"));
	CHECK(strstr(heard, "\r\nContent-Length: 0\r\n\r\n"));
	hangup(p.a);
	pair_free(&p);
}

TEST(requests_inside_the_dialog)
{
	struct pair p = pair_talking();
	static const struct {
		const char *method, *headers;
		unsigned status;
	} cases[] = {
		{"OPTIONS", "",                 200},
                {"MESSAGE", "",                 200},
                {"REFER",   "",                 405},
		{"NOTIFY",  "",                 481},
                {"PRACK",   "",                 481},
                {"OPTIONS", "Require: foo\r\n", 420},
	};
	unsigned done;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		inside(p.a, cases[i].method, cases[i].headers, 0, &done);
		world_run(p.w, 100);
		CHECK_EQ(done, cases[i].status);
	}
	CHECK(p.a->ses);
	ladder_clear(p.w);
	CHECK_EQ(ses_info(call_of(p.a), STR("application/dtmf-relay"), STR("Signal=1")), OK);
	world_run(p.w, 100);
	CHECK_EVENTS(p.b, "info Signal=1\n");
	for (int i = 0; i < 4; i++)
		CHECK_EQ(ses_info(call_of(p.a), STR("text/plain"), STR("x")), OK);
	CHECK_EQ(ses_info(call_of(p.a), STR("text/plain"), STR("x")), ERR_LIMIT);
	world_run(p.w, 100);
	/* the peer forgets: an INFO shows it */
	party_close(p.b);
	party_open(p.b);
	CHECK_EQ(ses_info(call_of(p.a), STR("text/plain"), STR("x")), OK);
	world_run(p.w, 100);
	CHECK_EQ(p.a->end.cause, SES_CAUSE_GONE);
	pair_free(&p);
}

TEST(hung_up_while_a_request_is_out)
{
	struct pair p = pair_talking();
	party_close(p.b);
	party_open(p.b);
	CHECK_EQ(ses_info(call_of(p.a), STR("text/plain"), STR("x")), OK);
	hangup(p.a);
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by local, hung up, 0 hung up\n");
	pair_free(&p);
}

TEST(order_of_cseq)
{
	/* [RFC3261 12.2.2] */
	struct pair p = pair_talking();
	unsigned done;
	struct dlg *d = dialog(p.a);
	d->local_cseq -= 2; /* the next one is behind the INVITE's */
	inside(p.a, "OPTIONS", "", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 500);
	inside(p.a, "OPTIONS", "", 0, &done); /* the INVITE's number again */
	world_run(p.w, 100);
	CHECK_EQ(done, 482);
	d->local_cseq += 100;
	inside(p.a, "OPTIONS", "", 0, &done); /* gaps are fine */
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	hangup(p.a);
	pair_free(&p);
}

TEST(after_the_end_there_is_nothing)
{
	struct pair p = pair_talking();
	unsigned done, done2;
	lose(p.w, p.b, p.a, 1);
	hangup(p.b); /* ENDING: only a BYE is heard */
	world_run(p.w, 5);
	lose(p.w, p.b, p.a, 0);
	inside(p.a, "OPTIONS", "", 0,
	       &done); /* both borrow of the dialog: answered before its end */
	inside(p.a, "INVITE", "", 3, &done2);
	world_run(p.w, 100);
	CHECK(p.a->ses != NULL);
	CHECK_EQ(done, 481);
	CHECK_EQ(done2, 481);
	pair_free(&p);
}
