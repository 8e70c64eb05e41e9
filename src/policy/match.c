/* What a rule is held against: patterns, times, networks, headers. Nothing here knows what a rule
 * does then. */
#include "policy/plan_priv.h"

#include <stdarg.h>

/* `?` fits any one character. */
static bool is_same(struct str pattern, struct str text)
{
	if (pattern.n != text.n)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (pattern.p[i] != text.p[i] && pattern.p[i] != '?')
			return false;
	return true;
}

bool pol_fits(const struct pol_pattern *p, struct str text, struct str *rest)
{
	*rest = STR_NONE;
	if (p->is_inside)
		return str_find(text, p->head) != SIZE_MAX;
	if (!p->has_rest)
		return is_same(p->head, text);
	if (text.n < p->head.n + p->tail.n || !is_same(p->head, str_sub(text, 0, p->head.n)) ||
	    !is_same(p->tail, str_skip(text, text.n - p->tail.n)))
		return false;
	*rest = str_sub(text, p->head.n, text.n - p->head.n - p->tail.n);
	return true;
}

struct str pol_print(struct pol_deciding *d, const char *fmt, ...)
{
	struct buf *b = &d->p->text;
	size_t at = b->n;
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
	if (b->err) {
		d->is_full = true;
		return STR_NONE;
	}
	return str_of(b->p + at, b->n - at);
}

struct str pol_rewritten(struct pol_deciding *d, const struct pol_rewrites *w, struct str text)
{
	struct str rest;
	for (size_t i = 0; i < w->n; i++) {
		const struct pol_rewrite *x = &w->v[i];
		if (!pol_fits(&x->from, text, &rest))
			continue;
		struct str to = pol_print(d, STR_FMT STR_FMT STR_FMT, STR_ARG(x->to.head),
					  STR_ARG(rest), STR_ARG(x->to.tail));
		if (!x->to.has_rest)
			to = x->to.text;
		pol_say(d, "`" STR_FMT "` fits `" STR_FMT "`: it becomes `" STR_FMT "`",
			STR_ARG(text), STR_ARG(x->from.text), STR_ARG(to));
		return to;
	}
	return text;
}

static bool is_at(const struct pol_when *w, const struct pol_clock *at)
{
	bool is_night =
		w->to_min <= w->from_min; /* over midnight: its morning is the day after's */
	bool is_morning = is_night && at->minute < w->to_min;
	unsigned day = is_morning ? (at->day + 6u) % 7 : at->day;
	if (w->date && w->date != at->date)
		return false;
	if (w->days && !(w->days >> day & 1))
		return false;
	if (is_night)
		return is_morning || at->minute >= w->from_min;
	return at->minute >= w->from_min && at->minute < w->to_min;
}

bool pol_is_now(const struct pol_whens *w, const struct pol_clock *at)
{
	for (size_t i = 0; i < w->n; i++)
		if (is_at(&w->v[i], at))
			return true;
	return w->n == 0;
}

/* One of the patterns fits the user, or, where it has an @, user@host. */
static bool any_fits(const struct pol_patterns *v, struct str user, struct str host)
{
	char mem[600];
	struct buf b;
	struct str rest;
	buf_init_fixed(&b, mem, sizeof(mem));
	for (size_t i = 0; i < v->n; i++) {
		const struct pol_pattern *p = &v->v[i];
		bool is_whole = host.n && str_chr(p->text, '@') != SIZE_MAX;
		if (is_whole && !b.n)
			buf_fmt(&b, STR_FMT "@" STR_FMT, STR_ARG(user), STR_ARG(host));
		if (!b.err && pol_fits(p, is_whole ? buf_view(&b) : user, &rest))
			return true;
	}
	return v->n == 0;
}

static bool source_fits(const struct pol_deciding *d, const struct pol_sources *v)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct pol_source *s = &v->v[i];
		if (s->is_net ? addr_net_has(&s->net, &d->rq->source)
			      : d->rq->trunk == pol_trunk_at(d->c, s->trunk))
			return true;
	}
	return v->n == 0;
}

static bool header_fits(const struct sip_msg *m, const struct pol_header *h)
{
	struct str rest;
	enum sip_hdr_id id = sip_hdr_find(h->name.s);
	if (!m)
		return false;
	for (unsigned r = m->first[id]; r != SIP_ROW_NONE; r = sip_row(m, r)->next)
		if ((id != SIP_HDR_OTHER || str_ieq(sip_row_name(m, sip_row(m, r)), h->name.s)) &&
		    pol_fits(&h->value, sip_row_value(m, sip_row(m, r)), &rest))
			return true;
	return false;
}

static bool method_fits(const struct pol_texts *v, struct str method)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->v[i].s, method))
			return true;
	return v->n == 0;
}

bool pol_rule_fits(struct pol_deciding *d, const struct pol_route *t)
{
	const struct pol_request *rq = d->rq;
	if (!any_fits(&t->to, d->number, rq->to_host) || !method_fits(&t->method, rq->method) ||
	    !any_fits(&t->from, d->caller, rq->from_host) ||
	    !any_fits(&t->host, rq->to_host, STR_NONE) || !source_fits(d, &t->source) ||
	    !pol_is_now(&t->at, &rq->at))
		return false;
	for (size_t i = 0; i < t->header.n; i++)
		if (!header_fits(rq->msg, &t->header.v[i]))
			return false;
	return true;
}
