/* Two batches: one gathers, the other is with the worker. When the worker is done and a timer says
 * so they change places.
 *
 * Invariants: 1. While is_writing the worker alone touches `full` and db, nobody else. 2. At most
 * MAX_WAITING rows gather; what comes beyond them (a disk that does not answer for minutes) is
 * counted and told. 3. A row is one block that holds all its texts. */
#include "admin/ledger.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define LEDGER_US   200'000u
#define PRUNE_US    600'000'000ull
#define MAX_WAITING 50'000u
#define DAY_US      86'400'000'000ull

struct writing { /* of its own: its result may lie in the inbox when the ledger has gone */
	struct ev_job job;
	struct adm_ledger *ledger;
};

struct batch {
	struct st_cdr *rows;
	char **texts;
	size_t n, cap;
};

struct adm_ledger {
	struct ev_loop *loop;
	struct st_cdrs *db;
	struct adm_ledger_cfg cfg;
	struct batch waiting, full;
	bool is_writing, is_pruning;
	enum err result;
	struct tmr timer;
	uint64_t n_lost, pruned_us, before_us;
};

/* ---- batches --------------------------------------------------------------------------------- */

static void empty(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->texts[i]);
	b->n = 0;
}

static void batch_fini(struct batch *b)
{
	empty(b);
	free(b->rows);
	free(b->texts);
	*b = (struct batch){0};
}

static bool make_room(struct batch *b)
{
	if (b->n < b->cap)
		return true;
	if (b->n >= MAX_WAITING)
		return false;
	size_t cap = b->cap ? 2 * b->cap : 64;
	struct st_cdr *rows = realloc(b->rows, cap * sizeof(*rows));
	if (rows)
		b->rows = rows;
	char **texts = rows ? realloc(b->texts, cap * sizeof(*texts)) : NULL;
	if (!texts)
		return false;
	b->texts = texts;
	b->cap = cap;
	return true;
}

static bool add(struct batch *b, const struct st_cdr *row)
{
	size_t n = 1;
	for (size_t i = 0; i < ST_CDR__N; i++)
		n += row->v[i].s.n;
	char *p = make_room(b) ? malloc(n) : NULL;
	if (!p)
		return false;
	struct st_cdr *own = &b->rows[b->n];
	b->texts[b->n++] = p;
	*own = *row;
	for (size_t i = 0; i < ST_CDR__N; i++) {
		struct str *s = &own->v[i].s;
		if (!s->n)
			continue;
		memcpy(p, s->p, s->n);
		s->p = p;
		p += s->n;
	}
	return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_full(struct adm_ledger *g)
{
	g->result = g->full.n ? st_cdrs_add(g->db, g->full.rows, g->full.n) : OK;
	if (g->result == OK && g->is_pruning)
		g->result = st_cdrs_prune(g->db, g->before_us, g->cfg.max_rows);
}

static void work(struct ev_job *j)
{
	write_full(CONTAINER_OF(j, struct writing, job)->ledger);
}

static void drop(struct ev_job *j)
{
	free(CONTAINER_OF(j, struct writing, job));
}

static void tell(struct adm_ledger *g, struct str text)
{
	if (g->cfg.on_trouble)
		g->cfg.on_trouble(g->cfg.ctx, text);
}

static void settle(struct adm_ledger *g, const struct st_cdr *row)
{
	if (g->cfg.on_settled && row->v[ST_CDR_call_id].is_set)
		g->cfg.on_settled(g->cfg.ctx, row->v[ST_CDR_call_id].s);
}

static void after_write(struct adm_ledger *g)
{
	if (g->result) {
		g->n_lost += g->full.n;
		tell(g, st_cdrs_why(g->db));
	}
	for (size_t i = 0; i < g->full.n; i++)
		settle(g, &g->full.rows[i]);
	empty(&g->full);
	g->is_writing = g->is_pruning = false;
}

static void on_timer(struct tmr *t);

static void start_timer(struct adm_ledger *g)
{
	if (!tmr_is_running(&g->timer))
		ev_timer(g->loop, &g->timer, LEDGER_US, on_timer);
}

static void on_written(struct ev_job *j)
{
	struct adm_ledger *g = CONTAINER_OF(j, struct writing, job)->ledger;
	drop(j);
	after_write(g);
	if (g->waiting.n)
		start_timer(g);
}

static void swap(struct adm_ledger *g)
{
	struct batch b = g->full;
	g->full = g->waiting;
	g->waiting = b;
}

static void on_timer(struct tmr *t)
{
	struct adm_ledger *g = CONTAINER_OF(t, struct adm_ledger, timer);
	uint64_t now = ev_now_us(g->loop), wall = env_wall_us(g->loop->env);
	if (g->is_writing)
		return; /* on_written starts it again */
	struct writing *w = calloc(1, sizeof(*w));
	if (!w) {
		start_timer(g);
		return;
	}
	if (!g->pruned_us || now - g->pruned_us >= PRUNE_US) {
		g->is_pruning = true;
		g->pruned_us = now;
		g->before_us = g->cfg.keep_days ? wall - g->cfg.keep_days * DAY_US : 0;
	}
	swap(g);
	g->is_writing = true;
	w->ledger = g;
	w->job = (struct ev_job){.work = work, .done = on_written, .drop = drop};
	ev_work(g->loop, &w->job);
}

void adm_ledger_add(struct adm_ledger *g, const struct st_cdr *row)
{
	if (add(&g->waiting, row)) {
		start_timer(g);
		return;
	}
	if (!g->n_lost++)
		tell(g, STR("call detail records are lost: they come faster than the disk takes "
			    "them"));
	settle(g, row);
}

uint64_t adm_ledger_n_lost(const struct adm_ledger *g)
{
	return g->n_lost;
}

enum err adm_ledger_new(struct ev_loop *l, struct st_cdrs *db, const struct adm_ledger_cfg *cfg,
			struct adm_ledger **out)
{
	struct adm_ledger *g = calloc(1, sizeof(*g));
	if (!g)
		return ERR_NOMEM;
	g->loop = l;
	g->db = db;
	g->cfg = *cfg;
	*out = g;
	return OK;
}

void adm_ledger_free(struct adm_ledger *g)
{
	if (!g)
		return;
	ev_timer_stop(g->loop, &g->timer);
	if (g->is_writing)
		after_write(g);
	swap(g);
	write_full(g);
	after_write(g);
	batch_fini(&g->waiting);
	batch_fini(&g->full);
	st_cdrs_close(g->db);
	free(g);
}
