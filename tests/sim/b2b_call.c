/* Calls through the back-to-back user agent: set up, refused, given up, forked, with early media,
 * 100rel, late offers; what crosses from one side to the other and what does not. Each with the
 * ladder that it makes. */
#include "b2b_rig.h"

#include "service/b2b.h"

/* [RFC3261 13, 15] */
TEST_NO_OOM(call_and_caller_hangs_up)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, NULL, NULL);
	raw_get(g->a, "SIP/2.0 180", 2);
	rig_answer(g, &b, &a);
	rig_bye(g, &a, &b);
	CHECK_RIG(g, "    1 a->x INVITE a1\n"
		     "    1 x->a 407 (INVITE)\n"
		     "    3 a->x ACK\n"
		     "    3 a->x INVITE a1\n"
		     "    3 x->b INVITE a1\n"
		     "    5 b->x 180 (INVITE)\n"
		     "    5 x->a 180 (INVITE)\n"
		     "    7 b->x 200 (INVITE) b1\n"
		     "    7 x->b ACK\n"
		     "    7 x->a 200 (INVITE) b1\n"
		     "    9 a->x ACK\n"
		     "    9 a->x BYE\n"
		     "    9 x->a 200 (BYE)\n"
		     "    9 x->b BYE\n"
		     "   11 b->x 200 (BYE)\n");
	rig_free(g);
}

TEST_NO_OOM(callee_hangs_up)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "BYE", "Reason: Q.850;cause=16\n", NULL);
	raw_get(g->b, "SIP/2.0 200", 2);
	struct raw_msg *bye = raw_get(g->a, "BYE ", 2);
	CHECK(raw_has(bye, "\r\nReason: Q.850;cause=16\r\n"));
	rig_reply(g->a, bye, "200 OK");
	CHECK_RIG(g, "    1 b->x BYE\n"
		     "    1 x->b 200 (BYE)\n"
		     "    1 x->a BYE\n");
	rig_free(g);
}

/* Nothing of one side's network is seen on the other [RFC7092 3] */
TEST_NO_OOM(topology_is_hidden)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002",
		 "User-Agent: Alpha/1\nSubject: lunch\nX-Secret: 10.0.0.21\n"
		 "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote="
		 "00000000000000000000000000000000\n"
		 "P-Asserted-Identity: <sip:boss@x>\nDiversion: <sip:9@y>;reason=no-answer\n",
		 &a);
	rig_ring(g, g->b, &b);
	CHECK_EQ(raw_count(b.invite, "Via"), 1);
	CHECK_EQ(raw_count(b.invite, "Record-Route"), 0);
	CHECK_EQ(raw_count(b.invite, "X-Secret"), 0);
	CHECK_EQ(raw_count(b.invite, "P-Asserted-Identity"), 0);
	CHECK_EQ(raw_count(b.invite, "Authorization"), 0);
	CHECK_EQ(raw_count(b.invite, "Proxy-Authorization"), 0);
	CHECK_STR(raw_header(b.invite, "User-Agent", 0), "rung");
	CHECK_STR(raw_header(b.invite, "Subject", 0), "lunch");
	CHECK_STR(raw_header(b.invite, "Max-Forwards", 0), "69");
	CHECK_STR(raw_header(b.invite, "Contact", 0), "<sip:1001@10.0.0.1:5060>");
	CHECK(raw_header(b.invite, "Diversion", 0).n > 0);
	CHECK(raw_header(b.invite, "Session-ID", 0).n > 0);
	CHECK(!raw_has(b.invite, a.q.call_id));
	CHECK(!raw_has(b.invite, a.q.tag));
	raw_reply(g->b, b.invite, "486 Busy Here", "t", "Server: Beta/2\n", NULL);
	struct raw_msg *end = raw_get(g->a, "SIP/2.0 486", 2);
	CHECK(!raw_has(end, "Beta"));
	raw_ack(g->a, 0, &a.q, end);
	rig_free(g);
}

