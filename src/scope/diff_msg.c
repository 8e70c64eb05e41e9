/* Two messages compared: headers and SDP.
 *
 * Two calls never have the same Via, tags, Call-ID, nonces, dates, ports; what must differ is not
 * told. Of addresses user and host count, of the rest the text. A header that stands several times
 * is compared as one list, because proxies split and join lines.
 *
 * [RFC3261 7.3.1, 20] [RFC8866 5]
 */
#include "scope/diff_priv.h"

#include "sdp/sdp.h"
#include "sip/hdr.h"

#include <stdlib.h>

static bool must_differ(enum sip_hdr_id id, bool is_first)
{
	switch (id) {
	case SIP_HDR_FROM:
	case SIP_HDR_TO:
		return !is_first;
	case SIP_HDR_VIA:
	case SIP_HDR_CALL_ID:
	case SIP_HDR_CSEQ:
	case SIP_HDR_MAX_FORWARDS:
	case SIP_HDR_CONTENT_LENGTH:
	case SIP_HDR_DATE:
	case SIP_HDR_TIMESTAMP:
	case SIP_HDR_RSEQ:
	case SIP_HDR_RACK:
	case SIP_HDR_SESSION_ID:
	case SIP_HDR_P_CHARGING_VECTOR:
		return true;
	default:
		return false;
	}
}

/* A Contact's user is often made up for each call. */
static void put_address(struct buf *b, enum sip_hdr_id id, struct str value)
{
	struct sip_addr a;
	if (sip_addr_parse(value, &a) || a.is_star || a.uri_err) {
		buf_str(b, value);
		return;
	}
	buf_str(b, a.uri.scheme_name);
	buf_chr(b, ':');
	if (id != SIP_HDR_CONTACT) {
		buf_str(b, a.uri.user);
		buf_str(b, a.uri.user.n && a.uri.host.n ? STR("@") : STR_NONE);
	}
	buf_str(b, a.uri.host);
}

/* "Digest realm=x": nonce and response are new each time. */
static void put_auth(struct buf *b, struct str value)
{
	struct str rest, realm, scheme = str_cut(value, ' ', &rest);
	buf_str(b, scheme);
	for (struct str item; rest.n;) {
		item = str_trim(str_cut(rest, ',', &rest));
		if (!str_istarts(item, STR("realm=")) && !str_istarts(item, STR("algorithm=")) &&
		    !str_istarts(item, STR("username=")))
			continue;
		realm = item;
		buf_chr(b, ' ');
		buf_str(b, realm);
	}
}

/* All values of one header, as they are compared. */
static void put_values(struct buf *b, const struct sip_msg *m, const struct sip_row *first)
{
	unsigned flags = sip_hdr_flags((enum sip_hdr_id)first->id);
	struct sip_iter it = {0};
	struct str v;
	if (first->id == SIP_HDR_OTHER) {
		buf_str(b, sip_value_named(m, sip_row_name(m, first)));
		return;
	}
	if (!(flags & (SIP_HF_LIST | SIP_HF_ADDR))) {
		if (flags & SIP_HF_AUTH)
			put_auth(b, sip_value(m, (enum sip_hdr_id)first->id));
		else
			buf_str(b, sip_value(m, (enum sip_hdr_id)first->id));
		return;
	}
	for (bool is_first = true; sip_each(m, (enum sip_hdr_id)first->id, &it, &v);
	     is_first = false) {
		buf_str(b, is_first ? STR_NONE : STR(", "));
		if (flags & SIP_HF_ADDR)
			put_address(b, (enum sip_hdr_id)first->id, v);
		else
			buf_str(b, v);
	}
}

/* The first row of the same header in m, or NULL. */
static const struct sip_row *row_like(const struct sip_msg *m, const struct sip_msg *of,
				      const struct sip_row *r)
{
	uint16_t i = m->first[r->id];
	while (r->id == SIP_HDR_OTHER && i != SIP_ROW_NONE &&
	       !str_ieq(sip_row_name(m, sip_row(m, i)), sip_row_name(of, r)))
		i = sip_row(m, i)->next;
	return i == SIP_ROW_NONE ? NULL : sip_row(m, i);
}

static void put_line(struct buf *b, struct str *label, char sign, const struct sip_msg *m,
		     const struct sip_row *r)
{
	if (label->n) {
		buf_str(b, STR("  "));
		buf_plain(b, *label);
		buf_chr(b, '\n');
	}
	*label = STR_NONE;
	buf_fmt(b, "    %c ", sign);
	buf_plain(b, r->id == SIP_HDR_OTHER ? sip_row_name(m, r)
					    : sip_hdr_name((enum sip_hdr_id)r->id));
	buf_str(b, STR(": "));
}

static void json_header(struct buf *b, char sign, struct str name, const struct buf *x,
			const struct buf *y)
{
	bool is_in_a = sign != '+', is_in_b = sign != '-';
	buf_str(b, b->n ? STR(",") : STR_NONE);
	buf_str(b, STR("{\"header\":"));
	buf_json(b, name);
	if (is_in_a) {
		buf_str(b, STR(",\"a\":"));
		buf_json(b, buf_view(x));
	}
	if (is_in_b) {
		buf_str(b, STR(",\"b\":"));
		buf_json(b, buf_view(is_in_a ? y : x));
	}
	buf_chr(b, '}');
}

