/* One request of a user agent, from the first attempt to the final answer.
 *
 * The path: resolve the next hop (unless told where to go), send to the first target, and then,
 * whatever comes back:
 *   401, 407 with a challenge that we can answer    the same target again, CSeq + 1
 *   503, time-out, transport error                  the next target, same CSeq [RFC3263 4.3]
 *   anything else, or no target left                on_done
 * Requests inside dialogs, registrations, subscriptions and INVITEs all go through here; what they
 * share with their owner (CSeq counter, credentials) they borrow from him by pointer.
 *
 * An INVITE differs in its end: each 2xx goes to on_2xx, the object stays (attached to its
 * transaction, which hands on further 2xx until Timer M), and on_over is last. After uac_cancel
 * nothing is tried again, whatever comes is the end.
 *
 * Invariants:
 * 1. At most one of these is under way: a look-up (resolve), a transaction (ct != 0), a result on
 *    its way (task queued).
 * 2. on_done, or on_2xx... on_over, exactly once unless dropped; the object is freed when on_done
 * or on_over returns. Neither is called inside uac_start or uac_cancel.
 *
 * Ownership: strings are copied into the arena; cseq and auth of the spec are borrowed from an
 * owner who outlives the request or drops it. [RFC3261 8.1, 22] [RFC3263 4.3]
 */
#include "dialog/priv.h"

static void tell_later(struct uac *u, enum uac_how how, enum err err);
static void attempt(struct uac *u);

/* --- life ------------------------------------------------------------------------------------- */

static void uac_free(struct uac *u)
{
	if (u->resolve)
		tp_resolve_cancel(u->resolve);
	if (u->ct)
		tsx_detach(u->m->tsx, u->ct);
	ev_defer_cancel(u->m->loop, &u->task);
	auth_fini(&u->own_auth);
	buf_fini(&u->auth_lines);
	arena_fini(&u->arena);
	pool_put(&u->m->requests, u);
}

void uac_drop(struct uac *u)
{
	if (u)
		uac_free(u);
}

/* The end. The object is gone afterwards. */
static void done(struct uac *u, struct uac_result *r)
{
	if (u->ct) {
		tsx_detach(u->m->tsx, u->ct);
		u->ct = 0;
	}
	r->dst = uac_dst(u);
	u->user->on_done(u->ctx, u, r);
	uac_free(u);
}

static void on_task(struct ev_task *task)
{
	struct uac *u = CONTAINER_OF(task, struct uac, task);
	done(u, &u->result);
}

/* What a failure looks like as a status. [RFC3261 8.1.3.1] */
static unsigned status_of(enum uac_how how)
{
	return how == UAC_TIMEOUT ? 408 : how == UAC_UNREACHABLE ? 503 : 500;
}

static void tell_later(struct uac *u, enum uac_how how, enum err err)
{
	u->result = (struct uac_result){.how = how, .status = status_of(how), .err = err};
	ev_defer(u->m->loop, &u->task);
}

struct tp_dst uac_dst(const struct uac *u)
{
	return u->at < u->targets.n ? u->targets.dst[u->at] : (struct tp_dst){0};
}

/* --- composing -------------------------------------------------------------------------------- */

static struct sid *sid_of(const struct uac *u)
{
	struct dlg *d = pool_find(&u->m->dialogs, u->s.dialog);
	return d ? &d->sid : NULL;
}

/* Whether the Contact must be sips. [RFC3261 8.1.1.8] [RFC5630 5.1.1] */
static bool is_secure(const struct uac_spec *s)
{
	return s->is_secure || str_istarts(s->ruri, STR("sips:")) ||
	       str_istarts(s->routes, STR("Route: <sips:"));
}

