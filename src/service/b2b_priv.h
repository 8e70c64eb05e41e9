#pragma once
/* What the files of the back-to-back user agent share. */

#include "base/limits.h"
#include "base/pool.h"
#include "media/leg.h"
#include "service/b2b.h"
#include "service/b2b_far.h"
#include "service/steps.h"
#include "sip/hdr.h"

struct b2b {
	struct ev_loop *loop;
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct dlg_mgr *dlg;
	struct b2b_config cfg;
	struct pool calls, legs;
	struct buf sdp;   /* a description on its way to the other side */
	struct buf lines; /* header lines on their way */
	struct buf text;
	struct b2b_stats stats;
};
enum { B2B_KIND_CALL = 0x43, B2B_KIND_LEG = 0x44 };

enum b2b_leg_state {
	LEG_WAITING, /* its step or q group has not come yet */
	LEG_SPARE,   /* stands in for another flow of the same phone, should that be dead */
	LEG_TRYING,  /* INVITE sent, or (the caller) not answered yet */
	LEG_UP,
	LEG_OVER, /* refused, gone, or being ended: what it says counts no more */
};

/* The o= line that one side sees: always the same but for its version. [RFC3264 8] [RFC8866 5.2] */
struct b2b_origin {
	char *line; /* heap: what stands before the version, then what stands behind it */
	uint16_t n_head, n_tail;
	uint64_t version;
	uint32_t hash; /* of the last description without that line */
};

struct b2b_place { /* where a leg is to go; one block, until it is up or over */
	bool has_dst;
	bool is_tls; /* its target is a sips URI, whatever the request's is */
	struct tp_dst dst;
	struct str ruri, path;
	struct str lines;           /* header lines of its own: Replaces */
	struct str aor;             /* whose phone it is */
	struct fwd_headers headers; /* of its step, or the 3xx that it came by */
	struct hist_row *row;       /* of the call's history; NULL: none */
	struct b2b_leg *primary;    /* SPARE: what it stands in for */
	struct tp_rx *final;        /* its final refusal, referenced; NULL: time-out and the like */
	char text[];
};

struct b2b_text {
	size_t n;
	char p[];
};

struct b2b_ask;
struct b2b_call;
struct b2b_leg {
	struct b2b_call *call;
	struct b2b_leg *next;
	struct ses *ses;  /* NULL: no INVITE sent */
	uint8_t state;    /* enum b2b_leg_state */
	bool is_caller;   /* it called us */
	bool is_transfer; /* it is to take the transferor's place */
	bool is_joining;  /* that one has answered, the transferee not yet */
	bool is_saying;   /* the session asks for what is in `body` */
	bool is_heard;    /* it has answered something */
	bool has_rung;
	bool is_given_up;   /* by ourselves: it rang its time, or was silent */
	bool is_followed;   /* its 3xx made further legs */
	bool has_seat;      /* of its trunk */
	bool is_told;       /* its dialog, as a sign */
	bool is_outside;    /* its target is of another domain */
	uint8_t step;       /* of the call's steps */
	uint16_t q, status; /* status: of its final refusal */
	uint16_t code;      /* enum code, where the refusal is ours */
	uint16_t trunk;     /* as in struct prx_target; so is host */
	uint32_t host;
	struct b2b_place *place; /* NULL: the caller's, or it is up */
	struct b2b_origin origin;
	struct sign_talk talk; /* its dialog, while it talks */
	struct b2b_text *body; /* heap: what is said to it next, while that is due */
	obj_id home;         /* the call that lends it (b2b_splice.c); 0: it is where it belongs */
	struct b2b_far *far; /* its session is on another shard; NULL: no */
	struct b2b_owner *owner; /* its call is on another shard; NULL: no */
};
_Static_assert(sizeof(struct b2b_leg) <= 152, "each call that talks has two");

