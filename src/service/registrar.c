/* The registrar. [RFC3261 10.3] [RFC3327]
 *
 * Path of a REGISTER, in the steps of 10.3: extensions (2) → digest (3), perhaps in a later turn →
 * To is ours and the user's own (4, 5) → contacts read and judged (6, 7) → one change of the
 * location, done when it is durable → 200 with all bindings (8). Everything before the change only
 * reads; the change itself is all or nothing.
 *
 * What decides how a phone is reached (reach()): a phone that sent the REGISTER itself is reached
 * over its connection, or, behind NAT, at the address that it sent from. Whether it is behind NAT
 * is told by its own Via: when that names another address than the packet's source, the private
 * address in its Contact is translated too. A sender whose Via is true may register a Contact on
 * another machine, and is believed.
 *
 * Which shard: a REGISTER belongs to the shard of its address of record, so that nonce, change and
 * answer are all in one place (docs/adr/005). The transport asks here before it knows whose it is;
 * all that counts is that the same To gets the same answer. Should the table see another shard in
 * it than this does, the change travels there and back, and all is still right.
 *
 * A request is a struct request from arrival to answer; it holds a reference to the message, whose
 * bytes the change borrows. Outgoing text is built in one buffer per shard.
 *
 * Invariants: 1. Each request is answered exactly once, here. 2. Nothing of a request with any
 * unusable Contact is stored. 3. While the location has a request, only done or drop frees it.
 */
#include "service/registrar.h"

#include "base/assert.h"
#include "base/limits.h"
#include "sip/out.h"

#include <stdlib.h>
#include <string.h>

#define CONTACTS_INLINE   2
#define CONTACT_URI_BYTES 1000 /* longer than any phone's; leaves room for several in a record */
#define CACHED_REQUESTS   256
#define HOUR_S            3600

struct request {
	struct link link; /* of reg.live */
	struct reg *reg;  /* NULL: the registrar is gone, drop frees */
	tsx_id st;
	struct tp_rx *rx;
	struct auth_check check;
	struct loc_change change;
	struct loc_contact few[CONTACTS_INLINE], *contacts;
	size_t n_contacts;
	bool is_star, is_in_location;
	char *path;
	size_t n_aor;
	char aor[LIMIT_AOR_BYTES];
};

struct reg {
	struct reg_env env;
	struct reg_cfg cfg;
	struct link live, idle;
	size_t n_idle;
	struct buf out, lines;
};

/* --- requests ------------------------------------------------------------------------------- */

static struct request *request_new(struct reg *r, tsx_id st, struct tp_rx *rx)
{
	struct link *l = list_pop(&r->idle);
	struct request *q = l ? LIST_ENTRY(l, struct request, link) : malloc(sizeof(*q));
	if (!q)
		return NULL;
	r->n_idle -= l != NULL;
	q->reg = r;
	q->st = st;
	q->rx = tp_rx_ref(rx);
	q->contacts = q->few;
	q->n_contacts = 0;
	q->is_star = q->is_in_location = false;
	q->path = NULL;
	q->n_aor = 0;
	q->check.user[0] = 0;
	q->check.n_user = 0;
	list_init(&q->link);
	list_push(&r->live, &q->link);
	return q;
}

static void request_free(struct request *q)
{
	if (q->contacts != q->few)
		free(q->contacts);
	free(q->path);
	free(q);
}

static void request_end(struct request *q)
{
	struct reg *r = q->reg;
	tp_rx_unref(r->env.tp, q->rx);
	list_del(&q->link);
	if (r->n_idle >= CACHED_REQUESTS) {
		request_free(q);
		return;
	}
	if (q->contacts != q->few)
		free(q->contacts);
	free(q->path);
	list_push(&r->idle, &q->link);
	r->n_idle++;
}

static struct str aor_of(const struct request *q)
{
	return str_of(q->aor, q->n_aor);
}

/* --- answering ------------------------------------------------------------------------------ */

