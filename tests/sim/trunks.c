/* Trunks with an upstream of text: registration and digest, calls both ways, probes, limits; and
 * plans walked by the back-to-back user agent. [RFC3261 10, 11, 22] [RFC3263 4.3] */
#include "scene.h"

#include "service/trunks.h"

#define C3_CONTACT "<sip:1003@10.0.0.23:5060>"
#define TO(user)   "sip:" user "@" STAGE_SERVER
#define CHALLENGE  "Digest realm=\"up\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\n"

/* b is 1002, c is 1003, both registered; x is the upstream. */
static struct scene *scene(const char *text)
{
	struct scene *t = scene_new();
	stage_account(t->s, "1003");
	snprintf(t->c->user, sizeof(t->c->user), "1003");
	scene_register(t->b, B_CONTACT);
	scene_register(t->c, C3_CONTACT);
	scene_policy(t, text);
	return t;
}

static void end(struct scene *t)
{
	CHECK_EQ(exc_set_policy(t->s->exc, NULL), OK);
	stage_run(t->s, 40);
	scene_free(t);
}

static void call(struct scene *t, const char *uri)
{
	t->call = (struct raw_req){.method = "INVITE", .uri = uri};
	raw_ask(t->a, 0, &t->call);
}

static void refuse(struct raw *r, const struct raw_msg *invite, const char *status)
{
	raw_reply(r, invite, status, "callee", NULL, NULL);
	raw_get(r, "ACK ", 1);
}

static void accept_register(struct scene *t, const struct raw_msg *m)
{
	char extra[300];
	char contact[200];
	raw_cstr(raw_header(m, "Contact", 0), contact, sizeof(contact));
	snprintf(extra, sizeof(extra), "Contact: %s;expires=100\n", contact);
	raw_reply(t->x, m, "200 OK", "up", extra, NULL);
}

static void take_register(struct scene *t, double seconds)
{
	struct raw_msg *m = raw_get(t->x, "REGISTER ", seconds);
	raw_reply(t->x, m, "401 Unauthorized", "up", "WWW-Authenticate: " CHALLENGE, NULL);
	m = raw_get(t->x, "REGISTER ", 1);
	CHECK(raw_has(m, "Authorization: Digest username=\"me\", realm=\"up\""));
	CHECK(raw_has(m, "\r\nTo: <sip:me@10.0.0.99>\r\n"));
	accept_register(t, m);
}

static const char provider[] =
	"trunks:\n"
	"  up: {hosts: [10.0.0.99], register: yes, user: me, password: secret, set: {X-Line: "
	"'1'},\n"
	"       remove: Subject, numbers: {'555': '1002', '556': '1003'}, otherwise: '1003'}\n"
	"routes: [{to: '0...', trunk: up}]\n";

TEST_NO_OOM(trunk_registers)
{
	struct scene *t = scene(provider);
	take_register(t, 1);
	raw_none(t->x, "REGISTER ", 75);
	accept_register(t, raw_get(t->x, "REGISTER ", 20)); /* the refresh, with credentials */
	scene_policy(t, provider); /* nothing has changed: nothing is said */
	raw_none(t->x, "REGISTER ", 75);
	CHECK_EQ(exc_set_policy(t->s->exc, NULL), OK);
	struct raw_msg *m = raw_get(t->x, "REGISTER ", 1);
	CHECK(raw_has(m, "Expires: 0\r\n"));
	raw_reply(t->x, m, "200 OK", "up", NULL, NULL);
	end(t);
}

/* The exchange ends: its provider need not wait for the registration to expire. */
TEST_NO_OOM(trunk_is_unregistered_at_the_end)
{
	struct scene *t = scene(provider);
	take_register(t, 1);
	stage_run(t->s, 1);
	exc_drain(t->s->exc);
	exc_hangup(t->s->exc, 0, false);
	struct raw_msg *m = raw_get(t->x, "REGISTER ", 1);
	CHECK(raw_has(m, "Expires: 0\r\n"));
	CHECK_EQ(exc_pending(t->s->exc, 0), 1);
	raw_reply(t->x, m, "200 OK", "up", NULL, NULL);
	stage_run(t->s, 1);
	CHECK_EQ(exc_pending(t->s->exc, 0), 0);
	exc_hangup(t->s->exc, 0, true);
	raw_none(t->x, "REGISTER ", 10);
	scene_free(t);
}

