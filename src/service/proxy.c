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
 * 2. Each branch in CALLING has exactly one client transaction, whose on_end comes exactly once.
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

static void start_group(struct ctx *c);
static void start_branch(struct branch *b);
static void try_next(struct branch *b);

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

static bool has_waiting(const struct ctx *c)
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
		if (!c->is_cancelled && (has_waiting(c) || prx_next_step(c))) {
			start_group(c);
			return;
		}
		prx_answer_best(c);
	}
	reap(c);
}

/* ---- branches -------------------------------------------------------------------------------- */

static void cancel_pending(struct ctx *c, struct str reason)
{
	c->is_closed = true;
	for (struct branch *b = c->branches; b; b = b->next) {
		if ((b->state == WAITING || b->state == SPARE) && b->step == prx_step_now(c))
			b->state = DONE;
		if (b->state == RESOLVING) {
			tp_resolve_cancel(b->resolve);
			b->state = DONE;
		}
		if (b->state == CALLING && c->is_invite && !b->final)
			tsx_cancel(c->prx->tsx, b->ct, reason);
	}
}

static void give_up(struct branch *b, struct str reason)
{
	b->is_given_up = b->is_timeout = true;
	tsx_cancel(b->ctx->prx->tsx, b->ct, reason);
}

static void on_timer_c(struct tmr *t)
{
	struct branch *b = CONTAINER_OF(t, struct branch, timer_c);
	give_up(b, STR("Reason: SIP;cause=408;text=\"Timer C\"\r\n"));
}

static enum err compose(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out)
{
	struct branch *b = ctx;
	struct ctx *c = b->ctx;
	struct fwd_plan plan = {
		.rx = c->rx,
		.self = c->prx->self,
		.route = &c->route,
		.realm = c->prx->realm,
		.is_trusted = c->is_trusted,
		.is_next_trusted = c->prx->is_trusted && c->prx->is_trusted(c->prx->ctx, &dst->to),
		.record_route = c->record_route,
		.add_path = c->add_path,
		.caller = c->caller,
		.breadth = b->breadth,
	};
	struct fwd_target t = {.ruri = b->ruri, .path = b->path};
	if (c->steps)
		t.headers = prx_step_headers(c, b);
	if (b->has_side)
		t.callee = (struct rt_side){.is_set = true, .dst = *dst};
	return fwd_compose(&plan, &t, via, dst, out);
}

/* May another address of this branch be tried? */
static bool may_go_on(const struct branch *b)
{
	return !b->final && !b->ctx->is_closed && !b->is_timeout;
}

void prx_end_branch(struct branch *b)
{
	b->state = DONE;
	ev_timer_stop(b->ctx->prx->loop, &b->timer_c);
	prx_tell_miss(b);
}

/* The phone could not be reached this way: tries its next one. False when there is none. c may be
 * freed afterwards. [RFC5626 7] */
static bool start_spare(struct branch *b)
{
	struct branch *primary = b->primary ? b->primary : b;
	if (b->ctx->is_closed || b->is_given_up)
		return false;
	for (struct branch *s = b->ctx->branches; s; s = s->next) {
		if (s->state != SPARE || s->primary != primary)
			continue;
		prx_end_branch(b);
		s->breadth = b->breadth;
		start_branch(s);
		return true;
	}
	return false;
}

/* The branch has its final response: the client transaction goes on by itself (ACK, absorbing). */
static void finish(struct branch *b)
{
	struct ctx *c = b->ctx;
	tsx_detach(c->prx->tsx, b->ct);
	prx_end_branch(b);
	prx_settle(c);
}

/* The transaction stays attached for an INVITE: 2xx of other forks may follow. */
static void on_2xx(struct branch *b, struct tp_rx *rx)
{
	struct ctx *c = b->ctx;
	if (!b->final)
		b->final = tp_rx_ref(rx);
	if (c->is_server_gone)
		prx_on_stray_response(c->prx, rx);
	else if (!c->is_final_sent || c->is_2xx_sent)
		prx_send_back(c, b, rx, NULL, 0);
	if (c->is_2xx_sent && c->is_invite && !c->is_server_gone)
		prx_note_repeat(c->prx, rx);
	c->is_2xx_sent = true;
	cancel_pending(c, STR("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"));
	if (!c->is_invite)
		finish(b);
}

