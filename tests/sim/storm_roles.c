/* The storm of all roles: ten user agents over UDP, TCP, TLS, WS, WSS, two of them behind NATs, do
 * at random moments whatever user agents do, while the links lose, repeat and reorder, connections
 * break, NATs forget, policy and accounts are read anew, and the exchange crashes between any two
 * writes and starts again. Calls go by the proxy or through the back-to-back user agent, by
 * forwards, hunts, groups. Then the links heal, everybody hangs up and leaves. Invariants:
 *
 *   1. each call has ended exactly once for each party;
 *   2. the exchange loses no call: where nothing breaks but the links lose (each third seed is
 *      such a one), and between the moments when something does, a call that stood ends because a
 *      party hung up or referred it, another callee won, or its time to ring was over; the
 *      descriptions that parties send say which dialogs are one call;
 *   3. each accepted MESSAGE was delivered exactly once; across a crash at least once;
 *   4. whoever watches sees all lamps dark at the end, and so does who asks anew;
 *   5. nothing is left, at the exchange and at any party: no transaction, dialog, session,
 *      subscription; then no timer and no deferred call (stage_check_loop), no allocation, so no
 *      buffer either;
 *   6. no message grows without an edit, and a transaction ends once: what the exchange passes on
 *      and answers is compared with what came, and of a call in two dialogs the one with the
 *      other (witness.h);
 *   7. two runs of a seed give identical bytes.
 *
 * Seeds: 12, or RUNG_SEEDS; RUNG_SEED for one alone, which also tells of each lost call. */
#include "actor.h"
#include "policy/config.h"
#include "witness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTORS 10
#define STEPS  250
#define TEXTS  512

struct crowd {
	struct stage *s;
	struct witness *witness;
	struct actor *a[ACTORS];
	struct sim_nat *nats[2];
	unsigned n_texts, delivered[TEXTS];
	unsigned n_crashes;
	uint64_t seed;
};

static struct totals {
	unsigned n_calls, n_confirmed, n_lost, n_crashes, n_texts, n_twice, n_notified, n_passed;
	unsigned n_compared;
} totals;

static struct crowd *present; /* for texts that come */

static const char policy_text[] =
	"users:\n"
	"  '1001': {forward: {busy: '1006', no_answer: hunt, after: 2s}}\n"
	"  '1002': {mode: b2bua, forward: {busy: all, offline: '1006'}}\n"
	"  '1003': {mode: b2bua}\n"
	"  '1004': {forward: {busy: '1003', no_answer: hunt, after: 1s}}\n"
	"  '1005': {mode: redirect}\n"
	"  '1008': {mode: b2bua}\n"
	"groups:\n"
	"  hunt: {ring: in-turn, time: 2s, members: ['1006', '1007'], otherwise: '1006'}\n"
	"  all: {members: ['1006', '1007', '1009']}\n";

static uint64_t draw(struct crowd *w, uint64_t n)
{
	return sim_random(w->s->sim) % n;
}

static void hold(struct crowd *w, bool is_so, const char *what)
{
	if (is_so)
		return;
	printf("# seed %llu: %s\n", (unsigned long long)w->seed, what);
	CHECK(!"an invariant does not hold: see above");
}

static void set_policy(struct crowd *w)
{
	struct pol_diags d;
	struct pol_config *c = NULL;
	pol_diags_init(&d);
	CHECK_EQ(pol_load(str_c(policy_text), &c, &d), OK);
	pol_diags_fini(&d);
	CHECK_EQ(exc_set_policy(w->s->exc, c), OK);
}

static void on_text(struct actor *a, struct str body)
{
	uint32_t n;
	CHECK(str_u32(body, &n) && n < present->n_texts);
	present->delivered[n]++;
}

