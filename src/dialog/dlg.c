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
		if (!str_eq(d->call_id, call_id) || !str_eq(d->local_tag, local_tag))
			continue;
		if (str_eq(d->remote_tag, remote_tag))
			return d;
		if (!d->remote_tag.n && d->usage && d->usage->ops->takes_half)
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
	arena_init_in(&d->arena, d->mem, sizeof(d->mem));
	buf_init(&d->target);
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
	if (d->ack) {
		if (d->ack->resolve)
			tp_resolve_cancel(d->ack->resolve);
		buf_fini(&d->ack->text);
		free(d->ack);
	}
	buf_fini(&d->target);
	auth_fini(&d->auth);
	arena_fini(&d->arena);
	pool_put(&m->dialogs, d);
}

static void enter(struct dlg *d)
{
	htab_add(&d->m->table, &d->node, key_of(d->m, d->call_id, d->local_tag));
	d->is_in_table = true;
}

static enum err set_target(struct dlg *d, struct str text)
{
	struct sip_uri uri;
	if (sip_uri_parse(text, &uri) == ERR_SYNTAX)
		return ERR_SYNTAX;
	buf_clear(&d->target);
	sip_uri_put_request(&d->target, &uri);
	return d->target.err;
}

/* The URI of the first Contact; empty when there is none to be read. */
static struct str contact_of(const struct sip_msg *msg)
{
	struct sip_iter it = {0};
	struct str v;
	struct sip_addr a;
	if (!sip_each(msg, SIP_HDR_CONTACT, &it, &v) || sip_addr_parse(v, &a) != OK || a.is_star)
		return STR_NONE;
	return a.uri_err == OK ? a.uri_text : STR_NONE;
}

/* Takes the route set: as it stands for a UAS, reversed for a UAC. [RFC3261 12.1.1, 12.1.2] */
static enum err take_routes(struct dlg *d, const struct sip_msg *msg)
{
	size_t n = sip_count(msg, SIP_HDR_RECORD_ROUTE), i = 0;
	d->routes = NULL;
	d->n_routes = 0;
	if (n == 0)
		return OK;
	if (n > DLG_ROUTES_MAX)
		return ERR_LIMIT;
	d->routes = arena_alloc(&d->arena, n * sizeof(*d->routes));
	if (!d->routes)
		return ERR_NOMEM;
	struct sip_iter it = {0};
	struct str v;
	while (i < n && sip_each(msg, SIP_HDR_RECORD_ROUTE, &it, &v)) {
		size_t at = d->is_uac ? n - 1 - i : i;
		if (dlg_dup(&d->arena, v, &d->routes[at]) != OK)
			return ERR_NOMEM;
		i++;
	}
	d->n_routes = n;
	return OK;
}

void dlg_refresh(struct dlg *d, struct tp_rx *rx)
{
	struct str target = contact_of(rx->msg);
	if (!target.n)
		return;
	if (!str_eq(target, buf_view(&d->target)) && set_target(d, target) != OK)
		return;
	if (d->ack)
		d->ack->has_dst = false;
	dlg_learn_way(d, rx);
}

/* --- beginnings ------------------------------------------------------------------------------- */

enum err dlg_new_uac(struct dlg_mgr *m, const struct uac_account *acc, struct str to,
		     struct str target, struct str call_id, struct str local_tag, struct dlg **out)
{
	struct dlg *d = dlg_alloc(m);
	if (!d)
		return ERR_LIMIT;
	char tag[DLG_TAG_MAX];
	d->is_uac = d->is_early = true;
	d->is_secure = str_istarts(target, STR("sips:"));
	enum err e = set_target(d, target);
	if (e == OK)
		e = dlg_copy_account(&d->arena, acc, &d->acc);
	if (e == OK)
		e = dlg_name_addr(&d->arena, d->acc.from, &d->local);
	struct str uri = buf_view(&d->target);
	if (e == OK && to.n)
		e = dlg_name_addr(&d->arena, to, &d->remote);
	else if (e == OK)
		d->remote = arena_fmt(&d->arena, "<" STR_FMT ">", STR_ARG(uri));
	if (e == OK)
		e = dlg_dup(&d->arena, local_tag.n ? local_tag : dlg_make_tag(m, tag),
			    &d->local_tag);
	if (e == OK) {
		d->call_id =
			call_id.n ? arena_str(&d->arena, call_id) : dlg_make_call_id(m, &d->arena);
		e = d->call_id.n && d->remote.n ? OK : ERR_NOMEM;
	}
	if (e != OK) {
		dlg_free(d);
		return e;
	}
	/* small, so that it never comes near 2^31 [RFC3261 8.1.1.5] */
	d->local_cseq = (uint32_t)(env_random_u64(m->loop->env) & 0x7fff);
	enter(d);
	*out = d;
	return OK;
}

