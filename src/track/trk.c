/* The tracker: the life of a call. Its memory is in trk_mem.c.
 *
 * A file keeps everything; rows are then numbered like the messages. A live tracker forgets: each
 * call is in one list per age class, the one with the earliest deadline first, and trk_tick takes
 * from the heads what is due. What ended is judged after it settled (the last ACK), reported, and
 * freed after it lingered (resent responses find it and are absorbed).
 *
 *	SETUP ─── answer ───► FRESH, TALK ─── BYE ───┐
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
 *    call silent longest is judged and freed, unless its user holds it; one that goes on and on is
 *    judged, and begins anew as one that was met in its middle.
 * 5. Live: a call that a restart has cut is over, but one without an answer waits for its INVITE,
 *    which the caller may repeat: then it begins once more.
 */
#include "base/assert.h"
#include "event/env.h"
#include "track/trk_join_priv.h"

#include <stdlib.h>
#include <string.h>

#define SECOND         1'000'000u
#define MAX_LIVE_BYTES (2ull << 30)
#define MAX_CALL_ROWS  10'000u
#define MAX_CALL_BYTES (2u << 20)

const uint64_t trk_age_us[AGE__N] = {
	[AGE_SETUP] = 210ull * SECOND, [AGE_REQUEST] = 38ull * SECOND,  [AGE_RETRY] = 4ull * SECOND,
	[AGE_FRESH] = 32ull * SECOND,  [AGE_TALK] = 43'200ull * SECOND, [AGE_SETTLE] = 300'000ull,
	[AGE_LINGER] = 5ull * SECOND,
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
	pool_init(&t->text_pool, sizeof(struct trk_text) + TEXT_PAGE, UINT32_MAX, 2, 0);
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

void trk_free(struct trk *t)
{
	if (!t)
		return;
	uint32_t cursor = 0;
	struct trk_call *c;
	while ((c = pool_next(&t->call_pool, &cursor))) {
		trk_media_forget(t, c);
		trk_text_free(t, c);
	}
	for (c = trk_first(t); c; c = trk_after(t, c))
		trk_media_forget(t, c);
	trk_media_fini(t);
	trk_quick_free(t->quick);
	trk_joins_free(t);
	trk_mem_fini(t);
	free(t->block);
	buf_fini(&t->pack);
	vrd_fini(&t->verdict);
	htab_fini(&t->calls);
	pool_fini(&t->call_pool);
	pool_fini(&t->text_pool);
	free(t);
}

/* --- calls ---------------------------------------------------------------------------------- */

uint64_t trk_call_hash(const struct trk *t, struct str call_id)
{
	call_id = str_sub(call_id, 0, MAX_CALL_ID);
	return t->cfg.is_live ? htab_hash(t->hash_key, call_id.p, call_id.n)
			      : hash_quick(t->hash_key, call_id);
}

struct trk_call *trk_call_find(const struct trk *t, struct str call_id, uint64_t hash)
{
	call_id = str_sub(call_id, 0, MAX_CALL_ID);
	if (!t->cfg.is_live)
		return trk_place_find(t, call_id, hash);
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

static void list_in(struct trk *t, struct trk_call *c)
{
	if (!t->cfg.is_listed)
		return;
	c->prev_no = t->last_no;
	if (t->last_no)
		t->last_no->next_no = c;
	else
		t->first_no = c;
	t->last_no = c;
}

static void list_out(struct trk *t, struct trk_call *c)
{
	if (!t->cfg.is_listed)
		return;
	if (c->prev_no)
		c->prev_no->next_no = c->next_no;
	else
		t->first_no = c->next_no;
	if (c->next_no)
		c->next_no->prev_no = c->prev_no;
	else
		t->last_no = c->prev_no;
}

static void call_free(struct trk *t, struct trk_call *c)
{
	t->n_forgotten++;
	list_out(t, c);
	trk_media_forget(t, c);
	if (c->leg)
		trk_join_forget(t, c);
	trk_rows_free(t, c);
	list_del(&c->age);
	htab_del(&t->calls, &c->node);
	trk_text_free(t, c);
	pool_put(&t->call_pool, c);
}

/* What went well and is neither call nor message is not worth a line, unless asked for. */
static bool is_worth_telling(const struct trk *t, const struct trk_call *c)
{
	return t->cfg.report_all || c->kind == TRK_CALL || c->kind == TRK_MSG ||
	       t->verdict.worst > VRD_NOTE;
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

/* [RFC3261 13.3.1.4]: a callee repeats its 2xx until the ACK comes, and gives up after 64*T1. */
void trk_alarm(struct trk *t, struct trk_call *c)
{
	if (c->is_alarmed || vrd_judge(&t->verdict, t, c) ||
	    t->verdict.f[0].rule != VRD_CALL_LOST_ACK)
		return;
	c->is_alarmed = true;
	t->cfg.on_alarm(t->cfg.arg, t, c, &t->verdict);
}

static bool make_room(struct trk *t)
{
	static const enum age_class order[] = {AGE_LINGER, AGE_SETTLE, AGE_RETRY, AGE_REQUEST,
					       AGE_SETUP,  AGE_TALK,   AGE_FRESH};
	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		struct link *head = &t->ages[order[i]], *at = head->next;
		while (at != head && LIST_ENTRY(at, struct trk_call, age)->n_held)
			at = at->next;
		if (at == head)
			continue;
		struct trk_call *c = LIST_ENTRY(at, struct trk_call, age);
		judge(t, c);
		call_free(t, c);
		return true;
	}
	return false;
}

struct trk_call *trk_call_part(struct trk *t, struct trk_call *c, const struct sip_skim *m)
{
	if (!t->cfg.is_live || c->n_held)
		return c;
	bool is_long = c->n_ev >= MAX_CALL_ROWS || c->n_bytes >= MAX_CALL_BYTES;
	bool is_opening = m->is_request && m->method == SIP_INVITE && !m->to_tag.n;
	bool is_anew = is_opening && c->stop == TRK_STOP_CUT;
	if (!is_long && !is_anew)
		return c;
	if (!is_anew || c->status) /* else it is set up once more: one call, one record */
		judge(t, c);
	call_free(t, c);
	return NULL;
}

/* In a file a call ends before what only a live one has. */
static struct trk_call *call_alloc(struct trk *t)
{
	if (t->cfg.is_live) {
		struct trk_call *c = pool_get(&t->call_pool);
		if (c) {
			list_init(&c->age);
			c->peers = c->first_peers;
			c->peers_cap = ARRAY_LEN(c->first_peers);
		}
		return c;
	}
	return trk_place_new(t);
}

static bool keep_call_id(struct trk *t, struct trk_call *c, struct str call_id)
{
	char *p = c->id_mem; /* beside the node, to be compared without a miss */
	if (!t->cfg.is_live || call_id.n > sizeof c->id_mem)
		p = trk_alloc(t, c, call_id.n, 1);
	if (!p || !call_id.n)
		return false;
	memcpy(p, call_id.p, call_id.n);
	c->call_id = str_of(p, call_id.n);
	return true;
}

/* A row tells its call by the number, or live, where calls go, by the place in the pool. */
static bool number_call(struct trk *t, struct trk_call *c, uint64_t hash)
{
	if (t->cfg.is_live) {
		c->no = ++t->n_calls;
		c->place = pool_slot(c);
		htab_add(&t->calls, &c->node, hash);
		list_in(t, c);
		return true;
	}
	if (!trk_place_take(t, c, hash))
		return false;
	t->n_calls++;
	return true;
}

struct trk_call *trk_call_new(struct trk *t, struct str call_id, uint64_t hash)
{
	while (t->cfg.is_live &&
	       (t->call_pool.n_used >= t->cfg.max_calls || t->n_bytes > MAX_LIVE_BYTES))
		if (!make_room(t))
			break;
	struct trk_call *c = call_alloc(t);
	if (!c)
		return NULL;
	c->caller = c->callee = c->ender = TRK_NO_PEER;
	if (!keep_call_id(t, c, str_sub(call_id, 0, MAX_CALL_ID)) || !number_call(t, c, hash)) {
		if (t->cfg.is_live) {
			trk_text_free(t, c);
			pool_put(&t->call_pool, c);
		}
		return NULL;
	}
	return c;
}

static uint64_t age_us(const struct trk *t, enum age_class cls)
{
	return cls == AGE_LINGER && t->cfg.keep_s ? t->cfg.keep_s * (uint64_t)SECOND
						  : trk_age_us[cls];
}

void trk_age(struct trk *t, struct trk_call *c, enum age_class to)
{
	if (!t->cfg.is_live)
		return;
	/* moving costs the neighbours' cache lines, so it is not done for every message */
	uint64_t us = age_us(t, to);
	bool is_fresh = c->due_us > t->now_us + us - us / 8;
	if (c->age_class == to && is_fresh && !list_is_empty(&c->age))
		return;
	list_del(&c->age);
	c->age_class = to;
	c->due_us = t->now_us + us;
	list_push(&t->ages[to], &c->age);
}

static bool has_response(const struct trk *t, const struct trk_call *c, uint32_t branch)
{
	const struct trk_ev *e;
	for (uint32_t id = c->last_ev; id; id = e->prev) {
		e = trk_row(t, id);
		if (e->status && e->method == SIP_INVITE && e->branch == branch)
			return true;
	}
	return false;
}

/* Of a branch that nobody has answered the INVITE may come again, though the call is over: up to
 * 32*T1 after the last time. [RFC3261 17.1.1.2] */
static bool is_repeated(const struct trk *t, const struct trk_call *c)
{
	const struct trk_ev *e;
	for (uint32_t id = c->is_packed ? 0 : c->last_ev; id; id = e->prev) {
		e = trk_row(t, id);
		if (e->at_us + 17ull * SECOND < t->now_us)
			return false;
		if (!e->status && e->method == SIP_INVITE && !has_response(t, c, e->branch))
			return true;
	}
	return false;
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
			if (cls == AGE_LINGER && !c->n_held && !is_repeated(t, c)) {
				call_free(t, c);
				continue;
			}
			if (cls == AGE_FRESH) {
				trk_rest(t, c);
				trk_age(t, c, AGE_TALK);
				continue;
			}
			judge(t, c);
			trk_age(t, c, AGE_LINGER);
		}
	}
}

