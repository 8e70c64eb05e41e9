/* What a REGISTER changes: RFC 3261 10.3 steps 6 and 7. */
#include "rig.h"
#include "test.h"

#include <string.h>

#define ALICE "100@rung"

static void start(struct rig *r, size_t n)
{
	CHECK(rig_start(r, NULL, n, 0, 0));
}

TEST(a_binding_comes_and_goes)
{
	struct rig r;
	start(&r, 1);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("none"));
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:100@10.0.0.1", 60), LOC_OK);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:100@10.0.0.1"));
	CHECK_STR_EQ(rig_targets(&r, "10@rung"), STR("none"));
	CHECK_EQ(rig_register(&r, ALICE, "a", 2, "sip:100@10.0.0.1", 0), LOC_OK);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("none"));
	CHECK_STR_EQ(str_c(r.log), STR("+100@rung sip:100@10.0.0.1\n-100@rung sip:100@10.0.0.1\n"));
	rig_stop(&r);
}

/* [RFC3261 19.1.4] decides what is the same contact. */
TEST(contacts_are_compared_as_uris)
{
	struct rig r;
	struct rig_change k;
	start(&r, 1);
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:%31%30%30@HOST.example;transport=udp", 60),
		 LOC_OK);
	rig_change(&k, ALICE, "a", 2, "sip:100@host.example;transport=UDP", 60);
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(k.c.n_refreshed, 1);
	CHECK_EQ(k.c.n_added, 0);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:100@host.example;transport=UDP"));
	rig_change(&k, ALICE, "a", 3, "sip:100@host.example:5060;transport=udp", 60);
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK); /* a port that is written is another URI */
	CHECK_EQ(k.c.n_added, 1);
	rig_stop(&r);
}

TEST(what_comes_late_changes_nothing)
{
	struct rig r;
	struct rig_change k;
	start(&r, 1);
	CHECK_EQ(rig_register(&r, ALICE, "a", 10, "sip:100@10.0.0.1", 60), LOC_OK);
	CHECK_EQ(rig_register(&r, ALICE, "a", 9, "sip:100@10.0.0.1", 0), LOC_ORDER);
	CHECK_EQ(rig_register(&r, ALICE, "a", 10, "sip:100@10.0.0.1", 0), LOC_ORDER);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:100@10.0.0.1"));
	/* all or nothing: the second contact is late, so the first is not added */
	rig_change(&k, ALICE, "a", 9, "sip:100@10.0.0.2", 60);
	rig_contact(&k, "sip:100@10.0.0.1", 60, 1000);
	CHECK_EQ(rig_do(&r, 0, &k), LOC_ORDER);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:100@10.0.0.1"));
	/* another Call-ID: the phone has started anew */
	CHECK_EQ(rig_register(&r, ALICE, "b", 1, "sip:100@10.0.0.1", 60), LOC_OK);
	CHECK_EQ(rig_register(&r, ALICE, "b", 2, "sip:100@10.0.0.1", 0), LOC_OK);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("none"));
	rig_stop(&r);
}

TEST(star_removes_all_or_nothing)
{
	struct rig r;
	struct rig_change k;
	start(&r, 1);
	CHECK_EQ(rig_register(&r, ALICE, "a", 5, "sip:100@10.0.0.1", 60), LOC_OK);
	CHECK_EQ(rig_register(&r, ALICE, "b", 1, "sip:100@10.0.0.2", 60), LOC_OK);
	rig_change(&k, ALICE, "a", 5, NULL, 0);
	k.c.is_star = true;
	CHECK_EQ(rig_do(&r, 0, &k), LOC_ORDER);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:100@10.0.0.2 sip:100@10.0.0.1"));
	k.c.cseq = 6;
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(k.c.n_removed, 2);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("none"));
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK); /* nothing there: nothing to do */
	rig_stop(&r);
}

