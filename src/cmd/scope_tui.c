/* `rung scope` on a terminal: the screens of tui/ over a book that is read while they are shown. */
#include "cmd/scope_priv.h"
#include "tui/tui.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_AT_ONCE 20'000

bool scope_is_tui(const struct scope *s)
{
	bool has_view = false;
	for (unsigned i = 0; i < V__N; i++)
		has_view = has_view || s->views[i];
	return !has_view && s->file && strcmp(s->file, "-") != 0 && !s->live && !s->format_name &&
	       !s->is_json && !s->field_names.n && !s->out_path && !s->sipp && !s->who &&
	       isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static bool more(void *arg)
{
	struct scope *s = arg;
	bool goes_on = book_read(s->book, FRAMES_AT_ONCE);
	if (!goes_on)
		trk_join_settle(s->trk);
	return goes_on;
}

/* Of legs that are exported as one call the first one chosen; returns how many are left. */
static size_t whole_calls(const struct trk_call **whole, const struct trk_call *const *calls,
			  size_t n)
{
	size_t n_whole = 0;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < n_whole && trk_join_first(whole[k]) != trk_join_first(calls[i]))
			k++;
		if (k == n_whole)
			whole[n_whole++] = calls[i];
	}
	return n_whole;
}

static bool save(void *arg, const char *path, const struct trk_call *const *chosen, size_t n_chosen,
		 struct buf *why)
{
	struct scope *s = arg;
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	size_t n = whole_calls(calls, chosen, n_chosen);
	s->format = scope_format_of_path(path);
	if (s->format == F__N || !scope_view_has(V_LADDER, s->format)) {
		buf_fmt(why, "%s: its end must say what it shall be: .txt .json .svg .mmd .html",
			path);
		return false;
	}
	if ((s->format == F_SVG || s->format == F_MERMAID) && n > 1) {
		buf_fmt(why, "one drawing holds one call: unmark the others (u)");
		return false;
	}
	s->out_path = path;
	s->is_broken = false; /* an earlier one's failure is not this one's */
	bool ok = scope_out_open(s) < 0 && scope_export_calls(s, calls, n) == OK;
	ok = scope_out_close(s, ok ? EXIT_DONE : EXIT_FAILED) == EXIT_DONE && ok;
	s->out_path = NULL;
	if (ok)
		buf_fmt(why, "%zu %s written to %s", n, n == 1 ? "call" : "calls", path);
	else
		buf_fmt(why, "%s cannot be written (no such folder, no permission, disk full)",
			path);
	return ok;
}

int scope_run_tui(struct scope *s)
{
	const char *slash = strrchr(s->file, '/');
	struct tui_opts o = {.title = slash ? slash + 1 : s->file,
			     .filter = s->filter,
			     .is_ascii = s->is_ascii,
			     .no_colour = s->no_colour || !scope_may_colour(),
			     .more = more,
			     .save = save,
			     .arg = s};
	int code = scope_open_book(s);
	if (code >= 0)
		return code;
	s->is_screen = true;
	enum err e = tui_run(s->book, &o);
	s->is_screen = false;
	if (e) {
		fprintf(stderr, "rung scope: %s\n",
			e == ERR_UNSUPPORTED
				? "this terminal cannot be drawn on (TERM?); --calls and "
				  "--ladder list as text"
				: err_text(e));
		return EXIT_FAILED;
	}
	return scope_report(s, EXIT_DONE);
}
