/* Transfers that the exchange does itself: blind, attended, refused, left early. a talks with b,
 * one of them refers the other to d. [RFC3515] [RFC5589] [RFC3891] */
#include "b2b_rig.h"
#include "lookout.h"

#include "service/b2b.h"

TEST_NO_OOM(blind)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	raw_get(g->b, "SIP/2.0 202", 2);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	CHECK(str_starts(raw_header(d.invite, "From", 0), STR("<sip:1001@")));
	CHECK(raw_header(d.invite, "Referred-By", 0).n > 0);
	raw_reply(g->d, d.invite, "180 Ringing", d.q.tag, NULL, NULL);
	rig_notify(g->b, "SIP/2.0 180");
	rig_join(g, &d, &a);
	CHECK(raw_has(rig_notify(g->b, "SIP/2.0 200"), "terminated;reason=noresource"));
	rig_ask(&b, "BYE", NULL, NULL);
	raw_get(g->b, "SIP/2.0 200", 2);
	raw_none(g->a, "BYE ", 1);
	CHECK_RIG(g, "    1 b->x REFER\n"
		     "    1 x->b 202 (REFER)\n"
		     "    1 x->b NOTIFY\n"
		     "    1 x->d INVITE\n"
		     "    3 b->x 200 (NOTIFY)\n"
		     "   13 d->x 180 (INVITE)\n"
		     "   13 x->b NOTIFY\n"
		     "   15 b->x 200 (NOTIFY)\n"
		     "   25 d->x 200 (INVITE) d1\n"
		     "   25 x->a INVITE b2\n"
		     "   27 a->x 200 (INVITE) a2\n"
		     "   27 x->a ACK\n"
		     "   27 x->d ACK a2\n"
		     "   27 x->b NOTIFY\n"
		     "   29 b->x 200 (NOTIFY)\n"
		     "   39 b->x BYE\n"
		     "   39 x->b 200 (BYE)\n");
	rig_bye(g, &d, &a);
	rig_free(g);
}

/* Lamps of all three while b transfers a to d: d's is lit by his own phone and names a, b's goes
 * out when he leaves, a's burns on; a target that refuses leaves the others as they were. [RFC4235]
 */
TEST_NO_OOM(lamps_of_a_transfer)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	struct watch of_a, of_b, of_d;
	stage_account(g->t->s, "1004");
	struct raw *r = raw_new(g->t->s, "10.0.0.31", 5060, "1004");
	lookout_start(&of_a, r, "sip:1001@" STAGE_SERVER, "dialog");
	lookout_start(&of_b, r, "sip:1002@" STAGE_SERVER, "dialog");
	lookout_start(&of_d, r, "sip:1003@" STAGE_SERVER, "dialog");
	stage_run(g->t->s, 5);
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	lookout_sees(&of_a, ">confirmed</state>");
	lookout_sees(&of_b, ">confirmed</state>");
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	raw_reply(g->d, d.invite, "180 Ringing", d.q.tag, NULL, NULL);
	rig_notify(g->b, "SIP/2.0 180");
	lookout_sees(&of_d, ">early</state>");
	CHECK(lookout_says(&of_d, "direction=\"recipient\""));
	raw_reply(g->d, d.invite, "486 Busy Here", d.q.tag, NULL, NULL);
	raw_get(g->d, "ACK ", 1);
	rig_notify(g->b, "SIP/2.0 486");
	lookout_sees(&of_d, ">terminated</state>");
	CHECK(lookout_is_quiet(&of_a, 3) && lookout_is_quiet(&of_b, 0.1));
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	rig_join(g, &d, &a);
	rig_notify(g->b, "SIP/2.0 200");
	lookout_sees(&of_d, ">confirmed</state>");
	CHECK(lookout_says(&of_d, "sip:1001@"));
	rig_ask(&b, "BYE", NULL, NULL);
	raw_get(g->b, "SIP/2.0 200", 2);
	lookout_sees(&of_b, ">terminated</state>");
	CHECK(lookout_is_quiet(&of_a, 3)); /* still in its call */
	rig_bye(g, &d, &a);
	lookout_sees(&of_d, ">terminated</state>");
	lookout_sees(&of_a, ">terminated</state>");
	raw_free(r);
	rig_free(g);
}

/* By the caller, who does not hang up by himself; then the one who stayed holds the line: the o=
 * line that he sees is still one session's. */
