#pragma once
/* The ladder: messages as text, hosts as columns, time downwards. */

#include "scope/vrd.h"

struct lad_opts {
	bool is_ascii;  /* no box drawing, no arrows beyond ASCII */
	bool is_colour; /* ANSI; colour never says anything that text does not */
	bool hide_time; /* for golden files whose times vary; also hides frame numbers */
	bool is_leg;    /* only the call itself, not the legs that it is joined with */
	uint16_t width; /* columns, 60 to 400; 0: 80 */
	/* A name for a host ("caller", "proxy"), shown above its address; STR_NONE for none. May be
	 * NULL. */
	struct str (*alias)(void *arg, const struct addr *a);
	void *arg;
};

struct lad_item { /* a message to be drawn */
	const struct trk_call *call;
	uint32_t ev; /* its id */
};

/* Appends the ladder of one call, of all its legs unless is_leg, with its media. The verdict stands
 * above it; v may be NULL. */
void lad_put(struct buf *b, struct trk *t, const struct trk_call *c, const struct vrd *v,
	     const struct lad_opts *o);
/* One ladder of any messages in order (a filtered capture: Wireshark's flow graph), no media. */
void lad_put_items(struct buf *b, const struct trk *t, const struct lad_item *items, size_t n,
		   const struct lad_opts *o);
