/* spandsp, for calls in G.722, G.726 or GSM that are made audible (decoder.c). */
#include "base/late.h"

#include <spandsp.h>

/* clang-format off */
LATE(SPANDSP_SO, g722_decode_state_t *, g722_decode_init, (g722_decode_state_t *s, int rate, int options), (s, rate, options))
LATE(SPANDSP_SO, int,                   g722_decode,      (g722_decode_state_t *s, int16_t *pcm, const uint8_t *in, int n), (s, pcm, in, n))
LATE(SPANDSP_SO, int,                   g722_decode_free, (g722_decode_state_t *s), (s))
LATE(SPANDSP_SO, g726_state_t *,        g726_init,        (g726_state_t *s, int rate, int outer, int packing), (s, rate, outer, packing))
LATE(SPANDSP_SO, int,                   g726_decode,      (g726_state_t *s, int16_t *pcm, const uint8_t *in, int n), (s, pcm, in, n))
LATE(SPANDSP_SO, int,                   g726_free,        (g726_state_t *s), (s))
LATE(SPANDSP_SO, gsm0610_state_t *,     gsm0610_init,     (gsm0610_state_t *s, int packing), (s, packing))
LATE(SPANDSP_SO, int,                   gsm0610_decode,   (gsm0610_state_t *s, int16_t *pcm, const uint8_t *in, int n), (s, pcm, in, n))
LATE(SPANDSP_SO, int,                   gsm0610_free,     (gsm0610_state_t *s), (s))
