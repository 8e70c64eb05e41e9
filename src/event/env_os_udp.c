/* UDP sockets of the operating system; sending is in env_os_send.c.
 *
 * A socket bound to a wildcard asks for IP_PKTINFO, so that each datagram tells which of our
 * addresses it was sent to, and an answer can leave from there. A socket bound to one address needs
 * neither. The kernel's error queue (IP_RECVERR) brings ICMP errors with the destination that they
 * are about; without it an unconnected socket would never learn that a phone is gone.
 *
 * The kernel reports an ICMP error also as the result of the next call on the socket, whatever peer
 * that call is about. So a receive that fails with one says ERR_NET, "look at the error queue".
 *
 * Path MTU discovery is off: a datagram above the path's MTU is fragmented on the way instead of
 * being lost once. (SIP over UDP above 1,300 bytes goes to TCP where it can [RFC3261 18.1.1].)
 */

#include "event/os_priv.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <unistd.h>

static void set_int(int fd, int level, int option, int value)
{
	/* each of these makes the socket better, none makes it work */
	int r = setsockopt(fd, level, option, &value, sizeof(value));
	(void)r;
}

static void set_buffers(int fd)
{
	int bytes = (int)LIMIT_UDP_SOCKET_BYTES;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		set_int(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

static void set_options(int fd, const struct addr *local, unsigned flags)
{
	bool is_any = addr_is_any(local);
	set_buffers(fd);
	if (flags & ENV_REUSEPORT)
		set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (local->family == ADDR_V6) {
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
		if (is_any)
			set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	} else {
		set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
		set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
		if (is_any)
			set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	}
}

enum err os_udp_open(struct env *env, const struct addr *local, unsigned flags, env_ready_fn *fn,
		     void *arg, struct env_sock **out, const char **why)
{
	struct sockaddr_storage ss;
	struct os_sock *s;
	int fd = socket(local->family == ADDR_V6 ? AF_INET6 : AF_INET,
			SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		*why = os_why(errno);
		return ERR_NET;
	}
	set_options(fd, local, flags);
	socklen_t n = os_addr_out(local, &ss);
	if (bind(fd, (struct sockaddr *)&ss, n) < 0) {
		*why = os_why(errno);
		close(fd);
		return ERR_NET;
	}
	n = sizeof(ss);
	getsockname(fd, (struct sockaddr *)&ss, &n);
	enum err err = os_sock_new((struct os_env *)(void *)env, fd, OS_UDP, ENV_READ, fn, arg, &s);
	if (err) {
		*why = os_why(ENOMEM);
		close(fd);
		return err;
	}
	s->local = os_addr_in(&ss);
	s->is_wildcard = addr_is_any(&s->local);
	*out = &s->head;
	return OK;
}

static void local_from_control(struct msghdr *m, struct addr *to)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(to->ip, &info.ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(to->ip, &info.ipi6_addr, 16);
			if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				to->scope = (uint8_t)info.ipi6_ifindex;
		}
	}
}

/* On a wildcard socket: the local address comes in the control data. Returns what recvmsg does; the
 * length is that of the datagram. */
static ssize_t recv_with_local(const struct os_sock *s, void *p, size_t cap,
			       struct sockaddr_storage *ss, struct addr *to)
{
	struct os_control control;
	struct iovec iov = {p, cap};
	struct msghdr m = {.msg_name = ss,
			   .msg_namelen = sizeof(*ss),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(s->fd, &m, MSG_TRUNC);
	if (n >= 0)
		local_from_control(&m, to);
	return n;
}

enum err os_recv(struct env_sock *sock, void *p, size_t cap, struct env_rx *rx)
{
	struct os_sock *s = (struct os_sock *)(void *)sock;
	struct sockaddr_storage ss;
	ssize_t n;
	if (s->has_icmp) {
		s->has_icmp = false;
		return ERR_NET;
	}
	rx->to = s->local;
	do {
		socklen_t ss_len = sizeof(ss);
		n = s->is_wildcard
			    ? recv_with_local(s, p, cap, &ss, &rx->to)
			    : recvfrom(s->fd, p, cap, MSG_TRUNC, (struct sockaddr *)&ss, &ss_len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ? ERR_MORE : ERR_NET;
	rx->is_truncated = (size_t)n > cap;
	rx->n = rx->is_truncated ? cap : (size_t)n;
	rx->from = os_addr_in(&ss);
	sock->env->n_taken++;
	return OK;
}

/* Is this an unreachable destination? Sets *is_refused when it is the port only. */
static bool is_unreachable(const struct sock_extended_err *e, bool *is_refused)
{
	if (e->ee_origin == SO_EE_ORIGIN_ICMP && e->ee_type == ICMP_DEST_UNREACH) {
		*is_refused = e->ee_code == ICMP_PORT_UNREACH;
		return e->ee_code != ICMP_FRAG_NEEDED;
	}
	if (e->ee_origin == SO_EE_ORIGIN_ICMP6 && e->ee_type == ICMP6_DST_UNREACH) {
		*is_refused = e->ee_code == ICMP6_DST_UNREACH_NOPORT;
		return true;
	}
	return false;
}

enum err os_icmp_next(struct env_sock *sock, struct env_icmp *out)
{
	struct os_sock *s = (struct os_sock *)(void *)sock;
	if (os_failed_next(s, out))
		return OK;
	for (;;) {
		struct sockaddr_storage ss = {0};
		struct os_control control;
		struct iovec iov = {out->head, sizeof(out->head)};
		struct msghdr m = {.msg_name = &ss,
				   .msg_namelen = sizeof(ss),
				   .msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = &control,
				   .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(s->fd, &m, MSG_ERRQUEUE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_MORE;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			struct sock_extended_err e;
			bool is_ours =
				(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
				(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
			if (!is_ours)
				continue;
			memcpy(&e, CMSG_DATA(c), sizeof(e));
			if (is_unreachable(&e, &out->is_refused)) {
				out->peer = os_addr_in(&ss);
				out->n_head = (size_t)n;
				return OK;
			}
		}
	}
}
