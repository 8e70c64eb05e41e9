/* The configuration file: from disk to a policy, and what is wrong in words. Blocking; nothing here
 * is called from a shard. */
#include "cmd/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum err config_read(const char *path, struct buf *out, struct buf *why)
{
	char mem[16384];
	size_t n;
	FILE *f = fopen(path, "rb");
	if (!f) {
		buf_fmt(why, "%s: %s\n", path,
			errno == ENOENT ? "there is no such file" : strerror(errno));
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	}
	while ((n = fread(mem, 1, sizeof(mem), f)) > 0 && out->n <= POL_MAX_BYTES)
		buf_put(out, mem, n);
	enum err e = ferror(f) ? ERR_IO : out->err;
	if (e)
		buf_fmt(why, "%s: %s\n", path, e == ERR_IO ? strerror(errno) : err_text(e));
	fclose(f);
	return e;
}

enum err config_make(const char *path, struct str text, struct pol_config **out, struct buf *why)
{
	struct pol_diags d;
	pol_diags_init(&d);
	enum err e = pol_load(text, out, &d);
	pol_diags_put(&d, str_c(path), why);
	if (e == ERR_NOMEM)
		buf_fmt(why, "%s: not enough memory\n", path);
	pol_diags_fini(&d);
	return e;
}
