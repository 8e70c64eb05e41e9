/* The pattern of losses against a count by hand and against brute force. [RFC3611 4.7.2] */

#include "rtp/loss.h"

#include "base/assert.h"

#include "test.h"

#include <string.h>

static struct rtp_stats s;
static struct rtp_loss l;

static void begin(void)
{
	rtp_stats_init(&s, 8000);
	l = (struct rtp_loss){0};
}

static void add(uint16_t seq)
{
	uint64_t window = s.seen;
	uint32_t top = rtp_stats_ext_seq(&s);
	bool is_first = !s.is_started;
	enum rtp_seen seen = rtp_stats_add_untimed(&s, seq, 160, 1);
	if (!is_first)
		rtp_loss_follow(&l, &s, window, top, seen);
}

/* '.' received, 'x' lost */
static struct rtp_loss_sum play(const char *pattern, unsigned repeat, uint16_t first)
{
	struct rtp_loss_sum sum;
	begin();
	uint16_t seq = first;
	for (unsigned i = 0; i < repeat; i++)
		for (const char *c = pattern; *c; c++, seq++)
			if (*c == '.')
				add(seq);
	rtp_loss_sum(&l, &s, &sum);
	return sum;
}

TEST(nothing_lost)
{
	struct rtp_loss_sum a = play("..........", 30, 65'500);
	CHECK(a.lost == 0 && a.n_runs == 0 && a.longest == 0 && a.n_bursts == 0);
	CHECK(a.burst_r == 1 && a.gap_density == 0);
	CHECK_EQ(a.mean_gap, 300);
}

TEST(single_losses_are_in_the_gap)
{
	struct rtp_loss_sum a = play("...................x", 20, 65'500);
	CHECK_EQ(a.lost, 19); /* the last is not missed yet */
	CHECK_EQ(a.n_runs, 19);
	CHECK_EQ(a.longest, 1);
	CHECK_EQ(a.n_bursts, 0);
	CHECK(a.gap_density > 0.04 && a.gap_density < 0.06);
	CHECK(a.burst_r == 1);
}

TEST(runs_make_bursts)
{
	/* 3 lost, 2 received, 1 lost: a burst of 6 with 4 lost, then 20 received */
	struct rtp_loss_sum a = play("..........xxx..x..........", 10, 65'500);
	CHECK_EQ(a.lost, 40);
	CHECK_EQ(a.n_runs, 20);
	CHECK_EQ(a.longest, 3);
	CHECK_EQ(a.n_bursts, 10);
	CHECK(a.burst_density > 0.66 && a.burst_density < 0.67);
	CHECK_EQ(a.mean_burst, 6);
	CHECK(a.gap_density == 0);
	CHECK(a.mean_run == 2);
	CHECK(a.burst_r > 1.68 && a.burst_r < 1.70); /* 2 * (1 - 40 / 260) */
}

TEST(what_comes_late_is_not_lost)
{
	struct rtp_loss_sum a;
	begin();
	for (uint16_t i = 0; i < 300; i++) { /* each pair in the wrong order */
		add((uint16_t)(i ^ 1));
	}
	rtp_loss_sum(&l, &s, &a);
	CHECK_EQ(a.lost, 0);
	CHECK_EQ(a.n_runs, 0);
}

TEST(longer_than_the_window)
{
	begin();
	add(1);
	add(202); /* 200 lost */
	for (uint16_t i = 203; i < 300; i++)
		add(i);
	struct rtp_loss_sum a;
	rtp_loss_sum(&l, &s, &a);
	CHECK_EQ(a.lost, 200);
	CHECK_EQ(a.longest, 200);
	CHECK_EQ(a.n_runs, 1);
	CHECK_EQ(l.packets + 64, 299);
}

TEST(a_restart_is_no_loss)
{
	begin();
	for (uint16_t i = 10; i < 30; i++)
		add(i);
	for (uint16_t i = 40'000; i < 40'030; i++)
		add(i);
	struct rtp_loss_sum a;
	rtp_loss_sum(&l, &s, &a);
	CHECK_EQ(a.lost, 0);
	CHECK_EQ(rtp_stats_lost(&s), 0);
	CHECK_EQ(l.packets, 20);
}

TEST(agrees_with_the_statistics)
{
	begin();
	uint32_t x = 1;
	for (uint32_t i = 0; i < 20'000; i++) {
		x = x * 1'664'525 + 1'013'904'223;
		if (x >> 24 < 200)
			add((uint16_t)(i + 60'000));
	}
	struct rtp_loss_sum a;
	rtp_loss_sum(&l, &s, &a);
	CHECK_EQ(a.lost, rtp_stats_lost(&s));
	CHECK(a.burst_r > 0.95 && a.burst_r < 1.05); /* chance */
}

/* As a stream counts its packets, and without looking whether one is the next. */
static void add_both(struct rtp_stats s2[2], struct rtp_loss l2[2], uint16_t seq, uint64_t at_us)
{
	uint64_t window = s2[0].seen;
	uint32_t top = rtp_stats_ext_seq(&s2[0]);
	bool is_first = !s2[0].is_started, is_next = rtp_stats_is_next(&s2[0], seq);
	enum rtp_seen seen = rtp_stats_add_untimed(&s2[0], seq, 160, at_us);
	CHECK_EQ(rtp_stats_add_any(&s2[1], seq, 160, at_us), seen);
	if (is_next)
		rtp_loss_follow_next(&l2[0], &s2[0], window);
	else if (!is_first)
		rtp_loss_follow(&l2[0], &s2[0], window, top, seen);
	if (!is_first)
		rtp_loss_follow(&l2[1], &s2[1], window, top, seen);
	CHECK(memcmp(&s2[0], &s2[1], sizeof s2[0]) == 0);
	CHECK(memcmp(&l2[0], &l2[1], sizeof l2[0]) == 0);
}

TEST(the_next_packet_as_any_other)
{
	static const uint16_t steps[] = {2, 3, 70, 65'535, 65'530, 65'460, 0, 20'000, 2'999, 3'001};
	static struct rtp_stats s2[2];
	static struct rtp_loss l2[2];
	uint32_t rng = 1;
	uint16_t seq = 65'000;
	uint64_t at_us = 1'000'000;
	for (unsigned i = 0; i < 300'000; i++) {
		rng = rng * 1'664'525 + 1'013'904'223;
		bool is_odd = (rng >> 8) % 40 == 0;
		seq = (uint16_t)(seq + (is_odd ? steps[(rng >> 20) % ARRAY_LEN(steps)] : 1));
		at_us = at_us + (rng >> 16) % 40'000 - 10'000; /* it may go back */
		add_both(s2, l2, seq, at_us);
	}
	CHECK(l2[0].lost > 1'000 && l2[0].packets > 100'000 && s2[0].restarts > 10);
}
