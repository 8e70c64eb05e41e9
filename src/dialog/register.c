/* Outgoing registration: one Contact kept bound.
 *
 * A machine of three moods: an attempt is under way (uac), the next one is due (timer), or all is
 * over. A refresh is due after 80 to 90 % of the time granted, at random, so that a thousand phones
 * do not come back in one second. After a failure the pause doubles from 30 s to half an hour, also
 * with some chance in it [RFC5626 4.5]; what will not get better by waiting (wrong password,
 * unknown user, a malformed request) is not tried again, for the sake of those who ban.
 *
 * When the connection goes down that the registration went over, the registrar cannot reach us any
 * more: we register again at once. When the local address has changed meanwhile, the old Contact is
 * taken out in the same REGISTER.
 *
 * The Contact is a flow [RFC5626 4.2]: a registrar that knows them reaches us the way that we came,
 * and replaces it when we come another way. The way is kept open by keep.c.
 *
 * Invariants: 1. uac and timer exclude each other. 2. All attempts use one Call-ID, with rising
 * CSeq [RFC3261 10.2.4]. 3. rgc_free inside on_event is allowed.
 */
#include "dialog/reg_priv.h"

#include "base/digest.h"

#define UUID_BYTES   16
#define RETRY_MIN_US 30000000ull
#define RETRY_MAX_US 1800000000ull

static void attempt(struct rgc *r);

static void rgc_destroy(struct rgc *r)
{
	uac_drop(r->uac);
	ev_timer_stop(r->m->loop, &r->timer);
	keep_stop(r);
	ev_defer_cancel(r->m->loop, &r->task);
	auth_fini(&r->auth);
	buf_fini(&r->contact);
	buf_fini(&r->service_route);
	arena_fini(&r->arena);
	pool_put(&r->m->registrations, r);
}

void rgc_free(struct rgc *r)
{
	if (!r)
		return;
	if (r->is_telling)
		r->is_freed = true; /* by the teller */
	else
		rgc_destroy(r);
}

/* False: the owner freed it. */
static bool tell(struct rgc *r, const struct rgc_event *ev)
{
	r->is_telling = true;
	r->user->on_event(r->ctx, r, ev);
	r->is_telling = false;
	if (!r->is_freed)
		return true;
	rgc_destroy(r);
	return false;
}

/* --- what came of it -------------------------------------------------------------------------- */

static uint32_t seconds_of(struct str s, uint32_t otherwise)
{
	uint32_t v;
	return s.n && sip_seconds_parse(s, &v) == OK ? v : otherwise;
}

/* How long our Contact was granted; 0 when it is not in the list. [RFC3261 10.2.4] */
static uint32_t granted(struct rgc *r, const struct sip_msg *msg)
{
	uint32_t all = seconds_of(sip_value(msg, SIP_HDR_EXPIRES), r->expires_s);
	struct sip_iter it = {0};
	struct str v, e;
	struct sip_addr mine, a;
	if (sip_addr_parse(buf_view(&r->contact), &mine) != OK || mine.uri_err != OK)
		return 0;
	while (sip_each(msg, SIP_HDR_CONTACT, &it, &v)) {
		if (sip_addr_parse(v, &a) != OK || a.uri_err != OK ||
		    !sip_uri_eq(&a.uri, &mine.uri))
			continue;
		return sip_param(a.params, STR("expires"), &e) ? seconds_of(e, all) : all;
	}
	return 0;
}

static uint64_t random_between(struct rgc *r, uint64_t min, uint64_t max)
{
	return min + env_random_u64(r->m->loop->env) % (max - min + 1);
}

static void on_timer(struct tmr *t)
{
	attempt(CONTAINER_OF(t, struct rgc, timer));
}

/* What comes of it without memory is no route: a request then goes as it would have gone before. */
static void take_service_route(struct rgc *r, const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct str v;
	buf_clear(&r->service_route);
	while (sip_each(m, SIP_HDR_SERVICE_ROUTE, &it, &v)) {
		if (r->service_route.n)
			buf_str(&r->service_route, STR(", "));
		buf_str(&r->service_route, v);
	}
	if (r->service_route.err) {
		buf_fini(&r->service_route);
		buf_init(&r->service_route);
	}
}

/* As it stands in our REGISTER, without parameters of the header. */
static enum err put_contact(const struct rgc *r, struct buf *b)
{
	bool is_secure = str_istarts(r->registrar, STR("sips:"));
	return dlg_put_contact(r->m, &r->dst, is_secure, r->acc.contact_user, STR_NONE, b);
}

