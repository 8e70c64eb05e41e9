/* The tracker's memory: rows, facts, texts.
 *
 *	rows     one struct trk_ev per message, 48 bytes, in chunks of 16 kB aligned to their size,
 *	         so that a row alone leads to its chunk, and by that to its number and the tracker;
 *	         a call chains its own by `prev`
 *	facts    chained by the call, each with its message's number
 *	live     a call's facts and texts lie in pages of its own, given back when it goes
 *	file     nothing goes, so everything lies packed in slabs: rows and calls by chunks,
 *	         the rest in one heap; texts are kept once: a phone says the same in each of its
 *calls
 *
 * A million messages in 135,000 dialogs take about 95 MB in a file; 48 of them are the rows.
 *
 * Invariants:
 * 1. chunks[i] holds the rows 1 + i * EV_CHUNK and on; live, every LIVE_CHUNKS-th begins an
 *    allocation.
 * 2. Live: a freed call's rows, facts and texts are freed with it; nothing else points to them.
 * 3. Steady state, live: all memory comes from pools and is given back to them.
 */
#include "base/assert.h"
#include "base/grow.h"
#include "track/trk_priv.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (16u << 10)
#define HEAP_BLOCK  (4 * CHUNK_BYTES)
#define NEAR_FACTS  128u

_Static_assert(sizeof(struct trk_ev) == 48, "rows are what memory goes to");
_Static_assert(sizeof(struct trk_call) <= 392, "an exchange has two for each call that talks");
_Static_assert(sizeof(struct trk_chunk) <= CHUNK_BYTES, "a chunk is found by its alignment");
_Static_assert(SIP_METHOD__N <= 32 && TRK_MAX_PEERS <= 64, "bits of struct trk_ev");

/* --- rows ------------------------------------------------------------------------------------- */

static const struct trk_chunk *chunk_of(const struct trk_ev *e)
{
	return (const struct trk_chunk *)((uintptr_t)e & ~(uintptr_t)(CHUNK_BYTES - 1));
}

uint32_t trk_ev_id(const struct trk_ev *e)
{
	const struct trk_chunk *k = chunk_of(e);
	return k->first + (uint32_t)(e - k->rows);
}

#define FILE_CALL  offsetof(struct trk_call, node) /* bytes of a call of a file */
#define CALL_CHUNK (uint32_t)(CHUNK_BYTES / FILE_CALL)

static struct trk_call *call_at(const struct trk *t, uint32_t place)
{
	char *p = t->places[place / CALL_CHUNK] + place % CALL_CHUNK * FILE_CALL;
	return (struct trk_call *)(void *)p;
}

struct trk_call *trk_call_of(const struct trk_ev *e)
{
	const struct trk *t = chunk_of(e)->t;
	if (t->cfg.is_live)
		return pool_at(&t->call_pool, e->call);
	return call_at(t, e->call);
}

unsigned trk_n_resent(const struct trk_ev *e)
{
	const struct trk *t = chunk_of(e)->t;
	uint32_t original = trk_copy_of(e);
	unsigned n = 0;
	for (uint32_t id = trk_ev_id(e); id && id != original; id = trk_row(t, id)->prev) {
		const struct trk_ev *o = trk_row(t, id);
		n += o->flags & TRK_EV_RETRANS && o->hash_copy == original;
	}
	return n;
}

/* Live: chunks allocated at once. Each time a page more is taken for malloc's own notes. */
#define LIVE_CHUNKS 16

static bool more_rows(struct trk *t)
{
	uint32_t n = t->cfg.is_live ? LIVE_CHUNKS : 1;
	struct trk_chunk **a = grow(t->chunks, &t->chunks_cap, t->n_chunks + n, sizeof(*a));
	if (!a)
		return false;
	t->chunks = a;
	char *p = t->cfg.is_live ? aligned_alloc(CHUNK_BYTES, n * CHUNK_BYTES)
				 : slabs_get(&t->slabs, CHUNK_BYTES, CHUNK_BYTES);
	if (!p)
		return false;
	if (t->cfg.is_live) /* a row that was taken with its group, and has no branch, is nobody's
			     */
		memset(p, 0, n * CHUNK_BYTES);
	for (unsigned i = 0; i < n; i++)
		t->chunks[t->n_chunks++] = (struct trk_chunk *)(void *)(p + i * CHUNK_BYTES);
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
			if (t->n_rows % EV_CHUNK == 0) {
				struct trk_chunk *k = t->chunks[t->n_rows / EV_CHUNK];
				k->t = t;
				k->first = t->n_rows + 1;
			}
			id = t->n_rows + 1;
			t->n_rows += group;
		}
	}
	*trk_row(t, id) = (struct trk_ev){.call = t->cfg.is_live ? c->place : c->no - 1};
	return id;
}

