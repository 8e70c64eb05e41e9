/* The four machines of RFC 3261 17 as tables, with RFC 6026 (Accepted, Timers L and M) and RFC 4320
 * (what a non-INVITE transaction may not send).
 *
 * Words: CALLING, TRYING ... are the RFC's states; CANCEL_WAITS and CANCELLING split CALLING and
 * PROCEEDING of the INVITE client by whether its user has given up (RFC 3261 9.1: a CANCEL waits
 * for the first provisional response, and 64*T1 after it the transaction is given up). The last
 * state of each machine has no rows: the object is gone.
 *
 * Deviations, each on purpose:
 * 1. A 2xx that comes after a non-2xx final (a fork downstream answered too late) is given to the
 *    user as a stray, so that a user agent can end that dialog with ACK and BYE; a server that has
 *    sent a non-2xx lets a 2xx pass. [RFC3261 16.7 step 5]
 * 2. A non-INVITE server transaction is not kept for ever when its user does not answer: Timer
 *    EXPIRE is 64*T1 after the request, when its client has given up. [RFC4320 4.2]
 * 3. A 408 to a non-INVITE moves the machine and sends nothing. [RFC4320 4.2]
 */
#include "transaction/priv.h"

#define BUG(state, event)                                                                          \
	{                                                                                          \
		state, event, state, FSM_BUG, ""                                                   \
	}

/* clang-format off */

