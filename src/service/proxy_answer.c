/* What the proxy sends back: a branch's response, the best of all, or a refusal of its own.
 *
 * The best is chosen once nothing runs any more [RFC3261 16.7 step 6]; the challenges of all
 * branches that gave one go with it [step 7]. */
#include "service/proxy_priv.h"

/* Of the call itself, not of a subscription in its dialog or of a transaction. [RFC5057 5.3] */
static bool is_of_call(const struct sip_msg *req)
{
	return req->method == SIP_INVITE || req->method == SIP_UPDATE || req->method == SIP_INFO;
}

/* `status` 0: none. [RFC3261 12.2.1.2] */
static void tell_answer(struct ctx *c, const struct sip_msg *resp, unsigned status, struct str aor)
{
	const struct sip_msg *req = c->rx->msg;
	const struct prx *p = c->prx;
	if (c->is_invite && !req->to_tag.n && p->on_answer)
		p->on_answer(p->ctx, req, resp, status, aor);
	else if (req->to_tag.n && is_of_call(req) && p->on_gone &&
		 (status == 481 || status == 408 || !status))
		p->on_gone(p->ctx, req);
}

void prx_tell_miss(const struct branch *b)
{
	const struct ctx *c = b->ctx;
	if (c->is_invite && b->aor.n && !c->is_final_sent && c->prx->on_miss)
		c->prx->on_miss(c->prx->ctx, c->rx->msg, b->final ? b->final->msg : NULL, b->aor);
}

void prx_tell_deaf(const struct branch *b, const struct sip_msg *refusal)
{
	struct prx *p = b->ctx->prx;
	if (b->trunk && p->on_deaf && !b->is_given_up)
		p->on_deaf(p->ctx, b->trunk, b->host, refusal);
}

/* Of a refusal of ours the way is left out where there is no room for it. */
void prx_refuse(struct ctx *c, enum code code)
{
	struct block_cache *blocks = c->prx->blocks;
	struct buf way;
	size_t room = 0;
	char *mem = c->hist ? block_get(blocks, hist_size(c->hist), &room) : NULL;
	buf_init_fixed(&way, mem, room);
	if (mem)
		hist_put_response(c->hist, NULL, &way);
	tell_answer(c, NULL, code_info(code)->status, STR_NONE);
	c->is_final_sent = true;
	code_refuse(c->prx->tsx, c->st, code, way.err ? STR_NONE : buf_view(&way));
	block_put(blocks, mem);
}

/* The response with all of the way that is known, which stands in `mem` behind it. */
static enum err put_back(const struct ctx *c, const struct sip_msg *m, struct tp_rx *const *more,
			 size_t n_more, struct buf *way, struct buf *out)
{
	struct fwd_history h = {.is_whole = true};
	if (!c->hist && !(c->has_history && sip_has(m, SIP_HDR_HISTORY_INFO)))
		return fwd_response(m, more, n_more, c->prx->realm, NULL, out);
	if (c->hist) {
		h.is_outside = hist_hides_from_sender(c->hist);
		hist_put_response(c->hist, m, way);
	}
	h.lines = buf_view(way);
	return way->err ? way->err : fwd_response(m, more, n_more, c->prx->realm, &h, out);
}

void prx_send_back(struct ctx *c, const struct branch *b, struct tp_rx *resp,
		   struct tp_rx *const *more, size_t n_more)
{
	struct prx *p = c->prx;
	const struct sip_msg *m = resp->msg;
	tell_answer(c, m, m->status, b ? b->aor : STR_NONE);
	size_t room, n_way = c->hist ? hist_size(c->hist) : 0;
	char *mem = block_get(p->blocks, m->n_bytes + 4096 + 2 * n_way, &room);
	if (!mem)
		return;
	struct buf out, way;
	buf_init_fixed(&way, mem, n_way);
	buf_init_fixed(&out, mem + n_way, room - n_way);
	if (put_back(c, m, more, n_more, &way, &out) == OK) {
		/* ERR_STATE: the transaction has ended meanwhile, nobody waits for it any more */
		enum err e = tsx_respond(p->tsx, c->st, m->status, buf_view(&out));
		if (m->status >= 200 && (e == OK || e == ERR_STATE))
			c->is_final_sent = true;
	}
	block_put(p->blocks, mem);
}

/* What the branches have come to. */
struct result {
	struct tp_rx *best, *auth[8];
	size_t n_auth;
	bool is_timeout, is_given_up, is_bad;
};

static void gather(const struct ctx *c, struct result *r)
{
	*r = (struct result){0};
	for (const struct branch *b = c->branches; b; b = b->next) {
		r->is_timeout |= b->is_timeout;
		r->is_given_up |= b->is_given_up;
		r->is_bad |= b->is_bad;
		if (!b->final)
			continue;
		unsigned s = b->final->msg->status;
		if ((s == 401 || s == 407) && r->n_auth < ARRAY_LEN(r->auth))
			r->auth[r->n_auth++] = b->final;
		if (!r->best || steps_rank(s) < steps_rank(r->best->msg->status))
			r->best = b->final;
	}
}

/* Branches without a response count as 408 (time-out) or 503 (unreachable) [RFC3261 16.7, 16.9];
 * a 503 is about the next hop and not about us: 500 [RFC3261 16.7 step 6]. */
void prx_answer_best(struct ctx *c)
{
	struct result r;
	gather(c, &r);
	unsigned status = r.best ? r.best->msg->status : 0;
	if (c->is_cancelled && status != 487) {
		prx_refuse(c, CODE_CANCELLED);
	} else if (!c->is_cancelled && r.is_timeout && c->is_invite &&
		   (!r.best || steps_rank(status) > steps_rank(408))) {
		prx_refuse(c, r.is_given_up ? CODE_NO_ANSWER : CODE_NEXT_HOP_TIMEOUT);
	} else if (status == 503) {
		prx_refuse(c, CODE_NEXT_HOP_OVERLOADED);
	} else if (r.best) {
		bool is_auth = status == 401 || status == 407;
		prx_send_back(c, NULL, r.best, r.auth, is_auth ? r.n_auth : 0);
		if (!c->is_final_sent)
			prx_refuse(c, CODE_NO_MEMORY);
	} else if (r.is_timeout) { /* [RFC4320 4.2] */
		c->is_final_sent = true;
		tell_answer(c, NULL, 0, STR_NONE);
		tsx_drop(c->prx->tsx, c->st);
	} else {
		prx_refuse(c, c->is_overloaded ? CODE_OVERLOAD
			      : c->is_insecure ? (c->is_sips ? CODE_NO_SECURE_HOP : CODE_SIPS_ONLY)
			      : r.is_bad       ? CODE_NEXT_HOP_BROKEN
					       : CODE_NEXT_HOP_UNREACHABLE);
	}
}
