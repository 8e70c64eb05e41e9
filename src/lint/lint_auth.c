/* Challenges and credentials: what is quoted and what not, what must be there, how it goes from one
 * request to the next. The parser of sip/auth.h reads all that phones write; here it is held
 * against the RFCs.
 *
 * What a client does over several requests is remembered per sender in its call (struct lint_side),
 * and only for the first credentials of a request: those of further proxies are rare. ACK and
 * CANCEL repeat the credentials of the INVITE and are left alone. [RFC3261 22.1]
 *
 * [RFC3261 22] [RFC7616 3.3, 3.4] [RFC8760]
 */
#include "sip/auth.h"

#include "base/assert.h"
#include "lint/lint_priv.h"
#include "sip/chars.h"

#include <string.h>

enum quoting { Q_ANY, Q_MUST, Q_MUST_NOT };

struct param {
	struct str name, value, all;
	bool is_quoted;
};

/* The next name=value of a comma-separated list; false at its end or where it cannot be read. */
static bool next_param(struct str *rest, struct param *out)
{
	const char *p = rest->p, *end = cc_end(*rest);
	while (p < end && (*p == ',' || cc_is(*p, CC_WS)))
		p++;
	const char *start = p;
	p = cc_span(p, end, CC_TOKEN);
	out->name = str_of(start, (size_t)(p - start));
	p = cc_skip_ws(p, end);
	if (!out->name.n || p == end || *p != '=')
		return false;
	p = cc_skip_ws(p + 1, end);
	out->is_quoted = p < end && *p == '"';
	const char *v = p;
	if (out->is_quoted) {
		p = cc_quote_end(p, end);
		if (p == end)
			return false;
		out->value = str_of(v + 1, (size_t)(p - v - 1));
		p++;
	} else {
		while (p < end && *p != ',' && !cc_is(*p, CC_WS))
			p++;
		out->value = str_of(v, (size_t)(p - v));
	}
	out->all = str_of(start, (size_t)(p - start));
	*rest = str_of(p, (size_t)(end - p));
	return true;
}

static enum quoting quoting_of(struct str name, bool is_challenge)
{
	static const struct str always[] = {STR_INIT("realm"), STR_INIT("nonce"),
					    STR_INIT("opaque")};
	static const struct str challenge[] = {STR_INIT("domain"), STR_INIT("qop")};
	static const struct str credentials[] = {STR_INIT("username"), STR_INIT("uri"),
						 STR_INIT("response"), STR_INIT("cnonce")};
	for (unsigned i = 0; i < ARRAY_LEN(always); i++)
		if (str_ieq(name, always[i]))
			return Q_MUST;
	for (unsigned i = 0; is_challenge && i < ARRAY_LEN(challenge); i++)
		if (str_ieq(name, challenge[i]))
			return Q_MUST;
	for (unsigned i = 0; !is_challenge && i < ARRAY_LEN(credentials); i++)
		if (str_ieq(name, credentials[i]))
			return Q_MUST;
	if (str_ieq(name, STR("algorithm")) || (is_challenge && str_ieq(name, STR("stale"))))
		return Q_MUST_NOT;
	if (!is_challenge && (str_ieq(name, STR("qop")) || str_ieq(name, STR("nc"))))
		return Q_MUST_NOT;
	return Q_ANY;
}

static void check_quotes(struct lint_at *a, struct str value, bool is_challenge)
{
	struct param p;
	struct str rest, scheme = str_cut(value, ' ', &rest);
	if (!str_ieq(scheme, STR("Digest")))
		return;
	while (next_param(&rest, &p)) {
		enum quoting q = quoting_of(p.name, is_challenge);
		if (q == Q_ANY || p.is_quoted == (q == Q_MUST))
			continue;
		lint_hit_fmt(a, is_challenge ? LINT_CHALLENGE_QUOTES : LINT_CREDENTIALS_QUOTES,
			     p.all, STR_FMT " %s in quotes", STR_ARG(p.name),
			     p.is_quoted ? "stands" : "does not stand");
	}
}

static void check_challenge(struct lint_at *a, struct str v)
{
	struct sip_challenge c;
	enum err e = sip_challenge_parse(v, &c);
	if (e == ERR_UNSUPPORTED) {
		if (str_ieq(c.scheme, STR("Basic")))
			lint_hit(a, LINT_AUTH_BASIC, v);
		return;
	}
	if (e != OK) {
		lint_hit(a, LINT_CHALLENGE_BAD, v);
		return;
	}
	if (!c.has_qop)
		lint_hit(a, LINT_CHALLENGE_QOP, v);
	check_quotes(a, v, true);
}

static bool is_hex(struct str s, size_t n, bool lower)
{
	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (cc_hex(s.p[i]) < 0 || (lower && s.p[i] >= 'A' && s.p[i] <= 'F'))
			return false;
	return true;
}