/* `Privacy: user` [RFC3323 5.3] */
TEST_NO_OOM(privacy_hides_the_caller)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", "Privacy: user;id\nSubject: lunch\n", &a);
	rig_ring(g, g->b, &b);
	CHECK(str_starts(raw_header(b.invite, "From", 0),
			 STR("\"Anonymous\" <sip:anonymous@anonymous.invalid>")));
	CHECK(!raw_has(b.invite, "1001"));
	CHECK_EQ(raw_count(b.invite, "Subject"), 0);
	raw_reply(g->b, b.invite, "603 Decline", "t", NULL, NULL);
	raw_ack(g->a, 0, &a.q, raw_get(g->a, "SIP/2.0 603", 2));
	rig_free(g);
}

/* `none` is left as it is; `critical` is refused when something cannot be done: media go past us
 * [RFC3323 5] */
TEST_NO_OOM(privacy_none_and_critical)
{
	static const struct {
		const char *headers, *privacy; /* NULL: refused */
	} rows[] = {
		{"Privacy: none\nSubject: lunch\n",             "none"            },
		{"Privacy: id;critical\nSubject: lunch\n",      "id;critical"     },
		{"Privacy: session;critical\n",                 NULL              },
		{"Privacy: user;x-new;critical\n",              NULL              },
		{"Privacy: history;critical\nSubject: lunch\n", "history;critical"},
		{"Privacy: session\nSubject: lunch\n",          "session"         },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig *g = rig_new();
		struct rig_end a, b;
		rig_call(g, g->a, "1002", rows[i].headers, &a);
		if (!rows[i].privacy) {
			struct raw_msg *m = raw_get(g->a, "SIP/2.0 500", 2);
			CHECK(raw_has(m, "1018"));
			raw_ack(g->a, 0, &a.q, m);
			raw_none(g->b, "INVITE ", 1);
			rig_free(g);
			continue;
		}
		rig_ring(g, g->b, &b);
		CHECK(str_find(raw_header(b.invite, "From", 0), STR("<sip:1001@")) != SIZE_MAX);
		CHECK_STR(raw_header(b.invite, "Subject", 0), "lunch");
		CHECK_STR_EQ(raw_header(b.invite, "Privacy", 0), str_c(rows[i].privacy));
		CHECK(raw_has(b.invite, "\r\nSupported: replaces\r\n")); /* [RFC3891 6.2] */
		raw_reply(g->b, b.invite, "603 Decline", "t", NULL, NULL);
		raw_ack(g->a, 0, &a.q, raw_get(g->a, "SIP/2.0 603", 2));
		rig_free(g);
	}
}

TEST_NO_OOM(refused_and_given_up)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, NULL, NULL);
	raw_get(g->a, "SIP/2.0 180", 2);
	rig_clear(g);
	raw_cancel(g->a, 0, &a.q, "Reason: SIP;cause=487;text=\"Bored\"\n");
	struct raw_msg *cancel = raw_get(g->b, "CANCEL ", 2);
	CHECK(raw_has(cancel, "Reason: SIP;cause=487;text=\"Bored\""));
	rig_reply(g->b, cancel, "200 OK");
	raw_reply(g->b, b.invite, "487 Request Terminated", b.q.tag, NULL, NULL);
	struct raw_msg *end = raw_get(g->a, "SIP/2.0 487", 2);
	raw_ack(g->a, 0, &a.q, end);
	stage_run(g->t->s, 0.1);
	CHECK_RIG(g, "    1 a->x CANCEL\n"
		     "    1 x->a 200 (CANCEL)\n"
		     "    1 x->a 487 (INVITE)\n"
		     "    1 x->b CANCEL\n"
		     "    3 b->x 200 (CANCEL)\n"
		     "    3 b->x 487 (INVITE)\n"
		     "    3 x->b ACK\n"
		     "    3 a->x ACK\n");
	rig_free(g);
}

