/* What every request of a user agent goes through: credentials, next hops, fail-over, redirection;
 * and requests outside of dialogs. [RFC3261 22, 8.1.3] [RFC3263 4.3] [RFC7616] */
#include "pair.h"

#include "net/dns.h"

#include <stdio.h>
#include <string.h>

/* --- credentials ------------------------------------------------------------------------------ */

TEST(challenged_call)
{
	/* one challenge per call: what follows carries credentials, nc counts up */
	static const char *const ladder = "    0 a->b INVITE sdp %u\n"
					  "   10 b->a %u (INVITE)\n"
					  "   20 a->b ACK\n"
					  "   20 a->b INVITE sdp %u\n"
					  "   30 b->a 200 (INVITE) sdp %u\n"
					  "   40 a->b ACK\n"
					  " 1000 a->b INVITE sdp %u\n"
					  " 1010 b->a 200 (INVITE) sdp %u\n"
					  " 1020 a->b ACK\n"
					  " 2000 a->b BYE\n"
					  " 2010 b->a 200 (BYE)\n";
	struct pair p = pair_new();
	for (unsigned i = 0; i < 2; i++) {
		char want[1024];
		unsigned v = 2 * i + 1;
		ladder_clear(p.w);
		p.b->password = "secret";
		p.b->is_proxy_auth = i;
		p.b->answer = 200;
		party_call(p.a, p.b, "");
		world_run(p.w, 1000);
		modify(p.a);
		world_run(p.w, 1000);
		hangup(p.a);
		world_run(p.w, 1000);
		snprintf(want, sizeof(want), ladder, v, i ? 407 : 401, v, v, v + 1, v + 1);
		CHECK_STR_EQ(buf_view(&p.w->ladder), str_c(want));
	}
	pair_free(&p);
}

TEST(given_up_before_the_challenge)
{
	struct pair p = pair_new();
	p.b->password = "secret";
	party_call(p.a, p.b, "");
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 401 (INVITE)\n"
			  "   20 a->b ACK\n");
	CHECK_EVENTS(p.a, "ended by local, cancelled, 401 cancelled\n");
	pair_free(&p);
}

TEST(wrong_password)
{
	struct pair p = pair_new();
	p.b->password = "another";
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 401 (INVITE)\n"
			  "   20 a->b ACK\n"
			  "   20 a->b INVITE sdp 1\n"
			  "   30 b->a 401 (INVITE)\n"
			  "   40 a->b ACK\n");
	CHECK_EVENTS(p.a, "ended by remote, authentication refused, 401 Unauthorized\n");
	pair_free(&p);
}

/* Challenges as lines of a response, one response after the other; then 200. */
static const char *const *challenges;
static unsigned challenge_at;
static char seen[8][2048]; /* the requests that came */

static bool challenge(struct party *p, tsx_id st, struct tp_rx *rx)
{
	const char *lines = challenges[challenge_at];
	str_copy(seen[challenge_at], sizeof(seen[0]), str_of(rx->msg->bytes, rx->msg->n_bytes));
	unsigned status = !lines ? 200 : strstr(lines, "Proxy-") ? 407 : 401;
	CHECK_EQ(tsx_reply(p->tsx, st, status, STR_NONE, str_c(lines)), OK);
	challenge_at += lines != NULL;
	return true;
}

static unsigned ask(struct pair *p, const char *const *c)
{
	unsigned done;
	challenges = c;
	challenge_at = 0;
	p->b->on_request = challenge;
	outside(p->a, p->b, "MESSAGE", "", "text/plain", "hello", &done);
	world_run(p->w, 1000);
	return done;
}

#define DIGEST(realm, nonce) "Digest realm=\"" realm "\", nonce=\"" nonce "\", qop=\"auth\""

