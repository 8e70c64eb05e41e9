/* sips URIs in the hands of user agents: what they register, by which way a request goes, and what
 * never becomes sip. Both parties speak TLS, which is plain text here. [RFC5630 5.1] */
#include "shots.h"

#include "dialog/reg_priv.h"
#include "net/tls.h"

#include <stdio.h>

static struct net_tls *tls;

static struct pair secure_pair(void)
{
	static const char *const ips[] = {"10.0.0.1:5061", "10.0.0.2:5061"};
	struct pair p = watched();
	tls = net_tls_new_null();
	CHECK(tls);
	for (unsigned i = 0; i < 2; i++) {
		struct party *x = i ? p.b : p.a;
		struct addr at;
		const char *why;
		CHECK(addr_parse(str_c(ips[i]), 0, &at));
		tp_set_tls(x->tp, tls);
		CHECK_EQ(tp_listen(x->tp, TP_TLS, &at, &why), OK);
	}
	return p;
}

static void secure_free(struct pair *p)
{
	pair_free(p);
	net_tls_free(tls);
}

static bool is_over_tls(const char *text)
{
	return has(shot_line(text, "Via", 0), "SIP/2.0/TLS ");
}

static bool registrar(struct party *p, tsx_id st, struct tp_rx *rx)
{
	if (rx->msg->method != SIP_REGISTER)
		return false;
	CHECK_EQ(tsx_reply(p->tsx, st, 200, STR_NONE, STR_NONE), OK);
	return true;
}

static void on_event(void *ctx, struct rgc *r, const struct rgc_event *ev)
{
}

