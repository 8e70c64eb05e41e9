/* What else is worth saying about a call besides how it ended: each rule here adds at most one
 * finding.
 *
 * Retransmissions are evidence, not faults: one means that a packet or its answer was lost or late.
 * The sniffer's own doubles (mirror port) are told apart and said not to be the call's. Hold is no
 * fault either, and where a side was put on hold nobody misses its audio.
 *
 * Media: a direction without a packet is a fault only if the other one has some; if there are none
 * at all, they may pass elsewhere.
 *
 * [RFC3261 9.1, 14, 15.1, 17] [RFC3264 5, 8.4] [RFC3515] [RFC3550 6.4.1] [RFC3581]
 */
#include "base/assert.h"
#include "scope/vrd_priv.h"
#include "sip/uri.h"

#include <string.h>

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
	if (!x->final && x->n_sent < 2 &&
	    vrd_since(x->req->at_us, trk_stats(j->t)->last_us) < 1'000'000)
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_BYE_UNANSWERED);
	if (!f)
		return false;
	vrd_say(j, "the BYE to ");
	vrd_say_peer(j, x->to);
	if (x->final) {
		vrd_say(j, " was answered ");
		vrd_say_answer(j, x->final);
	} else {
		vrd_say(j, " was never answered (sent %u time%s)", x->n_sent,
			x->n_sent == 1 ? "" : "s");
	}
	vrd_evidence(f, x->req);
	vrd_evidence(f, x->final);
	return true;
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
		struct vrd_finding *f = vrd_find(j, VRD_REINVITE_REFUSED);
		if (!f)
			return false;
		vrd_say(j, "a change of the session asked for by ");
		vrd_say_peer(j, x->from);
		vrd_say(j, " was refused: ");
		vrd_say_answer(j, x->final);
		vrd_say_why(j, x->final);
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
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
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
		for (unsigned k = i + 1; k < j->n_tsx; k++) {
			const struct tsx *y = &j->tsx[k];
			if (y->method != SIP_INVITE || y->from != x->from ||
			    y->req->cseq != x->req->cseq || y->req->branch == x->req->branch)
				continue;
			n++;
			if (y->final && y->final->status < 300)
				winner = y;
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
		vrd_evidence(f, x->req);
		return true;
	}
	return false;
}

/* The last status line of the NOTIFYs that report on a REFER. */
static unsigned transfer_result(struct judge *j, const struct trk_ev **line)
{
	unsigned status = 0;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
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

static bool mirror(struct judge *j)
{
	unsigned n = 0;
	const struct trk_ev *first = NULL;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
		if (!(e->flags & TRK_EV_DUPLICATE))
			continue;
		n++;
		if (!first)
			first = e;
	}
	struct vrd_finding *f = n ? vrd_find(j, VRD_MIRROR) : NULL;
	if (!f)
		return false;
	vrd_say(j, "the capture holds %u of its %u messages twice", n, j->n_history - n);
	vrd_evidence(f, trk_ev(j->t, first->copy_of));
	vrd_evidence(f, first);
	return true;
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool private_contact(struct judge *j)
{
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
		const struct trk_fact *k = trk_fact(e, TRK_F_CONTACT);
		const struct addr *src = &j->c->peers[e->from].addr;
		struct sip_uri u;
		if (!k || (e->status >= 300 && e->status < 400) ||
		    sip_uri_parse(trk_fact_text(k), &u) || !u.is_ip || !addr_is_private(&u.ip) ||
		    addr_is_private(src) || addr_is_loopback(src))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_PRIVATE_CONTACT);
		if (!f)
			return false;
		vrd_say(j,
			"the Contact names the private address " STR_FMT ", the packet came from ",
			STR_ARG(u.host));
		addr_put_ip(&j->v->text, src);
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

static bool private_sdp(struct judge *j)
{
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
		const struct trk_fact *s = trk_fact(e, TRK_F_SDP);
		if (!s || !(s->flags & TRK_SD_PRIVATE))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_PRIVATE_SDP);
		if (!f)
			return false;
		vrd_say_peer(j, e->from);
		vrd_say(j, " asks for its audio at the private address " STR_FMT,
			STR_ARG(trk_fact_text(s)));
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

/* --- media ------------------------------------------------------------------------------------ */

/* Packets received by each side. */
static void count_rtp(const struct trk_call *c, uint64_t n[2])
{
	n[0] = n[1] = 0;
	for (const struct trk_stream *s = c->streams; s; s = s->next)
		n[s->side] += s->stats.received;
}

/* Whether both sides wanted to send and receive, as far as their last descriptions say. */
static bool both_ways_agreed(struct judge *j)
{
	unsigned both = TRK_SD_SENDS | TRK_SD_RECVS, n = 0;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_fact *f = trk_fact(trk_ev(j->t, j->history[i]), TRK_F_SDP);
		if (!f)
			continue;
		if ((f->flags & both) != both || f->flags & TRK_SD_REFUSED)
			return false;
		n++;
	}
	return n >= 2;
}

