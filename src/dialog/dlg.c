/* The state of a dialog: who the two are, what CSeq numbers they are at, and the way between them
 * (dlg_way.c).
 *
 * A dialog begins as a request received (dlg_new_uas), or as a *half* one for a request sent
 * (dlg_new_uac), of which each response with a To tag makes a sibling (dlg_fork) or which one
 * message makes whole (dlg_complete). It is in the manager's table by Call-ID and local tag, with
 * the remote tag compared; a half one has none.
 *
 * Invariants: 1. a dialog is in the table from creation to dlg_free. 2. local_cseq is the last
 * number used, remote_cseq the highest seen. 3. The route set never changes after the 2xx.
 *
 * Ownership: a dialog belongs to its usage (a session, a subscription), or to itself while it is
 * being killed (kill.c). [RFC3261 12] [RFC5057]
 */
#include "dialog/priv.h"

#include <stdlib.h>

/* --- table ------------------------------------------------------------------------------------ */

static uint64_t key_of(const struct dlg_mgr *m, struct str call_id, struct str local_tag)
{
	uint64_t h[2] = {htab_hash(m->key, call_id.p, call_id.n),
			 htab_hash(m->key, local_tag.p, local_tag.n)};
	return htab_hash(m->key, h, sizeof(h));
}

struct dlg *dlg_find(struct dlg_mgr *m, struct str call_id, struct str local_tag,
		     struct str remote_tag)
{
	struct dlg *half = NULL;
	uint64_t h = key_of(m, call_id, local_tag);
	for (struct hnode *n = htab_first(&m->table, h); n; n = htab_next(n)) {
		struct dlg *d = CONTAINER_OF(n, struct dlg, node);
		if (!str_eq(dlg_call_id(d), call_id) || !str_eq(dlg_local_tag(d), local_tag))
			continue;
		struct str remote = dlg_remote_tag(d);
		if (str_eq(remote, remote_tag))
			return d;
		if (!remote.n && d->usage && d->usage->ops->takes_half)
			half = d;
	}
	return half;
}

/* --- life ------------------------------------------------------------------------------------- */

static struct dlg *dlg_alloc(struct dlg_mgr *m)
{
	struct dlg *d = pool_get(&m->dialogs);
	if (!d)
		return NULL;
	d->m = m;
	return d;
}

void dlg_free(struct dlg *d)
{
	if (!d)
		return;
	struct dlg_mgr *m = d->m;
	if (d->is_in_table)
		htab_del(&m->table, &d->node);
	m->n_dying -= d->is_dying;
	uac_drop(d->bye);
	dlg_forget_ack(d);
	auth_fini(&d->auth);
	free(d->texts);
	pool_put(&m->dialogs, d);
}

static void enter(struct dlg *d)
{
	htab_add(&d->m->table, &d->node, key_of(d->m, dlg_call_id(d), dlg_local_tag(d)));
	d->is_in_table = true;
}

/* As a Request-URI may be; in m->names. */
static enum err put_request_uri(struct dlg_mgr *m, const struct sip_uri *uri, struct str *out)
{
	struct buf *b = &m->names;
	buf_clear(b);
	sip_uri_put_request(b, uri);
	*out = buf_view(b);
	return b->err;
}

static enum err request_uri(struct dlg_mgr *m, struct str text, struct str *out)
{
	struct sip_uri uri;
	if (sip_uri_parse(text, &uri) == ERR_SYNTAX)
		return ERR_SYNTAX;
	return put_request_uri(m, &uri, out);
}

/* The first Contact; false: there is none to be read. */
static bool contact_of(const struct sip_msg *msg, struct sip_addr *a)
{
	struct sip_iter it = {0};
	struct str v;
	return sip_each(msg, SIP_HDR_CONTACT, &it, &v) && sip_addr_parse(v, a) == OK &&
	       !a->is_star && a->uri_err == OK && a->uri_text.n;
}

/* The route set: as it stands for a UAS, reversed for a UAC; in m->routes.
 * [RFC3261 12.1.1, 12.1.2] */
