#pragma once
/* The ladder: a call as text, hosts as columns, time downwards. */

#include "scope/vrd.h"

struct lad_opts {
	bool is_ascii;  /* no box drawing, no arrows beyond ASCII */
	bool is_colour; /* ANSI; colour never says anything that text does not */
	bool no_verdict;
	bool hide_time; /* for golden files whose times vary */
	uint16_t width; /* columns, 0: 80 */
	/* Names for hosts ("caller", "proxy"), asked per lane; returns STR_NONE for none. May be
	 * NULL. */
	struct str (*alias)(void *arg, const struct addr *a);
	void *arg;
};

/* Appends the ladder of one call. v may be NULL: then there is no verdict line. */
void lad_put(struct buf *b, const struct trk *t, const struct trk_call *c, const struct vrd *v,
	     const struct lad_opts *o);
/* One ladder of several calls in order of time (a transfer's legs, or a whole filtered capture). */
void lad_put_many(struct buf *b, const struct trk *t, const struct trk_call *const *calls, size_t n,
		  const struct lad_opts *o);
