/* Registrations and subscriptions that go well are counted; all others are tracked as if nothing
 * had been put aside. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

struct heard {
	unsigned n;
	enum vrd_rule rule[16];
	unsigned n_messages;
};

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	struct heard *h = arg;
	h->n_messages = c->n_ev;
	if (h->n < 16)
		h->rule[h->n++] = (enum vrd_rule)v->f[0].rule;
}

static void begin(struct play *p, struct heard *h)
{
	*h = (struct heard){0};
	play_begin(p,
		   &(struct trk_cfg){
			   .is_live = true, .is_quick = true, .on_verdict = on_verdict, .arg = h});
}

static void tick(struct play *p, double at_s)
{
	trk_tick(p->t, p->base_us + (uint64_t)(at_s * 1e6));
}

static void challenged(struct play *p, double at_s)
{
	msg(p, at_s, "A>P", "REGISTER 1 a", "");
	msg(p, at_s + 0.01, "P>A", "401 Auth 1 REGISTER a",
	    "To-tag: t\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
	msg(p, at_s + 0.02, "A>P", "REGISTER 2 b",
	    "Contact: <sip:1001@192.0.2.21>\r\nAuthorization: Digest username=\"1001\", "
	    "realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"\r\n");
}

TEST_NO_OOM(quick_registrations_are_counted)
{
	struct play p;
	struct heard h;
	char id[8];
	begin(&p, &h);
	p.call_id = id;
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof id, "r%d", i);
		challenged(&p, i);
		CHECK_EQ(trk_n_live(p.t), 0);
		msg(&p, i + 0.03, "P>A", "200 OK 2 REGISTER b", "To-tag: t\r\n");
		msg(&p, i + 0.04, "P>A", "200 OK 2 REGISTER b", "To-tag: t\r\n"); /* resent */
	}
	const struct trk_stats *s = trk_stats(p.t);
	CHECK_EQ(s->n_messages, 500);
	CHECK_EQ(s->n_requests[SIP_REGISTER], 200);
	CHECK_EQ(s->n_statuses[401], 100);
	CHECK_EQ(s->n_statuses[200], 100);
	CHECK_EQ(s->n_calls[TRK_REG], 100);
	CHECK_EQ(s->n_retrans, 100);
	trk_flush(p.t);
	CHECK_EQ(h.n, 0);
	CHECK_EQ(trk_n_live(p.t), 0);
	play_end(&p);
}

TEST_NO_OOM(quick_refusals_are_tracked_whole)
{
	struct play p;
	struct heard h;
	begin(&p, &h);
	challenged(&p, 0);
	msg(&p, 0.03, "P>A", "401 Auth 2 REGISTER b",
	    "To-tag: t\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"m\"\r\n");
	CHECK_EQ(trk_n_live(p.t), 1);
	tick(&p, 40);
	CHECK_EQ(h.n, 1);
	CHECK_EQ(h.rule[0], VRD_AUTH_WRONG);
	CHECK_EQ(h.n_messages, 4);
	CHECK_EQ(trk_stats(p.t)->n_messages, 4);
	/* a challenge that the exchange explains, too */
	p.call_id = "other";
	msg(&p, 50, "A>P", "REGISTER 1 a", "");
	trk_hint(p.t, STR("other"), STR("1"), STR("because"));
	CHECK_EQ(trk_n_live(p.t), 1);
	play_end(&p);
}

TEST_NO_OOM(quick_silence_is_tracked)
{
	struct play p;
	struct heard h;
	begin(&p, &h);
	msg(&p, 0, "A>P", "REGISTER 1 a", "");
	tick(&p, 3.9);
	CHECK_EQ(trk_n_live(p.t), 0);
	tick(&p, 4.1);
	CHECK_EQ(trk_n_live(p.t), 1);
	msg(&p, 4.5, "A>P", "REGISTER 1 a", "");
	msg(&p, 8.5, "A>P", "REGISTER 1 a", "");
	tick(&p, 50);
	CHECK_EQ(h.n, 1);
	CHECK_EQ(h.rule[0], VRD_REQ_NO_ANSWER);
	CHECK_EQ(h.n_messages, 3);
	play_end(&p);
}

