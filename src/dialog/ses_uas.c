/* The called side of a session: an INVITE that came, rung, answered, refused, cancelled.
 *
 * The owner's SDP is asked for once, by the first ses_ring with SDP or by ses_answer, and the same
 * bytes go into every response from then on. A 2xx is repeated end to end until its ACK comes, over
 * any transport, from T1 doubling to T2; after 64*T1 the session is ended with BYE and the verdict
 * "lost ACK" [RFC3261 13.3.1.4]. The same repeater serves the 2xx to a re-INVITE.
 *
 * An INVITE without an offer gets ours in the 2xx, and the answer comes in the ACK.
 *
 * [RFC3261 13.3, 8.2] [RFC3264]
 */
#include "dialog/ses_priv.h"

#include <string.h>

#define RING_REPEAT_US 60000000 /* provisional responses each minute [RFC3261 13.3.1.1] */

/* --- the 2xx and its ACK ---------------------------------------------------------------------- */

void ses_stop_2xx(struct ses *s)
{
	struct ses_2xx *ok = s->w->ok;
	if (!ok)
		return;
	ev_timer_stop(s->m->loop, &ok->retransmit);
	ev_timer_stop(s->m->loop, &ok->deadline);
	block_put(s->m->blocks, ok);
	s->w->ok = NULL;
}

static void on_retransmit(struct tmr *t)
{
	struct ses_2xx *ok = CONTAINER_OF(t, struct ses_2xx, retransmit);
	struct dlg_mgr *m = ok->ses->m;
	/* the transaction is gone when both timers of 64*T1 fire in one tick */
	(void)!tsx_respond(m->tsx, ok->st, ok->status, str_of(ok->bytes, ok->n_bytes));
	ok->interval_us *= 2; /* a reliable provisional response knows no T2 [RFC3262 3] */
	if (ok->status >= 200 && ok->interval_us > TSX_T2_US)
		ok->interval_us = TSX_T2_US;
	ev_timer(m->loop, &ok->retransmit, ok->interval_us, on_retransmit);
}

static void on_deadline(struct tmr *t)
{
	struct ses_2xx *ok = CONTAINER_OF(t, struct ses_2xx, deadline);
	struct ses *s = ok->ses;
	if (ok->status < 200) {
		ses_rel_expire(s);
		return;
	}
	if (s->state != SES_CLOSING) {
		ses_set_end(s, SES_BY_NETWORK, SES_CAUSE_LOST_ACK, 0, STR_NONE);
		ses_set_reason(s, STR("SIP;cause=408;text=\"lost ACK\""));
	}
	ses_step(s, SES_E_TIMER_ACK, STR_NONE);
	ses_flush(s);
}

enum err ses_repeat(struct ses *s, const struct ses_repeat *r)
{
	struct dlg_mgr *m = s->m;
	struct str bytes = buf_view(&m->scratch);
	struct ses_2xx *ok = block_get(m->blocks, sizeof(*ok) + bytes.n, NULL);
	if (!ok)
		return ERR_NOMEM;
	enum err e = tsx_respond(m->tsx, r->st, r->status, bytes);
	if (e != OK) {
		block_put(m->blocks, ok);
		return e;
	}
	ses_stop_2xx(s);
	*ok = (struct ses_2xx){.ses = s,
			       .status = r->status,
			       .is_initial = r->is_initial,
			       .wants_answer = r->wants_answer,
			       .has_sdp = r->has_sdp,
			       .st = r->st,
			       .cseq = r->cseq,
			       .n_bytes = (uint32_t)bytes.n,
			       .interval_us = TSX_T1_US};
	memcpy(ok->bytes, bytes.p, bytes.n);
	s->w->ok = ok;
	ev_timer(m->loop, &ok->retransmit, TSX_T1_US, on_retransmit);
	ev_timer(m->loop, &ok->deadline, 64ull * TSX_T1_US, on_deadline);
	return OK;
}

