/* What is worth saying about a call's media.
 *
 * A direction without a packet is a fault only if the other one has some; if there are none at all,
 * they may pass elsewhere. Where a side was put on hold nobody misses its audio. What the sniffer
 * lost is not held against the network (vrd_capture.c).
 *
 * What both sides agreed is told by all their descriptions together: relays on the way write their
 * own, so a rule speaks only where no hop has what it misses.
 *
 * [RFC792] [RFC3264 5, 6] [RFC3550 6.4.1] [RFC3960 3] [RFC4568] [RFC4961]
 */
#include "sdp/sdp.h"
#include "track/vrd_priv.h"

#include <string.h>

#define LATE_US   1'000'000u /* a word */
#define FEW       50         /* packets that say nothing yet: a second */
#define BURSTS    1.5        /* burst ratio [ITU-T G.107]: no longer as chance has it */
#define MANY_ICMP 50u        /* frames after the stream began: no port that was late to open */

const char *vrd_side_name(unsigned side)
{
	return side == TRK_SIDE_CALLER ? "caller" : "callee";
}

/* Packets received by each side. */
static void count_rtp(const struct trk_call *c, uint64_t n[2])
{
	n[0] = n[1] = 0;
	for (const struct trk_stream *s = trk_av(c)->streams; s; s = s->next)
		n[s->side] += s->stats.received;
}

/* Whether both sides wanted to send and receive, as far as their last descriptions say. */
bool vrd_both_ways_agreed(struct judge *j)
{
	unsigned both = TRK_SD_SENDS | TRK_SD_RECVS, n = 0;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_fact *f = trk_fact(j->history[i], TRK_F_SDP);
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
	uint64_t end = c->end_us ? c->end_us : trk_now_us(j->t);
	if (!trk_cfg(j->t)->has_media || !c->answer_us || vrd_since(c->answer_us, end) < 1'000'000)
		return false;
	if (!n[0] && !n[1]) {
		if (!trk_stats(j->t)->n_rtp || !vrd_both_ways_agreed(j))
			return false;
		if (vrd_find(j, VRD_NO_RTP))
			vrd_say(j, "no RTP of this call was seen, in neither direction");
		return true;
	}
	if ((n[0] && n[1]) || n[0] + n[1] < 20 || !vrd_both_ways_agreed(j))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_ONE_WAY);
	if (!f)
		return false;
	bool to_caller = !n[TRK_SIDE_CALLER];
	unsigned long long both = n[0] + n[1];
	vrd_say(j, "one-way audio: no RTP to the %s was seen, while %llu packets went to the %s",
		to_caller ? "caller" : "callee", both, to_caller ? "callee" : "caller");
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *s = trk_fact(e, TRK_F_SDP);
		bool by_caller = !(e->flags & TRK_EV_REQUEST) != !!(e->flags & TRK_EV_CALLER);
		if (!s || by_caller != to_caller)
			continue;
		vrd_say(j, "; it asked for it at " STR_FMT ":%u%s", STR_ARG(trk_fact_text(s)),
			s->num, s->flags & TRK_SD_PRIVATE ? ", a private address" : "");
		vrd_evidence(f, e);
		break;
	}
	unsigned silent = to_caller ? TRK_SIDE_CALLER : TRK_SIDE_CALLEE;
	const struct trk_av *av = trk_av(c);
	if (av->unseen_sent[silent])
		vrd_say(j, "; its sender says by RTCP that it sent %u packets",
			av->unseen_sent[silent]);
	if (av->n_unreachable[silent])
		vrd_say(j, "; %u ICMP errors say that they were refused",
			av->n_unreachable[silent]);
	return true;
}

