/* sips: who is reached by it, over what, and as what a request arrives; with peers of text, whose
 * TLS is plain text. [RFC5630] [RFC3261 16.6 step 4, 26.2.2] */
#include "net/tls_priv.h"
#include "scene.h"

#define TLS_PORT 5061
#define SIPS_B   "sips:1002@" STAGE_SERVER ":5061"
#define B_SIPS   "<sips:1002@10.0.0.22:5061>"
#define B_TLS    "<sip:1002@10.0.0.22:5061;transport=tls>"
#define A_SIPS   "<sips:1001@10.0.0.21:5061>"
#define PHONE_B  ";+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\""

/* The answer to a REGISTER for `uri`. */
static struct raw_msg *bind(struct raw *r, int sock, const char *uri, const char *contact,
			    const char *extra)
{
	struct raw_req q = {.method = "REGISTER",
			    .uri = uri,
			    .to = "<sip:1002@" STAGE_SERVER ">",
			    .contact = contact,
			    .extra = extra};
	raw_ask(r, sock, &q);
	return raw_get(r, "SIP/2.0 ", 2);
}

static int bind_sips(struct scene *t)
{
	int sock = raw_connect_to(t->b, TLS_PORT);
	CHECK(raw_has(bind(t->b, sock, "sips:" STAGE_SERVER, B_SIPS, NULL), "SIP/2.0 200"));
	return sock;
}

static void call(struct scene *t, int sock, const char *uri, const char *contact)
{
	t->call = (struct raw_req){.method = "INVITE", .uri = uri, .contact = contact};
	raw_ask(t->a, sock, &t->call);
}

static void refused(struct scene *t, int sock, const char *warning)
{
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 480", 2);
	CHECK(raw_has(m, warning));
	raw_ack(t->a, sock, &t->call, m);
}

static struct raw_msg *rings(struct scene *t, int b_sock, const char *uri)
{
	struct raw_msg *m = raw_get(t->b, "INVITE ", 2);
	CHECK_EQ(m->sock, b_sock);
	CHECK_STR_EQ(raw_uri(m), str_c(uri));
	return m;
}

static void end(struct scene *t, int sock, const struct raw_msg *invite)
{
	raw_reply(t->b, invite, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 2);
	raw_ack(t->a, sock, &t->call, raw_get(t->a, "SIP/2.0 486", 2));
}

/* Each call as it was made: sips stays sips, sip goes to the same Contact as sip, over its TLS.
 * Both addresses of record are one. [RFC5630 4.1, 5.3] */
static void call_both_ways(struct scene *t)
{
	int b = bind_sips(t), a = raw_connect_to(t->a, TLS_PORT);
	call(t, a, SIPS_B, A_SIPS);
	end(t, a, rings(t, b, "sips:1002@10.0.0.22:5061"));
	call(t, a, TO_B, NULL);
	end(t, a, rings(t, b, "sip:1002@10.0.0.22:5061"));
	call(t, 0, TO_B, NULL); /* over UDP */
	end(t, 0, rings(t, b, "sip:1002@10.0.0.22:5061"));
}

TEST_NO_OOM(sips_stays_and_sip_stays)
{
	struct scene *t = scene_new();
	call_both_ways(t);
	scene_free(t);
}

/* A sip Contact is no sips one, be it reached over TLS or not: 480, Warning 380 [RFC5630 5.3]. */
static void refuse_sip_contact(struct scene *t)
{
	int b = raw_connect_to(t->b, TLS_PORT), a = raw_connect_to(t->a, TLS_PORT);
	raw_register(t->b, b, B_TLS, NULL);
	call(t, a, SIPS_B, A_SIPS);
	refused(t, a, "Warning: 380 ");
	raw_none(t->b, "INVITE ", 1);
	call(t, a, TO_B, NULL);
	end(t, a, rings(t, b, "sip:1002@10.0.0.22:5061;transport=tls"));
	/* of two phones the sips one is asked */
	raw_register(t->c, 0, C_CONTACT, NULL);
	b = bind_sips(t);
	call(t, a, SIPS_B, A_SIPS);
	end(t, a, rings(t, b, "sips:1002@10.0.0.22:5061"));
	raw_none(t->c, "INVITE ", 1);
}

