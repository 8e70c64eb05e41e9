/* The dispatcher: which service a request is for.
 *
 * A request's path (on the shard of its Call-ID): transaction layer → on_request here →
 *   1. in a dialog of ours (echo test, subscription): the dialog layer has it;
 *   2. what no element may pass on: Max-Forwards 0, Proxy-Require, unreadable Route,
 *      unknown scheme;
 *   3. in a dialog that was set up through us (a token of ours in Route): on to the other
 *      side, no digest;
 *   4. by a Path of ours: over that phone's flow; REGISTER to us: registrar; OPTIONS to us:
 *      answered;
 *   5. everything else needs digest (or a trusted source, or a trunk's), and From must be the
 *      user's own; the answer may come in a later turn (struct wait);
 *   6. then by the request-URI: a built-in number, a mailbox, one phone (GRUU); what the routing
 *      policy says (steer.c); without one an account's bindings, or a foreign domain.
 *
 * Invariants: 1. Every server transaction is given to exactly one service, or answered here. 2. A
 * `struct wait` lives from auth_verify's ERR_MORE to its callback. 3. Only the proxy sets a
 * transaction's owner. 4. Nothing is sent to a foreign domain for somebody who has not
 * authenticated: neither by request-URI nor by a preloaded Route (no open relay). */
#include "base/limits.h"
#include "service/codes.h"
#include "service/nat.h"
#include "service/steer.h"
#include "service/watch.h"
#include "service/way.h"

static const struct str allow_line = STR_INIT("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, "
					      "SUBSCRIBE, NOTIFY, PUBLISH, MESSAGE\r\n");

static void reply(struct exc_shard *s, tsx_id st, enum code code, struct str extra)
{
	way_refuse(s, st, code, extra);
}

/* ---- what is where --------------------------------------------------------------------------- */

bool dispatch_is_us(void *ctx, const struct sip_uri *u)
{
	struct exc_shard *s = ctx;
	return dom_uri_is_ours(s->x->dom, s->stack.tp, u);
}

static bool is_echo(const struct exc *x, struct str user)
{
	if (x->echo_user.n)
		return str_eq(user, buf_view(&x->echo_user));
	return str_eq(user, STR("echo")) || str_eq(user, STR("*43"));
}

/* A phone that sent the request itself, without a proxy in between, is reached where it sent from:
 * over its connection; by UDP when it is behind NAT, or its Contact is a name and it speaks
 * symmetrically (RFC 3581). */
static struct rt_side caller_side(const struct tp_rx *rx)
{
	const struct sip_msg *m = rx->msg;
	struct rt_side none = {0}, back = {.is_set = true, .dst = tp_dst_back(rx)};
	struct sip_addr contact;
	if (!nat_is_direct(m))
		return none;
	if (rx->proto != TP_UDP)
		return back;
	if (sip_addr_parse(sip_value(m, SIP_HDR_CONTACT), &contact) != OK || contact.uri_err)
		return none;
	bool is_back = contact.uri.is_ip ? nat_is_by_source(rx, &contact.uri) : m->via_has_rport;
	return is_back ? back : none;
}

/* ---- sending on ------------------------------------------------------------------------------ */

static bool makes_dialog(const struct sip_msg *m)
{
	return !m->to_tag.n && (sip_method_flags((enum sip_method)m->method) & SIP_MF_DIALOG);
}

/* A subscription's route set is that of its NOTIFYs, each of which says it. [RFC6665 4.3] */
static bool is_notify_through_us(const struct sip_msg *m, const struct rt_plan *plan)
{
	return m->method == SIP_NOTIFY && m->to_tag.n && plan->has_token;
}

void dispatch_forward(struct exc_shard *s, tsx_id st, struct tp_rx *rx, struct prx_request *req)
{
	req->record_route = makes_dialog(rx->msg) || is_notify_through_us(rx->msg, req->route);
	req->is_trusted = way_ask(s, rx, &req->history);
	/* we are the phone's edge proxy: its registrar reaches it through us [RFC5626 5.1] */
	req->add_path = rx->msg->method == SIP_REGISTER && nat_is_direct(rx->msg) &&
			sip_has_token(rx->msg, SIP_HDR_SUPPORTED, STR("path"));
	if (req->record_route && !rx->msg->to_tag.n)
		req->caller = caller_side(rx);
	prx_forward(s->prx, st, rx, req);
}

static void forward(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		    const struct prx_target *t, size_t n)
{
	struct prx_request req = {.route = plan, .targets = t, .n_targets = n};
	dispatch_forward(s, st, rx, &req);
}

