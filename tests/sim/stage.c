/* The stage of the simulation tests. Every loop (shards and phones) is run by the simulation;
 * nothing here looks at a real clock. */
#include "stage.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct addr address(const char *text, uint16_t port)
{
	struct addr a;
	CHECK(addr_parse(str_c(text), port, &a));
	a.port = port;
	return a;
}

static void on_packet(void *arg, const struct sim_packet *p)
{
	static const uint8_t key[16] = {1};
	struct stage *s = arg;
	uint64_t in[4] = {s->wire_hash, p->at_us, siphash(key, p->bytes.p, p->bytes.n),
			  addr_hash(key, &p->from) ^ p->is_lost};
	s->wire_hash = siphash(key, in, sizeof(in));
	s->n_packets++;
	if (getenv("DUMP")) {
		char x[64], y[64];
		fprintf(stderr, "%llu %s > %s %d %.*s\n", (unsigned long long)p->at_us,
			addr_text(&p->from, x), addr_text(&p->to, y), p->is_lost, (int)p->bytes.n,
			p->bytes.p);
	}
}

static void on_note(void *ctx, const struct exc_note *n)
{
	struct stage *s = ctx;
	if (n->kind == EXC_NOTE_LEG && s->on_leg)
		s->on_leg(s->leg_ctx, n->text, n->call_id);
	size_t room = sizeof(s->notes) - s->n_notes;
	int len = snprintf(s->notes + s->n_notes, room, STR_FMT ": " STR_FMT "\n", STR_ARG(n->user),
			   STR_ARG(n->text));
	if (len > 0 && (size_t)len < room)
		s->n_notes += (size_t)len;
}

void stage_open_exchange(struct stage *s)
{
	struct buf why;
	const char *reason = "";
	buf_init(&why);
	for (size_t i = 0; i < s->n_shards; i++)
		CHECK_EQ(sim_env_new(s->server, &s->envs[i]), OK);
	CHECK_EQ(ev_shards_new(s->envs, s->n_shards, &s->shards), OK);
	CHECK_EQ(ev_workers_start(s->shards, 0), OK);
	CHECK_EQ(st_open_mem(s->disk, &s->st, &why), OK);
	CHECK_EQ(exc_new(s->shards, s->st, s->envs[0], &s->cfg, &s->exc, &why), OK);
	exc_set_notes(s->exc, on_note, s);
	static const uint16_t ports[TP__N] = {5060, 5060, 5061, 80, 443};
	exc_set_tls(s->exc, s->tls);
	for (size_t i = 0; i < TP__N; i++) {
		struct addr any = {.family = ADDR_V4, .port = ports[i]};
		CHECK_EQ(exc_listen(s->exc, (enum tp_proto)i, &any, &reason), OK);
	}
	for (size_t i = 0; i < s->n_shards; i++)
		sim_add_loop(s->sim, ev_shard(s->shards, i));
	buf_fini(&why);
}

void stage_listen6(struct stage *s)
{
	const char *reason = "";
	struct addr any = {.family = ADDR_V6, .port = 5060};
	CHECK_EQ(exc_listen(s->exc, TP_UDP, &any, &reason), OK);
	CHECK_EQ(exc_listen(s->exc, TP_TCP, &any, &reason), OK);
}

/* Whose timer or deferred call is left, that one has outlived its owner: all are gone. */
void stage_check_loop(const struct ev_loop *l)
{
	CHECK_EQ(l->wheel.n, 0);
	CHECK(!l->tasks);
}

static void close_exchange(struct stage *s)
{
	if (!s->exc)
		return;
	for (size_t i = 0; i < s->n_shards; i++)
		sim_del_loop(s->sim, ev_shard(s->shards, i));
	exc_free(s->exc);
	s->exc = NULL;
	st_close(s->st);
	ev_workers_stop(s->shards);
	for (size_t i = 0; i < s->n_shards; i++)
		stage_check_loop(ev_shard(s->shards, i));
	ev_shards_free(s->shards);
	for (size_t i = 0; i < s->n_shards; i++)
		env_free(s->envs[i]);
}

void stage_crash(struct stage *s)
{
	sim_host_crash(s->server);
	st_mem_crash(s->disk);
	close_exchange(s);
	sim_host_up(s->server);
	st_mem_restart(s->disk);
}

struct stage *stage_new(uint64_t seed, size_t n_shards, const struct sim_link *link)
{
	struct exc_cfg cfg = {.realm = STR("sim"), .product = STR("rung")};
	return stage_new_with(seed, n_shards, link, &cfg);
}

