/* The manager of one shard's dialogs: what comes in goes to the dialog that it names.
 *
 * Requests are dispatched by Call-ID, To tag (ours) and From tag (theirs). CSeq order is checked
 * here, and what no usage of ours understands in any dialog is refused here; the rest is the
 * usage's. ACK and CANCEL have their own ways: an ACK for a 2xx has no transaction, and a CANCEL
 * names the INVITE, whose To tag is known to be the hash that the transaction layer gives out.
 *
 * The manager owns the pools of all objects of this folder. dlg_mgr_free drops sessions,
 * registrations, subscriptions and requests, in this order, since each owns some of the next.
 * [RFC3261 12.2.2, 9.2, 8.2]
 */
#include "dialog/reg_priv.h"
#include "dialog/ses_priv.h"
#include "dialog/sub_priv.h"

#include <stdlib.h>
#include <string.h>

/* The dialog of an INVITE that has no final response, or of a CANCEL for it. */
static struct dlg *pending_of(struct dlg_mgr *m, const struct sip_msg *req)
{
	char tag[DLG_TAG_MAX];
	return dlg_find(m, req->call_id, tsx_to_tag(m->tsx, req, tag), req->from_tag);
}

/* What 100 to an INVITE and 200 to a CANCEL say of the session. */
static void put_courtesy(void *ctx, const struct tp_rx *rx, struct buf *lines)
{
	const struct dlg *d = pending_of(ctx, rx->msg);
	if (d)
		sid_put_answer(&d->sid, rx->msg, lines);
}

static enum err dlg_mgr_init(struct dlg_mgr *m, const struct dlg_config *cfg)
{
	uint32_t max = cfg->max_dialogs ? cfg->max_dialogs : LIMIT_DIALOGS;
	uint8_t shard = (uint8_t)m->loop->shard;
	pool_init(&m->dialogs, sizeof(struct dlg), max, DLG_KIND_DIALOG, shard);
	pool_init(&m->sessions, sizeof(struct ses), max, DLG_KIND_SESSION, shard);
	pool_init(&m->works, sizeof(struct ses_work), max, DLG_KIND_NONE, shard);
	pool_init(&m->subs, sizeof(struct sub), max, DLG_KIND_SUB, shard);
	pool_init(&m->requests, sizeof(struct uac), max, DLG_KIND_NONE, shard);
	pool_init(&m->graves, sizeof(struct dlg_grave), max, DLG_KIND_NONE, shard);
	list_init(&m->grave_list);
	pool_init(&m->registrations, sizeof(struct rgc), max, DLG_KIND_NONE, shard);
	struct buf *bufs[] = {&m->scratch, &m->lines, &m->routes, &m->names, &m->sdp, &m->refusal};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_init(bufs[i]);
	fsm_index_init(&m->ses_fsm, &ses_machine);
	m->refusal_ctx = cfg->ctx;
	m->on_refusal = cfg->on_refusal;
	env_random(m->loop->env, m->key, sizeof(m->key));
	env_random(m->loop->env, m->mark, sizeof(m->mark));
	if (cfg->product.n) {
		m->product = malloc(cfg->product.n);
		if (!m->product)
			return ERR_NOMEM;
		memcpy(m->product, cfg->product.p, cfg->product.n);
		m->product_s = str_of(m->product, cfg->product.n);
	}
	tsx_set_courtesy(m->tsx, put_courtesy, m);
	enum err e = htab_init(&m->table, 256);
	return e == OK ? htab_init(&m->by_name, 64) : e;
}

enum err dlg_mgr_new(struct ev_loop *loop, struct tp *tp, struct tsx_mgr *tsx,
		     struct block_cache *blocks, const struct dlg_config *cfg, struct dlg_mgr **out)
{
	struct dlg_mgr *m = calloc(1, sizeof(*m));
	if (!m)
		return ERR_NOMEM;
	m->loop = loop;
	m->tp = tp;
	m->tsx = tsx;
	m->blocks = blocks;
	enum err e = dlg_mgr_init(m, cfg);
	if (e != OK) {
		dlg_mgr_free(m);
		return e;
	}
	*out = m;
	return OK;
}

