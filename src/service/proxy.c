/* The stateful proxy.
 *
 * A context (struct ctx) stands for one server transaction that is being forwarded; its branches
 * are the places where the request went or will go. Both come from pools, their texts from the
 * block cache: nothing is allocated in the steady state.
 *
 *     SPARE     stands in for another branch of the same phone, should that one fail
 *     WAITING   its q group has not come yet
 *     RESOLVING its name is being looked up
 *     CALLING   a client transaction is running, attached to the branch; `next_dst` is what
 *               fail-over would try then
 *     ABANDONED given up before it had said anything, or silent since its CANCEL: nobody waits for
 *               it, but a 2xx that comes late ends the others like any 2xx
 *     DONE      ended; `final` holds its response, if one came
 *
 * The path of a request: prx_forward makes the context and starts the first q group; start_branch
 * resolves and starts a client transaction, whose compose callback makes the bytes
 * (service/forward). Responses: 1xx and 2xx go back at once, others are kept until nothing runs any
 * more; then the best of them is sent (RFC 3261 16.7 step 6), or the next q group is started.
 *
 * Invariants:
 * 1. A context lives until its server transaction has ended (prx_on_server_end) and none of its
 * branches is CALLING or RESOLVING.
 * 2. Each branch in CALLING or ABANDONED has exactly one client transaction, whose on_end comes
 * exactly once.
 * 3. is_closed: after a 2xx or 6xx, a CANCEL, or the server transaction's end, no further branch is
 * started and no further address tried.
 * 4. A final response is sent at most once per context, but for further 2xx of an INVITE.
 * 5. `rx` is the server transaction's own, referenced here, since compose needs it for fail-over.
 *
 * RFC 4320: a non-INVITE that timed out is not answered 408; its server transaction is dropped. */
#include "base/limits.h"
#include "service/proxy_priv.h"

#include <stdlib.h>
#include <string.h>

#define TIMER_C_US 190000000ull
#define SERIAL_US  30000000ull

enum { KIND_CTX = 0x40, KIND_BRANCH = 0x41 };

/* ---- life ------------------------------------------------------------------------------------ */

enum err prx_new(struct ev_loop *loop, struct tp *tp, struct tsx_mgr *tsx,
		 struct block_cache *blocks, const struct rt_self *self,
		 const struct prx_config *cfg, struct prx **out)
{
	struct prx *p = calloc(1, sizeof(*p));
	if (!p)
		return ERR_NOMEM;
	*p = (struct prx){.loop = loop,
			  .tp = tp,
			  .tsx = tsx,
			  .blocks = blocks,
			  .self = self,
			  .realm = cfg->realm,
			  .on_answer = cfg->on_answer,
			  .on_miss = cfg->on_miss,
			  .on_gone = cfg->on_gone,
			  .on_deaf = cfg->on_deaf,
			  .is_trusted = cfg->is_trusted,
			  .expand = cfg->expand,
			  .ctx = cfg->ctx};
	p->timer_c_us = cfg->timer_c_us ? cfg->timer_c_us : TIMER_C_US;
	p->serial_us = cfg->serial_us ? cfg->serial_us : SERIAL_US;
	uint32_t max = cfg->max_contexts ? cfg->max_contexts : LIMIT_PROXY_CONTEXTS;
	pool_init(&p->contexts, sizeof(struct ctx), max, KIND_CTX, (uint8_t)loop->shard);
	pool_init(&p->branches, sizeof(struct branch), max * 2, KIND_BRANCH, (uint8_t)loop->shard);
	prx_init_acks(p, max);
	*out = p;
	return OK;
}

static void free_branch(struct prx *p, struct branch *b)
{
	if (b->state == ABANDONED)
		tsx_detach(p->tsx, b->ct);
	ev_timer_stop(p->loop, &b->timer_c);
	tp_rx_unref(p->tp, b->final);
	block_put(p->blocks, b->text);
	pool_put(&p->branches, b);
}

static void free_ctx(struct ctx *c)
{
	struct prx *p = c->prx;
	ev_timer_stop(p->loop, &c->serial);
	while (c->branches) {
		struct branch *b = c->branches;
		c->branches = b->next;
		free_branch(p, b);
	}
	tp_rx_unref(p->tp, c->rx);
	block_put(p->blocks, c->steps);
	hist_free(p->blocks, c->hist);
	pool_put(&p->contexts, c);
}

