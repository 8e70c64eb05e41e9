/* The routing policy beyond its pages: without memory, with a hundred thousand numbers, with times
 * and patterns at their edges, and what `rung check` prints. [RFC2782] */
#include "policy/decide.h"
#include "policy/plan_priv.h"
#include "policy/schema.h"

#include "test.h"

#include <stdio.h>

static struct pol_config *load(struct str text)
{
	struct pol_config *c = NULL;
	struct pol_diags d;
	struct buf b;
	pol_diags_init(&d);
	buf_init(&b);
	enum err e = pol_load(text, &c, &d);
	pol_diags_put(&d, STR("x"), &b);
	if (e == OK && !b.err)
		CHECK_STR(buf_view(&b), "");
	CHECK(e == OK || e == ERR_NOMEM);
	pol_diags_fini(&d);
	buf_fini(&b);
	return c;
}

static bool yes(void *ctx, struct str user)
{
	return true;
}

static bool up(void *ctx, const struct pol_trunk *t, const struct pol_host *h)
{
	return true;
}

static bool none(void *ctx, const struct sip_uri *u)
{
	return false;
}

static const struct pol_ask ask = {NULL, yes, yes, up, none};

static enum pol_act decide(const struct pol_config *c, const char *to, struct pol_plan *p)
{
	struct pol_request rq = {.who = POL_FROM_USER,
				 .user = STR("1"),
				 .from_user = STR("1"),
				 .to_user = str_c(to),
				 .is_ours = true,
				 .method = STR("INVITE"),
				 .domain = STR("example.com"),
				 .ask = &ask};
	pol_decide(c, &rq, p);
	return p->act;
}

/* Each allocation may fail: an error then, never half a policy. */
TEST(policy_is_read_whole_or_not_at_all)
{
	static struct pol_plan p;
	struct pol_config *c =
		load(STR("domains: [a.example, {name: b.example, mode: b2bua}]\n"
			 "users: {'100': {numbers: ['1', '2'], forward: {busy: g}}}\n"
			 "groups: {g: {members: ['100', {to: '101', at: sat}]}}\n"
			 "trunks: {t: {hosts: [a, {host: b}], sources: 10.0.0.0/8}}\n"
			 "numbers: {'3': g, '4': 'sip:x@y'}\n"
			 "routes:\n"
			 "  - {to: ['0...', '1?0'], header: {Subject: '...x...'},\n"
			 "     number: {'0...': '...'}, trunk: t, set: {X: y}}\n"));
	if (!c)
		return;
	CHECK_EQ(decide(c, "2", &p), POL_SEND);
	CHECK_EQ(p.n_steps, 2);
	CHECK_EQ(decide(c, "4", &p), POL_SEND);
	CHECK_STR(p.targets[0].uri, "sip:x@y");
	pol_free(c);
}

TEST(policy_tells_errors_without_memory)
{
	struct pol_diags d;
	struct pol_config *c = NULL;
	pol_diags_init(&d);
	enum err e =
		pol_load(STR("usres:\nusers: {'1': {forward: anan, aliases: [anna]}}\n"), &c, &d);
	CHECK(e == ERR_SYNTAX || e == ERR_NOMEM);
	CHECK(e == ERR_NOMEM || d.n_errors > 0);
	pol_diags_fini(&d);
}

/* A decision allocates nothing, however many numbers there are. */
TEST_NO_OOM(policy_of_a_hundred_thousand_numbers)
{
	static struct pol_plan p;
	struct buf b;
	buf_init(&b);
	buf_str(&b, STR("users:\n"));
	for (unsigned i = 0; i < 100000; i++)
		buf_fmt(&b, "  \"u%u\": {numbers: [\"+4930%06u\"]}\n", i, i);
	struct pol_config *c = load(buf_view(&b));
	CHECK(c);
	size_t before = test_allocs();
	for (unsigned i = 0; i < 100000; i += 7) {
		char number[16], user[16];
		snprintf(number, sizeof(number), "+4930%06u", i);
		snprintf(user, sizeof(user), "u%u", i);
		CHECK_EQ(decide(c, number, &p), POL_SEND);
		CHECK_STR_EQ(p.targets[0].user, str_c(user));
	}
	CHECK_EQ(test_allocs(), before);
	pol_free(c);
	buf_fini(&b);
}

