/* The tracker: memory, tables, the life of a call.
 *
 *	calls    hash by Call-ID ─► struct trk_call (pool)
 *	rows     one struct trk_ev per message, 64 bytes, in chunks; a call chains its own by `prev`
 *	texts    pages of 240 bytes per call: its names, and the facts of its messages
 *
 * A file keeps everything; rows are then numbered like the messages. A live tracker forgets: each
 * call is in one list per age class, the one with the earliest deadline first, and trk_tick takes
 * from the heads what is due. What ended is judged after it settled (the last ACK), reported, and
 * freed after it lingered (resent responses find it and are absorbed).
 *
 *	SETUP ─── answer ───► TALK ─── BYE answered ─┐
 *	  │ failed                                    ▼
 *	  └────────────────────────────────────► SETTLE ── judged ─► LINGER ── forgotten
 *	REQUEST (everything but calls) ─ final ──────┘                  │ new request
 *	  │  └─ challenged ─► RETRY ─ nothing ───────┘                  │
 *	  ▲                                                             ▼
 *	  └───────────────────────────────────── SETUP or REQUEST ◄─────┘
 *
 * Invariants:
 * 1. Live: every call is in exactly one age list, and each list is in order of deadline.
 * 2. A freed call's rows, texts and media ports are freed with it; nothing else points to them.
 * 3. Steady state: all memory comes from pools and is given back to them.
 * 4. Memory is bounded, live: beyond max_calls, or MAX_LIVE_BYTES of rows, texts and codecs, the
 *call silent longest is judged and freed; one that goes on and on is judged, and begins anew as one
 *    that was met in its middle.
 */
#include "base/assert.h"
#include "event/env.h"
#include "scope/trk_join_priv.h"

#include <stdlib.h>
#include <string.h>

#define SECOND         1'000'000u
#define MAX_LIVE_BYTES (2ull << 30)
#define MAX_CALL_ROWS  10'000u
#define MAX_CALL_BYTES (2u << 20)

const uint64_t trk_age_us[AGE__N] = {
	[AGE_SETUP] = 210ull * SECOND, [AGE_REQUEST] = 38ull * SECOND,
	[AGE_RETRY] = 4ull * SECOND,   [AGE_TALK] = 43'200ull * SECOND,
	[AGE_SETTLE] = 300'000ull,     [AGE_LINGER] = 5ull * SECOND,
};

struct trk *trk_new(const struct trk_cfg *cfg)
{
	struct trk *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->cfg = *cfg;
	env_entropy(t->hash_key, sizeof t->hash_key);
	if (!t->cfg.max_calls)
		t->cfg.max_calls = 1'000'000;
	uint32_t max = cfg->is_live ? t->cfg.max_calls : UINT32_MAX;
	pool_init(&t->call_pool, sizeof(struct trk_call), max, 1, 0);
	t->text_page = cfg->is_live ? TEXT_PAGE_LIVE : TEXT_PAGE_FILE;
	pool_init(&t->text_pool, sizeof(struct trk_text) + t->text_page, UINT32_MAX, 2, 0);
	for (int i = 0; i < AGE__N; i++)
		list_init(&t->ages[i]);
	vrd_init(&t->verdict);
	bool is_quick = cfg->is_live && cfg->is_quick;
	if (htab_init(&t->calls, 256) || trk_media_init(t) ||
	    (is_quick && !(t->quick = trk_quick_new())) || (cfg->has_join && trk_joins_new(t))) {
		trk_free(t);
		return NULL;
	}
	return t;
}

void trk_weigh(struct trk *t, struct trk_call *c, size_t n)
{
	c->n_bytes += (uint32_t)n;
	t->n_bytes += n;
}

static void text_free(struct trk *t, struct trk_call *c)
{
	t->n_bytes -= c->n_bytes;
	while (c->text) {
		struct trk_text *x = c->text;
		c->text = x->next;
		if (x->is_heap)
			free(x);
		else
			pool_put(&t->text_pool, x);
	}
	if (c->peers != c->first_peers)
		free(c->peers);
}

void trk_free(struct trk *t)
{
	if (!t)
		return;
	uint32_t cursor = 0;
	struct trk_call *c;
	while ((c = pool_next(&t->call_pool, &cursor))) {
		trk_media_forget(t, c);
		text_free(t, c);
	}
	trk_media_fini(t);
	trk_quick_free(t->quick);
	trk_joins_free(t);
	for (uint32_t i = 0; i < t->n_chunks; i++)
		free(t->chunks[i]);
	free(t->chunks);
	free(t->history);
	free(t->block);
	vrd_fini(&t->verdict);
	htab_fini(&t->calls);
	pool_fini(&t->call_pool);
	pool_fini(&t->text_pool);
	free(t);
}

