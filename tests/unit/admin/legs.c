/* Legs of calls through the back-to-back user agent: one record, whoever of them ends first, and
 * whatever becomes of the others. */
#include "admin/legs.h"
#include "admin/record.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1'000'000ull

enum { CALLER = 1, US = 2, PHONE = 10 };

struct rig {
	struct trk *t;
	struct adm_legs *legs;
	uint64_t now;
	char mem[4000];
	struct buf told;
};

static bool tell(void *arg, const struct trk_call *c, const struct vrd *v)
{
	struct rig *r = arg;
	struct st_cdr row;
	struct buf texts, more;
	if (adm_legs_judged(r->legs, r->t, c, v))
		return false;
	buf_init(&texts);
	buf_init(&more);
	adm_record(&row, &texts, r->t, c, v);
	adm_legs_record(r->legs, r->t, c, v, &row, &more);
	buf_fmt(&r->told, STR_FMT "(" STR_FMT ") " STR_FMT " %s " STR_FMT "\n", STR_ARG(c->call_id),
		STR_ARG(row.v[ST_CDR_legs].s), STR_ARG(row.v[ST_CDR_answered_at].s),
		row.v[ST_CDR_severity].s.p, STR_ARG(row.v[ST_CDR_verdict].s));
	buf_fini(&texts);
	buf_fini(&more);
	return true;
}

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	(void)tell(arg, c, v);
}

static bool rig_init(struct rig *r)
{
	struct trk_cfg cfg = {
		.is_live = true, .is_listed = true, .on_verdict = on_verdict, .arg = r};
	*r = (struct rig){.now = SECOND};
	buf_init_fixed(&r->told, r->mem, sizeof(r->mem));
	r->t = trk_new(&cfg);
	if (r->t && adm_legs_new(&r->legs) == OK)
		return true;
	if (r->t)
		trk_free(r->t);
	return false;
}

static void rig_fini(struct rig *r)
{
	adm_legs_free(r->legs);
	trk_free(r->t);
}

/* A message of `id` between two hosts, callers having the smaller number; its CSeq is 1 for INVITE,
 * 2 for BYE. */
static void pass(struct rig *r, const char *id, unsigned from, unsigned to, const char *start,
		 const char *method, bool has_tag)
{
	char text[600];
	bool is_callees = method[0] == 'B' && (from > to) == (start[0] == 'B');
	const char *tag = is_callees ? ";tag=f" : has_tag ? ";tag=t" : "";
	snprintf(text, sizeof(text),
		 "%s\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%s%s\r\nFrom: <sip:a@h>;tag=%s\r\n"
		 "To: <sip:b@h>%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\nContent-Length: 0\r\n\r\n",
		 start, id, method, is_callees ? "t" : "f", tag, id, method[0] == 'I' ? 1 : 2,
		 method);
	struct trk_packet p = {
		.at_us = r->now += 1000,
		.from = {.family = ADDR_V4, .ip = {10, 0, 0, (uint8_t)from}, .port = 5060},
		.to = {.family = ADDR_V4, .ip = {10, 0, 0, (uint8_t)to},   .port = 5060},
		.bytes = str_c(text)
        };
	enum err e = trk_message(r->t, &p, NULL);
	(void)e;
}

static void invite(struct rig *r, const char *id, unsigned from, unsigned to)
{
	pass(r, id, from, to, "INVITE sip:b@h SIP/2.0", "INVITE", false);
}

static void answer(struct rig *r, const char *id, unsigned from, unsigned to, const char *status)
{
	char start[64];
	snprintf(start, sizeof(start), "SIP/2.0 %s", status);
	pass(r, id, from, to, start, "INVITE", true);
}

static void bye(struct rig *r, const char *id, unsigned from, unsigned to)
{
	pass(r, id, from, to, "BYE sip:b@h SIP/2.0", "BYE", true);
	pass(r, id, to, from, "SIP/2.0 200 OK", "BYE", true);
}