static void tell(struct request *q, unsigned status, enum code code, size_t n_bindings)
{
	struct reg *r = q->reg;
	const struct sip_msg *m = q->rx->msg;
	if (!r->env.on_outcome)
		return;
	struct reg_outcome o = {
		.status = status,
		.code = code,
		.auth = q->check.verdict,
		.is_fetch = !q->is_star && !q->n_contacts,
		.n_bindings = (uint16_t)n_bindings,
		.user = q->n_aor ? dom_user_of_aor(r->env.dom, aor_of(q)) : auth_user(&q->check),
		.aor = aor_of(q),
		.contact = q->n_contacts ? q->contacts[0].uri : STR_NONE,
		.user_agent = sip_value(m, SIP_HDR_USER_AGENT),
		.call_id = m->call_id,
		.cseq = m->cseq,
		.from = q->rx->from,
		.proto = q->rx->proto,
		.took_us = ev_now_us(r->env.loop) - q->rx->at_us,
	};
	if (q->is_in_location) {
		o.n_added = q->change.n_added;
		o.n_refreshed = q->change.n_refreshed;
		o.n_removed = q->change.n_removed;
		o.n_evicted = q->change.n_evicted;
		o.why = str_c(q->change.why);
	}
	if (q->n_contacts) {
		o.expires_s = q->contacts[0].expires_s;
		o.is_nated = q->contacts[0].is_by_source && !q->change.flow;
	}
	r->env.on_outcome(r->env.ctx, &o);
}

/* Answers with a code of ours and ends the request. */
static void refuse(struct request *q, enum code code, struct str extra_lines)
{
	code_refuse(q->reg->env.tsx, q->st, code, extra_lines);
	tell(q, code_info(code)->status, code, 0);
	request_end(q);
}

static void refuse_fmt(struct request *q, enum code code, const char *name, uint32_t value)
{
	char mem[64];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b, "%s: %u\r\n", name, value);
	refuse(q, code, buf_view(&b));
}

static void put_contact(struct sip_out *o, const struct loc_binding *b)
{
	struct buf *out = o->b;
	buf_str(out, STR("Contact: <"));
	buf_str(out, b->uri);
	buf_str(out, STR(">;expires="));
	buf_u64(out, b->expires_s);
	if (b->q < 1000)
		buf_fmt(out, ";q=0.%03u", b->q);
	if (b->instance.n)
		buf_fmt(out, ";+sip.instance=\"" STR_FMT "\"", STR_ARG(b->instance));
	if (b->reg_id)
		buf_fmt(out, ";reg-id=%u", b->reg_id);
	buf_str(out, STR("\r\n"));
}

/* 200 with all bindings that are there now [RFC3261 10.3 step 8], and the Path that was kept
 * [RFC3327 5.3]. */
static void accept(struct request *q)
{
	struct reg *r = q->reg;
	const struct sip_msg *m = q->rx->msg;
	struct loc_scratch scratch;
	struct loc_binding b;
	struct sip_out o = {.b = &r->out}; /* header lines for tsx_reply */
	size_t at = 0, n = 0;
	buf_clear(&r->out);
	const struct loc_rec *rec = loc_get(r->env.loc, aor_of(q));
	while (rec && loc_next(r->env.loc, r->env.shard, rec, &at, &b, &scratch)) {
		put_contact(&o, &b);
		n++;
	}
	if (sip_has(m, SIP_HDR_PATH)) {
		sip_out_copy(&o, m, SIP_HDR_PATH);
		sip_out_hdr(&o, SIP_HDR_SUPPORTED, STR("path"));
	}
	if (r->out.err) {
		buf_fini(&r->out);
		buf_init(&r->out);
		refuse(q, CODE_NO_MEMORY, STR_NONE);
		return;
	}
	enum err e = tsx_reply(r->env.tsx, q->st, 200, STR_NONE, buf_view(&r->out));
	(void)e; /* the binding is there all the same; the phone repeats what was not answered */
	tell(q, 200, CODE_NONE, n);
	request_end(q);
}

/* --- the change ----------------------------------------------------------------------------- */

static void on_changed(struct loc_change *c)
{
	struct request *q = CONTAINER_OF(c, struct request, change);
	switch (c->outcome) {
	case LOC_OK:
		accept(q);
		return;
	case LOC_ORDER: /* also the second copy of a REGISTER that was forked on its way */
		refuse(q, CODE_REG_ORDER, STR_NONE);
		return;
	case LOC_FULL:
		refuse(q, CODE_REG_TOO_MANY, STR_NONE);
		return;
	case LOC_BUSY:
		refuse(q, CODE_REG_BUSY, STR("Retry-After: 5\r\n"));
		return;
	case LOC_STORE:
		refuse(q, CODE_REG_STORE, STR("Retry-After: 30\r\n"));
		return;
	case LOC_MEMORY:
		refuse(q, CODE_NO_MEMORY, STR("Retry-After: 30\r\n"));
		return;
	}
}

static void on_dropped(struct loc_change *c)
{
	struct request *q = CONTAINER_OF(c, struct request, change);
	ASSERT(!q->reg); /* reg_free was first */
	request_free(q);
}

