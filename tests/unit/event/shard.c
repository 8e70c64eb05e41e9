/* Shards with real threads: inbox order and completeness, wake-ups, snapshots, workers. Run it
 * under the thread sanitizer too. */
#include "event/shard.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 4

struct rig {
	struct env *env[SHARDS];
	struct ev_shards *s;
};

static void rig_open(struct rig *r, size_t n)
{
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(env_os_new(&r->env[i]), OK);
	CHECK_EQ(ev_shards_new(r->env, n, &r->s), OK);
	CHECK_EQ(ev_shards_count(r->s), n);
}

static void rig_close(struct rig *r)
{
	ev_shards_free(r->s);
	for (size_t i = 0; i < SHARDS; i++)
		env_free(r->env[i]);
}

/* --- inbox: every sender's messages arrive, once, in order --- */

#define N_MSGS 50'000

struct numbered {
	struct inbox_msg m;
	unsigned from, number;
};

static unsigned next_number[SHARDS][SHARDS + 1]; /* [receiver][sender]; written by the receiver */
static _Atomic(unsigned) n_bad, n_taken;

static void on_numbered(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct numbered *x = CONTAINER_OF(m, struct numbered, m);
	if (ctx != &next_number[l->shard] || x->number != next_number[l->shard][x->from])
		atomic_fetch_add(&n_bad, 1);
	next_number[l->shard][x->from] = x->number + 1;
	free(x);
	atomic_fetch_add(&n_taken, 1);
}

static void send_numbered(struct ev_shards *s, size_t to, unsigned from, unsigned number)
{
	struct numbered *x = malloc(sizeof(*x));
	if (!x)
		abort();
	*x = (struct numbered){.m.kind = INBOX_PACKET, .from = from, .number = number};
	ev_send(s, to, &x->m);
}

/* On each shard: a task that sends to all shards, a few at a time. */
struct chatter {
	struct ev_task t;
	struct ev_loop *l;
	unsigned number;
};
static struct chatter chatter[SHARDS];

static void chat(struct ev_task *t)
{
	struct chatter *c = CONTAINER_OF(t, struct chatter, t);
	for (int i = 0; i < 10 && c->number < N_MSGS / 10; i++, c->number++) {
		for (size_t to = 0; to < SHARDS; to++)
			send_numbered(c->l->shards, to, c->l->shard, c->number);
	}
}

static void chat_again(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	(void)ctx;
	chat(&chatter[l->shard].t);
	free(m);
}

static void chat_init(void *arg, size_t shard)
{
	struct rig *r = arg;
	chatter[shard] = (struct chatter){.t.fn = chat, .l = ev_shard(r->s, shard)};
	ev_defer(chatter[shard].l, &chatter[shard].t);
}

static void *outsider(void *arg)
{
	struct rig *r = arg;
	for (unsigned i = 0; i < N_MSGS; i++) {
		for (size_t to = 0; to < SHARDS; to++)
			send_numbered(r->s, to, SHARDS, i);
		for (size_t to = 0; to < SHARDS && i % 10 == 0; to++) { /* makes the shards talk */
			struct inbox_msg *m = calloc(1, sizeof(*m));
			if (!m)
				abort();
			m->kind = INBOX_CONTROL;
			ev_send(r->s, to, m);
		}
	}
	return NULL;
}

TEST_NO_OOM(shard_inbox_hammered)
{
	struct rig r;
	pthread_t t;
	rig_open(&r, SHARDS);
	memset(next_number, 0, sizeof(next_number));
	atomic_store(&n_bad, 0);
	atomic_store(&n_taken, 0);
	for (size_t i = 0; i < SHARDS; i++) {
		ev_inbox_handle(r.s, i, INBOX_PACKET, on_numbered, &next_number[i]);
		ev_inbox_handle(r.s, i, INBOX_CONTROL, chat_again, NULL);
	}
	CHECK_EQ(ev_shards_start(r.s, chat_init, &r), OK);
	CHECK_EQ(pthread_create(&t, NULL, outsider, &r), 0);
	pthread_join(t, NULL);
	unsigned want = SHARDS * (N_MSGS + SHARDS * (N_MSGS / 10));
	while (atomic_load(&n_taken) < want) /* the test's own time limit ends it if one is lost */
		sched_yield();
	ev_shards_stop(r.s);
	CHECK_EQ(n_bad, 0);
	CHECK_EQ(n_taken, want);
	for (size_t to = 0; to < SHARDS; to++) {
		CHECK_EQ(next_number[to][SHARDS], N_MSGS);
		for (size_t from = 0; from < SHARDS; from++)
			CHECK_EQ(next_number[to][from], N_MSGS / 10);
	}
	rig_close(&r);
}

/* --- wake-ups: two shards play ping-pong, each asleep in between --- */

static void on_ping(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct numbered *x = CONTAINER_OF(m, struct numbered, m);
	(void)ctx;
	atomic_fetch_add(&n_taken, 1);
	unsigned number = x->number--;
	if (number == 0)
		free(x);
	else if (number % 3)
		ev_send(l->shards, 1u - l->shard, m);
	else
		ev_post(l, 1u - l->shard, m);
}

