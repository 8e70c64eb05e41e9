/* What else is worth saying about a call's signalling besides how it ended: each rule here adds at
 * most one finding.
 *
 * Retransmissions are evidence, not faults: one means that a packet or its answer was lost or late.
 * Hold is no fault either.
 *
 * [RFC3261 9, 14, 15.1, 16.6, 17] [RFC3264 8.4] [RFC3515]
 */
#include "track/vrd_priv.h"

#define GLARE_CALLER_US 2'100'000u

/* --- signalling ------------------------------------------------------------------------------- */

static bool cancel_crossed(struct judge *j)
{
	const struct trk_call *c = j->c;
	if (!c->answer_us)
		return false;
	for (unsigned i = 0; i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		if (x->method != SIP_CANCEL || x->req->cseq != c->cseq || x->from != c->caller)
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_CANCEL_CROSSED);
		if (!f)
			return false;
		vrd_say(j, "the caller's CANCEL came too late: it crossed with the answer, and the "
			   "call had to be ended with BYE");
		vrd_evidence(f, x->req);
		vrd_evidence(f, vrd_origin(j, c->status));
		return true;
	}
	return false;
}

static bool cancel_no_487(struct judge *j)
{
	const struct tsx *x = j->c->status ? NULL : vrd_callers_cancel(j);
	if (!x || vrd_is_near_end(j, x->req->at_us))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_CANCEL_NO_487);
	if (!f)
		return false;
	vrd_say(j, "the 487 that should follow the CANCEL was not seen in the ");
	vrd_say_duration(j, vrd_since(x->req->at_us, trk_now_us(j->t)));
	vrd_say(j, " after it");
	vrd_evidence(f, x->req);
	return true;
}

/* The request that was resent most and did bring an answer in the end. */
static bool resent(struct judge *j)
{
	const struct tsx *worst = NULL;
	for (unsigned i = 0; i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		if (x->n_sent > 1 && (x->trying || x->ringing || x->final) &&
		    (!worst || x->n_sent > worst->n_sent))
			worst = x;
	}
	struct vrd_finding *f = worst ? vrd_find(j, VRD_RESENT) : NULL;
	if (!f)
		return false;
	const struct trk_ev *first = worst->trying    ? worst->trying
				     : worst->ringing ? worst->ringing
						      : worst->final;
	trk_ev_put(&j->v->text, worst->req);
	vrd_say(j, " was sent %u times from ", worst->n_sent);
	vrd_say_peer(j, worst->from);
	vrd_say(j, " to ");
	vrd_say_peer(j, worst->to);
	vrd_say(j, " (");
	vrd_say_times(j, worst);
	vrd_say(j, "); the first answer came after ");
	vrd_say_duration(j, vrd_since(worst->req->at_us, first->at_us));
	vrd_evidence(f, worst->req);
	vrd_evidence(f, first);
	return true;
}

static bool final_resent(struct judge *j)
{
	for (unsigned i = 0; i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		if (x->method != SIP_INVITE || x->n_final < 2 || x->n_sent > 1)
			continue;
		bool is_2xx = x->final->status < 300;
		if (is_2xx && j->v->f[0].rule == VRD_CALL_LOST_ACK)
			return false; /* told already */
		struct vrd_finding *f = vrd_find(j, is_2xx ? VRD_ACK_LATE : VRD_FINAL_RESENT);
		if (!f)
			return false;
		vrd_say_peer(j, x->final_from);
		vrd_say(j, " sent its ");
		vrd_say_answer(j, x->final);
		vrd_say(j, " %u times in ", x->n_final);
		vrd_say_duration(j, vrd_since(x->final->at_us, x->last_final_us));
		vrd_say(j, is_2xx ? " until the ACK came"
				  : ": the ACK for it did not reach it at once");
		vrd_evidence(f, x->final);
		vrd_evidence(f, x->ack);
		return true;
	}
	return false;
}

static bool bye_unanswered(struct judge *j)
{
	struct tsx *x = j->c->ender != TRK_NO_PEER ? vrd_last(j, SIP_BYE) : NULL;
	if (!x || (x->final && x->final->status < 300))
		return false;
	if (!x->final && x->n_sent < 2 && vrd_since(x->req->at_us, trk_now_us(j->t)) < 1'000'000)
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_BYE_UNANSWERED);
	if (!f)
		return false;
	vrd_say(j, "the BYE to ");
	vrd_say_peer(j, x->to);
	if (x->final) {
		vrd_say(j, " was answered ");
		vrd_say_answer(j, x->final);
		vrd_say_tags(j, x->final);
	} else {
		vrd_say(j, " was never answered (sent %u time%s)", x->n_sent,
			x->n_sent == 1 ? "" : "s");
	}
	vrd_evidence(f, x->req);
	vrd_evidence(f, x->final);
	return true;
}

