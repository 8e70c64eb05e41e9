#pragma once
/* The tracker: SIP messages (and RTP packets) in, calls and their history out. The same code serves
 * a capture file, where everything is kept until trk_free, and the exchange's live tap, where a
 * call that ended is judged, reported and forgotten. One thread per tracker; no clock of its own:
 * time is what the packets say. [RFC3261 12, 17] [RFC6665] */

#include "sip/skim.h"
#include "track/trk_ev.h"
#include "track/trk_stream.h"

struct trk;
struct trk_call;
struct trk_ev;
struct vrd;

enum trk_transport { TRK_UDP, TRK_TCP, TRK_TLS, TRK_WS, TRK_WSS };

struct trk_packet {        /* one SIP message as it passed by */
	uint64_t at_us;    /* wall clock, µs since 1970 */
	uint16_t at_ns;    /* nanoseconds beyond at_us, where they are known */
	uint32_t frame_no; /* of the capture, from 1; live: any rising number */
	struct addr from, to;
	enum trk_transport transport;
	bool is_cut;    /* the capture does not hold all of it */
	bool is_piece;  /* ... but the first piece of a datagram that came in fragments */
	bool is_whole;  /* put together from fragments */
	bool is_plain;  /* its frame is one IP header, one of UDP, and this message */
	uint16_t ip_id; /* IPv4 identification, 0 when unknown: tells a mirror port's duplicate */
	struct str bytes;
	const struct sip_msg *msg;   /* the index of bytes when the caller has it, else NULL */
	const struct sip_skim *skim; /* or what was read of them without one; may be NULL */
	uint64_t file_off;           /* where to read the message again, see TRK_SPOOLED; 0 live */
};
#define TRK_SPOOLED                                                                                \
	(1ull << 47) /* in a file_off: it is an offset in the spool, not in the capture            \
		      */

typedef void trk_verdict_fn(void *arg, const struct trk *t, const struct trk_call *c,
			    const struct vrd *v);

struct trk_cfg {
	bool is_live;     /* forget calls after they ended and were judged */
	bool has_media;   /* trk_media is called too: SDP is read for its addresses */
	bool finds_media; /* ... and RTP is found by its looks where no SDP was seen */
	/* Bits 1 << enum trk_kind: calls of these kinds are counted, but nobody will judge or draw
	 * them, so that no facts are kept. */
	uint8_t skips;
	bool has_agents; /* live: TRK_F_AGENT and TRK_F_SESSION_ID are kept, for call records */
	/* Live: every request passes here. A response, ACK, CANCEL or request in the dialog of a
	 * call that is not known was sent (again) after its end, and makes no call. */
	bool sees_all;
	bool is_quick;  /* live: what goes well and is no call or MESSAGE is counted, not tracked */
	bool has_join;  /* legs of one call are joined, see trk_join.h */
	bool has_flows; /* whoever runs it reaches peers by the way that they came */
	bool report_all;    /* live: report also registrations, OPTIONS ... that went well */
	uint32_t max_calls; /* live: the one silent longest goes first; 0: 1,000,000 */
	bool is_listed;     /* live: trk_first and trk_after lead through the calls, too */
	bool packs;         /* live: calls that only talk are packed, see trk_rest; without media */
	uint32_t keep_s;    /* live: how long a call is kept after it was judged; 0: 5 s */
	trk_verdict_fn *on_verdict; /* live: called once per call, when it has ended; may be NULL */
	/* Live: called at most once for a call that goes on but will fail, as soon as that shows:
	 * its answer has been repeated for a second and a half, and no ACK has come. May be NULL.
	 */
	trk_verdict_fn *on_alarm;
	void *arg;
};

/* NULL without memory. */
struct trk *trk_new(const struct trk_cfg *cfg);
void trk_free(struct trk *t);
/* ERR_SYNTAX: not SIP, counted and forgotten. ERR_NOMEM: the message could not be kept. *call (may
 * be NULL): whose message it was, NULL when nobody's (no Call-ID). Moves the tracker's clock as
 * trk_tick does. */
enum err trk_message(struct trk *t, const struct trk_packet *p, struct trk_call **call);
/* What only the exchange knows about a call ("no such user", "no binding"), kept with its last
 * message and quoted by the verdict. `code` is the exchange's own. Ignored when the Call-ID is
 * unknown. */
void trk_hint(struct trk *t, struct str call_id, struct str code, struct str text);
/* File: how the bytes of a message are read again, borrowed until the next call; false: they are
 * not there. With it SDP costs no memory before the first media packet is seen. */
typedef bool trk_read_fn(void *arg, const struct trk_ev *e, struct str *bytes);
void trk_reader(struct trk *t, trk_read_fn *fn, void *arg);
/* Live: judges and forgets what is due. Call it at least every second, also in silence. */
void trk_tick(struct trk *t, uint64_t now_us);
/* File: when its last frame was, whatever that is: until then, silence is silence that was seen. */
void trk_until(struct trk *t, uint64_t at_us);
/* Live: what becomes of a call that is under way is not for us to see; of another nothing happens.
 */
