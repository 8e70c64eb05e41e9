/* Reliable provisional responses, both sides.
 *
 * Callee: one at a time waits for its PRACK, in the repeater that a 2xx uses later (s->w->ok); what
 * is to be said meanwhile is kept, the newest only, and said when the PRACK has come. A 2xx waits,
 * too, where the provisional response has SDP. PRACK brings the answer to an offer of ours, or a
 * further offer. Without PRACK in 64*T1 the call is refused.
 *
 * Caller: each fork counts its own RSeq; what comes again or out of order is ignored, the callee
 * repeats it until our PRACK arrives.
 *
 * [RFC3262 3, 4, 5] [RFC6337 2.2]
 */
#include "dialog/ses_priv.h"

/* --- caller ----------------------------------------------------------------------------------- */

static bool rseq_of(const struct sip_msg *msg, uint32_t *rseq)
{
	return str_u32(sip_value(msg, SIP_HDR_RSEQ), rseq) && *rseq > 0;
}

bool ses_rel_is(const struct sip_msg *msg)
{
	uint32_t rseq;
	return msg->status > 100 && sip_has_token(msg, SIP_HDR_REQUIRE, STR("100rel")) &&
	       rseq_of(msg, &rseq);
}

bool ses_rel_take(struct ses *s, struct dlg *d, struct tp_rx *rx)
{
	uint32_t rseq = 0;
	if (!rseq_of(rx->msg, &rseq) || (d->rseq && rseq != d->rseq + 1))
		return false;
	bool has_room = false;
	for (unsigned i = 0; i < SES_REQUESTS; i++)
		has_room |= !s->w->asked[i].uac;
	if (!has_room)
		return false; /* it comes again */
	d->rseq = rseq;
	return true;
}

enum err ses_rel_send_prack(struct ses *s, struct dlg *d, const struct sip_msg *resp,
			    struct str body)
{
	char text[64];
	struct buf b;
	uint32_t rseq = 0;
	if (!rseq_of(resp, &rseq))
		return ERR_SYNTAX;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b, "RAck: %u %u INVITE\r\n", rseq, resp->cseq);
	struct dlg_request req = {.method = STR("PRACK"),
				  .headers = buf_view(&b),
				  .content_type = STR("application/sdp"),
				  .body = body};
	return ses_ask(s, d, &req, SES_TAG_MILD);
}

/* --- callee ----------------------------------------------------------------------------------- */

bool ses_rel_is_waiting(const struct ses *s)
{
	return s->w->ok && s->w->ok->status < 200;
}

enum err ses_rel_ring(struct ses *s, const struct ses_ring *r, struct str headers)
{
	struct str offer;
	if (ses_rel_is_waiting(s)) {
		bool has_sdp = s->w->next.has_sdp | r->has_sdp;
		s->w->next = *r;
		s->w->next.has_sdp = has_sdp;
		return OK;
	}
	bool has_sdp = r->has_sdp && !s->w->is_agreed;
	struct buf *b = &s->m->lines;
	buf_clear(b);
	buf_str(b, ses_text(s->reply));
	buf_str(b, headers);
	buf_fmt(b, "Require: 100rel\r\nRSeq: %u\r\n", ++s->w->rseq);
	struct dlg_answer ans = {.status = r->status,
				 .headers = buf_view(b),
				 .content_type = STR("application/sdp"),
				 .body = has_sdp ? buf_view(&s->w->local) : STR_NONE};
	enum err e = b->err;
	if (e == OK)
		e = dlg_write_answer(s->d, s->w->rx, &ans);
	if (e != OK)
		return e;
	ev_timer_stop(s->m->loop, &s->w->pause);
	return ses_repeat(
		s, &(struct ses_repeat){.st = s->w->st,
					.cseq = s->w->rx->msg->cseq,
					.status = r->status,
					.wants_answer = has_sdp && !dlg_sdp(s->w->rx->msg, &offer),
					.has_sdp = has_sdp});
}

