/* Peers that are older than RFC 3261, odd, or of the future: what a user agent makes of them, and
 * what it tells them. [RFC3261 8.1.3, 8.2, 12, 13, 19.1.5, 22] */
#include "shots.h"

#include <string.h>

/* --- older ------------------------------------------------------------------------------------ */

/* [RFC3261 12.1.1, 12.1.2, 12.2.1.1] [RFC2543]: a peer of the older standard writes no tags. */
TEST(tags_may_be_missing)
{
	struct pair p = watched();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	for (int i = 0; i < 2; i++) {
		respond(p.b, kept_st, kept_rx, 200, NULL, "", 1);
		world_run(p.w, 100);
		CHECK(p.a->is_confirmed);
		CHECK(!has(shot_line(shot('a', "ACK ", (unsigned)i), "To", 0), "tag="));
	}
	CHECK(!maybe_shot('a', "BYE ", 0));
	hangup(p.a);
	world_run(p.w, 100);
	CHECK(!has(shot_line(shot('a', "BYE ", 0), "To", 0), "tag="));
	pair_free(&p);
}

/* A request of a caller who writes no tags, with an SDP where it has none to answer. */
static void say_old(struct pair *p, const char *method, const char *branch, struct str to_tag)
{
	char text[1200], sdp[400];
	struct addr from, to;
	struct buf b, body;
	buf_init_fixed(&b, text, sizeof(text));
	buf_init_fixed(&body, sdp, sizeof(sdp));
	if (!to_tag.n)
		party_put_sdp(p->a, 1, &body);
	buf_fmt(&b,
		"%s sip:b@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=%s\r\n"
		"From: <sip:a@10.0.0.1>\r\nTo: <sip:b@10.0.0.2>" STR_FMT "\r\nCall-ID: old\r\n"
		"CSeq: 1 %s\r\nContact: <sip:a@10.0.0.1>\r\nContent-Type: application/sdp\r\n"
		"Content-Length: %zu\r\n\r\n",
		method, branch, STR_ARG(to_tag), method, body.n);
	buf_str(&b, buf_view(&body));
	CHECK_EQ(b.err, OK);
	CHECK(addr_parse(STR("10.0.0.1"), 5060, &from) && addr_parse(STR("10.0.0.2"), 5060, &to));
	struct tp_rx *rx = tp_rx_make(p->b->tp, buf_view(&b), &from, &to, TP_UDP);
	CHECK(rx);
	tsx_on_message(p->b->tsx, rx);
	tp_rx_unref(p->b->tp, rx);
}

TEST(a_caller_without_a_tag)
{
	struct pair p = watched();
	p.b->answer = 200;
	say_old(&p, "INVITE", "z9hG4bK1", STR_NONE);
	world_run(p.w, 15);
	CHECK(p.b->ses);
	const char *ok = shot('b', "SIP/2.0 200", 0);
	CHECK_STR(shot_line(ok, "From", 0), "<sip:a@10.0.0.1>");
	struct str to = shot_line(ok, "To", 0);
	to = str_skip(to, str_chr(to, '>') + 1);
	CHECK(str_starts(to, STR(";tag=")));
	say_old(&p, "ACK", "z9hG4bK2", to);
	world_run(p.w, 1);
	CHECK_EVENTS(p.b, "confirmed\n");
	hangup(p.b);
	world_run(p.w, 100);
	CHECK_STR(shot_line(shot('b', "BYE ", 0), "To", 0), "<sip:a@10.0.0.1>");
	pair_free(&p);
}

/* --- of the future ---------------------------------------------------------------------------- */

