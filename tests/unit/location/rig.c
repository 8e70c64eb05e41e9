#include "rig.h"

#include "base/assert.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static void hear(void *ctx, size_t shard, const struct loc_event *e)
{
	struct rig *r = ctx;
	int n = snprintf(r->log + r->log_n, sizeof(r->log) - r->log_n,
			 "%c" STR_FMT " " STR_FMT "\n", "+=-x"[e->kind], STR_ARG(e->aor),
			 STR_ARG(e->binding->uri));
	if (n > 0 && r->log_n + (size_t)n < sizeof(r->log))
		r->log_n += (size_t)n;
}

static bool start(struct rig *r, struct st_mem *disk, size_t max_contacts)
{
	struct addr ip = {
		.family = ADDR_V4, .ip = {192, 0, 2, 1}
        };
	struct loc_cfg cfg = {.max_contacts = max_contacts};
	struct buf why;
	if (sim_new(1, &r->sim) || sim_host_new(r->sim, "exchange", &ip, 1, &r->host))
		return false;
	for (size_t i = 0; i < r->n; i++)
		if (sim_env_new(r->host, &r->env[i]))
			return false;
	if (ev_shards_new(r->env, r->n, &r->shards))
		return false;
	buf_init(&why);
	enum err e = disk ? st_open_mem(disk, &r->st, &why) : OK;
	buf_fini(&why);
	if (e || loc_new(r->shards, r->st, &cfg, &r->loc))
		return false;
	loc_set_listener(r->loc, hear, r);
	for (size_t i = 0; i < r->n; i++)
		sim_add_loop(r->sim, ev_shard(r->shards, i));
	return true;
}

bool rig_start(struct rig *r, struct st_mem *disk, size_t n, uint64_t wall_s, size_t max_contacts)
{
	*r = (struct rig){.n = n};
	if (!start(r, disk, max_contacts)) {
		rig_stop(r);
		return false;
	}
	return true;
}

void rig_stop(struct rig *r)
{
	for (size_t i = 0; r->loc && i < r->n; i++)
		sim_del_loop(r->sim, ev_shard(r->shards, i));
	loc_free(r->loc);
	st_close(r->st);
	ev_shards_free(r->shards);
	for (size_t i = 0; i < r->n; i++)
		env_free(r->env[i]);
	if (r->sim)
		sim_free(r->sim);
	memset(r, 0, offsetof(struct rig, log));
}

void rig_run(struct rig *r, uint64_t us)
{
	sim_run(r->sim, sim_now_us(r->sim) + us);
}

static void on_done(struct loc_change *c)
{
	struct rig_change *k = CONTAINER_OF(c, struct rig_change, c);
	CHECK(!k->is_done);
	k->is_done = true;
}

void rig_contact(struct rig_change *k, const char *uri, uint32_t expires_s, uint16_t q)
{
	struct loc_contact *c = &k->contact[k->c.n_contacts++];
	*c = (struct loc_contact){.uri = str_c(uri), .expires_s = expires_s, .q = q};
	CHECK_EQ(sip_uri_parse(c->uri, &c->parsed), OK);
}

void rig_change(struct rig_change *k, const char *aor, const char *call_id, uint32_t cseq,
		const char *uri, uint32_t expires_s)
{
	*k = (struct rig_change){0};
	k->c.aor = str_c(aor);
	k->c.call_id = str_c(call_id);
	k->c.cseq = cseq;
	k->c.proto = TP_UDP;
	k->c.from = (struct addr){
		.family = ADDR_V4, .port = 5060, .ip = {10, 0, 0, 1}
        };
	k->c.to = (struct addr){
		.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, 1}
        };
	k->c.contacts = k->contact;
	k->c.done = on_done;
	if (uri)
		rig_contact(k, uri, expires_s, 1000);
}

static bool is_done(void *arg)
{
	return ((struct rig_change *)arg)->is_done;
}

enum loc_outcome rig_do(struct rig *r, size_t shard, struct rig_change *k)
{
	k->is_done = false;
	loc_change(r->loc, shard, &k->c);
	CHECK(!k->is_done);
	CHECK(sim_run_until(r->sim, sim_now_us(r->sim) + 1000000, is_done, k));
	return k->c.outcome;
}

enum loc_outcome rig_register(struct rig *r, const char *aor, const char *call_id, uint32_t cseq,
			      const char *uri, uint32_t expires_s)
{
	struct rig_change k;
	rig_change(&k, aor, call_id, cseq, uri, expires_s);
	return rig_do(r, 0, &k);
}

struct str rig_targets(struct rig *r, const char *aor)
{
	static char text[1000];
	struct loc_targets t;
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	enum err e = loc_lookup(r->loc, r->n - 1, str_c(aor), &t);
	if (e != OK)
		return STR("none");
	for (size_t i = 0; i < t.n; i++) {
		buf_fmt(&b, "%s" STR_FMT, i ? " " : "", STR_ARG(t.t[i].uri));
		if (t.t[i].q != 1000)
			buf_fmt(&b, ";q=%u", t.t[i].q);
	}
	return t.n ? buf_view(&b) : STR("-");
}
