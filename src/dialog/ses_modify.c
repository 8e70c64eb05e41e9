/* Changes of a running session: re-INVITE from here, re-INVITE and UPDATE from there.
 *
 * One offer at a time [RFC3264 4]: while ours is out (in a re-INVITE, or in a 2xx whose ACK has not
 * come), an offer of the peer is refused with 491; when ours meets a 491 it is tried again after a
 * random time, longer for the side that made the Call-ID, so that the two do not meet again. A
 * refused change leaves the session as it was, unless the refusal says that the dialog is gone.
 *
 * A re-INVITE may come before the ACK of the INVITE (UDP reorders): it shows that our 2xx arrived,
 * and so stands for the ACK, unless that was to bring an answer. [RFC5407 3.1.4]
 *
 * [RFC3261 14] [RFC3311]
 */
#include "dialog/ses_priv.h"

/* --- ours ------------------------------------------------------------------------------------- */

static const struct uac_user modify_user;
static const struct uac_invite_user modify_hooks;

enum err ses_send_change(struct ses *s, enum ses_change kind, struct str sdp)
{
	bool is_update = kind == SES_UPDATE;
	struct dlg *d = s->d ? s->d : s->w->early_of;
	struct buf *b = &s->m->lines;
	if (!d)
		return ERR_STATE;
	buf_clear(b);
	ses_clock_put(s, b);
	struct dlg_request req = {.method = is_update ? STR("UPDATE") : STR("INVITE"),
				  .headers = buf_view(b),
				  .content_type = STR("application/sdp"),
				  .body = sdp};
	if (b->err != OK)
		return b->err;
	s->w->modify_kind = (uint8_t)kind;
	return dlg_send(d, &req, &modify_user, is_update ? NULL : &modify_hooks, s, &s->w->modify);
}

static enum err send_reinvite(struct ses *s)
{
	if (ses_ask_offer(s) != 200)
		return ERR_STATE;
	return ses_send_change(s, SES_REINVITE, buf_view(&s->m->sdp));
}

/* A refresh of the session timer that the owner has not asked for is told to nobody. */
static void tell_modified(struct ses *s, bool is_good, struct tp_rx *rx)
{
	if (s->clock.is_refreshing)
		return;
	ses_tell(s, is_good ? SES_EV_RENEGOTIATED : SES_EV_MODIFY_FAILED,
		 is_good ? rx->msg->status : 488, SES_BY_LOCAL, rx);
}

/* The 2xx to a re-INVITE without offer has one. */
static void take_late_offer(struct ses *s, struct uac *u, struct tp_rx *rx)
{
	struct str sdp;
	unsigned status = dlg_sdp(rx->msg, &sdp) ? ses_ask_answer(s, sdp) : 488;
	dlg_prepare_ack(s->d, u->sent_cseq, buf_view(&u->auth_lines));
	if (status == SES_LATER) {
		ses_later_set(s, &(struct ses_later){.what = SES_LATER_ACK, .rx = rx, .d = s->d});
		return;
	}
	dlg_send_prepared_ack(s->d, status == 200 ? buf_view(&s->m->sdp) : STR_NONE);
	tell_modified(s, status == 200, rx);
}

static void on_modify_2xx(void *ctx, struct uac *u, struct tp_rx *rx)
{
	struct ses *s = ctx;
	struct str sdp;
	s->w->modify = NULL;
	dlg_refresh(s->d, rx);
	if (s->state == SES_CONFIRMED && s->w->modify_kind == SES_REINVITE_LATE)
		take_late_offer(s, u, rx);
	else
		dlg_send_ack(s->d, u->sent_cseq, buf_view(&u->auth_lines), STR_NONE);
	uac_drop(u); /* repetitions of the 2xx come as strays to ses_on_2xx_again */
	if (s->state != SES_CONFIRMED)
		return;
	if (s->w->modify_kind == SES_REINVITE)
		tell_modified(s, dlg_sdp(rx->msg, &sdp) && ses_give_answer(s, sdp, false), rx);
	ses_clock_on_answer(s, rx->msg);
	ses_flush(s);
}

/* The 2xx to an UPDATE; without SDP it was a refresh only. */
static void on_update_2xx(struct ses *s, struct tp_rx *rx)
{
	struct str sdp;
	struct dlg *d = s->d ? s->d : s->w->early_of;
	if (d)
		dlg_refresh(d, rx);
	if (dlg_sdp(rx->msg, &sdp))
		tell_modified(s, ses_give_answer(s, sdp, false), rx);
	else
		tell_modified(s, true, rx);
	if (s->state == SES_CONFIRMED)
		ses_clock_on_answer(s, rx->msg);
	ses_flush(s);
}

static void on_glare(struct tmr *t)
{
	struct ses *s = CONTAINER_OF(t, struct ses_work, pause)->ses;
	if (s->state != SES_CONFIRMED)
		return;
	/* the peer's own change may be waiting for its ACK just now */
	enum err e = s->w->ok && s->w->ok->wants_answer ? ERR_STATE : send_reinvite(s);
	if (e == OK)
		return;
	ses_tell(s, SES_EV_MODIFY_FAILED, 491, SES_BY_LOCAL, NULL);
	ses_flush(s);
}

