/* Dialog state: forks, route sets, the way back to clients, strays. [RFC3261 12, 13.2.2.4]
 * [RFC5407] [RFC5626] */
#include "net/tls.h"
#include "pair.h"

#include <string.h>

/* The text of the last message that p received and that begins with `start`. */
static char heard[4096];

static bool hear(struct party *p, tsx_id st, struct tp_rx *rx)
{
	str_copy(heard, sizeof(heard), str_of(rx->msg->bytes, rx->msg->n_bytes));
	CHECK_EQ(tsx_reply(p->tsx, st, 200, STR_NONE, STR_NONE), OK);
	return true;
}

static void hear_ack(void *arg, const struct sim_packet *p)
{
	if (str_starts(p->bytes, STR("ACK ")) || str_starts(p->bytes, STR("BYE ")))
		str_copy(heard, sizeof(heard), p->bytes);
}

/* --- forks ------------------------------------------------------------------------------------ */

TEST(first_2xx_wins)
{
	/* [RFC3261 13.2.2.4]: the others are acknowledged and ended */
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 180, "one", "", 0);
	respond(p.b, kept_st, kept_rx, 183, "two", "", 2);
	world_run(p.w, 100);
	struct dlg_stats st;
	dlg_stats(p.a->dlg, &st);
	CHECK_EQ(st.dialogs, 3); /* the half one and two early ones */
	ladder_clear(p.w);
	respond(p.b, kept_st, kept_rx, 200, "two", "", 2);
	respond(p.b, kept_st, kept_rx, 200, "one", "", 1);
	respond(p.b, kept_st, kept_rx, 200, "three", "", 3);
	world_run(p.w, 100);
	CHECK_LADDER(p.w, "    0 b->a 200 (INVITE) sdp 2\n"
			  "    0 b->a 200 (INVITE) sdp 1\n"
			  "    0 b->a 200 (INVITE) sdp 3\n"
			  "   10 a->b ACK\n"
			  "   10 a->b ACK\n"
			  "   10 a->b BYE\n"
			  "   10 a->b ACK\n"
			  "   10 a->b BYE\n"
			  "   20 b->a 481 (BYE)\n"
			  "   20 b->a 481 (BYE)\n");
	CHECK_EVENTS(p.a, "answer 2\nconfirmed\n");
	CHECK_STR_EQ(dlg_remote_tag(dialog(p.a)), STR("two"));
	/* repeated ones are acknowledged again, also of the fork that is being ended */
	ladder_clear(p.w);
	lose(p.w, p.b, p.a, 0);
	respond(p.b, kept_st, kept_rx, 200, "two", "", 2);
	respond(p.b, kept_st, kept_rx, 200, "one", "", 1);
	world_run(p.w, 100);
	CHECK(str_find(buf_view(&p.w->ladder), STR("   10 a->b ACK\n   10 a->b ACK\n")) !=
	      SIZE_MAX);
	hangup(p.a);
	world_run(p.w, 40000);
	pair_free(&p);
}

TEST(forks_while_being_killed)
{
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "one", "", 1);
	world_run(p.w, 100);
	lose(p.w, p.a, p.b, 1);
	respond(p.b, kept_st, kept_rx, 200, "two", "", 2);
	world_run(p.w, 100);
	lose(p.w, p.a, p.b, 0);
	ladder_clear(p.w);
	respond(p.b, kept_st, kept_rx, 200, "two", "", 2); /* its ACK was lost */
	world_run(p.w, 50);
	CHECK_LADDER(p.w, "    0 b->a 200 (INVITE) sdp 2\n"
			  "   10 a->b ACK\n");
	hangup(p.a);
	pair_free(&p);
}

TEST(fork_answers_after_the_call)
{
	/* the session is gone: ACK and BYE all the same */
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "one", "", 1);
	world_run(p.w, 100);
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK(p.a->has_ended);
	ladder_clear(p.w);
	respond(p.b, kept_st, kept_rx, 200, "two", "", 2);
	world_run(p.w, 100);
	CHECK_LADDER(p.w, "    0 b->a 200 (INVITE) sdp 2\n"
			  "   10 a->b ACK\n"
			  "   10 a->b BYE\n"
			  "   20 b->a 481 (BYE)\n");
	/* one that has passed others is not ours to end */
	struct dlg_stats st;
	ladder_clear(p.w);
	respond(p.b, kept_st, kept_rx, 200, "three",
		"Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx\r\n", 3);
	world_run(p.w, 100);
	dlg_stats(p.a->dlg, &st);
	CHECK_EQ(st.dialogs, 0);
	pair_free(&p);
}

