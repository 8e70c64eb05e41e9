#pragma once
/* Two messages compared. */

#include "scope/diff.h"

/* Appends a line for each header that differs; `label` stands before the first one. From and To are
 * told once, of the first pair. */
void diff_headers(struct buf *b, struct str label, const struct sip_msg *x, const struct sip_msg *y,
		  bool is_first);
/* The same as objects {header, a?, b?} with commas between them. */
void diff_headers_json(struct buf *b, const struct sip_msg *x, const struct sip_msg *y,
		       bool is_first);
/* The same for their descriptions; appends nothing where neither has one. Without a label: the JSON
 * member `sdp` of an object. ERR_NOMEM. */
enum err diff_sdp(struct buf *b, struct str label, const struct sip_msg *x,
		  const struct sip_msg *y);
