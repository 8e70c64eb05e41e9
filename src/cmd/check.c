/* rung check: what is wrong with a configuration file, all of it at once; nothing is started. */
#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/opt.h"

#include <stdio.h>

static int show_keys(void)
{
	struct buf b;
	buf_init(&b);
	pol_keys_put(&b);
	if (!b.err)
		fwrite(b.p, 1, b.n, stdout);
	int code = b.err ? EXIT_FAILED : EXIT_DONE;
	buf_fini(&b);
	return code;
}

static int check(const char *path)
{
	struct buf text, why;
	struct pol_config *c = NULL;
	buf_init(&text);
	buf_init(&why);
	enum err e = config_read(path, &text, &why);
	if (e == OK)
		e = config_make(path, buf_view(&text), &c, &why);
	if (why.n)
		fwrite(why.p, 1, why.n, stderr);
	if (e == OK)
		printf("%s: good: %zu users, %zu groups, %zu numbers, %zu trunks, %zu routes\n",
		       path, c->users.n, c->groups.n, c->numbers.n, c->trunks.n, c->routes.n);
	pol_free(c);
	buf_fini(&text);
	buf_fini(&why);
	return e ? EXIT_FAILED : EXIT_DONE;
}

int cmd_check(int argc, char **argv)
{
	const char *words[1];
	size_t n;
	bool wants_keys = false;
	struct opt opts[] = {
		{0, "keys", OPT_FLAG, &wants_keys, NULL,
		 "print every key of the file with its meaning, as Markdown"},
	};
	struct opt_spec spec = {
		.command = "check",
		.words = "FILE",
		.about = "Reads a configuration file as `rung serve --config` would, and names "
			 "everything that is wrong with\n"
			 "it, with line and column. Warnings (a rule that no call reaches) do not "
			 "make "
			 "it fail.",
		.examples = "  rung check rung.yaml\n  rung check --keys\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.max_words = 1,
	};
	int code = opt_parse(&spec, argc, argv, words, &n);
	if (code >= 0)
		return code;
	if (wants_keys)
		return show_keys();
	if (n == 0)
		return opt_usage(&spec, "needs a FILE");
	return check(words[0]);
}