TEST_NO_OOM(sips_needs_a_sips_contact)
{
	struct scene *t = scene_new();
	refuse_sip_contact(t);
	scene_free(t);
}

/* The same through two dialogs. */
static const struct exc_cfg b2bua = {
	.realm = STR_INIT("sim"), .product = STR_INIT("rung"), .is_b2bua = true};

TEST_NO_OOM(sips_in_two_dialogs)
{
	struct scene *t = scene_new_with(&b2bua);
	call_both_ways(t);
	scene_free(t);
	t = scene_new_with(&b2bua);
	refuse_sip_contact(t);
	scene_free(t);
}

/* The sips form of a Contact takes the place of its sip form, and the other way round
 * [RFC5630 5.1.1.1]. */
TEST_NO_OOM(sips_contact_replaces_its_sip_form)
{
	struct scene *t = scene_new();
	int b = raw_connect_to(t->b, TLS_PORT);
	CHECK_EQ(raw_count(bind(t->b, b, "sip:" STAGE_SERVER, "<sip:1002@10.0.0.22:5061>", NULL),
			   "Contact"),
		 1);
	struct raw_msg *m = bind(t->b, b, "sips:" STAGE_SERVER, B_SIPS, NULL);
	CHECK_EQ(raw_count(m, "Contact"), 1);
	CHECK(raw_has(m, "Contact: <sips:"));
	m = bind(t->b, b, "sip:" STAGE_SERVER, "<sip:1002@10.0.0.22:5061>", NULL);
	CHECK_EQ(raw_count(m, "Contact"), 1);
	CHECK(raw_has(m, "Contact: <sip:"));
	scene_free(t);
}

/* A phone that has registered a sips Contact is not called without TLS: 480, Warning 381; a sips
 * Contact that came over UDP is no way at all. [RFC5630 5.3] */
TEST_NO_OOM(sips_contact_without_tls)
{
	for (int i = 0; i < 2; i++) {
		struct scene *t = scene_new_with(
			i ? &b2bua : &(struct exc_cfg){.realm = STR("sim"), .product = STR("r")});
		CHECK(raw_has(bind(t->b, 0, "sips:" STAGE_SERVER, "<sips:1002@x.invalid>", NULL),
			      "SIP/2.0 200"));
		call(t, 0, TO_B, NULL);
		refused(t, 0, "Warning: 381 ");
		raw_none(t->b, "INVITE ", 1);
		scene_free(t);
	}
}

/* Both Record-Routes of a sips call are sips, without transport=tls; what follows inside goes that
 * way. Those of a sip call are sip, also from TLS to UDP. [RFC3261 16.6 step 4] [RFC5630 5.3] */
TEST_NO_OOM(sips_record_routes)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	int b = bind_sips(t), a = raw_connect_to(t->a, TLS_PORT);
	call(t, 0, SIPS_B, A_SIPS); /* not received over TLS: there is one all the same */
	struct raw_msg *m = rings(t, b, "sips:1002@10.0.0.22:5061");
	CHECK_EQ(raw_count(m, "Record-Route"), 2);
	for (unsigned i = 0; i < 2; i++)
		CHECK(str_starts(raw_header(m, "Record-Route", i), STR("<sips:")));
	CHECK(!raw_has(m, "transport=tls"));
	end(t, 0, m);
	call(t, a, SIPS_B, A_SIPS);
	scene_answer(t, t->b, &d);
	CHECK(str_starts(raw_header(d.invite, "Record-Route", 0), STR("<sips:")));
	struct raw_req bye = scene_in_dialog(&d, false, "BYE");
	raw_request(t->b, b, &bye);
	m = raw_get(t->a, "BYE ", 1);
	CHECK_EQ(m->sock, a);
	raw_reply(t->a, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->b, "SIP/2.0 200", 1);
	raw_register(t->c, 0, C_CONTACT, NULL);
	call(t, a, TO_B, NULL);
	m = raw_get(t->c, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Record-Route"), 2);
	for (unsigned i = 0; i < 2; i++)
		CHECK(str_starts(raw_header(m, "Record-Route", i), STR("<sip:")));
	raw_reply(t->c, m, "603 Decline", "c", NULL, NULL);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here", "b", NULL, NULL);
	raw_ack(t->a, a, &t->call, raw_get(t->a, "SIP/2.0 603", 1));
	scene_free(t);
}

