/* Server transactions and matching. [RFC3261 17.2, 9.2, 8.2.2.2] [RFC6026 8.5] [RFC4320] */
#include "rig.h"

#include <stdio.h>

static void reply(struct rig *r, unsigned status)
{
	CHECK_EQ(tsx_reply(r->m, r->st, status, STR_NONE, STR_NONE), OK);
}

TEST(invite_100_after_200_ms)
{
	/* [RFC3261 17.2.1]: only when nothing else was sent; repeated for a repeated INVITE */
	struct rig *r = rig_new();
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	rig_run_ms(r, 100);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	rig_run_ms(r, 400);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	rig_run_ms(r, 100);
	reply(r, 180);
	rig_run_ms(r, 10);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	rig_run_ms(r, 100000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "200 peer 100 Trying\n"
		     "500 peer 100 Trying\n"
		     "600 peer 180 Ringing\n"
		     "610 peer 180 Ringing\n");
	rig_free(r);
}

TEST(invite_non_2xx_and_its_ack)
{
	/* G doubles to T2; the ACK ends it; I absorbs what comes late */
	struct rig *r = rig_new();
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	peer_request(r, "ACK", "z9hG4bK1", "x"); /* far too early */
	reply(r, 486);
	CHECK_EQ(tsx_reply(r->m, r->st, 180, STR_NONE, STR_NONE), ERR_STATE);
	CHECK_EQ(tsx_reply(r->m, r->st, 500, STR_NONE, STR_NONE), ERR_STATE);
	rig_run_ms(r, 1600);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	rig_run_ms(r, 100);
	peer_request(r, "ACK", "z9hG4bK1", "x");
	CHECK_EQ(tsx_reply(r->m, r->st, 180, STR_NONE, STR_NONE), ERR_STATE);
	CHECK_EQ(tsx_reply(r->m, r->st, 486, STR_NONE, STR_NONE), ERR_STATE);
	rig_run_ms(r, 100);
	peer_request(r, "ACK", "z9hG4bK1", "x");
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	rig_run_ms(r, 6000);
	CHECK_EQ(tsx_reply(r->m, r->st, 500, STR_NONE, STR_NONE), ERR_STATE);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 486 Busy Here\n"
		     "500 peer 486 Busy Here\n"
		     "1500 peer 486 Busy Here\n"
		     "1600 peer 486 Busy Here\n"
		     "6700 user end server DONE\n");
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_server, 0);
	rig_free(r);
}

TEST(invite_without_ack)
{
	/* Timer H */
	struct rig *r = rig_new();
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	reply(r, 600);
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 600 Busy Everywhere\n"
		     "500 peer 600 Busy Everywhere\n"
		     "1500 peer 600 Busy Everywhere\n"
		     "3500 peer 600 Busy Everywhere\n"
		     "7500 peer 600 Busy Everywhere\n"
		     "11500 peer 600 Busy Everywhere\n"
		     "15500 peer 600 Busy Everywhere\n"
		     "19500 peer 600 Busy Everywhere\n"
		     "23500 peer 600 Busy Everywhere\n"
		     "27500 peer 600 Busy Everywhere\n"
		     "31500 peer 600 Busy Everywhere\n"
		     "32000 user end server TIMEOUT\n");
	rig_free(r);
}

TEST(invite_2xx)
{
	/* [RFC6026 8.5]: the INVITE is absorbed in Accepted, the machine does not repeat the 2xx,
	 * further ones pass, an ACK on the same branch goes to the user */
	struct rig *r = rig_new();
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	reply(r, 180);
	reply(r, 200);
	rig_run_ms(r, 1000);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	CHECK_EQ(tsx_reply(r->m, r->st, 180, STR_NONE, STR_NONE), ERR_STATE);
	CHECK_EQ(tsx_reply(r->m, r->st, 486, STR_NONE, STR_NONE), ERR_STATE);
	reply(r, 200);
	rig_run_ms(r, 100);
	peer_request(r, "ACK", "z9hG4bK2", "x"); /* as it should be: a branch of its own */
	peer_request(r, "ACK", "z9hG4bK1", "x"); /* as some do */
	rig_run_ms(r, 32000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 180 Ringing\n"
		     "0 peer 200 OK\n"
		     "1000 peer 200 OK\n"
		     "1100 user ack\n"
		     "1100 user ack\n"
		     "32000 user end server DONE\n");
	rig_free(r);
}

