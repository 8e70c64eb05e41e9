/* rung reload: a running exchange reads accounts and configuration again, and says what it thinks
 * of the file. */
#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/opt.h"

#include <stdio.h>
#include <unistd.h>

static int ask(const char *data, const char *command)
{
	const char *why;
	char mem[4096];
	ssize_t n;
	bool is_first = true, is_ok = false;
	int fd = control_ask(data, command, &why);
	if (fd < 0) {
		fprintf(stderr, "rung reload: %s: %s\n", data, why);
		return EXIT_FAILED;
	}
	while ((n = read(fd, mem, sizeof(mem))) > 0) {
		if (is_first)
			is_ok = str_starts(str_of(mem, (size_t)n), STR("ok"));
		is_first = false;
		fwrite(mem, 1, (size_t)n, is_ok ? stdout : stderr);
	}
	close(fd);
	return is_ok ? EXIT_DONE : EXIT_FAILED;
}

int cmd_reload(int argc, char **argv)
{
	const char *data = NULL;
	char dir[512], command[64];
	uint32_t confirm_s = 0;
	bool is_confirmed = false;
	struct opt opts[] = {
		{0, "data",      OPT_STR,  &data,         "DIR",
		 "the exchange's data folder (~/.local/share/rung)"           },
		{0, "confirm",   OPT_U32,  &confirm_s,    "S",
		 "go back by itself after S seconds, unless --confirmed comes"},
		{0, "confirmed", OPT_FLAG, &is_confirmed, NULL,
		 "keep what an earlier --confirm has put in force"            },
	};
	struct opt_spec spec = {
		.command = "reload",
		.words = "",
		.about =
			"A running exchange reads its configuration file and its accounts again; "
			"no "
			"call is dropped.\n"
			"A file with errors is refused whole: they are shown here, and what was in "
			"force stays.",
		.examples =
			"  rung reload\n  rung reload --confirm 60 && rung reload --confirmed\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	int code = opt_parse(&spec, argc, argv, NULL, NULL);
	if (code >= 0)
		return code;
	if (is_confirmed && confirm_s)
		return opt_usage(&spec, "--confirm or --confirmed, not both");
	if (confirm_s > 86400)
		return opt_usage(&spec, "--confirm: at most 86400 seconds");
	if (is_confirmed)
		snprintf(command, sizeof(command), "reload confirmed");
	else
		snprintf(command, sizeof(command), "reload all %u", confirm_s);
	return ask(data ? data : control_default_dir(dir), command);
}
