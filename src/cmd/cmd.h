#pragma once
/* Subcommands: each is one file with one function `int cmd_NAME(int argc, char **argv)`, argv[0]
 * being its name, which returns an exit code. commands.def lists them. */

#include "base/str.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_REJECTED = 3,    /* a final 4xx-6xx */
	EXIT_AUTH = 4,        /* authentication refused */
	EXIT_NO_ANSWER = 5,   /* no answer, or time-out */
	EXIT_BUSY = 6,        /* 486, 600 */
	EXIT_UNREACHABLE = 7, /* name, connection, transport */
	EXIT_MEDIA = 8,
	EXIT_INTERRUPTED = 130,
};

typedef int cmd_fn(int argc, char **argv);
struct cmd {
	const char *name, *summary;
	cmd_fn *fn;
};
extern const struct cmd cmds[];
extern const size_t n_cmds;

#define COMMAND(name, summary) cmd_fn cmd_##name;
#include "cmd/commands.def"
#undef COMMAND
