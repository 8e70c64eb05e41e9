/* A call's flow: its ladder with a cursor, and the message under the cursor beside it, or below it
 * where the terminal is narrow. The rows are a sheet's (scope/sheet.h).
 *
 * Where the lanes would be too close for a label, a row is one line of words instead of a drawing.
 * A label that is too long for its arrow is cut there; the message beside it has it whole.
 *
 * Live, the calls are held as long as they are shown, and the sheet is made anew when a message
 * came, or when media went on for a second; a cursor on the last row stays on the last row.
 */
#include "tui/tui_priv.h"

#include "track/trk_join.h"

#include <stdlib.h>
#include <string.h>

#define GUTTER     17 /* columns for time, frame and marks */
#define MARGIN     2  /* beside the outer lanes */
#define LEAST_LANE 14
#define WIDE       110 /* columns from which on the message stands beside the ladder */
#define MAX_LEGS   64

struct flow {
	struct screen s;
	struct trk *trk;
	struct drawn {
		struct sheet *sheet;
		struct vrd *verdicts; /* of the legs that there were when it was made */
		size_t n;
	} d;
	const struct trk_call *legs[MAX_LEGS];
	size_t n_legs;
	bool is_whole; /* all legs of one call */
	uint32_t n_ev; /* live: messages of the legs, when the sheet was made */
	uint64_t made_us;
	struct scroll sc;
	size_t mark;     /* a row chosen to be compared; SIZE_MAX none */
	size_t pane_top; /* first line of the message shown */
	bool hides_pane;
};

struct layout {                                   /* of the terminal */
	int head, rows, cols;                     /* the ladder: from line `head` on */
	int pane_y, pane_x, pane_rows, pane_cols; /* the message; pane_rows 0: none */
	int lane_x[SHEET_MAX_LANES];
	bool is_narrow;
};

static struct layout lay_out(const struct tui *u, const struct flow *f)
{
	struct layout l = {.head = 3, .rows = u->rows - 5, .cols = u->cols};
	unsigned n = f->d.sheet->n_lanes;
	if (!f->hides_pane && u->cols >= WIDE) {
		l.cols = u->cols * 11 / 20;
		l.pane_x = l.cols + 1;
		l.pane_y = 1;
		l.pane_cols = u->cols - l.pane_x;
		l.pane_rows = u->rows - 3;
	} else if (!f->hides_pane && l.rows >= 12) {
		l.pane_rows = l.rows / 2;
		l.rows -= l.pane_rows + 1;
		l.pane_y = l.head + l.rows + 1;
		l.pane_cols = u->cols;
	}
	int space = n > 1 ? (l.cols - GUTTER - 2 * MARGIN) / (int)(n - 1) : 0;
	l.is_narrow = n > 1 && space < LEAST_LANE;
	for (unsigned i = 0; i < n; i++)
		l.lane_x[i] = GUTTER + MARGIN + (int)i * space;
	return l;
}

/* --- making the sheet ------------------------------------------------------------------------- */

static void drop(struct drawn *d)
{
	sheet_free(d->sheet);
	for (size_t i = 0; d->verdicts && i < d->n; i++)
		vrd_fini(&d->verdicts[i]);
	free(d->verdicts);
}

static uint32_t count_messages(const struct flow *f)
{
	uint32_t n = 0;
	for (size_t i = 0; i < f->n_legs; i++)
		n += f->legs[i]->n_ev;
	return n;
}

/* What was drawn before stays when there is no memory. */
static enum err make(struct tui *u, struct flow *f)
{
	struct sheet_cfg cfg = {.book = u->book};
	struct sheet_leg legs[MAX_LEGS];
	struct drawn d = {.n = f->n_legs, .verdicts = calloc(f->n_legs + 1, sizeof *d.verdicts)};
	enum err e = d.verdicts ? OK : ERR_NOMEM;
	for (size_t i = 0; d.verdicts && i < d.n; i++)
		vrd_init(&d.verdicts[i]);
	for (size_t i = 0; !e && i < d.n; i++) {
		legs[i] = (struct sheet_leg){f->legs[i], &d.verdicts[i]};
		e = vrd_judge(&d.verdicts[i], u->trk, f->legs[i]);
	}
	if (!e)
		e = sheet_new(u->trk, legs, d.n, &cfg, &d.sheet);
	if (e) {
		drop(&d);
		return e;
	}
	drop(&f->d);
	f->d = d;
	f->sc.n = d.sheet->n_rows;
	f->n_ev = count_messages(f);
	f->made_us = trk_stats(u->trk)->last_us;
	return OK;
}

