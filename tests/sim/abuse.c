/* Those who abuse the exchange, with peers of text: guessers, scanners, floods, and the owner
 * beside them; what is answered to strangers; what they cannot have [RFC3261 22, 26]. */
#include "base/assert.h"
#include "base/limits.h"
#include "scene.h"
#include "service/ban.h"

/* ---- asking ---------------------------------------------------------------------------------- */

static struct raw_req reg_of(const char *user)
{
	static char to[8][80];
	static unsigned at;
	char *mem = to[at++ % 8];
	snprintf(mem, sizeof(to[0]), "<sip:%s@" STAGE_SERVER ">", user);
	return (struct raw_req){.method = "REGISTER", .uri = "sip:" STAGE_SERVER, .to = mem};
}

/* A REGISTER with wrong credentials for its challenge; false: no answer came to it. */
static bool guess(struct scene *t, struct raw *r, const char *user)
{
	struct raw_req q = reg_of(user);
	char own[sizeof(r->user)];
	snprintf(own, sizeof(own), "%s", r->user);
	raw_request(r, 0, &q);
	stage_run(t->s, 0.02);
	struct raw_msg *m = raw_poll(r, "SIP/2.0 401");
	if (!m)
		return false;
	snprintf(r->user, sizeof(r->user), "%s", user);
	raw_answer_challenge(r, &q, m);
	snprintf(r->user, sizeof(r->user), "%s", own);
	char *response = strstr(q.auth, "response=\"");
	CHECK(response);
	response[10] = response[10] == '0' ? '1' : '0';
	raw_request(r, 0, &q);
	stage_run(t->s, 0.02);
	m = raw_poll(r, "SIP/2.0 401");
	return m != NULL;
}