enum trk_stop {
	TRK_STOP_NONE,
	TRK_STOP_LEFT, /* the exchange stops: the call may go on without it */
	/* The exchange was an end of it, and has forgotten it: it has ended now. One without an
	 * answer is judged 38 s later, and not at all if its INVITE is sent again meanwhile, which
	 * begins it anew; of one with an answer that is another call. */
	TRK_STOP_CUT,
};
void trk_stop(struct trk *t, struct trk_call *c, enum trk_stop why, uint64_t now_us);
/* Live: judges and reports everything that is still there (the end of the tap). */
void trk_flush(struct trk *t);

/* --- history ------------------------------------------------------------------------------- */

enum trk_kind { TRK_CALL, TRK_REG, TRK_SUB, TRK_PUB, TRK_MSG, TRK_OPT, TRK_OTHER, TRK__KINDS };
enum trk_phase {
	TRK_SETUP,    /* a request is on its way */
	TRK_RINGING,  /* a call: 180 or 183 towards the caller */
	TRK_ANSWERED, /* a call or subscription: 2xx towards the caller */
	TRK_ENDING,   /* a call: BYE sent */
	TRK_ENDED,
};

struct trk_peer { /* one end of a hop */
	struct addr addr;
	uint8_t transport; /* enum trk_transport */
	uint8_t zero;      /* no hole: lists of peers are compared byte for byte */
};
#define TRK_NO_PEER   255
#define TRK_MAX_PEERS 64

enum trk_side { TRK_SIDE_CALLER, TRK_SIDE_CALLEE };

struct trk_name { /* a text, or what a From or To names; kept once, in a file for all calls */
	uint32_t hash;
	uint16_t n, split; /* user: text[0 .. split), host: the rest */
	char text[];
};
static inline struct str trk_user(const struct trk_name *x)
{
	return x ? (struct str){x->text, x->split} : STR_NONE;
}
static inline struct str trk_host(const struct trk_name *x)
{
	return x ? (struct str){x->text + x->split, (size_t)x->n - x->split} : STR_NONE;
}

struct trk_av {                     /* what is known of a call's media */
	struct trk_stream *streams; /* newest first */
	struct trk_media *media;
	struct trk_codecs *codecs;
	struct trk_key *keys;
	uint32_t unseen_sent[2]; /* packets that SRs tell of, in streams that were not seen here */
	uint32_t n_unreachable[2];   /* ICMP errors about media, per side that should receive it */
	uint8_t dtls[2], dtls_alert; /* what came to a side: TRK_DT_*; of the last fatal alert */
	uint32_t info_seen;          /* CSeq and side of the last INFO with a digit */
	char info_digits[32];        /* DTMF in INFO requests [RFC6086], in order */
	uint16_t n_streams;
};

/* Everything seen under one Call-ID. What every message touches stands together, live or not. */
struct trk_call {
	uint64_t ring_us, answer_us, end_us; /* as the caller's hop saw them; 0: never */
	const struct trk_name *from, *to;    /* of the first request */
	struct trk_fact *facts;              /* of all its messages, the latest first */
	struct trk_av *av;                   /* NULL: nothing is known of its media; see trk_av */
	struct trk_leg *leg;                 /* what joins it to others, or NULL */
	uint32_t end_branch;                 /* of the first BYE */
	uint32_t sdp_hash[2];                /* of the last body, per side */
	uint32_t no;                         /* of the call, from 1 */
	/* what every message touches */
	struct str call_id;
	uint64_t seen; /* two bits for each hash of a message: tells most new ones from resent */
	uint8_t kind, phase; /* enum trk_kind, trk_phase */
	uint8_t age_class;
	uint8_t n_peers, peers_cap, n_tags;
	uint8_t caller;     /* peer that sent the first request */
	uint8_t callee;     /* peer that sent the first 2xx, else the first other final response */
	uint8_t ender;      /* peer that sent the first BYE */
	uint8_t method;     /* of the caller's last request */
	uint8_t sdp_dir[2]; /* direction of the last body, per side: TRK_SD_SENDS, TRK_SD_RECVS */
	uint16_t status;    /* final one towards the caller, 0 none */
	bool is_ended_by_caller : 1; /* the BYE came from the caller's side */
	bool is_taken : 1;           /* callee sent a 2xx */
	bool is_reported : 1, is_judged : 1;
	bool is_explained : 1; /* trk_hint told why the present request failed */
	bool is_marked : 1;    /* the tracker's user may set it: chosen by a filter */
	bool is_fitting : 1;   /* ... and this: as a filter that is watched says */
	bool is_weighed : 1;   /* ... since its last message */
	bool is_closed : 1;    /* ... and since it was judged */
	bool is_mid : 1;       /* begun before the capture */
	bool is_cut : 1;       /* more peers than we keep: the rest is lumped together */
	bool is_alarmed : 1;   /* on_alarm was called */
	bool is_packed : 1;    /* live: its rows and facts are, see trk_rest */
	uint8_t told : 5;      /* the tracker's user may set it: how far he knows this call */
	uint8_t stop : 2;      /* enum trk_stop */
	uint8_t forks_up, forks_over; /* bits 1 << trk_ev.tag: who has answered; hung up */
	uint16_t tags[6];             /* hashes of To tags */
	uint32_t first_ev, last_ev, n_ev;
	uint32_t cseq, branch; /* of the caller's pending request */
	uint32_t from_tag;     /* hash */
	uint32_t fact_kinds;   /* bits: what facts has, so that most questions need no look */
	uint16_t n_held;       /* live: see trk_hold */
	uint64_t first_us, last_us;
	const struct trk_peer *peers;
	/* Live only; a call of a file ends here. */
	struct hnode node;
	uint32_t place;   /* in the tracker's pool */
	uint32_t n_bytes; /* of its rows, texts, codecs */
	char id_mem[38];  /* the Call-ID itself, unless it is longer */
	struct trk_peer first_peers[3];
	struct link age; /* its class's list, oldest first */
	uint64_t due_us; /* when it is judged or forgotten */
	struct trk_text *text;
	struct trk_pack *pack; /* heap, or NULL: its names, and when is_packed all the rest */
	char *offer;           /* heap: see trk_offer_keep */
	struct trk_call *prev_no, *next_no; /* see trk_before, trk_after */
};

