/* The calls of a shard, as far as lamps care.
 *
 * A call is known from its INVITE to its BYE or final refusal: by Call-ID and caller's tag. Each
 * fork that answers is a dialog of its own (RFC 4235 3.7.2): until the first answer there is one
 * without a remote tag, the first answer gives it one, a further tag makes a further dialog. A 2xx
 * confirms its own and ends the others; a final refusal ends all. Both parties are told of, each
 * where its address lives; but only when somebody watches it. Who begins to watch later is told by
 * calls_gather.
 *
 * A call whose BYE never comes through us (a phone that died) would be known for ever: after
 * DEAD_US without a sign of it, it is forgotten; when there is no room, the new call is not told
 * of.
 *
 * Cost in the way of a call: one pool object, which has room for the usual texts and one dialog; a
 * block where texts are long, or where several answer. What tells whether somebody watches is
 * looked up once.
 *
 * Invariant: 1. `text` has the texts one behind the other, n[] bytes each; 2. `more` is there when
 * n_forks is above one.
 */
#include "service/calls.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#define FORKS   8
#define DEAD_US (12ull * 3600 * 1000000)
#define TICK_US 60000000u

struct fork {
	uint8_t state; /* enum evt_dialog_state */
	uint8_t n_tag;
	char tag[62]; /* a longer one is cut: it only has to differ */
};

enum text { CALL_ID, CALLER_TAG, AOR, URI = AOR + 2, NAME = URI + 2, TEXT__N = NAME + 2 };
enum { CALLER, CALLEE }; /* added to AOR, URI, NAME */

struct call {
	struct hnode node;
	struct link link; /* by time of the last sign of life */
	struct calls *calls;
	uint64_t id, seen_us;
	uint16_t n[TEXT__N];
	struct evt_watch watch[2];
	bool is_answered;
	uint8_t n_forks;
	struct fork first, *more; /* more: a block with the other FORKS - 1, or NULL */
	char *text;               /* mem, or a block */
	char mem[200];
};

struct calls {
	struct ev_loop *loop;
	struct block_cache *blocks;
	struct evt_shard *evt;
	struct pool pool;
	struct htab table;
	struct link by_time;
	struct tmr tick;
	uint8_t key[16];
};

/* ---- finding --------------------------------------------------------------------------------- */

static uint64_t key_of(const struct calls *c, struct str call_id, struct str tag)
{
	return 31 * hash_quick(c->key, call_id) + hash_quick(c->key, tag);
}

static struct str text_of(const struct call *k, unsigned which)
{
	size_t at = 0;
	for (unsigned i = 0; i < which; i++)
		at += k->n[i];
	return str_of(k->text + at, k->n[which]);
}

static struct call *find(struct calls *c, struct str call_id, struct str tag)
{
	struct hnode *n = htab_first(&c->table, key_of(c, call_id, tag));
	for (; n; n = htab_next(n)) {
		struct call *k = CONTAINER_OF(n, struct call, node);
		if (str_eq(text_of(k, CALL_ID), call_id) && str_eq(text_of(k, CALLER_TAG), tag))
			return k;
	}
	return NULL;
}

static struct fork *fork_at(struct call *k, unsigned i)
{
	return i ? &k->more[i - 1] : &k->first;
}

static void forget(struct call *k)
{
	struct calls *c = k->calls;
	htab_del(&c->table, &k->node);
	list_del(&k->link);
	block_put(c->blocks, k->more);
	if (k->text != k->mem)
		block_put(c->blocks, k->text);
	pool_put(&c->pool, k);
}

