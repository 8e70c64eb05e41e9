/* Storms between two user agents: calls, refusals, cancellations, changes, hang-ups at random times
 * over a network that loses a fifth of all datagrams, doubles some, and reorders. When the loss
 * stops, 64*T1 later both sides must agree:
 *
 *   1. every call has ended on both sides, or is up on both sides with the same SDP;
 *   2. both say the same about who ended it, unless the verdict of one names a timer;
 *   3. nothing is left behind: no transaction, dialog, request, timer;
 *   4. two runs of a seed give identical bytes.
 *
 * Seeds: 60, or RUNG_SEEDS in the environment; RUNG_SEED for one of them, with its ladder. */
#include "party.h"

#include <stdio.h>
#include <stdlib.h>

#define CALLS 12 /* per seed */

static unsigned n_calls, n_timeouts;

static uint64_t pick(struct world *w, uint64_t n)
{
	return sim_random(w->sim) % n;
}

static void plan_callee(struct world *w, struct party *p)
{
	static const unsigned answers[] = {200, 200, 200, 486, 603, 0};
	p->ring = pick(w, 4) ? 180 : 0;
	p->ring_sdp = pick(w, 2);
	p->answer = answers[pick(w, 6)];
	p->answer_ms = (uint32_t)pick(w, 3000);
}

/* What a person might do at this moment. */
static void do_something(struct world *w, struct party *p)
{
	if (!p->ses)
		return;
	switch (pick(w, 6)) {
	case 0:
		ses_hangup(p->ses, STR_NONE);
		break;
	case 1:
	case 2:
		(void)!ses_modify(p->ses);
		break;
	case 3:
		(void)!ses_info(p->ses, STR("application/dtmf-relay"), STR("Signal=5"));
		break;
	}
}

static bool names_a_timer(const struct ses_end *e)
{
	return e->by == SES_BY_NETWORK || e->cause == SES_CAUSE_LOST_ACK ||
	       e->cause == SES_CAUSE_GONE || e->cause == SES_CAUSE_NO_RESPONSE;
}

/* 0 the network, 1 the caller, 2 the callee. */
static int who(const struct party_end *e)
{
	if (e->end.by == SES_BY_NETWORK)
		return 0;
	return (e->end.by == SES_BY_LOCAL) == e->is_caller ? 1 : 2;
}

static void compare(uint64_t seed, const struct party_end *a, const struct party_end *b)
{
	n_timeouts += names_a_timer(&a->end) || names_a_timer(&b->end);
	if (who(a) == who(b) || names_a_timer(&a->end) || names_a_timer(&b->end))
		return;
	printf("# seed %llu, call %s: by %d, %.*s; by %d, %.*s\n", (unsigned long long)seed,
	       a->call_id, who(a), STR_ARG(ses_cause_text(a->end.cause)), who(b),
	       STR_ARG(ses_cause_text(b->end.cause)));
	CHECK(who(a) == who(b));
}

static void compare_all(uint64_t seed, const struct party *a, const struct party *b)
{
	n_calls += a->n_ends > b->n_ends ? a->n_ends : b->n_ends;
	for (unsigned i = 0; i < a->n_ends; i++) {
		bool is_there = false;
		for (unsigned k = 0; k < b->n_ends && !is_there; k++) {
			is_there = str_eq(str_c(a->ends[i].call_id), str_c(b->ends[k].call_id));
			if (is_there)
				compare(seed, &a->ends[i], &b->ends[k]);
		}
		/* a busy callee refuses without a session */
		if (!is_there)
			n_timeouts += names_a_timer(&a->ends[i].end);
	}
}

static void check_calls_that_are_up(uint64_t seed, const struct party *a, const struct party *b)
{
	if ((a->ses != NULL) != (b->ses != NULL) ||
	    (a->ses && ses_is_confirmed(a->ses) &&
	     (a->local != b->remote || b->local != a->remote)))
		printf("# seed %llu: %s %u/%u, %s %u/%u\n", (unsigned long long)seed,
		       a->ses ? "up" : "gone", a->local, a->remote, b->ses ? "up" : "gone",
		       b->local, b->remote);
	CHECK_EQ(a->ses != NULL, b->ses != NULL);
	if (!a->ses)
		return;
	CHECK_STR_EQ(ses_call_id(a->ses), ses_call_id(b->ses));
	CHECK_EQ(ses_is_confirmed(a->ses), ses_is_confirmed(b->ses));
	if (!ses_is_confirmed(a->ses))
		return; /* it rings */
	CHECK_EQ(a->local, b->remote);
	CHECK_EQ(b->local, a->remote);
}

static void one_call(struct world *w, struct party *a, struct party *b)
{
	struct party *from = pick(w, 2) ? a : b, *to = from == a ? b : a;
	if (!from->ses) {
		struct ses_call call = {.is_late_offer = pick(w, 4) == 0};
		call.target = str_c(party_uri(to, pick(w, 5) ? "" : ";transport=tcp"));
		plan_callee(w, to);
		party_call_with(from, &call);
	}
	for (uint64_t n = pick(w, 8); n > 0; n--) {
		world_run(w, pick(w, 2000));
		do_something(w, pick(w, 2) ? a : b);
	}
}

static uint64_t storm(uint64_t seed)
{
	struct sim_link bad = {
		.delay_us = 10000, .jitter_us = 60000, .loss = 0.2, .duplicate = 0.05};
	struct sim_link good = {.delay_us = 10000};
	struct world *w = world_new(seed, &bad);
	struct party *a = party_new(w, "a"), *b = party_new(w, "b");
	w->is_quiet = !getenv("RUNG_SEED");
	if (seed % 3 == 0)
		b->password = "secret";
	if (seed % 4 == 0)
		a->password = "secret";
	for (int i = 0; i < CALLS; i++)
		one_call(w, a, b);
	sim_link_default(w->sim, &good);
	world_run(w, 45000); /* 64*T1, and what a 491 may wait */
	if (!w->is_quiet)
		printf(STR_FMT, STR_ARG(buf_view(&w->ladder)));
	check_calls_that_are_up(seed, a, b);
	if (a->ses)
		ses_hangup(a->ses, STR_NONE);
	world_run(w, 110000);
	CHECK(!a->ses && !b->ses);
	world_check_idle(w);
	if (!w->is_quiet)
		printf("a:\n" STR_FMT "b:\n" STR_FMT, STR_ARG(buf_view(&a->log)),
		       STR_ARG(buf_view(&b->log)));
	compare_all(seed, a, b);
	uint64_t hash = w->hash;
	world_free(w);
	return hash;
}

TEST_NO_OOM(storms)
{
	const char *n = getenv("RUNG_SEEDS"), *one = getenv("RUNG_SEED");
	uint64_t from = one ? strtoull(one, NULL, 10) : 1;
	uint64_t to = one ? from : n ? strtoull(n, NULL, 10) : 60;
	for (uint64_t seed = from; seed <= to; seed++)
		storm(seed);
	printf("# %u calls, %u ended by a timer\n", n_calls, n_timeouts);
	CHECK(one || n_timeouts * 20 <= n_calls);
}

TEST_NO_OOM(two_runs_of_a_seed_are_equal)
{
	CHECK(storm(7) == storm(7));
	CHECK(storm(7) != storm(8));
}
