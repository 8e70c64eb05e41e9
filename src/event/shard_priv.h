#pragma once
/* Shards inside: what loop.c, shard.c, crew.c and worker.c share. Seen only in event/. */

#include "event/shard.h"

#include <pthread.h>

#define CACHE_LINE    64
#define POSTS_AT_ONCE 16 /* of a long burst the others want their part before its end */

struct inbox {                                                 /* Vyukov's intrusive MPSC queue */
	_Alignas(CACHE_LINE) _Atomic(struct inbox_msg *) head; /* newest: producers */
	_Alignas(CACHE_LINE) struct inbox_msg *tail;           /* oldest: the consumer */
	struct inbox_msg stub;
	/* Somebody has woken the consumer since it last began to empty the queue. */
	_Alignas(CACHE_LINE) atomic_bool is_signalled;
};

struct shard {
	struct ev_loop loop;
	struct ev_shards *all;
	struct inbox inbox;
	/* The epoch that this shard has seen at the beginning of its turn; EPOCH_ASLEEP while it
	 * holds no snapshot. */
	_Alignas(CACHE_LINE) _Atomic(uint64_t) seen;
	struct {
		inbox_fn *fn;
		void *ctx;
	} handler[INBOX__N];
	struct inbox_msg stop; /* sent once by ev_shards_stop */
	/* Shards that ev_post has signalled and shard_wake_others is to wake. */
	uint16_t to_wake[POSTS_AT_ONCE];
	unsigned n_to_wake, n_posted;
	_Atomic(struct ev_words *) lent;
	/* The thread that holds it: when the loop wants its next turn, and what it has cost. */
	uint64_t due_us, busy_us;
};

#define EPOCH_ASLEEP UINT64_MAX

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct ev_job *first, *last; /* waiting jobs, linked by msg.next */
	pthread_t *thread;
	unsigned n;
	bool is_stopping;
};

struct crew;

struct ev_shards {
	_Alignas(CACHE_LINE) _Atomic(uint64_t) epoch; /* moves with each retirement */
	_Alignas(CACHE_LINE) size_t n;
	struct workers workers;
	struct crew *crew; /* NULL while no thread runs */
	void (*discard[INBOX__N])(struct inbox_msg *m);
	struct shard *shard[];
};

/* Full barrier between the store before it and the loads after it. */
static inline void shard_fence(struct ev_shards *s)
{
#if defined(__SANITIZE_THREAD__)
	atomic_fetch_add(&s->epoch, 0); /* the sanitizer does not know fences */
#else
	(void)s;
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* loop.c, for crew.c: ev_turn without its last step, the sending. */
uint64_t loop_turn(struct ev_loop *l);
/* shard.c, for loop.c */
void shard_wake_others(struct ev_loop *l);  /* those that ev_post left asleep */
void shard_online(struct ev_loop *l);       /* may read snapshots from now on; after sleeping */
void shard_offline(struct ev_loop *l);      /* holds no snapshot: about to sleep */
void shard_pass(struct ev_loop *l);         /* a turn begins: old snapshots are not held */
bool shard_drain_inbox(struct ev_loop *l);  /* true: there is more */
void shard_free_retired(struct ev_loop *l); /* what everybody has passed */
/* worker.c, for shard.c */
void workers_init(struct ev_shards *s);
void workers_fini(struct ev_shards *s);
