/* Messages, header by header.
 *
 * Where a header is known (anon_headers.def) its value is taken apart as its grammar says, so that
 * numbers of the protocol (ports, CSeq, expiry) stay while numbers of people go. Where it is not
 * known, or does not follow its grammar, all of it is masked: a mistake hides too much.
 *
 * The lines' order, their folds and their ends stay. Content-Length follows the body when it was
 * true, and stays as wrong as it was otherwise.
 */
#include "scope/anon_priv.h"
#include "sip/hdr.h"

enum how { HOW_MASK, HOW_ADDR, HOW_VIA, HOW_AUTH, HOW_PARAMS, HOW_WORDS, HOW_KNOWN, HOW_WARNING };

static const uint8_t hows[SIP_HDR__N] = {
#define ANON_HEADER(id, how) [SIP_HDR_##id] = how,
#include "scope/anon_headers.def"
#undef ANON_HEADER
};

static void mask(struct anon *a, struct buf *out, struct str s)
{
	anon_text(a, out, s, ANON_MASK);
}

/* What stands in s before `end`, which lies in it or at its end. */
static struct str until(struct str s, const char *end)
{
	return str_of(s.p, (size_t)(end - s.p));
}

static struct str from(struct str s, const char *begin)
{
	return str_of(begin, (size_t)(s.p + s.n - begin));
}

/* --- parameters ------------------------------------------------------------------------------- */

static bool is_numeric(struct str name)
{
	static const struct str names[] = {
		STR_INIT("expires"),   STR_INIT("q"),           STR_INIT("ttl"),
		STR_INIT("rport"),     STR_INIT("cause"),       STR_INIT("reg-id"),
		STR_INIT("transport"), STR_INIT("method"),      STR_INIT("user"),
		STR_INIT("refresher"), STR_INIT("retry-after"), STR_INIT("duration"),
		STR_INIT("reason"),    STR_INIT("comp"),        STR_INIT("screen"),
		STR_INIT("privacy"),   STR_INIT("charset"),     STR_INIT("version")};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_ieq(name, names[i]))
			return true;
	return false;
}

void anon_params(struct anon *a, struct buf *out, struct str s)
{
	for (size_t at = 0; at < s.n;) {
		size_t end = at + 1; /* behind the separator */
		bool is_quoted = false;
		while (end < s.n && (is_quoted || s.p[end] != ';')) {
			if (s.p[end] == '"')
				is_quoted = !is_quoted;
			end++;
		}
		struct str one = str_sub(s, at, end - at), value;
		struct str name = str_cut(one, '=', &value);
		anon_text(a, out, name, ANON_WORDS);
		if (name.n < one.n) {
			struct str bare = str_trim(str_skip(name, 1));
			buf_chr(out, '=');
			anon_text(a, out, value, is_numeric(bare) ? ANON_WORDS : ANON_MASK);
		}
		at = end;
	}
}

void anon_uri(struct anon *a, struct buf *out, struct str s)
{
	struct sip_uri u;
	if (sip_uri_parse(s, &u) || (u.scheme != SIP_URI_TEL && !u.host.n)) {
		size_t colon = str_chr(s, ':');
		struct str scheme = colon == SIZE_MAX ? STR_NONE : str_sub(s, 0, colon + 1);
		anon_text(a, out, scheme, ANON_WORDS);
		mask(a, out, str_skip(s, scheme.n));
		return;
	}
	const char *stop = u.headers.n ? u.headers.p - 1 : s.p + s.n;
	const char *tail = u.params.n ? u.params.p - 1 : stop;
	buf_str(out, u.scheme_name);
	buf_chr(out, ':');
	const char *host = u.host.n ? u.host.p : tail;
	struct str user = until(from(s, u.scheme_name.p + u.scheme_name.n + 1), host);
	mask(a, out, user); /* with '@', and '[' of the host */
	const char *end = u.host.n ? u.host.p + u.host.n : tail;
	mask(a, out, str_of(host, (size_t)(end - host)));
	buf_str(out, until(from(s, end), tail)); /* ']' and the port */
	if (u.params.n)
		anon_params(a, out, until(from(s, tail), stop));
	if (u.headers.n)
		mask(a, out, from(s, u.headers.p - 1));
}

