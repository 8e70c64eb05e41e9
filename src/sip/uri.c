/* SIP, SIPS and TEL URIs. [RFC3261 19.1, 25.1] [RFC3966]
 *
 * The parser cuts and checks in one walk: scheme, what stands before the first '@' (the user part
 * may hold ; ? / and more, so '@' is looked for first), host and port, parameters, headers. It
 * accepts more than the grammar in user, parameters and headers (phones send '#', '|', UTF-8 there
 * unescaped), but nothing that could be read in two ways: no white space, no control characters, no
 * < > ", no broken escape, no second '@'. The host is strict. An extra colon in an IPv6 reference,
 * which an error in the ABNF of RFC 3261 allowed, is overlooked. [RFC5118 4.10]
 *
 * Everything points into the string that was parsed. */

#include "sip/uri.h"

#include "sip/chars.h"

#include <string.h>

static bool escapes_ok(const char *p, const char *end)
{
	while (p < end && (p = memchr(p, '%', (size_t)(end - p)))) {
		if (end - p < 3 || cc_hex(p[1]) < 0 || cc_hex(p[2]) < 0)
			return false;
		p += 3;
	}
	return true;
}

static bool text_ok(struct str s)
{
	return cc_span(s.p, cc_end(s), CC_URI) == cc_end(s) && escapes_ok(s.p, cc_end(s));
}

/* p behind "scheme:". */
static enum err parse_userinfo(struct sip_uri *u, const char *p, const char *at)
{
	const char *colon = memchr(p, ':', (size_t)(at - p));
	const char *user_end = colon ? colon : at;
	u->user = str_of(p, (size_t)(user_end - p));
	u->has_user = true;
	if (colon) {
		u->password = str_of(colon + 1, (size_t)(at - colon - 1));
		if (!text_ok(u->password))
			return ERR_SYNTAX;
	}
	return user_end > p && text_ok(u->user) ? OK : ERR_SYNTAX;
}

/* Between brackets. "2001:db8:::192.0.2.1" is taken for "2001:db8::192.0.2.1". */
static bool parse_ip6(struct sip_uri *u, struct str s)
{
	char fixed[48];
	u->host = s;
	size_t extra = str_find(s, STR(":::"));
	if (extra != SIZE_MAX && s.n < sizeof(fixed)) {
		memcpy(fixed, s.p, extra);
		memcpy(fixed + extra, s.p + extra + 1, s.n - extra - 1);
		s = str_of(fixed, s.n - 1);
	}
	if (str_chr(s, ':') == SIZE_MAX || !addr_parse(s, 0, &u->ip))
		return false;
	u->is_ip = true;
	return true;
}

static enum err parse_port(struct sip_uri *u, const char **at, const char *end)
{
	const char *p = *at + 1, *digits = p;
	uint32_t port = 0;
	for (; p < end && cc_is(*p, CC_DIGIT); p++)
		if ((port = port * 10 + (uint32_t)(*p - '0')) > 65535)
			return ERR_SYNTAX;
	if (p == digits)
		return ERR_SYNTAX;
	u->port = (uint16_t)port;
	u->has_port = true;
	*at = p;
	return OK;
}

static enum err parse_host(struct sip_uri *u, const char **at, const char *end)
{
	const char *p = *at;
	if (p < end && *p == '[') {
		const char *close = memchr(p, ']', (size_t)(end - p));
		if (!close || !parse_ip6(u, str_of(p + 1, (size_t)(close - p - 1))))
			return ERR_SYNTAX;
		p = close + 1;
	} else {
		p = cc_span(p, end, CC_HOST);
		u->host = str_of(*at, (size_t)(p - *at));
		if (!u->host.n)
			return ERR_SYNTAX;
		if (cc_is(p[-1], CC_DIGIT) && cc_is(**at, CC_DIGIT))
			u->is_ip = addr_parse(u->host, 0, &u->ip);
	}
	if (p < end && *p == ':') {
		enum err e = parse_port(u, &p, end);
		if (e != OK)
			return e;
	}
	u->ip.port = u->is_ip ? u->port : 0;
	*at = p;
	return OK;
}

/* ";params" and "?headers" at p, up to the end. */
static enum err parse_tail(struct sip_uri *u, const char *p, const char *end)
{
	if (p < end && *p == ';') {
		const char *q = memchr(p, '?', (size_t)(end - p));
		const char *stop = q ? q : end;
		u->params = str_of(p + 1, (size_t)(stop - p - 1));
		if (!text_ok(u->params))
			return ERR_SYNTAX;
		p = stop;
	}
	if (p < end && *p == '?') {
		u->headers = str_of(p + 1, (size_t)(end - p - 1));
		if (!text_ok(u->headers))
			return ERR_SYNTAX;
		p = end;
	}
	return p == end ? OK : ERR_SYNTAX;
}

static enum err parse_sip(struct sip_uri *u, const char *p, const char *end)
{
	const char *at = memchr(p, '@', (size_t)(end - p));
	if (at) {
		enum err e = parse_userinfo(u, p, at);
		if (e != OK)
			return e;
		p = at + 1;
	}
	enum err e = parse_host(u, &p, end);
	return e == OK ? parse_tail(u, p, end) : e;
}

static bool is_tel_char(char c)
{
	return cc_hex(c) >= 0 || memchr("-.()*#", c, 6);
}

