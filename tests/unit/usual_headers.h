#pragma once
/* What sip_skim promises of a message that it calls usual, said a second time. */

#include "sip/msg.h"

/* What the skim takes for a message of usual headers has no other. */
static inline bool is_of_usual_headers(const struct sip_msg *m)
{
	static const uint8_t usual[SIP_HDR__N] = {
		[SIP_HDR_VIA] = 1,
		[SIP_HDR_FROM] = 1,
		[SIP_HDR_TO] = 1,
		[SIP_HDR_CALL_ID] = 1,
		[SIP_HDR_CSEQ] = 1,
		[SIP_HDR_CONTACT] = 1,
		[SIP_HDR_CONTENT_TYPE] = 1,
		[SIP_HDR_CONTENT_LENGTH] = 1,
		[SIP_HDR_RECORD_ROUTE] = 1,
		[SIP_HDR_ROUTE] = 1,
		[SIP_HDR_AUTHORIZATION] = 1,
		[SIP_HDR_PROXY_AUTHORIZATION] = 1,
		[SIP_HDR_USER_AGENT] = 1,
		[SIP_HDR_SESSION_ID] = 1,
		[SIP_HDR_ALLOW] = 1,
		[SIP_HDR_ACCEPT] = 1,
		[SIP_HDR_DATE] = 1,
		[SIP_HDR_EXPIRES] = 1,
		[SIP_HDR_MAX_FORWARDS] = 1,
		[SIP_HDR_REQUIRE] = 1,
		[SIP_HDR_SUPPORTED] = 1,
		[SIP_HDR_SERVER] = 1,
	};
	for (unsigned i = 0; i < m->n_rows; i++)
		if (!usual[sip_row(m, i)->id])
			return false;
	return true;
}
