/* rung explain CODE: what a rejection of ours means, what causes it and what helps. */
#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "service/codes.h"

#include <stdio.h>
#include <string.h>

static void print_all(void)
{
	for (enum code c = CODE_NONE + 1; c < CODE__N; c++) {
		const struct code_info *i = code_info(c);
		printf("%u  %u  " STR_FMT "\n", i->number, i->status, STR_ARG(i->text));
	}
}

static bool is_status(const char *word)
{
	return strlen(word) == 3 && strspn(word, "0123456789") == 3;
}

int cmd_explain(int argc, char **argv)
{
	const char *words[1];
	size_t n;
	struct opt_spec spec = {
		.command = "explain",
		.words = "[CODE]",
		.about = "Explains a code that rung puts into the Warning header of its "
			 "rejections: cause and remedy.\n"
			 "Without CODE: all of them.",
		.examples = "  rung explain 4002\n",
		.max_words = 1,
	};
	int code = opt_parse(&spec, argc, argv, words, &n);
	if (code >= 0)
		return code;
	if (n == 0) {
		print_all();
		return EXIT_DONE;
	}
	enum code c = code_find(str_c(words[0]));
	if (c == CODE_NONE)
		return opt_usage(&spec,
				 is_status(words[0])
					 ? "`%s` is a status of SIP; `rung explain` lists our "
					   "codes, each with the status that it goes with"
					 : "there is no code `%s`; `rung explain` lists them all",
				 words[0]);
	struct buf b;
	buf_init(&b);
	code_explain_put(&b, c);
	code = b.err ? EXIT_FAILED : EXIT_DONE;
	if (!b.err)
		fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
	return code;
}
