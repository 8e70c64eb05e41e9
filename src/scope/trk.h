#pragma once
/* The tracker: SIP messages (and RTP packets) in, calls and their history out. The same code serves
 * a capture file, where everything is kept until trk_free, and the exchange's live tap, where a
 * call that ended is judged, reported and forgotten. One thread per tracker; no clock of its own:
 * time is what the packets say. [RFC3261 12, 17] [RFC6665] */

#include "scope/trk_stream.h"
#include "sip/msg.h"

struct trk;
struct trk_call;
struct vrd;

enum trk_transport { TRK_UDP, TRK_TCP, TRK_TLS, TRK_WS, TRK_WSS };

struct trk_packet {        /* one SIP message as it passed by */
	uint64_t at_us;    /* wall clock, µs since 1970 */
	uint16_t at_ns;    /* nanoseconds beyond at_us, where they are known */
	uint32_t frame_no; /* of the capture, from 1; live: any rising number */
	struct addr from, to;
	enum trk_transport transport;
	bool is_cut;    /* the capture does not hold all of it */
	uint16_t ip_id; /* IPv4 identification, 0 when unknown: tells a mirror port's duplicate */
	struct str bytes;
	const struct sip_msg *msg; /* the index of bytes when the caller has it, else NULL */
	uint64_t file_off;         /* where to read the message again, see TRK_SPOOLED; 0 live */
};
#define TRK_SPOOLED                                                                                \
	(1ull << 47) /* in a file_off: it is an offset in the spool, not in the capture            \
		      */

typedef void trk_verdict_fn(void *arg, const struct trk *t, const struct trk_call *c,
			    const struct vrd *v);

struct trk_cfg {
	bool is_live;         /* forget calls after they ended and were judged */
	bool has_media;       /* trk_media is called too: SDP is read for its addresses */
	bool finds_media;     /* ... and RTP is found by its looks where no SDP was seen */
	bool is_quick;        /* live: registrations that go well are counted, not tracked */
	bool has_join;        /* legs of one call are joined, see trk_join.h */
	bool report_all;      /* live: report also registrations, OPTIONS ... that went well */
	uint32_t max_calls;   /* live: the one silent longest goes first; 0: 1,000,000 */
	trk_verdict_fn *on_verdict; /* live: called once per call, when it has ended; may be NULL */
	void *arg;
};

/* NULL without memory. */
struct trk *trk_new(const struct trk_cfg *cfg);
void trk_free(struct trk *t);
/* ERR_SYNTAX: not SIP, counted and forgotten. ERR_NOMEM: the message could not be kept. *call (may
 * be NULL): whose message it was, NULL when nobody's (no Call-ID). Moves the tracker's clock as
 * trk_tick does. */
enum err trk_message(struct trk *t, const struct trk_packet *p, struct trk_call **call);
/* A datagram that is no SIP: what it is, when it goes to or from a media address that an SDP body
 * named, or, with finds_media, looks like RTP for long enough (p->msg is ignored). RTP is counted
 * into its stream, *rtp (may be NULL) filled. RTP_UNKNOWN otherwise, and always without has_media.
 */
enum rtp_kind trk_media(struct trk *t, const struct trk_packet *p, struct rtp_hdr *rtp);
/* The same for a datagram that an ICMP error quotes: nothing is counted. */
enum rtp_kind trk_media_quoted(struct trk *t, const struct trk_packet *p, struct rtp_hdr *rtp);
/* Whether what goes between these addresses is SRTP, as far as SDP said. [RFC3711] */
bool trk_is_secure(struct trk *t, const struct addr *from, const struct addr *to);
/* Whether RTP of that payload type between these addresses carries telephone events, as far as SDP
 * said. [RFC4733] */
bool trk_is_event(struct trk *t, const struct addr *from, const struct addr *to, uint8_t pt);
/* An ICMP error: a datagram from `from` could not be delivered to `to`. */
void trk_unreachable(struct trk *t, const struct addr *from, const struct addr *to);
/* Whose media run from one address to another, as trk_media knows it; NULL: nobody's. */
struct trk_call *trk_media_call(struct trk *t, const struct addr *from, const struct addr *to);
struct trk_icmp { /* an error about a datagram that somebody sent */
	uint64_t at_us;
	uint32_t frame_no;
	struct addr by;       /* who complains; port 0 */
	struct addr from, to; /* of the datagram */
	uint8_t type, code;
	bool is_v6;
	struct str bytes; /* what is quoted of its payload */
};
/* Kept with the message that it is about, or, when it is about media, with the call's last one.
 * What is about neither is ignored. [RFC792] [RFC4443 3] */
