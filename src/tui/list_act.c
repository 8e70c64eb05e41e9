/* What the keys of the list of calls do with the marked calls, or with the one under the cursor: a
 * screen of them is pushed, they are saved, joined, split, marked. One row of `acts` a key. */
#include "base/assert.h"
#include "scope/view.h"
#include "track/trk_join.h"
#include "tui/list_priv.h"

#include <string.h>

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

static void ask_save(struct tui *u, struct list *l)
{
	(void)l;
	prompt_open(u,
		    "Save the marked calls (or this one) as .pcapng .html .svg .mmd .json .txt: ",
		    "", NULL, on_save);
}

static void show_verdict(struct tui *u, struct list *l)
{
	const struct trk_call *c = list_current(&l->s);
	if (!c)
		return;
	buf_clear(&u->text);
	if (vrd_judge(&u->verdict, u->trk, c) == OK)
		vrd_put_text(&u->text, u->trk, c, &u->verdict, u->is_ascii);
	tui_push(u, pager_new(STR("What happened, and why"), buf_view(&u->text)));
}

static void show_streams(struct tui *u, struct list *l)
{
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	const struct view_opts o = {.is_ascii = u->is_ascii};
	size_t n = chosen(l, calls, TUI_MAX_CHOSEN);
	buf_clear(&u->text);
	view_stream_head(&u->text, &o);
	for (size_t i = 0; i < n; i++)
		for (const struct trk_stream *x = trk_av(calls[i])->streams; x; x = x->next)
			view_stream(&u->text, u->trk, x, &o);
	tui_push(u, pager_new(STR("RTP streams of the chosen calls"), buf_view(&u->text)));
}

static void show_stats(struct tui *u, struct list *l)
{
	(void)l;
	const struct view_opts o = {.is_ascii = u->is_ascii};
	buf_clear(&u->text);
	view_stats(&u->text, u->trk, &o);
	tui_push(u, pager_new(STR("Statistics"), buf_view(&u->text)));
}

/* All messages of a call as they were. */
static void put_raw(struct tui *u, const struct trk_call *c, struct buf *b)
{
	uint32_t n;
	const struct trk_ev *const *rows = trk_history(u->trk, c, &n);
	for (uint32_t i = 0; rows && i < n; i++) {
		const struct trk_ev *e = rows[i];
		struct str bytes;
		buf_fmt(b, "%s--- frame %u, ", i ? "\n" : "", e->frame_no);
		addr_put(b, &c->peers[e->from].addr);
		buf_str(b, STR(" > "));
		addr_put(b, &c->peers[e->to].addr);
		buf_chr(b, '\n');
		if (book_bytes(u->book, trk_ev_id(e), &bytes) == OK)
			buf_str(b, bytes);
		else
			buf_str(b, STR("(no longer kept)\n"));
	}
}

static void show_raw(struct tui *u, struct list *l)
{
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	size_t n = chosen(l, calls, TUI_MAX_CHOSEN);
	buf_clear(&u->text);
	for (size_t i = 0; i < n; i++)
		put_raw(u, calls[i], &u->text);
	tui_push(u, pager_new(STR("Messages"), buf_view(&u->text)));
}

static void compare(struct tui *u, struct list *l)
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

/* The marked calls become legs of one. */
static void join_marked(struct tui *u, struct list *l)
{
	struct trk_call *first = NULL;
	unsigned n = 0;
	for (size_t i = 0; i < l->sc.n; i++) {
		if (!l->rows[i]->is_marked)
			continue;
		if (!first)
			first = l->rows[i];
		else if (trk_join_add(u->trk, first, l->rows[i]) == OK)
			n++;
	}
	if (n)
		tui_say(u, "%u calls are one now, by hand (x shows it)", n + 1);
	else
		tui_complain(u, "mark the calls that are one with Space first");
}

/* No join is left from the marked calls, or the current one, to any other. */
static void split_marked(struct tui *u, struct list *l)
{
	unsigned n = 0, n_marked = 0;
	for (size_t i = 0; i < l->sc.n; i++)
		n_marked += l->rows[i]->is_marked;
	for (size_t i = 0; i < l->sc.n; i++) {
		struct trk_call *c = l->rows[i];
		const struct trk_join *j;
		while ((n_marked ? c->is_marked : i == l->sc.at) && (j = trk_join_next(c, NULL)) &&
		       trk_join_break(u->trk, j->a, j->b))
			n++;
	}
	if (n)
		tui_say(u, "%u %s broken", n, n == 1 ? "join" : "joins");
	else
		tui_complain(u, "these calls are joined with no other");
}

static void show_flow(struct tui *u, struct list *l)
{
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	size_t n = chosen(l, calls, TUI_MAX_CHOSEN);
	if (n)
		tui_push(u, flow_new(u, calls, n));
}

static void show_whole(struct tui *u, struct list *l)
{
	const struct trk_call *c = list_current(&l->s);
	if (c)
		tui_push(u, flow_new_whole(u, c));
}

static void set_mark(struct tui *u, struct trk_call *c, bool is_on)
{
	if (c->is_marked != is_on)
		trk_hold(u->trk, c, is_on);
	c->is_marked = is_on;
}

static void toggle_mark(struct tui *u, struct list *l)
{
	if (l->sc.at >= l->sc.n)
		return;
	set_mark(u, l->rows[l->sc.at], !l->rows[l->sc.at]->is_marked);
	if (l->sc.at + 1 < l->sc.n)
		l->sc.at++;
}

static void unmark_all(struct tui *u, struct list *l)
{
	for (size_t i = 0; i < l->sc.n; i++)
		set_mark(u, l->rows[i], false);
}

bool list_act(struct tui *u, struct list *l, int key)
{
	static const struct {
		int key;
		void (*fn)(struct tui *u, struct list *l);
	} acts[] = {
		{'\r',      show_flow   },
                {'\n',      show_flow   },
                {KEY_ENTER, show_flow   },
		{'x',       show_whole  },
                {KEY_F(4),  show_whole  },
                {' ',       toggle_mark },
		{'u',       unmark_all  },
                {KEY_F(5),  unmark_all  },
                {'s',       ask_save    },
		{KEY_F(2),  ask_save    },
                {'r',       show_raw    },
                {KEY_F(6),  show_raw    },
		{'J',       join_marked },
                {'S',       split_marked},
                {'i',       show_stats  },
		{'m',       show_streams},
                {'v',       show_verdict},
                {'d',       compare     },
	};
	for (size_t i = 0; i < ARRAY_LEN(acts); i++)
		if (acts[i].key == key) {
			acts[i].fn(u, l);
			return true;
		}
	return false;
}