/* [RFC3261 8.1.3.2] */
TEST(statuses_that_nobody_knows)
{
	struct pair p = watched();
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 177, "t", "", 5);
	respond(p.b, kept_st, kept_rx, 299, "t", "", 5);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "answer 5 early\nprogress 177\nearly media\nanswer 5\nconfirmed\n");
	hangup(p.a);
	world_run(p.w, 1000);
	static const unsigned statuses[] = {300, 399, 400, 499, 500, 599, 600, 699};
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		n_shots = 0;
		party_call(p.a, p.b, "");
		world_run(p.w, 100);
		respond(p.b, kept_st, kept_rx, statuses[i], "t", "", 0);
		world_run(p.w, 100);
		CHECK(p.a->has_ended);
		CHECK_EQ(p.a->end.cause, SES_CAUSE_REJECTED);
		CHECK_EQ(p.a->end.status, statuses[i]);
		shot('a', "ACK ", 0);
	}
	/* an unknown 3xx is followed, an unknown 6xx ends it all */
	struct party *c = party_new(p.w, "c");
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .max_redirects = 2};
	c->answer = 200;
	party_call_with(p.a, &call);
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 399, "t", "Contact: <sip:c@10.0.0.3>\r\n", 0);
	world_run(p.w, 100);
	CHECK(p.a->is_confirmed);
	hangup(p.a);
	pair_free(&p);
}

/* [RFC3261 7.3.2, 8.2.2, 20] */
TEST(headers_that_are_out_of_place)
{
	struct pair p = watched();
	struct ses_call call = {.target = str_c(party_uri(p.b, "")),
				.headers = STR("Unsupported: x\r\nWWW-Authenticate: Basic\r\n"
					       "Retry-After: 9\r\nMin-Expires: 1\r\nX-New: y\r\n")};
	p.b->on_request = keep_invite;
	party_call_with(p.a, &call);
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "t",
		"Max-Forwards: 0\r\nRoute: <sip:10.9.9.9;lr>\r\nProxy-Require: x\r\n"
		"Authorization: Basic x\r\nSubject: z\r\nX-New: y\r\n",
		1);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "answer 1\nconfirmed\n");
	const char *ack = shot('a', "ACK ", 0);
	CHECK_EQ(shot_count(ack, "Route") + shot_count(ack, "Authorization"), 0);
	CHECK_STR(shot_line(ack, "Max-Forwards", 0), "70");
	p.b->on_request = NULL;
	p.b->answer = 200;
	hangup(p.a);
	world_run(p.w, 1000);
	party_call_with(p.a, &call);
	world_run(p.w, 100);
	CHECK(p.a->is_confirmed && p.b->is_confirmed);
	hangup(p.a);
	pair_free(&p);
}

/* --- what they are told ----------------------------------------------------------------------- */

