#pragma once
/* What the tracker keeps of media: RTP (or T.38) streams, what RTCP says of them, and the figures
 * made of both. Part of trk.h. [RFC3550] [RFC3611] [RFC4733] [ITU-T G.107] [ITU-T T.38] */

#include "base/addr.h"
#include "base/hash.h"
#include "base/list.h"
#include "rtp/loss.h"
#include "rtp/mos.h"
#include "rtp/rtp.h"
#include "rtp/stats.h"
#include "rtp/trace.h"
#include "rtp/xr.h"

struct trk;
struct trk_call;
struct trk_srtp;

enum trk_found {             /* how a stream was found */
		 TRK_BY_SDP, /* it goes to, or comes from, an address that SDP named */
		 TRK_BY_NAT, /* SDP named the port with a private address; it is used at the address
				that the SDP came from */
		 TRK_BY_CONTENT, /* by its looks: no SDP was seen for it */
};
enum trk_crypt { /* what SDP says of its encryption */
		 TRK_PLAIN,
		 TRK_SDES, /* the key stands in the SDP [RFC4568] */
		 TRK_DTLS, /* the key was agreed on in the media path: not readable [RFC5763] */
};

struct trk_rtcp { /* what RTCP says of a stream */
	/* its sender: the last SR */
	uint32_t n_sr, sr_packets, sr_octets, sr_ntp_mid;
	uint64_t sr_at_us;
	bool has_bye;
	/* its receiver: the last report block, and the worst */
	uint32_t n_reports, ext_seq, jitter, max_jitter; /* jitter in ticks of the stream's clock */
	int32_t lost;                                    /* cumulative, as RTCP counts */
	uint8_t fraction, max_fraction;            /* lost since the report before, in 1/256 */
	uint32_t round_trip_us, max_round_trip_us; /* from the capture to the receiver and
						      back; 0: not told */
	bool has_voip;
	struct xr_voip voip; /* the receiver's last VoIP metrics */
};

#define TRK_MAX_DIGITS 31
#define TRK_LINE       64 /* bytes of a line of the cache */

struct trk_stream { /* RTP of one source in one direction of a call */
	_Alignas(TRK_LINE) struct trk_stream *next; /* of the call, newest first */
	/* Touched by every packet, side by side: from the end of the first of them to the
	 * beginning of the last, four lines of the cache; see trk_stream_fetch. */
	struct rtp_loss loss;
	struct rtp_trace trace;
	uint32_t ssrc;
	uint8_t pt, side; /* pt: the codec's; side: enum trk_side that receives it */
	uint8_t level;    /* how its silence is measured; 0: it is not */
	uint8_t n_paths;  /* address pairs that it came on (ICE, a moved phone) */
	uint32_t n_silent, last_frame, last_second, n_measured; /* packets whose level is known */
	struct rtp_stats stats;
	/* the rest */
	struct trk_call *call;              /* NULL: nobody's, see trk_orphan_first */
	uint64_t pts[2];                    /* payload types seen, a bit each */
	uint32_t n_markers, n_cn, n_events; /* n_cn: packets; n_events: telephone events */
	uint32_t gap_no, gap_lost;          /* its last gap: number of the common gap, packets */
	uint64_t sniffer_lost;              /* packets in gaps that all streams had at once */
	struct hnode node;
	struct hnode by_ssrc; /* of nobody's, unless there are many alike */
	bool is_by_ssrc;
	struct link orphan;
	struct addr from, to; /* of its first packet */
	uint32_t no;          /* of the stream, from 1 */
	uint32_t first_frame;
	uint32_t after_ssrc;    /* it took over from this one on the same path, 0 none */
	uint32_t n_unreachable; /* ICMP errors about its packets */
	uint8_t media;          /* enum sdp_type */
	uint8_t found, crypt;   /* enum trk_found, trk_crypt */
	uint8_t channels;
	bool is_t38;                     /* UDPTL: only packets and losses are known */
	char codec[16];                  /* "PCMU"; empty when unknown */
	char digits[TRK_MAX_DIGITS + 1]; /* DTMF of RFC 4733, in order */
	uint16_t digit_ms[TRK_MAX_DIGITS];
	uint8_t n_digits;
	uint32_t last_event_ts;
	uint8_t n_heard,
		n_same; /* trk_join_rtp.c: packets looked at; in a row as in stream same_no */
	uint32_t same_no;
	struct trk_rtcp *rtcp; /* NULL: RTCP said nothing */
	struct trk_srtp *srtp; /* its decryption, where it was needed */
};

/* Streams of nobody, in order of appearance; NULL at the end. */
struct trk_stream *trk_orphan_first(const struct trk *t);
struct trk_stream *trk_orphan_next(const struct trk *t, const struct trk_stream *s);
/* The stream that the last trk_media was about (RTP, T.38), or NULL. */
struct trk_stream *trk_media_stream(const struct trk *t);
/* The capture itself says that it lost n frames: then no loss is laid to the network's charge. */
void trk_capture_lost(struct trk *t, uint64_t n);
uint64_t trk_capture_dropped(const struct trk *t);
/* Extended sequence number of a packet that the stream has counted: its upper half is the roll-over
 * count since the stream began. */
uint32_t trk_stream_ext_seq(const struct trk_stream *s, uint16_t seq);
/* "SRTP (key in the SDP)" ... for people. */
const char *trk_crypt_text(enum trk_crypt c);
const char *trk_found_text(enum trk_found f);

enum trk_ungraded {
	TRK_GRADED,
	TRK_NOT_AUDIO,
	TRK_TOO_SHORT,    /* less than 50 packets */
	TRK_NO_MODEL,     /* no E-model values for the codec, or no codec known */
	TRK_SNIFFER_LOST, /* packets are missing in the capture that were on the wire */
};
enum { TRK_RTP_BURST_MIN = 2 };

struct trk_figures {      /* of one stream, up to now */
	uint64_t packets; /* received, duplicates included */
	uint64_t expected, lost;
	double lost_percent;
	struct rtp_loss_sum spread;
	double seconds;   /* from the first packet to the last */
	double packet_ms; /* by timestamps; 0 unknown */
	bool has_jitter;  /* the clock is known */
	double jitter_ms, max_jitter_ms, mean_jitter_ms;
	double max_delta_ms, mean_delta_ms;
	bool has_drift;
	double drift_ppm, skew_ms; /* the sender's clock too fast: positive; skew at its largest */
	double bit_rate;           /* payload, bit/s */
	bool has_silence;
	double silence;     /* share of the packets with a known level, 0..1 */
	uint32_t discarded; /* too late for a buffer of RTP_BUFFER_MS */
	bool is_sniffer_lost;
	uint64_t sniffer_lost;
	uint64_t may_be_ours; /* of those lost: the most that the capture itself may have lost */
	/* the E-model */
	enum trk_ungraded ungraded;
	bool is_delay_known; /* by RTCP; else assumed */
	double one_way_ms;   /* network alone */
	struct mos_in in;
	struct mos_out out;
};
void trk_figures(const struct trk *t, const struct trk_stream *s, struct trk_figures *out);
/* Packets that it lost in gaps that all streams had at once: one of the figures. */
uint64_t trk_gap_lost(const struct trk *t, const struct trk_stream *s);
const char *trk_ungraded_text(enum trk_ungraded u);
/* Decrypts a packet of an SDES stream; out has room for it. Its errors are trk_srtp_open's. */
enum err trk_stream_open(struct trk_stream *s, struct str packet, uint16_t seq, uint8_t *out,
			 size_t *n);