TEST(more_forks_than_are_kept)
{
	struct pair p = pair_new();
	static const char *const tags[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "a"};
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	for (unsigned i = 0; i < ARRAY_LEN(tags); i++)
		respond(p.b, kept_st, kept_rx, 180, tags[i], "", 0);
	world_run(p.w, 100);
	struct dlg_stats st;
	dlg_stats(p.a->dlg, &st);
	CHECK_EQ(st.dialogs, 9);
	respond(p.b, kept_st, kept_rx, 200, "a", "", 1);
	world_run(p.w, 100);
	CHECK(p.a->is_confirmed);
	dlg_stats(p.a->dlg, &st);
	CHECK_EQ(st.dialogs, 2);
	hangup(p.a);
	pair_free(&p);
}

TEST(early_dialogs_hear_requests)
{
	struct pair p = pair_new();
	unsigned done;
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	inside(p.b, "OPTIONS", "", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	hangup(p.a);
	pair_free(&p);
}

/* --- route sets ------------------------------------------------------------------------------- */

TEST(loose_routes)
{
	/* [RFC3261 12.1.2, 12.2.1.1]: reversed for the caller; the target stays in the Request-URI
	 */
	struct pair p = pair_new();
	struct party *c = party_new(p.w, "c");
	p.b->on_request = keep_invite;
	c->on_request = hear;
	sim_tap(p.w->sim, hear_ack, NULL);
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "t",
		"Record-Route: <sip:far.example;lr>, <sip:10.0.0.3;lr>\r\n", 1);
	world_run(p.w, 100);
	CHECK(strstr(heard, "ACK sip:b@10.0.0.2 SIP/2.0\r\n"));
	CHECK(strstr(heard, "\r\nRoute: <sip:10.0.0.3;lr>\r\nRoute: <sip:far.example;lr>\r\n"));
	CHECK_EQ(dlg_route_count(dialog(p.a)), 2);
	hangup(p.a);
	world_run(p.w, 100);
	CHECK(strstr(heard, "BYE sip:b@10.0.0.2 SIP/2.0\r\n"));
	CHECK(strstr(heard, "\r\nRoute: <sip:10.0.0.3;lr>\r\nRoute: <sip:far.example;lr>\r\n"));
	pair_free(&p);
}

TEST(strict_routes)
{
	struct pair p = pair_new();
	struct party *c = party_new(p.w, "c");
	p.b->on_request = keep_invite;
	c->on_request = hear;
	sim_tap(p.w->sim, hear_ack, NULL);
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "t",
		"Record-Route: <sip:far.example;lr>\r\nRecord-Route: <sip:10.0.0.3>\r\n", 1);
	world_run(p.w, 100);
	hangup(p.a);
	world_run(p.w, 100);
	CHECK(strstr(heard, "BYE sip:10.0.0.3 SIP/2.0\r\n"));
	CHECK(strstr(heard, "\r\nRoute: <sip:far.example;lr>\r\nRoute: <sip:b@10.0.0.2>\r\n"));
	pair_free(&p);
}

TEST(callee_copies_record_routes)
{
	/* [RFC3261 12.1.1]: into the response, and in that order into its requests */
	struct pair p = pair_new();
	struct party *c = party_new(p.w, "c");
	struct ses_call call = {.target = str_c(party_uri(p.b, "")),
				.headers = STR("Record-Route: <sip:10.0.0.3;lr>\r\n"
					       "Record-Route: <sip:far.example;lr>\r\n")};
	p.b->answer = 200;
	c->on_request = hear;
	party_call_with(p.a, &call);
	world_run(p.w, 100);
	CHECK(p.b->ses);
	CHECK_EQ(dlg_route_count(dialog(p.b)), 2);
	CHECK_EQ(dlg_route_count(dialog(p.a)), 2);
	world_run(p.w, 1000);
	CHECK_EQ(ses_info(call_of(p.a), STR("text/plain"), STR("x")), OK); /* a: to far.example */
	hangup(p.b);
	world_run(p.w, 100);
	CHECK(strstr(heard, "BYE sip:a@10.0.0.1:5060 SIP/2.0\r\n"));
	CHECK(strstr(heard, "\r\nRoute: <sip:10.0.0.3;lr>\r\nRoute: <sip:far.example;lr>\r\n"));
	world_run(p.w, 40000);
	pair_free(&p);
}

