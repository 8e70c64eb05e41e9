/* The index pass: one walk over the header section that makes a row per header line, and then reads
 * the few fields that every layer above needs. Nothing is copied, changed or allocated.
 *
 * The walk: scan.h finds line feeds 64 bytes at a time and cuts lines; here each header line
 * becomes a row, appended to the chain of its id through `last[]`, so that first[] and next walk
 * the lines in the order received. Rows grow down from the end of the block; the bytes grow up.
 *
 * Faults never stop the walk. Each becomes a sip_diag and the most plausible reading goes on: a
 * monitor shows the message with its faults, the exchange asks sip_msg_verdict. Only three things
 * end it: no start line that could be SIP (ERR_SYNTAX), too much (ERR_LIMIT, with everything up to
 * there indexed, so that it can still be answered), and a stream that has not brought the whole
 * message yet (ERR_MORE).
 *
 * Invariants
 *  1. Every str in the message points into [bytes, bytes + n_bytes).
 *  2. Row offsets are below 65,536, since a header section that long is ERR_LIMIT.
 *  3. has_content_length is set only for one readable value (or equal ones): a stream whose message
 *     lacks it cannot be framed beyond this message, and must be closed. [RFC3261 18.3]
 *  4. The eager fields are those of the first line of their header; a second line is a diagnostic.
 *
 * Standards: [RFC3261 7, 8.1.1, 18.3, 20, 25.1], leniency after [RFC4475] and [RFC5118]. */

#include "sip/msg.h"

#include "sip/scan.h"
#include "sip/sip_priv.h"

#define MAX_HEAD 65535

struct index {
	struct sip_msg *m;
	const char *end; /* of the bytes */
	struct scan scan;
	unsigned max_rows;
	bool is_stream, has_blank;
};

[[gnu::cold, gnu::noinline]] static void diag(struct sip_msg *m, unsigned code, const char *at,
					      unsigned row)
{
	enum sip_severity sev = sip_diag_severity(code);
	unsigned i = m->n_diags;
	m->worst |= 1u << sev;
	if (i == SIP_MAX_DIAGS) { /* full: a graver one takes the place of the last lighter one */
		while (i > 0 && sip_diag_severity(m->diags[i - 1].code) >= sev)
			i--;
		if (i-- == 0)
			return;
	} else {
		m->n_diags++;
	}
	m->diags[i] = (struct sip_diag){(uint16_t)code, (uint16_t)row, (uint32_t)(at - m->bytes)};
}

static void diag_row(struct sip_msg *m, unsigned code, enum sip_hdr_id id)
{
	unsigned row = m->first[id];
	diag(m, code, m->bytes + sip_row(m, row)->val_off, row);
}

/* ---- start line ---- */

static bool is_version(struct str s)
{
	return CC_IS_WORD(s, "SIP/2.0");
}

/* "SIP/" in any case. [RFC3261 7.1] */
static bool has_sip_slash(struct str s)
{
	return s.n >= 4 && (memcmp(s.p, "SIP/", 4) == 0 || str_istarts(s, STR("SIP/")));
}

static void read_status(struct sip_msg *m, const char *p, const char *eol)
{
	const char *sp = p + 7;
	if (eol - p < 8 || memcmp(p, "SIP/2.0 ", 8) != 0)
		for (sp = p; sp < eol && *sp != ' ' && *sp != '\t';)
			sp++;
	m->version = str_of(p, (size_t)(sp - p));
	if (!is_version(m->version))
		diag(m, SIP_DIAG_VERSION, p, SIP_ROW_NONE);
	const char *code = cc_skip_ws(sp, eol);
	const char *tail = cc_span(code, eol, CC_DIGIT);
	if (tail - code == 3)
		m->status =
			(uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + code[2] - '0');
	if (m->status < 100 || m->status > 699) {
		m->status = 0;
		diag(m, SIP_DIAG_STATUS_BAD, code, SIP_ROW_NONE);
	} else if (code != sp + 1) {
		diag(m, SIP_DIAG_STATUS_SPACE, sp, SIP_ROW_NONE);
	}
	if (tail == eol || *tail != ' ')
		diag(m, SIP_DIAG_REASON_SPACE, tail, SIP_ROW_NONE);
	else
		tail++;
	m->reason = str_of(tail, (size_t)(eol - tail));
}

