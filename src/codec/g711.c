/* G.711: 8 bits per sample in segments whose steps double [ITU-T G.711].
 *
 * Computed, not looked up: a segment is the position of the highest bit, which the processor finds
 * in one instruction, and a packet of 160 samples costs less than the cache misses of a table
 * would.
 *
 * µ-law adds a bias of 33 (132 in 16 bits) so that segments begin at powers of two; all bits are
 * sent inverted. A-law has a linear first segment, even bits are sent inverted; a negative sample
 * is coded by its one's complement, so that both halves have the same decision values.
 *
 * Decoding gives the middle of the step; so encoding what was decoded gives the same code again,
 * but for µ-law's negative zero (0x7f), which becomes the positive one. */

#include "codec/codec.h"

#define ULAW_BIAS 132
#define ULAW_CLIP 32635
#define ALAW_XOR  0x55

static unsigned top_bit(unsigned v) /* v > 0 */
{
	return 31u - (unsigned)__builtin_clz(v);
}

uint8_t cdc_ulaw_of(int16_t sample)
{
	unsigned sign = sample < 0 ? 0x80 : 0;
	unsigned v = (unsigned)(sample < 0 ? -sample : sample);
	v = (v > ULAW_CLIP ? ULAW_CLIP : v) + ULAW_BIAS;
	unsigned seg = top_bit(v) - 7;
	return (uint8_t) ~(sign | seg << 4 | (v >> (seg + 3) & 0x0f));
}

int16_t cdc_ulaw_to(uint8_t code)
{
	unsigned c = (uint8_t)~code;
	int v = (int)(((c & 0x0f) << 3) + ULAW_BIAS) << (c >> 4 & 7);
	return (int16_t)(c & 0x80 ? ULAW_BIAS - v : v - ULAW_BIAS);
}

uint8_t cdc_alaw_of(int16_t sample)
{
	unsigned sign = sample < 0 ? 0 : 0x80;
	unsigned v = (unsigned)(sample < 0 ? ~sample : sample) >> 4; /* 11 bits */
	unsigned code = v; /* the first two segments are linear */
	if (v >= 32) {
		unsigned seg = top_bit(v) - 3;
		code = seg << 4 | (v >> (seg - 1) & 0x0f);
	}
	return (uint8_t)((sign | code) ^ ALAW_XOR);
}

int16_t cdc_alaw_to(uint8_t code)
{
	unsigned c = code ^ ALAW_XOR, seg = c >> 4 & 7;
	int v = (int)((c & 0x0f) << 4) + 8;
	if (seg > 0)
		v = (v + 256) << (seg - 1);
	return (int16_t)(c & 0x80 ? v : -v);
}
