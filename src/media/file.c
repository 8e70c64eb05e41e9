/* Sound files over libsndfile.
 *
 * Reading: frames are read in blocks, mixed to mono, and resampled to the rate asked for by a
 * windowed sinc: each output sample is the sum of the input around its place, weighted by
 * sinc(x) * Hann(x) that reaches ZEROS zero crossings to each side. When the rate goes down the
 * sinc is stretched, so that it is the low-pass as well. The kernel is a table with linear
 * interpolation; 44.1 kHz to 8 kHz costs about 180 multiplications per sample.
 *
 *	history  [ ....tail of earlier blocks.... | block just read | zeros after the end ]
 *	                 ^ at: place of the next output sample, in input samples
 *
 * A file of the right rate takes the same path without the sinc.
 *
 * Invariants: 1. hist[0..n_hist) are input samples; at >= reach, or the file has just begun and
 * zeros stand before it. 2. After the end of the file zeros follow until the last output sample
 * that lies within the input.
 *
 * Writing collects a second before it goes to disk and brings the header up to date each time.
 *
 * libsndfile blocks on the disk. That is right for the phone, which has one call; the exchange does
 * not use files here. */

#include "media/file.h"

#include "base/assert.h"

#include <math.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>

#define ZEROS    16 /* zero crossings of the kernel to each side */
#define PHASES   64 /* table entries per zero crossing */
#define TABLE    (ZEROS * PHASES + 2)
#define BLOCK    1024 /* frames read at once */
#define CHANNELS 16   /* files with more are refused */
#define RATE_MIN 1'000
#define RATE_MAX 384'000
#define CUTOFF   0.93 /* of the lower Nyquist frequency: the kernel's slope ends below it */

struct md_reader {
	SNDFILE *file;
	unsigned channels;
	bool is_direct, is_at_end;
	double step;  /* input samples per output sample */
	double scale; /* of the kernel's argument: below 1 when the rate goes down */
	double at;    /* in hist */
	size_t reach; /* input samples to each side */
	double end;   /* where the input ends in hist, once is_at_end */
	size_t n_hist, cap;
	float *hist;
	float table[TABLE];
	float block[BLOCK * CHANNELS];
};

static void make_kernel(struct md_reader *r)
{
	for (int i = 0; i < TABLE; i++) {
		double x = (double)i / PHASES;
		double sinc = i ? sin(M_PI * x) / (M_PI * x) : 1;
		double hann = x < ZEROS ? 0.5 + 0.5 * cos(M_PI * x / ZEROS) : 0;
		r->table[i] = (float)(sinc * hann);
	}
}

/* Zeros before the first sample, so that the kernel has something to reach into. */
static void begin(struct md_reader *r)
{
	memset(r->hist, 0, r->reach * sizeof(*r->hist));
	r->n_hist = r->reach;
	r->at = (double)r->reach;
	r->is_at_end = false;
}

enum err md_reader_open(const char *path, uint32_t rate, struct md_reader **out, const char **why)
{
	SF_INFO info = {0};
	struct md_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return ERR_NOMEM;
	enum err e = ERR_IO;
	r->file = sf_open(path, SFM_READ, &info);
	if (!r->file) {
		*why = sf_strerror(NULL);
		goto out;
	}
	e = ERR_UNSUPPORTED;
	if (info.samplerate < RATE_MIN || info.samplerate > RATE_MAX || info.channels < 1 ||
	    info.channels > CHANNELS) {
		*why = "sample rate or number of channels out of range";
		goto out;
	}
	r->channels = (unsigned)info.channels;
	r->step = (double)info.samplerate / rate;
	r->is_direct = (uint32_t)info.samplerate == rate;
	r->scale = (r->step > 1 ? 1 / r->step : 1) * CUTOFF;
	r->reach = r->is_direct ? 0 : (size_t)ceil(ZEROS / r->scale) + 1;
	r->cap = 2 * r->reach + 2 * BLOCK;
	e = ERR_NOMEM;
	r->hist = malloc(r->cap * sizeof(*r->hist));
	if (!r->hist)
		goto out;
	make_kernel(r);
	begin(r);
	*out = r;
	return OK;
out:
	md_reader_close(r);
	return e;
}

void md_reader_close(struct md_reader *r)
{
	if (!r)
		return;
	if (r->file)
		sf_close(r->file);
	free(r->hist);
	free(r);
}