static void touch(struct call *k)
{
	k->seen_us = ev_now_us(k->calls->loop);
	list_del(&k->link);
	list_push(&k->calls->by_time, &k->link);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void tell_party(struct call *k, unsigned us, unsigned i, unsigned code)
{
	unsigned them = us == CALLER ? CALLEE : CALLER;
	const struct fork *f = fork_at(k, i);
	struct str theirs = str_of(f->tag, f->n_tag), tag = text_of(k, CALLER_TAG);
	struct evt_dialog d = {
		.call = k->id,
		.fork = (uint16_t)i,
		.state = f->state,
		.is_initiator = us == CALLER,
		.code = (uint16_t)code,
		.call_id = text_of(k, CALL_ID),
		.local_tag = us == CALLER ? tag : theirs,
		.remote_tag = us == CALLER ? theirs : tag,
		.local = text_of(k, URI + us),
		.remote = text_of(k, URI + them),
		.remote_name = text_of(k, NAME + them),
	};
	evt_tell_dialog(k->calls->evt, text_of(k, AOR + us), &d);
}

static void tell(struct call *k, unsigned i, unsigned code)
{
	for (unsigned us = CALLER; us <= CALLEE; us++)
		if (k->n[AOR + us] && evt_is_watched(k->calls->evt, k->watch[us]))
			tell_party(k, us, i, code);
}

static void set_state(struct call *k, unsigned i, enum evt_dialog_state state, unsigned code)
{
	fork_at(k, i)->state = (uint8_t)state;
	tell(k, i, code);
}

static void gather(void *ctx, struct str aor)
{
	struct calls *c = ctx;
	LIST_EACH (&c->by_time, l) {
		struct call *k = LIST_ENTRY(l, struct call, link);
		for (unsigned i = 0; i < k->n_forks; i++) {
			if (fork_at(k, i)->state == EVT_TERMINATED)
				continue;
			for (unsigned us = CALLER; us <= CALLEE; us++)
				if (str_eq(text_of(k, AOR + us), aor))
					tell_party(k, us, i, 0);
		}
	}
}

/* ---- the way of a call ----------------------------------------------------------------------- */

struct texts {
	struct str uri, name;
};

static struct texts texts_of(const struct sip_msg *m, enum sip_hdr_id id)
{
	struct sip_addr a;
	if (sip_addr_parse(sip_value(m, id), &a) != OK)
		return (struct texts){0};
	return (struct texts){.uri = a.uri_text, .name = a.display};
}

static bool take_texts(struct call *k, const struct str texts[TEXT__N])
{
	size_t n = 0;
	for (unsigned i = 0; i < TEXT__N; i++) {
		k->n[i] = (uint16_t)texts[i].n; /* parts of one message, and two addresses */
		n += k->n[i];
	}
	k->text = n <= sizeof(k->mem) ? k->mem : block_get(k->calls->blocks, n, NULL);
	if (!k->text)
		return false;
	char *at = k->text;
	for (unsigned i = 0; i < TEXT__N; at += k->n[i++])
		if (k->n[i])
			memcpy(at, texts[i].p, k->n[i]);
	return true;
}

void calls_on_invite(struct calls *c, const struct sip_msg *m, struct str caller_aor,
		     struct str callee_aor)
{
	struct texts from = texts_of(m, SIP_HDR_FROM), to = texts_of(m, SIP_HDR_TO);
	struct call *old = find(c, m->call_id, m->from_tag);
	if (old) /* the same call once more, with credentials for another hop */
		forget(old);
	struct call *k = caller_aor.n || callee_aor.n ? pool_get(&c->pool) : NULL;
	if (!k)
		return;
	const struct str texts[TEXT__N] = {m->call_id, m->from_tag, caller_aor, callee_aor,
					   from.uri,   to.uri,      from.name,  to.name};
	k->calls = c;
	if (!take_texts(k, texts)) {
		pool_put(&c->pool, k);
		return;
	}
	k->id = env_random_u64(c->loop->env);
	for (unsigned us = CALLER; us <= CALLEE; us++)
		if (k->n[AOR + us])
			k->watch[us] = evt_watch_of(c->evt, texts[AOR + us]);
	htab_add(&c->table, &k->node, key_of(c, m->call_id, m->from_tag));
	list_init(&k->link);
	touch(k);
	k->n_forks = 1;
	set_state(k, 0, EVT_TRYING, 0);
}

/* The dialog of that tag; the first tag goes to the one that has none. FORKS: there is no room. */
static unsigned fork_of(struct call *k, struct str tag)
{
	struct fork *f;
	tag = str_sub(tag, 0, sizeof(f->tag));
	for (unsigned i = 0; i < k->n_forks; i++)
		if (f = fork_at(k, i), str_eq(tag, str_of(f->tag, f->n_tag)))
			return i;
	unsigned i = k->first.n_tag ? k->n_forks : 0;
	if (i && !k->more)
		k->more = block_get(k->calls->blocks, (FORKS - 1) * sizeof(*f), NULL);
	if (i == FORKS || (i && !k->more))
		return FORKS;
	k->n_forks = (uint8_t)(i + 1);
	f = fork_at(k, i);
	*f = (struct fork){.state = i ? EVT_TRYING : f->state, .n_tag = (uint8_t)tag.n};
	memcpy(f->tag, tag.p, tag.n);
	return i;
}

static void end_others(struct call *k, unsigned except, unsigned code)
{
	for (unsigned i = 0; i < k->n_forks; i++)
		if (i != except && fork_at(k, i)->state != EVT_TERMINATED)
			set_state(k, i, EVT_TERMINATED, code);
}

void calls_on_answer(struct calls *c, const struct sip_msg *invite, const struct sip_msg *resp,
		     unsigned status)
{
	struct call *k = find(c, invite->call_id, invite->from_tag);
	if (!k)
		return;
	touch(k);
	if (status >= 300) {
		if (k->is_answered)
			return;
		end_others(k, FORKS, status);
		forget(k);
		return;
	}
	if (!resp || !resp->to_tag.n || status == 100)
		return;
	unsigned i = fork_of(k, resp->to_tag);
	enum evt_dialog_state state = status < 200 ? EVT_EARLY : EVT_CONFIRMED;
	if (i == FORKS || fork_at(k, i)->state >= (unsigned)state)
		return;
	set_state(k, i, state, status);
	if (state == EVT_CONFIRMED && !k->is_answered) {
		k->is_answered = true;
		end_others(k, i, 487);
	}
}

/* Of the dialog that it names, or of the only one. */
void calls_on_bye(struct calls *c, const struct sip_msg *bye)
{
	struct call *k = find(c, bye->call_id, bye->from_tag);
	struct str theirs = bye->to_tag;
	if (!k) {
		k = find(c, bye->call_id, bye->to_tag);
		theirs = bye->from_tag;
	}
	if (!k)
		return;
	theirs = str_sub(theirs, 0, sizeof(k->first.tag));
	bool is_live = false;
	for (unsigned i = 0; i < k->n_forks; i++) {
		struct fork *f = fork_at(k, i);
		if (str_eq(theirs, str_of(f->tag, f->n_tag)) && f->state != EVT_TERMINATED)
			set_state(k, i, EVT_TERMINATED, 0);
		is_live |= f->state != EVT_TERMINATED;
	}
	if (!is_live)
		forget(k);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_tick(struct tmr *t)
{
	struct calls *c = CONTAINER_OF(t, struct calls, tick);
	uint64_t now = ev_now_us(c->loop);
	LIST_EACH (&c->by_time, l) {
		struct call *k = LIST_ENTRY(l, struct call, link);
		if (k->seen_us + DEAD_US > now)
			break;
		end_others(k, FORKS, 0);
		forget(k);
	}
	ev_timer_lazy(c->loop, &c->tick, TICK_US, TICK_US, on_tick);
}

enum err calls_new(struct ev_loop *loop, struct block_cache *blocks, struct evt_shard *evt,
		   struct calls **out)
{
	struct calls *c = calloc(1, sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	c->loop = loop;
	c->blocks = blocks;
	c->evt = evt;
	list_init(&c->by_time);
	env_random(loop->env, c->key, sizeof(c->key));
	pool_init(&c->pool, sizeof(struct call), LIMIT_WATCHED_CALLS, 0x44, (uint8_t)loop->shard);
	enum err e = htab_init(&c->table, 256);
	if (e != OK) {
		free(c);
		return e;
	}
	evt_set_gather(evt, gather, c);
	ev_timer_lazy(loop, &c->tick, TICK_US, TICK_US, on_tick);
	*out = c;
	return OK;
}

void calls_free(struct calls *c)
{
	if (!c)
		return;
	LIST_EACH (&c->by_time, l)
		forget(LIST_ENTRY(l, struct call, link));
	ev_timer_stop(c->loop, &c->tick);
	htab_fini(&c->table);
	pool_fini(&c->pool);
	free(c);
}

uint32_t calls_live(const struct calls *c)
{
	return c->pool.n_used;
}
