/* Reading a session description: one pass over the lines.
 *
 * Each line becomes a row {type, attribute, offsets}; what everybody asks for (ports, addresses,
 * direction, RTCP, presence of keys) is gathered into `struct sdp_media` on the way; the rest is
 * looked up in the rows when asked. Nothing is copied or allocated.
 *
 * Scope of a line: before the first m= line it belongs to the session and is a default for all
 * media (connection, direction, fingerprint, ICE); after one, to that media alone [RFC8866 5.7,
 * 5.13]. Session lines come first by construction, so a media can take over the defaults when its
 * m= line is read, and is finished when the next one (or the end) comes: only then is it known
 * which address its RTCP port goes with.
 *
 * Invariants
 *  1. Rows are in the order of the text; those of media i are lines[media[i].line] and the
 *     n_lines - 1 after it; rows before the first m= line are the session's.
 *  2. Every {off, len} lies inside the text, which is at most 65,535 bytes.
 *  3. What cannot be read gets a diagnostic and no row; an m= line that cannot be read ends the
 *     parse, since answers count m= lines [RFC3264 6].
 *
 * Lenient: bare LF, a missing last line end, white space around '=', missing v= o= s= t= lines, any
 * order. Attribute names are compared with case, as the grammar says [RFC8866 9]. */

#include "base/assert.h"
#include "sdp/sdp.h"
#include "sdp/sdp_priv.h"

#include <string.h>

struct reader {
	struct sdp *s;
	struct sdp_media *m; /* the present one, NULL in the session part */
	unsigned order;      /* rank of the last line's type */
	uint32_t once;       /* types seen in this section, bit by letter */
	bool has_fingerprint, has_ice, has_dir;
	uint64_t rtpmaps[2]; /* payload types with an rtpmap, of this media */
	bool has_rtcp_addr;
	bool is_skipped; /* a media beyond the bound: its lines are left out */
};

static void diag(struct sdp *s, enum sdp_diag_code code, const char *at)
{
	if (s->n_diags < SDP_MAX_DIAGS)
		s->diags[s->n_diags++] =
			(struct sdp_diag){(uint16_t)code, (uint16_t)(at - s->text.p)};
}

/* --- single values -------------------------------------------------------------------------- */

struct str sdp_word(struct str *s)
{
	while (s->n && (s->p[0] == ' ' || s->p[0] == '\t'))
		*s = str_skip(*s, 1);
	size_t n = 0;
	while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	struct str w = str_sub(*s, 0, n);
	*s = str_skip(*s, n);
	return w;
}

/* "IN IP4 192.0.2.1/127" [RFC8866 5.7]. The address type is not trusted: the address tells. */
static bool read_conn(struct str v, struct sdp_conn *out)
{
	struct str net = sdp_word(&v), type = sdp_word(&v), rest;
	struct str host = str_cut(sdp_word(&v), '/', &rest);
	if (!str_ieq(net, STR("IN")) || !str_istarts(type, STR("IP")) || host.n == 0)
		return false;
	*out = (struct sdp_conn){.host = host};
	if (!addr_parse(host, 0, &out->addr) || out->addr.port)
		out->addr = (struct addr){0};
	return true;
}

/* Decimal, saturating: an o= line may have more digits than 64 bits hold. */
static uint64_t read_number(struct str s)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		uint64_t digit = (uint64_t)(s.p[i] - '0');
		v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
	}
	return v;
}

static bool read_origin(struct sdp *s, struct str v)
{
	s->origin.user = sdp_word(&v);
	s->origin.id_text = sdp_word(&v);
	s->origin.version_text = sdp_word(&v);
	s->origin.id = read_number(s->origin.id_text);
	s->origin.version = read_number(s->origin.version_text);
	sdp_word(&v);
	sdp_word(&v);
	s->origin.host = sdp_word(&v);
	return s->origin.host.n > 0;
}

/* --- attributes ----------------------------------------------------------------------------- */

static const struct str attr_names[SDP_A__N] = {
#define SDP_ATTR(id, name, rfc) [SDP_A_##id] = STR_INIT(name),
#include "sdp/attrs.def"
#undef SDP_ATTR
};

static enum sdp_attr find_attr(struct str name)
{
	if (name.n == 0)
		return SDP_A_OTHER;
	for (int a = SDP_A_OTHER + 1; a < SDP_A__N; a++)
		if (attr_names[a].n == name.n && attr_names[a].p[0] == name.p[0] &&
		    str_eq(attr_names[a], name))
			return (enum sdp_attr)a;
	return SDP_A_OTHER;
}

