/* Token buckets. */
#include "service/limit.h"

#include "test.h"

static const uint8_t key[16] = "0123456789abcde";
static const struct lim_rate rate = {.per_s = 50, .burst = 200};

static unsigned take(struct lim *l, uint64_t at_us, const char *user, unsigned n,
		     enum lim_answer want)
{
	struct addr a;
	unsigned got = 0;
	CHECK(addr_parse(STR("192.0.2.9:5060"), 0, &a));
	for (unsigned i = 0; i < n; i++)
		got += lim_take(l, at_us, rate, &a, str_c(user), STR("SUBSCRIBE"), NULL) == want;
	return got;
}

TEST(a_burst_passes_and_a_storm_is_held_to_the_rate)
{
	struct lim *l;
	if (lim_new(key, &l))
		return;
	CHECK_EQ(take(l, 1000000, "a", 200, LIM_PASS), 200);
	CHECK_EQ(take(l, 1000000, "a", 1, LIM_FIRST), 1);
	unsigned passed = 0;
	for (uint64_t ms = 0; ms < 10000; ms++) /* 10,000 a second for 10 s */
		passed += take(l, 1000000 + ms * 1000, "a", 10, LIM_PASS);
	CHECK(passed >= 495 && passed <= 505);
	CHECK_EQ(take(l, 11000000, "b", 1, LIM_PASS), 1);     /* somebody else is not touched */
	CHECK_EQ(take(l, 11000000, "a", 2, LIM_FIRST), 0);    /* named once */
	CHECK_EQ(take(l, 60000000, "a", 200, LIM_PASS), 200); /* calm again */
	CHECK_EQ(take(l, 60000000, "a", 1, LIM_FIRST), 1);    /* the next storm is named anew */
	lim_free(l);
}

TEST(most_of_a_storm_gets_no_answer)
{
	struct lim *l;
	if (lim_new(key, &l))
		return;
	take(l, 1000000, "a", 200, LIM_PASS);
	unsigned dropped = take(l, 1000000, "a", 1000, LIM_DROP);
	CHECK(dropped > 900);
	lim_free(l);
}
