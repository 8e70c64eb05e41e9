#pragma once
/* Header values that are no name-addr. Each parser takes one value, trimmed, as sip_value or
 * sip_each gives it. */

#include "sip/msg.h"
#include "sip/uri.h"

struct sip_via {              /* [RFC3261 20.42] [RFC3581] */
	struct str proto;     /* "SIP/2.0" as written */
	struct str transport; /* "UDP" */
	struct str host;      /* IPv6 without brackets */
	uint16_t port;        /* 0 when not given */
	struct str branch, received, maddr, params;
	bool has_rport;
	uint16_t rport; /* 0 when without value */
	uint8_t ttl;
};
enum err sip_via_parse(struct str value, struct sip_via *out);

struct sip_cseq {
	uint32_t n;
	struct str method;
};
/* ERR_LIMIT when the number does not fit; from 2^31 on it is against RFC 3261 8.1.1.5, but taken.
 */
enum err sip_cseq_parse(struct str value, struct sip_cseq *out);

/* q of a Contact in thousandths: "0.5" is 500. [RFC3261 25.1] */
bool sip_q_parse(struct str s, uint16_t *out);
/* delta-seconds; larger than 2^32-1 becomes that (RFC 3261 20.19). */
enum err sip_seconds_parse(struct str s, uint32_t *out);

struct sip_media_type { /* Content-Type */
	struct str type, subtype, params;
};
enum err sip_media_type_parse(struct str value, struct sip_media_type *out);
bool sip_media_type_is(struct str value, struct str type, struct str subtype);
/* Body part of a multipart body with that media type (also the whole body when it is that). Walks
 * nested multiparts. [RFC2046 5.1] */
bool sip_body_find(const struct sip_msg *m, struct str type, struct str subtype, struct str *part);
/* The SDP that describes the session: not one whose Content-Disposition says otherwise. */
bool sip_msg_sdp(const struct sip_msg *m, struct str *sdp);
bool sip_body_sdp(struct str content_type, struct str body, struct str *sdp);
/* False: it has a part that is neither that SDP nor handling=optional. [RFC3261 20.11] [RFC5621] */
bool sip_body_is_known(const struct sip_msg *m);

/* True when the comma-separated tokens of all lines of `id` contain the token (any case):
 * Supported, Require, Allow, Accept ... */
bool sip_has_token(const struct sip_msg *m, enum sip_hdr_id id, struct str token);

struct sip_event { /* Event [RFC6665 8.2.1] */
	struct str package, id;
};
enum err sip_event_parse(struct str value, struct sip_event *out);

struct sip_sub_state { /* Subscription-State [RFC6665 8.2.3] */
	struct str state, reason;
	uint32_t expires, retry_after; /* UINT32_MAX when absent */
};
enum err sip_sub_state_parse(struct str value, struct sip_sub_state *out);

struct sip_reason {          /* Reason [RFC3326 2]: one value */
	struct str protocol; /* "SIP", "Q.850", ... */
	struct str text;     /* without quotes; empty when absent */
	uint32_t cause;
	bool has_cause;
};
enum err sip_reason_parse(struct str value, struct sip_reason *out);
/* Has an earlier value of the message the same protocol, other than one that may stand several
 * times (STIR)? `value` is one that sip_each gave of it. [RFC3326 2] [RFC9366 3] */
bool sip_reason_is_again(const struct sip_msg *m, struct str value);
/* Appends the message's values, by commas, but for those. */
void sip_reasons_put(const struct sip_msg *m, struct buf *out);

struct sip_warning { /* Warning [RFC3261 20.43]: one value */
	uint16_t code;
	struct str agent, text; /* text without quotes, escapes as written */
};
enum err sip_warning_parse(struct str value, struct sip_warning *out);

struct sip_rack { /* RAck [RFC3262 7.2] */
	uint32_t rseq, cseq;
	struct str method;
};
enum err sip_rack_parse(struct str value, struct sip_rack *out);

struct sip_session_expires { /* Session-Expires [RFC4028 4] */
	uint32_t seconds;
	bool has_refresher, is_uac_refresher;
};
enum err sip_session_expires_parse(struct str value, struct sip_session_expires *out);

struct sip_replaces { /* Replaces [RFC3891 6.1], Join [RFC3911 7.1], Target-Dialog [RFC4538 7] */
	struct str call_id, to_tag, from_tag;
	bool is_early_only;
};
/* Target-Dialog's local-tag and remote-tag are from_tag and to_tag. Both tags must be there. A
 * value out of the headers of a Refer-To URI has to be unescaped first. */
enum err sip_replaces_parse(struct str value, struct sip_replaces *out);

#define SIP_UUID 32               /* its digits, without hyphens */
struct sip_session_id {           /* Session-ID [RFC7989 5] */
	struct str local, remote; /* of its sender; of who is meant to read it */
	bool has_remote;          /* false: by the older book [RFC7329] */
};
/* ERR_SYNTAX also for a UUID of another length, or two remotes: such a value is to be ignored. */
enum err sip_session_id_parse(struct str value, struct sip_session_id *out);

struct sip_retry_after {            /* Retry-After [RFC3261 20.33] */
	uint32_t seconds, duration; /* duration: UINT32_MAX when absent */
	struct str comment;         /* without its parentheses */
};
enum err sip_retry_after_parse(struct str value, struct sip_retry_after *out);
