/* The simulation as an env: sockets, readiness, and what a host's crash does to them.
 *
 * A socket that may have become ready stands in its env's ready list; env_poll asks each what it is
 * ready for and calls its handler, once per poll, as level-triggered epoll would. A socket that is
 * still ready afterwards stays in the list, so its loop runs again.
 *
 * Invariants:
 * 1. A socket that is ready for something that its handler wants is in the ready list.
 * 2. A closed socket is in no list; its memory goes with the last event that names it.
 * 3. A dead env (its host crashed) calls no handler and sends nothing; its sockets can be closed
 * and it can be freed as if it lived. Freeing an env closes the sockets that its owner has left
 * open.
 */

#include "event/sim_priv.h"

#include <stdlib.h>
#include <string.h>

#define WALL_START_US 1'767'225'600'000'000 /* 2026-01-01 00:00 UTC at virtual time 0 */

struct sim_sock *sim_sock_new(struct sim_env *e, enum sim_kind kind, env_ready_fn *fn, void *arg)
{
	struct sim_sock *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->head = (struct env_sock){&e->head, fn, arg};
	s->host = e->host;
	s->kind = (uint8_t)kind;
	s->refs = 1;
	s->want = ENV_READ;
	list_init(&s->ready);
	list_init(&s->accepts);
	list_push(&e->socks, &s->link);
	return s;
}

void sim_sock_unref(struct sim_sock *s)
{
	if (--s->refs)
		return;
	buf_fini(&s->rx);
	free(s);
}

void sim_sock_close(struct sim_sock *s)
{
	struct sim_event *next;
	sim_unbind(s);
	sim_tcp_hang_up(s);
	list_del(&s->link);
	list_del(&s->ready);
	list_del(&s->accepts);
	s->is_closed = true;
	buf_fini(&s->rx);
	for (struct sim_event *ev = s->rx_first; ev; ev = next) {
		next = ev->next;
		sim_event_free(ev);
	}
	s->rx_first = s->rx_last = NULL;
	sim_sock_unref(s);
}

static unsigned ready_events(const struct sim_sock *s)
{
	unsigned events = 0;
	if (s->kind == SIM_UDP)
		return (s->rx_first || s->is_icmp_new ? ENV_READ & s->want : 0u) |
		       (s->want & ENV_WRITE);
	if (s->kind == SIM_LISTEN)
		return list_is_empty(&s->accepts) ? 0u : ENV_READ & s->want;
	if (!s->head.fn) /* not accepted yet */
		return 0;
	if (s->state == SIM_FAILED)
		return ENV_HUP;
	if (s->state == SIM_CONNECTING)
		return 0;
	if (!s->is_told)
		return ENV_WRITE;
	if (s->is_reset)
		return s->want & ENV_READ ? ENV_READ : ENV_HUP;
	if (s->rx.n || s->is_eof)
		events |= ENV_READ;
	if (!s->is_blocked && sim_tcp_room(s))
		events |= ENV_WRITE;
	return events & s->want;
}

void sim_sock_check(struct sim_sock *s)
{
	struct sim_env *e = sim_env_of(s);
	if (!s->is_dead && list_is_empty(&s->ready) && ready_events(s))
		list_push(&e->ready, &s->ready);
}

static void dispatch(struct sim_sock *s)
{
	unsigned events = ready_events(s);
	if (events == 0)
		return;
	s->refs++;
	s->is_told = true;
	s->head.fn(s->head.arg, events);
	if (!s->is_closed)
		sim_sock_check(s);
	sim_sock_unref(s);
}

static bool sim_poll(struct env *env, uint64_t timeout_us)
{
	struct sim_env *e = (struct sim_env *)(void *)env;
	struct link batch, *l;
	(void)timeout_us; /* time is the simulation's business */
	bool had_any = e->is_woken || !list_is_empty(&e->ready);
	e->is_woken = false;
	if (env->awake)
		env->awake(env->awake_arg);
	list_init(&batch);
	while ((l = list_pop(&e->ready)))
		list_push(&batch, l);
	while (!e->is_dead && (l = list_pop(&batch)))
		dispatch(LIST_ENTRY(l, struct sim_sock, ready));
	while ((l = list_pop(&batch)))
		;
	return had_any;
}

void sim_env_kill(struct sim_env *e)
{
	struct link *k;
	e->is_dead = true;
	while ((k = list_pop(&e->ready)))
		;
	LIST_EACH (&e->socks, l) {
		struct sim_sock *s = LIST_ENTRY(l, struct sim_sock, link);
		s->is_dead = true;
		sim_unbind(s);
	}
}

