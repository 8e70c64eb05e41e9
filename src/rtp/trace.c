/* Timing.
 *
 * For each packet: how long since the last one that was in order of timestamps (delta), how long by
 * the sender's timestamps, and the difference of both, smoothed by 1/16, which is the jitter of
 * RFC 3550. It is kept in µs, not in ticks: at 8 kHz a tick is 125 µs, more than the jitter of a
 * LAN. Telephone events count for deltas only.
 *
 * Means are of n - 1 differences of n packets. Packets that begin a talk spurt, carry comfort noise
 * or follow it are not part of them: a mean then stands for all packets, which is why sums are
 * stretched instead of left alone.
 *
 * Drift: the least squares line through (arrival, nominal - arrival). Small numbers, so that sums
 * over hours keep their digits.
 *
 * The buffer: the fastest packet lately stands for the network without queues; whoever comes
 * RTP_BUFFER_MS later than it would is too late to be played. "Lately", because clocks drift: the
 * mark gives way by 100 ppm. Five late ones in a row, or a jump of more than a second, and the
 * buffer has adapted.
 */
#include "rtp/trace.h"

#include <math.h>

#define BUFFER_US   (RTP_BUFFER_MS * 1e3)
#define JUMP_US     1e6
#define GIVES_WAY   1e-4
#define LATE_IN_ROW 5
#define MIN_FIT     50
#define MIN_FIT_US  5e6
#define MAX_PPM     10'000

void rtp_trace_clock(struct rtp_trace *t, uint32_t clock_hz)
{
	t->us_per_tick = clock_hz ? 1e6 / clock_hz : 0;
}

static void add_to_buffer(struct rtp_trace *t, double delta, unsigned flags)
{
	double transit = t->arrival - t->nominal;
	t->best += GIVES_WAY * delta;
	double late = transit - t->best;
	if (late <= 0 || late > JUMP_US || late < -JUMP_US) {
		t->best = transit;
		t->n_late = 0;
	} else if (late <= BUFFER_US) {
		t->n_late = 0;
	} else if (!(flags & RTP_T_DUP)) {
		t->n_discarded++;
		if (++t->n_late == LATE_IN_ROW) {
			t->best = transit;
			t->n_late = 0;
		}
	}
}

static void add_timed(struct rtp_trace *t, double step, double delta, unsigned flags)
{
	t->jitter += (fabs(delta - step) - t->jitter) / 16;
	t->nominal += step;
	t->arrival += delta;
	double skew = t->nominal - t->arrival;
	if (fabs(skew) > fabs(t->max_skew))
		t->max_skew = skew;
	double a = t->arrival * 1e-6, d = skew * 1e-6;
	t->n_fit++;
	t->sum_a += a;
	t->sum_d += d;
	t->sum_aa += a * a;
	t->sum_ad += a * d;
	add_to_buffer(t, delta, flags);
}

void rtp_trace_add(struct rtp_trace *t, uint32_t ts, unsigned flags, int64_t at_ns)
{
	bool is_first = t->n++ == 0;
	int32_t ticks = (int32_t)(ts - t->last_ts);
	double delta = (double)(at_ns - t->last_ns) * 1e-3;
	bool is_odd = flags & (RTP_T_MARKER | RTP_T_CN) || t->was_cn || ticks < 0;
	t->was_cn = flags & RTP_T_CN;
	if (is_first) {
		t->last_ts = ts;
		t->last_ns = at_ns;
		t->min_delta = -1;
		return;
	}
	bool is_timed = t->us_per_tick > 0 && !(flags & RTP_T_EVENT);
	if (is_timed)
		add_timed(t, ticks * t->us_per_tick, delta, flags);
	double n = t->n - 1;
	if (!is_odd) {
		if (delta > t->max_delta)
			t->max_delta = delta;
		if (delta < t->min_delta || t->min_delta < 0)
			t->min_delta = delta;
		t->sum_delta += delta;
		if (is_timed && t->jitter > t->max_jitter)
			t->max_jitter = t->jitter;
	} else if (n > 1) {
		t->sum_delta *= n / (n - 1);
	}
	if (!is_odd && is_timed)
		t->sum_jitter += t->jitter;
	else if (n > 1)
		t->sum_jitter *= n / (n - 1);
	if (ticks >= 0) {
		t->last_ts = ts;
		t->last_ns = at_ns;
	}
}

bool rtp_trace_drift_ppm(const struct rtp_trace *t, double *ppm)
{
	double n = t->n_fit, width = n * t->sum_aa - t->sum_a * t->sum_a;
	if (t->n_fit < MIN_FIT || t->arrival < MIN_FIT_US || width <= 0)
		return false;
	*ppm = (n * t->sum_ad - t->sum_a * t->sum_d) / width * 1e6;
	return fabs(*ppm) <= MAX_PPM;
}