/* The bindings that the request-URI names: of an account, or of one phone of it [RFC5627 5.5]. */
static enum code look_up(struct exc_shard *s, const struct sip_uri *uri, struct str aor,
			 struct loc_targets *found)
{
	struct exc *x = s->x;
	struct gruu gruu;
	char mem[LIMIT_AOR_BYTES + 1];
	struct buf b;
	bool is_gruu = gruu_read(&s->gruu, uri, &gruu);
	bool is_temp = is_gruu && gruu.is_temp;
	if (is_temp) {
		buf_init_fixed(&b, mem, sizeof(mem));
		dom_aor_of_user(x->dom, str_of(gruu.user, gruu.n_user), &b);
		aor = buf_view(&b);
		if (!gruu.n_user || b.err)
			return CODE_GRUU_GONE;
	}
	if (!acc_has(x->acc, dom_user_of_aor(x->dom, aor))) /* also when its bindings live on */
		return is_temp ? CODE_GRUU_GONE : CODE_NO_USER;
	if (loc_lookup_some(x->loc, s->n, aor, is_gruu ? gruu_is_meant : NULL, &gruu, found))
		return is_temp ? CODE_GRUU_GONE : CODE_OFFLINE;
	return found->n ? CODE_NONE : CODE_FLOW_DOWN;
}

static struct prx_target target_of(const struct loc_target *t)
{
	return (struct prx_target){.ruri = t->uri,
				   .path = t->path,
				   .q = t->q,
				   .backup_of = t->backup_of,
				   .has_dst = t->has_dst,
				   .dst = t->dst};
}

/* A connection that has ended? */
static bool is_gone(struct exc_shard *s, const struct tp_dst *dst)
{
	return dst->proto != TP_UDP && dst->flow && !tp_flow_is_up(s->stack.tp, dst->flow);
}

/* Inside a dialog: the way that its token knows. A GRUU of ours becomes the contact behind it, and
 * when the token's connection has ended, the flow that its phone has now [RFC5627 4.4.1]. Where the
 * request has Routes of its own behind ours they are the way, and no Path goes before them
 * [RFC5627 6.1]. */
static struct prx_target side_target(struct exc_shard *s, struct tp_rx *rx,
				     const struct rt_plan *plan)
{
	struct prx_target t = {.q = 1000};
	struct loc_targets found;
	const struct rt_side *side = rt_plan_side(&s->self, rx->msg, plan);
	char mem[LIMIT_AOR_BYTES + 1];
	struct buf aor;
	buf_init_fixed(&aor, mem, sizeof(mem));
	if (plan->is_us && sip_param(plan->uri.params, STR("gr"), NULL) &&
	    dom_aor_put(s->x->dom, &plan->uri, &aor) == OK &&
	    look_up(s, &plan->uri, buf_view(&aor), &found) == CODE_NONE)
		t = target_of(&found.t[0]);
	if (plan->next.n) {
		t.path = STR_NONE;
		t.has_dst = false;
	}
	if (side && !(t.has_dst && is_gone(s, &side->dst))) {
		t.has_dst = true;
		t.dst = side->dst;
		t.path = STR_NONE;
	}
	return t;
}

void dispatch_b2bua(struct exc_shard *s, tsx_id st, struct tp_rx *rx, struct b2b_request *req)
{
	req->is_trusted = way_ask(s, rx, &req->history);
	req->is_farewell |= s->x->has_farewell;
	b2b_on_invite(s->b2b, st, rx, req);
}

struct str dispatch_caller_aor(struct exc_shard *s, struct str user, struct buf *b)
{
	if (!user.n)
		return STR_NONE;
	dom_aor_of_user(s->x->dom, user, b);
	return b->err == OK ? buf_view(b) : STR_NONE;
}

/* False when the request was answered 420: the tokens of all lines of `id`, none of which we
 * understand, come back in Unsupported. */
static bool is_understood(struct exc_shard *s, tsx_id st, const struct sip_msg *m,
			  enum sip_hdr_id id, enum code code)
{
	char mem[512];
	struct buf b;
	struct sip_iter it = {0};
	struct str v;
	if (!sip_has(m, id))
		return true;
	buf_init_fixed(&b, mem, sizeof(mem));
	while (sip_each(m, id, &it, &v))
		if (v.n && b.n + v.n < sizeof(mem) - 32) {
			buf_str(&b, b.n ? STR(", ") : STR("Unsupported: "));
			buf_str(&b, v);
		}
	if (b.n)
		buf_str(&b, STR("\r\n"));
	reply(s, st, code, buf_view(&b));
	return false;
}

