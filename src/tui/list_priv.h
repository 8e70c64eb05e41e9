#pragma once
/* Between the list of calls (list.c) and what its keys do with them (list_act.c). */

#include "filter/flt.h"
#include "tui/tui_priv.h"

struct list {
	struct screen s;
	struct scroll sc;
	struct trk_call **rows;
	size_t cap;
	struct trk_call *last; /* the last one looked at */
	uint32_t at_no;        /* number of the call under the cursor */
	uint32_t last_no;      /* pausing: of the last call that is shown */
	uint64_t n_messages;   /* that were read when the filter was applied; live: the list made */
	uint64_t n_forgotten;  /* live: calls, when the list was made */
	struct flt *watch;     /* the filter, live or where it asks about calls */
	bool shows_all;        /* registrations and the rest too */
	bool has_filter;
	uint8_t *hits;  /* a bit for each message that fits */
	size_t n_hits;  /* bits */
	struct buf why; /* what is wrong with what is typed */
};

static inline struct list *list_of(const struct tui *u)
{
	return (struct list *)u->stack[0];
}

/* Does what the key stands for with the marked calls, or the one under the cursor; false: it stands
 * for nothing here. */
bool list_act(struct tui *u, struct list *l, int key);
