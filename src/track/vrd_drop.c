/* Why a call was dropped, and what hangs on a timer: session timers, the RTP time-out of a PBX, a
 * host between that ends calls after a round time, provisional answers that nobody confirmed.
 *
 * That a call ended when a timer ran out may be chance; so each rule wants something else as well:
 * no refresh, audio that broke off, an end that came from neither party.
 *
 * [RFC3262 3, 4] [RFC3550 6.3.5] [RFC4028 10]
 */
#include "track/vrd_priv.h"

#define SECOND 1'000'000u
#define EARLY_S                                                                                    \
	32u /* the BYE comes min(32, a third of the interval) before the end [RFC4028 10]          \
	     */
#define SLACK_S 5u
#define QUIET_S 10u /* no PBX gives up sooner */
#define FEW     50u
#define ROUND_S 30u

static bool says(const struct trk_ev *e, const char *word)
{
	const struct trk_fact *f = trk_fact(e, TRK_F_REASON);
	return f && str_ifind(trk_fact_text(f), str_c(word)) != SIZE_MAX;
}

/* A change of the session that went through, or the first answer: it starts the timer anew. */
static bool is_refresh(const struct trk_ev *e)
{
	return (e->method == SIP_INVITE || e->method == SIP_UPDATE) && e->status >= 200 &&
	       e->status < 300;
}

static bool session_expired(struct judge *j)
{
	const struct trk_call *c = j->c;
	const struct trk_ev *last = NULL, *granted = NULL;
	bool fits = vrd_has_fact(j, TRK_F_SESSION) && c->answer_us && c->ender != TRK_NO_PEER;
	struct tsx *bye = fits ? vrd_last(j, SIP_BYE) : NULL;
	for (uint32_t i = 0; bye && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (!is_refresh(e))
			continue;
		last = e;
		if (trk_fact(e, TRK_F_SESSION))
			granted = e;
	}
	if (!granted)
		return false;
	uint64_t s = trk_fact(granted, TRK_F_SESSION)->num;
	uint64_t lead = s / 3 < EARLY_S ? s / 3 : EARLY_S;
	uint64_t since = vrd_since(last->at_us, c->end_us) / SECOND;
	if (s < 2 * SLACK_S || since + SLACK_S < s - lead || since > s + SLACK_S)
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_SESSION_EXPIRED);
	if (!f)
		return false;
	if (says(bye->req, "timer") || says(bye->req, "timeout") || says(bye->req, "expire"))
		f->confidence = 95;
	vrd_say(j, "the session timer ran out: %u s were agreed, and in the ",
		trk_fact(granted, TRK_F_SESSION)->num);
	vrd_say_duration(j, vrd_since(last->at_us, c->end_us));
	vrd_say(j, " before the BYE no refresh went through");
	vrd_evidence(f, granted);
	vrd_evidence(f, last);
	vrd_evidence(f, bye->req);
	return true;
}

/* Last packet to a side, 0 where there are too few. */
static uint64_t last_rtp(const struct trk_call *c, unsigned side)
{
	uint64_t last = 0, n = 0;
	for (const struct trk_stream *s = trk_av(c)->streams; s; s = s->next)
		if (s->side == side) {
			n += s->stats.received;
			last = s->stats.last_us > last ? s->stats.last_us : last;
		}
	return n < FEW ? 0 : last;
}

/* NATs and firewalls forget a way after a round time. */
static void say_if_round(struct judge *j, uint64_t from_us, uint64_t to_us)
{
	uint64_t us = vrd_since(from_us, to_us),
		 beat = (us + SECOND) / (ROUND_S * (uint64_t)SECOND);
	uint64_t at = beat * ROUND_S * SECOND, off = us > at ? us - at : at - us;
	if (beat && off <= SECOND)
		vrd_say(j,
			"; it had run for %u s, a round time, as NATs and firewalls have for their "
			"time-outs",
			(unsigned)(beat * ROUND_S));
}

