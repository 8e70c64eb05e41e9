/* A message as a SIPp template.
 *
 * Kept as recorded: the order of headers, unknown ones, numbers, display names, bodies. Replaced by
 * keywords: whatever belongs to the dialog (tags, Call-ID, branch, route set), to the place (own
 * address and the exchange's, also inside URIs; the address and ports in SDP), to the secret
 * (credentials), and Content-Length.
 *
 * SIPp trims the lines of a scenario, so a folded header becomes one line, and a blank at the
 * beginning or end of a line is escaped.
 */
#include "scope/sipp_priv.h"
#include "sip/hdr.h"

void sipp_escape(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];
		bool is_edge = i == 0 || i + 1 == s.n || s.p[i - 1] == '\n' || s.p[i + 1] == '\n';
		if (c < ' ' || c == 127 || c == '[' || c == ']' || c == '\\' ||
		    (c == ' ' && is_edge)) {
			buf_str(b, STR("\\x"));
			buf_hex(b, &c, 1);
		} else {
			buf_chr(b, (char)c);
		}
	}
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '.' || c == '-';
}

/* Whether `at` begins with the address as a word of its own; its length, with brackets and port. */
static size_t address_here(struct str s, size_t at, const struct addr *a)
{
	char mem[ADDR_TEXT_MAX];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof mem);
	addr_put_host(&b, a); /* IPv6 in brackets */
	struct str host = buf_view(&b);
	if (!str_starts(str_skip(s, at), host) || (at && is_word(s.p[at - 1])))
		return 0;
	size_t end = at + host.n;
	if (end < s.n && is_word(s.p[end]))
		return 0;
	b.n = 0;
	buf_fmt(&b, ":%u", a->port);
	struct str port = buf_view(&b);
	if (str_starts(str_skip(s, end), port) &&
	    (end + port.n == s.n || !is_word(s.p[end + port.n])))
		end += port.n;
	return end - at;
}

/* Appends s with the two addresses replaced. */
static void put_mapped(struct buf *b, const struct sipp_side *side, struct str s)
{
	const struct {
		const struct addr *addr;
		struct str host, with_port;
	} maps[] = {
		{&side->self,   STR_INIT("[local_ip]"),  STR_INIT("[local_ip]:[local_port]")  },
		{&side->remote, STR_INIT("[remote_ip]"), STR_INIT("[remote_ip]:[remote_port]")},
	};
	size_t done = 0;
	for (size_t at = 0; at < s.n; at++) {
		for (size_t i = 0; i < 2; i++) {
			size_t n = address_here(s, at, maps[i].addr);
			if (!n)
				continue;
			sipp_escape(b, str_sub(s, done, at - done));
			bool has_port = s.p[at + n - 1] != ']' &&
					str_chr(str_sub(s, at, n), ':') != SIZE_MAX;
			if (maps[i].addr->family == ADDR_V6)
				has_port = s.p[at + n - 1] != ']';
			buf_str(b, has_port ? maps[i].with_port : maps[i].host);
			done = at + n;
			at = done - 1;
			break;
		}
	}
	sipp_escape(b, str_skip(s, done));
}

/* A header's value in one line. */
static struct str unfold(struct str v, struct buf *mem)
{
	if (str_chr(v, '\n') == SIZE_MAX)
		return v;
	buf_clear(mem);
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '\r' || v.p[i] == '\n')
			buf_chr(mem, ' ');
		else
			buf_chr(mem, v.p[i]);
	return buf_view(mem);
}

static struct str own_tag(const struct sipp_side *s)
{
	return s->side == TRK_SIDE_CALLER ? STR("[pid]c[call_number]") : STR("[pid]u[call_number]");
}

/* From or To with its tag replaced by `tag`, or removed when that is empty. */
static void put_party(struct buf *b, const struct sipp_side *s, struct str value, struct str tag)
{
	size_t semi = str_ifind(value, STR(";tag="));
	size_t end = semi == SIZE_MAX ? value.n : semi + 5;
	while (semi != SIZE_MAX && end < value.n && value.p[end] != ';' && value.p[end] != ' ')
		end++;
	put_mapped(b, s, str_sub(value, 0, semi == SIZE_MAX ? value.n : semi));
	buf_str(b, tag);
	put_mapped(b, s, str_skip(value, end));
}

/* Contact: whatever stood in its host, SIPp is found at its own address. */
static void put_contact(struct buf *b, const struct sipp_side *s, struct str value)
{
	struct sip_addr a;
	if (sip_addr_parse(value, &a) || a.uri_err || !a.uri.host.n) {
		put_mapped(b, s, value);
		return;
	}
	const char *end = a.uri.host.p + a.uri.host.n;
	const char *stop = value.p + value.n;
	const char *host = a.uri.host.p;
	if (host > value.p && host[-1] == '[') {
		host--;
		end++;
	}
	if (end < stop && *end == ':')
		do
			end++;
		while (end < stop && *end >= '0' && *end <= '9');
	sipp_escape(b, str_of(value.p, (size_t)(host - value.p)));
	buf_str(b, STR("[local_ip]:[local_port]"));
	struct str rest = str_of(end, (size_t)(stop - end)), transport;
	if (sip_param(a.uri.params, STR("transport"), &transport) && transport.n) {
		sipp_escape(b, str_of(end, (size_t)(transport.p - end)));
		buf_str(b, STR("[transport]"));
		end = transport.p + transport.n;
		rest = str_of(end, (size_t)(stop - end));
	}
	put_mapped(b, s, rest);
}

