/* The subscriber: asks, refreshes, and hears NOTIFYs.
 *
 * The dialog is made by whichever comes first, the 2xx or a NOTIFY: until then it is a half one
 * that takes requests (RFC 6665 4.4.1). Of several notifiers behind a fork the first is kept, the
 * others find 481. When no NOTIFY has come 64*T1 after a SUBSCRIBE (Timer N), there is nobody.
 *
 * A refresh is due after 80 to 90 % of the time granted; a NOTIFY may shorten that time. Expires 0
 * (sub_unsubscribe, or a poll) waits for the NOTIFY that ends it. [RFC6665 4.1]
 */
#include "dialog/sub_priv.h"

static void finish_with(struct sub *s, enum sub_why why, const struct uac_result *r)
{
	s->result = arena_alloc(&s->arena, sizeof(*s->result));
	if (s->result) {
		*s->result = *r;
		if (r->rx)
			tp_rx_ref(r->rx);
	}
	sub_finish(s, why, r->status, r->rx ? r->rx->msg->reason : str_c(err_text(r->err)));
}

static enum err send_subscribe(struct sub *s, uint32_t expires_s);

static void on_refresh(struct tmr *t)
{
	struct sub *s = CONTAINER_OF(t, struct sub, timer);
	if (!s->uac && send_subscribe(s, s->expires_s) != OK)
		sub_finish(s, SUB_END_FAILED, 0, STR("the SUBSCRIBE could not be sent"));
}

static void plan_refresh(struct sub *s, uint32_t granted_s)
{
	uint64_t us = granted_s * 1000000ull, now = ev_now_us(s->m->loop);
	if (s->is_unsubscribing || !s->expires_s || !granted_s)
		return;
	s->expires_at_us = now + us;
	uint64_t r = env_random_u64(s->m->loop->env) % (us / 10 + 1);
	ev_timer(s->m->loop, &s->timer, us / 10 * 8 + r, on_refresh);
}

static void on_timer_n(struct tmr *t)
{
	struct sub *s = CONTAINER_OF(t, struct sub, timer_n);
	sub_finish(s, s->is_unsubscribing ? SUB_END_LOCAL : SUB_END_GONE, 0, STR("no NOTIFY came"));
}

/* A 423 tells what the notifier wants; asked once more with that. */
static bool raise_expires(struct sub *s, const struct uac_result *r)
{
	uint32_t min;
	if (r->how != UAC_FINAL || r->status != 423 || s->has_raised || s->is_unsubscribing ||
	    sip_seconds_parse(sip_value(r->rx->msg, SIP_HDR_MIN_EXPIRES), &min) != OK ||
	    min <= s->expires_s)
		return false;
	s->has_raised = true;
	s->expires_s = min;
	return send_subscribe(s, min) == OK;
}

static void on_accepted(struct sub *s, const struct uac_result *r)
{
	uint32_t granted_s = sub_expires_of(r->rx->msg, s->expires_s);
	if (s->d->is_early) {
		s->d->is_early = false;
		s->d->back = r->dst;
		if (!dlg_remote_tag(s->d).n && dlg_complete(s->d, r->rx) != OK) {
			sub_finish(s, SUB_END_FAILED, 0, STR_NONE);
			return;
		}
	} else {
		dlg_refresh(s->d, r->rx);
	}
	plan_refresh(s, granted_s);
	if (s->subscriber && !s->is_unsubscribing)
		s->subscriber->on_event(s->ctx, s,
					&(struct sub_event){.kind = SUB_EV_ACCEPTED,
							    .expires_s = granted_s,
							    .rx = r->rx});
}

static void on_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct sub *s = ctx;
	s->uac = NULL;
	if (s->is_over || raise_expires(s, r))
		return;
	if (r->how == UAC_FINAL && r->status / 100 == 2)
		on_accepted(s, r);
	else if (s->is_unsubscribing)
		finish_with(s, SUB_END_LOCAL, r);
	else if (s->d->is_early || !dlg_is_fatal(r))
		finish_with(s, SUB_END_REFUSED, r);
	else
		finish_with(s, SUB_END_GONE, r);
}

static const struct uac_user subscribe_user = {.on_done = on_done};

static enum err send_subscribe(struct sub *s, uint32_t expires_s)
{
	struct buf *b = &s->m->lines;
	buf_clear(b);
	buf_fmt(b, "Event: " STR_FMT "\r\n", STR_ARG(s->event));
	if (s->accept.n)
		buf_fmt(b, "Accept: " STR_FMT "\r\n", STR_ARG(s->accept));
	buf_fmt(b, "Expires: %u\r\n", expires_s);
	buf_str(b, s->headers);
	struct dlg_request req = {.method = STR("SUBSCRIBE"),
				  .headers = buf_view(b),
				  .dst = s->d->is_early ? s->dst : NULL};
	if (b->err != OK)
		return b->err;
	enum err e = dlg_send(s->d, &req, &subscribe_user, NULL, s, &s->uac);
	if (e == OK)
		ev_timer(s->m->loop, &s->timer_n, 64ull * TSX_T1_US, on_timer_n);
	return e;
}