enum err dlg_new_uas(struct dlg_mgr *m, struct tp_rx *rx, struct str local_tag,
		     struct str contact_user, const struct uac_account *acc, struct dlg **out)
{
	const struct sip_msg *msg = rx->msg;
	struct dlg *d = dlg_alloc(m);
	if (!d)
		return ERR_LIMIT;
	struct arena *a = &d->arena;
	d->is_early = true;
	d->back = tp_dst_back(rx);
	d->remote_cseq = msg->cseq;
	d->has_remote_cseq = true;
	d->local_cseq = (uint32_t)(env_random_u64(m->loop->env) & 0x7fff);
	d->is_secure = dlg_asks_for_sips(msg);
	struct str target = contact_of(msg);
	enum err e = target.n ? set_target(d, target) : ERR_SYNTAX;
	if (e == OK)
		e = dlg_copy_account(a, acc, &d->acc);
	if (e == OK)
		e = dlg_name_addr(a, sip_value(msg, SIP_HDR_TO), &d->local);
	if (e == OK)
		e = dlg_name_addr(a, sip_value(msg, SIP_HDR_FROM), &d->remote);
	if (e == OK)
		e = dlg_dup(a, msg->call_id, &d->call_id);
	if (e == OK)
		e = dlg_dup(a, local_tag, &d->local_tag);
	if (e == OK)
		e = dlg_dup(a, msg->from_tag, &d->remote_tag);
	if (e == OK)
		e = dlg_dup(a, contact_user, &d->acc.contact_user);
	if (e == OK)
		e = take_routes(d, msg);
	if (e != OK) {
		dlg_free(d);
		return e;
	}
	dlg_learn_way(d, rx);
	enter(d);
	*out = d;
	return OK;
}

static enum err take_kept(struct dlg *d, const struct dlg_kept *k)
{
	struct arena *a = &d->arena;
	enum err e = dlg_dup(a, k->call_id, &d->call_id);
	if (e == OK)
		e = dlg_dup(a, k->local_tag, &d->local_tag);
	if (e == OK)
		e = dlg_dup(a, k->remote_tag, &d->remote_tag);
	if (e == OK)
		e = dlg_dup(a, k->local, &d->local);
	if (e == OK)
		e = dlg_dup(a, k->remote, &d->remote);
	if (e == OK && k->n_routes) {
		d->routes = arena_alloc(a, k->n_routes * sizeof(*d->routes));
		e = d->routes ? OK : ERR_NOMEM;
	}
	for (size_t i = 0; e == OK && i < k->n_routes; i++)
		e = dlg_dup(a, k->routes[i], &d->routes[i]);
	d->n_routes = k->n_routes;
	return e == OK ? set_target(d, k->target) : e;
}

enum err dlg_restore(struct dlg_mgr *m, const struct dlg_kept *k, struct str contact_user,
		     const struct uac_account *acc, struct dlg **out)
{
	struct dlg *d = dlg_alloc(m);
	if (!d)
		return ERR_LIMIT;
	d->local_cseq = k->local_cseq;
	d->remote_cseq = k->remote_cseq;
	d->has_remote_cseq = true;
	d->is_secure = k->is_secure;
	d->back = k->back;
	d->has_back = k->has_back;
	enum err e = dlg_copy_account(&d->arena, acc, &d->acc);
	if (e == OK)
		e = dlg_dup(&d->arena, contact_user, &d->acc.contact_user);
	if (e == OK)
		e = take_kept(d, k);
	if (e != OK) {
		dlg_free(d);
		return e;
	}
	enter(d);
	*out = d;
	return OK;
}

