/* Facts of SDP: direction, address and codecs of a body, each side's latest.
 *
 * A tracker that follows media parses the body and learns its ports, unless one of the same shape
 * was parsed before; a live one, which has a microsecond per message, only
 * glances at it line by line, and keeps the caller's offer as it was, until it is accepted, for the
 * one verdict that wants codecs by name.
 *
 * Invariant: a body that a side repeats (the next hop, a refresh) is told by its hash and read
 * once.
 *
 * [RFC3264] [RFC8866]
 */
#include "base/assert.h"
#include "sip/hdr.h"
#include "track/trk_shape.h"

#define BOTH_WAYS (TRK_SD_SENDS | TRK_SD_RECVS)

static unsigned address_flags(const struct trk_intake *i, const struct addr *a)
{
	const struct addr *from = &i->p->from;
	bool is_hidden = a->family && addr_is_private(a) && !addr_is_private(from) &&
			 !addr_is_loopback(from);
	return is_hidden ? TRK_SD_PRIVATE : 0;
}

static void keep_description(const struct trk_intake *i, enum trk_side side, struct str host,
			     unsigned flags, unsigned port)
{
	i->c->sdp_dir[side] = (uint8_t)(flags & BOTH_WAYS);
	struct trk_fact *f = trk_skips(i) ? NULL : trk_fact_add(i->t, i->c, i->e, TRK_F_SDP, host);
	if (!f)
		return;
	f->flags = (uint8_t)flags;
	f->num = port;
}

static void keep_codecs(const struct trk_intake *i, struct str formats, const struct trk_shape *s)
{
	struct trk_fact *f = trk_fact_add(i->t, i->c, i->e, TRK_F_CODECS, formats);
	if (!f)
		return;
	f->num = s->ptime_ms;
	f->flags = s->maxptime;
}

/* A body like one that was parsed. */
static bool keep_alike(const struct trk_intake *i, enum trk_side side, const struct trk_look *look)
{
	const struct trk_shape *s = trk_shape_find(i->t, look);
	if (!s || !(trk_sdp_wait(i) || s->has_outline))
		return false;
	keep_description(i, side, look->host, s->flags | address_flags(i, &look->addr), look->port);
	keep_codecs(i, trk_user(s->formats), s);
	if (!i->e->is_unlearnt)
		trk_media_learn_alike(i->t, i->c, side, &i->p->from, look, &s->outline);
	return true;
}

static void parse_sdp(const struct trk_intake *i, enum trk_side side, struct str body)
{
	struct sdp *s = &i->t->sdp;
	const struct sdp_media *first = NULL;
	struct trk_look look;
	unsigned flags = 0;
	bool has_shape = !i->t->cfg.is_live && trk_shape_look(i->t, i->c, body, &look);
	if ((has_shape && keep_alike(i, side, &look)) || sdp_parse(body, s))
		return;
	for (unsigned k = 0; k < s->n_media; k++) {
		const struct sdp_media *m = &s->media[k];
		if (!m->port)
			continue;
		if (!first)
			first = m;
		if (m->type == SDP_VIDEO)
			flags |= TRK_SD_VIDEO;
		if (m->has_crypto || m->has_fingerprint)
			flags |= TRK_SD_SECURE;
	}
	if (first) {
		flags |= first->dir & SDP_SENDONLY ? TRK_SD_SENDS : 0;
		flags |= first->dir & SDP_RECVONLY && !first->is_hold ? TRK_SD_RECVS : 0;
		flags |= address_flags(i, &first->conn.addr);
		if (sdp_proto_flags((enum sdp_proto)first->proto) & SDP_PF_SECURE)
			flags |= TRK_SD_SAVP;
	} else if (s->n_media) {
		flags |= TRK_SD_REFUSED;
	}
	keep_description(i, side, first ? first->conn.host : STR_NONE, flags,
			 first ? first->port : 0);
	if (s->n_media) {
		char mem[400];
		struct buf b;
		buf_init_fixed(&b, mem, sizeof mem);
		sdp_print_formats(s, first ? (unsigned)(first - s->media) : 0, &b);
		struct trk_shape shape = {.flags = flags & ~(unsigned)TRK_SD_PRIVATE};
		if (first) {
			shape.ptime_ms = first->ptime_ms;
			shape.maxptime =
				(uint8_t)(first->maxptime_ms < 2'550 ? first->maxptime_ms / 10
								     : 255);
		}
		keep_codecs(i, buf_view(&b), &shape);
		if (has_shape) {
			shape.formats = trk_name_keep(i->t, i->c, buf_view(&b), STR_NONE);
			trk_shape_keep(i->t, &look, &shape);
		}
	}
	if (!trk_sdp_wait(i))
		trk_media_learn(i->t, i->c, side, &i->p->from);
}

