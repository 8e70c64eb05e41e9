#pragma once
/* Decoders with memory, by rtpmap name: what a stream needs to become samples. PCMU, PCMA, G722,
 * G726-16/24/32/40 in both packings, GSM, L16, opus. */

#include "base/err.h"
#include "base/str.h"

struct cdc_dec;
/* The decoder of an encoding name (any case), with the clock and channels of its rtpmap.
 * ERR_UNSUPPORTED: none of ours. */
enum err cdc_dec_new(struct str name, uint32_t clock, unsigned channels, struct cdc_dec **out);
void cdc_dec_free(struct cdc_dec *d);           /* NULL is nothing */
uint32_t cdc_dec_rate(const struct cdc_dec *d); /* samples per second that come out */

#define CDC_DEC_MAX 5'760 /* samples: 120 ms of opus; longer packets are cut */
/* One packet's payload to mono samples, at most CDC_DEC_MAX. 0: it cannot be decoded. */
size_t cdc_dec_put(struct cdc_dec *d, const uint8_t *in, size_t n, int16_t *out);
