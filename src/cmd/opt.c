/* Flags as a table. One pass over argv; each word is a flag of the table, a value of the flag
 * before it, or one of the other words. A flag that is not in the table is answered with the
 * nearest one that is. Nothing is printed on success. */
#include "cmd/opt.h"

#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/complete.h"
#include "cmd/man.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTS 64

int opt_usage(const struct opt_spec *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "rung %s: ", s->command);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\nTry `rung help %s`.\n", s->command);
	va_end(ap);
	return EXIT_USAGE;
}

void opt_help(const struct opt_spec *s)
{
	printf("usage: rung %s%s%s%s\n\n%s\n", s->command, s->n_opts ? " [flags]" : "",
	       s->words[0] ? " " : "", s->words, s->about);
	if (s->n_opts)
		printf("\nflags:\n");
	for (size_t i = 0; i < s->n_opts; i++) {
		const struct opt *o = &s->opts[i];
		char head[64];
		snprintf(head, sizeof(head), "%s%c%s--%s%s%s", o->letter ? "-" : " ",
			 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
			 o->value ? " " : "", o->value ? o->value : "");
		printf("  %-28s %s\n", head, o->help);
	}
	if (s->examples)
		printf("\nexamples:\n%s", s->examples);
}

static bool parse_seconds(const char *v, double *out)
{
	char *end;
	double d = strtod(v, &end);
	if (end == v || d < 0 || d > 1e9)
		return false;
	if (strcmp(end, "ms") == 0)
		d /= 1000;
	else if (strcmp(end, "m") == 0)
		d *= 60;
	else if (strcmp(end, "h") == 0)
		d *= 3600;
	else if (*end && strcmp(end, "s") != 0)
		return false;
	*out = d;
	return true;
}

static int take_value(const struct opt_spec *s, const struct opt *o, const char *v)
{
	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->to = true;
		return -1;
	case OPT_STR:
		*(const char **)o->to = v;
		return -1;
	case OPT_U32:
		if (!str_u32(str_c(v), o->to))
			return opt_usage(s, "--%s wants a whole number, not `%s`", o->name, v);
		return -1;
	case OPT_SECONDS:
		if (!parse_seconds(v, o->to))
			return opt_usage(s,
					 "--%s wants seconds (`2`, `0.5`, `200ms`, `1m`), not `%s`",
					 o->name, v);
		return -1;
	case OPT_LIST: {
		struct opt_list *l = o->to;
		if (l->n == OPT_LIST_MAX)
			return opt_usage(s, "--%s was given more than %d times", o->name,
					 OPT_LIST_MAX);
		l->v[l->n++] = v;
		return -1;
	}
	}
	return -1;
}

static const struct opt *find(const struct opt_spec *s, struct str name, bool is_letter)
{
	for (size_t i = 0; i < s->n_opts; i++) {
		const struct opt *o = &s->opts[i];
		if (is_letter ? (name.n == 1 && o->letter == name.p[0])
			      : str_eq(name, str_c(o->name)))
			return o;
	}
	return NULL;
}

static int unknown(const struct opt_spec *s, struct str name, const char *word)
{
	struct str names[MAX_OPTS];
	ASSERT(s->n_opts <= MAX_OPTS);
	for (size_t i = 0; i < s->n_opts; i++)
		names[i] = str_c(s->opts[i].name);
	struct str near = str_nearest(name, names, s->n_opts);
	if (near.n)
		return opt_usage(s, "unknown flag `%s`, did you mean `--" STR_FMT "`?", word,
				 STR_ARG(near));
	return opt_usage(s, "unknown flag `%s`", word);
}

static int parse_flag(const struct opt_spec *s, int argc, char **argv, int *i)
{
	const char *word = argv[*i];
	bool is_letter = word[1] != '-';
	struct str value = STR_NONE, name = str_c(word + (is_letter ? 1 : 2));
	bool has_value = !is_letter && str_chr(name, '=') != SIZE_MAX;
	name = has_value ? str_cut(name, '=', &value) : name;
	if (str_eq(name, STR("help")) || (is_letter && str_eq(name, STR("h")))) {
		opt_help(s);
		return EXIT_DONE;
	}
	if (str_eq(name, STR("roff")) && !is_letter) {
		man_command(s);
		return EXIT_DONE;
	}
	if (str_eq(name, STR("completion")) && has_value && complete_command(s, value))
		return EXIT_DONE;
	const struct opt *o = find(s, name, is_letter);
	if (!o && is_letter && !find(s, name, false)) { /* -rFILE; but -read is a slip for --read */
		o = find(s, str_sub(name, 0, 1), true);
		value = o && o->kind != OPT_FLAG ? str_skip(name, 1) : STR_NONE;
		o = value.n ? o : NULL;
	}
	if (!o)
		return unknown(s, name, word);
	if (o->kind == OPT_FLAG)
		return has_value ? opt_usage(s, "--%s takes no value", o->name)
				 : take_value(s, o, NULL);
	if (has_value || value.n)
		return take_value(s, o, value.n ? value.p : "");
	if (*i + 1 >= argc)
		return opt_usage(s, "--%s wants a value: %s", o->name, o->value);
	return take_value(s, o, argv[++*i]);
}

int opt_parse(const struct opt_spec *s, int argc, char **argv, const char **words, size_t *n_words)
{
	bool only_words = false;
	size_t n = 0;
	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			int r = parse_flag(s, argc, argv, &i);
			if (r >= 0)
				return r;
		} else if (n == s->max_words) {
			return opt_usage(s, "`%s` is one word too many", argv[i]);
		} else {
			words[n++] = argv[i];
		}
	}
	if (n < s->min_words)
		return opt_usage(s, "expected: rung %s %s", s->command, s->words);
	if (n_words)
		*n_words = n;
	return -1;
}
