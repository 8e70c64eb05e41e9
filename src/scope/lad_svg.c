/* The ladder as SVG: one document that a browser shows, a ticket carries, Inkscape edits.
 *
 *	title, verdict and findings
 *	time   frame       host          host          host
 *	+0.061    12    (1) │── INVITE ──►│             │
 *
 * Text stays text. There are no scripts, no fonts of our own and no references: nothing is loaded.
 * Colours are classes, with a second style for dark screens (a style sheet of its own, so that a
 * reader that knows no media queries loses only that one) and a third for paper. What a colour says
 * is also said by the line: requests have a filled head, responses an open one, provisional
 * responses are dashed, failures begin with a cross; absent media is an empty dashed band. The
 * whole sentence about a row is its <title>, which browsers show under the pointer.
 *
 * Widths of text are estimated: no font is measured, so lanes are a little wider than they need be.
 *
 * Invariant: everything from a peer passes put_xml, which leaves neither markup nor characters that
 * XML forbids.
 */
#include "scope/lad_priv.h"

#include "scope/view.h"

#include <stdlib.h>

#define MARGIN   28
#define GUTTER   150 /* times and frames, left of the first lane's head */
#define MIN_GAP  190
#define MAX_GAP  300
#define MIN_HEAD 140
#define HEAD_H   44
#define ROW_H    34
#define LINE_H   15 /* between lines of a label */
#define MAX_LINE 6

struct pen {
	struct buf *b;
	const struct sheet *s;
	int gap, head; /* between lanes; width of a host's box */
	int width, y;
	int *row_y; /* where each row's arrow is; of a copy: its original's */
};

static const char style[] =
	"text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;"
	"font-size:12.5px;fill:#1c2026}"
	".bg{fill:#fff}.title{font-size:17px;font-weight:600}.soft,.num{fill:#5c6570}"
	".num,.addr{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:11.5px}"
	".lane{stroke:#c3c9d1;stroke-width:1}.head{fill:#f3f5f8;stroke:#c3c9d1}.host{font-weight:"
	"600}"
	".halo{stroke:#fff;stroke-width:5;stroke-linejoin:round;paint-order:stroke}"
	".wait{font-weight:600;fill:#1c2026}"
	".l{fill:none;stroke-width:1.6}.a1{stroke-dasharray:5 4}.a3{stroke-dasharray:9 3 2 3}"
	".request{stroke:#0b57a4}.r1xx{stroke:#5b6470}.r2xx{stroke:#1a7f37}.r3xx{stroke:#8a5a00}"
	".error{stroke:#c01f2e}.media{stroke:#7a3ea8}"
	".full{stroke-width:0}.full.request{fill:#0b57a4}"
	"text.request{stroke:none;fill:#0b57a4}text.r1xx{stroke:none;fill:#4b545f}"
	"text.r2xx{stroke:none;fill:#1a7f37}text.r3xx{stroke:none;fill:#8a5a00}"
	"text.error{stroke:none;fill:#c01f2e;font-weight:600}text.media{stroke:none;fill:#7a3ea8}"
	".band{fill:#7a3ea8;fill-opacity:.22;stroke:#7a3ea8;stroke-width:1}"
	".none{fill:none;stroke:#7a3ea8;stroke-width:1.3;stroke-dasharray:3 4}"
	".badge{fill:#1c2026}.badge-n{fill:#fff;font-size:10px;font-weight:700;text-anchor:middle}"
	".ok{fill:#1a7f37}.note{fill:#5b6470}.warning{fill:#8a5a00}.fault{fill:#c01f2e}"
	".m{text-anchor:middle}.e{text-anchor:end}";

static const char style_dark[] =
	"@media screen and (prefers-color-scheme:dark){text{fill:#e6e8eb}.bg{fill:#15181c}"
	".soft,.num{fill:#9aa4b0}.lane{stroke:#414954}.head{fill:#20252b;stroke:#414954}"
	".halo{stroke:#15181c}.wait{fill:#e6e8eb}"
	".request{stroke:#7ab7ff}.r1xx{stroke:#a3adba}.r2xx{stroke:#5fd07f}.r3xx{stroke:#e0b050}"
	".error{stroke:#ff8a8f}.media{stroke:#cfa2f5}.full.request{fill:#7ab7ff}"
	"text.request{fill:#7ab7ff}text.r1xx{fill:#a3adba}text.r2xx{fill:#5fd07f}"
	"text.r3xx{fill:#e0b050}text.error{fill:#ff8a8f}text.media{fill:#cfa2f5}"
	".band{fill:#cfa2f5;stroke:#cfa2f5}.none{stroke:#cfa2f5}"
	".badge{fill:#e6e8eb}.badge-n{fill:#15181c}"
	".ok{fill:#5fd07f}.note{fill:#a3adba}.warning{fill:#e0b050}.fault{fill:#ff8a8f}}";

