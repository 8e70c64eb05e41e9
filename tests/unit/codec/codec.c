/* G.711 against the values of the standard and its own properties. [ITU-T G.711] */

#include "codec/codec.h"

#include "test.h"

#include <stdlib.h>

TEST(ulaw_known_values)
{
	CHECK_EQ(cdc_ulaw_to(0xff), 0);
	CHECK_EQ(cdc_ulaw_to(0x7f), 0);
	CHECK_EQ(cdc_ulaw_to(0x80), 32124);
	CHECK_EQ(cdc_ulaw_to(0x00), -32124);
	CHECK_EQ(cdc_ulaw_to(0xfe), 8);
	CHECK_EQ(cdc_ulaw_to(0x8f), 16764);
	CHECK_EQ(cdc_ulaw_of(0), 0xff);
	CHECK_EQ(cdc_ulaw_of(32767), 0x80);
	CHECK_EQ(cdc_ulaw_of(-32768), 0x00);
}

TEST(alaw_known_values)
{
	CHECK_EQ(cdc_alaw_to(0xd5), 8);
	CHECK_EQ(cdc_alaw_to(0x55), -8);
	CHECK_EQ(cdc_alaw_to(0xaa), 32256);
	CHECK_EQ(cdc_alaw_to(0x2a), -32256);
	CHECK_EQ(cdc_alaw_to(0xc5), 264);
	CHECK_EQ(cdc_alaw_of(0), 0xd5);
	CHECK_EQ(cdc_alaw_of(-1), 0x55);
	CHECK_EQ(cdc_alaw_of(32767), 0xaa);
	CHECK_EQ(cdc_alaw_of(-32768), 0x2a);
}

/* Every code survives; its value is the middle of the samples that get it (but for the outermost
 * codes, which take all that is beyond, and µ-law's zero); larger samples never get smaller values.
 */
static void check_codec(uint8_t (*of)(int16_t), int16_t (*to)(uint8_t), bool is_ulaw)
{
	static int lo[256], hi[256];
	for (int c = 0; c < 256; c++) {
		CHECK(of(to((uint8_t)c)) == c || (is_ulaw && c == 0x7f));
		lo[c] = 99999;
		hi[c] = -99999;
	}
	for (int s = -32768; s <= 32767; s++) {
		int c = of((int16_t)s);
		lo[c] = s < lo[c] ? s : lo[c];
		hi[c] = s > hi[c] ? s : hi[c];
		if (s > -32768)
			CHECK(to((uint8_t)c) >= to(of((int16_t)(s - 1))));
	}
	for (int c = 0; c < 256; c++) {
		int v = to((uint8_t)c);
		bool is_outer = abs(v) > 32000, is_zero = v == 0;
		CHECK(lo[c] <= hi[c]);
		if (!is_outer && !is_zero)
			CHECK(abs(lo[c] + hi[c] - 2 * v) <= 1);
	}
}

TEST(ulaw_is_middle)
{
	check_codec(cdc_ulaw_of, cdc_ulaw_to, true);
}

TEST(alaw_is_middle)
{
	check_codec(cdc_alaw_of, cdc_alaw_to, false);
}

TEST(table)
{
	CHECK_EQ(cdc_find(STR("pcmu"), 8000, 1), CDC_PCMU);
	CHECK_EQ(cdc_find(STR("PCMA"), 8000, 1), CDC_PCMA);
	CHECK_EQ(cdc_find(STR("PCMA"), 16000, 1), CDC_NONE);
	CHECK_EQ(cdc_find(STR("PCMA"), 8000, 2), CDC_NONE);
	CHECK_EQ(cdc_find(STR("G729"), 8000, 1), CDC_NONE);
	CHECK_EQ(cdc_find(STR_NONE, 8000, 1), CDC_NONE);
	CHECK(cdc_info(CDC_NONE) == NULL && cdc_info(CDC__N) == NULL);
	for (int i = 1; i < CDC__N; i++) {
		const struct cdc_info *c = cdc_info((enum cdc_id)i);
		int16_t pcm[2] = {0, 0};
		uint8_t code[2];
		CHECK_EQ(c->id, i);
		CHECK_EQ(cdc_encode(c->id, pcm, 2, code), 2);
		CHECK(code[0] == c->silence && code[1] == c->silence);
		CHECK_EQ(cdc_decode(c->id, code, 2, pcm), 2);
		CHECK(abs(pcm[1]) <= 8);
	}
	CHECK_EQ(cdc_encode(CDC_NONE, NULL, 5, NULL), 0);
	CHECK_EQ(cdc_decode(CDC_NONE, NULL, 5, NULL), 0);
}
