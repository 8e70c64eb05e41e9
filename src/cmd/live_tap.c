/* The live scope on the shards: what their taps tell goes into their rings.
 *
 * A ring that is full drops, but nothing of which a call's record is made: that waits in a list of
 * the shard, bounded, until the scope has made room. While anything waits all else is dropped, so
 * that the ring keeps the order of time. A kill costs what waits.
 *
 * Invariants: 1. The list and its timer are the shard's alone; the scope's thread looks at them
 * when the shards have stopped. 2. Between reserve and commit is a record that is in neither. */
#include "cmd/live_priv.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN_US 20'000u

struct waiting {
	struct waiting *next;
	size_t n;
	_Alignas(struct rec) char rec[]; /* a struct rec */
};

/* The requests of a call, and the responses that tell what became of it. */
static bool is_of_call(struct str message)
{
	static const struct str requests[] = {STR_INIT("INVITE "), STR_INIT("ACK "),
					      STR_INIT("BYE "), STR_INIT("CANCEL ")};
	struct str rest, line = str_cut(message, '\n', &rest);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		if (str_starts(line, requests[i]))
			return true;
	if (!str_starts(line, STR("SIP/2.0 ")) || str_starts(line, STR("SIP/2.0 100")))
		return false;
	while (rest.n && !str_istarts(line, STR("CSeq")) && str_trim(line).n)
		line = str_cut(rest, '\n', &rest);
	line = str_trim(line);
	return str_ends(line, STR("INVITE")) || str_ends(line, STR("BYE"));
}

static bool is_vital(enum rec_kind kind, struct str bytes)
{
	switch (kind) {
	case REC_SENT:
	case REC_RECEIVED:
		return is_of_call(bytes);
	case REC_REFUSED:
	case REC_LEG:
		return true;
	case REC_STORM:
	case REC_REGISTERED:
	case REC_BANNED:
		return false;
	}
	return false;
}

bool live_push_waiting(struct tap_ctx *t)
{
	struct ev_ring *ring = t->live->rings[t->shard];
	bool is_any = false;
	for (struct waiting *w; (w = t->first); is_any = true) {
		void *room = ev_ring_try(ring, w->n);
		if (!room)
			break;
		memcpy(room, w->rec, w->n);
		ev_ring_commit(ring);
		t->first = w->next;
		t->n_bytes -= w->n;
		free(w);
	}
	if (!t->first)
		t->last = &t->first;
	return is_any;
}

static void on_again(struct tmr *timer)
{
	struct tap_ctx *t = CONTAINER_OF(timer, struct tap_ctx, again);
	live_push_waiting(t);
	if (t->first)
		ev_timer(t->loop, &t->again, AGAIN_US, on_again);
}

static struct rec *wait(struct tap_ctx *t, size_t n)
{
	struct waiting *w = NULL;
	if (t->n_bytes + n <= LIMIT_TAP_WAITING_BYTES && n <= RING_BYTES / 4)
		w = malloc(sizeof(*w) + n);
	if (!w) {
		ev_ring_drop(t->live->rings[t->shard]);
		return NULL;
	}
	w->next = NULL;
	w->n = n;
	*t->last = w;
	t->last = &w->next;
	t->n_bytes += n;
	if (t->loop && !tmr_is_running(&t->again))
		ev_timer(t->loop, &t->again, AGAIN_US, on_again);
	return (struct rec *)(void *)w->rec;
}

/* `bytes` is what it is about; *in_ring: it is to be committed. */
static struct rec *reserve(struct tap_ctx *t, enum rec_kind kind, size_t n_before, struct str bytes,
			   bool *in_ring)
{
	struct ev_ring *ring = t->live->rings[t->shard];
	size_t n = sizeof(struct rec) + n_before + bytes.n;
	if (t->first)
		live_push_waiting(t);
	struct rec *r = t->first ? NULL : ev_ring_try(ring, n);
	*in_ring = r;
	if (r)
		return r;
	if (is_vital(kind, bytes))
		return wait(t, n);
	ev_ring_drop(ring);
	return NULL;
}

static void on_tap(void *ctx, uint64_t at_us, bool is_sent, enum tp_proto proto,
		   const struct addr *from, const struct addr *to, struct str bytes)
{
	struct tap_ctx *t = ctx;
	bool in_ring;
	struct rec *r = reserve(t, is_sent ? REC_SENT : REC_RECEIVED, 0, bytes, &in_ring);
	if (!r)
		return;
	*r = (struct rec){.at_us = at_us,
			  .from = *from,
			  .to = *to,
			  .kind = is_sent ? REC_SENT : REC_RECEIVED,
			  .proto = (uint8_t)proto,
			  .n = (uint32_t)bytes.n};
	memcpy(r->bytes, bytes.p, bytes.n);
	if (in_ring)
		ev_ring_commit(t->live->rings[t->shard]);
}

void live_note(void *live, const struct exc_note *n)
{
	static const uint8_t kinds[] = {
		[EXC_NOTE_REGISTERED] = REC_REGISTERED, [EXC_NOTE_REFUSED] = REC_REFUSED,
		[EXC_NOTE_STORM] = REC_STORM,           [EXC_NOTE_BANNED] = REC_BANNED,
		[EXC_NOTE_TRUNK] = REC_REGISTERED,      [EXC_NOTE_LEG] = REC_LEG};
	struct live *l = live;
	bool in_ring;
	struct rec *r = reserve(&l->taps[n->shard], (enum rec_kind)kinds[n->kind], n->call_id.n,
				n->text, &in_ring);
	if (!r)
		return;
	*r = (struct rec){.at_us = n->at_us,
			  .from = n->from,
			  .kind = kinds[n->kind],
			  .code = (uint16_t)n->code,
			  .n_call_id = (uint16_t)n->call_id.n,
			  .n = (uint32_t)(n->call_id.n + n->text.n)};
	if (n->call_id.n)
		memcpy(r->bytes, n->call_id.p, n->call_id.n);
	if (n->text.n)
		memcpy(r->bytes + n->call_id.n, n->text.p, n->text.n);
	if (in_ring)
		ev_ring_commit(l->rings[n->shard]);
}

struct tp_tap live_tap(struct live *l, size_t shard)
{
	return (struct tp_tap){.ctx = &l->taps[shard], .fn = on_tap};
}

void live_set_shards(struct live *l, struct ev_shards *shards)
{
	for (size_t i = 0; i < l->n_shards; i++)
		l->taps[i].loop = ev_shard(shards, i);
}

void live_close_taps(struct live *l)
{
	for (size_t i = 0; i < l->n_shards; i++) {
		struct tap_ctx *t = &l->taps[i];
		if (t->loop)
			ev_timer_stop(t->loop, &t->again);
		for (struct waiting *w; (w = t->first);) {
			t->first = w->next;
			free(w);
		}
	}
}
