/* The jitter buffer by itself: order, loss, lateness, jumps, drift. */

#include "media/jitter.h"

#include "test.h"

static struct md_jitter j;
static int16_t pcm[2000];

/* Packets of 160 samples whose values are their number. */
static void put(uint32_t i, uint32_t base)
{
	int16_t p[160];
	for (int k = 0; k < 160; k++)
		p[k] = (int16_t)(i + 1);
	md_jitter_put(&j, base + i * 160, p, 160);
}

static int get(void)
{
	md_jitter_get(&j, pcm, 160);
	for (int k = 1; k < 160; k++)
		if (pcm[k] != pcm[0])
			return -1;
	return pcm[0];
}

TEST(played_after_the_depth)
{
	md_jitter_init(&j, 480, 160);
	CHECK_EQ(get(), 0);
	for (uint32_t i = 0; i < 40; i++) {
		put(i, 0xfffff000); /* over the wrap of the timestamp */
		CHECK_EQ(get(), i < 3 ? 0 : (int)i - 2);
	}
	CHECK(j.concealed == 0 && j.discarded == 0); /* the depth itself is no loss */
}

TEST(order_does_not_matter)
{
	static const uint32_t order[] = {0, 2, 1, 1, 3, 6, 5, 4, 7};
	md_jitter_init(&j, 480, 160);
	for (int i = 0; i < 4; i++)
		put(order[i], 7);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(get(), 0);
	CHECK_EQ(get(), 1);
	for (int i = 4; i < 9; i++)
		put(order[i], 7);
	for (int i = 2; i <= 8; i++)
		CHECK_EQ(get(), i);
	CHECK_EQ(get(), 0);
}

TEST(lost_and_late)
{
	md_jitter_init(&j, 160, 160);
	put(0, 0);
	CHECK_EQ(get(), 0);
	CHECK_EQ(get(), 1);
	CHECK_EQ(get(), 0); /* 1 is missing */
	put(1, 0);
	CHECK_EQ(j.discarded, 1);
	put(2, 0);
	CHECK_EQ(get(), 3);
	CHECK_EQ(j.concealed, 1);
	CHECK_EQ(get(), 0);
	md_jitter_excuse(&j);
	put(5, 0);
	CHECK_EQ(get(), 0);
	CHECK_EQ(get(), 6);
	CHECK_EQ(j.concealed, 1);
}

TEST(odd_sizes)
{
	int16_t p[MD_RING / 4 + 1];
	md_jitter_init(&j, 80, 160);
	for (int i = 0; i < 240; i++)
		p[i] = (int16_t)(i + 1);
	md_jitter_put(&j, 1000, p, 240);
	md_jitter_put(&j, 1240, p, 0);
	md_jitter_put(&j, 1240, p, MD_RING / 4 + 1);
	md_jitter_get(&j, pcm, 100);
	CHECK(pcm[79] == 0 && pcm[80] == 1 && pcm[99] == 20);
	md_jitter_get(&j, pcm, 480);
	CHECK(pcm[0] == 21 && pcm[219] == 240 && pcm[220] == 0 && pcm[479] == 0);
}

TEST(jumps)
{
	md_jitter_init(&j, 160, 160);
	put(0, 0);
	get();
	put(0, 100'000); /* another source: starts anew */
	CHECK_EQ(get(), 0);
	CHECK_EQ(get(), 1);
	put(0, 0x80000000); /* back, half the circle */
	CHECK_EQ(get(), 0);
	CHECK_EQ(get(), 1);
	for (int i = 0; i < 20; i++) /* the sender pauses, its clock too */
		get();
	for (uint32_t i = 1; i <= 4; i++)
		put(i, 0x80000000);
	CHECK_EQ(j.discarded, 4);
	put(5, 0x80000000);
	CHECK_EQ(get(), 0);
	CHECK_EQ(get(), 6);
}

/* A sender whose clock is off by 200 ppm either way: no packet is late, the buffer stays small. */
static void drift(int ppm)
{
	uint32_t next = 0;
	md_jitter_init(&j, 480, 160);
	put(0, 0);
	for (uint32_t tick = 1; tick < 50'000; tick++) { /* a quarter of an hour */
		double now = tick * 160.0 * (1 + ppm / 1e6);
		while ((next + 1) * 160.0 <= now)
			put(++next, 0);
		get();
	}
	CHECK_EQ(j.discarded, 0);
	CHECK(j.shifts > 8 && j.shifts < 22); /* 1,600 samples in steps of 80, less the slack */
	CHECK(j.concealed <= 3);
	int32_t margin = (int32_t)(next * 160 - j.play_ts);
	CHECK(margin > 0 && margin < 900);
}

TEST(sender_too_fast)
{
	drift(200);
}

TEST(sender_too_slow)
{
	drift(-200);
}