struct stage *stage_new_with(uint64_t seed, size_t n_shards, const struct sim_link *link,
			     const struct exc_cfg *cfg)
{
	struct stage *s = calloc(1, sizeof(*s));
	CHECK(s);
	struct addr ips[] = {address(STAGE_SERVER, 0), address(STAGE_SERVER6, 0)};
	s->n_shards = n_shards;
	s->cfg = *cfg;
	CHECK_EQ(sim_new(seed, &s->sim), OK);
	sim_tap(s->sim, on_packet, s);
	if (link)
		sim_link_default(s->sim, link);
	CHECK_EQ(sim_host_new(s->sim, "exchange", ips, 2, &s->server), OK);
	CHECK_EQ(st_mem_new(&s->disk), OK);
	s->tls = net_tls_new_null();
	CHECK(s->tls);
	stage_open_exchange(s);
	return s;
}

static void close_phone(struct stage_phone *p)
{
	sim_del_loop(p->stage->sim, &p->loop);
	ph_free(p->ph);
	stage_check_loop(&p->loop);
	ev_loop_fini(&p->loop);
	env_free(p->env);
}

void stage_free(struct stage *s)
{
	for (size_t i = 0; i < s->n_phones; i++)
		close_phone(&s->phones[i]);
	close_exchange(s);
	st_mem_free(s->disk);
	sim_free(s->sim);
	net_tls_free(s->tls);
	free(s);
}

static void on_loaded(void *ctx, enum err e)
{
	CHECK_EQ(e, OK);
	*(bool *)ctx = true;
}

static bool is_true(void *arg)
{
	return *(bool *)arg;
}

static void reload(struct stage *s)
{
	bool is_loaded = false;
	acc_reload(exc_accounts(s->exc), on_loaded, &is_loaded);
	CHECK(sim_run_until(s->sim, sim_now_us(s->sim) + 1000000, is_true, &is_loaded));
}

void stage_account_del(struct stage *s, const char *user)
{
	CHECK_EQ(st_account_del(s->st, str_c(user)), OK);
	reload(s);
}

void stage_account(struct stage *s, const char *user)
{
	struct st_account a = {.user = str_c(user), .is_enabled = true};
	acc_set_password(&a, STR("sim"), STR(STAGE_PASSWORD));
	enum err e = st_account_put(s->st, &a, ST_ADD);
	CHECK(e == OK || e == ERR_STATE);
	reload(s);
}

/* Text of a JSON member: "key":"value". */
static void member(struct str json, const char *key, char *out, size_t cap)
{
	char head[32];
	snprintf(head, sizeof(head), "\"%s\":\"", key);
	size_t at = str_find(json, str_c(head));
	out[0] = 0;
	if (at == SIZE_MAX)
		return;
	struct str rest = str_skip(json, at + strlen(head));
	str_copy(out, cap, str_sub(rest, 0, str_chr(rest, '"')));
}

struct stage_call *stage_find_call(struct stage_phone *p, const char *call_id)
{
	for (size_t i = 0; i < p->n_calls; i++)
		if (strcmp(p->calls[i].call_id, call_id) == 0)
			return &p->calls[i];
	return NULL;
}

static void note_call(struct stage_phone *p, const struct ph_event *ev)
{
	char id[80];
	member(ev->json, "call_id", id, sizeof(id));
	struct stage_call *c = stage_find_call(p, id);
	bool is_new = strcmp(ev->name, "calling") == 0 || strcmp(ev->name, "incoming") == 0;
	if (!c && is_new && p->n_calls < STAGE_CALLS) {
		c = &p->calls[p->n_calls++];
		snprintf(c->call_id, sizeof(c->call_id), "%s", id);
		c->is_caller = strcmp(ev->name, "calling") == 0;
	}
	if (!c)
		return;
	c->is_answered |= strcmp(ev->name, "answered") == 0;
	if (strcmp(ev->name, "ended") != 0)
		return;
	c->n_ended++;
	member(ev->json, "by", c->by, sizeof(c->by));
	member(ev->json, "cause", c->cause, sizeof(c->cause));
}