static void add_leg(struct flow *f, const struct trk_call *c)
{
	size_t i = 0;
	while (i < f->n_legs && f->legs[i] != c)
		i++;
	if (i < f->n_legs || f->n_legs == MAX_LEGS)
		return;
	trk_hold(f->trk, c, true);
	f->legs[f->n_legs++] = c;
}

static void add_joined(struct flow *f)
{
	const struct trk_call *legs[TRK_MAX_LEGS];
	unsigned n = trk_join_legs(f->legs[0], legs, TRK_MAX_LEGS);
	for (unsigned i = 0; i < n; i++)
		add_leg(f, legs[i]);
}

/* Live: brings the sheet up to date. */
static void renew(struct tui *u, struct flow *f)
{
	const uint64_t media_us = 1'000'000;
	size_t n_before = f->n_legs;
	if (!u->o->is_live)
		return;
	if (f->is_whole)
		add_joined(f);
	bool is_old = trk_stats(u->trk)->last_us >= f->made_us + media_us;
	if (!is_old && f->n_legs == n_before && f->n_ev == count_messages(f))
		return;
	bool is_at_end = f->sc.at + 1 >= f->sc.n;
	if (make(u, f))
		tui_complain(u, "no memory to bring this flow up to date");
	else if (is_at_end && f->sc.n)
		f->sc.at = f->sc.n - 1;
}

/* --- drawing ---------------------------------------------------------------------------------- */

static void draw_heads(const struct tui *u, const struct flow *f, const struct layout *l)
{
	term_line(u, 1, 0, l->cols, STR_NONE, LOOK_PLAIN);
	for (unsigned i = 0; i < f->d.sheet->n_lanes && !l->is_narrow; i++) {
		struct buf b;
		char mem[80];
		buf_init_fixed(&b, mem, sizeof mem);
		sheet_put_host(&b, &f->d.sheet->lanes[i]);
		int w = (int)b.n, x = l->lane_x[i] - w / 2;
		if (x + w > l->cols)
			x = l->cols - w;
		/* neighbours' names stand on two lines in turn */
		term_put(u, 1 + (int)(i % 2), x < 0 ? 0 : x, w, buf_view(&b), LOOK_HEAD);
	}
	if (l->is_narrow)
		term_line(u, 1, 0, l->cols, STR("     Time  Frame   Message, from, to"), LOOK_DIM);
}

static char mark_of(const struct flow *f, const struct sheet_row *r, size_t i)
{
	if (i == f->mark)
		return '>';
	if (r->findings)
		return '*';
	if (r->marks & SHEET_RETRANS)
		return '~';
	if (r->marks & SHEET_DUPLICATE)
		return '=';
	return r->marks & SHEET_DEVIANT ? '!' : ' ';
}

static void put_gutter(struct buf *b, const struct flow *f, const struct sheet_row *r, size_t i)
{
	uint64_t us = r->at_us > f->d.sheet->first_us ? r->at_us - f->d.sheet->first_us : 0;
	buf_fmt(b, "%4llu.%03llu %6u%c ", (unsigned long long)(us / 1'000'000),
		(unsigned long long)(us / 1'000 % 1'000),
		r->ev ? r->ev->frame_no : r->band->first_frame, mark_of(f, r, i));
}

static void put_label(const struct tui *u, struct buf *b, const struct flow *f,
		      const struct sheet_row *r)
{
	sheet_put_row(b, f->d.sheet, r, u->is_ascii ? SHEET_ASCII : 0);
	buf_mask(b, 0, false);
}

