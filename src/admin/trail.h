#pragma once
/* The trails of calls: the few messages by which each one moved on, kept in a journal until its
 * record is in the database. What a process left behind is given to the tracker of the next one:
 * a call that had ended gets its record, one that goes on goes on.
 *
 * All of it on the scope's thread. */

#include "store/cdr.h"
#include "store/store.h"

struct adm_trail;
/* Reads what was left, without the calls whose record is in `db`. Borrows st; scope has one shard.
 * On an error st_why(st) tells. */
enum err adm_trail_new(struct st *st, struct ev_shards *scope, struct st_cdrs *db,
		       struct adm_trail **out);
void adm_trail_free(struct adm_trail *g); /* writes what is waiting; NULL is harmless */
/* Gives the steps that were left, in the order in which they were added; once. */
void adm_trail_replay(struct adm_trail *g, void (*fn)(void *arg, struct str step), void *arg);
/* One step: head and rest, copied. at_us: wall time; of a call's first step its start. */
void adm_trail_add(struct adm_trail *g, struct str call_id, uint64_t at_us, struct str head,
		   struct str rest);
void adm_trail_flush(struct adm_trail *g); /* what was added survives a kill from here on */
/* It has its record, or none will be written: its steps are forgotten. */
void adm_trail_done(struct adm_trail *g, struct str call_id);
size_t adm_trail_n(const struct adm_trail *g); /* calls that have steps */