static uint64_t sim_wall_us(const struct env *env)
{
	const struct sim_host *h = ((const struct sim_env *)(const void *)env)->host;
	return WALL_START_US + h->sim->now_us + (uint64_t)h->skew_us;
}

static void sim_fill(struct env *env, void *p, size_t n)
{
	struct sim *s = ((struct sim_env *)(void *)env)->host->sim;
	for (size_t at = 0; at < n; at += 8) {
		uint64_t v = sim_random(s);
		memcpy((char *)p + at, &v, n - at < 8 ? n - at : 8);
	}
}

static enum err open_bound(struct env *env, enum sim_kind kind, const struct addr *local,
			   unsigned flags, env_ready_fn *fn, void *arg, struct env_sock **out,
			   const char **why)
{
	struct sim_env *e = (struct sim_env *)(void *)env;
	if (e->is_dead) {
		*why = "the host is down";
		return ERR_NET;
	}
	struct sim_sock *s = sim_sock_new(e, kind, fn, arg);
	if (!s) {
		*why = "out of memory";
		return ERR_NOMEM;
	}
	enum err err = sim_bind(s, local, flags, why);
	if (err) {
		sim_sock_close(s);
		return err;
	}
	*out = &s->head;
	return OK;
}

static enum err sim_udp_open(struct env *e, const struct addr *local, unsigned flags,
			     env_ready_fn *fn, void *arg, struct env_sock **out, const char **why)
{
	return open_bound(e, SIM_UDP, local, flags, fn, arg, out, why);
}

static enum err sim_tcp_listen(struct env *e, const struct addr *local, unsigned flags,
			       env_ready_fn *fn, void *arg, struct env_sock **out, const char **why)
{
	return open_bound(e, SIM_LISTEN, local, flags, fn, arg, out, why);
}

static void sim_close(struct env_sock *s)
{
	sim_sock_close((struct sim_sock *)(void *)s);
}

static void sim_want(struct env_sock *sock, unsigned events)
{
	struct sim_sock *s = (struct sim_sock *)(void *)sock;
	s->want = (uint8_t)(events & (ENV_READ | ENV_WRITE));
	sim_sock_check(s);
}

static struct addr sim_local(const struct env_sock *s)
{
	return ((const struct sim_sock *)(const void *)s)->local;
}

static struct addr sim_peer(const struct env_sock *s)
{
	return ((const struct sim_sock *)(const void *)s)->peer;
}

static void sim_wake(struct env *e)
{
	((struct sim_env *)(void *)e)->is_woken = true;
}

static void sim_env_free(struct env *env)
{
	struct sim_env *e = (struct sim_env *)(void *)env;
	while (!list_is_empty(&e->socks))
		sim_sock_close(LIST_ENTRY(e->socks.next, struct sim_sock, link));
	ASSERT(!e->loop); /* sim_del_loop first */
	list_del(&e->link);
	free(e);
}

static enum err sim_watch_fd(struct env *e, int fd, unsigned events, env_ready_fn *fn, void *arg,
			     struct env_sock **out)
{
	(void)e, (void)fd, (void)events, (void)fn, (void)arg, (void)out;
	return ERR_UNSUPPORTED;
}

static const struct env_ops sim_ops = {
	.wall_us = sim_wall_us,
	.random = sim_fill,
	.udp_open = sim_udp_open,
	.tcp_listen = sim_tcp_listen,
	.tcp_connect = sim_tcp_connect,
	.accept = sim_accept,
	.close = sim_close,
	.want = sim_want,
	.local = sim_local,
	.peer = sim_peer,
	.recv = sim_recv,
	.icmp_next = sim_icmp_next,
	.send = sim_send,
	.read = sim_read,
	.write = sim_write,
	.source_for = sim_source_for,
	.host_addr = sim_host_addr,
	.poll = sim_poll,
	.wake = sim_wake,
	.free = sim_env_free,
	.watch_fd = sim_watch_fd,
};

enum err sim_env_new(struct sim_host *h, struct env **out)
{
	struct sim_env *e = calloc(1, sizeof(*e));
	if (!e)
		return ERR_NOMEM;
	e->head.ops = &sim_ops;
	e->head.now_us = &h->sim->now_us;
	e->host = h;
	e->is_dead = !h->is_up;
	list_init(&e->ready);
	list_init(&e->socks);
	list_init(&e->loop_link);
	list_push(&h->envs, &e->link);
	*out = &e->head;
	return OK;
}
