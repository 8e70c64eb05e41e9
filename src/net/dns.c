/* The resolver without its back end: cache, waiting, patience.
 *
 * An entry is one (name, types). It is asked for at most once at a time; everybody who wants it
 * meanwhile waits at it. Answers are kept for their time to live (within bounds), failures for a
 * few seconds, so that a dead name asked for with every call is one question in that time and not
 * one per call. When the cache is full the answer used longest ago goes.
 *
 * Waiters are told from a task, never from inside dns_lookup nor from inside the back end: c-ares
 * may report on one question while it is being asked another.
 *
 * Invariants:
 * 1. An entry is in `lru` exactly when it is answered and its waiters have been told.
 * 2. is_asking entries are never freed: the back end knows them by address.
 * 3. A waiter is in exactly one list and is told once, or cancelled.
 * 4. A waiter's patience ends PATIENCE_US after the question was asked, even if the back end never
 *    answers.
 */
#include "net/dns.h"
#include "base/limits.h"
#include "net/dns_priv.h"

#include <stdlib.h>
#include <string.h>

#define PATIENCE_US    8'000'000u /* a caller's ear; c-ares has given up by then as a rule */
#define TTL_MIN_S      1u
#define TTL_MAX_S      3600u
#define NOTFOUND_TTL_S 10u
#define FAILURE_TTL_S  3u
#define NAME_MAX_BYTES 253u /* [RFC1035 2.3.4] as text */

struct dns_query {
	struct link link;
	dns_fn *fn;
	void *ctx;
};

/* --- entries -------------------------------------------------------------------------------- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* Lower case into out; false when this cannot be a host name. */
static bool fold(struct str name, char out[NAME_MAX_BYTES + 2])
{
	if (!name.n || name.n > NAME_MAX_BYTES + 1 || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + ('a' - 'A'));
		if (!is_name_char(c))
			return false;
		out[i] = c;
	}
	return true;
}

static uint64_t hash_of(const struct dns *d, struct str name, unsigned types)
{
	return htab_hash(d->key, name.p, name.n) + types;
}

static struct dns_entry *find(struct dns *d, struct str name, unsigned types)
{
	uint64_t h = hash_of(d, name, types);
	for (struct hnode *n = htab_first(&d->entries, h); n; n = htab_next(n)) {
		struct dns_entry *e = CONTAINER_OF(n, struct dns_entry, node);
		if (e->types == types && str_eq(str_of(e->name, e->n_name), name))
			return e;
	}
	return NULL;
}

static void free_entry(struct dns *d, struct dns_entry *e)
{
	htab_del(&d->entries, &e->node);
	list_del(&e->lru);
	list_del(&e->ready);
	ev_timer_stop(d->loop, &e->timer);
	for (struct link *l; (l = list_pop(&e->waiters));)
		free(LIST_ENTRY(l, struct dns_query, link));
	free(e);
}

static struct dns_entry *new_entry(struct dns *d, struct str name, unsigned types)
{
	if (d->entries.n >= LIMIT_DNS_CACHE && !list_is_empty(&d->lru))
		free_entry(d, LIST_ENTRY(d->lru.next, struct dns_entry, lru));
	struct dns_entry *e = calloc(1, sizeof(*e) + name.n + 1);
	if (!e)
		return NULL;
	e->dns = d;
	e->types = (uint8_t)types;
	e->n_name = name.n;
	memcpy(e->name, name.p, name.n);
	list_init(&e->lru);
	list_init(&e->ready);
	list_init(&e->waiters);
	htab_add(&d->entries, &e->node, hash_of(d, name, types));
	return e;
}

/* --- answers -------------------------------------------------------------------------------- */

static bool add_text(struct dns_answer *a, struct str s, uint16_t *at)
{
	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	if (a->n_text + s.n + 1 > sizeof(a->text))
		return false;
	*at = a->n_text;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		a->text[a->n_text++] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	a->text[a->n_text++] = 0;
	return true;
}

