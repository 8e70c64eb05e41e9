#pragma once
/* What the files of INVITE sessions share. */

#include "dialog/priv.h"

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
	SES_E_2XX,     /* the first, its SDP as it should be */
	SES_E_2XX_BAD, /* the first, offer and answer do not come together */
	SES_E_FAILED,  /* the INVITE came to another end */
	SES_E_ANSWER,  /* our 2xx is out */
	SES_E_REJECT,  /* our 3xx-6xx is out */
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

#define SES_FORKS    8 /* early dialogs kept; a 2xx of a further one is heard all the same */
#define SES_TARGETS  8 /* Contacts of 3xx, waiting to be tried */
#define SES_QUEUE    4 /* events of one entry */
#define SES_INFOS    4 /* INFO requests under way */
#define SES_TEXT_MAX 96

struct ses_2xx { /* a 2xx of ours that waits for its ACK [RFC3261 13.3.1.4] */
	bool is_active, is_initial;
	bool wants_answer; /* it carries our offer */
	tsx_id st;
	uint32_t cseq, interval_us, n_bytes;
	char *bytes; /* a block */
	struct tmr retransmit, deadline;
};

struct ses_queued {
	enum ses_event_kind kind;
	unsigned status;
	enum ses_by by;
	struct tp_rx *rx; /* referenced */
};

struct ses {
	struct dlg_mgr *m;
	const struct ses_user *user; /* NULL: dropped */
	void *ctx;
	uint8_t state; /* enum ses_state */
	bool is_caller, is_telling;
	struct dlg_usage usage;
	struct dlg *d; /* the dialog; caller: after the 2xx */

	/* caller */
	struct dlg *half; /* identity of the INVITE */
	struct uac *invite;
	struct dlg *forks[SES_FORKS];
	unsigned n_forks;
	struct dlg *early_of; /* whose early answer `early` is */
	struct buf early;
	bool is_late_offer;
	uint8_t max_forwards, redirects_left;
	struct str headers;
	struct str targets[SES_TARGETS];
	unsigned n_targets;
	struct str ack_auth; /* credentials of the INVITE, borrowed during a step */

	/* callee */
	tsx_id st;
	struct tp_rx *rx; /* the INVITE, until its ACK */
	struct buf local; /* our SDP, for provisional and final responses alike */
	struct str reply_headers;
	unsigned ring_status;
	bool ring_has_sdp;
	struct tmr ring; /* repeats the provisional response */
	struct ses_2xx ok;

	/* changes */
	struct uac *modify;
	struct tmr glare; /* after 491 */
	struct uac *bye, *infos[SES_INFOS];

	/* the end, known before it is told */
	struct ses_end end;
	bool has_end, has_crossed;
	char end_text[SES_TEXT_MAX];
	char bye_reason[SES_TEXT_MAX];

	struct ses_queued queue[SES_QUEUE];
	unsigned n_queued;
	struct ev_task task;
	struct arena arena;
	_Alignas(16) char mem[512];
};

/* --- session.c ----------------------------------------------------------------------------------
 */
struct ses *ses_alloc(struct dlg_mgr *m, const struct ses_user *user, void *ctx);
/* One event of the machine. `body`: of the ACK that it may send. */
void ses_step(struct ses *s, enum ses_fsm_event ev, struct str ack_body);
/* Says how it ended; the first word counts. text empty: ses_cause_text. */
void ses_set_end(struct ses *s, enum ses_by by, enum ses_cause cause, unsigned status,
		 struct str text);
/* Queues an event for the owner. */
void ses_tell(struct ses *s, enum ses_event_kind kind, unsigned status, enum ses_by by,
	      struct tp_rx *rx);
/* Tells what is queued; the last thing that an entry from the loop does: the session may be gone
 * afterwards. */
void ses_flush(struct ses *s);
void ses_flush_later(struct ses *s); /* after a call of the owner */
/* The text of a Reason header, else of the status line. [RFC3326] */
struct str ses_text_of(const struct sip_msg *msg);

/* --- ses_uac.c, ses_uas.c, ses_modify.c, ses_request.c
 * --------------------------------------------- */
void ses_uac_drop_forks(struct ses *s, const struct dlg *but);
extern const struct dlg_usage_ops ses_usage_ops;
void ses_on_2xx_again(struct dlg_usage *u, struct tp_rx *rx);
void ses_on_request(struct dlg_usage *u, tsx_id st, struct tp_rx *rx);
void ses_on_ack(struct dlg_usage *u, struct tp_rx *rx);
bool ses_on_cancel(struct dlg_usage *u, tsx_id st, struct tp_rx *rx);
/* Sends the 200 to an INVITE and repeats it until its ACK comes. body: in s->m->sdp or s->local. */
enum err ses_send_2xx(struct ses *s, tsx_id st, struct tp_rx *rx, struct str body, bool is_initial,
		      bool wants_answer);
void ses_stop_2xx(struct ses *s);
/* Asks the owner; m->sdp has what he wrote. */
unsigned ses_ask_answer(struct ses *s, struct str offer);
bool ses_ask_offer(struct ses *s);
bool ses_give_answer(struct ses *s, struct str answer, bool is_early);
void ses_reply(struct ses *s, tsx_id st, struct tp_rx *rx, unsigned status, struct str headers);
void ses_refuse(struct ses *s, tsx_id st, struct tp_rx *rx, enum dlg_refusal why, unsigned status,
		struct str headers);
/* re-INVITE and UPDATE of the peer. */
void ses_on_reinvite(struct ses *s, tsx_id st, struct tp_rx *rx);
void ses_on_update(struct ses *s, tsx_id st, struct tp_rx *rx);
