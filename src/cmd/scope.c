/* `rung scope`: a capture file, a pipe, or a running exchange, as lists, ladders, verdicts. Here
 * are its flags and what may go together. */
#include "base/assert.h"
#include "cmd/scope_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct {
	const char *name, *suffix;
	enum view view;
} formats[F__N] = {
#define SCOPE_FORMAT(id, name, suffix, view, help) {name, suffix, V_##view},
#include "cmd/scope_formats.def"
#undef SCOPE_FORMAT
};

static const char *const view_names[V__N] = {
#define SCOPE_VIEW(id, flag, help) flag,
#include "cmd/scope_views.def"
#undef SCOPE_VIEW
};

/* The format that a name, or the end of a file's name, stands for; F__N for none. */
static enum format format_of(const char *text, bool is_path)
{
	for (unsigned i = 0; i < F__N; i++)
		if (is_path ? str_ends(str_c(text), str_c(formats[i].suffix))
			    : strcmp(text, formats[i].name) == 0)
			return (enum format)i;
	return F__N;
}

enum format scope_format_of_path(const char *path)
{
	return format_of(path, true);
}

static int choose_format(struct scope *s, const struct opt_spec *spec)
{
	const char *name = s->format_name ? s->format_name : s->is_json ? "json" : NULL;
	if (name) {
		s->format = format_of(name, false);
		if (s->format == F__N)
			return opt_usage(spec,
					 "unknown format `%s`: text, json, fields, csv, svg, "
					 "mermaid, html",
					 name);
	} else if (s->out_path && strcmp(s->out_path, "-") != 0) {
		s->format = format_of(s->out_path, true);
		if (s->format == F__N)
			return opt_usage(spec,
					 "`%s`: what it shall be is told by its end: .txt, .json, "
					 ".tsv, .csv, .svg, .mmd, .html; or by -T",
					 s->out_path);
	}
	return -1;
}

static int choose_view(struct scope *s, const struct opt_spec *spec, const char *word)
{
	unsigned n = 0;
	s->view = formats[s->format].view;
	for (unsigned i = 0; i < V__N; i++)
		if (s->views[i]) {
			s->view = (enum view)i;
			n++;
		}
	if (n > 1)
		return opt_usage(spec, "one view at a time");
	if (s->compare && (n || s->live || s->who || s->sipp))
		return opt_usage(spec, "--compare goes with a file (-r), and with no view");
	if (s->anonymizes && (!s->to.path || !s->file || n || s->to.ring.n))
		return opt_usage(spec,
				 "--anonymize goes with -r FILE and -w FILE, and with no view");
	if (s->compare && s->format != F_TEXT && s->format != F_JSON)
		return opt_usage(spec, "--compare is shown as text or as JSON");
	if (s->with && !s->compare)
		return opt_usage(spec, "--with goes with --compare");
	if (s->compare) {
		s->second = word;
		return -1;
	}
	if (word && s->view != V_LADDER)
		return opt_usage(spec, "`%s` is one word too many (a capture is given with -r)",
				 word);
	if (word && s->who)
		return opt_usage(spec, "--call and `%s` both name a call", word);
	s->who = word ? word : s->who;
	s->is_quiet = n == 0 && (s->to.path || s->to.hep_to);
	if (s->to.path && strcmp(s->to.path, "-") == 0 && !s->is_quiet)
		return opt_usage(spec, "-w - fills the standard output: no view besides it");
	if (s->who && !scope_view_is_of_calls(s->view) && s->view != V_STREAMS && !s->sipp &&
	    !s->audio && !(s->is_quiet && s->to.path && s->file))
		return opt_usage(spec,
				 "--call goes with --calls, --ladder, --why, --streams, --sipp, "
				 "--audio, and of a file with -w");
	if ((s->sipp || s->audio) && !s->file)
		return opt_usage(spec, "--sipp and --audio need a file (-r)");
	if (s->sipp && s->audio)
		return opt_usage(spec, "--sipp or --audio, one at a time");
	if (s->is_detailed && s->view != V_STREAMS)
		return opt_usage(spec, "--detail goes with --streams");
	if (s->view == V_STREAMS && s->live)
		return opt_usage(spec,
				 "an exchange's live stream has no media in it: no --streams");
	if (!scope_view_has(s->view, s->format))
		return opt_usage(spec, "--%s cannot be shown as %s", view_names[s->view],
				 formats[s->format].name);
	if (s->view == V_LADDER && s->format > F_JSON && !s->file)
		return opt_usage(spec, "%s needs a file (-r)", formats[s->format].name);
	return -1;
}

