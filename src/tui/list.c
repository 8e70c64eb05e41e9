/* The list of calls.
 *
 * Rows are the tracker's calls in order of appearance, as far as they fit: the kind (calls alone,
 * or everything), and the filter, which is Wireshark's and is applied while it is typed. A call
 * fits when one of its messages does. New calls are appended as the capture is read; with a filter
 * the list is made anew when more was read.
 *
 * Live, the tracker forgets calls (trk.h), and filters look at messages as they come, and at calls
 * as they change (book_watch):
 * the list is made anew whenever something came or went, before anybody looks at its rows. Marked
 * calls are held. While the list pauses, calls that came later stay out of it; nothing is lost.
 *
 * The verdict of a row is worked out when the row is drawn.
 */
#include "base/grow.h"
#include "track/trk_info.h"
#include "tui/list_priv.h"

#include <stdlib.h>
#include <string.h>

static bool add_row(struct list *l, struct trk_call *c)
{
	struct trk_call **rows = grow(l->rows, &l->cap, l->sc.n, sizeof(*rows));
	if (!rows)
		return false;
	l->rows = rows;
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
	if (l->watch)
		return c->is_fitting;
	for (uint32_t id = c->last_ev; id; id = trk_ev(u->trk, id)->prev)
		if (is_hit(l, id))
			return true;
	return false;
}

/* Looks at the calls behind `last`. */
static void follow(struct tui *u, struct list *l)
{
	struct trk_call *c = l->last ? trk_after(u->trk, l->last) : trk_first(u->trk);
	for (; c && (!u->is_paused || c->no <= l->last_no); c = trk_after(u->trk, c)) {
		if (fits(u, l, c) && !add_row(l, c))
			u->err = ERR_NOMEM;
		l->last = c;
	}
}

/* The cursor stays on its call, or on the one that takes its place. */
static void make_anew(struct tui *u, struct list *l)
{
	size_t i = 0;
	l->sc.n = 0;
	l->last = NULL;
	l->n_forgotten = trk_n_forgotten(u->trk);
	follow(u, l);
	while (i + 1 < l->sc.n && l->rows[i]->no < l->at_no)
		i++;
	l->sc.at = i;
}

/* Before rows are looked at: what came, and what is gone. */
static void renew(struct tui *u, struct list *l)
{
	uint64_t n = trk_stats(u->trk)->n_messages;
	bool is_at_end = !l->sc.n || l->sc.at + 1 == l->sc.n, has_changed = false;
	if (!u->o->is_live) {
		follow(u, l);
		return;
	}
	if (l->watch && book_watch_renew(u->book, &has_changed))
		u->err = ERR_NOMEM;
	if (has_changed || n != l->n_messages || l->n_forgotten != trk_n_forgotten(u->trk)) {
		make_anew(u, l);
		l->n_messages = n;
		if (is_at_end && l->sc.n)
			l->sc.at = l->sc.n - 1;
	}
}

/* --- the filter ------------------------------------------------------------------------------- */

static void drop_filter(struct list *l)
{
	free(l->hits);
	l->hits = NULL;
	l->n_hits = 0;
	l->has_filter = false;
	flt_free(l->watch);
	l->watch = NULL;
}

/* Takes f, also on failure. */
static void watch(struct tui *u, struct list *l, struct flt *f)
{
	enum err e = book_watch(u->book, f);
	if (e) {
		tui_complain(u, "the filter cannot be applied: %s", err_text(e));
		flt_free(f);
		e = book_watch(u->book, l->watch);
		l->has_filter = l->watch && !e;
	} else {
		drop_filter(l);
		l->watch = f;
		l->has_filter = true;
		l->n_messages = trk_stats(u->trk)->n_messages;
	}
	make_anew(u, l);
}

static void apply(struct tui *u, struct list *l, struct flt *f)
{
	uint32_t *ids = NULL;
	size_t n = 0;
	enum err e = l->watch ? book_watch(u->book, NULL) : OK;
	e = e ? e : book_filter(u->book, f, &ids, &n);
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
		if (l->watch && book_watch(u->book, NULL))
			u->err = ERR_NOMEM;
		drop_filter(l);
		make_anew(u, l);
	} else if (flt_compile(text, &f, &l->why)) {
		u->err = l->why.n ? u->err : ERR_NOMEM;
	} else if (u->o->is_live || flt_needs(f) & FLT_NEEDS_CALLS) {
		watch(u, l, f);
	} else {
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
		STR_ARG(trk_state_name(c)), c->n_ev, signs[u->verdict.worst]);
	vrd_put_line(&u->text, c, &u->verdict, u->is_ascii);
	term_line(u, y, 0, u->cols, buf_view(&u->text), is_at ? LOOK_CURSOR : look_of(&u->verdict));
}

static void put_live(const struct tui *u, const struct list *l, struct buf *b)
{
	buf_str(b, u->is_reading ? STR("  live") : STR("  ended"));
	if (u->is_reading && u->o->state)
		u->o->state(u->o->arg, b);
	if (!u->is_paused)
		return;
	unsigned n = 0;
	for (const struct trk_call *c = trk_last(u->trk); c && c->no > l->last_no;
	     c = trk_before(u->trk, c))
		n += fits(u, l, c);
	buf_fmt(b, "  pausing, %u more (p goes on)", n);
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
	if (u->o->is_live)
		put_live(u, l, &b);
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
	bool is_to_apply = u->o->is_live ? !l->watch : !u->is_reading;
	if (l->has_filter && !u->prompt.is_open && is_to_apply &&
	    l->n_messages != trk_stats(u->trk)->n_messages)
		on_filter_typed(u, str_c(u->filter));
	renew(u, l);
	scroll_fit(&l->sc, body_rows(u));
	l->at_no = l->sc.n ? l->rows[l->sc.at]->no : 0;
	draw_title(u, l);
	term_line(u, 1, 0, u->cols,
		  STR("    No      Start State   Msgs   Who, and what came of it"), LOOK_DIM);
	for (int y = 0; y < body_rows(u) && l->sc.top + (size_t)y < l->sc.n; y++)
		draw_row(u, l, l->sc.top + (size_t)y, 2 + y);
	if (!l->sc.n && (!u->is_reading || u->o->is_live))
		term_put(u, 3, 2, u->cols,
			 l->has_filter   ? STR("no call fits the filter (/ changes it)")
			 : u->o->is_live ? STR("no call yet (t shows registrations and all else)")
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

static void toggle_pause(struct tui *u, struct list *l)
{
	const struct trk_call *last = trk_last(u->trk);
	u->is_paused = !u->is_paused;
	l->last_no = last ? last->no : 0;
	make_anew(u, l);
}

static bool on_key(struct tui *u, struct screen *s, int key)
{
	struct list *l = (struct list *)s;
	switch (key) {
	case '/':
	case KEY_F(3):
	case KEY_F(7):
		prompt_open(u, "Filter: ", u->filter, on_filter_typed, on_filter_done);
		return true;
	case 'p':
		if (u->o->is_live)
			toggle_pause(u, l);
		return true;
	case 't':
		l->shows_all = !l->shows_all;
		make_anew(u, l);
		return true;
	default:
		return list_act(u, l, key) || scroll_key(&l->sc, key, body_rows(u));
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
		"  J        the marked calls are legs of one call: join them\n"
		"  S        they, or this one, are not: break their joins\n"
		"  t        show registrations and all else, too\n"
		"  s F2     save to a file; its name tells the format\n"
		"  p        live: the list pauses, or goes on; nothing is lost meanwhile\n"
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