void trk_until(struct trk *t, uint64_t at_us)
{
	if (at_us > t->now_us)
		t->now_us = at_us;
}

enum err trk_message(struct trk *t, const struct trk_packet *p, struct trk_call **call)
{
	if (call)
		*call = NULL;
	if (t->cfg.is_live)
		trk_tick(t, p->at_us);
	else if (p->at_us > t->now_us)
		t->now_us = p->at_us;
	return t->quick && trk_quick_take(t, p) ? OK : trk_take(t, p, call);
}

void trk_stop(struct trk *t, struct trk_call *c, enum trk_stop why, uint64_t now_us)
{
	if (c->kind != TRK_CALL || c->phase >= TRK_ENDING || c->is_judged)
		return;
	if (now_us > t->now_us)
		t->now_us = now_us;
	c->stop = (uint8_t)why & 3;
	if (why != TRK_STOP_CUT)
		return;
	trk_age(t, c, c->phase == TRK_ANSWERED ? AGE_SETTLE : AGE_REQUEST);
	c->phase = TRK_ENDED;
	c->end_us = t->now_us;
}

void trk_flush(struct trk *t)
{
	if (t->quick)
		trk_quick_flush(t);
	/* all are judged before the first is freed: legs are shown together */
	for (int cls = 0; cls < AGE__N; cls++)
		for (struct link *k = t->ages[cls].next; k != &t->ages[cls]; k = k->next)
			judge(t, LIST_ENTRY(k, struct trk_call, age));
	for (int cls = 0; cls < AGE__N; cls++)
		while (!list_is_empty(&t->ages[cls]))
			call_free(t, LIST_ENTRY(t->ages[cls].next, struct trk_call, age));
}

