/* WebSocket framing. A frame is {FIN RSV opcode, MASK length, [mask], payload}; a client masks what
 * it sends, a server does not. Messages may be split into a first frame and continuations, with
 * control frames between.
 *
 * An end is strict: masks where they belong and only there, no reserved bits (no extension is ever
 * agreed on), no continuation without a beginning, text in UTF-8. A bystander takes masked and
 * unmasked frames alike, deflated ones, too, and skips what it cannot read: a deflated message may
 * refer to one that nobody saw. [RFC7692 7.2.2]
 *
 * Invariants: 1. Nothing is unmasked twice: unmasking happens only when the whole frame is there,
 * and its bytes are consumed in the same call. 2. `joined` never exceeds `max`, and a frame larger
 * than `max` is refused by its head, before its payload is waited for; nothing inflates beyond
 * `max`.
 */
#include "wire/ws.h"

#include <string.h>

#define CONTROL_MAX 125

enum {
	CLOSE_PROTOCOL = 1002,
	CLOSE_NO_UTF8 = 1007,
	CLOSE_TOO_LARGE = 1009,
	CLOSE_NO_MEMORY = 1011
};

/* --- heads ---------------------------------------------------------------------------------- */

static bool is_control(const struct wire_ws_head *h)
{
	return h->op >= WS_CLOSE;
}

enum err wire_ws_head_read(const uint8_t *p, size_t n, struct wire_ws_head *h)
{
	if (n < 2)
		return ERR_MORE;
	unsigned op = p[0] & 15;
	*h = (struct wire_ws_head){.op = (enum wire_ws_op)op,
				   .is_fin = p[0] & 0x80,
				   .is_compressed = p[0] & 0x40,
				   .is_masked = p[1] & 0x80,
				   .n_head = 2,
				   .n = p[1] & 0x7f};
	if ((p[0] & 0x30) || (op > WS_BINARY && op < WS_CLOSE) || op > WS_PONG ||
	    (is_control(h) && (!h->is_fin || h->n > CONTROL_MAX)))
		return ERR_SYNTAX;
	size_t wide = h->n == 126 ? 2 : h->n == 127 ? 8 : 0;
	if (n < 2 + wide + (h->is_masked ? 4 : 0))
		return ERR_MORE;
	if (wide) {
		h->n = 0;
		for (size_t i = 0; i < wide; i++)
			h->n = h->n << 8 | p[2 + i];
		h->n_head += wide;
	}
	if (h->is_masked) {
		memcpy(h->mask, p + h->n_head, 4);
		h->n_head += 4;
	}
	return OK;
}

/* Eight bytes at a time: a message has more than a thousand. [RFC6455 5.3] */
static void apply_mask(uint8_t *p, size_t n, const uint8_t mask[4])
{
	uint64_t both, word;
	memcpy(&both, mask, 4);
	memcpy((char *)&both + 4, mask, 4);
	size_t i = 0;
	for (; i + sizeof(word) <= n; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		word ^= both;
		memcpy(p + i, &word, sizeof(word));
	}
	for (; i < n; i++)
		p[i] ^= mask[i & 3];
}

/* --- reading -------------------------------------------------------------------------------- */

void wire_ws_init(struct wire_ws *w, enum wire_ws_role role, size_t max)
{
	*w = (struct wire_ws){.role = (uint8_t)role, .max = max};
	buf_init(&w->joined);
	buf_init(&w->inflated);
}

static void forget_history(struct wire_ws *w)
{
	inflate_free(w->inflate);
	w->inflate = NULL;
}

void wire_ws_fini(struct wire_ws *w)
{
	buf_fini(&w->joined);
	buf_fini(&w->inflated);
	forget_history(w);
}

void wire_ws_gap(struct wire_ws *w)
{
	buf_clear(&w->joined);
	w->is_joining = false;
	forget_history(w);
}

size_t wire_ws_bytes(const struct wire_ws *w)
{
	return w->joined.cap + w->inflated.cap + (w->inflate ? INFLATE_BYTES : 0);
}

static enum wire_ws_event fail(struct wire_ws *w, uint16_t status)
{
	w->status = status;
	return WIRE_WS_ERROR;
}

static bool inflate_whole(struct wire_ws *w, struct str *msg)
{
	if (!w->inflate)
		w->inflate = inflate_new();
	if (!w->inflate || inflate_message(w->inflate, *msg, w->max, &w->inflated) != OK)
		return false;
	*msg = buf_view(&w->inflated);
	return true;
}

static enum wire_ws_event whole(struct wire_ws *w, struct str msg, struct str *body)
{
	if (w->is_deflated && !inflate_whole(w, &msg))
		return WIRE_WS_SKIP;
	if (w->is_text && w->role != WIRE_WS_BYSTANDER && !str_is_utf8(msg))
		return fail(w, CLOSE_NO_UTF8);
	*body = msg;
	return WIRE_WS_MESSAGE;
}

