/* Timing figures against what they must be by construction. [RFC3550 6.4.1] */

#include "rtp/trace.h"

#include "test.h"

#include <math.h>
#include <string.h>

#define MS 1'000'000ll

static bool is_near(double a, double b, double part)
{
	return fabs(a - b) <= part * fabs(b);
}

TEST(steady_stream)
{
	struct rtp_trace t = {0};
	double ppm = 1;
	rtp_trace_clock(&t, 8000);
	for (int i = 0; i < 500; i++)
		rtp_trace_add(&t, 0xffffff00u + (uint32_t)i * 160, 0, 7 * MS + i * 20 * MS);
	CHECK(t.jitter == 0 && t.max_jitter == 0 && t.max_skew == 0 && t.n_discarded == 0);
	CHECK(is_near(rtp_trace_mean_delta_us(&t), 20'000, 1e-9));
	CHECK(is_near(t.max_delta, 20'000, 1e-9));
	CHECK(rtp_trace_drift_ppm(&t, &ppm) && fabs(ppm) < 1e-3);
}

TEST(jitter_of_alternating_delay)
{
	struct rtp_trace t = {0};
	rtp_trace_clock(&t, 8000);
	for (int i = 0; i < 400; i++)
		rtp_trace_add(&t, (uint32_t)i * 160, 0, i * 20 * MS + (i & 1) * 4 * MS);
	CHECK(is_near(t.jitter, 4'000, 1e-6)); /* each difference is 4 ms */
	CHECK(is_near(t.max_jitter, 4'000, 1e-6));
	CHECK(rtp_trace_mean_jitter_us(&t) < 4'000 && rtp_trace_mean_jitter_us(&t) > 3'800);
	CHECK(is_near(t.max_skew, -4'000, 1e-6));
	CHECK_EQ(t.n_discarded, 0);
}

TEST(a_clock_that_is_too_fast)
{
	struct rtp_trace t = {0};
	double ppm = 0;
	rtp_trace_clock(&t, 48'000);
	for (int i = 0; i < 3'000; i++) /* 960 ticks in 19.998 ms */
		rtp_trace_add(&t, (uint32_t)i * 960, 0, i * 19'998'000ll + (i % 7) * 100'000);
	CHECK(rtp_trace_drift_ppm(&t, &ppm));
	CHECK(is_near(ppm, 100, 0.02));
	CHECK(t.n_discarded == 0);
}

TEST(late_for_the_buffer)
{
	struct rtp_trace t = {0};
	rtp_trace_clock(&t, 8000);
	for (int i = 0; i < 500; i++)
		rtp_trace_add(&t, (uint32_t)i * 160, 0,
			      i * 20 * MS + (i % 50 == 49   ? 100 * MS
					     : i % 50 == 20 ? 50 * MS
							    : 0));
	CHECK_EQ(t.n_discarded, 10);
	/* a route that has become longer: the buffer follows */
	for (int i = 500; i < 600; i++)
		rtp_trace_add(&t, (uint32_t)i * 160, 0, i * 20 * MS + 100 * MS);
	CHECK_EQ(t.n_discarded, 14); /* the last of before and four of these: five in a row */
}

/* After a pause the buffer has run empty: how exactly the sender counted it is no delay. */
TEST(a_hold_is_no_delay)
{
	struct rtp_trace t = {0};
	rtp_trace_clock(&t, 8000);
	for (int i = 0; i < 150; i++)
		rtp_trace_add(&t, (uint32_t)i * 160, 0, i * 20 * MS);
	for (int i = 150; i < 300; i++)
		rtp_trace_add(&t, (uint32_t)(i + 1'000) * 160, 0, i * 20 * MS + 20'320 * MS);
	CHECK_EQ(t.n_discarded, 0);
	for (int i = 300; i < 302; i++)
		rtp_trace_add(&t, (uint32_t)(i + 1'000) * 160, 0,
			      i * 20 * MS + 20'320 * MS + (i == 300 ? 100 * MS : 90 * MS));
	CHECK_EQ(t.n_discarded, 2);
}

/* D is of a packet and the one that arrived before it, in sequence or not. */
TEST(jitter_of_what_overtakes)
{
	struct rtp_trace t = {0};
	double jitter = 0, most = 0, sum = 0;
	rtp_trace_clock(&t, 8000);
	for (int i = 0; i < 500; i++) {
		int swapped = i % 20 == 18 ? i + 1 : i % 20 == 19 ? i - 1 : i;
		rtp_trace_add(&t, (uint32_t)swapped * 160, 0, i * 20 * MS);
		double d = i % 20 == 18       ? 20'000
			   : i % 20 == 19     ? 40'000
			   : i && i % 20 == 0 ? 20'000
					      : 0;
		jitter += (d - jitter) / 16;
		most = jitter > most ? jitter : most;
		sum += jitter;
	}
	CHECK(is_near(t.jitter, jitter, 1e-9) && is_near(t.max_jitter, most, 1e-9));
	CHECK(is_near(rtp_trace_mean_jitter_us(&t), sum / 499, 1e-9));
	CHECK(is_near(t.max_delta, 20'000, 1e-9) &&
	      is_near(rtp_trace_mean_delta_us(&t), 20'000, 1e-9));
	CHECK(is_near(fabs(t.max_skew), 20'000, 1e-9)); /* it does not add up */
	CHECK_EQ(t.n_discarded, 0);
}

TEST(pauses_are_not_the_networks)
{
	struct rtp_trace t = {0};
	rtp_trace_clock(&t, 8000);
	int64_t at = 0;
	uint32_t ts = 0;
	for (int i = 0; i < 200; i++) {
		bool is_spurt = i % 50 == 0;
		at += is_spurt ? 3'000 * MS : 20 * MS;
		ts += is_spurt ? 24'000 : 160;
		rtp_trace_add(&t, ts, is_spurt ? RTP_T_MARKER : 0, at);
	}
	CHECK(is_near(t.max_delta, 20'000, 1e-9));
	CHECK(is_near(rtp_trace_mean_delta_us(&t), 20'000, 1e-9)); /* stretched over the pauses */
	CHECK(t.jitter < 1e-6);
}

TEST(events_and_unknown_clocks_have_no_jitter)
{
	struct rtp_trace t = {0};
	double ppm;
	for (int i = 0; i < 100; i++)
		rtp_trace_add(&t, (uint32_t)i * 77, 0, i * 20 * MS);
	CHECK(t.jitter == 0 && is_near(t.max_delta, 20'000, 1e-9));
	CHECK(!rtp_trace_drift_ppm(&t, &ppm));
	rtp_trace_clock(&t, 8000);
	rtp_trace_add(&t, 99 * 77, RTP_T_EVENT, 100 * 20 * MS);
	CHECK(t.jitter == 0);
}

/* A duplicate is counted as any other packet that is in time for the buffer, but not on the short
 * way. */
TEST(the_usual_packet_as_any_other)
{
	struct rtp_trace a = {0}, b = {0};
	uint32_t rng = 1, ts = 0xffff0000u;
	int64_t at = 7 * MS;
	rtp_trace_clock(&a, 8000);
	rtp_trace_clock(&b, 8000);
	for (int i = 0; i < 100'000; i++) {
		rng = rng * 1'664'525 + 1'013'904'223;
		bool is_odd = (rng >> 8) % 50 == 0;
		unsigned flags = is_odd ? rng >> 20 & (RTP_T_MARKER | RTP_T_CN | RTP_T_EVENT) : 0;
		ts += is_odd ? (rng >> 16) % 400 - 100 : 160;
		at += 20 * MS + (int64_t)((rng >> 12) % 4'000) * 1'000 - 2 * MS;
		if (i % 1'000 == 999) /* the buffer begins anew */
			ts += 80'000;
		rtp_trace_add(&a, ts, flags, at);
		rtp_trace_add(&b, ts, flags | RTP_T_DUP, at);
		b.n_discarded = a.n_discarded;
		b.n_late = a.n_late;
		b.best = a.best;
		CHECK(memcmp(&a, &b, sizeof a) == 0);
	}
	CHECK(a.n_fit > 90'000 && a.max_jitter > 0 && a.max_skew != 0);
}