TEST_NO_OOM(quick_copies_and_strangers_are_tracked)
{
	struct play p;
	struct heard h;
	begin(&p, &h);
	msg(&p, 0, "A>P", "REGISTER 1 a", "");
	msg(&p, 0.5, "A>P", "REGISTER 1 a", ""); /* resent before the answer */
	CHECK_EQ(trk_n_live(p.t), 1);
	CHECK_EQ(trk_stats(p.t)->n_retrans, 1);
	p.call_id = "mixed"; /* another method under the same Call-ID */
	msg(&p, 1, "A>P", "REGISTER 1 a", "");
	msg(&p, 1.1, "A>P", "OPTIONS 2 b", "");
	CHECK_EQ(trk_n_live(p.t), 2);
	p.call_id = "again"; /* the next one of the same phone, when the first is over */
	challenged(&p, 2);
	msg(&p, 2.1, "P>A", "200 OK 2 REGISTER b", "To-tag: t\r\n");
	msg(&p, 3, "A>P", "REGISTER 3 c", "");
	msg(&p, 3.1, "P>A", "404 Not_Found 3 REGISTER c", "To-tag: t\r\n");
	CHECK_EQ(trk_n_live(p.t), 3);
	tick(&p, 4);
	CHECK_EQ(h.n, 1);
	CHECK_EQ(h.rule[0], VRD_REG_UNKNOWN_USER);
	play_end(&p);
}

static void subscribe(struct play *p, double at_s)
{
	msg(p, at_s, "A>P", "SUBSCRIBE 1 a", "Event: presence\r\n");
	msg(p, at_s + 0.01, "P>A", "407 Auth 1 SUBSCRIBE a",
	    "To-tag: t\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
	msg(p, at_s + 0.02, "A>P", "SUBSCRIBE 2 b",
	    "Event: presence\r\nContact: <sip:1001@192.0.2.21>\r\nProxy-Authorization: Digest "
	    "username=\"1001\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"\r\n");
	msg(p, at_s + 0.03, "P>A", "200 OK 2 SUBSCRIBE b", "To-tag: t\r\nExpires: 60\r\n");
}

static void notify(struct play *p, double at_s, const char *how)
{
	char start[40];
	snprintf(start, sizeof start, "NOTIFY %s", how);
	msg(p, at_s, "P>A", start, "To-tag: t\r\nSubscription-State: active\r\n");
}

TEST_NO_OOM(quick_subscriptions_are_counted)
{
	struct play p;
	struct heard h;
	char id[8];
	begin(&p, &h);
	p.call_id = id;
	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof id, "s%d", i);
		subscribe(&p, i);
		notify(&p, i + 0.04, "1 c");
		CHECK_EQ(trk_n_live(p.t), 0);
		msg(&p, i + 0.05, "A>P", "200 OK 1 NOTIFY c", "To-tag: t\r\n");
		msg(&p, i + 0.5, "A>P", "SUBSCRIBE 2 b", /* its 200 was lost */
		    "Event: presence\r\nContact: <sip:1001@192.0.2.21>\r\nProxy-Authorization: "
		    "Digest username=\"1001\", realm=\"r\", nonce=\"n\", uri=\"u\", "
		    "response=\"x\"\r\n");
		msg(&p, i + 0.51, "P>A", "200 OK 2 SUBSCRIBE b", "To-tag: t\r\nExpires: 60\r\n");
		notify(&p, i + 0.6, "2 d"); /* a change, later */
		msg(&p, i + 0.61, "A>P", "200 OK 2 NOTIFY d", "To-tag: t\r\n");
	}
	const struct trk_stats *s = trk_stats(p.t);
	CHECK_EQ(s->n_messages, 500);
	CHECK_EQ(s->n_requests[SIP_SUBSCRIBE], 100);
	CHECK_EQ(s->n_requests[SIP_NOTIFY], 100);
	CHECK_EQ(s->n_statuses[407], 50);
	CHECK_EQ(s->n_statuses[200], 150);
	CHECK_EQ(s->n_calls[TRK_SUB], 100);
	CHECK_EQ(s->n_retrans, 100);
	trk_flush(p.t);
	CHECK_EQ(h.n, 0);
	CHECK_EQ(trk_n_live(p.t), 0);
	play_end(&p);
}