/* --- rows ----------------------------------------------------------------------------------- */

struct trk_ev *trk_row(const struct trk *t, uint32_t id)
{
	return &t->chunks[(id - 1) / EV_CHUNK][(id - 1) % EV_CHUNK];
}

static bool more_rows(struct trk *t)
{
	if (t->n_chunks == t->chunks_cap) {
		uint32_t cap = t->chunks_cap ? 2 * t->chunks_cap : 16;
		struct trk_ev **a = realloc(t->chunks, cap * sizeof(*a));
		if (!a)
			return false;
		t->chunks = a;
		t->chunks_cap = cap;
	}
	struct trk_ev *chunk = aligned_alloc(64, EV_CHUNK * sizeof *chunk);
	if (!chunk)
		return false;
	memset(chunk, 0, EV_CHUNK * sizeof *chunk); /* a row without id is nobody's */
	t->chunks[t->n_chunks++] = chunk;
	return true;
}

uint32_t trk_row_new(struct trk *t, const struct trk_call *c)
{
	uint32_t group = t->cfg.is_live ? ROW_GROUP : 1, id = c->last_ev + 1;
	if (c->last_ev % group == 0) {
		if (t->free_row) {
			id = t->free_row;
			uint32_t next = trk_row(t, id)->prev;
			t->free_row = next ? (next - 1) / group * group + 1 : 0;
		} else {
			if (t->n_rows == t->n_chunks * EV_CHUNK && !more_rows(t))
				return 0;
			id = t->n_rows + 1;
			t->n_rows += group;
		}
	}
	*trk_row(t, id) = (struct trk_ev){.id = id};
	return id;
}

/* The call's chain of rows becomes the front of the free one, newest group first: nothing is
 * touched but the oldest row. (first_ev begins a group, and the first row of each later group leads
 * to the group before.) */
static void rows_free(struct trk *t, struct trk_call *c)
{
	if (!c->last_ev)
		return;
	trk_row(t, c->first_ev)->prev = t->free_row;
	t->free_row = (c->last_ev - 1) / ROW_GROUP * ROW_GROUP + 1;
}

const struct trk_ev *trk_ev(const struct trk *t, uint32_t id)
{
	return id && id <= t->n_rows && trk_row(t, id)->id == id ? trk_row(t, id) : NULL;
}

const uint32_t *trk_history(struct trk *t, const struct trk_call *c, uint32_t *n)
{
	if (t->history_cap < c->n_ev) {
		size_t cap = t->history_cap ? t->history_cap : 64;
		while (cap < c->n_ev)
			cap *= 2;
		uint32_t *a = realloc(t->history, cap * sizeof *a);
		if (!a) {
			*n = 0;
			return NULL;
		}
		t->history = a;
		t->history_cap = cap;
	}
	*n = c->n_ev;
	uint32_t at = c->n_ev;
	for (uint32_t id = c->last_ev; id; id = trk_row(t, id)->prev)
		t->history[--at] = id;
	ASSERT(at == 0);
	return t->history;
}

/* --- texts ---------------------------------------------------------------------------------- */

void *trk_alloc(struct trk *t, struct trk_call *c, size_t n)
{
	n = (n + 7) & ~(size_t)7;
	struct trk_text *x = c->text;
	if (!x || (size_t)(x->cap - x->used) < n) {
		bool is_heap = n > t->text_page;
		x = is_heap ? malloc(sizeof *x + n) : pool_get(&t->text_pool);
		if (!x)
			return NULL;
		x->used = 0;
		x->cap = (uint16_t)(is_heap ? n : t->text_page);
		x->is_heap = is_heap;
		x->next = c->text;
		c->text = x;
		trk_weigh(t, c, sizeof *x + x->cap);
	}
	void *p = x->bytes + x->used;
	x->used = (uint16_t)(x->used + n);
	return p;
}

struct str trk_text_keep(struct trk *t, struct trk_call *c, struct str s)
{
	s = str_sub(s, 0, MAX_CALL_ID);
	char *p = s.n ? trk_alloc(t, c, s.n) : NULL;
	if (!p)
		return STR_NONE;
	memcpy(p, s.p, s.n);
	return str_of(p, s.n);
}