TEST(late_2xx_passes_a_finished_invite)
{
	/* [RFC3261 16.7 step 5] */
	struct rig *r = rig_new();
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	reply(r, 486);
	reply(r, 200);
	rig_run_ms(r, 10);
	peer_request(r, "ACK", "z9hG4bK1", "x");
	reply(r, 200);
	rig_run_ms(r, 6000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 486 Busy Here\n"
		     "0 peer 200 OK\n"
		     "10 peer 200 OK\n"
		     "5010 user end server DONE\n");
	rig_free(r);
}

TEST(invite_over_tcp)
{
	/* no G, no I to wait for */
	struct rig *r = rig_new();
	peer_connect(r);
	rig_clear(r);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	reply(r, 180);
	rig_run_ms(r, 10);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	reply(r, 486);
	rig_run_ms(r, 10000);
	peer_request(r, "ACK", "z9hG4bK1", "x");
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 180 Ringing\n"
		     "10 peer 486 Busy Here\n"
		     "10010 user end server DONE\n");
	rig_free(r);
}

/* --- non-INVITE ------------------------------------------------------------------------------- */

TEST(non_invite_and_its_record)
{
	/* [RFC3261 17.2.2]: repeated requests get the same answer for 64*T1 */
	struct rig *r = rig_new();
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	reply(r, 200);
	CHECK_EQ(tsx_reply(r->m, r->st, 200, STR_NONE, STR_NONE), ERR_STATE);
	rig_run_ms(r, 10000);
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_server, 0);
	CHECK_EQ(st.live_records, 1);
	rig_run_ms(r, 22100);
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_records, 0);
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	CHECK_LOG(r, "0 user request OPTIONS\n"
		     "0 user end server DONE\n"
		     "0 peer 200 OK\n"
		     "10000 peer 200 OK\n"
		     "32100 user request OPTIONS\n");
	rig_free(r);
}

/* Of an answer of our own only a part is kept: what is sent again is nevertheless the same. */
TEST(a_record_answers_byte_for_byte)
{
	struct rig *r = rig_new();
	struct buf first;
	buf_init(&first);
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	CHECK_EQ(tsx_reply(r->m, r->st, 200, STR_NONE, STR("Allow: INVITE\r\nX: y\r\n")), OK);
	rig_run_ms(r, 10);
	buf_str(&first, buf_view(&r->last));
	CHECK(first.err == OK && str_find(buf_view(&first), STR("Allow: INVITE")) != SIZE_MAX);
	buf_clear(&r->last);
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	rig_run_ms(r, 10);
	CHECK_STR_EQ(buf_view(&r->last), buf_view(&first));
	buf_fini(&first);
	rig_free(r);
}

/* [RFC3261 26.3.2.4]: who is challenged takes no memory, whatever he repeats */
TEST(challenges_are_forgotten)
{
	struct rig *r = rig_new();
	struct tsx_stats st;
	static const char *const methods[] = {"OPTIONS", "INVITE"};
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		rig_clear(r);
		peer_request(r, methods[i], "z9hG4bK1", NULL);
		CHECK_EQ(tsx_reply_and_forget(r->m, r->st, 407, STR("X: y\r\n")), OK);
		CHECK_EQ(tsx_reply_and_forget(r->m, r->st, 407, STR_NONE), ERR_STATE);
		rig_run_ms(r, 600); /* no Timer G */
		tsx_stats(r->m, &st);
		CHECK_EQ(st.live_server, 0);
		CHECK_EQ(st.live_records, 0);
		peer_request(r, methods[i], "z9hG4bK1", NULL);
		CHECK_EQ(tsx_reply_and_forget(r->m, r->st, 407, STR_NONE), OK);
		rig_run_ms(r, 100);
		if (i == 0)
			CHECK_LOG(r, "0 user request OPTIONS\n"
				     "0 user end server DONE\n"
				     "0 peer 407 Proxy Authentication Required\n"
				     "600 user request OPTIONS\n"
				     "600 user end server DONE\n"
				     "600 peer 407 Proxy Authentication Required\n");
	}
	peer_request(r, "ACK", "z9hG4bK1", "x");
	rig_run_ms(r, 1);
	CHECK(str_ends(rig_log(r), STR("user ack\n")));
	rig_free(r);
}

