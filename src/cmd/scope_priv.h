#pragma once
/* `rung scope` inside: flags (scope.c), where packets come from (scope_source.c), what is shown
 * (scope_view.c), written to files (scope_export.c, scope_sound.c), copied or sent on
 * (scope_write.c), walked through on a terminal (scope_tui.c). */

#include "capture/cap_live.h"
#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "filter/flt.h"
#include "lint/lint.h"
#include "scope/book.h"
#include "scope/hold.h"
#include "scope/lad.h"
#include "scope/view.h"
#include "track/trk_join.h"

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

/* Flags of live capture and of writing; the latter's state is scope_write.c's. */
struct scope_in {
	struct cap_live_cfg cfg; /* cfg.iface may be "hep:udp:ADDR:PORT", too */
	const char *hep_key;
	struct opt_list autostop;
	uint32_t count;
	double duration_s; /* of autostop; 0: for ever */
	bool lists;
};
struct scope_out {
	const char *path, *hep_to;
	struct opt_list ring;
	uint32_t hep_agent;
};

struct scope {
	/* flags */
	const char *file, *keys, *live, *filter, *format_name;
	struct scope_in in;
	struct scope_out to;
	struct opt_list field_names, field_settings, joins, splits;
	bool views[V__N];
	struct opt_list files; /* of -r: one, which is `file` */
	bool is_json, is_ascii, is_leg, lists_fields, lists_rules, no_colour, anonymizes;
	uint32_t width;
	const struct trk_call *const *chosen; /* screens: while calls are saved */
	size_t n_chosen;
	const char *who; /* --call, or the word after --ladder: a Call-ID or a call's number */
	const char *sipp, *out_path, *audio;
	bool is_detailed;                    /* --detail: of streams */
	const char *compare, *second, *with; /* two calls; the capture of the second, or NULL */

	enum view view;
	enum format format;
	const struct flt_field *fields[OPT_LIST_MAX];
	struct flt_columns columns; /* the fields with the settings of -E */
	bool puts_array;            /* -T json -e: one array, as tshark's */
	uint32_t n_array;           /* its elements so far */
	struct flt *flt;
	struct view_opts view_opts;
	struct lad_opts lad_opts;

	/* source */
	struct trk *trk;         /* where the view or the filter needs one */
	struct trk *whole_trk;   /* of the first walk, where there are two */
	struct flt_calls *calls; /* ... and its calls */
	struct cap *first_cap;   /* ... and its capture */
	struct cap *cap;
	struct cap_walk *walk;
	struct hold *hold;       /* live, with facts of calls: frames wait in it */
	struct book *book;       /* for exports, and then it owns the three above */
	bool is_live;            /* an exchange, an interface, agents: until stopped */
	bool is_interrupted;     /* the first of two walks was */
	uint64_t n_frames;       /* read so far */
	struct scope_rate *rate; /* live screens */

	/* view */
	struct lad_item *items; /* --flow: the messages chosen */
	size_t n_items, items_cap;
	uint32_t n_shown; /* calls so far */
	struct vrd verdict;
	struct lint *lint; /* --lint: made with the first frame */
	struct buf out;
	FILE *sink;        /* where `out` goes: stdout, or what will be out_path */
	char *temp_path;   /* ... until then; NULL: stdout */
	bool is_screen;    /* screens are shown: nothing goes to stderr */
	bool is_broken;    /* nobody reads our output any more, or the disk is full */
	bool is_unsettled; /* screens: --join or --split named what is not there */
	bool is_quiet;     /* the list of messages was not asked for, and something is written */

	struct scope_writer *writer; /* NULL: nothing is written or sent */
};

/* scope_source.c: those that open return -1 to go on, or the exit code. */
int scope_list_interfaces(void);
int scope_open(struct scope *s);
const char *scope_source_name(const struct scope *s); /* the file without its folder, "lo" */
int scope_open_capture(struct scope *s);              /* one half of it */
int scope_make_walk(struct scope *s);                 /* the other */
/* For what needs messages or frames again: opens the capture as s->book, which then owns cap and
 * trk; nothing is read yet. */
int scope_open_book(struct scope *s);
/* A file that was read: settles which calls are legs of one, --join and --split included; -1 to go
 * on, or the exit code. */
int scope_settle(struct scope *s);
/* ... and reads it to its end, marking the calls that the filter chooses. */
int scope_read_book(struct scope *s);
/* Whether the filter or the fields ask how calls end. */
bool scope_is_of_whole_calls(const struct scope *s);
/* Says on stderr what the reader of the output should know about the input; the exit code, when it
 * was `code` before. */
int scope_report(struct scope *s, int code);
const char *scope_problem(const struct scope *s); /* what cut the reading short, or NULL */

/* scope_walk.c */
void scope_catch_signals(void); /* Ctrl-C, SIGTERM: once */
bool scope_was_signalled(void);
/* Reads to the end, shows, reports what went wrong; the exit code. */
int scope_walk(struct scope *s);

