/* The calling side of a session: INVITE, forks, 2xx, CANCEL.
 *
 * `half` is who we are in this call (Call-ID, From tag, CSeq, credentials); each To tag that
 * answers is a dialog of its own beside it: early ones in `forks`, the first that sends a 2xx
 * becomes `d`, all others are forgotten when early, and acknowledged and ended when they send a 2xx
 * too. The INVITE stays attached for 64*T1 after the first 2xx to hear those.
 *
 * SDP: an answer in a provisional response is a preview, told to the owner for the fork it came
 * from; the answer in the 2xx counts. A 2xx without SDP is taken to mean the last preview of its
 * own fork, whichever other forks have answered since: where that came reliably, it must have none
 * [RFC3262 5].
 *
 * [RFC3261 13.2, 9.1] [RFC3264] [RFC6337 2]
 */
#include "dialog/ses_priv.h"
#include "sdp/oa.h"

#include <stdlib.h>

static const struct uac_user invite_user;
static const struct uac_invite_user invite_hooks;

/* --- questions to the owner ------------------------------------------------------------------- */

unsigned ses_ask_offer(struct ses *s)
{
	struct buf *b = &s->m->sdp;
	buf_clear(b);
	enum err e = s->user ? s->user->make_offer(s->ctx, s, b) : ERR_STATE;
	if (e == ERR_MORE)
		return SES_LATER;
	return e == OK && b->err == OK && b->n > 0 ? 200 : 500;
}

unsigned ses_ask_answer(struct ses *s, struct str offer)
{
	struct buf *b = &s->m->sdp;
	buf_clear(b);
	if (!s->user)
		return 480;
	unsigned status = s->user->answer_offer(s->ctx, s, offer, b);
	if (status != 0 && status != 200)
		return status;
	return b->err == OK && b->n ? 200 : 500;
}

bool ses_give_answer(struct ses *s, struct str answer, bool is_early)
{
	return s->user && s->user->on_answer(s->ctx, s, answer, is_early);
}

struct str ses_refuse_offer(struct ses *s, const struct sip_msg *msg)
{
	struct buf *b = &s->m->sdp;
	struct str text;
	struct sdp offer;
	buf_clear(b);
	if (dlg_sdp(msg, &text) && sdp_parse(text, &offer) == OK)
		sdp_put_refusal(b, &offer);
	return b->err == OK ? buf_view(b) : STR_NONE;
}

/* --- forks ------------------------------------------------------------------------------------ */

static void drop_fork(struct ses *s, struct dlg *d)
{
	if (d->local_cseq > s->w->forks_cseq)
		s->w->forks_cseq = d->local_cseq;
	for (unsigned i = 0; i < SES_REQUESTS; i++)
		if (s->w->asked[i].d == d) {
			uac_drop(s->w->asked[i].uac);
			s->w->asked[i] = (struct ses_asked){0};
		}
	if (s->w->later.d == d)
		ses_later_end(s, 487);
	dlg_free(d);
}

void ses_uac_drop_forks(struct ses *s, const struct dlg *but)
{
	for (unsigned i = 0; i < s->w->n_forks; i++) {
		if (s->w->forks[i].d != but)
			drop_fork(s, s->w->forks[i].d);
		buf_fini(&s->w->forks[i].early);
	}
	free(s->w->forks);
	s->w->forks = NULL;
	s->w->n_forks = 0;
	s->w->early_of = NULL;
}

static struct dlg *find_fork(const struct ses *s, const struct sip_msg *msg)
{
	/* a peer of RFC 2543 answers without a tag, which is what `half` has too [RFC3261 12.1.2]
	 */
	if (!msg->to_tag.n)
		return s->d && !dlg_remote_tag(s->d).n ? s->d : NULL;
	return dlg_find(s->m, msg->call_id, dlg_local_tag(s->w->half), msg->to_tag);
}

static struct dlg *new_fork(struct ses *s, struct tp_rx *rx)
{
	struct dlg *d;
	struct tp_dst dst = uac_dst(s->w->invite);
	if (dlg_fork(s->w->half, rx, &dst, &d) != OK)
		return NULL;
	d->usage = &s->usage;
	return d;
}

