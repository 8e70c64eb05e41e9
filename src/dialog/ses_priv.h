#pragma once
/* What the files of INVITE sessions share. */

#include "dialog/history.h"
#include "dialog/priv.h"
#include "dialog/relay.h"
#include "dialog/ses_fsm.h"

#define SES_FORKS    8 /* early dialogs kept; a 2xx of a further one is heard all the same */
#define SES_TARGETS  8 /* Contacts of 3xx, waiting to be tried */
#define SES_QUEUE    4 /* events of one entry */
#define SES_REQUESTS 4 /* requests inside the dialog under way: INFO, PRACK, REFER, NOTIFY ... */
#define SES_TEXT_MAX 96

struct ses_2xx { /* a response of ours that waits: a 2xx for its ACK [RFC3261 13.3.1.4], a reliable
		  * provisional one for its PRACK [RFC3262 3]; one block */
	struct ses *ses;
	bool is_initial;
	bool wants_answer; /* it carries our offer */
	bool has_sdp;
	uint16_t status;
	tsx_id st;
	uint32_t cseq, interval_us, n_bytes;
	struct tmr retransmit, deadline;
	char bytes[];
};

enum ses_later_what { /* what waits for SDP of the owner (ses_settle) */
		      SES_LATER_NONE,
		      SES_LATER_REINVITE, /* the peer's; to be answered */
		      SES_LATER_UPDATE,
		      SES_LATER_PRACK,
		      SES_LATER_ACK,      /* ours: the answer to the offer of a 2xx */
		      SES_LATER_OUR_PRACK /* the answer to the offer of a reliable provisional
					     response */
};
struct ses_later {
	uint8_t what;
	bool has_offer;
	tsx_id st;
	struct tp_rx *rx; /* referenced: the request or response with the offer */
	struct dlg *d;
};

struct ses_ring { /* what is to be said before the answer */
	uint16_t status;
	bool has_sdp, is_reliable;
};

struct ses_clock { /* session timer [RFC4028]; seconds */
	struct tmr timer;
	uint32_t wish, least; /* asked for; of a 422 and the peer's Min-SE */
	uint32_t agreed;      /* 0: none runs */
	bool is_refresher, is_refreshing;
};

struct ses_asked { /* a request of ours inside the dialog */
	struct uac *uac;
	struct dlg *d;
	uint64_t tag; /* of the owner; 0: he is not told */
};

struct ses_queued {
	uint8_t kind, by;
	uint16_t status;
	struct tp_rx *rx; /* referenced */
	uint64_t tag;
};

struct ses_fork { /* an early dialog of a caller */
	struct dlg *d;
	struct buf early; /* its last answer in a provisional response */
};

struct ses_redirect { /* targets: those tried, then those of a 3xx that wait, best first */
	unsigned n, n_tried;
	struct str targets[SES_TARGETS];
	struct hist_row *rows[SES_TARGETS]; /* their entries in the call's way */
};

struct ses_text {
	uint32_t n, n_users;
	char bytes[];
};
struct ses_kept { /* see ses_keep_sdp */
	uint32_t n : 31, is_squeezed : 1;
	char bytes[];
};

/* What a session has while it does more than talk: is set up, changed, asked, ended. */
struct ses_work {
	struct ses *ses;

	/* caller */
	struct dlg *half; /* identity of the INVITE, until that is over */
	struct uac *invite;
	struct ses_fork *forks; /* heap, SES_FORKS of them; NULL before the first */
	uint32_t forks_cseq;    /* the highest that we used in a fork that was dropped: PRACKs */
	uint8_t n_forks;
	bool is_late_offer, is_reliable; /* is_reliable: says Supported: 100rel */
	bool is_reliable_needed;
	uint8_t max_forwards, redirects_left;
	struct dlg *early_of;          /* whose early answer was the last */
	struct buf headers;            /* until the 2xx */
	struct ses_redirect *redirect; /* in the arena; NULL before a 3xx */
	struct hist *way;              /* NULL: it is not told */
	struct hist_row *row;          /* where the INVITE is now */
	struct str ack_auth;           /* credentials of the INVITE, borrowed during a step */
	struct tp_rx *step_rx;         /* the message behind a step, borrowed */

	/* callee */
	tsx_id st;
	struct tp_rx *rx; /* the INVITE, until its ACK */
	struct buf local; /* our SDP, for provisional and final responses alike; until the ACK */
	struct ses_ring said, next; /* the last provisional response; one that waits for PRACK */
	bool is_answer_waiting;     /* for PRACK, too */
	bool is_agreed;             /* offer and answer went by reliable provisional responses */
	uint32_t rseq;
	struct ses_2xx *ok; /* NULL: nothing waits */