static void succeed(struct rgc *r, const struct uac_result *res)
{
	bool is_new = !r->is_registered;
	r->dst = res->dst;
	r->has_dst = true;
	if (r->flow !=
	    res->rx->flow) /* what was asked of the old one, the new one need not answer */
		keep_stop(r);
	r->flow = res->rx->flow;
	buf_clear(&r->contact);
	enum err e = put_contact(r, &r->contact);
	r->granted_s = e == OK ? granted(r, res->rx->msg) : 0;
	if (r->granted_s == 0) /* a registrar that does not list it: believe the 200 */
		r->granted_s = r->expires_s;
	r->is_registered = true;
	r->n_failures = 0;
	take_service_route(r, res->rx->msg);
	keep_after_200(r, res->rx->msg);
	uint64_t us = r->granted_s * 1000000ull;
	if (!r->is_once)
		ev_timer(r->m->loop, &r->timer, random_between(r, us / 10 * 8, us / 10 * 9),
			 on_timer);
	tell(r, &(struct rgc_event){.kind = is_new ? RGC_EV_REGISTERED : RGC_EV_REFRESHED,
				    .expires_s = r->granted_s,
				    .result = res});
}

/* Waiting does not help. */
static bool is_hopeless(const struct uac_result *res)
{
	static const uint16_t passing[] = {408, 413, 423, 429, 430, 480, 491};
	if (res->how == UAC_FAILED)
		return true;
	if (res->how != UAC_FINAL || res->status / 100 != 4)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		if (res->status == passing[i])
			return false;
	return true;
}

/* "120 (maintenance);duration=60" [RFC3261 20.33] */
static uint64_t retry_after_us(const struct uac_result *res)
{
	struct str rest, told = STR_NONE;
	if (res->rx)
		told = str_trim(str_cut(sip_value(res->rx->msg, SIP_HDR_RETRY_AFTER), ';', &rest));
	return seconds_of(str_trim(str_cut(told, '(', &rest)), 0) * 1000000ull;
}

static uint64_t pause_us(struct rgc *r, uint64_t asked_us)
{
	uint64_t max = RETRY_MIN_US << (r->n_failures < 6 ? r->n_failures : 6);
	if (max > RETRY_MAX_US)
		max = RETRY_MAX_US;
	uint64_t us = random_between(r, max / 2, max);
	return asked_us > us ? asked_us : us;
}

static void fail(struct rgc *r, const struct uac_result *res)
{
	uint64_t asked_us = retry_after_us(res);
	uint64_t retry_us = r->is_once || is_hopeless(res) ? 0 : pause_us(r, asked_us);
	r->n_failures++;
	r->is_registered = false;
	keep_stop(r);
	if (retry_us)
		ev_timer(r->m->loop, &r->timer, retry_us, on_timer);
	tell(r, &(struct rgc_event){.kind = RGC_EV_FAILED,
				    .retry_us = retry_us,
				    .asked_us = asked_us,
				    .result = res});
}

/* A 423 tells what the registrar wants; asked once more with that. [RFC3261 10.2.8] */
static bool raise_expires(struct rgc *r, const struct uac_result *res)
{
	if (res->how != UAC_FINAL || res->status != 423 || r->has_raised)
		return false;
	uint32_t min = seconds_of(sip_value(res->rx->msg, SIP_HDR_MIN_EXPIRES), 0);
	if (min <= r->expires_s)
		return false;
	r->expires_s = min;
	r->has_raised = true;
	attempt(r);
	return true;
}

/* [RFC5626 4.2.1] */
static bool do_without_outbound(struct rgc *r, const struct uac_result *res)
{
	if (res->how != UAC_FINAL || res->status != 439 || r->has_no_outbound)
		return false;
	r->has_no_outbound = true;
	attempt(r);
	return true;
}

static void on_done(void *ctx, struct uac *u, const struct uac_result *res)
{
	struct rgc *r = ctx;
	r->uac = NULL;
	if (r->is_stopping && !r->is_removing && res->how == UAC_FINAL &&
	    (res->status / 100 == 2 || r->is_registered)) {
		attempt(r);
		return;
	}
	if (r->is_stopping) {
		r->is_registered = false;
		if (tell(r, &(struct rgc_event){.kind = RGC_EV_UNREGISTERED, .result = res}))
			rgc_destroy(r);
		return;
	}
	if (raise_expires(r, res) || do_without_outbound(r, res))
		return;
	r->has_raised = false;
	if (res->how == UAC_FINAL && res->status / 100 == 2)
		succeed(r, res);
	else
		fail(r, res);
}