static void wait(struct rig *r, uint64_t us)
{
	trk_tick(r->t, r->now += us);
}

/* A calls; legs B1 and B2 ring, B2 answers. */
static void set_up(struct rig *r)
{
	invite(r, "A", CALLER, US);
	adm_legs_add(r->legs, r->t, STR("A"), STR("B1"));
	invite(r, "B1", US, PHONE + 1);
	invite(r, "B2", US, PHONE + 2); /* the note may come behind the INVITE */
	adm_legs_add(r->legs, r->t, STR("A"), STR("B2"));
	answer(r, "B2", PHONE + 2, US, "200 OK");
	answer(r, "A", US, CALLER, "200 OK");
	answer(r, "B1", PHONE + 1, US, "480 Temporarily Unavailable");
	wait(r, 20 * SECOND);
}

static void check_told(struct rig *r, const char *want)
{
	CHECK_STR_EQ(buf_view(&r->told), str_c(want));
	wait(r, 300 * SECOND);
	CHECK_STR_EQ(buf_view(&r->told), str_c(want)); /* and nothing more */
	invite(r, "other", CALLER, US);
	adm_legs_add(r->legs, r->t, STR("other"), STR("gone"));
}

/* Without memory for it a leg is a call like any other; nothing breaks. */
TEST(legs_without_memory)
{
	struct rig r;
	for (int is_caller = 0; is_caller < 2; is_caller++) {
		if (!rig_init(&r))
			return;
		set_up(&r);
		if (is_caller) {
			bye(&r, "A", CALLER, US);
			wait(&r, SECOND); /* A is judged while B2 is still to be ended */
			bye(&r, "B2", US, PHONE + 2);
		} else {
			bye(&r, "B2", PHONE + 2, US);
			wait(&r, SECOND);
			bye(&r, "A", US, CALLER);
		}
		wait(&r, SECOND);
		rig_fini(&r);
	}
}

