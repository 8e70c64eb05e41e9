/* The operating system as an env: epoll, non-blocking sockets, clocks, entropy.
 *
 * One epoll instance per env, level-triggered, so a handler that stops reading early is called
 * again. The clock is read once per poll; everything that happens in one turn happens at one time.
 * Entropy is drawn 512 bytes at a time, so that a tag or a branch costs no system call; bytes given
 * out are erased.
 *
 * Invariants:
 * 1. No handler is called after env_close: a socket closed while a batch of events is worked off is
 *    kept on the dead list until the batch is over, because later events may still name it.
 * 2. epoll_ctl is called only when the wanted set changes: a socket that only reads costs none.
 * 3. No lost wake-up: the owner says "sleeping" before it looks at "woken", others say "woken"
 * before they look at "sleeping", all sequentially consistent; so at least one of them sees the
 * other. The eventfd is written only when the owner sleeps. It is edge-triggered and never read:
 * each write is an edge.
 * 4. ICMP errors never make a loop spin: what the handler leaves in the kernel's error queue is
 *    thrown away after it returned.
 *
 * Sockets are in env_os_udp.c and env_os_tcp.c, addresses in env_os_addr.c.
 */

#include "event/os_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

uint64_t env_clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1'000'000 + (uint64_t)t.tv_nsec / 1000 + 1;
}

static uint64_t os_wall_us(const struct env *e)
{
	struct timespec t;
	(void)e;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1'000'000 + (uint64_t)t.tv_nsec / 1000;
}

void env_entropy(void *p, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t k = getrandom((char *)p + got, n - got, 0);
		if (k > 0)
			got += (size_t)k;
		else if (k < 0 && errno != EINTR)
			abort(); /* a kernel without entropy: nothing that follows would be safe */
	}
}

static void os_random(struct env *env, void *p, size_t n)
{
	struct os_env *e = os_of(env);
	if (n > sizeof(e->random)) {
		env_entropy(p, n);
		return;
	}
	if (e->n_random < n) {
		env_entropy(e->random, sizeof(e->random));
		e->n_random = sizeof(e->random);
	}
	uint8_t *from = e->random + sizeof(e->random) - e->n_random;
	memcpy(p, from, n);
	memset(from, 0, n);
	e->n_random -= n;
}

const char *os_why(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "address already in use";
	case EADDRNOTAVAIL:
		return "address is not one of this machine";
	case EACCES:
	case EPERM:
		return "permission denied (ports below 1024 need privileges)";
	case EAFNOSUPPORT:
		return "address family not available on this machine";
	case EMFILE:
	case ENFILE:
		return "too many open files";
	case ENOMEM:
	case ENOBUFS:
		return "out of memory";
	default:
		return "the system refuses it";
	}
}

static uint32_t epoll_mask(unsigned want)
{
	return (want & ENV_READ ? EPOLLIN : 0u) | (want & ENV_WRITE ? EPOLLOUT : 0u);
}

/* Takes the descriptor only on success. */
enum err os_sock_new(struct os_env *e, int fd, enum os_kind kind, unsigned want, env_ready_fn *fn,
		     void *arg, struct os_sock **out)
{
	struct os_sock *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->head = (struct env_sock){&e->head, fn, arg};
	s->fd = fd;
	s->kind = (uint8_t)kind;
	s->want = (uint8_t)want;
	struct epoll_event ev = {.events = epoll_mask(want), .data.ptr = s};
	if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		enum err err = errno == EPERM ? ERR_UNSUPPORTED : ERR_LIMIT;
		free(s);
		return err;
	}
	*out = s;
	return OK;
}

static void os_close(struct env_sock *sock)
{
	struct os_sock *s = (struct os_sock *)(void *)sock;
	struct os_env *e = os_of(sock->env);
	os_flush(&e->head);
	os_acquit(s);
	if (s->kind == OS_FD) /* the library may have closed it already: then this fails, rightly */
		epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	else
		close(s->fd);
	if (!e->is_dispatching) {
		free(s);
		return;
	}
	s->is_closed = true;
	s->next_dead = e->dead;
	e->dead = s;
}

