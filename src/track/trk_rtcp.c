/* RTCP of a call (or of streams that nobody's call is known for): what the two ends say of their
 * streams is kept with the streams.
 *
 *	SR   of a source      its count of packets, and the time that later reports refer to
 *	RR   about a source   what its receiver lost, jitter; with the SR's time: how long it takes
 *	                      from the capture to the receiver and back
 *	XR   VoIP metrics     what the receiver makes of it: MOS, discards, buffer [RFC3611 4.7]
 *
 * The round trip of the whole way is the sum of those of both directions' streams, wherever between
 * the two ends the capture was made. SRTCP is left alone: behind its first words stands noise.
 *
 * [RFC3550 6.4, 6.6] [RFC3711 3.4] [RFC5761]
 */
#include "track/trk_media_priv.h"

#include <stdlib.h>

#define MAX_TRIP 0x50000u /* 5 s, in 1/65536 s: more is a clock gone wrong */

struct reading {
	struct trk *t;
	struct trk_call *c;
	uint8_t side; /* that the datagram goes to */
	const struct trk_datagram *p;
	uint64_t at_us;
};

static struct trk_rtcp *about(const struct reading *r, uint32_t ssrc, bool by_sender)
{
	struct trk_stream *s = trk_stream_find(r->t, r->c, ssrc, r->p->from, by_sender);
	if (!s || s->crypt != TRK_PLAIN)
		return NULL;
	if (!s->rtcp)
		s->rtcp = calloc(1, sizeof *s->rtcp);
	return s->rtcp;
}

static void on_sender(const struct reading *r, const struct rtcp_pkt *k)
{
	struct rtcp_sr sr;
	if (rtcp_sr_parse(k, &sr))
		return;
	struct trk_rtcp *x = about(r, sr.ssrc, true);
	if (!x) {
		if (r->c && !trk_stream_find(r->t, r->c, sr.ssrc, r->p->from, true))
			r->c->av->unseen_sent[r->side] = sr.packets;
		return;
	}
	x->n_sr++;
	x->sr_packets = sr.packets;
	x->sr_octets = sr.octets;
	x->sr_ntp_mid = rtcp_ntp_mid(sr.ntp);
	x->sr_at_us = r->at_us;
}

static void measure_trip(const struct reading *r, struct trk_rtcp *x, const struct rtcp_block *b)
{
	if (!b->lsr || b->lsr != x->sr_ntp_mid || r->at_us < x->sr_at_us)
		return;
	uint64_t since = ((r->at_us - x->sr_at_us) << 16) / 1'000'000;
	if (since < b->dlsr || since - b->dlsr > MAX_TRIP)
		return;
	x->round_trip_us = (uint32_t)((since - b->dlsr) * 1'000'000 >> 16);
	if (x->round_trip_us > x->max_round_trip_us)
		x->max_round_trip_us = x->round_trip_us;
}

static void on_block(const struct reading *r, const struct rtcp_block *b)
{
	struct trk_rtcp *x = about(r, b->ssrc, false);
	if (!x)
		return;
	x->n_reports++;
	x->lost = b->lost;
	x->ext_seq = b->ext_seq;
	x->jitter = b->jitter;
	x->fraction = b->fraction;
	if (b->jitter > x->max_jitter)
		x->max_jitter = b->jitter;
	if (b->fraction > x->max_fraction)
		x->max_fraction = b->fraction;
	measure_trip(r, x, b);
}

static void on_bye(const struct reading *r, const struct rtcp_pkt *k)
{
	uint32_t ssrc;
	for (unsigned i = 0; !rtcp_bye_source(k, i, &ssrc); i++) {
		struct trk_rtcp *x = about(r, ssrc, true);
		if (x)
			x->has_bye = true;
	}
}

static void on_extended(const struct reading *r, const struct rtcp_pkt *k)
{
	struct xr_block b;
	struct xr_voip v;
	size_t at = 0;
	while (!xr_next(k, &at, &b)) {
		struct trk_rtcp *x = xr_voip_parse(&b, &v) ? NULL : about(r, v.ssrc, false);
		if (x) {
			x->has_voip = true;
			x->voip = v;
		}
	}
}

void trk_rtcp_add(struct trk *t, struct trk_call *c, uint8_t side, const struct trk_datagram *p)
{
	struct reading r = {t, c, side, p, (uint64_t)p->at_ns / 1'000};
	struct rtcp_pkt k;
	struct rtcp_block b;
	size_t at = 0;
	while (!rtcp_next(p->bytes.p, p->bytes.n, &at, &k)) {
		if (k.type == RTCP_SR)
			on_sender(&r, &k);
		for (unsigned i = 0; !rtcp_block_parse(&k, i, &b); i++)
			on_block(&r, &b);
		if (k.type == RTCP_BYE)
			on_bye(&r, &k);
		if (k.type == RTCP_XR)
			on_extended(&r, &k);
	}
}