static bool one_way(struct judge *j)
{
	const struct trk_call *c = j->c;
	uint64_t n[2];
	count_rtp(c, n);
	uint64_t end = c->end_us ? c->end_us : trk_stats(j->t)->last_us;
	if (!trk_cfg(j->t)->has_media || !c->answer_us || vrd_since(c->answer_us, end) < 1'000'000)
		return false;
	if (!n[0] && !n[1]) {
		if (!trk_stats(j->t)->n_rtp || !both_ways_agreed(j))
			return false;
		if (vrd_find(j, VRD_NO_RTP))
			vrd_say(j, "no RTP of this call was seen, in neither direction");
		return true;
	}
	if ((n[0] && n[1]) || n[0] + n[1] < 20 || !both_ways_agreed(j))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_ONE_WAY);
	if (!f)
		return false;
	bool to_caller = !n[TRK_SIDE_CALLER];
	unsigned long long both = n[0] + n[1];
	vrd_say(j, "one-way audio: no RTP to the %s was seen, while %llu packets went to the %s",
		to_caller ? "caller" : "callee", both, to_caller ? "callee" : "caller");
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
		const struct trk_fact *s = trk_fact(e, TRK_F_SDP);
		bool by_caller = !(e->flags & TRK_EV_REQUEST) != !!(e->flags & TRK_EV_CALLER);
		if (!s || by_caller != to_caller)
			continue;
		vrd_say(j, "; it asked for it at " STR_FMT ":%u%s", STR_ARG(trk_fact_text(s)),
			s->num, s->flags & TRK_SD_PRIVATE ? ", a private address" : "");
		vrd_evidence(f, e);
		break;
	}
	return true;
}

static bool rtp_loss(struct judge *j)
{
	const struct trk_stream *worst = NULL;
	double most = 0.01;
	for (const struct trk_stream *s = j->c->streams; s; s = s->next) {
		uint64_t expected = rtp_stats_expected(&s->stats);
		int64_t lost = rtp_stats_lost(&s->stats);
		if (s->stats.received < 50 || lost <= 0 || (double)lost / (double)expected < most)
			continue;
		most = (double)lost / (double)expected;
		worst = s;
	}
	struct vrd_finding *f = worst ? vrd_find(j, VRD_RTP_LOSS) : NULL;
	if (!f)
		return false;
	vrd_say(j,
		"of the RTP to the %s %.1f %% was lost before it got here (%lld of %llu packets)",
		worst->side == TRK_SIDE_CALLER ? "caller" : "callee", most * 100,
		(long long)rtp_stats_lost(&worst->stats),
		(unsigned long long)rtp_stats_expected(&worst->stats));
	return true;
}

vrd_rule_fn *const vrd_call_notes[] = {
	cancel_crossed,   bye_unanswered, one_way, rtp_loss, private_sdp,
	reinvite_refused, transfer,       hold,    forked,   NULL,
};
vrd_rule_fn *const vrd_common_notes[] = {resent, final_resent, private_contact, mirror, NULL};
