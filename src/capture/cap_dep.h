#pragma once
/* Which earlier frames a frame's messages need: the fragments of its datagram, the segments that
 * hold the beginning of its message. For writing a filtered capture that can be read again. */

#include "capture/cap_walk.h"

struct cap_dep;
/* keeps_bytes: the frames are handed out whole (one pass), else only their numbers. NULL without
 * memory. */
struct cap_dep *cap_dep_new(bool keeps_bytes);
void cap_dep_free(struct cap_dep *d);
/* r: number, and with keeps_bytes the whole record. */
typedef void cap_dep_fn(void *arg, const struct cap_rec *r);
/* To be called for each frame of a walk. When it completes a message and `is_wanted`, fn is called
 * for each earlier frame that the message needs, in order and once; what lies too far back
 * (CAP_DEP_MAX frames of one direction) is left out. */
void cap_dep_frame(struct cap_dep *d, const struct cap_frame *fr, bool is_wanted, cap_dep_fn *fn,
		   void *arg);
#define CAP_DEP_MAX 256
