/* The ring of records: order, wrap-around, drops; and two threads at once. */
#include "event/shard.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
		ev_ring_release(r);
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
		ev_ring_release(r);
		i++;
	}
	pthread_join(t, NULL);
	CHECK_EQ(n_bad, 0);
	CHECK_EQ(ev_ring_peek(r).n, 0);
	ev_ring_free(r);
}

static struct ev_ring *open_ring(const char *path, uint32_t layout)
{
	struct ev_ring *r = NULL;
	CHECK_EQ(ev_ring_open(path, 256, layout, true, &r), OK);
	return r;
}

static void check_next(struct ev_ring *r, size_t n, unsigned char fill)
{
	struct str s = ev_ring_peek(r);
	CHECK(s.n == n && (unsigned char)s.p[0] == fill && (unsigned char)s.p[n - 1] == fill);
	ev_ring_pop(r);
}

static void scribble(const char *path, off_t at, uint64_t v)
{
	int fd = open(path, O_RDWR);
	CHECK(fd >= 0 && pwrite(fd, &v, sizeof(v), at) == sizeof(v));
	close(fd);
}

/* A process that ends between two records, one reserved, leaves the others to the next. */
TEST_NO_OOM(ring_outlives_its_process)
{
	char dir[] = "/tmp/rung-ring-XXXXXX", path[64];
	struct ev_ring *r;
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/tap.0", dir);
	CHECK_EQ(ev_ring_open(path, 256, 1, false, &r), ERR_NOTFOUND);
	pid_t pid = fork();
	if (pid == 0) {
		r = open_ring(path, 1);
		for (unsigned i = 1; i <= 4; i++)
			(void)put(r, 40, (unsigned char)i);
		for (unsigned i = 1; i <= 3; i++) {
			CHECK(ev_ring_peek(r).n);
			ev_ring_pop(r);
			if (i == 2)
				ev_ring_release(r); /* the third is popped only */
		}
		(void)put(r, 50, 5);
		memset(ev_ring_reserve(r, 30), 6, 30);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	r = open_ring(path, 1);
	check_next(r, 40, 3);
	check_next(r, 40, 4);
	check_next(r, 50, 5);
	CHECK_EQ(ev_ring_peek(r).n, 0);
	ev_ring_release(r);
	CHECK(put(r, 60, 7)); /* and it is a ring like any other */
	check_next(r, 60, 7);
	ev_ring_close(r);
	r = open_ring(path, 1); /* not released */
	check_next(r, 60, 7);
	ev_ring_close(r);
	r = open_ring(path, 2); /* records of another kind are not read */
	CHECK_EQ(ev_ring_peek(r).n, 0);
	ev_ring_close(r);
	unlink(path);
	rmdir(dir);
}

/* What cannot be is not read, wherever the damage is. */
TEST_NO_OOM(ring_damaged_in_its_file)
{
	static const uint64_t values[] = {0, 1, 7, 64, 1 << 20, UINT64_MAX / 2, UINT64_MAX};
	char dir[] = "/tmp/rung-ring-XXXXXX", path[64];
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/tap.0", dir);
	for (off_t at = 0; at < 640; at += 8) {
		for (size_t i = 0; i < ARRAY_LEN(values); i++) {
			struct ev_ring *r = open_ring(path, 1);
			while (put(r, 40, 1))
				;
			ev_ring_close(r);
			scribble(path, at, values[i]);
			r = open_ring(path, 1);
			for (struct str s; (s = ev_ring_peek(r)).n; ev_ring_pop(r))
				CHECK(s.n <= 64 && s.p[s.n - 1] != 99);
			ev_ring_close(r);
			unlink(path);
		}
	}
	rmdir(dir);
}
