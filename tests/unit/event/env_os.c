/* The real environment on loopback: UDP, TCP, ICMP, wake-ups, addresses. Nothing here waits for
 * time to pass: each step polls until what it expects has happened; the runner's time limit ends a
 * test that waits for ever. */
#include "base/limits.h"
#include "event/env.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct seen { /* what a handler has seen; it does nothing else */
	unsigned events, n;
};

static void see(void *arg, unsigned events)
{
	struct seen *s = arg;
	s->events |= events;
	s->n++;
}

static void poll_for(struct env *e, struct seen *s, unsigned events)
{
	while (!(s->events & events))
		env_poll(e, 1'000'000);
}

static struct addr ip(const char *text)
{
	struct addr a;
	CHECK(addr_parse(str_c(text), 0, &a));
	return a;
}

static struct env_sock *udp(struct env *e, const char *local, struct seen *s)
{
	struct env_sock *u;
	const char *why = NULL;
	struct addr a = ip(local);
	if (env_udp_open(e, &a, 0, see, s, &u, &why) == OK)
		return u;
	if (a.family == ADDR_V6)
		test_skip("no IPv6 on this machine");
	test_fail(__FILE__, __LINE__, "%s: %s", local, why);
}

static void receive(struct env *e, struct env_sock *u, struct seen *s, struct str want,
		    struct env_rx *rx)
{
	char in[2048];
	enum err err;
	while ((err = env_recv(u, in, sizeof(in), rx)) != OK) {
		s->events = 0;
		poll_for(e, s, ENV_READ);
	}
	CHECK_STR_EQ(str_of(in, rx->n), want);
	CHECK(!rx->is_truncated);
}

static void udp_both_ways(const char *bound, const char *wild, const char *second)
{
	struct env *e;
	struct seen sa = {0}, sb = {0};
	struct env_rx rx;
	CHECK_EQ(env_os_new(&e), OK);
	struct env_sock *a = udp(e, bound, &sa), *b = udp(e, wild, &sb);
	struct addr to = ip(second), from = env_local(a);
	to.port = env_local(b).port;
	CHECK(from.port && to.port);
	CHECK_EQ(env_send(a, "ping", 4, &to, NULL), OK);
	receive(e, b, &sb, STR("ping"), &rx);
	CHECK(addr_eq(&rx.from, &from));
	CHECK(addr_eq(&rx.to, &to)); /* which of the wildcard's addresses it was sent to */
	CHECK_EQ(env_send(b, "pong", 4, &rx.from, &rx.to), OK);
	receive(e, a, &sa, STR("pong"), &rx);
	CHECK(addr_eq(&rx.from, &to)); /* and the answer came from there */
	CHECK_EQ(env_recv(a, &rx, 1, &rx), ERR_MORE);
	/* empty, and longer than the room given */
	CHECK_EQ(env_send(a, NULL, 0, &to, NULL), OK);
	receive(e, b, &sb, STR(""), &rx);
	CHECK_EQ(env_send(a, "abc", 3, &to, NULL), OK);
	char small[2];
	while (env_recv(b, small, 2, &rx) != OK)
		env_poll(e, 1'000'000);
	CHECK(rx.is_truncated && rx.n == 2 && memcmp(small, "ab", 2) == 0);
	env_close(a);
	env_close(b);
	env_close(NULL);
	env_free(e);
}

TEST_NO_OOM(os_udp_ipv4)
{
	udp_both_ways("127.0.0.1", "0.0.0.0", "127.0.0.2");
}

TEST_NO_OOM(os_udp_ipv6)
{
	udp_both_ways("::1", "::", "::1");
}

TEST_NO_OOM(os_udp_sizes)
{
	static char big[LIMIT_DATAGRAM_BYTES + 1], in[sizeof(big)];
	struct env *e;
	struct seen sa = {0};
	struct env_rx rx;
	CHECK_EQ(env_os_new(&e), OK);
	struct env_sock *a = udp(e, "127.0.0.1", &sa);
	struct addr to = env_local(a), to6 = ip("::1");
	memset(big, 'x', sizeof(big));
	CHECK_EQ(env_send(a, big, sizeof(big), &to, NULL), ERR_LIMIT);
	CHECK_EQ(env_send(a, big, LIMIT_DATAGRAM_BYTES, &to, NULL), OK);
	poll_for(e, &sa, ENV_READ);
	CHECK_EQ(env_recv(a, in, sizeof(in), &rx), OK);
	CHECK_EQ(rx.n, LIMIT_DATAGRAM_BYTES);
	CHECK(memcmp(in, big, rx.n) == 0);
	to6.port = 9;
	CHECK_EQ(env_send(a, "x", 1, &to6, NULL), ERR_NET);
	/* a burst of a thousand messages of usual size finds room */
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(env_send(a, big, 700, &to, NULL), OK);
	int n = 0;
	while (env_recv(a, in, sizeof(in), &rx) == OK)
		n++;
	CHECK_EQ(n, 1000);
	env_close(a);
	env_free(e);
}