void trk_rows_free(struct trk *t, struct trk_call *c)
{
	if (!c->last_ev)
		return;
	/* The call's chain of rows becomes the front of the free one, newest group first: nothing
	 * is touched but the oldest row. (first_ev begins a group, and the first row of each later
	 * group leads to the group before.) */
	trk_row(t, c->first_ev)->prev = t->free_row;
	t->free_row = (c->last_ev - 1) / ROW_GROUP * ROW_GROUP + 1;
}

const struct trk_ev *trk_ev(const struct trk *t, uint32_t id)
{
	const struct trk_ev *e = id && id <= t->n_rows ? trk_row(t, id) : NULL;
	return e && e->branch ? e : NULL;
}

/* Who asks for one call's rows mostly asks for those of the next calls after it. They and the facts
 * are brought into the cache for several calls at once: along one chain each row would wait for the
 * row before. */
static void look_ahead(struct trk *t, const struct trk_call *c)
{
	enum { CALLS = 8, ROWS = 16 };
	uint32_t row[CALLS];
	const struct trk_fact *fact[CALLS];
	unsigned n = 0, kind = c->kind;
	for (; c && n < CALLS; c = trk_after(t, c)) {
		t->ahead_no = c->no + 1;
		if (c->kind != kind)
			continue;
		row[n] = c->last_ev;
		fact[n++] = c->facts;
	}
	for (unsigned k = 0; k < ROWS; k++)
		for (unsigned i = 0; i < n; i++) {
			row[i] = row[i] ? trk_row(t, row[i])->prev : 0;
			fact[i] = fact[i] ? fact[i]->next : NULL;
			__builtin_prefetch(row[i] ? trk_row(t, row[i]) : NULL);
			__builtin_prefetch(fact[i]);
		}
}

const struct trk_ev *const *trk_history(struct trk *t, const struct trk_call *c, uint32_t *n)
{
	if (c->is_packed && !trk_unpack(t, (struct trk_call *)(uintptr_t)c)) {
		*n = 0;
		return NULL;
	}
	if (t->history_cap < c->n_ev) {
		size_t cap = t->history_cap ? t->history_cap : 64;
		while (cap < c->n_ev)
			cap *= 2;
		const struct trk_ev **a = realloc(t->history, cap * sizeof(*a));
		if (!a) {
			*n = 0;
			return NULL;
		}
		t->history = a;
		t->history_cap = cap;
	}
	if (!t->cfg.is_live && c->no >= t->ahead_no)
		look_ahead(t, c);
	*n = c->n_ev;
	uint32_t at = c->n_ev;
	for (uint32_t id = c->last_ev; id; id = t->history[at]->prev)
		t->history[--at] = trk_row(t, id);
	ASSERT(at == 0);
	return t->history;
}

/* --- memory of a call ------------------------------------------------------------------------- */

void *trk_heap(struct trk *t, size_t n, size_t align)
{
	size_t skip = -(uintptr_t)t->heap_at & (align - 1);
	if ((size_t)(t->heap_end - t->heap_at) < n + skip) {
		if (n > HEAP_BLOCK / 2)
			return slabs_get(&t->slabs, n, align);
		char *p = slabs_get(&t->slabs, HEAP_BLOCK, CHUNK_BYTES);
		if (!p)
			return NULL;
		t->heap_at = p;
		t->heap_end = p + HEAP_BLOCK;
		skip = 0;
	}
	char *p = t->heap_at + skip;
	t->heap_at = p + n;
	return p;
}

void trk_weigh(struct trk *t, struct trk_call *c, size_t n)
{
	if (!t->cfg.is_live)
		return;
	c->n_bytes += (uint32_t)n;
	t->n_bytes += n;
}

