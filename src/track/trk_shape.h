#pragma once
/* What is the same in the SDP of many calls, and what differs. Seen only by trk_fact_sdp.c. */

#include "track/trk_priv.h"

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
void trk_shape_keep(struct trk *t, const struct trk_look *look, unsigned flags,
		    const struct trk_name *formats);
