/* A leg whose session is on one shard and whose call is on another.
 *
 *     shard of the call                          shard of the session
 *     b2b_call ── leg, `far` ──── commands ────► leg, `owner` ── ses
 *                            ◄─── events ─────
 *
 * Who wants a leg asks for it by its id (TAKE). Where it stands it is taken out of the two that
 * talk, told whose it is, and answers TAKEN with its names; from then on whatever its session tells
 * goes to the owner as an event, with the message behind it, and what the owner wants of the
 * session comes as a command. So all that a call can do it can do with such a leg, and the code
 * for that is the same (b2b_leg.c). A leg may be lent on: then both it has, an owner and a far one.
 *
 * Invariants: 1. Between two legs order is kept. 2. A far leg is there until the session's end was
 * told, or it has been given back; while it is lent, the end of the session is dealt with where the
 * session is, as the end of the call that it belongs to. 3. What must arrive needs no memory: each
 * side has a message in store for its last word. Whatever else cannot be sent ends the session.
 *
 * [RFC3261 12] */
#include "service/b2b_priv.h"

#include <stdlib.h>
#include <string.h>

#define TEXTS 9

struct far_msg {
	struct inbox_msg inbox;
	obj_id to, from; /* legs */
	struct far_say say;
	uint8_t by, cause; /* of an event */
	bool can_update, is_caller;
	uint32_t hash;
	uint64_t version; /* of the o= line */
	struct tp_dst way;
	uint32_t n[TEXTS], n_text;
	char text[];
};

/* --- messages --------------------------------------------------------------------------------- */

static struct far_msg *make(const struct far_say *say, const struct str *texts, size_t n)
{
	size_t total = 0;
	for (size_t i = 0; i < n; i++)
		total += texts[i].n;
	struct far_msg *m = calloc(1, sizeof(*m) + total);
	if (!m)
		return NULL;
	m->say = *say;
	for (size_t i = 0; i < n; i++) {
		m->n[i] = (uint32_t)texts[i].n;
		if (texts[i].n)
			memcpy(m->text + m->n_text, texts[i].p, texts[i].n);
		m->n_text += m->n[i];
	}
	return m;
}

static struct str text_of(const struct far_msg *m, size_t i)
{
	size_t at = 0;
	for (size_t k = 0; k < i; k++)
		at += m->n[k];
	return str_of(m->text + at, m->n[i]);
}

static void post(struct b2b *b, struct far_msg *m, obj_id from, obj_id to)
{
	m->from = from;
	m->to = to;
	m->inbox.kind = INBOX_B2B_FAR;
	ev_post(b->loop, obj_id_shard(to), &m->inbox);
}

static obj_id id_of(const struct b2b_leg *l)
{
	return pool_id(&l->call->b->legs, l);
}

/* --- the shard of the call -------------------------------------------------------------------- */

static void send(struct b2b_leg *l, struct far_msg *m)
{
	if (l->far->is_over)
		free(m);
	else
		post(l->call->b, m, id_of(l), l->far->peer);
}

/* What must arrive; without memory it has no texts. */
static void send_surely(struct b2b_leg *l, const struct far_say *say, struct str text)
{
	struct far_msg *m = make(say, &text, 1);
	if (!m && l->far->last) {
		m = l->far->last;
		l->far->last = NULL;
		m->say = *say;
	}
	if (m)
		send(l, m);
}

enum err b2b_far_command(struct b2b_leg *l, const struct far_say *say, const struct str *texts,
			 size_t n)
{
	struct far_msg *m = make(say, texts, n);
	if (!m) {
		send_surely(l, &(struct far_say){.op = FAR_HANGUP}, STR_NONE);
		return ERR_NOMEM;
	}
	send(l, m);
	return OK;
}

enum err b2b_far_body(struct b2b_leg *l, const struct far_say *say, struct str body)
{
	struct str texts[2] = {body, STR_NONE};
	dlg_cut_body(l->call->b->dlg, &texts[0], &texts[1]);
	return b2b_far_command(l, say, texts, 2);
}

void b2b_far_name(struct b2b_leg *l, struct str uuid)
{
	struct b2b_far *f = l->far;
	if (str_eq(uuid, str_of(f->told, f->n_told)) || uuid.n > sizeof(f->told))
		return;
	if (uuid.n)
		memcpy(f->told, uuid.p, uuid.n);
	f->n_told = (uint8_t)uuid.n;
	(void)!b2b_far_command(l, &(struct far_say){.op = FAR_NAME}, &uuid, 1);
}

static void drop_far(struct b2b_leg *l)
{
	free(l->far->text);
	free(l->far->last);
	free(l->far);
	l->far = NULL;
}