/* The last answer of that fork, which is its caller's now. */
static struct buf take_early(struct ses *s, const struct dlg *d)
{
	struct buf early;
	buf_init(&early);
	for (unsigned i = 0; i < s->w->n_forks; i++)
		if (s->w->forks[i].d == d) {
			early = s->w->forks[i].early;
			buf_init(&s->w->forks[i].early);
		}
	return early;
}

/* A new one of an early response; NULL: no room, its 2xx is heard all the same. */
static struct dlg *new_early_fork(struct ses *s, struct tp_rx *rx)
{
	if (!s->w->forks)
		s->w->forks = calloc(SES_FORKS, sizeof(*s->w->forks));
	struct dlg *d = s->w->forks && s->w->n_forks < SES_FORKS ? new_fork(s, rx) : NULL;
	if (!d)
		return NULL;
	s->w->forks[s->w->n_forks].d = d;
	buf_init(&s->w->forks[s->w->n_forks++].early);
	return d;
}

/* --- provisional responses -------------------------------------------------------------------- */

/* An answer in a provisional response, the first of this fork or a new one. */
static bool take_early_answer(struct ses *s, struct dlg *d, const struct sip_msg *msg)
{
	struct str sdp;
	unsigned i = 0;
	if (s->w->is_late_offer || !dlg_sdp(msg, &sdp))
		return false;
	while (i < s->w->n_forks && s->w->forks[i].d != d)
		i++;
	if (i == s->w->n_forks)
		return false;
	struct buf *early = &s->w->forks[i].early;
	if (s->w->early_of == d && str_eq(sdp, buf_view(early)))
		return false;
	if (!ses_give_answer(s, sdp, true))
		return false;
	buf_clear(early);
	buf_str(early, sdp);
	s->w->early_of = early->err == OK ? d : NULL;
	return true;
}

/* The PRACK that a reliable response calls for; the answer to its offer may have to wait. */
static void acknowledge(struct ses *s, struct dlg *d, struct tp_rx *rx)
{
	struct str sdp, body = STR_NONE;
	bool has_sdp = dlg_sdp(rx->msg, &sdp);
	if (s->w->is_late_offer && has_sdp && !d->has_agreed) {
		unsigned status = ses_ask_answer(s, sdp);
		if (status == SES_LATER) {
			ses_later_set(s, &(struct ses_later){
						 .what = SES_LATER_OUR_PRACK, .rx = rx, .d = d});
			return;
		}
		if (status == 200)
			body = buf_view(&s->m->sdp);
	}
	d->has_agreed |= has_sdp;
	(void)!ses_rel_send_prack(s, d, rx->msg, body);
}

static void on_provisional(void *ctx, struct uac *u, struct tp_rx *rx)
{
	struct ses *s = ctx;
	const struct sip_msg *msg = rx->msg;
	struct dlg *d = NULL;
	bool is_early = false, is_reliable = ses_rel_is(msg);
	if (msg->status > 100 && msg->to_tag.n && s->state == SES_CALLING) {
		d = find_fork(s, msg);
		if (d)
			sid_hear_response(&d->sid, s->m->loop->env, msg);
		else
			d = new_early_fork(s, rx);
		if (is_reliable && (!d || !ses_rel_take(s, d, rx)))
			return;
		s->has_update = sip_has_token(msg, SIP_HDR_ALLOW, STR("UPDATE"));
		is_early = d && take_early_answer(s, d, msg);
	}
	hist_hear(s->w->way, s->w->row, msg, msg->status);
	ses_tell(s, SES_EV_PROGRESS, msg->status, SES_BY_REMOTE, rx);
	if (is_early)
		ses_tell(s, SES_EV_EARLY_MEDIA, msg->status, SES_BY_REMOTE, rx);
	if (d && is_reliable)
		acknowledge(s, d, rx);
	ses_flush(s);
}

/* --- 2xx -------------------------------------------------------------------------------------- */

/* Offer and answer of the first 2xx: 200, SES_LATER, or what does not come together; *ack_body is
 * in m->sdp. */
