/* TCP sockets of the operating system.
 *
 * Everything is non-blocking and without Nagle's delay: SIP messages are written whole, and each
 * waits for an answer. A connect is watched for writability; its outcome is SO_ERROR.
 *
 * When descriptors run out, accept fails but the connection stays in the queue, and a
 * level-triggered loop would spin. So one descriptor is held in reserve: it is given up for a
 * moment to take the connection and close it, which tells the peer.
 */

#include "event/os_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

static void set_int(int fd, int level, int option, int value)
{
	int r = setsockopt(fd, level, option, &value, sizeof(value));
	(void)r; /* a kernel without the option still gives a working socket */
}

/* A peer that vanished without a word (a phone's Wi-Fi, a NAT that forgot) is found out after about
 * four minutes of silence, and a connection that lives keeps its place in the NATs on the way. */
static void set_stream(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 120);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

static struct addr bound_to(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t n = sizeof(ss);
	getsockname(fd, (struct sockaddr *)&ss, &n);
	return os_addr_in(&ss);
}

static int tcp_socket(const struct addr *a)
{
	int fd = socket(a->family == ADDR_V6 ? AF_INET6 : AF_INET,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && a->family == ADDR_V6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return fd;
}

enum err os_tcp_listen(struct env *env, const struct addr *local, unsigned flags, env_ready_fn *fn,
		       void *arg, struct env_sock **out, const char **why)
{
	struct sockaddr_storage ss;
	struct os_sock *s;
	enum err err = ERR_NET;
	int fd = tcp_socket(local);
	if (fd < 0) {
		*why = os_why(errno);
		return ERR_NET;
	}
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* connections in TIME_WAIT must not stop us */
	if (flags & ENV_REUSEPORT)
		set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	socklen_t n = os_addr_out(local, &ss);
	if (bind(fd, (struct sockaddr *)&ss, n) < 0 || listen(fd, LIMIT_LISTEN_BACKLOG) < 0) {
		*why = os_why(errno);
		goto fail;
	}
	err = os_sock_new((struct os_env *)(void *)env, fd, OS_LISTEN, ENV_READ, fn, arg, &s);
	if (err) {
		*why = os_why(ENOMEM);
		goto fail;
	}
	s->local = bound_to(fd);
	*out = &s->head;
	return OK;
fail:
	close(fd);
	return err;
}

enum err os_tcp_connect(struct env *env, const struct addr *local, const struct addr *peer,
			env_ready_fn *fn, void *arg, struct env_sock **out)
{
	struct sockaddr_storage ss;
	struct os_sock *s;
	enum err err = ERR_NET;
	int fd = tcp_socket(peer);
	if (fd < 0)
		return ERR_NET;
	set_stream(fd);
	if (local) {
		if (local->port)
			set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		else
			set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
		socklen_t n = os_addr_out(local, &ss);
		if (bind(fd, (struct sockaddr *)&ss, n) < 0)
			goto fail;
	}
	socklen_t n = os_addr_out(peer, &ss);
	if (connect(fd, (struct sockaddr *)&ss, n) < 0 && errno != EINPROGRESS)
		goto fail;
	err = os_sock_new((struct os_env *)(void *)env, fd, OS_TCP, ENV_READ | ENV_WRITE, fn, arg,
			  &s);
	if (err)
		goto fail;
	s->is_connecting = true;
	s->local = bound_to(fd);
	s->peer = *peer;
	*out = &s->head;
	return OK;
fail:
	close(fd);
	return err;
}

/* Takes a connection that there is no descriptor for, and closes it. */
static bool turn_away(struct os_env *e, int listener)
{
	if (e->spare_fd < 0)
		return false;
	close(e->spare_fd);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	e->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

enum err os_accept(struct env_sock *listener, env_ready_fn *fn, void *arg, struct env_sock **out,
		   struct addr *peer)
{
	struct os_sock *l = (struct os_sock *)(void *)listener, *s;
	struct os_env *e = (struct os_env *)(void *)listener->env;
	struct sockaddr_storage ss;
	int fd;
	for (;;) {
		socklen_t n = sizeof(ss);
		fd = accept4(l->fd, (struct sockaddr *)&ss, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			break;
		if (errno == EMFILE || errno == ENFILE) {
			if (!turn_away(e, l->fd))
				return ERR_MORE;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return ERR_MORE;
		}
	}
	set_stream(fd);
	enum err err = os_sock_new(e, fd, OS_TCP, ENV_READ, fn, arg, &s);
	if (err) {
		close(fd);
		return err;
	}
	s->local = bound_to(fd);
	s->peer = os_addr_in(&ss);
	if (peer)
		*peer = s->peer;
	*out = &s->head;
	return OK;
}

enum err os_read(struct env_sock *sock, void *p, size_t cap, size_t *n_out)
{
	struct os_sock *s = (struct os_sock *)(void *)sock;
	ssize_t n;
	*n_out = 0;
	do {
		n = read(s->fd, p, cap);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		*n_out = (size_t)n;
		sock->env->n_taken++;
		return OK;
	}
	return n < 0 && errno == EAGAIN ? ERR_MORE : ERR_NET;
}

enum err os_write(struct env_sock *sock, const void *p, size_t n, size_t *n_out)
{
	struct os_sock *s = (struct os_sock *)(void *)sock;
	ssize_t k;
	*n_out = 0;
	if (s->is_connecting)
		return ERR_MORE;
	os_flush(sock->env); /* what was sent before must not come after */
	do {
		k = send(s->fd, p, n, MSG_NOSIGNAL);
	} while (k < 0 && errno == EINTR);
	if (k >= 0) {
		*n_out = (size_t)k;
		return OK;
	}
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? ERR_MORE : ERR_NET;
}
