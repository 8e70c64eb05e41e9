/* SDP that is read when it is needed.
 *
 * Most large captures hold no media at all, and then the ports that their calls named are nobody's:
 * a million messages would keep as much memory for them as for everything else. So while the bytes
 * can be read again, a message with SDP is only marked; the first datagram that looks like media
 * (or an ICMP error, which may be about media) makes the tracker learn what was marked, in the
 * order in which it came, and from then on it learns at once.
 *
 * Invariant: media tables are the same as if all had been learnt at once whenever they are looked
 * at.
 */
#include "sip/hdr.h"
#include "track/trk_shape.h"

void trk_reader(struct trk *t, trk_read_fn *fn, void *arg)
{
	t->read = fn;
	t->read_arg = arg;
}

bool trk_sdp_wait(const struct trk_intake *i)
{
	struct trk *t = i->t;
	if (!t->read || t->has_met_media || !i->e->file_off)
		return false;
	i->e->is_unlearnt = true;
	t->last_unlearnt = trk_ev_id(i->e);
	if (!t->first_unlearnt)
		t->first_unlearnt = t->last_unlearnt;
	return true;
}

static const struct addr *source_of(const struct trk_ev *e)
{
	return &trk_call_of(e)->peers[e->from].addr;
}

static bool find_sdp(struct trk *t, struct str bytes, struct str *body)
{
	struct sip_skim k;
	if (sip_skim(bytes, &k) && k.is_sdp) {
		*body = k.body;
		return true;
	}
	const struct sip_msg *m = trk_index(t, bytes);
	return m && sip_body_find(m, STR("application"), STR("sdp"), body);
}

static const struct trk_shape *shape_of(struct trk *t, struct trk_call *c, struct str body,
					struct trk_look *look)
{
	return t->n_shapes && trk_shape_look(t, c, body, look) ? trk_shape_find(t, look) : NULL;
}

static void learn(struct trk *t, const struct trk_ev *e)
{
	struct trk_call *c = trk_call_of(e);
	struct trk_look look;
	struct str bytes, body;
	if (!t->read(t->read_arg, e, &bytes) || !find_sdp(t, bytes, &body))
		return;
	const struct trk_shape *s = shape_of(t, c, body, &look);
	if (s && s->has_outline)
		trk_media_learn_alike(t, c, trk_side_of(e), source_of(e), &look, &s->outline);
	else if (!sdp_parse(body, &t->sdp))
		trk_media_learn(t, c, trk_side_of(e), source_of(e));
}

void trk_sdp_catch_up(struct trk *t)
{
	uint32_t first = t->first_unlearnt;
	if (!first)
		return;
	t->has_met_media = true;
	t->first_unlearnt = 0;
	for (uint32_t id = first; id <= t->last_unlearnt; id++) {
		struct trk_ev *e = trk_row(t, id);
		if (e->is_unlearnt)
			learn(t, e);
		e->is_unlearnt = false;
	}
}

/* RTP and what shares its ports begins with a byte of its own [RFC7983]; a fax's packet tells the
 * length of its first part. [T.38 9.1] */
bool trk_sdp_is_needed(struct trk *t, struct str s)
{
	const uint8_t *b = (const uint8_t *)s.p;
	bool is_fax = s.n >= 4 && b[2] < 128 && b[2] + 3u <= s.n;
	if (!is_fax && rtp_demux(b, s.n) == RTP_UNKNOWN)
		return false;
	trk_sdp_catch_up(t);
	return true;
}
