/* The exchange and its dispatcher.
 *
 * A request's path (on the shard of its Call-ID): transaction layer → on_request here →
 *   1. in a dialog of ours (echo test, message-waiting): the dialog layer has it;
 *   2. what no element may pass on: Max-Forwards 0, Proxy-Require, unreadable Route, unknown
 * scheme;
 *   3. in a dialog that was set up through us (a token of ours in Route): on to the other side, no
 * digest;
 *   4. REGISTER to us: registrar; OPTIONS to us: answered;
 *   5. everything else needs digest (or a trusted source), and From must be the user's own; the
 * answer may come in a later turn (struct wait);
 *   6. then by the request-URI: a built-in number, a mailbox, an account's bindings, or a foreign
 * domain.
 *
 * Invariants: 1. Every server transaction is given to exactly one service, or answered here. 2. A
 * `struct wait` lives from auth_verify's ERR_MORE to its callback. 3. Only the proxy sets a
 * transaction's owner. 4. Nothing is sent to a foreign domain for somebody who has not
 * authenticated: neither by request-URI nor by a preloaded Route (no open relay). */
#include "service/exchange.h"

#include "base/limits.h"
#include "service/accounts.h"
#include "service/auth.h"
#include "service/codes.h"
#include "service/echo.h"
#include "service/limit.h"
#include "service/mwi.h"
#include "service/proxy.h"
#include "service/registrar.h"

#include <stdlib.h>
#include <string.h>

struct wait { /* a request whose credentials are being checked by another shard */
	struct exc_shard *s;
	tsx_id st;
	struct tp_rx *rx;
	struct rt_plan plan;
	struct auth_check check;
};

struct exc_shard {
	struct exc *x;
	size_t n;
	struct ev_loop *loop;
	struct block_cache blocks;
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct dlg_mgr *dlg;
	struct auth *auth;
	struct reg *reg;
	struct prx *prx;
	struct mwi *mwi;
	struct echo *echo;
	struct lim *lim;
	struct rt_self self;
	struct pool waits;
};

struct exc {
	struct ev_shards *shards;
	struct st *st;
	struct acc *acc;
	struct loc *loc;
	struct dom *dom;
	struct buf realm, echo_user, product;
	struct addr_net *trust;
	size_t n_trust, n_shards;
	ev_snap draining;
	void (*note)(void *ctx, const struct exc_note *n);
	void *note_ctx;
	struct exc_shard s[];
};

static const struct str allow_line = STR_INIT(
	"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, MESSAGE\r\n");
static const struct str events_line = STR_INIT("Allow-Events: message-summary\r\n");

static void reply(struct exc_shard *s, tsx_id st, enum code code, struct str extra)
{
	code_refuse(s->tsx, st, code, extra);
}

/* ---- what is where --------------------------------------------------------------------------- */

static bool is_us(void *ctx, const struct sip_uri *u)
{
	struct exc_shard *s = ctx;
	return dom_uri_is_ours(s->x->dom, s->tp, u);
}

static bool is_echo(const struct exc *x, struct str user)
{
	if (x->echo_user.n)
		return str_eq(user, buf_view(&x->echo_user));
	return str_eq(user, STR("echo")) || str_eq(user, STR("*43"));
}

/* A phone that sent the request itself, without a proxy in between, is reached where it sent from:
 * over its connection; by UDP where it speaks symmetrically (RFC 3581) and its Contact names
 * another address (NAT). */
static struct rt_side caller_side(const struct tp_rx *rx)
{
	const struct sip_msg *m = rx->msg;
	struct rt_side none = {0}, back = {.is_set = true, .dst = tp_dst_back(rx)};
	struct sip_via via;
	struct sip_addr contact;
	if (sip_has(m, SIP_HDR_RECORD_ROUTE) || sip_count(m, SIP_HDR_VIA) > 1)
		return none;
	if (rx->proto != TP_UDP)
		return back;
	if (sip_via_parse(m->via, &via) != OK || !via.has_rport)
		return none;
	if (sip_addr_parse(sip_value(m, SIP_HDR_CONTACT), &contact) != OK || contact.uri_err)
		return none;
	struct addr a = contact.uri.ip;
	a.port = contact.uri.port ? contact.uri.port : 5060;
	if (contact.uri.is_ip && addr_eq(&a, &rx->from))
		return none;
	return back;
}

