/* Calls through the back-to-back user agent while they stand: hold, glare, UPDATE, late offers,
 * INFO and MESSAGE, session timers, the farewell. */
#include "b2b_rig.h"

/* The 200 to a change arrives with that SDP; acknowledged. */
static struct raw_msg *take_change(struct rig_end *e, const struct raw_req *q, const char *sdp)
{
	struct raw_msg *m = raw_get(e->r, "SIP/2.0 200", 2);
	CHECK(raw_has(m, sdp));
	rig_ack(e, q, NULL, NULL);
	return m;
}

/* Both styles of hold reach the other side as they were said [RFC3264 8.4] */
TEST_NO_OOM(hold_by_either_side)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	struct raw_req q = rig_ask(&a, "INVITE", RIG_SDP, rig_sdp(g, g->a, "sendonly"));
	struct raw_msg *m = raw_get(g->b, "INVITE ", 2);
	CHECK(raw_has(m, "a=sendonly"));
	raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->b, "recvonly"));
	take_change(&a, &q, "a=recvonly");
	raw_get(g->b, "ACK ", 2);
	static const char old_style[] = "v=0\no=b 77 3 IN IP4 10.0.0.22\ns=-\nc=IN IP4 0.0.0.0\n"
					"t=0 0\nm=audio 4000 RTP/AVP 0\n";
	q = rig_ask(&b, "INVITE", RIG_SDP, old_style);
	m = raw_get(g->a, "INVITE ", 2);
	CHECK(raw_has(m, "c=IN IP4 0.0.0.0"));
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	take_change(&b, &q, "o=a 77 3 ");
	raw_get(g->a, "ACK ", 2);
	CHECK_RIG(g, "    1 a->x INVITE a2\n"
		     "    1 x->b INVITE a2\n"
		     "    3 b->x 200 (INVITE) b2\n"
		     "    3 x->b ACK\n"
		     "    3 x->a 200 (INVITE) b2\n"
		     "    5 a->x ACK\n"
		     "    5 b->x INVITE b3\n"
		     "    5 x->a INVITE b3\n"
		     "    7 a->x 200 (INVITE) a3\n"
		     "    7 x->a ACK\n"
		     "    7 x->b 200 (INVITE) a3\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* The other side refuses: so does the exchange, and the call goes on [RFC3261 14.2] */
TEST_NO_OOM(change_is_refused)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	struct raw_req q = rig_ask(&a, "INVITE", RIG_SDP, rig_sdp(g, g->a, NULL));
	rig_reply(g->b, raw_get(g->b, "INVITE ", 2), "488 Not Acceptable Here");
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 488", 2);
	rig_ack(&a, &q, NULL, NULL);
	CHECK(raw_has(m, "1014"));
	raw_get(g->b, "ACK ", 2);
	rig_bye(g, &b, &a);
	rig_free(g);
}

/* The other side knows the call no more: that is what the one hears who asked, not a CANCEL that
 * nobody sent; then his call ends, too [RFC3261 12.2.1.2] */
TEST_NO_OOM(change_finds_no_call)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	struct raw_req q = rig_ask(&a, "INVITE", RIG_SDP, rig_sdp(g, g->a, NULL));
	rig_reply(g->b, raw_get(g->b, "INVITE ", 2), "481 Gone");
	raw_get(g->b, "ACK ", 2);
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 ", 2);
	rig_ack(&a, &q, NULL, NULL);
	CHECK(raw_has(m, "SIP/2.0 481"));
	CHECK(raw_has(m, "1008"));
	m = raw_get(g->a, "BYE ", 2);
	CHECK(raw_has(m, "Reason: SIP;cause=481;"));
	rig_reply(g->a, m, "200 OK");
	rig_reply(g->b, raw_get(g->b, "BYE ", 2), "481 Gone");
	rig_free(g);
}

