/* Phones that are reached over flows: several flows of one phone, one that fails, addresses of one
 * phone among several, with peers of text [RFC5626] [RFC5627]. */
#include "scene.h"

#define PHONE_B  ";+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\""
#define PHONE_C  ";+sip.instance=\"<urn:uuid:00000000-7dec-11d0-a765-00a0c91e6bf6>\""
#define OUTBOUND "Supported: outbound, gruu, path\n"

static void busy_here(struct scene *t, struct raw *r, double within)
{
	struct raw_msg *m = raw_get(r, "INVITE ", within);
	raw_reply(r, m, "486 Busy Here", r->user, NULL, NULL);
	raw_get(r, "ACK ", 1);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
}

static void call_again(struct scene *t, const char *uri)
{
	t->call = (struct raw_req){.method = "INVITE", .uri = uri};
	raw_ask(t->a, 0, &t->call);
}

/* [RFC5626 7]: a phone with two flows rings once; when one fails the other is tried, at once where
 * the connection is gone, and after a 430. */
TEST_NO_OOM(two_flows_of_one_phone)
{
	struct scene *t = scene_new();
	int one = raw_connect(t->b), two = raw_connect(t->b);
	raw_register(t->b, one, "<sip:1002@x.invalid;transport=tcp>" PHONE_B ";reg-id=1", OUTBOUND);
	stage_run(t->s, 2);
	raw_register(t->b, two, "<sip:1002@x.invalid;transport=tcp>" PHONE_B ";reg-id=2", OUTBOUND);
	call_again(t, TO_B);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(m->sock, two); /* the latest */
	raw_none(t->b, "INVITE ", 2);
	raw_reply(t->b, m, "430 Flow Failed", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(m->sock, one);
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	/* another answer is the phone's own: not asked again */
	call_again(t, TO_B);
	busy_here(t, t->b, 1);
	raw_none(t->b, "INVITE ", 2);
	/* its connection ends while it rings */
	call_again(t, TO_B);
	m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(m->sock, two);
	raw_close(t->b, two);
	m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(m->sock, one);
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	call_again(t, TO_B); /* and is known to be down from then on */
	busy_here(t, t->b, 1);
	scene_free(t);
}

/* [RFC5626 4.4, 5.4]: a phone that keeps a flow over a stream is told how often to show that it
 * lives; one that is a little late is not given up. */
TEST_NO_OOM(flow_timer)
{
	struct scene *t = scene_new();
	int b = raw_connect(t->b);
	struct raw_req q = {.method = "REGISTER",
			    .uri = "sip:" STAGE_SERVER,
			    .to = "<sip:1002@" STAGE_SERVER ">",
			    .extra = OUTBOUND,
			    .contact = "<sip:1002@x.invalid;transport=tcp>" PHONE_B ";reg-id=1"};
	raw_ask(t->b, b, &q);
	struct raw_msg *m = raw_get(t->b, "SIP/2.0 200", 1);
	CHECK_STR(raw_header(m, "Flow-Timer", 0), "120");
	CHECK_EQ(raw_header(m, "Date", 0).n, strlen("Sat, 13 Nov 2010 23:29:00 GMT"));
	stage_run(t->s, 240);
	call_again(t, TO_B);
	busy_here(t, t->b, 1);
	q = (struct raw_req){.method = "REGISTER", .uri = q.uri, .to = q.to, .extra = OUTBOUND};
	raw_ask(t->b, 0, &q); /* by UDP, and no flow */
	CHECK_EQ(raw_count(raw_get(t->b, "SIP/2.0 200", 1), "Flow-Timer"), 0);
	scene_free(t);
}

/* A phone that was restarted, whose old binding lives on, rings once; another phone rings too. */
TEST_NO_OOM(a_stale_binding_is_no_branch)
{
	struct scene *t = scene_new();
	raw_register(t->b, 0, "<sip:1002@10.0.0.22:5099>" PHONE_B, NULL); /* nobody is there now */
	stage_run(t->s, 2);
	raw_register(t->b, 0, B_CONTACT PHONE_B, NULL);
	raw_register(t->c, 0, C_CONTACT PHONE_C, NULL);
	call_again(t, TO_B);
	struct raw_msg *mb = raw_get(t->b, "INVITE ", 1), *mc = raw_get(t->c, "INVITE ", 1);
	CHECK_EQ(t->b->n_icmp, 0);
	raw_reply(t->b, mb, "486 Busy Here", "b", NULL, NULL);
	raw_reply(t->c, mc, "486 Busy Here", "c", NULL, NULL);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	/* all ways to a phone are used up: ICMP, then the spare's, then the answer */
	raw_close(t->b, 0);
	call_again(t, TO_B);
	busy_here(t, t->c, 1);
	scene_free(t);
}

/* [RFC5626 6]: the same flow number over another connection: the old one is not used again. */
TEST_NO_OOM(a_flow_moves_to_another_connection)
{
	struct scene *t = scene_new();
	int one = raw_connect(t->b), two = raw_connect(t->b);
	raw_register(t->b, one, "<sip:1002@x.invalid;transport=tcp>" PHONE_B ";reg-id=1", OUTBOUND);
	stage_run(t->s, 2);
	raw_register(t->b, two, "<sip:1002@x.invalid;transport=tcp>" PHONE_B ";reg-id=1", OUTBOUND);
	call_again(t, TO_B);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(m->sock, two);
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	raw_close(t->b, two);
	stage_run(t->s, 1);
	call_again(t, TO_B);
	raw_get(t->a, "SIP/2.0 480", 1);
	raw_none(t->b, "INVITE ", 1);
	scene_free(t);
}

/* The URI in a parameter of the phone's 200. */
static void gruu_of(struct raw *r, int sock, const char *contact, const char *param, char *out,
		    size_t cap)
{
	struct raw_req q = {.method = "REGISTER",
			    .uri = "sip:" STAGE_SERVER,
			    .to = "<sip:1002@" STAGE_SERVER ">",
			    .extra = OUTBOUND,
			    .contact = contact};
	char head[32];
	snprintf(q.call_id, sizeof(q.call_id), "gruu-of-%s", r->ip);
	q.cseq = (unsigned)(sim_now_us(r->stage->sim) / 1000);
	raw_ask(r, sock, &q);
	struct raw_msg *m = raw_get(r, "SIP/2.0 200", 1);
	for (unsigned i = 0; i < raw_count(m, "Contact"); i++) {
		struct str v = raw_header(m, "Contact", i);
		if (str_find(v, str_c(contact + 1)) > 0 && str_find(v, str_c(r->ip)) == SIZE_MAX)
			continue;
		snprintf(head, sizeof(head), "%s=\"", param);
		size_t at = str_find(v, str_c(head));
		CHECK(at != SIZE_MAX);
		v = str_skip(v, at + strlen(head));
		raw_cstr(str_sub(v, 0, str_chr(v, '"')), out, cap);
		return;
	}
	CHECK(false);
}

/* [RFC5627 5.5]: to that phone alone; a temporary one until it registers anew. */
TEST_NO_OOM(gruu_reaches_one_phone)
{
	struct scene *t = scene_new();
	char pub[256], temp[256], newer[256];
	raw_register(t->c, 0, C_CONTACT PHONE_C, NULL);
	gruu_of(t->b, 0, B_CONTACT PHONE_B, "pub-gruu", pub, sizeof(pub));
	stage_run(t->s, 1);
	gruu_of(t->b, 0, B_CONTACT PHONE_B, "temp-gruu", temp, sizeof(temp));
	stage_run(t->s, 1);
	gruu_of(t->b, 0, B_CONTACT PHONE_B, "temp-gruu", newer, sizeof(newer));
	const char *all[] = {pub, temp, newer};
	for (size_t i = 0; i < 3; i++) {
		call_again(t, all[i]);
		struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
		CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5060"); /* without gr */
		raw_none(t->c, "INVITE ", 1);
		raw_flush(t->b); /* retransmissions */
		raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
		raw_get(t->b, "ACK ", 1);
		raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	}
	raw_register(t->b, 0, B_CONTACT PHONE_B, NULL); /* a new Call-ID */
	call_again(t, temp);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 404", 1);
	CHECK(raw_has(m, "4012"));
	raw_ack(t->a, 0, &t->call, m);
	call_again(t, pub);
	busy_here(t, t->b, 1);
	call_again(t, "sip:1002@" STAGE_SERVER ";gr=urn:uuid:nobody");
	raw_get(t->a, "SIP/2.0 480", 1);
	call_again(t, "sip:tgruu.forged@" STAGE_SERVER ";gr");
	raw_get(t->a, "SIP/2.0 404", 1);
	scene_free(t);
}

/* [RFC5627 5.3, 5.4]: a temporary one ends with its contact, each with its account. */
TEST_NO_OOM(gruu_ends_with_what_it_stands_for)
{
	struct scene *t = scene_new();
	char pub[256], temp[256];
	gruu_of(t->b, 0, B_CONTACT PHONE_B, "temp-gruu", temp, sizeof(temp));
	raw_register(t->b, 0, B_CONTACT PHONE_B ";expires=0", NULL);
	call_again(t, temp);
	raw_get(t->a, "SIP/2.0 404", 1);
	stage_run(t->s, 1);
	gruu_of(t->b, 0, B_CONTACT PHONE_B, "temp-gruu", temp, sizeof(temp));
	stage_run(t->s, 1);
	gruu_of(t->b, 0, B_CONTACT PHONE_B, "pub-gruu", pub, sizeof(pub));
	call_again(t, temp);
	busy_here(t, t->b, 1);
	stage_account_del(t->s, "1002");
	call_again(t, temp);
	raw_get(t->a, "SIP/2.0 404", 1);
	call_again(t, pub);
	raw_get(t->a, "SIP/2.0 404", 1);
	raw_none(t->b, "INVITE ", 1);
	scene_free(t);
}

/* [RFC5627 5.5]: a phone whose Contact is its GRUU gets what is inside the dialog too. */
TEST_NO_OOM(gruu_inside_a_dialog)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	char pub[128];
	gruu_of(t->b, 0, B_CONTACT PHONE_B, "pub-gruu", pub, sizeof(pub));
	call_again(t, TO_B);
	scene_answer(t, t->b, &d);
	snprintf(d.a_uri, sizeof(d.a_uri), "%s", pub);
	raw_flush(t->b);
	struct raw_req ack = scene_in_dialog(&d, true, "ACK");
	raw_request(t->a, 0, &ack);
	CHECK_STR(raw_uri(raw_get(t->b, "ACK ", 1)), "sip:1002@10.0.0.22:5060");
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, 0, &bye);
	struct raw_msg *m = raw_get(t->b, "BYE ", 1);
	CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5060");
	raw_reply(t->b, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* [RFC5627 6.1]: a phone behind a proxy of its own, which has put itself into the dialog: the
 * Routes say so, and the Path that the phone has registered with does not say it again. */
TEST_NO_OOM(gruu_inside_a_dialog_behind_a_proxy)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	char pub[128], routes[1200];
	raw_register(t->b, 0, B_CONTACT PHONE_B, "Path: <sip:10.0.0.99;lr>\n");
	gruu_of(t->b, 0, B_CONTACT PHONE_B, "pub-gruu", pub, sizeof(pub));
	raw_register(t->b, 0, B_CONTACT PHONE_B, "Path: <sip:10.0.0.99;lr>\n");
	call_again(t, TO_B);
	scene_answer(t, t->x, &d);
	snprintf(routes, sizeof(routes), "%sRoute: <sip:10.0.0.99;lr>\n", d.a_routes);
	snprintf(d.a_uri, sizeof(d.a_uri), "%s", pub);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	bye.route = routes;
	raw_request(t->a, 0, &bye);
	struct raw_msg *m = raw_get(t->x, "BYE ", 1);
	CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5060");
	CHECK_EQ(raw_count(m, "Route"), 1);
	raw_reply(t->x, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* A call with a phone that has opened a connection of its own and given its GRUU as Contact; then
 * that connection ends. */
static void lose_flow(struct scene *t, struct scene_dialog *d)
{
	char pub[128];
	int sock = raw_connect(t->b);
	gruu_of(t->b, sock, "<sip:1002@10.0.0.22;transport=tcp>" PHONE_B ";reg-id=1", "pub-gruu",
		pub, sizeof(pub));
	call_again(t, TO_B);
	scene_answer(t, t->b, d);
	snprintf(d->a_uri, sizeof(d->a_uri), "%s", pub);
	raw_close(t->b, sock);
	stage_run(t->s, 1);
	raw_flush(t->b);
}

/* [RFC5626 5.3.1]: what is inside a call is not sent after a phone that has gone, and who asked is
 * told at once. */
TEST_NO_OOM(inside_a_dialog_whose_flow_is_gone)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	lose_flow(t, &d);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, 0, &bye);
	CHECK(raw_has(raw_get(t->a, "SIP/2.0 430", 1), "4013"));
	scene_free(t);
}

