#pragma once
/* How losses are spread: runs of lost packets (burst ratio of ITU-T G.107), bursts and gaps
 * [RFC3611 4.7.2]. Fed in order of sequence numbers, with what became of each in the end. */

#include "rtp/stats.h"

#define RTP_GMIN 16 /* so many in a row received end a burst [RFC3611 4.7.2] */

struct rtp_loss {
	uint64_t lost;            /* judged so far */
	uint32_t n_runs, longest; /* runs of lost packets */
	uint32_t span, span_lost; /* the open burst: from its first loss to its last */
	uint32_t n_bursts;        /* closed ones, with two losses at least */
	uint64_t in_bursts;       /* packets between their first and last loss, both included */
	uint64_t lost_in_bursts;  /* the other losses are single ones in gaps */
	bool has_loss;
	/* touched by every packet */
	uint64_t packets;    /* judged so far */
	uint32_t run, since; /* lost in a row now; received since the last loss */
};
/* One number was received or lost. */
void rtp_loss_add(struct rtp_loss *l, bool was_received);
/* After rtp_stats_add(s): what it pushed out of its window is judged. `window` and `top` are
 * s->seen and rtp_stats_ext_seq(s) as they were before. */
void rtp_loss_follow(struct rtp_loss *l, const struct rtp_stats *s, uint64_t window, uint32_t top,
		     enum rtp_seen seen);
/* The same for a packet of which rtp_stats_is_next said so. */
static inline void rtp_loss_follow_next(struct rtp_loss *l, const struct rtp_stats *s,
					uint64_t window)
{
	if (!(window >> 63) || l->run) {
		rtp_loss_follow(l, s, window, rtp_stats_ext_seq(s) - 1, RTP_NEW);
		return;
	}
	l->packets++; /* what it pushed out was received, as the one before that */
	if (l->since < RTP_GMIN)
		l->since++;
}

struct rtp_loss_sum {
	uint64_t lost;
	uint32_t n_runs, longest; /* packets */
	double mean_run;          /* packets; 0 without loss */
	double burst_r;           /* ITU-T G.107: 1 = as chance has it, more = in clusters */
	uint32_t n_bursts;
	double burst_density, gap_density; /* share lost within bursts, and outside of them */
	double mean_burst, mean_gap;       /* packets */
};
/* The sum with what is still in the window of s. */
void rtp_loss_sum(const struct rtp_loss *l, const struct rtp_stats *s, struct rtp_loss_sum *out);
