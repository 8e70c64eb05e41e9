#pragma once
/* The test runner: TEST(name) { CHECK(...); } in any number of files of one executable; test.c has
 * main. Output is TAP. After a case has passed it runs again with the 1st, 2nd, ... k-th allocation
 * failing (malloc, calloc, realloc are wrapped): then a CHECK that fails just ends the run of that
 * case, but a crash or a sanitizer finding is a failure. TEST_NO_OOM is for cases that cannot be
 * rerun (real threads, real sockets, children). Usage of an executable: [-v] [name-substring ...]
 */

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct test_case {
	const char *name, *file;
	void (*fn)(void);
	bool is_oom;
	struct test_case *next;
};
void test_register(struct test_case *c);
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void test_eq(const char *file, int line, const char *expr, long long got, long long want);
void test_str(const char *file, int line, const char *expr, struct str got, struct str want);
void test_skip(const char *why) __attribute__((noreturn)); /* the case counts as skipped */

#define TEST_CASE_(fn_name, oom)                                                                   \
	static void fn_name(void);                                                                 \
	static struct test_case fn_name##_case = {#fn_name, __FILE__, fn_name, oom, NULL};         \
	__attribute__((constructor)) static void fn_name##_reg(void)                               \
	{                                                                                          \
		test_register(&fn_name##_case);                                                    \
	}                                                                                          \
	static void fn_name(void)
#define TEST(name)        TEST_CASE_(test_##name, true)
#define TEST_NO_OOM(name) TEST_CASE_(test_##name, false)

#define CHECK(e)       ((e) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #e))
#define CHECK_EQ(a, b) test_eq(__FILE__, __LINE__, #a, (long long)(a), (long long)(b))
#define CHECK_STR(a, lit)                                                                          \
	test_str(__FILE__, __LINE__, #a, (a), (struct str){(lit), sizeof(lit) - 1})
#define CHECK_STR_EQ(a, b) test_str(__FILE__, __LINE__, #a, (a), (b))
/* For code under test that must not allocate: allocations since the case began. */
size_t test_allocs(void);
size_t test_live(void); /* allocations that were not given back yet */
/* The k-th allocation from now on fails (1: the next); 0: none. For TEST_NO_OOM cases that choose
 * when. */
void test_fail_alloc(size_t k);