static bool is_heard(struct scene *t, struct raw *r, int sock)
{
	struct raw_req q = {.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
	raw_flush(r);
	raw_request(r, sock, &q);
	stage_run(t->s, 0.1);
	return raw_poll(r, "SIP/2.0 200") != NULL;
}

static bool explains(struct scene *t, const char *who, const char *text)
{
	struct buf b;
	buf_init(&b);
	CHECK_EQ(ban_explain(exc_bans(t->s->exc), str_c(who), &b), OK);
	bool is_there = str_find(buf_view(&b), str_c(text)) != SIZE_MAX;
	if (!is_there)
		fprintf(stderr, STR_FMT "\n", STR_ARG(buf_view(&b)));
	buf_fini(&b);
	return is_there;
}

static size_t n_banned(struct scene *t)
{
	struct ban_stats stats;
	ban_stats(exc_bans(t->s->exc), &stats);
	return stats.n_banned;
}

/* ---- guessers -------------------------------------------------------------------------------- */

TEST_NO_OOM(a_guesser_is_banned_for_longer_each_time)
{
	static const struct {
		unsigned s;
		const char *said;
	} bans[] = {
		{60,   "for 60 s more"  },
                {600,  "for 10 min more"},
                {3600, "for 60 min more"}
        };
	struct scene *t = scene_new();
	int tcp = raw_connect(t->x);
	for (size_t i = 0; i < ARRAY_LEN(bans); i++) {
		unsigned n = 0;
		while (n < 30 && guess(t, t->x, n % 2 ? "1001" : "nobody"))
			n++;
		CHECK(n >= 10 && n <= 20); /* a hundred points, and what came before the report */
		CHECK(!is_heard(t, t->x, 0));
		CHECK(is_heard(t, t->x, tcp)); /* who it was by UDP, nobody knows for sure */
		CHECK(explains(t, "10.0.0.99", "is banned, by UDP"));
		CHECK(explains(t, "10.0.0.99", bans[i].said));
		CHECK(explains(t, "10.0.0.99", "wrong password"));
		CHECK(explains(t, "10.0.0.99", "REGISTER"));
		CHECK(is_heard(t, t->a, 0));
		stage_run(t->s, bans[i].s + 1);
		CHECK(is_heard(t, t->x, 0));
		CHECK_EQ(n_banned(t), 0);
	}
	CHECK(strstr(t->s->notes, "10.0.0.99 (UDP) is banned for 60 s: "));
	scene_free(t);
}

TEST_NO_OOM(a_guesser_by_tcp_is_cut_off_wholly)
{
	struct scene *t = scene_new();
	int tcp = raw_connect(t->x);
	for (unsigned i = 0; i < 14; i++) {
		struct raw_req q = reg_of("1001");
		raw_request(t->x, tcp, &q);
		raw_answer_challenge(t->x, &q, raw_get(t->x, "SIP/2.0 401", 1));
		raw_request(t->x, tcp, &q); /* as "nobody", who is not there */
		stage_run(t->s, 0.02);
		raw_flush(t->x);
		if (n_banned(t))
			break;
	}
	stage_run(t->s, 1);
	CHECK_EQ(n_banned(t), 1);
	CHECK(!is_heard(t, t->x, 0));
	CHECK(!is_heard(t, t->x, tcp));
	stage_run(t->s, 1);
	CHECK(t->x->socks[tcp].has_ended);
	scene_free(t);
}

/* An old phone with a wrong password behind the owner's NAT, for an hour. */
TEST_NO_OOM(the_owner_is_not_locked_out_by_his_own_phone)
{
	struct scene *t = scene_new();
	raw_register(t->a, 0, "<sip:1001@10.0.0.21:5060>", NULL);
	for (unsigned i = 0; i < 600; i++) {
		CHECK(guess(t, t->a, "1002"));
		stage_run(t->s, 3);
		if (i % 150 == 149)
			raw_register(t->a, 0, "<sip:1001@10.0.0.21:5060>", NULL);
	}
	CHECK_EQ(n_banned(t), 0);
	CHECK(explains(t, "10.0.0.21", "1000 (somebody has logged in"));
	/* but whoever attacks hard from there is */
	for (unsigned i = 0; i < 400 && guess(t, t->a, "1002"); i++)
		;
	CHECK_EQ(n_banned(t), 1);
	CHECK(is_heard(t, t->b, 0));
	scene_free(t);
}

TEST_NO_OOM(a_registration_vouches_for_its_address_after_a_restart)
{
	struct scene *t = scene_new();
	raw_register(t->a, 0, "<sip:1001@10.0.0.21:5060>", NULL);
	stage_crash(t->s);
	stage_open_exchange(t->s);
	for (unsigned i = 0; i < 30; i++)
		CHECK(guess(t, t->a, "1001"));
	CHECK_EQ(n_banned(t), 0);
	scene_free(t);
}

/* ---- scanners -------------------------------------------------------------------------------- */

TEST_NO_OOM(scanners_hear_nothing)
{
	static const char *const agents[] = {"friendly-scanner", "SIPVicious", "sipcli/v1.8",
					     "pplsip"};
	struct scene *t = scene_new();
	for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
		char extra[80];
		struct raw_req q = {.method = i % 2 ? "REGISTER" : "OPTIONS",
				    .uri = "sip:" STAGE_SERVER,
				    .to = "<sip:100@" STAGE_SERVER ">",
				    .extra = extra};
		snprintf(extra, sizeof(extra), "User-Agent: %s\n", agents[i]);
		raw_request(t->x, 0, &q);
		raw_none(t->x, "SIP/2.0", 1);
		CHECK(explains(t, "10.0.0.99", agents[i]));
		CHECK_EQ(ban_del(exc_bans(t->s->exc), STR("10.0.0.99")), 1);
	}
	struct raw_req q = {.method = "OPTIONS",
			    .uri = "sip:" STAGE_SERVER,
			    .from = "\"sipvicious\"<sip:100@1.1.1.1>"};
	raw_request(t->x, 0, &q);
	raw_none(t->x, "SIP/2.0", 1);
	scene_free(t);
}

