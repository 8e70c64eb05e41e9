/* Arrays that grow. */
#include "base/grow.h"

#include "test.h"

#include <stdint.h>
#include <stdlib.h>

/* Run again with each allocation failing: what was there must then still be there. */
TEST(grown_by_appending)
{
	uint32_t *a = NULL;
	size_t n = 0, cap = 0;
	while (n < 1'000) {
		uint32_t *more = grow(a, &cap, n, sizeof *more);
		if (!more)
			break;
		a = more;
		CHECK(cap > n && a[cap - 1] == 0);
		a[n] = (uint32_t)n;
		n++;
	}
	bool ok = cap < 2'100;
	for (size_t i = 0; i < n; i++)
		ok = ok && a[i] == i;
	free(a);
	CHECK(ok);
}

TEST(grown_to_an_index)
{
	size_t cap = 0;
	uint8_t *a = grow(NULL, &cap, 5'000, 1);
	if (!a) {
		CHECK_EQ(cap, 0);
		return;
	}
	bool is_zero = true;
	for (size_t i = 0; i < cap; i++)
		is_zero = is_zero && !a[i];
	size_t before = cap;
	bool is_same = grow(a, &cap, 4'999, 1) == a && cap == before;
	free(a);
	CHECK(before > 5'000 && is_zero && is_same);
}

TEST(not_beyond_what_can_be_counted)
{
	uint64_t some[1] = {7};
	size_t cap = 1;
	CHECK(!grow(some, &cap, SIZE_MAX, sizeof some[0]));
	CHECK(!grow(some, &cap, SIZE_MAX / sizeof some[0] - 1, sizeof some[0]));
	CHECK(cap == 1 && some[0] == 7);
}