static void os_want(struct env_sock *sock, unsigned events)
{
	struct os_sock *s = (struct os_sock *)(void *)sock;
	events &= ENV_READ | ENV_WRITE;
	if (s->want == events)
		return;
	s->want = (uint8_t)events;
	if (s->is_connecting)
		events |= ENV_WRITE;
	struct epoll_event ev = {.events = epoll_mask(events), .data.ptr = s};
	epoll_ctl(os_of(sock->env)->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev);
}

static struct addr os_local(const struct env_sock *s)
{
	return ((const struct os_sock *)(const void *)s)->local;
}

static struct addr os_peer(const struct env_sock *s)
{
	return ((const struct os_sock *)(const void *)s)->peer;
}

static enum err os_watch_fd(struct env *env, int fd, unsigned events, env_ready_fn *fn, void *arg,
			    struct env_sock **out)
{
	struct os_sock *s;
	enum err err = os_sock_new(os_of(env), fd, OS_FD, events, fn, arg, &s);
	if (err == OK)
		*out = &s->head;
	return err;
}

/* The outcome of a connect: ENV_WRITE or ENV_HUP. */
static unsigned connect_result(struct os_sock *s, uint32_t got)
{
	int error = 0;
	socklen_t n = sizeof(error);
	if (!(got & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return 0;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error)
		return ENV_HUP;
	s->is_connecting = false;
	struct sockaddr_storage ss;
	n = sizeof(ss);
	if (getsockname(s->fd, (struct sockaddr *)&ss, &n) == 0)
		s->local = os_addr_in(&ss);
	if (!(s->want & ENV_WRITE)) { /* it was watched for the outcome only */
		struct epoll_event ev = {.events = epoll_mask(s->want), .data.ptr = s};
		epoll_ctl(os_of(s->head.env)->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev);
	}
	return ENV_WRITE;
}

static unsigned events_for(struct os_sock *s, uint32_t got)
{
	unsigned events = (got & EPOLLIN ? ENV_READ : 0u) | (got & EPOLLOUT ? ENV_WRITE : 0u);
	if (s->is_connecting)
		return connect_result(s, got);
	if (!(got & (EPOLLERR | EPOLLHUP)))
		return events & s->want;
	if (s->kind == OS_UDP) {
		s->has_icmp = true;
		return ENV_READ;
	}
	/* A connection is over. Who reads finds out by reading, after what had come before; who
	 * does not read just now must be told. */
	return s->want & ENV_READ ? ENV_READ : ENV_HUP;
}

static void dispatch(const struct epoll_event *ev)
{
	struct os_sock *s = ev->data.ptr;
	if (!s || s->is_closed) /* NULL: the wake-up */
		return;
	unsigned events = events_for(s, ev->events);
	if (events)
		s->head.fn(s->head.arg, events);
	if (!s->is_closed && s->kind == OS_UDP && ev->events & EPOLLERR) {
		struct env_icmp unread;
		while (os_icmp_next(&s->head, &unread) == OK)
			;
		s->has_icmp = false;
	}
}

int os_wait(int epoll_fd, struct epoll_event *ev, uint64_t timeout_us)
{
	static atomic_bool has_no_pwait2;
	if (!atomic_load_explicit(&has_no_pwait2, memory_order_relaxed)) {
		struct timespec t = {(time_t)(timeout_us / 1'000'000),
				     (long)(timeout_us % 1'000'000) * 1000};
		int n = epoll_pwait2(epoll_fd, ev, LIMIT_POLL_EVENTS,
				     timeout_us == UINT64_MAX ? NULL : &t, NULL);
		if (n >= 0 || errno != ENOSYS)
			return n;
		has_no_pwait2 = true; /* Linux before 5.11: whole milliseconds, rounded up */
	}
	int ms = -1;
	if (timeout_us != UINT64_MAX)
		ms = timeout_us > 3'600'000'000 ? 3'600'000 : (int)((timeout_us + 999) / 1000);
	return epoll_wait(epoll_fd, ev, LIMIT_POLL_EVENTS, ms);
}

/* Sockets whose datagrams were refused hear of it like of an ICMP error. What their handlers leave
 * is forgotten. */
static void dispatch_accused(struct os_env *e)
{
	while (e->accused) {
		struct os_sock *s = e->accused;
		s->has_icmp = true;
		s->head.fn(s->head.arg, ENV_READ);
		if (!s->is_closed)
			os_acquit(s);
	}
}

static bool os_poll(struct env *env, uint64_t timeout_us)
{
	struct os_env *e = os_of(env);
	struct epoll_event ev[LIMIT_POLL_EVENTS];
	bool is_woken = false;
	if (timeout_us) {
		os_flush(env);
		atomic_store(&e->is_sleeping, true);
	}
	if (atomic_load_explicit(&e->is_woken, memory_order_relaxed) || timeout_us) {
		is_woken = atomic_exchange(&e->is_woken, false);
		if (is_woken)
			timeout_us = 0;
	}
	bool is_idle = e->is_at_gate && !e->is_ready && !timeout_us; /* the gate has looked */
	int n = is_idle ? 0 : os_wait(e->epoll_fd, ev, timeout_us);
	e->is_ready = false;
	atomic_store_explicit(&e->is_sleeping, false, memory_order_relaxed);
	if (atomic_load_explicit(&e->is_woken, memory_order_relaxed))
		is_woken |= atomic_exchange(&e->is_woken, false); /* this is the poll that was to
								     return */
	e->now_us = env_clock_us();
	if (env->awake)
		env->awake(env->awake_arg);
	e->is_dispatching = true;
	for (int i = 0; i < n; i++)
		dispatch(&ev[i]);
	dispatch_accused(e);
	e->is_dispatching = false;
	while (e->dead) {
		struct os_sock *s = e->dead;
		e->dead = s->next_dead;
		free(s);
	}
	return n > 0 || is_woken;
}

static void os_wake(struct env *env)
{
	struct os_env *e = os_of(env);
	uint64_t one = 1;
	if (atomic_exchange(&e->is_woken, true))
		return; /* somebody else's wake-up is on its way */
	if (atomic_load(&e->is_sleeping)) {
		ssize_t n = write(e->wake_fd, &one, sizeof(one));
		(void)n; /* fails only when 2^64 wake-ups were not taken */
	}
}

static void os_free(struct env *env)
{
	struct os_env *e = os_of(env);
	os_flush(env);
	free(e->batch);
	close(e->epoll_fd);
	close(e->wake_fd);
	if (e->spare_fd >= 0)
		close(e->spare_fd);
	free(e);
}

static const struct env_ops os_ops = {
	.wall_us = os_wall_us,
	.random = os_random,
	.udp_open = os_udp_open,
	.tcp_listen = os_tcp_listen,
	.tcp_connect = os_tcp_connect,
	.accept = os_accept,
	.close = os_close,
	.want = os_want,
	.local = os_local,
	.peer = os_peer,
	.recv = os_recv,
	.icmp_next = os_icmp_next,
	.send = os_send,
	.flush = os_flush,
	.read = os_read,
	.write = os_write,
	.source_for = os_source_for,
	.host_addr = os_host_addr,
	.poll = os_poll,
	.wake = os_wake,
	.free = os_free,
	.watch_fd = os_watch_fd,
};

int env_os_fd(const struct env *e)
{
	return ((const struct os_env *)(const void *)e)->epoll_fd;
}

bool env_os_sleeps(struct env *env, bool is_sleeping)
{
	struct os_env *e = os_of(env);
	atomic_store(&e->is_sleeping, is_sleeping);
	return !atomic_load(&e->is_woken);
}

enum err env_os_new(struct env **out)
{
	struct os_env *e = calloc(1, sizeof(*e));
	if (!e)
		return ERR_NOMEM;
	e->head.ops = &os_ops;
	e->head.now_us = &e->now_us;
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	if (e->epoll_fd < 0 || e->wake_fd < 0 || e->spare_fd < 0 ||
	    epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->wake_fd, &ev) < 0)
		goto fail;
	e->now_us = env_clock_us();
	*out = &e->head;
	return OK;
fail:
	if (e->epoll_fd >= 0)
		close(e->epoll_fd);
	if (e->wake_fd >= 0)
		close(e->wake_fd);
	if (e->spare_fd >= 0)
		close(e->spare_fd);
	free(e);
	return ERR_LIMIT;
}