/* Only a phone that sent the request itself has its connection, and its NAT, in common with it. */
static bool is_direct(const struct sip_msg *m)
{
	return !sip_has(m, SIP_HDR_PATH) && sip_count(m, SIP_HDR_VIA) == 1;
}

static void change(struct request *q)
{
	struct reg *r = q->reg;
	const struct sip_msg *m = q->rx->msg;
	q->change = (struct loc_change){
		.aor = aor_of(q),
		.call_id = m->call_id,
		.path = q->path ? str_c(q->path) : STR_NONE,
		.user_agent = sip_value(m, SIP_HDR_USER_AGENT),
		.cseq = m->cseq,
		.is_star = q->is_star,
		.proto = (uint8_t)q->rx->proto,
		.from = q->rx->from,
		.to = q->rx->to,
		.flow = q->rx->flow,
		.contacts = q->contacts,
		.n_contacts = q->n_contacts,
		.done = on_changed,
		.drop = on_dropped,
	};
	q->is_in_location = true;
	loc_change(r->env.loc, r->env.shard, &q->change);
}

/* --- how a phone is reached ------------------------------------------------------------------- */

static bool is_inner(const struct addr *a)
{
	return addr_is_private(a) || addr_is_loopback(a) || addr_is_any(a);
}

static bool is_by_source(const struct tp_rx *rx, const struct sip_uri *u)
{
	const struct sip_msg *m = rx->msg;
	struct addr via_ip, contact = u->ip;
	const struct addr *src = &rx->from;
	contact.port = u->port ? u->port : 5060;
	if (u->is_ip && addr_eq(&contact, src) && !tp_is_reliable(rx->proto))
		return false; /* the usual phone */
	if (!is_direct(m) || !m->via_host.n)
		return false;
	if (!u->is_ip) /* names that nobody resolves; and a connection needs no name */
		return tp_is_reliable(rx->proto) || str_ends(u->host, STR(".invalid"));
	bool is_via_ip = addr_parse(m->via_host, 0, &via_ip);
	bool is_true_host = is_via_ip && addr_ip_eq(&via_ip, src);
	if (addr_ip_eq(&contact, src)) {
		if (tp_is_reliable(rx->proto))
			return true;
		bool is_true = is_true_host && (m->via_port ? m->via_port : 5060) == src->port;
		return contact.port != src->port && !is_true && m->via_has_rport;
	}
	if (is_true_host) /* another machine; or an ALG that rewrote Via but not Contact */
		return is_inner(&contact) && !is_inner(src);
	return is_inner(&contact) || (is_via_ip && addr_ip_eq(&contact, &via_ip));
}

/* --- reading the request ---------------------------------------------------------------------- */

static struct str unquoted(struct str s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return str_sub(s, 1, s.n - 2);
	return s;
}

/* The interval of a contact: its own, the request's, or ours. A malformed one counts as an hour
 * [RFC3261 20.10]. False: too brief. */
static bool read_expires(const struct reg *r, const struct sip_msg *m, struct str params,
			 uint32_t *out)
{
	struct str text;
	uint32_t s = r->cfg.default_expires_s;
	if (sip_param(params, STR("expires"), &text)) {
		if (sip_seconds_parse(unquoted(text), &s) != OK)
			s = HOUR_S;
	} else if (sip_has(m, SIP_HDR_EXPIRES)) {
		if (sip_seconds_parse(sip_value(m, SIP_HDR_EXPIRES), &s) != OK)
			s = HOUR_S;
	}
	*out = s > r->cfg.max_expires_s ? r->cfg.max_expires_s : s;
	return s == 0 || s >= HOUR_S || s >= r->cfg.min_expires_s;
}

static enum code read_contact(struct request *q, const struct sip_addr *a, struct loc_contact *out)
{
	struct str text;
	uint32_t reg_id = 0;
	if (a->uri_err != OK || (a->uri.scheme != SIP_URI_SIP && a->uri.scheme != SIP_URI_SIPS) ||
	    !a->uri.host.n || a->uri_text.n > CONTACT_URI_BYTES)
		return CODE_REG_CONTACT;
	*out = (struct loc_contact){.uri = a->uri_text, .parsed = a->uri, .q = 1000};
	if (a->uri.headers.n) { /* a Request-URI has none [RFC3261 19.1.1] */
		out->uri = str_sub(a->uri_text, 0, str_chr(a->uri_text, '?'));
		if (sip_uri_parse(out->uri, &out->parsed) != OK)
			return CODE_REG_CONTACT;
	}
	if (sip_param(a->params, STR("q"), &text) && !sip_q_parse(text, &out->q))
		out->q = 1000;
	if (sip_param(a->params, STR("+sip.instance"), &text) && unquoted(text).n < 64)
		out->instance = unquoted(text);
	if (sip_param(a->params, STR("reg-id"), &text) && str_u32(text, &reg_id))
		out->reg_id = reg_id;
	out->is_by_source = is_by_source(q->rx, &out->parsed);
	return read_expires(q->reg, q->rx->msg, a->params, &out->expires_s)
		       ? CODE_NONE
		       : CODE_REG_EXPIRES_BRIEF;
}