/* What of a dialog comes from the other side. */
static enum err take_remote(struct dlg *d, const struct tp_rx *rx)
{
	const struct sip_msg *msg = rx->msg;
	struct str tag = msg->is_request ? msg->from_tag : msg->to_tag;
	struct str target = contact_of(msg);
	enum err e = dlg_dup(&d->arena, tag, &d->remote_tag);
	if (e == OK)
		e = take_routes(d, msg);
	if (e == OK && target.n)
		e = set_target(d, target);
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
	return take_remote(d, rx);
}

enum err dlg_fork(const struct dlg *half, struct tp_rx *resp, const struct tp_dst *sent_to,
		  struct dlg **out)
{
	struct dlg *d = dlg_alloc(half->m);
	if (!d)
		return ERR_LIMIT;
	struct arena *a = &d->arena;
	d->is_uac = d->is_early = true;
	d->is_secure = half->is_secure;
	d->is_hidden = half->is_hidden;
	d->takes_refer = half->takes_refer;
	d->local_cseq = half->local_cseq;
	d->back = *sent_to;
	d->sid = half->sid;
	sid_forget(&d->sid);
	sid_hear_response(&d->sid, half->m->loop->env, resp->msg);
	struct uac_account acc = half->acc;
	acc.from = STR_NONE; /* `local` says it */
	enum err e = dlg_copy_account(a, &acc, &d->acc);
	if (e == OK)
		e = dlg_dup(a, half->local, &d->local);
	if (e == OK)
		e = dlg_dup(a, half->remote, &d->remote);
	if (e == OK)
		e = dlg_dup(a, half->call_id, &d->call_id);
	if (e == OK)
		e = dlg_dup(a, half->local_tag, &d->local_tag);
	if (e == OK)
		e = set_target(d, buf_view(&half->target));
	if (e == OK)
		e = auth_copy(&d->auth, &half->auth);
	if (e == OK)
		e = take_remote(d, resp);
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
	enum err e = d->is_early ? take_routes(d, resp->msg) : OK;
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
	dlg_put_with_tag(b, d->local, d->local_tag);
	size_t n_from = b->n;
	dlg_put_with_tag(b, d->remote, d->remote_tag);
	if (b->err != OK)
		return b->err;
	struct uac_spec s = {
		.method = req->method,
		.ruri = w.ruri,
		.from = str_of(b->p, n_from),
		.to = str_of(b->p + n_from, b->n - n_from),
		.call_id = d->call_id,
		.routes = w.routes,
		.next_hop = w.next_hop,
		.headers = req->headers,
		.content_type = req->content_type,
		.body = req->body,
		.contact_user = d->acc.contact_user,
		.contact_params = d->acc.contact_params,
		.has_contact = has_contact(sip_method_find(req->method)),
		.is_secure = d->is_secure,
		.max_forwards = req->max_forwards,
		.dst = req->dst                 ? req->dst
		       : dlg_way_back_stands(d) ? &d->back
						: NULL,
		.acc = &d->acc,
		.auth = &d->auth,
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
			 ans->reason.n ? ans->reason : sip_status_reason(ans->status), d->local_tag,
			 &rx->from);
	/* what makes or refreshes the dialog [RFC3261 12.1.1] [RFC6665 4.2.1.1] */
	if ((is_invite && is_provisional) || is_ok) {
		if (is_invite || method == SIP_SUBSCRIBE)
			sip_out_copy(&o, rx->msg, SIP_HDR_RECORD_ROUTE);
		if (is_invite || (sip_method_flags(method) & SIP_MF_TARGET)) {
			struct tp_dst back = tp_response_dst(rx);
			buf_str(b, STR("Contact: "));
			enum err e = dlg_put_contact(m, &back, d->is_secure, d->acc.contact_user,
						     d->acc.contact_params, b);
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

struct str dlg_call_id(const struct dlg *d)
{
	return d->call_id;
}
struct str dlg_local_tag(const struct dlg *d)
{
	return d->local_tag;
}
struct str dlg_remote_tag(const struct dlg *d)
{
	return d->remote_tag;
}
struct str dlg_local(const struct dlg *d)
{
	return d->local;
}
struct str dlg_remote(const struct dlg *d)
{
	return d->remote;
}
struct str dlg_remote_target(const struct dlg *d)
{
	return buf_view(&d->target);
}
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