/* scope_view.c */
bool scope_view_needs_trk(enum view v);
/* A view of whole calls follows them as they end; any other sums up what is there. */
bool scope_view_is_of_calls(enum view v);
bool scope_view_has(enum view v, enum format f);
/* Whether the view can do, live, with calls that are forgotten after they ended. */
bool scope_view_forgets(enum view v);
void scope_at_start(struct scope *s); /* before the first frame that is shown */
/* Kinds of calls that the view never shows: trk_cfg.skips. */
uint8_t scope_view_skips(enum view v);
void scope_on_frame(struct scope *s, const struct cap_frame *fr);
/* The same when the filter's answer is known: hold_cfg.on_frame. */
void scope_show_frame(void *scope, const struct cap_frame *fr, bool fits, void *kept);
bool scope_view_sees_all(enum view v); /* also frames that do not fit */
bool scope_view_sees_messages_only(enum view v);
void scope_on_verdict(struct scope *s, const struct trk_call *c, const struct vrd *v); /* live */
/* After the last frame; the exit code. */
int scope_at_end(struct scope *s);
void scope_flush(struct scope *s);
/* Whether --call chooses it; whether the filter does, too. */
bool scope_is_named(const struct scope *s, const struct trk_call *c);
bool scope_is_chosen(const struct scope *s, const struct trk_call *c);
/* The one call that they choose; NULL, with a sentence on stderr, when it is none or several. */
void scope_no_such_call(const struct scope *s); /* tells so */
struct trk_call *scope_the_call(struct scope *s, struct trk *t);

/* scope.c */
enum format scope_format_of_path(const char *path); /* F__N: none */
bool scope_may_colour(void);
void scope_choose_look(struct scope *s); /* of a ladder as text, for the sink that is open */

/* scope_tui.c */
bool scope_is_tui(const struct scope *s);
int scope_run_tui(struct scope *s); /* the exit code */

/* scope_export.c. Both return the exit code. */
int scope_export_sipp(struct scope *s);
int scope_export_audio(struct scope *s);
/* Whether the ladder in this format is made of an opened book: by scope_export_ladder. */
bool scope_is_of_book(const struct scope *s);
int scope_export_ladder(struct scope *s);
/* A call's ladder with all its legs (without: --leg), and what it is made of; v: the verdict on c
 * where it is known, to outlive the sheet, or NULL. ERR_NOMEM, ERR_IO. */
struct scope_sheet {
	struct sheet *sheet;
	struct vrd *verdicts;
	unsigned n;
};
enum err scope_sheet_new(struct scope *s, const struct trk_call *c, const struct vrd *v,
			 struct scope_sheet *out);
void scope_sheet_free(struct scope_sheet *x);
/* Appends a ladder in the chosen format. */
void scope_put_sheet(struct scope *s, const struct sheet *sheet);
/* scope_sound.c: the sound of a page. ERR_NOMEM, ERR_IO. */
struct scope_sounds;
struct page_sound;
enum err scope_sounds_new(struct scope *s, const struct trk_call *const *calls, size_t n,
			  struct scope_sounds **out);
void scope_sounds_free(struct scope_sounds *k);
/* Of one ladder, asked for once: at most 2 * TRK_MAX_LEGS of them, borrowed until the next call. */
enum err scope_sounds_of(struct scope_sounds *k, const struct sheet *sheet, struct page_sound *out,
			 size_t *n);
/* The calls, in the chosen format. */
enum err scope_export_calls(struct scope *s, const struct trk_call *const *calls, size_t n);
/* -o: opens the file; -1 to go on, or the exit code. */
int scope_out_open(struct scope *s);
/* ... and gives it its name, if it is whole; the exit code. */
int scope_out_close(struct scope *s, int code);

/* scope_write.c. The first and the last return -1 to go on, or the exit code. */
int scope_write_open(struct scope *s);
bool scope_write_needs_trk(const struct scope *s);
/* Each frame of the walk; fits: the filter's answer. kept: of scope_write_keep, when the frame had
 * to wait for it; or NULL. */
void scope_write_frame(struct scope *s, const struct cap_frame *fr, bool fits, void *kept);
/* Of a frame that waits what must be written before it; NULL: nothing, or no memory. */
void *scope_write_keep(void *scope, const struct cap_frame *fr);
void scope_write_drop(void *kept);
void scope_write_idle(struct scope *s); /* nothing comes: what was written may be read */
int scope_write_end(struct scope *s);
/* Screens, of a file: writes the chosen calls (s->chosen) with all their legs and media; *n frames.
 * ERR_IO with *why (appended), ERR_NOMEM. */
enum err scope_write_chosen(struct scope *s, const char *path, uint64_t *n, struct buf *why);
/* scope_save.c: what the screens save: tui_opts.save. */
bool scope_save(void *scope, const char *path, const struct trk_call *const *calls, size_t n,
		struct buf *why);
void scope_write_free(struct scope *s);
/* scope_anonymize.c: -w with --anonymize; the exit code */
int scope_anonymize(struct scope *s);

/* scope_compare.c: --compare; the exit code */
int scope_compare(struct scope *s);