TEST(challenges)
{
	struct pair p = pair_new();
	/* two realms, one behind the other, and both at once [RFC3261 22.3] */
	CHECK_EQ(ask(&p, (const char *[]){"WWW-Authenticate: " DIGEST("x", "1") "\r\n",
					  "Proxy-Authenticate: " DIGEST("y", "2") "\r\n", NULL}),
		 200);
	CHECK(strstr(seen[2], "\r\nAuthorization: ") && strstr(seen[2], "Proxy-Authorization: "));
	CHECK_EQ(ask(&p, (const char *[]){"Proxy-Authenticate: " DIGEST(
						  "x", "1") "\r\n"
							    "Proxy-Authenticate: " DIGEST(
								    "y", "2") "\r\n",
					  NULL}),
		 200);
	CHECK(strstr(seen[1], "realm=\"x\"") && strstr(seen[1], "realm=\"y\""));
	/* the order is the server's preference; what we lack is passed over [RFC8760 2.3] */
	CHECK_EQ(
		ask(&p, (const char *[]){"WWW-Authenticate: Basic realm=\"x\"\r\n"
					 "WWW-Authenticate: " DIGEST(
						 "x", "0") ", algorithm=AKAv1-MD5\r\n"
							   "WWW-Authenticate: " DIGEST(
								   "x",
								   "1") ", algorithm=SHA-256\r\n"
									"WWW-Authenticate: " DIGEST(
										"x", "2") "\r\n",
					 NULL}),
		200);
	CHECK(strstr(seen[1], "algorithm=SHA-256") && strstr(seen[1], "nonce=\"1\""));
	/* stale: once more; not stale: refused */
	CHECK_EQ(ask(&p, (const char *[]){"WWW-Authenticate: " DIGEST("x", "1") "\r\n",
					  "WWW-Authenticate: " DIGEST("x", "2") ", stale=true\r\n",
					  NULL}),
		 200);
	CHECK_EQ(ask(&p, (const char *[]){"WWW-Authenticate: " DIGEST("x", "1") "\r\n",
					  "WWW-Authenticate: " DIGEST("x", "2") "\r\n", NULL}),
		 401);
	/* a server that says stale for ever */
	CHECK_EQ(ask(&p, (const char *[]){"WWW-Authenticate: " DIGEST("x", "1") "\r\n",
					  "WWW-Authenticate: " DIGEST("x", "2") ", stale=true\r\n",
					  "WWW-Authenticate: " DIGEST("x", "3") ", stale=true\r\n",
					  "WWW-Authenticate: " DIGEST("x", "4") ", stale=true\r\n",
					  "WWW-Authenticate: " DIGEST("x", "5") ", stale=true\r\n",
					  "WWW-Authenticate: " DIGEST("x", "6") ", stale=true\r\n",
					  NULL}),
		 401);
	/* nothing that we can answer */
	CHECK_EQ(ask(&p, (const char *[]){"WWW-Authenticate: Basic realm=\"x\"\r\n", NULL}), 401);
	CHECK_EQ(ask(&p, (const char *[]){"X-None: \r\n", NULL}), 401);
	pair_free(&p);
}

/* An account is for the realm that asked first. */
TEST(one_realm_per_account)
{
	static const char *const realms[] = {"x", "y", "x"};
	struct pair p = pair_new();
	struct uac_account acc = party_account(p.a);
	struct uac_request req = {.method = STR("OPTIONS"), .ruri = str_c(party_uri(p.b, ""))};
	struct uac_realm realm = {0};
	acc.realm = &realm;
	p.b->on_request = challenge;
	for (size_t i = 0; i < ARRAY_LEN(realms); i++) {
		unsigned done;
		struct uac *u;
		char line[100];
		snprintf(line, sizeof(line),
			 "WWW-Authenticate: Digest realm=\"%s\", nonce=\"1\"\r\n", realms[i]);
		challenges = (const char *[]){line, NULL};
		challenge_at = 0;
		outside_with(p.a, &acc, &req, &done, &u);
		world_run(p.w, 1000);
		CHECK_EQ(done, realms[i][0] == 'x' ? 200 : 401);
	}
	pair_free(&p);
}

