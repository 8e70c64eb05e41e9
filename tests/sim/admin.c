/* An operator's questions through the whole exchange in virtual time: lists in pieces over several
 * shards, ends of registrations and calls, counters, and the record of a call that ended. */
#include "raw.h"

#include "admin/ledger.h"
#include "admin/measure.h"
#include "admin/record.h"
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sim_link lan = {.delay_us = 1000};

struct desk { /* an exchange, and the thread of its scope beside it */
	struct stage *s;
	struct env *env;
	struct ev_shards *scope;
	struct trk *trk;
	struct adm *adm;
	struct st_cdrs *db;
	struct adm_ledger *ledger;
	struct tmr tick;
	/* the last answer */
	bool is_done;
	unsigned n_pieces;
	size_t most;
	struct buf out;
	struct adm_ask *end; /* with its outcome */
};

static void on_tap(void *ctx, uint64_t at_us, bool is_sent, enum tp_proto proto,
		   const struct addr *from, const struct addr *to, struct str bytes)
{
	struct desk *d = ctx;
	struct trk_packet p = {
		.at_us = env_wall_us(d->env), .from = *from, .to = *to, .bytes = bytes};
	enum err e = trk_message(d->trk, &p, NULL);
	(void)e;
}

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	struct desk *d = arg;
	struct st_cdr row;
	struct buf texts;
	if (c->kind != TRK_CALL)
		return;
	buf_init(&texts);
	adm_record(&row, &texts, d->trk, c, v);
	adm_count(adm_tally(d->adm), d->trk, c, v);
	adm_ledger_add(d->ledger, &row);
	buf_fini(&texts);
}

static void on_tick(struct tmr *t)
{
	struct desk *d = CONTAINER_OF(t, struct desk, tick);
	trk_tick(d->trk, env_wall_us(d->env));
	ev_timer(ev_shard(d->scope, 0), &d->tick, 50000, on_tick);
}

static struct desk *desk_new(size_t n_shards)
{
	struct desk *d = calloc(1, sizeof(*d));
	struct buf why;
	CHECK(d);
	buf_init(&why);
	buf_init(&d->out);
	d->s = stage_new(3, n_shards, &lan);
	CHECK_EQ(sim_env_new(d->s->server, &d->env), OK);
	CHECK_EQ(ev_shards_new(&d->env, 1, &d->scope), OK);
	sim_add_loop(d->s->sim, ev_shard(d->scope, 0));
	struct trk_cfg cfg = {.is_live = true,
			      .is_quick = true,
			      .is_listed = true,
			      .has_agents = true,
			      .sees_all = true,
			      .on_verdict = on_verdict,
			      .arg = d};
	d->trk = trk_new(&cfg);
	CHECK(d->trk);
	adm_listen(d->s->shards);
	adm_listen(d->scope);
	CHECK_EQ(adm_new(d->s->shards, d->s->exc, d->scope, d->trk, &d->adm), OK);
	CHECK_EQ(st_cdrs_open(NULL, true, &d->db, &why), OK);
	CHECK_EQ(adm_ledger_new(ev_shard(d->scope, 0), d->db,
				&(struct adm_ledger_cfg){.max_rows = 1000}, &d->ledger),
		 OK);
	for (size_t i = 0; i < n_shards; i++)
		exc_set_tap(d->s->exc, i, &(struct tp_tap){.ctx = d, .fn = on_tap});
	on_tick(&d->tick);
	buf_fini(&why);
	return d;
}

static void desk_free(struct desk *d)
{
	struct stage *s = d->s;
	adm_ask_free(d->end);
	buf_fini(&d->out);
	sim_del_loop(s->sim, ev_shard(d->scope, 0));
	for (size_t i = 0; i < s->n_shards; i++)
		exc_set_tap(s->exc, i, NULL);
	adm_ledger_free(d->ledger);
	trk_free(d->trk);
	ev_shards_free(d->scope);
	env_free(d->env);
	stage_free(s);
	adm_free(d->adm);
	free(d);
}

static void on_piece(struct adm_ask *q)
{
	struct desk *d = q->ctx;
	d->n_pieces++;
	d->most = q->out.n > d->most ? q->out.n : d->most;
	buf_str(&d->out, buf_view(&q->out));
	if (!q->is_end) {
		adm_go_on(q);
		return;
	}
	d->end = q;
	d->is_done = true;
}

