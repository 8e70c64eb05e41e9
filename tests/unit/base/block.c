/* The block cache: sizes, reuse, bounds, blocks that change caches. */
#include "base/block.h"
#include "test.h"

#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_CACHING false
#else
#define IS_CACHING true
#endif

TEST(block_sizes_and_alignment)
{
	static const size_t sizes[] = {1,      1'024,  1'025,  4'096,  9'000,
				       65'535, 98'304, 98'305, 1 << 20};
	struct block_cache c = {0};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t got = 0;
		char *p = block_get(&c, sizes[i], &got);
		if (!p)
			continue;
		CHECK(got >= sizes[i] && ((uintptr_t)p & 15) == 0);
		CHECK(got <= 98'304 || got == sizes[i]);
		memset(p, 1, got);
		block_put(&c, p);
	}
	block_put(&c, NULL);
	block_cache_fini(&c);
}

TEST(block_is_reused_also_by_another_cache)
{
	struct block_cache a = {0}, b = {0};
	void *p = block_get(&a, 700, NULL);
	CHECK(p);
	size_t n = test_allocs();
	block_put(&b, p); /* it came from a */
	void *q = block_get(&b, 900, NULL);
	bool is_reused = q == p && test_allocs() == n;
	block_put(NULL, q); /* straight to the heap */
	block_cache_fini(&a);
	block_cache_fini(&b);
	CHECK(q);
	CHECK(is_reused || !IS_CACHING);
}

/* What is given back beyond the bound goes to the heap, so a burst does not stay for ever. */
TEST_NO_OOM(block_cache_is_bounded)
{
	enum { N = 40 };
	struct block_cache c = {0};
	void *p[N];
	for (int i = 0; i < N; i++)
		CHECK((p[i] = block_get(&c, 90'000, NULL)));
	for (int i = 0; i < N; i++)
		block_put(&c, p[i]);
	size_t n_kept = 0;
	for (int k = 0; k < BLOCK_CLASSES; k++)
		n_kept += c.n_free[k];
	block_cache_fini(&c);
	CHECK(IS_CACHING ? n_kept > 0 && n_kept < N : n_kept == 0);
	for (int k = 0; k < BLOCK_CLASSES; k++)
		CHECK(c.n_free[k] == 0 && !c.free[k]);
}
