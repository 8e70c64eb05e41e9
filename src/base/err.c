/* Words for error values, and the end of the program when an assertion fails.
 *
 * err_text is used in messages for people, so the phrases are lower case and fit after a colon:
 * "udp:0.0.0.0:5060: not found". assert_failed is the only place of the pure folders that writes to
 * a stream: the process is about to end, and nobody above can be asked any more.
 */

#include "base/err.h"
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

const char *err_text(enum err e)
{
	static const char *const text[] = {
		[OK] = "ok",
		[ERR_MORE] = "would block",
		[ERR_SYNTAX] = "syntax error",
		[ERR_LIMIT] = "limit reached",
		[ERR_NOMEM] = "out of memory",
		[ERR_STATE] = "not possible in this state",
		[ERR_TIMEOUT] = "timed out",
		[ERR_NET] = "network failure",
		[ERR_AUTH] = "authentication failed",
		[ERR_NOTFOUND] = "not found",
		[ERR_UNSUPPORTED] = "not supported",
		[ERR_IO] = "input/output error",
	};
	return (size_t)e < ARRAY_LEN(text) && text[e] ? text[e] : "unknown error";
}

void assert_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "rung: %s:%d: assertion failed: %s\n", file, line, expr);
	fflush(stderr);
	abort();
}