/* Both change at once: 491 on both sides [RFC3261 14.1] */
TEST_NO_OOM(glare)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	struct raw_req qa = rig_ask(&a, "INVITE", RIG_SDP, rig_sdp(g, g->a, NULL));
	stage_run(g->t->s, 0.0005);
	struct raw_req qb = rig_ask(&b, "INVITE", RIG_SDP, rig_sdp(g, g->b, NULL));
	struct raw_msg *at_b = raw_get(g->b, "INVITE ", 2);
	struct raw_msg *m = raw_get(g->b, "SIP/2.0 491", 2);
	CHECK(raw_has(m, "1012"));
	rig_ack(&b, &qb, NULL, NULL);
	rig_reply(g->b, at_b, "491 Request Pending");
	raw_get(g->a, "SIP/2.0 491", 2);
	rig_ack(&a, &qa, NULL, NULL);
	stage_run(g->t->s, 0.1);
	CHECK_RIG(g, "    1 a->x INVITE a2\n"
		     "    1 x->b INVITE a2\n"
		     "    1 b->x INVITE b2\n"
		     "    1 x->b 491 (INVITE)\n"
		     "    3 b->x ACK\n"
		     "    3 b->x 491 (INVITE)\n"
		     "    3 x->b ACK\n"
		     "    3 x->a 491 (INVITE)\n"
		     "    5 a->x ACK\n");
	rig_bye(g, &b, &a);
	rig_free(g);
}

