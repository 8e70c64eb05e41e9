/* Timing.
 *
 * For each packet: how long since the one that arrived before it, in sequence or not (delta), how
 * long by the sender's timestamps, and the difference of both, smoothed by 1/16, which is the
 * jitter of [RFC3550 6.4.1]. It is kept in µs, not in ticks: at 8 kHz a tick is 125 µs, more than
 * the jitter of a LAN. Telephone events count for deltas only: their timestamps stand still while
 * audio may go on beside them.
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
 * mark gives way by 100 ppm. Five late ones in a row, a jump or a pause (a hold) of more than a
 * second, and the buffer has adapted.
 */
#include "rtp/trace.h"

#include <math.h>

#define BUFFER_US      (RTP_BUFFER_MS * 1e3)
#define JUMP_US        1e6
#define NO_RELATION_US 5e6 /* a hold, a keep-alive without a clock: it says nothing of jitter */
#define GIVES_WAY      1e-4
#define LATE_IN_ROW    5
#define MIN_FIT        50
#define MIN_FIT_US     5e6
#define MAX_PPM        10'000

void rtp_trace_clock(struct rtp_trace *t, uint32_t clock_hz)
{
	t->us_per_tick = clock_hz ? 1e6 / clock_hz : 0;
}

static void add_to_buffer(struct rtp_trace *t, double delta, unsigned flags)
{
	double transit = t->arrival - t->nominal;
	t->best += GIVES_WAY * delta;
	double late = transit - t->best;
	if (late <= 0 || late > JUMP_US || delta > JUMP_US) {
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

[[gnu::always_inline]] static inline void add_timed(struct rtp_trace *t, double step, double delta,
						    unsigned flags)
{
	if (fabs(delta - step) > NO_RELATION_US)
		return;
	t->jitter += (fabs(delta - step) - t->jitter) / 16;
	if (step > 0 && (t->packet == 0 || step < t->packet))
		t->packet = step;
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

static void add_delta(struct rtp_trace *t, double delta, bool is_odd)
{
	double n = t->n - 1;
	if (is_odd) {
		if (n > 1)
			t->sum_delta *= n / (n - 1);
		return;
	}
	if (delta > t->max_delta)
		t->max_delta = delta;
	t->sum_delta += delta;
}

static void add_jitter(struct rtp_trace *t, bool is_odd)
{
	double n = t->n - 1;
	if (is_odd) {
		if (n > 1)
			t->sum_jitter *= n / (n - 1);
		return;
	}
	t->sum_jitter += t->jitter;
	if (t->jitter > t->max_jitter)
		t->max_jitter = t->jitter;
}

[[gnu::always_inline]] static inline void add(struct rtp_trace *t, uint32_t ts, unsigned flags,
					      int64_t at_ns, int32_t ticks, bool is_odd,
					      bool is_timed)
{
	bool is_event = flags & RTP_T_EVENT;
	bool is_first = !is_timed && !t->n; /* a timed one has another before it */
	t->was_cn = flags & RTP_T_CN;
	t->n++;
	if (!is_first)
		add_delta(t, (double)(at_ns - t->delta_ns) * 1e-3, is_odd);
	t->delta_ns = at_ns;
	if (is_timed)
		add_timed(t, ticks * t->us_per_tick, (double)(at_ns - t->last_ns) * 1e-3, flags);
	if (!is_first)
		add_jitter(t, is_odd || !is_timed);
	if (is_event)
		return;
	t->has_ts = true;
	t->last_ts = ts;
	t->last_ns = at_ns;
}

[[gnu::noinline]] static void add_any(struct rtp_trace *t, uint32_t ts, unsigned flags,
				      int64_t at_ns)
{
	bool is_event = flags & RTP_T_EVENT;
	int32_t ticks = is_event || !t->has_ts ? 0 : (int32_t)(ts - t->last_ts);
	bool is_odd = flags & (RTP_T_MARKER | RTP_T_CN) || t->was_cn;
	bool is_timed = t->us_per_tick > 0 && t->has_ts && !is_event;
	add(t, ts, flags, at_ns, ticks, is_odd, is_timed);
}

/* Of a usual packet most answers are known, and the same function becomes a shorter one. */
void rtp_trace_add(struct rtp_trace *t, uint32_t ts, unsigned flags, int64_t at_ns)
{
	int32_t ticks = (int32_t)(ts - t->last_ts);
	if (!flags && !t->was_cn && t->has_ts && t->us_per_tick > 0)
		add(t, ts, 0, at_ns, ticks, false, true);
	else
		add_any(t, ts, flags, at_ns);
}

bool rtp_trace_drift_ppm(const struct rtp_trace *t, double *ppm)
{
	double n = t->n_fit, width = n * t->sum_aa - t->sum_a * t->sum_a;
	if (t->n_fit < MIN_FIT || t->arrival < MIN_FIT_US || width <= 0)
		return false;
	*ppm = (n * t->sum_ad - t->sum_a * t->sum_d) / width * 1e6;
	return fabs(*ppm) <= MAX_PPM;
}
