/* The table of the session machine. This file is linked last: its last case looks at what the
 * others have taken. */
#include "pair.h"

#include "dialog/ses_priv.h"

#include <stdio.h>

TEST(session_machine_is_total)
{
	struct fsm_index ix;
	struct buf why;
	buf_init(&why);
	fsm_check(&ses_machine, &ix, &why);
	CHECK_STR(buf_view(&why), "");
	buf_clear(&why);
	ses_fsm_put(&why, false);
	ses_fsm_put(&why, true);
	CHECK(str_find(buf_view(&why), STR("session: INVITE session\n")) == 0);
	buf_fini(&why);
}

TEST_NO_OOM(every_row_of_sessions_was_taken)
{
	uint64_t sum = 0;
	for (unsigned k = 0; k < 256; k++)
		sum += pair_hits[k];
	if (sum < 2000)
		test_skip("the other cases were not run");
	unsigned n_missing = 0;
	for (size_t k = 0; k < ses_machine.n_rows; k++) {
		const struct fsm_row *row = &ses_machine.rows[k];
		if (pair_hits[k] || (row->actions & FSM_BUG))
			continue;
		n_missing++;
		printf("# (%s, %s) was never taken\n", ses_machine.states[row->state],
		       ses_machine.events[row->event]);
	}
	CHECK_EQ(n_missing, 0);
}