/* --- NOTIFY ----------------------------------------------------------------------------------- */

static void on_notify(struct sub *s, struct tp_rx *rx, const struct sip_sub_state *state)
{
	const struct sip_msg *msg = rx->msg;
	bool is_last = str_ieq(state->state, STR("terminated"));
	ev_timer_stop(s->m->loop, &s->timer_n);
	if (!is_last && state->expires != UINT32_MAX)
		plan_refresh(s, state->expires);
	if (is_last)
		sub_finish(s, s->is_unsubscribing ? SUB_END_LOCAL : SUB_END_REMOTE, 0,
			   state->reason);
	struct sub_event ev = {.kind = SUB_EV_NOTIFY,
			       .expires_s =
				       is_last || state->expires == UINT32_MAX ? 0 : state->expires,
			       .state = state->state,
			       .content_type = sip_value(msg, SIP_HDR_CONTENT_TYPE),
			       .body = msg->body,
			       .rx = rx};
	if (s->subscriber)
		s->subscriber->on_event(s->ctx, s, &ev);
}

static void on_request(struct dlg_usage *u, tsx_id st, struct tp_rx *rx)
{
	struct sub *s = CONTAINER_OF(u, struct sub, usage);
	struct sip_sub_state state;
	const struct sip_msg *msg = rx->msg;
	unsigned status = 200;
	enum dlg_refusal why = DLG_REFUSE_NONE;
	if (s->is_over)
		status = 481, why = DLG_REFUSE_NO_DIALOG;
	else if (msg->method == SIP_OPTIONS)
		status = 200;
	else if (msg->method != SIP_NOTIFY)
		status = 405, why = DLG_REFUSE_METHOD;
	else if (!sub_is_event(s, msg))
		status = 489, why = DLG_REFUSE_EVENT;
	else if (sip_sub_state_parse(sip_value(msg, SIP_HDR_SUBSCRIPTION_STATE), &state) != OK)
		status = 400, why = DLG_REFUSE_STATE;
	else if (!dlg_remote_tag(s->d).n && dlg_complete(s->d, rx) != OK)
		status = 500, why = DLG_REFUSE_FULL;
	if (status != 200 || msg->method != SIP_NOTIFY) {
		dlg_refuse(s->m, st, why, status, STR_NONE, STR_NONE);
		return;
	}
	dlg_refresh(s->d, rx);
	(void)!dlg_answer(s->d, st, rx, &(struct dlg_answer){.status = 200});
	on_notify(s, rx, &state);
}

const struct dlg_usage_ops sub_subscriber_ops = {.on_request = on_request, .takes_half = true};

/* --- calls of the owner ----------------------------------------------------------------------- */

static void on_task(struct ev_task *task)
{
	sub_tell_end(CONTAINER_OF(task, struct sub, task));
}

static enum err fill(struct sub *s, const struct sub_subscribe *req)
{
	struct arena *a = &s->arena;
	enum err e = dlg_check_target(req->target, STR("SUBSCRIBE"));
	if (e == OK)
		e = dlg_dup(a, req->event, &s->event);
	if (e == OK)
		e = dlg_dup(a, req->accept, &s->accept);
	if (e == OK)
		e = dlg_dup(a, req->headers, &s->headers);
	if (e == OK)
		e = dlg_new_uac(s->m, &req->account, req->to, req->target, STR_NONE, STR_NONE,
				&s->d);
	return e;
}

enum err sub_subscribe(struct dlg_mgr *m, const struct sub_subscribe *req,
		       const struct sub_subscriber *user, void *ctx, struct sub **out)
{
	struct sub *s = sub_alloc(m, ctx);
	if (!s)
		return ERR_LIMIT;
	s->subscriber = user;
	s->task.fn = on_task;
	s->usage.ops = &sub_subscriber_ops;
	s->expires_s = req->expires_s;
	if (req->dst) {
		s->dst = arena_alloc(&s->arena, sizeof(*s->dst));
		if (!s->dst) {
			sub_free(s);
			return ERR_NOMEM;
		}
		*s->dst = *req->dst;
	}
	enum err e = fill(s, req);
	if (e == OK) {
		s->d->usage = &s->usage;
		e = send_subscribe(s, s->expires_s);
	}
	if (e != OK) {
		sub_free(s);
		return e;
	}
	*out = s;
	return OK;
}

void sub_unsubscribe(struct sub *s)
{
	if (s->is_unsubscribing || s->is_over)
		return;
	s->is_unsubscribing = true;
	ev_timer_stop(s->m->loop, &s->timer);
	uac_drop(s->uac);
	s->uac = NULL;
	/* before the first answer there is no dialog to end, and no time was granted yet */
	if (s->d->is_early || send_subscribe(s, 0) != OK)
		sub_finish(s, SUB_END_LOCAL, 0, STR_NONE);
}
