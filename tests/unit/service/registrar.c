/* The registrar of RFC 3261 10.3, asked by a phone over a simulated network.
 * [RFC3261 10.3] [RFC3261 19.1.4] [RFC3261 20.10] [RFC3261 21.4.17] [RFC3327 5.3] */
#include "registrar_rig.h"
#include "test.h"

#include <string.h>

#define MORE(text) (text "\r\n")

TEST(a_phone_registers_refreshes_and_leaves)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_register(r, &(struct ask){.more = "Expires: 600\r\n"}), 200);
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9:5060>;expires=600"));
	CHECK_EQ(r->outcome.status, 200);
	CHECK_EQ(r->outcome.n_added, 1);
	CHECK_EQ(r->outcome.n_bindings, 1);
	CHECK_EQ(r->outcome.expires_s, 600);
	CHECK_STR_EQ(str_c(r->outcome_user), STR("100"));
	rig_run_s(r, 100);
	/* a fetch */
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 5, .contact = ""}), 200);
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9:5060>;expires=500"));
	CHECK(r->outcome.is_fetch);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 10, .more = "Expires: 600\r\n"}), 200);
	CHECK_EQ(r->outcome.n_refreshed, 1);
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9:5060>;expires=600"));
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 20, .more = "Expires: 0\r\n"}), 200);
	CHECK_EQ(r->outcome.n_removed, 1);
	CHECK_STR_EQ(rig_contacts(r), STR(""));
	rig_free(r, false);
}

/* Requests of one phone land on any shard, its AOR on another, its nonce on a third. */
TEST(shards_work_together)
{
	struct rig *r = rig_new(4, NULL);
	static const char *const call_ids[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	for (uint32_t i = 0; i < 8; i++) {
		struct ask a = {.call_id = call_ids[i], .user = "100", .password = "secret100"};
		CHECK_EQ(rig_register(r, &a), 200);
		/* the same nonce with another Call-ID, as Linphone does: nc counts on */
		a.call_id = call_ids[(i + 3) % 8];
		a.cseq = 100 + i * 10;
		CHECK_EQ(rig_ask(r, &(struct ask){.call_id = "fresh", .cseq = 1000 + i}), 401);
		a.nc = 1;
		CHECK_EQ(rig_ask(r, &a), 200);
	}
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9:5060>;expires=3600"));
	rig_free(r, false);
}

/* The order of the sources: parameter, header, our own; bounds [RFC3261 10.3 step 7]. */
TEST_NO_OOM(intervals)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 1}), 200);
	CHECK_EQ(r->outcome.expires_s, 3600);
	CHECK_EQ(rig_register(
			 r, &(struct ask){.cseq = 11,
					  .contact = MORE("m: <sip:100@192.0.2.9:5060>;expires=90"),
					  .more = "Expires: 60\r\n"}),
		 200);
	CHECK_EQ(r->outcome.expires_s, 90);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 21, .more = "Expires: 999999\r\n"}), 200);
	CHECK_EQ(r->outcome.expires_s, 7200);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 31, .more = "Expires: soon\r\n"}), 200);
	CHECK_EQ(r->outcome.expires_s, 3600);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 41, .more = "Expires: 29\r\n"}), 423);
	CHECK_STR_EQ(rig_hdr(r, SIP_HDR_MIN_EXPIRES), STR("30"));
	CHECK_EQ(rig_code(r), 3003);
	CHECK_EQ(r->outcome.status, 423);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 51, .more = "Expires: 30\r\n"}), 200);
	rig_run_s(r, 31);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 61, .contact = ""}), 200);
	CHECK_STR_EQ(rig_contacts(r), STR(""));
	rig_free(r, false);
}