/* A re-INVITE without offer: three steps [RFC3261 14.1] */
TEST_NO_OOM(late_change)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	struct raw_req q = rig_ask(&a, "INVITE", NULL, NULL);
	struct raw_msg *m = raw_get(g->b, "INVITE ", 2);
	CHECK_EQ(raw_body(m).n, 0);
	raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->b, NULL));
	m = raw_get(g->a, "SIP/2.0 200", 2);
	CHECK(raw_has(m, "o=b 77 2 "));
	rig_ack(&a, &q, RIG_SDP, rig_sdp(g, g->a, NULL));
	CHECK(raw_has(raw_get(g->b, "ACK ", 2), "o=a 77 2 "));
	CHECK_RIG(g, "    1 a->x INVITE\n"
		     "    1 x->b INVITE\n"
		     "    3 b->x 200 (INVITE) b2\n"
		     "    3 x->a 200 (INVITE) b2\n"
		     "    5 a->x ACK a2\n"
		     "    5 x->b ACK a2\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* UPDATE goes on as UPDATE where the other side takes it, else as a re-INVITE [RFC3311] */
TEST_NO_OOM(update)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", "Allow: INVITE, ACK, BYE, UPDATE\n", &a);
	rig_ring(g, g->b, &b);
	rig_answer(g, &b, &a);
	rig_clear(g);
	rig_ask(&a, "UPDATE", RIG_SDP, rig_sdp(g, g->a, NULL));
	struct raw_msg *m = raw_get(g->b, "INVITE ", 2);
	raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->b, NULL));
	CHECK(raw_has(raw_get(g->a, "SIP/2.0 200", 2), "o=b 77 2 "));
	raw_get(g->b, "ACK ", 2);
	rig_ask(&b, "UPDATE", RIG_SDP, rig_sdp(g, g->b, NULL));
	m = raw_get(g->a, "UPDATE ", 2);
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	CHECK(raw_has(raw_get(g->b, "SIP/2.0 200", 2), "o=a 77 3 "));
	CHECK_RIG(g, "    1 a->x ACK\n"
		     "    1 a->x UPDATE a2\n"
		     "    1 x->b INVITE a2\n"
		     "    3 b->x 200 (INVITE) b2\n"
		     "    3 x->b ACK\n"
		     "    3 x->a 200 (UPDATE) b2\n"
		     "    5 b->x UPDATE b3\n"
		     "    5 x->a UPDATE b3\n"
		     "    7 a->x 200 (UPDATE) a3\n"
		     "    7 x->b 200 (UPDATE) a3\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* Before the answer, once an offer was answered reliably [RFC3311 5.1] */
TEST_NO_OOM(early_update)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	char rack[80], rseq[16];
	rig_call(g, g->a, "1002", "Supported: 100rel\nAllow: INVITE, UPDATE, PRACK\n", &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "183 Session Progress", b.q.tag,
		  RIG_SDP "Require: 100rel\nRSeq: 7\nAllow: UPDATE\n", rig_sdp(g, g->b, NULL));
	rig_reply(g->b, raw_get(g->b, "PRACK ", 2), "200 OK");
	struct raw_msg *early = raw_get(g->a, "SIP/2.0 183", 2);
	snprintf(rack, sizeof(rack), "RAck: %s %u INVITE\n",
		 raw_cstr(raw_header(early, "RSeq", 0), rseq, sizeof(rseq)), a.q.cseq);
	struct raw_req invite = a.q;
	rig_set_caller(&a, early);
	rig_ask(&a, "PRACK", rack, NULL);
	raw_get(g->a, "SIP/2.0 200", 2);
	rig_clear(g);
	rig_ask(&a, "UPDATE", RIG_SDP, rig_sdp(g, g->a, NULL));
	struct raw_msg *m = raw_get(g->b, "UPDATE ", 2);
	raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->b, NULL));
	CHECK(raw_has(raw_get(g->a, "SIP/2.0 200", 2), "o=b 77 2 "));
	rig_ask(&b, "UPDATE", RIG_SDP, rig_sdp(g, g->b, NULL));
	m = raw_get(g->a, "UPDATE ", 2);
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	CHECK(raw_has(raw_get(g->b, "SIP/2.0 200", 2), "o=a 77 3 "));
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, NULL, NULL);
	raw_get(g->a, "SIP/2.0 200", 2);
	rig_ack(&a, &invite, NULL, NULL);
	stage_run(g->t->s, 0.1);
	CHECK_RIG(g, "    1 a->x UPDATE a2\n"
		     "    1 x->b UPDATE a2\n"
		     "    3 b->x 200 (UPDATE) b2\n"
		     "    3 x->a 200 (UPDATE) b2\n"
		     "    5 b->x UPDATE b3\n"
		     "    5 x->a UPDATE b3\n"
		     "    7 a->x 200 (UPDATE) a3\n"
		     "    7 x->b 200 (UPDATE) a3\n"
		     "    9 b->x 200 (INVITE)\n"
		     "    9 x->b ACK\n"
		     "    9 x->a 200 (INVITE)\n"
		     "   11 a->x ACK\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* INFO and MESSAGE are answered by the other side [RFC6086] [RFC3428] */
TEST_NO_OOM(info_and_message)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&a, "INFO", "Content-Type: application/dtmf-relay\n", "Signal=5\n");
	struct raw_msg *m = raw_get(g->b, "INFO ", 2);
	CHECK(raw_has(m, "Signal=5"));
	CHECK(raw_has(m, "Content-Type: application/dtmf-relay"));
	rig_reply(g->b, m, "415 Unsupported Media Type");
	raw_get(g->a, "SIP/2.0 415", 2);
	rig_ask(&b, "MESSAGE", "Content-Type: text/plain\n", "hello\n");
	m = raw_get(g->a, "MESSAGE ", 2);
	CHECK(raw_has(m, "hello"));
	rig_reply(g->a, m, "202 Accepted");
	raw_get(g->b, "SIP/2.0 202", 2);
	CHECK_RIG(g, "    1 a->x INFO\n"
		     "    1 x->b INFO\n"
		     "    3 b->x 415 (INFO)\n"
		     "    3 x->a 415 (INFO)\n"
		     "    5 b->x MESSAGE\n"
		     "    5 x->a MESSAGE\n"
		     "    7 a->x 202 (MESSAGE)\n"
		     "    7 x->b 202 (MESSAGE)\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* A request inside the dialog may overtake the ACK: it passes, since the callee's call stands. One
 * before the answer is put off; neither says that the call is gone. [RFC5057 5.1] */
TEST_NO_OOM(requests_before_the_ack)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, NULL, NULL);
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 180", 2));
	struct raw_req invite = a.q;
	rig_ask(&a, "INFO", NULL, NULL);
	CHECK(raw_header(raw_get(g->a, "SIP/2.0 500", 2), "Retry-After", 0).n);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, rig_sdp(g, g->b, NULL));
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 200", 2));
	raw_get(g->b, "ACK ", 2);
	rig_ask(&b, "INFO", NULL, NULL);
	CHECK(raw_header(raw_get(g->b, "SIP/2.0 500", 2), "Retry-After", 0).n);
	rig_ask(&a, "INFO", NULL, NULL);
	rig_reply(g->b, raw_get(g->b, "INFO ", 2), "200 OK");
	CHECK_STR(raw_header(raw_get(g->a, "SIP/2.0 200", 0.2), "CSeq", 0), "4 INFO");
	rig_ask(&a, "UPDATE", RIG_SDP, rig_sdp(g, g->a, "sendonly"));
	struct raw_msg *m = raw_get(g->b, "INVITE ", 2);
	raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->b, "recvonly"));
	raw_get(g->b, "ACK ", 2);
	CHECK_STR(raw_header(raw_get(g->a, "SIP/2.0 200", 0.2), "CSeq", 0), "5 UPDATE");
	rig_ack(&a, &invite, NULL, NULL);
	stage_run(g->t->s, 0.1);
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* --- session timers --------------------------------------------------------------------------- */

