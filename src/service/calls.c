/* The calls of a shard, as far as lamps care.
 *
 * A call is known from its INVITE to its BYE or final refusal: by Call-ID and caller's tag. Each
 * fork that answers is a dialog of its own (RFC 4235 3.7.2): until the first answer there is one
 * without a remote tag, the first answer gives it one, a further tag makes a further dialog. A 2xx
 * confirms its own and ends the others; a final refusal ends all. Both parties are told of, each
 * where its address lives; but only when somebody watches it. Who begins to watch later is told by
 * calls_gather.
 *
 * Phones that have lost each other send no BYE: a request in the dialog that is answered 481, or
 * by nobody, ends it as well (RFC 3261 12.2.1.2).
 *
 * A call whose end never comes through us (a phone that died) would be known for ever: after
 * DEAD_US without a sign of it, it is forgotten; when there is no room, the new call is not told
 * of.
 *
 * A dialog that talks through somebody who has its names himself (the B2BUA) is his to remember:
 * what is left of it here is its number, which he keeps, too.
 *
 * Cost in the way of a call: one pool object, which has room for one dialog, and its texts in no
 * more than they need; a block where several ring. An address is mostly the end of its URI and not
 * kept twice.
 *
 * Invariants: 1. n_forks above one, or n_callees, mean that `more` is there. 2. The first fork is
 * the first callee's.
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

enum text {
	CALL_ID,
	CALLER_TAG,
	CALLEE_TAG,
	AOR,
	URI = AOR + 2,
	NAME = URI + 2,
	TEXT__N = NAME + 2
};
enum { CALLER, CALLEE }; /* added to AOR, URI, NAME; CALLEE + 1 ... are in `more` */
struct piece {
	uint16_t at, n; /* of the call's text */
};

struct other { /* a further one whom the call reaches */
	struct evt_watch watch;
	struct str aor, uri;
	char *text; /* block */
};
struct more { /* block */
	struct other callee[CALLEES - 1];
	struct fork fork[FORKS - 1];
};

struct call {
	struct hnode node;
	struct link link; /* by time of the last sign of life */
	uint64_t id, seen_us;
	struct evt_watch watch[2];
	uint8_t state; /* of the first fork, whose tag is CALLEE_TAG */
	uint8_t n_forks, n_callees;
	bool is_answered;
	uint16_t n_text;
	struct piece piece[TEXT__N];
	struct more *more; /* NULL: one fork, one callee */
	char *text;        /* heap */
};

