/* The tracker: whose message it is, resent or captured twice, the life of a call in a file and
 * live, media. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static struct trk_call *the_call(struct play *p)
{
	struct trk_call *c = trk_find(p->t, str_c(p->call_id));
	CHECK(c);
	return c;
}

/* A call through a proxy, up to the answer. */
static void call_until_answer(struct play *p)
{
	msg(p, 0, "A>P", "INVITE 1 a", SDP("192.0.2.21", "4000"));
	msg(p, 0.01, "P>A", "100 Trying 1 INVITE a", "");
	msg(p, 0.02, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(p, 0.10, "B>P", "180 Ringing 1 INVITE b", "To-tag: t\r\n");
	msg(p, 0.11, "P>A", "180 Ringing 1 INVITE a", "To-tag: t\r\n");
	msg(p, 2.00, "B>P", "200 OK 1 INVITE b", "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
	msg(p, 2.01, "P>A", "200 OK 1 INVITE a", "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
	msg(p, 2.02, "A>P", "ACK 1 c", "To-tag: t\r\n");
	msg(p, 2.03, "P>B", "ACK 1 d", "To-tag: t\r\n");
}

static void hang_up(struct play *p, double at)
{
	msg(p, at, "A>P", "BYE 2 e", "To-tag: t\r\n");
	msg(p, at + 0.01, "P>B", "BYE 2 f", "To-tag: t\r\n");
	msg(p, at + 0.02, "B>P", "200 OK 2 BYE f", "To-tag: t\r\n");
	msg(p, at + 0.03, "P>A", "200 OK 2 BYE e", "To-tag: t\r\n");
}

TEST(a_call_lives)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	struct trk_call *c = the_call(&p);
	CHECK_EQ(c->kind, TRK_CALL);
	CHECK_EQ(c->phase, TRK_SETUP);
	CHECK_STR(trk_user(c->from), "1001");
	CHECK_STR(trk_user(c->to), "1002");
	msg(&p, 0.1, "P>A", "180 Ringing 1 INVITE a", "To-tag: t\r\n");
	CHECK_EQ(c->phase, TRK_RINGING);
	msg(&p, 2, "P>A", "200 OK 1 INVITE a", "To-tag: t\r\n");
	CHECK_EQ(c->phase, TRK_ANSWERED);
	CHECK_EQ(c->answer_us - c->first_us, 2'000'000);
	msg(&p, 5, "P>A", "BYE 7 x", "To-tag: f\r\n");
	CHECK_EQ(c->phase, TRK_ENDING);
	msg(&p, 5.1, "A>P", "200 OK 7 BYE x", "To-tag: f\r\n");
	CHECK_EQ(c->phase, TRK_ENDED);
	CHECK_EQ(c->n_ev, 5);
	play_end(&p);
}

/* Two phones have answered: the call goes on while one of them talks. */
TEST_NO_OOM(of_two_who_answered_one_leaves)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	struct trk_call *c = the_call(&p);
	msg(&p, 1, "P>A", "200 OK 1 INVITE a", "To-tag: b\r\n");
	msg(&p, 1.1, "P>A", "200 OK 1 INVITE a", "To-tag: c\r\n");
	p.from_tag = "b";
	msg(&p, 2, "P>A", "BYE 7 x", "To-tag: f\r\n");
	msg(&p, 2.1, "A>P", "200 OK 7 BYE x", "To-tag: f\r\n");
	p.from_tag = "f";
	CHECK_EQ(c->phase, TRK_ANSWERED);
	CHECK_EQ(c->end_us, 0);
	msg(&p, 60, "A>P", "BYE 2 y", "To-tag: c\r\n");
	CHECK_EQ(c->phase, TRK_ENDING);
	CHECK_EQ(c->end_us - c->answer_us, 59'000'000);
	CHECK(c->is_ended_by_caller);
	play_end(&p);
}

TEST_NO_OOM(only_the_callers_hop_moves_the_call)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	msg(&p, 0.02, "P>B", "INVITE 1 b", "");
	msg(&p, 0.03, "P>C", "INVITE 1 c", "");
	msg(&p, 0.10, "B>P", "486 Busy_Here 1 INVITE b", "To-tag: b\r\n");
	CHECK_EQ(the_call(&p)->phase, TRK_SETUP);
	msg(&p, 0.20, "C>P", "200 OK 1 INVITE c", "To-tag: c\r\n");
	CHECK_EQ(the_call(&p)->phase, TRK_SETUP);
	msg(&p, 0.21, "P>A", "200 OK 1 INVITE a", "To-tag: c\r\n");
	CHECK_EQ(the_call(&p)->phase, TRK_ANSWERED);
	CHECK(addr_eq(&the_call(&p)->peers[the_call(&p)->callee].addr, &(struct addr){0}) == false);
	struct addr c = host('C');
	CHECK(addr_eq(&the_call(&p)->peers[the_call(&p)->callee].addr, &c));
	CHECK_EQ(the_call(&p)->n_tags, 2);
	play_end(&p);
}

