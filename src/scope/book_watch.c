/* A filter that is watched: which calls have a message that fits, while calls go on.
 *
 * Live, what the filter asks about a message alone is decided when its frame comes, and of what is
 * kept when the filter is set. What it asks about calls (call.*) changes while they go on, so such
 * a filter is asked anew of each call with new messages, and of the others in turn, since media and
 * time change calls, too: a call that was judged is asked once more, and then no longer.
 *
 * Most such filters ask about nothing but calls: they need no message. Of the others some calls
 * stay open, and their messages are looked at: live in what is kept of them, in a file, whose calls
 * are all over, in one more walk.
 *
 * Invariant: is_weighed: is_fitting is what the filter says of the call with all its messages.
 */
#include "scope/book_priv.h"

#define LIVE_CONVERSATIONS 65'536u /* remembered for fields of a filter */
#define TURNS              10u     /* renewals until each call was asked again */

static bool asks_calls(const struct book *b)
{
	return b->watch && flt_needs(b->watch) & FLT_NEEDS_CALLS;
}

void book_watch_frame(struct book *b, const struct cap_frame *fr)
{
	bool is_late = asks_calls(b);
	if (!b->watch || !fr->n_msgs || (!is_late && !flt_match(b->watch, fr)))
		return;
	for (size_t i = 0; i < fr->n_msgs; i++) {
		struct trk_call *c = fr->msgs[i].call;
		if (c && is_late)
			c->is_weighed = c->is_closed = false;
		else if (c)
			c->is_fitting = true;
	}
}

/* A message as the frame that it came in, as far as that is known. */
static enum err frame_of(struct book *b, struct trk_call *c, const struct trk_ev *e,
			 struct cap_msg *m, struct cap_frame *f, uint8_t hdr[20])
{
	const struct trk_peer *from = &c->peers[e->from], *to = &c->peers[e->to];
	enum trk_transport transport = (enum trk_transport)from->transport;
	const struct sip_msg *msg;
	enum err err = book_msg(b, trk_ev_id(e), &msg);
	if (err)
		return err;
	*m = (struct cap_msg){.call = c, .no = trk_ev_id(e)};
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
	enum err e = OK;
	for (uint32_t id = c->last_ev; id && !c->is_fitting && !e; id = trk_ev(b->trk, id)->prev) {
		struct cap_msg m;
		struct cap_frame f;
		uint8_t hdr[20];
		e = frame_of(b, c, trk_ev(b->trk, id), &m, &f, hdr);
		if (e == ERR_NOTFOUND) {
			e = OK; /* no longer kept */
			continue;
		}
		if (!e && asks_calls(b))
			e = flt_calls_attach(b->watch_calls, &f);
		c->is_fitting = !e && flt_match(b->watch, &f);
	}
	return e;
}

static bool is_not_of_call(const struct flt_field *f)
{
	return !flt_is_of_call(f);
}

/* By what is known of the call alone. */
static enum err ask_call(struct book *b, const struct trk_call *c, enum flt_said *said)
{
	struct sip_skim skim = {.call_id = c->call_id};
	struct cap_msg m = {.pkt.skim = &skim};
	struct cap_frame f = {.msgs = &m, .n_msgs = 1, .trk = b->trk};
	enum err e = flt_calls_attach(b->watch_calls, &f);
	*said = e ? FLT_NO : flt_match_so_far(b->watch, &f, is_not_of_call);
	return e;
}

static enum err weigh(struct book *b, struct trk_call *c, bool *is_open)
{
	enum flt_said said;
	enum err e = ask_call(b, c, &said);
	c->is_fitting = said == FLT_YES;
	if (!e && said == FLT_OPEN && b->cfg.is_live)
		e = look_back(b, c);
	else if (said == FLT_OPEN)
		*is_open = true;
	c->is_weighed = !e;
	c->is_closed = !e && c->is_judged;
	flt_calls_clear(b->watch_calls);
	return e;
}

struct fitting {
	struct book *b;
	enum err err;
};

static bool on_frame(void *arg, const struct cap_frame *fr)
{
	struct fitting *x = arg;
	x->err = flt_calls_attach(x->b->watch_calls, fr);
	bool fits = !x->err && fr->n_msgs && flt_match(x->b->watch, fr);
	for (size_t i = 0; fits && i < fr->n_msgs; i++) {
		struct trk_call *c = trk_find(x->b->trk, cap_index(fr, i)->call_id);
		if (c)
			c->is_fitting = true;
	}
	return !x->err;
}

/* Of a file: the calls that cannot be told without their messages. */
static enum err walk_again(struct book *b)
{
	struct fitting x = {b, OK};
	enum err e = book_frames(b, flt_needs(b->watch) | FLT_NEEDS_MEDIA, on_frame, &x);
	flt_calls_clear(b->watch_calls);
	return e ? e : x.err;
}

static enum err begin_calls(struct book *b)
{
	bool is_open = false;
	enum err e = OK;
	if (!b->watch_calls && !(b->watch_calls = flt_calls_new(b->trk)))
		return ERR_NOMEM;
	for (struct trk_call *c = trk_first(b->trk); c && !e; c = trk_after(b->trk, c))
		e = weigh(b, c, &is_open);
	return !e && is_open ? walk_again(b) : e;
}

enum err book_watch(struct book *b, struct flt *f)
{
	enum err e = OK;
	if (f && !b->cfg.is_live && !(flt_needs(f) & FLT_NEEDS_CALLS))
		return ERR_UNSUPPORTED;
	if (f && b->cfg.is_live && flt_needs(f) & FLT_NEEDS_CONV)
		e = cap_walk_conversations(b->walk, LIVE_CONVERSATIONS);
	b->watch = f;
	if (!e && asks_calls(b))
		return begin_calls(b);
	for (struct trk_call *c = trk_first(b->trk); c && !e; c = trk_after(b->trk, c)) {
		c->is_fitting = false;
		e = f ? look_back(b, c) : OK;
	}
	return e;
}

enum err book_watch_renew(struct book *b, bool *has_changed)
{
	bool is_open = false;
	enum err e = OK;
	*has_changed = false;
	if (!asks_calls(b) || !b->cfg.is_live)
		return OK;
	b->watch_turn++;
	for (struct trk_call *c = trk_first(b->trk); c && !e; c = trk_after(b->trk, c)) {
		bool is_due = !c->is_closed && (c->no + b->watch_turn) % TURNS == 0;
		if (c->is_weighed && !is_due)
			continue;
		bool was = c->is_fitting;
		e = weigh(b, c, &is_open);
		*has_changed = *has_changed || c->is_fitting != was;
	}
	return e;
}
