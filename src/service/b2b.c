/* The back-to-back user agent: calls and their legs, and what becomes of what sessions tell.
 *
 *     caller ──ses── leg ┐            ┌ leg ──ses── callee
 *                        ├── b2b_call ┤ leg ──ses── another one that rings
 *
 * A leg is one session (dialog/session) and what the call wants with it. side[0] and side[1] are
 * the two that talk, or that are meant to: the caller from the first INVITE on, the callee once he
 * has answered; a transfer changes one of them. What a session tells goes by the state of its leg:
 *
 *     WAITING, SPARE  no session yet             TRYING  setting up (b2b_setup.c)
 *     UP       talking (b2b_change.c)            OVER    being ended; only its end counts
 *
 * Invariants:
 * 1. A leg lives until its session has told ENDED, a call until no leg has a session. Both go in
 *    b2b_call_reap, the last thing that an entry from the loop does.
 * 2. Sessions never call back from inside a call of ours, but for questions: no state changes
 * there.
 * 3. Whoever is in side[] and is not OVER has a session.
 * 4. Whatever ends one of the two that talk ends the other, unless a transfer or a farewell keeps
 *    it.
 *
 * Ownership: calls and legs come from pools; a leg owns its session's context, its place and texts.
 * [RFC3261 13, 14, 15] [RFC7092] */
#include "service/b2b_priv.h"

#include <stdlib.h>

#define SESSION_S 1800 /* [RFC4028 4] */

/* --- life ------------------------------------------------------------------------------------- */

enum err b2b_new(struct ev_loop *loop, struct tp *tp, struct tsx_mgr *tsx, struct dlg_mgr *dlg,
		 const struct b2b_config *cfg, struct b2b **out)
{
	struct b2b *b = calloc(1, sizeof(*b));
	if (!b)
		return ERR_NOMEM;
	*b = (struct b2b){.loop = loop, .tp = tp, .tsx = tsx, .dlg = dlg, .cfg = *cfg};
	if (!b->cfg.session_s)
		b->cfg.session_s = SESSION_S;
	uint32_t max = cfg->max_calls ? cfg->max_calls : LIMIT_B2B_CALLS;
	uint8_t shard = (uint8_t)loop->shard;
	pool_init(&b->calls, sizeof(struct b2b_call), max, B2B_KIND_CALL, shard);
	pool_init(&b->legs, sizeof(struct b2b_leg), max * 4, B2B_KIND_LEG, shard);
	struct buf *bufs[] = {&b->sdp, &b->lines, &b->text};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_init(bufs[i]);
	b2b_replaces_init(b);
	b2b_far_init(b);
	*out = b;
	return OK;
}

struct b2b_leg *b2b_leg_new(struct b2b_call *c)
{
	struct b2b_leg *l = pool_get(&c->b->legs);
	if (!l)
		return NULL;
	l->call = c;
	struct b2b_leg **at = &c->legs;
	while (*at)
		at = &(*at)->next;
	*at = l;
	return l;
}

void b2b_forget_body(struct b2b_leg *l)
{
	free(l->body);
	l->body = NULL;
}

void b2b_forget_place(struct b2b_leg *l)
{
	tp_rx_unref(l->call->b->tp, b2b_final(l));
	free(l->place);
	l->place = NULL;
}

