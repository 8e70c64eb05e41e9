/* The decision.
 *
 * A number is looked for in this order: the numbers of the trunk that the call came over; the
 * rules, of which the first that fits decides; the names and numbers of the file; the accounts.
 * What a forward leads to is looked up in the same way, on the account of the user whose forward it
 * is.
 *
 * What keeps the exchange from being an open relay, whatever the rules say:
 * 1. A call of nobody in particular (no digest, no trusted network, no trunk) gets no plan.
 * 2. A rule that leads out by a trunk is for users and trusted networks; for a call that came in
 *    over a trunk only if its `source` names that trunk. Others pass it over.
 * 3. What came over a trunk for another domain is denied.
 *
 * A request that no rule touches costs the walk over the rules and one look into a hash. */
#include "policy/plan_priv.h"

#include <stdarg.h>

#define MAX_LOOK_UPS 8

void pol_say(struct pol_deciding *d, const char *fmt, ...)
{
	struct buf *b = d->rq->trace;
	if (!b)
		return;
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
	buf_chr(b, '\n');
}

/* ---- rules ----------------------------------------------------------------------------------- */

static bool names_source(const struct pol_deciding *d, const struct pol_route *t)
{
	for (size_t i = 0; i < t->source.n; i++)
		if (!t->source.v[i].is_net &&
		    d->rq->trunk == pol_trunk_at(d->c, t->source.v[i].trunk))
			return true;
	return false;
}

/* May this call use a rule that leads out of the house? */
static bool may_leave(const struct pol_deciding *d, const struct pol_way *way,
		      const struct pol_route *t)
{
	if (way->who == POL_FROM_USER || way->who == POL_FROM_TRUSTED)
		return true;
	return way->who == POL_FROM_TRUNK && names_source(d, t);
}

static bool leads_out(const struct pol_route *t)
{
	bool is_out = t->trunk.n > 0;
	for (size_t i = 0; i < t->redirect.n; i++)
		is_out |= t->redirect.v[i].kind == POL_TO_URI;
	return is_out;
}

static struct str put_name(struct pol_deciding *d, struct str names, struct str name)
{
	return pol_print(d, STR_FMT "%s" STR_FMT, STR_ARG(names), names.n ? "," : "",
			 STR_ARG(name));
}

void pol_put_headers(struct pol_deciding *d, const struct pol_headers *set,
		     const struct pol_texts *remove, struct str *lines, struct str *names)
{
	for (size_t i = 0; i < remove->n; i++)
		*names = put_name(d, *names, remove->v[i].s);
	for (size_t i = 0; i < set->n; i++) {
		struct str name = set->v[i].name.s, value = set->v[i].value.text;
		*names = put_name(d, *names, name);
		*lines = pol_print(d, STR_FMT STR_FMT ": " STR_FMT "\r\n", STR_ARG(*lines),
				   STR_ARG(name), STR_ARG(value));
	}
}

static void name_rule(struct pol_deciding *d, const struct pol_route *t, const char *what)
{
	if (t->name.s.n)
		pol_say(d, "rule `" STR_FMT "` (line %u)%s", STR_ARG(t->name.s), t->place.at.line,
			what);
	else
		pol_say(d, "rule of line %u%s", t->place.at.line, what);
}

/* What a rule changes, whether it decides or not. A forwarded call keeps the headers and the
 * handling of the call that it came from: they are the whole request's, not one step's. */
static void apply(struct pol_deciding *d, const struct pol_way *way, const struct pol_route *t)
{
	d->number = pol_rewritten(d, &t->number, d->number);
	if (t->caller.n)
		d->rule_caller = pol_rewritten(d, &t->caller, d->caller);
	if (t->ring_s)
		d->ring_s = t->ring_s;
	if (way->reason)
		return;
	pol_put_headers(d, &t->set, &t->remove, &d->p->lines, &d->p->remove);
	if (t->farewell)
		d->p->has_farewell = t->farewell == POL_YES;
	if (t->mode)
		d->p->mode = t->mode;
	if (t->recurse)
		d->p->recurses = t->recurse == POL_YES;
	if (t->permanent == POL_YES)
		d->p->status = 301;
}

