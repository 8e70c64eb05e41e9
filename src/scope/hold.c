/* Frames that wait for the end of their calls.
 *
 *	all:    the frames that wait, in order of arrival
 *	waits:  by the number of a call: the frames that wait for it, in order
 *
 * A frame may hold messages of several calls (TCP): it waits for one of them after the other, and
 * the tracker keeps those that were judged until then (trk_hold).
 *
 * Invariants:
 * 1. A frame that waits is in `all` and in the list of exactly one call that is not judged.
 * 2. A call's frames are decided in order.
 * 3. Nothing of flt_calls outlives a decision: calls change, and are forgotten.
 */
#include "scope/hold.h"

#include "base/hash.h"
#include "base/list.h"
#include "capture/cap_keep.h"

#include <stdlib.h>

struct frame {
	struct link all, of_call;
	struct cap_kept *frame;
	void *kept;
	uint32_t no; /* of the call it waits for */
	bool holds;  /* trk_hold was called for its calls */
};

struct wait {
	struct hnode node;
	struct link frames;
	uint32_t no;
};

struct hold {
	struct hold_cfg cfg;
	struct flt_calls *calls;
	struct htab waits;
	struct link all;
	size_t n_bytes;
	uint32_t n_forced;
};

struct hold *hold_new(const struct hold_cfg *cfg)
{
	struct hold *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->cfg = *cfg;
	list_init(&h->all);
	h->calls = flt_calls_new(cfg->trk);
	if (!h->calls || htab_init(&h->waits, 64)) {
		hold_free(h);
		return NULL;
	}
	return h;
}

static void frame_free(struct hold *h, struct frame *w)
{
	list_del(&w->all);
	list_del(&w->of_call);
	h->n_bytes -= sizeof *w + cap_keep_n_bytes(w->frame);
	if (w->kept && h->cfg.drop)
		h->cfg.drop(w->kept);
	cap_keep_free(w->frame);
	free(w);
}

static void wait_free(struct hold *h, struct wait *w)
{
	htab_del(&h->waits, &w->node);
	free(w);
}

static struct wait *wait_find(const struct hold *h, uint32_t no)
{
	for (struct hnode *n = htab_first(&h->waits, hash_fold(no, 0x9e3779b97f4a7c15u)); n;
	     n = htab_next(n)) {
		struct wait *w = CONTAINER_OF(n, struct wait, node);
		if (w->no == no)
			return w;
	}
	return NULL;
}

static struct wait *wait_for(struct hold *h, uint32_t no)
{
	struct wait *w = wait_find(h, no);
	if (w || !(w = calloc(1, sizeof *w)))
		return w;
	w->no = no;
	list_init(&w->frames);
	htab_add(&h->waits, &w->node, hash_fold(no, 0x9e3779b97f4a7c15u));
	return w;
}

void hold_free(struct hold *h)
{
	if (!h)
		return;
	while (!list_is_empty(&h->all)) {
		struct frame *f = LIST_ENTRY(h->all.next, struct frame, all);
		struct wait *w = wait_find(h, f->no);
		frame_free(h, f);
		if (list_is_empty(&w->frames))
			wait_free(h, w);
	}
	htab_fini(&h->waits);
	flt_calls_free(h->calls);
	free(h);
}

/* --- deciding --------------------------------------------------------------------------------- */

static const struct trk_call *goes_on(const struct cap_frame *fr)
{
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].call && !fr->msgs[i].call->is_judged)
			return fr->msgs[i].call;
	return NULL;
}

/* By what is known of its calls now. */
static enum err decide(struct hold *h, const struct cap_frame *fr, void *kept)
{
	enum err e = flt_calls_attach(h->calls, fr);
	if (!e)
		h->cfg.on_frame(h->cfg.arg, fr, !h->cfg.flt || flt_match(h->cfg.flt, fr), kept);
	flt_calls_clear(h->calls);
	for (size_t i = 0; i < fr->n_msgs; i++)
		fr->msgs[i].whole = NULL;
	return e;
}

/* Calls that were forgotten meanwhile are nobody's. */
static void look_up_calls(struct hold *h, struct cap_frame *fr)
{
	for (size_t i = 0; i < fr->n_msgs; i++) {
		struct cap_msg *m = &fr->msgs[i];
		m->call = trk_find(h->cfg.trk, m->pkt.msg->call_id);
		if (!m->call)
			m->no = 0;
	}
}

static void hold_calls(struct hold *h, const struct cap_frame *fr, bool is_held)
{
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].call)
			trk_hold(h->cfg.trk, fr->msgs[i].call, is_held);
}

