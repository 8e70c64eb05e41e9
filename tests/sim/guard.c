/* What the exchange checks, refuses and takes off, with peers of text [RFC3261 16.3, 16.6, 8.2,
 * 18.2, 22] [RFC3325] [RFC3581] [RFC5393]. */
#include "scene.h"

/* ---- hops and loops -------------------------------------------------------------------------- */

/* [RFC3261 16.3 step 3, 16.6 step 3] */
TEST_NO_OOM(max_forwards)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	struct raw_req q = {.method = "MESSAGE", .uri = TO_B, .max_forwards = -1, .contact = ""};
	raw_request(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 483", 1);
	q = (struct raw_req){.method = "MESSAGE", .uri = TO_B, .max_forwards = 9, .contact = ""};
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->b, "MESSAGE ", 1);
	CHECK_STR(raw_header(m, "Max-Forwards", 0), "8");
	raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	q = (struct raw_req){
		.method = "MESSAGE", .uri = TO_B, .no_max_forwards = true, .contact = ""};
	raw_ask(t->a, 0, &q);
	m = raw_get(t->b, "MESSAGE ", 1);
	CHECK_STR(raw_header(m, "Max-Forwards", 0), "70");
	raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* [RFC3261 16.3 step 3, 11]: what ends here needs no further hop; a foreign REGISTER does */