struct glance { /* what stands out in a body */
	unsigned flags;
	bool has_medium, has_port;
	uint32_t port;
	struct str host;
};

static void glance_at_line(struct glance *g, struct str line)
{
	static const struct {
		struct str text;
		unsigned dir;
	} dirs[] = {
		{STR_INIT("a=sendonly"), TRK_SD_SENDS},
		{STR_INIT("a=recvonly"), TRK_SD_RECVS},
		{STR_INIT("a=inactive"), 0           }
        };
	struct str rest;
	if (line.n < 3 || line.p[1] != '=')
		return;
	if (line.p[0] == 'c' && line.n > 9 && !g->has_port) {
		g->host = str_cut(str_skip(line, 9), '/', &rest);
	} else if (line.p[0] == 'm') {
		str_cut(line, ' ', &rest);
		uint32_t port;
		g->has_medium = true;
		if (str_u32(str_cut(str_cut(rest, ' ', &rest), '/', &line), &port) && port &&
		    !g->has_port) {
			g->has_port = true;
			g->port = port;
			if (str_find(rest, STR("SAVP")) != SIZE_MAX)
				g->flags |= TRK_SD_SAVP;
		}
	} else if (line.p[0] == 'a' && line.p[2] != 'r') { /* most begin a=rtpmap */
		for (unsigned k = 0; k < ARRAY_LEN(dirs); k++)
			if (str_eq(line, dirs[k].text))
				g->flags = (g->flags & ~(unsigned)BOTH_WAYS) | dirs[k].dir;
		if (str_starts(line, STR("a=crypto")) || str_starts(line, STR("a=fingerprint")))
			g->flags |= TRK_SD_SECURE;
	} else if (str_eq(line, dirs[1].text)) {
		g->flags = (g->flags & ~(unsigned)BOTH_WAYS) | dirs[1].dir;
	}
}

static void glance_at_sdp(const struct trk_intake *i, enum trk_side side, struct str body)
{
	struct glance g = {.flags = BOTH_WAYS};
	struct addr a;
	for (struct str rest = body; rest.n;) {
		struct str line = str_cut(rest, '\n', &rest);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		glance_at_line(&g, line);
	}
	if (g.has_medium && !g.has_port)
		g.flags |= TRK_SD_REFUSED;
	if (addr_parse(g.host, 0, &a)) {
		g.flags |= address_flags(i, &a);
		if (addr_is_any(&a)) /* how RFC 2543 said hold */
			g.flags &= ~(unsigned)TRK_SD_RECVS;
	}
	keep_description(i, side, g.host, g.flags, g.port);
	if (side == TRK_SIDE_CALLER && i->e->cseq == i->c->cseq && i->c->phase < TRK_ANSWERED)
		trk_offer_keep(i->t, i->c, i->e, body);
}

static bool find_sdp(struct trk_intake *i, struct str *body)
{
	*body = i->k->body;
	return i->k->is_sdp ||
	       (trk_need_index(i) && sip_body_find(i->m, STR("application"), STR("sdp"), body));
}

void trk_facts_sdp(struct trk_intake *i)
{
	struct str body;
	if (!find_sdp(i, &body) || !body.n)
		return;
	i->e->flags |= TRK_EV_SDP;
	enum trk_side side = trk_side_of(i->e);
	uint32_t h = hash_quick32(body);
	if (i->c->sdp_hash[side] == h) { /* the next hop, or a refresh: only hold is worth a fact */
		if (i->c->sdp_dir[side] != BOTH_WAYS)
			keep_description(i, side, STR_NONE, i->c->sdp_dir[side], 0);
		return;
	}
	i->c->sdp_hash[side] = h;
	i->c->sdp_dir[side] = BOTH_WAYS;
	if (trk_skips(i) && trk_sdp_wait(i))
		return;
	if (!i->t->cfg.has_media)
		glance_at_sdp(i, side, body);
	else
		parse_sdp(i, side, body);
}