/* [RFC3261 20.33] */
TEST_NO_OOM(trunk_refused_waits_as_long_as_it_is_told)
{
	struct scene *t = scene(provider);
	struct raw_msg *m = raw_get(t->x, "REGISTER ", 1);
	raw_reply(t->x, m, "403 Forbidden", "up", "Retry-After: 1800 (maintenance)\n", NULL);
	raw_none(t->x, "REGISTER ", 1790);
	take_register(t, 20);
	stage_run(t->s, 1);
	CHECK_EQ(exc_set_policy(t->s->exc, NULL), OK);
	raw_reply(t->x, raw_get(t->x, "REGISTER ", 1), "200 OK", "up", NULL, NULL);
	end(t);
}

/* [RFC5626 4.1]: the exchange is the same instance to its provider after a restart. */
TEST_NO_OOM(trunk_registers_as_before)
{
	char first[80] = "";
	struct scene *t = scene(provider);
	for (int i = 0; i < 2; i++) {
		struct raw_msg *m = raw_get(t->x, "REGISTER ", 1);
		struct str v = raw_header(m, "Contact", 0);
		size_t at = str_find(v, STR("<urn:uuid:"));
		CHECK(at != SIZE_MAX);
		v = str_sub(v, at, 47);
		if (i)
			CHECK_STR_EQ(v, str_c(first));
		raw_cstr(v, first, sizeof(first));
		stage_crash(t->s);
		stage_open_exchange(t->s);
		raw_flush(t->x);
		scene_policy(t, provider);
	}
	end(t);
}

/* Where the exchange is behind a NAT and nobody has told it so: its provider does, with each
 * answer. From then on it names the address outside to those outside, and is reached by it. */
TEST_NO_OOM(trunk_tells_our_address)
{
	static const char policy[] =
		"trunks:\n"
		"  up: {hosts: [198.51.100.9], register: yes, user: me, password: s, otherwise: "
		"'1001'}\n"
		"routes: [{to: '0...', trunk: up}]\n";
	static const struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	struct scene *t = scene_new_with(&cfg);
	struct raw *far = raw_new(t->s, "198.51.100.9", 5060, "far");
	struct sim_nat *nat = NULL;
	struct addr outside, at;
	struct tp_dst dst = {.proto = TP_UDP, .is_fixed = true};
	CHECK(addr_parse(STR("203.0.113.5"), 0, &outside));
	CHECK_EQ(sim_nat_new(t->s->sim, &outside, 40000000, &nat), OK);
	sim_nat_add(nat, t->s->server);
	sim_nat_add(nat, t->a->host);
	far->tells_source = true;
	raw_register(t->a, 0, "<sip:1001@10.0.0.21:5060>", NULL);
	scene_policy(t, policy);
	struct raw_msg *m = raw_get(far, "REGISTER ", 1);
	dst.to = m->from;
	CHECK(addr_ip_eq(&m->from, &outside));
	CHECK(raw_has(m, "Contact: <sip:me@10.0.0.1:5060>"));
	char mapped[ADDR_TEXT_MAX], text[160];
	addr_text(&m->from, mapped);
	raw_reply(far, m, "200 OK", "up", "Contact: <sip:me@10.0.0.1:5060>;expires=100\n", NULL);
	/* again at once: by the address outside, the old one is taken out */
	m = raw_get(far, "REGISTER ", 1);
	CHECK(raw_has(m, "Contact: <sip:me@10.0.0.1:5060>;expires=0\r\n"));
	snprintf(text, sizeof(text), "\r\nContact: <sip:me@%s>;", mapped);
	CHECK(raw_has(m, text));
	snprintf(text, sizeof(text), "Via: SIP/2.0/UDP %s;", mapped);
	CHECK(raw_has(m, text));
	snprintf(text, sizeof(text), "Contact: <sip:me@%s>;expires=100\n", mapped);
	raw_reply(far, m, "200 OK", "up", text, NULL);
	raw_none(far, "REGISTER ", 60); /* no news; and the mapping is kept open all the time */
	/* a call to that address comes in, and goes on inside by the local one */
	char whole[800];
	snprintf(whole, sizeof(whole),
		 "INVITE sip:030@%s SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bKin;"
		 "rport\r\nMax-Forwards: 70\r\nFrom: <sip:0301@198.51.100.9>;tag=f\r\nTo: "
		 "<sip:030@%s>\r\nCall-ID: in\r\nCSeq: 1 INVITE\r\nContact: "
		 "<sip:0301@198.51.100.9>\r\nContent-Length: 0\r\n\r\n",
		 mapped, mapped);
	raw_bytes_to(far, 0, &dst.to, str_c(whole));
	m = raw_get(t->a, "INVITE ", 1);
	CHECK(raw_has(m, "Via: SIP/2.0/UDP 10.0.0.1:5060;"));
	raw_reply(t->a, m, "486 Busy Here", "a", NULL, NULL);
	raw_get(far, "SIP/2.0 486", 1);
	for (size_t i = 0; i < 2; i++) { /* all shards know, and towards inside nothing changes */
		struct tp *tp = exc_transport(t->s->exc, i);
		CHECK(addr_parse(STR("198.51.100.44"), 5060, &dst.to));
		CHECK_EQ(tp_local_for(tp, &dst, &at), OK);
		CHECK_STR_EQ(str_c(addr_text(&at, text)), str_c(mapped));
		CHECK(tp_is_local(tp, &at));
		CHECK(addr_parse(STR("10.0.0.44"), 5060, &dst.to));
		CHECK_EQ(tp_local_for(tp, &dst, &at), OK);
		CHECK_STR(str_c(addr_text(&at, text)), "10.0.0.1:5060");
	}
	raw_free(far);
	end(t);
}

