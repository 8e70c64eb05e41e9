/* Bindings: loading, the tick, life.
 *
 * Time. Expiry is in loc time: the wall clock at start-up plus what the monotonic clock says since.
 * So a step of the wall clock (a machine without a battery clock, after boot) expires nothing. What
 * goes to disk is shifted to the wall clock of that moment, what comes from disk is trusted only as
 * far as its own interval goes.
 *
 * Expiry has no timer per binding: readers look at the time; a tick per second walks a sixteenth of
 * the slices and drops what is over. The same walk writes the live keys when the journal wants to
 * be rewritten. An expiry is not written: loading drops it again.
 *
 * After a restart, bindings that were reached over a connection are flow-down until they register
 * again: flow ids of another run mean nothing. [RFC5626 5.3]
 *
 * The value of a key in the store is the packed contacts as in memory, and after them a User-Agent
 * per contact, since the numbers that memory keeps for those are of this run.
 */
#include "location/location_priv.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define TICK_US         1000000u
#define SLICES_PER_TICK 16u

/* --- what is stored: the packed contacts, then a line per contact with its User-Agent ----------
 */

struct str loc_value_of(struct loc_shard *s, const struct loc_rec *r)
{
	struct loc_scratch scratch;
	struct loc_item item;
	size_t n, off = 0;
	const uint8_t *p = loc_rec_contacts(r, &n);
	buf_clear(&s->value);
	buf_put(&s->value, &r->n_contacts, 1);
	buf_put(&s->value, p, n);
	if (s->value.err == OK)
		loc_shift_times((uint8_t *)s->value.p + 1, n, s->drift_s);
	while (loc_item_next(p, n, &off, &item, &scratch)) {
		struct str agent = loc_agent_text(s, item.agent);
		uint8_t len = (uint8_t)agent.n;
		buf_put(&s->value, &len, 1);
		buf_str(&s->value, agent);
	}
	return buf_view(&s->value);
}

/* --- loading -------------------------------------------------------------------------------- */

/* Cuts a stored value into contacts; *agents is what follows. */
static bool split_value(struct str value, struct str *contacts, struct str *agents)
{
	struct loc_scratch scratch;
	struct loc_item item;
	size_t off = 0;
	if (!value.n)
		return false;
	const uint8_t *p = (const uint8_t *)value.p + 1;
	for (unsigned i = 0; i < (uint8_t)value.p[0]; i++)
		if (!loc_item_next(p, value.n - 1, &off, &item, &scratch))
			return false;
	*contacts = str_sub(str_skip(value, 1), 0, off);
	*agents = str_skip(value, 1 + off);
	return true;
}

static struct str next_agent(struct str *agents)
{
	if (!agents->n)
		return STR_NONE;
	size_t n = (uint8_t)agents->p[0];
	struct str s = str_sub(*agents, 1, n);
	*agents = str_skip(*agents, 1 + n);
	return s;
}

static void on_load(void *arg, struct str aor, struct str value)
{
	struct loc *l = arg;
	uint64_t hash = loc_hash(l, aor);
	struct loc_shard *s = &l->shard[hash % l->n];
	uint32_t now = loc_now_s(s);
	struct loc_scratch scratch;
	struct loc_item item;
	struct str contacts, agents;
	size_t off = 0;
	buf_clear(&s->scratch);
	if (split_value(value, &contacts, &agents)) {
		while (loc_item_next((const uint8_t *)contacts.p, contacts.n, &off, &item,
				     &scratch)) {
			struct str agent = next_agent(&agents);
			if (item.updated > now) { /* the clock was ahead then */
				item.expires = item.expires > item.updated
						       ? now + (item.expires - item.updated)
						       : now;
				item.updated = now;
			}
			if (item.expires <= now)
				continue;
			item.agent = loc_agent_id(s, agent);
			item.is_down |= item.flow != 0;
			(void)!loc_item_put(&s->scratch, &item);
		}
	}
	struct loc_rec *r = loc_rec_new(aor, hash, s->n, buf_view(&s->scratch));
	if (r && loc_table_put(&s->table, hash, r) == OK)
		return;
	free(r);
	loc_table_del(&s->table, hash, aor);
}

static void keep_rec(void *arg, struct loc_rec *r)
{
	struct loc_shard *s = arg;
	struct str value = loc_value_of(s, r);
	if (s->value.err == OK)
		st_journal_keep(s->journal, loc_rec_aor(r), value);
}

