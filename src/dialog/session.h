#pragma once
/* INVITE sessions, both sides: call set-up with authentication, fail-over, redirection, forking;
 * CANCEL; offer/answer state (RFC 3264, RFC 6337); re-INVITE, UPDATE, BYE and all their races. The
 * owner (a phone, a service of the exchange) brings the SDP. [RFC3261 9, 13, 14, 15] [RFC5407] */

#include "dialog/uac.h"

struct ses;

enum ses_by { SES_BY_LOCAL, SES_BY_REMOTE, SES_BY_NETWORK };
enum ses_cause {
	SES_CAUSE_HANGUP,      /* BYE */
	SES_CAUSE_CANCEL,      /* the caller gave up before an answer */
	SES_CAUSE_REJECTED,    /* a final 3xx-6xx; status tells */
	SES_CAUSE_AUTH,        /* 401, 407 that could not be answered, or refused the credentials */
	SES_CAUSE_NO_RESPONSE, /* no final response in time (Timer B on all next hops, or 64*T1
				* after CANCEL) */
	SES_CAUSE_LOST_ACK,    /* our 2xx was not acknowledged in 64*T1: BYE was sent */
	SES_CAUSE_GONE, /* 481, 408 or a time-out on a request inside the dialog (RFC 5057) */
	SES_CAUSE_UNREACHABLE, /* name, connection or transport */
	SES_CAUSE_TIMER,       /* the session timer ran out without a refresh [RFC4028 10] */
	SES_CAUSE_MEDIA,       /* offer and answer did not come together */
	SES_CAUSE_LOCAL, /* something here failed: memory, bounds, a request not to be built */
};
struct str ses_cause_text(enum ses_cause c); /* "lost ACK": for verdicts and logs */

struct ses_end {
	enum ses_by by;
	enum ses_cause cause;
	unsigned status; /* of the final response; 0: BYE of a running call */
	struct str text; /* a reason for people: reason phrase, Reason header, or ses_cause_text */
};

enum ses_event_kind {
	SES_EV_PROGRESS,     /* UAC: a provisional response; status; 100 included */
	SES_EV_LEFT,         /* the peer's BYE or CANCEL (rx); ENDED follows */
	SES_EV_REFUSED,      /* UAC: a final 3xx-6xx (rx, status); ENDED follows */
	SES_EV_UNUSABLE,     /* UAC: a 2xx that cannot be taken (rx); it is ACKed, BYE is out, ENDED
			      * follows when that is over [RFC3261 13.2.2.4] */
	SES_EV_EARLY_MEDIA,  /* UAC: an answer came in a provisional response, on_answer has it */
	SES_EV_CONFIRMED,    /* UAC: a 2xx came and was ACKed; UAS: the ACK came */
	SES_EV_RENEGOTIATED, /* a re-INVITE or UPDATE with SDP has succeeded, of either side */
	SES_EV_MODIFY_FAILED, /* ours was refused (status) or is not possible; the session goes on
			       */
	SES_EV_INFO,          /* INFO or MESSAGE inside the dialog came (rx) and was answered 200 */
	SES_EV_OFFER,         /* the peer's message (rx) waits for SDP: ses_settle */
	SES_EV_REQUEST,       /* a request (rx, st) that on_request left for ses_respond */
	SES_EV_RESPONSE, /* the final answer (rx, or NULL: none came) to ses_request with a tag */
	SES_EV_REFER,    /* REFER (rx) came and was answered 202: ses_notify tells how it goes */
	SES_EV_REFERRED, /* NOTIFY about a REFER of ours: status of its sipfrag */
	SES_EV_ENDED,    /* the last one: the session is freed when the callback returns */
};
struct ses_event {
	enum ses_event_kind kind;
	unsigned status;
	enum ses_by by;     /* RENEGOTIATED: whose request it was */
	struct tp_rx *rx;   /* the message behind it, borrowed; may be NULL */
	uint64_t tag;       /* REQUEST: the server transaction; RESPONSE: as given */
	struct ses_end end; /* ENDED */
};

#define SES_LATER 1 /* instead of a status: ses_settle brings it */

/* All but on_event are questions, asked at once: they must not call ses_ functions that act. */
struct ses_user {
	/* Writes an SDP offer: for INVITE, re-INVITE, or a 2xx to an INVITE without offer.
	 * ERR_MORE: later, where the peer's re-INVITE asks for it. Another error ends the attempt.
	 */
	enum err (*make_offer)(void *ctx, struct ses *s, struct buf *sdp);
	/* Writes the answer to a peer's offer; 0 or 200 accepts, SES_LATER for an offer in anything
	 * but the INVITE of a callee, else the status to refuse with (488, 415, ...). Asked once
	 * per offer: by ses_ring with SDP or ses_answer, and for all others at once. */
	unsigned (*answer_offer)(void *ctx, struct ses *s, struct str offer, struct buf *sdp);
	/* The answer to our offer. is_early: in a provisional response, a preview (another may
	 * follow from another fork). false: not acceptable; a call then ends, a running session
	 * goes on as before. */
	bool (*on_answer)(void *ctx, struct ses *s, struct str answer, bool is_early);
	void (*on_event)(void *ctx, struct ses *s, const struct ses_event *ev);
	/* May be NULL. INFO, MESSAGE, REFER: 0 lets the session deal with it (INFO and MESSAGE get
	 * 200, REFER 405), SES_LATER, or the answer's status (REFER: 202) with header lines. */
	unsigned (*on_request)(void *ctx, struct ses *s, struct tp_rx *rx, struct buf *lines);
};