/* Hosts of one priority get calls by their weights. */
TEST_NO_OOM(policy_shares_by_weight)
{
	static struct pol_plan p;
	struct pol_config *c = load(STR("trunks:\n  t:\n    hosts: [{host: a, weight: 3}, "
					"{host: b, weight: 1}, {host: c, priority: 9}]\n"
					"routes: [{to: '0...', trunk: t}]\n"));
	unsigned n[3] = {0};
	for (uint32_t i = 0; i < 400; i++) {
		struct pol_request rq = {.who = POL_FROM_TRUSTED,
					 .to_user = STR("01"),
					 .is_ours = true,
					 .method = STR("INVITE"),
					 .dice = i * (UINT32_MAX / 400),
					 .domain = STR("x"),
					 .ask = &ask};
		pol_decide(c, &rq, &p);
		CHECK_EQ(p.n_steps, 3);
		n[p.targets[0].uri.p[p.targets[0].uri.n - 1] - 'a']++;
		CHECK_STR(p.targets[2].uri, "sip:01@c");
	}
	CHECK(n[0] >= 299 && n[0] <= 301);
	CHECK_EQ(n[0] + n[1], 400);
	pol_free(c);
}

TEST(policy_times)
{
	struct pol_when w;
	CHECK(pol_when_make(STR("mon-fri 08:00-18:00"), &w));
	CHECK_EQ(w.days, 0x3e);
	CHECK_EQ(w.from_min, 480);
	CHECK_EQ(w.to_min, 1080);
	CHECK(pol_when_make(STR("sat-mon"), &w));
	CHECK_EQ(w.days, 0x43);
	CHECK_EQ(w.to_min, 1440);
	CHECK(pol_when_make(STR("2026-12-24 08:00-24:00"), &w));
	CHECK_EQ(w.date, 20261224);
	CHECK(pol_when_make(STR("Sun Sat"), &w));
	CHECK_EQ(w.days, 0x41);
	static const char *const bad[] = {"",        " ",           "mon-",       "8-18",
					  "08:00",   "24:01-24:02", "2026-13-01", "08:00-",
					  "mon-fir", "08:60-09:00"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!pol_when_make(str_c(bad[i]), &w));
}

/* What is written as the end is outside. */
TEST(policy_hours)
{
	static const struct {
		uint16_t minute;
		bool is_open;
	} row[] = {
		{479,  false},
                {480,  true },
                {1079, true },
                {1080, false}
        };
	struct pol_whens whens = {0};
	struct pol_when w;
	CHECK(pol_when_make(STR("mon-fri 08:00-18:00"), &w));
	whens.v = &w;
	whens.n = 1;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		CHECK_EQ(pol_is_now(&whens, &(struct pol_clock){.day = 1, .minute = row[i].minute}),
			 row[i].is_open);
}

/* The night belongs to the day on which it began. */
TEST_NO_OOM(policy_night)
{
	static struct pol_plan p;
	struct pol_config *c = load(STR("routes: [{to: '1', at: 'fri 22:00-06:00', reject: 480}]"));
	static const struct {
		uint8_t day;
		uint16_t minute;
		bool is_night;
	} row[] = {
		{5, 1320, true },
		{5, 1319, false},
		{5, 100,  false},
		{6, 359,  true },
		{6, 360,  false}
        };
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pol_request rq = {
			.who = POL_FROM_TRUSTED,
			.to_user = STR("1"),
			.is_ours = true,
			.method = STR("INVITE"),
			.at = {.day = row[i].day, .minute = row[i].minute},
			.domain = STR("x"),
			.ask = &ask
                };
		pol_decide(c, &rq, &p);
		CHECK_EQ(p.act, row[i].is_night ? POL_REJECT : POL_SEND);
	}
	pol_free(c);
}

TEST(policy_seconds)
{
	uint32_t s;
	CHECK(pol_value_seconds(STR("90"), &s));
	CHECK_EQ(s, 90);
	CHECK(pol_value_seconds(STR("2m"), &s));
	CHECK_EQ(s, 120);
	CHECK(pol_value_seconds(STR("1h"), &s));
	CHECK_EQ(s, 3600);
	CHECK(!pol_value_seconds(STR("s"), &s));
	CHECK(!pol_value_seconds(STR("1.5s"), &s));
	CHECK(!pol_value_seconds(STR("-1"), &s));
	CHECK(!pol_value_seconds(STR("4000000000"), &s));
}

/* Nesting and size are bounded. */
TEST_NO_OOM(policy_tree_is_bounded)
{
	struct pol_diags d;
	struct pol_config *c = NULL;
	struct buf b;
	buf_init(&b);
	buf_fill(&b, '[', 100);
	pol_diags_init(&d);
	CHECK_EQ(pol_load(buf_view(&b), &c, &d), ERR_SYNTAX);
	CHECK_STR(d.first->text, "nested too deep");
	pol_diags_fini(&d);
	buf_clear(&b);
	for (unsigned i = 0; i < 1000; i++)
		buf_fmt(&b, "k%u: x\n", i);
	pol_diags_init(&d);
	CHECK_EQ(pol_load(buf_view(&b), &c, &d), ERR_SYNTAX);
	CHECK_EQ(d.n_errors, POL_MAX_DIAGS);
	pol_diags_fini(&d);
	buf_fini(&b);
}