/* INVITE client transaction. [RFC3261 17.1.1.2] [RFC6026 7.2, 8.4] */
static const struct fsm_row ict_rows[] = {
	/* state          event             next              actions */
	{ICT_CALLING,      ICT_TIMER_A,      ICT_CALLING,      ACT_RESEND | ACT_DOUBLE,                        "3261 17.1.1.2"},
	{ICT_CALLING,      ICT_TIMER_B,      ICT_TERMINATED,   ACT_END_TIMEOUT,                                "3261 17.1.1.2"},
	{ICT_CALLING,      ICT_1XX,          ICT_PROCEEDING,   ACT_TELL | ACT_STOP_R | ACT_STOP_D,             "3261 17.1.1.2"},
	{ICT_CALLING,      ICT_2XX,          ICT_ACCEPTED,     ACT_TELL | ACT_STOP_R | ACT_START_M,            "6026 8.4"},
	{ICT_CALLING,      ICT_3XX_6XX,      ICT_COMPLETED,    ACT_TELL | ACT_ACK | ACT_STOP_R | ACT_START_D,  "3261 17.1.1.2"},
	{ICT_CALLING,      ICT_TRANSPORT,    ICT_TERMINATED,   ACT_END_TRANSPORT,                              "3261 17.1.4"},
	{ICT_CALLING,      ICT_CANCEL,       ICT_CANCEL_WAITS, 0,                                              "3261 9.1"},
	BUG(ICT_CALLING, ICT_TIMER_D), BUG(ICT_CALLING, ICT_TIMER_M), BUG(ICT_CALLING, ICT_TIMER_CANCEL),

	{ICT_CANCEL_WAITS, ICT_TIMER_A,      ICT_CANCEL_WAITS, ACT_RESEND | ACT_DOUBLE,                        "3261 17.1.1.2"},
	{ICT_CANCEL_WAITS, ICT_TIMER_B,      ICT_TERMINATED,   ACT_END_TIMEOUT,                                "3261 17.1.1.2"},
	{ICT_CANCEL_WAITS, ICT_1XX,          ICT_CANCELLING,   ACT_TELL | ACT_STOP_R | ACT_CANCEL | ACT_START_CANCEL, "3261 9.1"},
	{ICT_CANCEL_WAITS, ICT_2XX,          ICT_ACCEPTED,     ACT_TELL | ACT_STOP_R | ACT_START_M,            "6026 8.4"},
	{ICT_CANCEL_WAITS, ICT_3XX_6XX,      ICT_COMPLETED,    ACT_TELL | ACT_ACK | ACT_STOP_R | ACT_START_D,  "3261 17.1.1.2"},
	{ICT_CANCEL_WAITS, ICT_TRANSPORT,    ICT_TERMINATED,   ACT_END_TRANSPORT,                              "3261 17.1.4"},
	{ICT_CANCEL_WAITS, ICT_CANCEL,       ICT_CANCEL_WAITS, FSM_IGNORE,                                     "3261 9.1"},
	BUG(ICT_CANCEL_WAITS, ICT_TIMER_D), BUG(ICT_CANCEL_WAITS, ICT_TIMER_M), BUG(ICT_CANCEL_WAITS, ICT_TIMER_CANCEL),

	{ICT_PROCEEDING,   ICT_1XX,          ICT_PROCEEDING,   ACT_TELL,                                       "3261 17.1.1.2"},
	{ICT_PROCEEDING,   ICT_2XX,          ICT_ACCEPTED,     ACT_TELL | ACT_START_M,                         "6026 8.4"},
	{ICT_PROCEEDING,   ICT_3XX_6XX,      ICT_COMPLETED,    ACT_TELL | ACT_ACK | ACT_START_D,               "3261 17.1.1.2"},
	{ICT_PROCEEDING,   ICT_CANCEL,       ICT_CANCELLING,   ACT_CANCEL | ACT_START_CANCEL,                  "3261 9.1"},
	{ICT_PROCEEDING,   ICT_TIMER_CANCEL, ICT_TERMINATED,   ACT_END_TIMEOUT,                                "3261 9.1"},
	{ICT_PROCEEDING,   ICT_TRANSPORT,    ICT_PROCEEDING,   FSM_IGNORE,                                     "3261 17.1.1.2"},
	BUG(ICT_PROCEEDING, ICT_TIMER_A), BUG(ICT_PROCEEDING, ICT_TIMER_B), BUG(ICT_PROCEEDING, ICT_TIMER_D),
	BUG(ICT_PROCEEDING, ICT_TIMER_M),

	{ICT_CANCELLING,   ICT_1XX,          ICT_CANCELLING,   ACT_TELL,                                       "3261 17.1.1.2"},
	{ICT_CANCELLING,   ICT_2XX,          ICT_ACCEPTED,     ACT_TELL | ACT_START_M,                         "6026 8.4"},
	{ICT_CANCELLING,   ICT_3XX_6XX,      ICT_COMPLETED,    ACT_TELL | ACT_ACK | ACT_START_D,               "3261 17.1.1.2"},
	{ICT_CANCELLING,   ICT_TIMER_CANCEL, ICT_TERMINATED,   ACT_END_TIMEOUT,                                "3261 9.1"},
	{ICT_CANCELLING,   ICT_CANCEL,       ICT_CANCELLING,   FSM_IGNORE,                                     "3261 9.1"},
	{ICT_CANCELLING,   ICT_TRANSPORT,    ICT_CANCELLING,   FSM_IGNORE,                                     "3261 17.1.1.2"},
	BUG(ICT_CANCELLING, ICT_TIMER_A), BUG(ICT_CANCELLING, ICT_TIMER_B), BUG(ICT_CANCELLING, ICT_TIMER_D),
	BUG(ICT_CANCELLING, ICT_TIMER_M),

	{ICT_ACCEPTED,     ICT_1XX,          ICT_ACCEPTED,     FSM_IGNORE,                                     "6026 8.4"},
	{ICT_ACCEPTED,     ICT_2XX,          ICT_ACCEPTED,     ACT_TELL,                                       "6026 8.4"},
	{ICT_ACCEPTED,     ICT_3XX_6XX,      ICT_ACCEPTED,     FSM_IGNORE,                                     "6026 8.4"},
	{ICT_ACCEPTED,     ICT_TIMER_M,      ICT_TERMINATED,   ACT_END_DONE,                                   "6026 8.4"},
	{ICT_ACCEPTED,     ICT_CANCEL,       ICT_ACCEPTED,     FSM_IGNORE,                                     "3261 9.1"},
	{ICT_ACCEPTED,     ICT_TRANSPORT,    ICT_ACCEPTED,     FSM_IGNORE,                                     "6026 8.4"},
	BUG(ICT_ACCEPTED, ICT_TIMER_A), BUG(ICT_ACCEPTED, ICT_TIMER_B), BUG(ICT_ACCEPTED, ICT_TIMER_D),
	BUG(ICT_ACCEPTED, ICT_TIMER_CANCEL),

	{ICT_COMPLETED,    ICT_1XX,          ICT_COMPLETED,    FSM_IGNORE,                                     "3261 17.1.1.2"},
	{ICT_COMPLETED,    ICT_2XX,          ICT_COMPLETED,    ACT_TELL_STRAY,                                 "3261 16.7"},
	{ICT_COMPLETED,    ICT_3XX_6XX,      ICT_COMPLETED,    ACT_ACK | ACT_ABSORB,                           "3261 17.1.1.2"},
	{ICT_COMPLETED,    ICT_TIMER_D,      ICT_TERMINATED,   ACT_END_DONE,                                   "3261 17.1.1.2"},
	{ICT_COMPLETED,    ICT_TRANSPORT,    ICT_TERMINATED,   ACT_END_DONE,                                   "3261 17.1.1.2"},
	{ICT_COMPLETED,    ICT_CANCEL,       ICT_COMPLETED,    FSM_IGNORE,                                     "3261 9.1"},
	BUG(ICT_COMPLETED, ICT_TIMER_A), BUG(ICT_COMPLETED, ICT_TIMER_B), BUG(ICT_COMPLETED, ICT_TIMER_M),
	BUG(ICT_COMPLETED, ICT_TIMER_CANCEL),
};

