/* Drawing a ladder: heads, arrows, labels.
 *
 *	  gutter          127.0.0.21          127.0.0.57          127.0.0.43
 *	+0.061   12 │── INVITE (SDP) ──►│                   │
 *
 * A row is an array of cells, one code point each, filled and then written without the blanks at
 * its end. A label that is longer than its arrow stands in lines above it, broken between words; it
 * is never cut. With more lanes than fit, each message becomes one line of text with the lanes as
 * letters.
 *
 * Invariants: no cell outside [0, width) is written; each row ends with a line feed; colour
 * escapes are balanced within a row.
 */
#include "scope/lad_priv.h"

#include <string.h>

#define MIN_GAP   15 /* columns between lanes: less is narrow */
#define MAX_GAP   40
#define MAX_LINES 12

static struct {
	uint32_t lane, line, rtp, absent, left, right;
} const glyphs[2] = {
	{0x2502, 0x2500, 0x2550, 0x254c, 0x25c4, 0x25ba}, /* │ ─ ═ ╌ ◄ ► */
	{'|',    '-',    '=',    '.',    '<',    '>'   },
};

/* --- cells ------------------------------------------------------------------------------------ */

static void row_begin(struct canvas *k, bool with_lanes)
{
	for (int i = 0; i < k->width; i++)
		k->cells[i] = ' ';
	for (unsigned i = 0; with_lanes && i < k->s->n_lanes; i++)
		k->cells[k->x[i]] = glyphs[k->o->is_ascii].lane;
	k->tone_from = k->tone_to = 0;
}

/* Characters that steer a terminal, or that turn the writing's direction. */
static bool is_steering(uint32_t c)
{
	return (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

uint32_t lad_code_point(struct str s, size_t *i)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	unsigned char c = (unsigned char)s.p[(*i)++];
	unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 ? 1 : 0;
	if (c < 0x80)
		return c < ' ' || c == 127 ? '?' : c;
	if (!more || c > 0xf4 || *i + more > s.n)
		return '?';
	uint32_t v = c & (0x3fu >> more);
	for (unsigned m = 0; m < more; m++) {
		unsigned char d = (unsigned char)s.p[*i + m];
		if ((d & 0xc0) != 0x80)
			return '?';
		v = v << 6 | (d & 0x3f);
	}
	*i += more;
	bool is_char = v >= least[more] && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff) &&
		       (v & 0xfffe) != 0xfffe && !is_steering(v);
	return is_char ? v : '?';
}

static int text_width(struct str s)
{
	int n = 0;
	for (size_t i = 0; i < s.n; n++)
		lad_code_point(s, &i);
	return n;
}

static void put_text(struct canvas *k, int x, struct str s)
{
	for (size_t i = 0; i < s.n; x++) {
		uint32_t c = lad_code_point(s, &i);
		if (c > 127 && k->o->is_ascii)
			c = '?';
		if (x >= 0 && x < k->width)
			k->cells[x] = c;
	}
}

void lad_put_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_chr(b, (char)c);
	} else if (c < 0x800) {
		buf_chr(b, (char)(0xc0 | c >> 6));
		buf_chr(b, (char)(0x80 | (c & 63)));
	} else if (c < 0x10000) {
		buf_chr(b, (char)(0xe0 | c >> 12));
		buf_chr(b, (char)(0x80 | (c >> 6 & 63)));
		buf_chr(b, (char)(0x80 | (c & 63)));
	} else {
		buf_chr(b, (char)(0xf0 | c >> 18));
		buf_chr(b, (char)(0x80 | (c >> 12 & 63)));
		buf_chr(b, (char)(0x80 | (c >> 6 & 63)));
		buf_chr(b, (char)(0x80 | (c & 63)));
	}
}

