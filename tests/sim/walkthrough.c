/* The walkthrough's flows through the whole stack in virtual time: registrar, proxy,
 * message-waiting, echo test, over every transport and between any two, with one shard and with
 * three. [RFC3261 10, 13, 15, 16] */
#include "stage.h"

#include <stdio.h>
#include <string.h>

static const struct sim_link lan = {.delay_us = 1000};

static bool has_ended(void *arg)
{
	struct stage_phone *p = arg;
	return p->n_ended > 0;
}

static void check_call(size_t n_shards, enum tp_proto proto, const struct exc_cfg *cfg,
		       const struct ph_plan *a_plan, const struct ph_plan *b_plan,
		       enum ph_outcome wanted, const char *by)
{
	struct stage *s = stage_new_with(7, n_shards, &lan, cfg);
	struct stage_phone *a = stage_phone(s, "1001", proto), *b = stage_phone(s, "1002", proto);
	stage_register(s, a);
	stage_register(s, b);
	CHECK_EQ(a->outcome, PH_DONE);
	b->plan = *b_plan;
	stage_call(a, "1002", a_plan);
	CHECK(stage_run_until(s, 200, has_ended, a));
	stage_run(s, 40);
	if (a->outcome != wanted)
		printf("# shards %zu, %s, %s; the caller saw:\n%s# the callee saw:\n%s", n_shards,
		       proto == TP_UDP ? "UDP" : "TCP", cfg->is_b2bua ? "B2BUA" : "proxy", a->log,
		       b->log);
	CHECK_EQ(a->outcome, wanted);
	CHECK_EQ(a->n_ended, 1);
	CHECK_EQ(b->n_ended, 1);
	CHECK_STR_EQ(str_c(a->by), str_c(by));
	for (size_t i = 0; i < n_shards; i++)
		CHECK_EQ(exc_live(s->exc, i), 0);
	stage_free(s);
}

static void check_everywhere(const struct ph_plan *a, const struct ph_plan *b,
			     enum ph_outcome wanted, const char *by)
{
	for (int i = 0; i < 2; i++) { /* by the proxy, by the back-to-back user agent */
		struct exc_cfg cfg = {.realm = STR("sim"), .product = STR("rung"), .is_b2bua = i};
		check_call(1, TP_UDP, &cfg, a, b, wanted, by);
		check_call(3, TP_UDP, &cfg, a, b, wanted, by);
		check_call(1, TP_TCP, &cfg, a, b, wanted, by);
		check_call(3, TP_TCP, &cfg, a, b, wanted, by);
	}
}

TEST_NO_OOM(call_declined)
{
	struct ph_plan a, b;
	ph_plan_init(&a);
	ph_plan_init(&b);
	b.reject = 486;
	check_everywhere(&a, &b, PH_BUSY, "remote");
}

TEST_NO_OOM(call_cancelled)
{
	struct ph_plan a, b;
	ph_plan_init(&a);
	ph_plan_init(&b);
	b.ring_s = -1;
	a.cancel_s = 2;
	check_everywhere(&a, &b, PH_DONE, "local");
}

TEST_NO_OOM(call_answered_caller_hangs_up)
{
	struct ph_plan a, b;
	ph_plan_init(&a);
	ph_plan_init(&b);
	b.ring_s = 1;
	a.hangup_s = 3;
	a.tone_hz = 440;
	b.tone_hz = 660;
	a.expect_tone_hz = 660;
	b.expect_tone_hz = 440;
	check_everywhere(&a, &b, PH_DONE, "local");
}

TEST_NO_OOM(call_answered_callee_hangs_up)
{
	struct ph_plan a, b;
	ph_plan_init(&a);
	ph_plan_init(&b);
	b.hangup_s = 3;
	check_everywhere(&a, &b, PH_DONE, "remote");
}

/* The callee hangs up: each side's requests find their way by the two Record-Routes. A phone on a
 * stream has no listener but its connection; the URIs of WebSocket phones lead nowhere at all.
 * [RFC5658 3.3] [RFC7118 5] */
