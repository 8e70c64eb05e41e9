/* The way of a question: from place to place and home in between.
 *
 * Places are numbered: 0 .. n-1 the shards, n the scope. `place` is where the question goes next,
 * `end` the one behind its last. A place that has no more moves `place` on; then the question goes
 * home with what it has, unless that is nothing: then it goes to the next place at once.
 *
 * Ownership: an ask belongs to whoever has it: the asker until adm_ask, then the loop that runs it,
 * then the asker again in on_piece. What lies in an inbox when its loops are freed is dropped
 * there. */
#include "admin/admin_priv.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

static void on_msg(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct adm_msg *a = CONTAINER_OF(m, struct adm_msg, msg);
	a->run(a, l);
}

static void discard(struct inbox_msg *m)
{
	struct adm_msg *a = CONTAINER_OF(m, struct adm_msg, msg);
	a->drop(a);
}

void adm_listen(struct ev_shards *s)
{
	for (size_t i = 0; i < ev_shards_count(s); i++) {
		ev_inbox_handle(s, i, INBOX_CONTROL, on_msg, NULL);
		ev_inbox_handle(s, i, INBOX_CONTROL_RESULT, on_msg, NULL);
	}
	ev_inbox_discard(s, INBOX_CONTROL, discard);
	ev_inbox_discard(s, INBOX_CONTROL_RESULT, discard);
}

enum err adm_new(struct ev_shards *shards, struct exc *exc, struct ev_shards *scope,
		 struct trk *trk, struct adm **out)
{
	struct adm *a = calloc(1, sizeof(*a));
	if (!a)
		return ERR_NOMEM;
	*a = (struct adm){.shards = shards,
			  .scope = scope,
			  .n_shards = ev_shards_count(shards),
			  .exc = exc,
			  .trk = trk,
			  .start_us = ev_now_us(ev_shard(scope, 0))};
	*out = a;
	return OK;
}

void adm_set_lint(struct adm *a, const struct lint *l)
{
	a->lint = l;
}

void adm_set_legs(struct adm *a, const struct adm_legs *l)
{
	a->legs = l;
}

void adm_free(struct adm *a)
{
	free(a);
}

struct adm_tally *adm_tally(struct adm *a)
{
	return &a->tally;
}

/* ---- the message ----------------------------------------------------------------------------- */

static struct adm_ask *ask_of(struct adm_msg *m)
{
	return CONTAINER_OF(m, struct adm_ask, msg);
}

static void drop_ask(struct adm_msg *m)
{
	adm_ask_free(ask_of(m));
}

struct adm_ask *adm_ask_new(struct adm *a, struct ev_shards *home)
{
	struct adm_ask *q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->adm = a;
	q->home = home;
	q->msg.drop = drop_ask;
	buf_init(&q->out);
	return q;
}

void adm_ask_free(struct adm_ask *q)
{
	if (!q)
		return;
	buf_fini(&q->out);
	free(q);
}

static void run_home(struct adm_msg *m, struct ev_loop *l)
{
	struct adm_ask *q = ask_of(m);
	q->is_away = false;
	q->on_piece(q);
}

static void go_home(struct adm_ask *q)
{
	q->msg.msg.kind = INBOX_CONTROL_RESULT;
	q->msg.run = run_home;
	ev_send(q->home, 0, &q->msg.msg);
}

void adm_answer(struct adm_ask *q, enum adm_result result, const char *why)
{
	q->is_end = true;
	q->result = result;
	snprintf(q->why, sizeof(q->why), "%s", why);
	go_home(q);
}

/* ---- places ---------------------------------------------------------------------------------- */

static void run_there(struct adm_msg *m, struct ev_loop *l);

static void go_there(struct adm_ask *q)
{
	struct adm *a = q->adm;
	bool is_scope = q->place == a->n_shards;
	q->msg.msg.kind = INBOX_CONTROL;
	q->msg.run = run_there;
	ev_send(is_scope ? a->scope : a->shards, is_scope ? 0 : q->place, &q->msg.msg);
}

/* A part of the place was done; true: the place has no more. */
static void after_part(struct adm_ask *q, bool is_through)
{
	if (is_through) {
		q->place++;
		q->cursor = 0;
	}
	if (q->out.err)
		adm_answer(q, ADM_FAILED, "not enough memory");
	else if (q->is_more || q->place == q->end)
		adm_answer(q, ADM_DONE, "");
	else if (q->out.n >= ADM_PIECE)
		go_home(q);
	else
		go_there(q);
}

static void measure(struct adm_ask *q, bool is_scope)
{
	if (!is_scope) {
		adm_shard_measure(q, q->place);
		after_part(q, true);
		return;
	}
	adm_scope_measure(q);
	if (q->verb == ADM_DO_LIST)
		adm_emit_metrics(q);
	after_part(q, true);
}

static void run_there(struct adm_msg *m, struct ev_loop *l)
{
	struct adm_ask *q = ask_of(m);
	bool is_scope = q->place == q->adm->n_shards;
	switch (q->verb) {
	case ADM_DO_RELOAD:
		adm_shard_reload(q);
		return;
	case ADM_DO_DELETE:
		if (is_scope) {
			adm_scope_delete(q);
		} else if (!adm_shard_delete(q, q->place)) {
			q->place++;
			go_there(q);
		}
		return;
	case ADM_DO_EXPLAIN:
	case ADM_DO_ADD:
		adm_bans_ask(q);
		return;
	case ADM_DO_MEASURE:
		measure(q, is_scope);
		return;
	case ADM_DO_LIST:
		if (q->kind == ADM_statistic)
			measure(q, is_scope);
		else
			after_part(q, is_scope ? adm_scope_part(q) : adm_shard_part(q, q->place));
		return;
	}
}

void adm_ask(struct adm_ask *q)
{
	size_t n = q->adm->n_shards;
	bool is_measure = q->verb == ADM_DO_MEASURE || q->kind == ADM_statistic;
	enum adm_where where = adm_object(q->kind)->where;
	q->is_away = true;
	q->end = n + 1;
	if (q->verb == ADM_DO_LIST && !is_measure) {
		q->place = where == ADM_SCOPE ? n : 0;
		q->end = where == ADM_SCOPE ? n + 1 : n;
	}
	bool is_about_kind = q->verb == ADM_DO_LIST || q->verb == ADM_DO_DELETE;
	char letter = q->verb == ADM_DO_DELETE ? 'D' : 'L';
	if (is_about_kind && (where == ADM_HERE || !adm_may(q->kind, letter)))
		adm_answer(q, ADM_NOT_POSSIBLE, "the running exchange is not asked for that");
	else
		go_there(q);
}

void adm_go_on(struct adm_ask *q)
{
	q->is_away = true;
	buf_clear(&q->out);
	go_there(q);
}

/* ---- rows ------------------------------------------------------------------------------------ */

bool adm_emit(struct adm_ask *q, const struct adm_row *r)
{
	struct str key = str_c(q->key);
	if ((key.n && !str_eq(adm_key(r), key)) || !adm_row_has(r, str_c(q->filter)))
		return true;
	if (q->skip) {
		q->skip--;
		return true;
	}
	if (q->limit && q->n_rows == q->limit) {
		q->is_more = true;
		return false;
	}
	adm_put_row(&q->out, r, q->format);
	q->n_rows++;
	return true;
}
