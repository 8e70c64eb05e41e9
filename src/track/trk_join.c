/* Legs joined: what is kept, and how pairs become whole calls.
 *
 *	leg     one per call that may be joined; the legs of one call form a ring
 *	join    a pair of calls with its ground; in both legs' lists, whatever its state
 *	mark    something by which a later call may find a leg, in a hash table
 *
 * A call made by REFER, or in the place of another one (Replaces), is no leg of that: the two are
 * linked as cause and effect, and their rings stay apart.
 *
 * Breaking a join takes its ring apart and puts it together again from the joins that are left.
 * That is quick, because a ring is small: a header that would put more than TRK_MAX_LEGS calls
 * into one says something else than which call it is.
 *
 * Invariants:
 * 1. A ring holds exactly the legs that made joins of kind SAME connect.
 * 2. A join is in the lists of two legs; a mark in one leg's and in the table, and those that grow
 *    old in the list of their age. They are freed with the leg, the leg with its call.
 * 3. A leg without marks and joins is freed: in a file only joined calls cost memory.
 * 4. At most MAX_ALIKE marks have one hash, and a leg is the inbound one of at most MAX_JOINS, so
 *    that no look-up costs more the more calls there are.
 *
 * [RFC3891] [RFC3515] [RFC7989]
 */
#include "track/trk_join_priv.h"

#include "base/assert.h"

#include <stdlib.h>

#define MAX_ALIKE 64u  /* marks with the same hash */
#define MAX_JOINS 128u /* in which a leg is the inbound one; more is no call, but an attack */

