#pragma once
/* SIP messages in a byte stream [RFC3261 18.3] with RFC 5626 keep-alives, incrementally: each byte
 * is looked at once, however slowly it comes. The caller keeps a contiguous buffer and calls
 *
 *	while ((ev = wire_frame_next(&f, p, n, &len)) is not WIRE_MORE or WIRE_ERROR)
 *		use p[0..len) as ev says; p += len; n -= len;
 *
 * After WIRE_MORE it keeps p[0..n) (it may move), appends, and calls again with the same start. */

#include "base/str.h"

enum wire_event {
	WIRE_MORE,    /* no complete unit yet; f->want tells how many bytes the message has in all,
			 0 while its head is incomplete */
	WIRE_MESSAGE, /* p[0..len) is one message; f->head_n of it are head */
	WIRE_PING,    /* CRLF CRLF: answer with CRLF [RFC5626 4.4.1] */
	WIRE_PONG,    /* CRLF while pongs_due: the answer to our ping */
	WIRE_SKIP,    /* a stray line end between messages: nothing to do */
	WIRE_ERROR    /* the stream cannot be framed any further: close it; f->error says why */
};

enum wire_error {
	WIRE_OK,
	WIRE_GARBAGE,    /* no SIP start line: another protocol, or out of step */
	WIRE_BAD_LENGTH, /* Content-Length unreadable, negative, too large, or two that differ; the
			    head is complete: p[0..f->head_n) may still be answered with 400 */
	WIRE_HEAD_LIMIT, /* the head is longer than 65,535 bytes */
	WIRE_TOO_LARGE   /* the message is longer than the limit given (513); head_n as above */
};

struct wire_frame {
	size_t max;      /* bytes of the largest message accepted */
	size_t at;       /* bytes of the current unit looked at */
	size_t line;     /* offset of the current line */
	size_t hdr;      /* offset of the Content-Length header being read */
	size_t head_n;   /* of the head with its empty line, once known */
	size_t want;     /* of the whole message, once known */
	uint64_t length; /* Content-Length */
	uint8_t state;   /* private */
	uint8_t error;   /* enum wire_error */
	bool has_length, is_bad_length, is_half_ping;
	uint8_t pongs_due; /* the caller adds 1 for each CRLF CRLF that it sends */
};

void wire_frame_init(struct wire_frame *f, size_t max);
enum wire_event wire_frame_next(struct wire_frame *f, const char *p, size_t n, size_t *len);
const char *wire_error_text(enum wire_error e);