void dns_add_rr(struct dns_answer *a, const struct dns_rr *rr, struct str target,
		struct str service)
{
	struct dns_rr r = *rr;
	uint16_t n_text = a->n_text;
	if (a->n < DNS_MAX_RRS && add_text(a, target, &r.target) &&
	    add_text(a, service, &r.service))
		a->rr[a->n++] = r;
	else
		a->n_text = n_text;
}

/* Tells all who wait at e. They may cancel each other and look up again meanwhile. */
static void tell(struct dns_entry *e, enum err err, const struct dns_answer *a)
{
	struct link now;
	list_init(&now);
	for (struct link *l; (l = list_pop(&e->waiters));)
		list_push(&now, l);
	struct dns_answer copy = *a; /* e may be evicted by a look-up from a callback */
	for (struct link *l; (l = list_pop(&now));) {
		struct dns_query *q = LIST_ENTRY(l, struct dns_query, link);
		dns_fn *fn = q->fn;
		void *ctx = q->ctx;
		free(q);
		fn(ctx, err, err == OK ? &copy : NULL);
	}
}

static void tell_ready(struct ev_task *t)
{
	struct dns *d = CONTAINER_OF(t, struct dns, tell);
	for (struct link *l; (l = list_pop(&d->ready));) {
		struct dns_entry *e = LIST_ENTRY(l, struct dns_entry, ready);
		list_push(&d->lru, &e->lru);
		tell(e, e->err, &e->answer);
	}
}

static void lose_patience(struct tmr *t)
{
	struct dns_entry *e = CONTAINER_OF(t, struct dns_entry, timer);
	tell(e, ERR_TIMEOUT, &e->answer);
}

static uint32_t ttl_of(enum err err, uint32_t ttl_s)
{
	if (err == OK)
		return ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s > TTL_MAX_S ? TTL_MAX_S : ttl_s;
	if (err == ERR_NOTFOUND)
		return NOTFOUND_TTL_S;
	return err == ERR_TIMEOUT || err == ERR_NET ? FAILURE_TTL_S : 0;
}

void dns_answered(struct dns_entry *e, enum err err, const struct dns_answer *a, uint32_t ttl_s)
{
	struct dns *d = e->dns;
	ASSERT(e->is_asking);
	e->is_asking = false;
	d->n_asking--;
	if (d->is_closing)
		return;
	ev_timer_stop(d->loop, &e->timer);
	e->err = err;
	if (err == OK)
		e->answer = *a;
	e->expires_us = ev_now_us(d->loop) + (uint64_t)ttl_of(err, ttl_s) * 1'000'000u;
	if (list_is_empty(&e->waiters)) {
		list_push(&d->lru, &e->lru);
		return;
	}
	list_push(&d->ready, &e->ready);
	ev_defer(d->loop, &d->tell);
}

/* --- asking --------------------------------------------------------------------------------- */

static bool is_localhost(struct str name)
{
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	return str_eq(name, STR("localhost")) || str_ends(name, STR(".localhost"));
}

static void answer_localhost(unsigned types, struct dns_answer *out)
{
	*out = (struct dns_answer){0};
	if (types & DNS_AAAA)
		out->addr[out->n++] = (struct addr){.family = ADDR_V6, .ip = {[15] = 1}};
	if (types & DNS_A)
		out->addr[out->n++] = (struct addr){
			.family = ADDR_V4, .ip = {127, 0, 0, 1}
                };
}

static enum err wait_at(struct dns_entry *e, dns_fn *fn, void *ctx, struct dns_query **running)
{
	struct dns_query *q = malloc(sizeof(*q));
	if (!q)
		return ERR_NOMEM;
	*q = (struct dns_query){.fn = fn, .ctx = ctx};
	list_push(&e->waiters, &q->link);
	if (e->is_asking && !tmr_is_running(&e->timer)) {
		uint64_t now = ev_now_us(e->dns->loop), until = e->asked_us + PATIENCE_US;
		ev_timer(e->dns->loop, &e->timer, until > now ? until - now : 0, lose_patience);
	}
	*running = q;
	return ERR_MORE;
}