TEST_NO_OOM(os_bind_refusals)
{
	struct env *e;
	struct seen s = {0};
	struct env_sock *u, *v, *w;
	const char *why = "";
	CHECK_EQ(env_os_new(&e), OK);
	struct addr local = ip("127.0.0.1"), alien = ip("192.0.2.1");
	CHECK_EQ(env_udp_open(e, &alien, 0, see, &s, &u, &why), ERR_NET);
	CHECK_STR_EQ(str_c(why), STR("address is not one of this machine"));
	CHECK_EQ(env_udp_open(e, &local, 0, see, &s, &u, NULL), OK);
	local = env_local(u);
	CHECK_EQ(env_udp_open(e, &local, 0, see, &s, &v, &why), ERR_NET);
	CHECK_STR_EQ(str_c(why), STR("address already in use"));
	env_close(u);
	CHECK_EQ(env_udp_open(e, &local, ENV_REUSEPORT, see, &s, &u, &why), OK);
	CHECK_EQ(env_udp_open(e, &local, ENV_REUSEPORT, see, &s, &v, &why), OK);
	CHECK_EQ(env_tcp_listen(e, &local, 0, see, &s, &w, &why), OK);
	struct addr tcp = env_local(w);
	struct env_sock *x;
	CHECK_EQ(env_tcp_listen(e, &tcp, 0, see, &s, &x, &why), ERR_NET);
	CHECK_STR_EQ(str_c(why), STR("address already in use"));
	CHECK_EQ(env_tcp_listen(e, &alien, 0, see, &s, &x, &why), ERR_NET);
	env_close(u);
	env_close(v);
	env_close(w);
	env_free(e);
}

/* ICMP errors name the peer; they do not disturb sending to others, and unread they do not make the
 * loop spin. */
static void icmp(const char *bound)
{
	struct env *e;
	struct seen sa = {0}, sb = {0};
	struct env_rx rx;
	struct env_icmp ic;
	char in[100];
	CHECK_EQ(env_os_new(&e), OK);
	struct env_sock *a = udp(e, bound, &sa), *b = udp(e, bound, &sb);
	struct addr alive = env_local(b), dead;
	struct env_sock *gone = udp(e, bound, &sb);
	dead = env_local(gone);
	env_close(gone);
	CHECK_EQ(env_icmp_next(a, &ic), ERR_MORE);
	CHECK_EQ(env_send(a, "x", 1, &dead, NULL), OK);
	CHECK_EQ(env_send(a, "y", 1, &alive, NULL), OK);
	CHECK_EQ(env_send(a, "z", 1, &alive, NULL), OK);
	receive(e, b, &sb, STR("y"), &rx);
	receive(e, b, &sb, STR("z"), &rx);
	poll_for(e, &sa, ENV_READ);
	/* nobody read it during that poll: it is gone, and the loop is quiet */
	CHECK_EQ(env_icmp_next(a, &ic), ERR_MORE);
	sa = (struct seen){0};
	env_poll(e, 0);
	CHECK_EQ(sa.n, 0);
	/* this time it is read, straight after the send */
	CHECK_EQ(env_send(a, "x", 1, &dead, NULL), OK);
	CHECK_EQ(env_recv(a, in, sizeof(in), &rx), ERR_NET);
	CHECK_EQ(env_icmp_next(a, &ic), OK);
	CHECK(addr_eq(&ic.peer, &dead) && ic.is_refused);
	CHECK_EQ(env_icmp_next(a, &ic), ERR_MORE);
	CHECK_EQ(env_recv(a, in, sizeof(in), &rx), ERR_MORE);
	env_close(a);
	env_close(b);
	env_free(e);
}

TEST_NO_OOM(os_icmp_ipv4)
{
	icmp("127.0.0.1");
}

TEST_NO_OOM(os_icmp_ipv6)
{
	icmp("::1");
}

struct reader { /* reads ICMP and datagrams in its handler, as transports do */
	struct env_sock *u;
	unsigned n_dgrams, n_icmp;
	struct addr dead;
};

