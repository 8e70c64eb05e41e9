/* What one side asks of the other while the call stands: another description (re-INVITE, UPDATE,
 * PRACK with an offer), INFO, MESSAGE.
 *
 * An offer waits at the side that it came from (the session holds its request: SES_LATER) while it
 * is made to the other side; that one's answer, or refusal, is what the first side gets. A
 * re-INVITE without offer asks the other side for one, in three steps: its offer goes into the
 * first side's 2xx, the first side's ACK has the answer, and that goes into the ACK for the other.
 *
 * INFO and MESSAGE pass as soon as the other side's call stands, be the ACK of the side that they
 * came from lost or late; before that they are put off by 500, never by 480, which would end the
 * call (RFC 5057 5.1).
 *
 * Glare: where the other side has an offer of its own on the way, it refuses ours with 491, or we
 * cannot make one now; the first side hears 491 and tries again in its own time [RFC3261 14.1].
 *
 * [RFC3264] [RFC3311] [RFC6337] [RFC6086] [RFC3428] */
#include "service/b2b_priv.h"

struct str b2b_say(struct b2b_leg *to, const struct sip_msg *m)
{
	struct str s = b2b_body_for(to, m);
	b2b_leg_keep(to, s);
	return s;
}

/* The peer's offer goes on to the other side. */
static void relay_offer(struct b2b_leg *l, struct b2b_leg *to, const struct sip_msg *m,
			struct str sdp)
{
	enum ses_change kind = SES_REINVITE;
	b2b_name(to, l, m);
	struct str s = b2b_say(to, m);
	enum err e = sdp.n && !s.n ? ERR_NOMEM : OK;
	if (m->method == SIP_INVITE)
		kind = sdp.n ? SES_REINVITE : SES_REINVITE_LATE;
	else if (b2b_leg_can_update(to) || to->state != LEG_UP)
		kind = SES_UPDATE;
	if (e == OK)
		e = b2b_leg_change(to, kind, s);
	if (e != OK)
		b2b_leg_settle(l, e == ERR_STATE ? 491 : 500, STR_NONE);
}

/* A leg that has just one other side to be asked, also before the answer. */
static struct b2b_leg *partner(const struct b2b_leg *l)
{
	struct b2b_leg *only = NULL, *o = b2b_other(l);
	unsigned n = 0;
	if (o || l->state == LEG_UP)
		return o;
	if (!l->is_caller)
		return l->call->side[0];
	for (struct b2b_leg *k = l->call->legs; k; k = k->next)
		if (k != l && k->state == LEG_TRYING) {
			only = k;
			n++;
		}
	return n == 1 ? only : NULL;
}

/* Whose request l has answered: the other side, also where its ACK is under way still. */
static struct b2b_leg *asker(const struct b2b_leg *l)
{
	struct b2b_leg *const *side = l->call->side;
	struct b2b_leg *to = partner(l);
	return to ? to : side[0] == l ? side[1] : side[1] == l ? side[0] : NULL;
}

void b2b_on_offer(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_leg *to = partner(l);
	struct str sdp;
	bool has_sdp = ses_sdp(ev->rx, &sdp);
	if (ev->rx->msg->is_request) {
		if (b2b_own_offered(l, sdp))
			return;
		if (to)
			relay_offer(l, to, ev->rx->msg, sdp);
		else
			b2b_leg_settle(l, 491, STR_NONE);
		return;
	}
	if (b2b_meet_offered(l, ev->rx))
		return;
	/* the 2xx to a re-INVITE without offer; of an INVITE b2b_setup.c makes what is to be made
	 */
	if (l->state == LEG_UP && to && has_sdp)
		b2b_leg_settle(to, 200, b2b_say(to, ev->rx->msg));
}

void b2b_on_answer(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_leg *to = asker(l);
	struct str sdp;
	if (b2b_own_answered(l, ev->kind == SES_EV_MODIFY_FAILED ? NULL : ev->rx))
		return;
	if (!to || !b2b_leg_has_session(to) || b2b_meet_answered(l, ev))
		return;
	if (ev->kind == SES_EV_MODIFY_FAILED)
		b2b_leg_settle(to, ev->status >= 300 ? ev->status : 488, STR_NONE);
	else if (ses_sdp(ev->rx, &sdp))
		b2b_leg_settle(to, 200, b2b_say(to, ev->rx->msg));
	b2b_name(l, to, NULL);
}

/* --- INFO, MESSAGE ---------------------------------------------------------------------------- */

unsigned b2b_put_busy(struct b2b *b, struct buf *lines)
{
	code_warning_put(lines, CODE_B2B_BUSY);
	buf_fmt(lines, "Retry-After: %u\r\n", (unsigned)(env_random_u64(b->loop->env) % 11));
	return code_info(CODE_B2B_BUSY)->status;
}

/* More than the session can keep apart at a time, or nobody there: the peer tries again. */
static void postpone(struct b2b_leg *l, const struct ses_event *ev)
{
	struct buf *b = &l->call->b->lines;
	buf_clear(b);
	unsigned status = b2b_put_busy(l->call->b, b);
	b2b_leg_respond(l, ev->tag, status, buf_view(b));
}

void b2b_on_request(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_leg *to = b2b_other(l);
	struct buf *b = &l->call->b->lines;
	const struct sip_msg *m = ev->rx->msg;
	buf_clear(b);
	b2b_put_inside(b, m);
	b2b_name(to, l, m);
	struct ses_request req = {.method = m->method_name,
				  .headers = buf_view(b),
				  .content_type = sip_value(m, SIP_HDR_CONTENT_TYPE),
				  .body = m->body,
				  .tag = ev->tag};
	if (!to || b->err != OK || b2b_leg_request(to, &req) != OK)
		postpone(l, ev);
}

void b2b_on_response(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_leg *to = asker(l);
	struct buf *b = &l->call->b->lines;
	buf_clear(b);
	if (!ev->rx) /* what we say of it, not what he did */
		code_warning_put(b,
				 ev->status == 503 ? CODE_NEXT_HOP_UNREACHABLE : CODE_B2B_FAILED);
	if (to && b2b_leg_has_session(to))
		b2b_leg_respond(to, ev->tag, ev->status, buf_view(b));
	b2b_name(l, to, NULL);
}
