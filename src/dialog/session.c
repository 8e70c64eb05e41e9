/* INVITE sessions: life, the machine's actions, and what the owner is told.
 *
 * ses_uac.c makes calls, ses_uas.c takes them, ses_modify.c changes them, ses_request.c hears the
 * peer; they all turn what happens into events of one machine (ses_fsm.c), whose actions are run
 * here. SDP is bytes to all of them: what it says is the owner's.
 *
 * How it ended is written down once, at the first event that decides it (ses_set_end), and told
 * when the machine is through: a call hung up here ends when the peer has answered the BYE. When
 * both sides send BYE at the same time, both must come to the same story: who sees the crossing
 * says that the caller ended it, unless its own BYE finds nobody: then the other side had finished
 * before.
 *
 * Invariants:
 * 1. Events are queued while the machine moves and told by ses_flush, as the last thing of an entry
 *    from the loop; calls of the owner queue and defer. ENDED is the last one, and frees.
 * 2. An entry makes at most SES_QUEUE - 1 events.
 * 3. s->d, the half one and the forks are usages of this session and of nobody else.
 * 4. `w` is there while anything but talk goes on: from the beginning until the INVITE is over, and
 *    again from an entry that has something to do (ses_wake) to the flush that finds nothing left.
 *
 * [RFC3261 13, 14, 15] [RFC5407]
 */
#include "dialog/ses_priv.h"

#include <stdlib.h>
#include <string.h>

/* --- life ------------------------------------------------------------------------------------- */

static void on_task(struct ev_task *task)
{
	ses_flush(CONTAINER_OF(task, struct ses, task));
}

bool ses_wake(struct ses *s)
{
	struct ses_work *w = s->w;
	if (w)
		return true;
	w = s->w = pool_get(&s->m->works);
	if (!w)
		return false;
	w->ses = s;
	buf_init(&w->local);
	buf_init(&w->headers);
	arena_init_in(&w->arena, w->mem, sizeof(w->mem));
	return true;
}

struct ses *ses_alloc(struct dlg_mgr *m, const struct ses_user *user, void *ctx)
{
	struct ses *s = pool_get(&m->sessions);
	if (!s)
		return NULL;
	s->m = m;
	s->user = user;
	s->ctx = ctx;
	s->usage.ops = &ses_usage_ops;
	s->task.fn = on_task;
	if (ses_wake(s))
		return s;
	pool_put(&m->sessions, s);
	return NULL;
}

static void work_free(struct ses *s)
{
	struct ses_work *w = s->w;
	hist_free(s->m->blocks, w->way);
	buf_fini(&w->local);
	buf_fini(&w->headers);
	arena_fini(&w->arena);
	pool_put(&s->m->works, w);
	s->w = NULL;
}

/* A session that only talks lays its tools aside. */
static void rest(struct ses *s)
{
	const struct ses_work *w = s->w;
	if (!w || s->state != SES_CONFIRMED || w->invite || w->half || w->rx || w->ok ||
	    w->modify || w->bye || w->later.what || w->n_queued || tmr_is_running(&w->pause))
		return;
	for (unsigned i = 0; i < SES_REQUESTS; i++)
		if (w->asked[i].uac)
			return;
	work_free(s);
}

/* BYE is the last request: one that is still out must not be tried again (with credentials, at the
 * next hop) behind it, its higher CSeq would make the BYE one out of order. */
static void drop_requests(struct ses *s)
{
	uac_drop(s->w->modify);
	s->w->modify = NULL;
	for (unsigned i = 0; i < SES_REQUESTS; i++) {
		uac_drop(s->w->asked[i].uac);
		s->w->asked[i] = (struct ses_asked){0};
	}
}

/* A copy with one user; NULL: no memory. */
static struct ses_text *make_text(struct str text)
{
	struct ses_text *x = malloc(sizeof(*x) + text.n);
	if (!x)
		return NULL;
	*x = (struct ses_text){.n = (uint32_t)text.n, .n_users = 1};
	if (text.n)
		memcpy(x->bytes, text.p, text.n);
	return x;
}

void ses_drop_text(struct ses_text *x)
{
	if (x && !--x->n_users)
		free(x);
}

static void drop_work(struct ses *s)
{
	struct dlg_mgr *m = s->m;
	struct ses_work *w = s->w;
	uac_drop(w->invite);
	uac_drop(w->bye);
	drop_requests(s);
	ses_stop_2xx(s);
	tp_rx_unref(m->tp, w->later.rx);
	w->later = (struct ses_later){0}; /* the fork that it waits for goes below */
	ev_timer_stop(m->loop, &w->pause);
	for (unsigned i = 0; i < w->n_queued; i++)
		tp_rx_unref(m->tp, w->queue[i].rx);
	tp_rx_unref(m->tp, w->rx);
	ses_uac_drop_forks(s, NULL);
	dlg_free(w->half);
	work_free(s);
}