static enum err decide_kept(struct hold *h, struct frame *f)
{
	struct cap_frame *fr = cap_keep_open(f->frame);
	if (!fr)
		return ERR_NOMEM;
	look_up_calls(h, fr);
	enum err e = decide(h, fr, f->kept);
	if (f->holds)
		hold_calls(h, fr, false);
	return e;
}

/* Waits for the next of its calls that goes on; false: there is none. */
static bool wait_on(struct hold *h, struct frame *f)
{
	struct cap_frame *fr = f->holds ? cap_keep_open(f->frame) : NULL;
	if (!fr)
		return false;
	look_up_calls(h, fr);
	const struct trk_call *c = goes_on(fr);
	struct wait *w = c ? wait_for(h, c->no) : NULL;
	if (!w)
		return false;
	list_del(&f->of_call);
	list_push(&w->frames, &f->of_call);
	f->no = c->no;
	return true;
}

static enum err release(struct hold *h, struct wait *w, bool is_forced)
{
	enum err err = OK;
	struct link frames;
	list_init(&frames);
	while (!list_is_empty(&w->frames)) { /* whoever shows a frame may find others to wait */
		struct link *l = w->frames.next;
		list_del(l);
		list_push(&frames, l);
	}
	wait_free(h, w);
	while (!list_is_empty(&frames)) {
		struct frame *f = LIST_ENTRY(frames.next, struct frame, of_call);
		if (!is_forced && wait_on(h, f))
			continue;
		h->n_forced += is_forced;
		enum err e = decide_kept(h, f);
		err = err ? err : e;
		frame_free(h, f);
	}
	return err;
}

enum err hold_verdict(struct hold *h, const struct trk_call *c)
{
	struct wait *w = wait_find(h, c->no);
	return w ? release(h, w, false) : OK;
}

enum err hold_end(struct hold *h)
{
	enum err err = OK;
	while (!list_is_empty(&h->all)) {
		struct frame *f = LIST_ENTRY(h->all.next, struct frame, all);
		struct wait *w = wait_find(h, f->no);
		enum err e = decide_kept(h, f);
		err = err ? err : e;
		frame_free(h, f);
		if (list_is_empty(&w->frames))
			wait_free(h, w);
	}
	return err;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static enum err put_aside(struct hold *h, const struct cap_frame *fr, const struct trk_call *c)
{
	struct frame *f = calloc(1, sizeof *f);
	struct wait *w = f ? wait_for(h, c->no) : NULL;
	if (!w || !(f->frame = cap_keep_frame(fr))) {
		if (w && list_is_empty(&w->frames))
			wait_free(h, w);
		free(f);
		return ERR_NOMEM;
	}
	f->no = c->no;
	f->kept = h->cfg.keep ? h->cfg.keep(h->cfg.arg, fr) : NULL;
	for (size_t i = 0; i < fr->n_msgs; i++)
		f->holds = f->holds || (fr->msgs[i].call && fr->msgs[i].call != c);
	if (f->holds)
		hold_calls(h, fr, true);
	list_push(&h->all, &f->all);
	list_push(&w->frames, &f->of_call);
	h->n_bytes += sizeof *f + cap_keep_n_bytes(f->frame);
	return OK;
}

/* Whether the answer hangs on nothing that is still to come; *said: then the answer. */
static enum err ask_early(struct hold *h, const struct cap_frame *fr, enum flt_said *said)
{
	enum err e = flt_calls_attach_early(h->calls, fr);
	*said = e             ? FLT_OPEN
		: !h->cfg.flt ? FLT_YES
			      : flt_match_so_far(h->cfg.flt, fr, flt_is_late);
	for (size_t i = 0; i < fr->n_msgs; i++)
		fr->msgs[i].whole = NULL;
	flt_calls_clear(h->calls);
	return e;
}

enum err hold_frame(struct hold *h, const struct cap_frame *fr)
{
	const struct trk_call *c = goes_on(fr);
	enum flt_said said;
	enum err e;
	if (!c)
		return decide(h, fr, NULL);
	if ((e = ask_early(h, fr, &said)))
		return e;
	bool may_show = said == FLT_YES && !h->cfg.tells_calls;
	if (!h->cfg.is_ordered && (may_show || said == FLT_NO)) {
		h->cfg.on_frame(h->cfg.arg, fr, said == FLT_YES, NULL);
		return OK;
	}
	e = put_aside(h, fr, c);
	while (!e && h->n_bytes > h->cfg.max_bytes)
		e = release(h, wait_find(h, LIST_ENTRY(h->all.next, struct frame, all)->no), true);
	return e;
}

uint32_t hold_n_forced(const struct hold *h)
{
	return h->n_forced;
}

size_t hold_n_bytes(const struct hold *h)
{
	return h->n_bytes;
}
