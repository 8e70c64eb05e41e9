/* The tables themselves, and the driver. */
#include "rig.h"

TEST(tables_are_total)
{
	struct fsm_index ix;
	struct buf why;
	buf_init(&why);
	for (unsigned i = 0; i < TSX_MACHINES; i++) {
		fsm_check(&tsx_machines[i], &ix, &why);
		CHECK_STR(buf_view(&why), "");
	}
	buf_fini(&why);
}

TEST(broken_tables_are_found)
{
	static const char *const names[] = {"A", "B", "END"};
	static const struct fsm_row hole[] = {
		{0, 0, 1, 0, ""},
                {0, 1, 2, 0, ""},
                {1, 0, 2, 0, ""}
        };
	static const struct fsm_row twice[] = {
		{0, 0, 1, 0, ""},
                {0, 0, 2, 0, ""}
        };
	static const struct fsm_row wild[] = {
		{0, 0, 3, 0, ""}
        };
	struct fsm f = {
		.name = "f", .states = names, .events = names, .n_states = 3, .n_events = 2};
	struct fsm_index ix;
	char text[64];
	struct buf why;
	buf_init_fixed(&why, text, sizeof(text));
	f.rows = hole;
	f.n_rows = 3;
	CHECK(!fsm_check(&f, &ix, &why));
	CHECK_STR(buf_view(&why), "f: (B, B) has no row");
	buf_clear(&why);
	f.rows = twice;
	f.n_rows = 2;
	CHECK(!fsm_check(&f, &ix, &why));
	CHECK_STR(buf_view(&why), "f: (A, A) has two rows");
	buf_clear(&why);
	f.rows = wild;
	f.n_rows = 1;
	CHECK(!fsm_check(&f, &ix, &why));
	CHECK_STR(buf_view(&why), "f: row 0 is out of range");
	f.n_states = FSM_MAX_STATES + 1;
	CHECK(!fsm_check(&f, &ix, &why));
}

TEST(machines_are_printed)
{
	struct buf b;
	buf_init(&b);
	tsx_fsm_put(&b, false);
	CHECK(b.err == OK);
	CHECK(str_find(buf_view(&b), STR("ict: INVITE client transaction\n")) == 0);
	CHECK(str_find(buf_view(&b),
		       STR("  CALLING        TIMER_A          =              3261 17.1.1.2  resend "
			   "double\n")) != SIZE_MAX);
	buf_clear(&b);
	tsx_fsm_put(&b, true);
	struct str row = STR("\tTRYING -> COMPLETED [label=\"FINAL\\nstop_R start_K "
			     "tell\\n[3261 17.1.2.2]\"];\n");
	CHECK(str_find(buf_view(&b), row) != SIZE_MAX);
	buf_fini(&b);
}

/* The last case of the last file: every row was taken by some case before it. */
TEST_NO_OOM(every_row_was_taken)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < TSX_MACHINES; i++)
		for (unsigned k = 0; k < 256; k++)
			sum += rig_hits[i][k];
	if (sum < 500)
		test_skip("the other cases were not run");
	for (unsigned i = 0; i < TSX_MACHINES; i++) {
		const struct fsm *f = &tsx_machines[i];
		for (size_t k = 0; k < f->n_rows; k++) {
			const struct fsm_row *row = &f->rows[k];
			if (!rig_hits[i][k] && !(row->actions & FSM_BUG))
				test_fail(__FILE__, __LINE__, "%s: (%s, %s) was never taken",
					  f->name, f->states[row->state], f->events[row->event]);
		}
	}
}
