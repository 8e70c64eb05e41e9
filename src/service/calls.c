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
 * Cost in the way of a call: one pool object and one block per call, no allocation per message.
 */
#include "service/calls.h"

#include "base/limits.h"
#include "base/list.h"
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#define FORKS   8
#define CALLEES 6
#define DEAD_US (12ull * 3600 * 1000000)
#define TICK_US 60000000u

struct fork {
	uint8_t state; /* enum evt_dialog_state */
	uint8_t n_tag;
	uint8_t callee; /* whose phone it is */
	char tag[61];   /* a longer one is cut: it only has to differ */
};

struct party {
	struct str aor, uri, name;
	uint64_t hash; /* of the address, for gather */
	struct evt_watch watch;
	char *text; /* block of its own, or NULL */
};

struct call {
	struct hnode node;
	struct link link; /* by time of the last sign of life */
	struct calls *calls;
	uint64_t id, seen_us;
	char *text; /* block */
	struct str call_id, tag;
	struct party caller, callee[CALLEES];
	unsigned n_callees;
	bool is_answered;
	unsigned n_forks;
	struct fork fork[FORKS];
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
	uint64_t h[2] = {htab_hash(c->key, call_id.p, call_id.n), htab_hash(c->key, tag.p, tag.n)};
	return htab_hash(c->key, h, sizeof(h));
}

static struct call *find(struct calls *c, struct str call_id, struct str tag)
{
	struct hnode *n = htab_first(&c->table, key_of(c, call_id, tag));
	for (; n; n = htab_next(n)) {
		struct call *k = CONTAINER_OF(n, struct call, node);
		if (str_eq(k->call_id, call_id) && str_eq(k->tag, tag))
			return k;
	}
	return NULL;
}

