/* Each call through the back-to-back user agent has one record, and is under way no longer than it
 * is, however it ends: the witness keeps records as `rung serve` does. */
#include "b2b_rig.h"
#include "witness.h"

static const char unknown[] = "481 Call/Transaction Does Not Exist";

/* One of the two was switched off and on: he knows nothing of the call, and says so. He hears a BYE
 * all the same, since that is how the call ends. [RFC3261 12.2.1.2] */
TEST_NO_OOM(who_has_forgotten_the_call)
{
	for (int by_a = 0; by_a < 2; by_a++) {
		struct rig *g = rig_new();
		struct witness *w = witness_new(g->t->s);
		struct rig_end a, b, *from = by_a ? &a : &b, *to = by_a ? &b : &a;
		rig_talk(g, g->a, "1002", g->b, &a, &b);
		struct raw_req q = rig_ask(from, "INVITE", RIG_SDP, rig_sdp(g, from->r, NULL));
		rig_reply(to->r, raw_get(to->r, "INVITE ", 1), unknown);
		raw_get(to->r, "ACK ", 1);
		struct raw_msg *m = raw_get(to->r, "BYE ", 1);
		CHECK(raw_has(m, "Reason: SIP;cause=481;"));
		rig_reply(to->r, m, unknown);
		raw_get(from->r, "SIP/2.0 481", 1);
		rig_ack(from, &q, NULL, NULL);
		rig_reply(from->r, raw_get(from->r, "BYE ", 1), "200 OK");
		stage_run(g->t->s, 1);
		witness_check_calls(w);
		rig_free(g);
		witness_free(w);
	}
}
