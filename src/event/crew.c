/* Threads, and the shards that they run.
 *
 * There is a thread for each shard, but a thread that is awake costs: as long as one can do the
 * work, it does it for all. The first thread begins with all shards; when it is loaded it gives
 * shards away, each to the thread of its own number, and a thread that has little to do gives its
 * shard back. What passes between shards of one thread needs no wake-up, and what comes in bursts
 * finds it awake. Shards do not notice: a shard is run by one thread at a time, and who runs it is
 * nobody's business but this file's.
 *
 * A round of a thread:
 *
 *      take what was offered → send, sleep or rest → visit what has something to do → balance
 *
 * A visit is env_poll and a turn of the loop. A thread that holds one shard sleeps in that shard's
 * env; one with several sleeps at a gate (env_os_gate.c) which all of their envs can open. While
 * rounds follow each other at once, because shards post to each other, what they send is gathered,
 * and the gate is not asked again; both for at most BURST_US.
 *
 * Invariants:
 * 1. Each shard is held by exactly one thread, or waits in exactly one thread's list of offers. It
 *    passes under the receiver's lock, so the receiver sees all that the giver did to it.
 * 2. Thread 0 holds shard 0 until the end: who offers to thread 0 wakes it through shard 0's env.
 *    Any other thread holds its own shard or none; without one it waits for an offer.
 * 3. A thread ends when all are to stop, it holds nothing, and nothing was offered; from then on
 *    it refuses offers.
 */

#include "event/env_priv.h"
#include "event/rest.h"
#include "event/shard_priv.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_US 50'000 /* the load is measured over this, or over the longer time of a sleep */
#define LOADED    60     /* percent of a thread's time: it gives shards away until ... */
#define RELIEVED  40     /* ... it would have this much left */
#define SHARED    40     /* two threads that together have less than this are one too many ... */
#define CALM      10     /* ... when it was so for as many windows */
#define BURST_US  1'000

struct hand {
	struct crew *crew;
	size_t n; /* own number */
	struct env_gate *gate;
	size_t n_held;
	struct rest rest;
	uint64_t sent_us, looked_us;  /* when what was gathered left; when the gate was asked */
	uint64_t window_us, slept_us; /* when the window began; asleep since then */
	unsigned n_calm;
	_Atomic(unsigned) load; /* of the last window, percent */
	pthread_t thread;
	bool is_started;
	/* What others offer, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t offered;
	atomic_bool has_offers;
	bool is_gone;
	size_t n_offers;
	struct shard **offers; /* room for all shards, and behind it `held` */
	struct shard **held;
};

struct crew {
	struct ev_shards *all;
	atomic_bool is_stopping;
	void (*init)(void *arg, size_t shard);
	void *init_arg;
	size_t n;
	struct hand hand[];
};

/* --- who holds what ------------------------------------------------------------------------- */

/* A single shard does not stand at the gate: it would pay for it with each event. */
static void hold(struct hand *h, struct shard *s)
{
	s->due_us = 0; /* to be visited at once */
	s->busy_us = 0;
	h->held[h->n_held++] = s;
	if (h->n_held > 1)
		env_gate_add(h->gate, s->loop.env);
	if (h->n_held == 2)
		env_gate_add(h->gate, h->held[0]->loop.env);
}

static void send(struct shard *s)
{
	struct env *env = s->loop.env;
	if (env->ops->flush)
		env->ops->flush(env);
}

static struct shard *let_go(struct hand *h, size_t i)
{
	struct shard *s = h->held[i];
	send(s);
	if (h->n_held > 1)
		env_gate_del(h->gate, s->loop.env);
	h->held[i] = h->held[--h->n_held];
	if (h->n_held == 1)
		env_gate_del(h->gate, h->held[0]->loop.env);
	return s;
}

/* False when the other has ended. */
static bool offer(struct hand *to, struct shard *s)
{
	pthread_mutex_lock(&to->lock);
	bool is_gone = to->is_gone;
	if (!is_gone) {
		to->offers[to->n_offers++] = s;
		atomic_store(&to->has_offers, true);
		pthread_cond_signal(&to->offered);
	}
	pthread_mutex_unlock(&to->lock);
	if (!is_gone && to->n == 0)
		env_wake(to->crew->all->shard[0]->loop.env);
	return !is_gone;
}

/* Takes what was offered. Without any shard, waits for one; false: there will be none. */
static bool take_offers(struct hand *h)
{
	if (h->n_held > 0 && !atomic_load(&h->has_offers))
		return true;
	pthread_mutex_lock(&h->lock);
	while (h->n_held + h->n_offers == 0 && !atomic_load(&h->crew->is_stopping))
		pthread_cond_wait(&h->offered, &h->lock);
	while (h->n_offers > 0)
		hold(h, h->offers[--h->n_offers]);
	atomic_store(&h->has_offers, false);
	h->is_gone = h->n_held == 0;
	pthread_mutex_unlock(&h->lock);
	return h->n_held > 0;
}

