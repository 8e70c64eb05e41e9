/* The timer wheel against a plain model: a table of due times, searched whole. [Varghese, Lauck
 * 1987] */
#include "event/timer.h"
#include "base/assert.h"
#include "test.h"

#include <string.h>

#define N 500

struct item {
	struct tmr t;
	bool is_running; /* what the model thinks */
	uint64_t due;    /* ticks */
};

static struct tmr_wheel w;
static struct item item[N];
static uint64_t now_us, seed, last_tick, n_fired;
static bool is_chaotic; /* callbacks start and stop others */

static uint64_t chance(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static void on_fire(struct tmr *t);

static void start(struct item *x, uint64_t due_us)
{
	tmr_start_at(&w, &x->t, due_us, on_fire);
	x->is_running = true;
	x->due = (due_us + 999) / 1000;
	if (x->due < w.tick)
		x->due = w.tick;
}

static uint64_t delay(void)
{
	static const uint64_t reach[] = {1'500,          300'000,           70'000'000,
					 18'000'000'000, 5'000'000'000'000, 2'000'000'000'000'000};
	return chance(reach[chance(ARRAY_LEN(reach))]);
}

static void on_fire(struct tmr *t)
{
	struct item *x = CONTAINER_OF(t, struct item, t);
	CHECK(x->is_running && !tmr_is_running(t));
	CHECK(x->due <= now_us / 1000); /* never early */
	CHECK(x->due >= last_tick);     /* in order of ticks */
	last_tick = x->due;
	x->is_running = false;
	n_fired++;
	if (!is_chaotic)
		return;
	struct item *o = &item[chance(N)];
	switch (chance(3)) {
	case 0:
		start(o, now_us + delay());
		break;
	case 1:
		tmr_stop(&w, &o->t);
		o->is_running = false;
		break;
	default:
		break;
	}
}

static uint64_t earliest(void)
{
	uint64_t t = UINT64_MAX;
	for (int i = 0; i < N; i++) {
		if (item[i].is_running && item[i].due < t)
			t = item[i].due;
	}
	return t;
}

static void check_model(void)
{
	uint64_t t = earliest(), n = 0, next = tmr_next_us(&w);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(tmr_is_running(&item[i].t), item[i].is_running);
		n += item[i].is_running;
	}
	CHECK_EQ(w.n, n);
	CHECK(t == UINT64_MAX ? next == UINT64_MAX : next <= t * 1000);
	CHECK(t == UINT64_MAX || t > now_us / 1000); /* all that is due has fired */
	CHECK(next > now_us);
}

static void wheel_run(uint64_t seed0)
{
	memset(item, 0, sizeof(item));
	seed = seed0 * 0x9e3779b97f4a7c15 + 1;
	now_us = chance(3'000'000'000'000);
	last_tick = 0;
	tmr_wheel_init(&w, now_us);
	for (int step = 0; step < 3000; step++) {
		struct item *x = &item[chance(N)];
		switch (chance(4)) {
		case 0:
			tmr_stop(&w, &x->t);
			x->is_running = false;
			break;
		case 1: { /* time passes: a little, or to where the wheel wants to be run, or far */
			uint64_t to = now_us + delay(), next = tmr_next_us(&w);
			if (chance(2) && next != UINT64_MAX)
				to = next;
			now_us = to > now_us ? to : now_us;
			tmr_run(&w, now_us);
			check_model();
			break;
		}
		default:
			start(x, now_us + delay());
		}
	}
}

TEST(timer_model)
{
	n_fired = 0;
	for (uint64_t s = 0; s < 20; s++) {
		is_chaotic = s % 2;
		wheel_run(s);
	}
	CHECK(n_fired > 1000);
}

/* Following tmr_next_us alone brings every timer in its tick. */
TEST(timer_next_is_precise)
{
	memset(item, 0, sizeof(item));
	is_chaotic = false;
	now_us = 1'000'000;
	last_tick = n_fired = 0;
	seed = 99;
	tmr_wheel_init(&w, now_us);
	for (int i = 0; i < N; i++)
		start(&item[i], now_us + 1 + delay());
	unsigned n_steps = 0;
	while (w.n) {
		uint64_t t = earliest(), before = n_fired;
		now_us = tmr_next_us(&w);
		tmr_run(&w, now_us);
		CHECK(n_fired == before || now_us == t * 1000);
		n_steps++;
	}
	CHECK_EQ(n_fired, N);
	CHECK(n_steps < 5 * N);
	CHECK(tmr_next_us(&w) == UINT64_MAX);
}

TEST(timer_edges)
{
	memset(item, 0, sizeof(item));
	is_chaotic = false;
	last_tick = n_fired = 0;
	now_us = 10'000'000;
	tmr_wheel_init(&w, now_us);
	start(&item[0], 5);                /* in the past */
	start(&item[1], now_us);           /* now */
	start(&item[2], now_us + 1);       /* within the tick */
	start(&item[3], UINT64_MAX);       /* beyond the reach of the wheel */
	start(&item[4], now_us + 256'000); /* the first of level 1 */
	start(&item[4], now_us + 255'000); /* moved */
	tmr_stop(&w, &item[5].t);          /* harmless */
	CHECK_EQ(w.n, 5);
	tmr_run(&w, now_us);
	CHECK_EQ(n_fired, 0);
	now_us += 1'000;
	tmr_run(&w, now_us);
	CHECK_EQ(n_fired, 3);
	tmr_run(&w, now_us - 500'000); /* a clock that goes back is no catastrophe */
	now_us += 253'999;
	tmr_run(&w, now_us);
	CHECK_EQ(n_fired, 3);
	now_us += 1;
	tmr_run(&w, now_us);
	CHECK_EQ(n_fired, 4);
	now_us += (uint64_t)1 << 52; /* 142 years */
	tmr_run(&w, now_us);
	CHECK_EQ(n_fired, 4);
	CHECK_EQ(w.n, 1);
	tmr_stop(&w, &item[3].t);
	CHECK(tmr_next_us(&w) == UINT64_MAX);
}

static int order[8], n_order;

static void note(struct tmr *t)
{
	order[n_order++] = (int)(CONTAINER_OF(t, struct item, t) - item);
}

static void stop_next(struct tmr *t)
{
	note(t);
	tmr_stop(&w, &item[n_order].t);
}

TEST(timer_same_tick)
{
	for (int far = 0; far < 2; far++) {
		memset(item, 0, sizeof(item));
		n_order = 0;
		tmr_wheel_init(&w, 0);
		for (int i = 0; i < 5; i++)
			tmr_start_at(&w, &item[i].t, far ? 40'000'000 : 20'000,
				     i == 2 ? stop_next : note);
		tmr_run(&w, 50'000'000);
		CHECK_EQ(n_order, 4); /* in the order of their start; 2 stopped 3 */
		CHECK(order[0] == 0 && order[1] == 1 && order[2] == 2 && order[3] == 4);
		CHECK_EQ(w.n, 0);
	}
}
