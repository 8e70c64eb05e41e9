/* The list of calls.
 *
 * Rows are the tracker's calls in order of appearance, as far as they fit: the kind (calls alone,
 * or everything), and the filter, which is Wireshark's and is applied while it is typed. A call
 * fits when one of its messages does. New calls are appended as the capture is read; with a filter
 * the list is made anew when more was read.
 *
 * The verdict of a row is worked out when the row is drawn.
 */
#include "tui/tui_priv.h"

#include "scope/trk_join.h"
#include "scope/view.h"

#include <stdlib.h>
#include <string.h>

struct list {
	struct screen s;
	struct scroll sc;
	struct trk_call **rows;
	size_t cap;
	struct trk_call *last; /* the last one looked at */
	uint64_t n_messages;   /* that were read when the filter was applied */
	bool shows_all;        /* registrations and the rest too */
	bool has_filter;
	uint8_t *hits;  /* a bit for each message that fits */
	size_t n_hits;  /* bits */
	struct buf why; /* what is wrong with what is typed */
};

static struct list *list_of(const struct tui *u)
{
	return (struct list *)u->stack[0];
}

static bool add_row(struct list *l, struct trk_call *c)
{
	if (l->sc.n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		struct trk_call **rows = realloc(l->rows, cap * sizeof(*rows));
		if (!rows)
			return false;
		l->rows = rows;
		l->cap = cap;
	}
	l->rows[l->sc.n++] = c;
	return true;
}

static bool is_hit(const struct list *l, uint32_t id)
{
	return id < l->n_hits && l->hits[id / 8] & 1u << id % 8;
}

static bool fits(const struct tui *u, const struct list *l, const struct trk_call *c)
{
	if (!l->shows_all && c->kind != TRK_CALL)
		return false;
	if (!l->has_filter)
		return true;
	for (uint32_t id = c->last_ev; id; id = trk_ev(u->trk, id)->prev)
		if (is_hit(l, id))
			return true;
	return false;
}

/* Looks at the calls behind `last`. */
static void follow(struct tui *u, struct list *l)
{
	struct trk_call *c = l->last ? l->last->next_no : trk_first(u->trk);
	for (; c; c = c->next_no) {
		if (fits(u, l, c) && !add_row(l, c))
			u->err = ERR_NOMEM;
		l->last = c;
	}
}

static void make_anew(struct tui *u, struct list *l)
{
	const struct trk_call *at = l->sc.at < l->sc.n ? l->rows[l->sc.at] : NULL;
	l->sc.n = 0;
	l->last = NULL;
	follow(u, l);
	for (size_t i = 0; at && i < l->sc.n; i++)
		if (l->rows[i] == at)
			l->sc.at = i;
}

/* --- the filter ------------------------------------------------------------------------------- */

static void drop_filter(struct list *l)
{
	free(l->hits);
	l->hits = NULL;
	l->n_hits = 0;
	l->has_filter = false;
}

static void apply(struct tui *u, struct list *l, struct flt *f)
{
	uint32_t *ids = NULL;
	size_t n = 0;
	enum err e = book_filter(u->book, f, &ids, &n);
	drop_filter(l);
	if (e) {
		tui_complain(u, "the filter cannot be applied: %s", err_text(e));
		return;
	}
	l->n_hits = n ? (size_t)ids[n - 1] + 1 : 1;
	l->hits = calloc(1, l->n_hits / 8 + 1);
	l->has_filter = l->hits;
	for (size_t i = 0; l->hits && i < n; i++)
		l->hits[ids[i] / 8] |= (uint8_t)(1u << ids[i] % 8);
	free(ids);
	l->n_messages = trk_stats(u->trk)->n_messages;
	make_anew(u, l);
}

/* While it is typed: what can be read is applied, what cannot only told. */
static void on_filter_typed(struct tui *u, struct str text)
{
	struct list *l = list_of(u);
	struct flt *f;
	buf_clear(&l->why);
	if (!str_trim(text).n) {
		drop_filter(l);
		make_anew(u, l);
	} else if (flt_compile(text, &f, &l->why) == OK) {
		buf_clear(&l->why);
		apply(u, l, f);
		flt_free(f);
	}
}

