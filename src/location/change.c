/* The way of a change.
 *
 * loc_change on any shard → (BINDING_UPDATE) → the AOR's shard → merge: the old record and the
 * REGISTER make the new one, by RFC 3261's rules → journal, one write at the end of the turn → the
 * record is published → done, or (BINDING_RESULT) done on the shard that asked. A refusal of the
 * store leaves everything as it was.
 *
 * While a change of an AOR is being written, further ones of the same AOR wait in its `waiting`
 * list: each starts from what is durable. The table of changes under way (`busy`) is small: one
 * turn's.
 *
 * Invariants: 1. Only the AOR's shard changes its record. 2. Every change is told exactly once,
 * never from inside loc_change; or dropped when the process ends. 3. A change under way has a
 * reserved place in its slice. 4. A record is published only after its write.
 * [RFC3261 10.3 steps 6 and 7]
 */
#include "location/location_priv.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* --- applying a change [RFC3261 10.3 steps 6 and 7] ------------------------------------------- */

struct merge { /* the old contacts and what becomes of them */
	struct loc_item item[LOC_CONTACTS_MAX];
	struct loc_scratch scratch[LOC_CONTACTS_MAX];
	bool is_gone[LOC_CONTACTS_MAX];
	size_t n;
};

/* A flow is what it is by instance and reg-id, whatever its URI [RFC5626 6]; the sips form of a
 * Contact and its sip form are one [RFC5630 5.1.1.1]. */
static bool is_same_binding(const struct loc_item *a, const struct loc_contact *b)
{
	struct sip_uri u;
	if (a->reg_id && b->reg_id)
		return a->reg_id == b->reg_id && str_eq(a->instance, b->instance);
	if (str_eq(a->uri, b->uri))
		return true;
	if (sip_uri_parse(a->uri, &u) != OK)
		return false;
	if (u.scheme <= SIP_URI_SIPS && b->parsed.scheme <= SIP_URI_SIPS)
		u.scheme = b->parsed.scheme;
	return sip_uri_eq(&u, &b->parsed);
}

/* The same Call-ID orders by CSeq; another one is a phone that has started anew. */
static bool is_late(const struct loc_item *i, const struct loc_change *c)
{
	return str_eq(i->call_id, c->call_id) && c->cseq <= i->cseq;
}

/* Of contacts that are equal the last one counts. */
static bool is_repeated(const struct loc_change *c, size_t i)
{
	for (size_t k = i + 1; k < c->n_contacts; k++)
		if (sip_uri_eq(&c->contacts[i].parsed, &c->contacts[k].parsed))
			return true;
	return false;
}

static struct loc_item item_of(struct loc_shard *s, const struct loc_change *c,
			       const struct loc_contact *k, uint32_t now)
{
	return (struct loc_item){
		.uri = k->uri,
		.call_id = c->call_id,
		.path = c->path,
		.instance = k->instance,
		.expires = now + k->expires_s,
		.updated = now,
		.cseq = c->cseq,
		.reg_id = k->reg_id,
		.q = k->q,
		.agent = loc_agent_id(s, c->user_agent),
		.proto = c->proto,
		.is_nated = k->is_by_source && !c->flow,
		.from = c->from,
		.to = c->to,
		.flow = k->is_by_source ? c->flow : 0,
	};
}

static bool is_reachable(struct loc_shard *s, const struct loc_item *i)
{
	return !i->flow || (!i->is_down && (!s->tp || tp_flow_is_up(s->tp, i->flow)));
}

/* Makes room among the old ones: first those whose connection is gone, then the oldest. */
static void evict(struct loc_shard *s, struct loc_change *c, struct merge *m, size_t too_many)
{
	for (; too_many; too_many--) {
		size_t worst = SIZE_MAX;
		bool is_worst_up = true;
		for (size_t i = 0; i < m->n; i++) {
			bool is_up = is_reachable(s, &m->item[i]);
			if (m->is_gone[i] || (is_up && !is_worst_up))
				continue;
			if (worst == SIZE_MAX || is_up < is_worst_up ||
			    m->item[i].updated < m->item[worst].updated) {
				worst = i;
				is_worst_up = is_up;
			}
		}
		if (worst == SIZE_MAX)
			return;
		m->is_gone[worst] = true;
		c->n_evicted++;
	}
}

