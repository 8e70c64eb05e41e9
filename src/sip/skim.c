/* Skimming: the shortest way through a message of the usual form.
 *
 * The header lines are found as the index finds them (scan.h), but a line is looked at only when
 * its first letters may begin a name that matters, and it is read only when name and value are
 * written as nearly everybody writes them. Whatever else could be such a header (another case, a
 * compact name, blanks around the colon) makes the skim give up, and so does a control character
 * anywhere in the headers. So it never disagrees with the index; tests and a fuzz target compare
 * them.
 *
 * [RFC3261 7, 8.1.1, 20]
 */
#include "sip/skim.h"

#include "sip/scan.h"
#include "sip/sip_priv.h"

#define MAX_HEAD 60'000

struct skim {
	struct sip_skim *out;
	const char *end; /* of the bytes */
	bool has_via, has_length, has_type, has_contact;
	uint32_t length;
};

SCAN_INLINE bool begins(const char *p, const char *eol, const char *name, size_t n)
{
	return (size_t)(eol - p) > n && memcmp(p, name, n) == 0;
}
#define BEGINS(p, eol, name) begins(p, eol, name, sizeof(name) - 1)

SCAN_INLINE char lower(char c)
{
	return (char)(c | 0x20);
}

static bool is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

/* The value behind a name of n bytes, colon and blank; false when it is odd. */
SCAN_INLINE bool value_of(const char *p, size_t n, const char *eol, struct str *v)
{
	p += n;
	while (p < eol && *p == ' ')
		p++;
	*v = str_of(p, (size_t)(eol - p));
	return v->n && *p > ' ' && eol[-1] > ' ';
}

static bool read_start(struct sip_skim *o, const char *p, const char *eol)
{
	size_t n = (size_t)(eol - p);
	if (n > 12 && memcmp(p, "SIP/2.0 ", 8) == 0) {
		const char *c = p + 8;
		if (c[0] < '1' || c[0] > '6' || c[1] < '0' || c[1] > '9' || c[2] < '0' ||
		    c[2] > '9' || c[3] != ' ')
			return false;
		o->status = (uint16_t)((c[0] - '0') * 100 + (c[1] - '0') * 10 + c[2] - '0');
		o->reason = str_of(p + 12, n - 12);
		return true;
	}
	const char *sp = memchr(p, ' ', n);
	if (!sp || n < 12 || memcmp(eol - 8, " SIP/2.0", 8) != 0 || eol - 8 <= sp + 1)
		return false;
	o->is_request = true;
	o->method_name = str_of(p, (size_t)(sp - p));
	o->method = (uint8_t)sip_method_find(o->method_name);
	o->ruri = str_of(sp + 1, (size_t)(eol - 8 - sp - 1));
	return o->method && !memchr(o->ruri.p, ' ', o->ruri.n);
}

/* ";name=token;name", with the branch among them. */
static bool read_via_params(struct sip_skim *o, const char *p, const char *end)
{
	while (p < end && *p == ';') {
		const char *name = ++p;
		p = cc_span(p, end, CC_TOKEN);
		size_t n = (size_t)(p - name);
		if (!n)
			return false;
		if (p == end || *p != '=')
			continue;
		const char *value = ++p;
		p = cc_span(p, end, CC_TOKEN);
		if (p == value)
			return false;
		if (n == 6 && memcmp(name, "branch", 6) == 0 && !o->via_branch.p)
			o->via_branch = str_of(value, (size_t)(p - value));
		else if (n == 6 && lower(*name) == 'b')
			return false;
	}
	return p == end;
}

/* SIP/2.0/UDP 192.0.2.57:5060;branch=z9hG4bK1 */
static bool read_via(struct skim *s, struct str v)
{
	if (s->has_via)
		return true;
	s->has_via = true;
	const char *end = memchr(v.p, ',', v.n), *p = v.p;
	end = end ? end : v.p + v.n;
	if (end - p < 14 || memcmp(p, "SIP/2.0/", 8) != 0)
		return false;
	p = cc_span(p + 8, end, CC_TOKEN);
	if (p == v.p + 8 || p == end || *p++ != ' ')
		return false;
	const char *host = p;
	p = cc_span(p, end, CC_HOST);
	if (p == host)
		return false;
	if (p < end && *p == ':') {
		const char *port = ++p;
		while (p < end && *p >= '0' && *p <= '9')
			p++;
		if (p - port < 1 || p - port > 4) /* of five digits it may be too much */
			return p - port == 5 && *port < '6' && read_via_params(s->out, p, end) &&
			       s->out->via_branch.p;
	}
	return read_via_params(s->out, p, end) && s->out->via_branch.p;
}

