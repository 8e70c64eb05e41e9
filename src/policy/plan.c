/* From a destination to steps.
 *
 * A step is a set of targets that ring together, and for each way in which it can end the step that
 * follows. So forwards, hunts and trunks that fail are one thing, a small graph; the proxy walks it
 * without asking anybody again. A step has one predecessor: what it tells of the call's way
 * (diversion.c) is known when it is made.
 *
 * Order: a step is made before those that follow it, so step 0 is where the call begins, and never
 * a successor: 0 in `next` means none. Bounds: POL_MAX_STEPS, POL_MAX_TARGETS, the plan's text; a
 * plan that needs more is refused as a whole. Loops: a forward that leads to somebody who is
 * already on the way is left out; how many forwards a call may go is counted, those before us
 * included.
 *
 * A member of a group stands for its phones only: its own forwards do not count, else one holiday
 * forward would take every call of the group. */
#include "policy/plan_priv.h"

#define RING_S   20
#define FORWARDS 5

static int new_step(struct pol_deciding *d, const struct pol_way *way, uint32_t ring_s)
{
	struct pol_plan *p = d->p;
	if (p->n_steps == POL_MAX_STEPS) {
		d->is_full = true;
		return -1;
	}
	struct pol_step *s = &p->steps[p->n_steps];
	*s = (struct pol_step){.first = (uint8_t)p->n_targets, .ring_s = ring_s, .hop = way->hop};
	pol_put_diversion(d, way, s);
	return (int)p->n_steps++;
}

/* Targets are put behind one another: only into the newest step. */
static void add_target(struct pol_deciding *d, int step, const struct pol_target *t)
{
	struct pol_plan *p = d->p;
	if (p->n_targets == POL_MAX_TARGETS) {
		d->is_full = true;
		return;
	}
	p->targets[p->n_targets++] = *t;
	p->steps[step].n++;
}

static void go_on(struct pol_deciding *d, int step, enum pol_on on, int next)
{
	if (step >= 0 && next > 0)
		d->p->steps[step].next[on] = (uint8_t)next;
}

static void go_on_always(struct pol_deciding *d, int step, int next)
{
	for (enum pol_on on = 0; on < POL_ON__N; on++)
		go_on(d, step, on, next);
}

static bool is_registered(const struct pol_deciding *d, struct str user)
{
	const struct pol_ask *ask = d->rq->ask;
	return ask->is_registered(ask->ctx, user);
}

/* ---- users ----------------------------------------------------------------------------------- */

static bool is_on_way(const struct pol_way *way, struct str user)
{
	for (; way && way->reason; way = way->up)
		if (str_eq(way->user, user))
			return true;
	return false;
}

int pol_emit_forward(struct pol_deciding *d, const struct pol_way *way, struct pol_way on,
		     const struct pol_dest *to)
{
	unsigned n = pol_forwards_before(d->rq);
	for (const struct pol_way *w = way; w->reason; w = w->up)
		n++;
	if (n >= (d->c->forwards ? d->c->forwards : FORWARDS)) {
		pol_say(d, "forward of " STR_FMT " left out: %u forwards are enough",
			STR_ARG(on.user), n);
		d->was_loop = true;
		return -1;
	}
	pol_say(d, STR_FMT " forwards to " STR_FMT " (%s)", STR_ARG(on.user), STR_ARG(to->text),
		on.reason);
	if (d->p->n_hops == POL_MAX_STEPS) {
		d->is_full = true;
		return -1;
	}
	on.up = way;
	on.to = to->text;
	on.as = on.user;
	on.hop = (uint8_t)d->p->n_hops++;
	d->p->hops[on.hop] = (struct pol_hop){to->text, way->hop, (uint16_t)on.cause};
	return pol_emit_dest(d, &on, to);
}

