/* How good the audio was, as far as packets tell: delay that varies, order, the sender's clock,
 * silence, the first words, and the grade of it all.
 *
 * Jitter by itself is no fault: a buffer takes it. So what counts is how many packets came too late
 * for the modelled one. A grade always says what went into it; where the delay is unknown, it says
 * so, too. Silence is a fault only where somebody should be talking: both ways were agreed, and the
 * other direction is not silent.
 *
 * [RFC3550 5.1, 6.4.1] [RFC3264 5.1, 6.1] [RFC8866 6.4] [RFC5763 5] [ITU-T G.107] [ITU-T G.109]
 */
#include "sdp/sdp.h"
#include "track/vrd_priv.h"

#define FEW          50u  /* packets that say nothing yet: a second */
#define LONG         250u /* five seconds */
#define TOO_LATE     0.01 /* from here on it is heard */
#define REORDERED    0.01
#define DRIFT_PPM    300 /* a usual crystal is within 100 */
#define DRIFT_S      30
#define OTHER_CLOCK  0.05
#define STEADY       3 /* times the mean: no pause, in which timestamps may stand still */
#define SILENT       0.98
#define AUDIBLE      0.90
#define POOR_MOS     3.6 /* below: many users dissatisfied [ITU-T G.109] */
#define CLIPPED      10u /* packets: a syllable */
#define DYNAMIC_PT   96
#define DTLS_WAIT_US 3'000'000u

static bool is_audio(const struct trk_stream *s, unsigned at_least)
{
	return s->media == SDP_AUDIO && !s->is_t38 && s->stats.received >= at_least;
}

static bool jitter(struct judge *j)
{
	const struct trk_stream *worst = NULL;
	struct trk_figures w = {0};
	double most = TOO_LATE;
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		if (!is_audio(s, LONG) || s->n_paths > 1 || s->stats.restarts)
			continue;
		trk_figures(j->t, s, &k);
		/* late without a pause before: it is the sender's clock that is slow */
		bool is_paused = k.max_delta_ms > RTP_BUFFER_MS + k.packet_ms;
		if (!k.has_jitter || !is_paused || (double)k.discarded < most * (double)k.packets)
			continue;
		most = (double)k.discarded / (double)k.packets;
		worst = s;
		w = k;
	}
	struct vrd_finding *f = worst ? vrd_find(j, VRD_RTP_JITTER) : NULL;
	if (!f)
		return false;
	vrd_say(j,
		"of the RTP to the %s %.1f %% came too late for a jitter buffer of %d ms (jitter "
		"%.0f ms, at most %.0f ms; the longest time between two packets was %.0f ms)",
		vrd_side_name(worst->side), most * 100, RTP_BUFFER_MS, w.mean_jitter_ms,
		w.max_jitter_ms, w.max_delta_ms);
	return true;
}

static bool reordered(struct judge *j)
{
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		double share = (double)s->stats.reordered / (double)(s->stats.received + 1);
		struct vrd_finding *f = is_audio(s, LONG) && s->n_paths == 1 && share >= REORDERED
						? vrd_find(j, VRD_RTP_REORDERED)
						: NULL;
		if (!f)
			continue;
		vrd_say(j, "of the RTP to the %s %.1f %% came in another order than it was sent in",
			vrd_side_name(s->side), share * 100);
		return true;
	}
	return false;
}

static bool drift(struct judge *j)
{
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		if (!is_audio(s, LONG) || s->stats.restarts || s->n_paths > 1)
			continue;
		trk_figures(j->t, s, &k);
		if (!k.has_drift || k.seconds < DRIFT_S ||
		    (k.drift_ppm < DRIFT_PPM && k.drift_ppm > -DRIFT_PPM))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_CLOCK_DRIFT);
		if (!f)
			return false;
		double ppm = k.drift_ppm < 0 ? -k.drift_ppm : k.drift_ppm;
		vrd_say(j,
			"the clock of the sender to the %s runs %.2f %% too %s: its receiver must "
			"%s a packet every %.0f s",
			vrd_side_name(s->side), ppm / 1e4, k.drift_ppm > 0 ? "fast" : "slow",
			k.drift_ppm > 0 ? "throw away" : "make up",
			(k.packet_ms > 0 ? k.packet_ms : 20) / 1e3 / ppm * 1e6);
		return true;
	}
	return false;
}

