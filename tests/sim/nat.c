/* Our own phones behind a NAT, with nothing configured anywhere: registered, called, calling; the
 * mapping kept open, and found again after the router was switched off [RFC3581] [RFC5626]. */
#include "stage.h"

#include <string.h>

#define MINUTE 60.0

static struct sim_nat *nat_of(struct stage *s, const char *outside, double idle_s)
{
	struct sim_nat *n = NULL;
	struct addr a;
	CHECK(addr_parse(str_c(outside), 0, &a));
	CHECK_EQ(sim_nat_new(s->sim, &a, (uint64_t)(idle_s * 1e6), &n), OK);
	return n;
}

/* from calls to: rings, is answered, and both have heard of the end. */
static void check_call(struct stage *s, struct stage_phone *from, struct stage_phone *to)
{
	struct ph_plan plan;
	unsigned n_from = from->n_ended, n_to = to->n_ended, n_answered = to->n_answered;
	ph_plan_init(&plan);
	plan.hangup_s = 2;
	stage_call(from, to->user, &plan);
	stage_run(s, 20);
	CHECK_EQ(from->n_ended, n_from + 1);
	CHECK_EQ(to->n_ended, n_to + 1);
	CHECK_EQ(to->n_answered, n_answered + 1);
}

static void check_both_ways(enum tp_proto proto, double idle_s)
{
	struct stage *s = stage_new(7, 2, NULL);
	struct sim_nat *home = nat_of(s, "203.0.113.5", idle_s),
		       *office = nat_of(s, "198.51.100.7", idle_s);
	struct stage_phone *a = stage_phone(s, "1001", proto), *b = stage_phone(s, "1002", proto);
	sim_nat_add(home, a->sim_host);
	sim_nat_add(office, b->sim_host);
	stage_register(s, a);
	stage_register(s, b);
	check_call(s, a, b);
	check_call(s, b, a);
	/* half an hour of silence: only keep-alives hold the mapping */
	stage_run(s, 30 * MINUTE);
	CHECK_EQ(a->n_registered, 1);
	check_call(s, a, b);
	check_call(s, b, a);
	stage_free(s);
}

TEST_NO_OOM(nat_udp)
{
	check_both_ways(TP_UDP, 40);
}

TEST_NO_OOM(nat_tcp)
{
	check_both_ways(TP_TCP, 300);
}

TEST_NO_OOM(nat_ws)
{
	check_both_ways(TP_WS, 300);
}

/* The router forgets all: the next sign of life comes from another address, and the phone registers
 * again by itself. */
TEST_NO_OOM(nat_that_was_switched_off)
{
	struct stage *s = stage_new(8, 1, NULL);
	struct sim_nat *home = nat_of(s, "203.0.113.5", 40);
	struct stage_phone *a = stage_phone(s, "1001", TP_UDP), *b = stage_phone(s, "1002", TP_UDP);
	sim_nat_add(home, a->sim_host);
	stage_register(s, a);
	stage_register(s, b);
	stage_run(s, MINUTE);
	sim_nat_restart(home);
	CHECK_EQ(a->n_registered, 1);
	stage_run(s, 35);
	CHECK_EQ(a->n_registered, 2);
	check_call(s, b, a);
	stage_free(s);
}

/* A server that is gone is noticed long before the registration would be refreshed. */
TEST_NO_OOM(nat_and_a_server_that_was_restarted)
{
	struct stage *s = stage_new(9, 2, NULL);
	struct sim_nat *home = nat_of(s, "203.0.113.5", 40);
	struct stage_phone *a = stage_phone(s, "1001", TP_UDP), *b = stage_phone(s, "1002", TP_UDP);
	sim_nat_add(home, a->sim_host);
	stage_register(s, a);
	stage_register(s, b);
	stage_run(s, 10);
	stage_crash(s);
	stage_open_exchange(s);
	stage_run(s, 5); /* the mapping is still there, and so is the binding */
	check_call(s, b, a);
	stage_free(s);
}

/* An IPv6 phone and an IPv4 phone, by UDP and TCP, call each other. */
TEST_NO_OOM(phones_of_both_families)
{
	struct stage *s = stage_new(10, 2, NULL);
	stage_listen6(s);
	struct stage_phone *four = stage_phone(s, "1001", TP_UDP),
			   *six = stage_phone6(s, "1002", TP_UDP),
			   *tcp = stage_phone6(s, "1003", TP_TCP);
	stage_register(s, four);
	stage_register(s, six);
	stage_register(s, tcp);
	check_call(s, four, six);
	check_call(s, six, four);
	check_call(s, tcp, six);
	check_call(s, four, tcp);
	stage_free(s);
}
