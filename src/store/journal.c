/* Bindings on disk: an append-only journal per shard.
 *
 * File `bindings.EEEEEEEE.S`: epoch (hex) and shard. A 32-byte head, then records
 *
 *	check:32  len:32  key_n:16  key  value		len = 2 + key_n + value_n, little-endian
 *
 * check is keyed by epoch and offset, so that neither leftovers of a failed write nor bytes of
 * another file are ever taken for a record. A later record of a key replaces the earlier; an empty
 * value deletes. The state is what remains after reading all files in order of their epoch.
 *
 * Path of a change: st_journal_put appends the record to the turn's buffer; at the end of the turn
 * one write moves all of it into the page cache, and the callers are told. A write costs 1.2 µs
 * here; handing it to another thread and back 27 µs; the same change as an SQLite upsert 14 µs
 * (docs/adr/001).
 *
 * Compaction: a new file with a higher epoch takes all further changes, and the caller adds every
 * live key once. When he is through, the new file says everything: a worker syncs it and removes
 * the older ones. No moment in between, whether the process ends there or the disk fills up, loses
 * a record: both files are read, in order.
 *
 * Start: when there is one whole file per shard, made for the same number of shards, we append to
 * them. Otherwise (other number of shards, unfinished compaction, damage) all keys are written anew
 * in a fresh epoch before the old files go; damaged ones are renamed, not removed.
 *
 * Invariants: 1. off is the end of the last good record. 2. a file is removed only after a later
 * epoch, synced, has everything. 3. every put is told exactly once, in order, after its write.
 */
#include "store/io_priv.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES   32u
#define REC_BYTES    8u /* check and len */
#define VERSION      1u
#define WINDOW_BYTES (1u << 20)
#define BATCH_BYTES  (256u << 10) /* a buffer above it is written early, and not kept */
#define OLD_MAX      8            /* files that unfinished compactions may leave behind */
#define RETRY_US     60000000u

static const char magic[8] = "rungbind";

struct st_journal {
	struct st_journals *all;
	struct ev_loop *loop;
	struct st_file *file;
	uint64_t epoch, off;
	uint32_t shard;
	struct buf batch;
	struct st_put *puts, **puts_end;
	struct ev_flush flush;
	struct tmr delay;
	uint64_t old[OLD_MAX]; /* epochs of our files that the present one will replace */
	unsigned n_old;
	bool is_compacting, has_missed; /* has_missed: a key to be kept could not be written */
	bool is_cleaning;               /* a worker is removing the old files */
	uint64_t retry_at_us;
	struct st_journal_stats stats;
	char why[200];
};

struct found { /* a file as start-up found it */
	uint64_t epoch, size, good_end, lost;
	uint32_t shard, n_shards, layout;
	bool is_damaged, is_torn;
};

struct st_journals {
	struct st_io *io;
	struct found *found;
	size_t n_found, cap_found;
	enum err list_err;
	size_t n;
	uint32_t layout;
	struct st_journal *j;
};

static void file_name(uint64_t epoch, uint32_t shard, char out[64])
{
	snprintf(out, 64, "bindings.%08" PRIx64 ".%" PRIu32, epoch, shard);
}