static bool is_done(void *arg)
{
	return ((struct desk *)arg)->is_done;
}

static struct adm_ask *ask_new(struct desk *d, enum adm_verb verb, enum adm_kind kind)
{
	struct adm_ask *q = adm_ask_new(d->adm, d->scope);
	CHECK(q);
	q->verb = verb;
	q->kind = kind;
	q->format = ADM_AS_JSON;
	q->on_piece = on_piece;
	q->ctx = d;
	return q;
}

static void ask(struct desk *d, struct adm_ask *q)
{
	adm_ask_free(d->end);
	d->end = NULL;
	d->is_done = false;
	d->n_pieces = 0;
	buf_clear(&d->out);
	adm_ask(q);
	CHECK(stage_run_until(d->s, 5, is_done, d));
}

static void ask_for(struct desk *d, enum adm_verb verb, enum adm_kind kind, const char *key)
{
	struct adm_ask *q = ask_new(d, verb, kind);
	snprintf(q->key, sizeof(q->key), "%s", key);
	ask(d, q);
}

static size_t count(struct str text, const char *part)
{
	size_t n = 0, at;
	while ((at = str_find(text, str_c(part))) != SIZE_MAX) {
		n++;
		text = str_skip(text, at + 1);
	}
	return n;
}

/* ---- registrations --------------------------------------------------------------------------- */

static void on_bound(struct loc_change *c)
{
	CHECK_EQ(c->outcome, LOC_OK);
	free(c);
}

/* n contacts of as many users, without phones. */
static void bind_many(struct desk *d, unsigned n)
{
	struct made {
		struct loc_change change;
		struct loc_contact contact;
		char aor[32], uri[48];
	};
	struct loc *l = exc_location(d->s->exc);
	for (unsigned i = 0; i < n; i++) {
		struct made *m = calloc(1, sizeof(*m));
		CHECK(m);
		snprintf(m->aor, sizeof(m->aor), "u%u@sim", i);
		snprintf(m->uri, sizeof(m->uri), "sip:u%u@10.0.1.1:5060", i);
		m->contact =
			(struct loc_contact){.uri = str_c(m->uri), .expires_s = 600, .q = 1000};
		CHECK_EQ(sip_uri_parse(m->contact.uri, &m->contact.parsed), OK);
		m->change = (struct loc_change){.aor = str_c(m->aor),
						.call_id = str_c(m->aor),
						.cseq = 1,
						.contacts = &m->contact,
						.n_contacts = 1,
						.done = on_bound};
		loc_change(l, i % d->s->n_shards, &m->change);
		if (i % 200 == 0)
			stage_run(d->s, 0.1);
	}
	stage_run(d->s, 0.5);
}

/* More than a piece: it comes in several, none of them much larger, and nobody is told twice. */
TEST_NO_OOM(list_comes_in_pieces)
{
	struct desk *d = desk_new(3);
	bind_many(d, 1500);
	ask_for(d, ADM_DO_LIST, ADM_registration, "");
	CHECK_EQ(d->end->result, ADM_DONE);
	CHECK_EQ(d->end->n_rows, 1500);
	CHECK_EQ(count(buf_view(&d->out), "{\"aor\":\"u"), 1500);
	CHECK_EQ(count(buf_view(&d->out), "\"u1499@sim\""), 2); /* AOR, Call-ID */
	CHECK(d->n_pieces > 5);
	CHECK(d->most < 2 * ADM_PIECE);
	desk_free(d);
}

/* A key names one, a filter those that it stands in. */
TEST_NO_OOM(only_what_is_asked_for)
{
	struct desk *d = desk_new(3);
	bind_many(d, 100);
	struct adm_ask *q = ask_new(d, ADM_DO_LIST, ADM_registration);
	str_copy(q->filter, sizeof(q->filter), STR("u42@sim"));
	ask(d, q);
	CHECK_EQ(d->end->n_rows, 1);
	CHECK_EQ(count(buf_view(&d->out), "{\"aor\":\"u42@sim\""), 1);
	ask_for(d, ADM_DO_LIST, ADM_statistic, "");
	CHECK(d->end->n_rows > 10);
	struct str line, rest;
	char name[64];
	line = str_cut(buf_view(&d->out), '\n', &rest);
	CHECK(str_starts(line, STR("{\"")));
	line = str_skip(line, str_find(line, STR("\":\"")) + 3);
	CHECK(str_copy(name, sizeof(name), str_cut(line, '"', &rest)));
	ask_for(d, ADM_DO_LIST, ADM_statistic, name);
	CHECK_EQ(d->end->n_rows, 1);
	CHECK(str_find(buf_view(&d->out), str_c(name)) != SIZE_MAX);
	desk_free(d);
}

