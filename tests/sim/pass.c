/* How requests pass: Record-Route and its token, dialogs, strict routers, foreign domains, sizes
 * and transports, with peers of text [RFC3261 16.3] [RFC3261 16.6] [RFC3261 16.12] [RFC3263]
 * [RFC3327] [RFC3581]. */
#include "scene.h"

/* ---- dialogs --------------------------------------------------------------------------------- */

/* [RFC3261 16.6 step 4, 16.12]: both sides go through us, nobody is challenged again */
TEST_NO_OOM(dialog_both_ways_without_challenge)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct raw_req hold = scene_in_dialog(&d, true, "INVITE");
	raw_request(t->a, 0, &hold);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Route"), 0); /* ours was taken off [16.4] */
	raw_reply(t->b, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	struct raw_req ack = hold;
	ack.method = "ACK";
	ack.branch[0] = 0;
	raw_request(t->a, 0, &ack);
	raw_get(t->b, "ACK ", 1);
	struct raw_req back = scene_in_dialog(&d, false, "INVITE");
	raw_request(t->b, 0, &back);
	m = raw_get(t->a, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Route"), 0);
	raw_reply(t->a, m, "488 Not Acceptable Here", NULL, NULL, NULL);
	raw_ack(t->b, 0, &back, raw_get(t->b, "SIP/2.0 488", 1));
	struct raw_req bye = scene_in_dialog(&d, false, "BYE");
	bye.cseq += 2;
	raw_request(t->b, 0, &bye);
	raw_reply(t->a, raw_get(t->a, "BYE ", 1), "200 OK", NULL, NULL, NULL);
	raw_get(t->b, "SIP/2.0 200", 1);
	scene_free(t);
}

/* [RFC3261 16.6]: an ACK goes on only with a token of this very call */
TEST_NO_OOM(ack_by_token_only)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct raw_req foreign = scene_in_dialog(&d, true, "ACK");
	snprintf(foreign.call_id, sizeof(foreign.call_id), "another@call");
	raw_request(t->a, 0, &foreign);
	struct raw_req forged = scene_in_dialog(&d, true, "ACK");
	char *token = strstr(d.a_routes, "sip:") + 4;
	token[5] = token[5] == 'A' ? 'B' : 'A';
	raw_request(t->a, 0, &forged);
	struct raw_req none = scene_in_dialog(&d, true, "ACK");
	none.route = NULL;
	raw_request(t->a, 0, &none);
	raw_none(t->b, "ACK ", 2);
	raw_none(t->a, "SIP/2.0", 0); /* and an ACK is never answered */
	scene_free(t);
}

/* The Contact of the answer leads nowhere: the ACK goes back over the way that the answer came, and
 * the call does not drop after 32 s [RFC3261 13.3.1.4]. */
TEST_NO_OOM(ack_finds_its_way_back)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1), *ok = NULL;
	static const double pause[] = {0.5, 0.5, 1}; /* T1, 2*T1 ... */
	for (size_t i = 0; i < 3; i++) {
		raw_none(t->b, "ACK ", pause[i]);
		raw_reply(t->b, at_b, "200 OK", "b", "Contact: <sip:1002@192.168.1.5>\n", NULL);
		ok = raw_get(t->a, "SIP/2.0 200", 1);
		struct raw_req ack = t->call;
		char to[128], routes[1024];
		ack.method = "ACK";
		ack.uri = "sip:1002@192.168.1.5";
		ack.to = raw_cstr(raw_header(ok, "To", 0), to, sizeof(to));
		ack.route = raw_routes(ok, routes, sizeof(routes));
		ack.branch[0] = 0;
		raw_request(t->a, 0, &ack);
	}
	struct raw_msg *ack = raw_get(t->b, "ACK ", 1);
	CHECK(raw_has(ack, "ACK sip:1002@192.168.1.5 SIP/2.0\r\n"));
	CHECK_EQ(raw_count(ack, "Route"), 0);
	scene_free(t);
}