/* ---- sending on ------------------------------------------------------------------------------ */

static bool makes_dialog(const struct sip_msg *m)
{
	return !m->to_tag.n && (sip_method_flags((enum sip_method)m->method) & SIP_MF_DIALOG);
}

static void forward(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		    const struct prx_target *t, size_t n)
{
	bool has_dialog = makes_dialog(rx->msg);
	struct prx_request req = {
		.route = plan,
		.targets = t,
		.n_targets = n,
		.is_trusted = auth_is_trusted(s->auth, &rx->from),
		.record_route = has_dialog,
	};
	if (has_dialog)
		req.caller = caller_side(rx);
	prx_forward(s->prx, st, rx, &req);
}

static struct prx_target side_target(struct exc_shard *s, struct tp_rx *rx,
				     const struct rt_plan *plan)
{
	struct prx_target t = {.q = 1000};
	const struct rt_side *side = rt_plan_side(&s->self, rx->msg, plan);
	if (side) {
		t.has_dst = true;
		t.dst = side->dst;
	}
	return t;
}

static void to_account(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		       struct str aor)
{
	struct exc *x = s->x;
	struct loc_targets found;
	struct prx_target t[LOC_MAX_TARGETS];
	if (loc_lookup(x->loc, s->n, aor, &found)) {
		reply(s, st,
		      acc_has(x->acc, dom_user_of_aor(x->dom, aor)) ? CODE_OFFLINE : CODE_NO_USER,
		      STR_NONE);
		return;
	}
	if (!found.n) {
		reply(s, st, CODE_FLOW_DOWN, STR_NONE);
		return;
	}
	for (size_t i = 0; i < found.n; i++)
		t[i] = (struct prx_target){
			.ruri = found.t[i].uri,
			.path = found.t[i].path,
			.q = found.t[i].q,
			.has_dst = found.t[i].has_dst,
			.dst = found.t[i].dst,
		};
	forward(s, st, rx, plan, t, found.n);
}

/* ---- requests for the exchange itself -------------------------------------------------------- */

static void to_exchange(struct exc_shard *s, tsx_id st, struct tp_rx *rx)
{
	const struct sip_msg *m = rx->msg;
	char lines[256];
	struct buf b;
	buf_init_fixed(&b, lines, sizeof(lines));
	buf_str(&b, allow_line);
	if (tsx_is_merged(s->tsx, st)) {
		reply(s, st, CODE_MERGED, STR_NONE);
	} else if (m->method == SIP_OPTIONS) { /* [RFC3261 11.2] */
		buf_str(&b, events_line);
		buf_str(&b, STR("Accept: application/sdp, text/plain\r\nSupported: path\r\n"));
		enum err e = tsx_reply(s->tsx, st, 200, STR_NONE, buf_view(&b));
		(void)e;
	} else if (m->method == SIP_SUBSCRIBE || m->method == SIP_PUBLISH) {
		reply(s, st, CODE_EVENT, events_line);
	} else if (m->method == SIP_INVITE || m->method == SIP_MESSAGE) {
		reply(s, st, CODE_NO_USER, STR_NONE);
	} else {
		reply(s, st, CODE_METHOD, buf_view(&b));
	}
}

static void subscribe(struct exc_shard *s, tsx_id st, struct tp_rx *rx, struct str user,
		      struct str aor)
{
	struct sip_event ev;
	bool is_mwi = sip_event_parse(sip_value(rx->msg, SIP_HDR_EVENT), &ev) == OK &&
		      str_ieq(ev.package, STR("message-summary"));
	if (!is_mwi)
		reply(s, st, CODE_EVENT, events_line);
	else if (user.n && !str_eq(user, dom_user_of_aor(s->x->dom, aor)))
		reply(s, st, CODE_MAILBOX, STR_NONE);
	else
		mwi_on_subscribe(s->mwi, st, rx, aor);
}

/* ---- by the request-URI ---------------------------------------------------------------------- */