/* He is not there: a message waits for him. */
static void to_nobody(struct exc_shard *s, tsx_id st, struct tp_rx *rx, struct str aor,
		      enum code code)
{
	bool is_away = (code == CODE_OFFLINE || code == CODE_FLOW_DOWN) &&
		       acc_has(s->x->acc, dom_user_of_aor(s->x->dom, aor));
	if (!is_away || rx->msg->method != SIP_MESSAGE || rx->msg->to_tag.n)
		reply(s, st, code, STR_NONE);
	else if (is_understood(s, st, rx->msg, SIP_HDR_REQUIRE, CODE_REQUIRE))
		evt_on_message(s->evt, st, rx, aor);
}

/* The bindings of an account as targets; strings borrowed until the end of the turn. */
static enum code find_account(struct exc_shard *s, const struct sip_uri *uri, struct str aor,
			      struct prx_target *t, size_t *n)
{
	struct loc_targets found;
	enum code code = look_up(s, uri, aor, &found);
	if (code != CODE_NONE)
		return code;
	*n = found.n < *n ? found.n : *n;
	for (size_t i = 0; i < *n; i++)
		t[i] = target_of(&found.t[i]);
	return CODE_NONE;
}

bool dispatch_is_echo(void *ctx, const struct sip_uri *uri)
{
	struct exc_shard *s = ctx;
	return dispatch_is_us(s, uri) && is_echo(s->x, uri->user);
}

enum code dispatch_route(void *ctx, const struct sip_uri *uri, struct buf *aor,
			 struct prx_target *t, size_t *n)
{
	struct exc_shard *s = ctx;
	if (!dispatch_is_us(s, uri) || !uri->has_user || dom_aor_put(s->x->dom, uri, aor) ||
	    aor->err)
		return CODE_NO_USER;
	enum code code = find_account(s, uri, buf_view(aor), t, n);
	for (size_t i = 0; code == CODE_NONE && i < *n; i++)
		t[i].aor = buf_view(aor);
	return code;
}

static void to_account(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		       struct str user, struct str aor)
{
	char mem[LIMIT_AOR_BYTES + 1];
	struct buf caller;
	struct prx_target t[LOC_MAX_TARGETS];
	size_t n = ARRAY_LEN(t);
	enum code code = find_account(s, &plan->uri, aor, t, &n);
	bool is_call = rx->msg->method == SIP_INVITE && !rx->msg->to_tag.n;
	if (code) {
		to_nobody(s, st, rx, aor, code);
		return;
	}
	buf_init_fixed(&caller, mem, sizeof(mem));
	struct str by = is_call ? dispatch_caller_aor(s, user, &caller) : STR_NONE;
	if (is_call && s->x->is_b2bua) {
		for (size_t i = 0; i < n; i++)
			t[i].aor = aor;
		dispatch_b2bua(
			s, st, rx,
			&(struct b2b_request){.targets = t, .n_targets = n, .caller_aor = by});
		return;
	}
	if (is_call)
		calls_on_invite(s->calls, rx->msg, by, aor);
	forward(s, st, rx, plan, t, n);
}

/* By a Path of ours: over the flow that the phone has opened [RFC5626 5.3.1]. */
static void to_flow(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan)
{
	const struct tp_dst *dst = &plan->token.caller.dst;
	struct prx_target t = {.q = 1000, .has_dst = true, .dst = *dst};
	if (is_gone(s, dst))
		reply(s, st, CODE_FLOW_FAILED, STR_NONE);
	else
		forward(s, st, rx, plan, &t, 1);
}

/* ---- requests for the exchange itself -------------------------------------------------------- */

static void to_exchange(struct exc_shard *s, tsx_id st, struct tp_rx *rx)
{
	const struct sip_msg *m = rx->msg;
	char lines[512];
	struct buf b;
	if (!is_understood(s, st, m, SIP_HDR_REQUIRE, CODE_REQUIRE))
		return;
	buf_init_fixed(&b, lines, sizeof(lines));
	buf_str(&b, allow_line);
	if (m->method == SIP_OPTIONS) { /* [RFC3261 11.2] */
		evt_allow_put(&b);
		buf_str(&b,
			STR("Accept: application/sdp, text/plain\r\nAccept-Encoding: identity\r\n"
			    "Accept-Language: en\r\nSupported: path, outbound, gruu\r\n"));
		enum err e = tsx_reply(s->stack.tsx, st, 200, STR_NONE, buf_view(&b));
		(void)e;
	} else if (m->method == SIP_SUBSCRIBE || m->method == SIP_PUBLISH) {
		buf_clear(&b);
		evt_allow_put(&b);
		reply(s, st, CODE_EVENT, buf_view(&b));
	} else if (m->method == SIP_INVITE || m->method == SIP_MESSAGE) {
		reply(s, st, CODE_NO_USER, STR_NONE);
	} else {
		reply(s, st, CODE_METHOD, buf_view(&b));
	}
}

