/* Trails in a journal (store/journal.c) whose key is the Call-ID and whose values add up: each is
 * one step, an empty one says that the call has its record.
 *
 *	value: number:64  start:64  step
 *
 * Numbers rise for as long as the journal lives, so that order and repetition show however a
 * compaction or a kill has dealt out the steps. `start` finds the call's record, should a kill have
 * come between the record and the word that it is there: a call is then not recorded twice.
 *
 * The tracker does not keep messages, so a compaction rereads the old files and keeps the steps of
 * calls that are open here. [docs/adr/011]
 *
 * Invariants: 1. A call has a node exactly while the journal has steps of it and no end. 2. A node
 * without memory is a call that a kill may cost its record; nothing else depends on it. */
#include "admin/trail.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES   16u
#define LAYOUT       1u
#define CHECK_US     1'000'000u
#define PART_US      10'000u /* between two parts of a compaction */
#define PART_BYTES   (512u << 10)
#define RECORD_BYTES 16u /* around a key and a value in the journal, about */

struct node {
	struct hnode hnode;
	uint64_t first_no, start_us, bytes;
	uint32_t dead; /* while loading: steps before that one are of a call that has its record */
	uint16_t n;
	char id[];
};

struct step { /* as it was left */
	struct node *node;
	uint64_t no;
	size_t off, n;
};

struct adm_trail {
	struct st *st;
	struct st_journal *journal;
	struct ev_loop *loop;
	struct htab calls;
	uint8_t key[16];
	uint64_t next_no, bytes;
	struct buf value;
	struct tmr timer;
	bool is_compacting;
	/* what was left */
	struct step *steps;
	size_t n_steps, cap_steps;
	struct buf texts;
	enum err err;
};

/* ---- calls ----------------------------------------------------------------------------------- */

static struct str clip(struct str call_id)
{
	return str_sub(call_id, 0, 1024);
}

static struct node *find(const struct adm_trail *g, struct str call_id)
{
	uint64_t h = htab_hash(g->key, call_id.p, call_id.n);
	for (struct hnode *n = htab_first(&g->calls, h); n; n = htab_next(n)) {
		struct node *x = CONTAINER_OF(n, struct node, hnode);
		if (str_eq(str_of(x->id, x->n), call_id))
			return x;
	}
	return NULL;
}

static struct node *add_node(struct adm_trail *g, struct str call_id)
{
	struct node *x = calloc(1, offsetof(struct node, id) + call_id.n);
	if (!x)
		return NULL;
	x->n = (uint16_t)call_id.n;
	memcpy(x->id, call_id.p, call_id.n);
	htab_add(&g->calls, &x->hnode, htab_hash(g->key, call_id.p, call_id.n));
	return x;
}

static void del_node(struct adm_trail *g, struct node *x)
{
	g->bytes -= x->bytes;
	htab_del(&g->calls, &x->hnode);
	free(x);
}

static void count(struct adm_trail *g, struct node *x, size_t n)
{
	x->bytes += x->n + n + RECORD_BYTES;
	g->bytes += x->n + n + RECORD_BYTES;
}

static uint64_t number_at(struct str value, size_t i)
{
	uint64_t v;
	memcpy(&v, value.p + i * sizeof(v), sizeof(v));
	return v;
}

/* ---- what was left --------------------------------------------------------------------------- */

static struct step *new_step(struct adm_trail *g)
{
	if (g->n_steps == g->cap_steps) {
		size_t cap = g->cap_steps ? 2 * g->cap_steps : 64;
		struct step *more = realloc(g->steps, cap * sizeof(*more));
		if (!more)
			return NULL;
		g->steps = more;
		g->cap_steps = cap;
	}
	return &g->steps[g->n_steps++];
}

static void on_load(void *arg, struct str key, struct str value)
{
	struct adm_trail *g = arg;
	struct node *x = find(g, key);
	if (!value.n && x)
		x->dead = (uint32_t)g->n_steps;
	if (value.n < HEAD_BYTES)
		return;
	if (!x)
		x = add_node(g, key);
	struct step *s = x ? new_step(g) : NULL;
	if (!s) {
		g->err = ERR_NOMEM;
		return;
	}
	*s = (struct step){x, number_at(value, 0), g->texts.n, value.n};
	buf_str(&g->texts, value);
	if (s->no >= g->next_no)
		g->next_no = s->no + 1;
}

