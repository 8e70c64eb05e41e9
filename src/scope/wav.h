#pragma once
/* The audio of one call out of a capture: one track for what each side received. Read twice: the
 * tracker has seen the capture to its end before, and knows the call; packets are then taken from a
 * second walk over the same capture. */

#include "capture/cap_walk.h"

struct wav;
/* no: the call's number; a second tracker gives it the same one. NULL without memory. */
struct wav *wav_new(uint32_t no);
void wav_free(struct wav *w);
/* A frame of the second walk. ERR_NOMEM, or ERR_LIMIT: longer than can be kept. */
enum err wav_add(struct wav *w, const struct cap_frame *fr);

struct wav_side {                  /* what came of one direction */
	uint32_t n_packets, n_bad; /* decoded; not decodable or not decryptable */
	char codecs[64];           /* "PCMU, opus" */
	const char *problem; /* "its codec G729 is not one that is decoded here" ..., or NULL */
	char codec[16];      /* that it is about */
	double seconds;
};
const struct wav_side *wav_side(const struct wav *w, enum trk_side receiver);
/* Samples per second, and samples of each channel, that the file will have; 0: no audio. */
uint32_t wav_rate(const struct wav *w);
uint64_t wav_length(const struct wav *w);

typedef bool wav_write_fn(void *arg, const void *p, size_t n);
/* Hands the file, from its header on, to `write` piece by piece: 16 bits, two channels; left what
 * the caller said (the callee received), right what the callee said. Each packet stands where its
 * timestamp says. ERR_NOTFOUND: no audio. ERR_IO: write said no. */
enum err wav_put(struct wav *w, wav_write_fn *write, void *arg);
/* The same of one direction alone: one channel, on the same time line as the other direction, at no
 * more than max_rate samples per second. */
enum err wav_put_side(struct wav *w, enum trk_side receiver, uint32_t max_rate, wav_write_fn *write,
		      void *arg);
