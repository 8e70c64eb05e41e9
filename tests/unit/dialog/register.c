/* Outgoing registration. [RFC3261 10.2] [RFC5626 4.5] */
#include "pair.h"

#include "dialog/reg_priv.h"

#include <stdio.h>
#include <string.h>

static unsigned status;
static const char *lines; /* NULL: Contact as asked, with expires */
static char heard[4096];
static unsigned n_heard;

static bool registrar(struct party *p, tsx_id st, struct tp_rx *rx)
{
	char text[256];
	struct buf b;
	if (rx->msg->method != SIP_REGISTER)
		return false;
	str_copy(heard, sizeof(heard), str_of(rx->msg->bytes, rx->msg->n_bytes));
	n_heard++;
	buf_init_fixed(&b, text, sizeof(text));
	if (lines)
		buf_str(&b, str_c(lines));
	else
		buf_fmt(&b, "Contact: <sip:x@y>, " STR_FMT ";expires=600\r\nExpires: 7\r\n",
			STR_ARG(sip_value(rx->msg, SIP_HDR_CONTACT)));
	CHECK_EQ(tsx_reply(p->tsx, st, status, STR_NONE, buf_view(&b)), OK);
	return true;
}

static void on_event(void *ctx, struct rgc *r, const struct rgc_event *ev)
{
	struct party *p = ctx;
	static const char *const kinds[] = {"registered", "refreshed", "failed", "unregistered"};
	party_note(p, "%s %u%s", kinds[ev->kind], ev->result->status,
		   ev->kind == RGC_EV_FAILED && !ev->retry_us ? " for good" : "");
	if (ev->kind <= RGC_EV_REFRESHED)
		party_note(p, "expires %u", ev->expires_s);
	if (ev->kind == RGC_EV_UNREGISTERED)
		p->rgc = NULL;
}

static const struct rgc_user user = {.on_event = on_event};

static struct rgc *rgc_of(struct party *p)
{
	CHECK(p->rgc);
	return p->rgc;
}

static struct pair begin(struct rgc_config *cfg)
{
	struct pair p = pair_new();
	status = 200;
	lines = NULL;
	n_heard = 0;
	heard[0] = '\0';
	p.b->on_request = registrar;
	cfg->account = party_account(p.a);
	cfg->account.from = STR("\"A\" <sip:a@10.0.0.2>");
	CHECK_EQ(rgc_new(p.a->dlg, cfg, &user, p.a, &p.a->rgc), OK);
	return p;
}

static void end(struct pair *p)
{
	rgc_free(p->a->rgc);
	rgc_free(NULL);
	p->a->rgc = NULL;
	pair_free(p);
}

TEST(registered_refreshed_and_removed)
{
	struct rgc_config cfg = {.expires_s = 1800};
	struct pair p = begin(&cfg);
	p.b->password = "secret";
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "registered 200\nexpires 600\n");
	CHECK(strstr(heard, "REGISTER sip:10.0.0.2 SIP/2.0\r\n"));
	CHECK(strstr(heard, "\r\nTo: \"A\" <sip:a@10.0.0.2>\r\n"));
	CHECK(strstr(heard, "\r\nExpires: 1800\r\n"));
	CHECK(rgc_is_registered(rgc_of(p.a)));
	struct tp_dst dst;
	CHECK(rgc_dst(rgc_of(p.a), &dst));
	CHECK_EQ(dst.proto, TP_UDP);
	unsigned n = n_heard;
	world_run(p.w, 470000); /* 80 to 90 % of 600 s, with the same nonce */
	CHECK_EQ(n_heard, n);
	world_run(p.w, 71000);
	CHECK_EQ(n_heard, n + 1);
	CHECK(strstr(heard, "nc=00000002"));
	CHECK_EVENTS(p.a, "registered 200\nexpires 600\nrefreshed 200\nexpires 600\n");
	ladder_clear(p.w);
	rgc_stop(rgc_of(p.a));
	rgc_stop(rgc_of(p.a));
	world_run(p.w, 100);
	CHECK(strstr(heard, "\r\nExpires: 0\r\n"));
	CHECK_EVENTS(p.a, "unregistered 200\n");
	CHECK(!p.a->rgc);
	end(&p);
}

