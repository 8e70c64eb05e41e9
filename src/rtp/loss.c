/* The pattern of losses.
 *
 * Whether a packet is lost is known only when it cannot come any more. struct rtp_stats remembers
 * the last 64 sequence numbers as bits; what falls out of that window is settled, and judged here
 * in order. So a reordered packet is no loss, and nothing is kept but counters.
 *
 * Two views of the same row of received and lost packets:
 *
 *	runs     losses without a packet between: mean length against that of chance, 1 / (1 - p),
 *	         is the burst ratio of ITU-T G.107
 *	bursts   losses with less than RTP_GMIN received ones between; what is outside of them is a
 *	         gap, a single loss in it included [RFC3611 4.7.2]
 *
 * Invariants: packets = in bursts + in gaps; lost_in_bursts <= lost; a burst that is open has its
 * first loss behind it and is at least one packet long.
 */
#include "rtp/loss.h"

#define WINDOW 64u

static void close_burst(struct rtp_loss *l)
{
	if (l->span_lost > 1) {
		l->n_bursts++;
		l->in_bursts += l->span;
		l->lost_in_bursts += l->span_lost;
	}
	l->span = l->span_lost = 0;
}

static void end_run(struct rtp_loss *l)
{
	if (l->run > l->longest)
		l->longest = l->run;
	l->run = 0;
}

static void add_lost(struct rtp_loss *l)
{
	l->lost++;
	if (l->span && l->since < RTP_GMIN) {
		l->span += l->since + 1;
		l->span_lost++;
	} else {
		close_burst(l);
		l->span = l->span_lost = 1;
	}
	l->since = 0;
	l->has_loss = true;
	l->n_runs += l->run++ == 0;
}

void rtp_loss_add(struct rtp_loss *l, bool was_received)
{
	l->packets++;
	if (!was_received) {
		add_lost(l);
		return;
	}
	if (l->run)
		end_run(l);
	if (l->since < RTP_GMIN)
		l->since++;
}

/* Bits 63 - 0 of a window are its oldest to its newest number; those before the run began are
 * none. */
static void judge(struct rtp_loss *l, uint64_t window, unsigned from, unsigned to)
{
	for (unsigned bit = from; bit-- > to;)
		rtp_loss_add(l, window >> bit & 1);
}

static unsigned valid_bits(const struct rtp_stats *s, uint32_t top)
{
	uint32_t n = top - s->base_seq + 1;
	return n < WINDOW ? n : WINDOW;
}

void rtp_loss_follow(struct rtp_loss *l, const struct rtp_stats *s, uint64_t window, uint32_t top,
		     enum rtp_seen seen)
{
	if (seen == RTP_RESTART) { /* the run before is over: base_seq is the new one's already */
		judge(l, window, WINDOW - (unsigned)__builtin_clzll(window | 1), 0);
		return;
	}
	if (seen != RTP_NEW)
		return;
	uint32_t ahead = rtp_stats_ext_seq(s) - top;
	unsigned valid = valid_bits(s, top);
	if (valid + ahead <= WINDOW)
		return;
	judge(l, window, valid, ahead < WINDOW ? WINDOW - ahead : 0);
	for (uint32_t i = WINDOW; i < ahead; i++)
		add_lost(l), l->packets++;
}

void rtp_loss_sum(const struct rtp_loss *l, const struct rtp_stats *s, struct rtp_loss_sum *out)
{
	struct rtp_loss k = *l;
	*out = (struct rtp_loss_sum){.burst_r = 1};
	if (!s->is_started)
		return;
	judge(&k, s->seen, valid_bits(s, rtp_stats_ext_seq(s)), 0);
	end_run(&k);
	close_burst(&k);
	out->lost = k.lost;
	out->n_runs = k.n_runs;
	out->longest = k.longest;
	out->n_bursts = k.n_bursts;
	uint64_t gaps = k.packets - k.in_bursts, lost_in_gaps = k.lost - k.lost_in_bursts;
	if (k.n_runs) {
		double p = (double)k.lost / (double)k.packets;
		out->mean_run = (double)k.lost / k.n_runs;
		out->burst_r = out->mean_run * (1 - p);
		if (out->burst_r < 1)
			out->burst_r = 1;
	}
	if (k.n_bursts) {
		out->burst_density = (double)k.lost_in_bursts / (double)k.in_bursts;
		out->mean_burst = (double)k.in_bursts / k.n_bursts;
	}
	if (gaps)
		out->gap_density = (double)lost_in_gaps / (double)gaps;
	out->mean_gap = (double)gaps / (k.n_bursts + 1.0);
}
