#pragma once
/* WebSocket frames: for the two ends of a connection and for a bystander who sees both directions.
 * [RFC6455 5] [RFC7118]. The caller keeps a contiguous buffer and calls wire_ws_next until it says
 * WIRE_WS_MORE; then it keeps what is left, appends, and calls again. */

#include "base/buf.h"
#include "base/inflate.h"

enum wire_ws_op { WS_CONT, WS_TEXT, WS_BINARY, WS_CLOSE = 8, WS_PING, WS_PONG };
enum wire_ws_role { WIRE_WS_SERVER, WIRE_WS_CLIENT, WIRE_WS_BYSTANDER };

struct wire_ws_head {
	enum wire_ws_op op;
	bool is_fin, is_compressed, is_masked;
	size_t n_head; /* bytes of the head */
	uint64_t n;    /* of the payload */
	uint8_t mask[4];
};
/* ERR_MORE: its end is missing. ERR_SYNTAX: no frame. */
enum err wire_ws_head_read(const uint8_t *p, size_t n, struct wire_ws_head *h);

struct wire_ws {
	struct buf joined;       /* payload of a fragmented message, so far */
	struct buf inflated;     /* the message that was deflated */
	struct inflate *inflate; /* a bystander's, once a deflated message came */
	size_t max;              /* bytes of the largest message accepted */
	uint8_t role;            /* enum wire_ws_role */
	bool is_joining, is_text, is_deflated;
	uint16_t status; /* after WIRE_WS_ERROR, and of a close frame (0: none given) */
};
enum wire_ws_event {
	WIRE_WS_MORE,    /* no complete frame yet */
	WIRE_WS_MESSAGE, /* *body is a whole message */
	WIRE_WS_PING,    /* answer it with a pong that has *body */
	WIRE_WS_CLOSE,   /* answer it with a close frame, then no more */
	WIRE_WS_SKIP,    /* a pong, or a piece of a message; a bystander: any control frame */
	WIRE_WS_ERROR /* close it with w->status: 1002 protocol, 1007 no UTF-8, 1009 too large, 1011
			 no memory */
};
void wire_ws_init(struct wire_ws *w, enum wire_ws_role role, size_t max);
void wire_ws_fini(struct wire_ws *w);
/* Bytes are missing: what was begun is lost, and what the next messages may refer to. */
void wire_ws_gap(struct wire_ws *w);
size_t wire_ws_bytes(const struct wire_ws *w); /* of memory that it holds */
/* Looks at the frame at p; *used bytes belong to it. Payload is unmasked in place; *body borrows p,
 * or w until the next call. */
enum wire_ws_event wire_ws_next(struct wire_ws *w, uint8_t *p, size_t n, size_t *used,
				struct str *body);

/* Appends one frame, whole. `mask` for clients, NULL for servers. */
void wire_ws_put(struct buf *b, enum wire_ws_op op, struct str body, const uint8_t mask[4]);
/* The operation for a message: text where it is UTF-8, as browsers like it. */
enum wire_ws_op wire_ws_op_for(struct str body);
void wire_ws_put_close(struct buf *b, uint16_t status, const uint8_t mask[4]);
