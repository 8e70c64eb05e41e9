#pragma once
/* Live, a filter that asks how calls end (call.*): frames wait until it can be answered.
 *
 * A frame is decided when it comes if the answer does not hang on such a field, or its calls were
 * judged already; else when its calls have been judged (trk_cfg.on_verdict), or at the end. When
 * more waits than max_bytes, all that waits for the same call as the frame that waits longest is
 * decided by what is known by then. */

#include "filter/flt.h"

struct hold;
struct hold_cfg {
	struct flt *flt; /* NULL: all frames fit */
	struct trk *trk;
	size_t max_bytes;
	bool tells_calls; /* what is shown of a frame that fits hangs on its calls, too */
	bool is_ordered;  /* frames that do not fit matter, too: a call's frames stay in order */
	/* A frame and the filter's answer. kept: what keep gave for it, or NULL. */
	void (*on_frame)(void *arg, const struct cap_frame *fr, bool fits, void *kept);
	/* A frame that waits: what else must be kept with it, freed by drop; both may be NULL. */
	void *(*keep)(void *arg, const struct cap_frame *fr);
	void (*drop)(void *kept);
	void *arg;
};
/* NULL without memory. */
struct hold *hold_new(const struct hold_cfg *cfg);
void hold_free(struct hold *h); /* what still waits is not decided */
/* Each frame of the walk. ERR_NOMEM: it was left out. */
enum err hold_frame(struct hold *h, const struct cap_frame *fr);
/* A call was judged. ERR_NOMEM: a frame was left out. */
enum err hold_verdict(struct hold *h, const struct trk_call *c);
/* The end: all that waits is decided, in order. ERR_NOMEM. */
enum err hold_end(struct hold *h);
uint32_t hold_n_forced(const struct hold *h); /* frames decided before their time */
size_t hold_n_bytes(const struct hold *h);    /* that wait */