/* Neither direction has anything left, and then a host between ends the call. */
static bool both_quiet(struct judge *j)
{
	const struct trk_call *c = j->c;
	uint64_t a = last_rtp(c, 0), b = last_rtp(c, 1), last = a > b ? a : b;
	struct tsx *bye = vrd_last(j, SIP_BYE);
	bool is_said = says(bye->req, "rtp") || says(bye->req, "media");
	if (!a || !b || last + QUIET_S * SECOND > c->end_us ||
	    !(is_said || vrd_is_from_between(j)) || !vrd_both_ways_agreed(j))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_RTP_TIMEOUT);
	if (!f)
		return false;
	f->confidence = is_said ? 95 : 75;
	vrd_say(j, "for ");
	vrd_say_duration(j, vrd_since(last, c->end_us));
	vrd_say(j, " no audio came in either direction, then ");
	vrd_say_peer(j, c->ender);
	vrd_say(j, " ended the call");
	vrd_evidence(f, bye->req);
	return true;
}

static bool rtp_timeout(struct judge *j)
{
	const struct trk_call *c = j->c;
	bool fits = trk_av(c)->streams && c->answer_us && c->ender != TRK_NO_PEER;
	struct tsx *bye = fits ? vrd_last(j, SIP_BYE) : NULL;
	for (unsigned side = 0; side < 2 && bye && vrd_both_ways_agreed(j); side++) {
		uint64_t last = last_rtp(c, side), other = last_rtp(c, !side);
		if (!last || last + QUIET_S * SECOND > c->end_us || other + SECOND < c->end_us)
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_RTP_TIMEOUT);
		if (!f)
			return false;
		if (says(bye->req, "rtp") || says(bye->req, "media"))
			f->confidence = 95;
		vrd_say(j, "the audio to the %s broke off ",
			side == TRK_SIDE_CALLER ? "caller" : "callee");
		vrd_say_duration(j, vrd_since(last, c->end_us));
		vrd_say(j, " before the BYE, the other direction went on to the end");
		say_if_round(j, c->answer_us, last);
		vrd_evidence(f, bye->req);
		return true;
	}
	return bye && both_quiet(j);
}

static bool dropped_at_timer(struct judge *j)
{
	const struct trk_call *c = j->c;
	uint64_t talk = c->answer_us && c->ender != TRK_NO_PEER && vrd_is_from_between(j)
				? vrd_since(c->answer_us, c->end_us)
				: 0;
	uint64_t beat = (talk + SECOND / 2) / (ROUND_S * (uint64_t)SECOND);
	uint64_t off = talk > beat * ROUND_S * SECOND ? talk - beat * ROUND_S * SECOND
						      : beat * ROUND_S * SECOND - talk;
	if (!beat || off > SECOND / 2 || vrd_has(j, VRD_SESSION_EXPIRED))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_DROPPED_AT_TIMER);
	if (!f)
		return false;
	vrd_say(j, "neither side ended it, and it lasted %u s, a round time",
		(unsigned)(beat * ROUND_S));
	vrd_evidence(f, vrd_last(j, SIP_BYE)->req);
	return true;
}

/* Reliable provisional answers are resent until the PRACK comes, and then the call fails.
 * [RFC3262 3] */
static bool prack_missing(struct judge *j)
{
	const struct trk_ev *reliable = NULL;
	unsigned n = 0;
	if (!vrd_has_fact(j, TRK_F_RSEQ) || vrd_last(j, SIP_PRACK))
		return false;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (e->flags & TRK_EV_DUPLICATE)
			continue;
		if (!reliable && trk_fact(e, TRK_F_RSEQ))
			reliable = e;
		n += reliable && (e == reliable || trk_copy_of(e) == trk_ev_id(reliable));
	}
	if (!reliable || (n < 2 && vrd_is_near_end(j, reliable->at_us)))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_PRACK_MISSING);
	if (!f)
		return false;
	vrd_say_answer(j, reliable);
	vrd_say(j, " asks for PRACK, and none was seen; it was sent %u time%s", n,
		n == 1 ? "" : "s");
	vrd_evidence(f, reliable);
	return true;
}

vrd_rule_fn *const vrd_drop_notes[] = {
	session_expired, rtp_timeout, dropped_at_timer, prack_missing, NULL,
};