TEST(interval_too_brief)
{
	/* [RFC3261 10.2.8] */
	struct rgc_config cfg = {.expires_s = 60};
	struct pair p = begin(&cfg);
	status = 423;
	lines = "Min-Expires: 900\r\n";
	world_run(p.w, 15);
	status = 200;
	lines = "Expires: 900\r\nContact: <sip:a@10.0.0.1:5060>\r\n";
	world_run(p.w, 100);
	CHECK(strstr(heard, "\r\nExpires: 900\r\n"));
	CHECK_EVENTS(p.a, "registered 200\nexpires 900\n");
	end(&p);
	/* a registrar that never has enough */
	p = begin(&cfg);
	status = 423;
	lines = "Min-Expires: 900\r\n";
	world_run(p.w, 200);
	CHECK_EQ(n_heard, 2);
	CHECK_EVENTS(p.a, "failed 423\n");
	end(&p);
}

TEST(failures_are_retried_with_pauses)
{
	struct rgc_config cfg = {0};
	struct pair p = begin(&cfg);
	status = 503;
	lines = "";
	world_run(p.w, 14000);
	CHECK_EVENTS(p.a, "failed 503\n");
	CHECK_EQ(n_heard, 1);
	world_run(p.w, 17000); /* 15 to 30 s */
	CHECK_EQ(n_heard, 2);
	world_run(p.w, 61000); /* 30 to 60 s */
	CHECK_EQ(n_heard, 3);
	lines = "Retry-After: 1000 (maintenance);duration=60\r\n";
	world_run(p.w, 125000);
	CHECK_EQ(n_heard, 4);
	lines = NULL;
	status = 200;
	ladder_clear(p.w);
	world_run(p.w, 900000);
	CHECK_EQ(n_heard, 4);
	world_run(p.w, 200000);
	CHECK(str_starts(buf_view(&p.a->log), STR("registered 200\nexpires 600\n")));
	/* nobody there at all */
	ladder_clear(p.w);
	party_close(p.b);
	world_run(p.w, 600000);
	CHECK(str_starts(buf_view(&p.a->log), STR("failed 503\n")));
	CHECK(!rgc_is_registered(rgc_of(p.a)));
	end(&p);
}

TEST(what_waiting_does_not_help)
{
	struct rgc_config cfg = {0};
	struct pair p = begin(&cfg);
	status = 403;
	lines = "";
	world_run(p.w, 4000000);
	CHECK_EQ(n_heard, 1);
	CHECK_EVENTS(p.a, "failed 403 for good\n");
	end(&p);
	cfg.is_once = true;
	p = begin(&cfg);
	world_run(p.w, 1000000);
	CHECK_EQ(n_heard, 1);
	CHECK_EVENTS(p.a, "registered 200\nexpires 600\n");
	rgc_stop(rgc_of(p.a));
	world_run(p.w, 100);
	CHECK_EQ(n_heard, 2);
	end(&p);
	cfg.registrar = STR("sip:nobody.invalid");
	p = begin(&cfg);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "failed 503 for good\n");
	end(&p);
}

TEST(connection_goes_down)
{
	struct rgc_config cfg = {.registrar = STR("sip:10.0.0.2;transport=tcp")};
	struct pair p = begin(&cfg);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "registered 200\nexpires 600\n");
	CHECK(strstr(heard, ";transport=tcp>"));
	ladder_clear(p.w);
	party_close(p.b);
	party_open(p.b);
	world_run(p.w, 2000);
	CHECK_EVENTS(p.a, "refreshed 200\nexpires 600\n");
	CHECK_EQ(n_heard, 2);
	end(&p);
}

TEST(address_changes)
{
	/* the old Contact is taken out */
	struct rgc_config cfg = {0};
	struct pair p = begin(&cfg);
	world_run(p.w, 100);
	buf_clear(&rgc_of(p.a)->contact); /* as if it had been another */
	buf_str(&rgc_of(p.a)->contact, STR("<sip:a@10.9.9.9:5060>"));
	world_run(p.w, 545000);
	CHECK_EQ(n_heard, 2);
	CHECK(strstr(heard, "\r\nContact: <sip:a@10.9.9.9:5060>;expires=0\r\n"));
	CHECK(strstr(heard, "\r\nContact: <sip:a@10.0.0.1:5060>;+sip.instance="));
	end(&p);
}

TEST(registrations_that_cannot_be)
{
	struct pair p = pair_new();
	struct rgc_config cfg = {.account = party_account(p.a)};
	struct rgc *r = NULL;
	cfg.account.from = STR("<sip:a@");
	CHECK_EQ(rgc_new(p.a->dlg, &cfg, &user, p.a, &r), ERR_SYNTAX);
	cfg.account.from = STR("<tel:+1>");
	CHECK(rgc_new(p.a->dlg, &cfg, &user, p.a, &r) != OK || r);
	CHECK(!r || (rgc_free(r), true));
	pair_free(&p);
}