/* `user`: who has authenticated; empty for a trusted source. */
static void route(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		  struct str user)
{
	const struct sip_msg *m = rx->msg;
	struct prx_target as_is = {.q = 1000};
	struct sip_uri uri;
	char mem[512];
	struct buf aor;
	buf_init_fixed(&aor, mem, sizeof(mem));
	if (plan->next.n || sip_uri_parse(plan->ruri, &uri) != OK || !is_us(s, &uri)) {
		forward(s, st, rx, plan, &as_is, 1);
		return;
	}
	if (!uri.has_user) {
		to_exchange(s, st, rx);
		return;
	}
	if (dom_aor_put(s->x->dom, &uri, &aor) || aor.err) {
		reply(s, st, CODE_NO_USER, STR_NONE);
		return;
	}
	struct str aor_user = dom_user_of_aor(s->x->dom, buf_view(&aor));
	if (m->method == SIP_SUBSCRIBE || m->method == SIP_PUBLISH)
		subscribe(s, st, rx, user, buf_view(&aor));
	else if (is_echo(s->x, aor_user) && m->method == SIP_INVITE)
		echo_on_invite(s->echo, st, rx);
	else if (is_echo(s->x, aor_user))
		to_exchange(s, st, rx);
	else
		to_account(s, st, rx, plan, buf_view(&aor));
}

/* ---- who asks -------------------------------------------------------------------------------- */

/* From must be the authenticated user's own address. */
static bool is_own_from(struct exc_shard *s, const struct sip_msg *m, struct str user)
{
	struct sip_addr from;
	char mem[512];
	struct buf aor;
	buf_init_fixed(&aor, mem, sizeof(mem));
	if (sip_addr_parse(sip_value(m, SIP_HDR_FROM), &from) != OK || from.uri_err)
		return false;
	if (!dom_is_ours(s->x->dom, s->tp, from.uri.host, 0) ||
	    dom_aor_put(s->x->dom, &from.uri, &aor))
		return false;
	return str_eq(dom_user_of_aor(s->x->dom, buf_view(&aor)), user);
}

static void on_verified(struct exc_shard *s, tsx_id st, struct tp_rx *rx,
			const struct rt_plan *plan, const struct auth_check *c)
{
	if (!auth_is_ok(c->verdict)) {
		auth_challenge(s->auth, s->tsx, st, c);
		return;
	}
	struct str user = c->verdict == AUTH_OK ? auth_user(c) : STR_NONE;
	if (user.n && !is_own_from(s, rx->msg, user))
		reply(s, st, CODE_AUTH_IDENTITY, STR_NONE);
	else
		route(s, st, rx, plan, user);
}

static void on_auth_done(struct auth_check *c)
{
	struct wait *w = CONTAINER_OF(c, struct wait, check);
	struct exc_shard *s = w->s;
	if (tsx_is_cancelled(s->tsx, w->st))
		reply(s, w->st, CODE_CANCELLED, STR_NONE);
	else if (tsx_request(s->tsx, w->st))
		on_verified(s, w->st, w->rx, &w->plan, c);
	tp_rx_unref(s->tp, w->rx);
	pool_put(&s->waits, w);
}

static void authenticate(struct exc_shard *s, tsx_id st, struct tp_rx *rx,
			 const struct rt_plan *plan)
{
	struct wait *w = pool_get(&s->waits);
	if (!w) {
		reply(s, st, CODE_OVERLOAD, STR("Retry-After: 5\r\n"));
		return;
	}
	*w = (struct wait){.s = s, .st = st, .rx = rx, .plan = *plan};
	w->check.done = on_auth_done;
	if (auth_verify(s->auth, rx, &w->check) == ERR_MORE) {
		tp_rx_ref(rx);
		return;
	}
	on_verified(s, st, rx, plan, &w->check);
	pool_put(&s->waits, w);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void name_storm(struct exc_shard *s, const struct tp_rx *rx, struct str user)
{
	struct exc *x = s->x;
	char mem[512], from[ADDR_TEXT_MAX];
	struct buf b;
	struct str agent = sip_value(rx->msg, SIP_HDR_USER_AGENT);
	if (!x->note)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b,
		"%s storms: user " STR_FMT " starts " STR_FMT
		" requests faster than %d a second; it is held back",
		addr_text(&rx->from, from), STR_ARG(user), STR_ARG(rx->msg->method_name),
		LIMIT_STARTS_PER_S);
	if (agent.n)
		buf_fmt(&b, " (" STR_FMT ")", STR_ARG(str_sub(agent, 0, 80)));
	struct exc_note n = {.kind = EXC_NOTE_STORM,
			     .shard = s->n,
			     .at_us = ev_now_us(s->loop),
			     .text = buf_view(&b),
			     .user = user,
			     .call_id = rx->msg->call_id,
			     .from = rx->from};
	x->note(x->note_ctx, &n);
}

