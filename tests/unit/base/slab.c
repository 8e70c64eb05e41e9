/* Slabs, and tables that are as large. */
#include "base/slab.h"

#include "test.h"

#include <stdint.h>
#include <string.h>

TEST(pieces_of_slabs_are_aligned_and_apart)
{
	enum { N = 4'000, PIECE = 1'000 };
	static uint8_t *piece[N];
	struct slabs s = {0};
	unsigned n = 0;
	bool ok = true;
	while (n < N && (piece[n] = slabs_get(&s, PIECE, n % 7 ? 8 : 4'096))) {
		ok = ok && (uintptr_t)piece[n] % (n % 7 ? 8 : 4'096) == 0;
		memset(piece[n], (int)(n % 251), PIECE);
		n++;
	}
	for (unsigned i = 0; i < n; i++)
		ok = ok && piece[i][0] == i % 251 && piece[i][PIECE - 1] == i % 251;
#ifndef __SANITIZE_ADDRESS__ /* where each is a block of its own */
	ok = ok && s.n <= 2 + (size_t)N * PIECE / SLAB_BYTES * 2;
#endif
	slabs_fini(&s);
	CHECK(ok && !s.n && !s.at);
}

TEST(more_than_a_slab_has_one_of_its_own)
{
	struct slabs s = {0};
	char *small = slabs_get(&s, 1, 1), *large = slabs_get(&s, 3 * SLAB_BYTES + 1, 16);
	if (large)
		memset(large, 'x', 3 * SLAB_BYTES + 1);
	char *after = large ? slabs_get(&s, 16, 16) : NULL;
	bool ok = !after || after >= large + 3 * SLAB_BYTES + 1 || after < large;
	slabs_fini(&s);
	CHECK(ok && (!large || small));
}

TEST(a_table_is_zeroed_however_large)
{
	static const size_t sizes[] = {1, 1'000, SLAB_BYTES / 8 - 1, SLAB_BYTES / 8,
				       SLAB_BYTES + 1};
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t n = sizes[i];
		uint64_t *t = slab_table(n, sizeof *t), any = 0;
		if (!t)
			continue;
		for (size_t k = 0; k < n; k++)
			any |= t[k];
		memset(t, 0xff, n * sizeof *t);
		slab_table_free(t, n, sizeof *t);
		CHECK_EQ(any, 0);
	}
}
