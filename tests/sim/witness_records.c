/* Who keeps records, beside the exchange as in `rung serve`: the tracker hears each message, legs
 * are joined as the exchange tells of them, and each call that is judged is counted at its Call-ID.
 */
#include "witness_legs.h"

#include "admin/legs.h"

#include <stdlib.h>

#define TICK_US 100000u
#define LAST_US 7200000000ull /* longer than an end is waited for */

struct wit_records {
	struct wit_legs *calls;
	struct trk *trk;
	struct adm_legs *legs;
	uint64_t now_us;
};

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	struct wit_records *r = arg;
	struct st_cdr row = {0};
	struct buf texts;
	if (c->kind != TRK_CALL || adm_legs_judged(r->legs, r->trk, c, v))
		return;
	buf_init(&texts);
	adm_legs_record(r->legs, r->trk, c, v, &row, &texts);
	buf_fini(&texts);
	if (c->stop != TRK_STOP_CUT) /* else of the exchange that is gone */
		wit_legs_recorded(r->calls, c->call_id, c->status);
}

void wit_records_message(struct wit_records *r, uint64_t at_us, const struct addr *from,
			 const struct addr *to, struct str m)
{
	struct trk_packet p = {.at_us = at_us, .from = *from, .to = *to, .bytes = m};
	if (at_us > r->now_us + TICK_US) {
		trk_tick(r->trk, at_us);
		r->now_us = at_us;
	}
	CHECK_EQ(trk_message(r->trk, &p, NULL), OK);
}

void wit_records_note(struct wit_records *r, struct str of, struct str call_id)
{
	adm_legs_add(r->legs, r->trk, of, call_id);
}

void wit_records_cut(struct wit_records *r, uint64_t at_us)
{
	adm_legs_cut(r->legs, r->trk, at_us);
}

/* What was passed on may have ended where the exchange did not hear of it. */
void wit_records_end(struct wit_records *r)
{
	for (uint64_t us = 0; us < LAST_US; us += 1000000)
		trk_tick(r->trk, r->now_us + us);
	for (const struct trk_call *c = trk_first(r->trk); c; c = trk_after(r->trk, c))
		if (adm_legs_has(r->legs, c->call_id))
			wit_legs_lasting(r->calls, c->call_id);
}

struct wit_records *wit_records_new(struct wit_legs *calls)
{
	struct wit_records *r = calloc(1, sizeof(*r));
	CHECK(r);
	struct trk_cfg cfg = {.is_live = true,
			      .is_quick = true,
			      .is_listed = true,
			      .has_flows = true,
			      .sees_all = true,
			      .on_verdict = on_verdict,
			      .arg = r};
	r->calls = calls;
	r->trk = trk_new(&cfg);
	CHECK(r->trk);
	CHECK_EQ(adm_legs_new(&r->legs), OK);
	return r;
}

void wit_records_free(struct wit_records *r)
{
	adm_legs_free(r->legs);
	trk_free(r->trk);
	free(r);
}
