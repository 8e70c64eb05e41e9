#pragma once
/* What a session can do for an owner who stands between two parties: reliable provisional responses
 * with header lines of theirs, changes and answers that come from the other side, requests passed
 * on, REFER and Replaces. [RFC3262] [RFC3311] [RFC3515] [RFC3891] */

#include "dialog/session.h"
#include "sip/hdr.h"

/* --- before the answer --------------------------------------------------------------------------
 */
/* ses_ring, reliably, with header lines of its own: repeated until PRACK comes, and what follows
 * waits for that. ERR_UNSUPPORTED when the caller does not know 100rel. Where he requires it,
 * ses_ring does this, too. [RFC3262 3] */
enum err ses_ring_reliably(struct ses *s, unsigned status, bool with_sdp, struct str headers);
enum err ses_ring_with(struct ses *s, unsigned status, bool with_sdp, struct str headers);
bool ses_can_reliable(const struct ses *s); /* the INVITE supports or requires 100rel */
enum err ses_answer_with(struct ses *s, struct str headers);

/* --- changes ------------------------------------------------------------------------------------
 */
enum ses_change {
	SES_REINVITE,
	SES_REINVITE_LATE, /* without SDP: the offer comes in the 2xx */
	SES_UPDATE
};
/* ses_modify by choice, with this SDP, for an owner that relays a change: a 491 is told as
 * MODIFY_FAILED. UPDATE also before the answer, once an offer was answered reliably [RFC3311 5.1].
 */
enum err ses_change(struct ses *s, enum ses_change kind, struct str sdp);
/* Brings what was left for later: the SDP, or a status to refuse with. ERR_STATE: nothing waits. */
enum err ses_settle(struct ses *s, unsigned status, struct str sdp);
bool ses_can_update(const struct ses *s); /* the peer's Allow names UPDATE */
/* Callee: what was said in earlier responses does not count; the owner is asked again. */
void ses_forget_sdp(struct ses *s);
bool ses_has_bound_sdp(const struct ses *s); /* it can not: it was said reliably [RFC3262 5] */
/* Refreshes of the session timer are to be re-INVITEs of ours: make_offer will be asked, unless SDP
 * was kept. */
bool ses_needs_sdp(const struct ses *s);
void ses_keep_sdp(struct ses *s, struct str sdp); /* copied */

/* --- requests -----------------------------------------------------------------------------------
 */
struct ses_request {
	struct str method, headers, content_type, body;
	uint64_t tag; /* not 0: SES_EV_RESPONSE follows */
};
enum err ses_request(struct ses *s, const struct ses_request *req);
/* Answers what SES_EV_REQUEST told; harmless when that is over. */
void ses_respond(struct ses *s, tsx_id st, unsigned status, struct str headers);
/* REFER with Refer-To: <target> and header lines (Referred-By); REFERRED follows. [RFC3515] */
enum err ses_refer(struct ses *s, struct str target, struct str headers);
/* How a REFER goes: NOTIFY with a sipfrag; a final status ends the subscription. */
void ses_notify(struct ses *s, unsigned status);
/* The session that a Replaces value of a peer means; NULL: none here. [RFC3891 3] */
struct ses *ses_replaced(struct dlg_mgr *m, const struct sip_replaces *r);
/* Session-ID: the other party's UUID, to be said from now on (empty: nil); the peer's as this
 * message of his tells it (NULL: as it is known), in out or borrowed of m, drawn where he has none.
 * [RFC7989 7] */
void ses_set_uuid(struct ses *s, struct str uuid);
void ses_draw_uuid(struct ses *s); /* the other party is the owner himself from now on */
struct str ses_peer_uuid(const struct ses *s, const struct sip_msg *m, char out[SIP_UUID]);
/* Wherever SDP is asked for, a body with parts beside it may be given: begun by this with whole
 * Content- lines, then the body. [RFC5621] */
void dlg_begin_body(struct dlg_mgr *m, struct buf *b, struct str lines);
/* Header lines and body of what was begun so; false: it is SDP and nothing else. */
bool dlg_cut_body(const struct dlg_mgr *m, struct str *body, struct str *lines);
/* The SDP of a message; false: none. */
bool ses_sdp(const struct tp_rx *rx, struct str *sdp);
/* What the owner of that kind gave as ctx; NULL: another owner's, or dropped. */
void *ses_ctx_of(const struct ses *s, const struct ses_user *user);
/* Where requests inside the dialog go just now. */
struct tp_dst ses_way(const struct ses *s);