static struct crowd *crowd_new(uint64_t seed)
{
	static const enum tp_proto protos[ACTORS] = {TP_UDP, TP_TCP, TP_UDP, TP_TLS, TP_WS,
						     TP_UDP, TP_WSS, TP_UDP, TP_TCP, TP_UDP};
	static const struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	static struct crowd w;
	struct sim_link bad = {
		.delay_us = 10000, .jitter_us = 40000, .loss = 0.1, .duplicate = 0.05};
	w = (struct crowd){.seed = seed, .s = stage_new_with(seed, 1 + seed % 3, &bad, &cfg)};
	present = &w;
	w.witness = witness_new(w.s);
	set_policy(&w);
	for (unsigned i = 0; i < ACTORS; i++) {
		char user[8], host[16];
		snprintf(user, sizeof(user), "%u", 1001 + i);
		snprintf(host, sizeof(host), "10.0.0.%u", 11 + i);
		w.a[i] = actor_new(w.s, user, host, protos[i]);
		w.a[i]->on_text = on_text;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct addr outside;
		CHECK(addr_parse(i ? STR("203.0.113.5") : STR("198.51.100.7"), 0, &outside));
		CHECK_EQ(sim_nat_new(w.s->sim, &outside, 60000000, &w.nats[i]), OK);
		sim_nat_add(w.nats[i], w.a[7 + i]->sim_host); /* one by UDP, one by TCP */
	}
	for (unsigned i = 0; i < ACTORS; i++)
		actor_register(w.a[i]);
	stage_run(w.s, 40);
	return &w;
}

/* ---- what may happen ------------------------------------------------------------------------- */

/* Either side of a call may be somebody else's, who does not know. */
static void shake(struct crowd *w)
{
	for (unsigned i = 0; i < ACTORS; i++)
		actor_shake(w->a[i]);
}

static void crash(struct crowd *w)
{
	static const enum st_fault faults[] = {ST_FAULT_CRASH_BEFORE, ST_FAULT_CRASH_TORN,
					       ST_FAULT_CRASH_AFTER};
	if (w->n_crashes == 2)
		return;
	w->n_crashes++;
	st_mem_fault(w->s->disk, 1 + draw(w, 4), faults[draw(w, 3)]);
	stage_run(w->s, (double)draw(w, 1000) / 1000);
	shake(w);
	stage_crash(w->s);
	st_mem_fault(w->s->disk, 0, ST_FAULT_NONE);
	stage_open_exchange(w->s);
	witness_again(w->witness);
	set_policy(w);
}

static void break_something(struct crowd *w, struct actor *a)
{
	if (w->seed % 3 == 0)
		return;
	switch (draw(w, 4)) {
	case 0:
		shake(w);
		sim_nat_restart(w->nats[draw(w, 2)]);
		break;
	case 1:
		crash(w);
		break;
	default:
		shake(w);
		actor_break_flows(a);
		break;
	}
}

static void dial(struct crowd *w, struct actor *a)
{
	static const char *const whom[] = {"1001", "1002", "1003", "1004", "1005", "1006", "1007",
					   "1008", "1009", "1010", "hunt", "all",  "1099", "echo"};
	actor_dial(a, whom[draw(w, ARRAY_LEN(whom))], draw(w, 5) == 0, draw(w, 2),
		   draw(w, 3) ? 0 : 90);
}

static void change(struct crowd *w, struct actor *a)
{
	struct actor_call *c = actor_pick_call(a, draw(w, 100), true), *other;
	char user[8];
	if (!c)
		return;
	switch (draw(w, 5)) {
	case 0:
		snprintf(user, sizeof(user), "%llu", 1001ull + draw(w, ACTORS));
		actor_transfer(c, user);
		break;
	case 1:
		other = actor_pick_call(a, draw(w, 100), true);
		if (other)
			actor_transfer_to(c, other);
		break;
	default:
		actor_modify(c, draw(w, 4));
		break;
	}
}

static void tell(struct crowd *w, struct actor *a)
{
	static const char *const packages[] = {"presence",       "dialog", "dialog",
					       "presence.winfo", "reg",    "message-summary"};
	char user[16];
	uint64_t k = draw(w, ARRAY_LEN(packages));
	snprintf(user, sizeof(user), "%llu", 1001ull + draw(w, ACTORS));
	switch (draw(w, 4)) {
	case 0:
		actor_publish(a, (unsigned)draw(w, 1000));
		break;
	case 1:
		if (w->n_texts < TEXTS)
			actor_message(a, user, w->n_texts++);
		break;
	default:
		actor_subscribe(a, k < 3 ? (draw(w, 8) ? user : "colleagues") : a->user,
				packages[k]);
		break;
	}
}

static void step(struct crowd *w)
{
	struct actor *a = w->a[draw(w, ACTORS)];
	struct actor_call *c;
	uint64_t what = draw(w, 100);
	if (what < 30) {
		dial(w, a);
	} else if (what < 48) {
		if ((c = actor_pick_call(a, draw(w, 100), false)))
			actor_hang_up(c);
	} else if (what < 66) {
		change(w, a);
	} else if (what < 86) {
		tell(w, a);
	} else if (what < 90) {
		if (draw(w, 2))
			actor_unregister(a);
		else
			actor_unsubscribe_all(a);
	} else if (what < 94) {
		actor_register(a);
	} else if (what < 98) {
		break_something(w, a);
	} else if (what < 99) {
		set_policy(w);
	} else {
		stage_account(w->s, "1011"); /* read anew */
	}
}

