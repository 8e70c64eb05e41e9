/* Which messages the live lint looks at: whole calls, as many as it can afford. */
#include "cmd/sample.h"

#include "test.h"

#include <stdio.h>

#define S 1'000'000ull

/* n messages of the calls 0..n_calls-1 in that second; how many were taken. */
static unsigned second(struct sample *s, uint64_t at, unsigned n, unsigned n_calls, bool *calls)
{
	unsigned n_taken = 0;
	for (unsigned i = 0; i < n; i++) {
		char call_id[16];
		unsigned call = i % n_calls;
		snprintf(call_id, sizeof(call_id), "%u@x", call);
		if (!sample_takes(s, at * S + i, str_c(call_id)))
			continue;
		n_taken++;
		if (calls)
			calls[call] = true;
	}
	return n_taken;
}

TEST(all_of_them_while_they_are_few)
{
	struct sample s = {0};
	for (unsigned t = 1; t < 5; t++)
		CHECK_EQ(second(&s, t, SAMPLE_MOST_PER_S, 7, NULL), SAMPLE_MOST_PER_S);
}

TEST(whole_calls_under_load)
{
	struct sample s = {0};
	bool calls[1000] = {0};
	unsigned n_calls = 0, n;
	CHECK_EQ(second(&s, 1, 10'000, 1000, NULL), 2 * SAMPLE_MOST_PER_S);
	n = second(&s, 2, 10'000, 1000, calls);
	for (unsigned i = 0; i < 1000; i++)
		n_calls += calls[i];
	CHECK(n > 0 && n <= 2 * SAMPLE_MOST_PER_S);
	CHECK_EQ(n, n_calls * 10); /* each of ten messages */
	/* the share grows again second by second */
	for (unsigned t = 3; t < 70; t++)
		second(&s, t, 10, 10, NULL);
	CHECK_EQ(second(&s, 70, 10, 10, NULL), 10);
}

TEST(without_a_call_id_only_while_all_are_taken)
{
	struct sample s = {0};
	CHECK(sample_takes(&s, S, STR_NONE));
	second(&s, 1, 10'000, 10, NULL);
	CHECK(!sample_takes(&s, 2 * S, STR_NONE));
}
