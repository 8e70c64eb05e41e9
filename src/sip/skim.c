/* Skimming: the shortest way through a message of the usual form.
 *
 * In such a message CR LF are the only control characters of the headers, so the vector scan looks
 * for control characters alone, and every one that it finds has to be a line's end. A line is
 * looked at only when its first letters may begin a name that matters, and it is read only when
 * name and value are written as nearly everybody writes them. Whatever else could be such a header
 * (another case, a compact name, blanks around the colon) makes the skim give up, and so does any
 * other control character. So it never disagrees with the index; tests and a fuzz target compare
 * them.
 *
 * [RFC3261 7, 8.1.1, 20]
 */
#include "sip/skim.h"

#include "sip/scan.h"
#include "sip/sip_priv.h"

#define MAX_HEAD 60'000

struct ends {                    /* of lines */
	const char *block, *end; /* [block, block + 64) is what `low` is about */
	uint64_t low;            /* control characters not handed out yet */
	bool is_split;           /* the block's last byte was a CR, its LF begins the next */
};

/* There are at least SCAN_BLOCK bytes before `end`: the last block is read from before it. */
SCAN_INLINE void ends_load(struct ends *s)
{
	size_t left = (size_t)(s->end - s->block);
	size_t missing = left < SCAN_BLOCK ? SCAN_BLOCK - left : 0;
	s->low = scan_masks(s->block - missing).low >> missing;
	s->low &= ~(uint64_t)s->is_split;
	s->is_split = false;
}

/* The next CR LF; NULL when there is none, or another control character before it. */
SCAN_INLINE const char *ends_next(struct ends *s)
{
	while (!s->low) {
		if (s->end - s->block <= SCAN_BLOCK)
			return NULL;
		s->block += SCAN_BLOCK;
		ends_load(s);
	}
	const char *p = s->block + __builtin_ctzll(s->low);
	if (p + 1 == s->end || p[0] != '\r' || p[1] != '\n')
		return NULL;
	s->low &= s->low - 1;
	s->is_split = p - s->block == SCAN_BLOCK - 1;
	s->low &= s->low - 1; /* the LF; when it is in the next block, nothing is left of this */
	return p;
}