static void on_event(void *ctx, struct ph *ph, const struct ph_event *ev)
{
	struct stage_phone *p = ctx;
	size_t room = sizeof(p->log) - p->n_log;
	char id[80];
	member(ev->json, "call_id", id, sizeof(id));
	int n = snprintf(p->log + p->n_log, room, "%9.3f %.6s %s " STR_FMT "\n",
			 (double)ev->at_us / 1e6, id, ev->name, STR_ARG(ev->text));
	if (n > 0 && (size_t)n < room)
		p->n_log += (size_t)n;
	p->is_started |= strcmp(ev->name, "ready") == 0;
	p->n_registered +=
		strcmp(ev->name, "registered") == 0 || strcmp(ev->name, "refreshed") == 0;
	p->n_failed += strcmp(ev->name, "register-failed") == 0;
	p->n_answered += strcmp(ev->name, "answered") == 0;
	p->n_notified += strcmp(ev->name, "notify") == 0;
	p->n_media_events += strcmp(ev->name, "tone") == 0 || strcmp(ev->name, "audio") == 0;
	note_call(p, ev);
	if (ev->is_end)
		p->outcome = ev->outcome;
	if (strcmp(ev->name, "ended") != 0)
		return;
	p->n_ended++;
	member(ev->json, "by", p->by, sizeof(p->by));
	member(ev->json, "cause", p->cause, sizeof(p->cause));
}

struct place {
	const char *scheme, *server, *net;
};
static const struct place lan4 = {"sip", STAGE_SERVER, "10.0.0."},
			  lan6 = {"sip", "[" STAGE_SERVER6 "]", "2001:db8::"},
			  sips4 = {"sips", STAGE_SERVER, "10.0.0."};

static struct stage_phone *new_phone(struct stage *s, const char *user, const char *password,
				     enum tp_proto proto, const struct place *at)
{
	CHECK(s->n_phones < STAGE_PHONES);
	struct stage_phone *p = &s->phones[s->n_phones];
	char from[64];
	const char *why = "";
	p->stage = s;
	snprintf(p->user, sizeof(p->user), "%s", user);
	snprintf(p->host, sizeof(p->host), "%s%zu", at->net, 10 + s->n_phones);
	snprintf(from, sizeof(from), "%s:%s@%s", at->scheme, user, at->server);
	struct addr ip = address(p->host, 0);
	CHECK_EQ(sim_host_new(s->sim, user, &ip, 1, &p->sim_host), OK);
	CHECK_EQ(sim_env_new(p->sim_host, &p->env), OK);
	ev_loop_init(&p->loop, p->env);
	sim_add_loop(s->sim, &p->loop);
	s->n_phones++;
	struct ph_config cfg = {
		.from = str_c(from),
		.password = str_c(password),
		.proxy = str_c(at->server),
		.proto = proto,
		.tls = s->tls,
		.bind = address(p->host, 5060),
		.on_event = on_event,
		.ctx = p,
	};
	CHECK_EQ(ph_new(&p->loop, &cfg, &p->ph, &why), OK);
	ph_plan_init(&p->plan);
	ph_accept(p->ph, &p->plan);
	ph_start(p->ph, STR_NONE);
	CHECK(p->is_started);
	return p;
}

struct stage_phone *stage_phone_with(struct stage *s, const char *user, const char *password,
				     enum tp_proto proto)
{
	return new_phone(s, user, password, proto, &lan4);
}

struct stage_phone *stage_phone6(struct stage *s, const char *user, enum tp_proto proto)
{
	stage_account(s, user);
	return new_phone(s, user, STAGE_PASSWORD, proto, &lan6);
}

struct stage_phone *stage_phone_sips(struct stage *s, const char *user, enum tp_proto proto)
{
	stage_account(s, user);
	return new_phone(s, user, STAGE_PASSWORD, proto, &sips4);
}

struct stage_phone *stage_phone(struct stage *s, const char *user, enum tp_proto proto)
{
	stage_account(s, user);
	return stage_phone_with(s, user, STAGE_PASSWORD, proto);
}

void stage_run(struct stage *s, double seconds)
{
	sim_run(s->sim, sim_now_us(s->sim) + (uint64_t)(seconds * 1e6));
}

bool stage_run_until(struct stage *s, double seconds, bool (*pred)(void *arg), void *arg)
{
	return sim_run_until(s->sim, sim_now_us(s->sim) + (uint64_t)(seconds * 1e6), pred, arg);
}

static bool is_registered(void *arg)
{
	struct stage_phone *p = arg;
	return p->n_registered + p->n_failed > 0;
}

void stage_register(struct stage *s, struct stage_phone *p)
{
	ph_register(p->ph, 3600, false);
	CHECK(stage_run_until(s, 64, is_registered, p));
}

void stage_call(struct stage_phone *p, const char *user, const struct ph_plan *plan)
{
	char uri[64];
	snprintf(uri, sizeof(uri), "sip:%s@" STAGE_SERVER, user);
	CHECK_EQ(ph_call(p->ph, str_c(uri), plan), OK);
}