void *trk_alloc(struct trk *t, struct trk_call *c, size_t n, size_t align)
{
	if (!t->cfg.is_live)
		return trk_heap(t, n, align);
	struct trk_text *x = c->text;
	size_t at = x ? (x->used + align - 1) & ~(align - 1) : 0;
	if (!x || at > x->cap || x->cap - at < n) {
		bool is_heap = n > TEXT_PAGE;
		x = is_heap ? malloc(sizeof *x + n) : pool_get(&t->text_pool);
		if (!x)
			return NULL;
		x->cap = (uint16_t)(is_heap ? n : TEXT_PAGE);
		x->is_heap = is_heap;
		x->next = c->text;
		c->text = x;
		trk_weigh(t, c, sizeof *x + x->cap);
		at = 0;
	}
	x->used = (uint16_t)(at + n);
	return x->bytes + at;
}

void trk_pages_free(struct trk *t, struct trk_call *c)
{
	t->fact_index.head = NULL;
	while (c->text) {
		struct trk_text *x = c->text;
		c->text = x->next;
		if (x->is_heap)
			free(x);
		else
			pool_put(&t->text_pool, x);
	}
}

void trk_text_free(struct trk *t, struct trk_call *c)
{
	t->n_bytes -= c->n_bytes;
	trk_pages_free(t, c);
	free(c->offer);
	free(c->pack);
	if (c->peers != c->first_peers)
		free((void *)(uintptr_t)c->peers);
}

/* A table of places with the hash beside them, so that calls of long ago are not touched. */
struct trk_slot {
	uint32_t hash, place; /* place + 1, which is the call's number; 0: free */
};

static void slot_put(struct trk_slot *slots, uint32_t cap, uint32_t hash, uint32_t place)
{
	uint32_t at = hash & (cap - 1);
	while (slots[at].place)
		at = (at + 1) & (cap - 1);
	slots[at] = (struct trk_slot){hash, place};
}

static bool more_slots(struct trk *t)
{
	if (t->n_places < t->slots_cap / 4 * 3)
		return true;
	uint32_t cap = t->slots_cap ? 2 * t->slots_cap : 64;
	struct trk_slot *a = slab_table(cap, sizeof *a);
	if (!a)
		return false;
	for (uint32_t i = 0; i < t->slots_cap; i++)
		if (t->slots[i].place)
			slot_put(a, cap, t->slots[i].hash, t->slots[i].place);
	slab_table_free(t->slots, t->slots_cap, sizeof *a);
	t->slots = a;
	t->slots_cap = cap;
	return true;
}

struct trk_call *trk_place_new(struct trk *t)
{
	uint32_t at = t->n_places;
	if (at % CALL_CHUNK == 0 && at / CALL_CHUNK == t->n_place_chunks) {
		char **a = grow(t->places, &t->places_cap, t->n_place_chunks, sizeof(*a));
		if (!a)
			return NULL;
		t->places = a;
		a[at / CALL_CHUNK] = slabs_get(&t->slabs, CHUNK_BYTES, CHUNK_BYTES);
		if (!a[at / CALL_CHUNK])
			return NULL;
		t->n_place_chunks++;
	}
	struct trk_call *c = memset(call_at(t, at), 0, FILE_CALL);
	c->no = at + 1;
	return c;
}

bool trk_place_take(struct trk *t, struct trk_call *c, uint64_t hash)
{
	if (!more_slots(t))
		return false;
	t->n_places++;
	slot_put(t->slots, t->slots_cap, (uint32_t)hash, c->no);
	return true;
}

void trk_place_expect(const struct trk *t, uint64_t hash)
{
	if (t->slots_cap)
		__builtin_prefetch(&t->slots[(uint32_t)hash & (t->slots_cap - 1)]);
}

void trk_call_expect(const struct trk *t, uint64_t hash)
{
	uint32_t place = t->slots_cap ? t->slots[(uint32_t)hash & (t->slots_cap - 1)].place : 0;
	if (!place)
		return;
	const char *c = (const char *)call_at(t, place - 1);
	for (size_t at = offsetof(struct trk_call, call_id); at < FILE_CALL; at += 64)
		__builtin_prefetch(c + at, 1);
}

struct trk_call *trk_place_at(const struct trk *t, uint32_t place)
{
	return place < t->n_places ? call_at(t, place) : NULL;
}

struct trk_call *trk_place_find(const struct trk *t, struct str call_id, uint64_t hash)
{
	if (!t->slots_cap)
		return NULL;
	uint32_t mask = t->slots_cap - 1, at = (uint32_t)hash & mask;
	for (; t->slots[at].place; at = (at + 1) & mask) {
		if (t->slots[at].hash != (uint32_t)hash)
			continue;
		struct trk_call *c = call_at(t, t->slots[at].place - 1);
		if (str_eq(c->call_id, call_id))
			return c;
	}
	return NULL;
}

