/* What the peer asks for inside a session's dialog.
 *
 * BYE ends; re-INVITE and UPDATE change (ses_modify.c); OPTIONS, INFO and MESSAGE are answered; the
 * rest is refused. A session that is being ended knows only BYE.
 *
 * [RFC3261 12.2.2, 15.1.2, 11] [RFC6086] [RFC3428]
 */
#include "dialog/ses_priv.h"

static void on_bye(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	ses_reply(s, st, rx, 200, STR_NONE);
	/* ours waits for the ACK and has not been sent: then it was the peer who ended it */
	if (s->state == SES_CLOSING)
		s->has_end = false;
	bool is_pending = s->state == SES_INCOMING;
	if (s->state != SES_CALLING && s->state != SES_CANCELLING)
		ses_set_end(s, SES_BY_REMOTE, is_pending ? SES_CAUSE_CANCEL : SES_CAUSE_HANGUP,
			    is_pending ? 487 : 0, ses_text_of(rx->msg));
	ses_tell(s, SES_EV_LEFT, s->end_status, SES_BY_REMOTE, rx);
	ses_step(s, SES_E_BYE, STR_NONE);
}

/* His header lines are in m->lines. */
static unsigned ask_owner(struct ses *s, struct tp_rx *rx)
{
	struct buf *b = &s->m->lines;
	buf_clear(b);
	return s->user && s->user->on_request ? s->user->on_request(s->ctx, s, rx, b) : 0;
}

static void on_info(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	unsigned status = ask_owner(s, rx);
	if (status == SES_LATER) {
		ses_tell_tag(s, SES_EV_REQUEST, 0, rx, st);
		return;
	}
	ses_reply(s, st, rx, status ? status : 200, buf_view(&s->m->lines));
	if (!status)
		ses_tell(s, SES_EV_INFO, 0, SES_BY_REMOTE, rx);
}

/* He does not want to be told how it goes. [RFC4488 4] */
static bool wants_no_word(const struct sip_msg *m)
{
	struct str rest;
	return str_ieq(str_trim(str_cut(sip_value(m, SIP_HDR_REFER_SUB), ';', &rest)),
		       STR("false"));
}

void ses_on_refer(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	bool is_silent = wants_no_word(rx->msg);
	unsigned status = s->state == SES_CONFIRMED ? ask_owner(s, rx) : 0;
	if (!status) {
		ses_refuse(s, st, rx, DLG_REFUSE_METHOD, 405, STR_NONE);
		return;
	}
	if (is_silent && status / 100 == 2)
		buf_str(&s->m->lines, STR("Refer-Sub: false\r\n"));
	ses_reply(s, st, rx, status, buf_view(&s->m->lines));
	if (status / 100 != 2)
		return;
	s->refer_cseq = is_silent ? 0 : rx->msg->cseq;
	s->n_refers += s->n_refers < 2;
	ses_tell(s, SES_EV_REFER, status, SES_BY_REMOTE, rx);
}

/* The dialog by which it came: before the 2xx each fork has its own. */
static struct dlg *dialog_of(struct ses *s, const struct tp_rx *rx)
{
	if (s->d)
		return s->d;
	for (unsigned i = 0; i < s->w->n_forks; i++)
		if (str_eq(dlg_remote_tag(s->w->forks[i].d), rx->msg->from_tag))
			return s->w->forks[i].d;
	return NULL;
}

/* Early dialogs of a caller: nothing can be changed yet. */
static void on_early_request(struct ses *s, struct dlg *d, tsx_id st, struct tp_rx *rx)
{
	uint8_t method = rx->msg->method;
	bool is_fine = method == SIP_BYE || method == SIP_OPTIONS || method == SIP_INFO;
	struct dlg_answer ans = {.status = 200};
	if (method == SIP_UPDATE) {
		ses_on_update(s, d, st, rx);
		return;
	}
	if (method == SIP_INVITE)
		ans = (struct dlg_answer){.status = 491, .why = DLG_REFUSE_GLARE};
	else if (!is_fine)
		ans = (struct dlg_answer){.status = 405, .why = DLG_REFUSE_METHOD};
	(void)!dlg_answer(d, st, rx, &ans);
}

