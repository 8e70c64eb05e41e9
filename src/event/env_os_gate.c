/* Several envs on one thread: where it sleeps, and the clock and the pause of its rounds.
 *
 * A gate is an epoll instance that watches those of the envs: one of them becomes readable when one
 * of its sockets is ready or somebody wakes it. The gate only says which envs to poll; it takes no
 * event. While the thread sleeps here every env at the gate counts as sleeping, so that a wake-up
 * of any is written to its eventfd (env_os.c, invariant 3).
 */

#include "event/os_priv.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BLIND_US 1'000

struct env_gate {
	int epoll_fd;
	struct os_env *first;
	bool is_blind; /* the kernel had no room for an env: look at all, often */
};

static const struct os_env *os_of_const(const struct env *e)
{
	return (const struct os_env *)(const void *)e;
}

void env_pause(uint64_t us)
{
	struct timespec t = {(time_t)(us / 1'000'000), (long)(us % 1'000'000) * 1000};
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

bool env_is_woken(const struct env *e)
{
	return atomic_load_explicit(&os_of_const(e)->is_woken, memory_order_relaxed);
}

bool env_is_ready(const struct env *e)
{
	return os_of_const(e)->is_ready || env_is_woken(e);
}

enum err env_gate_new(struct env_gate **out)
{
	struct env_gate *g = calloc(1, sizeof(*g));
	if (!g)
		return ERR_NOMEM;
	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (g->epoll_fd < 0) {
		free(g);
		return ERR_LIMIT;
	}
	*out = g;
	return OK;
}

void env_gate_free(struct env_gate *g)
{
	if (!g)
		return;
	close(g->epoll_fd);
	free(g);
}

void env_gate_add(struct env_gate *g, struct env *env)
{
	struct os_env *e = os_of(env);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = e};
	if (epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, e->epoll_fd, &ev) < 0)
		g->is_blind = true;
	e->is_at_gate = true;
	e->gate_next = g->first;
	g->first = e;
}

void env_gate_del(struct env_gate *g, struct env *env)
{
	struct os_env *e = os_of(env), **at = &g->first;
	epoll_ctl(g->epoll_fd, EPOLL_CTL_DEL, e->epoll_fd, NULL);
	while (*at != e)
		at = &(*at)->gate_next;
	*at = e->gate_next;
	e->is_at_gate = e->is_ready = false;
}

uint64_t env_gate_wait(struct env_gate *g, uint64_t timeout_us)
{
	struct epoll_event ev[LIMIT_POLL_EVENTS];
	for (struct os_env *e = g->first; e && timeout_us; e = e->gate_next) {
		atomic_store(&e->is_sleeping, true);
		if (atomic_load(&e->is_woken))
			timeout_us = 0;
	}
	if (g->is_blind && timeout_us > BLIND_US)
		timeout_us = BLIND_US;
	int n = os_wait(g->epoll_fd, ev, timeout_us);
	for (struct os_env *e = g->first; e; e = e->gate_next) {
		atomic_store_explicit(&e->is_sleeping, false, memory_order_relaxed);
		e->is_ready |= g->is_blind;
	}
	for (int i = 0; i < n; i++)
		((struct os_env *)ev[i].data.ptr)->is_ready = true;
	return env_clock_us();
}