/* One user after the other, never with credentials. */
TEST_NO_OOM(who_tries_users_is_banned)
{
	struct scene *t = scene_new();
	for (unsigned i = 0; i < 60; i++) {
		char user[16];
		snprintf(user, sizeof(user), "%u", 1000 + i);
		struct raw_req q = reg_of(user);
		raw_request(t->x, 0, &q);
		raw_get(t->x, "SIP/2.0 401", 1); /* the same for all */
	}
	stage_run(t->s, 8);
	CHECK(!is_heard(t, t->x, 0));
	CHECK(explains(t, "10.0.0.99", "user tried without ever logging in"));
	scene_free(t);
}

/* An office behind one NAT after a power cut: they all ask first, then all log in. */
TEST_NO_OOM(an_office_that_comes_back_is_not_a_scan)
{
	struct scene *t = scene_new();
	static struct raw_req q[200];
	for (unsigned i = 0; i < ARRAY_LEN(q); i++) {
		char user[16];
		snprintf(user, sizeof(user), "%u", 2000 + i);
		stage_account(t->s, user);
		q[i] = reg_of(user);
		static char to[ARRAY_LEN(q)][80];
		snprintf(to[i], sizeof(to[i]), "%s", q[i].to);
		q[i].to = to[i];
		snprintf(t->x->user, sizeof(t->x->user), "%s", user);
		raw_request(t->x, 0, &q[i]);
	}
	stage_run(t->s, 1);
	for (unsigned k = 0, i; k < ARRAY_LEN(q); k++) {
		struct raw_msg *m = raw_get(t->x, "SIP/2.0 401", 1);
		for (i = 0; i < ARRAY_LEN(q) && !raw_has(m, q[i].call_id); i++)
			;
		CHECK(i < ARRAY_LEN(q));
		snprintf(t->x->user, sizeof(t->x->user), "%u", 2000 + i);
		raw_answer_challenge(t->x, &q[i], m);
		raw_request(t->x, 0, &q[i]);
		raw_get(t->x, "SIP/2.0 200", 1);
	}
	stage_run(t->s, 20);
	CHECK_EQ(n_banned(t), 0);
	CHECK(is_heard(t, t->x, 0));
	scene_free(t);
}

/* ---- floods ---------------------------------------------------------------------------------- */

static void flood(struct scene *t, const char *method, unsigned n, bool is_one_user)
{
	char uri[64], from[64];
	for (unsigned i = 0; i < n; i++) {
		snprintf(from, sizeof(from), "u%u", is_one_user ? 0 : i);
		snprintf(uri, sizeof(uri), "sip:%s" STAGE_SERVER,
			 strcmp(method, "REGISTER") == 0 ? "" : "1002@");
		struct raw_req q = {.method = method, .uri = uri, .from_user = from};
		raw_request(t->x, 0, &q);
		if (i % 50 == 49) {
			stage_run(t->s, 0.01);
			raw_flush(t->x);
		}
	}
}

TEST_NO_OOM(floods_are_banned_and_others_served)
{
	static const char *const methods[] = {"INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS"};
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct scene *t = scene_new();
		flood(t, methods[i], 2800, i % 2);
		stage_run(t->s, 1);
		CHECK_EQ(n_banned(t), 1);
		CHECK(!is_heard(t, t->x, 0));
		raw_register(t->b, 0, B_CONTACT, NULL);
		scene_free(t);
	}
}

static uint32_t n_records(const struct scene *t)
{
	uint32_t n = 0;
	for (size_t i = 0; i < t->s->n_shards; i++) {
		struct tsx_stats st;
		tsx_stats(exc_transactions(t->s->exc, i), &st);
		n += st.live_records + st.live_server;
	}
	return n;
}

/* A storm that is answered may not fill the memory with its answers. */
TEST_NO_OOM(what_is_shed_leaves_nothing)
{
	struct scene *t = scene_new();
	flood(t, "SUBSCRIBE", 420, true);
	stage_run(t->s, 0.5);
	CHECK(raw_poll(t->x, "SIP/2.0 503"));
	CHECK_EQ(n_records(t), 0);
	scene_free(t);
}