/* CANCEL and 200 cross: the callee's call is acknowledged and ended [RFC3261 9.1, 15] */
TEST_NO_OOM(cancel_crosses_answer)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, NULL, NULL);
	raw_get(g->a, "SIP/2.0 180", 2);
	rig_clear(g);
	raw_cancel(g->a, 0, &a.q, NULL);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, rig_sdp(g, g->b, NULL));
	rig_reply(g->b, raw_get(g->b, "BYE ", 2), "200 OK");
	raw_ack(g->a, 0, &a.q, raw_get(g->a, "SIP/2.0 487", 2));
	stage_run(g->t->s, 0.1);
	CHECK_RIG(g, "    1 a->x CANCEL\n"
		     "    1 x->a 200 (CANCEL)\n"
		     "    1 x->a 487 (INVITE)\n"
		     "    1 x->b CANCEL\n"
		     "    1 b->x 200 (INVITE) b1\n"
		     "    1 x->b ACK\n"
		     "    1 x->b BYE\n"
		     "    3 b->x 200 (BYE)\n"
		     "    3 a->x ACK\n");
	rig_free(g);
}

/* Two phones ring: the first 2xx wins; the other 200 that crosses is ended [RFC3261 13.2.2.4] */
TEST_NO_OOM(forked_answers)
{
	struct rig *g = rig_new();
	struct rig_end a, b, c;
	scene_register(g->c, C_CONTACT);
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	rig_ring(g, g->c, &c);
	rig_clear(g);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, rig_sdp(g, g->b, NULL));
	stage_run(g->t->s, 0.0005);
	raw_reply(g->c, c.invite, "200 OK", c.q.tag, RIG_SDP, rig_sdp(g, g->c, NULL));
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 200", 2));
	rig_ack(&a, &a.q, NULL, NULL);
	struct raw_msg *bye = raw_get(g->c, "BYE ", 2);
	rig_reply(g->c, bye, "200 OK");
	stage_run(g->t->s, 0.1);
	CHECK_RIG(g, "    1 b->x 200 (INVITE) b1\n"
		     "    1 x->b ACK\n"
		     "    1 x->a 200 (INVITE) b1\n"
		     "    1 c->x 200 (INVITE) c1\n"
		     "    1 x->c ACK\n"
		     "    1 x->c BYE\n"
		     "    3 a->x ACK\n"
		     "    3 c->x 200 (BYE)\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* A 6xx ends all, another refusal waits for the rest [RFC3261 16.7 step 5] */
TEST_NO_OOM(forked_refusals)
{
	struct rig *g = rig_new();
	struct rig_end a, b, c;
	scene_register(g->c, C_CONTACT);
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	rig_ring(g, g->c, &c);
	raw_reply(g->b, b.invite, "486 Busy Here", "t", NULL, NULL);
	raw_none(g->a, "SIP/2.0 4", 0.5);
	raw_reply(g->c, c.invite, "603 Decline", "t", NULL, NULL);
	raw_ack(g->a, 0, &a.q, raw_get(g->a, "SIP/2.0 603", 2));
	stage_run(g->t->s, 1);
	raw_flush(g->a);
	raw_flush(g->b);
	raw_flush(g->c);
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	rig_ring(g, g->c, &c);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, NULL, NULL);
	raw_reply(g->c, c.invite, "603 Decline", "t", NULL, NULL);
	raw_ack(g->a, 0, &a.q, raw_get(g->a, "SIP/2.0 603", 2));
	struct raw_msg *cancel = raw_get(g->b, "CANCEL ", 2);
	CHECK(raw_has(cancel, "Reason: SIP;cause=603;"));
	rig_reply(g->b, cancel, "200 OK");
	raw_reply(g->b, b.invite, "487 Request Terminated", b.q.tag, NULL, NULL);
	raw_get(g->b, "ACK ", 2);
	rig_free(g);
}

/* A 200 without an answer, of a phone that is dead from then on: the caller need not wait until our
 * BYE has timed out. [RFC3261 13.2.2.4] [RFC6337 2.1] */
