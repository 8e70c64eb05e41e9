/* Tones made and found, clean, through G.711, with noise, and no tone where there is none. */

#include "codec/tone.h"

#include "codec/codec.h"
#include "test.h"

#include <math.h>

static int16_t pcm[8000];
static struct cdc_detect d;

static void make(double hz, double level)
{
	struct cdc_tone t;
	cdc_tone_init(&t, hz, level, 8000);
	cdc_tone_put(&t, pcm, 8000);
}

static void through(enum cdc_id id)
{
	uint8_t code[8000];
	cdc_encode(id, pcm, 8000, code);
	cdc_decode(id, code, 8000, pcm);
}

static void add_noise(int amplitude)
{
	uint32_t r = 12345;
	for (int i = 0; i < 8000; i++) {
		r = r * 1664525 + 1013904223;
		pcm[i] = (int16_t)(pcm[i] + (int)(r >> 16) % (2 * amplitude + 1) - amplitude);
	}
}

/* Every block must say the same. */
static void expect(double hz, double level, double tolerance_db)
{
	cdc_detect_init(&d);
	for (size_t i = 0; i + 160 <= 8000; i += 160) {
		if (!cdc_detect_add(&d, pcm + i, 160))
			continue;
		CHECK(d.has_tone);
		CHECK(fabs(d.freq_hz - hz) <= 2);
		CHECK(fabs(d.level_dbm0 - level) <= tolerance_db);
	}
	CHECK_EQ(d.blocks, 12);
}

TEST(pure_tones)
{
	for (double hz = 100; hz <= 3800; hz += 37.7) {
		make(hz, -10);
		expect(hz, -10, 0.3);
	}
	make(3800, 0);
	expect(3800, 0, 0.3);
	make(1000, -44);
	expect(1000, -44, 0.3);
}

TEST(through_g711_and_noise)
{
	for (double hz = 110; hz < 3800; hz += 333) {
		make(hz, -20);
		through(CDC_PCMU);
		expect(hz, -20, 0.5);
		make(hz, -20);
		through(CDC_PCMA);
		expect(hz, -20, 0.5);
		make(hz, -10); /* -10 dBm0: amplitude 7,218, noise 9 dB below it */
		add_noise(3000);
		expect(hz, -10, 1.0);
	}
}

static void expect_none(void)
{
	cdc_detect_init(&d);
	for (size_t i = 0; i + 160 <= 8000; i += 160)
		if (cdc_detect_add(&d, pcm + i, 160))
			CHECK(!d.has_tone);
	CHECK_EQ(d.blocks, 12);
}

TEST(no_tone)
{
	make(0, 0);
	expect_none();
	CHECK(d.total_dbm0 < -90);
	add_noise(10'000);
	expect_none();
	CHECK(d.total_dbm0 > -20);
	make(1000, -50); /* too weak */
	expect_none();
	struct cdc_tone t; /* DTMF: two tones of equal power */
	make(697, -10);
	cdc_tone_init(&t, 1209, -10, 8000);
	cdc_tone_add(&t, pcm, 8000);
	expect_none();
}

TEST(generator)
{
	make(1000, 0);
	CHECK(fabs(cdc_level_dbm0(pcm, 8000) - 0) < 0.01);
	CHECK(fabs(cdc_goertzel_dbm0(pcm, 8000, 1000, 8000) - 0) < 0.01);
	CHECK(cdc_goertzel_dbm0(pcm, 8000, 1500, 8000) < -50);
	CHECK_EQ(pcm[2], 22827); /* a quarter of the period: the amplitude of 0 dBm0 */
	make(1000, 20);          /* clamped */
	CHECK(fabs(cdc_level_dbm0(pcm, 8000) - 3) < 0.01);
	make(5000, 0); /* beyond half the rate */
	CHECK(cdc_level_dbm0(pcm, 8000) < -90);
	CHECK(cdc_level_dbm0(pcm, 0) < -90);
	/* saturates instead of wrapping */
	struct cdc_tone t;
	make(1000, 3);
	cdc_tone_init(&t, 1000, 3, 8000);
	cdc_tone_add(&t, pcm, 8000);
	CHECK_EQ(pcm[2], 32767);
	CHECK_EQ(pcm[6], -32768);
	/* continues without a click across calls */
	int16_t two[16];
	make(440, -3);
	cdc_tone_init(&t, 440, -3, 8000);
	cdc_tone_put(&t, two, 5);
	cdc_tone_put(&t, two + 5, 11);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(two[i], pcm[i]);
}