TEST_NO_OOM(resent_and_captured_twice)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	msg(&p, 0.5, "A>P", "INVITE 1 a", "");
	msg(&p, 1.5, "A>P", "INVITE 1 a", "");
	msg(&p, 1.5005, "A>P", "INVITE 1 a", ""); /* a mirror port: no timer is that fast */
	msg(&p, 1.51, "P>B", "INVITE 1 a", "");   /* another hop */
	CHECK_EQ(trk_stats(p.t)->n_retrans, 2);
	CHECK_EQ(trk_stats(p.t)->n_duplicate, 1);
	CHECK_EQ(trk_copy_of(trk_ev(p.t, 3)), 1);
	CHECK(trk_ev(p.t, 4)->flags & TRK_EV_DUPLICATE);
	CHECK_EQ(trk_copy_of(trk_ev(p.t, 5)), 0);
	/* with an IP identification there is no guessing */
	p.ip_id = 77;
	msg(&p, 2.0, "P>A", "180 Ringing 1 INVITE a", "To-tag: t\r\n");
	msg(&p, 2.3, "P>A", "180 Ringing 1 INVITE a", "To-tag: t\r\n");
	CHECK(trk_ev(p.t, 7)->flags & TRK_EV_DUPLICATE);
	p.ip_id = 78;
	msg(&p, 2.301, "P>A", "180 Ringing 1 INVITE a", "To-tag: t\r\n");
	CHECK(trk_ev(p.t, 8)->flags & TRK_EV_RETRANS);
	play_end(&p);
}

TEST_NO_OOM(a_challenged_call_goes_on)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	msg(&p, 0.1, "P>A", "407 Auth 1 INVITE a",
	    "To-tag: t\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
	CHECK_EQ(the_call(&p)->phase, TRK_ENDED);
	CHECK_EQ(the_call(&p)->status, 407);
	msg(&p, 0.2, "A>P", "INVITE 2 b",
	    "Proxy-Authorization: Digest username=\"1001\", realm=\"r\", nonce=\"n\", uri=\"u\", "
	    "response=\"x\"\r\n");
	CHECK_EQ(the_call(&p)->phase, TRK_SETUP);
	CHECK_EQ(the_call(&p)->status, 0);
	CHECK(trk_ev(p.t, 3)->flags & TRK_EV_AUTH);
	CHECK_STR_EQ(trk_fact_text(trk_fact(trk_ev(p.t, 3), TRK_F_CREDENTIALS)), STR("1001"));
	CHECK_STR_EQ(trk_fact_text(trk_fact(trk_ev(p.t, 2), TRK_F_CHALLENGE)), STR("r"));
	play_end(&p);
}