static bool rtp_loss(struct judge *j)
{
	const struct trk_stream *worst = NULL;
	struct trk_figures w = {0};
	double most = 0.01;
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		uint64_t expected = rtp_stats_expected(&s->stats), lost = rtp_stats_lost(&s->stats);
		if (s->stats.received < FEW || !lost || (double)lost / (double)expected < most)
			continue;
		trk_figures(j->t, s, &k);
		double sure = (double)(lost - k.may_be_ours) / (double)expected;
		if (sure < most)
			continue;
		most = sure;
		worst = s;
		w = k;
	}
	struct vrd_finding *f = worst ? vrd_find(j, VRD_RTP_LOSS) : NULL;
	if (!f)
		return false;
	unsigned long long n = w.lost, expected = w.expected, ours = w.may_be_ours;
	vrd_say(j, "of the RTP to the %s %.1f %% %s (%llu of %llu packets%s",
		vrd_side_name(worst->side), w.lost_percent,
		ours ? "is missing here" : "was lost before it got here", n, expected,
		w.spread.burst_r > BURSTS ? "" : ")");
	if (w.spread.burst_r > BURSTS)
		vrd_say(j, ", in bursts of up to %u)", w.spread.longest);
	if (ours) {
		vrd_say(j,
			"; up to %.1f %% (%llu packets) may be the capture's own loss, the rest "
			"was "
			"lost on the way",
			(double)ours * 100 / (double)expected, ours);
		f->confidence = 80;
	}
	return true;
}

/* --- what was agreed -------------------------------------------------------------------------- */

struct agreed { /* of one side, over all hops */
	unsigned n, n_savp, n_plain;
	const struct trk_ev *first;
};

static void sum_up(struct judge *j, struct agreed a[2])
{
	memset(a, 0, 2 * sizeof a[0]);
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *f = trk_fact(e, TRK_F_SDP);
		struct agreed *side = &a[vrd_is_by_caller(e) ? TRK_SIDE_CALLER : TRK_SIDE_CALLEE];
		if (!f || !f->num)
			continue;
		if (!side->n++)
			side->first = e;
		if (f->flags & TRK_SD_SAVP)
			side->n_savp++;
		else
			side->n_plain++;
	}
}

static bool srtp_on_one_side(struct judge *j)
{
	struct agreed a[2];
	if (!j->c->answer_us)
		return false;
	sum_up(j, a);
	bool is_odd = a[0].n && a[1].n &&
		      ((!a[0].n_plain && !a[1].n_savp) || (!a[1].n_plain && !a[0].n_savp));
	struct vrd_finding *f = is_odd ? vrd_find(j, VRD_SRTP_ONE_SIDE) : NULL;
	if (!f)
		return false;
	unsigned savp = a[0].n_savp ? TRK_SIDE_CALLER : TRK_SIDE_CALLEE;
	vrd_say(j,
		"the %s wants its media encrypted (RTP/SAVP), the %s describes them in clear: "
		"they will not hear each other",
		vrd_side_name(savp), vrd_side_name(!savp));
	vrd_evidence(f, a[0].first);
	vrd_evidence(f, a[1].first);
	return true;
}

/* Walks the names in "PCMU/8000, telephone-event/8000" that carry audio or video. */
static bool next_codec(struct str *rest, struct str *name)
{
	while (rest->n) {
		struct str tail;
		*name = str_trim(str_cut(str_cut(*rest, ',', rest), '/', &tail));
		if (name->n && !str_ieq(*name, STR("telephone-event")) &&
		    !str_ieq(*name, STR("CN")))
			return true;
	}
	return false;
}

/* The names in all descriptions of a side, each once. A side that lists more than there is room for
 * has every codec, as far as we say: a call may hold any number of descriptions. */
struct names {
	struct str v[64];
	unsigned n, n_descriptions;
	bool is_full;
};

static bool has_codec(const struct names *l, struct str name)
{
	for (unsigned i = 0; i < l->n; i++)
		if (str_ieq(l->v[i], name))
			return true;
	return l->is_full;
}