TEST_NO_OOM(blind_by_the_caller)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&a, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\nReferred-By: <sip:x@y>\n",
		NULL);
	raw_get(g->a, "SIP/2.0 202", 2);
	rig_notify(g->a, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	rig_join(g, &d, &b);
	rig_notify(g->a, "SIP/2.0 200");
	rig_reply(g->a, raw_get(g->a, "BYE ", 3), "200 OK");
	CHECK_RIG(g, "    1 a->x REFER\n"
		     "    1 x->a 202 (REFER)\n"
		     "    1 x->a NOTIFY\n"
		     "    1 x->d INVITE\n"
		     "    3 a->x 200 (NOTIFY)\n"
		     "   13 d->x 200 (INVITE) d1\n"
		     "   13 x->b INVITE a2\n"
		     "   15 b->x 200 (INVITE) b2\n"
		     "   15 x->b ACK\n"
		     "   15 x->d ACK b2\n"
		     "   15 x->a NOTIFY\n"
		     "   17 a->x 200 (NOTIFY)\n"
		     " 2015 x->a BYE\n");
	struct raw_req q = rig_ask(&d, "INVITE", RIG_SDP, rig_sdp(g, g->d, "sendonly"));
	struct raw_msg *m = raw_get(g->b, "INVITE ", 2);
	CHECK(raw_has(m, "o=a 77 3 IN IP4 10.0.0.21\r\n"));
	raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->b, NULL));
	raw_get(g->d, "SIP/2.0 200", 2);
	rig_ack(&d, &q, NULL, NULL);
	raw_get(g->b, "ACK ", 2);
	rig_bye(g, &b, &d);
	rig_free(g);
}

/* The target is busy: the old call goes on. */
TEST_NO_OOM(target_refuses)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	raw_get(g->b, "SIP/2.0 202", 2);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	raw_reply(g->d, d.invite, "486 Busy Here", d.q.tag, NULL, NULL);
	rig_notify(g->b, "SIP/2.0 486");
	CHECK_RIG(g, "    1 b->x REFER\n"
		     "    1 x->b 202 (REFER)\n"
		     "    1 x->b NOTIFY\n"
		     "    1 x->d INVITE\n"
		     "    3 b->x 200 (NOTIFY)\n"
		     "   13 d->x 486 (INVITE)\n"
		     "   13 x->d ACK\n"
		     "   13 x->b NOTIFY\n"
		     "   15 b->x 200 (NOTIFY)\n");
	rig_ask(&a, "INFO", "Content-Type: text/plain\n", "still there\n");
	rig_reply(g->b, raw_get(g->b, "INFO ", 2), "200 OK");
	/* a second one is named by its CSeq [RFC3515 2.4.6] */
	struct raw_req again =
		rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	char event[40];
	snprintf(event, sizeof(event), "Event: refer;id=%u\r\n", again.cseq);
	CHECK(raw_has(rig_notify(g->b, "SIP/2.0 100"), event));
	rig_ring(g, g->d, &d);
	raw_reply(g->d, d.invite, "486 Busy Here", d.q.tag, NULL, NULL);
	CHECK(raw_has(rig_notify(g->b, "SIP/2.0 486"), event));
	rig_bye(g, &a, &b);
	rig_free(g);
}

static void register_sips(struct raw *r, const char *contact)
{
	char to[80];
	snprintf(to, sizeof(to), "<sip:%s@" STAGE_SERVER ">", r->user);
	struct raw_req q = {
		.method = "REGISTER", .uri = "sips:" STAGE_SERVER, .to = to, .contact = contact};
	raw_ask(r, raw_connect_to(r, 5061), &q);
	raw_get(r, "SIP/2.0 200", 2);
}

