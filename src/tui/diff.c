/* Two texts side by side, aligned line by line (the longest common subsequence of lines), the first
 * difference in sight. What differs is marked between the columns, so that colour is not needed.
 */
#include "tui/tui_priv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINES 600 /* of each text: the table has its square */

struct pair {
	struct str left, right; /* p NULL: no line on that side */
};

struct diff {
	struct screen s;
	struct buf texts[2];
	char titles[2][80];
	struct pair pairs[2 * MAX_LINES];
	struct scroll sc;
};

static size_t split(struct str text, struct str *lines)
{
	size_t n = 0;
	while (text.n && n < MAX_LINES) {
		struct str line = str_cut(text, '\n', &text);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		lines[n++] = line;
	}
	return n;
}

/* "Via: a" and "Via: b" stand beside each other. */
static bool is_same_kind(struct str a, struct str b)
{
	size_t x = str_chr(a, ':'), y = str_chr(b, ':');
	if (x != SIZE_MAX && x == y && x < 40)
		return str_ieq(str_sub(a, 0, x), str_sub(b, 0, y));
	return a.n > 2 && b.n > 2 && a.p[1] == '=' && b.p[1] == '=' && a.p[0] == b.p[0];
}

static unsigned weight(struct str a, struct str b)
{
	return str_eq(a, b) ? 3 : is_same_kind(a, b) ? 2 : 0;
}

static void align(struct diff *d, const struct str *a, size_t n, const struct str *b, size_t m,
		  uint16_t *best)
{
	size_t w = m + 1;
	for (size_t i = n; i-- > 0;)
		for (size_t k = m; k-- > 0;) {
			uint16_t down = best[(i + 1) * w + k], right = best[i * w + k + 1];
			unsigned same = weight(a[i], b[k]);
			unsigned both = same ? best[(i + 1) * w + k + 1] + same : 0;
			uint16_t skip = down > right ? down : right;
			best[i * w + k] = (uint16_t)(both > skip ? both : skip);
		}
	for (size_t i = 0, k = 0; i < n || k < m;) {
		unsigned same = i < n && k < m ? weight(a[i], b[k]) : 0;
		struct pair *p = &d->pairs[d->sc.n++];
		if (same && best[i * w + k] == best[(i + 1) * w + k + 1] + same)
			*p = (struct pair){a[i++], b[k++]};
		else if (k == m || (i < n && best[(i + 1) * w + k] >= best[i * w + k + 1]))
			p->left = a[i++];
		else
			p->right = b[k++];
	}
}

static bool is_equal(const struct pair *p)
{
	return p->left.p && p->right.p && str_eq(p->left, p->right);
}

static int body_rows(const struct tui *u)
{
	return u->rows - 4;
}

static void draw(struct tui *u, struct screen *s)
{
	struct diff *d = (struct diff *)s;
	int half = (u->cols - 3) / 2;
	scroll_fit(&d->sc, body_rows(u));
	term_line(u, 0, 0, u->cols, STR("What differs"), LOOK_HEAD);
	term_line(u, 1, 0, half, str_c(d->titles[0]), LOOK_DIM);
	term_line(u, 1, half + 3, half, str_c(d->titles[1]), LOOK_DIM);
	for (int y = 0; y < body_rows(u) && d->sc.top + (size_t)y < d->sc.n; y++) {
		size_t i = d->sc.top + (size_t)y;
		const struct pair *p = &d->pairs[i];
		bool is_at = i == d->sc.at;
		const char *sign = is_equal(p)   ? "   "
				   : !p->left.p  ? " + "
				   : !p->right.p ? " - "
						 : " * ";
		enum tui_look look = is_at ? LOOK_CURSOR : is_equal(p) ? LOOK_PLAIN : LOOK_NOTE;
		term_line(u, 2 + y, 0, half, p->left, look);
		term_put(u, 2 + y, half, 3, str_c(sign), LOOK_KEY);
		term_line(u, 2 + y, half + 3, half, p->right, look);
	}
}

static bool next_difference(struct diff *d, bool is_back)
{
	size_t i = d->sc.at;
	while (is_back ? i-- > 0 : ++i < d->sc.n)
		if (!is_equal(&d->pairs[i])) {
			d->sc.at = i;
			return true;
		}
	return false;
}

static bool on_key(struct tui *u, struct screen *s, int key)
{
	struct diff *d = (struct diff *)s;
	if (key == 'n' || key == 'N') {
		if (!next_difference(d, key == 'N'))
			tui_say(u, "no further difference");
		return true;
	}
	return scroll_key(&d->sc, key, body_rows(u));
}

static void diff_free(struct screen *s)
{
	struct diff *d = (struct diff *)s;
	buf_fini(&d->texts[0]);
	buf_fini(&d->texts[1]);
	free(d);
}

static const struct screen_ops ops = {
	.draw = draw,
	.key = on_key,
	.free = diff_free,
	.keys = "n next difference  N the one before  q back  ? help",
	.help = "Two messages compared\n  n N      next difference, the one before\n"
		"  * differs, - only left, + only right\n",
};

struct screen *diff_new(struct str left_title, struct str left, struct str right_title,
			struct str right)
{
	struct diff *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->s.ops = &ops;
	buf_init(&d->texts[0]);
	buf_init(&d->texts[1]);
	buf_str(&d->texts[0], left);
	buf_str(&d->texts[1], right);
	str_copy(d->titles[0], sizeof d->titles[0], left_title);
	str_copy(d->titles[1], sizeof d->titles[1], right_title);
	struct str *lines = calloc(2 * (size_t)MAX_LINES, sizeof *lines);
	uint16_t *best = NULL;
	if (lines && !d->texts[0].err && !d->texts[1].err) {
		size_t n = split(buf_view(&d->texts[0]), lines);
		size_t m = split(buf_view(&d->texts[1]), lines + MAX_LINES);
		best = calloc((n + 1) * (m + 1), sizeof *best);
		if (best)
			align(d, lines, n, lines + MAX_LINES, m, best);
	}
	free(lines);
	if (!best) {
		diff_free(&d->s);
		return NULL;
	}
	free(best);
	if (d->sc.n && is_equal(&d->pairs[0]))
		next_difference(d, false);
	return &d->s;
}
