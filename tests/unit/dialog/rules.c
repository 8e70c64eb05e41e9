/* What every message of a user agent must be, looked at as text on the wire: the demands of RFC
 * 3261 that no single case is about (docs/must/rfc3261.tsv). [RFC3261 8.1, 8.2, 12, 20] */
#include "shots.h"

#include <string.h>

/* --- what each one must be -------------------------------------------------------------------- */

/* No parameter twice [RFC3261 7.3.1, 19.1.1]. */
static void check_params(struct str params)
{
	struct str rest = params, name, value, others, other;
	while (sip_param_next(&rest, &name, &value)) {
		unsigned n = 0;
		others = params;
		while (sip_param_next(&others, &other, &value))
			n += str_ieq(name, other);
		CHECK_EQ(n, 1);
	}
}

static void check_address(const char *text, const char *name)
{
	struct str v = shot_line(text, name, 0);
	struct sip_uri u;
	if (!v.n)
		return;
	CHECK_EQ(sip_uri_parse(in_brackets(v), &u), OK);
	check_params(u.params);
	check_params(str_skip(v, str_chr(v, '>') + 1));
}

static void check_lines(const char *text)
{
	static const char *const once[] = {"To", "From", "CSeq", "Call-ID", "Content-Length"};
	const char *end = strstr(text, "\r\n\r\n");
	uint32_t n = 0;
	CHECK(end);
	for (const char *p = text; p < end; p++)
		CHECK(*p != '\n' || p[-1] == '\r');
	for (size_t i = 0; i < ARRAY_LEN(once); i++)
		CHECK_EQ(shot_count(text, once[i]), 1);
	CHECK(str_u32(shot_line(text, "Content-Length", 0), &n));
	CHECK_EQ(n, strlen(end + 4));
	CHECK_EQ(shot_count(text, "Content-Type"), n > 0);
	CHECK_EQ(shot_count(text, "Content-Encoding"), 0);
	check_address(text, "To");
	check_address(text, "From");
	check_address(text, "Contact");
}

static void check_supported(const char *text)
{
	static const char *const known[] = {"path",   "outbound", "gruu",
					    "100rel", "timer",    "replaces"};
	struct str rest = shot_line(text, "Supported", 0);
	while (rest.n) {
		struct str tag = str_trim(str_cut(rest, ',', &rest));
		bool is_known = false;
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			is_known |= str_eq(tag, str_c(known[i]));
		CHECK(is_known);
	}
}

static void check_via(const char *text)
{
	struct str via = shot_line(text, "Via", 0), rest;
	CHECK_EQ(shot_count(text, "Via"), 1);
	CHECK(str_starts(via, STR("SIP/2.0/UDP 10.0.0.")));
	CHECK(has(via, ";branch=z9hG4bK"));
	str_cut(via, ';', &rest);
	check_params(rest);
}

static void check_request(const char *text)
{
	static const char *const foreign[] = {"Require",     "Proxy-Require", "WWW-Authenticate",
					      "Unsupported", "Min-Expires",   "Proxy-Authenticate",
					      "Server",      "Warning",       "Authentication-Info",
					      "Retry-After", "Error-Info"};
	struct str first = str_sub(str_c(text), 0, str_find(str_c(text), STR("\r\n")));
	struct str method = str_sub(first, 0, str_chr(first, ' ')), uri = shot_uri(text);
	check_lines(text);
	check_via(text);
	check_supported(text);
	CHECK(str_ends(first, STR(" SIP/2.0")));
	CHECK(uri.n && !has(uri, "<") && !has(uri, ">"));
	CHECK_EQ(method.n + uri.n + strlen("  SIP/2.0"), first.n);
	CHECK_STR(shot_line(text, "Max-Forwards", 0), "70");
	CHECK(shot_cseq(text) < 1u << 31);
	CHECK(str_ends(shot_line(text, "CSeq", 0), method));
	CHECK(has(shot_line(text, "From", 0), ";tag="));
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		CHECK_EQ(shot_count(text, foreign[i]), 0);
	if (!str_eq(method, STR("INVITE")) && !str_eq(method, STR("REGISTER")))
		return;
	CHECK_EQ(shot_count(text, "Contact"), 1);
	CHECK(str_starts(shot_line(text, "Contact", 0), STR("<sip:")));
	CHECK(!has(shot_line(text, "Contact", 0), ","));
}

/* Requests share a branch only with their own ACK [RFC3261 8.1.1.7]. */
static void check_branches(void)
{
	for (unsigned i = 0; i < n_shots; i++)
		for (unsigned k = 0; k < i; k++) {
			const char *x = shots[k].text, *y = shots[i].text;
			if (!shot_is_request(x) || !shot_is_request(y) || strcmp(x, y) == 0 ||
			    !str_eq(shot_line(x, "Via", 0), shot_line(y, "Via", 0)))
				continue;
			CHECK(str_starts(str_c(y), STR("ACK ")));
			CHECK_EQ(shot_cseq(x), shot_cseq(y));
		}
}

