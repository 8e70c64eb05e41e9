/* The echo test: each call is a SIP session (dialog/session) and an audio leg that reflects packets
 * without decoding them.
 *
 * A call is one heap object, owned by its session: freed in SES_EV_ENDED, the last event.
 * Invariants: 1. Every live call is in `calls`. 2. The leg is open from the INVITE to ENDED. */
#include "service/echo.h"

#include "base/limits.h"
#include "media/leg.h"
#include "service/codes.h"

#include <stdlib.h>

#define MAX_US 600000000ull

struct echo {
	struct ev_loop *loop;
	struct tsx_mgr *tsx;
	struct dlg_mgr *dlg;
	uint32_t n_calls;
	struct echo_config cfg;
	struct link calls;
};

struct call {
	struct link link;
	struct echo *echo;
	struct ses *ses;
	struct md_leg leg;
	struct tmr limit;
};

enum err echo_new(struct ev_loop *loop, struct tsx_mgr *tsx, struct dlg_mgr *dlg,
		  const struct echo_config *cfg, struct echo **out)
{
	struct echo *e = calloc(1, sizeof(*e));
	if (!e)
		return ERR_NOMEM;
	*e = (struct echo){.loop = loop, .tsx = tsx, .dlg = dlg, .cfg = *cfg};
	if (!e->cfg.max_calls)
		e->cfg.max_calls = LIMIT_ECHO_CALLS;
	if (!e->cfg.max_us)
		e->cfg.max_us = MAX_US;
	list_init(&e->calls);
	*out = e;
	return OK;
}

static void free_call(struct call *c)
{
	ev_timer_stop(c->echo->loop, &c->limit);
	md_leg_close(&c->leg);
	list_del(&c->link);
	c->echo->n_calls--;
	free(c);
}

void echo_free(struct echo *e)
{
	if (!e)
		return;
	LIST_EACH (&e->calls, l) {
		struct call *c = LIST_ENTRY(l, struct call, link);
		ses_drop(c->ses);
		free_call(c);
	}
	free(e);
}

static enum err make_offer(void *ctx, struct ses *s, struct buf *sdp)
{
	struct call *c = ctx;
	return md_leg_offer(&c->leg, SDP_SENDRECV, sdp);
}

static unsigned answer_offer(void *ctx, struct ses *s, struct str offer, struct buf *sdp)
{
	struct call *c = ctx;
	struct sdp_why why;
	return md_leg_answer(&c->leg, offer, SDP_SENDRECV, sdp, &why);
}

static bool on_answer(void *ctx, struct ses *s, struct str answer, bool is_early)
{
	struct call *c = ctx;
	struct sdp_why why;
	return md_leg_take(&c->leg, answer, is_early, &why);
}

static void tell(const struct call *c, enum sign_kind kind, const struct sip_msg *invite,
		 struct str caller_aor)
{
	const struct echo_config *cfg = &c->echo->cfg;
	const struct dlg *d = ses_dialog(c->ses);
	struct sign s = {.kind = kind,
			 .call_id = ses_call_id(c->ses),
			 .caller_tag = invite ? invite->from_tag
				       : d    ? dlg_remote_tag(d)
					      : STR_NONE,
			 .callee_tag = ses_local_tag(c->ses),
			 .caller_aor = caller_aor};
	if (invite) {
		s.from = sip_value(invite, SIP_HDR_FROM);
		s.to = sip_value(invite, SIP_HDR_TO);
	}
	if (cfg->on_sign)
		cfg->on_sign(cfg->ctx, &s);
}

static void on_event(void *ctx, struct ses *s, const struct ses_event *ev)
{
	if (ev->kind != SES_EV_ENDED)
		return;
	tell(ctx, SIGN_ENDED, NULL, STR_NONE);
	free_call(ctx);
}

static const struct ses_user user = {.make_offer = make_offer,
				     .answer_offer = answer_offer,
				     .on_answer = on_answer,
				     .on_event = on_event};

static void on_limit(struct tmr *t)
{
	struct call *c = CONTAINER_OF(t, struct call, limit);
	ses_hangup(c->ses, STR("SIP;cause=200;text=\"Echo test over\""));
}

void echo_stop(struct echo *e)
{
	LIST_EACH (&e->calls, l)
		ses_hangup(LIST_ENTRY(l, struct call, link)->ses,
			   STR("SIP;cause=503;text=\"The exchange stops\""));
}

void echo_on_invite(struct echo *e, tsx_id st, struct tp_rx *rx, struct str caller_aor)
{
	struct call *c = e->n_calls < e->cfg.max_calls ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		code_refuse(e->tsx, st, CODE_OVERLOAD, STR_NONE);
		return;
	}
	c->echo = e;
	list_init(&c->link);
	e->n_calls++;
	struct md_leg_config cfg = {
		.media = {.local = rx->to, .is_latching = true, .is_reflector = true},
		.tool = "rung echo",
		.id = env_random_u64(e->loop->env) >> 2,
	};
	cfg.media.local.port = 0;
	const char *why;
	if (md_leg_open(&c->leg, e->loop, &cfg, &why)) {
		free_call(c);
		code_refuse(e->tsx, st, CODE_NO_MEDIA_PORT, STR_NONE);
		return;
	}
	struct ses_accept acc = {.contact_user = STR("echo")};
	if (ses_incoming(e->dlg, st, rx, &acc, &user, c, &c->ses)) {
		free_call(c);
		return;
	}
	list_push(&e->calls, &c->link);
	ev_timer(e->loop, &c->limit, e->cfg.max_us, on_limit);
	tell(c, SIGN_STARTED, rx->msg, caller_aor);
	if (ses_answer(c->ses) == OK) /* when the offer was refused the session ends by itself */
		tell(c, SIGN_CONFIRMED, rx->msg, STR_NONE);
}