static void read_all(void *arg, unsigned events)
{
	struct reader *r = arg;
	char in[100];
	struct env_rx rx;
	struct env_icmp ic;
	(void)events;
	for (;;) {
		enum err err = env_recv(r->u, in, sizeof(in), &rx);
		if (err == ERR_MORE)
			return;
		if (err == OK)
			r->n_dgrams++;
		while (err == ERR_NET && env_icmp_next(r->u, &ic) == OK) {
			r->n_icmp++;
			r->dead = ic.peer;
		}
	}
}

TEST_NO_OOM(os_icmp_in_the_handler)
{
	struct env *e;
	struct reader r = {0};
	struct seen s = {0};
	struct addr local = ip("127.0.0.1");
	CHECK_EQ(env_os_new(&e), OK);
	CHECK_EQ(env_udp_open(e, &local, 0, read_all, &r, &r.u, NULL), OK);
	struct env_sock *gone = udp(e, "127.0.0.1", &s);
	struct addr dead = env_local(gone), self = env_local(r.u);
	env_close(gone);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(env_send(r.u, "x", 1, &dead, NULL), OK);
		CHECK_EQ(env_send(r.u, "y", 1, &self, NULL), OK);
		unsigned n = r.n_dgrams;
		while (r.n_dgrams == n)
			env_poll(e, 1'000'000);
	}
	CHECK_EQ(r.n_dgrams, 3);
	CHECK_EQ(r.n_icmp, 3);
	CHECK(addr_eq(&r.dead, &dead));
	env_close(r.u);
	env_free(e);
}

struct closer { /* closes the other one of a pair in its handler */
	struct env_sock *own, **other;
	unsigned n_called;
};

static void close_other(void *arg, unsigned events)
{
	struct closer *c = arg;
	(void)events;
	c->n_called++;
	env_close(*c->other);
	*c->other = NULL;
}

TEST_NO_OOM(os_closed_in_the_same_batch)
{
	struct env *e;
	struct closer a = {0}, b = {0};
	struct addr local = ip("127.0.0.1");
	CHECK_EQ(env_os_new(&e), OK);
	CHECK_EQ(env_udp_open(e, &local, 0, close_other, &a, &a.own, NULL), OK);
	CHECK_EQ(env_udp_open(e, &local, 0, close_other, &b, &b.own, NULL), OK);
	a.other = &b.own;
	b.other = &a.own;
	struct addr ta = env_local(a.own), tb = env_local(b.own);
	CHECK_EQ(env_send(a.own, "x", 1, &tb, NULL), OK);
	CHECK_EQ(env_send(a.own, "x", 1, &ta, NULL), OK);
	env_poll(e, 1'000'000);
	CHECK_EQ(a.n_called + b.n_called, 1);
	env_close(a.own);
	env_close(b.own);
	env_free(e);
}

struct tcp_pair {
	struct env *e;
	struct env_sock *l, *c, *s;
	struct seen sl, sc, ss;
};

static void tcp_open(struct tcp_pair *t, const char *local)
{
	struct addr a = ip(local), peer;
	const char *why = "";
	memset(t, 0, sizeof(*t));
	CHECK_EQ(env_os_new(&t->e), OK);
	if (env_tcp_listen(t->e, &a, ENV_REUSEPORT, see, &t->sl, &t->l, &why) != OK) {
		if (a.family == ADDR_V6)
			test_skip("no IPv6 on this machine");
		test_fail(__FILE__, __LINE__, "%s: %s", local, why);
	}
	a = env_local(t->l);
	CHECK_EQ(env_accept(t->l, see, &t->ss, &t->s, &peer), ERR_MORE);
	CHECK_EQ(env_tcp_connect(t->e, NULL, &a, see, &t->sc, &t->c), OK);
	poll_for(t->e, &t->sl, ENV_READ);
	CHECK_EQ(env_accept(t->l, see, &t->ss, &t->s, &peer), OK);
	poll_for(t->e, &t->sc, ENV_WRITE);
	CHECK_EQ(t->sc.events & ENV_HUP, 0);
	struct addr cl = env_local(t->c), cp = env_peer(t->c), sl = env_local(t->s);
	CHECK(addr_eq(&cl, &peer) && addr_eq(&cp, &a) && addr_eq(&sl, &a));
	env_want(t->c, ENV_READ);
}

static void tcp_close(struct tcp_pair *t)
{
	env_close(t->l);
	env_close(t->c);
	env_close(t->s);
	env_free(t->e);
}

