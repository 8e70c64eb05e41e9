/* What `rung scope` writes to files of their own. A file appears whole, or not at all: it is
 * written beside its place and then renamed. */
#include "cmd/scope_priv.h"
#include "scope/sipp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail_write(const char *path)
{
	fprintf(stderr,
		"rung scope: %s: it cannot be written (no such folder, no permission, or the "
		"disk is full)\n",
		path);
	return EXIT_FAILED;
}

static int write_file(const char *path, struct str text)
{
	char temp[1'024];
	int n = snprintf(temp, sizeof temp, "%s.tmp", path);
	if (n < 0 || (size_t)n >= sizeof temp)
		return fail_write(path);
	FILE *f = fopen(temp, "wb");
	if (!f)
		return fail_write(path);
	bool ok = fwrite(text.p, 1, text.n, f) == text.n;
	ok = fclose(f) == 0 && ok;
	if (!ok || rename(temp, path) != 0) {
		unlink(temp);
		return fail_write(path);
	}
	return EXIT_DONE;
}

static int export_side(struct scope *s, const struct trk_call *c, enum trk_side side)
{
	static const char *const roles[] = {"caller", "callee"};
	char path[1'000];
	int n = snprintf(path, sizeof path, "%s-%s.xml", s->sipp, roles[side]);
	if (n < 0 || (size_t)n >= sizeof path)
		return fail_write(s->sipp);
	buf_clear(&s->out);
	enum err e = sipp_put(&s->out, s->book, c, side);
	if (e == ERR_NOTFOUND) {
		fprintf(stderr, "rung scope: nothing of the %s's side is in the capture: no %s\n",
			roles[side], path);
		return EXIT_DONE;
	}
	if (e) {
		fprintf(stderr, "rung scope: %s: %s\n", path, err_text(e));
		return EXIT_FAILED;
	}
	int code = write_file(path, buf_view(&s->out));
	if (code == EXIT_DONE)
		printf("%s\n", path);
	return code;
}

int scope_export_sipp(struct scope *s)
{
	int code = scope_open_book(s);
	if (code >= 0)
		return code;
	const struct trk_call *c = scope_the_call(s, s->trk);
	if (!c)
		return EXIT_FAILED;
	code = export_side(s, c, TRK_SIDE_CALLER);
	return code ? code : export_side(s, c, TRK_SIDE_CALLEE);
}
