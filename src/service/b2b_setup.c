/* Setting up: from the caller's INVITE to the callee's answer, or to the best refusal.
 *
 * The targets ring as the proxy would let them: all of the highest q together, the next group when
 * those have refused or rung long enough; the first 2xx wins, the others are cancelled, a 6xx ends
 * all; then the best refusal goes back [RFC3261 16.7]. What rings is told to the caller, reliably
 * where both sides want that and one callee alone can answer [RFC3262]; early descriptions while
 * one callee alone is being tried, since the caller sees one dialog, in which two answers would
 * contradict each other.
 *
 * An INVITE without offer goes out without one; the callee's offer reaches the caller in his 200,
 * and his ACK has the answer.
 *
 * Loops: no Via shows them, since ours is the only one; Max-Forwards counts on and ends them.
 *
 * [RFC3261 13, 16.6, 16.7] [RFC3960] */
#include "service/b2b_priv.h"

#include <stdlib.h>
#include <string.h>

#define TIMER_C_US 190000000ull
#define SERIAL_US  30000000ull

static const struct str elsewhere = STR_INIT("SIP;cause=200;text=\"Call completed elsewhere\"");

static bool is_ringing(const struct b2b_call *c, const struct b2b_leg *l)
{
	return l->state == LEG_TRYING && !l->is_caller && !l->is_transfer;
}

static unsigned n_ringing(const struct b2b_call *c)
{
	unsigned n = 0;
	for (const struct b2b_leg *l = c->legs; l; l = l->next)
		n += is_ringing(c, l);
	return n;
}

static bool is_waiting(const struct b2b_call *c, const struct b2b_leg *l)
{
	return l->state == LEG_WAITING && l->step == steps_now(c->steps);
}

static bool has_waiting(const struct b2b_call *c)
{
	for (const struct b2b_leg *l = c->legs; l; l = l->next)
		if (is_waiting(c, l))
			return true;
	return false;
}

/* Who has said nothing at all, or nothing since his CANCEL, is not waited for: a late 2xx is ended
 * by the session. */
static void give_up(struct b2b_leg *l, bool is_patient)
{
	static const struct str why = STR_INIT("SIP;cause=408;text=\"No answer\"");
	l->is_given_up = l->is_heard;
	if (l->is_heard && is_patient) {
		ses_hangup(l->ses, why); /* its 487 settles the call */
		return;
	}
	if (!l->status)
		l->status = 408;
	hist_hear(l->call->hist, b2b_row(l), NULL, 408);
	b2b_hangup(l, why);
}

static void on_silence(struct tmr *t)
{
	struct b2b_call *c = CONTAINER_OF(t, struct b2b_call, timer);
	c->is_busy = true;
	for (struct b2b_leg *l = c->legs; l; l = l->next)
		if (is_ringing(c, l) && (!l->is_heard || l->is_given_up)) {
			if (!l->is_heard)
				b2b_tell_deaf(l, NULL);
			give_up(l, false);
		}
	c->is_busy = false;
	b2b_settle(c);
	b2b_call_reap(c);
}

/* The group, or the whole step, has rung long enough; or the call has (Timer C). */
static void on_timer(struct tmr *t)
{
	struct b2b_call *c = CONTAINER_OF(t, struct b2b_call, timer);
	bool is_over = steps_is_over(c->steps, ev_now_us(c->b->loop));
	c->has_rang_out = true;
	c->is_busy = true;
	for (struct b2b_leg *l = c->legs; l; l = l->next) {
		if (is_ringing(c, l)) {
			l->is_heard |= !is_over;
			give_up(l, true);
			if (is_ringing(c, l))
				ev_timer(c->b->loop, &c->timer, STEPS_SILENCE_US, on_silence);
		} else if (is_over && is_waiting(c, l)) {
			l->state = LEG_OVER;
			l->is_given_up = true;
		}
	}
	c->is_busy = false;
	b2b_settle(c);
	b2b_call_reap(c);
}

static void set_timer(struct b2b_call *c)
{
	struct ev_loop *l = c->b->loop;
	uint64_t us =
		steps_group_us(c->steps, has_waiting(c) ? SERIAL_US : 0, ev_now_us(c->b->loop));
	if (us || !steps_watches_silence(c->steps))
		ev_timer(l, &c->timer, us ? us : TIMER_C_US, on_timer);
	else
		ev_timer(l, &c->timer, STEPS_SILENCE_US, on_silence);
}

