#pragma once
/* Frames with messages, kept beyond the walk's next step: what is shown of them is decided later.
 */

#include "capture/cap_walk.h"

struct cap_kept;
/* A copy of the frame and all that it borrows, but for the tracker's calls and streams; the walk
 * must outlive it. NULL without memory. */
struct cap_kept *cap_keep_frame(const struct cap_frame *fr);
void cap_keep_free(struct cap_kept *k);
size_t cap_keep_n_bytes(const struct cap_kept *k); /* of memory */
/* The frame, its messages indexed: it stays so until it is freed. NULL without memory. */
struct cap_frame *cap_keep_open(struct cap_kept *k);
