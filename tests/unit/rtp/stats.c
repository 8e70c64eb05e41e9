/* Reception statistics against hand-computed and brute-force truths. [RFC3550 A.1 A.3 A.8] */

#include "rtp/stats.h"

#include "test.h"

static struct rtp_stats s;

static enum rtp_seen add(uint16_t seq)
{
	return rtp_stats_add(&s, seq, seq * 160u, 160, 1000 + seq * 20'000ull);
}

TEST(in_order_over_the_wrap)
{
	rtp_stats_init(&s, 8000);
	for (uint32_t i = 0; i < 200'000; i++)
		CHECK_EQ(rtp_stats_add(&s, (uint16_t)(65530 + i), i * 160, 160, 5 + i * 20'000ull),
			 RTP_NEW);
	CHECK_EQ(rtp_stats_expected(&s), 200'000);
	CHECK_EQ(s.received, 200'000);
	CHECK_EQ(s.bytes, 200'000 * 160);
	CHECK_EQ(rtp_stats_lost(&s), 0);
	CHECK_EQ(rtp_stats_jitter(&s), 0);
	CHECK_EQ(s.max_delta_us, 20'000);
	CHECK_EQ(rtp_stats_ext_seq(&s), 65530 + 199'999);
	CHECK_EQ(s.first_us, 5);
	CHECK_EQ(s.last_us, 5 + 199'999 * 20'000ull);
}

TEST(lost_late_and_twice)
{
	rtp_stats_init(&s, 8000);
	add(10);
	add(11);
	CHECK_EQ(add(14), RTP_NEW);
	CHECK_EQ(rtp_stats_lost(&s), 2);
	CHECK_EQ(add(12), RTP_LATE);
	CHECK_EQ(add(12), RTP_DUP);
	CHECK_EQ(add(14), RTP_DUP);
	CHECK_EQ(rtp_stats_lost(&s), 1); /* 13; the duplicates hide nothing */
	CHECK_EQ(rtp_stats_lost_rtcp(&s), -1);
	CHECK(s.dup == 2 && s.reordered == 1 && s.received == 6);
	CHECK_EQ(add(9), RTP_LATE); /* before the first one */
	CHECK_EQ(rtp_stats_expected(&s), 6);
	CHECK_EQ(rtp_stats_lost(&s), 1);
}

TEST(late_before_number_zero)
{
	rtp_stats_init(&s, 8000);
	rtp_stats_add(&s, 1, 160, 160, 1000);
	CHECK_EQ(rtp_stats_add(&s, 65534, 0, 160, 1000), RTP_LATE);
	CHECK_EQ(rtp_stats_expected(&s), 4);
	CHECK_EQ(rtp_stats_lost(&s), 2);
	CHECK_EQ(rtp_stats_add(&s, 65534, 0, 160, 1000), RTP_DUP);
}

TEST(a_jump_is_believed_at_the_second_packet)
{
	rtp_stats_init(&s, 8000);
	add(100);
	add(101);
	CHECK_EQ(add(30000), RTP_DUBIOUS); /* a stray */
	CHECK_EQ(add(102), RTP_NEW);
	CHECK_EQ(s.received, 3);
	CHECK_EQ(add(40000), RTP_DUBIOUS);
	CHECK_EQ(add(40001), RTP_RESTART);
	CHECK_EQ(add(40002), RTP_NEW);
	CHECK_EQ(rtp_stats_expected(&s), 6);
	CHECK_EQ(s.received, 6);
	CHECK_EQ(s.restarts, 1);
	CHECK_EQ(rtp_stats_lost(&s), 0);
	CHECK_EQ(add(40001), RTP_DUP);
	CHECK_EQ(add(40000), RTP_DUP);
}

TEST(a_restart_over_the_wrap)
{
	rtp_stats_init(&s, 8000);
	add(30000);
	CHECK_EQ(add(65535), RTP_DUBIOUS);
	CHECK_EQ(add(0), RTP_RESTART);
	CHECK_EQ(add(1), RTP_NEW);
	CHECK_EQ(rtp_stats_expected(&s), 4);
	CHECK_EQ(rtp_stats_lost(&s), 0);
}

/* Random loss, duplication and reordering within the window against counting in a table. */
TEST(against_brute_force)
{
	enum { N = 70'000 };
	static uint8_t got[N];
	uint32_t rng = 1;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++)
			got[i] = 0;
		rtp_stats_init(&s, 8000);
		uint32_t dup = 0, came = 0, last = 0;
		for (uint32_t i = 0; i < N; i++) {
			rng = rng * 1664525 + 1013904223;
			uint32_t r = rng >> 16, at = i;
			if (i && r % 10 == 0)
				continue;
			if (r % 10 == 1 && i > 70)
				at = i - (r >> 4) % 60;
			dup += got[at] != 0;
			got[at]++;
			came++;
			last = at > last ? at : last;
			rtp_stats_add(&s, (uint16_t)(at + 65000), at * 160, 160, i * 20'000ull);
		}
		uint32_t lost = 0;
		for (uint32_t i = 0; i <= last; i++)
			lost += got[i] == 0;
		CHECK_EQ(s.received, came);
		CHECK_EQ(s.dup, dup);
		CHECK_EQ(rtp_stats_expected(&s), last + 1);
		CHECK_EQ(rtp_stats_lost(&s), lost);
	}
}

/* A.8 by hand: arrivals 0, 20, 50, 60 ms with timestamps 0, 20, 40, 60 ms: D = 0, +10, -10 ms. */
TEST(jitter)
{
	rtp_stats_init(&s, 8000);
	rtp_stats_add(&s, 1, 0, 160, 1'000'000);
	rtp_stats_add(&s, 2, 160, 160, 1'020'000);
	CHECK_EQ(s.jitter16, 0);
	rtp_stats_add(&s, 3, 320, 160, 1'050'000);
	CHECK_EQ(s.jitter16, 80);
	rtp_stats_add(&s, 4, 480, 160, 1'060'000);
	CHECK_EQ(s.jitter16, 80 + 80 - (88 >> 4));
	CHECK_EQ(rtp_stats_jitter(&s), 9);
	CHECK(rtp_stats_jitter_ms(&s) > 1.2 && rtp_stats_jitter_ms(&s) < 1.3);
	CHECK(rtp_stats_max_jitter_ms(&s) == rtp_stats_jitter_ms(&s));
	CHECK_EQ(s.max_delta_us, 30'000);
}

TEST(what_says_nothing_of_jitter)
{
	rtp_stats_init(&s, 8000);
	rtp_stats_add(&s, 1, 1000, 160, 1'000'000);
	rtp_stats_add_untimed(&s, 2, 4, 1'100'000); /* a telephone event */
	rtp_stats_add(&s, 3, 1160, 160, 1'020'000);
	rtp_stats_add(&s, 3, 1160, 160, 1'090'000);        /* a duplicate */
	rtp_stats_add(&s, 4, 900'000'000, 160, 1'040'000); /* the timestamps start anew */
	rtp_stats_add(&s, 5, 900'000'160, 160, 1'060'000);
	rtp_stats_clock(&s, 16000);
	rtp_stats_add(&s, 6, 900'000'320, 160, 1'080'000);
	rtp_stats_add(&s, 7, 900'000'640, 160, 1'100'000);
	CHECK_EQ(s.jitter16, 0);
	CHECK_EQ(s.received, 8);
	CHECK_EQ(s.dup, 1);
	rtp_stats_add(&s, 8, 900'000'960, 160, 1'140'000);
	CHECK_EQ(s.jitter16, 320);
}

TEST(fraction_lost)
{
	rtp_stats_init(&s, 8000);
	CHECK_EQ(rtp_stats_fraction(&s), 0);
	add(1);
	add(2);
	add(3);
	add(4);
	CHECK_EQ(rtp_stats_fraction(&s), 0);
	add(8); /* 5, 6, 7 of 4 expected */
	CHECK_EQ(rtp_stats_fraction(&s), 192);
	CHECK_EQ(rtp_stats_fraction(&s), 0);
	add(5); /* more than expected since */
	CHECK_EQ(rtp_stats_fraction(&s), 0);
}

TEST(nothing_received)
{
	rtp_stats_init(&s, 0);
	CHECK_EQ(rtp_stats_expected(&s), 0);
	CHECK_EQ(rtp_stats_lost(&s), 0);
	CHECK_EQ(rtp_stats_lost_rtcp(&s), 0);
	CHECK(rtp_stats_jitter_ms(&s) == 0);
}