static const struct uac_user uac_user = {.on_done = on_done};

/* --- attempts --------------------------------------------------------------------------------- */

/* Our own Contact when it is not what the registrar has: it is to be taken out. */
static void put_old_contact(struct rgc *r, struct buf *b)
{
	struct buf *now = &r->m->names;
	buf_clear(now);
	if (!r->has_dst || !r->contact.n || put_contact(r, now) != OK ||
	    str_eq(buf_view(now), buf_view(&r->contact)))
		return;
	buf_str(b, STR("Contact: "));
	buf_str(b, buf_view(&r->contact));
	buf_str(b, STR(";expires=0\r\n"));
}

static enum err send_register(struct rgc *r)
{
	struct buf *b = &r->m->lines, *routes = &r->m->routes;
	buf_clear(b);
	buf_clear(routes);
	enum err e = dlg_put_account_routes(routes, &r->acc, r->registrar);
	if (e != OK)
		return e;
	put_old_contact(r, b);
	r->is_removing = r->is_stopping;
	buf_fmt(b, "Expires: %u\r\nSupported: path%s\r\n", r->is_stopping ? 0 : r->expires_s,
		r->has_no_outbound ? "" : ", outbound");
	struct uac_spec s = {
		.method = STR("REGISTER"),
		.ruri = r->registrar,
		.from = r->from,
		.to = r->to,
		.call_id = r->call_id,
		.routes = buf_view(routes),
		.next_hop = dlg_account_hop(&r->acc, r->registrar),
		.headers = buf_view(b),
		.contact_user = r->acc.contact_user,
		.contact_params = r->has_no_outbound ? r->acc.contact_params : r->flow_params,
		.has_contact = true,
		.dst = r->has_fixed_dst ? &r->fixed : NULL,
		.acc = &r->acc,
		.auth = &r->auth,
		.cseq = &r->cseq,
	};
	return uac_start(r->m, &s, &uac_user, NULL, r, &r->uac);
}

static void on_task(struct ev_task *task)
{
	struct rgc *r = CONTAINER_OF(task, struct rgc, task);
	struct uac_result res = {.how = UAC_FAILED, .status = 500, .err = r->send_err};
	on_done(r, NULL, &res);
}

static void attempt(struct rgc *r)
{
	ev_timer_stop(r->m->loop, &r->timer);
	r->send_err = send_register(r);
	if (r->send_err != OK)
		ev_defer(r->m->loop, &r->task);
}

void rgc_on_flow_down(struct rgc *r, tp_flow flow)
{
	if (!flow || r->flow != flow || r->is_once || r->uac || !r->is_registered)
		return;
	r->flow = 0;
	/* not all phones of a restarted exchange in the same millisecond */
	ev_timer(r->m->loop, &r->timer, random_between(r, 0, 500000), on_timer);
}

void rgc_again(struct rgc *r)
{
	if (!r->uac && r->is_registered && !r->is_stopping)
		attempt(r);
}

/* --- calls of the owner ----------------------------------------------------------------------- */

/* Without a key the instance is one run of a phone: whatever was registered before it was started
 * is another's. */
static void make_instance(struct rgc *r, const uint8_t *key, uint8_t u[MD_MAX])
{
	struct buf b;
	if (!key) {
		env_random(r->m->loop->env, u, UUID_BYTES);
		u[6] = 0x40 | (u[6] & 0xf); /* [RFC4122 4.4] */
	} else {
		char mem[1024];
		buf_init_fixed(&b, mem, sizeof(mem));
		buf_put(&b, key, 16);
		buf_str(&b, r->registrar);
		buf_str(&b, r->to);
		md_raw(MD_SHA256, buf_view(&b), u);
		u[6] = 0x80 | (u[6] & 0xf); /* [RFC9562 5.8] */
	}
	u[8] = 0x80 | (u[8] & 0x3f);
}

static struct str make_flow_params(struct rgc *r, const uint8_t *key, uint32_t reg_id)
{
	uint8_t u[MD_MAX];
	make_instance(r, key, u);
	return arena_fmt(&r->arena,
			 STR_FMT ";+sip.instance=\"<urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-"
				 "%02x%02x-%02x%02x%02x%02x%02x%02x>\";reg-id=%u",
			 STR_ARG(r->acc.contact_params), u[0], u[1], u[2], u[3], u[4], u[5], u[6],
			 u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15],
			 reg_id ? reg_id : 1);
}

/* The account's address without its user [RFC3261 10.2]. Port and transport are no part of the
 * domain's name, but the way to it, which was given for a reason. */