static int forward(struct pol_deciding *d, const struct pol_way *way, const struct pol_user *u,
		   const struct pol_dest *to, const char *reason, unsigned cause)
{
	struct pol_way on = {
		.user = u->name.s, .reason = reason, .cause = cause, .who = POL_FROM_USER};
	return pol_emit_forward(d, way, on, to);
}

static int emit_user(struct pol_deciding *d, const struct pol_way *way, const struct pol_user *u)
{
	const struct pol_forward *f = &u->forward;
	struct str name = u->name.s;
	if (is_on_way(way, name)) {
		pol_say(d, STR_FMT " is on the way already: a loop, left out", STR_ARG(name));
		d->was_loop = true;
		return -1;
	}
	if (!way->reason && u->mode)
		d->p->mode = u->mode;
	if (!way->reason && u->permanent == POL_YES)
		d->p->status = 301;
	if (f->always.kind)
		return forward(d, way, u, &f->always, "unconditional", 302);
	if (!is_registered(d, name)) {
		pol_say(d, STR_FMT " is not registered", STR_ARG(name));
		if (f->offline.kind)
			return forward(d, way, u, &f->offline, "unavailable", 480);
		d->was_offline = true;
		return -1;
	}
	uint32_t ring_s = f->no_answer.kind ? f->after_s ? f->after_s : RING_S : d->ring_s;
	int step = new_step(d, way, ring_s);
	if (step < 0)
		return -1;
	add_target(d, step, &(struct pol_target){.user = name, .is_mapped = way->is_mapped});
	pol_say(d, "step %d: the phones of " STR_FMT, step, STR_ARG(name));
	if (f->busy.kind)
		go_on(d, step, POL_ON_BUSY, forward(d, way, u, &f->busy, "user-busy", 486));
	if (f->no_answer.kind)
		go_on(d, step, POL_ON_NO_ANSWER,
		      forward(d, way, u, &f->no_answer, "no-answer", 408));
	if (f->offline.kind)
		go_on(d, step, POL_ON_OFFLINE, forward(d, way, u, &f->offline, "unavailable", 480));
	return step;
}