static void row_end(struct canvas *k)
{
	static const char *const tones[] = {"0", "36", "34", "32", "33", "31", "35"};
	int n = k->width;
	while (n > 0 && k->cells[n - 1] == ' ')
		n--;
	bool is_coloured = k->o->is_colour && k->tone != TONE_PLAIN && k->tone_to > k->tone_from;
	for (int i = 0; i < n; i++) {
		if (is_coloured && i == k->tone_from)
			buf_fmt(k->b, "\033[%sm", tones[k->tone]);
		lad_put_utf8(k->b, k->cells[i]);
		if (is_coloured && (i + 1 == k->tone_to || i + 1 == n) && i >= k->tone_from) {
			buf_str(k->b, STR("\033[0m"));
			is_coloured = false;
		}
	}
	buf_chr(k->b, '\n');
}

/* --- heads ------------------------------------------------------------------------------------ */

static struct str head_text(const struct sheet_lane *l, char mem[ADDR_TEXT_MAX])
{
	struct buf b;
	buf_init_fixed(&b, mem, ADDR_TEXT_MAX);
	sheet_put_host(&b, l);
	return buf_view(&b);
}

/* Heads are centred over their lanes; one that would touch its left neighbour goes one row down. */
static void heads(struct canvas *k, bool are_aliases)
{
	unsigned left = (1u << k->s->n_lanes) - 1;
	for (int row = 0; left && row < SHEET_MAX_LANES; row++) {
		int free_from = 0;
		bool is_empty = true;
		row_begin(k, false);
		for (unsigned i = 0; i < k->s->n_lanes; i++) {
			char mem[ADDR_TEXT_MAX];
			const struct sheet_lane *lane = &k->s->lanes[i];
			struct str s = are_aliases ? lane->name : head_text(lane, mem);
			int n = text_width(s), x = k->x[i] - n / 2;
			if (x + n > k->width)
				x = k->width - n;
			if (!(left & 1u << i) || (x < free_from && !is_empty))
				continue;
			put_text(k, x < 0 ? 0 : x, s);
			left &= ~(1u << i);
			free_from = x + n + 2;
			is_empty = is_empty && !n;
		}
		if (!is_empty)
			row_end(k);
	}
}

static void legend(struct canvas *k)
{
	for (unsigned i = 0; i < k->s->n_lanes; i++) {
		const struct sheet_lane *l = &k->s->lanes[i];
		char mem[ADDR_TEXT_MAX];
		buf_fmt(k->b, "  %c  " STR_FMT, 'A' + (char)i, STR_ARG(head_text(l, mem)));
		if (l->name.n)
			buf_fmt(k->b, "  " STR_FMT, STR_ARG(l->name));
		buf_chr(k->b, '\n');
	}
}

int canvas_width(const struct lad_opts *o)
{
	int w = o->width ? o->width : 80;
	return w < 60 ? 60 : w > LAD_MAX_WIDTH ? LAD_MAX_WIDTH : w;
}

void canvas_init(struct canvas *k, struct buf *b, const struct sheet *s, const struct lad_opts *o)
{
	*k = (struct canvas){.b = b, .o = o, .s = s, .width = canvas_width(o)};
	int room = k->width - LAD_GUTTER - 2;
	int gap = s->n_lanes > 1 ? room / (int)(s->n_lanes - 1) : 0;
	if (gap > MAX_GAP)
		gap = MAX_GAP;
	k->is_narrow = s->n_lanes > 1 && gap < MIN_GAP;
	for (unsigned i = 0; i < s->n_lanes; i++)
		k->x[i] = LAD_GUTTER + (int)i * gap;
	if (k->is_narrow) {
		legend(k);
		return;
	}
	if (k->o->alias)
		heads(k, true);
	heads(k, false);
	row_begin(k, true);
	row_end(k);
}

/* --- arrows ----------------------------------------------------------------------------------- */

/* Breaks s into lines of at most n columns, between words where it can. */
static unsigned wrap(struct str s, int n, struct str lines[MAX_LINES])
{
	unsigned k = 0;
	while (s.n && k < MAX_LINES) {
		size_t end = 0, space = 0;
		int w = 0;
		while (end < s.n) {
			size_t after = end;
			lad_code_point(s, &after);
			if (w == n)
				break;
			if (s.p[end] == ' ')
				space = end;
			end = after;
			w++;
		}
		size_t cut = end == s.n || s.p[end] == ' ' || !space ? end : space;
		lines[k++] = str_sub(s, 0, cut);
		s = str_trim(str_skip(s, cut));
	}
	return k;
}

