/* What `rung scope` shows, one row of `views` for each view.
 *
 * One walk over the capture feeds whatever the view needs: lists of frames are printed as they are
 * read; everything about calls is printed when the capture has been read to its end, or, live, when
 * a call has ended. With a filter, calls are those with a message that fits it.
 */
#include "base/grow.h"
#include "cmd/scope_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define FLUSH_BYTES (64u << 10)

/* --- output ----------------------------------------------------------------------------------- */

void scope_flush(struct scope *s)
{
	if (s->out.err) {
		fprintf(stderr, "rung scope: no memory for the output\n");
		s->is_broken = true;
	} else if (s->out.n && !s->is_broken) {
		bool ok = fwrite(s->out.p, 1, s->out.n, s->sink) == s->out.n && !fflush(s->sink);
		if (!ok)
			s->is_broken = true;
	}
	buf_clear(&s->out);
}

static void flush_if_full(struct scope *s)
{
	if (s->out.n >= FLUSH_BYTES || s->out.err)
		scope_flush(s);
}

/* --- frames ----------------------------------------------------------------------------------- */

static void on_message_frame(struct scope *s, const struct cap_frame *fr)
{
	if (s->is_quiet)
		return;
	if (s->format == F_FIELDS)
		flt_columns_put(&s->out, &s->columns, fr);
	else if (s->puts_array)
		flt_columns_put_array(&s->out, &s->columns, fr, &s->n_array);
	else if (s->field_names.n)
		flt_columns_json(&s->out, &s->columns, fr);
	else if (fr->n_msgs)
		view_messages(&s->out, fr, &s->view_opts);
	else if (s->flt)
		view_other_frame(&s->out, fr, &s->view_opts);
	flush_if_full(s);
}

static bool choose(struct scope *s, const struct cap_msg *m)
{
	struct lad_item *a = grow(s->items, &s->items_cap, s->n_items, sizeof *a);
	if (!a)
		return false;
	s->items = a;
	s->items[s->n_items++] = (struct lad_item){m->call, m->no};
	return true;
}

static void on_flow_frame(struct scope *s, const struct cap_frame *fr)
{
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].no && !choose(s, &fr->msgs[i]))
			s->out.err = ERR_NOMEM;
}

/* Marks the calls that the filter chose. */
static void on_call_frame(struct scope *s, const struct cap_frame *fr)
{
	(void)s;
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].call)
			fr->msgs[i].call->is_marked = true;
}

/* --- calls ------------------------------------------------------------------------------------ */

static bool is_call(const struct scope *s, const struct trk_call *c)
{
	(void)s;
	return c->kind == TRK_CALL;
}

static bool is_registration(const struct scope *s, const struct trk_call *c)
{
	(void)s;
	return c->kind == TRK_REG;
}

void scope_no_such_call(const struct scope *s)
{
	if (s->who)
		fprintf(stderr,
			"rung scope: no call has the Call-ID or number `%s`; "
			"`rung scope -r FILE --calls` lists them\n",
			s->who);
	else
		fprintf(stderr, "rung scope: there is no call that fits\n");
}

bool scope_is_named(const struct scope *s, const struct trk_call *c)
{
	uint32_t no;
	struct str who = str_c(s->who);
	return !s->who || str_eq(c->call_id, who) || (str_u32(who, &no) && c->no == no);
}

bool scope_is_chosen(const struct scope *s, const struct trk_call *c)
{
	return (!s->flt || c->is_marked) && scope_is_named(s, c);
}

static void too_many_calls(const struct scope *s, struct trk *t, bool any_kind)
{
	unsigned n = 0;
	fprintf(stderr, "rung scope: several calls fit; choose one with --call:");
	for (struct trk_call *c = trk_first(t); c && n < 20; c = trk_after(t, c))
		if (scope_is_chosen(s, c) && (any_kind || c->kind == TRK_CALL))
			fprintf(stderr, n++ ? ", %u" : " %u", c->no);
	fprintf(stderr, n == 20 ? " ... (`--calls` lists them)\n" : " (`--calls` lists them)\n");
}

