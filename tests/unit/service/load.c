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

TEST(overload_ends_only_after_a_second_of_calm)
{
	struct load l = {0};
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
	CHECK(load_sheds(&l, 1, LOAD_HIGH_US, false));
	CHECK(!load_sheds(&l, 2, LOAD_EXTREME_US - 1, true));
	CHECK(load_sheds(&l, 3, LOAD_EXTREME_US, true));
}