static void narrow_arrow(struct canvas *k, struct str gutter, unsigned from, unsigned to,
			 struct str label, enum lad_line line)
{
	static const char *const arrows[2][3] = {
		{" ──► ", " ══► ", " ╌╌► "},
                {" --> ",       " ==> ",       " ..> "      }
        };
	char way[24];
	struct buf b;
	buf_init_fixed(&b, way, sizeof way);
	buf_fmt(&b, "%c%s%c", 'A' + (char)from, arrows[k->o->is_ascii][line], 'A' + (char)to);
	struct str lines[MAX_LINES];
	int x = LAD_GUTTER + 9;
	unsigned n = wrap(label, k->width - x, lines);
	for (unsigned i = 0; i < n; i++) {
		row_begin(k, false);
		if (i == 0) {
			put_text(k, 0, gutter);
			/* with its arrows in UTF-8 the text is for the terminal as it is */
			size_t at = 0;
			for (int c = LAD_GUTTER; at < b.n && c < k->width; c++)
				k->cells[c] = lad_code_point(buf_view(&b), &at);
		}
		put_text(k, x, lines[i]);
		k->tone_from = LAD_GUTTER;
		k->tone_to = k->width;
		row_end(k);
	}
}

static void span(struct canvas *k, int x0, int x1, uint32_t c)
{
	for (int x = x0; x < x1; x++)
		k->cells[x] = c;
}

/* A message from a host to itself: a label beside its lane. */
static void self_arrow(struct canvas *k, struct str gutter, unsigned lane, struct str label)
{
	int x = k->x[lane] + 2;
	struct str lines[MAX_LINES];
	if (x > k->width - MIN_GAP)
		x = k->width - MIN_GAP;
	unsigned n = wrap(label, k->width - x - 2, lines);
	for (unsigned i = 0; i < n; i++) {
		row_begin(k, true);
		if (i == 0) {
			put_text(k, 0, gutter);
			k->cells[x - 1] = glyphs[k->o->is_ascii].left;
		}
		put_text(k, x + 1, lines[i]);
		k->tone_from = x - 1;
		k->tone_to = k->width;
		row_end(k);
	}
}

void canvas_arrow(struct canvas *k, struct str gutter, unsigned from, unsigned to, struct str label,
		  enum lad_line line, enum sheet_tone tone)
{
	k->tone = tone;
	if (k->is_narrow) {
		narrow_arrow(k, gutter, from, to, label, line);
		return;
	}
	if (from == to) {
		self_arrow(k, gutter, from, label);
		return;
	}
	bool is_right = to > from;
	int x0 = k->x[is_right ? from : to] + 1, x1 = k->x[is_right ? to : from];
	int inner = x1 - x0;
	struct str lines[MAX_LINES];
	unsigned n = wrap(label, inner - 4, lines);
	for (unsigned i = 0; i < n; i++) {
		int w = text_width(lines[i]);
		bool is_arrow = i + 1 == n;
		row_begin(k, true);
		if (i == 0)
			put_text(k, 0, gutter);
		if (is_arrow) {
			span(k, x0, x1,
			     line == LINE_SIP   ? glyphs[k->o->is_ascii].line
			     : line == LINE_RTP ? glyphs[k->o->is_ascii].rtp
						: glyphs[k->o->is_ascii].absent);
			k->cells[is_right ? x1 - 1 : x0] = is_right ? glyphs[k->o->is_ascii].right
								    : glyphs[k->o->is_ascii].left;
		} else {
			span(k, x0, x1, ' ');
		}
		int at = x0 + (inner - w) / 2;
		if (w) {
			span(k, at - 1, at + w + 1, ' ');
			put_text(k, at, lines[i]);
		}
		k->tone_from = x0;
		k->tone_to = x1;
		row_end(k);
	}
}