TEST_NO_OOM(answer_that_is_none)
{
	struct rig *g = rig_new();
	struct rig_end a, d;
	rig_call(g, g->a, "1003", NULL, &a);
	rig_ring(g, g->d, &d);
	raw_reply(g->d, d.invite, "200 OK", d.q.tag, NULL, NULL);
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 500", 0.1);
	CHECK(raw_has(m, "Warning: 399 "));
	raw_ack(g->a, 0, &a.q, m);
	raw_get(g->d, "ACK ", 1);
	raw_get(g->d, "BYE ", 1);
	stage_run(g->t->s, 40);
	raw_flush(g->d);
	rig_free(g);
}

/* One after the other by q; nobody answers: 408 with its code */
TEST_NO_OOM(serial_nobody_answers)
{
	struct rig *g = rig_new();
	struct rig_end a, b, c;
	scene_register(g->c, C_CONTACT ";q=0.5");
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, NULL, NULL);
	rig_reply(g->b, raw_get(g->b, "CANCEL ", 40), "200 OK");
	raw_reply(g->b, b.invite, "487 Request Terminated", b.q.tag, NULL, NULL);
	rig_ring(g, g->c, &c);
	struct raw_msg *end = raw_get(g->a, "SIP/2.0 408", 40);
	CHECK(raw_has(end, "4007 no answer from the next hop"));
	raw_ack(g->a, 0, &a.q, end);
	rig_free(g);
}

