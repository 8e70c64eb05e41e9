#pragma once
/* The loop of one shard: timers, sockets, deferred calls, inbox. The same code over env_os and
 * env_sim. One turn: deferred calls → inbox → timers → deferred calls → flush hooks → env_poll
 * until the next timer. */

#include "base/list.h"
#include "event/env.h"
#include "event/timer.h"

struct ev_shards;
struct ev_retired;

struct ev_task { /* part of its owner; zeroed = idle */
	struct ev_task *next;
	void (*fn)(struct ev_task *t);
	bool is_queued;
};

struct ev_flush { /* called at the end of each turn, before the loop sleeps: group commits, batched
		     sends */
	struct link link;
	void (*fn)(struct ev_flush *f);
};

struct ev_loop {
	struct env *env;
	struct tmr_wheel wheel;
	struct ev_task *tasks, **tasks_end;
	struct link flushes;
	struct ev_shards *shards;                  /* NULL for a loop that stands alone */
	struct ev_retired *retired, **retired_end; /* oldest first, see shard.h */
	uint16_t shard;                            /* own number */
	bool is_stopping;
	uint64_t turns;
};

void ev_loop_init(struct ev_loop *l, struct env *env); /* borrows env */
void ev_loop_fini(struct ev_loop *l);
static inline uint64_t ev_now_us(const struct ev_loop *l)
{
	return env_now_us(l->env);
}
/* Starts t to fire after delay_us. */
void ev_timer(struct ev_loop *l, struct tmr *t, uint64_t delay_us, tmr_fn *fn);
/* For what nobody waits for: fires between delay_us and delay_us + slack_us, in one go with others
 * of the same slack, so that a thousand of them cost one wake-up. */
void ev_timer_lazy(struct ev_loop *l, struct tmr *t, uint64_t delay_us, uint64_t slack_us,
		   tmr_fn *fn);
static inline void ev_timer_stop(struct ev_loop *l, struct tmr *t)
{
	tmr_stop(&l->wheel, t);
}
/* Runs t->fn in this turn after the present call stack is done ("a layer never calls up while it is
 * changing"). Queueing a queued task does nothing. */
void ev_defer(struct ev_loop *l, struct ev_task *t);
void ev_defer_cancel(struct ev_loop *l, struct ev_task *t);
void ev_flush_add(struct ev_loop *l, struct ev_flush *f);
void ev_flush_del(struct ev_flush *f);
/* One turn without sleeping; returns the time at which it wants the next turn (UINT64_MAX: on input
 * only). The simulation calls this; it does not poll. */
uint64_t ev_turn(struct ev_loop *l);
/* Turns and polls until ev_stop. */
void ev_run(struct ev_loop *l);
void ev_stop(struct ev_loop *l); /* from a handler of this loop; ev_run returns after the turn */