TEST_NO_OOM(quick_subscriptions_without_notify_are_tracked)
{
	struct play p;
	struct heard h;
	begin(&p, &h);
	subscribe(&p, 0);
	CHECK_EQ(trk_n_live(p.t), 0);
	tick(&p, 5);
	CHECK_EQ(trk_n_live(p.t), 1);
	p.call_id = "other"; /* the world goes on */
	notify(&p, 40, "7 e");
	msg(&p, 40.1, "A>P", "200 OK 7 NOTIFY e", "To-tag: t\r\n");
	tick(&p, 60);
	CHECK_EQ(h.n, 1);
	CHECK_EQ(h.rule[0], VRD_SUB_NO_NOTIFY);
	CHECK_EQ(h.n_messages, 4);
	play_end(&p);
}

TEST_NO_OOM(quick_refused_notifies_are_tracked)
{
	struct play p;
	struct heard h;
	begin(&p, &h);
	subscribe(&p, 0);
	notify(&p, 0.04, "1 c");
	msg(&p, 0.05, "A>P", "481 Gone 1 NOTIFY c", "To-tag: t\r\n");
	CHECK_EQ(trk_n_live(p.t), 1);
	CHECK_EQ(trk_stats(p.t)->n_messages, 6);
	p.call_id = "later"; /* the 200 of one hop does not answer the other's request */
	notify(&p, 1, "7 e");
	msg(&p, 1.1, "P>A", "200 OK 7 NOTIFY e", "To-tag: t\r\n");
	CHECK_EQ(trk_n_live(p.t), 2);
	play_end(&p);
}

/* Who storms and gets no answer does not fill the memory: beyond a bound all is tracked. */
TEST_NO_OOM(quick_keeps_little_aside)
{
	struct play p;
	struct heard h;
	char id[8];
	unsigned n = 0;
	begin(&p, &h);
	p.call_id = id;
	while (!trk_stats(p.t)->n_messages && n < 5'000) {
		snprintf(id, sizeof id, "s%u", n++);
		msg(&p, 1, "A>P", "SUBSCRIBE 1 a", "Event: dialog\r\n");
	}
	CHECK_EQ(n, 2'049);
	tick(&p, 6); /* those are handed over, and there is room again */
	snprintf(id, sizeof id, "s%u", n);
	uint64_t n_messages = trk_stats(p.t)->n_messages;
	CHECK_EQ(n_messages, 2'049);
	msg(&p, 6, "A>P", "SUBSCRIBE 1 a", "Event: dialog\r\n");
	CHECK_EQ(trk_stats(p.t)->n_messages, n_messages);
	play_end(&p);
}

TEST_NO_OOM(quick_probes_are_counted)
{
	struct play p;
	struct heard h;
	begin(&p, &h);
	msg(&p, 0, "P>A", "OPTIONS 1 a", "");
	msg(&p, 0.1, "A>P", "200 OK 1 OPTIONS a", "To-tag: t\r\n");
	CHECK_EQ(trk_n_live(p.t), 0);
	CHECK_EQ(trk_stats(p.t)->n_calls[TRK_OPT], 1);
	msg(&p, 0.2, "A>P", "INVITE 2 b", ""); /* what it was for */
	CHECK_EQ(trk_n_live(p.t), 1);
	CHECK_EQ(trk_stats(p.t)->n_calls[TRK_CALL], 1);
	p.call_id = "refused";
	msg(&p, 1, "P>A", "OPTIONS 1 c", "");
	msg(&p, 1.1, "A>P", "404 No 1 OPTIONS c", "To-tag: t\r\n");
	CHECK_EQ(trk_n_live(p.t), 2);
	play_end(&p);
}

/* It asks for a call, and is none [RFC3515 2.4.4] */
TEST_NO_OOM(quick_refer_outside_a_call)
{
	struct play p;
	struct heard h;
	begin(&p, &h);
	msg(&p, 0, "A>P", "REFER 1 a", "Refer-To: <sip:c@x>\r\n");
	msg(&p, 0.1, "P>A", "202 Accepted 1 REFER a", "To-tag: t\r\n");
	CHECK_EQ(trk_stats(p.t)->n_calls[TRK_CALL], 0);
	CHECK_EQ(trk_stats(p.t)->n_calls[TRK_OTHER], 1);
	p.call_id = "within";
	msg(&p, 1, "A>P", "REFER 7 b", "To-tag: t\r\nRefer-To: <sip:c@x>\r\n");
	CHECK_EQ(trk_stats(p.t)->n_calls[TRK_CALL], 1); /* seen from the middle */
	play_end(&p);
}
