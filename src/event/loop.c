/* The loop of one shard.
 *
 * A turn is: deferred calls, inbox, timers, deferred calls and flush hooks until neither leaves
 * anything; then the loop sleeps in env_poll until the next timer, a socket or a wake-up, and
 * env_poll calls the sockets' handlers.
 *
 *      ev_turn   deferred → inbox → old snapshots → timers → (deferred → flush hooks)* → send
 *      env_poll  sleep → handlers
 *
 * Invariants:
 * 1. A deferred call runs when no handler is on the stack, in the order of ev_defer, before the
 * loop sleeps.
 * 2. Time stands still within a turn (env_poll moves it).
 * 3. ev_turn never blocks; it returns the present time when something is left to do.
 *
 * The simulation calls env_poll and ev_turn itself; so everything above this line is the same code
 * in both worlds.
 */

#include "event/loop.h"
#include "event/env_priv.h"
#include "event/shard_priv.h"

#define RETIRED_POLL_US                                                                            \
	1'000 /* while others have not passed the epoch of what waits to be freed                  \
	       */

static void awake(void *arg)
{
	shard_online(arg);
}

void ev_loop_init(struct ev_loop *l, struct env *env)
{
	*l = (struct ev_loop){.env = env};
	l->tasks_end = &l->tasks;
	l->retired_end = &l->retired;
	list_init(&l->flushes);
	tmr_wheel_init(&l->wheel, env_now_us(env));
	env->awake = awake;
	env->awake_arg = l;
}

void ev_loop_fini(struct ev_loop *l)
{
	while (l->retired) { /* nobody runs any more */
		struct ev_retired *r = l->retired;
		l->retired = r->next;
		r->fn(r);
	}
	l->retired_end = &l->retired;
	if (l->env->ops->flush)
		l->env->ops->flush(l->env);
	l->env->awake = NULL;
}

void ev_timer(struct ev_loop *l, struct tmr *t, uint64_t delay_us, tmr_fn *fn)
{
	uint64_t now = ev_now_us(l);
	tmr_start_at(&l->wheel, t, delay_us < UINT64_MAX - now ? now + delay_us : UINT64_MAX, fn);
}

void ev_timer_lazy(struct ev_loop *l, struct tmr *t, uint64_t delay_us, uint64_t slack_us,
		   tmr_fn *fn)
{
	uint64_t due = ev_now_us(l) + delay_us + slack_us - 1;
	tmr_start_at(&l->wheel, t, due - due % slack_us, fn);
}

void ev_defer(struct ev_loop *l, struct ev_task *t)
{
	if (t->is_queued)
		return;
	t->is_queued = true;
	t->next = NULL;
	*l->tasks_end = t;
	l->tasks_end = &t->next;
}

void ev_defer_cancel(struct ev_loop *l, struct ev_task *t)
{
	if (!t->is_queued)
		return;
	struct ev_task **at = &l->tasks;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	if (l->tasks_end == &t->next)
		l->tasks_end = at;
	t->is_queued = false;
}

static void run_tasks(struct ev_loop *l)
{
	while (l->tasks) {
		struct ev_task *t = l->tasks;
		l->tasks = t->next;
		if (!l->tasks)
			l->tasks_end = &l->tasks;
		t->is_queued = false;
		t->fn(t);
	}
}

void ev_flush_add(struct ev_loop *l, struct ev_flush *f)
{
	list_push(&l->flushes, &f->link);
}

void ev_flush_del(struct ev_flush *f)
{
	list_del(&f->link);
}

uint64_t loop_turn(struct ev_loop *l)
{
	l->turns++;
	shard_wake_others(l);
	shard_pass(l);
	run_tasks(l);
	bool is_more = shard_drain_inbox(l);
	shard_free_retired(l);
	tmr_run(&l->wheel, ev_now_us(l));
	do { /* what a flush tells may defer again, and that may want a flush */
		run_tasks(l);
		LIST_EACH (&l->flushes, k) {
			struct ev_flush *f = LIST_ENTRY(k, struct ev_flush, link);
			f->fn(f);
		}
	} while (l->tasks);
	shard_wake_others(l);
	uint64_t now = ev_now_us(l), next = tmr_next_us(&l->wheel);
	if (is_more)
		return now;
	if (l->retired && next > now + RETIRED_POLL_US)
		return now + RETIRED_POLL_US;
	return next;
}

uint64_t ev_turn(struct ev_loop *l)
{
	uint64_t next = loop_turn(l);
	if (l->env->ops->flush)
		l->env->ops->flush(l->env);
	return next;
}

void ev_run(struct ev_loop *l)
{
	while (!l->is_stopping) {
		uint64_t next = ev_turn(l), now = ev_now_us(l), timeout = 0;
		if (l->is_stopping)
			break;
		if (next > now) {
			timeout = next == UINT64_MAX ? UINT64_MAX : next - now;
			shard_offline(l);
		}
		env_poll(l->env, timeout);
	}
	l->is_stopping = false; /* it may be run again */
	shard_offline(l);
}

void ev_stop(struct ev_loop *l)
{
	l->is_stopping = true;
}