struct calls {
	struct ev_loop *loop;
	struct block_cache *blocks;
	struct evt_shard *evt;
	void (*carrier)(void *ctx, struct str aor); /* may be NULL */
	void *carrier_ctx;
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

static struct str text_of(const struct call *k, unsigned which)
{
	return str_of(k->text + k->piece[which].at, k->piece[which].n);
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

static void forget(struct calls *c, struct call *k)
{
	htab_del(&c->table, &k->node);
	list_del(&k->link);
	for (unsigned i = 1; i < k->n_callees; i++)
		block_put(c->blocks, k->more->callee[i - 1].text);
	block_put(c->blocks, k->more);
	free(k->text);
	pool_put(&c->pool, k);
}

static void touch(struct calls *c, struct call *k)
{
	k->seen_us = ev_now_us(c->loop);
	list_del(&k->link);
	list_push(&c->by_time, &k->link);
}

/* Room for more than one fork or callee; false: no memory. */
static bool have_more(struct calls *c, struct call *k)
{
	if (!k->more)
		k->more = block_get(c->blocks, sizeof(*k->more), NULL);
	return k->more != NULL;
}

static uint8_t *state_of(struct call *k, unsigned fork)
{
	return fork ? &k->more->fork[fork - 1].state : &k->state;
}

static unsigned callee_at(const struct call *k, unsigned fork)
{
	return CALLEE + (fork ? k->more->fork[fork - 1].callee : 0u);
}

/* The callee's. */
static struct str tag_at(const struct call *k, unsigned fork)
{
	const struct fork *f = fork ? &k->more->fork[fork - 1] : NULL;
	return f ? str_of(f->tag, f->n_tag) : text_of(k, CALLEE_TAG);
}

/* ---- telling --------------------------------------------------------------------------------- */

struct party {
	struct str aor, uri, name;
	struct evt_watch watch;
};

static struct party party_of(const struct call *k, unsigned who)
{
	if (who > CALLEE) {
		const struct other *o = &k->more->callee[who - CALLEE - 1];
		return (struct party){.aor = o->aor, .uri = o->uri, .watch = o->watch};
	}
	return (struct party){.aor = text_of(k, AOR + who),
			      .uri = text_of(k, URI + who),
			      .name = text_of(k, NAME + who),
			      .watch = k->watch[who]};
}

static void tell_party(struct calls *c, struct call *k, bool is_caller, unsigned i, unsigned code)
{
	struct party caller = party_of(k, CALLER), callee = party_of(k, callee_at(k, i));
	const struct party *us = is_caller ? &caller : &callee;
	const struct party *them = is_caller ? &callee : &caller;
	struct str theirs = tag_at(k, i), tag = text_of(k, CALLER_TAG);
	struct evt_dialog d = {
		.call = k->id,
		.fork = (uint16_t)i,
		.state = *state_of(k, i),
		.is_initiator = is_caller,
		.code = (uint16_t)code,
		.call_id = text_of(k, CALL_ID),
		.local_tag = is_caller ? tag : theirs,
		.remote_tag = is_caller ? theirs : tag,
		.local = us->uri,
		.remote = them->uri,
		.remote_name = them->name,
	};
	evt_tell_dialog(c->evt, us->aor, &d);
}

static bool is_watched(struct calls *c, const struct call *k, unsigned who)
{
	struct party p = party_of(k, who);
	return p.aor.n && evt_is_watched(c->evt, p.watch);
}

static void set_state(struct calls *c, struct call *k, unsigned i, enum evt_dialog_state state,
		      unsigned code)
{
	*state_of(k, i) = (uint8_t)state;
	if (is_watched(c, k, CALLER))
		tell_party(c, k, true, i, code);
	if (is_watched(c, k, callee_at(k, i)))
		tell_party(c, k, false, i, code);
}

static bool is_of(const struct call *k, unsigned who, struct str aor, struct evt_watch watch)
{
	struct party p = party_of(k, who);
	return p.watch.home == watch.home && p.watch.word == watch.word && str_eq(p.aor, aor);
}

static void gather(void *ctx, struct str aor)
{
	struct calls *c = ctx;
	struct evt_watch watch = evt_watch_of(c->evt, aor);
	LIST_EACH (&c->by_time, l) {
		struct call *k = LIST_ENTRY(l, struct call, link);
		for (unsigned i = 0; i < k->n_forks; i++) {
			if (*state_of(k, i) == EVT_TERMINATED)
				continue;
			if (is_of(k, CALLER, aor, watch))
				tell_party(c, k, true, i, 0);
			if (is_of(k, callee_at(k, i), aor, watch))
				tell_party(c, k, false, i, 0);
		}
	}
	if (c->carrier)
		c->carrier(c->carrier_ctx, aor);
}

void calls_set_carrier(struct calls *c, void (*fn)(void *ctx, struct str aor), void *ctx)
{
	c->carrier = fn;
	c->carrier_ctx = ctx;
}

/* ---- the way of a call ----------------------------------------------------------------------- */

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

static void add_text(struct call *k, enum text which, struct str s)
{
	k->piece[which] = (struct piece){k->n_text, (uint16_t)s.n};
	if (s.n)
		memcpy(k->text + k->n_text, s.p, s.n);
	k->n_text = (uint16_t)(k->n_text + s.n);
}

/* False: they are too long, or there is no memory. */
static bool take_texts(struct call *k, const struct str texts[TEXT__N])
{
	size_t n = 0;
	bool is_tail[TEXT__N] = {0};
	for (unsigned i = 0; i < TEXT__N; i++) {
		is_tail[i] = (i == AOR + CALLER || i == AOR + CALLEE) &&
			     str_ends(texts[i - AOR + URI], texts[i]);
		n += is_tail[i] ? 0 : texts[i].n;
	}
	if (n > UINT16_MAX - sizeof(((struct fork *)NULL)->tag))
		return false;
	k->text = malloc(n + !n);
	if (!k->text)
		return false;
	for (unsigned i = 0; i < TEXT__N; i++)
		if (!is_tail[i])
			add_text(k, i, texts[i]);
	for (unsigned i = AOR; i <= AOR + CALLEE; i++) {
		struct piece uri = k->piece[i - AOR + URI];
		if (is_tail[i])
			k->piece[i] = (struct piece){(uint16_t)(uri.at + uri.n - texts[i].n),
						     (uint16_t)texts[i].n};
	}
	return true;
}

static void start(struct calls *c, const struct sign *s)
{
	struct texts from = texts_of(s->from), to = texts_of(s->to);
	struct call *old = find(c, s->call_id, s->caller_tag);
	if (old) /* the same call once more, with credentials for another hop */
		forget(c, old);
	struct call *k = s->caller_aor.n || s->callee_aor.n ? pool_get(&c->pool) : NULL;
	if (!k)
		return;
	const struct str texts[TEXT__N] = {
		[CALL_ID] = s->call_id,         [CALLER_TAG] = s->caller_tag,
		[AOR + CALLER] = s->caller_aor, [AOR + CALLEE] = s->callee_aor,
		[URI + CALLER] = from.uri,      [URI + CALLEE] = to.uri,
		[NAME + CALLER] = from.name,    [NAME + CALLEE] = to.name,
	};
	if (!take_texts(k, texts)) {
		pool_put(&c->pool, k);
		return;
	}
	k->id = env_random_u64(c->loop->env);
	for (unsigned who = CALLER; who <= CALLEE; who++)
		k->watch[who] = evt_watch_of(c->evt, texts[AOR + who]);
	k->n_callees = 1;
	htab_add(&c->table, &k->node, key_of(c, s->call_id, s->caller_tag));
	list_init(&k->link);
	touch(c, k);
	k->n_forks = 1;
	set_state(c, k, 0, EVT_TRYING, 0);
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
static unsigned callee_of(struct calls *c, struct call *k, struct str aor)
{
	for (unsigned i = 0; i < k->n_callees; i++)
		if (!aor.n || str_eq(party_of(k, CALLEE + i).aor, aor))
			return i;
	if (k->n_callees == CALLEES || !have_more(c, k))
		return 0;
	char *text = block_get(c->blocks, 4 + aor.n, NULL);
	if (!text)
		return 0;
	memcpy(text, "sip:", 4);
	memcpy(text + 4, aor.p, aor.n);
	k->more->callee[k->n_callees - 1] = (struct other){.aor = str_of(text + 4, aor.n),
							   .uri = str_of(text, 4 + aor.n),
							   .watch = evt_watch_of(c->evt, aor),
							   .text = text};
	return k->n_callees++;
}

static struct str cut(struct str tag)
{
	return str_sub(tag, 0, sizeof(((struct fork *)NULL)->tag));
}

/* The dialog of that tag; FORKS: there is none. */
static unsigned find_fork(const struct call *k, struct str tag)
{
	for (unsigned i = 0; i < k->n_forks; i++)
		if (str_eq(cut(tag), tag_at(k, i)))
			return i;
	return FORKS;
}

/* The first answer's tag; false: no memory for it. */
static bool set_tag(struct call *k, struct str tag)
{
	char *text = realloc(k->text, k->n_text + tag.n);
	if (!text)
		return false;
	k->text = text;
	add_text(k, CALLEE_TAG, tag);
	return true;
}

/* That, or a new one: the first tag of the first callee goes to the one that has none. FORKS: there
 * is no room. */
static unsigned fork_of(struct calls *c, struct call *k, struct str tag, struct str aor)
{
	unsigned i = find_fork(k, tag), callee = callee_of(c, k, aor);
	if (i < FORKS)
		return i;
	tag = cut(tag);
	if (!k->piece[CALLEE_TAG].n && k->state != EVT_TERMINATED && !callee)
		return set_tag(k, tag) ? 0 : FORKS;
	i = k->n_forks;
	if (i == FORKS || !have_more(c, k))
		return FORKS;
	struct fork *f = &k->more->fork[i - 1];
	*f = (struct fork){.n_tag = (uint8_t)tag.n, .callee = (uint8_t)callee};
	memcpy(f->tag, tag.p, tag.n);
	k->n_forks++;
	return i;
}

static void end_others(struct calls *c, struct call *k, unsigned except, unsigned code)
{
	for (unsigned i = 0; i < k->n_forks; i++)
		if (i != except && *state_of(k, i) != EVT_TERMINATED)
			set_state(c, k, i, EVT_TERMINATED, code);
}

static void answered(struct calls *c, struct call *k, struct str tag, unsigned status,
		     struct str callee)
{
	touch(c, k);
	if (status >= 300) {
		if (k->is_answered)
			return;
		end_others(c, k, FORKS, status);
		forget(c, k);
		return;
	}
	if (!tag.n || status == 100)
		return;
	unsigned i = fork_of(c, k, tag, callee);
	enum evt_dialog_state state = status < 200 ? EVT_EARLY : EVT_CONFIRMED;
	if (i == FORKS || *state_of(k, i) >= (unsigned)state)
		return;
	set_state(c, k, i, state, status);
	if (state == EVT_CONFIRMED && !k->is_answered) {
		k->is_answered = true;
		end_others(c, k, i, 487);
	}
}

void calls_on_answer(struct calls *c, const struct sip_msg *invite, const struct sip_msg *resp,
		     unsigned status, struct str callee)
{
	struct call *k = find(c, invite->call_id, invite->from_tag);
	if (k)
		answered(c, k, resp ? resp->to_tag : STR_NONE, status, callee);
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
	if (i < FORKS && str_eq(party_of(k, callee_at(k, i)).aor, callee) &&
	    *state_of(k, i) != EVT_TERMINATED)
		set_state(c, k, i, EVT_TERMINATED, resp ? resp->status : 408);
}

/* ---- dialogs that their carrier remembers ---------------------------------------------------- */

/* Of a call only this dialog is left, and the carrier has all that is known of it: it is his. */
static void hand_over(struct calls *c, struct call *k, const struct sign *s)
{
	struct texts from = texts_of(s->from), to = texts_of(s->to);
	struct party caller = party_of(k, CALLER), callee = party_of(k, CALLEE);
	bool is_caller = caller.aor.n;
	const struct party *us = is_caller ? &caller : &callee;
	bool is_his = s->talk && k->is_answered && k->n_forks == 1 &&
		      !(is_caller && callee.aor.n) && str_eq(from.uri, caller.uri) &&
		      str_eq(to.uri, callee.uri) && str_eq(from.name, caller.name) &&
		      str_eq(to.name, callee.name) && us->aor.n <= LIMIT_AOR_BYTES;
	char *aor = is_his ? malloc(us->aor.n + 1) : NULL;
	if (!aor)
		return;
	memcpy(aor, us->aor.p, us->aor.n);
	*s->talk = (struct sign_talk){.call = k->id,
				      .aor = aor,
				      .home = us->watch.home,
				      .word = us->watch.word,
				      .n_aor = (uint8_t)us->aor.n,
				      .is_caller = is_caller};
	forget(c, k);
}

static void tell_talk(struct calls *c, const struct sign *s, enum evt_dialog_state state)
{
	const struct sign_talk *t = s->talk;
	struct texts from = texts_of(s->from), to = texts_of(s->to);
	struct str us = str_of(t->aor, t->n_aor);
	struct evt_dialog d = {
		.call = t->call,
		.state = (uint8_t)state,
		.is_initiator = t->is_caller,
		.code = (uint16_t)s->status,
		.call_id = s->call_id,
		.local_tag = t->is_caller ? s->caller_tag : s->callee_tag,
		.remote_tag = t->is_caller ? s->callee_tag : s->caller_tag,
		.local = t->is_caller ? from.uri : to.uri,
		.remote = t->is_caller ? to.uri : from.uri,
		.remote_name = t->is_caller ? to.name : from.name,
	};
	if (s->kind == SIGN_TALKS ? str_eq(us, s->caller_aor)
				  : evt_is_watched(c->evt, (struct evt_watch){t->home, t->word}))
		evt_tell_dialog(c->evt, us, &d);
}

void calls_on_sign(struct calls *c, const struct sign *s)
{
	if (s->kind >= SIGN_TALKS && s->talk && s->talk->call) {
		tell_talk(c, s, s->kind == SIGN_TALKS ? EVT_CONFIRMED : EVT_TERMINATED);
		return;
	}
	if (s->kind == SIGN_STARTED) {
		start(c, s);
		return;
	}
	struct call *k = find(c, s->call_id, s->caller_tag);
	if (!k)
		return;
	if (s->kind != SIGN_ENDED) {
		answered(c, k, s->callee_tag, s->kind == SIGN_EARLY ? 180 : 200, STR_NONE);
		if (s->kind == SIGN_CONFIRMED)
			hand_over(c, k, s);
		return;
	}
	end_others(c, k, FORKS, s->status);
	forget(c, k);
}

void calls_on_end(struct calls *c, const struct sip_msg *m)
{
	struct call *k = find(c, m->call_id, m->from_tag);
	struct str theirs = k ? m->to_tag : m->from_tag;
	enum evt_dialog_state least = m->method == SIP_BYE ? EVT_TRYING : EVT_CONFIRMED;
	bool is_live = false;
	if (!k)
		k = find(c, m->call_id, m->to_tag);
	for (unsigned i = 0; k && i < k->n_forks; i++) {
		uint8_t state = *state_of(k, i);
		if (str_eq(cut(theirs), tag_at(k, i)) && state >= least && state < EVT_TERMINATED)
			set_state(c, k, i, EVT_TERMINATED, 0);
		is_live |= *state_of(k, i) != EVT_TERMINATED;
	}
	if (k && !is_live)
		forget(c, k);
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
		end_others(c, k, FORKS, 0);
		forget(c, k);
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
		forget(c, LIST_ENTRY(l, struct call, link));
	ev_timer_stop(c->loop, &c->tick);
	htab_fini(&c->table);
	pool_fini(&c->pool);
	free(c);
}