/* --- values ----------------------------------------------------------------------------------- */

static void put_addr(struct anon *a, struct buf *out, struct str v)
{
	struct sip_addr x;
	if (sip_addr_parse(v, &x) || x.is_star || !x.uri_text.n) {
		mask(a, out, v);
		return;
	}
	const char *behind = x.uri_text.p + x.uri_text.n;
	mask(a, out, until(v, x.uri_text.p));
	anon_uri(a, out, x.uri_text);
	struct str rest = from(v, behind);
	size_t semi = str_chr(rest, ';');
	mask(a, out, str_sub(rest, 0, semi)); /* '>' */
	if (semi != SIZE_MAX)
		anon_params(a, out, str_skip(rest, semi));
}

static void put_via(struct anon *a, struct buf *out, struct str v)
{
	struct sip_via x;
	if (sip_via_parse(v, &x) || !x.host.n) {
		mask(a, out, v);
		return;
	}
	anon_text(a, out, until(v, x.host.p), ANON_WORDS);
	mask(a, out, x.host);
	struct str rest = from(v, x.host.p + x.host.n);
	size_t semi = str_chr(rest, ';');
	anon_text(a, out, str_sub(rest, 0, semi), ANON_WORDS); /* ']' and the port */
	if (semi != SIZE_MAX)
		anon_params(a, out, str_skip(rest, semi));
}

/* Scheme, then parameters between commas. [RFC3261 25.1: challenge, credentials] */
static void put_auth(struct anon *a, struct buf *out, struct str v)
{
	static const struct str kept[] = {STR_INIT("algorithm"), STR_INIT("qop"), STR_INIT("stale"),
					  STR_INIT("nc"), STR_INIT("charset")};
	for (size_t at = 0; at < v.n;) {
		size_t end = at;
		bool is_quoted = false;
		while (end < v.n && (is_quoted || v.p[end] != ',')) {
			if (v.p[end] == '"')
				is_quoted = !is_quoted;
			end++;
		}
		struct str one = str_sub(v, at, end - at), value;
		struct str name = str_cut(one, '=', &value), bare = str_trim(name);
		size_t blank = str_chr(bare, ' ');
		if (blank != SIZE_MAX) /* "Digest username" */
			bare = str_trim(str_skip(bare, blank));
		bool keeps = false;
		for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
			keeps = keeps || str_ieq(bare, kept[i]);
		anon_text(a, out, name, ANON_WORDS);
		if (name.n < one.n)
			buf_chr(out, '=');
		struct str t = str_trim(value);
		bool is_uri = str_ieq(bare, STR("uri")) && t.n > 2 && t.p[0] == '"';
		if (is_uri) {
			buf_chr(out, '"');
			anon_uri(a, out, str_sub(t, 1, t.n - 2));
			buf_chr(out, '"');
		} else {
			anon_text(a, out, value, keeps ? ANON_WORDS : ANON_MASK);
		}
		if (end < v.n)
			buf_chr(out, ',');
		at = end + 1;
	}
}

static void put_with_params(struct anon *a, struct buf *out, struct str v)
{
	size_t semi = str_chr(v, ';');
	anon_text(a, out, str_sub(v, 0, semi), ANON_WORDS);
	if (semi != SIZE_MAX)
		anon_params(a, out, str_skip(v, semi));
}

static void put_one(struct anon *a, struct buf *out, enum how how, struct str v)
{
	switch (how) {
	case HOW_ADDR:
		put_addr(a, out, v);
		break;
	case HOW_VIA:
		put_via(a, out, v);
		break;
	case HOW_AUTH:
		put_auth(a, out, v);
		break;
	case HOW_PARAMS:
		put_with_params(a, out, v);
		break;
	case HOW_WORDS:
		anon_text(a, out, v, ANON_WORDS);
		break;
	case HOW_KNOWN:
		anon_text(a, out, v, ANON_KNOWN);
		break;
	case HOW_WARNING: /* the code says it all */
		buf_str(out, str_sub(v, 0, v.n < 3 ? v.n : 3));
		mask(a, out, str_skip(v, 3));
		break;
	case HOW_MASK:
		mask(a, out, v);
		break;
	}
}

