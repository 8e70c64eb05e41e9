/* The loop: draw the topmost screen, take a key, read on.
 *
 * While the capture is still being read, reading goes on between keys, so that the first screen is
 * there before the file is at its end. Live, keys and packets are waited for together
 * (tui_opts.more does it), and what has come is drawn ten times a second. Screens never wait.
 *
 * Lines of the terminal: title; the screen; status or prompt; keys.
 */
#include "tui/tui_priv.h"

#include <stdarg.h>
#include <stdlib.h>

void tui_say(struct tui *u, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_clear(&u->status);
	buf_vfmt(&u->status, fmt, ap);
	u->is_error = false;
	va_end(ap);
}

void tui_complain(struct tui *u, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_clear(&u->status);
	buf_vfmt(&u->status, fmt, ap);
	u->is_error = true;
	va_end(ap);
}

void tui_push(struct tui *u, struct screen *s)
{
	if (!s)
		tui_complain(u, "no memory for that");
	else if (u->n == TUI_MAX_SCREENS)
		s->ops->free(s);
	else
		u->stack[u->n++] = s;
}

void tui_pop(struct tui *u)
{
	struct screen *s = u->stack[--u->n];
	s->ops->free(s);
	u->is_done = u->n == 0;
}

static struct screen *top(const struct tui *u)
{
	return u->stack[u->n - 1];
}

static void show_help(struct tui *u)
{
	static const char common[] = "\nEverywhere\n"
				     "  arrows j k PgUp PgDn Home End, mouse wheel   move\n"
				     "  ? F1     this help\n"
				     "  q Esc    back; in the list of calls: leave\n"
				     "  Ctrl-L   draw the screen anew\n";
	buf_clear(&u->text);
	buf_fmt(&u->text, "%s%s", top(u)->ops->help, common);
	tui_push(u, pager_new(STR("Keys"), buf_view(&u->text)));
}

static void draw(struct tui *u)
{
	erase();
	top(u)->ops->draw(u, top(u));
	int y = u->rows - 2;
	if (u->prompt.is_open)
		prompt_draw(u, y);
	else
		term_line(u, y, 0, u->cols, buf_view(&u->status),
			  u->is_error ? LOOK_ERROR : LOOK_NOTE);
	term_line(u, u->rows - 1, 0, u->cols, str_c(top(u)->ops->keys), LOOK_KEY);
	if (u->prompt.is_open)
		prompt_draw(u, y); /* leaves the cursor there */
	refresh();
}

static void on_key(struct tui *u, int key)
{
	enum { CTRL_C = 3, CTRL_L = 12, ESC = 27 };
	if (key == KEY_RESIZE) {
		term_size(u);
		return;
	}
	if (key == CTRL_L) {
		clearok(stdscr, TRUE);
		return;
	}
	if (u->prompt.is_open) {
		prompt_key(u, key);
		return;
	}
	buf_clear(&u->status);
	if (top(u)->ops->key(u, top(u), key))
		return;
	if (key == '?' || key == KEY_F(1))
		show_help(u);
	else if (key == 'q' || key == ESC)
		tui_pop(u);
	else if (key == CTRL_C)
		u->is_done = true;
}

static void loop(struct tui *u)
{
	while (!u->is_done) {
		draw(u);
		timeout(u->is_reading ? 0 : -1);
		int key = getch();
		if (key != ERR)
			on_key(u, key);
		else if (u->is_reading)
			u->is_reading = u->o->more(u->o->arg);
	}
}

enum err tui_run(struct book *b, const struct tui_opts *o)
{
	struct tui u = {.book = b, .trk = book_trk(b), .o = o, .is_reading = true};
	enum err e = term_begin(&u);
	if (e)
		return e;
	buf_init(&u.status);
	buf_init(&u.text);
	vrd_init(&u.verdict);
	tui_push(&u, list_new(&u));
	if (u.n)
		loop(&u);
	else
		e = ERR_NOMEM;
	while (u.n)
		tui_pop(&u);
	term_end();
	vrd_fini(&u.verdict);
	buf_fini(&u.text);
	buf_fini(&u.status);
	return e;
}

/* --- scrolling -------------------------------------------------------------------------------- */

void scroll_fit(struct scroll *s, int rows)
{
	size_t r = rows > 0 ? (size_t)rows : 1;
	if (s->at >= s->n)
		s->at = s->n ? s->n - 1 : 0;
	if (s->at < s->top)
		s->top = s->at;
	if (s->at >= s->top + r)
		s->top = s->at - r + 1;
	if (s->top && s->top + r > s->n)
		s->top = s->n > r ? s->n - r : 0;
}

static void move_by(struct scroll *s, long by)
{
	long at = (long)s->at + by;
	s->at = at < 0 ? 0 : (size_t)at;
}

bool scroll_key(struct scroll *s, int key, int rows)
{
	MEVENT m;
	if (key == KEY_MOUSE && getmouse(&m) == OK) {
		if (m.bstate & BUTTON4_PRESSED)
			move_by(s, -3);
		else if (m.bstate & BUTTON5_PRESSED)
			move_by(s, 3);
		else
			s->at = s->top + (size_t)(m.y > 2 ? m.y - 2 : 0); /* below title and head */
	} else if (key == KEY_UP || key == 'k') {
		move_by(s, -1);
	} else if (key == KEY_DOWN || key == 'j') {
		move_by(s, 1);
	} else if (key == KEY_PPAGE || key == 2) {
		move_by(s, -rows);
	} else if (key == KEY_NPAGE || key == 6) {
		move_by(s, rows);
	} else if (key == KEY_HOME || key == 'g') {
		s->at = 0;
	} else if (key == KEY_END || key == 'G') {
		s->at = s->n ? s->n - 1 : 0;
	} else {
		return false;
	}
	scroll_fit(s, rows);
	return true;
}
