/* Bindings, and what events must remember, on disk: an append-only journal per shard for each set.
 *
 * File `bindings.EEEEEEEE.S` (`events...`): epoch (hex) and shard. A 32-byte head, then records
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
#include "store/journal_priv.h"

#include "base/assert.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (256u << 10) /* a buffer above it is not kept */
#define OLD_MAX     8            /* files that unfinished compactions may leave behind */
#define RETRY_US    60000000u
#define AGAIN_US    5000000u /* after one that went well */

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
	struct jrn_reader *reader;      /* of old[n_reread], or NULL */
	unsigned n_reread;
	uint64_t retry_at_us;
	struct st_journal_stats stats;
	char why[200];
};

/* --- opening -------------------------------------------------------------------------------- */

static enum err create_file(struct st_journal *j, uint64_t epoch, struct st_file **out,
			    struct buf *why)
{
	struct st_io *io = j->all->io;
	uint8_t head[JRN_HEAD_BYTES];
	char name[JRN_NAME_MAX];
	struct st_file *f;
	jrn_file_name(j->all, epoch, j->shard, name);
	enum err e = io->ops->open(io, name, true, &f, why);
	if (e != OK)
		return e;
	jrn_head_make(j->all, epoch, j->shard, (uint32_t)j->all->n, j->all->layout, head);
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
		const struct jrn_found *f = &js->found[i];
		if (f->is_damaged || f->n_shards != js->n || f->shard >= js->n ||
		    f->layout != js->layout)
			return false;
		for (size_t k = 0; k < i; k++)
			if (js->found[k].shard == f->shard)
				return false;
	}
	return true;
}

static enum err continue_file(struct st_journal *j, const struct jrn_found *f, struct buf *why)
{
	struct st_io *io = j->all->io;
	char name[JRN_NAME_MAX];
	jrn_file_name(j->all, f->epoch, f->shard, name);
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
			js->j[i].off = JRN_HEAD_BYTES;
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
		char name[JRN_NAME_MAX], aside[80];
		jrn_file_name(js, js->found[i].epoch, js->found[i].shard, name);
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
	if (buf_reserve(b, JRN_REC_BYTES + len) != OK)
		return;
	uint8_t *p = (uint8_t *)b->p + at;
	jrn_put_le(p + 4, len, 4);
	jrn_put_le(p + 8, key.n, 2);
	memcpy(p + 10, key.p, key.n);
	if (value.n)
		memcpy(p + 10 + key.n, value.p, value.n);
	jrn_put_le(p, jrn_check(j->epoch, j->off + at, p + 4, len + 4), 4);
	b->n += JRN_REC_BYTES + len;
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
	j->off = JRN_HEAD_BYTES;
	j->is_compacting = true;
	j->has_missed = false;
	j->n_reread = 0;
	return OK;
}

bool st_journal_reread(struct st_journal *j, size_t max_bytes,
		       void (*fn)(void *arg, struct str key, struct str value), void *arg)
{
	ASSERT(j->is_compacting);
	if (j->n_reread == j->n_old)
		return true;
	enum err e = OK;
	if (!j->reader)
		e = jrn_reader_new(j->all, j->old[j->n_reread], j->shard, &j->reader);
	if (e == OK)
		e = jrn_reader_step(j->reader, max_bytes, fn, arg);
	if (e == ERR_MORE)
		return false;
	jrn_reader_free(j->reader);
	j->reader = NULL;
	j->n_reread++;
	if (e != OK && e != ERR_NOTFOUND) { /* not found: an earlier cleaner got so far */
		j->has_missed = true;
		j->n_reread = j->n_old;
	}
	return j->n_reread == j->n_old;
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
		char name[JRN_NAME_MAX];
		jrn_file_name(j->all, j->old[i], j->shard, name);
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
		c->j->retry_at_us = ev_now_us(c->j->loop) + AGAIN_US;
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

enum err st_journals_new(struct st_io *io, const char *name, struct st_journals **out)
{
	struct st_journals *js = calloc(1, sizeof(*js));
	if (!js)
		return ERR_NOMEM;
	js->io = io;
	js->name = name;
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
		jrn_reader_free(j->reader);
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
