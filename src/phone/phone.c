/* A user agent: the SIP stack of one account on one loop.
 *
 * Start-up: ph_new reads the configuration, ph_start resolves the next hop and binds SIP to the
 * address that the system uses towards it (RTP will be bound to the same one), then tells "ready".
 * Calls are in phone/call.c; here are the stack, registration, single requests and subscriptions.
 * Ownership: the phone owns its transport, transactions, dialogs; sessions and requests that run
 * hold the phone as their context and are dropped in ph_free before the stack goes. */
#include "phone/phone_priv.h"

#include <stdio.h>
#include <stdlib.h>

/* [RFC3428 7] */
static void on_message(struct ph *ph, tsx_id st, struct tp_rx *rx)
{
	const struct sip_msg *m = rx->msg;
	struct ph_report r;
	struct sip_addr from;
	struct str uri = STR_NONE;
	if (sip_addr_parse(sip_value(m, SIP_HDR_FROM), &from) == OK)
		uri = from.uri_text;
	enum err e = tsx_reply(ph->stack.tsx, st, 200, STR_NONE, STR_NONE);
	(void)e; /* he repeats it when he hears nothing */
	ph_report_begin(&r, ph, "message");
	ph_report_text(&r, "from " STR_FMT ": " STR_FMT, STR_ARG(uri), STR_ARG(m->body));
	ph_report_str(&r, "from", uri);
	ph_report_str(&r, "date", sip_value(m, SIP_HDR_DATE));
	ph_report_str(&r, "type", sip_value(m, SIP_HDR_CONTENT_TYPE));
	ph_report_str(&r, "body", m->body);
	ph_report_send(&r);
}

static void on_request(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct ph *ph = ctx;
	if (dlg_on_request(ph->stack.dlg, st, rx))
		return;
	if (rx->msg->method == SIP_INVITE && !rx->msg->to_tag.n)
		ph_on_invite(ph, st, rx);
	else if (rx->msg->method == SIP_MESSAGE && !rx->msg->to_tag.n)
		on_message(ph, st, rx);
	else if (rx->msg->method == SIP_OPTIONS && !rx->msg->to_tag.n && !ph->incoming)
		ph_refuse_busy(ph, st); /* as an INVITE would be [RFC3261 11.2] */
	else
		dlg_refuse_unknown(ph->stack.dlg, st, rx);
}

static void on_ack(void *ctx, struct tp_rx *rx)
{
	struct ph *ph = ctx;
	dlg_on_ack(ph->stack.dlg, rx);
}

static void on_cancel(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct ph *ph = ctx;
	dlg_on_cancel(ph->stack.dlg, st, rx);
}

static void on_stray_response(void *ctx, struct tp_rx *rx)
{
	struct ph *ph = ctx;
	dlg_on_stray_response(ph->stack.dlg, rx);
}

static void on_server_end(void *ctx, tsx_id st, void *owner, enum tsx_end why)
{
	struct ph *ph = ctx;
	dlg_on_server_end(ph->stack.dlg, st, owner, why);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	struct ph *ph = ctx;
	dlg_on_flow_down(ph->stack.dlg, flow);
}

static enum err make_stack(struct ph *ph)
{
	struct tsx_user user = {
		.ctx = ph,
		.on_request = on_request,
		.on_ack = on_ack,
		.on_cancel = on_cancel,
		.on_stray_response = on_stray_response,
		.on_server_end = on_server_end,
		.on_flow_down = on_flow_down,
	};
	struct dlg_config cfg = {.product = STR("rung")};
	uint8_t keys[2][16];
	env_random(ph->loop->env, keys, sizeof(keys));
	return dlg_stack_new(&ph->stack, ph->loop, &ph->blocks, &user, &cfg, keys[0], keys[1]);
}

