/* A message over TLS, written and read by the filter between two connections in virtual time; what
 * the same takes over plain connections is taken off, so that encryption and records remain. */
#include "net/tls.h"
#include "bench.h"
#include "event/sim.h"
#include "net/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE 1100

enum { CLIENT, SERVER };
struct rig {
	struct sim *sim;
	struct env *env[2];
	struct ev_shards *shards[2];
	struct net net[2];
	struct net_conn conn[2];
	struct net_tls *tls[2]; /* NULL: plain */
	struct env_sock *listener;
	struct addr to;
	size_t n_got;
	unsigned n_up;
	char message[MESSAGE];
};
static struct rig plain, secure;

static void die(const char *what)
{
	fprintf(stderr, "bench_tls: %s\n", what);
	exit(1);
}

static struct rig *rig_of(const struct net_conn *c)
{
	return c == &plain.conn[0] || c == &plain.conn[1] ? &plain : &secure;
}

static void on_up(struct net_conn *c)
{
	rig_of(c)->n_up++;
}

static size_t on_bytes(struct net_conn *c, struct str bytes)
{
	rig_of(c)->n_got += bytes.n;
	return bytes.n;
}

static void on_unsent(struct net_conn *c, uint64_t tag, enum err why)
{
	die("a message was not sent");
}

static void on_down(struct net_conn *c, enum err why)
{
	die("a connection went down");
}

static const struct net_conn_user user = {on_up, on_bytes, on_unsent, on_down, NULL};

static void put_filter(struct rig *r, int side)
{
	struct net_filter *f = NULL;
	if (r->tls[side] && net_tls_filter(r->tls[side], side == CLIENT ? "example.com" : NULL, &f))
		die("no TLS");
	if (f)
		net_conn_filter(&r->conn[side], f);
}

static void accept_one(void *arg, unsigned events)
{
	struct rig *r = arg;
	struct addr peer;
	if (net_conn_accept(&r->conn[SERVER], &r->net[SERVER], &user, r->listener, &peer, 400000) ==
	    OK)
		put_filter(r, SERVER);
}

static void make_certificate(struct rig *r, const char *dir)
{
	struct buf why;
	struct str names[] = {STR("example.com")};
	struct net_tls_self s = {.dir = dir, .names = names, .n_names = 1};
	buf_init(&why);
	if (net_tls_self(&s, &why))
		die("no certificate");
	struct net_tls_cfg server = {.cert = {s.cert}, .key = {s.key}, .n_certs = 1};
	struct net_tls_cfg client = {.ca = s.cert};
	if (net_tls_new(&server, &r->tls[SERVER], &why) ||
	    net_tls_new(&client, &r->tls[CLIENT], &why))
		die("no TLS");
	unlink(s.cert);
	unlink(s.key);
	buf_fini(&why);
}

static void pass(struct rig *r, uint64_t us)
{
	sim_run(r->sim, sim_now_us(r->sim) + us);
}

static void open_rig(struct rig *r)
{
	const char *why;
	struct sim_host *h;
	struct sim_link link = {.delay_us = 10};
	memset(r->message, 'a', sizeof(r->message));
	if (sim_new(7, &r->sim))
		die("no simulation");
	sim_link_default(r->sim, &link);
	for (uint8_t i = 0; i < 2; i++) {
		r->to = (struct addr){
			.family = ADDR_V4, .ip = {10, 0, 0, (uint8_t)(1 + i)}
                };
		if (sim_host_new(r->sim, "host", &r->to, 1, &h) || sim_env_new(h, &r->env[i]) ||
		    ev_shards_new(&r->env[i], 1, &r->shards[i]) ||
		    net_init(&r->net[i], ev_shard(r->shards[i], 0)))
			die("no host");
		sim_add_loop(r->sim, ev_shard(r->shards[i], 0));
	}
	r->to.port = 5061;
	if (env_tcp_listen(r->env[SERVER], &r->to, 0, accept_one, r, &r->listener, &why) ||
	    net_conn_connect(&r->conn[CLIENT], &r->net[CLIENT], &user, NULL, &r->to, 400000))
		die("no connection");
	put_filter(r, CLIENT);
	pass(r, 100000);
	if (r->n_up < (r->tls[SERVER] ? 2 : 1))
		die("no handshake");
}

static void messages(void *arg, uint64_t n)
{
	struct rig *r = arg;
	for (uint64_t i = 0; i < n; i++) {
		r->n_got = 0;
		if (net_conn_send(&r->conn[CLIENT], str_of(r->message, MESSAGE), 0))
			die("not sent");
		pass(r, 100);
		if (r->n_got != MESSAGE)
			die("not received");
	}
}

void bench_main(void)
{
	char dir[] = "/tmp/rung-bench-XXXXXX";
	if (!mkdtemp(dir))
		die("no folder");
	make_certificate(&secure, dir);
	rmdir(dir);
	open_rig(&plain);
	open_rig(&secure);
	double plain_ns = bench_run(&(struct bench){
		.name = "  of it: the same over plain connections", .fn = messages, .arg = &plain});
	bench_run(&(struct bench){.name = "TLS, message of 1.1 kB written and read",
				  .fn = messages,
				  .arg = &secure,
				  .own_ns = plain_ns,
				  .budget_ns = 8000,
				  .budget_mallocs = 2});
}
