#pragma once
/* Who is where, now: address of record → bindings, in memory, for all shards; durable in the store.
 * The shard of an AOR is its only writer; every shard reads all AORs without locks. A record is
 * immutable: what a reader got is valid until the end of its loop turn. [RFC3261 10] [RFC3327] */

#include "base/hash.h"
#include "store/store.h"
#include "transport/transport.h"

struct loc; /* of the whole process */

struct loc_cfg {             /* zeroed fields take the defaults of base/limits.h */
	size_t max_contacts; /* per AOR, at most 64; beyond it those go first whose connection is
			      * down, then the one that was refreshed longest ago */
};

/* Before the shards start. Loads what the store has (bindings over connections become flow-down;
 * expired ones are dropped), sets the handlers of BINDING_UPDATE and BINDING_RESULT, hooks into the
 * loops. st may be NULL: nothing is durable. Borrows all. */
enum err loc_new(struct ev_shards *shards, struct st *st, const struct loc_cfg *cfg,
		 struct loc **out);
void loc_free(struct loc *l); /* after the shards have stopped, before they are freed */
/* The transport of a shard, needed for loc_lookup there (is the flow up?). */
void loc_set_transport(struct loc *l, size_t shard, struct tp *tp);
size_t loc_shard_of(const struct loc *l, struct str aor);

/* --- reading, from any shard --- */
struct loc_binding {               /* strings are borrowed from the record */
	struct str uri;            /* the Contact's URI as registered */
	uint16_t q;                /* thousandths; 1000 when none was given */
	bool is_down;              /* its connection has ended */
	bool is_nated;             /* reach it at `from`, not at its URI */
	uint8_t proto;             /* enum tp_proto that the REGISTER came by */
	uint32_t expires_s, age_s; /* left; since the last refresh */
	uint32_t cseq, reg_id;     /* reg_id 0: none [RFC5626 4.2] */
	struct str call_id, path;  /* path: the values of Path joined by ", ", first hop first */
	struct str user_agent, instance; /* instance: "<urn:uuid:...>" as given, without quotes */
	struct addr from, to;            /* source of the REGISTER, and our address it came to */
	tp_flow flow;
};
struct loc_rec;
/* The record of an AOR, borrowed until the end of the turn; NULL when nothing is registered. */
const struct loc_rec *loc_get(struct loc *l, struct str aor);
/* Walks its bindings, those that have not expired; *cursor starts at 0. `shard` is the caller's.
 * `scratch` holds strings that are packed in the record (instance). */
struct loc_scratch {
	char instance[64];
};
bool loc_next(struct loc *l, size_t shard, const struct loc_rec *r, size_t *cursor,
	      struct loc_binding *out, struct loc_scratch *scratch);

/* Where a request for an AOR goes. */
#define LOC_MAX_TARGETS 16
struct loc_target {     /* strings are borrowed until the end of the turn: copy what must live on */
	struct str uri; /* the new Request-URI */
	struct str path;   /* Route header value of the request; empty: none [RFC3327 5.3] */
	uint16_t q;        /* thousandths */
	uint8_t backup_of; /* 1 + the index of the target that it stands in for, when that one
			    * cannot be reached: both are the same instance [RFC5626 7]. 0: none */
	bool has_dst; /* dst is where to send: the phone's connection, or its address behind NAT.
		       * Otherwise resolve the first of `path`, else `uri` [RFC3263]. */
	struct tp_dst dst;
};
struct loc_targets {
	size_t n;      /* in order of falling q; equal q: the latest refreshed first */
	size_t n_down; /* bindings left out because their connection is gone: answer 480 if n is 0
			*/
	struct loc_target t[LOC_MAX_TARGETS];
};
/* ERR_NOTFOUND: no binding at all. OK with n = 0: all are down. `shard` is the caller's. */
enum err loc_lookup(struct loc *l, size_t shard, struct str aor, struct loc_targets *out);
/* The same for some of its bindings only: those of which fn says so. */
typedef bool loc_pick_fn(void *ctx, struct str instance, struct str call_id);
enum err loc_lookup_some(struct loc *l, size_t shard, struct str aor, loc_pick_fn *fn, void *ctx,
			 struct loc_targets *out);
