#pragma once
/* From SDP to conversations: which frame named an end of media. [RFC8866 5.7, 5.14] [RFC3605] */

#include "capture/cap_walk.h"

/* Message i of the frame, which the tracker has had: names what its SDP names. t: NULL, nobody
 * tracks. */
void cap_ends_name(struct cap_convs *c, const struct trk *t, const struct cap_frame *f, size_t i);
