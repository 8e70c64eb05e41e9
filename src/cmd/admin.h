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
/* The same; rows, each with its line end, go to fn. */
int admin_each(const char *command, const char *data, const struct adm_ask *q,
	       void (*fn)(void *ctx, struct str row), void *ctx, uint64_t *n_rows);
int admin_list(const char *command, const struct admin_flags *f, enum adm_kind kind);
/* One kind of object as a command. */
struct admin_noun {
	const char *command;
	enum adm_kind kind;
	const char *key, *del; /* "AOR", "del"; del NULL: they are not the operator's to end */
	const char *ended;     /* what is said of those that were deleted */
	const char *about, *examples;
};
/* Shows the one with that key, or deletes it. */
int admin_one(const struct admin_noun *n, const struct admin_flags *f, const char *key,
	      bool is_del);
/* "rung COMMAND: text" on stderr; EXIT_FAILED. */
[[gnu::format(printf, 2, 3)]] int admin_fail(const char *command, const char *fmt, ...);
/* rung route list, show: the rules in force. */
int admin_routes(int argc, char **argv);