/* False when the request was refused or dropped. */
static bool is_within_rate(struct exc_shard *s, tsx_id st, struct tp_rx *rx)
{
	static const struct lim_rate rate = {.per_s = LIMIT_STARTS_PER_S,
					     .burst = LIMIT_STARTS_BURST};
	const struct sip_msg *m = rx->msg;
	struct sip_addr from;
	struct str user = STR_NONE;
	if (auth_is_trusted(s->auth, &rx->from))
		return true;
	if (sip_addr_parse(sip_value(m, SIP_HDR_FROM), &from) == OK && !from.uri_err)
		user = from.uri.user;
	switch (lim_take(s->lim, ev_now_us(s->loop), rate, &rx->from, user, m->method_name, NULL)) {
	case LIM_PASS:
		return true;
	case LIM_FIRST:
		name_storm(s, rx, user);
		[[fallthrough]];
	case LIM_REFUSE:
		reply(s, st, CODE_STORM, STR("Retry-After: 10\r\n"));
		return false;
	case LIM_DROP:
		tsx_drop(s->tsx, st);
		return false;
	}
	return true;
}

/* What RFC 3261 16.3 checks before anything else. False when the request was answered. */
static bool is_passable(struct exc_shard *s, tsx_id st, const struct sip_msg *m,
			struct rt_plan *plan)
{
	struct sip_uri uri;
	char mem[300];
	struct buf b;
	if (rt_plan_make(&s->self, m, plan)) {
		reply(s, st, CODE_ROUTE_SYNTAX, STR_NONE);
		return false;
	}
	enum err e = sip_uri_parse(plan->ruri, &uri);
	if (!plan->next.n && e == ERR_UNSUPPORTED) {
		reply(s, st, CODE_URI_SCHEME, STR_NONE);
		return false;
	}
	if (m->has_max_forwards && m->max_forwards == 0 && m->method != SIP_REGISTER) {
		reply(s, st, CODE_HOPS, STR_NONE);
		return false;
	}
	struct str wanted = sip_value(m, SIP_HDR_PROXY_REQUIRE);
	if (wanted.n) {
		buf_init_fixed(&b, mem, sizeof(mem));
		buf_fmt(&b, "Unsupported: " STR_FMT "\r\n", STR_ARG(str_sub(wanted, 0, 250)));
		reply(s, st, CODE_PROXY_REQUIRE, buf_view(&b));
		return false;
	}
	return true;
}

/* ---- the transaction layer's user ------------------------------------------------------------ */

static void on_request(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	const struct sip_msg *m = rx->msg;
	struct rt_plan plan;
	struct sip_uri uri;
	if (dlg_on_request(s->dlg, st, rx) || !is_passable(s, st, m, &plan))
		return;
	if (plan.has_token && m->to_tag.n) {
		struct prx_target t = side_target(s, rx, &plan);
		forward(s, st, rx, &plan, &t, 1);
		return;
	}
	if (!is_within_rate(s, st, rx))
		return;
	if (ev_snap_get(&s->x->draining)) {
		reply(s, st, CODE_DRAINING, STR("Retry-After: 10\r\n"));
		return;
	}
	bool is_here = !plan.next.n && sip_uri_parse(plan.ruri, &uri) == OK && is_us(s, &uri);
	if (is_here && m->method == SIP_REGISTER)
		reg_on_request(s->reg, st, rx);
	else if (is_here && !uri.has_user && m->method == SIP_OPTIONS)
		to_exchange(s, st, rx);
	else
		authenticate(s, st, rx, &plan);
}