enum err ses_send_2xx(struct ses *s, tsx_id st, struct tp_rx *rx, struct str body, bool is_initial,
		      bool wants_answer, struct str headers)
{
	struct buf *b = &s->m->lines;
	buf_clear(b);
	buf_str(b, ses_text(s->reply));
	buf_str(b, headers);
	ses_clock_answer(s, rx->msg, b);
	if (b->err != OK)
		return b->err;
	struct dlg_answer ans = {.status = 200,
				 .headers = buf_view(b),
				 .content_type = STR("application/sdp"),
				 .body = body};
	enum err e = dlg_write_answer(s->d, rx, &ans);
	if (e != OK)
		return e;
	if (ses_rel_is_waiting(s))
		s->d->rseq = s->w->rseq;
	return ses_repeat(s, &(struct ses_repeat){.st = st,
						  .cseq = rx->msg->cseq,
						  .status = 200,
						  .is_initial = is_initial,
						  .wants_answer = wants_answer});
}

void ses_on_ack(struct dlg_usage *u, struct tp_rx *rx)
{
	struct ses *s = CONTAINER_OF(u, struct ses, usage);
	struct str sdp;
	if (!s->w || !s->w->ok || s->w->ok->status < 200 || s->w->ok->cseq != rx->msg->cseq)
		return; /* a repeated one */
	bool is_good = !s->w->ok->wants_answer ||
		       (dlg_sdp(rx->msg, &sdp) && ses_give_answer(s, sdp, false));
	bool is_initial = s->w->ok->is_initial, wants_answer = s->w->ok->wants_answer;
	ses_stop_2xx(s);
	if (!is_initial && wants_answer) {
		/* an answer to a re-INVITE that does not do leaves things as they were */
		ses_tell(s, is_good ? SES_EV_RENEGOTIATED : SES_EV_MODIFY_FAILED,
			 is_good ? 200 : 488, SES_BY_REMOTE, rx);
	} else if (is_initial) {
		if (!is_good && s->state == SES_ACCEPTING)
			ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_MEDIA, 0, STR_NONE);
		tp_rx_unref(s->m->tp, s->w->rx);
		s->w->rx = NULL;
		buf_fini(&s->w->local);
		s->w->step_rx = rx;
		ses_step(s, is_good ? SES_E_ACK : SES_E_ACK_BAD, STR_NONE);
		s->w->step_rx = NULL;
	}
	ses_flush(s);
}

/* --- incoming --------------------------------------------------------------------------------- */

/* What makes an INVITE one that no user agent may take. */
static bool is_takeable(struct dlg_mgr *m, tsx_id st, const struct tp_rx *rx, bool is_between)
{
	const struct sip_msg *msg = rx->msg;
	struct str sdp;
	struct str encoding = sip_value(msg, SIP_HDR_CONTENT_ENCODING);
	if (tsx_is_merged(m->tsx, st)) {
		dlg_refuse(m, st, DLG_REFUSE_MERGED, 482, STR_NONE, STR_NONE);
		return false;
	}
	if (!sip_has(msg, SIP_HDR_CONTACT)) {
		dlg_refuse(m, st, DLG_REFUSE_CONTACT, 400, STR("Bad Request (no Contact)"),
			   STR_NONE);
		return false;
	}
	if (encoding.n && !str_ieq(encoding, STR("identity"))) {
		dlg_refuse(m, st, DLG_REFUSE_BODY, 415, STR_NONE,
			   STR("Accept-Encoding: identity\r\n"));
		return false;
	}
	/* what stands beside the SDP is for the other party to judge, if there is one */
	if (!sip_body_is_known(msg) && !(is_between && dlg_sdp(msg, &sdp))) {
		dlg_refuse(m, st, DLG_REFUSE_BODY, 415, STR_NONE,
			   STR("Accept: application/sdp\r\n"));
		return false;
	}
	return dlg_check_require(m, st, rx, is_between) && dlg_check_replaces(m, st, rx);
}