static int by_number(const void *a, const void *b)
{
	const struct step *x = a, *y = b;
	return x->no < y->no ? -1 : x->no > y->no;
}

/* Each step once, in order, of calls that have no record. */
static void sort_out(struct adm_trail *g)
{
	size_t n = 0;
	for (size_t i = 0; i < g->n_steps; i++)
		if (i >= g->steps[i].node->dead)
			g->steps[n++] = g->steps[i];
	if (n)
		qsort(g->steps, n, sizeof(*g->steps), by_number);
	g->n_steps = 0;
	for (size_t i = 0; i < n; i++) {
		struct step *s = &g->steps[i];
		if (i && s->no == g->steps[g->n_steps - 1].no)
			continue;
		if (!s->node->bytes) {
			s->node->first_no = s->no;
			s->node->start_us =
				number_at(str_sub(buf_view(&g->texts), s->off, s->n), 1);
		}
		count(g, s->node, s->n);
		g->steps[g->n_steps++] = *s;
	}
}

static bool on_row(void *arg, const struct st_cdr *row)
{
	bool *is_there = arg;
	*is_there = true;
	return false;
}

struct weeding {
	struct adm_trail *g;
	struct st_cdrs *db;
};

static void weed(void *arg, struct hnode *n)
{
	struct weeding *w = arg;
	struct node *x = CONTAINER_OF(n, struct node, hnode);
	struct st_cdr_filter f = {.since_us = x->start_us,
				  .until_us = x->start_us + 1,
				  .call_id = str_of(x->id, x->n),
				  .limit = 1};
	bool is_there = !x->bytes;
	if (x->bytes && st_cdrs_each(w->db, &f, on_row, &is_there))
		is_there = false;
	x->dead = is_there; /* from here on: it is to go */
}

static void keep_left(struct adm_trail *g)
{
	for (size_t i = 0; i < g->n_steps; i++) {
		const struct step *s = &g->steps[i];
		st_journal_keep(g->journal, str_of(s->node->id, s->node->n),
				str_sub(buf_view(&g->texts), s->off, s->n));
		if (i % 1000 == 999)
			st_journal_flush(g->journal);
	}
}

static void drop_dead(void *arg, struct hnode *n)
{
	struct adm_trail *g = arg;
	struct node *x = CONTAINER_OF(n, struct node, hnode);
	if (!x->dead)
		return;
	if (x->bytes)
		st_journal_keep(g->journal, str_of(x->id, x->n), STR_NONE);
	del_node(g, x);
}

static enum err load(struct adm_trail *g, struct ev_shards *scope, struct st_cdrs *db)
{
	struct weeding w = {g, db};
	bool rewrite = false;
	enum err e = st_journals_read(g->st, ST_CALLS, on_load, g);
	if (e == OK)
		e = g->err ? g->err : g->texts.err;
	if (e == OK)
		e = st_journals_open(g->st, ST_CALLS, scope, LAYOUT, &rewrite);
	if (e)
		return e;
	g->journal = st_journal(g->st, ST_CALLS, 0);
	sort_out(g);
	htab_each(&g->calls, weed, &w);
	size_t n = 0;
	for (size_t i = 0; i < g->n_steps; i++)
		if (!g->steps[i].node->dead)
			g->steps[n++] = g->steps[i];
	g->n_steps = n;
	if (rewrite)
		keep_left(g);
	htab_each(&g->calls, drop_dead, g);
	return rewrite ? st_journals_ready(g->st, ST_CALLS) : OK;
}

void adm_trail_replay(struct adm_trail *g, void (*fn)(void *arg, struct str step), void *arg)
{
	for (size_t i = 0; i < g->n_steps; i++) {
		const struct step *s = &g->steps[i];
		buf_clear(&g->value); /* where it is aligned */
		buf_str(&g->value,
			str_sub(buf_view(&g->texts), s->off + HEAD_BYTES, s->n - HEAD_BYTES));
		if (g->value.err == OK)
			fn(arg, buf_view(&g->value));
	}
	free(g->steps);
	buf_fini(&g->texts);
	buf_init(&g->texts);
	g->steps = NULL;
	g->n_steps = g->cap_steps = 0;
}