/* No answer: down, and again with growing pauses; a wrong password: every ten minutes. */
TEST_NO_OOM(trunk_registration_fails)
{
	struct scene *t = scene(provider);
	struct trunk_line line;
	size_t at = 0;
	raw_get(t->x, "REGISTER ", 1);
	stage_run(t->s, 33);
	raw_flush(t->x);
	CHECK(trunks_next(exc_trunks(t->s->exc), &at, &line));
	CHECK_EQ(line.state, TRUNK_DOWN);
	CHECK_STR(line.why, "no answer");
	struct raw_msg *m = raw_get(t->x, "REGISTER ", 31);
	raw_reply(t->x, m, "403 Forbidden", "up", NULL, NULL);
	/* somebody is there again: at once, once */
	m = raw_get(t->x, "REGISTER ", 1);
	raw_reply(t->x, m, "403 Forbidden", "up", NULL, NULL);
	at = 0;
	stage_run(t->s, 1);
	CHECK(trunks_next(exc_trunks(t->s->exc), &at, &line));
	CHECK_EQ(line.state, TRUNK_UP);
	CHECK_STR(line.why, "403 Forbidden");
	raw_none(t->x, "REGISTER ", 590);
	take_register(t, 20);
	end(t);
}

/* Out: in two dialogs, since only we can answer the challenge; as the trunk's user. */
TEST_NO_OOM(trunk_answers_its_challenge)
{
	struct scene *t = scene(provider);
	take_register(t, 1);
	t->call = (struct raw_req){.method = "INVITE", .uri = TO("030"), .extra = "Subject: s\n"};
	raw_ask(t->a, 0, &t->call);
	struct raw_msg *m = raw_get(t->x, "INVITE sip:030@10.0.0.99", 1);
	CHECK(raw_has(m, "\r\nFrom: <sip:me@10.0.0.99>;tag="));
	CHECK(raw_has(m, "\r\nTo: <sip:030@10.0.0.99>\r\n"));
	CHECK(raw_has(m, "\r\nX-Line: 1\r\n") && !raw_has(m, "Subject"));
	raw_reply(t->x, m, "407 Prove It", "up", "Proxy-Authenticate: " CHALLENGE, NULL);
	raw_get(t->x, "ACK ", 1);
	m = raw_get(t->x, "INVITE ", 1);
	CHECK(raw_has(m, "Proxy-Authorization: Digest username=\"me\", realm=\"up\""));
	refuse(t->x, m, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 486", 1);
	end(t);
}

/* It refuses the password: the caller is not asked for it. */
TEST_NO_OOM(trunk_refuses_its_password)
{
	struct scene *t = scene(provider);
	take_register(t, 1);
	call(t, TO("030"));
	for (int i = 0; i < 2; i++) {
		struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
		raw_reply(t->x, m, "401 No", "up", "WWW-Authenticate: " CHALLENGE, NULL);
		raw_get(t->x, "ACK ", 1);
	}
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 503", 1);
	CHECK(raw_has(m, "4037"));
	CHECK_EQ(raw_count(m, "WWW-Authenticate"), 0);
	end(t);
}

static void incoming(struct scene *t, const char *to, struct raw *callee, const char *at)
{
	struct raw_req q = {.method = "INVITE", .uri = TO("me"), .to = to};
	raw_request(t->x, 0, &q);
	struct raw_msg *m = raw_get(callee, "INVITE ", 1);
	CHECK_STR_EQ(raw_uri(m), str_c(at));
	raw_reply(callee, m, "486 Busy Here", "callee", NULL, NULL);
	raw_get(callee, "ACK ", 1);
	raw_ack(t->x, 0, &q, raw_get(t->x, "SIP/2.0 486", 1));
}

/* In: from where the registration was accepted; the number is that of To. Nowhere else. */
TEST_NO_OOM(trunk_calls_in)
{
	struct scene *t = scene(provider);
	struct raw_req q = {.method = "INVITE", .uri = TO("me")};
	raw_request(t->x, 0, &q);
	raw_ack(t->x, 0, &q, raw_get(t->x, "SIP/2.0 407", 1));
	take_register(t, 1);
	incoming(t, "<sip:555@up>", t->b, "sip:1002@10.0.0.22:5060");
	incoming(t, "<sip:556@up>", t->c, "sip:1003@10.0.0.23:5060");
	incoming(t, "<sip:me@up>", t->c, "sip:1003@10.0.0.23:5060");
	q = (struct raw_req){.method = "INVITE", .uri = TO("me"), .to = "<sip:0900@up>"};
	raw_request(t->x, 0, &q); /* not out again */
	struct raw_msg *m = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->c, m, "486 Busy Here", "callee", NULL, NULL);
	raw_ack(t->x, 0, &q, raw_get(t->x, "SIP/2.0 486", 1));
	struct raw *stranger = raw_new(t->s, "10.0.0.77", 5060, "me");
	q = (struct raw_req){.method = "INVITE", .uri = TO("me"), .to = "<sip:555@up>"};
	raw_request(stranger, 0, &q);
	raw_ack(stranger, 0, &q, raw_get(stranger, "SIP/2.0 407", 1));
	raw_free(stranger);
	end(t);
}