static const struct trk_join_about grounds[TRK_JOIN__N] = {
#define SAME  false
#define CAUSE true
#define GROUND(id, code, name, confidence, kind, rfc)                                              \
	[TRK_JOIN_##id] = {code, name, rfc, confidence, kind},
	GROUND(NONE, "", "", 0, SAME, "")
#include "track/trk_join.def"
#undef GROUND
#undef SAME
#undef CAUSE
};

const struct trk_join_about *trk_join_about(enum trk_ground g)
{
	return &grounds[g];
}

/* --- memory ----------------------------------------------------------------------------------- */

enum err trk_joins_new(struct trk *t)
{
	struct trk_joins *s = calloc(1, sizeof *s);
	if (!s || htab_init(&s->marks, 64)) {
		free(s);
		return ERR_NOMEM;
	}
	pool_init(&s->mark_pool, sizeof(struct trk_mark), UINT32_MAX, 3, 0);
	pool_init(&s->leg_pool, sizeof(struct trk_leg), UINT32_MAX, 4, 0);
	pool_init(&s->join_pool, sizeof(struct trk_join), UINT32_MAX, 5, 0);
	list_init(&s->arrivals);
	list_init(&s->refers);
	list_init(&s->open);
	t->joins = s;
	return OK;
}

void trk_joins_free(struct trk *t)
{
	if (!t->joins)
		return;
	htab_fini(&t->joins->marks);
	trk_heads_free(t->joins);
	pool_fini(&t->joins->mark_pool);
	pool_fini(&t->joins->leg_pool);
	pool_fini(&t->joins->join_pool);
	free(t->joins->prints);
	free(t->joins);
}

struct trk_leg *trk_leg_get(struct trk *t, struct trk_call *c)
{
	if (c->leg)
		return c->leg;
	struct trk_leg *l = pool_get(&t->joins->leg_pool);
	if (!l)
		return NULL;
	l->call = c;
	list_init(&l->ring);
	list_init(&l->as_a);
	list_init(&l->as_b);
	list_init(&l->marks);
	list_init(&l->open);
	c->leg = l;
	return l;
}

static void leg_free_if_idle(struct trk *t, struct trk_leg *l)
{
	if (!list_is_empty(&l->marks) || !list_is_empty(&l->as_a) || !list_is_empty(&l->as_b))
		return;
	ASSERT(list_is_empty(&l->ring));
	list_del(&l->open);
	l->call->leg = NULL;
	pool_put(&t->joins->leg_pool, l);
}

static void mark_free(struct trk *t, struct trk_mark *m)
{
	htab_del(&t->joins->marks, &m->node);
	list_del(&m->age);
	list_del(&m->of_leg);
	pool_put(&t->joins->mark_pool, m);
}

void trk_mark_del(struct trk *t, struct trk_mark *m)
{
	struct trk_leg *l = m->leg;
	mark_free(t, m);
	leg_free_if_idle(t, l);
}

/* Anybody may send what has one mark in common: the oldest of them goes. The one put last stays. */
static void keep_few(struct trk *t, uint64_t hash)
{
	struct hnode *first = htab_first(&t->joins->marks, hash);
	unsigned n = 0;
	for (struct hnode *k = first; k; k = htab_next(k))
		n++;
	if (n > MAX_ALIKE)
		trk_mark_del(t, CONTAINER_OF(first, struct trk_mark, node));
}

struct trk_mark *trk_mark_put(struct trk *t, struct trk_leg *l, enum trk_mark_kind kind,
			      uint64_t hash)
{
	struct trk_mark *m = pool_get(&t->joins->mark_pool);
	if (!m)
		return NULL;
	m->leg = l;
	m->kind = (uint8_t)kind;
	m->at_us = t->now_us;
	list_init(&m->age);
	list_push(&l->marks, &m->of_leg);
	htab_add(&t->joins->marks, &m->node, hash);
	if (kind == MARK_REFER)
		list_push(&t->joins->refers, &m->age);
	else if (kind != MARK_HEADER)
		list_push(&t->joins->arrivals, &m->age);
	keep_few(t, hash);
	return m;
}

/* --- rings ------------------------------------------------------------------------------------ */

static struct trk_leg *in_ring(struct link *l)
{
	return LIST_ENTRY(l, struct trk_leg, ring);
}

static unsigned ring_size(const struct trk_leg *l)
{
	unsigned n = 1;
	for (const struct link *k = l->ring.next; k != &l->ring; k = k->next)
		n++;
	return n;
}

bool trk_is_one_ring(const struct trk_leg *a, const struct trk_leg *b)
{
	if (a == b)
		return true;
	for (const struct link *k = a->ring.next; k != &a->ring; k = k->next)
		if (k == &b->ring)
			return true;
	return false;
}

static void ring_union(struct trk_leg *a, struct trk_leg *b)
{
	if (trk_is_one_ring(a, b))
		return;
	struct link *an = a->ring.next, *bp = b->ring.prev;
	a->ring.next = &b->ring;
	b->ring.prev = &a->ring;
	bp->next = an;
	an->prev = bp;
}

static bool is_union(const struct trk_join *j)
{
	return j->state == TRK_JOIN_MADE && !grounds[j->ground].is_cause;
}

/* The ring of l again, from its joins. */
static void ring_again(struct trk_leg *l)
{
	struct trk_leg *legs[TRK_MAX_LEGS];
	unsigned n = 0;
	for (struct link *k = &l->ring; n < TRK_MAX_LEGS; k = k->next) {
		if (n && k == &l->ring)
			break;
		legs[n++] = in_ring(k);
	}
	for (unsigned i = 0; i < n; i++)
		list_init(&legs[i]->ring);
	for (unsigned i = 0; i < n; i++)
		LIST_EACH (&legs[i]->as_a, k) {
			struct trk_join *j = LIST_ENTRY(k, struct trk_join, of_a);
			if (is_union(j))
				ring_union(legs[i], j->b->leg);
		}
}

/* --- joins ------------------------------------------------------------------------------------ */

/* The join that lies in both lists: looked for in both at once, for one may be long. */
static struct trk_join *join_among(const struct trk_leg *a, const struct trk_leg *b)
{
	const struct link *ka = a->as_a.next, *kb = b->as_b.next;
	for (; ka != &a->as_a && kb != &b->as_b; ka = ka->next, kb = kb->next) {
		const struct trk_join *x = LIST_ENTRY(ka, const struct trk_join, of_a);
		const struct trk_join *y = LIST_ENTRY(kb, const struct trk_join, of_b);
		if (x->b == b->call)
			return (struct trk_join *)(uintptr_t)x;
		if (y->a == a->call)
			return (struct trk_join *)(uintptr_t)y;
	}
	return NULL;
}

static struct trk_join *join_find(const struct trk_leg *a, const struct trk_leg *b)
{
	struct trk_join *j = join_among(a, b);
	return j ? j : join_among(b, a);
}

static struct trk_join *join_new(struct trk *t, const struct trk_pair *p)
{
	struct trk_join *j = pool_get(&t->joins->join_pool);
	if (!j)
		return NULL;
	*j = (struct trk_join){
		.a = p->a->call,
		.b = p->b->call,
		.ground = (uint8_t)p->ground,
		.state = TRK_JOIN_OPEN,
		.confidence =
			(uint8_t)(p->confidence ? p->confidence : grounds[p->ground].confidence),
		.evidence = {p->ev_a, p->ev_b}
        };
	list_push(&p->a->as_a, &j->of_a);
	p->a->n_as_a++;
	list_push(&p->b->as_b, &j->of_b);
	return j;
}

void trk_join_make(struct trk_join *j)
{
	j->state = TRK_JOIN_MADE;
	if (grounds[j->ground].is_cause || trk_is_one_ring(j->a->leg, j->b->leg))
		return;
	if (ring_size(j->a->leg) + ring_size(j->b->leg) > TRK_MAX_LEGS)
		j->state = TRK_JOIN_BROKEN;
	else
		ring_union(j->a->leg, j->b->leg);
}

void trk_join_drop(struct trk *t, struct trk_join *j)
{
	bool was_union = is_union(j);
	struct trk_leg *a = j->a->leg, *b = j->b->leg;
	list_del(&j->of_a);
	list_del(&j->of_b);
	a->n_as_a--;
	pool_put(&t->joins->join_pool, j);
	if (was_union)
		ring_again(a);
	leg_free_if_idle(t, a);
	leg_free_if_idle(t, b);
}

/* A second ground for a pair: the better one is named, and both together are surer. */
static void strengthen(struct trk_join *j, const struct trk_pair *p)
{
	unsigned more = grounds[p->ground].confidence;
	if (j->ground == p->ground || j->ground == TRK_JOIN_MANUAL ||
	    grounds[j->ground].is_cause != grounds[p->ground].is_cause)
		return;
	if (more > grounds[j->ground].confidence) {
		j->ground = (uint8_t)p->ground;
		j->evidence[0] = p->ev_a;
		j->evidence[1] = p->ev_b;
	}
	unsigned best = more > j->confidence ? more : j->confidence;
	j->confidence = (uint8_t)(best < 94 ? best + 5 : 99);
}

bool trk_join_put(struct trk *t, const struct trk_pair *p, enum trk_join_state state)
{
	if (p->a == p->b)
		return false;
	struct trk_join *j = join_find(p->a, p->b);
	if (j && j->state == TRK_JOIN_BROKEN)
		return false;
	if (j) {
		strengthen(j, p);
	} else if (p->a->n_as_a >= MAX_JOINS || !(j = join_new(t, p))) {
		return false;
	}
	if (state == TRK_JOIN_MADE && j->state == TRK_JOIN_OPEN)
		trk_join_make(j);
	return true;
}

void trk_join_forget(struct trk *t, struct trk_call *c)
{
	struct trk_leg *l = c->leg;
	if (trk_av(c)->streams)
		trk_join_unhear(t);
	if (!l)
		return;
	while (!list_is_empty(&l->marks))
		mark_free(t, LIST_ENTRY(l->marks.next, struct trk_mark, of_leg));
	while (c->leg && !list_is_empty(&l->as_a))
		trk_join_drop(t, LIST_ENTRY(l->as_a.next, struct trk_join, of_a));
	while (c->leg && !list_is_empty(&l->as_b))
		trk_join_drop(t, LIST_ENTRY(l->as_b.next, struct trk_join, of_b));
	if (c->leg)
		leg_free_if_idle(t, l);
	ASSERT(!c->leg);
}

/* --- asked ------------------------------------------------------------------------------------ */

unsigned trk_join_legs(const struct trk_call *c, const struct trk_call **legs, unsigned max)
{
	unsigned n = 0;
	const struct link *k = c->leg ? &c->leg->ring : NULL;
	do {
		const struct trk_call *x = k ? LIST_ENTRY(k, const struct trk_leg, ring)->call : c;
		unsigned at = n < max ? n++ : n;
		if (at == max)
			break;
		while (at > 0 && legs[at - 1]->no > x->no) {
			legs[at] = legs[at - 1];
			at--;
		}
		legs[at] = x;
		k = k ? k->next : NULL;
	} while (k && k != &c->leg->ring);
	return n;
}

const struct trk_call *trk_join_first(const struct trk_call *c)
{
	const struct trk_call *first = c;
	if (!c->leg)
		return c;
	for (const struct link *k = c->leg->ring.next; k != &c->leg->ring; k = k->next) {
		const struct trk_call *x = LIST_ENTRY(k, const struct trk_leg, ring)->call;
		if (x->no < first->no)
			first = x;
	}
	return first;
}

const struct trk_join *trk_join_next(const struct trk_call *c, const struct trk_join *after)
{
	const struct trk_leg *l = c->leg;
	if (!l)
		return NULL;
	bool was_b = after && after->b == c;
	const struct link *k = !after ? l->as_b.next : was_b ? after->of_b.next : after->of_a.next;
	for (bool is_b = !after || was_b;; k = k->next) {
		while (is_b && k == &l->as_b) {
			is_b = false;
			k = l->as_a.next;
		}
		if (k == &l->as_a)
			return NULL;
		const struct trk_join *j = is_b ? LIST_ENTRY(k, const struct trk_join, of_b)
						: LIST_ENTRY(k, const struct trk_join, of_a);
		if (j->state == TRK_JOIN_MADE)
			return j;
	}
}

enum err trk_join_add(struct trk *t, struct trk_call *a, struct trk_call *b)
{
	if (a == b || !t->joins)
		return ERR_STATE;
	struct trk_leg *la = trk_leg_get(t, a), *lb = la ? trk_leg_get(t, b) : NULL;
	if (!lb) {
		if (la)
			leg_free_if_idle(t, la);
		return ERR_NOMEM;
	}
	struct trk_pair p = {la, lb, TRK_JOIN_MANUAL, 0, a->first_ev, b->first_ev};
	bool is_too_much = !trk_is_one_ring(la, lb) && ring_size(la) + ring_size(lb) > TRK_MAX_LEGS;
	struct trk_join *j = is_too_much ? NULL : join_find(la, lb);
	if (j) {
		j->ground = TRK_JOIN_MANUAL;
		j->confidence = 100;
	} else if (!is_too_much) {
		j = join_new(t, &p);
	}
	if (j) {
		trk_join_make(j);
		return OK;
	}
	leg_free_if_idle(t, la);
	leg_free_if_idle(t, lb);
	return is_too_much ? ERR_LIMIT : ERR_NOMEM;
}

bool trk_join_break(struct trk *t, struct trk_call *a, struct trk_call *b)
{
	(void)t;
	struct trk_join *j = a->leg && b->leg ? join_find(a->leg, b->leg) : NULL;
	if (!j || j->state != TRK_JOIN_MADE)
		return false;
	bool was_union = is_union(j);
	j->state = TRK_JOIN_BROKEN;
	if (was_union)
		ring_again(a->leg);
	return true;
}
