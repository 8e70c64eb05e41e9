#pragma once
/* The seam to the world: time, entropy, sockets. Everything above reaches the operating system only
 * through a `struct env`; env_os.c is epoll and non-blocking sockets, env_sim.c is virtual time on
 * a simulated network. One env belongs to one thread (one shard). The calls below look like
 * non-blocking sockets on purpose: whoever knows those knows these. Readiness is level-triggered: a
 * handler is called again until it has read until ERR_MORE. */

#include "base/addr.h"
#include "base/err.h"

struct env;
struct env_sock; /* a socket of this env: UDP, TCP listener, or TCP connection */

enum env_event { ENV_READ = 1, ENV_WRITE = 2, ENV_HUP = 4 };
typedef void env_ready_fn(void *arg, unsigned events);

struct env_rx {            /* what came with a datagram */
	size_t n;          /* bytes stored */
	bool is_truncated; /* the datagram was longer than the room given */
	struct addr from;
	struct addr to; /* the local address it was sent to (IP_PKTINFO), port included */
};

struct env_icmp {         /* an ICMP error about a datagram that this socket sent */
	struct addr peer; /* where the datagram was going */
	bool is_refused;  /* port unreachable, as opposed to host or network */
	char head[512];   /* the beginning of that datagram, as far as it is known */
	size_t n_head;
};

/* Monotonic µs, never 0; constant during one loop turn (env_poll refreshes it). */
uint64_t env_now_us(const struct env *e);
/* Wall clock, µs since 1970 UTC. */
uint64_t env_wall_us(const struct env *e);
void env_random(struct env *e, void *p, size_t n);
uint64_t env_random_u64(struct env *e);
/* The same from the system, without a world: keys of hash tables, where a simulation need not
 * repeat itself but nobody outside may know them. */
void env_entropy(void *p, size_t n);

/* ENV_REUSEPORT lets each shard bind the same address. Port 0 picks one; env_local tells which.
 * ERR_NET with *why set (a static phrase such as "address already in use") when the address cannot
 * be had. */
enum env_flag { ENV_REUSEPORT = 1 };
enum err env_udp_open(struct env *e, const struct addr *local, unsigned flags, env_ready_fn *fn,
		      void *arg, struct env_sock **out, const char **why);
enum err env_tcp_listen(struct env *e, const struct addr *local, unsigned flags, env_ready_fn *fn,
			void *arg, struct env_sock **out, const char **why);
/* Begins to connect (from `local` when not NULL); fn gets ENV_WRITE when connected, ENV_HUP when it
 * failed. */
enum err env_tcp_connect(struct env *e, const struct addr *local, const struct addr *peer,
			 env_ready_fn *fn, void *arg, struct env_sock **out);
/* Takes one waiting connection; ERR_MORE when there is none. */
enum err env_accept(struct env_sock *listener, env_ready_fn *fn, void *arg, struct env_sock **out,
		    struct addr *peer);
/* Closes at once; its handler is not called any more, also not for events already pending. NULL is
 * harmless. */
void env_close(struct env_sock *s);
/* Which events the handler wants; at first ENV_READ (a connecting socket: ENV_WRITE too, ENV_HUP
 * always). */
void env_want(struct env_sock *s, unsigned events);
struct addr env_local(const struct env_sock *s);
struct addr env_peer(const struct env_sock *s);

/* ERR_MORE: nothing there. ERR_NET: an ICMP error is waiting; read it with env_icmp_next. */
enum err env_recv(struct env_sock *s, void *p, size_t cap, struct env_rx *rx);
/* Takes one waiting ICMP error; ERR_MORE when there is none. */
enum err env_icmp_next(struct env_sock *s, struct env_icmp *out);
/* One datagram; `from` (may be NULL) chooses the local address on a wildcard socket. ERR_MORE: the
 * socket buffer is full, the datagram is dropped. ERR_NET: unreachable. ERR_LIMIT: larger than
 * 65,507 bytes. Under a loop it leaves at the end of the turn: then what the kernel refuses comes
 * as an ICMP error does. */
enum err env_send(struct env_sock *s, const void *p, size_t n, const struct addr *to,
		  const struct addr *from);
/* TCP. *n_out tells how many bytes were moved. Read: ERR_MORE nothing there, ERR_NET end of stream
 * or reset. */
enum err env_read(struct env_sock *s, void *p, size_t cap, size_t *n_out);
enum err env_write(struct env_sock *s, const void *p, size_t n, size_t *n_out);

/* The local address that the kernel would use towards `peer` (a routing look-up; cached for a
 * second). ERR_NET: no route. */
enum err env_source_for(struct env *e, const struct addr *peer, struct addr *local);
/* The address that others on the LAN reach this machine at: the first global IPv4 of an interface
 * that is up, else IPv6, else 127.0.0.1. */
struct addr env_host_addr(struct env *e);

/* Waits at most timeout_us (UINT64_MAX: for ever) and calls the handlers of what became ready. True
 * when there was any, or a wake-up. Callable from the owner only. */
bool env_poll(struct env *e, uint64_t timeout_us);
/* Makes a running or coming env_poll return at once. The only call that other threads may make. */
void env_wake(struct env *e);
void env_free(struct env *e);

/* The operating system. */
enum err env_os_new(struct env **out);
/* For a thread that sleeps in a loop of somebody else, env_os only: the descriptor can be read when
 * env_poll would have something to do, or when somebody wakes the env while it is said to sleep.
 * env_os_sleeps(e, true) tells whether the thread may sleep: nobody has woken it since the last
 * env_poll. */
int env_os_fd(const struct env *e); /* the env's */
bool env_os_sleeps(struct env *e, bool is_sleeping);
/* Watches a descriptor that a library owns (c-ares, a pipe, a terminal); env_os only,
 * ERR_UNSUPPORTED elsewhere. The returned socket is for env_want and env_close (which does not
 * close fd). */
enum err env_watch_fd(struct env *e, int fd, unsigned events, env_ready_fn *fn, void *arg,
		      struct env_sock **out);
