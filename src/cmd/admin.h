#pragma once
/* What the commands of administration share: they ask a running exchange over its control socket,
 * and print what it answers as it comes. */

#include "admin/line.h"
#include "cmd/opt.h"

struct admin_flags {
	const char *data, *filter;
	bool is_json, is_csv;
	uint32_t limit;
};
/* The data folder that was named, or the usual one; `mem` may hold it. */
const char *admin_dir(const struct admin_flags *f, char mem[512]);
enum adm_format admin_format(const struct admin_flags *f);
/* Asks what q holds (made without adm_ask_new: only the question counts); rows go to stdout.
 * Returns the exit code; `command` for its complaints. *n_rows may be NULL. */
int admin_ask(const char *command, const char *data, const struct adm_ask *q, uint64_t *n_rows);
/* "rung COMMAND: text" on stderr; EXIT_FAILED. */
[[gnu::format(printf, 2, 3)]] int admin_fail(const char *command, const char *fmt, ...);