/* [RFC3261 10.3 step 6] */
TEST_NO_OOM(star)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 1}), 200);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 11, .contact = "Contact: *\r\n"}), 400);
	CHECK_EQ(rig_code(r), 3004);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 21,
					       .contact = "Contact: *\r\n",
					       .more = "Expires: 5\r\n"}),
		 400);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 31,
					       .contact = "Contact: *, <sip:100@192.0.2.9>\r\n",
					       .more = "Expires: 0\r\n"}),
		 400);
	CHECK_EQ(
		rig_register(r, &(struct ask){.cseq = 41,
					      .contact = "Contact: <sip:100@192.0.2.9>\r\nm: *\r\n",
					      .more = "Expires: 0\r\n"}),
		400);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 51, .contact = ""}), 200);
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9:5060>;expires=3600"));
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 61,
					       .contact = "Contact: *\r\n",
					       .more = "Expires: 0\r\n"}),
		 200);
	CHECK_STR_EQ(rig_contacts(r), STR(""));
	rig_free(r, false);
}

TEST_NO_OOM(several_contacts)
{
	struct rig *r = rig_new(2, NULL);
	CHECK_EQ(rig_register(
			 r, &(struct ask){.contact = MORE("Contact: <sip:100@192.0.2.9:5060>;q=0.5"
							  ", \"Desk, 2\" <sip:100@192.0.2.8>"
							  ";expires=60;q=0.25\r\n"
							  "m: sip:100@192.0.2.7;expires=120")}),
		 200);
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9:5060>;expires=3600;q=0.500 | "
					  "<sip:100@192.0.2.8>;expires=60;q=0.250 | "
					  "<sip:100@192.0.2.7>;expires=120"));
	CHECK_EQ(r->outcome.n_added, 3);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 11,
					       .contact = MORE(
						       "Contact: <sip:100@192.0.2.8>;expires=0")}),
		 200);
	CHECK_EQ(r->outcome.n_removed, 1);
	CHECK_EQ(r->outcome.n_bindings, 2);
	rig_free(r, false);
}

/* Nothing of a request with an unusable contact is stored. */
TEST_NO_OOM(unusable_contacts)
{
	static const char *const bad[] = {
		MORE("Contact: <sip:100@192.0.2.9>, <sip:>"),
		MORE("Contact: <sip:100@192.0.2.9>, <http://192.0.2.9/>"),
		MORE("Contact: <sip:100@192.0.2.9>, <sip:100@192.0.2.8"),
		MORE("Contact: <sip:100@[::1>"),
		MORE("Contact: <tel:+4989>"),
		MORE("Contact: ,"),
	};
	struct rig *r = rig_new(1, NULL);
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(rig_register(r, &(struct ask){.cseq = 1 + 10 * i, .contact = bad[i]}),
			 400);
		CHECK_EQ(rig_code(r), 3005);
	}
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 201, .contact = ""}), 200);
	CHECK_STR_EQ(rig_contacts(r), STR(""));
	/* headers of a Contact are no part of a Request-URI */
	CHECK_EQ(
		rig_register(r, &(struct ask){.cseq = 211,
					      .contact = MORE("Contact: <sip:100@192.0.2.9?x=y>")}),
		200);
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9>;expires=3600"));
	rig_free(r, false);
}

TEST_NO_OOM(order_of_requests)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 10}), 200);
	/* the same request over another path */
	CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 100}), 401);
	struct ask same = {.cseq = 11, .user = "100", .password = "secret100"};
	CHECK_EQ(rig_ask(r, &same), 400);
	CHECK_EQ(rig_code(r), 3006);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 8, .more = "Expires: 0\r\n"}), 400);
	CHECK_EQ(rig_code(r), 3006);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 8, .call_id = "reboot"}), 200);
	CHECK_EQ(r->outcome.n_refreshed, 1);
	rig_free(r, false);
}

