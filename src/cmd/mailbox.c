/* rung mailbox: the counts that light the lamp of a phone. The command checks the account in the
 * data folder and asks the running exchange, which keeps the counts and tells the phones; voicemail
 * of other programs can set them so.
 *
 * On the wire of the control socket: "mailbox NEW OLD USER". */
#include "cmd/mailbox.h"

#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/opt.h"
#include "service/accounts.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool mailbox_command(struct exc *x, struct str cmd, struct buf *out)
{
	char mem[512];
	struct str rest, head = str_cut(cmd, ' ', &rest);
	struct buf aor;
	uint32_t n_new, n_old;
	if (!str_eq(head, STR("mailbox")))
		return false;
	buf_init_fixed(&aor, mem, sizeof(mem));
	bool is_good = str_u32(str_cut(rest, ' ', &rest), &n_new) &&
		       str_u32(str_cut(rest, ' ', &rest), &n_old) && rest.n;
	if (is_good)
		dom_aor_of_user(exc_domains(x), rest, &aor);
	if (!is_good || aor.err != OK)
		buf_str(out, STR("mailbox NEW OLD USER is wanted\n"));
	else if (evt_set_mailbox(exc_events(x), buf_view(&aor), n_new, n_old) != OK)
		buf_str(out, STR("not enough memory\n"));
	else
		buf_str(out, STR("ok\n"));
	return true;
}

static int failed(const char *what, struct str why)
{
	fprintf(stderr, "rung mailbox: %s" STR_FMT "\n", what, STR_ARG(why));
	return EXIT_FAILED;
}

/* -1: there is such a user. */
static int check_user(const char *data, const char *user)
{
	struct st *st;
	struct st_account a;
	struct buf why;
	buf_init(&why);
	int code = -1;
	if (st_open(data, 0, &st, &why) != OK) {
		code = failed("", buf_view(&why));
	} else {
		enum err e = st_account_get(st, str_c(user), &a);
		if (e == ERR_NOTFOUND)
			code = failed("no such user: ", str_c(user));
		else if (e != OK)
			code = failed("", st_why(st));
		st_close(st);
	}
	buf_fini(&why);
	return code;
}

static int ask(const char *data, const char *user, uint32_t n_new, uint32_t n_old)
{
	char line[200], answer[200];
	const char *why = "";
	size_t n = 0;
	ssize_t got;
	snprintf(line, sizeof(line), "mailbox %u %u %s", n_new, n_old, user);
	int fd = control_ask(data, line, &why);
	if (fd < 0)
		return failed("", str_c(why));
	while (n < sizeof(answer) && (got = read(fd, answer + n, sizeof(answer) - n)) > 0)
		n += (size_t)got;
	close(fd);
	struct str text = str_trim(str_of(answer, n));
	return str_eq(text, STR("ok")) ? EXIT_DONE : failed("", text);
}

int cmd_mailbox(int argc, char **argv)
{
	const char *data = NULL, *words[4];
	char dir[512];
	size_t n;
	uint32_t n_new, n_old;
	struct buf why;
	struct opt opts[] = {
		{0, "data", OPT_STR, &data, "DIR",
		 "the exchange's data folder (~/.local/share/rung)"},
	};
	struct opt_spec spec = {
		.command = "mailbox",
		.words = "set USER NEW OLD",
		.about =
			"Sets how many new and old voice messages wait for a user. The lamp of his "
			"phone follows: at once\n"
			"when the phone is there, else when it registers. The exchange must be "
			"running; it keeps the counts.",
		.examples = "  rung mailbox set 100 2 5\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 4,
		.max_words = 4,
	};
	int code = opt_parse(&spec, argc, argv, words, &n);
	if (code >= 0)
		return code;
	if (strcmp(words[0], "set") != 0)
		return opt_usage(&spec, "`%s` is not `set`", words[0]);
	if (!str_u32(str_c(words[2]), &n_new) || !str_u32(str_c(words[3]), &n_old))
		return opt_usage(&spec, "NEW and OLD are numbers");
	buf_init(&why);
	code = acc_name_check(str_c(words[1]), &why)
		       ? opt_usage(&spec, STR_FMT, STR_ARG(buf_view(&why)))
		       : -1;
	buf_fini(&why);
	if (code >= 0)
		return code;
	if (!data)
		data = control_default_dir(dir);
	code = check_user(data, words[1]);
	return code >= 0 ? code : ask(data, words[1], n_new, n_old);
}