/* "192.0.2.1", "host:5070" or a whole URI: gives a URI with ;lr and the transport. */
static struct str proxy_uri(struct ph *ph, struct str proxy)
{
	bool is_uri = str_istarts(proxy, STR("sip:")) || str_istarts(proxy, STR("sips:"));
	struct sip_uri u;
	struct addr a;
	struct str text = proxy;
	if (!is_uri && addr_parse(proxy, 0, &a)) { /* brackets for IPv6 */
		char mem[ADDR_TEXT_MAX + 2];
		struct buf b;
		buf_init_fixed(&b, mem, sizeof(mem));
		if (a.port)
			addr_put(&b, &a);
		else
			addr_put_host(&b, &a);
		text = arena_str(&ph->texts, buf_view(&b));
	}
	text = arena_fmt(&ph->texts, "%s" STR_FMT, is_uri ? "" : "sip:", STR_ARG(text));
	if (!text.n || sip_uri_parse(text, &u))
		return STR_NONE;
	if (ph->cfg.proto != TP_UDP && !sip_param(u.params, STR("transport"), NULL)) {
		struct str name = tp_proto_param(ph->cfg.proto);
		text = arena_fmt(&ph->texts, STR_FMT ";transport=" STR_FMT, STR_ARG(text),
				 STR_ARG(name));
	}
	if (!sip_param(u.params, STR("lr"), NULL))
		text = arena_fmt(&ph->texts, STR_FMT ";lr", STR_ARG(text));
	return text;
}

static enum err read_config(struct ph *ph, const struct ph_config *cfg, const char **why)
{
	struct sip_addr from;
	struct arena *a = &ph->texts;
	struct str text = cfg->from.n ? cfg->from : STR("sip:anonymous@anonymous.invalid");
	/* Without brackets a URI's parameters would be the header's. [RFC3261 20.20] */
	bool is_bare = str_chr(text, '<') == SIZE_MAX;
	ph->cfg = *cfg;
	ph->cfg.from = is_bare ? arena_fmt(a, "<" STR_FMT ">", STR_ARG(text)) : arena_str(a, text);
	*why = "the account must be a SIP URI such as sip:1001@192.0.2.1";
	if (sip_addr_parse(ph->cfg.from, &from) || from.uri_err || from.uri.scheme == SIP_URI_TEL)
		return ERR_SYNTAX;
	ph->user = from.uri.user;
	ph->domain = from.uri.host;
	ph->cfg.auth_user = cfg->auth_user.n ? arena_str(a, cfg->auth_user) : ph->user;
	ph->cfg.password = arena_str(a, cfg->password);
	ph->cfg.codecs = arena_str(a, cfg->codecs);
	*why = "the proxy must be an address, a host name or a SIP URI";
	if (cfg->proxy.n) {
		ph->proxy_uri = proxy_uri(ph, cfg->proxy);
		if (!ph->proxy_uri.n)
			return ERR_SYNTAX;
	}
	ph->n_flows = 1;
	for (size_t i = 0; i < cfg->n_more && i < PH_FLOWS - 1; i++) {
		struct ph_flow *f = &ph->flows[ph->n_flows++];
		f->proxy = proxy_uri(ph, cfg->more[i]);
		if (!f->proxy.n)
			return ERR_SYNTAX;
	}
	ph->account = (struct uac_account){
		.from = ph->cfg.from,
		.contact_user = ph->user,
		.auth_user = ph->cfg.auth_user,
		.password = ph->cfg.password,
		.realm = &ph->realm,
		.proxy = ph->proxy_uri,
	};
	return OK;
}

enum err ph_new(struct ev_loop *loop, const struct ph_config *cfg, struct ph **out,
		const char **why)
{
	*why = "not enough memory";
	struct ph *ph = calloc(1, sizeof(*ph));
	if (!ph)
		return ERR_NOMEM;
	ph->loop = loop;
	ph->start_us = ev_now_us(loop);
	list_init(&ph->calls);
	arena_init(&ph->texts);
	enum err e = make_stack(ph);
	if (e == OK && cfg->dns) {
		*why = "name servers are addresses: 192.0.2.1 or 127.0.0.1:5353,[2001:db8::1]";
		e = tp_set_dns_servers(ph->stack.tp, cfg->dns);
	}
	if (e == OK)
		e = read_config(ph, cfg, why);
	if (e) {
		ph_free(ph);
		return e;
	}
	tp_set_tls(ph->stack.tp, cfg->tls);
	*out = ph;
	return OK;
}

void ph_free(struct ph *ph)
{
	if (!ph)
		return;
	if (ph->resolve)
		tp_resolve_cancel(ph->resolve);
	ph_calls_free(ph);
	for (size_t i = 0; i < PH_FLOWS; i++)
		rgc_free(ph->flows[i].rgc);
	uac_drop(ph->request);
	sub_drop(ph->sub);
	dlg_stack_free(&ph->stack);
	block_cache_fini(&ph->blocks);
	arena_fini(&ph->texts);
	free(ph);
}

