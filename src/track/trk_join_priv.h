#pragma once
/* Joins, inside: legs, marks, and how a pair is put down. */

#include "track/trk_join.h"
#include "track/trk_priv.h"

#define TRK_NEAR_US    200'000u    /* a B2BUA that looks numbers up takes no longer */
#define TRK_ARRIVAL_US 2'000'000u  /* with the same SDP it may take this long */
#define TRK_REFER_US   32'000'000u /* 64*T1: who has not called by then, does not */
#define TRK_MAX_OPEN   8u          /* inbound legs kept as possible for one outbound leg */

enum trk_mark_kind { MARK_HEADER, MARK_NUMBERS, MARK_ORIGIN, MARK_MEDIA, MARK_CALLED, MARK_REFER };

struct trk_leg { /* of a call: what joins it */
	struct trk_call *call;
	struct link ring;         /* legs of the whole call, without a head */
	struct link as_a, as_b;   /* its joins */
	struct link marks, open;  /* open: in trk_joins.open while it has open joins as b */
	struct addr source, dest; /* of its first INVITE */
	uint32_t numbers, origin, media, called, diverted[2]; /* hashes, 0: none */
	uint32_t invite;                                      /* id of its first INVITE */
	uint64_t at_us;
	uint32_t n_as_a;
	bool is_read; /* its headers were looked at */
};

struct trk_mark { /* by which a later call finds a leg */
	struct hnode node;
	struct link age, of_leg;
	struct trk_leg *leg;
	struct addr host; /* an arrival: where */
	uint64_t at_us;
	uint32_t ev;
	uint8_t kind, ground; /* ground: of MARK_HEADER */
};

struct trk_joins {
	struct htab marks;
	struct pool mark_pool, leg_pool, join_pool;
	struct link arrivals, refers; /* marks that grow old, the oldest first */
	struct link open;             /* legs with open joins */
	struct trk_head *heads;       /* file: a hash table of what headers said */
	uint32_t n_heads, heads_cap;
	struct trk_print *prints;  /* buckets of four; NULL: no audio was heard */
	uint64_t heard_us, cut_us; /* time of the last print; those up to cut_us are void */
};

#define TRK_PRINTS 2'048u
struct trk_print { /* of one payload that came by */
	uint64_t hash, at_us;
	struct trk_stream *stream;
	bool is_shared; /* two streams brought it to one host: it tells nothing */
};

struct trk_pair { /* what a join is made of */
	struct trk_leg *a, *b;
	enum trk_ground ground;
	unsigned confidence; /* 0: the ground's */
	uint32_t ev_a, ev_b;
};

/* trk_join.c */
enum err trk_joins_new(struct trk *t);
void trk_joins_free(struct trk *t);
struct trk_leg *trk_leg_get(struct trk *t, struct trk_call *c); /* NULL without memory */
/* Joins, or strengthens a join that is there. False: broken by hand, too many legs, or no memory.
 */
bool trk_join_put(struct trk *t, const struct trk_pair *p, enum trk_join_state state);
/* A join is made; broken instead where the call would have too many legs. */
void trk_join_make(struct trk_join *j);
void trk_join_drop(struct trk *t, struct trk_join *j);
bool trk_is_one_ring(const struct trk_leg *a, const struct trk_leg *b);
struct trk_mark *trk_mark_put(struct trk *t, struct trk_leg *l, enum trk_mark_kind kind,
			      uint64_t hash);
void trk_mark_del(struct trk *t, struct trk_mark *m);
/* A call goes: its leg, joins and marks with it. */
void trk_join_forget(struct trk *t, struct trk_call *c);

/* trk_join_head.c: in a file, in place of marks of headers. Cursor: 0, then left alone. */
void trk_head_put(struct trk *t, uint64_t hash, const struct trk_call *c, uint32_t ev);
bool trk_head_next(const struct trk *t, uint64_t hash, uint32_t *cursor, struct trk_call **c,
		   uint32_t *ev);
void trk_heads_free(struct trk_joins *s);

/* trk_join_find.c: a message of a call that is no copy */
void trk_join_see(struct trk_intake *i);

/* trk_join_rtp.c: a call with streams goes: no print may name them any more */
void trk_join_unhear(struct trk *t);

/* trk_join_pick.c: live, a call is over: its open joins are decided */
void trk_join_decide(struct trk *t, struct trk_call *c);