static void tcp_talk(const char *local)
{
	struct tcp_pair t;
	size_t n;
	char in[100];
	tcp_open(&t, local);
	CHECK_EQ(env_read(t.s, in, sizeof(in), &n), ERR_MORE);
	CHECK_EQ(env_write(t.c, "hello", 5, &n), OK);
	CHECK_EQ(n, 5);
	poll_for(t.e, &t.ss, ENV_READ);
	CHECK_EQ(env_read(t.s, in, sizeof(in), &n), OK);
	CHECK_STR_EQ(str_of(in, n), STR("hello"));
	/* bytes written before the end are read before the end */
	CHECK_EQ(env_write(t.c, "bye", 3, &n), OK);
	env_close(t.c);
	t.c = NULL;
	t.ss.events = 0;
	poll_for(t.e, &t.ss, ENV_READ);
	CHECK_EQ(env_read(t.s, in, sizeof(in), &n), OK);
	CHECK_STR_EQ(str_of(in, n), STR("bye"));
	t.ss.events = 0;
	poll_for(t.e, &t.ss, ENV_READ);
	CHECK_EQ(env_read(t.s, in, sizeof(in), &n), ERR_NET);
	tcp_close(&t);
}

TEST_NO_OOM(os_tcp_ipv4)
{
	tcp_talk("127.0.0.1");
}

TEST_NO_OOM(os_tcp_ipv6)
{
	tcp_talk("::1");
}

