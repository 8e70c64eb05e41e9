/* The timer wheel as the transaction layer uses it: most timers are stopped before they fire, and
 * tens of thousands run at the same time.
 */

#include "bench.h"
#include "event/timer.h"

#include <stdlib.h>

#define RUNNING 60'000

static struct tmr_wheel wheel;
static struct tmr others[RUNNING];
static uint64_t now_us, n_fired, seed = 1;

static uint64_t chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void never(struct tmr *t)
{
	(void)t;
	n_fired++;
}

/* A request: retransmission timer and deadline are started, the answer comes, both are stopped. */
static void start_and_stop(void *arg, uint64_t n)
{
	static struct tmr pair[2];
	(void)arg;
	while (n--) {
		tmr_start_at(&wheel, &pair[0], now_us + 500'000, never);
		tmr_start_at(&wheel, &pair[1], now_us + 32'000'000, never);
		tmr_stop(&wheel, &pair[0]);
		tmr_stop(&wheel, &pair[1]);
	}
}

static void again(struct tmr *t)
{
	n_fired++;
	tmr_start_at(&wheel, t, now_us + 1'000 + chance() % 32'000'000, again);
}

/* n timers fire and are started again, among RUNNING, with the cascades that this takes. */
static void fire(void *arg, uint64_t n)
{
	(void)arg;
	for (uint64_t until = n_fired + n; n_fired < until;) {
		now_us += 1'000;
		tmr_run(&wheel, now_us);
	}
}

/* What a turn of the loop pays when no timer is due. */
static void idle_turn(void *arg, uint64_t n)
{
	(void)arg;
	while (n--) {
		tmr_run(&wheel, now_us);
		BENCH_KEEP(tmr_next_us(&wheel));
	}
}

void bench_main(void)
{
	now_us = 1'000'000;
	tmr_wheel_init(&wheel, now_us);
	for (int i = 0; i < RUNNING; i++)
		tmr_start_at(&wheel, &others[i], now_us + 1'000 + chance() % 32'000'000, again);
	bench_run(&(struct bench){"start + stop of two, 60,000 run", start_and_stop, 0, 50, 0, 1});
	bench_run(&(struct bench){"fire and start again, 60,000 run", fire, 0, 200, 0, 1});
	bench_run(&(struct bench){"a turn in which no timer is due", idle_turn, 0, 50, 0, 1});
}
