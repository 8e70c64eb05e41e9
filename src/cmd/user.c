/* rung user: accounts, with or without a running server.
 *
 * The command opens the data folder's database beside the server (SQLite's own locks keep them
 * apart), changes it, and nudges the server over its control socket so that the change takes effect
 * at once; without the nudge the server notices within a second. Passwords are never stored, only
 * H(user:realm:password) for each algorithm; so a generated one is shown once.
 *
 * An import is one transaction: all lines or none, and every line that is wrong is named. The CSV
 * is that of RFC 4180: name,password; quotes where needed; a first line "name,password" is a
 * heading; empty lines and lines that begin with # are skipped. Without a password one is made, and
 * the made ones are printed as CSV, to be handed out. */
#include "admin/object.h"
#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/opt.h"
#include "service/accounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMPLAINTS 20
#define PROGRESS_LINES 5000

struct user_cmd {
	const struct opt_spec *spec;
	const char *data, *password;
	bool is_json, is_replace;
	struct env *env;
	struct st *st;
	struct buf realm, why;
};

[[gnu::format(printf, 1, 2)]] static int failed(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("rung user: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return EXIT_FAILED;
}

static int store_failed(struct user_cmd *u, enum err e)
{
	struct str why = st_why(u->st);
	return failed(STR_FMT, (int)(why.n ? why.n : strlen(err_text(e))),
		      why.n ? why.p : err_text(e));
}

/* Without a running server there is nobody to tell. */
static void nudge_server(struct user_cmd *u)
{
	const char *why;
	char answer[64];
	int fd = control_ask(u->data, "reload", &why);
	if (fd < 0)
		return;
	while (read(fd, answer, sizeof(answer)) > 0)
		;
	close(fd);
}

/* --- one user ------------------------------------------------------------------------------- */

struct nearest {
	struct str wanted;
	char name[68];
	unsigned distance;
};

static bool look_nearer(void *arg, const struct st_account *a)
{
	struct nearest *n = arg;
	unsigned d = str_distance(n->wanted, a->user);
	if (d < n->distance && str_copy(n->name, sizeof(n->name), a->user))
		n->distance = d;
	return true;
}

static int no_such_user(struct user_cmd *u, struct str name)
{
	struct nearest n = {.wanted = name, .distance = 3};
	if (st_accounts_each(u->st, look_nearer, &n) == OK && n.name[0])
		return failed("there is no user `" STR_FMT "`, did you mean `%s`?", STR_ARG(name),
			      n.name);
	return failed("there is no user `" STR_FMT "`; `rung user list` shows them", STR_ARG(name));
}

/* The password that was given, was typed into a pipe ("-"), or is made now. */
static int find_password(struct user_cmd *u, struct buf *out, bool *is_made)
{
	char line[512];
	*is_made = !u->password;
	if (*is_made) {
		acc_password_make(u->env, out);
		return -1;
	}
	struct str given = str_c(u->password);
	if (str_eq(given, STR("-"))) {
		if (!fgets(line, sizeof(line), stdin))
			return failed("--password -: no line on the standard input");
		given = str_c(line);
		given.n = strcspn(line, "\r\n");
	}
	buf_clear(&u->why);
	if (acc_password_check(given, &u->why) != OK)
		return opt_usage(u->spec, STR_FMT, STR_ARG(buf_view(&u->why)));
	buf_str(out, given);
	return -1;
}

static void show_user(const struct user_cmd *u, const char *verb, struct str name,
		      struct str password)
{
	struct buf b;
	buf_init(&b);
	if (u->is_json) {
		buf_str(&b, STR("{\"name\":"));
		buf_json(&b, name);
		if (password.n) {
			buf_str(&b, STR(",\"password\":"));
			buf_json(&b, password);
		}
		buf_str(&b, STR("}\n"));
	} else {
		buf_fmt(&b, "%s " STR_FMT, verb, STR_ARG(name));
		if (password.n)
			buf_fmt(&b, ", password " STR_FMT, STR_ARG(password));
		buf_chr(&b, '\n');
	}
	if (b.err == OK)
		fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
}

static int put_user(struct user_cmd *u, struct str name, bool is_new)
{
	struct st_account a = {.user = name, .is_enabled = true};
	struct buf password;
	bool is_made;
	buf_init(&password);
	if (!is_new && st_account_get(u->st, name, &a) == ERR_NOTFOUND)
		return no_such_user(u, name);
	int code = find_password(u, &password, &is_made);
	if (code < 0) {
		a.changed_s = env_wall_us(u->env) / 1000000;
		acc_set_password(&a, buf_view(&u->realm), buf_view(&password));
		enum err e = st_account_put(u->st, &a, is_new ? ST_ADD : ST_REPLACE);
		if (e == ERR_STATE && is_new)
			code = failed("user `" STR_FMT
				      "` exists already; `rung user passwd " STR_FMT
				      "` changes the password",
				      STR_ARG(name), STR_ARG(name));
		else if (e != OK)
			code = store_failed(u, e);
	}
	if (code < 0) {
		nudge_server(u);
		show_user(u, is_new ? "added" : "changed", name,
			  is_made ? buf_view(&password) : STR_NONE);
		code = EXIT_DONE;
	}
	buf_fini(&password);
	return code;
}

static int del_user(struct user_cmd *u, struct str name)
{
	enum err e = st_account_del(u->st, name);
	if (e == ERR_NOTFOUND)
		return no_such_user(u, name);
	if (e != OK)
		return store_failed(u, e);
	nudge_server(u);
	show_user(u, "deleted", name, STR_NONE);
	return EXIT_DONE;
}

static int enable_user(struct user_cmd *u, struct str name, bool is_enabled)
{
	struct st_account a;
	enum err e = st_account_get(u->st, name, &a);
	if (e == ERR_NOTFOUND)
		return no_such_user(u, name);
	a.is_enabled = is_enabled;
	a.changed_s = env_wall_us(u->env) / 1000000;
	if (e == OK)
		e = st_account_put(u->st, &a, ST_REPLACE);
	if (e != OK)
		return store_failed(u, e);
	nudge_server(u);
	show_user(u, is_enabled ? "enabled" : "disabled", name, STR_NONE);
	return EXIT_DONE;
}

/* --- list ----------------------------------------------------------------------------------- */

static bool list_one(void *arg, const struct st_account *a)
{
	const struct user_cmd *u = arg;
	struct buf b;
	char date[32] = "";
	time_t t = (time_t)a->changed_s;
	struct tm tm;
	buf_init(&b);
	if (u->is_json) {
		struct adm_row row;
		adm_row_of_account(&row, a);
		adm_put_row(&b, &row, ADM_AS_JSON);
	} else {
		if (localtime_r(&t, &tm))
			strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
		buf_fmt(&b, "%-24.*s %-9s %s\n", (int)a->user.n, a->user.p,
			a->is_enabled ? "enabled" : "disabled", date);
	}
	bool is_written = b.err == OK && fwrite(b.p, 1, b.n, stdout) == b.n;
	buf_fini(&b);
	return is_written;
}

static int list_users(struct user_cmd *u)
{
	size_t n = 0;
	enum err e = st_accounts_count(u->st, &n);
	if (e == OK && !n && !u->is_json)
		fputs("no users yet; `rung user add NAME` makes one\n", stderr);
	if (e == OK && n && !u->is_json)
		printf("%-24s %-9s %s\n", "USER", "STATE", "CHANGED");
	if (e == OK)
		e = st_accounts_each(u->st, list_one, u);
	return e == OK ? EXIT_DONE : store_failed(u, e);
}

/* --- import --------------------------------------------------------------------------------- */

struct import {
	struct user_cmd *u;
	const char *file;
	unsigned line, n_done, n_complaints;
	bool is_terminal;
	struct buf made; /* CSV of generated passwords */
};

[[gnu::format(printf, 2, 3)]] static void complain(struct import *im, const char *fmt, ...)
{
	va_list ap;
	if (im->n_complaints++ >= MAX_COMPLAINTS)
		return;
	va_start(ap, fmt);
	fprintf(stderr, "%s:%u: ", im->file, im->line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* One field of RFC 4180, unquoted in place; *at moves behind its comma. NULL: broken quotes. */
static char *csv_field(char **at, bool *is_last)
{
	char *from = *at, *to = from, *start = from;
	if (*from != '"') {
		size_t n = strcspn(from, ",");
		*is_last = !from[n];
		from[n] = 0;
		*at = from + n + !*is_last;
		return start;
	}
	for (from++; *from; from++) {
		if (*from == '"' && from[1] != '"')
			break;
		from += *from == '"';
		*to++ = *from;
	}
	if (*from != '"' || (from[1] && from[1] != ','))
		return NULL;
	*is_last = !from[1];
	*at = from + 1 + !*is_last;
	*to = 0;
	return start;
}

static enum err import_user(struct import *im, struct str name, struct str password)
{
	struct user_cmd *u = im->u;
	struct st_account a = {.user = name, .is_enabled = true};
	char mem[64];
	struct buf made;
	buf_init_fixed(&made, mem, sizeof(mem));
	if (!password.n) {
		acc_password_make(u->env, &made);
		password = buf_view(&made);
	}
	a.changed_s = env_wall_us(u->env) / 1000000;
	acc_set_password(&a, buf_view(&u->realm), password);
	enum err e = st_account_put(u->st, &a, u->is_replace ? ST_UPSERT : ST_ADD);
	if (e == ERR_STATE) {
		complain(im, "user `" STR_FMT "` exists already (--replace gives it this password)",
			 STR_ARG(name));
		return OK;
	}
	if (e == OK && made.n)
		buf_fmt(&im->made, STR_FMT "," STR_FMT "\n", STR_ARG(name), STR_ARG(password));
	im->n_done += e == OK;
	return e;
}

static enum err import_line(struct import *im, char *line)
{
	struct user_cmd *u = im->u;
	bool is_last = false;
	char *at = line, *password = NULL;
	line[strcspn(line, "\r\n")] = 0;
	if (im->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
		at += 3; /* what spreadsheets put before UTF-8 */
	if (!*at || *at == '#' || (im->line == 1 && strcasecmp(at, "name,password") == 0))
		return OK;
	char *name = csv_field(&at, &is_last);
	if (name && !is_last)
		password = csv_field(&at, &is_last);
	if (!name || !is_last) {
		complain(im, "expected name,password (with quotes around what has a comma)");
		return OK;
	}
	buf_clear(&u->why);
	if (acc_name_check(str_c(name), &u->why) != OK ||
	    (password && *password && acc_password_check(str_c(password), &u->why) != OK)) {
		complain(im, STR_FMT, STR_ARG(buf_view(&u->why)));
		return OK;
	}
	return import_user(im, str_c(name), str_c(password));
}

static enum err import_lines(struct import *im, FILE *f)
{
	char *line = NULL;
	size_t cap = 0;
	enum err e = OK;
	ssize_t n;
	while (e == OK && (n = getline(&line, &cap, f)) >= 0) {
		im->line++;
		if (memchr(line, 0, (size_t)n))
			complain(im, "a NUL byte: is this a text file?");
		else
			e = import_line(im, line);
		if (im->is_terminal && im->line % PROGRESS_LINES == 0)
			fprintf(stderr, "\r%u users", im->n_done);
	}
	if (im->is_terminal && im->line >= PROGRESS_LINES)
		fputc('\r', stderr);
	free(line);
	return e == OK && ferror(f) ? ERR_IO : e;
}

static int import_end(struct import *im, enum err e)
{
	struct user_cmd *u = im->u;
	if (e == OK && !im->n_complaints)
		e = st_commit(u->st);
	if (e != OK)
		return store_failed(u, e);
	if (im->n_complaints > MAX_COMPLAINTS)
		fprintf(stderr, "%s: and %u more\n", im->file, im->n_complaints - MAX_COMPLAINTS);
	if (im->n_complaints)
		return failed("nothing was imported; correct the lines above and try again");
	nudge_server(u);
	if (im->made.n)
		fwrite(im->made.p, 1, im->made.n, stdout);
	fprintf(stderr, "imported %u users\n", im->n_done);
	return EXIT_DONE;
}

static int import_users(struct user_cmd *u, const char *file)
{
	struct import im = {.u = u, .file = file, .is_terminal = isatty(STDERR_FILENO)};
	bool is_stdin = strcmp(file, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(file, "re");
	if (!f)
		return failed("cannot read %s: %s", file, strerror(errno));
	buf_init(&im.made);
	enum err e = st_begin(u->st);
	if (e == OK)
		e = import_lines(&im, f);
	int code = ferror(f) ? failed("cannot read %s", file) : import_end(&im, e);
	st_rollback(u->st);
	buf_fini(&im.made);
	if (!is_stdin)
		fclose(f);
	return code;
}

/* --- the command ---------------------------------------------------------------------------- */

static const char *const verbs[] = {"add", "import", "list", "del", "passwd", "enable", "disable"};

static int open_all(struct user_cmd *u, bool may_create)
{
	buf_clear(&u->why);
	if (env_os_new(&u->env))
		return failed("the system refuses to open an event loop (too many open files?)");
	enum err e = st_open(u->data, may_create ? ST_CREATE : 0, &u->st, &u->why);
	if (e == ERR_NOTFOUND)
		return failed(STR_FMT
			      ".\n  `rung serve` or `rung user add` makes it; --data DIR names "
			      "another folder",
			      STR_ARG(buf_view(&u->why)));
	if (e != OK)
		return failed(STR_FMT, STR_ARG(buf_view(&u->why)));
	e = acc_realm(u->st, u->env, STR_NONE, &u->realm);
	return e == OK ? -1 : store_failed(u, e);
}

static int run(struct user_cmd *u, const char *verb, const char *word)
{
	struct str name = str_c(word);
	bool is_add = strcmp(verb, "add") == 0, is_import = strcmp(verb, "import") == 0;
	if (is_add && acc_name_check(name, &u->why) != OK)
		return opt_usage(u->spec, STR_FMT, STR_ARG(buf_view(&u->why)));
	int code = open_all(u, is_add || is_import);
	if (code >= 0)
		return code;
	if (is_import)
		return import_users(u, word);
	if (is_add || strcmp(verb, "passwd") == 0)
		return put_user(u, name, is_add);
	if (strcmp(verb, "list") == 0)
		return list_users(u);
	if (strcmp(verb, "del") == 0)
		return del_user(u, name);
	return enable_user(u, name, strcmp(verb, "enable") == 0);
}

/* The index of the verb, or -1 after telling what is wrong. */
static int check_words(const struct opt_spec *spec, const char **words, size_t n)
{
	struct str cands[ARRAY_LEN(verbs)];
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		cands[i] = str_c(verbs[i]);
		if (strcmp(words[0], verbs[i]) != 0)
			continue;
		bool is_list = strcmp(verbs[i], "list") == 0;
		if (n == (is_list ? 1 : 2))
			return (int)i;
		if (is_list)
			opt_usage(spec, "list takes no further word");
		else
			opt_usage(spec, "%s needs %s", verbs[i],
				  strcmp(verbs[i], "import") ? "a NAME"
							     : "a FILE (or - for stdin)");
		return -1;
	}
	struct str near = str_nearest(str_c(words[0]), cands, ARRAY_LEN(cands));
	if (near.n)
		opt_usage(spec, "unknown word `%s`, did you mean `" STR_FMT "`?", words[0],
			  STR_ARG(near));
	else
		opt_usage(spec,
			  "unknown word `%s`; expected add, import, list, del, passwd, enable or "
			  "disable",
			  words[0]);
	return -1;
}

int cmd_user(int argc, char **argv)
{
	static struct user_cmd u;
	const char *words[2];
	size_t n;
	char dir[512];
	struct opt opts[] = {
		{0,   "data",     OPT_STR,  &u.data,       "DIR",
		 "the exchange's data folder (~/.local/share/rung)"                           },
		{'p', "password", OPT_STR,  &u.password,   "P",
		 "for add and passwd; - reads it from stdin; without it one is made and shown"},
		{0,   "replace",  OPT_FLAG, &u.is_replace, NULL,
		 "import: users that exist get the new password"                              },
		{0,   "json",     OPT_FLAG, &u.is_json,    NULL,  "one JSON object per line"  },
	};
	struct opt_spec spec = {
		.command = "user",
		.words = "add NAME | import FILE.csv | list | del NAME | passwd NAME | enable NAME "
			 "| "
			 "disable NAME",
		.about = "Accounts of an exchange, with or without a running server; a running one "
			 "takes "
			 "changes at once.\n"
			 "FILE.csv has lines name,password; where the password is missing one is "
			 "made, "
			 "and those are printed.",
		.examples =
			"  rung user add 100\n  rung user passwd 100 --password 'correct horse'\n"
			"  rung user import staff.csv > passwords.csv\n  rung user list --json\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 1,
		.max_words = 2,
	};
	int code = opt_parse(&spec, argc, argv, words, &n);
	if (code >= 0)
		return code;
	int verb = check_words(&spec, words, n);
	if (verb < 0)
		return EXIT_USAGE;
	u.spec = &spec;
	if (!u.data)
		u.data = control_default_dir(dir);
	buf_init(&u.realm);
	buf_init(&u.why);
	code = run(&u, verbs[verb], n > 1 ? words[1] : NULL);
	if (code == EXIT_DONE && fflush(stdout) != 0)
		code = failed("cannot write the output");
	st_close(u.st);
	if (u.env)
		env_free(u.env);
	buf_fini(&u.realm);
	buf_fini(&u.why);
	return code;
}