static const struct pol_route *find_rule(struct pol_deciding *d, const struct pol_way *way)
{
	for (uint32_t i = 0; i < d->c->routes.n; i++) {
		const struct pol_route *t = pol_route_at(d->c, i);
		if (!pol_rule_fits(d, t))
			continue;
		if (leads_out(t) && !may_leave(d, way, t)) {
			name_rule(d, t, ": passed over, it leads out and this caller may not");
			continue;
		}
		if (way->reason && (t->reject || t->redirect.n)) {
			name_rule(d, t, ": passed over, the call was forwarded");
			continue;
		}
		name_rule(d, t, t->goes_on == POL_YES ? ": goes on" : "");
		apply(d, way, t);
		if (t->goes_on != POL_YES)
			return t;
	}
	return NULL;
}

/* Whom a rule names is not looked up in the rules again. */
static int emit_named(struct pol_deciding *d, const struct pol_way *way, const struct pol_dest *to)
{
	if (to->kind != POL_TO_DIAL)
		return pol_emit_dest(d, way, to);
	return pol_emit_dest(d, way, &(struct pol_dest){.text = to->text});
}

/* Where a number of the file leads: on the house's account where it leads to another number. */
static int emit_number_of(struct pol_deciding *d, const struct pol_way *way, struct str number,
			  const struct pol_dest *to)
{
	struct pol_way on = {
		.user = number, .reason = "unconditional", .cause = 302, .who = POL_FROM_TRUSTED};
	const struct pol_ask *ask = d->rq->ask;
	if (to->kind == POL_TO_DIAL && ask->has_account(ask->ctx, to->text))
		return emit_named(d, way, to);
	if (to->kind == POL_TO_DIAL || to->kind == POL_TO_URI)
		return pol_emit_forward(d, way, on, to);
	return pol_emit_dest(d, way, to);
}

static int act(struct pol_deciding *d, const struct pol_way *way, const struct pol_route *t)
{
	struct pol_plan *p = d->p;
	if (!way->reason)
		p->rule = t;
	if (t->reject) {
		p->act = POL_REJECT;
		p->status = t->reject;
		p->reason = t->reason.s;
		return -1;
	}
	if (t->trunk.n)
		return pol_emit_trunks(d, way, t);
	struct pol_way mapped = *way;
	mapped.is_mapped = true;
	if (!t->redirect.n)
		return emit_named(d, &mapped, t->user.text.n ? &t->user : &t->group);
	int head = -1;
	uint16_t status = p->status;
	for (size_t i = 0; i < t->redirect.n; i++) {
		int step = emit_named(d, &mapped, &t->redirect.v[i]);
		head = head < 0 ? step : head;
	}
	/* whatever `mode` and `permanent` of a user who is named say of calls to him */
	p->mode = POL_MODE_REDIRECT;
	p->status = status;
	return head;
}

/* ---- a number -------------------------------------------------------------------------------- */

static int look_up(struct pol_deciding *d, const struct pol_way *way, struct str number)
{
	const struct pol_ask *ask = d->rq->ask;
	bool is_in = !way->reason && d->rq->who == POL_FROM_TRUNK;
	const struct pol_trunk *t = d->rq->trunk;
	for (size_t i = 0; is_in && i < t->numbers.n; i++)
		if (str_eq(t->numbers.v[i].name.s, number)) {
			pol_say(d, STR_FMT " is a number of trunk " STR_FMT, STR_ARG(number),
				STR_ARG(t->name.s));
			return emit_number_of(d, way, number, &t->numbers.v[i].to);
		}
	d->number = number;
	d->rule_caller = STR_NONE;
	const struct pol_route *rule = find_rule(d, way);
	if (rule)
		return act(d, way, rule);
	number = d->number;
	const struct pol_dest *to = pol_find(d->c, number);
	if (to)
		return emit_number_of(d, way, number, to);
	if (!d->rq->is_ours && !way->reason) {
		d->p->act = POL_FOREIGN;
		pol_say(d, "of another domain, no rule: goes there by its request-URI");
		return -1;
	}
	if (ask->has_account(ask->ctx, number))
		return pol_emit_dest(d, way, &(struct pol_dest){.text = number});
	if (is_in && t->otherwise.kind) {
		pol_say(d, "no number of ours: otherwise " STR_FMT, STR_ARG(t->otherwise.text));
		return emit_number_of(d, way, number, &t->otherwise);
	}
	pol_say(d, "nobody has " STR_FMT, STR_ARG(number));
	return -1;
}