static void forget(struct call *k)
{
	struct calls *c = k->calls;
	htab_del(&c->table, &k->node);
	list_del(&k->link);
	for (unsigned i = 0; i < k->n_callees; i++)
		block_put(c->blocks, k->callee[i].text);
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

static void tell_party(struct call *k, bool is_caller, unsigned i, unsigned code)
{
	const struct fork *f = &k->fork[i];
	const struct party *callee = &k->callee[f->callee];
	const struct party *us = is_caller ? &k->caller : callee;
	const struct party *them = is_caller ? callee : &k->caller;
	struct str theirs = str_of(f->tag, f->n_tag);
	struct evt_dialog d = {
		.call = k->id,
		.fork = (uint16_t)i,
		.state = f->state,
		.is_initiator = is_caller,
		.code = (uint16_t)code,
		.call_id = k->call_id,
		.local_tag = is_caller ? k->tag : theirs,
		.remote_tag = is_caller ? theirs : k->tag,
		.local = us->uri,
		.remote = them->uri,
		.remote_name = them->name,
	};
	evt_tell_dialog(k->calls->evt, us->aor, &d);
}

static bool is_watched(struct call *k, const struct party *p)
{
	return p->aor.n && evt_is_watched(k->calls->evt, p->watch);
}

static void tell(struct call *k, unsigned i, unsigned code)
{
	if (is_watched(k, &k->caller))
		tell_party(k, true, i, code);
	if (is_watched(k, &k->callee[k->fork[i].callee]))
		tell_party(k, false, i, code);
}

static void set_state(struct call *k, unsigned i, enum evt_dialog_state state, unsigned code)
{
	k->fork[i].state = (uint8_t)state;
	tell(k, i, code);
}

static void gather(void *ctx, struct str aor)
{
	struct calls *c = ctx;
	uint64_t hash = htab_hash(c->key, aor.p, aor.n);
	LIST_EACH (&c->by_time, l) {
		struct call *k = LIST_ENTRY(l, struct call, link);
		for (unsigned i = 0; i < k->n_forks; i++) {
			if (k->fork[i].state == EVT_TERMINATED)
				continue;
			if (k->caller.hash == hash && str_eq(k->caller.aor, aor))
				tell_party(k, true, i, 0);
			const struct party *callee = &k->callee[k->fork[i].callee];
			if (callee->hash == hash && str_eq(callee->aor, aor))
				tell_party(k, false, i, 0);
		}
	}
}

/* ---- the way of a call ----------------------------------------------------------------------- */

static struct str add(char **at, struct str s)
{
	struct str out = str_of(*at, s.n);
	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return out;
}

struct texts {
	struct str uri, name;
};

static struct texts texts_of(struct str value)
{
	struct sip_addr a;
	if (sip_addr_parse(value, &a) != OK)
		return (struct texts){0};
	return (struct texts){.uri = a.uri_text, .name = a.display};
}

static void start(struct calls *c, const struct sign *s)
{
	struct texts from = texts_of(s->from), to = texts_of(s->to);
	struct call *old = find(c, s->call_id, s->caller_tag);
	size_t n = s->call_id.n + s->caller_tag.n + s->caller_aor.n + s->callee_aor.n + from.uri.n +
		   from.name.n + to.uri.n + to.name.n;
	if (old) /* the same call once more, with credentials for another hop */
		forget(old);
	struct call *k = s->caller_aor.n || s->callee_aor.n ? pool_get(&c->pool) : NULL;
	if (!k)
		return;
	k->text = block_get(c->blocks, n, NULL);
	if (!k->text) {
		pool_put(&c->pool, k);
		return;
	}
	char *at = k->text;
	k->calls = c;
	k->id = env_random_u64(c->loop->env);
	k->call_id = add(&at, s->call_id);
	k->tag = add(&at, s->caller_tag);
	k->caller = (struct party){
		.aor = add(&at, s->caller_aor), add(&at, from.uri), add(&at, from.name)};
	k->callee[0] =
		(struct party){.aor = add(&at, s->callee_aor), add(&at, to.uri), add(&at, to.name)};
	k->n_callees = 1;
	k->caller.hash = htab_hash(c->key, s->caller_aor.p, s->caller_aor.n);
	k->callee[0].hash = htab_hash(c->key, s->callee_aor.p, s->callee_aor.n);
	k->caller.watch = evt_watch_of(c->evt, s->caller_aor);
	k->callee[0].watch = evt_watch_of(c->evt, s->callee_aor);
	htab_add(&c->table, &k->node, key_of(c, k->call_id, k->tag));
	list_init(&k->link);
	touch(k);
	k->n_forks = 1;
	set_state(k, 0, EVT_TRYING, 0);
}

void calls_on_invite(struct calls *c, const struct sip_msg *m, struct str caller_aor,
		     struct str callee_aor)
{
	start(c, &(struct sign){.call_id = m->call_id,
				.caller_tag = m->from_tag,
				.from = sip_value(m, SIP_HDR_FROM),
				.to = sip_value(m, SIP_HDR_TO),
				.caller_aor = caller_aor,
				.callee_aor = callee_aor});
}

/* A further one whom the call reaches; without room he is taken for the first. */
static unsigned callee_of(struct call *k, struct str aor)
{
	struct calls *c = k->calls;
	for (unsigned i = 0; i < k->n_callees; i++)
		if (!aor.n || str_eq(k->callee[i].aor, aor))
			return i;
	char *text = k->n_callees < CALLEES ? block_get(c->blocks, 4 + aor.n, NULL) : NULL;
	if (!text)
		return 0;
	memcpy(text, "sip:", 4);
	memcpy(text + 4, aor.p, aor.n);
	k->callee[k->n_callees] = (struct party){.aor = str_of(text + 4, aor.n),
						 .uri = str_of(text, 4 + aor.n),
						 .hash = htab_hash(c->key, aor.p, aor.n),
						 .watch = evt_watch_of(c->evt, aor),
						 .text = text};
	return k->n_callees++;
}

/* The dialog of that tag; FORKS: there is none. */
static unsigned find_fork(const struct call *k, struct str tag)
{
	tag = str_sub(tag, 0, sizeof(k->fork[0].tag));
	for (unsigned i = 0; i < k->n_forks; i++)
		if (str_eq(tag, str_of(k->fork[i].tag, k->fork[i].n_tag)))
			return i;
	return FORKS;
}

/* That, or a new one: the first tag of the first callee goes to the one that has none. FORKS: there
 * is no room. */
static unsigned fork_of(struct call *k, struct str tag, struct str aor)
{
	unsigned i = find_fork(k, tag), callee = callee_of(k, aor);
	const struct fork *first = &k->fork[0];
	if (i < FORKS)
		return i;
	bool is_first = !first->n_tag && first->state != EVT_TERMINATED && first->callee == callee;
	i = is_first ? 0 : k->n_forks;
	if (i == FORKS)
		return FORKS;
	tag = str_sub(tag, 0, sizeof(k->fork[0].tag));
	if (!is_first)
		k->n_forks++;
	k->fork[i].callee = (uint8_t)callee;
	k->fork[i].n_tag = (uint8_t)tag.n;
	memcpy(k->fork[i].tag, tag.p, tag.n);
	return i;
}

static void end_others(struct call *k, unsigned except, unsigned code)
{
	for (unsigned i = 0; i < k->n_forks; i++)
		if (i != except && k->fork[i].state != EVT_TERMINATED)
			set_state(k, i, EVT_TERMINATED, code);
}

static void answered(struct call *k, struct str tag, unsigned status, struct str callee)
{
	touch(k);
	if (status >= 300) {
		if (k->is_answered)
			return;
		end_others(k, FORKS, status);
		forget(k);
		return;
	}
	if (!tag.n || status == 100)
		return;
	unsigned i = fork_of(k, tag, callee);
	enum evt_dialog_state state = status < 200 ? EVT_EARLY : EVT_CONFIRMED;
	if (i == FORKS || (k->fork[i].state >= (unsigned)state && state != EVT_EARLY))
		return;
	if (state == EVT_EARLY && k->fork[i].state >= EVT_EARLY)
		return;
	set_state(k, i, state, status);
	if (state == EVT_CONFIRMED && !k->is_answered) {
		k->is_answered = true;
		end_others(k, i, 487);
	}
}

void calls_on_answer(struct calls *c, const struct sip_msg *invite, const struct sip_msg *resp,
		     unsigned status, struct str callee)
{
	struct call *k = find(c, invite->call_id, invite->from_tag);
	if (k)
		answered(k, resp ? resp->to_tag : STR_NONE, status, callee);
}

void calls_on_miss(struct calls *c, const struct sip_msg *invite, const struct sip_msg *resp,
		   struct str callee)
{
	struct call *k = find(c, invite->call_id, invite->from_tag);
	if (!k || k->is_answered)
		return;
	unsigned i = find_fork(k, resp ? resp->to_tag : STR_NONE);
	if (i == FORKS) /* refused before it rang */
		i = find_fork(k, STR_NONE);
	if (i < FORKS && str_eq(k->callee[k->fork[i].callee].aor, callee) &&
	    k->fork[i].state != EVT_TERMINATED)
		set_state(k, i, EVT_TERMINATED, resp ? resp->status : 408);
}

void calls_on_sign(struct calls *c, const struct sign *s)
{
	if (s->kind == SIGN_STARTED) {
		start(c, s);
		return;
	}
	struct call *k = find(c, s->call_id, s->caller_tag);
	if (!k)
		return;
	if (s->kind != SIGN_ENDED) {
		answered(k, s->callee_tag, s->kind == SIGN_EARLY ? 180 : 200, STR_NONE);
		return;
	}
	end_others(k, FORKS, s->status);
	forget(k);
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
	theirs = str_sub(theirs, 0, sizeof(k->fork[0].tag));
	bool is_live = false;
	for (unsigned i = 0; i < k->n_forks; i++) {
		struct fork *f = &k->fork[i];
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
