/* Simulated TCP: order, windows, and all the ways in which a connection ends. */
#include "event/loop.h"
#include "event/sim.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

struct end {
	struct env_sock *s;
	unsigned events;
	bool is_reading;
	char *in;
	size_t n_in, cap;
	bool is_over;
};

struct node {
	struct sim_host *host;
	struct env *env;
	struct ev_loop l;
	struct env_sock *listener;
};

static struct sim *sim;
static struct node a, b;
static struct end ca, cb; /* a connects to b */

static struct addr ip(const char *text)
{
	struct addr x;
	CHECK(addr_parse(str_c(text), 0, &x));
	return x;
}

static void on_end(void *arg, unsigned events)
{
	struct end *e = arg;
	size_t n;
	enum err err = OK;
	e->events |= events;
	if (events & ENV_HUP) {
		env_close(e->s);
		e->s = NULL;
		return;
	}
	env_want(e->s, e->is_reading ? ENV_READ : 0);
	while (e->is_reading && events & ENV_READ && e->n_in < e->cap) {
		err = env_read(e->s, e->in + e->n_in, e->cap - e->n_in, &n);
		e->n_in += n;
		if (err != OK)
			break;
	}
	if (err == ERR_NET) {
		e->is_over = true;
		env_want(e->s, 0);
	}
}

static void on_listener(void *arg, unsigned events)
{
	struct node *n = arg;
	(void)events;
	if (env_accept(n->listener, on_end, &cb, &cb.s, NULL) != OK)
		cb.s = NULL;
}

static void node_boot(struct node *n)
{
	CHECK_EQ(sim_env_new(n->host, &n->env), OK);
	ev_loop_init(&n->l, n->env);
	sim_add_loop(sim, &n->l);
}

static void node_halt(struct node *n)
{
	sim_del_loop(sim, &n->l);
	ev_loop_fini(&n->l);
	env_free(n->env);
}

static void listen_on(struct node *n)
{
	struct addr any = ip("0.0.0.0");
	any.port = 5060;
	CHECK_EQ(env_tcp_listen(n->env, &any, ENV_REUSEPORT, on_listener, n, &n->listener, NULL),
		 OK);
}

static enum err dial(const char *to)
{
	struct addr peer = ip(to);
	peer.port = 5060;
	return env_tcp_connect(a.env, NULL, &peer, on_end, &ca, &ca.s);
}

