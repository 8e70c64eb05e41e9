#pragma once
/* The machine of an INVITE session: its states, what moves it, what it does. [RFC3261 13, 14, 15]
 */

#include "transaction/fsm.h"

enum ses_state {
	SES_CALLING,    /* caller: INVITE under way, credentials, fail-over, redirection included */
	SES_CANCELLING, /* caller: has given up, no final response yet */
	SES_INCOMING,   /* callee: no final response sent */
	SES_ACCEPTING,  /* callee: 2xx sent, its ACK not seen */
	SES_CLOSING,    /* callee: as ACCEPTING, BYE to be sent when that is allowed */
	SES_CONFIRMED,
	SES_ENDING, /* BYE sent */
	SES_ENDED,
	SES_STATE__N
};
enum ses_fsm_event {
	SES_E_2XX,       /* the first, its SDP as it should be */
	SES_E_2XX_BAD,   /* the first, offer and answer do not come together */
	SES_E_2XX_OFFER, /* the first, with an offer that the owner answers later */
	SES_E_FAILED,    /* the INVITE came to another end */
	SES_E_ANSWER,    /* our 2xx is out */
	SES_E_REJECT,    /* our 3xx-6xx is out */
	SES_E_HANGUP,
	SES_E_CANCEL,
	SES_E_ACK,
	SES_E_ACK_BAD,
	SES_E_TIMER_ACK, /* 64*T1 without it */
	SES_E_BYE,
	SES_E_BYE_DONE,
	SES_E_GONE, /* a request inside the dialog showed that the peer knows it no more */
	SES_EV__N
};
enum ses_act {
	SES_A_STOP_2XX = 1 << 0,
	SES_A_ACK = 1 << 1,
	SES_A_487 = 1 << 2,
	SES_A_603 = 1 << 3,
	SES_A_CANCEL = 1 << 4,
	SES_A_BYE = 1 << 5,
	SES_A_CROSSED = 1 << 6, /* both sides have sent BYE */
	SES_A_TELL = 1 << 7,    /* CONFIRMED */
};
#define SES_ACTIONS 8
extern const struct fsm ses_machine;
