/* rung reg, calls, trunk, route, stats: objects of a running exchange, listed, shown, and ended.
 * All are one command with another row of the table below; what the columns are is told by
 * admin/objects.def. */
#include "cmd/admin.h"

#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCH_S 2

int admin_fail(const char *command, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "rung %s: ", command);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return EXIT_FAILED;
}

const char *admin_dir(const struct admin_flags *f, char mem[512])
{
	return f->data ? f->data : control_default_dir(mem);
}

enum adm_format admin_format(const struct admin_flags *f)
{
	return f->is_json ? ADM_AS_JSON : f->is_csv ? ADM_AS_CSV : ADM_AS_TEXT;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int outcome(const char *command, struct str line, uint64_t *n_rows)
{
	struct adm_outcome o;
	if (adm_line_outcome(line, &o))
		return admin_fail(command, "the exchange answered with something else: is it of "
					   "another version?");
	if (n_rows)
		*n_rows = o.n_rows;
	if (o.result != ADM_DONE)
		return admin_fail(command, STR_FMT, STR_ARG(o.why));
	if (o.is_more)
		fputs("(there are more: --limit)\n", stderr);
	return EXIT_DONE;
}

int admin_each(const char *command, const char *data, const struct adm_ask *q,
	       void (*fn)(void *ctx, struct str row), void *ctx, uint64_t *n_rows)
{
	struct buf b;
	const char *why = "not enough memory", *text;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int code = -1;
	buf_init(&b);
	text = adm_line_put(&b, q) == OK ? buf_cstr(&b) : NULL;
	if (text)
		b.p[b.n - 1] = 0; /* control_ask ends the line */
	int fd = text ? control_ask(data, text, &why) : -1;
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	buf_fini(&b);
	if (!f) {
		admin_fail(command, "%s: %s", data, why);
		return EXIT_UNREACHABLE;
	}
	while (code < 0 && (n = getline(&line, &cap, f)) > 0) {
		if (line[0] == ' ')
			fn(ctx, str_of(line + 1, (size_t)n - 1));
		else
			code = outcome(command, str_of(line, (size_t)n), n_rows);
	}
	free(line);
	fclose(f);
	return code >= 0 ? code : admin_fail(command, "the exchange ended before its answer did");
}

static void print_row(void *ctx, struct str row)
{
	fwrite(row.p, 1, row.n, ctx);
}

int admin_ask(const char *command, const char *data, const struct adm_ask *q, uint64_t *n_rows)
{
	return admin_each(command, data, q, print_row, stdout, n_rows);
}

int admin_list(const char *command, const struct admin_flags *f, enum adm_kind kind)
{
	char mem[512];
	struct buf head;
	struct adm_ask q = {.verb = ADM_DO_LIST, .kind = kind, .format = admin_format(f)};
	q.limit = f->limit;
	if (f->filter && !str_copy(q.filter, sizeof(q.filter), str_c(f->filter)))
		return admin_fail(command, "--filter is too long");
	buf_init(&head);
	adm_put_head(&head, kind, q.format);
	if (head.n)
		fwrite(head.p, 1, head.n, stdout);
	buf_fini(&head);
	fflush(stdout);
	return admin_ask(command, admin_dir(f, mem), &q, NULL);
}

/* ---- one of them ----------------------------------------------------------------------------- */

int admin_one(const struct admin_noun *n, const struct admin_flags *f, const char *key, bool is_del)
{
	char mem[512];
	uint64_t n_rows = 0;
	struct adm_ask q = {.verb = is_del ? ADM_DO_DELETE : ADM_DO_LIST, .kind = n->kind};
	q.format = f->is_json ? ADM_AS_JSON : ADM_AS_SHEET;
	if (!str_copy(q.key, sizeof(q.key), str_c(key)))
		return admin_fail(n->command, "%s is too long", n->key);
	int code = admin_ask(n->command, admin_dir(f, mem), &q, &n_rows);
	if (code == EXIT_DONE && !n_rows)
		return admin_fail(n->command, "there is no %s `%s`", adm_object(n->kind)->one, key);
	if (code == EXIT_DONE && is_del)
		printf("%llu %s\n", (unsigned long long)n_rows, n->ended);
	return code;
}

static int run_noun(const struct admin_noun *n, int argc, char **argv)
{
	struct admin_flags f = {0};
	const char *words[2];
	size_t n_words = 0;
	char usage[128];
	struct opt opts[] = {
		{0, "data",   OPT_STR,  &f.data,    "DIR",
		 "the exchange's data folder (~/.local/share/rung)"                                },
		{0, "filter", OPT_STR,  &f.filter,  "TEXT", "only those that have it in some field"},
		{0, "limit",  OPT_U32,  &f.limit,   "N",    "at most so many"                      },
		{0, "json",   OPT_FLAG, &f.is_json, NULL,   "one JSON object per line"             },
		{0, "csv",    OPT_FLAG, &f.is_csv,  NULL,   "CSV with a heading"                   },
	};
	struct buf about;
	buf_init(&about);
	buf_fmt(&about, "%s\n\n", n->about);
	adm_put_help(&about, n->kind);
	const char *about_text = buf_cstr(&about);
	if (n->del)
		snprintf(usage, sizeof(usage), "[list | show %s | %s %s]", n->key, n->del, n->key);
	else
		snprintf(usage, sizeof(usage), "[list | show %s]", n->key);
	struct opt_spec spec = {.command = n->command,
				.words = usage,
				.about = about_text ? about_text : n->about,
				.examples = n->examples,
				.opts = opts,
				.n_opts = ARRAY_LEN(opts),
				.max_words = 2};
	int code = opt_parse(&spec, argc, argv, words, &n_words);
	if (code < 0) {
		const char *verb = n_words ? words[0] : "list";
		bool is_list = strcmp(verb, "list") == 0,
		     is_del = n->del && strcmp(verb, n->del) == 0;
		if (is_list && n_words < 2)
			code = admin_list(n->command, &f, n->kind);
		else if ((is_del || strcmp(verb, "show") == 0) && n_words == 2)
			code = admin_one(n, &f, words[1], is_del);
		else
			code = opt_usage(&spec, "expected %s", usage);
	}
	buf_fini(&about);
	return code;
}

int cmd_reg(int argc, char **argv)
{
	static const struct admin_noun reg = {
		.command = "reg",
		.kind = ADM_registration,
		.key = "AOR",
		.del = "del",
		.ended = "ended",
		.about = "Registrations of a running exchange. AOR is an address of record, or the "
			 "user name alone. `del` ends all\n"
			 "its contacts; the phone may register again.",
		.examples = "  rung reg\n  rung reg show 100 --json\n  rung reg del 100\n",
	};
	return run_noun(&reg, argc, argv);
}

int cmd_calls(int argc, char **argv)
{
	static const struct admin_noun calls = {
		.command = "calls",
		.kind = ADM_call,
		.key = "CALL-ID",
		.del = "hangup",
		.ended = "ended",
		.about = "Calls under way in a running exchange, with what can be said of them so "
			 "far. "
			 "`hangup` ends a call that\n"
			 "ends at rung itself; one that rung only passes on can be ended by its "
			 "two ends "
			 "alone.",
		.examples = "  rung calls\n  rung calls --json | jq .verdict\n",
	};
	return run_noun(&calls, argc, argv);
}

int cmd_trunk(int argc, char **argv)
{
	static const struct admin_noun trunk = {
		.command = "trunk",
		.kind = ADM_trunk,
		.key = "NAME",
		.about = "Trunks of a running exchange, one row per host: up or down, registered "
			 "or not, and why.",
		.examples = "  rung trunk\n  rung trunk show provider --json\n",
	};
	return run_noun(&trunk, argc, argv);
}

int admin_routes(int argc, char **argv)
{
	static const struct admin_noun route = {
		.command = "route",
		.kind = ADM_route,
		.key = "RULE",
		.about = "Rules of the routing policy in force in a running exchange, in their "
			 "order. `rung route test` tells where a call would go.",
		.examples = "  rung route\n  rung route show premium\n",
	};
	return run_noun(&route, argc, argv);
}

int cmd_lint(int argc, char **argv)
{
	static const struct admin_noun cards = {
		.command = "lint",
		.kind = ADM_scorecard,
		.key = "AGENT",
		.about = "How well each kind of phone that talks to a running exchange keeps to "
			 "the RFCs, since its start. Each\n"
			 "message is looked at; under load, those of some calls. `rung scope "
			 "--live DIR --lint` shows the lines\n"
			 "that are wrong, and what would be right.",
		.examples = "  rung lint\n  rung lint --json | jq .findings\n",
	};
	return run_noun(&cards, argc, argv);
}

/* ---- statistics ------------------------------------------------------------------------------ */

int cmd_stats(int argc, char **argv)
{
	struct admin_flags f = {0};
	bool is_watch = false;
	struct opt opts[] = {
		{0,   "data",   OPT_STR,  &f.data,    "DIR",
		 "the exchange's data folder (~/.local/share/rung)"                     },
		{0,   "filter", OPT_STR,  &f.filter,  "TEXT",
		 "only those that have it in their name or text"                        },
		{'w', "watch",  OPT_FLAG, &is_watch,  NULL,   "again every two seconds" },
		{0,   "json",   OPT_FLAG, &f.is_json, NULL,   "one JSON object per line"},
		{0,   "csv",    OPT_FLAG, &f.is_csv,  NULL,   "CSV with a heading"      },
	};
	struct opt_spec spec = {.command = "stats",
				.words = "",
				.about = "Counters and gauges of a running exchange: what /metrics "
					 "of its API tells, for "
					 "people.",
				.examples = "  rung stats --filter call\n  rung stats --watch\n",
				.opts = opts,
				.n_opts = ARRAY_LEN(opts)};
	int code = opt_parse(&spec, argc, argv, NULL, NULL);
	if (code >= 0)
		return code;
	do {
		if (is_watch && isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		code = admin_list("stats", &f, ADM_statistic);
		fflush(stdout);
		if (is_watch && code == EXIT_DONE)
			sleep(WATCH_S);
	} while (is_watch && code == EXIT_DONE);
	return code;
}