/* A peer that asks for credentials inside a dialog gets none: he would guess the password from
 * them. Caller and callee. */
TEST(no_credentials_for_the_asking)
{
	for (int by_caller = 0; by_caller < 2; by_caller++) {
		struct pair p = pair_talking();
		struct party *from = by_caller ? p.a : p.b, *evil = by_caller ? p.b : p.a;
		evil->on_request = challenge;
		evil->is_asked_first = true;
		challenges = (const char *[]){"WWW-Authenticate: " DIGEST("r", "1") "\r\n",
					      "Proxy-Authenticate: " DIGEST("r", "2") "\r\n", NULL};
		challenge_at = 0;
		modify(from);
		world_run(p.w, 1000);
		CHECK_EQ(challenge_at, 1); /* once, and not again with credentials */
		hangup(from);
		world_run(p.w, 1000);
		CHECK_EQ(challenge_at, 2);
		CHECK(!strstr(seen[0], "uthorization:") && !strstr(seen[1], "uthorization:"));
		evil->is_asked_first = false;
		hangup(evil);
		pair_free(&p);
	}
}

TEST(no_password_no_answer)
{
	struct pair p = pair_new();
	unsigned done;
	struct uac *u;
	struct uac_account acc = party_account(p.a);
	struct uac_request req = {.method = STR("OPTIONS"), .ruri = str_c(party_uri(p.b, ""))};
	acc.password = STR_NONE;
	p.b->password = "secret";
	outside_with(p.a, &acc, &req, &done, &u);
	world_run(p.w, 1000);
	CHECK_EQ(done, 401);
	CHECK_LADDER(p.w, "    0 a->b OPTIONS\n"
			  "   10 b->a 401 (OPTIONS)\n");
	pair_free(&p);
}

/* --- next hops -------------------------------------------------------------------------------- */

static void name(struct party *p, const char *host, const char *ip)
{
	struct addr a;
	CHECK(addr_parse(str_c(ip), 0, &a));
	CHECK(tp_dns(p->tp));
	CHECK_EQ(dns_table_add(tp_dns(p->tp), str_c(host), &a, 60), OK);
}

TEST(fail_over_to_the_next_address)
{
	/* [RFC3263 4.3]: a host that is not there, ICMP from one that does not listen, 503,
	 * time-out */
	struct pair p = pair_new();
	struct party *c = party_new(p.w, "c");
	c->answer = 200;
	name(p.a, "example.com", "10.0.0.2");
	name(p.a, "example.com", "10.0.0.3");
	struct ses_call call = {.target = STR("sip:c@example.com")};
	p.b->answer = 503;
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    1 a->b INVITE sdp 1\n"
			  "   11 b->a 503 (INVITE)\n"
			  "   21 a->b ACK\n"
			  "   21 a->c INVITE sdp 1\n"
			  "   31 c->a 200 (INVITE) sdp 1\n"
			  "   41 a->c ACK\n");
	hangup(p.a);
	world_run(p.w, 1000);
	party_close(p.b); /* ICMP */
	ladder_clear(p.w);
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK(p.a->is_confirmed);
	CHECK_EVENTS(p.a, "answer 2\nconfirmed\n");
	hangup(p.a);
	world_run(p.w, 1000);
	party_open(p.b);
	lose(p.w, p.a, p.b, 1);
	ladder_clear(p.w);
	party_call_with(p.a, &call);
	world_run(p.w, 33000);
	CHECK(p.a->is_confirmed);
	hangup(p.a);
	world_run(p.w, 1000);
	/* none of them */
	lose(p.w, p.a, c, 1);
	ladder_clear(p.w);
	party_call_with(p.a, &call);
	world_run(p.w, 33000);
	CHECK_EVENTS(p.a, "");
	world_run(p.w, 33000);
	CHECK_EVENTS(p.a, "ended by network, no response, 408 no response\n");
	/* given up while the second is tried: no third try, no answer */
	ladder_clear(p.w);
	p.w->is_quiet = true;
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	hangup(p.a);
	world_run(p.w, 40000);
	CHECK_EQ(p.a->end.cause, SES_CAUSE_NO_RESPONSE);
	pair_free(&p);
}