TEST(records_are_bounded)
{
	struct rig *r = rig_new();
	char branch[32];
	tsx_set_limits(r->m, 10, 10, 2);
	r->auto_status = 200;
	r->is_quiet = true;
	for (int i = 0; i < 4; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bK%d", i);
		peer_request(r, "OPTIONS", branch, NULL);
	}
	rig_run_ms(r, 10);
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_records, 2);
	rig_clear(r);
	peer_request(r, "OPTIONS", "z9hG4bK3", NULL);
	CHECK_LOG(r, "");
	peer_request(r, "OPTIONS", "z9hG4bK0", NULL); /* driven out: new again */
	rig_run_ms(r, 40000);
	CHECK_LOG(r, "0 user request OPTIONS\n0 user end server DONE\n");
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_records, 0);
	rig_free(r);
}

TEST(large_responses_are_kept_too)
{
	struct rig *r = rig_new();
	static char lines[5000];
	r->is_quiet = true;
	for (unsigned n = 100; n < sizeof(lines); n += 977) {
		char branch[32];
		snprintf(branch, sizeof(branch), "z9hG4bK%u", n);
		for (unsigned i = 0; i < n; i++)
			lines[i] = 'x';
		lines[0] = 'X';
		lines[1] = ':';
		lines[n - 2] = '\r';
		lines[n - 1] = '\n';
		peer_request(r, "OPTIONS", branch, NULL);
		CHECK_EQ(tsx_reply(r->m, r->st, 200, STR_NONE, str_of(lines, n)), OK);
		rig_run_ms(r, 1);
		size_t size = r->last.n;
		buf_clear(&r->last);
		peer_request(r, "OPTIONS", branch, NULL);
		rig_run_ms(r, 1);
		CHECK_EQ(r->last.n, size);
	}
	rig_free(r);
}

TEST(non_invite_100_is_late)
{
	/* [RFC4320 4.1]: over UDP not before Timer E is at T2, and then by itself; nothing else */
	struct rig *r = rig_new();
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	CHECK_EQ(tsx_reply(r->m, r->st, 100, STR_NONE, STR_NONE), ERR_STATE);
	CHECK_EQ(tsx_reply(r->m, r->st, 180, STR_NONE, STR_NONE), ERR_STATE);
	rig_run_ms(r, 4000);
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	CHECK_EQ(tsx_reply(r->m, r->st, 183, STR_NONE, STR_NONE), ERR_STATE);
	rig_run_ms(r, 1000);
	reply(r, 200);
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 user request OPTIONS\n"
		     "3500 peer 100 Trying\n"
		     "4000 peer 100 Trying\n"
		     "5000 user end server DONE\n"
		     "5000 peer 200 OK\n");
	rig_free(r);
}

TEST(non_invite_100_over_tcp_at_any_time)
{
	struct rig *r = rig_new();
	peer_connect(r);
	rig_clear(r);
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	reply(r, 100);
	CHECK_EQ(tsx_reply(r->m, r->st, 100, STR_NONE, STR_NONE), OK); /* once is enough */
	rig_run_ms(r, 5000);
	reply(r, 200);
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 user request OPTIONS\n"
		     "0 peer 100 Trying\n"
		     "5000 user end server DONE\n"
		     "5000 peer 200 OK\n");
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_records, 0);
	rig_free(r);
}

TEST(non_invite_408_is_never_sent)
{
	/* [RFC4320 4.2] */
	struct rig *r = rig_new();
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	reply(r, 408);
	rig_run_ms(r, 10);
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	rig_run_ms(r, 5000);
	peer_request(r, "MESSAGE", "z9hG4bK2", NULL);
	rig_run_ms(r, 4000);
	reply(r, 408);
	rig_run_ms(r, 40000);
	CHECK_LOG(r, "0 user request OPTIONS\n"
		     "0 user end server DONE\n"
		     "5010 user request MESSAGE\n"
		     "8510 peer 100 Trying\n"
		     "9010 user end server DONE\n");
	rig_free(r);
}

