/* The routing policy at work.
 *
 * The policy in force is a snapshot that all shards read (ev_snap); shard 0 publishes a new one and
 * retires the old, which calls under way do not need: what they have of it was copied into the
 * proxy's context when they began. Without a policy the dispatcher decides alone, as before, at the
 * price of one load.
 *
 * A request's path: dispatch.c has authenticated it, or knows its address for a trunk's → facts
 * (struct pol_request) → pol_decide → the plan's steps become the proxy's, its users their bindings
 * of this moment; a redirect or a rejection is answered here, with a code of ours.
 *
 * Invariants: 1. Only requests whose sender is known get here (no toll fraud); what came over a
 * trunk passes by pol_decide's own rules. 2. A Contact of a 3xx that names this exchange leads to
 * accounts, never to a trunk: a phone that answers 302 does not spend the house's money. */
#include "service/steer.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "policy/decide.h"
#include "service/codes.h"
#include "service/way.h"

#include <stdlib.h>
#include <time.h>

struct snapshot {
	struct ev_retired retired;
	struct pol_config *policy;
	uint16_t slot[]; /* of each trunk (service/trunks) */
};

static void free_snapshot(struct ev_retired *node)
{
	struct snapshot *p = CONTAINER_OF(node, struct snapshot, retired);
	pol_free(p->policy);
	free(p);
}

enum err exc_set_policy(struct exc *x, struct pol_config *policy)
{
	struct snapshot *old = ev_snap_get(&x->policy), *fresh = NULL;
	size_t n = policy ? policy->trunks.n : 0;
	enum err e = OK;
	if (policy) {
		fresh = calloc(1, sizeof(*fresh) + n * sizeof(fresh->slot[0]));
		e = fresh ? OK : ERR_NOMEM;
	}
	if (e == OK)
		e = trunks_set(x->trunks, policy, fresh ? fresh->slot : NULL);
	if (e) {
		free(fresh);
		pol_free(policy);
		return e;
	}
	if (fresh)
		fresh->policy = policy;
	ev_snap_set(&x->policy, fresh);
	if (old)
		ev_retire(ev_shard(x->shards, 0), &old->retired, free_snapshot);
	return OK;
}

void steer_free(struct exc *x)
{
	struct snapshot *p = ev_snap_get(&x->policy);
	if (p)
		free_snapshot(&p->retired);
}

const struct pol_config *exc_policy(struct exc *x)
{
	const struct snapshot *p = ev_snap_get(&x->policy);
	return p ? p->policy : NULL;
}

static uint16_t slot_of(const struct snapshot *p, const struct pol_trunk *t)
{
	return p->slot[t - pol_trunk_at(p->policy, 0)];
}

/* The trunk that an address may speak for: by `sources`, or since a registration of ours was
 * accepted there. Of several the one whose user the request is for. */
static const struct pol_trunk *trunk_at(struct exc_shard *s, const struct addr *from,
					struct str user)
{
	const struct snapshot *p = ev_snap_get(&s->x->policy);
	const struct pol_trunk *found = NULL;
	for (uint32_t i = 0; p && i < p->policy->trunks.n; i++) {
		const struct pol_trunk *t = pol_trunk_at(p->policy, i);
		bool is_user = t->user.s.n && str_eq(t->user.s, user);
		if ((!found || is_user) &&
		    (pol_trunk_has(t, from) || trunks_knows(s->x->trunks, p->slot[i], from)))
			found = t;
		if (found == t && is_user)
			break;
	}
	return found;
}

bool steer_is_trunk(struct exc_shard *s, const struct addr *from)
{
	return trunk_at(s, from, STR_NONE) != NULL;
}

/* ---- seats of trunks, for calls in two dialogs ----------------------------------------------- */

enum code steer_take(void *ctx, uint16_t trunk, struct b2b_account *out)
{
	struct exc_shard *s = ctx;
	const struct snapshot *p = ev_snap_get(&s->x->policy);
	uint32_t i = 0, n = p ? (uint32_t)p->policy->trunks.n : 0;
	while (i < n && p->slot[i] != trunk - 1)
		i++;
	if (i == n)
		return CODE_TRUNK_GONE;
	const struct pol_trunk *t = pol_trunk_at(p->policy, i);
	if (!trunks_take(s->x->trunks, p->slot[i], t->max_calls))
		return CODE_TRUNK_FULL;
	if (out && t->password.s.n)
		*out = (struct b2b_account){.user = t->user.s,
					    .auth_user =
						    t->auth_user.s.n ? t->auth_user.s : t->user.s,
					    .password = t->password.s};
	return CODE_NONE;
}