TEST_NO_OOM(shard_ping_pong_loses_no_wake_up)
{
	struct rig r;
	rig_open(&r, 2);
	atomic_store(&n_taken, 0);
	for (size_t i = 0; i < 2; i++)
		ev_inbox_handle(r.s, i, INBOX_SEND, on_ping, NULL);
	CHECK_EQ(ev_shards_start(r.s, NULL, NULL), OK);
	struct numbered *x = calloc(1, sizeof(*x));
	CHECK(x);
	x->m.kind = INBOX_SEND;
	x->number = 20'000;
	ev_send(r.s, 0, &x->m);
	while (atomic_load(&n_taken) < 20'001)
		sched_yield();
	ev_shards_stop(r.s);
	rig_close(&r);
}

/* --- snapshots: readers never see a freed version, and all old ones are freed --- */

struct version {
	struct ev_retired retired;
	uint64_t a, b; /* b is ~a while it lives */
};
static ev_snap snap;
static _Atomic(unsigned) n_live;
static unsigned n_published;

static struct version *version_new(uint64_t a)
{
	struct version *v = malloc(sizeof(*v));
	if (!v)
		abort();
	v->a = a;
	v->b = ~a;
	atomic_fetch_add(&n_live, 1);
	return v;
}

static void version_free(struct ev_retired *node)
{
	struct version *v = CONTAINER_OF(node, struct version, retired);
	v->b = v->a;
	free(v);
	atomic_fetch_sub(&n_live, 1);
}

static void on_read(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct version *v = ev_snap_get(&snap);
	(void)ctx;
	for (int i = 0; i < 20; i++) {
		if (i % 7 == (int)l->shard) /* others may run, also past the end of their turns */
			sched_yield();
		n_bad += v->a != ~v->b;
	}
	if (l->shard == 0 && n_published < 3000) { /* the single writer */
		struct version *new = version_new(++n_published);
		ev_snap_set(&snap, new);
		ev_retire(l, &v->retired, version_free);
		n_bad += v->a != ~v->b; /* still there until the turn ends */
	}
	atomic_fetch_add(&n_taken, 1);
	free(m);
}

TEST_NO_OOM(shard_snapshots_are_freed_in_time)
{
	struct rig r;
	rig_open(&r, SHARDS);
	atomic_store(&n_bad, 0);
	atomic_store(&n_taken, 0);
	n_published = 0;
	ev_snap_set(&snap, version_new(0));
	for (size_t i = 0; i < SHARDS; i++)
		ev_inbox_handle(r.s, i, INBOX_PACKET, on_read, NULL);
	CHECK_EQ(ev_shards_start(r.s, NULL, NULL), OK);
	for (unsigned i = 0; i < 40'000; i++) {
		struct inbox_msg *m = calloc(1, sizeof(*m));
		CHECK(m);
		m->kind = INBOX_PACKET;
		ev_send(r.s, i % 3 == 0 ? 0 : i % SHARDS, m);
		if (i % 64 == 0)
			sched_yield();
	}
	/* All shards sleep in the end; their sleep must not keep old versions alive. */
	while (atomic_load(&n_taken) < 40'000 || atomic_load(&n_live) > 1)
		sched_yield();
	ev_shards_stop(r.s);
	CHECK_EQ(n_bad, 0);
	CHECK_EQ(n_published, 3000);
	free(ev_snap_get(&snap));
	rig_close(&r);
}

/* --- workers --- */

struct sum {
	struct ev_job job;
	uint64_t n, result;
	size_t asked_on;
};
static _Atomic(unsigned) n_done;

static void sum_work(struct ev_job *j)
{
	struct sum *x = CONTAINER_OF(j, struct sum, job);
	for (uint64_t i = 1; i <= x->n; i++)
		x->result += i;
}

static void sum_done(struct ev_job *j)
{
	struct sum *x = CONTAINER_OF(j, struct sum, job);
	n_bad += x->result != x->n * (x->n + 1) / 2 || x->job.from_shard != x->asked_on;
	atomic_fetch_add(&n_done, 1);
	free(x);
}

static void on_ask(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct sum *x = calloc(1, sizeof(*x));
	(void)ctx;
	if (!x)
		abort();
	*x = (struct sum){
		{.work = sum_work, .done = sum_done},
                100 + l->turns % 1000, 0, l->shard
        };
	ev_work(l, &x->job);
	free(m);
}

TEST_NO_OOM(shard_workers_answer_to_who_asked)
{
	struct rig r;
	for (unsigned n_threads = 0; n_threads <= 3; n_threads += 3) {
		rig_open(&r, 2);
		atomic_store(&n_bad, 0);
		atomic_store(&n_done, 0);
		for (size_t i = 0; i < 2; i++)
			ev_inbox_handle(r.s, i, INBOX_CONTROL, on_ask, NULL);
		CHECK_EQ(ev_workers_start(r.s, n_threads), OK);
		CHECK_EQ(ev_shards_start(r.s, NULL, NULL), OK);
		for (unsigned i = 0; i < 2000; i++) {
			struct inbox_msg *m = calloc(1, sizeof(*m));
			CHECK(m);
			m->kind = INBOX_CONTROL;
			ev_send(r.s, i % 2, m);
		}
		while (atomic_load(&n_done) < 2000)
			sched_yield();
		ev_workers_stop(r.s);
		ev_shards_stop(r.s);
		CHECK_EQ(n_bad, 0);
		rig_close(&r);
	}
}

/* --- what was never taken --- */

static unsigned n_discarded;

static void discard(struct inbox_msg *m)
{
	n_discarded++;
	free(m);
}

TEST(shard_frees_what_was_not_taken)
{
	struct env *env;
	struct ev_shards *s;
	CHECK_EQ(env_os_new(&env), OK);
	if (ev_shards_new(&env, 1, &s) != OK) {
		env_free(env);
		CHECK(!"memory refused");
	}
	n_discarded = 0;
	ev_inbox_discard(s, INBOX_PACKET, discard);
	unsigned n = 0;
	for (int i = 0; i < 3; i++) {
		struct inbox_msg *m = calloc(1, sizeof(*m));
		if (!m)
			continue;
		m->kind = INBOX_PACKET;
		ev_send(s, 0, m);
		n++;
	}
	ev_shards_free(s);
	env_free(env);
	CHECK_EQ(n_discarded, n);
}