TEST(outbound_proxy)
{
	/* the request goes to the proxy, with a Route; the Request-URI stays */
	struct pair p = pair_new();
	unsigned done = 0;
	struct uac *u;
	static const char *const nothing[] = {NULL};
	struct uac_account acc = party_account(p.a);
	struct uac_request req = {.method = STR("OPTIONS"), .ruri = STR("sip:x@example.org")};
	acc.proxy = STR("sip:10.0.0.2");
	challenges = nothing;
	challenge_at = 0;
	p.b->on_request = challenge;
	outside_with(p.a, &acc, &req, &done, &u);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	CHECK(strstr(seen[0], "OPTIONS sip:x@example.org SIP/2.0\r\n"));
	CHECK(strstr(seen[0], "\r\nRoute: <sip:10.0.0.2;lr>\r\n"));
	acc.proxy = STR("sip:10.0.0.2;lr;foo");
	outside_with(p.a, &acc, &req, &done, &u);
	world_run(p.w, 100);
	CHECK(strstr(seen[0], "\r\nRoute: <sip:10.0.0.2;lr;foo>\r\n"));
	acc.proxy = STR("10.0.0.2");
	static const struct uac_user never;
	CHECK_EQ(uac_send(p.a->dlg, &acc, &req, &never, NULL, &u), ERR_SYNTAX);
	pair_free(&p);
}

TEST(requests_outside_of_dialogs)
{
	struct pair p = pair_new();
	unsigned done;
	outside(p.a, p.b, "OPTIONS", "", "", "", &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	outside(p.a, p.b, "MESSAGE", "", "text/plain", "hello", &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 405);
	outside(p.a, p.b, "NOTIFY", "", "", "", &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 481);
	/* dropped: no callback */
	struct uac *u;
	struct uac_account acc = party_account(p.a);
	struct uac_request req = {
		.method = STR("OPTIONS"), .ruri = str_c(party_uri(p.b, "")), .has_contact = true};
	outside_with(p.a, &acc, &req, &done, &u);
	uac_drop(u);
	uac_drop(NULL);
	world_run(p.w, 100);
	CHECK_EQ(done, 0);
	pair_free(&p);
}

/* --- redirection ------------------------------------------------------------------------------ */

static const char *moved;

static bool redirect(struct party *p, tsx_id st, struct tp_rx *rx)
{
	if (rx->msg->method != SIP_INVITE)
		return false;
	CHECK_EQ(tsx_reply(p->tsx, st, 302, STR_NONE, str_c(moved)), OK);
	return true;
}

TEST(redirection)
{
	/* [RFC3261 8.1.3.4]: best q first, one after the other, bounded */
	struct pair p = pair_new();
	struct party *c = party_new(p.w, "c"), *d = party_new(p.w, "d");
	p.b->on_request = redirect;
	moved = "Contact: <sip:d@10.0.0.4>;q=0.5, <sip:c@10.0.0.3?X=y>\r\n"
		"Contact: <tel:+1>, <mailto:x@y>;q=0.9\r\n";
	c->answer = 486;
	d->answer = 200;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .max_redirects = 2};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b INVITE sdp 1\n"
			  "   10 b->a 302 (INVITE)\n"
			  "   20 a->b ACK\n"
			  "   20 a->c INVITE sdp 1\n"
			  "   30 c->a 486 (INVITE)\n"
			  "   40 a->c ACK\n"
			  "   40 a->d INVITE sdp 1\n"
			  "   50 d->a 200 (INVITE) sdp 1\n"
			  "   60 a->d ACK\n");
	hangup(p.a);
	world_run(p.w, 1000);
	CHECK(d->has_ended);
	/* 6xx ends it */
	ladder_clear(p.w);
	c->answer = 603;
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by remote, rejected, 603 Decline\n");
	/* in circles */
	moved = "Contact: <sip:b@10.0.0.2>\r\n";
	ladder_clear(p.w);
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by remote, rejected, 302 Moved Temporarily\n");
	/* not wanted, or nowhere to go */
	ladder_clear(p.w);
	call.max_redirects = 0;
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	call.max_redirects = 1;
	moved = "";
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "ended by remote, rejected, 302 Moved Temporarily\n"
			  "ended by remote, rejected, 302 Moved Temporarily\n");
	pair_free(&p);
}

