#pragma once
/* A disk in memory, for simulation and tests: the same journal code runs over it as over files. It
 * outlives the stores opened on it, so that a crash can be followed by a restart. */

#include "store/store.h"

enum st_fault {
	ST_FAULT_NONE,
	ST_FAULT_FULL,         /* the write fails: no space left; earlier data intact */
	ST_FAULT_IO,           /* the write fails: input/output error */
	ST_FAULT_SHORT,        /* half is written, then: no space left */
	ST_FAULT_CRASH_BEFORE, /* the machine's process ends before the write ... */
	ST_FAULT_CRASH_TORN,   /* ... with half of it written ... */
	ST_FAULT_CRASH_AFTER,  /* ... with all of it written, unknown to the writer */
};

enum err st_mem_new(struct st_mem **out);
void st_mem_free(struct st_mem *m); /* stores on it must be closed */
/* The k-th operation from now that changes the disk (1 = the next; write, create, rename, remove,
 * truncate) meets the fault. After a crash nothing changes the disk any more until st_mem_restart.
 */
void st_mem_fault(struct st_mem *m, uint64_t k, enum st_fault fault);
/* As ST_FAULT_FULL for every write until called with false. */
void st_mem_full(struct st_mem *m, bool is_full);
bool st_mem_has_crashed(const struct st_mem *m);
void st_mem_crash(struct st_mem *m); /* now */
void st_mem_restart(struct st_mem *m);
/* How long a journal's write takes until done is called (µs of the loop's clock; 0: end of turn).
 */
void st_mem_delay(struct st_mem *m, uint64_t delay_us);
uint64_t st_mem_changes(const struct st_mem *m); /* operations so far that changed the disk */