void b2b_start_group(struct b2b_call *c)
{
	int best = -1;
	for (struct b2b_leg *l = c->legs; l; l = l->next)
		if (is_waiting(c, l) && l->q > best)
			best = l->q;
	c->is_busy = true;
	for (struct b2b_leg *l = c->legs; l; l = l->next)
		if (is_waiting(c, l) && l->q == best) {
			b2b_start(l);
			if (l->state == LEG_OVER)
				(void)b2b_start_spare(l);
		}
	c->is_busy = false;
	set_timer(c);
	b2b_settle(c);
}

void b2b_close(struct b2b_call *c, const struct b2b_leg *but, struct str reason)
{
	c->is_closed = true;
	for (struct b2b_leg *l = c->legs; l; l = l->next)
		if (l != but && !l->is_caller)
			b2b_hangup(l, reason);
}

/* A caller who still waits is told that he may come again. */
void b2b_give_up(struct b2b_call *c, struct str reason)
{
	struct b2b_leg *a = c->side[0];
	struct buf *lines = &c->b->lines;
	c->is_closed = true;
	if (a && a->is_caller && a->state == LEG_TRYING) {
		buf_clear(lines);
		code_warning_put(lines, CODE_DRAINING);
		buf_str(lines, STR("Retry-After: 10\r\n"));
		if (ses_reject(a->ses, code_info(CODE_DRAINING)->status, STR_NONE,
			       lines->err ? STR_NONE : buf_view(lines)) == OK)
			a->state = LEG_OVER;
	}
	for (struct b2b_leg *l = c->legs; l; l = l->next)
		b2b_hangup(l, reason);
}

/* --- refusals --------------------------------------------------------------------------------- */

static const struct b2b_leg *best_of(const struct b2b_call *c)
{
	const struct b2b_leg *best = NULL;
	for (const struct b2b_leg *l = c->legs; l; l = l->next)
		if (!l->is_caller && l->status && !l->is_followed &&
		    (!best || steps_rank(l->status) < steps_rank(best->status)))
			best = l;
	return best;
}

/* What we have to say where no response came that could be passed on. */
static enum code code_of(const struct b2b_call *c, const struct b2b_leg *l)
{
	if (c->has_rang_out && (!l || l->status == 487))
		return CODE_NO_ANSWER;
	if (!l)
		return CODE_NEXT_HOP_UNREACHABLE;
	if (l->code)
		return (enum code)l->code;
	if (b2b_final(l))
		return l->status == 503 ? CODE_NEXT_HOP_OVERLOADED : CODE_NONE;
	if (l->status == 408)
		return CODE_NEXT_HOP_TIMEOUT;
	return l->status == 503 ? CODE_NEXT_HOP_UNREACHABLE : CODE_B2B_FAILED;
}

/* Of one alone that has answered; several answers in one are nobody's [RFC7989 7]. */
static void name_refuser(const struct b2b_call *c)
{
	unsigned n = 0;
	for (const struct b2b_leg *k = c->legs; k; k = k->next)
		n += b2b_final(k) != NULL;
	if (n > 1)
		ses_set_uuid(c->side[0]->ses, STR_NONE);
}

/* To the caller, from l; NULL: from us. */
static struct b2b_way way_back(const struct b2b_call *c, const struct b2b_leg *l)
{
	return (struct b2b_way){.headers = l ? b2b_headers_of(c, l) : NULL,
				.realm = c->b->cfg.realm,
				.is_next_trusted = c->is_trusted,
				.hist = c->hist,
				.has_history = c->has_history,
				.is_outside = c->hist && hist_hides_from_sender(c->hist)};
}

static void reject(struct b2b_call *c, const struct b2b_leg *l)
{
	struct b2b *b = c->b;
	struct b2b_leg *a = c->side[0];
	enum code code = code_of(c, l);
	struct buf *lines = &b->lines;
	unsigned status = code ? code_info(code)->status : l->status;
	struct str reason = code ? STR_NONE : b2b_final(l)->msg->reason;
	struct b2b_way way = way_back(c, l);
	way.is_next_trusted = false;
	buf_clear(lines);
	if (code)
		code_warning_put(lines, code);
	if (code && c->hist)
		hist_put_response(c->hist, NULL, lines);
	if (!code)
		b2b_put_response(lines, b2b_final(l)->msg, &way);
	a->state = LEG_OVER;
	c->is_closed = true;
	if (lines->err != OK)
		buf_clear(lines);
	name_refuser(c);
	if (ses_reject(a->ses, status, reason, buf_view(lines)) != OK)
		ses_hangup(a->ses, STR_NONE);
	b2b_promise_break(c, status);
}

