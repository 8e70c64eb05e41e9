/* Two who are to talk with one another and have not agreed on anything yet: the exchange itself
 * asks one of them for an offer, makes it to the other one, and brings the answer back.
 *
 *     first ◄─re-INVITE─┤
 *     first ──200 + offer──► exchange ──re-INVITE + offer──► other
 *     first ◄─ACK + answer─┤ ◄──200 + answer──
 *
 * Whoever is changing something himself just now says 491 or cannot be asked: that step is tried
 * again after the RFC's wait, some times. The 200 of the first one waits for its ACK meanwhile.
 *
 * Invariant: while an offer waits to be made, or is being made, it is in the other one's `sdp`.
 *
 * [RFC3261 14.1] [RFC3725 4.1] [RFC3264 4] */
#include "service/b2b_priv.h"

#define TRIES 6

static void go(struct b2b_call *c);

static void end(struct b2b_call *c)
{
	struct b2b_leg *other = b2b_other(c->first);
	if (other)
		b2b_forget_body(other);
	ev_timer_stop(c->b->loop, &c->timer);
	c->meet = MEET_NOT;
	c->first = NULL;
}

bool b2b_meet_stop(struct b2b_call *c, unsigned status)
{
	struct b2b_leg *first = c->first;
	bool is_touched = c->is_offered;
	if (!c->meet)
		return false;
	end(c);
	if (status != 200 && is_touched && first->state == LEG_UP)
		b2b_leg_settle(first, status, STR_NONE);
	return is_touched;
}

static void over(struct b2b_call *c, unsigned status)
{
	bool is_touched = b2b_meet_stop(c, status);
	b2b_transfer_joined(c, status, is_touched);
}

static void on_timer(struct tmr *t)
{
	struct b2b_call *c = CONTAINER_OF(t, struct b2b_call, timer);
	go(c);
	b2b_call_reap(c);
}

/* In units of 10 ms: 2.1 to 4 s for the side that made the Call-ID, else 0 to 2 s. */
static void again(struct b2b_call *c, const struct b2b_leg *l)
{
	uint64_t r = env_random_u64(c->b->loop->env);
	if (++c->n_tries >= TRIES) {
		over(c, 491);
		return;
	}
	c->meet = MEET_WAITING;
	ev_timer(c->b->loop, &c->timer, l->is_caller ? r % 201 * 10000 : 2100000 + r % 191 * 10000,
		 on_timer);
}

static void go(struct b2b_call *c)
{
	struct b2b_leg *first = c->first, *other = b2b_other(first);
	if (!other || first->state != LEG_UP) {
		over(c, 480);
		return;
	}
	struct b2b_leg *l = c->is_offered ? other : first;
	c->meet = c->is_offered ? MEET_OFFERING : MEET_ASKING;
	enum err e = b2b_leg_change(l, c->is_offered ? SES_REINVITE : SES_REINVITE_LATE,
				    c->is_offered ? b2b_body(other) : STR_NONE);
	if (e == ERR_STATE)
		again(c, l);
	else if (e != OK)
		over(c, 500);
}

void b2b_meet(struct b2b_call *c, struct b2b_leg *first)
{
	c->first = first;
	c->is_offered = false;
	c->n_tries = 0;
	go(c);
}

void b2b_meet_with(struct b2b_call *c, struct b2b_leg *first, struct tp_rx *rx)
{
	c->first = first;
	c->meet = MEET_ASKING;
	(void)b2b_meet_offered(first, rx);
}

bool b2b_meet_offered(struct b2b_leg *l, struct tp_rx *rx)
{
	struct b2b_call *c = l->call;
	struct b2b_leg *other = b2b_other(l);
	if (c->meet != MEET_ASKING || c->first != l)
		return false;
	c->is_offered = true;
	c->n_tries = 0;
	if (other && b2b_set_body(other, rx->msg) == OK)
		go(c);
	else
		over(c, other ? 500 : 480);
	return true;
}

bool b2b_meet_answered(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_call *c = l->call;
	bool is_first = c->first == l, is_good = ev->kind == SES_EV_RENEGOTIATED;
	if (!c->meet || (!c->is_offered && (!is_first || is_good || c->meet != MEET_ASKING)))
		return false;
	if (c->is_offered && (is_first || c->meet != MEET_OFFERING))
		return true; /* to what was asked before */
	if (!is_good && ev->status == 491) {
		again(c, l);
	} else if (is_good) {
		b2b_leg_keep(l, b2b_body(l));
		b2b_leg_settle(c->first, 200, b2b_say(c->first, ev->rx->msg));
		over(c, 200);
	} else {
		over(c, ev->status >= 300 ? ev->status : 488);
	}
	return true;
}
