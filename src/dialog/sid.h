#pragma once
/* The Session-ID of a dialog: our UUID and the peer's, as they stand in every message of a session.
 * Who stands between two parties has none of his own: he says the other party's, and draws one for
 * a party who has none. [RFC7989] */

#include "event/env.h"
#include "sip/hdr.h"

enum sid_how {
	SID_NONE, /* nothing is said: the dialog is no session's */
	SID_BOTH, /* local, and the peer's as remote, nil while it is unknown */
	/* a peer of the older book; what the first exchange has said stays [RFC7989 11] */
	SID_LOCAL,  /* ours alone */
	SID_REMOTE, /* his alone: he began */
	SID_ORDER,  /* ours, remote nil, whoever writes */
};

struct sid { /* all zero: SID_NONE */
	uint8_t local[SIP_UUID / 2], remote[SIP_UUID / 2];
	uint32_t cseq; /* of the peer's last request that told the remote one */
	uint8_t how;   /* enum sid_how */
	bool is_between;
};

struct str sid_draw(struct env *env, char out[SIP_UUID]);
struct str sid_text(const uint8_t uuid[SIP_UUID / 2], char out[SIP_UUID]);
/* local: the other party's, for who stands between; empty: one is drawn. */
void sid_begin(struct sid *s, struct env *env, struct str local, bool is_between);
/* Called by this INVITE; who stands between knows nobody for `local` yet: nil. */
void sid_begin_called(struct sid *s, struct env *env, const struct sip_msg *invite,
		      bool is_between);
/* Of a call of ours that another peer may answer: who has answered so far does not count. */
void sid_forget(struct sid *s);
/* A dialog that a stray response tells of. */
void sid_recall(struct sid *s, const struct sip_msg *resp);
/* A request that was accepted; an ACK for a 2xx. */
void sid_hear_request(struct sid *s, const struct sip_msg *req);
void sid_hear_response(struct sid *s, struct env *env, const struct sip_msg *resp);
/* The header line for a request; for an answer. */
void sid_put(const struct sid *s, struct buf *b);
void sid_put_answer(const struct sid *s, const struct sip_msg *req, struct buf *b);
/* The same of a refusal of ours to who has no session with us. */
void sid_put_stranger(struct env *env, const struct sip_msg *req, struct buf *b);
/* What is said as ours from now on; empty: nil. */
void sid_set_local(struct sid *s, struct str uuid);
/* The peer's, as this message of his tells it; m may be NULL. In out, or borrowed of m. */
struct str sid_peer(const struct sid *s, const struct sip_msg *m, char out[SIP_UUID]);
