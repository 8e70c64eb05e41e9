/* Threads and the shards that they run; when they rest; what a turn gathers before it sends. */
#include "base/limits.h"
#include "event/rest.h"
#include "event/shard.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define SHARDS 3

/* --- resting -------------------------------------------------------------------------------- */

#define QUICK_US 4'000 /* wake-ups closer than this make a thread rest */

/* Wakes up n times, each `every_us` after the one before, for n_messages each; returns the time. */
static uint64_t wake(struct rest *r, uint64_t now, unsigned n, uint64_t every_us,
		     unsigned n_messages)
{
	while (n-- > 0)
		rest_over(r, now += every_us, n_messages);
	return now;
}

/* Rests n times at so many messages a second; returns the time. */
static uint64_t rest_through(struct rest *r, uint64_t now, unsigned n, unsigned per_s)
{
	double waiting = 0;
	while (n-- > 0) {
		uint64_t us = rest_us(r, now);
		CHECK(us > 0);
		now += us;
		waiting += (double)us * per_s / 1e6;
		rest_over(r, now, (unsigned)waiting);
		waiting -= (unsigned)waiting;
	}
	return now;
}

TEST(rest_not_for_a_quiet_exchange)
{
	struct rest r = {0};
	uint64_t now = wake(&r, 1'000'000, 1000, QUICK_US + 1, 1);
	CHECK_EQ(rest_us(&r, now), 0);
	/* nor for a call that is set up */
	now = wake(&r, now, 10, 100, 1);
	CHECK_EQ(rest_us(&r, now), 0);
	now = wake(&r, now + 1'000'000, 10, 100, 1);
	CHECK_EQ(rest_us(&r, now), 0);
}

TEST(rest_of_who_is_woken_again_and_again)
{
	struct rest r = {0};
	uint64_t now = wake(&r, 1'000'000, 17, 100, 1);
	CHECK_EQ(rest_us(&r, now), QUICK_US);
	CHECK_EQ(rest_us(&r, now + 500), QUICK_US - 500);
	CHECK_EQ(rest_us(&r, now + QUICK_US), 0); /* who has worked that long looks at once */
	now = wake(&r, now, 1000, QUICK_US + 50, REST_MESSAGES);
	CHECK_EQ(rest_us(&r, now), QUICK_US);
	now = wake(&r, now, 2, QUICK_US + 50, 0); /* a gap in the traffic */
	now = wake(&r, now, 1, QUICK_US + 50, REST_MESSAGES);
	CHECK(rest_us(&r, now) > 0);
	now = wake(&r, now, 4, QUICK_US + 50, 0); /* its end */
	CHECK_EQ(rest_us(&r, now), 0);
	/* two messages at a time are not worth it either */
	now = wake(&r, now, 17, 100, 1);
	CHECK(rest_us(&r, now) > 0);
	now = wake(&r, now, 4, QUICK_US + 50, 2);
	CHECK_EQ(rest_us(&r, now), 0);
}

