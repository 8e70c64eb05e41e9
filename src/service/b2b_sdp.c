/* The bodies that one side is told: the other side's, whole, but for the o= line of its SDP.
 *
 * A side must see one session: the same user name, session id and address for as long as its dialog
 * lasts, and a version that grows by one whenever the description changes and by nothing when it
 * does not [RFC3264 8]. The descriptions come from whoever is on the other side just now: several
 * callees that ring, another party after a transfer, the exchange itself. So the first o= line that
 * a side is told is kept, and every later one is written in its image; all other lines pass
 * untouched. Where the other side stays the same the result is what it wrote itself.
 *
 * [RFC8866 5.2] [RFC3264 5, 8] [RFC5621] */
#include "service/b2b_priv.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

struct origin_line {
	struct str before, head, version, tail, after; /* of the whole description */
};

/* The last word of *s, which is cut off. */
static struct str take_last(struct str *s)
{
	struct str all = *s;
	while (s->n && s->p[s->n - 1] != ' ')
		s->n--;
	struct str word = str_skip(all, s->n);
	while (s->n && s->p[s->n - 1] == ' ')
		s->n--;
	return word;
}

/* Cuts the description around its o= line; false when that cannot be read. A user name has no
 * spaces: of one that has the last word is taken. [RFC8866 5.2] */
static bool cut(struct str sdp, struct origin_line *o)
{
	size_t at = str_starts(sdp, STR("o=")) ? 0 : str_find(sdp, STR("\no="));
	if (at == SIZE_MAX)
		return false;
	at += sdp.p[at] == '\n';
	struct str rest = str_skip(sdp, at), line = rest;
	size_t end = str_chr(line, '\n');
	line.n = end == SIZE_MAX ? line.n : end;
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	struct str left = str_skip(str_trim(line), 2), type = STR_NONE;
	for (unsigned i = 0; i < 3; i++) /* address, its kind, network */
		type = take_last(&left);
	o->version = take_last(&left);
	take_last(&left);
	struct str user = take_last(&left);
	o->before = str_sub(sdp, 0, at);
	o->head = str_of(user.p, (size_t)(o->version.p - user.p));
	o->tail = str_of(type.p, (size_t)(line.p + line.n - type.p));
	o->after = str_skip(sdp, at + line.n);
	return user.n > 0;
}

static bool keep(struct b2b_origin *k, const struct origin_line *o)
{
	if (o->head.n + o->tail.n > 1024)
		return false;
	k->line = malloc(o->head.n + o->tail.n);
	if (!k->line)
		return false;
	memcpy(k->line, o->head.p, o->head.n);
	memcpy(k->line + o->head.n, o->tail.p, o->tail.n);
	k->n_head = (uint16_t)o->head.n;
	k->n_tail = (uint16_t)o->tail.n;
	if (!str_u64(o->version, &k->version))
		k->version = 1;
	return true;
}

/* Its writer is the one whose line was kept. */
static bool is_same(const struct b2b_origin *k, const struct origin_line *o)
{
	return str_eq(o->head, str_of(k->line, k->n_head)) &&
	       str_eq(o->tail, str_of(k->line + k->n_head, k->n_tail));
}

/* The description as `l` may see it, appended; false: memory was refused. */
static bool put_sdp(struct b2b_leg *l, struct str sdp, struct buf *b)
{
	struct b2b_origin *k = &l->origin;
	struct origin_line o;
	if (!cut(sdp, &o)) { /* not ours to judge: its reader will refuse it */
		buf_str(b, sdp);
		return true;
	}
	uint32_t hash = hash_quick32(o.after);
	uint64_t version = 0;
	if (!k->line && !keep(k, &o))
		return false;
	if (is_same(k, &o) && str_u64(o.version, &version) && version >= k->version)
		k->version = version;
	else if (hash != k->hash)
		k->version++;
	k->hash = hash;
	buf_str(b, o.before);
	buf_str(b, STR("o="));
	buf_str(b, str_of(k->line, k->n_head));
	buf_u64(b, k->version);
	buf_chr(b, ' ');
	buf_str(b, str_of(k->line + k->n_head, k->n_tail));
	buf_str(b, o.after);
	return true;
}

struct str b2b_sdp_for(struct b2b_leg *l, struct str sdp)
{
	struct buf *b = &l->call->b->sdp;
	buf_clear(b);
	return put_sdp(l, sdp, b) && b->err == OK ? buf_view(b) : STR_NONE;
}

/* What tells of the parts of a body, as whole lines. */
static void put_content_lines(struct buf *b, const struct sip_msg *m)
{
	static const uint8_t ids[] = {SIP_HDR_CONTENT_TYPE, SIP_HDR_CONTENT_DISPOSITION,
				      SIP_HDR_CONTENT_LANGUAGE, SIP_HDR_CONTENT_ID,
				      SIP_HDR_MIME_VERSION};
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (sip_has(m, ids[i]))
			buf_fmt(b, STR_FMT ": " STR_FMT "\r\n", STR_ARG(sip_hdr_name(ids[i])),
				STR_ARG(sip_value(m, ids[i])));
}

struct str b2b_whole_body(struct b2b_leg *l, const struct sip_msg *m, struct str sdp)
{
	struct b2b *bb = l->call->b;
	struct buf *b = &bb->sdp;
	buf_clear(&bb->text);
	put_content_lines(&bb->text, m);
	buf_clear(b);
	if (bb->text.err != OK)
		return STR_NONE;
	dlg_begin_body(bb->dlg, b, buf_view(&bb->text));
	size_t at = sdp.n ? (size_t)(sdp.p - m->body.p) : m->body.n;
	buf_str(b, str_sub(m->body, 0, at));
	if (sdp.n && !put_sdp(l, sdp, b))
		return STR_NONE;
	buf_str(b, str_skip(m->body, at + sdp.n));
	return b->err == OK ? buf_view(b) : STR_NONE;
}

struct str b2b_body_for(struct b2b_leg *l, const struct sip_msg *m)
{
	struct str sdp;
	if (!sip_msg_sdp(m, &sdp))
		return STR_NONE;
	return sdp.n == m->body.n ? b2b_sdp_for(l, sdp) : b2b_whole_body(l, m, sdp);
}

enum err b2b_set_body(struct b2b_leg *l, const struct sip_msg *m)
{
	struct str s = b2b_body_for(l, m);
	b2b_forget_body(l);
	l->body = s.n ? malloc(sizeof(*l->body) + s.n) : NULL;
	if (!l->body)
		return ERR_NOMEM;
	l->body->n = s.n;
	memcpy(l->body->p, s.p, s.n);
	return OK;
}
