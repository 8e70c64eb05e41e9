/* Rules held against each other: a rule has one act (or `continue`), its names exist, it changes no
 * header that the exchange itself lives by, and it is not hidden behind an earlier rule.
 *
 * A rule is hidden when an earlier one without `continue` has no condition that this one lacks, and
 * each of the earlier's conditions covers this one's: a pattern covers another when all that fits
 * the other fits it too. What cannot be told for sure counts as not covered: a warning is never
 * wrong. */
#include "policy/schema.h"

#include "base/assert.h"
#include "sip/tables.h"

/* ---- names ----------------------------------------------------------------------------------- */

static bool find_trunk(const struct pol_config *c, struct str name, uint32_t *out)
{
	for (uint32_t i = 0; i < c->trunks.n; i++)
		if (str_eq(pol_trunk_at(c, i)->name.s, name)) {
			*out = i;
			return true;
		}
	return false;
}

static void no_trunk(struct pol_reader *r, const struct pol_config *c, const struct pol_text *name,
		     const char *what)
{
	struct str v[64], near;
	size_t n = 0;
	for (uint32_t i = 0; i < c->trunks.n && n < ARRAY_LEN(v); i++)
		v[n++] = pol_trunk_at(c, i)->name.s;
	near = str_nearest(name->s, v, n);
	if (near.n)
		pol_error(r->d, name->at, "no %s `" STR_FMT "`, did you mean `" STR_FMT "`?", what,
			  STR_ARG(name->s), STR_ARG(near));
	else
		pol_error(r->d, name->at, "no %s `" STR_FMT "`", what, STR_ARG(name->s));
}

static void resolve(struct pol_reader *r, struct pol_config *c, struct pol_route *t)
{
	for (size_t i = 0; i < t->source.n; i++) {
		struct pol_source *s = &t->source.v[i];
		if (!s->is_net && !find_trunk(c, s->text.s, &s->trunk))
			no_trunk(r, c, &s->text, "network or trunk");
	}
	if (t->trunk.n > ARRAY_LEN(t->trunks))
		pol_error(r->d, t->trunk.v[0].at, "more than %zu trunks", ARRAY_LEN(t->trunks));
	for (size_t i = 0; i < t->trunk.n && i < ARRAY_LEN(t->trunks); i++)
		if (!find_trunk(c, t->trunk.v[i].s, &t->trunks[i]))
			no_trunk(r, c, &t->trunk.v[i], "trunk");
		else if (!pol_trunk_at(c, t->trunks[i])->hosts.n)
			pol_error(r->d, t->trunk.v[i].at, "trunk `" STR_FMT "` has no `hosts`",
				  STR_ARG(t->trunk.v[i].s));
	pol_dest_find(r, c, &t->user);
	pol_dest_find(r, c, &t->group);
	if (t->user.text.n && t->user.kind == POL_TO_GROUP)
		pol_error(r->d, t->user.at, "`" STR_FMT "` is a group: write `group:`",
			  STR_ARG(t->user.text));
	if (t->group.text.n && t->group.kind != POL_TO_GROUP)
		pol_error(r->d, t->group.at, "`" STR_FMT "` is no group", STR_ARG(t->group.text));
	for (size_t i = 0; i < t->redirect.n; i++)
		pol_dest_find(r, c, &t->redirect.v[i]);
}

/* ---- acts ------------------------------------------------------------------------------------ */

static void check_header(struct pol_reader *r, const struct pol_text *name, bool is_change)
{
	/* what the transaction, the dialog and the way are made of */
	static const char *const own[] = {"Via",
					  "Route",
					  "Record-Route",
					  "Path",
					  "From",
					  "To",
					  "Call-ID",
					  "CSeq",
					  "Contact",
					  "Max-Forwards",
					  "Content-Length",
					  "Content-Type",
					  "Proxy-Authorization",
					  "Authorization",
					  "Max-Breadth"};
	for (size_t i = 0; i < name->s.n; i++) {
		char ch = name->s.p[i];
		bool is_ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
			     (ch >= '0' && ch <= '9') || str_chr(STR("-.!%*_+`'~"), ch) != SIZE_MAX;
		if (!is_ok) {
			pol_error(r->d, name->at, "`" STR_FMT "` is no header name",
				  STR_ARG(name->s));
			return;
		}
	}
	enum sip_hdr_id id = sip_hdr_find(name->s);
	for (size_t i = 0; is_change && i < ARRAY_LEN(own); i++)
		if (str_ieq(name->s, str_c(own[i])) ||
		    (id != SIP_HDR_OTHER && id == sip_hdr_find(str_c(own[i])))) {
			pol_error(r->d, name->at, "a rule cannot change `%s`", own[i]);
			return;
		}
}

void pol_check_headers(struct pol_reader *r, const struct pol_headers *set,
		       const struct pol_texts *remove)
{
	for (size_t i = 0; i < set->n; i++) {
		check_header(r, &set->v[i].name, true);
		struct str v = set->v[i].value.text;
		if (str_chr(v, '\n') != SIZE_MAX || str_chr(v, '\r') != SIZE_MAX)
			pol_error(r->d, set->v[i].value.at, "a header is one line");
	}
	for (size_t i = 0; i < remove->n; i++)
		check_header(r, &remove->v[i], true);
}