/* An account of which the file says nothing. */
static int emit_account(struct pol_deciding *d, const struct pol_way *way, struct str user)
{
	if (!is_registered(d, user)) {
		pol_say(d, STR_FMT " is an account, but not registered", STR_ARG(user));
		d->was_offline = true;
		return -1;
	}
	int step = new_step(d, way, d->ring_s);
	if (step >= 0) {
		add_target(d, step,
			   &(struct pol_target){.user = user, .is_mapped = way->is_mapped});
		pol_say(d, "step %d: the phones of " STR_FMT, step, STR_ARG(user));
	}
	return step;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static struct str member_user(const struct pol_deciding *d, const struct pol_dest *to)
{
	const struct pol_ask *ask = d->rq->ask;
	if (to->kind == POL_TO_USER)
		return pol_user_at(d->c, to->i)->name.s;
	return to->kind == POL_TO_DIAL && ask->has_account(ask->ctx, to->text) ? to->text
									       : STR_NONE;
}

/* Who cannot be reached now is no target; *step is made with the first who can. */
static void add_member(struct pol_deciding *d, const struct pol_way *way,
		       const struct pol_member *m, uint32_t ring_s, int *step)
{
	struct str user = member_user(d, &m->to);
	if (!pol_is_now(&m->at, &d->rq->at)) {
		pol_say(d, STR_FMT " is left out at this time", STR_ARG(m->to.text));
		return;
	}
	if (!user.n && m->to.kind != POL_TO_URI) {
		pol_say(d, STR_FMT " is no account: left out", STR_ARG(m->to.text));
		return;
	}
	if (user.n && !is_registered(d, user)) {
		pol_say(d, STR_FMT " is not registered", STR_ARG(user));
		return;
	}
	if (*step < 0)
		*step = new_step(d, way, ring_s);
	if (*step < 0)
		return;
	add_target(d, *step,
		   &(struct pol_target){
			   .user = user, .uri = user.n ? STR_NONE : m->to.text, .is_mapped = true});
	pol_say(d, "step %d: " STR_FMT, *step, STR_ARG(m->to.text));
}

static int emit_group(struct pol_deciding *d, const struct pol_way *way, const struct pol_group *g)
{
	const struct pol_member *m = g->members.v;
	bool is_in_turn = g->ring == POL_RING_IN_TURN;
	uint32_t ring_s = g->time_s ? g->time_s : RING_S;
	int head = -1, last = -1, step = -1;
	if (is_on_way(way, g->name.s)) {
		pol_say(d, "group " STR_FMT " is on the way already: a loop, left out",
			STR_ARG(g->name.s));
		d->was_loop = true;
		return -1;
	}
	pol_say(d, "group " STR_FMT ", %s", STR_ARG(g->name.s),
		is_in_turn ? "one after the other" : "all at once");
	/* alone and with nobody after them they ring as long as the caller waits */
	if (!is_in_turn && !g->otherwise.kind && !g->time_s)
		ring_s = d->ring_s;
	for (size_t i = 0; i < g->members.n; i++) {
		if (is_in_turn)
			step = -1;
		add_member(d, way, &m[i], ring_s, &step);
		if (step < 0 || step == last)
			continue;
		go_on_always(d, last, step);
		head = head < 0 ? step : head;
		last = step;
	}
	if (head < 0)
		d->was_offline = true;
	if (!g->otherwise.kind)
		return head;
	struct pol_way on = {
		.user = g->name.s, .reason = "no-answer", .cause = 408, .who = POL_FROM_TRUSTED};
	int next = pol_emit_forward(d, way, on, &g->otherwise);
	if (head < 0)
		return next;
	go_on_always(d, last, next);
	return head;
}

/* ---- trunks ---------------------------------------------------------------------------------- */

static struct str asserted(struct pol_deciding *d, const struct pol_way *way,
			   const struct pol_trunk *t)
{
	struct str number = d->rule_caller;
	if (!number.n && way->who == POL_FROM_USER) {
		const struct pol_dest *u = pol_find(d->c, way->as);
		if (u && u->kind == POL_TO_USER)
			number = pol_user_at(d->c, u->i)->caller_id.s;
	}
	if (!number.n)
		number = t->caller_id.s;
	return number.n ? pol_rewritten(d, &t->caller_out, number) : number;
}

static struct str trunk_uri(struct pol_deciding *d, struct str number, struct str host)
{
	char mem[400];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, STR("sip:"));
	sip_escape_user(&b, number);
	buf_fmt(&b, "@" STR_FMT, STR_ARG(host));
	struct str all = buf_view(&b);
	d->is_full |= b.err != OK;
	return pol_print(d, STR_FMT, STR_ARG(all));
}

/* Draws one of the first n hosts that are still there, by weight. [RFC2782] */
static size_t draw(const struct pol_host *h, const size_t *left, size_t n, uint32_t dice)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += h[left[i]].weight;
	uint64_t at = sum ? (uint64_t)dice * sum >> 32 : 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t w = h[left[i]].weight;
		if (at < w || (!sum && i == 0))
			return i;
		at -= w;
	}
	return 0;
}

/* What the trunk wants of each call, and whether it can have that from a proxy. */
static void put_trunk(struct pol_deciding *d, struct pol_step *s, const struct pol_trunk *t)
{
	s->trunk = t;
	pol_put_headers(d, &t->set, &t->remove, &s->lines, &s->remove);
	for (size_t i = 0; i < t->pass.n; i++)
		s->pass = pol_print(d, STR_FMT "%s" STR_FMT, STR_ARG(s->pass), i ? "," : "",
				    STR_ARG(t->pass.v[i].s));
	d->needs_b2bua |= t->password.s.n || t->max_calls;
}

/* The trunk's hosts that are up, by priority and weight, each a step that follows when the one
 * before could not be reached. */