/* In units of 10 ms: 2.1 to 4 s for the side that made the Call-ID, else 0 to 2 s. */
static uint64_t glare_wait_us(struct ses *s)
{
	uint64_t r = env_random_u64(s->m->loop->env);
	return s->is_caller ? 2100000 + r % 191 * 10000 : r % 201 * 10000;
}

/* 422: the refresh again, as often as that asks for more. */
static bool is_raised(struct ses *s, const struct uac_result *r)
{
	if (r->how != UAC_FINAL || r->status != 422 || !s->clock.is_refreshing ||
	    !ses_clock_raise(s, r->rx->msg))
		return false;
	if (s->clock.agreed < s->clock.least)
		s->clock.agreed = s->clock.least;
	return s->w->modify_kind == SES_UPDATE && ses_send_change(s, SES_UPDATE, STR_NONE) == OK;
}

static void on_modify_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct ses *s = ctx;
	s->w->modify = NULL;
	bool is_early = s->state == SES_INCOMING || s->state == SES_CALLING;
	if ((s->state != SES_CONFIRMED && !is_early) || is_raised(s, r))
		return;
	if (r->how == UAC_FINAL && r->status / 100 == 2) {
		on_update_2xx(s, r->rx);
		return;
	}
	if (r->how == UAC_FINAL && r->status == 491 && !s->w->is_relay) {
		ev_timer(s->m->loop, &s->w->pause, glare_wait_us(s), on_glare);
		return;
	}
	if (dlg_is_fatal(r) && !is_early) {
		ses_lose(s, r);
	} else if (!s->clock.is_refreshing) {
		ses_tell(s, SES_EV_MODIFY_FAILED, r->status, SES_BY_LOCAL, r->rx);
	}
	ses_flush(s);
}

static void on_modify_over(void *ctx, struct uac *u)
{
	struct ses *s = ctx;
	s->w->modify = NULL;
	ses_flush(s);
}

static const struct uac_user modify_user = {.on_done = on_modify_done};
static const struct uac_invite_user modify_hooks = {.on_2xx = on_modify_2xx,
						    .on_over = on_modify_over};

static bool may_change(const struct ses *s)
{
	const struct ses_work *w = s->w;
	return !w || (!w->modify && !w->later.what && !tmr_is_running(&w->pause) && !w->ok);
}

enum err ses_modify(struct ses *s)
{
	if (s->state != SES_CONFIRMED || !may_change(s))
		return ERR_STATE;
	if (!ses_wake(s))
		return ERR_NOMEM;
	s->w->is_relay = s->clock.is_refreshing = false;
	enum err e = send_reinvite(s);
	ses_flush_later(s);
	return e;
}

enum err ses_change(struct ses *s, enum ses_change kind, struct str sdp)
{
	bool is_early = kind == SES_UPDATE &&
			(s->state == SES_INCOMING || s->state == SES_CALLING) &&
			(s->w->is_agreed || (s->w->early_of && s->w->early_of->has_agreed));
	if ((s->state != SES_CONFIRMED && !is_early) || !may_change(s))
		return ERR_STATE;
	if (!ses_wake(s))
		return ERR_NOMEM;
	s->w->is_relay = true;
	s->clock.is_refreshing = false;
	enum err e = ses_send_change(s, kind, sdp);
	ses_flush_later(s);
	return e;
}

bool ses_can_update(const struct ses *s)
{
	return s->has_update;
}

bool ses_needs_sdp(const struct ses *s)
{
	return s->clock.agreed && s->clock.is_refresher && !s->has_update;
}

/* --- the peer's ------------------------------------------------------------------------------- */

static void retry_later(struct ses *s, struct dlg *d, tsx_id st, struct tp_rx *rx)
{
	char text[40];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b, "Retry-After: %u\r\n", (unsigned)(env_random_u64(s->m->loop->env) % 11));
	struct dlg_answer ans = {/* [RFC3261 14.2] */
				 .status = 500,
				 .why = DLG_REFUSE_EARLY,
				 .headers = buf_view(&b)};
	(void)!dlg_answer(d, st, rx, &ans);
}

/* An offer of ours waits for its answer. */
static bool is_our_turn(const struct ses *s)
{
	bool is_refresh = s->clock.is_refreshing && s->w->modify_kind == SES_UPDATE;
	return (s->w->modify && !is_refresh) || (s->w->ok && s->w->ok->wants_answer);
}

/* The INVITE's ACK is late or lost, but our 2xx arrived. */
static void take_as_ack(struct ses *s)
{
	if (s->state != SES_ACCEPTING)
		return;
	tp_rx_unref(s->m->tp, s->w->rx);
	s->w->rx = NULL;
	buf_fini(&s->w->local);
	ses_step(s, SES_E_ACK, STR_NONE);
}

