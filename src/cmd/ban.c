/* rung ban: who is not listened to and why; bans made and lifted by hand. */
#include "base/assert.h"
#include "cmd/admin.h"
#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>

struct ban_flags {
	struct admin_flags admin;
	double for_s;
	const char *reason;
};

static int ask(const struct ban_flags *f, enum adm_verb verb, const char *who)
{
	char mem[512];
	struct adm_ask q = {.verb = verb, .kind = ADM_ban, .limit = (uint64_t)f->for_s};
	if (!str_copy(q.key, sizeof(q.key), str_c(who)) ||
	    (f->reason && !str_copy(q.filter, sizeof(q.filter), str_c(f->reason))))
		return admin_fail("ban", "that is too long");
	int code = admin_ask("ban", admin_dir(&f->admin, mem), &q, NULL);
	if (code == EXIT_DONE && verb == ADM_DO_ADD)
		printf("%s is banned\n", who);
	return code;
}

/* The exchange says the same: what is wrong whoever runs is told without asking it. */
static bool is_key(const char *word, bool may_be_all)
{
	struct addr_net net;
	return (may_be_all && strcmp(word, "all") == 0) || addr_net_parse(str_c(word), &net);
}

static int run(const struct ban_flags *f, const struct opt_spec *spec, const char **words, size_t n)
{
	static const struct admin_noun noun = {
		.command = "ban", .kind = ADM_ban, .key = "ADDR", .ended = "lifted"};
	bool is_list = n < 2 && strcmp(words[0], "list") == 0,
	     is_add = n == 2 && strcmp(words[0], "add") == 0,
	     is_del = n == 2 && strcmp(words[0], "del") == 0,
	     is_show = n == 2 && strcmp(words[0], "show") == 0,
	     is_explain = n == 2 && strcmp(words[0], "explain") == 0;
	if (!is_list && !is_add && !is_del && !is_show && !is_explain)
		return opt_usage(spec, "expected list, show, explain, add or del, and ADDR");
	if (!is_add && (f->for_s > 0 || f->reason))
		return opt_usage(spec, "--for and --reason go with add");
	if (is_list)
		return admin_list("ban", &f->admin, ADM_ban);
	if (!is_key(words[1], is_del))
		return opt_usage(spec,
				 "expected an address such as 192.0.2.7 or a network such as "
				 "192.0.2.0/24, not `%s`",
				 words[1]);
	if (is_add || is_explain)
		return ask(f, is_add ? ADM_DO_ADD : ADM_DO_EXPLAIN, words[1]);
	return admin_one(&noun, &f->admin, words[1], is_del);
}

int cmd_ban(int argc, char **argv)
{
	struct ban_flags f = {0};
	const char *words[2] = {"list"};
	size_t n = 0;
	struct opt opts[] = {
		{0, "data",   OPT_STR,     &f.admin.data,    "DIR",
		 "the exchange's data folder (~/.local/share/rung)"                                        },
		{0, "for",    OPT_SECONDS, &f.for_s,         "TIME",
		 "add: how long, such as 90 or 10m (for ever)"                                             },
		{0, "reason", OPT_STR,     &f.reason,        "TEXT", "add: what list and explain say of it"},
		{0, "filter", OPT_STR,     &f.admin.filter,  "TEXT",
		 "list: only those that have it in some field"                                             },
		{0, "limit",  OPT_U32,     &f.admin.limit,   "N",    "list: at most so many"               },
		{0, "json",   OPT_FLAG,    &f.admin.is_json, NULL,   "one JSON object per line"            },
		{0, "csv",    OPT_FLAG,    &f.admin.is_csv,  NULL,   "CSV with a heading"                  },
	};
	struct buf about;
	buf_init(&about);
	buf_str(&about, STR("Addresses that a running exchange does not listen to. It bans who "
			    "guesses passwords, "
			    "looks for users, floods, or\n"
			    "breaks the grammar; networks of --trust and --never-ban never. ADDR "
			    "is an address or, "
			    "for add and del, a network.\n\n"));
	adm_put_help(&about, ADM_ban);
	const char *about_text = buf_cstr(&about);
	struct opt_spec spec = {
		.command = "ban",
		.words = "[list | show ADDR | explain ADDR | add ADDR | del ADDR | del all]",
		.about = about_text ? about_text : "",
		.examples = "  rung ban\n  rung ban explain 192.0.2.7\n  rung ban del 192.0.2.7\n"
			    "  rung ban add 198.51.100.0/24 --for 2h --reason 'calls at night'\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.max_words = 2};
	int code = opt_parse(&spec, argc, argv, words, &n);
	if (code < 0)
		code = run(&f, &spec, words, n);
	buf_fini(&about);
	return code;
}
