/* Arenas: alignment, growth, the owner's memory, refusal. */
#include "base/arena.h"
#include "test.h"

#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_TWIN true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_TWIN true
#endif
#endif
#ifndef IS_TWIN
#define IS_TWIN false
#endif

/* Fills an arena with pieces of growing size, then checks that none overlaps another. */
static void churn(struct arena *a)
{
	unsigned char *piece[200];
	for (size_t i = 0; i < 200; i++) {
		piece[i] = i % 3 ? arena_alloc(a, i * 7) : arena_bytes(a, i * 7);
		if (!piece[i]) {
			arena_fini(a);
			CHECK(!"memory refused");
		}
		CHECK(i % 3 == 0 || ((uintptr_t)piece[i] & 15) == 0);
		for (size_t k = 0; i % 3 && k < i * 7; k++)
			CHECK_EQ(piece[i][k], 0);
		memset(piece[i], (int)i, i * 7);
	}
	for (size_t i = 0; i < 200; i++) {
		for (size_t k = 0; k < i * 7; k++)
			CHECK_EQ(piece[i][k], i);
	}
}

TEST(arena_pieces_do_not_overlap)
{
	struct arena a;
	arena_init(&a);
	CHECK_EQ(test_allocs(), 0);
	churn(&a);
	CHECK(a.total > 200 * 100 * 7);
	arena_reset(&a);
	CHECK_EQ(a.total, 0);
	churn(&a);
	arena_fini(&a);
}

TEST(arena_uses_owners_memory_first)
{
	_Alignas(16) char mem[256];
	struct arena a;
	arena_init_in(&a, mem, sizeof(mem));
	for (int round = 0; round < 2; round++) {
		char *p = arena_alloc(&a, 100), *q = arena_alloc(&a, 100);
		if (!IS_TWIN)
			CHECK(p == mem && q == mem + 112 && test_allocs() == 0);
		arena_reset(&a);
	}
	churn(&a);
	arena_fini(&a);
}

TEST(arena_large_piece_keeps_the_block)
{
	struct arena a;
	arena_init(&a);
	char *p = arena_bytes(&a, 10);
	char *big = arena_bytes(&a, 100'000);
	char *q = arena_bytes(&a, 10);
	bool is_ok = p && big && q;
	if (is_ok)
		memset(big, 1, 100'000);
	bool is_next = is_ok && q == p + 10;
	arena_fini(&a);
	CHECK(is_ok);
	CHECK(IS_TWIN || is_next);
}

TEST(arena_strings)
{
	struct arena a;
	arena_init(&a);
	struct str s = arena_str(&a, STR("abc"));
	char *c = arena_cstr(&a, STR("de")), *e = arena_cstr(&a, STR_NONE);
	struct str f = arena_fmt(&a, "%d-%s", 42, "x"), l = arena_fmt(&a, "%s%600d", "y", 1);
	bool is_ok = str_eq(s, STR("abc")) && c && str_eq(str_c(c), STR("de")) && e && !*e &&
		     str_eq(f, STR("42-x")) && l.n == 601 && l.p[600] == '1' &&
		     arena_fmt(&a, "%s", "").n == 0 && arena_str(&a, STR_NONE).n == 0;
	bool is_refused = !arena_bytes(&a, SIZE_MAX) && !arena_alloc(&a, SIZE_MAX - 8) &&
			  !arena_alloc(&a, SIZE_MAX / 2 - 8);
	arena_fini(&a);
	CHECK(is_ok && is_refused);
}
