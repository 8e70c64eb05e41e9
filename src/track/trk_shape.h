#pragma once
/* What is the same in the SDP of many calls, and what differs. Seen by trk_fact_sdp.c, trk_late.c
 * and trk_port.c. */

#include "track/trk_media_priv.h"

struct trk_look {        /* what differs */
	struct str host; /* borrows the body */
	struct addr addr;
	uint32_t port;
	const struct trk_name *shape; /* the rest */
};

/* False: the body has no shape that is known by, or no memory. */
bool trk_shape_look(struct trk *t, struct trk_call *c, struct str body, struct trk_look *look);
/* NULL: not seen before. */
const struct trk_shape *trk_shape_find(const struct trk *t, const struct trk_look *look);
/* s: of the body in t->sdp, all but its name and outline. */
void trk_shape_keep(struct trk *t, const struct trk_look *look, const struct trk_shape *s);

/* trk_port.c. False: a body like the one in t->sdp has to be read for its ports. */
bool trk_media_outline(struct trk *t, struct trk_outline *out);
/* trk_media_learn of a body whose shape has an outline. */
void trk_media_learn_alike(struct trk *t, struct trk_call *c, enum trk_side side,
			   const struct addr *source, const struct trk_look *look,
			   const struct trk_outline *outline);