/* What began with sips does not go on with sip, whatever Refer-To says. [RFC5630 5.1.1.3] */
TEST_NO_OOM(sips_is_not_transferred_to_sip)
{
	struct rig *g = rig_new();
	struct rig_end b, d,
		a = {
			.r = g->a,
			.q = {.method = "INVITE",
			      .uri = "sips:1002@" STAGE_SERVER ":5061",
			      .contact = "<sips:1001@10.0.0.21:5061>",
			      .extra = RIG_SDP,
			      .body = rig_sdp(g, g->a, NULL)}
        };
	register_sips(g->b, "<sips:1002@10.0.0.22:5061>");
	raw_ask(g->a, raw_connect_to(g->a, 5061), &a.q);
	rig_ring(g, g->b, &b);
	rig_answer(g, &b, &a);
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	raw_get(g->b, "SIP/2.0 202", 2);
	rig_notify(g->b, "SIP/2.0 100");
	rig_notify(g->b, "SIP/2.0 480");
	raw_none(g->d, "INVITE ", 1);
	register_sips(g->d, "<sips:1003@10.0.0.24:5061>");
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	CHECK_STR(raw_uri(d.invite), "sips:1003@10.0.0.24:5061");
	raw_reply(g->d, d.invite, "486 Busy Here", d.q.tag, NULL, NULL);
	rig_notify(g->b, "SIP/2.0 486");
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* The transferor hangs up while it rings: the transferee is kept, and talks to the target, or is
 * ended when that one refuses. */
TEST_NO_OOM(transferor_leaves)
{
	for (int refuses = 0; refuses < 2; refuses++) {
		struct rig *g = rig_new();
		struct rig_end a, b, d;
		rig_talk(g, g->a, "1002", g->b, &a, &b);
		rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
		rig_notify(g->b, "SIP/2.0 100");
		rig_ring(g, g->d, &d);
		rig_ask(&b, "BYE", NULL, NULL);
		raw_none(g->a, "BYE ", 1);
		if (refuses) {
			raw_reply(g->d, d.invite, "486 Busy Here", d.q.tag, NULL, NULL);
			rig_reply(g->a, raw_get(g->a, "BYE ", 2), "200 OK");
		} else {
			rig_join(g, &d, &a);
			rig_bye(g, &a, &d);
		}
		rig_free(g);
	}
}

/* The transferee hangs up while it rings. */
TEST_NO_OOM(transferee_leaves)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	raw_reply(g->d, d.invite, "180 Ringing", d.q.tag, NULL, NULL);
	rig_notify(g->b, "SIP/2.0 180");
	rig_ask(&a, "BYE", NULL, NULL);
	rig_reply(g->d, raw_get(g->d, "CANCEL ", 2), "200 OK");
	raw_reply(g->d, d.invite, "487 Request Terminated", d.q.tag, NULL, NULL);
	rig_reply(g->b, raw_get(g->b, "BYE ", 2), "200 OK");
	rig_free(g);
}

/* What cannot be done is refused at once, with nothing changed. */
TEST_NO_OOM(refer_to_nobody)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER", "Refer-To: <sip:4711@" STAGE_SERVER ">\n", NULL);
	raw_get(g->b, "SIP/2.0 404", 2);
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@elsewhere.example>\n", NULL);
	CHECK(raw_has(raw_get(g->b, "SIP/2.0 404", 2), "\"4001 "));
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ";method=BYE>\n", NULL);
	CHECK(raw_has(raw_get(g->b, "SIP/2.0 400", 2), "\"1020 "));
	rig_ask(&b, "REFER", NULL, NULL);
	raw_get(g->b, "SIP/2.0 400", 2);
	rig_ask(&b, "REFER",
		"Refer-To: <sip:1003@" STAGE_SERVER ">\nRefer-To: <sip:1001@" STAGE_SERVER ">\n",
		NULL);
	raw_get(g->b, "SIP/2.0 400", 2);
	raw_none(g->b, "NOTIFY ", 1);
	rig_bye(g, &b, &a);
	rig_free(g);
}

/* Who asked for it, in his own words, once; else as the exchange knows him, between brackets
 * [RFC3892 2.1, 2.2, 3] */