TEST_NO_OOM(call_between_any_two_transports)
{
	struct ph_plan a_plan, b_plan;
	ph_plan_init(&a_plan);
	ph_plan_init(&b_plan);
	b_plan.ring_s = 1;
	b_plan.hangup_s = 2;
	a_plan.hold_s = 1; /* a re-INVITE the other way */
	for (int i = 0; i < TP__N * TP__N; i++) {
		struct stage *s = stage_new(7, 2, &lan);
		enum tp_proto from = (enum tp_proto)(i / TP__N), to = (enum tp_proto)(i % TP__N);
		struct stage_phone *a = stage_phone(s, "1001", from),
				   *b = stage_phone(s, "1002", to);
		stage_register(s, a);
		stage_register(s, b);
		b->plan = b_plan;
		stage_call(a, "1002", &a_plan);
		CHECK(stage_run_until(s, 60, has_ended, a));
		stage_run(s, 40);
		if (a->outcome != PH_DONE || b->n_ended != 1)
			printf("# %d to %d; the caller saw:\n%s# the callee saw:\n%s", from, to,
			       a->log, b->log);
		CHECK(a->n_answered == 1 && b->n_answered == 1);
		CHECK(a->n_ended == 1 && b->n_ended == 1);
		CHECK_STR(str_c(a->by), "remote");
		for (size_t k = 0; k < 2; k++)
			CHECK_EQ(exc_live(s->exc, k), 0);
		stage_free(s);
	}
}

/* From a phone on TLS to one that has registered as sip or as sips. */
static void check_sips(enum tp_proto to, bool is_sips, const char *uri, bool is_answered)
{
	struct ph_plan plan;
	struct stage *s = stage_new(7, 1, &lan);
	struct stage_phone *a = stage_phone(s, "1001", TP_TLS),
			   *b = is_sips ? stage_phone_sips(s, "1002", to)
					: stage_phone(s, "1002", to);
	ph_plan_init(&plan);
	plan.hangup_s = 1;
	stage_register(s, a);
	stage_register(s, b);
	ph_plan_init(&b->plan);
	CHECK_EQ(ph_call(a->ph, str_c(uri), &plan), OK);
	CHECK(stage_run_until(s, 60, has_ended, a));
	stage_run(s, 40);
	if (is_answered) {
		CHECK(a->n_answered == 1 && b->n_answered == 1 && b->n_ended == 1);
	} else {
		CHECK(strstr(a->log, "480") && !b->n_answered && !b->n_ended);
	}
	stage_free(s);
}

/* [RFC3261 16.6 step 4, 26.2.2] [RFC5630 5.3] */
TEST_NO_OOM(sips_goes_over_tls_or_not_at_all)
{
	for (int to = 0; to < TP__N; to++) {
		check_sips((enum tp_proto)to, false, "sips:1002@10.0.0.1:5061", false);
		if (!tp_is_secure((enum tp_proto)to))
			continue;
		check_sips((enum tp_proto)to, true, "sips:1002@10.0.0.1:5061", true);
		check_sips((enum tp_proto)to, true, "sip:1002@10.0.0.1", true);
	}
}

TEST_NO_OOM(call_held_and_resumed)
{
	struct ph_plan a, b;
	ph_plan_init(&a);
	ph_plan_init(&b);
	a.hold_s = 1;
	a.resume_s = 2;
	a.hangup_s = 3;
	a.tone_hz = b.tone_hz = 440;
	check_everywhere(&a, &b, PH_DONE, "local");
}

TEST_NO_OOM(call_not_answered_by_anybody)
{
	struct stage *s = stage_new(3, 2, &lan);
	struct stage_phone *a = stage_phone(s, "1001", TP_UDP);
	struct ph_plan plan;
	ph_plan_init(&plan);
	stage_register(s, a);
	stage_call(a, "1002", &plan); /* no such account */
	CHECK(stage_run_until(s, 60, has_ended, a));
	CHECK_EQ(a->outcome, PH_REJECTED);
	CHECK(strstr(a->log, "404"));
	stage_account(s, "1002");
	a->n_ended = 0;
	stage_call(a, "1002", &plan); /* an account that nobody registered */
	CHECK(stage_run_until(s, 60, has_ended, a));
	CHECK(strstr(a->log, "480"));
	stage_free(s);
}