/* [RFC5630 5.1.1.1, 11.2]: with a sips Contact all is sips, and nothing else is registered. */
TEST(sips_is_registered)
{
	static const struct rgc_user user = {.on_event = on_event};
	static const struct {
		const char *from, *proxy;
		bool is_sips;
	} rows[] = {
		{"\"A\" <sips:a@10.0.0.2>", "",                           true },
		{"\"A\" <sip:a@10.0.0.2>",  "sips:10.0.0.2",              true },
		{"\"A\" <sip:a@10.0.0.2>",  "sip:10.0.0.2;transport=tls", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p = secure_pair();
		struct rgc_config cfg = {.account = party_account(p.a)};
		p.b->on_request = registrar;
		cfg.account.from = str_c(rows[i].from);
		cfg.account.proxy = str_c(rows[i].proxy);
		CHECK_EQ(rgc_new(p.a->dlg, &cfg, &user, p.a, &p.a->rgc), OK);
		world_run(p.w, 100);
		const char *m = shot('a', "REGISTER ", 0);
		CHECK_STR_EQ(shot_uri(m),
			     rows[i].is_sips ? STR("sips:10.0.0.2") : STR("sip:10.0.0.2"));
		CHECK(has(shot_line(m, "To", 0), "<sips:a@") == rows[i].is_sips);
		CHECK(has(shot_line(m, "From", 0), "\"A\" <sips:a@") == rows[i].is_sips);
		CHECK_EQ(shot_count(m, "Contact"), 1);
		CHECK(str_starts(shot_line(m, "Contact", 0), STR("<sips:")) == rows[i].is_sips);
		CHECK(has(shot_line(m, "Contact", 0), "transport=tls") != rows[i].is_sips);
		CHECK(is_over_tls(m));
		CHECK(rgc_is_registered(p.a->rgc));
		rgc_free(p.a->rgc);
		p.a->rgc = NULL;
		secure_free(&p);
	}
}

/* [RFC5630 5.1.1]: a route that was configured or told serves both schemes. */
TEST(sips_makes_routes_sips)
{
	struct pair p = secure_pair();
	unsigned done = 0;
	struct uac *u;
	struct uac_account acc = party_account(p.a);
	struct uac_request req = {.method = STR("OPTIONS"), .ruri = STR("sips:x@example.org")};
	acc.proxy = STR("sip:10.0.0.2;a=b");
	acc.service_route = STR("\"sip:\" <sip:p.example;lr>;x=y, <SIP:q.example;lr>, <sips:r;lr>");
	outside_with(p.a, &acc, &req, &done, &u);
	world_run(p.w, 1000);
	const char *m = shot('a', "OPTIONS ", 0);
	CHECK(is_over_tls(m));
	CHECK_STR(shot_line(m, "Route", 0), "<sips:10.0.0.2;a=b;lr>");
	CHECK_STR(shot_line(m, "Route", 1),
		  "\"sip:\" <sips:p.example;lr>;x=y, <sips:q.example;lr>, <sips:r;lr>");
	struct ses_call call = {.account = acc, .target = STR("sips:x@example.org")};
	party_call_with(p.a, &call); /* the request that makes a dialog */
	world_run(p.w, 100);
	CHECK_STR(shot_line(shot('a', "INVITE ", 0), "Route", 0), "<sips:10.0.0.2;a=b;lr>");
	hangup(p.a);
	world_run(p.w, 1000);
	req.ruri = STR("sip:x@example.org");
	n_shots = 0;
	outside_with(p.a, &acc, &req, &done, &u);
	world_run(p.w, 1000);
	CHECK_STR(shot_line(shot('a', "OPTIONS ", 0), "Route", 0), "<sip:10.0.0.2;a=b;lr>");
	secure_free(&p);
}

/* [RFC5630 5.1.1]: a first Route that is sips goes over TLS, whatever the request is; a strict
 * router's URI is the request-URI then. */
TEST(sips_route_goes_over_tls)
{
	static const char *const routes[] = {"<sips:10.0.0.2:5061;lr>", "<sips:10.0.0.2:5061>"};
	for (size_t i = 0; i < 2; i++) {
		struct pair p = secure_pair();
		char line[80];
		p.b->on_request = keep_invite;
		party_call(p.a, p.b, "");
		world_run(p.w, 100);
		snprintf(line, sizeof(line), "Record-Route: %s\r\n", routes[i]);
		respond(p.b, kept_st, kept_rx, 200, "t", line, 1);
		world_run(p.w, 100);
		const char *m = shot('a', "ACK ", 0);
		CHECK(is_over_tls(m));
		CHECK_STR_EQ(shot_uri(m), i ? STR("sips:10.0.0.2:5061") : STR("sip:b@10.0.0.2"));
		CHECK_STR_EQ(shot_line(m, "Route", 0),
			     i ? STR("<sip:b@10.0.0.2>") : STR("<sips:10.0.0.2:5061;lr>"));
		hangup(p.a);
		world_run(p.w, 100);
		CHECK(is_over_tls(shot('a', "BYE ", 0)));
		secure_free(&p);
	}
}

/* [RFC5630 5.1.1, 11.2]: nobody asked for the same without security. */
TEST(sips_is_not_tried_again_as_sip)
{
	static const struct {
		unsigned status;
		const char *lines;
	} rows[] = {
		{416, ""				       },
		{480, "Warning: 380 b \"SIPS Not Allowed\"\r\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p = secure_pair();
		struct ses_call call = {.target = STR("sips:b@10.0.0.2:5061"), .max_redirects = 3};
		p.b->on_request = keep_invite;
		party_call_with(p.a, &call);
		world_run(p.w, 100);
		respond(p.b, kept_st, kept_rx, rows[i].status, "t", rows[i].lines, 0);
		world_run(p.w, 60000);
		CHECK(p.a->has_ended);
		CHECK_EQ(p.a->end.status, rows[i].status);
		CHECK(!maybe_shot('a', "INVITE ", 1));
		secure_free(&p);
	}
}

/* [RFC5630 5.1.2]: whoever calls a sips URI is called back by sips, or not at all. */
TEST(sips_from_a_sip_contact_is_refused)
{
	static const char *const contacts[] = {"<sip:a@10.0.0.1:5061;transport=tls>",
					       "<sips:a@10.0.0.1:5061>"};
	for (size_t i = 0; i < 2; i++) {
		struct pair p = secure_pair();
		char lines[160];
		unsigned done = 0;
		struct uac *u;
		struct uac_account acc = party_account(p.a);
		snprintf(lines, sizeof(lines), "Contact: %s\r\n", contacts[i]);
		struct uac_request req = {.method = STR("INVITE"),
					  .ruri = STR("sips:b@10.0.0.2:5061"),
					  .headers = str_c(lines)};
		p.b->answer = 486;
		outside_with(p.a, &acc, &req, &done, &u);
		world_run(p.w, 5000);
		CHECK_EQ(done, i ? 486 : 400);
		secure_free(&p);
	}
}