/* Step 2: extensions; steps 4 and 5: whose address. */
TEST_NO_OOM(refusals)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_ask(r, &(struct ask){.more = "Require: precondition, path\r\nRequire: x\r\n"}),
		 420);
	CHECK_STR_EQ(rig_hdr(r, SIP_HDR_UNSUPPORTED), STR("precondition, x"));
	CHECK_EQ(rig_code(r), 3002);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 30, .to = "<sip:200@192.0.2.1>"}), 403);
	CHECK_EQ(rig_code(r), 2006);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 40, .to = "<sip:100@example.net>"}), 404);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 50, .to = "<sip:192.0.2.1>"}), 404);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 60, .to = "<tel:100>"}), 404);
	/* all names of ours are the same address of record */
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 70, .to = "<sip:100@lilkr>"}), 200);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 80, .to = "<sip:%3100@LOCALHOST.:5060>"}),
		 200);
	CHECK_EQ(r->outcome.n_refreshed, 1);
	rig_free(r, false);
}

TEST_NO_OOM(too_many_contacts)
{
	struct rig *r = rig_new(1, NULL);
	char text[2000];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text) - 1);
	buf_str(&b, STR("Contact: <sip:1@h>"));
	for (int i = 2; i < 18; i++)
		buf_fmt(&b, ", <sip:%d@h>", i);
	buf_str(&b, STR("\r\n"));
	text[b.n] = 0;
	CHECK_EQ(rig_register(r, &(struct ask){.contact = text}), 403);
	CHECK_EQ(rig_code(r), 3007);
	rig_free(r, false);
}

/* [RFC3327 5.3] */
TEST(path_is_kept)
{
	struct rig *r = rig_new(1, NULL);
	struct loc_targets t;
	CHECK_EQ(rig_register(r, &(struct ask){.more = "Path: <sip:edge@192.0.2.5;lr>\r\n"
						       "Path: <sip:192.0.2.6;lr>\r\n"
						       "Supported: path\r\n"}),
		 200);
	CHECK_STR_EQ(rig_hdr(r, SIP_HDR_PATH), STR("<sip:edge@192.0.2.5;lr>"));
	CHECK(sip_has_token(r->last, SIP_HDR_SUPPORTED, STR("path")));
	CHECK_EQ(loc_lookup(r->loc, 0, STR("100@rung-test"), &t), OK);
	CHECK_STR_EQ(t.t[0].path, STR("<sip:edge@192.0.2.5;lr>, <sip:192.0.2.6;lr>"));
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 11, .more = "Path: <http:x>\r\n"}), 400);
	CHECK_EQ(rig_code(r), 3009);
	rig_free(r, false);
}

struct nat_case {
	const char *via, *contact;
	bool is_by_source;
};

/* The phone's packets come from 192.0.2.9:5060. */
TEST_NO_OOM(how_a_phone_is_reached)
{
	static const struct nat_case cases[] = {
		{"192.0.2.9:5060", "sip:100@192.0.2.9:5060",          false}, /* plain */
		{"192.0.2.9",      "sip:100@192.0.2.9",               false}, /* default ports */
		{"10.1.1.7:5060",  "sip:100@10.1.1.7:5060",           true }, /* NAT */
		{"10.1.1.7:5060",  "sip:100@192.0.2.9:5060",          false}, /* NAT, it used STUN */
		{"192.0.2.9:5070", "sip:100@192.0.2.9:5070",          true }, /* NAT of the port alone */
		{"192.0.2.9:5060", "sip:100@192.0.2.9:5070",          false}, /* another program there */
		{"192.0.2.9:5060", "sip:100@198.51.100.4",            false}, /* another machine */
		{"192.0.2.9:5060", "sip:100@10.1.1.7:5060",           true }, /* an ALG rewrote Via alone */
		{"10.1.1.7:5060",  "sip:100@10.1.1.8:5060",           true }, /* two interfaces */
		{"10.1.1.7:5060",  "sip:100@198.51.100.4",            false},
		{"phone.local",    "sip:100@10.1.1.7",                true },
		{"x1.invalid",     "sip:abc@x1.invalid;transport=ws", true },
		{"192.0.2.9:5060", "sip:100@phone.example",           false},
	};
	struct rig *r = rig_new(1, NULL);
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct loc_targets t;
		char contact[200];
		struct buf b;
		buf_init_fixed(&b, contact, sizeof(contact) - 1);
		buf_fmt(&b, "Contact: <%s>\r\n", cases[i].contact);
		contact[b.n] = 0;
		struct ask a = {.cseq = 1 + 100 * i, .via_host = cases[i].via, .contact = contact};
		CHECK_EQ(rig_register(r, &a), 200);
		CHECK_EQ(loc_lookup(r->loc, 0, STR("100@rung-test"), &t), OK);
		CHECK_EQ(t.n, 1);
		if (t.t[0].has_dst != cases[i].is_by_source)
			test_fail(__FILE__, __LINE__, "Via %s, Contact %s", cases[i].via,
				  cases[i].contact);
		if (t.t[0].has_dst) {
			CHECK_EQ(t.t[0].dst.to.ip[3], 9);
			CHECK_EQ(t.t[0].dst.to.port, 5060);
			CHECK_EQ(t.t[0].dst.from.port, 5060);
		}
		a = (struct ask){.cseq = 51 + 100 * i,
				 .contact = "Contact: *\r\n",
				 .more = "Expires: 0\r\n"};
		CHECK_EQ(rig_register(r, &a), 200);
	}
	rig_free(r, false);
}