static const char style_print[] = "@media print{.bg{fill:none}}";

/* --- text ------------------------------------------------------------------------------------- */

static void put_xml(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n;) {
		uint32_t c = lad_code_point(s, &i);
		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
			buf_fmt(b, "&#%u;", c);
		else
			lad_put_utf8(b, c);
	}
}

/* Width at 12.5 px of a proportional font, rather too much than too little. */
static int text_width(struct str s)
{
	int tenths = 0;
	for (size_t i = 0; i < s.n;) {
		uint32_t c = lad_code_point(s, &i);
		if (c < 0x80 && str_chr(STR("ijlIt.,:;|!'()[] f"), (char)c) != SIZE_MAX)
			tenths += 45;
		else if (c == 'W' || c == 'M' || c == 'm' || c == 'w' || c == '@')
			tenths += 115;
		else
			tenths += (c >= 'A' && c <= 'Z') || c >= 0x2e80 ? 90 : 74;
	}
	return tenths / 10;
}

/* Breaks s into lines of at most `width` pixels, between words. */
static unsigned wrap(struct str s, int width, struct str lines[MAX_LINE])
{
	unsigned n = 0;
	while (s.n && n < MAX_LINE) {
		size_t end = 0, at = 0;
		while (at < s.n) {
			size_t space = str_chr(str_skip(s, at), ' ');
			size_t next = space == SIZE_MAX ? s.n : at + space;
			if (end && text_width(str_sub(s, 0, next)) > width && n + 1 < MAX_LINE)
				break;
			end = next;
			at = next + 1;
		}
		lines[n++] = str_sub(s, 0, end);
		s = str_trim(str_skip(s, end));
	}
	return n;
}

static void put_line(struct pen *p, const char *class, int x, int y, struct str s)
{
	buf_fmt(p->b, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y);
	put_xml(p->b, s);
	buf_str(p->b, STR("</text>\n"));
}

static int lane_x(const struct pen *p, unsigned lane)
{
	return MARGIN + GUTTER + 16 + p->head / 2 + (int)lane * p->gap;
}

/* --- head ------------------------------------------------------------------------------------- */

static void put_wrapped(struct pen *p, const char *class, int x, struct str s)
{
	struct str lines[MAX_LINE];
	unsigned n = wrap(s, p->width - x - MARGIN, lines);
	for (unsigned i = 0; i < n; i++, p->y += 18)
		put_line(p, class, x, p->y, lines[i]);
}

static void put_badge(struct pen *p, int x, int y, unsigned n)
{
	buf_fmt(p->b,
		"<circle class=\"badge\" cx=\"%d\" cy=\"%d\" r=\"8\"/>"
		"<text class=\"badge-n\" x=\"%d\" y=\"%d\">%u</text>\n",
		x, y - 4, x, y, n);
}

static void put_leg(struct pen *p, const struct sheet_leg *leg)
{
	struct buf text;
	buf_init(&text);
	vrd_put_parties(&text, leg->call, false);
	p->y += 24;
	put_line(p, "title", MARGIN, p->y, buf_view(&text));
	p->y += 22;
	for (unsigned i = 0; leg->v && i < leg->v->n; i++) {
		const struct vrd_finding *f = &leg->v->f[i];
		const char *severity = vrd_severity_name((enum vrd_severity)f->severity);
		buf_clear(&text);
		if (f->severity > VRD_OK)
			buf_fmt(&text, "%s: ", severity);
		buf_plain(&text, f->text);
		put_badge(p, MARGIN + 8, p->y, i + 1);
		put_wrapped(p, severity, MARGIN + 24, buf_view(&text));
		p->y += 3;
	}
	buf_clear(&text);
	view_put_time(&text, leg->call->first_us);
	buf_str(&text, STR(", Call-ID "));
	buf_plain(&text, leg->call->call_id);
	put_wrapped(p, "soft", MARGIN, buf_view(&text));
	if (text.err)
		p->b->err = text.err;
	buf_fini(&text);
}