/* [RFC3261 10.3 step 6] */
static enum code check_star(const struct request *q, size_t n_values)
{
	uint32_t s = 1;
	const struct sip_msg *m = q->rx->msg;
	bool is_zero = sip_has(m, SIP_HDR_EXPIRES) &&
		       sip_seconds_parse(sip_value(m, SIP_HDR_EXPIRES), &s) == OK && s == 0;
	return n_values == 1 && is_zero ? CODE_NONE : CODE_REG_STAR;
}

static enum code read_contacts(struct request *q)
{
	const struct sip_msg *m = q->rx->msg;
	struct sip_iter it = {0};
	struct str value;
	size_t n = sip_count(m, SIP_HDR_CONTACT);
	if (n > q->reg->cfg.max_contacts)
		return CODE_REG_TOO_MANY;
	if (n > CONTACTS_INLINE) {
		struct loc_contact *many = calloc(n, sizeof(*many));
		if (!many)
			return CODE_NO_MEMORY;
		q->contacts = many;
	}
	while (sip_each(m, SIP_HDR_CONTACT, &it, &value)) {
		struct sip_addr a;
		if (sip_addr_parse(value, &a) != OK)
			return CODE_REG_CONTACT;
		if (a.is_star) {
			q->is_star = true;
			return check_star(q, n);
		}
		ASSERT(q->n_contacts < n);
		enum code code = read_contact(q, &a, &q->contacts[q->n_contacts]);
		if (code != CODE_NONE)
			return code;
		q->n_contacts++;
	}
	/* a Contact line without a contact is no question for the bindings */
	return sip_has(m, SIP_HDR_CONTACT) && !q->n_contacts ? CODE_REG_CONTACT : CODE_NONE;
}

/* [RFC3327 5.3]: kept as one Route value, each part checked. */
static enum code read_path(struct request *q)
{
	const struct sip_msg *m = q->rx->msg;
	struct sip_iter it = {0};
	struct sip_addr a;
	struct str value;
	struct buf b;
	if (!sip_has(m, SIP_HDR_PATH))
		return CODE_NONE;
	if (q->reg->cfg.is_path_strict && !sip_has_token(m, SIP_HDR_SUPPORTED, STR("path")))
		return CODE_REG_PATH_UNSUPPORTED;
	buf_init(&b);
	while (sip_each(m, SIP_HDR_PATH, &it, &value)) {
		if (sip_addr_parse(value, &a) != OK || a.uri_err != OK ||
		    a.uri.scheme > SIP_URI_SIPS) {
			buf_fini(&b);
			return CODE_REG_PATH;
		}
		buf_str(&b, b.n ? STR(", <") : STR("<"));
		buf_str(&b, a.uri_text);
		buf_chr(&b, '>');
	}
	if (!buf_cstr(&b)) {
		buf_fini(&b);
		return CODE_NO_MEMORY;
	}
	q->path = b.p;
	return CODE_NONE;
}

/* Steps 4 and 5: whose binding is it? */
static enum code read_aor(struct request *q)
{
	const struct reg_env *env = &q->reg->env;
	struct sip_addr to;
	struct buf b;
	if (sip_addr_parse(sip_value(q->rx->msg, SIP_HDR_TO), &to) != OK || to.uri_err != OK ||
	    to.uri.scheme > SIP_URI_SIPS || !dom_is_ours(env->dom, env->tp, to.uri.host, 0))
		return CODE_REG_TO;
	buf_init_fixed(&b, q->aor, sizeof(q->aor));
	if (dom_aor_put(env->dom, &to.uri, &b) != OK)
		return CODE_REG_TO;
	struct str user = dom_user_of_aor(env->dom, buf_view(&b));
	if (q->check.verdict == AUTH_OK ? !str_eq(user, auth_user(&q->check))
					: !acc_has(env->acc, user))
		return q->check.verdict == AUTH_OK ? CODE_AUTH_IDENTITY : CODE_REG_TO;
	q->n_aor = b.n;
	return CODE_NONE;
}

