#pragma once
/* Inside: a stack of screens, of which the topmost is drawn and gets the keys. tui.c runs them,
 * term.c draws on the terminal, prompt.c asks for a line; each other file is a kind of screen. */

#include "scope/sheet.h"
#include "tui/tui.h"

#define NCURSES_WIDECHAR 1
#include <ncurses.h>

#define TUI_MAX_SCREENS 12

struct tui;
struct screen;

struct screen_ops {
	void (*draw)(struct tui *u, struct screen *s);
	bool (*key)(struct tui *u, struct screen *s, int key); /* false: not known here */
	void (*free)(struct screen *s);
	const char *keys; /* the last line of the terminal */
	const char *help; /* lines, of the help screen */
};
struct screen { /* the first member of each kind */
	const struct screen_ops *ops;
};

struct prompt {
	bool is_open;
	const char *label;
	char text[512];
	size_t n, at;                                    /* bytes; the cursor */
	void (*changed)(struct tui *u, struct str text); /* as it is typed; may be NULL */
	void (*done)(struct tui *u, struct str text, bool is_taken);
};

struct tui {
	struct book *book;
	struct trk *trk;
	const struct tui_opts *o;
	struct screen *stack[TUI_MAX_SCREENS];
	unsigned n;
	int rows, cols;
	bool is_ascii, has_colour, is_done, is_reading;
	struct prompt prompt;
	struct buf status; /* above the keys, until the next key */
	bool is_error;     /* the status tells a mistake */
	struct vrd verdict;
	struct buf text; /* scratch */
	enum err err;
	/* of the list, see list.c */
	char filter[512];
	bool is_paused;
};

/* tui.c */
void tui_push(struct tui *u, struct screen *s); /* takes it; NULL: tells of no memory */
void tui_pop(struct tui *u);
[[gnu::format(printf, 2, 3)]] void tui_say(struct tui *u, const char *fmt, ...);
[[gnu::format(printf, 2, 3)]] void tui_complain(struct tui *u, const char *fmt, ...);

/* term.c */
enum tui_look {
	LOOK_PLAIN,
	LOOK_HEAD,   /* titles, column heads */
	LOOK_CURSOR, /* the line that keys act on */
	LOOK_DIM,
	LOOK_KEY,
	LOOK_REQUEST,
	LOOK_1XX,
	LOOK_2XX,
	LOOK_3XX,
	LOOK_ERROR,
	LOOK_MEDIA,
	LOOK_NOTE,
	LOOK__N
};
enum err term_begin(struct tui *u);
void term_end(void);
void term_size(struct tui *u);
enum tui_look term_look_of(enum sheet_tone t);
/* Puts text into at most `cols` columns of a line; control characters and broken UTF-8 become '?',
 * what does not fit is cut with a mark. Returns the columns used. */
int term_put(const struct tui *u, int y, int x, int cols, struct str s, enum tui_look look);
/* The same, and blanks up to cols. */
void term_line(const struct tui *u, int y, int x, int cols, struct str s, enum tui_look look);
/* The signs of this terminal: plain ones where it knows no others. */
const char *term_sign(const struct tui *u, const char *sign, const char *plain);

/* prompt.c */
void prompt_open(struct tui *u, const char *label, const char *text,
		 void (*changed)(struct tui *u, struct str text),
		 void (*done)(struct tui *u, struct str text, bool is_taken));
void prompt_key(struct tui *u, int key);
void prompt_draw(struct tui *u, int y);

/* A window of `rows` lines over `n` items with a cursor. */
struct scroll {
	size_t n, at, top;
};
/* Moves for the keys that all lists know (arrows, j k, pages, ends, the wheel); false: another
 * key. */
bool scroll_key(struct scroll *s, int key, int rows);
void scroll_fit(struct scroll *s, int rows); /* keeps the cursor inside and in sight */

/* pager.c: lines of text. Takes nothing: copies the text. NULL without memory. */
struct screen *pager_new(struct str title, struct str text);
/* Puts a SIP message's text with its parts in their looks, from line `top` on; its lines. */
size_t pager_put_message(const struct tui *u, struct str text, int y, int x, int rows, int cols,
			 size_t top);
struct screen *pager_new_message(struct str title, struct str text);

/* list.c */
struct screen *list_new(struct tui *u);
/* The calls that the list shows, and marks. */
const struct trk_call *list_current(const struct screen *s);

/* flow.c: the calls' ladder. NULL without memory. */
struct screen *flow_new(struct tui *u, const struct trk_call *const *calls, size_t n);
/* The same of all legs that a call has, or gets while it is shown. */
struct screen *flow_new_whole(struct tui *u, const struct trk_call *c);

/* diff.c: two texts side by side, the first difference first. */
struct screen *diff_new(struct str left_title, struct str left, struct str right_title,
			struct str right);
