#pragma once
/* IP fragments put together, IPv4 and IPv6 alike. Bounded: when too many datagrams are unfinished,
 * the oldest is forgotten. */

#include "capture/cap_pkt.h"

struct cap_frags;
struct cap_frags *cap_frags_new(void); /* NULL without memory */
void cap_frags_free(struct cap_frags *f);
/* k is a fragment (k->is_fragment). True when it completed its datagram: then k is changed to that
 * (cap_pkt_transport), its payload borrowed until the next call. */
bool cap_frags_add(struct cap_frags *f, struct cap_pkt *k, const struct cap_rec *r);

struct cap_piece {            /* the first piece of a datagram that never became whole */
	struct addr src, dst; /* ports 0 */
	uint32_t id, frame_no, n;
	int64_t at_ns;
	uint64_t off;     /* in the capture, 0 where it cannot be read again */
	const uint8_t *p; /* the transport header first; borrowed until the next cap_frags_add */
};
/* The next one that has waited for a second at now_ns (INT64_MAX: at all), or that holds the text,
 * unless that is empty; each once. */
bool cap_frags_lost(struct cap_frags *f, int64_t now_ns, struct str text, struct cap_piece *out);
