/* `rung scope`: a capture file, a pipe, or a running exchange, as lists, ladders, verdicts. Here
 * are its flags and what may go together. */
#include "base/assert.h"
#include "cmd/scope_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int choose_view(struct scope *s, const struct opt_spec *spec, const char *word)
{
	unsigned n = 0;
	for (unsigned i = 0; i < V__N; i++)
		if (s->views[i]) {
			s->view = (enum view)i;
			n++;
		}
	if (n > 1)
		return opt_usage(spec, "one view at a time");
	if (word && s->view != V_LADDER)
		return opt_usage(spec, "`%s` is one word too many (a capture is given with -r)",
				 word);
	if (word && s->who)
		return opt_usage(spec, "--call and `%s` both name a call", word);
	s->who = word ? word : s->who;
	if (s->who && !scope_view_is_of_calls(s->view) && s->view != V_STREAMS && !s->sipp)
		return opt_usage(spec,
				 "--call goes with --calls, --ladder, --why, --streams, --sipp");
	if (s->sipp && s->live)
		return opt_usage(spec, "--sipp needs a file (-r)");
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
	if (s->format == F_JSON && !scope_view_has_json(s->view))
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

static void scope_fini(struct scope *s)
{
	if (s->book) {
		book_free(s->book);
	} else {
		cap_walk_free(s->walk);
		trk_free(s->trk);
		cap_close(s->cap);
	}
	flt_free(s->flt);
	free(s->items);
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
	int code = choose_view(s, spec, word);
	if (code < 0)
		code = choose_format(s, spec);
	if (code < 0 && !s->file == !s->live)
		code = opt_usage(spec, s->file ? "either -r or --live, not both"
					       : "which capture? -r FILE, or --live SERVER");
	if (code < 0)
		code = compile_filter(s);
	if (code < 0 && s->sipp)
		return scope_export_sipp(s);
	if (code < 0)
		code = scope_open(s);
	if (code >= 0)
		return code;
	choose_look(s);
	return scope_walk(s);
}

static const char examples[] = "  rung scope -r lab.pcap -Y 'ip.addr == 192.0.2.1 && sip'\n"
			       "  rung scope -r lab.pcap --calls\n"
			       "  rung scope -r lab.pcap --ladder 3\n"
			       "  rung scope -r lab.pcap --why --json\n"
			       "  rung scope -r lab.pcap --call 3 --sipp busy\n"
			       "  rung scope -r lab.pcap --lint -Y 'ip.src == 192.0.2.21'\n"
			       "  rung scope -r lab.pcap -Y 'sip.Status-Code >= 400' -T fields -e "
			       "frame.number -e sip.Call-ID\n";

static const struct {
	const char *flag, *help;
} view_flags[] = {
#define SCOPE_VIEW(id, flag, help) {flag, help},
#include "cmd/scope_views.def"
#undef SCOPE_VIEW
};

int cmd_scope(int argc, char **argv)
{
	struct scope s = {.source_fd = -1};
	const struct opt input[] = {
		{'r', "read",   OPT_STR, &s.file,   "FILE",
		 "a capture: pcap or pcapng, plain or gzip; - is stdin" },
		{0,   "live",   OPT_STR, &s.live,   "SERVER",
		 "a running exchange: its data folder or control socket"},
		{'Y', "filter", OPT_STR, &s.filter, "FILTER",
		 "only what fits, in Wireshark's filter language"       },
	};
	const struct opt show[] = {
		{0,   "sipp",      OPT_STR,  &s.sipp,         "NAME",
		 "write one call as SIPp scenarios: NAME-caller.xml, NAME-callee.xml"                                },
		{0,   "call",      OPT_STR,  &s.who,          "CALL",   "only the call with that number or Call-ID"  },
		{0,   "json",      OPT_FLAG, &s.is_json,      NULL,     "any list as JSON, one object per line"      },
		{'T', "format",    OPT_STR,  &s.format_name,  "FORMAT",
		 "text, json, or fields (with -e)"								   },
		{'e', "field",     OPT_LIST, &s.field_names,  "FIELD",
		 "a field to print for each frame; may be repeated"                                                  },
		{0,   "fields",    OPT_FLAG, &s.lists_fields, NULL,
		 "list the fields that filters and -e know"                                                          },
		{0,   "rules",     OPT_FLAG, &s.lists_rules,  NULL,     "list what --lint looks for"                 },
		{0,   "ascii",     OPT_FLAG, &s.is_ascii,     NULL,     "plain characters only"                      },
		{0,   "no-colour", OPT_FLAG, &s.no_colour,    NULL,     "no colours on a terminal"                   },
		{0,   "width",     OPT_U32,  &s.width,        "N",      "columns of a ladder (80, or the terminal's)"},
	};
	struct opt opts[ARRAY_LEN(input) + V__N + ARRAY_LEN(show)];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(input); i++)
		opts[n++] = input[i];
	for (size_t i = 0; i < V__N; i++)
		opts[n++] = (struct opt){0,    view_flags[i].flag, OPT_FLAG, &s.views[i],
					 NULL, view_flags[i].help};
	for (size_t i = 0; i < ARRAY_LEN(show); i++)
		opts[n++] = show[i];
	const struct opt_spec spec = {
		.command = "scope",
		.words = "[CALL-ID]",
		.about = "Reads SIP and its media out of a capture, on any port, over UDP, TCP and "
			 "WebSocket, also inside tunnels (GRE, ERSPAN, VXLAN, GTP-U, MPLS, "
			 "PPPoE), and says what happened.",
		.examples = examples,
		.opts = opts,
		.n_opts = n,
		.min_words = 0,
		.max_words = 1,
	};
	const char *words[1] = {NULL};
	size_t n_words = 0;
	vrd_init(&s.verdict);
	buf_init(&s.out);
	int code = opt_parse(&spec, argc, argv, words, &n_words);
	if (code < 0) {
		code = run(&s, &spec, n_words ? words[0] : NULL);
	}
	scope_fini(&s);
	return code;
}