enum err md_reader_rewind(struct md_reader *r)
{
	if (sf_seek(r->file, 0, SEEK_SET) != 0)
		return ERR_IO;
	begin(r);
	return OK;
}

/* One block, mixed to mono, to the end of hist; zeros once the file is at its end. */
static void read_block(struct md_reader *r)
{
	sf_count_t n = r->is_at_end ? 0 : sf_readf_float(r->file, r->block, BLOCK);
	for (sf_count_t i = 0; i < n; i++) {
		float sum = 0;
		for (unsigned c = 0; c < r->channels; c++)
			sum += r->block[(size_t)i * r->channels + c];
		r->hist[r->n_hist++] = sum / (float)r->channels;
	}
	if (n <= 0) {
		if (!r->is_at_end)
			r->end = (double)r->n_hist;
		r->is_at_end = true;
		memset(r->hist + r->n_hist, 0, BLOCK * sizeof(*r->hist));
		r->n_hist += BLOCK;
	}
}

/* Makes hist reach beyond `at`. False: the input is used up. */
static bool fill(struct md_reader *r)
{
	while (!(r->is_at_end && r->at >= r->end) && (size_t)r->at + r->reach + 1 >= r->n_hist) {
		size_t keep_from = (size_t)r->at - r->reach;
		if (r->n_hist + BLOCK > r->cap) {
			r->n_hist -= keep_from;
			memmove(r->hist, r->hist + keep_from, r->n_hist * sizeof(*r->hist));
			r->at -= (double)keep_from;
			r->end -= (double)keep_from;
		}
		ASSERT(r->n_hist + BLOCK <= r->cap);
		read_block(r);
	}
	return !(r->is_at_end && r->at >= r->end);
}

static float kernel_at(const struct md_reader *r, double x)
{
	double place = fabs(x) * PHASES;
	size_t i = (size_t)place;
	if (i + 1 >= TABLE)
		return 0;
	float part = (float)(place - (double)i);
	return r->table[i] + part * (r->table[i + 1] - r->table[i]);
}

static float resampled(const struct md_reader *r)
{
	size_t centre = (size_t)r->at;
	float sum = 0;
	for (size_t i = centre - r->reach; i <= centre + r->reach; i++)
		sum += r->hist[i] * kernel_at(r, ((double)i - r->at) * r->scale);
	return sum * (float)r->scale;
}

size_t md_reader_read(struct md_reader *r, int16_t *pcm, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!fill(r))
			return i;
		float v = r->is_direct ? r->hist[(size_t)r->at] : resampled(r);
		r->at += r->step;
		v = v > 1 ? 1 : v < -1 ? -1 : v;
		pcm[i] = (int16_t)lrintf(v * INT16_MAX);
	}
	return n;
}

/* --- writing -------------------------------------------------------------------------------- */

struct md_writer {
	SNDFILE *file;
	size_t n, cap;
	int16_t pcm[];
};

enum err md_writer_open(const char *path, uint32_t rate, struct md_writer **out, const char **why)
{
	SF_INFO info = {
		.samplerate = (int)rate, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
	struct md_writer *w = malloc(sizeof(*w) + rate * sizeof(w->pcm[0]));
	if (!w)
		return ERR_NOMEM;
	w->n = 0;
	w->cap = rate;
	w->file = sf_open(path, SFM_WRITE, &info);
	if (!w->file) {
		*why = sf_strerror(NULL);
		free(w);
		return ERR_IO;
	}
	*out = w;
	return OK;
}

static enum err flush(struct md_writer *w)
{
	sf_count_t n = (sf_count_t)w->n;
	w->n = 0;
	if (sf_write_short(w->file, w->pcm, n) != n)
		return ERR_IO;
	sf_command(w->file, SFC_UPDATE_HEADER_NOW, NULL, 0);
	return OK;
}

enum err md_writer_put(struct md_writer *w, const int16_t *pcm, size_t n)
{
	while (n) {
		size_t part = n < w->cap - w->n ? n : w->cap - w->n;
		memcpy(w->pcm + w->n, pcm, part * sizeof(*pcm));
		w->n += part;
		pcm += part;
		n -= part;
		if (w->n == w->cap && flush(w))
			return ERR_IO;
	}
	return OK;
}

enum err md_writer_close(struct md_writer *w)
{
	if (!w)
		return OK;
	enum err e = flush(w);
	if (sf_close(w->file) != 0)
		e = ERR_IO;
	free(w);
	return e;
}