static const char *line_of(const struct tui *u, const struct sheet_row *r)
{
	if (!r->band)
		return term_sign(u, "─", "-");
	return r->band->is_absent ? term_sign(u, "╌", ".") : term_sign(u, "═", "=");
}

/* "180 Ringing   192.0.2.57 → 192.0.2.21" */
static void draw_words(struct tui *u, const struct flow *f, const struct layout *l,
		       const struct sheet_row *r, int y, enum tui_look look)
{
	struct buf b;
	buf_init(&b);
	put_label(u, &b, f, r);
	buf_str(&b, STR("   "));
	sheet_put_host(&b, &f->d.sheet->lanes[r->from]);
	buf_fmt(&b, " %s ", term_sign(u, "→", "->"));
	sheet_put_host(&b, &f->d.sheet->lanes[r->to]);
	term_line(u, y, GUTTER, l->cols - GUTTER, buf_view(&b), look);
	buf_fini(&b);
}

static void draw_arrow(struct tui *u, const struct flow *f, const struct layout *l,
		       const struct sheet_row *r, int y, enum tui_look look)
{
	int from = l->lane_x[r->from], to = l->lane_x[r->to];
	int a = (from < to ? from : to) + 1, z = (from < to ? to : from) - 1;
	struct buf label;
	if (r->from == r->to) /* to itself: room to the right */
		z = l->cols - 2;
	for (int x = a; x <= z; x++)
		term_put(u, y, x, 1, str_c(line_of(u, r)), look);
	bool is_left = to < from || r->from == r->to;
	if (is_left)
		term_put(u, y, a, 1, str_c(term_sign(u, "◀", "<")), look);
	else
		term_put(u, y, z, 1, str_c(term_sign(u, "▶", ">")), look);
	buf_init(&label);
	buf_chr(&label, ' ');
	put_label(u, &label, f, r);
	buf_chr(&label, ' ');
	int room = z - a - 3, w = (int)label.n;
	if (room > 0)
		term_put(u, y, a + 2 + (w < room ? (room - w) / 2 : 0), room, buf_view(&label),
			 look);
	buf_fini(&label);
}

static void draw_row(struct tui *u, const struct flow *f, const struct layout *l, size_t i, int y)
{
	const struct sheet_row *r = &f->d.sheet->rows[i];
	bool is_at = i == f->sc.at;
	enum tui_look look = is_at ? LOOK_CURSOR : term_look_of((enum sheet_tone)r->tone);
	struct buf b;
	char mem[60];
	buf_init_fixed(&b, mem, sizeof mem);
	put_gutter(&b, f, r, i);
	term_line(u, y, 0, GUTTER, buf_view(&b), is_at ? LOOK_CURSOR : LOOK_DIM);
	if (l->is_narrow) {
		draw_words(u, f, l, r, y, look);
		return;
	}
	term_line(u, y, GUTTER, l->cols - GUTTER, STR_NONE, is_at ? LOOK_CURSOR : LOOK_PLAIN);
	for (unsigned k = 0; k < f->d.sheet->n_lanes; k++)
		term_put(u, y, l->lane_x[k], 1, str_c(term_sign(u, "│", "|")),
			 is_at ? LOOK_CURSOR : LOOK_DIM);
	draw_arrow(u, f, l, r, y, look);
}

/* What is to be read about a row: its marks, what is against an RFC, the bytes. */
static void put_details(struct tui *u, const struct flow *f, size_t i, struct buf *b)
{
	const struct sheet_row *r = &f->d.sheet->rows[i];
	struct str bytes;
	if (r->band) {
		sheet_put_row(b, f->d.sheet, r, u->is_ascii ? SHEET_ASCII : 0);
		buf_chr(b, '\n');
		return;
	}
	if (book_bytes(u->book, trk_ev_id(r->ev), &bytes) == OK)
		buf_str(b, bytes);
	else
		buf_str(b, STR("(the message is no longer kept)\n"));
}

