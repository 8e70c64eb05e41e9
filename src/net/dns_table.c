/* The resolver's back end for simulations and tests: a table of names, answered after a delay in
 * the loop's own (so perhaps virtual) time. A delay of UINT64_MAX is silence.
 *
 * Pending questions wait in a list in order of their due time; since one delay holds for all that
 * is asked until it changes, the head of the list need not be the earliest: the timer looks at all.
 */
#include "net/dns_priv.h"

#include <stdlib.h>
#include <string.h>

#define DELAY_DEFAULT_US 1'000u

struct row {
	struct row *next;
	enum dns_type type;
	struct addr ip;   /* A, AAAA */
	struct dns_rr rr; /* SRV, NAPTR; its texts: */
	struct str target, service;
	uint32_t ttl_s;
	size_t n_name;
	char name[]; /* and what target and service point to */
};

struct pending {
	struct pending *next;
	struct dns_entry *entry;
	uint64_t due_us;
};

struct table {
	struct dns *dns;
	struct row *rows;
	struct pending *pending;
	struct tmr timer;
	uint64_t delay_us;
};

static void answer(struct table *t, struct dns_entry *e)
{
	struct dns_answer a = {0};
	uint32_t ttl_s = UINT32_MAX;
	struct str name = str_of(e->name, e->n_name);
	for (struct row *r = t->rows; r; r = r->next) {
		if (!(e->types & r->type) || !str_ieq(str_of(r->name, r->n_name), name))
			continue;
		if (r->type & (DNS_SRV | DNS_NAPTR))
			dns_add_rr(&a, &r->rr, r->target, r->service);
		else if (a.n < DNS_MAX_ADDRS)
			a.addr[a.n++] = r->ip;
		if (r->ttl_s < ttl_s)
			ttl_s = r->ttl_s;
	}
	dns_answered(e, a.n ? OK : ERR_NOTFOUND, &a, ttl_s);
}

static void rearm(struct table *t);

static void fire(struct tmr *tmr)
{
	struct table *t = CONTAINER_OF(tmr, struct table, timer);
	uint64_t now = ev_now_us(t->dns->loop);
	for (struct pending **at = &t->pending; *at;) {
		struct pending *p = *at;
		if (p->due_us > now) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		answer(t, p->entry);
		free(p);
	}
	rearm(t);
}

static void rearm(struct table *t)
{
	uint64_t due = UINT64_MAX, now = ev_now_us(t->dns->loop);
	for (struct pending *p = t->pending; p; p = p->next)
		due = p->due_us < due ? p->due_us : due;
	if (due != UINT64_MAX)
		ev_timer(t->dns->loop, &t->timer, due > now ? due - now : 0, fire);
}

static enum err ask(struct dns *d, struct dns_entry *e)
{
	struct table *t = d->impl;
	struct pending *p = malloc(sizeof(*p));
	if (!p)
		return ERR_NOMEM;
	uint64_t now = ev_now_us(d->loop);
	*p = (struct pending){.entry = e, .due_us = UINT64_MAX};
	if (t->delay_us < UINT64_MAX - now)
		p->due_us = now + t->delay_us;
	struct pending **end = &t->pending;
	while (*end)
		end = &(*end)->next;
	*end = p;
	rearm(t);
	return OK;
}

static void free_table(struct dns *d)
{
	struct table *t = d->impl;
	ev_timer_stop(d->loop, &t->timer);
	for (struct pending *p; (p = t->pending);) {
		t->pending = p->next;
		free(p);
	}
	for (struct row *r; (r = t->rows);) {
		t->rows = r->next;
		free(r);
	}
	free(t);
}

static const struct dns_backend table_backend = {.ask = ask, .free = free_table};

enum err dns_new_table(struct ev_loop *loop, struct dns **out)
{
	struct table *t = calloc(1, sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	t->delay_us = DELAY_DEFAULT_US;
	enum err e = dns_new_with(loop, &table_backend, t, &t->dns);
	if (e != OK) {
		free(t);
		return e;
	}
	*out = t->dns;
	return OK;
}

/* A row of that name with room for the texts, appended; NULL without memory. */
static struct row *add_row(struct table *t, struct str name, size_t n_texts, uint32_t ttl_s)
{
	struct row *r = calloc(1, sizeof(*r) + name.n + n_texts + 1), **end = &t->rows;
	if (!r)
		return NULL;
	r->ttl_s = ttl_s;
	r->n_name = name.n;
	memcpy(r->name, name.p, name.n);
	while (*end)
		end = &(*end)->next;
	*end = r;
	return r;
}

enum err dns_table_add(struct dns *d, struct str name, const struct addr *ip, uint32_t ttl_s)
{
	if (d->backend != &table_backend)
		return ERR_STATE;
	struct row *r = add_row(d->impl, name, 0, ttl_s);
	if (!r)
		return ERR_NOMEM;
	r->type = ip->family == ADDR_V4 ? DNS_A : DNS_AAAA;
	r->ip = *ip;
	r->ip.port = 0;
	return OK;
}

enum err dns_table_add_rr(struct dns *d, struct str name, enum dns_type type,
			  const struct dns_rr *rr, struct str target, struct str service,
			  uint32_t ttl_s)
{
	if (d->backend != &table_backend)
		return ERR_STATE;
	struct row *r = add_row(d->impl, name, target.n + service.n, ttl_s);
	if (!r)
		return ERR_NOMEM;
	char *at = r->name + name.n;
	r->type = type;
	r->rr = *rr;
	if (target.n)
		memcpy(at, target.p, target.n);
	r->target = str_of(at, target.n);
	if (service.n)
		memcpy(at + target.n, service.p, service.n);
	r->service = str_of(at + target.n, service.n);
	return OK;
}

void dns_table_delay(struct dns *d, uint64_t delay_us)
{
	if (d->backend == &table_backend)
		((struct table *)d->impl)->delay_us = delay_us;
}