static void put_heads(struct pen *p)
{
	int w = p->head;
	for (unsigned i = 0; i < p->s->n_lanes; i++) {
		const struct sheet_lane *l = &p->s->lanes[i];
		char mem[ADDR_TEXT_MAX];
		struct buf host;
		int x = lane_x(p, i), has_name = l->name.n > 0;
		buf_init_fixed(&host, mem, sizeof mem);
		sheet_put_host(&host, l);
		buf_fmt(p->b,
			"<rect class=\"head\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
			"rx=\"6\"/>\n",
			x - w / 2, p->y, w, HEAD_H - 6);
		if (has_name)
			put_line(p, "host m", x, p->y + 16, l->name);
		put_line(p, "addr m", x, p->y + (has_name ? 31 : 23), buf_view(&host));
	}
	p->y += HEAD_H;
}

/* --- rows ------------------------------------------------------------------------------------- */

static const char *class_of(const struct sheet_row *r)
{
	static const char *const classes[] = {"r1xx", "request", "r1xx", "r2xx",
					      "r3xx", "error",   "media"};
	return classes[r->tone];
}

static void put_title(struct pen *p, const struct sheet_row *r)
{
	struct buf text;
	buf_init(&text);
	buf_fmt(&text, "%.6f s", (double)(r->at_us - p->s->first_us) / 1e6);
	if (r->ev)
		buf_fmt(&text, ", frame %u", r->ev->frame_no);
	buf_str(&text, STR(": "));
	sheet_put_row(&text, p->s, r, 0);
	if (r->band && !r->band->is_absent)
		buf_fmt(&text, ", jitter %.1f ms (at most %.1f ms)", r->band->jitter_ms,
			r->band->max_jitter_ms);
	size_t at = text.n;
	buf_str(&text, STR("; "));
	sheet_put_marks(&text, p->s, r);
	if (text.n == at + 2)
		text.n = at;
	struct str diags = sheet_row_diags(p->s, r);
	while (diags.n) {
		buf_str(&text, STR("; "));
		buf_str(&text, str_cut(diags, '\n', &diags));
	}
	buf_str(p->b, STR("<title>"));
	put_xml(p->b, buf_view(&text));
	buf_str(p->b, STR("</title>"));
	if (text.err)
		p->b->err = text.err;
	buf_fini(&text);
}

static void put_gutter(struct pen *p, const struct sheet_row *r, bool is_first)
{
	char mem[40];
	struct buf b;
	int x = MARGIN + GUTTER;
	buf_init_fixed(&b, mem, sizeof mem);
	buf_fmt(&b, is_first ? "%.3f" : "+%.3f", is_first ? 0.0 : (double)r->delta_us / 1e6);
	put_line(p, r->delta_us >= 1'000'000 && !is_first ? "num e wait" : "num e", MARGIN + 62,
		 p->y + 4, buf_view(&b));
	if (r->ev) {
		buf_clear(&b);
		buf_fmt(&b, "%u", r->ev->frame_no);
		put_line(p, "num e", MARGIN + 116, p->y + 4, buf_view(&b));
	}
	for (unsigned i = VRD_MAX; i-- > 0;)
		if (r->findings & 1u << i) {
			put_badge(p, x, p->y + 4, i + 1);
			x += 18;
		}
	if (r->diags_n)
		put_line(p, "warning m", x, p->y + 4, STR("§"));
	if (r->marks & SHEET_SECURE)
		put_line(p, "soft e", MARGIN + GUTTER - 10, p->y + 4, STR("tls"));
}