TEST_NO_OOM(referred_by)
{
	static const struct {
		const char *said, *told;
	} rows[] = {
		{"Referred-By: \"B; 2\" <sip:b@x;y=1>;cid=\"20398823.2UWQFN309shb3@x\";z=1\n",
		 "\"B; 2\" <sip:b@x;y=1>;cid=\"20398823.2UWQFN309shb3@x\";z=1"                                              },
		{"Referred-By: <sip:b@x>\nReferred-By: <sip:c@x>\n",                           "<sip:b@x>"                  },
		{"",									   "<sip:1002@" STAGE_SERVER ">"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig *g = rig_new();
		struct rig_end a, b, d;
		char lines[400];
		rig_talk(g, g->a, "1002", g->b, &a, &b);
		snprintf(lines, sizeof(lines), "Refer-To: <sip:1003@" STAGE_SERVER ">\n%s",
			 rows[i].said);
		rig_ask(&b, "REFER", lines, NULL);
		rig_notify(g->b, "SIP/2.0 100");
		rig_ring(g, g->d, &d);
		CHECK_EQ(raw_count(d.invite, "Referred-By"), 1);
		CHECK_STR_EQ(raw_header(d.invite, "Referred-By", 0), str_c(rows[i].told));
		raw_reply(g->d, d.invite, "486 Busy Here", d.q.tag, NULL, NULL);
		rig_notify(g->b, "SIP/2.0 486");
		rig_bye(g, &a, &b);
		rig_free(g);
	}
}

/* To the echo test, by either side: the exchange answers for it itself, also when the one who is
 * there now holds the line; then he hangs up */
TEST_NO_OOM(to_the_echo_test)
{
	for (int by_caller = 0; by_caller < 2; by_caller++) {
		struct rig *g = rig_new();
		struct rig_end a, b;
		rig_talk(g, g->a, "1002", g->b, &a, &b);
		struct rig_end *t = by_caller ? &a : &b, *e = by_caller ? &b : &a;
		rig_ask(t, "REFER", "Refer-To: <sip:echo@" STAGE_SERVER ">\n", NULL);
		raw_get(t->r, "SIP/2.0 202", 2);
		rig_notify(t->r, "SIP/2.0 100");
		struct raw_msg *m = raw_get(e->r, "INVITE ", 2);
		CHECK(raw_has(m, "c=IN IP4 10.0.0.1\r\n"));
		raw_reply(e->r, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, e->r, NULL));
		raw_get(e->r, "ACK ", 2);
		rig_notify(t->r, "SIP/2.0 200");
		rig_reply(t->r, raw_get(t->r, "BYE ", 3), "200 OK");
		struct raw_req q = rig_ask(e, "INVITE", RIG_SDP, rig_sdp(g, e->r, "sendonly"));
		m = raw_get(e->r, "SIP/2.0 200", 2);
		CHECK(raw_has(m, "a=recvonly"));
		CHECK(raw_has(m, by_caller ? "o=a 77 3 IN IP4 10.0.0.21\r\n"
					   : "o=b 77 3 IN IP4 10.0.0.22\r\n"));
		rig_ack(e, &q, NULL, NULL);
		q = rig_ask(e, "INVITE", NULL, NULL); /* and asks for an offer */
		m = raw_get(e->r, "SIP/2.0 200", 2);
		CHECK(raw_has(m, "c=IN IP4 10.0.0.1\r\n"));
		rig_ack(e, &q, RIG_SDP, rig_sdp(g, e->r, NULL));
		q = rig_ask(e, "INVITE", RIG_SDP, rig_sdp(g, e->r, "inactive"));
		CHECK(raw_has(raw_get(e->r, "SIP/2.0 200", 2), "a=inactive"));
		rig_ack(e, &q, NULL, NULL);
		rig_ask(e, "BYE", NULL, NULL);
		raw_get(e->r, "SIP/2.0 200", 2);
		rig_free(g);
	}
}

/* Who will not have it stays where he was; who has gone meanwhile takes the other one along */
TEST_NO_OOM(not_to_the_echo_test)
{
	for (int leaves = 0; leaves < 2; leaves++) {
		struct rig *g = rig_new();
		struct rig_end a, b;
		rig_talk(g, g->a, "1002", g->b, &a, &b);
		rig_ask(&a, "REFER", "Refer-To: <sip:echo@" STAGE_SERVER ">\n", NULL);
		rig_notify(g->a, "SIP/2.0 100");
		struct raw_msg *m = raw_get(g->b, "INVITE ", 2);
		if (leaves) {
			rig_ask(&b, "BYE", NULL, NULL);
			raw_get(g->b, "SIP/2.0 200", 2);
			rig_reply(g->b, m, "487 Request Terminated");
			rig_reply(g->a, raw_get(g->a, "BYE ", 2), "200 OK");
		} else {
			rig_reply(g->b, m, "488 Not Acceptable Here");
			rig_notify(g->a, "SIP/2.0 488");
			rig_ask(&a, "INFO", "Content-Type: text/plain\n", "still there\n");
			rig_reply(g->b, raw_get(g->b, "INFO ", 2), "200 OK");
			rig_bye(g, &b, &a);
		}
		rig_free(g);
	}
}

/* The echo test comes to an end by itself */
TEST_NO_OOM(echo_test_is_over)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER", "Refer-To: <sip:*43@" STAGE_SERVER ">\n", NULL);
	rig_notify(g->b, "SIP/2.0 100");
	struct raw_msg *m = raw_get(g->a, "INVITE ", 2);
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	rig_notify(g->b, "SIP/2.0 200");
	rig_ask(&b, "BYE", NULL, NULL);
	m = raw_get(g->a, "BYE ", 601);
	CHECK(raw_has(m, "Echo test over"));
	rig_reply(g->a, m, "200 OK");
	rig_free(g);
}