static unsigned take_sdp(struct ses *s, const struct sip_msg *msg, struct str early,
			 struct str *ack_body)
{
	struct str sdp;
	bool has_sdp = dlg_sdp(msg, &sdp);
	*ack_body = STR_NONE;
	if (!s->w->is_late_offer) {
		if (!has_sdp)
			sdp = early;
		return sdp.n && ses_give_answer(s, sdp, false) ? 200 : 488;
	}
	if (s->d->has_agreed)
		return 200;
	unsigned status = has_sdp ? ses_ask_answer(s, sdp) : 488;
	if (status == 200)
		*ack_body = buf_view(&s->m->sdp);
	else if (has_sdp && status != SES_LATER)
		*ack_body = ses_refuse_offer(s, msg);
	return status;
}

/* The 2xx has an offer, and the ACK waits for its answer. */
static void keep_ack(struct ses *s, struct tp_rx *rx)
{
	dlg_prepare_ack(s->d, s->w->half->local_cseq, buf_view(&s->w->invite->auth_lines));
	ses_later_set(s, &(struct ses_later){.what = SES_LATER_ACK, .rx = rx, .d = s->d});
}

static enum ses_fsm_event judge_2xx(struct ses *s, struct str early, struct tp_rx *rx,
				    struct str *ack_body)
{
	unsigned status = 200;
	if (dlg_confirm(s->d, rx) != OK) {
		ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_LOCAL, 0, STR_NONE);
		return SES_E_2XX_BAD;
	}
	if (s->state == SES_CANCELLING) {
		ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_CANCEL, 0, STR_NONE);
		if (s->w->is_late_offer) /* the ACK must have an answer all the same
					  * [RFC3261 13.2.1] */
			(void)!take_sdp(s, rx->msg, early, ack_body);
		return SES_E_2XX;
	}
	status = take_sdp(s, rx->msg, early, ack_body);
	if (status == SES_LATER)
		return SES_E_2XX_OFFER;
	if (status == 200)
		return SES_E_2XX;
	ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_MEDIA, 0, STR_NONE);
	return SES_E_2XX_BAD;
}

static void on_first_2xx(struct ses *s, struct dlg *d, struct tp_rx *rx)
{
	struct buf early = take_early(s, d);
	struct str ack_body = STR_NONE;
	ses_uac_drop_forks(s, d);
	s->d = d;
	if (d->local_cseq < s->w->half->local_cseq) /* a PRACK may have counted on */
		d->local_cseq = s->w->half->local_cseq;
	s->has_update = sip_has_token(rx->msg, SIP_HDR_ALLOW, STR("UPDATE"));
	enum ses_fsm_event ev =
		judge_2xx(s, early.err == OK ? buf_view(&early) : STR_NONE, rx, &ack_body);
	s->w->ack_auth = buf_view(&s->w->invite->auth_lines);
	s->w->step_rx = rx;
	ses_step(s, ev, ack_body);
	s->w->step_rx = NULL;
	s->w->ack_auth = STR_NONE;
	if (ev == SES_E_2XX_BAD)
		ses_tell(s, SES_EV_UNUSABLE, rx->msg->status, SES_BY_REMOTE, rx);
	if (s->state == SES_CONFIRMED)
		ses_clock_on_answer(s, rx->msg);
	if (ev == SES_E_2XX_OFFER)
		keep_ack(s, rx);
	buf_fini(&early);
	buf_fini(&s->w->local);
	buf_fini(&s->w->headers);
}

static void on_2xx(void *ctx, struct uac *u, struct tp_rx *rx)
{
	struct ses *s = ctx;
	struct dlg *d = find_fork(s, rx->msg);
	if (d)
		sid_hear_response(&d->sid, s->m->loop->env, rx->msg);
	hist_hear(s->w->way, s->w->row, rx->msg, rx->msg->status);
	if (d && d == s->d) {
		dlg_ack_again(d);
		return;
	}
	if (d && s->d) { /* a fork that is being killed already */
		d->usage->ops->on_2xx(d->usage, rx);
		return;
	}
	if (!d)
		d = new_fork(s, rx);
	if (!d) /* no memory, or a route set that cannot be: the peer ends it after 64*T1 */
		return;
	if (s->d) {
		if (d->local_cseq < s->w->forks_cseq) /* it was an early one, and had PRACKs */
			d->local_cseq = s->w->forks_cseq;
		dlg_kill(d, s->w->half->local_cseq, buf_view(&u->auth_lines));
	} else
		on_first_2xx(s, d, rx);
	ses_flush(s);
}