static void on_verified(struct request *q)
{
	struct reg *r = q->reg;
	if (!auth_is_ok(q->check.verdict)) {
		enum code code = auth_challenge(r->env.auth, r->env.tsx, q->st, &q->check);
		tell(q, code_info(code)->status, code, 0);
		request_end(q);
		return;
	}
	enum code code = read_aor(q);
	if (code == CODE_NONE)
		code = read_path(q);
	if (code == CODE_NONE)
		code = read_contacts(q);
	if (code == CODE_REG_EXPIRES_BRIEF)
		refuse_fmt(q, code, "Min-Expires", r->cfg.min_expires_s);
	else if (code == CODE_REG_PATH_UNSUPPORTED)
		refuse(q, code, STR("Unsupported: path\r\n"));
	else if (code != CODE_NONE)
		refuse(q, code, STR_NONE);
	else if (q->n_contacts || q->is_star)
		change(q);
	else
		accept(q);
}

static void on_auth_done(struct auth_check *c)
{
	on_verified(CONTAINER_OF(c, struct request, check));
}

/* Step 2: extensions that we do not have, as a list for Unsupported. */
static bool has_unsupported(struct reg *r, const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct str value;
	buf_clear(&r->lines);
	while (sip_each(m, SIP_HDR_REQUIRE, &it, &value)) {
		if (!value.n || str_ieq(value, STR("path")))
			continue;
		buf_str(&r->lines, r->lines.n ? STR(", ") : STR("Unsupported: "));
		buf_str(&r->lines, str_sub(value, 0, 64));
		if (r->lines.n > 1000)
			break;
	}
	if (!r->lines.n)
		return false;
	buf_str(&r->lines, STR("\r\n"));
	return true;
}

void reg_on_request(struct reg *r, tsx_id st, struct tp_rx *rx)
{
	struct request *q = request_new(r, st, rx);
	if (!q) {
		code_refuse(r->env.tsx, st, CODE_NO_MEMORY, STR("Retry-After: 5\r\n"));
		return;
	}
	q->check.verdict = AUTH_NONE;
	if (has_unsupported(r, rx->msg)) {
		refuse(q, CODE_REG_EXTENSION, r->lines.err ? STR_NONE : buf_view(&r->lines));
		return;
	}
	q->check.done = on_auth_done;
	if (auth_verify(r->env.auth, rx, &q->check) == OK)
		on_verified(q);
}

/* --- whose request it is ---------------------------------------------------------------------- */

static bool owner_of(void *ctx, const struct sip_msg *m, size_t *shard)
{
	const struct reg *r = ctx;
	struct sip_addr to;
	char mem[LIMIT_AOR_BYTES];
	struct buf aor;
	if (m->method != SIP_REGISTER)
		return false;
	buf_init_fixed(&aor, mem, sizeof(mem));
	if (sip_addr_parse(sip_value(m, SIP_HDR_TO), &to) != OK || to.uri_err ||
	    dom_aor_put(r->env.dom, &to.uri, &aor))
		return false;
	*shard = loc_shard_of(r->env.loc, buf_view(&aor));
	return true;
}

/* --- life ---------------------------------------------------------------------------------------
 */

enum err reg_new(const struct reg_env *env, const struct reg_cfg *cfg, struct reg **out)
{
	struct reg *r = calloc(1, sizeof(*r));
	if (!r)
		return ERR_NOMEM;
	r->env = *env;
	r->cfg = *cfg;
	if (!r->cfg.default_expires_s)
		r->cfg.default_expires_s = HOUR_S;
	if (!r->cfg.min_expires_s)
		r->cfg.min_expires_s = 30;
	if (!r->cfg.max_expires_s)
		r->cfg.max_expires_s = 2 * HOUR_S;
	if (!r->cfg.max_contacts)
		r->cfg.max_contacts = LIMIT_CONTACTS_PER_AOR;
	list_init(&r->live);
	list_init(&r->idle);
	buf_init(&r->out);
	buf_init(&r->lines);
	tp_set_owner(env->tp, owner_of, r);
	*out = r;
	return OK;
}

void reg_free(struct reg *r)
{
	if (!r)
		return;
	tp_set_owner(r->env.tp, NULL, NULL);
	LIST_EACH (&r->live, l) {
		struct request *q = LIST_ENTRY(l, struct request, link);
		list_del(&q->link);
		tp_rx_unref(r->env.tp, q->rx);
		q->reg = NULL;
		if (!q->is_in_location) { /* it waits for a nonce count */
			auth_cancel(&q->check);
			request_free(q);
		}
	}
	for (struct link *l; (l = list_pop(&r->idle));)
		free(LIST_ENTRY(l, struct request, link));
	buf_fini(&r->out);
	buf_fini(&r->lines);
	free(r);
}