/* Early media, and the same description again in the 200 [RFC3960] */
TEST_NO_OOM(early_media)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	const char *sdp = rig_sdp(g, g->b, NULL);
	rig_clear(g);
	raw_reply(g->b, b.invite, "183 Session Progress", b.q.tag, RIG_SDP, sdp);
	struct raw_msg *early = raw_get(g->a, "SIP/2.0 183", 2);
	CHECK(raw_has(early, "o=b 77 1 IN IP4 10.0.0.22\r\n"));
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, sdp);
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 200", 2));
	rig_ack(&a, &a.q, NULL, NULL);
	stage_run(g->t->s, 0.1);
	CHECK_RIG(g, "    1 b->x 183 (INVITE) b1\n"
		     "    1 x->a 183 (INVITE) b1\n"
		     "    3 b->x 200 (INVITE) b1\n"
		     "    3 x->b ACK\n"
		     "    3 x->a 200 (INVITE) b1\n"
		     "    5 a->x ACK\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* 100rel on both sides: each is acknowledged by PRACK on its side [RFC3262] */
TEST_NO_OOM(reliable_on_both_sides)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", "Supported: 100rel\n", &a);
	rig_ring(g, g->b, &b);
	CHECK(raw_has(b.invite, "100rel"));
	rig_clear(g);
	raw_reply(g->b, b.invite, "183 Session Progress", b.q.tag,
		  RIG_SDP "Require: 100rel\nRSeq: 7\n", rig_sdp(g, g->b, NULL));
	struct raw_msg *prack = raw_get(g->b, "PRACK ", 2);
	CHECK(raw_has(prack, "RAck: 7 "));
	rig_reply(g->b, prack, "200 OK");
	struct raw_msg *early = raw_get(g->a, "SIP/2.0 183", 2);
	CHECK(raw_has(early, "Require: 100rel"));
	char rack[80], rseq[16];
	snprintf(rack, sizeof(rack), "RAck: %s %u INVITE\n",
		 raw_cstr(raw_header(early, "RSeq", 0), rseq, sizeof(rseq)), a.q.cseq);
	struct raw_req invite = a.q;
	rig_set_caller(&a, early);
	rig_ask(&a, "PRACK", rack, NULL);
	raw_get(g->a, "SIP/2.0 200", 2);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, NULL, NULL);
	struct raw_msg *ok = raw_get(g->a, "SIP/2.0 200", 2);
	CHECK_EQ(raw_body(ok).n, 0);
	rig_ack(&a, &invite, NULL, NULL);
	stage_run(g->t->s, 0.1);
	CHECK_RIG(g, "    1 b->x 183 (INVITE) b1\n"
		     "    1 x->b PRACK\n"
		     "    1 x->a 183 (INVITE) b1\n"
		     "    3 b->x 200 (PRACK)\n"
		     "    3 a->x PRACK\n"
		     "    3 x->a 200 (PRACK)\n"
		     "    5 b->x 200 (INVITE)\n"
		     "    5 x->b ACK\n"
		     "    5 x->a 200 (INVITE)\n"
		     "    7 a->x ACK\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* Two phones ring for a caller who sees one dialog: what either says is not final. [RFC3262 5] */
TEST_NO_OOM(not_reliable_where_several_ring)
{
	struct rig *g = rig_new();
	struct rig_end a, b, c;
	scene_register(g->c, C_CONTACT);
	rig_call(g, g->a, "1002", "Supported: 100rel\n", &a);
	rig_ring(g, g->b, &b);
	rig_ring(g, g->c, &c);
	CHECK(!raw_has(b.invite, "100rel") && !raw_has(c.invite, "100rel"));
	raw_reply(g->b, b.invite, "183 Session Progress", b.q.tag, RIG_SDP, rig_sdp(g, g->b, NULL));
	CHECK_EQ(raw_body(raw_get(g->a, "SIP/2.0 183", 2)).n, 0);
	rig_answer(g, &c, &a);
	raw_get(g->b, "CANCEL ", 2);
	raw_reply(g->b, b.invite, "487 Request Terminated", b.q.tag, NULL, NULL);
	stage_run(g->t->s, 0.1);
	rig_bye(g, &a, &c);
	rig_free(g);
}

/* A PRACK that comes late: the response was repeated, the 200 waited for it [RFC3262 3] */
TEST_NO_OOM(late_prack)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", "Require: 100rel\n", &a);
	rig_ring(g, g->b, &b);
	CHECK(raw_has(b.invite, "Require: 100rel"));
	rig_clear(g);
	raw_reply(g->b, b.invite, "183 Session Progress", b.q.tag,
		  RIG_SDP "Require: 100rel\nRSeq: 7\n", rig_sdp(g, g->b, NULL));
	rig_reply(g->b, raw_get(g->b, "PRACK ", 2), "200 OK");
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, NULL, NULL);
	struct raw_msg *early = raw_get(g->a, "SIP/2.0 183", 2);
	raw_none(g->a, "SIP/2.0 200", 2);
	char rack[80], rseq[16];
	snprintf(rack, sizeof(rack), "RAck: %s %u INVITE\n",
		 raw_cstr(raw_header(early, "RSeq", 0), rseq, sizeof(rseq)), a.q.cseq);
	struct raw_req invite = a.q;
	rig_set_caller(&a, early);
	rig_ask(&a, "PRACK", rack, NULL);
	raw_get(g->a, "SIP/2.0 200", 2);
	raw_get(g->a, "SIP/2.0 200", 2);
	rig_ack(&a, &invite, NULL, NULL);
	stage_run(g->t->s, 0.1);
	CHECK_RIG(g, "    1 b->x 183 (INVITE) b1\n"
		     "    1 x->b PRACK\n"
		     "    1 x->a 183 (INVITE) b1\n"
		     "    3 b->x 200 (PRACK)\n"
		     "    3 b->x 200 (INVITE)\n"
		     "    3 x->b ACK\n"
		     "  501 x->a 183 (INVITE) b1\n"
		     " 1501 x->a 183 (INVITE) b1\n"
		     " 2003 a->x PRACK\n"
		     " 2003 x->a 200 (PRACK)\n"
		     " 2003 x->a 200 (INVITE)\n"
		     " 2005 a->x ACK\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* Without PRACK the call ends with 504 and its code */
TEST_NO_OOM(no_prack)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", "Require: 100rel\n", &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, "Require: 100rel\nRSeq: 1\n", NULL);
	rig_reply(g->b, raw_get(g->b, "PRACK ", 2), "200 OK");
	struct raw_msg *end = raw_get(g->a, "SIP/2.0 504", 40);
	CHECK(raw_has(end, "1016 no PRACK"));
	raw_ack(g->a, 0, &a.q, end);
	rig_reply(g->b, raw_get(g->b, "CANCEL ", 2), "200 OK");
	raw_reply(g->b, b.invite, "487 Request Terminated", b.q.tag, NULL, NULL);
	rig_free(g);
}

