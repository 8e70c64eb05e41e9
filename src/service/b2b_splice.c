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

unsigned b2b_splice(struct b2b_call *c, struct b2b_leg *far)
{
	struct b2b_call *home = far->call;
	struct b2b_leg *e = b2b_transferee(c);
	if (home == c)
		return 400;
	if (!e || e->state != LEG_UP)
		return 480;
	if (home->is_transferring || home->transferor || home->own || home->meet)
		return 491;
	far->home = pool_id(&c->b->calls, home);
	far->is_joining = far->is_transfer = true;
	move(far, c);
	b2b_set_side(c, e, far);
	b2b_tell_leg(far, e);
	b2b_meet(c, far);
	return 200;
}

/* The party that the lent leg came from; NULL: he is gone. */
static struct b2b_leg *left_behind(const struct b2b_leg *l)
{
	struct b2b_call *home = pool_find(&l->call->b->calls, l->home);
	struct b2b_leg *o = !home ? NULL : home->side[0] ? home->side[0] : home->side[1];
	return o && o->state == LEG_UP ? o : NULL;
}

void b2b_splice_done(struct b2b_leg *l)
{
	struct b2b_leg *o = left_behind(l);
	l->home = 0;
	if (o)
		b2b_hangup(o, done);
}

void b2b_splice_return(struct b2b_leg *l, bool is_touched)
{
	struct b2b_leg *o = left_behind(l);
	l->home = 0;
	if (!o) {
		b2b_hangup(l, failed);
		return;
	}
	l->is_transfer = false;
	move(l, o->call);
	b2b_set_side(o->call, o, l);
	if (is_touched)
		b2b_meet(o->call, o);
}

/* Nothing comes of it when one of the two leaves: he leaves the call that he was in before. */
void b2b_splice_left(struct b2b_leg *l)
{
	struct b2b_call *c = l->call;
	struct b2b_leg *t = c->transferor, *lent = NULL;
	for (int i = 0; i < 2; i++)
		if (c->side[i] && c->side[i]->home)
			lent = c->side[i];
	if (!lent || (c->side[0] != l && c->side[1] != l))
		return;
	bool is_offering = c->meet == MEET_OFFERING,
	     is_touched = b2b_meet_stop(c, 487) && l != lent;
	b2b_transfer_joined(c, l == lent ? 480 : 487, is_touched);
	if (is_offering && l == lent && t)
		b2b_meet(c, t);
}