static void on_over(void *ctx, struct uac *u)
{
	struct ses *s = ctx;
	s->w->invite = NULL;
	if (s->d) { /* no further fork can answer: who we were in the INVITE is in s->d, too */
		dlg_free(s->w->half);
		s->w->half = NULL;
		if (dlg_has_acked(s->d) && s->d->ack->cseq == u->sent_cseq)
			dlg_forget_ack(s->d);
		ses_flush(s);
		return;
	}
	ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_LOCAL, 0, STR_NONE);
	ses_step(s, SES_E_FAILED, STR_NONE);
	ses_flush(s);
}

/* A 2xx of the dialog outside of the INVITE's transaction: one more of the last, or the answer to a
 * re-INVITE that was out when BYE was sent. */
void ses_on_2xx_again(struct dlg_usage *u, struct tp_rx *rx)
{
	struct ses *s = CONTAINER_OF(u, struct ses, usage);
	if (!s->d)
		return;
	if (dlg_has_acked(s->d) && s->d->ack->cseq == rx->msg->cseq)
		dlg_ack_again(s->d);
	else if (s->state == SES_ENDING)
		dlg_send_ack(s->d, rx->msg->cseq, STR_NONE, STR_NONE);
}

/* --- the end of the INVITE -------------------------------------------------------------------- */

/* 422: again with the interval that it asks for. [RFC4028 7.4] */
static bool try_longer(struct ses *s, const struct uac_result *r)
{
	if (s->state != SES_CALLING || r->how != UAC_FINAL || r->status != 422 ||
	    !ses_clock_raise(s, r->rx->msg))
		return false;
	return ses_send_invite(s, buf_view(&s->w->local), &r->dst) == OK;
}

static void set_failed(struct ses *s, const struct uac_result *r)
{
	bool is_given_up = s->state == SES_CANCELLING;
	switch (r->how) {
	case UAC_FINAL:
		/* or an answer that would have led to another attempt */
		if (is_given_up && (r->status == 487 || r->status / 100 == 3 || r->is_challenged))
			ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_CANCEL, r->status, STR_NONE);
		else
			ses_set_end(s, SES_BY_REMOTE,
				    r->is_challenged ? SES_CAUSE_AUTH : SES_CAUSE_REJECTED,
				    r->status, ses_text_of(r->rx->msg));
		if (!is_given_up)
			ses_tell(s, SES_EV_REFUSED, r->status, SES_BY_REMOTE, r->rx);
		break;
	case UAC_TIMEOUT:
		ses_set_end(s, SES_BY_NETWORK, SES_CAUSE_NO_RESPONSE, 408, STR_NONE);
		break;
	case UAC_UNREACHABLE:
		ses_set_end(s, SES_BY_NETWORK, SES_CAUSE_UNREACHABLE, 503, STR_NONE);
		break;
	case UAC_FAILED:
		ses_set_end(s, SES_BY_LOCAL,
			    is_given_up && r->err == ERR_STATE ? SES_CAUSE_CANCEL : SES_CAUSE_LOCAL,
			    0, STR_NONE);
		break;
	}
}

/* Why the present target was left, if it was. */
static void hear_end(struct ses *s, const struct uac_result *r)
{
	if (r->how == UAC_FINAL && r->status != 422)
		hist_hear(s->w->way, s->w->row, r->rx->msg, r->status);
	else if (r->how == UAC_TIMEOUT || r->how == UAC_UNREACHABLE)
		hist_hear(s->w->way, s->w->row, NULL, r->how == UAC_TIMEOUT ? 408 : 503);
}

static void on_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct ses *s = ctx;
	s->w->invite = NULL;
	hear_end(s, r);
	if (try_longer(s, r) || ses_redirect(s, r))
		return;
	set_failed(s, r);
	ses_step(s, SES_E_FAILED, STR_NONE);
	ses_flush(s);
}

