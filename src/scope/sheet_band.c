/* Media on the ladder: the streams of a call as one band per direction and kind of media.
 *
 * A call that is held and resumed, or whose SSRC changes, has several streams one way: they are one
 * band, because the question is whether she could hear him. Loss adds up; jitter is that of the
 * worst stream. The verdict knows whether the other direction was agreed upon: where it says that
 * nothing came, a band of absence stands beside the one that was seen.
 */
#include "scope/sheet_priv.h"

#include <stdlib.h>

/* Media goes to and from ports of its own: on a host with several lanes the side tells which. */
static uint8_t media_lane(struct sheet_maker *m, const struct trk_call *c, const struct addr *a,
			  bool is_caller)
{
	unsigned n = 0, found = 0;
	for (unsigned i = 0; i < m->s->n_lanes; i++)
		if (addr_ip_eq(&m->s->lanes[i].addr, a)) {
			found = i;
			n++;
		}
	if (n == 1)
		return (uint8_t)found;
	uint8_t peer = is_caller ? c->caller : c->callee;
	if (n > 1 && peer < c->n_peers)
		return sheet_lane_of(m, &c->peers[peer].addr);
	struct addr host = *a;
	host.port = 0;
	return sheet_lane_of(m, &host);
}

static struct sheet_band *band_of(struct sheet *s, uint16_t leg, uint8_t from, uint8_t to,
				  uint8_t media, uint64_t at_us)
{
	for (unsigned i = 0; i < s->n_bands; i++) {
		struct sheet_band *b = &s->bands[i];
		if (b->leg == leg && b->from == from && b->to == to && b->media == media)
			return b;
	}
	if (s->n_bands == SHEET_MAX_BANDS)
		return NULL;
	struct sheet_band *b = &s->bands[s->n_bands++];
	*b = (struct sheet_band){.leg = leg,
				 .from = from,
				 .to = to,
				 .media = media,
				 .at_us = at_us,
				 .end_us = at_us};
	return b;
}

static void add_stream(struct sheet_band *b, const struct trk_stream *x)
{
	double jitter = x->trace.jitter / 1e3;
	double max_jitter = x->trace.max_jitter / 1e3;
	if (x->stats.first_us < b->at_us)
		b->at_us = x->stats.first_us;
	if (x->stats.last_us > b->end_us)
		b->end_us = x->stats.last_us;
	if (!b->n_streams++ || x->first_frame < b->first_frame)
		b->first_frame = x->first_frame;
	b->received += x->stats.received - x->stats.dup;
	b->expected += rtp_stats_expected(&x->stats);
	b->jitter_ms = jitter > b->jitter_ms ? jitter : b->jitter_ms;
	b->max_jitter_ms = max_jitter > b->max_jitter_ms ? max_jitter : b->max_jitter_ms;
	if (x->stats.max_delta_us > b->max_gap_us)
		b->max_gap_us = x->stats.max_delta_us;
	if (x->codec[0])
		str_copy(b->codec, sizeof b->codec, str_c(x->codec));
	if (x->digits[0])
		str_copy(b->digits, sizeof b->digits, str_c(x->digits));
}

static void add_absence(struct sheet *s, uint16_t leg)
{
	unsigned n = s->n_bands;
	for (unsigned i = 0; i < n; i++) {
		const struct sheet_band *seen = &s->bands[i];
		if (seen->leg != leg)
			continue;
		uint64_t end = seen->end_us;
		struct sheet_band *b =
			band_of(s, leg, seen->to, seen->from, seen->media, seen->at_us);
		if (b && !b->received) {
			b->is_absent = true;
			b->end_us = end;
		}
	}
}

static int by_time(const void *a, const void *b)
{
	const struct sheet_band *x = a, *y = b;
	return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

void sheet_find_bands(struct sheet_maker *m)
{
	struct sheet *s = m->s;
	for (size_t i = 0; i < s->n_legs; i++) {
		uint16_t leg = (uint16_t)i;
		const struct trk_call *c = s->legs[leg].call;
		const struct vrd *v = s->legs[leg].v;
		for (const struct trk_stream *x = trk_av(c)->streams; x; x = x->next) {
			bool to_caller = x->side == TRK_SIDE_CALLER;
			uint8_t from = media_lane(m, c, &x->from, !to_caller);
			uint8_t to = media_lane(m, c, &x->to, to_caller);
			struct sheet_band *b =
				from == to ? NULL
					   : band_of(s, leg, from, to, x->media, x->stats.first_us);
			if (b)
				add_stream(b, x);
		}
		for (unsigned k = 0; v && k < v->n; k++)
			if (v->f[k].rule == VRD_ONE_WAY) {
				add_absence(s, leg);
				break;
			}
	}
	qsort(s->bands, s->n_bands, sizeof s->bands[0], by_time);
}