/* --- balance -------------------------------------------------------------------------------- */

/* Gives the busiest shards away (never the first) until the rest is bearable. */
static void give_away(struct hand *h, unsigned load, uint64_t elapsed_us)
{
	while (load > RELIEVED && h->n_held > 1) {
		size_t most = h->n_held;
		for (size_t i = 0; i < h->n_held; i++) {
			if (h->held[i]->loop.shard != 0 &&
			    (most == h->n_held || h->held[i]->busy_us > h->held[most]->busy_us))
				most = i;
		}
		unsigned part = (unsigned)(h->held[most]->busy_us * 100 / elapsed_us);
		struct shard *s = let_go(h, most);
		if (!offer(&h->crew->hand[s->loop.shard], s)) {
			hold(h, s);
			return;
		}
		load = load > part ? load - part : 0;
	}
}

static void give_back(struct hand *h, unsigned load)
{
	struct hand *first = &h->crew->hand[0];
	h->n_calm = load + atomic_load(&first->load) < SHARED ? h->n_calm + 1 : 0;
	if (h->n_calm < CALM)
		return;
	h->n_calm = 0;
	struct shard *s = let_go(h, 0);
	if (!offer(first, s))
		hold(h, s);
}

static void balance(struct hand *h, uint64_t now_us)
{
	uint64_t elapsed_us = now_us - h->window_us;
	if (elapsed_us < WINDOW_US)
		return;
	uint64_t busy_us = elapsed_us > h->slept_us ? elapsed_us - h->slept_us : 0;
	unsigned load = (unsigned)(busy_us * 100 / elapsed_us);
	atomic_store(&h->load, load);
	if (!atomic_load(&h->crew->is_stopping)) {
		if (h->n == 0 && load > LOADED)
			give_away(h, load, elapsed_us);
		else if (h->n != 0)
			give_back(h, load);
	}
	for (size_t i = 0; i < h->n_held; i++)
		h->held[i]->busy_us = 0;
	h->window_us = now_us;
	h->slept_us = 0;
}

/* --- rounds --------------------------------------------------------------------------------- */

/* After env_poll. A loop that was asked to stop is let go. */
static void turn(struct hand *h, size_t i)
{
	struct shard *s = h->held[i];
	struct ev_loop *l = &s->loop;
	s->due_us = loop_turn(l);
	if (l->is_stopping) {
		l->is_stopping = false; /* it may be run again */
		shard_offline(l);
		let_go(h, i);
	} else if (s->due_us > ev_now_us(l)) {
		shard_offline(l);
	}
}

/* Is there work that waits for nothing: more in an inbox than one turn takes, a wake-up? */
static bool has_more(const struct hand *h)
{
	for (size_t i = 0; i < h->n_held; i++) {
		const struct shard *s = h->held[i];
		if (s->due_us <= ev_now_us(&s->loop) || env_is_woken(s->loop.env))
			return true;
	}
	return atomic_load_explicit(&h->has_offers, memory_order_relaxed);
}

static uint64_t until_due(const struct hand *h, uint64_t now_us)
{
	uint64_t due_us = UINT64_MAX;
	for (size_t i = 0; i < h->n_held; i++) {
		if (h->held[i]->due_us < due_us)
			due_us = h->held[i]->due_us;
	}
	if (due_us == UINT64_MAX)
		return UINT64_MAX;
	return due_us > now_us ? due_us - now_us : 0;
}

/* Returns the time at which all has left. */
static uint64_t send_all(struct hand *h)
{
	uint64_t began = env_clock_us();
	for (size_t i = 0; i < h->n_held; i++)
		send(h->held[i]);
	h->sent_us = env_clock_us();
	for (size_t i = 0; i < h->n_held; i++)
		h->held[i]->busy_us += (h->sent_us - began) / h->n_held;
	return h->sent_us;
}

/* Both tell when the sleep was over. */
static void visit_the_one(struct hand *h, uint64_t timeout_us, uint64_t *woke_us)
{
	struct env *env = h->held[0]->loop.env;
	env_poll(env, timeout_us);
	*woke_us = env_now_us(env);
	turn(h, 0);
}

static void visit_all(struct hand *h, uint64_t timeout_us, bool is_busy, uint64_t *woke_us)
{
	uint64_t now = *woke_us;
	if (!is_busy || now - h->looked_us >= BURST_US)
		now = h->looked_us = env_gate_wait(h->gate, timeout_us);
	*woke_us = now;
	for (size_t i = h->n_held; i-- > 0;) {
		struct shard *s = h->held[i];
		if (!env_is_ready(s->loop.env) && s->due_us > now)
			continue;
		env_poll(s->loop.env, 0);
		turn(h, i);
		uint64_t done = env_clock_us();
		s->busy_us += done - now;
		now = done - h->sent_us < BURST_US ? done : send_all(h);
	}
}

