#pragma once
/* Legs of one call, joined across B2BUAs. A struct trk_call is what was seen under one Call-ID; a
 * B2BUA (PBX, SBC) ends a call and makes another one, under another Call-ID. Here such calls are
 * put together, transitively, each join with its ground, so that it can be shown, and broken where
 * it is wrong. Only with cfg.has_join; without it nothing is stored or looked up. */

#include "track/trk.h"

enum trk_ground {
	TRK_JOIN_NONE,
#define GROUND(id, code, name, confidence, kind, rfc) TRK_JOIN_##id,
#include "track/trk_join.def"
#undef GROUND
	TRK_JOIN__N
};

enum trk_join_state {
	TRK_JOIN_OPEN, /* may be; decided when both calls are over, see trk_join_settle */
	TRK_JOIN_MADE,
	TRK_JOIN_BROKEN, /* by hand, or too many legs: it is not made again */
};

#define TRK_MAX_LEGS 32 /* of one call: what would be more is no call, but a header that lies */

struct trk_join {
	struct link of_a, of_b;
	struct trk_call *a, *b; /* a came first: the leg towards the B2BUA, or the cause */
	uint8_t ground, state;  /* enum trk_ground, trk_join_state */
	uint8_t confidence;     /* per cent */
	uint32_t evidence[2];   /* ids of messages of a and b; 0 none */
};

/* A file that was read to its end: decides what stayed open. Live, a call's are decided when it is
 * judged. */
void trk_join_settle(struct trk *t);
/* The legs of the whole call that c is a leg of, c included, in order of appearance. At most max.
 */
unsigned trk_join_legs(const struct trk_call *c, const struct trk_call **legs, unsigned max);
/* The first of them: c itself where it stands alone. */
const struct trk_call *trk_join_first(const struct trk_call *c);
/* The made joins of c, causes included: NULL begins; NULL at the end. */
const struct trk_join *trk_join_next(const struct trk_call *c, const struct trk_join *after);
/* By hand. ERR_LIMIT: that would be more than TRK_MAX_LEGS; ERR_STATE: one and the same call. */
enum err trk_join_add(struct trk *t, struct trk_call *a, struct trk_call *b);
/* Breaks the join between two calls for good; false when there is none. They may still hang
 * together through others. */
bool trk_join_break(struct trk *t, struct trk_call *a, struct trk_call *b);

struct trk_join_about {
	const char *code, *name; /* "session-id", for programs; "Session-ID" */
	const char *rfc;
	uint8_t confidence; /* per cent */
	bool is_cause;
};
const struct trk_join_about *trk_join_about(enum trk_ground g);
