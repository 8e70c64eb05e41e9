/* Dialogs that nobody wants: a second fork that answered, a call that was given up as its 2xx came,
 * a 2xx long after the call. Each is acknowledged and ended with BYE, as RFC 3261 asks, and until
 * the BYE is answered it still acknowledges repetitions of its 2xx. A call whose peer says nothing,
 * or does not know it any more, is over for its owner, too; the peer may yet hear the BYE, and so
 * does who keeps record of the call on the way (RFC 3261 12.2.1.2, RFC 5057 5.2).
 *
 * A 2xx is ours and not one that the exchange forwards when ours is its only Via. A dialog that was
 * ended in good order may see its 2xx once more, when the last ACK was lost or overtaken: that gets
 * an ACK and no BYE (a second BYE would look as if both sides had hung up). For that a dialog
 * leaves a grave for 64*T1: a hash of its names, nothing else.
 *
 * [RFC3261 13.2.2.4, 15] [RFC5407 3.1.3]
 */
#include "dialog/priv.h"

#include "base/limits.h"

/* Of a dialog that we remember nothing of: it may have had PRACKs. */
#define STRAY_GAP 64

/* --- graves ----------------------------------------------------------------------------------- */

static uint64_t name_of(const struct dlg_mgr *m, struct str call_id, struct str local_tag,
			struct str remote_tag)
{
	uint64_t h[3] = {htab_hash(m->key, call_id.p, call_id.n),
			 htab_hash(m->key, local_tag.p, local_tag.n),
			 htab_hash(m->key, remote_tag.p, remote_tag.n)};
	return htab_hash(m->key, h, sizeof(h));
}

static void close_grave(struct dlg_mgr *m, struct dlg_grave *g)
{
	htab_del(&m->by_name, &g->node);
	list_del(&g->link);
	pool_put(&m->graves, g);
}

static void close_old(struct dlg_mgr *m)
{
	uint64_t now = ev_now_us(m->loop);
	while (!list_is_empty(&m->grave_list)) {
		struct dlg_grave *g = LIST_ENTRY(m->grave_list.next, struct dlg_grave, link);
		if (g->due_us > now)
			return;
		close_grave(m, g);
	}
}

void dlg_bury(const struct dlg *d)
{
	struct dlg_mgr *m = d->m;
	close_old(m);
	if (!dlg_has_acked(d) && !d->awaits_prack) /* no INVITE of ours was answered in it */
		return;
	struct dlg_grave *g = pool_get(&m->graves);
	if (!g)
		return;
	g->awaits_prack = d->awaits_prack;
	g->due_us = ev_now_us(m->loop) + 64ull * TSX_T1_US;
	htab_add(&m->by_name, &g->node,
		 name_of(m, dlg_call_id(d), dlg_local_tag(d), dlg_remote_tag(d)));
	list_push(&m->grave_list, &g->link);
}

void dlg_graves_fini(struct dlg_mgr *m)
{
	LIST_EACH (&m->grave_list, l)
		close_grave(m, LIST_ENTRY(l, struct dlg_grave, link));
	pool_fini(&m->graves);
}

bool dlg_awaited_prack(struct dlg_mgr *m, const struct sip_msg *prack)
{
	close_old(m);
	struct hnode *n =
		htab_first(&m->by_name, name_of(m, prack->call_id, prack->to_tag, prack->from_tag));
	return n && CONTAINER_OF(n, struct dlg_grave, node)->awaits_prack;
}

static bool has_grave(struct dlg_mgr *m, const struct sip_msg *resp)
{
	close_old(m);
	return htab_first(&m->by_name, name_of(m, resp->call_id, resp->from_tag, resp->to_tag)) !=
	       NULL;
}

/* --- dying dialogs ---------------------------------------------------------------------------- */

static void on_request(struct dlg_usage *u, tsx_id st, struct tp_rx *rx)
{
	struct dlg *d = CONTAINER_OF(u, struct dlg, own_usage);
	struct dlg_answer ans = {.status = 481, .why = DLG_REFUSE_NO_DIALOG};
	if (rx->msg->method == SIP_BYE)
		ans = (struct dlg_answer){.status = 200};
	(void)!dlg_answer(d, st, rx, &ans);
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
	dlg_bury(d);
	dlg_free(d);
}

static const struct uac_user bye_user = {.on_done = on_bye_done};

/* False: there are too many, it is freed; its peer ends it at last. */
static bool take_over(struct dlg *d)
{
	if (d->m->n_dying >= LIMIT_DYING_DIALOGS) {
		dlg_free(d);
		return false;
	}
	d->is_dying = true;
	d->m->n_dying++;
	d->own_usage.ops = &dying_ops;
	d->usage = &d->own_usage;
	return true;
}

static void say_bye(struct dlg *d, struct str headers)
{
	struct dlg_request bye = {.method = STR("BYE"), .headers = headers};
	if (dlg_send(d, &bye, &bye_user, NULL, d, &d->bye) != OK)
		dlg_free(d);
}

void dlg_kill(struct dlg *d, uint32_t cseq, struct str auth_lines)
{
	if (!take_over(d))
		return;
	dlg_send_ack(d, cseq, auth_lines, STR_NONE);
	say_bye(d, STR_NONE);
}

void dlg_leave(struct dlg *d, unsigned status)
{
	char mem[120];
	struct buf why;
	buf_init_fixed(&why, mem, sizeof(mem));
	buf_fmt(&why, "Reason: SIP;cause=%u;text=\"" STR_FMT "\"\r\n", status,
		STR_ARG(sip_status_reason(status)));
	if (take_over(d))
		say_bye(d, buf_view(&why));
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
	if (e != OK)
		return true;
	sid_recall(&d->sid, msg);
	if (!has_grave(m, msg)) {
		d->local_cseq += STRAY_GAP;
		dlg_kill(d, msg->cseq, STR_NONE);
		return true;
	}
	if (dlg_expect_ack(d) == OK) {
		d->ack->dst = from; /* where it came from: nothing to be looked up for */
		d->ack->has_dst = true;
	}
	dlg_send_ack(d, msg->cseq, STR_NONE, STR_NONE);
	dlg_free(d);
	return true;
}