static enum err load(struct loc *l)
{
	char mem[16];
	struct buf b;
	bool rewrite;
	buf_init_fixed(&b, mem, sizeof(mem));
	enum err e = st_meta_init(l->st, STR("key.location"),
				  str_of((const char *)l->key, sizeof(l->key)), &b);
	if (e == OK && b.n != sizeof(l->key))
		e = ERR_IO;
	if (e != OK)
		return e;
	memcpy(l->key, b.p, sizeof(l->key));
	e = st_journals_read(l->st, ST_BINDINGS, on_load, l);
	if (e == OK)
		/* kept on disk: another hash places records on other shards, and shows by this */
		e = st_journals_open(l->st, ST_BINDINGS, l->shards,
				     (uint32_t)htab_hash(l->key, "layout", 6), &rewrite);
	if (e != OK)
		return e;
	for (size_t i = 0; i < l->n; i++) {
		struct loc_shard *s = &l->shard[i];
		s->journal = st_journal(l->st, ST_BINDINGS, i);
		for (size_t k = 0; rewrite && k < LOC_SLICES; k++) {
			loc_slice_each(&s->table.slice[k], keep_rec, s);
			st_journal_flush(s->journal);
		}
	}
	return rewrite ? st_journals_ready(l->st, ST_BINDINGS) : OK;
}

/* --- the tick --------------------------------------------------------------------------------- */

static void expire_rec(void *arg, struct loc_rec *r)
{
	struct loc_shard *s = arg;
	struct loc_scratch scratch;
	struct loc_item item;
	uint32_t now = loc_now_s(s), n_gone = 0;
	size_t n, off = 0;
	struct str aor = loc_rec_aor(r);
	if (r->next_expiry > now)
		return;
	uint64_t hash = loc_hash(s->all, aor);
	if (loc_find_busy(s, hash, aor))
		return; /* its change sees to it */
	const uint8_t *p = loc_rec_contacts(r, &n);
	buf_clear(&s->scratch);
	while (loc_item_next(p, n, &off, &item, &scratch)) {
		if (item.expires <= now)
			n_gone++;
		else
			buf_put(&s->scratch, item.raw, item.raw_n);
	}
	struct loc_rec *left = NULL;
	if (s->scratch.err)
		return; /* the next tick tries again */
	if (n_gone < r->n_contacts) {
		left = loc_rec_new(aor, hash, s->n, buf_view(&s->scratch));
		if (!left || loc_table_put(&s->table, hash, left) != OK) {
			free(left);
			return;
		}
	} else {
		loc_table_del(&s->table, hash, aor);
	}
	s->stats.n_expired += n_gone;
	s->stats.n_bindings -= n_gone;
	loc_announce(s, r, left, LOC_EXPIRED);
}

static void find_soonest(void *arg, struct loc_rec *r)
{
	struct loc_slice *sl = arg;
	if (r->next_expiry < sl->next_expiry)
		sl->next_expiry = r->next_expiry;
}

static void keep_live(void *arg, struct loc_rec *r)
{
	struct loc_shard *s = arg;
	struct str aor = loc_rec_aor(r);
	if (!loc_find_busy(s, loc_hash(s->all, aor), aor)) /* else its put is in the new file */
		keep_rec(arg, r);
}

static void tend_slice(struct loc_shard *s, struct loc_slice *sl)
{
	if (sl->next_expiry <= loc_now_s(s)) {
		loc_slice_each(sl, expire_rec, s);
		sl->next_expiry = UINT32_MAX;
		loc_slice_each(sl, find_soonest, sl);
	}
	if (!s->compact_left)
		return;
	loc_slice_each(sl, keep_live, s);
	if (--s->compact_left == 0)
		st_journal_compact_end(s->journal);
}

static void on_tick(struct tmr *t)
{
	struct loc_shard *s = CONTAINER_OF(t, struct loc_shard, tick);
	uint64_t wall = env_wall_us(s->loop->env) / 1000000;
	int64_t drift = (int64_t)wall - (int64_t)loc_now_s(s);
	s->drift_s = drift > -2 && drift < 2 ? 0 : drift;
	if (s->journal && !s->compact_left &&
	    st_journal_wants_compaction(s->journal, s->table.bytes) &&
	    st_journal_compact_begin(s->journal) == OK)
		s->compact_left = LOC_SLICES;
	for (unsigned i = 0; i < SLICES_PER_TICK; i++) {
		tend_slice(s, &s->table.slice[s->next_slice]);
		loc_agents_walk(s, &s->table.slice[s->next_slice], s->next_slice + 1 == LOC_SLICES);
		s->next_slice = (s->next_slice + 1) % LOC_SLICES;
	}
	ev_timer(s->loop, &s->tick, TICK_US, on_tick);
}