/* Legs of one call, in a view that shows them as one. */
static bool is_drawn_with(const struct scope *s, const struct trk_call *c,
			  const struct trk_call *other)
{
	return other && s->view == V_LADDER && trk_join_first(c) == trk_join_first(other);
}

struct trk_call *scope_the_call(struct scope *s, struct trk *t)
{
	struct trk_call *found[2] = {NULL, NULL}; /* of any kind; a call */
	unsigned n[2] = {0, 0};
	for (struct trk_call *c = trk_first(t); c; c = trk_after(t, c))
		for (int is_call = 0; is_call < 2; is_call++)
			if (scope_is_chosen(s, c) && (!is_call || c->kind == TRK_CALL) &&
			    !is_drawn_with(s, c, found[is_call])) {
				found[is_call] = c;
				n[is_call]++;
			}
	bool any_kind = s->who || !n[1];
	if (n[!any_kind] == 1)
		return found[!any_kind];
	if (n[!any_kind])
		too_many_calls(s, t, any_kind);
	else
		scope_no_such_call(s);
	return NULL;
}

static void list_head(struct scope *s)
{
	if (s->format == F_CSV)
		view_csv_head(&s->out);
	else
		view_call_head(&s->out, &s->view_opts);
}

static void list_call(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	if (s->format == F_CSV)
		view_csv_call(&s->out, c, v);
	else
		view_call(&s->out, s->trk, c, v, &s->view_opts);
}

static void draw_call(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	struct scope_sheet x;
	enum err e = scope_sheet_new(s, c, v, &x);
	if (e) {
		s->out.err = e;
		return;
	}
	buf_str(&s->out, s->n_shown && s->format == F_TEXT ? STR("\n") : STR_NONE);
	scope_put_sheet(s, x.sheet);
	scope_sheet_free(&x);
}

static void explain_call(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	if (s->view_opts.is_json) {
		vrd_put_json(&s->out, s->trk, c, v);
		buf_chr(&s->out, '\n');
	} else {
		buf_str(&s->out, s->n_shown ? STR("\n") : STR_NONE);
		vrd_put_text(&s->out, s->trk, c, v, s->is_ascii);
	}
}

/* --- at the end ------------------------------------------------------------------------------- */

static void sum_up_flow(struct scope *s)
{
	struct sheet *sheet;
	enum err e = sheet_of_items(s->trk, s->items, s->n_items, NULL, &sheet);
	if (e) {
		s->out.err = e;
		return;
	}
	scope_put_sheet(s, sheet);
	sheet_free(sheet);
}

static void stream_head(struct scope *s)
{
	view_stream_head(&s->out, &s->view_opts);
}

static void list_streams(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	(void)v;
	/* they are chained newest first */
	unsigned n = 0;
	for (const struct trk_stream *x = trk_av(c)->streams; x; x = x->next)
		n++;
	while (n--) {
		const struct trk_stream *x = trk_av(c)->streams;
		for (unsigned i = 0; i < n; i++)
			x = x->next;
		view_stream(&s->out, s->trk, x, &s->view_opts);
	}
	flush_if_full(s);
}

static void sum_up_streams(struct scope *s)
{
	if (s->is_live) /* each call's were listed when it ended */
		return;
	stream_head(s);
	for (const struct trk_call *c = trk_first(s->trk); c; c = trk_after(s->trk, c))
		if (scope_is_chosen(s, c)) {
			s->n_shown++;
			list_streams(s, c, NULL);
		}
	if (s->flt || s->who)
		return;
	for (const struct trk_stream *x = trk_orphan_first(s->trk); x;
	     x = trk_orphan_next(s->trk, x)) {
		view_stream(&s->out, s->trk, x, &s->view_opts);
		flush_if_full(s);
	}
}

static void sum_up_stats(struct scope *s)
{
	view_stats(&s->out, s->trk, &s->view_opts);
}

