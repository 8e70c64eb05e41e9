/* What `rung scope` shows, one row of `views` for each view.
 *
 * One walk over the capture feeds whatever the view needs: lists of frames are printed as they are
 * read; everything about calls is printed when the capture has been read to its end, or, live, when
 * a call has ended. With a filter, calls are those with a message that fits it.
 */
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
		bool ok = fwrite(s->out.p, 1, s->out.n, stdout) == s->out.n && !fflush(stdout);
		if (!ok)
			s->is_broken = true;
	}
	buf_clear(&s->out);
}

static void flush_if_full(struct scope *s)
{
	if (s->live || s->out.n >= FLUSH_BYTES || s->out.err)
		scope_flush(s);
}

/* --- frames ----------------------------------------------------------------------------------- */

static void put_fields_text(struct scope *s, const struct cap_frame *fr)
{
	struct flt_val v[FLT_MAX_VALUES];
	for (size_t i = 0; i < s->field_names.n; i++) {
		unsigned n = flt_field_get(s->fields[i], fr, v);
		if (i)
			buf_chr(&s->out, '\t');
		for (unsigned k = 0; k < n; k++) {
			if (k)
				buf_chr(&s->out, ',');
			flt_val_put(&s->out, s->fields[i], &v[k]);
		}
	}
	buf_chr(&s->out, '\n');
}

static void put_fields_json(struct scope *s, const struct cap_frame *fr)
{
	struct flt_val v[FLT_MAX_VALUES];
	struct buf text;
	const char *comma = "";
	buf_init(&text);
	buf_chr(&s->out, '{');
	for (size_t i = 0; i < s->field_names.n; i++) {
		unsigned n = flt_field_get(s->fields[i], fr, v);
		if (!n)
			continue;
		buf_fmt(&s->out, "%s\"%s\":[", comma, s->field_names.v[i]);
		comma = ",";
		for (unsigned k = 0; k < n; k++) {
			buf_clear(&text);
			flt_val_put(&text, s->fields[i], &v[k]);
			buf_str(&s->out, k ? STR(",") : STR_NONE);
			buf_json(&s->out, buf_view(&text));
		}
		buf_chr(&s->out, ']');
	}
	buf_str(&s->out, STR("}\n"));
	if (text.err)
		s->out.err = text.err;
	buf_fini(&text);
}

static void on_message_frame(struct scope *s, const struct cap_frame *fr)
{
	if (s->format == F_FIELDS)
		put_fields_text(s, fr);
	else if (s->field_names.n)
		put_fields_json(s, fr);
	else if (fr->n_msgs)
		view_messages(&s->out, fr, &s->view_opts);
	else if (s->flt)
		view_other_frame(&s->out, fr, &s->view_opts);
	flush_if_full(s);
}

