#pragma once
/* What a call, registration or subscription came to, in figures: worked out of its rows when asked
 * for, so that it costs nothing before. */

#include "track/trk.h"

#define TRK_NO_TIME UINT64_MAX

enum trk_ended_by { TRK_END_NONE, TRK_END_CALLER, TRK_END_CALLEE, TRK_END_BETWEEN };

struct trk_info {
	/* µs, TRK_NO_TIME where it did not come to that; as the caller's hop saw them */
	uint64_t pdd_us;   /* post-dial delay: first INVITE to the first 18x [RFC6076 4.3] */
	uint64_t setup_us; /* first INVITE to the answer */
	uint64_t ring_us;  /* first 18x to the answer or the end */
	uint64_t talk_us;  /* answer to the first BYE */
	uint8_t n_early;   /* To tags that came back for the INVITE: phones, where it was forked */
	uint8_t winner;    /* which of them answered, from 1; 0 none */
	uint16_t n_reinvite, n_update, n_prack, n_refer, n_info; /* within the dialog, both ways */
	uint8_t ended_by;                                        /* enum trk_ended_by */
	struct str reason, refer_to, refer_result; /* of BYE or CANCEL; of the last REFER, NOTIFY */
	/* registrations and subscriptions */
	struct str contact, package, state; /* state: Subscription-State of the last NOTIFY */
	bool has_expires;
	uint32_t expires_s;   /* granted, else asked for; 0: removed, ended */
	uint16_t n_refreshed; /* granted again, after the first time */
	uint16_t n_notify;
};
/* The request that a response answers: of its CSeq, number and method, the other way between the
 * same two ends; of an ACK the INVITE that went the same way. Of one that was sent again the first;
 * NULL when there is none. [RFC3261 8.1.3.3, 17.1.1.3, 17.1.3] */
const struct trk_ev *trk_request_of(const struct trk *t, const struct trk_ev *e);
/* Texts borrow the call's. Without memory for the history everything is empty. */
void trk_info(struct trk *t, const struct trk_call *c, struct trk_info *out);
/* "setup", "ringing", "up", "ending" or "ended". */
struct str trk_state_name(const struct trk_call *c);