/* A Replaces that names no dialog of ours may be known to the phone: it passes. */
TEST_NO_OOM(replaces_of_others_passes)
{
	for (int i = 0; i < 3; i++) {
		struct rig *g = rig_new();
		struct rig_end a, d;
		char line[128];
		snprintf(line, sizeof(line), "%sReplaces: other-%d;to-tag=1;from-tag=2\n",
			 i ? "Require: replaces\n" : "", i);
		rig_call(g, g->a, "1003", line, &a);
		rig_ring(g, g->d, &d);
		snprintf(line, sizeof(line), "other-%d;to-tag=1;from-tag=2", i);
		CHECK_STR_EQ(raw_header(d.invite, "Replaces", 0), str_c(line));
		CHECK_EQ(raw_count(d.invite, "Replaces"), 1);
		CHECK_EQ(raw_has(d.invite, "\r\nRequire: replaces\r\n"), i > 0);
		rig_answer(g, &d, &a);
		rig_bye(g, &a, &d);
		rig_free(g);
	}
}

/* Two of them are none; and who refuses the new call keeps the old one. [RFC3891 3] */
TEST_NO_OOM(replaces_refused)
{
	struct rig *g = rig_new();
	struct rig_end a, b2, d, d2;
	char line[512], theirs[64];
	rig_call(g, g->a, "1003",
		 "Replaces: x;to-tag=1;from-tag=2\nReplaces: y;to-tag=1;from-tag=2\n", &a);
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 400", 2);
	CHECK(raw_has(m, "1017"));
	raw_ack(g->a, 0, &a.q, m);
	rig_call(g, g->a, "1003", "Replaces: x;to-tag=1\n", &a);
	m = raw_get(g->a, "SIP/2.0 400", 2);
	CHECK(raw_has(m, "1017"));
	raw_ack(g->a, 0, &a.q, m);
	raw_none(g->d, "INVITE ", 1);
	rig_talk(g, g->b, "1003", g->d, &b2, &d);
	struct str tag = str_skip(str_c(b2.to), str_find(str_c(b2.to), STR("tag=")) + 4);
	snprintf(line, sizeof(line), "Replaces: %s;to-tag=%s;from-tag=%s\n", b2.q.call_id,
		 raw_cstr(tag, theirs, sizeof(theirs)), b2.q.tag);
	rig_call(g, g->a, "1003", line, &a);
	rig_ring(g, g->d, &d2);
	raw_reply(g->d, d2.invite, "488 Not Acceptable Here", d2.q.tag, NULL, NULL);
	raw_ack(g->a, 0, &a.q, raw_get(g->a, "SIP/2.0 488", 2));
	raw_none(g->b, "BYE ", 1);
	rig_ask(&b2, "INFO", "Content-Type: text/plain\n", "still there\n");
	rig_reply(g->d, raw_get(g->d, "INFO ", 2), "200 OK");
	raw_get(g->b, "SIP/2.0 200", 2);
	rig_bye(g, &b2, &d);
	rig_free(g);
}

/* A phone that sends the INVITE with Replaces itself. [RFC3891 3] */
TEST_NO_OOM(invite_with_replaces)
{
	for (int i = 0; i < 4; i++) {
		struct rig *g = rig_new();
		struct rig_end a, b2, d, d2;
		char line[512], theirs[64];
		rig_talk(g, g->b, "1003", g->d, &b2, &d);
		struct str tag = str_skip(str_c(b2.to), str_find(str_c(b2.to), STR("tag=")) + 4);
		snprintf(line, sizeof(line), "%sReplaces: %s;to-tag=%s;from-tag=%s\n",
			 i % 2 ? "Require: replaces\n" : "", b2.q.call_id,
			 raw_cstr(tag, theirs, sizeof(theirs)), b2.q.tag);
		rig_call(g, g->a, "1003", line, &a);
		rig_ring(g, g->d, &d2);
		CHECK_EQ(raw_has(d2.invite, "\r\nRequire: replaces\r\n"), i % 2);
		char want[256];
		snprintf(want, sizeof(want), "Replaces: %s;to-tag=%s;from-tag=", d.q.call_id,
			 d.q.tag);
		CHECK(raw_has(d2.invite, want));
		rig_answer(g, &d2, &a);
		rig_bye(g, &d, &b2);
		rig_bye(g, &a, &d2);
		rig_free(g);
	}
}
