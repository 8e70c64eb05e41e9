#pragma once
/* Packed records (record.c) and the table that holds them (table.c). */

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

#define LOC_SLICES LOC_PARTS /* a slice is the unit of growth, of expiry scans, of compaction */

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