/* Non-INVITE client transaction. [RFC3261 17.1.2.2] */
static const struct fsm_row nict_rows[] = {
	{NICT_TRYING,      NICT_TIMER_E,     NICT_TRYING,      ACT_RESEND | ACT_DOUBLE_T2,                     "3261 17.1.2.2"},
	{NICT_TRYING,      NICT_TIMER_F,     NICT_TERMINATED,  ACT_END_TIMEOUT,                                "3261 17.1.2.2"},
	{NICT_TRYING,      NICT_1XX,         NICT_PROCEEDING,  ACT_TELL,                                       "3261 17.1.2.2"},
	{NICT_TRYING,      NICT_FINAL,       NICT_COMPLETED,   ACT_TELL | ACT_STOP_R | ACT_START_K,            "3261 17.1.2.2"},
	{NICT_TRYING,      NICT_TRANSPORT,   NICT_TERMINATED,  ACT_END_TRANSPORT,                              "3261 17.1.4"},
	BUG(NICT_TRYING, NICT_TIMER_K),

	{NICT_PROCEEDING,  NICT_TIMER_E,     NICT_PROCEEDING,  ACT_RESEND | ACT_FLAT_T2,                       "3261 17.1.2.2"},
	{NICT_PROCEEDING,  NICT_TIMER_F,     NICT_TERMINATED,  ACT_END_TIMEOUT,                                "3261 17.1.2.2"},
	{NICT_PROCEEDING,  NICT_1XX,         NICT_PROCEEDING,  ACT_TELL,                                       "3261 17.1.2.2"},
	{NICT_PROCEEDING,  NICT_FINAL,       NICT_COMPLETED,   ACT_TELL | ACT_STOP_R | ACT_START_K,            "3261 17.1.2.2"},
	{NICT_PROCEEDING,  NICT_TRANSPORT,   NICT_TERMINATED,  ACT_END_TRANSPORT,                              "3261 17.1.4"},
	BUG(NICT_PROCEEDING, NICT_TIMER_K),

	{NICT_COMPLETED,   NICT_1XX,         NICT_COMPLETED,   FSM_IGNORE,                                     "3261 17.1.2.2"},
	{NICT_COMPLETED,   NICT_FINAL,       NICT_COMPLETED,   ACT_ABSORB,                                     "3261 17.1.2.2"},
	{NICT_COMPLETED,   NICT_TIMER_K,     NICT_TERMINATED,  ACT_END_DONE,                                   "3261 17.1.2.2"},
	{NICT_COMPLETED,   NICT_TRANSPORT,   NICT_COMPLETED,   FSM_IGNORE,                                     "3261 17.1.2.2"},
	BUG(NICT_COMPLETED, NICT_TIMER_E), BUG(NICT_COMPLETED, NICT_TIMER_F),
};

