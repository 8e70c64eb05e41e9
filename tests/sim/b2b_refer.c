/* REFERs that meet something else: no wish to be told, a change under way, a second REFER, a party
 * who leaves or who is meant himself. [RFC3515] [RFC4488] */
#include "b2b_rig.h"

/* Who wants no NOTIFY gets none, and is let go all the same; said otherwise he does [RFC4488 4] */
TEST_NO_OOM(without_word)
{
	static const char *const said[] = {"Refer-Sub: false;x=y\nRequire: norefersub\n",
					   "Refer-Sub: true\n"};
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		struct rig *g = rig_new();
		struct rig_end a, b, d;
		char lines[200];
		rig_talk(g, g->a, "1002", g->b, &a, &b);
		snprintf(lines, sizeof(lines), "Refer-To: <sip:1003@" STAGE_SERVER ">\n%s",
			 said[i]);
		rig_ask(&b, "REFER", lines, NULL);
		struct raw_msg *m = raw_get(g->b, "SIP/2.0 202", 2);
		CHECK_EQ(raw_has(m, "Refer-Sub: false"), i == 0);
		if (i)
			rig_notify(g->b, "SIP/2.0 100");
		rig_ring(g, g->d, &d);
		rig_join(g, &d, &a);
		if (i)
			rig_notify(g->b, "SIP/2.0 200");
		rig_reply(g->b, raw_get(g->b, "BYE ", 3), "200 OK");
		if (!i)
			raw_none(g->b, "NOTIFY ", 0);
		rig_bye(g, &d, &a);
		rig_free(g);
	}
}

/* The transferee is changing something just then: his 491 is waited out. [RFC3261 14.1] */
TEST_NO_OOM(blind_with_glare)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	raw_reply(g->d, d.invite, "200 OK", d.q.tag, RIG_SDP, rig_sdp(g, g->d, NULL));
	rig_reply(g->a, raw_get(g->a, "INVITE ", 2), "491 Request Pending");
	raw_get(g->a, "ACK ", 1);
	raw_none(g->d, "ACK ", 0);
	struct raw_msg *m = raw_get(g->a, "INVITE ", 5);
	CHECK(raw_has(m, "c=IN IP4 10.0.0.24"));
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	raw_get(g->a, "ACK ", 1);
	CHECK(raw_body(raw_get(g->d, "ACK ", 2)).n > 0);
	rig_notify(g->b, "SIP/2.0 200");
	rig_ask(&b, "BYE", NULL, NULL);
	rig_bye(g, &d, &a);
	rig_free(g);
}

/* The target hangs up before he has his answer: the old call goes on, and is told so. */
TEST_NO_OOM(target_leaves_at_once)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ring(g, g->d, &d);
	raw_reply(g->d, d.invite, "200 OK", d.q.tag, RIG_SDP, rig_sdp(g, g->d, NULL));
	struct raw_msg *m = raw_get(g->a, "INVITE ", 2);
	rig_ask(&d, "BYE", NULL, NULL);
	raw_get(g->d, "SIP/2.0 200", 1);
	rig_notify(g->b, "SIP/2.0 480");
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	m = raw_get(g->b, "INVITE ", 5); /* a is to hear b again */
	CHECK_EQ(raw_body(m).n, 0);
	raw_reply(g->b, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->b, NULL));
	m = raw_get(g->a, "INVITE ", 5);
	CHECK(raw_has(m, "c=IN IP4 10.0.0.22"));
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, g->a, NULL));
	CHECK(raw_has(raw_get(g->b, "ACK ", 1), "c=IN IP4 10.0.0.21"));
	raw_none(g->b, "BYE ", 3);
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* A second REFER, of either, while one is done: not now; the first one goes on. */
TEST_NO_OOM(two_at_once)
{
	struct rig *g = rig_new();
	struct rig_end a, b, d;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	rig_notify(g->b, "SIP/2.0 100");
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	CHECK(raw_has(raw_get(g->b, "SIP/2.0 500", 2), "Retry-After: "));
	rig_ask(&a, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	raw_get(g->a, "SIP/2.0 500", 2);
	rig_ring(g, g->d, &d);
	rig_join(g, &d, &a);
	rig_notify(g->b, "SIP/2.0 200");
	rig_ask(&b, "BYE", NULL, NULL);
	rig_bye(g, &d, &a);
	rig_free(g);
}

/* To the one who is there already, or to oneself: rings there as any call, and may be refused. */
TEST_NO_OOM(to_one_of_the_two)
{
	for (int i = 0; i < 2; i++) {
		struct rig *g = rig_new();
		struct rig_end a, b, d;
		rig_talk(g, g->a, "1002", g->b, &a, &b);
		rig_ask(&b, "REFER",
			i ? "Refer-To: <sip:1002@" STAGE_SERVER ">\n"
			  : "Refer-To: <sip:1001@" STAGE_SERVER ">\n",
			NULL);
		raw_get(g->b, "SIP/2.0 202", 2);
		rig_notify(g->b, "SIP/2.0 100");
		rig_ring(g, i ? g->b : g->a, &d);
		raw_reply(i ? g->b : g->a, d.invite, "486 Busy Here", d.q.tag, NULL, NULL);
		rig_notify(g->b, "SIP/2.0 486");
		rig_bye(g, &a, &b);
		rig_free(g);
	}
}

/* The transferor knows nothing of NOTIFY any more, or never answers it: the transfer goes on. */
TEST_NO_OOM(notify_is_refused)
{
	for (int is_silent = 0; is_silent < 2; is_silent++) {
		struct rig *g = rig_new();
		struct rig_end a, b, d;
		rig_talk(g, g->a, "1002", g->b, &a, &b);
		rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
		struct raw_msg *m = raw_get(g->b, "NOTIFY ", 2);
		if (!is_silent)
			rig_reply(g->b, m, "481 Subscription Does Not Exist");
		rig_ring(g, g->d, &d);
		raw_reply(g->d, d.invite, "180 Ringing", d.q.tag, NULL, NULL);
		rig_join(g, &d, &a);
		rig_reply(g->b, raw_get(g->b, "BYE ", 4), "200 OK");
		if (!is_silent) { /* who has said so is told nothing more [RFC6665 4.2.2] */
			while ((m = raw_poll(g->b, "NOTIFY ")))
				CHECK(raw_has(m, "SIP/2.0 100"));
		}
		rig_bye(g, &d, &a);
		rig_free(g);
	}
}
