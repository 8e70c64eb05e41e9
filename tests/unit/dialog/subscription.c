/* Subscriptions, both sides. [RFC6665] [RFC3842] */
#include "shots.h"

#include "dialog/sub_priv.h"

#include <stdio.h>
#include <string.h>

static const char *const whys[] = {"local", "remote", "expired", "gone", "refused", "failed"};
static unsigned state; /* what bodies say */
static bool has_no_body;
static bool is_pending;
static enum err body_says, save_says;
static uint32_t gap_us;
static unsigned n_saves;
static char kept[1024]; /* what sub_keep said at the last save */
static size_t n_kept;

/* --- b is the notifier ------------------------------------------------------------------------ */

static enum err body(void *ctx, struct sub *s, struct str *content_type, struct buf *b)
{
	if (has_no_body)
		return ERR_NOTFOUND;
	if (body_says != OK)
		return body_says;
	CHECK(sub_find(s->m, sub_id(s)) == s);
	CHECK_STR(*content_type, "text/state");
	buf_fmt(b, "state %u\r\n", state);
	return OK;
}

static void on_refresh(void *ctx, struct sub *s, uint32_t expires_s)
{
	party_note(ctx, "refreshed %u", expires_s);
}

static void on_end(void *ctx, struct sub *s, const struct sub_end *end)
{
	struct party *p = ctx;
	party_note(p, "end %s %u " STR_FMT, whys[end->why], end->status, STR_ARG(end->reason));
	p->sub = NULL;
}

static const struct sub_notifier notifier = {
	.body = body, .on_refresh = on_refresh, .on_end = on_end};

static enum err save(void *ctx, struct sub *s)
{
	struct buf b;
	buf_init_fixed(&b, kept, sizeof(kept));
	sub_keep(s, &b);
	CHECK_EQ(b.err, OK);
	n_kept = b.n;
	n_saves++;
	return save_says;
}

static const struct sub_notifier durable = {
	.body = body, .save = save, .on_refresh = on_refresh, .on_end = on_end};
static const struct sub_notifier *used;

static bool accept(struct party *p, tsx_id st, struct tp_rx *rx)
{
	if (rx->msg->method != SIP_SUBSCRIBE || rx->msg->to_tag.n)
		return false;
	struct sub_accept acc = {.event = STR("state"),
				 .content_type = STR("text/state"),
				 .contact_user = STR("b"),
				 .is_pending = is_pending,
				 .gap_us = gap_us,
				 .account = party_account(p)};
	struct sub *s;
	if (sub_accept(p->dlg, st, rx, &acc, used, p, &s) == OK)
		p->sub = s;
	return true;
}

/* --- a is the subscriber ---------------------------------------------------------------------- */

static void on_event(void *ctx, struct sub *s, const struct sub_event *ev)
{
	struct party *p = ctx;
	if (ev->kind == SUB_EV_ACCEPTED)
		party_note(p, "accepted %u", ev->expires_s);
	if (ev->kind == SUB_EV_NOTIFY)
		party_note(p, "notify " STR_FMT " %u \"" STR_FMT "\"", STR_ARG(ev->state),
			   ev->expires_s, STR_ARG(str_trim(ev->body)));
	if (ev->kind != SUB_EV_ENDED)
		return;
	party_note(p, "end %s %u " STR_FMT "%s", whys[ev->end.why], ev->end.status,
		   STR_ARG(ev->end.reason), ev->result ? " (result)" : "");
	p->sub = NULL;
}

static const struct sub_subscriber subscriber = {.on_event = on_event};

static void subscribe(struct pair *p, uint32_t expires_s, const char *event)
{
	struct sub_subscribe req = {.account = party_account(p->a),
				    .target = str_c(party_uri(p->b, "")),
				    .event = str_c(event),
				    .accept = STR("text/state"),
				    .expires_s = expires_s};
	CHECK_EQ(sub_subscribe(p->a->dlg, &req, &subscriber, p->a, &p->a->sub), OK);
}

