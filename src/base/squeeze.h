#pragma once
/* Short texts that are kept for long, deflated: what was in them before, or is in a list of usual
 * words, takes two or three bytes. Pure; some microseconds and 40 kB of stack. */

#include "base/buf.h"

#define SQUEEZE_MOST 4'096u /* bytes of words and text together */

/* Appends to `out` what unsqueeze makes `text` of; false: it would not be shorter, or is too long,
 * or memory was refused: then out->n is as it was. Both may stand in `out`. */
bool squeeze(struct str text, struct str words, struct buf *out);
/* Appends the text; `words` are those that it was squeezed with. */
void unsqueeze(struct str squeezed, struct str words, struct buf *out);