static void take_dir(struct reader *r, enum sdp_dir dir, const char *at)
{
	if (r->has_dir)
		diag(r->s, SDP_DIAG_TWO_DIRECTIONS, at);
	r->has_dir = true;
	if (r->m)
		r->m->dir = (uint8_t)dir;
	else
		r->s->dir = (uint8_t)dir;
}

/* "53020" or "53020 IN IP4 192.0.2.1" [RFC3605 2.1]. */
static bool take_rtcp(struct reader *r, struct str v)
{
	uint32_t port;
	struct sdp_conn c;
	if (!str_u32(sdp_word(&v), &port) || port > 65535)
		return false;
	r->m->rtcp.port = (uint16_t)port;
	v = str_trim(v);
	if (v.n == 0)
		return true;
	if (!read_conn(v, &c))
		return false;
	r->has_rtcp_addr = true;
	c.addr.port = r->m->rtcp.port;
	r->m->rtcp = c.addr;
	return true;
}

/* ptime may be written "20.0" or "20 " by some: the whole milliseconds count. */
static bool take_ms(struct str v, uint32_t *out)
{
	struct str rest;
	return str_u32(str_trim(str_cut(v, '.', &rest)), out);
}

static bool take_rtpmap(struct reader *r, struct str v)
{
	struct sdp_fmt f;
	if (!sdp_rtpmap_read(v, &f))
		return false;
	r->rtpmaps[f.pt >> 6] |= UINT64_C(1) << (f.pt & 63);
	return true;
}

/* Attributes of a media alone. */
static bool take_media_attr(struct reader *r, enum sdp_attr a, struct str v)
{
	struct sdp_media *m = r->m;
	switch (a) {
	case SDP_A_RTPMAP:
		return take_rtpmap(r, v);
	case SDP_A_RTCP:
		return take_rtcp(r, v);
	case SDP_A_PTIME:
		return take_ms(v, &m->ptime_ms);
	case SDP_A_MAXPTIME:
		return take_ms(v, &m->maxptime_ms);
	case SDP_A_RTCP_MUX:
		m->has_rtcp_mux = true;
		return true;
	case SDP_A_CRYPTO:
		m->has_crypto = true;
		return true;
	case SDP_A_FINGERPRINT:
		m->has_fingerprint = true;
		return true;
	case SDP_A_ICE_UFRAG:
		m->has_ice = true;
		return true;
	default:
		return true;
	}
}

static void take_attr(struct reader *r, struct sdp_line *l, struct str v)
{
	struct str value, name = str_cut(v, ':', &value);
	l->name_len = (uint16_t)name.n;
	l->attr = (uint8_t)find_attr(name);
	switch (l->attr) {
	case SDP_A_SENDRECV:
		take_dir(r, SDP_SENDRECV, v.p);
		return;
	case SDP_A_SENDONLY:
		take_dir(r, SDP_SENDONLY, v.p);
		return;
	case SDP_A_RECVONLY:
		take_dir(r, SDP_RECVONLY, v.p);
		return;
	case SDP_A_INACTIVE:
		take_dir(r, SDP_INACTIVE, v.p);
		return;
	default:
		break;
	}
	if (r->m) {
		if (!take_media_attr(r, (enum sdp_attr)l->attr, value))
			diag(r->s,
			     l->attr == SDP_A_RTPMAP ? SDP_DIAG_BAD_RTPMAP : SDP_DIAG_BAD_ATTR,
			     v.p);
		return;
	}
	r->has_fingerprint |= l->attr == SDP_A_FINGERPRINT;
	r->has_ice |= l->attr == SDP_A_ICE_UFRAG;
}

/* --- media ---------------------------------------------------------------------------------- */

static void check_formats(struct reader *r)
{
	struct str rest = r->m->fmts, f;
	while (f = sdp_word(&rest), f.n) {
		uint8_t pt = sdp_pt(f);
		struct sdp_fmt unused;
		if (pt == SDP_PT_NONE)
			diag(r->s, SDP_DIAG_BAD_FORMAT, f.p);
		else if (!(r->rtpmaps[pt >> 6] >> (pt & 63) & 1) && !sdp_static_pt(pt, &unused))
			diag(r->s, SDP_DIAG_NO_RTPMAP, f.p);
	}
}