TEST(several_contacts_in_one_request)
{
	struct rig r;
	struct rig_change k;
	start(&r, 1);
	rig_change(&k, ALICE, "a", 1, NULL, 0);
	rig_contact(&k, "sip:100@10.0.0.1", 60, 300);
	rig_contact(&k, "sip:100@10.0.0.2", 60, 1000);
	rig_contact(&k, "sip:100@10.0.0.3", 0, 1000);
	rig_contact(&k, "sip:100@10.0.0.4", 60, 700);
	rig_contact(&k, "sip:100@10.0.0.1", 60, 500); /* again: the last one counts */
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(k.c.n_added, 3);
	CHECK_EQ(k.c.n_removed, 0);
	CHECK_STR_EQ(rig_targets(&r, ALICE),
		     STR("sip:100@10.0.0.2 sip:100@10.0.0.4;q=700 sip:100@10.0.0.1;q=500"));
	rig_change(&k, ALICE, "a", 2, "sip:100@10.0.0.2", 0);
	rig_contact(&k, "sip:100@10.0.0.5", 60, 800);
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(k.c.n_added, 1);
	CHECK_EQ(k.c.n_removed, 1);
	CHECK_STR_EQ(rig_targets(&r, ALICE),
		     STR("sip:100@10.0.0.5;q=800 sip:100@10.0.0.4;q=700 sip:100@10.0.0.1;q=500"));
	rig_stop(&r);
}

TEST(contacts_are_bounded)
{
	struct rig r;
	struct rig_change k;
	CHECK(rig_start(&r, NULL, 1, 0, 3));
	rig_change(&k, ALICE, "a", 1, NULL, 0);
	for (int i = 0; i < 4; i++) {
		static const char *const uri[] = {"sip:1@h", "sip:2@h", "sip:3@h", "sip:4@h"};
		rig_contact(&k, uri[i], 60, 1000);
	}
	CHECK_EQ(rig_do(&r, 0, &k), LOC_FULL);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("none"));
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:1@h", 60), LOC_OK);
	rig_run(&r, 1000000);
	CHECK_EQ(rig_register(&r, ALICE, "b", 1, "sip:2@h", 60), LOC_OK);
	rig_run(&r, 1000000);
	CHECK_EQ(rig_register(&r, ALICE, "c", 1, "sip:3@h", 60), LOC_OK);
	rig_run(&r, 1000000);
	CHECK_EQ(rig_register(&r, ALICE, "a", 2, "sip:1@h", 60), LOC_OK);
	rig_run(&r, 1000000);
	rig_change(&k, ALICE, "d", 1, "sip:4@h", 60);
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(k.c.n_evicted, 1); /* the one that was refreshed longest ago */
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:4@h sip:1@h sip:3@h"));
	rig_stop(&r);
}

TEST(bindings_expire)
{
	struct rig r;
	start(&r, 1);
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:1@h", 60), LOC_OK);
	CHECK_EQ(rig_register(&r, ALICE, "b", 1, "sip:2@h", 120), LOC_OK);
	CHECK_EQ(rig_register(&r, "200@rung", "c", 1, "sip:3@h", 30), LOC_OK);
	rig_run(&r, 58000000);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:2@h sip:1@h"));
	CHECK_STR_EQ(rig_targets(&r, "200@rung"), STR("none"));
	rig_run(&r, 3000000);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:2@h"));
	/* a new binding of the same phone is not late: the old one is gone */
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:1@h", 60), LOC_OK);
	rig_run(&r, 200000000);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("none"));
	struct loc_stats s;
	loc_stats(r.loc, 0, &s);
	CHECK_EQ(s.n_aors, 0); /* and its memory is given back */
	CHECK_EQ(s.n_bindings, 0);
	CHECK(s.n_expired >= 3);
	CHECK(strstr(r.log, "x100@rung sip:2@h\n") != NULL);
	CHECK(strstr(r.log, "x200@rung sip:3@h\n") != NULL);
	rig_stop(&r);
}

TEST(other_shards_may_ask)
{
	struct rig r;
	start(&r, 3);
	static const char *const aors[] = {"1@rung", "2@rung", "3@rung", "4@rung",
					   "5@rung", "6@rung", "7@rung", "8@rung"};
	unsigned seen = 0;
	for (size_t i = 0; i < 8; i++) {
		struct rig_change k;
		rig_change(&k, aors[i], "x", 1, "sip:1@h", 60);
		CHECK_EQ(rig_do(&r, i % 3, &k), LOC_OK);
		seen |= 1u << loc_shard_of(r.loc, str_c(aors[i]));
		CHECK_STR_EQ(rig_targets(&r, aors[i]), STR("sip:1@h"));
	}
	CHECK_EQ(seen, 7);
	rig_stop(&r);
}