/* INVITE server transaction. Transport errors never end it. [RFC3261 17.2.1] [RFC6026 7.1, 8.5] */
static const struct fsm_row ist_rows[] = {
	{IST_PROCEEDING,   IST_TIMER_100,    IST_PROCEEDING,   ACT_100,                                        "3261 17.2.1"},
	{IST_PROCEEDING,   IST_INVITE,       IST_PROCEEDING,   ACT_RESEND | ACT_ABSORB,                        "3261 17.2.1"},
	{IST_PROCEEDING,   IST_ACK,          IST_PROCEEDING,   FSM_IGNORE,                                     "3261 17.2.1"},
	{IST_PROCEEDING,   IST_SEND_1XX,     IST_PROCEEDING,   ACT_SEND | ACT_STOP_D,                          "3261 17.2.1"},
	{IST_PROCEEDING,   IST_SEND_2XX,     IST_ACCEPTED,     ACT_SEND | ACT_START_L,                         "6026 8.5"},
	{IST_PROCEEDING,   IST_SEND_3XX_6XX, IST_COMPLETED,    ACT_SEND | ACT_START_G | ACT_START_H,           "3261 17.2.1"},
	{IST_PROCEEDING,   IST_TRANSPORT,    IST_PROCEEDING,   FSM_IGNORE,                                     "6026 8.5"},
	BUG(IST_PROCEEDING, IST_TIMER_G), BUG(IST_PROCEEDING, IST_TIMER_H), BUG(IST_PROCEEDING, IST_TIMER_I),
	BUG(IST_PROCEEDING, IST_TIMER_L),

	{IST_ACCEPTED,     IST_INVITE,       IST_ACCEPTED,     ACT_ABSORB,                                     "6026 8.5"},
	{IST_ACCEPTED,     IST_ACK,          IST_ACCEPTED,     ACT_TELL_ACK,                                   "6026 8.5"},
	{IST_ACCEPTED,     IST_SEND_1XX,     IST_ACCEPTED,     FSM_REFUSE,                                     "6026 8.5"},
	{IST_ACCEPTED,     IST_SEND_2XX,     IST_ACCEPTED,     ACT_SEND,                                       "6026 8.5"},
	{IST_ACCEPTED,     IST_SEND_3XX_6XX, IST_ACCEPTED,     FSM_REFUSE,                                     "6026 8.5"},
	{IST_ACCEPTED,     IST_TIMER_L,      IST_TERMINATED,   ACT_END_DONE,                                   "6026 8.5"},
	{IST_ACCEPTED,     IST_TRANSPORT,    IST_ACCEPTED,     FSM_IGNORE,                                     "6026 8.5"},
	BUG(IST_ACCEPTED, IST_TIMER_100), BUG(IST_ACCEPTED, IST_TIMER_G), BUG(IST_ACCEPTED, IST_TIMER_H),
	BUG(IST_ACCEPTED, IST_TIMER_I),

	{IST_COMPLETED,    IST_TIMER_G,      IST_COMPLETED,    ACT_RESEND | ACT_DOUBLE_T2,                     "3261 17.2.1"},
	{IST_COMPLETED,    IST_TIMER_H,      IST_TERMINATED,   ACT_END_TIMEOUT,                                "3261 17.2.1"},
	{IST_COMPLETED,    IST_INVITE,       IST_COMPLETED,    ACT_RESEND | ACT_ABSORB,                        "3261 17.2.1"},
	{IST_COMPLETED,    IST_ACK,          IST_CONFIRMED,    ACT_STOP_R | ACT_START_I,                       "3261 17.2.1"},
	{IST_COMPLETED,    IST_SEND_1XX,     IST_COMPLETED,    FSM_REFUSE,                                     "3261 17.2.1"},
	{IST_COMPLETED,    IST_SEND_2XX,     IST_COMPLETED,    ACT_SEND,                                       "3261 16.7"},
	{IST_COMPLETED,    IST_SEND_3XX_6XX, IST_COMPLETED,    FSM_REFUSE,                                     "3261 17.2.1"},
	{IST_COMPLETED,    IST_TRANSPORT,    IST_COMPLETED,    FSM_IGNORE,                                     "6026 8.5"},
	BUG(IST_COMPLETED, IST_TIMER_100), BUG(IST_COMPLETED, IST_TIMER_I), BUG(IST_COMPLETED, IST_TIMER_L),

	{IST_CONFIRMED,    IST_INVITE,       IST_CONFIRMED,    ACT_ABSORB,                                     "3261 17.2.1"},
	{IST_CONFIRMED,    IST_ACK,          IST_CONFIRMED,    ACT_ABSORB,                                     "3261 17.2.1"},
	{IST_CONFIRMED,    IST_SEND_1XX,     IST_CONFIRMED,    FSM_REFUSE,                                     "3261 17.2.1"},
	{IST_CONFIRMED,    IST_SEND_2XX,     IST_CONFIRMED,    ACT_SEND,                                       "3261 16.7"},
	{IST_CONFIRMED,    IST_SEND_3XX_6XX, IST_CONFIRMED,    FSM_REFUSE,                                     "3261 17.2.1"},
	{IST_CONFIRMED,    IST_TIMER_I,      IST_TERMINATED,   ACT_END_DONE,                                   "3261 17.2.1"},
	{IST_CONFIRMED,    IST_TRANSPORT,    IST_CONFIRMED,    FSM_IGNORE,                                     "6026 8.5"},
	BUG(IST_CONFIRMED, IST_TIMER_100), BUG(IST_CONFIRMED, IST_TIMER_G), BUG(IST_CONFIRMED, IST_TIMER_H),
	BUG(IST_CONFIRMED, IST_TIMER_L),
};