/* "sip:1002@192.0.2.57:5060;transport=udp", and nothing in it that would have to be looked at
 * twice.
 */
static bool is_plain_ruri(const char *p, const char *end)
{
	uint32_t port = 0;
	if (end - p < 5 || memcmp(p, "sip:", 4) != 0)
		return false;
	const char *host = cc_span(p + 4, end, CC_USER);
	if (host < end && *host == '@' && host > p + 4)
		host++;
	else
		host = p + 4;
	p = cc_span(host, end, CC_HOST);
	if (p == host)
		return false;
	if (p < end && *p == ':') {
		const char *digits = ++p;
		for (; p < end && p - digits < 6 && cc_is(*p, CC_DIGIT); p++)
			port = port * 10 + (uint32_t)(*p - '0');
		if (p == digits || port > 65535)
			return false;
	}
	size_t n = (size_t)(end - p); /* an '@' there would make a user of what came before */
	return n == 0 || (*p == ';' && cc_span(p, end, CC_URI) == end && !memchr(p, '%', n) &&
			  !memchr(p, '?', n) && !memchr(p, '@', n));
}

static void check_ruri(struct sip_msg *m)
{
	const char *p = m->ruri.p, *end = p + m->ruri.n;
	unsigned code = SIP_DIAG__N;
	struct sip_uri u;
	if (is_plain_ruri(p, end))
		return;
	if (p < end && *p == '<') {
		code = SIP_DIAG_RURI_BRACKETS;
	} else if (memchr(p, ' ', m->ruri.n) || memchr(p, '\t', m->ruri.n)) {
		code = SIP_DIAG_RURI_SPACE;
	} else {
		switch (sip_uri_parse(m->ruri, &u)) {
		case OK:
			if (u.headers.p)
				code = SIP_DIAG_RURI_HEADERS;
			break;
		case ERR_UNSUPPORTED:
			code = SIP_DIAG_RURI_SCHEME;
			break;
		default:
			code = SIP_DIAG_RURI_BAD;
		}
	}
	if (code != SIP_DIAG__N)
		diag(m, code, p, SIP_ROW_NONE);
}

/* Method SP Request-URI SP SIP-Version, cut from both ends so that spaces inside the URI are seen
 * as such. [RFC3261 7.1] */
static enum err read_request(struct sip_msg *m, const char *p, const char *eol)
{
	const char *end = cc_trim_end(p, eol);
	const char *sp = cc_span(p, end, CC_TOKEN), *v = end;
	while (sp < end && *sp != ' ' && *sp != '\t')
		sp++;
	while (v > sp && v[-1] != ' ' && v[-1] != '\t')
		v--;
	m->version = str_of(v, (size_t)(end - v));
	if (!has_sip_slash(m->version))
		return ERR_SYNTAX;
	m->is_request = true;
	m->method_name = str_of(p, (size_t)(sp - p));
	m->method = (uint8_t)sip_method_find(m->method_name);
	if (!m->method && !cc_all(m->method_name, CC_TOKEN))
		diag(m, SIP_DIAG_METHOD_BAD, p, SIP_ROW_NONE);
	const char *uri = cc_skip_ws(sp, v), *uri_end = cc_trim_end(uri, v);
	m->ruri = str_of(uri, (size_t)(uri_end - uri));
	if (uri != sp + 1 || uri_end + 1 != v || *sp != ' ' || *uri_end != ' ')
		diag(m, SIP_DIAG_START_SPACE, sp, SIP_ROW_NONE);
	if (!is_version(m->version))
		diag(m, SIP_DIAG_VERSION, v, SIP_ROW_NONE);
	if (end != eol)
		diag(m, SIP_DIAG_START_TAIL, end, SIP_ROW_NONE);
	check_ruri(m);
	return OK;
}