TEST(non_invite_never_answered)
{
	struct rig *r = rig_new();
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	rig_run_ms(r, 40000);
	CHECK_LOG(r, "0 user request OPTIONS\n"
		     "3500 peer 100 Trying\n"
		     "32000 user end server TIMEOUT\n");
	rig_free(r);
}

TEST(dropped_server)
{
	struct rig *r = rig_new();
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	tsx_drop(r->m, r->st);
	CHECK_EQ(tsx_reply(r->m, r->st, 200, STR_NONE, STR_NONE), ERR_STATE);
	tsx_drop(r->m, r->st);
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 user request OPTIONS\n0 user end server DROPPED\n");
	rig_free(r);
}

TEST(transport_errors_of_responses)
{
	/* [RFC3261 17.2.4] [RFC6026 8.5]: they end a non-INVITE, never an INVITE */
	struct rig *r = rig_new();
	peer_connect(r);
	rig_clear(r);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	tsx_id invite = r->st;
	peer_request(r, "OPTIONS", "z9hG4bK2", NULL);
	tsx_id options = r->st;
	peer_request(r, "MESSAGE", "z9hG4bK3", NULL);
	peer_close(r);
	rig_run_ms(r, 150);
	CHECK_EQ(tsx_reply(r->m, options, 200, STR_NONE, STR_NONE), OK);
	rig_run_ms(r, 3600); /* their own 100 cannot be sent either */
	CHECK_EQ(tsx_reply(r->m, invite, 180, STR_NONE, STR_NONE), OK);
	rig_run_ms(r, 1);
	CHECK_EQ(tsx_reply(r->m, invite, 486, STR_NONE, STR_NONE), OK);
	rig_run_ms(r, 40000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 user request OPTIONS\n"
		     "0 user request MESSAGE\n"
		     "0 user flow down\n"
		     "150 user end server DONE\n" /* nobody takes our connection */
		     "3500 user end server TRANSPORT\n"
		     "35751 user end server TIMEOUT\n");
	rig_free(r);
}

/* [RFC3261 18.2.2]: to the address that the request came from, at the port in Via. */
TEST(responses_over_a_new_connection)
{
	struct rig *r = rig_new();
	peer_connect(r);
	rig_clear(r);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	tsx_id invite = r->st;
	peer_request(r, "OPTIONS", "z9hG4bK2", NULL);
	tsx_id options = r->st;
	peer_close(r);
	peer_listen(r);
	rig_run_ms(r, 150);
	CHECK_EQ(tsx_reply(r->m, options, 200, STR_NONE, STR_NONE), OK);
	rig_run_ms(r, 25);
	CHECK_EQ(tsx_reply(r->m, invite, 180, STR_NONE, STR_NONE), OK);
	rig_run_ms(r, 25);
	CHECK_EQ(tsx_reply(r->m, invite, 486, STR_NONE, STR_NONE), OK);
	rig_run_ms(r, 50);
	peer_request(r, "ACK", "z9hG4bK1", "x");
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 user request OPTIONS\n"
		     "0 user flow down\n"
		     "150 user end server DONE\n"
		     "150 peer 200 OK\n"
		     "175 peer 180 Ringing\n"
		     "200 peer 486 Busy Here\n"
		     "250 user end server DONE\n");
	struct tp_stats st;
	tp_stats(r->tp, &st);
	CHECK_EQ(st.live_connections, 1);
	rig_free(r);
}

TEST(transport_errors_in_accepted)
{
	struct rig *r = rig_new();
	peer_connect(r);
	rig_clear(r);
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	peer_request(r, "ACK", "z9hG4bK1", "x");
	reply(r, 200);
	rig_run_ms(r, 1);
	peer_close(r);
	rig_run_ms(r, 10);
	reply(r, 200);
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 200 OK\n"
		     "1 user flow down\n"
		     "32000 user end server DONE\n");
	rig_free(r);
}

TEST(transport_errors_in_confirmed)
{
	struct rig *r = rig_new();
	static char huge[70000]; /* no datagram */
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	reply(r, 486);
	rig_run_ms(r, 10);
	peer_request(r, "ACK", "z9hG4bK1", "x");
	CHECK_EQ(tsx_respond(r->m, r->st, 200, str_of(huge, sizeof(huge))), OK);
	rig_run_ms(r, 6000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 486 Busy Here\n"
		     "5010 user end server DONE\n");
	rig_free(r);
}

