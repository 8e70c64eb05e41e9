/* Connections by themselves; more of them in the tests of transport. */

#include "net/conn.h"

#include "event/sim.h"
#include "test.h"

#include <string.h>

static struct sim *sim;
static struct side { /* 0 connects, 1 accepts */
	struct env *env;
	struct ev_loop loop;
	struct net net;
	struct net_conn conn;
	struct addr ip;
	struct buf got;
	unsigned ups, downs, unsents;
	uint64_t unsent[16];
	enum err why;
	size_t keep; /* uses all but that many of the bytes shown */
	bool close_on_bytes;
} side[2];
static struct env_sock *listener;

static struct side *side_of(struct net_conn *c)
{
	return CONTAINER_OF(c, struct side, conn);
}

static void on_up(struct net_conn *c)
{
	side_of(c)->ups++;
}

static size_t on_bytes(struct net_conn *c, struct str bytes)
{
	struct side *s = side_of(c);
	if (s->close_on_bytes) {
		net_conn_close(c, ERR_AUTH);
		CHECK_EQ(s->downs, 0);
		return 0;
	}
	if (bytes.n <= s->keep)
		return 0;
	buf_put(&s->got, bytes.p, bytes.n - s->keep);
	return bytes.n - s->keep;
}

static void on_unsent(struct net_conn *c, uint64_t tag, enum err why)
{
	struct side *s = side_of(c);
	CHECK_EQ(s->downs, 0);
	if (s->unsents < 16)
		s->unsent[s->unsents] = tag;
	s->unsents++;
	s->why = why;
}

static void on_down(struct net_conn *c, enum err why)
{
	side_of(c)->downs++;
	side_of(c)->why = why;
}

static const struct net_conn_user user = {on_up, on_bytes, on_unsent, on_down};