static enum err registrar_of(struct arena *a, const struct sip_uri *aor, struct str *out)
{
	char mem[512];
	struct buf b;
	struct str transport;
	bool is_ref = aor->is_ip && aor->ip.family == ADDR_V6;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b, "%s:%s" STR_FMT "%s", aor->scheme == SIP_URI_SIPS ? "sips" : "sip",
		is_ref ? "[" : "", STR_ARG(aor->host), is_ref ? "]" : "");
	if (aor->port)
		buf_fmt(&b, ":%u", aor->port);
	if (sip_param(aor->params, STR("transport"), &transport))
		buf_fmt(&b, ";transport=" STR_FMT, STR_ARG(transport));
	*out = arena_str(a, buf_view(&b));
	return b.err;
}

/* A Contact that is sips wants sips wherever the registrar looks. [RFC5630 5.1.1.1, 5.2] */
static enum err as_sips(struct arena *a, struct str *text)
{
	size_t at = str_chr(*text, '<');
	at = at == SIZE_MAX ? 0 : at + 1;
	struct str uri = str_skip(*text, at);
	if (!str_istarts(uri, STR("sip:")))
		return OK;
	*text = arena_fmt(a, STR_FMT "sips" STR_FMT, STR_ARG(str_sub(*text, 0, at)),
			  STR_ARG(str_skip(uri, 3)));
	return text->n ? OK : ERR_NOMEM;
}

static enum err fill(struct rgc *r, const struct rgc_config *cfg)
{
	struct arena *a = &r->arena;
	struct sip_addr aor;
	char tag[DLG_TAG_MAX];
	enum err e = dlg_copy_account(a, &cfg->account, &r->acc);
	if (e == OK)
		e = dlg_name_addr(a, r->acc.from, &r->to);
	if (e == OK)
		e = sip_addr_parse(r->to, &aor) == OK ? aor.uri_err : ERR_SYNTAX;
	if (e != OK)
		return e;
	if (cfg->registrar.n)
		r->registrar = arena_str(a, cfg->registrar);
	else
		e = registrar_of(a, &aor.uri, &r->registrar);
	bool is_sips =
		str_istarts(r->registrar, STR("sips:")) || str_istarts(r->acc.proxy, STR("sips:"));
	if (e == OK && is_sips)
		e = as_sips(a, &r->to);
	if (e == OK && is_sips)
		e = as_sips(a, &r->registrar);
	if (e != OK)
		return e;
	r->from = arena_fmt(a, STR_FMT ";tag=" STR_FMT, STR_ARG(r->to),
			    STR_ARG(dlg_make_tag(r->m, tag)));
	r->call_id = dlg_make_call_id(r->m, a);
	r->flow_params = make_flow_params(r, cfg->instance_key, cfg->reg_id);
	return r->flow_params.n && r->from.n && r->registrar.n && r->call_id.n ? OK : ERR_NOMEM;
}

enum err rgc_new(struct dlg_mgr *m, const struct rgc_config *cfg, const struct rgc_user *user,
		 void *ctx, struct rgc **out)
{
	struct rgc *r = pool_get(&m->registrations);
	if (!r)
		return ERR_LIMIT;
	r->m = m;
	r->user = user;
	r->ctx = ctx;
	r->task.fn = on_task;
	r->expires_s = cfg->expires_s ? cfg->expires_s : 3600;
	r->is_once = cfg->is_once;
	r->cseq = (uint32_t)(env_random_u64(m->loop->env) & 0x7fff);
	if (cfg->dst) {
		r->fixed = *cfg->dst;
		r->has_fixed_dst = true;
	}
	buf_init(&r->contact);
	buf_init(&r->service_route);
	arena_init_in(&r->arena, r->mem, sizeof(r->mem));
	enum err e = fill(r, cfg);
	if (e == OK)
		e = send_register(r);
	if (e != OK) {
		rgc_destroy(r);
		return e;
	}
	*out = r;
	return OK;
}

void rgc_stop(struct rgc *r)
{
	if (r->is_stopping)
		return;
	r->is_stopping = true;
	if (r->uac) /* one at a time: its end takes the binding out [RFC3261 10.2] */
		return;
	ev_defer_cancel(r->m->loop, &r->task);
	attempt(r);
}

bool rgc_is_registered(const struct rgc *r)
{
	return r->is_registered;
}

bool rgc_dst(const struct rgc *r, struct tp_dst *out)
{
	*out = r->dst;
	return r->has_dst && r->is_registered;
}

struct str rgc_service_route(const struct rgc *r)
{
	return buf_view(&r->service_route);
}
