/* Message-waiting with watchers of text: whose mailbox, how subscriptions end, and a client that
 * storms while others register and call [RFC6665] [RFC3842]. */
#include "scene.h"

static struct raw_req subscription(const char *package)
{
	return (struct raw_req){
		.method = "SUBSCRIBE", .uri = "sip:1001@" STAGE_SERVER, .extra = package};
}

/* [RFC3842 3.3] [RFC6665 4.2.1.3, 8.3.2] */
TEST_NO_OOM(mwi_own_mailbox_only)
{
	struct scene *t = scene_new();
	struct raw_req q = subscription("Event: message-summary\n");
	q.uri = TO_B;
	raw_ask(t->a, 0, &q);
	CHECK(raw_has(raw_get(t->a, "SIP/2.0 403", 1), "5002"));
	q = subscription("Event: conference\n");
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 489", 1);
	CHECK(raw_has(m, "Allow-Events: presence, dialog, message-summary, reg, "));
	q = subscription(NULL);
	raw_ask(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 489", 1);
	raw_none(t->a, "NOTIFY ", 1);
	scene_free(t);
}

struct watch {
	struct raw_req q;
	char to[128], uri[128];
	struct raw_msg *notify;
};

static void subscribe(struct scene *t, struct watch *w)
{
	w->q = subscription("Event: message-summary\nExpires: 600\n");
	raw_ask(t->a, 0, &w->q);
	struct raw_msg *ok = raw_get(t->a, "SIP/2.0 200", 1);
	w->notify = raw_get(t->a, "NOTIFY ", 1);
	raw_cstr(raw_header(ok, "To", 0), w->to, sizeof(w->to));
	struct str contact = raw_header(ok, "Contact", 0);
	raw_cstr(str_sub(contact, 1, str_chr(contact, '>') - 1), w->uri, sizeof(w->uri));
	w->q.to = w->to;
	w->q.uri = w->uri;
}

/* Refreshes; false when the exchange knows the subscription no more. */
static bool refresh(struct scene *t, struct watch *w)
{
	raw_flush(t->a);
	w->q.cseq++;
	w->q.branch[0] = 0;
	w->q.auth[0] = 0;
	raw_request(t->a, 0, &w->q);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 ", 1);
	if (raw_has(m, "SIP/2.0 407")) {
		raw_answer_challenge(t->a, &w->q, m);
		raw_request(t->a, 0, &w->q);
		m = raw_get(t->a, "SIP/2.0 ", 1);
	}
	if (raw_has(m, "SIP/2.0 481"))
		return false;
	if (!raw_has(m, "SIP/2.0 200"))
		test_fail(__FILE__, __LINE__, "refresh: %s", m->bytes);
	return true;
}

/* [RFC6665 4.1.2, 4.2.1.4] */
TEST_NO_OOM(mwi_refresh_and_end)
{
	struct scene *t = scene_new();
	struct watch w;
	subscribe(t, &w);
	CHECK(raw_has(w.notify, "Event: message-summary\r\n"));
	CHECK(raw_has(w.notify, "Subscription-State: active;expires="));
	CHECK(raw_has(w.notify, "Messages-Waiting: no\r\n"));
	raw_reply(t->a, w.notify, "200 OK", NULL, NULL, NULL);
	stage_run(t->s, 300);
	CHECK(refresh(t, &w));
	raw_reply(t->a, raw_get(t->a, "NOTIFY ", 1), "200 OK", NULL, NULL, NULL);
	w.q.extra = "Event: presence\n"; /* not this one's */
	w.q.cseq++;
	w.q.branch[0] = 0;
	raw_request(t->a, 0, &w.q);
	CHECK_STR(raw_header(raw_get(t->a, "SIP/2.0 489", 1), "Allow-Events", 0),
		  "message-summary");
	w.q.extra = "Event: message-summary\nExpires: 0\n";
	CHECK(refresh(t, &w));
	struct raw_msg *last = raw_get(t->a, "NOTIFY ", 1);
	CHECK(raw_has(last, "Subscription-State: terminated"));
	raw_reply(t->a, last, "200 OK", NULL, NULL, NULL);
	stage_run(t->s, 40);
	CHECK(!refresh(t, &w));
	scene_free(t);
}

/* [RFC6665 4.2.2]: 481, no answer, and a closed port each end it */
TEST_NO_OOM(mwi_ends_on_481)
{
	static const struct {
		const char *status, *extra;
		bool is_end;
	} rows[] = {
		{"481 Gone",                NULL,               true },
		{"480 Away",                "Retry-After: 5\n", true },
		{"489 Bad Event",           "Retry-After: 5\n", true },
		{"604 Nowhere",             "Retry-After: 5\n", true },
		{"503 Service Unavailable", "Retry-After: 5\n", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scene *t = scene_new();
		struct watch w;
		subscribe(t, &w);
		raw_reply(t->a, w.notify, rows[i].status, NULL, rows[i].extra, NULL);
		stage_run(t->s, 2);
		CHECK_EQ(refresh(t, &w), !rows[i].is_end);
		scene_free(t);
	}
}

TEST_NO_OOM(mwi_ends_on_silence)
{
	struct scene *t = scene_new();
	struct watch w;
	subscribe(t, &w);
	stage_run(t->s, 40); /* Timer F */
	CHECK(!refresh(t, &w));
	scene_free(t);
}

TEST_NO_OOM(mwi_ends_on_icmp)
{
	struct scene *t = scene_new();
	struct watch w;
	subscribe(t, &w);
	raw_reply(t->a, w.notify, "200 OK", NULL, NULL, NULL);
	stage_run(t->s, 1);
	CHECK(refresh(t, &w));
	raw_get(t->a, "NOTIFY ", 1);
	raw_close(t->a, 0); /* its repetition meets a closed port */
	stage_run(t->s, 5);
	raw_udp(t->a, 5070);
	t->a->socks[0] = t->a->socks[1]; /* the phone is back, on another port */
	CHECK(!refresh(t, &w));
	t->a->socks[0].env_sock = NULL;
	scene_free(t);
}

/* A client that starts ten thousand subscriptions a second [FIELD 3]: named once, bounded, and
 * somebody else registers, calls and is answered as if nothing were. */
TEST_NO_OOM(mwi_storm)
{
	enum { PER_MS = 10, SECONDS = 3 };
	struct scene *t = scene_new();
	struct raw *storm = t->a;
	struct raw_req q = subscription("Event: message-summary\n");
	raw_ask(storm, 0, &q); /* with credentials that are good */
	raw_get(storm, "SIP/2.0 200", 1);
	double worst_us = 0;
	size_t n_answers = 0, n_sent = 0;
	for (int ms = 0; ms < 1000 * SECONDS; ms++) {
		for (int i = 0; i < PER_MS; i++, n_sent++) {
			struct raw_req one = subscription("Event: message-summary\n");
			raw_request(storm, 0, &one);
		}
		stage_run(t->s, 0.001);
		for (size_t i = 0; i < storm->n_msgs; i++)
			free(storm->msgs[i]);
		n_answers += storm->n_msgs;
		storm->n_msgs = 0;
		if (ms % 1000 != 500)
			continue;
		uint64_t start = sim_now_us(t->s->sim);
		scene_register(t->b, B_CONTACT);
		double took = (double)(sim_now_us(t->s->sim) - start);
		worst_us = took > worst_us ? took : worst_us;
	}
	CHECK(worst_us <= 4 * 1000 + 1000); /* two questions, two answers over 1 ms */
	struct raw_req options = {.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
	raw_request(t->c, 0, &options);
	raw_get(t->c, "SIP/2.0 200", 0.1);
	/* another caller reaches a phone meanwhile */
	struct raw_req call = {.method = "INVITE", .uri = TO_B};
	raw_ask(t->c, 0, &call);
	raw_get(t->b, "INVITE ", 0.1);
	raw_flush(t->b);
	raw_cancel(t->c, 0, &call, NULL);
	/* it got fewer answers than it sent questions, and was named once */
	CHECK(n_answers < n_sent / 20);
	char *named = strstr(t->s->notes, "storms");
	CHECK(named);
	CHECK(!strstr(named + 1, "storms"));
	scene_free(t);
}

/* The live subscriptions of one account are bounded, whatever its rate. */
TEST_NO_OOM(mwi_subscriptions_are_bounded)
{
	struct scene *t = scene_new();
	unsigned n = 0;
	for (int i = 0; i < 40; i++) {
		struct raw_req q = subscription("Event: message-summary\nExpires: 3600\n");
		raw_ask(t->a, 0, &q);
		struct raw_msg *m = raw_get(t->a, "SIP/2.0 ", 1);
		if (raw_has(m, "SIP/2.0 200"))
			raw_reply(t->a, raw_get(t->a, "NOTIFY ", 1), "200 OK", NULL, NULL, NULL);
		else
			CHECK(raw_has(m, "SIP/2.0 503") && raw_has(m, "5003"));
		n += raw_has(m, "SIP/2.0 200");
		stage_run(t->s, 0.2);
	}
	CHECK(n >= 8 && n <= 32); /* LIMIT_SUBS_ALIKE on each of the two shards */
	scene_free(t);
}