TEST_NO_OOM(a_flood_does_not_touch_a_call)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	flood(t, "INVITE", 2800, false);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, d.a_sock, &bye);
	raw_reply(t->b, raw_get(t->b, "BYE ", 2), "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 2);
	scene_free(t);
}

/* ---- bans ------------------------------------------------------------------------------------ */

TEST_NO_OOM(long_bans_survive_a_crash)
{
	struct scene *t = scene_new();
	const char *why;
	struct ban *b = exc_bans(t->s->exc);
	CHECK_EQ(ban_add(b, STR("10.0.0.99"), 7200, STR("calls\tat night"), &why), OK);
	CHECK_EQ(ban_add(b, STR("10.9.0.0/16"), 0, STR_NONE, &why), OK);
	CHECK_EQ(ban_add(b, STR("10.0.0.x"), 0, STR_NONE, &why), ERR_SYNTAX);
	CHECK(!is_heard(t, t->x, 0));
	stage_run(t->s, 3); /* written within a second or two */
	stage_crash(t->s);
	stage_open_exchange(t->s);
	CHECK(!is_heard(t, t->x, 0));
	CHECK(explains(t, "10.0.0.99", "calls?at night"));
	CHECK(explains(t, "10.0.0.99", "by hand"));
	CHECK(explains(t, "10.9.1.1", "10.9.0.0/16 is banned by hand for ever"));
	CHECK_EQ(ban_del(exc_bans(t->s->exc), STR("10.9.0.0/16")), 1);
	CHECK_EQ(ban_del(exc_bans(t->s->exc), STR("10.9.0.0/16")), 0);
	stage_run(t->s, 7201);
	CHECK(is_heard(t, t->x, 0));
	scene_free(t);
}

TEST_NO_OOM(trusted_and_spared_networks_are_not_judged)
{
	struct addr_net nets[2];
	struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	CHECK(addr_net_parse(STR("10.0.0.22/32"), &nets[0]));
	CHECK(addr_net_parse(STR("10.0.0.99/32"), &nets[1]));
	cfg.trust = &nets[0];
	cfg.never_ban = &nets[1];
	cfg.n_trust = cfg.n_never_ban = 1;
	struct scene *t = scene_new_with(&cfg);
	const char *why;
	for (unsigned i = 0; i < 100; i++)
		CHECK(guess(t, t->x, "1001"));
	CHECK_EQ(n_banned(t), 0);
	CHECK_EQ(ban_add(exc_bans(t->s->exc), STR("10.0.0.22"), 0, STR_NONE, &why), ERR_STATE);
	CHECK(explains(t, "10.0.0.99", "never banned"));
	scene_free(t);
}

/* ---- what strangers are told ----------------------------------------------------------------- */

/* The answer without what differs each time. */
static void plain_answer(const struct raw_msg *m, char *out, size_t cap)
{
	static const char *const own[] = {"Via:", "Call-ID:", "From:", "To:", "CSeq:"};
	struct str rest = m->text;
	size_t n = 0;
	out[0] = 0;
	while (rest.n) {
		struct str line = str_cut(rest, '\n', &rest);
		bool is_own = false;
		for (size_t i = 0; i < ARRAY_LEN(own); i++)
			is_own |= str_starts(line, str_c(own[i]));
		size_t nonce = str_find(line, STR("nonce=\""));
		if (is_own)
			continue;
		if (nonce != SIZE_MAX)
			line = str_sub(line, 0, nonce);
		n += (size_t)snprintf(out + n, cap - n, STR_FMT "\n", STR_ARG(line));
		CHECK(n < cap);
	}
}

