/* Virtual time: what happens when, and who runs then.
 *
 * All that will happen (a datagram arrives, a connection is refused) is an event in a binary heap,
 * ordered by time and then by a sequence number; so two events of one time happen in the order in
 * which they were made, in every run. Loops are run like events: when something happened to one of
 * their sockets, when they were woken, or when the time has come that their last ev_turn returned.
 *
 *   pick the earliest time → events of that time → loops that are due, in order of registration →
 * again
 *
 * Invariants:
 * 1. Time never goes back; nothing happens at a time before the present one.
 * 2. No order depends on an address of memory, a hash seed or real time: two runs of one seed give
 * the same bytes. All chance comes from one generator (splitmix64 [Steele, Lea, Flood 2014]).
 * 3. A loop that keeps itself busy without letting time pass is an error of what runs on it: after
 *    SPIN_MAX runs at one time the simulation stops with an assertion.
 */

#include "event/shard_priv.h"
#include "event/sim_priv.h"

#include <stdlib.h>
#include <string.h>

#define START_US 1'000'000 /* env_now_us is never 0 */
#define SPIN_MAX 1'000'000

uint64_t sim_random(struct sim *s)
{
	uint64_t z = s->rng += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

bool sim_chance(struct sim *s, double p)
{
	return p > 0 && (double)(sim_random(s) >> 11) * 0x1p-53 < p;
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
	return n ? sim_random(s) % n : 0; /* n is far below 2^64: the bias is nothing */
}

struct sim_event *sim_event_new(void (*fn)(struct sim *, struct sim_event *), struct sim_sock *a,
				struct sim_sock *b, struct sim_host *at, size_t n)
{
	struct sim_event *ev = malloc(sizeof(*ev) + n);
	if (!ev)
		return NULL;
	*ev = (struct sim_event){.fn = fn, .a = a, .b = b, .host = at, .n = n};
	if (a)
		a->refs++;
	if (b)
		b->refs++;
	return ev;
}

void sim_event_free(struct sim_event *ev)
{
	if (ev->a)
		sim_sock_unref(ev->a);
	if (ev->b)
		sim_sock_unref(ev->b);
	free(ev);
}

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

bool sim_schedule(struct sim *s, struct sim_event *ev, uint64_t at_us)
{
	if (s->n_heap == s->cap_heap) {
		size_t cap = s->cap_heap ? 2 * s->cap_heap : 64;
		struct sim_event **heap = realloc(s->heap, cap * sizeof(struct sim_event *));
		if (!heap) {
			sim_event_free(ev);
			return false;
		}
		s->heap = heap;
		s->cap_heap = cap;
	}
	ev->at_us = at_us > s->now_us ? at_us : s->now_us;
	ev->seq = s->seq++;
	size_t i = s->n_heap++;
	for (; i && is_before(ev, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = ev;
	return true;
}

static struct sim_event *heap_pop(struct sim *s)
{
	struct sim_event *top = s->heap[0], *last = s->heap[--s->n_heap];
	size_t i = 0, child;
	while ((child = 2 * i + 1) < s->n_heap) {
		if (child + 1 < s->n_heap && is_before(s->heap[child + 1], s->heap[child]))
			child++;
		if (is_before(last, s->heap[child]))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

enum err sim_new(uint64_t seed, struct sim **out)
{
	struct sim *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	if (htab_init(&s->ips, 0) != OK) {
		free(s);
		return ERR_NOMEM;
	}
	s->now_us = START_US;
	s->rng = seed;
	list_init(&s->hosts);
	list_init(&s->nats);
	list_init(&s->loops);
	*out = s;
	return OK;
}

void sim_free(struct sim *s)
{
	struct link *l;
	if (!s)
		return;
	while (s->n_heap)
		sim_event_free(heap_pop(s));
	sim_nats_free(s);
	while ((l = list_pop(&s->hosts))) {
		struct sim_host *h = LIST_ENTRY(l, struct sim_host, link);
		ASSERT(list_is_empty(&h->envs));
		htab_fini(&h->binds);
		free(h);
	}
	htab_fini(&s->ips);
	free(s->heap);
	free(s->links);
	free(s);
}

uint64_t sim_now_us(const struct sim *s)
{
	return s->now_us;
}

void sim_tap(struct sim *s, void (*fn)(void *arg, const struct sim_packet *p), void *arg)
{
	s->tap = fn;
	s->tap_arg = arg;
}

static struct sim_env *env_of(const struct ev_loop *loop)
{
	return (struct sim_env *)(void *)loop->env;
}

void sim_add_loop(struct sim *s, struct ev_loop *loop)
{
	struct sim_env *e = env_of(loop);
	ASSERT(!e->loop && e->host->sim == s);
	e->loop = loop;
	e->wanted_us = 0;
	list_push(&s->loops, &e->loop_link);
}

void sim_del_loop(struct sim *s, struct ev_loop *loop)
{
	struct sim_env *e = env_of(loop);
	if (s->cursor == &e->loop_link)
		s->cursor = e->loop_link.next;
	if (s->running == e)
		s->running = NULL;
	list_del(&e->loop_link);
	e->loop = NULL;
}

/* When this loop is to be run; UINT64_MAX: not as things stand. */
static uint64_t loop_time(const struct sim *s, const struct sim_env *e)
{
	if (e->is_dead || e->loop->is_stopping)
		return UINT64_MAX;
	return e->is_woken || !list_is_empty(&e->ready) ? s->now_us : e->wanted_us;
}

static uint64_t next_time(const struct sim *s)
{
	uint64_t t = s->n_heap ? s->heap[0]->at_us : UINT64_MAX;
	LIST_EACH (&s->loops, l) {
		uint64_t k = loop_time(s, LIST_ENTRY(l, struct sim_env, loop_link));
		if (k < t)
			t = k;
	}
	return t > s->now_us ? t : s->now_us;
}

static void run_loop(struct sim *s, struct sim_env *e)
{
	if (s->spin_us != s->now_us) {
		s->spin_us = s->now_us;
		s->n_spins = 0;
	}
	ASSERT(s->n_spins++ < SPIN_MAX); /* a loop keeps itself busy: see invariant 3 */
	s->running = e;
	env_poll(&e->head, 0);
	if (s->running && !e->is_dead) { /* unless a handler ended it */
		uint64_t wanted = ev_turn(e->loop);
		if (s->running)
			e->wanted_us = wanted;
	}
	if (s->running)
		shard_offline(e->loop); /* between its turns no loop holds a snapshot */
	s->running = NULL;
}

/* One round; true when pred became true. */
static bool round_of(struct sim *s, bool (*pred)(void *arg), void *arg)
{
	while (s->n_heap && s->heap[0]->at_us <= s->now_us) {
		struct sim_event *ev = heap_pop(s);
		ev->fn(s, ev);
	}
	for (s->cursor = s->loops.next; s->cursor != &s->loops;) {
		struct sim_env *e = LIST_ENTRY(s->cursor, struct sim_env, loop_link);
		s->cursor = s->cursor->next;
		if (loop_time(s, e) > s->now_us)
			continue;
		run_loop(s, e);
		if (pred && pred(arg))
			return true;
	}
	return false;
}

bool sim_run_until(struct sim *s, uint64_t until_us, bool (*pred)(void *arg), void *arg)
{
	if (pred && pred(arg))
		return true;
	LIST_EACH (&s->loops, l) /* somebody may have started timers from outside */
		LIST_ENTRY(l, struct sim_env, loop_link)->wanted_us = 0;
	for (uint64_t t; (t = next_time(s)) <= until_us && t != UINT64_MAX;) {
		s->now_us = t;
		if (round_of(s, pred, arg))
			return true;
	}
	if (until_us != UINT64_MAX && until_us > s->now_us)
		s->now_us = until_us;
	return false;
}

uint64_t sim_run(struct sim *s, uint64_t until_us)
{
	sim_run_until(s, until_us, NULL, NULL);
	return s->now_us;
}
