/* Reading the journals at start-up.
 *
 * Every file is read through a window of one megabyte, in order of epochs. A record counts when its
 * length is possible and its check is right; after one that is not, the next right one is looked
 * for byte by byte: what is readable behind a damaged place is used. What follows the last good
 * record is a torn tail when it is a record that was cut off, or zeros (a power cut leaves both):
 * it is dropped, nobody was told that it was kept. Anything else is damage: the file is renamed,
 * once its contents are in a new one, and the sentence about it goes to the log.
 *
 * A file of a newer version stops the start: dropping what it says would lose bindings.
 */
#include "store/journal_priv.h"

#include "base/assert.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES (1u << 20)

/* "rung", then the name's first letters: a file of another set is not taken for one of ours. */
static void put_magic(const struct st_journals *js, uint8_t out[8])
{
	memcpy(out, "rung", 4);
	memcpy(out + 4, js->name, 4);
}

void jrn_file_name(const struct st_journals *js, uint64_t epoch, uint32_t shard,
		   char out[JRN_NAME_MAX])
{
	snprintf(out, JRN_NAME_MAX, "%s.%08" PRIx64 ".%" PRIu32, js->name, epoch, shard);
}

void jrn_head_make(const struct st_journals *js, uint64_t epoch, uint32_t shard, uint32_t n_shards,
		   uint32_t layout, uint8_t out[JRN_HEAD_BYTES])
{
	memset(out, 0, JRN_HEAD_BYTES);
	put_magic(js, out);
	jrn_put_le(out + 8, JRN_VERSION, 4);
	jrn_put_le(out + 12, n_shards, 2);
	jrn_put_le(out + 14, shard, 2);
	jrn_put_le(out + 16, epoch, 8);
	jrn_put_le(out + 24, layout, 4);
	jrn_put_le(out + 28, jrn_check(epoch, 0, out, 28), 4);
}

static void note_name(void *arg, const char *name)
{
	struct st_journals *js = arg;
	struct jrn_found f = {0};
	int end = 0;
	size_t n = strlen(js->name);
	if (strncmp(name, js->name, n) != 0 || name[n] != '.')
		return;
	name += n;
	if (sscanf(name, ".%8" SCNx64 ".%" SCNu32 "%n", &f.epoch, &f.shard, &end) != 2 || name[end])
		return;
	if (js->n_found == js->cap_found) {
		size_t cap = js->cap_found ? 2 * js->cap_found : 16;
		struct jrn_found *more = realloc(js->found, cap * sizeof(*more));
		if (!more) {
			js->list_err = ERR_NOMEM;
			return;
		}
		js->found = more;
		js->cap_found = cap;
	}
	js->found[js->n_found++] = f;
}

static int by_epoch(const void *a, const void *b)
{
	const struct jrn_found *x = a, *y = b;
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	return (x->shard > y->shard) - (x->shard < y->shard);
}

struct window { /* the part of a file that is in memory */
	struct st_io *io;
	struct st_file *file;
	uint8_t *p;
	uint64_t at; /* file offset of p[0] */
	size_t n;
	uint64_t size;
};

/* Pointer to the bytes at off, *avail of them: all that remain, or at least a whole record's. */
static enum err look(struct window *w, uint64_t off, const uint8_t **p, size_t *avail)
{
	size_t want = LIMIT_JOURNAL_RECORD + JRN_REC_BYTES;
	if (w->size - off < want)
		want = (size_t)(w->size - off);
	if (off < w->at || off + want > w->at + w->n) {
		enum err e = w->io->ops->read(w->io, w->file, off, w->p, WINDOW_BYTES, &w->n);
		if (e != OK)
			return e;
		w->at = off;
		if (w->n < want)
			return ERR_IO; /* shorter than it said: somebody else writes here */
	}
	*p = w->p + (off - w->at);
	*avail = w->n - (size_t)(off - w->at);
	return OK;
}

enum judged { GOOD, SHORT, BAD };

