/* Want of room in the back-to-back user agent: a bound on its calls, dialogs and transactions, and
 * allocations that fail, one after the other, while a call is set up, changed, transferred and
 * ended. It says 503 or loses a message, as the network does; it neither dies nor keeps anything.
 */
#include "b2b_rig.h"

#include "dialog/ses_priv.h"
#include "service/exchange_priv.h"

static struct raw_msg *poll_reply(struct raw *r, const char *start, const char *status,
				  const char *extra, const char *body)
{
	struct raw_msg *m = raw_poll(r, start);
	if (m)
		raw_reply(r, m, status, raw_has(m, ";tag=tag") ? NULL : "x", extra, body);
	return m;
}

/* What a call does, whatever of it arrives: INVITE, a transfer by the callee, BYE. */
static void live(struct rig *g, struct rig_end *a)
{
	struct rig_end b = {.r = g->b};
	struct raw_msg *m;
	raw_request(g->a, 0, &a->q);
	stage_run(g->t->s, 0.1);
	if ((m = raw_poll(g->a, "SIP/2.0 407"))) {
		raw_ack(g->a, 0, &a->q, m);
		raw_answer_challenge(g->a, &a->q, m);
		raw_request(g->a, 0, &a->q);
	}
	stage_run(g->t->s, 0.1);
	struct raw_msg *ok = NULL;
	if (raw_poll(g->b, "INVITE ")) {
		/* taken; the next copy of it is what rig_ring would wait for */
		for (size_t i = 0; i < g->b->n_msgs; i++)
			if (str_starts(g->b->msgs[i]->text, STR("INVITE ")))
				g->b->msgs[i]->is_taken = false;
		rig_ring(g, g->b, &b);
		raw_reply(g->b, b.invite, "183 Session Progress", b.q.tag,
			  RIG_SDP "Require: 100rel\nRSeq: 1\n", rig_sdp(g, g->b, NULL));
		stage_run(g->t->s, 0.1);
		poll_reply(g->b, "PRACK ", "200 OK", NULL, NULL);
		raw_reply(g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, g->sdp_mem[1]);
		stage_run(g->t->s, 0.1);
		ok = raw_poll(g->a, "SIP/2.0 200");
	}
	if (!ok)
		return;
	rig_set_caller(a, ok);
	rig_ack(a, &a->q, NULL, NULL);
	stage_run(g->t->s, 0.1);
	rig_ask(a, "INFO", "Content-Type: text/plain\n", "x\n");
	rig_ask(&b, "REFER", "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
	stage_run(g->t->s, 0.1);
	poll_reply(g->b, "INFO ", "200 OK", NULL, NULL);
	poll_reply(g->b, "NOTIFY ", "200 OK", NULL, NULL);
	poll_reply(g->d, "INVITE ", "200 OK", RIG_SDP, rig_sdp(g, g->d, NULL));
	stage_run(g->t->s, 0.1);
	poll_reply(g->a, "INVITE ", "200 OK", RIG_SDP, rig_sdp(g, g->a, NULL));
	stage_run(g->t->s, 0.1);
	rig_ask(&b, "BYE", NULL, NULL);
	stage_run(g->t->s, 0.1);
	rig_ask(a, "BYE", NULL, NULL);
	stage_run(g->t->s, 0.1);
	poll_reply(g->d, "BYE ", "200 OK", NULL, NULL);
	poll_reply(g->b, "BYE ", "200 OK", NULL, NULL);
}

TEST_NO_OOM(each_allocation_fails_once)
{
	static const struct exc_cfg cfg = {.realm = STR_INIT("sim"),
					   .product = STR_INIT("rung"),
					   .is_b2bua = true,
					   .has_farewell = true};
	bool is_last = false;
	size_t k = 1;
	for (; !is_last; k++) {
		struct rig *g = rig_new_with(&cfg);
		struct rig_end a = {.r = g->a};
		a.q = (struct raw_req){.method = "INVITE",
				       .uri = TO_B,
				       .extra = RIG_SDP "Supported: 100rel, histinfo\nSubject: x\n",
				       .body = rig_sdp(g, g->a, NULL)};
		raw_dns(g->t->s, "b.example", "10.0.0.22");
		size_t before = test_allocs();
		test_fail_alloc(k);
		live(g, &a);
		is_last = test_allocs() - before < k;
		test_fail_alloc(0);
		raw_flush(g->d);
		struct raw_req q = {.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
		raw_request(g->d, 0, &q);
		raw_get(g->d, "SIP/2.0 200", 1);
		rig_free(g); /* nothing is left */
	}
	printf("# %zu allocations\n", k);
	CHECK(k > 10);
}

/* No room for client transactions: 503 with its code, then again at work. */
TEST_NO_OOM(full_client_pool)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	for (size_t i = 0; i < g->t->s->n_shards; i++)
		tsx_set_limits(exc_transactions(g->t->s->exc, i), 0, 1000, 1000);
	rig_call(g, g->a, "1002", NULL, &a);
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 5", 1);
	CHECK(raw_has(m, "Warning: 399 rung"));
	raw_ack(g->a, 0, &a.q, m);
	for (size_t i = 0; i < g->t->s->n_shards; i++)
		tsx_set_limits(exc_transactions(g->t->s->exc, i), 1000, 1000, 1000);
	raw_flush(g->b);
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* What a call holds once its INVITEs are over: two sessions with a dialog each, nothing else, and
 * no memory beyond their own. */
TEST_NO_OOM(held_call_is_small)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_talk(g, g->a, "1002", g->b, &a, &b);
	stage_run(g->t->s, 60);
	unsigned n = 0;
	for (size_t i = 0; i < g->t->s->n_shards; i++) {
		struct dlg_mgr *m = g->t->s->exc->s[i].stack.dlg;
		struct dlg_stats st;
		uint32_t at = 0;
		dlg_stats(m, &st);
		n += st.sessions;
		CHECK_EQ(st.dialogs, st.sessions);
		CHECK_EQ(st.requests, 0);
		for (struct dlg *d; (d = pool_next(&m->dialogs, &at));)
			CHECK(!d->ack && !d->auth.e);
		at = 0;
		for (struct ses *s; (s = pool_next(&m->sessions, &at));) {
			CHECK(!s->w);
			/* for refreshes by re-INVITE */
			CHECK(s->kept && s->kept->is_squeezed);
		}
	}
	CHECK_EQ(n, 2);
	rig_bye(g, &a, &b);
	rig_free(g);
}