TEST(rest_is_as_long_as_the_load_wants)
{
	struct rest r = {0};
	uint64_t now = wake(&r, 1'000'000, 17, 100, 1);
	now = rest_through(&r, now, 100, 500);
	CHECK_EQ(rest_us(&r, now), REST_MAX_US);
	now = rest_through(&r, now, 100, 8'000);
	CHECK(rest_us(&r, now) * 8 / 1000 >= REST_MESSAGES * 3 / 4 - 4);
	CHECK(rest_us(&r, now) * 8 / 1000 <= REST_MESSAGES);
	now = rest_through(&r, now, 100, 1'000'000);
	CHECK(rest_us(&r, now) >= REST_MIN_US && rest_us(&r, now) < REST_MIN_US * 8 / 7);
	now = rest_through(&r, now, 100, 2'000);
	CHECK_EQ(rest_us(&r, now), REST_MAX_US);
}

TEST(rest_of_irregular_traffic)
{
	struct rest r = {0};
	uint64_t now = 1'000'000;
	for (int i = 0; i < 40; i++) { /* about 700 wake-ups a second, in uneven steps */
		now = wake(&r, now, 4, 500, 4);
		now = wake(&r, now, 1, QUICK_US + 1'000, 4);
	}
	CHECK(rest_us(&r, now) > 0);
}

/* --- who runs what -------------------------------------------------------------------------- */

static pthread_t runs[SHARDS]; /* which thread took the last message of a shard */
static _Atomic(unsigned) n_taken;

struct work {
	struct inbox_msg m;
	unsigned us; /* CPU time that it takes */
};

static void on_work(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct work *w = CONTAINER_OF(m, struct work, m);
	struct timespec t;
	uint64_t end = 0, now;
	(void)ctx;
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = (uint64_t)t.tv_sec * 1'000'000 + (uint64_t)t.tv_nsec / 1000;
		end = end ? end : now + w->us;
	} while (now < end);
	runs[l->shard] = pthread_self();
	free(w);
	atomic_fetch_add(&n_taken, 1);
}

/* One message to each shard, and waits until they are taken. */
static void give_work(struct ev_shards *s, unsigned us)
{
	atomic_store(&n_taken, 0);
	for (size_t i = 0; i < SHARDS; i++) {
		struct work *w = calloc(1, sizeof(*w));
		CHECK(w);
		*w = (struct work){.m.kind = INBOX_PACKET, .us = us};
		ev_send(s, i, &w->m);
	}
	while (atomic_load(&n_taken) < SHARDS)
		sched_yield();
}

static bool is_one_thread(void)
{
	return pthread_equal(runs[0], runs[1]) && pthread_equal(runs[0], runs[2]);
}

TEST_NO_OOM(crew_is_as_many_threads_as_it_takes)
{
	struct env *env[SHARDS];
	struct ev_shards *s;
	for (size_t i = 0; i < SHARDS; i++)
		CHECK_EQ(env_os_new(&env[i]), OK);
	CHECK_EQ(ev_shards_new(env, SHARDS, &s), OK);
	for (size_t i = 0; i < SHARDS; i++)
		ev_inbox_handle(s, i, INBOX_PACKET, on_work, NULL);
	CHECK_EQ(ev_shards_start(s, NULL, NULL), OK);
	for (int i = 0; i < 3; i++) {
		give_work(s, 0);
		CHECK(is_one_thread()); /* hardly any work: the first does it all */
	}
	do { /* more than one can do: others take part */
		give_work(s, 2'000);
	} while (is_one_thread());
	do { /* hardly any: the first has it all again */
		struct timespec pause = {.tv_nsec = 5'000'000};
		nanosleep(&pause, NULL);
		give_work(s, 0);
	} while (!is_one_thread());
	ev_shards_stop(s);
	/* and all over again */
	CHECK_EQ(ev_shards_start(s, NULL, NULL), OK);
	give_work(s, 0);
	CHECK(is_one_thread());
	ev_shards_stop(s);
	ev_shards_free(s);
	for (size_t i = 0; i < SHARDS; i++)
		env_free(env[i]);
}

/* --- the datagrams of a turn ---------------------------------------------------------------- */

struct party {
	struct env *env;
	struct ev_loop loop;
	struct env_sock *u;
	unsigned n_ready;
};

static void on_ready(void *arg, unsigned events)
{
	struct party *p = arg;
	(void)events;
	p->n_ready++;
}

static void party_open(struct party *p)
{
	struct addr any;
	*p = (struct party){0};
	CHECK(addr_parse(STR("127.0.0.1"), 0, &any));
	CHECK_EQ(env_os_new(&p->env), OK);
	ev_loop_init(&p->loop, p->env);
	CHECK_EQ(env_udp_open(p->env, &any, 0, on_ready, p, &p->u, NULL), OK);
}

static void party_close(struct party *p)
{
	env_close(p->u);
	ev_loop_fini(&p->loop);
	env_free(p->env);
}

TEST_NO_OOM(turn_sends_at_its_end)
{
	struct party a, b;
	char in[100];
	struct env_rx rx;
	party_open(&a);
	party_open(&b);
	struct addr to = env_local(b.u);
	static const char letters[] = "abc";
	for (const char *c = letters; *c; c++)
		CHECK_EQ(env_send(a.u, c, 1, &to, NULL), OK);
	CHECK_EQ(env_recv(b.u, in, sizeof(in), &rx), ERR_MORE);
	ev_turn(&a.loop);
	for (const char *c = letters; *c; c++) { /* over loopback they are there at once */
		CHECK_EQ(env_recv(b.u, in, sizeof(in), &rx), OK);
		CHECK(rx.n == 1 && in[0] == *c);
	}
	/* more than is gathered leaves earlier, in order */
	char big[1000] = {0};
	for (unsigned i = 0; i < 150; i++) {
		big[0] = (char)i;
		CHECK_EQ(env_send(a.u, big, sizeof(big), &to, NULL), OK);
	}
	ev_turn(&a.loop);
	for (unsigned i = 0; i < 150; i++) {
		CHECK_EQ(env_recv(b.u, big, sizeof(big), &rx), OK);
		CHECK_EQ((unsigned char)big[0], i);
	}
	/* what waits is sent before its socket closes */
	CHECK_EQ(env_send(a.u, "z", 1, &to, NULL), OK);
	party_close(&a);
	CHECK_EQ(env_recv(b.u, in, sizeof(in), &rx), OK);
	party_close(&b);
}

TEST_NO_OOM(turn_tells_what_was_refused)
{
	struct party a;
	char in[100];
	struct env_rx rx;
	struct env_icmp ic;
	struct addr nowhere, self;
	party_open(&a);
	self = env_local(a.u);
	CHECK(addr_parse(STR("192.0.2.1"), 5060, &nowhere)); /* from 127.0.0.1 there is no way */
	CHECK_EQ(env_send(a.u, "first", 5, &nowhere, NULL), OK);
	CHECK_EQ(env_send(a.u, "good", 4, &self, NULL), OK);
	CHECK_EQ(env_send(a.u, "last", 4, &nowhere, NULL), OK);
	ev_turn(&a.loop);
	CHECK(env_poll(a.env, UINT64_MAX)); /* does not sleep */
	CHECK(a.n_ready > 0);
	/* what its handler left is forgotten; the one for us is there */
	CHECK_EQ(env_icmp_next(a.u, &ic), ERR_MORE);
	enum err e = env_recv(a.u, in, sizeof(in), &rx);
	CHECK(e == OK || env_recv(a.u, in, sizeof(in), &rx) == OK);
	CHECK(rx.n == 4 && in[0] == 'g');
	/* read in time it names each */
	CHECK_EQ(env_send(a.u, "first", 5, &nowhere, NULL), OK);
	CHECK_EQ(env_send(a.u, "last", 4, &nowhere, NULL), OK);
	ev_turn(&a.loop);
	unsigned n = 0;
	while (env_icmp_next(a.u, &ic) == OK) {
		CHECK(addr_eq(&ic.peer, &nowhere) && !ic.is_refused);
		CHECK(ic.n_head == 4 || ic.n_head == 5);
		n++;
	}
	CHECK_EQ(n, 2);
	party_close(&a);
}
