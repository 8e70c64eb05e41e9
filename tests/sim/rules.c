/* Demands of RFC 3261 on proxies and servers that no other case is about, with peers of text
 * (docs/must/rfc3261.tsv). [RFC3261 8.2, 10.3, 16, 18.2, 18.3] */
#include "scene.h"

#include <string.h>

static struct exc_cfg trusting(struct addr_net *net)
{
	struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	CHECK(addr_net_parse(STR("10.0.0.99/32"), net));
	cfg.trust = net;
	cfg.n_trust = 1;
	return cfg;
}

static void busy(struct scene *t, struct raw *r, struct raw_msg *m)
{
	raw_reply(r, m, "486 Busy Here", "busy", NULL, NULL);
	raw_get(r, "ACK ", 1);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
}

/* ---- what passes ----------------------------------------------------------------------------- */

/* [RFC3261 16.2, 16.7 step 5] */
TEST_NO_OOM(trying_is_ours_alone)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t); /* the exchange's own 100 */
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, m, "100 Trying", NULL, NULL, NULL);
	raw_none(t->a, "SIP/2.0", 1);
	busy(t, t->b, m);
	scene_free(t);
}

/* [RFC3261 16.7 steps 3, 8, 9] */
TEST_NO_OOM(responses_pass_untouched)
{
	static const char *const tags[] = {NULL, "callee"};
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	t->call.via_params = ";rport;x=\"y z\"";
	scene_invite(t);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1), *back;
	struct str via = raw_header(m, "Via", 1), to = raw_header(m, "To", 0);
	CHECK(str_find(via, STR(";received=10.0.0.21;rport=5060")) != SIZE_MAX);
	for (size_t i = 0; i < 2; i++) {
		raw_reply(t->b, m, i ? "200 Fine" : "183 On the way", tags[i],
			  "X-Odd:  kept ; as=is \nSubject: one\nX-Odd: two\nContent-Type: a/b\n",
			  "a line\nand one more");
		back = raw_get(t->a, i ? "SIP/2.0 200 Fine\r\n" : "SIP/2.0 183 On the way\r\n", 1);
		CHECK_EQ(raw_count(back, "Via"), 1);
		CHECK_STR_EQ(raw_header(back, "Via", 0), via);
		CHECK(str_starts(raw_header(back, "To", 0), to));
		CHECK_STR_EQ(str_skip(raw_header(back, "To", 0), to.n),
			     i ? STR(";tag=callee") : STR(""));
		CHECK(raw_has(back, "X-Odd:  kept ; as=is \r\nSubject: one\r\nX-Odd: two\r\n"));
		CHECK_STR(raw_body(back), "a line\r\nand one more");
	}
	scene_free(t);
}

/* [RFC3261 16.11]: also long after the transaction */
TEST_NO_OOM(late_answers_pass_untouched)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, m, "200 OK", "callee", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	stage_run(t->s, 60);
	raw_flush(t->a);
	raw_reply(t->b, m, "200 Late", "callee", "X-Odd:  kept ; as=is \nContent-Type: a/b\n",
		  "body\n");
	m = raw_get(t->a, "SIP/2.0 200 Late\r\n", 1);
	CHECK(raw_has(m, "X-Odd:  kept ; as=is \r\n"));
	CHECK(raw_has(m, ";tag=callee\r\n"));
	CHECK_STR(raw_body(m), "body\r\n");
	CHECK_EQ(raw_count(m, "Via"), 1);
	scene_free(t);
}

