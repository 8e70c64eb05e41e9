/* See rig.h. */

#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct addr at(const char *text)
{
	struct addr a = {0};
	if (!addr_parse(str_c(text), 0, &a))
		test_fail(__FILE__, __LINE__, "no address: %s", text);
	return a;
}

struct world *world_new(bool is_os)
{
	struct world *w = calloc(1, sizeof(*w));
	CHECK(w);
	if (!is_os) {
		struct sim_link link = {.delay_us = 1'000};
		CHECK_EQ(sim_new(1, &w->sim), OK);
		sim_link_default(w->sim, &link);
	}
	return w;
}

/* --- running -------------------------------------------------------------------------------- */

static void turn(struct ev_loop *l, uint64_t us)
{
	ev_turn(l);
	env_poll(l->env, us);
	ev_turn(l);
}

void world_pass(struct world *w, uint64_t us)
{
	if (w->sim) {
		sim_run(w->sim, sim_now_us(w->sim) + us);
		return;
	}
	for (struct node *n = w->nodes; n; n = n->next) {
		for (size_t i = 0; i < n->n; i++)
			turn(ev_shard(n->shards, i), 200);
	}
	for (struct raw *r = w->raws; r; r = r->next)
		turn(&r->loop, 200);
}

/* --- nodes ---------------------------------------------------------------------------------- */

static void on_message(void *ctx, struct tp_rx *rx)
{
	struct node_shard *s = ctx;
	struct node *n = s->node;
	if (n->n_msg < RIG_LOG) {
		n->msg_shard[n->n_msg] = s->i;
		n->msg[n->n_msg++] = tp_rx_ref(rx);
	}
	if (n->hook)
		n->hook(n, s->i, rx);
}

static void on_error(void *ctx, const struct tp_error *e)
{
	struct node_shard *s = ctx;
	struct node *n = s->node;
	if (n->n_error == RIG_LOG)
		return;
	struct rig_error *r = &n->error[n->n_error++];
	r->e = *e;
	r->shard = s->i;
	str_copy(r->branch, sizeof(r->branch), e->branch);
	r->e.branch = str_c(r->branch);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	struct node_shard *s = ctx;
	struct node *n = s->node;
	if (n->n_down == RIG_LOG)
		return;
	n->down[n->n_down].shard = s->i;
	n->down[n->n_down++].flow = flow;
}

static void on_tap(void *ctx, uint64_t at_us, bool is_sent, enum tp_proto proto,
		   const struct addr *from, const struct addr *to, struct str bytes)
{
	struct node_shard *s = ctx;
	struct node *n = s->node;
	if (n->n_tap == RIG_LOG)
		return;
	n->tap[n->n_tap].is_sent = is_sent;
	n->tap[n->n_tap].proto = proto;
	n->tap[n->n_tap].from = *from;
	n->tap[n->n_tap].to = *to;
	n->tap[n->n_tap++].n = bytes.n;
}

static struct env *new_env(struct world *w, struct sim_host *h)
{
	struct env *e = NULL;
	if (w->sim)
		CHECK_EQ(sim_env_new(h, &e), OK);
	else
		CHECK_EQ(env_os_new(&e), OK);
	return e;
}

static struct sim_host *new_host(struct world *w, const char *ips, struct addr *first)
{
	struct addr a[8];
	size_t n = 0;
	struct sim_host *h = NULL;
	for (struct str rest = str_c(ips); rest.n && n < 8;)
		CHECK(addr_parse(str_cut(rest, ',', &rest), 0, &a[n++]));
	*first = a[0];
	if (w->sim)
		CHECK_EQ(sim_host_new(w->sim, ips, a, n, &h), OK);
	return h;
}

static void on_pong(void *ctx, const struct tp_pong *p)
{
	struct node *n = ((struct node_shard *)ctx)->node;
	n->n_pong++;
	n->pong = *p;
	if (p->txid)
		memcpy(n->pong_txid, p->txid, sizeof(n->pong_txid));
}

struct node *node_new(struct world *w, const char *ips, size_t n_shards,
		      const struct tp_limits *limits)
{
	struct node *n = calloc(1, sizeof(*n));
	CHECK(n);
	n->w = w;
	n->host = new_host(w, ips, &n->ip);
	for (size_t i = 0; i < n_shards; i++)
		n->env[i] = new_env(w, n->host);
	CHECK_EQ(ev_shards_new(n->env, n_shards, &n->shards), OK);
	for (size_t i = 0; i < n_shards; i++) {
		n->ctx[i] = (struct node_shard){n, i};
		struct tp_user user = {&n->ctx[i], on_message, on_error, on_flow_down, on_pong};
		struct ev_loop *l = ev_shard(n->shards, i);
		CHECK_EQ(tp_new(l, &n->blocks[i], &user, limits, &n->tp[i]), OK);
		tp_set_keys(n->tp[i], (const uint8_t *)"0123456789abcdef",
			    (const uint8_t *)"fedcba9876543210");
		if (w->sim)
			sim_add_loop(w->sim, l);
		n->n++;
	}
	n->next = w->nodes;
	w->nodes = n;
	return n;
}

void node_listen(struct node *n, enum tp_proto proto, const char *addr)
{
	struct addr a = at(addr);
	const char *why = "";
	for (size_t i = 0; i < n->n; i++) {
		enum err e = tp_listen(n->tp[i], proto, &a, &why);
		if (e == ERR_NOMEM)
			CHECK(e == OK);
		if (e != OK)
			test_fail(__FILE__, __LINE__, "listen %s: %s", addr, why);
	}
}

struct addr node_addr(const struct node *n, size_t i)
{
	enum tp_proto proto;
	struct addr a = {0};
	CHECK(tp_listener(n->tp[0], i, &proto, &a));
	return a;
}

void node_forget(struct node *n)
{
	for (size_t i = 0; i < n->n_msg; i++)
		tp_rx_unref(n->tp[n->msg_shard[i]], n->msg[i]);
	n->n_msg = n->n_error = n->n_down = n->n_tap = 0;
}

void node_tap(struct node *n)
{
	for (size_t i = 0; i < n->n; i++) {
		struct tp_tap tap = {&n->ctx[i], on_tap};
		tp_set_tap(n->tp[i], &tap);
	}
}

struct ev_loop *node_loop(struct node *n, size_t shard)
{
	return ev_shard(n->shards, shard);
}

size_t node_connections(const struct node *n)
{
	size_t sum = 0;
	for (size_t i = 0; i < n->n; i++) {
		struct tp_stats s;
		tp_stats(n->tp[i], &s);
		sum += s.live_connections;
	}
	return sum;
}

static void node_free(struct node *n)
{
	node_forget(n);
	for (size_t i = 0; i < n->n; i++) {
		if (n->w->sim)
			sim_del_loop(n->w->sim, ev_shard(n->shards, i));
		tp_free(n->tp[i]);
	}
	ev_shards_free(n->shards);
	for (size_t i = 0; i < n->n; i++) {
		env_free(n->env[i]);
		block_cache_fini(&n->blocks[i]);
	}
	free(n);
}

/* --- raw peers ------------------------------------------------------------------------------ */

static void raw_ready(void *arg, unsigned events)
{
	struct raw *r = arg;
	char chunk[4096];
	size_t n;
	enum err e = OK;
	if (events & ENV_HUP)
		r->is_over = true;
	if (events & ENV_WRITE && !r->is_up) {
		r->is_up = true;
		env_want(r->sock, r->is_slow ? 0 : ENV_READ);
	}
	while (events & ENV_READ && !r->is_slow && (e = env_read(r->sock, chunk, 4096, &n)) == OK)
		buf_put(&r->in, chunk, n);
	if (e != OK && e != ERR_MORE)
		r->is_over = true;
	if (r->is_over && r->sock) {
		env_close(r->sock);
		r->sock = NULL;
	}
}

static void raw_accept(void *arg, unsigned events)
{
	struct raw *r = arg;
	struct addr peer;
	if (!r->sock && env_accept(r->listener, raw_ready, r, &r->sock, &peer) == OK) {
		r->is_up = true;
		env_want(r->listener, 0); /* others wait in the backlog */
		if (r->is_slow)
			env_want(r->sock, 0);
	}
}

/* On `host`, or on a new one with that address. */
static struct raw *raw_new(struct world *w, struct sim_host *host, const char *ip)
{
	struct raw *r = calloc(1, sizeof(*r));
	struct addr first;
	CHECK(r);
	r->w = w;
	buf_init(&r->in);
	r->host = host ? host : new_host(w, ip, &first);
	r->env = new_env(w, r->host);
	ev_loop_init(&r->loop, r->env);
	if (w->sim)
		sim_add_loop(w->sim, &r->loop);
	r->next = w->raws;
	w->raws = r;
	return r;
}

struct raw *raw_connect(struct world *w, const char *ip, struct addr to)
{
	struct raw *r = raw_new(w, NULL, ip);
	struct addr local = at(ip);
	CHECK_EQ(env_tcp_connect(r->env, &local, &to, raw_ready, r, &r->sock), OK);
	return r;
}

struct raw *raw_more(struct raw *first, struct addr to)
{
	struct raw *r = raw_new(first->w, first->host, NULL);
	CHECK_EQ(env_tcp_connect(r->env, NULL, &to, raw_ready, r, &r->sock), OK);
	return r;
}

struct raw *raw_listen(struct world *w, const char *addr)
{
	struct addr a = at(addr);
	char ip[ADDR_TEXT_MAX];
	struct addr bare = a;
	bare.port = 0;
	struct raw *r = raw_new(w, NULL, addr_text(&bare, ip));
	const char *why;
	CHECK_EQ(env_tcp_listen(r->env, &a, 0, raw_accept, r, &r->listener, &why), OK);
	return r;
}

void raw_write(struct raw *r, struct str bytes)
{
	size_t n;
	WAIT(r->w, r->is_up);
	while (bytes.n && r->sock) {
		enum err e = env_write(r->sock, bytes.p, bytes.n, &n);
		if (e == ERR_MORE) {
			world_pass(r->w, 1'000);
			continue;
		}
		CHECK_EQ(e, OK);
		bytes = str_skip(bytes, n);
	}
}

void raw_read_on(struct raw *r)
{
	CHECK(r->sock);
	r->is_slow = false;
	env_want(r->sock, ENV_READ);
}

void raw_close(struct raw *r)
{
	env_close(r->sock);
	r->sock = NULL;
	r->is_over = true;
}

static void raw_free(struct raw *r)
{
	if (r->w->sim)
		sim_del_loop(r->w->sim, &r->loop);
	env_close(r->sock);
	env_close(r->listener);
	ev_loop_fini(&r->loop);
	env_free(r->env);
	buf_fini(&r->in);
	free(r);
}

void world_free(struct world *w)
{
	for (struct node *n; (n = w->nodes);) {
		w->nodes = n->next;
		node_free(n);
	}
	for (struct raw *r; (r = w->raws);) {
		w->raws = r->next;
		raw_free(r);
	}
	if (w->sim)
		sim_free(w->sim);
	free(w);
}

/* --- messages ------------------------------------------------------------------------------- */

static char *next_room(void)
{
	static char room[8][70'000];
	static unsigned at_room;
	return room[at_room++ % 8];
}

struct str request(const char *call_id, const char *branch, size_t n_body)
{
	char *p = next_room();
	int n = snprintf(p, 70'000,
			 "OPTIONS sip:bob@example.com SIP/2.0\r\n"
			 "Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=%s\r\n"
			 "Max-Forwards: 70\r\n"
			 "From: <sip:alice@example.com>;tag=a\r\n"
			 "To: <sip:bob@example.com>\r\n"
			 "Call-ID: %s\r\n"
			 "CSeq: 1 OPTIONS\r\n"
			 "Content-Length: %zu\r\n\r\n",
			 branch ? branch : "z9hG4bKnashds8", call_id ? call_id : "a84b4c76e66710",
			 n_body);
	memset(p + n, 'x', n_body);
	return str_of(p, (size_t)n + n_body);
}

struct str response(const char *call_id, const char *branch, int status)
{
	char *p = next_room();
	int n = snprintf(p, 70'000,
			 "SIP/2.0 %d Whatever\r\n"
			 "Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=%s\r\n"
			 "From: <sip:alice@example.com>;tag=a\r\n"
			 "To: <sip:bob@example.com>;tag=b\r\n"
			 "Call-ID: %s\r\n"
			 "CSeq: 1 OPTIONS\r\n"
			 "Content-Length: 0\r\n\r\n",
			 status, branch ? branch : "z9hG4bKnashds8",
			 call_id ? call_id : "a84b4c76e66710");
	return str_of(p, (size_t)n);
}

struct tp_dst to_addr(enum tp_proto proto, struct addr a)
{
	return (struct tp_dst){.proto = proto, .to = a};
}

const char *call_id_for(struct node *n, size_t shard)
{
	static char ids[8][32];
	static unsigned at_id;
	char *id = ids[at_id++ % 8];
	for (unsigned i = 0;; i++) {
		snprintf(id, sizeof(ids[0]), "call-%u-%zu", i, shard);
		if (tp_owner_of(n->tp[0], str_c(id), STR_NONE) == shard)
			return id;
	}
}