/* --- matching --------------------------------------------------------------------------------- */

TEST(branch_sent_by_and_method_match)
{
	/* [RFC3261 17.2.3] */
	struct rig *r = rig_new();
	r->is_quiet = true;
	r->auto_status = 200;
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	peer_request(r, "MESSAGE", "z9hG4bK1", NULL); /* another method */
	peer_request(r, "options", "z9hG4bK1", NULL); /* and another: methods have a case */
	peer_request(r, "FOO", "z9hG4bK1", NULL);
	peer_request(r, "FOO", "z9hG4bK1", NULL);
	peer_request(r, "BAR", "z9hG4bK1", NULL);
	peer_request(r, "OPTIONS", "z9hg4bk1", NULL); /* a token has none */
	peer_send(r, "OPTIONS sip:a@10.0.0.1 SIP/2.0\n"
		     "Via: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bK1\n" /* another sent-by */
		     "From: <sip:b@x>;tag=f\nTo: <sip:a@x>\nCall-ID: c\nCSeq: 1 OPTIONS\n"
		     "Max-Forwards: 70\nContent-Length: 0\n\n");
	r->auto_status = 0;
	peer_request(r, "INVITE", "z9hG4bK2", NULL); /* live ones, too */
	peer_request(r, "INVITE", "z9hG4bK3", NULL);
	peer_request(r, "INVITE", "z9HG4BK3", NULL);
	CHECK_LOG(r, "0 user request OPTIONS\n0 user end server DONE\n"
		     "0 user request MESSAGE\n0 user end server DONE\n"
		     "0 user request options\n0 user end server DONE\n"
		     "0 user request FOO\n0 user end server DONE\n"
		     "0 user request BAR\n0 user end server DONE\n"
		     "0 user request OPTIONS\n0 user end server DONE\n"
		     "0 user request INVITE\n0 user request INVITE\n");
	rig_free(r);
}

TEST(rfc_2543_requests_match_without_branch)
{
	struct rig *r = rig_new();
	peer_request(r, "INVITE", NULL, NULL);
	peer_request(r, "INVITE", NULL, NULL);
	reply(r, 486);
	rig_run_ms(r, 10);
	peer_request(r, "ACK", NULL, "x"); /* its To tag is that of the answer */
	rig_run_ms(r, 10000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 486 Busy Here\n"
		     "5010 user end server DONE\n");
	rig_clear(r);
	peer_request(r, "INVITE", NULL, NULL); /* the ACK of a 2xx is the user's [RFC6026 6] */
	reply(r, 200);
	rig_run_ms(r, 10);
	peer_request(r, "ACK", NULL, "x");
	rig_run_ms(r, 40000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 200 OK\n"
		     "10 user ack\n"
		     "32000 user end server DONE\n");
	rig_clear(r);
	peer_request(r, "INVITE", NULL, "one"); /* To tags tell them apart */
	peer_request(r, "INVITE", NULL, "two");
	peer_request(r, "CANCEL", NULL, "two");
	r->auto_status = 200;
	peer_request(r, "OPTIONS", NULL, NULL);
	peer_request(r, "OPTIONS", NULL, NULL);
	rig_run_ms(r, 1);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 user request INVITE\n"
		     "0 user cancel\n"
		     "0 peer 200 OK\n"
		     "0 user request OPTIONS\n"
		     "0 user end server DONE\n"
		     "0 peer 200 OK\n"
		     "0 peer 200 OK\n");
	rig_free(r);
}

