/* What a file says, held against itself: names that are given twice, destinations that do not
 * exist, trunks without hosts. It also makes the table of names, in which a call's number is looked
 * up.
 *
 * A destination is, in this order: a SIP URI; a name or number that the file gives to somebody; or,
 * if it looks like a number, something to dial: the routes or an account may know it at the time of
 * the call. Everything else is a mistake, and told with the nearest name that there is.
 *
 * Invariant: after pol_check without errors each destination is resolved, so that a decision never
 * meets an unknown name. */
#include "policy/schema.h"

#include "base/assert.h"
#include "sip/uri.h"

#include <stdlib.h>

#define MAX_CANDIDATES 4096
#define MAX_CHAIN      8

static const uint8_t names_key[16] = "policy of names"; /* nobody outside can add a name */

static struct pol_name *find_name(const struct pol_config *c, struct str key)
{
	uint64_t hash = htab_hash(names_key, key.p, key.n);
	if (!c->has_names)
		return NULL;
	for (struct hnode *n = htab_first(&c->names, hash); n; n = htab_next(n)) {
		struct pol_name *name = CONTAINER_OF(n, struct pol_name, node);
		if (str_eq(name->key, key))
			return name;
	}
	return NULL;
}

const struct pol_dest *pol_find(const struct pol_config *c, struct str name)
{
	const struct pol_name *n = find_name(c, name);
	return n ? &n->dest : NULL;
}

/* ---- the table of names ---------------------------------------------------------------------- */

static void add_name(struct pol_reader *r, struct pol_config *c, const struct pol_text *name,
		     struct pol_dest dest)
{
	struct pol_name *old = find_name(c, name->s);
	if (!name->s.n)
		return;
	if (old) {
		pol_error(r->d, name->at, "`" STR_FMT "` is given away already, in line %u",
			  STR_ARG(name->s), old->dest.at.line);
		return;
	}
	struct pol_name *n = arena_alloc(r->mem, sizeof(*n));
	if (!n) {
		r->err = ERR_NOMEM;
		return;
	}
	n->key = name->s;
	n->dest = dest;
	n->dest.at = name->at;
	htab_add(&c->names, &n->node, htab_hash(names_key, n->key.p, n->key.n));
}

static void add_all(struct pol_reader *r, struct pol_config *c, const struct pol_texts *t,
		    struct pol_dest dest)
{
	for (size_t i = 0; i < t->n; i++)
		add_name(r, c, &t->v[i], dest);
}

static void make_names(struct pol_reader *r, struct pol_config *c)
{
	if (htab_init(&c->names, c->users.n + c->groups.n + c->numbers.n)) {
		r->err = ERR_NOMEM;
		return;
	}
	c->has_names = true;
	for (uint32_t i = 0; i < c->users.n; i++) {
		const struct pol_user *u = pol_user_at(c, i);
		struct pol_dest d = {.kind = POL_TO_USER, .i = i, .text = u->name.s};
		add_name(r, c, &u->name, d);
		add_all(r, c, &u->numbers, d);
		add_all(r, c, &u->aliases, d);
	}
	for (uint32_t i = 0; i < c->groups.n; i++) {
		const struct pol_group *g = pol_group_at(c, i);
		struct pol_dest d = {.kind = POL_TO_GROUP, .i = i, .text = g->name.s};
		add_name(r, c, &g->name, d);
		add_all(r, c, &g->numbers, d);
	}
	for (size_t i = 0; i < c->numbers.n; i++)
		add_name(r, c, &c->numbers.v[i].name, c->numbers.v[i].to);
}

/* ---- destinations ---------------------------------------------------------------------------- */

static struct str nearest_name(struct pol_reader *r, const struct pol_config *c, struct str to)
{
	struct str *v = pol_array(r, MAX_CANDIDATES, sizeof(*v));
	size_t n = 0;
	if (!v)
		return STR_NONE;
	for (uint32_t i = 0; i < c->groups.n && n < MAX_CANDIDATES; i++)
		v[n++] = pol_group_at(c, i)->name.s;
	for (uint32_t i = 0; i < c->users.n && n < MAX_CANDIDATES; i++) {
		const struct pol_user *u = pol_user_at(c, i);
		v[n++] = u->name.s;
		for (size_t k = 0; k < u->aliases.n && n < MAX_CANDIDATES; k++)
			v[n++] = u->aliases.v[k].s;
	}
	return str_nearest(to, v, n);
}