void ses_free(struct ses *s)
{
	struct dlg_mgr *m = s->m;
	ses_clock_stop(s);
	ev_defer_cancel(m->loop, &s->task);
	if (s->w)
		drop_work(s);
	if (s->is_lost) {
		dlg_leave(s->d, s->end_status);
	} else if (s->d) {
		dlg_bury(s->d);
		dlg_free(s->d);
	}
	free(s->kept);
	ses_drop_text(s->reply);
	pool_put(&m->sessions, s);
}

bool ses_share_reply(struct ses *s, struct str text)
{
	struct ses_text *x = s->m->last_text;
	if (!x || !str_eq(ses_text(x), text)) {
		x = make_text(text);
		if (!x)
			return false;
		ses_drop_text(s->m->last_text);
		s->m->last_text = x;
	}
	x->n_users++;
	s->reply = x;
	return true;
}

/* --- telling ---------------------------------------------------------------------------------- */

struct str ses_cause_text(enum ses_cause c)
{
	static const struct str texts[] = {
		[SES_CAUSE_HANGUP] = STR_INIT("hung up"),
		[SES_CAUSE_CANCEL] = STR_INIT("cancelled"),
		[SES_CAUSE_REJECTED] = STR_INIT("rejected"),
		[SES_CAUSE_AUTH] = STR_INIT("authentication refused"),
		[SES_CAUSE_NO_RESPONSE] = STR_INIT("no response"),
		[SES_CAUSE_LOST_ACK] = STR_INIT("lost ACK"),
		[SES_CAUSE_GONE] = STR_INIT("dialog gone"),
		[SES_CAUSE_UNREACHABLE] = STR_INIT("unreachable"),
		[SES_CAUSE_TIMER] = STR_INIT("session timer ran out"),
		[SES_CAUSE_MEDIA] = STR_INIT("no common media"),
		[SES_CAUSE_LOCAL] = STR_INIT("local failure"),
	};
	return (size_t)c < ARRAY_LEN(texts) ? texts[c] : STR_NONE;
}

/* The text parameter of the first Reason header, else of the status line. [RFC3326 2] */
struct str ses_text_of(const struct sip_msg *msg)
{
	struct sip_iter it = {0};
	struct str v, text, rest;
	if (sip_each(msg, SIP_HDR_REASON, &it, &v)) {
		str_cut(v, ';', &rest);
		if (sip_param(rest, STR("text"), &text) && text.n)
			return text;
	}
	return msg->is_request ? STR_NONE : msg->reason;
}

void ses_set_end(struct ses *s, enum ses_by by, enum ses_cause cause, unsigned status,
		 struct str text)
{
	if (s->has_end)
		return;
	s->has_end = true;
	s->end_by = (uint8_t)by;
	s->end_cause = (uint8_t)cause;
	s->end_status = (uint16_t)status;
	s->w->end_text = arena_str(&s->w->arena, str_sub(text, 0, SES_TEXT_MAX));
}

void ses_tell_tag(struct ses *s, enum ses_event_kind kind, unsigned status, struct tp_rx *rx,
		  uint64_t tag)
{
	if (!s->user)
		return;
	ASSERT(s->w->n_queued < SES_QUEUE);
	s->w->queue[s->w->n_queued++] = (struct ses_queued){.kind = (uint8_t)kind,
							    .status = (uint16_t)status,
							    .by = SES_BY_REMOTE,
							    .rx = rx ? tp_rx_ref(rx) : NULL,
							    .tag = tag};
}

void ses_tell(struct ses *s, enum ses_event_kind kind, unsigned status, enum ses_by by,
	      struct tp_rx *rx)
{
	unsigned at = s->w->n_queued;
	ses_tell_tag(s, kind, status, rx, 0);
	if (s->w->n_queued > at)
		s->w->queue[at].by = (uint8_t)by;
}

/* The owner may call anything from on_event, also queue more events. */
static void tell_queued(struct ses *s)
{
	while (s->w->n_queued) {
		struct ses_queued q = s->w->queue[0];
		s->w->n_queued--;
		memmove(s->w->queue, s->w->queue + 1, s->w->n_queued * sizeof(*s->w->queue));
		struct ses_event ev = {
			.kind = q.kind, .status = q.status, .by = q.by, .rx = q.rx, .tag = q.tag};
		if (s->user)
			s->user->on_event(s->ctx, s, &ev);
		tp_rx_unref(s->m->tp, q.rx);
	}
}

