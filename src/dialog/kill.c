/* Dialogs that nobody wants: a second fork that answered, a call that was given up as its 2xx came,
 * a 2xx long after the call. Each is acknowledged and ended with BYE, as RFC 3261 asks, and until
 * the BYE is answered it still acknowledges repetitions of its 2xx.
 *
 * A 2xx is ours and not one that the exchange forwards when ours is its only Via.
 *
 * [RFC3261 13.2.2.4, 15] [RFC5407 3.1.3]
 */
#include "dialog/priv.h"

static void on_request(struct dlg_usage *u, tsx_id st, struct tp_rx *rx)
{
	struct dlg *d = CONTAINER_OF(u, struct dlg, own_usage);
	unsigned status = rx->msg->method == SIP_BYE ? 200 : 481;
	(void)!dlg_answer(d, st, rx, &(struct dlg_answer){.status = status});
}

static void on_2xx(struct dlg_usage *u, struct tp_rx *rx)
{
	dlg_ack_again(CONTAINER_OF(u, struct dlg, own_usage));
}

static const struct dlg_usage_ops dying_ops = {.on_request = on_request, .on_2xx = on_2xx};

static void on_bye_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct dlg *d = ctx;
	d->bye = NULL;
	dlg_free(d);
}

static const struct uac_user bye_user = {.on_done = on_bye_done};

void dlg_kill(struct dlg *d, uint32_t cseq, struct str auth_lines)
{
	d->own_usage.ops = &dying_ops;
	d->usage = &d->own_usage;
	dlg_send_ack(d, cseq, auth_lines, STR_NONE);
	if (dlg_send(d, &(struct dlg_request){.method = STR("BYE")}, &bye_user, NULL, d, &d->bye) !=
	    OK)
		dlg_free(d);
}

bool dlg_kill_stray(struct dlg_mgr *m, struct tp_rx *rx)
{
	const struct sip_msg *msg = rx->msg;
	if (sip_count(msg, SIP_HDR_VIA) != 1 || !msg->to_tag.n || !sip_has(msg, SIP_HDR_CONTACT))
		return false;
	struct dlg *half, *d;
	struct uac_account acc = {.from = sip_value(msg, SIP_HDR_FROM)};
	if (dlg_new_uac(m, &acc, sip_value(msg, SIP_HDR_TO), STR("sip:invalid"), msg->call_id,
			msg->from_tag, &half) != OK)
		return true;
	half->local_cseq = msg->cseq;
	struct tp_dst from = tp_dst_back(rx);
	enum err e = dlg_fork(half, rx, &from, &d);
	dlg_free(half);
	if (e == OK)
		dlg_kill(d, msg->cseq, STR_NONE);
	return true;
}
