/* `rung scope`: a capture file, a pipe, or a running exchange, as lists, ladders, verdicts.
 *
 * One walk over the capture feeds whatever the view needs: lists of frames are printed as they are
 * read; everything about calls is printed when the capture has been read to its end, or, live, when
 * a call has ended. A tracker is made only where the view or the filter needs one.
 *
 * With a filter, calls are those with a message that fits it. */
#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/opt.h"
#include "scope/flt.h"
#include "scope/lad.h"
#include "scope/view.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_BYTES  (64u << 10)
#define LIVE_TICK_MS 200

enum view {
	V_MESSAGES,
	V_CALLS,
	V_REGISTRATIONS,
	V_LADDER,
	V_FLOW,
	V_STREAMS,
	V_STATS,
	V_WHY,
	V__N
};
enum format { F_TEXT, F_JSON, F_FIELDS };

struct scope {
	/* flags */
	const char *file, *live, *filter, *format_name;
	struct opt_list field_names;
	bool views[V__N];
	bool is_json, is_ascii, lists_fields, no_colour;
	uint32_t width;
	const char *who; /* the word after --ladder: a Call-ID or a call's number */

	enum view view;
	enum format format;
	const struct flt_field *fields[OPT_LIST_MAX];
	struct flt *flt;
	struct trk *trk;
	struct cap *cap;
	struct cap_walk *walk;
	struct view_opts view_opts;
	struct lad_opts lad_opts;
	struct lad_item *items; /* --flow: the messages chosen */
	size_t n_items, items_cap;
	uint32_t n_shown; /* ladders or verdicts so far */
	struct vrd verdict;
	struct buf out;
	bool is_broken; /* nobody reads our output any more, or the disk is full */
	int source_fd;  /* live: what to wait on */
};

/* --- output ----------------------------------------------------------------------------------- */

static void flush(struct scope *s)
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
		flush(s);
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

