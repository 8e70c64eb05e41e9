/* See b2b_two.h. */
#include "b2b_two.h"

#include "service/b2b.h"

static bool are_apart(struct rig *g)
{
	struct b2b_stats st;
	b2b_stats(exc_b2b(g->t->s->exc, 0), &st);
	return st.live == 1;
}

/* A call of a with b, and one of b with d, who rings; on two shards or on one. */
void two_ringing(struct two *t, bool apart)
{
	for (int i = 0; i < 64; i++) {
		t->g = rig_new();
		rig_talk(t->g, t->g->a, "1002", t->g->b, &t->a, &t->b);
		rig_call(t->g, t->g->b, "1003", NULL, &t->b2);
		rig_ring(t->g, t->g->d, &t->d);
		raw_reply(t->g->d, t->d.invite, "180 Ringing", t->d.q.tag, NULL, NULL);
		rig_set_caller(&t->b2, raw_get(t->g->b, "SIP/2.0 180", 2));
		if (are_apart(t->g) == apart)
			return;
		rig_answer(t->g, &t->d, &t->b2);
		rig_bye(t->g, &t->a, &t->b);
		rig_bye(t->g, &t->b2, &t->d);
		rig_free(t->g);
	}
	test_fail(__FILE__, __LINE__, "no such Call-IDs");
}

void two_calls(struct two *t, bool apart)
{
	two_ringing(t, apart);
	rig_answer(t->g, &t->d, &t->b2);
	stage_run(t->g->t->s, 0.1);
}

void two_notified(struct two *t, const char *status)
{
	rig_notify(t->g->b, status);
}

struct raw_req two_refer(struct two *t)
{
	char line[800];
	struct raw_req q = rig_ask(&t->b, "REFER", rig_refer_to(&t->b2, line), NULL);
	raw_get(t->g->b, "SIP/2.0 202", 2);
	two_notified(t, "SIP/2.0 100");
	return q;
}

/* Both of b's dialogs end: the second at once, the first when he has had time. */
void two_is_out(struct two *t)
{
	struct raw_msg *m = raw_get(t->g->b, "BYE ", 1);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(t->b2.q.call_id));
	CHECK(raw_has(m, "Transferred"));
	rig_reply(t->g->b, m, "200 OK");
	m = raw_get(t->g->b, "BYE ", 3);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(t->b.q.call_id));
	rig_reply(t->g->b, m, "200 OK");
}

/* Both calls end as any. */
void two_bye(struct two *t)
{
	rig_still_talk(t->g, &t->a, &t->b);
	rig_still_talk(t->g, &t->d, &t->b2);
	rig_bye(t->g, &t->a, &t->b);
	rig_bye(t->g, &t->b2, &t->d);
	rig_free(t->g);
}

void two_joined(struct two *t, bool apart)
{
	two_calls(t, apart);
	two_refer(t);
	rig_meet(t->g, &t->d, &t->a);
	two_notified(t, "SIP/2.0 200");
	two_is_out(t);
	stage_run(t->g->t->s, 0.1);
}
