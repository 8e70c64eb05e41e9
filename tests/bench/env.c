/* What the seam costs: one datagram in and out through env_os and the loop, beside the same with
 * bare system calls; a message through an inbox; a record through a ring; one datagram in simulated
 * time.
 */

#include "bench.h"
#include "event/shard.h"
#include "event/sim.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE 500

static int client, bare, bare_epoll;
static struct sockaddr_in bare_addr, env_addr;
static struct env *env;
static struct env_sock *sock;
static char in[65'536];

static void send_one(const struct sockaddr_in *to)
{
	static char message[MESSAGE];
	if (sendto(client, message, MESSAGE, 0, (const struct sockaddr *)to, sizeof(*to)) < 0)
		abort();
}

static void take_answer(void)
{
	if (recv(client, in, sizeof(in), 0) != MESSAGE)
		abort();
}

/* The server as one would write it without rung: epoll, receive until empty, send. */
static void bare_echo(void *arg, uint64_t n)
{
	(void)arg;
	while (n--) {
		struct epoll_event ev;
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t k;
		send_one(&bare_addr);
		epoll_wait(bare_epoll, &ev, 1, -1);
		while ((k = recvfrom(bare, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&from,
				     &len)) >= 0) {
			if (sendto(bare, in, (size_t)k, 0, (struct sockaddr *)&from, len) < 0)
				abort();
		}
		take_answer();
	}
}

static void on_datagram(void *arg, unsigned events)
{
	struct env_rx rx;
	(void)arg;
	(void)events;
	while (env_recv(sock, in, sizeof(in), &rx) == OK) {
		if (env_send(sock, in, rx.n, &rx.from, &rx.to) != OK)
			abort();
	}
}

static void env_echo(void *arg, uint64_t n)
{
	struct ev_loop *l = arg;
	while (n--) {
		send_one(&env_addr);
		env_poll(env, UINT64_MAX);
		ev_turn(l); /* at whose end the answer leaves */
		take_answer();
	}
}

static struct sockaddr_in open_bare(int *fd)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	*fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockname(*fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	return a;
}

static void echo_on(const char *name, struct ev_loop *l, uint8_t host)
{
	struct addr local = {
		.family = ADDR_V4, .ip = {host, 0, 0, host ? 1 : 0}
        };
	if (env_udp_open(env, &local, 0, on_datagram, NULL, &sock, NULL) != OK)
		abort();
	env_addr = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					.sin_port = htons(env_local(sock).port)};
	bench_run(&(struct bench){name, env_echo, l, 0, 0, 1});
	env_close(sock);
}

static void udp(void)
{
	struct ev_loop l;
	struct sockaddr_in unused = open_bare(&client);
	(void)unused;
	bare_addr = open_bare(&bare);
	bare_epoll = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};
	if (epoll_ctl(bare_epoll, EPOLL_CTL_ADD, bare, &ev) < 0 || env_os_new(&env) != OK)
		abort();
	ev_loop_init(&l, env);
	bench_run(&(struct bench){"UDP echo, bare system calls", bare_echo, 0, 0, 0, 1});
	echo_on("UDP echo, loop and env, one address", &l, 127);
	echo_on("UDP echo, loop and env, wildcard", &l, 0);
	ev_loop_fini(&l);
	env_free(env);
	close(bare_epoll);
	close(bare);
	close(client);
}

static void on_msg(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	(void)l;
	(void)m;
	++*(uint64_t *)ctx;
}

static struct inbox_msg msg[64];

static void inbox(void *arg, uint64_t n)
{
	struct ev_shards *s = arg;
	for (uint64_t i = 0; i < n; i += 64) {
		for (int k = 0; k < 64; k++) {
			msg[k].kind = INBOX_PACKET;
			ev_send(s, 0, &msg[k]);
		}
		ev_turn(ev_shard(s, 0));
	}
}

static void ring(void *arg, uint64_t n)
{
	struct ev_ring *r = arg;
	for (uint64_t i = 0; i < n; i++) {
		void *p = ev_ring_reserve(r, MESSAGE);
		if (!p)
			abort();
		memset(p, 1, MESSAGE);
		ev_ring_commit(r);
		BENCH_KEEP(ev_ring_peek(r).p);
		ev_ring_pop(r);
		ev_ring_release(r);
	}
}

static void shards(void)
{
	uint64_t n_taken = 0;
	struct ev_shards *s;
	struct ev_ring *r;
	struct env *e;
	if (env_os_new(&e) != OK || ev_shards_new(&e, 1, &s) != OK ||
	    ev_ring_new(1 << 20, &r) != OK)
		abort();
	ev_inbox_handle(s, 0, INBOX_PACKET, on_msg, &n_taken);
	bench_run(&(struct bench){"inbox message, sent and taken, in 64s", inbox, s, 100, 0, 1});
	bench_run(&(struct bench){"ring record of 500 B, in and out", ring, r, 100, 0, 1});
	ev_ring_free(r);
	ev_shards_free(s);
	env_free(e);
}

static struct sim *sim;
static struct env *ea, *eb;
static struct env_sock *ua, *ub;
static uint64_t n_left;

static void on_sim(void *arg, unsigned events)
{
	struct env_sock **u = arg;
	struct env_rx rx;
	(void)events;
	while (env_recv(*u, in, sizeof(in), &rx) == OK) {
		if (n_left && n_left--)
			BENCH_KEEP(env_send(*u, in, rx.n, &rx.from, NULL));
	}
}

static void sim_echo(void *arg, uint64_t n)
{
	struct addr to = env_local(ub);
	(void)arg;
	n_left = n;
	BENCH_KEEP(env_send(ua, in, MESSAGE, &to, NULL));
	sim_run(sim, UINT64_MAX);
}

static void simulated(void)
{
	struct addr ia =
			    {
				    .family = ADDR_V4, .ip = {192, 0, 2, 1}
        },
		    ib = ia;
	struct sim_host *ha, *hb;
	struct ev_loop la, lb;
	ib.ip[3] = 2;
	if (sim_new(1, &sim) != OK || sim_host_new(sim, "a", &ia, 1, &ha) != OK ||
	    sim_host_new(sim, "b", &ib, 1, &hb) != OK || sim_env_new(ha, &ea) != OK ||
	    sim_env_new(hb, &eb) != OK)
		abort();
	ia.port = ib.port = 5060;
	if (env_udp_open(ea, &ia, 0, on_sim, &ua, &ua, NULL) != OK ||
	    env_udp_open(eb, &ib, 0, on_sim, &ub, &ub, NULL) != OK)
		abort();
	sim_link_default(sim, &(struct sim_link){.delay_us = 500, .jitter_us = 500});
	ev_loop_init(&la, ea);
	ev_loop_init(&lb, eb);
	sim_add_loop(sim, &la);
	sim_add_loop(sim, &lb);
	bench_run(&(struct bench){"simulated datagram, two loops", sim_echo, 0, 1'000, 1, 1});
	sim_del_loop(sim, &la);
	sim_del_loop(sim, &lb);
	ev_loop_fini(&la);
	ev_loop_fini(&lb);
	env_free(ea);
	env_free(eb);
	sim_free(sim);
}

void bench_main(void)
{
	udp();
	shards();
	simulated();
}
