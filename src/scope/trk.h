#pragma once
/* The tracker: SIP messages (and RTP packets) in, calls and their history out. The same code serves
 * a capture file, where everything is kept until trk_free, and the exchange's live tap, where a
 * call that ended is judged, reported and forgotten. One thread per tracker; no clock of its own:
 * time is what the packets say. [RFC3261 12, 17] [RFC6665] */

#include "base/addr.h"
#include "base/hash.h"
#include "base/list.h"
#include "sip/msg.h"

struct trk;
struct trk_call;
struct trk_stream;
struct vrd;

enum trk_transport { TRK_UDP, TRK_TCP, TRK_TLS, TRK_WS, TRK_WSS };

struct trk_packet {        /* one SIP message as it passed by */
	uint64_t at_us;    /* wall clock, µs since 1970; must not go back by more than seconds */
	uint32_t frame_no; /* of the capture, from 1; live: any rising number */
	struct addr from, to;
	enum trk_transport transport;
	uint16_t ip_id; /* IPv4 identification, 0 when unknown: tells a mirror port's duplicate */
	struct str bytes;
	const struct sip_msg *msg; /* the index of bytes when the caller has it, else NULL */
	uint64_t file_off;         /* where to read the message again; 0 live */
};

struct trk_rtp { /* one RTP packet; header fields are already decoded */
	uint64_t at_us;
	uint32_t frame_no;
	struct addr from, to;
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t pt;
	bool marker;
	uint16_t n_payload;
};

typedef void trk_verdict_fn(void *arg, const struct trk *t, const struct trk_call *c,
			    const struct vrd *v);

struct trk_cfg {
	bool is_live;     /* forget calls after they ended and were judged */
	bool has_media;   /* trk_rtp is called too: SDP is read for its addresses */
	bool report_regs; /* live: report registrations and OPTIONS that went well, too */
	uint32_t max_calls; /* live: the call that was silent longest goes first; 0: 1,000,000 */
	trk_verdict_fn *on_verdict; /* live: called once per call, when it has ended; may be NULL */
	void *arg;
};

/* NULL without memory. */
struct trk *trk_new(const struct trk_cfg *cfg);
void trk_free(struct trk *t);
/* ERR_SYNTAX: not SIP, counted and forgotten. ERR_NOMEM: the message could not be kept. *call (may
 * be NULL): whose message it was, NULL when none. Moves the tracker's clock as trk_tick does. */
enum err trk_message(struct trk *t, const struct trk_packet *p, struct trk_call **call);
/* What only the exchange knows about a call ("no such user", "no binding"): quoted by the verdict.
 * `code` is the exchange's own (DESIGN 7). Ignored when the Call-ID is unknown. */
void trk_hint(struct trk *t, struct str call_id, struct str code, struct str text);
/* Live: judges and forgets what is due. Call it at least every second, also in silence. */
void trk_tick(struct trk *t, uint64_t now_us);
/* Live: judges and reports everything that is still there (the end of the tap). */
void trk_flush(struct trk *t);

/* --- history ------------------------------------------------------------------------------- */

enum trk_kind { TRK_CALL, TRK_REG, TRK_SUB, TRK_PUB, TRK_MSG, TRK_OPT, TRK_OTHER, TRK__KINDS };
enum trk_phase {
	TRK_SETUP,    /* a request is on its way */
	TRK_RINGING,  /* a call: 180 or 183 towards the caller */
	TRK_ANSWERED, /* a call: 2xx towards the caller; a subscription: 2xx */
	TRK_ENDING,   /* a call: BYE sent */
	TRK_ENDED,
};

enum trk_fact_kind { /* what is kept of a message besides its event, where it matters */
	TRK_F_REASON_PHRASE, /* differs from the standard phrase */
	TRK_F_METHOD,        /* a method outside the table */
	TRK_F_REASON,        /* Reason header [RFC3326] */
	TRK_F_WARNING,
	TRK_F_RETRY_AFTER,
	TRK_F_CONTACT, /* its URI */
	TRK_F_CHALLENGE,
	TRK_F_CREDENTIALS,
	TRK_F_EXPIRES,
	TRK_F_CODECS, /* "PCMU/8000 opus/48000" of the SDP body */
	TRK_F_SDP,
	TRK_F_EVENT,     /* Event package, or state of a Subscription-State */
	TRK_F_REFER_TO,  /* Refer-To URI; body of a sipfrag */
	TRK_F_AGENT,     /* User-Agent or Server */
	TRK_F_NEEDS,     /* Unsupported, Allow, Accept, Min-Expires, Min-SE: with its name */
	TRK_F_HINT_CODE, /* of trk_hint */
	TRK_F_HINT,
};
struct trk_fact {
	struct trk_fact *next; /* of the same event */
	uint8_t kind;          /* enum trk_fact_kind */
	uint8_t flags;         /* TRK_CH_*, TRK_SD_* */
	uint16_t n;            /* of text */
	uint32_t num;  /* hash of the nonce; nonce count; seconds; Warning code; SDP: port */
	char text[];
};
enum { TRK_CH_STALE = 1, TRK_CH_PROXY = 2 };
enum { /* TRK_F_SDP: text is the connection address, num the port of the first active medium */
       TRK_SD_SENDS = 1,
       TRK_SD_RECVS = 2,
       TRK_SD_PRIVATE = 4,
       TRK_SD_VIDEO = 8,
       TRK_SD_SECURE = 16,
};

