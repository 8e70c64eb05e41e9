/* The ladder as text: the rows of a sheet on a canvas of characters. Copies are folded into their
 * originals, times are differences to the row before: that is what one looks for.
 */
#include "scope/lad_priv.h"
#include "scope/view.h"
#include "track/trk_join.h"

#include <stdio.h>
#include <stdlib.h>

static struct str gutter(const struct sheet_row *r, bool is_first, char mem[32])
{
	struct buf b;
	buf_init_fixed(&b, mem, 32);
	char time[24] = "0.000";
	if (!is_first)
		snprintf(time, sizeof time, "+%llu.%03llu",
			 (unsigned long long)(r->delta_us / 1'000'000),
			 (unsigned long long)(r->delta_us / 1'000 % 1'000));
	buf_fmt(&b, "%9s", time);
	if (r->ev)
		buf_fmt(&b, " %5u", r->ev->frame_no);
	return buf_view(&b);
}

static enum lad_line line_of(const struct sheet_row *r)
{
	return r->ev ? LINE_SIP : r->band->is_absent ? LINE_ABSENT : LINE_RTP;
}

static void draw(struct buf *b, const struct sheet *s, const struct lad_opts *o)
{
	struct canvas *k = malloc(sizeof *k);
	struct buf text;
	bool is_first = true;
	if (!k) {
		b->err = ERR_NOMEM;
		return;
	}
	buf_init(&text);
	canvas_init(k, b, s, o);
	for (size_t i = 0; i < s->n_rows; i++) {
		const struct sheet_row *r = &s->rows[i];
		char left[32];
		if (r->original)
			continue;
		buf_clear(&text);
		sheet_put_row(&text, s, r,
			      (o->is_ascii ? SHEET_ASCII : 0) |
				      (o->hide_time ? SHEET_NO_TIMES : 0));
		canvas_arrow(k, o->hide_time ? STR_NONE : gutter(r, is_first, left), r->from, r->to,
			     buf_view(&text), line_of(r), (enum sheet_tone)r->tone);
		is_first = false;
	}
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
	free(k);
}

static struct sheet_cfg cfg_of(const struct lad_opts *o)
{
	return (struct sheet_cfg){.alias = o->alias, .arg = o->arg};
}

void lad_put_items(struct buf *b, struct trk *t, const struct lad_item *items, size_t n,
		   const struct lad_opts *o)
{
	struct sheet *s;
	struct sheet_cfg cfg = cfg_of(o);
	enum err e = sheet_of_items(t, items, n, &cfg, &s);
	if (e) {
		b->err = e;
		return;
	}
	draw(b, s, o);
	sheet_free(s);
}

/* Text in lines of at most `width` columns; the first has `first` before it, the others blanks. */
static void put_wrapped(struct buf *b, struct str s, int width, int indent)
{
	int col = indent;
	while (s.n) {
		struct str word = str_cut(s, ' ', &s);
		int n = 0;
		for (size_t i = 0; i < word.n; i++)
			n += ((unsigned char)word.p[i] & 0xc0) != 0x80;
		if (col > indent && col + 1 + n > width) {
			buf_chr(b, '\n');
			buf_fill(b, ' ', (size_t)indent);
			col = indent;
		} else if (col > indent) {
			buf_chr(b, ' ');
			col++;
		}
		buf_str(b, word);
		col += n;
	}
	buf_chr(b, '\n');
}

static void put_verdict(struct buf *b, const struct trk_call *c, const struct vrd *v,
			const struct lad_opts *o, int width)
{
	struct buf text;
	buf_init(&text);
	vrd_put_parties(&text, c, o->is_ascii);
	for (unsigned i = 0; i < v->n; i++) {
		if (i) {
			buf_clear(&text);
			buf_fmt(&text,
				"%s: ", vrd_severity_name((enum vrd_severity)v->f[i].severity));
		} else {
			buf_str(&text, STR(": "));
		}
		buf_plain(&text, v->f[i].text);
		buf_fill(b, ' ', i ? 2 : 0);
		put_wrapped(b, buf_view(&text), width, i ? 2 : 0);
	}
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
}

/* Which Call-ID, and by what it belongs to what came before it. */
static void put_call_id(struct buf *b, const struct sheet *s, const struct trk_call *c)
{
	if (s->n_legs > 1)
		buf_fmt(b, "[%u] ", c->no);
	buf_str(b, STR("Call-ID "));
	buf_plain(b, c->call_id);
	for (const struct trk_join *j = NULL; (j = trk_join_next(c, j));)
		if (j->b == c) {
			buf_str(b, STR(", "));
			view_join(b, j, c);
		}
	buf_chr(b, '\n');
}

void lad_put_sheet(struct buf *b, const struct sheet *s, const struct lad_opts *o)
{
	for (size_t i = 0; i < s->n_legs; i++) {
		if (s->legs[i].v)
			put_verdict(b, s->legs[i].call, s->legs[i].v, o, canvas_width(o));
		put_call_id(b, s, s->legs[i].call);
	}
	draw(b, s, o);
}

void lad_put(struct buf *b, struct trk *t, const struct trk_call *c, const struct vrd *v,
	     const struct lad_opts *o)
{
	struct sheet *s;
	struct sheet_leg leg = {c, v};
	struct sheet_cfg cfg = cfg_of(o);
	enum err e = sheet_new(t, &leg, 1, &cfg, &s);
	if (e) {
		b->err = e;
		return;
	}
	lad_put_sheet(b, s, o);
	sheet_free(s);
}
