/* The farewell: the callee has hung up, and the caller hears a short tone of the exchange before
 * his call ends. For that he is re-INVITEd with the exchange's own media address; his answer tells
 * where the tone goes. Whoever refuses it, or has no audio for us, is ended at once.
 *
 * [RFC3264 8] [ITU-T Q.35] */
#include "service/b2b_priv.h"

#include <stdlib.h>

#define TONE_HZ     425
#define TONE_DBM0   -13
#define TONE_MS     1000
#define FAREWELL_US 1200000ull
#define TAKE_US     5000000ull /* for the caller to answer */

struct b2b_farewell {
	struct b2b_leg *leg;
	struct md_leg media;
};

static void on_over(struct tmr *t)
{
	struct b2b_call *c = CONTAINER_OF(t, struct b2b_call, timer);
	struct b2b_leg *l = c->farewell ? c->farewell->leg : NULL;
	b2b_farewell_end(c);
	if (l)
		b2b_hangup(l, STR("Q.850;cause=16;text=\"The other party has hung up\""));
}

static bool open_media(struct b2b_farewell *f, struct b2b_call *c)
{
	struct b2b *b = c->b;
	struct tp_dst way = ses_way(f->leg->ses);
	struct addr local = b->cfg.media;
	const char *why;
	if (local.family == ADDR_NONE && tp_local_for(b->tp, &way, &local) != OK)
		return false;
	local.port = 0;
	struct md_leg_config cfg = {
		.media = {.local = local, .is_latching = true},
		.tool = "rung",
		.id = env_random_u64(b->loop->env) >> 2
        };
	return md_leg_open(&f->media, b->loop, &cfg, &why) == OK;
}

bool b2b_farewell_start(struct b2b_call *c, struct b2b_leg *l)
{
	struct b2b *b = c->b;
	struct b2b_farewell *f = calloc(1, sizeof(*f));
	if (!f)
		return false;
	f->leg = l;
	c->farewell = f;
	buf_clear(&b->text);
	if (open_media(f, c) && md_leg_offer(&f->media, SDP_SENDRECV, &b->text) == OK) {
		struct str s = b2b_sdp_for(l, buf_view(&b->text));
		if (s.n && ses_change(l->ses, SES_REINVITE, s) == OK) {
			ev_timer(b->loop, &c->timer, TAKE_US, on_over);
			return true;
		}
	}
	b2b_farewell_end(c);
	return false;
}

void b2b_farewell_take(struct b2b_call *c, struct tp_rx *rx)
{
	struct b2b_farewell *f = c->farewell;
	struct sdp_why why;
	struct str sdp;
	if (!ses_sdp(rx, &sdp) || !md_leg_take(&f->media, sdp, false, &why)) {
		on_over(&c->timer);
		return;
	}
	md_session_play_tone(f->media.session, TONE_HZ, TONE_DBM0, TONE_MS);
	ev_timer(c->b->loop, &c->timer, FAREWELL_US, on_over);
}

void b2b_farewell_end(struct b2b_call *c)
{
	if (!c->farewell)
		return;
	ev_timer_stop(c->b->loop, &c->timer);
	md_leg_close(&c->farewell->media);
	free(c->farewell);
	c->farewell = NULL;
}