static void unpack(struct merge *m, const struct loc_rec *old, uint32_t now)
{
	size_t n, off = 0;
	m->n = 0;
	if (!old)
		return;
	const uint8_t *p = loc_rec_contacts(old, &n);
	while (m->n < LOC_CONTACTS_MAX &&
	       loc_item_next(p, n, &off, &m->item[m->n], &m->scratch[m->n])) {
		m->is_gone[m->n] = m->item[m->n].expires <= now;
		m->n++;
	}
}

static enum loc_outcome match(struct loc_change *c, struct merge *m, size_t *n_new)
{
	for (size_t i = 0; c->is_star && i < m->n; i++) {
		if (m->is_gone[i])
			continue;
		if (is_late(&m->item[i], c))
			return LOC_ORDER;
		m->is_gone[i] = true;
		c->n_removed++;
	}
	for (size_t k = 0; k < c->n_contacts; k++) {
		const struct loc_contact *contact = &c->contacts[k];
		bool is_known = false;
		if (is_repeated(c, k))
			continue;
		for (size_t i = 0; i < m->n; i++) {
			if (m->is_gone[i] || !is_same_binding(&m->item[i], contact))
				continue;
			if (is_late(&m->item[i], c))
				return LOC_ORDER;
			m->is_gone[i] = is_known = true;
		}
		*n_new += contact->expires_s > 0;
		c->n_added += contact->expires_s && !is_known;
		c->n_refreshed += contact->expires_s && is_known;
		c->n_removed += !contact->expires_s && is_known;
	}
	return LOC_OK;
}

/* Packs what is left and what is new into s->scratch. */
static enum loc_outcome merge(struct loc_shard *s, struct loc_change *c, const struct loc_rec *old)
{
	struct merge m;
	uint32_t now = loc_now_s(s);
	size_t n_new = 0, n_left = 0;
	enum err e = OK;
	c->n_added = c->n_refreshed = c->n_removed = c->n_evicted = 0;
	unpack(&m, old, now);
	enum loc_outcome outcome = match(c, &m, &n_new);
	if (outcome != LOC_OK)
		return outcome;
	for (size_t i = 0; i < m.n; i++)
		n_left += !m.is_gone[i];
	if (n_new > s->all->cfg.max_contacts)
		return LOC_FULL;
	if (n_new + n_left > s->all->cfg.max_contacts)
		evict(s, c, &m, n_new + n_left - s->all->cfg.max_contacts);
	buf_clear(&s->scratch);
	for (size_t i = 0; i < m.n; i++)
		if (!m.is_gone[i])
			buf_put(&s->scratch, m.item[i].raw, m.item[i].raw_n);
	for (size_t k = 0; e == OK && k < c->n_contacts; k++) {
		if (!c->contacts[k].expires_s || is_repeated(c, k))
			continue;
		struct loc_item item = item_of(s, c, &c->contacts[k], now);
		e = loc_item_put(&s->scratch, &item);
	}
	if (s->scratch.err || e == ERR_NOMEM)
		return LOC_MEMORY;
	return e == OK ? LOC_OK : LOC_FULL;
}

/* --- telling listeners ------------------------------------------------------------------------ */

static bool has_uri(const struct loc_rec *r, const struct loc_item *wanted)
{
	struct loc_scratch scratch;
	struct loc_item item;
	struct sip_uri a, b;
	size_t n, off = 0;
	if (!r)
		return false;
	const uint8_t *p = loc_rec_contacts(r, &n);
	bool is_parsed = sip_uri_parse(wanted->uri, &b) == OK;
	while (loc_item_next(p, n, &off, &item, &scratch)) {
		if (str_eq(item.uri, wanted->uri) ||
		    (is_parsed && sip_uri_parse(item.uri, &a) == OK && sip_uri_eq(&a, &b)))
			return true;
	}
	return false;
}

