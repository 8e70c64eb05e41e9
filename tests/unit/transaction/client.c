/* Client transactions. [RFC3261 17.1, 9.1, 18.1.1] [RFC6026 8.4] */
#include "rig.h"

TEST(invite_is_repeated_until_timer_b)
{
	/* [RFC3261 17.1.1.2]: A doubles from T1, B is 64*T1 */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	dst.is_fixed = true;
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "500 peer INVITE\n"
		     "1500 peer INVITE\n"
		     "3500 peer INVITE\n"
		     "7500 peer INVITE\n"
		     "15500 peer INVITE\n"
		     "31500 peer INVITE\n"
		     "32000 user end client TIMEOUT\n");
	rig_free(r);
}

TEST(invite_proceeding_then_non_2xx)
{
	/* [RFC3261 17.1.1.2, 17.1.1.3]: 1xx stops A and B; each repeated final is acknowledged; D
	 */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 100, "t");
	rig_run_ms(r, 40000);
	peer_respond(r, 180, "t");
	rig_run_ms(r, 10);
	peer_respond(r, 486, "t");
	rig_run_ms(r, 10);
	struct str to = STR("To: <sip:b@x>;tag=t\r\n");
	CHECK(str_find(buf_view(&r->last), to) != SIZE_MAX);
	CHECK(str_find(buf_view(&r->last), STR("CSeq: 7 ACK\r\n")) != SIZE_MAX);
	peer_respond(r, 486, "t");
	rig_run_ms(r, 10);
	peer_respond(r, 180, "t");
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user response 100\n"
		     "40100 user response 180\n"
		     "40110 user response 486\n"
		     "40110 peer ACK\n"
		     "40120 peer ACK\n"
		     "72110 user end client DONE\n");
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_client, 0);
	CHECK_EQ(st.retransmits_absorbed, 1);
	rig_free(r);
}

TEST(invite_final_at_once)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 404, "t");
	rig_run_ms(r, 32100);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user response 404\n"
		     "100 peer ACK\n"
		     "32100 user end client DONE\n");
	rig_free(r);
}

TEST(invite_every_2xx_is_told)
{
	/* [RFC6026 8.4] Accepted, Timer M */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	CHECK(tsx_client_bytes(r->m, r->ct).n > 0);
	peer_respond(r, 200, "t");
	CHECK_EQ(tsx_client_bytes(r->m, r->ct).n, 0);
	rig_run_ms(r, 1000);
	peer_respond(r, 200, "t");
	rig_run_ms(r, 1000);
	peer_respond(r, 200, "other");
	peer_respond(r, 180, "late");
	peer_respond(r, 486, "late");
	tsx_cancel(r->m, r->ct, STR_NONE);
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user response 200\n"
		     "1100 user response 200\n"
		     "2100 user response 200\n"
		     "32100 user end client DONE\n");
	rig_free(r);
}

TEST(invite_proceeding_to_2xx)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 180, "t");
	peer_respond(r, 200, "t");
	rig_run_ms(r, 32100);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user response 180\n"
		     "100 user response 200\n"
		     "32100 user end client DONE\n");
	rig_free(r);
}

TEST(late_2xx_is_a_stray)
{
	/* a 2xx behind a non-2xx, and one for a transaction that is over [RFC3261 16.7 step 5] */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 486, "t");
	peer_respond(r, 200, "other");
	tsx_cancel(r->m, r->ct, STR_NONE);
	rig_run_ms(r, 40000);
	peer_respond(r, 200, "other");
	peer_respond(r, 486, "other");
	str_copy(r->branch, sizeof(r->branch), STR("z9hG4bKsomebodyelse"));
	peer_respond(r, 200, "forged");
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user response 486\n"
		     "100 peer ACK\n"
		     "100 user stray 200\n"
		     "32100 user end client DONE\n"
		     "40100 user stray 200\n");
	rig_free(r);
}