static void put_remarks(const struct flow *f, size_t i, struct buf *b)
{
	const struct sheet_row *r = &f->d.sheet->rows[i];
	sheet_put_marks(b, f->d.sheet, r);
	for (unsigned k = 0; k < VRD_MAX; k++)
		if (r->findings & 1u << k && r->leg < f->d.n) {
			if (b->n)
				buf_str(b, STR("; "));
			buf_str(b, f->d.verdicts[r->leg].f[k].text);
		}
	buf_mask(b, 0, false);
}

static void draw_pane(struct tui *u, struct flow *f, const struct layout *l)
{
	if (!l->pane_rows || f->sc.at >= f->d.sheet->n_rows)
		return;
	for (int y = l->pane_y; l->pane_x && y < l->pane_y + l->pane_rows; y++)
		term_put(u, y, l->pane_x - 1, 1, str_c(term_sign(u, "│", "|")), LOOK_DIM);
	for (int x = 0; !l->pane_x && x < u->cols; x++)
		term_put(u, l->pane_y - 1, x, 1, str_c(term_sign(u, "─", "-")), LOOK_DIM);
	buf_clear(&u->text);
	put_details(u, f, f->sc.at, &u->text);
	size_t n = pager_put_message(u, buf_view(&u->text), l->pane_y, l->pane_x, l->pane_rows,
				     l->pane_cols, f->pane_top);
	if (f->pane_top && f->pane_top >= n)
		f->pane_top = n ? n - 1 : 0;
}

static void draw(struct tui *u, struct screen *s)
{
	struct flow *f = (struct flow *)s;
	renew(u, f);
	struct layout l = lay_out(u, f);
	scroll_fit(&f->sc, l.rows);
	buf_clear(&u->text);
	vrd_put_line(&u->text, f->legs[0], &f->d.verdicts[0], u->is_ascii);
	if (f->n_legs > 1)
		buf_fmt(&u->text, "  (and %zu more)", f->n_legs - 1);
	term_line(u, 0, 0, u->cols, buf_view(&u->text), LOOK_HEAD);
	draw_heads(u, f, &l);
	for (int y = 0; y < l.rows && f->sc.top + (size_t)y < f->sc.n; y++)
		draw_row(u, f, &l, f->sc.top + (size_t)y, l.head + y);
	draw_pane(u, f, &l);
	if (!u->status.n && f->sc.at < f->sc.n) {
		put_remarks(f, f->sc.at, &u->status);
		u->is_error = false;
	}
}

/* --- keys ------------------------------------------------------------------------------------- */

static void title_of(const struct flow *f, size_t i, char out[80])
{
	const struct sheet_row *r = &f->d.sheet->rows[i];
	struct buf b;
	buf_init_fixed(&b, out, 79);
	buf_fmt(&b, "frame %u, ", r->ev ? r->ev->frame_no : r->band->first_frame);
	sheet_put_host(&b, &f->d.sheet->lanes[r->from]);
	buf_str(&b, STR(" > "));
	sheet_put_host(&b, &f->d.sheet->lanes[r->to]);
	out[b.n] = '\0';
}

static void show_message(struct tui *u, const struct flow *f)
{
	char title[80];
	title_of(f, f->sc.at, title);
	buf_clear(&u->text);
	put_details(u, f, f->sc.at, &u->text);
	tui_push(u, pager_new_message(str_c(title), buf_view(&u->text)));
}

/* The first chooses, the second compares. */
static void on_mark(struct tui *u, struct flow *f)
{
	if (f->mark == f->sc.at) {
		f->mark = SIZE_MAX;
		return;
	}
	if (f->mark == SIZE_MAX) {
		f->mark = f->sc.at;
		tui_say(u, "Space on another message compares it with this one");
		return;
	}
	char titles[2][80];
	struct buf texts[2];
	size_t rows[2] = {f->mark, f->sc.at};
	for (int i = 0; i < 2; i++) {
		title_of(f, rows[i], titles[i]);
		buf_init(&texts[i]);
		put_details(u, f, rows[i], &texts[i]);
	}
	tui_push(u, diff_new(str_c(titles[0]), buf_view(&texts[0]), str_c(titles[1]),
			     buf_view(&texts[1])));
	buf_fini(&texts[0]);
	buf_fini(&texts[1]);
	f->mark = SIZE_MAX;
}