/* What its place tells, if it has one. */
static inline struct hist_row *b2b_row(const struct b2b_leg *l)
{
	return l->place ? l->place->row : NULL;
}
static inline struct tp_rx *b2b_final(const struct b2b_leg *l)
{
	return l->place ? l->place->final : NULL;
}
static inline struct str b2b_body(const struct b2b_leg *l)
{
	return l->body ? str_of(l->body->p, l->body->n) : STR_NONE;
}

enum b2b_meet { MEET_NOT, MEET_WAITING, MEET_ASKING, MEET_OFFERING }; /* b2b_meet.c */

struct b2b_call {
	struct b2b *b;
	struct b2b_leg *legs;    /* all, in the order made */
	struct b2b_leg *side[2]; /* who talk: caller, callee; either may be NULL */
	bool is_busy;            /* being changed: a leg that fails at once must not settle it */
	bool is_closed;          /* no further leg is tried */
	bool is_trusted, is_farewell, has_rang_out, is_transferring, follows;
	bool passes_replaces;  /* it names a dialog that is none of ours */
	bool is_sips;          /* the caller's INVITE is for a sips URI: so are all others */
	bool has_history;      /* that of responses is ours to tell */
	uint8_t meet, n_tries; /* enum b2b_meet; of its step */
	bool is_offered;       /* `first` has made his offer */
	bool is_promised;      /* who answers is to talk with a transferee, not the caller */
	bool is_meeting_due;   /* as soon as the caller has acknowledged */
	struct tmr timer;     /* Timer C, or a q group's time, or what a transfer or a tone lasts */
	struct steps *steps;  /* heap, while it is set up; NULL: one */
	struct hist *hist;    /* while it is set up; NULL: none is told */
	struct tp_rx *invite; /* of the caller, which that borrows; referenced */
	struct b2b_leg *transferor; /* who has sent REFER, until its end is told */
	struct tp_rx *refer;        /* that, referenced, while it is done; NULL: none */
	struct b2b_own *own;        /* the exchange itself talks with one of them; NULL: no */
	struct b2b_leg *first;      /* whom we ask for an offer to the other; NULL: nobody */
	struct b2b_ask *promise;    /* to whom; NULL: he knows by now. Heap */
};
_Static_assert(sizeof(struct b2b_call) <= 152, "of these there are thousands that only talk");

/* --- b2b.c */
struct b2b_leg *b2b_leg_new(struct b2b_call *c);
void b2b_leg_free(struct b2b_leg *l);
void b2b_forget_body(struct b2b_leg *l);
void b2b_forget_place(struct b2b_leg *l);
void b2b_call_reap(struct b2b_call *c); /* frees it when no leg is left; the last thing done */
struct b2b_leg *b2b_other(const struct b2b_leg *l);    /* NULL: nobody, or not up */
void b2b_hangup(struct b2b_leg *l, struct str reason); /* in any state; it becomes OVER */
/* Session-ID: `to` is told who is at the other end as `from`'s message m tells it (NULL: as it is
 * known); each of the two that talk, of the other. [RFC7989 7] */
void b2b_name(struct b2b_leg *to, const struct b2b_leg *from, const struct sip_msg *m);
void b2b_introduce(struct b2b_call *c);
void b2b_leave(struct b2b_leg *l); /* its seat in a trunk, if it has one */
/* Tells of the leg's dialog; `m`: the response that it goes by, NULL: none. */
void b2b_sign(struct b2b_leg *l, enum sign_kind kind, const struct sip_msg *m, unsigned status);
void b2b_leg_event(struct b2b_leg *l, const struct ses_event *ev); /* of its session */
extern const struct ses_user b2b_user;

/* --- b2b_setup.c */
void b2b_start_group(struct b2b_call *c);
void b2b_settle(struct b2b_call *c);
void b2b_close(struct b2b_call *c, const struct b2b_leg *but, struct str reason);
void b2b_give_up(struct b2b_call *c, struct str reason); /* the exchange stops: all of it */
void b2b_on_refused(struct b2b_leg *l, const struct ses_event *ev);
void b2b_on_progress(struct b2b_leg *l, const struct ses_event *ev);
void b2b_on_answered(struct b2b_leg *l, const struct ses_event *ev);
/* A callee who was kept for somebody else is the caller's after all. */
void b2b_answer_caller(struct b2b_leg *a);

