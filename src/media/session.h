#pragma once
/* One audio stream of a call: an RTP and an RTCP port, a 20 ms clock kept by the loop's timers
 * without drift, a source that is sent, a fixed jitter buffer, sinks, RTCP, DTMF, statistics. Works
 * the same over env_os and env_sim. [RFC3550] [RFC3551] [RFC4733] [RFC4961] */

#include "base/addr.h"
#include "codec/codec.h"
#include "event/loop.h"
#include "media/stats.h"
#include "sdp/oa.h"

struct md_session;

enum md_event_type {
	MD_FIRST_PACKET, /* the first RTP packet came; addr */
	MD_LATCHED,      /* the peer sends from another address than it said; addr */
	MD_DTMF,         /* digit, duration_ms; once per key press */
	MD_TONE,         /* a tone began: freq_hz, level_dbm0 */
	MD_TONE_END,
	MD_PLAYED,    /* the source's file or tone duration is at its end */
	MD_DTMF_SENT, /* all queued digits are out */
	MD_SILENT,    /* no packet since silent_ms although the peer may send */
	MD_BYE,       /* RTCP BYE of the peer */
	MD_FILE_ERROR /* recording stopped: text */
};
struct md_event {
	enum md_event_type type;
	struct addr addr;
	char digit;
	uint32_t duration_ms;
	double freq_hz, level_dbm0;
	const char *text;
};

struct md_config {
	struct addr local;           /* address to bind; port 0: from the range */
	uint16_t port_min, port_max; /* of RTP; 0, 0: 16384..32766 */
	const char *cname;           /* RTCP; NULL: made of random bytes */
	bool is_latching;            /* symmetric RTP: send to where packets come from [RFC4961] */
	bool is_reflector;  /* echo test: payloads go back as they came, without decoding */
	bool has_detector;  /* MD_TONE events */
	uint16_t jitter_ms; /* depth of the jitter buffer, 0: 60 */
	uint32_t silent_ms; /* for MD_SILENT, 0: never */
	/* Called from the loop after the session is done with its own work; may free the session.
	 */
	void (*fn)(void *arg, struct md_session *s, const struct md_event *ev);
	void *arg;
};

/* Opens the ports (RTP even, RTCP odd) and waits. ERR_NET with *why when no pair is free. */
enum err md_session_new(struct ev_loop *l, const struct md_config *c, struct md_session **out,
			const char **why);
/* Sends an RTCP BYE when anything was sent, closes ports and files. NULL is harmless. */
void md_session_free(struct md_session *s);
struct addr md_session_rtp(const struct md_session *s); /* the local address and port */
uint16_t md_session_rtcp_port(const struct md_session *s);

/* What SDP agreed: addresses, direction, codec, payload types. Starts sending and playing out;
 * again at each re-negotiation: hold, resume, another address. ERR_UNSUPPORTED: no such codec. */
enum err md_session_apply(struct md_session *s, const struct sdp_stream *st);
/* Stops sending and receiving without closing (the call is over for the peer already). */
void md_session_stop(struct md_session *s);

/* Sources; the last one called counts. Silence at first. duration_ms 0: for ever. */
void md_session_play_silence(struct md_session *s);
void md_session_play_tone(struct md_session *s, double freq_hz, double level_dbm0,
			  uint32_t duration_ms);
/* Any file that libsndfile reads, mixed to mono, resampled to the codec's rate. ERR_IO with *why.
 */
enum err md_session_play_file(struct md_session *s, const char *path, bool is_loop,
			      const char **why);
void md_session_play_echo(struct md_session *s); /* what is received, decoded and sent back */

/* 16-bit mono WAV of what is received, silence where nothing came. ERR_IO with *why. */
enum err md_session_record(struct md_session *s, const char *path, const char **why);
enum err md_session_record_end(struct md_session *s); /* completes the file */

/* Queues digits "0-9*#A-D!", ',' pauses a second; ERR_UNSUPPORTED without telephone-event or for
 * other letters, ERR_LIMIT when over 64 are queued. duration_ms 0: 160. */
enum err md_session_dtmf(struct md_session *s, struct str digits, uint32_t duration_ms);

void md_session_stats(const struct md_session *s, struct md_stats *out);
