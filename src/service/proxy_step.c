/* The proxy's steps (service/steps): when one has ended, how long its branches may ring, and what
 * becomes of branches that say nothing; and the Contacts of a 3xx as further branches of the step
 * that got it [RFC3261 16.7 step 4]. */
#include "base/assert.h"
#include "service/proxy_priv.h"

enum err prx_keep_steps(struct ctx *c, const struct prx_request *r)
{
	c->steps = block_get(c->prx->blocks, steps_size(r->steps, r->n_steps), NULL);
	if (!c->steps)
		return ERR_NOMEM;
	steps_copy(c->steps, r->steps, r->n_steps, ev_now_us(c->prx->loop));
	return OK;
}

static enum prx_on outcome(const struct ctx *c)
{
	enum prx_on on = PRX_ON_OFFLINE;
	for (const struct branch *b = c->branches; b; b = b->next)
		if (b->step == prx_step_now(c) && !b->is_followed)
			on = steps_outcome(on, steps_ended_by(b->final ? b->final->msg->status : 0,
							      b->is_given_up));
	return on;
}

bool prx_next_step(struct ctx *c)
{
	if (!c->steps || !steps_go_on(c->steps, outcome(c), ev_now_us(c->prx->loop)))
		return false;
	c->is_closed = false;
	return true;
}

struct fwd_headers prx_step_headers(const struct ctx *c, const struct branch *b)
{
	struct fwd_headers h = {0};
	if (c->steps)
		h = c->steps->v[b->step].headers;
	if (b->diversion.n)
		h.diversion = b->diversion;
	return h;
}

uint64_t prx_group_us(const struct ctx *c, bool has_waiting)
{
	return steps_group_us(c->steps, has_waiting ? c->prx->serial_us : 0,
			      ev_now_us(c->prx->loop));
}

/* Its CANCEL follows once it says something after all. */
void prx_abandon(struct branch *b)
{
	tsx_cancel(b->ctx->prx->tsx, b->ct, STR_NONE);
	b->is_timeout = true;
	prx_end_branch(b);
	b->state = ABANDONED;
}

static void on_silence(struct tmr *t)
{
	struct ctx *c = CONTAINER_OF(t, struct ctx, serial);
	for (struct branch *b = c->branches; b; b = b->next)
		if (b->state == CALLING && !b->final && (!b->is_heard || b->is_given_up)) {
			if (!b->is_heard)
				prx_tell_deaf(b, NULL);
			prx_abandon(b);
		}
	prx_settle(c);
}

void prx_watch_cancelled(struct ctx *c)
{
	for (const struct branch *b = c->branches; b; b = b->next)
		if (b->state == CALLING && !b->final && b->is_given_up)
			ev_timer(c->prx->loop, &c->serial, STEPS_SILENCE_US, on_silence);
}

void prx_watch_silence(struct ctx *c)
{
	if (steps_watches_silence(c->steps))
		ev_timer(c->prx->loop, &c->serial, STEPS_SILENCE_US, on_silence);
}

bool prx_is_step_over(const struct ctx *c)
{
	return steps_is_over(c->steps, ev_now_us(c->prx->loop));
}

/* ---- 3xx ------------------------------------------------------------------------------------- */

static bool was_tried(void *ctx, const struct sip_uri *u)
{
	const struct ctx *c = ctx;
	struct sip_uri tried;
	if (c->route.uri_err == OK && sip_uri_eq(u, &c->route.uri))
		return true;
	for (const struct branch *b = c->branches; b; b = b->next)
		if (b->ruri.n && sip_uri_parse(b->ruri, &tried) == OK && sip_uri_eq(u, &tried))
			return true;
	return false;
}

static bool add(void *ctx, const struct prx_target *t)
{
	return prx_add_branch(ctx, t) == OK;
}

bool prx_follow(struct ctx *c, struct branch *b, const struct sip_msg *m)
{
	struct steps_follower f = {.expand = c->prx->expand,
				   .expand_ctx = c->prx->ctx,
				   .was_tried = was_tried,
				   .add = add,
				   .ctx = c,
				   .hist = c->hist,
				   .from = b->row,
				   .ruri = b->ruri,
				   .aor = b->aor,
				   .diversion = prx_step_headers(c, b).diversion,
				   .has_rung = b->has_rung,
				   .asked = &c->route.uri,
				   .step = b->step,
				   .is_sips = c->is_sips};
	if (c->is_closed || c->is_final_sent || c->is_cancelled)
		return false;
	for (const struct branch *k = c->branches; k; k = k->next)
		f.n++;
	return steps_follow(&f, m);
}
