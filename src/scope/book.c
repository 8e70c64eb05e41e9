/* The capture, the walk, the tracker and the spool under one roof.
 *
 * A message lies either in the capture (a datagram in one frame: its offset is exact, and nothing
 * is copied), or, when it was put together, in the spool. Live, nothing of the capture can be read
 * again, so every message goes to the spool, which is a ring then.
 *
 * A message is read again into one block that grows to the largest; so what book_bytes and
 * book_msg give is gone with the next call.
 *
 * Whatever needs frames again (a filter, a call's media) walks over a second reader of the same
 * bytes. The second walk makes the same messages in the same order, so that theirs and the
 * tracker's numbers are matched by going along both.
 */
#include "scope/book_priv.h"

#include <stdlib.h>
#include <string.h>

#define LIVE_SPOOL (256u << 20)

enum err book_new(struct cap *c, const struct book_cfg *cfg, struct book **out)
{
	struct book *b = calloc(1, sizeof *b);
	if (!b) {
		cap_close(c);
		return ERR_NOMEM;
	}
	b->cap = c;
	b->cfg = *cfg;
	b->cfg.trk.is_live = cfg->is_live;
	spool_init(&b->spool, cfg->is_live ? LIVE_SPOOL : 0);
	enum err e = cfg->is_live ? OK : cap_keep(c);
	if (!e) {
		b->trk = trk_new(&b->cfg.trk);
		e = b->trk ? cap_walk_new(c, b->trk, &b->walk) : ERR_NOMEM;
	}
	if (e) {
		book_free(b);
		return e;
	}
	cap_walk_spool(b->walk, &b->spool, cfg->is_live);
	if (!cfg->is_live)
		cap_walk_brief(b->walk);
	*out = b;
	return OK;
}

void book_free(struct book *b)
{
	if (!b)
		return;
	flt_calls_free(b->watch_calls);
	cap_walk_free(b->walk);
	trk_free(b->trk);
	cap_close(b->cap);
	spool_fini(&b->spool);
	free(b->block);
	free(b->hops);
	free(b->whats);
	free(b->plain);
	free(b->reps);
	free(b->ends);
	free(b->slots);
	free(b);
}

bool book_read(struct book *b, unsigned max_frames)
{
	while (max_frames--) {
		if (b->cfg.is_live && !cap_wait(b->cap, 0))
			return true;
		const struct cap_frame *fr = cap_walk_next(b->walk);
		if (!fr)
			return false;
		b->n_frames += !fr->is_late;
		book_watch_frame(b, fr);
		if (b->cfg.on_frame)
			b->cfg.on_frame(b->cfg.arg, fr);
	}
	return true;
}

uint32_t book_n_frames(const struct book *b)
{
	return b->n_frames;
}

struct cap *book_cap(const struct book *b)
{
	return b->cap;
}

struct cap_walk *book_walk(const struct book *b)
{
	return b->walk;
}

struct trk *book_trk(const struct book *b)
{
	return b->trk;
}

/* A message in the block, not indexed. */
static enum err load(struct book *b, uint32_t id, struct sip_msg **out)
{
	const struct trk_ev *e = trk_ev(b->trk, id);
	if (!e)
		return ERR_NOTFOUND;
	size_t size = sip_msg_block_size(e->n_bytes);
	if (size > b->block_cap) {
		void *p = realloc(b->block, size);
		if (!p)
			return ERR_NOMEM;
		b->block = p;
		b->block_cap = size;
	}
	struct sip_msg *m = sip_msg_init(b->block, b->block_cap);
	*out = m;
	uint64_t off = e->file_off & ~TRK_SPOOLED;
	if (e->file_off & TRK_SPOOLED)
		return spool_get(&b->spool, off, m->bytes, e->n_bytes);
	return b->cfg.is_live || !off ? ERR_NOTFOUND
				      : cap_reread(b->cap, off, m->bytes, e->n_bytes);
}

enum err book_bytes(struct book *b, uint32_t id, struct str *out)
{
	struct sip_msg *m;
	enum err e = load(b, id, &m);
	if (e == OK)
		*out = str_of(m->bytes, trk_ev(b->trk, id)->n_bytes);
	return e;
}

enum err book_msg(struct book *b, uint32_t id, const struct sip_msg **out)
{
	struct sip_msg *m;
	size_t used;
	enum err e = load(b, id, &m);
	if (e == OK)
		e = sip_msg_index(m, trk_ev(b->trk, id)->n_bytes, false, &used);
	if (e == OK)
		*out = m;
	return e;
}

/* --- once more -------------------------------------------------------------------------------- */

void book_again_end(struct book_walk *a)
{
	cap_walk_free(a->walk);
	trk_free(a->trk);
	cap_close(a->cap);
}

enum err book_again(const struct book *b, unsigned needs, struct book_walk *a)
{
	struct trk_cfg cfg = {.has_media = true};
	struct buf why;
	*a = (struct book_walk){0};
	if (b->cfg.is_live)
		return ERR_UNSUPPORTED;
	buf_init(&why);
	enum err e = cap_again(b->cap, &a->cap, &why);
	buf_fini(&why);
	if (!e && needs & ~(unsigned)FLT_NEEDS_CONV && !(a->trk = trk_new(&cfg)))
		e = ERR_NOMEM;
	if (!e)
		e = cap_walk_new(a->cap, a->trk, &a->walk);
	if (!e && needs & FLT_NEEDS_CONV)
		e = cap_walk_conversations(a->walk, 0);
	if (!e)
		cap_walk_share_keys(a->walk, b->walk);
	if (e)
		book_again_end(a);
	return e;
}

enum err book_frames(struct book *b, unsigned needs,
		     bool (*fn)(void *arg, const struct cap_frame *fr), void *arg)
{
	struct book_walk a;
	enum err e = book_again(b, needs, &a);
	if (e)
		return e;
	const struct cap_frame *fr;
	do
		fr = cap_walk_next(a.walk);
	while (fr && fn(arg, fr));
	book_again_end(&a);
	return OK;
}
