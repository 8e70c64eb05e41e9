/* Losses that are the capture's own.
 *
 * When the sniffer drops frames, all streams have a hole at the same time: what was lost on the
 * wire between two hosts does not choose so. Each loss of a stream has a time from, the last packet
 * before, and a time to, the first after. A common gap is the intersection of such times, and
 * counts the streams in it; when a loss does not meet it, the gap is over and is judged: at least
 * MIN_STREAMS, and nearly all of those that were sending. Its number is then kept, and streams that
 * took part in it look their own last gap up when they have the next, or are read.
 *
 * With two streams only, the two directions of one call, single packets are lost together by
 * chance; there the hole must be longer than QUIET_US. That it was not the hosts' link that was
 * down cannot be told from here, and the verdict says so.
 *
 * Invariants: numbers in `common` rise; at most MAX_COMMON of them are kept.
 */
#include "track/trk_media_priv.h"

#include <stdlib.h>

#define MIN_STREAMS 2
#define QUIET_US    60'000u /* three packets of a usual stream */
#define MAX_COMMON  65'536u

static bool is_common(const struct trk_gap *g)
{
	uint32_t active = g->n_active > g->n_active_before ? g->n_active : g->n_active_before;
	bool is_pair = g->n == MIN_STREAMS;
	return g->n >= MIN_STREAMS && g->n * 10 >= active * 8 &&
	       (!is_pair || g->to_us > g->from_us + QUIET_US);
}

static void keep(struct trk_gap *g)
{
	if (g->n_common == g->common_cap) {
		uint32_t cap = g->common_cap ? 2 * g->common_cap : 16;
		uint32_t *a = cap > MAX_COMMON ? NULL : realloc(g->common, cap * sizeof *a);
		if (!a)
			return;
		g->common = a;
		g->common_cap = cap;
	}
	g->common[g->n_common++] = g->no;
}

static bool was_common(const struct trk_gap *g, uint32_t no)
{
	if (no == g->no)
		return is_common(g);
	uint32_t lo = 0, hi = g->n_common;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (g->common[mid] < no)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < g->n_common && g->common[lo] == no;
}

uint64_t trk_gap_lost(const struct trk *t, const struct trk_stream *s)
{
	bool is_last = s->gap_no && was_common(&t->gap, s->gap_no);
	return s->sniffer_lost + (is_last ? s->gap_lost : 0);
}

void trk_gap_add(struct trk *t, struct trk_stream *s, uint64_t from_us, uint64_t to_us, uint32_t n)
{
	struct trk_gap *g = &t->gap;
	if (!g->no || from_us > g->to_us || to_us < g->from_us) {
		if (is_common(g))
			keep(g);
		g->no++;
		g->n = 0;
		g->from_us = from_us;
		g->to_us = to_us;
	}
	if (s->gap_no == g->no) { /* again in the same: one stream counts once */
		s->gap_lost += n;
		return;
	}
	s->sniffer_lost = trk_gap_lost(t, s);
	s->gap_no = g->no;
	s->gap_lost = n;
	g->n++;
	if (from_us > g->from_us)
		g->from_us = from_us;
	if (to_us < g->to_us)
		g->to_us = to_us;
}

void trk_gap_fini(struct trk *t)
{
	free(t->gap.common);
}