/* The callee knows no timers and no UPDATE: the exchange refreshes by re-INVITE with what it said
 * last; the caller knows UPDATE [RFC4028 7.2, 9] */
TEST_NO_OOM(session_is_refreshed)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", "Supported: timer\nSession-Expires: 200\nAllow: INVITE, UPDATE\n",
		 &a);
	rig_ring(g, g->b, &b);
	CHECK_STR(raw_header(b.invite, "Session-Expires", 0), "1800");
	rig_answer(g, &b, &a);
	CHECK_STR(raw_header(a.answer, "Session-Expires", 0), "200;refresher=uas");
	rig_clear(g);
	for (int i = 0; i < 12; i++) {
		struct raw_msg *m = raw_get(g->a, "UPDATE ", 101);
		CHECK_STR(raw_header(m, "Session-Expires", 0), "200;refresher=uac");
		raw_reply(g->a, m, "200 OK", NULL, "Session-Expires: 200;refresher=uac\n", NULL);
		if ((m = raw_poll(g->b, "INVITE "))) {
			CHECK(raw_has(m, "o=a 77 1 "));
			raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, g->sdp_mem[1]);
			raw_get(g->b, "ACK ", 2);
		}
	}
	CHECK_RIG(g, "    1 a->x ACK\n"
		     "99999 x->a UPDATE\n"
		     "100001 a->x 200 (UPDATE)\n"
		     "200001 x->a UPDATE\n"
		     "200003 a->x 200 (UPDATE)\n"
		     "300003 x->a UPDATE\n"
		     "300005 a->x 200 (UPDATE)\n"
		     "400005 x->a UPDATE\n"
		     "400007 a->x 200 (UPDATE)\n"
		     "500007 x->a UPDATE\n"
		     "500009 a->x 200 (UPDATE)\n"
		     "600009 x->a UPDATE\n"
		     "600011 a->x 200 (UPDATE)\n"
		     "700011 x->a UPDATE\n"
		     "700013 a->x 200 (UPDATE)\n"
		     "800013 x->a UPDATE\n"
		     "800015 a->x 200 (UPDATE)\n"
		     "899999 x->b INVITE a1\n"
		     "900015 x->a UPDATE\n"
		     "900017 a->x 200 (UPDATE)\n"
		     "900017 b->x 200 (INVITE) b1\n"
		     "900017 x->b ACK\n"
		     "1000017 x->a UPDATE\n"
		     "1000019 a->x 200 (UPDATE)\n"
		     "1100019 x->a UPDATE\n"
		     "1100021 a->x 200 (UPDATE)\n"
		     "1200021 x->a UPDATE\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* The callee is to refresh and has vanished: both sides are ended, with the reason
 * [RFC4028 10] */
TEST_NO_OOM(session_expires)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag,
		  RIG_SDP "Require: timer\nSession-Expires: 300;refresher=uas\n",
		  rig_sdp(g, g->b, NULL));
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 200", 2));
	rig_ack(&a, &a.q, NULL, NULL);
	raw_get(g->b, "ACK ", 2);
	rig_clear(g);
	struct raw_msg *bye = raw_get(g->b, "BYE ", 300);
	CHECK(raw_has(bye, "Reason: SIP;cause=408;text=\"session timer\""));
	rig_reply(g->b, bye, "200 OK");
	rig_reply(g->a, raw_get(g->a, "BYE ", 2), "200 OK");
	CHECK_RIG(g, "    1 a->x ACK\n"
		     "267999 x->b BYE\n"
		     "268001 b->x 200 (BYE)\n"
		     "268001 x->a BYE\n");
	rig_free(g);
}

/* 422 from the callee: again with his Min-SE; 422 of ours [RFC4028 6, 7.4, 8.1] */
TEST_NO_OOM(session_interval_too_small)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "422 Session Interval Too Small", "t", "Min-SE: 3600\n", NULL);
	raw_get(g->b, "ACK ", 2);
	rig_ring(g, g->b, &b);
	CHECK_STR(raw_header(b.invite, "Session-Expires", 0), "3600");
	CHECK_STR(raw_header(b.invite, "Min-SE", 0), "3600");
	rig_answer(g, &b, &a);
	rig_bye(g, &a, &b);
	struct rig_end c;
	rig_call(g, g->a, "1002", "Supported: timer\nSession-Expires: 30\n", &c);
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 422", 2);
	CHECK_STR(raw_header(m, "Min-SE", 0), "90");
	CHECK(raw_has(m, "1015"));
	raw_ack(g->a, 0, &c.q, m);
	rig_free(g);
}

