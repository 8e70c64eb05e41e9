#pragma once
/* Findings as comments on packets. Used where captures are written: scope_write.c, scope_save.c. */

#include "track/trk.h"
#include "track/vrd.h"

struct remark {               /* what the verdict says of a frame */
	uint32_t frame_no, n; /* n: of text */
	size_t at;
};
struct remarks { /* zeroed, then ready */
	struct remark *v;
	size_t n, cap, at; /* at: the first that is not behind the frame asked about last */
	struct buf text, mem;
};
void remarks_fini(struct remarks *r);
/* Each finding of a verdict for each frame of its evidence. ERR_NOMEM. */
enum err remarks_add(struct remarks *r, const struct trk *t, const struct vrd *v);
void remarks_sort(struct remarks *r); /* after the last one, before the first is asked for */
/* Those on a frame, a line each, behind what others wrote to it, if there are any; borrowed until
 * the next call. Frames are asked about in order, each once. */
struct str remarks_on(struct remarks *r, uint32_t frame_no, struct str before);