static void side_codecs(struct judge *j, unsigned side, struct names *out)
{
	out->n = out->n_descriptions = 0;
	out->is_full = false;
	for (uint32_t i = 0; i < j->n_history && !out->is_full; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *f = trk_fact(e, TRK_F_CODECS);
		struct str rest = trk_fact_text(f), name;
		if (!f || vrd_is_by_caller(e) != (side == TRK_SIDE_CALLER))
			continue;
		out->n_descriptions++;
		while (next_codec(&rest, &name))
			if (has_codec(out, name))
				continue;
			else if (out->n < ARRAY_LEN(out->v))
				out->v[out->n++] = name;
			else
				out->is_full = true;
	}
}

static bool codec_mismatch(struct judge *j)
{
	const struct trk_ev *has[2] = {NULL, NULL};
	struct names all[2];
	if (!vrd_has_fact(j, TRK_F_CODECS))
		return false;
	for (unsigned side = 0; side < 2; side++)
		side_codecs(j, side, &all[side]);
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *f = trk_fact(e, TRK_F_CODECS);
		struct str rest = trk_fact_text(f), name;
		unsigned side = vrd_is_by_caller(e) ? TRK_SIDE_CALLER : TRK_SIDE_CALLEE;
		if (!f)
			continue;
		const struct trk_fact *sdp = trk_fact(e, TRK_F_SDP);
		if (!next_codec(&rest, &name) || !sdp || !sdp->num)
			return false; /* a name that we do not know, or a medium refused */
		has[side] = e;
		for (rest = trk_fact_text(f); next_codec(&rest, &name);)
			if (has_codec(&all[!side], name))
				return false;
	}
	bool is_odd = j->c->answer_us && has[0] && has[1];
	struct vrd_finding *f = is_odd ? vrd_find(j, VRD_CODEC_MISMATCH) : NULL;
	if (!f)
		return false;
	vrd_say(j,
		"answered without a codec in common: the caller has " STR_FMT
		", the callee " STR_FMT,
		STR_ARG(trk_fact_text(trk_fact(has[TRK_SIDE_CALLER], TRK_F_CODECS))),
		STR_ARG(trk_fact_text(trk_fact(has[TRK_SIDE_CALLEE], TRK_F_CODECS))));
	vrd_evidence(f, has[0]);
	vrd_evidence(f, has[1]);
	return true;
}

static bool codec_not_agreed(struct judge *j)
{
	struct names all[2];
	for (unsigned side = 0; side < 2 && trk_av(j->c)->streams; side++)
		side_codecs(j, side, &all[side]);
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct str name = str_c(s->codec);
		if (!s->codec[0] || s->stats.received < FEW || s->media != SDP_AUDIO ||
		    !all[s->side].n_descriptions || has_codec(&all[s->side], name) ||
		    has_codec(&all[!s->side], name))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_CODEC_NOT_AGREED);
		if (!f)
			return false;
		vrd_say(j,
			"the RTP to the %s is " STR_FMT " (payload type %u), which neither side's "
			"description has",
			vrd_side_name(s->side), STR_ARG(name), s->pt);
		vrd_evidence(f, vrd_origin(j, j->c->status));
		return true;
	}
	return false;
}

/* --- when and where from ---------------------------------------------------------------------- */

/* Time of the first packet to a side, 0 without any. */
static uint64_t first_rtp(const struct trk_call *c, unsigned side)
{
	uint64_t first = 0;
	for (const struct trk_stream *s = trk_av(c)->streams; s; s = s->next)
		if (s->side == side && s->stats.received >= FEW &&
		    (!first || s->stats.first_us < first))
			first = s->stats.first_us;
	return first;
}

static bool audio_late(struct judge *j)
{
	const struct trk_call *c = j->c;
	for (unsigned side = 0;
	     side < 2 && c->answer_us && trk_av(c)->streams && vrd_both_ways_agreed(j); side++) {
		uint64_t first = first_rtp(c, side), other = first_rtp(c, !side);
		if (!first || !other || first < c->answer_us + LATE_US ||
		    other > c->answer_us + LATE_US / 2)
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_AUDIO_LATE);
		if (!f)
			return false;
		vrd_say(j, "the first audio to the %s came ", vrd_side_name(side));
		vrd_say_duration(j, vrd_since(c->answer_us, first));
		vrd_say(j, " after the answer: the first words are missing");
		vrd_evidence(f, vrd_origin(j, c->status));
		return true;
	}
	return false;
}