static enum err read_start(struct index *x, const char *p, const char **next)
{
	const char *lf = scan_lf(&x->scan), *eol = lf;
	if (!lf) {
		if (x->is_stream)
			return x->end - p > MAX_HEAD ? ERR_LIMIT : ERR_MORE;
		eol = lf = x->end;
		*next = x->end;
	} else {
		*next = lf + 1;
		if (lf > p && lf[-1] == '\r')
			eol--;
	}
	struct str line = str_of(p, (size_t)(eol - p));
	if (!has_sip_slash(line))
		return read_request(x->m, p, eol);
	if (!memchr(p, ' ', line.n))
		return ERR_SYNTAX;
	read_status(x->m, p, eol);
	return OK;
}

/* ---- header lines ---- */

/* What makes a row more than just another line: the header came before, or is not in the table. */
[[gnu::noinline]] static void check_row(struct sip_msg *m, unsigned i, bool is_again)
{
	const struct sip_row *r = sip_row(m, i);
	struct str name = sip_row_name(m, r);
	if (is_again && (sip_hdr_flags(r->id) & SIP_HF_ONCE))
		diag(m, r->id <= SIP_HDR_CONTENT_TYPE ? SIP_DIAG_HDR_TWICE : SIP_DIAG_HDR_AGAIN,
		     name.p, i);
	if (r->id == SIP_HDR_OTHER && !cc_all(name, CC_TOKEN))
		diag(m, SIP_DIAG_HDR_NAME, name.p, i);
}

/* What the walk writes rows with, kept in registers: the compiler must assume that a store into a
 * row changes anything that it has to load. */
struct rows {
	struct sip_msg *m;
	const char *bytes;
	struct sip_row *end;
	uint16_t *last; /* last row of an id; valid where m->first[id] is */
};

SCAN_INLINE void add_row(const struct rows *rows, const struct scan_line *l, unsigned i)
{
	struct sip_msg *m = rows->m;
	const char *bytes = rows->bytes;
	unsigned first = m->first[l->id];
	rows->end[-1 - (int)i] = (struct sip_row){
		.id = (uint8_t)l->id,
		.flags = (uint8_t)((l->is_folded ? SIP_ROW_FOLDED : 0) |
				   (l->name.n == 1 && l->id ? SIP_ROW_COMPACT : 0)),
		.next = SIP_ROW_NONE,
		.name_off = (uint16_t)(l->name.p - bytes),
		.name_len = (uint16_t)l->name.n,
		.val_off = (uint16_t)(l->value.p - bytes),
		.val_len = (uint16_t)l->value.n,
	};
	if (first == SIP_ROW_NONE)
		m->first[l->id] = (uint16_t)i;
	else /* last[] was set with first[]; NOLINTNEXTLINE(clang-analyzer-core.*) */
		rows->end[-1 - rows->last[l->id]].next = (uint16_t)i;
	rows->last[l->id] = (uint16_t)i;
	if (first != SIP_ROW_NONE || l->id == SIP_HDR_OTHER)
		check_row(m, i, first != SIP_ROW_NONE);
}

/* Lines up to the empty one. *head_end: where the header section ends, as far as it was read. */
static enum err read_headers(struct index *x, const char *p, const char **head_end)
{
	uint16_t last[SIP_HDR__N]; /* filled as needed */
	struct sip_msg *m = x->m;
	const struct rows rows = {m, m->bytes, (struct sip_row *)(uintptr_t)m->rows_end, last};
	const char *cap = m->bytes + MAX_HEAD;
	const unsigned max_rows = x->max_rows;
	const bool is_stream = x->is_stream;
	struct scan s = x->scan;
	struct scan_line l;
	unsigned n = 0;
	enum err e = OK;
	if (p < x->end && (*p == ' ' || *p == '\t'))
		diag(m, SIP_DIAG_HDR_FOLD_FIRST, p, SIP_ROW_NONE);
	for (;;) {
		enum scan_kind kind = scan_line(&s, p, &l);
		if (l.next > cap || (l.is_cut && is_stream)) {
			e = l.next > cap ? ERR_LIMIT : ERR_MORE;
			break;
		}
		if (kind == SCAN_HEADER) {
			if (n == max_rows) {
				e = ERR_LIMIT;
				break;
			}
			add_row(&rows, &l, n++);
		} else if (kind == SCAN_JUNK) {
			diag(m, SIP_DIAG_HDR_NO_COLON, p, SIP_ROW_NONE);
		}
		p = l.next;
		if (kind == SCAN_BLANK || l.is_cut) {
			x->has_blank = kind == SCAN_BLANK;
			break;
		}
	}
	m->n_rows = (uint16_t)n;
	x->scan = s;
	*head_end = p;
	return e;
}

