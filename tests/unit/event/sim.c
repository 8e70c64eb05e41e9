/* The simulation: determinism, faults of links, ICMP, ports, clocks, crashes of hosts. */
#include "event/sim.h"
#include "base/hash.h"
#include "event/shard.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

struct node { /* a host with one loop */
	struct sim_host *host;
	struct env *env;
	struct ev_loop l;
	struct env_sock *u;
	unsigned n_rx, n_icmp;
	uint64_t last_us;
	struct env_rx rx;
	char in[256];
	unsigned n_late; /* datagrams overtaken by a later one */
	uint32_t last_number;
};

static struct sim *sim;
static uint64_t digest, n_packets, n_lost;

static void tap(void *arg, const struct sim_packet *p)
{
	static const uint8_t key[16] = {7};
	uint64_t parts[5] = {digest, p->at_us, addr_hash(key, &p->from), addr_hash(key, &p->to),
			     siphash(key, p->bytes.p, p->bytes.n) + p->is_lost + 2u * p->is_tcp};
	digest = siphash(key, parts, sizeof(parts));
	n_packets++;
	n_lost += p->is_lost;
	(void)arg;
}

static void sim_open(uint64_t seed)
{
	CHECK_EQ(sim_new(seed, &sim), OK);
	digest = n_packets = n_lost = 0;
	sim_tap(sim, tap, NULL);
}

static void on_udp(void *arg, unsigned events)
{
	struct node *n = arg;
	struct env_icmp ic;
	(void)events;
	for (;;) {
		enum err err = env_recv(n->u, n->in, sizeof(n->in), &n->rx);
		if (err == ERR_MORE)
			return;
		while (err == ERR_NET && env_icmp_next(n->u, &ic) == OK)
			n->n_icmp++;
		if (err != OK)
			continue;
		uint32_t number = 0;
		memcpy(&number, n->in, n->rx.n < 4 ? n->rx.n : 4);
		n->n_late += number < n->last_number;
		n->last_number = number;
		n->n_rx++;
		n->last_us = env_now_us(n->env);
	}
}

static struct addr ip(const char *text)
{
	struct addr a;
	CHECK(addr_parse(str_c(text), 0, &a));
	return a;
}

static void node_boot(struct node *n, const char *bind)
{
	struct addr local = ip(bind);
	local.port = 5060;
	CHECK_EQ(sim_env_new(n->host, &n->env), OK);
	ev_loop_init(&n->l, n->env);
	sim_add_loop(sim, &n->l);
	CHECK_EQ(env_udp_open(n->env, &local, ENV_REUSEPORT, on_udp, n, &n->u, NULL), OK);
}

static void node_open(struct node *n, const char *a, const char *bind)
{
	struct addr addr = ip(a);
	memset(n, 0, sizeof(*n));
	CHECK_EQ(sim_host_new(sim, a, &addr, 1, &n->host), OK);
	node_boot(n, bind);
}

static void node_halt(struct node *n) /* as a crash leaves it: sockets are not closed */
{
	sim_del_loop(sim, &n->l);
	ev_loop_fini(&n->l);
	env_free(n->env);
}

static struct node a, b, c;

static void link_all(uint32_t delay, uint32_t jitter, double loss, double dup)
{
	sim_link_default(sim, &(struct sim_link){.delay_us = delay,
						 .jitter_us = jitter,
						 .loss = loss,
						 .duplicate = dup});
}

static struct addr at(const struct node *n)
{
	struct addr to = env_host_addr(n->env);
	to.port = 5060;
	return to;
}

static void send_numbers(struct node *from, const struct node *to, uint32_t n, uint32_t gap_us)
{
	struct addr dest = at(to);
	for (uint32_t i = 1; i <= n; i++) {
		CHECK_EQ(env_send(from->u, &i, sizeof(i), &dest, NULL), OK);
		sim_run(sim, sim_now_us(sim) + gap_us);
	}
	sim_run(sim, UINT64_MAX);
}