void ph_set_tap(struct ph *ph, const struct tp_tap *tap)
{
	tp_set_tap(ph->stack.tp, tap);
}

/* ---- start ----------------------------------------------------------------------------------- */

static void unreachable(struct ph *ph, const char *text)
{
	struct ph_report r;
	ph_report_begin(&r, ph, "ended");
	ph_report_text(&r, "%s", text);
	ph_report_str(&r, "reason", str_c(text));
	ph_report_end(&r, PH_UNREACHABLE);
}

static void on_next_hop(void *ctx, enum err e, const struct tp_targets *t)
{
	struct ph *ph = ctx;
	struct addr local = ph->cfg.bind;
	const char *why = "";
	ph->resolve = NULL;
	if (e || !t->n) {
		unreachable(ph, e == ERR_UNSUPPORTED
					? "that URI needs a transport that this phone does not have"
					: "the name of the server cannot be resolved");
		return;
	}
	if (!local.family && env_source_for(ph->loop->env, &t->dst[0].to, &local)) {
		unreachable(ph, "there is no route to the server");
		return;
	}
	if (!ph->cfg.bind.family)
		local.port = 0;
	e = tp_listen(ph->stack.tp, TP_UDP, &local, &why);
	if (e == OK && ph->cfg.proto == TP_TCP)
		e = tp_listen(ph->stack.tp, TP_TCP, &local, &why);
	if (e) {
		char text[160];
		char a[ADDR_TEXT_MAX];
		snprintf(text, sizeof(text), "cannot bind %s: %s", addr_text(&local, a), why);
		unreachable(ph, text);
		return;
	}
	ph->local = local;
	struct ph_report r;
	char a[ADDR_TEXT_MAX];
	ph_report_begin(&r, ph, "ready");
	ph_report_text(&r, "from %s", addr_text(&local, a));
	ph_report_str(&r, "address", str_c(a));
	ph_report_send(&r);
}

/* No proxy, but a transport that the URI does not name: its host is as good as a proxy. */
static void go_straight(struct ph *ph, const struct sip_uri *u)
{
	if (u->scheme == SIP_URI_TEL || sip_param(u->params, STR("transport"), NULL))
		return;
	bool has_brackets = str_chr(u->host, ':') != SIZE_MAX && u->host.p[0] != '[';
	struct str text = arena_fmt(
		&ph->texts, "%s:%s" STR_FMT "%s", u->scheme == SIP_URI_SIPS ? "sips" : "sip",
		has_brackets ? "[" : "", STR_ARG(u->host), has_brackets ? "]" : "");
	if (u->port)
		text = arena_fmt(&ph->texts, STR_FMT ":%u", STR_ARG(text), u->port);
	ph->account.proxy = ph->proxy_uri = proxy_uri(ph, text);
}

void ph_start(struct ph *ph, struct str uri)
{
	struct sip_uri u;
	struct tp_targets now;
	bool is_readable = sip_uri_parse(uri, &u) == OK;
	if (!ph->proxy_uri.n && ph->cfg.proto != TP_UDP && is_readable)
		go_straight(ph, &u);
	struct str text = ph->proxy_uri.n ? ph->proxy_uri : uri;
	if (sip_uri_parse(text, &u)) {
		unreachable(ph, "the address to call must be a SIP URI such as sip:100@192.0.2.1");
		return;
	}
	enum err e = tp_resolve_uri(ph->stack.tp, &u, &now, on_next_hop, ph, &ph->resolve);
	if (e != ERR_MORE)
		on_next_hop(ph, e, &now);
}

/* ---- registration ---------------------------------------------------------------------------- */

/* Further requests go by the Service-Route [RFC3608 6.1]. Kept as long as the phone lives, so taken
 * anew only when it has changed. */
static void take_service_route(struct ph *ph, const struct rgc *rgc)
{
	struct str route = rgc_service_route(rgc);
	if (!str_eq(route, ph->account.service_route))
		ph->account.service_route = arena_str(&ph->texts, route);
}

static struct ph_flow *flow_of(struct ph *ph, const struct rgc *rgc)
{
	size_t i = 0;
	while (i + 1 < ph->n_flows && ph->flows[i].rgc != rgc)
		i++;
	return &ph->flows[i];
}

/* Requests of ours go by the first proxy that has taken the registration. */
static void choose_flow(struct ph *ph)
{
	size_t i = 0;
	while (i < ph->n_flows && !ph->flows[i].is_up)
		i++;
	if (i == ph->n_flows)
		return;
	if (ph->n_flows > 1)
		ph->account.proxy = ph->flows[i].proxy;
	take_service_route(ph, ph->flows[i].rgc);
}

