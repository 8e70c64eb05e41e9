/* What a user agent keeps from one request to the next: credentials and registrations, as they
 * stand in the messages. [RFC3261 10.2, 13.2.2.4, 22] */
#include "shots.h"

#include <string.h>

/* --- credentials ------------------------------------------------------------------------------ */

/* [RFC3261 22.2, 13.2.2.4] */
TEST(credentials_raise_the_cseq)
{
	struct pair p = watched();
	p.b->password = "secret";
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	const char *plain = shot('a', "INVITE ", 0), *again = shot('a', "INVITE ", 1);
	CHECK_EQ(shot_count(plain, "Authorization"), 0);
	CHECK_EQ(shot_count(again, "Authorization"), 1);
	CHECK_EQ(shot_cseq(again), shot_cseq(plain) + 1);
	CHECK_STR_EQ(shot_line(again, "Call-ID", 0), shot_line(plain, "Call-ID", 0));
	hangup(p.a);
	pair_free(&p);
}

/* Proxies on the way would ask again, and an ACK cannot be challenged [RFC3261 22.1]. */
TEST(ack_has_the_credentials_of_the_invite)
{
	for (int is_proxy = 0; is_proxy < 2; is_proxy++) {
		const char *name = is_proxy ? "Proxy-Authorization" : "Authorization";
		struct pair p = watched();
		p.b->password = "secret";
		p.b->is_proxy_auth = is_proxy;
		p.b->answer = 200;
		party_call(p.a, p.b, "");
		world_run(p.w, 100);
		struct str used = shot_line(shot('a', "INVITE ", 1), name, 0);
		CHECK(used.n > 0);
		CHECK_STR_EQ(shot_line(shot('a', "ACK ", 1), name, 0), used);
		hangup(p.a);
		pair_free(&p);
	}
}

/* [RFC3261 22.3] */
TEST(credentials_end_with_the_dialog)
{
	struct pair p = watched();
	p.b->password = "secret";
	p.b->is_proxy_auth = true;
	p.b->answer = 200;
	for (unsigned i = 0; i < 2; i++) {
		n_shots = 0;
		party_call(p.a, p.b, "");
		world_run(p.w, 100);
		CHECK_EQ(shot_count(shot('a', "INVITE ", 0), "Proxy-Authorization"), 0);
		CHECK_EQ(shot_count(shot('a', "INVITE ", 1), "Proxy-Authorization"), 1);
		hangup(p.a);
		world_run(p.w, 1000);
		CHECK_EQ(shot_count(shot('a', "BYE ", 0), "Proxy-Authorization"), 1);
	}
	pair_free(&p);
}

static const char *challenge;

static bool ask_for_it(struct party *p, tsx_id st, struct tp_rx *rx)
{
	bool has_some = sip_has(rx->msg, SIP_HDR_AUTHORIZATION);
	CHECK_EQ(tsx_reply(p->tsx, st, has_some ? 200 : 401, STR_NONE,
			   has_some ? STR_NONE : str_c(challenge)),
		 OK);
	return true;
}

/* [RFC3261 22.4] */
TEST(credentials_are_written_so)
{
	static const char *const challenges[] = {
		"WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n",
		"WWW-Authenticate: Digest realm=\"x\", nonce=\"1\", qop=\"auth,auth-int\"\r\n"};
	for (size_t i = 0; i < ARRAY_LEN(challenges); i++) {
		struct pair p = watched();
		unsigned done;
		p.b->on_request = ask_for_it;
		challenge = challenges[i];
		outside(p.a, p.b, "OPTIONS", "", "", "", &done);
		world_run(p.w, 100);
		CHECK_EQ(done, 200);
		struct str c = shot_line(shot('a', "OPTIONS ", 1), "Authorization", 0);
		CHECK(has(c, ", uri=\"sip:b@10.0.0.2\""));
		CHECK_EQ(has(c, "cnonce="), i);
		CHECK_EQ(has(c, ", qop=auth, nc=00000001"), i);
		pair_free(&p);
	}
}

/* --- registrations ---------------------------------------------------------------------------- */

static bool is_silent;

static bool registrar(struct party *p, tsx_id st, struct tp_rx *rx)
{
	char text[256];
	struct buf b;
	if (is_silent)
		return true;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b, "Contact: " STR_FMT ";expires=60\r\nRecord-Route: <sip:10.0.0.9;lr>\r\n",
		STR_ARG(sip_value(rx->msg, SIP_HDR_CONTACT)));
	CHECK_EQ(tsx_reply(p->tsx, st, 200, STR_NONE, buf_view(&b)), OK);
	return true;
}

static void on_event(void *ctx, struct rgc *r, const struct rgc_event *ev)
{
	struct party *p = ctx;
	party_note(p, "event %d", ev->kind);
	if (ev->kind == RGC_EV_UNREGISTERED)
		p->rgc = NULL;
}

static struct pair begin(void)
{
	static const struct rgc_user user = {.on_event = on_event};
	struct pair p = watched();
	struct rgc_config cfg = {.account = party_account(p.a)};
	is_silent = false;
	p.b->on_request = registrar;
	cfg.account.from = STR("<sip:a@10.0.0.2>");
	CHECK_EQ(rgc_new(p.a->dlg, &cfg, &user, p.a, &p.a->rgc), OK);
	return p;
}

static void end(struct pair *p)
{
	rgc_free(p->a->rgc);
	p->a->rgc = NULL;
	pair_free(p);
}

/* [RFC3261 10.2, 10.2.4] */
TEST(registrations_count_by_one)
{
	struct pair p = begin();
	world_run(p.w, 300000);
	const char *first = shot('a', "REGISTER ", 0);
	for (unsigned i = 1; i < 5; i++) {
		const char *next = shot('a', "REGISTER ", i);
		CHECK_EQ(shot_cseq(next), shot_cseq(first) + i);
		CHECK_STR_EQ(shot_line(next, "Call-ID", 0), shot_line(first, "Call-ID", 0));
	}
	end(&p);
}

/* [RFC3261 10.2] */
TEST(register_makes_no_route_set)
{
	struct pair p = begin();
	world_run(p.w, 100000);
	const char *second = shot('a', "REGISTER ", 1);
	CHECK_EQ(shot_count(second, "Route"), 0);
	CHECK_STR_EQ(shot_uri(second), STR("sip:10.0.0.2"));
	end(&p);
}

/* [RFC3261 10.2]: also the one that ends it. */
TEST(registrations_wait_for_each_other)
{
	struct pair p = begin();
	is_silent = true;
	world_run(p.w, 100);
	CHECK(p.a->rgc);
	rgc_stop(p.a->rgc);
	world_run(p.w, 30000);
	for (unsigned i = 0; maybe_shot('a', "REGISTER ", i); i++)
		CHECK_EQ(shot_cseq(shot('a', "REGISTER ", i)),
			 shot_cseq(shot('a', "REGISTER ", 0)));
	world_run(p.w, 10000); /* no answer at all: nothing to take back */
	CHECK_EVENTS(p.a, "event 3\n");
	CHECK(!p.a->rgc);
	end(&p);
	/* the answer comes: then it is taken back */
	p = begin();
	world_run(p.w, 5);
	rgc_stop(p.a->rgc);
	world_run(p.w, 100);
	CHECK_STR(shot_line(shot('a', "REGISTER ", 0), "Expires", 0), "3600");
	CHECK_STR(shot_line(shot('a', "REGISTER ", 1), "Expires", 0), "0");
	CHECK(!maybe_shot('a', "REGISTER ", 2));
	CHECK_EVENTS(p.a, "event 3\n");
	end(&p);
}
