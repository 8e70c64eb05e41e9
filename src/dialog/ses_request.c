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
	ses_step(s, SES_E_BYE, STR_NONE);
}

static void on_info(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	ses_reply(s, st, rx, 200, STR_NONE);
	ses_tell(s, SES_EV_INFO, 0, SES_BY_REMOTE, rx);
}

/* The dialog by which it came: before the 2xx each fork has its own. */
static struct dlg *dialog_of(struct ses *s, const struct tp_rx *rx)
{
	if (s->d)
		return s->d;
	for (unsigned i = 0; i < s->n_forks; i++)
		if (str_eq(s->forks[i]->remote_tag, rx->msg->from_tag))
			return s->forks[i];
	return NULL;
}

/* Early dialogs of a caller: nothing can be changed yet. */
static void on_early_request(struct ses *s, struct dlg *d, tsx_id st, struct tp_rx *rx)
{
	uint8_t method = rx->msg->method;
	bool is_fine = method == SIP_BYE || method == SIP_OPTIONS || method == SIP_INFO;
	struct str sdp;
	struct dlg_answer ans = {.status = 200};
	if (method == SIP_INVITE || (method == SIP_UPDATE && dlg_sdp(rx->msg, &sdp)))
		ans = (struct dlg_answer){.status = 491, .why = DLG_REFUSE_GLARE};
	else if (!is_fine && method != SIP_UPDATE)
		ans = (struct dlg_answer){.status = 405, .why = DLG_REFUSE_METHOD};
	(void)!dlg_answer(d, st, rx, &ans);
	if (method == SIP_UPDATE && ans.status == 200)
		dlg_refresh(d, rx);
}

void ses_on_request(struct dlg_usage *u, tsx_id st, struct tp_rx *rx)
{
	struct ses *s = CONTAINER_OF(u, struct ses, usage);
	uint8_t method = rx->msg->method;
	struct dlg *d = dialog_of(s, rx);
	if (!s->d) {
		if (d)
			on_early_request(s, d, st, rx);
		else
			dlg_refuse(s->m, st, DLG_REFUSE_NO_DIALOG, 481, STR_NONE, STR_NONE);
		return;
	}
	bool is_ending = s->state == SES_CLOSING || s->state == SES_ENDING;
	if (s->state == SES_ENDED) { /* and its owner only to be told, later in this turn */
		ses_refuse(s, st, rx, DLG_REFUSE_NO_DIALOG, 481, STR_NONE);
		return;
	}
	if (method == SIP_BYE)
		on_bye(s, st, rx);
	else if (is_ending)
		ses_refuse(s, st, rx, DLG_REFUSE_NO_DIALOG, 481, STR_NONE);
	else if (method == SIP_INVITE)
		ses_on_reinvite(s, st, rx);
	else if (method == SIP_UPDATE)
		ses_on_update(s, st, rx);
	else if (method == SIP_INFO || method == SIP_MESSAGE)
		on_info(s, st, rx);
	else if (method == SIP_OPTIONS)
		ses_reply(s, st, rx, 200, STR("Accept: application/sdp\r\n"));
	else if (method == SIP_NOTIFY)
		ses_refuse(s, st, rx, DLG_REFUSE_NO_DIALOG, 481, STR_NONE);
	else
		ses_refuse(s, st, rx, DLG_REFUSE_METHOD, 405, STR_NONE);
	ses_flush(s);
}

const struct dlg_usage_ops ses_usage_ops = {
	.on_request = ses_on_request,
	.on_ack = ses_on_ack,
	.on_cancel = ses_on_cancel,
	.on_2xx = ses_on_2xx_again,
};

/* --- INFO of ours ----------------------------------------------------------------------------- */

static void on_info_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct ses *s = ctx;
	for (unsigned i = 0; i < SES_INFOS; i++)
		if (s->infos[i] == u)
			s->infos[i] = NULL;
	if (!dlg_is_fatal(r))
		return;
	ses_set_end(s, SES_BY_NETWORK, SES_CAUSE_GONE, r->status, STR_NONE);
	ses_step(s, SES_E_GONE, STR_NONE);
	ses_flush(s);
}

static const struct uac_user info_user = {.on_done = on_info_done};

enum err ses_info(struct ses *s, struct str content_type, struct str body)
{
	if (s->state != SES_CONFIRMED)
		return ERR_STATE;
	struct dlg_request req = {
		.method = STR("INFO"), .content_type = content_type, .body = body};
	for (unsigned i = 0; i < SES_INFOS; i++)
		if (!s->infos[i])
			return dlg_send(s->d, &req, &info_user, NULL, s, &s->infos[i]);
	return ERR_LIMIT;
}
