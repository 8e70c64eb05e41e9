#pragma once
/* TCP put together, as far as SIP is in it: segments in, SIP messages out, in order. Copes with
 * reordering, overlap, retransmission, a start in mid-stream, and bytes that the sniffer lost.
 * TLS, where its secrets are known, and WebSocket are
 * taken off. */

#include "capture/cap_pkt.h"
#include "capture/cap_start.h"
#include "track/trk.h"

struct cap_tcp;
struct cap_tls_log;
struct cap_tls_world;
struct cap_seg { /* where bytes came from */
	uint32_t frame_no;
	int64_t at_ns;
	uint32_t first_no; /* of a message: the frame where it begins */
	bool is_hep;       /* of a message: an agent of Homer sent it, and told the addresses */
};
/* One message; bytes borrowed. from, to: of the direction it went. Without bytes: a WebSocket frame
 * that completes no SIP message. */
typedef void cap_tcp_fn(void *arg, struct str bytes, const struct addr *from, const struct addr *to,
			enum trk_transport transport, const struct cap_seg *seg);

struct cap_tcp *cap_tcp_new(cap_tcp_fn *fn, void *arg); /* NULL without memory */
void cap_tcp_free(struct cap_tcp *t);
/* A segment that cap_pkt_decode made out (proto CAP_TCP, not quoted). fn is called for each message
 * that it completes. */
void cap_tcp_add(struct cap_tcp *t, const struct cap_pkt *k, const struct cap_seg *seg);
/* At the end of the capture: gives up waiting for bytes that were never captured, one gap at a
 * time. False when there is none left. */
bool cap_tcp_flush(struct cap_tcp *t);

/* Of its TLS connections: where secrets are looked for (a log of its own, empty at first), the
 * records of the last segment, how many stayed closed. */
struct cap_tls_world *cap_tcp_tls(struct cap_tcp *t);
/* Another log in its place, which must outlive t. Before the first segment. */
void cap_tcp_share_log(struct cap_tcp *t, struct cap_tls_log *log);
/* The connection of the last segment: a number, the same in every walk over the same frames, 0 when
 * it is none that is known; and the random of its TLS client, or NULL. */
uint32_t cap_tcp_no(const struct cap_tcp *t);
const uint8_t *cap_tcp_random(const struct cap_tcp *t);
/* Whether the last segment completed a WebSocket frame. */
bool cap_tcp_saw_ws(const struct cap_tcp *t);
