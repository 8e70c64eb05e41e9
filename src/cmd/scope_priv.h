#pragma once
/* `rung scope` inside: flags (scope.c), where packets come from (scope_source.c), what is shown
 * (scope_view.c) or written to files (scope_export.c), on a terminal (scope_tui.c). */

#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "scope/book.h"
#include "scope/flt.h"
#include "scope/lad.h"
#include "scope/view.h"

#include <stdio.h>

enum view {
#define SCOPE_VIEW(id, flag, help) V_##id,
#include "cmd/scope_views.def"
#undef SCOPE_VIEW
	V__N
};
enum format {
#define SCOPE_FORMAT(id, name, suffix, view, help) F_##id,
#include "cmd/scope_formats.def"
#undef SCOPE_FORMAT
	F__N
};

struct scope {
	/* flags */
	const char *file, *keys, *live, *filter, *format_name;
	struct opt_list field_names, field_settings;
	bool views[V__N];
	bool is_json, is_ascii, lists_fields, no_colour;
	uint32_t width;
	const char *who; /* --call, or the word after --ladder: a Call-ID or a call's number */
	const char *sipp, *out_path, *audio;
	bool is_detailed; /* --detail: of streams */

	enum view view;
	enum format format;
	const struct flt_field *fields[OPT_LIST_MAX];
	struct flt_columns columns; /* the fields with the settings of -E */
	struct flt *flt;
	struct view_opts view_opts;
	struct lad_opts lad_opts;

	/* source */
	struct trk *trk;         /* where the view or the filter needs one */
	struct trk *whole_trk;   /* of the first walk, where there are two */
	struct flt_calls *calls; /* ... and its calls */
	struct cap *cap;
	struct cap_walk *walk;
	struct book *book; /* for exports, and then it owns the three above */
	int source_fd;     /* live: what to wait on */

	/* view */
	struct lad_item *items; /* --flow: the messages chosen */
	size_t n_items, items_cap;
	uint32_t n_shown; /* calls so far */
	struct vrd verdict;
	struct buf out;
	FILE *to;        /* where `out` goes: stdout, or what will be out_path */
	char *temp_path; /* ... until then; NULL: stdout */
	bool is_quiet;   /* screens are shown: nothing goes to stderr */
	bool is_broken;  /* nobody reads our output any more, or the disk is full */
};

/* scope_source.c: these return -1 to go on, or the exit code. */
int scope_open(struct scope *s);
/* For what needs messages or frames again: opens the capture as s->book, which then owns cap and
 * trk; nothing is read yet. */
int scope_open_book(struct scope *s);
/* ... and reads it to its end, marking the calls that the filter chooses. */
int scope_read_book(struct scope *s);
/* Says on stderr what the reader of the output should know about the input; the exit code, when it
 * was `code` before. */
int scope_report(struct scope *s, int code);
/* Reads to the end, shows, reports what went wrong; the exit code. */
int scope_walk(struct scope *s);

/* scope_view.c */
bool scope_view_needs_trk(enum view v);
/* A view of whole calls follows them as they end; any other sums up what is there. */
bool scope_view_is_of_calls(enum view v);
bool scope_view_has(enum view v, enum format f);
/* Before the first frame that is shown. */
void scope_at_start(struct scope *s);
void scope_on_frame(struct scope *s, const struct cap_frame *fr);
void scope_on_verdict(struct scope *s, const struct trk_call *c, const struct vrd *v); /* live */
/* After the last frame; the exit code. */
int scope_at_end(struct scope *s);
void scope_flush(struct scope *s);
/* Whether the filter and --call choose it. */
bool scope_is_chosen(const struct scope *s, const struct trk_call *c);
/* The one call that they choose; NULL, with a sentence on stderr, when it is none or several. */
struct trk_call *scope_the_call(struct scope *s, struct trk *t);

/* scope.c */
enum format scope_format_of_path(const char *path); /* F__N: none */
bool scope_may_colour(void);

/* scope_tui.c */
bool scope_is_tui(const struct scope *s);
int scope_run_tui(struct scope *s); /* the exit code */

/* scope_export.c. Both return the exit code. */
int scope_export_sipp(struct scope *s);
int scope_export_audio(struct scope *s);
/* Whether the ladder in this format is made of an opened book: by scope_export_ladder. */
bool scope_is_of_book(const struct scope *s);
int scope_export_ladder(struct scope *s);
/* Appends a ladder in the chosen format. */
void scope_put_sheet(struct scope *s, const struct sheet *sheet);
/* The calls, in the chosen format. */
enum err scope_export_calls(struct scope *s, const struct trk_call *const *calls, size_t n);
/* -o: opens the file; -1 to go on, or the exit code. */
int scope_out_open(struct scope *s);
/* ... and gives it its name, if it is whole; the exit code. */
int scope_out_close(struct scope *s, int code);