/* All AORs of one shard's table, from any shard's loop; fn returns false to stop. */
void loc_each(struct loc *l, size_t of_shard,
	      bool (*fn)(void *arg, struct str aor, const struct loc_rec *r), void *arg);
/* The same for one part of it; parts are 0 .. LOC_PARTS-1. */
#define LOC_PARTS 256u
void loc_each_of(struct loc *l, size_t of_shard, unsigned part,
		 bool (*fn)(void *arg, struct str aor, const struct loc_rec *r), void *arg);

/* --- changing, from any shard --- */
struct loc_contact {
	struct str uri;
	struct sip_uri parsed; /* of uri */
	uint32_t expires_s;    /* 0: remove */
	uint16_t q;
	uint32_t reg_id; /* not 0: what it replaces is told by instance and reg_id, not by the URI
			  * [RFC5626 6] */
	struct str instance;
	bool is_by_source; /* reach it where the REGISTER came from: its connection, or its address
			    * behind NAT; otherwise at its URI */
};
enum loc_outcome {
	LOC_OK,     /* durable and visible */
	LOC_ORDER,  /* same Call-ID and no higher CSeq than a binding has: nothing changed */
	LOC_FULL,   /* more contacts in one request than an AOR may have */
	LOC_BUSY,   /* too many changes of this AOR are waiting */
	LOC_STORE,  /* the store refused (disk full, I/O error): nothing changed */
	LOC_MEMORY, /* the same for memory */
};
/* One REGISTER's change, all or nothing. The caller's block: it and all strings in it must stay as
 * they are until done is called on the shard that called loc_change (never from inside the call).
 * [RFC3261 10.3 steps 6 and 7] */
struct loc_change {
	struct str aor, call_id, path, user_agent;
	uint32_t cseq;
	bool is_star; /* Contact: * with Expires: 0 */
	uint8_t proto;
	struct addr from, to;
	tp_flow flow; /* the connection that the REGISTER came over; 0: none, or not the phone's own
		       */
	const struct loc_contact *contacts;
	size_t n_contacts;
	void (*done)(struct loc_change *c);
	/* Frees it when the process (or a simulated host) ends before done was called: from
	 * loc_free or ev_shards_free. NULL: nothing is to be freed. */
	void (*drop)(struct loc_change *c);
	/* results, valid in done */
	enum loc_outcome outcome;
	uint16_t n_added, n_refreshed, n_removed, n_evicted;
	char why[120]; /* LOC_STORE: the store's sentence, for the operator; else empty */
	/* location's own */
	struct inbox_msg inbox;
	struct st_put put;
	struct hnode node;
	struct loc_change *waiting; /* further changes of the same AOR, in order */
	struct loc_rec *next_rec;
	struct loc_shard *at;
	uint64_t hash;
	uint16_t from_shard, n_waiting;
};
void loc_change(struct loc *l, size_t shard, struct loc_change *c);

/* --- watching --- */
enum loc_event_kind { LOC_ADDED, LOC_REFRESHED, LOC_REMOVED, LOC_EXPIRED };
struct loc_event {
	enum loc_event_kind kind;
	struct str aor;
	const struct loc_binding *binding;
};
/* Called on the AOR's shard after the change is visible. Set before the shards start; NULL: none.
 */
void loc_set_listener(struct loc *l, void (*fn)(void *ctx, size_t shard, const struct loc_event *e),
		      void *ctx);

struct loc_stats {
	uint64_t n_aors, n_bindings, n_changes, n_refused, n_expired, bytes;
};
/* Of one shard; call it on that shard, or when the shards stand still. */
void loc_stats(const struct loc *l, size_t shard, struct loc_stats *out);