/* The line and its head, from x0 to x1 at y. */
static void put_arrow(struct pen *p, const struct sheet_row *r, int x0, int x1)
{
	int y = p->y, d = x1 > x0 ? 1 : -1;
	const char *class = class_of(r);
	if (r->band && r->band->is_absent) {
		buf_fmt(p->b,
			"<rect class=\"none\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"10\" "
			"rx=\"2\"/><path class=\"l media\" d=\"M%d %dl%d 4l%d 4\"/>",
			(d > 0 ? x0 : x1) + 3, y - 5, abs(x1 - x0) - 6, x1 - 12 * d, y - 4, 6 * d,
			-6 * d);
		return;
	}
	if (r->band) {
		buf_fmt(p->b, "<path class=\"band\" d=\"M%d %dH%dV%dL%d %dL%d %dV%dH%dz\"/>",
			x0 + 2 * d, y - 3, x1 - 12 * d, y - 7, x1 - 2 * d, y, x1 - 12 * d, y + 7,
			y + 3, x0 + 2 * d);
		return;
	}
	bool is_request = r->tone == TONE_REQUEST;
	buf_fmt(p->b, "<path class=\"l %s%s\" d=\"M%d %dH%d\"/>", class,
		r->tone == TONE_1XX   ? " a1"
		: r->tone == TONE_3XX ? " a3"
				      : "",
		x0, y, x1 - 2 * d);
	buf_fmt(p->b, "<path class=\"%s %s\" d=\"M%d %dL%d %dL%d %d%s\"/>",
		is_request ? "full" : "l", class, x1 - 10 * d, y - 5, x1 - d, y, x1 - 10 * d, y + 5,
		is_request ? "z" : "");
	if (r->tone == TONE_ERROR)
		buf_fmt(p->b, "<path class=\"l error\" d=\"M%d %dl8 8m0 -8l-8 8\"/>",
			d > 0 ? x0 + 6 : x0 - 14, y - 4);
}

static void put_self(struct pen *p, const struct sheet_row *r, int x)
{
	buf_fmt(p->b,
		"<path class=\"l %s\" d=\"M%d %dh26v10h-24\"/>"
		"<path class=\"l %s\" d=\"M%d %dl-8 4l8 4\"/>",
		class_of(r), x, p->y - 6, class_of(r), x + 9, p->y);
}

/* How the row is labelled: in how many lines, and between which columns. */
static unsigned label_of(const struct pen *p, const struct sheet_row *r, struct buf *text,
			 struct str lines[MAX_LINE])
{
	int hops = r->to > r->from ? r->to - r->from : r->from - r->to;
	buf_clear(text);
	sheet_put_row(text, p->s, r, 0);
	return wrap(buf_view(text), (hops ? hops * p->gap : p->gap) - 34, lines);
}

static void put_row(struct pen *p, const struct sheet_row *r, bool is_first, struct buf *text)
{
	struct str lines[MAX_LINE];
	unsigned n = label_of(p, r, text, lines);
	int x0 = lane_x(p, r->from), x1 = lane_x(p, r->to);
	char class[32];
	struct buf c;
	buf_init_fixed(&c, class, sizeof class);
	buf_fmt(&c, "%shalo %s", r->from == r->to ? "" : "m ", class_of(r));
	p->y += (int)(n ? n - 1 : 0) * LINE_H;
	buf_str(p->b, STR("<g>"));
	put_title(p, r);
	put_gutter(p, r, is_first);
	for (unsigned i = 0; i < n; i++)
		put_line(p, buf_cstr(&c), r->from == r->to ? x0 + 34 : (x0 + x1) / 2,
			 p->y -
				 (r->from == r->to ? -4
				  : r->band        ? 10
						   : 7) -
				 (int)(n - 1 - i) * LINE_H,
			 lines[i]);
	if (r->from == r->to)
		put_self(p, r, x0);
	else
		put_arrow(p, r, x0, x1);
	buf_str(p->b, STR("</g>\n"));
}

/* How tall a row is, down to its arrow. */
static int rise_of(const struct pen *p, const struct sheet_row *r, struct buf *text)
{
	struct str lines[MAX_LINE];
	unsigned n = label_of(p, r, text, lines);
	return ROW_H + (r->band ? 4 : 0) + (r->delta_us >= 1'000'000 ? 10 : 0) +
	       (int)(n ? n - 1 : 0) * LINE_H;
}

/* Where a time stands, between the rows before and after it. */
static int y_of(const struct pen *p, uint64_t at_us)
{
	size_t last = 0, next = 0;
	while (next < p->s->n_rows &&
	       (p->s->rows[next].original || p->s->rows[next].at_us <= at_us)) {
		last = p->s->rows[next].original ? last : next;
		next++;
	}
	if (next == p->s->n_rows || next == 0)
		return p->row_y[last] + 10;
	uint64_t from = p->s->rows[last].at_us, span = p->s->rows[next].at_us - from;
	return p->row_y[last] +
	       (int)((uint64_t)(p->row_y[next] - p->row_y[last]) * (at_us - from) / span);
}

