/* A branch of the stateful proxy: one place where a request goes, from its name to its final
 * response.
 *
 * prx_start_group starts all waiting branches of the highest q: each is resolved, and a client
 * transaction tries its addresses one after the other; compose makes the bytes for each
 * (service/forward). What comes back goes to the caller at once (1xx, 2xx) or is kept; when a
 * branch has ended, prx_settle (proxy.c) decides how the request goes on. Words and invariants are
 * proxy.c's. [RFC3261 16.6, 16.7, 16.8] [RFC3263 4.3]
 */
#include "service/proxy_priv.h"

static void start_branch(struct branch *b);
static void try_next(struct branch *b);

void prx_cancel_pending(struct ctx *c, struct str reason)
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

static enum err compose_with(const struct branch *b, struct str via, const struct tp_dst *dst,
			     struct fwd_history history, struct buf *out)
{
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
	struct fwd_target t = {.ruri = b->ruri, .path = b->path, .history = history};
	t.headers = prx_step_headers(c, b);
	if (b->has_side)
		t.callee = (struct rt_side){.is_set = true, .dst = *dst};
	return fwd_compose(&plan, &t, via, dst, out);
}

/* The way of the request goes with it. */
static enum err compose(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out)
{
	struct branch *b = ctx;
	struct ctx *c = b->ctx;
	struct prx *p = c->prx;
	struct fwd_history h = {.is_outside = b->is_outside};
	if (!c->hist)
		return compose_with(b, via, dst, (struct fwd_history){0}, out);
	h.is_outside &= !p->is_trusted || !p->is_trusted(p->ctx, &dst->to);
	size_t room;
	char *mem = block_get(p->blocks, hist_size(c->hist), &room);
	if (!mem)
		return ERR_NOMEM;
	struct buf text;
	buf_init_fixed(&text, mem, room);
	hist_put_request(c->hist, b->row, h.is_outside, &text, &h.is_whole);
	h.lines = buf_view(&text);
	enum err e = text.err ? text.err : compose_with(b, via, dst, h, out);
	block_put(p->blocks, mem);
	return e;
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
	if (!b->final)
		hist_hear(b->ctx->hist, b->row, NULL, b->is_timeout ? 408 : 503);
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

/* The transaction stays attached for an INVITE: 2xx of other forks may follow. Whatever the caller
 * was told before, it goes back at once. [RFC3261 16.7 step 5] */
static void on_2xx(struct branch *b, struct tp_rx *rx)
{
	struct ctx *c = b->ctx;
	bool is_late = c->is_server_gone || (c->is_final_sent && !c->is_2xx_sent);
	if (!b->final)
		b->final = tp_rx_ref(rx);
	hist_hear(c->hist, b->row, rx->msg, rx->msg->status);
	if (is_late)
		prx_on_stray_response(c->prx, rx);
	else
		prx_send_back(c, b, rx, NULL, 0);
	if (c->is_2xx_sent && c->is_invite && !is_late)
		prx_note_repeat(c->prx, rx);
	c->is_2xx_sent |= !is_late;
	prx_cancel_pending(c, STR("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"));
	if (!c->is_invite)
		finish(b);
}

/* After a 6xx: it counts for all. [RFC3326 2] */
static void cancel_others(struct ctx *c, unsigned status)
{
	char mem[80];
	struct buf reason;
	buf_init_fixed(&reason, mem, sizeof(mem));
	buf_fmt(&reason, "Reason: SIP;cause=%u;text=\"Declined elsewhere\"\r\n", status);
	prx_cancel_pending(c, buf_view(&reason));
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
	hist_hear(c->hist, b->row, rx->msg, b->is_given_up && status == 487 ? 408 : status);
	if (status == 503)
		prx_tell_deaf(b, rx->msg);
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
		cancel_others(c, status);
	finish(b);
}

static void on_provisional(struct branch *b, struct tp_rx *rx)
{
	struct ctx *c = b->ctx;
	if (rx->msg->status == 100 || b->is_given_up)
		return;
	b->has_rung |= rx->msg->status == 180;
	if (c->is_invite) /* [RFC3261 16.7 step 2] */
		ev_timer(c->prx->loop, &b->timer_c, c->prx->timer_c_us, on_timer_c);
	hist_hear(c->hist, b->row, rx->msg, rx->msg->status);
	if (!c->is_final_sent && sip_count(rx->msg, SIP_HDR_VIA) > 1)
		prx_send_back(c, b, rx, NULL, 0);
}

/* A branch that nobody waits for says something after all: a 2xx counts. */
static void on_late_response(struct branch *b, struct tp_rx *rx)
{
	if (rx->msg->status / 100 != 2 || sip_count(rx->msg, SIP_HDR_VIA) < 2)
		return;
	b->state = CALLING;
	on_2xx(b, rx);
}

static void on_response(void *ctx, tsx_id ct, struct tp_rx *rx)
{
	struct branch *b = ctx;
	unsigned status = rx->msg->status;
	if (b->state == ABANDONED) {
		on_late_response(b, rx);
		return;
	}
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
	if (b->state == ABANDONED) {
		b->state = DONE;
		return;
	}
	ev_timer_stop(c->prx->loop, &b->timer_c);
	if (b->next_dst < b->dsts.n && may_go_on(b)) {
		try_next(b);
		return;
	}
	if (!b->final && start_spare(b))
		return;
	if (!b->final)
		b->is_timeout |= why == TSX_END_TIMEOUT;
	if (!b->final && !b->is_heard && (why == TSX_END_TIMEOUT || why == TSX_END_TRANSPORT))
		prx_tell_deaf(b, NULL);
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

/* A sips request goes over TLS or not at all, a sip one to a sips Contact too.
 * [RFC3261 16.6 step 7, 26.2.2] [RFC5630 5.3] */
static bool needs_tls(const struct branch *b)
{
	return b->ctx->is_sips || b->is_tls;
}

static bool is_too_open(struct branch *b, const struct tp_dst *dst)
{
	if (!needs_tls(b) || tp_is_secure(dst->proto))
		return false;
	b->ctx->is_insecure = true;
	return true;
}

/* Nor does a sips request become one for a sip URI, whatever that is reached over. */
static bool is_downgrade(const struct branch *b)
{
	return b->ctx->is_sips && b->ruri.n && !b->is_tls;
}

/* Starts a client transaction towards the next address that takes one. */
static void try_next(struct branch *b)
{
	struct ctx *c = b->ctx;
	struct prx *p = c->prx;
	while (b->next_dst < b->dsts.n) {
		const struct tp_dst *dst = &b->dsts.dst[b->next_dst++];
		if (is_too_open(b, dst))
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
	else if (e != ERR_LIMIT && e != ERR_NOMEM)
		prx_tell_deaf(b, NULL);
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
	if (sip_uri_parse(text, mem) != OK)
		return NULL;
	if (needs_tls(b))
		mem->scheme = SIP_URI_SIPS;
	return mem;
}

static void start_branch(struct branch *b)
{
	struct sip_uri mem;
	hist_start(b->ctx->hist, b->row);
	if (is_downgrade(b)) {
		b->ctx->is_insecure = true;
		b->dsts.n = 0;
	} else if (b->dsts.n == 0) {
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
	prx_watch_cancelled(c);
	prx_settle(c);
}

/* Starts all waiting branches of the highest q in the present step. */
void prx_start_group(struct ctx *c)
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
	uint64_t ring_us = c->is_invite ? prx_group_us(c, prx_has_waiting(c)) : 0;
	if (ring_us)
		ev_timer(c->prx->loop, &c->serial, ring_us, on_serial);
	else if (c->is_invite)
		prx_watch_silence(c);
	prx_settle(c);
}
