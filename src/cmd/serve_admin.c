/* rung serve: what operators may ask (admin/), the records of calls, copies to Homer, and
 * the API.
 *
 * All of it hangs on the scope's thread: the tracker judges a call, which is then counted and goes
 * into the ledger; until it is on the disk its trail is (admin/trail). Each message that the
 * shards' taps saw goes to Homer as it is read from the rings, so that a receiver that is slow or
 * gone costs messages there, not calls here. */
#include "cmd/cmd.h"
#include "cmd/serve_priv.h"

#include <stdio.h>
#include <string.h>

#define API_PORT 5080
#define MAX_CDRS 5'000'000u /* about 2 GB */

static bool on_call(void *arg, const struct trk_call *c, const struct vrd *v)
{
	struct serve *s = arg;
	struct trk *own = live_tracker(s->live);
	struct st_cdr row;
	struct buf texts, more;
	if (adm_legs_judged(s->legs, own, c, v))
		return false;
	buf_init(&texts);
	buf_init(&more);
	adm_count(adm_tally(s->adm), own, c, v);
	adm_record(&row, &texts, own, c, v);
	adm_legs_record(s->legs, own, c, v, &row, &more);
	adm_ledger_add(s->ledger, &row);
	adm_tally(s->adm)->n_cdrs_lost = adm_ledger_n_lost(s->ledger);
	buf_fini(&texts);
	buf_fini(&more);
	return true;
}

static void on_trouble(void *ctx, struct str text)
{
	struct serve *s = ctx;
	serve_line(s, env_wall_us(s->env), text);
}

static void on_settled(void *ctx, struct str call_id)
{
	adm_trail_done(((struct serve *)ctx)->trail, call_id);
}

static void keep(void *ctx, struct str call_id, uint64_t at_us, struct str head, struct str rest)
{
	struct serve *s = ctx;
	adm_trail_add(s->trail, adm_legs_root(s->legs, call_id), at_us, head, rest);
}

/* Its trail is that of the call from now on. */
static void on_leg(void *ctx, struct str of, struct str call_id)
{
	struct serve *s = ctx;
	adm_legs_add(s->legs, live_tracker(s->live), of, call_id);
	adm_trail_done(s->trail, call_id);
}

static void flush(void *ctx)
{
	adm_trail_flush(((struct serve *)ctx)->trail);
}

/* What a process that was killed has left of calls. */
static int open_trail(struct serve *s, struct st_cdrs *db)
{
	struct live_keeper keeper = {.ctx = s, .keep = keep, .flush = flush, .on_leg = on_leg};
	if (adm_trail_new(s->st, s->scope, db, &s->trail)) {
		struct str why = st_why(s->st);
		return serve_fail(STR_FMT, STR_ARG(why.n ? why : STR("not enough memory")));
	}
	live_set_keeper(s->live, &keeper);
	return -1;
}

static int open_ledger(struct serve *s)
{
	struct adm_ledger_cfg cfg = {.keep_days = s->cdr_days,
				     .max_rows = MAX_CDRS,
				     .on_trouble = on_trouble,
				     .on_settled = on_settled,
				     .ctx = s};
	struct st_cdrs *db = NULL;
	struct buf why;
	buf_init(&why);
	enum err e = st_cdrs_open(s->data, true, &db, &why);
	if (e)
		serve_fail(STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	if (e)
		return EXIT_FAILED;
	int r = open_trail(s, db);
	if (r < 0 && adm_ledger_new(s->loop, db, &cfg, &s->ledger))
		r = serve_fail("not enough memory");
	if (!s->ledger)
		st_cdrs_close(db);
	return r;
}

static void on_message(void *ctx, const struct trk_packet *p)
{
	cap_hep_message(((struct serve *)ctx)->hep_out, p);
}

/* "ADDR" and "ADDR:PORT" mean UDP. */
static int open_hep(struct serve *s)
{
	char to[300];
	struct buf why, b;
	buf_init_fixed(&b, to, sizeof(to));
	buf_str(&b, str_starts(str_c(s->hep), STR("udp:")) ? STR("") : STR("udp:"));
	buf_str(&b, str_c(s->hep));
	struct cap_hep_to cfg = {.to = buf_cstr(&b)};
	buf_init(&why);
	enum err e = cfg.to ? cap_hep_connect(&cfg, &s->hep_out, &why) : ERR_LIMIT;
	if (e)
		serve_fail("--hep: " STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	if (e == OK)
		live_set_copy(s->live, on_message, s);
	return e == OK ? -1 : e == ERR_SYNTAX ? EXIT_USAGE : EXIT_FAILED;
}

/* Nobody asked for the default: where another program has its port, the exchange starts without. */
static int open_web(struct serve *s)
{
	struct web_cfg cfg = {.dir = s->data, .adm = s->adm, .version = RUNG_VERSION};
	const char *at = s->api ? s->api : API_DEFAULT;
	struct buf why;
	if (strcmp(at, "off") == 0)
		return -1;
	if (!addr_parse(str_c(at), API_PORT, &cfg.listen)) {
		serve_fail("--api wants ADDR[:PORT] or off, not `%s`", at);
		return EXIT_USAGE;
	}
	buf_init(&why);
	enum err e = web_new(&cfg, &s->web, &why);
	if (e)
		fprintf(stderr,
			"rung serve: no API at %s: " STR_FMT " (--api ADDR:PORT names another)\n",
			at, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	return e && s->api ? EXIT_FAILED : -1;
}

static bool on_reconfigure(void *ctx, struct adm_ask *q)
{
	if (str_eq(str_c(q->key), STR("confirmed")))
		serve_config_confirm(ctx, &q->out);
	else
		serve_config_reload(ctx, (uint32_t)q->limit, &q->out);
	bool is_ok = str_starts(buf_view(&q->out), STR("ok\n"));
	if (is_ok)
		buf_drop(&q->out, 3);
	return is_ok;
}

int serve_admin_start(struct serve *s)
{
	int r = -1;
	adm_listen(s->shards);
	adm_listen(s->scope);
	if (adm_new(s->shards, s->exc, s->scope, live_tracker(s->live), &s->adm))
		return serve_fail("not enough memory");
	adm_set_reconfigure(s->adm, on_reconfigure, s);
	adm_set_lint(s->adm, live_lint(s->live));
	if (adm_legs_new(&s->legs))
		return serve_fail("not enough memory");
	adm_set_legs(s->adm, s->legs);
	r = open_ledger(s);
	if (r < 0 && s->hep)
		r = open_hep(s);
	if (r >= 0)
		return r;
	live_set_calls(s->live, on_call, s);
	adm_trail_replay(s->trail, live_replay, s->live);
	live_recover(s->live, env_now_us(s->env), env_wall_us(s->env));
	adm_legs_cut(s->legs, live_tracker(s->live), env_wall_us(s->env));
	return open_web(s);
}

void serve_admin_stop(struct serve *s)
{
	web_stop(s->web);
}

void serve_admin_end(struct serve *s)
{
	web_free(s->web);
	adm_ledger_free(s->ledger);
	adm_trail_free(s->trail);
	adm_legs_free(s->legs);
	cap_hep_close(s->hep_out);
	adm_free(s->adm);
}