/* [RFC3261 26.1.4]: a preloaded Route, or a stolen one, opens nothing */
TEST_NO_OOM(forged_tokens_are_challenged)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	snprintf(bye.call_id, sizeof(bye.call_id), "another@call");
	raw_request(t->x, 0, &bye);
	raw_get(t->x, "SIP/2.0 407", 1);
	struct raw_req preloaded = {.method = "INVITE",
				    .uri = "sip:1002@10.0.0.22",
				    .route = "Route: <sip:" STAGE_SERVER ";lr>\n"
					     "Route: <sip:10.0.0.22;lr>\n"};
	raw_request(t->x, 0, &preloaded);
	raw_get(t->x, "SIP/2.0 407", 1);
	struct raw_req tagged = {.method = "BYE",
				 .uri = "sip:1002@10.0.0.22",
				 .to = "<" TO_B ">;tag=callee",
				 .route = "Route: <sip:AAAAAAAAAAAAAAAA@" STAGE_SERVER ";lr>\n"};
	raw_request(t->x, 0, &tagged);
	raw_get(t->x, "SIP/2.0 407", 1);
	raw_none(t->b, "", 3);
	scene_free(t);
}

/* [RFC3261 16.6 step 4] [RFC5658 3.3]: two Record-Routes where the transport changes, and both are
 * taken off again */