TEST(detached_2xx_is_a_stray)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	tsx_detach(r->m, r->ct);
	peer_respond(r, 180, "t");
	peer_respond(r, 200, "t");
	peer_respond(r, 200, "t");
	rig_run_ms(r, 40000);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user stray 200\n"
		     "100 user stray 200\n");
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_client, 0);
	rig_free(r);
}

/* A peer that says 1xx and dies: before its user leaves, and after. */
TEST(detached_and_never_answered)
{
	for (int is_late = 0; is_late < 2; is_late++) {
		struct rig *r = rig_new();
		struct tp_dst dst = rig_dst(TP_UDP);
		CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
		rig_run_ms(r, 100);
		if (is_late)
			tsx_detach(r->m, r->ct);
		peer_respond(r, 180, "t");
		if (!is_late)
			tsx_detach(r->m, r->ct);
		rig_run_ms(r, 20000);
		peer_respond(r, 180, "t"); /* that does not prolong it */
		rig_run_ms(r, 13000);
		struct tsx_stats st;
		tsx_stats(r->m, &st);
		CHECK_EQ(st.live_client, 0);
		rig_free(r);
	}
}

/* --- CANCEL ----------------------------------------------------------------------------------- */

TEST(cancel_waits_for_a_provisional)
{
	/* [RFC3261 9.1] */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	tsx_cancel(r->m, r->ct, STR("Reason: SIP;cause=200\r\n"));
	tsx_cancel(r->m, r->ct, STR("Reason: SIP;cause=480\r\n"));
	rig_run_ms(r, 500);
	peer_respond(r, 180, "t");
	rig_run_ms(r, 600);
	CHECK(str_find(buf_view(&r->last), STR("Reason: SIP;cause=200\r\n")) != SIZE_MAX);
	CHECK(str_find(buf_view(&r->last), STR("CSeq: 7 CANCEL\r\n")) != SIZE_MAX);
	CHECK(str_ends(buf_view(&r->last), STR("\r\n\r\n")));
	peer_respond(r, 200, "t");
	peer_respond_cseq(r, 180, "t", "INVITE");
	peer_respond_cseq(r, 487, "t", "INVITE");
	tsx_cancel(r->m, r->ct, STR_NONE);
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "500 peer INVITE\n"
		     "600 user response 180\n"
		     "600 peer CANCEL\n"
		     "1100 peer CANCEL\n"
		     "1200 user response 180\n"
		     "1200 user response 487\n"
		     "1200 peer ACK\n"
		     "33200 user end client DONE\n");
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_client, 0);
	rig_free(r);
}

TEST(cancel_gives_up_after_64_t1)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 180, "t");
	r->is_quiet = true;
	tsx_cancel(r->m, r->ct, STR_NONE);
	tsx_cancel(r->m, r->ct, STR_NONE);
	rig_run_ms(r, 40000);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user response 180\n"
		     "32100 user end client TIMEOUT\n");
	struct tsx_stats st;
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_client, 0);
	rig_free(r);
}

TEST(cancel_against_2xx)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 180, "t");
	tsx_cancel(r->m, r->ct, STR_NONE);
	rig_run_ms(r, 10);
	peer_respond_cseq(r, 200, "t", "INVITE");
	peer_respond_cseq(r, 481, "t", "CANCEL");
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user response 180\n"
		     "100 peer CANCEL\n"
		     "110 user response 200\n"
		     "32110 user end client DONE\n");
	rig_free(r);
}

TEST(cancel_before_anything_came)
{
	/* nothing comes at all: Timer B; a final one comes: no CANCEL */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	r->is_quiet = true;
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	tsx_cancel(r->m, r->ct, STR_NONE);
	rig_run_ms(r, 32000);
	CHECK_LOG(r, "32000 user end client TIMEOUT\n");
	rig_clear(r);
	static const unsigned finals[] = {200, 500};
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
		rig_run_ms(r, 100);
		tsx_cancel(r->m, r->ct, STR_NONE);
		peer_respond(r, finals[i], "t");
		rig_run_ms(r, 33000);
	}
	CHECK_LOG(r, "100 user response 200\n"
		     "32100 user end client DONE\n"
		     "33200 user response 500\n"
		     "65200 user end client DONE\n");
	rig_free(r);
}

