/* The calls of an actor: it answers, refuses, rings reliably or not, changes, refers, is referred,
 * and lets itself be replaced. Each call is a record that stays after its session has gone. */
#include "actor.h"

#include "sip/uri.h"

#include <stdio.h>
#include <string.h>

static void put_sdp(struct actor_call *c, struct buf *b)
{
	struct actor *a = c->actor;
	c->version++;
	buf_fmt(b,
		"v=0\r\no=%s %zu %u IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
		"a=x-call:%u\r\nm=audio 4000 RTP/AVP 0\r\n%s",
		a->user, (size_t)(c - a->calls) + 1, c->version, a->host, a->host, c->number,
		c->version % 3 == 2 ? "a=sendonly\r\n" : "");
}

static void note_peer(struct actor_call *c, struct str sdp)
{
	uint32_t n;
	size_t at = str_find(sdp, STR("a=x-call:"));
	if (at == SIZE_MAX) /* the echo's */
		return;
	struct str rest = str_skip(sdp, at + 9);
	CHECK(str_u32(str_sub(rest, 0, str_chr(rest, '\r')), &n));
	for (unsigned i = 0; i < c->n_peers; i++)
		if (c->peers[i] == n)
			return;
	CHECK(c->n_peers < ACTOR_PEERS);
	c->peers[c->n_peers++] = n;
}

static enum err make_offer(void *ctx, struct ses *s, struct buf *sdp)
{
	put_sdp(ctx, sdp);
	return sdp->err;
}

static unsigned answer_offer(void *ctx, struct ses *s, struct str offer, struct buf *sdp)
{
	struct actor_call *c = ctx;
	note_peer(c, offer);
	put_sdp(c, sdp);
	return 200;
}

static bool on_answer(void *ctx, struct ses *s, struct str answer, bool is_early)
{
	note_peer(ctx, answer);
	return true;
}

static unsigned on_in_dialog(void *ctx, struct ses *s, struct tp_rx *rx, struct buf *lines)
{
	return rx->msg->method == SIP_REFER ? 202 : 0;
}

static struct actor_call *add_call(struct actor *a, bool is_caller)
{
	if (a->n_calls == ACTOR_CALLS)
		return NULL;
	struct actor_call *c = &a->calls[a->n_calls++];
	*c = (struct actor_call){
		.actor = a, .is_caller = is_caller, .begun_us = sim_now_us(a->stage->sim)};
	CHECK(str_u32(str_c(a->user), &c->number));
	c->number = c->number * ACTOR_CALLS + (uint32_t)(c - a->calls);
	return c;
}

static void act(struct actor_call *c)
{
	if (!c->acted_us)
		c->acted_us = sim_now_us(c->actor->stage->sim);
}

static struct actor_call *call_of(struct actor *a, const struct ses *s)
{
	for (size_t i = 0; i < a->n_calls; i++)
		if (a->calls[i].ses == s)
			return &a->calls[i];
	return NULL;
}

static void begin(struct actor *a, struct ses_call *call, obj_id referrer);

/* Carries it out: the session calls the target and tells how that goes [RFC3515 2.4.2]. */
static void refer(struct actor_call *c, struct tp_rx *rx)
{
	struct sip_addr to;
	char target[256], replaces[200];
	struct buf lines;
	char mem[400];
	if (sip_addr_parse(sip_value(rx->msg, SIP_HDR_REFER_TO), &to) || to.uri_err) {
		ses_notify(c->ses, 400);
		return;
	}
	CHECK(to.uri_text.n < sizeof(target));
	buf_init_fixed(&lines, mem, sizeof(mem));
	struct str uri = str_sub(to.uri_text, 0, str_chr(to.uri_text, '?'));
	size_t at = str_find(to.uri_text, STR("Replaces="));
	if (at != SIZE_MAX) {
		struct buf v;
		buf_init_fixed(&v, replaces, sizeof(replaces));
		sip_unescape(&v, str_skip(to.uri_text, at + 9));
		buf_fmt(&lines, "Replaces: " STR_FMT "\r\n", STR_ARG(buf_view(&v)));
	}
	struct ses_call call = {.target = uri, .headers = buf_view(&lines)};
	ses_notify(c->ses, 100);
	begin(c->actor, &call, ses_id(c->ses));
}