static enum err begin(struct dns *d, struct dns_entry *e)
{
	if (d->n_asking >= LIMIT_DNS_ASKING)
		return ERR_LIMIT;
	list_del(&e->lru);
	e->is_asking = true;
	e->asked_us = ev_now_us(d->loop);
	d->n_asking++;
	enum err err = d->backend->ask(d, e);
	if (err != OK) {
		e->is_asking = false;
		d->n_asking--;
	}
	return err;
}

static bool is_question(unsigned types)
{
	return types == DNS_SRV || types == DNS_NAPTR ||
	       (types && !(types & ~(unsigned)(DNS_A | DNS_AAAA)));
}

enum err dns_lookup(struct dns *d, struct str name, unsigned types, struct dns_answer *now,
		    dns_fn *fn, void *ctx, struct dns_query **running)
{
	char folded[NAME_MAX_BYTES + 2];
	*running = NULL;
	if (!is_question(types) || !fold(name, folded))
		return ERR_SYNTAX;
	name = str_of(folded, name.n);
	if (is_localhost(name)) {
		answer_localhost(types, now);
		return now->n ? OK : ERR_NOTFOUND;
	}
	struct dns_entry *e = find(d, name, types);
	if (!e && !(e = new_entry(d, name, types)))
		return ERR_NOMEM;
	if (!e->is_asking && e->expires_us <= ev_now_us(d->loop) && list_is_empty(&e->ready)) {
		enum err err = begin(d, e);
		if (err != OK) {
			free_entry(d, e);
			return err;
		}
	}
	if (e->is_asking)
		return wait_at(e, fn, ctx, running);
	if (!list_is_empty(&e->lru)) { /* used just now */
		list_del(&e->lru);
		list_push(&d->lru, &e->lru);
	}
	if (e->err == OK)
		*now = e->answer;
	return e->err;
}

void dns_cancel(struct dns_query *q)
{
	if (!q)
		return;
	list_del(&q->link);
	free(q);
}

static void ignore(void *ctx, enum err e, const struct dns_answer *a)
{
}

void dns_prefetch(struct dns *d, struct str name, unsigned types)
{
	struct dns_answer now;
	struct dns_query *q;
	if (dns_lookup(d, name, types, &now, ignore, NULL, &q) == ERR_MORE)
		dns_cancel(q); /* the question goes on */
}

/* --- life ----------------------------------------------------------------------------------- */

enum err dns_new_with(struct ev_loop *loop, const struct dns_backend *backend, void *impl,
		      struct dns **out)
{
	struct dns *d = calloc(1, sizeof(*d));
	if (!d)
		return ERR_NOMEM;
	d->loop = loop;
	d->backend = backend;
	d->impl = impl;
	d->tell.fn = tell_ready;
	list_init(&d->lru);
	list_init(&d->ready);
	env_random(loop->env, d->key, sizeof(d->key));
	enum err e = htab_init(&d->entries, 64);
	if (e != OK) {
		free(d);
		return e;
	}
	*out = d;
	return OK;
}

void dns_flush(struct dns *d)
{
	while (!list_is_empty(&d->lru))
		free_entry(d, LIST_ENTRY(d->lru.next, struct dns_entry, lru));
}

static void free_one(void *arg, struct hnode *n)
{
	free_entry(arg, CONTAINER_OF(n, struct dns_entry, node));
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	d->is_closing = true;
	d->backend->free(d);
	ev_defer_cancel(d->loop, &d->tell);
	htab_each(&d->entries, free_one, d);
	htab_fini(&d->entries);
	free(d);
}
