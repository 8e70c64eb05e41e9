/* SIP messages in a stream of bytes.
 *
 * A stream has no message boundaries of its own: a message ends where its Content-Length says
 * [RFC3261 18.3], so the framer must find the end of the head, and the one header that matters, in
 * bytes that come as they please. It does no more than that: whether the message is a good one is
 * the index's business (sip/msg.h), which reads the same bytes again, once, when they are complete.
 *
 * Data: `struct wire_frame` describes the unit that begins at p[0] of the caller's buffer: how far
 * it was looked at (at), where its current line began (line), what is known of its length. Nothing
 * points into the buffer, so the buffer may move between calls.
 *
 * Invariants
 *  1. at only grows within a unit: n bytes cost O(n), in whatever pieces they come. A line is
 *     judged once, when its LF is there (a Content-Length: when the next line is).
 *  2. head_n is set exactly when the empty line was found; want exactly when the length is known,
 *     and then head_n <= want <= max.
 *  3. An error is final: the framer says WIRE_ERROR for ever, since after a wrong length nobody
 *     can tell where the next message begins.
 *
 * Lines end with CRLF; a bare LF is taken too, as the index does. A header value goes on in lines
 * that begin with white space, so Content-Length is judged when the line after it is known to be no
 * continuation. Two Content-Lengths that differ are an error, not a choice: whoever chose
 * differently down the road would see other messages than we do (request smuggling).
 *
 * Keep-alives [RFC5626 3.5.1, 4.4.1]: CRLF CRLF is a ping, CRLF its answer. One CRLF may be a pong,
 * half of a ping, or a stray end of line before a message [RFC3261 7.5]; which of them depends on
 * whether we sent a ping (pongs_due) and on what was just before (is_half_ping). */

#include "wire/frame.h"

#include <string.h>

#define HEAD_MAX 65535

enum { AT_START, IN_START_LINE, IN_HEAD, IN_LENGTH, IN_BODY };

void wire_frame_init(struct wire_frame *f, size_t max)
{
	*f = (struct wire_frame){.max = max, .state = AT_START};
}

static void next_unit(struct wire_frame *f)
{
	f->at = f->line = f->hdr = f->head_n = f->want = 0;
	f->length = 0;
	f->has_length = f->is_bad_length = false;
}

static enum wire_event fail(struct wire_frame *f, enum wire_error e)
{
	f->error = (uint8_t)e;
	return WIRE_ERROR;
}

/* "Content-Length" or "l", white space, ':' at the start of the line? Returns the offset after the
 * colon, 0 when it is another header. */
static size_t length_value(struct str line)
{
	size_t i;
	if (str_istarts(line, STR("Content-Length")))
		i = sizeof("Content-Length") - 1;
	else if (line.n && (line.p[0] == 'l' || line.p[0] == 'L'))
		i = 1;
	else
		return 0;
	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i < line.n && line.p[i] == ':' ? i + 1 : 0;
}

/* The value of a whole Content-Length header, folds included. Saturates: a length of thirty digits
 * is too large, not unreadable. */
static bool length_read(struct str v, uint64_t *out)
{
	v = str_trim(v);
	uint64_t x = 0;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		x = x > UINT32_MAX ? x : x * 10 + (uint64_t)(v.p[i] - '0');
	}
	*out = x;
	return v.n > 0;
}

/* The Content-Length header that began at f->hdr is complete up to `end`. */
static bool length_done(struct wire_frame *f, const char *p, size_t end)
{
	struct str h = str_of(p + f->hdr, end - f->hdr);
	uint64_t v;
	if (!length_read(str_skip(h, length_value(h)), &v) || (f->has_length && f->length != v))
		return false;
	f->has_length = true;
	f->length = v;
	return true;
}

/* A start line names the protocol: at its end in a request, at its start in a response. Anything
 * else that a stranger says to a SIP port (HTTP, TLS, binary) is not framed by our rules. */
static bool is_start_line(struct str line)
{
	return str_ifind(line, STR("SIP/")) != SIZE_MAX;
}

