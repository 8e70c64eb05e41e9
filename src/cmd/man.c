/* Manual pages in man(7) macros, from the tables of commands and flags: what the program says and
 * what its manual says cannot differ. */
#include "cmd/man.h"

#include "cmd/cmd.h"

#include <stdio.h>

/* Text with what roff would take for itself escaped: backslashes, dashes, a dot or quote that
 * begins a line. */
static void put(const char *text)
{
	bool at_start = true;
	for (const char *p = text; *p; p++) {
		if (at_start && (*p == '.' || *p == '\''))
			fputs("\\&", stdout);
		if (*p == '\\')
			fputs("\\e", stdout);
		else if (*p == '-')
			fputs("\\-", stdout);
		else
			putchar(*p);
		at_start = *p == '\n';
	}
}

static void head(const char *title, const char *name, const char *summary)
{
	printf(".TH %s 1 \"\" \"rung %s\" \"User commands\"\n.SH NAME\n", title, RUNG_VERSION);
	put(name);
	fputs(" \\- ", stdout);
	put(summary);
	fputs("\n.SH SYNOPSIS\n", stdout);
}

static const char *summary_of(const char *command)
{
	for (size_t i = 0; i < n_cmds; i++)
		if (str_eq(str_c(cmds[i].name), str_c(command)))
			return cmds[i].summary;
	return "";
}

static void exit_codes(void)
{
	fputs(".SH EXIT STATUS\n0 done, 1 failed, 2 usage, 3 rejected (a final 4xx\\-6xx), 4 "
	      "authentication refused, 5 no answer or time\\-out, 6 busy\n"
	      "(486, 600), 7 unreachable (name, connection, transport), 8 media fault, 130 "
	      "interrupted.\n",
	      stdout);
}

void man_command(const struct opt_spec *s)
{
	char name[64];
	snprintf(name, sizeof(name), "rung-%s", s->command);
	head(name, name, summary_of(s->command));
	printf(".B rung %s\n", s->command);
	if (s->n_opts)
		fputs("[flags] ", stdout);
	put(s->words);
	fputs("\n.SH DESCRIPTION\n", stdout);
	put(s->about);
	putchar('\n');
	if (s->n_opts)
		fputs(".SH OPTIONS\n", stdout);
	for (size_t i = 0; i < s->n_opts; i++) {
		const struct opt *o = &s->opts[i];
		fputs(".TP\n\\fB", stdout);
		if (o->letter)
			printf("\\-%c\\fR, \\fB", o->letter);
		fputs("\\-\\-", stdout);
		put(o->name);
		printf("\\fR %s\n", o->value ? o->value : "");
		put(o->help);
		putchar('\n');
	}
	if (s->examples) {
		fputs(".SH EXAMPLES\n.nf\n", stdout);
		put(s->examples);
		fputs(".fi\n", stdout);
	}
	exit_codes();
	fputs(".SH SEE ALSO\n.BR rung (1)\n", stdout);
}

void man_overview(void)
{
	head("rung", "rung", "a telephone exchange that you can see through");
	fputs(".B rung\nCOMMAND [flags] ...\n.SH DESCRIPTION\n"
	      "One program holds a SIP server, a softphone and a call analyzer. Begin with\n.BR "
	      "\"rung tour\" ,\nthen\n.BR \"rung serve\" .\n"
	      ".SH COMMANDS\n",
	      stdout);
	for (size_t i = 0; i < n_cmds; i++) {
		printf(".TP\n.B %s\n", cmds[i].name);
		put(cmds[i].summary);
		putchar('\n');
	}
	fputs(".SH ENVIRONMENT\n.TP\n.B RUNG_DATA\nwhere accounts and registrations are kept when "
	      "\\-\\-data is not given\n.TP\n.B RUNG_PASSWORD\n"
	      "password when \\-\\-password is not given: it does not show in the list of "
	      "processes\n",
	      stdout);
	exit_codes();
}
