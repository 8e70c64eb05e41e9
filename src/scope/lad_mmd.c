/* The ladder as a Mermaid sequence diagram, for wikis and tickets that draw it.
 *
 * Mermaid's grammar gives meaning to many characters of a text (`;` ends the line, `#` begins an
 * entity, `%%` a comment), and words such as "end" or "style" to some of its versions. So letters,
 * digits and a few marks go out as they are, everything else as the entity `#code;`. What a peer
 * wrote can thus be nothing but text.
 *
 * A request is `->>`, a response `-->>`, one that failed `--x`, media `-)`; what is not drawn (the
 * verdict, absent media, retransmissions against their timers, what is against an RFC) are notes.
 */
#include "scope/lad_priv.h"

static void put_text(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n;) {
		uint32_t c = lad_code_point(s, &i);
		bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
				(c >= 'a' && c <= 'z') || c == ' ' || c == '.' || c == ',' ||
				c == '_' || c == '-' || c == '=' || c == '?' || c == '(' ||
				c == ')' || c == '/' || c == '+';
		if (is_plain)
			buf_chr(b, (char)c);
		else
			buf_fmt(b, "#%u;", c);
	}
}

static void put_buf(struct buf *b, struct buf *text)
{
	put_text(b, buf_view(text));
	if (text->err)
		b->err = text->err;
	buf_clear(text);
}

static void put_over(struct buf *b, unsigned from, unsigned to)
{
	unsigned left = from < to ? from : to, right = from < to ? to : from;
	buf_fmt(b, "    Note over h%u", left);
	if (right > left)
		buf_fmt(b, ",h%u", right);
	buf_str(b, STR(": "));
}

static void put_findings(struct buf *b, const struct sheet *s, struct buf *text)
{
	for (size_t k = 0; k < s->n_legs; k++) {
		const struct vrd *v = s->legs[k].v;
		for (unsigned i = 0; v && i < v->n; i++) {
			if (i)
				buf_fmt(text, "%s: ",
					vrd_severity_name((enum vrd_severity)v->f[i].severity));
			else {
				vrd_put_parties(text, s->legs[k].call, false);
				buf_str(text, STR(": "));
			}
			buf_plain(text, v->f[i].text);
			put_over(b, 0, s->n_lanes - 1);
			put_buf(b, text);
			buf_chr(b, '\n');
		}
	}
}

static void put_row(struct buf *b, const struct sheet *s, const struct sheet_row *r,
		    struct buf *text)
{
	const char *arrow = r->band                   ? "-)"
			    : r->tone == TONE_REQUEST ? "->>"
			    : r->tone == TONE_ERROR   ? "--x"
						      : "-->>";
	if (r->band && r->band->is_absent) {
		put_over(b, r->from, r->to);
		buf_str(text, STR("no RTP from "));
		sheet_put_host(text, &s->lanes[r->from]);
	} else {
		buf_fmt(b, "    h%u%sh%u: ", r->from, arrow, r->to);
		buf_fmt(text, "%.3f  ", (double)(r->at_us - s->first_us) / 1e6);
		sheet_put_row(text, s, r, 0);
	}
	put_buf(b, text);
	buf_chr(b, '\n');
	struct str diags = sheet_row_diags(s, r);
	while (diags.n) {
		put_over(b, r->from, r->to);
		buf_str(text, str_cut(diags, '\n', &diags));
		put_buf(b, text);
		buf_chr(b, '\n');
	}
}

void lad_put_mermaid(struct buf *b, const struct sheet *s)
{
	struct buf text;
	buf_init(&text);
	buf_str(b, STR("sequenceDiagram\n"));
	for (unsigned i = 0; i < s->n_lanes; i++) {
		buf_fmt(b, "    participant h%u as ", i);
		if (s->lanes[i].name.n)
			buf_fmt(&text, STR_FMT " ", STR_ARG(s->lanes[i].name));
		sheet_put_host(&text, &s->lanes[i]);
		put_buf(b, &text);
		buf_chr(b, '\n');
	}
	if (s->n_lanes)
		put_findings(b, s, &text);
	for (size_t i = 0; i < s->n_rows; i++)
		if (!s->rows[i].original)
			put_row(b, s, &s->rows[i], &text);
	buf_fini(&text);
}