static void next_evidence(struct tui *u, struct flow *f, bool is_back)
{
	size_t n = f->d.sheet->n_rows;
	for (size_t k = 1; k <= n; k++) {
		size_t i = (f->sc.at + (is_back ? n - k % n : k)) % n;
		if (f->d.sheet->rows[i].findings) {
			f->sc.at = i;
			return;
		}
	}
	tui_say(u, "the verdict needs no evidence");
}

static void show_verdicts(struct tui *u, const struct flow *f)
{
	buf_clear(&u->text);
	for (size_t i = 0; i < f->d.n; i++) {
		if (i)
			buf_chr(&u->text, '\n');
		vrd_put_text(&u->text, u->trk, f->legs[i], &f->d.verdicts[i], u->is_ascii);
	}
	tui_push(u, pager_new(STR("What happened, and why"), buf_view(&u->text)));
}

static bool on_key(struct tui *u, struct screen *s, int key)
{
	struct flow *f = (struct flow *)s;
	struct layout l = lay_out(u, f);
	switch (key) {
	case '\r':
	case '\n':
	case KEY_ENTER:
		show_message(u, f);
		return true;
	case ' ':
		on_mark(u, f);
		return true;
	case 'e':
	case 'E':
		next_evidence(u, f, key == 'E');
		return true;
	case 'v':
		show_verdicts(u, f);
		return true;
	case 'w':
		f->hides_pane = !f->hides_pane;
		return true;
	case ']':
		f->pane_top += (size_t)(l.pane_rows > 2 ? l.pane_rows / 2 : 1);
		return true;
	case '[': {
		size_t by = (size_t)(l.pane_rows > 2 ? l.pane_rows / 2 : 1);
		f->pane_top = f->pane_top > by ? f->pane_top - by : 0;
		return true;
	}
	default: {
		size_t at = f->sc.at;
		bool is_known = scroll_key(&f->sc, key, l.rows);
		if (at != f->sc.at)
			f->pane_top = 0;
		return is_known;
	}
	}
}

static void flow_free(struct screen *s)
{
	struct flow *f = (struct flow *)s;
	for (size_t i = 0; i < f->n_legs; i++)
		trk_hold(f->trk, f->legs[i], false);
	drop(&f->d);
	free(f);
}

static const struct screen_ops ops = {
	.draw = draw,
	.key = on_key,
	.free = flow_free,
	.keys = "Enter message  Space compare  e evidence  v why  w pane  q back  ? all keys",
	.help = "Flow\n"
		"  Enter    the message in full\n"
		"  Space    on two messages: what differs between them\n"
		"  e E      next evidence of the verdict, the one before\n"
		"  v        what happened and why\n"
		"  w        hide or show the message beside the ladder;  [ ]  scroll it\n"
		"  The sign before a message: * evidence, ~ sent again, = captured twice,\n"
		"  ! against an RFC, > chosen to be compared\n",
};

static struct screen *begin(struct tui *u, const struct trk_call *const *calls, size_t n,
			    bool is_whole)
{
	struct flow *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->s.ops = &ops;
	f->trk = u->trk;
	f->mark = SIZE_MAX;
	f->is_whole = is_whole;
	for (size_t i = 0; i < n; i++)
		add_leg(f, calls[i]);
	if (make(u, f)) {
		flow_free(&f->s);
		return NULL;
	}
	return &f->s;
}

struct screen *flow_new(struct tui *u, const struct trk_call *const *calls, size_t n)
{
	return begin(u, calls, n, false);
}

struct screen *flow_new_whole(struct tui *u, const struct trk_call *c)
{
	const struct trk_call *legs[TRK_MAX_LEGS];
	return begin(u, legs, trk_join_legs(c, legs, TRK_MAX_LEGS), true);
}