/* The scan saw control characters that are not CRLF: one diagnostic for each kind of fault. */
[[gnu::cold]] static void diag_odd(struct sip_msg *m, const char *start, const char *end)
{
	bool has_nul = false, has_cr = false, has_lf = false;
	for (const char *p = start; p < end; p++) {
		char before = p > start ? p[-1] : '\0';
		if (*p == '\n' && before != '\r' && !has_lf) {
			diag(m, SIP_DIAG_BARE_LF, p, SIP_ROW_NONE);
			has_lf = true;
		} else if (*p == '\0' && before != '\\' && !has_nul) { /* but in a quoted-pair */
			diag(m, SIP_DIAG_HDR_NUL, p, SIP_ROW_NONE);
			has_nul = true;
		} else if (*p == '\r' && (p + 1 == end || p[1] != '\n') && !has_cr) {
			diag(m, SIP_DIAG_BARE_CR, p, SIP_ROW_NONE);
			has_cr = true;
		}
	}
}

/* ---- eager fields ---- */

/* The value of the first line of that header; without one, the diagnostic and a NULL pointer. */
static struct str need(struct sip_msg *m, enum sip_hdr_id id, unsigned code)
{
	if (m->first[id] != SIP_ROW_NONE)
		return sip_row_value(m, sip_row(m, m->first[id]));
	diag(m, code, m->bytes, SIP_ROW_NONE);
	return STR_NONE;
}

static void read_via(struct sip_msg *m)
{
	struct sip_via via;
	struct str v = need(m, SIP_HDR_VIA, SIP_DIAG_NO_VIA);
	if (!v.p)
		return;
	const char *stop = v.p;
	if (sip_via_scan(v.p, v.p + v.n, &via, &stop) != OK) {
		diag_row(m, SIP_DIAG_VIA_BAD, SIP_HDR_VIA);
		return;
	}
	m->via = str_of(v.p, (size_t)(cc_trim_end(v.p, stop) - v.p));
	m->via_branch = via.branch;
	m->via_host = via.host;
	m->via_params = via.params;
	m->via_port = via.port;
	m->via_has_rport = via.has_rport;
	if (via.branch.n <= 7 ||
	    (memcmp(via.branch.p, "z9hG4bK", 7) != 0 && !str_istarts(via.branch, STR("z9hG4bK"))))
		diag_row(m, SIP_DIAG_VIA_BRANCH, SIP_HDR_VIA);
}

/* The tag parameter, if there is one; false when it is there and empty. */
static bool read_tag(struct str params, struct str *tag)
{
	const char *p = params.p, *end = cc_end(params);
	if (params.n > 4 && memcmp(p, "tag=", 4) == 0 && p[4] != '"') { /* as nearly always */
		const char *stop = memchr(p, ';', params.n);
		*tag = str_trim(str_of(p + 4, (size_t)((stop ? stop : end) - p - 4)));
		return tag->n > 0;
	}
	if (sip_param(params, STR("tag"), tag))
		return tag->n > 0;
	*tag = STR_NONE;
	return true;
}

static void read_party(struct sip_msg *m, enum sip_hdr_id id, unsigned missing, unsigned bad,
		       struct str *tag)
{
	struct sip_addr a;
	unsigned odd = 0;
	struct str v = need(m, id, missing);
	if (!v.p)
		return;
	if (sip_addr_split(v, &a, &odd) != OK || a.is_star || !a.uri_text.n ||
	    cc_is(a.uri_text.p[0], CC_WS) || cc_is(a.uri_text.p[a.uri_text.n - 1], CC_WS)) {
		diag_row(m, bad, id);
		return;
	}
	if (odd & ADDR_ODD_SEPARATOR)
		diag_row(m, SIP_DIAG_DISPLAY_QUOTES, id);
	else if (odd & ADDR_ODD_DISPLAY)
		diag_row(m, SIP_DIAG_DISPLAY_NAME, id);
	if (a.params.n && !read_tag(a.params, tag))
		diag_row(m, bad, id);
}