TEST(route_sets_too_long)
{
	/* an early dialog whose 2xx has more routes than anybody needs; also while giving up */
	static char routes[65 * 32];
	struct buf b;
	buf_init_fixed(&b, routes, sizeof(routes));
	buf_str(&b, STR("Record-Route: <sip:x;lr>"));
	for (int i = 0; i < 64; i++)
		buf_str(&b, STR(", <sip:x;lr>"));
	buf_str(&b, STR("\r\n"));
	CHECK(buf_cstr(&b));
	for (int gives_up = 0; gives_up < 2; gives_up++) {
		struct pair p = pair_new();
		p.b->on_request = keep_invite;
		party_call(p.a, p.b, "");
		world_run(p.w, 100);
		respond(p.b, kept_st, kept_rx, 180, "t", "", 0);
		world_run(p.w, 15);
		if (gives_up)
			hangup(p.a);
		respond(p.b, kept_st, kept_rx, 200, "t", routes, 1);
		world_run(p.w, 1000);
		CHECK(p.a->has_ended);
		CHECK_EQ(p.a->end.cause, SES_CAUSE_LOCAL);
		pair_free(&p);
	}
}

TEST(route_sets_that_cannot_be)
{
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "t", "Record-Route: <sip:10.0.0.3\r\n", 1);
	world_run(p.w, 40000);
	if (p.a->ses)
		hangup(p.a);
	world_run(p.w, 40000);
	CHECK(p.a->has_ended);
	pair_free(&p);
}

/* --- the way back ----------------------------------------------------------------------------- */

TEST(contact_that_is_not_where_he_is)
{
	/* a client behind a NAT: its Contact names an address that it is not at */
	struct pair p = pair_new();
	static const char *const contacts[] = {
		"Contact: <sip:a@192.168.7.7:5060>\r\n", "Contact: <sip:a@device.invalid>\r\n",
		"Contact: <sip:a@10.0.0.1:9>\r\n", /* right host, another port */
	};
	for (unsigned i = 0; i < ARRAY_LEN(contacts); i++) {
		unsigned done;
		p.b->answer = 200;
		outside(p.a, p.b, "INVITE", contacts[i], "", "", &done);
		world_run(p.w, 15);
		CHECK(p.b->ses);
		ladder_clear(p.w);
		inside(p.b, "OPTIONS", "", 0, &done);
		world_run(p.w, 100);
		CHECK_EQ(done, 481); /* a has no such dialog, but it was reached */
		hangup(p.b);
		p.w->is_quiet = true;
		world_run(p.w, 70000);
		p.w->is_quiet = false;
		CHECK(!p.b->ses);
	}
	pair_free(&p);
}

TEST(answer_from_behind_a_nat)
{
	/* the callee's Contact leads nowhere: requests go where the INVITE went */
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "t", "Contact: <sip:b@x.invalid>\r\n", 1);
	ladder_clear(p.w);
	world_run(p.w, 100);
	CHECK_LADDER(p.w, "   10 a->b ACK\n");
	ladder_clear(p.w);
	respond(p.b, kept_st, kept_rx, 200, "u", "Contact: <sip:b@no.such.name>\r\n", 1);
	world_run(p.w, 100);
	CHECK(str_find(buf_view(&p.w->ladder), STR("a->b ACK\n")) != SIZE_MAX);
	hangup(p.a);
	pair_free(&p);
}

TEST(answer_with_a_gruu)
{
	/* [RFC5627 4.4] the name leads through its registrar, which may be who calls: requests go
	 * where the INVITE went, by that name */
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "t",
		"Contact: <sip:b@10.0.0.1;gr=urn:uuid:80b6ac79>\r\n", 1);
	ladder_clear(p.w);
	world_run(p.w, 100);
	CHECK_LADDER(p.w, "   10 a->b ACK\n");
	ladder_clear(p.w);
	hangup(p.a);
	world_run(p.w, 100);
	CHECK(str_find(buf_view(&p.w->ladder), STR("a->b BYE\n")) != SIZE_MAX);
	pair_free(&p);
}