/* Non-INVITE server transaction. COMPLETED lives in a record. [RFC3261 17.2.2] [RFC4320 4] */
static const struct fsm_row nist_rows[] = {
	{NIST_TRYING,      NIST_TIMER_100,    NIST_PROCEEDING, ACT_100 | ACT_START_EXPIRE,                     "4320 4.1"},
	{NIST_TRYING,      NIST_REQUEST,      NIST_TRYING,     ACT_ABSORB,                                     "3261 17.2.2"},
	{NIST_TRYING,      NIST_SEND_100,     NIST_PROCEEDING, ACT_SEND | ACT_START_EXPIRE,                    "4320 4.1"},
	{NIST_TRYING,      NIST_SEND_1XX,     NIST_TRYING,     FSM_REFUSE,                                     "4320 4.1"},
	{NIST_TRYING,      NIST_SEND_FINAL,   NIST_COMPLETED,  ACT_SEND | ACT_START_J | ACT_RELEASE,           "3261 17.2.2"},
	{NIST_TRYING,      NIST_SEND_408,     NIST_COMPLETED,  ACT_START_J | ACT_RELEASE,                      "4320 4.2"},
	BUG(NIST_TRYING, NIST_TIMER_EXPIRE), BUG(NIST_TRYING, NIST_TIMER_J), BUG(NIST_TRYING, NIST_TRANSPORT),

	{NIST_PROCEEDING,  NIST_TIMER_EXPIRE, NIST_TERMINATED, ACT_END_TIMEOUT,                                "4320 4.2"},
	{NIST_PROCEEDING,  NIST_REQUEST,      NIST_PROCEEDING, ACT_RESEND | ACT_ABSORB,                        "3261 17.2.2"},
	{NIST_PROCEEDING,  NIST_SEND_100,     NIST_PROCEEDING, FSM_IGNORE,                                     "4320 4.1"},
	{NIST_PROCEEDING,  NIST_SEND_1XX,     NIST_PROCEEDING, FSM_REFUSE,                                     "4320 4.1"},
	{NIST_PROCEEDING,  NIST_SEND_FINAL,   NIST_COMPLETED,  ACT_SEND | ACT_START_J | ACT_RELEASE,           "3261 17.2.2"},
	{NIST_PROCEEDING,  NIST_SEND_408,     NIST_COMPLETED,  ACT_START_J | ACT_RELEASE,                      "4320 4.2"},
	{NIST_PROCEEDING,  NIST_TRANSPORT,    NIST_TERMINATED, ACT_END_TRANSPORT,                              "3261 17.2.4"},
	BUG(NIST_PROCEEDING, NIST_TIMER_100), BUG(NIST_PROCEEDING, NIST_TIMER_J),

	{NIST_COMPLETED,   NIST_REQUEST,      NIST_COMPLETED,  ACT_RESEND | ACT_ABSORB,                        "3261 17.2.2"},
	{NIST_COMPLETED,   NIST_TIMER_J,      NIST_TERMINATED, ACT_END_DONE,                                   "3261 17.2.2"},
	BUG(NIST_COMPLETED, NIST_SEND_100), BUG(NIST_COMPLETED, NIST_SEND_1XX), BUG(NIST_COMPLETED, NIST_SEND_FINAL),
	BUG(NIST_COMPLETED, NIST_SEND_408), BUG(NIST_COMPLETED, NIST_TRANSPORT), BUG(NIST_COMPLETED, NIST_TIMER_100),
	BUG(NIST_COMPLETED, NIST_TIMER_EXPIRE),
};