void trk_hint(struct trk *t, struct str call_id, struct str code, struct str text)
{
	if (t->quick)
		trk_quick_release(t, call_id);
	struct trk_call *c = trk_find(t, call_id);
	if (!c || !trk_unpack(t, c) || !c->last_ev)
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
	return t->cfg.is_live ? t->first_no : trk_place_at(t, 0);
}

struct trk_call *trk_last(const struct trk *t)
{
	return t->cfg.is_live ? t->last_no : trk_place_at(t, t->n_calls - 1);
}

struct trk_call *trk_before(const struct trk *t, const struct trk_call *c)
{
	return t->cfg.is_live ? c->prev_no : trk_place_at(t, c->no - 2);
}

struct trk_call *trk_after(const struct trk *t, const struct trk_call *c)
{
	return t->cfg.is_live ? c->next_no : trk_place_at(t, c->no);
}

const struct trk_stats *trk_stats(const struct trk *t)
{
	return &t->stats;
}

uint32_t trk_n_rows(const struct trk *t)
{
	return t->n_rows;
}

void trk_hold(struct trk *t, const struct trk_call *c, bool is_held)
{
	struct trk_call *own = trk_find(t, c->call_id);
	if (own != c)
		return;
	if (is_held)
		own->n_held++;
	else if (own->n_held)
		own->n_held--;
}

uint64_t trk_now_us(const struct trk *t)
{
	return t->now_us;
}

uint64_t trk_n_forgotten(const struct trk *t)
{
	return t->n_forgotten;
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
