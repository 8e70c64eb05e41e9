/* The ACK for a 2xx: a request of its own, outside of transactions, that the user agent repeats
 * each time the 2xx comes again [RFC3261 13.2.2.4].
 *
 * The dialog keeps what the last one said (number, credentials of its INVITE, body) and where it
 * went; the message is composed anew each time. Where it goes is looked up like any request inside
 * the dialog; when that cannot be (a Contact that leads nowhere), it goes where the INVITE went:
 * the best guess there is, and it saves calls through broken Contacts.
 */
#include "dialog/priv.h"

#include <stdlib.h>

enum err dlg_expect_ack(struct dlg *d)
{
	if (!d->ack)
		d->ack = calloc(1, sizeof(*d->ack));
	return d->ack ? OK : ERR_NOMEM;
}

void dlg_forget_ack(struct dlg *d)
{
	if (!d->ack)
		return;
	if (d->ack->resolve)
		tp_resolve_cancel(d->ack->resolve);
	buf_fini(&d->ack->text);
	free(d->ack);
	d->ack = NULL;
}

bool dlg_has_acked(const struct dlg *d)
{
	return d->ack && d->ack->is_set;
}

static enum err compose_ack(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out)
{
	struct dlg *d = ctx;
	struct dlg_way w;
	struct sip_out o;
	enum err e = dlg_make_way(d, &w);
	if (e != OK)
		return e;
	sip_out_request(&o, out, STR("ACK"), w.ruri);
	buf_str(out, via);
	sip_out_fmt(&o, SIP_HDR_MAX_FORWARDS, "70");
	buf_str(out, w.routes);
	buf_str(out, STR("From: "));
	dlg_put_with_tag(out, dlg_local(d), dlg_local_tag(d));
	buf_str(out, STR("\r\nTo: "));
	dlg_put_with_tag(out, dlg_remote(d), dlg_remote_tag(d));
	buf_str(out, STR("\r\n"));
	sip_out_hdr(&o, SIP_HDR_CALL_ID, dlg_call_id(d));
	sip_out_fmt(&o, SIP_HDR_CSEQ, "%u ACK", d->ack->cseq);
	sid_put(&d->sid, out);
	struct str text = buf_view(&d->ack->text);
	buf_str(out, str_sub(text, 0, d->ack->n_lines));
	if (d->m->product_s.n)
		sip_out_hdr(&o, SIP_HDR_USER_AGENT, d->m->product_s);
	struct str body = str_skip(text, d->ack->n_lines);
	return dlg_out_end(d->m, &o, STR("application/sdp"), body);
}

static void ack_now(struct dlg *d)
{
	enum err e = tsx_send_stateless(d->m->tsx, &d->ack->dst, compose_ack, d);
	if (e != OK)
		d->ack->has_dst = false; /* the next 2xx looks for another way */
}

static void on_ack_resolved(void *ctx, enum err e, const struct tp_targets *t)
{
	struct dlg *d = ctx;
	d->ack->resolve = NULL;
	/* a Contact that leads nowhere: where the INVITE went is the best guess there is */
	d->ack->dst = e == OK && t->n ? t->dst[0] : d->back;
	d->ack->has_dst = true;
	ack_now(d);
}

void dlg_ack_again(struct dlg *d)
{
	if (!dlg_has_acked(d) || d->ack->resolve)
		return;
	if (d->ack->has_dst && (!d->ack->dst.flow || tp_flow_is_up(d->m->tp, d->ack->dst.flow))) {
		ack_now(d);
		return;
	}
	if (dlg_way_back_stands(d)) {
		d->ack->dst = d->back;
		d->ack->has_dst = true;
		ack_now(d);
		return;
	}
	struct dlg_way w;
	struct sip_uri uri;
	struct tp_targets now = {0};
	enum err e = dlg_make_way(d, &w);
	if (e == OK)
		e = sip_uri_parse(w.next_hop, &uri);
	if (e == OK)
		e = tp_resolve_uri(d->m->tp, &uri, &now, on_ack_resolved, d, &d->ack->resolve);
	if (e != ERR_MORE)
		on_ack_resolved(d, e, &now);
}

void dlg_prepare_ack(struct dlg *d, uint32_t cseq, struct str auth_lines)
{
	if (dlg_expect_ack(d) != OK) /* only where there was no INVITE of ours */
		return;
	struct dlg_ack *a = d->ack;
	a->cseq = cseq;
	a->is_set = false;
	buf_clear(&a->text);
	buf_str(&a->text, auth_lines);
	a->n_lines = a->text.n;
}

void dlg_send_prepared_ack(struct dlg *d, struct str body)
{
	if (!d->ack)
		return;
	buf_str(&d->ack->text, body);
	d->ack->is_set = d->ack->text.err == OK;
	dlg_ack_again(d);
}

void dlg_send_ack(struct dlg *d, uint32_t cseq, struct str auth_lines, struct str body)
{
	dlg_prepare_ack(d, cseq, auth_lines);
	dlg_send_prepared_ack(d, body);
}