static enum err routes_of(struct dlg *d, const struct sip_msg *msg, struct str *out)
{
	struct str v[DLG_ROUTES_MAX];
	size_t n = 0;
	struct sip_iter it = {0};
	struct buf *b = &d->m->routes;
	if (sip_count(msg, SIP_HDR_RECORD_ROUTE) > DLG_ROUTES_MAX)
		return ERR_LIMIT;
	while (n < DLG_ROUTES_MAX && sip_each(msg, SIP_HDR_RECORD_ROUTE, &it, &v[n]))
		n++;
	buf_clear(b);
	for (size_t i = 0; i < n; i++)
		dlg_route_put(b, v[d->is_uac ? n - 1 - i : i]);
	d->n_routes = (uint8_t)n;
	*out = buf_view(b);
	return b->err;
}

void dlg_refresh(struct dlg *d, struct tp_rx *rx)
{
	struct sip_addr target;
	struct str uri;
	if (!contact_of(rx->msg, &target))
		return;
	if (!str_eq(target.uri_text, dlg_text(d, DLG_TARGET)) &&
	    (put_request_uri(d->m, &target.uri, &uri) != OK ||
	     dlg_set_text(d, DLG_TARGET, uri) != OK))
		return;
	if (d->ack)
		d->ack->has_dst = false;
	dlg_learn_way(d, rx);
}

/* --- beginnings ------------------------------------------------------------------------------- */

struct making { /* texts of a new dialog, some of them made here */
	struct str t[DLG_TEXT__N];
	struct arena arena;
	_Alignas(16) char mem[512];
};

static struct arena *making_init(struct making *k, struct dlg *d, const struct uac_account *acc)
{
	const struct str none = STR_NONE;
	for (unsigned i = 0; i < DLG_TEXT__N; i++)
		k->t[i] = none;
	k->t[DLG_CONTACT_USER] = acc->contact_user;
	k->t[DLG_CONTACT_PARAMS] = acc->contact_params;
	k->t[DLG_AUTH_USER] = acc->auth_user;
	k->t[DLG_PASSWORD] = acc->password;
	k->t[DLG_PROXY] = acc->proxy;
	k->t[DLG_SERVICE_ROUTE] = acc->service_route;
	k->t[DLG_HEADERS] = acc->headers;
	d->realm = acc->realm;
	arena_init_in(&k->arena, k->mem, sizeof(k->mem));
	return &k->arena;
}

/* The dialog with these texts, or none. */
static enum err finish(struct making *k, struct dlg *d, enum err e, struct dlg **out)
{
	if (e == OK)
		e = dlg_set_texts(d, k->t);
	arena_fini(&k->arena);
	if (e != OK) {
		dlg_free(d);
		return e;
	}
	*out = d;
	return OK;
}

enum err dlg_new_uac(struct dlg_mgr *m, const struct uac_account *acc, struct str to,
		     struct str target, struct str call_id, struct str local_tag, struct dlg **out)
{
	struct dlg *d = dlg_alloc(m);
	if (!d)
		return ERR_LIMIT;
	char tag[DLG_TAG_MAX];
	struct making k;
	struct arena *a = making_init(&k, d, acc);
	d->is_uac = d->is_early = true;
	d->is_secure = str_istarts(target, STR("sips:"));
	enum err e = request_uri(m, target, &k.t[DLG_TARGET]);
	if (e == OK)
		e = dlg_name_addr(a, acc->from, &k.t[DLG_LOCAL]);
	if (e == OK && to.n)
		e = dlg_name_addr(a, to, &k.t[DLG_REMOTE]);
	else if (e == OK)
		k.t[DLG_REMOTE] = arena_fmt(a, "<" STR_FMT ">", STR_ARG(k.t[DLG_TARGET]));
	k.t[DLG_LOCAL_TAG] = local_tag.n ? local_tag : dlg_make_tag(m, tag);
	k.t[DLG_CALL_ID] = call_id.n ? call_id : dlg_make_call_id(m, a);
	if (e == OK && (!k.t[DLG_CALL_ID].n || !k.t[DLG_REMOTE].n))
		e = ERR_NOMEM;
	e = finish(&k, d, e, out);
	if (e != OK)
		return e;
	/* small, so that it never comes near 2^31 [RFC3261 8.1.1.5] */
	d->local_cseq = (uint32_t)(env_random_u64(m->loop->env) & 0x7fff);
	enter(d);
	return OK;
}

