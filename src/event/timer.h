#pragma once
/* A hierarchical timer wheel (Varghese, Lauck 1987) with a tick of 1 ms: starting and stopping is
 * O(1) whatever the number of timers. Timers are part of their owner. A timer never fires early,
 * and at most one tick late in virtual time. */

#include <stdbool.h>
#include <stdint.h>

struct tmr;
typedef void tmr_fn(struct tmr *t); /* the owner is found with CONTAINER_OF; may start or stop any
				       timer, free the owner */

struct tmr { /* zeroed = idle */
	struct tmr *next, **pprev;
	uint64_t due_us;
	tmr_fn *fn;
};

#define TMR_LEVELS 5
#define TMR_SLOTS  256 /* per level: 256 ms, 65 s, 4.6 h, 49 d, 34 y */

struct tmr_wheel {
	uint64_t tick; /* next tick to be run, ms */
	uint64_t n;    /* timers started */
	uint64_t map[TMR_LEVELS][TMR_SLOTS / 64];
	struct tmr *slot[TMR_LEVELS][TMR_SLOTS];
};

void tmr_wheel_init(struct tmr_wheel *w, uint64_t now_us);
/* (Re)starts t to fire at due_us of the wheel's clock; fn is kept. */
void tmr_start_at(struct tmr_wheel *w, struct tmr *t, uint64_t due_us, tmr_fn *fn);
void tmr_stop(struct tmr_wheel *w, struct tmr *t); /* harmless on an idle timer */
static inline bool tmr_is_running(const struct tmr *t)
{
	return t->pprev != 0;
}
/* Fires all that is due, in order of due tick. */
void tmr_run(struct tmr_wheel *w, uint64_t now_us);
/* When the next timer may be due (never later than the truth; may be earlier by a cascade),
 * UINT64_MAX when none runs. */
uint64_t tmr_next_us(const struct tmr_wheel *w);
