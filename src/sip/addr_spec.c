/* name-addr and addr-spec: From, To, Contact, Route and their kin. [RFC3261 20.10, 25.1]
 *
 * Which of the two a value is shows at its start: an addr-spec begins with a scheme and its colon,
 * which no unquoted display name can hold. In an addr-spec without brackets the first ';' begins
 * header parameters, and '?' or ',' may not occur: "sip:a@b;user=phone" in From has a header
 * parameter called user. [RFC3261 20.10] [RFC4475 3.1.2.13, 3.3.12]
 *
 * Quoted strings are skipped first, so brackets and commas in a display name mean nothing. A
 * missing closing quote is an error, never guessed. [RFC4475 3.1.2.6] Unquoted display names with
 * other characters than tokens are taken, and reported through `oddity`. */

#include "sip/sip_priv.h"

#include <string.h>

static bool starts_with_scheme(const char *p, const char *end)
{
	if (p == end || !cc_is(*p, CC_ALPHA))
		return false;
	while (p < end && (cc_is(*p, CC_ALPHA | CC_DIGIT) || *p == '+' || *p == '-' || *p == '.'))
		p++;
	return p < end && *p == ':';
}

static unsigned display_oddity(struct str s)
{
	unsigned odd = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (cc_is(s.p[i], CC_TOKEN | CC_WS))
			continue;
		odd |= memchr(",;:\"@\\", s.p[i], 6) ? ADDR_ODD_SEPARATOR : ADDR_ODD_DISPLAY;
	}
	return odd;
}

/* The position of '<' at or after p, with the display name taken; NULL when the shape is broken. */
static const char *split_display(const char *p, const char *end, struct sip_addr *out,
				 unsigned *oddity)
{
	if (p < end && *p == '"') {
		const char *close = cc_quote_end(p, end);
		if (close == end)
			return NULL;
		out->display = str_of(p + 1, (size_t)(close - p - 1));
		p = cc_skip_ws(close + 1, end);
		return p < end && *p == '<' ? p : NULL;
	}
	if (p < end && *p == '<')
		return p;
	const char *open = memchr(p, '<', (size_t)(end - p));
	if (!open)
		return NULL;
	out->display = str_of(p, (size_t)(cc_trim_end(p, open) - p));
	*oddity = display_oddity(out->display);
	return open;
}

enum err sip_addr_split(struct str value, struct sip_addr *out, unsigned *oddity)
{
	const char *end = cc_trim_end(value.p, cc_end(value)), *p = cc_skip_ws(value.p, end);
	out->display = out->uri_text = out->params = STR_NONE;
	out->is_star = out->has_brackets = false;
	*oddity = 0;
	if (p == end)
		return ERR_SYNTAX;
	if (*p == '*' && p + 1 == end) {
		out->is_star = true;
		return OK;
	}
	if (starts_with_scheme(p, end)) {
		const char *start = p;
		while (p < end && *p != ';' && !cc_is(*p, CC_WS)) {
			if (*p == '?' || *p == ',' || !cc_is(*p, CC_URI))
				return ERR_SYNTAX;
			p++;
		}
		out->uri_text = str_of(start, (size_t)(p - start));
	} else {
		p = split_display(p, end, out, oddity);
		const char *close = p ? memchr(p, '>', (size_t)(end - p)) : NULL;
		if (!close)
			return ERR_SYNTAX;
		out->uri_text = str_of(p + 1, (size_t)(close - p - 1));
		out->has_brackets = true;
		p = close + 1;
	}
	p = cc_skip_ws(p, end);
	if (p == end)
		return OK;
	if (*p != ';')
		return ERR_SYNTAX;
	out->params = str_of(p + 1, (size_t)(end - p - 1));
	return OK;
}

enum err sip_addr_shape(struct str value, struct sip_addr *out)
{
	unsigned oddity;
	cc_fill(out, 0, sizeof(*out));
	return sip_addr_split(value, out, &oddity);
}

enum err sip_addr_parse(struct str value, struct sip_addr *out)
{
	enum err e = sip_addr_shape(value, out);
	if (e == OK && !out->is_star)
		out->uri_err = sip_uri_parse(out->uri_text, &out->uri);
	return e;
}
