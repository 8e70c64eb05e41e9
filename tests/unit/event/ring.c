/* The ring of records: order, wrap-around, drops; and two threads at once. */
#include "event/shard.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

static bool put(struct ev_ring *r, size_t n, unsigned char fill)
{
	unsigned char *p = ev_ring_reserve(r, n);
	if (!p)
		return false;
	CHECK(((uintptr_t)p & 7) == 0);
	memset(p, fill, n);
	ev_ring_commit(r);
	return true;
}

TEST(ring_records)
{
	struct ev_ring *r;
	CHECK_EQ(ev_ring_new(256, &r), OK);
	CHECK_EQ(ev_ring_peek(r).n, 0);
	unsigned n_in = 0, n_out = 0, n_refused = 0;
	for (unsigned step = 0; step < 5000; step++) {
		size_t n = 1 + (size_t)(n_in * 7 % 60);
		if (step * 2654435761u >> 31) {
			if (put(r, n, (unsigned char)n_in))
				n_in++;
			else
				n_refused++;
			continue;
		}
		struct str s = ev_ring_peek(r);
		CHECK_EQ(s.n == 0, n_in == n_out);
		if (s.n == 0)
			continue;
		CHECK_EQ(s.n, 1 + n_out * 7 % 60);
		for (size_t i = 0; i < s.n; i++)
			CHECK_EQ((unsigned char)s.p[i], (unsigned char)n_out);
		ev_ring_pop(r);
		n_out++;
	}
	CHECK(n_out > 1000 && n_refused > 10);
	CHECK_EQ(ev_ring_dropped(r), n_refused);
	CHECK(!ev_ring_reserve(r, 65)); /* more than a quarter */
	CHECK_EQ(ev_ring_dropped(r), n_refused + 1);
	ev_ring_free(r);
}

#define N_RECORDS 300'000

static void *producer(void *arg)
{
	struct ev_ring *r = arg;
	for (uint32_t i = 0; i < N_RECORDS;) {
		uint32_t *p = ev_ring_reserve(r, 4 + i % 40 * 4);
		if (!p) {
			sched_yield();
			continue;
		}
		for (uint32_t k = 0; k <= i % 40; k++)
			p[k] = i;
		ev_ring_commit(r);
		i++;
	}
	return NULL;
}

TEST_NO_OOM(ring_two_threads)
{
	struct ev_ring *r;
	pthread_t t;
	CHECK_EQ(ev_ring_new(4096, &r), OK);
	CHECK_EQ(pthread_create(&t, NULL, producer, r), 0);
	uint32_t n_bad = 0;
	for (uint32_t i = 0; i < N_RECORDS;) {
		struct str s = ev_ring_peek(r);
		if (s.n == 0) {
			sched_yield();
			continue;
		}
		const uint32_t *p = (const uint32_t *)(const void *)s.p;
		n_bad += s.n != 4 + i % 40 * 4;
		for (uint32_t k = 0; k < s.n / 4; k++)
			n_bad += p[k] != i;
		ev_ring_pop(r);
		i++;
	}
	pthread_join(t, NULL);
	CHECK_EQ(n_bad, 0);
	CHECK_EQ(ev_ring_peek(r).n, 0);
	ev_ring_free(r);
}