/* 183 with SDP: the caller's phone plays no tone of its own. [RFC3960 3.2] */
static bool early_silent(struct judge *j)
{
	const struct trk_call *c = j->c;
	const struct trk_ev *early = NULL;
	for (uint32_t i = 0; trk_av(c)->streams && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (e->method != SIP_INVITE || e->cseq != c->cseq)
			continue;
		if (e->status == 180 || (e->status >= 200 && !early))
			return false;
		if (e->status == 183 && e->flags & TRK_EV_SDP && !early)
			early = e;
	}
	uint64_t first = first_rtp(c, TRK_SIDE_CALLER);
	if (!early || !first || first < c->answer_us || !c->answer_us ||
	    c->answer_us < early->at_us + 2 * LATE_US)
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_EARLY_SILENT);
	if (!f)
		return false;
	vrd_say(j, "the 183 promised early media, but no RTP came to the caller in the ");
	vrd_say_duration(j, vrd_since(early->at_us, c->answer_us));
	vrd_say(j, " until the answer: silence instead of a ringing tone");
	vrd_evidence(f, early);
	return true;
}

/* Whether one of the side's descriptions names the host of a. */
static bool is_described(struct judge *j, unsigned side, const struct addr *a)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *f = trk_fact(e, TRK_F_SDP);
		struct addr k;
		if (!f || vrd_is_by_caller(e) != (side == TRK_SIDE_CALLER))
			continue;
		/* a name, or keys of DTLS: ICE finds its own way */
		if (!addr_parse(trk_fact_text(f), 0, &k) || addr_ip_eq(&k, a) ||
		    f->flags & TRK_SD_SAVP)
			return true;
		n++;
	}
	return !n;
}

static bool rtp_elsewhere(struct judge *j)
{
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		if (s->stats.received < FEW || s->n_paths > 1 ||
		    is_described(j, !s->side, &s->from))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_RTP_ELSEWHERE);
		if (!f)
			return false;
		vrd_say(j, "the %s's RTP comes from ", vrd_side_name(!s->side));
		addr_put_ip(&j->v->text, &s->from);
		vrd_say(j, ", which none of its descriptions names");
		return true;
	}
	return false;
}

/* --- ICMP ------------------------------------------------------------------------------------- */

/* An error before the port was open, or after the call, is nobody's fault. */
static bool media_refused(struct judge *j)
{
	for (uint32_t i = 0; vrd_has_fact(j, TRK_F_ICMP) && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *k = trk_fact(e, TRK_F_ICMP);
		if (!k || !(k->flags & TRK_IC_MEDIA) || (j->c->end_us && e->at_us >= j->c->end_us))
			continue;
		unsigned side = k->flags & TRK_IC_TO_CALLER ? TRK_SIDE_CALLER : TRK_SIDE_CALLEE;
		uint32_t began = UINT32_MAX;
		for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next)
			if (s->side == side && s->first_frame < began)
				began = s->first_frame;
		if (began == UINT32_MAX || k->num < began + MANY_ICMP)
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_MEDIA_REFUSED);
		if (!f)
			return false;
		vrd_say(j, "the RTP to the %s is refused: %s, says " STR_FMT " (ICMP, frame %u)",
			vrd_side_name(side), vrd_icmp_text(k), STR_ARG(trk_fact_text(k)), k->num);
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

vrd_rule_fn *const vrd_media_notes[] = {
	one_way,       rtp_loss,   srtp_on_one_side, codec_mismatch, codec_not_agreed,
	media_refused, audio_late, early_silent,     rtp_elsewhere,  NULL,
};