static struct sub *sub_of(struct party *p)
{
	CHECK(p->sub);
	return p->sub;
}

static struct pair begin(void)
{
	struct pair p = pair_new();
	state = 0;
	has_no_body = is_pending = false;
	body_says = save_says = OK;
	gap_us = n_saves = 0;
	used = &notifier;
	p.b->on_request = accept;
	return p;
}

TEST(subscribed_notified_and_ended)
{
	struct pair p = begin();
	p.b->password = "secret";
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	CHECK_LADDER(p.w, "    0 a->b SUBSCRIBE\n"
			  "   10 b->a 401 (SUBSCRIBE)\n"
			  "   20 a->b SUBSCRIBE\n"
			  "   30 b->a 200 (SUBSCRIBE)\n"
			  "   30 b->a NOTIFY\n"
			  "   40 a->b 200 (NOTIFY)\n");
	CHECK_EVENTS(p.a, "accepted 600\nnotify active 600 \"state 0\"\n");
	ladder_clear(p.w);
	state = 1;
	CHECK(sub_dialog(sub_of(p.b)));
	sub_notify(sub_of(p.b));
	world_run(p.w, 5);
	for (state = 2; state < 9; state++) /* while one is under way: one more, the newest */
		sub_notify(sub_of(p.b));
	state = 9;
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 b->a NOTIFY\n"
			  "   10 a->b 200 (NOTIFY)\n"
			  "   20 b->a NOTIFY\n"
			  "   30 a->b 200 (NOTIFY)\n");
	CHECK_EVENTS(p.a, "notify active 599 \"state 1\"\nnotify active 599 \"state 9\"\n");
	ladder_clear(p.w);
	sub_unsubscribe(sub_of(p.a));
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 1000);
	CHECK_LADDER(p.w, "    0 a->b SUBSCRIBE\n"
			  "   10 b->a 200 (SUBSCRIBE)\n"
			  "   10 b->a NOTIFY\n"
			  "   20 a->b 200 (NOTIFY)\n");
	CHECK_EVENTS(p.a, "notify terminated 0 \"state 9\"\nend local 0 timeout\n");
	CHECK_EVENTS(p.b, "end remote 0 timeout\n");
	pair_free(&p);
}

TEST(subscription_is_refreshed)
{
	struct pair p = begin();
	subscribe(&p, 600, "state");
	world_run(p.w, 475000);
	ladder_clear(p.w);
	world_run(p.w, 66000);
	CHECK_EVENTS(p.b, "refreshed 600\n");
	CHECK(str_starts(buf_view(&p.a->log), STR("accepted 600\nnotify active ")));
	sub_drop(p.a->sub);
	sub_drop(NULL);
	p.a->sub = NULL;
	/* nobody there any more: the next NOTIFY meets 481 */
	ladder_clear(p.w);
	sub_notify(sub_of(p.b));
	world_run(p.w, 1000);
	CHECK_EVENTS(p.b, "end gone 481 Call/Transaction Does Not Exist\n");
	pair_free(&p);
}

/* [RFC6665 4.1.2.2] */
TEST(refresh_is_refused)
{
	struct pair p = begin();
	subscribe(&p, 600, "state");
	world_run(p.w, 1000);
	sub_drop(p.b->sub);
	p.b->sub = NULL;
	ladder_clear(p.w);
	world_run(p.w, 600000);
	CHECK_EVENTS(p.a, "end gone 481 Call/Transaction Does Not Exist (result)\n");
	pair_free(&p);
}

static bool accept_202(struct party *p, tsx_id st, struct tp_rx *rx)
{
	CHECK_EQ(rx->msg->method, SIP_SUBSCRIBE);
	CHECK_EQ(tsx_reply(p->tsx, st, 202, STR_NONE,
			   STR("Expires: 300\r\nContact: <sip:b@10.0.0.2>\r\n")),
		 OK);
	return true;
}