enum err dlg_new_uas(struct dlg_mgr *m, struct tp_rx *rx, struct str local_tag,
		     struct str contact_user, const struct uac_account *acc, struct dlg **out)
{
	const struct sip_msg *msg = rx->msg;
	struct dlg *d = dlg_alloc(m);
	if (!d)
		return ERR_LIMIT;
	struct making k;
	struct arena *a = making_init(&k, d, acc);
	d->is_early = true;
	d->back = tp_dst_back(rx);
	d->remote_cseq = msg->cseq;
	d->has_remote_cseq = true;
	d->local_cseq = (uint32_t)(env_random_u64(m->loop->env) & 0x7fff);
	d->is_secure = dlg_asks_for_sips(msg);
	k.t[DLG_CALL_ID] = msg->call_id;
	k.t[DLG_LOCAL_TAG] = local_tag;
	k.t[DLG_REMOTE_TAG] = msg->from_tag;
	k.t[DLG_CONTACT_USER] = contact_user;
	struct sip_addr target;
	/* what we send to a sips caller must be sips too [RFC5630 5.1.2] */
	bool is_good = contact_of(msg, &target) && (!str_istarts(msg->ruri, STR("sips:")) ||
						    str_istarts(target.uri_text, STR("sips:")));
	enum err e = is_good ? put_request_uri(m, &target.uri, &k.t[DLG_TARGET]) : ERR_SYNTAX;
	if (e == OK)
		e = dlg_name_addr(a, sip_value(msg, SIP_HDR_TO), &k.t[DLG_LOCAL]);
	if (e == OK)
		e = dlg_name_addr(a, sip_value(msg, SIP_HDR_FROM), &k.t[DLG_REMOTE]);
	if (e == OK)
		e = routes_of(d, msg, &k.t[DLG_ROUTES]);
	e = finish(&k, d, e, out);
	if (e != OK)
		return e;
	dlg_learn_way(d, rx);
	enter(d);
	return OK;
}

enum err dlg_restore(struct dlg_mgr *m, const struct dlg_kept *kept, struct str contact_user,
		     const struct uac_account *acc, struct dlg **out)
{
	struct dlg *d = dlg_alloc(m);
	if (!d)
		return ERR_LIMIT;
	struct making k;
	(void)making_init(&k, d, acc);
	d->local_cseq = kept->local_cseq;
	d->remote_cseq = kept->remote_cseq;
	d->has_remote_cseq = true;
	d->is_secure = kept->is_secure;
	d->back = kept->back;
	d->has_back = kept->has_back;
	k.t[DLG_CALL_ID] = kept->call_id;
	k.t[DLG_LOCAL_TAG] = kept->local_tag;
	k.t[DLG_REMOTE_TAG] = kept->remote_tag;
	k.t[DLG_LOCAL] = kept->local;
	k.t[DLG_REMOTE] = kept->remote;
	k.t[DLG_CONTACT_USER] = contact_user;
	buf_clear(&m->routes);
	for (size_t i = 0; i < kept->n_routes; i++)
		dlg_route_put(&m->routes, kept->routes[i]);
	d->n_routes = (uint8_t)kept->n_routes;
	k.t[DLG_ROUTES] = buf_view(&m->routes);
	enum err e = m->routes.err;
	if (e == OK)
		e = request_uri(m, kept->target, &k.t[DLG_TARGET]);
	e = finish(&k, d, e, out);
	if (e == OK)
		enter(d);
	return e;
}

/* What of a dialog comes from the other side. */
static enum err take_remote(struct dlg *d, struct str t[DLG_TEXT__N], const struct tp_rx *rx)
{
	const struct sip_msg *msg = rx->msg;
	struct sip_addr target;
	t[DLG_REMOTE_TAG] = msg->is_request ? msg->from_tag : msg->to_tag;
	enum err e = routes_of(d, msg, &t[DLG_ROUTES]);
	if (e == OK && contact_of(msg, &target))
		e = put_request_uri(d->m, &target.uri, &t[DLG_TARGET]);
	if (e == OK)
		e = dlg_set_texts(d, t);
	if (e == OK && msg->is_request) {
		d->remote_cseq = msg->cseq;
		d->has_remote_cseq = true;
	}
	if (e == OK)
		dlg_learn_way(d, rx);
	return e;
}