static void put_le(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint32_t check_of(uint64_t epoch, uint64_t off, const void *p, size_t n)
{
	uint8_t key[16];
	put_le(key, epoch, 8);
	put_le(key + 8, off, 8);
	return (uint32_t)siphash(key, p, n);
}

static void head_make(uint64_t epoch, uint32_t shard, uint32_t n_shards, uint32_t layout,
		      uint8_t out[HEAD_BYTES])
{
	memset(out, 0, HEAD_BYTES);
	memcpy(out, magic, sizeof(magic));
	put_le(out + 8, VERSION, 4);
	put_le(out + 12, n_shards, 2);
	put_le(out + 14, shard, 2);
	put_le(out + 16, epoch, 8);
	put_le(out + 24, layout, 4);
	put_le(out + 28, check_of(epoch, 0, out, 28), 4);
}

/* --- loading -------------------------------------------------------------------------------- */

static void note_name(void *arg, const char *name)
{
	struct st_journals *js = arg;
	struct found f = {0};
	int end = 0;
	if (sscanf(name, "bindings.%8" SCNx64 ".%" SCNu32 "%n", &f.epoch, &f.shard, &end) != 2 ||
	    name[end])
		return;
	if (js->n_found == js->cap_found) {
		size_t cap = js->cap_found ? 2 * js->cap_found : 16;
		struct found *more = realloc(js->found, cap * sizeof(*more));
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
	const struct found *x = a, *y = b;
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
	size_t want = LIMIT_JOURNAL_RECORD + REC_BYTES;
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
	if (avail < REC_BYTES)
		return SHORT;
	uint64_t len = get_le(p + 4, 4);
	if (len < 3 || len > LIMIT_JOURNAL_RECORD)
		return BAD;
	if (len > avail - REC_BYTES)
		return SHORT;
	uint64_t key_n = len >= 2 ? get_le(p + 8, 2) : 0;
	if (key_n == 0 || key_n + 2 > len)
		return BAD;
	return get_le(p, 4) == check_of(epoch, off, p + 4, (size_t)len + 4) ? GOOD : BAD;
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
static enum err load_records(struct window *w, struct found *f,
			     void (*fn)(void *arg, struct str key, struct str value), void *arg)
{
	uint64_t off = HEAD_BYTES, bad_from = 0;
	bool is_cut = false;
	f->good_end = HEAD_BYTES;
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
		size_t len = (size_t)get_le(p + 4, 4), key_n = (size_t)get_le(p + 8, 2);
		fn(arg, str_of((const char *)p + 10, key_n),
		   str_of((const char *)p + 10 + key_n, len - 2 - key_n));
		off += REC_BYTES + len;
		f->good_end = off;
	}
	if (bad_from) {
		f->lost += w->size - bad_from;
		f->is_torn = is_cut || is_zero(w, bad_from);
		f->is_damaged |= !f->is_torn;
	}
	return OK;
}

static enum err load_file(struct st_journals *js, struct found *f, struct window *w,
			  void (*fn)(void *arg, struct str key, struct str value), void *arg,
			  struct buf *why)
{
	uint8_t want[HEAD_BYTES];
	const uint8_t *p;
	size_t avail = 0;
	w->at = w->n = 0;
	enum err e = js->io->ops->size(js->io, w->file, &w->size);
	if (e == OK)
		e = look(w, 0, &p, &avail);
	if (e != OK)
		return e;
	f->size = w->size;
	if (avail < HEAD_BYTES) { /* ended while it was being made: nothing was in it */
		f->is_torn = true;
		f->lost = avail;
		f->good_end = HEAD_BYTES;
		return OK;
	}
	bool is_ours = memcmp(p, magic, sizeof(magic)) == 0;
	if (is_ours && get_le(p + 8, 4) > VERSION) {
		char name[64];
		file_name(f->epoch, f->shard, name);
		buf_fmt(why,
			"%s was written by a newer rung (format %u, this one knows %u): use that, "
			"or move the bindings.* files away; phones register again by themselves",
			name, (unsigned)get_le(p + 8, 4), VERSION);
		return ERR_UNSUPPORTED;
	}
	f->n_shards = (uint32_t)get_le(p + 12, 2);
	f->layout = (uint32_t)get_le(p + 24, 4);
	head_make(f->epoch, f->shard, f->n_shards, f->layout, want);
	f->is_damaged = memcmp(p, want, HEAD_BYTES) != 0;
	return load_records(w, f, fn, arg);
}

static void report(const struct found *f, struct buf *notices)
{
	char name[64];
	file_name(f->epoch, f->shard, name);
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
		struct found *f = &js->found[i];
		char name[64];
		file_name(f->epoch, f->shard, name);
		e = js->io->ops->open(js->io, name, false, &w.file, why);
		if (e == OK) {
			e = load_file(js, f, &w, fn, arg, why);
			js->io->ops->close(js->io, w.file);
			report(f, notices);
			if (e == ERR_IO)
				buf_fmt(why, "cannot read %s", name);
		}
	}
	free(w.p);
	return e;
}

/* --- opening -------------------------------------------------------------------------------- */

static enum err create_file(struct st_journal *j, uint64_t epoch, struct st_file **out,
			    struct buf *why)
{
	struct st_io *io = j->all->io;
	uint8_t head[HEAD_BYTES];
	char name[64];
	struct st_file *f;
	file_name(epoch, j->shard, name);
	enum err e = io->ops->open(io, name, true, &f, why);
	if (e != OK)
		return e;
	head_make(epoch, j->shard, (uint32_t)j->all->n, j->all->layout, head);
	e = io->ops->write(io, f, 0, head, sizeof(head), why);
	if (e != OK) {
		io->ops->close(io, f);
		(void)!io->ops->remove(io, name);
		return e;
	}
	*out = f;
	return OK;
}

static bool can_continue(const struct st_journals *js)
{
	if (js->n_found != js->n)
		return false;
	for (size_t i = 0; i < js->n; i++) {
		const struct found *f = &js->found[i];
		if (f->is_damaged || f->n_shards != js->n || f->shard >= js->n ||
		    f->layout != js->layout)
			return false;
		for (size_t k = 0; k < i; k++)
			if (js->found[k].shard == f->shard)
				return false;
	}
	return true;
}

static enum err continue_file(struct st_journal *j, const struct found *f, struct buf *why)
{
	struct st_io *io = j->all->io;
	char name[64];
	file_name(f->epoch, f->shard, name);
	enum err e = io->ops->open(io, name, false, &j->file, why);
	if (e != OK)
		return e;
	j->epoch = f->epoch;
	j->off = f->good_end;
	if (f->size > f->good_end)
		e = io->ops->truncate(io, j->file, f->good_end);
	if (e != OK)
		buf_fmt(why, "cannot truncate %s", name);
	return e;
}

static void write_out(struct st_journal *j);

static void on_flush(struct ev_flush *f)
{
	struct st_journal *j = CONTAINER_OF(f, struct st_journal, flush);
	uint64_t delay = j->all->io->ops->write_delay_us(j->all->io);
	if (!j->batch.n && !j->puts)
		return;
	if (delay)
		return; /* the timer does it */
	write_out(j);
}

static void on_delay(struct tmr *t)
{
	write_out(CONTAINER_OF(t, struct st_journal, delay));
}

enum err st_journals_begin(struct st_journals *js, struct ev_shards *shards, uint32_t layout,
			   bool *rewrite, struct buf *why)
{
	ASSERT(!js->j);
	js->layout = layout;
	js->n = ev_shards_count(shards);
	js->j = calloc(js->n, sizeof(*js->j));
	if (!js->j)
		return ERR_NOMEM;
	bool is_old_good = can_continue(js);
	uint64_t epoch = js->n_found ? js->found[js->n_found - 1].epoch + 1 : 1;
	enum err e = OK;
	for (size_t i = 0; i < js->n; i++) {
		struct st_journal *j = &js->j[i];
		j->all = js;
		j->loop = ev_shard(shards, i);
		j->shard = (uint32_t)i;
		j->puts_end = &j->puts;
		buf_init(&j->batch);
		j->flush.fn = on_flush;
		ev_flush_add(j->loop, &j->flush);
	}
	for (size_t i = 0; e == OK && i < js->n; i++) {
		if (is_old_good) {
			e = continue_file(&js->j[js->found[i].shard], &js->found[i], why);
		} else {
			e = create_file(&js->j[i], epoch, &js->j[i].file, why);
			js->j[i].epoch = epoch;
			js->j[i].off = HEAD_BYTES;
		}
	}
	*rewrite = !is_old_good && js->n_found;
	for (size_t i = 0; i < js->n; i++)
		js->j[i].is_compacting = *rewrite;
	return e;
}

enum err st_journals_finish(struct st_journals *js, struct buf *notices, struct buf *why)
{
	struct st_io *io = js->io;
	for (size_t i = 0; i < js->n; i++) {
		struct st_journal *j = &js->j[i];
		write_out(j);
		j->is_compacting = false;
		if (j->has_missed) {
			buf_fmt(why, "%s. The old files are untouched", j->why);
			return ERR_LIMIT;
		}
		enum err e = io->ops->sync(io, j->file);
		if (e != OK)
			return e;
	}
	enum err e = io->ops->sync_dir(io);
	for (size_t i = 0; e == OK && i < js->n_found; i++) {
		char name[64], aside[80];
		file_name(js->found[i].epoch, js->found[i].shard, name);
		snprintf(aside, sizeof(aside), "%s.damaged", name);
		e = js->found[i].is_damaged ? io->ops->rename(io, name, aside)
					    : io->ops->remove(io, name);
	}
	return e;
}

/* --- writing -------------------------------------------------------------------------------- */

static void tell(struct st_put *p, enum err e)
{
	while (p) {
		struct st_put *next = p->next;
		p->next = NULL;
		p->done(p, e);
		p = next;
	}
}

static enum err write_batch(struct st_journal *j)
{
	struct st_io *io = j->all->io;
	struct buf why;
	if (j->batch.err != OK) {
		snprintf(j->why, sizeof(j->why), "out of memory");
		return j->batch.err;
	}
	buf_init_fixed(&why, j->why, sizeof(j->why) - 1);
	enum err e = io->ops->write(io, j->file, j->off, j->batch.p, j->batch.n, &why);
	j->why[why.n] = 0;
	if (e == OK)
		j->off += j->batch.n;
	else /* if this fails too: the next write starts at the same offset anyway */
		(void)!io->ops->truncate(io, j->file, j->off);
	return e;
}

/* Writes all that is waiting and tells; what the told put again goes with it. */
static void write_out(struct st_journal *j)
{
	ev_timer_stop(j->loop, &j->delay);
	while (j->puts || j->batch.n || j->batch.err != OK) {
		struct st_put *puts = j->puts;
		enum err e = write_batch(j);
		j->stats.n_writes++;
		j->stats.n_failed += e != OK;
		j->has_missed |= e != OK && j->is_compacting;
		if (j->batch.cap > BATCH_BYTES || j->batch.err != OK) {
			buf_fini(&j->batch);
			buf_init(&j->batch);
		}
		buf_clear(&j->batch);
		j->puts = NULL;
		j->puts_end = &j->puts;
		tell(puts, e);
	}
}

static void append(struct st_journal *j, struct str key, struct str value)
{
	ASSERT(key.n > 0 && key.n < 65536 && 2 + key.n + value.n <= LIMIT_JOURNAL_RECORD);
	struct buf *b = &j->batch;
	size_t len = 2 + key.n + value.n, at = b->n;
	if (buf_reserve(b, REC_BYTES + len) != OK)
		return;
	uint8_t *p = (uint8_t *)b->p + at;
	put_le(p + 4, len, 4);
	put_le(p + 8, key.n, 2);
	memcpy(p + 10, key.p, key.n);
	if (value.n)
		memcpy(p + 10 + key.n, value.p, value.n);
	put_le(p, check_of(j->epoch, j->off + at, p + 4, len + 4), 4);
	b->n += REC_BYTES + len;
}

void st_journal_put(struct st_journal *j, struct st_put *p, struct str key, struct str value)
{
	append(j, key, value);
	p->next = NULL;
	*j->puts_end = p;
	j->puts_end = &p->next;
	j->stats.n_puts++;
	uint64_t delay = j->all->io->ops->write_delay_us(j->all->io);
	if (delay && !tmr_is_running(&j->delay))
		ev_timer(j->loop, &j->delay, delay, on_delay);
}

void st_journal_keep(struct st_journal *j, struct str key, struct str value)
{
	append(j, key, value);
}

void st_journal_flush(struct st_journal *j)
{
	write_out(j);
}

/* --- compaction ----------------------------------------------------------------------------- */

bool st_journal_wants_compaction(const struct st_journal *j, uint64_t live_bytes)
{
	return !j->is_compacting && !j->is_cleaning &&
	       j->off > LIMIT_JOURNAL_SLACK + 3 * live_bytes &&
	       ev_now_us(j->loop) >= j->retry_at_us;
}

enum err st_journal_compact_begin(struct st_journal *j)
{
	ASSERT(!j->is_compacting && !j->is_cleaning);
	write_out(j);
	j->retry_at_us = ev_now_us(j->loop) + RETRY_US;
	struct st_file *f;
	struct buf why;
	if (j->n_old == OLD_MAX)
		return ERR_LIMIT;
	buf_init_fixed(&why, j->why, sizeof(j->why) - 1);
	enum err e = create_file(j, j->epoch + 1, &f, &why);
	j->why[why.n] = 0;
	if (e != OK)
		return e;
	j->all->io->ops->close(j->all->io, j->file);
	j->old[j->n_old++] = j->epoch;
	j->file = f;
	j->epoch++;
	j->off = HEAD_BYTES;
	j->is_compacting = true;
	j->has_missed = false;
	return OK;
}

struct cleaner { /* syncs the present file, then removes the older ones */
	struct ev_job job;
	struct st_journal *j;
	bool is_clean;
};

/* On a worker. */
static void clean(struct ev_job *job)
{
	struct cleaner *c = CONTAINER_OF(job, struct cleaner, job);
	struct st_journal *j = c->j;
	struct st_io *io = j->all->io;
	if (io->ops->sync(io, j->file) != OK || io->ops->sync_dir(io) != OK)
		return;
	for (unsigned i = 0; i < j->n_old; i++) {
		char name[64];
		file_name(j->old[i], j->shard, name);
		enum err e = io->ops->remove(io, name);
		if (e != OK && e != ERR_NOTFOUND)
			return;
	}
	c->is_clean = true;
}

static void drop_cleaner(struct ev_job *job)
{
	free(CONTAINER_OF(job, struct cleaner, job));
}

static void cleaned(struct ev_job *job)
{
	struct cleaner *c = CONTAINER_OF(job, struct cleaner, job);
	c->j->is_cleaning = false;
	if (c->is_clean) {
		c->j->n_old = 0;
		c->j->stats.n_compactions++;
	}
	free(c);
}

void st_journal_compact_end(struct st_journal *j)
{
	ASSERT(j->is_compacting);
	write_out(j);
	j->is_compacting = false;
	struct cleaner *c = j->has_missed ? NULL : calloc(1, sizeof(*c));
	if (!c)
		return; /* the old files stay until the next compaction */
	j->is_cleaning = true;
	c->j = j;
	c->job.work = clean;
	c->job.done = cleaned;
	c->job.drop = drop_cleaner;
	ev_work(j->loop, &c->job);
}

void st_journal_stats(const struct st_journal *j, struct st_journal_stats *out)
{
	*out = j->stats;
	out->size_bytes = j->off;
}

struct str st_journal_why(const struct st_journal *j)
{
	return str_c(j->why);
}

/* --- life ----------------------------------------------------------------------------------- */

enum err st_journals_new(struct st_io *io, struct st_journals **out)
{
	struct st_journals *js = calloc(1, sizeof(*js));
	if (!js)
		return ERR_NOMEM;
	js->io = io;
	*out = js;
	return OK;
}

void st_journals_stop(struct st_journals *js)
{
	for (size_t i = 0; js->j && i < js->n; i++) {
		struct st_journal *j = &js->j[i];
		if (!j->loop)
			continue;
		ev_timer_stop(j->loop, &j->delay);
		ev_flush_del(&j->flush);
		j->loop = NULL;
	}
}

void st_journals_free(struct st_journals *js)
{
	if (!js)
		return;
	st_journals_stop(js);
	for (size_t i = 0; js->j && i < js->n; i++) {
		struct st_journal *j = &js->j[i];
		js->io->ops->close(js->io, j->file);
		buf_fini(&j->batch);
	}
	free(js->j);
	free(js->found);
	free(js);
}

struct st_journal *st_journals_at(struct st_journals *js, size_t shard)
{
	return &js->j[shard];
}