static bool next_step(struct b2b_call *c)
{
	enum prx_on on = PRX_ON_OFFLINE;
	if (!c->steps)
		return false;
	for (const struct b2b_leg *l = c->legs; l; l = l->next)
		if (!l->is_caller && l->step == c->steps->now && !l->is_followed &&
		    l->state == LEG_OVER)
			on = steps_outcome(
				on, steps_ended_by(b2b_final(l) ? l->status : 0, l->is_given_up));
	return steps_go_on(c->steps, on, ev_now_us(c->b->loop));
}

/* A 6xx ends its step: all that rings or waits in it. */
static void end_step(struct b2b_call *c, unsigned status)
{
	char mem[80];
	struct buf reason;
	buf_init_fixed(&reason, mem, sizeof(mem));
	buf_fmt(&reason, "SIP;cause=%u;text=\"Declined elsewhere\"", status); /* [RFC3326 2] */
	c->is_busy = true;
	for (struct b2b_leg *l = c->legs; l; l = l->next)
		if (!l->is_caller && l->step == steps_now(c->steps))
			b2b_hangup(l, buf_view(&reason));
	c->is_busy = false;
}

void b2b_settle(struct b2b_call *c)
{
	struct b2b_leg *a = c->side[0];
	const struct b2b_leg *best = best_of(c);
	if (c->promise && c->is_closed && !n_ringing(c)) /* the caller has left */
		b2b_promise_break(c, best ? best->status : 480);
	if (c->is_busy || !a || a->state != LEG_TRYING || c->is_closed)
		return;
	if (best && best->status >= 600 && best->step == steps_now(c->steps))
		end_step(c, best->status);
	if (n_ringing(c))
		return;
	if (has_waiting(c) || next_step(c))
		b2b_start_group(c);
	else
		reject(c, best);
}

/* --- what the callee says --------------------------------------------------------------------- */

static struct str response_lines(struct b2b_leg *l, const struct sip_msg *m)
{
	struct b2b_call *c = l->call;
	struct b2b_way way = way_back(c, l);
	buf_clear(&c->b->lines);
	b2b_put_response(&c->b->lines, m, &way);
	return buf_view(&c->b->lines);
}

static bool was_tried(void *ctx, const struct sip_uri *u)
{
	const struct b2b_call *c = ctx;
	struct sip_uri tried;
	if (sip_uri_parse(ses_invite(c->side[0]->ses)->msg->ruri, &tried) == OK &&
	    sip_uri_eq(u, &tried))
		return true;
	for (const struct b2b_leg *l = c->legs; l; l = l->next)
		if (l->place && l->place->ruri.n && sip_uri_parse(l->place->ruri, &tried) == OK &&
		    sip_uri_eq(u, &tried))
			return true;
	return false;
}

static bool add(void *ctx, const struct prx_target *t)
{
	struct b2b_leg *l;
	return b2b_add_leg(ctx, t, STR_NONE, &l) == OK;
}

/* The Contacts of a 3xx as further legs of the same step. */
static bool follow(struct b2b_leg *l, const struct sip_msg *m)
{
	struct b2b_call *c = l->call;
	struct sip_uri asked = {0};
	struct steps_follower f = {.expand = c->b->cfg.expand,
				   .expand_ctx = c->b->cfg.ctx,
				   .was_tried = was_tried,
				   .add = add,
				   .ctx = c,
				   .hist = c->hist,
				   .from = b2b_row(l),
				   .has_rung = l->has_rung,
				   .asked = &asked,
				   .step = l->step,
				   .is_sips = c->is_sips};
	if (!c->follows || c->is_closed || l->is_transfer || l->trunk || !c->side[0] ||
	    c->side[0]->state != LEG_TRYING || b2b_is_bound(c) || !l->place ||
	    sip_uri_parse(ses_invite(c->side[0]->ses)->msg->ruri, &asked) != OK)
		return false;
	f.ruri = l->place->ruri;
	f.aor = l->place->aor;
	f.diversion = l->place->headers.diversion;
	for (const struct b2b_leg *k = c->legs; k; k = k->next)
		f.n += !k->is_caller;
	return steps_follow(&f, m);
}

void b2b_on_refused(struct b2b_leg *l, const struct ses_event *ev)
{
	bool is_auth = ev->status == 401 || ev->status == 407;
	l->is_heard = true;
	l->status = (uint16_t)ev->status;
	if (!l->place || l->place->final)
		return;
	l->place->final = tp_rx_ref(ev->rx);
	b2b_name(l->call->side[0], l, ev->rx->msg);
	hist_hear(l->call->hist, b2b_row(l), ev->rx->msg,
		  l->is_given_up && ev->status == 487 ? 408 : ev->status);
	l->is_followed = follow(l, ev->rx->msg);
	if (ev->status == 503)
		b2b_tell_deaf(l, ev->rx->msg);
	if (l->trunk && is_auth) { /* ours to answer, not the caller's */
		l->status = 503;
		l->code = CODE_TRUNK_AUTH;
	}
}

