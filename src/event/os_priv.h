#pragma once
/* env_os inside: seen by env_os*.c only. */

#include "base/limits.h"
#include "event/env_priv.h"

#include <time.h>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum os_kind { OS_UDP, OS_LISTEN, OS_TCP, OS_FD };

struct os_control { /* room for one pktinfo, or one extended error with its offender */
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
					   CMSG_SPACE(sizeof(struct sock_extended_err) +
						      sizeof(struct sockaddr_in6))];
};

struct os_sock {
	struct env_sock head;
	int fd;
	uint8_t kind;       /* enum os_kind */
	uint8_t want;       /* enum env_event */
	bool is_wildcard;   /* UDP: bound to 0.0.0.0 or ::, so the local address comes with each
			       datagram */
	bool is_connecting; /* TCP: the outcome of connect is not known yet */
	bool is_closed;     /* waits on the dead list for the end of the batch */
	bool has_icmp;      /* the kernel said that its error queue is not empty */
	struct addr local, peer;
	struct os_failed *failed; /* UDP: datagrams that the kernel refused */
	struct os_sock *next_dead, *next_accused;
};

struct os_source { /* a cached answer of env_source_for */
	uint64_t until_us;
	struct addr peer, local;
	bool is_known;
};

struct os_env {
	struct env head;
	uint64_t now_us;
	int epoll_fd, wake_fd;
	int spare_fd; /* given up for a moment to turn a connection away when descriptors run out */
	bool is_dispatching;
	bool is_at_gate;
	bool is_ready;            /* the gate has seen something for this env */
	struct os_env *gate_next; /* at the same gate */
	struct os_batch *batch;   /* datagrams that wait to be sent; NULL before the first */
	struct os_sock *accused;  /* sockets with failed datagrams */
	struct os_sock *dead;     /* closed while events of a batch may still name them */
	/* Sleeping and waking: see env_os.c, invariant 3. */
	atomic_bool is_sleeping, is_woken;
	uint8_t random[512];
	size_t n_random; /* unused bytes at the end of `random` */
	struct os_source source[LIMIT_SOURCE_CACHE];
};

/* env_os.c */
static inline struct os_env *os_of(struct env *e)
{
	return (struct os_env *)(void *)e;
}
enum err os_sock_new(struct os_env *e, int fd, enum os_kind kind, unsigned want, env_ready_fn *fn,
		     void *arg, struct os_sock **out);
const char *os_why(int error); /* of errno, for people; a static phrase */
/* epoll_wait with microseconds (UINT64_MAX: for ever), for LIMIT_POLL_EVENTS events. */
int os_wait(int epoll_fd, struct epoll_event *ev, uint64_t timeout_us);
/* env_os_addr.c */
socklen_t os_addr_out(const struct addr *a, struct sockaddr_storage *ss);
struct addr os_addr_in(const struct sockaddr_storage *ss);
enum err os_source_for(struct env *e, const struct addr *peer, struct addr *local);
struct addr os_host_addr(struct env *e);
/* env_os_udp.c */
enum err os_udp_open(struct env *e, const struct addr *local, unsigned flags, env_ready_fn *fn,
		     void *arg, struct env_sock **out, const char **why);
enum err os_recv(struct env_sock *s, void *p, size_t cap, struct env_rx *rx);
enum err os_icmp_next(struct env_sock *s, struct env_icmp *out);
/* env_os_send.c */
enum err os_send(struct env_sock *s, const void *p, size_t n, const struct addr *to,
		 const struct addr *from);
void os_flush(struct env *e);
bool os_failed_next(struct os_sock *s, struct env_icmp *out); /* false: none */
void os_acquit(struct os_sock *s);                            /* forgets what failed */
/* env_os_tcp.c */
enum err os_tcp_listen(struct env *e, const struct addr *local, unsigned flags, env_ready_fn *fn,
		       void *arg, struct env_sock **out, const char **why);
enum err os_tcp_connect(struct env *e, const struct addr *local, const struct addr *peer,
			env_ready_fn *fn, void *arg, struct env_sock **out);
enum err os_accept(struct env_sock *listener, env_ready_fn *fn, void *arg, struct env_sock **out,
		   struct addr *peer);
enum err os_read(struct env_sock *s, void *p, size_t cap, size_t *n_out);
enum err os_write(struct env_sock *s, const void *p, size_t n, size_t *n_out);
