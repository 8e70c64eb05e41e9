/* Message bodies: media types, and parts of multipart bodies. [RFC3261 20.15] [RFC2046 5.1]
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

/* Splits a part into its Content-Type and what follows its headers. */
static struct str part_body(struct str part, struct str *content_type)
{
	const char *p = part.p, *end = cc_end(part);
	struct scan s;
	struct scan_line l;
	scan_init(&s, p, end, end);
	*content_type = STR("text/plain"); /* [RFC2046 5.1] */
	for (;;) {
		enum scan_kind kind = scan_line(&s, p, &l);
		p = l.next;
		if (kind == SCAN_BLANK || l.is_cut)
			return str_of(p, (size_t)(end - p));
		if (kind == SCAN_HEADER && l.id == SIP_HDR_CONTENT_TYPE)
			*content_type = l.value;
	}
}

static bool find_part(struct str body, struct str content_type, struct str type, struct str subtype,
		      unsigned depth, struct str *part)
{
	struct sip_media_type t;
	struct str boundary;
	if (sip_media_type_parse(content_type, &t) != OK)
		return false;
	if (str_ieq(t.type, type) && str_ieq(t.subtype, subtype)) {
		*part = body;
		return true;
	}
	if (!str_ieq(t.type, STR("multipart")) || depth == 0 ||
	    !sip_param(t.params, STR("boundary"), &boundary) || !boundary.n)
		return false;
	size_t at = find_delimiter(body, 0, boundary);
	while (at != SIZE_MAX) {
		struct str tail = str_skip(body, at + 2 + boundary.n);
		size_t eol = str_chr(tail, '\n');
		if (str_starts(tail, STR("--")) || eol == SIZE_MAX)
			return false;
		size_t start = at + 2 + boundary.n + eol + 1;
		size_t next = find_delimiter(body, start, boundary), end = next;
		if (next == SIZE_MAX) { /* the closing delimiter is missing */
			end = body.n;
		} else if (end > start) {
			end -= end >= start + 2 && body.p[end - 2] == '\r' ? 2 : 1;
		}
		struct str inner_type,
			inner = part_body(str_sub(body, start, end - start), &inner_type);
		if (find_part(inner, inner_type, type, subtype, depth - 1, part))
			return true;
		at = next;
	}
	return false;
}

bool sip_body_find(const struct sip_msg *m, struct str type, struct str subtype, struct str *part)
{
	return m->body.n && find_part(m->body, sip_value(m, SIP_HDR_CONTENT_TYPE), type, subtype,
				      MAX_DEPTH, part);
}