static void take_probe(struct raw *r, double seconds, const char *status)
{
	raw_reply(r, raw_get(r, "OPTIONS ", seconds), status, "up", NULL, NULL);
}

/* Down by silence or 503, up by any other answer; a call knows it without trying. */
TEST_NO_OOM(trunk_probes)
{
	struct scene *t = scene("trunks: {up: {hosts: [10.0.0.99], probe: 20s}}\n"
				"routes: [{to: '0...', trunk: up}]\n");
	take_probe(t->x, 1, "404 Not Here");
	call(t, TO("030"));
	struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
	CHECK(raw_has(m, t->call.call_id)); /* no password, no limit: the proxy has it */
	refuse(t->x, m, "486 Busy Here");
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	take_probe(t->x, 21, "503 Maintenance");
	stage_run(t->s, 1);
	call(t, TO("030"));
	m = raw_get(t->a, "SIP/2.0 503", 1);
	CHECK(raw_has(m, "4035"));
	raw_ack(t->a, 0, &t->call, m);
	take_probe(t->x, 21, "200 OK");
	stage_run(t->s, 1);
	call(t, TO("030"));
	refuse(t->x, raw_get(t->x, "INVITE ", 1), "486 Busy Here");
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	raw_get(t->x, "OPTIONS ", 21); /* says nothing any more */
	stage_run(t->s, 5.5);
	call(t, TO("030"));
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 503", 1));
	end(t);
}

