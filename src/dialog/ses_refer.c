/* REFER inside a session's dialog, both sides, with the subscription that it implies.
 *
 * Who is asked answers 202 and tells by NOTIFYs how it goes, each with a status line as its body;
 * a final one ends the subscription. It lives in the session and not in an object of its own: what
 * it needs is the CSeq of the REFER, which names it where a dialog sees several (RFC 3515 2.4.6).
 * When the session ends it ends silently: the transferor has hung up and asks no more.
 *
 * [RFC3515] [RFC5589] [RFC4488] [RFC3420]
 */
#include "dialog/ses_priv.h"

#define LIFE "180" /* seconds: as long as a call may ring */

/* --- asked ------------------------------------------------------------------------------------ */

static void send_notify(struct ses *s, unsigned status, struct str state)
{
	char head[160], body[96];
	struct buf h, b;
	buf_init_fixed(&h, head, sizeof(head));
	buf_init_fixed(&b, body, sizeof(body));
	buf_str(&h, STR("Event: refer"));
	if (s->n_refers > 1)
		buf_fmt(&h, ";id=%u", s->refer_cseq);
	buf_fmt(&h, "\r\nSubscription-State: " STR_FMT "\r\n", STR_ARG(state));
	struct str reason = sip_status_reason(status);
	buf_fmt(&b, "SIP/2.0 %u " STR_FMT "\r\n", status, STR_ARG(reason));
	struct dlg_request req = {.method = STR("NOTIFY"),
				  .headers = buf_view(&h),
				  .content_type = STR("message/sipfrag;version=2.0"),
				  .body = buf_view(&b)};
	(void)!ses_ask(s, s->d, &req, SES_TAG_NOTIFY);
}

void ses_notify(struct ses *s, unsigned status)
{
	if (!s->refer_cseq || s->state != SES_CONFIRMED)
		return;
	for (unsigned i = 0; s->w && i < SES_REQUESTS; i++)
		if (s->w->asked[i].tag ==
		    SES_TAG_NOTIFY) { /* one at a time, so that none overtakes */
			s->w->notify_next = (uint16_t)status;
			return;
		}
	if (s->w)
		s->w->notify_next = 0;
	s->notified = (uint16_t)status;
	send_notify(s, status,
		    status < 200 ? STR("active;expires=" LIFE)
				 : STR("terminated;reason=noresource"));
	if (status >= 200)
		s->refer_cseq = 0;
}

/* The transferor prolongs his subscription, or wants to hear no more; he cannot begin one. */
void ses_on_resubscribe(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	uint32_t asked = 1;
	if (!s->refer_cseq || s->state != SES_CONFIRMED) {
		ses_refuse(s, st, rx, DLG_REFUSE_REFER, 403, STR_NONE);
		return;
	}
	(void)!sip_seconds_parse(sip_value(rx->msg, SIP_HDR_EXPIRES), &asked);
	ses_reply(s, st, rx, 200, asked ? STR("Expires: " LIFE "\r\n") : STR("Expires: 0\r\n"));
	if (asked) {
		ses_notify(s, s->notified);
		return;
	}
	send_notify(s, s->notified, STR("terminated;reason=timeout"));
	s->refer_cseq = s->w->notify_next = 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

enum err ses_refer(struct ses *s, struct str target, struct str headers)
{
	struct buf *b = &s->m->lines;
	if (s->state != SES_CONFIRMED)
		return ERR_STATE;
	buf_clear(b);
	buf_fmt(b, "Refer-To: <" STR_FMT ">\r\n", STR_ARG(target));
	buf_str(b, headers);
	struct dlg_request req = {.method = STR("REFER"), .headers = buf_view(b)};
	enum err e = b->err == OK ? ses_ask(s, s->d, &req, SES_TAG_MILD) : b->err;
	s->has_refer_sent |= e == OK;
	return e;
}

/* The status of a sipfrag that begins with a status line; 0: it does not. */
static unsigned status_of(struct str body)
{
	uint32_t status = 0;
	struct str rest = str_skip(body, STR("SIP/2.0 ").n);
	if (!str_starts(body, STR("SIP/2.0 ")) || !str_u32(str_sub(rest, 0, 3), &status))
		return 0;
	return status;
}

void ses_on_notify(struct ses *s, tsx_id st, struct tp_rx *rx)
{
	if (!dlg_is_event(rx->msg, STR("refer")) || !s->has_refer_sent) {
		ses_refuse(s, st, rx, DLG_REFUSE_NO_DIALOG, 481, STR_NONE);
		return;
	}
	ses_reply(s, st, rx, 200, STR_NONE);
	ses_tell(s, SES_EV_REFERRED, status_of(rx->msg->body), SES_BY_REMOTE, rx);
}