TEST_NO_OOM(a_full_disk_refuses_with_500)
{
	struct rig *r = rig_new(2, NULL);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 1}), 200);
	st_mem_full(r->disk, true);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 11, .more = "Expires: 60\r\n"}), 500);
	CHECK_EQ(rig_code(r), 3008);
	CHECK(str_find(r->outcome_why, STR("No space left")) != SIZE_MAX);
	CHECK(rig_hdr(r, SIP_HDR_RETRY_AFTER).n > 0);
	st_mem_full(r->disk, false);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 21, .contact = ""}), 200);
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9:5060>;expires=3600"));
	rig_free(r, false);
}

TEST_NO_OOM(registrations_survive_a_restart)
{
	struct rig *r = rig_new(2, NULL);
	struct st_mem *disk = r->disk;
	CHECK_EQ(rig_register(r, &(struct ask){0}), 200);
	rig_free(r, true);
	r = rig_new(3, disk);
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 10, .contact = ""}), 200);
	CHECK_STR_EQ(rig_contacts(r), STR("<sip:100@192.0.2.9:5060>;expires=3600"));
	rig_free(r, false);
}

/* The exchange crashes at each of its writes: what was answered 200 is there after the restart. */
TEST_NO_OOM(no_crash_loses_an_answered_registration)
{
	static const enum st_fault faults[] = {ST_FAULT_CRASH_BEFORE, ST_FAULT_CRASH_TORN,
					       ST_FAULT_CRASH_AFTER};
	for (unsigned f = 0; f < 3; f++) {
		for (uint64_t k = 1; k <= 5; k++) {
			struct rig *r = rig_new(2, NULL);
			struct st_mem *disk = r->disk;
			bool is_acked[2] = {false, false};
			st_mem_fault(disk, k, faults[f]);
			for (uint32_t i = 0; i < 6 && !st_mem_has_crashed(disk); i++) {
				bool is_second = i % 2;
				struct ask a = {.cseq = 10 * i + 1,
						.call_id = is_second ? "b" : "a",
						.to = is_second ? "<sip:200@192.0.2.1>"
								: "<sip:100@192.0.2.1>",
						.user = is_second ? "200" : "100",
						.password = is_second ? "secret200" : "secret100"};
				is_acked[is_second] |= rig_register(r, &a) == 200;
			}
			CHECK(st_mem_has_crashed(disk));
			rig_free(r, true);
			st_mem_restart(disk);
			r = rig_new(3, disk);
			CHECK(!is_acked[0] || loc_get(r->loc, STR("100@rung-test")));
			CHECK(!is_acked[1] || loc_get(r->loc, STR("200@rung-test")));
			rig_free(r, false);
		}
	}
}