void b2b_on_progress(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_call *c = l->call;
	struct b2b_leg *a = c->side[0];
	struct str sdp;
	l->is_heard = true;
	l->has_rung |= ev->status == 180;
	if (ev->status == 100 || l->state != LEG_TRYING)
		return;
	b2b_sign(l, SIGN_EARLY, ev->rx->msg, ev->status);
	hist_hear(c->hist, b2b_row(l), ev->rx->msg, ev->status);
	if (l->is_transfer) {
		b2b_transfer_progress(c, ev->status);
		return;
	}
	if (!a || a->state != LEG_TRYING)
		return;
	if (!has_waiting(c) && !(c->steps && c->steps->end_us)) /* [RFC3261 16.7 step 2] */
		ev_timer(c->b->loop, &c->timer, TIMER_C_US, on_timer);
	bool has_sdp = ses_sdp(ev->rx, &sdp) && n_ringing(c) == 1;
	bool is_reliable = sip_has_token(ev->rx->msg, SIP_HDR_REQUIRE, STR("100rel"));
	b2b_name(a, l, ev->rx->msg);
	if (has_sdp) {
		ses_forget_sdp(a->ses);
		has_sdp = b2b_set_body(a, ev->rx->msg) == OK;
	}
	struct str lines = response_lines(l, ev->rx->msg);
	a->is_saying = true;
	enum err e = ERR_UNSUPPORTED;
	if (is_reliable)
		e = ses_ring_reliably(a->ses, ev->status, has_sdp, lines);
	if (e == ERR_UNSUPPORTED)
		e = ses_ring_with(a->ses, ev->status, has_sdp, lines);
	a->is_saying = false;
	b2b_sign(a, SIGN_EARLY, NULL, ev->status);
	(void)e; /* an answer waits for its PRACK already, or the session ends by itself */
}

/* The caller hears of it only if he is needed after all. */
static void keep_promise(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_call *c = l->call;
	struct b2b_leg *a = c->side[0];
	c->side[1] = l;
	b2b_introduce(c);
	ev_timer_stop(c->b->loop, &c->timer);
	b2b_close(c, l, elsewhere);
	if (a && a->state == LEG_TRYING) {
		ses_forget_sdp(a->ses);
		(void)!b2b_set_body(a, ev->rx->msg);
	}
	b2b_promise_keep(l);
}

/* With what is in his `sdp`; e: whether that could be made. */
static void answer_caller(struct b2b_leg *a, enum err e, struct str lines)
{
	struct b2b_call *c = a->call;
	c->b->stats.n_calls++;
	a->is_saying = true;
	if (e == OK)
		e = ses_answer_with(a->ses, lines);
	a->is_saying = false;
	b2b_sign(a, SIGN_CONFIRMED, NULL, 200);
	free(c->steps);
	c->steps = NULL;
	b2b_forget_way(c);
	if (e != OK) {
		b2b_hangup(c->side[1], STR_NONE);
		b2b_hangup(a, STR_NONE);
	}
}

void b2b_answer_caller(struct b2b_leg *a)
{
	answer_caller(a, OK, STR_NONE);
}

void b2b_on_answered(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_call *c = l->call;
	struct b2b_leg *a = c->side[0];
	struct str sdp;
	l->state = LEG_UP;
	b2b_sign(l, SIGN_CONFIRMED, ev->rx->msg, 200);
	hist_hear(c->hist, b2b_row(l), ev->rx->msg, 200);
	b2b_forget_place(l);
	if (ses_needs_sdp(l->ses) && l->body)
		ses_keep_sdp(l->ses, b2b_body(l));
	b2b_forget_body(l);
	if (l->is_transfer) {
		b2b_transfer_answered(l, ev);
		return;
	}
	if (c->promise) {
		keep_promise(l, ev);
		return;
	}
	if (!a || a->state != LEG_TRYING || c->side[1]) {
		b2b_hangup(l, elsewhere);
		return;
	}
	c->side[1] = l;
	b2b_introduce(c);
	ev_timer_stop(c->b->loop, &c->timer);
	b2b_close(c, l, elsewhere);
	enum err e = OK;
	if (ses_sdp(ev->rx, &sdp)) {
		ses_forget_sdp(a->ses);
		e = b2b_set_body(a, ev->rx->msg);
	}
	answer_caller(a, e, response_lines(l, ev->rx->msg));
}

/* --- the caller's INVITE ---------------------------------------------------------------------- */