static void on_ack(void *ctx, struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	const struct sip_msg *m = rx->msg;
	struct rt_plan plan;
	if (dlg_on_ack(s->dlg, rx) || rt_plan_make(&s->self, m, &plan))
		return;
	if (!plan.has_token || (m->has_max_forwards && m->max_forwards == 0))
		return; /* not of a call that was set up through us: an ACK is never answered */
	struct prx_target t = side_target(s, rx, &plan);
	prx_forward_ack(s->prx, rx, &plan, &t);
}

static void on_cancel(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	void *owner = tsx_owner(s->tsx, st);
	if (!dlg_on_cancel(s->dlg, st, rx) && owner)
		prx_on_cancel(s->prx, owner, rx);
}

static void on_stray_response(void *ctx, struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	if (!dlg_on_stray_response(s->dlg, rx))
		prx_on_stray_response(s->prx, rx);
}

static void on_server_end(void *ctx, tsx_id st, void *owner, enum tsx_end why)
{
	struct exc_shard *s = ctx;
	if (!dlg_on_server_end(s->dlg, st, owner, why) && owner)
		prx_on_server_end(s->prx, owner, why);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	struct exc_shard *s = ctx;
	dlg_on_flow_down(s->dlg, flow);
}

/* ---- making it ------------------------------------------------------------------------------- */

/* The transport is made before the manager that will be its user. */
static void to_tsx_message(void *ctx, struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	tsx_on_message(s->tsx, rx);
}

static void to_tsx_error(void *ctx, const struct tp_error *e)
{
	struct exc_shard *s = ctx;
	tsx_on_error(s->tsx, e);
}

static void to_tsx_flow_down(void *ctx, tp_flow flow)
{
	struct exc_shard *s = ctx;
	tsx_on_flow_down(s->tsx, flow);
}

struct keys {
	uint8_t nonce[16], route[16], branch[16], call_id[16];
};

static enum err make_stack(struct exc_shard *s, const struct keys *k)
{
	struct tp_user tp_user = {.ctx = s,
				  .on_message = to_tsx_message,
				  .on_error = to_tsx_error,
				  .on_flow_down = to_tsx_flow_down};
	struct tsx_user tsx_user = {
		.ctx = s,
		.on_request = on_request,
		.on_ack = on_ack,
		.on_cancel = on_cancel,
		.on_stray_response = on_stray_response,
		.on_server_end = on_server_end,
		.on_flow_down = on_flow_down,
	};
	enum err e = tp_new(s->loop, &s->blocks, &tp_user, NULL, &s->tp);
	if (e)
		return e;
	tp_set_keys(s->tp, k->branch, k->call_id);
	e = tsx_mgr_new(s->loop, s->tp, &s->blocks, &tsx_user, &s->tsx);
	if (e)
		return e;
	struct dlg_config cfg = {.product = buf_view(&s->x->product)};
	return dlg_mgr_new(s->loop, s->tp, s->tsx, &s->blocks, &cfg, &s->dlg);
}

static void on_registration(void *ctx, const struct reg_outcome *o)
{
	struct exc_shard *s = ctx;
	struct exc *x = s->x;
	bool is_news = o->status == 200 ? o->n_added || o->n_removed : o->auth != AUTH_NONE;
	if (!x->note || !is_news) /* neither a refresh nor the first challenge is */
		return;
	char mem[600], from[ADDR_TEXT_MAX];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	addr_text(&o->from, from);
	if (o->status == 200 && o->n_added)
		buf_fmt(&b, STR_FMT " registered from %s for %u s", STR_ARG(o->user), from,
			o->expires_s);
	else if (o->status == 200)
		buf_fmt(&b, STR_FMT " unregistered from %s", STR_ARG(o->user), from);
	else if (!auth_is_ok(o->auth))
		buf_fmt(&b, STR_FMT " was refused from %s: %s", STR_ARG(o->user), from,
			auth_verdict_text(o->auth));
	else
		buf_fmt(&b, STR_FMT " was refused from %s: " STR_FMT, STR_ARG(o->user), from,
			STR_ARG(code_info(o->code) ? code_info(o->code)->text : STR("refused")));
	if (o->status == 200 && o->user_agent.n)
		buf_fmt(&b, " (" STR_FMT ")", STR_ARG(str_sub(o->user_agent, 0, 60)));
	const struct code_info *code = code_info(o->code);
	struct exc_note n = {.kind = EXC_NOTE_REGISTER,
			     .shard = s->n,
			     .at_us = ev_now_us(s->loop),
			     .code = code ? code->number : 0,
			     .text = buf_view(&b),
			     .user = o->user,
			     .call_id = o->call_id,
			     .from = o->from};
	x->note(x->note_ctx, &n);
}

