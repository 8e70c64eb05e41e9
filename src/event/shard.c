/* Shards: a loop each, their inboxes, and the epochs that free old snapshots. The threads that run
 * them are in crew.c.
 *
 * Inbox: many producers, one consumer, no locks, no allocation. A producer swaps itself in as the
 * newest message and then links its predecessor to itself; between the two steps the queue looks
 * shorter than it is to the consumer, never broken. [D. Vyukov, "Intrusive MPSC node-based queue"]
 *
 * Snapshots: readers pay nothing per access. A shard says once per turn which epoch it has seen. A
 * writer publishes the new version, then moves the epoch; what it retired is freed once every shard
 * has seen that epoch, or sleeps.
 *
 * Invariants:
 * 1. No message is left waiting beside a sleeping consumer: a producer links first and sets
 *    `is_signalled` then; the consumer clears it first and looks at the queue then. Who finds it
 * clear wakes the consumer, so a burst of messages costs one wake-up.
 *    A shard that posts wakes the others between its handlers and before it sleeps.
 * 2. Messages of one producer to one shard arrive in the order sent.
 * 3. An object retired at epoch E is freed only when all shards have seen >= E. A shard that sees E
 * at the beginning of a turn has let go of everything of earlier turns, and finds the new version.
 * 4. A sleeping shard has seen EPOCH_ASLEEP. When it wakes up it says which epoch it sees, and only
 *    after a full barrier reads a snapshot; the retiring shard publishes, then after a full barrier
 *    looks at what the others have seen. So either it sees the reader awake, or the reader sees the
 *    new version.
 */

#include "event/env_priv.h"
#include "event/shard_priv.h"

#include "base/limits.h"

#include <stdlib.h>

static struct shard *shard_of(struct ev_loop *l)
{
	return l->shards ? l->shards->shard[l->shard] : NULL;
}

static void inbox_init(struct inbox *q)
{
	atomic_init(&q->stub.next, NULL);
	atomic_init(&q->head, &q->stub);
	atomic_init(&q->is_signalled, false);
	q->tail = &q->stub;
}

static void inbox_push(struct inbox *q, struct inbox_msg *m)
{
	atomic_store_explicit(&m->next, NULL, memory_order_relaxed);
	struct inbox_msg *before = atomic_exchange_explicit(&q->head, m, memory_order_acq_rel);
	atomic_store_explicit(&before->next, m, memory_order_release);
}

/* The oldest message; NULL when there is none, or when its producer is between its two steps. */
static struct inbox_msg *inbox_pop(struct inbox *q)
{
	struct inbox_msg *m = q->tail;
	struct inbox_msg *next = atomic_load_explicit(&m->next, memory_order_acquire);
	if (m == &q->stub) {
		if (!next)
			return NULL;
		q->tail = m = next;
		next = atomic_load_explicit(&m->next, memory_order_acquire);
	}
	if (!next) {
		if (m != atomic_load_explicit(&q->head, memory_order_acquire))
			return NULL;
		inbox_push(q, &q->stub); /* so that m is not the last one */
		next = atomic_load_explicit(&m->next, memory_order_acquire);
		if (!next)
			return NULL;
	}
	q->tail = next;
	return m;
}

void ev_send(struct ev_shards *s, size_t to_shard, struct inbox_msg *m)
{
	ASSERT(to_shard < s->n && m->kind < INBOX__N);
	struct shard *to = s->shard[to_shard];
	inbox_push(&to->inbox, m);
	if (!atomic_exchange(&to->inbox.is_signalled, true))
		env_wake(to->loop.env);
}

void ev_post(struct ev_loop *l, size_t to_shard, struct inbox_msg *m)
{
	struct shard *from = shard_of(l), *to = l->shards->shard[to_shard];
	ASSERT(to_shard < l->shards->n && m->kind < INBOX__N);
	inbox_push(&to->inbox, m);
	if (!atomic_exchange(&to->inbox.is_signalled, true))
		from->to_wake[from->n_to_wake++] = (uint16_t)to_shard;
	if (++from->n_posted >= POSTS_AT_ONCE)
		shard_wake_others(l);
}

void shard_wake_others(struct ev_loop *l)
{
	struct shard *s = shard_of(l);
	if (!s || !s->n_posted)
		return;
	for (unsigned i = 0; i < s->n_to_wake; i++)
		env_wake(s->all->shard[s->to_wake[i]]->loop.env);
	s->n_to_wake = s->n_posted = 0;
}

void ev_inbox_handle(struct ev_shards *s, size_t shard, enum inbox_kind k, inbox_fn *fn, void *ctx)
{
	ASSERT(shard < s->n && k < INBOX__N);
	s->shard[shard]->handler[k].fn = fn;
	s->shard[shard]->handler[k].ctx = ctx;
}

bool shard_drain_inbox(struct ev_loop *l)
{
	struct shard *s = shard_of(l);
	if (!s || !atomic_load_explicit(&s->inbox.is_signalled, memory_order_relaxed))
		return false;
	atomic_exchange(&s->inbox.is_signalled, false);
	for (int i = 0; i < LIMIT_INBOX_PER_TURN; i++) {
		struct inbox_msg *m = inbox_pop(&s->inbox);
		if (!m)
			return false;
		enum inbox_kind k = m->kind;
		ASSERT(k < INBOX__N && s->handler[k].fn);
		l->env->n_taken++;
		s->handler[k].fn(s->handler[k].ctx, l, m);
	}
	atomic_store(&s->inbox.is_signalled, true); /* perhaps more: look again in the next turn */
	return true;
}