void b2b_leg_free(struct b2b_leg *l)
{
	struct b2b_call *c = l->call;
	struct b2b *b = c->b;
	for (struct b2b_leg **at = &c->legs; *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	for (int i = 0; i < 2; i++)
		if (c->side[i] == l)
			c->side[i] = NULL;
	if (c->transferor == l)
		c->transferor = NULL;
	if (c->first == l)
		(void)b2b_meet_stop(c, 200);
	b2b_leave(l);
	b2b_far_free(l);
	b2b_forget_place(l);
	b2b_forget_body(l);
	free(l->origin.line);
	free(l->talk.aor);
	pool_put(&b->legs, l);
}

void b2b_forget_way(struct b2b_call *c)
{
	hist_free(c->b->cfg.blocks, c->hist);
	tp_rx_unref(c->b->tp, c->invite);
	c->hist = NULL;
	c->invite = NULL;
}

static void call_free(struct b2b_call *c)
{
	struct b2b *b = c->b;
	while (c->legs)
		b2b_leg_free(c->legs);
	b2b_own_end(c);
	tp_rx_unref(b->tp, c->refer);
	ev_timer_stop(b->loop, &c->timer);
	free(c->steps);
	free(c->promise);
	b2b_forget_way(c);
	pool_put(&b->calls, c);
}

void b2b_call_reap(struct b2b_call *c)
{
	bool is_alive = c->is_busy;
	struct b2b_leg *next;
	for (struct b2b_leg *l = c->legs; l; l = next) {
		next = l->next;
		is_alive |= b2b_leg_has_session(l);
		/* refusals are kept until the best of them is known */
		if (!b2b_leg_has_session(l) && l->state == LEG_OVER &&
		    (c->is_closed || l->is_transfer))
			b2b_leg_free(l);
	}
	if (!is_alive)
		call_free(c);
}

void b2b_free(struct b2b *b)
{
	if (!b)
		return;
	uint32_t at = 0;
	for (struct b2b_call *c; (c = pool_next(&b->calls, &at));) {
		for (struct b2b_leg *l = c->legs; l; l = l->next)
			if (l->ses)
				ses_drop(l->ses);
		call_free(c);
	}
	pool_fini(&b->calls);
	pool_fini(&b->legs);
	struct buf *bufs[] = {&b->sdp, &b->lines, &b->text};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_fini(bufs[i]);
	free(b);
}

void b2b_stats(const struct b2b *b, struct b2b_stats *out)
{
	*out = b->stats;
	out->live = b->calls.n_used;
}

struct b2b_leg *b2b_other(const struct b2b_leg *l)
{
	const struct b2b_call *c = l->call;
	struct b2b_leg *o = c->side[0] == l ? c->side[1] : c->side[1] == l ? c->side[0] : NULL;
	return o && o->state == LEG_UP ? o : NULL;
}

void b2b_leave(struct b2b_leg *l)
{
	const struct b2b_config *cfg = &l->call->b->cfg;
	if (l->has_seat)
		cfg->leave(cfg->ctx, l->trunk);
	l->has_seat = false;
}

static struct sign sign_of(struct b2b_leg *l, enum sign_kind kind, const struct sip_msg *m,
			   unsigned status)
{
	const struct dlg *d = ses_dialog(l->ses);
	struct str local = d ? dlg_local(d) : STR_NONE, remote = d ? dlg_remote(d) : STR_NONE;
	struct str ours = ses_local_tag(l->ses);
	struct str theirs = m ? m->to_tag : d ? dlg_remote_tag(d) : STR_NONE;
	return (struct sign){.kind = kind,
			     .call_id = ses_call_id(l->ses),
			     .caller_tag = l->is_caller ? theirs : ours,
			     .callee_tag = l->is_caller ? ours : theirs,
			     .status = status,
			     .from = l->is_caller ? remote : local,
			     .to = l->is_caller ? local : remote,
			     .talk = &l->talk};
}

void b2b_sign(struct b2b_leg *l, enum sign_kind kind, const struct sip_msg *m, unsigned status)
{
	const struct b2b_config *cfg = &l->call->b->cfg;
	if (!l->is_told)
		return;
	struct sign s = sign_of(l, kind, m, status);
	cfg->on_sign(cfg->ctx, &s);
	if (kind == SIGN_ENDED)
		l->is_told = false;
}

void b2b_gather(struct b2b *b, struct str aor)
{
	uint32_t at = 0;
	for (struct b2b_leg *l; (l = pool_next(&b->legs, &at));) {
		if (!l->is_told || !l->talk.call)
			continue;
		struct sign s = sign_of(l, SIGN_TALKS, NULL, 0);
		s.caller_aor = aor;
		b->cfg.on_sign(b->cfg.ctx, &s);
	}
}

void b2b_name(struct b2b_leg *to, const struct b2b_leg *from, const struct sip_msg *m)
{
	char uuid[SIP_UUID];
	if (to && b2b_leg_has_session(to) && from && b2b_leg_has_session(from))
		b2b_leg_set_uuid(to, b2b_leg_uuid(from, m, uuid));
}

void b2b_introduce(struct b2b_call *c)
{
	if (c->own) /* then it is the exchange whom he talks with */
		return;
	b2b_name(c->side[0], c->side[1], NULL);
	b2b_name(c->side[1], c->side[0], NULL);
}

void b2b_hangup(struct b2b_leg *l, struct str reason)
{
	if (l->state == LEG_OVER)
		return;
	l->state = LEG_OVER;
	b2b_leg_hangup(l, reason);
}

static bool is_talking(const struct b2b_call *c)
{
	return c->side[0] && c->side[1] && c->side[0]->state == LEG_UP &&
	       c->side[1]->state == LEG_UP;
}

void b2b_stop(struct b2b *b, bool is_all)
{
	static const struct str reason = STR_INIT("SIP;cause=503;text=\"The exchange stops\"");
	uint32_t at = 0;
	for (struct b2b_call *c; (c = pool_next(&b->calls, &at));) {
		if (!is_all && !is_talking(c))
			continue;
		b2b_give_up(c, reason);
		b2b_call_reap(c);
	}
}

/* --- questions of sessions -------------------------------------------------------------------- */

static enum err say_sdp(const struct b2b_leg *l, struct buf *out)
{
	if (!l->body)
		return ERR_STATE;
	buf_str(out, b2b_body(l));
	return out->err;
}

static enum err make_offer(void *ctx, struct ses *s, struct buf *out)
{
	const struct b2b_leg *l = ctx;
	return l->is_saying ? say_sdp(l, out) : l->state == LEG_OVER ? ERR_STATE : ERR_MORE;
}

static unsigned answer_offer(void *ctx, struct ses *s, struct str offer, struct buf *out)
{
	const struct b2b_leg *l = ctx;
	if (!l->is_saying)
		return l->state == LEG_OVER ? 480 : SES_LATER;
	return say_sdp(l, out) == OK ? 200 : 500;
}

static bool on_answer(void *ctx, struct ses *s, struct str answer, bool is_early)
{
	return true; /* the other side judges it */
}

static unsigned on_request(void *ctx, struct ses *s, struct tp_rx *rx, struct buf *lines)
{
	struct b2b_leg *l = ctx;
	if (rx->msg->method == SIP_REFER)
		return b2b_ask_refer(l, rx, lines);
	return l->state == LEG_OVER ? b2b_put_busy(l->call->b, lines) : SES_LATER;
}

/* --- what sessions tell ----------------------------------------------------------------------- */

/* The ACK of the caller, or the 2xx of a callee. */
static void on_confirmed(struct b2b_leg *l, const struct ses_event *ev)
{
	if (!l->is_caller) {
		if (l->state == LEG_TRYING)
			b2b_on_answered(l, ev);
		return;
	}
	l->state = LEG_UP;
	if (ses_needs_sdp(l->ses))
		ses_keep_sdp(l->ses, b2b_body(l));
	b2b_forget_body(l);
	b2b_on_answer(l, ev);
	if (l->call->is_meeting_due)
		b2b_meet(l->call, l);
	l->call->is_meeting_due = false;
}

/* The one who was to be transferred is gone: who else there is goes, too. */
static void abandon(struct b2b_call *c, const struct b2b_leg *but, struct str reason)
{
	b2b_close(c, but, reason);
	if (c->transferor && c->transferor != but)
		b2b_hangup(c->transferor, reason);
}

/* The other party's reason goes on with the end that it causes. */
static void on_left(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_call *c = l->call;
	struct str reason = b2b_reason(c->b, ev->rx->msg);
	bool was_up = l->state == LEG_UP;
	if (c->transferor == l) { /* he is out; the transfer goes on without him */
		l->state = LEG_OVER;
		c->transferor = NULL;
		if (c->side[0] == l || c->side[1] == l)
			c->side[c->side[1] == l] = NULL;
		return;
	}
	if (l->is_caller && !was_up) {
		l->state = LEG_OVER;
		c->is_closed = true;
		if (!c->is_promised) /* else what rings rings on */
			b2b_close(c, NULL, reason);
		return;
	}
	struct b2b_leg *o = c->side[0] == l ? c->side[1] : c->side[1] == l ? c->side[0] : NULL;
	l->state = LEG_OVER;
	if (c->is_transferring) /* the one who was to be transferred */
		abandon(c, o, reason);
	if (!o || o->state == LEG_OVER)
		return;
	if (c->is_farewell && was_up && !l->is_caller && o->state == LEG_UP &&
	    b2b_own_start(c, o, B2B_OWN_FAREWELL))
		return;
	b2b_hangup(o, reason);
}

/* What a failure of ours means to the one who waits for an answer. */
static unsigned status_of(const struct ses_end *end)
{
	switch (end->cause) {
	case SES_CAUSE_NO_RESPONSE:
		return 408;
	case SES_CAUSE_UNREACHABLE:
		return 503;
	default:
		return end->status >= 300 ? end->status : 500;
	}
}

/* The peer knows the call no more, or does not answer: a change that the other side waits for fails
 * as it has failed here, and then his call ends, too. */
static void end_other(struct b2b_leg *o, const struct ses_end *end)
{
	char mem[80];
	struct buf reason;
	if (end->cause != SES_CAUSE_GONE) {
		b2b_hangup(o, STR_NONE);
		return;
	}
	unsigned status = end->status >= 300 ? end->status : 408;
	b2b_leg_settle(o, status, STR_NONE);
	buf_init_fixed(&reason, mem, sizeof(mem));
	buf_fmt(&reason, "SIP;cause=%u;text=\"The other side is gone\"", status);
	b2b_hangup(o, buf_view(&reason));
}

/* A callee who rings no more, and did not answer: the next one, or the best refusal goes back. */
static void on_failed(struct b2b_leg *l, unsigned status)
{
	struct b2b_call *c = l->call;
	if (!l->status)
		l->status = (uint16_t)status;
	hist_hear(c->hist, b2b_row(l), NULL, l->is_given_up ? 408 : l->status);
	if (l->is_transfer)
		b2b_transfer_failed(c, l->status);
	else if (!b2b_start_spare(l))
		b2b_settle(c);
}

/* Nobody waits for the end of our BYE. */
static void on_unusable(struct b2b_leg *l)
{
	if (l->state != LEG_TRYING || l->is_caller)
		return;
	l->is_heard = true;
	l->state = LEG_OVER;
	on_failed(l, 500);
}

static void on_ended(struct b2b_leg *l, const struct ses_end *end)
{
	struct b2b_call *c = l->call;
	uint8_t was = l->state;
	b2b_sign(l, SIGN_ENDED, NULL, end->status);
	b2b_leave(l);
	l->ses = NULL;
	l->state = LEG_OVER;
	bool is_transferor = c->transferor == l;
	if (is_transferor)
		c->transferor = NULL;
	b2b_own_left(l);
	if (was == LEG_TRYING && !l->is_caller) {
		if (!l->is_heard &&
		    (end->cause == SES_CAUSE_NO_RESPONSE || end->cause == SES_CAUSE_UNREACHABLE))
			b2b_tell_deaf(l, NULL);
		on_failed(l, status_of(end));
	} else if (c->side[0] == l || c->side[1] == l) {
		struct b2b_leg *o = c->side[0] == l ? c->side[1] : c->side[0];
		if (was == LEG_TRYING)
			b2b_close(c, NULL, STR_NONE);
		else if (was == LEG_UP && c->is_transferring && !is_transferor)
			abandon(c, o, STR_NONE);
		if (was != LEG_OVER && o && !is_transferor)
			end_other(o, end);
		c->side[c->side[1] == l] = NULL;
	}
}

static void take(struct b2b_leg *l, const struct ses_event *ev)
{
	switch (ev->kind) {
	case SES_EV_PROGRESS:
		b2b_on_progress(l, ev);
		break;
	case SES_EV_CONFIRMED:
		on_confirmed(l, ev);
		break;
	case SES_EV_RENEGOTIATED:
	case SES_EV_MODIFY_FAILED:
		b2b_on_answer(l, ev);
		break;
	case SES_EV_OFFER:
		b2b_on_offer(l, ev);
		break;
	case SES_EV_REQUEST:
		b2b_on_request(l, ev);
		break;
	case SES_EV_RESPONSE:
		b2b_on_response(l, ev);
		break;
	case SES_EV_REFER:
		b2b_on_refer(l, ev);
		break;
	case SES_EV_REFUSED:
		b2b_on_refused(l, ev);
		break;
	case SES_EV_LEFT:
		on_left(l, ev);
		break;
	case SES_EV_UNUSABLE:
		on_unusable(l);
		break;
	case SES_EV_EARLY_MEDIA: /* PROGRESS has said it */
	case SES_EV_INFO:
	case SES_EV_REFERRED:
	case SES_EV_ENDED:
		break;
	}
}

void b2b_leg_event(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_call *c = l->call, *home;
	b2b_introduce(c);
	if (b2b_far_tell(l, ev))
		return;
	if (ev->kind == SES_EV_ENDED || ev->kind == SES_EV_LEFT)
		b2b_splice_left(l);
	home = l->call; /* it may have been lent, and is not any more */
	if (ev->kind == SES_EV_ENDED)
		on_ended(l, &ev->end);
	else if (l->state != LEG_OVER || ev->kind == SES_EV_REFUSED)
		take(l, ev);
	if (home != c)
		b2b_call_reap(home);
	b2b_call_reap(c);
}

static void on_event(void *ctx, struct ses *s, const struct ses_event *ev)
{
	b2b_leg_event(ctx, ev);
}

const struct ses_user b2b_user = {.make_offer = make_offer,
				  .answer_offer = answer_offer,
				  .on_answer = on_answer,
				  .on_event = on_event,
				  .on_request = on_request};
