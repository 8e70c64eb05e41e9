/* The exchange itself at the other end of a call, with media of its own.
 *
 * Farewell: the callee has hung up, and the caller hears a short tone before his call ends. Echo: a
 * party was transferred to the echo test. Either is re-INVITEd with the exchange's own media
 * address; his answer tells where the audio goes. Who refuses a farewell, or has no audio for us,
 * is ended at once; who refuses the echo test goes on with the call that he was in.
 *
 * The media are the call's; they end with the leg that they are for. [RFC3264 8] [ITU-T Q.35] */
#include "service/b2b_priv.h"

#include <stdlib.h>

#define TONE_HZ     425
#define TONE_DBM0   -13
#define TONE_MS     1000
#define FAREWELL_US 1200000ull
#define TAKE_US     5000000ull /* for the caller to answer */
#define ECHO_US     600000000ull

struct b2b_own {
	struct b2b_leg *leg;
	struct md_leg media;
	struct tmr timer;
	uint8_t kind;      /* enum b2b_own_kind */
	bool is_up;        /* he has answered */
	bool wants_answer; /* to an offer that he has asked for since */
};

static void over(struct b2b_own *o)
{
	static const struct str reasons[] = {
		STR_INIT("Q.850;cause=16;text=\"The other party has hung up\""),
		STR_INIT("SIP;cause=200;text=\"Echo test over\"")};
	struct b2b_leg *l = o->leg;
	struct str reason = reasons[o->kind];
	b2b_own_end(l->call);
	b2b_hangup(l, reason);
}

static void on_timer(struct tmr *t)
{
	over(CONTAINER_OF(t, struct b2b_own, timer));
}

static bool open_media(struct b2b_own *o, struct b2b *b)
{
	struct tp_dst way = b2b_leg_way(o->leg);
	struct addr local = b->cfg.media;
	const char *why;
	if (local.family == ADDR_NONE && tp_local_for(b->tp, &way, &local) != OK)
		return false;
	local.port = 0;
	struct md_leg_config cfg = {
		.media = {.local = local,
			  .is_latching = true,
			  .is_reflector = o->kind == B2B_OWN_ECHO},
		.tool = "rung",
		.id = env_random_u64(b->loop->env) >> 2
        };
	return md_leg_open(&o->media, b->loop, &cfg, &why) == OK;
}

bool b2b_own_start(struct b2b_call *c, struct b2b_leg *l, enum b2b_own_kind kind)
{
	struct b2b *b = c->b;
	struct b2b_own *o = calloc(1, sizeof(*o));
	if (!o)
		return false;
	o->leg = l;
	o->kind = (uint8_t)kind;
	c->own = o;
	buf_clear(&b->text);
	if (open_media(o, b) && md_leg_offer(&o->media, SDP_SENDRECV, &b->text) == OK) {
		struct str s = b2b_sdp_for(l, buf_view(&b->text));
		b2b_leg_draw_uuid(l);
		if (s.n && b2b_leg_change(l, SES_REINVITE, s) == OK) {
			if (kind == B2B_OWN_FAREWELL)
				ev_timer(b->loop, &o->timer, TAKE_US, on_timer);
			return true;
		}
	}
	b2b_own_end(c);
	return false;
}

/* What he says to the first offer decides. */
static void begin(struct b2b_own *o, bool is_good)
{
	struct b2b_leg *l = o->leg;
	struct b2b_call *c = l->call;
	o->is_up = is_good;
	if (is_good)
		ev_timer(c->b->loop, &o->timer, o->kind == B2B_OWN_ECHO ? ECHO_US : FAREWELL_US,
			 on_timer);
	if (o->kind == B2B_OWN_ECHO)
		b2b_transfer_echoed(c, l, is_good);
	else if (is_good)
		md_session_play_tone(o->media.session, TONE_HZ, TONE_DBM0, TONE_MS);
	else
		over(o);
}

bool b2b_own_answered(struct b2b_leg *l, struct tp_rx *rx)
{
	struct b2b_own *o = l->call->own;
	struct sdp_why why;
	struct str sdp;
	if (!o || o->leg != l)
		return false;
	bool is_good = (!o->is_up || o->wants_answer) && ses_sdp(rx, &sdp) &&
		       md_leg_take(&o->media, sdp, false, &why);
	o->wants_answer = false;
	if (!o->is_up)
		begin(o, is_good);
	return true;
}

bool b2b_own_offered(struct b2b_leg *l, struct str sdp)
{
	struct b2b_own *o = l->call->own;
	struct buf *b = &l->call->b->text;
	struct sdp_why why;
	unsigned status = 0;
	if (!o || o->leg != l || !o->is_up || o->kind != B2B_OWN_ECHO)
		return false;
	buf_clear(b);
	o->wants_answer = !sdp.n;
	if (sdp.n)
		status = md_leg_answer(&o->media, sdp, SDP_SENDRECV, b, &why);
	else if (md_leg_offer(&o->media, SDP_SENDRECV, b) != OK)
		status = 500;
	struct str s = status ? STR_NONE : b2b_sdp_for(l, buf_view(b));
	b2b_leg_settle(l, status ? status : s.n ? 200 : 500, s);
	return true;
}

void b2b_own_left(struct b2b_leg *l)
{
	if (l->call->own && l->call->own->leg == l)
		b2b_own_end(l->call);
}

void b2b_own_end(struct b2b_call *c)
{
	if (!c->own)
		return;
	ev_timer_stop(c->b->loop, &c->own->timer);
	md_leg_close(&c->own->media);
	free(c->own);
	c->own = NULL;
}