static bool registrar(struct party *p, tsx_id st, struct tp_rx *rx)
{
	char text[256];
	struct buf b;
	if (rx->msg->method != SIP_REGISTER)
		return false;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b, "Contact: " STR_FMT ";expires=60\r\nRecord-Route: <sip:10.0.0.9;lr>\r\n",
		STR_ARG(sip_value(rx->msg, SIP_HDR_CONTACT)));
	CHECK_EQ(tsx_reply(p->tsx, st, 200, STR_NONE, buf_view(&b)), OK);
	return true;
}

static void on_rgc(void *ctx, struct rgc *r, const struct rgc_event *ev)
{
	struct party *p = ctx;
	if (ev->kind == RGC_EV_UNREGISTERED)
		p->rgc = NULL;
}

static void begin_registration(struct pair *p)
{
	static const struct rgc_user user = {.on_event = on_rgc};
	struct rgc_config cfg = {.account = party_account(p->a)};
	cfg.account.from = STR("<sip:a@10.0.0.2>");
	CHECK_EQ(rgc_new(p->a->dlg, &cfg, &user, p->a, &p->a->rgc), OK);
}

static void end_registration(struct pair *p)
{
	rgc_free(p->a->rgc);
	p->a->rgc = NULL;
	pair_free(p);
}

TEST(requests_have_what_they_must)
{
	struct pair p = watched();
	unsigned done;
	p.b->on_request = registrar;
	p.b->password = "secret";
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	modify(p.a);
	world_run(p.w, 1000);
	hangup(p.a);
	world_run(p.w, 1000);
	outside(p.a, p.b, "OPTIONS", "", "", "", &done);
	outside(p.a, p.b, "MESSAGE", "", "text/plain", "hello", &done);
	world_run(p.w, 1000);
	begin_registration(&p);
	world_run(p.w, 1000);
	for (unsigned i = 0; i < n_shots; i++)
		if (shot_is_request(shots[i].text))
			check_request(shots[i].text);
	check_branches();
	static const char *const first[] = {"INVITE ", "OPTIONS ", "MESSAGE ", "REGISTER "};
	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		const char *x = shot('a', first[i], 0);
		CHECK(!has(shot_line(x, "To", 0), ";tag="));
		for (size_t k = 0; k < i; k++) {
			const char *y = shot('a', first[k], 0);
			CHECK(!str_eq(shot_line(x, "Call-ID", 0), shot_line(y, "Call-ID", 0)));
			CHECK(!str_eq(shot_line(x, "From", 0), shot_line(y, "From", 0)));
		}
	}
	end_registration(&p);
}

/* [RFC3261 19.3] */
TEST(tags_are_random)
{
	struct pair p = watched();
	unsigned done;
	for (int i = 0; i < 8; i++)
		outside(p.a, p.b, "OPTIONS", "", "", "", &done);
	world_run(p.w, 100);
	for (unsigned i = 0; i < 8; i++)
		for (unsigned k = 0; k < i; k++)
			for (int to = 0; to < 2; to++) {
				const char *start = to ? "SIP/2.0 " : "OPTIONS ",
					   *name = to ? "To" : "From";
				struct str x = shot_line(shot(to ? 'b' : 'a', start, i), name, 0),
					   y = shot_line(shot(to ? 'b' : 'a', start, k), name, 0);
				size_t at = str_find(x, STR(";tag="));
				CHECK(at != SIZE_MAX && x.n - at >= 5 + 8); /* hex digits */
				CHECK(!str_eq(x, y));
			}
	pair_free(&p);
}

/* Whoever takes a Contact or a sent-by of ours finds us there [RFC3261 8.1.1.8, 18.1.1]. */
TEST(contact_is_where_we_are)
{
	struct pair p = watched();
	unsigned done = 0;
	char contact[128];
	struct uac *u;
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	const char *invite = shot('a', "INVITE ", 0);
	CHECK(str_starts(shot_line(invite, "Via", 0), STR("SIP/2.0/UDP 10.0.0.1:5060;")));
	CHECK(str_copy(contact, sizeof(contact), in_brackets(shot_line(invite, "Contact", 0))));
	struct uac_account acc = party_account(p.b);
	struct uac_request req = {.method = STR("OPTIONS"), .ruri = str_c(contact)};
	outside_with(p.b, &acc, &req, &done, &u);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	hangup(p.a);
	pair_free(&p);
}

/* --- inside a dialog -------------------------------------------------------------------------- */

static void check_cseqs(char from, uint32_t last)
{
	for (unsigned i = 0; i < n_shots; i++) {
		const char *m = shots[i].text;
		if (shots[i].from != from || !shot_is_request(m))
			continue;
		if (!str_starts(str_c(m), STR("ACK ")))
			CHECK_EQ(shot_cseq(m), last + 1);
		last = shot_cseq(m);
	}
}