static void emit_hosts(struct pol_deciding *d, const struct pol_way *way, const struct pol_trunk *t,
		       struct str number, struct str caller, int *head, int *last)
{
	const struct pol_ask *ask = d->rq->ask;
	const struct pol_host *h = t->hosts.v;
	size_t left[POL_MAX_STEPS], n_left = 0;
	uint32_t dice = d->rq->dice;
	for (size_t i = 0; i < t->hosts.n && n_left < POL_MAX_STEPS; i++)
		if (ask->is_up(ask->ctx, t, &h[i]))
			left[n_left++] = i;
		else
			pol_say(d, STR_FMT " is down", STR_ARG(h[i].host.s));
	while (n_left) {
		size_t n_equal = 1;
		while (n_equal < n_left && h[left[n_equal]].priority == h[left[0]].priority)
			n_equal++;
		size_t k = draw(h, left, n_equal, dice);
		dice = dice * 2654435761u + 1;
		int step = new_step(d, way, d->ring_s);
		if (step < 0)
			return;
		d->p->steps[step].caller = caller;
		put_trunk(d, &d->p->steps[step], t);
		add_target(d, step,
			   &(struct pol_target){.uri = trunk_uri(d, number, h[left[k]].host.s),
						.trunk = t});
		pol_say(d, "step %d: " STR_FMT " by " STR_FMT, step, STR_ARG(number),
			STR_ARG(h[left[k]].host.s));
		go_on(d, *last, POL_ON_OFFLINE, step);
		*head = *head < 0 ? step : *head;
		*last = step;
		for (size_t i = k + 1; i < n_left; i++)
			left[i - 1] = left[i];
		n_left--;
	}
}

int pol_emit_trunks(struct pol_deciding *d, const struct pol_way *way, const struct pol_route *r)
{
	int head = -1, last = -1;
	for (size_t i = 0; i < r->trunk.n; i++) {
		const struct pol_trunk *t = pol_trunk_at(d->c, r->trunks[i]);
		pol_say(d, "trunk " STR_FMT, STR_ARG(t->name.s));
		if (!way->reason && t->mode && !d->p->mode)
			d->p->mode = t->mode;
		struct str number = pol_rewritten(d, &t->out, d->number);
		emit_hosts(d, way, t, number, asserted(d, way, t), &head, &last);
	}
	d->was_down |= head < 0;
	return head;
}

/* ---- any destination ------------------------------------------------------------------------- */

static int emit_uri(struct pol_deciding *d, const struct pol_way *way, struct str uri)
{
	const struct pol_ask *ask = d->rq->ask;
	struct sip_uri u;
	if (sip_uri_parse(uri, &u) == OK && ask->is_ours(ask->ctx, &u))
		return pol_emit_number(d, way, u.user);
	int step = new_step(d, way, d->ring_s);
	if (step >= 0) {
		add_target(d, step, &(struct pol_target){.uri = uri, .is_mapped = true});
		pol_say(d, "step %d: " STR_FMT, step, STR_ARG(uri));
	}
	return step;
}

int pol_emit_dest(struct pol_deciding *d, const struct pol_way *way, const struct pol_dest *to)
{
	switch (to->kind) {
	case POL_TO_USER:
		return emit_user(d, way, pol_user_at(d->c, to->i));
	case POL_TO_GROUP:
		return emit_group(d, way, pol_group_at(d->c, to->i));
	case POL_TO_DIAL:
		return pol_emit_number(d, way, to->text);
	case POL_TO_URI:
		return emit_uri(d, way, to->text);
	case POL_TO_NONE:
		break;
	}
	const struct pol_ask *ask = d->rq->ask;
	if (ask->has_account(ask->ctx, to->text))
		return emit_account(d, way, to->text);
	pol_say(d, "nobody has " STR_FMT, STR_ARG(to->text));
	return -1;
}
