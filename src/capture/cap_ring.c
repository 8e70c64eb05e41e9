/* Ring files.
 *
 * Without limits there is one file under the given name, made at once so that a wrong path is told
 * at once. With limits a file is made when its first record comes, and its name tells that record's
 * time: a ring made from a capture file is then the same every time. `names` holds the files that
 * are there, oldest first, as far as they are to be deleted.
 *
 * Each file of a ring is whole: it begins with its own headers and with all secrets so far.
 *
 * Invariants: `out` is the file at work, NULL before the first record of a ring; at most n_files
 * files of this ring exist.
 */
#include "capture/cap_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_FILES 100'000u

struct cap_ring {
	struct cap_ring_cfg cfg;
	struct cap_out *out;
	enum cap_format format;
	bool is_ring;
	uint32_t n_made;
	uint64_t n_recs;
	int64_t first_ns, last_ns; /* of the file at work; of the last record */
	struct buf secrets;
	uint32_t secrets_type;
	char **names; /* n_files of them: file k is names[k % n_files] */
};

bool cap_ring_option(struct cap_ring_cfg *cfg, struct str option)
{
	struct str value, name = str_cut(option, ':', &value);
	uint32_t n;
	if (!str_u32(value, &n) || !n)
		return false;
	if (str_eq(name, STR("filesize")))
		cfg->filesize_kb = n;
	else if (str_eq(name, STR("files")))
		cfg->n_files = n < MAX_FILES ? n : MAX_FILES;
	else if (str_eq(name, STR("duration")))
		cfg->duration_s = n;
	else
		return false;
	return true;
}

enum err cap_ring_open(const struct cap_ring_cfg *cfg, struct cap_ring **out, struct buf *why)
{
	bool is_ring = cfg->filesize_kb || cfg->duration_s > 0;
	if (cfg->n_files && !is_ring) {
		buf_fmt(why, "a ring needs to know when a file is full: -b filesize:KB or "
			     "-b duration:SECONDS");
		return ERR_LIMIT;
	}
	struct cap_ring *g = calloc(1, sizeof *g);
	enum err e = g ? OK : ERR_NOMEM;
	if (g) {
		g->cfg = *cfg;
		g->is_ring = is_ring && strcmp(cfg->path, "-") != 0;
		g->format = cap_format_of(str_c(cfg->path));
		buf_init(&g->secrets);
		g->names = cfg->n_files ? calloc(cfg->n_files, sizeof *g->names) : NULL;
		if (cfg->n_files && !g->names)
			e = ERR_NOMEM;
	}
	if (e)
		buf_fmt(why, "no memory");
	else if (!g->is_ring)
		e = cap_out_open(cfg->path, g->format, &g->out, why);
	if (e) {
		struct buf nowhere;
		buf_init(&nowhere);
		enum err ignored = cap_ring_close(g, NULL, &nowhere);
		(void)ignored; /* nothing was written */
		buf_fini(&nowhere);
		return e;
	}
	*out = g;
	return OK;
}

/* "dir/calls.pcapng" and file 1 at 23:59:59: "dir/calls_00001_20261126235959.pcapng". */
static void put_name(const struct cap_ring *g, int64_t at_ns, struct buf *b)
{
	struct str path = str_c(g->cfg.path), ext = STR_NONE;
	for (size_t i = path.n; i-- > 0 && path.p[i] != '/';)
		if (path.p[i] == '.') {
			ext = str_skip(path, i);
			break;
		}
	time_t s = (time_t)(at_ns / 1'000'000'000);
	struct tm tm;
	char text[32] = "0";
	if (localtime_r(&s, &tm))
		strftime(text, sizeof text, "%Y%m%d%H%M%S", &tm);
	buf_str(b, str_sub(path, 0, path.n - ext.n));
	buf_fmt(b, "_%05u_%s", g->n_made + 1, text);
	buf_str(b, ext);
}

static enum err next_file(struct cap_ring *g, int64_t at_ns, struct buf *why)
{
	struct buf name;
	char **slot = g->cfg.n_files ? &g->names[g->n_made % g->cfg.n_files] : NULL;
	enum err e = cap_out_close(g->out, why);
	g->out = NULL;
	if (e)
		return e;
	buf_init(&name);
	put_name(g, at_ns, &name);
	const char *path = buf_cstr(&name);
	if (slot && *slot)
		unlink(*slot);
	if (!path) {
		buf_fmt(why, "no memory");
		e = ERR_NOMEM;
	} else {
		e = cap_out_open(path, g->format, &g->out, why);
	}
	if (e == OK && g->secrets.n)
		e = cap_out_secrets(g->out, g->secrets_type, buf_view(&g->secrets), why);
	if (slot) {
		free(*slot);
		*slot = name.p; /* the buffer's memory goes on as the file's name */
	} else {
		buf_fini(&name);
	}
	g->n_made++;
	g->first_ns = at_ns;
	return e;
}

static bool is_full(const struct cap_ring *g, const struct cap_rec *r)
{
	enum { BLOCK = 32 + 3 }; /* around a packet */
	const struct cap_ring_cfg *c = &g->cfg;
	if (!g->out)
		return true;
	if (c->filesize_kb &&
	    cap_out_bytes(g->out) + r->n + BLOCK > (uint64_t)c->filesize_kb * 1'000)
		return cap_out_bytes(g->out) > 0;
	return c->duration_s > 0 && (double)(r->at_ns - g->first_ns) >= c->duration_s * 1e9;
}

enum err cap_ring_rec(struct cap_ring *g, const struct cap_rec *r, struct str comment,
		      struct buf *why)
{
	enum err e = g->is_ring && is_full(g, r) ? next_file(g, r->at_ns, why) : OK;
	if (e == OK && !g->out)
		e = ERR_IO; /* told before */
	if (e == OK)
		e = cap_out_rec(g->out, r, comment, why);
	if (e == OK)
		g->n_recs++;
	g->last_ns = r->at_ns;
	return e;
}

enum err cap_ring_secrets(struct cap_ring *g, uint32_t type, struct str secrets, struct buf *why)
{
	if (g->is_ring) {
		buf_str(&g->secrets, secrets);
		g->secrets_type = type;
	}
	if (g->secrets.err) {
		buf_fmt(why, "no memory");
		return ERR_NOMEM;
	}
	return g->out ? cap_out_secrets(g->out, type, secrets, why) : OK;
}

enum err cap_ring_flush(struct cap_ring *g, struct buf *why)
{
	return g->out ? cap_out_flush(g->out, why) : OK;
}

uint64_t cap_ring_n(const struct cap_ring *g)
{
	return g->n_recs;
}

enum err cap_ring_close(struct cap_ring *g, const struct cap_counts *counts, struct buf *why)
{
	enum err e = OK;
	if (!g)
		return OK;
	if (g->out && counts)
		e = cap_out_counts(g->out, 0, g->last_ns, counts, why);
	if (g->out) {
		enum err e2 = cap_out_close(g->out, why);
		e = e ? e : e2;
	}
	for (uint32_t i = 0; g->names && i < g->cfg.n_files; i++)
		free(g->names[i]);
	free(g->names);
	buf_fini(&g->secrets);
	free(g);
	return e;
}