/* "Alice" <sip:1001@192.0.2.57>;tag=9fxced */
static bool read_party(struct str v, struct str *whole, struct str *tag)
{
	const char *p = v.p, *end = v.p + v.n;
	if (whole->p) /* a second one */
		return false;
	*whole = v;
	if (*p == '"') {
		p = memchr(p + 1, '"', v.n - 1);
		if (!p || memchr(v.p, '\\', (size_t)(p - v.p)))
			return false;
		p++;
		if (p < end && *p == ' ')
			p++;
		if (p == end || *p != '<')
			return false;
	}
	if (*p == '<') {
		const char *close = cc_span(p + 1, end, CC_URI);
		if (close == end || *close != '>' || close - p < 6)
			return false;
		p = close + 1;
	} else { /* sip:1001@192.0.2.57;tag=9fxced: what follows the URI is not its own */
		if (!BEGINS(p, end, "sip:"))
			return false;
		p = cc_span(p + 4, end, CC_USER);
		if (p < end && *p == '@')
			p = cc_span(p + 1, end, CC_HOST);
		if (p < end && *p != ';')
			return false;
	}
	if (p == end)
		return true;
	if (!BEGINS(p, end, ";tag="))
		return false;
	p += 5;
	const char *stop = p;
	while (stop < end && cc_is(*stop, CC_TOKEN))
		stop++;
	*tag = str_of(p, (size_t)(stop - p));
	return stop > p && (stop == end || *stop == ';');
}

static bool read_cseq(struct skim *s, struct str v)
{
	struct sip_skim *o = s->out;
	uint32_t n = 0;
	size_t i = 0;
	for (; i < v.n && i < 9 && v.p[i] >= '0' && v.p[i] <= '9'; i++)
		n = n * 10 + (uint32_t)(v.p[i] - '0');
	if (o->has_cseq || !i || i == v.n || v.p[i] != ' ')
		return false;
	struct str method = str_skip(v, i + 1);
	o->has_cseq = true;
	o->cseq = n;
	if (o->is_request)
		return method.n == o->method_name.n &&
		       memcmp(method.p, o->method_name.p, method.n) == 0;
	o->method_name = method;
	o->method = (uint8_t)sip_method_find(method);
	return o->method != SIP_METHOD_OTHER;
}

static bool read_length(struct skim *s, struct str v)
{
	if (s->has_length || v.n > 8)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		s->length = s->length * 10 + (uint32_t)(v.p[i] - '0');
	}
	s->has_length = true;
	return true;
}

static bool read_type(struct skim *s, struct str v)
{
	if (s->has_type)
		return false;
	s->has_type = true;
	s->out->is_sdp = v.n == 15 && memcmp(v.p, "application/sdp", 15) == 0;
	return true;
}

/* The first one; a list is left to the index. */
static bool read_contact(struct skim *s, struct str v)
{
	if (!s->has_contact && !memchr(v.p, ',', v.n))
		s->out->contact = v;
	s->has_contact = true;
	return true;
}

static bool read_call_id(struct sip_skim *o, struct str v)
{
	if (o->call_id.p || memchr(v.p, ' ', v.n))
		return false;
	o->call_id = v;
	return true;
}

/* Names that begin with a C: is it one that matters, and if so, as it should be? */
static bool read_c(struct skim *s, const char *p, const char *eol)
{
	struct str v;
	switch (lower(p[1])) {
	case 's':
		return BEGINS(p, eol, "CSeq: ") && value_of(p, 6, eol, &v) && read_cseq(s, v);
	case 'a':
		if (BEGINS(p, eol, "Call-ID: "))
			return value_of(p, 9, eol, &v) && read_call_id(s->out, v);
		return eol - p > 8 && lower(p[6]) != 'd';
	case 'o':
		if (BEGINS(p, eol, "Content-Length: "))
			return value_of(p, 16, eol, &v) && read_length(s, v);
		if (BEGINS(p, eol, "Content-Type: "))
			return value_of(p, 14, eol, &v) && read_type(s, v);
		if (BEGINS(p, eol, "Contact: "))
			return value_of(p, 9, eol, &v) && read_contact(s, v);
		return eol - p > 9 && lower(p[4]) != 'a' && lower(p[8]) != 't' &&
		       lower(p[8]) != 'e' &&
		       (lower(p[8]) != 'l' || BEGINS(p, eol, "Content-Language"));
	default:
		return is_letter(p[1]);
	}
}

