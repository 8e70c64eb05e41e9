#pragma once
/* A call that ended, told in figures: its call detail record, and its part of the totals. */

#include "admin/ask.h"
#include "track/vrd.h"

/* Fills row; its texts are the call's, or written into `texts`, and hold as long as both do. */
void adm_record(struct st_cdr *row, struct buf *texts, struct trk *t, const struct trk_call *c,
		const struct vrd *v);
void adm_count(struct adm_tally *y, struct trk *t, const struct trk_call *c, const struct vrd *v);
