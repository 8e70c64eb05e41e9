/* Building messages. Straight-line code: every call appends to the buffer, whose error is sticky,
 * and sip_out_end tells. Values are checked for line breaks that are no folds, so that nothing that
 * comes from outside (a display name, a URI) can add a header or end the header section.
 *
 * Responses take Via, From, To, Call-ID and CSeq in the bytes of the request, in the order that
 * everybody is used to; only the topmost Via changes (received, rport) and To gets its tag.
 * [RFC3261 8.2.6.2, 18.2.1] [RFC3581 4] */

#include "sip/out.h"

#include "sip/chars.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void fail(struct sip_out *o, enum err e)
{
	if (o->b->err == OK)
		o->b->err = e;
}

/* A line break must be CRLF or LF with white space behind it. */
static bool is_folded_well(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\r' && s.p[i] != '\n')
			continue;
		if (s.p[i] == '\r')
			i++;
		if (i + 1 >= s.n || s.p[i] != '\n' || (s.p[i + 1] != ' ' && s.p[i + 1] != '\t'))
			return false;
	}
	return true;
}

static bool is_one_line(struct str s)
{
	if (!s.n || (!memchr(s.p, '\n', s.n) && !memchr(s.p, '\r', s.n)))
		return true; /* nearly always */
	return is_folded_well(s);
}

/* Appends the parts with one look at the room; a message is made of some thirty of them. */
static void put_parts(struct buf *b, const struct str *parts, unsigned n_parts)
{
	size_t n = 0;
	for (unsigned i = 0; i < n_parts; i++)
		n += parts[i].n;
	if (buf_reserve(b, n) != OK)
		return;
	char *p = b->p + b->n;
	for (unsigned i = 0; i < n_parts; i++) {
		if (parts[i].n)
			memcpy(p, parts[i].p, parts[i].n);
		p += parts[i].n;
	}
	b->n += n;
}

#define PUT(b, ...)                                                                                \
	put_parts(b, (const struct str[]){__VA_ARGS__},                                            \
		  sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))

static void put_line(struct sip_out *o, struct str name, struct str value)
{
	if (!is_one_line(value))
		fail(o, ERR_SYNTAX);
	PUT(o->b, name, STR(": "), value, STR("\r\n"));
}

void sip_out_request(struct sip_out *o, struct buf *b, struct str method, struct str ruri)
{
	o->b = b;
	if (!is_one_line(method) || !is_one_line(ruri))
		fail(o, ERR_SYNTAX);
	PUT(b, method, STR(" "), ruri, STR(" SIP/2.0\r\n"));
}

void sip_out_hdr(struct sip_out *o, enum sip_hdr_id id, struct str value)
{
	put_line(o, sip_hdr_name(id), value);
}

void sip_out_named(struct sip_out *o, struct str name, struct str value)
{
	if (!name.n || memchr(name.p, '\n', name.n) || memchr(name.p, '\r', name.n))
		fail(o, ERR_SYNTAX);
	put_line(o, name, value);
}

void sip_out_fmt(struct sip_out *o, enum sip_hdr_id id, const char *fmt, ...)
{
	buf_str(o->b, sip_hdr_name(id));
	buf_str(o->b, STR(": "));
	size_t start = o->b->n;
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(o->b, fmt, ap);
	va_end(ap);
	if (o->b->err == OK && !is_one_line(str_of(o->b->p + start, o->b->n - start)))
		fail(o, ERR_SYNTAX);
	buf_str(o->b, STR("\r\n"));
}

void sip_date_put(struct buf *b, uint64_t wall_s)
{
	char text[40];
	time_t at = (time_t)wall_s;
	struct tm tm;
	gmtime_r(&at, &tm);
	buf_put(b, text, strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm));
}

