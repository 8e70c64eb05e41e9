/* Audio of a call.
 *
 *	frame ─► its stream ─► [SRTP opened] ─► decoder of the stream and payload type ─► track
 *	two tracks, each at the rate of its decoder ─► brought to the higher rate ─► WAV
 *
 * A track is what one side received, on a common time line that begins with the first packet of
 * either. A packet is put where its timestamp says: the first of a stream at its time of arrival,
 * the next ones relative to it, so that jitter does not become clicks and lost packets become
 * silence of the right length. When timestamps and arrival part by more than RESYNC_US (a hold, a
 * new source, a clock without relation), the stream is placed by arrival anew. No packet is thrown
 * away for being late: this is what was on the wire, not what a telephone made of it.
 *
 * Comfort noise and telephone events are silence here: neither carries what was said.
 *
 * Bringing to another rate: a windowed sinc of 2 * TAPS points, cut off at the lower Nyquist rate;
 * its passband is flat to 0.1 dB up to 0.9 of that.
 *
 * Invariants: a track has one rate, that of its first decoder; what comes at another (a codec
 *change from G.711 to G.722) is brought to it packet by packet. At most MAX_SECONDS are kept.
 *
 * [RFC3550 5.1] [RFC3551 4] [RFC3389] [RFC7587 4]
 */
#include "scope/wav.h"

#include "codec/decoder.h"
#include "sdp/sdp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SECONDS 14'400u
#define RESYNC_US   300'000
#define MAX_VOICES  64 /* streams times codecs of a call */
#define MAX_PACKET  65'535
#define TAPS        16
#define MAX_KERNEL  1'000'000
#define CHUNK       512 /* samples of each channel at a time */
#define WAV_HEAD    44
#define MAX_BYTES   0xffffff00u

struct voice { /* one stream with one codec */
	const struct trk_stream *stream;
	uint8_t pt;
	struct cdc_dec *dec; /* NULL: not decoded here */
	uint32_t clock, last_ts;
	int64_t base_us; /* where on the time line the timestamp last_ts stands */
	bool is_placed;
};

struct track {
	int16_t *v;
	size_t n, cap;
	uint32_t rate; /* 0: nothing yet */
	struct wav_side side;
};

struct kernel { /* of a windowed sinc, for one ratio of rates */
	unsigned up, down, reach;
	float *v;
};

struct wav {
	uint32_t no;
	bool is_started;
	int64_t start_us;
	unsigned n_voices;
	struct voice voices[MAX_VOICES];
	struct track tracks[2]; /* by enum trk_side that receives */
	struct kernel kernel;   /* the one used last */
	uint8_t clear[MAX_PACKET];
	int16_t samples[CDC_DEC_MAX];
};

struct wav *wav_new(uint32_t no)
{
	struct wav *w = calloc(1, sizeof(*w));
	if (w)
		w->no = no;
	return w;
}

void wav_free(struct wav *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < w->n_voices; i++)
		cdc_dec_free(w->voices[i].dec);
	free(w->tracks[0].v);
	free(w->tracks[1].v);
	free(w->kernel.v);
	free(w);
}

/* --- packets ---------------------------------------------------------------------------------- */

static void name_codec(struct wav_side *side, const char *codec)
{
	struct str have = str_c(side->codecs), name = str_c(codec[0] ? codec : "?");
	if (str_find(have, name) != SIZE_MAX)
		return;
	struct buf b;
	buf_init_fixed(&b, side->codecs, sizeof(side->codecs) - 1);
	b.n = have.n;
	buf_str(&b, have.n ? STR(", ") : STR_NONE);
	buf_plain(&b, name);
	side->codecs[b.err ? have.n : b.n] = 0;
}

static void complain(struct wav_side *side, const struct trk_stream *s, const char *problem)
{
	side->n_bad++;
	if (side->problem)
		return;
	side->problem = problem;
	str_copy(side->codec, sizeof(side->codec), str_c(s->codec));
}

static struct voice *voice_of(struct wav *w, const struct trk_stream *s)
{
	for (unsigned i = 0; i < w->n_voices; i++)
		if (w->voices[i].stream == s && w->voices[i].pt == s->pt)
			return &w->voices[i];
	if (w->n_voices == MAX_VOICES)
		return NULL;
	struct voice *v = &w->voices[w->n_voices];
	*v = (struct voice){.stream = s, .pt = s->pt, .clock = s->stats.clock};
	enum err e = cdc_dec_new(str_c(s->codec), s->stats.clock, s->channels, &v->dec);
	if (e == ERR_NOMEM)
		return NULL;
	w->n_voices++;
	name_codec(&w->tracks[s->side].side, s->codec);
	return v;
}

/* Where on the time line a packet stands, µs. */
static int64_t place(struct wav *w, struct voice *v, uint32_t ts, uint64_t at_us)
{
	int64_t arrival = (int64_t)at_us - w->start_us;
	int64_t step = (int64_t)(int32_t)(ts - v->last_ts) * 1'000'000 / v->clock;
	int64_t at = v->base_us + step;
	if (!v->is_placed || llabs(arrival - at) > RESYNC_US)
		at = arrival;
	v->is_placed = true;
	v->base_us = at;
	v->last_ts = ts;
	return at;
}