/* [RFC3261 13.2.1] [RFC6337 2.1] */
TEST_NO_OOM(late_offer)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_late_call(g, g->a, "1002", &a);
	rig_ring(g, g->b, &b);
	CHECK_EQ(raw_body(b.invite).n, 0);
	rig_clear(g);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, rig_sdp(g, g->b, NULL));
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 200", 2));
	CHECK(raw_has(a.answer, "o=b 77 1 "));
	raw_none(g->b, "ACK ", 0.1);
	rig_ack(&a, &a.q, RIG_SDP, rig_sdp(g, g->a, NULL));
	struct raw_msg *ack = raw_get(g->b, "ACK ", 2);
	CHECK(raw_has(ack, "o=a 77 1 "));
	CHECK_RIG(g, "    1 b->x 200 (INVITE) b1\n"
		     "    1 x->a 200 (INVITE) b1\n"
		     "  103 a->x ACK a1\n"
		     "  103 x->b ACK a1\n");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* The caller never acknowledges: both sides are ended [RFC3261 13.3.1.4] */
TEST_NO_OOM(lost_ack)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, rig_sdp(g, g->b, NULL));
	raw_get(g->a, "SIP/2.0 200", 2);
	struct raw_msg *bye = raw_get(g->a, "BYE ", 40);
	CHECK(raw_has(bye, "Reason: SIP;cause=408;text=\"lost ACK\""));
	rig_reply(g->a, bye, "200 OK");
	rig_reply(g->b, raw_get(g->b, "BYE ", 2), "200 OK");
	rig_free(g);
}

/* The callee repeats his 200: the exchange acknowledges each, the caller sees one */
TEST_NO_OOM(answer_comes_again)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, NULL, NULL);
	raw_get(g->b, "ACK ", 1);
	raw_none(g->a, "SIP/2.0 200", 1);
	rig_bye(g, &a, &b);
	rig_free(g);
}

TEST_NO_OOM(byes_cross)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&a, "BYE", NULL, NULL);
	rig_ask(&b, "BYE", NULL, NULL);
	raw_get(g->a, "SIP/2.0 200", 1);
	raw_get(g->b, "SIP/2.0 200", 1);
	CHECK_RIG(g, "    1 a->x BYE\n"
		     "    1 x->a 200 (BYE)\n"
		     "    1 x->b BYE\n"
		     "    1 b->x BYE\n"
		     "    1 x->b 200 (BYE)\n");
	raw_flush(g->a);
	raw_flush(g->b);
	rig_free(g);
}

/* Silence and closed doors: whose fault it is, by code */
TEST_NO_OOM(callee_is_silent)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	struct raw_msg *end = raw_get(g->a, "SIP/2.0 408", 40);
	CHECK(raw_has(end, "4007"));
	raw_ack(g->a, 0, &a.q, end);
	rig_free(g);
}

TEST_NO_OOM(loops_end)
{
	struct rig *g = rig_new();
	struct raw_req q = {.method = "INVITE", .uri = "sip:1002@" STAGE_SERVER, .max_forwards = 1};
	raw_ask(g->a, 0, &q);
	struct raw_msg *end = raw_get(g->a, "SIP/2.0 483", 2);
	raw_ack(g->a, 0, &q, end);
	rig_free(g);
}

/* A 3xx goes to the caller, who decides [RFC3261 8.1.3.4] */
TEST_NO_OOM(redirection_is_the_callers)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "302 Moved Temporarily", "t", NULL, NULL);
	struct raw_msg *end = raw_get(g->a, "SIP/2.0 302", 2);
	CHECK(raw_has(end, "Contact: <sip:1002@10.0.0.22:5060>"));
	raw_ack(g->a, 0, &a.q, end);
	rig_free(g);
}

/* Whoever stands at the Contact answers in his own words. But a description that the caller was
 * told reliably, and an answer to it, cannot be taken back in this dialog: then the 3xx is the
 * caller's. [RFC3262 5] [RFC3261 16.7 step 4] */