enum err ses_incoming(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx, const struct ses_accept *acc,
		      const struct ses_user *user, void *ctx, struct ses **out)
{
	if (!is_takeable(m, st, rx, acc->is_between) || !ses_clock_is_fine_for(m, st, rx))
		return ERR_STATE;
	char tag[24];
	struct ses *s = ses_alloc(m, user, ctx);
	enum err e = s ? OK : ERR_LIMIT;
	if (e == OK && acc->headers.n && !ses_share_reply(s, acc->headers))
		e = ERR_NOMEM;
	if (e == OK)
		e = dlg_new_uas(m, rx, tsx_to_tag(m->tsx, rx->msg, tag), acc->contact_user,
				&acc->account, &s->d);
	if (e != OK) {
		if (s)
			ses_free(s);
		if (e == ERR_SYNTAX)
			dlg_refuse(m, st, DLG_REFUSE_CONTACT, 400, STR("Bad Request (Contact)"),
				   STR_NONE);
		else
			dlg_refuse(m, st, DLG_REFUSE_FULL, 503, STR_NONE,
				   STR("Retry-After: 5\r\n"));
		return ERR_STATE;
	}
	s->state = SES_INCOMING;
	s->has_update = sip_has_token(rx->msg, SIP_HDR_ALLOW, STR("UPDATE"));
	s->clock.wish = acc->session_s;
	s->w->rseq = (uint32_t)(env_random_u64(m->loop->env) & 0xffff) + 1;
	s->d->usage = &s->usage;
	sid_begin_called(&s->d->sid, m->loop->env, rx->msg, acc->is_between);
	s->d->takes_refer = user->on_request != NULL;
	s->w->st = st;
	s->w->rx = tp_rx_ref(rx);
	*out = s;
	return OK;
}

void ses_refuse(struct ses *s, tsx_id st, struct tp_rx *rx, enum dlg_refusal why, unsigned status,
		struct str headers)
{
	struct dlg_answer ans = {.status = status, .why = why, .headers = headers};
	(void)!dlg_answer(s->d, st, rx, &ans);
}

void ses_reply(struct ses *s, tsx_id st, struct tp_rx *rx, unsigned status, struct str headers)
{
	ses_refuse(s, st, rx, DLG_REFUSE_NONE, status, headers);
}

void ses_refuse_invite(struct ses *s, enum dlg_refusal why, unsigned status, struct str reason,
		       struct str headers)
{
	ev_timer_stop(s->m->loop, &s->w->pause);
	s->d->awaits_prack = ses_rel_is_waiting(s);
	ses_stop_2xx(s);
	struct dlg_answer ans = {
		.status = status, .why = why, .reason = reason, .headers = headers};
	(void)!dlg_answer(s->d, s->w->st, s->w->rx, &ans);
}

/* Our SDP in s->w->local: the answer to the INVITE's offer, or an offer. 200, or why not. */
static unsigned have_sdp(struct ses *s)
{
	struct str offer;
	unsigned status;
	if (s->w->local.n)
		return 200;
	if (dlg_sdp(s->w->rx->msg, &offer))
		status = ses_ask_answer(s, offer);
	else
		status = ses_ask_offer(s);
	if (status != 200)
		return status == SES_LATER ? 500 : status;
	buf_str(&s->w->local, buf_view(&s->m->sdp));
	return s->w->local.err == OK ? 200 : 500;
}

/* The owner's SDP did not come: that ends the call. */
static void end_for_media(struct ses *s, unsigned status)
{
	ses_refuse_invite(s, DLG_REFUSE_MEDIA, status, STR_NONE, STR_NONE);
	ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_MEDIA, status, STR_NONE);
	ses_step(s, SES_E_REJECT, STR_NONE);
	ses_flush_later(s);
}

static void send_ring(struct ses *s, struct str headers)
{
	struct buf *b = &s->m->lines;
	buf_clear(b);
	buf_str(b, ses_text(s->reply));
	buf_str(b, headers);
	struct dlg_answer ans = {.status = s->w->said.status,
				 .headers = buf_view(b),
				 .content_type = STR("application/sdp"),
				 .body = s->w->said.has_sdp ? buf_view(&s->w->local) : STR_NONE};
	if (dlg_write_answer(s->d, s->w->rx, &ans) == OK)
		(void)!tsx_respond(s->m->tsx, s->w->st, s->w->said.status,
				   buf_view(&s->m->scratch));
}

static void on_ring(struct tmr *t)
{
	struct ses *s = CONTAINER_OF(t, struct ses_work, pause)->ses;
	send_ring(s, STR_NONE);
	ev_timer(s->m->loop, &s->w->pause, RING_REPEAT_US, on_ring);
}

void ses_forget_sdp(struct ses *s)
{
	if (s->state == SES_INCOMING && !s->w->is_agreed && !ses_rel_is_waiting(s))
		buf_clear(&s->w->local);
}

bool ses_has_bound_sdp(const struct ses *s)
{
	return s->state == SES_INCOMING &&
	       (s->w->is_agreed || (ses_rel_is_waiting(s) && s->w->ok->has_sdp));
}

