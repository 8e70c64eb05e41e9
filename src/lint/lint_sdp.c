/* Session descriptions: their grammar (what the SDP parser finds), their version from one to the
 * next, and answers against the offer on the same hop.
 *
 * An offer is kept as hashes with the transaction that carried it, at most 4 media of 14 formats;
 * larger ones are not compared. Codecs are the same when name and clock are, whatever their number.
 *
 * A description is "the next one" of another when user, session id and address of the o= line are
 * the same and the same host sent both; what a proxy passes on is left out, since proxies change
 * ports in other people's descriptions.
 *
 * [RFC8866 5, 6] [RFC3264 5, 6, 8] [RFC3261 13.2.1, 13.3.1.4] [RFC4568 5.1]
 */
#include "base/assert.h"
#include "lint/lint_priv.h"

#include <stdlib.h>
#include <string.h>

static const uint16_t diag_rules[SDP_DIAG__N] = {
	[SDP_DIAG_BARE_LF] = LINT_SDP_BARE_LF,
	[SDP_DIAG_NO_LAST_EOL] = LINT_SDP_NO_LAST_EOL,
	[SDP_DIAG_BAD_LINE] = LINT_SDP_BAD_LINE,
	[SDP_DIAG_SPACE_AT_EQUALS] = LINT_SDP_SPACE,
	[SDP_DIAG_UNKNOWN_TYPE] = LINT_SDP_UNKNOWN,
	[SDP_DIAG_NO_VERSION] = LINT_SDP_VERSION,
	[SDP_DIAG_BAD_VERSION] = LINT_SDP_VERSION,
	[SDP_DIAG_NO_ORIGIN] = LINT_SDP_ORIGIN,
	[SDP_DIAG_BAD_ORIGIN] = LINT_SDP_ORIGIN,
	[SDP_DIAG_NO_NAME] = LINT_SDP_NAME,
	[SDP_DIAG_EMPTY_NAME] = LINT_SDP_NAME,
	[SDP_DIAG_NO_TIMING] = LINT_SDP_TIMING,
	[SDP_DIAG_NO_CONNECTION] = LINT_SDP_CONNECTION,
	[SDP_DIAG_BAD_CONNECTION] = LINT_SDP_CONNECTION,
	[SDP_DIAG_BAD_ORDER] = LINT_SDP_ORDER,
	[SDP_DIAG_DUPLICATE] = LINT_SDP_ORDER,
	[SDP_DIAG_BAD_RTPMAP] = LINT_SDP_RTPMAP,
	[SDP_DIAG_NO_RTPMAP] = LINT_SDP_NO_RTPMAP,
	[SDP_DIAG_BAD_FORMAT] = LINT_SDP_FORMAT,
	[SDP_DIAG_BAD_PORT] = LINT_SDP_FORMAT,
	[SDP_DIAG_BAD_ATTR] = LINT_SDP_ATTR,
	[SDP_DIAG_TWO_DIRECTIONS] = LINT_SDP_DIRECTIONS,
};

/* A refused medium may be written carelessly: nobody uses it. */
static bool is_refused(const struct sdp *s, unsigned off)
{
	bool is_off = false;
	for (unsigned i = 0; i < s->n_media; i++)
		if (s->lines[s->media[i].line].off <= off + 2)
			is_off = s->media[i].port == 0;
	return is_off;
}

static void check_diags(struct lint_at *a, const struct sdp *s)
{
	for (unsigned i = 0; i < s->n_diags; i++) {
		unsigned code = s->diags[i].code;
		bool is_loose = code == SDP_DIAG_NO_CONNECTION || code == SDP_DIAG_NO_RTPMAP;
		if (diag_rules[code] && !(is_loose && is_refused(s, s->diags[i].off)))
			lint_hit_fmt(a, (enum lint_rule)diag_rules[code],
				     str_of(s->text.p + s->diags[i].off, 0), "%s",
				     sdp_diag_text(code));
	}
}