/* [RFC3261 18.3]: the rest of it will not come in a datagram. */
TEST_NO_OOM(a_response_cut_short_is_dropped)
{
	struct scene *t = scene_new();
	char text[2048];
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, m, "180 Ringing", "b", NULL, NULL);
	struct raw_msg *ok = raw_get(t->a, "SIP/2.0 180", 1);
	CHECK(ok);
	struct str via = raw_header(m, "Via", 0), second = raw_header(m, "Via", 1),
		   from = raw_header(m, "From", 0), id = raw_header(m, "Call-ID", 0),
		   cseq = raw_header(m, "CSeq", 0);
	snprintf(text, sizeof(text),
		 "SIP/2.0 486 Cut\r\nVia: " STR_FMT "\r\nVia: " STR_FMT "\r\nFrom: " STR_FMT
		 "\r\nTo: <" TO_B ">;tag=b\r\nCall-ID: " STR_FMT "\r\nCSeq: " STR_FMT
		 "\r\nContent-Length: 10\r\n\r\nhalf",
		 STR_ARG(via), STR_ARG(second), STR_ARG(from), STR_ARG(id), STR_ARG(cseq));
	raw_bytes(t->b, 0, str_c(text));
	raw_none(t->a, "SIP/2.0", 1);
	busy(t, t->b, m);
	scene_free(t);
}

/* [RFC3261 16.6 step 4] */
TEST_NO_OOM(record_route_goes_first)
{
	struct addr_net net;
	struct exc_cfg cfg = trusting(&net);
	struct scene *t = scene_new_with(&cfg);
	scene_register(t->b, B_CONTACT);
	struct raw_req q = {.method = "INVITE",
			    .uri = TO_B,
			    .from = "<sip:u@far.example>",
			    .extra = "Record-Route: <sip:10.0.0.99;lr>\n"};
	raw_request(t->x, 0, &q);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Record-Route"), 2);
	CHECK(str_find(raw_header(m, "Record-Route", 0), STR("@10.0.0.1:5060;lr")) != SIZE_MAX);
	CHECK_STR(raw_header(m, "Record-Route", 1), "<sip:10.0.0.99;lr>");
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_ack(t->x, 0, &q, raw_get(t->x, "SIP/2.0 486", 1));
	scene_free(t);
}

static void subscribe_far(struct scene *t, struct raw_req *q)
{
	*q = (struct raw_req){
		.method = "SUBSCRIBE", .uri = "sip:y@10.0.0.99:5060", .extra = "Event: winfo\n"};
	raw_ask(t->a, 0, q);
}

/* [RFC6665 4.3, 4.4.4]: the route set of a subscription comes from its NOTIFYs; what a proxy does
 * not do is to tell of events. */