/* [RFC6665 8.3]: as a 200 */
TEST(accepted_with_202)
{
	struct pair p = begin();
	p.b->on_request = accept_202;
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "accepted 300\n");
	world_run(p.w, 40000); /* nobody notifies */
	CHECK(!p.a->sub);
	pair_free(&p);
}

TEST(subscription_expires)
{
	struct pair p = begin();
	subscribe(&p, 100, "state");
	world_run(p.w, 1000);
	lose(p.w, p.a, p.b, 1); /* its refresh does not come, nor an answer to NOTIFY */
	world_run(p.w, 30000);
	ladder_clear(p.w);
	world_run(p.w, 110000);
	CHECK_EVENTS(p.b, "end expired 0 timeout\n");
	CHECK(str_find(buf_view(&p.a->log), STR("notify terminated 0")) != SIZE_MAX);
	pair_free(&p);
}

TEST(poll)
{
	struct pair p = begin();
	subscribe(&p, 0, "state");
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "accepted 0\nnotify terminated 0 \"state 0\"\nend remote 0 timeout\n");
	CHECK_EVENTS(p.b, "end remote 0 timeout\n");
	pair_free(&p);
}

TEST(notifier_ends_it)
{
	struct pair p = begin();
	is_pending = true;
	has_no_body = true;
	subscribe(&p, 600, "state");
	world_run(p.w, 1000);
	sub_activate(sub_of(p.b));
	world_run(p.w, 5);
	sub_terminate(sub_of(p.b), STR("noresource")); /* behind the one under way */
	sub_terminate(sub_of(p.b), STR("again"));
	sub_notify(sub_of(p.b));
	world_run(p.w, 1000);
	CHECK_EVENTS(p.a, "accepted 600\nnotify pending 600 \"\"\nnotify active 599 \"\"\n"
			  "notify terminated 0 \"\"\nend remote 0 noresource\n");
	CHECK_EVENTS(p.b, "end local 0 noresource\n");
	pair_free(&p);
}

TEST(stale_subscriptions_end)
{
	/* [FIELD 4]: a closed port, and silence */
	struct pair p = begin();
	subscribe(&p, 600, "state");
	world_run(p.w, 1000);
	p.a->sub = NULL;
	party_close(p.a);
	sub_notify(sub_of(p.b));
	world_run(p.w, 1000);
	CHECK_EVENTS(p.b, "end gone 503 network failure\n");
	party_open(p.a);
	subscribe(&p, 600, "state");
	world_run(p.w, 1000);
	lose(p.w, p.a, p.b, 1);
	ladder_clear(p.w);
	sub_notify(sub_of(p.b));
	world_run(p.w, 40000);
	CHECK_EVENTS(p.b, "end gone 408 timed out\n");
	sub_drop(p.a->sub);
	p.a->sub = NULL;
	pair_free(&p);
}

TEST(subscriptions_refused)
{
	static const struct {
		const char *headers;
		unsigned status;
	} cases[] = {
		{"Contact: <sip:a@10.0.0.1>\r\nEvent: other\r\n",                       489},
		{"Contact: <sip:a@10.0.0.1>\r\n",                                       489},
		{"Event: state\r\n",						    400},
		{"Contact: <sip:a@10.0.0.1>\r\nEvent: state\r\nAccept: text/plain\r\n", 406},
		{"Contact: <sip:a@10.0.0.1>\r\nEvent: state\r\nExpires: 5\r\n",         423},
		{"Contact: <sip:a@10.0.0.1>\r\nEvent: state\r\nRequire: x\r\n",         420},
		{"Contact: *\r\nEvent: state\r\n",                                      400},
	};
	struct pair p = begin();
	unsigned done;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		outside(p.a, p.b, "SUBSCRIBE", cases[i].headers, "", "", &done);
		world_run(p.w, 100);
		CHECK_EQ(done, cases[i].status);
		CHECK(!p.b->sub);
	}
	pair_free(&p);
}