/* "314159 INVITE" with one space and a method that is known to be one, as nearly always; false when
 * the full parser has to look. */
static bool read_cseq_fast(struct sip_msg *m, struct str v)
{
	uint32_t n = 0;
	size_t i = 0;
	for (; i < v.n && i < 9 && cc_is(v.p[i], CC_DIGIT); i++)
		n = n * 10 + (uint32_t)(v.p[i] - '0');
	if (i == 0 || i == v.n || v.p[i] != ' ')
		return false;
	struct str method = str_of(v.p + i + 1, v.n - i - 1);
	if (m->is_request ? !str_eq(method, m->method_name)
			  : !(m->method = (uint8_t)sip_method_find(method)))
		return false;
	if (!m->is_request)
		m->method_name = method;
	m->cseq = n;
	m->has_cseq = true;
	return true;
}

static void read_cseq(struct sip_msg *m)
{
	struct sip_cseq c;
	struct str v = need(m, SIP_HDR_CSEQ, SIP_DIAG_NO_CSEQ);
	if (!v.p || read_cseq_fast(m, v))
		return;
	switch (sip_cseq_parse(v, &c)) {
	case OK:
		break;
	case ERR_LIMIT:
		diag_row(m, SIP_DIAG_CSEQ_RANGE, SIP_HDR_CSEQ);
		return;
	default:
		diag_row(m, SIP_DIAG_CSEQ_BAD, SIP_HDR_CSEQ);
		return;
	}
	m->cseq = c.n;
	m->has_cseq = true;
	if (c.n > INT32_MAX)
		diag_row(m, SIP_DIAG_CSEQ_HIGH, SIP_HDR_CSEQ);
	if (!m->is_request) {
		m->method_name = c.method;
		m->method = (uint8_t)sip_method_find(c.method);
	} else if (!str_eq(c.method, m->method_name)) {
		diag_row(m, m->method ? SIP_DIAG_CSEQ_METHOD : SIP_DIAG_CSEQ_METHOD_UNKNOWN,
			 SIP_HDR_CSEQ);
	}
}

/* Decimal digits only; short ones, which are what there is, without a call. */
static inline bool read_number(struct str s, uint32_t *out)
{
	uint32_t n = 0;
	if (s.n == 0 || s.n > 9)
		return str_u32(s, out);
	for (size_t i = 0; i < s.n; i++) {
		uint32_t d = (uint32_t)(unsigned char)s.p[i] - '0';
		if (d > 9)
			return false;
		n = n * 10 + d;
	}
	*out = n;
	return true;
}

static void read_max_forwards(struct sip_msg *m)
{
	uint32_t n;
	if (!sip_has(m, SIP_HDR_MAX_FORWARDS)) {
		if (m->is_request)
			diag(m, SIP_DIAG_NO_MAX_FORWARDS, m->bytes, SIP_ROW_NONE);
	} else if (!read_number(sip_value(m, SIP_HDR_MAX_FORWARDS), &n) || n > 255) {
		diag_row(m, SIP_DIAG_MAX_FORWARDS_BAD, SIP_HDR_MAX_FORWARDS);
	} else {
		m->max_forwards = (uint8_t)n;
		m->has_max_forwards = true;
	}
}

static void read_call_id(struct sip_msg *m)
{
	struct str v = need(m, SIP_HDR_CALL_ID, SIP_DIAG_NO_CALL_ID);
	if (!v.p)
		return;
	if (memchr(v.p, ' ', v.n) || memchr(v.p, '\t', v.n))
		v = STR_NONE;
	if (!v.n)
		diag_row(m, SIP_DIAG_CALL_ID_BAD, SIP_HDR_CALL_ID);
	m->call_id = v;
}

static void read_content_length(struct sip_msg *m)
{
	bool has = false;
	for (unsigned i = m->first[SIP_HDR_CONTENT_LENGTH]; i != SIP_ROW_NONE;
	     i = sip_row(m, i)->next) {
		uint32_t n;
		struct str v = sip_row_value(m, sip_row(m, i));
		if (!read_number(v, &n)) {
			diag(m, SIP_DIAG_CONTENT_LENGTH_BAD, v.p, i);
			m->has_content_length = false;
			return;
		}
		m->has_content_length = !has || n == m->content_length;
		m->content_length = n;
		has = true;
		if (!m->has_content_length) /* several that differ: as bad as none. [RFC4475 3.3.9]
					     */
			break;
	}
	if (!m->has_content_length)
		m->content_length = 0;
}