struct trk_fact *trk_fact_add(struct trk *t, struct trk_call *c, struct trk_ev *e,
			      enum trk_fact_kind kind, struct str text)
{
	text = str_sub(text, 0, MAX_TEXT);
	struct trk_fact *f = trk_alloc(t, c, sizeof *f + text.n);
	if (!f)
		return NULL;
	*f = (struct trk_fact){.next = e->facts, .kind = kind, .n = (uint16_t)text.n};
	if (text.n)
		memcpy(f->text, text.p, text.n);
	e->facts = f;
	return f;
}

const struct trk_fact *trk_fact(const struct trk_ev *e, enum trk_fact_kind kind)
{
	const struct trk_fact *f = e->facts;
	while (f && f->kind != kind)
		f = f->next;
	return f;
}

/* --- calls ---------------------------------------------------------------------------------- */

uint64_t trk_call_hash(const struct trk *t, struct str call_id)
{
	call_id = str_sub(call_id, 0, MAX_CALL_ID);
	return htab_hash(t->hash_key, call_id.p, call_id.n);
}

struct trk_call *trk_call_find(const struct trk *t, struct str call_id, uint64_t hash)
{
	call_id = str_sub(call_id, 0, MAX_CALL_ID);
	for (struct hnode *n = htab_first(&t->calls, hash); n; n = htab_next(n)) {
		struct trk_call *c = CONTAINER_OF(n, struct trk_call, node);
		if (str_eq(c->call_id, call_id))
			return c;
	}
	return NULL;
}

struct trk_call *trk_find(const struct trk *t, struct str call_id)
{
	return trk_call_find(t, call_id, trk_call_hash(t, call_id));
}

static void call_free(struct trk *t, struct trk_call *c)
{
	trk_media_forget(t, c);
	if (c->leg)
		trk_join_forget(t, c);
	rows_free(t, c);
	list_del(&c->age);
	htab_del(&t->calls, &c->node);
	text_free(t, c);
	pool_put(&t->call_pool, c);
}

/* What went well and is no call is not worth a line, unless asked for. */
static bool is_worth_telling(const struct trk *t, const struct trk_call *c)
{
	return t->cfg.report_all || c->kind == TRK_CALL || t->verdict.worst > VRD_NOTE;
}

static void judge(struct trk *t, struct trk_call *c)
{
	if (c->is_judged)
		return;
	c->is_judged = true;
	if (c->leg)
		trk_join_decide(t, c);
	if (!t->cfg.on_verdict || vrd_judge(&t->verdict, t, c))
		return;
	if (is_worth_telling(t, c)) {
		c->is_reported = true;
		t->cfg.on_verdict(t->cfg.arg, t, c, &t->verdict);
	}
}

static bool make_room(struct trk *t)
{
	static const enum age_class order[] = {AGE_LINGER,  AGE_SETTLE, AGE_RETRY,
					       AGE_REQUEST, AGE_SETUP,  AGE_TALK};
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		if (!list_is_empty(&t->ages[order[i]])) {
			struct trk_call *c =
				LIST_ENTRY(t->ages[order[i]].next, struct trk_call, age);
			judge(t, c);
			call_free(t, c);
			return true;
		}
	return false;
}

struct trk_call *trk_call_part(struct trk *t, struct trk_call *c)
{
	if (!t->cfg.is_live || (c->n_ev < MAX_CALL_ROWS && c->n_bytes < MAX_CALL_BYTES))
		return c;
	judge(t, c);
	call_free(t, c);
	return NULL;
}

struct trk_call *trk_call_new(struct trk *t, struct str call_id, uint64_t hash)
{
	while (t->cfg.is_live &&
	       (t->call_pool.n_used >= t->cfg.max_calls || t->n_bytes > MAX_LIVE_BYTES))
		if (!make_room(t))
			break;
	struct trk_call *c = pool_get(&t->call_pool);
	if (!c)
		return NULL;
	list_init(&c->age);
	c->peers = c->first_peers;
	c->peers_cap = ARRAY_LEN(c->first_peers);
	c->caller = c->callee = c->ender = TRK_NO_PEER;
	call_id = str_sub(call_id, 0, MAX_CALL_ID);
	if (call_id.n <= sizeof c->id_mem) { /* beside the node, to be compared without a miss */
		memcpy(c->id_mem, call_id.p, call_id.n);
		c->call_id = str_of(c->id_mem, call_id.n);
	} else {
		c->call_id = trk_text_keep(t, c, call_id);
	}
	if (!c->call_id.n) {
		text_free(t, c);
		pool_put(&t->call_pool, c);
		return NULL;
	}
	htab_add(&t->calls, &c->node, hash);
	c->no = ++t->n_calls;
	if (t->cfg.is_live)
		return c;
	if (t->last_no)
		t->last_no->next_no = c;
	else
		t->first_no = c;
	t->last_no = c;
	return c;
}