static void print_frame(struct scope *s, const struct cap_frame *fr)
{
	if (s->format == F_FIELDS)
		put_fields_text(s, fr);
	else if (s->field_names.n)
		put_fields_json(s, fr);
	else if (fr->n_msgs)
		view_messages(&s->out, fr, &s->view_opts);
	else if (s->flt)
		view_other_frame(&s->out, fr, &s->view_opts);
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

static void on_frame(struct scope *s, const struct cap_frame *fr)
{
	if (s->flt && !flt_match(s->flt, fr))
		return;
	if (s->view == V_MESSAGES) {
		print_frame(s, fr);
		flush_if_full(s);
		return;
	}
	for (size_t i = 0; i < fr->n_msgs; i++) {
		struct cap_msg *m = &fr->msgs[i];
		if (!m->call)
			continue;
		m->call->is_marked = true;
		if (s->view == V_FLOW && m->no && !choose(s, m))
			s->out.err = ERR_NOMEM;
	}
}

/* --- calls ------------------------------------------------------------------------------------ */

static bool is_wanted(const struct scope *s, const struct trk_call *c)
{
	if (s->flt && !c->is_marked)
		return false;
	if (s->view == V_CALLS)
		return c->kind == TRK_CALL;
	if (s->view == V_REGISTRATIONS)
		return c->kind == TRK_REG;
	if (s->view != V_LADDER || !s->who)
		return true;
	uint32_t no;
	struct str who = str_c(s->who);
	return str_eq(c->call_id, who) || (str_u32(who, &no) && c->no == no);
}

static void show_call(struct scope *s, const struct trk_call *c, const struct vrd *v)
{
	switch (s->view) {
	case V_LADDER:
		buf_str(&s->out, s->n_shown ? STR("\n") : STR_NONE);
		lad_put(&s->out, s->trk, c, v, &s->lad_opts);
		break;
	case V_WHY:
		if (s->view_opts.is_json) {
			vrd_put_json(&s->out, s->trk, c, v);
			buf_chr(&s->out, '\n');
		} else {
			buf_str(&s->out, s->n_shown ? STR("\n") : STR_NONE);
			vrd_put_text(&s->out, s->trk, c, v, s->is_ascii);
		}
		break;
	default:
		view_call(&s->out, s->trk, c, v, &s->view_opts);
		break;
	}
	s->n_shown++;
	flush_if_full(s);
}

static void show_calls(struct scope *s)
{
	if (s->view == V_CALLS || s->view == V_REGISTRATIONS)
		view_call_head(&s->out, &s->view_opts);
	for (const struct trk_call *c = trk_first(s->trk); c && !s->is_broken; c = c->next_no) {
		if (!is_wanted(s, c))
			continue;
		if (vrd_judge(&s->verdict, s->trk, c))
			s->out.err = ERR_NOMEM;
		show_call(s, c, &s->verdict);
	}
}

static void on_live_verdict(void *arg, const struct trk *t, const struct trk_call *c,
			    const struct vrd *v)
{
	struct scope *s = arg;
	if (is_wanted(s, c))
		show_call(s, c, v);
}

static void show_streams(struct scope *s)
{
	view_stream_head(&s->out, &s->view_opts);
	for (const struct trk_call *c = trk_first(s->trk); c; c = c->next_no) {
		if (s->flt && !c->is_marked)
			continue;
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

static int show(struct scope *s)
{
	switch (s->view) {
	case V_MESSAGES:
	case V__N:
		break;
	case V_FLOW:
		lad_put_items(&s->out, s->trk, s->items, s->n_items, &s->lad_opts);
		break;
	case V_STREAMS:
		show_streams(s);
		break;
	case V_STATS:
		view_stats(&s->out, s->trk, &s->view_opts);
		break;
	case V_LADDER:
	case V_CALLS:
	case V_REGISTRATIONS:
	case V_WHY:
		if (!s->live)
			show_calls(s);
		break;
	}
	if (s->view == V_LADDER && s->who && !s->n_shown) {
		fprintf(stderr,
			"rung scope: no call has the Call-ID or number `%s`; "
			"`rung scope -r FILE --calls` lists them\n",
			s->who);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

/* --- the walk --------------------------------------------------------------------------------- */

static uint64_t wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1'000'000 + (uint64_t)ts.tv_nsec / 1'000;
}

/* Live: lets time pass for the tracker while nothing comes. */
static void wait_for_more(struct scope *s)
{
	struct pollfd p = {.fd = s->source_fd, .events = POLLIN};
	while (cap_would_read(s->cap) && poll(&p, 1, LIVE_TICK_MS) == 0)
		if (s->trk)
			trk_tick(s->trk, wall_us());
}

static int walk(struct scope *s)
{
	const struct cap_frame *fr;
	for (;;) {
		if (s->live)
			wait_for_more(s);
		fr = cap_walk_next(s->walk);
		if (!fr || s->is_broken)
			break;
		on_frame(s, fr);
	}
	if (s->live && s->trk)
		trk_flush(s->trk);
	int code = show(s);
	flush(s);
	uint16_t link;
	uint32_t n = cap_walk_unknown_links(s->walk, &link);
	if (n)
		fprintf(stderr,
			"rung scope: %u frames have the link type %u, which is not read here; "
			"`editcap` or `tcpdump` may convert them\n",
			n, link);
	const char *problem = cap_problem(s->cap);
	if (problem && !s->live) {
		fprintf(stderr, "rung scope: %s; what was read so far is shown\n", problem);
		code = code ? code : EXIT_FAILED;
	}
	if (ferror(stdout)) {
		fprintf(stderr,
			"rung scope: the output cannot be written (disk full, or the reader "
			"has gone)\n");
		code = EXIT_FAILED;
	}
	return code;
}

/* --- flags ------------------------------------------------------------------------------------ */

static int choose_view(struct scope *s, const struct opt_spec *spec)
{
	unsigned n = 0;
	for (unsigned i = 0; i < V__N; i++)
		if (s->views[i]) {
			s->view = (enum view)i;
			n++;
		}
	if (n > 1)
		return opt_usage(spec, "one view at a time");
	if (s->who && s->view != V_LADDER)
		return opt_usage(spec, "`%s` is one word too many (a capture is given with -r)",
				 s->who);
	if (s->view == V_STREAMS && s->live)
		return opt_usage(spec,
				 "an exchange's live stream has no media in it: no --streams");
	return -1;
}

static int choose_format(struct scope *s, const struct opt_spec *spec)
{
	const char *f = s->format_name ? s->format_name : s->is_json ? "json" : "text";
	if (strcmp(f, "text") == 0)
		s->format = F_TEXT;
	else if (strcmp(f, "json") == 0)
		s->format = F_JSON;
	else if (strcmp(f, "fields") == 0)
		s->format = F_FIELDS;
	else
		return opt_usage(spec, "unknown format `%s`: text, json, fields", f);
	if (s->field_names.n && s->format == F_TEXT)
		return opt_usage(spec, "-e needs -T fields or -T json");
	if (s->format == F_FIELDS && !s->field_names.n)
		return opt_usage(spec, "-T fields needs -e FIELD");
	if (s->format == F_JSON && (s->view == V_LADDER || s->view == V_FLOW))
		return opt_usage(spec,
				 "a ladder is a drawing: --messages or --calls list it as JSON");
	if (s->field_names.n && s->view != V_MESSAGES)
		return opt_usage(spec, "-e goes with the list of messages only");
	for (size_t i = 0; i < s->field_names.n; i++) {
		struct str near;
		s->fields[i] = flt_field_find(str_c(s->field_names.v[i]), &near);
		if (!s->fields[i] && near.n)
			return opt_usage(spec,
					 "there is no field `%s`; did you mean `" STR_FMT "`?",
					 s->field_names.v[i], STR_ARG(near));
		if (!s->fields[i])
			return opt_usage(spec, "there is no field `%s` (--fields lists them)",
					 s->field_names.v[i]);
	}
	s->view_opts = (struct view_opts){.is_json = s->format == F_JSON, .is_ascii = s->is_ascii};
	return -1;
}

static int compile_filter(struct scope *s)
{
	struct buf why;
	if (!s->filter)
		return -1;
	buf_init(&why);
	enum err e = flt_compile(str_c(s->filter), &s->flt, &why);
	if (e) {
		buf_chr(&why, '\n');
		fprintf(stderr, "rung scope: the filter cannot be read\n" STR_FMT,
			STR_ARG(buf_view(&why)));
	}
	buf_fini(&why);
	return e == OK ? -1 : e == ERR_SYNTAX ? EXIT_USAGE : EXIT_FAILED;
}

static void choose_look(struct scope *s)
{
	bool is_tty = isatty(STDOUT_FILENO);
	struct winsize w;
	s->lad_opts.is_ascii = s->is_ascii;
	s->lad_opts.is_colour = is_tty && !s->no_colour && !getenv("NO_COLOR");
	s->lad_opts.width = (uint16_t)(s->width < 400 ? s->width : 400);
	if (!s->width && is_tty && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col > 80)
		s->lad_opts.width = w.ws_col;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int fail_open(const char *what, enum err e, struct buf *why)
{
	fprintf(stderr, "rung scope: %s: " STR_FMT "\n", what,
		STR_ARG(why->n ? buf_view(why) : str_c(err_text(e))));
	return EXIT_FAILED;
}

static int open_source(struct scope *s)
{
	struct buf why;
	int code = -1;
	enum err e;
	buf_init(&why);
	if (s->live) {
		const char *text;
		s->source_fd = control_ask(s->live, "live", &text);
		if (s->source_fd < 0) {
			fprintf(stderr, "rung scope: %s: %s\n", s->live, text);
			code = EXIT_UNREACHABLE;
			goto out;
		}
		e = cap_open_fd(s->source_fd, &s->cap, &why);
	} else {
		e = cap_open(s->file, &s->cap, &why);
	}
	if (e)
		code = fail_open(s->live ? s->live : s->file, e, &why);
out:
	buf_fini(&why);
	return code;
}

static int make_walk(struct scope *s)
{
	bool needs_trk = s->view != V_MESSAGES || (s->flt && flt_needs_media(s->flt));
	for (size_t i = 0; i < s->field_names.n; i++)
		needs_trk = needs_trk || s->fields[i]->needs_media;
	if (needs_trk) {
		/* live, calls are forgotten when they have ended; all else is a list of what is
		 * there */
		struct trk_cfg cfg = {.is_live = s->live && s->view != V_STATS && s->view != V_FLOW,
				      .has_media = !s->live,
				      .report_all = true,
				      .on_verdict = on_live_verdict,
				      .arg = s};
		s->trk = trk_new(&cfg);
	}
	enum err e = needs_trk && !s->trk ? ERR_NOMEM : cap_walk_new(s->cap, s->trk, &s->walk);
	if (e)
		fprintf(stderr, "rung scope: %s\n", err_text(e));
	return e ? EXIT_FAILED : -1;
}

static void scope_fini(struct scope *s)
{
	cap_walk_free(s->walk);
	trk_free(s->trk);
	cap_close(s->cap);
	flt_free(s->flt);
	free(s->items);
	vrd_fini(&s->verdict);
	buf_fini(&s->out);
}

static int run(struct scope *s, const struct opt_spec *spec)
{
	if (s->lists_fields) {
		flt_fields_put(&s->out);
		flush(s);
		return EXIT_DONE;
	}
	int code = choose_view(s, spec);
	if (code < 0)
		code = choose_format(s, spec);
	if (code < 0 && !s->file == !s->live)
		code = opt_usage(spec, s->file ? "either -r or --live, not both"
					       : "which capture? -r FILE, or --live SERVER");
	if (code < 0)
		code = compile_filter(s);
	if (code < 0)
		code = open_source(s);
	if (code < 0)
		code = make_walk(s);
	if (code >= 0)
		return code;
	choose_look(s);
	return walk(s);
}

static const char examples[] = "  rung scope -r lab.pcap -Y 'ip.addr == 192.0.2.1 && sip'\n"
			       "  rung scope -r lab.pcap --calls\n"
			       "  rung scope -r lab.pcap --ladder 3\n"
			       "  rung scope -r lab.pcap --why --json\n"
			       "  rung scope -r lab.pcap -Y 'sip.Status-Code >= 400' -T fields -e "
			       "frame.number -e sip.Call-ID\n";

int cmd_scope(int argc, char **argv)
{
	struct scope s = {.source_fd = -1};
	const struct opt opts[] = {
		{'r', "read",          OPT_STR,  &s.file,                   "FILE",
		 "a capture: pcap or pcapng, plain or gzip; - is stdin"                                                            },
		{0,   "live",          OPT_STR,  &s.live,                   "SERVER",
		 "a running exchange: its data folder or control socket"                                                           },
		{'Y', "filter",        OPT_STR,  &s.filter,                 "FILTER",
		 "only what fits, in Wireshark's filter language"								  },
		{0,   "messages",      OPT_FLAG, &s.views[V_MESSAGES],      NULL,
		 "list the messages (the default view)"									    },
		{0,   "calls",         OPT_FLAG, &s.views[V_CALLS],         NULL,
		 "list the calls, each with its verdict"									   },
		{0,   "registrations", OPT_FLAG, &s.views[V_REGISTRATIONS], NULL,
		 "list the registrations"											  },
		{0,   "ladder",        OPT_FLAG, &s.views[V_LADDER],        NULL,
		 "draw each call, or the one whose Call-ID or number follows"                                                      },
		{0,   "flow",          OPT_FLAG, &s.views[V_FLOW],          NULL,
		 "draw all messages that fit as one ladder"									},
		{0,   "streams",       OPT_FLAG, &s.views[V_STREAMS],       NULL,     "list the RTP streams"                       },
		{0,   "stats",         OPT_FLAG, &s.views[V_STATS],         NULL,
		 "count methods, statuses, retransmissions"									},
		{0,   "why",           OPT_FLAG, &s.views[V_WHY],           NULL,
		 "say what happened and why, with evidence and remedy"                                                             },
		{0,   "json",          OPT_FLAG, &s.is_json,                NULL,     "any list as JSON, one object per line"      },
		{'T', "format",        OPT_STR,  &s.format_name,            "FORMAT",
		 "text, json, or fields (with -e)"										 },
		{'e', "field",         OPT_LIST, &s.field_names,            "FIELD",
		 "a field to print for each frame; may be repeated"                                                                },
		{0,   "fields",        OPT_FLAG, &s.lists_fields,           NULL,
		 "list the fields that filters and -e know"									},
		{0,   "ascii",         OPT_FLAG, &s.is_ascii,               NULL,     "plain characters only"                      },
		{0,   "no-colour",     OPT_FLAG, &s.no_colour,              NULL,     "no colours on a terminal"                   },
		{0,   "width",         OPT_U32,  &s.width,                  "N",      "columns of a ladder (80, or the terminal's)"},
	};
	const struct opt_spec spec = {
		.command = "scope",
		.words = "[CALL-ID]",
		.about = "Reads SIP and its media out of a capture, on any port, over UDP, TCP and "
			 "WebSocket, also inside tunnels (GRE, ERSPAN, VXLAN, GTP-U, MPLS, "
			 "PPPoE), and says what happened.",
		.examples = examples,
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 0,
		.max_words = 1,
	};
	const char *words[1] = {NULL};
	size_t n_words = 0;
	vrd_init(&s.verdict);
	buf_init(&s.out);
	int code = opt_parse(&spec, argc, argv, words, &n_words);
	if (code < 0) {
		s.who = n_words ? words[0] : NULL;
		code = run(&s, &spec);
	}
	scope_fini(&s);
	return code;
}
