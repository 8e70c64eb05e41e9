/* The notifier of a subscription: grants time, and sends NOTIFYs one at a time.
 *
 * What changes while a NOTIFY is under way makes the state dirty, and one NOTIFY with the newest
 * state follows when that is answered, not before `gap_us` have passed since the last: a burst of
 * changes costs two messages, and no NOTIFY can overtake another. The first NOTIFY follows each 2xx
 * at once, behind it; that one is owed, and has the whole state. The owner may have to fetch the
 * state from another shard: is_fetching then holds the NOTIFY back.
 *
 * Where the owner keeps subscriptions durable, a SUBSCRIBE is answered when it has been written
 * (`saving`), so that what was answered 200 outlives us (sub_keep.c).
 *
 * A subscription ends with a last NOTIFY that says why (expiry, Expires 0, sub_terminate), or
 * silently when a NOTIFY shows that nobody is there: 481, time-out, closed port or connection, and
 * any other refusal that does not ask to come again later. [RFC6665 4.2]
 */
#include "dialog/sub_priv.h"

#define GRACE_US 2000000 /* a refresh that is on its way when the time is over still counts */

/* What we have, for who asks for another one. [RFC6665 8.3.2] */
static void refuse_event(struct dlg_mgr *m, tsx_id st, struct str event)
{
	struct buf *b = &m->lines;
	buf_clear(b);
	buf_str(b, STR("Allow-Events: "));
	buf_str(b, event);
	buf_str(b, STR("\r\n"));
	dlg_refuse(m, st, DLG_REFUSE_EVENT, 489, STR_NONE, buf_view(b));
}

/* --- NOTIFY ----------------------------------------------------------------------------------- */

static void send_notify(struct sub *s);

static void notify_soon(struct sub *s)
{
	s->is_dirty = true;
	if (!s->uac && !s->is_over && !s->saving && !s->is_fetching && !s->is_cut_off)
		ev_defer(s->m->loop, &s->task);
}

static void on_gap(struct tmr *t)
{
	notify_soon(CONTAINER_OF(t, struct sub, timer_n));
}

void sub_notify_later(struct sub *s, uint64_t delay_us)
{
	ev_timer(s->m->loop, &s->timer_n, delay_us, on_gap);
}

/* Changes come too fast: true when this one waits. A few may come at once: a call that rings and is
 * answered shall light a lamp now. */
static bool is_too_soon(struct sub *s)
{
	uint64_t now = ev_now_us(s->m->loop);
	uint64_t burst_us = 2ull * s->gap_us;
	if (s->is_owed || s->is_terminating || s->next_us <= now + burst_us)
		return false;
	if (!tmr_is_running(&s->timer_n))
		sub_notify_later(s, s->next_us - now - burst_us);
	return true;
}

bool sub_ends_by(unsigned status)
{
	static const uint16_t ends[] = {404, 405, 410, 416, 489, 501, 604};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (status == ends[i])
			return true;
	return status >= 480 && status <= 485;
}

static void on_notify_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct sub *s = ctx;
	s->uac = NULL;
	bool is_ok = r->how == UAC_FINAL &&
		     (r->status / 100 == 2 ||
		      (!sub_ends_by(r->status) && sip_has(r->rx->msg, SIP_HDR_RETRY_AFTER)));
	if (s->is_terminating && !s->is_dirty)
		sub_finish(s, s->why, 0, s->reason);
	else if (is_ok && r->status / 100 != 2) /* what it said is lost to him */
		s->is_owed = true;
	else if (!is_ok)
		sub_finish(s, SUB_END_GONE, r->status,
			   r->how == UAC_FINAL ? r->rx->msg->reason : str_c(err_text(r->err)));
	if (s->is_dirty && !s->is_over)
		notify_soon(s);
}

static const struct uac_user notify_user = {.on_done = on_notify_done};