static bool is_number(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '+' && s.p[i] != '*' &&
		    s.p[i] != '#')
			return false;
	return s.n > 0;
}

static bool is_uri(struct str s)
{
	return str_starts(s, STR("sip:")) || str_starts(s, STR("sips:"));
}

/* Follows a number that stands for a number. */
static bool follow(struct pol_reader *r, struct pol_config *c, struct pol_dest *to)
{
	struct str text = to->text;
	for (unsigned i = 0; i < MAX_CHAIN; i++) {
		const struct pol_name *n = find_name(c, text);
		if (!n)
			return false;
		if (n->dest.kind != POL_TO_NONE) {
			to->kind = n->dest.kind;
			to->i = n->dest.i;
			to->text = n->dest.text;
			return true;
		}
		if (is_uri(n->dest.text) || !find_name(c, n->dest.text)) {
			to->text = n->dest.text; /* what it is, its own line is asked */
			return false;
		}
		text = n->dest.text;
	}
	pol_error(r->d, to->at, "`" STR_FMT "` leads back to itself", STR_ARG(to->text));
	to->kind = POL_TO_DIAL;
	return true;
}

struct pol_dest *pol_dest_find(struct pol_reader *r, struct pol_config *c, struct pol_dest *to)
{
	struct sip_uri uri;
	if (!to->text.n || follow(r, c, to))
		return to;
	if (is_uri(to->text)) {
		if (sip_uri_parse(to->text, &uri) != OK)
			pol_error(r->d, to->at, "`" STR_FMT "` is no SIP URI", STR_ARG(to->text));
		to->kind = POL_TO_URI;
		return to;
	}
	to->kind = POL_TO_DIAL;
	if (is_number(to->text))
		return to;
	struct str near = nearest_name(r, c, to->text);
	if (near.n)
		pol_error(r->d, to->at,
			  "no user, group or number `" STR_FMT "`, did you mean `" STR_FMT "`?",
			  STR_ARG(to->text), STR_ARG(near));
	else
		pol_error(r->d, to->at, "no user, group or number `" STR_FMT "` in this file",
			  STR_ARG(to->text));
	return to;
}

/* A number of `numbers:` was resolved where it stands; the table of names gets the same. */
static void resolve_numbers(struct pol_reader *r, struct pol_config *c, struct pol_numbers *v,
			    bool is_global)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct pol_dest *d = pol_dest_find(r, c, &v->v[i].to);
		struct pol_name *n = is_global ? find_name(c, v->v[i].name.s) : NULL;
		if (n && n->dest.kind == POL_TO_NONE) {
			n->dest.kind = d->kind;
			n->dest.i = d->i;
			n->dest.text = d->text;
		}
	}
}

static void resolve_users(struct pol_reader *r, struct pol_config *c)
{
	for (uint32_t i = 0; i < c->users.n; i++) {
		struct pol_user *u = (struct pol_user *)c->users.v + i;
		struct pol_forward *f = &u->forward;
		pol_dest_find(r, c, &f->always);
		pol_dest_find(r, c, &f->busy);
		pol_dest_find(r, c, &f->no_answer);
		pol_dest_find(r, c, &f->offline);
		if (f->after_s && !f->no_answer.text.n)
			pol_warn(r->d, u->name.at,
				 "`after` of `" STR_FMT "` has no effect without `no_answer`",
				 STR_ARG(u->name.s));
		if (f->always.kind == POL_TO_USER && f->always.i == i)
			pol_error(r->d, f->always.at, "`" STR_FMT "` is forwarded to itself",
				  STR_ARG(u->name.s));
	}
}

static void resolve_groups(struct pol_reader *r, struct pol_config *c)
{
	for (uint32_t i = 0; i < c->groups.n; i++) {
		struct pol_group *g = (struct pol_group *)c->groups.v + i;
		struct pol_member *m = g->members.v;
		if (!g->members.n)
			pol_error(r->d, g->name.at, "group `" STR_FMT "` has no `members`",
				  STR_ARG(g->name.s));
		for (size_t k = 0; k < g->members.n; k++) {
			if (!m[k].to.text.n)
				pol_error(r->d, m[k].place.at, "a member without `to`");
			pol_dest_find(r, c, &m[k].to);
			c->has_times |= m[k].at.n > 0;
		}
		pol_dest_find(r, c, &g->otherwise);
	}
}