TEST_NO_OOM(pages_meet)
{
	struct desk *d = desk_new(3);
	bool is_seen[100] = {0};
	bind_many(d, 100);
	for (uint64_t skip = 0; skip < 100; skip += 30) {
		struct adm_ask *q = ask_new(d, ADM_DO_LIST, ADM_registration);
		q->skip = skip;
		q->limit = 30;
		ask(d, q);
		CHECK_EQ(d->end->n_rows, skip < 90 ? 30 : 10);
		CHECK_EQ(d->end->is_more, skip < 90);
		for (struct str rest = buf_view(&d->out); rest.n;) {
			uint32_t n;
			struct str line = str_cut(rest, '\n', &rest), tail;
			CHECK(str_u32(str_cut(str_skip(line, strlen("{\"aor\":\"u")), '@', &tail),
				      &n));
			CHECK(!is_seen[n]);
			is_seen[n] = true;
		}
	}
	for (size_t i = 0; i < 100; i++)
		CHECK(is_seen[i]);
	desk_free(d);
}

/* [RFC3261 10.2.2] */
TEST_NO_OOM(registration_is_shown_and_ended)
{
	struct desk *d = desk_new(2);
	struct stage_phone *a = stage_phone(d->s, "1001", TP_UDP);
	stage_register(d->s, a);
	ask_for(d, ADM_DO_LIST, ADM_registration, "1001");
	CHECK_EQ(d->end->n_rows, 1);
	CHECK(str_find(buf_view(&d->out), STR("\"source\":\"10.0.0.10:5060\"")) != SIZE_MAX);
	ask_for(d, ADM_DO_DELETE, ADM_registration, "1001@sim");
	CHECK_EQ(d->end->result, ADM_DONE);
	ask_for(d, ADM_DO_LIST, ADM_registration, "1001@sim");
	CHECK_EQ(d->end->n_rows, 0);
	ask_for(d, ADM_DO_DELETE, ADM_registration, "1001");
	CHECK_EQ(d->end->result, ADM_NO_SUCH);
	desk_free(d);
}