void b2b_far_return(struct b2b_leg *l, bool is_touched)
{
	struct far_say say = {.op = FAR_RETURN, .is_touched = is_touched};
	struct far_msg *m = make(&say, NULL, 0);
	if (!m) {
		m = l->far->last;
		l->far->last = NULL;
	}
	l->state = LEG_OVER;
	if (m) {
		m->say = say;
		m->version = l->origin.version;
		m->hash = l->origin.hash;
		send(l, m);
	}
	drop_far(l);
}

void b2b_far_hangup(struct b2b_leg *l, struct str reason)
{
	if (l->far->is_lent)
		b2b_far_return(l, true);
	else
		send_surely(l, &(struct far_say){.op = FAR_HANGUP}, reason);
}

void b2b_far_done(struct b2b_leg *l)
{
	l->far->is_lent = false;
	send_surely(l, &(struct far_say){.op = FAR_DONE}, STR_NONE);
}

enum err b2b_far_take(struct b2b_call *c, obj_id leg)
{
	struct far_say say = {.op = FAR_TAKE};
	struct b2b_leg *l = b2b_leg_new(c);
	struct far_msg *m = l ? make(&say, NULL, 0) : NULL;
	struct b2b_far *f = m ? calloc(1, sizeof(*f)) : NULL;
	if (f)
		f->last = make(&say, NULL, 0);
	if (!f || !f->last) {
		free(f);
		free(m);
		if (l)
			b2b_leg_free(l);
		return ERR_NOMEM;
	}
	f->peer = leg;
	f->is_lent = true;
	l->far = f;
	l->state = LEG_TRYING;
	l->is_transfer = true;
	send(l, m);
	return OK;
}

static void hear_uuid(struct b2b_far *f, struct str uuid)
{
	if (!uuid.n || uuid.n > sizeof(f->uuid))
		return;
	memcpy(f->uuid, uuid.p, uuid.n);
	f->n_uuid = (uint8_t)uuid.n;
}

/* False: no memory. */
static bool take_names(struct b2b_leg *l, const struct far_msg *m)
{
	struct b2b_far *f = l->far;
	struct str names[6], head = text_of(m, 6), tail = text_of(m, 7);
	size_t at = 0;
	f->text = malloc(m->n_text + 1);
	l->origin.line = head.n ? malloc(head.n + tail.n) : NULL;
	if (!f->text || (head.n && !l->origin.line))
		return false;
	memcpy(f->text, m->text, m->n_text);
	for (size_t i = 0; i < 6; at += m->n[i++])
		names[i] = str_of(f->text + at, m->n[i]);
	f->names = (struct b2b_names){names[0], names[1], names[2], names[3], names[4], names[5]};
	hear_uuid(f, text_of(m, 8));
	f->way = m->way;
	f->can_update = m->can_update;
	l->is_caller = m->is_caller;
	if (head.n) {
		memcpy(l->origin.line, head.p, head.n);
		memcpy(l->origin.line + head.n, tail.p, tail.n);
	}
	l->origin.n_head = (uint16_t)head.n;
	l->origin.n_tail = (uint16_t)tail.n;
	l->origin.version = m->version;
	l->origin.hash = m->hash;
	return true;
}

static void on_taken(struct b2b_leg *l, const struct far_msg *m)
{
	struct b2b_call *c = l->call;
	unsigned status = take_names(l, m) ? b2b_splice_far(l) : 500;
	if (status == 200)
		return;
	b2b_far_return(l, false);
	b2b_transfer_failed(c, status);
}

static void on_denied(struct b2b_leg *l, const struct far_msg *m)
{
	l->state = LEG_OVER;
	drop_far(l);
	b2b_transfer_failed(l->call, m->say.status);
}

static void on_event(struct b2b_leg *l, const struct far_msg *m)
{
	static const struct addr nowhere;
	struct b2b *b = l->call->b;
	struct str bytes = text_of(m, 0);
	struct tp_rx *rx = bytes.n ? tp_rx_make(b->tp, bytes, &nowhere, &nowhere, 0) : NULL;
	struct ses_event ev = {.kind = (enum ses_event_kind)m->say.kind,
			       .status = m->say.status,
			       .by = (enum ses_by)m->by,
			       .rx = rx,
			       .tag = m->say.tag};
	hear_uuid(l->far, text_of(m, 1));
	if (bytes.n && !rx) {
		send_surely(l, &(struct far_say){.op = FAR_HANGUP}, STR_NONE);
		return;
	}
	if (ev.kind == SES_EV_ENDED) {
		ev.end = (struct ses_end){.by = ev.by, .cause = m->cause, .status = ev.status};
		l->far->is_over = true;
	}
	b2b_leg_event(l, &ev);
	tp_rx_unref(b->tp, rx);
}