static void tell_referrer(struct actor_call *c, unsigned status)
{
	struct ses *s = c->referrer ? ses_find(c->actor->stack.dlg, c->referrer) : NULL;
	c->referrer = 0;
	if (s)
		ses_notify(s, status);
}

static void on_event(void *ctx, struct ses *s, const struct ses_event *ev)
{
	struct actor_call *c = ctx;
	CHECK(s == c->ses);
	switch (ev->kind) {
	case SES_EV_CONFIRMED:
		c->was_confirmed = true;
		tell_referrer(c, 200);
		break;
	case SES_EV_REFER:
		refer(c, ev->rx);
		break;
	case SES_EV_REFERRED:
		if (ev->status >= 200 && ev->status < 300)
			actor_hang_up(c);
		break;
	case SES_EV_ENDED:
		tell_referrer(c, ev->end.status >= 300 ? ev->end.status : 487);
		c->n_ended++;
		c->end = ev->end;
		c->end.text = STR_NONE;
		c->ended_us = sim_now_us(c->actor->stage->sim);
		c->ses = NULL;
		ev_timer_stop(&c->actor->loop, &c->answer_timer);
		break;
	default:
		break;
	}
}

static const struct ses_user ses_user = {.make_offer = make_offer,
					 .answer_offer = answer_offer,
					 .on_answer = on_answer,
					 .on_event = on_event,
					 .on_request = on_in_dialog};

/* ---- callee ---------------------------------------------------------------------------------- */

static void on_answer_timer(struct tmr *t)
{
	struct actor_call *c = CONTAINER_OF(t, struct actor_call, answer_timer);
	if (c->answer == 200)
		(void)!ses_answer(c->ses);
	else
		(void)!ses_reject(c->ses, c->answer, STR_NONE, STR_NONE);
}

/* A call that takes the place of one of ours [RFC3891 3]. */
static bool takes_over(struct actor *a, struct tp_rx *rx, struct ses **old)
{
	struct sip_replaces r;
	struct str v = sip_value(rx->msg, SIP_HDR_REPLACES);
	*old = NULL;
	if (!v.n)
		return true;
	if (sip_replaces_parse(v, &r) == OK)
		*old = ses_replaced(a->stack.dlg, &r);
	return *old != NULL;
}

void actor_on_invite(struct actor *a, tsx_id st, struct tp_rx *rx)
{
	static const unsigned answers[] = {200, 200, 200, 200, 486, 603, 480, 0};
	struct ses *old;
	struct actor_call *c = takes_over(a, rx, &old) ? add_call(a, false) : NULL;
	if (!c) {
		(void)!tsx_reply(a->stack.tsx, st, old ? 486 : 481, STR_NONE, STR_NONE);
		return;
	}
	struct ses_accept acc = {.contact_user = str_c(a->user), .account = actor_account(a)};
	if (ses_incoming(a->stack.dlg, st, rx, &acc, &ses_user, c, &c->ses)) {
		a->n_calls--;
		return;
	}
	CHECK(str_copy(c->call_id, sizeof(c->call_id), ses_call_id(c->ses)));
	uint64_t r = sim_random(a->stage->sim);
	if (old) {
		(void)!ses_answer(c->ses);
		actor_hang_up(call_of(a, old));
		return;
	}
	if (r % 3 == 0)
		(void)!ses_ring_reliably(c->ses, 183, true, STR_NONE);
	else if (r % 3 == 1)
		(void)!ses_ring(c->ses, 180, r & 8);
	c->answer = answers[(r >> 8) % ARRAY_LEN(answers)];
	if (c->answer)
		ev_timer(&a->loop, &c->answer_timer, (r >> 16) % 3000 * 1000, on_answer_timer);
}

/* ---- caller ---------------------------------------------------------------------------------- */