/* Headers of x, compared with y's; or only those that y has not. label NULL: as JSON. */
static void one_way(struct buf *b, struct str *label, const struct sip_msg *x,
		    const struct sip_msg *y, char sign, bool is_first)
{
	struct buf vx, vy;
	buf_init(&vx);
	buf_init(&vy);
	for (unsigned i = 0; i < x->n_rows; i++) {
		const struct sip_row *r = sip_row(x, i);
		if (must_differ((enum sip_hdr_id)r->id, is_first) || row_like(x, x, r) != r)
			continue;
		const struct sip_row *other = row_like(y, x, r);
		if (other && sign == '+')
			continue;
		buf_clear(&vx);
		buf_clear(&vy);
		put_values(&vx, x, r);
		if (other)
			put_values(&vy, y, other);
		if (vx.err || vy.err)
			b->err = ERR_NOMEM;
		if (other && str_eq(buf_view(&vx), buf_view(&vy)))
			continue;
		if (!label) {
			json_header(b, other ? '~' : sign,
				    r->id == SIP_HDR_OTHER ? sip_row_name(x, r)
							   : sip_hdr_name((enum sip_hdr_id)r->id),
				    &vx, &vy);
			continue;
		}
		put_line(b, label, other ? '~' : sign, x, r);
		buf_plain(b, buf_view(&vx));
		if (other) {
			buf_str(b, STR("  |  "));
			buf_plain(b, buf_view(&vy));
		}
		buf_chr(b, '\n');
	}
	buf_fini(&vx);
	buf_fini(&vy);
}

void diff_headers(struct buf *b, struct str label, const struct sip_msg *x, const struct sip_msg *y,
		  bool is_first)
{
	one_way(b, &label, x, y, '-', is_first);
	one_way(b, &label, y, x, '+', is_first);
}

void diff_headers_json(struct buf *b, const struct sip_msg *x, const struct sip_msg *y,
		       bool is_first)
{
	one_way(b, NULL, x, y, '-', is_first);
	one_way(b, NULL, y, x, '+', is_first);
}

/* --- SDP -------------------------------------------------------------------------------------- */

/* What matters of a description, one line for each medium. */
static void put_media(struct buf *b, const struct sdp *s)
{
	for (unsigned i = 0; i < s->n_media; i++) {
		const struct sdp_media *m = &s->media[i];
		buf_plain(b, m->type_text);
		buf_chr(b, ' ');
		buf_plain(b, m->proto_text);
		buf_str(b, STR(": "));
		sdp_print_formats(s, i, b);
		buf_fmt(b, "; %s", sdp_dir_text((enum sdp_dir)m->dir));
		if (!m->port)
			buf_str(b, STR("; refused"));
		if (m->is_hold)
			buf_str(b, STR("; on hold"));
		if (m->ptime_ms)
			buf_fmt(b, "; ptime %u", m->ptime_ms);
		buf_str(b, m->has_crypto ? STR("; SDES keys") : STR_NONE);
		buf_str(b, m->has_fingerprint ? STR("; DTLS") : STR_NONE);
		buf_str(b, m->has_ice ? STR("; ICE") : STR_NONE);
		buf_str(b, m->conn.addr.family && addr_is_private(&m->conn.addr)
				   ? STR("; at a private address")
				   : STR_NONE);
		buf_chr(b, '\n');
	}
}

static void describe(struct buf *b, struct sdp *s, const struct sip_msg *m)
{
	struct str body;
	if (sip_body_find(m, STR("application"), STR("sdp"), &body) && body.n &&
	    !sdp_parse(body, s))
		put_media(b, s);
}

static void put_side(struct buf *b, char letter, struct str text)
{
	if (!text.n)
		buf_fmt(b, "    %c none\n", letter);
	while (text.n) {
		struct str line = str_cut(text, '\n', &text);
		buf_fmt(b, "    %c " STR_FMT "\n", letter, STR_ARG(line));
	}
}

static void json_side(struct buf *b, struct str text)
{
	buf_chr(b, '[');
	for (bool is_first = true; text.n; is_first = false) {
		buf_str(b, is_first ? STR_NONE : STR(","));
		buf_json(b, str_cut(text, '\n', &text));
	}
	buf_chr(b, ']');
}

enum err diff_sdp(struct buf *b, struct str label, const struct sip_msg *x, const struct sip_msg *y)
{
	struct sdp *s = malloc(sizeof *s);
	struct buf vx, vy;
	if (!s)
		return ERR_NOMEM;
	buf_init(&vx);
	buf_init(&vy);
	describe(&vx, s, x);
	describe(&vy, s, y);
	bool is_same = str_eq(buf_view(&vx), buf_view(&vy));
	if (!is_same && !label.n) {
		buf_str(b, STR(",\"sdp\":{\"a\":"));
		json_side(b, buf_view(&vx));
		buf_str(b, STR(",\"b\":"));
		json_side(b, buf_view(&vy));
		buf_chr(b, '}');
	} else if (!is_same) {
		buf_str(b, STR("  "));
		buf_plain(b, label);
		buf_chr(b, '\n');
		put_side(b, 'A', buf_view(&vx));
		put_side(b, 'B', buf_view(&vy));
	}
	enum err e = vx.err ? vx.err : vy.err;
	buf_fini(&vx);
	buf_fini(&vy);
	free(s);
	return e;
}
