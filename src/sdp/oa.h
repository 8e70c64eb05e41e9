#pragma once
/* Offer/answer for one audio stream: pure functions over a small state that the owner of the
 * session keeps by value. Other media of a peer's offer are refused by port 0 in their place, and
 * keep that place in later offers. [RFC3264] [RFC8866]
 *
 *   caller: sdp_oa_offer → send → sdp_oa_take_answer          (or sdp_oa_drop_offer on 4xx..6xx)
 *   callee: sdp_oa_answer on an offer → send
 *   both:   sdp_oa_offer again with another direction for hold and resume
 */

#include "sdp/sdp.h"

#define SDP_MAX_CODECS 8

struct sdp_codec {
	char name[16];    /* "PCMU"; "telephone-event" for RFC 4733 */
	uint8_t pt;       /* the payload type we use when we choose it */
	uint8_t channels; /* 1, 2 */
	uint32_t clock;   /* Hz */
	char fmtp[48];    /* "0-16", or empty */
};

struct sdp_local {          /* what we have and can */
	struct addr rtp;    /* where we receive: address and port */
	uint16_t rtcp_port; /* 0 = rtp + 1 */
	uint16_t ptime_ms;  /* 0: do not say */
	bool has_rtcp_mux;  /* offer, or accept when offered */
	const char *tool;   /* of s= ; NULL: "-" */
	size_t n_codecs;    /* in order of preference; telephone-event last */
	struct sdp_codec codecs[SDP_MAX_CODECS];
};

struct sdp_stream {          /* the result of a negotiation */
	bool is_active;      /* both sides have a port and a codec */
	bool is_remote_hold; /* the peer asked us not to send */
	bool has_rtcp_mux;
	enum sdp_dir dir;             /* ours: SENDONLY bit = we send, RECVONLY bit = we receive */
	struct addr rtp, rtcp;        /* the peer's; ADDR_NONE when it gave a name */
	char host[64];                /* the peer's connection address when it is a name */
	uint16_t ptime_ms;            /* what the peer wishes to receive; 20 when it does not say */
	struct sdp_codec codec;       /* what we send; its pt is the peer's number for it */
	uint8_t pt_recv;              /* our number for the same codec */
	uint8_t dtmf_send, dtmf_recv; /* telephone-event at the codec's clock, or SDP_PT_NONE */
	size_t n_recv;                /* all codecs that may arrive, with our numbers */
	struct sdp_codec recv[SDP_MAX_CODECS];
};

enum sdp_oa_state { SDP_OA_IDLE, SDP_OA_OFFERED, SDP_OA_STABLE };

struct sdp_oa_slot { /* an m= line of this session, in its place for ever */
	uint8_t type;
	bool is_ours;                       /* the slot of our audio stream */
	char media[16], proto[24], fmt[16]; /* for lines that we refuse */
};

struct sdp_oa {
	enum sdp_oa_state state;
	uint64_t id, version; /* our o= line; the version grows when the body changes; 0 = none */
	uint64_t body_hash;   /* of our last description without its o= line */
	bool has_remote;
	uint64_t remote_origin, remote_version, remote_hash; /* origin: user, id and address */
	enum sdp_dir dir_wanted;                             /* of our pending or last offer */
	bool is_ours_last;    /* the last exchange was our offer: its answer may come again */
	bool has_mux_offered; /* what that offer said */
	size_t n_offered;
	struct sdp_codec offered[SDP_MAX_CODECS];
	uint8_t n_slots, own_slot; /* own_slot: 255 = none yet */
	struct sdp_oa_slot slots[SDP_MAX_MEDIA];
	struct sdp_stream stream; /* as last agreed */
};

/* What a peer's description is to the one before, by o= line and bytes [RFC3264 8]. */
enum sdp_change {
	SDP_FIRST,
	SDP_SAME,          /* version and bytes: a session refresh, media need not be touched */
	SDP_CHANGED,       /* the version grew by one, as it must */
	SDP_VERSION_STUCK, /* other bytes with the same version */
	SDP_VERSION_BACK,
	SDP_VERSION_JUMP,
	SDP_OTHER_ORIGIN /* another user, session id or address: not the same session */
};

/* Why a description was refused: a sentence for the Warning or Reason header and the log, e.g.
 * "no common codec: offered G729/8000, GSM/8000; supported PCMU/8000, PCMA/8000". */
struct sdp_why {
	uint16_t
		status; /* SIP status that fits: 488, or 400 when it is not readable as an answer */
	uint16_t warning; /* RFC 3261 20.43 warn-code: 305 incompatible media format, 304, 301, 399
			   */
	char text[240];
};

/* `id` should be random; it is the o= line's session id and first version. */
void sdp_oa_init(struct sdp_oa *oa, uint64_t id);
/* Appends an offer: `dir` as we wish it (SENDONLY = hold). A repeated offer keeps m= lines, payload
 * numbers, and the version when nothing changed. ERR_STATE while an offer of ours is pending. */
enum err sdp_oa_offer(struct sdp_oa *oa, const struct sdp_local *l, enum sdp_dir dir,
		      struct buf *out);
/* Answers the peer's offer into `out`; `dir` is what we can do at most (SENDRECV; RECVONLY when we
 * do not want to send, ...). ERR_UNSUPPORTED with *why: refuse with why->status; the state is as
 * before. ERR_STATE: an offer of ours is pending (glare, 491). */
enum err sdp_oa_answer(struct sdp_oa *oa, const struct sdp_local *l, const struct sdp *offer,
		       enum sdp_dir dir, struct buf *out, struct sdp_why *why);
/* Applies the peer's answer to our pending offer; or another answer to the same offer, as forks and
 * early answers bring, until another exchange begins. ERR_UNSUPPORTED with *why: it refused the
 * stream or took no codec of ours; the session has no media and should be ended. ERR_SYNTAX with
 * *why: it does not fit the offer's m= lines. ERR_STATE: nothing of ours is to be answered. But for
 * ERR_STATE the state is STABLE afterwards. */
enum err sdp_oa_take_answer(struct sdp_oa *oa, const struct sdp *answer, struct sdp_why *why);
/* Our pending offer was refused (488, 491, 4xx ...): all is as before it. */
void sdp_oa_drop_offer(struct sdp_oa *oa);
/* An answer that refuses every stream of the offer: for who must answer and cannot [RFC3264 6]. */
void sdp_put_refusal(struct buf *out, const struct sdp *offer);
enum sdp_change sdp_oa_change(const struct sdp_oa *oa, const struct sdp *s);
bool sdp_oa_is_refresh(const struct sdp_oa *oa, const struct sdp *s); /* SDP_SAME */
