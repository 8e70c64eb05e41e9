/* A routing decision: a policy of an office with 1,000 users, and rules, of which the last one
 * fits.
 */
#include "bench.h"
#include "policy/decide.h"

#include <stdio.h>
#include <stdlib.h>

#define USERS      1000
#define RULES      20
#define FRONT_DESK 999

struct rig {
	struct pol_config *policy;
	struct pol_request user, trunk;
	struct pol_plan plan;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_policy: %s\n", what);
	exit(1);
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

static void load(struct rig *r)
{
	struct buf text;
	struct pol_diags d;
	buf_init(&text);
	pol_diags_init(&d);
	buf_str(&text, STR("users:\n  '999': {}\n"));
	for (int i = 0; i < USERS; i++)
		buf_fmt(&text, "  '%d': {numbers: ['0221%d'], forward: {busy: '%d'}}\n", 1000 + i,
			1000 + i, FRONT_DESK);
	buf_str(&text, STR("trunks: {main: {hosts: [192.0.2.7]}}\nroutes:\n"));
	for (int i = 0; i < RULES; i++)
		buf_fmt(&text, "  - {to: '%s%d...', number: {'0...': '+49...'}, trunk: main}\n",
			i == RULES - 1 ? "01" : "09", 10 + i);
	if (text.err || pol_load(buf_view(&text), &r->policy, &d)) {
		struct buf why;
		buf_init(&why);
		pol_diags_put(&d, STR("policy"), &why);
		die(buf_cstr(&why));
	}
	pol_diags_fini(&d);
	buf_fini(&text);
}

static void decide(struct rig *r, const struct pol_request *rq, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		pol_decide(r->policy, rq, &r->plan);
		if (r->plan.act != POL_SEND)
			die("not sent");
	}
}

static void to_user(void *arg, uint64_t n)
{
	struct rig *r = arg;
	decide(r, &r->user, n);
}

static void to_trunk(void *arg, uint64_t n)
{
	struct rig *r = arg;
	decide(r, &r->trunk, n);
}

void bench_main(void)
{
	static struct rig r;
	load(&r);
	r.user = (struct pol_request){.who = POL_FROM_USER,
				      .user = STR("1000"),
				      .from_user = STR("1000"),
				      .to_user = STR("02211500"),
				      .is_ours = true,
				      .method = STR("INVITE"),
				      .domain = STR("example.com"),
				      .ask = &ask};
	r.trunk = r.user;
	r.trunk.to_user = STR("01291234567");
	bench_run(&(struct bench){.name = "routing decision, a user by number",
				  .fn = to_user,
				  .arg = &r,
				  .budget_ns = 1500});
	bench_run(&(struct bench){.name = "routing decision, a trunk by the 20th rule",
				  .fn = to_trunk,
				  .arg = &r,
				  .budget_ns = 2500});
	pol_free(r.policy);
}