void sip_out_copy(struct sip_out *o, const struct sip_msg *m, enum sip_hdr_id id)
{
	for (unsigned i = m->first[id]; i != SIP_ROW_NONE; i = sip_row(m, i)->next) {
		const struct sip_row *r = sip_row(m, i);
		put_line(o, id == SIP_HDR_OTHER ? sip_row_name(m, r) : sip_hdr_name(id),
			 sip_row_value(m, r));
	}
}

enum err sip_out_end(struct sip_out *o, struct str content_type, struct str body)
{
	if (content_type.n)
		sip_out_hdr(o, SIP_HDR_CONTENT_TYPE, content_type);
	buf_str(o->b, STR("Content-Length: "));
	buf_u64(o->b, body.n);
	buf_str(o->b, STR("\r\n\r\n"));
	buf_str(o->b, body);
	return o->b->err;
}

/* ---- responses ---- */

struct patch { /* of the topmost Via: at `at`, `del` bytes give way to `ins` */
	const char *at;
	size_t del;
	struct str ins;
};

static bool is_source(struct str host, const struct addr *from)
{
	struct addr a;
	return addr_parse(host, 0, &a) && addr_ip_eq(&a, from);
}

/* The parameters that tell the client where its request came from: received whenever rport was
 * asked for or sent-by is something else, rport when it was asked for. A value that the client
 * wrote there itself is replaced. */
static unsigned via_patches(const struct sip_msg *req, const struct addr *from, char text[96],
			    struct patch out[2])
{
	struct str name, value, rest = req->via_params, received = STR_NONE, rport = STR_NONE;
	bool is_bare = false;
	if (!req->via_host.n || (!req->via_has_rport && is_source(req->via_host, from)))
		return 0;
	while (sip_param_next(&rest, &name, &value)) {
		if (CC_IS_WORD(name, "received")) {
			received = value;
		} else if (!rport.p && CC_IS_WORD(name, "rport")) {
			is_bare = !value.p; /* then its place is behind the name */
			rport = is_bare ? str_of(name.p + name.n, 0) : value;
		}
	}
	struct buf b;
	buf_init_fixed(&b, text, 96);
	if (!received.n)
		buf_str(&b, STR(";received="));
	addr_put_ip(&b, from);
	struct patch ip = {received.n ? received.p : req->via.p + req->via.n, received.n,
			   buf_view(&b)};
	if (!rport.p) {
		out[0] = ip;
		return 1;
	}
	size_t start = b.n;
	if (is_bare)
		buf_chr(&b, '=');
	buf_u64(&b, from->port);
	struct patch port = {rport.p, rport.n, str_of(text + start, b.n - start)};
	bool is_port_first = port.at <= ip.at; /* a bare one may stand where the other is added */
	out[is_port_first] = ip;
	out[!is_port_first] = port;
	return 2;
}

static void put_vias(struct sip_out *o, const struct sip_msg *req, const struct addr *received)
{
	char text[96];
	struct patch patches[2];
	unsigned n = received ? via_patches(req, received, text, patches) : 0;
	for (unsigned i = req->first[SIP_HDR_VIA]; i != SIP_ROW_NONE; i = sip_row(req, i)->next) {
		struct str v = sip_row_value(req, sip_row(req, i));
		const char *at = v.p;
		PUT(o->b, STR("Via: "));
		for (unsigned k = 0; k < n; k++) {
			PUT(o->b, str_of(at, (size_t)(patches[k].at - at)), patches[k].ins);
			at = patches[k].at + patches[k].del;
		}
		n = 0; /* the topmost value is in the first line */
		PUT(o->b, str_of(at, (size_t)(v.p + v.n - at)), STR("\r\n"));
	}
}

static void put_to(struct sip_out *o, const struct sip_msg *req, struct str to_tag)
{
	if (!sip_has(req, SIP_HDR_TO))
		return;
	bool is_new = to_tag.n && !req->to_tag.n;
	PUT(o->b, STR("To: "), sip_value(req, SIP_HDR_TO), is_new ? STR(";tag=") : STR_NONE,
	    is_new ? to_tag : STR_NONE, STR("\r\n"));
}