/* --- non-INVITE ------------------------------------------------------------------------------- */

TEST(non_invite_timers_e_and_f)
{
	/* [RFC3261 17.1.2.2] */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 peer OPTIONS\n"
		     "500 peer OPTIONS\n"
		     "1500 peer OPTIONS\n"
		     "3500 peer OPTIONS\n"
		     "7500 peer OPTIONS\n"
		     "11500 peer OPTIONS\n"
		     "15500 peer OPTIONS\n"
		     "19500 peer OPTIONS\n"
		     "23500 peer OPTIONS\n"
		     "27500 peer OPTIONS\n"
		     "31500 peer OPTIONS\n"
		     "32000 user end client TIMEOUT\n");
	rig_free(r);
}

TEST(non_invite_proceeding)
{
	/* E becomes T2; F goes on; K absorbs */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 100, "t");
	rig_run_ms(r, 5000);
	peer_respond(r, 180, "t");
	peer_respond(r, 200, "t");
	peer_respond(r, 200, "t");
	peer_respond(r, 100, "t");
	rig_run_ms(r, 6000);
	CHECK_LOG(r, "0 peer OPTIONS\n"
		     "100 user response 100\n"
		     "500 peer OPTIONS\n"
		     "4500 peer OPTIONS\n"
		     "5100 user response 180\n"
		     "5100 user response 200\n"
		     "10100 user end client DONE\n");
	rig_clear(r);
	r->is_quiet = true;
	CHECK_EQ(rig_client(r, "MESSAGE", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 100, "t");
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "100 user response 100\n32000 user end client TIMEOUT\n");
	rig_free(r);
}

TEST(unknown_methods_are_non_invite)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "FOO", &dst), OK);
	rig_run_ms(r, 1);
	peer_respond(r, 501, "t");
	rig_run_ms(r, 6000);
	CHECK_LOG(r, "0 peer FOO\n1 user response 501\n5001 user end client DONE\n");
	rig_free(r);
}

/* --- transports ------------------------------------------------------------------------------- */

TEST(reliable_transport_repeats_nothing)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_TCP);
	peer_listen(r);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 100);
	peer_respond(r, 486, "t");
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 peer INVITE\n"
		     "100 user response 486\n"
		     "100 user end client DONE\n"
		     "100 peer ACK\n");
	rig_clear(r);
	CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
	rig_run_ms(r, 20000);
	peer_respond(r, 200, "t");
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 peer OPTIONS\n20000 user response 200\n20000 user end client DONE\n");
	rig_free(r);
}

/* [RFC3261 17.1.1.2]: B is for any transport */
TEST(invite_over_tcp_has_timer_b)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_TCP);
	peer_listen(r);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 33000);
	CHECK_LOG(r, "0 peer INVITE\n32000 user end client TIMEOUT\n");
	rig_free(r);
}

/* [RFC3261 18.1.1]: whoever answers over a connection of his own is heard */
TEST(responses_by_another_connection)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_TCP);
	peer_listen(r);
	CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
	rig_run_ms(r, 10);
	struct env_sock *first = r->tcp;
	peer_connect(r);
	CHECK(first && first != r->tcp);
	peer_respond(r, 200, "t");
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 peer OPTIONS\n20 user response 200\n20 user end client DONE\n");
	env_close(first);
	rig_free(r);
}

TEST(icmp_ends_at_once)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	peer_leave(r);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 user end client TRANSPORT\n");
	rig_clear(r);
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	tsx_cancel(r->m, r->ct, STR_NONE);
	rig_run_ms(r, 10);
	CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 user end client TRANSPORT\n10 user end client TRANSPORT\n");
	rig_free(r);
}