enum trk_flag {
	TRK_EV_REQUEST = 1,
	TRK_EV_RETRANS = 2,   /* the same bytes on the same hop, again */
	TRK_EV_DUPLICATE = 4, /* the capture saw one packet twice */
	TRK_EV_SDP = 8,
	TRK_EV_TO_TAG = 16,
	TRK_EV_AUTH = 32, /* carries credentials */
	TRK_EV_ROUTED = 64, /* carries Record-Route */
	TRK_EV_DIAG = 128, /* the parser had something to say */
};

struct trk_ev {           /* one message: a row of the index (56 bytes) */
	uint64_t at_us, file_off;
	struct trk_fact *facts;
	uint32_t no;      /* number of the message, from 1: file order */
	uint32_t prev;    /* number of the call's message before, 0 none */
	uint32_t frame_no;
	uint32_t n_bytes;
	uint32_t cseq;
	uint32_t branch;  /* hash of the top Via's branch */
	uint16_t status;  /* 0: a request */
	uint8_t method;   /* enum sip_method; of CSeq in a response */
	uint8_t flags;    /* enum trk_flag */
	uint8_t from, to; /* peers of the call */
	uint8_t tag;      /* of To: 0 none, else 1, 2 ... in order of appearance (forks) */
	uint8_t copy_of;  /* RETRANS, DUPLICATE: which resend of its original this is, 1 ... 255 */
};

struct trk_peer { /* one end of a hop */
	struct addr addr;
	uint8_t transport; /* enum trk_transport */
};

struct trk_text;
struct trk_call { /* everything seen under one Call-ID */
	struct hnode node;
	struct link age;          /* live: its class's list, oldest activity first */
	struct trk_call *next_no; /* file: the next call in order of appearance */
	uint32_t no;              /* from 1 */
	uint8_t kind, phase;      /* enum trk_kind, trk_phase */
	uint8_t age_class;
	uint8_t n_peers, n_tags;
	uint8_t caller, callee;   /* peers: source of the first request; who answered */
	bool is_reported, is_mid; /* is_mid: the capture began inside the call */
	bool is_cut;              /* more peers or tags than we keep: the rest is lumped together */
	struct str call_id, from_user, to_user; /* users of the first request, "" when none */
	struct str from_host, to_host;
	uint64_t first_us, last_us;
	uint64_t ring_us, answer_us, end_us; /* as the caller's side saw it; 0: not yet */
	uint32_t first_ev, last_ev, n_ev;    /* numbers of messages; count */
	uint32_t cseq;                       /* of the request that is being set up */
	uint16_t status;                     /* final one towards the caller, 0 none */
	uint8_t ender;                       /* peer that sent the first BYE or CANCEL, 255 nobody */
	uint8_t n_streams;
	uint32_t from_tag;                   /* hash, to tell directions apart */
	uint32_t tags[6];                    /* hashes of To tags */
	struct trk_peer *peers;
	uint8_t peers_cap, recent_at;
	uint32_t recent[16]; /* hashes of the last different messages: finds resent ones */
	struct trk_stream *streams; /* attached RTP, newest first */
	struct trk_call *parent;    /* file: the call whose REFER or Replaces made this one */
	struct trk_text *text;
};

const struct trk_cfg *trk_cfg(const struct trk *t);
struct trk_call *trk_find(const struct trk *t, struct str call_id);
struct trk_call *trk_first(const struct trk *t); /* file: in order of appearance; next_no goes on */
const struct trk_ev *trk_ev(const struct trk *t, uint32_t no); /* message by number, or NULL */
struct trk_call *trk_ev_call(const struct trk *t, uint32_t no); /* file only */
/* The call's messages in order. The array is the tracker's, valid until the next call of this. */
const struct trk_ev *const *trk_history(const struct trk *t, const struct trk_call *c, uint32_t *n);
const struct trk_fact *trk_fact(const struct trk_ev *e, enum trk_fact_kind kind); /* or NULL */
static inline struct str trk_fact_text(const struct trk_fact *f)
{
	return f ? (struct str){f->text, f->n} : STR_NONE;
}
/* "INVITE", "486 Busy Here" as it was sent. */
void trk_ev_put(struct buf *b, const struct trk_ev *e);
struct str trk_kind_name(enum trk_kind k);

struct trk_stats {
	uint64_t n_messages, n_not_sip, n_retrans, n_duplicate, n_dropped, n_rtp;
	uint64_t n_calls[TRK__KINDS];
	uint64_t n_requests[64];  /* by enum sip_method */
	uint64_t n_statuses[700]; /* by status */
	uint32_t n_live;          /* calls in memory */
};
const struct trk_stats *trk_stats(const struct trk *t);