static void begin(struct actor *a, struct ses_call *call, obj_id referrer)
{
	struct actor_call *c = add_call(a, true);
	if (!c)
		return;
	call->account = actor_account(a);
	c->referrer = referrer;
	if (ses_call(a->stack.dlg, call, &ses_user, c, &c->ses)) {
		a->n_calls--;
		return;
	}
	CHECK(str_copy(c->call_id, sizeof(c->call_id), ses_call_id(c->ses)));
}

void actor_dial(struct actor *a, const char *user, bool is_late, bool is_reliable,
		uint32_t session_s)
{
	char target[64];
	snprintf(target, sizeof(target), "sip:%s@" STAGE_SERVER, user);
	struct ses_call call = {.target = str_c(target),
				.is_late_offer = is_late,
				.is_reliable = is_reliable,
				.session_s = session_s};
	begin(a, &call, 0);
}

/* ---- what may be done with a call ------------------------------------------------------------ */

struct actor_call *actor_pick_call(struct actor *a, uint64_t n, bool is_confirmed)
{
	struct actor_call *live[ACTOR_CALLS];
	size_t n_live = 0;
	for (size_t i = 0; i < a->n_calls; i++) {
		struct actor_call *c = &a->calls[i];
		if (c->ses && !c->has_hung_up && (!is_confirmed || ses_is_confirmed(c->ses)))
			live[n_live++] = c;
	}
	return n_live ? live[n % n_live] : NULL;
}

size_t actor_live_calls(const struct actor *a)
{
	size_t n = 0;
	for (size_t i = 0; i < a->n_calls; i++)
		n += a->calls[i].ses != NULL;
	return n;
}

void actor_hang_up(struct actor_call *c)
{
	if (!c->ses || c->has_hung_up)
		return;
	c->has_hung_up = true;
	act(c);
	ses_hangup(c->ses, STR_NONE);
}

void actor_modify(struct actor_call *c, uint64_t how)
{
	char mem[400];
	struct buf sdp;
	switch (how % 4) {
	case 0:
		(void)!ses_modify(c->ses);
		break;
	case 1:
		(void)!ses_change(c->ses, SES_REINVITE_LATE, STR_NONE);
		break;
	case 2:
		buf_init_fixed(&sdp, mem, sizeof(mem));
		put_sdp(c, &sdp);
		(void)!ses_change(c->ses, SES_UPDATE, buf_view(&sdp));
		break;
	case 3:
		(void)!ses_info(c->ses, STR("application/dtmf-relay"), STR("Signal=5"));
		break;
	}
}

static void set_referred(struct actor_call *c)
{
	c->has_referred = true;
	act(c);
}

void actor_transfer(struct actor_call *c, const char *user)
{
	char target[64];
	snprintf(target, sizeof(target), "sip:%s@" STAGE_SERVER, user);
	if (!c->has_referred && ses_refer(c->ses, str_c(target), STR_NONE) == OK)
		set_referred(c);
}

static void put_escaped(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char x = (unsigned char)s.p[i];
		if ((x >= '0' && x <= '9') || (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') ||
		    x == '-' || x == '.')
			buf_chr(b, s.p[i]);
		else
			buf_fmt(b, "%%%c%c", hex[x >> 4], hex[x & 15]);
	}
}

/* [RFC5589 7]: to the far party of the consultation, in its terms. */
void actor_transfer_to(struct actor_call *c, struct actor_call *consultation)
{
	struct dlg *d = ses_dialog(consultation->ses);
	char mem[500];
	struct buf b;
	if (!d || c->has_referred || c == consultation)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, dlg_remote_target(d));
	buf_str(&b, STR("?Replaces="));
	put_escaped(&b, dlg_call_id(d));
	buf_str(&b, STR("%3Bto-tag%3D"));
	put_escaped(&b, dlg_remote_tag(d));
	buf_str(&b, STR("%3Bfrom-tag%3D"));
	put_escaped(&b, dlg_local_tag(d));
	if (b.err == OK && ses_refer(c->ses, buf_view(&b), STR_NONE) == OK)
		set_referred(c);
}
