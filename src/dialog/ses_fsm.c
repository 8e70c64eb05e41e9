/* The machine of an INVITE session, both sides, from RFC 3261 13 to 15 with the races that RFC 5407
 * collects.
 *
 *   caller:  CALLING ──2xx──► CONFIRMED            callee:  INCOMING ──answer──► ACCEPTING
 *               │ hangup         │                             │ cancel, reject     │ ACK
 *               ▼                ▼ hangup                      ▼                    ▼
 *           CANCELLING ──2xx──► ENDING ──► ENDED ◄──────────── ┘               CONFIRMED
 *
 * What the RFC forbids shapes it: a caller may not send BYE before it has a 2xx (so CANCELLING ends
 * with ACK and BYE when CANCEL and 200 cross), a callee may not send BYE before the ACK or 64*T1
 * (so CLOSING waits). What the network may deliver at any time and says nothing new is IGNORE; BUG
 * is what our own code would have to do wrong: an ACK is an event only while a 2xx of ours waits
 * for it, a CANCEL only while the INVITE has no final response.
 */
#include "dialog/ses_priv.h"

#define BUG(state, event)                                                                          \
	{                                                                                          \
		state, event, state, FSM_BUG, ""                                                   \
	}

/* clang-format off */
static const struct fsm_row rows[] = {
	/* state          event            next            actions */
	{SES_CALLING,     SES_E_2XX,       SES_CONFIRMED,  SES_A_ACK | SES_A_TELL,             "3261 13.2.2.4"},
	{SES_CALLING,     SES_E_2XX_BAD,   SES_ENDING,     SES_A_ACK | SES_A_BYE,              "3261 13.2.2.4"},
	{SES_CALLING,     SES_E_2XX_OFFER, SES_CONFIRMED,  SES_A_TELL,                         "3261 13.2.2.4"},
	{SES_CALLING,     SES_E_FAILED,    SES_ENDED,      0,                                  "3261 13.2.2.3"},
	{SES_CALLING,     SES_E_HANGUP,    SES_CANCELLING, SES_A_CANCEL,                       "3261 15"},
	BUG(SES_CALLING, SES_E_ACK), BUG(SES_CALLING, SES_E_ACK_BAD), BUG(SES_CALLING, SES_E_BYE),
	BUG(SES_CALLING, SES_E_ANSWER), BUG(SES_CALLING, SES_E_REJECT), BUG(SES_CALLING, SES_E_CANCEL),
	BUG(SES_CALLING, SES_E_TIMER_ACK), BUG(SES_CALLING, SES_E_BYE_DONE), BUG(SES_CALLING, SES_E_GONE),

	{SES_CANCELLING,  SES_E_2XX,       SES_ENDING,     SES_A_ACK | SES_A_BYE,              "3261 9.1, 15"},
	{SES_CANCELLING,  SES_E_2XX_BAD,   SES_ENDING,     SES_A_ACK | SES_A_BYE,              "3261 9.1, 15"},
	{SES_CANCELLING,  SES_E_FAILED,    SES_ENDED,      0,                                  "3261 9.1"},
	{SES_CANCELLING,  SES_E_HANGUP,    SES_CANCELLING, FSM_IGNORE,                         "3261 9.1"},
	BUG(SES_CANCELLING, SES_E_2XX_OFFER), BUG(SES_CANCELLING, SES_E_ACK), BUG(SES_CANCELLING, SES_E_ACK_BAD), BUG(SES_CANCELLING, SES_E_BYE),
	BUG(SES_CANCELLING, SES_E_ANSWER), BUG(SES_CANCELLING, SES_E_REJECT), BUG(SES_CANCELLING, SES_E_CANCEL),
	BUG(SES_CANCELLING, SES_E_TIMER_ACK), BUG(SES_CANCELLING, SES_E_BYE_DONE), BUG(SES_CANCELLING, SES_E_GONE),

	{SES_INCOMING,    SES_E_ANSWER,    SES_ACCEPTING,  0,                                  "3261 13.3.1.4"},
	{SES_INCOMING,    SES_E_REJECT,    SES_ENDED,      0,                                  "3261 13.3.1.3"},
	{SES_INCOMING,    SES_E_HANGUP,    SES_ENDED,      SES_A_603,                          "3261 13.3.1.3"},
	{SES_INCOMING,    SES_E_CANCEL,    SES_ENDED,      SES_A_487,                          "3261 9.2"},
	{SES_INCOMING,    SES_E_BYE,       SES_ENDED,      SES_A_487,                          "3261 15.1.2"},
	BUG(SES_INCOMING, SES_E_ACK), BUG(SES_INCOMING, SES_E_ACK_BAD),
	BUG(SES_INCOMING, SES_E_2XX), BUG(SES_INCOMING, SES_E_2XX_BAD), BUG(SES_INCOMING, SES_E_2XX_OFFER), BUG(SES_INCOMING, SES_E_FAILED),
	BUG(SES_INCOMING, SES_E_TIMER_ACK), BUG(SES_INCOMING, SES_E_BYE_DONE), BUG(SES_INCOMING, SES_E_GONE),

	{SES_ACCEPTING,   SES_E_ACK,       SES_CONFIRMED,  SES_A_STOP_2XX | SES_A_TELL,        "3261 13.3.1.4"},
	{SES_ACCEPTING,   SES_E_ACK_BAD,   SES_ENDING,     SES_A_STOP_2XX | SES_A_BYE,         "3264 4"},
	{SES_ACCEPTING,   SES_E_TIMER_ACK, SES_ENDING,     SES_A_STOP_2XX | SES_A_BYE,         "3261 13.3.1.4"},
	{SES_ACCEPTING,   SES_E_HANGUP,    SES_CLOSING,    0,                                  "3261 15"},
	{SES_ACCEPTING,   SES_E_BYE,       SES_ENDED,      SES_A_STOP_2XX,                     "5407 3.1.2"},
	BUG(SES_ACCEPTING, SES_E_GONE), BUG(SES_ACCEPTING, SES_E_CANCEL),
	BUG(SES_ACCEPTING, SES_E_2XX), BUG(SES_ACCEPTING, SES_E_2XX_BAD), BUG(SES_ACCEPTING, SES_E_2XX_OFFER), BUG(SES_ACCEPTING, SES_E_FAILED),
	BUG(SES_ACCEPTING, SES_E_ANSWER), BUG(SES_ACCEPTING, SES_E_REJECT), BUG(SES_ACCEPTING, SES_E_BYE_DONE),

	{SES_CLOSING,     SES_E_ACK,       SES_ENDING,     SES_A_STOP_2XX | SES_A_BYE,         "3261 15"},
	{SES_CLOSING,     SES_E_ACK_BAD,   SES_ENDING,     SES_A_STOP_2XX | SES_A_BYE,         "3261 15"},
	{SES_CLOSING,     SES_E_TIMER_ACK, SES_ENDING,     SES_A_STOP_2XX | SES_A_BYE,         "3261 15"},
	{SES_CLOSING,     SES_E_BYE,       SES_ENDED,      SES_A_STOP_2XX,                     "5407 3.1.2"},
	{SES_CLOSING,     SES_E_HANGUP,    SES_CLOSING,    FSM_IGNORE,                         "3261 15"},
	BUG(SES_CLOSING, SES_E_GONE), BUG(SES_CLOSING, SES_E_CANCEL),
	BUG(SES_CLOSING, SES_E_2XX), BUG(SES_CLOSING, SES_E_2XX_BAD), BUG(SES_CLOSING, SES_E_2XX_OFFER), BUG(SES_CLOSING, SES_E_FAILED),
	BUG(SES_CLOSING, SES_E_ANSWER), BUG(SES_CLOSING, SES_E_REJECT), BUG(SES_CLOSING, SES_E_BYE_DONE),

	{SES_CONFIRMED,   SES_E_HANGUP,    SES_ENDING,     SES_A_STOP_2XX | SES_A_BYE,         "3261 15.1.1"},
	{SES_CONFIRMED,   SES_E_BYE,       SES_ENDED,      SES_A_STOP_2XX,                     "3261 15.1.2"},
	{SES_CONFIRMED,   SES_E_GONE,      SES_ENDED,      SES_A_STOP_2XX,                     "3261 12.2.1.2"},
	{SES_CONFIRMED,   SES_E_TIMER_ACK, SES_ENDING,     SES_A_STOP_2XX | SES_A_BYE,         "3261 14.2"},
	BUG(SES_CONFIRMED, SES_E_ACK), BUG(SES_CONFIRMED, SES_E_ACK_BAD), BUG(SES_CONFIRMED, SES_E_CANCEL),
	BUG(SES_CONFIRMED, SES_E_2XX), BUG(SES_CONFIRMED, SES_E_2XX_BAD), BUG(SES_CONFIRMED, SES_E_2XX_OFFER), BUG(SES_CONFIRMED, SES_E_FAILED),
	BUG(SES_CONFIRMED, SES_E_ANSWER), BUG(SES_CONFIRMED, SES_E_REJECT), BUG(SES_CONFIRMED, SES_E_BYE_DONE),

	{SES_ENDING,      SES_E_BYE_DONE,  SES_ENDED,      0,                                  "3261 15.1.1"},
	{SES_ENDING,      SES_E_BYE,       SES_ENDING,     SES_A_CROSSED,                      "5407 3.1.2"},
	{SES_ENDING,      SES_E_HANGUP,    SES_ENDING,     FSM_IGNORE,                         "3261 15.1.1"},
	BUG(SES_ENDING, SES_E_GONE), BUG(SES_ENDING, SES_E_ACK), BUG(SES_ENDING, SES_E_ACK_BAD), BUG(SES_ENDING, SES_E_CANCEL),
	BUG(SES_ENDING, SES_E_2XX), BUG(SES_ENDING, SES_E_2XX_BAD), BUG(SES_ENDING, SES_E_2XX_OFFER), BUG(SES_ENDING, SES_E_FAILED),
	BUG(SES_ENDING, SES_E_ANSWER), BUG(SES_ENDING, SES_E_REJECT), BUG(SES_ENDING, SES_E_TIMER_ACK),
};
/* clang-format on */

static const char *const states[] = {"CALLING", "CANCELLING", "INCOMING", "ACCEPTING",
				     "CLOSING", "CONFIRMED",  "ENDING",   "ENDED"};
static const char *const events[] = {"2XX",       "2XX_BAD", "2XX_OFFER", "FAILED", "ANSWER",
				     "REJECT",    "HANGUP",  "CANCEL",    "ACK",    "ACK_BAD",
				     "TIMER_ACK", "BYE",     "BYE_DONE",  "GONE"};
static const char *const actions[] = {"stop_2xx", "ack", "487",     "603",
				      "cancel",   "bye", "crossed", "tell"};

const struct fsm ses_machine = {.name = "session",
				.title = "INVITE session",
				.states = states,
				.events = events,
				.actions = actions,
				.n_states = SES_STATE__N,
				.n_events = SES_EV__N,
				.n_actions = SES_ACTIONS,
				.rows = rows,
				.n_rows = ARRAY_LEN(rows)};

void ses_fsm_put(struct buf *b, bool as_dot)
{
	fsm_put(b, &ses_machine, as_dot);
}
