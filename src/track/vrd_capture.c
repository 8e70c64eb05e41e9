/* What the capture itself got wrong, and attacks.
 *
 * Before anybody is blamed: a packet that is there twice was seen twice (a mirror port), not sent
 * twice; a body that is cut was cut by the snap length; an ACK for an answer that is not here tells
 * of packets that passed elsewhere. When several streams have a gap while nothing at all was
 * captured, the sniffer lost the packets, and nothing may be graded by them.
 *
 * [RFC3261 17, 18.3, 26.1]
 */
#include "track/vrd_priv.h"

/* Refused passwords that are no typing error, nor a phone that tries its wrong one again. */
#define GUESSES  10u
#define GUESS_US 5'000'000u

static bool mirror(struct judge *j)
{
	unsigned n = 0;
	const struct trk_ev *first = NULL;
	for (uint32_t i = 0; trk_stats(j->t)->n_duplicate && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
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
	vrd_evidence(f, trk_ev(j->t, trk_copy_of(first)));
	vrd_evidence(f, first);
	return true;
}

static bool is_piece(const struct trk_ev *e)
{
	const struct trk_fact *k = trk_fact(e, TRK_F_CUT);
	return k && k->flags & TRK_CUT_PIECE;
}

/* Of a request too large for one packet only the first piece is here. Was it answered, then it
 * arrived whole, and the capture lacks the rest: a filter on a port does that, for later pieces
 * have none. Was it not, then the rest may have been dropped on the way. [RFC3261 18.1.1] */
static bool pieces(struct judge *j)
{
	const struct trk_ev *first = NULL;
	const struct tsx *dead = NULL;
	unsigned n = 0;
	for (uint32_t i = 0; vrd_has_fact(j, TRK_F_CUT) && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (!is_piece(e))
			continue;
		n++;
		first = first ? first : e;
	}
	for (unsigned i = 0; n && i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		if (is_piece(x->req) && !x->trying && !x->ringing && !x->final && x->n_sent > 1)
			dead = x;
	}
	struct vrd_finding *f =
		n ? vrd_find(j, dead ? VRD_FRAGMENT_LOST : VRD_CAPTURE_FRAGMENT) : NULL;
	if (!f)
		return false;
	if (!dead) {
		vrd_say(j,
			"of %u message%s only the first piece is here: the others were not "
			"captured",
			n, n == 1 ? "" : "s");
		vrd_evidence(f, first);
		return true;
	}
	/* the capture has other datagrams whole, so no filter hides later pieces */
	f->confidence = trk_stats(j->t)->n_whole ? 85 : 60;
	vrd_say(j, "the ");
	trk_ev_put(&j->v->text, dead->req);
	vrd_say(j, " to ");
	vrd_say_peer(j, dead->to);
	vrd_say(j,
		" was too large for one packet, and of its %u tries only the first piece came past "
		"here (%u bytes): the rest was dropped on the way",
		dead->n_sent, trk_fact(dead->req, TRK_F_CUT)->num);
	vrd_evidence(f, dead->req);
	return true;
}

static bool capture_cut(struct judge *j)
{
	const struct trk_ev *first = NULL;
	unsigned n = 0;
	for (uint32_t i = 0; vrd_has_fact(j, TRK_F_CUT) && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (!trk_fact(e, TRK_F_CUT) || is_piece(e))
			continue;
		n++;
		first = first ? first : e;
	}
	struct vrd_finding *f = n ? vrd_find(j, VRD_CAPTURE_CUT) : NULL;
	if (!f)
		return false;
	vrd_say(j, "%u message%s cut by the snap length, the first after %u bytes", n,
		n == 1 ? " is" : "s are", trk_fact(first, TRK_F_CUT)->num);
	vrd_evidence(f, first);
	return true;
}

/* An ACK follows a final answer. [RFC3261 17.1.1.3, 13.2.2.4] */
static bool capture_gap(struct judge *j)
{
	for (unsigned a = 0; a < j->n_acks; a++) {
		bool is_answered = false, is_asked = false;
		for (unsigned i = 0; i < j->n_tsx && !is_answered; i++) {
			const struct tsx *x = &j->tsx[i];
			bool is_its = x->method == SIP_INVITE && x->req->cseq == j->acks[a]->cseq;
			is_asked = is_asked || is_its;
			is_answered = is_its && x->final;
		}
		struct vrd_finding *f =
			is_asked && !is_answered ? vrd_find(j, VRD_CAPTURE_GAP) : NULL;
		if (!f)
			continue;
		vrd_say(j,
			"an ACK is here, but not the answer that it belongs to: part of the call "
			"did not pass this point, or was not captured");
		vrd_evidence(f, j->acks[a]);
		return true;
	}
	return false;
}

static unsigned n_unseen(const struct judge *j)
{
	unsigned n_streams = 0, n = 0;
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		uint64_t lost = trk_gap_lost(j->t, s);
		n_streams += lost > 0;
		n += (unsigned)lost;
	}
	return n_streams > 1 ? n : 0;
}

/* Without such holes, what else tells of the capture's own losses: the receiver had packets that
 * are not here, or the file counts what was dropped. */