/* --- what an INVITE must be ------------------------------------------------------------------- */

TEST(invites_that_nobody_may_take)
{
	static const char here[] = "Contact: <sip:a@10.0.0.1>\r\n";
	static const struct {
		const char *headers, *type, *body;
		unsigned status;
		enum dlg_refusal why;
	} cases[] = {
		{"Require: 100rel, foo\r\n",   "",                "",  420, DLG_REFUSE_EXTENSION},
		{"",			   "text/plain",      "x", 415, DLG_REFUSE_BODY     },
		{"Content-Encoding: gzip\r\n", "application/sdp", "x", 415, DLG_REFUSE_BODY     },
		{NULL,			 "",                "",  400, DLG_REFUSE_CONTACT  },
		{"Contact: *\r\n",             "",                "",  400, DLG_REFUSE_CONTACT  },
	};
	struct pair p = pair_new();
	unsigned done;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		char headers[128] = "";
		const char *h = cases[i].headers;
		if (h)
			snprintf(headers, sizeof(headers), "%s%s",
				 strncmp(h, "Contact", 7) == 0 ? "" : here, h);
		outside(p.a, p.b, "INVITE", headers, cases[i].type, cases[i].body, &done);
		world_run(p.w, 100);
		CHECK_EQ(done, cases[i].status);
		CHECK_EQ(p.b->refusal, cases[i].why);
	}
	CHECK_EQ(p.b->n_calls, 0);
	pair_free(&p);
}

TEST(merged_invite)
{
	/* [RFC3261 8.2.2.2] the same request by two ways */
	struct pair p = pair_new();
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	CHECK(p.b->ses);
	struct tp_rx *rx = ses_invite(p.b->ses);
	CHECK(rx);
	char text[4096];
	str_copy(text, sizeof(text), str_of(rx->msg->bytes, rx->msg->n_bytes));
	char *branch = strstr(text, "branch=z9hG4bK");
	CHECK(branch);
	branch[16] = branch[16] == 'x' ? 'y' : 'x';
	struct addr from = rx->from, to = rx->to;
	struct tp_rx *twin = tp_rx_make(p.b->tp, str_c(text), &from, &to, TP_UDP);
	CHECK(twin);
	ladder_clear(p.w);
	struct ses *first = p.b->ses;
	/* not busy: the session layer is asked */
	p.b->ses = NULL;
	tsx_on_message(p.b->tsx, twin);
	tp_rx_unref(p.b->tp, twin);
	p.b->ses = first;
	CHECK_EQ(p.b->n_calls, 1);
	world_run(p.w, 5);
	CHECK_LADDER(p.w, "    0 b->a 482 (INVITE)\n");
	hangup(p.a);
	pair_free(&p);
}

TEST(full_manager_refuses)
{
	struct pair p = pair_new();
	p.b->dlg->sessions.max = 0;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	CHECK_EQ(p.a->end.status, 503);
	p.b->dlg->sessions.max = 10;
	p.b->dlg->dialogs.max = 0;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	CHECK_EQ(p.a->end.status, 503);
	pair_free(&p);
}