enum err dlg_complete(struct dlg *d, struct tp_rx *rx)
{
	struct str t[DLG_TEXT__N];
	dlg_texts(d, t);
	return take_remote(d, t, rx);
}

enum err dlg_fork(const struct dlg *half, struct tp_rx *resp, const struct tp_dst *sent_to,
		  struct dlg **out)
{
	struct dlg *d = dlg_alloc(half->m);
	if (!d)
		return ERR_LIMIT;
	struct str t[DLG_TEXT__N];
	d->is_uac = d->is_early = true;
	d->is_secure = half->is_secure;
	d->is_hidden = half->is_hidden;
	d->takes_refer = half->takes_refer;
	d->local_cseq = half->local_cseq;
	d->back = *sent_to;
	dlg_texts(half, t);
	d->realm = half->realm;
	d->sid = half->sid;
	sid_forget(&d->sid);
	sid_hear_response(&d->sid, half->m->loop->env, resp->msg);
	enum err e = auth_copy(&d->auth, &half->auth);
	if (e == OK)
		e = take_remote(d, t, resp);
	if (e == OK && resp->msg->method == SIP_INVITE)
		e = dlg_expect_ack(d);
	if (e != OK) {
		dlg_free(d);
		return e;
	}
	enter(d);
	*out = d;
	return OK;
}

enum err dlg_confirm(struct dlg *d, struct tp_rx *resp)
{
	struct str routes;
	enum err e = d->is_early ? routes_of(d, resp->msg, &routes) : OK;
	if (e == OK && d->is_early)
		e = dlg_set_text(d, DLG_ROUTES, routes);
	d->is_early = false;
	if (e == OK)
		dlg_refresh(d, resp);
	return e;
}

bool dlg_check_order(struct dlg *d, tsx_id st, struct tp_rx *rx)
{
	uint32_t n = rx->msg->cseq;
	if (d->has_remote_cseq && n <= d->remote_cseq) {
		/* the same number again on another branch is a request that came by two ways */
		if (n < d->remote_cseq)
			dlg_refuse(d->m, st, DLG_REFUSE_ORDER, 500, STR_NONE, STR_NONE);
		else
			dlg_refuse(d->m, st, DLG_REFUSE_MERGED, 482, STR_NONE, STR_NONE);
		return false;
	}
	d->remote_cseq = n;
	d->has_remote_cseq = true;
	return true;
}

/* --- requests inside the dialog --------------------------------------------------------------- */

void dlg_put_with_tag(struct buf *b, struct str name_addr, struct str tag)
{
	buf_str(b, name_addr);
	if (tag.n) {
		buf_str(b, STR(";tag="));
		buf_str(b, tag);
	}
}

/* What neither makes a dialog nor moves its target has none; MESSAGE must not [RFC3428 4]. */
static bool has_contact(enum sip_method m)
{
	return m != SIP_BYE && m != SIP_INFO && m != SIP_PRACK && m != SIP_MESSAGE;
}

enum err dlg_send(struct dlg *d, const struct dlg_request *req, const struct uac_user *user,
		  const struct uac_invite_user *invite, void *ctx, struct uac **out)
{
	struct dlg_way w;
	enum err e = dlg_make_way(d, &w);
	if (e == OK && invite)
		e = dlg_expect_ack(d);
	if (e != OK)
		return e;
	struct buf *b = &d->m->names; /* From and To, one behind the other */
	buf_clear(b);
	dlg_put_with_tag(b, dlg_local(d), dlg_local_tag(d));
	size_t n_from = b->n;
	dlg_put_with_tag(b, dlg_remote(d), dlg_remote_tag(d));
	if (b->err != OK)
		return b->err;
	struct uac_account acc = dlg_account(d);
	struct uac_spec s = {
		.method = req->method,
		.ruri = w.ruri,
		.from = str_of(b->p, n_from),
		.to = str_of(b->p + n_from, b->n - n_from),
		.call_id = dlg_call_id(d),
		.routes = w.routes,
		.next_hop = w.next_hop,
		.headers = req->headers,
		.content_type = req->content_type,
		.body = req->body,
		.contact_user = acc.contact_user,
		.contact_params = acc.contact_params,
		.has_contact = has_contact(sip_method_find(req->method)),
		.is_secure = d->is_secure,
		.max_forwards = req->max_forwards,
		.dst = req->dst                 ? req->dst
		       : dlg_way_back_stands(d) ? &d->back
						: NULL,
		.acc = &acc,
		.auth = &d->auth,
		.is_inside = dlg_remote_tag(d).n > 0,
		.dialog = pool_id(&d->m->dialogs, d),
		.cseq = &d->local_cseq,
	};
	return uac_start(d->m, &s, user, invite, ctx, out);
}

