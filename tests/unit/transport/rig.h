#pragma once
/* A small world for the tests of transport: nodes with a transport on each of their shards, and raw
 * peers that speak bytes. In virtual time over env_sim, or on loopback over env_os; in one thread
 * either way. What a node's transport reports is kept in lists. */

#include "event/shard.h"
#include "event/sim.h"
#include "net/dns.h"
#include "test.h"
#include "transport/transport.h"

#define RIG_SHARDS 4
#define RIG_LOG    2048

struct world {
	struct sim *sim; /* NULL: the operating system */
	struct node *nodes;
	struct raw *raws;
};

struct rig_error {
	struct tp_error e;
	char branch[128];
	size_t shard;
};

struct node {
	struct node *next;
	struct world *w;
	struct sim_host *host;
	struct ev_shards *shards;
	size_t n;
	struct addr ip;
	struct env *env[RIG_SHARDS];
	struct block_cache blocks[RIG_SHARDS];
	struct tp *tp[RIG_SHARDS];
	struct node_shard {
		struct node *node;
		size_t i;
	} ctx[RIG_SHARDS];
	/* what happened */
	size_t n_msg, n_error, n_down, n_tap, n_pong;
	struct tp_pong pong; /* the last one */
	uint8_t pong_txid[12];
	struct tp_rx *msg[RIG_LOG];
	size_t msg_shard[RIG_LOG];
	struct rig_error error[RIG_LOG];
	struct {
		tp_flow flow;
		size_t shard;
	} down[RIG_LOG];
	struct {
		bool is_sent;
		enum tp_proto proto;
		struct addr from, to;
		size_t n;
	} tap[RIG_LOG];
	void (*hook)(struct node *n, size_t shard, struct tp_rx *rx);
};

struct raw { /* a socket of a test's own */
	struct raw *next;
	struct world *w;
	struct env *env;
	struct ev_loop loop;
	struct env_sock *sock, *listener;
	struct sim_host *host;
	struct buf in;
	bool is_up, is_over, is_slow; /* slow: reads nothing */
};

struct world *world_new(bool is_os);
void world_free(struct world *w);
void world_pass(struct world *w, uint64_t us);

/* Waits until e is true, for at most 10 s. */
#define WAIT(w, e)                                                                                 \
	do {                                                                                       \
		for (int wait_i = 0; wait_i < 10'000 && !(e); wait_i++)                            \
			world_pass(w, 1'000);                                                      \
		CHECK(e);                                                                          \
	} while (0)

struct addr at(const char *text); /* "10.0.0.1:5060" */
/* `ips`: addresses of its host, by commas; over env_os they must be there already. */
struct node *node_new(struct world *w, const char *ips, size_t n_shards,
		      const struct tp_limits *limits);
void node_listen(struct node *n, enum tp_proto proto, const char *addr);
struct addr node_addr(const struct node *n, size_t i); /* of listener i */
void node_forget(struct node *n);                      /* empties the lists */
void node_tap(struct node *n);
struct ev_loop *node_loop(struct node *n, size_t shard);
size_t node_connections(const struct node *n);

/* A TCP connection from `ip` to `to`, not waited for. */
struct raw *raw_connect(struct world *w, const char *ip, struct addr to);
struct raw *raw_more(struct raw *r, struct addr to);       /* another one from the same host */
struct raw *raw_listen(struct world *w, const char *addr); /* accepts one connection */
void raw_write(struct raw *r, struct str bytes);
void raw_read_on(struct raw *r); /* a slow one begins to read */
void raw_close(struct raw *r);

/* An OPTIONS with these fields (NULL: usual ones) and a body of that many bytes. The result lives
 * until the next but seven call. */
struct str request(const char *call_id, const char *branch, size_t n_body);
struct str response(const char *call_id, const char *branch, int status);
struct tp_dst to_addr(enum tp_proto proto, struct addr a);
/* A Call-ID that hashes to that shard of the node. */
const char *call_id_for(struct node *n, size_t shard);