	/* changes */
	struct uac *modify;
	uint8_t modify_kind; /* enum ses_change */
	bool is_relay;       /* a 491 is the owner's to deal with */
	bool has_crossed;
	uint16_t notify_next; /* status to be told when the last NOTIFY is answered; 0: none */
	struct tmr pause; /* callee: until a provisional response is repeated; later: after 491 */
	struct ses_later later;
	struct ses_asked asked[SES_REQUESTS];

	/* the end, known before it is told */
	struct uac *bye;
	struct str bye_reason, end_text; /* in the arena */

	struct ses_queued queue[SES_QUEUE];
	uint8_t n_queued;
	struct arena arena;
	_Alignas(16) char mem[96];
};

struct ses {
	struct dlg_mgr *m;
	const struct ses_user *user; /* NULL: dropped */
	void *ctx;
	struct dlg_usage usage;
	struct dlg *d;          /* the dialog; caller: after the 2xx */
	struct ses_work *w;     /* NULL: it only talks; see session.c */
	struct ses_kept *kept;  /* heap: SDP for refreshes of the session timer; NULL: none */
	struct ses_text *reply; /* header lines of our responses, often shared; NULL: none */
	struct ses_clock clock;
	struct ev_task task;
	uint32_t refer_cseq; /* of the peer's REFER whose outcome we tell; 0: none */
	uint16_t notified;   /* status that was told last */
	uint8_t n_refers;
	uint8_t state;             /* enum ses_state */
	uint8_t end_by, end_cause; /* enum ses_by, ses_cause */
	uint16_t end_status;
	bool has_end : 1;
	bool is_caller : 1, is_telling : 1;
	bool has_update : 1;     /* the peer's Allow names UPDATE */
	bool has_refer_sent : 1; /* NOTIFYs of one of ours may come */
	bool is_lost : 1;        /* the peer knows it no more: the dialog says BYE by itself */
};
_Static_assert(sizeof(struct ses) <= 152, "each call that talks has two");

/* --- session.c ----------------------------------------------------------------------------------
 */
struct ses *ses_alloc(struct dlg_mgr *m, const struct ses_user *user, void *ctx);
/* Makes `w`; false: no memory. */
[[nodiscard]] bool ses_wake(struct ses *s);
void ses_drop_text(struct ses_text *x); /* NULL is harmless */
/* Sets `reply`: the manager's last one, if that is the same; false: no memory. */
bool ses_share_reply(struct ses *s, struct str text);
static inline struct str ses_text(const struct ses_text *x)
{
	return x ? str_of(x->bytes, x->n) : STR_NONE;
}
/* One event of the machine. `body`: of the ACK that it may send. */
void ses_step(struct ses *s, enum ses_fsm_event ev, struct str ack_body);
/* The Reason of a BYE or CANCEL to be sent; the first one counts. */
void ses_set_reason(struct ses *s, struct str reason);
/* Says how it ended; the first word counts. text empty: ses_cause_text. */
void ses_set_end(struct ses *s, enum ses_by by, enum ses_cause cause, unsigned status,
		 struct str text);
/* An answer to a request of ours, or none, shows that the call is over. */
void ses_lose(struct ses *s, const struct uac_result *r);
/* Queues an event for the owner. */
void ses_tell(struct ses *s, enum ses_event_kind kind, unsigned status, enum ses_by by,
	      struct tp_rx *rx);
/* The same of an answer to a request that bears a tag. */
void ses_tell_tag(struct ses *s, enum ses_event_kind kind, unsigned status, struct tp_rx *rx,
		  uint64_t tag);
/* Tells what is queued; the last thing that an entry from the loop does: the session may be gone
 * afterwards. */
void ses_flush(struct ses *s);
void ses_flush_later(struct ses *s); /* after a call of the owner */
/* The text of a Reason header, else of the status line. [RFC3326] */
struct str ses_text_of(const struct sip_msg *msg);

/* --- ses_uac.c ------------------------------------------------------------------------------ */
void ses_uac_drop_forks(struct ses *s, const struct dlg *but);
/* To the present target; dst NULL: by its URI. */
enum err ses_send_invite(struct ses *s, struct str offer, const struct tp_dst *dst);
extern const struct dlg_usage_ops ses_usage_ops;
void ses_on_2xx_again(struct dlg_usage *u, struct tp_rx *rx);
/* Asks the owner; m->sdp has what he wrote. 200, SES_LATER, or a refusal. */
unsigned ses_ask_answer(struct ses *s, struct str offer);
unsigned ses_ask_offer(struct ses *s);
bool ses_give_answer(struct ses *s, struct str answer, bool is_early);
/* An offer in a 2xx must be answered, also one that will not do: that answer, in m->sdp.
 * [RFC3261 13.2.2.4] */
struct str ses_refuse_offer(struct ses *s, const struct sip_msg *msg);

/* --- ses_redirect.c ------------------------------------------------------------------------- */
/* The INVITE has ended so: takes what a 3xx names, and tries the next target; false: there is none.
 */
