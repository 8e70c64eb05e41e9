#pragma once
/* The timing of a stream as an observer sees it: jitter [RFC3550 6.4.1] in floating point, time
 * between packets, the sender's clock against ours, and what a jitter buffer would throw away.
 * Maxima and means leave out what Wireshark leaves out, so that the figures can be compared. */

#include <stdbool.h>
#include <stdint.h>

#define RTP_BUFFER_MS 60 /* depth of the modelled jitter buffer */

enum rtp_trace_flag {
	RTP_T_MARKER = 1, /* a talk spurt begins: the time before it was the speaker's */
	RTP_T_CN = 2,     /* comfort noise */
	RTP_T_EVENT = 4,  /* a telephone event: its timestamp stands still */
	RTP_T_DUP = 8
};

struct rtp_trace {
	double us_per_tick; /* 0: the clock is unknown, and with it all but the deltas */
	uint32_t n;         /* packets */
	uint32_t last_ts;
	int64_t last_ns, delta_ns; /* of the last packet with a timestamp; of any */
	bool was_cn, has_ts;
	uint8_t n_late;                        /* in a row: the buffer adapts */
	uint32_t n_discarded;                  /* came too late for the buffer */
	double jitter, max_jitter, sum_jitter; /* µs */
	double max_delta, sum_delta;
	double nominal, arrival; /* µs since the first packet: by timestamps, by our clock */
	double max_skew, best;   /* best: arrival - nominal of the fastest packet lately */
	double packet;  /* the shortest step of timestamps, µs: what a packet holds; 0 unknown */
	uint32_t n_fit; /* points of the line nominal over arrival */
	double sum_a, sum_d, sum_aa, sum_ad; /* arrival in s, nominal - arrival in s */
};
/* Hz of the timestamps from now on, 0 unknown. */
void rtp_trace_clock(struct rtp_trace *t, uint32_t clock_hz);
/* A packet in order of arrival; at_ns on any steady clock. flags: enum rtp_trace_flag. */
void rtp_trace_add(struct rtp_trace *t, uint32_t ts, unsigned flags, int64_t at_ns);

static inline double rtp_trace_mean_jitter_us(const struct rtp_trace *t)
{
	return t->n > 1 ? t->sum_jitter / (t->n - 1) : 0;
}
static inline double rtp_trace_mean_delta_us(const struct rtp_trace *t)
{
	return t->n > 1 ? t->sum_delta / (t->n - 1) : 0;
}
/* The sender's clock against the capture's, in millionths (positive: too fast). False when less
 * than 5 s or 50 packets were seen, or when it is no clock's drift (over 1 %). */
bool rtp_trace_drift_ppm(const struct rtp_trace *t, double *ppm);
