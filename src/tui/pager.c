/* Lines of text to be scrolled and searched: verdicts, statistics, help; and SIP messages, whose
 * start line and header names stand out. Long lines are folded, never cut.
 */
#include "tui/tui_priv.h"

#include <stdlib.h>
#include <string.h>

struct pager {
	struct screen s;
	struct buf text;
	char title[120];
	bool is_message;
	struct scroll sc; /* over lines as they are drawn */
	char word[80];    /* searched */
	int cols;         /* that the lines are folded to */
};

/* The next piece of at most `cols` columns of a line; bytes and columns are the same thing here for
 * folding: a line of other letters folds early. */
static struct str fold(struct str *rest, int cols)
{
	size_t lf = str_chr(*rest, '\n'), n = lf == SIZE_MAX ? rest->n : lf;
	bool is_end = n <= (size_t)cols;
	if (!is_end) {
		n = (size_t)cols;
		while (n > 1 && ((uint8_t)rest->p[n] & 0xc0) == 0x80)
			n--;
	}
	struct str line = str_sub(*rest, 0, n);
	*rest = str_skip(*rest, is_end && n < rest->n ? n + 1 : n);
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static enum tui_look look_of_start(struct str line)
{
	if (!str_starts(line, STR("SIP/")) || line.n < 9)
		return LOOK_REQUEST;
	switch (line.p[8]) {
	case '1':
		return LOOK_1XX;
	case '2':
		return LOOK_2XX;
	case '3':
		return LOOK_3XX;
	default:
		return LOOK_ERROR;
	}
}

size_t pager_put_message(const struct tui *u, struct str text, int y, int x, int rows, int cols,
			 size_t from)
{
	size_t n = 0;
	bool is_head = true, is_whole = true; /* the piece begins a line */
	for (struct str rest = text; rest.n; n++) {
		struct str line = fold(&rest, cols);
		int at = (int)(n - from);
		bool is_seen = n >= from && at < rows;
		size_t colon = is_head && is_whole && n ? str_chr(line, ':') : SIZE_MAX;
		if (is_head && is_whole && !line.n && n)
			is_head = false;
		if (is_seen && n == 0)
			term_put(u, y + at, x, cols, line, look_of_start(line));
		else if (is_seen && colon != SIZE_MAX && line.p[0] != ' ') {
			int used =
				term_put(u, y + at, x, cols, str_sub(line, 0, colon + 1), LOOK_KEY);
			term_put(u, y + at, x + used, cols - used, str_skip(line, colon + 1),
				 LOOK_PLAIN);
		} else if (is_seen) {
			term_put(u, y + at, x, cols, line, LOOK_PLAIN);
		}
		is_whole = rest.p > text.p && rest.p[-1] == '\n';
	}
	return n;
}

static size_t put_text(const struct tui *u, const struct pager *p, int y, int rows, int cols)
{
	size_t n = 0;
	for (struct str rest = buf_view(&p->text); rest.n; n++) {
		struct str line = fold(&rest, cols);
		int at = (int)(n - p->sc.top);
		if (n < p->sc.top || at >= rows)
			continue;
		bool is_hit = p->word[0] && str_ifind(line, str_c(p->word)) != SIZE_MAX;
		term_put(u, y + at, 0, cols, line, is_hit ? LOOK_NOTE : LOOK_PLAIN);
	}
	return n;
}

static int body_rows(const struct tui *u)
{
	return u->rows - 3;
}

static void draw(struct tui *u, struct screen *s)
{
	struct pager *p = (struct pager *)s;
	p->cols = u->cols;
	term_line(u, 0, 0, u->cols, str_c(p->title), LOOK_HEAD);
	p->sc.n = p->is_message ? pager_put_message(u, buf_view(&p->text), 1, 0, body_rows(u),
						    u->cols, p->sc.top)
				: put_text(u, p, 1, body_rows(u), u->cols);
}

/* From the line below the topmost on, then from the first. */
static void search(struct tui *u, struct pager *p)
{
	size_t n = 0, first = SIZE_MAX, next = SIZE_MAX;
	for (struct str rest = buf_view(&p->text); rest.n; n++) {
		struct str line = fold(&rest, p->cols);
		if (str_ifind(line, str_c(p->word)) == SIZE_MAX)
			continue;
		if (first == SIZE_MAX)
			first = n;
		if (next == SIZE_MAX && n > p->sc.top)
			next = n;
	}
	if (first == SIZE_MAX)
		tui_complain(u, "not found: %s", p->word);
	else
		p->sc.at = p->sc.top = next != SIZE_MAX ? next : first;
}

static void on_word(struct tui *u, struct str text, bool is_taken)
{
	struct pager *p = (struct pager *)u->stack[u->n - 1];
	if (!is_taken || !str_copy(p->word, sizeof p->word, text) || !text.n)
		return;
	search(u, p);
}

static bool on_key(struct tui *u, struct screen *s, int key)
{
	struct pager *p = (struct pager *)s;
	int rows = body_rows(u);
	if (key == '/' || key == KEY_F(3)) {
		prompt_open(u, "Search: ", "", NULL, on_word);
		return true;
	}
	if (key == 'n' && p->word[0]) {
		search(u, p);
		return true;
	}
	/* there is no cursor: the top line moves */
	struct scroll top = {.n = p->sc.n > (size_t)rows ? p->sc.n - (size_t)rows + 1 : 1,
			     .at = p->sc.top};
	if (key == ' ')
		key = KEY_NPAGE;
	if (!scroll_key(&top, key, rows))
		return false;
	p->sc.top = top.at;
	return true;
}

static void pager_free(struct screen *s)
{
	struct pager *p = (struct pager *)s;
	buf_fini(&p->text);
	free(p);
}

static const struct screen_ops ops = {
	.draw = draw,
	.key = on_key,
	.free = pager_free,
	.keys = "/ search  n next  Space page down  q back  ? help",
	.help = "Text\n  / F3     search\n  n        the next place\n  Space    a page down\n",
};

struct screen *pager_new(struct str title, struct str text)
{
	struct pager *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->s.ops = &ops;
	p->cols = 80;
	buf_init(&p->text);
	buf_str(&p->text, text);
	str_copy(p->title, sizeof p->title, str_sub(title, 0, sizeof p->title - 1));
	if (p->text.err) {
		pager_free(&p->s);
		return NULL;
	}
	return &p->s;
}

struct screen *pager_new_message(struct str title, struct str text)
{
	struct screen *s = pager_new(title, text);
	if (s)
		((struct pager *)s)->is_message = true;
	return s;
}