/* As many at once as a session keeps apart; the next one is told to come again, and the call goes
 * on [RFC3261 14.2] */
TEST_NO_OOM(too_many_requests_at_once)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	for (int i = 0; i < 5; i++)
		rig_ask(&a, "INFO", "Content-Type: text/plain\n", "x\n");
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 500", 2);
	CHECK(raw_has(m, "\"1019 not now\""));
	uint32_t s = 99;
	CHECK(str_u32(raw_header(m, "Retry-After", 0), &s) && s <= 10);
	for (int i = 0; i < 4; i++) {
		rig_reply(g->b, raw_get(g->b, "INFO ", 2), "200 OK");
		raw_get(g->a, "SIP/2.0 200", 2);
	}
	rig_ask(&a, "INFO", "Content-Type: text/plain\n", "x\n");
	rig_reply(g->b, raw_get(g->b, "INFO ", 2), "200 OK");
	raw_get(g->a, "SIP/2.0 200", 2);
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* A request that reaches nobody: what the exchange says of it has a code */
TEST_NO_OOM(request_reaches_nobody)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	raw_close(g->b, 0);
	rig_ask(&a, "INFO", "Content-Type: text/plain\n", "x\n");
	CHECK(raw_has(raw_get(g->a, "SIP/2.0 503", 40), "\"4008 "));
	rig_reply(g->a, raw_get(g->a, "BYE ", 40), "200 OK");
	rig_free(g);
}

/* --- the farewell ----------------------------------------------------------------------------- */

/* Flow 5 of the walkthrough, its last part: the callee hangs up, the exchange re-INVITEs the caller
 * to itself, and then ends the call. The o= line that the caller sees stays one session's. */
TEST_NO_OOM(farewell)
{
	static const struct exc_cfg cfg = {.realm = STR_INIT("sim"),
					   .product = STR_INIT("rung"),
					   .is_b2bua = true,
					   .has_farewell = true};
	struct rig *g = rig_new_with(&cfg);
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "BYE", NULL, NULL);
	raw_get(g->b, "SIP/2.0 200", 2);
	struct raw_msg *m = raw_get(g->a, "INVITE ", 2);
	CHECK(raw_has(m, "o=b 77 2 IN IP4 10.0.0.22\r\n"));
	CHECK(raw_has(m, "c=IN IP4 10.0.0.1\r\n"));
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	raw_get(g->a, "ACK ", 2);
	struct raw_msg *bye = raw_get(g->a, "BYE ", 2);
	CHECK(raw_has(bye, "Reason: Q.850;cause=16"));
	rig_reply(g->a, bye, "200 OK");
	CHECK_RIG(g, "    1 b->x BYE\n"
		     "    1 x->b 200 (BYE)\n"
		     "    1 x->a INVITE b2\n"
		     "    3 a->x 200 (INVITE) a2\n"
		     "    3 x->a ACK\n"
		     " 1203 x->a BYE\n");
	rig_free(g);
}

/* Who refuses it is ended at once; so is who hangs up meanwhile; the caller's BYE needs none. */
TEST_NO_OOM(farewell_refused)
{
	static const struct exc_cfg cfg = {.realm = STR_INIT("sim"),
					   .product = STR_INIT("rung"),
					   .is_b2bua = true,
					   .has_farewell = true};
	struct rig *g = rig_new_with(&cfg);
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "BYE", NULL, NULL);
	rig_reply(g->a, raw_get(g->a, "INVITE ", 2), "488 Not Acceptable Here");
	rig_reply(g->a, raw_get(g->a, "BYE ", 2), "200 OK");
	raw_flush(g->a);
	raw_flush(g->b);
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "BYE", NULL, NULL);
	struct raw_msg *m = raw_get(g->a, "INVITE ", 2);
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	raw_get(g->a, "ACK ", 2);
	rig_ask(&a, "BYE", NULL, NULL);
	raw_get(g->a, "SIP/2.0 200", 2);
	raw_flush(g->b);
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_bye(g, &a, &b);
	raw_none(g->a, "INVITE ", 1);
	rig_free(g);
}