/* What a full disk refuses is told as it is, and nothing has changed. */
TEST_NO_OOM(registration_stays_when_the_disk_is_full)
{
	struct desk *d = desk_new(2);
	stage_register(d->s, stage_phone(d->s, "1001", TP_UDP));
	st_mem_full(d->s->disk, true);
	ask_for(d, ADM_DO_DELETE, ADM_registration, "1001");
	CHECK_EQ(d->end->result, ADM_FAILED);
	CHECK(d->end->why[0]);
	st_mem_full(d->s->disk, false);
	ask_for(d, ADM_DO_LIST, ADM_registration, "1001");
	CHECK_EQ(d->end->n_rows, 1);
	desk_free(d);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void find_call_id(struct desk *d, char id[128])
{
	static const char head[] = "\"call_id\":\"";
	ask_for(d, ADM_DO_LIST, ADM_call, "");
	CHECK_EQ(d->end->n_rows, 1);
	struct str rest, tail = str_skip(buf_view(&d->out),
					 str_find(buf_view(&d->out), str_c(head)) + strlen(head));
	CHECK(str_copy(id, 128, str_cut(tail, '"', &rest)));
}

static bool has_ended(void *arg)
{
	return ((struct stage_phone *)arg)->n_ended > 0;
}

static bool keep_row(void *arg, const struct st_cdr *row)
{
	struct buf *b = arg;
	buf_fmt(b, STR_FMT "|" STR_FMT "|%llu|" STR_FMT "|" STR_FMT "|%llu\n",
		STR_ARG(row->v[ST_CDR_caller].s), STR_ARG(row->v[ST_CDR_callee].s),
		(unsigned long long)row->v[ST_CDR_status].n, STR_ARG(row->v[ST_CDR_ended_by].s),
		STR_ARG(row->v[ST_CDR_verdict_code].s), (unsigned long long)row->v[ST_CDR_code].n);
	return true;
}

static void check_records(struct desk *d, const char *want)
{
	struct buf b;
	buf_init(&b);
	CHECK_EQ(
		st_cdrs_each(d->db, &(struct st_cdr_filter){.is_oldest_first = true}, keep_row, &b),
		OK);
	CHECK_STR_EQ(buf_view(&b), str_c(want));
	buf_fini(&b);
}

/* A call that ends at rung is hung up, and recorded within a second. */
TEST_NO_OOM(echo_call_is_hung_up_and_recorded)
{
	struct desk *d = desk_new(3);
	struct stage_phone *a = stage_phone(d->s, "1001", TP_UDP);
	struct ph_plan plan;
	char id[128];
	stage_register(d->s, a);
	ph_plan_init(&plan);
	plan.tone_hz = 440;
	stage_call(a, "echo", &plan);
	stage_run(d->s, 2);
	find_call_id(d, id);
	CHECK(str_find(buf_view(&d->out), STR("\"state\":\"up\"")) != SIZE_MAX);
	ask_for(d, ADM_DO_DELETE, ADM_call, id);
	CHECK_EQ(d->end->result, ADM_DONE);
	CHECK(stage_run_until(d->s, 2, has_ended, a));
	CHECK_STR_EQ(str_c(a->by), STR("remote"));
	stage_run(d->s, 1);
	check_records(d, "1001@10.0.0.1|echo@10.0.0.1|200|callee|call-answered|0\n");
	ask_for(d, ADM_DO_LIST, ADM_call, "");
	CHECK_EQ(d->end->n_rows, 0);
	desk_free(d);
}

static bool keep_session(void *arg, const struct st_cdr *row)
{
	return !str_copy(arg, 80, row->v[ST_CDR_session_id].s);
}

/* What two phones and everybody between them call the call. [RFC7989] */
TEST_NO_OOM(a_record_is_found_by_its_session)
{
	struct desk *d = desk_new(3);
	struct stage_phone *a = stage_phone(d->s, "1001", TP_UDP),
			   *b = stage_phone(d->s, "1002", TP_UDP);
	struct ph_plan plan;
	char id[80] = "", half[80] = "";
	stage_register(d->s, a);
	stage_register(d->s, b);
	ph_plan_init(&plan);
	plan.hangup_s = 1;
	stage_call(a, "1002", &plan);
	CHECK(stage_run_until(d->s, 20, has_ended, a));
	stage_run(d->s, 2);
	CHECK_EQ(st_cdrs_each(d->db, &(struct st_cdr_filter){0}, keep_session, id), OK);
	CHECK_EQ(str_c(id).n, 32 + strlen(";remote=") + 32);
	CHECK(str_starts(str_skip(str_c(id), 32), STR(";remote=")));
	struct str uuids[] = {str_sub(str_c(id), 0, 32), str_skip(str_c(id), 40)};
	CHECK(!str_eq(uuids[0], uuids[1]));
	for (size_t i = 0; i < 2; i++) {
		half[0] = '\0';
		struct st_cdr_filter f = {.session_id = uuids[i]};
		CHECK_EQ(st_cdrs_each(d->db, &f, keep_session, half), OK);
		CHECK_STR_EQ(str_c(half), str_c(id));
	}
	desk_free(d);
}

/* A call that rung only passes on cannot be ended by it, and the answer says why; a call to nobody
 * is recorded with our own code. */
TEST_NO_OOM(proxied_call_is_not_ours_to_end)
{
	struct desk *d = desk_new(3);
	struct stage_phone *a = stage_phone(d->s, "1001", TP_UDP),
			   *b = stage_phone(d->s, "1002", TP_UDP);
	struct ph_plan plan;
	char id[128];
	stage_register(d->s, a);
	stage_register(d->s, b);
	ph_plan_init(&plan);
	plan.hangup_s = 10;
	stage_call(a, "1002", &plan);
	stage_run(d->s, 2);
	find_call_id(d, id);
	ask_for(d, ADM_DO_DELETE, ADM_call, id);
	CHECK_EQ(d->end->result, ADM_NOT_OURS);
	CHECK(str_find(str_c(d->end->why), STR("only passes")) != SIZE_MAX);
	ask_for(d, ADM_DO_DELETE, ADM_call, "nobody's");
	CHECK_EQ(d->end->result, ADM_NO_SUCH);
	CHECK(stage_run_until(d->s, 20, has_ended, a));
	stage_call(a, "4711", &plan);
	stage_run(d->s, 2);
	check_records(d, "1001@10.0.0.1|1002@10.0.0.1|200|caller|call-answered|0\n"
			 "1001@10.0.0.1|4711@10.0.0.1|404||call-unknown-user|4001\n");
	desk_free(d);
}

/* Requests in a dialog that nobody knows, or no more: they make no records. */
TEST_NO_OOM(what_finds_no_dialog_is_no_call)
{
	static const char *const methods[] = {"BYE", "INVITE", "UPDATE"};
	struct desk *d = desk_new(2);
	struct raw *x = raw_new(d->s, "10.0.0.99", 5060, "nobody");
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct raw_req q = {.method = methods[i],
				    .uri = "sip:1001@" STAGE_SERVER,
				    .to = "<sip:1001@" STAGE_SERVER ">;tag=gone"};
		raw_request(x, 0, &q);
		raw_get(x, "SIP/2.0 4", 1);
	}
	stage_run(d->s, 60);
	check_records(d, "");
	raw_free(x);
	desk_free(d);
}