TEST(icmp_in_later_states)
{
	/* it ends a non-INVITE that waits; an INVITE that has an answer goes on */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	struct tp_error e = {.err = ERR_NET, .peer = dst.to};
	static const struct {
		const char *method;
		unsigned status;
		bool cancel;
		const char *log;
	} cases[] = {
		{"OPTIONS", 100, false, "1 user response 100\n1 user end client TRANSPORT\n"  },
		{"OPTIONS", 200, false, "1 user response 200\n5001 user end client DONE\n"    },
		{"INVITE",  180, false, "1 user response 180\n"                               },
		{"INVITE",  180, true,  "1 user response 180\n32001 user end client TIMEOUT\n"},
		{"INVITE",  200, false, "1 user response 200\n32001 user end client DONE\n"   },
		{"INVITE",  486, false, "1 user response 486\n1 user end client DONE\n"       },
	};
	r->is_quiet = true;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		rig_clear(r);
		CHECK_EQ(rig_client(r, cases[i].method, &dst), OK);
		rig_run_ms(r, 1);
		peer_respond(r, cases[i].status, "t");
		if (cases[i].cancel)
			tsx_cancel(r->m, r->ct, STR_NONE);
		e.branch = str_c(r->branch);
		tsx_on_error(r->m, &e);
		rig_run_ms(r, 40000);
		CHECK_STR_EQ(rig_log(r), str_c(cases[i].log));
	}
	rig_free(r);
}

TEST(icmp_of_another_peer_is_nothing)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
	rig_run_ms(r, 1);
	struct tp_error e = {.err = ERR_NET, .peer = dst.to, .branch = str_c(r->branch)};
	e.peer.port++;
	tsx_on_error(r->m, &e);
	e.peer.port--;
	e.branch = STR("z9hG4bKnotours");
	tsx_on_error(r->m, &e);
	peer_respond(r, 200, "t");
	CHECK_LOG(r, "0 peer OPTIONS\n1 user response 200\n");
	rig_free(r);
}

TEST(large_requests_go_by_tcp)
{
	/* [RFC3261 18.1.1] */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	r->n_body = 1300;
	peer_listen(r);
	CHECK_EQ(rig_client(r, "MESSAGE", &dst), OK);
	rig_run_ms(r, 10);
	CHECK(str_find(buf_view(&r->last), STR("Via: SIP/2.0/TCP 10.0.0.1:5060;")) != SIZE_MAX);
	CHECK_EQ(tsx_client_dst(r->m, r->ct).proto, TP_TCP);
	peer_respond(r, 200, "t");
	CHECK_LOG(r, "0 peer MESSAGE\n10 user response 200\n10 user end client DONE\n");
	rig_free(r);
}

TEST(large_requests_go_back_to_udp)
{
	/* no TCP at the peer: UDP after all */
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	r->n_body = 1300;
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 600);
	CHECK(str_find(buf_view(&r->last), STR("Via: SIP/2.0/UDP 10.0.0.1:5060;")) != SIZE_MAX);
	CHECK_LOG(r, "0 peer INVITE\n500 peer INVITE\n");
	peer_respond(r, 200, "t");
	rig_free(r);
}

TEST(large_requests_to_fixed_targets_stay)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	r->n_body = 1300;
	dst.is_fixed = true;
	peer_listen(r);
	CHECK_EQ(rig_client(r, "MESSAGE", &dst), OK);
	rig_run_ms(r, 10);
	CHECK(!r->is_tcp);
	CHECK_LOG(r, "0 peer MESSAGE\n");
	rig_free(r);
}

TEST(connection_that_ends_fails_what_waits_on_it)
{
	struct rig *r = rig_new();
	peer_connect(r);
	r->auto_status = 200;
	peer_request(r, "OPTIONS", "z9hG4bK1", NULL);
	rig_run_ms(r, 10);
	rig_clear(r);
	struct tp_dst dst = rig_dst(TP_TCP);
	/* the flow of the peer's connection: the rig's user has seen it */
	struct tsx_stats st;
	CHECK(r->has_ended_server);
	dst.flow = r->flow;
	dst.to = (struct addr){0}; /* whatever port it connected from */
	CHECK(dst.flow != 0);
	CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
	rig_run_ms(r, 10);
	peer_close(r);
	rig_run_ms(r, 10);
	CHECK_LOG(r, "0 peer OPTIONS\n"
		     "10 user end client TRANSPORT\n"
		     "10 user flow down\n");
	tsx_stats(r->m, &st);
	CHECK_EQ(st.live_client, 0);
	CHECK(rig_client(r, "OPTIONS", &dst) != OK); /* and no callback comes */
	rig_free(r);
}