TEST(changes_of_one_aor_wait_for_each_other)
{
	struct rig r;
	struct st_mem *disk = NULL;
	struct rig_change k[70];
	CHECK_EQ(st_mem_new(&disk), OK);
	CHECK(rig_start(&r, disk, 1, 0, 0));
	st_mem_delay(disk, 4000);
	for (uint32_t i = 0; i < 70; i++) {
		rig_change(&k[i], ALICE, "a", 1 + i, "sip:1@h", 60);
		loc_change(r.loc, 0, &k[i].c);
	}
	rig_run(&r, 2000000);
	unsigned n_ok = 0, n_busy = 0;
	for (uint32_t i = 0; i < 70; i++) {
		CHECK(k[i].is_done);
		n_ok += k[i].c.outcome == LOC_OK;
		n_busy += k[i].c.outcome == LOC_BUSY;
	}
	CHECK_EQ(n_ok, 65); /* one being written and 64 behind it */
	CHECK_EQ(n_busy, 5);
	struct loc_scratch scratch;
	struct loc_binding b;
	size_t at = 0;
	CHECK(loc_next(r.loc, 0, loc_get(r.loc, STR(ALICE)), &at, &b, &scratch));
	CHECK_EQ(b.cseq, 65);
	rig_stop(&r);
	st_mem_free(disk);
}

static bool was_dropped;
static void on_drop(struct loc_change *c)
{
	was_dropped = true;
}

/* The process ends with changes at every station of their way: none is told, each is dropped. */
TEST(changes_under_way_are_dropped_at_the_end)
{
	struct st_mem *disk = NULL;
	CHECK_EQ(st_mem_new(&disk), OK);
	for (size_t from = 0; from < 2; from++) {
		for (unsigned turns = 0; turns < 3; turns++) {
			struct rig r;
			struct rig_change k[2];
			CHECK(rig_start(&r, disk, 2, 0, 0));
			st_mem_delay(disk, 4000);
			for (unsigned i = 0; i < 2; i++) {
				rig_change(&k[i], ALICE, "a", 1 + i, "sip:1@h", 60);
				k[i].c.drop = on_drop;
				loc_change(r.loc, from, &k[i].c);
			}
			rig_run(&r, turns * 3000);
			was_dropped = false;
			bool are_done = k[0].is_done && k[1].is_done;
			rig_stop(&r);
			CHECK_EQ(was_dropped, !are_done);
		}
	}
	st_mem_free(disk);
}

/* [RFC5626 6, 7]: one phone with two flows and a stale binding is one target with two behind it. */
TEST(one_instance_is_one_target)
{
	static const struct str phone = STR_INIT("<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>");
	struct rig r;
	struct rig_change k;
	struct loc_targets t;
	start(&r, 1);
	CHECK_EQ(rig_register(&r, ALICE, "other", 1, "sip:100@10.0.0.9", 600), LOC_OK);
	for (uint32_t i = 1; i <= 3; i++) {
		rig_run(&r, 2000000);
		rig_change(&k, ALICE, "a", i, i == 2 ? "sip:100@10.0.0.2" : "sip:100@10.0.0.1",
			   600);
		k.contact[0].instance = phone;
		k.contact[0].reg_id = i - 1; /* at first none: another program on that phone */
		CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	}
	CHECK_STR_EQ(rig_targets(&r, ALICE),
		     STR("sip:100@10.0.0.1 sip:100@10.0.0.2 sip:100@10.0.0.9"));
	CHECK_EQ(loc_lookup(r.loc, 0, STR(ALICE), &t), OK);
	CHECK_EQ(t.t[0].backup_of, 0);
	CHECK_EQ(t.t[1].backup_of, 1);
	CHECK_EQ(t.t[2].backup_of, 0);
	/* flow 1 moves to the URI of flow 2: both stay */
	rig_change(&k, ALICE, "a", 9, "sip:100@10.0.0.1", 600);
	k.contact[0].instance = phone;
	k.contact[0].reg_id = 1;
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(k.c.n_refreshed, 1);
	CHECK_STR_EQ(rig_targets(&r, ALICE),
		     STR("sip:100@10.0.0.1 sip:100@10.0.0.1 sip:100@10.0.0.9"));
	/* and is taken out by its number, whatever URI it gives */
	rig_change(&k, ALICE, "a", 10, "sip:elsewhere", 0);
	k.contact[0].instance = phone;
	k.contact[0].reg_id = 1;
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	CHECK_EQ(k.c.n_removed, 1);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:100@10.0.0.1 sip:100@10.0.0.9"));
	rig_stop(&r);
}
