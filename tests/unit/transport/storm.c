/* Seeds of disorder: nodes of several shards send to each other over flows and by address, peers
 * close, stop reading, talk nonsense. Whatever happens: a flow that was seen up is reported down on
 * every shard once, an owner hears of its message at most once, nothing stays, nothing leaks. And
 * with real threads: the same code, watched by the thread sanitizer. */

#include "rig.h"

#include <stdio.h>
#include <string.h>

#define NODES 3
#define STEPS 300

static struct world *w;
static struct node *node[NODES];
static uint64_t rng;

static unsigned below(unsigned n)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(rng >> 33) % n;
}

static void step(struct raw **raws, size_t n_raws, obj_id *next_owner)
{
	struct node *n = node[below(NODES)];
	size_t shard = below((unsigned)n->n);
	struct raw *r = n_raws ? raws[below((unsigned)n_raws)] : NULL;
	struct tp_dst d = to_addr(TP_TCP, node_addr(node[below(NODES)], 0));
	obj_id owner = (obj_id)shard << 48 | ++*next_owner;
	enum err e;
	char id[32];
	snprintf(id, sizeof(id), "storm-%u", below(50));
	switch (below(12)) {
	case 0:
		d.to.port = 9; /* nobody */
		[[fallthrough]];
	case 1:
	case 2:
	case 3:
		e = tp_send(n->tp[shard], &d, request(id, NULL, below(3'000)), owner);
		CHECK(e == OK || e == ERR_NET || e == ERR_LIMIT);
		break;
	case 4:
	case 5:
	case 6:
		if (n->n_msg) {
			d = tp_response_dst(n->msg[below((unsigned)n->n_msg)]);
			e = tp_send(n->tp[shard], &d, response(id, NULL, 200), owner);
			CHECK(e == OK || e == ERR_NET || e == ERR_LIMIT);
		}
		break;
	case 7:
		if (r && r->sock && r->is_up)
			raw_write(r, request(id, NULL, below(500)));
		break;
	case 8:
		if (r && r->sock && r->is_up && below(3) == 0)
			raw_write(r, STR("nonsense\r\n\r\n"));
		break;
	case 9:
		if (r && below(3) == 0)
			raw_close(r);
		break;
	default:
		world_pass(w, below(5'000));
	}
}

static void check_downs(const struct node *n)
{
	for (size_t i = 0; i < n->n_msg; i++) {
		size_t seen[RIG_SHARDS] = {0};
		CHECK(!tp_flow_is_up(n->tp[0], n->msg[i]->flow));
		for (size_t k = 0; k < n->n_down; k++)
			seen[n->down[k].shard] += n->down[k].flow == n->msg[i]->flow;
		for (size_t s = 0; s < n->n; s++)
			CHECK_EQ(seen[s], 1);
	}
}

static void check_errors(const struct node *n)
{
	for (size_t i = 0; i < n->n_error; i++) {
		CHECK_EQ(obj_id_shard(n->error[i].e.owner), n->error[i].shard);
		for (size_t k = 0; k < i; k++)
			CHECK(n->error[k].e.owner != n->error[i].e.owner);
	}
}

static void storm(uint64_t seed)
{
	static const char *const ips[NODES] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
	struct tp_limits limits = {.idle_us = 2'000'000, .max_queued_bytes = 40'000};
	struct raw *raws[6];
	obj_id next_owner = 0;
	char text[64];
	rng = seed;
	w = world_new(false);
	for (size_t i = 0; i < NODES; i++) {
		node[i] = node_new(w, ips[i], 1 + i, &limits);
		snprintf(text, sizeof(text), "%s:5060", ips[i]);
		node_listen(node[i], TP_TCP, text);
	}
	for (size_t i = 0; i < 6; i++) {
		snprintf(text, sizeof(text), "10.0.1.%zu", i + 1);
		raws[i] = raw_connect(w, text, node_addr(node[i % NODES], 0));
		raws[i]->is_slow = i == 5;
	}
	for (int i = 0; i < STEPS; i++)
		step(raws, 6, &next_owner);
	world_pass(w, 20'000'000); /* all are idle at last */
	for (size_t i = 0; i < NODES; i++) {
		CHECK(node[i]->n_msg < RIG_LOG && node[i]->n_down < RIG_LOG);
		CHECK_EQ(node_connections(node[i]), 0);
		check_downs(node[i]);
		check_errors(node[i]);
	}
	world_free(w);
}

TEST_NO_OOM(storm_seeds)
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		storm(seed);
}

TEST(storm_without_memory)
{
	storm(4711);
}

/* --- threads -------------------------------------------------------------------------------- */

#define THREADS 3

static struct {
	struct env *env[THREADS];
	struct ev_shards *shards;
	struct block_cache blocks[THREADS];
	struct tp *tp[THREADS];
	size_t downs[THREADS];
} t;

static struct tp *own_tp(void *ctx)
{
	return *(struct tp **)ctx;
}

static void answer(void *ctx, struct tp_rx *rx)
{
	struct tp_dst d = tp_response_dst(rx);
	struct buf b;
	char room[1'000];
	buf_init_fixed(&b, room, sizeof(room));
	buf_str(&b, STR("SIP/2.0 200 OK\r\nVia: "));
	buf_str(&b, rx->msg->via);
	buf_str(&b, STR("\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: "));
	buf_str(&b, rx->msg->call_id);
	buf_str(&b, STR("\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
	if (rx->msg->is_request && (!rx->flow || tp_flow_is_up(own_tp(ctx), rx->flow)) &&
	    tp_send(own_tp(ctx), &d, buf_view(&b), 0) != OK)
		return;
}

static void no_error(void *ctx, const struct tp_error *e)
{
}

static void count_down(void *ctx, tp_flow flow)
{
	t.downs[(struct tp **)ctx - t.tp]++;
}

static void start_threads(const struct addr *udp, const struct addr *tcp)
{
	const char *why;
	for (size_t i = 0; i < THREADS; i++)
		CHECK_EQ(env_os_new(&t.env[i]), OK);
	CHECK_EQ(ev_shards_new(t.env, THREADS, &t.shards), OK);
	for (size_t i = 0; i < THREADS; i++) {
		struct tp_user user = {&t.tp[i], answer, no_error, count_down};
		CHECK_EQ(tp_new(ev_shard(t.shards, i), &t.blocks[i], &user, NULL, &t.tp[i]), OK);
		tp_set_keys(t.tp[i], (const uint8_t *)"0123456789abcdef",
			    (const uint8_t *)"fedcba9876543210");
		CHECK_EQ(tp_listen(t.tp[i], TP_UDP, udp, &why), OK);
		CHECK_EQ(tp_listen(t.tp[i], TP_TCP, tcp, &why), OK);
	}
	CHECK_EQ(ev_shards_start(t.shards, NULL, NULL), OK);
}

static void stop_threads(void)
{
	ev_shards_stop(t.shards);
	for (size_t i = 0; i < THREADS; i++)
		tp_free(t.tp[i]);
	ev_shards_free(t.shards);
	for (size_t i = 0; i < THREADS; i++) {
		env_free(t.env[i]);
		block_cache_fini(&t.blocks[i]);
	}
}

TEST_NO_OOM(storm_threads)
{
	struct addr udp = at("127.0.0.1:15073"), tcp = at("127.0.0.1:15074");
	char id[32];
	memset(&t, 0, sizeof(t));
	start_threads(&udp, &tcp);
	w = world_new(true);
	struct node *a = node_new(w, "127.0.0.1", 1, NULL);
	node_listen(a, TP_UDP, "127.0.0.1:0");
	struct tp_dst d = to_addr(TP_UDP, udp), s = to_addr(TP_TCP, tcp);
	for (unsigned i = 0; i < 400; i++) { /* Call-IDs of all shards, over both ways */
		snprintf(id, sizeof(id), "threads-%u", i);
		CHECK_EQ(tp_send(a->tp[0], i % 2 ? &d : &s, request(id, NULL, i), 0), OK);
		if (i % 8 == 0)
			world_pass(w, 1'000);
	}
	WAIT(w, a->n_msg == 400);
	struct raw *raws[8];
	for (size_t i = 0; i < 8; i++) {
		raws[i] = raw_connect(w, "127.0.0.1", tcp);
		snprintf(id, sizeof(id), "raw-%zu", i);
		raw_write(raws[i], request(id, NULL, 0));
	}
	for (size_t i = 0; i < 8; i++)
		WAIT(w, raws[i]->in.n > 0);
	for (size_t i = 0; i < 8; i++)
		raw_close(raws[i]);
	world_free(w); /* closes the connection of a too */
	struct env *pause;
	CHECK_EQ(env_os_new(&pause), OK);
	for (int i = 0; i < 20;
	     i++) /* the ends go round; what is on its way at the stop is freed */
		env_poll(pause, 5'000);
	env_free(pause);
	stop_threads();
	for (size_t i = 0; i < THREADS; i++)
		CHECK(t.downs[i] <= 9);
}
