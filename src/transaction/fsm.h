#pragma once
/* State machines as const tables: rows {state, event, next, actions, RFC section}. Every pair of
 * state and event has a row; FSM_IGNORE and FSM_BUG say so where nothing is to be done or the event
 * cannot come. The driver finds the row, moves the state at one place and counts; the owner then
 * runs the actions of the row in his own fixed order. */

#include "base/buf.h"

#define FSM_MAX_STATES 16
#define FSM_MAX_EVENTS 32

enum {                       /* actions that all machines share; bits 0..27 are the machine's own */
       FSM_REFUSE = 1 << 28, /* the user asked for what is not possible in this state */
       FSM_IGNORE = 1 << 29, /* known and harmless */
       FSM_BUG = 1 << 30,    /* cannot happen: an ASSERT */
};

struct fsm_row {
	uint8_t state, event, next;
	uint32_t actions;
	const char *rfc; /* "3261 17.1.1.2"; "" for rows of our own */
};

struct fsm {
	const char *name, *title;
	const char *const *states, *const *events, *const *actions; /* names; actions by bit */
	uint8_t n_states; /* the last one is the end: it has no rows */
	uint8_t n_events, n_actions;
	const struct fsm_row *rows;
	size_t n_rows;
};

struct fsm_index { /* what makes a step O(1); one per manager, so that nothing is shared */
	uint8_t row[FSM_MAX_STATES][FSM_MAX_EVENTS]; /* 1 + number of the row, 0: none */
	uint64_t hits[256];                          /* how often each row was taken */
};

/* False when the table is not total, has a row twice, or a name out of range; *why gets a phrase.
 */
bool fsm_check(const struct fsm *f, struct fsm_index *ix, struct buf *why);
/* Builds the index of a table that fsm_check accepts. */
void fsm_index_init(struct fsm_index *ix, const struct fsm *f);
/* Finds the row of (*state, event) and moves *state. Never NULL; FSM_BUG rows abort. */
const struct fsm_row *fsm_step(const struct fsm *f, struct fsm_index *ix, uint8_t *state,
			       uint8_t event);
/* Appends the machine as a text table, or as a DOT digraph. IGNORE and BUG rows are left out of
 * DOT. */
void fsm_put(struct buf *b, const struct fsm *f, bool as_dot);
