/* One row per encoding: what its state is, and how a payload becomes samples.
 *
 * spandsp has G.722, G.726 and GSM 06.10; libopus has Opus; G.711 and L16 are ours. The state of
 * those libraries is allocated by them and freed with the decoder.
 *
 * G.726 is packed in two ways: RFC 3551 puts the first sample into the lowest bits of a byte
 * (G726-32), ITU-T I.366.2 into the highest (AAL2-G726-32). G.722 is called a clock of 8,000 Hz by
 * a mistake that became the rule; it gives 16,000 samples. [RFC3551 4.5.2 4.5.4 4.5.8 4.5.11]
 * [RFC7587]
 *
 * Invariant: no input, however long, makes more than CDC_DEC_MAX samples: it is cut to what gives
 * as many before it is decoded.
 */
#include "codec/decoder.h"

#include "codec/codec.h"

#include <opus/opus.h>
#include <spandsp.h>
#include <stdlib.h>

enum kind { ULAW, ALAW, G722, G726, GSM, L16, OPUS };

static const struct row {
	const char *name;
	enum kind kind;
	uint32_t bit_rate; /* G.726 */
	int packing;       /* G.726 */
} table[] = {
	{"PCMU",         ULAW, 0,      0                 },
	{"PCMA",         ALAW, 0,      0                 },
	{"G722",         G722, 0,      0                 },
	{"GSM",          GSM,  0,      0                 },
	{"L16",          L16,  0,      0                 },
	{"opus",         OPUS, 0,      0                 },
	{"G721",         G726, 32'000, G726_PACKING_RIGHT},
	{"G726-16",      G726, 16'000, G726_PACKING_RIGHT},
	{"G726-24",      G726, 24'000, G726_PACKING_RIGHT},
	{"G726-32",      G726, 32'000, G726_PACKING_RIGHT},
	{"G726-40",      G726, 40'000, G726_PACKING_RIGHT},
	{"AAL2-G726-16", G726, 16'000, G726_PACKING_LEFT },
	{"AAL2-G726-24", G726, 24'000, G726_PACKING_LEFT },
	{"AAL2-G726-32", G726, 32'000, G726_PACKING_LEFT },
	{"AAL2-G726-40", G726, 40'000, G726_PACKING_LEFT },
};

struct cdc_dec {
	const struct row *row;
	uint32_t rate;
	unsigned channels;
	union {
		g722_decode_state_t *g722;
		g726_state_t *g726;
		gsm0610_state_t *gsm;
		OpusDecoder *opus;
		void *any;
	};
};

static const struct row *find(struct str name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (str_ieq(name, str_c(table[i].name)))
			return &table[i];
	return NULL;
}

static bool open_state(struct cdc_dec *d)
{
	int problem;
	switch (d->row->kind) {
	case G722:
		d->rate = 16'000;
		d->g722 = g722_decode_init(NULL, 64'000, 0);
		break;
	case G726:
		d->g726 = g726_init(NULL, (int)d->row->bit_rate, G726_ENCODING_LINEAR,
				    d->row->packing);
		break;
	case GSM:
		d->gsm = gsm0610_init(NULL, GSM0610_PACKING_VOIP);
		break;
	case OPUS:
		d->rate = 48'000;
		d->opus = opus_decoder_create(48'000, 1, &problem);
		break;
	default:
		return true;
	}
	return d->any;
}

enum err cdc_dec_new(struct str name, uint32_t clock, unsigned channels, struct cdc_dec **out)
{
	const struct row *row = find(name);
	if (!row || (row->kind == L16 && (clock < 4'000 || clock > 192'000 || channels > 8)))
		return ERR_UNSUPPORTED;
	struct cdc_dec *d = calloc(1, sizeof(*d));
	if (!d)
		return ERR_NOMEM;
	d->row = row;
	d->rate = row->kind == L16 ? clock : 8'000;
	d->channels = channels ? channels : 1;
	if (!open_state(d)) {
		free(d);
		return ERR_NOMEM;
	}
	*out = d;
	return OK;
}

void cdc_dec_free(struct cdc_dec *d)
{
	if (!d)
		return;
	switch (d->row->kind) {
	case G722:
		g722_decode_free(d->g722);
		break;
	case G726:
		g726_free(d->g726);
		break;
	case GSM:
		gsm0610_free(d->gsm);
		break;
	case OPUS:
		opus_decoder_destroy(d->opus);
		break;
	default:
		break;
	}
	free(d);
}

uint32_t cdc_dec_rate(const struct cdc_dec *d)
{
	return d->rate;
}

static size_t at_most(size_t n, size_t max)
{
	return n < max ? n : max;
}

/* Channels are mixed. */
static size_t put_l16(const struct cdc_dec *d, const uint8_t *in, size_t n, int16_t *out)
{
	size_t frames = at_most(n / (2 * d->channels), CDC_DEC_MAX);
	for (size_t i = 0; i < frames; i++) {
		int sum = 0;
		for (unsigned c = 0; c < d->channels; c++, in += 2)
			sum += (int16_t)(in[0] << 8 | in[1]);
		out[i] = (int16_t)(sum / (int)d->channels);
	}
	return frames;
}

size_t cdc_dec_put(struct cdc_dec *d, const uint8_t *in, size_t n, int16_t *out)
{
	int got = 0;
	if (!n)
		return 0;
	switch (d->row->kind) {
	case ULAW:
		return cdc_decode(CDC_PCMU, in, at_most(n, CDC_DEC_MAX), out);
	case ALAW:
		return cdc_decode(CDC_PCMA, in, at_most(n, CDC_DEC_MAX), out);
	case L16:
		return put_l16(d, in, n, out);
	case G722: /* a byte gives two samples */
		got = g722_decode(d->g722, out, in, (int)at_most(n, CDC_DEC_MAX / 2));
		break;
	case G726: /* a byte gives four samples at most */
		got = g726_decode(d->g726, out, in, (int)at_most(n, CDC_DEC_MAX / 4 - 1));
		break;
	case GSM: /* frames of 33 bytes give 160 samples */
		n = at_most(n / 33, CDC_DEC_MAX / 160) * 33;
		got = n ? gsm0610_decode(d->gsm, out, in, (int)n) : 0;
		break;
	case OPUS:
		got = opus_decode(d->opus, in, (int)at_most(n, 65'535), out, CDC_DEC_MAX, 0);
		break;
	}
	return got > 0 ? (size_t)got : 0;
}