/* The fields of -e, the settings of -E. */
static int choose_columns(struct scope *s, const struct opt_spec *spec)
{
	struct buf why;
	int code = -1;
	buf_init(&why);
	s->columns = (struct flt_columns){.fields = s->fields,
					  .n = s->field_names.n,
					  .separator = '\t',
					  .aggregator = ',',
					  .occurrence = 'a'};
	for (size_t i = 0; i < s->field_names.n && code < 0; i++) {
		struct str name = str_c(s->field_names.v[i]);
		s->fields[i] = flt_field_find(name, NULL);
		if (s->fields[i])
			continue;
		flt_field_explain(&why, name);
		code = opt_usage(spec, STR_FMT, STR_ARG(buf_view(&why)));
	}
	for (size_t i = 0; i < s->field_settings.n && code < 0; i++)
		if (!flt_columns_set(&s->columns, str_c(s->field_settings.v[i]), &why))
			code = opt_usage(spec, STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	return code;
}

static int choose_fields(struct scope *s, const struct opt_spec *spec)
{
	if (s->field_names.n && s->format != F_FIELDS && s->format != F_JSON)
		return opt_usage(spec, "-e needs -T fields or -T json");
	if (s->format == F_FIELDS && !s->field_names.n)
		return opt_usage(spec, "-T fields needs -e FIELD");
	if (s->field_names.n && s->view != V_MESSAGES)
		return opt_usage(spec, "-e goes with the list of messages only");
	int code = choose_columns(s, spec);
	if (code >= 0)
		return code;
	s->puts_array = s->field_names.n && s->format == F_JSON && s->format_name;
	s->view_opts = (struct view_opts){.is_json = s->format == F_JSON,
					  .is_ascii = s->is_ascii,
					  .is_detailed = s->is_detailed};
	return -1;
}

/* --join, --split: only where legs are shown joined. */
static int check_joins(const struct scope *s, const struct opt_spec *spec)
{
	if (!s->joins.n && !s->splits.n)
		return -1;
	if (!s->file || s->is_leg)
		return opt_usage(spec,
				 "--join and --split go with a file (-r), and not with --leg");
	if (!scope_view_is_of_calls(s->view) && !s->sipp && !s->audio && !s->compare &&
	    !s->anonymizes && !scope_is_tui(s))
		return opt_usage(spec, "--join and --split go with views of calls (--calls, "
				       "--registrations, --ladder, --why), with --compare, --sipp, "
				       "--audio and --anonymize, and with the screens");
	for (size_t i = 0; i < s->joins.n + s->splits.n; i++) {
		const char *pair = i < s->joins.n ? s->joins.v[i] : s->splits.v[i - s->joins.n];
		if (!strchr(pair, ','))
			return opt_usage(spec, "`%s`: two calls with a comma between them", pair);
	}
	return -1;
}

/* What may go together, of input and output. */
static int check_ways(struct scope *s, const struct opt_spec *spec)
{
	const struct scope_in *in = &s->in;
	bool is_iface = in->cfg.iface && strncmp(in->cfg.iface, "hep:", 4) != 0;
	int n_inputs = !!s->file + !!s->live + !!in->cfg.iface;
	if (n_inputs > 1)
		return opt_usage(spec, "one of -r, -i and --live, not several");
	if (!n_inputs)
		return opt_usage(spec, "which capture? -r FILE, -i INTERFACE, or --live SERVER");
	if (!is_iface &&
	    (in->cfg.filter || in->cfg.snaplen || in->cfg.buffer_mib || in->cfg.is_promiscuous))
		return opt_usage(spec, "-f, -s, -B and --promiscuous go with -i INTERFACE only%s",
				 in->cfg.filter ? "; a display filter is given with -Y" : "");
	if (s->to.ring.n && !s->to.path)
		return opt_usage(spec, "-b goes with -w FILE");
	for (size_t i = 0; i < in->autostop.n; i++) {
		struct str value, name = str_cut(str_c(in->autostop.v[i]), ':', &value);
		uint32_t v;
		if (!str_eq(name, STR("duration")) || !str_u32(value, &v) || !v)
			return opt_usage(spec, "-a %s: it is duration:SECONDS", in->autostop.v[i]);
		s->in.duration_s = v;
	}
	return -1;
}

static int compile_filter(struct scope *s)
{
	struct buf why;
	if (!s->filter)
		return -1;
	buf_init(&why);
	struct str text = str_trim(str_c(s->filter));
	enum err e = flt_compile(text.n ? text : STR("frame"), &s->flt, &why);
	if (e) {
		buf_chr(&why, '\n');
		fprintf(stderr, "rung scope: the filter cannot be read\n" STR_FMT,
			STR_ARG(buf_view(&why)));
	}
	buf_fini(&why);
	return e == OK ? -1 : e == ERR_SYNTAX ? EXIT_USAGE : EXIT_FAILED;
}

bool scope_may_colour(void)
{
	return !getenv("NO_COLOR");
}

void scope_choose_look(struct scope *s)
{
	bool is_tty = isatty(STDOUT_FILENO) && s->sink == stdout;
	struct winsize w;
	s->lad_opts.is_ascii = s->is_ascii;
	s->lad_opts.is_colour = is_tty && !s->no_colour && scope_may_colour();
	s->lad_opts.width = (uint16_t)(s->width < 400 ? s->width : 400);
	if (!s->width && is_tty && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col > 80)
		s->lad_opts.width = w.ws_col;
}

static void scope_fini(struct scope *s)
{
	hold_free(s->hold);
	flt_calls_free(s->calls);
	trk_free(s->whole_trk);
	cap_close(s->first_cap);
	scope_write_free(s);
	if (s->book) {
		book_free(s->book);
	} else {
		cap_walk_free(s->walk);
		trk_free(s->trk);
		cap_close(s->cap);
	}
	flt_free(s->flt);
	free(s->items);
	free(s->temp_path);
	lint_free(s->lint);
	vrd_fini(&s->verdict);
	buf_fini(&s->out);
}

static int run(struct scope *s, const struct opt_spec *spec, const char *word)
{
	if (s->lists_fields || s->lists_rules) {
		if (s->lists_fields)
			flt_fields_put(&s->out);
		else
			lint_put_rules(&s->out, s->is_json);
		scope_flush(s);
		return EXIT_DONE;
	}
	if (s->in.lists)
		return scope_list_interfaces();
	int code = choose_format(s, spec);
	if (code < 0)
		code = choose_view(s, spec, word);
	if (code < 0)
		code = choose_fields(s, spec);
	if (code < 0)
		code = check_ways(s, spec);
	if (code < 0)
		code = check_joins(s, spec);
	if (code < 0)
		code = compile_filter(s);
	if (code < 0 && s->anonymizes)
		return scope_anonymize(s);
	if (code < 0 && s->sipp)
		return scope_export_sipp(s);
	if (code < 0 && scope_is_tui(s))
		return scope_run_tui(s);
	if (code < 0 && s->audio)
		return scope_export_audio(s);
	if (code < 0 && s->compare)
		return scope_compare(s);
	if (code < 0)
		code = scope_is_of_book(s) ? scope_open_book(s) : scope_open(s);
	if (code < 0 && s->book)
		code = scope_read_book(s);
	if (code < 0)
		code = scope_out_open(s);
	if (code >= 0)
		return code;
	scope_choose_look(s);
	return scope_out_close(s, s->book ? scope_export_ladder(s) : scope_walk(s));
}

static const char examples[] = "  rung scope -r lab.pcap -Y 'ip.addr == 192.0.2.1 && sip'\n"
			       "  rung scope -r lab.pcap --calls\n"
			       "  rung scope -r lab.pcap --ladder 3\n"
			       "  rung scope -r lab.pcap --why --json\n"
			       "  rung scope -r lab.pcap --call 3 -o ticket.svg\n"
			       "  rung scope -r lab.pcap -o ticket.html\n"
			       "  rung scope -r lab.pcap --call 3 --sipp busy\n"
			       "  rung scope -r lab.pcap --call 3 -w public.pcapng --anonymize\n"
			       "  rung scope -r lab.pcap --call 3 --audio call.wav\n"
			       "  rung scope -r lab.pcap --streams --detail\n"
			       "  rung scope -r monday.pcap --compare 3 --with today.pcap 7\n"
			       "  rung scope -r lab.pcap --lint -Y 'ip.src == 192.0.2.21'\n"
			       "  rung scope -r lab.pcap -Y 'sip.Status-Code >= 400' -T fields -e "
			       "frame.number -e sip.Call-ID\n";

int cmd_scope(int argc, char **argv)
{
	struct scope s = {.sink = stdout};
	const struct opt opts[] = {
#define SCOPE_FLAG(letter, name, kind, member, value, help)                                        \
	{letter, name, OPT_##kind, &s.member, value, help},
#define SCOPE_VIEW(id, flag, help) {0, flag, OPT_FLAG, &s.views[V_##id], NULL, help},
#include "cmd/scope_flags.def"
#undef SCOPE_FLAG
#undef SCOPE_VIEW
	};
	const struct opt_spec spec = {
		.command = "scope",
		.words = "[CALL]",
		.about = "Reads SIP and its media out of a capture or live from an interface, on "
			 "any port, over UDP, TCP, "
			 "WebSocket, and TLS whose secrets are known, also inside tunnels (GRE, "
			 "ERSPAN, VXLAN, GTP-U, MPLS, "
			 "PPPoE, HEP), and says what happened. Ctrl-C ends a live capture and "
			 "shows what was "
			 "gathered. On a terminal, without a view: screens to "
			 "walk through calls, flows and messages, of a file or live "
			 "(? shows the keys).",
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
	if (code < 0 && s.files.n > 1)
		code = opt_usage(
			&spec,
			"one capture at a time; `mergecap -w all.pcapng %s %s` makes one of "
			"several",
			s.files.v[0], s.files.v[1]);
	s.file = s.files.n ? s.files.v[0] : NULL;
	if (code < 0)
		code = run(&s, &spec, n_words ? words[0] : NULL);
	scope_fini(&s);
	return code;
}