/* The answer waits for the disk; the process may end meanwhile. */
TEST_NO_OOM(ending_in_the_middle)
{
	for (unsigned ms = 0; ms < 12; ms += 2) {
		struct rig *r = rig_new(3, NULL);
		st_mem_delay(r->disk, 5000);
		CHECK_EQ(rig_ask(r, &(struct ask){0}), 401);
		struct ask a = {.cseq = 2, .user = "100", .password = "secret100"};
		struct st_mem *disk = r->disk;
		st_mem_delay(disk, ms < 6 ? 10000000 : 5000); /* 10 s: no answer while we wait */
		unsigned status = rig_ask(r, &a);
		CHECK_EQ(status, ms < 6 ? 0 : 200);
		rig_free(r, false);
	}
}

TEST_NO_OOM(an_instance_comes_back)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_register(
			 r, &(struct ask){.contact = MORE(
						  "Contact: <sip:100@192.0.2.9>;+sip.instance=\""
						  "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"
						  "\";reg-id=1;methods=\"INVITE, BYE\"")}),
		 200);
	CHECK_STR_EQ(rig_contacts(r),
		     STR("<sip:100@192.0.2.9>;expires=3600;+sip.instance=\""
			 "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\";reg-id=1"));
	rig_free(r, false);
}

#define INSTANCE      "+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\""
#define OUTBOUND      "Supported: path, outbound\r\n"
#define FLOW(uri, id) "Contact: <" uri ">;" INSTANCE ";reg-id=" id "\r\n"

/* [RFC5626 6]: the same flow with another URI replaces the old one; another flow stands beside it,
 * even with the same URI. */
TEST_NO_OOM(flows)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_register(r, &(struct ask){.contact = FLOW("sip:100@192.0.2.9", "1"),
					       .more = OUTBOUND}),
		 200);
	CHECK_STR(rig_hdr(r, SIP_HDR_REQUIRE), "outbound");
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 10,
					       .contact = FLOW("sip:100@192.0.2.9:5070", "1"),
					       .more = OUTBOUND}),
		 200);
	CHECK_STR(rig_contacts(r), "<sip:100@192.0.2.9:5070>;expires=3600;" INSTANCE ";reg-id=1");
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 20,
					       .contact = FLOW("sip:100@192.0.2.9:5070", "2"),
					       .more = OUTBOUND}),
		 200);
	CHECK_STR(rig_contacts(r), "<sip:100@192.0.2.9:5070>;expires=3600;" INSTANCE ";reg-id=1 | "
				   "<sip:100@192.0.2.9:5070>;expires=3600;" INSTANCE ";reg-id=2");
	/* a phone that does not ask for it is not told; what it registers is a flow all the same */
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 30,
					       .contact = FLOW("sip:100@192.0.2.9:5080", "2")}),
		 200);
	CHECK_EQ(rig_hdr(r, SIP_HDR_REQUIRE).n, 0);
	CHECK_STR(rig_contacts(r), "<sip:100@192.0.2.9:5070>;expires=3600;" INSTANCE ";reg-id=1 | "
				   "<sip:100@192.0.2.9:5080>;expires=3600;" INSTANCE ";reg-id=2");
	rig_free(r, false);
}

