/* rung fsm: the state machines that rung runs, printed from the tables that run: the documentation
 * is the code. */
#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "dialog/session.h"

#include <stdio.h>

int cmd_fsm(int argc, char **argv)
{
	bool is_dot = false;
	struct opt opts[] = {
		{0, "dot", OPT_FLAG, &is_dot, NULL, "as Graphviz DOT"}
        };
	struct opt_spec spec = {
		.command = "fsm",
		.words = "",
		.about = "Prints the state machines (RFC 3261 17, RFC 6026, sessions) from the "
			 "tables that run.",
		.examples = "  rung fsm\n  rung fsm --dot\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	int code = opt_parse(&spec, argc, argv, NULL, NULL);
	if (code >= 0)
		return code;
	struct buf b;
	buf_init(&b);
	tsx_fsm_put(&b, is_dot);
	ses_fsm_put(&b, is_dot);
	code = b.err ? EXIT_FAILED : EXIT_DONE;
	if (!b.err)
		fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
	return code;
}