static void check_qop(struct lint_at *a, const struct sip_credentials *c, struct str v)
{
	if (c->qop.p && (!c->cnonce.p || !c->nc.p))
		lint_hit(a, LINT_QOP_PARTS, v);
	if (!c->qop.p && (c->cnonce.p || c->nc.p))
		lint_hit(a, LINT_CNONCE_ALONE, c->cnonce.p ? c->cnonce : c->nc);
	if (c->nc.p && !is_hex(c->nc, 8, false))
		lint_hit(a, LINT_NC_BAD, c->nc);
	/* an empty response is how IMS phones ask for a challenge */
	if (c->response.n && c->is_known_alg && !is_hex(c->response, 2 * md_size(c->alg), true))
		lint_hit(a, LINT_DIGEST_HEX, c->response);
}

/* The client itself writes the URI that it sends to; behind a proxy it may be another. */
static void check_digest_uri(struct lint_at *a, const struct sip_credentials *c)
{
	if (a->n_vias != 1 || a->method == SIP_ACK || str_eq(c->uri, a->m->ruri))
		return;
	uint32_t have = lint_uri_hash(c->uri), want = lint_uri_hash(a->m->ruri);
	if (have && want && have != want)
		lint_hit_fmt(a, LINT_AUTH_URI, c->uri, "the Request-URI is " STR_FMT,
			     STR_ARG(a->m->ruri));
}

static void check_credentials(struct lint_at *a, struct str v)
{
	struct sip_credentials c;
	enum err e = sip_credentials_parse(v, &c);
	if (e == ERR_UNSUPPORTED) {
		if (str_ieq(c.scheme, STR("Basic")))
			lint_hit(a, LINT_AUTH_BASIC, v);
		return;
	}
	if (e != OK || !c.username.p || !c.realm.p || !c.nonce.p || !c.uri.p || !c.response.p) {
		lint_hit(a, LINT_CREDENTIALS_BAD, v);
		return;
	}
	check_quotes(a, v, false);
	check_qop(a, &c, v);
	check_digest_uri(a, &c);
}

static void each(struct lint_at *a, enum sip_hdr_id id, void fn(struct lint_at *, struct str))
{
	struct sip_iter it = {0, 0};
	struct str v;
	while (sip_has(a->m, id) && sip_each(a->m, id, &it, &v))
		fn(a, v);
}

void lint_check_auth(struct lint_at *a)
{
	if (a->m->is_request) {
		each(a, SIP_HDR_AUTHORIZATION, check_credentials);
		each(a, SIP_HDR_PROXY_AUTHORIZATION, check_credentials);
	} else {
		each(a, SIP_HDR_WWW_AUTHENTICATE, check_challenge);
		each(a, SIP_HDR_PROXY_AUTHENTICATE, check_challenge);
	}
}

/* --- from one request to the next ----------------------------------------------------------------
 */

static bool first_credentials(const struct lint_at *a, struct sip_credentials *c)
{
	static const enum sip_hdr_id ids[] = {SIP_HDR_PROXY_AUTHORIZATION, SIP_HDR_AUTHORIZATION};
	for (unsigned i = 0; i < 2; i++) {
		struct sip_iter it = {0, 0};
		struct str v;
		if (sip_has(a->m, ids[i]) && sip_each(a->m, ids[i], &it, &v) &&
		    sip_credentials_parse(v, c) == OK && c->nonce.n && c->response.n)
			return true;
	}
	return false;
}

static bool nc_value(struct str s, uint32_t *out)
{
	*out = 0;
	for (size_t i = 0; i < s.n && i < 8; i++) {
		if (cc_hex(s.p[i]) < 0)
			return false;
		*out = *out << 4 | (uint32_t)cc_hex(s.p[i]);
	}
	return s.n > 0;
}

/* The request before with these credentials was refused, on this hop. */
static bool was_refused(const struct lint_at *a, uint32_t cseq)
{
	for (unsigned i = 0; i < MAX_TSX; i++) {
		const struct lint_tsx *x = &a->c->tsx[i];
		if (x->is_used && x->cseq == cseq && x->method == a->method && x->from == a->from &&
		    x->has_credentials && (x->status == 401 || x->status == 407))
			return true;
	}
	return false;
}

void lint_check_credentials(struct lint_at *a, struct lint_side *side)
{
	struct sip_credentials c;
	uint32_t nc = 0;
	if (a->n_vias != 1 || !first_credentials(a, &c))
		return;
	uint32_t nonce = lint_hash(c.nonce), response = lint_hash(c.response);
	bool is_later = side->nonce == nonce && a->m->cseq > side->nc_cseq;
	bool has_nc = c.qop.p && nc_value(c.nc, &nc);
	if (is_later && response == side->response && was_refused(a, side->nc_cseq))
		lint_hit(a, LINT_AUTH_AGAIN, c.response);
	else if (is_later && has_nc && side->nc && nc <= side->nc)
		lint_hit_fmt(a, LINT_AUTH_NC, c.nc, "nc was %08x before", side->nc);
	side->nonce = nonce;
	side->response = response;
	side->nc = has_nc ? nc : 0;
	side->nc_cseq = a->m->cseq;
}