/* The time that a band lasts, beside the lane that receives it. */
static void put_lasting(struct pen *p, size_t at)
{
	const struct sheet_row *r = &p->s->rows[at];
	int x = lane_x(p, r->to) + (r->to > r->from ? -9 : 4);
	int y = p->row_y[at] + 8, h = y_of(p, r->band->end_us) - y;
	buf_fmt(p->b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"5\" height=\"%d\" rx=\"2\"/>\n",
		r->band->is_absent ? "none" : "band", x, y, h > 6 ? h : 6);
}

static void place_rows(struct pen *p, struct buf *text)
{
	for (size_t i = 0; i < p->s->n_rows; i++) {
		const struct sheet_row *r = &p->s->rows[i];
		if (r->original) {
			p->row_y[i] = p->row_y[r->original - 1];
			continue;
		}
		p->y += rise_of(p, r, text);
		p->row_y[i] = p->y;
	}
}

static void put_body(struct pen *p)
{
	struct buf text;
	int top = p->y - 6;
	bool is_first = true;
	buf_init(&text);
	place_rows(p, &text);
	int bottom = p->y + 22;
	for (unsigned i = 0; i < p->s->n_lanes; i++)
		buf_fmt(p->b, "<path class=\"lane\" d=\"M%d %dV%d\"/>\n", lane_x(p, i), top,
			bottom);
	for (size_t i = 0; i < p->s->n_rows; i++)
		if (p->s->rows[i].band)
			put_lasting(p, i);
	for (size_t i = 0; i < p->s->n_rows; i++) {
		const struct sheet_row *r = &p->s->rows[i];
		struct str lines[MAX_LINE];
		if (r->original)
			continue;
		unsigned n = label_of(p, r, &text, lines);
		p->y = p->row_y[i] - (int)(n ? n - 1 : 0) * LINE_H;
		put_row(p, r, is_first, &text);
		is_first = false;
	}
	p->y = bottom;
	if (text.err)
		p->b->err = text.err;
	buf_fini(&text);
}

/* Lanes as far apart as the labels between neighbours want, within bounds. */
static int gap_of(const struct sheet *s)
{
	struct buf text;
	int gap = MIN_GAP;
	buf_init(&text);
	for (size_t i = 0; i < s->n_rows; i++) {
		const struct sheet_row *r = &s->rows[i];
		int hops = r->to > r->from ? r->to - r->from : r->from - r->to;
		buf_clear(&text);
		sheet_put_row(&text, s, r, 0);
		int want = hops ? text_width(buf_view(&text)) / hops + 36 : 0;
		if (!r->original && want > gap)
			gap = want;
	}
	buf_fini(&text);
	return gap < MAX_GAP ? gap : MAX_GAP;
}

static int head_of(const struct sheet *s)
{
	int head = MIN_HEAD;
	for (unsigned i = 0; i < s->n_lanes; i++) {
		char mem[ADDR_TEXT_MAX];
		struct buf host;
		buf_init_fixed(&host, mem, sizeof mem);
		sheet_put_host(&host, &s->lanes[i]);
		int name = text_width(s->lanes[i].name), addr = text_width(buf_view(&host));
		int want = 16 + (name > addr ? name : addr);
		head = want > head ? want : head;
	}
	return head;
}

void lad_put_svg(struct buf *b, const struct sheet *s)
{
	struct buf body;
	struct pen p = {.b = &body, .s = s, .gap = gap_of(s), .head = head_of(s)};
	p.gap = p.gap > p.head + 10 ? p.gap : p.head + 10;
	p.row_y = calloc(s->n_rows + 1, sizeof *p.row_y);
	if (!p.row_y) {
		b->err = ERR_NOMEM;
		return;
	}
	buf_init(&body);
	p.width = 2 * MARGIN + GUTTER + 16 + p.head +
		  p.gap * (int)(s->n_lanes > 2 ? s->n_lanes - 1 : 1);
	p.y = MARGIN - 14;
	for (size_t i = 0; i < s->n_legs; i++)
		put_leg(&p, &s->legs[i]);
	p.y += 8;
	put_heads(&p);
	put_body(&p);
	buf_fmt(b,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" role=\"img\">\n"
		"<style>%s</style>\n<style>%s</style>\n<style>%s</style>\n"
		"<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n",
		p.width, p.y + MARGIN - 10, p.width, p.y + MARGIN - 10, style, style_dark,
		style_print, p.width, p.y + MARGIN - 10);
	buf_str(b, buf_view(&body));
	buf_str(b, STR("</svg>\n"));
	if (body.err)
		b->err = body.err;
	buf_fini(&body);
	free(p.row_y);
}