TEST(requests_inside_a_dialog)
{
	struct pair p = watched();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK_EQ(ses_info(call_of(p.a), STR("text/plain"), STR("x")), OK);
	world_run(p.w, 1000);
	modify(p.a);
	world_run(p.w, 1000);
	modify(p.b);
	world_run(p.w, 1000);
	hangup(p.b);
	world_run(p.w, 1000);
	const char *invite = shot('a', "INVITE ", 0), *ok = shot('b', "SIP/2.0 200", 0);
	CHECK(has(shot_line(ok, "To", 0), ";tag="));
	for (unsigned i = 0; i < n_shots; i++) {
		const char *m = shots[i].text;
		bool is_a = shots[i].from == 'a';
		if (!shot_is_request(m) || m == invite)
			continue;
		CHECK_STR_EQ(shot_line(m, "Call-ID", 0), shot_line(invite, "Call-ID", 0));
		CHECK_STR_EQ(shot_line(m, "From", 0),
			     is_a ? shot_line(invite, "From", 0) : shot_line(ok, "To", 0));
		CHECK_STR_EQ(shot_line(m, "To", 0),
			     is_a ? shot_line(ok, "To", 0) : shot_line(invite, "From", 0));
		CHECK_STR_EQ(shot_uri(m), in_brackets(shot_line(is_a ? ok : invite, "Contact", 0)));
		CHECK_EQ(shot_count(m, "Route"), 0);
		CHECK_EQ(shot_count(m, "Require") + shot_count(m, "Proxy-Require"), 0);
	}
	check_cseqs('a', shot_cseq(invite) - 1);
	check_cseqs('b', shot_cseq(shot('b', "INVITE ", 0)) - 1);
	CHECK(shot_cseq(shot('b', "INVITE ", 0)) < 1u << 31);
	CHECK(str_ends(shot_line(shot('a', "ACK ", 0), "CSeq", 0), STR(" ACK")));
	CHECK_EQ(shot_cseq(shot('a', "ACK ", 0)), shot_cseq(invite));
	pair_free(&p);
}

static void check_copied(const char *resp, const char *req, const char *name)
{
	CHECK_STR_EQ(shot_line(resp, name, 0), shot_line(req, name, 0));
}

/* [RFC3261 8.2.6.2, 12.1.1, 13.3.1.1] */
TEST(responses_copy_the_request)
{
	static const char *const foreign[] = {
		"Max-Forwards",  "Authorization",       "Route",      "Priority", "Subject",
		"Proxy-Require", "Proxy-Authorization", "In-Reply-To"};
	struct pair p = watched();
	party_new(p.w, "c");
	struct ses_call call = {.target = str_c(party_uri(p.b, "")),
				.headers = STR("Record-Route: <sip:10.0.0.3;lr;x=y>;z=\"q\"\r\n"
					       "Record-Route: <sip:far.example;lr>\r\n")};
	p.b->ring = 180;
	p.b->answer = 200;
	p.b->answer_ms = 70000;
	party_call_with(p.a, &call);
	world_run(p.w, 71000);
	const char *invite = shot('a', "INVITE ", 0);
	struct str to = shot_line(shot('b', "SIP/2.0 200", 0), "To", 0);
	CHECK(str_starts(to, shot_line(invite, "To", 0)));
	CHECK(has(str_skip(to, shot_line(invite, "To", 0).n), ";tag="));
	for (unsigned i = 0; i < n_shots; i++) {
		const char *m = shots[i].text;
		if (shots[i].from != 'b' || shot_is_request(m))
			continue;
		check_lines(m);
		CHECK(str_starts(str_c(m), STR("SIP/2.0 ")));
		for (size_t k = 0; k < ARRAY_LEN(foreign); k++)
			CHECK_EQ(shot_count(m, foreign[k]), 0);
		if (shot_cseq(m) != shot_cseq(invite) || !has(shot_line(m, "CSeq", 0), "INVITE"))
			continue;
		check_copied(m, invite, "From");
		check_copied(m, invite, "Call-ID");
		check_copied(m, invite, "CSeq");
		struct str via = shot_line(invite, "Via", 0);
		CHECK(str_starts(shot_line(m, "Via", 0),
				 str_sub(via, 0, str_find(via, STR(";rport")))));
		CHECK_EQ(shot_count(m, "Via"), 1);
		CHECK_STR_EQ(shot_line(m, "To", 0), to);
		CHECK_STR(shot_line(m, "Record-Route", 0), "<sip:10.0.0.3;lr;x=y>;z=\"q\"");
		CHECK_STR(shot_line(m, "Record-Route", 1), "<sip:far.example;lr>");
		CHECK_EQ(shot_count(m, "Contact"), 1);
		CHECK(str_starts(shot_line(m, "Contact", 0), STR("<sip:b@10.0.0.2")));
	}
	hangup(p.b);
	hangup(p.a);
	pair_free(&p);
}
