/* Test runner. Cases register themselves before main; each runs once plainly, then with each
 * allocation failing in turn: in a child process, since a CHECK that fails leaves the case with
 * longjmp and what it held is lost. A child that crashes, or whose sanitizer objects, fails the
 * case. */

#include "test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Allocations failed one by one; then samples up to the bound, beyond which a case is too large for
 * this kind of test. */
#define OOM_RUNS_EACH 60
#define OOM_RUNS_MAX  400

static struct test_case *cases, **cases_end = &cases;
static jmp_buf out;
static bool is_failing_run, is_verbose;
static size_t n_allocs, fail_at; /* fail_at: number of the allocation that fails, 0 = none */
static size_t n_live;            /* allocations that were not given back yet */
static char skip_why[200];

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);

static bool refuse(void)
{
	return __atomic_add_fetch(&n_allocs, 1, __ATOMIC_RELAXED) == fail_at; /* from any thread */
}

static void *counted(void *p)
{
	if (p)
		__atomic_add_fetch(&n_live, 1, __ATOMIC_RELAXED);
	return p;
}

void *__wrap_malloc(size_t n)
{
	return refuse() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	void *q = refuse() ? NULL : __real_realloc(p, n);
	return p ? q : counted(q);
}

char *__wrap_strdup(const char *s)
{
	char *p = __wrap_malloc(strlen(s) + 1);
	return p ? strcpy(p, s) : NULL;
}

char *__wrap_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = __wrap_malloc(len + 1);
	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return refuse() ? NULL : counted(__real_aligned_alloc(align, n));
}

void __wrap_free(void *p)
{
	if (p)
		__atomic_sub_fetch(&n_live, 1, __ATOMIC_RELAXED);
	__real_free(p);
}

size_t test_live(void)
{
	return n_live;
}

size_t test_allocs(void)
{
	return n_allocs;
}

void test_fail_alloc(size_t k)
{
	fail_at = k ? n_allocs + k : 0;
}

void test_register(struct test_case *c)
{
	*cases_end = c;
	cases_end = &c->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	if (!is_failing_run) {
		va_list ap;
		va_start(ap, fmt);
		printf("# %s:%d: ", file, line);
		vprintf(fmt, ap);
		printf("\n");
		va_end(ap);
	}
	longjmp(out, 1);
}

void test_eq(const char *file, int line, const char *expr, long long got, long long want)
{
	if (got != want)
		test_fail(file, line, "%s is %lld, expected %lld", expr, got, want);
}

void test_str(const char *file, int line, const char *expr, struct str got, struct str want)
{
	if (got.n != want.n || (want.n && memcmp(got.p, want.p, want.n) != 0))
		test_fail(file, line, "%s is\n#   \"%.*s\", expected\n#   \"%.*s\"", expr,
			  (int)got.n, got.n ? got.p : "", (int)want.n, want.n ? want.p : "");
}

void test_skip(const char *why)
{
	snprintf(skip_why, sizeof(skip_why), "%s", why);
	longjmp(out, 2);
}

/* 0 passed, 1 failed, 2 skipped. */
static int run(struct test_case *c, size_t k)
{
	n_allocs = 0;
	fail_at = k;
	is_failing_run = k > 0;
	int r = setjmp(out);
	if (r == 0)
		c->fn();
	fail_at = 0;
	return r;
}

static void fail_each(struct test_case *c)
{
	/* each of the first ones, then samples: long cases allocate the same things again and again
	 */
	for (size_t k = 1; k <= OOM_RUNS_MAX; k += k < OOM_RUNS_EACH ? 1 : 7) {
		run(c, k);
		if (n_allocs < k) /* no allocation was left to fail */
			break;
	}
}

/* 0 passed, 1 failed, as run. */
static int run_failing(struct test_case *c)
{
	int status = 0;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		fail_each(c);
		_exit(0); /* no leak check: see above */
	}
	if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
		return 0;
	printf("# with a failing allocation the case ends with status %d\n", status);
	return 1;
}

static bool is_chosen(const struct test_case *c, int argc, char **argv)
{
	bool has_names = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0)
			continue;
		has_names = true;
		if (strstr(c->name, argv[i]))
			return true;
	}
	return !has_names;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	int n = 0, n_failed = 0;
	for (int i = 1; i < argc; i++)
		is_verbose |= strcmp(argv[i], "-v") == 0;
	for (struct test_case *c = cases; c; c = c->next) {
		if (!is_chosen(c, argc, argv))
			continue;
		if (is_verbose)
			printf("# running %s (%s)\n", c->name + 5, c->file);
		int r = run(c, 0);
		if (r == 0 && c->is_oom)
			r = run_failing(c);
		n++;
		n_failed += r == 1;
		printf("%s %d - %s%s%s\n", r == 1 ? "not ok" : "ok", n, c->name + 5,
		       r == 2 ? " # SKIP " : "", r == 2 ? skip_why : "");
	}
	printf("1..%d\n", n);
	return n_failed ? 1 : 0;
}
