/* Where a request for an AOR goes. */
#include "rig.h"
#include "test.h"

#include <stdio.h>

#define ALICE "100@rung"

static void look(struct rig *r, struct loc_targets *t)
{
	CHECK_EQ(loc_lookup(r->loc, 0, STR(ALICE), t), OK);
}

TEST(a_plain_phone_is_reached_at_its_contact)
{
	struct rig r;
	struct loc_targets t;
	CHECK(rig_start(&r, NULL, 1, 0, 0));
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:100@10.0.0.1:5060", 60), LOC_OK);
	look(&r, &t);
	CHECK_EQ(t.n, 1);
	CHECK(!t.t[0].has_dst);
	CHECK_EQ(t.t[0].path.n, 0);
	rig_stop(&r);
}

TEST(a_phone_behind_nat_is_reached_where_it_sent_from)
{
	struct rig r;
	struct loc_targets t;
	struct rig_change k;
	CHECK(rig_start(&r, NULL, 1, 0, 0));
	rig_change(&k, ALICE, "a", 1, "sip:100@192.168.0.5:5060", 60);
	k.contact[0].is_by_source = true;
	k.c.from.port = 40001;
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	look(&r, &t);
	CHECK(t.t[0].has_dst);
	CHECK(addr_eq(&t.t[0].dst.to, &k.c.from));
	CHECK(addr_eq(&t.t[0].dst.from, &k.c.to)); /* from the socket that it knows */
	CHECK(t.t[0].dst.is_fixed);
	CHECK_EQ(t.t[0].dst.flow, 0);
	CHECK_STR_EQ(t.t[0].uri, STR("sip:100@192.168.0.5:5060"));
	rig_stop(&r);
}

/* [RFC3327 5.3] */
TEST(a_path_goes_first)
{
	struct rig r;
	struct loc_targets t;
	struct rig_change k;
	CHECK(rig_start(&r, NULL, 1, 0, 0));
	rig_change(&k, ALICE, "a", 1, "sip:100@192.168.0.5:5060", 60);
	k.c.path = STR("<sip:edge.example;lr>, <sip:inner.example;lr>");
	k.contact[0].is_by_source = true;
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	look(&r, &t);
	CHECK(!t.t[0].has_dst);
	CHECK_STR_EQ(t.t[0].path, STR("<sip:edge.example;lr>, <sip:inner.example;lr>"));
	rig_stop(&r);
}

TEST(everything_that_was_registered_can_be_read)
{
	struct rig r;
	struct rig_change k;
	struct loc_binding b;
	struct loc_scratch scratch;
	size_t at = 0;
	CHECK(rig_start(&r, NULL, 2, 0, 0));
	rig_change(&k, ALICE, "call-id", 7, "sip:100@[2001:db8::1]:5070;transport=tcp", 60);
	k.contact[0].instance = STR("<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>");
	k.contact[0].reg_id = 2;
	k.contact[0].q = 250;
	rig_contact(&k, "sip:100@10.0.0.2", 90, 1000);
	k.contact[1].instance = STR("<urn:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6>");
	k.c.user_agent = STR("Phone/1.0");
	k.c.proto = TP_TCP;
	k.c.flow = 77;
	k.contact[0].is_by_source = true;
	k.c.from = (struct addr){
		.family = ADDR_V6, .scope = 3, .port = 5070, .ip = {0x20, 1}
        };
	CHECK_EQ(rig_do(&r, 1, &k), LOC_OK);
	rig_run(&r, 10000000);
	const struct loc_rec *rec = loc_get(r.loc, STR(ALICE));
	CHECK(loc_next(r.loc, 0, rec, &at, &b, &scratch));
	CHECK_STR_EQ(b.uri, STR("sip:100@[2001:db8::1]:5070;transport=tcp"));
	CHECK_STR_EQ(b.instance, STR("<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"));
	CHECK_EQ(b.reg_id, 2);
	CHECK_EQ(b.q, 250);
	CHECK_EQ(b.cseq, 7);
	CHECK_STR_EQ(b.call_id, STR("call-id"));
	CHECK_STR_EQ(b.user_agent, STR("Phone/1.0"));
	CHECK_EQ(b.flow, 77);
	CHECK_EQ(b.proto, TP_TCP);
	CHECK(addr_eq(&b.from, &k.c.from));
	CHECK_EQ(b.from.scope, 3);
	CHECK(b.expires_s >= 49 && b.expires_s <= 50);
	CHECK_EQ(b.age_s + b.expires_s, 60);
	CHECK(loc_next(r.loc, 0, rec, &at, &b, &scratch));
	CHECK_STR_EQ(b.instance, STR("<urn:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6>"));
	CHECK_EQ(b.reg_id, 0);
	CHECK(!loc_next(r.loc, 0, rec, &at, &b, &scratch));
	rig_stop(&r);
}

TEST(equal_q_prefers_the_latest)
{
	struct rig r;
	CHECK(rig_start(&r, NULL, 1, 0, 0));
	CHECK_EQ(rig_register(&r, ALICE, "a", 1, "sip:1@h", 600), LOC_OK);
	rig_run(&r, 2000000);
	CHECK_EQ(rig_register(&r, ALICE, "b", 1, "sip:2@h", 600), LOC_OK);
	rig_run(&r, 2000000);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:2@h sip:1@h"));
	CHECK_EQ(rig_register(&r, ALICE, "a", 2, "sip:1@h", 600), LOC_OK);
	CHECK_STR_EQ(rig_targets(&r, ALICE), STR("sip:1@h sip:2@h"));
	rig_stop(&r);
}

static void check_agent(struct rig *r, const char *aor, const char *want)
{
	struct loc_binding b;
	struct loc_scratch scratch;
	size_t at = 0;
	const struct loc_rec *rec = loc_get(r->loc, str_c(aor));
	CHECK(rec && loc_next(r->loc, 0, rec, &at, &b, &scratch));
	CHECK_STR_EQ(b.user_agent, str_c(want));
}

/* A phone of whose program each has another name, one after the other: more than there are numbers.
 * What nobody has any more makes room, and nobody loses his. */
TEST_NO_OOM(user_agents_come_and_go)
{
	struct rig r;
	struct rig_change k;
	char name[40] = "";
	CHECK(rig_start(&r, NULL, 1, 0, 0));
	rig_change(&k, "200@rung", "old", 1, "sip:200@h", 3600);
	k.c.user_agent = STR("Old/1");
	CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
	for (unsigned i = 1; i <= 80'000; i++) {
		snprintf(name, sizeof(name), "Phone/1 00:15:65:%06x", i);
		rig_change(&k, ALICE, "a", i, "sip:100@h", 3600);
		k.c.user_agent = str_c(name);
		CHECK_EQ(rig_do(&r, 0, &k), LOC_OK);
		if (i == 60'000)
			rig_run(&r, 70'000'000);
	}
	check_agent(&r, ALICE, name);
	check_agent(&r, "200@rung", "Old/1");
	rig_stop(&r);
}