/* ---- at the end ------------------------------------------------------------------------------ */

static void fail(struct crowd *w, const struct actor_call *c, const char *what)
{
	struct str cause = ses_cause_text(c->end.cause);
	printf("# seed %llu, %s, call %s (%s): %s; by %d, " STR_FMT ", %u\n",
	       (unsigned long long)w->seed, c->actor->user, c->call_id,
	       c->is_caller ? "caller" : "callee", what, c->end.by, STR_ARG(cause), c->end.status);
	CHECK(!"an invariant does not hold: see above");
}

/* ---- one call, several dialogs --- */

static struct actor_call *next_call(struct crowd *w, struct actor_call *c)
{
	size_t i = 0;
	if (c) {
		while (w->a[i] != c->actor)
			i++;
		if (++c < &w->a[i]->calls[w->a[i]->n_calls])
			return c;
		i++;
	}
	while (i < ACTORS && !w->a[i]->n_calls)
		i++;
	return i < ACTORS ? w->a[i]->calls : NULL;
}

static bool has_heard(const struct actor_call *c, const struct actor_call *o)
{
	for (unsigned i = 0; i < c->n_peers; i++)
		if (c->peers[i] == o->number)
			return true;
	return false;
}

/* Puts into one group what belongs to one call: ends of one dialog, and those whose descriptions
 * went from one to the other. */
static void group_calls(struct crowd *w)
{
	bool has_changed = true;
	for (struct actor_call *c = NULL; (c = next_call(w, c));)
		c->group = c->number;
	while (has_changed) {
		has_changed = false;
		for (struct actor_call *c = NULL; (c = next_call(w, c));)
			for (struct actor_call *o = NULL; (o = next_call(w, o));)
				if (o->group < c->group && (has_heard(c, o) || has_heard(o, c) ||
							    strcmp(c->call_id, o->call_id) == 0)) {
					c->group = o->group;
					has_changed = true;
				}
	}
}

/* A callee that was not made an offer, and that nobody's description reached: the exchange called
 * it for somebody who gave up. */
static bool is_alone(struct crowd *w, const struct actor_call *c)
{
	for (struct actor_call *o = NULL; (o = next_call(w, o));)
		if (o != c && o->group == c->group)
			return false;
	return !c->is_caller;
}

/* Did somebody do something that ends it? Who hung up may have left when a request meets a 481 and
 * the BYE is yet on its way. */
static bool is_cause(const struct actor_call *o, const struct actor_call *c)
{
	bool is_before = o->n_ended && o->ended_us <= c->ended_us;
	bool is_other_callee = o != c && !c->is_caller && !o->is_caller;
	if (o->acted_us && o->acted_us <= c->ended_us)
		return true;
	if (o != c && is_before && (o->is_shaken || o->end.by == SES_BY_NETWORK))
		return true;
	if (o->is_caller && is_before && !o->was_confirmed) /* a 603 of another ended all */
		return true;
	/* another one has won, or c's time to ring was over when it answered */
	return is_other_callee && (o->was_confirmed || o->begun_us > c->begun_us + 900000);
}

static bool has_cause(struct crowd *w, const struct actor_call *c)
{
	for (struct actor_call *o = NULL; (o = next_call(w, o));)
		if (o->group == c->group && is_cause(o, c))
			return true;
	return false;
}

static void check_call(struct crowd *w, const struct actor_call *c)
{
	totals.n_calls++;
	totals.n_confirmed += c->was_confirmed;
	if (c->n_ended != 1)
		fail(w, c, c->n_ended ? "ended more than once" : "never ended");
	if (!c->was_confirmed || c->is_shaken || is_alone(w, c) || has_cause(w, c))
		return;
	totals.n_lost++;
	if (getenv("RUNG_SEED")) {
		struct str cause = ses_cause_text(c->end.cause);
		printf("# lost: %s, %s, by %d, " STR_FMT "\n", c->actor->user, c->call_id,
		       c->end.by, STR_ARG(cause));
	}
}