/* All lines of the present media are read. */
static void end_media(struct reader *r)
{
	struct sdp_media *m = r->m;
	if (!m)
		return;
	m->n_lines = (uint16_t)(r->s->n_lines - m->line);
	if (m->conn.host.n == 0 && m->port)
		diag(r->s, SDP_DIAG_NO_CONNECTION, m->type_text.p);
	uint16_t port = m->rtcp.port ? m->rtcp.port : m->port && m->port < 65535 ? m->port + 1 : 0;
	if (!r->has_rtcp_addr)
		m->rtcp = m->conn.addr;
	m->rtcp.port = port;
	m->is_hold = !(m->dir & SDP_RECVONLY) ||
		     (m->conn.addr.family != ADDR_NONE && addr_is_any(&m->conn.addr));
	/* the formats of a refused media are there for the grammar only [RFC3264 6] */
	if (m->port && (sdp_proto_flags((enum sdp_proto)m->proto) & SDP_PF_RTP))
		check_formats(r);
	r->m = NULL;
}

static uint8_t find_type(struct str s)
{
	static const struct str names[] = {
		[SDP_AUDIO] = STR_INIT("audio"),     [SDP_VIDEO] = STR_INIT("video"),
		[SDP_TEXT] = STR_INIT("text"),       [SDP_APPLICATION] = STR_INIT("application"),
		[SDP_MESSAGE] = STR_INIT("message"), [SDP_IMAGE] = STR_INIT("image"),
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_ieq(s, names[i]))
			return (uint8_t)i;
	return SDP_OTHER;
}

/* "audio 49170/2 RTP/AVP 0 8" [RFC8866 5.14]. */
static enum err take_media(struct reader *r, struct str v)
{
	struct sdp *s = r->s;
	end_media(r);
	struct str type = sdp_word(&v), ports = sdp_word(&v), proto = sdp_word(&v), count;
	struct str port_text = str_cut(ports, '/', &count);
	uint32_t port, n_ports = 1;
	if (type.n == 0 || proto.n == 0 || !str_u32(port_text, &port))
		return ERR_SYNTAX;
	if (port > 65535 || (count.n && (!str_u32(count, &n_ports) || n_ports > 65535))) {
		diag(s, SDP_DIAG_BAD_PORT, port_text.p);
		port = n_ports = 0;
	}
	r->once = 0;
	r->has_dir = r->has_rtcp_addr = false;
	r->rtpmaps[0] = r->rtpmaps[1] = 0;
	r->is_skipped = s->n_media == SDP_MAX_MEDIA;
	if (r->is_skipped) {
		diag(s, SDP_DIAG_LIMIT, type.p);
		return OK;
	}
	r->m = &s->media[s->n_media++];
	*r->m = (struct sdp_media){
		.type_text = type,
		.proto_text = proto,
		.fmts = str_trim(v),
		.type = find_type(type),
		.proto = (uint8_t)sdp_proto_find(proto),
		.dir = s->dir,
		.port = (uint16_t)port,
		.n_ports = (uint16_t)n_ports,
		.conn = s->conn,
		.has_fingerprint = r->has_fingerprint,
		.has_ice = r->has_ice,
		.line = s->n_lines,
	};
	return OK;
}

/* --- lines ---------------------------------------------------------------------------------- */

/* Rank of a line type in the grammar's order, 0 when unknown. r= and z= follow t= [RFC8866 5]. */
static unsigned rank_of(char type, bool is_media)
{
	static const char session[] = "vosiuepcbtrzka", media[] = "micbka";
	const char *order = is_media ? media : session;
	const char *at = memchr(order, type, strlen(order));
	if (!at)
		return 0;
	return type == 'r' || type == 'z' ? rank_of('t', is_media) : (unsigned)(at - order) + 1;
}

static void check_place(struct reader *r, char type, const char *at)
{
	unsigned rank = rank_of(type, r->m != NULL);
	if (rank == 0 || rank < r->order)
		diag(r->s, SDP_DIAG_BAD_ORDER, at);
	r->order = rank;
	if (memchr("vosiuk", type, 6)) {
		uint32_t bit = 1u << (type - 'a');
		if (r->once & bit)
			diag(r->s, SDP_DIAG_DUPLICATE, at);
		r->once |= bit;
	}
}

static void take_conn(struct reader *r, struct str v)
{
	struct sdp_conn c;
	if (!read_conn(v, &c))
		diag(r->s, SDP_DIAG_BAD_CONNECTION, v.p);
	else if (r->m)
		r->m->conn = c;
	else
		r->s->conn = c;
}

