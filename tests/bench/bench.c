/* The bench harness: rounds, counters, budgets. See bench.h.
 *
 * A round repeats the operation for about 50 ms; the least time per operation of all rounds is
 * reported, with the instructions and allocations of that round. The least, not the mean: noise
 * from other processes only ever adds. Time is CPU time of the process, kernel included, so that a
 * busy machine does not count against us.
 *
 * A chain of additions, each of which waits for the one before and takes a cycle, is timed around
 * every round: it tells a slow clock from a core that is shared with somebody else's thread, which
 * a virtual machine cannot see and which may double the cycles of anything.
 */

#include "bench.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUND_NS 50e6

static bool is_json, is_over;
static int n_rounds = 7, perf_fd = -1;
static int n_names;
static char **names;
static uint64_t n_mallocs;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	__atomic_fetch_add(&n_mallocs, 1, __ATOMIC_RELAXED);
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	__atomic_fetch_add(&n_mallocs, 1, __ATOMIC_RELAXED);
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	__atomic_fetch_add(&n_mallocs, 1, __ATOMIC_RELAXED);
	return __real_realloc(p, n);
}

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void perf_open(void)
{
	struct perf_event_attr a = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(a),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	perf_fd = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

struct figures {
	double ns, instructions, mallocs; /* per operation; instructions < 0: not known */
	double ghz;
};

/* Cycles per nanosecond, now. */
static double clock_ghz(void)
{
	const unsigned n = 4'000'000;
	uint64_t x = 1;
	double start = now_ns();
	for (unsigned i = 0; i < n; i += 8) {
#pragma GCC unroll 8
		for (unsigned k = 0; k < 8; k++) {
			x++;
			__asm__ volatile("" : "+r"(x));
		}
	}
	return n / (now_ns() - start);
}

static struct figures round_of(const struct bench *b, uint64_t n)
{
	struct figures f = {.instructions = -1};
	uint64_t count = 0, mallocs = n_mallocs;
	double ops = (double)n * (b->ops ? b->ops : 1);
	if (perf_fd >= 0) {
		ioctl(perf_fd, PERF_EVENT_IOC_RESET, 0);
		ioctl(perf_fd, PERF_EVENT_IOC_ENABLE, 0);
	}
	double before = clock_ghz(), start = now_ns();
	b->fn(b->arg, n);
	f.ns = (now_ns() - start) / ops;
	f.ghz = (before + clock_ghz()) / 2;
	if (perf_fd >= 0) {
		ioctl(perf_fd, PERF_EVENT_IOC_DISABLE, 0);
		if (read(perf_fd, &count, sizeof(count)) == sizeof(count) && count)
			f.instructions = (double)count / ops;
	}
	f.mallocs = (double)(n_mallocs - mallocs) / ops;
	return f;
}

static bool is_chosen(const char *name)
{
	for (int i = 0; i < n_names; i++) {
		if (strstr(name, names[i]))
			return true;
	}
	return n_names == 0;
}

static void print(const struct bench *b, const struct figures *f, bool is_bad)
{
	char instructions[32] = "n/a";
	if (f->instructions >= 0)
		snprintf(instructions, sizeof(instructions), "%.0f", f->instructions);
	if (is_json) {
		printf("{\"name\":\"%s\",\"ns\":%.2f,\"ghz\":%.2f,\"instructions\":%s,"
		       "\"mallocs\":%.4f,\"budget_ns\":%.0f,\"over\":%s}\n",
		       b->name, f->ns, f->ghz, f->instructions >= 0 ? instructions : "null",
		       f->mallocs, b->budget_ns, is_bad ? "true" : "false");
		return;
	}
	printf("%-40s ns %9.1f   cycles %6.0f at %.2f GHz   instructions %7s   mallocs %6.2f",
	       b->name, f->ns, f->ns * f->ghz, f->ghz, instructions, f->mallocs);
	if (b->budget_ns > 0)
		printf("   budget ns %.0f%s", b->budget_ns, is_bad ? "   OVER" : "");
	printf("\n");
}

double bench_run(const struct bench *b)
{
	if (!is_chosen(b->name))
		return 0;
	uint64_t n = 1;
	double start = now_ns();
	for (b->fn(b->arg, n); now_ns() - start < ROUND_NS / 10 && n < 1u << 30; b->fn(b->arg, n)) {
		n *= 2;
		start = now_ns();
	}
	double each = (now_ns() - start) / (double)n;
	n = (uint64_t)(ROUND_NS / (each > 0.1 ? each : 0.1)) + 1;
	struct figures best = round_of(b, n);
	for (int i = 1; i < n_rounds; i++) {
		struct figures f = round_of(b, n);
		if (f.ns < best.ns)
			best = f;
	}
	best.ns -= b->own_ns;
	bool is_bad = b->budget_ns > 0 &&
		      (best.ns > b->budget_ns || best.mallocs > b->budget_mallocs + 0.005);
	is_over |= is_bad;
	print(b, &best, is_bad);
	return best.ns;
}

void bench_note(const char *name, const char *unit, double value, double budget)
{
	if (!is_chosen(name))
		return;
	bool is_bad = budget > 0 && value > budget;
	is_over |= is_bad;
	if (is_json)
		printf("{\"name\":\"%s\",\"%s\":%.3f,\"budget\":%.3f,\"over\":%s}\n", name, unit,
		       value, budget, is_bad ? "true" : "false");
	else if (budget > 0)
		printf("%-40s %s %.3f   budget %.3f%s\n", name, unit, value, budget,
		       is_bad ? "   OVER" : "");
	else
		printf("%-40s %s %.3f\n", name, unit, value);
}

int main(int argc, char **argv)
{
	names = malloc((size_t)argc * sizeof(*names));
	if (!names)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			is_json = true;
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
			n_rounds = atoi(argv[++i]);
		else
			names[n_names++] = argv[i];
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	perf_open();
	bench_main();
	free(names);
	return is_over;
}