static void check_texts(struct crowd *w, const struct actor *a)
{
	for (size_t i = 0; i < a->n_texts; i++) {
		const struct actor_text *t = &a->texts[i];
		unsigned n = w->delivered[t->number];
		bool is_accepted = t->status >= 200 && t->status < 300;
		totals.n_texts += is_accepted;
		totals.n_twice += n > 1;
		if ((is_accepted && !n) || (n > 1 && !t->is_shaken)) {
			printf("# seed %llu: text %u of %s, answered %u: delivered %u times\n",
			       (unsigned long long)w->seed, t->number, a->user, t->status, n);
			CHECK(!"a MESSAGE was lost or repeated");
		}
	}
}

static void leave(struct crowd *w)
{
	static const struct sim_link healed = {.delay_us = 10000};
	sim_link_default(w->s->sim, &healed);
	for (unsigned i = 0; i < ACTORS; i++)
		actor_register(w->a[i]); /* what waits for him comes */
	stage_run(w->s, 100);
	for (int round = 0; round < 3; round++) { /* what is transferred meanwhile, too */
		for (unsigned i = 0; i < ACTORS; i++)
			for (size_t k = 0; k < w->a[i]->n_calls; k++)
				actor_hang_up(&w->a[i]->calls[k]);
		stage_run(w->s, 240); /* Timer C and more */
	}
}

static void check_lamps(struct crowd *w)
{
	for (unsigned i = 0; i < ACTORS; i++)
		actor_unsubscribe_all(w->a[i]);
	stage_run(w->s, 40);
	for (unsigned i = 0; i < ACTORS; i++)
		actor_subscribe(w->a[(i + 1) % ACTORS], w->a[i]->user, "dialog");
	stage_run(w->s, 5);
	for (unsigned i = 0; i < ACTORS; i++)
		hold(w, !actor_lit_lamps(w->a[i]), "a lamp is lit for who asks anew");
}

static uint64_t storm(uint64_t seed)
{
	size_t live = test_live();
	struct crowd *w = crowd_new(seed);
	for (int i = 0; i < STEPS; i++) {
		stage_run(w->s, (double)draw(w, 800) / 1000);
		step(w);
	}
	leave(w);
	for (unsigned i = 0; i < ACTORS; i++)
		hold(w, !actor_lit_lamps(w->a[i]), "a lamp is lit");
	check_lamps(w);
	for (unsigned i = 0; i < ACTORS; i++) {
		actor_unsubscribe_all(w->a[i]);
		actor_unregister(w->a[i]);
	}
	stage_run(w->s, 400);
	group_calls(w);
	for (unsigned i = 0; i < ACTORS; i++) {
		for (size_t k = 0; k < w->a[i]->n_calls; k++)
			check_call(w, &w->a[i]->calls[k]);
		check_texts(w, w->a[i]);
		hold(w, actor_is_idle(w->a[i]), "something is left at a party");
		for (size_t k = 0; k < ACTOR_SUBS; k++)
			totals.n_notified += w->a[i]->subs[k].n_notified;
	}
	for (size_t i = 0; i < w->s->n_shards; i++)
		hold(w, !exc_live(w->s->exc, i), "something is left in the exchange");
	totals.n_crashes += w->n_crashes;
	for (unsigned i = 0; i < ACTORS; i++)
		actor_free(w->a[i]);
	uint64_t hash = w->s->wire_hash;
	totals.n_passed += witness_passed(w->witness);
	totals.n_compared += witness_compared(w->witness);
	witness_check_calls(w->witness);
	stage_free(w->s);
	witness_free(w->witness);
	CHECK_EQ(test_live(), live);
	return hash;
}

TEST_NO_OOM(storm_of_all_roles)
{
	const char *many = getenv("RUNG_SEEDS"), *one = getenv("RUNG_SEED");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t n = one ? 1 : many ? strtoull(many, NULL, 10) : 12;
	for (uint64_t i = 0; i < n; i++)
		storm(first + i);
	printf("# %llu seeds, %u ends of calls, %u confirmed, %u lost (%.3f %%); %u crashes; %u "
	       "messages accepted, %u twice after a crash; %u passed on, %u descriptions in two "
	       "dialogs\n",
	       (unsigned long long)n, totals.n_calls, totals.n_confirmed, totals.n_lost,
	       100.0 * totals.n_lost / totals.n_confirmed, totals.n_crashes, totals.n_texts,
	       totals.n_twice, totals.n_passed, totals.n_compared);
	CHECK_EQ(totals.n_lost, 0);
}

TEST_NO_OOM(two_runs_of_a_seed_of_all_roles_are_equal)
{
	for (uint64_t seed = 1; seed <= 2; seed++)
		CHECK(storm(seed) == storm(seed));
}