/* One line of req, the first of that header, when it has one. */
static void put_first(struct sip_out *o, const struct sip_msg *req, enum sip_hdr_id id)
{
	if (sip_has(req, id))
		put_line(o, sip_hdr_name(id), sip_value(req, id));
}

void sip_out_response(struct sip_out *o, struct buf *b, const struct sip_msg *req, unsigned status,
		      struct str reason, struct str to_tag, const struct addr *received)
{
	o->b = b;
	if (!is_one_line(reason) || !is_one_line(to_tag))
		fail(o, ERR_SYNTAX);
	const char code[] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
			     (char)('0' + status % 10)};
	PUT(b, STR("SIP/2.0 "), str_of(code, 3), STR(" "),
	    reason.n ? reason : sip_status_reason(status), STR("\r\n"));
	put_vias(o, req, received);
	put_first(o, req, SIP_HDR_FROM);
	put_to(o, req, status == 100 ? STR_NONE : to_tag);
	put_first(o, req, SIP_HDR_CALL_ID);
	put_first(o, req, SIP_HDR_CSEQ);
	if (status == 100)
		put_first(o, req, SIP_HDR_TIMESTAMP);
}

/* ---- CANCEL and ACK ---- */

static void put_like(struct sip_out *o, const struct sip_msg *sent, struct str method,
		     struct str to)
{
	sip_out_request(o, o->b, method, sent->ruri);
	sip_out_hdr(o, SIP_HDR_VIA, sent->via);
	sip_out_copy(o, sent, SIP_HDR_ROUTE);
	sip_out_hdr(o, SIP_HDR_MAX_FORWARDS, STR("70"));
	sip_out_hdr(o, SIP_HDR_FROM, sip_value(sent, SIP_HDR_FROM));
	sip_out_hdr(o, SIP_HDR_TO, to);
	sip_out_hdr(o, SIP_HDR_CALL_ID, sip_value(sent, SIP_HDR_CALL_ID));
	sip_out_fmt(o, SIP_HDR_CSEQ, "%u " STR_FMT, sent->cseq, STR_ARG(method));
}

/* Its writer's UUID, and that of who has answered where he is known by now. [RFC7989 6] */
static void put_session_id(struct sip_out *o, const struct sip_msg *sent,
			   const struct sip_msg *response)
{
	struct sip_session_id ours, theirs;
	struct str v = sip_value(sent, SIP_HDR_SESSION_ID);
	bool is_known =
		sip_session_id_parse(v, &ours) == OK && ours.has_remote &&
		sip_session_id_parse(sip_value(response, SIP_HDR_SESSION_ID), &theirs) == OK &&
		theirs.has_remote && str_eq(theirs.remote, ours.local);
	if (is_known)
		sip_out_fmt(o, SIP_HDR_SESSION_ID, STR_FMT ";remote=" STR_FMT, STR_ARG(ours.local),
			    STR_ARG(theirs.local));
	else
		put_first(o, sent, SIP_HDR_SESSION_ID);
}

enum err sip_out_cancel(struct buf *b, const struct sip_msg *invite_sent)
{
	struct sip_out o = {.b = b};
	put_like(&o, invite_sent, STR("CANCEL"), sip_value(invite_sent, SIP_HDR_TO));
	put_first(&o, invite_sent, SIP_HDR_SESSION_ID); /* the same [RFC7989 6] */
	return sip_out_end(&o, STR_NONE, STR_NONE);
}

enum err sip_out_ack_non2xx(struct buf *b, const struct sip_msg *invite_sent,
			    const struct sip_msg *response)
{
	struct sip_out o = {.b = b};
	put_like(&o, invite_sent, STR("ACK"), sip_value(response, SIP_HDR_TO));
	put_session_id(&o, invite_sent, response);
	return sip_out_end(&o, STR_NONE, STR_NONE);
}