static bool other_clock(struct judge *j)
{
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		if (!is_audio(s, LONG) || s->stats.restarts || s->n_paths > 1)
			continue;
		trk_figures(j->t, s, &k);
		double ratio = k.seconds > 0 ? 1 + k.skew_ms / 1e3 / k.seconds : 1;
		if (!k.has_jitter || k.max_delta_ms > STEADY * k.mean_delta_ms ||
		    (ratio > 1 - OTHER_CLOCK && ratio < 1 + OTHER_CLOCK))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_CLOCK_WRONG);
		if (!f)
			return false;
		vrd_say(j,
			"the timestamps of the RTP to the %s count about %.0f a second, where %s "
			"has %u",
			vrd_side_name(s->side), ratio * s->stats.clock, s->codec, s->stats.clock);
		return true;
	}
	return false;
}

/* --- silence ---------------------------------------------------------------------------------- */

static bool is_side_audible(struct judge *j, unsigned side)
{
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		if (s->side != side || !is_audio(s, LONG))
			continue;
		trk_figures(j->t, s, &k);
		if (k.has_silence && k.silence < AUDIBLE)
			return true;
	}
	return false;
}

static bool muted(struct judge *j)
{
	if (!j->c->answer_us || !vrd_both_ways_agreed(j))
		return false;
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		if (!is_audio(s, LONG) || is_side_audible(j, s->side))
			continue;
		trk_figures(j->t, s, &k);
		if (!k.has_silence || k.silence < SILENT || !is_side_audible(j, !s->side))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_AUDIO_MUTED);
		if (!f)
			return false;
		vrd_say(j, "the RTP to the %s flows, but it is silence (%.0f %% of its packets in ",
			vrd_side_name(s->side), k.silence * 100);
		vrd_say_duration(j, vrd_since(s->stats.first_us, s->stats.last_us));
		vrd_say(j, "), while the other direction has sound");
		vrd_evidence(f, vrd_origin(j, j->c->status));
		return true;
	}
	return false;
}

/* A relay that is seen on both sides, and passes audio on late: the same source with the same
 * numbers, less at the beginning. */
static bool clipped(struct judge *j)
{
	for (const struct trk_stream *in = trk_av(j->c)->streams; in; in = in->next)
		for (const struct trk_stream *out = trk_av(j->c)->streams; out; out = out->next) {
			uint32_t n = out->stats.base_seq - in->stats.base_seq;
			uint64_t late = vrd_since(in->stats.first_us, out->stats.first_us);
			bool is_pair = in != out && in->ssrc == out->ssrc &&
				       in->side == out->side && addr_ip_eq(&in->to, &out->from);
			if (!is_pair || !is_audio(in, FEW) || !is_audio(out, FEW) || n < CLIPPED ||
			    n > 0x7fff || in->stats.restarts || out->stats.restarts ||
			    !j->c->answer_us || in->stats.first_us + 1'000'000 < j->c->answer_us ||
			    trk_gap_lost(j->t, out) || late * 2 < n * 20'000ull)
				continue;
			struct vrd_finding *f = vrd_find(j, VRD_AUDIO_CLIPPED);
			if (!f)
				return false;
			addr_put_ip(&j->v->text, &out->from);
			vrd_say(j,
				" had the audio for the %s and passed it on only from the %uth "
				"packet: the first ",
				vrd_side_name(in->side), n + 1);
			vrd_say_duration(j, late);
			vrd_say(j, " were cut off");
			vrd_evidence(f, vrd_origin(j, j->c->status));
			return true;
		}
	return false;
}

/* --- what was agreed -------------------------------------------------------------------------- */

static bool unknown_type(struct judge *j)
{
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		if (!is_audio(s, FEW) || s->codec[0] || s->pt < DYNAMIC_PT ||
		    s->found == TRK_BY_CONTENT || !vrd_has_fact(j, TRK_F_CODECS) || j->c->is_mid)
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_TYPE_UNKNOWN);
		if (!f)
			return false;
		vrd_say(j, "the RTP to the %s has payload type %u, which no description explains",
			vrd_side_name(s->side), s->pt);
		vrd_evidence(f, vrd_origin(j, j->c->status));
		return true;
	}
	return false;
}

/* The last wish of a side; several hops may have several. */
static const struct trk_ev *last_codecs(struct judge *j, unsigned side)
{
	const struct trk_ev *found = NULL;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *f = trk_fact(e, TRK_F_CODECS);
		if (f && vrd_is_by_caller(e) == (side == TRK_SIDE_CALLER))
			found = e;
	}
	return found;
}