static void check_act(struct pol_reader *r, const struct pol_route *t)
{
	unsigned n = (t->user.text.n > 0) + (t->group.text.n > 0) + (t->trunk.n > 0) +
		     (t->redirect.n > 0) + (t->reject > 0);
	if (n > 1)
		pol_error(r->d, t->place.at,
			  "a rule has one act: user, group, trunk, redirect or reject");
	if (n == 0 && t->goes_on != POL_YES)
		pol_error(r->d, t->place.at,
			  "a rule needs an act: user, group, trunk, redirect, "
			  "reject, or `continue: yes`");
	if (n && t->goes_on == POL_YES)
		pol_error(r->d, t->place.at, "a rule with `continue` has no act");
	if (t->reason.s.n && !t->reject)
		pol_warn(r->d, t->reason.at, "`reason` has no effect without `reject`");
	for (size_t i = 0; i < t->header.n; i++)
		check_header(r, &t->header.v[i].name, false);
	pol_check_headers(r, &t->set, &t->remove);
	for (size_t i = 0; i < t->method.n; i++)
		if (sip_method_find(t->method.v[i].s) == SIP_METHOD_OTHER)
			pol_warn(r->d, t->method.v[i].at,
				 "`" STR_FMT "` is no method that is known",
				 STR_ARG(t->method.v[i].s));
}

/* ---- rules that no call reaches -------------------------------------------------------------- */

static bool covers(const struct pol_pattern *a, const struct pol_pattern *b)
{
	if (str_eq(a->text, b->text))
		return true;
	if (b->is_inside || !a->has_rest || str_chr(a->text, '?') != SIZE_MAX)
		return false;
	/* an `@` decides what a pattern is held against */
	if ((str_chr(a->text, '@') != SIZE_MAX) != (str_chr(b->text, '@') != SIZE_MAX))
		return false;
	struct str tail = b->has_rest ? b->tail : b->head;
	return str_starts(b->head, a->head) && str_ends(tail, a->tail) &&
	       (b->has_rest || b->head.n >= a->head.n + a->tail.n);
}

static bool all_covered(const struct pol_patterns *a, const struct pol_patterns *b)
{
	if (!a->n)
		return true;
	if (!b->n)
		return false;
	for (size_t i = 0; i < b->n; i++) {
		bool is_hit = false;
		for (size_t k = 0; k < a->n && !is_hit; k++)
			is_hit = covers(&a->v[k], &b->v[i]);
		if (!is_hit)
			return false;
	}
	return true;
}

static bool texts_covered(const struct pol_texts *a, const struct pol_texts *b)
{
	for (size_t i = 0; i < b->n; i++) {
		bool is_hit = false;
		for (size_t k = 0; k < a->n && !is_hit; k++)
			is_hit = str_eq(a->v[k].s, b->v[i].s);
		if (!is_hit)
			return false;
	}
	return b->n > 0;
}

static bool sources_covered(const struct pol_sources *a, const struct pol_sources *b)
{
	for (size_t i = 0; i < b->n; i++) {
		bool is_hit = false;
		for (size_t k = 0; k < a->n && !is_hit; k++)
			is_hit = str_eq(a->v[k].text.s, b->v[i].text.s);
		if (!is_hit)
			return false;
	}
	return b->n > 0;
}

/* Trunks as an act are passed over for some callers: such a rule hides nothing for sure. */
static bool hides(const struct pol_route *a, const struct pol_route *b)
{
	if (a->goes_on == POL_YES || a->header.n || a->at.n || a->number.n || a->trunk.n)
		return a->trunk.n && b->trunk.n && !a->header.n && !a->at.n && !a->source.n &&
		       !b->source.n && all_covered(&a->from, &b->from) &&
		       all_covered(&a->to, &b->to) && all_covered(&a->host, &b->host) &&
		       (!a->method.n || texts_covered(&a->method, &b->method));
	return all_covered(&a->from, &b->from) && all_covered(&a->to, &b->to) &&
	       all_covered(&a->host, &b->host) &&
	       (!a->source.n || sources_covered(&a->source, &b->source)) &&
	       (!a->method.n || texts_covered(&a->method, &b->method));
}

void pol_check_rules(struct pol_reader *r, struct pol_config *c)
{
	bool has_rewrites = false;
	for (uint32_t i = 0; i < c->routes.n; i++) {
		struct pol_route *t = (struct pol_route *)c->routes.v + i;
		resolve(r, c, t);
		check_act(r, t);
		c->has_times |= t->at.n > 0;
		/* behind a rule that changes numbers, patterns no longer tell what fits */
		has_rewrites |= t->goes_on == POL_YES && t->number.n;
		for (uint32_t k = 0; k < i && !has_rewrites && !r->d->n_errors; k++)
			if (hides(pol_route_at(c, k), t)) {
				pol_warn(r->d, t->place.at,
					 "this rule is never reached: the one in line %u takes all "
					 "of "
					 "its calls",
					 pol_route_at(c, k)->place.at.line);
				break;
			}
	}
}