int pol_emit_number(struct pol_deciding *d, const struct pol_way *way, struct str number)
{
	if (d->depth == MAX_LOOK_UPS) {
		pol_say(d, STR_FMT ": too many numbers that lead to numbers", STR_ARG(number));
		d->was_loop = true;
		return -1;
	}
	struct str caller = d->caller, rule_caller = d->rule_caller;
	uint32_t ring_s = d->ring_s;
	d->depth++;
	if (way->reason)
		d->caller = way->as;
	int step = look_up(d, way, number);
	d->depth--;
	d->caller = caller;
	d->rule_caller = rule_caller;
	d->ring_s = ring_s;
	return step;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum pol_mode default_mode(const struct pol_deciding *d)
{
	const struct pol_domain *v = d->c->domains.v;
	for (size_t i = 0; i < d->c->domains.n; i++)
		if (v[i].mode && str_ieq(v[i].name.s, d->rq->to_host))
			return v[i].mode;
	return d->c->mode ? d->c->mode : POL_MODE_PROXY;
}

static void finish(struct pol_deciding *d, int head)
{
	struct pol_plan *p = d->p;
	if (!p->mode)
		p->mode = default_mode(d);
	if (p->text.err)
		d->is_full = true;
	if (d->is_full)
		p->act = POL_FULL;
	else if (head < 0 && p->act == POL_SEND)
		p->act = d->was_loop      ? POL_LOOP
			 : d->was_down    ? POL_NO_TRUNK
			 : d->was_offline ? POL_OFFLINE
					  : POL_NO_USER;
	else if (p->act == POL_SEND && p->mode == POL_MODE_REDIRECT)
		p->act = POL_REDIRECT;
	if (p->act == POL_SEND && (d->needs_b2bua || p->has_farewell))
		p->mode = POL_MODE_B2BUA;
	if (p->act == POL_REDIRECT && !p->status)
		p->status = p->n_targets > 1 ? 300 : 302;
	pol_say(d, "decision: %s", pol_act_text(p->act));
}

void pol_decide(const struct pol_config *c, const struct pol_request *rq, struct pol_plan *p)
{
	struct pol_deciding d = {.c = c, .rq = rq, .p = p, .number = rq->to_user};
	struct pol_way way = {.user = rq->to_user, .who = rq->who, .as = rq->user};
	int head = -1;
	p->act = POL_SEND;
	p->status = 0;
	p->reason = p->lines = p->remove = STR_NONE;
	p->mode = POL_MODE_UNSET;
	p->recurses = c->recurse == POL_YES;
	p->has_farewell = false;
	p->rule = NULL;
	p->n_steps = p->n_targets = 0;
	p->n_hops = 1;
	p->hops[0] = (struct pol_hop){.to = rq->to_user};
	buf_init_fixed(&p->text, p->mem, sizeof(p->mem));
	d.caller = rq->from_user;
	if (rq->who == POL_FROM_NOBODY) {
		pol_say(&d, "from nobody that is known: asked for a digest first");
		p->act = POL_DENIED;
	} else if (rq->who == POL_FROM_TRUNK && !rq->is_ours) {
		pol_say(&d, "came over trunk " STR_FMT " for another domain",
			STR_ARG(rq->trunk->name.s));
		p->act = POL_DENIED;
	} else {
		if (rq->who == POL_FROM_TRUNK) {
			pol_say(&d, "came over trunk " STR_FMT, STR_ARG(rq->trunk->name.s));
			d.needs_b2bua = rq->trunk->max_calls > 0;
			d.number = pol_rewritten(&d, &rq->trunk->in, rq->to_user);
			d.caller = pol_rewritten(&d, &rq->trunk->caller_in, rq->from_user);
		}
		head = pol_emit_number(&d, &way, d.number);
	}
	finish(&d, head);
}
