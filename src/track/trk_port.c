/* Ports: what SDP says of who receives where, see trk_media.c.
 *
 * Of a body whose shape is known (trk_shape.c) only the address and the port are learnt; its
 * outline (kind, encryption, codecs) is that of the first one, and belongs to the tracker, not to
 * the call.
 *
 * [RFC3605] [RFC8839 5.1] [ITU-T T.38]
 */
#include "track/trk_shape.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CODECS 12
#define MAX_PORTS  64 /* of one call: media times candidates times hops */
#define MAX_CAND   8  /* candidates read of one medium */

void trk_media_free(struct trk *t, struct trk_media *m)
{
	list_del(&m->of_port);
	if (list_is_empty(&m->port->media)) {
		htab_del(&t->ports, &m->port->node);
		free(m->port);
	}
	free(m);
}

static struct port *port_find(const struct trk *t, const struct addr *a)
{
	for (struct hnode *n = htab_first(&t->ports, trk_addr_hash(t, a)); n; n = htab_next(n)) {
		struct port *p = CONTAINER_OF(n, struct port, node);
		if (addr_eq(&p->addr, a))
			return p;
	}
	return NULL;
}

/* What the newest call that named the address said of it. */
struct trk_media *trk_port_of(const struct trk *t, const struct addr *a)
{
	struct port *p = port_find(t, a);
	return p ? LIST_ENTRY(p->media.next, struct trk_media, of_port) : NULL;
}

struct trk_call *trk_media_find(const struct trk *t, const struct addr *to, enum trk_side *side)
{
	const struct trk_media *m = t->cfg.has_media ? trk_port_of(t, to) : NULL;
	if (!m)
		return NULL;
	*side = (enum trk_side)m->side;
	return m->call;
}

/* Of medium i of t->sdp; c NULL: for as long as the tracker of a file. */
static const struct trk_codecs *read_codecs(struct trk *t, unsigned i, struct trk_call *c)
{
	const struct sdp *s = &t->sdp;
	struct codec v[MAX_CODECS];
	struct sdp_fmt f;
	unsigned at = 0, n = 0;
	while (n < MAX_CODECS && sdp_fmt_next(s, i, &at, &f)) {
		if (f.pt == SDP_PT_NONE)
			continue;
		v[n].pt = f.pt;
		v[n].clock = f.clock;
		v[n].channels = f.channels;
		str_copy(v[n++].name, sizeof v[0].name, f.name);
	}
	size_t size = sizeof(struct trk_codecs) + n * sizeof v[0];
	struct trk_codecs *k = c ? malloc(size) : trk_heap(t, size, _Alignof(struct trk_codecs));
	if (!k)
		return NULL;
	k->n = n;
	memcpy(k->v, v, n * sizeof v[0]);
	if (c) {
		k->next = c->av->codecs;
		c->av->codecs = k;
		trk_weigh(t, c, size);
	}
	return k;
}

static struct port *port_get(struct trk *t, const struct addr *a)
{
	struct port *p = port_find(t, a);
	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->addr = *a;
	list_init(&p->media);
	htab_add(&t->ports, &p->node, trk_addr_hash(t, a));
	return p;
}

static struct trk_media *media_new(struct trk *t, struct trk_call *c, enum trk_side side,
				   const struct addr *a)
{
	struct trk_media *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->port = port_get(t, a);
	if (!m->port) {
		free(m);
		return NULL;
	}
	m->call = c;
	m->side = (uint8_t)side;
	list_init(&m->flows);
	list_add_after(&m->port->media, &m->of_port);
	m->next = c->av->media;
	c->av->media = m;
	return m;
}

struct medium { /* an m= line being learnt */
	struct trk_outline is;
	enum trk_side side;
	bool is_guess;
	struct addr rtp, rtcp;
};

static void learn_port(struct trk *t, struct trk_call *c, const struct medium *d,
		       const struct addr *a)
{
	if (!a->family || !a->port || addr_is_any(a))
		return;
	struct trk_media *m = c->av->media;
	unsigned n = 0;
	for (; m && !(addr_eq(&m->port->addr, a) && m->side == d->side); m = m->next)
		n++;
	if (!m && n < MAX_PORTS)
		m = media_new(t, c, d->side, a);
	if (!m)
		return;
	m->type = d->is.type;
	m->crypt = d->is.crypt;
	m->is_t38 = d->is.is_t38;
	m->is_guess = d->is_guess;
	m->codecs = d->is.codecs;
	t->media_gen++;
}

/* candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host */
static bool candidate_addr(struct str v, struct addr *a)
{
	struct str word[6];
	for (unsigned i = 0; i < ARRAY_LEN(word); i++)
		word[i] = str_cut(v, ' ', &v);
	uint32_t port;
	return str_ieq(word[2], STR("udp")) && addr_parse(word[4], 0, a) &&
	       str_u32(word[5], &port) && port && port < 65'536 && (a->port = (uint16_t)port);
}

static enum trk_crypt crypt_of(const struct sdp_media *m)
{
	if (m->has_crypto)
		return TRK_SDES;
	bool is_dtls =
		m->has_fingerprint || sdp_proto_flags((enum sdp_proto)m->proto) & SDP_PF_DTLS;
	return is_dtls ? TRK_DTLS : TRK_PLAIN;
}

static bool is_udptl(const struct sdp_media *m)
{
	return m->type == SDP_IMAGE && str_ieq(m->proto_text, STR("udptl"));
}

static void learn_candidates(struct trk *t, struct trk_call *c, unsigned i, const struct medium *d)
{
	struct str v;
	struct addr a;
	unsigned at = 0;
	for (unsigned n = 0;
	     n < MAX_CAND && sdp_attr_next(&t->sdp, (int)i, SDP_A_CANDIDATE, &at, &v); n++)
		if (candidate_addr(v, &a))
			learn_port(t, c, d, &a);
}

static void learn_medium(struct trk *t, struct trk_call *c, const struct medium *d)
{
	learn_port(t, c, d, &d->rtp);
	if (!d->is.is_t38 && d->rtcp.port != d->rtp.port)
		learn_port(t, c, d, &d->rtcp);
}

/* Behind a NAT that keeps port numbers, a private address is seen as the one that the SDP came
 * from. */
static void learn_guess(struct trk *t, struct trk_call *c, struct medium *d,
			const struct addr *source)
{
	if (!addr_is_private(&d->rtp) || addr_is_private(source) || addr_is_loopback(source))
		return;
	struct addr a = *source;
	d->is_guess = true;
	a.port = d->rtp.port;
	learn_port(t, c, d, &a);
	if (d->rtcp.port && d->rtcp.port != d->rtp.port) {
		a.port = d->rtcp.port;
		learn_port(t, c, d, &a);
	}
}

static bool is_followed(const struct sdp_media *m)
{
	return sdp_proto_flags((enum sdp_proto)m->proto) & SDP_PF_RTP || is_udptl(m);
}

static struct trk_outline outline_of(struct trk *t, unsigned i, struct trk_call *c)
{
	const struct sdp_media *m = &t->sdp.media[i];
	bool is_rtp = sdp_proto_flags((enum sdp_proto)m->proto) & SDP_PF_RTP;
	return (struct trk_outline){.type = m->type,
				    .crypt = (uint8_t)crypt_of(m),
				    .is_t38 = !is_rtp,
				    .codecs = is_rtp ? read_codecs(t, i, c) : NULL};
}

void trk_media_learn(struct trk *t, struct trk_call *c, enum trk_side side,
		     const struct addr *source)
{
	for (unsigned i = 0; i < t->sdp.n_media; i++) {
		const struct sdp_media *m = &t->sdp.media[i];
		if (!m->port || !is_followed(m) || !trk_av_get(t, c))
			continue;
		struct medium d = {.is = outline_of(t, i, c),
				   .side = side,
				   .rtp = m->conn.addr,
				   .rtcp = m->rtcp};
		d.rtp.port = m->port;
		learn_medium(t, c, &d);
		learn_candidates(t, c, i, &d);
		learn_guess(t, c, &d, source);
		if (m->has_crypto)
			trk_keys_learn(t, c, side, i);
	}
}

bool trk_media_outline(struct trk *t, struct trk_outline *out)
{
	const struct sdp_media *m = t->sdp.media;
	if (t->sdp.n_media != 1 || !is_followed(m) || m->has_crypto ||
	    sdp_attr(&t->sdp, 0, SDP_A_RTCP, NULL) || sdp_attr(&t->sdp, 0, SDP_A_CANDIDATE, NULL))
		return false;
	*out = outline_of(t, 0, NULL);
	return out->is_t38 || out->codecs;
}

void trk_media_learn_alike(struct trk *t, struct trk_call *c, enum trk_side side,
			   const struct addr *source, const struct trk_look *look,
			   const struct trk_outline *outline)
{
	if (!trk_av_get(t, c))
		return;
	struct medium d = {.is = *outline, .side = side, .rtp = look->addr, .rtcp = look->addr};
	d.rtp.port = (uint16_t)look->port;
	d.rtcp.port = (uint16_t)(look->port < UINT16_MAX ? look->port + 1 : 0);
	learn_medium(t, c, &d);
	learn_guess(t, c, &d, source);
}
