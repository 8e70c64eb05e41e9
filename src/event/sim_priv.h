#pragma once
/* The simulation inside: what sim.c (time, heap, loops), sim_net.c (hosts, links, datagrams),
 * sim_tcp.c (streams) and env_sim.c (sockets and readiness) share. Seen only in event/. */

#include "base/hash.h"
#include "base/limits.h"
#include "base/list.h"
#include "event/env_priv.h"
#include "event/sim.h"

enum sim_kind { SIM_UDP, SIM_LISTEN, SIM_CONN };
enum sim_state { SIM_CONNECTING, SIM_UP, SIM_FAILED };

#define SIM_ICMP_MAX 16 /* ICMP errors kept per socket; the kernel's queue is bounded too */

struct sim_event { /* something that happens at a time; also a datagram in a receive queue */
	uint64_t at_us, seq;
	void (*fn)(struct sim *s, struct sim_event *ev); /* takes the event */
	struct sim_sock *a, *b;                          /* counted; NULL when unused */
	struct sim_host *host;                           /* where it happens */
	struct addr from, to;
	uint64_t deadline_us;
	unsigned tries;
	struct sim_event *next;
	size_t n;
	char bytes[];
};

struct sim_host_ip {
	struct hnode node;
	struct addr ip;
	struct sim_host *host;
};

struct sim_host {
	struct sim *sim;
	struct link link;
	char name[32];
	struct sim_host_ip ip[8];
	size_t n_ips;
	struct sim_nat *nat; /* it is behind; NULL: none */
	bool is_up;
	int64_t skew_us;
	struct htab binds; /* UDP sockets and listeners by kind and port */
	uint16_t next_port;
	struct link envs;
};

struct sim_env {
	struct env head;
	struct sim_host *host;
	struct link link; /* in host->envs */
	struct link ready, socks;
	bool is_woken, is_dead; /* dead: its host has crashed */
	struct ev_loop *loop;   /* to be run, or NULL */
	struct link loop_link;
	uint64_t wanted_us; /* when its last turn wanted the next one */
};

struct sim_sock {
	struct env_sock head;
	struct sim_host *host;
	struct hnode bind;
	struct link link, ready; /* in the env's socks; in its ready list, or alone */
	unsigned refs;           /* the owner, events, the other end */
	uint8_t kind, state, want;
	bool is_reuseport, is_bound, is_closed, is_dead;
	struct addr local, peer;
	/* UDP */
	struct sim_event *rx_first, *rx_last;
	size_t rx_bytes;
	struct env_icmp icmp[SIM_ICMP_MAX];
	unsigned n_icmp;
	bool is_icmp_new;
	/* listener: connections to be accepted; connection: its place there */
	struct link accepts;
	unsigned n_accepts;
	/* connection */
	struct sim_sock *other; /* counted */
	struct buf rx;
	size_t in_flight;      /* bytes sent that have not arrived */
	uint64_t last_us;      /* when the last thing sent arrives: order is kept */
	bool is_told;          /* the handler knows that it is connected */
	bool is_eof, is_reset; /* received */
	bool is_blocked;       /* its window is full; a window update will come */
	bool is_window_due;    /* that update is on its way */
};

struct sim_link_row {
	struct sim_host *from, *to;
	struct sim_link link;
};

struct sim {
	uint64_t now_us, seq, rng;
	struct sim_event **heap;
	size_t n_heap, cap_heap;
	struct link hosts, nats;
	struct htab ips;
	struct sim_link link;
	struct sim_link_row *links;
	size_t n_links;
	struct link loops;       /* envs with a loop, in order of registration */
	struct link *cursor;     /* the next one of the present round */
	struct sim_env *running; /* whose loop is being run; NULL when that was deleted */
	void (*tap)(void *arg, const struct sim_packet *p);
	void *tap_arg;
	uint64_t spin_us; /* the time at which n_spins runs happened */
	unsigned n_spins;
};

static inline struct sim_env *sim_env_of(const struct sim_sock *s)
{
	return (struct sim_env *)(void *)s->head.env;
}

/* sim.c: events. `n` bytes of room behind the event. */
struct sim_event *sim_event_new(void (*fn)(struct sim *, struct sim_event *), struct sim_sock *a,
				struct sim_sock *b, struct sim_host *at, size_t n);
void sim_event_free(struct sim_event *ev);
/* Takes the event; without memory it is freed, never happens, and false comes back. */
bool sim_schedule(struct sim *s, struct sim_event *ev, uint64_t at_us);
bool sim_chance(struct sim *s, double p);
uint64_t sim_below(struct sim *s, uint64_t n); /* 0..n-1 */

/* sim_net.c */
struct sim_host *sim_host_at(struct sim_host *from, const struct addr *ip);
const struct sim_link *sim_link_of(struct sim_host *from, struct sim_host *to);
uint64_t sim_delay_us(struct sim_host *from, struct sim_host *to);
enum err sim_source_for(struct env *e, const struct addr *peer, struct addr *local);
struct addr sim_host_addr(struct env *e);
/* The socket bound to `to` that a packet of `from` goes to, or NULL. */
struct sim_sock *sim_bound(struct sim_host *h, enum sim_kind kind, const struct addr *to,
			   const struct addr *from);
enum err sim_bind(struct sim_sock *s, const struct addr *local, unsigned flags, const char **why);
void sim_unbind(struct sim_sock *s);
uint16_t sim_ephemeral(struct sim_host *h, enum sim_kind kind);
enum err sim_recv(struct env_sock *s, void *p, size_t cap, struct env_rx *rx);
enum err sim_icmp_next(struct env_sock *s, struct env_icmp *out);
enum err sim_send(struct env_sock *s, const void *p, size_t n, const struct addr *to,
		  const struct addr *from);

/* sim_nat.c */
/* What goes from h, which is behind a NAT, to `to` outside: its source as others see it. False
 * without memory. */
bool sim_nat_out(struct sim_host *h, struct addr *source, const struct addr *to);
/* What comes to a NAT's outside address: the host and its address inside; NULL: not let in. */
struct sim_host *sim_nat_in(struct sim *s, const struct addr *from, struct addr *to);
void sim_nats_free(struct sim *s);

/* sim_tcp.c */
enum err sim_tcp_connect(struct env *e, const struct addr *local, const struct addr *peer,
			 env_ready_fn *fn, void *arg, struct env_sock **out);
enum err sim_accept(struct env_sock *listener, env_ready_fn *fn, void *arg, struct env_sock **out,
		    struct addr *peer);
enum err sim_read(struct env_sock *s, void *p, size_t cap, size_t *n_out);
enum err sim_write(struct env_sock *s, const void *p, size_t n, size_t *n_out);
void sim_tcp_hang_up(struct sim_sock *s); /* part of closing a connection or a listener */
size_t sim_tcp_room(const struct sim_sock *s);

/* env_sim.c */
struct sim_sock *sim_sock_new(struct sim_env *e, enum sim_kind kind, env_ready_fn *fn, void *arg);
void sim_sock_close(struct sim_sock *s);
void sim_sock_unref(struct sim_sock *s);
void sim_sock_check(struct sim_sock *s); /* it may have become ready */
void sim_env_kill(struct sim_env *e);    /* its host crashes */