/* It has a part that must be understood; who stands between leaves that to the other party. */
static bool has_unknown(const struct dlg *d, const struct sip_msg *msg, bool has_sdp)
{
	return !sip_body_is_known(msg) && !(d->sid.is_between && has_sdp);
}

/* Asks for what the 2xx to a re-INVITE says: 200, SES_LATER, or a refusal. */
static unsigned ask_for(struct ses *s, const struct sip_msg *msg, bool *has_offer)
{
	struct str offer;
	*has_offer = dlg_sdp(msg, &offer);
	if (has_unknown(s->d, msg, *has_offer))
		return 415;
	return *has_offer ? ses_ask_answer(s, offer) : ses_ask_offer(s);
}

void ses_on_reinvite(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	bool has_offer;
	if (s->state == SES_INCOMING || s->w->later.what) {
		retry_later(s, s->d, st, rx);
		return;
	}
	if (is_our_turn(s)) {
		ses_refuse(s, st, rx, DLG_REFUSE_GLARE, 491, STR_NONE);
		return;
	}
	if (!ses_clock_is_fine_for(s->m, st, rx))
		return;
	take_as_ack(s);
	unsigned status = ask_for(s, rx->msg, &has_offer);
	if (status == SES_LATER) {
		ses_later_set(s, &(struct ses_later){.what = SES_LATER_REINVITE,
						     .has_offer = has_offer,
						     .st = st,
						     .rx = rx,
						     .d = s->d});
		return;
	}
	if (status != 200) {
		ses_refuse(s, st, rx, status == 415 ? DLG_REFUSE_BODY : DLG_REFUSE_MEDIA, status,
			   status == 415 ? STR("Accept: application/sdp\r\n") : STR_NONE);
		return;
	}
	dlg_refresh(s->d, rx);
	if (ses_send_2xx(s, st, rx, buf_view(&s->m->sdp), false, !has_offer, STR_NONE) != OK) {
		ses_refuse(s, st, rx, DLG_REFUSE_FULL, 500, STR_NONE);
		return;
	}
	if (has_offer)
		ses_tell(s, SES_EV_RENEGOTIATED, 200, SES_BY_REMOTE, rx);
}

/* A refresh: of the target, of the session timer. */
static void take_refresh(struct ses *s, struct dlg *d, tsx_id st, struct tp_rx *rx)
{
	struct buf *b = &s->m->lines;
	struct dlg_answer ans = {.status = 200};
	struct str sdp;
	buf_clear(b);
	if (has_unknown(d, rx->msg, dlg_sdp(rx->msg, &sdp))) {
		ans.status = 415;
		ans.why = DLG_REFUSE_BODY;
		buf_str(b, STR("Accept: application/sdp\r\n"));
	} else {
		dlg_refresh(d, rx);
		if (s->state == SES_CONFIRMED)
			ses_clock_answer(s, rx->msg, b);
	}
	ans.headers = buf_view(b);
	(void)!dlg_answer(d, st, rx, &ans);
}

static void take_update(struct ses *s, struct dlg *d, tsx_id st, struct tp_rx *rx, struct str offer)
{
	unsigned status = ses_ask_answer(s, offer);
	if (status == SES_LATER) {
		ses_later_set(s, &(struct ses_later){.what = SES_LATER_UPDATE,
						     .has_offer = true,
						     .st = st,
						     .rx = rx,
						     .d = d});
		return;
	}
	struct buf *b = &s->m->lines;
	struct dlg_answer ans = {.status = status, .why = DLG_REFUSE_MEDIA};
	buf_clear(b);
	if (status == 200) {
		ans.why = DLG_REFUSE_NONE;
		dlg_refresh(d, rx);
		if (s->state == SES_CONFIRMED)
			ses_clock_answer(s, rx->msg, b);
		ans.headers = buf_view(b);
		ans.content_type = STR("application/sdp");
		ans.body = buf_view(&s->m->sdp);
		ses_tell(s, SES_EV_RENEGOTIATED, 200, SES_BY_REMOTE, rx);
	}
	(void)!dlg_answer(d, st, rx, &ans);
}

void ses_on_update(struct ses *s, struct dlg *d, tsx_id st, struct tp_rx *rx)
{
	struct str offer;
	bool has_agreed = s->d ? s->state != SES_INCOMING || s->w->is_agreed : d->has_agreed;
	if (!ses_clock_is_fine_for(s->m, st, rx))
		return;
	if (!dlg_sdp(rx->msg, &offer) || has_unknown(d, rx->msg, true)) {
		take_refresh(s, d, st, rx);
		return;
	}
	if (s->w->later.what || (s->d && !has_agreed)) {
		retry_later(s, d, st, rx); /* an offer has no answer yet [RFC3311 5.2] */
		return;
	}
	if (is_our_turn(s) || !has_agreed) {
		struct dlg_answer ans = {.status = 491, .why = DLG_REFUSE_GLARE};
		(void)!dlg_answer(d, st, rx, &ans);
		return;
	}
	take_update(s, d, st, rx, offer);
}