TEST(no_room_for_a_subscription)
{
	struct pair p = begin();
	p.b->dlg->subs.max = 0;
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "end refused 503 Service Unavailable (result)\n");
	pair_free(&p);
}

TEST(accept_ranges)
{
	static const char *const accepts[] = {"*/*", "text/*", "TEXT/state;x=y", "a/b, text/state"};
	struct pair p = begin();
	unsigned done;
	for (unsigned i = 0; i < ARRAY_LEN(accepts); i++) {
		char headers[128];
		snprintf(headers, sizeof(headers),
			 "Contact: <sip:a@10.0.0.1>\r\nEvent: state\r\nAccept: %s\r\n", accepts[i]);
		outside(p.a, p.b, "SUBSCRIBE", headers, "", "", &done);
		world_run(p.w, 100);
		CHECK_EQ(done, 200);
		CHECK(!p.b->sub); /* its first NOTIFY met 481 */
	}
	pair_free(&p);
}

TEST(interval_too_brief_for_a_subscription)
{
	struct pair p = begin();
	subscribe(&p, 5, "state");
	world_run(p.w, 100);
	CHECK_LADDER(p.w, "    0 a->b SUBSCRIBE\n"
			  "   10 b->a 423 (SUBSCRIBE)\n"
			  "   20 a->b SUBSCRIBE\n"
			  "   30 b->a 200 (SUBSCRIBE)\n"
			  "   30 b->a NOTIFY\n"
			  "   40 a->b 200 (NOTIFY)\n");
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 1000);
	pair_free(&p);
}

TEST(nobody_notifies)
{
	/* [RFC6665 4.1.2.4] Timer N */
	struct pair p = begin();
	lose(p.w, p.b, p.a, 1);
	subscribe(&p, 600, "state");
	world_run(p.w, 33000);
	CHECK(str_starts(buf_view(&p.a->log), STR("end ")));
	ladder_clear(p.w);
	subscribe(&p, 600, "state");
	sub_unsubscribe(sub_of(p.a)); /* nothing is there yet */
	world_run(p.w, 10);
	CHECK_EVENTS(p.a, "end local 0 \n");
	world_run(p.w, 40000);
	pair_free(&p);
}

TEST(notify_before_the_2xx)
{
	/* [RFC6665 4.4.1] */
	struct pair p = begin();
	lose(p.w, p.b, p.a, 1);
	subscribe(&p, 600, "state");
	world_run(p.w, 15); /* the 200 and the first NOTIFY are lost */
	lose(p.w, p.b, p.a, 0);
	ladder_clear(p.w);
	world_run(p.w, 510);
	CHECK(str_starts(buf_view(&p.a->log), STR("notify ")) ||
	      str_starts(buf_view(&p.a->log), STR("accepted ")));
	world_run(p.w, 1000);
	CHECK(str_find(buf_view(&p.a->log), STR("accepted 600\n")) != SIZE_MAX);
	CHECK(str_find(buf_view(&p.a->log), STR("notify active")) != SIZE_MAX);
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 1000);
	CHECK(!p.a->sub && !p.b->sub);
	pair_free(&p);
}

/* [RFC3842 3.6] */
TEST(a_new_subscription_has_a_new_call_id)
{
	struct pair p = begin();
	char first[64];
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	CHECK(str_copy(first, sizeof(first), dlg_call_id(sub_dialog(sub_of(p.a)))));
	lose(p.w, p.a, p.b, 1);
	lose(p.w, p.b, p.a, 1);
	world_run(p.w, 700000); /* it expires at both */
	CHECK(!p.a->sub && !p.b->sub);
	lose(p.w, p.a, p.b, 0);
	lose(p.w, p.b, p.a, 0);
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	CHECK(!str_eq(dlg_call_id(sub_dialog(sub_of(p.a))), str_c(first)));
	CHECK(p.b->sub);
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 1000);
	pair_free(&p);
}

