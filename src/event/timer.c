/* The hierarchical timer wheel. [Varghese, Lauck 1987]
 *
 * Five levels of 256 slots. Level 0 has a slot per tick of 1 ms; a slot of level L stands for 256^L
 * ticks. A timer sits in the lowest level that reaches its tick. When the wheel comes to the
 * beginning of a slot of a higher level, that slot's timers are spread over the levels below
 * ("cascade"). A bit per slot says "not empty", so that the wheel jumps over empty time: after an
 * hour of sleep, or a jump of virtual time, it costs what there is to do and not what has passed.
 *
 *   level 0   | . . t . . t | ...   256 ticks     exact
 *   level 1   | . . . tt. . | ...   65 s          cascades when its slot begins
 *   level 2   ...
 *
 * Invariants:
 * 1. `tick` is the first tick that has not been run. A timer due at tick T >= tick is in level
 *    L = floor(log256(T - tick)) as it was when it was put there, slot (T >> 8L) & 255.
 * 2. The slots of level L that cover the present (tick >> 8L) have been cascaded, except when tick
 * is exactly the beginning of such a slot: then that is still to be done.
 * 3. map has the bit of a slot set exactly when the slot is not empty.
 * 4. T is due_us rounded up to a tick, so no timer fires early; what is due in the past fires in
 * the next tick to be run.
 * 5. Lists are newest first, and both a cascade and the run turn them round: timers that were
 * started in one turn for one tick fire in the order of their start.
 */

#include "event/timer.h"

#include <stddef.h>
#include <string.h>

#define BITS    8
#define MASK    (TMR_SLOTS - 1)
#define TICK_US 1'000
#define DUE_MAX (UINT64_MAX - TICK_US)
#define REACH   ((uint64_t)1 << (BITS * TMR_LEVELS))

void tmr_wheel_init(struct tmr_wheel *w, uint64_t now_us)
{
	memset(w, 0, sizeof(*w));
	w->tick = now_us / TICK_US + 1;
}

static inline void put(struct tmr_wheel *w, struct tmr *t)
{
	uint64_t due =
		t->due_us <= DUE_MAX ? (t->due_us + TICK_US - 1) / TICK_US : DUE_MAX / TICK_US;
	if (due < w->tick)
		due = w->tick;
	if (due - w->tick >= REACH)
		due = w->tick + REACH - 1; /* comes round again */
	uint64_t delta = due - w->tick;
	unsigned level = delta < TMR_SLOTS ? 0 : (63u - (unsigned)__builtin_clzll(delta)) / BITS;
	unsigned i = due >> (BITS * level) & MASK;
	struct tmr **head = &w->slot[level][i];
	t->next = *head;
	t->pprev = head;
	if (t->next)
		t->next->pprev = &t->next;
	*head = t;
	w->map[level][i / 64] |= (uint64_t)1 << (i % 64);
}

static inline void take(struct tmr_wheel *w, struct tmr *t)
{
	*t->pprev = t->next;
	if (t->next) {
		t->next->pprev = t->pprev;
	} else {
		/* perhaps the last one of its slot: is pprev a slot's head? */
		uintptr_t off = (uintptr_t)t->pprev - (uintptr_t)w->slot;
		if (off < sizeof(w->slot)) {
			size_t i = off / sizeof(struct tmr *);
			w->map[i / TMR_SLOTS][i % TMR_SLOTS / 64] &= ~((uint64_t)1 << (i % 64));
		}
	}
	t->pprev = NULL;
}

void tmr_start_at(struct tmr_wheel *w, struct tmr *t, uint64_t due_us, tmr_fn *fn)
{
	if (t->pprev)
		take(w, t);
	else
		w->n++;
	t->due_us = due_us;
	t->fn = fn;
	put(w, t);
}

void tmr_stop(struct tmr_wheel *w, struct tmr *t)
{
	if (!t->pprev)
		return;
	take(w, t);
	w->n--;
}

/* Steps from slot `from` to the next non-empty one, going round; TMR_SLOTS when all are empty. */
static unsigned steps_to_next(const uint64_t map[TMR_SLOTS / 64], unsigned from)
{
	unsigned word = from / 64, shift = from % 64;
	uint64_t bits = map[word] >> shift;
	if (bits)
		return (unsigned)__builtin_ctzll(bits);
	for (unsigned k = 1; k <= TMR_SLOTS / 64; k++) {
		bits = map[(word + k) % (TMR_SLOTS / 64)];
		if (bits)
			return 64 * k - shift + (unsigned)__builtin_ctzll(bits);
	}
	return TMR_SLOTS;
}

/* The first tick at which a timer fires or a slot is to be cascaded; UINT64_MAX: never. */
static uint64_t next_tick(const struct tmr_wheel *w)
{
	uint64_t best = UINT64_MAX;
	if (w->n == 0)
		return best;
	for (unsigned level = 0; level < TMR_LEVELS; level++) {
		unsigned shift = BITS * level;
		uint64_t at = w->tick >> shift;
		/* the present slot of a higher level has been cascaded (invariant 2), unless it
		 * begins just now; what it holds is of the next round */
		if (w->tick & (((uint64_t)1 << shift) - 1))
			at++;
		unsigned steps = steps_to_next(w->map[level], at & MASK);
		if (steps == TMR_SLOTS)
			continue;
		uint64_t tick = (at + steps) << shift;
		if (tick < best)
			best = tick;
	}
	return best;
}

/* Takes a slot's timers out as a list of its own, oldest first. */
static struct tmr *detach(struct tmr_wheel *w, unsigned level, unsigned i)
{
	struct tmr *list = NULL, *next;
	for (struct tmr *t = w->slot[level][i]; t; t = next) {
		next = t->next;
		t->next = list;
		list = t;
	}
	w->slot[level][i] = NULL;
	w->map[level][i / 64] &= ~((uint64_t)1 << (i % 64));
	return list;
}

static void cascade(struct tmr_wheel *w, unsigned level)
{
	struct tmr *next;
	for (struct tmr *t = detach(w, level, w->tick >> (BITS * level) & MASK); t; t = next) {
		next = t->next;
		put(w, t);
	}
}

static void fire(struct tmr_wheel *w, unsigned i)
{
	struct tmr *list = detach(w, 0, i);
	struct tmr **back = &list;
	for (struct tmr *t = list; t; t = t->next) { /* so that callbacks may stop those to come */
		t->pprev = back;
		back = &t->next;
	}
	while (list) {
		struct tmr *t = list;
		take(w, t);
		w->n--;
		t->fn(t);
	}
}

void tmr_run(struct tmr_wheel *w, uint64_t now_us)
{
	uint64_t now = now_us / TICK_US, t;
	while ((t = next_tick(w)) <= now) {
		w->tick = t;
		for (unsigned level = TMR_LEVELS - 1; level > 0; level--) {
			if ((t & (((uint64_t)1 << (BITS * level)) - 1)) == 0)
				cascade(w, level);
		}
		w->tick = t + 1;
		fire(w, t & MASK);
	}
	if (w->tick <= now)
		w->tick = now + 1;
}

uint64_t tmr_next_us(const struct tmr_wheel *w)
{
	uint64_t t = next_tick(w);
	return t == UINT64_MAX ? t : t * TICK_US;
}