/* Of several flows the last that is heard of decides: one is enough. */
static void report_end(struct ph *ph, struct ph_report *r, enum ph_outcome outcome)
{
	bool is_up = false, is_whole = true;
	for (size_t i = 0; i < ph->n_flows; i++) {
		is_up |= ph->flows[i].is_up;
		is_whole &= ph->flows[i].is_told;
	}
	if (is_whole)
		ph_report_end(r, is_up ? PH_DONE : outcome);
	else
		ph_report_send(r);
}

static void on_unregistered(struct ph *ph, struct ph_flow *f, struct ph_report *r)
{
	bool is_any = false;
	f->rgc = NULL;
	for (size_t i = 0; i < ph->n_flows; i++)
		is_any |= ph->flows[i].rgc != NULL;
	if (is_any)
		ph_report_send(r);
	else
		ph_report_end(r, PH_DONE);
}

static void on_registration(void *ctx, struct rgc *rgc, const struct rgc_event *ev)
{
	struct ph *ph = ctx;
	struct ph_flow *f = flow_of(ph, rgc);
	struct ph_report r;
	unsigned status = ev->result ? ev->result->status : 0;
	struct str reason = ev->result ? ph_reason(ev->result->rx, status) : STR_NONE;
	static const char *const names[] = {
		[RGC_EV_REGISTERED] = "registered",
		[RGC_EV_REFRESHED] = "refreshed",
		[RGC_EV_FAILED] = "register-failed",
		[RGC_EV_UNREGISTERED] = "unregistered",
	};
	ph_report_begin(&r, ph, names[ev->kind]);
	if (status)
		ph_report_num(&r, "status", status);
	if (reason.n)
		ph_report_str(&r, "reason", reason);
	if (ph->n_flows > 1) {
		ph_report_text(&r, "by " STR_FMT " ", STR_ARG(f->proxy));
		ph_report_str(&r, "proxy", f->proxy);
	}
	if (ev->kind != RGC_EV_UNREGISTERED) {
		f->is_told = true;
		f->is_up = ev->kind != RGC_EV_FAILED;
		choose_flow(ph);
	}
	switch (ev->kind) {
	case RGC_EV_REGISTERED:
	case RGC_EV_REFRESHED:
		ph_report_text(&r, "for %u s", ev->expires_s);
		ph_report_num(&r, "expires", ev->expires_s);
		report_end(ph, &r, PH_DONE);
		return;
	case RGC_EV_FAILED:
		ph_report_result(&r, ev->result);
		if (ev->retry_us)
			ph_report_text(&r, ", next try in %.0f s", (double)ev->retry_us / 1e6);
		report_end(ph, &r, ph_outcome_of(ev->result));
		return;
	case RGC_EV_UNREGISTERED:
		on_unregistered(ph, f, &r);
		return;
	}
}

void ph_register(struct ph *ph, uint32_t expires_s, bool is_once)
{
	static const struct rgc_user user = {.on_event = on_registration};
	ph->account.service_route = STR_NONE;
	ph->flows[0].proxy = ph->proxy_uri;
	struct rgc_config cfg = {
		.account = ph->account, .expires_s = expires_s, .is_once = is_once};
	if (ph->n_flows > 1) {
		env_random(ph->loop->env, ph->instance, sizeof(ph->instance));
		cfg.instance_key = ph->instance;
	}
	for (size_t i = 0; i < ph->n_flows; i++) {
		struct ph_flow *f = &ph->flows[i];
		struct ph_report r;
		cfg.account.proxy = f->proxy;
		cfg.reg_id = (uint32_t)i + 1;
		if (rgc_new(ph->stack.dlg, &cfg, &user, ph, &f->rgc) == OK)
			continue;
		f->is_told = true;
		ph_report_begin(&r, ph, "register-failed");
		ph_report_text(&r, "the REGISTER cannot be made of this account");
		report_end(ph, &r, PH_FAILED);
	}
}

bool ph_unregister(struct ph *ph)
{
	bool is_any = false;
	for (size_t i = 0; i < ph->n_flows; i++) {
		if (!ph->flows[i].rgc)
			continue;
		rgc_stop(ph->flows[i].rgc);
		is_any = true;
	}
	return is_any;
}