static void on_final(struct branch *b, struct tp_rx *rx)
{
	struct ctx *c = b->ctx;
	unsigned status = rx->msg->status;
	if (status == 503 && b->next_dst < b->dsts.n && may_go_on(b)) { /* [RFC3263 4.3] */
		tsx_detach(c->prx->tsx, b->ct);
		try_next(b);
		return;
	}
	if (status == 430 || status == 408) {
		tsx_detach(c->prx->tsx, b->ct);
		if (start_spare(b))
			return;
	}
	if (sip_count(rx->msg, SIP_HDR_VIA) < 2)
		b->is_bad = true; /* [RFC3261 16.7 step 3]: there is no way back for it */
	else if (c->follows && prx_follow(c, b, rx->msg))
		b->is_followed = true;
	else if (!b->is_given_up || status != 487)
		b->final = tp_rx_ref(rx);
	if (status >= 600)
		cancel_pending(c, STR("Reason: SIP;cause=600;text=\"Declined elsewhere\"\r\n"));
	finish(b);
}

static void on_provisional(struct branch *b, struct tp_rx *rx)
{
	struct ctx *c = b->ctx;
	if (rx->msg->status == 100 || b->is_given_up)
		return;
	if (c->is_invite) /* [RFC3261 16.7 step 2] */
		ev_timer(c->prx->loop, &b->timer_c, c->prx->timer_c_us, on_timer_c);
	if (!c->is_final_sent && sip_count(rx->msg, SIP_HDR_VIA) > 1)
		prx_send_back(c, b, rx, NULL, 0);
}

static void on_response(void *ctx, tsx_id ct, struct tp_rx *rx)
{
	struct branch *b = ctx;
	unsigned status = rx->msg->status;
	b->is_heard = true;
	if (status >= 200)
		ev_timer_stop(b->ctx->prx->loop, &b->timer_c);
	if (status < 200)
		on_provisional(b, rx);
	else if (status < 300 && sip_count(rx->msg, SIP_HDR_VIA) > 1)
		on_2xx(b, rx);
	else
		on_final(b, rx);
}

static void on_end(void *ctx, tsx_id ct, enum tsx_end why)
{
	struct branch *b = ctx;
	struct ctx *c = b->ctx;
	ev_timer_stop(c->prx->loop, &b->timer_c);
	if (b->next_dst < b->dsts.n && may_go_on(b)) {
		try_next(b);
		return;
	}
	if (!b->final && start_spare(b))
		return;
	if (!b->final)
		b->is_timeout |= why == TSX_END_TIMEOUT;
	prx_end_branch(b);
	prx_settle(c);
}

static const struct tsx_client_user client_user = {
	.compose = compose, .on_response = on_response, .on_end = on_end};

/* What we have no room for says nothing about the next hop. */
static void note_room(struct ctx *c, enum err e)
{
	c->is_overloaded |= e == ERR_LIMIT || e == ERR_NOMEM;
}

/* A sips request goes over TLS or not at all. [RFC3261 16.6 step 7, 26.2.2] */
static bool is_too_open(struct ctx *c, const struct tp_dst *dst)
{
	if (!str_istarts(c->route.ruri, STR("sips:")) || tp_is_secure(dst->proto))
		return false;
	c->is_insecure = true;
	return true;
}

/* Starts a client transaction towards the next address that takes one. */
static void try_next(struct branch *b)
{
	struct ctx *c = b->ctx;
	struct prx *p = c->prx;
	while (b->next_dst < b->dsts.n) {
		const struct tp_dst *dst = &b->dsts.dst[b->next_dst++];
		if (is_too_open(c, dst))
			continue;
		enum err e = tsx_client_new(p->tsx, c->rx->msg->method_name, dst, &client_user, b,
					    &b->ct);
		note_room(c, e);
		if (e)
			continue;
		b->state = CALLING;
		p->stats.n_forwarded++;
		if (c->is_invite)
			ev_timer(p->loop, &b->timer_c, p->timer_c_us, on_timer_c);
		return;
	}
	if (start_spare(b))
		return;
	prx_end_branch(b);
	prx_settle(c);
}

static void on_resolved(void *ctx, enum err e, const struct tp_targets *t)
{
	struct branch *b = ctx;
	b->resolve = NULL;
	b->dsts.n = 0;
	note_room(b->ctx, e);
	if (e == OK)
		b->dsts = *t;
	try_next(b);
}

/* The URI that names the next hop of a branch; in `mem` unless it has been read already. NULL: it
 * cannot be read. */
static const struct sip_uri *next_hop(const struct branch *b, struct sip_uri *mem)
{
	const struct ctx *c = b->ctx;
	struct sip_addr a; /* a Path is a list of "<uri>" [service/registrar] */
	struct str first = str_sub(b->path, 0, str_chr(b->path, '>') + 1), text = b->ruri;
	if (first.n && sip_addr_parse(first, &a) == OK)
		text = a.uri_text;
	else if (c->route.next.n)
		text = c->route.next;
	else if (!b->ruri.n)
		return c->route.uri_err == OK ? &c->route.uri : NULL;
	return sip_uri_parse(text, mem) == OK ? mem : NULL;
}

