/* RTP that no SDP named, known by its looks.
 *
 * Any datagram of twelve bytes that begins with binary 10 could be RTP, so one is no evidence. What
 * no other protocol does is to go on: same source, numbers that rise by one, timestamps that rise
 * little. A flow is believed when that held for NEEDED packets in a row; for NEEDED_ODD where the
 * ports are odd, for RTP prefers even ones [RFC3550 11] and only WebRTC does not care. The packets
 * seen until then are kept as what the stream needs of them and counted afterwards, so that the
 * figures begin with the first packet.
 *
 * A payload type must be one that is in use: static audio or video, or dynamic. Ports of services
 * are left alone. A flow that failed MAX_REFUSED times is not looked at again, until SDP names it.
 *
 * Invariants: a probe belongs to one flow and is freed when the flow is believed, given up, or
 * freed.
 */
#include "track/trk_media_priv.h"

#include <stdlib.h>
#include <string.h>

#define NEEDED       5
#define NEEDED_ODD   8
#define MAX_REFUSED  8
#define MAX_STEP     3       /* of sequence numbers: a loss or two do not matter */
#define MAX_TS_STEP  180'000 /* two seconds of video */
#define FIRST_PORT   1'024
#define KEEP_PAYLOAD 48 /* bytes: what events and silence look at */

struct seen {
	int64_t at_ns;
	uint32_t frame_no, n_payload;
	struct rtp_hdr h;
	uint8_t payload[KEEP_PAYLOAD];
};

struct trk_probe {
	unsigned n;
	struct seen v[NEEDED_ODD];
};

static bool is_media_type(uint8_t pt)
{
	return pt <= 19 || pt == 25 || pt == 26 || pt == 28 || (pt >= 31 && pt <= 34) || pt >= 96;
}

static bool is_service(uint16_t port)
{
	static const uint16_t ports[] = {1'194, 1'434, 1'645, 1'646, 1'701, 1'812, 1'813, 1'900,
					 2'152, 2'427, 2'727, 3'702, 4'500, 4'789, 5'353, 5'355};
	for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
		if (port == ports[i])
			return true;
	return port < FIRST_PORT;
}

static bool is_plausible(const struct flow *f, const struct rtp_hdr *h)
{
	return is_media_type(h->pt) && h->ssrc && h->payload.n && !is_service(f->from.port) &&
	       !is_service(f->to.port) && !addr_is_multicast(&f->from);
}

static bool goes_on(const struct rtp_hdr *last, const struct rtp_hdr *h)
{
	uint16_t step = (uint16_t)(h->seq - last->seq);
	return h->ssrc == last->ssrc && step >= 1 && step <= MAX_STEP &&
	       h->ts - last->ts <= MAX_TS_STEP;
}

static void keep(struct trk_probe *k, const struct trk_datagram *p, const struct rtp_hdr *h)
{
	struct seen *s = &k->v[k->n++];
	*s = (struct seen){.at_ns = p->at_ns,
			   .frame_no = p->frame_no,
			   .n_payload = (uint32_t)h->payload.n,
			   .h = *h};
	memcpy(s->payload, h->payload.p, h->payload.n < KEEP_PAYLOAD ? h->payload.n : KEEP_PAYLOAD);
}

void trk_probe_drop(struct flow *f)
{
	free(f->probe);
	f->probe = NULL;
}

static void refuse(struct flow *f)
{
	f->n_refused++;
	trk_probe_drop(f);
}

bool trk_probe_add(struct flow *f, const struct trk_datagram *p, const struct rtp_hdr *h)
{
	if (f->n_refused >= MAX_REFUSED)
		return false;
	if (!is_plausible(f, h)) {
		refuse(f);
		return false;
	}
	if (f->probe && !goes_on(&f->probe->v[f->probe->n - 1].h, h))
		refuse(f);
	if (!f->probe)
		f->probe = calloc(1, sizeof *f->probe);
	if (!f->probe)
		return false;
	bool is_even = !(f->from.port & 1) && !(f->to.port & 1);
	if (f->probe->n + 1 < (is_even ? NEEDED : NEEDED_ODD)) {
		keep(f->probe, p, h);
		return false;
	}
	return true;
}

void trk_probe_replay(struct trk *t, struct flow *f)
{
	struct trk_probe *k = f->probe;
	f->probe = NULL;
	for (unsigned i = 0; i < k->n; i++) {
		struct seen *s = &k->v[i];
		struct trk_datagram p = {
			.at_ns = s->at_ns, .frame_no = s->frame_no, .from = &f->from, .to = &f->to};
		/* beyond what was kept nobody reads */
		s->h.payload = str_of((const char *)s->payload, s->n_payload);
		if (s->n_payload > KEEP_PAYLOAD)
			s->h.payload.n = KEEP_PAYLOAD;
		struct trk_stream *x = trk_stream_add(t, f, &p, &s->h);
		if (x)
			x->stats.bytes += s->n_payload - s->h.payload.n;
	}
	free(k);
}