static enum err compose(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out)
{
	struct uac *u = ctx;
	const struct uac_spec *s = &u->s;
	struct sip_out o;
	sip_out_request(&o, out, s->method, s->ruri);
	buf_str(out, via);
	sip_out_fmt(&o, SIP_HDR_MAX_FORWARDS, "%u", s->max_forwards ? s->max_forwards : 70);
	buf_str(out, s->routes);
	sip_out_hdr(&o, SIP_HDR_FROM, s->from);
	sip_out_hdr(&o, SIP_HDR_TO, s->to);
	sip_out_hdr(&o, SIP_HDR_CALL_ID, s->call_id);
	sip_out_fmt(&o, SIP_HDR_CSEQ, "%u " STR_FMT, u->sent_cseq, STR_ARG(s->method));
	struct sid *sid = sid_of(u);
	if (sid)
		sid_put(sid, out);
	if (s->has_contact) {
		buf_str(out, STR("Contact: "));
		enum err e = dlg_put_contact(u->m, dst, is_secure(s), s->contact_user,
					     s->contact_params, out);
		if (e != OK)
			return e;
		buf_str(out, STR("\r\n"));
	}
	buf_str(out, STR("Supported: timer\r\n")); /* [RFC4028 7.1] */
	buf_str(out, buf_view(&u->auth_lines));
	buf_str(out, s->headers);
	if (s->acc)
		buf_str(out, s->acc->headers);
	if (u->m->product_s.n)
		sip_out_hdr(&o, SIP_HDR_USER_AGENT, u->m->product_s);
	return dlg_out_end(u->m, &o, s->content_type, s->body);
}

/* --- attempts --------------------------------------------------------------------------------- */

static void on_response(void *ctx, tsx_id ct, struct tp_rx *rx);
static void on_end(void *ctx, tsx_id ct, enum tsx_end why);
static const struct tsx_client_user tsx_user = {
	.compose = compose, .on_response = on_response, .on_end = on_end};

/* Sends to the present target; false when that failed for good and at once. */
static enum err send_to_target(struct uac *u)
{
	const struct uac_spec *s = &u->s;
	u->sent_cseq = *s->cseq;
	buf_clear(&u->auth_lines);
	if (s->acc && s->acc->password.n)
		auth_put(s->auth, u->m->loop->env, &u->auth_lines, s->acc, s->method, s->ruri);
	if (u->auth_lines.err != OK)
		return u->auth_lines.err;
	return tsx_client_new(u->m->tsx, s->method, &u->targets.dst[u->at], &tsx_user, u, &u->ct);
}

/* Tries the targets from u->at on. */
static void attempt(struct uac *u)
{
	enum err e = ERR_NET;
	for (; u->at < u->targets.n; u->at++) {
		e = send_to_target(u);
		if (e == OK)
			return;
		u->ct = 0;
		if (e != ERR_NET && e != ERR_UNSUPPORTED)
			break;
	}
	bool is_net = e == ERR_NET || e == ERR_UNSUPPORTED;
	tell_later(u, is_net ? UAC_UNREACHABLE : UAC_FAILED, e);
}

static bool next_target(struct uac *u)
{
	if (u->is_cancelled || u->at + 1 >= u->targets.n)
		return false;
	u->at++;
	attempt(u);
	return true;
}

static void on_resolved(void *ctx, enum err e, const struct tp_targets *t)
{
	struct uac *u = ctx;
	u->resolve = NULL;
	if (e != OK) {
		tell_later(u, UAC_UNREACHABLE, e);
		return;
	}
	u->targets = *t;
	attempt(u);
}