/* A line of at least four characters. */
SCAN_INLINE bool read_line(struct skim *s, const char *p, const char *eol)
{
	struct str v;
	struct sip_skim *o = s->out;
	switch (lower(*p)) {
	case 'v':
		return BEGINS(p, eol, "Via: ") && value_of(p, 5, eol, &v) && read_via(s, v);
	case 'f':
		return BEGINS(p, eol, "From: ") && value_of(p, 6, eol, &v) &&
		       read_party(v, &o->from, &o->from_tag);
	case 't':
		if (BEGINS(p, eol, "To: "))
			return value_of(p, 4, eol, &v) && read_party(v, &o->to, &o->to_tag);
		return is_letter(p[1]) && lower(p[1]) != 'o';
	case 'c':
		return read_c(s, p, eol);
	case 'i': /* compact names: Call-ID, Content-Length, Content-Encoding, Contact */
	case 'l':
	case 'e':
	case 'm':
		return is_letter(p[1]);
	case 'r':
		if (lower(p[1]) != 'e' || lower(p[2]) != 'c') {
			o->has_reason = o->has_reason || lower(p[2]) == 'a';
			o->has_rseq = o->has_rseq || lower(p[1]) == 's';
			return true;
		}
		o->is_routed = true;
		return BEGINS(p, eol, "Record-Route: ");
	case 's':
		o->has_session = o->has_session || (eol - p > 8 && lower(p[8]) == 'e');
		return true;
	case 'x':
		o->has_session = o->has_session || p[1] == ':' || p[1] == ' ';
		return true;
	case 'u':
		if (lower(p[1]) != 's')
			return true;
		if (o->user_agent.p || !BEGINS(p, eol, "User-Agent: "))
			return false;
		return value_of(p, 12, eol, &o->user_agent);
	case 'a':
		if (lower(p[1]) != 'u' || BEGINS(p, eol, "Authentication-Info"))
			return true;
		o->has_auth = true;
		return BEGINS(p, eol, "Authorization: ");
	case 'p':
		if (eol - p < 20 || lower(p[6]) != 'a' || lower(p[10]) != 'o')
			return true;
		o->has_auth = true;
		return BEGINS(p, eol, "Proxy-Authorization: ");
	default:
		return *p > ' ';
	}
}

/* What is not written on the way through. A store each: clearing the whole takes longer. */
SCAN_INLINE void clear(struct sip_skim *o)
{
	o->is_request = o->has_cseq = o->is_routed = o->has_auth = false;
	o->has_reason = o->has_rseq = o->has_session = o->is_sdp = false;
	o->status = 0;
	o->ruri = o->reason = o->via_branch = o->from_tag = o->to_tag = STR_NONE;
	o->call_id = o->from = o->to = o->user_agent = o->contact = STR_NONE;
}

bool sip_skim(struct str bytes, const char *readable, struct sip_skim *out)
{
	const char *p = bytes.p, *end = p + bytes.n;
	struct skim s = {.out = out, .end = end};
	struct scan scan;
	clear(out);
	if (bytes.n < 64 || *p <= ' ')
		return false;
	scan_init(&scan, p, end, readable);
	const char *lf = scan_lf(&scan);
	unsigned n_rows = 0;
	if (!lf || lf == p || !read_start(out, p, lf - 1))
		return false;
	for (p = lf + 1; (lf = scan_lf(&scan)); p = lf + 1) {
		if (lf - p == 1 && *p == '\r')
			break;
		if (lf - p < 5 || !read_line(&s, p, lf - 1) || ++n_rows > SIP_MAX_ROWS)
			return false;
	}
	if (!lf || scan_is_odd(&scan, lf + 1) || lf - bytes.p > MAX_HEAD)
		return false;
	out->body = str_of(lf + 1, (size_t)(end - lf - 1));
	return s.has_via && out->has_cseq && (!s.has_length || s.length == out->body.n) &&
	       out->call_id.p && out->from_tag.p && out->to.p;
}

void sip_skim_of(const struct sip_msg *m, struct sip_skim *out)
{
	*out = (struct sip_skim){
		.is_request = m->is_request,
		.has_cseq = m->has_cseq,
		.has_reason = sip_has(m, SIP_HDR_REASON),
		.has_rseq = sip_has(m, SIP_HDR_RSEQ),
		.has_session = sip_has(m, SIP_HDR_SESSION_EXPIRES),
		.user_agent = sip_value(m, SIP_HDR_USER_AGENT),
		.is_routed = sip_has(m, SIP_HDR_RECORD_ROUTE),
		.has_auth = sip_has(m, SIP_HDR_AUTHORIZATION) ||
			    sip_has(m, SIP_HDR_PROXY_AUTHORIZATION),
		.method = m->method,
		.status = m->status,
		.cseq = m->cseq,
		.method_name = m->method_name,
		.ruri = m->ruri,
		.reason = m->reason,
		.via_branch = m->via_branch,
		.from_tag = m->from_tag,
		.to_tag = m->to_tag,
		.call_id = m->call_id,
		.from = sip_value(m, SIP_HDR_FROM),
		.to = sip_value(m, SIP_HDR_TO),
		.body = m->body,
	};
}