/* [RFC6665 8.2.1] [RFC3903 4]: nothing but these has an Event, and no response. */
TEST(event_is_in_its_own_requests_only)
{
	static const char *const own[] = {"SUBSCRIBE ", "NOTIFY ", "PUBLISH "};
	struct pair p = watched();
	unsigned n_own = 0, done = 0;
	used = &notifier;
	body_says = OK;
	gap_us = 0;
	is_pending = has_no_body = false;
	p.b->on_request = accept;
	p.b->answer = 200;
	subscribe(&p, 600, "state");
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	sub_notify(sub_of(p.b));
	outside(p.a, p.b, "OPTIONS", "", NULL, "", &done);
	world_run(p.w, 100);
	hangup(p.a);
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 1000);
	for (unsigned i = 0; i < n_shots; i++) {
		bool is_own = false;
		for (size_t k = 0; k < ARRAY_LEN(own); k++)
			is_own |= str_starts(str_c(shots[i].text), str_c(own[k]));
		CHECK_EQ(shot_count(shots[i].text, "Event"), is_own);
		n_own += is_own;
	}
	CHECK(n_own >= 5 && n_shots > 2 * n_own);
	pair_free(&p);
}

static bool keep(struct party *p, tsx_id st, struct tp_rx *rx)
{
	kept_st = st;
	kept_rx = rx; /* borrowed while the transaction lives */
	return true;
}

/* A NOTIFY of `p`, as one branch of a fork sends it. */
static void notify_from(struct party *p, const struct party *to, const char *tag)
{
	const struct dlg *d = sub_dialog(sub_of((struct party *)to));
	struct str call_id = dlg_call_id(d), to_tag = dlg_local_tag(d);
	char text[800];
	struct tp_dst dst = {.proto = TP_UDP, .is_fixed = true};
	struct buf b;
	CHECK(addr_parse(str_c(to->ip), 5060, &dst.to));
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b,
		"NOTIFY sip:a@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bK-%s\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:x@y>;tag=%s\r\nTo: <sip:u@z>;tag=" STR_FMT
		"\r\nCall-ID: " STR_FMT "\r\nCSeq: 1 NOTIFY\r\nContact: <sip:%s@%s>\r\n"
		"Event: state\r\nSubscription-State: active;expires=500\r\n"
		"Content-Length: 0\r\n\r\n",
		to->ip, p->ip, tag, tag, STR_ARG(to_tag), STR_ARG(call_id), tag, p->ip);
	CHECK_EQ(b.err, OK);
	CHECK_EQ(tp_send(p->tp, &dst, buf_view(&b), 0), OK);
	world_run(p->w, 100);
}

/* [RFC6665 4.1.4, 4.4.1] [RFC3842 3.9]: the NOTIFY comes from another branch of a fork than the
 * 2xx: it makes the dialog, and what the others send finds none. */
TEST(notify_of_another_branch)
{
	struct pair p = begin();
	struct party *c = party_new(p.w, "c");
	p.b->on_request = keep;
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	ladder_clear(p.w);
	notify_from(c, p.a, "other");
	CHECK_LADDER(p.w, "    0 c->a NOTIFY\n   10 a->c 200 (NOTIFY)\n");
	respond(p.b, kept_st, kept_rx, 200, "b", "Expires: 600\r\n", 0);
	world_run(p.w, 100);
	CHECK_STR(dlg_remote_target(sub_dialog(sub_of(p.a))), "sip:other@10.0.0.3");
	ladder_clear(p.w);
	notify_from(p.b, p.a, "b");
	CHECK_LADDER(p.w, "    0 b->a NOTIFY\n   10 a->b 481 (NOTIFY)\n");
	sub_drop(sub_of(p.a));
	p.a->sub = NULL;
	pair_free(&p);
}

