#pragma once
/* Flags as a table: parsing, --help and "did you mean" come from the same rows. Both "--flag value"
 * and "--flag=value" work, short flags take their value as the next word or right behind the
 * letter; "--" ends flags; flags and other words may be mixed. */

#include "base/str.h"

enum opt_kind {
	OPT_FLAG,    /* bool */
	OPT_STR,     /* const char * */
	OPT_U32,     /* uint32_t */
	OPT_SECONDS, /* double; "1.5", "200ms", "2m" too */
	OPT_LIST,    /* struct opt_list: may be given several times */
};

#define OPT_LIST_MAX 64
struct opt_list {
	const char *v[OPT_LIST_MAX];
	size_t n;
};

struct opt {
	char letter;      /* 0: none */
	const char *name; /* without the dashes */
	enum opt_kind kind;
	void *to;          /* where the value goes; its type is told by kind */
	const char *value; /* name of the value in the help ("ADDR"); NULL for OPT_FLAG */
	const char *help;
};

struct opt_spec {
	const char *command;  /* "call" */
	const char *words;    /* the other words, as in the usage line: "URI" */
	const char *about;    /* a paragraph */
	const char *examples; /* lines, may be NULL */
	const struct opt *opts;
	size_t n_opts;
	size_t min_words, max_words;
};

/* Parses argv[1..]; words (no flags) are collected in `words` (room for max_words), their number in
 * *n_words. Returns -1 to go on, or the exit code with which to end: EXIT_DONE after --help
 * (printed to stdout), EXIT_USAGE after a mistake (told on stderr). */
int opt_parse(const struct opt_spec *s, int argc, char **argv, const char **words, size_t *n_words);
void opt_help(const struct opt_spec *s);
/* "rung COMMAND: text" on stderr, with a hint to the help; returns EXIT_USAGE. */
[[gnu::format(printf, 2, 3)]] int opt_usage(const struct opt_spec *s, const char *fmt, ...);