/* Dialogs need all of their messages, also those that the filter leaves out. */
static void on_lint_frame(struct scope *s, const struct cap_frame *fr)
{
	bool is_shown = fr->n_msgs && (!s->flt || flt_match(s->flt, fr));
	if (!s->lint)
		s->lint = lint_new(&(struct lint_cfg){0});
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (!s->lint || lint_message(s->lint, &fr->msgs[i].pkt, is_shown) == ERR_NOMEM)
			s->out.err = ERR_NOMEM;
}

static void sum_up_lint(struct scope *s)
{
	struct lint_look look = {s->lad_opts.is_ascii, s->lad_opts.is_colour};
	if (s->lint && s->view_opts.is_json)
		lint_put_json(&s->out, s->lint);
	else if (s->lint)
		lint_put_text(&s->out, s->lint, &look);
}

/* --- the views -------------------------------------------------------------------------------- */

#define AS(format) (1u << F_##format)

typedef bool wants_fn(const struct scope *s, const struct trk_call *c);
typedef void call_fn(struct scope *s, const struct trk_call *c, const struct vrd *v);

static const struct {
	void (*on_frame)(struct scope *s, const struct cap_frame *fr); /* that fits the filter */
	wants_fn *wants;                 /* of a view of calls: NULL: all */
	call_fn *on_call;                /* makes it one */
	void (*head)(struct scope *s);   /* before the first call or frame; may be NULL */
	void (*sum_up)(struct scope *s); /* after the last frame; may be NULL */
	call_fn *on_ended;               /* of a view that sums up: what it shows of a call, live */
	bool is_whole;                   /* one picture for all legs of a call */
	bool sees_all;                   /* on_frame gets those too that do not fit */
	unsigned formats;                /* in which it can be shown, besides text */
} views[V__N] = {
	[V_MESSAGES] = {.on_frame = on_message_frame, .formats = AS(JSON) | AS(FIELDS)},
	[V_CALLS] = {			      on_call_frame,						is_call,                                          list_call, list_head, .formats = AS(JSON) | AS(CSV)},
	[V_REGISTRATIONS] = { on_call_frame,							     is_registration,                        list_call, list_head,
                        .formats = AS(JSON) | AS(CSV)},
	[V_LADDER] = {                     on_call_frame,															       .on_call = draw_call,             .is_whole = true,
			.formats = AS(JSON) | AS(SVG) | AS(MERMAID) | AS(HTML)},
	[V_FLOW] = {on_flow_frame,												      .sum_up = sum_up_flow,
			.formats = AS(JSON) | AS(SVG) | AS(MERMAID)},
	[V_STREAMS] = {						   on_call_frame,													       .on_ended = list_streams,              .head = stream_head,
			.sum_up = sum_up_streams, .formats = AS(JSON)},
	[V_STATS] = {								      on_call_frame,													       .sum_up = sum_up_stats,           .formats = AS(JSON)},
	[V_WHY] = {on_call_frame,.on_call = explain_call,              .formats = AS(JSON)},
	[V_LINT] = {			      .on_frame = on_lint_frame,
			.sum_up = sum_up_lint,
			.sees_all = true,
			.formats = AS(JSON)},
};
#undef AS

bool scope_view_needs_trk(enum view v)
{
	return v != V_MESSAGES && v != V_LINT;
}

uint8_t scope_view_skips(enum view v)
{
	return v == V_CALLS           ? 0xff & ~(1u << TRK_CALL)
	       : v == V_REGISTRATIONS ? 0xff & ~(1u << TRK_REG)
	       : v == V_STATS         ? 0xff
				      : 0;
}

bool scope_view_is_of_calls(enum view v)
{
	return views[v].on_call;
}

bool scope_view_has(enum view v, enum format f)
{
	return f == F_TEXT || views[v].formats & 1u << f;
}

bool scope_view_forgets(enum view v)
{
	return views[v].on_call || views[v].on_ended || v == V_STATS;
}

void scope_at_start(struct scope *s)
{
	if (s->format == F_FIELDS && !s->is_quiet)
		flt_columns_head(&s->out, &s->columns);
	if (s->is_live && views[s->view].head)
		views[s->view].head(s);
}

