/* The event server: what is shared, what is read at the start, and the journal.
 *
 * One journal per shard (store, ST_EVENTS) has the subscriptions whose dialogs are on it ('s'), and
 * the messages ('m'), mailboxes ('b') and publications ('p') of its addresses. At the start all
 * records are gathered, later ones replacing earlier, and dealt out: a subscription to the shard
 * that its Call-ID belongs to, so that what its phone sends finds it there; the rest to the shard
 * of the address. Both keys are kept in the store; when the number of shards has changed the
 * journals are written anew.
 *
 * A tick per second rewrites the journal in parts when it has grown, lets messages expire, and
 * tells again what could not be told for want of memory.
 *
 * Invariants: 1. Each write is in `writes` until it is told, or freed with the shard. 2. Nothing is
 * sent before all records have been read.
 */
#include "service/events_priv.h"

#include <stdlib.h>
#include <string.h>

#define TICK_US          1000000u
#define EXPIRE_TICKS     600 /* messages live for days */
#define COMPACT_AT_ONCE  2000
#define NOTIFY_WITHIN_US 1000000u /* after the start; and a second for each thousand */

static const struct evt_info infos[] = {
#define PACKAGE(id, event, type, who, base, gap, rfc)                                              \
	{STR_INIT(event), STR_INIT(type), EVT_WHO_##who, EVT_##base, gap * 1000u},
#define EVT_WHO_OWN        true
#define EVT_WHO_COLLEAGUES false
#include "service/packages.def"
#undef PACKAGE
};

const struct evt_info *evt_info(unsigned pkg)
{
	ASSERT(pkg < EVT__N);
	return &infos[pkg];
}

#define PACKAGE(id, event, type, who, base, gap, rfc) ", " event
static const char names[] =
#include "service/packages.def"
	"\r\n";
#undef PACKAGE

void evt_allow_put(struct buf *out)
{
	buf_str(out, STR("Allow-Events: "));
	buf_str(out, str_skip(str_of(names, sizeof(names) - 1), 2));
}

/* ---- writing --------------------------------------------------------------------------------- */

struct write {
	struct link link;
	struct st_put put;
	struct evt_shard *s;
	struct evt_waits who;
};

static void on_written(struct st_put *p, enum err e)
{
	struct write *w = CONTAINER_OF(p, struct write, put);
	list_del(&w->link);
	if (w->who.sub)
		evt_sub_saved(w->s, w->who.sub, e);
	if (w->who.message)
		evt_message_stored(w->who.message, e);
	if (w->who.put) /* soft state: what cannot be kept is published all the same */
		evt_answer(w->who.put, CODE_NONE, 200);
	free(w);
}

enum err evt_write(struct evt_shard *s, struct str key, struct str value, struct evt_waits who)
{
	if (key.n + value.n + 2 > LIMIT_JOURNAL_RECORD)
		return ERR_LIMIT;
	struct write *w = malloc(sizeof(*w));
	if (!w)
		return ERR_NOMEM;
	*w = (struct write){.put.done = on_written, .s = s, .who = who};
	list_init(&w->link);
	list_push(&s->writes, &w->link);
	st_journal_put(s->journal, &w->put, key, value);
	return OK;
}

/* ---- keeping --------------------------------------------------------------------------------- */

static void keep_record(struct evt_shard *s)
{
	if (s->key_text.err == OK && s->record.err == OK)
		st_journal_keep(s->journal, buf_view(&s->key_text), buf_view(&s->record));
}

static void keep_sub(struct evt_shard *s, struct evt_sub *x)
{
	if (!x->sub || !x->n_record)
		return;
	evt_sub_record(x, &s->key_text, &s->record);
	keep_record(s);
}

static void keep_res(void *arg, struct hnode *node)
{
	struct evt_shard *s = arg;
	struct evt_res *r = CONTAINER_OF(node, struct evt_res, node);
	LIST_EACH (&r->messages, l) {
		evt_message_record(LIST_ENTRY(l, struct evt_message, link), &s->key_text,
				   &s->record);
		keep_record(s);
	}
	LIST_EACH (&r->pubs, l) {
		evt_pub_record(r, LIST_ENTRY(l, struct evt_pub, link), &s->key_text, &s->record);
		keep_record(s);
	}
	if (!r->has_mailbox)
		return;
	evt_mailbox_record(r, &s->key_text, &s->record);
	keep_record(s);
}

/* Some more of the live keys. True: that was all. */
static bool keep_more(struct evt_shard *s, unsigned at_most)
{
	struct evt_sub *x;
	while (at_most-- && (x = pool_next(&s->subs, &s->compact_at)))
		keep_sub(s, x);
	if (at_most + 1)
		htab_each(&s->res, keep_res, s);
	return at_most + 1;
}

static void compact(struct evt_shard *s)
{
	if (!s->is_compacting) {
		if (!st_journal_wants_compaction(s->journal, s->live_bytes) ||
		    st_journal_compact_begin(s->journal) != OK)
			return;
		s->is_compacting = true;
		s->compact_at = 0;
	}
	if (keep_more(s, COMPACT_AT_ONCE)) {
		st_journal_compact_end(s->journal);
		s->is_compacting = false;
	}
}

static void on_tick(struct tmr *t)
{
	struct evt_shard *s = CONTAINER_OF(t, struct evt_shard, tick);
	if (s->journal)
		compact(s);
	if (s->has_unpoked) {
		s->has_unpoked = false;
		htab_each(&s->res, evt_poke_again, s);
	}
	if (++s->n_ticks % EXPIRE_TICKS == 0)
		htab_each(&s->res, evt_messages_expire, s);
	ev_timer_lazy(s->loop, &s->tick, TICK_US, TICK_US, on_tick);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct record {
	struct hnode node;
	size_t n_key, n_value;
	char text[];
};
struct loading {
	struct evt *e;
	struct htab table;
	bool has_failed;
	uint32_t n;
};

static struct str key_of(const struct record *r)
{
	return str_of(r->text, r->n_key);
}

static void on_record(void *arg, struct str key, struct str value)
{
	struct loading *l = arg;
	uint64_t h = htab_hash(l->e->key, key.p, key.n);
	for (struct hnode *n = htab_first(&l->table, h); n; n = htab_next(n)) {
		struct record *old = CONTAINER_OF(n, struct record, node);
		if (!str_eq(key_of(old), key))
			continue;
		htab_del(&l->table, n);
		free(old);
		break;
	}
	if (!value.n)
		return;
	struct record *r = malloc(sizeof(*r) + key.n + value.n);
	if (!r) {
		l->has_failed = true;
		return;
	}
	r->n_key = key.n;
	r->n_value = value.n;
	memcpy(r->text, key.p, key.n);
	memcpy(r->text + key.n, value.p, value.n);
	htab_add(&l->table, &r->node, h);
	l->n++;
}

static void take_record(void *arg, struct hnode *node)
{
	struct loading *l = arg;
	struct evt *e = l->e;
	struct record *r = CONTAINER_OF(node, struct record, node);
	struct str key = key_of(r), value = str_of(r->text + r->n_key, r->n_value);
	struct str aor = str_sub(key, 1, str_chr(str_skip(key, 1), '\n'));
	if (l->has_failed || key.n < 2) {
		/* only freed */
	} else if (key.p[0] == 's') {
		size_t owner = tp_owner_of(e->s[0]->stack->tp, evt_sub_call_id(key), STR_NONE);
		evt_sub_load(e->s[owner], value,
			     NOTIFY_WITHIN_US + (uint64_t)l->n * (NOTIFY_WITHIN_US / 1000));
	} else if (key.p[0] == 'm') {
		evt_message_load(e->s[loc_shard_of(e->env.loc, aor)], aor, key, value);
	} else if (key.p[0] == 'b') {
		evt_mailbox_load(e->s[loc_shard_of(e->env.loc, aor)], aor, value);
	} else if (key.p[0] == 'p') {
		evt_pub_load(e->s[loc_shard_of(e->env.loc, aor)], aor, key, value);
	}
	htab_del(&l->table, node);
	free(r);
}

/* Changes with any of the two keys that deal records out. */
static uint32_t layout(const struct evt *e)
{
	struct str probe = STR("layout");
	uint32_t h = 0;
	for (size_t i = 0; i < 16; i++) {
		char text[24];
		struct buf b;
		buf_init_fixed(&b, text, sizeof(text));
		buf_fmt(&b, STR_FMT "%zu", STR_ARG(probe), i);
		h = h * 31 + (uint32_t)tp_owner_of(e->s[0]->stack->tp, buf_view(&b), STR_NONE);
		h = h * 31 + (uint32_t)loc_shard_of(e->env.loc, buf_view(&b));
	}
	return h;
}

enum err evt_load(struct evt *e)
{
	struct st *st = e->env.st;
	struct loading l = {.e = e};
	bool rewrite = false;
	if (!st)
		return OK;
	enum err err = htab_init(&l.table, 256);
	if (err == OK)
		err = st_journals_read(st, ST_EVENTS, on_record, &l);
	if (err == OK && l.has_failed)
		err = ERR_NOMEM;
	l.has_failed = err != OK;
	if (err == OK)
		err = st_journals_open(st, ST_EVENTS, e->env.shards, layout(e), &rewrite);
	for (size_t i = 0; err == OK && i < e->n; i++)
		e->s[i]->journal = st_journal(st, ST_EVENTS, i);
	l.has_failed |= err != OK;
	if (l.table.buckets)
		htab_each(&l.table, take_record, &l);
	htab_fini(&l.table);
	for (size_t i = 0; err == OK && rewrite && i < e->n; i++) {
		e->s[i]->compact_at = 0;
		while (!keep_more(e->s[i], COMPACT_AT_ONCE))
			st_journal_flush(e->s[i]->journal);
		st_journal_flush(e->s[i]->journal);
	}
	return err == OK && rewrite ? st_journals_ready(st, ST_EVENTS) : err;
}

/* ---- making ---------------------------------------------------------------------------------- */

static enum err make_list_type(struct evt *e)
{
	uint8_t r[16];
	struct buf *b = &e->list_type;
	env_random(ev_shard(e->env.shards, 0)->env, r, sizeof(r));
	buf_str(b, STR("multipart/related;type=\"application/rlmi+xml\";start=\"<rlmi@rung>\";"
		       "boundary=\""));
	size_t from = b->n;
	buf_hex(b, r, sizeof(r));
	size_t n = b->n - from;
	buf_chr(b, '"');
	e->boundary = b->err == OK ? str_of(b->p + from, n) : STR_NONE;
	return b->err;
}

enum err evt_new(const struct evt_env *env, struct evt **out)
{
	size_t n = ev_shards_count(env->shards);
	struct evt *e = calloc(1, sizeof(*e) + n * sizeof(struct evt_shard *));
	if (!e)
		return ERR_NOMEM;
	e->env = *env;
	e->n = n;
	buf_init(&e->list_type);
	env_random(ev_shard(env->shards, 0)->env, e->key, sizeof(e->key));
	enum err err = make_list_type(e);
	if (err != OK) {
		evt_free(e);
		return err;
	}
	loc_set_listener(env->loc, evt_on_location, e);
	*out = e;
	return OK;
}

void evt_free(struct evt *e)
{
	if (!e)
		return;
	loc_set_listener(e->env.loc, NULL, NULL);
	if (e->env.st)
		st_journals_leave(e->env.st, ST_EVENTS);
	for (size_t i = 0; i < e->n; i++)
		if (e->s[i])
			ev_words_free(e->s[i]->watched);
	for (size_t i = 0; i < e->n; i++)
		free(e->s[i]);
	buf_fini(&e->list_type);
	free(e);
}

enum err evt_shard_new(struct evt *e, size_t shard, const struct dlg_stack *stack,
		       struct evt_shard **out)
{
	struct evt_shard *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->e = e;
	s->n = shard;
	s->loop = ev_shard(e->env.shards, shard);
	s->stack = stack;
	list_init(&s->writes);
	struct buf *bufs[] = {&s->doc, &s->entity, &s->key_text, &s->record};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_init(bufs[i]);
	evt_home_init(s);
	evt_sub_init(s);
	evt_put_init(s);
	e->s[shard] = s;
	*out = s;
	enum err err = ev_words_new(EVT_WORDS, &s->watched);
	if (err == OK)
		err = htab_init(&s->res, 256);
	if (err == OK)
		err = htab_init(&s->by_user, 256);
	if (err == OK)
		ev_timer_lazy(s->loop, &s->tick, TICK_US, TICK_US, on_tick);
	return err;
}

void evt_shard_free(struct evt_shard *s)
{
	if (!s)
		return;
	ev_timer_stop(s->loop, &s->tick);
	LIST_EACH (&s->writes, l) {
		struct write *w = LIST_ENTRY(l, struct write, link);
		if (w->who.message)
			evt_message_free(w->who.message);
		free(w->who.put);
		free(w);
	}
	evt_sub_fini(s);
	evt_home_fini(s);
	struct buf *bufs[] = {&s->doc, &s->entity, &s->key_text, &s->record};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_fini(bufs[i]);
}

void evt_set_gather(struct evt_shard *s, void (*fn)(void *ctx, struct str aor), void *ctx)
{
	s->gather = fn;
	s->gather_ctx = ctx;
}

void evt_stats(const struct evt_shard *s, struct evt_stats *out)
{
	*out = (struct evt_stats){.subscriptions = s->subs.n_used,
				  .watchers = s->n_watchers,
				  .resources = (uint32_t)s->res.n,
				  .messages = s->n_messages};
}
