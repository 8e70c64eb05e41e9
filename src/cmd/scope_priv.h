#pragma once
/* `rung scope` inside: flags (scope.c), where packets come from (scope_source.c), what is shown
 * (scope_view.c) or written to files (scope_export.c). */

#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "scope/book.h"
#include "scope/flt.h"
#include "scope/lad.h"
#include "scope/lint.h"
#include "scope/view.h"

enum view {
#define SCOPE_VIEW(id, flag, help) V_##id,
#include "cmd/scope_views.def"
#undef SCOPE_VIEW
	V__N
};
enum format { F_TEXT, F_JSON, F_FIELDS };

struct scope {
	/* flags */
	const char *file, *live, *filter, *format_name;
	struct opt_list field_names;
	bool views[V__N];
	bool is_json, is_ascii, lists_fields, lists_rules, no_colour;
	uint32_t width;
	const char *who; /* --call, or the word after --ladder: a Call-ID or a call's number */
	const char *sipp;

	enum view view;
	enum format format;
	const struct flt_field *fields[OPT_LIST_MAX];
	struct flt *flt;
	struct view_opts view_opts;
	struct lad_opts lad_opts;

	/* source */
	struct trk *trk; /* where the view or the filter needs one */
	struct cap *cap;
	struct cap_walk *walk;
	struct book *book; /* for exports, and then it owns the three above */
	int source_fd;     /* live: what to wait on */

	/* view */
	struct lad_item *items; /* --flow: the messages chosen */
	size_t n_items, items_cap;
	uint32_t n_shown; /* calls so far */
	struct vrd verdict;
	struct lint *lint; /* --lint: made with the first frame */
	struct buf out;
	bool is_broken; /* nobody reads our output any more, or the disk is full */
};

/* scope_source.c: these return -1 to go on, or the exit code. */
int scope_open(struct scope *s);
/* For what needs messages or frames again: opens the capture as s->book (which then owns cap and
 * trk) and reads it to its end, marking the calls that the filter chooses. */
int scope_open_book(struct scope *s);
/* Reads to the end, shows, reports what went wrong; the exit code. */
int scope_walk(struct scope *s);

/* scope_view.c */
bool scope_view_needs_trk(enum view v);
/* A view of whole calls follows them as they end; any other sums up what is there. */
bool scope_view_is_of_calls(enum view v);
bool scope_view_has_json(enum view v);
void scope_on_frame(struct scope *s, const struct cap_frame *fr);
void scope_on_verdict(struct scope *s, const struct trk_call *c, const struct vrd *v); /* live */
/* After the last frame; the exit code. */
int scope_at_end(struct scope *s);
void scope_flush(struct scope *s);
/* Whether the filter and --call choose it. */
bool scope_is_chosen(const struct scope *s, const struct trk_call *c);
/* The one call that they choose; NULL, with a sentence on stderr, when it is none or several. */
struct trk_call *scope_the_call(struct scope *s, struct trk *t);

/* scope_export.c: --sipp; the exit code */
int scope_export_sipp(struct scope *s);