void steer_leave(void *ctx, uint16_t trunk)
{
	struct exc_shard *s = ctx;
	trunks_leave(s->x->trunks, (uint16_t)(trunk - 1));
}

void steer_deaf(void *ctx, uint16_t trunk, uint32_t host, const struct sip_msg *refusal)
{
	struct exc_shard *s = ctx;
	trunks_doubt(s->x->trunks, (uint16_t)(trunk - 1), host, refusal);
}

/* ---- what the policy asks -------------------------------------------------------------------- */

static bool find_bindings(struct exc_shard *s, struct str user, struct loc_targets *found)
{
	char mem[600];
	struct buf aor;
	buf_init_fixed(&aor, mem, sizeof(mem));
	dom_aor_of_user(s->x->dom, user, &aor);
	return !aor.err && acc_has(s->x->acc, user) &&
	       loc_lookup(s->x->loc, s->n, buf_view(&aor), found) == OK && found->n;
}

static bool has_account(void *ctx, struct str user)
{
	struct exc_shard *s = ctx;
	return acc_has(s->x->acc, user);
}

static bool is_registered(void *ctx, struct str user)
{
	struct loc_targets found;
	return find_bindings(ctx, user, &found);
}

static bool is_up(void *ctx, const struct pol_trunk *t, const struct pol_host *h)
{
	struct exc_shard *s = ctx;
	const struct snapshot *p = ev_snap_get(&s->x->policy);
	return trunks_is_up(s->x->trunks, slot_of(p, t),
			    (size_t)(h - (const struct pol_host *)t->hosts.v));
}