/* ---- by the request-URI ---------------------------------------------------------------------- */

/* `user`: who has authenticated; empty for a trusted source. */
static void route(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan,
		  struct str user)
{
	const struct sip_msg *m = rx->msg;
	struct prx_target as_is = {.q = 1000, .is_outside = true};
	struct gruu gruu;
	char mem[512], caller_mem[LIMIT_AOR_BYTES + 1];
	struct buf aor, caller;
	buf_init_fixed(&aor, mem, sizeof(mem));
	buf_init_fixed(&caller, caller_mem, sizeof(caller_mem));
	if (plan->next.n || !plan->is_us) {
		if (plan->next.n || !steer_on_request(s, st, rx, plan, user))
			forward(s, st, rx, plan, &as_is, 1);
		return;
	}
	if (!plan->uri.has_user) {
		to_exchange(s, st, rx);
		return;
	}
	if (dom_aor_put(s->x->dom, &plan->uri, &aor) || aor.err) {
		reply(s, st, CODE_NO_USER, STR_NONE);
		return;
	}
	struct str aor_user = dom_user_of_aor(s->x->dom, buf_view(&aor));
	if (m->method == SIP_SUBSCRIBE)
		evt_on_subscribe(s->evt, st, rx, user, buf_view(&aor));
	else if (m->method == SIP_PUBLISH && is_understood(s, st, m, SIP_HDR_REQUIRE, CODE_REQUIRE))
		evt_on_publish(s->evt, st, rx, user, buf_view(&aor));
	else if (m->method == SIP_PUBLISH)
		return;
	else if (is_echo(s->x, aor_user) && m->method == SIP_INVITE)
		echo_on_invite(s->echo, st, rx, dispatch_caller_aor(s, user, &caller));
	else if (is_echo(s->x, aor_user))
		to_exchange(s, st, rx);
	else if (gruu_read(&s->gruu, &plan->uri, &gruu) || !steer_on_request(s, st, rx, plan, user))
		to_account(s, st, rx, plan, user, buf_view(&aor));
}

/* What comes over a trunk is for somebody here: it has no Route of its own through us, and watches
 * nobody. */
static void from_trunk(struct exc_shard *s, tsx_id st, struct tp_rx *rx, const struct rt_plan *plan)
{
	if (plan->next.n || rx->msg->method == SIP_SUBSCRIBE || rx->msg->method == SIP_PUBLISH)
		reply(s, st, CODE_RELAY, STR_NONE);
	else
		route(s, st, rx, plan, STR_NONE);
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
	if (!dom_is_ours(s->x->dom, s->stack.tp, from.uri.host, 0) ||
	    dom_aor_put(s->x->dom, &from.uri, &aor))
		return false;
	return str_eq(dom_user_of_aor(s->x->dom, buf_view(&aor)), user);
}