/* [RFC5630 5.2]: for a sips Contact the request-URI, all Contacts and all of Path are sips, but not
 * To and From; taking one out is no binding. */
TEST_NO_OOM(sips_contact_is_sips_all_the_way)
{
	static const struct {
		const char *uri, *contact, *extra, *status;
	} rows[] = {
		{"sip:" STAGE_SERVER,  B_SIPS,              NULL,                                               "400"},
		{"sips:" STAGE_SERVER, B_SIPS "," B_TLS,    NULL,                                               "400"},
		{"sips:" STAGE_SERVER, B_SIPS,              "Path: <sip:edge.example;lr>\n",                    "400"},
		{"sips:" STAGE_SERVER, B_SIPS,              "Path: <sips:e.example;lr>\nPath: <sip:edge;lr>\n",
		 "400"											       },
		{"sips:" STAGE_SERVER, B_SIPS,              "Path: <sips:edge.example;lr>\n",                   "200"},
		{"sips:" STAGE_SERVER, B_TLS,               NULL,                                               "200"},
		{"sip:" STAGE_SERVER,  B_SIPS ";expires=0", NULL,                                               "200"},
	};
	struct scene *t = scene_new();
	int b = raw_connect_to(t->b, TLS_PORT);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw_msg *m = bind(t->b, b, rows[i].uri, rows[i].contact, rows[i].extra);
		if (str_find(m->text, str_c(rows[i].status)) != 8)
			test_fail(__FILE__, __LINE__, "row %zu: " STR_FMT, i,
				  STR_ARG(str_sub(m->text, 0, 40)));
		CHECK(raw_has(m, "3016") == (rows[i].status[0] == '4'));
	}
	scene_free(t);
}

static void gruus_of(const struct raw_msg *m, char *pub, char *temp)
{
	static const char *const names[] = {"pub-gruu=\"", "temp-gruu=\""};
	struct str v = raw_header(m, "Contact", 0);
	for (int i = 0; i < 2; i++) {
		struct str rest = str_skip(v, str_find(v, str_c(names[i])) + strlen(names[i]));
		raw_cstr(str_sub(rest, 0, str_chr(rest, '"')), i ? temp : pub, 256);
	}
}

/* A GRUU has the scheme of its Contact, and can be called by the other one as far as the Contact
 * can. [RFC5630 5.2.1] [RFC5627 3.1] */
TEST_NO_OOM(sips_gruus)
{
	struct scene *t = scene_new();
	int b = raw_connect_to(t->b, TLS_PORT), a = raw_connect_to(t->a, TLS_PORT);
	char gruu[2][256], other[256];
	gruus_of(bind(t->b, b, "sips:" STAGE_SERVER, B_SIPS PHONE_B, "Supported: gruu\n"), gruu[0],
		 gruu[1]);
	for (int i = 0; i < 2; i++) {
		CHECK(strncmp(gruu[i], "sips:", 5) == 0);
		call(t, a, gruu[i], A_SIPS);
		end(t, a, rings(t, b, "sips:1002@10.0.0.22:5061"));
		snprintf(other, sizeof(other), "sip:%s", gruu[i] + 5);
		call(t, a, other, NULL);
		end(t, a, rings(t, b, "sip:1002@10.0.0.22:5061"));
	}
	(void)bind(t->b, b, "sip:" STAGE_SERVER, B_SIPS PHONE_B ";expires=0", NULL);
	gruus_of(bind(t->b, b, "sip:" STAGE_SERVER, B_TLS PHONE_B, "Supported: gruu\n"), gruu[0],
		 gruu[1]);
	for (int i = 0; i < 2; i++) {
		CHECK(strncmp(gruu[i], "sip:", 4) == 0);
		call(t, a, gruu[i], NULL);
		end(t, a, rings(t, b, "sip:1002@10.0.0.22:5061;transport=tls"));
		snprintf(other, sizeof(other), "sips:%s", gruu[i] + 4);
		call(t, a, other, A_SIPS);
		refused(t, a, "Warning: 380 ");
	}
	scene_free(t);
}

