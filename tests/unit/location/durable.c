/* Bindings over restarts, crashes, full disks and wrong clocks. */
#include "rig.h"
#include "test.h"

#include <stdio.h>

#define ALICE "100@rung"

static void disk_new(struct st_mem **disk)
{
	*disk = NULL;
	CHECK_EQ(st_mem_new(disk), OK);
}

TEST(bindings_survive_a_restart)
{
	struct st_mem *disk;
	struct rig r;
	struct rig_change k;
	struct loc_binding b;
	struct loc_scratch scratch;
	disk_new(&disk);
	for (size_t n = 1; n <= 3; n++) { /* also with another number of shards */
		CHECK(rig_start(&r, disk, n, 0, 0));
		if (n == 1) {
			rig_change(&k, ALICE, "a", 4, "sip:100@10.0.0.1", 3600);
			k.c.user_agent = STR("Phone/2");
			rig_contact(&k, "sip:100@10.0.0.2", 60, 500);
			CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
			CHECK_EQ(rig_register(&r, "200@rung", "b", 1, "sip:200@h", 3600), LOC_OK);
			CHECK_EQ(rig_register(&r, "200@rung", "b", 2, "sip:200@h", 0), LOC_OK);
		}
		size_t at = 0;
		const struct loc_rec *rec = loc_get(r.loc, STR(ALICE));
		CHECK(rec != NULL);
		CHECK(loc_next(r.loc, 0, rec, &at, &b, &scratch));
		CHECK_STR_EQ(b.uri, STR("sip:100@10.0.0.1"));
		CHECK_STR_EQ(b.user_agent, STR("Phone/2"));
		CHECK_EQ(b.cseq, 4);
		CHECK_STR_EQ(rig_targets(&r, "200@rung"), STR("none"));
		/* order is kept over restarts too */
		CHECK_EQ(rig_register(&r, ALICE, "a", 4, "sip:100@10.0.0.1", 0), LOC_ORDER);
		rig_stop(&r);
	}
	st_mem_free(disk);
}

TEST(connections_are_down_after_a_restart)
{
	struct st_mem *disk;
	struct rig r;
	struct rig_change k;
	struct loc_targets t;
	disk_new(&disk);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	rig_change(&k, ALICE, "a", 1, "sip:100@10.0.0.1;transport=tcp", 3600);
	k.c.proto = TP_TCP;
	k.c.flow = 123;
	k.contact[0].is_by_source = true;
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(loc_lookup(r.loc, 0, STR(ALICE), &t), OK);
	CHECK_EQ(t.n, 1); /* no transport to ask: believed */
	rig_stop(&r);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	CHECK_EQ(loc_lookup(r.loc, 0, STR(ALICE), &t), OK);
	CHECK_EQ(t.n, 0);
	CHECK_EQ(t.n_down, 1);
	rig_change(&k, ALICE, "a", 2, "sip:100@10.0.0.1;transport=tcp", 3600);
	k.c.proto = TP_TCP;
	k.c.flow = 5;
	k.contact[0].is_by_source = true;
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(loc_lookup(r.loc, 0, STR(ALICE), &t), OK);
	CHECK_EQ(t.n, 1);
	CHECK_EQ(t.n_down, 0);
	CHECK_EQ(t.t[0].dst.flow, 5);
	rig_stop(&r);
	st_mem_free(disk);
}

TEST(what_cannot_be_stored_is_not_kept)
{
	struct st_mem *disk;
	struct rig r;
	disk_new(&disk);
	CHECK(rig_start(&r, disk, 2, 0, 0));
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:1@h", 600), LOC_OK);
	st_mem_full(disk, true);
	CHECK_EQ(rig_register(&r, ALICE, "b", 1, "sip:2@h", 600), LOC_STORE);
	CHECK_EQ(rig_register(&r, ALICE, "a", 2, "sip:1@h", 0), LOC_STORE);
	CHECK_EQ(rig_register(&r, "200@rung", "c", 1, "sip:2@h", 600), LOC_STORE);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:1@h"));
	CHECK_STR_EQ(rig_targets(&r, "200@rung"), STR("none"));
	st_mem_full(disk, false);
	CHECK_EQ(rig_register(&r, ALICE, "a", 2, "sip:1@h", 600),
		 LOC_OK); /* its CSeq was not used */
	CHECK_EQ(rig_register(&r, "200@rung", "c", 1, "sip:2@h", 600), LOC_OK);
	rig_stop(&r);
	st_mem_free(disk);
}

TEST(a_refused_change_lets_the_next_one_pass)
{
	struct st_mem *disk;
	struct rig r;
	struct rig_change k[3];
	disk_new(&disk);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	st_mem_delay(disk, 2000);
	st_mem_fault(disk, 1, ST_FAULT_IO);
	for (uint32_t i = 0; i < 3; i++) {
		rig_change(&k[i], ALICE, "a", 1 + i, "sip:1@h", 600);
		loc_change(r.loc, 0, &k[i].c);
	}
	rig_run(&r, 1000000);
	CHECK_EQ(k[0].c.outcome, LOC_STORE);
	CHECK(str_find(str_c(k[0].c.why), STR("Input/output error")) != SIZE_MAX);
	CHECK_EQ(k[1].c.why[0], 0);
	CHECK_EQ(k[1].c.outcome, LOC_OK);
	CHECK_EQ(k[1].c.n_added, 1);
	CHECK_EQ(k[2].c.n_refreshed, 1);
	rig_stop(&r);
	st_mem_free(disk);
}

