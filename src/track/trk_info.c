/* Call data: one walk over a call's rows.
 *
 * A request is counted once, however many hops saw it: by its CSeq and the side that sent it. What
 * was resent or seen twice counts no more.
 *
 * [RFC3261 12, 13, 15] [RFC3262] [RFC3311] [RFC3515] [RFC6076 4] [RFC6665]
 */
#include "track/trk_info.h"

struct seen { /* CSeq of the last request counted, of each side */
	uint32_t cseq[2][SIP_METHOD__N];
};

static bool is_new(struct seen *s, const struct trk_ev *e)
{
	uint32_t *last = &s->cseq[!!(e->flags & TRK_EV_CALLER)][e->method];
	if (e->cseq + 1 <= *last)
		return false;
	*last = e->cseq + 1; /* 0 is a number as well */
	return true;
}

static void take(struct str *out, const struct trk_ev *e, enum trk_fact_kind kind)
{
	const struct trk_fact *f = trk_fact(e, kind);
	if (f)
		*out = trk_fact_text(f);
}

static void on_dialog_request(struct trk_info *o, const struct trk_ev *e)
{
	switch (e->method) {
	case SIP_INVITE:
		o->n_reinvite++;
		break;
	case SIP_UPDATE:
		o->n_update++;
		break;
	case SIP_PRACK:
		o->n_prack++;
		break;
	case SIP_REFER:
		o->n_refer++;
		break;
	case SIP_INFO:
		o->n_info++;
		break;
	default:
		break;
	}
}

static void on_request(struct trk_info *o, struct seen *s, const struct trk_call *c,
		       const struct trk_ev *e)
{
	take(&o->reason, e, TRK_F_REASON);
	take(&o->refer_to, e, TRK_F_REFER_TO);
	take(&o->contact, e, TRK_F_CONTACT);
	take(&o->package, e, TRK_F_EVENT);
	if (e->method == SIP_NOTIFY) {
		take(&o->state, e, TRK_F_STATE);
		if (c->kind == TRK_CALL)
			take(&o->refer_result, e, TRK_F_BODY);
		o->n_notify = (uint16_t)(o->n_notify + is_new(s, e));
		return;
	}
	if (e->flags & TRK_EV_TO_TAG && is_new(s, e))
		on_dialog_request(o, e);
	const struct trk_fact *x = trk_fact(e, TRK_F_EXPIRES);
	if (x && (e->method == SIP_REGISTER || e->method == SIP_SUBSCRIBE)) {
		o->has_expires = true;
		o->expires_s = x->num;
	}
}

static void on_granted(struct trk_info *o, struct seen *s, const struct trk_ev *e)
{
	const struct trk_fact *x = trk_fact(e, TRK_F_EXPIRES);
	if (e->method != SIP_REGISTER && e->method != SIP_SUBSCRIBE)
		return;
	bool is_removed = o->has_expires && !o->expires_s;
	if (x && !is_removed) { /* a removal's 200 may list what others have bound */
		o->has_expires = true;
		o->expires_s = x->num;
	}
	if (!is_removed && is_new(s, e))
		o->n_refreshed++;
}

static void on_response(struct trk_info *o, struct seen *granted, const struct trk_call *c,
			const struct trk_ev *e, unsigned *tags)
{
	bool is_callers = e->method == SIP_INVITE && e->cseq == c->cseq && e->branch == c->branch;
	if (e->status >= 200 && e->status < 300)
		on_granted(o, granted, e);
	if (!is_callers || e->status <= 100 || e->status >= 300 || !e->tag)
		return;
	if (!(*tags >> e->tag & 1)) {
		*tags |= 1u << e->tag;
		o->n_early++;
	}
	if (e->status >= 200 && !o->winner)
		for (unsigned k = 1; k <= e->tag; k++)
			o->winner = (uint8_t)(o->winner + (*tags >> k & 1));
}

static uint64_t between(uint64_t from, uint64_t to)
{
	return from && to >= from ? to - from : TRK_NO_TIME;
}

static void times(const struct trk_call *c, struct trk_info *o)
{
	o->pdd_us = between(c->first_us, c->ring_us);
	o->setup_us = between(c->first_us, c->answer_us);
	o->ring_us = between(c->ring_us, c->answer_us ? c->answer_us : c->end_us);
	o->talk_us = between(c->answer_us, c->end_us);
	if (c->ender == TRK_NO_PEER)
		return;
	bool is_party = c->ender == c->caller || c->ender == c->callee || c->n_peers <= 2;
	o->ended_by = !is_party               ? TRK_END_BETWEEN
		      : c->is_ended_by_caller ? TRK_END_CALLER
					      : TRK_END_CALLEE;
}

void trk_info(struct trk *t, const struct trk_call *c, struct trk_info *out)
{
	struct seen asked = {0}, granted = {0};
	unsigned tags = 0;
	uint32_t n;
	const struct trk_ev *const *rows = trk_history(t, c, &n);
	*out = (struct trk_info){0};
	times(c, out);
	for (uint32_t i = 0; i < n; i++) {
		const struct trk_ev *e = rows[i];
		if (e->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE))
			continue;
		if (e->flags & TRK_EV_REQUEST)
			on_request(out, &asked, c, e);
		else
			on_response(out, &granted, c, e, &tags);
	}
	if (out->n_refreshed)
		out->n_refreshed--;
}

struct str trk_state_name(const struct trk_call *c)
{
	static const struct str phases[] = {STR_INIT("setup"), STR_INIT("ringing"), STR_INIT("up"),
					    STR_INIT("ending"), STR_INIT("ended")};
	return phases[c->phase];
}

/* Searched backwards, so that a long call costs no more than its transaction. */
const struct trk_ev *trk_request_of(const struct trk *t, const struct trk_ev *e)
{
	bool is_ack = !e->status && e->method == SIP_ACK;
	unsigned method = is_ack ? SIP_INVITE : e->method;
	if (!e->status && !is_ack)
		return NULL;
	for (const struct trk_ev *r = trk_ev(t, e->prev); r; r = trk_ev(t, r->prev)) {
		bool is_way = is_ack ? r->from == e->from && r->to == e->to
				     : r->from == e->to && r->to == e->from;
		bool is_copy = r->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE);
		if (!r->status && r->method == method && r->cseq == e->cseq && is_way && !is_copy)
			return r;
	}
	return NULL;
}