static void announce(struct loc_shard *s, enum loc_event_kind kind, struct str aor,
		     const struct loc_item *item)
{
	struct loc_binding b;
	loc_binding_of(s, item, loc_now_s(s), &b);
	struct loc_event e = {.kind = kind, .aor = aor, .binding = &b};
	s->all->listener(s->all->listener_ctx, s->n, &e);
}

/* old → fresh; either may be NULL. Both are alive. `gone`: what a missing one is called. */
void loc_announce(struct loc_shard *s, const struct loc_rec *old, const struct loc_rec *fresh,
		  enum loc_event_kind gone)
{
	struct loc_scratch scratch;
	struct loc_item item;
	size_t n, off = 0;
	if (!s->all->listener)
		return;
	const uint8_t *p = old ? loc_rec_contacts(old, &n) : NULL;
	while (p && loc_item_next(p, n, &off, &item, &scratch))
		if (!has_uri(fresh, &item))
			announce(s, gone, loc_rec_aor(old), &item);
	p = fresh ? loc_rec_contacts(fresh, &n) : NULL;
	off = 0;
	while (gone != LOC_EXPIRED && p && loc_item_next(p, n, &off, &item, &scratch)) {
		if (!has_uri(old, &item))
			announce(s, LOC_ADDED, loc_rec_aor(fresh), &item);
		else if (item.updated == loc_now_s(s))
			announce(s, LOC_REFRESHED, loc_rec_aor(fresh), &item);
	}
}

/* --- the way of a change ---------------------------------------------------------------------- */

void loc_tell(struct ev_task *t)
{
	struct loc_shard *s = CONTAINER_OF(t, struct loc_shard, tell);
	struct loc_change *c = s->finished;
	s->finished = NULL;
	while (c) {
		struct loc_change *next = c->waiting;
		c->waiting = NULL;
		c->done(c);
		c = next;
	}
}

/* `is_inside`: possibly inside the caller's loc_change. */
static void finish(struct loc_shard *s, struct loc_change *c, enum loc_outcome outcome,
		   bool is_inside)
{
	c->outcome = outcome;
	s->stats.n_changes++;
	s->stats.n_refused += outcome != LOC_OK;
	if (c->from_shard != s->n) {
		c->inbox.kind = INBOX_BINDING_RESULT;
		ev_send(s->all->shards, c->from_shard, &c->inbox);
	} else if (is_inside) {
		struct loc_change **at = &s->finished;
		while (*at)
			at = &(*at)->waiting;
		c->waiting = NULL;
		*at = c;
		ev_defer(s->loop, &s->tell);
	} else {
		c->done(c);
	}
}

struct loc_change *loc_find_busy(struct loc_shard *s, uint64_t hash, struct str aor)
{
	for (struct hnode *k = htab_first(&s->busy, hash); k; k = htab_next(k)) {
		struct loc_change *c = CONTAINER_OF(k, struct loc_change, node);
		if (str_eq(c->aor, aor))
			return c;
	}
	return NULL;
}

static void publish(struct loc_shard *s, struct loc_change *c)
{
	struct loc_rec *old = loc_table_find(&s->table, c->hash, c->aor);
	size_t n_old = old ? old->n_contacts : 0, n_new = c->next_rec ? c->next_rec->n_contacts : 0;
	if (c->next_rec) {
		enum err e = loc_table_put(&s->table, c->hash, c->next_rec);
		ASSERT(e == OK); /* the place was reserved */
	} else {
		loc_table_del(&s->table, c->hash, c->aor);
	}
	s->stats.n_bindings += n_new - n_old;
	/* the old record is retired, not freed: it lives until the end of the turn */
	loc_announce(s, old, c->next_rec, LOC_REMOVED);
	c->next_rec = NULL;
}

static void process(struct loc_shard *s, struct loc_change *c, bool is_inside);