/* [RFC5627 4.4.1]: a phone that lost its connection in a call and has registered over another is
 * reached there. */
TEST_NO_OOM(inside_a_dialog_over_the_next_flow)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	char pub[128];
	lose_flow(t, &d);
	int sock = raw_connect(t->b);
	gruu_of(t->b, sock, "<sip:1002@10.0.0.22;transport=tcp>" PHONE_B ";reg-id=1", "pub-gruu",
		pub, sizeof(pub));
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, 0, &bye);
	struct raw_msg *m = raw_get(t->b, "BYE ", 1);
	CHECK_EQ(m->sock, sock);
	raw_reply(t->b, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* ---- as an edge proxy -------------------------------------------------------------------------
 */

/* [RFC5626 5.1, 5.3.1] [RFC3327]: a REGISTER for another domain goes on with a Path of ours; what
 * comes back by it reaches the phone over its flow, also inside the dialog; 430 once that is gone.
 */
TEST_NO_OOM(edge_proxy)
{
	static const struct addr_net all = {
		.base = {.family = ADDR_V4, .ip = {10, 0, 0, 20}},
                  .bits = 29
        };
	static const struct exc_cfg cfg = {
		.realm = STR_INIT("sim"), .product = STR_INIT("rung"), .trust = &all, .n_trust = 1};
	struct scene *t = scene_new_with(&cfg);
	char path[300], line[320];
	raw_dns(t->s, "far.example", "10.0.0.99");
	int sock = raw_connect(t->b);
	struct raw_req reg = {.method = "REGISTER",
			      .uri = "sip:far.example",
			      .to = "<sip:1002@far.example>",
			      .extra = "Supported: path, outbound\n",
			      .contact =
				      "<sip:1002@192.168.7.7;transport=tcp>" PHONE_B ";reg-id=1"};
	raw_request(t->b, sock, &reg);
	struct raw_msg *m = raw_get(t->x, "REGISTER ", 1);
	CHECK_EQ(raw_count(m, "Path"), 1);
	raw_cstr(raw_header(m, "Path", 0), path, sizeof(path));
	CHECK(strstr(path, "@10.0.0.1:5060;lr;ob>"));
	raw_reply(t->x, m, "200 OK", "x", NULL, NULL);
	raw_get(t->b, "SIP/2.0 200", 1);
	/* a phone that does not know of Path gets none */
	reg.extra = NULL;
	reg.call_id[0] = reg.branch[0] = 0;
	raw_request(t->b, sock, &reg);
	CHECK_EQ(raw_count(raw_get(t->x, "REGISTER ", 1), "Path"), 0);
	/* nor does one that comes through another proxy, who keeps its flow */
	reg.extra = "Via: SIP/2.0/UDP 192.168.7.7;branch=z9hG4bKinner\n"
		    "Supported: path, outbound\n";
	reg.call_id[0] = reg.branch[0] = 0;
	raw_request(t->b, sock, &reg);
	CHECK(!raw_has(raw_get(t->x, "REGISTER ", 1), ";ob"));

	snprintf(line, sizeof(line), "Route: %s\n", path);
	struct raw_req call = {.method = "INVITE",
			       .uri = "sip:1002@192.168.7.7;transport=tcp",
			       .from = "<sip:caller@far.example>",
			       .route = line};
	raw_request(t->x, 0, &call);
	m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(m->sock, sock);
	CHECK_EQ(raw_count(m, "Route"), 0);
	CHECK(raw_count(m, "Record-Route") > 0);
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	raw_ack(t->x, 0, &call, raw_get(t->x, "SIP/2.0 486", 1));
	/* a token that was tampered with is none: an outsider is challenged */
	struct raw_req forged = {.method = "INVITE", .uri = call.uri, .from = call.from};
	char other[320];
	snprintf(other, sizeof(other), "%s", line);
	other[20] = other[20] == 'A' ? 'B' : 'A';
	forged.route = other;
	raw_request(t->x, 0, &forged);
	raw_ack(t->x, 0, &forged, raw_get(t->x, "SIP/2.0 407", 1));
	raw_close(t->b, sock);
	stage_run(t->s, 1);
	struct raw_req late = {
		.method = "INVITE", .uri = call.uri, .from = call.from, .route = line};
	raw_request(t->x, 0, &late);
	m = raw_get(t->x, "SIP/2.0 430", 1);
	CHECK(raw_has(m, "4013"));
	raw_ack(t->x, 0, &late, m);
	scene_free(t);
}