TEST(over_the_connection_that_the_client_opened)
{
	/* [FIELD 2]: b must not dial a's Contact; when the connection is gone it may */
	struct pair p = pair_new();
	p.b->answer = 200;
	struct ses_call call = {.target = str_c(party_uri(p.b, ";transport=tcp"))};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK(p.b->is_confirmed);
	struct dlg *d = dialog(p.b);
	CHECK(d->has_back && d->back.flow);
	struct tp_stats st;
	tp_stats(p.a->tp, &st);
	CHECK_EQ(st.live_connections, 1);
	hangup(p.b);
	world_run(p.w, 1000);
	CHECK(p.a->has_ended && p.b->has_ended);
	tp_stats(p.a->tp, &st);
	CHECK_EQ(st.live_connections, 1);
	pair_free(&p);
}

TEST(connection_gone_in_mid_call)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	struct ses_call call = {.target = str_c(party_uri(p.b, ";transport=tcp"))};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK(p.b->is_confirmed);
	struct dlg *d = dialog(p.b);
	d->back.flow ^= 1; /* a connection that is not up */
	hangup(p.b);
	world_run(p.w, 1000);
	CHECK(p.a->has_ended && p.b->has_ended);
	CHECK_EQ(p.a->end.cause, SES_CAUSE_HANGUP);
	pair_free(&p);
}

/* A call to a sips URI: both Contacts are, and stay so. [RFC3261 8.1.1.8, 12.1.1] [RFC5630 5.1] */
TEST(secure_contacts)
{
	struct pair p = pair_new();
	struct net_tls *tls = net_tls_new_null();
	static const char *const ips[] = {"10.0.0.1:5061", "10.0.0.2:5061"};
	CHECK(tls);
	for (unsigned i = 0; i < 2; i++) {
		struct party *x = i ? p.b : p.a;
		struct addr at;
		const char *why;
		CHECK(addr_parse(str_c(ips[i]), 0, &at));
		tp_set_tls(x->tp, tls);
		CHECK_EQ(tp_listen(x->tp, TP_TLS, &at, &why), OK);
	}
	struct ses_call call = {.target = STR("sips:b@10.0.0.2:5061")};
	p.b->answer = 200;
	for (int i = 0; i < 2; i++) {
		party_call_with(p.a, &call);
		world_run(p.w, 1000);
		CHECK(p.b->is_confirmed);
		modify(i ? p.a : p.b);
		world_run(p.w, 1000);
		CHECK_STR_EQ(
			dlg_remote_target(dialog(p.b)),
			str_c(i ? "sip:a@10.0.0.1:5061;transport=tls" : "sips:a@10.0.0.1:5061"));
		CHECK_STR_EQ(
			dlg_remote_target(dialog(p.a)),
			str_c(i ? "sip:b@10.0.0.2:5061;transport=tls" : "sips:b@10.0.0.2:5061"));
		hangup(p.a);
		world_run(p.w, 1000);
		call.target = STR("sip:b@10.0.0.2:5061;transport=tls");
	}
	pair_free(&p);
	net_tls_free(tls);
}

TEST(target_refresh)
{
	/* [RFC3261 12.2.1.2, 12.2.2]: re-INVITE and its 2xx move the target */
	struct pair p = pair_talking();
	CHECK_EQ(dlg_set_text(dialog(p.a), DLG_TARGET, STR("sip:other@10.0.0.2")), OK);
	modify(p.a);
	world_run(p.w, 100);
	CHECK_STR(dlg_remote_target(dialog(p.a)), "sip:b@10.0.0.2:5060");
	CHECK_STR(dlg_remote(dialog(p.a)), "<sip:b@10.0.0.2>");
	CHECK_STR(dlg_local(dialog(p.b)), "<sip:b@10.0.0.2>");
	CHECK(dlg_is_uac(dialog(p.a)) && !dlg_is_uac(dialog(p.b)));
	CHECK(!dlg_is_early(dialog(p.b)));
	CHECK(p.a->ses && p.b->ses);
	CHECK_STR_EQ(ses_call_id(call_of(p.a)), ses_call_id(call_of(p.b)));
	CHECK_STR_EQ(ses_local_tag(p.a->ses), dlg_remote_tag(dialog(p.b)));
	CHECK_STR_EQ(dlg_call_id(dialog(p.a)), ses_call_id(call_of(p.a)));
	CHECK(ses_is_caller(p.a->ses) && !ses_is_caller(p.b->ses));
	CHECK(ses_is_confirmed(p.b->ses));
	hangup(p.a);
	pair_free(&p);
}