static enum err make_services(struct exc_shard *s, const struct keys *k)
{
	struct exc *x = s->x;
	struct auth_cfg auth_cfg = {
		.realm = buf_view(&x->realm), .trust = x->trust, .n_trust = x->n_trust};
	memcpy(auth_cfg.nonce_key, k->nonce, sizeof(auth_cfg.nonce_key));
	enum err e = auth_new(x->shards, s->n, &auth_cfg, x->acc, &s->auth);
	if (e)
		return e;
	loc_set_transport(x->loc, s->n, s->tp);
	struct reg_env reg_env = {
		.shard = s->n,
		.loop = s->loop,
		.tp = s->tp,
		.tsx = s->tsx,
		.loc = x->loc,
		.auth = s->auth,
		.acc = x->acc,
		.dom = x->dom,
		.on_outcome = on_registration,
		.ctx = s,
	};
	e = reg_new(&reg_env, &(struct reg_cfg){0}, &s->reg);
	if (e)
		return e;
	s->self = (struct rt_self){.tp = s->tp, .is_us = is_us, .ctx = s};
	memcpy(s->self.key, k->route, sizeof(s->self.key));
	struct prx_config prx_cfg = {.realm = buf_view(&x->realm)};
	e = prx_new(s->loop, s->tp, s->tsx, &s->blocks, &s->self, &prx_cfg, &s->prx);
	if (e)
		return e;
	e = mwi_new(s->tsx, s->dlg, k->call_id, &(struct mwi_config){0}, &s->mwi);
	if (e)
		return e;
	e = echo_new(s->loop, s->tsx, s->dlg, &(struct echo_config){0}, &s->echo);
	if (e)
		return e;
	pool_init(&s->waits, sizeof(struct wait), LIMIT_PENDING_AUTH, 0x42, (uint8_t)s->n);
	return lim_new(k->call_id, &s->lim);
}

static void free_shard(struct exc_shard *s)
{
	uint32_t at = 0;
	struct wait *w;
	if (s->waits.size) {
		while ((w = pool_next(&s->waits, &at))) {
			auth_cancel(&w->check);
			tp_rx_unref(s->tp, w->rx);
			pool_put(&s->waits, w);
		}
		pool_fini(&s->waits);
	}
	lim_free(s->lim);
	echo_free(s->echo);
	mwi_free(s->mwi);
	prx_free(s->prx);
	reg_free(s->reg);
	auth_free(s->auth);
	dlg_mgr_free(s->dlg);
	tsx_mgr_free(s->tsx);
	tp_free(s->tp);
	block_cache_fini(&s->blocks);
}

static enum err make_shared(struct exc *x, struct env *env, const struct exc_cfg *cfg,
			    struct keys *k, struct buf *why)
{
	struct str bad = STR_NONE;
	buf_str(&x->echo_user, cfg->echo_user);
	buf_str(&x->product, cfg->product);
	enum err e = acc_realm(x->st, env, cfg->realm, &x->realm);
	if (e == OK)
		e = acc_key(x->st, env, STR("nonce"), k->nonce, sizeof(k->nonce));
	if (e == OK)
		e = acc_key(x->st, env, STR("route"), k->route, sizeof(k->route));
	if (e == OK)
		e = acc_new(x->shards, x->st, &x->acc);
	if (e == OK)
		e = loc_new(x->shards, x->st, &(struct loc_cfg){0}, &x->loc);
	if (e) {
		struct str st_text = st_why(x->st);
		buf_str(why, st_text.n ? st_text : str_c(err_text(e)));
		return e;
	}
	e = dom_new(cfg->domains, cfg->n_domains, buf_view(&x->realm), cfg->host_name, &bad,
		    &x->dom);
	if (e)
		buf_fmt(why, "`" STR_FMT "` is not a domain", STR_ARG(bad));
	return e;
}