extern const struct trk_av trk_no_av;
static inline const struct trk_av *trk_av(const struct trk_call *c) /* never NULL */
{
	return c->av ? c->av : &trk_no_av;
}
const struct trk_cfg *trk_cfg(const struct trk *t);
struct trk_call *trk_find(const struct trk *t, struct str call_id);
/* In order of appearance; NULL where there is none. Live: NULL without is_listed. */
struct trk_call *trk_first(const struct trk *t);
struct trk_call *trk_last(const struct trk *t);
struct trk_call *trk_before(const struct trk *t, const struct trk_call *c);
struct trk_call *trk_after(const struct trk *t, const struct trk_call *c);
/* The message with that id, of a call that is in memory; NULL for 0. */
const struct trk_ev *trk_ev(const struct trk *t, uint32_t id);
/* The number of a row, from 1; in a file that of the message. */
uint32_t trk_ev_id(const struct trk_ev *e);
/* Of a resent message or a duplicate: id of the original; 0 of any other. */
static inline uint32_t trk_copy_of(const struct trk_ev *e)
{
	return e->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE) ? e->hash_copy : 0;
}
/* RETRANS: which resend of its original this is, from 1. */
unsigned trk_n_resent(const struct trk_ev *e);
/* Whose message it is. */
struct trk_call *trk_call_of(const struct trk_ev *e);
/* The call's messages in order; NULL without memory. The array is the tracker's and valid until the
 * next call of this. */
const struct trk_ev *const *trk_history(struct trk *t, const struct trk_call *c, uint32_t *n);
/* First fact of that kind, or NULL. */
const struct trk_fact *trk_fact(const struct trk_ev *e, enum trk_fact_kind kind);
static inline struct str trk_fact_text(const struct trk_fact *f)
{
	return f ? (struct str){f->text, f->n} : STR_NONE;
}
/* "INVITE", "486 Busy Here", as it was sent. */
void trk_ev_put(struct buf *b, const struct trk_ev *e);
struct str trk_kind_name(enum trk_kind k); /* "call", "registration" ... */
struct str trk_transport_name(enum trk_transport t);

struct trk_stats {
	uint64_t n_messages, n_not_sip, n_without_call_id, n_lost; /* lost: no memory for them */
	uint64_t n_retrans, n_duplicate, n_bytes, n_rtp;
	uint64_t n_whole; /* messages put together from fragments */
	uint64_t n_calls[TRK__KINDS];
	uint64_t n_requests[SIP_METHOD__N]; /* by enum sip_method */
	uint64_t n_statuses[700];
	uint64_t first_us, last_us;
};
const struct trk_stats *trk_stats(const struct trk *t);
uint32_t trk_n_rows(const struct trk *t); /* file: messages kept: ids 1 .. n */
uint64_t trk_now_us(const struct trk *t); /* its clock: of the latest message, tick, trk_until */
uint32_t trk_n_live(const struct trk *t); /* calls in memory */
/* Live: a held call is not forgotten; each hold is let go once. Nothing happens when there is no
 * such call any more. */
void trk_hold(struct trk *t, const struct trk_call *c, bool is_held);
/* Live, with `packs`: somebody has looked at the messages of a call that may only be talking; ids
 * of its rows name nothing from now on. */
void trk_rest(struct trk *t, const struct trk_call *c);
/* Live: calls forgotten so far. Who keeps pointers to calls drops them when it has moved. */
uint64_t trk_n_forgotten(const struct trk *t);
