/* SDP that the owner brings later: he has to ask somebody else first (the other side of a call that
 * goes through him).
 *
 * One thing can wait at a time: a request of the peer with an offer (or without, that asks for
 * ours), answered by ses_settle; or an ACK or PRACK of ours that is to bear the answer to the offer
 * of a response. While it waits, a further offer of the peer is refused with 500 (RFC 3311 5.2,
 * RFC 3261 14.2); when the session ends, the request that waits is refused, and an ACK refuses the
 * offer.
 *
 * [RFC3264 4] [RFC6337 2]
 */
#include "dialog/ses_priv.h"

void ses_later_set(struct ses *s, const struct ses_later *l)
{
	if (s->w->later.what)
		ses_later_end(s, 500);
	s->w->later = *l;
	tp_rx_ref(l->rx);
	ses_tell(s, SES_EV_OFFER, 0, SES_BY_REMOTE, l->rx);
}

/* What a status says that the owner, or the end of the call, refuses an offer with. */
static enum dlg_refusal why_of(unsigned status)
{
	return status == 491   ? DLG_REFUSE_GLARE
	       : status == 487 ? DLG_REFUSE_CANCELLED
	       : status == 481 ? DLG_REFUSE_NO_DIALOG
	       : status == 500 ? DLG_REFUSE_FULL
			       : DLG_REFUSE_MEDIA;
}

/* The 2xx, or the refusal, of a re-INVITE that waited. */
static void answer_reinvite(struct ses *s, const struct ses_later *l, unsigned status,
			    struct str sdp)
{
	if (status == 200 && s->state == SES_CONFIRMED && !s->w->ok) {
		dlg_refresh(s->d, l->rx);
		if (ses_send_2xx(s, l->st, l->rx, sdp, false, !l->has_offer, STR_NONE) == OK)
			return;
		status = 500;
	}
	status = status == 200 ? 491 : status;
	ses_refuse(s, l->st, l->rx, why_of(status), status, STR_NONE);
}

static void answer_update(struct ses *s, const struct ses_later *l, unsigned status, struct str sdp)
{
	struct buf *b = &s->m->lines;
	struct dlg_answer ans = {.status = status, .why = why_of(status)};
	buf_clear(b);
	if (status == 200) {
		ans.why = DLG_REFUSE_NONE;
		ans.content_type = STR("application/sdp");
		ans.body = sdp;
		if (l->what == SES_LATER_UPDATE) {
			dlg_refresh(l->d, l->rx);
			ses_clock_answer(s, l->rx->msg, b);
		}
		ans.headers = buf_view(b);
	}
	(void)!dlg_answer(l->d, l->st, l->rx, &ans);
}

static void settle(struct ses *s, unsigned status, struct str sdp)
{
	struct ses_later l = s->w->later;
	s->w->later = (struct ses_later){0};
	switch ((enum ses_later_what)l.what) {
	case SES_LATER_NONE:
		break;
	case SES_LATER_REINVITE:
		answer_reinvite(s, &l, status, sdp);
		break;
	case SES_LATER_UPDATE:
	case SES_LATER_PRACK:
		answer_update(s, &l, status, sdp);
		break;
	case SES_LATER_ACK:
		dlg_send_prepared_ack(l.d, status == 200 ? sdp : ses_refuse_offer(s, l.rx->msg));
		break;
	case SES_LATER_OUR_PRACK:
		l.d->has_agreed = status == 200;
		(void)!ses_rel_send_prack(s, l.d, l.rx->msg, status == 200 ? sdp : STR_NONE);
		break;
	}
	tp_rx_unref(s->m->tp, l.rx);
}

enum err ses_settle(struct ses *s, unsigned status, struct str sdp)
{
	if (!s->w || !s->w->later.what)
		return ERR_STATE;
	settle(s, status, sdp);
	ses_flush_later(s);
	return OK;
}

void ses_later_end(struct ses *s, unsigned status)
{
	if (s->w->later.what == SES_LATER_OUR_PRACK) {
		tp_rx_unref(s->m->tp, s->w->later.rx);
		s->w->later = (struct ses_later){0};
	} else if (s->w->later.what) {
		settle(s, status, STR_NONE);
	}
}