static void check_media(struct lint_at *a, const struct sdp *s)
{
	for (unsigned i = 0; i < s->n_media; i++) {
		const struct sdp_media *m = &s->media[i];
		if (!m->port)
			continue;
		if (m->conn.addr.family == ADDR_V4 && addr_is_any(&m->conn.addr) && !m->has_ice)
			lint_hit(a, LINT_SDP_HOLD_ZERO, m->conn.host);
		unsigned pf = sdp_proto_flags((enum sdp_proto)m->proto);
		bool has_keys = m->has_crypto || m->has_fingerprint ||
				sdp_attr_named(s, (int)i, STR("key-mgmt"), NULL) ||
				sdp_attr_named(s, -1, STR("key-mgmt"), NULL);
		if (pf & SDP_PF_SECURE && !has_keys)
			lint_hit(a, LINT_SDP_NO_KEYS, m->proto_text);
	}
}

/* --- versions
 * ------------------------------------------------------------------------------------- */

/* The description without its o= line. */
static uint32_t body_hash(const struct sdp *s)
{
	const char *o = s->origin.user.p;
	if (!o)
		return lint_hash(s->text);
	size_t at = (size_t)(o - s->text.p);
	size_t end = at + str_chr(str_skip(s->text, at), '\n');
	uint32_t part[2] = {lint_hash(str_sub(s->text, 0, at)), lint_hash(str_skip(s->text, end))};
	return lint_hash(str_of((const char *)part, sizeof part));
}

static void check_version(struct lint_at *a, const struct sdp *s)
{
	struct lint_call *c = a->c;
	if (!s->origin.user.p || !s->origin.id || !s->origin.version || a->is_forwarded)
		return;
	uint32_t part[4] = {lint_hash(s->origin.user), lint_hash(s->origin.id_text),
			    lint_hash(s->origin.host), a->from};
	struct lint_origin now = {.key = lint_hash(str_of((const char *)part, sizeof part)),
				  .body = body_hash(s),
				  .version = s->origin.version};
	for (unsigned i = 0; i < ARRAY_LEN(c->origins); i++) {
		struct lint_origin *o = &c->origins[i];
		if (o->key != now.key)
			continue;
		if (now.version < o->version)
			lint_hit_fmt(a, LINT_SDP_OLD_VERSION, s->origin.version_text,
				     "it was %llu before", (unsigned long long)o->version);
		else if (now.version == o->version && now.body != o->body)
			lint_hit(a, LINT_SDP_SAME_VERSION, s->origin.version_text);
		*o = now;
		return;
	}
	c->origins[c->origin_at++ % ARRAY_LEN(c->origins)] = now;
}

void lint_check_sdp(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct str body;
	if (!m->body.n || a->p->is_cut || !sip_has(m, SIP_HDR_CONTENT_TYPE) ||
	    sip_has(m, SIP_HDR_CONTENT_ENCODING) ||
	    !sip_body_find(m, STR("application"), STR("sdp"), &body))
		return;
	for (unsigned i = 0; i < m->n_diags; i++)
		if (m->diags[i].code == SIP_DIAG_BODY_SHORT)
			return; /* what came is not all of it */
	if (sdp_parse(body, &a->l->sdp) != OK) {
		lint_hit(a, LINT_SDP_UNREADABLE, body);
		return;
	}
	a->sdp = &a->l->sdp;
	check_diags(a, a->sdp);
	check_media(a, a->sdp);
	if (a->c)
		check_version(a, a->sdp);
}

/* --- offers
 * ------------------------------------------------------------------------------------------ */

