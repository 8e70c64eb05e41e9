/* Subscriptions: what notifier and subscriber share. See sub_notifier.c and sub_subscriber.c.
 *
 * Invariants: 1. A subscription has at most one request under way (uac). 2. The end is decided once
 * (sub_finish); from then on the object answers nothing and sends nothing, and is freed from `task`
 * after its owner was told. [RFC6665]
 */
#include "dialog/sub_priv.h"

struct sub *sub_alloc(struct dlg_mgr *m, void *ctx)
{
	struct sub *s = pool_get(&m->subs);
	if (!s)
		return NULL;
	s->m = m;
	s->ctx = ctx;
	arena_init_in(&s->arena, s->mem, sizeof(s->mem));
	return s;
}

void sub_free(struct sub *s)
{
	uac_drop(s->uac);
	ev_timer_stop(s->m->loop, &s->timer);
	ev_timer_stop(s->m->loop, &s->timer_n);
	ev_defer_cancel(s->m->loop, &s->task);
	if (s->result)
		tp_rx_unref(s->m->tp, s->result->rx);
	dlg_free(s->d);
	arena_fini(&s->arena);
	pool_put(&s->m->subs, s);
}

void sub_drop(struct sub *s)
{
	if (s && !s->is_telling_end)
		sub_free(s);
}

void sub_finish(struct sub *s, enum sub_why why, unsigned status, struct str reason)
{
	if (s->is_over)
		return;
	s->is_over = true;
	ev_timer_stop(s->m->loop, &s->timer);
	ev_timer_stop(s->m->loop, &s->timer_n);
	s->end = (struct sub_end){
		.why = why, .status = status, .reason = arena_str(&s->arena, reason)};
	ev_defer(s->m->loop, &s->task);
}

void sub_tell_end(struct sub *s)
{
	s->is_telling_end = true;
	if (s->notifier)
		s->notifier->on_end(s->ctx, s, &s->end);
	if (s->subscriber) {
		struct sub_event ev = {.kind = SUB_EV_ENDED, .end = s->end, .result = s->result};
		s->subscriber->on_event(s->ctx, s, &ev);
	}
	sub_free(s);
}

bool sub_is_event(const struct sub *s, const struct sip_msg *msg)
{
	struct sip_event ev;
	return sip_event_parse(sip_value(msg, SIP_HDR_EVENT), &ev) == OK &&
	       str_ieq(ev.package, s->event) && str_eq(ev.id, s->event_id);
}

uint32_t sub_expires_of(const struct sip_msg *msg, uint32_t otherwise)
{
	uint32_t v;
	struct str s = sip_value(msg, SIP_HDR_EXPIRES);
	return s.n && sip_seconds_parse(s, &v) == OK ? v : otherwise;
}

struct dlg *sub_dialog(const struct sub *s)
{
	return s->d;
}

struct str sub_event_of(const struct sub *s)
{
	return s->event;
}

struct sub *sub_next_notified(struct dlg_mgr *m, uint32_t *at)
{
	struct sub *s;
	while ((s = pool_next(&m->subs, at)))
		if (s->notifier && s->d && !s->is_over)
			return s;
	return NULL;
}

obj_id sub_id(const struct sub *s)
{
	return pool_id(&s->m->subs, s);
}

struct sub *sub_find(struct dlg_mgr *m, obj_id id)
{
	return pool_find(&m->subs, id);
}
