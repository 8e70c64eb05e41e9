/* An environment without a world. All sockets are the same one; random bytes come from a counter,
 * so that two runs do the same. */
#include "null_env.h"

#include "event/env_priv.h"

#include <stdlib.h>
#include <string.h>

#define PEERS 4

struct null_env {
	struct env env;
	uint64_t now_us, state;
	struct peer {
		struct addr to;
		size_t n;
		char last[8192];
	} peers[PEERS], *last;
};

struct null_sock {
	struct env_sock sock;
	struct addr local;
};

static struct null_env *of(const struct env *e)
{
	return (struct null_env *)(uintptr_t)e;
}

static uint64_t wall_us(const struct env *e)
{
	return of(e)->now_us + 1700000000000000ull;
}

static void randomise(struct env *e, void *p, size_t n)
{
	char *out = p;
	for (size_t i = 0; i < n; i++) {
		of(e)->state = of(e)->state * 6364136223846793005ull + 1442695040888963407ull;
		out[i] = (char)(of(e)->state >> 56);
	}
}

static enum err open_sock(struct env *e, const struct addr *local, unsigned flags, env_ready_fn *fn,
			  void *arg, struct env_sock **out, const char **why)
{
	struct null_sock *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->sock = (struct env_sock){.env = e, .fn = fn, .arg = arg};
	s->local = *local;
	*out = &s->sock;
	return OK;
}

static enum err refuse_connect(struct env *e, const struct addr *local, const struct addr *peer,
			       env_ready_fn *fn, void *arg, struct env_sock **out)
{
	return ERR_NET;
}

static enum err nothing_to_accept(struct env_sock *l, env_ready_fn *fn, void *arg,
				  struct env_sock **out, struct addr *peer)
{
	return ERR_MORE;
}

static void close_sock(struct env_sock *s)
{
	free(s);
}

static void want(struct env_sock *s, unsigned events)
{
}

static struct addr local_of(const struct env_sock *s)
{
	return ((const struct null_sock *)s)->local;
}

static enum err nothing_to_recv(struct env_sock *s, void *p, size_t cap, struct env_rx *rx)
{
	return ERR_MORE;
}

static enum err no_icmp(struct env_sock *s, struct env_icmp *out)
{
	return ERR_MORE;
}

static enum err keep(struct env_sock *s, const void *p, size_t n, const struct addr *to,
		     const struct addr *from)
{
	struct null_env *e = of(s->env);
	struct peer *peer = e->peers;
	while (peer < e->peers + PEERS - 1 && peer->n && !addr_eq(&peer->to, to))
		peer++;
	if (n > sizeof(peer->last))
		return ERR_LIMIT;
	memcpy(peer->last, p, n);
	peer->n = n;
	peer->to = *to;
	e->last = peer;
	return OK;
}

static enum err nothing_to_read(struct env_sock *s, void *p, size_t cap, size_t *n)
{
	return ERR_MORE;
}

static enum err write_all(struct env_sock *s, const void *p, size_t n, size_t *n_out)
{
	*n_out = n;
	return OK;
}

static enum err source_for(struct env *e, const struct addr *peer, struct addr *local)
{
	return addr_parse(STR("192.0.2.1"), 0, local) ? OK : ERR_NET;
}

static struct addr host_addr(struct env *e)
{
	struct addr a = {0};
	addr_parse(STR("192.0.2.1"), 0, &a);
	return a;
}

static bool poll_none(struct env *e, uint64_t timeout_us)
{
	return false;
}

static void wake(struct env *e)
{
}

static void free_env(struct env *e)
{
	free(of(e));
}

static const struct env_ops ops = {
	.wall_us = wall_us,
	.random = randomise,
	.udp_open = open_sock,
	.tcp_listen = open_sock,
	.tcp_connect = refuse_connect,
	.accept = nothing_to_accept,
	.close = close_sock,
	.want = want,
	.local = local_of,
	.peer = local_of,
	.recv = nothing_to_recv,
	.icmp_next = no_icmp,
	.send = keep,
	.read = nothing_to_read,
	.write = write_all,
	.source_for = source_for,
	.host_addr = host_addr,
	.poll = poll_none,
	.wake = wake,
	.free = free_env,
};

struct env *null_env_new(void)
{
	struct null_env *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->now_us = 1000000;
	e->state = 42;
	e->last = e->peers;
	e->env.ops = &ops;
	e->env.now_us = &e->now_us;
	return &e->env;
}

struct str null_env_last(const struct env *e)
{
	return str_of(of(e)->last->last, of(e)->last->n);
}

struct str null_env_last_to(const struct env *e, const struct addr *to)
{
	const struct null_env *ne = of(e);
	for (const struct peer *p = ne->peers; p < ne->peers + PEERS; p++)
		if (p->n && addr_eq(&p->to, to))
			return str_of(p->last, p->n);
	return STR_NONE;
}

void null_env_advance(struct env *e, uint64_t us)
{
	of(e)->now_us += us;
}