/* A data frame with its payload, unmasked. */
static enum wire_ws_event on_data(struct wire_ws *w, const struct wire_ws_head *h, struct str part,
				  struct str *body)
{
	bool is_strict = w->role != WIRE_WS_BYSTANDER;
	if (is_strict && (h->op == WS_CONT) != w->is_joining)
		return fail(w, CLOSE_PROTOCOL);
	if (h->op != WS_CONT) {
		buf_fini(&w->joined);
		w->is_text = h->op == WS_TEXT;
		w->is_deflated = h->is_compressed;
		w->is_joining = !h->is_fin;
		if (h->is_fin)
			return whole(w, part, body);
	}
	if (!w->is_joining)
		return WIRE_WS_SKIP;
	if (w->joined.n + part.n > w->max)
		return fail(w, CLOSE_TOO_LARGE);
	buf_str(&w->joined, part);
	if (w->joined.err)
		return fail(w, CLOSE_NO_MEMORY);
	if (!h->is_fin)
		return WIRE_WS_SKIP;
	w->is_joining = false;
	return whole(w, buf_view(&w->joined), body);
}

static enum wire_ws_event on_control(struct wire_ws *w, const struct wire_ws_head *h,
				     struct str part, struct str *body)
{
	*body = part;
	if (w->role == WIRE_WS_BYSTANDER || h->op == WS_PONG)
		return WIRE_WS_SKIP;
	if (h->op == WS_PING)
		return WIRE_WS_PING;
	if (part.n == 1)
		return fail(w, CLOSE_PROTOCOL);
	w->status = part.n ? (uint16_t)((uint8_t)part.p[0] << 8 | (uint8_t)part.p[1]) : 0;
	return WIRE_WS_CLOSE;
}

/* May this end send such a frame? [RFC6455 5.1, 5.2] */
static bool is_allowed(const struct wire_ws *w, const struct wire_ws_head *h)
{
	if (w->role == WIRE_WS_BYSTANDER)
		return true;
	return !h->is_compressed && h->is_masked == (w->role == WIRE_WS_SERVER);
}

enum wire_ws_event wire_ws_next(struct wire_ws *w, uint8_t *p, size_t n, size_t *used,
				struct str *body)
{
	struct wire_ws_head h;
	enum err e = wire_ws_head_read(p, n, &h);
	*used = 0;
	*body = STR_NONE;
	if (!w->is_joining)
		buf_fini(&w->joined); /* the last message, which was shown */
	buf_fini(&w->inflated);
	if (e == ERR_MORE)
		return WIRE_WS_MORE;
	if (e != OK || !is_allowed(w, &h))
		return fail(w, CLOSE_PROTOCOL);
	if (h.n > w->max && !is_control(&h))
		return fail(w, CLOSE_TOO_LARGE);
	if (n - h.n_head < h.n)
		return WIRE_WS_MORE;
	*used = h.n_head + (size_t)h.n;
	uint8_t *payload = p + h.n_head;
	if (h.is_masked)
		apply_mask(payload, (size_t)h.n, h.mask);
	struct str part = str_of((const char *)payload, (size_t)h.n);
	return is_control(&h) ? on_control(w, &h, part, body) : on_data(w, &h, part, body);
}

/* --- writing -------------------------------------------------------------------------------- */

void wire_ws_put(struct buf *b, enum wire_ws_op op, struct str body, const uint8_t mask[4])
{
	uint8_t head[14] = {(uint8_t)(0x80 | op), mask ? 0x80 : 0};
	size_t n = 2, wide = body.n > 0xffff ? 8 : body.n > CONTROL_MAX ? 2 : 0;
	head[1] |= (uint8_t)(wide == 8 ? 127 : wide == 2 ? 126 : body.n);
	for (size_t i = wide; i-- > 0;)
		head[n++] = (uint8_t)((uint64_t)body.n >> (8 * i));
	if (mask) {
		memcpy(head + n, mask, 4);
		n += 4;
	}
	buf_put(b, head, n);
	size_t at = b->n;
	buf_str(b, body);
	if (mask && !b->err)
		apply_mask((uint8_t *)b->p + at, body.n, mask);
}

enum wire_ws_op wire_ws_op_for(struct str body)
{
	return str_is_utf8(body) ? WS_TEXT : WS_BINARY;
}

void wire_ws_put_close(struct buf *b, uint16_t status, const uint8_t mask[4])
{
	char body[2] = {(char)(status >> 8), (char)(status & 0xff)};
	wire_ws_put(b, WS_CLOSE, str_of(body, status ? 2 : 0), mask);
}
