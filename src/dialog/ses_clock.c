/* Session timers: a session whose peer has vanished ends by itself.
 *
 * One side refreshes at half of the interval, by UPDATE without SDP where the peer takes that, else
 * by a re-INVITE with the owner's SDP; the other side ends the session when no refresh came until a
 * third of it, at most 32 s, before the interval is over. Any re-INVITE or UPDATE is a refresh. A
 * peer that does not know session timers is refreshed all the same when the owner wished for one.
 *
 * [RFC4028 7, 8, 9, 10]
 */
#include "dialog/ses_priv.h"

#define LEAST_S   90 /* [RFC4028 4] */
#define LONGEST_S 86400

static void on_timer(struct tmr *t);

void ses_clock_stop(struct ses *s)
{
	ev_timer_stop(s->m->loop, &s->clock.timer);
	s->clock.agreed = 0;
}

/* Until the refresh of ours, or until the end for want of the peer's. */
static void start(struct ses *s, uint32_t seconds, bool is_refresher)
{
	struct ses_clock *c = &s->clock;
	c->agreed = seconds;
	c->is_refresher = is_refresher;
	c->is_refreshing = false;
	uint32_t early = seconds / 3 < 32 ? seconds / 3 : 32;
	uint32_t wait = is_refresher ? seconds / 2 : seconds - early;
	ev_timer(s->m->loop, &c->timer, wait * 1000000ull, on_timer);
}

static void expire(struct ses *s)
{
	ses_set_end(s, SES_BY_NETWORK, SES_CAUSE_TIMER, 0, STR_NONE);
	ses_set_reason(s, STR("SIP;cause=408;text=\"session timer\""));
	ses_step(s, SES_E_HANGUP, STR_NONE);
	ses_flush(s);
}

static void on_timer(struct tmr *t)
{
	struct ses *s = CONTAINER_OF(t, struct ses, clock.timer);
	struct ses_clock *c = &s->clock;
	if (!ses_wake(s)) {
		ev_timer(s->m->loop, &c->timer, 1000000, on_timer);
		return;
	}
	if (!c->is_refresher || c->is_refreshing) {
		expire(s);
		return;
	}
	/* what fails or is refused leaves the session alone until the interval is over */
	c->is_refreshing = true;
	uint32_t left = c->agreed - c->agreed / 2, early = left / 3 < 32 ? left / 3 : 32;
	ev_timer(s->m->loop, &c->timer, (left - early) * 1000000ull, on_timer);
	if (s->w->modify || s->w->later.what || s->w->ok || tmr_is_running(&s->w->pause))
		return; /* a change under way is a refresh, too */
	s->w->is_relay = false;
	if (s->has_update)
		(void)!ses_send_change(s, SES_UPDATE, STR_NONE);
	else if (s->kept ? ses_kept_sdp(s) == OK : ses_ask_offer(s) == 200)
		(void)!ses_send_change(s, SES_REINVITE, buf_view(&s->m->sdp));
}

/* --- ours ------------------------------------------------------------------------------------- */

void ses_clock_put(const struct ses *s, struct buf *b)
{
	const struct ses_clock *c = &s->clock;
	uint32_t seconds = c->agreed ? c->agreed : c->wish;
	if (c->least > LEAST_S)
		buf_fmt(b, "Min-SE: %u\r\n", c->least);
	if (!seconds)
		return;
	buf_fmt(b, "Session-Expires: %u", seconds > c->least ? seconds : c->least);
	if (c->agreed) /* the roles stay, seen from this request */
		buf_str(b, c->is_refresher ? STR(";refresher=uac") : STR(";refresher=uas"));
	buf_str(b, STR("\r\n"));
}

void ses_clock_on_answer(struct ses *s, const struct sip_msg *resp)
{
	struct sip_session_expires se;
	struct ses_clock *c = &s->clock;
	if (sip_session_expires_parse(sip_value(resp, SIP_HDR_SESSION_EXPIRES), &se) == OK &&
	    se.seconds)
		start(s, se.seconds, !se.has_refresher || se.is_uac_refresher);
	else if (c->agreed || c->wish)
		start(s, c->agreed ? c->agreed : c->wish, true);
}

bool ses_clock_raise(struct ses *s, const struct sip_msg *resp)
{
	struct ses_clock *c = &s->clock;
	uint32_t least;
	if (sip_seconds_parse(sip_value(resp, SIP_HDR_MIN_SE), &least) != OK || least <= c->least ||
	    least > LONGEST_S)
		return false;
	c->least = least;
	if (c->wish && c->wish < least)
		c->wish = least;
	return true;
}

/* --- the peer's ------------------------------------------------------------------------------- */

static bool knows_timers(const struct sip_msg *msg)
{
	return sip_has_token(msg, SIP_HDR_SUPPORTED, STR("timer")) ||
	       sip_has_token(msg, SIP_HDR_REQUIRE, STR("timer"));
}

bool ses_clock_is_fine_for(struct dlg_mgr *m, tsx_id st, const struct tp_rx *rx)
{
	struct sip_session_expires se;
	struct str v = sip_value(rx->msg, SIP_HDR_SESSION_EXPIRES);
	char text[32];
	struct buf b;
	if (!v.n || sip_session_expires_parse(v, &se) != OK || se.seconds >= LEAST_S ||
	    !knows_timers(rx->msg))
		return true;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b, "Min-SE: %u\r\n", LEAST_S);
	dlg_refuse(m, st, DLG_REFUSE_TIMER, 422, STR_NONE, buf_view(&b));
	return false;
}

void ses_clock_answer(struct ses *s, const struct sip_msg *req, struct buf *b)
{
	struct ses_clock *c = &s->clock;
	struct sip_session_expires se = {0};
	struct str v = sip_value(req, SIP_HDR_SESSION_EXPIRES);
	uint32_t least = 0;
	(void)!sip_seconds_parse(sip_value(req, SIP_HDR_MIN_SE), &least);
	if (least > c->least && least <= LONGEST_S) /* for refreshes of ours, too [RFC4028 7.4] */
		c->least = least;
	if (!v.n || sip_session_expires_parse(v, &se) != OK)
		se = (struct sip_session_expires){.seconds = c->wish};
	if (!v.n && !c->wish)
		se.seconds = 0;
	if (!se.seconds) {
		ses_clock_stop(s);
		return;
	}
	if (se.seconds < LEAST_S)
		se.seconds = LEAST_S;
	if (se.seconds < least)
		se.seconds = least;
	bool is_peer = knows_timers(req) && se.has_refresher && se.is_uac_refresher;
	buf_fmt(b, "Session-Expires: %u;refresher=%s\r\n", se.seconds, is_peer ? "uac" : "uas");
	if (is_peer)
		buf_str(b, STR("Require: timer\r\n"));
	start(s, se.seconds, !is_peer);
}