/* The side that made the Call-ID waits 2.1 to 4 s, the other one up to 2 s. [RFC3261 14.1] */
static void say_who_waits(struct judge *j, struct vrd_finding *f, const struct tsx *x)
{
	bool is_caller = x->req->flags & TRK_EV_CALLER;
	const struct tsx *again = NULL;
	for (const struct tsx *y = x + 1; y < j->tsx + j->n_tsx && !again; y++)
		if (y->method == x->method && y->from == x->from && y->req->cseq > x->req->cseq &&
		    y->req->at_us >= x->final->at_us)
			again = y;
	vrd_say(j, "; the caller, who made the call, has to wait 2.1 to 4 s before it tries again, "
		   "the callee up to 2 s");
	if (!again) {
		vrd_say(j, "; the %s did not try again", is_caller ? "caller" : "callee");
		return;
	}
	uint64_t us = vrd_since(x->final->at_us, again->req->at_us);
	vrd_say(j, "; the %s tried again after ", is_caller ? "caller" : "callee");
	vrd_say_duration(j, us);
	if (is_caller && us < GLARE_CALLER_US)
		vrd_say(j, ", too early");
	vrd_evidence(f, again->req);
}

static bool reinvite_refused(struct judge *j)
{
	for (unsigned i = 0; i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		bool is_change = (x->method == SIP_INVITE || x->method == SIP_UPDATE) &&
				 x->req->flags & TRK_EV_TO_TAG;
		if (!is_change || !x->final || x->final->status < 300 || x->final->status == 401 ||
		    x->final->status == 407)
			continue;
		bool is_glare = x->final->status == 491;
		struct vrd_finding *f = vrd_find(j, is_glare ? VRD_GLARE : VRD_REINVITE_REFUSED);
		if (!f)
			return false;
		vrd_say(j, "a change of the session asked for by ");
		vrd_say_peer(j, x->from);
		vrd_say(j, " was refused: ");
		vrd_say_answer(j, x->final);
		vrd_say_why(j, x->final);
		vrd_say_tags(j, x->final);
		if (is_glare)
			say_who_waits(j, f, x);
		vrd_evidence(f, x->req);
		vrd_evidence(f, x->final);
		return true;
	}
	return false;
}

/* Hold: an offer within the dialog that does not want to receive, or not to send. [RFC3264 8.4] */
static bool hold(struct judge *j)
{
	const struct trk_ev *begin = NULL, *end = NULL;
	uint64_t total = 0;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *f = trk_fact(e, TRK_F_SDP);
		if (!f || !(e->flags & TRK_EV_REQUEST) || !(e->flags & TRK_EV_TO_TAG))
			continue;
		unsigned both = TRK_SD_SENDS | TRK_SD_RECVS;
		bool is_hold = (f->flags & both) != both && !(f->flags & TRK_SD_REFUSED);
		if (is_hold && !begin) {
			begin = e;
		} else if (!is_hold && begin && !end) {
			end = e;
			total = vrd_since(begin->at_us, e->at_us);
		}
	}
	struct vrd_finding *f = begin ? vrd_find(j, VRD_HOLD) : NULL;
	if (!f)
		return false;
	vrd_say(j, "on hold by the %s", begin->flags & TRK_EV_CALLER ? "caller" : "callee");
	if (end) {
		vrd_say(j, " for ");
		vrd_say_duration(j, total);
	} else {
		vrd_say(j, " until the end");
	}
	vrd_evidence(f, begin);
	vrd_evidence(f, end);
	return true;
}