static enum err room_for(struct track *t, size_t n)
{
	if (n > (size_t)MAX_SECONDS * t->rate)
		return ERR_LIMIT;
	if (n <= t->cap)
		return OK;
	size_t cap = t->cap ? t->cap : 65'536;
	while (cap < n)
		cap *= 2;
	int16_t *v = realloc(t->v, cap * sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	memset(v + t->cap, 0, (cap - t->cap) * sizeof(*v));
	t->v = v;
	t->cap = cap;
	return OK;
}

static unsigned gcd(unsigned a, unsigned b)
{
	while (b) {
		unsigned r = a % b;
		a = b;
		b = r;
	}
	return a;
}

/* The kernel for one ratio: a row of 2 * reach points for each phase. False without memory. */
static bool kernel_make(struct kernel *k, uint32_t from, uint32_t to)
{
	unsigned step = gcd(from, to);
	if (k->v && k->up == to / step && k->down == from / step)
		return true;
	double cut = to < from ? (double)to / from : 1;
	unsigned reach = (unsigned)(TAPS / cut);
	if ((uint64_t)reach * (to / step) > MAX_KERNEL)
		return false;
	float *v = calloc((size_t)2 * reach * (to / step), sizeof(*v));
	if (!v)
		return false;
	free(k->v);
	*k = (struct kernel){.up = to / step, .down = from / step, .reach = reach, .v = v};
	for (unsigned phase = 0; phase < k->up; phase++)
		for (unsigned i = 0; i < 2 * reach; i++) {
			double x = (double)phase / k->up - ((double)i - reach + 1);
			double a = M_PI * x * cut, sinc = fabs(a) < 1e-9 ? 1 : sin(a) / a;
			double window = fabs(x) >= reach ? 0 : 0.5 + 0.5 * cos(M_PI * x / reach);
			*v++ = (float)(sinc * window * cut);
		}
	return true;
}

static int16_t clip(double x)
{
	return (int16_t)(x > 32'767 ? 32'767 : x < -32'768 ? -32'768 : lrint(x));
}

/* Sample i of what v becomes at the kernel's new rate; with no kernel, at its own. */
static int16_t resample(const struct kernel *k, const int16_t *v, size_t n, uint64_t i)
{
	if (!k)
		return i < n ? v[i] : 0;
	uint64_t at = i * k->down;
	int64_t first = (int64_t)(at / k->up) - k->reach + 1;
	const float *w = k->v + at % k->up * 2 * k->reach;
	float sum = 0;
	if (first >= (int64_t)n)
		return 0;
	for (int64_t j = 0; j < 2 * (int64_t)k->reach; j++)
		if (first + j >= 0 && first + j < (int64_t)n)
			sum += w[j] * v[first + j];
	return clip(sum);
}

static enum err put_samples(struct wav *w, struct track *t, int64_t at_us, size_t n, uint32_t rate)
{
	if (!t->rate)
		t->rate = rate;
	const struct kernel *k = rate == t->rate ? NULL : &w->kernel;
	if (k && !kernel_make(&w->kernel, rate, t->rate))
		return ERR_NOMEM;
	size_t n_out = n * t->rate / rate;
	int64_t at = (at_us * t->rate + 500'000) / 1'000'000;
	if (at < 0)
		return OK;
	enum err e = room_for(t, (size_t)at + n_out);
	if (e)
		return e;
	for (size_t i = 0; i < n_out; i++)
		t->v[(size_t)at + i] = resample(k, w->samples, n, i);
	if (t->n < (size_t)at + n_out)
		t->n = (size_t)at + n_out;
	t->side.seconds = (double)t->n / t->rate;
	return OK;
}

/* The payload in the clear; p NULL when it is not to be had. */
static struct str clear_payload(struct wav *w, struct trk_stream *s, const struct cap_frame *fr)
{
	struct rtp_hdr h;
	size_t n;
	if (s->crypt == TRK_PLAIN)
		return fr->rtp.payload;
	if (fr->pkt.n > MAX_PACKET ||
	    trk_stream_open(s, str_of((const char *)fr->pkt.p, fr->pkt.n), fr->rtp.seq, w->clear,
			    &n) ||
	    rtp_parse(w->clear, n, &h))
		return STR_NONE;
	return h.payload;
}

/* Seen before on another leg: a relay sent it on. */
static bool is_second_leg(const struct trk_stream *s)
{
	for (const struct trk_stream *x = trk_av(s->call)->streams; x; x = x->next)
		if (x->ssrc == s->ssrc && x->side == s->side && x->no < s->no)
			return true;
	return false;
}

static bool is_wanted(const struct wav *w, const struct cap_frame *fr)
{
	const struct trk_stream *s = fr->stream;
	return fr->media == RTP_RTP && s && s->call && s->call->no == w->no &&
	       s->media == SDP_AUDIO && fr->rtp.pt == s->pt && !is_second_leg(s);
}

enum err wav_add(struct wav *w, const struct cap_frame *fr)
{
	struct trk_stream *s = fr->stream;
	if (!is_wanted(w, fr))
		return OK;
	struct track *t = &w->tracks[s->side];
	uint64_t at_us = (uint64_t)(fr->rec.at_ns / 1'000);
	if (!w->is_started) {
		w->is_started = true;
		w->start_us = (int64_t)at_us;
	}
	struct voice *v = voice_of(w, s);
	if (!v)
		return ERR_NOMEM;
	int64_t where = place(w, v, fr->rtp.ts, at_us);
	if (s->crypt == TRK_DTLS) {
		complain(&t->side, s, "it is encrypted with a key agreed on by DTLS");
		return OK;
	}
	if (!v->dec) {
		complain(&t->side, s, "its codec is not one that is decoded here");
		return OK;
	}
	struct str payload = clear_payload(w, s, fr);
	if (!payload.p) {
		complain(&t->side, s, "no key in the SDP opens it");
		return OK;
	}
	size_t n = cdc_dec_put(v->dec, (const uint8_t *)payload.p, payload.n, w->samples);
	t->side.n_packets += n > 0;
	return n ? put_samples(w, t, where, n, cdc_dec_rate(v->dec)) : OK;
}

/* --- the file --------------------------------------------------------------------------------- */

const struct wav_side *wav_side(const struct wav *w, enum trk_side receiver)
{
	return &w->tracks[receiver].side;
}

uint32_t wav_rate(const struct wav *w)
{
	return w->tracks[0].rate > w->tracks[1].rate ? w->tracks[0].rate : w->tracks[1].rate;
}

uint64_t wav_length(const struct wav *w)
{
	uint64_t most = 0;
	for (int i = 0; i < 2; i++) {
		const struct track *t = &w->tracks[i];
		uint64_t n = t->rate ? (uint64_t)t->n * wav_rate(w) / t->rate : 0;
		most = n > most ? n : most;
	}
	return most;
}

static void put_le(uint8_t *p, uint32_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

static void head(uint8_t h[WAV_HEAD], unsigned channels, uint32_t rate, uint32_t bytes)
{
	memset(h, 0, WAV_HEAD);
	memcpy(h, "RIFF", 4);
	put_le(h + 4, bytes + WAV_HEAD - 8, 4);
	memcpy(h + 8, "WAVEfmt ", 8);
	put_le(h + 16, 16, 4);
	put_le(h + 20, 1, 2); /* linear */
	put_le(h + 22, channels, 2);
	put_le(h + 24, rate, 4);
	put_le(h + 28, rate * 2 * channels, 4);
	put_le(h + 32, 2 * channels, 2);
	put_le(h + 34, 16, 2);
	memcpy(h + 36, "data", 4);
	put_le(h + 40, bytes, 4);
}

/* The tracks as channels of a file. */
static enum err put_file(struct wav *w, const struct track *const *sides, unsigned channels,
			 uint32_t rate, uint64_t length, wav_write_fn *write, void *arg)
{
	uint8_t out[CHUNK * 4];
	const struct kernel *k[2] = {NULL, NULL};
	if (!length)
		return ERR_NOTFOUND;
	if (length > MAX_BYTES / 4)
		return ERR_LIMIT;
	head(out, channels, rate, (uint32_t)length * 2 * channels);
	if (!write(arg, out, WAV_HEAD))
		return ERR_IO;
	for (unsigned c = 0; c < channels; c++) /* at most one is not at the rate of the file */
		if (sides[c]->rate && sides[c]->rate != rate) {
			if (!kernel_make(&w->kernel, sides[c]->rate, rate))
				return ERR_NOMEM;
			k[c] = &w->kernel;
		}
	for (uint64_t at = 0; at < length; at += CHUNK) {
		unsigned n = (unsigned)(length - at < CHUNK ? length - at : CHUNK);
		uint8_t *p = out;
		for (unsigned i = 0; i < n; i++)
			for (unsigned c = 0; c < channels; c++, p += 2) {
				int16_t v = resample(k[c], sides[c]->v, sides[c]->n, at + i);
				put_le(p, (uint16_t)v, 2);
			}
		if (!write(arg, out, (size_t)(p - out)))
			return ERR_IO;
	}
	return OK;
}

enum err wav_put(struct wav *w, wav_write_fn *write, void *arg)
{
	/* what the caller said is what the callee received */
	const struct track *sides[] = {&w->tracks[TRK_SIDE_CALLEE], &w->tracks[TRK_SIDE_CALLER]};
	return put_file(w, sides, 2, wav_rate(w), wav_length(w), write, arg);
}

enum err wav_put_side(struct wav *w, enum trk_side receiver, uint32_t max_rate, wav_write_fn *write,
		      void *arg)
{
	const struct track *t = &w->tracks[receiver];
	uint32_t rate = t->rate < max_rate ? t->rate : max_rate;
	uint64_t length = t->rate ? (uint64_t)t->n * rate / t->rate : 0;
	return put_file(w, &t, 1, rate, length, write, arg);
}
