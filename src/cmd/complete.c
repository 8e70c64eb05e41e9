/* rung completion: a script for bash, zsh or fish, made of the same tables by which the program
 * parses, so that they cannot differ. The frame is here; each command adds its part when it is
 * called with the flag --completion=SHELL, because its flags are known to it alone.
 *
 * Verbs (`list`, `show`) are the lower-case words of a command's usage line. */
#include "cmd/complete.h"

#include "base/assert.h"
#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>

/* In single quotes, as all three shells understand them. */
static void put_quoted(const char *text)
{
	putchar('\'');
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*p == '\n' ? ' ' : *p);
	}
	putchar('\'');
}

static bool is_verb(struct str w)
{
	for (size_t i = 0; i < w.n; i++)
		if (w.p[i] < 'a' || w.p[i] > 'z')
			return false;
	return w.n > 1;
}

static void each_verb(const struct opt_spec *s,
		      void (*fn)(const struct opt_spec *s, struct str verb))
{
	struct str rest = str_c(s->words);
	while (rest.n) {
		struct str w = str_cut(rest, ' ', &rest);
		while (w.n && (w.p[0] == '[' || w.p[0] == '|'))
			w = str_skip(w, 1);
		while (w.n && w.p[w.n - 1] == ']')
			w.n--;
		if (is_verb(w))
			fn(s, w);
	}
}

/* ---- bash ------------------------------------------------------------------------------------ */

static void bash_verb(const struct opt_spec *s, struct str verb)
{
	printf(" " STR_FMT, STR_ARG(verb));
}

static void bash_command(const struct opt_spec *s)
{
	printf("\t%s) words='--help", s->command);
	each_verb(s, bash_verb);
	for (size_t i = 0; i < s->n_opts; i++)
		printf(" --%s", s->opts[i].name);
	printf("' ;;\n");
}

static void bash_head(void)
{
	printf("# bash completion of rung, made by `rung completion bash`\n_rung() {\n"
	       "\tlocal words='' cur=${COMP_WORDS[COMP_CWORD]}\n"
	       "\tcase $COMP_CWORD:${COMP_WORDS[1]} in\n\t1:*|2:help) words='");
	for (size_t i = 0; i < n_cmds; i++)
		printf("%s%s", i ? " " : "", cmds[i].name);
	printf("' ;;\n\t*)\n\tcase ${COMP_WORDS[1]} in\n");
}

static void bash_tail(void)
{
	printf("\tesac ;;\n\tesac\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
	       "\"$cur\")\n}\n"
	       "complete -o default -F _rung rung\n");
}

/* ---- zsh ------------------------------------------------------------------------------------- */

static void zsh_verb(const struct opt_spec *s, struct str verb)
{
	printf(" " STR_FMT, STR_ARG(verb));
}

static void zsh_command(const struct opt_spec *s)
{
	printf("\t%s) found=(", s->command);
	each_verb(s, zsh_verb);
	for (size_t i = 0; i < s->n_opts; i++) {
		char item[300];
		snprintf(item, sizeof(item), "--%s:%s", s->opts[i].name, s->opts[i].help);
		putchar(' ');
		put_quoted(item);
	}
	printf(") ;;\n");
}

static void zsh_head(void)
{
	printf("#compdef rung\n# zsh completion of rung, made by `rung completion zsh`\nlocal -a "
	       "found\n"
	       "if (( CURRENT == 2 )) || [[ $CURRENT:$words[2] == 3:help ]]; then\n\tfound=(");
	for (size_t i = 0; i < n_cmds; i++) {
		char item[300];
		snprintf(item, sizeof(item), "%s:%s", cmds[i].name, cmds[i].summary);
		putchar(' ');
		put_quoted(item);
	}
	printf(")\nelse\n\tcase $words[2] in\n");
}

static void zsh_tail(void)
{
	printf("\tesac\nfi\n_describe rung found || _files\n");
}

/* ---- fish ------------------------------------------------------------------------------------ */

static void fish_verb(const struct opt_spec *s, struct str verb)
{
	printf("complete -c rung -n '__fish_seen_subcommand_from %s' -a " STR_FMT "\n", s->command,
	       STR_ARG(verb));
}

static void fish_command(const struct opt_spec *s)
{
	each_verb(s, fish_verb);
	for (size_t i = 0; i < s->n_opts; i++) {
		const struct opt *o = &s->opts[i];
		printf("complete -c rung -n '__fish_seen_subcommand_from %s' -l %s%s -d ",
		       s->command, o->name, o->value ? " -r" : "");
		put_quoted(o->help);
		putchar('\n');
	}
}

static void fish_head(void)
{
	printf("# fish completion of rung, made by `rung completion fish`\n");
	for (size_t i = 0; i < n_cmds; i++) {
		printf("complete -c rung -n '__fish_use_subcommand; or "
		       "__fish_seen_subcommand_from help' -a %s -d ",
		       cmds[i].name);
		put_quoted(cmds[i].summary);
		putchar('\n');
	}
}

static void fish_tail(void)
{
}

/* ---- all ------------------------------------------------------------------------------------- */

static const struct shell {
	const char *name;
	void (*head)(void), (*tail)(void);
	void (*command)(const struct opt_spec *s);
} shells[] = {
	{"bash", bash_head, bash_tail, bash_command},
	{"zsh",  zsh_head,  zsh_tail,  zsh_command },
	{"fish", fish_head, fish_tail, fish_command},
};

static const struct shell *find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(shells); i++)
		if (str_eq(str_c(shells[i].name), name))
			return &shells[i];
	return NULL;
}

bool complete_command(const struct opt_spec *s, struct str shell)
{
	const struct shell *sh = find(shell);
	if (sh)
		sh->command(s);
	return sh != NULL;
}

int cmd_completion(int argc, char **argv)
{
	const char *words[1];
	size_t n;
	struct opt_spec spec = {
		.command = "completion",
		.words = "bash | zsh | fish",
		.about = "Prints the completion of rung for a shell. `make install` puts all three "
			 "where "
			 "the shells look.",
		.examples = "  source <(rung completion bash)\n",
		.min_words = 1,
		.max_words = 1,
	};
	int code = opt_parse(&spec, argc, argv, words, &n);
	if (code >= 0)
		return code;
	const struct shell *sh = find(str_c(words[0]));
	if (!sh)
		return opt_usage(&spec, "expected bash, zsh or fish, not `%s`", words[0]);
	sh->head();
	for (size_t i = 0; i < n_cmds; i++) {
		char name[32], flag[32];
		snprintf(name, sizeof(name), "%s", cmds[i].name);
		snprintf(flag, sizeof(flag), "--completion=%s", words[0]);
		char *args[] = {name, flag, NULL};
		if (cmds[i].fn != cmd_help)
			(void)cmds[i].fn(2, args);
	}
	sh->tail();
	return EXIT_DONE;
}