TEST_NO_OOM(legs_make_one_record)
{
	struct rig r;
	CHECK(rig_init(&r));
	set_up(&r);
	CHECK_STR(adm_legs_root(r.legs, STR("B2")), "A");
	CHECK_STR(adm_legs_root(r.legs, STR("A")), "A");
	CHECK_STR(adm_legs_talking(r.legs, r.t, trk_find(r.t, STR("A")))->call_id, "B2");
	bye(&r, "B2", PHONE + 2, US);
	wait(&r, 100'000);
	bye(&r, "A", US, CALLER);
	wait(&r, SECOND);
	check_told(&r,
		   "A(B1 B2) 10.0.0.12:5060 ok answered after 0.004 s, talked 20.1 s, the callee "
		   "hung up\n");
	CHECK_EQ(adm_legs_n(r.legs), 1);
	rig_fini(&r);
}

/* The caller's side is recorded first: the leg is looked at where it stands. */
TEST_NO_OOM(legs_that_end_after_their_call)
{
	struct rig r;
	CHECK(rig_init(&r));
	set_up(&r);
	bye(&r, "A", CALLER, US);
	pass(&r, "B2", US, PHONE + 2, "BYE sip:b@h SIP/2.0", "BYE", true);
	wait(&r, SECOND / 2);                            /* its BYE may yet be answered */
	CHECK_STR(adm_legs_root(r.legs, STR("B2")), ""); /* ending */
	check_told(&r,
		   "A(B1 B2) 10.0.0.12:5060 ok answered after 0.004 s, talked 20.0 s, the caller "
		   "hung up\n");
	CHECK_EQ(adm_legs_n(r.legs), 1);
	rig_fini(&r);
}

/* Nobody answers, and one phone is dead: that is why. */
TEST_NO_OOM(legs_of_a_refused_call)
{
	struct rig r;
	CHECK(rig_init(&r));
	invite(&r, "A", CALLER, US);
	adm_legs_add(r.legs, r.t, STR("A"), STR("B"));
	for (int i = 0; i < 4; i++)
		invite(&r, "B", US, PHONE);
	answer(&r, "A", US, CALLER, "408 Request Timeout");
	wait(&r, SECOND);
	struct str told = buf_view(&r.told);
	CHECK(str_starts(told, STR("A(B)  fault ")));
	CHECK(str_find(told, STR("; towards the callee: 10.0.0.10:5060 never answered")) !=
	      SIZE_MAX);
	rig_fini(&r);
}

/* A calls B by an exchange that is killed and begins again, before or after B's answer. */
static void cut(struct rig *r, bool is_answered)
{
	CHECK(rig_init(r));
	invite(r, "A", CALLER, US);
	adm_legs_add(r->legs, r->t, STR("A"), STR("B"));
	invite(r, "B", US, PHONE);
	if (is_answered) {
		answer(r, "B", PHONE, US, "200 OK");
		answer(r, "A", US, CALLER, "200 OK");
	}
	wait(r, SECOND);
	adm_legs_cut(r->legs, r->t, r->now);
	wait(r, SECOND);
}

/* The caller, who has heard nothing, sends his INVITE again, and talks. */
static void go_on(struct rig *r)
{
	invite(r, "A", CALLER, US);
	adm_legs_add(r->legs, r->t, STR("A"), STR("B2"));
	invite(r, "B2", US, PHONE);
	answer(r, "B2", PHONE, US, "200 OK");
	answer(r, "A", US, CALLER, "200 OK");
	wait(r, 100 * SECOND);
	bye(r, "A", CALLER, US);
	bye(r, "B2", US, PHONE);
	wait(r, SECOND);
}

TEST_NO_OOM(legs_of_a_call_that_was_cut)
{
	struct rig r;
	cut(&r, false);
	wait(&r, 38 * SECOND);
	check_told(&r, "A(B)  warning without an answer for 1.0 s; a restart of the exchange ended "
		       "it; towards the callee: without an answer for 1.0 s; a restart of the "
		       "exchange ended it\n");
	rig_fini(&r);
	cut(&r, false);
	go_on(&r);
	check_told(&r, "A(B B2) 10.0.0.10:5060 ok answered after 0.003 s, talked 1 min 40 s, the "
		       "caller hung up\n");
	rig_fini(&r);
	cut(&r, true);
	go_on(&r);
	check_told(&r,
		   "A(B) 10.0.0.10:5060 warning answered after 0.003 s, up for 1.0 s; a restart of "
		   "the exchange ended it\n"
		   "A(B2) 10.0.0.10:5060 ok answered after 0.003 s, talked 1 min 40 s, the "
		   "caller hung up\n");
	rig_fini(&r);
}

/* A branch to a phone that is silent, of a call that another one has taken. */
static void branch(struct rig *r)
{
	static const struct str invite =
		STR_INIT("INVITE x SIP/2.0\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKout\r\n"
			 "Via: SIP/2.0/UDP h;branch=z9hG4bKAINVITE\r\nFrom: <sip:a@h>;tag=f\r\n"
			 "To: <sip:b@h>\r\nCall-ID: A\r\nCSeq: 1 INVITE\r\n"
			 "Content-Length: 0\r\n\r\n");
	struct trk_packet p = {
		.at_us = r->now += 1000,
		.from = {.family = ADDR_V4, .ip = {10, 0, 0, US},    .port = 5060},
		.to = {.family = ADDR_V4, .ip = {10, 0, 0, PHONE}, .port = 5060},
		.bytes = invite
        };
	enum err e = trk_message(r->t, &p, NULL);
	(void)e;
}

TEST_NO_OOM(branch_that_is_repeated_after_the_end)
{
	struct rig r;
	CHECK(rig_init(&r));
	invite(&r, "A", CALLER, US);
	branch(&r);
	answer(&r, "A", US, CALLER, "200 OK");
	bye(&r, "A", CALLER, US);
	wait(&r, 4 * SECOND);
	branch(&r);
	wait(&r, 8 * SECOND);
	branch(&r);
	wait(&r, 300 * SECOND);
	struct str told = buf_view(&r.told);
	CHECK(str_starts(told, STR("A() ")));
	CHECK_EQ(str_find(told, STR("\n")), told.n - 1);
	CHECK(!trk_find(r.t, STR("A")));
	rig_fini(&r);
}

/* A transfer by the caller: A leaves, B and C talk on, and are the second call. */
TEST_NO_OOM(legs_that_go_on_are_a_call)
{
	struct rig r;
	CHECK(rig_init(&r));
	set_up(&r);
	adm_legs_add(r.legs, r.t, STR("B2"), STR("C"));
	invite(&r, "C", US, PHONE + 3);
	answer(&r, "C", PHONE + 3, US, "200 OK");
	bye(&r, "A", CALLER, US);
	wait(&r, 5 * SECOND);
	CHECK_STR(adm_legs_root(r.legs, STR("C")), "B2");
	CHECK_STR(adm_legs_root(r.legs, STR("B2")), "B2");
	bye(&r, "C", PHONE + 3, US);
	bye(&r, "B2", US, PHONE + 2);
	wait(&r, SECOND);
	check_told(&r, "A(B1) 10.0.0.12:5060 ok answered after 0.004 s, talked 20.0 s, the caller "
		       "hung up\n"
		       "B2(C) 10.0.0.13:5060 ok answered after 0.001 s, talked 25.0 s, the caller "
		       "hung up\n");
	rig_fini(&r);
}

/* A and B2 talk, C (a call of B2's) and D do: B2 joins A and D, and leaves both of his calls;
 * whichever of the two is told to be the other's. */
static void join_legs(struct str of, struct str leg)
{
	struct rig r;
	CHECK(rig_init(&r));
	set_up(&r);
	invite(&r, "C", PHONE + 2, US);
	adm_legs_add(r.legs, r.t, STR("C"), STR("D"));
	invite(&r, "D", US, PHONE + 3);
	answer(&r, "D", PHONE + 3, US, "200 OK");
	answer(&r, "C", US, PHONE + 2, "200 OK");
	adm_legs_add(r.legs, r.t, of, leg);
	CHECK_STR(adm_legs_root(r.legs, STR("D")), "C");
	bye(&r, "C", US, PHONE + 2);
	bye(&r, "B2", US, PHONE + 2);
	wait(&r, 5 * SECOND);
	CHECK_STR(adm_legs_root(r.legs, STR("D")), "A");
	bye(&r, "D", PHONE + 3, US);
	bye(&r, "A", US, CALLER);
	wait(&r, SECOND);
	struct str told = buf_view(&r.told);
	CHECK(str_starts(told, STR("C() 10.0.0.13:5060 ok answered ")));
	CHECK(str_find(told, STR("\nA(B1 B2 D) 10.0.0.12:5060 ok answered ")) != SIZE_MAX);
	rig_fini(&r);
}

TEST_NO_OOM(legs_that_are_joined)
{
	join_legs(STR("A"), STR("D"));
	join_legs(STR("D"), STR("A"));
}

/* Links of calls that nobody knows any more go by themselves. */
TEST_NO_OOM(legs_are_bounded)
{
	struct rig r;
	char id[16];
	CHECK(rig_init(&r));
	set_up(&r);
	for (unsigned i = 0; i < 10'000; i++) {
		snprintf(id, sizeof(id), "x%u", i);
		adm_legs_add(r.legs, r.t, STR("nobody"), str_c(id));
	}
	CHECK(adm_legs_n(r.legs) < 4'000);
	CHECK_STR(adm_legs_root(r.legs, STR("B2")), "A");
	rig_fini(&r);
}