static struct pol_clock local_clock(struct exc_shard *s)
{
	time_t t = (time_t)(env_wall_us(s->loop->env) / 1000000);
	struct tm tm;
	if (!localtime_r(&t, &tm))
		return (struct pol_clock){0};
	return (struct pol_clock){
		.date = (uint32_t)((tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 +
				   tm.tm_mday),
		.minute = (uint16_t)(tm.tm_hour * 60 + tm.tm_min),
		.day = (uint8_t)tm.tm_wday,
	};
}

static struct str unescaped(struct buf *b, struct str user)
{
	size_t at = b->n;
	if (!sip_unescape(b, user) || b->err)
		return STR_NONE;
	return str_of(b->p + at, b->n - at);
}

/* An upstream calls the user that has registered there, and says in To which of his numbers was
 * dialled. */
static void find_number(struct tp_rx *rx, struct buf *b, struct pol_request *rq)
{
	struct sip_addr to;
	if (!rq->trunk || rq->trunk->does_register != POL_YES ||
	    !str_eq(rq->to_user, rq->trunk->user.s) ||
	    sip_addr_parse(sip_value(rx->msg, SIP_HDR_TO), &to) != OK || to.uri_err)
		return;
	struct str number = unescaped(b, to.uri.user);
	if (number.n)
		rq->to_user = number;
}

/* The facts; texts that are not the message's go into `b`. */
static void tell(struct exc_shard *s, const struct pol_config *c, struct tp_rx *rx,
		 const struct rt_plan *plan, struct str user, struct buf *b, struct pol_request *rq)
{
	struct sip_addr from;
	if (sip_addr_parse(sip_value(rx->msg, SIP_HDR_FROM), &from) == OK && !from.uri_err) {
		rq->from_user = unescaped(b, from.uri.user);
		rq->from_host = from.uri.host;
	}
	rq->user = user;
	rq->source = rx->from;
	rq->to_user = unescaped(b, plan->uri.user);
	rq->trunk = user.n ? NULL : trunk_at(s, &rx->from, rq->to_user);
	rq->who = user.n ? POL_FROM_USER : rq->trunk ? POL_FROM_TRUNK : POL_FROM_TRUSTED;
	rq->method = rx->msg->method_name;
	rq->to_host = plan->uri.host;
	rq->is_ours = plan->is_us;
	rq->msg = rx->msg;
	find_number(rx, b, rq);
	if (c->has_times)
		rq->at = local_clock(s);
	if (c->trunks.n)
		rq->dice = (uint32_t)env_random_u64(s->loop->env);
	rq->domain = dom_first(s->x->dom);
	if (!rq->domain.n)
		rq->domain = plan->is_us && plan->uri.host.n ? plan->uri.host : STR("localhost");
}

/* ---- answering ------------------------------------------------------------------------------- */

/* Nobody is sent to where he has just asked, or anywhere twice. [RFC3261 8.3] */
static void put_place(struct buf *b, const struct rt_plan *plan, struct str uri, unsigned q,
		      struct str by)
{
	struct sip_uri u;
	size_t at = b->n;
	if (sip_uri_parse(uri, &u) == OK && sip_uri_eq(&u, &plan->uri))
		return;
	buf_fmt(b, "Contact: <" STR_FMT ">;", STR_ARG(uri));
	if (b->err)
		return;
	struct str line = str_skip(buf_view(b), at);
	if (str_find(str_sub(buf_view(b), 0, at), line) != SIZE_MAX)
		b->n = at;
	else
		buf_fmt(b, "q=%u.%03u" STR_FMT "\r\n", q / 1000, q % 1000, STR_ARG(by));
}

/* How a target was found, as a parameter of its Contact; in `b`. [RFC7044 10.4] */
static struct str found_by(const struct hist *h, const struct pol_plan *p,
			   const struct pol_step *step, const struct pol_target *t, struct buf *b)
{
	bool is_other = (step->hop || t->is_mapped) && !str_eq(t->user, p->hops[0].to);
	buf_clear(b);
	if (h)
		hist_put_param(h, is_other ? HIST_MP : HIST_RC, b);
	return b->err ? STR_NONE : buf_view(b);
}

static void redirect(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		     const struct pol_plan *p)
{
	char mem[6000], by_mem[128];
	struct buf b, by_text;
	struct loc_targets found;
	unsigned q = 1000;
	struct hist *h = way_open(s, rx);
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_init_fixed(&by_text, by_mem, sizeof(by_mem));
	for (size_t i = 0; i<p->n_steps; i++, q -= q> 100 ? 50 : 0)
		for (size_t k = 0; k < p->steps[i].n; k++) {
			const struct pol_target *t = &p->targets[p->steps[i].first + k];
			struct str by = found_by(h, p, &p->steps[i], t, &by_text);
			found.n = 0;
			if (t->user.n && !find_bindings(s, t->user, &found))
				continue;
			if (!t->user.n)
				put_place(&b, plan, t->uri, q, by);
			for (size_t n = 0; n < found.n; n++)
				put_place(&b, plan, found.t[n].uri, q * found.t[n].q / 1000, by);
		}
	way_close(s, h);
	bool is_any = b.n > 0;
	way_put(s, st, &b);
	if (!b.err && !is_any)
		way_refuse(s, st, CODE_NO_USER, STR_NONE);
	else if (b.err)
		code_refuse(s->stack.tsx, st, CODE_POLICY_FULL, STR_NONE);
	else if (code_reply(s->stack.tsx, st, CODE_POLICY_REDIRECT, p->status, buf_view(&b)) ==
		 ERR_LIMIT)
		code_refuse(s->stack.tsx, st, CODE_POLICY_FULL, STR_NONE);
}

static void reject(struct exc_shard *s, tsx_id st, const struct pol_plan *p)
{
	char mem[4096];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	code_warning_put(&b, CODE_POLICY_REJECT);
	way_put(s, st, &b);
	enum err e = tsx_reply(s->stack.tsx, st, p->status, p->reason, buf_view(&b));
	if (e != OK && e != ERR_STATE)
		tsx_drop(s->stack.tsx, st);
}

/* ---- sending on ------------------------------------------------------------------------------ */

struct sending {
	struct prx_target t[PRX_MAX_TARGETS];
	struct prx_step steps[POL_MAX_STEPS];
	size_t n_targets, n_ways; /* n_ways 0: nobody is told of them */
	struct hist_way ways[POL_MAX_STEPS + PRX_MAX_TARGETS];
	struct buf text, aors, uris;
	char mem[8192], aor_mem[2048], uri_mem[4096];
};

static struct prx_target of_binding(const struct loc_target *t)
{
	return (struct prx_target){
		.ruri = t->uri, .path = t->path, .q = t->q, .has_dst = t->has_dst, .dst = t->dst};
}

/* Whose phones they are; without room for it nobody's: a lamp less. */
static struct str put_aor(struct exc_shard *s, struct str user, struct sending *out)
{
	size_t at = out->aors.n;
	if (!user.n || out->aors.err)
		return STR_NONE;
	dom_aor_of_user(s->x->dom, user, &out->aors);
	return out->aors.err ? STR_NONE : str_of(out->aors.p + at, out->aors.n - at);
}

/* A user or number of this house as a URI, or what is one already. */
static struct str put_uri(struct buf *b, struct str to, struct str domain)
{
	struct sip_uri u;
	size_t at = b->n;
	if (sip_uri_parse(to, &u) == OK)
		return to;
	buf_str(b, STR("sip:"));
	sip_escape_user(b, to);
	buf_fmt(b, "@" STR_FMT, STR_ARG(domain));
	return str_of(b->p + at, b->n - at);
}

/* The plan's forwards are the ways of its steps [RFC7044 7]; nobody asks for a call without. */
static void put_ways(const struct pol_plan *p, const struct pol_request *rq, enum hist_mode mode,
		     struct sending *out)
{
	bool is_told = mode == HIST_ALWAYS ||
		       (mode == HIST_ASKED && (p->n_hops > 1 || hist_is_asked(rq->msg)));
	buf_init_fixed(&out->uris, out->uri_mem, sizeof(out->uri_mem));
	out->n_ways = is_told ? p->n_hops : 0;
	for (size_t i = 1; i < out->n_ways; i++)
		out->ways[i] = (struct hist_way){
			.uri = put_uri(&out->uris, p->hops[i].to, rq->domain),
			.up = p->hops[i].up,
			.by = HIST_MP,
			.cause = p->hops[i].cause,
		};
}

/* The way of a user's phones: he is on it himself, unless it was he who was called. */
static size_t way_of(const struct pol_target *t, const struct pol_plan *p, size_t hop,
		     struct str domain, struct sending *out)
{
	if (!out->n_ways || !t->user.n || str_eq(t->user, p->hops[hop].to) ||
	    out->n_ways == ARRAY_LEN(out->ways))
		return hop;
	struct str uri = put_uri(&out->uris, t->user, domain);
	if (hop && str_eq(uri, out->ways[hop].uri))
		return hop;
	out->ways[out->n_ways] = (struct hist_way){
		.uri = uri, .up = (uint8_t)hop, .by = t->is_mapped ? HIST_MP : HIST_RC};
	return out->n_ways++;
}

static void add_targets(struct exc_shard *s, const struct pol_target *t, size_t step, size_t way,
			struct sending *out)
{
	struct loc_targets found = {0};
	struct str aor = put_aor(s, t->user, out);
	const struct snapshot *p = ev_snap_get(&s->x->policy);
	if (!t->user.n) {
		found.n = 1;
		found.t[0] = (struct loc_target){.uri = t->uri, .q = 1000};
	} else if (!find_bindings(s, t->user, &found)) {
		return;
	}
	size_t base = out->n_targets;
	for (size_t i = 0; i < found.n && out->n_targets < PRX_MAX_TARGETS; i++) {
		out->t[out->n_targets] = of_binding(&found.t[i]);
		out->t[out->n_targets].aor = aor;
		out->t[out->n_targets].way = (uint8_t)way;
		out->t[out->n_targets].is_outside = !t->user.n;
		out->t[out->n_targets].by = !t->user.n && t->is_mapped ? HIST_MP : HIST_RC;
		if (t->trunk) {
			out->t[out->n_targets].trunk = (uint16_t)(slot_of(p, t->trunk) + 1);
			out->t[out->n_targets].host = hash_quick32(t->host->host.s);
		}
		if (found.t[i].backup_of) /* of the targets all together */
			out->t[out->n_targets].backup_of = (uint8_t)(base + found.t[i].backup_of);
		out->t[out->n_targets++].step = (uint8_t)step;
	}
}

static struct str line(struct sending *out, const char *name, struct str value, const char *end)
{
	size_t at = out->text.n;
	if (!value.n)
		return STR_NONE;
	buf_fmt(&out->text, "%s" STR_FMT "%s\r\n", name, STR_ARG(value), end);
	return str_of(out->text.p + at, out->text.n - at);
}

static void put_headers(const struct pol_plan *p, const struct pol_step *from, struct str domain,
			struct sending *out, struct fwd_headers *h)
{
	static const char asserted[] = "P-Asserted-Identity: <sip:";
	char mem[300];
	struct buf uri;
	buf_init_fixed(&uri, mem, sizeof(mem));
	sip_escape_user(&uri, from->caller);
	size_t n_user = uri.n;
	if (from->caller.n)
		buf_fmt(&uri, "@" STR_FMT, STR_ARG(domain));
	h->asserted = line(out, asserted, buf_view(&uri), ">");
	h->caller = str_sub(h->asserted, sizeof(asserted) - 1, n_user);
	h->diversion = line(out, "Diversion: ", from->diversion, "");
	size_t at = out->text.n;
	buf_str(&out->text, p->lines);
	buf_str(&out->text, from->lines);
	h->lines = str_of(out->text.p + at, out->text.n - at);
	h->pass = from->pass;
	h->remove = p->remove.n ? p->remove : from->remove;
	if (p->remove.n && from->remove.n) {
		at = out->text.n;
		buf_fmt(&out->text, STR_FMT "," STR_FMT, STR_ARG(p->remove), STR_ARG(from->remove));
		h->remove = str_of(out->text.p + at, out->text.n - at);
	}
	out->text.err = uri.err ? uri.err : out->text.err;
}

/* The proxy has the same ways for a step to end. */
_Static_assert((int)POL_ON_BUSY == (int)PRX_ON_BUSY &&
		       (int)POL_ON_NO_ANSWER == (int)PRX_ON_NO_ANSWER &&
		       (int)POL_ON_OFFLINE == (int)PRX_ON_OFFLINE &&
		       (int)POL_ON_REFUSED == (int)PRX_ON_REFUSED &&
		       (int)POL_ON__N == (int)PRX_ON__N && POL_MAX_STEPS <= PRX_MAX_STEPS,
	       "steps of a plan are steps of the proxy");

static void send_in_two_dialogs(struct exc_shard *s, tsx_id st, struct tp_rx *rx,
				const struct prx_request *req, const struct pol_plan *p,
				const struct pol_request *rq, struct str caller_aor)
{
	struct b2b_request b2b = {.targets = req->targets,
				  .n_targets = req->n_targets,
				  .steps = req->steps,
				  .n_steps = req->n_steps,
				  .follows = req->follows,
				  .history = req->history,
				  .is_farewell = p->has_farewell,
				  .caller_aor = caller_aor};
	if (rq->trunk)
		b2b.trunk = (uint16_t)(slot_of(ev_snap_get(&s->x->policy), rq->trunk) + 1);
	dispatch_b2bua(s, st, rx, &b2b);
}

/* To the proxy, or the back-to-back user agent, which tells of its dialogs itself. */
static void give(struct exc_shard *s, tsx_id st, struct tp_rx *rx, struct prx_request *req,
		 const struct pol_plan *p, const struct pol_request *rq)
{
	char mem[LIMIT_AOR_BYTES + 1];
	struct buf b;
	struct str callee = STR_NONE;
	bool is_call = rx->msg->method == SIP_INVITE && !rx->msg->to_tag.n;
	buf_init_fixed(&b, mem, sizeof(mem));
	struct str caller = is_call ? dispatch_caller_aor(s, rq->user, &b) : STR_NONE;
	if (is_call && p->mode == POL_MODE_B2BUA) {
		send_in_two_dialogs(s, st, rx, req, p, rq, caller);
		return;
	}
	for (size_t i = 0; i < req->n_targets && !callee.n; i++)
		callee = req->targets[i].aor;
	if (is_call)
		calls_on_invite(s->calls, rx->msg, caller, callee);
	dispatch_forward(s, st, rx, req);
}

static void send_on(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		    const struct pol_plan *p, const struct pol_request *rq)
{
	struct sending out;
	out.n_targets = 0;
	buf_init_fixed(&out.text, out.mem, sizeof(out.mem));
	buf_init_fixed(&out.aors, out.aor_mem, sizeof(out.aor_mem));
	put_ways(p, rq, way_mode(s), &out);
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct pol_step *from = &p->steps[i];
		out.steps[i] = (struct prx_step){.ring_s = from->ring_s};
		for (size_t on = 0; on < POL_ON__N; on++)
			out.steps[i].next[on] = from->next[on];
		put_headers(p, from, rq->domain, &out, &out.steps[i].headers);
		for (size_t k = 0; k < from->n; k++) {
			const struct pol_target *t = &p->targets[from->first + k];
			add_targets(s, t, i, way_of(t, p, from->hop, rq->domain, &out), &out);
		}
	}
	const struct prx_step *one = &out.steps[0];
	bool is_plain = p->n_steps == 1 && !one->ring_s && !out.text.n && !one->headers.remove.n &&
			!one->headers.pass.n;
	struct prx_request req = {
		.route = plan,
		.targets = out.t,
		.n_targets = out.n_targets,
		.follows = p->recurses,
		.history = {.ways = out.ways, .n_ways = out.n_ways},
		.steps = is_plain ? NULL : out.steps,
		.n_steps = is_plain ? 0 : p->n_steps
        };
	if (out.text.err || out.uris.err)
		code_refuse(s->stack.tsx, st, CODE_POLICY_FULL, STR_NONE);
	else
		give(s, st, rx, &req, p, rq);
}