/* Frees c when invariant 1 allows. True when it did. */
static bool reap(struct ctx *c)
{
	if (!c->is_server_gone || c->is_busy)
		return false;
	for (struct branch *b = c->branches; b; b = b->next)
		if (b->state == CALLING || b->state == RESOLVING)
			return false;
	free_ctx(c);
	return true;
}

void prx_free(struct prx *p)
{
	if (!p)
		return;
	uint32_t at = 0;
	struct ctx *c;
	while ((c = pool_next(&p->contexts, &at))) {
		for (struct branch *b = c->branches; b; b = b->next) {
			if (b->state == RESOLVING)
				tp_resolve_cancel(b->resolve);
			if (b->state == CALLING)
				tsx_detach(p->tsx, b->ct);
		}
		free_ctx(c);
	}
	prx_free_acks(p);
	pool_fini(&p->contexts);
	pool_fini(&p->branches);
	free(p);
}

void prx_stats(const struct prx *p, struct prx_stats *out)
{
	*out = p->stats;
	out->live = p->contexts.n_used;
	out->pending = 0;
	uint32_t at = 0;
	const struct ctx *c;
	while ((c = pool_next(&p->contexts, &at)))
		out->pending += !c->is_final_sent;
}

/* ---- going on or answering ------------------------------------------------------------------- */

static bool is_pending(const struct ctx *c)
{
	for (const struct branch *b = c->branches; b; b = b->next)
		if (b->state == CALLING || b->state == RESOLVING)
			return true;
	return false;
}

bool prx_has_waiting(const struct ctx *c)
{
	for (const struct branch *b = c->branches; b; b = b->next)
		if (b->state == WAITING && b->step == prx_step_now(c))
			return true;
	return false;
}