TEST_NO_OOM(os_tcp_reader_that_never_reads)
{
	static char chunk[65'536];
	struct tcp_pair t;
	size_t n, sent = 0, got = 0;
	enum err err;
	tcp_open(&t, "127.0.0.1");
	while ((err = env_write(t.c, chunk, sizeof(chunk), &n)) == OK)
		sent += n;
	CHECK_EQ(err, ERR_MORE);
	t.sc = (struct seen){0};
	env_want(t.c, ENV_READ | ENV_WRITE);
	env_poll(t.e, 0);
	CHECK_EQ(t.sc.events & ENV_WRITE, 0);
	while (got < sent) {
		if (env_read(t.s, chunk, sizeof(chunk), &n) == OK)
			got += n;
		env_poll(t.e, 0);
	}
	poll_for(t.e, &t.sc, ENV_WRITE);
	CHECK_EQ(env_write(t.c, "x", 1, &n), OK);
	/* a peer that goes away while we do not read is told as ENV_HUP */
	env_want(t.c, 0);
	t.sc = (struct seen){0};
	env_close(t.s); /* with a byte unread: a reset */
	t.s = NULL;
	poll_for(t.e, &t.sc, ENV_HUP);
	CHECK_EQ(env_write(t.c, "x", 1, &n), ERR_NET);
	tcp_close(&t);
}

TEST_NO_OOM(os_tcp_refused)
{
	struct tcp_pair t;
	struct addr dead;
	struct env_sock *c;
	struct seen s = {0};
	tcp_open(&t, "127.0.0.1");
	dead = env_local(t.l);
	env_close(t.l);
	t.l = NULL;
	struct addr from = ip("127.0.0.3");
	enum err err = env_tcp_connect(t.e, &from, &dead, see, &s, &c);
	if (err == OK) { /* the kernel may also know at once */
		poll_for(t.e, &s, ENV_HUP);
		CHECK_EQ(s.events & ENV_WRITE, 0);
		env_close(c);
	} else {
		CHECK_EQ(err, ERR_NET);
	}
	tcp_close(&t);
}

/* Without descriptors a connection is turned away, instead of staying in the queue for ever. */
TEST_NO_OOM(os_tcp_no_descriptors)
{
	struct tcp_pair t;
	struct rlimit before, none;
	struct env_sock *c, *s;
	struct seen sc = {0};
	char in[4];
	size_t n;
	tcp_open(&t, "127.0.0.1");
	struct addr a = env_local(t.l), peer;
	t.sl.events = 0;
	CHECK_EQ(env_tcp_connect(t.e, NULL, &a, see, &sc, &c), OK);
	poll_for(t.e, &t.sl, ENV_READ);
	getrlimit(RLIMIT_NOFILE, &before);
	int probe = dup(0);
	none = before;
	none.rlim_cur = (rlim_t)probe;
	close(probe);
	setrlimit(RLIMIT_NOFILE, &none);
	enum err err = env_accept(t.l, see, &t.ss, &s, &peer);
	setrlimit(RLIMIT_NOFILE, &before);
	CHECK_EQ(err, ERR_MORE);
	poll_for(t.e, &sc, ENV_WRITE);
	env_want(c, ENV_READ);
	sc.events = 0;
	poll_for(t.e, &sc, ENV_READ);
	CHECK_EQ(env_read(c, in, sizeof(in), &n), ERR_NET);
	env_close(c);
	tcp_close(&t);
}

static _Atomic(unsigned) n_woken;

static void *waker(void *arg)
{
	for (unsigned i = 0; i < 2000; i++) {
		while (atomic_load(&n_woken) < i) /* one wake-up per sleep */
			;
		env_wake(arg);
	}
	return NULL;
}

TEST_NO_OOM(os_wake_from_another_thread)
{
	struct env *e;
	pthread_t t;
	CHECK_EQ(env_os_new(&e), OK);
	env_wake(e); /* a wake-up before the sleep counts */
	env_poll(e, UINT64_MAX);
	atomic_store(&n_woken, 0);
	CHECK_EQ(pthread_create(&t, NULL, waker, e), 0);
	while (atomic_load(&n_woken) < 2000) {
		env_poll(e, UINT64_MAX);
		atomic_fetch_add(&n_woken, 1);
	}
	pthread_join(t, NULL);
	env_free(e);
}

TEST_NO_OOM(os_clock_and_entropy)
{
	struct env *e;
	uint8_t a[2000], b[2000];
	CHECK_EQ(env_os_new(&e), OK);
	uint64_t now = env_now_us(e);
	CHECK(now > 0 && env_now_us(e) == now);
	env_poll(e, 2'000);
	CHECK(env_now_us(e) >= now + 2'000); /* a poll never returns early without a reason */
	CHECK(env_wall_us(e) > 1'700'000'000'000'000);
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	env_random(e, a, sizeof(a));
	for (size_t i = 0; i < sizeof(b); i += 8)
		env_random(e, b + i, 8);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	int ones = 0;
	for (size_t i = 0; i < sizeof(b); i++)
		ones += __builtin_popcount(b[i]) + __builtin_popcount(a[i]);
	CHECK(ones > 15'000 && ones < 17'000); /* of 32,000 bits; 11 standard deviations */
	CHECK(env_random_u64(e) != env_random_u64(e));
	env_free(e);
}

TEST_NO_OOM(os_own_addresses)
{
	struct env *e;
	struct addr local, to = ip("127.0.0.9"), none = {0};
	CHECK_EQ(env_os_new(&e), OK);
	for (int i = 0; i < 2; i++) { /* the second from the cache */
		CHECK_EQ(env_source_for(e, &to, &local), OK);
		CHECK(addr_is_loopback(&local) && local.port == 0);
	}
	CHECK_EQ(env_source_for(e, &none, &local), ERR_NET);
	local = env_host_addr(e);
	CHECK(local.family != ADDR_NONE && !addr_is_any(&local) && local.port == 0);
	struct seen s = {0};
	struct env_sock *u;
	CHECK_EQ(env_udp_open(e, &local, 0, see, &s, &u, NULL), OK); /* it is one of ours */
	env_close(u);
	env_free(e);
}

TEST_NO_OOM(os_watched_descriptor)
{
	struct env *e;
	struct seen s = {0};
	struct env_sock *w;
	int fd[2];
	CHECK_EQ(env_os_new(&e), OK);
	CHECK_EQ(pipe(fd), 0);
	CHECK_EQ(env_watch_fd(e, fd[0], ENV_READ, see, &s, &w), OK);
	env_poll(e, 0);
	CHECK_EQ(s.n, 0);
	CHECK_EQ(write(fd[1], "x", 1), 1);
	poll_for(e, &s, ENV_READ);
	env_want(w, 0);
	s = (struct seen){0};
	env_poll(e, 0);
	CHECK_EQ(s.n, 0);
	env_close(w);
	CHECK_EQ(close(fd[0]), 0); /* still open: it was not ours to close */
	close(fd[1]);
	int file = open("/proc/self/exe", O_RDONLY);
	CHECK_EQ(env_watch_fd(e, file, ENV_READ, see, &s, &w), ERR_UNSUPPORTED);
	close(file);
	env_free(e);
}

TEST(os_without_memory)
{
	struct env *e;
	struct seen s = {0};
	struct env_sock *u = NULL;
	struct addr local = ip("127.0.0.1");
	CHECK_EQ(env_os_new(&e), OK);
	enum err err = env_udp_open(e, &local, 0, see, &s, &u, NULL);
	env_close(err ? NULL : u);
	enum err err2 = env_tcp_listen(e, &local, 0, see, &s, &u, NULL);
	env_close(err2 ? NULL : u);
	env_free(e);
	CHECK(err == OK && err2 == OK);
}
