#pragma once
/* The parts of a session, seen only in this folder: session.c (life, clock, sending), receive.c,
 * rtcp.c, dtmf.c. */

#include "codec/tone.h"
#include "media/file.h"
#include "media/jitter.h"
#include "media/session.h"
#include "rtp/rtp.h"
#include "rtp/stats.h"

#define MD_RATE        8000 /* samples per second of all codecs so far */
#define MD_TICK_MAX    480  /* samples: 60 ms */
#define MD_PACKET_MAX  2048 /* longest datagram looked at */
#define MD_PAYLOAD_MAX (MD_RING / 4)
#define MD_EVENTS      32 /* waiting to be told, a power of two */
#define MD_DIGITS      64

enum md_source { MD_SILENCE, MD_SINE, MD_FILE, MD_ECHO };

struct md_totals { /* of sources before the present one */
	uint64_t received, bytes, expected, lost;
	uint32_t dup, reordered;
	double max_jitter_ms;
	uint64_t max_delta_us;
};

struct md_player { /* what only a session that handles samples has */
	struct md_jitter jitter;
	struct cdc_detect detect;
	struct cdc_tone tone;
	enum md_source source;
	uint64_t tone_left; /* samples; 0 = for ever */
	bool is_loop;
	struct md_reader *file;
	struct md_writer *record;
	int16_t heard[MD_TICK_MAX]; /* the last tick's, for the echo */
	bool has_tone;              /* told by MD_TONE */
	double tone_hz;             /* of the block before */
	uint64_t tone_blocks;
};

struct md_dtmf_out {
	char queue[MD_DIGITS + 1];
	size_t n;
	uint32_t duration[MD_DIGITS]; /* samples */
	bool is_sending;
	uint8_t event, ends_left;
	uint32_t ts, sent, pause; /* samples */
};

struct md_dtmf_in {
	bool is_known, is_open; /* is_open: begun and not told yet */
	uint8_t event;
	uint32_t ts, duration;
	uint64_t last_us;
	char heard[64]; /* NUL-terminated */
};

struct md_session {
	struct ev_loop *loop;
	struct md_config cfg;
	struct env_sock *rtp, *rtcp;
	struct addr local;
	char cname[40];

	/* what was agreed */
	bool is_running;
	enum sdp_dir dir;
	enum cdc_id codec;
	uint8_t pt_send, dtmf_send, dtmf_recv;
	uint8_t codec_of_pt[128]; /* enum cdc_id */
	bool has_rtcp_mux;
	struct addr said_rtp, said_rtcp; /* by SDP */

	/* sending */
	struct addr to_rtp, to_rtcp;
	struct tmr tick;
	uint64_t next_us; /* when the next tick is due */
	uint32_t tick_samples;
	uint32_t ssrc, ts; /* ts: of the next sample */
	uint64_t ts_us;    /* when that sample is due */
	uint16_t seq;
	bool is_marker_due;
	uint64_t sent_packets, sent_bytes, first_sent_us, last_sent_us;
	struct md_dtmf_out dtmf_out;

	/* receiving */
	struct rtp_stats in;
	struct md_totals before;
	bool has_remote, is_latched;
	uint32_t remote_ssrc, candidate;
	struct addr from; /* where the stream comes from */
	uint64_t started_us, first_received_us, last_received_us;
	uint64_t foreign, wrong_pt;
	uint32_t ssrc_changes, ssrc_collisions;
	struct md_dtmf_in dtmf_in;
	struct tmr silence;
	uint64_t silence_told_us; /* the packet (or start) after which it was told */

	/* RTCP */
	struct tmr report;
	uint64_t sent_at_report[2]; /* sent_packets at the last two reports */
	uint64_t received_at_report;
	uint32_t last_sr; /* the middle of the NTP time of the peer's last SR */
	uint64_t last_sr_us;
	uint32_t rtcp_sent, rtcp_received, round_trip_us;
	bool has_remote_report;
	uint8_t remote_fraction;
	int32_t remote_lost;
	uint32_t remote_jitter;

	/* telling */
	struct ev_task task;
	struct md_event events[MD_EVENTS];
	unsigned n_told, n_events; /* counters, modulo MD_EVENTS */
	bool is_telling, is_freed; /* freed by its listener: the teller frees the memory */

	struct md_player *player; /* NULL for a reflector */
};

/* session.c */
void md_tell(struct md_session *s, struct md_event ev);
/* Sends one RTP packet of our stream. */
void md_send_rtp(struct md_session *s, uint8_t pt, bool marker, uint32_t ts, const void *payload,
		 size_t n);
static inline bool md_may_send(const struct md_session *s)
{
	return s->is_running && (s->dir & SDP_SENDONLY) && s->to_rtp.family != ADDR_NONE &&
	       s->to_rtp.port;
}
static inline bool md_may_receive(const struct md_session *s)
{
	return s->is_running && (s->dir & SDP_RECVONLY);
}
/* receive.c */
void md_receive_start(struct md_session *s, bool was_receiving); /* what was agreed has changed */
void md_on_rtp(void *arg, unsigned events);
void md_on_rtcp(void *arg, unsigned events);
/* rtcp.c */
void md_rtcp_start(struct md_session *s);
void md_rtcp_take(struct md_session *s, const void *p, size_t n, const struct addr *from);
void md_rtcp_bye(struct md_session *s);
/* dtmf.c: one tick of sending; true when it was an event's, false when audio is due */
bool md_dtmf_tick(struct md_session *s, uint32_t ts, uint32_t n);
void md_dtmf_take(struct md_session *s, uint32_t ts, struct str payload);
void md_dtmf_check(struct md_session *s); /* an event whose end was lost */