TEST_NO_OOM(notify_has_our_record_route)
{
	struct scene *t = scene_new();
	struct raw_req q;
	char routes[512], turned[512], to[128], from[128];
	subscribe_far(t, &q);
	struct raw_msg *m = raw_get(t->x, "SUBSCRIBE ", 1);
	CHECK_EQ(raw_count(m, "Record-Route"), 1);
	CHECK_EQ(raw_count(m, "Allow-Events"), 0);
	raw_routes(m, routes, sizeof(routes));
	raw_cstr(raw_header(m, "From", 0), to, sizeof(to));
	raw_reply(t->x, m, "200 OK", "far", "Expires: 600\n", NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	struct raw_req n = {.method = "NOTIFY",
			    .uri = "sip:1001@10.0.0.21:5060",
			    .from = "<sip:y@10.0.0.99:5060>",
			    .to = to,
			    .route = routes,
			    .tag = "far",
			    .extra = "Event: winfo\nSubscription-State: active\n"};
	snprintf(n.call_id, sizeof(n.call_id), "%s", q.call_id);
	raw_request(t->x, 0, &n);
	m = raw_get(t->a, "NOTIFY ", 1);
	CHECK_EQ(raw_count(m, "Record-Route"), 1);
	CHECK_EQ(raw_count(m, "Allow-Events"), 0);
	raw_routes(m, turned, sizeof(turned));
	raw_cstr(raw_header(m, "From", 0), from, sizeof(from));
	raw_reply(t->a, m, "200 OK", NULL, NULL, NULL);
	CHECK_EQ(raw_count(raw_get(t->x, "SIP/2.0 200", 1), "Allow-Events"), 0);
	/* a refresh by that */
	q.to = from;
	q.route = turned;
	q.auth[0] = q.branch[0] = 0;
	q.cseq++;
	raw_request(t->a, 0, &q);
	m = raw_get(t->x, "SUBSCRIBE ", 1);
	raw_reply(t->x, m, "489 Bad Event", NULL, NULL, NULL);
	CHECK_EQ(raw_count(raw_get(t->a, "SIP/2.0 489", 1), "Allow-Events"), 0);
	/* who sees its NOTIFYs by chance has no place in it */
	struct addr_net net;
	struct exc_cfg cfg = trusting(&net);
	scene_free(t);
	t = scene_new_with(&cfg);
	n.route = NULL;
	n.branch[0] = n.call_id[0] = 0;
	raw_request(t->x, 0, &n);
	m = raw_get(t->a, "NOTIFY ", 1);
	CHECK_EQ(raw_count(m, "Record-Route"), 0);
	raw_reply(t->a, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->x, "SIP/2.0 200", 1);
	scene_free(t);
}

/* [RFC3261 16.3]: a proxy does not mind the same request by two ways. */
TEST_NO_OOM(a_merged_request_is_forwarded_twice)
{
	struct addr_net net;
	struct exc_cfg cfg = trusting(&net);
	struct scene *t = scene_new_with(&cfg);
	scene_register(t->b, B_CONTACT);
	struct raw_req q = {
		.method = "MESSAGE", .uri = TO_B, .from = "<sip:u@far.example>", .contact = ""};
	raw_request(t->x, 0, &q);
	struct raw_msg *one = raw_get(t->b, "MESSAGE ", 1);
	q.branch[0] = 0;
	raw_request(t->x, 0, &q);
	struct raw_msg *two = raw_get(t->b, "MESSAGE ", 1);
	CHECK_STR_EQ(raw_header(one, "Call-ID", 0), raw_header(two, "Call-ID", 0));
	CHECK_STR_EQ(raw_header(one, "CSeq", 0), raw_header(two, "CSeq", 0));
	raw_reply(t->b, one, "200 OK", "b", NULL, NULL);
	raw_reply(t->b, two, "200 OK", "b", NULL, NULL);
	raw_get(t->x, "SIP/2.0 200", 1);
	raw_get(t->x, "SIP/2.0 200", 1);
	scene_free(t);
}

static struct str without_top_via(const struct raw_msg *m)
{
	size_t at = str_find(m->text, STR("\r\nVia: "));
	struct str rest = str_skip(m->text, at + 2);
	return str_skip(rest, str_find(rest, STR("\r\n")));
}

/* [RFC3261 16.11]: the ACK of a 2xx goes on without a transaction. */
TEST_NO_OOM(a_repeated_ack_goes_the_same_way)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	struct raw_msg *m[2];
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct raw_req ack = scene_in_dialog(&d, true, "ACK");
	ack.cseq = t->call.cseq;
	for (int i = 0; i < 2; i++) {
		raw_request(t->a, 0, &ack);
		m[i] = raw_get(t->b, "ACK ", 1);
		stage_run(t->s, 3);
	}
	CHECK_STR_EQ(raw_uri(m[0]), raw_uri(m[1]));
	CHECK_STR_EQ(without_top_via(m[0]), without_top_via(m[1]));
	scene_free(t);
}

/* [RFC3261 8.2.2.3]: neither can be answered 420. */
TEST_NO_OOM(requires_in_cancel_and_ack)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, m, "180 Ringing", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 180", 1);
	raw_cancel(t->a, 0, &t->call, "Require: x\nProxy-Require: y\n");
	raw_get(t->a, "SIP/2.0 200", 1);
	struct raw_msg *cancel = raw_get(t->b, "CANCEL ", 1);
	CHECK_EQ(raw_count(cancel, "Require") + raw_count(cancel, "Proxy-Require"), 0);
	raw_reply(t->b, cancel, "200 OK", "b", NULL, NULL);
	raw_reply(t->b, m, "487 Request Terminated", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 487", 1));
	t->call = (struct raw_req){.method = "INVITE", .uri = TO_B};
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct raw_req ack = scene_in_dialog(&d, true, "ACK");
	ack.cseq = t->call.cseq;
	ack.extra = "Require: x\nProxy-Require: y\n";
	raw_request(t->a, 0, &ack);
	raw_get(t->b, "ACK ", 1);
	raw_none(t->a, "SIP/2.0", 1);
	scene_free(t);
}

