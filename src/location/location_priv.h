#pragma once
/* Inside location: a shard, shared by changes (change.c), life (location.c) and reading (lookup.c).
 */

#include "location/table_priv.h"

/* --- a shard -------------------------------------------------------------------------------- */

#define LOC_AGENTS     65536u /* numbers of 16 bits */
#define LOC_AGENT_PAGE 256u

struct loc_agents { /* agents.c */
	struct htab by_text;
	uint32_t n, last, walk;                    /* last: number that was given; walks so far */
	ev_snap page[LOC_AGENTS / LOC_AGENT_PAGE]; /* made when the first number of it is given */
};

struct loc_shard {
	struct loc *all;
	size_t n;
	struct ev_loop *loop;
	struct tp *tp;
	struct st_journal *journal; /* NULL: nothing is durable */
	struct loc_table table;
	struct htab busy;            /* changes under way, by AOR */
	struct loc_change *finished; /* to be told in this turn; without a journal */
	struct ev_task tell;
	struct tmr tick;
	unsigned next_slice, compact_left; /* slices still to be written; 0: no compaction */
	uint64_t base_wall_s, base_us;
	int64_t drift_s; /* wall clock minus loc time */
	struct buf scratch, value;
	struct loc_agents agents;
	struct loc_stats stats;
};

struct loc {
	struct ev_shards *shards;
	struct st *st;
	struct loc_cfg cfg;
	uint8_t key[16];
	size_t n;
	void (*listener)(void *ctx, size_t shard, const struct loc_event *e);
	void *listener_ctx;
	struct loc_shard shard[];
};

static inline uint64_t loc_hash(const struct loc *l, struct str aor)
{
	return htab_hash(l->key, aor.p, aor.n);
}
/* The loop of a shard must be the caller's: clocks are per loop. */
static inline uint32_t loc_now_s(const struct loc_shard *s)
{
	return (uint32_t)(s->base_wall_s + (ev_now_us(s->loop) - s->base_us) / 1000000);
}
enum err loc_agents_init(struct loc_agents *g);
void loc_agents_fini(struct loc_agents *g);
/* The tick is at that slice; is_last: of the shard's. */
void loc_agents_walk(struct loc_shard *s, struct loc_slice *sl, bool is_last);
/* Its number, 0: none is free. By the writer. */
uint16_t loc_agent_id(struct loc_shard *s, struct str text);
struct str loc_agent_text(struct loc_shard *s, uint16_t id);
/* What is stored for a record; borrowed until the next call. s->value.err tells a failure. */
struct str loc_value_of(struct loc_shard *s, const struct loc_rec *r);
/* The change of that AOR that is under way, or NULL. */
struct loc_change *loc_find_busy(struct loc_shard *s, uint64_t hash, struct str aor);
/* Tells the listener what became of `old`'s contacts in `fresh`; either may be NULL. `gone`: what a
 * missing one is called. */
void loc_announce(struct loc_shard *s, const struct loc_rec *old, const struct loc_rec *fresh,
		  enum loc_event_kind gone);
void loc_tell(struct ev_task *t);
inbox_fn loc_on_update, loc_on_result;
/* An item as readers see it. */
void loc_binding_of(struct loc_shard *owner, const struct loc_item *i, uint32_t now,
		    struct loc_binding *out);