/* --- b2b_out.c */
enum err b2b_add_leg(struct b2b_call *c, const struct prx_target *t, struct str lines,
		     struct b2b_leg **out);
void b2b_start(struct b2b_leg *l);
/* What is known of the way is told no more. */
void b2b_forget_way(struct b2b_call *c);
/* A sips call stays one; a sip call goes to a sips Contact over a connection that stands.
 * CODE_NONE, or why the leg may not be called. [RFC5630 5.1.1.3, 5.3] */
enum code b2b_check_sips(const struct b2b_leg *l);
/* The caller has been told, reliably, what one callee says: no other can take that one's place. */
bool b2b_is_bound(const struct b2b_call *c);
bool b2b_start_spare(struct b2b_leg *l); /* of a leg that could not be reached [RFC5626 7] */
/* What the policy's step writes into its requests; NULL: nothing. */
const struct fwd_headers *b2b_headers_of(const struct b2b_call *c, const struct b2b_leg *l);
void b2b_tell_deaf(const struct b2b_leg *l, const struct sip_msg *refusal); /* as prx_tell_deaf */
enum code b2b_take_seat(struct b2b_leg *l, struct b2b_account *acc);        /* acc may be NULL */
/* An INVITE of ours has gone out, for the one that `of` is a leg of. */
void b2b_tell_leg(const struct b2b_leg *l, const struct b2b_leg *of);
/* The dialog of a phone of ours begins: a matter of lamps. `from`, `to`: the INVITE's. */
void b2b_tell_started(struct b2b_leg *l, struct str from, struct str to, struct str caller_aor,
		      struct str callee_aor);

/* --- b2b_change.c */
void b2b_on_offer(struct b2b_leg *l, const struct ses_event *ev);
void b2b_on_answer(struct b2b_leg *l, const struct ses_event *ev);
/* Not now: the status, and when. */
unsigned b2b_put_busy(struct b2b *b, struct buf *lines);
void b2b_on_request(struct b2b_leg *l, const struct ses_event *ev);
void b2b_on_response(struct b2b_leg *l, const struct ses_event *ev);

/* The message's body for `to`, kept where refreshes of the session need it. */
struct str b2b_say(struct b2b_leg *to, const struct sip_msg *m);

/* --- b2b_meet.c */
void b2b_meet(struct b2b_call *c, struct b2b_leg *first);
/* He has made his offer already, in rx. */
void b2b_meet_with(struct b2b_call *c, struct b2b_leg *first, struct tp_rx *rx);
/* Ends it, with what the first one's offer is refused by (200: it is not); true: he has made one.
 */
bool b2b_meet_stop(struct b2b_call *c, unsigned status);
/* A session of l tells something; true: it was for this. */
bool b2b_meet_offered(struct b2b_leg *l, struct tp_rx *rx);
bool b2b_meet_answered(struct b2b_leg *l, const struct ses_event *ev);

/* --- b2b_splice.c: statuses are 200, or why it cannot be */
/* `far` of another call is to be the transferee's party: 200 when that is under way. */
unsigned b2b_splice(struct b2b_call *c, struct b2b_leg *far);
unsigned b2b_splice_far(struct b2b_leg *l);         /* l has come from another shard for that */
unsigned b2b_splice_judge(const struct b2b_leg *l); /* may it be lent? */
void b2b_splice_lend(struct b2b_leg *l);            /* to another shard */
void b2b_splice_done(struct b2b_leg *l); /* it stays; harmless for one that is not lent */
/* l is not to stay: back where it came from, or it ends. */
void b2b_splice_return(struct b2b_leg *l, bool is_touched);
void b2b_splice_home(struct b2b_leg *l, struct b2b_call *home, bool is_touched);
void b2b_splice_left(struct b2b_leg *l); /* l, in whatever call, is leaving it */

