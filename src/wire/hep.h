#pragma once
/* HEP, the Homer encapsulation protocol: a captured message with where, when and by whom it was
 * seen. Version 3 in chunks [draft-hep3], versions 1 and 2 with a fixed header. Over UDP a packet
 * is a datagram; over TCP packets follow each other, each with its length. */

#include "base/addr.h"

enum wire_hep_type { /* what the payload is */
		     WIRE_HEP_SIP = 1,
		     WIRE_HEP_RTP = 4,
		     WIRE_HEP_RTCP = 5, /* as JSON or as it was on the wire */
};

struct wire_hep {
	uint8_t version;      /* 1, 2, 3 */
	uint8_t ip_proto;     /* 6 TCP, 17 UDP, 132 SCTP ... */
	uint8_t type;         /* enum wire_hep_type or another number; versions 1 and 2: SIP */
	bool is_packed;       /* the payload is compressed (zlib or gzip) */
	struct addr from, to; /* with ports; ADDR_NONE when not told */
	uint64_t at_us;       /* since 1970 UTC; 0 when not told */
	uint32_t agent;       /* number of the capture agent, 0 none */
	uint16_t vlan;        /* 0 none */
	struct str key;       /* that the agent authenticates with */
	struct str correlation, node; /* a Call-ID, as a rule; name of the agent */
	struct str payload;
};

#define WIRE_HEP_MAX 65'535u /* bytes of a packet: its length has 16 bits */

/* Whether a HEP packet begins there, by its first bytes. Versions 1 and 2 have no magic: then their
 * payload's beginning must look like SIP ("SIP/" or a letter). */
bool wire_hep_is_head(const void *p, size_t n);
static inline bool wire_hep_starts(const void *p, size_t n)
{
	uint8_t first = n ? *(const uint8_t *)p : 0;
	return (first == 'H' || first == 1 || first == 2) && wire_hep_is_head(p, n);
}
/* The packet at p; strings borrow it. *used are its bytes (versions 1 and 2: all n). ERR_MORE: not
 * complete. ERR_SYNTAX: no HEP, or damaged; a stream can then not be read on. Unknown chunks are
 * passed over. */
enum err wire_hep_parse(const void *p, size_t n, struct wire_hep *out, size_t *used);
/* Appends a packet of version 3. ERR_LIMIT (in b->err too): it would be longer than WIRE_HEP_MAX.
 */
enum err wire_hep_put(struct buf *b, const struct wire_hep *h);
