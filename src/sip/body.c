/* Message bodies: media types, parts of multipart bodies, and whether a user agent that knows SDP
 * and nothing else may take them. [RFC3261 20.11, 20.15] [RFC2046 5.1] [RFC5621]
 *
 * A multipart body is walked, not copied: the part found is a span of the body. Nested multiparts
 * are entered, to a depth that no honest message reaches. A part ends where the line break before
 * its delimiter begins; bare LF counts as line break here as everywhere. The headers of a part are
 * cut by the same code as those of a message. */

#include "sip/scan.h"
#include "sip/sip_priv.h"

#define MAX_DEPTH 4

enum err sip_media_type_parse(struct str value, struct sip_media_type *out)
{
	const char *p = value.p, *end = cc_end(value), *stop = cc_span(p, end, CC_TOKEN);
	*out = (struct sip_media_type){.type = str_of(p, (size_t)(stop - p))};
	p = cc_skip_ws(stop, end);
	if (!out->type.n || p == end || *p != '/')
		return ERR_SYNTAX;
	p = cc_skip_ws(p + 1, end);
	stop = cc_span(p, end, CC_TOKEN);
	out->subtype = str_of(p, (size_t)(stop - p));
	p = cc_skip_ws(stop, end);
	if (!out->subtype.n || (p < end && *p != ';'))
		return ERR_SYNTAX;
	if (p < end)
		out->params = str_of(p + 1, (size_t)(end - p - 1));
	return OK;
}

bool sip_media_type_is(struct str value, struct str type, struct str subtype)
{
	struct sip_media_type t;
	return sip_media_type_parse(value, &t) == OK && str_ieq(t.type, type) &&
	       str_ieq(t.subtype, subtype);
}

/* Offset of the next delimiter line "--boundary" at or after `from` (the offset of its first '-'),
 * or SIZE_MAX. */
static size_t find_delimiter(struct str body, size_t from, struct str boundary)
{
	while (from < body.n) {
		size_t i = str_find(str_skip(body, from), STR("--"));
		if (i == SIZE_MAX)
			break;
		i += from;
		if ((i == 0 || body.p[i - 1] == '\n') &&
		    str_starts(str_skip(body, i + 2), boundary))
			return i;
		from = i + 1;
	}
	return SIZE_MAX;
}

struct part {
	struct str body, type, disposition;
};

/* Splits a part into what its headers say and what follows them. */
static void cut_part(struct str text, struct part *out)
{
	const char *p = text.p, *end = cc_end(text);
	struct scan s;
	struct scan_line l;
	scan_init(&s, p, end, end);
	*out = (struct part){.type = STR("text/plain")}; /* [RFC2046 5.1] */
	for (;;) {
		enum scan_kind kind = scan_line(&s, p, &l);
		p = l.next;
		if (kind == SCAN_BLANK || l.is_cut)
			break;
		if (kind == SCAN_HEADER && l.id == SIP_HDR_CONTENT_TYPE)
			out->type = l.value;
		if (kind == SCAN_HEADER && l.id == SIP_HDR_CONTENT_DISPOSITION)
			out->disposition = l.value;
	}
	out->body = str_of(p, (size_t)(end - p));
}

struct walk { /* through the parts of a multipart body */
	struct str body, boundary;
	size_t at; /* of the next delimiter */
};

/* False: no multipart, or one that cannot be walked. */
static bool walk_begin(struct walk *w, const struct part *of, const struct sip_media_type *t)
{
	*w = (struct walk){.body = of->body};
	if (!str_ieq(t->type, STR("multipart")) ||
	    !sip_param(t->params, STR("boundary"), &w->boundary) || !w->boundary.n)
		return false;
	w->at = find_delimiter(w->body, 0, w->boundary);
	return true;
}

static bool walk_next(struct walk *w, struct part *out)
{
	if (w->at == SIZE_MAX)
		return false;
	struct str body = w->body, tail = str_skip(body, w->at + 2 + w->boundary.n);
	size_t eol = str_chr(tail, '\n');
	if (str_starts(tail, STR("--")) || eol == SIZE_MAX)
		return false;
	size_t start = w->at + 2 + w->boundary.n + eol + 1;
	size_t next = find_delimiter(body, start, w->boundary), end = next;
	if (next == SIZE_MAX) { /* the closing delimiter is missing */
		end = body.n;
	} else if (end > start) {
		end -= end >= start + 2 && body.p[end - 2] == '\r' ? 2 : 1;
	}
	w->at = next;
	cut_part(str_sub(body, start, end - start), out);
	return true;
}