bool dlg_is_fatal(const struct uac_result *r)
{
	static const uint16_t fatal[] = {404, 408, 410, 416, 480, 481,
					 482, 483, 484, 485, 502, 604};
	if (r->how == UAC_TIMEOUT || r->how == UAC_UNREACHABLE)
		return true;
	for (size_t i = 0; r->how == UAC_FINAL && i < ARRAY_LEN(fatal); i++)
		if (r->status == fatal[i])
			return true;
	return false;
}

/* --- answers ---------------------------------------------------------------------------------- */

void dlg_put_allow(struct buf *b, bool takes_refer)
{
	buf_str(b, STR("Allow: " DLG_ALLOW));
	buf_str(b, takes_refer ? STR(", REFER\r\n") : STR("\r\n"));
}

enum err dlg_write_answer(struct dlg *d, const struct tp_rx *rx, const struct dlg_answer *ans)
{
	struct dlg_mgr *m = d->m;
	struct buf *b = &m->scratch;
	struct sip_out o;
	uint8_t method = rx->msg->method;
	bool is_ok = ans->status / 100 == 2, is_provisional = ans->status < 200;
	bool is_invite = method == SIP_INVITE;
	buf_clear(b);
	sip_out_response(&o, b, rx->msg, ans->status,
			 ans->reason.n ? ans->reason : sip_status_reason(ans->status),
			 dlg_local_tag(d), &rx->from);
	/* what makes or refreshes the dialog [RFC3261 12.1.1] [RFC6665 4.2.1.1] */
	if ((is_invite && is_provisional) || is_ok) {
		if (is_invite || method == SIP_SUBSCRIBE)
			sip_out_copy(&o, rx->msg, SIP_HDR_RECORD_ROUTE);
		if (is_invite || (sip_method_flags(method) & SIP_MF_TARGET)) {
			struct tp_dst back = tp_response_dst(rx);
			buf_str(b, STR("Contact: "));
			enum err e = dlg_put_contact(m, &back, d->is_secure,
						     dlg_text(d, DLG_CONTACT_USER),
						     dlg_text(d, DLG_CONTACT_PARAMS), b);
			if (e != OK)
				return e;
			buf_str(b, STR("\r\n"));
		}
	}
	sid_put_answer(&d->sid, rx->msg, b);
	if (ans->status >= 200 && ans->status < 400) /* else it is not taken [RFC7989 8] */
		sid_hear_request(&d->sid, rx->msg);
	if (is_invite || method == SIP_OPTIONS || ans->status == 405)
		dlg_put_allow(b, d->takes_refer);
	buf_str(b, ans->headers);
	if (ans->why != DLG_REFUSE_NONE && m->on_refusal)
		m->on_refusal(m->refusal_ctx, ans->why, ans->status, b);
	if (m->product_s.n)
		sip_out_hdr(&o, SIP_HDR_SERVER, m->product_s);
	return dlg_out_end(m, &o, ans->content_type, ans->body);
}

enum err dlg_answer(struct dlg *d, tsx_id st, struct tp_rx *rx, const struct dlg_answer *ans)
{
	enum err e = dlg_write_answer(d, rx, ans);
	if (e == OK)
		e = tsx_respond(d->m->tsx, st, ans->status, buf_view(&d->m->scratch));
	if (e == OK || e == ERR_STATE)
		return e;
	dlg_refuse(d->m, st, DLG_REFUSE_FULL, 500, STR_NONE, STR_NONE);
	return e;
}

/* --- read-only -------------------------------------------------------------------------------- */

size_t dlg_route_count(const struct dlg *d)
{
	return d->n_routes;
}
bool dlg_is_uac(const struct dlg *d)
{
	return d->is_uac;
}
bool dlg_is_early(const struct dlg *d)
{
	return d->is_early;
}