/* --- the shard of the session ----------------------------------------------------------------- */

static void drop_owner(struct b2b_leg *l)
{
	free(l->owner->last);
	free(l->owner);
	l->owner = NULL;
}

static void tell(struct b2b_leg *l, struct far_msg *m)
{
	post(l->call->b, m, id_of(l), l->owner->leg);
}

static void tell_end(struct b2b_leg *l, const struct ses_end *end)
{
	struct far_msg *m = l->owner->last;
	l->owner->last = NULL;
	m->say = (struct far_say){
		.op = FAR_EVENT, .kind = SES_EV_ENDED, .status = (uint16_t)end->status};
	m->by = (uint8_t)end->by;
	m->cause = (uint8_t)end->cause;
	tell(l, m);
	drop_owner(l);
}

static void tell_event(struct b2b_leg *l, const struct ses_event *ev)
{
	const struct sip_msg *msg = ev->rx ? ev->rx->msg : NULL;
	char uuid[SIP_UUID];
	struct far_say say = {.op = FAR_EVENT,
			      .kind = (uint8_t)ev->kind,
			      .status = (uint16_t)ev->status,
			      .tag = ev->tag};
	struct str texts[] = {msg ? str_of(msg->bytes, msg->n_bytes) : STR_NONE,
			      b2b_leg_uuid(l, msg, uuid)};
	struct far_msg *m = make(&say, texts, ARRAY_LEN(texts));
	if (!m) { /* he would wait for ever */
		b2b_leg_hangup(l, STR_NONE);
		return;
	}
	m->by = (uint8_t)ev->by;
	tell(l, m);
}

bool b2b_far_tell(struct b2b_leg *l, const struct ses_event *ev)
{
	static const struct ses_end left = {.by = SES_BY_REMOTE};
	bool is_end = ev->kind == SES_EV_ENDED;
	if (!l->owner)
		return false;
	if (l->owner->is_lent && (is_end || ev->kind == SES_EV_LEFT)) {
		tell_end(l, is_end ? &ev->end : &left);
		b2b_splice_home(l, l->call, false);
		return false;
	}
	if (is_end) {
		tell_end(l, &ev->end);
		return false;
	}
	tell_event(l, ev);
	return true;
}

static void deny(struct b2b *b, struct far_msg *m, unsigned status)
{
	m->say = (struct far_say){.op = FAR_DENIED, .status = (uint16_t)status};
	post(b, m, m->to, m->from);
}

static struct far_msg *make_taken(struct b2b_leg *l)
{
	const struct b2b_origin *o = &l->origin;
	struct b2b_names n;
	char uuid[SIP_UUID];
	if (!b2b_leg_names(l, &n))
		return NULL;
	struct str texts[TEXTS] = {n.call_id,
				   n.local_tag,
				   n.remote_tag,
				   n.local,
				   n.remote,
				   n.target,
				   str_of(o->line, o->n_head),
				   o->line ? str_of(o->line + o->n_head, o->n_tail) : STR_NONE,
				   b2b_leg_uuid(l, NULL, uuid)};
	struct far_msg *m = make(&(struct far_say){.op = FAR_TAKEN}, texts, TEXTS);
	if (!m)
		return NULL;
	m->way = b2b_leg_way(l);
	m->can_update = b2b_leg_can_update(l);
	m->is_caller = l->is_caller;
	m->version = o->version;
	m->hash = o->hash;
	return m;
}

/* Takes over m. */
static void on_take(struct b2b *b, struct b2b_leg *l, struct far_msg *m)
{
	unsigned status = l ? b2b_splice_judge(l) : 481;
	struct b2b_owner *o = status == 200 ? calloc(1, sizeof(*o)) : NULL;
	struct far_msg *taken = o ? make_taken(l) : NULL;
	if (!taken) {
		free(o);
		deny(b, m, status == 200 ? 500 : status);
		return;
	}
	*o = (struct b2b_owner){.leg = m->from, .last = m, .is_lent = true};
	l->owner = o;
	b2b_splice_lend(l);
	tell(l, taken);
}

/* As the session's own word would come. */
static void tell_failed(struct b2b_leg *l, enum err e)
{
	struct ses_event ev = {.kind = SES_EV_MODIFY_FAILED,
			       .status = e == ERR_STATE ? 491 : 500,
			       .by = SES_BY_LOCAL};
	tell_event(l, &ev);
}

