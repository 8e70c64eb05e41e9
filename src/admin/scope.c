/* What an operator asks of the scope: the calls under way as the tracker sees them, the totals of
 * those that ended, and why a call cannot be hung up.
 *
 * A listing goes by the calls' numbers, newest first is the end: between two pieces calls come and
 * go, and a number that is gone is simply passed. */
#include "admin/admin_priv.h"
#include "admin/legs.h"

#include "base/assert.h"
#include "track/trk_info.h"
#include "track/vrd.h"

#include <stdio.h>

/* A leg is no call of its own. */
static bool is_under_way(const struct adm *a, const struct trk_call *c)
{
	bool is_call = c->kind == TRK_CALL && c->phase != TRK_ENDED && !c->is_judged;
	return is_call && (!a->legs || str_eq(adm_legs_root(a->legs, c->call_id), c->call_id));
}

static void set_address(struct adm_row *r, enum adm_field_id f, const struct trk_call *c,
			uint8_t peer, char mem[ADDR_TEXT_MAX])
{
	if (peer < c->n_peers)
		adm_text(r, f, str_c(addr_text(&c->peers[peer].addr, mem)));
}

/* What a verdict would say if the call ended now. */
static void set_verdict(struct adm_row *r, struct vrd *v, struct trk *t, const struct trk_call *c)
{
	if (vrd_judge(v, t, c) == OK && v->n)
		adm_text(r, ADM_F_call_verdict, v->f[0].text);
	trk_rest(t, c);
}

static void set_state(struct adm_row *r, const struct trk *t, const struct trk_call *c)
{
	uint64_t now = trk_now_us(t);
	adm_number(r, ADM_F_call_start, c->first_us);
	adm_number(r, ADM_F_call_seconds, (now - c->first_us) / 1'000'000);
	adm_text(r, ADM_F_call_state, trk_state_name(c));
	adm_number(r, ADM_F_call_messages, c->n_ev);
	if (c->answer_us)
		adm_number(r, ADM_F_call_talk, now - c->answer_us);
	if (c->status)
		adm_number(r, ADM_F_call_status, c->status);
	adm_text(r, ADM_F_call_call_id, c->call_id);
}

static bool emit_call(struct adm_ask *q, struct trk *t, const struct trk_call *c, struct vrd *v)
{
	struct adm_row r;
	char caller_at[ADDR_TEXT_MAX], callee_at[ADDR_TEXT_MAX], caller[ADM_TEXT_MAX],
		callee[ADM_TEXT_MAX];
	struct buf from, to;
	buf_init_fixed(&from, caller, sizeof(caller));
	buf_init_fixed(&to, callee, sizeof(callee));
	vrd_put_name(&from, c->from);
	vrd_put_name(&to, c->to);
	adm_row_init(&r, ADM_call);
	set_state(&r, t, c);
	adm_text(&r, ADM_F_call_caller, buf_view(&from));
	adm_text(&r, ADM_F_call_callee, buf_view(&to));
	set_address(&r, ADM_F_call_caller_at, c, c->caller, caller_at);
	const struct trk_call *far = q->adm->legs ? adm_legs_talking(q->adm->legs, t, c) : NULL;
	far = far ? far : c;
	set_address(&r, ADM_F_call_callee_at, far, far->answer_us ? far->callee : TRK_NO_PEER,
		    callee_at);
	if (c->caller < c->n_peers)
		adm_text(&r, ADM_F_call_transport,
			 trk_transport_name((enum trk_transport)c->peers[c->caller].transport));
	set_verdict(&r, v, t, c);
	return adm_emit(q, &r);
}

bool adm_scope_part(struct adm_ask *q)
{
	if (q->kind == ADM_scorecard)
		return adm_card_part(q);
	struct trk *t = q->adm->trk;
	struct vrd v;
	bool is_through = true;
	vrd_init(&v);
	for (struct trk_call *c = trk_first(t); c; c = trk_after(t, c)) {
		if (c->no <= q->cursor || !is_under_way(q->adm, c))
			continue;
		if (!emit_call(q, t, c, &v) || q->out.n >= ADM_PIECE) {
			q->cursor = c->no;
			is_through = q->is_more;
			break;
		}
	}
	vrd_fini(&v);
	return is_through;
}

void adm_scope_delete(struct adm_ask *q)
{
	const struct trk_call *c = trk_find(q->adm->trk, str_c(q->key));
	if (c && is_under_way(q->adm, c))
		adm_answer(q, ADM_NOT_OURS,
			   "rung only passes this call on: it holds no dialog of it, so that none "
			   "but its "
			   "two ends can hang up. `rung reg del` keeps a phone from new calls");
	else
		adm_answer(q, ADM_NO_SUCH, "no call of that Call-ID is under way");
}

void adm_scope_measure(struct adm_ask *q)
{
	struct adm *a = q->adm;
	uint64_t *m = q->metrics;
	q->tally = a->tally;
	for (struct trk_call *c = trk_first(a->trk); c; c = trk_after(a->trk, c))
		m[ADM_M_calls] += is_under_way(a, c);
	m[ADM_M_calls_total] = a->tally.n;
	m[ADM_M_calls_answered_total] = a->tally.n_answered;
	m[ADM_M_calls_warned_total] = a->tally.n_warned;
	m[ADM_M_calls_failed_total] = a->tally.n_failed;
	m[ADM_M_talk_seconds_total] = a->tally.talk_us / 1'000'000;
	m[ADM_M_cdrs_lost_total] = a->tally.n_cdrs_lost;
	m[ADM_M_unseen_total] = a->tally.n_unseen;
	m[ADM_M_uptime_seconds] = (ev_now_us(ev_shard(a->scope, 0)) - a->start_us) / 1'000'000;
}