/* The empty line that ends at head_n was found. */
static enum wire_event head_done(struct wire_frame *f, size_t head_n)
{
	f->head_n = head_n;
	f->state = IN_BODY;
	if (f->is_bad_length)
		return fail(f, WIRE_BAD_LENGTH);
	if (head_n > f->max || f->length > f->max - head_n)
		return fail(f, WIRE_TOO_LARGE);
	f->want = head_n + (size_t)f->length;
	return WIRE_MORE;
}

/* The complete line p[f->line..end), its LF last. A bad length is remembered until the head is
 * whole, so that it can be answered. */
static enum wire_event take_line(struct wire_frame *f, const char *p, size_t end)
{
	struct str line = str_of(p + f->line, end - f->line);
	if (f->state == IN_START_LINE) {
		f->state = IN_HEAD;
		return is_start_line(line) ? WIRE_MORE : fail(f, WIRE_GARBAGE);
	}
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return WIRE_MORE;
	if (f->state == IN_LENGTH) {
		f->is_bad_length |= !length_done(f, p, f->line);
		f->state = IN_HEAD;
	}
	if (line.p[0] == '\n' || (line.p[0] == '\r' && line.p[1] == '\n'))
		return head_done(f, end);
	if (length_value(line)) {
		f->state = IN_LENGTH;
		f->hdr = f->line;
	}
	return WIRE_MORE;
}

/* Looks at the lines that were not complete before. */
static enum wire_event take_head(struct wire_frame *f, const char *p, size_t n)
{
	enum wire_event ev = WIRE_MORE;
	while (f->state != IN_BODY && ev == WIRE_MORE && f->at < n) {
		const char *lf = memchr(p + f->at, '\n', n - f->at);
		f->at = lf ? (size_t)(lf - p) + 1 : n;
		if (f->at > HEAD_MAX)
			return fail(f, WIRE_HEAD_LIMIT);
		if (lf) {
			ev = take_line(f, p, f->at);
			f->line = f->at;
		}
	}
	return ev;
}

static enum wire_event gap(struct wire_frame *f, enum wire_event ev, size_t n, size_t *len)
{
	f->is_half_ping = ev == WIRE_SKIP && n == 2;
	*len = n;
	return ev;
}

/* The line end at p[0], between messages: what does it mean? */
static enum wire_event take_gap(struct wire_frame *f, const char *p, size_t n, size_t *len)
{
	if (p[0] == '\n')
		return gap(f, WIRE_SKIP, 1, len);
	if (n < 2)
		return WIRE_MORE;
	if (p[1] != '\n')
		return fail(f, WIRE_GARBAGE);
	if (f->pongs_due) {
		f->pongs_due--;
		return gap(f, WIRE_PONG, 2, len);
	}
	if (f->is_half_ping)
		return gap(f, WIRE_PING, 2, len);
	if (n >= 4 && p[2] == '\r' && p[3] == '\n')
		return gap(f, WIRE_PING, 4, len);
	return gap(f, WIRE_SKIP, 2, len);
}

enum wire_event wire_frame_next(struct wire_frame *f, const char *p, size_t n, size_t *len)
{
	*len = 0;
	if (f->error)
		return WIRE_ERROR;
	if (n == 0)
		return WIRE_MORE;
	if (f->state == AT_START) {
		next_unit(f);
		if (p[0] == '\r' || p[0] == '\n')
			return take_gap(f, p, n, len);
		if (p[0] <= ' ' || p[0] > '~') /* control, blank or (signed) beyond ASCII */
			return fail(f, WIRE_GARBAGE);
		f->state = IN_START_LINE;
		f->is_half_ping = false;
	}
	enum wire_event ev = take_head(f, p, n);
	if (ev == WIRE_ERROR || f->state != IN_BODY || n < f->want)
		return ev;
	*len = f->want;
	f->state = AT_START;
	return WIRE_MESSAGE;
}

const char *wire_error_text(enum wire_error e)
{
	static const char *const text[] = {
		[WIRE_OK] = "no error",
		[WIRE_GARBAGE] = "the bytes are no SIP message",
		[WIRE_BAD_LENGTH] = "Content-Length cannot be read",
		[WIRE_HEAD_LIMIT] = "the header is longer than 65,535 bytes",
		[WIRE_TOO_LARGE] = "the message is larger than the limit",
	};
	return text[e];
}
