#pragma once
/* Audio codecs as pure functions: samples are linear 16-bit, mono unless said otherwise. */

#include "base/str.h"

enum cdc_id { CDC_NONE = 0, CDC_PCMU, CDC_PCMA, CDC__N };

struct cdc_info {
	enum cdc_id id;
	const char *name; /* encoding name of rtpmap */
	uint8_t pt;       /* static payload type, 255 = dynamic */
	uint8_t channels;
	uint32_t clock;  /* Hz of the RTP timestamps */
	uint32_t rate;   /* samples per second */
	uint8_t silence; /* the payload byte of silence */
};
const struct cdc_info *cdc_info(enum cdc_id id); /* NULL for CDC_NONE */
/* By rtpmap name (any case), clock and channels; CDC_NONE when we do not have it. */
enum cdc_id cdc_find(struct str name, uint32_t clock, unsigned channels);

/* G.711 [ITU-T G.711] [RFC3551 4.5.14]. One byte per sample. */
uint8_t cdc_ulaw_of(int16_t sample);
int16_t cdc_ulaw_to(uint8_t code);
uint8_t cdc_alaw_of(int16_t sample);
int16_t cdc_alaw_to(uint8_t code);
/* n samples; return bytes written, samples written. 0 for CDC_NONE. */
size_t cdc_encode(enum cdc_id id, const int16_t *in, size_t n, uint8_t *out);
size_t cdc_decode(enum cdc_id id, const uint8_t *in, size_t n, int16_t *out);