static void accept_one(void *arg, unsigned events)
{
	struct addr peer;
	CHECK_EQ(net_conn_accept(&side[1].conn, &side[1].net, &user, listener, &peer, 100'000), OK);
	CHECK(addr_ip_eq(&peer, &side[0].ip));
	struct net_conn none;
	CHECK_EQ(net_conn_accept(&none, &side[1].net, &user, listener, &peer, 0), ERR_MORE);
}

static void begin(void)
{
	const char *why;
	struct sim_host *h;
	memset(side, 0, sizeof(side));
	CHECK_EQ(sim_new(7, &sim), OK);
	struct sim_link link = {.delay_us = 1'000};
	sim_link_default(sim, &link);
	for (uint8_t i = 0; i < 2; i++) {
		struct side *s = &side[i];
		s->ip = (struct addr){
			.family = ADDR_V4, .ip = {10, 0, 0, (uint8_t)(1 + i)}
                };
		buf_init(&s->got);
		CHECK_EQ(sim_host_new(sim, "host", &s->ip, 1, &h), OK);
		CHECK_EQ(sim_env_new(h, &s->env), OK);
		ev_loop_init(&s->loop, s->env);
		sim_add_loop(sim, &s->loop);
		CHECK_EQ(net_init(&s->net, &s->loop), OK);
		s->ip.port = 5060;
	}
	CHECK_EQ(env_tcp_listen(side[1].env, &side[1].ip, 0, accept_one, NULL, &listener, &why),
		 OK);
}

static void pass(uint64_t us)
{
	sim_run(sim, sim_now_us(sim) + us);
}

static void link_up(size_t max_queued)
{
	begin();
	CHECK_EQ(
		net_conn_connect(&side[0].conn, &side[0].net, &user, NULL, &side[1].ip, max_queued),
		OK);
	CHECK_EQ(side[0].conn.state, NET_CONNECTING);
	pass(10'000);
	CHECK(side[0].ups == 1 && side[1].ups == 0);
	CHECK(side[0].conn.state == NET_UP && side[1].conn.state == NET_UP);
}

static void end(void)
{
	env_close(listener);
	for (int i = 0; i < 2; i++) {
		struct side *s = &side[i];
		net_conn_fini(&s->conn);
		net_conn_fini(&s->conn); /* harmless */
		net_fini(&s->net);
		sim_del_loop(sim, &s->loop);
		ev_loop_fini(&s->loop);
		env_free(s->env);
		buf_fini(&s->got);
	}
	sim_free(sim);
}

TEST(conn_moves_bytes)
{
	link_up(100'000);
	CHECK_EQ(net_conn_send(&side[0].conn, STR("hello"), 1), OK);
	CHECK(!side[0].conn.out); /* straight to the socket */
	pass(10'000);
	CHECK_STR(buf_view(&side[1].got), "hello");
	CHECK_EQ(net_conn_send(&side[1].conn, STR("back"), 1), OK);
	pass(10'000);
	CHECK_STR(buf_view(&side[0].got), "back");
	CHECK(!side[0].conn.in.cap && !side[1].conn.in.cap); /* an idle one holds nothing */
	end();
}

/* What the user leaves is shown again, with more behind it. */
TEST(conn_keeps_what_is_not_used)
{
	link_up(100'000);
	side[1].keep = 3;
	CHECK_EQ(net_conn_send(&side[0].conn, STR("ab"), 1), OK);
	pass(10'000);
	CHECK_EQ(side[1].got.n, 0);
	CHECK_EQ(net_conn_send(&side[0].conn, STR("cdef"), 1), OK);
	pass(10'000);
	CHECK_STR(buf_view(&side[1].got), "abc");
	side[1].keep = 0;
	CHECK_EQ(net_conn_send(&side[0].conn, STR("g"), 1), OK);
	pass(10'000);
	CHECK_STR(buf_view(&side[1].got), "abcdefg");
	CHECK_EQ(side[1].conn.in.cap, 0);
	end();
}

static void count(void *ctx, struct str bytes)
{
	*(size_t *)ctx += bytes.n;
}

TEST(conn_queues_while_connecting)
{
	begin();
	size_t n = 0;
	CHECK_EQ(net_conn_connect(&side[0].conn, &side[0].net, &user, NULL, &side[1].ip, 10'000),
		 OK);
	CHECK_EQ(net_conn_send(&side[0].conn, STR("one "), 1), OK);
	CHECK_EQ(net_conn_send(&side[0].conn, STR("two "), 2), OK);
	net_conn_each_queued(&side[0].conn, count, &n);
	CHECK_EQ(n, 8);
	CHECK(side[0].conn.queued_bytes > 8); /* memory, not payload */
	pass(10'000);
	CHECK_STR(buf_view(&side[1].got), "one two ");
	CHECK(!side[0].conn.out && side[0].conn.queued_bytes == 0);
	end();
}

TEST(conn_full_queue_closes)
{
	begin();
	CHECK_EQ(net_conn_connect(&side[0].conn, &side[0].net, &user, NULL, &side[1].ip, 1'000),
		 OK);
	enum err e = OK;
	uint64_t n = 0;
	while ((e = net_conn_send(&side[0].conn, STR("0123456789"), n + 1)) == OK)
		n++;
	CHECK_EQ(e, ERR_LIMIT);
	CHECK(n > 3 && n < 100);
	CHECK(side[0].conn.state == NET_CLOSED && side[0].unsents == 0 && side[0].downs == 0);
	CHECK_EQ(net_conn_send(&side[0].conn, STR("x"), 9), ERR_NET);
	pass(0);
	CHECK_EQ(side[0].unsents, n);
	CHECK(side[0].unsent[0] == 1 && side[0].unsent[1] == 2);
	CHECK_EQ(side[0].downs, 1);
	CHECK_EQ(side[0].why, ERR_LIMIT);
	end();
}

TEST(conn_ends_once)
{
	link_up(100'000);
	net_conn_close(&side[0].conn, ERR_TIMEOUT);
	net_conn_close(&side[0].conn, ERR_NET);
	CHECK_EQ(side[0].downs, 0);
	pass(10'000);
	CHECK_EQ(side[0].downs, 1);
	CHECK_EQ(side[0].why, ERR_TIMEOUT);
	CHECK_EQ(side[1].downs, 1); /* the end of the stream */
	CHECK_EQ(side[1].why, ERR_NET);
	end();
	link_up(100'000);
	side[1].close_on_bytes = true;
	CHECK_EQ(net_conn_send(&side[0].conn, STR("hello"), 1), OK);
	pass(10'000);
	CHECK(side[1].downs == 1 && side[1].why == ERR_AUTH);
	CHECK(side[0].downs == 1);
	end();
}

TEST(conn_deaf)
{
	link_up(100'000);
	net_conn_deafen(&side[1].conn);
	CHECK_EQ(net_conn_send(&side[0].conn, STR("unheard"), 1), OK);
	CHECK_EQ(net_conn_send(&side[1].conn, STR("said"), 1), OK);
	pass(10'000);
	CHECK_EQ(side[1].got.n, 0);
	CHECK_STR(buf_view(&side[0].got), "said");
	end();
}

TEST(conn_refused)
{
	begin();
	struct addr nobody = side[1].ip;
	nobody.port = 9;
	CHECK_EQ(net_conn_connect(&side[0].conn, &side[0].net, &user, NULL, &nobody, 1'000), OK);
	CHECK_EQ(net_conn_send(&side[0].conn, STR("x"), 42), OK);
	pass(10'000);
	CHECK(side[0].downs == 1 && side[0].why == ERR_NET && side[0].ups == 0);
	CHECK(side[0].unsents == 1 && side[0].unsent[0] == 42);
	end();
}

/* A large message through a small window arrives whole. */
TEST(conn_large)
{
	static char big[200'000];
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	link_up(300'000);
	CHECK_EQ(net_conn_send(&side[0].conn, str_of(big, sizeof(big)), 1), OK);
	CHECK(side[0].conn.out);
	CHECK_EQ(net_conn_send(&side[0].conn, STR("behind"), 2), OK);
	side[1].keep = 100'000; /* the reader leaves much */
	pass(2'000'000);
	side[1].keep = 0;
	CHECK_EQ(net_conn_send(&side[0].conn, STR("."), 3), OK);
	pass(2'000'000);
	CHECK_EQ(side[1].got.n, sizeof(big) + 7);
	CHECK(memcmp(side[1].got.p, big, sizeof(big)) == 0);
	CHECK(memcmp(side[1].got.p + sizeof(big), "behind.", 7) == 0);
	end();
}