/* A 3xx that leads from sips to sip, or back, is the caller's to decide: it goes to him even where
 * a rule has the exchange follow. [RFC5630 5.3] */
TEST_NO_OOM(sips_and_sip_do_not_follow_each_other)
{
	for (int i = 0; i < 2; i++) {
		struct scene *t = scene_new_with(
			i ? &b2bua : &(struct exc_cfg){.realm = STR("sim"), .product = STR("r")});
		int b = bind_sips(t), a = raw_connect_to(t->a, TLS_PORT);
		raw_listen(t->x, TLS_PORT);
		scene_policy(t, "recurse: yes\n");
		for (int sips = 0; sips < 2; sips++) {
			call(t, a, sips ? SIPS_B : TO_B, sips ? A_SIPS : NULL);
			struct raw_msg *m = raw_get(t->b, "INVITE ", 2);
			CHECK_EQ(m->sock, b);
			raw_reply(t->b, m, "302 Moved", "b",
				  sips ? "Contact: <sip:1002@10.0.0.99:5060>\n"
				       : "Contact: <sips:1002@10.0.0.99:5061>\n",
				  NULL);
			raw_get(t->b, "ACK ", 1);
			raw_ack(t->a, a, &t->call, raw_get(t->a, "SIP/2.0 302", 2));
			raw_none(t->x, "INVITE ", 1);
		}
		scene_free(t);
	}
}

/* A redirection names each phone as it has registered, whatever was asked for [RFC5630 5.4]. */
TEST_NO_OOM(sips_redirected)
{
	struct scene *t = scene_new();
	int a = raw_connect_to(t->a, TLS_PORT);
	bind_sips(t);
	raw_register(t->c, 0, C_CONTACT, NULL);
	scene_policy(t, "users: {'1002': {mode: redirect}}\n");
	for (int sips = 0; sips < 2; sips++) {
		call(t, a, sips ? SIPS_B : TO_B, sips ? A_SIPS : NULL);
		struct raw_msg *m = raw_get(t->a, "SIP/2.0 302", 1);
		CHECK_EQ(raw_count(m, "Contact"), 2);
		CHECK(raw_has(m, "Contact: <sips:1002@10.0.0.22:5061>"));
		CHECK(raw_has(m, "Contact: <sip:1002@10.0.0.23:5060>"));
		raw_ack(t->a, a, &t->call, m);
	}
	scene_free(t);
}

/* Towards an edge proxy whose Path is sips the Record-Route is too. [RFC3261 16.6 step 4] */
TEST_NO_OOM(sips_behind_an_edge_proxy)
{
	struct scene *t = scene_new();
	int a = raw_connect_to(t->a, TLS_PORT);
	int far = raw_listen(t->x, TLS_PORT);
	CHECK(raw_has(bind(t->b, raw_connect_to(t->b, TLS_PORT), "sips:" STAGE_SERVER, B_SIPS,
			   "Path: <sips:10.0.0.99:5061;lr>\nSupported: path\n"),
		      "SIP/2.0 200"));
	call(t, a, TO_B, NULL);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 2);
	CHECK(m->sock > far);
	CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5061");
	CHECK(str_starts(raw_header(m, "Record-Route", 0), STR("<sips:")));
	CHECK(str_starts(raw_header(m, "Record-Route", 1), STR("<sip:")));
	raw_reply(t->x, m, "486 Busy Here", "x", NULL, NULL);
	raw_ack(t->a, a, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	scene_free(t);
}

