/* The seam itself: each call goes through the table of the environment that made the env or the
 * socket. An indirect call costs about a nanosecond; the system call behind it a microsecond.
 */

#include "event/env.h"
#include "event/env_priv.h"

uint64_t env_now_us(const struct env *e)
{
	return *e->now_us;
}

uint64_t env_wall_us(const struct env *e)
{
	return e->ops->wall_us(e);
}

void env_random(struct env *e, void *p, size_t n)
{
	e->ops->random(e, p, n);
}

uint64_t env_random_u64(struct env *e)
{
	uint64_t v;
	e->ops->random(e, &v, sizeof(v));
	return v;
}

enum err env_udp_open(struct env *e, const struct addr *local, unsigned flags, env_ready_fn *fn,
		      void *arg, struct env_sock **out, const char **why)
{
	const char *unused;
	return e->ops->udp_open(e, local, flags, fn, arg, out, why ? why : &unused);
}

enum err env_tcp_listen(struct env *e, const struct addr *local, unsigned flags, env_ready_fn *fn,
			void *arg, struct env_sock **out, const char **why)
{
	const char *unused;
	return e->ops->tcp_listen(e, local, flags, fn, arg, out, why ? why : &unused);
}

enum err env_tcp_connect(struct env *e, const struct addr *local, const struct addr *peer,
			 env_ready_fn *fn, void *arg, struct env_sock **out)
{
	return e->ops->tcp_connect(e, local, peer, fn, arg, out);
}

enum err env_accept(struct env_sock *listener, env_ready_fn *fn, void *arg, struct env_sock **out,
		    struct addr *peer)
{
	return listener->env->ops->accept(listener, fn, arg, out, peer);
}

void env_close(struct env_sock *s)
{
	if (s)
		s->env->ops->close(s);
}

void env_want(struct env_sock *s, unsigned events)
{
	s->env->ops->want(s, events);
}

struct addr env_local(const struct env_sock *s)
{
	return s->env->ops->local(s);
}

struct addr env_peer(const struct env_sock *s)
{
	return s->env->ops->peer(s);
}

enum err env_recv(struct env_sock *s, void *p, size_t cap, struct env_rx *rx)
{
	return s->env->ops->recv(s, p, cap, rx);
}

enum err env_icmp_next(struct env_sock *s, struct env_icmp *out)
{
	return s->env->ops->icmp_next(s, out);
}

enum err env_send(struct env_sock *s, const void *p, size_t n, const struct addr *to,
		  const struct addr *from)
{
	return s->env->ops->send(s, p, n, to, from);
}

enum err env_read(struct env_sock *s, void *p, size_t cap, size_t *n_out)
{
	return s->env->ops->read(s, p, cap, n_out);
}

enum err env_write(struct env_sock *s, const void *p, size_t n, size_t *n_out)
{
	return s->env->ops->write(s, p, n, n_out);
}

enum err env_source_for(struct env *e, const struct addr *peer, struct addr *local)
{
	return e->ops->source_for(e, peer, local);
}

struct addr env_host_addr(struct env *e)
{
	return e->ops->host_addr(e);
}

bool env_poll(struct env *e, uint64_t timeout_us)
{
	return e->ops->poll(e, timeout_us);
}

void env_wake(struct env *e)
{
	e->ops->wake(e);
}

void env_free(struct env *e)
{
	if (e)
		e->ops->free(e);
}

enum err env_watch_fd(struct env *e, int fd, unsigned events, env_ready_fn *fn, void *arg,
		      struct env_sock **out)
{
	return e->ops->watch_fd(e, fd, events, fn, arg, out);
}