/* Something has ended: goes on, answers, or waits. c may be freed afterwards. */
void prx_settle(struct ctx *c)
{
	if (c->is_busy)
		return;
	if (!is_pending(c) && !c->is_final_sent) {
		if (!c->is_cancelled && (prx_has_waiting(c) || prx_next_step(c))) {
			prx_start_group(c);
			return;
		}
		prx_answer_best(c);
	}
	reap(c);
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct str put_text(char **at, struct str s)
{
	struct str r = str_of(*at, s.n);
	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return r;
}

static enum err keep_texts(struct prx *p, struct branch *b, const struct prx_target *t)
{
	size_t n = t->ruri.n + t->path.n + t->aor.n + t->diversion.n;
	if (n == 0)
		return OK;
	b->text = block_get(p->blocks, n, NULL);
	if (!b->text)
		return ERR_NOMEM;
	char *at = b->text + t->ruri.n;
	b->ruri = fwd_copy_ruri(t->ruri, b->ctx->is_sips, b->text);
	b->is_tls = rt_is_sips(t->ruri);
	b->path = put_text(&at, t->path);
	b->aor = put_text(&at, t->aor);
	b->diversion = put_text(&at, t->diversion);
	return OK;
}

enum err prx_add_branch(struct ctx *c, const struct prx_target *t)
{
	struct prx *p = c->prx;
	struct branch *b = pool_get(&p->branches);
	if (!b)
		return ERR_LIMIT;
	b->ctx = c;
	b->q = t->q;
	b->trunk = t->trunk;
	b->host = t->host;
	b->step = t->step;
	b->is_outside = t->is_outside;
	b->state = WAITING;
	if (t->backup_of) {
		b->state = SPARE;
		b->primary = c->branches;
		for (unsigned i = 1; i < t->backup_of; i++)
			b->primary = b->primary->next;
	}
	if (keep_texts(p, b, t)) {
		free_branch(p, b);
		return ERR_NOMEM;
	}
	b->row = t->row ? t->row
			: hist_target(c->hist, t->way, t->ruri, (enum hist_by)t->by, t->is_outside);
	if (t->has_dst) {
		b->dsts.n = 1;
		b->dsts.dst[0] = t->dst;
		b->has_side = true;
	}
	struct branch **at = &c->branches;
	while (*at)
		at = &(*at)->next;
	*at = b;
	return OK;
}

/* [RFC5393 5.3.3] 0: the header cannot be read. */
static uint32_t breadth_of(const struct sip_msg *m)
{
	uint32_t n = FWD_BREADTH_DEFAULT;
	if (sip_has(m, SIP_HDR_MAX_BREADTH) &&
	    !str_u32(str_trim(sip_value(m, SIP_HDR_MAX_BREADTH)), &n))
		return 0;
	return n < FWD_BREADTH_DEFAULT ? n : FWD_BREADTH_DEFAULT;
}

static size_t widest_group(const struct prx_request *r)
{
	size_t widest = 0;
	for (size_t i = 0; i < r->n_targets; i++) {
		size_t n = 0;
		for (size_t k = 0; k < r->n_targets; k++)
			n += r->targets[k].q == r->targets[i].q && !r->targets[k].backup_of &&
			     r->targets[k].step == r->targets[i].step;
		widest = n > widest ? n : widest;
	}
	return widest;
}

void prx_forward(struct prx *p, tsx_id st, struct tp_rx *rx, const struct prx_request *r)
{
	const struct sip_msg *m = rx->msg;
	uint32_t breadth = breadth_of(m);
	if (fwd_is_loop(p->self, m)) {
		p->stats.n_loops++;
		code_refuse(p->tsx, st, CODE_LOOP, STR_NONE);
		return;
	}
	if (breadth < widest_group(r)) {
		code_refuse(p->tsx, st, CODE_BREADTH, STR_NONE);
		return;
	}
	struct ctx *c = pool_get(&p->contexts);
	if (!c) {
		code_refuse(p->tsx, st, CODE_OVERLOAD, STR_NONE);
		return;
	}
	c->prx = p;
	c->st = st;
	c->rx = tp_rx_ref(rx);
	c->route = *r->route;
	c->caller = r->caller;
	c->is_trusted = r->is_trusted;
	c->record_route = r->record_route;
	c->add_path = r->add_path;
	c->is_invite = m->method == SIP_INVITE;
	c->is_sips = rt_is_sips(r->route->ruri);
	c->breadth = breadth;
	c->follows = r->follows && p->expand;
	enum err e = r->n_steps ? prx_keep_steps(c, r) : OK;
	if (e == OK)
		e = hist_open(p->blocks, m, &r->history, &c->hist, &c->has_history);
	for (size_t i = 0; i < r->n_targets && e == OK; i++)
		e = prx_add_branch(c, &r->targets[i]);
	if (e) {
		code_refuse(p->tsx, st, CODE_OVERLOAD, STR_NONE);
		free_ctx(c);
		return;
	}
	tsx_set_owner(p->tsx, st, c);
	prx_start_group(c);
}

void prx_on_cancel(struct prx *p, void *owner, struct tp_rx *rx)
{
	struct ctx *c = owner;
	if (c->is_final_sent || c->is_cancelled)
		return;
	c->is_cancelled = true;
	p->stats.n_cancelled++;
	char mem[512];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	if (sip_has(rx->msg, SIP_HDR_REASON)) { /* [RFC3326 2] */
		buf_str(&b, STR("Reason: "));
		sip_reasons_put(rx->msg, &b);
		buf_str(&b, STR("\r\n"));
	}
	prx_cancel_pending(c, b.err ? STR_NONE : buf_view(&b));
	prx_settle(c);
}

/* Without a final response the way back has failed: the other side shall not suffer, what rings may
 * ring on under its Timer C, and a 2xx goes back by its Via [RFC3261 16.9]. */
void prx_on_server_end(struct prx *p, void *owner, enum tsx_end why)
{
	struct ctx *c = owner;
	bool may_ring = c->is_invite && !c->is_final_sent;
	c->is_server_gone = c->is_final_sent = c->is_closed = true;
	ev_timer_stop(p->loop, &c->serial);
	for (struct branch *b = c->branches; b; b = b->next) {
		if (may_ring && b->state == CALLING)
			continue;
		if (b->state == RESOLVING)
			tp_resolve_cancel(b->resolve);
		else if (b->state == CALLING || b->state == ABANDONED)
			tsx_detach(p->tsx, b->ct);
		b->state = DONE;
	}
	reap(c);
}
