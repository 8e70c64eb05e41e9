/* Overload with hysteresis. */
#include "service/load.h"

#include "test.h"

TEST(short_waits_shed_nothing)
{
	struct load l = {0};
	for (uint64_t t = 0; t < 10000000; t += 1000)
		CHECK(!load_sheds(&l, t, t % 99000, false));
	CHECK_EQ(l.n_shed, 0);
}

/* Waits have stood as long as it takes: the next long one sheds. */
static void stand(struct load *l, uint64_t until_us)
{
	for (uint64_t t = until_us - LOAD_STANDING_US; t < until_us; t += 1000)
		CHECK(!load_sheds(l, t, LOAD_HIGH_US, false));
}

TEST(one_long_wait_is_no_overload)
{
	struct load l = {0};
	for (uint64_t t = 0; t < 10000000; t += 1000) /* once a second 600 ms that are worked off */
		CHECK(!load_sheds(&l, t, t % 1000000 < 200000 ? 600000 - 3 * (t % 1000000) : 0,
				  false));
	/* long ones with nothing between them say nothing about the time between */
	for (uint64_t t = 10000000; t < 20000000; t += LOAD_STANDING_US)
		CHECK(!load_sheds(&l, t, LOAD_EXTREME_US, false));
	CHECK_EQ(l.n_shed, 0);
}

TEST(overload_ends_only_after_a_second_of_calm)
{
	struct load l = {0};
	stand(&l, 1000000);
	CHECK(load_sheds(&l, 1000000, LOAD_HIGH_US, false));
	CHECK(load_sheds(&l, 1100000, LOAD_LOW_US, false));
	CHECK(load_sheds(&l, 1200000, 0, false)); /* calm begins */
	CHECK(load_sheds(&l, 2100000, 0, false));
	CHECK(load_sheds(&l, 2150000, LOAD_LOW_US, false)); /* and begins anew */
	CHECK(load_sheds(&l, 2200000, 0, false));
	CHECK(load_sheds(&l, 3199999, 0, false));
	CHECK(!load_sheds(&l, 3200000, 0, false));
	CHECK(!load_sheds(&l, 3300000, LOAD_HIGH_US - 1, false));
}

TEST(registrations_are_shed_last)
{
	struct load l = {0};
	stand(&l, 1000000);
	CHECK(load_sheds(&l, 1000000, LOAD_HIGH_US, false));
	CHECK(!load_sheds(&l, 1000001, LOAD_EXTREME_US - 1, true));
	CHECK(load_sheds(&l, 1000002, LOAD_EXTREME_US, true));
}