TEST_NO_OOM(sim_link_faults_have_their_rates)
{
	sim_open(42);
	node_open(&a, "192.0.2.1", "192.0.2.1");
	node_open(&b, "192.0.2.2", "0.0.0.0");
	link_all(10'000, 0, 0, 0);
	uint64_t start = sim_now_us(sim);
	send_numbers(&a, &b, 1, 0);
	CHECK_EQ(b.n_rx, 1);
	CHECK_EQ(b.last_us, start + 10'000);
	struct addr want = at(&b);
	CHECK(addr_eq(&b.rx.to, &want));
	want = at(&a);
	CHECK(addr_eq(&b.rx.from, &want));
	/* loss of 20 %: 10,000 datagrams, 3 standard deviations are 120 */
	b.n_rx = 0;
	link_all(10'000, 0, 0.2, 0);
	send_numbers(&a, &b, 10'000, 100);
	CHECK(b.n_rx > 7'880 && b.n_rx < 8'120);
	CHECK_EQ(n_lost + b.n_rx, 10'000);
	CHECK_EQ(b.n_late, 0);
	/* duplication of 10 % */
	b.n_rx = b.last_number = 0;
	link_all(10'000, 0, 0, 0.1);
	send_numbers(&a, &b, 10'000, 100);
	CHECK(b.n_rx > 10'910 && b.n_rx < 11'090);
	/* jitter reorders when it exceeds the spacing, and only then */
	b.n_rx = b.n_late = b.last_number = 0;
	link_all(10'000, 1'000, 0, 0);
	send_numbers(&a, &b, 1'000, 1'001);
	CHECK_EQ(b.n_late, 0);
	CHECK_EQ(b.n_rx, 1'000);
	b.last_number = 0;
	send_numbers(&a, &b, 1'000, 100);
	CHECK(b.n_late > 300);
	CHECK_EQ(b.n_rx, 2'000);
	/* a link of one's own; the way back is not touched */
	b.n_rx = 0;
	link_all(10'000, 0, 0, 0);
	sim_link_set(sim, a.host, b.host, &(struct sim_link){.loss = 1});
	send_numbers(&a, &b, 10, 0);
	send_numbers(&b, &a, 10, 0);
	CHECK_EQ(b.n_rx, 0);
	CHECK_EQ(a.n_rx, 10);
	/* fragments dropped above the MTU */
	char big[1'473] = {0};
	struct addr dest = at(&b);
	sim_link_set(sim, a.host, b.host, &(struct sim_link){.mtu = 1'500, .drop_fragments = true});
	CHECK_EQ(env_send(a.u, big, 1'473, &dest, NULL), OK);
	CHECK_EQ(env_send(a.u, big, 1'472, &dest, NULL), OK);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(b.n_rx, 1);
	CHECK(b.rx.is_truncated && b.rx.n == sizeof(b.in));
	node_halt(&a);
	node_halt(&b);
	sim_free(sim);
}

/* Three nodes that answer each datagram until it has hopped 50 times, with every fault and random
 * timers. */
static struct tmr timer[3];
static struct node *const all[3] = {&a, &b, &c};

static void hop(void *arg, unsigned events)
{
	struct node *n = arg;
	char in[64];
	struct env_rx rx;
	struct addr to;
	(void)events;
	while (env_recv(n->u, in, sizeof(in), &rx) == OK) {
		if (rx.n < 50) {
			in[rx.n] = (char)env_random_u64(n->env);
			to = at(all[env_random_u64(n->env) % 3]);
			enum err err = env_send(n->u, in, rx.n + 1, &to, NULL);
			CHECK_EQ(err, OK);
		}
	}
}

static void tick(struct tmr *t)
{
	struct node *n = all[t - timer];
	struct addr to = at(all[env_random_u64(n->env) % 3]);
	for (size_t i = 1; i < 8; i++) /* several at once: on a link without jitter, at one time */
		CHECK_EQ(env_send(n->u, "tick...", i, &to, NULL), OK);
	if (env_now_us(n->env) < 5'000'000)
		ev_timer(&n->l, t, env_random_u64(n->env) % 200'000, tick);
}

static uint64_t run_of(uint64_t seed)
{
	sim_open(seed);
	link_all(5'000, 20'000, 0.1, 0.1);
	for (int i = 0; i < 3; i++) {
		static const char *const ips[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
		struct node *n = all[i];
		node_open(n, ips[i], "0.0.0.0");
		env_close(n->u);
		struct addr local = ip("0.0.0.0");
		local.port = 5060;
		CHECK_EQ(env_udp_open(n->env, &local, 0, hop, n, &n->u, NULL), OK);
		timer[i] = (struct tmr){0};
		ev_timer(&n->l, &timer[i], 1'000, tick);
	}
	sim_link_set(sim, a.host, b.host, &(struct sim_link){.delay_us = 5'000, .duplicate = 0.2});
	sim_run(sim, UINT64_MAX);
	for (int i = 0; i < 3; i++)
		node_halt(all[i]);
	sim_free(sim);
	return digest;
}

TEST_NO_OOM(sim_two_runs_are_identical)
{
	uint64_t first = run_of(7), n = n_packets;
	CHECK(n > 1'000);
	static char *noise[2'000]; /* other addresses of memory must not matter */
	for (size_t i = 0; i < 2'000; i++)
		noise[i] = malloc(100 + i * 37 % 300);
	for (size_t i = 0; i < 2'000; i += 2) {
		free(noise[i * 7 % 2'000]);
		noise[i * 7 % 2'000] = NULL;
	}
	CHECK(run_of(7) == first);
	for (size_t i = 0; i < 2'000; i++)
		free(noise[i]);
	CHECK_EQ(n_packets, n);
	CHECK(run_of(8) != first);
}

TEST_NO_OOM(sim_icmp_and_black_holes)
{
	struct addr to;
	sim_open(1);
	node_open(&a, "192.0.2.1", "0.0.0.0");
	node_open(&b, "192.0.2.2", "0.0.0.0");
	link_all(1'000, 0, 0, 0);
	to = at(&b);
	to.port = 9;
	uint64_t start = sim_now_us(sim);
	CHECK_EQ(env_send(a.u, "x", 1, &to, NULL), OK);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(a.n_icmp, 1);
	CHECK_EQ(sim_now_us(sim), start + 2'000);
	to = ip("192.0.2.77"); /* nobody's address */
	to.port = 5060;
	CHECK_EQ(env_send(a.u, "x", 1, &to, NULL), OK);
	sim_host_crash(b.host);
	to = (struct addr){
		.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, 2}
        };
	CHECK_EQ(env_send(a.u, "x", 1, &to, NULL), OK);
	CHECK_EQ(env_send(b.u, "x", 1, &to, NULL), ERR_NET);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(a.n_icmp, 1);
	CHECK_EQ(b.n_rx, 0);
	node_halt(&b);
	sim_host_up(b.host);
	CHECK_EQ(env_send(a.u, "x", 1, &to, NULL), OK); /* up, and nobody at the port */
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(a.n_icmp, 2);
	node_boot(&b, "0.0.0.0");
	CHECK_EQ(env_send(a.u, "x", 1, &to, NULL), OK);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(b.n_rx, 1);
	to.family = ADDR_V6;
	CHECK_EQ(env_send(a.u, "x", 1, &to, NULL), ERR_NET);
	node_halt(&a);
	node_halt(&b);
	sim_free(sim);
}

TEST_NO_OOM(sim_ports)
{
	struct addr ips[3] = {ip("192.0.2.1"), ip("198.51.100.1"), ip("2001:db8::1")};
	struct addr any = ip("0.0.0.0"), alien = ip("192.0.2.9"), lo = ip("127.0.0.1"), local, to;
	struct sim_host *h;
	struct env_sock *u[6];
	const char *why = "";
	sim_open(1);
	memset(&b, 0, sizeof(b));
	node_open(&a, "192.0.2.2", "0.0.0.0");
	CHECK_EQ(sim_host_new(sim, "many", ips, 3, &h), OK);
	CHECK_EQ(sim_env_new(h, &b.env), OK);
	CHECK_EQ(env_udp_open(b.env, &alien, 0, on_udp, &b, &u[0], &why), ERR_NET);
	CHECK_STR_EQ(str_c(why), STR("address is not one of this machine"));
	CHECK_EQ(env_udp_open(b.env, &any, 0, on_udp, &b, &u[0], &why), OK);
	CHECK_EQ(env_udp_open(b.env, &any, 0, on_udp, &b, &u[1], &why), OK);
	CHECK(env_local(u[0]).port != env_local(u[1]).port && env_local(u[0]).port >= 32'768);
	local = ips[0];
	local.port = env_local(u[0]).port;
	CHECK_EQ(env_udp_open(b.env, &local, 0, on_udp, &b, &u[2], &why), ERR_NET);
	CHECK_STR_EQ(str_c(why), STR("address already in use"));
	lo.port = 7;
	CHECK_EQ(env_udp_open(b.env, &lo, 0, on_udp, &b, &u[2], &why), OK);
	/* the source: chosen by the caller, else the address nearest to the peer */
	CHECK_EQ(env_source_for(b.env, &lo, &local), OK);
	CHECK(addr_is_loopback(&local));
	to = ip("198.51.100.200");
	CHECK_EQ(env_source_for(b.env, &to, &local), OK);
	CHECK(addr_ip_eq(&local, &ips[1]));
	to = ip("2001:db8::2");
	CHECK_EQ(env_source_for(b.env, &to, &local), OK);
	CHECK(addr_ip_eq(&local, &ips[2]));
	CHECK_EQ(env_source_for(a.env, &to, &local), ERR_NET);
	to = at(&a);
	CHECK_EQ(env_send(u[0], "x", 1, &to, &ips[1]), OK);
	sim_run(sim, UINT64_MAX);
	CHECK(addr_ip_eq(&a.rx.from, &ips[1]));
	CHECK_EQ(env_send(u[0], "x", 1, &to, NULL), OK);
	sim_run(sim, UINT64_MAX);
	CHECK(addr_ip_eq(&a.rx.from, &ips[0]));
	struct addr self = env_host_addr(b.env);
	CHECK(addr_ip_eq(&self, &ips[0]));
	node_halt(&a);
	env_free(b.env);
	sim_free(sim);
}

/* Sockets that share a port each keep their flows. */
TEST_NO_OOM(sim_shared_port)
{
	struct node shard[4];
	struct addr local = ip("0.0.0.0"), to;
	unsigned before[4], n_moved = 0, n_used = 0;
	sim_open(1);
	node_open(&a, "192.0.2.1", "0.0.0.0");
	node_open(&shard[0], "192.0.2.2", "0.0.0.0");
	for (int i = 1; i < 4; i++) {
		memset(&shard[i], 0, sizeof(shard[i]));
		shard[i].host = shard[0].host;
		node_boot(&shard[i], "0.0.0.0");
	}
	to = at(&shard[0]);
	for (int flow = 0; flow < 40; flow++) {
		struct env_sock *u;
		CHECK_EQ(env_udp_open(a.env, &local, 0, on_udp, &a, &u, NULL), OK);
		for (int round = 0; round < 2; round++) {
			int hit[2];
			for (int i = 0; i < 4; i++)
				before[i] = shard[i].n_rx;
			CHECK_EQ(env_send(u, "x", 1, &to, NULL), OK);
			sim_run(sim, UINT64_MAX);
			for (int i = 0; i < 4; i++) {
				if (shard[i].n_rx != before[i])
					hit[round] = i;
			}
			n_moved += round && hit[0] != hit[1];
		}
	}
	for (int i = 0; i < 4; i++)
		n_used += shard[i].n_rx > 0;
	CHECK_EQ(n_moved, 0);
	CHECK_EQ(n_used, 4);
	for (int i = 0; i < 4; i++)
		node_halt(&shard[i]);
	node_halt(&a);
	sim_free(sim);
}

static bool has_come(void *arg)
{
	return ((struct node *)arg)->n_rx > 0;
}

TEST_NO_OOM(sim_clocks_and_predicates)
{
	sim_open(1);
	node_open(&a, "192.0.2.1", "0.0.0.0");
	node_open(&b, "192.0.2.2", "0.0.0.0");
	link_all(7'000, 0, 0, 0);
	uint64_t start = sim_now_us(sim), wall = env_wall_us(a.env);
	struct addr to = at(&b);
	CHECK(start > 0 && env_now_us(a.env) == start);
	sim_clock_skew(b.host, -5'000'000);
	CHECK_EQ(env_wall_us(b.env), wall - 5'000'000);
	CHECK_EQ(env_send(a.u, "x", 1, &to, NULL), OK);
	CHECK(!sim_run_until(sim, start + 6'999, has_come, &b));
	CHECK_EQ(sim_now_us(sim), start + 6'999);
	CHECK(sim_run_until(sim, start + 60'000, has_come, &b));
	CHECK_EQ(sim_now_us(sim), start + 7'000);
	CHECK_EQ(sim_run(sim, start + 1'000'000), start + 1'000'000);
	CHECK_EQ(env_wall_us(a.env), wall + 1'000'000);
	struct env_sock *w;
	CHECK_EQ(env_watch_fd(a.env, 0, ENV_READ, on_udp, &a, &w), ERR_UNSUPPORTED);
	node_halt(&a);
	node_halt(&b);
	sim_free(sim);
}

/* A host may crash within one of its own handlers (a store that fails in a write): nothing of it
 * runs after that, and it can be booted again. */
static unsigned n_after;

static void crash_now(void *arg, unsigned events)
{
	struct node *n = arg;
	char in[8];
	struct env_rx rx;
	(void)events;
	if (!n->host || env_recv(n->u, in, sizeof(in), &rx) != OK)
		return;
	n->n_rx++;
	sim_host_crash(n->host);
	CHECK_EQ(env_send(n->u, "x", 1, &rx.from, NULL), ERR_NET);
}

static void after(struct tmr *t)
{
	(void)t;
	n_after++;
}

TEST_NO_OOM(sim_crash_within_a_handler)
{
	struct addr any = ip("0.0.0.0"), to[2];
	struct env_sock *u2;
	struct tmr t = {0};
	sim_open(1);
	n_after = 0;
	node_open(&a, "192.0.2.1", "0.0.0.0");
	node_open(&b, "192.0.2.2", "0.0.0.0");
	env_close(b.u);
	any.port = 5060;
	CHECK_EQ(env_udp_open(b.env, &any, 0, crash_now, &b, &b.u, NULL), OK);
	any.port = 5062;
	CHECK_EQ(env_udp_open(b.env, &any, 0, crash_now, &b, &u2, NULL), OK);
	to[0] = to[1] = at(&b);
	to[1].port = 5062;
	ev_timer(&b.l, &t, 500'000, after);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(env_send(a.u, "x", 1, &to[i % 2], NULL), OK);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(b.n_rx, 1);
	CHECK_EQ(n_after, 0);
	node_halt(&b);
	sim_host_up(b.host);
	node_boot(&b, "0.0.0.0");
	CHECK_EQ(env_send(a.u, "x", 1, &to[0], NULL), OK);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(b.n_rx, 2);
	node_halt(&a);
	node_halt(&b);
	sim_free(sim);
}

/* A loop may end itself, and another one, while the simulation runs. */
static void end_both(struct tmr *t)
{
	(void)t;
	sim_del_loop(sim, &a.l);
	sim_del_loop(sim, &b.l);
}

TEST_NO_OOM(sim_loops_end_within_a_turn)
{
	struct tmr ta = {0}, tb = {0}, tc = {0};
	sim_open(1);
	n_after = 0;
	node_open(&a, "192.0.2.1", "0.0.0.0");
	node_open(&b, "192.0.2.2", "0.0.0.0");
	node_open(&c, "192.0.2.3", "0.0.0.0");
	ev_timer(&a.l, &ta, 10'000, end_both);
	ev_timer(&b.l, &tb, 10'000, after);
	ev_timer(&c.l, &tc, 10'000, after);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(n_after, 1); /* c's only */
	sim_del_loop(sim, &c.l);
	ev_loop_fini(&a.l);
	ev_loop_fini(&b.l);
	ev_loop_fini(&c.l);
	env_free(a.env);
	env_free(b.env);
	env_free(c.env);
	sim_free(sim);
}

/* --- shards, workers and snapshots over the simulation --- */

static unsigned n_work, n_done, n_freed, n_msgs;
static char order[8];
static size_t n_order;

static void work(struct ev_job *j)
{
	(void)j;
	n_work++;
	order[n_order++] = 'w';
}

static void done(struct ev_job *j)
{
	(void)j;
	n_done++;
	order[n_order++] = 'd';
}

static void freed(struct ev_retired *r)
{
	(void)r;
	n_freed++;
}

static void on_msg(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	static struct ev_job job;
	static struct ev_retired old;
	(void)ctx;
	if (n_msgs++ == 0) { /* on shard 1: asks a worker, retires, and passes the message on */
		job = (struct ev_job){.work = work, .done = done};
		ev_work(l, &job);
		order[n_order++] = 'm';
		ev_retire(l, &old, freed);
		ev_send(l->shards, 0, m);
	}
}

TEST_NO_OOM(sim_runs_shards)
{
	struct addr addr = ip("192.0.2.1");
	struct sim_host *h;
	struct env *env[2];
	struct ev_shards *s;
	struct inbox_msg m = {.kind = INBOX_PACKET};
	sim_open(1);
	n_work = n_done = n_freed = n_msgs = 0;
	n_order = 0;
	CHECK_EQ(sim_host_new(sim, "a", &addr, 1, &h), OK);
	CHECK_EQ(sim_env_new(h, &env[0]), OK);
	CHECK_EQ(sim_env_new(h, &env[1]), OK);
	CHECK_EQ(ev_shards_new(env, 2, &s), OK);
	CHECK_EQ(ev_workers_start(s, 0), OK);
	for (size_t i = 0; i < 2; i++) {
		ev_inbox_handle(s, i, INBOX_PACKET, on_msg, NULL);
		sim_add_loop(sim, ev_shard(s, i));
	}
	sim_run(sim, UINT64_MAX);
	ev_send(s, 1, &m);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(n_msgs, 2);
	CHECK_STR_EQ(str_of(order, n_order), STR("wmd")); /* the result in a later turn */
	CHECK_EQ(n_freed, 1);
	for (size_t i = 0; i < 2; i++)
		sim_del_loop(sim, ev_shard(s, i));
	ev_workers_stop(s);
	ev_shards_free(s);
	env_free(env[0]);
	env_free(env[1]);
	sim_free(sim);
}
