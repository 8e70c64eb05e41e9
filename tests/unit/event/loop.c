/* The loop: deferred calls, flush hooks, timers, standing alone; over the simulation, so that time
 * is ours. */
#include "event/loop.h"
#include "event/shard.h"
#include "event/sim.h"
#include "test.h"

#include <string.h>

struct rig {
	struct sim *sim;
	struct sim_host *host;
	struct env *env;
	struct ev_loop l;
	bool is_open;
};

static struct rig r;
static char trace[64];
static size_t n_trace;

static void rig_open(void)
{
	struct addr ip = {
		.family = ADDR_V4, .ip = {192, 0, 2, 1}
        };
	memset(&r, 0, sizeof(r));
	n_trace = 0;
	if (sim_new(1, &r.sim) == OK && sim_host_new(r.sim, "a", &ip, 1, &r.host) == OK &&
	    sim_env_new(r.host, &r.env) == OK) {
		ev_loop_init(&r.l, r.env);
		sim_add_loop(r.sim, &r.l);
		return;
	}
	sim_free(r.sim);
	CHECK(!"memory refused");
}

static void rig_close(void)
{
	sim_del_loop(r.sim, &r.l);
	ev_loop_fini(&r.l);
	env_free(r.env);
	sim_free(r.sim);
}

static void note(char c)
{
	if (n_trace < sizeof(trace))
		trace[n_trace++] = c;
}

struct task {
	struct ev_task t;
	struct task *then, *cancel;
	char name;
};

static void on_task(struct ev_task *t)
{
	struct task *x = CONTAINER_OF(t, struct task, t);
	note(x->name);
	if (x->then)
		ev_defer(&r.l, &x->then->t);
	if (x->cancel)
		ev_defer_cancel(&r.l, &x->cancel->t);
}

struct hook {
	struct ev_flush f;
	char name;
};

static void on_flush(struct ev_flush *f)
{
	note(CONTAINER_OF(f, struct hook, f)->name);
}

static struct task *deferred_by_timer;

static void on_timer(struct tmr *t)
{
	(void)t;
	note('T');
	ev_defer(&r.l, &deferred_by_timer->t);
}

TEST(loop_order_of_a_turn)
{
	struct task a = {{.fn = on_task}, NULL, NULL, 'a'}, b = {{.fn = on_task}, &a, NULL, 'b'};
	struct task c = {{.fn = on_task}, NULL, NULL, 'c'}, d = {{.fn = on_task}, NULL, &c, 'd'};
	struct hook f = {{.fn = on_flush}, 'F'}, g = {{.fn = on_flush}, 'G'};
	struct tmr t = {0};
	rig_open();
	ev_flush_add(&r.l, &f.f);
	ev_flush_add(&r.l, &g.f);
	ev_timer(&r.l, &t, 5'000, on_timer);
	deferred_by_timer = &a;
	ev_defer(&r.l, &b.t);
	ev_defer(&r.l, &d.t);
	ev_defer(&r.l, &b.t); /* queued already */
	ev_defer(&r.l, &c.t); /* cancelled by d, the last of the queue */
	sim_run(r.sim, sim_now_us(r.sim) + 4'000);
	CHECK_STR_EQ(str_of(trace, n_trace), STR("bdaFG"));
	CHECK(!c.t.is_queued);
	sim_run(r.sim, sim_now_us(r.sim) + 1'000); /* begins with a turn in any case */
	CHECK_STR_EQ(str_of(trace, n_trace), STR("bdaFGFGTaFG"));
	ev_defer(&r.l, &c.t);
	ev_defer(&r.l, &a.t);
	ev_defer_cancel(&r.l, &c.t); /* the first */
	ev_defer_cancel(&r.l, &c.t); /* harmless */
	ev_defer(&r.l, &c.t);
	ev_defer_cancel(&r.l, &c.t); /* the last */
	ev_defer(&r.l, &d.t);
	ev_flush_del(&f.f);
	ev_flush_del(&g.f);
	n_trace = 0;
	sim_run(r.sim, UINT64_MAX);
	CHECK_STR_EQ(str_of(trace, n_trace), STR("ad"));
	rig_close();
}

static uint64_t fired_at;

static void on_late(struct tmr *t)
{
	(void)t;
	fired_at = ev_now_us(&r.l);
}

TEST(loop_timers_in_virtual_time)
{
	struct tmr t = {0}, never = {0};
	rig_open();
	uint64_t start = ev_now_us(&r.l);
	ev_timer(&r.l, &never, UINT64_MAX, on_late);
	ev_timer(&r.l, &t, 32'000'500, on_late);
	uint64_t end = sim_run(r.sim, start + 3'600'000'000);
	CHECK_EQ(end, start + 3'600'000'000);
	CHECK(fired_at >= start + 32'000'500 && fired_at < start + 32'002'000);
	CHECK(r.l.turns < 200); /* it sleeps in between */
	ev_timer_stop(&r.l, &never);
	CHECK_EQ(sim_run(r.sim, UINT64_MAX), end);
	rig_close();
}

static int n_freed;

static void on_free(struct ev_retired *x)
{
	(void)x;
	n_freed++;
}

TEST(loop_retires_alone)
{
	struct ev_retired a, b;
	rig_open();
	n_freed = 0;
	sim_run(r.sim, UINT64_MAX);
	ev_retire(&r.l, &a, on_free);
	CHECK_EQ(n_freed, 0);
	sim_run(r.sim, UINT64_MAX);
	CHECK_EQ(n_freed, 1);
	ev_retire(&r.l, &b, on_free);
	rig_close(); /* what is left goes with the loop */
	CHECK_EQ(n_freed, 2);
}
