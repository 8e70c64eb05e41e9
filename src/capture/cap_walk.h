#pragma once
/* A capture as frames with the SIP messages that each completes: reader, decoder and reassembly in
 * one. With a tracker, every message is handed to it, and media are told from other UDP. */

#include "capture/cap_conv.h"
#include "capture/cap_pkt.h"
#include "capture/cap_tls.h"
#include "capture/spool.h"
#include "rtp/rtp.h"
#include "track/trk.h"

struct flt_call;
struct cap_msg {
	struct trk_packet pkt; /* pkt.msg is set, or of a brief walk, perhaps, pkt.skim */
	struct sip_skim skim;
	struct trk_call *call;  /* with a tracker: whose it is, or NULL */
	uint32_t no;            /* with a tracker: number of the message, 0 when not kept */
	uint32_t first_no;      /* frame where it begins; 0: in this one */
	struct flt_call *whole; /* what became of its call, where that is known (flt.h) */
};

struct cap_words { /* room for what a frame says in words; each has its own place */
	char ip[CAP_MAX_IPS][2][ADDR_TEXT_MAX]; /* source, destination */
	char flags[CAP_MAX_IPS][32];            /* of TCP */
	char layers[256];                       /* names of protocols */
};

struct cap_frame {
	struct cap_rec rec;
	struct cap_pkt pkt;
	struct cap_msg *msgs; /* borrowed until the next frame */
	size_t n_msgs;
	size_t n_quoted; /* instead of messages: what an ICMP error quotes; for filters only */
	struct trk_stream *stream;      /* media RTP_RTP, RTP_T38: whose packet it is, or NULL */
	const struct cap_tls_seen *tls; /* NULL: the segment completed no TLS record */
	const uint8_t *tls_random;      /* TLS: the client's random where it is known, or NULL */
	const struct cap_seen *seen; /* of each of pkt.ports its conversation; NULL: nobody asked */
	enum rtp_kind media;         /* with a tracker: what a UDP payload on a media port is */
	uint32_t conn_no;            /* TCP: see cap_tcp_no */
	bool is_ws;                  /* it completed a WebSocket frame */
	bool is_whole;               /* pkt is a datagram that was put together from fragments */
	struct rtp_hdr rtp;          /* media RTP_RTP */
	struct trk *trk;             /* the walk's, or NULL */
	bool is_late;     /* no frame of its own: messages found behind a gap at the end */
	int64_t first_ns; /* time of the first frame */
	int64_t last_ns;  /* time of the frame before, or of itself when it is the first */
	int64_t shown_ns; /* time of the frame that cap_walk_shown was told of last */
	bool has_shown;
	struct cap_words *words; /* room for getters; NULL: none */
	struct cap_walk *walk;
};

struct cap_walk;
/* trk may be NULL; it must outlive the walk. The capture stays the caller's. */
enum err cap_walk_new(struct cap *c, struct trk *trk, struct cap_walk **out);
/* From now on messages that do not lie in the capture in one piece (of TCP, of fragments) are put
 * into the spool, which must outlive the walk; with is_all every message is (live). */
void cap_walk_spool(struct cap_walk *w, struct spool *s, bool is_all);
/* From now on a message may be only skimmed: then pkt.msg is NULL until cap_index was asked. */
void cap_walk_brief(struct cap_walk *w);
/* From now on media packets only count in the tracker, and their frames need not be handed out: of
 * CAP_WALK_UNSEEN and one in a row one is, so that whoever walks can look about. Without a tracker
 * nothing changes. */
#define CAP_WALK_UNSEEN 4'095u
void cap_walk_of_messages(struct cap_walk *w);
/* From now on frames know of their conversations (cap_frame.seen). max: of those remembered, the
 * one silent longest gives way; 0: no bound. ERR_NOMEM. */
enum err cap_walk_conversations(struct cap_walk *w, size_t max);
/* The frame is shown to somebody: the next ones tell their distance from it. */
void cap_walk_shown(struct cap_walk *w, const struct cap_frame *fr);
/* A frame that was kept tells its distance from what is shown by now. */
void cap_frame_is_next(struct cap_frame *fr);
/* The index of a frame's i-th message. */
const struct sip_msg *cap_index(const struct cap_frame *fr, size_t i);
void cap_walk_free(struct cap_walk *w);
/* The next frame, also those without SIP. NULL at the end. */
const struct cap_frame *cap_walk_next(struct cap_walk *w);
/* What a frame that is not at hand would tell of its ends: filters ask for them. proto: CAP_UDP,
 * CAP_TCP; hdr: room for its header, which the frame borrows. */
void cap_frame_ends(struct cap_frame *f, const struct addr *from, const struct addr *to,
		    uint8_t proto, uint8_t hdr[20]);
/* A key log file [draft-ietf-tls-keylogfile] for TLS, besides what the capture holds itself; it is
 * looked at again while it grows. ERR_NOTFOUND, ERR_IO. */
enum err cap_walk_keys(struct cap_walk *w, const char *path);
/* The secrets that another walk found, of the same or another capture; it must outlive this one. */
void cap_walk_share_keys(struct cap_walk *w, struct cap_walk *with);
/* Appends the secrets that are known of a connection (cap_frame.tls_random), as lines of a key log.
 */
void cap_walk_put_secrets(const struct cap_walk *w, const uint8_t *random, struct buf *b);
/* How many TLS connections there were, and how many could not be read. */
const struct cap_tls_counts *cap_walk_tls(const struct cap_walk *w);
/* Link types that were met and not understood: the first one and the number of frames. */
uint32_t cap_walk_unknown_links(const struct cap_walk *w, uint16_t *link);