/* Forked where we do not see it: several To tags come back for one INVITE. [RFC3261 12.1] */
static bool forked_beyond(struct judge *j)
{
	const struct trk_ev *last = NULL, *first = NULL;
	unsigned n = 0, seen = 0;
	for (uint32_t i = 0; j->c->n_tags > 1 && j->head && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		bool is_its = e->method == SIP_INVITE && e->status > 100 && e->status < 300 &&
			      e->branch == j->head->req->branch && e->cseq == j->c->cseq;
		if (!is_its || !e->tag || seen >> e->tag & 1)
			continue;
		seen |= 1u << e->tag;
		n++;
		first = first ? first : e;
		last = e;
	}
	struct vrd_finding *f = n > 1 ? vrd_find(j, VRD_FORKED) : NULL;
	if (!f)
		return false;
	vrd_say(j, "%u phones were called behind ", n);
	vrd_say_peer(j, j->head->to);
	vrd_say(j, " (as many To tags came back)");
	const struct trk_ev *won = j->c->answer_us ? vrd_origin(j, j->c->status) : NULL;
	if (won)
		vrd_say(j, ", the %s of them answered",
			won->tag == first->tag  ? "first"
			: won->tag == last->tag ? "last"
						: "middle");
	vrd_evidence(f, first);
	vrd_evidence(f, won ? won : last);
	return true;
}

static bool forked(struct judge *j)
{
	const struct trk_call *c = j->c;
	for (unsigned i = 0; i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		if (x->method != SIP_INVITE || x->req->cseq != c->cseq ||
		    x->req->flags & TRK_EV_TO_TAG)
			continue;
		unsigned n = 1;
		const struct tsx *winner = x->final && x->final->status < 300 ? x : NULL;
		const struct tsx *also = NULL;
		for (unsigned k = i + 1; k < j->n_tsx; k++) {
			const struct tsx *y = &j->tsx[k];
			if (y->method != SIP_INVITE || y->from != x->from ||
			    y->req->cseq != x->req->cseq || y->req->branch == x->req->branch)
				continue;
			n++;
			if (!y->final || y->final->status >= 300)
				continue;
			bool is_first = !winner || y->final->at_us < winner->final->at_us;
			also = is_first ? winner : y;
			winner = is_first ? y : winner;
		}
		struct vrd_finding *f = n > 1 ? vrd_find(j, VRD_FORKED) : NULL;
		if (!f)
			continue;
		vrd_say_peer(j, x->from);
		vrd_say(j, " tried %u targets", n);
		if (winner) {
			vrd_say(j, ", ");
			vrd_say_peer(j, winner->to);
			vrd_say(j, " answered");
			vrd_evidence(f, winner->final);
		}
		if (also) {
			vrd_say(j, ", and ");
			vrd_say_peer(j, also->to);
			vrd_say(j, " answered too");
			vrd_evidence(f, also->final);
		}
		vrd_evidence(f, x->req);
		return true;
	}
	return forked_beyond(j);
}

/* The last status line of the NOTIFYs that report on a REFER. */
static unsigned transfer_result(struct judge *j, const struct trk_ev **line)
{
	unsigned status = 0;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		struct str s = trk_fact_text(trk_fact(e, TRK_F_BODY));
		uint32_t n;
		if (e->method != SIP_NOTIFY || !str_starts(s, STR("SIP/2.0 ")) ||
		    !str_u32(str_sub(s, 8, 3), &n))
			continue;
		status = n;
		*line = e;
	}
	return status;
}

static bool transfer(struct judge *j)
{
	for (unsigned i = 0; i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		const struct trk_fact *to = trk_fact(x->req, TRK_F_REFER_TO);
		if (!to)
			continue;
		const struct trk_ev *line = NULL;
		unsigned status = transfer_result(j, &line);
		bool is_refused = x->final && x->final->status >= 300;
		bool is_bad = is_refused || status >= 300;
		struct vrd_finding *f = vrd_find(j, is_bad ? VRD_TRANSFER_FAILED : VRD_TRANSFER);
		if (!f)
			return false;
		vrd_say(j, "the %s transferred it to " STR_FMT,
			x->req->flags & TRK_EV_CALLER ? "caller" : "callee",
			STR_ARG(trk_fact_text(to)));
		if (is_refused) {
			vrd_say(j, ", refused: ");
			vrd_say_answer(j, x->final);
		} else if (line) {
			vrd_say(j, ": the new call came to \"" STR_FMT "\"",
				STR_ARG(str_skip(trk_fact_text(trk_fact(line, TRK_F_BODY)), 8)));
			vrd_evidence(f, line);
		}
		vrd_evidence(f, x->req);
		return true;
	}
	return false;
}

vrd_rule_fn *const vrd_call_notes[] = {
	cancel_crossed, cancel_no_487, bye_unanswered, reinvite_refused,
	transfer,       hold,          forked,         NULL,
};
vrd_rule_fn *const vrd_common_notes[] = {resent, final_resent, NULL};
