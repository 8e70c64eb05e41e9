/* The driver of all state machines.
 *
 * A machine is a const array of rows; nobody switches on a state elsewhere. The index turns
 * (state, event) into a row number, so a step is one load; it belongs to the manager that drives
 * the machine (one per shard), which keeps shards from sharing the counters. The counters tell the
 * tests which rows were ever taken.
 *
 * Invariants: 1. every (state, event) has exactly one row (fsm_check; the unit test of each machine
 * calls it). 2. the state moves only in fsm_step. 3. a row with FSM_BUG is never reached.
 */
#include "transaction/fsm.h"

#include "base/assert.h"

#include <string.h>

void fsm_index_init(struct fsm_index *ix, const struct fsm *f)
{
	memset(ix, 0, sizeof(*ix));
	for (size_t i = 0; i < f->n_rows; i++)
		ix->row[f->rows[i].state][f->rows[i].event] = (uint8_t)(i + 1);
}

bool fsm_check(const struct fsm *f, struct fsm_index *ix, struct buf *why)
{
	if (f->n_states > FSM_MAX_STATES || f->n_events > FSM_MAX_EVENTS || f->n_rows > 255) {
		buf_fmt(why, "%s: too large", f->name);
		return false;
	}
	memset(ix, 0, sizeof(*ix));
	for (size_t i = 0; i < f->n_rows; i++) {
		const struct fsm_row *r = &f->rows[i];
		if (r->state + 1u >= f->n_states || r->next >= f->n_states ||
		    r->event >= f->n_events) {
			buf_fmt(why, "%s: row %zu is out of range", f->name, i);
			return false;
		}
		if (ix->row[r->state][r->event]) {
			buf_fmt(why, "%s: (%s, %s) has two rows", f->name, f->states[r->state],
				f->events[r->event]);
			return false;
		}
		ix->row[r->state][r->event] = (uint8_t)(i + 1);
	}
	for (unsigned s = 0; s + 1u < f->n_states; s++)
		for (unsigned e = 0; e < f->n_events; e++)
			if (!ix->row[s][e]) {
				buf_fmt(why, "%s: (%s, %s) has no row", f->name, f->states[s],
					f->events[e]);
				return false;
			}
	return true;
}

const struct fsm_row *fsm_step(const struct fsm *f, struct fsm_index *ix, uint8_t *state,
			       uint8_t event)
{
	ASSERT_SLOW(*state < f->n_states && event < f->n_events);
	unsigned i = ix->row[*state][event];
	ASSERT(i > 0);
	const struct fsm_row *r = &f->rows[i - 1];
	ASSERT(!(r->actions & FSM_BUG));
	ix->hits[i - 1]++;
	*state = r->next;
	return r;
}

static void put_actions(struct buf *b, const struct fsm *f, uint32_t actions)
{
	const char *sep = "";
	for (unsigned i = 0; i < f->n_actions; i++)
		if (actions & (1u << i)) {
			buf_fmt(b, "%s%s", sep, f->actions[i]);
			sep = " ";
		}
	if (actions & FSM_REFUSE)
		buf_fmt(b, "%srefuse", sep);
	if (actions & FSM_IGNORE)
		buf_fmt(b, "%signore", sep);
	if (actions & FSM_BUG)
		buf_fmt(b, "%sbug", sep);
}

static void put_text(struct buf *b, const struct fsm *f)
{
	buf_fmt(b, "%s: %s\n", f->name, f->title);
	for (size_t i = 0; i < f->n_rows; i++) {
		const struct fsm_row *r = &f->rows[i];
		buf_fmt(b, "  %-14s %-16s %-14s %-14s ", f->states[r->state], f->events[r->event],
			r->next == r->state ? "=" : f->states[r->next], r->rfc);
		put_actions(b, f, r->actions);
		buf_chr(b, '\n');
	}
}

static void put_dot(struct buf *b, const struct fsm *f)
{
	buf_fmt(b, "digraph %s {\n\tlabel=\"%s\";\n\tnode [shape=box];\n", f->name, f->title);
	for (size_t i = 0; i < f->n_rows; i++) {
		const struct fsm_row *r = &f->rows[i];
		if (r->actions & (FSM_IGNORE | FSM_BUG | FSM_REFUSE))
			continue;
		buf_fmt(b, "\t%s -> %s [label=\"%s\\n", f->states[r->state], f->states[r->next],
			f->events[r->event]);
		put_actions(b, f, r->actions);
		buf_fmt(b, "\\n[%s]\"];\n", r->rfc);
	}
	buf_fmt(b, "}\n");
}

void fsm_put(struct buf *b, const struct fsm *f, bool as_dot)
{
	if (as_dot)
		put_dot(b, f);
	else
		put_text(b, f);
}