/* A request inside the subscription's dialog from the notifier's side. */
static void from_notifier(struct pair *p, const char *method, const char *headers, unsigned want)
{
	static unsigned done;
	static struct uac *u;
	struct dlg_request req = {.method = str_c(method), .headers = str_c(headers)};
	CHECK(p->b->sub);
	done = 0;
	CHECK_EQ(dlg_send(sub_dialog(sub_of(p->b)), &req, &pair_plain, NULL, &done, &u), OK);
	world_run(p->w, 100);
	CHECK_EQ(done, want);
}

TEST(odd_requests_in_a_subscription)
{
	struct pair p = begin();
	unsigned done;
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	from_notifier(&p, "NOTIFY", "Event: other\r\nSubscription-State: active\r\n", 489);
	from_notifier(&p, "NOTIFY", "Event: state\r\n", 400);
	from_notifier(&p, "OPTIONS", "", 200);
	from_notifier(&p, "MESSAGE", "", 405);
	ladder_clear(p.w);
	from_notifier(&p, "NOTIFY", "Event: state\r\nSubscription-State: active;expires=100\r\n",
		      200);
	CHECK_EVENTS(p.a, "notify active 100 \"\"\n");
	world_run(p.w, 95000); /* the shorter time is refreshed in time */
	CHECK(str_find(buf_view(&p.a->log), STR("accepted 600\n")) != SIZE_MAX);
	/* and from the subscriber */
	struct uac *u;
	static const struct {
		const char *method, *headers;
		unsigned status;
	} cases[] = {
		{"SUBSCRIBE", "Event: other\r\n",               489},
		{"OPTIONS",   "",                               200},
		{"MESSAGE",   "",                               405},
		{"SUBSCRIBE", "Event: state\r\nExpires: 5\r\n", 423},
	};
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct dlg_request req = {.method = str_c(cases[i].method),
					  .headers = str_c(cases[i].headers)};
		CHECK_EQ(dlg_send(sub_dialog(sub_of(p.a)), &req, &pair_plain, NULL, &done, &u), OK);
		world_run(p.w, 100);
		CHECK_EQ(done, cases[i].status);
	}
	ladder_clear(p.w); /* expires says nothing where it has ended [RFC6665 4.1.3] */
	from_notifier(&p, "NOTIFY",
		      "Event: state\r\nSubscription-State: terminated;expires=100\r\n", 200);
	CHECK_EVENTS(p.a, "notify terminated 0 \"\"\nend remote 0 \n");
	sub_terminate(sub_of(p.b), STR("deactivated"));
	world_run(p.w, 100);
	pair_free(&p);
}

/* ---- fetched, throttled, durable ------------------------------------------------------------- */

TEST(a_state_that_is_fetched)
{
	struct pair p = begin();
	body_says = ERR_MORE;
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "accepted 600\n");
	sub_notify(sub_of(p.b)); /* waits too */
	world_run(p.w, 100);
	body_says = OK;
	state = 3;
	sub_ready(sub_of(p.b));
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "accepted 600\nnotify active 599 \"state 3\"\n");
	ladder_clear(p.w);
	body_says = ERR_STATE; /* nothing new: left out, unless it is owed */
	sub_notify(sub_of(p.b));
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "");
	CHECK_EQ(sub_n_notified(sub_of(p.b)), 1);
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "notify terminated 0 \"\"\nend local 0 timeout\n");
	pair_free(&p);
}

