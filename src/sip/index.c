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
	bool is_stream, has_blank, has_bare_lf;
	uint16_t last[SIP_HDR__N]; /* last row of an id; valid where m->first[id] is */
};

[[gnu::cold, gnu::noinline]] static void diag(struct sip_msg *m, unsigned code, const char *at,
					      unsigned row)
{
	enum sip_severity sev = sip_diag_severity(code);
	unsigned i = m->n_diags;
	m->worst |= 1u << sev;
	if (i == SIP_MAX_DIAGS) { /* full: a grave one takes the place of the last light one */
		if (sev < SIP_SEV_REJECT)
			return;
		while (i > 0 && sip_diag_severity(m->diags[i - 1].code) >= SIP_SEV_REJECT)
			i--;
		if (i == 0)
			return;
		i--;
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
	return s.n == 7 && str_ieq(s, STR("SIP/2.0"));
}

static void read_status(struct sip_msg *m, const char *p, const char *eol)
{
	const char *sp = p;
	while (sp < eol && *sp != ' ' && *sp != '\t')
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

static void check_ruri(struct sip_msg *m)
{
	const char *p = m->ruri.p, *end = p + m->ruri.n;
	unsigned code = SIP_DIAG__N;
	struct sip_uri u;
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
	if (!str_istarts(m->version, STR("SIP/")))
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
		else
			x->has_bare_lf = true;
	}
	struct str line = str_of(p, (size_t)(eol - p));
	if (!str_istarts(line, STR("SIP/")))
		return read_request(x->m, p, eol);
	if (!memchr(p, ' ', line.n))
		return ERR_SYNTAX;
	read_status(x->m, p, eol);
	return OK;
}

/* ---- header lines ---- */

static void add_row(struct index *x, const struct scan_line *l)
{
	struct sip_msg *m = x->m;
	unsigned i = m->n_rows++;
	struct sip_row *r = (struct sip_row *)(uintptr_t)m->rows_end - 1 - i;
	*r = (struct sip_row){
		.id = (uint8_t)l->id,
		.flags = (uint8_t)((l->is_folded ? SIP_ROW_FOLDED : 0) |
				   (l->id && l->name.n == 1 ? SIP_ROW_COMPACT : 0)),
		.next = SIP_ROW_NONE,
		.name_off = (uint16_t)(l->name.p - m->bytes),
		.name_len = (uint16_t)l->name.n,
		.val_off = (uint16_t)(l->value.p - m->bytes),
		.val_len = (uint16_t)l->value.n,
	};
	if (m->first[l->id] == SIP_ROW_NONE) {
		m->first[l->id] = (uint16_t)i;
	} else {
		((struct sip_row *)(uintptr_t)m->rows_end - 1 - x->last[l->id])->next = (uint16_t)i;
		if (sip_hdr_flags(l->id) & SIP_HF_ONCE)
			diag(m,
			     l->id <= SIP_HDR_CONTENT_TYPE ? SIP_DIAG_HDR_TWICE
							   : SIP_DIAG_HDR_AGAIN,
			     l->name.p, i);
	}
	x->last[l->id] = (uint16_t)i;
	if (l->is_bad_name)
		diag(m, SIP_DIAG_HDR_NAME, l->name.p, i);
}

static enum err read_headers(struct index *x, const char *p, const char **head_end)
{
	struct sip_msg *m = x->m;
	struct scan_line l;
	if (p < x->end && (*p == ' ' || *p == '\t'))
		diag(m, SIP_DIAG_HDR_FOLD_FIRST, p, SIP_ROW_NONE);
	for (;;) {
		enum scan_kind kind = scan_line(&x->scan, p, &l);
		*head_end = p;
		if (l.is_cut && x->is_stream)
			return l.next - m->bytes > MAX_HEAD ? ERR_LIMIT : ERR_MORE;
		if (l.next - m->bytes > MAX_HEAD)
			return ERR_LIMIT;
		*head_end = l.next;
		x->has_bare_lf |= l.is_bare_lf;
		if (kind == SCAN_BLANK) {
			x->has_blank = true;
			return OK;
		}
		if (kind == SCAN_HEADER) {
			if (m->n_rows == x->max_rows) {
				*head_end = p;
				return ERR_LIMIT;
			}
			add_row(x, &l);
		} else if (kind == SCAN_JUNK) {
			diag(m, SIP_DIAG_HDR_NO_COLON, p, SIP_ROW_NONE);
		}
		if (l.is_cut)
			return OK;
		p = l.next;
	}
}

/* NULs and lone CRs are so rare that the scan only notes that there are some. */
[[gnu::cold]] static void diag_odd(struct sip_msg *m, const char *p, const char *end)
{
	bool has_nul = false, has_cr = false;
	for (; p < end; p++) {
		if (*p == '\0' && !has_nul) {
			diag(m, SIP_DIAG_HDR_NUL, p, SIP_ROW_NONE);
			has_nul = true;
		} else if (*p == '\r' && (p + 1 == end || p[1] != '\n') && !has_cr) {
			diag(m, SIP_DIAG_BARE_CR, p, SIP_ROW_NONE);
			has_cr = true;
		}
	}
}

/* ---- eager fields ---- */

static bool need(struct sip_msg *m, enum sip_hdr_id id, unsigned code)
{
	if (m->first[id] != SIP_ROW_NONE)
		return true;
	diag(m, code, m->bytes, SIP_ROW_NONE);
	return false;
}

static void read_via(struct sip_msg *m)
{
	if (!need(m, SIP_HDR_VIA, SIP_DIAG_NO_VIA))
		return;
	struct str v = sip_value(m, SIP_HDR_VIA);
	struct sip_via via;
	const char *stop = v.p;
	if (sip_via_scan(v.p, v.p + v.n, &via, &stop) != OK) {
		diag_row(m, SIP_DIAG_VIA_BAD, SIP_HDR_VIA);
		return;
	}
	m->via = str_of(v.p, (size_t)(cc_trim_end(v.p, stop) - v.p));
	m->via_branch = via.branch;
	m->via_host = via.host;
	m->via_port = via.port;
	if (via.branch.n <= 7 || !str_istarts(via.branch, STR("z9hG4bK")))
		diag_row(m, SIP_DIAG_VIA_BRANCH, SIP_HDR_VIA);
}

static void read_party(struct sip_msg *m, enum sip_hdr_id id, unsigned missing, unsigned bad,
		       struct str *tag)
{
	struct sip_addr a;
	unsigned odd = 0;
	if (!need(m, id, missing))
		return;
	if (sip_addr_split(sip_value(m, id), &a, &odd) != OK || a.is_star || !a.uri_text.n ||
	    cc_is(a.uri_text.p[0], CC_WS) || cc_is(a.uri_text.p[a.uri_text.n - 1], CC_WS)) {
		diag_row(m, bad, id);
		return;
	}
	if (odd & ADDR_ODD_SEPARATOR)
		diag_row(m, SIP_DIAG_DISPLAY_QUOTES, id);
	else if (odd & ADDR_ODD_DISPLAY)
		diag_row(m, SIP_DIAG_DISPLAY_NAME, id);
	if (!a.params.n || !sip_param(a.params, STR("tag"), tag))
		*tag = STR_NONE;
}

static void read_cseq(struct sip_msg *m)
{
	struct sip_cseq c;
	if (!need(m, SIP_HDR_CSEQ, SIP_DIAG_NO_CSEQ))
		return;
	switch (sip_cseq_parse(sip_value(m, SIP_HDR_CSEQ), &c)) {
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

static void read_max_forwards(struct sip_msg *m)
{
	uint32_t n;
	if (!sip_has(m, SIP_HDR_MAX_FORWARDS)) {
		if (m->is_request)
			diag(m, SIP_DIAG_NO_MAX_FORWARDS, m->bytes, SIP_ROW_NONE);
	} else if (!str_u32(sip_value(m, SIP_HDR_MAX_FORWARDS), &n) || n > 255) {
		diag_row(m, SIP_DIAG_MAX_FORWARDS_BAD, SIP_HDR_MAX_FORWARDS);
	} else {
		m->max_forwards = (uint8_t)n;
		m->has_max_forwards = true;
	}
}

static void read_call_id(struct sip_msg *m)
{
	if (!need(m, SIP_HDR_CALL_ID, SIP_DIAG_NO_CALL_ID))
		return;
	struct str v = sip_value(m, SIP_HDR_CALL_ID);
	for (size_t i = 0; i < v.n; i++)
		if (cc_is(v.p[i], CC_WS)) {
			v = STR_NONE;
			break;
		}
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
		if (!str_u32(v, &n)) {
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
	if (x->has_bare_lf)
		diag(m, SIP_DIAG_BARE_LF, start, SIP_ROW_NONE);
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
	memset((char *)m + from, 0, to - from);
	memset(m->first, 0xff, sizeof(m->first));
}

enum err sip_msg_index(struct sip_msg *m, size_t n_bytes, bool is_stream, size_t *consumed)
{
	struct index x; /* last[] is big and filled as needed, so no initializer */
	const char *p = m->bytes, *head_end = p, *start;
	reset(m);
	*consumed = 0;
	x.m = m;
	x.end = m->bytes + n_bytes;
	x.is_stream = is_stream;
	x.has_blank = x.has_bare_lf = false;
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
	scan_init(&x.scan, p, x.end);
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

bool sip_peek_call_id(struct str bytes, struct str *call_id, struct str *via_branch)
{
	const char *p = bytes.p, *end = p + bytes.n;
	bool has_id = false, has_via = false;
	*call_id = *via_branch = STR_NONE;
	while (p < end && (*p == '\r' || *p == '\n'))
		p++;
	struct scan s;
	scan_init(&s, p, end);
	p = scan_lf(&s);
	if (!p)
		return false;
	struct scan_line l;
	for (p++; !(has_id && has_via); p = l.next) {
		enum scan_kind kind = scan_line(&s, p, &l);
		if (kind == SCAN_HEADER && l.id == SIP_HDR_CALL_ID && !has_id) {
			*call_id = l.value;
			has_id = true;
		} else if (kind == SCAN_HEADER && l.id == SIP_HDR_VIA && !has_via) {
			struct sip_via via;
			const char *stop;
			if (sip_via_scan(l.value.p, l.value.p + l.value.n, &via, &stop) == OK)
				*via_branch = via.branch;
			has_via = true;
		}
		if (kind == SCAN_BLANK || l.is_cut)
			break;
	}
	return call_id->n > 0;
}