/* The way to the registrar is part of the account's address; its user is not. [RFC3261 10.2] */
TEST(the_way_to_the_registrar)
{
	static const struct {
		const char *from, *line;
	} rows[] = {
		{"sip:a@10.0.0.2:5060",                       "REGISTER sip:10.0.0.2:5060 SIP/2.0"},
		{"<sip:a@10.0.0.2;transport=udp;user=phone>",
		 "REGISTER sip:10.0.0.2;transport=udp SIP/2.0"                                    },
		{"sip:a@10.0.0.2",                            "REGISTER sip:10.0.0.2 SIP/2.0"     },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p = pair_new();
		struct rgc_config cfg = {.account = party_account(p.a), .expires_s = 1800};
		status = 200;
		lines = NULL;
		p.b->on_request = registrar;
		cfg.account.from = str_c(rows[i].from);
		CHECK_EQ(rgc_new(p.a->dlg, &cfg, &user, p.a, &p.a->rgc), OK);
		world_run(p.w, 100);
		CHECK(str_starts(str_c(heard), str_c(rows[i].line)));
		CHECK_EVENTS(p.a, "registered 200\nexpires 600\n");
		end(&p);
	}
}

static bool dies_in_event;

static void on_event_free(void *ctx, struct rgc *r, const struct rgc_event *ev)
{
	dies_in_event = true;
	rgc_free(r);
}

TEST(freed_inside_its_event)
{
	static const struct rgc_user u = {.on_event = on_event_free};
	struct pair p = pair_new();
	struct rgc_config cfg = {.account = party_account(p.a)};
	struct rgc *r;
	status = 200;
	lines = NULL;
	p.b->on_request = registrar;
	cfg.account.from = STR("<sip:a@10.0.0.2>");
	CHECK_EQ(rgc_new(p.a->dlg, &cfg, &u, p.a, &r), OK);
	world_run(p.w, 1000);
	CHECK(dies_in_event);
	CHECK_EQ(rgc_new(p.a->dlg, &cfg, &u, p.a, &r), OK);
	rgc_stop(r);
	world_run(p.w, 1000);
	pair_free(&p);
}

/* --- flows [RFC5626 4] ---------------------------------------------------------------------- */

#define CONTACT_600 "Contact: <sip:a@10.0.0.1:5060>;expires=3600\r\n"

TEST(a_flow_is_asked_for)
{
	struct rgc_config cfg = {0};
	struct pair p = begin(&cfg);
	world_run(p.w, 100);
	CHECK(strstr(heard, ";+sip.instance=\"<urn:uuid:"));
	CHECK(strstr(heard, ">\";reg-id=1\r\n"));
	CHECK(strstr(heard, "\r\nSupported: path, outbound\r\n"));
	CHECK(!tmr_is_running(&rgc_of(p.a)->keep.timer)); /* no NAT, and nobody who keeps flows */
	end(&p);
	/* [RFC5626 4.2.1] */
	p = begin(&cfg);
	status = 439;
	lines = "";
	world_run(p.w, 15);
	status = 200;
	lines = CONTACT_600;
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "registered 200\nexpires 3600\n");
	CHECK(!strstr(heard, "reg-id"));
	CHECK(strstr(heard, "\r\nSupported: path\r\n"));
	end(&p);
}

/* STUN every 24 to 29 s; when nobody answers any more, a new REGISTER. */
TEST(a_flow_is_kept_by_stun)
{
	struct rgc_config cfg = {.expires_s = 3600};
	struct pair p = begin(&cfg);
	struct tp_stats s;
	lines = "Require: outbound\r\n" CONTACT_600;
	world_run(p.w, 1000);
	tp_stats(p.b->tp, &s);
	CHECK_EQ(s.n_keep_alive, 0);
	world_run(p.w, 300000);
	tp_stats(p.b->tp, &s);
	CHECK(s.n_keep_alive >= 10 && s.n_keep_alive <= 13);
	CHECK_EQ(n_heard, 1);
	CHECK(addr_is_private(&rgc_of(p.a)->keep.mapped));
	lose(p.w, p.a, p.b, 1.0);
	world_run(p.w, 29000 + 15000);
	lose(p.w, p.a, p.b, 0);
	world_run(p.w, 5000);
	CHECK(n_heard >= 2);
	/* the NAT has given us another address */
	unsigned n = n_heard;
	struct keep *k = &rgc_of(p.a)->keep;
	for (int i = 0; i < 40 && !k->n_sent; i++) {
		lose(p.w, p.b, p.a, 1.0);
		world_run(p.w, 1000);
	}
	CHECK(k->n_sent > 0);
	lose(p.w, p.b, p.a, 0);
	struct tp_pong pong = {.txid = k->txid, .mapped = k->mapped};
	pong.mapped.port++;
	dlg_on_pong(p.a->dlg, &pong);
	dlg_on_pong(p.a->dlg, &pong); /* nothing waits any more */
	world_run(p.w, 1000);
	CHECK_EQ(n_heard, n + 1);
	end(&p);
}

