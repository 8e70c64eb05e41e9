/* SIP framing: however the bytes are cut into pieces, the same units come out; and what is framed
 * as a message is, to the index, exactly one message of that length. */

#include "wire/frame.h"

#include "base/assert.h"
#include "sip/msg.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 20'000

struct unit {
	size_t start, len;
	enum wire_event ev;
};

/* Frames all of p in pieces whose sizes come from `seed` (0: in one piece). A SKIP and the PING
 * that it was half of are joined, since only there the pieces matter. */
static size_t frame(const char *p, size_t n, uint32_t seed, struct unit *out, size_t cap,
		    struct wire_frame *f)
{
	size_t start = 0, have = 0, n_units = 0;
	wire_frame_init(f, MAX_MESSAGE);
	f->pongs_due = n % 3 == 0;
	while (have < n) {
		seed = seed * 1664525 + 1013904223;
		size_t piece = seed >> 16 & 1 ? 1 : 1 + (seed >> 20) % 64;
		have = seed && have + piece < n ? have + piece : n;
		for (;;) {
			size_t len;
			enum wire_event ev = wire_frame_next(f, p + start, have - start, &len);
			ASSERT(len <= have - start);
			if (ev == WIRE_MORE)
				break;
			struct unit *last = n_units ? &out[n_units - 1] : NULL;
			if (ev == WIRE_PING && len == 2) {
				ASSERT(last && last->ev == WIRE_SKIP && last->len == 2);
				last->ev = WIRE_PING;
				last->len = 4;
			} else if (n_units < cap) {
				out[n_units++] = (struct unit){start, len, ev};
			}
			if (ev == WIRE_ERROR)
				return n_units;
			ASSERT(len > 0);
			start += len;
		}
	}
	return n_units;
}

/* The index is never of another opinion about where a message ends. */
static void check_message(const char *p, size_t n, size_t len)
{
	size_t size = sip_msg_block_size(n), consumed = 0;
	void *block = aligned_alloc(16, (size + 15) & ~(size_t)15);
	ASSERT(block);
	struct sip_msg *m = sip_msg_init(block, size);
	memcpy(m->bytes, p, n);
	enum err e = sip_msg_index(m, n, true, &consumed);
	ASSERT(e != ERR_MORE);
	if (e == OK)
		ASSERT(consumed == len);
	free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct unit a[4096], b[4096];
	struct wire_frame fa, fb;
	const char *p = (const char *)data;
	uint32_t seed = size;
	for (size_t i = 0; i < size; i++)
		seed = seed * 31 + data[i];
	size_t na = frame(p, size, 0, a, 4096, &fa);
	size_t nb = frame(p, size, seed | 1, b, 4096, &fb);
	ASSERT(na == nb);
	for (size_t i = 0; i < na; i++) {
		ASSERT(a[i].start == b[i].start && a[i].len == b[i].len && a[i].ev == b[i].ev);
		if (a[i].ev == WIRE_MESSAGE)
			check_message(p + a[i].start, size - a[i].start, a[i].len);
	}
	ASSERT(fa.error == fb.error && fa.head_n == fb.head_n && fa.want == fb.want);
	return 0;
}
