/* What a REGISTER says: whose bindings, by which path, which contacts, and how each is reached
 * (nat.c).
 *
 * A contact with instance and reg-id is a flow [RFC5626 6]: reached over what it came by, whatever
 * its URI. Where the request came through a proxy that keeps no flows (no `ob` in a Path), reg-id
 * is ignored, or, when the phone counts on it (Supported: outbound), the request refused with 439.
 *
 * [RFC3261 10.3 steps 4 to 7] [RFC3327 5.3] [RFC3581] [RFC5626 6] [RFC5627 5.1] [RFC5630 5.2]
 */
#include "service/registrar_priv.h"

#include "base/assert.h"
#include "service/nat.h"
#include "sip/hdr.h"

#include <stdlib.h>

#define CONTACT_URI_BYTES 1000 /* longer than any phone's; leaves room for several in a record */

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
			s = REG_HOUR_S;
	} else if (sip_has(m, SIP_HDR_EXPIRES)) {
		if (sip_seconds_parse(sip_value(m, SIP_HDR_EXPIRES), &s) != OK)
			s = REG_HOUR_S;
	}
	*out = s > r->cfg.max_expires_s ? r->cfg.max_expires_s : s;
	return s == 0 || s >= REG_HOUR_S || s >= r->cfg.min_expires_s;
}

/* The address of record itself, or a GRUU of it [RFC5627 5.1]. */
static bool is_loop(const struct request *q, const struct sip_uri *u)
{
	const struct reg_env *env = &q->reg->env;
	char mem[LIMIT_AOR_BYTES];
	struct buf aor;
	buf_init_fixed(&aor, mem, sizeof(mem));
	return dom_uri_is_ours(env->dom, env->tp, u) && dom_aor_put(env->dom, u, &aor) == OK &&
	       (str_eq(buf_view(&aor), reg_aor(q)) || sip_param(u->params, STR("gr"), NULL));
}

static enum code read_contact(struct request *q, const struct sip_addr *a, struct loc_contact *out)
{
	struct str text;
	uint32_t reg_id = 0;
	bool is_sip = a->uri.scheme == SIP_URI_SIP || a->uri.scheme == SIP_URI_SIPS;
	if (!is_sip && sip_param(a->params, STR("+sip.instance"), NULL))
		return CODE_REG_NOT_SIP;
	if (a->uri_err != OK || !is_sip || !a->uri.host.n || a->uri_text.n > CONTACT_URI_BYTES)
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
	if (out->instance.n && sip_param(a->params, STR("reg-id"), &text) && str_u32(text, &reg_id))
		out->reg_id = reg_id;
	if (out->instance.n && is_loop(q, &out->parsed))
		return CODE_REG_LOOP;
	out->is_by_source = nat_is_by_source(q->rx, &out->parsed);
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

/* --- flows ------------------------------------------------------------------------------------ */

/* The phone's own proxy keeps flows, or there is none between us [RFC5626 6]. */
static bool keeps_flows(const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct sip_addr a;
	struct str value;
	if (nat_is_direct(m))
		return true;
	while (sip_each(m, SIP_HDR_PATH, &it, &value))
		if (sip_addr_parse(value, &a) == OK && sip_param(a.uri.params, STR("ob"), NULL))
			return true;
	return false;
}

static enum code read_flows(struct request *q)
{
	const struct sip_msg *m = q->rx->msg;
	size_t n_flows = 0, n_live = 0;
	bool is_wanted = sip_has_token(m, SIP_HDR_SUPPORTED, STR("outbound"));
	for (size_t i = 0; i < q->n_contacts; i++) {
		n_flows += q->contacts[i].reg_id != 0;
		n_live += q->contacts[i].expires_s != 0;
	}
	if (!n_flows)
		return CODE_NONE;
	bool is_kept = keeps_flows(m);
	if (!is_kept && is_wanted)
		return CODE_REG_OUTBOUND_HOP;
	if (is_kept && n_live > 1)
		return CODE_REG_OUTBOUND_MANY;
	q->is_outbound = is_kept && is_wanted;
	for (size_t i = 0; i < q->n_contacts; i++) {
		struct loc_contact *c = &q->contacts[i];
		if (!is_kept)
			c->reg_id = 0;
		else if (c->reg_id)
			c->is_by_source |= nat_is_direct(m);
	}
	return CODE_NONE;
}

/* --- sips ------------------------------------------------------------------------------------- */

static bool is_sips(struct str uri)
{
	return str_istarts(uri, STR("sips:"));
}

/* A sips Contact is bound only where everything on the way to it is sips. [RFC5630 5.2] */
static enum code check_sips(const struct request *q)
{
	struct str path = q->path ? str_c(q->path) : STR_NONE;
	bool has_sips = false, is_all = is_sips(q->rx->msg->ruri);
	for (size_t i = 0; i < q->n_contacts; i++) {
		if (!q->contacts[i].expires_s)
			continue;
		has_sips |= is_sips(q->contacts[i].uri);
		is_all &= is_sips(q->contacts[i].uri);
	}
	while (path.n) {
		(void)str_cut(path, '<', &path);
		is_all &= is_sips(path);
		(void)str_cut(path, '>', &path);
	}
	return has_sips && !is_all ? CODE_REG_SIPS : CODE_NONE;
}

enum code reg_read(struct request *q)
{
	enum code code = read_aor(q);
	if (code == CODE_NONE)
		code = read_path(q);
	if (code == CODE_NONE)
		code = read_contacts(q);
	if (code == CODE_NONE)
		code = check_sips(q);
	return code == CODE_NONE ? read_flows(q) : code;
}
