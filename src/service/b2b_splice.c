/* A transferor who talks in two calls of ours brings their far parties together: both his dialogs
 * end here, so nobody else needs to know of Replaces.
 *
 *     call 1:  transferee ── leg ┐ ┌ leg ── transferor        the target's leg is lent by the
 *                                ╳                            transferor's other call to the one
 *     call 2:  target ──── leg ──┘ └ leg ── transferor        that the transferee is in
 *
 * The two far parties then meet (b2b_meet.c). When they have, the transferor's other leg is ended
 * and the lent one stays; he ends the first one himself on the NOTIFY, or we do. When they do not,
 * the leg goes back and both calls are as before; who was told something else meanwhile is told
 * again who his party is, by meeting him anew.
 *
 * Invariants: 1. A lent leg is a side of the call that it is in, and is_joining. 2. The call that
 * lends it has one party, with whom nothing can be changed meanwhile; should that one leave, there
 * is nothing to go back to.
 *
 * [RFC3515] [RFC3891 3] [RFC5589 7] */
#include "service/b2b_priv.h"

static const struct str failed = STR_INIT("SIP;cause=488;text=\"Transfer failed\"");
static const struct str done = STR_INIT("SIP;cause=200;text=\"Transferred\"");

static void move(struct b2b_leg *l, struct b2b_call *to)
{
	struct b2b_call *c = l->call;
	struct b2b_leg **at = &c->legs;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	for (int i = 0; i < 2; i++)
		if (c->side[i] == l)
			c->side[i] = NULL;
	for (at = &to->legs; *at;)
		at = &(*at)->next;
	*at = l;
	l->next = NULL;
	l->call = to;
}

unsigned b2b_splice_judge(const struct b2b_leg *l)
{
	const struct b2b_call *c = l->call;
	if ((!b2b_other(l) && !c->is_promised) || l->state != LEG_UP)
		return 480;
	return c->is_transferring || c->transferor || c->own || c->meet ? 491 : 200;
}

static unsigned join(struct b2b_call *c, struct b2b_leg *l)
{
	struct b2b_leg *e = b2b_transferee(c);
	if (!c->is_transferring || !e || e->state != LEG_UP)
		return 480;
	l->state = LEG_UP;
	l->is_joining = l->is_transfer = true;
	if (l->call != c) {
		l->call->is_promised = false;
		l->home = pool_id(&c->b->calls, l->call);
		move(l, c);
	}
	b2b_set_side(c, e, l);
	b2b_tell_leg(l, e);
	b2b_meet(c, l);
	return 200;
}

unsigned b2b_splice(struct b2b_call *c, struct b2b_leg *far)
{
	unsigned status = far->call == c ? 400 : b2b_splice_judge(far);
	return status == 200 ? join(c, far) : status;
}

unsigned b2b_splice_far(struct b2b_leg *l)
{
	return join(l->call, l);
}

void b2b_splice_lend(struct b2b_leg *l)
{
	struct b2b_call *c = l->call;
	c->is_promised = false;
	c->side[c->side[1] == l] = NULL;
}

/* --- how it ends ------------------------------------------------------------------------------ */

/* The party that a lent leg came from; NULL: he is gone. */
static struct b2b_leg *left_behind(const struct b2b_call *home)
{
	struct b2b_leg *o = !home ? NULL : home->side[0] ? home->side[0] : home->side[1];
	return o && (o->state == LEG_UP || o->state == LEG_TRYING) ? o : NULL;
}

static struct b2b_call *home_of(const struct b2b_leg *l)
{
	return l->owner ? l->call : pool_find(&l->call->b->calls, l->home);
}

static bool is_lent(const struct b2b_leg *l)
{
	return l->home || (l->far && l->far->is_lent);
}

void b2b_splice_done(struct b2b_leg *l)
{
	struct b2b_leg *o = left_behind(home_of(l));
	if (l->far && l->far->is_lent)
		b2b_far_done(l);
	l->home = 0;
	if (!o)
		return;
	if (o->state == LEG_TRYING) { /* he was not answered yet */
		o->state = LEG_OVER;
		(void)!ses_reject(o->ses, 487, STR_NONE, STR_NONE);
		return;
	}
	b2b_hangup(o, done);
}

void b2b_splice_home(struct b2b_leg *l, struct b2b_call *home, bool is_touched)
{
	struct b2b_leg *o = left_behind(home);
	l->home = 0;
	l->is_transfer = false;
	if (!o) {
		b2b_hangup(l, failed);
		return;
	}
	if (l->call != home)
		move(l, home);
	home->is_promised = false;
	b2b_set_side(home, o, l);
	home->is_meeting_due = is_touched && o->state == LEG_TRYING;
	if (o->state == LEG_TRYING)
		b2b_answer_caller(o);
	else if (is_touched)
		b2b_meet(home, o);
}

void b2b_splice_return(struct b2b_leg *l, bool is_touched)
{
	if (l->home)
		b2b_splice_home(l, home_of(l), is_touched);
	else if (l->far && l->far->is_lent)
		b2b_far_return(l, is_touched);
	else
		b2b_hangup(l, failed);
}

/* Nothing comes of it when one of the two leaves: a lent leg leaves the call that it was in. */
void b2b_splice_left(struct b2b_leg *l)
{
	struct b2b_call *c = l->call;
	struct b2b_leg *t = c->transferor, *joining = NULL;
	for (int i = 0; i < 2; i++)
		if (c->side[i] && c->side[i]->is_joining)
			joining = c->side[i];
	if (!joining || (c->side[0] != l && c->side[1] != l))
		return;
	bool is_offering = c->meet == MEET_OFFERING,
	     is_touched = b2b_meet_stop(c, 487) && l != joining;
	if (l == joining && !is_lent(l))
		l->state = LEG_OVER;
	b2b_transfer_joined(c, l == joining ? 480 : 487, is_touched);
	if (is_offering && l == joining && t)
		b2b_meet(c, t);
}