TEST(a_step_of_the_wall_clock_expires_nothing)
{
	struct st_mem *disk;
	struct rig r;
	disk_new(&disk);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:1@h", 600), LOC_OK);
	sim_clock_skew(r.host,
		       50ll * 365 * 86400 * 1000000); /* the first answer of a time server */
	rig_run(&r, 30000000);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:1@h"));
	CHECK_EQ(rig_register(&r, "200@rung", "b", 1, "sip:2@h", 600), LOC_OK);
	rig_run(&r, 595000000);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("none"));
	CHECK_STR_EQ(rig_targets(&r, "200@rung"), STR("sip:2@h"));
	rig_stop(&r);
	/* Started with the clock 50 years back: what was written lies in the future, and lives at
	 * most its own interval. */
	CHECK(rig_start(&r, disk, 1, 0, 0));
	CHECK_STR_EQ(rig_targets(&r, "200@rung"), STR("sip:2@h"));
	rig_run(&r, 601000000);
	CHECK_STR_EQ(rig_targets(&r, "200@rung"), STR("none"));
	rig_stop(&r);
	st_mem_free(disk);
}

/* Bytes that no rung wrote, under keys that look right. */
TEST(a_stored_oddity_does_not_stop_the_start)
{
	struct st_mem *disk;
	struct rig r;
	disk_new(&disk);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	uint32_t seed = 1;
	for (unsigned i = 0; i < 300; i++) {
		char key[16], value[200];
		int n = snprintf(key, sizeof(key), "%u@rung", i);
		size_t len = i % sizeof(value);
		for (size_t k = 0; k < len; k++) {
			seed = seed * 1664525 + 1013904223;
			value[k] = (char)(k == 0   ? 1 + seed % 3
					  : k == 1 ? len - 1
					  : k == 2 ? 0
						   : seed >> 24);
		}
		st_journal_keep(st_journal(r.st, ST_BINDINGS, 0), str_of(key, (size_t)n),
				str_of(value, len));
	}
	st_journal_flush(st_journal(r.st, ST_BINDINGS, 0));
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:1@h", 600), LOC_OK);
	rig_stop(&r);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:1@h"));
	rig_run(&r, 5000000);
	rig_stop(&r);
	st_mem_free(disk);
}

TEST_NO_OOM(the_journal_is_rewritten_in_the_background)
{
	struct st_mem *disk;
	struct rig r;
	struct st_journal_stats s;
	char uri[600];
	disk_new(&disk);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	int n = snprintf(uri, sizeof(uri), "sip:100@10.0.0.1;x=");
	for (; n < 500; n++)
		uri[n] = 'y';
	uri[n] = 0;
	CHECK_EQ(rig_register(&r, "200@rung", "b", 1, "sip:2@h", 6000), LOC_OK);
	for (uint32_t i = 1; i < 12000; i++)
		CHECK_EQ(rig_register(&r, ALICE, "a", i, uri, 6000), LOC_OK);
	st_journal_stats(st_journal(r.st, ST_BINDINGS, 0), &s);
	CHECK(s.size_bytes > 6000000);
	for (uint32_t i = 0; i < 40; i++) { /* with changes going on */
		rig_run(&r, 1000000);
		CHECK_EQ(rig_register(&r, ALICE, "a", 20000 + i, uri, 6000), LOC_OK);
	}
	st_journal_stats(st_journal(r.st, ST_BINDINGS, 0), &s);
	CHECK_EQ(s.n_compactions, 1);
	CHECK(s.size_bytes < 100000);
	rig_stop(&r);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	CHECK_STR_EQ(rig_targets(&r, "200@rung"), STR("sip:2@h"));
	CHECK_STR_EQ(rig_targets(&r, ALICE), str_c(uri));
	rig_stop(&r);
	st_mem_free(disk);
}

/* At every write of a story: what was answered is there after the crash. */
TEST_NO_OOM(no_crash_loses_an_answered_binding)
{
	static const enum st_fault faults[] = {ST_FAULT_CRASH_BEFORE, ST_FAULT_CRASH_TORN,
					       ST_FAULT_CRASH_AFTER};
	for (unsigned f = 0; f < 3; f++) {
		for (uint64_t k = 1; k <= 14; k++) {
			struct st_mem *disk;
			struct rig r;
			unsigned n_acked = 0;
			char aor[8][16];
			disk_new(&disk);
			CHECK(rig_start(&r, disk, 2, 0, 0));
			st_mem_fault(disk, k, faults[f]);
			for (unsigned i = 0; i < 8; i++) {
				snprintf(aor[i], sizeof(aor[i]), "%u@rung", i);
				if (rig_register(&r, aor[i], "a", 1, "sip:1@h", 600) == LOC_OK)
					n_acked++;
			}
			rig_stop(&r);
			st_mem_restart(disk);
			CHECK(rig_start(&r, disk, 3, 0, 0));
			for (unsigned i = 0; i < n_acked; i++)
				CHECK_STR_EQ(rig_targets(&r, aor[i]), STR("sip:1@h"));
			rig_stop(&r);
			st_mem_free(disk);
		}
	}
}