static struct b2b_call *call_new(struct b2b *b, struct tp_rx *rx, const struct b2b_request *req)
{
	struct b2b_call *c = pool_get(&b->calls);
	if (!c)
		return NULL;
	c->b = b;
	if (req->n_steps)
		c->steps = malloc(steps_size(req->steps, req->n_steps));
	if (req->n_steps && !c->steps) {
		pool_put(&b->calls, c);
		return NULL;
	}
	if (c->steps)
		steps_copy(c->steps, req->steps, req->n_steps, ev_now_us(b->loop));
	if (hist_open(b->cfg.blocks, rx->msg, &req->history, &c->hist, &c->has_history) != OK) {
		free(c->steps);
		pool_put(&b->calls, c);
		return NULL;
	}
	c->invite = c->hist ? tp_rx_ref(rx) : NULL;
	c->is_trusted = req->is_trusted;
	c->is_farewell = req->is_farewell;
	c->follows = req->follows && b->cfg.expand;
	return c;
}

/* Another flow of a phone stands in for the one before it; without that memory fewer ring. */
static void add_targets(struct b2b_call *c, const struct b2b_request *req)
{
	struct b2b_leg *made[PRX_MAX_TARGETS] = {0};
	for (size_t i = 0; i < req->n_targets && i < PRX_MAX_TARGETS; i++) {
		const struct prx_target *t = &req->targets[i];
		struct b2b_leg *primary = t->backup_of ? made[t->backup_of - 1] : NULL;
		if (t->backup_of && !primary)
			continue;
		if (b2b_add_leg(c, t, STR_NONE, &made[i]) != OK)
			break;
		made[i]->place->primary = primary;
		if (primary)
			made[i]->state = LEG_SPARE;
	}
}

/* The caller's leg; false: the INVITE was refused. */
static bool take_caller(struct b2b_call *c, tsx_id st, struct tp_rx *rx,
			const struct b2b_request *req)
{
	struct b2b *b = c->b;
	struct sip_uri uri;
	struct b2b_leg *l = b2b_leg_new(c);
	if (!l) {
		code_refuse(b->tsx, st, CODE_OVERLOAD, STR_NONE);
		return false;
	}
	struct ses_accept acc = {.headers = STR("Supported: timer, 100rel, replaces\r\n"),
				 .session_s = b->cfg.session_s,
				 .is_between = true};
	if (sip_uri_parse(rx->msg->ruri, &uri) == OK)
		acc.contact_user = uri.user;
	c->is_sips = rt_is_sips(rx->msg->ruri);
	l->is_caller = true;
	l->state = LEG_TRYING;
	l->trunk = req->trunk;
	c->side[0] = l;
	enum code code = b2b_take_seat(l, NULL);
	if (code) {
		code_refuse(b->tsx, st, code, STR_NONE);
		return false;
	}
	if (ses_incoming(b->dlg, st, rx, &acc, &b2b_user, l, &l->ses) == OK) {
		b2b_tell_started(l, sip_value(rx->msg, SIP_HDR_FROM),
				 sip_value(rx->msg, SIP_HDR_TO), req->caller_aor, STR_NONE);
		return true;
	}
	l->ses = NULL;
	return false;
}

static enum code judge(const struct sip_msg *m, const struct b2b_request *req)
{
	if (m->has_max_forwards && m->max_forwards < 2)
		return CODE_HOPS;
	struct sip_replaces r;
	size_t n = sip_count(m, SIP_HDR_REPLACES); /* [RFC3891 3] */
	if (n > 1 || (n && sip_replaces_parse(sip_value(m, SIP_HDR_REPLACES), &r) != OK))
		return CODE_B2B_REPLACES;
	return b2b_lacks_privacy(m, req->history.mode != HIST_OFF) ? CODE_B2B_PRIVACY : CODE_NONE;
}

void b2b_on_invite(struct b2b *b, tsx_id st, struct tp_rx *rx, const struct b2b_request *req)
{
	const struct sip_msg *m = rx->msg;
	enum code code = judge(m, req);
	if (code != CODE_NONE) {
		code_refuse(b->tsx, st, code, STR_NONE);
		return;
	}
	struct b2b_call *c = call_new(b, rx, req);
	if (!c) {
		code_refuse(b->tsx, st, CODE_OVERLOAD, STR("Retry-After: 5\r\n"));
		return;
	}
	c->is_busy = true;
	if (take_caller(c, st, rx, req)) {
		add_targets(c, req);
		c->is_busy = false;
		if (!b2b_replaces_ask_invite(c, m))
			b2b_start_group(c);
	}
	c->is_busy = false;
	b2b_call_reap(c);
}
