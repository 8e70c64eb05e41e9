/* The program `rung`: finds the subcommand and calls it. Everything that wires layers together is
 * in this folder. */
#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/man.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

const struct cmd cmds[] = {
#define COMMAND(name, summary) {#name, summary, cmd_##name},
#include "cmd/commands.def"
#undef COMMAND
};
const size_t n_cmds = ARRAY_LEN(cmds);

static const struct cmd *find(const char *name)
{
	for (size_t i = 0; i < n_cmds; i++)
		if (strcmp(cmds[i].name, name) == 0)
			return &cmds[i];
	return NULL;
}

static int unknown(const char *name)
{
	struct str names[ARRAY_LEN(cmds)];
	for (size_t i = 0; i < n_cmds; i++)
		names[i] = str_c(cmds[i].name);
	struct str near = str_nearest(str_c(name), names, n_cmds);
	fprintf(stderr, "rung: no command `%s`", name);
	if (near.n)
		fprintf(stderr, ", did you mean `" STR_FMT "`?", STR_ARG(near));
	fprintf(stderr, "\nTry `rung help`.\n");
	return EXIT_USAGE;
}

/* The help or, with --roff, the manual page of a command. */
static int help_of(const char *name, const char *flag)
{
	const struct cmd *c = find(name);
	char copy[64], word[16];
	if (!c)
		return unknown(name);
	snprintf(copy, sizeof(copy), "%s", name);
	snprintf(word, sizeof(word), "%s", flag);
	char *help_argv[] = {copy, word, NULL};
	return c->fn(2, help_argv);
}

int cmd_help(int argc, char **argv)
{
	bool is_roff = argc > 1 && strcmp(argv[1], "--roff") == 0;
	const char *name = argc > 1 + is_roff ? argv[1 + is_roff] : NULL;
	if (name && strcmp(name, "help") != 0 && strcmp(name, "--help") != 0)
		return help_of(name, is_roff ? "--roff" : "--help");
	if (is_roff) {
		man_overview();
		return EXIT_DONE;
	}
	printf("rung is a telephone exchange that you can see through.\n\n"
	       "usage: rung COMMAND [flags] ...\n\n");
	for (size_t i = 0; i < n_cmds; i++)
		printf("  %-10s %s\n", cmds[i].name, cmds[i].summary);
	printf("\n`rung help COMMAND` tells the flags of one. First steps: `rung tour`, then `rung "
	       "serve`.\n\n"
	       "exit codes: 0 done, 1 failed, 2 usage, 3 rejected (a final 4xx-6xx), 4 "
	       "authentication refused,\n"
	       "  5 no answer or time-out, 6 busy (486, 600), 7 unreachable, 8 media fault, 130 "
	       "interrupted\n");
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is seen where it is written to */
	signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow */
	if (argc < 2) {
		cmd_help(1, argv);
		return EXIT_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	const struct cmd *c = find(name);
	if (!c)
		return unknown(argv[1]);
	return c->fn(argc - 1, argv + 1);
}