static void on_verified(struct exc_shard *s, tsx_id st, struct tp_rx *rx,
			const struct rt_plan *plan, const struct auth_check *c)
{
	watch_request(s, rx, c);
	if (!auth_is_ok(c->verdict)) {
		enum code code = auth_challenge(s->auth, s->stack.tsx, st, c);
		if (!auth_is_asking(c->verdict))
			exc_note_refused(s, &(struct exc_refusal){.code = code,
								  .auth = c->verdict,
								  .user = auth_user(c),
								  .call_id = rx->msg->call_id,
								  .from = rx->from});
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
	if (tsx_is_cancelled(s->stack.tsx, w->st))
		reply(s, w->st, CODE_CANCELLED, STR_NONE);
	else if (tsx_request(s->stack.tsx, w->st))
		on_verified(s, w->st, w->rx, &w->plan, c);
	tp_rx_unref(s->stack.tp, w->rx);
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

/* ---- before anything else ---------------------------------------------------------------------
 */

/* The exchange itself is the user agent server of this request: it needs no further hop. */
static bool is_for_us(struct exc_shard *s, const struct sip_msg *m, const struct rt_plan *plan)
{
	if (plan->next.n || !plan->is_us)
		return false;
	return !plan->uri.has_user || m->method == SIP_REGISTER || m->method == SIP_SUBSCRIBE ||
	       m->method == SIP_PUBLISH || is_echo(s->x, plan->uri.user);
}

/* What RFC 3261 16.3 checks before anything else, and 8.2.2.2 where we are the server. False when
 * the request was answered. */
static bool is_passable(struct exc_shard *s, tsx_id st, const struct sip_msg *m,
			struct rt_plan *plan)
{
	if (rt_plan_make(&s->self, m, plan)) {
		reply(s, st, CODE_ROUTE_SYNTAX, STR_NONE);
		return false;
	}
	if (!plan->next.n && plan->uri_err == ERR_UNSUPPORTED) {
		reply(s, st, CODE_URI_SCHEME, STR_NONE);
		return false;
	}
	bool is_ours = is_for_us(s, m, plan);
	if (!is_ours && m->has_max_forwards && m->max_forwards == 0) {
		reply(s, st, CODE_HOPS, STR_NONE);
		return false;
	}
	if (!is_understood(s, st, m, SIP_HDR_PROXY_REQUIRE, CODE_PROXY_REQUIRE))
		return false;
	/* it belongs to a dialog that ended, or was lost with a restart [RFC3261 12.2.2] */
	if (is_ours && m->to_tag.n && m->method != SIP_REGISTER && m->method != SIP_OPTIONS) {
		reply(s, st, CODE_NO_DIALOG, STR_NONE);
		return false;
	}
	/* before the challenge: the second copy bears the same credentials, which count once */
	if (is_ours && tsx_is_merged(s->stack.tsx, st)) {
		reply(s, st, CODE_MERGED, STR_NONE);
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
	if (dlg_on_request(s->stack.dlg, st, rx) || !is_passable(s, st, m, &plan))
		return;
	if (plan.has_token && m->to_tag.n) {
		struct prx_target t = side_target(s, rx, &plan);
		if (m->method == SIP_BYE)
			calls_on_end(s->calls, m);
		if (t.has_dst && is_gone(s, &t.dst)) /* [RFC5626 5.3.1] */
			reply(s, st, CODE_FLOW_FAILED, STR_NONE);
		else
			forward(s, st, rx, &plan, &t, 1);
		return;
	}
	if (!watch_rate(s, st, rx) || !watch_load(s, st, rx))
		return;
	if (ev_snap_get(&s->x->draining)) {
		reply(s, st, CODE_DRAINING, STR("Retry-After: 10\r\n"));
		return;
	}
	bool is_here = !plan.next.n && plan.is_us;
	if (plan.has_path && !plan.next.n)
		to_flow(s, st, rx, &plan);
	else if (is_here && m->method == SIP_REGISTER)
		reg_on_request(s->reg, st, rx);
	else if (is_here && !plan.uri.has_user && m->method == SIP_OPTIONS)
		to_exchange(s, st, rx);
	else if (steer_is_trunk(s, &rx->from))
		from_trunk(s, st, rx, &plan);
	else
		authenticate(s, st, rx, &plan);
}

static void on_ack(void *ctx, struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	const struct sip_msg *m = rx->msg;
	struct rt_plan plan;
	if (dlg_on_ack(s->stack.dlg, rx) || rt_plan_make(&s->self, m, &plan))
		return;
	if (!plan.has_token || (m->has_max_forwards && m->max_forwards == 0))
		return; /* not of a call that was set up through us: an ACK is never answered */
	struct prx_target t = side_target(s, rx, &plan);
	prx_forward_ack(s->prx, rx, &plan, &t);
}

static void on_cancel(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	void *owner = tsx_owner(s->stack.tsx, st);
	if (!dlg_on_cancel(s->stack.dlg, st, rx) && owner)
		prx_on_cancel(s->prx, owner, rx);
}

static void on_stray_response(void *ctx, struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	if (!dlg_on_stray_response(s->stack.dlg, rx))
		prx_on_stray_response(s->prx, rx);
}

static void on_server_end(void *ctx, tsx_id st, void *owner, enum tsx_end why)
{
	struct exc_shard *s = ctx;
	if (!dlg_on_server_end(s->stack.dlg, st, owner, why) && owner)
		prx_on_server_end(s->prx, owner, why);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	struct exc_shard *s = ctx;
	dlg_on_flow_down(s->stack.dlg, flow);
}

const struct tsx_user dispatch_user = {
	.on_request = on_request,
	.on_ack = on_ack,
	.on_cancel = on_cancel,
	.on_stray_response = on_stray_response,
	.on_server_end = on_server_end,
	.on_flow_down = on_flow_down,
};
