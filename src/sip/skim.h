#pragma once
/* The few fields that tell whose message it is and what it does, read in one walk without rows,
 * copies or diagnostics: a quarter of the cost of the index. For those who look at millions of
 * messages and index only some. */

#include "sip/msg.h"

struct sip_skim { /* strings borrow the bytes; meaning as in struct sip_msg */
	bool is_request, has_cseq;
	bool is_routed;             /* Record-Route */
	bool has_auth;              /* Authorization, Proxy-Authorization */
	bool has_reason;            /* may have a Reason; the next two alike */
	bool has_rseq, has_session; /* RSeq, Session-Expires */
	bool is_sdp;                /* Content-Type: application/sdp, written so */
	bool has_more;              /* may have a header that is neither read here nor usual */
	bool via_has_rport;
	uint8_t method;
	uint16_t status;
	uint32_t cseq;
	struct str method_name, ruri, reason;
	struct str via_host, via_branch, from_tag, to_tag, call_id;
	struct str from, to;               /* whole values */
	struct str user_agent, session_id; /* [RFC7989] */
	struct str contact; /* the first line's value; p NULL: the index has to tell */
	struct str body;
};

/* A datagram. False: there is something unusual about the message (a folded line, a compact name, a
 * length that is wrong ...), or it is none: then sip_msg_index has to look. True: everything is as
 * sip_msg_index would say, and the message is as long as the datagram. */
bool sip_skim(struct str bytes, struct sip_skim *out);
/* The same of a message that was indexed. */
void sip_skim_of(const struct sip_msg *m, struct sip_skim *out);
