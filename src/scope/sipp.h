#pragma once
/* A recorded call as a SIPp scenario: what one side sent and received, to be played again against
 * an exchange. */

#include "scope/book.h"

/* Appends the scenario of the caller's or the callee's side. ERR_NOTFOUND: the capture has no
 * message of that side (a call that never reached the callee); else as book_msg. Media are not
 * played; what depends on another dialog (Replaces, an attended Refer-To) is kept as it was and
 * will not match. */
enum err sipp_put(struct buf *out, struct book *b, const struct trk_call *c, enum trk_side side);