/* ---- single requests ------------------------------------------------------------------------- */

static void on_done(void *ctx, struct uac *u, const struct uac_result *res)
{
	struct ph *ph = ctx;
	struct ph_report r;
	struct str reason = ph_reason(res->rx, res->status);
	double ms = (double)(ev_now_us(ph->loop) - ph->request_us) / 1000;
	ph->request = NULL;
	ph_report_begin(&r, ph, res->how == UAC_FINAL ? "response" : "failed");
	ph_report_result(&r, res);
	ph_report_text(&r, " after %.1f ms", ms);
	ph_report_num(&r, "status", res->status);
	ph_report_str(&r, "reason", reason);
	ph_report_real(&r, "ms", ms);
	static const enum sip_hdr_id shown[] = {SIP_HDR_ALLOW,      SIP_HDR_SUPPORTED,
						SIP_HDR_ACCEPT,     SIP_HDR_SERVER,
						SIP_HDR_USER_AGENT, SIP_HDR_WARNING};
	for (size_t i = 0; res->rx && i < ARRAY_LEN(shown); i++) {
		struct str v = sip_value(res->rx->msg, shown[i]);
		char key[32];
		if (!v.n || !str_copy(key, sizeof(key), sip_hdr_name(shown[i])))
			continue;
		ph_report_text(&r, "\n    %s: " STR_FMT, key, STR_ARG(v));
		ph_report_str(&r, key, v);
	}
	ph_report_end(&r, ph_outcome_of(res));
}

enum err ph_request(struct ph *ph, struct str method, struct str uri, struct str headers,
		    struct str content_type, struct str body)
{
	static const struct uac_user user = {.on_done = on_done};
	struct uac_request req = {.method = method,
				  .ruri = uri,
				  .headers = headers,
				  .content_type = content_type,
				  .body = body};
	req.has_contact = str_eq(method, STR("OPTIONS"));
	ph->request_us = ev_now_us(ph->loop);
	return uac_send(ph->stack.dlg, &ph->account, &req, &user, ph, &ph->request);
}

/* ---- subscription ---------------------------------------------------------------------------- */

static void on_sub_event(void *ctx, struct sub *s, const struct sub_event *ev)
{
	struct ph *ph = ctx;
	struct ph_report r;
	switch (ev->kind) {
	case SUB_EV_ACCEPTED:
		ph_report_begin(&r, ph, "subscribed");
		ph_report_text(&r, "for %u s", ev->expires_s);
		ph_report_num(&r, "expires", ev->expires_s);
		ph_report_send(&r);
		return;
	case SUB_EV_NOTIFY:
		ph_report_begin(&r, ph, "notify");
		ph_report_text(&r, STR_FMT, STR_ARG(ev->state));
		if (ev->body.n)
			ph_report_text(&r, "\n" STR_FMT, STR_ARG(str_trim(ev->body)));
		ph_report_str(&r, "state", ev->state);
		ph_report_str(&r, "type", ev->content_type);
		ph_report_str(&r, "body", ev->body);
		ph_report_send(&r);
		return;
	case SUB_EV_ENDED:
		break;
	}
	ph->sub = NULL;
	ph_report_begin(&r, ph, "ended");
	struct str reason = ev->end.reason;
	if (ev->end.status)
		ph_report_text(&r, "%u ", ev->end.status);
	ph_report_text(&r, STR_FMT, STR_ARG(reason));
	ph_report_num(&r, "status", ev->end.status);
	ph_report_str(&r, "reason", reason);
	bool is_fault = ev->end.why == SUB_END_REFUSED || ev->end.why == SUB_END_GONE ||
			ev->end.why == SUB_END_FAILED;
	ph_report_end(&r, ev->result ? ph_outcome_of(ev->result) : is_fault ? PH_FAILED : PH_DONE);
}

enum err ph_subscribe(struct ph *ph, struct str uri, struct str event, struct str accept,
		      uint32_t expires_s)
{
	static const struct sub_subscriber user = {.on_event = on_sub_event};
	struct sub_subscribe req = {.account = ph->account,
				    .target = uri,
				    .event = event,
				    .accept = accept,
				    .expires_s = expires_s};
	return sub_subscribe(ph->stack.dlg, &req, &user, ph, &ph->sub);
}

bool ph_unsubscribe(struct ph *ph)
{
	if (!ph->sub)
		return false;
	sub_unsubscribe(ph->sub);
	return true;
}