/* [RFC5626 6, 11.6] */
TEST_NO_OOM(flows_behind_a_proxy)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_register(r, &(struct ask){.contact = FLOW("sip:100@10.1.1.1", "1"),
					       .more = OUTBOUND "Path: <sip:edge.example;lr>\r\n"}),
		 439);
	CHECK_EQ(rig_code(r), 3012);
	/* who does not count on it registers as ever */
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 10,
					       .contact = FLOW("sip:100@10.1.1.1", "1"),
					       .more = "Path: <sip:edge.example;lr>\r\n"}),
		 200);
	CHECK_STR(rig_contacts(r), "<sip:100@10.1.1.1>;expires=3600;" INSTANCE);
	CHECK_EQ(rig_register(
			 r, &(struct ask){.cseq = 20,
					  .contact = FLOW("sip:100@10.1.1.1", "1"),
					  .more = OUTBOUND "Path: <sip:x@edge.example;lr;ob>\r\n"}),
		 200);
	CHECK_STR(rig_hdr(r, SIP_HDR_REQUIRE), "outbound");
	CHECK_STR(rig_contacts(r), "<sip:100@10.1.1.1>;expires=3600;" INSTANCE ";reg-id=1");
	/* one flow at a time */
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 30,
					       .contact = FLOW("sip:100@10.1.1.1", "1")
						       FLOW("sip:100@10.1.1.2", "2"),
					       .more = OUTBOUND "Path: <sip:e.example;lr;ob>\r\n"}),
		 400);
	CHECK_EQ(rig_code(r), 3013);
	/* without an instance there is no flow */
	CHECK_EQ(rig_register(r,
			      &(struct ask){.cseq = 40,
					    .contact = "Contact: <sip:100@192.0.2.9>;reg-id=1\r\n",
					    .more = OUTBOUND}),
		 200);
	CHECK_EQ(rig_hdr(r, SIP_HDR_REQUIRE).n, 0);
	rig_free(r, false);
}

/* [RFC5627 5.1, 5.2] */
TEST_NO_OOM(gruus)
{
	struct rig *r = rig_new(1, NULL);
	struct ask ask = {.contact = "Contact: <sip:100@192.0.2.9>;" INSTANCE "\r\n",
			  .more = "Supported: gruu\r\n"};
	char first[600], second[600];
	CHECK_EQ(rig_register(r, &ask), 200);
	CHECK(str_copy(first, sizeof(first), rig_contacts(r)));
	CHECK(strstr(first, ";pub-gruu=\"sip:100@192.0.2.1;gr="
			    "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\""));
	CHECK(strstr(first, ";temp-gruu=\"sip:tgruu."));
	ask.cseq = 10;
	CHECK_EQ(rig_register(r, &ask), 200);
	CHECK(str_copy(second, sizeof(second), rig_contacts(r)));
	CHECK(strcmp(first, second) != 0); /* a new temporary one each time */
	ask.cseq = 20;
	ask.more = NULL;
	CHECK_EQ(rig_register(r, &ask), 200);
	CHECK(str_find(rig_contacts(r), STR("gruu")) == SIZE_MAX);
	/* those that a phone writes itself are nothing [RFC5627 5.1] */
	ask.cseq = 25;
	ask.more = "Supported: gruu\r\n";
	ask.contact = "Contact: <sip:100@192.0.2.9>;" INSTANCE ";pub-gruu=\"sip:evil@x;gr=1\""
		      ";temp-gruu=\"sip:evil@x;gr\"\r\n";
	CHECK_EQ(rig_register(r, &ask), 200);
	CHECK(str_find(rig_contacts(r), STR("evil")) == SIZE_MAX);
	CHECK(str_find(rig_contacts(r), STR(";pub-gruu=\"sip:100@")) != SIZE_MAX);
	ask.more = NULL;
	/* its own address as a Contact would be a circle */
	ask.cseq = 30;
	ask.contact = "Contact: <sip:100@192.0.2.1;transport=udp>;" INSTANCE "\r\n";
	CHECK_EQ(rig_register(r, &ask), 403);
	CHECK_EQ(rig_code(r), 3014);
	ask.cseq = 40;
	ask.contact = "Contact: <sip:tgruu.abc@192.0.2.1;gr>;" INSTANCE "\r\n";
	CHECK_EQ(rig_register(r, &ask), 403);
	ask.cseq = 50;
	ask.contact = "Contact: <tel:+4989>;" INSTANCE "\r\n";
	CHECK_EQ(rig_register(r, &ask), 403);
	CHECK_EQ(rig_code(r), 3015);
	rig_free(r, false);
}