TEST_NO_OOM(a_client_without_branches)
{
	struct play p;
	play_begin(&p, NULL);
	struct buf b;
	buf_init(&b);
	for (int i = 0; i < 2; i++) {
		buf_clear(&b);
		buf_fmt(&b,
			"%s\r\nVia: SIP/2.0/UDP 192.0.2.21\r\nFrom: <sip:a@b>\r\nTo: <sip:c@b>\r\n"
			"Call-ID: call-1\r\nCSeq: 1 INVITE\r\n\r\n",
			i ? "SIP/2.0 200 OK" : "INVITE sip:c@b SIP/2.0");
		struct trk_packet k = {.at_us = p.base_us + (uint64_t)i,
				       .frame_no = 1,
				       .from = host(i ? 'B' : 'A'),
				       .to = host(i ? 'A' : 'B'),
				       .bytes = buf_view(&b)};
		CHECK_EQ(trk_message(p.t, &k, NULL), OK);
	}
	CHECK_EQ(the_call(&p)->phase, TRK_ANSWERED);
	buf_fini(&b);
	play_end(&p);
}

TEST_NO_OOM(many_peers_and_messages)
{
	struct play p;
	play_begin(&p, NULL);
	struct buf b;
	buf_init(&b);
	for (unsigned i = 0; i < 300; i++) {
		buf_clear(&b);
		buf_fmt(&b,
			"MESSAGE sip:c@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\n"
			"From: <sip:a@b>;tag=%u\r\nTo: <sip:c@b>;tag=%u\r\nCall-ID: call-1\r\n"
			"CSeq: %u MESSAGE\r\n\r\n",
			i, i, i, i);
		struct trk_packet k = {.at_us = p.base_us + i,
				       .frame_no = i + 1,
				       .from = host('A'),
				       .to = host('B'),
				       .bytes = buf_view(&b)};
		k.from.port = (uint16_t)(10'000 + i);
		CHECK_EQ(trk_message(p.t, &k, NULL), OK);
	}
	struct trk_call *c = the_call(&p);
	CHECK(c->is_cut);
	CHECK_EQ(c->n_peers, TRK_MAX_PEERS);
	uint32_t n;
	const struct trk_ev *const *rows = trk_history(p.t, c, &n);
	CHECK_EQ(n, 300);
	CHECK_EQ(trk_ev_id(rows[0]), 1);
	CHECK_EQ(trk_ev_id(rows[299]), 300);
	CHECK(judge(&p)->n > 0);
	buf_fini(&b);
	play_end(&p);
}

TEST_NO_OOM(what_is_no_sip)
{
	struct play p;
	play_begin(&p, NULL);
	struct trk_packet k = {
		.at_us = 1, .from = host('A'), .to = host('B'), .bytes = STR("hello")};
	CHECK_EQ(trk_message(p.t, &k, NULL), ERR_SYNTAX);
	CHECK_EQ(trk_stats(p.t)->n_not_sip, 1);
	k.bytes = STR("OPTIONS sip:a SIP/2.0\r\n\r\n");
	CHECK_EQ(trk_message(p.t, &k, NULL), OK);
	CHECK_EQ(trk_stats(p.t)->n_without_call_id, 1);
	CHECK_EQ(trk_n_live(p.t), 0);
	play_end(&p);
}

/* --- live ------------------------------------------------------------------------------------- */

struct heard {
	unsigned n;
	enum vrd_rule rule[16];
	char line[200];
};

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	struct heard *h = arg;
	struct buf b;
	buf_init_fixed(&b, h->line, sizeof h->line - 1);
	vrd_put_line(&b, c, v, true);
	h->line[b.n] = '\0';
	if (h->n < 16)
		h->rule[h->n++] = (enum vrd_rule)v->f[0].rule;
}

static void live_begin(struct play *p, struct heard *h, uint32_t max)
{
	*h = (struct heard){0};
	play_begin(p,
		   &(struct trk_cfg){
			   .is_live = true, .max_calls = max, .on_verdict = on_verdict, .arg = h});
}