static bool capture_says(struct judge *j, uint64_t lost)
{
	const struct trk_stream *most = NULL;
	uint64_t n = 0;
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		trk_figures(j->t, s, &k);
		if (k.may_be_ours > n) {
			n = k.may_be_ours;
			most = s;
		}
	}
	struct vrd_finding *f = most && lost ? vrd_find(j, VRD_CAPTURE_LOST) : NULL;
	if (!f)
		return false;
	vrd_say(j,
		"%llu RTP packets of this call are not here; of those to the %s up to %llu may be "
		"the capture's own loss: ",
		(unsigned long long)lost, vrd_side_name(most->side), (unsigned long long)n);
	uint64_t dropped = trk_capture_dropped(j->t);
	if (dropped)
		vrd_say(j, "it says itself that it dropped %llu frames",
			(unsigned long long)dropped);
	else
		vrd_say(j, "the receiver reports fewer losses");
	return true;
}

static bool capture_lost(struct judge *j)
{
	unsigned n = n_unseen(j);
	uint64_t lost = 0;
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next)
		lost += rtp_stats_lost(&s->stats);
	if (!n)
		return capture_says(j, lost);
	struct vrd_finding *f = vrd_find(j, VRD_CAPTURE_LOST);
	if (!f)
		return false;
	vrd_say(j,
		"of %llu lost RTP packets %u fell into times when nothing at all was captured, "
		"in both directions at once: the sniffer lost them, or its link was down",
		(unsigned long long)(lost > n ? lost : n), n);
	return true;
}

/* --- attacks ---------------------------------------------------------------------------------- */

static bool scanner(struct judge *j)
{
	const struct trk_ev *e = trk_ev(j->t, j->c->first_ev);
	const struct trk_fact *k = e ? trk_fact(e, TRK_F_TOOL) : NULL;
	struct vrd_finding *f = k ? vrd_find(j, VRD_SCANNER) : NULL;
	if (!f)
		return false;
	addr_put_ip(&j->v->text, &j->c->peers[e->from].addr);
	vrd_say(j, " is a scanner: it calls itself " STR_FMT, STR_ARG(trk_fact_text(k)));
	vrd_evidence(f, e);
	return true;
}

static bool flood(struct judge *j)
{
	const struct trk_ev *e = trk_ev(j->t, j->c->first_ev);
	const struct trk_fact *k = e ? trk_fact(e, TRK_F_FLOOD) : NULL;
	struct vrd_finding *f = k ? vrd_find(j, VRD_FLOOD) : NULL;
	if (!f)
		return false;
	addr_put_ip(&j->v->text, &j->c->peers[e->from].addr);
	vrd_say(j,
		" sent %u new requests like this within one second, all from \"" STR_FMT
		"\": a flood, a phone gone wild, or a load test",
		k->num, STR_ARG(trk_user(j->c->from)));
	vrd_evidence(f, e);
	return true;
}

static bool guessing(struct judge *j)
{
	unsigned n = 0;
	const struct tsx *first = NULL, *last = NULL;
	for (unsigned i = 0; i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		const struct trk_fact *ch = x->final ? trk_fact(x->final, TRK_F_CHALLENGE) : NULL;
		if (!x->final || !trk_fact(x->req, TRK_F_CREDENTIALS) ||
		    (x->final->status != 403 && (!ch || ch->flags & TRK_CH_STALE)))
			continue;
		n++;
		first = first ? first : x;
		last = x;
	}
	bool is_fast = n >= GUESSES &&
		       vrd_since(first->req->at_us, last->req->at_us) < n * (uint64_t)GUESS_US;
	struct vrd_finding *f = is_fast ? vrd_find(j, VRD_AUTH_GUESSING) : NULL;
	if (!f)
		return false;
	vrd_say(j, "%u times credentials were refused that ", n);
	addr_put_ip(&j->v->text, &j->c->peers[last->from].addr);
	vrd_say(j, " sent");
	vrd_evidence(f, last->req);
	vrd_evidence(f, last->final);
	return true;
}

/* The called phone hangs up, the caller asks it for credentials, and gets them. A proxy in the
 * dialog may ask; without Record-Route there is none. */
static bool digest_leak(struct judge *j)
{
	for (unsigned i = 0; i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		if (x->method != SIP_BYE || x->req->flags & TRK_EV_CALLER || !x->final ||
		    !trk_fact(x->final, TRK_F_CHALLENGE) || x->final_from != j->c->caller ||
		    !j->head || j->head->req->flags & TRK_EV_ROUTED)
			continue;
		for (unsigned k = i + 1; k < j->n_tsx; k++) {
			const struct tsx *y = &j->tsx[k];
			if (y->method != SIP_BYE || y->from != x->from ||
			    !(y->req->flags & TRK_EV_AUTH))
				continue;
			struct vrd_finding *f = vrd_find(j, VRD_DIGEST_LEAK);
			if (!f)
				return false;
			vrd_say(j,
				"the caller asked the called phone for its credentials when that "
				"hung up (%u), and got them",
				x->final->status);
			vrd_evidence(f, x->final);
			vrd_evidence(f, y->req);
			return true;
		}
	}
	return false;
}

vrd_rule_fn *const vrd_capture_notes[] = {
	mirror,  pieces, capture_cut, capture_gap, capture_lost,
	scanner, flood,  guessing,    digest_leak, NULL,
};
