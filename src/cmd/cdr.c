/* rung cdr: records of calls that ended, read from the data folder, with or without a running
 * exchange.
 */
#include "cmd/admin.h"

#include "admin/when.h"
#include "base/assert.h"
#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LIST_LINES 50 /* newest first, when nothing else is asked for */

struct printing {
	enum adm_format format;
	struct buf line;
	const char *filter;
};

static bool print_row(void *arg, const struct st_cdr *cdr)
{
	struct printing *p = arg;
	struct adm_row r;
	adm_row_init(&r, ADM_cdr);
	memcpy(r.v, cdr->v, sizeof(cdr->v));
	if (!adm_row_has(&r, str_c(p->filter)))
		return true;
	buf_clear(&p->line);
	adm_put_row(&p->line, &r, p->format);
	struct str verdict = r.v[ST_CDR_verdict].s;
	if (p->format == ADM_AS_TEXT && verdict.n) {
		buf_str(&p->line, STR("    "));
		buf_plain(&p->line, verdict);
		buf_chr(&p->line, '\n');
	}
	return p->line.err == OK && fwrite(p->line.p, 1, p->line.n, stdout) == p->line.n;
}

static bool parse_time(const char *text, uint64_t *us)
{
	return adm_when_parse(str_c(text), (uint64_t)time(NULL) * 1'000'000, us);
}

static int list(const struct admin_flags *f, const struct st_cdr_filter *filter)
{
	char mem[512];
	struct st_cdrs *db = NULL;
	struct printing p = {.format = admin_format(f), .filter = f->filter};
	struct buf why;
	buf_init(&why);
	buf_init(&p.line);
	enum err e = st_cdrs_open(admin_dir(f, mem), false, &db, &why);
	if (e) {
		admin_fail("cdr", STR_FMT, STR_ARG(buf_view(&why)));
	} else {
		adm_put_head(&p.line, ADM_cdr, p.format);
		if (p.line.n)
			fwrite(p.line.p, 1, p.line.n, stdout);
		e = st_cdrs_each(db, filter, print_row, &p);
		if (e)
			admin_fail("cdr", STR_FMT, STR_ARG(st_cdrs_why(db)));
	}
	st_cdrs_close(db);
	buf_fini(&p.line);
	buf_fini(&why);
	return e ? EXIT_FAILED : EXIT_DONE;
}

int cmd_cdr(int argc, char **argv)
{
	struct admin_flags f = {0};
	const char *words[1], *since = NULL, *until = NULL, *user = NULL, *call_id = NULL,
			      *session_id = NULL;
	size_t n_words = 0;
	struct opt opts[] = {
		{0, "data",       OPT_STR,  &f.data,     "DIR",
		 "the exchange's data folder (~/.local/share/rung)"                                     },
		{0, "since",      OPT_STR,  &since,      "TIME",
		 "began later: 90m, 2h, 7d ago, or 2026-11-27[T08:30[Z]]"                               },
		{0, "until",      OPT_STR,  &until,      "TIME", "began earlier"                        },
		{0, "user",       OPT_STR,  &user,       "NAME",
		 "that called or was called: a user name or a whole address"                            },
		{0, "call-id",    OPT_STR,  &call_id,    "ID",   "only that call"                       },
		{0, "session-id", OPT_STR,  &session_id, "ID",
		 "only calls that have it, here or on another system: a Session-ID, whole or half"      },
		{0, "filter",     OPT_STR,  &f.filter,   "TEXT", "only those that have it in some field"},
		{0, "limit",      OPT_U32,  &f.limit,    "N",
		 "at most so many, newest first (50 without other conditions)"                          },
		{0, "json",       OPT_FLAG, &f.is_json,  NULL,   "one JSON object per line"             },
		{0, "csv",        OPT_FLAG, &f.is_csv,   NULL,   "CSV with a heading"                   },
	};
	struct buf about;
	buf_init(&about);
	buf_str(&about,
		STR("Records of calls that ended, with their verdicts, newest first; with or "
		    "without a running exchange. A call is\n"
		    "recorded within a second of its end.\n\n"));
	adm_put_help(&about, ADM_cdr);
	const char *about_text = buf_cstr(&about);
	struct opt_spec spec = {
		.command = "cdr",
		.words = "[list]",
		.about = about_text ? about_text : "",
		.examples = "  rung cdr --user 100 --since 2h\n  rung cdr --csv --since "
			    "2026-11-01 > november.csv\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.max_words = 1};
	struct st_cdr_filter filter = {0};
	int code = opt_parse(&spec, argc, argv, words, &n_words);
	if (code < 0 && n_words && strcmp(words[0], "list") != 0)
		code = opt_usage(&spec, "unknown word `%s`; expected list", words[0]);
	if (code < 0 && since && !parse_time(since, &filter.since_us))
		code = opt_usage(&spec,
				 "--since wants 90m, 2h, 7d or 2026-11-27[T08:30[Z]], not `%s`",
				 since);
	if (code < 0 && until && !parse_time(until, &filter.until_us))
		code = opt_usage(&spec,
				 "--until wants 90m, 2h, 7d or 2026-11-27[T08:30[Z]], not `%s`",
				 until);
	if (code < 0) {
		bool is_open = since || until || user || call_id || session_id || f.filter ||
			       f.is_csv || f.is_json;
		filter.user = str_c(user);
		filter.call_id = str_c(call_id);
		filter.session_id = str_c(session_id);
		filter.limit = f.limit || is_open ? f.limit : LIST_LINES;
		code = list(&f, &filter);
	}
	buf_fini(&about);
	return code;
}