/* --- life ---------------------------------------------------------------------------------------
 */

static void drop_change(struct loc_change *c)
{
	while (c) {
		struct loc_change *next = c->waiting;
		free(c->next_rec);
		if (c->drop)
			c->drop(c);
		c = next;
	}
}

static void drop_busy(void *arg, struct hnode *node)
{
	drop_change(CONTAINER_OF(node, struct loc_change, node));
}

static void discard_msg(struct inbox_msg *m)
{
	struct loc_change *c = CONTAINER_OF(m, struct loc_change, inbox);
	if (c->drop)
		c->drop(c);
}

static enum err shard_init(struct loc *l, size_t i)
{
	struct loc_shard *s = &l->shard[i];
	s->all = l;
	s->n = i;
	s->loop = ev_shard(l->shards, i);
	loc_table_init(&s->table);
	buf_init(&s->scratch);
	buf_init(&s->value);
	s->tell.fn = loc_tell;
	s->base_us = ev_now_us(s->loop);
	s->base_wall_s = env_wall_us(s->loop->env) / 1000000;
	enum err e = htab_init(&s->busy, 64);
	if (e == OK)
		e = loc_agents_init(&s->agents);
	if (e != OK)
		return e;
	ev_inbox_handle(l->shards, i, INBOX_BINDING_UPDATE, loc_on_update, s);
	ev_inbox_handle(l->shards, i, INBOX_BINDING_RESULT, loc_on_result, s);
	return OK;
}

static void count_rec(void *arg, struct loc_rec *r)
{
	struct loc_shard *s = arg;
	s->stats.n_bindings += r->n_contacts;
}

enum err loc_new(struct ev_shards *shards, struct st *st, const struct loc_cfg *cfg,
		 struct loc **out)
{
	size_t n = ev_shards_count(shards);
	struct loc *l = calloc(1, sizeof(*l) + n * sizeof(l->shard[0]));
	if (!l)
		return ERR_NOMEM;
	l->shards = shards;
	l->st = st;
	l->cfg = *cfg;
	if (!l->cfg.max_contacts)
		l->cfg.max_contacts = LIMIT_CONTACTS_PER_AOR;
	if (l->cfg.max_contacts > LOC_CONTACTS_MAX)
		l->cfg.max_contacts = LOC_CONTACTS_MAX;
	env_random(ev_shard(shards, 0)->env, l->key, sizeof(l->key));
	ev_inbox_discard(shards, INBOX_BINDING_UPDATE, discard_msg);
	ev_inbox_discard(shards, INBOX_BINDING_RESULT, discard_msg);
	enum err e = OK;
	while (e == OK && l->n < n)
		e = shard_init(l, l->n++);
	if (e == OK && st)
		e = load(l);
	if (e != OK) {
		loc_free(l);
		return e;
	}
	for (size_t i = 0; i < n; i++) {
		struct loc_shard *s = &l->shard[i];
		for (size_t k = 0; k < LOC_SLICES; k++)
			loc_slice_each(&s->table.slice[k], count_rec, s);
		s->table.loop = s->loop;
		ev_timer(s->loop, &s->tick, TICK_US, on_tick);
	}
	*out = l;
	return OK;
}

void loc_free(struct loc *l)
{
	if (!l)
		return;
	if (l->st)
		st_journals_leave(l->st, ST_BINDINGS);
	for (size_t i = 0; i < l->n; i++) {
		struct loc_shard *s = &l->shard[i];
		ev_timer_stop(s->loop, &s->tick);
		ev_defer_cancel(s->loop, &s->tell);
		drop_change(s->finished);
		if (s->busy.buckets)
			htab_each(&s->busy, drop_busy, NULL);
		loc_table_fini(&s->table);
		loc_agents_fini(&s->agents);
		htab_fini(&s->busy);
		buf_fini(&s->scratch);
		buf_fini(&s->value);
	}
	free(l);
}

void loc_set_transport(struct loc *l, size_t shard, struct tp *tp)
{
	l->shard[shard].tp = tp;
}

size_t loc_shard_of(const struct loc *l, struct str aor)
{
	return loc_hash(l, aor) % l->n;
}

void loc_set_listener(struct loc *l, void (*fn)(void *ctx, size_t shard, const struct loc_event *e),
		      void *ctx)
{
	l->listener = fn;
	l->listener_ctx = ctx;
}

void loc_stats(const struct loc *l, size_t shard, struct loc_stats *out)
{
	const struct loc_shard *s = &l->shard[shard];
	*out = s->stats;
	out->n_aors = s->table.n;
	out->bytes = s->table.bytes;
}
