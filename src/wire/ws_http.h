#pragma once
/* The HTTP request that a WebSocket connection begins with, and its answer, for the subprotocol
 * "sip". [RFC6455 4] [RFC7118 3] */

#include "base/buf.h"

/* Bytes of the request or its answer: browsers send cookies of several kB. */
#define WIRE_WS_HTTP_MAX 16'384
#define WIRE_WS_KEY      24 /* bytes of Sec-WebSocket-Key */

struct wire_ws_ask { /* strings point into the request */
	struct str path, host, origin, key;
	unsigned status; /* 101, or what to refuse it with */
};
/* Reads a request. ERR_MORE: its end is missing. OK: *used bytes are it; out->status says how it is
 * to be answered. */
enum err wire_ws_ask_read(struct str bytes, struct wire_ws_ask *out, size_t *used);
/* The answer to it, 101 or not. */
void wire_ws_put_answer(struct buf *b, const struct wire_ws_ask *ask);

/* A client's side: key is made of 16 random bytes. */
void wire_ws_make_key(const uint8_t random[16], char key[WIRE_WS_KEY]);
void wire_ws_put_ask(struct buf *b, struct str host, const char key[WIRE_WS_KEY]);
/* OK: accepted, *used bytes. ERR_MORE. ERR_SYNTAX: refused, or no WebSocket for SIP there. */
enum err wire_ws_answer_read(struct str bytes, const char key[WIRE_WS_KEY], size_t *used);