bool ses_redirect(struct ses *s, const struct uac_result *r);

/* --- ses_uas.c ------------------------------------------------------------------------------ */
void ses_on_ack(struct dlg_usage *u, struct tp_rx *rx);
bool ses_on_cancel(struct dlg_usage *u, tsx_id st, struct tp_rx *rx);
struct ses_repeat { /* what ses_repeat sends and repeats; the bytes are in m->scratch */
	tsx_id st;
	uint32_t cseq;
	uint16_t status;
	bool is_initial, wants_answer, has_sdp;
};
enum err ses_repeat(struct ses *s, const struct ses_repeat *r);
/* Sends the 200 to an INVITE and repeats it until its ACK comes. body: in s->m->sdp or s->local. */
enum err ses_send_2xx(struct ses *s, tsx_id st, struct tp_rx *rx, struct str body, bool is_initial,
		      bool wants_answer, struct str headers);
void ses_stop_2xx(struct ses *s);
void ses_reply(struct ses *s, tsx_id st, struct tp_rx *rx, unsigned status, struct str headers);
void ses_refuse(struct ses *s, tsx_id st, struct tp_rx *rx, enum dlg_refusal why, unsigned status,
		struct str headers);
/* Refuses the INVITE that waits, and ends. */
void ses_refuse_invite(struct ses *s, enum dlg_refusal why, unsigned status, struct str reason,
		       struct str headers);

/* --- ses_rel.c ------------------------------------------------------------------------------ */
/* A provisional response that must be acknowledged; false: it came before, or out of order. */
bool ses_rel_take(struct ses *s, struct dlg *d, struct tp_rx *rx);
bool ses_rel_is(const struct sip_msg *msg); /* Require: 100rel, with a readable RSeq */
enum err ses_rel_send_prack(struct ses *s, struct dlg *d, const struct sip_msg *resp,
			    struct str body);
enum err ses_rel_ring(struct ses *s, const struct ses_ring *r, struct str headers);
bool ses_rel_is_waiting(const struct ses *s); /* a response of ours for its PRACK */
void ses_on_prack(struct ses *s, tsx_id st, struct tp_rx *rx);
void ses_rel_expire(struct ses *s); /* no PRACK in 64*T1 */

/* --- ses_modify.c ---------------------------------------------------------------------------- */
/* re-INVITE and UPDATE of the peer. */
void ses_on_reinvite(struct ses *s, tsx_id st, struct tp_rx *rx);
void ses_on_update(struct ses *s, struct dlg *d, tsx_id st, struct tp_rx *rx);
enum err ses_send_change(struct ses *s, enum ses_change kind, struct str sdp);

/* --- ses_kept.c ------------------------------------------------------------------------------ */
enum err ses_kept_sdp(struct ses *s); /* what ses_keep_sdp has kept, into m->sdp */

/* --- ses_later.c ----------------------------------------------------------------------------- */
/* Keeps what waits, and tells the owner (SES_EV_OFFER). */
void ses_later_set(struct ses *s, const struct ses_later *l);
/* A peer's request that waits is refused with that; an ACK of ours goes without a body. */
void ses_later_end(struct ses *s, unsigned status);

/* --- ses_clock.c ----------------------------------------------------------------------------- */
/* Header lines for an INVITE, re-INVITE, UPDATE of ours. */
void ses_clock_put(const struct ses *s, struct buf *b);
/* The 2xx to such a request; the session stands. */
void ses_clock_on_answer(struct ses *s, const struct sip_msg *resp);
/* 422: true when the request may be sent again, with a longer interval. */
bool ses_clock_raise(struct ses *s, const struct sip_msg *resp);
/* A request of the peer; false: answered 422. */
bool ses_clock_is_fine_for(struct dlg_mgr *m, tsx_id st, const struct tp_rx *rx);
/* Header lines of our 2xx to it, and the timer starts anew. */
void ses_clock_answer(struct ses *s, const struct sip_msg *req, struct buf *b);
void ses_clock_stop(struct ses *s);

/* --- ses_request.c, ses_refer.c -------------------------------------------------------------- */
void ses_on_request(struct dlg_usage *u, tsx_id st, struct tp_rx *rx);
#define SES_TAG_MILD   UINT64_MAX       /* its failure says nothing about the session */
#define SES_TAG_NOTIFY (UINT64_MAX - 1) /* nor does this one's; the next one waits for it */
/* Sends a request inside d; ERR_LIMIT: too many under way. */
enum err ses_ask(struct ses *s, struct dlg *d, const struct dlg_request *req, uint64_t tag);
void ses_on_refer(struct ses *s, tsx_id st, struct tp_rx *rx);
void ses_on_resubscribe(struct ses *s, tsx_id st, struct tp_rx *rx); /* Event: refer */
void ses_on_notify(struct ses *s, tsx_id st, struct tp_rx *rx);
