/* WebSocket framing, read only. A frame is {FIN RSV opcode, MASK length, [mask], payload}; a client
 * masks what it sends, a server does not. Messages may be split into a first frame and
 * continuations, with control frames between. Compressed frames (RSV1, RFC 7692) are skipped: what
 * is in them cannot be read without the whole history of the connection.
 *
 * Invariant: nothing is unmasked twice: unmasking happens only when the whole frame is there and
 * its bytes are consumed in the same call.
 */
#include "capture/cap_ws.h"

#include "capture/cap_tcp.h"

#include <string.h>

#define MAX_MESSAGE (1u << 20)

enum { OP_CONT = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PONG = 10 };

struct ws_head {
	unsigned op;
	bool is_fin, is_compressed, is_masked;
	size_t hdr;
	uint64_t n;
	uint8_t mask[4];
};

/* CAP_YES: head is read; CAP_MAYBE: more bytes are needed; CAP_NO: not a frame. */
static enum cap_start read_head(const uint8_t *p, size_t n, struct ws_head *h)
{
	if (n < 2)
		return CAP_MAYBE;
	*h = (struct ws_head){.op = p[0] & 15,
			      .is_fin = p[0] & 0x80,
			      .is_compressed = p[0] & 0x40,
			      .is_masked = p[1] & 0x80,
			      .hdr = 2,
			      .n = p[1] & 0x7f};
	bool is_control = h->op >= OP_CLOSE;
	if ((p[0] & 0x30) || (h->op > OP_BINARY && !is_control) || h->op > OP_PONG ||
	    (is_control && (!h->is_fin || h->n > 125)))
		return CAP_NO;
	size_t wide = h->n == 126 ? 2 : h->n == 127 ? 8 : 0;
	if (n < 2 + wide + (h->is_masked ? 4 : 0))
		return CAP_MAYBE;
	if (wide) {
		h->n = 0;
		for (size_t i = 0; i < wide; i++)
			h->n = h->n << 8 | p[2 + i];
		h->hdr += wide;
	}
	if (h->is_masked) {
		memcpy(h->mask, p + h->hdr, 4);
		h->hdr += 4;
	}
	return h->n > MAX_MESSAGE ? CAP_NO : CAP_YES;
}

void cap_ws_init(struct cap_ws *w)
{
	buf_init(&w->joined);
	w->is_joining = false;
}

void cap_ws_fini(struct cap_ws *w)
{
	buf_fini(&w->joined);
}

/* A data frame with its payload, unmasked. */
static enum cap_ws_event on_data(struct cap_ws *w, const struct ws_head *h, struct str body,
				 struct str *msg)
{
	if (h->op != OP_CONT) {
		buf_clear(&w->joined);
		w->is_joining = !h->is_fin && !h->is_compressed;
		if (h->is_fin && !h->is_compressed) {
			*msg = body;
			return CAP_WS_MESSAGE;
		}
	}
	if (!w->is_joining)
		return CAP_WS_SKIP;
	if (w->joined.n + body.n > MAX_MESSAGE)
		return CAP_WS_ERROR;
	buf_str(&w->joined, body);
	if (!h->is_fin)
		return CAP_WS_SKIP;
	w->is_joining = false;
	if (w->joined.err)
		return CAP_WS_SKIP;
	*msg = buf_view(&w->joined);
	return CAP_WS_MESSAGE;
}

enum cap_ws_event cap_ws_next(struct cap_ws *w, uint8_t *p, size_t n, size_t *used, struct str *msg)
{
	struct ws_head h;
	enum cap_start s = read_head(p, n, &h);
	if (s != CAP_YES)
		return s == CAP_NO ? CAP_WS_ERROR : CAP_WS_MORE;
	if (n - h.hdr < h.n)
		return CAP_WS_MORE;
	*used = h.hdr + (size_t)h.n;
	if (h.op >= OP_CLOSE)
		return CAP_WS_SKIP;
	uint8_t *body = p + h.hdr;
	if (h.is_masked)
		for (size_t i = 0; i < h.n; i++)
			body[i] ^= h.mask[i & 3];
	return on_data(w, &h, str_of((const char *)body, (size_t)h.n), msg);
}

bool cap_ws_looks_like_sip(const uint8_t *p, size_t n)
{
	struct ws_head h;
	uint8_t start[64];
	if (read_head(p, n, &h) != CAP_YES || (h.op != OP_TEXT && h.op != OP_BINARY) ||
	    h.is_compressed || n - h.hdr < 16)
		return false;
	size_t m = n - h.hdr < sizeof start ? n - h.hdr : sizeof start;
	for (size_t i = 0; i < m; i++)
		start[i] = h.is_masked ? (uint8_t)(p[h.hdr + i] ^ h.mask[i & 3]) : p[h.hdr + i];
	return cap_sip_start(start, m) != CAP_NO;
}