static void start_branch(struct branch *b)
{
	struct sip_uri mem;
	if (b->dsts.n == 0) {
		const struct sip_uri *uri = next_hop(b, &mem);
		if (!uri) {
			prx_end_branch(b);
			prx_settle(b->ctx);
			return;
		}
		b->state = RESOLVING;
		enum err e =
			tp_resolve_uri(b->ctx->prx->tp, uri, &b->dsts, on_resolved, b, &b->resolve);
		if (e == ERR_MORE)
			return;
		note_room(b->ctx, e);
		if (e)
			b->dsts.n = 0;
	}
	try_next(b);
}

/* The time of a q group, or of the whole step, is over. */
static void on_serial(struct tmr *t)
{
	struct ctx *c = CONTAINER_OF(t, struct ctx, serial);
	bool is_over = prx_is_step_over(c);
	for (struct branch *b = c->branches; b; b = b->next) {
		if (b->state == CALLING && !b->final) {
			give_up(b, STR("Reason: SIP;cause=408;text=\"Next target\"\r\n"));
			if (is_over && !b->is_heard)
				prx_abandon(b);
		}
		if (is_over && b->state == RESOLVING)
			tp_resolve_cancel(b->resolve);
		if (is_over && b->step == prx_step_now(c) &&
		    (b->state == RESOLVING || b->state == WAITING)) {
			b->state = DONE;
			b->is_timeout = true;
		}
	}
	prx_settle(c);
}

/* Starts all waiting branches of the highest q in the present step. */
static void start_group(struct ctx *c)
{
	unsigned n = 0;
	int best = -1;
	for (struct branch *b = c->branches; b; b = b->next)
		if (b->state == WAITING && b->step == prx_step_now(c) && b->q > best)
			best = b->q;
	for (struct branch *b = c->branches; b; b = b->next)
		n += b->state == WAITING && b->step == prx_step_now(c) && b->q == best;
	if (n > 1)
		c->prx->stats.n_forked++;
	uint32_t share = n ? c->breadth / n : 0; /* [RFC5393 5.3.3]: of what runs in parallel */
	c->is_busy = true; /* a branch that fails at once must not settle the group */
	for (struct branch *b = c->branches; b; b = b->next) {
		if (b->state != WAITING || b->step != prx_step_now(c) || b->q != best)
			continue;
		b->breadth = share;
		start_branch(b);
	}
	c->is_busy = false;
	ev_timer_stop(c->prx->loop, &c->serial);
	uint64_t ring_us = c->is_invite ? prx_group_us(c, has_waiting(c)) : 0;
	if (ring_us)
		ev_timer(c->prx->loop, &c->serial, ring_us, on_serial);
	else if (c->is_invite)
		prx_watch_silence(c);
	prx_settle(c);
}

/* ---- requests -------------------------------------------------------------------------------- */

static enum err keep_texts(struct prx *p, struct branch *b, const struct prx_target *t)
{
	size_t n = t->ruri.n + t->path.n + t->aor.n;
	if (n == 0)
		return OK;
	b->text = block_get(p->blocks, n, NULL);
	if (!b->text)
		return ERR_NOMEM;
	b->ruri = fwd_copy_ruri(t->ruri, b->text);
	if (t->path.n)
		memcpy(b->text + t->ruri.n, t->path.p, t->path.n);
	if (t->aor.n)
		memcpy(b->text + t->ruri.n + t->path.n, t->aor.p, t->aor.n);
	b->aor = str_of(b->text + t->ruri.n + t->path.n, t->aor.n);
	b->path = str_of(b->text + t->ruri.n, t->path.n);
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
	b->step = t->step;
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
	c->breadth = breadth;
	c->follows = r->follows && p->expand;
	enum err e = r->n_steps ? prx_keep_steps(c, r) : OK;
	for (size_t i = 0; i < r->n_targets && e == OK; i++)
		e = prx_add_branch(c, &r->targets[i]);
	if (e) {
		code_refuse(p->tsx, st, CODE_OVERLOAD, STR_NONE);
		free_ctx(c);
		return;
	}
	tsx_set_owner(p->tsx, st, c);
	start_group(c);
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
	struct str reason = sip_value(rx->msg, SIP_HDR_REASON); /* [RFC3326 2] */
	if (reason.n)
		buf_fmt(&b, "Reason: " STR_FMT "\r\n", STR_ARG(reason));
	cancel_pending(c, b.err ? STR_NONE : buf_view(&b));
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
		else if (b->state == CALLING)
			tsx_detach(p->tsx, b->ct);
		b->state = DONE;
	}
	reap(c);
}