/* [RFC3261 8.2.1, 20.5] */
TEST(a_405_says_what_is_allowed)
{
	static const char *const methods[] = {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"};
	struct pair p = watched();
	unsigned done;
	outside(p.a, p.b, "MESSAGE", "", "", "", &done);
	world_run(p.w, 100);
	outside(p.a, p.b, "OPTIONS", "", "", "", &done);
	world_run(p.w, 100);
	struct str allow = shot_line(shot('b', "SIP/2.0 405", 0), "Allow", 0);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		CHECK(has(allow, methods[i]));
	CHECK(!has(allow, "REGISTER") && !has(allow, "PUBLISH"));
	CHECK_STR_EQ(shot_line(shot('b', "SIP/2.0 200", 0), "Allow", 0), allow);
	pair_free(&p);
}

/* [RFC3261 8.2.3, 21.4.13] */
TEST(a_415_says_what_is_understood)
{
	static const char here[] = "Contact: <sip:a@10.0.0.1>\r\n";
	struct pair p = watched();
	unsigned done;
	outside(p.a, p.b, "INVITE", here, "text/plain", "x", &done);
	world_run(p.w, 100);
	CHECK_STR(shot_line(shot('b', "SIP/2.0 415", 0), "Accept", 0), "application/sdp");
	outside(p.a, p.b, "INVITE", "Contact: <sip:a@10.0.0.1>\r\nContent-Encoding: gzip\r\n",
		"application/sdp", "x", &done);
	world_run(p.w, 100);
	CHECK_STR(shot_line(shot('b', "SIP/2.0 415", 1), "Accept-Encoding", 0), "identity");
	pair_free(&p);
}

/* [RFC3261 14.2] */
TEST(a_second_invite_is_told_to_wait)
{
	struct pair p = watched();
	unsigned done;
	uint32_t seconds = 99;
	p.b->ring = 183;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	inside(p.a, "INVITE", "", 5, &done);
	world_run(p.w, 100);
	CHECK(str_u32(shot_line(shot('b', "SIP/2.0 500", 0), "Retry-After", 0), &seconds));
	CHECK(seconds <= 10);
	hangup(p.a);
	pair_free(&p);
}

/* [RFC3261 15.1.2, 12.2.2] */
TEST(a_bye_out_of_order_is_refused)
{
	struct pair p = pair_talking();
	unsigned done;
	dialog(p.a)->local_cseq -= 2;
	inside(p.a, "BYE", "", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 500);
	CHECK(p.b->ses);
	dialog(p.a)->local_cseq += 5;
	hangup(p.a);
	pair_free(&p);
}

/* [RFC3261 12.2.2] */
TEST(a_target_refresh_moves_the_callee)
{
	struct pair p = pair_talking();
	CHECK_EQ(dlg_set_text(dialog(p.b), DLG_TARGET, STR("sip:other@10.0.0.1")), OK);
	modify(p.a);
	world_run(p.w, 100);
	CHECK_STR(dlg_remote_target(dialog(p.b)), "sip:a@10.0.0.1:5060");
	hangup(p.a);
	pair_free(&p);
}

/* --- redirection ------------------------------------------------------------------------------ */

static bool redirect(struct party *p, tsx_id st, struct tp_rx *rx)
{
	if (rx->msg->method != SIP_INVITE)
		return false;
	CHECK_EQ(tsx_reply(p->tsx, st, 302, STR_NONE,
			   STR("Contact: <sip:c@10.0.0.3;x=y;method=INVITE?X=y>;q=0.9\r\n"
			       "Contact: <sip:c@10.0.0.3;x=y>;q=0.5, <sip:b@10.0.0.2>;q=0.1\r\n")),
		 OK);
	return true;
}

/* [RFC3261 8.1.3.4] */
TEST(redirection_tries_each_uri_once)
{
	struct pair p = watched();
	struct party *c = party_new(p.w, "c");
	p.b->on_request = c->on_request = redirect;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .max_redirects = 5};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK(p.a->has_ended);
	CHECK_STR_EQ(shot_uri(shot('a', "INVITE ", 0)), STR("sip:b@10.0.0.2"));
	CHECK_STR_EQ(shot_uri(shot('a', "INVITE ", 1)), STR("sip:c@10.0.0.3;x=y"));
	CHECK(!maybe_shot('a', "INVITE ", 2));
	CHECK(!str_eq(shot_line(shot('a', "INVITE ", 0), "Via", 0),
		      shot_line(shot('a', "INVITE ", 1), "Via", 0)));
	pair_free(&p);
}

static bool use_proxy(struct party *p, tsx_id st, struct tp_rx *rx)
{
	CHECK_EQ(tsx_reply(p->tsx, st, 305, STR_NONE, STR("Contact: <sip:10.0.0.3>\r\n")), OK);
	return true;
}

/* [RFC3261 21.3.5]: the proxy is not who was called. */
TEST(a_305_is_no_redirection)
{
	struct pair p = watched();
	p.b->on_request = use_proxy;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .max_redirects = 5};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by remote, rejected, 305 Use Proxy\n");
	CHECK(!maybe_shot('a', "INVITE ", 1));
	pair_free(&p);
}

/* [RFC3261 13.2.2.4]: the BYE comes behind an answer. */
TEST(an_unwelcome_offer_gets_an_answer)
{
	struct pair p = watched();
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .is_late_offer = true};
	p.b->answer = 200;
	p.a->refuse_offer = 488;
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	const char *ack = shot('a', "ACK ", 0);
	CHECK_STR(shot_line(ack, "Content-Type", 0), "application/sdp");
	CHECK(strstr(ack, "\r\nm=audio 0 RTP/AVP 0\r\n"));
	shot('a', "BYE ", 0);
	CHECK(!maybe_shot('b', "BYE ", 0));
	pair_free(&p);
}