static enum err begin(struct uac *u)
{
	if (u->s.dst) {
		u->targets.n = 1;
		u->targets.dst[0] = *u->s.dst;
		u->s.dst = NULL; /* the caller's */
		attempt(u);
		return OK;
	}
	struct sip_uri uri;
	if (sip_uri_parse(u->s.next_hop, &uri) == ERR_SYNTAX)
		return ERR_SYNTAX;
	if (str_istarts(u->s.ruri, STR("sips:"))) /* whoever is the next hop [RFC3261 8.1.2] */
		uri.scheme = SIP_URI_SIPS;
	struct tp_targets now;
	enum err e = tp_resolve_uri(u->m->tp, &uri, &now, on_resolved, u, &u->resolve);
	if (e != ERR_MORE)
		on_resolved(u, e, &now);
	return OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* A challenge that we can answer: the same again with credentials. */
static bool retry_with_credentials(struct uac *u, const struct sip_msg *msg)
{
	if ((msg->status != 401 && msg->status != 407) || u->is_cancelled)
		return false;
	if (!u->s.acc || !u->s.acc->password.n ||
	    !auth_learn(u->s.auth, &u->auth_try, u->s.acc, u->s.is_inside, msg))
		return false;
	tsx_detach(u->m->tsx, u->ct);
	u->ct = 0;
	++*u->s.cseq;
	attempt(u);
	return true;
}

static void on_final(struct uac *u, struct tp_rx *rx)
{
	unsigned status = rx->msg->status;
	if (retry_with_credentials(u, rx->msg))
		return;
	if (status == 503 && !u->is_cancelled && u->at + 1 < u->targets.n) {
		tsx_detach(u->m->tsx, u->ct);
		u->ct = 0;
		next_target(u);
		return;
	}
	struct uac_result r = {.how = UAC_FINAL,
			       .status = status,
			       .rx = rx,
			       .is_challenged = status == 401 || status == 407};
	done(u, &r);
}

static void on_response(void *ctx, tsx_id ct, struct tp_rx *rx)
{
	struct uac *u = ctx;
	unsigned status = rx->msg->status;
	struct sid *sid = sid_of(u);
	if (sid)
		sid_hear_response(sid, u->m->loop->env, rx->msg);
	if (status < 200) {
		if (u->user->on_provisional)
			u->user->on_provisional(u->ctx, u, rx);
	} else if (u->invite && status < 300) {
		u->is_accepted = true;
		u->invite->on_2xx(u->ctx, u, rx);
	} else {
		on_final(u, rx);
	}
}

static void on_end(void *ctx, tsx_id ct, enum tsx_end why)
{
	struct uac *u = ctx;
	u->ct = 0;
	if (u->is_accepted) {
		u->invite->on_over(u->ctx, u);
		uac_free(u);
		return;
	}
	if (next_target(u))
		return;
	struct uac_result r = {.how = why == TSX_END_TIMEOUT ? UAC_TIMEOUT : UAC_UNREACHABLE,
			       .err = why == TSX_END_TIMEOUT ? ERR_TIMEOUT : ERR_NET};
	r.status = status_of(r.how);
	done(u, &r);
}

void uac_cancel(struct uac *u, struct str extra_lines)
{
	if (u->is_cancelled)
		return;
	u->is_cancelled = true;
	if (u->ct) {
		tsx_cancel(u->m->tsx, u->ct, extra_lines);
		return;
	}
	if (u->resolve) {
		tp_resolve_cancel(u->resolve);
		u->resolve = NULL;
	}
	tell_later(u, UAC_FAILED, ERR_STATE);
}

/* --- starting --------------------------------------------------------------------------------- */

/* What requests need of it. */
static enum err copy_account(struct uac *u, const struct uac_account *acc)
{
	struct uac_account *own = &u->own_acc;
	u->s.acc = own;
	own->realm = acc->realm;
	enum err e = dlg_dup(&u->arena, acc->auth_user, &own->auth_user);
	if (e == OK)
		e = dlg_dup(&u->arena, acc->password, &own->password);
	return e == OK ? dlg_dup(&u->arena, acc->headers, &own->headers) : e;
}

static enum err copy_spec(struct uac *u, const struct uac_spec *in)
{
	struct uac_spec *s = &u->s;
	*s = *in;
	struct str *all[] = {&s->method,  &s->ruri,         &s->from,         &s->to,
			     &s->call_id, &s->routes,       &s->next_hop,     &s->headers,
			     &s->body,    &s->content_type, &s->contact_user, &s->contact_params};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (dlg_dup(&u->arena, *all[i], all[i]) != OK)
			return ERR_NOMEM;
	if (s->acc && s->acc != &u->own_acc && copy_account(u, s->acc) != OK)
		return ERR_NOMEM;
	if (!s->auth)
		s->auth = &u->own_auth;
	if (!s->cseq) {
		u->own_cseq = (uint32_t)(env_random_u64(u->m->loop->env) & 0x7fff);
		s->cseq = &u->own_cseq;
	}
	return OK;
}

static struct uac *uac_alloc(struct dlg_mgr *m, const struct uac_user *user, void *ctx)
{
	struct uac *u = pool_get(&m->requests);
	if (!u)
		return NULL;
	u->m = m;
	u->user = user;
	u->ctx = ctx;
	u->task.fn = on_task;
	arena_init_in(&u->arena, u->mem, sizeof(u->mem));
	buf_init(&u->auth_lines);
	return u;
}

/* The first attempt of a fresh u, which is freed when there is none. */
static enum err launch(struct uac *u, const struct uac_spec *spec, struct uac **out)
{
	enum err e = copy_spec(u, spec);
	if (e == OK) {
		++*u->s.cseq;
		e = begin(u);
	}
	if (e != OK) {
		uac_free(u);
		return e;
	}
	*out = u;
	return OK;
}

enum err uac_start(struct dlg_mgr *m, const struct uac_spec *spec, const struct uac_user *user,
		   const struct uac_invite_user *invite, void *ctx, struct uac **out)
{
	struct uac *u = uac_alloc(m, user, ctx);
	if (!u)
		return ERR_LIMIT;
	u->invite = invite;
	return launch(u, spec, out);
}

/* --- requests outside of dialogs -------------------------------------------------------------- */

/* The parts of a request that are made, not copied. */
static enum err make_spec(struct uac *u, const struct uac_request *req, struct uac_spec *s)
{
	struct dlg_mgr *m = u->m;
	struct arena *a = &u->arena;
	char tag[DLG_TAG_MAX];
	struct str from, to;
	buf_clear(&m->routes);
	enum err e = dlg_check_target(req->ruri, STR_NONE);
	if (e == OK)
		e = dlg_name_addr(a, u->own_acc.from, &from);
	if (e == OK && req->to.n)
		e = dlg_name_addr(a, req->to, &to);
	else if (e == OK)
		to = arena_fmt(a, "<" STR_FMT ">", STR_ARG(req->ruri));
	if (e == OK)
		e = dlg_put_account_routes(&m->routes, &u->own_acc, req->ruri);
	if (e != OK)
		return e;
	s->routes = buf_view(&m->routes);
	s->from =
		arena_fmt(a, STR_FMT ";tag=" STR_FMT, STR_ARG(from), STR_ARG(dlg_make_tag(m, tag)));
	s->to = to;
	s->call_id = req->call_id.n ? req->call_id : dlg_make_call_id(m, a);
	s->next_hop = dlg_account_hop(&u->own_acc, req->ruri);
	s->contact_user = u->own_acc.contact_user;
	s->contact_params = u->own_acc.contact_params;
	return s->from.n && s->to.n && s->call_id.n ? OK : ERR_NOMEM;
}

enum err uac_send(struct dlg_mgr *m, const struct uac_account *acc, const struct uac_request *req,
		  const struct uac_user *user, void *ctx, struct uac **out)
{
	struct uac *u = uac_alloc(m, user, ctx);
	if (!u)
		return ERR_LIMIT;
	struct uac_spec s = {
		.method = req->method,
		.ruri = req->ruri,
		.headers = req->headers,
		.content_type = req->content_type,
		.body = req->body,
		.has_contact = req->has_contact,
		.dst = req->dst,
		.acc = &u->own_acc,
	};
	enum err e = dlg_copy_account(&u->arena, acc, &u->own_acc);
	if (e == OK)
		e = make_spec(u, req, &s);
	if (e == OK)
		return launch(u, &s, out);
	uac_free(u);
	return e;
}