static unsigned messages_since(struct hand *h)
{
	unsigned n = 0;
	for (size_t i = 0; i < h->n_held; i++) {
		n += h->held[i]->loop.env->n_taken;
		h->held[i]->loop.env->n_taken = 0;
	}
	return n;
}

static void *hand_main(void *arg)
{
	struct hand *h = arg;
	char name[16];
	snprintf(name, sizeof(name), "shards %u", (unsigned)h->n);
	pthread_setname_np(pthread_self(), name);
	for (size_t i = 0; h->n == 0 && h->crew->init && i < h->crew->n; i++) {
		shard_online(&h->crew->all->shard[i]->loop);
		h->crew->init(h->crew->init_arg, i);
	}
	h->window_us = env_clock_us();
	while (take_offers(h)) {
		uint64_t began = env_clock_us(), timeout = 0, pause = 0;
		bool is_busy = has_more(h);
		if (!is_busy || began - h->sent_us >= BURST_US) {
			began = send_all(h);
			is_busy = has_more(h); /* one that was refused is work */
		}
		uint64_t woke = began;
		if (!is_busy && (pause = rest_us(&h->rest, began)))
			env_pause(pause);
		else if (!is_busy)
			timeout = until_due(h, began);
		if (h->n_held == 1)
			visit_the_one(h, timeout, &woke);
		else
			visit_all(h, timeout, is_busy, &woke);
		if (!is_busy) {
			rest_over(&h->rest, woke, messages_since(h));
			h->slept_us += woke - began;
		}
		balance(h, env_clock_us());
	}
	return NULL;
}

/* --- life ----------------------------------------------------------------------------------- */

static void hand_free(struct hand *h)
{
	env_gate_free(h->gate);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->offered);
	free(h->offers);
}

static enum err hand_init(struct crew *c, size_t n)
{
	struct hand *h = &c->hand[n];
	h->crew = c;
	h->n = n;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->offered, NULL);
	h->offers = calloc(2 * c->all->n, sizeof(struct shard *));
	if (!h->offers)
		return ERR_NOMEM;
	h->held = h->offers + c->all->n;
	return env_gate_new(&h->gate);
}

static void crew_free(struct crew *c)
{
	for (size_t i = 0; i < c->n; i++) {
		while (c->hand[i].n_held > 0) /* it was never started */
			let_go(&c->hand[i], 0);
		hand_free(&c->hand[i]);
	}
	free(c);
}

static enum err crew_new(struct ev_shards *s, struct crew **out)
{
	struct crew *c = calloc(1, sizeof(*c) + s->n * sizeof(struct hand));
	if (!c)
		return ERR_NOMEM;
	c->all = s;
	while (c->n < s->n) {
		enum err e = hand_init(c, c->n++);
		if (e != OK) {
			crew_free(c);
			return e;
		}
	}
	*out = c;
	return OK;
}

enum err ev_shards_start(struct ev_shards *s, void (*init)(void *arg, size_t shard), void *arg)
{
	sigset_t all, before;
	enum err err = crew_new(s, &s->crew);
	if (err)
		return err;
	struct crew *c = s->crew;
	c->init = init;
	c->init_arg = arg;
	for (size_t i = 0; i < s->n; i++)
		hold(&c->hand[0], s->shard[i]);
	sigfillset(&all); /* signals are the main thread's business */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; i < c->n && err == OK; i++) {
		struct hand *h = &c->hand[i];
		h->is_started = pthread_create(&h->thread, NULL, hand_main, h) == 0;
		if (!h->is_started)
			err = ERR_LIMIT;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		ev_shards_stop(s);
	return err;
}

void ev_shards_stop(struct ev_shards *s)
{
	struct crew *c = s->crew;
	if (!c)
		return;
	atomic_store(&c->is_stopping, true);
	for (size_t i = 0; i < s->n && c->hand[0].is_started; i++) {
		s->shard[i]->stop.kind = INBOX_STOP;
		ev_send(s, i, &s->shard[i]->stop);
	}
	for (size_t i = 0; i < c->n; i++) {
		struct hand *h = &c->hand[i];
		if (!h->is_started)
			continue;
		pthread_mutex_lock(&h->lock);
		pthread_cond_signal(&h->offered);
		pthread_mutex_unlock(&h->lock);
		pthread_join(h->thread, NULL);
	}
	crew_free(c);
	s->crew = NULL;
}
