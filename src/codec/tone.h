#pragma once
/* Tones: a sine generator and Goertzel detectors. Levels are dBm0: a sine of full scale is +3.14
 * dBm0 [ITU-T G.711], so one of 0 dBm0 has an amplitude of 22,827. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdc_tone {             /* a sine, exact in phase for ever */
	uint64_t phase, step; /* turns, 64-bit fraction */
	float amplitude;
};
/* freq_hz 0 gives silence; level_dbm0 is clamped to +3. */
void cdc_tone_init(struct cdc_tone *t, double freq_hz, double level_dbm0, uint32_t rate);
void cdc_tone_add(struct cdc_tone *t, int16_t *samples, size_t n); /* mixed in, saturating */
void cdc_tone_put(struct cdc_tone *t, int16_t *samples, size_t n); /* overwrites */

/* Level of one frequency in a block, and of the whole block, in dBm0 (-99 for nothing). */
double cdc_goertzel_dbm0(const int16_t *samples, size_t n, double freq_hz, uint32_t rate);
double cdc_level_dbm0(const int16_t *samples, size_t n);

/* Finds which tone, if any, dominates each block of 80 ms: one from 100 to 3,800 Hz, above -45
 * dBm0, that carries at least 3/4 of the block's power. Pure tones are measured within +-2 Hz. */
#define CDC_DETECT_BLOCK 640 /* samples at 8 kHz; other rates are not supported */
struct cdc_detect {
	int16_t block[CDC_DETECT_BLOCK];
	size_t n;
	/* of the last full block */
	bool has_tone;
	double freq_hz, level_dbm0, total_dbm0;
	uint64_t blocks;
};
void cdc_detect_init(struct cdc_detect *d);
/* Adds samples; true when at least one block was completed (the last one's result stands in d). */
bool cdc_detect_add(struct cdc_detect *d, const int16_t *samples, size_t n);
