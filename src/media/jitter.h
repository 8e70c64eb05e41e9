#pragma once
/* Jitter buffer of one stream: samples placed at their timestamps, read by a clock. Private to this
 * folder. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MD_RING 4096 /* samples: 512 ms at 8 kHz */

struct md_jitter {
	int16_t pcm[MD_RING];
	uint64_t filled[MD_RING / 64]; /* bit per sample: a packet brought it */
	bool is_started, is_excused;
	uint32_t play_ts;  /* timestamp of the next sample to be read */
	uint32_t depth;    /* samples between arrival and playing */
	uint32_t slack;    /* samples that a reader takes at once: the clock's grain */
	unsigned late_row; /* packets in a row that came too late */
	/* drift: margins of the packets since window_ts */
	uint32_t window_ts;
	int32_t least, most;
	unsigned in_window;
	/* empty reads since the last that had something */
	unsigned gap;
	uint64_t discarded, concealed;
	uint32_t shifts; /* corrections of drift */
};

void md_jitter_init(struct md_jitter *j, uint32_t depth, uint32_t slack);
/* Forgets all samples; the next packet starts anew. Counters are kept. */
void md_jitter_reset(struct md_jitter *j);
void md_jitter_put(struct md_jitter *j, uint32_t ts, const int16_t *pcm, size_t n);
/* The peer sends something else now (telephone events): the coming gap is no loss. */
void md_jitter_excuse(struct md_jitter *j);
/* Reads n samples, silence where nothing came. */
void md_jitter_get(struct md_jitter *j, int16_t *pcm, size_t n);