/* [RFC3261 22.1] */
TEST_NO_OOM(nobody_learns_who_has_an_account)
{
	static const char *const methods[] = {"REGISTER", "INVITE", "SUBSCRIBE", "OPTIONS",
					      "MESSAGE"};
	static const char *const users[] = {"1002", "1009", "nobody", "1001"};
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		for (int is_wrong = 0; is_wrong < 2; is_wrong++) {
			char first[2000] = "", text[2000];
			for (size_t k = 0; k < ARRAY_LEN(users); k++) {
				char uri[64];
				bool is_reg = i == 0;
				struct raw_req q = reg_of(users[k]);
				snprintf(uri, sizeof(uri), "sip:%s@" STAGE_SERVER, users[k]);
				q.method = methods[i];
				q.uri = is_reg ? q.uri : uri;
				q.from_user = users[k];
				q.extra = "Event: presence\n";
				raw_request(t->x, 0, &q);
				struct raw_msg *m = raw_get(t->x, "SIP/2.0 4", 1);
				if (i == 1)
					raw_ack(t->x, 0, &q, m);
				if (is_wrong) {
					snprintf(t->x->user, sizeof(t->x->user), "%s", users[k]);
					raw_answer_challenge(t->x, &q, m);
					char *r = strstr(q.auth, "response=\"");
					r[10] = r[10] == '0' ? '1' : '0';
					raw_request(t->x, 0, &q);
					m = raw_get(t->x, "SIP/2.0 4", 1);
					if (i == 1)
						raw_ack(t->x, 0, &q, m);
				}
				plain_answer(m, text, sizeof(text));
				if (!first[0])
					memcpy(first, text, sizeof(first));
				CHECK_STR_EQ(str_c(text), str_c(first));
			}
			ban_del(exc_bans(t->s->exc), STR("all"));
			stage_run(t->s, 300);
			scene_register(t->b, B_CONTACT);
		}
	scene_free(t);
}

/* ---- what strangers cannot have -------------------------------------------------------------- */

/* Another's address with one's own credentials; no credentials; those of another request. */
TEST_NO_OOM(registrations_cannot_be_hijacked)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	struct raw_req q = reg_of("1002");
	q.contact = "<sip:thief@10.0.0.21:5060>";
	raw_ask(t->a, 0, &q); /* right password of 1001 */
	raw_get(t->a, "SIP/2.0 403", 1);
	struct raw_req star = reg_of("1002");
	star.contact = "*";
	star.extra = "Expires: 0\n";
	raw_ask(t->a, 0, &star);
	raw_get(t->a, "SIP/2.0 403", 1);
	/* what b sent, sent again by somebody else */
	struct raw_req own = reg_of("1002");
	raw_ask(t->b, 0, &own);
	raw_get(t->b, "SIP/2.0 200", 1);
	struct raw_req again = own;
	again.contact = "<sip:thief@10.0.0.99:5060>";
	again.branch[0] = again.call_id[0] = 0;
	raw_request(t->x, 0, &again);
	raw_get(t->x, "SIP/2.0 401", 1);
	stage_run(t->s, 4000); /* and when its nonce is too old */
	scene_register(t->b, B_CONTACT);
	again.branch[0] = again.call_id[0] = 0;
	raw_request(t->x, 0, &again);
	struct raw_msg *m = raw_get(t->x, "SIP/2.0 401", 1);
	CHECK(raw_has(m, "stale=true"));
	scene_invite(t);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	raw_none(t->x, "INVITE ", 1);
	scene_free(t);
}