static void on_filter_done(struct tui *u, struct str text, bool is_taken)
{
	struct list *l = list_of(u);
	if (!is_taken) { /* as it was */
		on_filter_typed(u, str_c(u->filter));
		return;
	}
	on_filter_typed(u, text);
	if (l->why.n)
		tui_complain(u, "that cannot be read as a filter: it is not applied");
	else
		str_copy(u->filter, sizeof u->filter, text);
	buf_clear(&l->why);
}

/* --- drawing ---------------------------------------------------------------------------------- */

static int body_rows(const struct tui *u)
{
	return u->rows - 4;
}

static enum tui_look look_of(const struct vrd *v)
{
	static const enum tui_look looks[] = {[VRD_OK] = LOOK_PLAIN,
					      [VRD_NOTE] = LOOK_PLAIN,
					      [VRD_WARN] = LOOK_NOTE,
					      [VRD_FAULT] = LOOK_ERROR};
	return looks[v->worst];
}

static void draw_row(struct tui *u, struct list *l, size_t i, int y)
{
	struct trk_call *c = l->rows[i];
	uint64_t first = trk_stats(u->trk)->first_us;
	uint64_t start = c->first_us > first ? (c->first_us - first) / 1'000 : 0;
	bool is_at = i == l->sc.at;
	if (vrd_judge(&u->verdict, u->trk, c))
		u->err = ERR_NOMEM;
	static const char signs[] = {' ', ' ', '!', 'X'}; /* not by colour alone */
	buf_clear(&u->text);
	buf_fmt(&u->text, "%c%5u %6llu.%03llu %-7.*s %4u %c ", c->is_marked ? '*' : ' ', c->no,
		(unsigned long long)(start / 1'000), (unsigned long long)(start % 1'000),
		STR_ARG(view_state(c)), c->n_ev, signs[u->verdict.worst]);
	vrd_put_line(&u->text, c, &u->verdict, u->is_ascii);
	term_line(u, y, 0, u->cols, buf_view(&u->text), is_at ? LOOK_CURSOR : look_of(&u->verdict));
}

static void draw_title(const struct tui *u, const struct list *l)
{
	struct buf b;
	char mem[600];
	buf_init_fixed(&b, mem, sizeof mem);
	buf_fmt(&b, "rung scope  %.100s  %zu %s", u->o->title, l->sc.n,
		l->shows_all ? "calls, registrations and others" : "calls");
	if (l->has_filter)
		buf_fmt(&b, " that fit %.200s", u->prompt.is_open ? "what is typed" : u->filter);
	uint64_t size = cap_size(book_cap(u->book)), read = cap_n_read(book_cap(u->book));
	if (u->o->is_live && u->is_reading)
		buf_str(&b, STR("  live"));
	else if (u->is_reading && size)
		buf_fmt(&b, "  reading %u %%", (unsigned)(read * 100 / size));
	term_line(u, 0, 0, u->cols, buf_view(&b), LOOK_HEAD);
}

/* The verdict on the current call, which its row may have no room for. */
static void put_remark(struct tui *u, const struct list *l)
{
	if (l->sc.at >= l->sc.n || vrd_judge(&u->verdict, u->trk, l->rows[l->sc.at]))
		return;
	u->is_error = false;
	buf_str(&u->status, u->verdict.f[0].text);
	buf_mask(&u->status, 0, false);
}

static void draw(struct tui *u, struct screen *s)
{
	struct list *l = (struct list *)s;
	bool is_at_end = l->sc.n && l->sc.at + 1 == l->sc.n;
	follow(u, l);
	if (l->has_filter && !u->prompt.is_open && !u->is_reading &&
	    l->n_messages != trk_stats(u->trk)->n_messages)
		on_filter_typed(u, str_c(u->filter));
	if (u->o->is_live && is_at_end)
		l->sc.at = l->sc.n - 1;
	scroll_fit(&l->sc, body_rows(u));
	draw_title(u, l);
	term_line(u, 1, 0, u->cols,
		  STR("    No      Start State   Msgs   Who, and what came of it"), LOOK_DIM);
	for (int y = 0; y < body_rows(u) && l->sc.top + (size_t)y < l->sc.n; y++)
		draw_row(u, l, l->sc.top + (size_t)y, 2 + y);
	if (!l->sc.n && !u->is_reading)
		term_put(u, 3, 2, u->cols,
			 l->has_filter ? STR("no call fits the filter (/ changes it)")
				       : STR("no call in this capture (t shows registrations and "
					     "all else)"),
			 LOOK_NOTE);
	if (l->why.n && u->prompt.is_open) { /* where, and what was expected */
		struct str rest = buf_view(&l->why);
		int n = 0;
		for (struct str t = rest; t.n; n++)
			str_cut(t, '\n', &t);
		for (int y = u->rows - 2 - n; rest.n; y++)
			term_line(u, y, 0, u->cols, str_cut(rest, '\n', &rest), LOOK_ERROR);
	} else if (!u->prompt.is_open && !u->status.n) {
		put_remark(u, l);
	}
}

