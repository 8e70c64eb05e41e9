#pragma once
/* Shards and what crosses them: an inbox per shard (many producers, one consumer), immutable
 * snapshots with epoch-based reclamation, and a pool of workers for blocking work. Locks and
 * atomics live in event/ and nowhere else.
 *
 * Everything that may cross is a row of inbox.def; each kind has one handler per process, set once
 * before the shards start. */

#include "event/loop.h"

#include <stdatomic.h>

enum inbox_kind {
#define INBOX(name, text) INBOX_##name,
#include "event/inbox.def"
#undef INBOX
	INBOX__N
};

struct inbox_msg { /* head of every message; the sender allocates, the handler frees or keeps */
	_Atomic(struct inbox_msg *) next;
	enum inbox_kind kind;
};

typedef void inbox_fn(void *ctx, struct ev_loop *l, struct inbox_msg *m);

struct ev_shards;
/* n loops, not started. `envs` are borrowed and outlive the shards; over env_sim the caller gives
 * the loops to sim_add_loop, over env_os calls ev_shards_start. */
enum err ev_shards_new(struct env **envs, size_t n, struct ev_shards **out);
void ev_shards_free(struct ev_shards *s); /* threads must have ended */
size_t ev_shards_count(const struct ev_shards *s);
struct ev_loop *ev_shard(struct ev_shards *s, size_t i);
/* The context is per shard: ctx is what that shard's handler gets. */
void ev_inbox_handle(struct ev_shards *s, size_t shard, enum inbox_kind k, inbox_fn *fn, void *ctx);
/* How a message of this kind is freed that nobody took before ev_shards_free; without one it leaks.
 */
void ev_inbox_discard(struct ev_shards *s, enum inbox_kind k, void (*fn)(struct inbox_msg *m));
/* Hands m over; wakes the shard only when it sleeps. From any thread (also workers and the scope
 * thread). Order between one sender and one receiver is kept. Never fails. */
void ev_send(struct ev_shards *s, size_t to_shard, struct inbox_msg *m);
/* The same from a handler of loop l, which must be of s: the other shard is woken when l has done
 * the work at hand, or after a few more messages; so a burst costs one wake-up. */
void ev_post(struct ev_loop *l, size_t to_shard, struct inbox_msg *m);
/* Starts one thread per shard, though the first does the work of all until that is too much for it;
 * `init` is called for each shard in order, on the first thread, before any of them runs. */
enum err ev_shards_start(struct ev_shards *s, void (*init)(void *arg, size_t shard), void *arg);
/* Asks all to stop and joins the threads. A handler of INBOX_STOP may replace the one that just
 * calls ev_stop (to drain first); it does not free the message. Stop the workers before the shards,
 * so that their results are still taken. */
void ev_shards_stop(struct ev_shards *s);

/* Snapshots. A single writer publishes a new version and retires the old; it is freed when every
 * shard has turned its loop once since. Readers take the pointer with ev_snap_get and may use it
 * until the end of their turn. */
typedef _Atomic(void *) ev_snap;
static inline void *ev_snap_get(ev_snap *s)
{
	return atomic_load_explicit(s, memory_order_acquire);
}
static inline void ev_snap_set(ev_snap *s, void *p)
{
	atomic_store_explicit(s, p, memory_order_release);
}
/* Calls fn(p) once all shards have passed a turn; called on the loop of the retiring shard. `node`
 * belongs to the retired object or is allocated by the caller and freed by fn. */
struct ev_retired {
	struct ev_retired *next;
	void (*fn)(struct ev_retired *node);
	uint64_t epoch;
};
void ev_retire(struct ev_loop *l, struct ev_retired *node, void (*fn)(struct ev_retired *node));

/* A table of words that one shard writes and all may read: facts about its objects that others must
 * see without asking (is connection 17 up?). The owner lends it; it must not be freed while others
 * run. */
struct ev_words;
enum err ev_words_new(size_t n, struct ev_words **out); /* zeroed; untouched pages cost nothing */
void ev_words_free(struct ev_words *w);
/* Adds, from any thread; what it is then. Beyond n: 0. */
uint32_t ev_words_add(struct ev_words *w, size_t i, int32_t by);
void ev_words_set(struct ev_words *w, size_t i, uint32_t v);         /* beyond n: nothing happens */
uint32_t ev_words_get(const struct ev_words *w, size_t i);           /* beyond n: 0 */
void ev_lend(struct ev_shards *s, size_t shard, struct ev_words *w); /* NULL takes it back */
const struct ev_words *ev_lent(struct ev_shards *s, size_t shard);   /* NULL: nothing lent */

/* Blocking work: `work` runs on a worker thread (over env_sim: at once, in the same thread, its
 * result delivered in a later turn), `done` on the loop that asked. */
struct ev_job {
	struct inbox_msg msg; /* kind INBOX_WORKER_RESULT, set by ev_work */
	void (*work)(struct ev_job *j);
	void (*done)(struct ev_job *j);
	void (*drop)(struct ev_job *j); /* frees it when ev_shards_free finds it done but not taken;
					   NULL: nothing is to be freed */
	size_t from_shard;
};
enum err ev_workers_start(struct ev_shards *s,
			  unsigned n_threads); /* 0: jobs run at once (simulation) */
void ev_workers_stop(struct ev_shards *s);     /* finishes what is queued */
void ev_work(struct ev_loop *l, struct ev_job *j);

/* Single-producer single-consumer ring of variable-size records, for the tap and for audio. A full
 * ring drops and counts. */
struct ev_ring;
enum err ev_ring_new(size_t size_bytes /* power of two */, struct ev_ring **out);
void ev_ring_free(struct ev_ring *r);
/* The same in a file, which keeps what was not released when the process ends in any way; after a
 * boot, and with another size or `layout` (of the records, the caller's), it is empty. is_new: made
 * when it is missing, else ERR_NOTFOUND. ERR_IO: no room, or no such file system. */
enum err ev_ring_open(const char *path, size_t size_bytes, uint32_t layout, bool is_new,
		      struct ev_ring **out);
void ev_ring_close(struct ev_ring *r); /* of ev_ring_open; NULL is harmless */
/* Room for a record of n bytes, or NULL (counted as dropped); then ev_ring_commit publishes it. */
void *ev_ring_reserve(struct ev_ring *r, size_t n); /* 1 <= n <= a quarter of the ring; 8-aligned */
/* The same, but nobody is told that there was none; what is given up then is told so. */
void *ev_ring_try(struct ev_ring *r, size_t n);
void ev_ring_drop(struct ev_ring *r);
void ev_ring_commit(struct ev_ring *r);
/* Next record (borrowed until it is released), or an empty str. */
struct str ev_ring_peek(struct ev_ring *r);
void ev_ring_pop(struct ev_ring *r);     /* goes on to the next one */
void ev_ring_release(struct ev_ring *r); /* gives the room of all that were popped back */
uint64_t ev_ring_dropped(const struct ev_ring *r);