static enum judged judge(uint64_t epoch, uint64_t off, const uint8_t *p, size_t avail)
{
	if (avail < JRN_REC_BYTES)
		return SHORT;
	uint64_t len = jrn_get_le(p + 4, 4);
	if (len < 3 || len > LIMIT_JOURNAL_RECORD)
		return BAD;
	if (len > avail - JRN_REC_BYTES)
		return SHORT;
	uint64_t key_n = len >= 2 ? jrn_get_le(p + 8, 2) : 0;
	if (key_n == 0 || key_n + 2 > len)
		return BAD;
	return jrn_get_le(p, 4) == jrn_check(epoch, off, p + 4, (size_t)len + 4) ? GOOD : BAD;
}

static bool is_zero(struct window *w, uint64_t off)
{
	for (; off < w->size; off++) {
		const uint8_t *p;
		size_t avail;
		if (look(w, off, &p, &avail) != OK || *p)
			return false;
	}
	return true;
}

/* Reads all records of a file, past damaged places too. */
static enum err load_records(struct window *w, struct jrn_found *f,
			     void (*fn)(void *arg, struct str key, struct str value), void *arg)
{
	uint64_t off = JRN_HEAD_BYTES, bad_from = 0;
	bool is_cut = false;
	f->good_end = JRN_HEAD_BYTES;
	while (off < w->size) {
		const uint8_t *p;
		size_t avail;
		enum err e = look(w, off, &p, &avail);
		if (e != OK)
			return e;
		enum judged j = judge(f->epoch, off, p, avail);
		if (j != GOOD) {
			if (!bad_from) {
				bad_from = off;
				is_cut = j == SHORT;
			}
			off++;
			continue;
		}
		if (bad_from) {
			f->is_damaged = true;
			f->lost += off - bad_from;
			bad_from = 0;
		}
		size_t len = (size_t)jrn_get_le(p + 4, 4), key_n = (size_t)jrn_get_le(p + 8, 2);
		fn(arg, str_of((const char *)p + 10, key_n),
		   str_of((const char *)p + 10 + key_n, len - 2 - key_n));
		off += JRN_REC_BYTES + len;
		f->good_end = off;
	}
	if (bad_from) {
		f->lost += w->size - bad_from;
		f->is_torn = is_cut || is_zero(w, bad_from);
		f->is_damaged |= !f->is_torn;
	}
	return OK;
}

static enum err load_file(struct st_journals *js, struct jrn_found *f, struct window *w,
			  void (*fn)(void *arg, struct str key, struct str value), void *arg,
			  struct buf *why)
{
	uint8_t want[JRN_HEAD_BYTES];
	const uint8_t *p;
	size_t avail = 0;
	w->at = w->n = 0;
	enum err e = js->io->ops->size(js->io, w->file, &w->size);
	if (e == OK)
		e = look(w, 0, &p, &avail);
	if (e != OK)
		return e;
	f->size = w->size;
	if (avail < JRN_HEAD_BYTES) { /* ended while it was being made: nothing was in it */
		f->is_torn = true;
		f->lost = avail;
		f->good_end = JRN_HEAD_BYTES;
		return OK;
	}
	uint8_t magic[8];
	put_magic(js, magic);
	bool is_ours = memcmp(p, magic, sizeof(magic)) == 0;
	if (is_ours && jrn_get_le(p + 8, 4) > JRN_VERSION) {
		char name[JRN_NAME_MAX];
		jrn_file_name(js, f->epoch, f->shard, name);
		buf_fmt(why,
			"%s was written by a newer rung (format %u, this one knows %u): use that, "
			"or move the %s.* files away; phones register and subscribe again by "
			"themselves",
			name, (unsigned)jrn_get_le(p + 8, 4), JRN_VERSION, js->name);
		return ERR_UNSUPPORTED;
	}
	f->n_shards = (uint32_t)jrn_get_le(p + 12, 2);
	f->layout = (uint32_t)jrn_get_le(p + 24, 4);
	jrn_head_make(js, f->epoch, f->shard, f->n_shards, f->layout, want);
	f->is_damaged = memcmp(p, want, JRN_HEAD_BYTES) != 0;
	return load_records(w, f, fn, arg);
}