static void take_request(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	uint8_t method = rx->msg->method;
	bool is_ending = s->state == SES_CLOSING || s->state == SES_ENDING;
	if (method == SIP_BYE)
		on_bye(s, st, rx);
	else if (method == SIP_PRACK)
		ses_on_prack(s, st, rx);
	else if (is_ending)
		ses_refuse(s, st, rx, DLG_REFUSE_NO_DIALOG, 481, STR_NONE);
	else if (method == SIP_INVITE)
		ses_on_reinvite(s, st, rx);
	else if (method == SIP_UPDATE)
		ses_on_update(s, s->d, st, rx);
	else if (method == SIP_INFO || method == SIP_MESSAGE)
		on_info(s, st, rx);
	else if (method == SIP_OPTIONS)
		ses_reply(s, st, rx, 200, STR("Accept: application/sdp\r\n"));
	else if (method == SIP_REFER)
		ses_on_refer(s, st, rx);
	else if (method == SIP_NOTIFY)
		ses_on_notify(s, st, rx);
	else if (method == SIP_SUBSCRIBE && dlg_is_event(rx->msg, STR("refer")))
		ses_on_resubscribe(s, st, rx);
	else
		ses_refuse(s, st, rx, DLG_REFUSE_METHOD, 405, STR_NONE);
}

void ses_on_request(struct dlg_usage *u, tsx_id st, struct tp_rx *rx)
{
	struct ses *s = CONTAINER_OF(u, struct ses, usage);
	struct dlg *d = dialog_of(s, rx);
	if (!ses_wake(s)) {
		dlg_refuse(s->m, st, DLG_REFUSE_FULL, 503, STR_NONE, STR("Retry-After: 5\r\n"));
		return;
	}
	if (!s->d) {
		if (d) {
			on_early_request(s, d, st, rx);
			ses_flush(s);
		} else {
			dlg_refuse(s->m, st, DLG_REFUSE_NO_DIALOG, 481, STR_NONE, STR_NONE);
		}
		return;
	}
	if (s->state == SES_ENDED) /* and its owner only to be told, later in this turn */
		ses_refuse(s, st, rx, DLG_REFUSE_NO_DIALOG, 481, STR_NONE);
	else
		take_request(s, st, rx);
	ses_flush(s);
}

const struct dlg_usage_ops ses_usage_ops = {
	.on_request = ses_on_request,
	.on_ack = ses_on_ack,
	.on_cancel = ses_on_cancel,
	.on_2xx = ses_on_2xx_again,
};

/* --- requests of ours ------------------------------------------------------------------------- */

static void on_asked(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct ses *s = ctx;
	uint64_t tag = 0;
	for (unsigned i = 0; i < SES_REQUESTS; i++)
		if (s->w->asked[i].uac == u) {
			tag = s->w->asked[i].tag;
			s->w->asked[i] = (struct ses_asked){0};
		}
	bool is_mild = tag == SES_TAG_MILD || tag == SES_TAG_NOTIFY;
	if (tag == SES_TAG_NOTIFY && r->how == UAC_FINAL && sub_ends_by(r->status))
		s->refer_cseq = s->w->notify_next = 0; /* he asks no more */
	if (tag == SES_TAG_NOTIFY && s->w->notify_next)
		ses_notify(s, s->w->notify_next);
	if (tag && !is_mild)
		ses_tell_tag(s, SES_EV_RESPONSE, r->status, r->rx, tag);
	if (!is_mild && dlg_is_fatal(r) && s->state == SES_CONFIRMED)
		ses_lose(s, r);
	ses_flush(s);
}

static const struct uac_user asked_user = {.on_done = on_asked};

enum err ses_ask(struct ses *s, struct dlg *d, const struct dlg_request *req, uint64_t tag)
{
	for (unsigned i = 0; ses_wake(s) && i < SES_REQUESTS; i++) {
		struct ses_asked *a = &s->w->asked[i];
		if (a->uac)
			continue;
		enum err e = dlg_send(d, req, &asked_user, NULL, s, &a->uac);
		if (e == OK) {
			a->d = d;
			a->tag = tag;
		}
		return e;
	}
	return ERR_LIMIT;
}

enum err ses_request(struct ses *s, const struct ses_request *req)
{
	if (s->state != SES_CONFIRMED)
		return ERR_STATE;
	struct dlg_request r = {.method = req->method,
				.headers = req->headers,
				.content_type = req->content_type,
				.body = req->body};
	return ses_ask(s, s->d, &r, req->tag);
}

enum err ses_info(struct ses *s, struct str content_type, struct str body)
{
	struct ses_request req = {
		.method = STR("INFO"), .content_type = content_type, .body = body};
	return ses_request(s, &req);
}

void ses_respond(struct ses *s, tsx_id st, unsigned status, struct str headers)
{
	struct tp_rx *rx = tsx_request(s->m->tsx, st);
	if (rx && s->d)
		ses_reply(s, st, rx, status, headers);
}