void shard_pass(struct ev_loop *l)
{
	struct shard *s = shard_of(l);
	if (s) {
		uint64_t epoch = atomic_load_explicit(&s->all->epoch, memory_order_acquire);
		uint64_t seen = atomic_load_explicit(&s->seen, memory_order_relaxed);
		if (seen == EPOCH_ASLEEP)
			shard_online(l);
		else if (seen != epoch)
			atomic_store_explicit(&s->seen, epoch, memory_order_release);
	}
}

void shard_online(struct ev_loop *l)
{
	struct shard *s = shard_of(l);
	if (!s || atomic_load_explicit(&s->seen, memory_order_relaxed) != EPOCH_ASLEEP)
		return;
	uint64_t epoch = atomic_load_explicit(&s->all->epoch, memory_order_acquire);
	atomic_store_explicit(&s->seen, epoch, memory_order_seq_cst);
	shard_fence(s->all);
}

void shard_offline(struct ev_loop *l)
{
	struct shard *s = shard_of(l);
	if (s)
		atomic_store_explicit(&s->seen, EPOCH_ASLEEP, memory_order_release);
}

void ev_retire(struct ev_loop *l, struct ev_retired *node, void (*fn)(struct ev_retired *node))
{
	node->fn = fn;
	node->next = NULL;
	node->epoch = l->shards ? atomic_fetch_add(&l->shards->epoch, 1) + 1 : l->turns + 1;
	*l->retired_end = node;
	l->retired_end = &node->next;
}

/* The oldest epoch that somebody may still be reading in. */
static uint64_t oldest_epoch(struct ev_loop *l)
{
	struct ev_shards *all = l->shards;
	uint64_t oldest = UINT64_MAX;
	if (!all)
		return l->turns;
	shard_fence(all);
	for (size_t i = 0; i < all->n; i++) {
		uint64_t seen = atomic_load_explicit(&all->shard[i]->seen, memory_order_acquire);
		if (seen < oldest)
			oldest = seen;
	}
	return oldest;
}

void shard_free_retired(struct ev_loop *l)
{
	if (!l->retired)
		return;
	uint64_t oldest = oldest_epoch(l);
	while (l->retired && l->retired->epoch <= oldest) {
		struct ev_retired *r = l->retired;
		l->retired = r->next;
		if (!l->retired)
			l->retired_end = &l->retired;
		r->fn(r);
	}
}

static void on_stop(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	(void)ctx;
	(void)m;
	ev_stop(l);
}

static void on_worker_result(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct ev_job *j = CONTAINER_OF(m, struct ev_job, msg);
	(void)ctx;
	(void)l;
	j->done(j);
}

static void drop_job(struct inbox_msg *m)
{
	struct ev_job *j = CONTAINER_OF(m, struct ev_job, msg);
	if (j->drop)
		j->drop(j);
}

enum err ev_shards_new(struct env **envs, size_t n, struct ev_shards **out)
{
	ASSERT(n > 0 && n <= LIMIT_SHARDS);
	size_t size = sizeof(struct ev_shards) + n * sizeof(struct shard *);
	struct ev_shards *s =
		aligned_alloc(CACHE_LINE, (size + CACHE_LINE - 1) & -(size_t)CACHE_LINE);
	if (!s)
		return ERR_NOMEM;
	*s = (struct ev_shards){0};
	atomic_init(&s->epoch, 1);
	s->discard[INBOX_WORKER_RESULT] = drop_job;
	workers_init(s);
	for (size_t i = 0; i < n; i++) {
		struct shard *k = aligned_alloc(CACHE_LINE, sizeof(*k));
		if (!k) {
			ev_shards_free(s);
			return ERR_NOMEM;
		}
		*k = (struct shard){.all = s};
		ev_loop_init(&k->loop, envs[i]);
		k->loop.shards = s;
		k->loop.shard = (uint16_t)i;
		inbox_init(&k->inbox);
		atomic_init(&k->seen, EPOCH_ASLEEP);
		s->shard[s->n++] = k;
		ev_inbox_handle(s, i, INBOX_STOP, on_stop, NULL);
		ev_inbox_handle(s, i, INBOX_WORKER_RESULT, on_worker_result, NULL);
	}
	*out = s;
	return OK;
}

void ev_inbox_discard(struct ev_shards *s, enum inbox_kind k, void (*fn)(struct inbox_msg *m))
{
	ASSERT(k < INBOX__N);
	s->discard[k] = fn;
}

/* What was sent after its receiver had ended. */
static void discard_inbox(struct ev_shards *s, struct inbox *q)
{
	struct inbox_msg *m;
	while ((m = inbox_pop(q))) {
		if (s->discard[m->kind])
			s->discard[m->kind](m);
	}
}

void ev_shards_free(struct ev_shards *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		discard_inbox(s, &s->shard[i]->inbox);
	for (size_t i = 0; i < s->n; i++)
		ev_loop_fini(&s->shard[i]->loop);
	for (size_t i = 0; i < s->n; i++)
		free(s->shard[i]);
	workers_fini(s);
	free(s);
}

size_t ev_shards_count(const struct ev_shards *s)
{
	return s->n;
}

struct ev_loop *ev_shard(struct ev_shards *s, size_t i)
{
	ASSERT(i < s->n);
	return &s->shard[i]->loop;
}