bool scope_view_sees_messages_only(enum view v)
{
	return views[v].on_frame == on_call_frame || views[v].on_frame == on_flow_frame;
}

bool scope_view_sees_all(enum view v)
{
	return views[v].sees_all;
}

void scope_show_frame(void *scope, const struct cap_frame *fr, bool fits, void *kept)
{
	struct scope *s = scope;
	if (fits || views[s->view].sees_all)
		views[s->view].on_frame(s, fr);
	if (fits)
		cap_walk_shown(s->walk, fr);
	if (s->writer)
		scope_write_frame(s, fr, fits, kept);
}

void scope_on_frame(struct scope *s, const struct cap_frame *fr)
{
	if (!s->hold)
		scope_show_frame(s, fr, !s->flt || flt_match(s->flt, fr), NULL);
	else if (hold_frame(s->hold, fr))
		s->out.err = ERR_NOMEM;
}

static bool is_shown(const struct scope *s, const struct trk_call *c)
{
	return scope_is_chosen(s, c) && (!views[s->view].wants || views[s->view].wants(s, c));
}

/* Live: a picture of all legs is drawn once, when the last of them was judged; those that ended
 * before are held for it. */
static bool is_to_wait(const struct scope *s, const struct trk_call *c)
{
	const struct trk_call *legs[TRK_MAX_LEGS];
	unsigned n = trk_join_legs(c, legs, TRK_MAX_LEGS), n_judged = 0, n_shown = 0;
	if (!views[s->view].is_whole || s->is_leg)
		return !is_shown(s, c);
	for (unsigned i = 0; i < n; i++) {
		n_judged += legs[i]->is_judged;
		n_shown += is_shown(s, legs[i]);
	}
	for (unsigned i = 0; i < n; i++)
		if (n_judged == n && legs[i]->n_held)
			trk_hold(s->trk, legs[i], false);
	if (n_judged < n && !c->n_held)
		trk_hold(s->trk, c, true);
	return n_judged < n || !n_shown;
}

void scope_on_verdict(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	if (s->hold && hold_verdict(s->hold, c))
		s->out.err = ERR_NOMEM;
	if (is_to_wait(s, c))
		return;
	if (views[s->view].on_call)
		views[s->view].on_call(s, c, v);
	else if (views[s->view].on_ended)
		views[s->view].on_ended(s, c, v);
	s->n_shown++;
	flush_if_full(s);
}

static void show_call(struct scope *s, const struct trk_call *c)
{
	if (vrd_judge(&s->verdict, s->trk, c))
		s->out.err = ERR_NOMEM;
	views[s->view].on_call(s, c, &s->verdict);
	s->n_shown++;
	flush_if_full(s);
}

/* The legs of one call together, where its first one stands; all of them where one is chosen. */
static void show_legs(struct scope *s, const struct trk_call *first)
{
	const struct trk_call *legs[TRK_MAX_LEGS];
	unsigned n = trk_join_legs(first, legs, TRK_MAX_LEGS), chosen = 0;
	while (chosen < n && !is_shown(s, legs[chosen]))
		chosen++;
	if (chosen == n)
		return;
	if (views[s->view].is_whole) {
		show_call(s, s->who ? legs[chosen] : first);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		show_call(s, legs[i]);
}

static void show_calls(struct scope *s)
{
	if (views[s->view].head)
		views[s->view].head(s);
	for (const struct trk_call *c = trk_first(s->trk); c && !s->is_broken;
	     c = trk_after(s->trk, c))
		if (trk_join_first(c) == c)
			show_legs(s, c);
}

int scope_at_end(struct scope *s)
{
	if (views[s->view].on_call && !s->is_live) {
		int code = scope_settle(s);
		if (code >= 0)
			return code;
		show_calls(s);
	}
	if (views[s->view].sum_up)
		views[s->view].sum_up(s);
	if (s->puts_array && !s->is_quiet)
		flt_columns_end_array(&s->out, s->n_array);
	if (s->who && !s->n_shown && !s->is_quiet) {
		scope_no_such_call(s);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