enum err exc_new(struct ev_shards *shards, struct st *st, struct env *env,
		 const struct exc_cfg *cfg, struct exc **out, struct buf *why)
{
	size_t n = ev_shards_count(shards);
	struct keys keys;
	struct exc *x = calloc(1, sizeof(*x) + n * sizeof(x->s[0]));
	if (!x)
		return ERR_NOMEM;
	x->shards = shards;
	x->st = st;
	x->n_shards = n;
	buf_init(&x->realm);
	buf_init(&x->echo_user);
	buf_init(&x->product);
	env_random(env, &keys, sizeof(keys));
	enum err e = ERR_NOMEM;
	x->trust = calloc(cfg->n_trust + 1, sizeof(*x->trust));
	if (x->trust) {
		if (cfg->n_trust)
			memcpy(x->trust, cfg->trust, cfg->n_trust * sizeof(*x->trust));
		x->n_trust = cfg->n_trust;
		e = make_shared(x, env, cfg, &keys, why);
	}
	for (size_t i = 0; i < n && e == OK; i++) {
		struct exc_shard *s = &x->s[i];
		s->x = x;
		s->n = i;
		s->loop = ev_shard(shards, i);
		e = make_stack(s, &keys);
		if (e == OK)
			e = make_services(s, &keys);
	}
	if (e) {
		if (!why->n)
			buf_str(why, str_c(err_text(e)));
		exc_free(x);
		return e;
	}
	*out = x;
	return OK;
}

void exc_free(struct exc *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n_shards; i++)
		if (x->s[i].x)
			free_shard(&x->s[i]);
	loc_free(x->loc);
	acc_free(x->acc);
	dom_free(x->dom);
	buf_fini(&x->realm);
	buf_fini(&x->echo_user);
	buf_fini(&x->product);
	free(x->trust);
	free(x);
}

void exc_set_notes(struct exc *x, void (*fn)(void *ctx, const struct exc_note *n), void *ctx)
{
	x->note = fn;
	x->note_ctx = ctx;
}

enum err exc_listen(struct exc *x, enum tp_proto proto, const struct addr *local, const char **why)
{
	struct addr a = *local;
	for (size_t i = 0; i < x->n_shards; i++) {
		enum err e = tp_listen(x->s[i].tp, proto, &a, why);
		if (e)
			return e;
		if (a.port)
			continue;
		enum tp_proto p; /* the kernel chose a port: the other shards take the same */
		struct addr got;
		for (size_t k = 0; tp_listener(x->s[i].tp, k, &p, &got); k++)
			if (p == proto && addr_ip_eq(&got, &a))
				a.port = got.port;
	}
	return OK;
}

void exc_set_tap(struct exc *x, size_t shard, const struct tp_tap *tap)
{
	tp_set_tap(x->s[shard].tp, tap);
}

struct str exc_realm(const struct exc *x)
{
	return buf_view(&x->realm);
}

struct acc *exc_accounts(struct exc *x)
{
	return x->acc;
}

struct loc *exc_location(struct exc *x)
{
	return x->loc;
}

const struct dom *exc_domains(const struct exc *x)
{
	return x->dom;
}

struct tp *exc_transport(struct exc *x, size_t shard)
{
	return x->s[shard].tp;
}

struct tsx_mgr *exc_transactions(struct exc *x, size_t shard)
{
	return x->s[shard].tsx;
}

void exc_drain(struct exc *x)
{
	ev_snap_set(&x->draining, x);
}

size_t exc_pending(struct exc *x, size_t shard)
{
	struct prx_stats p;
	struct dlg_stats d;
	prx_stats(x->s[shard].prx, &p);
	dlg_stats(x->s[shard].dlg, &d);
	return p.pending + d.sessions;
}

size_t exc_live(struct exc *x, size_t shard)
{
	struct tsx_stats t;
	struct dlg_stats d;
	tsx_stats(x->s[shard].tsx, &t);
	dlg_stats(x->s[shard].dlg, &d);
	return t.live_client + t.live_server + d.sessions;
}
