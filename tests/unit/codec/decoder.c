/* Each decoder gets a tone that its own encoder made, and must give that tone back, at its pitch
 * and without much else; and whatever bytes there are, it must stay within bounds. */

#include "codec/decoder.h"

#include "codec/codec.h"
#include "codec/tone.h"
#include "test.h"

#include <opus/opus.h>
#include <spandsp.h>

#include <string.h>

#define PACKETS 50

struct tx { /* 20 ms at a time */
	struct cdc_tone tone;
	unsigned rate;
	g722_encode_state_t *g722;
	g726_state_t *g726;
	gsm0610_state_t *gsm;
	OpusEncoder *opus;
};

static size_t encode(struct tx *x, const char *name, uint8_t *out)
{
	int16_t in[960];
	size_t n = x->rate / 50;
	cdc_tone_put(&x->tone, in, n);
	if (!strcmp(name, "PCMU"))
		return cdc_encode(CDC_PCMU, in, n, out);
	if (!strcmp(name, "PCMA"))
		return cdc_encode(CDC_PCMA, in, n, out);
	if (x->g722)
		return (size_t)g722_encode(x->g722, out, in, (int)n);
	if (x->g726)
		return (size_t)g726_encode(x->g726, out, in, (int)n);
	if (x->gsm)
		return (size_t)gsm0610_encode(x->gsm, out, in, (int)n);
	if (x->opus)
		return (size_t)opus_encode(x->opus, in, (int)n, out, 1'000);
	for (size_t i = 0; i < n; i++) { /* L16 */
		out[2 * i] = (uint8_t)(in[i] >> 8);
		out[2 * i + 1] = (uint8_t)in[i];
	}
	return 2 * n;
}

static void check_tone(const char *name, uint32_t clock, unsigned rate, int bit_rate, int packing)
{
	static int16_t samples[PACKETS * CDC_DEC_MAX];
	struct tx x = {.rate = rate};
	struct cdc_dec *d = NULL;
	int problem;
	size_t n = 0;
	enum err e = cdc_dec_new(str_c(name), clock, 1, &d);
	if (e == ERR_NOMEM)
		return;
	CHECK_EQ(e, OK);
	CHECK_EQ(cdc_dec_rate(d), rate);
	cdc_tone_init(&x.tone, 440, -12, rate);
	if (!strcmp(name, "G722"))
		x.g722 = g722_encode_init(NULL, 64'000, 0);
	if (bit_rate)
		x.g726 = g726_init(NULL, bit_rate, G726_ENCODING_LINEAR, packing);
	if (!strcmp(name, "GSM"))
		x.gsm = gsm0610_init(NULL, GSM0610_PACKING_VOIP);
	if (!strcmp(name, "opus"))
		x.opus = opus_encoder_create(48'000, 1, OPUS_APPLICATION_VOIP, &problem);
	for (int i = 0; i < PACKETS; i++) {
		uint8_t bytes[2'000];
		n += cdc_dec_put(d, bytes, encode(&x, name, bytes), samples + n);
	}
	CHECK_EQ(n, (size_t)PACKETS * rate / 50);
	/* the first quarter is for the codec to settle */
	double tone = cdc_goertzel_dbm0(samples + n / 4, n / 2, 440, rate);
	double all = cdc_level_dbm0(samples + n / 4, n / 2);
	if (!(tone > -14 && tone < -10 && all - tone < 1))
		test_fail(__FILE__, __LINE__, "%s: tone %.1f dBm0 of %.1f", name, tone, all);
	cdc_dec_free(d);
	if (x.g722)
		g722_encode_free(x.g722);
	if (x.g726)
		g726_free(x.g726);
	if (x.gsm)
		gsm0610_free(x.gsm);
	if (x.opus)
		opus_encoder_destroy(x.opus);
}

TEST(tones_survive)
{
	check_tone("PCMU", 8'000, 8'000, 0, 0);
	check_tone("PCMA", 8'000, 8'000, 0, 0);
	check_tone("G722", 8'000, 16'000, 0, 0);
	check_tone("GSM", 8'000, 8'000, 0, 0);
	check_tone("L16", 16'000, 16'000, 0, 0);
	check_tone("opus", 48'000, 48'000, 0, 0);
}

TEST(adpcm_in_both_packings)
{
	check_tone("G726-16", 8'000, 8'000, 16'000, G726_PACKING_RIGHT);
	check_tone("G726-24", 8'000, 8'000, 24'000, G726_PACKING_RIGHT);
	check_tone("G726-32", 8'000, 8'000, 32'000, G726_PACKING_RIGHT);
	check_tone("G726-40", 8'000, 8'000, 40'000, G726_PACKING_RIGHT);
	check_tone("AAL2-G726-16", 8'000, 8'000, 16'000, G726_PACKING_LEFT);
	check_tone("AAL2-G726-24", 8'000, 8'000, 24'000, G726_PACKING_LEFT);
	check_tone("AAL2-G726-32", 8'000, 8'000, 32'000, G726_PACKING_LEFT);
	check_tone("AAL2-G726-40", 8'000, 8'000, 40'000, G726_PACKING_LEFT);
}

TEST(stereo_is_mixed)
{
	static const uint8_t in[] = {0x10, 0, 0x20, 0, 0xff, 0xfe, 0, 4, 9};
	int16_t out[CDC_DEC_MAX];
	struct cdc_dec *d = NULL;
	if (cdc_dec_new(STR("L16"), 44'100, 2, &d))
		return;
	CHECK_EQ(cdc_dec_put(d, in, sizeof(in), out), 2);
	CHECK(out[0] == 0x1800 && out[1] == 1);
	cdc_dec_free(d);
}

TEST(unknown_and_impossible)
{
	struct cdc_dec *d = NULL;
	CHECK_EQ(cdc_dec_new(STR("G729"), 8'000, 1, &d), ERR_UNSUPPORTED);
	CHECK_EQ(cdc_dec_new(STR_NONE, 8'000, 1, &d), ERR_UNSUPPORTED);
	CHECK_EQ(cdc_dec_new(STR("L16"), 0, 1, &d), ERR_UNSUPPORTED);
	CHECK_EQ(cdc_dec_new(STR("L16"), 8'000, 9, &d), ERR_UNSUPPORTED);
	CHECK(!d);
	cdc_dec_free(NULL);
}

TEST_NO_OOM(any_bytes_stay_within_bounds)
{
	static const char *const names[] = {"pcmu", "PCMA", "G722",    "gsm",
					    "L16",  "OPUS", "G726-16", "AAL2-G726-40"};
	static uint8_t bytes[30'000];
	static int16_t out[CDC_DEC_MAX + 1];
	uint32_t x = 1;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		x = x * 1'664'525 + 1'013'904'223;
		bytes[i] = (uint8_t)(x >> 24);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct cdc_dec *d = NULL;
		CHECK_EQ(cdc_dec_new(str_c(names[i]), 8'000, 1, &d), OK);
		out[CDC_DEC_MAX] = 12'345;
		CHECK_EQ(cdc_dec_put(d, bytes, 0, out), 0);
		for (size_t n = 1; n < sizeof(bytes); n = n * 5 / 4 + 1)
			CHECK(cdc_dec_put(d, bytes, n, out) <= CDC_DEC_MAX);
		CHECK_EQ(out[CDC_DEC_MAX], 12'345);
		cdc_dec_free(d);
	}
}