/* ---- steps ----------------------------------------------------------------------------------- */

void adm_trail_add(struct adm_trail *g, struct str call_id, uint64_t at_us, struct str head,
		   struct str rest)
{
	call_id = clip(call_id);
	struct node *x = call_id.n ? find(g, call_id) : NULL;
	if (!x && call_id.n && (x = add_node(g, call_id))) {
		x->first_no = g->next_no;
		x->start_us = at_us;
	}
	if (!x || 2 + call_id.n + HEAD_BYTES + head.n + rest.n > LIMIT_JOURNAL_RECORD)
		return;
	uint64_t numbers[2] = {g->next_no++, x->start_us};
	buf_clear(&g->value);
	buf_put(&g->value, numbers, sizeof(numbers));
	buf_str(&g->value, head);
	buf_str(&g->value, rest);
	if (g->value.err)
		return;
	count(g, x, g->value.n);
	st_journal_keep(g->journal, call_id, buf_view(&g->value));
}

void adm_trail_flush(struct adm_trail *g)
{
	st_journal_flush(g->journal);
}

void adm_trail_done(struct adm_trail *g, struct str call_id)
{
	struct node *x = find(g, clip(call_id));
	if (!x)
		return;
	st_journal_keep(g->journal, str_of(x->id, x->n), STR_NONE);
	del_node(g, x);
}

size_t adm_trail_n(const struct adm_trail *g)
{
	return g->calls.n;
}

/* ---- compaction ------------------------------------------------------------------------------ */

static void keep_open(void *arg, struct str key, struct str value)
{
	struct adm_trail *g = arg;
	const struct node *x = value.n >= HEAD_BYTES ? find(g, key) : NULL;
	if (x && number_at(value, 0) >= x->first_no)
		st_journal_keep(g->journal, key, value);
}

static void on_timer(struct tmr *t)
{
	struct adm_trail *g = CONTAINER_OF(t, struct adm_trail, timer);
	if (!g->is_compacting && st_journal_wants_compaction(g->journal, g->bytes))
		g->is_compacting = st_journal_compact_begin(g->journal) == OK;
	else if (g->is_compacting && st_journal_reread(g->journal, PART_BYTES, keep_open, g)) {
		st_journal_compact_end(g->journal);
		g->is_compacting = false;
	}
	ev_timer(g->loop, t, g->is_compacting ? PART_US : CHECK_US, on_timer);
}

/* ---- making it ------------------------------------------------------------------------------- */

enum err adm_trail_new(struct st *st, struct ev_shards *scope, struct st_cdrs *db,
		       struct adm_trail **out)
{
	struct adm_trail *g = calloc(1, sizeof(*g));
	if (!g)
		return ERR_NOMEM;
	g->st = st;
	g->loop = ev_shard(scope, 0);
	g->next_no = 1;
	buf_init(&g->value);
	buf_init(&g->texts);
	env_random(g->loop->env, g->key, sizeof(g->key));
	enum err e = htab_init(&g->calls, 256);
	if (e == OK)
		e = load(g, scope, db);
	if (e) {
		adm_trail_free(g);
		return e;
	}
	ev_timer(g->loop, &g->timer, CHECK_US, on_timer);
	*out = g;
	return OK;
}

static void free_node(void *arg, struct hnode *n)
{
	struct node *x = CONTAINER_OF(n, struct node, hnode);
	htab_del(&((struct adm_trail *)arg)->calls, n);
	free(x);
}

void adm_trail_free(struct adm_trail *g)
{
	if (!g)
		return;
	ev_timer_stop(g->loop, &g->timer);
	if (g->journal)
		st_journal_flush(g->journal);
	st_journals_leave(g->st, ST_CALLS);
	if (g->calls.buckets)
		htab_each(&g->calls, free_node, g);
	htab_fini(&g->calls);
	free(g->steps);
	buf_fini(&g->value);
	buf_fini(&g->texts);
	free(g);
}
