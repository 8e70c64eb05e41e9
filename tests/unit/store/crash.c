/* A crash at every single write of a long story: what was acknowledged is there afterwards, and
 * nothing else than what was put. The story has batches, deletions, a compaction, a restart, and a
 * restart with another number of shards. */
#include "rig.h"
#include "test.h"

#include "base/assert.h"

#include <string.h>

#define KEYS 12

struct model {
	struct st_mem *disk;
	uint32_t acked[KEYS];   /* value that was acknowledged last */
	uint32_t tried[KEYS];   /* value that was put after it, not acknowledged; */
	bool is_tried[KEYS];    /* it may be there or not */
	struct rig_put p[KEYS]; /* of the present turn */
	uint32_t next;
};

static void settle(struct model *m, struct rig_put *p)
{
	if (p->is_told && p->result == OK) {
		m->acked[p->key] = p->value;
		m->is_tried[p->key] = false;
	} else {
		m->tried[p->key] = p->value;
		m->is_tried[p->key] = true;
	}
}

static void change(struct rig *r, struct model *m, uint32_t from, uint32_t n, bool is_delete)
{
	if (st_mem_has_crashed(m->disk))
		return;
	for (uint32_t i = 0; i < n; i++)
		rig_put(r, &m->p[i], (from + i) % KEYS, is_delete ? 0 : ++m->next);
	rig_turn(r);
	for (uint32_t i = 0; i < n; i++)
		settle(m, &m->p[i]);
}

static void compact(struct rig *r, struct model *m)
{
	bool has_begun[4] = {0};
	for (size_t s = 0; s < r->n; s++)
		has_begun[s] = st_journal_compact_begin(st_journal(r->st, ST_BINDINGS, s)) == OK;
	for (uint32_t k = 0; k < KEYS; k++) {
		if (m->acked[k] && has_begun[rig_shard_of(r, k)])
			rig_keep(r, k, m->acked[k]);
		if (k == KEYS / 2)
			change(r, m, KEYS / 2 + 2, 3, false);
	}
	for (size_t s = 0; s < r->n; s++)
		if (has_begun[s])
			st_journal_compact_end(st_journal(r->st, ST_BINDINGS, s));
	rig_turn(r);
	rig_turn(r);
}

static bool opened(struct rig *r, struct st_mem *disk, size_t n)
{
	struct buf why;
	buf_init(&why);
	enum err e = rig_open(r, disk, NULL, n, &why);
	buf_fini(&why);
	CHECK(e == OK || st_mem_has_crashed(disk));
	return e == OK;
}

/* Runs until the end or the crash. */
static void story(struct st_mem *disk, struct model *m)
{
	struct rig r;
	m->disk = disk;
	if (!opened(&r, disk, 2))
		return;
	change(&r, m, 0, 8, false);
	change(&r, m, 4, 3, false);
	change(&r, m, 5, 1, true);
	compact(&r, m);
	change(&r, m, 1, 2, false);
	rig_close(&r);
	if (!opened(&r, disk, 2))
		return;
	change(&r, m, 9, 2, false);
	rig_close(&r);
	if (!opened(&r, disk, 3))
		return;
	change(&r, m, 3, 4, false);
	change(&r, m, 3, 1, true);
	rig_close(&r);
}

static void check_after(struct st_mem *disk, const struct model *m, size_t n)
{
	struct rig r;
	CHECK(opened(&r, disk, n));
	for (uint32_t k = 0; k < KEYS; k++) {
		if (m->is_tried[k] && r.loaded[k] == m->tried[k])
			continue;
		CHECK_EQ(r.loaded[k], m->acked[k]);
	}
	rig_close(&r);
}

static uint64_t length_of_story(void)
{
	struct st_mem *disk = NULL;
	struct model m = {0};
	CHECK_EQ(st_mem_new(&disk), OK);
	story(disk, &m);
	check_after(disk, &m, 3);
	uint64_t n = st_mem_changes(disk);
	st_mem_free(disk);
	return n;
}

static void crash_everywhere(enum st_fault fault, size_t n_after)
{
	uint64_t n = length_of_story();
	CHECK(n > 30);
	for (uint64_t k = 1; k <= n; k++) {
		struct st_mem *disk = NULL;
		struct model m = {0};
		CHECK_EQ(st_mem_new(&disk), OK);
		st_mem_fault(disk, k, fault);
		story(disk, &m);
		st_mem_restart(disk);
		check_after(disk, &m, n_after);
		check_after(disk, &m, n_after);
		st_mem_free(disk);
	}
}

TEST_NO_OOM(a_crash_before_any_write_loses_nothing)
{
	crash_everywhere(ST_FAULT_CRASH_BEFORE, 2);
}

TEST_NO_OOM(a_crash_in_the_middle_of_any_write_loses_nothing)
{
	crash_everywhere(ST_FAULT_CRASH_TORN, 3);
	crash_everywhere(ST_FAULT_CRASH_TORN, 1);
}

TEST_NO_OOM(a_crash_after_any_write_loses_nothing)
{
	crash_everywhere(ST_FAULT_CRASH_AFTER, 2);
}

/* The same with failures that do not end the process: the story goes on, and in the end every key
 * has what was acknowledged last, or what was refused later (never something else). */
TEST_NO_OOM(a_failure_of_any_write_loses_nothing)
{
	static const enum st_fault faults[] = {ST_FAULT_FULL, ST_FAULT_SHORT, ST_FAULT_IO};
	for (size_t f = 0; f < ARRAY_LEN(faults); f++) {
		uint64_t n = length_of_story();
		for (uint64_t k = 5; k <= n; k++) { /* the first ones open the store */
			struct st_mem *disk = NULL;
			struct model m = {0};
			CHECK_EQ(st_mem_new(&disk), OK);
			struct rig r;
			m.disk = disk;
			CHECK(opened(&r, disk, 2));
			st_mem_fault(disk, k, faults[f]);
			change(&r, &m, 0, 8, false);
			change(&r, &m, 4, 3, false);
			compact(&r, &m);
			change(&r, &m, 1, 2, false);
			change(&r, &m, 7, 1, true);
			compact(&r, &m);
			change(&r, &m, 2, 2, false);
			rig_close(&r);
			memset(m.is_tried, 0, sizeof(m.is_tried)); /* refused means not kept */
			st_mem_fault(disk, 1, ST_FAULT_NONE);
			check_after(disk, &m, 2);
			st_mem_free(disk);
		}
	}
}