/* ---- counters -------------------------------------------------------------------------------- */

TEST_NO_OOM(counters_add_up_over_the_shards)
{
	struct desk *d = desk_new(3);
	struct buf b;
	for (int i = 0; i < 5; i++) {
		char user[8];
		snprintf(user, sizeof(user), "100%d", i);
		stage_register(d->s, stage_phone(d->s, user, TP_UDP));
	}
	ask_for(d, ADM_DO_MEASURE, ADM_statistic, "");
	CHECK_EQ(d->end->metrics[ADM_M_bindings], 5);
	CHECK_EQ(d->end->metrics[ADM_M_accounts], 5);
	CHECK_EQ(d->end->metrics[ADM_M_received_total], 10);
	CHECK_EQ(d->end->metrics[ADM_M_sent_total], 10);
	buf_init(&b);
	adm_put_metrics(&b, d->end);
	CHECK(str_find(buf_view(&b), STR("# TYPE rung_bindings gauge\nrung_bindings 5\n")) !=
	      SIZE_MAX);
	buf_fini(&b);
	ask_for(d, ADM_DO_LIST, ADM_statistic, "");
	CHECK_EQ(d->end->n_rows, ADM_M__N);
	desk_free(d);
}

static bool reconfigure(void *ctx, struct adm_ask *q)
{
	unsigned *n = ctx;
	buf_fmt(&q->out, "asked for %u\n", (unsigned)q->limit);
	return ++*n == 1;
}

/* The file first, the accounts behind it; a file that is refused ends it. */
TEST_NO_OOM(configuration_is_read_again)
{
	struct desk *d = desk_new(2);
	unsigned n = 0;
	adm_set_reconfigure(d->adm, reconfigure, &n);
	struct adm_ask *q = ask_new(d, ADM_DO_RECONFIGURE, ADM_account);
	q->limit = 60;
	ask(d, q);
	CHECK_EQ(d->end->result, ADM_DONE);
	CHECK_STR(buf_view(&d->out), "asked for 60\n");
	ask_for(d, ADM_DO_RECONFIGURE, ADM_account, "");
	CHECK_EQ(d->end->result, ADM_REFUSED);
	CHECK_EQ(n, 2);
	desk_free(d);
}

/* What cannot be asked is answered, not lost; a reader who leaves costs nothing. */
TEST_NO_OOM(questions_end_well)
{
	struct desk *d = desk_new(2);
	ask_for(d, ADM_DO_LIST, ADM_account, "");
	CHECK_EQ(d->end->result, ADM_NOT_POSSIBLE);
	ask_for(d, ADM_DO_DELETE, ADM_subscription, "x");
	CHECK_EQ(d->end->result, ADM_NOT_POSSIBLE);
	ask_for(d, ADM_DO_RELOAD, ADM_account, "");
	CHECK_EQ(d->end->result, ADM_DONE);
	ask_for(d, ADM_DO_RECONFIGURE, ADM_account, "");
	CHECK_EQ(d->end->result, ADM_NOT_POSSIBLE);
	adm_ask(ask_new(d, ADM_DO_LIST, ADM_registration)); /* lies in an inbox when all ends */
	desk_free(d);
}