bool ses_can_reliable(const struct ses *s)
{
	return s->w && s->w->rx &&
	       (sip_has_token(s->w->rx->msg, SIP_HDR_SUPPORTED, STR("100rel")) ||
		sip_has_token(s->w->rx->msg, SIP_HDR_REQUIRE, STR("100rel")));
}

static enum err ring(struct ses *s, struct ses_ring r, struct str headers)
{
	struct str offer;
	if (s->state != SES_INCOMING || r.status <= 100 || r.status >= 200 ||
	    s->w->is_answer_waiting)
		return ERR_STATE;
	r.is_reliable |= sip_has_token(s->w->rx->msg, SIP_HDR_REQUIRE, STR("100rel"));
	if (r.is_reliable && !ses_can_reliable(s))
		return ERR_UNSUPPORTED;
	/* an offer of ours must not go into an unreliable response [RFC3261 13.2.1] */
	r.has_sdp = r.has_sdp && (r.is_reliable || dlg_sdp(s->w->rx->msg, &offer));
	if (r.has_sdp) {
		unsigned st = have_sdp(s);
		if (st != 200) {
			end_for_media(s, st);
			return ERR_UNSUPPORTED;
		}
	}
	if (r.is_reliable)
		return ses_rel_ring(s, &r, headers);
	s->w->said.status = r.status;
	s->w->said.has_sdp |= r.has_sdp;
	send_ring(s, headers);
	ev_timer(s->m->loop, &s->w->pause, RING_REPEAT_US, on_ring);
	return OK;
}

enum err ses_ring(struct ses *s, unsigned status, bool with_sdp)
{
	return ses_ring_with(s, status, with_sdp, STR_NONE);
}

enum err ses_ring_with(struct ses *s, unsigned status, bool with_sdp, struct str headers)
{
	return ring(s, (struct ses_ring){.status = (uint16_t)status, .has_sdp = with_sdp}, headers);
}

enum err ses_ring_reliably(struct ses *s, unsigned status, bool with_sdp, struct str headers)
{
	return ring(s,
		    (struct ses_ring){
			    .status = (uint16_t)status, .has_sdp = with_sdp, .is_reliable = true},
		    headers);
}

enum err ses_answer(struct ses *s)
{
	return ses_answer_with(s, STR_NONE);
}

enum err ses_answer_with(struct ses *s, struct str headers)
{
	struct str offer;
	if (s->state != SES_INCOMING)
		return ERR_STATE;
	if (ses_rel_is_waiting(s) && s->w->ok->has_sdp) {
		s->w->is_answer_waiting = true; /* [RFC3262 3] */
		return OK;
	}
	unsigned status = s->w->is_agreed ? 200 : have_sdp(s);
	if (status != 200) {
		end_for_media(s, status);
		return ERR_UNSUPPORTED;
	}
	bool is_our_offer = !s->w->is_agreed && !dlg_sdp(s->w->rx->msg, &offer);
	struct str sdp = s->w->is_agreed ? STR_NONE : buf_view(&s->w->local);
	enum err e = ses_send_2xx(s, s->w->st, s->w->rx, sdp, true, is_our_offer, headers);
	if (e != OK)
		return e;
	ev_timer_stop(s->m->loop, &s->w->pause);
	s->d->is_early = false;
	ses_step(s, SES_E_ANSWER, STR_NONE);
	return OK;
}

enum err ses_reject(struct ses *s, unsigned status, struct str reason, struct str extra_lines)
{
	if (s->state != SES_INCOMING || status < 300 || status > 699)
		return ERR_STATE;
	ses_refuse_invite(s, DLG_REFUSE_NONE, status, reason, extra_lines);
	ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_REJECTED, status,
		    reason.n ? reason : sip_status_reason(status));
	ses_step(s, SES_E_REJECT, STR_NONE);
	ses_flush_later(s);
	return OK;
}

bool ses_on_cancel(struct dlg_usage *u, tsx_id st, struct tp_rx *rx)
{
	struct ses *s = CONTAINER_OF(u, struct ses, usage);
	if (s->is_caller || s->state != SES_INCOMING || s->w->st != st)
		return false;
	ses_set_end(s, SES_BY_REMOTE, SES_CAUSE_CANCEL, 487, ses_text_of(rx->msg));
	ses_tell(s, SES_EV_LEFT, 487, SES_BY_REMOTE, rx);
	ses_step(s, SES_E_CANCEL, STR_NONE);
	ses_flush(s);
	return true;
}