/* The end of the first of several values: a comma outside of quotes and angle brackets. */
static size_t value_end(struct str v)
{
	bool is_quoted = false;
	unsigned depth = 0;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && v.p[i] == '<')
			depth++;
		else if (!is_quoted && v.p[i] == '>' && depth)
			depth--;
		else if (!is_quoted && !depth && v.p[i] == ',')
			return i;
	}
	return v.n;
}

void anon_value(struct anon *a, struct buf *out, enum sip_hdr_id id, struct str v)
{
	enum how how = (enum how)hows[id];
	bool is_list = how == HOW_ADDR || how == HOW_VIA;
	while (v.n) {
		size_t end = is_list ? value_end(v) : v.n;
		struct str one = str_sub(v, 0, end), bare = str_trim(one);
		buf_str(out, until(one, bare.p));
		put_one(a, out, how, bare);
		buf_str(out, from(one, bare.p + bare.n));
		if (end < v.n)
			buf_chr(out, ',');
		v = str_skip(v, end + 1);
	}
}

/* --- the message ------------------------------------------------------------------------------ */

static void put_start(struct anon *a, struct buf *out, const struct sip_msg *m)
{
	struct str line = str_sub(str_of(m->bytes, m->n_bytes), 0, m->head_n);
	size_t lead = 0;
	while (lead < line.n && (line.p[lead] == '\r' || line.p[lead] == '\n'))
		lead++;
	buf_str(out, str_sub(line, 0, lead));
	line = str_skip(line, lead);
	size_t lf = str_chr(line, '\n');
	line = str_sub(line, 0, lf == SIZE_MAX ? line.n : lf + 1);
	if (!m->is_request) {
		anon_text(a, out, line, ANON_WORDS);
		return;
	}
	anon_text(a, out, until(line, m->ruri.p), ANON_WORDS);
	anon_uri(a, out, m->ruri);
	anon_text(a, out, from(line, m->ruri.p + m->ruri.n), ANON_WORDS);
}

static void put_name(struct anon *a, struct buf *out, const struct sip_msg *m,
		     const struct sip_row *r)
{
	struct str name = sip_row_name(m, r);
	if (r->id != SIP_HDR_OTHER) {
		buf_str(out, name);
		return;
	}
	buf_str(out, STR("X-")); /* what is made must not be a name that means something */
	mask(a, out, name);
}

/* The rows in order; what stands between a name and its value, and behind it, is kept. */
static void put_row(struct anon *a, struct buf *out, const struct sip_msg *m,
		    const struct sip_row *r, const char *next, size_t body_n)
{
	struct str name = sip_row_name(m, r), value = sip_row_value(m, r);
	const char *end = name.p + name.n;
	put_name(a, out, m, r);
	anon_text(a, out, str_of(end, (size_t)(value.p - end)), ANON_WORDS);
	if (r->id == SIP_HDR_CONTENT_LENGTH && m->has_content_length &&
	    m->content_length == m->body.n)
		buf_u64(out, body_n);
	else
		anon_value(a, out, (enum sip_hdr_id)r->id, value);
	end = value.p + value.n;
	anon_text(a, out, str_of(end, (size_t)(next - end)), ANON_MASK);
}

void anon_message(struct anon *a, struct buf *out, const struct sip_msg *m)
{
	struct buf body;
	buf_init(&body);
	anon_body(a, &body, sip_value(m, SIP_HDR_CONTENT_TYPE), m->body);
	put_start(a, out, m);
	for (unsigned i = 0; i < m->n_rows; i++) {
		const struct sip_row *r = sip_row(m, i);
		const char *next = i + 1 < m->n_rows ? sip_row_name(m, sip_row(m, i + 1)).p
						     : m->bytes + m->head_n;
		put_row(a, out, m, r, next, body.n);
	}
	if (!m->n_rows)
		buf_str(out, STR("\r\n"));
	buf_str(out, buf_view(&body));
	if (body.err || out->err)
		a->err = ERR_NOMEM;
	buf_fini(&body);
}
