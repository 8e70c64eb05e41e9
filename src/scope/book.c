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
#include "scope/book.h"

#include <stdlib.h>
#include <string.h>

#define LIVE_SPOOL (256u << 20)

struct book {
	struct cap *cap;
	struct trk *trk;
	struct cap_walk *walk;
	struct spool spool;
	struct book_cfg cfg;
	void *block; /* of the message that was read again */
	size_t block_cap;
	struct flt *watch; /* of book_watch; NULL none */
	uint32_t n_frames;
};

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
	*out = b;
	return OK;
}

void book_free(struct book *b)
{
	if (!b)
		return;
	cap_walk_free(b->walk);
	trk_free(b->trk);
	cap_close(b->cap);
	spool_fini(&b->spool);
	free(b->block);
	free(b);
}

static void mark_fitting(struct book *b, const struct cap_frame *fr)
{
	if (!b->watch || !fr->n_msgs || !flt_match(b->watch, fr))
		return;
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].call)
			fr->msgs[i].call->is_fitting = true;
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
		mark_fitting(b, fr);
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

struct again { /* a second walk */
	struct cap *cap;
	struct trk *trk;
	struct cap_walk *walk;
};

static void again_end(struct again *a)
{
	cap_walk_free(a->walk);
	trk_free(a->trk);
	cap_close(a->cap);
}

static enum err again_begin(const struct book *b, bool has_media, struct again *a)
{
	struct trk_cfg cfg = {.has_media = true};
	struct buf why;
	*a = (struct again){0};
	if (b->cfg.is_live)
		return ERR_UNSUPPORTED;
	buf_init(&why);
	enum err e = cap_again(b->cap, &a->cap, &why);
	buf_fini(&why);
	if (!e && has_media && !(a->trk = trk_new(&cfg)))
		e = ERR_NOMEM;
	if (!e)
		e = cap_walk_new(a->cap, a->trk, &a->walk);
	if (!e)
		cap_walk_share_keys(a->walk, b->walk);
	if (e)
		again_end(a);
	return e;
}

enum err book_frames(struct book *b, bool has_media,
		     bool (*fn)(void *arg, const struct cap_frame *fr), void *arg)
{
	struct again a;
	enum err e = again_begin(b, has_media, &a);
	if (e)
		return e;
	const struct cap_frame *fr;
	do
		fr = cap_walk_next(a.walk);
	while (fr && fn(arg, fr));
	again_end(&a);
	return OK;
}

struct ids {
	uint32_t *v;
	size_t n, cap;
};

static bool ids_add(struct ids *l, uint32_t id)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		uint32_t *v = realloc(l->v, cap * sizeof *v);
		if (!v)
			return false;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = id;
	return true;
}

/* The tracker's number of a message of the second walk, *next being the least it may have; 0: the
 * tracker did not keep it. */
static uint32_t id_of(const struct book *b, const struct trk_packet *p, uint32_t *next)
{
	const struct trk_ev *e = trk_ev(b->trk, *next);
	return e && e->frame_no == p->frame_no && e->n_bytes == p->bytes.n ? (*next)++ : 0;
}

enum err book_filter(struct book *b, struct flt *f, uint32_t **out, size_t *n)
{
	struct again a;
	struct ids l = {0};
	uint32_t next = 1;
	struct flt_calls *calls = NULL;
	if (flt_needs(f) & FLT_NEEDS_CALLS && !(calls = flt_calls_new(b->trk)))
		return ERR_NOMEM;
	enum err e = again_begin(b, flt_needs(f) & ~(unsigned)FLT_NEEDS_CALLS, &a);
	if (e) {
		flt_calls_free(calls);
		return e;
	}
	for (const struct cap_frame *fr; !e && (fr = cap_walk_next(a.walk));) {
		if (calls && (e = flt_calls_attach(calls, fr)))
			break;
		bool fits = fr->n_msgs && flt_match(f, fr);
		for (size_t i = 0; i < fr->n_msgs && !e; i++) {
			uint32_t id = id_of(b, &fr->msgs[i].pkt, &next);
			if (fits && id && !ids_add(&l, id))
				e = ERR_NOMEM;
		}
	}
	again_end(&a);
	flt_calls_free(calls);
	if (e) {
		free(l.v);
		return e;
	}
	*out = l.v;
	*n = l.n;
	return OK;
}

/* --- live: the same for what is kept ---------------------------------------------------------- */

/* A message as the frame that it came in, as far as that is known. */
static enum err frame_of(struct book *b, struct trk_call *c, const struct trk_ev *e,
			 struct cap_msg *m, struct cap_frame *f, uint8_t hdr[20])
{
	const struct trk_peer *from = &c->peers[e->from], *to = &c->peers[e->to];
	enum trk_transport transport = (enum trk_transport)from->transport;
	const struct sip_msg *msg;
	enum err err = book_msg(b, e->id, &msg);
	if (err)
		return err;
	*m = (struct cap_msg){.call = c, .no = e->id};
	m->pkt = (struct trk_packet){.at_us = e->at_us,
				     .frame_no = e->frame_no,
				     .from = from->addr,
				     .to = to->addr,
				     .transport = transport,
				     .bytes = str_of(msg->bytes, msg->n_bytes),
				     .msg = msg};
	*f = (struct cap_frame){.msgs = m, .n_msgs = 1, .trk = b->trk};
	f->rec = (struct cap_rec){.no = e->frame_no, .at_ns = (int64_t)e->at_us * 1'000};
	f->first_ns = (int64_t)trk_stats(b->trk)->first_us * 1'000;
	f->last_ns = f->rec.at_ns;
	f->is_ws = transport == TRK_WS || transport == TRK_WSS;
	f->pkt.proto = transport == TRK_UDP ? CAP_UDP : CAP_TCP;
	cap_frame_ends(f, &from->addr, &to->addr, f->pkt.proto, hdr);
	return OK;
}

static enum err look_back(struct book *b, struct trk_call *c)
{
	for (uint32_t id = c->last_ev; id && !c->is_fitting; id = trk_ev(b->trk, id)->prev) {
		struct cap_msg m;
		struct cap_frame f;
		uint8_t hdr[20];
		enum err e = frame_of(b, c, trk_ev(b->trk, id), &m, &f, hdr);
		if (e && e != ERR_NOTFOUND)
			return e;
		c->is_fitting = !e && flt_match(b->watch, &f);
	}
	return OK;
}

enum err book_watch(struct book *b, struct flt *f)
{
	enum err e = OK;
	if (f && flt_needs(f) & FLT_NEEDS_CALLS)
		return ERR_UNSUPPORTED;
	b->watch = f;
	for (struct trk_call *c = trk_first(b->trk); c && !e; c = c->next_no) {
		c->is_fitting = false;
		e = f ? look_back(b, c) : OK;
	}
	return e;
}