/* A connection breaks while a CRLF on it waits: the next one has time of its own. */
TEST(a_new_flow_is_not_held_to_the_old_ones_answer)
{
	struct rgc_config cfg = {.registrar = STR("sip:10.0.0.2;transport=tcp")};
	struct pair p = begin(&cfg);
	lines = "Require: outbound\r\n" CONTACT_600;
	world_run(p.w, 1000);
	struct rgc *r = rgc_of(p.a);
	tp_flow first = r->flow;
	CHECK(first);
	for (int i = 0; i < 13000 && !r->keep.n_sent; i++)
		world_run(p.w, 10);
	CHECK_EQ(r->keep.n_sent, 1);
	tp_flow_close(p.a->tp, first);
	world_run(p.w, 1000);
	tp_flow second = r->flow;
	CHECK(second && second != first);
	CHECK_EQ(n_heard, 2);
	world_run(p.w, 15000);
	CHECK(r->flow == second);
	CHECK_EQ(n_heard, 2);
	end(&p);
}

/* The registrar sees another address than we wrote, and keeps no flows: CRLF CRLF keeps the NAT's
 * mapping; Flow-Timer says how often. */
TEST(a_nat_is_kept_open)
{
	struct rgc_config cfg = {.expires_s = 3600};
	struct pair p = begin(&cfg);
	struct tp_stats s;
	lines = "Flow-Timer: 10\r\n" CONTACT_600;
	world_run(p.w, 101000);
	tp_stats(p.b->tp, &s);
	CHECK(s.n_keep_alive >= 10 && s.n_keep_alive <= 13);
	CHECK_EQ(n_heard, 1);
	status = 403; /* all is over: no more signs of life */
	lines = "";
	world_run(p.w, 3600000);
	tp_stats(p.b->tp, &s);
	uint64_t n = s.n_keep_alive;
	world_run(p.w, 100000);
	tp_stats(p.b->tp, &s);
	CHECK_EQ(s.n_keep_alive, n);
	end(&p);
}

/* [RFC3608 5, 6.1] */
TEST(service_route)
{
	struct rgc_config cfg = {0};
	struct pair p = begin(&cfg);
	unsigned done = 0;
	struct uac *u = NULL;
	lines = "Service-Route: <sip:10.0.0.2;lr>, <sip:p2.example;lr>\r\n"
		"Service-Route: <sip:home.example;lr>\r\n" CONTACT_600;
	world_run(p.w, 1000);
	CHECK_STR(rgc_service_route(rgc_of(p.a)),
		  "<sip:10.0.0.2;lr>, <sip:p2.example;lr>, <sip:home.example;lr>");
	struct uac_account acc = party_account(p.a);
	acc.service_route = rgc_service_route(rgc_of(p.a));
	struct uac_request req = {.method = STR("REGISTER"), .ruri = STR("sip:far.example")};
	outside_with(p.a, &acc, &req, &done, &u); /* to the first of them */
	world_run(p.w, 1000);
	CHECK_EQ(done, 200);
	CHECK(strstr(heard,
		     "\r\nRoute: <sip:10.0.0.2;lr>, <sip:p2.example;lr>, <sip:home.example;lr>"
		     "\r\n"));
	acc.proxy = STR("sip:10.0.0.2;transport=udp"); /* the same host: once */
	outside_with(p.a, &acc, &req, &done, &u);
	world_run(p.w, 1000);
	CHECK(!strstr(heard, "transport=udp;lr>"));
	acc.service_route = STR("<sip:home.example;lr>"); /* behind the outbound proxy */
	outside_with(p.a, &acc, &req, &done, &u);
	world_run(p.w, 1000);
	CHECK(strstr(heard, "\r\nRoute: <sip:10.0.0.2;transport=udp;lr>\r\n"
			    "Route: <sip:home.example;lr>\r\n"));
	end(&p);
}