static enum err parse_tel(struct sip_uri *u, const char *p, const char *end)
{
	const char *start = p;
	if (p < end && *p == '+')
		p++;
	const char *digits = p;
	while (p < end && is_tel_char(*p))
		p++;
	u->user = str_of(start, (size_t)(p - start));
	u->has_user = true;
	if (p == digits)
		return ERR_SYNTAX;
	if (p == end)
		return OK;
	if (*p != ';')
		return ERR_SYNTAX;
	u->params = str_of(p + 1, (size_t)(end - p - 1));
	return text_ok(u->params) ? OK : ERR_SYNTAX;
}

enum err sip_uri_parse(struct str s, struct sip_uri *out)
{
	const char *end = cc_end(s), *p;
	cc_fill(out, 0, sizeof(*out));
	out->all = s;
	if (s.n > 4 && memcmp(s.p, "sip:", 4) == 0) { /* as nearly always */
		out->scheme = SIP_URI_SIP;
		out->scheme_name = str_of(s.p, 3);
		return parse_sip(out, s.p + 4, end);
	}
	out->scheme = SIP_URI_OTHER;
	p = cc_span(s.p, end, CC_ALPHA);
	if (p == s.p)
		return ERR_SYNTAX;
	while (p < end && (cc_is(*p, CC_ALPHA | CC_DIGIT) || *p == '+' || *p == '-' || *p == '.'))
		p++;
	if (p == end || *p != ':')
		return ERR_SYNTAX;
	out->scheme_name = str_of(s.p, (size_t)(p - s.p));
	p++;
	if (CC_IS_WORD(out->scheme_name, "sip")) {
		out->scheme = SIP_URI_SIP;
		return parse_sip(out, p, end);
	}
	if (CC_IS_WORD(out->scheme_name, "sips")) {
		out->scheme = SIP_URI_SIPS;
		return parse_sip(out, p, end);
	}
	if (CC_IS_WORD(out->scheme_name, "tel")) {
		out->scheme = SIP_URI_TEL;
		return parse_tel(out, p, end);
	}
	return cc_span(p, end, CC_URI) == end ? ERR_UNSUPPORTED : ERR_SYNTAX;
}

/* ---- parameters ---- */

bool sip_param_next(struct str *rest, struct str *name, struct str *value)
{
	const char *p = rest->p, *end = cc_end(*rest);
	while (p < end && (*p == ';' || cc_is(*p, CC_WS)))
		p++;
	if (p == end) {
		*rest = STR_NONE;
		return false;
	}
	const char *start = p;
	p = cc_span(p, end, CC_TOKEN);
	while (p < end && *p != '=' && *p != ';' &&
	       !cc_is(*p, CC_WS)) /* no token, but still a name */
		p++;
	*name = str_of(start, (size_t)(p - start));
	*value = STR_NONE;
	p = cc_skip_ws(p, end);
	if (p < end && *p == '=') {
		p = cc_skip_ws(p + 1, end);
		if (p < end && *p == '"') {
			const char *close = cc_quote_end(p, end);
			*value = str_of(p + 1, (size_t)(close - p - 1));
			p = close;
		} else {
			const char *stop = memchr(p, ';', (size_t)(end - p));
			stop = stop ? stop : end;
			*value = str_of(p, (size_t)(cc_trim_end(p, stop) - p));
			p = stop;
		}
	}
	while (p < end && *p != ';')
		p++;
	*rest = str_of(p, (size_t)(end - p));
	return true;
}

bool sip_param(struct str params, struct str name, struct str *value)
{
	struct str n, v;
	while (sip_param_next(&params, &n, &v))
		if (str_ieq(n, name)) {
			if (value)
				*value = v;
			return true;
		}
	return false;
}

void sip_uri_put_request(struct buf *b, const struct sip_uri *u)
{
	struct str rest = u->params, name, value;
	const char *start = u->all.p, *end = cc_end(u->all);
	if (u->headers.p)
		end = u->headers.p - 1;
	if (u->params.p)
		end = u->params.p - 1;
	buf_put(b, start, (size_t)(end - start));
	while (sip_param_next(&rest, &name, &value)) {
		if (str_ieq(name, STR("method")))
			continue;
		buf_chr(b, ';');
		end = value.p ? value.p + value.n : name.p + name.n;
		buf_put(b, name.p, (size_t)(end - name.p));
	}
}

/* ---- escapes ---- */

bool sip_unescape(struct buf *b, struct str s)
{
	const char *p = s.p, *end = cc_end(s);
	if (!escapes_ok(p, end))
		return false;
	while (p < end) {
		const char *pct = memchr(p, '%', (size_t)(end - p));
		const char *stop = pct ? pct : end;
		buf_put(b, p, (size_t)(stop - p));
		if (!pct)
			break;
		buf_chr(b, (char)(cc_hex(pct[1]) * 16 + cc_hex(pct[2])));
		p = pct + 3;
	}
	return true;
}

void sip_escape_user(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (cc_is(s.p[i], CC_USER))
			buf_chr(b, s.p[i]);
		else
			buf_fmt(b, "%%%02X", (unsigned)(unsigned char)s.p[i]);
	}
}

enum err sip_aor_put(struct buf *b, const struct sip_uri *u)
{
	if (u->scheme == SIP_URI_OTHER || u->scheme == SIP_URI_TEL)
		return ERR_UNSUPPORTED;
	if (u->has_user) {
		if (!sip_unescape(b, u->user))
			return ERR_SYNTAX;
		buf_chr(b, '@');
	}
	if (u->is_ip) {
		addr_put_host(b, &u->ip);
	} else {
		for (size_t i = 0; i < u->host.n; i++) {
			char c = u->host.p[i];
			buf_chr(b, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
		}
	}
	return b->err;
}
