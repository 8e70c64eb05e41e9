/* Legs joined: of several that may be, which.
 *
 * Two calls between the same numbers at the same time fit each other's legs, so all pairs were kept
 * open. When the calls are over, it shows which go together: a B2BUA passes on ringing, answer and
 * end within milliseconds. The cost of a pair is how far apart these are; what one leg has and the
 * other has not costs a second. Pairs are taken cheapest first, each inbound leg with one outbound
 * leg; what is then left over may be a fork, and goes to the inbound leg that it fits best. A pair
 * that is no better than the next best is not taken: a join that is wrong is worse than none.
 *
 * Invariant: after settling no join of these calls is open.
 */
#include "track/trk_join_priv.h"

#include <stdlib.h>

#define APART_MS    1'000u /* the most that one difference costs */
#define MARGIN_MS   5u     /* nearer than this, two pairs are alike */
#define TOGETHER_MS 300u
#define LESS_SURE   10u /* than where only one was possible */

struct pick {
	struct trk_join *j;
	uint32_t cost;
};

static uint32_t apart(uint64_t a_us, uint64_t b_us, uint32_t most_ms)
{
	if (!a_us && !b_us)
		return 0;
	uint64_t us = a_us > b_us ? a_us - b_us : b_us - a_us;
	return !a_us || !b_us || us > most_ms * 1'000ull ? most_ms : (uint32_t)(us / 1'000);
}

static uint32_t cost_of(const struct trk *t, const struct trk_join *j)
{
	const struct trk_call *a = j->a, *b = j->b;
	const struct trk_ev *in = trk_ev(t, j->evidence[0]);
	/* a PBX may say 180 by itself, before anything rings */
	uint32_t cost = apart(a->ring_us, b->ring_us, APART_MS / 10) +
			apart(a->answer_us, b->answer_us, APART_MS) +
			apart(a->end_us, b->end_us, APART_MS);
	/* the order of arrival counts where nothing else tells: first in, first out */
	return cost + (in ? apart(in->at_us, b->first_us, APART_MS) / 8 : 0);
}

static int by_cost(const void *x, const void *y)
{
	const struct pick *a = x, *b = y;
	if (a->cost != b->cost)
		return a->cost < b->cost ? -1 : 1;
	return a->j->b->no != b->j->b->no ? (a->j->b->no < b->j->b->no ? -1 : 1)
					  : (a->j->a->no < b->j->a->no ? -1 : 1);
}

static bool has_inbound(const struct trk_leg *l)
{
	LIST_EACH (&l->as_b, k) {
		const struct trk_join *j = LIST_ENTRY(k, struct trk_join, of_b);
		if (j->state == TRK_JOIN_MADE &&
		    !trk_join_about((enum trk_ground)j->ground)->is_cause)
			return true;
	}
	return false;
}

static bool has_outbound(const struct trk_leg *l)
{
	LIST_EACH (&l->as_a, k) {
		const struct trk_join *j = LIST_ENTRY(k, struct trk_join, of_a);
		if (j->state == TRK_JOIN_MADE &&
		    !trk_join_about((enum trk_ground)j->ground)->is_cause)
			return true;
	}
	return false;
}

/* Whether another pair of the same outbound leg costs as little, to an inbound leg that is free. */
static bool is_doubtful(const struct trk *t, const struct pick *p)
{
	LIST_EACH (&p->j->b->leg->as_b, k) {
		const struct trk_join *o = LIST_ENTRY(k, struct trk_join, of_b);
		if (o != p->j && o->state == TRK_JOIN_OPEN && !has_outbound(o->a->leg) &&
		    cost_of(t, o) <= p->cost + MARGIN_MS)
			return true;
	}
	return false;
}

/* The called number alone says little: the two must have been answered or ended together. */
static bool is_enough(const struct pick *p)
{
	const struct trk_call *b = p->j->b;
	return p->j->ground != TRK_JOIN_CALLED ||
	       (p->cost < TOGETHER_MS && (b->answer_us || b->end_us));
}

static void pick(struct trk *t, struct pick *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i].cost = cost_of(t, v[i].j);
	qsort(v, n, sizeof v[0], by_cost);
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < n; i++) {
			struct trk_join *j = v[i].j;
			if (j->state != TRK_JOIN_OPEN || has_inbound(j->b->leg) ||
			    (!pass && has_outbound(j->a->leg)) || is_doubtful(t, &v[i]) ||
			    !is_enough(&v[i]))
				continue;
			j->confidence = (uint8_t)(j->confidence - LESS_SURE);
			trk_join_make(j);
		}
	for (size_t i = 0; i < n; i++)
		list_del(&v[i].j->b->leg->open);
	for (size_t i = 0; i < n; i++)
		if (v[i].j->state == TRK_JOIN_OPEN)
			trk_join_drop(t, v[i].j);
}

/* Appends the open joins of an outbound leg; v may be NULL to count them. */
static size_t collect(const struct trk_leg *l, struct pick *v)
{
	size_t n = 0;
	LIST_EACH (&l->as_b, k) {
		struct trk_join *j = LIST_ENTRY(k, struct trk_join, of_b);
		if (j->state != TRK_JOIN_OPEN)
			continue;
		if (v)
			v[n] = (struct pick){j, 0};
		n++;
	}
	return n;
}

static size_t collect_all(const struct link *open, struct pick *v)
{
	size_t n = 0;
	LIST_EACH (open, k)
		n += collect(LIST_ENTRY(k, struct trk_leg, open), v ? v + n : NULL);
	return n;
}

static void pick_of(struct trk *t, const struct link *open)
{
	size_t n = collect_all(open, NULL);
	struct pick *v = n ? malloc(n * sizeof *v) : NULL;
	if (v) { /* without memory they stay open, and nobody sees them */
		n = collect_all(open, v);
		pick(t, v, n);
	}
	free(v);
}

void trk_join_settle(struct trk *t)
{
	if (t->joins)
		pick_of(t, &t->joins->open);
}

void trk_join_decide(struct trk *t, struct trk_call *c)
{
	struct link mine;
	if (!c->leg)
		return;
	list_init(&mine);
	if (!list_is_empty(&c->leg->open)) {
		list_del(&c->leg->open);
		list_push(&mine, &c->leg->open);
	}
	LIST_EACH (&c->leg->as_a, k) {
		struct trk_join *j = LIST_ENTRY(k, struct trk_join, of_a);
		if (j->state != TRK_JOIN_OPEN)
			continue;
		list_del(&j->b->leg->open);
		list_push(&mine, &j->b->leg->open);
	}
	pick_of(t, &mine);
	while (!list_is_empty(&mine)) /* there was no memory: later */
		list_push(&t->joins->open, list_pop(&mine));
}