void trk_icmp(struct trk *t, const struct trk_icmp *p);
/* What only the exchange knows about a call ("no such user", "no binding"), kept with its last
 * message and quoted by the verdict. `code` is the exchange's own. Ignored when the Call-ID is
 * unknown. */
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
	TRK_ANSWERED, /* a call or subscription: 2xx towards the caller */
	TRK_ENDING,   /* a call: BYE sent */
	TRK_ENDED,
};

enum trk_fact_kind {               /* what is kept of a message besides its row, where it matters */
		     TRK_F_PHRASE, /* reason phrase, when it differs from the standard one */
		     TRK_F_METHOD, /* a method outside the table */
		     TRK_F_REASON, /* Reason header, whole [RFC3326] */
		     TRK_F_WARNING, /* Warning header, whole */
		     TRK_F_NEEDS, /* "Name: value" of Unsupported, Min-Expires, Min-SE, Retry-After
				     ... */
		     TRK_F_CONTACT,     /* URI of the first Contact */
		     TRK_F_CHALLENGE,   /* text realm, num hash of the nonce, flags TRK_CH_* */
		     TRK_F_CREDENTIALS, /* text username, num hash of the nonce */
		     TRK_F_EXPIRES,     /* num seconds asked or granted */
		     TRK_F_SDP, /* text connection address, num port of the first medium, TRK_SD_*
				 */
		     TRK_F_CODECS,   /* "PCMU/8000, opus/48000" of the first medium */
		     TRK_F_OFFER,    /* live: the caller's SDP body, instead of its codecs */
		     TRK_F_EVENT,    /* Event package */
		     TRK_F_STATE,    /* Subscription-State, whole */
		     TRK_F_BODY,     /* first line of a sipfrag or message summary */
		     TRK_F_REFER_TO, /* URI */
		     TRK_F_HINT,     /* of trk_hint: "code: text" */
		     TRK_F_SESSION,  /* num seconds of Session-Expires granted [RFC4028] */
		     TRK_F_RSEQ,     /* num RSeq: a reliable provisional answer [RFC3262] */
		     TRK_F_VIA,  /* text: a top Via that is not the packet's source, TRK_VIA_* */
		     TRK_F_CUT,  /* the capture does not hold all of it: num bytes that it has */
		     TRK_F_TOOL, /* User-Agent of a known scanner */
		     TRK_F_ICMP, /* text: who sent the error; num its frame, flags TRK_IC_* */
};
struct trk_fact {
	struct trk_fact *next; /* of the same message */
	uint8_t kind, flags;
	uint16_t n; /* of text */
	uint32_t num;
	char text[];
};
enum { TRK_CH_STALE = 1, TRK_CH_PROXY = 2 };
enum {
	TRK_SD_SENDS = 1,   /* the writer says it sends */
	TRK_SD_RECVS = 2,   /* ... and receives */
	TRK_SD_PRIVATE = 4, /* a private address that is not the packet's source */
	TRK_SD_VIDEO = 8,
	TRK_SD_SECURE = 16,
	TRK_SD_REFUSED = 32, /* no medium with a port */
	TRK_SD_SAVP = 64,    /* the first medium must be encrypted: RTP/SAVP and its likes */
};
enum { TRK_VIA_RPORT = 1, TRK_VIA_PRIVATE = 2 };
enum {
	TRK_IC_PORT = 1, /* nobody listens there */
	TRK_IC_HOST = 2, /* no way to that host or network */
	TRK_IC_BAR = 4,  /* forbidden on the way */
	TRK_IC_TTL = 8,  /* too many hops: a routing loop */
	TRK_IC_MEDIA = 16,
	TRK_IC_TO_CALLER = 32, /* media: the packets went to the caller */
};

enum trk_flag {
	TRK_EV_REQUEST = 1,
	TRK_EV_RETRANS = 2,   /* the same bytes on the same hop, again */
	TRK_EV_DUPLICATE = 4, /* the capture saw one packet twice */
	TRK_EV_SDP = 8,
	TRK_EV_TO_TAG = 16,
	TRK_EV_AUTH = 32,    /* carries credentials */
	TRK_EV_ROUTED = 64,  /* carries Record-Route */
	TRK_EV_CALLER = 128, /* From tag is the caller's: the request comes from its side */
};