/* ---- what calls find out --------------------------------------------------------------------- */

/* Hosts that nobody probes: by the proxy, and by the back-to-back user agent. */
static const char unprobed[] = "trunks: {up: {hosts: [{host: '%s', priority: 1},\n"
			       "    {host: 10.0.0.99, priority: 2}]%s}}\n"
			       "routes: [{to: '0...', trunk: up}]\n";

static struct scene *scene_unprobed(const char *first, const char *more)
{
	char text[300];
	snprintf(text, sizeof(text), unprobed, first, more);
	return scene(text);
}

static void is_called_within(struct scene *t, struct raw *r, double seconds)
{
	call(t, TO("030"));
	refuse(r, raw_get(r, "INVITE ", seconds), "486 Busy Here");
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
}

static void silence_is_remembered(const char *more)
{
	struct scene *t = scene_unprobed("10.0.0.98", more);
	struct trunk_line line;
	size_t at = 0;
	call(t, TO("030"));
	raw_none(t->x, "INVITE ", 4.9);
	refuse(t->x, raw_get(t->x, "INVITE ", 0.3), "486 Busy Here");
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	CHECK(trunks_next(exc_trunks(t->s->exc), &at, &line));
	CHECK_EQ(line.state, TRUNK_DOWN);
	CHECK_STR(line.why, "no answer to a call");
	is_called_within(t, t->x, 0.1); /* the first host is passed over */
	stage_run(t->s, 31);
	at = 0;
	CHECK(trunks_next(exc_trunks(t->s->exc), &at, &line));
	CHECK_EQ(line.state, TRUNK_UNKNOWN);
	call(t, TO("031")); /* and tried again after half a minute */
	raw_none(t->x, "INVITE ", 4.9);
	refuse(t->x, raw_get(t->x, "INVITE ", 0.3), "486 Busy Here");
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	end(t);
}

TEST_NO_OOM(trunk_silent_to_a_call)
{
	silence_is_remembered("");
}

TEST_NO_OOM(trunk_silent_to_a_call_in_two_dialogs)
{
	silence_is_remembered(", max_calls: 5");
}

/* ICMP says it at once; the call that finds it out goes on to the next host without waiting. */
TEST_NO_OOM(trunk_port_closed)
{
	const char *const more[] = {"", ", max_calls: 5"};
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		struct scene *t = scene_unprobed("10.0.0.22:5999", more[i]);
		struct trunk_line line;
		size_t at = 0;
		is_called_within(t, t->x, 1);
		CHECK(trunks_next(exc_trunks(t->s->exc), &at, &line));
		CHECK_EQ(line.state, TRUNK_DOWN);
		is_called_within(t, t->x, 0.1);
		end(t);
	}
}

static void refuse_for(struct raw *r, unsigned seconds, double within)
{
	char extra[40];
	snprintf(extra, sizeof(extra), "Retry-After: %u\n", seconds);
	raw_reply(r, raw_get(r, "INVITE ", within), "503 Later", "callee", extra, NULL);
	raw_get(r, "ACK ", 1);
}

/* A 503: for Retry-After [RFC3261 21.5.4]; the last host is asked again nevertheless. */
static void overload_is_remembered(const char *more)
{
	struct scene *t = scene_unprobed("10.0.0.98", more);
	struct raw *y = raw_new(t->s, "10.0.0.98", 5060, "y");
	call(t, TO("030"));
	refuse_for(y, 60, 1);
	refuse(t->x, raw_get(t->x, "INVITE ", 1), "486 Busy Here");
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	stage_run(t->s, 58);
	is_called_within(t, t->x, 0.1);
	for (int i = 0; i < 2; i++) { /* all that is left of it */
		call(t, TO("030"));
		refuse_for(t->x, 60, 0.1);
		raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 500", 1));
	}
	stage_run(t->s, 3);
	is_called_within(t, y, 0.1);
	raw_free(y);
	end(t);
}

TEST_NO_OOM(trunk_overloaded)
{
	overload_is_remembered("");
}