/* A BYE for a call of others: without the token, with one that was made up, with theirs. */
TEST_NO_OOM(requests_in_dialogs_of_others_end_here)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	char route[1100];
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	bye.route = NULL;
	raw_request(t->x, 0, &bye); /* no Route: nobody has authenticated */
	raw_get(t->x, "SIP/2.0 4", 1);
	bye = scene_in_dialog(&d, true, "BYE");
	snprintf(route, sizeof(route), "%s", bye.route);
	char *user = strstr(route, "sip:");
	CHECK(user && strchr(user, '@'));
	user[6] = user[6] == 'A' ? 'B' : 'A'; /* one letter of the token */
	bye.route = route;
	raw_request(t->x, 0, &bye);
	stage_run(t->s, 1);
	CHECK(!raw_poll(t->b, "BYE "));
	raw_none(t->a, "BYE ", 1);
	raw_flush(t->x);
	bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, d.a_sock, &bye); /* the call stands: its own BYE goes through */
	raw_reply(t->b, raw_get(t->b, "BYE ", 1), "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* Calls that others would pay for. */
TEST_NO_OOM(no_call_goes_out_for_a_stranger)
{
	static const struct {
		const char *uri, *route;
	} tries[] = {
		{"sip:+4930123456@far.example",                 NULL						      },
		{"tel:+4930123456",                             NULL						      },
		{"sip:+4930123456@" STAGE_SERVER ";user=phone", NULL                                                      },
		{"sip:echo@far.example",                        NULL						      },
		{"sip:u@far.example",                           "Route: <sip:" STAGE_SERVER ";lr>\n"                      },
		{TO_B,					  "Route: <sip:far.example;lr>\n"                           },
		{"sip:u@far.example",                           "Route: <sip:" STAGE_SERVER ";lr>, <sip:far.example;lr>\n"},
		{"sip:u@far.example",                           "Route: <sip:1002@" STAGE_SERVER ";lr>\n"                 },
		{"sip:echo@" STAGE_SERVER,                      NULL						      },
		{TO_B,					  NULL						      },
	};
	struct scene *t = scene_new();
	raw_dns(t->s, "far.example", "10.0.0.23");
	scene_register(t->b, B_CONTACT);
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct raw_req q = {
			.method = "INVITE", .uri = tries[i].uri, .route = tries[i].route};
		raw_request(t->x, 0, &q);
		struct raw_msg *m = raw_get(t->x, "SIP/2.0 407", 1);
		raw_ack(t->x, 0, &q, m);
	}
	raw_none(t->c, "INVITE ", 1);
	CHECK(!raw_poll(t->b, "INVITE "));
	scene_free(t);
}

/* The exchange passes challenges of others on and answers none. [RFC3261 22.3] */
TEST_NO_OOM(the_exchange_answers_no_challenge_of_a_callee)
{
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Proxy-Authorization"), 0);
	raw_reply(t->b, m, "401 Unauthorized", "b",
		  "WWW-Authenticate: Digest realm=\"sim\", nonce=\"0123\", algorithm=MD5\n", NULL);
	m = raw_get(t->a, "SIP/2.0 401", 1);
	raw_ack(t->a, 0, &t->call, m);
	raw_none(t->b, "INVITE ", 2);
	scene_free(t);
}

/* [RFC3261 10.3]: what cannot be read is not stored, and the next start is not stopped by it */
TEST_NO_OOM(a_bad_contact_is_not_stored)
{
	static const char *const contacts[] = {"<sip:",
					       "<<>>",
					       "sip:@:99999",
					       "<sip:a@[::1>",
					       "\"x <sip:a@b>",
					       "<sip:a@b>;expires=xx;q=7",
					       "<mailto:a@b.example>",
					       "<sip:%zz@10.0.0.1>"};
	struct scene *t = scene_new();
	unsigned n_stored = 0;
	for (size_t i = 0; i < ARRAY_LEN(contacts); i++) {
		struct raw_req q = reg_of("1001");
		q.contact = contacts[i];
		raw_request(t->a, 0, &q);
		struct raw_msg *m = raw_get(t->a, "SIP/2.0 4", 1);
		if (raw_has(m, "SIP/2.0 401")) {
			raw_answer_challenge(t->a, &q, m);
			raw_request(t->a, 0, &q);
			m = raw_get(t->a, "SIP/2.0 ", 1);
		}
		n_stored += raw_has(m, "SIP/2.0 200");
	}
	CHECK(n_stored <= 2); /* a q or expires that cannot be read counts as not given */
	stage_crash(t->s);
	stage_open_exchange(t->s);
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}