static void put_state(struct sub *s, struct buf *b)
{
	uint64_t now = ev_now_us(s->m->loop);
	unsigned left = s->expires_at_us > now ? (unsigned)((s->expires_at_us - now) / 1000000) : 0;
	buf_str(b, STR("Event: "));
	buf_str(b, s->event);
	if (s->event_id.n) {
		buf_str(b, STR(";id="));
		buf_str(b, s->event_id);
	}
	if (s->is_terminating)
		buf_fmt(b, "\r\nSubscription-State: terminated;reason=" STR_FMT "\r\n",
			STR_ARG(s->reason));
	else
		buf_fmt(b, "\r\nSubscription-State: %s;expires=%u\r\n",
			s->is_pending ? "pending" : "active", left);
}

static void send_notify(struct sub *s)
{
	struct buf *lines = &s->m->lines, *body = &s->m->sdp;
	struct str content_type = s->content_type;
	if (is_too_soon(s))
		return;
	s->is_dirty = false; /* what is said from here on is for the next one */
	buf_clear(body);
	enum err e = s->notifier->body(s->ctx, s, &content_type, body);
	s->is_fetching = e == ERR_MORE;
	if (s->is_fetching) {
		s->is_dirty = true;
		return;
	}
	if (e == ERR_STATE && !s->is_owed && !s->is_terminating)
		return;
	if (e != OK || body->err != OK)
		buf_clear(body);
	s->is_owed = false;
	s->n_notified++;
	uint64_t now = ev_now_us(s->m->loop);
	s->next_us = (s->next_us > now ? s->next_us : now) + s->gap_us;
	if (s->notifier->save && s->d->local_cseq + SUB_CSEQ_RESERVE / 2 > s->cseq_kept)
		(void)!s->notifier->save(s->ctx, s);
	buf_clear(lines);
	put_state(s, lines);
	buf_str(lines, s->own_lines);
	struct dlg_request req = {.method = STR("NOTIFY"),
				  .headers = buf_view(lines),
				  .content_type = content_type,
				  .body = buf_view(body)};
	if (lines->err != OK || dlg_send(s->d, &req, &notify_user, NULL, s, &s->uac) != OK)
		sub_finish(s, SUB_END_FAILED, 0, STR("the NOTIFY could not be sent"));
}

static void on_task(struct ev_task *task)
{
	struct sub *s = CONTAINER_OF(task, struct sub, task);
	if (s->is_over)
		sub_tell_end(s);
	else if (s->is_dirty && !s->uac && !s->saving && !s->is_fetching)
		send_notify(s);
}

static void terminate(struct sub *s, enum sub_why why, struct str reason)
{
	if (s->is_terminating || s->is_over)
		return;
	s->is_terminating = true;
	s->why = why;
	s->reason = arena_str(&s->arena, reason);
	ev_timer_stop(s->m->loop, &s->timer);
	if (s->is_cut_off) /* there is no way to tell him */
		sub_finish(s, why, 0, reason);
	else
		notify_soon(s);
}

static void on_expiry(struct tmr *t)
{
	terminate(CONTAINER_OF(t, struct sub, timer), SUB_END_EXPIRED, STR("timeout"));
}

/* --- SUBSCRIBE -------------------------------------------------------------------------------- */

/* What is granted; false: answered 423. */
static bool grant(struct sub *s, tsx_id st, const struct tp_rx *rx, uint32_t *expires_s)
{
	uint32_t e = sub_expires_of(rx->msg, s->default_s);
	if (e > 0 && e < s->min_s) {
		char text[48];
		struct buf b;
		buf_init_fixed(&b, text, sizeof(text));
		buf_fmt(&b, "Min-Expires: %u\r\n", s->min_s);
		dlg_refuse(s->m, st, DLG_REFUSE_INTERVAL, 423, STR_NONE, buf_view(&b));
		return false;
	}
	*expires_s = e < s->max_s ? e : s->max_s;
	return true;
}

void sub_start_expiry(struct sub *s)
{
	uint64_t now = ev_now_us(s->m->loop);
	uint64_t left = s->expires_at_us > now ? s->expires_at_us - now : 0;
	ev_timer(s->m->loop, &s->timer, left + GRACE_US, on_expiry);
}

