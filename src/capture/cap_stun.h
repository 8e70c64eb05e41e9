#pragma once
/* STUN transactions, as Wireshark keeps them: by their id within a conversation. [RFC8489 6.3.3] */

#include "capture/cap.h"

/* Whether a UDP payload is STUN to us. */
bool cap_is_stun(const uint8_t *p, size_t n);

struct cap_stun_seen {          /* frames of the transaction, this one included */
	uint32_t request_frame; /* its first request; 0: none yet */
	uint32_t other_frame;   /* its first message that is none */
	int64_t since_ns;       /* its first message */
};

struct cap_stuns;
/* max: the transaction that began first gives way to one more; 0: no bound. NULL without memory. */
struct cap_stuns *cap_stuns_new(size_t max);
void cap_stuns_free(struct cap_stuns *s);
/* p: a message of cap_is_stun in that conversation. All zero without memory. */
struct cap_stun_seen cap_stuns_add(struct cap_stuns *s, uint32_t stream, const uint8_t *p,
				   const struct cap_rec *r);