TEST_NO_OOM(trunk_overloaded_in_two_dialogs)
{
	overload_is_remembered(", max_calls: 5");
}

/* Where probes go, the next one tells. */
TEST_NO_OOM(trunk_comes_back_by_its_probe)
{
	struct scene *t = scene("trunks: {up: {hosts: [{host: '10.0.0.98', priority: 1},\n"
				"    {host: 10.0.0.99, priority: 2}], probe: 100s}}\n"
				"routes: [{to: '0...', trunk: up}]\n");
	struct raw *y = raw_new(t->s, "10.0.0.98", 5060, "y");
	take_probe(y, 1, "200 OK");
	take_probe(t->x, 1, "200 OK");
	call(t, TO("030"));
	raw_get(y, "INVITE ", 1); /* which it does not answer */
	refuse(t->x, raw_get(t->x, "INVITE ", 5.5), "486 Busy Here");
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	stage_run(t->s, 60);
	is_called_within(t, t->x, 0.1);
	raw_flush(y);
	take_probe(y, 45, "200 OK");
	stage_run(t->s, 1);
	is_called_within(t, y, 0.1);
	raw_free(y);
	end(t);
}

/* The account may have another name for its password. */
TEST_NO_OOM(trunk_has_another_name_for_digest)
{
	struct scene *t = scene("trunks: {up: {hosts: [10.0.0.99], register: yes, user: me,\n"
				"    auth_user: other, password: secret}}\n"
				"routes: [{to: '0...', trunk: up}]\n");
	struct raw_msg *m = raw_get(t->x, "REGISTER ", 1);
	raw_reply(t->x, m, "401 Unauthorized", "up", "WWW-Authenticate: " CHALLENGE, NULL);
	m = raw_get(t->x, "REGISTER ", 1);
	CHECK(raw_has(m, "Authorization: Digest username=\"other\", realm=\"up\""));
	CHECK(raw_has(m, "\r\nTo: <sip:me@10.0.0.99>\r\n"));
	accept_register(t, m);
	call(t, TO("030"));
	m = raw_get(t->x, "INVITE sip:030@10.0.0.99", 1);
	raw_reply(t->x, m, "407 Prove It", "up", "Proxy-Authenticate: " CHALLENGE, NULL);
	raw_get(t->x, "ACK ", 1);
	m = raw_get(t->x, "INVITE ", 1);
	CHECK(raw_has(m, "Proxy-Authorization: Digest username=\"other\", realm=\"up\""));
	CHECK(raw_has(m, "\r\nFrom: <sip:me@10.0.0.99>;tag="));
	refuse(t->x, m, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 486", 1);
	end(t);
}

static const char limited[] = "trunks:\n"
			      "  one: {hosts: [10.0.0.99], max_calls: 1, sources: 10.0.0.99,\n"
			      "        otherwise: '1002'}\n"
			      "routes: [{to: '0...', trunk: one}]\n";

/* One call at a time, in or out, also over a reload; the seat is free again when it ends. */
TEST_NO_OOM(trunk_counts_calls)
{
	struct scene *t = scene(limited);
	struct raw_req in = {.method = "INVITE", .uri = TO("77")};
	call(t, TO("030"));
	struct raw_msg *at_x = raw_get(t->x, "INVITE ", 1), *m;
	struct raw_req first = t->call;
	call(t, TO("031"));
	m = raw_get(t->a, "SIP/2.0 503", 1);
	CHECK(raw_has(m, "4036"));
	raw_ack(t->a, 0, &t->call, m);
	scene_policy(t, limited);
	raw_request(t->x, 0, &in);
	raw_ack(t->x, 0, &in, raw_get(t->x, "SIP/2.0 503", 1));
	refuse(t->x, at_x, "486 Busy Here");
	raw_ack(t->a, 0, &first, raw_get(t->a, "SIP/2.0 486", 1));
	in = (struct raw_req){.method = "INVITE", .uri = TO("77")};
	raw_request(t->x, 0, &in);
	m = raw_get(t->b, "INVITE ", 1);
	call(t, TO("032"));
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 503", 1));
	refuse(t->b, m, "486 Busy Here");
	raw_ack(t->x, 0, &in, raw_get(t->x, "SIP/2.0 486", 1));
	CHECK_EQ(trunks_calls(exc_trunks(t->s->exc), 0), 0);
	end(t);
}

/* ---- plans in two dialogs -------------------------------------------------------------------- */

/* Busy, no answer in its time, declined: the next; who is told of the way. */
TEST_NO_OOM(b2bua_hunts)
{
	struct scene *t = scene("mode: b2bua\n"
				"groups:\n"
				"  h: {ring: in-turn, time: 10s, members: ['1002', '1003'],\n"
				"      otherwise: '1002'}\n");
	call(t, TO("h"));
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "603 Decline");
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK(!raw_has(at_c, t->call.call_id));
	raw_reply(t->c, at_c, "180 Ringing", "c", NULL, NULL);
	raw_none(t->c, "CANCEL ", 9.9);
	raw_reply(t->c, raw_get(t->c, "CANCEL ", 0.2), "200 OK", "c", NULL, NULL);
	refuse(t->c, at_c, "487 Request Terminated");
	struct raw_msg *last = raw_get(t->b, "INVITE ", 1);
	CHECK_STR(raw_header(last, "Diversion", 0), "<sip:h@10.0.0.1>;reason=no-answer;counter=1");
	refuse(t->b, last, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 603", 1);
	end(t);
}

/* A trunk's host that says nothing: the next after five seconds, and its seat is free. */
TEST_NO_OOM(b2bua_goes_on_past_silence)
{
	struct scene *t = scene("trunks:\n"
				"  o: {max_calls: 1, hosts: [{host: 10.0.0.98, priority: 1},\n"
				"      {host: 10.0.0.99, priority: 2}]}\n"
				"  p: {max_calls: 1, hosts: [10.0.0.99]}\n"
				"routes: [{to: '0...', trunk: [o, p]}]\n");
	call(t, TO("030"));
	raw_none(t->x, "INVITE ", 4.9);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 0.3);
	refuse(t->x, m, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 486", 1);
	end(t);
}

/* [RFC3261 8.1.3.4] */
TEST_NO_OOM(b2bua_follows_3xx)
{
	struct scene *t = scene("mode: b2bua\nrecurse: yes\n");
	call(t, TO("1002"));
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "302 Moved", "b",
		  "Contact: <sip:1003@10.0.0.1>, <sip:1002@10.0.0.22:5060>\n", NULL);
	raw_get(t->b, "ACK ", 1);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK_STR(raw_uri(at_c), "sip:1003@10.0.0.23:5060");
	refuse(t->c, at_c, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 486", 1);
	raw_none(t->b, "INVITE ", 1);
	end(t);
}

/* The caller gives up in the second step. */
TEST_NO_OOM(b2bua_cancel_in_a_later_step)
{
	struct scene *t = scene("mode: b2bua\n"
				"groups: {h: {ring: in-turn, members: ['1002', '1003', '1002']}}");
	call(t, TO("h"));
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here");
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->c, at_c, "180 Ringing", "c", NULL, NULL);
	raw_get(t->a, "SIP/2.0 180", 1);
	raw_cancel(t->a, 0, &t->call, NULL);
	raw_reply(t->c, raw_get(t->c, "CANCEL ", 1), "200 OK", "c", NULL, NULL);
	refuse(t->c, at_c, "487 Request Terminated");
	raw_get(t->a, "SIP/2.0 487", 1);
	raw_none(t->b, "INVITE ", 30);
	end(t);
}

/* No memory for lines, steps, seats: refused or fewer, and nothing is left behind. */
TEST_NO_OOM(trunk_without_memory)
{
	for (size_t k = 1; k < 14; k++) {
		struct scene *t = scene(limited);
		t->call = (struct raw_req){.method = "INVITE", .uri = TO("030")};
		raw_request(t->a, 0, &t->call);
		raw_answer_challenge(t->a, &t->call, raw_get(t->a, "SIP/2.0 407", 1));
		test_fail_alloc(k);
		raw_request(t->a, 0, &t->call);
		test_fail_alloc(0);
		stage_run(t->s, 1);
		raw_flush(t->x);
		end(t);
	}
}