/* Nothing of what the callee says arrives, so the exchange may not cancel its INVITE: the phone
 * must stop ringing by itself. (Seed 187 of a storm.) [RFC3261 9.1] */
TEST_NO_OOM(ringing_ends_by_itself)
{
	static const struct sim_link deaf = {.delay_us = 1000, .loss = 1};
	struct stage *s = stage_new(3, 2, &lan);
	struct stage_phone *a = stage_phone(s, "1001", TP_UDP), *b = stage_phone(s, "1002", TP_UDP);
	struct ph_plan plan;
	stage_register(s, a);
	stage_register(s, b);
	ph_plan_init(&plan);
	ph_plan_init(&b->plan);
	b->plan.ring_s = -1;
	sim_link_set(s->sim, b->sim_host, s->server, &deaf);
	stage_call(a, "1002", &plan);
	CHECK(stage_run_until(s, 60, has_ended, a));
	CHECK(strstr(a->log, "408"));
	CHECK_EQ(b->n_ended, 0);
	CHECK(stage_run_until(s, 300, has_ended, b));
	CHECK(strstr(b->log, "480"));
	stage_free(s);
}

TEST_NO_OOM(register_wrong_password)
{
	struct stage *s = stage_new(3, 2, &lan);
	stage_account(s, "1001");
	struct stage_phone *a = stage_phone_with(s, "1001", "wrong", TP_UDP);
	struct stage_phone *b = stage_phone_with(s, "nobody", "wrong", TP_UDP);
	stage_register(s, a);
	stage_register(s, b);
	CHECK_EQ(a->outcome, PH_AUTH);
	CHECK_EQ(b->outcome, PH_AUTH);
	CHECK(strstr(s->notes, "1001: wrong password"));
	CHECK(strstr(s->notes, "nobody: unknown user"));
	stage_free(s);
}

TEST_NO_OOM(message_waiting)
{
	struct stage *s = stage_new(3, 2, &lan);
	struct stage_phone *a = stage_phone(s, "1001", TP_UDP);
	stage_register(s, a);
	CHECK_EQ(ph_subscribe(a->ph, STR("sip:1001@" STAGE_SERVER), STR("message-summary"),
			      STR("application/simple-message-summary"), 600),
		 OK);
	stage_run(s, 5);
	CHECK_EQ(a->n_notified, 1);
	CHECK(strstr(a->log, "Messages-Waiting: no"));
	stage_run(s, 1000); /* refreshed meanwhile */
	CHECK_EQ(a->n_ended, 0);
	CHECK(ph_unsubscribe(a->ph));
	stage_run(s, 40);
	CHECK_EQ(a->n_ended, 1);
	stage_free(s);
}

TEST_NO_OOM(echo_test)
{
	struct stage *s = stage_new(3, 2, &lan);
	struct stage_phone *a = stage_phone(s, "1001", TP_UDP);
	struct ph_plan plan;
	ph_plan_init(&plan);
	plan.tone_hz = plan.expect_tone_hz = 440;
	plan.hangup_s = 2;
	stage_register(s, a);
	stage_call(a, "*43", &plan);
	CHECK(stage_run_until(s, 60, has_ended, a));
	CHECK_EQ(a->outcome, PH_DONE);
	stage_free(s);
}

TEST_NO_OOM(two_runs_of_a_seed_are_equal)
{
	uint64_t hash[2], n[2];
	for (int i = 0; i < 2; i++) {
		struct sim_link lossy = {
			.delay_us = 5000, .jitter_us = 20000, .loss = 0.1, .duplicate = 0.1};
		struct stage *s = stage_new(99, 3, &lossy);
		struct stage_phone *a = stage_phone(s, "1001", TP_UDP),
				   *b = stage_phone(s, "1002", TP_UDP);
		struct ph_plan plan;
		ph_plan_init(&plan);
		plan.hangup_s = 1;
		stage_register(s, a);
		stage_register(s, b);
		stage_call(a, "1002", &plan);
		stage_run(s, 60);
		hash[i] = s->wire_hash;
		n[i] = s->n_packets;
		stage_free(s);
	}
	CHECK(n[0] > 20);
	CHECK_EQ(n[0], n[1]);
	CHECK_EQ(hash[0], hash[1]);
}