static bool choose(struct scope *s, const struct cap_msg *m)
{
	if (s->n_items == s->items_cap) {
		size_t cap = s->items_cap ? 2 * s->items_cap : 256;
		struct lad_item *a = realloc(s->items, cap * sizeof(*a));
		if (!a)
			return false;
		s->items = a;
		s->items_cap = cap;
	}
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

static void no_such_call(const struct scope *s)
{
	if (s->who)
		fprintf(stderr,
			"rung scope: no call has the Call-ID or number `%s`; "
			"`rung scope -r FILE --calls` lists them\n",
			s->who);
	else
		fprintf(stderr, "rung scope: there is no call that fits\n");
}

static bool is_named(const struct scope *s, const struct trk_call *c)
{
	uint32_t no;
	struct str who = str_c(s->who);
	return !s->who || str_eq(c->call_id, who) || (str_u32(who, &no) && c->no == no);
}

bool scope_is_chosen(const struct scope *s, const struct trk_call *c)
{
	return (!s->flt || c->is_marked) && is_named(s, c);
}

struct trk_call *scope_the_call(struct scope *s, struct trk *t)
{
	struct trk_call *found = NULL;
	unsigned n = 0;
	for (struct trk_call *c = trk_first(t); c; c = c->next_no)
		if (scope_is_chosen(s, c) && (s->who || c->kind == TRK_CALL)) {
			found = n++ ? found : c;
		}
	if (n == 1)
		return found;
	if (n)
		fprintf(stderr,
			"rung scope: %u calls fit; choose one by its number or Call-ID: "
			"--call %u (`--calls` lists them)\n",
			n, found->no);
	else
		no_such_call(s);
	return NULL;
}

static void list_head(struct scope *s)
{
	view_call_head(&s->out, &s->view_opts);
}

static void list_call(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	view_call(&s->out, s->trk, c, v, &s->view_opts);
}

static void draw_call(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	buf_str(&s->out, s->n_shown ? STR("\n") : STR_NONE);
	lad_put(&s->out, s->trk, c, v, &s->lad_opts);
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
	lad_put_items(&s->out, s->trk, s->items, s->n_items, &s->lad_opts);
}

static void sum_up_streams(struct scope *s)
{
	view_stream_head(&s->out, &s->view_opts);
	for (const struct trk_call *c = trk_first(s->trk); c; c = c->next_no) {
		if (!scope_is_chosen(s, c))
			continue;
		s->n_shown++;
		/* they are chained newest first */
		unsigned n = 0;
		for (const struct trk_stream *x = c->streams; x; x = x->next)
			n++;
		while (n--) {
			const struct trk_stream *x = c->streams;
			for (unsigned i = 0; i < n; i++)
				x = x->next;
			view_stream(&s->out, s->trk, x, &s->view_opts);
		}
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

typedef bool wants_fn(const struct scope *s, const struct trk_call *c);
typedef void call_fn(struct scope *s, const struct trk_call *c, const struct vrd *v);

static const struct {
	void (*on_frame)(struct scope *s, const struct cap_frame *fr); /* that fits the filter */
	wants_fn *wants;                 /* of a view of calls: NULL: all */
	call_fn *on_call;                /* makes it one */
	void (*head)(struct scope *s);   /* before the first call; may be NULL */
	void (*sum_up)(struct scope *s); /* after the last frame; may be NULL */
	bool is_drawing;                 /* no JSON */
	bool sees_all;                   /* on_frame gets those too that do not fit */
} views[V__N] = {
	[V_MESSAGES] = {.on_frame = on_message_frame},
	[V_CALLS] = {		       on_call_frame,				       is_call, list_call, list_head},
	[V_REGISTRATIONS] = {				on_call_frame,										   is_registration, list_call, list_head},
	[V_LADDER] = {              on_call_frame,is_named, draw_call, .is_drawing = true},
	[V_FLOW] = { on_flow_frame,									 .sum_up = sum_up_flow, .is_drawing = true},
	[V_STREAMS] = {				     on_call_frame,.sum_up = sum_up_streams},
	[V_STATS] = { on_call_frame,                                  .sum_up = sum_up_stats},
	[V_WHY] = {on_call_frame,                                 .on_call = explain_call},
	[V_LINT] = {		       on_lint_frame,           .sum_up = sum_up_lint, .sees_all = true},
};

bool scope_view_needs_trk(enum view v)
{
	return v != V_MESSAGES && v != V_LINT;
}

bool scope_view_is_of_calls(enum view v)
{
	return views[v].on_call;
}

bool scope_view_has_json(enum view v)
{
	return !views[v].is_drawing;
}

void scope_on_frame(struct scope *s, const struct cap_frame *fr)
{
	if (views[s->view].sees_all || !s->flt || flt_match(s->flt, fr))
		views[s->view].on_frame(s, fr);
}

void scope_on_verdict(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	if (!scope_is_chosen(s, c) || (views[s->view].wants && !views[s->view].wants(s, c)))
		return;
	views[s->view].on_call(s, c, v);
	s->n_shown++;
	flush_if_full(s);
}

static void show_calls(struct scope *s)
{
	if (views[s->view].head)
		views[s->view].head(s);
	for (const struct trk_call *c = trk_first(s->trk); c && !s->is_broken; c = c->next_no) {
		if (vrd_judge(&s->verdict, s->trk, c))
			s->out.err = ERR_NOMEM;
		scope_on_verdict(s, c, &s->verdict);
	}
}

int scope_at_end(struct scope *s)
{
	if (views[s->view].on_call && !s->live)
		show_calls(s);
	if (views[s->view].sum_up)
		views[s->view].sum_up(s);
	if (s->who && !s->n_shown) {
		no_such_call(s);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