struct trk_ev { /* one message: a row of the index, 64 bytes */
	uint64_t at_us;
	uint64_t file_off : 48; /* 128 TB will do; TRK_SPOOLED */
	uint64_t ip_id : 16;
	struct trk_fact *facts;
	uint32_t id;   /* from 1; in a file the number of the message */
	uint32_t prev; /* id of the call's message before, 0 none */
	uint32_t frame_no, n_bytes;
	uint32_t cseq;
	uint32_t branch;  /* hash of the top Via's branch */
	uint32_t hash;    /* of bytes and hop */
	uint16_t status;  /* 0: a request */
	uint8_t method;   /* enum sip_method; of CSeq in a response */
	uint8_t flags;    /* enum trk_flag */
	uint8_t from, to; /* peers of the call */
	uint8_t tag;      /* of To: 0 none, else 1, 2 ... in order of appearance (forks) */
	uint8_t n_resent; /* RETRANS: which resend of its original this is, 1 ... 255 */
	uint32_t copy_of; /* RETRANS, DUPLICATE: id of the original */
};

struct trk_peer { /* one end of a hop */
	struct addr addr;
	uint8_t transport; /* enum trk_transport */
};
#define TRK_NO_PEER   255
#define TRK_MAX_PEERS 64

enum trk_side { TRK_SIDE_CALLER, TRK_SIDE_CALLEE };

/* Everything seen under one Call-ID. What every message touches stands first, together. */
struct trk_call {
	struct hnode node;
	struct str call_id;
	char id_mem[40];     /* the Call-ID itself, unless it is longer */
	uint8_t kind, phase; /* enum trk_kind, trk_phase */
	uint8_t age_class;
	uint8_t n_peers, peers_cap, n_tags, recent_at;
	uint8_t caller;     /* peer that sent the first request */
	uint8_t callee;     /* peer that sent the first 2xx, else the first other final response */
	uint8_t ender;      /* peer that sent the first BYE */
	uint8_t method;     /* of the caller's last request */
	uint8_t sdp_dir[2]; /* direction of the last body, per side: TRK_SD_SENDS, TRK_SD_RECVS */
	bool is_ended_by_caller; /* the BYE came from the caller's side */
	bool is_taken;           /* callee sent a 2xx */
	bool is_reported, is_judged;
	bool is_explained; /* trk_hint told why the present request failed */
	bool is_marked;    /* the tracker's user may set it: chosen by a filter */
	bool is_mid;       /* begun before the capture */
	bool is_cut;       /* more peers than we keep: the rest is lumped together */
	uint16_t status;   /* final one towards the caller, 0 none */
	uint32_t first_ev, last_ev, n_ev;
	uint32_t cseq, branch; /* of the caller's pending request */
	uint32_t end_branch;   /* of the first BYE */
	uint32_t from_tag;     /* hash */
	uint32_t no;           /* of the call, from 1 */
	uint64_t first_us, last_us;
	struct link age;     /* live: its class's list, oldest first */
	uint64_t due_us;     /* live: when it is judged or forgotten */
	uint32_t recent[16]; /* hashes of the last different messages: finds resent ones */
	struct trk_peer *peers, first_peers[3];
	uint32_t tags[6];                    /* hashes of To tags */
	uint32_t sdp_hash[2];                /* of the last body, per side */
	uint64_t ring_us, answer_us, end_us; /* as the caller's hop saw them; 0: never */
	struct trk_text *text;
	uint32_t n_bytes; /* of its rows, texts, codecs */
	struct str from_user, to_user; /* of the first request */
	struct str from_host, to_host;
	struct trk_call *next_no;   /* file: the next in order of appearance */
	struct trk_stream *streams; /* newest first */
	uint16_t n_streams;
	struct trk_media *media;
	struct trk_codecs *codecs;
	struct trk_key *keys;
	uint32_t unseen_sent[2]; /* packets that SRs tell of, in streams that were not seen here */
	uint32_t n_unreachable[2]; /* ICMP errors about media, per side that should receive it */
	uint32_t info_seen;        /* CSeq and side of the last INFO with a digit */
	char info_digits[32];      /* DTMF in INFO requests [RFC6086], in order */
	struct trk_leg *leg;       /* what joins it to others, or NULL */
};

const struct trk_cfg *trk_cfg(const struct trk *t);
struct trk_call *trk_find(const struct trk *t, struct str call_id);
struct trk_call *trk_first(const struct trk *t); /* file: in order of appearance; next_no goes on */
/* The message with that id, of a call that is in memory; NULL for 0. */
const struct trk_ev *trk_ev(const struct trk *t, uint32_t id);
/* The call's messages in order, as ids. The array is the tracker's and valid until the next call of
 * this. */
const uint32_t *trk_history(struct trk *t, const struct trk_call *c, uint32_t *n);
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
	uint64_t n_calls[TRK__KINDS];
	uint64_t n_requests[SIP_METHOD__N]; /* by enum sip_method */
	uint64_t n_statuses[700];
	uint64_t first_us, last_us;
};
const struct trk_stats *trk_stats(const struct trk *t);
uint32_t trk_n_live(const struct trk *t); /* calls in memory */