/* ---- where to -------------------------------------------------------------------------------- */

/* [RFC3261 10.3, 16.5, 19.1.1] */
TEST_NO_OOM(canonical_before_the_look_up)
{
	static const char *const uris[] = {"sip:%31002@" STAGE_SERVER,
					   "sip:1002@" STAGE_SERVER ":5060;user=phone;new=x",
					   "sip:1002:secret@" STAGE_SERVER};
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		t->call = (struct raw_req){.method = "INVITE", .uri = uris[i]};
		raw_ask(t->a, 0, &t->call);
		struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
		CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5060");
		busy(t, t->b, m);
	}
	scene_free(t);
}

/* [RFC3261 16.6 step 2, 19.1.1]: a Contact may have what a request-URI may not. */
TEST_NO_OOM(no_method_in_the_request_uri)
{
	struct scene *t = scene_new();
	scene_register(t->b, "<sip:1002@10.0.0.22:5060;Method=INVITE;new=x?Subject=y>");
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5060;new=x");
	busy(t, t->b, m);
	scene_free(t);
}

/* [RFC3261 19.1.2]: an escaped dot is no dot. */
TEST_NO_OOM(escapes_in_a_host_stay)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	struct raw_req q = {.method = "MESSAGE", .uri = "sip:1002@10.0.0%2e1", .contact = ""};
	raw_request(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 400", 1);
	raw_none(t->b, "", 1);
	scene_free(t);
}

/* [RFC3261 16.4, 16.5]: a maddr that is not ours is where the request goes, whoever the host is. */
TEST_NO_OOM(maddr_names_the_next_hop)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	t->call.uri = "sip:1002@" STAGE_SERVER ";maddr=10.0.0.99";
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
	CHECK_STR_EQ(raw_uri(m), str_c(t->call.uri));
	raw_none(t->b, "INVITE ", 1);
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	t->call = (struct raw_req){.method = "INVITE",
				   .uri = "sip:1002@" STAGE_SERVER ";maddr=" STAGE_SERVER};
	raw_ask(t->a, 0, &t->call);
	busy(t, t->b, raw_get(t->b, "INVITE ", 1));
	/* and nobody gets there without a password */
	struct raw_req q = {.method = "MESSAGE", .uri = "sip:" STAGE_SERVER ";maddr=10.0.0.99"};
	raw_request(t->b, 0, &q);
	raw_get(t->b, "SIP/2.0 407", 1);
	scene_free(t);
}

/* ---- as a server ----------------------------------------------------------------------------- */

/* [RFC3261 10.2, 10.3] */
TEST_NO_OOM(register_ignores_record_route)
{
	struct scene *t = scene_new();
	struct raw_req q = {.method = "REGISTER",
			    .uri = "sip:" STAGE_SERVER,
			    .to = "<sip:1002@" STAGE_SERVER ">",
			    .contact = B_CONTACT,
			    .extra = "Record-Route: <sip:10.0.0.99;lr>\n"};
	raw_ask(t->b, 0, &q);
	struct raw_msg *m = raw_get(t->b, "SIP/2.0 200", 1);
	CHECK_EQ(raw_count(m, "Record-Route"), 0);
	raw_ask(t->a, 0, &t->call);
	m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Route"), 0);
	busy(t, t->b, m);
	scene_free(t);
}

/* [RFC3261 8.2.7]: nothing is remembered of a request that was challenged. */
TEST_NO_OOM(challenges_keep_their_tag)
{
	struct scene *t = scene_new();
	struct raw_msg *m[2];
	for (int i = 0; i < 2; i++) {
		raw_request(t->a, 0, &t->call);
		m[i] = raw_get(t->a, "SIP/2.0 407", 1);
		stage_run(t->s, 1);
	}
	CHECK(raw_has(m[0], ";tag="));
	CHECK_STR_EQ(raw_header(m[0], "To", 0), raw_header(m[1], "To", 0));
	raw_ack(t->a, 0, &t->call, m[1]);
	scene_free(t);
}