size_t steer_expand(void *ctx, const struct sip_uri *contact, struct prx_target *t, size_t max)
{
	struct exc_shard *s = ctx;
	struct loc_targets found;
	char mem[300];
	struct buf b, aor;
	if (!max)
		return 0;
	if (!dispatch_is_us(s, contact)) {
		t[0] = (struct prx_target){.ruri = contact->all, .is_outside = true};
		return 1;
	}
	buf_init_fixed(&b, mem, sizeof(mem));
	struct str user = unescaped(&b, contact->user);
	if (!user.n || !find_bindings(s, user, &found))
		return 0;
	size_t n = 0;
	buf_init_fixed(&aor, s->aor, sizeof(s->aor));
	dom_aor_of_user(s->x->dom, user, &aor);
	for (size_t i = 0; i < found.n && n < max; i++) {
		if (found.t[i].backup_of)
			continue;
		t[n] = of_binding(&found.t[i]);
		t[n++].aor = aor.err ? STR_NONE : buf_view(&aor);
	}
	return n;
}

/* ---- the decision ---------------------------------------------------------------------------- */

bool steer_on_request(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		      struct str user)
{
	static const enum code refusal[] = {
		[POL_NO_USER] = CODE_NO_USER,  [POL_OFFLINE] = CODE_OFFLINE,
		[POL_DENIED] = CODE_RELAY,     [POL_LOOP] = CODE_FORWARD_LOOP,
		[POL_FULL] = CODE_POLICY_FULL, [POL_NO_TRUNK] = CODE_TRUNK_DOWN,
	};
	const struct pol_config *c = exc_policy(s->x);
	struct pol_ask ask = {s, has_account, is_registered, is_up, dispatch_is_us};
	struct pol_request rq = {.ask = &ask};
	struct pol_plan p;
	char mem[1024];
	struct buf b;
	if (!c)
		return false;
	buf_init_fixed(&b, mem, sizeof(mem));
	tell(s, c, rx, plan, user, &b, &rq);
	pol_decide(c, &rq, &p);
	switch (p.act) {
	case POL_SEND:
		send_on(s, st, rx, plan, &p, &rq);
		return true;
	case POL_REDIRECT:
		redirect(s, st, rx, plan, &p);
		return true;
	case POL_REJECT:
		reject(s, st, &p);
		return true;
	case POL_FOREIGN:
		return false;
	default:
		way_refuse(s, st, refusal[p.act], STR_NONE);
		return true;
	}
}
