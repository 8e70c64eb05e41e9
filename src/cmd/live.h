#pragma once
/* The live scope of a running exchange: each shard's tap copies messages into a ring of its own;
 * one thread (the one that calls live_drain) tracks calls, judges them when they end, and hands the
 * messages on to whoever looks (`rung scope --live`). A shard never waits for it: a full ring
 * drops, and the drops are counted and told; what calls are made of has a list to wait in. */

#include "event/shard.h"
#include "lint/lint.h"
#include "service/exchange.h"
#include "track/vrd.h"

struct live;
/* dir: where the rings lie (tap.0, tap.1, ...), so that what they hold outlives a kill; NULL, or
 * where the disk has no room for them: in memory. */
enum err live_new(const char *dir, size_t n_shards, struct live **out);
void live_free(struct live *l);
/* Their loops look after what waits; before they start. They stop before live_end. */
void live_set_shards(struct live *l, struct ev_shards *shards);
uint64_t live_n_dropped(const struct live *l); /* messages and notes, for good */
/* For exc_set_tap and exc_set_notes; fn's are called on the shard's thread. */
struct tp_tap live_tap(struct live *l, size_t shard);
void live_note(void *live, const struct exc_note *n);
/* Where lines for the operator go ("100 → 101 answered ..."). Called from live_drain. */
void live_set_printer(struct live *l, void (*fn)(void *ctx, uint64_t wall_us, struct str line),
		      void *ctx);
/* Told of each SIP message. Called from live_drain. */
void live_set_copy(struct live *l, void (*fn)(void *ctx, const struct trk_packet *p), void *ctx);
/* Told of each call that was judged; false: as a leg of another one it gets no line, unless there
 * is something wrong with it. Called from live_drain and live_end. */
void live_set_calls(struct live *l,
		    bool (*fn)(void *arg, const struct trk_call *c, const struct vrd *v),
		    void *arg);
/* Keeps the messages by which calls move on, as `head` and `rest` that live_replay understands.
 * flush: what was given is now to be safe, the rings will forget it. Called from live_drain. */
struct live_keeper {
	void *ctx;
	void (*keep)(void *ctx, struct str call_id, uint64_t at_us, struct str head,
		     struct str rest);
	void (*flush)(void *ctx);
	void (*on_leg)(void *ctx, struct str of, struct str call_id); /* may be NULL */
};
void live_set_keeper(struct live *l, const struct live_keeper *k);
/* Before the shards start: first what was kept, then what the rings still hold. Nobody is told of
 * messages that are replayed, only of calls that are judged. */
void live_replay(void *live, struct str step);
void live_recover(struct live *l, uint64_t now_us, uint64_t wall_us);
const struct lint *live_lint(const struct live *l);
struct trk *live_tracker(struct live *l); /* for the thread that calls live_drain */
/* Reads what the rings hold; true when there was something. */
bool live_drain(struct live *l, uint64_t now_us, uint64_t wall_us);
/* When live_drain wants to be called again, after a call of it: sooner when the rings fill. */
uint64_t live_pace_us(const struct live *l);
void live_end(struct live *l); /* judges what is still open */
/* Streams every message from now on as pcapng (exported PDUs) to the socket fd, which is taken over
 * and closed when the reader is gone or too slow. */
enum err live_watch(struct live *l, int fd);
