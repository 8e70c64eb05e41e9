#pragma once
/* A snapshot of a session's counters, by value. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_stats {
	uint64_t sent_packets, sent_bytes; /* bytes of payload */
	uint64_t received, received_bytes;
	uint64_t expected;
	int64_t lost;
	uint32_t dup, reordered;
	uint64_t discarded; /* came too late or too early to be played */
	uint64_t concealed; /* packet times played without a packet while the peer sent */
	uint64_t foreign;   /* packets from elsewhere, or no RTP at all */
	uint64_t wrong_pt;  /* payload types that were not agreed */
	double jitter_ms, max_jitter_ms;
	uint64_t max_gap_ms;
	uint64_t first_sent_us, last_sent_us, first_received_us, last_received_us; /* loop clock */
	uint64_t silent_us; /* since the last packet (or since the start), now */
	uint32_t ssrc, remote_ssrc;
	uint32_t ssrc_changes, ssrc_collisions;
	uint32_t round_trip_us; /* last by RTCP, 0 = unknown */
	bool has_remote_report;
	uint8_t remote_fraction_lost; /* of what we send, 1/256, as the peer reports */
	int32_t remote_lost;
	double remote_jitter_ms;
	uint32_t rtcp_sent, rtcp_received;
	bool has_tone;
	double tone_hz, tone_dbm0; /* of the last block */
	double tone_total_ms;      /* how long a tone was heard in all */
	char digits[64];           /* DTMF received so far, NUL-terminated */
};
