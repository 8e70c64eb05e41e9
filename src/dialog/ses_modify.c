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

static enum err send_reinvite(struct ses *s)
{
	if (!ses_ask_offer(s))
		return ERR_STATE;
	struct dlg_request req = {.method = STR("INVITE"),
				  .content_type = STR("application/sdp"),
				  .body = buf_view(&s->m->sdp)};
	return dlg_send(s->d, &req, &modify_user, &modify_hooks, s, &s->modify);
}

static void on_modify_2xx(void *ctx, struct uac *u, struct tp_rx *rx)
{
	struct ses *s = ctx;
	struct str sdp;
	s->modify = NULL;
	dlg_refresh(s->d, rx);
	dlg_send_ack(s->d, u->sent_cseq, buf_view(&u->auth_lines), STR_NONE);
	uac_drop(u); /* repetitions of the 2xx come as strays to ses_on_2xx_again */
	if (s->state != SES_CONFIRMED)
		return;
	bool is_good = dlg_sdp(rx->msg, &sdp) && ses_give_answer(s, sdp, false);
	ses_tell(s, is_good ? SES_EV_RENEGOTIATED : SES_EV_MODIFY_FAILED,
		 is_good ? rx->msg->status : 488, SES_BY_LOCAL, rx);
	ses_flush(s);
}

static void on_glare(struct tmr *t)
{
	struct ses *s = CONTAINER_OF(t, struct ses, glare);
	if (s->state != SES_CONFIRMED)
		return;
	/* the peer's own change may be waiting for its ACK just now */
	enum err e = s->ok.is_active && s->ok.wants_answer ? ERR_STATE : send_reinvite(s);
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

static void on_modify_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct ses *s = ctx;
	s->modify = NULL;
	if (s->state != SES_CONFIRMED)
		return;
	if (r->how == UAC_FINAL && r->status == 491) {
		ev_timer(s->m->loop, &s->glare, glare_wait_us(s), on_glare);
		return;
	}
	if (dlg_is_fatal(r)) {
		ses_set_end(s, SES_BY_NETWORK, SES_CAUSE_GONE, r->status, STR_NONE);
		ses_step(s, SES_E_GONE, STR_NONE);
	} else {
		ses_tell(s, SES_EV_MODIFY_FAILED, r->status, SES_BY_LOCAL, r->rx);
	}
	ses_flush(s);
}

static void on_modify_over(void *ctx, struct uac *u)
{
	struct ses *s = ctx;
	s->modify = NULL;
}

static const struct uac_user modify_user = {.on_done = on_modify_done};
static const struct uac_invite_user modify_hooks = {.on_2xx = on_modify_2xx,
						    .on_over = on_modify_over};

enum err ses_modify(struct ses *s)
{
	if (s->state != SES_CONFIRMED || s->modify || tmr_is_running(&s->glare) || s->ok.is_active)
		return ERR_STATE;
	return send_reinvite(s);
}

/* --- the peer's ------------------------------------------------------------------------------- */

static void retry_later(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	char text[40];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b, "Retry-After: %u\r\n", (unsigned)(env_random_u64(s->m->loop->env) % 11));
	ses_refuse(s, st, rx, DLG_REFUSE_EARLY, 500, buf_view(&b)); /* [RFC3261 14.2] */
}

/* An offer of ours waits for its answer. */
static bool is_our_turn(const struct ses *s)
{
	return s->modify || (s->ok.is_active && s->ok.wants_answer);
}

/* The INVITE's ACK is late or lost, but our 2xx arrived. */
static void take_as_ack(struct ses *s)
{
	if (s->state != SES_ACCEPTING)
		return;
	tp_rx_unref(s->m->tp, s->rx);
	s->rx = NULL;
	ses_step(s, SES_E_ACK, STR_NONE);
}

void ses_on_reinvite(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	struct str offer;
	if (s->state == SES_INCOMING) {
		retry_later(s, st, rx);
		return;
	}
	if (is_our_turn(s)) {
		ses_refuse(s, st, rx, DLG_REFUSE_GLARE, 491, STR_NONE);
		return;
	}
	take_as_ack(s);
	bool has_offer = dlg_sdp(rx->msg, &offer);
	unsigned status = 415;
	if (has_offer)
		status = ses_ask_answer(s, offer);
	else if (!rx->msg->body.n)
		status = ses_ask_offer(s) ? 200 : 500;
	if (status != 200) {
		ses_refuse(s, st, rx, status == 415 ? DLG_REFUSE_BODY : DLG_REFUSE_MEDIA, status,
			   status == 415 ? STR("Accept: application/sdp\r\n") : STR_NONE);
		return;
	}
	dlg_refresh(s->d, rx);
	if (ses_send_2xx(s, st, rx, buf_view(&s->m->sdp), false, !has_offer) != OK) {
		ses_refuse(s, st, rx, DLG_REFUSE_FULL, 500, STR_NONE);
		return;
	}
	if (has_offer)
		ses_tell(s, SES_EV_RENEGOTIATED, 200, SES_BY_REMOTE, rx);
}

void ses_on_update(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	struct str offer;
	if (!dlg_sdp(rx->msg, &offer)) {
		if (rx->msg->body.n) {
			ses_refuse(s, st, rx, DLG_REFUSE_BODY, 415,
				   STR("Accept: application/sdp\r\n"));
			return;
		}
		dlg_refresh(s->d, rx);
		ses_reply(s, st, rx, 200, STR_NONE);
		return;
	}
	if (s->state == SES_INCOMING) { /* its first offer has no answer yet [RFC3311 5.2] */
		retry_later(s, st, rx);
		return;
	}
	if (is_our_turn(s)) {
		ses_refuse(s, st, rx, DLG_REFUSE_GLARE, 491, STR_NONE);
		return;
	}
	unsigned status = ses_ask_answer(s, offer);
	struct dlg_answer ans = {.status = status, .why = DLG_REFUSE_MEDIA};
	if (status == 200) {
		ans.why = DLG_REFUSE_NONE;
		dlg_refresh(s->d, rx);
		ans.content_type = STR("application/sdp");
		ans.body = buf_view(&s->m->sdp);
		ses_tell(s, SES_EV_RENEGOTIATED, 200, SES_BY_REMOTE, rx);
	}
	(void)!dlg_answer(s->d, st, rx, &ans);
}