static void report(const struct st_journals *js, const struct jrn_found *f, struct buf *notices)
{
	char name[JRN_NAME_MAX];
	jrn_file_name(js, f->epoch, f->shard, name);
	if (f->is_damaged)
		buf_fmt(notices,
			"%s is damaged: %" PRIu64 " of %" PRIu64
			" bytes cannot be read; what can is used, "
			"the file is kept as %s.damaged, and the phones concerned register again "
			"by "
			"themselves\n",
			name, f->lost, f->size, name);
	else if (f->lost)
		buf_fmt(notices,
			"%s: the last %" PRIu64
			" bytes were being written when the server ended; nobody "
			"was told that they were kept\n",
			name, f->lost);
}

enum err st_journals_load(struct st_journals *js,
			  void (*fn)(void *arg, struct str key, struct str value), void *arg,
			  struct buf *notices, struct buf *why)
{
	ASSERT(!js->n_found && !js->j);
	enum err e = js->io->ops->list(js->io, note_name, js);
	if (e == OK)
		e = js->list_err;
	if (e != OK || !js->n_found)
		return e;
	qsort(js->found, js->n_found, sizeof(*js->found), by_epoch);
	struct window w = {.io = js->io, .p = malloc(WINDOW_BYTES)};
	if (!w.p)
		return ERR_NOMEM;
	for (size_t i = 0; e == OK && i < js->n_found; i++) {
		struct jrn_found *f = &js->found[i];
		char name[JRN_NAME_MAX];
		jrn_file_name(js, f->epoch, f->shard, name);
		e = js->io->ops->open(js->io, name, false, &w.file, why);
		if (e == OK) {
			e = load_file(js, f, &w, fn, arg, why);
			js->io->ops->close(js->io, w.file);
			report(js, f, notices);
			if (e == ERR_IO)
				buf_fmt(why, "cannot read %s", name);
		}
	}
	free(w.p);
	return e;
}

/* ---- again, while the journal is at work ----------------------------------------------------- */

struct jrn_reader {
	struct window w;
	uint64_t epoch, off;
};

void jrn_reader_free(struct jrn_reader *r)
{
	if (!r)
		return;
	if (r->w.file)
		r->w.io->ops->close(r->w.io, r->w.file);
	free(r->w.p);
	free(r);
}

enum err jrn_reader_new(const struct st_journals *js, uint64_t epoch, uint32_t shard,
			struct jrn_reader **out)
{
	struct jrn_reader *r = calloc(1, sizeof(*r));
	char name[JRN_NAME_MAX];
	if (!r)
		return ERR_NOMEM;
	*r = (struct jrn_reader){
		.w = {.io = js->io, .p = malloc(WINDOW_BYTES)},
		.epoch = epoch,
		.off = JRN_HEAD_BYTES
        };
	jrn_file_name(js, epoch, shard, name);
	enum err e = r->w.p ? js->io->ops->open(js->io, name, false, &r->w.file, NULL) : ERR_NOMEM;
	if (e == OK)
		e = js->io->ops->size(js->io, r->w.file, &r->w.size);
	if (e) {
		jrn_reader_free(r);
		return e;
	}
	*out = r;
	return OK;
}

enum err jrn_reader_step(struct jrn_reader *r, size_t max_bytes,
			 void (*fn)(void *arg, struct str key, struct str value), void *arg)
{
	uint64_t until = r->off + max_bytes;
	while (r->off < r->w.size && r->off < until) {
		const uint8_t *p;
		size_t avail;
		enum err e = look(&r->w, r->off, &p, &avail);
		if (e != OK)
			return e;
		if (judge(r->epoch, r->off, p, avail) != GOOD) {
			r->off++; /* start-up has told of it */
			continue;
		}
		size_t len = (size_t)jrn_get_le(p + 4, 4), key_n = (size_t)jrn_get_le(p + 8, 2);
		fn(arg, str_of((const char *)p + 10, key_n),
		   str_of((const char *)p + 10 + key_n, len - 2 - key_n));
		r->off += JRN_REC_BYTES + len;
	}
	return r->off < r->w.size ? ERR_MORE : OK;
}