void dlg_mgr_free(struct dlg_mgr *m)
{
	if (!m)
		return;
	tsx_set_courtesy(m->tsx, NULL, NULL);
	uint32_t at = 0;
	for (struct ses *s; (s = pool_next(&m->sessions, &at));)
		ses_free(s);
	at = 0;
	for (struct rgc *r; (r = pool_next(&m->registrations, &at));)
		rgc_free(r);
	at = 0;
	for (struct sub *s; (s = pool_next(&m->subs, &at));)
		sub_drop(s);
	at = 0;
	for (struct dlg *d; (d = pool_next(&m->dialogs, &at));)
		dlg_free(d);
	at = 0;
	for (struct uac *u; (u = pool_next(&m->requests, &at));)
		uac_drop(u);
	dlg_graves_fini(m);
	pool_fini(&m->sessions);
	pool_fini(&m->works);
	pool_fini(&m->registrations);
	pool_fini(&m->subs);
	pool_fini(&m->dialogs);
	pool_fini(&m->requests);
	htab_fini(&m->table);
	htab_fini(&m->by_name);
	struct buf *bufs[] = {&m->scratch, &m->lines, &m->routes, &m->names, &m->sdp, &m->refusal};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_fini(bufs[i]);
	ses_drop_text(m->last_text);
	free(m->product);
	free(m);
}

/* --- dispatch --------------------------------------------------------------------------------- */

static struct dlg *dialog_of(struct dlg_mgr *m, const struct sip_msg *req)
{
	return req->to_tag.n ? dlg_find(m, req->call_id, req->to_tag, req->from_tag) : NULL;
}

bool dlg_on_request(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx)
{
	struct dlg *d = dialog_of(m, rx->msg);
	if (!d && rx->msg->method == SIP_PRACK && dlg_awaited_prack(m, rx->msg)) {
		dlg_turn_away(m, st, 200); /* [RFC3262 3] */
		return true;
	}
	if (!d || !d->usage)
		return false;
	if (dlg_check_order(d, st, rx) && dlg_check_require(m, st, rx, true) &&
	    dlg_check_replaces(m, st, rx))
		d->usage->ops->on_request(d->usage, st, rx);
	return true;
}

bool dlg_on_ack(struct dlg_mgr *m, struct tp_rx *rx)
{
	struct dlg *d = dialog_of(m, rx->msg);
	if (!d || !d->usage)
		return false;
	sid_hear_request(&d->sid, rx->msg);
	if (d->usage->ops->on_ack)
		d->usage->ops->on_ack(d->usage, rx);
	return true;
}

bool dlg_on_cancel(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx)
{
	struct dlg *d = pending_of(m, rx->msg);
	if (!d || !d->usage || !d->usage->ops->on_cancel)
		return false;
	return d->usage->ops->on_cancel(d->usage, st, rx);
}

bool dlg_on_stray_response(struct dlg_mgr *m, struct tp_rx *rx)
{
	const struct sip_msg *msg = rx->msg;
	struct dlg *d = dlg_find(m, msg->call_id, msg->from_tag, msg->to_tag);
	if (!d || !d->usage)
		return dlg_kill_stray(m, rx);
	if (d->usage->ops->on_2xx)
		d->usage->ops->on_2xx(d->usage, rx);
	return true;
}

bool dlg_on_server_end(struct dlg_mgr *m, tsx_id st, void *owner, enum tsx_end why)
{
	/* nothing here waits for the end of a server transaction: a final response ends an INVITE
	 * for its session, ACK and 64*T1 end the rest */
	return false;
}

void dlg_on_flow_down(struct dlg_mgr *m, tp_flow flow)
{
	uint32_t at = 0;
	for (struct rgc *r; (r = pool_next(&m->registrations, &at));)
		rgc_on_flow_down(r, flow);
}

void dlg_on_pong(struct dlg_mgr *m, const struct tp_pong *p)
{
	uint32_t at = 0;
	for (struct rgc *r; (r = pool_next(&m->registrations, &at));)
		keep_on_pong(r, p);
}