/* ---- trunks ---------------------------------------------------------------------------------- */

static int by_priority(const void *a, const void *b)
{
	const struct pol_host *x = a, *y = b;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return x->place.at.line < y->place.at.line ? -1 : x->place.at.line > y->place.at.line;
}

static void check_host(struct pol_reader *r, const struct pol_host *h)
{
	char mem[300];
	struct buf b;
	struct sip_uri u;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b, "sip:" STR_FMT, STR_ARG(h->host.s));
	if (!h->host.s.n)
		pol_error(r->d, h->place.at, "a host without `host`");
	else if (b.err || str_chr(h->host.s, '@') != SIZE_MAX ||
		 sip_uri_parse(buf_view(&b), &u) != OK)
		pol_error(r->d, h->host.at, "`" STR_FMT "` is no host name or address",
			  STR_ARG(h->host.s));
}

static void check_trunk(struct pol_reader *r, struct pol_config *c, struct pol_trunk *t)
{
	struct pol_host *h = t->hosts.v;
	if (!t->hosts.n && !t->sources.n)
		pol_error(r->d, t->name.at, "trunk `" STR_FMT "` has neither `hosts` nor `sources`",
			  STR_ARG(t->name.s));
	for (size_t i = 0; i < t->hosts.n; i++)
		check_host(r, &h[i]);
	if (t->hosts.n)
		qsort(h, t->hosts.n, sizeof(*h), by_priority);
	if (t->does_register == POL_YES && (!t->user.s.n || !t->password.s.n))
		pol_error(r->d, t->name.at,
			  "trunk `" STR_FMT "` registers: it needs `user` and "
			  "`password`",
			  STR_ARG(t->name.s));
	if ((t->does_register == POL_YES || t->probe_s) && !t->hosts.n)
		pol_error(r->d, t->name.at,
			  "trunk `" STR_FMT "` has no `hosts` to register at or ask",
			  STR_ARG(t->name.s));
	if (t->mode == POL_MODE_PROXY && (t->password.s.n || t->max_calls))
		pol_warn(r->d, t->name.at,
			 "`mode: proxy` has no effect: a trunk with `password` or `max_calls` "
			 "needs a B2BUA");
	pol_check_headers(r, &t->set, &t->remove);
	resolve_numbers(r, c, &t->numbers, false);
	pol_dest_find(r, c, &t->otherwise);
}

bool pol_trunk_has(const struct pol_trunk *t, const struct addr *source)
{
	for (size_t k = 0; k < t->sources.n; k++)
		if (addr_net_has(&t->sources.v[k].net, source))
			return true;
	return false;
}

const struct pol_trunk *pol_trunk_of(const struct pol_config *c, const struct addr *source)
{
	for (uint32_t i = 0; i < c->trunks.n; i++)
		if (pol_trunk_has(pol_trunk_at(c, i), source))
			return pol_trunk_at(c, i);
	return NULL;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void check_root(struct pol_reader *r, const struct pol_config *c)
{
	struct addr_net net;
	const struct pol_domain *d = c->domains.v;
	for (size_t i = 0; i < c->trust.n; i++)
		if (!addr_net_parse(c->trust.v[i].s, &net))
			pol_error(r->d, c->trust.v[i].at,
				  "`trust` wants networks such as 10.0.0.0/8, not `" STR_FMT "`",
				  STR_ARG(c->trust.v[i].s));
	for (size_t i = 0; i < c->domains.n; i++)
		if (!d[i].name.s.n)
			pol_error(r->d, d[i].place.at, "a domain without `name`");
}

void pol_check(struct pol_reader *r, struct pol_config *c)
{
	check_root(r, c);
	make_names(r, c);
	if (!c->has_names)
		return;
	resolve_numbers(r, c, &c->numbers, true);
	resolve_users(r, c);
	resolve_groups(r, c);
	for (uint32_t i = 0; i < c->trunks.n; i++)
		check_trunk(r, c, (struct pol_trunk *)c->trunks.v + i);
	pol_check_rules(r, c);
}
