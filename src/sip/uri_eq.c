/* URI equality. [RFC3261 19.1.4] [RFC3966 4]
 *
 * Text is compared with escapes undone, but an escaped reserved character never equals the bare
 * one:
 * "%3B" in a user part is data, ';' there is structure. User and password are case-sensitive,
 * everything else is not. Parameters of only one side are ignored, but for those that decide where
 * a request goes (transport, user, ttl, method, maddr): they never match their absence. Headers are
 * never ignored. All of this makes equality a relation that is not transitive, so bindings are
 * compared pairwise, never hashed by it.
 *
 * The work is quadratic in the number of parameters or headers, so beyond MAX_PARTS of them only
 * identical text is equal: an attacker's long URI costs one memcmp. */

#include "sip/chars.h"
#include "sip/uri.h"

#include <string.h>

#define MAX_PARTS 64 /* parameters or headers of one URI; beyond, only identical text is equal */

/* One character of s at *i: its value, or 256 + its value when it was an escaped reserved one. */
static int next_char(struct str s, size_t *i, bool is_nocase)
{
	int c = (unsigned char)s.p[*i], hi, lo;
	*i += 1;
	if (c == '%' && s.n - *i >= 2 && (hi = cc_hex(s.p[*i])) >= 0 &&
	    (lo = cc_hex(s.p[*i + 1])) >= 0) {
		*i += 2;
		c = hi << 4 | lo;
		if (memchr(";/?:@&=+$,", c, 10)) /* [RFC2396 2.2] */
			c += 256;
	}
	if (is_nocase && c >= 'A' && c <= 'Z')
		c |= 0x20;
	return c;
}

static bool text_eq(struct str a, struct str b, bool is_nocase)
{
	size_t i = 0, j = 0;
	while (i < a.n && j < b.n)
		if (next_char(a, &i, is_nocase) != next_char(b, &j, is_nocase))
			return false;
	return i == a.n && j == b.n;
}

static bool find_param(struct str params, struct str name, struct str *value)
{
	struct str n;
	while (sip_param_next(&params, &n, value))
		if (text_eq(n, name, true))
			return true;
	return false;
}

/* Every parameter of a that b has too is equal there, and none that matters is missing in b. */
static bool params_agree(struct str a, struct str b)
{
	static const struct str matters[] = {STR_INIT("transport"), STR_INIT("user"),
					     STR_INIT("ttl"), STR_INIT("method"),
					     STR_INIT("maddr")};
	struct str name, va, vb;
	while (sip_param_next(&a, &name, &va)) {
		if (find_param(b, name, &vb)) {
			if (!text_eq(va, vb, true))
				return false;
			continue;
		}
		for (size_t i = 0; i < sizeof(matters) / sizeof(matters[0]); i++)
			if (text_eq(name, matters[i], true))
				return false;
	}
	return true;
}

static struct str next_header(struct str *rest, struct str *value)
{
	struct str h = str_cut(*rest, '&', rest);
	struct str name = str_cut(h, '=', value);
	return name;
}

static unsigned count_header(struct str headers, struct str name, struct str value)
{
	unsigned n = 0;
	while (headers.n) {
		struct str v, h = next_header(&headers, &v);
		n += text_eq(h, name, true) && text_eq(v, value, false);
	}
	return n;
}

static unsigned count_parts(struct str s, char sep)
{
	unsigned n = s.n > 0;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == sep;
	return n;
}

/* The same headers with the same values, in any order. */
static bool headers_eq(struct str a, struct str b)
{
	struct str v;
	unsigned n_b = 0;
	for (struct str rest = b; rest.n; n_b++)
		(void)next_header(&rest, &v);
	for (struct str rest = a; rest.n; n_b--) {
		struct str h = next_header(&rest, &v);
		if (n_b == 0 || count_header(a, h, v) != count_header(b, h, v))
			return false;
	}
	return n_b == 0;
}

static bool has_many_parts(const struct sip_uri *u)
{
	return count_parts(u->params, ';') > MAX_PARTS || count_parts(u->headers, '&') > MAX_PARTS;
}

static bool host_eq(const struct sip_uri *a, const struct sip_uri *b)
{
	if (a->is_ip != b->is_ip)
		return false;
	return a->is_ip ? addr_ip_eq(&a->ip, &b->ip) : str_ieq(a->host, b->host);
}

static bool is_separator(char c)
{
	return c == '-' || c == '.' || c == '(' || c == ')';
}

/* Numbers without their visual separators, digits beyond 9 without case. */
static bool number_eq(struct str a, struct str b)
{
	size_t i = 0, j = 0;
	for (;;) {
		while (i < a.n && is_separator(a.p[i]))
			i++;
		while (j < b.n && is_separator(b.p[j]))
			j++;
		if (i == a.n || j == b.n)
			return i == a.n && j == b.n;
		if (next_char(a, &i, true) != next_char(b, &j, true))
			return false;
	}
}

/* Each parameter of a has its equal in b. */
static bool has_all(struct str b, struct str a)
{
	struct str name, va, vb;
	while (sip_param_next(&a, &name, &va))
		if (!find_param(b, name, &vb) || !text_eq(va, vb, true))
			return false;
	return true;
}

/* Parameters must be the same on both sides, in any order. [RFC3966 4] */
static bool tel_eq(const struct sip_uri *a, const struct sip_uri *b)
{
	return number_eq(a->user, b->user) && has_all(a->params, b->params) &&
	       has_all(b->params, a->params);
}

bool sip_uri_eq(const struct sip_uri *a, const struct sip_uri *b)
{
	if (a->scheme != b->scheme)
		return false;
	if (str_eq(a->all, b->all))
		return true;
	if (a->scheme == SIP_URI_OTHER)
		return str_ieq(a->scheme_name, b->scheme_name) &&
		       str_eq(str_skip(a->all, a->scheme_name.n),
			      str_skip(b->all, b->scheme_name.n));
	if (has_many_parts(a) || has_many_parts(b))
		return false;
	if (a->scheme == SIP_URI_TEL)
		return tel_eq(a, b);
	return a->has_user == b->has_user && text_eq(a->user, b->user, false) &&
	       text_eq(a->password, b->password, false) && host_eq(a, b) &&
	       a->has_port == b->has_port && a->port == b->port &&
	       params_agree(a->params, b->params) && params_agree(b->params, a->params) &&
	       headers_eq(a->headers, b->headers);
}
