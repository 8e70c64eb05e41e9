/* The book of bans: points, decay, and bounds. What whole exchanges do with it is in
 * tests/sim/abuse.c. */
#include "service/ban.h"

#include "base/limits.h"
#include "registrar_rig.h"
#include "test.h"

#include <stdio.h>

static struct ban *book(struct rig *r)
{
	struct ban_cfg cfg = {.key = "0123456789abcde"};
	struct ban *b = NULL;
	CHECK_EQ(ban_new(r->shards, r->st, r->acc, &cfg, &b), OK);
	return b;
}

static struct ban_sight from(const char *ip)
{
	struct ban_sight by = {
		.user = STR("1001"), .agent = STR("x\x1b[2J"), .request = STR("REGISTER")};
	CHECK(addr_parse(str_c(ip), 5060, &by.from));
	return by;
}

static void deeds(struct ban *b, enum ban_deed what, const char *ip, unsigned n)
{
	struct ban_sight by = from(ip);
	while (n--)
		ban_deed(b, 0, what, &by);
}

static bool may(struct ban *b, const char *ip, bool is_stream)
{
	struct ban_sight by = from(ip);
	return ban_may(b, 0, &by.from, is_stream);
}

TEST(points_decay)
{
	struct rig *r = rig_new(1, NULL);
	struct ban *b = book(r);
	for (unsigned i = 0; i < 60; i++) { /* once a minute for an hour */
		deeds(b, BAN_PASSWORD, "192.0.2.7", 1);
		rig_run_s(r, 60);
	}
	CHECK(may(b, "192.0.2.7", false));
	deeds(b, BAN_PASSWORD, "192.0.2.7", 10);
	rig_run_s(r, 1);
	CHECK(!may(b, "192.0.2.7", false));
	CHECK(may(b, "192.0.2.7", true));
	CHECK(may(b, "192.0.2.8", false));
	rig_run_s(r, 61);
	CHECK(may(b, "192.0.2.7", false));
	ban_free(b);
	rig_free(r, false);
}

/* A host has all addresses of its /64. */
TEST(ipv6_is_judged_by_its_64)
{
	struct rig *r = rig_new(1, NULL);
	struct ban *b = book(r);
	char ip[40];
	for (unsigned i = 0; i < 12; i++) {
		snprintf(ip, sizeof(ip), "2001:db8::%x", i + 1);
		deeds(b, BAN_UNKNOWN, ip, 1);
	}
	rig_run_s(r, 1);
	CHECK(!may(b, "2001:db8::ffff", false));
	CHECK(may(b, "2001:db8:0:1::1", false));
	CHECK_EQ(ban_del(b, STR("2001:db8::/64")), 1);
	CHECK(may(b, "2001:db8::1", false));
	ban_free(b);
	rig_free(r, false);
}

static bool is_masked(void *arg, const struct ban_row *row)
{
	*(bool *)arg = str_chr(row->agent, 0x1b) == SIZE_MAX && row->agent.n > 0;
	return true;
}

TEST(what_peers_say_is_masked)
{
	struct rig *r = rig_new(1, NULL);
	struct ban *b = book(r);
	bool is_ok = false;
	deeds(b, BAN_SCANNER, "192.0.2.7", 1);
	rig_run_s(r, 1);
	ban_each(b, is_masked, &is_ok);
	CHECK(is_ok);
	ban_free(b);
	rig_free(r, false);
}

/* Three times as many addresses as the book holds: bounded, and those that are banned stay. */
TEST_NO_OOM(many_addresses_are_bounded)
{
	struct rig *r = rig_new(1, NULL);
	struct ban *b = book(r);
	struct ban_stats stats;
	char ip[40];
	deeds(b, BAN_SCANNER, "203.0.113.9", 1);
	rig_run_s(r, 1);
	for (unsigned i = 0; i < 3 * LIMIT_SUSPECTS; i++) {
		snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		deeds(b, BAN_MALFORMED, ip, 1);
	}
	rig_run_s(r, 1);
	ban_stats(b, &stats);
	CHECK(stats.n_suspects <= LIMIT_SUSPECTS);
	CHECK(stats.n_suspects > LIMIT_SUSPECTS / 2);
	CHECK_EQ(stats.n_banned, 1);
	CHECK(!may(b, "203.0.113.9", false));
	for (unsigned i = 0; i < 2 * LIMIT_SUSPECTS; i++) { /* all of them banned */
		snprintf(ip, sizeof(ip), "11.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		deeds(b, BAN_SCANNER, ip, 1);
	}
	rig_run_s(r, 1);
	ban_stats(b, &stats);
	CHECK(stats.n_suspects <= LIMIT_SUSPECTS);
	rig_run_s(r, 61);
	ban_stats(b, &stats);
	CHECK_EQ(stats.n_banned, 0);
	ban_free(b);
	rig_free(r, false);
}

TEST(networks_by_hand_are_bounded)
{
	struct rig *r = rig_new(1, NULL);
	struct ban *b = book(r);
	const char *why;
	char net[40];
	for (unsigned i = 0; i < LIMIT_BAN_NETS; i++) {
		snprintf(net, sizeof(net), "10.%u.0.0/16", i);
		CHECK_EQ(ban_add(b, str_c(net), 0, STR_NONE, &why), OK);
	}
	CHECK_EQ(ban_add(b, STR("11.0.0.0/8"), 0, STR_NONE, &why), ERR_LIMIT);
	CHECK(!may(b, "10.3.4.5", true));
	CHECK_EQ(ban_del(b, STR("all")), LIMIT_BAN_NETS);
	CHECK(may(b, "10.3.4.5", true));
	ban_free(b);
	rig_free(r, false);
}