static bool other_ptime(struct judge *j)
{
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		const struct trk_ev *e = is_audio(s, LONG) ? last_codecs(j, s->side) : NULL;
		const struct trk_fact *wish = e ? trk_fact(e, TRK_F_CODECS) : NULL;
		if (!wish)
			continue;
		trk_figures(j->t, s, &k);
		double most = wish->flags * 10.0;
		bool is_over = most > 0 && k.packet_ms > most;
		bool is_other = wish->num &&
				(k.packet_ms < wish->num - 0.5 || k.packet_ms > wish->num + 0.5);
		if (k.packet_ms <= 0 || (!is_over && !is_other))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_PTIME);
		if (!f)
			return false;
		if (is_over)
			f->severity = VRD_WARN;
		vrd_say(j, "the RTP to the %s holds %.0f ms in a packet; it had asked for %s%.0f",
			vrd_side_name(s->side), k.packet_ms, is_over ? "at most " : "",
			is_over ? most : wish->num);
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

/* Both sides must have come to the point where they encrypt. [RFC5763 5] [RFC6347 4.2] */
static bool dtls_unfinished(struct judge *j)
{
	const struct trk_call *c = j->c;
	const struct trk_av *av = trk_av(c);
	unsigned seen = av->dtls[0] | av->dtls[1];
	bool is_done = av->dtls[0] & av->dtls[1] & TRK_DT_SECRET;
	uint64_t end = c->end_us ? c->end_us : trk_now_us(j->t);
	if (!(seen & TRK_DT_HELLO) || is_done || !c->answer_us ||
	    vrd_since(c->answer_us, end) < DTLS_WAIT_US)
		return false;
	for (const struct trk_stream *s = trk_av(c)->streams; s; s = s->next)
		if (s->stats.received >= FEW)
			return false;
	struct vrd_finding *f = vrd_find(j, VRD_DTLS_UNFINISHED);
	if (!f)
		return false;
	vrd_say(j, "DTLS was begun and never finished, so there are no keys and no audio: ");
	if (seen & TRK_DT_ALERT)
		vrd_say(j, "the %s refused it (alert %u)",
			av->dtls[TRK_SIDE_CALLER] & TRK_DT_ALERT ? "callee" : "caller",
			av->dtls_alert);
	else if (!av->dtls[0] || !av->dtls[1])
		vrd_say(j, "the %s never answered",
			av->dtls[TRK_SIDE_CALLER] ? "caller" : "callee");
	else
		vrd_say(j, "both sides sent, but neither came to its end");
	vrd_evidence(f, vrd_origin(j, c->status));
	return true;
}

/* --- the grade -------------------------------------------------------------------------------- */

static bool poor(struct judge *j)
{
	const struct trk_stream *worst = NULL;
	struct trk_figures w = {.out.mos = POOR_MOS};
	for (const struct trk_stream *s = trk_av(j->c)->streams; s; s = s->next) {
		struct trk_figures k;
		trk_figures(j->t, s, &k);
		/* what the codec alone costs was somebody's choice */
		bool is_hurt = k.in.ppl > 0 || (k.is_delay_known && k.out.id > 0);
		if (is_hurt && k.ungraded == TRK_GRADED && s->stats.received >= LONG &&
		    k.out.mos < w.out.mos) {
			w = k;
			worst = s;
		}
	}
	struct vrd_finding *f = worst ? vrd_find(j, VRD_POOR) : NULL;
	if (!f)
		return false;
	vrd_say(j, "the audio to the %s would be judged %.1f of 5 (R %.0f): %s%s, %.1f %% lost",
		vrd_side_name(worst->side), w.out.mos, w.out.r, worst->codec,
		w.in.codec.is_assumed ? " (its values are assumed)" : "",
		(double)w.lost * 100 / (double)w.expected);
	if (w.spread.longest > 1)
		vrd_say(j, " in runs of up to %u", w.spread.longest);
	if (w.discarded)
		vrd_say(j, ", %.1f %% too late", (double)w.discarded * 100 / (double)w.expected);
	if (w.is_delay_known)
		vrd_say(j, ", %.0f ms one way", w.one_way_ms);
	else
		vrd_say(j, ", delay unknown (taken as %.0f ms)", w.one_way_ms);
	return true;
}

vrd_rule_fn *const vrd_quality_notes[] = {
	dtls_unfinished, unknown_type, clipped,     muted, jitter, reordered,
	drift,           other_clock,  other_ptime, poor,  NULL,
};