/* --- texts ------------------------------------------------------------------------------------ */

static bool more_names(struct trk *t)
{
	uint32_t cap = t->names_cap ? 2 * t->names_cap : 256;
	const struct trk_name **a = slab_table(cap, sizeof *a);
	if (!a)
		return false;
	for (uint32_t i = 0; i < t->names_cap; i++) {
		const struct trk_name *x = t->names[i];
		uint32_t at = x ? x->hash & (cap - 1) : 0;
		while (x && a[at])
			at = (at + 1) & (cap - 1);
		if (x)
			a[at] = x;
	}
	slab_table_free(t->names, t->names_cap, sizeof *a);
	t->names = a;
	t->names_cap = cap;
	return true;
}

static struct trk_name *name_new(struct trk *t, struct trk_call *c, struct str a, struct str b)
{
	struct trk_name *x = trk_alloc(t, c, sizeof *x + a.n + b.n, _Alignof(struct trk_name));
	if (!x)
		return NULL;
	x->n = (uint16_t)(a.n + b.n);
	x->split = (uint16_t)a.n;
	if (a.n)
		memcpy(x->text, a.p, a.n);
	if (b.n)
		memcpy(x->text + a.n, b.p, b.n);
	return x;
}

static void name_wish(const struct trk *t, struct trk_wish *w, struct str a, struct str b)
{
	w->a = str_sub(a, 0, MAX_TEXT);
	w->b = str_sub(b, 0, MAX_TEXT);
	w->hash = t->cfg.is_live ? 0 : hash_quick32(w->a) + 31 * hash_quick32(w->b);
}

void trk_name_wish(const struct trk *t, struct trk_wish *w, struct str a, struct str b)
{
	name_wish(t, w, a, b);
	if (t->names_cap)
		__builtin_prefetch(&t->names[w->hash & (t->names_cap - 1)]);
}

void trk_name_expect(const struct trk *t, const struct trk_wish *w)
{
	if (t->names_cap)
		__builtin_prefetch(t->names[w->hash & (t->names_cap - 1)]);
}

const struct trk_name *trk_name_grant(struct trk *t, struct trk_call *c, const struct trk_wish *w)
{
	if (t->cfg.is_live)
		return name_new(t, c, w->a, w->b);
	if (t->n_names >= t->names_cap / 2 && !more_names(t))
		return NULL;
	uint32_t at = w->hash & (t->names_cap - 1);
	for (const struct trk_name *x; (x = t->names[at]); at = (at + 1) & (t->names_cap - 1))
		if (x->hash == w->hash && str_eq(trk_user(x), w->a) && str_eq(trk_host(x), w->b))
			return x;
	struct trk_name *x = name_new(t, c, w->a, w->b);
	if (!x)
		return NULL;
	x->hash = w->hash;
	t->n_names++;
	t->names[at] = x;
	return x;
}

const struct trk_name *trk_name_keep(struct trk *t, struct trk_call *c, struct str a, struct str b)
{
	struct trk_wish w;
	name_wish(t, &w, a, b);
	return trk_name_grant(t, c, &w);
}

/* --- facts ------------------------------------------------------------------------------------ */

struct trk_fact *trk_fact_add(struct trk *t, struct trk_call *c, struct trk_ev *e,
			      enum trk_fact_kind kind, struct str text)
{
	text = str_sub(text, 0, MAX_TEXT);
	const struct trk_name *name = NULL;
	size_t n = sizeof(struct trk_fact);
	if (!t->cfg.is_live && text.n && !(name = trk_name_keep(t, c, text, STR_NONE)))
		return NULL;
	struct trk_fact *f = trk_alloc(t, c, name ? n : n + text.n, _Alignof(struct trk_fact));
	if (!f)
		return NULL;
	*f = (struct trk_fact){.next = c->facts,
			       .text = name ? name->text : (const char *)(f + 1),
			       .ev = trk_ev_id(e),
			       .kind = (uint8_t)kind,
			       .n = (uint16_t)text.n};
	if (text.n && !name)
		memcpy(f + 1, text.p, text.n);
	c->facts = f;
	c->fact_kinds |= 1u << kind;
	e->has_facts = true;
	return f;
}