static void media_of(const struct sdp *s, unsigned i, struct lint_media *out)
{
	const struct sdp_media *m = &s->media[i];
	struct sdp_fmt f;
	unsigned at = 0;
	*out = (struct lint_media){.type = m->type, .dir = m->dir, .has_port = m->port != 0};
	if (!(sdp_proto_flags((enum sdp_proto)m->proto) & SDP_PF_RTP))
		out->is_cut = true;
	while (!out->is_cut && sdp_fmt_next(s, i, &at, &f)) {
		if (out->n_fmts == MAX_FMTS || !f.name.n) {
			out->is_cut = true; /* unknown formats cannot be compared */
			break;
		}
		char name[40];
		struct buf b;
		buf_init_fixed(&b, name, sizeof name);
		for (size_t k = 0; k < f.name.n && k < 32; k++)
			buf_chr(&b,
				(char)(f.name.p[k] >= 'A' && f.name.p[k] <= 'Z' ? f.name.p[k] | 32
										: f.name.p[k]));
		uint32_t codec = lint_hash(buf_view(&b)) ^ f.clock;
		out->fmts[out->n_fmts++] = (struct lint_fmt){f.pt, codec};
	}
}

void lint_sdp_keep(struct lint_at *a, struct lint_tsx *x)
{
	if (!a->sdp)
		return;
	x->offer = malloc(sizeof *x->offer);
	if (!x->offer) {
		a->err = ERR_NOMEM;
		return;
	}
	x->offer->n = (uint8_t)(a->sdp->n_media < 255 ? a->sdp->n_media : 255);
	x->offer->is_cut = x->offer->n > MAX_MEDIA;
	for (unsigned i = 0; i < x->offer->n && i < MAX_MEDIA; i++)
		media_of(a->sdp, i, &x->offer->media[i]);
}

static const struct lint_fmt *fmt_find(const struct lint_media *m, uint32_t codec)
{
	for (unsigned i = 0; i < m->n_fmts; i++)
		if (m->fmts[i].codec == codec)
			return &m->fmts[i];
	return NULL;
}

static void compare_formats(struct lint_at *a, const struct lint_media *o, struct str where)
{
	const struct lint_media *m = NULL;
	struct lint_media now;
	unsigned n_common = 0;
	for (unsigned i = 0; i < a->sdp->n_media; i++)
		if (a->sdp->media[i].fmts.p == where.p)
			media_of(a->sdp, i, &now), m = &now;
	if (!m || m->is_cut || o->is_cut)
		return;
	for (unsigned i = 0; i < m->n_fmts; i++) {
		const struct lint_fmt *f = fmt_find(o, m->fmts[i].codec);
		n_common += f != NULL;
		bool is_other = f && f->pt != m->fmts[i].pt;
		for (unsigned k = 0; is_other && k < o->n_fmts; k++) /* offered twice */
			is_other = o->fmts[k].codec != f->codec || o->fmts[k].pt != m->fmts[i].pt;
		if (is_other)
			lint_hit_fmt(a, LINT_ANSWER_NUMBER, where, "%u was offered as %u",
				     m->fmts[i].pt, f->pt);
	}
	if (!n_common && m->n_fmts)
		lint_hit(a, LINT_ANSWER_CODECS, where);
}

static void compare_media(struct lint_at *a, const struct lint_media *o, const struct sdp_media *m)
{
	if (o->type != m->type) {
		lint_hit(a, LINT_ANSWER_TYPE, m->type_text);
		return;
	}
	if (!m->port)
		return;
	if (!o->has_port) {
		lint_hit(a, LINT_ANSWER_PORT, m->type_text);
		return;
	}
	unsigned allowed = sdp_dir_flip((enum sdp_dir)o->dir);
	if (m->dir & ~allowed)
		lint_hit_fmt(a, LINT_ANSWER_DIRECTION, m->type_text, "%s is answered with %s",
			     sdp_dir_text((enum sdp_dir)o->dir),
			     sdp_dir_text((enum sdp_dir)m->dir));
	compare_formats(a, o, m->fmts);
}

void lint_check_answer(struct lint_at *a, const struct lint_sdp *offer)
{
	const struct sdp *s = a->sdp;
	if (offer->n != s->n_media) {
		if (s->n_media < SDP_MAX_MEDIA)
			lint_hit_fmt(a, LINT_ANSWER_COUNT, s->text, "%u were offered, %u answered",
				     offer->n, s->n_media);
		return;
	}
	for (unsigned i = 0; !offer->is_cut && i < s->n_media; i++)
		compare_media(a, &offer->media[i], &s->media[i]);
}
