#pragma once
/* WebSocket frames of a byte stream, both directions, as a bystander sees them. [RFC6455 5] */

#include "base/buf.h"

struct cap_ws {
	struct buf joined; /* payload of a fragmented message, so far */
	bool is_joining;
};
enum cap_ws_event {
	CAP_WS_MORE,    /* no complete frame yet */
	CAP_WS_MESSAGE, /* *msg is a whole message (borrows p, or joined) */
	CAP_WS_SKIP,    /* a control frame, or a piece of a message */
	CAP_WS_ERROR    /* no WebSocket frame, or one too large */
};
void cap_ws_init(struct cap_ws *w);
void cap_ws_fini(struct cap_ws *w);
/* Looks at the frame at p; *used bytes belong to it. Masked payload is unmasked in place. */
enum cap_ws_event cap_ws_next(struct cap_ws *w, uint8_t *p, size_t n, size_t *used,
			      struct str *msg);
/* Whether a segment begins with a data frame whose payload begins like SIP. */
bool cap_ws_looks_like_sip(const uint8_t *p, size_t n);
