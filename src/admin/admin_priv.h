#pragma once
/* Seen only by ask.c (the way of a question), shard.c and scope.c (what is found at its places). */

#include "admin/ask.h"

struct adm {
	struct ev_shards *shards, *scope;
	size_t n_shards;
	struct exc *exc;
	struct trk *trk;
	const struct lint *lint;     /* may be NULL */
	const struct adm_legs *legs; /* may be NULL */
	struct adm_tally tally;
	uint64_t start_us;
};

/* Each puts rows of one part of its place into q, moves q->cursor, and returns true when the place
 * has no more. Called on that place's thread. */
bool adm_shard_part(struct adm_ask *q, size_t shard);
bool adm_scope_part(struct adm_ask *q);
bool adm_card_part(struct adm_ask *q); /* of the scope, too */
/* DELETE at a shard. True: answered, or it will be; false: not here, ask the next. */
bool adm_shard_delete(struct adm_ask *q, size_t shard);
/* DELETE that no shard could do: says why. */
void adm_scope_delete(struct adm_ask *q);
/* bans.c, at shard 0: rows; DELETE; EXPLAIN and ADD. */
void adm_bans_list(struct adm_ask *q);
void adm_bans_delete(struct adm_ask *q);
void adm_bans_ask(struct adm_ask *q);
void adm_shard_reload(struct adm_ask *q);
void adm_shard_measure(struct adm_ask *q, size_t shard);
void adm_scope_measure(struct adm_ask *q);
/* The metrics as rows. */
void adm_emit_metrics(struct adm_ask *q);
