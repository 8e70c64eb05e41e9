/* The table of codecs and the dispatch to them. A codec is known by its rtpmap name, clock and
 * channels; payload types are the business of SDP. Static ones are listed for descriptions that
 * give no rtpmap [RFC3551 6]. */

#include "codec/codec.h"

static const struct cdc_info table[CDC__N] = {
	[CDC_PCMU] = {CDC_PCMU, "PCMU", 0, 1, 8000, 8000, 0xff},
	[CDC_PCMA] = {CDC_PCMA, "PCMA", 8, 1, 8000, 8000, 0xd5},
};

const struct cdc_info *cdc_info(enum cdc_id id)
{
	return id > CDC_NONE && id < CDC__N ? &table[id] : NULL;
}

enum cdc_id cdc_find(struct str name, uint32_t clock, unsigned channels)
{
	for (int i = CDC_NONE + 1; i < CDC__N; i++)
		if (str_ieq(name, str_c(table[i].name)) && clock == table[i].clock &&
		    channels == table[i].channels)
			return (enum cdc_id)i;
	return CDC_NONE;
}

size_t cdc_encode(enum cdc_id id, const int16_t *in, size_t n, uint8_t *out)
{
	switch (id) {
	case CDC_PCMU:
		for (size_t i = 0; i < n; i++)
			out[i] = cdc_ulaw_of(in[i]);
		return n;
	case CDC_PCMA:
		for (size_t i = 0; i < n; i++)
			out[i] = cdc_alaw_of(in[i]);
		return n;
	default:
		return 0;
	}
}

size_t cdc_decode(enum cdc_id id, const uint8_t *in, size_t n, int16_t *out)
{
	switch (id) {
	case CDC_PCMU:
		for (size_t i = 0; i < n; i++)
			out[i] = cdc_ulaw_to(in[i]);
		return n;
	case CDC_PCMA:
		for (size_t i = 0; i < n; i++)
			out[i] = cdc_alaw_to(in[i]);
		return n;
	default:
		return 0;
	}
}