/* --- b2b_sdp.c: the description as `l` may see it; empty when memory is refused. In b->sdp. */
struct str b2b_sdp_for(struct b2b_leg *l, struct str sdp);
/* The same of a message's body, with all that stands beside its SDP; empty also without SDP. */
struct str b2b_body_for(struct b2b_leg *l, const struct sip_msg *m);
enum err b2b_set_body(struct b2b_leg *l, const struct sip_msg *m); /* that, kept in l->body */
/* A body as it is but for its SDP, which may be none. */
struct str b2b_whole_body(struct b2b_leg *l, const struct sip_msg *m, struct str sdp);

/* --- b2b_headers.c: whole lines into b->lines */
struct b2b_way {                           /* of header fields */
	const struct fwd_headers *headers; /* of the step, NULL: none */
	struct str realm;
	bool is_trusted, is_next_trusted;
	const struct hist *hist; /* NULL: none */
	const struct hist_row *row;
	bool has_history; /* what comes is left to that */
	bool is_outside;  /* the receiver */
};
void b2b_put_request(struct buf *b, const struct sip_msg *m, const struct b2b_way *w);
void b2b_put_response(struct buf *b, const struct sip_msg *m, const struct b2b_way *w);
void b2b_put_inside(struct buf *b, const struct sip_msg *m); /* INFO, MESSAGE */
/* It is critical, and of a kind that we do not give: media go past us. [RFC3323 5] */
bool b2b_lacks_privacy(const struct sip_msg *m, bool knows_history);
struct str b2b_reason(struct b2b *b, const struct sip_msg *m); /* Reason value of BYE, CANCEL */

/* --- b2b_transfer.c */
unsigned b2b_ask_refer(struct b2b_leg *l, struct tp_rx *rx, struct buf *lines);
void b2b_on_refer(struct b2b_leg *l, const struct ses_event *ev);
void b2b_transfer_progress(struct b2b_call *c, unsigned status);
void b2b_transfer_answered(struct b2b_leg *l, const struct ses_event *ev);
/* The transferee has answered: 200, or why not. is_touched: he who was to join him has been told
 * something. Harmless when nobody was to. */
void b2b_transfer_joined(struct b2b_call *c, unsigned status, bool is_touched);
/* Who stays while the transferor goes; NULL: nobody. */
struct b2b_leg *b2b_transferee(const struct b2b_call *c);
void b2b_set_side(struct b2b_call *c, const struct b2b_leg *keep, struct b2b_leg *l);
void b2b_transfer_start(struct b2b_call *c, struct str to, const struct prx_target *t, size_t n,
			struct str lines);
void b2b_transfer_failed(struct b2b_call *c, unsigned status);
/* The transferee has answered the echo test, or will not have it. */
void b2b_transfer_echoed(struct b2b_call *c, struct b2b_leg *e, bool is_good);

/* --- b2b_own.c */
enum b2b_own_kind { B2B_OWN_FAREWELL, B2B_OWN_ECHO };
/* Offers the exchange's media to l; false: it cannot be. */
bool b2b_own_start(struct b2b_call *c, struct b2b_leg *l, enum b2b_own_kind kind);
/* l's answer (rx; NULL: a refusal), its offer: true when it is for the exchange's media. */
bool b2b_own_answered(struct b2b_leg *l, struct tp_rx *rx);
void b2b_own_left(struct b2b_leg *l);
bool b2b_own_offered(struct b2b_leg *l, struct str sdp);
void b2b_own_end(struct b2b_call *c); /* harmless when there is none */

/* --- b2b_replaces.c */
void b2b_replaces_init(struct b2b *b);
/* An INVITE with Replaces: who is on the other side of the dialog that it names? False: it has
 * none, or what it names is known now; else the call starts when another shard has told. */
bool b2b_replaces_ask_invite(struct b2b_call *c, const struct sip_msg *m);
bool b2b_replaces_ask_refer(struct b2b_call *c, struct str value, struct str to);
/* l has answered a call whose caller transfers somebody to it; or nobody has, or will. */
void b2b_promise_keep(struct b2b_leg *l);
void b2b_promise_break(struct b2b_call *c, unsigned status);