/* SIPp's own words end at a space or a bracket, and XML has no control characters. */
static bool is_one_word(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == ']')
			return false;
	return true;
}

static void put_credentials(struct buf *b, struct str value)
{
	struct str params, user;
	str_cut(value, ' ', &params);
	buf_str(b, STR("[authentication"));
	struct str rest = params, name, v;
	/* parameters of credentials stand between commas */
	while (rest.n) {
		struct str one = str_trim(str_cut(rest, ',', &rest));
		name = str_trim(str_cut(one, '=', &v));
		user = str_trim(v);
		if (!str_ieq(name, STR("username")) || user.n < 3 || user.p[0] != '"')
			continue;
		user = str_sub(user, 1, user.n - 2);
		if (is_one_word(user)) {
			buf_str(b, STR(" username="));
			buf_str(b, user);
		}
		break;
	}
	buf_chr(b, ']');
}

static void put_rack(struct buf *b, struct str value)
{
	struct sip_rack r;
	if (sip_rack_parse(value, &r)) {
		sipp_escape(b, value);
		return;
	}
	buf_fmt(b, "[$rseq] %u ", r.cseq);
	sipp_escape(b, r.method);
}

static void put_via(struct buf *b, const struct sipp_msg *x)
{
	if (x->via == SIPP_VIA_LAST)
		buf_str(b, STR("[last_Via:]\n"));
	else if (x->via == SIPP_VIA_KEPT)
		buf_str(b, STR("[$vias]\n"));
	else if (x->via == SIPP_VIA_BRANCH)
		buf_fmt(b,
			"Via: SIP/2.0/[transport] "
			"[local_ip]:[local_port];rport;branch=[branch-%u]\n",
			x->back);
	else
		buf_str(b, STR("Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;"
			       "branch=[branch]\n"));
	if (x->in_dialog)
		buf_str(b, STR("[routes]\n"));
}

/* What belongs to the dialog, of a response: as it came with the request. */
static bool put_echo(struct buf *b, const struct sipp_side *s, const struct sipp_msg *x, uint8_t id)
{
	switch (id) {
	case SIP_HDR_FROM:
		buf_str(b, STR("[last_From:]\n"));
		return true;
	case SIP_HDR_TO:
		buf_str(b, STR("[last_To:]"));
		if (x->adds_tag) {
			buf_str(b, STR(";tag="));
			buf_str(b, own_tag(s));
		}
		buf_chr(b, '\n');
		return true;
	case SIP_HDR_CALL_ID:
		buf_str(b, STR("[last_Call-ID:]\n"));
		return true;
	case SIP_HDR_CSEQ:
		buf_str(b, x->via == SIPP_VIA_KEPT ? STR("CSeq: [$cseq] INVITE\n")
						   : STR("[last_CSeq:]\n"));
		return true;
	case SIP_HDR_RECORD_ROUTE:
		return true; /* put beside the Via */
	default:
		return false;
	}
}

/* The same of a request. */
static bool put_dialog(struct buf *b, const struct sipp_side *s, const struct sipp_msg *x,
		       uint8_t id, struct str value)
{
	bool is_caller = s->side == TRK_SIDE_CALLER;
	struct buf tag;
	char mem[64];
	switch (id) {
	case SIP_HDR_FROM:
		buf_init_fixed(&tag, mem, sizeof mem);
		buf_str(&tag, STR(";tag="));
		buf_str(&tag, own_tag(s));
		if (is_caller) {
			buf_str(b, STR("From: "));
			put_party(b, s, value, buf_view(&tag));
		} else {
			buf_str(b, STR("From:[$to]"));
			buf_str(b, buf_view(&tag));
		}
		break;
	case SIP_HDR_TO:
		if (x->to_refusal) {
			buf_str(b, STR("[last_To:]"));
		} else if (is_caller) {
			buf_str(b, STR("To: "));
			put_party(b, s, value, x->m->to_tag.n ? STR("[peer_tag_param]") : STR_NONE);
		} else {
			buf_str(b, STR("To:[$from]"));
		}
		break;
	case SIP_HDR_CALL_ID:
		buf_str(b, STR("Call-ID: [call_id]"));
		break;
	case SIP_HDR_ROUTE:
		if (x->in_dialog)
			return true; /* [routes] */
		buf_str(b, STR("Route: "));
		put_mapped(b, s, value);
		break;
	case SIP_HDR_RECORD_ROUTE:
		return true;
	default:
		return false;
	}
	buf_chr(b, '\n');
	return true;
}