typedef bool wanted_fn(const struct part *p, const struct sip_media_type *t, const void *arg);

static bool find_part(const struct part *in, wanted_fn *is_wanted, const void *arg, unsigned depth,
		      struct str *found)
{
	struct sip_media_type t;
	struct walk w;
	struct part p;
	if (sip_media_type_parse(in->type, &t) != OK)
		return false;
	if (is_wanted(in, &t, arg)) {
		*found = in->body;
		return true;
	}
	if (depth == 0 || !walk_begin(&w, in, &t))
		return false;
	while (walk_next(&w, &p))
		if (find_part(&p, is_wanted, arg, depth - 1, found))
			return true;
	return false;
}

static struct part whole_of(const struct sip_msg *m)
{
	return (struct part){.body = m->body,
			     .type = sip_value(m, SIP_HDR_CONTENT_TYPE),
			     .disposition = sip_value(m, SIP_HDR_CONTENT_DISPOSITION)};
}

static bool is_of_type(const struct part *p, const struct sip_media_type *t, const void *arg)
{
	const struct sip_media_type *want = arg;
	return str_ieq(t->type, want->type) && str_ieq(t->subtype, want->subtype);
}

bool sip_body_find(const struct sip_msg *m, struct str type, struct str subtype, struct str *part)
{
	struct part all = whole_of(m);
	struct sip_media_type want = {.type = type, .subtype = subtype};
	return m->body.n && find_part(&all, is_of_type, &want, MAX_DEPTH, part);
}

/* --- what a user agent makes of them ---------------------------------------------------------- */

/* SDP describes the session unless it says that it is for something else. [RFC3261 20.11] */
static bool is_session(const struct part *p, const struct sip_media_type *t, const void *arg)
{
	struct str rest, how = str_trim(str_cut(p->disposition, ';', &rest));
	return str_ieq(t->type, STR("application")) && str_ieq(t->subtype, STR("sdp")) &&
	       (!how.n || str_ieq(how, STR("session")));
}

bool sip_body_sdp(struct str content_type, struct str body, struct str *sdp)
{
	struct part all = {.body = body, .type = content_type};
	return body.n && find_part(&all, is_session, NULL, MAX_DEPTH, sdp);
}

bool sip_msg_sdp(const struct sip_msg *m, struct str *sdp)
{
	struct part all = whole_of(m);
	return m->body.n && find_part(&all, is_session, NULL, MAX_DEPTH, sdp);
}

static bool is_optional(const struct part *p)
{
	struct str rest, handling;
	str_cut(p->disposition, ';', &rest);
	return sip_param(rest, STR("handling"), &handling) && str_ieq(handling, STR("optional"));
}

/* Of alternatives one is enough; of parts that belong together the first, to which the others
 * belong; else each must be known, or may be passed over. */
static bool is_known(const struct part *p, unsigned depth)
{
	struct sip_media_type t;
	struct walk w;
	struct part k;
	unsigned n = 0, n_known = 0;
	if (sip_media_type_parse(p->type, &t) != OK)
		return false;
	if (is_session(p, &t, NULL))
		return true;
	if (depth == 0 || !walk_begin(&w, p, &t))
		return false;
	bool is_choice = str_ieq(t.subtype, STR("alternative"));
	bool is_related = str_ieq(t.subtype, STR("related"));
	while (walk_next(&w, &k) && !(is_related && n == 1)) {
		n++;
		n_known += is_known(&k, depth - 1) || (!is_choice && is_optional(&k));
	}
	return n > 0 && (is_choice ? n_known > 0 : n_known == n);
}

bool sip_body_is_known(const struct sip_msg *m)
{
	struct part all = whole_of(m);
	return !m->body.n || is_optional(&all) || is_known(&all, MAX_DEPTH);
}