void dlg_refuse_unknown(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx)
{
	uint8_t method = rx->msg->method;
	unsigned status = 405;
	enum dlg_refusal why = DLG_REFUSE_METHOD;
	struct str lines = STR("Allow: " DLG_ALLOW "\r\n");
	if (rx->msg->to_tag.n || method == SIP_BYE || method == SIP_NOTIFY) {
		status = 481;
		why = DLG_REFUSE_NO_DIALOG;
		lines = STR_NONE;
	} else if (method == SIP_SUBSCRIBE && dlg_is_event(rx->msg, STR("refer"))) {
		status = 403; /* [RFC3515 2.4.4] */
		why = DLG_REFUSE_REFER;
		lines = STR_NONE;
	} else if (method == SIP_OPTIONS) {
		status = 200;
		why = DLG_REFUSE_NONE;
		lines = STR("Allow: " DLG_ALLOW "\r\nAccept: application/sdp\r\n");
	}
	dlg_refuse(m, st, why, status, STR_NONE, lines);
}

void dlg_stats(const struct dlg_mgr *m, struct dlg_stats *out)
{
	*out = (struct dlg_stats){.dialogs = m->dialogs.n_used,
				  .sessions = m->sessions.n_used,
				  .subscriptions = m->subs.n_used,
				  .requests = m->requests.n_used};
}

/* --- checks ----------------------------------------------------------------------------------- */

void dlg_refuse(struct dlg_mgr *m, tsx_id st, enum dlg_refusal why, unsigned status,
		struct str reason, struct str lines)
{
	struct buf *b = &m->refusal;
	const struct tp_rx *rx = tsx_request(m->tsx, st);
	struct dlg *d = rx ? dialog_of(m, rx->msg) : NULL;
	buf_clear(b);
	if (d)
		sid_put_answer(&d->sid, rx->msg, b);
	else if (rx && rx->msg->method == SIP_INVITE)
		sid_put_stranger(m->loop->env, rx->msg, b);
	buf_str(b, lines);
	if (why != DLG_REFUSE_NONE && m->on_refusal)
		m->on_refusal(m->refusal_ctx, why, status, b);
	enum err e = tsx_reply(m->tsx, st, status, reason, b->err == OK ? buf_view(b) : lines);
	if (e != OK && e != ERR_STATE)
		tsx_drop(m->tsx, st);
}

void dlg_turn_away(struct dlg_mgr *m, tsx_id st, unsigned status)
{
	dlg_refuse(m, st, DLG_REFUSE_NONE, status, STR_NONE, STR_NONE);
}

/* What sessions understand; who does not offer one of them will not be asked for it. Replaces is
 * the matter of who stands between two parties. */
static bool is_understood(struct str option, bool is_between)
{
	static const struct str known[] = {STR_INIT("100rel"), STR_INIT("timer"),
					   STR_INIT("norefersub")};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_ieq(option, known[i]))
			return true;
	return is_between && str_ieq(option, STR("replaces"));
}

bool dlg_check_require(struct dlg_mgr *m, tsx_id st, const struct tp_rx *rx, bool is_between)
{
	/* [RFC3261 8.2.2.3] */
	struct sip_iter it = {0};
	struct str v;
	struct buf *b = &m->lines;
	buf_clear(b);
	while (sip_each(rx->msg, SIP_HDR_REQUIRE, &it, &v)) {
		if (is_understood(v, is_between))
			continue;
		buf_str(b, b->n ? STR(", ") : STR("Unsupported: "));
		buf_str(b, v);
	}
	if (!b->n)
		return true;
	buf_str(b, STR("\r\n"));
	dlg_refuse(m, st, DLG_REFUSE_EXTENSION, 420, STR_NONE, buf_view(b));
	return false;
}

bool dlg_check_replaces(struct dlg_mgr *m, tsx_id st, const struct tp_rx *rx)
{
	size_t n = sip_count(rx->msg, SIP_HDR_REPLACES);
	if (n == 0 || (n == 1 && rx->msg->method == SIP_INVITE))
		return true;
	dlg_refuse(m, st, DLG_REFUSE_REPLACES, 400, STR("Bad Request (Replaces)"), STR_NONE);
	return false;
}

bool dlg_is_event(const struct sip_msg *msg, struct str package)
{
	struct sip_event ev;
	return sip_event_parse(sip_value(msg, SIP_HDR_EVENT), &ev) == OK &&
	       str_ieq(ev.package, package);
}
