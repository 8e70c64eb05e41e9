#pragma once
/* The bench harness: one executable per area, each with a `bench_main`, prints one line per
 * operation:
 *
 *   index INVITE 1.1 kB   ns 412.0   cycles 1289 at 3.13 GHz   instructions 5685   mallocs 0.00 ...
 *
 * CPU time; the best of several rounds is shown (what the machine can do when nothing else runs); a
 * figure above its budget is marked OVER and makes the exit code 1. `--json` prints one object per
 * line. Cycles are counted by a chain of additions that is timed around the round. Instructions
 * need perf_event_open and are "n/a" where the kernel refuses; mallocs are counted by wrapping
 * malloc, calloc and realloc in the program (not those inside shared libraries).
 *
 * Usage of an executable: [--json] [--rounds N] [name-substring ...] */

#include <stddef.h>
#include <stdint.h>

/* Does the operation n times. */
typedef void bench_fn(void *arg, uint64_t n);

/* Measures fn; the number of repetitions is chosen so that a round takes about 50 ms. Budgets of 0
 * mean "none"; budget_mallocs is compared only when budget_ns is set. `ops` is how many operations
 * one repetition counts for (1 as a rule). */
struct bench {
	const char *name;
	bench_fn *fn;
	void *arg;
	double budget_ns, budget_mallocs;
	double own_ns; /* what the bench's own work takes of an operation: taken off the figure */
	uint32_t ops;
};
/* Returns the ns of an operation; 0 when it was not chosen. */
double bench_run(const struct bench *b);
/* Prints a figure that was measured otherwise, in the same form. */
void bench_note(const char *name, const char *unit, double value, double budget);
/* Provided by each executable. */
void bench_main(void);

/* Keeps the compiler from throwing a result away. */
#define BENCH_KEEP(x) __asm__ volatile("" : : "g"(x) : "memory")