static void take_session_line(struct reader *r, char type, struct str v)
{
	struct sdp *s = r->s;
	switch (type) {
	case 'v':
		if (!str_eq(v, STR("0")))
			diag(s, SDP_DIAG_BAD_VERSION, v.p);
		break;
	case 'o':
		if (!read_origin(s, v))
			diag(s, SDP_DIAG_BAD_ORIGIN, v.p);
		break;
	case 's':
		s->name = v;
		if (v.n == 0)
			diag(s, SDP_DIAG_EMPTY_NAME, v.p);
		break;
	default:
		break;
	}
}

/* One line with a type, a '=' and a value. */
static enum err take_line(struct reader *r, char type, struct str v)
{
	struct sdp *s = r->s;
	enum err e = OK;
	if (type == 'm') {
		e = take_media(r, v);
		r->order = 1;
	} else if (!r->is_skipped) {
		check_place(r, type, v.p);
	}
	if (e || r->is_skipped)
		return e;
	if (s->n_lines == SDP_MAX_LINES) {
		diag(s, SDP_DIAG_LIMIT, v.p);
		return OK;
	}
	struct sdp_line *l = &s->lines[s->n_lines++];
	*l = (struct sdp_line){
		.type = type, .off = (uint16_t)(v.p - s->text.p), .len = (uint16_t)v.n};
	if (type == 'c')
		take_conn(r, v);
	else if (type == 'a')
		take_attr(r, l, v);
	else if (!r->m)
		take_session_line(r, type, v);
	if (!r->m)
		s->n_session_lines = s->n_lines;
	return OK;
}

/* One line without its line end: takes it apart. */
static enum err read_line(struct reader *r, struct str line)
{
	struct sdp *s = r->s;
	struct str left = str_skip(line, 1);
	while (left.n && left.p[0] == ' ')
		left = str_skip(left, 1);
	if (line.n == 0 || left.n == 0 || left.p[0] != '=') {
		if (s->n_lines == 0)
			return ERR_SYNTAX;
		diag(s, SDP_DIAG_BAD_LINE, line.p);
		return OK;
	}
	char type = line.p[0];
	if (!memchr("vosiuepcbtrzkam", type, 15)) {
		diag(s, SDP_DIAG_UNKNOWN_TYPE, line.p);
		return OK;
	}
	struct str v = str_skip(left, 1);
	bool is_text = type == 's' || type == 'i';
	if (left.p != line.p + 1 || (!is_text && v.n && v.p[0] == ' ')) {
		diag(s, SDP_DIAG_SPACE_AT_EQUALS, line.p);
		while (v.n && v.p[0] == ' ')
			v = str_skip(v, 1);
	}
	if (type != 'v' && s->n_lines == 0)
		diag(s, SDP_DIAG_NO_VERSION, line.p);
	return take_line(r, type, v);
}

static void check_whole(struct sdp *s, uint32_t seen)
{
	if (!(seen & 1u << ('o' - 'a')))
		diag(s, SDP_DIAG_NO_ORIGIN, s->text.p);
	if (!(seen & 1u << ('s' - 'a')))
		diag(s, SDP_DIAG_NO_NAME, s->text.p);
	for (unsigned i = 0; i < s->n_session_lines; i++)
		if (s->lines[i].type == 't')
			return;
	diag(s, SDP_DIAG_NO_TIMING, s->text.p);
}

enum err sdp_parse(struct str text, struct sdp *out)
{
	if (text.n > 65535)
		return ERR_LIMIT;
	/* the tables are not cleared: their counts say what is valid */
	memset(out, 0, offsetof(struct sdp, media));
	out->text = text;
	out->dir = SDP_SENDRECV;
	struct reader r = {.s = out};
	bool has_bare_lf = false;
	uint32_t session_once = 0;
	size_t at = 0;
	while (at < text.n) {
		const char *lf = memchr(text.p + at, '\n', text.n - at);
		size_t end = lf ? (size_t)(lf - text.p) : text.n;
		struct str line = str_sub(text, at, end - at);
		bool has_cr = line.n && line.p[line.n - 1] == '\r';
		if (!lf)
			diag(out, SDP_DIAG_NO_LAST_EOL, line.p);
		else if (!has_cr && !has_bare_lf)
			diag(out, SDP_DIAG_BARE_LF, lf);
		has_bare_lf |= lf && !has_cr;
		line.n -= has_cr;
		enum err e = read_line(&r, line);
		if (e)
			return e;
		if (out->n_media == 0)
			session_once = r.once;
		at = end + 1;
	}
	end_media(&r);
	if (out->n_lines == 0)
		return ERR_SYNTAX;
	check_whole(out, session_once);
	return OK;
}