/* 200, then the NOTIFY that each 200 calls for. */
static enum err answer(struct sub *s, tsx_id st, struct tp_rx *rx, uint32_t expires_s)
{
	char text[160];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b, "Expires: %u\r\n", expires_s);
	buf_str(&b, s->own_lines);
	struct dlg_answer ans = {.status = 200, .headers = buf_view(&b)};
	enum err e = dlg_answer(s->d, st, rx, &ans);
	if (e != OK)
		return e;
	s->d->is_early = false;
	s->expires_at_us = ev_now_us(s->m->loop) + expires_s * 1000000ull;
	s->is_owed = true;
	s->is_cut_off = false;
	if (expires_s == 0) {
		terminate(s, SUB_END_REMOTE, STR("timeout"));
		return OK;
	}
	sub_start_expiry(s);
	notify_soon(s);
	return OK;
}

static void refuse_unsaved(struct sub *s, tsx_id st)
{
	dlg_refuse(s->m, st, DLG_REFUSE_FULL, 500, STR_NONE, STR("Retry-After: 30\r\n"));
}

/* Answers as soon as the grant is durable. An error: it was refused. */
static enum err accept_for(struct sub *s, tsx_id st, struct tp_rx *rx, uint32_t expires_s)
{
	if (!s->notifier->save || !expires_s)
		return answer(s, st, rx, expires_s);
	uint64_t before_us = s->expires_at_us;
	s->expires_at_us = ev_now_us(s->m->loop) + expires_s * 1000000ull;
	s->saving = st;
	s->granted_s = expires_s;
	enum err e = s->notifier->save(s->ctx, s);
	if (e == ERR_MORE)
		return OK;
	s->saving = 0;
	if (e == OK)
		return answer(s, st, rx, expires_s);
	s->expires_at_us = before_us;
	refuse_unsaved(s, st);
	return e;
}

void sub_saved(struct sub *s, enum err e)
{
	tsx_id st = s->saving;
	struct tp_rx *rx = st ? tsx_request(s->m->tsx, st) : NULL;
	s->saving = 0;
	if (!st || s->is_over)
		return;
	if (e != OK && rx)
		refuse_unsaved(s, st);
	if (e == OK && rx)
		e = answer(s, st, rx, s->granted_s);
	if (e != OK && s->d->is_early)
		sub_finish(s, SUB_END_FAILED, 0, STR("the subscription could not be stored"));
	else if (s->is_dirty)
		notify_soon(s);
}

static void on_request(struct dlg_usage *u, tsx_id st, struct tp_rx *rx)
{
	struct sub *s = CONTAINER_OF(u, struct sub, usage);
	uint32_t expires_s = 0;
	if (s->is_over || s->is_terminating) {
		dlg_refuse(s->m, st, DLG_REFUSE_NO_DIALOG, 481, STR_NONE, STR_NONE);
	} else if (s->saving) { /* one at a time */
		dlg_refuse(s->m, st, DLG_REFUSE_ORDER, 500, STR_NONE, STR("Retry-After: 1\r\n"));
	} else if (rx->msg->method != SIP_SUBSCRIBE) {
		struct dlg_answer ans = {.status = 405, .why = DLG_REFUSE_METHOD};
		if (rx->msg->method == SIP_OPTIONS)
			ans = (struct dlg_answer){.status = 200};
		(void)!dlg_answer(s->d, st, rx, &ans);
	} else if (!sub_is_event(s, rx->msg)) {
		refuse_event(s->m, st, s->event);
	} else if (grant(s, st, rx, &expires_s)) {
		dlg_refresh(s->d, rx);
		if (accept_for(s, st, rx, expires_s) == OK && expires_s && s->notifier->on_refresh)
			s->notifier->on_refresh(s->ctx, s, expires_s);
	}
}

const struct dlg_usage_ops sub_notifier_ops = {.on_request = on_request};

/* --- a new one -------------------------------------------------------------------------------- */

/* Accept, when there is one, must allow our bodies. */
static bool does_accept(const struct sip_msg *msg, struct str content_type)
{
	struct sip_iter it = {0};
	struct str v, rest;
	if (!sip_has(msg, SIP_HDR_ACCEPT) || !content_type.n)
		return true;
	while (sip_each(msg, SIP_HDR_ACCEPT, &it, &v)) {
		struct str range = str_trim(str_cut(v, ';', &rest));
		if (str_ieq(range, content_type) || str_eq(range, STR("*/*")))
			return true;
		if (str_ends(range, STR("/*")) &&
		    str_istarts(content_type, str_sub(range, 0, range.n - 1)))
			return true;
	}
	return false;
}