static const struct uac_user invite_user = {.on_provisional = on_provisional, .on_done = on_done};
static const struct uac_invite_user invite_hooks = {.on_2xx = on_2xx, .on_over = on_over};

/* --- calling ---------------------------------------------------------------------------------- */

enum err ses_send_invite(struct ses *s, struct str offer, const struct tp_dst *dst)
{
	struct buf *b = &s->m->lines;
	buf_clear(b);
	buf_str(b, buf_view(&s->w->headers));
	dlg_put_allow(b, s->w->half->takes_refer);
	buf_str(b, s->w->is_reliable ? STR("Supported: 100rel\r\n") : STR_NONE);
	if (s->w->is_reliable_needed)
		buf_str(b, STR("Require: 100rel\r\n"));
	ses_clock_put(s, b);
	if (s->w->way) {
		bool is_whole = true;
		hist_start(s->w->way, s->w->row);
		buf_str(b, STR("Supported: histinfo\r\n"));
		hist_put_request(s->w->way, s->w->row, false, b, &is_whole);
	}
	struct dlg_request req = {
		.method = STR("INVITE"),
		.headers = buf_view(b),
		.content_type = STR("application/sdp"),
		.body = offer,
		.max_forwards = s->w->max_forwards,
		.dst = dst,
	};
	if (b->err != OK)
		return b->err;
	return dlg_send(s->w->half, &req, &invite_user, &invite_hooks, s, &s->w->invite);
}

/* The target names another place than the one where it is to be reached: what it says of itself
 * in its Contact will be no better. */
static bool is_elsewhere(const struct ses_call *call)
{
	struct sip_uri uri;
	if (!call->dst || sip_uri_parse(call->target, &uri) != OK || !uri.is_ip)
		return false;
	return !addr_ip_eq(&uri.ip, &call->dst->to) ||
	       (uri.port ? uri.port : 5060) != call->dst->to.port;
}

static enum err start_call(struct ses *s, const struct ses_call *call)
{
	buf_str(&s->w->headers, call->headers);
	enum err e = s->w->headers.err;
	if (e == OK)
		e = dlg_check_target(call->target, STR("INVITE"));
	if (e == OK)
		e = dlg_new_uac(s->m, &call->account, call->to, call->target, STR_NONE, STR_NONE,
				&s->w->half);
	if (e != OK)
		return e;
	if (call->tells_way) {
		s->w->way = hist_begin(s->m->blocks);
		s->w->row = hist_target(s->w->way, 0, call->target, HIST_NO, false);
		if (!s->w->row)
			return ERR_NOMEM;
	}
	s->w->half->usage = &s->usage;
	sid_begin(&s->w->half->sid, s->m->loop->env, call->uuid, call->uuid.n > 0);
	s->w->half->is_hidden = is_elsewhere(call);
	s->w->half->takes_refer = s->user->on_request != NULL;
	if (!s->w->is_late_offer && ses_ask_offer(s) != 200)
		return ERR_STATE;
	buf_str(&s->w->local, s->w->is_late_offer ? call->enclosed : buf_view(&s->m->sdp));
	if (s->w->local.err != OK)
		return s->w->local.err;
	return ses_send_invite(s, buf_view(&s->w->local), call->dst);
}

void ses_put_way(const struct ses *s, struct buf *out)
{
	if (s->w->way)
		hist_put_response(s->w->way, NULL, out);
}

enum err ses_call(struct dlg_mgr *m, const struct ses_call *call, const struct ses_user *user,
		  void *ctx, struct ses **out)
{
	struct ses *s = ses_alloc(m, user, ctx);
	if (!s)
		return ERR_LIMIT;
	s->is_caller = true;
	s->state = SES_CALLING;
	s->w->is_late_offer = call->is_late_offer;
	s->w->max_forwards = call->max_forwards;
	s->w->redirects_left = call->max_redirects;
	s->w->is_reliable = call->is_reliable || call->is_reliable_needed;
	s->w->is_reliable_needed = call->is_reliable_needed;
	s->clock.wish = call->session_s;
	enum err e = start_call(s, call);
	if (e != OK) {
		ses_free(s);
		return e;
	}
	*out = s;
	return OK;
}