static void tick(struct play *p, double at_s)
{
	trk_tick(p->t, p->base_us + (uint64_t)(at_s * 1e6));
}

TEST(live_calls_are_judged_and_forgotten)
{
	struct play p;
	struct heard h;
	live_begin(&p, &h, 0);
	call_until_answer(&p);
	tick(&p, 100);
	CHECK_EQ(h.n, 0);
	hang_up(&p, 101);
	CHECK_EQ(h.n, 0);
	tick(&p, 101.5);
	CHECK_EQ(h.n, 1);
	CHECK_EQ(h.rule[0], VRD_CALL_ANSWERED);
	CHECK(strstr(h.line, "1001 -> 1002: answered after 2.0 s, talked 1 min 38 s, the caller"));
	msg(&p, 102, "P>A", "200 OK 2 BYE e", "To-tag: t\r\n"); /* resent: absorbed */
	CHECK_EQ(trk_n_live(p.t), 1);
	tick(&p, 110);
	CHECK_EQ(trk_n_live(p.t), 0);
	CHECK_EQ(h.n, 1);
	play_end(&p);
}

TEST_NO_OOM(live_registrations_are_silent_when_they_went_well)
{
	struct play p;
	struct heard h;
	live_begin(&p, &h, 0);
	msg(&p, 0, "A>P", "REGISTER 1 a", "");
	msg(&p, 0.1, "P>A", "401 Auth 1 REGISTER a",
	    "To-tag: t\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
	msg(&p, 0.2, "A>P", "REGISTER 2 b",
	    "Contact: <sip:1001@192.0.2.21>\r\nAuthorization: Digest username=\"1001\", "
	    "realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"\r\n");
	msg(&p, 0.3, "P>A", "200 OK 2 REGISTER b", "To-tag: t\r\nExpires: 60\r\n");
	tick(&p, 1);
	CHECK_EQ(h.n, 0);
	/* the next one in the same dialog goes wrong */
	msg(&p, 3, "A>P", "REGISTER 3 c", "");
	msg(&p, 3.1, "P>A", "404 Not_Found 3 REGISTER c", "To-tag: t\r\n");
	tick(&p, 4);
	CHECK_EQ(h.n, 1);
	CHECK_EQ(h.rule[0], VRD_REG_UNKNOWN_USER);
	tick(&p, 20);
	CHECK_EQ(trk_n_live(p.t), 0);
	play_end(&p);
}

/* Whether the exchange speaks before or after the refusal is sent, nobody waits for a next try. */
TEST_NO_OOM(live_refusals_that_are_explained_are_judged_at_once)
{
	const char *challenge =
		"To-tag: t\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
	for (int is_after = 0; is_after < 2; is_after++) {
		struct play p;
		struct heard h;
		live_begin(&p, &h, 0);
		msg(&p, 0, "A>P", "REGISTER 1 a", "");
		msg(&p, 0.1, "P>A", "401 Auth 1 REGISTER a", challenge);
		msg(&p, 0.2, "A>P", "REGISTER 2 b",
		    "Authorization: Digest username=\"1001\", realm=\"r\", nonce=\"n\", uri=\"u\", "
		    "response=\"x\"\r\n");
		if (!is_after)
			trk_hint(p.t, STR("call-1"), STR("2002"), STR("wrong password"));
		msg(&p, 0.3, "P>A", "401 Auth 2 REGISTER b", challenge);
		if (is_after)
			trk_hint(p.t, STR("call-1"), STR("2002"), STR("wrong password"));
		CHECK_EQ(h.n, 0);
		tick(&p, 0.7);
		CHECK_EQ(h.n, 1);
		CHECK_EQ(h.rule[0], VRD_AUTH_WRONG);
		CHECK(strstr(h.line, ": wrong password (2002)"));
		play_end(&p);
	}
}

TEST_NO_OOM(live_challenges_wait_for_the_next_try)
{
	struct play p;
	struct heard h;
	live_begin(&p, &h, 0);
	const char *challenge =
		"To-tag: t\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
	msg(&p, 0, "A>P", "REGISTER 1 a", "");
	msg(&p, 0.1, "P>A", "401 Auth 1 REGISTER a", challenge);
	tick(&p, 2);
	CHECK_EQ(h.n, 0);
	msg(&p, 2.1, "A>P", "REGISTER 2 b",
	    "Authorization: Digest username=\"1001\", realm=\"r\", nonce=\"n\", uri=\"u\", "
	    "response=\"x\"\r\n");
	msg(&p, 2.2, "P>A", "401 Auth 2 REGISTER b", challenge);
	tick(&p, 5);
	CHECK_EQ(h.n, 0);
	tick(&p, 7);
	CHECK_EQ(h.n, 1);
	CHECK_EQ(h.rule[0], VRD_AUTH_WRONG);
	play_end(&p);
}

TEST_NO_OOM(live_requests_that_nobody_answers)
{
	struct play p;
	struct heard h;
	live_begin(&p, &h, 0);
	for (int i = 0; i < 5; i++)
		msg(&p, 0.5 * i, "A>B", "MESSAGE 1 a", "");
	tick(&p, 34); /* not before 64*T1 */
	CHECK_EQ(h.n, 0);
	tick(&p, 41);
	CHECK_EQ(h.n, 1);
	CHECK_EQ(h.rule[0], VRD_REQ_NO_ANSWER);
	play_end(&p);
}

TEST_NO_OOM(live_memory_is_bounded)
{
	struct play p;
	struct heard h;
	char id[16];
	live_begin(&p, &h, 8);
	for (unsigned i = 0; i < 200; i++) {
		id[0] = (char)('a' + i % 26);
		id[1] = (char)('a' + i / 26);
		id[2] = '\0';
		p.call_id = id;
		msg(&p, 0.001 * i, "A>P", "INVITE 1 a", "");
	}
	CHECK_EQ(trk_n_live(p.t), 8);
	trk_flush(p.t);
	CHECK_EQ(trk_n_live(p.t), 0);
	play_end(&p);
}

TEST_NO_OOM(live_calls_are_kept_as_long_as_asked)
{
	struct play p;
	play_begin(&p, &(struct trk_cfg){.is_live = true, .is_listed = true, .keep_s = 60});
	call_until_answer(&p);
	hang_up(&p, 10);
	p.call_id = "other";
	msg(&p, 11, "A>P", "INVITE 1 x", "");
	struct trk_call *other = the_call(&p);
	CHECK(trk_after(p.t, trk_first(p.t)) == other && trk_last(p.t) == other);
	tick(&p, 12);
	tick(&p, 69);
	CHECK_EQ(trk_n_live(p.t), 2);
	tick(&p, 80);
	CHECK_EQ(trk_n_forgotten(p.t), 1);
	CHECK(trk_first(p.t) == other && !trk_before(p.t, other) && !trk_after(p.t, other));
	play_end(&p);
}

TEST_NO_OOM(live_calls_that_are_held_stay)
{
	struct play p;
	play_begin(&p, &(struct trk_cfg){.is_live = true, .is_listed = true, .max_calls = 2});
	call_until_answer(&p);
	struct trk_call *held = the_call(&p);
	trk_hold(p.t, held, true);
	trk_hold(p.t, held, true);
	hang_up(&p, 10);
	tick(&p, 12);
	tick(&p, 100);
	p.call_id = "second";
	msg(&p, 101, "A>P", "INVITE 1 x", "");
	p.call_id = "third";
	msg(&p, 102, "A>P", "INVITE 1 y", "");
	CHECK(trk_first(p.t) == held);
	CHECK_EQ(trk_n_forgotten(p.t), 1); /* the second gave way */
	trk_hold(p.t, held, false);
	tick(&p, 200);
	CHECK(trk_first(p.t) == held);
	trk_hold(p.t, held, false);
	tick(&p, 300);
	CHECK(trk_first(p.t) != held);
	play_end(&p);
}

/* The steady state allocates nothing: everything comes back to the pools. */
TEST_NO_OOM(live_steady_state_has_no_malloc)
{
	struct play p;
	struct heard h;
	char id[16] = "x";
	live_begin(&p, &h, 0);
	size_t before = 0;
	p.call_id = id;
	for (unsigned i = 0; i < 300; i++) {
		double at = 10.0 * i;
		id[1] = (char)('a' + i % 26);
		id[2] = (char)('a' + i / 26);
		struct buf b;
		buf_init(&b);
		p.base_us += (uint64_t)(at * 1e6) - (i ? (uint64_t)((at - 10.0) * 1e6) : 0);
		call_until_answer(&p);
		hang_up(&p, 5);
		tick(&p, 9.9);
		buf_fini(&b);
		if (i == 150)
			before = test_allocs();
	}
	/* each message is composed in a buffer of the test: five allocations, counted beforehand */
	size_t made = test_allocs() - before, composed = 0;
	size_t again = test_allocs();
	msg(&p, 9.95, "A>P", "OPTIONS 1 q", "");
	composed = test_allocs() - again;
	CHECK(made <= 149 * 13 * (composed + 1));
	CHECK_EQ(h.n, 16);
	play_end(&p);
}

TEST_NO_OOM(hints_of_the_exchange_are_quoted)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	msg(&p, 0.1, "P>A", "404 Not_Found 1 INVITE a", "To-tag: t\r\n");
	trk_hint(p.t, STR("call-1"), STR("1404"), STR("no account 1002"));
	trk_hint(p.t, STR("nobody"), STR("1"), STR("x"));
	const struct vrd *v = judge(&p);
	CHECK_EQ(v->f[0].rule, VRD_CALL_UNKNOWN_USER);
	CHECK(str_ends(v->f[0].text, STR("; the exchange says: no account 1002 (1404)")));
	play_end(&p);
}

/* --- media ------------------------------------------------------------------------------------ */

TEST(streams_belong_to_their_call)
{
	struct play p;
	play_begin(&p, NULL);
	call_until_answer(&p);
	rtp(&p, 2.1, "192.0.2.21:4000", "192.0.2.43:5000", 7, 30, 0);
	rtp(&p, 2.1, "192.0.2.43:5000", "192.0.2.21:4000", 8, 30, 10);
	rtp(&p, 2.1, "192.0.2.43:5000", "192.0.2.21:4444", 9, 30, 0);  /* from its port: its own */
	rtp(&p, 2.1, "192.0.2.43:6000", "192.0.2.21:4445", 10, 30, 0); /* nobody's */
	const struct trk_stream *s = trk_av(the_call(&p))->streams;
	CHECK(s && s->ssrc == 9 && s->side == TRK_SIDE_CALLER);
	s = s->next;
	CHECK(s && s->ssrc == 8 && s->side == TRK_SIDE_CALLER);
	CHECK_EQ(rtp_stats_lost(&s->stats), 2); /* the third was the last packet: not missed yet */
	CHECK(strcmp(s->codec, "PCMU") == 0);
	s = s->next;
	CHECK(s && s->ssrc == 7 && s->side == TRK_SIDE_CALLEE);
	CHECK_EQ(rtp_stats_lost(&s->stats), 0);
	CHECK_EQ(rtp_stats_expected(&s->stats), 30);
	CHECK(!s->next);
	CHECK_EQ(trk_stats(p.t)->n_rtp, 30 + 27 + 30);
	play_end(&p);
}

TEST_NO_OOM(ports_are_used_again)
{
	struct play p;
	play_begin(&p, NULL);
	call_until_answer(&p);
	hang_up(&p, 3);
	p.call_id = "call-2";
	p.base_us += 60'000'000;
	call_until_answer(&p);
	rtp(&p, 2.1, "192.0.2.21:4000", "192.0.2.43:5000", 7, 10, 0);
	CHECK(trk_av(the_call(&p))->streams);
	CHECK(!trk_av(trk_find(p.t, STR("call-1")))->streams);
	play_end(&p);
}

/* Rows and facts, with places instead of ids. */
static void spell(struct play *p, const struct trk_call *c, struct buf *out)
{
	uint32_t n;
	const struct trk_ev *const *row = trk_history(p->t, c, &n);
	CHECK(row && n == c->n_ev);
	for (uint32_t i = 0; row && i < n; i++) {
		const struct trk_ev *e = row[i];
		uint32_t original = e->hash_copy;
		for (uint32_t k = 0; trk_copy_of(e) && k < i; k++)
			if (trk_ev_id(row[k]) == trk_copy_of(e))
				original = k;
		CHECK(trk_call_of(e) == c);
		buf_fmt(out, "%llu %u %u %u %u %u %u %x %u>%u %u %u%u %x %x\n",
			(unsigned long long)e->at_us, (unsigned)e->file_off, (unsigned)e->ip_id,
			e->frame_no, (unsigned)e->n_bytes, (unsigned)e->status, (unsigned)e->method,
			(unsigned)e->flags, (unsigned)e->from, (unsigned)e->to, (unsigned)e->tag,
			(unsigned)e->is_plain, (unsigned)e->has_facts, e->branch, original);
		buf_fmt(out, "cseq %u\n", e->cseq);
		for (const struct trk_fact *f = c->facts; f; f = f->next)
			if (f->ev == trk_ev_id(e))
				buf_fmt(out, "  %u %u %u " STR_FMT "\n", f->kind, f->num, f->flags,
					STR_ARG(trk_fact_text(f)));
	}
}

/* 32 s after its last message a call lies in one block; whoever asks finds all as it was. */
TEST(a_call_that_only_talks_is_packed)
{
	struct play p;
	struct buf before, after;
	buf_init(&before);
	buf_init(&after);
	play_begin(&p, &(struct trk_cfg){.is_live = true, .packs = true, .has_agents = true});
	p.call_id = "a-call-id-that-is-longer-than-the-room-beside-the-node@192.0.2.21";
	p.ip_id = 77;
	call_until_answer(&p);
	msg(&p, 2.5, "B>P", "200 OK 1 INVITE b", "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
	msg(&p, 2.51, "P>B", "ACK 1 d", "To-tag: t\r\n");
	struct trk_call *c = the_call(&p);
	spell(&p, c, &before);
	CHECK(str_find(buf_view(&before), STR("192.0.2.43")) != SIZE_MAX);
	uint32_t n_bytes = c->n_bytes;
	trk_tick(p.t, p.base_us + 40'000'000);
	CHECK(c->is_packed);
	CHECK(9 * c->n_bytes <= 4 * n_bytes);
	CHECK_STR(trk_user(c->from), "1001");
	CHECK_STR(trk_host(c->to), "example.com");
	CHECK(the_call(&p) == c);
	spell(&p, c, &after);
	CHECK(str_eq(buf_view(&before), buf_view(&after)));
	trk_rest(p.t, c); /* and again, out of what was unpacked */
	CHECK(c->is_packed);
	buf_clear(&after);
	spell(&p, c, &after);
	CHECK(str_eq(buf_view(&before), buf_view(&after)));
	trk_rest(p.t, c);
	hang_up(&p, 100);
	CHECK(!c->is_packed);
	CHECK_EQ(c->n_ev, 15);
	CHECK_EQ(c->phase, TRK_ENDED);
	VERDICT_IS(CALL_ANSWERED, "answered after 2.0 s, talked 1 min 37 s, the caller hung up");
	trk_tick(p.t, p.base_us + 200'000'000); /* judged */
	trk_tick(p.t, p.base_us + 210'000'000); /* forgotten */
	CHECK_EQ(trk_n_live(p.t), 0);
	buf_fini(&before);
	buf_fini(&after);
	play_end(&p);
}