struct skim {
	struct sip_skim *out;
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

/* ";name=token;name", with the branch among them, up to the end or the next Via. */
static bool read_via_params(struct sip_skim *o, const char *p, const char *end)
{
	while (p < end && *p == ';') {
		const char *name = ++p;
		p = cc_span(p, end, CC_TOKEN);
		size_t n = (size_t)(p - name);
		if (!n)
			return false;
		if (n == 5 && lower(*name) == 'r') {
			if (memcmp(name, "rport", 5) != 0)
				return false;
			o->via_has_rport = true;
		}
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
	return p == end || *p == ',';
}

/* SIP/2.0/UDP 192.0.2.57:5060;branch=z9hG4bK1 */
static bool read_via(struct skim *s, struct str v)
{
	if (s->has_via)
		return true;
	s->has_via = true;
	const char *end = v.p + v.n, *p = v.p;
	if (end - p < 14 || memcmp(p, "SIP/2.0/", 8) != 0)
		return false;
	p = cc_span(p + 8, end, CC_TOKEN);
	if (p == v.p + 8 || p == end || *p++ != ' ')
		return false;
	const char *host = p;
	p = cc_span(p, end, CC_HOST);
	if (p == host)
		return false;
	s->out->via_host = str_of(host, (size_t)(p - host));
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

/* sip:1001@192.0.2.57;tag=9fxced: what follows the URI is not its own. NULL when it is odd. */
static const char *skip_bare_uri(const char *p, const char *end)
{
	if (!BEGINS(p, end, "sip:"))
		return NULL;
	p = cc_span(p + 4, end, CC_USER);
	if (p < end && *p == '@')
		p = cc_span(p + 1, end, CC_HOST);
	return p;
}

/* "Alice" <sip:1001@192.0.2.57>: behind it, or NULL when it is odd. */
static const char *skip_name_addr(const char *p, const char *end)
{
	if (*p == '"') {
		const char *close = memchr(p + 1, '"', (size_t)(end - p - 1));
		if (!close || memchr(p, '\\', (size_t)(close - p)))
			return NULL;
		p = close + 1;
		if (p < end && *p == ' ')
			p++;
	}
	if (p == end || *p != '<')
		return NULL;
	const char *close = memchr(p, '>', (size_t)(end - p));
	if (!close || close - p < 6 || p[1] == ' ' || close[-1] == ' ')
		return NULL;
	return close + 1;
}

static bool read_party(struct str v, struct str *whole, struct str *tag)
{
	const char *end = v.p + v.n;
	if (whole->p) /* a second one */
		return false;
	*whole = v;
	bool is_name_addr = *v.p == '<' || *v.p == '"';
	const char *p = is_name_addr ? skip_name_addr(v.p, end) : skip_bare_uri(v.p, end);
	if (!p || p == end)
		return p;
	if (!BEGINS(p, end, ";tag="))
		return false;
	p += 5;
	const char *stop = memchr(p, ';', (size_t)(end - p));
	stop = stop ? stop : end;
	*tag = str_of(p, (size_t)(stop - p));
	return stop > p && *p > ' ' && *p != '"' && stop[-1] > ' ';
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

/* Headers that most messages have and that say nothing about whose message it is or why. */
SCAN_INLINE bool is_usual(const char *p, const char *eol)
{
	switch (*p) {
	case 'A':
		return BEGINS(p, eol, "Allow:") || BEGINS(p, eol, "Accept:");
	case 'D':
		return BEGINS(p, eol, "Date:");
	case 'E':
		return BEGINS(p, eol, "Expires:");
	case 'M':
		return BEGINS(p, eol, "Max-Forwards:");
	case 'R':
		return BEGINS(p, eol, "Require:") || BEGINS(p, eol, "Route:");
	case 'S':
		return BEGINS(p, eol, "Supported:") || BEGINS(p, eol, "Server:");
	default:
		return false;
	}
}

/* A header that is not read here; false when the line is none. */
SCAN_INLINE bool on_other(struct skim *s, const char *p, const char *eol)
{
	s->out->has_more = s->out->has_more || !is_usual(p, eol);
	return *p > ' ';
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
		return eol - p > 8 && lower(p[6]) != 'd' && on_other(s, p, eol);
	case 'o':
		if (BEGINS(p, eol, "Content-Length: "))
			return value_of(p, 16, eol, &v) && read_length(s, v);
		if (BEGINS(p, eol, "Content-Type: "))
			return value_of(p, 14, eol, &v) && read_type(s, v);
		if (BEGINS(p, eol, "Contact: "))
			return value_of(p, 9, eol, &v) && read_contact(s, v);
		return eol - p > 9 && lower(p[4]) != 'a' && lower(p[8]) != 't' &&
		       lower(p[8]) != 'e' &&
		       (lower(p[8]) != 'l' || BEGINS(p, eol, "Content-Language")) &&
		       on_other(s, p, eol);
	default:
		return is_letter(p[1]) && on_other(s, p, eol);
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
		return is_letter(p[1]) && lower(p[1]) != 'o' && on_other(s, p, eol);
	case 'c':
		return read_c(s, p, eol);
	case 'i': /* compact names: Call-ID, Content-Length, Content-Encoding, Contact */
	case 'l':
	case 'e':
	case 'm':
		return is_letter(p[1]) && on_other(s, p, eol);
	case 'r':
		if (lower(p[1]) != 'e' || lower(p[2]) != 'c') {
			o->has_reason = o->has_reason || lower(p[2]) == 'a';
			o->has_rseq = o->has_rseq || lower(p[1]) == 's';
			return on_other(s, p, eol);
		}
		o->is_routed = true;
		return BEGINS(p, eol, "Record-Route: ");
	case 's':
		if (!o->session_id.p && BEGINS(p, eol, "Session-ID: "))
			return value_of(p, 12, eol, &o->session_id);
		o->has_session = o->has_session || (eol - p > 8 && lower(p[8]) == 'e');
		return on_other(s, p, eol);
	case 'x':
		o->has_session = o->has_session || p[1] == ':' || p[1] == ' ';
		return on_other(s, p, eol);
	case 'u':
		if (lower(p[1]) != 's')
			return on_other(s, p, eol);
		if (o->user_agent.p || !BEGINS(p, eol, "User-Agent: "))
			return false;
		return value_of(p, 12, eol, &o->user_agent);
	case 'a':
		if (lower(p[1]) != 'u' || BEGINS(p, eol, "Authentication-Info"))
			return on_other(s, p, eol);
		o->has_auth = true;
		return BEGINS(p, eol, "Authorization: ");
	case 'p':
		if (eol - p < 20 || lower(p[6]) != 'a' || lower(p[10]) != 'o')
			return on_other(s, p, eol);
		o->has_auth = true;
		return BEGINS(p, eol, "Proxy-Authorization: ");
	default:
		return on_other(s, p, eol);
	}
}

/* What is not written on the way through. A store each: clearing the whole takes longer. */
SCAN_INLINE void clear(struct sip_skim *o)
{
	o->is_request = o->has_cseq = o->is_routed = o->has_auth = false;
	o->has_reason = o->has_rseq = o->has_session = o->is_sdp = false;
	o->has_more = o->via_has_rport = false;
	o->status = 0;
	o->ruri = o->reason = o->via_branch = o->from_tag = o->to_tag = STR_NONE;
	o->call_id = o->from = o->to = o->user_agent = o->session_id = o->contact = STR_NONE;
}

bool sip_skim(struct str bytes, struct sip_skim *out)
{
	struct skim s = {.out = out};
	if (bytes.n < SCAN_BLOCK || *bytes.p <= ' ')
		return false;
	clear(out);
	const char *p = bytes.p, *end = p + bytes.n, *eol;
	struct ends ends = {.block = p, .end = end};
	ends_load(&ends);
	eol = ends_next(&ends);
	if (!eol || !read_start(out, p, eol))
		return false;
	unsigned n_rows = 0;
	for (p = eol + 2; (eol = ends_next(&ends)); p = eol + 2) {
		if (eol == p)
			break;
		if (eol - p < 4 || !read_line(&s, p, eol) || ++n_rows > SIP_MAX_ROWS)
			return false;
	}
	if (!eol || eol - bytes.p > MAX_HEAD)
		return false;
	out->body = str_of(eol + 2, (size_t)(end - eol - 2));
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
		.has_more = true,
		.user_agent = sip_value(m, SIP_HDR_USER_AGENT),
		.session_id = sip_value(m, SIP_HDR_SESSION_ID),
		.is_routed = sip_has(m, SIP_HDR_RECORD_ROUTE),
		.has_auth = sip_has(m, SIP_HDR_AUTHORIZATION) ||
			    sip_has(m, SIP_HDR_PROXY_AUTHORIZATION),
		.method = m->method,
		.status = m->status,
		.cseq = m->cseq,
		.method_name = m->method_name,
		.ruri = m->ruri,
		.reason = m->reason,
		.via_has_rport = m->via_has_rport,
		.via_host = m->via_host,
		.via_branch = m->via_branch,
		.from_tag = m->from_tag,
		.to_tag = m->to_tag,
		.call_id = m->call_id,
		.from = sip_value(m, SIP_HDR_FROM),
		.to = sip_value(m, SIP_HDR_TO),
		.body = m->body,
	};
}