/* clang-format on */

static const char *const act_names[TSX_ACTIONS] = {
	"send",    "resend",   "100",        "absorb",  "ack",     "cancel",       "stop_R",
	"stop_D",  "double",   "double_T2",  "flat_T2", "start_G", "start_D",      "start_H",
	"start_I", "start_J",  "start_K",    "start_L", "start_M", "start_cancel", "start_expire",
	"tell",    "tell_ack", "tell_stray", "done",    "timeout", "transport",    "release",
};

static const char *const ict_states[] = {"CALLING",  "CANCEL_WAITS", "PROCEEDING", "CANCELLING",
					 "ACCEPTED", "COMPLETED",    "TERMINATED"};
static const char *const ict_events[] = {"TIMER_A",      "TIMER_B", "TIMER_D", "TIMER_M",
					 "TIMER_CANCEL", "1XX",     "2XX",     "3XX_6XX",
					 "TRANSPORT",    "CANCEL"};
static const char *const nict_states[] = {"TRYING", "PROCEEDING", "COMPLETED", "TERMINATED"};
static const char *const nict_events[] = {"TIMER_E", "TIMER_F", "TIMER_K",
					  "1XX",     "FINAL",   "TRANSPORT"};
static const char *const ist_states[] = {"PROCEEDING", "ACCEPTED", "COMPLETED", "CONFIRMED",
					 "TERMINATED"};
static const char *const ist_events[] = {"TIMER_100", "TIMER_G",      "TIMER_H",  "TIMER_I",
					 "TIMER_L",   "INVITE",       "ACK",      "SEND_1XX",
					 "SEND_2XX",  "SEND_3XX_6XX", "TRANSPORT"};
static const char *const nist_states[] = {"TRYING", "PROCEEDING", "COMPLETED", "TERMINATED"};
static const char *const nist_events[] = {"TIMER_100",  "TIMER_EXPIRE", "TIMER_J",
					  "REQUEST",    "SEND_100",     "SEND_1XX",
					  "SEND_FINAL", "SEND_408",     "TRANSPORT"};

#define MACHINE(low, n_s, n_e, text)                                                               \
	{                                                                                          \
		.name = #low, .title = text, .states = low##_states, .events = low##_events,       \
		.actions = act_names, .n_states = n_s, .n_events = n_e, .n_actions = TSX_ACTIONS,  \
		.rows = low##_rows, .n_rows = ARRAY_LEN(low##_rows)                                \
	}

const struct fsm tsx_machines[TSX_MACHINES] = {
	[TSX_ICT] = MACHINE(ict, ICT__N, ICT_EV__N, "INVITE client transaction"),
	[TSX_NICT] = MACHINE(nict, NICT__N, NICT_EV__N, "non-INVITE client transaction"),
	[TSX_IST] = MACHINE(ist, IST__N, IST_EV__N, "INVITE server transaction"),
	[TSX_NIST] = MACHINE(nist, NIST__N, NIST_EV__N, "non-INVITE server transaction"),
};

void tsx_fsm_put(struct buf *b, bool as_dot)
{
	for (unsigned i = 0; i < TSX_MACHINES; i++) {
		if (i && !as_dot)
			buf_chr(b, '\n');
		fsm_put(b, &tsx_machines[i], as_dot);
	}
}