TEST_NO_OOM(record_route_twice)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	int tcp = raw_connect(t->b);
	raw_register(t->b, tcp, "<sip:1002@10.0.0.22;transport=tcp>", NULL);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	CHECK_EQ(d.b_sock, tcp);
	CHECK_EQ(raw_count(d.invite, "Record-Route"), 2);
	CHECK(raw_has(d.answer, ";transport=tcp;lr"));
	struct str top = raw_header(d.invite, "Record-Route", 0);
	CHECK(str_find(top, STR(";transport=tcp;lr")) != SIZE_MAX); /* faces the callee */
	top = raw_header(d.invite, "Record-Route", 1);
	CHECK(str_find(top, STR("transport")) == SIZE_MAX);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, 0, &bye);
	struct raw_msg *m = raw_get(t->b, "BYE ", 1);
	CHECK_EQ(m->sock, tcp);
	CHECK_EQ(raw_count(m, "Route"), 0);
	raw_reply(t->b, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* The same the other way: the callee's request finds the caller's connection, which names no
 * listener [RFC5626 5.3]. */
TEST_NO_OOM(record_route_back_to_a_connection)
{
	struct scene *t = scene_new();
	int tcp = raw_connect(t->a);
	scene_register(t->b, B_CONTACT);
	t->call.contact = "<sip:1001@unreachable.invalid;transport=tcp>";
	raw_ask(t->a, tcp, &t->call);
	struct raw_msg *invite = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(raw_count(invite, "Record-Route"), 2);
	raw_reply(t->b, invite, "200 OK", "callee", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	char routes[1024], uri[128], to[128], from[128];
	struct str contact = raw_header(invite, "Contact", 0);
	struct raw_req bye = {
		.method = "BYE",
		.uri = raw_cstr(str_sub(contact, 1, contact.n - 2), uri, sizeof(uri)),
		.to = raw_cstr(raw_header(invite, "From", 0), to, sizeof(to)),
		.from = raw_cstr(raw_header(invite, "To", 0), from, sizeof(from)),
		.tag = "callee",
		.route = raw_routes(invite, routes, sizeof(routes)),
	};
	raw_cstr(raw_header(invite, "Call-ID", 0), bye.call_id, sizeof(bye.call_id));
	raw_request(t->b, 0, &bye);
	struct raw_msg *m = raw_get(t->a, "BYE ", 1);
	CHECK_EQ(m->sock, tcp);
	raw_reply(t->a, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->b, "SIP/2.0 200", 1);
	scene_free(t);
}

/* ---- strict routers -------------------------------------------------------------------------- */

/* [RFC3261 16.4]: one before us has put our Record-Route into the request-URI */
TEST_NO_OOM(strict_router_before_us)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	char ours[256], route[300];
	char *from = strchr(d.a_routes, '<') + 1;
	raw_cstr(str_of(from, (size_t)(strchr(from, '>') - from)), ours, sizeof(ours));
	snprintf(route, sizeof(route), "Route: <%s>\n", d.a_uri);
	bye.uri = ours;
	bye.route = route;
	raw_request(t->a, 0, &bye);
	struct raw_msg *m = raw_get(t->b, "BYE ", 1);
	CHECK_STR_EQ(raw_uri(m), str_c(d.a_uri));
	CHECK_EQ(raw_count(m, "Route"), 0);
	raw_reply(t->b, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* [RFC3261 16.6 step 6]: one behind us finds itself in the request-URI */
TEST_NO_OOM(strict_router_behind_us)
{
	struct scene *t = scene_new();
	struct raw_req q = {.method = "MESSAGE",
			    .uri = "sip:far@far.example",
			    .contact = "",
			    .route = "Route: <sip:" STAGE_SERVER ";lr>, <sip:10.0.0.99>\n"
				     "Route: <sip:next.example;lr>\n",
			    .body = "x"};
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->x, "MESSAGE ", 1);
	CHECK_STR(raw_uri(m), "sip:10.0.0.99");
	CHECK_EQ(raw_count(m, "Route"), 2);
	CHECK_STR(raw_header(m, "Route", 0), "<sip:next.example;lr>");
	CHECK_STR(raw_header(m, "Route", 1), "<sip:far@far.example>");
	raw_reply(t->x, m, "200 OK", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* [RFC3261 16.12]: a loose one gets the request-URI as it is */
TEST_NO_OOM(loose_router_behind_us)
{
	struct scene *t = scene_new();
	struct raw_req q = {.method = "MESSAGE",
			    .uri = "sip:far@far.example",
			    .contact = "",
			    .route = "Route: <sip:" STAGE_SERVER
				     ";lr>, <sip:10.0.0.99;lr>, <sip:z.example;lr>\n",
			    .body = "x"};
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->x, "MESSAGE ", 1);
	CHECK_STR(raw_uri(m), "sip:far@far.example");
	CHECK_STR(raw_header(m, "Route", 0), "<sip:10.0.0.99;lr>, <sip:z.example;lr>");
	raw_reply(t->x, m, "200 OK", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* ---- foreign domains ------------------------------------------------------------------------- */

/* [RFC3261 16.5] [RFC3263 4]: only for those whom we know, by the names' addresses */
TEST_NO_OOM(foreign_domain)
{
	struct scene *t = scene_new();
	raw_dns(t->s, "far.example", "10.0.0.99");
	struct raw_req q = {.method = "INVITE", .uri = "sip:u@far.example"};
	raw_request(t->b, 0, &q);
	raw_ack(t->b, 0, &q, raw_get(t->b, "SIP/2.0 407", 1));
	raw_none(t->x, "", 2);
	t->call.uri = "sip:u@far.example";
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
	CHECK_STR(raw_uri(m), "sip:u@far.example");
	raw_reply(t->x, m, "404 Not Found", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 404", 1);
	scene_free(t);
}

/* [RFC3263 4.3]: ICMP, a connection that fails, 503: the next address at once */
TEST_NO_OOM(fail_over)
{
	struct scene *t = scene_new();
	raw_dns(t->s, "icmp.example", "10.0.0.23");
	raw_dns(t->s, "icmp.example", "10.0.0.99");
	raw_close(t->c, 0); /* the host is there, its port is closed */
	t->call.uri = "sip:u@icmp.example";
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);

	raw_dns(t->s, "tcp.example", "10.0.0.23");
	raw_dns(t->s, "tcp.example", "10.0.0.99");
	raw_listen(t->x, 5060);
	t->call = (struct raw_req){.method = "INVITE", .uri = "sip:u@tcp.example;transport=tcp"};
	raw_ask(t->a, 0, &t->call);
	m = raw_get(t->x, "INVITE ", 3);
	CHECK(!t->x->socks[m->sock].is_udp);
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);

	raw_dns(t->s, "busy.example", "10.0.0.22");
	raw_dns(t->s, "busy.example", "10.0.0.99");
	t->call = (struct raw_req){.method = "INVITE", .uri = "sip:u@busy.example"};
	raw_ask(t->a, 0, &t->call);
	m = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, m, "503 Service Unavailable", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	m = raw_get(t->x, "INVITE ", 1);
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* [RFC3261 16.9, 16.7 step 6]: nothing there at all */
TEST_NO_OOM(unreachable)
{
	struct scene *t = scene_new();
	t->call.uri = "sip:u@unknown.example";
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 500", 10);
	CHECK(raw_has(m, "4008"));
	scene_free(t);
}

/* ---- sizes and transports -------------------------------------------------------------------- */

static const char *large_body(void)
{
	static char body[2001];
	memset(body, 'x', 2000);
	return body;
}

/* [RFC3261 18.1.1]: over 1,300 bytes by TCP where the next hop was ours to choose ... */
TEST_NO_OOM(large_to_a_name_goes_by_tcp)
{
	struct scene *t = scene_new();
	raw_dns(t->s, "far.example", "10.0.0.99");
	raw_listen(t->x, 5060);
	struct raw_req q = {.method = "MESSAGE", .uri = "sip:u@far.example", .contact = ""};
	q.body = large_body();
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->x, "MESSAGE ", 2);
	CHECK(!t->x->socks[m->sock].is_udp);
	CHECK(str_find(raw_header(m, "Via", 0), STR("SIP/2.0/TCP")) == 0);
	CHECK_STR_EQ(raw_body(m), str_c(large_body()));
	raw_reply(t->x, m, "200 OK", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* ... but not to the address from which a phone behind a NAT has registered */
TEST_NO_OOM(large_to_a_phone_stays_udp)
{
	struct scene *t = scene_new();
	scene_register(t->b, "<sip:1002@phone.invalid>");
	raw_listen(t->b, 5060);
	t->call.body = large_body();
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 2);
	CHECK(t->b->socks[m->sock].is_udp);
	CHECK_EQ(m->sock, 0);
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* Its phone is still there and registered; the account is not. */
TEST_NO_OOM(deleted_account_rings_no_more)
{
	struct scene *t = scene_new();
	scene_register(t->b, "<sip:1002@10.0.0.22>");
	stage_account_del(t->s, "1002");
	raw_ask(t->a, 0, &t->call);
	raw_get(t->a, "SIP/2.0 404", 1);
	raw_none(t->b, "INVITE ", 1);
	scene_free(t);
}

/* [RFC3261 20.14, 18.3]: a stream needs a Content-Length, a datagram does not */
TEST_NO_OOM(content_length_on_streams)
{
	struct scene *t = scene_new();
	int tcp = raw_connect(t->b);
	raw_register(t->b, tcp, "<sip:1002@10.0.0.22;transport=tcp>", NULL);
	struct raw_req q = {.method = "MESSAGE", .uri = TO_B, .contact = "", .no_length = true};
	q.body = "four";
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->b, "MESSAGE ", 1);
	CHECK_EQ(m->sock, tcp);
	CHECK_STR(raw_header(m, "Content-Length", 0), "4");
	raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* A phone is reached only over the connection that it opened [RFC5626 5.3]: when that has ended,
 * nobody is dialled. */
TEST_NO_OOM(dead_connection)
{
	struct scene *t = scene_new();
	int tcp = raw_connect(t->b);
	raw_register(t->b, tcp, "<sip:1002@10.0.0.22:5060;transport=tcp>", NULL);
	raw_listen(t->b, 5060);
	raw_close(t->b, tcp);
	stage_run(t->s, 1);
	int n_socks = t->b->n_socks;
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 480", 1);
	CHECK(raw_has(m, "4003"));
	raw_none(t->b, "", 2);
	CHECK_EQ(t->b->n_socks, n_socks);
	scene_free(t);
}

/* The connection ends under a call that rings over it: the branch is lost, not the caller. */
TEST_NO_OOM(connection_ends_while_calling)
{
	struct scene *t = scene_new();
	int tcp = raw_connect(t->b);
	raw_register(t->b, tcp, "<sip:1002@10.0.0.22:5060;transport=tcp>", NULL);
	raw_ask(t->a, 0, &t->call);
	raw_get(t->b, "INVITE ", 1);
	raw_close(t->b, tcp);
	raw_get(t->a, "SIP/2.0 500", 2);
	scene_free(t);
}

/* [RFC3327 5]: the binding's Path is the Route, its first hop the next hop */
TEST_NO_OOM(path_is_route)
{
	struct scene *t = scene_new();
	raw_register(t->b, 0, "<sip:1002@192.168.0.2>",
		     "Path: <sip:10.0.0.99;lr>\nPath: <sip:inner.example;lr>\nSupported: path\n");
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
	CHECK_STR(raw_uri(m), "sip:1002@192.168.0.2");
	CHECK_STR(raw_header(m, "Route", 0), "<sip:10.0.0.99;lr>, <sip:inner.example;lr>");
	CHECK(raw_count(m, "Record-Route") > 0); /* [RFC5627 6.2] */
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* [RFC3261 16.2, 7.1]: methods are no business of a proxy */
TEST_NO_OOM(methods_pass)
{
	static const char *const methods[] = {"MESSAGE", "OPTIONS", "INFO",
					      "REFER",   "UPDATE",  "FROB"};
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct raw_req q = {.method = methods[i],
				    .uri = TO_B,
				    .extra = "X-Odd:  kept ; as=is \nContent-Type: a/b\n",
				    .body = "line\n"};
		raw_ask(t->a, 0, &q);
		struct raw_msg *m = raw_get(t->b, methods[i], 1);
		CHECK(raw_has(m, "X-Odd:  kept ; as=is \r\n"));
		CHECK_STR(raw_body(m), "line\r\n");
		raw_reply(t->b, m, "299 Fine", "b", "X-Back: too\n", NULL);
		m = raw_get(t->a, "SIP/2.0 299 Fine", 1);
		CHECK(raw_has(m, "X-Back: too\r\n"));
	}
	scene_free(t);
}

/* A request that comes over a connection which we opened: the Record-Route names our listener, not
 * that connection's own port [RFC3261 16.6 step 4]. */
TEST_NO_OOM(record_route_of_our_connection)
{
	struct addr_net net;
	struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	CHECK(addr_net_parse(STR("10.0.0.99/32"), &net));
	cfg.trust = &net;
	cfg.n_trust = 1;
	struct scene *t = scene_new_with(&cfg);
	scene_register(t->b, B_CONTACT);
	raw_listen(t->x, 5060);
	struct raw_req q = {.method = "MESSAGE", .uri = "sip:u@10.0.0.99;transport=tcp"};
	q.contact = "";
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->x, "MESSAGE ", 1);
	raw_reply(t->x, m, "200 OK", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	struct raw_req call = {.method = "INVITE", .uri = TO_B, .from = "<sip:u@far.example>"};
	raw_request(t->x, m->sock, &call);
	m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Record-Route"), 2);
	CHECK(str_find(raw_header(m, "Record-Route", 0), STR("@10.0.0.1:5060;lr")) != SIZE_MAX);
	CHECK(str_find(raw_header(m, "Record-Route", 1), STR("@10.0.0.1:5060;transport=tcp;lr")) !=
	      SIZE_MAX);
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->x, "SIP/2.0 486", 1);
	scene_free(t);
}

/* [RFC3966] [RFC3261 19.1.6]: a number is a user of ours */
TEST_NO_OOM(tel_uri)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	struct raw_req q = {.method = "MESSAGE", .uri = "tel:1002", .contact = ""};
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->b, "MESSAGE ", 1);
	CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5060");
	raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* The Via lines of a hundred requests on one stream of a peer who reads slowly stay in order, and
 * another phone is served meanwhile [RFC3261 18.3]. */
TEST_NO_OOM(requests_keep_their_order)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	int tcp = raw_connect(t->b);
	raw_register(t->b, tcp, "<sip:1002@10.0.0.22;transport=tcp>", NULL);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct raw_req info = scene_in_dialog(&d, true, "INFO");
	for (int i = 0; i < 100; i++) {
		info.branch[0] = 0;
		info.cseq++;
		raw_request(t->a, 0, &info);
	}
	stage_run(t->s, 0.1);
	for (int i = 0; i < 100; i++) {
		char cseq[32];
		struct raw_msg *m = raw_get(t->b, "INFO ", 1);
		snprintf(cseq, sizeof(cseq), "%u INFO", info.cseq - 99 + (unsigned)i);
		CHECK_STR_EQ(raw_header(m, "CSeq", 0), str_c(cseq));
		raw_reply(t->b, m, "200 OK", NULL, NULL, NULL);
	}
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* A connection of an earlier run, named in a token, and one of now that has its id: what is meant
 * for the one does not reach the other. */
TEST_NO_OOM(token_of_an_earlier_run)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	int sock = raw_connect(t->b);
	raw_register(t->b, sock, "<sip:1002@10.0.0.22:5060;transport=tcp>", NULL);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	stage_crash(t->s);
	stage_open_exchange(t->s);
	for (int i = 0; i < 8; i++) /* one of them gets the id */
		raw_connect(t->c);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, d.a_sock, &bye);
	raw_none(t->c, "BYE ", 1);
	raw_get(t->a, "SIP/2.0 500", 1);
	scene_free(t);
}
