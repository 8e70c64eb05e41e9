#pragma once
/* Which of the messages that go through a loaded exchange its lint looks at: all of some calls
 * rather than some of all, since most rules hold a message against those before it. */

#include "base/str.h"

#include <stdint.h>

#define SAMPLE_MOST_PER_S 200u /* messages; what that takes is some thousandths of a core */

struct sample { /* zeroed: nothing seen yet */
	uint64_t second;
	uint32_t n_seen, n_taken; /* in this second */
	uint8_t shift;            /* one call in 1 << shift is looked at */
};
/* Is the message of that call to be looked at? Without a Call-ID only while all are. Times must not
 * go back. */
bool sample_takes(struct sample *s, uint64_t wall_us, struct str call_id);