/* What waited for the PRACK. */
static void go_on(struct ses *s)
{
	struct ses_ring next = s->w->next;
	if (s->state != SES_INCOMING || ses_rel_is_waiting(s) || s->w->later.what)
		return;
	if (s->w->is_answer_waiting) {
		s->w->is_answer_waiting = false;
		(void)!ses_answer(s);
	} else if (next.status) {
		s->w->next = (struct ses_ring){0};
		(void)!ses_rel_ring(s, &next, STR_NONE);
	}
}

static bool is_for_ours(const struct ses *s, const struct sip_msg *msg)
{
	struct sip_rack rack;
	return ses_rel_is_waiting(s) && sip_rack_parse(sip_value(msg, SIP_HDR_RACK), &rack) == OK &&
	       rack.rseq == s->w->rseq && rack.cseq == s->w->ok->cseq &&
	       str_eq(rack.method, STR("INVITE"));
}

/* It was on its way when our 2xx went out; it may be lost, and nothing waits for it. */
static bool is_late(const struct ses *s, const struct sip_msg *msg)
{
	struct sip_rack rack;
	return !s->is_caller && s->d->rseq &&
	       sip_rack_parse(sip_value(msg, SIP_HDR_RACK), &rack) == OK && rack.rseq == s->d->rseq;
}

/* The PRACK has an offer of its own: only after the first was answered [RFC3262 5]. */
static void take_offer(struct ses *s, tsx_id st, struct tp_rx *rx, struct str offer)
{
	unsigned status = ses_ask_answer(s, offer);
	if (status == SES_LATER) {
		ses_later_set(s, &(struct ses_later){.what = SES_LATER_PRACK,
						     .has_offer = true,
						     .st = st,
						     .rx = rx,
						     .d = s->d});
		return;
	}
	struct dlg_answer ans = {.status = status, .why = DLG_REFUSE_MEDIA};
	if (status == 200) {
		ans.why = DLG_REFUSE_NONE;
		ans.content_type = STR("application/sdp");
		ans.body = buf_view(&s->m->sdp);
	}
	(void)!dlg_answer(s->d, st, rx, &ans);
}

void ses_on_prack(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	struct str sdp;
	bool has_sdp = dlg_sdp(rx->msg, &sdp);
	if (is_late(s, rx->msg)) {
		s->d->rseq = 0;
		if (has_sdp && (s->w->is_agreed || s->state == SES_CONFIRMED))
			take_offer(s, st, rx, sdp);
		else
			ses_reply(s, st, rx, 200, STR_NONE);
		return;
	}
	if (!is_for_ours(s, rx->msg)) {
		ses_refuse(s, st, rx, DLG_REFUSE_NO_DIALOG, 481, STR_NONE);
		return;
	}
	bool wants_answer = s->w->ok->wants_answer, had_sdp = s->w->ok->has_sdp;
	ses_stop_2xx(s);
	if (wants_answer) {
		s->w->is_agreed = has_sdp && ses_give_answer(s, sdp, false);
		ses_tell(s, SES_EV_RENEGOTIATED, 200, SES_BY_LOCAL, rx);
		ses_reply(s, st, rx, 200, STR_NONE);
	} else {
		s->w->is_agreed |= had_sdp;
		if (has_sdp && s->w->is_agreed)
			take_offer(s, st, rx, sdp);
		else
			ses_reply(s, st, rx, 200, STR_NONE);
	}
	go_on(s);
}

void ses_rel_expire(struct ses *s)
{
	ses_refuse_invite(s, DLG_REFUSE_PRACK, 504, STR_NONE, STR_NONE);
	ses_set_end(s, SES_BY_NETWORK, SES_CAUSE_NO_RESPONSE, 504, STR("no PRACK"));
	ses_step(s, SES_E_REJECT, STR_NONE);
	ses_flush(s);
}