static char bytes_in[300'000];

static void net_open(uint32_t jitter_us)
{
	struct addr ia = ip("192.0.2.1"), ib = ip("192.0.2.2");
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	ca = cb = (struct end){.is_reading = true, .in = bytes_in, .cap = sizeof(bytes_in)};
	CHECK_EQ(sim_new(3, &sim), OK);
	CHECK_EQ(sim_host_new(sim, "a", &ia, 1, &a.host), OK);
	CHECK_EQ(sim_host_new(sim, "b", &ib, 1, &b.host), OK);
	sim_link_default(
		sim, &(struct sim_link){.delay_us = 10'000, .jitter_us = jitter_us, .loss = .5});
	node_boot(&a);
	node_boot(&b);
}

static void net_close(void)
{
	node_halt(&a);
	node_halt(&b);
	sim_free(sim);
}

static void connected(uint32_t jitter_us)
{
	net_open(jitter_us);
	listen_on(&b);
	CHECK_EQ(dial("192.0.2.2"), OK);
	sim_run(sim, sim_now_us(sim) + 100'000);
	CHECK_EQ(ca.events, ENV_WRITE);
	CHECK(cb.s);
}

static uint64_t since;

static void start_clock(void)
{
	since = sim_now_us(sim);
}

static uint64_t passed(void)
{
	return sim_now_us(sim) - since;
}

TEST_NO_OOM(sim_tcp_addresses_and_delay)
{
	net_open(0);
	listen_on(&b);
	start_clock();
	size_t n;
	CHECK_EQ(dial("192.0.2.2"), OK);
	CHECK_EQ(env_write(ca.s, "x", 1, &n), ERR_MORE); /* not yet connected */
	CHECK_EQ(env_read(ca.s, &n, 1, &n), ERR_MORE);
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(passed(), 20'000);
	CHECK_EQ(ca.events, ENV_WRITE);
	struct addr al = env_local(ca.s), bp = env_peer(cb.s), bl = env_local(cb.s);
	struct addr ap = env_peer(ca.s);
	CHECK(addr_eq(&al, &bp) && addr_eq(&ap, &bl) && bl.port == 5060 && al.port >= 32'768);
	CHECK_EQ(env_write(ca.s, "hello", 5, &n), OK);
	CHECK_EQ(n, 5);
	start_clock();
	sim_run(sim, UINT64_MAX);
	CHECK_EQ(passed(), 10'000);
	CHECK_STR_EQ(str_of(cb.in, cb.n_in), STR("hello"));
	net_close();
}

/* 300,000 bytes through a jittery link and a window of 64 kB, with a reader that pauses. */
static char out[300'000];

TEST_NO_OOM(sim_tcp_keeps_order_and_window)
{
	connected(30'000);
	size_t sent = 0, n, first = 0;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 2654435761u >> 24);
	cb.is_reading = false; /* a reader that never reads */
	env_want(cb.s, 0);
	while (env_write(ca.s, out + sent, sizeof(out) - sent, &n) == OK)
		sent += n;
	CHECK_EQ(sent, 65'536);
	sim_run(sim, sim_now_us(sim) + 1'000'000);
	CHECK_EQ(env_write(ca.s, out + sent, 1, &n), ERR_MORE);
	first = sent;
	cb.is_reading = true;
	env_want(cb.s, ENV_READ);
	ca.events = 0;
	while (sent < sizeof(out)) {
		env_want(ca.s, ENV_READ | ENV_WRITE);
		sim_run(sim, sim_now_us(sim) + 50'000);
		while (sent < sizeof(out) &&
		       env_write(ca.s, out + sent, sizeof(out) - sent, &n) == OK)
			sent += n;
	}
	CHECK(first < sent && ca.events & ENV_WRITE);
	sim_run(sim, sim_now_us(sim) + 1'000'000);
	CHECK_EQ(cb.n_in, sizeof(out));
	CHECK(memcmp(bytes_in, out, sizeof(out)) == 0);
	net_close();
}

TEST_NO_OOM(sim_tcp_end_after_the_bytes)
{
	size_t n;
	connected(5'000);
	CHECK_EQ(env_write(ca.s, "bye", 3, &n), OK);
	env_close(ca.s);
	sim_run(sim, sim_now_us(sim) + 100'000);
	CHECK_STR_EQ(str_of(cb.in, cb.n_in), STR("bye"));
	CHECK(cb.is_over);
	/* half-closed: writing is still possible, and answered with a reset */
	CHECK_EQ(env_write(cb.s, "x", 1, &n), OK);
	CHECK_EQ(cb.events, ENV_READ);
	sim_run(sim, sim_now_us(sim) + 100'000);
	CHECK_EQ(cb.events, ENV_READ | ENV_HUP);
	net_close();
}

TEST_NO_OOM(sim_tcp_refused)
{
	net_open(0);
	start_clock();
	CHECK_EQ(dial("192.0.2.2"), OK);
	while (!ca.events && passed() < 1'000'000)
		sim_run(sim, sim_now_us(sim) + 1'000);
	CHECK_EQ(ca.events, ENV_HUP);
	CHECK_EQ(passed(), 20'000);
	struct addr v6 = ip("2001:db8::1");
	v6.port = 1;
	CHECK_EQ(env_tcp_connect(a.env, NULL, &v6, on_end, &ca, &ca.s), ERR_NET);
	net_close();
}

static void on_hup(void *arg, unsigned events)
{
	struct end *e = arg;
	e->events |= events;
	env_close(e->s);
	e->s = NULL;
}

TEST_NO_OOM(sim_tcp_no_answer)
{
	static const char *const nobody[] = {"192.0.2.2", "192.0.2.99"};
	for (int i = 0; i < 2; i++) {
		struct addr to = ip(nobody[i]);
		to.port = 5060;
		net_open(0);
		sim_host_crash(b.host);
		start_clock();
		CHECK_EQ(env_tcp_connect(a.env, NULL, &to, on_hup, &ca, &ca.s), OK);
		sim_run(sim, sim_now_us(sim) + 59'000'000);
		CHECK_EQ(ca.events, 0);
		sim_run(sim, UINT64_MAX);
		CHECK_EQ(ca.events, ENV_HUP);
		CHECK(passed() >= 60'000'000 && passed() < 60'100'000);
		/* the caller may give up earlier */
		CHECK_EQ(env_tcp_connect(a.env, NULL, &to, on_hup, &ca, &ca.s), OK);
		env_close(ca.s);
		ca.events = 0;
		sim_run(sim, UINT64_MAX);
		CHECK_EQ(ca.events, 0);
		net_close();
	}
}

/* The host comes back within a minute: the connection comes about after all. */
TEST_NO_OOM(sim_tcp_late_answer)
{
	net_open(0);
	sim_host_crash(b.host);
	CHECK_EQ(dial("192.0.2.2"), OK);
	sim_run(sim, sim_now_us(sim) + 2'000'000);
	node_halt(&b);
	sim_host_up(b.host);
	node_boot(&b);
	listen_on(&b);
	sim_run(sim, sim_now_us(sim) + 5'000'000);
	CHECK_EQ(ca.events, ENV_WRITE);
	net_close();
}

TEST_NO_OOM(sim_tcp_peer_crashes)
{
	size_t n;
	connected(0);
	ca.events = 0;
	sim_host_crash(b.host);
	CHECK_EQ(env_write(cb.s, "x", 1, &n), ERR_NET); /* from within the dead host */
	CHECK_EQ(env_write(ca.s, "x", 1, &n), OK);
	sim_run(sim, sim_now_us(sim) + 10'000'000);
	CHECK(!ca.is_over); /* not a word */
	node_halt(&b);
	sim_host_up(b.host);
	sim_run(sim, sim_now_us(sim) + 10'000'000);
	CHECK(ca.is_over); /* sent again, answered with a reset */
	node_boot(&b);
	net_close();
	/* and when it never comes back, the sender gives up */
	connected(0);
	sim_host_crash(b.host);
	CHECK_EQ(env_write(ca.s, "x", 1, &n), OK);
	start_clock();
	sim_run(sim, UINT64_MAX);
	CHECK(ca.is_over && passed() > 100'000'000);
	net_close();
}

/* A loop that never accepts; then its listener goes. */
static void ignore(void *arg, unsigned events)
{
	struct env_sock **l = arg;
	(void)events;
	env_want(*l, 0);
}

TEST_NO_OOM(sim_tcp_listener_goes)
{
	struct addr any = ip("0.0.0.0");
	any.port = 5060;
	net_open(0);
	CHECK_EQ(env_tcp_listen(b.env, &any, 0, ignore, &b.listener, &b.listener, NULL), OK);
	CHECK_EQ(dial("192.0.2.2"), OK);
	sim_run(sim, sim_now_us(sim) + 100'000);
	CHECK_EQ(ca.events, ENV_WRITE); /* connected, though nobody took it */
	env_close(b.listener);
	sim_run(sim, sim_now_us(sim) + 100'000);
	CHECK(ca.is_over);
	net_close();
}

TEST_NO_OOM(sim_tcp_loopback)
{
	size_t n;
	net_open(0);
	cb.s = NULL;
	listen_on(&a);
	CHECK_EQ(dial("127.0.0.1"), OK);
	sim_run(sim, sim_now_us(sim) + 1'000);
	CHECK(cb.s && ca.events == ENV_WRITE);
	CHECK_EQ(env_write(cb.s, "x", 1, &n), OK);
	sim_run(sim, sim_now_us(sim) + 1'000);
	CHECK_EQ(ca.n_in, 1);
	net_close();
}