void trk_age(struct trk *t, struct trk_call *c, enum age_class to)
{
	if (!t->cfg.is_live)
		return;
	/* moving costs the neighbours' cache lines, so it is not done for every message */
	bool is_fresh = c->due_us > t->now_us + trk_age_us[to] - trk_age_us[to] / 8;
	if (c->age_class == to && is_fresh && !list_is_empty(&c->age))
		return;
	list_del(&c->age);
	c->age_class = to;
	c->due_us = t->now_us + trk_age_us[to];
	list_push(&t->ages[to], &c->age);
}

void trk_tick(struct trk *t, uint64_t now_us)
{
	if (now_us > t->now_us)
		t->now_us = now_us;
	if (t->quick)
		trk_quick_tick(t, t->now_us);
	for (int cls = 0; cls < AGE__N; cls++) {
		struct link *head = &t->ages[cls];
		while (!list_is_empty(head)) {
			struct trk_call *c = LIST_ENTRY(head->next, struct trk_call, age);
			if (c->due_us > t->now_us)
				break;
			if (cls == AGE_LINGER) {
				call_free(t, c);
				continue;
			}
			judge(t, c);
			trk_age(t, c, AGE_LINGER);
		}
	}
}

void trk_flush(struct trk *t)
{
	if (t->quick)
		trk_quick_flush(t);
	for (int cls = 0; cls < AGE__N; cls++)
		while (!list_is_empty(&t->ages[cls])) {
			struct trk_call *c = LIST_ENTRY(t->ages[cls].next, struct trk_call, age);
			judge(t, c);
			call_free(t, c);
		}
}

void trk_hint(struct trk *t, struct str call_id, struct str code, struct str text)
{
	if (t->quick)
		trk_quick_release(t, call_id);
	struct trk_call *c = trk_find(t, call_id);
	if (!c || !c->last_ev)
		return;
	char mem[MAX_TEXT];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof mem);
	buf_str(&b, code);
	buf_str(&b, STR(": "));
	buf_str(&b, str_sub(text, 0, MAX_TEXT / 2));
	trk_fact_add(t, c, trk_row(t, c->last_ev), TRK_F_HINT, buf_view(&b));
	c->is_explained = true;
	if (c->age_class == AGE_RETRY) /* what the next try would have told is known */
		trk_age(t, c, AGE_SETTLE);
}

const struct trk_cfg *trk_cfg(const struct trk *t)
{
	return &t->cfg;
}

struct trk_call *trk_first(const struct trk *t)
{
	return t->first_no;
}

const struct trk_stats *trk_stats(const struct trk *t)
{
	return &t->stats;
}

uint32_t trk_n_live(const struct trk *t)
{
	return t->call_pool.n_used;
}

struct str trk_kind_name(enum trk_kind k)
{
	static const struct str names[TRK__KINDS] = {
		[TRK_CALL] = STR_INIT("call"),        [TRK_REG] = STR_INIT("registration"),
		[TRK_SUB] = STR_INIT("subscription"), [TRK_PUB] = STR_INIT("publication"),
		[TRK_MSG] = STR_INIT("message"),      [TRK_OPT] = STR_INIT("options"),
		[TRK_OTHER] = STR_INIT("other"),
	};
	return names[k];
}

struct str trk_transport_name(enum trk_transport t)
{
	static const struct str names[] = {STR_INIT("UDP"), STR_INIT("TCP"), STR_INIT("TLS"),
					   STR_INIT("WS"), STR_INIT("WSS")};
	return names[t];
}

void trk_ev_put(struct buf *b, const struct trk_ev *e)
{
	if (e->flags & TRK_EV_REQUEST) {
		const struct trk_fact *f = trk_fact(e, TRK_F_METHOD);
		buf_str(b, f ? trk_fact_text(f) : sip_method_name((enum sip_method)e->method));
		return;
	}
	const struct trk_fact *f = trk_fact(e, TRK_F_PHRASE);
	buf_u64(b, e->status);
	struct str phrase = f ? trk_fact_text(f) : sip_status_reason(e->status);
	if (phrase.n)
		buf_chr(b, ' ');
	buf_str(b, phrase);
}
