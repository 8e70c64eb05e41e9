#pragma once
/* Between TCP put together (cap_tcp) and what is spoken over it (cap_talk): a connection. */

#include "base/hash.h"
#include "base/list.h"
#include "capture/cap_tcp.h"
#include "capture/cap_tls.h"
#include "capture/cap_ws.h"
#include "wire/frame.h"
#include "wire/ws.h"

#define MAX_UNIT (1u << 20) /* bytes of a message or frame */

enum speaks { UNKNOWN, SIP, HTTP, WS, HEP };

struct piece { /* a segment ahead of its time */
	struct piece *next;
	struct cap_seg seg;
	uint32_t seq, n;
	uint8_t bytes[];
};

struct dir {
	struct addr from;
	uint8_t speaks; /* enum speaks */
	bool has_seq, is_tls;
	uint32_t next;     /* sequence number */
	uint32_t acked;    /* by the other side */
	uint32_t first_no; /* frame where the unit in work begins */
	uint8_t *p;        /* bytes p[at .. n) are not consumed */
	size_t at, n, cap;
	struct piece *queue;
	uint32_t n_segs, n_queued;
	int64_t gap_ns; /* since when the queue waits */
	struct wire_frame frame;
	struct wire_ws ws;
};

struct conn {
	struct hnode node;
	struct link lru;
	struct dir d[2];
	struct cap_tls *tls; /* once a direction spoke it */
	uint32_t no;
	size_t n_bytes; /* that it holds, when it was looked at last */
};

struct cap_tcp {
	struct htab conns;
	uint8_t hash_key[16];
	struct link lru; /* longest silence first */
	cap_tcp_fn *fn;
	void *arg;
	struct cap_tls_world tls;
	size_t n_bytes; /* of all connections */
	bool saw_ws;
	uint32_t n_conns;            /* ever */
	uint32_t last_no;            /* connection of the last segment */
	const struct cap_tls *last;  /* ... and its TLS, NULL none */
	struct cap_tls_log *own_log; /* NULL: tls.log is somebody else's */
};

struct reader { /* a direction at work */
	struct cap_tcp *t;
	struct conn *c;
	struct dir *d;
	const struct addr *to;
	const struct cap_seg *seg;
	uint32_t no; /* frame that the bytes came in */
};

/* The next bytes of a direction, in order; r->t->fn gets the messages that they complete. */
void cap_talk_bytes(const struct reader *r, const uint8_t *p, size_t n);
/* n bytes are missing: the unit in work is lost, and what is spoken is looked for anew. */
void cap_talk_gap(const struct reader *r, uint32_t n);
void cap_talk_reset(struct dir *d); /* nothing is known yet */