/* [RFC3261 11.2]: OPTIONS is answered as an INVITE would be. */
TEST_NO_OOM(options_answers_like_invite)
{
	static const char *const row[][2] = {
		{"sip:nobody@" STAGE_SERVER, "SIP/2.0 404"},
		{"sip:1002@" STAGE_SERVER,   "SIP/2.0 480"},
		{"sip:echo@" STAGE_SERVER,   "SIP/2.0 200"},
	};
	struct scene *t = scene_new();
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct raw_req q = {.method = "OPTIONS", .uri = row[i][0], .contact = ""};
		raw_ask(t->a, 0, &q);
		raw_get(t->a, row[i][1], 1);
	}
	/* a phone that takes no calls is busy */
	stage_account(t->s, "1003");
	struct stage_phone *p = stage_phone(t->s, "1003", TP_UDP);
	stage_register(t->s, p);
	struct raw_req q = {.method = "OPTIONS", .uri = "sip:1003@" STAGE_SERVER, .contact = ""};
	raw_ask(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 200", 1);
	ph_accept(p->ph, NULL);
	q = (struct raw_req){.method = "OPTIONS", .uri = q.uri, .contact = ""};
	raw_ask(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* [RFC3261 18.2.2] [RFC3581 4]: gateways send from any port, and listen where their Via says. Who
 * asks for rport, or is behind a NAT, is answered where he sent from. */
TEST_NO_OOM(answers_go_to_the_port_that_via_names)
{
	static const struct {
		const char *via;
		int sock;
	} row[] = {
		{"10.0.0.21:5060",       0},
                {"10.0.0.21",            0},
                {"10.0.0.21:5060;rport", 1},
		{"192.168.7.7:5060",     1},
                {"gateway.example",      1},
	};
	struct scene *t = scene_new();
	CHECK_EQ(raw_udp(t->a, 49152), 1);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		raw_say(t->a, 1,
			"OPTIONS sip:" STAGE_SERVER
			" SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-p%zu\n"
			"From: <sip:g@10.0.0.21>;tag=g\nTo: <sip:" STAGE_SERVER ">\n"
			"Call-ID: ports-%zu\nCSeq: 1 OPTIONS\nMax-Forwards: 70\n"
			"Content-Length: 0\n\n",
			row[i].via, i, i);
		CHECK_EQ(raw_get(t->a, "SIP/2.0 200", 1)->sock, row[i].sock);
	}
	scene_free(t);
}

/* ---- media ----------------------------------------------------------------------------------- */

static struct {
	uint64_t bye_us;
	unsigned n_before, n_after;
} sound;

static void listen(void *arg, const struct sim_packet *p)
{
	uint8_t kind = p->bytes.n > 1 ? (uint8_t)p->bytes.p[1] : 0;
	if (p->from.ip[3] != 11) /* the second phone */
		return;
	if (str_starts(p->bytes, STR("BYE ")))
		sound.bye_us = p->at_us;
	if (p->bytes.n < 12 || ((uint8_t)p->bytes.p[0] & 0xc0) != 0x80 ||
	    (kind >= 200 && kind <= 207)) /* RTCP */
		return;
	sound.n_before += !sound.bye_us;
	sound.n_after += sound.bye_us != 0;
}

/* [RFC3261 15.1.1] */
TEST_NO_OOM(media_ends_with_the_bye)
{
	static const struct sim_link lan = {.delay_us = 1000};
	struct stage *s = stage_new(7, 2, &lan);
	struct stage_phone *a = stage_phone(s, "1001", TP_UDP), *b = stage_phone(s, "1002", TP_UDP);
	struct ph_plan plan;
	memset(&sound, 0, sizeof(sound));
	stage_register(s, a);
	stage_register(s, b);
	sim_tap(s->sim, listen, NULL);
	ph_plan_init(&plan);
	ph_plan_init(&b->plan);
	b->plan.hangup_s = 2;
	b->plan.tone_hz = plan.tone_hz = 440;
	stage_call(a, "1002", &plan);
	stage_run(s, 60);
	CHECK_EQ(b->n_ended, 1);
	CHECK(sound.bye_us > 0);
	CHECK(sound.n_before > 50);
	CHECK_EQ(sound.n_after, 0);
	stage_free(s);
}