/* [RFC3261 19.1.5] */
TEST(a_uri_becomes_a_request)
{
	static const struct ses_user none;
	static const char *const harmful[] = {"sip:b@10.0.0.2?Require=x", "sip:b@10.0.0.2?Via=x",
					      "sip:b@10.0.0.2;method=MESSAGE"};
	struct pair p = watched();
	struct ses *s = NULL;
	struct ses_call call = {
		.target = STR("sip:b@10.0.0.2;transport=udp;method=INVITE;user=phone;new=1")};
	p.b->answer = 200;
	party_call_with(p.a, &call);
	world_run(p.w, 100);
	CHECK_STR_EQ(shot_uri(shot('a', "INVITE ", 0)),
		     STR("sip:b@10.0.0.2;transport=udp;user=phone;new=1"));
	CHECK(!has(shot_line(shot('a', "INVITE ", 0), "To", 0), "method"));
	hangup(p.a);
	world_run(p.w, 1000);
	for (size_t i = 0; i < ARRAY_LEN(harmful); i++) {
		call.target = str_c(harmful[i]);
		call.account = party_account(p.a);
		CHECK_EQ(ses_call(p.a->dlg, &call, &none, NULL, &s), ERR_UNSUPPORTED);
	}
	CHECK(!maybe_shot('a', "INVITE ", 1));
	pair_free(&p);
}

/* --- routes ----------------------------------------------------------------------------------- */

/* [RFC3261 12.1.2, 12.2.1.1] */
TEST(routes_keep_their_parameters)
{
	struct pair p = watched();
	party_new(p.w, "c");
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "t",
		"Record-Route: <sip:far.example;lr;a=b>;c=d, <sip:10.0.0.3;lr;x>;y=\"z\"\r\n", 1);
	world_run(p.w, 100);
	const char *ack = shot('a', "ACK ", 0);
	CHECK_STR(shot_line(ack, "Route", 0), "<sip:10.0.0.3;lr;x>;y=\"z\"");
	CHECK_STR(shot_line(ack, "Route", 1), "<sip:far.example;lr;a=b>;c=d");
	hangup(p.a);
	world_run(p.w, 1000);
	n_shots = 0;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	CHECK_EQ(shot_count(shot('a', "INVITE ", 0), "Route"), 0); /* those are of that dialog */
	respond(p.b, kept_st, kept_rx, 200, "t",
		"Record-Route: <sip:10.0.0.3;x;method=INVITE;transport=udp?S=y>\r\n", 1);
	world_run(p.w, 100);
	CHECK_STR_EQ(shot_uri(shot('a', "ACK ", 0)), STR("sip:10.0.0.3;x;transport=udp"));
	hangup(p.a);
	pair_free(&p);
}

/* [RFC3261 8.1.2]: also where the next hop is a proxy whose URI does not say so. */
TEST(sips_is_for_the_next_hop_too)
{
	struct pair p = watched();
	unsigned done = 0;
	struct uac *u;
	struct uac_account acc = party_account(p.a);
	struct uac_request req = {.method = STR("OPTIONS"), .ruri = STR("sips:x@example.org")};
	acc.proxy = STR("sip:10.0.0.2");
	outside_with(p.a, &acc, &req, &done, &u);
	world_run(p.w, 1000);
	CHECK_EQ(done, 503); /* there is no TLS here */
	CHECK_EQ(n_shots, 0);
	pair_free(&p);
}

/* [RFC3261 13.2.2.4]: what an early dialog had heard is replaced. */
TEST(the_2xx_makes_the_route_set)
{
	struct pair p = watched();
	party_new(p.w, "c");
	p.b->on_request = keep_invite;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 180, "t", "Record-Route: <sip:10.0.0.9;lr>\r\n", 0);
	world_run(p.w, 100);
	respond(p.b, kept_st, kept_rx, 200, "t", "Record-Route: <sip:10.0.0.3;lr>\r\n", 1);
	world_run(p.w, 100);
	CHECK_EQ(shot_count(shot('a', "ACK ", 0), "Route"), 1);
	CHECK_STR(shot_line(shot('a', "ACK ", 0), "Route", 0), "<sip:10.0.0.3;lr>");
	hangup(p.a);
	pair_free(&p);
}