/* ---- the body ---- */

/* What follows the headers, and where the message ends. [RFC3261 18.3, 7.4] */
static enum err read_body(struct index *x, const char *p)
{
	struct sip_msg *m = x->m;
	size_t left = (size_t)(x->end - p), n = left;
	if (m->has_content_length) {
		n = m->content_length;
		if (n > left && x->is_stream)
			return ERR_MORE;
		if (n > left) {
			diag_row(m, SIP_DIAG_BODY_SHORT, SIP_HDR_CONTENT_LENGTH);
			n = left;
		} else if (n < left && !x->is_stream) {
			diag(m, SIP_DIAG_BODY_EXTRA, p + n, SIP_ROW_NONE);
		}
	} else if (x->is_stream) {
		if (!sip_has(m, SIP_HDR_CONTENT_LENGTH))
			diag(m, SIP_DIAG_NO_CONTENT_LENGTH, p, SIP_ROW_NONE);
		n = 0;
	}
	m->body = str_of(p, n);
	m->n_bytes = m->head_n + (uint32_t)n;
	return OK;
}

static void read_eager(struct index *x, const char *start, const char *head_end)
{
	struct sip_msg *m = x->m;
	if (scan_is_odd(&x->scan, head_end))
		diag_odd(m, start, head_end);
	read_via(m);
	read_party(m, SIP_HDR_FROM, SIP_DIAG_NO_FROM, SIP_DIAG_FROM_BAD, &m->from_tag);
	read_party(m, SIP_HDR_TO, SIP_DIAG_NO_TO, SIP_DIAG_TO_BAD, &m->to_tag);
	if (!m->from_tag.n && sip_has(m, SIP_HDR_FROM))
		diag_row(m, SIP_DIAG_NO_FROM_TAG, SIP_HDR_FROM);
	read_call_id(m);
	read_cseq(m);
	read_max_forwards(m);
	read_content_length(m);
}

static void reset(struct sip_msg *m)
{
	const size_t from = offsetof(struct sip_msg, n_bytes), to = offsetof(struct sip_msg, first);
	cc_fill((char *)m + from, 0, to - from);
	cc_fill(m->first, 0xff, sizeof(m->first));
}

enum err sip_msg_index(struct sip_msg *m, size_t n_bytes, bool is_stream, size_t *consumed)
{
	struct index x;
	const char *p = m->bytes, *head_end = p, *start;
	reset(m);
	*consumed = 0;
	x.m = m;
	x.end = m->bytes + n_bytes;
	x.is_stream = is_stream;
	x.has_blank = false;
	size_t room = (size_t)((const char *)m->rows_end - m->bytes);
	if (n_bytes > room)
		return ERR_LIMIT;
	size_t max_rows = (room - n_bytes) / sizeof(struct sip_row);
	x.max_rows = max_rows < SIP_MAX_ROWS ? (unsigned)max_rows : SIP_MAX_ROWS;
	while (p < x.end && (*p == '\r' || *p == '\n')) /* [RFC3261 7.5] */
		p++;
	if (p == x.end) {
		*consumed = n_bytes;
		return is_stream ? ERR_MORE : ERR_SYNTAX;
	}
	start = p;
	scan_init(&x.scan, p, x.end, (const char *)m->rows_end);
	enum err e = read_start(&x, p, &p);
	if (e != OK) {
		*consumed = e == ERR_MORE ? 0 : n_bytes;
		return e;
	}
	e = read_headers(&x, p, &head_end);
	if (e == ERR_MORE)
		return e;
	m->head_n = m->n_bytes = (uint32_t)(head_end - m->bytes);
	read_eager(&x, start, head_end);
	if (e == OK && !x.has_blank)
		diag(m, SIP_DIAG_NO_EMPTY_LINE, head_end, SIP_ROW_NONE);
	if (e == OK)
		e = read_body(&x, head_end);
	if (e != ERR_MORE)
		*consumed = is_stream && e == OK ? m->n_bytes : n_bytes;
	return e;
}
