/* Figures of a stream, made when somebody asks, of what its packets added up to; and the grade: the
 * E-model with its inputs beside it.
 *
 *	Ppl     lost, and too late for a buffer of RTP_BUFFER_MS, of all that was expected
 *	BurstR  how the losses cluster
 *	Ta      one way through the network, the buffer, and two packets of the codec's
 *	Ie Bpl  of the codec, by table
 *
 * The way through the network is half of what RTCP tells of both directions; where it tells nothing
 * it is ASSUMED_WAY_MS, and said to be assumed.
 *
 * Not graded: what is no audio; what is too short to say anything; codecs without values; and what
 * the sniffer lost, for the listener had it. That is so when all streams have a hole at once
 * (trk_gap.c), when the capture file says so itself, or when the receiver, who sits behind the
 *capture, reports fewer losses than were counted here: what did not pass here could not arrive
 *there.
 *
 * [ITU-T G.107] [RFC3550 6.4] [RFC3611 4.7]
 */
#include "track/trk_media_priv.h"

#include <math.h>
#include <string.h>

#define MIN_PACKETS     50
#define ASSUMED_WAY_MS  50
#define CODEC_PACKETS   2
#define USUAL_PACKET_MS 20
#define MIN_MEASURED    25 /* packets with a level, to speak of silence */
#define MIN_UNSEEN      5  /* packets that the receiver had and we did not */

/* The receiver had packets that the capture has not. Its report covers only what it had heard of
 * when it was sent, so the losses are compared where it covers nearly all. */
static bool receiver_had_more(const struct trk_stream *s, uint64_t lost)
{
	const struct trk_rtcp *x = s->rtcp;
	if (!x || !x->n_reports || s->stats.restarts || s->n_paths > 1)
		return false;
	uint16_t behind = (uint16_t)(s->stats.max_seq - (uint16_t)x->ext_seq);
	uint64_t theirs = x->lost > 0 ? (uint64_t)x->lost : 0;
	return lost >= theirs + behind + MIN_UNSEEN;
}

/* Of the losses counted here: how many the network may not have to answer for. */
static uint64_t may_be_ours(const struct trk *t, const struct trk_stream *s,
			    const struct trk_figures *f)
{
	uint64_t n = f->sniffer_lost + t->n_capture_lost;
	if (receiver_had_more(s, f->lost)) {
		uint64_t theirs = s->rtcp->lost > 0 ? (uint64_t)s->rtcp->lost : 0;
		n = n > f->lost - theirs ? n : f->lost - theirs;
	}
	return n < f->lost ? n : f->lost;
}

static double round_trip_ms(const struct trk_stream *s)
{
	double ms = 0;
	unsigned n = 0;
	if (!s->call)
		return 0;
	for (unsigned side = 0; side < 2; side++)
		for (const struct trk_stream *x = trk_av(s->call)->streams; x; x = x->next)
			if (x->side == side && x->media == s->media && x->rtcp &&
			    x->rtcp->round_trip_us) {
				ms += x->rtcp->round_trip_us / 1e3;
				n++;
				break;
			}
	return n ? ms : 0;
}

static enum trk_ungraded ungraded(const struct trk_stream *s, struct trk_figures *f)
{
	if (s->is_t38 || s->media == SDP_VIDEO)
		return TRK_NOT_AUDIO;
	if (f->packets < MIN_PACKETS)
		return TRK_TOO_SHORT;
	if (!mos_codec(str_c(s->codec), &f->in.codec))
		return TRK_NO_MODEL;
	return f->is_sniffer_lost ? TRK_SNIFFER_LOST : TRK_GRADED;
}

static void grade(const struct trk_stream *s, struct trk_figures *f)
{
	f->ungraded = ungraded(s, f);
	double trip = round_trip_ms(s);
	f->is_delay_known = trip > 0;
	f->one_way_ms = f->is_delay_known ? trip / 2 : ASSUMED_WAY_MS;
	if (f->ungraded != TRK_GRADED)
		return;
	double packet_ms = f->packet_ms > 0 ? f->packet_ms : USUAL_PACKET_MS;
	f->in.ppl = 100.0 * (double)(f->lost + f->discarded) / (double)f->expected;
	f->in.ppl = f->in.ppl > 100 ? 100 : f->in.ppl;
	f->in.burst_r = f->spread.burst_r;
	f->in.delay_ms = f->one_way_ms + RTP_BUFFER_MS + CODEC_PACKETS * packet_ms;
	mos_grade(&f->in, &f->out);
}

static void take_timing(const struct trk_stream *s, struct trk_figures *f)
{
	const struct rtp_trace *t = &s->trace;
	f->has_jitter = t->us_per_tick > 0 && !s->is_t38;
	f->max_delta_ms = t->max_delta / 1e3;
	f->mean_delta_ms = rtp_trace_mean_delta_us(t) / 1e3;
	if (!f->has_jitter)
		return;
	f->jitter_ms = t->jitter / 1e3;
	f->max_jitter_ms = t->max_jitter / 1e3;
	f->mean_jitter_ms = rtp_trace_mean_jitter_us(t) / 1e3;
	f->skew_ms = t->max_skew / 1e3;
	f->has_drift = rtp_trace_drift_ppm(t, &f->drift_ppm);
	f->discarded = t->n_discarded;
	f->packet_ms = t->packet / 1e3;
}

void trk_figures(const struct trk *t, const struct trk_stream *s, struct trk_figures *f)
{
	*f = (struct trk_figures){
		.packets = s->stats.received,
		.expected = rtp_stats_expected(&s->stats),
		.lost = rtp_stats_lost(&s->stats),
		.seconds = (double)(s->stats.last_us - s->stats.first_us) / 1e6,
		.has_silence = s->n_measured >= MIN_MEASURED,
		.sniffer_lost = trk_gap_lost(t, s),
	};
	rtp_loss_sum(&s->loss, &s->stats, &f->spread);
	if (f->expected)
		f->lost_percent = 100.0 * (double)f->lost / (double)f->expected;
	if (f->seconds > 0)
		f->bit_rate = 8.0 * (double)s->stats.bytes / f->seconds;
	if (f->has_silence)
		f->silence = (double)(s->n_silent + s->n_cn) / (s->n_measured + s->n_cn);
	f->is_sniffer_lost = f->sniffer_lost > 0 || receiver_had_more(s, f->lost) ||
			     (f->lost && t->n_capture_lost);
	f->may_be_ours = may_be_ours(t, s, f);
	take_timing(s, f);
	grade(s, f);
}

void trk_capture_lost(struct trk *t, uint64_t n)
{
	t->n_capture_lost = n;
}

uint64_t trk_capture_dropped(const struct trk *t)
{
	return t->n_capture_lost;
}

const char *trk_ungraded_text(enum trk_ungraded u)
{
	static const char *const texts[] = {
		[TRK_GRADED] = "graded",
		[TRK_NOT_AUDIO] = "not audio",
		[TRK_TOO_SHORT] = "too short",
		[TRK_NO_MODEL] = "no values for this codec",
		[TRK_SNIFFER_LOST] = "the capture lost packets",
	};
	return texts[u];
}