TEST(cancel_matches_its_invite)
{
	/* [RFC3261 9.2] */
	struct rig *r = rig_new();
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	reply(r, 180);
	rig_run_ms(r, 1);
	struct str none,
		tag = str_skip(buf_view(&r->last), str_find(buf_view(&r->last), STR("To:")));
	char to[128], to2[128];
	str_copy(to, sizeof(to), str_cut(tag, '\r', &none));
	peer_request(r, "CANCEL", "z9hG4bK1", NULL);
	rig_run_ms(r, 1);
	tag = str_skip(buf_view(&r->last), str_find(buf_view(&r->last), STR("To:")));
	str_copy(to2, sizeof(to2), str_cut(tag, '\r', &none));
	CHECK_STR_EQ(str_c(to), str_c(to2)); /* the same tag [RFC3261 9.2] */
	peer_request(r, "CANCEL", "z9hG4bK1", NULL);
	reply(r, 487);
	rig_run_ms(r, 1);
	peer_request(r, "ACK", "z9hG4bK1", "x");
	rig_run_ms(r, 10000);
	CHECK_LOG(r, "0 user request INVITE\n"
		     "0 peer 180 Ringing\n"
		     "1 user cancel\n"
		     "1 peer 200 OK\n"
		     "2 peer 200 OK\n"
		     "2 peer 487 Request Terminated\n"
		     "5003 user end server DONE\n");
	rig_free(r);
}

TEST(cancel_after_the_answer_and_without_one)
{
	struct rig *r = rig_new();
	peer_request(r, "CANCEL", "z9hG4bK1", NULL);
	rig_run_ms(r, 1);
	CHECK_EQ(r->refusal, TSX_REFUSE_NO_INVITE);
	CHECK(str_find(buf_view(&r->last), STR("Warning: 399 rig \"2\"\r\n")) != SIZE_MAX);
	peer_request(r, "INVITE", "z9hG4bK2", NULL);
	reply(r, 200);
	rig_run_ms(r, 1);
	peer_request(r, "CANCEL", "z9hG4bK2", NULL);
	CHECK(!tsx_is_cancelled(r->m, r->st));
	rig_run_ms(r, 1);
	CHECK_LOG(r, "0 peer 481 Call/Transaction Does Not Exist\n"
		     "1 user request INVITE\n"
		     "1 peer 200 OK\n"
		     "2 peer 200 OK\n");
	rig_clear(r); /* only an INVITE can be taken back [RFC6665 4.6] */
	peer_request(r, "SUBSCRIBE", "z9hG4bK3", NULL);
	peer_request(r, "CANCEL", "z9hG4bK3", NULL);
	rig_run_ms(r, 1);
	reply(r, 200);
	rig_run_ms(r, 1);
	CHECK_LOG(r, "0 user request SUBSCRIBE\n"
		     "0 peer 481 Call/Transaction Does Not Exist\n"
		     "1 user end server DONE\n"
		     "1 peer 200 OK\n");
	rig_free(r);
}

TEST(merged_requests_are_known)
{
	/* [RFC3261 8.2.2.2] */
	struct rig *r = rig_new();
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	CHECK(!r->is_merged);
	tsx_id first = r->st;
	peer_request(r, "INVITE", "z9hG4bK2", NULL);
	CHECK(r->is_merged);
	CHECK(!tsx_is_merged(r->m, first));
	peer_request(r, "INVITE", "z9hG4bK3", "inside"); /* a To tag: no */
	CHECK(!r->is_merged);
	r->auto_status = 200;
	peer_request(r, "OPTIONS", "z9hG4bK4", NULL);
	CHECK(!r->is_merged);
	peer_request(r, "OPTIONS", "z9hG4bK5", NULL); /* the first is a record by now */
	CHECK(r->is_merged);
	r->auto_status =
		503; /* fail-over of the client to another of our addresses [RFC3263 4.3] */
	peer_request(r, "MESSAGE", "z9hG4bK6", NULL);
	peer_request(r, "MESSAGE", "z9hG4bK7", NULL);
	CHECK(!r->is_merged);
	rig_free(r);
}

/* --- refusals at the entry -------------------------------------------------------------------- */