TEST(dropped_client)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
	tsx_drop(r->m, r->ct);
	tsx_drop(r->m, r->ct);
	rig_run_ms(r, 1000);
	CHECK_LOG(r, "0 user end client DROPPED\n0 peer OPTIONS\n");
	rig_free(r);
}

/* A thousand finished calls must not wake a quiet exchange a thousand times: what ends at any time
 * of a quarter of a second ends at its end. */
TEST(what_only_waits_for_repetitions_ends_with_others)
{
	static const struct {
		unsigned begin_ms;
		const char *log;
	} cases[] = {
		{0,   "5250 user end client DONE\n"},
		{30,  "5250 user end client DONE\n"},
		{240, "5250 user end client DONE\n"},
		{260, "5500 user end client DONE\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = rig_new();
		struct tp_dst dst = rig_dst(TP_UDP);
		tsx_set_slack(r->m, TSX_SLACK_US);
		rig_run_ms(r, cases[i].begin_ms);
		CHECK_EQ(rig_client(r, "OPTIONS", &dst), OK);
		rig_run_ms(r, 1);
		peer_respond(r, 200, "t");
		rig_run_ms(r, 1);
		uint64_t start_us = r->start_us;
		rig_clear(r);
		r->start_us = start_us;
		rig_run_ms(r, 6000);
		CHECK_STR_EQ(rig_log(r), str_c(cases[i].log));
		rig_free(r);
	}
}

TEST(pool_is_bounded)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	tsx_set_limits(r->m, 2, 2, 2);
	r->is_quiet = true;
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	rig_run_ms(r, 1);
	tsx_id first = r->ct;
	char branch[128];
	str_copy(branch, sizeof(branch), str_c(r->branch));
	CHECK_EQ(rig_client(r, "INVITE", &dst), OK);
	CHECK_EQ(rig_client(r, "INVITE", &dst), ERR_LIMIT);
	tsx_detach(r->m, r->ct);
	/* a CANCEL finds no room for a transaction of its own, and goes all the same, once */
	r->ct = first;
	rig_run_ms(r, 1);
	str_copy(r->branch, sizeof(r->branch), str_c(branch));
	peer_respond(r, 180, "t");
	tsx_cancel(r->m, first, STR_NONE);
	rig_run_ms(r, 400);
	CHECK(str_starts(buf_view(&r->last), STR("CANCEL ")));
	rig_free(r);
}

static enum err compose_ack(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out)
{
	buf_fmt(out,
		"ACK sip:b@10.0.0.2 SIP/2.0\r\n" STR_FMT
		"From: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: ours\r\n"
		"CSeq: 7 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		STR_ARG(via));
	return out->err;
}

TEST(stateless_sends)
{
	struct rig *r = rig_new();
	struct tp_dst dst = rig_dst(TP_UDP);
	char first[128];
	CHECK_EQ(tsx_send_stateless(r->m, &dst, compose_ack, NULL), OK);
	rig_run_ms(r, 10);
	str_copy(first, sizeof(first), str_c(r->branch));
	CHECK_EQ(tsx_send_stateless(r->m, &dst, compose_ack, NULL), OK);
	rig_run_ms(r, 1000);
	CHECK(!str_eq(str_c(first), str_c(r->branch))); /* [RFC3261 8.1.1.7] */
	peer_respond_cseq(r, 404, "t", "OPTIONS");
	CHECK_LOG(r, "0 peer ACK\n10 peer ACK\n");
	rig_free(r);
}
