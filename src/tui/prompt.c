/* One line to be typed in, on the last line but one: filters, names of files, words to search. */
#include "tui/tui_priv.h"

#include <string.h>

void prompt_open(struct tui *u, const char *label, const char *text,
		 void (*changed)(struct tui *u, struct str text),
		 void (*done)(struct tui *u, struct str text, bool is_taken))
{
	struct prompt *p = &u->prompt;
	*p = (struct prompt){.is_open = true, .label = label, .changed = changed, .done = done};
	str_copy(p->text, sizeof p->text, str_c(text));
	p->n = p->at = strlen(p->text);
	curs_set(1);
}

static struct str text_of(const struct prompt *p)
{
	return str_of(p->text, p->n);
}

static void end(struct tui *u, bool is_taken)
{
	u->prompt.is_open = false;
	curs_set(0);
	u->prompt.done(u, text_of(&u->prompt), is_taken);
}

static bool is_middle(char c) /* of a character of several bytes */
{
	return ((uint8_t)c & 0xc0) == 0x80;
}

static void cut_out(struct prompt *p, size_t from, size_t to)
{
	memmove(p->text + from, p->text + to, p->n - to);
	p->n -= to - from;
	p->at = from;
}

static size_t before(const struct prompt *p)
{
	size_t at = p->at;
	while (at && is_middle(p->text[at - 1]))
		at--;
	return at ? at - 1 : 0;
}

static size_t behind(const struct prompt *p)
{
	size_t at = p->at < p->n ? p->at + 1 : p->n;
	while (at < p->n && is_middle(p->text[at]))
		at++;
	return at;
}

static size_t word_before(const struct prompt *p)
{
	size_t at = p->at;
	while (at && p->text[at - 1] == ' ')
		at--;
	while (at && p->text[at - 1] != ' ')
		at--;
	return at;
}

static void insert(struct prompt *p, char c)
{
	if (p->n + 1 >= sizeof p->text)
		return;
	memmove(p->text + p->at + 1, p->text + p->at, p->n - p->at);
	p->text[p->at++] = c;
	p->n++;
}

/* The usual keys of a line editor; true: the text changed. */
static bool edit(struct prompt *p, int key)
{
	enum { CTRL_A = 1, CTRL_D = 4, CTRL_E, CTRL_K = 11, CTRL_U = 21, CTRL_W = 23 };
	size_t n = p->n;
	if (key == KEY_LEFT)
		p->at = before(p);
	else if (key == KEY_RIGHT)
		p->at = behind(p);
	else if (key == KEY_HOME || key == CTRL_A)
		p->at = 0;
	else if (key == KEY_END || key == CTRL_E)
		p->at = p->n;
	else if (key == KEY_BACKSPACE || key == 127 || key == 8)
		cut_out(p, before(p), p->at);
	else if (key == KEY_DC || key == CTRL_D)
		cut_out(p, p->at, behind(p));
	else if (key == CTRL_U)
		cut_out(p, 0, p->at);
	else if (key == CTRL_K)
		p->n = p->at;
	else if (key == CTRL_W)
		cut_out(p, word_before(p), p->at);
	else if (key >= ' ' && key < 256)
		insert(p, (char)key);
	return p->n != n;
}

void prompt_key(struct tui *u, int key)
{
	struct prompt *p = &u->prompt;
	if (key == 27 || key == 3) {
		end(u, false);
	} else if (key == '\r' || key == '\n' || key == KEY_ENTER) {
		end(u, true);
	} else if (edit(p, key) && p->changed) {
		p->text[p->n] = '\0';
		p->changed(u, text_of(p));
	}
}

void prompt_draw(struct tui *u, int y)
{
	struct prompt *p = &u->prompt;
	int x = term_put(u, y, 0, u->cols, str_c(p->label), LOOK_KEY);
	/* a long text is shown around its cursor */
	size_t room = (size_t)(u->cols - x - 1), from = 0;
	if (p->at > room)
		from = p->at - room;
	while (from < p->n && is_middle(p->text[from]))
		from++;
	term_line(u, y, x, u->cols - x, str_sub(text_of(p), from, p->n), LOOK_PLAIN);
	int cursor =
		term_put(u, y, x, u->cols - x, str_sub(text_of(p), from, p->at - from), LOOK_PLAIN);
	move(y, x + cursor);
}