void trk_offer_drop(struct trk *t, struct trk_call *c)
{
	if (!t->cfg.is_live || !c->offer)
		return;
	for (const struct trk_fact *f = c->facts; f; f = f->next)
		if (f->text == c->offer) {
			struct trk_fact *own = (struct trk_fact *)(uintptr_t)f;
			c->n_bytes -= own->n;
			t->n_bytes -= own->n;
			own->text = "";
			own->n = 0;
		}
	free(c->offer);
	c->offer = NULL;
}

void trk_offer_keep(struct trk *t, struct trk_call *c, struct trk_ev *e, struct str sdp)
{
	if (!t->cfg.is_live) {
		trk_fact_add(t, c, e, TRK_F_OFFER, sdp);
		return;
	}
	sdp = str_sub(sdp, 0, MAX_TEXT);
	trk_offer_drop(t, c);
	struct trk_fact *f = sdp.n ? trk_fact_add(t, c, e, TRK_F_OFFER, STR_NONE) : NULL;
	c->offer = f ? malloc(sdp.n) : NULL;
	if (!c->offer)
		return;
	memcpy(c->offer, sdp.p, sdp.n);
	f->text = c->offer;
	f->n = (uint16_t)sdp.n;
	trk_weigh(t, c, sdp.n);
}

/* Facts of one call by message and kind, made when somebody looks far back: so that judging a call
 * of many messages takes no longer per message. */
static uint32_t fact_hash(uint32_t ev, unsigned kind)
{
	return (uint32_t)(((uint64_t)ev << 8 | kind) * 0x9e3779b97f4a7c15u >> 32);
}

static bool index_facts(struct fact_index *x, const struct trk_call *c)
{
	uint32_t n = 0;
	for (const struct trk_fact *f = c->facts; f; f = f->next)
		n++;
	if (x->cap < 2 * n) {
		uint32_t cap = x->cap ? x->cap : 1'024;
		while (cap < 2 * n)
			cap *= 2;
		const struct trk_fact **v = realloc(x->v, cap * sizeof(*v));
		if (!v)
			return false;
		x->v = v;
		x->cap = cap;
	}
	memset(x->v, 0, x->cap * sizeof(*x->v));
	for (const struct trk_fact *f = c->facts; f; f = f->next) {
		uint32_t at = fact_hash(f->ev, f->kind) & (x->cap - 1);
		while (x->v[at] && (x->v[at]->ev != f->ev || x->v[at]->kind != f->kind))
			at = (at + 1) & (x->cap - 1);
		if (!x->v[at])
			x->v[at] = f;
	}
	x->head = c->facts;
	return true;
}

static const struct trk_fact *far_fact(struct trk *t, const struct trk_call *c, uint32_t ev,
				       enum trk_fact_kind kind)
{
	struct fact_index *x = &t->fact_index;
	if (x->head != c->facts && !index_facts(x, c)) {
		const struct trk_fact *f = c->facts;
		while (f && (f->ev != ev || f->kind != kind))
			f = f->next;
		return f;
	}
	uint32_t at = fact_hash(ev, kind) & (x->cap - 1);
	while (x->v[at] && (x->v[at]->ev != ev || x->v[at]->kind != kind))
		at = (at + 1) & (x->cap - 1);
	return x->v[at];
}

const struct trk_fact *trk_fact(const struct trk_ev *e, enum trk_fact_kind kind)
{
	if (!e->has_facts)
		return NULL;
	uint32_t id = trk_ev_id(e);
	const struct trk_call *c = trk_call_of(e);
	if (!(c->fact_kinds >> kind & 1))
		return NULL;
	const struct trk_fact *f = c->facts;
	for (unsigned n = 0; f && (f->ev != id || f->kind != kind); f = f->next)
		if (++n == NEAR_FACTS)
			return far_fact(chunk_of(e)->t, c, id, kind);
	return f;
}

void trk_mem_fini(struct trk *t)
{
	for (uint32_t i = 0; t->cfg.is_live && i < t->n_chunks; i += LIVE_CHUNKS)
		free(t->chunks[i]);
	slabs_fini(&t->slabs);
	free(t->chunks);
	slab_table_free(t->names, t->names_cap, sizeof *t->names);
	free(t->places);
	slab_table_free(t->slots, t->slots_cap, sizeof *t->slots);
	free(t->history);
	free(t->fact_index.v);
}