/* --- caller ------------------------------------------------------------------------------------
 */
struct ses_call {
	struct uac_account account;
	struct str target;        /* the URI to call */
	struct str to;            /* name-addr; empty: <target> */
	struct str headers;       /* whole lines for the INVITE only */
	const struct tp_dst *dst; /* not NULL: send there */
	bool is_late_offer;       /* INVITE without SDP: the answer goes into the ACK */
	struct str enclosed;      /* then: a body all the same, of dlg_begin_body */
	bool tells_way;           /* History-Info, and asks for it [RFC7044 6.1] */
	uint8_t max_forwards;     /* 0: 70 */
	uint8_t max_redirects;    /* 3xx to follow; 0: none (the 3xx ends the call) */
	bool is_reliable;         /* Supported: 100rel [RFC3262] */
	bool is_reliable_needed;  /* Require: 100rel */
	uint32_t session_s; /* session timer to ask for [RFC4028]; 0: only if the peer wants */
	struct str uuid;    /* the other party's, for who stands between; empty: drawn [RFC7989] */
};
/* As uac_send: an error return means that nothing will happen. */
enum err ses_call(struct dlg_mgr *m, const struct ses_call *call, const struct ses_user *user,
		  void *ctx, struct ses **out);

/* --- callee ------------------------------------------------------------------------------------
 */
struct ses_accept {
	struct str contact_user;
	struct str headers;         /* whole lines for our responses, may be empty */
	struct uac_account account; /* credentials and headers for our requests in the dialog;
				     * `from`, `contact_user`, `proxy` are not used */
	uint32_t session_s;         /* as in struct ses_call */
	bool is_between;            /* the owner stands between two parties, ses_set_uuid follows */
};
/* Takes a new INVITE (that dlg_on_request did not want). Refuses by itself, and returns ERR_STATE
 * with no session made, what no user agent may take: Require with an extension that we lack (420),
 * a body that is not SDP (415), a merged request (482), no memory (503). */
enum err ses_incoming(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx, const struct ses_accept *acc,
		      const struct ses_user *user, void *ctx, struct ses **out);
/* A provisional response 101-199; with_sdp asks for the answer (or offer) now. Sent again each
 * minute (RFC 3261 13.3.1.1). ERR_STATE when a final one was sent. */
enum err ses_ring(struct ses *s, unsigned status, bool with_sdp);
/* 200 with our SDP. ERR_STATE when the call is over or answered; when answer_offer refuses, its
 * status is sent and the session ends. */
enum err ses_answer(struct ses *s);
/* A final 3xx-6xx; reason empty: the usual one; extra whole lines (Contact for 3xx, Retry-After).
 */
enum err ses_reject(struct ses *s, unsigned status, struct str reason, struct str extra_lines);

/* --- both --------------------------------------------------------------------------------------
 */
/* Ends it in any state, the right way: CANCEL, 487/603 (callee before an answer: 603), or BYE.
 * `reason`: value of a Reason header, may be empty. ENDED follows when the peer has answered or its
 * time is over. */
void ses_hangup(struct ses *s, struct str reason);
/* re-INVITE with what make_offer gives now (hold, resume, new address). One at a time: ERR_STATE
 * before CONFIRMED or while another runs. A 491 is tried again after the RFC's wait. */
enum err ses_modify(struct ses *s);
/* INFO with a body (DTMF relay). The answer is not told, but ends the dialog if it must. */
enum err ses_info(struct ses *s, struct str content_type, struct str body);
/* Forgets the owner: no callback comes any more; the call is ended as ses_hangup does. */
void ses_drop(struct ses *s);

/* Caller: where the call went, as lines of History-Info; nothing without tells_way. */
void ses_put_way(const struct ses *s, struct buf *out);
obj_id ses_id(const struct ses *s); /* may outlive the session */
struct ses *ses_find(struct dlg_mgr *m, obj_id id);
/* Any session of that Call-ID; NULL: none. Looks through all of them: for an operator. */
struct ses *ses_find_call(struct dlg_mgr *m, struct str call_id);
struct dlg *ses_dialog(const struct ses *s); /* NULL before there is one */
struct str ses_call_id(const struct ses *s);
struct str ses_local_tag(const struct ses *s);
struct tp_rx *ses_invite(const struct ses *s); /* callee: the INVITE, until answered and ACKed */
bool ses_is_caller(const struct ses *s);
bool ses_is_confirmed(const struct ses *s);
/* Prints the machines of sessions, for `rung fsm`. */
void ses_fsm_put(struct buf *b, bool as_dot);
