#pragma once
/* The terminal's screens over a capture: the list of calls, a call's flow with the message beside
 * it, two messages side by side, and texts (verdict, streams, statistics). */

#include "scope/book.h"

#define TUI_MAX_CHOSEN 64 /* calls that are shown or saved together */

struct tui_opts {
	const char *title;  /* the capture's name, for the first line */
	const char *filter; /* to begin with; NULL none. It must compile. */
	bool is_ascii, no_colour;
	/* Reads on what has come; false at the end. Called between keys. Live it may wait for more,
	 * a tenth of a second at most, and not when a key is there. */
	bool (*more)(void *arg);
	bool is_live; /* more comes with time: the list follows */
	/* Live: appends how the source fares, for the first line. */
	void (*state)(void *arg, struct buf *b);
	/* Writes the calls, at most TUI_MAX_CHOSEN, to a file whose name tells the format, and *why
	 * says what went wrong or what was written; false: it failed. */
	bool (*save)(void *arg, const char *path, const struct trk_call *const *calls, size_t n,
		     struct buf *why);
	void *arg;
};

/* Until the user leaves. ERR_UNSUPPORTED: no terminal to draw on; ERR_NOMEM. The terminal is given
 * back as it was, also when the program is ended by a signal. */
enum err tui_run(struct book *b, const struct tui_opts *o);