TEST(malformed_requests_are_refused_here)
{
	struct rig *r = rig_new();
	peer_send(r, "OPTIONS sip:a@10.0.0.1 SIP/2.0\n"
		     "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\n"
		     "From: <sip:b@x>;tag=f\nTo: <sip:a@x>\nCall-ID: c\nCSeq: one OPTIONS\n"
		     "Content-Length: 0\n\n");
	rig_run_ms(r, 1);
	CHECK(str_find(rig_log(r), STR("0 peer 400 Bad Request (")) != SIZE_MAX);
	CHECK_EQ(r->refusal, TSX_REFUSE_MALFORMED);
	CHECK(str_find(buf_view(&r->last), STR("\r\nWarning: 399 rig \"0\"\r\n")) != SIZE_MAX);
	rig_clear(r);
	peer_send(r, "OPTIONS sip:a@10.0.0.1 SIP/7.0\n"
		     "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\n"
		     "From: <sip:b@x>;tag=f\nTo: <sip:a@x>\nCall-ID: c\nCSeq: 1 OPTIONS\n"
		     "Content-Length: 0\n\n");
	rig_run_ms(r, 1);
	CHECK(str_find(rig_log(r), STR("0 peer 505 ")) != SIZE_MAX);
	rig_clear(r);
	/* an ACK is never answered, a response never, a request without Via cannot be */
	peer_send(r, "ACK sip:a@10.0.0.1 SIP/2.0\n"
		     "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\n"
		     "From: <sip:b@x>;tag=f\nTo: <sip:a@x>\nCall-ID: c\nCSeq: one ACK\n"
		     "Content-Length: 0\n\n");
	peer_send(r, "SIP/2.0 200 OK\n"
		     "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\n"
		     "To: <sip:a@x>\nCall-ID: c\nCSeq: 1 INVITE\nContent-Length: 0\n\n");
	peer_send(r, "OPTIONS sip:a@10.0.0.1 SIP/2.0\n"
		     "From: <sip:b@x>;tag=f\nTo: <sip:a@x>\nCall-ID: c\nCSeq: 1 OPTIONS\n"
		     "Content-Length: 0\n\n");
	rig_run_ms(r, 1);
	CHECK_LOG(r, "");
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.refused, 5);
	CHECK_EQ(st.n_server, 0);
	rig_free(r);
}

TEST(full_pool_answers_503)
{
	struct rig *r = rig_new();
	char branch[32];
	tsx_set_limits(r->m, 10, 10, 10);
	r->is_quiet = true;
	for (int i = 0; i < 9; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bK%d", i);
		peer_request(r, "INVITE", branch, NULL);
	}
	rig_clear(r);
	r->is_quiet = false;
	peer_request(r, "INVITE", "z9hG4bKa", NULL);
	rig_run_ms(r, 1);
	CHECK_LOG(r, "0 peer 503 Service Unavailable\n");
	CHECK(str_find(buf_view(&r->last), STR("Retry-After: ")) != SIZE_MAX);
	CHECK(str_find(buf_view(&r->last), STR("Warning: 399 rig \"1\"\r\n")) != SIZE_MAX);
	peer_request(r, "BYE", "z9hG4bKb", "inside"); /* calls in progress go first */
	peer_request(r, "CANCEL", "z9hG4bK3", NULL);  /* and what makes room */
	rig_run_ms(r, 1);
	CHECK_LOG(r, "0 peer 503 Service Unavailable\n"
		     "1 user request BYE\n"
		     "1 user cancel of another\n"
		     "1 peer 200 OK\n");
	rig_free(r);
}

TEST(own_responses_keep_their_bytes)
{
	/* tsx_respond with bytes of the user's own; the tag is stable */
	struct rig *r = rig_new();
	char a[24], b[24];
	peer_request(r, "INVITE", "z9hG4bK1", NULL);
	struct tp_rx *rx = tsx_request(r->m, r->st);
	CHECK(rx);
	CHECK_STR_EQ(tsx_to_tag(r->m, rx->msg, a), tsx_to_tag(r->m, rx->msg, b));
	static const char text[] = "SIP/2.0 302 Elsewhere\r\n"
				   "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\r\n"
				   "From: <sip:b@x>;tag=f\r\nTo: <sip:a@x>;tag=me\r\n"
				   "Call-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
	char mine[sizeof(text)];
	for (size_t i = 0; i < sizeof(text); i++)
		mine[i] = text[i];
	CHECK_EQ(tsx_respond(r->m, r->st, 302, str_of(mine, sizeof(text) - 1)), OK);
	mine[0] = 'X';
	rig_run_ms(r, 600);
	CHECK_LOG(r, "0 user request INVITE\n0 peer 302 Elsewhere\n500 peer 302 Elsewhere\n");
	rig_free(r);
}
