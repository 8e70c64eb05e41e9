/* Reception statistics of one source.
 *
 * The sequence part is RFC 3550's A.1 without its probation: the first packet counts, since here
 * nobody decides about a source by it. Three zones around the highest sequence number seen:
 *
 *	ahead by less than MAX_DROPOUT    in order, perhaps after a loss
 *	behind by less than MAX_MISORDER  reordered or duplicated
 *	anything else                     a jump: believed when the next packet goes on from there
 *
 * A believed jump (the sender restarted its numbers) ends a run: what the run expected is added to
 * expected_before and a new run begins, so that neither millions of packets seem lost nor a loss is
 * forgotten. A bitmap of the last 64 numbers tells a duplicate from a late packet; older ones count
 * as late.
 *
 * Invariants
 *  1. expected = expected_before + (ext_max - base_seq + 1) once started.
 *  2. bit 0 of seen stands for max_seq and is set once started.
 *  3. received counts dup; lost = expected - (received - dup), never below 0 as people count;
 *     RTCP's number does not correct for duplicates [RFC3550 6.4.1].
 *
 * Jitter is A.8's integer filter; the time of arrival is taken relative to the first packet, so
 * that the product with the clock rate stays far from overflow. */

#include "rtp/stats.h"

#define MAX_DROPOUT  3000
#define MAX_MISORDER 100
#define TS_JUMP_S                                                                                  \
	5 /* timestamps that jump by more (hold, another source) say nothing of jitter             \
	   */

void rtp_stats_init(struct rtp_stats *s, uint32_t clock_hz)
{
	*s = (struct rtp_stats){.clock = clock_hz};
}

void rtp_stats_clock(struct rtp_stats *s, uint32_t clock_hz)
{
	if (s->clock != clock_hz) {
		s->clock = clock_hz;
		s->is_timed = false;
	}
}

static void start_run(struct rtp_stats *s, uint16_t seq)
{
	s->base_seq = s->max_seq = seq;
	s->cycles = 0;
	s->seen = 1;
	s->bad_seq = UINT32_MAX;
}

/* Behind the highest number by `back`, or equal to it. */
static enum rtp_seen add_behind(struct rtp_stats *s, uint32_t back)
{
	if (back < 64) {
		if (s->seen >> back & 1) {
			s->dup++;
			return RTP_DUP;
		}
		s->seen |= UINT64_C(1) << back;
	}
	/* What came before the first packet was not expected by the run: its base moves down. */
	uint32_t ext = rtp_stats_ext_seq(s) - back;
	if ((int32_t)(ext - s->base_seq) < 0)
		s->base_seq = ext;
	s->reordered++;
	return RTP_LATE;
}

static enum rtp_seen add_jump(struct rtp_stats *s, uint16_t seq)
{
	if (seq != s->bad_seq) {
		s->bad_seq = (uint16_t)(seq + 1);
		return RTP_DUBIOUS;
	}
	s->expected_before = rtp_stats_expected(s);
	start_run(s, (uint16_t)(seq - 1));
	s->max_seq = seq;
	s->cycles = seq == 0 ? UINT32_C(1) << 16 : 0;
	s->seen = 3;
	s->received++; /* the dubious one before this */
	s->restarts++;
	s->is_timed = false;
	return RTP_RESTART;
}

static enum rtp_seen add_seq(struct rtp_stats *s, uint16_t seq)
{
	uint32_t ahead = (uint16_t)(seq - s->max_seq);
	if (ahead - 1 < MAX_DROPOUT) {
		if (seq < s->max_seq)
			s->cycles += UINT32_C(1) << 16;
		s->max_seq = seq;
		s->seen = ahead < 64 ? s->seen << ahead | 1 : 1;
		s->bad_seq = UINT32_MAX;
		return RTP_NEW;
	}
	uint32_t back = (uint16_t)-ahead;
	return back < MAX_MISORDER ? add_behind(s, back) : add_jump(s, seq);
}

static void add_jitter(struct rtp_stats *s, uint32_t ts, uint64_t now_us)
{
	uint32_t transit = (uint32_t)((now_us - s->first_us) * s->clock / 1'000'000) - ts;
	int32_t d = (int32_t)(transit - s->last_transit);
	s->last_transit = transit;
	uint32_t size = d < 0 ? 0u - (uint32_t)d : (uint32_t)d;
	if (!s->is_timed || size > s->clock * TS_JUMP_S) {
		s->is_timed = true;
		return;
	}
	s->jitter16 += size - ((s->jitter16 + 8) >> 4);
	if (s->jitter16 > s->max_jitter16)
		s->max_jitter16 = s->jitter16;
}

enum rtp_seen rtp_stats_add_any(struct rtp_stats *s, uint16_t seq, uint32_t n_payload,
				uint64_t now_us)
{
	enum rtp_seen seen = RTP_NEW;
	if (!s->is_started) {
		start_run(s, seq);
		s->is_started = true;
		s->first_us = s->last_us = now_us;
	} else {
		seen = add_seq(s, seq);
	}
	rtp_stats_count(s, n_payload, now_us);
	s->received -= seen == RTP_DUBIOUS;
	return seen;
}

enum rtp_seen rtp_stats_add(struct rtp_stats *s, uint16_t seq, uint32_t ts, uint32_t n_payload,
			    uint64_t now_us)
{
	enum rtp_seen seen = rtp_stats_add_untimed(s, seq, n_payload, now_us);
	if (seen != RTP_DUP && seen != RTP_DUBIOUS && now_us >= s->first_us)
		add_jitter(s, ts, now_us);
	return seen;
}

uint64_t rtp_stats_expected(const struct rtp_stats *s)
{
	return s->expected_before + (s->is_started ? rtp_stats_ext_seq(s) - s->base_seq + 1 : 0);
}

uint64_t rtp_stats_lost(const struct rtp_stats *s)
{
	uint64_t expected = rtp_stats_expected(s), came = s->received - s->dup;
	return expected > came ? expected - came : 0;
}

int32_t rtp_stats_lost_rtcp(const struct rtp_stats *s)
{
	int64_t lost = (int64_t)rtp_stats_expected(s) - (int64_t)s->received;
	return lost > 0x7fffff ? 0x7fffff : lost < -0x800000 ? -0x800000 : (int32_t)lost;
}

static double in_ms(const struct rtp_stats *s, uint32_t jitter16)
{
	return s->clock ? (double)jitter16 / 16 * 1000 / s->clock : 0;
}

double rtp_stats_jitter_ms(const struct rtp_stats *s)
{
	return in_ms(s, s->jitter16);
}

double rtp_stats_max_jitter_ms(const struct rtp_stats *s)
{
	return in_ms(s, s->max_jitter16);
}

uint8_t rtp_stats_fraction(struct rtp_stats *s)
{
	uint64_t expected = rtp_stats_expected(s) - s->report_expected;
	uint64_t received = s->received - s->report_received;
	s->report_expected += expected;
	s->report_received += received;
	if (expected == 0 || received >= expected)
		return 0;
	uint64_t f = ((expected - received) << 8) / expected;
	return f > 255 ? 255 : (uint8_t)f;
}