/* [RFC6665 5.4.11] */
TEST(a_gap_between_changes)
{
	struct pair p = begin();
	gap_us = 1000000;
	subscribe(&p, 600, "state");
	world_run(p.w, 5000);
	unsigned before = sub_n_notified(sub_of(p.b));
	for (state = 1; state <= 50; state++) {
		sub_notify(sub_of(p.b));
		world_run(p.w, 100);
	}
	state = 50;
	unsigned n = sub_n_notified(sub_of(p.b)) - before;
	CHECK(n >= 6 && n <= 8); /* three at once, then one a second */
	ladder_clear(p.w);
	world_run(p.w, 2000);
	CHECK(str_find(buf_view(&p.a->log), STR("\"state 50\"")) != SIZE_MAX);
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 100);
	pair_free(&p);
}

TEST(answered_when_it_is_durable)
{
	struct pair p = begin();
	used = &durable;
	save_says = ERR_MORE;
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "");
	sub_saved(sub_of(p.b), OK);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "accepted 600\nnotify active 600 \"state 0\"\n");
	CHECK_EQ(n_saves, 1);
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 100);
	ladder_clear(p.w);
	subscribe(&p, 600, "state"); /* the disk is full, and says so late */
	world_run(p.w, 100);
	sub_saved(sub_of(p.b), ERR_LIMIT);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "end refused 500 Server Internal Error (result)\n");
	CHECK(!p.b->sub);
	ladder_clear(p.w);
	save_says = ERR_LIMIT; /* and at once */
	subscribe(&p, 600, "state");
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "end refused 500 Server Internal Error (result)\n");
	pair_free(&p);
}

static enum err restore(struct pair *p, struct str text, struct sub **out)
{
	struct sub_accept acc = {.event = STR("state"),
				 .content_type = STR("text/state"),
				 .contact_user = STR("b"),
				 .account = party_account(p->b)};
	return sub_restore(p->b->dlg, text, &acc, 100000, &durable, p->b, out);
}

/* The notifier ends without a word and comes back. */
TEST(outlives_the_process)
{
	struct pair p = begin();
	used = &durable;
	subscribe(&p, 600, "state");
	world_run(p.w, 1000);
	uint32_t cseq = sub_of(p.b)->d->local_cseq;
	sub_drop(p.b->sub);
	p.b->sub = NULL;
	party_close(p.b);
	world_run(p.w, 5000);
	party_open(p.b);
	ladder_clear(p.w);
	state = 8;
	CHECK_EQ(restore(&p, str_of(kept, n_kept), &p.b->sub), OK);
	world_run(p.w, 200);
	CHECK_EVENTS(p.a, "notify active 593 \"state 8\"\n");
	CHECK(sub_of(p.b)->d->local_cseq > cseq);
	CHECK(sub_n_notified(sub_of(p.b)) > 1);
	ladder_clear(p.w);
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 200);
	CHECK_EVENTS(p.a, "notify terminated 0 \"state 8\"\nend local 0 timeout\n");
	CHECK(!p.b->sub);
	/* what is cut off, of another version, or over */
	struct sub *s;
	for (size_t n = 0; n < n_kept; n++)
		CHECK_EQ(restore(&p, str_of(kept, n), &s), ERR_SYNTAX);
	world_run(p.w, 600000);
	CHECK_EQ(restore(&p, str_of(kept, n_kept), &s), ERR_TIMEOUT);
	kept[0] = 9;
	CHECK_EQ(restore(&p, str_of(kept, n_kept), &s), ERR_SYNTAX);
	pair_free(&p);
}

/* The CSeq of NOTIFYs never comes near the number that was kept. */
TEST(the_reserve_of_numbers_is_renewed)
{
	struct pair p = begin();
	used = &durable;
	subscribe(&p, 36000, "state");
	world_run(p.w, 100);
	for (unsigned i = 0; i < 1200; i++) {
		sub_notify(sub_of(p.b));
		world_run(p.w, 25);
		CHECK(sub_of(p.b)->d->local_cseq < sub_of(p.b)->cseq_kept);
	}
	CHECK(n_saves >= 3 && n_saves <= 4);
	sub_unsubscribe(sub_of(p.a));
	world_run(p.w, 100);
	pair_free(&p);
}