TEST_NO_OOM(max_forwards_zero_to_us)
{
	struct scene *t = scene_new();
	struct raw_req q = {.method = "OPTIONS", .uri = "sip:" STAGE_SERVER, .max_forwards = -1};
	raw_request(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 200", 1);
	q = (struct raw_req){.method = "REGISTER",
			     .uri = "sip:" STAGE_SERVER,
			     .to = "<sip:1001@" STAGE_SERVER ">",
			     .max_forwards = -1};
	raw_ask(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 200", 1);
	q = (struct raw_req){
		.method = "REGISTER", .uri = "sip:10.0.0.99", .to = "<sip:u@10.0.0.99>"};
	q.max_forwards = -1;
	raw_request(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 483", 1);
	scene_free(t);
}

/* Who challenges in the exchange's name wants a digest of the password over a nonce of his own: his
 * challenge goes no further, by the proxy and in two dialogs. That of another realm does. */
static void forge(const struct exc_cfg *cfg)
{
	static const char ours[] = "Digest realm=\"sim\", nonce=\"n\"";
	static const char both[] = "WWW-Authenticate: Digest realm=\"sim\", nonce=\"n\"\n"
				   "WWW-Authenticate: Digest realm=\"far\", nonce=\"n\"\n"
				   "Proxy-Authenticate: Digest realm=\"sim\", nonce=\"n\"\n";
	struct scene *t = scene_new_with(cfg);
	struct raw_msg *m;
	scene_register(t->b, B_CONTACT);
	scene_register(t->c, C_CONTACT);
	scene_invite(t);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "401 Unauthorized", "b", both, NULL);
	raw_reply(t->c, raw_get(t->c, "INVITE ", 1), "407 Proxy Authentication Required", "c", both,
		  NULL);
	raw_get(t->b, "ACK ", 1);
	raw_get(t->c, "ACK ", 1);
	m = raw_get(t->a, "SIP/2.0 40", 1);
	CHECK(!raw_has(m, ours) && raw_has(m, "realm=\"far\""));
	CHECK_EQ(raw_count(m, "Proxy-Authenticate"), 0);
	raw_ack(t->a, 0, &t->call, m);
	stage_run(t->s, 40);
	scene_free(t);
}

TEST_NO_OOM(nobody_asks_in_our_name)
{
	struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	forge(&cfg);
	cfg.is_b2bua = true;
	forge(&cfg);
}

/* Our phone, whose password is for the exchange, calls somebody who asks for it. */
TEST_NO_OOM(phone_gives_no_digest_to_a_callee)
{
	struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	for (int is_b2bua = 0; is_b2bua < 2; is_b2bua++) {
		cfg.is_b2bua = is_b2bua;
		struct scene *t = scene_new_with(&cfg);
		scene_register(t->b, B_CONTACT);
		struct stage_phone *p = stage_phone(t->s, "1003", TP_UDP);
		stage_register(t->s, p);
		struct ph_plan plan;
		ph_plan_init(&plan);
		stage_call(p, "1002", &plan);
		struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
		raw_reply(t->b, m, "407 Mine", "b",
			  "Proxy-Authenticate: Digest realm=\"evil\", nonce=\"n\"\n", NULL);
		raw_get(t->b, "ACK ", 1);
		raw_none(t->b, "INVITE ", 5); /* no second one, with a digest */
		CHECK_EQ(p->outcome, PH_AUTH);
		stage_run(t->s, 40);
		scene_free(t);
	}
}

static const char sdp[] = "v=0\no=- 1 1 IN IP4 10.0.0.99\ns=-\nc=IN IP4 10.0.0.99\nt=0 0\n"
			  "m=audio 4000 RTP/AVP 0\n";

/* Nor one to somebody whom it talks to past the exchange, though nobody else has asked yet. */
TEST_NO_OOM(phone_gives_no_digest_in_a_dialog)
{
	struct scene *t = scene_new();
	struct stage_phone *p = stage_phone(t->s, "1003", TP_UDP);
	struct ph_plan plan;
	ph_plan_init(&plan);
	plan.hold_s = 1;
	plan.hangup_s = 3;
	CHECK_EQ(ph_call(p->ph, STR("sip:u@10.0.0.99"), &plan), OK);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
	raw_reply(t->x, m, "200 OK", "x",
		  "Contact: <sip:u@10.0.0.99>\nContent-Type: application/sdp\n", sdp);
	raw_get(t->x, "ACK ", 1);
	m = raw_get(t->x, "INVITE ", 2); /* hold */
	raw_reply(t->x, m, "401 Mine", "x", "WWW-Authenticate: Digest realm=\"sim\", nonce=\"n\"\n",
		  NULL);
	raw_get(t->x, "ACK ", 1);
	raw_none(t->x, "INVITE ", 1);
	m = raw_get(t->x, "BYE ", 3);
	raw_reply(t->x, m, "407 Mine", "x",
		  "Proxy-Authenticate: Digest realm=\"sim\", nonce=\"n\"\n", NULL);
	raw_none(t->x, "BYE ", 10);
	stage_run(t->s, 40);
	scene_free(t);
}

/* Called, it hangs up, and is asked for a digest: the usual way to get one. */
TEST_NO_OOM(phone_gives_no_digest_to_a_caller)
{
	struct scene *t = scene_new();
	struct stage_phone *p = stage_phone(t->s, "1003", TP_UDP);
	ph_plan_init(&p->plan);
	p->plan.hangup_s = 1;
	stage_register(t->s, p);
	t->call = (struct raw_req){.method = "INVITE", .uri = "sip:1003@" STAGE_SERVER};
	t->call.extra = "Content-Type: application/sdp\n";
	t->call.body = sdp;
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 200", 2);
	char to[128], uri[128], routes[1024];
	struct raw_req ack = t->call;
	ack.method = "ACK";
	ack.to = raw_cstr(raw_header(m, "To", 0), to, sizeof(to));
	struct str contact = raw_header(m, "Contact", 0);
	contact = str_sub(str_skip(contact, 1), 0, str_chr(contact, '>') - 1);
	ack.uri = raw_cstr(contact, uri, sizeof(uri));
	ack.route = raw_routes(m, routes, sizeof(routes));
	ack.extra = ack.body = NULL;
	ack.branch[0] = 0;
	raw_request(t->a, 0, &ack);
	m = raw_get(t->a, "BYE ", 3);
	CHECK(!raw_has(m, "uthorization:"));
	raw_reply(t->a, m, "401 Mine", NULL,
		  "WWW-Authenticate: Digest realm=\"sim\", nonce=\"n\"\n"
		  "WWW-Authenticate: Digest realm=\"other\", nonce=\"n\"\n",
		  NULL);
	raw_none(t->a, "BYE ", 10);
	stage_run(t->s, 40);
	scene_free(t);
}

static struct exc_cfg trust_x(struct addr_net *net)
{
	struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	CHECK(addr_net_parse(STR("10.0.0.99/32"), net));
	cfg.trust = net;
	cfg.n_trust = 1;
	return cfg;
}

/* What a proxy sends back to us: the message, with its Via on top and another request-URI. */
static void send_back(struct raw *x, const struct raw_msg *m, const char *uri)
{
	char text[4096];
	struct str first = str_sub(m->text, 0, str_chr(m->text, '\n') + 1);
	struct str method = str_sub(first, 0, str_chr(first, ' '));
	struct str rest = str_skip(m->text, first.n);
	static int n;
	snprintf(text, sizeof(text),
		 STR_FMT " %s SIP/2.0\r\nVia: SIP/2.0/UDP "
			 "10.0.0.99:5060;rport;branch=z9hG4bKx%d\r\n" STR_FMT,
		 STR_ARG(method), uri, ++n, STR_ARG(rest));
	raw_bytes(x, 0, str_c(text));
}

/* [RFC3261 16.3 step 4] [RFC5393 4.2]: the same again is a loop, with another request-URI it is a
 * spiral */
TEST_NO_OOM(loop_and_spiral)
{
	struct addr_net net;
	struct exc_cfg cfg = trust_x(&net);
	struct scene *t = scene_new_with(&cfg);
	stage_account(t->s, "1003");
	scene_register(t->b, B_CONTACT);
	raw_dns(t->s, "far.example", "10.0.0.99");
	t->call.uri = "sip:u@far.example";
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
	char uri[64];
	send_back(t->x, m, raw_cstr(raw_uri(m), uri, sizeof(uri)));
	raw_get(t->x, "SIP/2.0 482", 1);
	send_back(t->x, m, TO_B);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(raw_count(at_b, "Via"), 4);
	raw_reply(t->b, at_b, "486 Busy Here", "b", NULL, NULL);
	struct raw_msg *at_x = raw_get(t->x, "SIP/2.0 486", 1);
	CHECK_EQ(raw_count(at_x, "Via"), 3);
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* [RFC3261 8.2.2.2]: the same request by two ways, where the exchange itself would answer */
TEST_NO_OOM(merged)
{
	struct scene *t = scene_new();
	struct raw_req q = {.method = "INVITE", .uri = "sip:echo@" STAGE_SERVER};
	q.extra = "Content-Type: application/sdp\n";
	q.body = "v=0\no=- 1 1 IN IP4 10.0.0.21\ns=-\nc=IN IP4 10.0.0.21\nt=0 0\nm=audio 4000 "
		 "RTP/AVP 0\n";
	raw_ask(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 200", 1);
	q.branch[0] = 0;
	raw_request(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 482", 1);
	struct raw_req sub = {.method = "SUBSCRIBE",
			      .uri = "sip:1001@" STAGE_SERVER,
			      .extra = "Event: message-summary\n"};
	raw_ask(t->a, 0, &sub);
	raw_get(t->a, "NOTIFY ", 1);
	raw_flush(t->a);
	scene_free(t);
}

/* ---- refusals with their headers ------------------------------------------------------------- */

static struct raw_msg *refused(struct scene *t, struct raw_req *q, const char *status)
{
	raw_request(t->a, 0, q);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 ", 1);
	if (raw_has(m, "SIP/2.0 407")) {
		if (strcmp(q->method, "INVITE") == 0)
			raw_ack(t->a, 0, q, m);
		raw_answer_challenge(t->a, q, m);
		raw_request(t->a, 0, q);
		do
			m = raw_get(t->a, "SIP/2.0 ", 1);
		while (raw_has(m, "SIP/2.0 1"));
	}
	if (!str_starts(str_skip(m->text, 8), str_c(status)))
		test_fail(__FILE__, __LINE__, "%s instead of %s", m->bytes, status);
	CHECK(raw_has(m, "Warning: 399 ")); /* each with its code */
	CHECK(raw_has(m, ";tag="));
	return m;
}

/* [RFC3261 16.3, 8.2.1, 8.2.2, 21.4] [RFC6665 8.3.2] */
TEST_NO_OOM(refusals)
{
	struct scene *t = scene_new();
	struct raw_msg *m;
	struct raw_req q = {.method = "MESSAGE", .uri = "mailto:a@b.example"};
	refused(t, &q, "416");
	q = (struct raw_req){.method = "MESSAGE", .uri = TO_B};
	q.extra = "Proxy-Require: foo\nProxy-Require: bar, baz\n";
	m = refused(t, &q, "420");
	CHECK_STR(raw_header(m, "Unsupported", 0), "foo, bar, baz");
	q = (struct raw_req){.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
	q.extra = "Require: nonsense\n"; /* [8.2.2.3]: the exchange is the user agent server here */
	m = refused(t, &q, "420");
	CHECK_STR(raw_header(m, "Unsupported", 0), "nonsense");
	q = (struct raw_req){.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
	raw_request(t->a, 0, &q);
	m = raw_get(t->a, "SIP/2.0 200", 1); /* [11.2] */
	CHECK_STR(raw_header(m, "Accept-Encoding", 0), "identity");
	CHECK_STR(raw_header(m, "Accept-Language", 0), "en");
	q = (struct raw_req){.method = "FROB", .uri = "sip:" STAGE_SERVER};
	m = refused(t, &q, "405");
	CHECK(raw_header(m, "Allow", 0).n > 0);
	q = (struct raw_req){.method = "SUBSCRIBE", .uri = "sip:1001@" STAGE_SERVER};
	q.extra = "Event: conference\n";
	m = refused(t, &q, "489");
	CHECK(raw_has(m, "Allow-Events: presence, dialog, message-summary, reg, "));
	q = (struct raw_req){.method = "PUBLISH", .uri = "sip:1001@" STAGE_SERVER};
	q.extra = "Event: conference\n";
	refused(t, &q, "489");
	q = (struct raw_req){.method = "INVITE", .uri = "sip:nobody@" STAGE_SERVER};
	refused(t, &q, "404");
	q = (struct raw_req){.method = "INVITE", .uri = TO_B};
	refused(t, &q, "480");
	q = (struct raw_req){.method = "MESSAGE", .uri = TO_B, .route = "Route: <<broken\n"};
	refused(t, &q, "400");
	q = (struct raw_req){.method = "INVITE", .uri = "sip:echo@" STAGE_SERVER};
	q.extra = "Content-Type: text/html\n";
	q.body = "<p>";
	raw_ask(t->a, 0, &q);
	m = raw_get(t->a, "SIP/2.0 415", 1);
	CHECK(raw_header(m, "Accept", 0).n > 0);
	scene_free(t);
}

/* [RFC3261 11.2] */
TEST_NO_OOM(options_to_us)
{
	struct scene *t = scene_new();
	struct raw_req q = {.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
	raw_request(t->x, 0, &q);
	struct raw_msg *m = raw_get(t->x, "SIP/2.0 200", 1);
	CHECK(raw_header(m, "Allow", 0).n && raw_header(m, "Accept", 0).n &&
	      raw_header(m, "Supported", 0).n && raw_header(m, "Allow-Events", 0).n);
	scene_free(t);
}

/* [RFC3261 22.1]: who has authenticated speaks for himself alone */
TEST_NO_OOM(identity)
{
	static const char *const froms[] = {"<sip:1002@" STAGE_SERVER ">",
					    "<sip:1001@elsewhere.example>", "<tel:+1234>"};
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	for (size_t i = 0; i < 2; i++) {
		struct raw_req q = {.method = "MESSAGE", .uri = TO_B, .from = froms[i]};
		refused(t, &q, "403");
	}
	raw_none(t->b, "MESSAGE ", 1);
	scene_free(t);
}

/* ---- what is taken off and put on ------------------------------------------------------------ */

/* [RFC3261 22.3] [RFC3325 5] */
TEST_NO_OOM(secrets_stay_here)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	struct raw_req q = {
		.method = "MESSAGE",
		.uri = TO_B,
		.contact = "",
		.extra = "Proxy-Authorization: Digest username=\"z\", realm=\"far\", nonce=\"n\", "
			 "uri=\"sip:far\", response=\"0123\"\n"
			 "P-Asserted-Identity: <sip:boss@" STAGE_SERVER ">\n"
			 "P-Asserted-Identity: <tel:+49891>\n"
			 "P-Preferred-Identity: <sip:boss@" STAGE_SERVER ">\n"};
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->b, "MESSAGE ", 1);
	CHECK_EQ(raw_count(m, "Proxy-Authorization"), 1);
	CHECK(str_find(raw_header(m, "Proxy-Authorization", 0), STR("realm=\"far\"")) != SIZE_MAX);
	CHECK_EQ(raw_count(m, "P-Asserted-Identity"), 0);
	CHECK_EQ(raw_count(m, "P-Preferred-Identity"), 0); /* [RFC3325 6] */
	raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* [RFC3325 5, 7]: a trusted proxy's word goes on; under `Privacy: id` nothing of it to a phone;
 * `none` stays as it is [RFC3323 4.2] */
TEST_NO_OOM(identity_of_a_trusted_proxy)
{
	static const struct {
		const char *headers, *privacy;
		unsigned n;
	} rows[] = {
		{"P-Asserted-Identity: <sip:u@far.example>\n",                              "",          1},
		{"P-Asserted-Identity: <sip:u@far.example>\n"
		 "P-Asserted-Identity: <tel:+4989>\nPrivacy: header;id\n", "header;id", 0},
		{"P-Asserted-Identity: <sip:u@far.example>\nPrivacy: none\n",               "none",      1},
	};
	struct addr_net net;
	struct exc_cfg cfg = trust_x(&net);
	struct scene *t = scene_new_with(&cfg);
	scene_register(t->b, B_CONTACT);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw_req q = {.method = "MESSAGE",
				    .uri = TO_B,
				    .from = "<sip:u@far.example>",
				    .contact = ""};
		q.extra = rows[i].headers;
		raw_request(t->x, 0, &q);
		struct raw_msg *m = raw_get(t->b, "MESSAGE ", 1);
		CHECK_EQ(raw_count(m, "P-Asserted-Identity"), rows[i].n);
		CHECK_STR_EQ(raw_header(m, "Privacy", 0), str_c(rows[i].privacy));
		raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
		raw_get(t->x, "SIP/2.0 200", 1);
	}
	scene_free(t);
}

/* [RFC3261 18.2.1] [RFC3581 4]: what the Via says of its source is ours to say */
TEST_NO_OOM(received_and_rport)
{
	static const struct {
		const char *params, *want;
	} row[] = {
		{";rport",                    "SIP/2.0/UDP 10.0.0.21:5060;branch=B;received=10.0.0.21;rport=5060"},
		{";rport;x=y",
		 "SIP/2.0/UDP 10.0.0.21:5060;branch=B;x=y;received=10.0.0.21;rport=5060"                         },
		{"",			  "SIP/2.0/UDP 10.0.0.21:5060;branch=B"                              },
		{";rport=9;received=1.2.3.4",
		 "SIP/2.0/UDP 10.0.0.21:5060;branch=B;received=10.0.0.21;rport=5060"                             },
		{";received=1.2.3.4;x",       "SIP/2.0/UDP 10.0.0.21:5060;branch=B;x"                            },
	};
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct raw_req q = {.method = "MESSAGE",
				    .uri = TO_B,
				    .contact = "",
				    .via_params = row[i].params};
		raw_ask(t->a, 0, &q);
		struct raw_msg *m = raw_get(t->b, "MESSAGE ", 1);
		struct str via = raw_header(m, "Via", 0), ours = str_cut(via, ';', &via);
		CHECK(str_starts(ours, STR("SIP/2.0/UDP 10.0.0.1:5060")));
		CHECK(str_starts(via, STR("rport;"))); /* a flag, no value [RFC3581 3] */
		via = raw_header(m, "Via", 1);
		size_t at = str_find(via, str_c(q.branch));
		char text[300];
		CHECK(at != SIZE_MAX);
		snprintf(text, sizeof(text), STR_FMT "B" STR_FMT, STR_ARG(str_sub(via, 0, at)),
			 STR_ARG(str_skip(via, at + strlen(q.branch))));
		CHECK_STR_EQ(str_c(text), str_c(row[i].want));
		raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
		raw_get(t->a, "SIP/2.0 200", 1);
	}
	scene_free(t);
}