/* The change is over, for good or bad: the next one of that AOR begins. */
static void leave(struct loc_shard *s, struct loc_change *c, enum loc_outcome outcome,
		  bool is_inside)
{
	struct loc_change *next = c->waiting;
	unsigned n = c->n_waiting;
	htab_del(&s->busy, &c->node);
	loc_table_release(&s->table, c->hash);
	c->waiting = NULL;
	if (next) {
		next->n_waiting = (uint16_t)(n - 1);
		process(s, next, is_inside);
	}
	finish(s, c, outcome, is_inside);
}

static void on_written(struct st_put *p, enum err e)
{
	struct loc_change *c = CONTAINER_OF(p, struct loc_change, put);
	struct loc_shard *s = c->at;
	if (e == OK)
		publish(s, c);
	else
		str_copy(c->why, sizeof(c->why), st_journal_why(s->journal));
	free(c->next_rec);
	c->next_rec = NULL;
	leave(s, c, e == OK ? LOC_OK : e == ERR_NOMEM ? LOC_MEMORY : LOC_STORE, false);
}

/* Begins a change; those that wait behind it are in c->waiting. */
static void process(struct loc_shard *s, struct loc_change *c, bool is_inside)
{
	const struct loc_rec *old = loc_table_find(&s->table, c->hash, c->aor);
	c->next_rec = NULL;
	htab_add(&s->busy, &c->node, c->hash);
	if (loc_table_reserve(&s->table, c->hash) != OK) {
		s->table.slice[(c->hash >> 24) % LOC_SLICES].n_reserved++; /* leave gives it back */
		leave(s, c, LOC_MEMORY, is_inside);
		return;
	}
	enum loc_outcome outcome = merge(s, c, old);
	if (outcome == LOC_OK && s->scratch.n) {
		c->next_rec = loc_rec_new(c->aor, c->hash, s->n, buf_view(&s->scratch));
		if (!c->next_rec)
			outcome = LOC_MEMORY;
	}
	struct str value =
		outcome == LOC_OK && c->next_rec ? loc_value_of(s, c->next_rec) : STR_NONE;
	if (outcome == LOC_OK && c->next_rec && s->value.err)
		outcome = LOC_MEMORY;
	else if (outcome == LOC_OK && value.n + c->aor.n + 2 > LIMIT_JOURNAL_RECORD)
		outcome = LOC_FULL;
	bool is_nothing = outcome == LOC_OK && !c->next_rec && !old;
	if (outcome != LOC_OK || is_nothing) {
		free(c->next_rec);
		c->next_rec = NULL;
		leave(s, c, outcome, is_inside);
	} else if (s->journal) {
		c->put.done = on_written;
		st_journal_put(s->journal, &c->put, c->aor, value);
	} else {
		publish(s, c);
		leave(s, c, LOC_OK, is_inside);
	}
}

static void start(struct loc_shard *s, struct loc_change *c, bool is_inside)
{
	c->at = s;
	c->waiting = NULL;
	c->n_waiting = 0;
	struct loc_change *busy = loc_find_busy(s, c->hash, c->aor);
	if (!busy) {
		process(s, c, is_inside);
		return;
	}
	if (busy->n_waiting >= LIMIT_WAITING_PER_AOR) {
		finish(s, c, LOC_BUSY, is_inside);
		return;
	}
	busy->n_waiting++;
	while (busy->waiting)
		busy = busy->waiting;
	busy->waiting = c;
}

void loc_change(struct loc *l, size_t shard, struct loc_change *c)
{
	ASSERT(c->aor.n > 0 && c->aor.n <= LIMIT_AOR_BYTES);
	c->hash = loc_hash(l, c->aor);
	c->from_shard = (uint16_t)shard;
	c->waiting = NULL;
	c->next_rec = NULL;
	c->why[0] = 0;
	size_t owner = c->hash % l->n;
	if (owner == shard) {
		start(&l->shard[owner], c, true);
		return;
	}
	c->inbox.kind = INBOX_BINDING_UPDATE;
	ev_send(l->shards, owner, &c->inbox);
}

void loc_on_update(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	start(ctx, CONTAINER_OF(m, struct loc_change, inbox), false);
}

void loc_on_result(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	struct loc_change *c = CONTAINER_OF(m, struct loc_change, inbox);
	c->done(c);
}