/* --- keys ------------------------------------------------------------------------------------- */

const struct trk_call *list_current(const struct screen *s)
{
	const struct list *l = (const struct list *)s;
	return l->sc.at < l->sc.n ? l->rows[l->sc.at] : NULL;
}

/* The marked calls, or the current one: at most max; their number. */
static size_t chosen(const struct list *l, const struct trk_call **out, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < l->sc.n && n < max; i++)
		if (l->rows[i]->is_marked)
			out[n++] = l->rows[i];
	if (!n && l->sc.at < l->sc.n)
		out[n++] = l->rows[l->sc.at];
	return n;
}

static void on_save(struct tui *u, struct str path, bool is_taken)
{
	struct list *l = list_of(u);
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	char name[512];
	if (!is_taken || !path.n || !str_copy(name, sizeof name, path))
		return;
	size_t n = chosen(l, calls, TUI_MAX_CHOSEN);
	struct buf why;
	buf_init(&why);
	if (u->o->save(u->o->arg, name, calls, n, &why))
		tui_say(u, STR_FMT, STR_ARG(buf_view(&why)));
	else
		tui_complain(u, STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
}

static void show_verdict(struct tui *u, const struct trk_call *c)
{
	buf_clear(&u->text);
	if (vrd_judge(&u->verdict, u->trk, c) == OK)
		vrd_put_text(&u->text, u->trk, c, &u->verdict, u->is_ascii);
	tui_push(u, pager_new(STR("What happened, and why"), buf_view(&u->text)));
}

static void show_streams(struct tui *u, const struct list *l)
{
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	const struct view_opts o = {.is_ascii = u->is_ascii};
	size_t n = chosen(l, calls, TUI_MAX_CHOSEN);
	buf_clear(&u->text);
	view_stream_head(&u->text, &o);
	for (size_t i = 0; i < n; i++)
		for (const struct trk_stream *x = calls[i]->streams; x; x = x->next)
			view_stream(&u->text, u->trk, x, &o);
	tui_push(u, pager_new(STR("RTP streams of the chosen calls"), buf_view(&u->text)));
}

static void show_stats(struct tui *u)
{
	const struct view_opts o = {.is_ascii = u->is_ascii};
	buf_clear(&u->text);
	view_stats(&u->text, u->trk, &o);
	tui_push(u, pager_new(STR("Statistics"), buf_view(&u->text)));
}

/* All messages of a call as they were. */
static void put_raw(struct tui *u, const struct trk_call *c, struct buf *b)
{
	uint32_t n;
	const uint32_t *ids = trk_history(u->trk, c, &n);
	for (uint32_t i = 0; ids && i < n; i++) {
		const struct trk_ev *e = trk_ev(u->trk, ids[i]);
		struct str bytes;
		buf_fmt(b, "%s--- frame %u, ", i ? "\n" : "", e->frame_no);
		addr_put(b, &c->peers[e->from].addr);
		buf_str(b, STR(" > "));
		addr_put(b, &c->peers[e->to].addr);
		buf_chr(b, '\n');
		if (book_bytes(u->book, ids[i], &bytes) == OK)
			buf_str(b, bytes);
		else
			buf_str(b, STR("(no longer kept)\n"));
	}
}

static void show_raw(struct tui *u, const struct list *l)
{
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	size_t n = chosen(l, calls, TUI_MAX_CHOSEN);
	buf_clear(&u->text);
	for (size_t i = 0; i < n; i++)
		put_raw(u, calls[i], &u->text);
	tui_push(u, pager_new(STR("Messages"), buf_view(&u->text)));
}

static void compare(struct tui *u, const struct list *l)
{
	const struct trk_call *calls[3];
	if (chosen(l, calls, 3) != 2) {
		tui_complain(u, "mark two calls with Space first");
		return;
	}
	struct buf texts[2];
	char titles[2][60];
	for (int i = 0; i < 2; i++) {
		buf_init(&texts[i]);
		put_raw(u, calls[i], &texts[i]);
		struct buf b;
		buf_init_fixed(&b, titles[i], sizeof titles[i] - 1);
		buf_fmt(&b, "call %u", calls[i]->no);
		titles[i][b.n] = '\0';
	}
	tui_push(u, diff_new(str_c(titles[0]), buf_view(&texts[0]), str_c(titles[1]),
			     buf_view(&texts[1])));
	buf_fini(&texts[0]);
	buf_fini(&texts[1]);
}

/* The whole call: all legs of the current one. */
static void show_legs(struct tui *u, const struct trk_call *c)
{
	const struct trk_call *legs[TRK_MAX_LEGS];
	tui_push(u, flow_new(u, legs, trk_join_legs(c, legs, TRK_MAX_LEGS)));
}

static void show_flow(struct tui *u, const struct list *l)
{
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	size_t n = chosen(l, calls, TUI_MAX_CHOSEN);
	if (n)
		tui_push(u, flow_new(u, calls, n));
}

static void toggle_mark(struct list *l)
{
	if (l->sc.at >= l->sc.n)
		return;
	l->rows[l->sc.at]->is_marked = !l->rows[l->sc.at]->is_marked;
	if (l->sc.at + 1 < l->sc.n)
		l->sc.at++;
}

static void unmark_all(struct list *l)
{
	for (size_t i = 0; i < l->sc.n; i++)
		l->rows[i]->is_marked = false;
}

static bool on_key(struct tui *u, struct screen *s, int key)
{
	struct list *l = (struct list *)s;
	const struct trk_call *c = list_current(s);
	switch (key) {
	case '\r':
	case '\n':
	case KEY_ENTER:
		show_flow(u, l);
		return true;
	case 'x':
	case KEY_F(4):
		if (c)
			show_legs(u, c);
		return true;
	case ' ':
		toggle_mark(l);
		return true;
	case '/':
	case KEY_F(3):
	case KEY_F(7):
		prompt_open(u, "Filter: ", u->filter, on_filter_typed, on_filter_done);
		return true;
	case KEY_F(2):
	case 's':
		prompt_open(u,
			    "Save the marked calls (or this one) as .pcapng .html .svg .txt ...: ",
			    "", NULL, on_save);
		return true;
	case KEY_F(5):
	case 'u':
		unmark_all(l);
		return true;
	case KEY_F(6):
	case 'r':
		show_raw(u, l);
		return true;
	case 't':
		l->shows_all = !l->shows_all;
		make_anew(u, l);
		return true;
	case 'i':
		show_stats(u);
		return true;
	case 'm':
		show_streams(u, l);
		return true;
	case 'v':
		if (c)
			show_verdict(u, c);
		return true;
	case 'd':
		compare(u, l);
		return true;
	default:
		return scroll_key(&l->sc, key, body_rows(u));
	}
}

static void list_free(struct screen *s)
{
	struct list *l = (struct list *)s;
	drop_filter(l);
	buf_fini(&l->why);
	free(l->rows);
	free(l);
}

static const struct screen_ops ops = {
	.draw = draw,
	.key = on_key,
	.free = list_free,
	.keys = "Enter flow  Space mark  / filter  v why  s save  t all  q quit  ? all keys",
	.help = "List of calls\n"
		"  Enter    the flow of the marked calls, or of this one\n"
		"  x F4     the flow of all legs of this call\n"
		"  Space    mark a call;  u F5  unmark all\n"
		"  / F3 F7  filter, in Wireshark's language, applied as it is typed\n"
		"  v        what happened and why\n"
		"  r F6     the messages as they were\n"
		"  m        RTP streams\n"
		"  i        statistics of the capture\n"
		"  d        compare two marked calls\n"
		"  t        show registrations and all else, too\n"
		"  s F2     save to a file; its name tells the format\n"
		"  The sign before a call: ! something is wrong, X it failed, * marked\n",
};

struct screen *list_new(struct tui *u)
{
	struct list *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->s.ops = &ops;
	buf_init(&l->why);
	if (u->o->filter)
		str_copy(u->filter, sizeof u->filter, str_c(u->o->filter));
	l->has_filter = u->filter[0]; /* applied when the capture was read */
	l->n_messages = UINT64_MAX;
	return &l->s;
}
