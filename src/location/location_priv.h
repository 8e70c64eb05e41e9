#pragma once
/* Inside location: packed records (record.c), the table of one shard (table.c), changes and life
 * (location.c), reading (lookup.c). */

#include "base/limits.h"
#include "location/location.h"

/* --- packed records ------------------------------------------------------------------------- */

struct loc_rec { /* one allocation per AOR; immutable once published */
	struct ev_retired retired;
	uint32_t hash;        /* upper half of the AOR's hash */
	uint32_t n;           /* bytes of body */
	uint32_t next_expiry; /* of the contact that goes first; loc time, s */
	uint8_t n_contacts, aor_n, shard;
	uint8_t body[]; /* AOR, then the contacts */
};

#define LOC_CONTACTS_MAX 64 /* what LIMIT_CONTACTS_PER_AOR may be configured to */

/* One contact, unpacked. Times are loc time: seconds, wall clock at start-up plus what has passed.
 */
struct loc_item {
	struct str uri, call_id, path, instance;
	uint32_t expires, updated, cseq, reg_id;
	uint16_t q, agent; /* agent: index into the shard's names, 0: not known */
	uint8_t proto;
	bool is_nated, is_down; /* is_down: the flow is of an earlier run */
	struct addr from, to;
	tp_flow flow;
	const uint8_t *raw; /* where it stands in the record */
	size_t raw_n;
};
struct str loc_rec_aor(const struct loc_rec *r);
/* Walks the contacts; *off starts at 0. False at the end, and for bytes that are no contact. The
 * instance may point into `scratch`. */
bool loc_item_next(const uint8_t *p, size_t n, size_t *off, struct loc_item *out,
		   struct loc_scratch *scratch);
static inline const uint8_t *loc_rec_contacts(const struct loc_rec *r, size_t *n)
{
	*n = r->n - r->aor_n;
	return r->body + r->aor_n;
}
/* Appends a contact in packed form. ERR_LIMIT: a part is too long. */
enum err loc_item_put(struct buf *b, const struct loc_item *i);
/* A record of an AOR and packed contacts; NULL without memory, or when the contacts are unreadable
 * or none. */
struct loc_rec *loc_rec_new(struct str aor, uint64_t hash, size_t shard, struct str contacts);
/* In packed contacts: adds `by` seconds to all times (saturating). */
void loc_shift_times(uint8_t *p, size_t n, int64_t by);

/* --- the table of one shard ----------------------------------------------------------------- */

#define LOC_SLICES 256u /* a slice is the unit of growth, of expiry scans, of compaction */

struct loc_slots {
	struct ev_retired retired;
	size_t cap; /* power of two */
	ev_snap slot[];
};
struct loc_slice {
	ev_snap slots;          /* struct loc_slots */
	uint32_t n_used;        /* records and tombstones */
	uint32_t n, n_reserved; /* records; places promised to changes under way */
	uint32_t next_expiry;   /* no record here expires before; UINT32_MAX: none */
};
struct loc_table {
	struct ev_loop *loop; /* NULL while loading: nobody reads yet */
	struct loc_slice slice[LOC_SLICES];
	uint64_t n, bytes;
};
static inline struct loc_slice *loc_slice_of(struct loc_table *t, uint64_t hash)
{
	return &t->slice[(hash >> 24) % LOC_SLICES];
}
void loc_table_init(struct loc_table *t);
void loc_table_fini(struct loc_table *t);
struct loc_rec *loc_table_find(struct loc_table *t, uint64_t hash, struct str aor);
/* Makes sure that one more loc_table_put of a new AOR in that slice will succeed, until it is done
 * or loc_table_release. */
enum err loc_table_reserve(struct loc_table *t, uint64_t hash);
void loc_table_release(struct loc_table *t, uint64_t hash);
/* Publishes r in place of the record of that AOR, which is retired; a new AOR uses a reserved
 * place, or room that is there. */
enum err loc_table_put(struct loc_table *t, uint64_t hash, struct loc_rec *r);
void loc_table_del(struct loc_table *t, uint64_t hash, struct str aor);
/* Records of a slice; fn may put and delete the record that it is given. Only by the writer. */
void loc_slice_each(struct loc_slice *s, void (*fn)(void *arg, struct loc_rec *r), void *arg);
void loc_rec_free(struct ev_retired *node);
/* For readers: the i-th slot's record or NULL. */
const struct loc_rec *loc_slot_get(const struct loc_slots *s, size_t i);

/* --- a shard -------------------------------------------------------------------------------- */

#define LOC_AGENTS 4096u

struct loc_agent {
	struct hnode node;
	uint16_t id, n;
	char text[];
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
	struct htab agents;
	uint32_t n_agents;
	ev_snap agent[LOC_AGENTS]; /* struct loc_agent, by id */
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
	return siphash(l->key, aor.p, aor.n);
}
/* The loop of a shard must be the caller's: clocks are per loop. */
static inline uint32_t loc_now_s(const struct loc_shard *s)
{
	return (uint32_t)(s->base_wall_s + (ev_now_us(s->loop) - s->base_us) / 1000000);
}
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