static bool is_takeable(struct dlg_mgr *m, tsx_id st, const struct tp_rx *rx,
			const struct sub_accept *acc, struct sip_event *ev)
{
	const struct sip_msg *msg = rx->msg;
	struct buf *b = &m->lines;
	buf_clear(b);
	if (tsx_is_merged(m->tsx, st)) {
		dlg_refuse(m, st, DLG_REFUSE_MERGED, 482, STR_NONE, STR_NONE);
		return false;
	}
	if (sip_event_parse(sip_value(msg, SIP_HDR_EVENT), ev) != OK ||
	    !str_ieq(ev->package, acc->event)) {
		refuse_event(m, st, acc->event);
		return false;
	}
	if (!does_accept(msg, acc->content_type)) {
		dlg_refuse(m, st, DLG_REFUSE_ACCEPT, 406, STR_NONE, STR_NONE);
		return false;
	}
	if (!sip_has(msg, SIP_HDR_CONTACT)) {
		dlg_refuse(m, st, DLG_REFUSE_CONTACT, 400, STR_NONE, STR_NONE);
		return false;
	}
	return dlg_check_require(m, st, rx, false);
}

enum err sub_fill(struct sub *s, const struct sub_accept *acc, struct str event_id)
{
	struct arena *a = &s->arena;
	s->min_s = acc->min_s ? acc->min_s : 60;
	s->max_s = acc->max_s ? acc->max_s : 3600;
	s->default_s = acc->default_s ? acc->default_s : 3600;
	s->is_pending = acc->is_pending;
	s->gap_us = acc->gap_us;
	enum err e = dlg_dup(a, acc->event, &s->event);
	if (e == OK)
		e = dlg_dup(a, event_id, &s->event_id);
	if (e == OK)
		e = dlg_dup(a, acc->content_type, &s->content_type);
	if (e == OK)
		e = dlg_dup(a, acc->headers, &s->own_lines);
	return e;
}

void sub_become_notifier(struct sub *s, const struct sub_notifier *user)
{
	s->notifier = user;
	s->usage.ops = &sub_notifier_ops;
	s->d->usage = &s->usage;
	s->task.fn = on_task;
}

enum err sub_accept(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx, const struct sub_accept *acc,
		    const struct sub_notifier *user, void *ctx, struct sub **out)
{
	struct sip_event ev;
	uint32_t expires_s = 0;
	char tag[24];
	if (!is_takeable(m, st, rx, acc, &ev))
		return ERR_STATE;
	struct sub *s = sub_alloc(m, ctx);
	enum err e = s ? sub_fill(s, acc, ev.id) : ERR_LIMIT;
	if (e == OK)
		e = dlg_new_uas(m, rx, tsx_to_tag(m->tsx, rx->msg, tag), acc->contact_user,
				&acc->account, &s->d);
	if (e != OK) {
		sub_drop(s);
		if (e == ERR_SYNTAX)
			dlg_refuse(m, st, DLG_REFUSE_CONTACT, 400, STR_NONE, STR_NONE);
		else
			dlg_refuse(m, st, DLG_REFUSE_FULL, 503, STR_NONE,
				   STR("Retry-After: 5\r\n"));
		return ERR_STATE;
	}
	sub_become_notifier(s, user);
	if (!grant(s, st, rx, &expires_s) || accept_for(s, st, rx, expires_s) != OK) {
		sub_free(s);
		return ERR_STATE;
	}
	*out = s;
	return OK;
}

/* --- calls of the owner ----------------------------------------------------------------------- */

void sub_notify(struct sub *s)
{
	if (!s->is_terminating)
		notify_soon(s);
}

void sub_ready(struct sub *s)
{
	s->is_fetching = false;
	if (s->is_dirty)
		notify_soon(s);
}

bool sub_owes_full(const struct sub *s)
{
	return s->is_owed;
}

uint32_t sub_n_notified(const struct sub *s)
{
	return s->n_notified;
}

void sub_activate(struct sub *s)
{
	s->is_pending = false;
	sub_notify(s);
}

void sub_terminate(struct sub *s, struct str reason)
{
	terminate(s, SUB_END_LOCAL, reason);
}
