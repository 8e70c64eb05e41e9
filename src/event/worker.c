/* The worker pool: blocking work off the shards.
 *
 * One queue, one lock, one condition: jobs take milliseconds (disks, password hashing), so a lock
 * of nanoseconds around the queue is nothing. A finished job goes back as an inbox message to the
 * shard that asked. Without threads (simulation) the work is done in the call, and only its result
 * travels; the order of events is then the same in each run.
 *
 * Invariants: 1. first and last are both NULL or both not. 2. Every job handed to ev_work is done
 * exactly once, also when the pool is being stopped.
 */

#include "base/limits.h"
#include "event/shard_priv.h"

#include <signal.h>
#include <stdlib.h>

void workers_init(struct ev_shards *s)
{
	s->workers = (struct workers){0};
	pthread_mutex_init(&s->workers.lock, NULL);
	pthread_cond_init(&s->workers.more, NULL);
}

void workers_fini(struct ev_shards *s)
{
	pthread_cond_destroy(&s->workers.more);
	pthread_mutex_destroy(&s->workers.lock);
}

static struct ev_job *next_job(struct ev_job *j)
{
	struct inbox_msg *m = atomic_load_explicit(&j->msg.next, memory_order_relaxed);
	return m ? CONTAINER_OF(m, struct ev_job, msg) : NULL;
}

/* Waits for a job; NULL when the pool stops and nothing is left. */
static struct ev_job *take_job(struct workers *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->first && !w->is_stopping)
		pthread_cond_wait(&w->more, &w->lock);
	struct ev_job *j = w->first;
	if (j) {
		w->first = next_job(j);
		if (!w->first)
			w->last = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	return j;
}

static void *worker_main(void *arg)
{
	struct ev_shards *s = arg;
	struct ev_job *j;
	pthread_setname_np(pthread_self(), "worker");
	while ((j = take_job(&s->workers))) {
		j->work(j);
		ev_send(s, j->from_shard, &j->msg);
	}
	return NULL;
}

enum err ev_workers_start(struct ev_shards *s, unsigned n_threads)
{
	struct workers *w = &s->workers;
	sigset_t all, before;
	ASSERT(w->n == 0);
	if (n_threads > LIMIT_WORKERS)
		n_threads = LIMIT_WORKERS;
	w->is_stopping = false;
	if (n_threads == 0)
		return OK;
	w->thread = calloc(n_threads, sizeof(*w->thread));
	if (!w->thread)
		return ERR_NOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (w->n < n_threads && pthread_create(&w->thread[w->n], NULL, worker_main, s) == 0)
		w->n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (w->n == n_threads)
		return OK;
	ev_workers_stop(s);
	return ERR_LIMIT;
}

void ev_workers_stop(struct ev_shards *s)
{
	struct workers *w = &s->workers;
	pthread_mutex_lock(&w->lock);
	w->is_stopping = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->thread[i], NULL);
	free(w->thread);
	w->thread = NULL;
	w->n = 0;
}

void ev_work(struct ev_loop *l, struct ev_job *j)
{
	ASSERT(l->shards);
	struct workers *w = &l->shards->workers;
	j->msg.kind = INBOX_WORKER_RESULT;
	j->from_shard = l->shard;
	atomic_store_explicit(&j->msg.next, NULL, memory_order_relaxed);
	pthread_mutex_lock(&w->lock);
	bool is_queued = w->thread && !w->is_stopping;
	if (is_queued) {
		if (w->last)
			atomic_store_explicit(&w->last->msg.next, &j->msg, memory_order_relaxed);
		else
			w->first = j;
		w->last = j;
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	if (is_queued)
		return;
	j->work(j);
	ev_send(l->shards, j->from_shard, &j->msg);
}