static struct str body_of(struct b2b_leg *l, const struct far_msg *m)
{
	struct b2b *b = l->call->b;
	buf_clear(&b->sdp);
	if (m->n[1])
		dlg_begin_body(b->dlg, &b->sdp, text_of(m, 1));
	buf_str(&b->sdp, text_of(m, 0));
	struct str s = b->sdp.err == OK ? buf_view(&b->sdp) : STR_NONE;
	b2b_leg_keep(l, s);
	return s;
}

static void come_back(struct b2b_leg *l, const struct far_msg *m)
{
	l->origin.version = m->version > l->origin.version ? m->version : l->origin.version;
	l->origin.hash = m->hash;
	drop_owner(l);
	b2b_leg_settle(l, 491, STR_NONE); /* what was on its way to him */
	b2b_splice_home(l, l->call, m->say.is_touched);
}

static void perform(struct b2b_leg *l, const struct far_msg *m)
{
	struct str s;
	enum err e = OK;
	switch (m->say.op) {
	case FAR_CHANGE:
		s = body_of(l, m);
		e = m->n[0] && !s.n ? ERR_NOMEM
				    : b2b_leg_change(l, (enum ses_change)m->say.kind, s);
		if (e != OK)
			tell_failed(l, e);
		break;
	case FAR_SETTLE:
		s = body_of(l, m);
		b2b_leg_settle(l, m->n[0] && !s.n ? 500 : m->say.status, s);
		break;
	case FAR_REQUEST: {
		struct ses_request r = {text_of(m, 0), text_of(m, 1), text_of(m, 2), text_of(m, 3),
					m->say.tag};
		if (b2b_leg_request(l, &r) != OK)
			tell_event(l, &(struct ses_event){.kind = SES_EV_RESPONSE,
							  .status = 500,
							  .tag = r.tag});
		break;
	}
	case FAR_RESPOND:
		b2b_leg_respond(l, m->say.tag, m->say.status, text_of(m, 0));
		break;
	case FAR_NOTIFY:
		b2b_leg_notify(l, m->say.status);
		break;
	case FAR_NAME:
		b2b_leg_set_uuid(l, text_of(m, 0));
		break;
	case FAR_HANGUP:
		b2b_leg_hangup(l, text_of(m, 0));
		break;
	case FAR_DONE:
		l->owner->is_lent = false;
		b2b_splice_done(l);
		break;
	case FAR_RETURN:
		come_back(l, m);
		break;
	case FAR_TAKE:
	case FAR_TAKEN:
	case FAR_DENIED:
	case FAR_EVENT:
		break;
	}
}

/* --- both ------------------------------------------------------------------------------------- */

/* What nobody hears any more; a request is answered all the same. True: m is on its way back. */
static bool is_turned_back(struct b2b *b, struct far_msg *m)
{
	if (m->say.op != FAR_EVENT || m->say.kind != SES_EV_REQUEST)
		return false;
	m->say = (struct far_say){.op = FAR_RESPOND, .status = 500, .tag = m->say.tag};
	memset(m->n, 0, sizeof(m->n));
	post(b, m, m->to, m->from);
	return true;
}

static void on_message(void *ctx, struct ev_loop *loop, struct inbox_msg *inbox)
{
	struct b2b *b = ctx;
	struct far_msg *m = CONTAINER_OF(inbox, struct far_msg, inbox);
	struct b2b_leg *l = pool_find(&b->legs, m->to);
	struct b2b_call *c = l ? l->call : NULL;
	if (m->say.op == FAR_TAKE) {
		on_take(b, l, m);
		return;
	}
	bool is_owners = l && l->owner && l->owner->leg == m->from,
	     is_far = l && l->far && l->far->peer == m->from;
	if (m->say.op < FAR_TAKEN) {
		if (is_owners)
			perform(l, m);
		else if (l && l->ses && m->say.op == FAR_RESPOND)
			ses_respond(l->ses, m->say.tag, m->say.status, STR_NONE);
	} else if (!is_far) {
		if (is_turned_back(b, m))
			return;
	} else if (m->say.op == FAR_EVENT) {
		on_event(l, m);
		c = NULL; /* it has seen to that */
	} else if (m->say.op == FAR_TAKEN) {
		on_taken(l, m);
	} else {
		on_denied(l, m);
	}
	if (c)
		b2b_call_reap(c);
	free(m);
}

static void discard(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct far_msg, inbox));
}

void b2b_far_free(struct b2b_leg *l)
{
	if (l->far)
		drop_far(l);
	if (l->owner)
		drop_owner(l);
}

void b2b_far_init(struct b2b *b)
{
	struct ev_shards *shards = b->cfg.shards;
	if (!shards)
		return;
	ev_inbox_handle(shards, b->loop->shard, INBOX_B2B_FAR, on_message, b);
	ev_inbox_discard(shards, INBOX_B2B_FAR, discard);
}