void ses_flush(struct ses *s)
{
	if (s->is_telling)
		return; /* called from inside on_event: the outer one goes on */
	s->is_telling = true;
	if (s->w)
		tell_queued(s);
	s->is_telling = false;
	if (s->state != SES_ENDED) {
		rest(s);
		return;
	}
	struct ses_event ev = {
		.kind = SES_EV_ENDED,
		.status = s->end_status,
		.by = s->end_by,
		.end = {.by = s->end_by,
			.cause = s->end_cause,
			.status = s->end_status,
			.text = s->w && s->w->end_text.n ? s->w->end_text
							 : ses_cause_text(s->end_cause)}
        };
	if (s->user)
		s->user->on_event(s->ctx, s, &ev);
	ses_free(s);
}

void ses_flush_later(struct ses *s)
{
	if (s->state == SES_ENDED || (s->w && s->w->n_queued))
		ev_defer(s->m->loop, &s->task);
	else if (!s->is_telling)
		rest(s);
}

/* --- actions ---------------------------------------------------------------------------------- */

static void on_bye_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct ses *s = ctx;
	s->w->bye = NULL;
	bool is_heard = r->how == UAC_FINAL && r->status / 100 == 2;
	if (s->w->has_crossed && s->end_by == SES_BY_LOCAL && !(is_heard && s->is_caller)) {
		s->has_end = false;
		ses_set_end(s, SES_BY_REMOTE, SES_CAUSE_HANGUP, 0, STR_NONE);
	}
	ses_step(s, SES_E_BYE_DONE, STR_NONE);
	ses_flush(s);
}

static const struct uac_user bye_user = {.on_done = on_bye_done};

void ses_set_reason(struct ses *s, struct str reason)
{
	if (reason.n <= SES_TEXT_MAX && !s->w->bye_reason.n)
		s->w->bye_reason = arena_str(&s->w->arena, reason);
}

static void put_reason(const struct ses *s, struct buf *b)
{
	if (s->w->bye_reason.n)
		buf_fmt(b, "Reason: " STR_FMT "\r\n", STR_ARG(s->w->bye_reason));
}

/* False: it could not even be sent. */
static bool send_bye(struct ses *s)
{
	ses_later_end(s, 487);
	drop_requests(s);
	struct buf *b = &s->m->lines;
	buf_clear(b);
	put_reason(s, b);
	struct dlg_request req = {.method = STR("BYE"), .headers = buf_view(b)};
	return dlg_send(s->d, &req, &bye_user, NULL, s, &s->w->bye) == OK;
}

static void cancel(struct ses *s)
{
	struct buf *b = &s->m->lines;
	buf_clear(b);
	buf_str(b, STR("Supported: timer\r\n"));
	put_reason(s, b);
	if (s->w->invite)
		uac_cancel(s->w->invite, buf_view(b));
}

void ses_step(struct ses *s, enum ses_fsm_event ev, struct str ack_body)
{
	uint32_t act = fsm_step(&ses_machine, &s->m->ses_fsm, &s->state, ev)->actions;
	if (act & SES_A_STOP_2XX)
		ses_stop_2xx(s);
	if (act & SES_A_ACK)
		dlg_send_ack(s->d, s->w->half->local_cseq, s->w->ack_auth, ack_body);
	if (act & SES_A_487)
		ses_refuse_invite(s, DLG_REFUSE_CANCELLED, 487, STR_NONE, STR_NONE);
	if (act & SES_A_603)
		ses_refuse_invite(s, DLG_REFUSE_DECLINED, 603, STR_NONE, STR_NONE);
	if (act & SES_A_CANCEL)
		cancel(s);
	if (act & SES_A_CROSSED)
		s->w->has_crossed = true;
	if (act & SES_A_TELL)
		ses_tell(s, SES_EV_CONFIRMED, 0, SES_BY_REMOTE, s->w->step_rx);
	if (s->state == SES_CLOSING || s->state >= SES_ENDING)
		ses_clock_stop(s);
	if (s->state == SES_ENDED)
		ses_later_end(s, 487);
	if ((act & SES_A_BYE) && !send_bye(s))
		ses_step(s, SES_E_BYE_DONE, STR_NONE);
}