/* As an edge proxy: the Path of a sips REGISTER is sips, and what comes by it reaches the phone.
 * [RFC5630 5.2] */
TEST_NO_OOM(sips_as_an_edge_proxy)
{
	static const struct addr_net all = {
		.base = {.family = ADDR_V4, .ip = {10, 0, 0, 20}},
                  .bits = 29
        };
	static const struct exc_cfg cfg = {
		.realm = STR_INIT("sim"), .product = STR_INIT("rung"), .trust = &all, .n_trust = 1};
	struct scene *t = scene_new_with(&cfg);
	int b = raw_connect_to(t->b, TLS_PORT);
	char line[320];
	raw_listen(t->x, TLS_PORT);
	struct raw_req reg = {.method = "REGISTER",
			      .uri = "sips:10.0.0.99",
			      .to = "<sip:1002@10.0.0.99>",
			      .contact = B_SIPS,
			      .extra = "Supported: path, outbound\n"};
	raw_request(t->b, b, &reg);
	struct raw_msg *m = raw_get(t->x, "REGISTER ", 1);
	CHECK(str_starts(raw_header(m, "Path", 0), STR("<sips:")));
	CHECK(!raw_has(m, "transport=tls"));
	snprintf(line, sizeof(line), "Route: " STR_FMT "\n", STR_ARG(raw_header(m, "Path", 0)));
	raw_reply(t->x, m, "200 OK", "x", NULL, NULL);
	raw_get(t->b, "SIP/2.0 200", 1);
	t->call = (struct raw_req){.method = "INVITE",
				   .uri = "sips:1002@10.0.0.22:5061",
				   .from = "<sip:caller@far.example>",
				   .contact = "<sips:caller@10.0.0.99>",
				   .route = line};
	raw_request(t->x, 0, &t->call);
	m = rings(t, b, "sips:1002@10.0.0.22:5061");
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_ack(t->x, 0, &t->call, raw_get(t->x, "SIP/2.0 486", 1));
	scene_free(t);
}

/* A certificate for a name alone: over TLS the route back is that name, and is known when it comes
 * back. [RFC5922 7.5] */
TEST_NO_OOM(a_route_that_the_certificate_names)
{
	struct scene *t = scene_new();
	struct tls_set set = {.self = {.name = "pbx.example.com"}};
	ev_snap_set(&t->s->tls->set, &set);
	int b = bind_sips(t);
	call(t, 0, TO_B, NULL); /* over UDP */
	struct raw_msg *m = rings(t, b, "sip:1002@10.0.0.22:5061");
	CHECK_EQ(raw_count(m, "Record-Route"), 2);
	struct str top = raw_header(m, "Record-Route", 0);
	CHECK(str_find(top, STR("@pbx.example.com;transport=tls;lr>")) != SIZE_MAX);
	CHECK(str_find(raw_header(m, "Record-Route", 1), STR("@10.0.0.1:5060;lr>")) != SIZE_MAX);
	raw_reply(t->b, m, "200 OK", "b", "Contact: " B_TLS "\n", NULL);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 200", 2));
	char from[200], routes[1200];
	struct raw_req bye = {.method = "BYE",
			      .uri = "sip:1001@10.0.0.21:5060",
			      .from = "<" TO_B ">",
			      .to = raw_cstr(raw_header(m, "From", 0), from, sizeof(from)),
			      .tag = "b",
			      .route = raw_routes(m, routes, sizeof(routes)),
			      .cseq = 7};
	raw_cstr(raw_header(m, "Call-ID", 0), bye.call_id, sizeof(bye.call_id));
	raw_request(t->b, b, &bye);
	m = raw_get(t->a, "BYE ", 2);
	CHECK_EQ(raw_count(m, "Route"), 0);
	raw_reply(t->a, m, "200 OK", NULL, NULL, NULL);
	raw_get(t->b, "SIP/2.0 200", 2);
	ev_snap_set(&t->s->tls->set, NULL);
	scene_free(t);
}