static void redirect(bool is_reliable)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	scene_policy(g->t, "{mode: b2bua, recurse: yes}");
	rig_call(g, g->a, "1002", "Supported: 100rel\n", &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "183 Session Progress", b.q.tag,
		  is_reliable ? RIG_SDP "Require: 100rel\nRSeq: 7\n" : RIG_SDP,
		  rig_sdp(g, g->b, NULL));
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 183", 2));
	CHECK(raw_has(a.answer, "o=b 77 1 "));
	if (is_reliable) {
		rig_reply(g->b, raw_get(g->b, "PRACK ", 2), "200 OK");
		char rack[64];
		struct str rseq = raw_header(a.answer, "RSeq", 0);
		snprintf(rack, sizeof(rack), "RAck: " STR_FMT " %u INVITE\n", STR_ARG(rseq),
			 a.q.cseq);
		rig_ask(&a, "PRACK", rack, NULL);
		raw_get(g->a, "SIP/2.0 200", 2);
	}
	raw_reply(g->b, b.invite, "302 Moved Temporarily", b.q.tag,
		  "Contact: <sip:1003@" STAGE_SERVER ">\n", NULL);
	if (is_reliable) {
		raw_none(g->d, "INVITE ", 1);
		struct raw_msg *end = raw_get(g->a, "SIP/2.0 302", 1);
		CHECK(raw_has(end, "Contact: <sip:1003@" STAGE_SERVER ">"));
	} else {
		rig_ring(g, g->d, &d);
		rig_answer(g, &d, &a);
		CHECK(raw_has(a.answer, "c=IN IP4 10.0.0.24"));
		rig_bye(g, &a, &d);
	}
	CHECK_EQ(exc_set_policy(g->t->s->exc, NULL), OK);
	rig_free(g);
}

TEST_NO_OOM(redirected_while_it_rings)
{
	redirect(false);
	redirect(true);
}

static void stop(struct rig *g, bool is_all)
{
	struct stage *s = g->t->s;
	exc_drain(s->exc);
	for (size_t i = 0; i < s->n_shards; i++)
		exc_hangup(s->exc, i, is_all);
}

static size_t n_pending(const struct rig *g)
{
	const struct stage *s = g->t->s;
	size_t n = 0;
	for (size_t i = 0; i < s->n_shards; i++)
		n += exc_pending(s->exc, i);
	return n;
}

/* The exchange stops: both sides of a call that talks are hung up, and told why. */
TEST_NO_OOM(a_call_that_talks_ends_with_the_exchange)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	stop(g, false);
	struct raw_msg *at_a = raw_get(g->a, "BYE ", 1), *at_b = raw_get(g->b, "BYE ", 1);
	CHECK(raw_has(at_a, "Reason: SIP;cause=503;text=\"The exchange stops\""));
	CHECK(raw_has(at_b, "Reason: SIP;cause=503;text=\"The exchange stops\""));
	rig_reply(g->a, at_a, "200 OK");
	rig_reply(g->b, at_b, "200 OK");
	stage_run(g->t->s, 0.1);
	CHECK_EQ(n_pending(g), 0);
	rig_free(g);
}

/* One that rings goes on, until the end is near: then its caller may come again. */
TEST_NO_OOM(a_call_that_rings_has_time_until_the_exchange_ends)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", NULL, &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, NULL, NULL);
	raw_get(g->a, "SIP/2.0 180", 2);
	stop(g, false);
	raw_none(g->b, "CANCEL ", 1);
	CHECK(n_pending(g) > 0);
	stop(g, true);
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 503", 1);
	CHECK(raw_count(m, "Retry-After") == 1 && raw_has(m, "Warning: 399 rung \"9003 "));
	raw_ack(g->a, 0, &a.q, m);
	m = raw_get(g->b, "CANCEL ", 1);
	CHECK(raw_has(m, "Reason: SIP;cause=503;text=\"The exchange stops\""));
	rig_reply(g->b, m, "200 OK");
	raw_reply(g->b, b.invite, "487 Request Terminated", b.q.tag, NULL, NULL);
	raw_get(g->b, "ACK ", 1);
	rig_free(g);
}
