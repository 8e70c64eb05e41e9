#pragma once
/* What the tracker keeps of a message: a row, and facts. Included by trk.h, which says how they are
 * found. */

#include "base/str.h"

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
		     TRK_F_CODECS, /* "PCMU/8000, opus/48000" of the first medium; num its ptime
				      in ms, flags its maxptime in 10 ms; 0 not given */
		     TRK_F_OFFER,  /* live: the caller's SDP body, instead of its codecs */
		     TRK_F_EVENT,  /* Event package */
		     TRK_F_STATE,  /* Subscription-State, whole */
		     TRK_F_BODY, /* first line of a sipfrag or message summary, state in a document
				  */
		     TRK_F_REFER_TO, /* URI */
		     TRK_F_HINT,     /* of trk_hint: "code: text" */
		     TRK_F_SESSION,  /* num seconds of Session-Expires granted [RFC4028] */
		     TRK_F_RSEQ,     /* num RSeq: a reliable provisional answer [RFC3262] */
		     TRK_F_VIA,   /* text: a top Via that is not the packet's source, TRK_VIA_* */
		     TRK_F_CUT,   /* the capture does not hold all of it: num bytes that it has;
				     flags TRK_CUT_PIECE: the first fragment */
		     TRK_F_TOOL,  /* User-Agent of a known scanner */
		     TRK_F_ICMP,  /* text: who sent the error; num its frame, flags TRK_IC_* */
		     TRK_F_TAGS,  /* of a 481: "From tag x, To tag y" */
		     TRK_F_LOOP,  /* of a 482, 483: hosts of the Vias that come again and again, in
				     order of travel; num how many Vias there are */
		     TRK_F_AGENT, /* live, with has_agents: User-Agent of the first INVITE and of
				     the 2xx to it */
		     TRK_F_SESSION_ID, /* of these two, too: Session-ID, whole [RFC7989] */
		     TRK_F_FLOOD,      /* num calls that its sender began in this second so far */
};
struct trk_fact {              /* 28 bytes: there are five per dialog */
	struct trk_fact *next; /* of the same call, older */
	const char *text;
	uint32_t ev; /* the message's id */
	uint32_t num;
	uint16_t n; /* of text */
	uint8_t kind, flags;
} __attribute__((packed, aligned(4)));
enum { TRK_CH_STALE = 1, TRK_CH_PROXY = 2 };
enum { TRK_CUT_PIECE = 1 };
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
	TRK_DT_HELLO = 1,  /* a handshake */
	TRK_DT_SECRET = 2, /* records that are encrypted: the sender has finished */
	TRK_DT_ALERT = 4   /* a fatal one, in clear */
};
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

struct trk_ev { /* one message: a row of the index, 48 bytes */
	uint64_t at_us;
	uint64_t file_off : 48; /* 128 TB will do; TRK_SPOOLED */
	uint64_t ip_id : 16;
	uint64_t n_bytes : 23; /* what is longer is cut */
	uint64_t is_plain : 1; /* alone in a frame without tunnels, and of the usual form */
	uint64_t status : 10;  /* 0: a request */
	uint64_t method : 5;   /* enum sip_method; of CSeq in a response */
	uint64_t flags : 8;    /* enum trk_flag */
	uint64_t from : 6;     /* peers of the call */
	uint64_t to : 6;
	uint64_t tag : 3; /* of To: 0 none, else 1, 2 ... in order of appearance (forks) */
	uint64_t has_facts : 1;
	uint64_t is_unlearnt : 1; /* its SDP is read when the first media packet comes */
	uint32_t call;            /* see trk_call_of */
	uint32_t prev;            /* id of the call's message before, 0 none */
	uint32_t frame_no;
	uint32_t cseq;
	uint32_t branch;    /* hash of the top Via's branch */
	uint32_t hash_copy; /* of the bytes; RETRANS, DUPLICATE: id of the original */
};