static void put_header(struct buf *b, const struct sipp_side *s, const struct sipp_msg *x,
		       const struct sip_row *r, struct buf *mem)
{
	struct str value = unfold(sip_row_value(x->m, r), mem);
	if (r->id == SIP_HDR_VIA || r->id == SIP_HDR_CONTENT_LENGTH)
		return; /* beside the start line; at the end */
	if (x->m->is_request ? put_dialog(b, s, x, r->id, value) : put_echo(b, s, x, r->id))
		return;
	if (r->id == SIP_HDR_AUTHORIZATION || r->id == SIP_HDR_PROXY_AUTHORIZATION) {
		put_credentials(b, value);
		buf_chr(b, '\n');
		return;
	}
	sipp_escape(b, sip_row_name(x->m, r));
	buf_str(b, STR(": "));
	if (r->id == SIP_HDR_CONTACT)
		put_contact(b, s, value);
	else if (r->id == SIP_HDR_RACK)
		put_rack(b, value);
	else
		put_mapped(b, s, value);
	buf_chr(b, '\n');
}

/* --- bodies ----------------------------------------------------------------------------------- */

/* o= and c=: the last word is the address. That of hold stays. [RFC8866 5.2, 5.7] */
static void put_sdp_address(struct buf *b, struct str line)
{
	size_t at = line.n;
	while (at && line.p[at - 1] != ' ')
		at--;
	struct str host = str_skip(line, at), mark = STR(" IN IP");
	struct addr a;
	size_t in = str_find(line, mark);
	if (in == SIZE_MAX && line.p[0] == 'c' && str_starts(line, STR("c=IN IP")))
		in = 1;
	if (in == SIZE_MAX || (addr_parse(host, 0, &a) && addr_is_any(&a))) {
		sipp_escape(b, line);
		return;
	}
	sipp_escape(b, str_sub(line, 0, in));
	buf_str(b, in == 1 ? STR("=") : STR(" "));
	buf_str(b, STR("IN IP[media_ip_type] [media_ip]"));
}

/* m=audio PORT ...: SIPp's port, two apart for each further medium; 0 refuses and stays. */
static void put_sdp_medium(struct buf *b, struct str line, unsigned *n_media)
{
	struct str rest, after;
	struct str kind = str_cut(line, ' ', &rest);
	struct str port = str_cut(rest, ' ', &after);
	sipp_escape(b, kind);
	buf_chr(b, ' ');
	if (str_eq(port, STR("0")))
		buf_chr(b, '0');
	else if (*n_media)
		buf_fmt(b, "[media_port+%u]", 2 * *n_media);
	else
		buf_str(b, STR("[media_port]"));
	buf_chr(b, ' ');
	sipp_escape(b, after);
	++*n_media;
}

static void put_sdp(struct buf *b, struct str body)
{
	unsigned n_media = 0;
	while (body.n) {
		struct str line = str_cut(body, '\n', &body);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (str_starts(line, STR("o=")) || str_starts(line, STR("c=")))
			put_sdp_address(b, line);
		else if (str_starts(line, STR("m=")))
			put_sdp_medium(b, line, &n_media);
		else
			sipp_escape(b, line);
		buf_chr(b, '\n');
	}
}

static void put_body(struct buf *b, const struct sip_msg *m)
{
	struct str rest = m->body;
	if (sip_media_type_is(sip_value(m, SIP_HDR_CONTENT_TYPE), STR("application"), STR("sdp"))) {
		put_sdp(b, rest);
		return;
	}
	while (rest.n) {
		struct str line = str_cut(rest, '\n', &rest);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		sipp_escape(b, line);
		buf_chr(b, '\n');
	}
}

void sipp_message(struct buf *b, const struct sipp_side *s, const struct sipp_msg *x)
{
	const struct sip_msg *m = x->m;
	struct buf mem;
	buf_init(&mem);
	if (m->is_request) {
		sipp_escape(b, m->method_name);
		buf_chr(b, ' ');
		if (x->in_dialog)
			buf_str(b, STR("[next_url]"));
		else
			put_mapped(b, s, m->ruri);
		buf_str(b, STR(" SIP/2.0\n"));
	} else {
		buf_fmt(b, "SIP/2.0 %u ", m->status);
		sipp_escape(b, m->reason);
		buf_chr(b, '\n');
	}
	put_via(b, x);
	if (!m->is_request && sip_has(m, SIP_HDR_RECORD_ROUTE))
		buf_str(b, STR("[last_Record-Route:]\n"));
	for (unsigned i = 0; i < m->n_rows; i++)
		put_header(b, s, x, sip_row(m, i), &mem);
	buf_str(b, STR("Content-Length: [len]\n\n"));
	put_body(b, m);
	if (mem.err && !b->err)
		b->err = mem.err;
	buf_fini(&mem);
}