void ses_lose(struct ses *s, const struct uac_result *r)
{
	s->is_lost = true;
	ses_set_end(s, SES_BY_NETWORK, SES_CAUSE_GONE, r->status, STR_NONE);
	ses_step(s, SES_E_GONE, STR_NONE);
}

/* --- calls of the owner ----------------------------------------------------------------------- */

/* Without memory for a BYE: the peer finds out by his next request. */
static void end_at_once(struct ses *s)
{
	s->state = SES_ENDED;
	s->has_end = true;
	s->end_by = SES_BY_LOCAL;
	s->end_cause = SES_CAUSE_HANGUP;
	ses_clock_stop(s);
	ses_flush_later(s);
}

void ses_hangup(struct ses *s, struct str reason)
{
	if (s->state == SES_ENDED)
		return;
	if (!ses_wake(s)) {
		end_at_once(s);
		return;
	}
	ses_set_reason(s, reason);
	/* a call given up is not over yet: the peer's answer may cross and decide otherwise */
	if (s->state == SES_INCOMING)
		ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_REJECTED, 603, STR_NONE);
	else if (s->state != SES_CALLING && s->state != SES_CANCELLING)
		ses_set_end(s, SES_BY_LOCAL, SES_CAUSE_HANGUP, 0, STR_NONE);
	ses_step(s, SES_E_HANGUP, STR_NONE);
	ses_flush_later(s);
}

void ses_drop(struct ses *s)
{
	s->user = NULL;
	ses_hangup(s, STR_NONE);
}

obj_id ses_id(const struct ses *s)
{
	return pool_id(&s->m->sessions, s);
}

struct ses *ses_find(struct dlg_mgr *m, obj_id id)
{
	return pool_find(&m->sessions, id);
}

struct ses *ses_find_call(struct dlg_mgr *m, struct str call_id)
{
	uint32_t at = 0;
	struct ses *s;
	while ((s = pool_next(&m->sessions, &at)))
		if (str_eq(ses_call_id(s), call_id))
			return s;
	return NULL;
}

struct dlg *ses_dialog(const struct ses *s)
{
	return s->d ? s->d : s->w->n_forks ? s->w->forks[0].d : NULL;
}

struct str ses_call_id(const struct ses *s)
{
	return dlg_call_id(s->d ? s->d : s->w->half);
}

struct str ses_local_tag(const struct ses *s)
{
	return dlg_local_tag(s->d ? s->d : s->w->half);
}

struct tp_rx *ses_invite(const struct ses *s)
{
	return s->w ? s->w->rx : NULL;
}

bool ses_is_caller(const struct ses *s)
{
	return s->is_caller;
}

bool ses_is_confirmed(const struct ses *s)
{
	return s->state == SES_CONFIRMED;
}

void *ses_ctx_of(const struct ses *s, const struct ses_user *user)
{
	return s->user == user ? s->ctx : NULL;
}

void ses_set_uuid(struct ses *s, struct str uuid)
{
	if (s->d) {
		sid_set_local(&s->d->sid, uuid);
		return;
	}
	sid_set_local(&s->w->half->sid, uuid);
	for (unsigned i = 0; i < s->w->n_forks; i++)
		sid_set_local(&s->w->forks[i].d->sid, uuid);
}

void ses_draw_uuid(struct ses *s)
{
	char uuid[SIP_UUID];
	ses_set_uuid(s, sid_draw(s->m->loop->env, uuid));
}

struct str ses_peer_uuid(const struct ses *s, const struct sip_msg *m, char out[SIP_UUID])
{
	const struct dlg *d = s->d ? s->d : s->w->half;
	for (unsigned i = 0; !s->d && m && i < s->w->n_forks; i++)
		if (str_eq(dlg_remote_tag(s->w->forks[i].d),
			   m->is_request ? m->from_tag : m->to_tag))
			d = s->w->forks[i].d;
	return sid_peer(&d->sid, m, out);
}

bool ses_sdp(const struct tp_rx *rx, struct str *sdp)
{
	*sdp = STR_NONE;
	return rx && dlg_sdp(rx->msg, sdp);
}

struct tp_dst ses_way(const struct ses *s)
{
	if (!s->d)
		return (struct tp_dst){0};
	return s->d->back;
}

struct ses *ses_replaced(struct dlg_mgr *m, const struct sip_replaces *r)
{
	struct dlg *d = dlg_find(m, r->call_id, r->to_tag, r->from_tag);
	if (!d || !d->usage || d->usage->ops != &ses_usage_ops)
		return NULL;
	return CONTAINER_OF(d->usage, struct ses, usage);
}
