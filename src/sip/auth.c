/* Digest authentication: reading and writing challenges and credentials, and the arithmetic.
 * [RFC7616] [RFC8760] [RFC3261 22]
 *
 * Values are kept as written between their quotes: a backslash stays a backslash on both sides, as
 * every phone does it, so that both compute the digest over the same bytes. Real phones quote what
 * must not be quoted (algorithm, qop, nc) and the other way round; both are read.
 *
 * An empty value is present, not missing: IMS phones send nonce="" and response="" with their first
 * REGISTER, and get their challenge for it.
 *
 * Credentials in which a field occurs twice are refused: who writes the username twice wants one
 * part of a server to see the first and another the second. */

#include "sip/auth.h"

#include "sip/chars.h"

/* ---- the comma-separated parameters ---- */

/* scheme, then white space; what is left are the parameters. */
static bool take_scheme(struct str value, struct str *scheme, struct str *rest)
{
	const char *end = cc_end(value), *p = cc_skip_ws(value.p, end);
	const char *stop = cc_span(p, end, CC_TOKEN);
	*scheme = str_of(p, (size_t)(stop - p));
	*rest = str_of(stop, (size_t)(end - stop));
	return stop > p && (stop == end || cc_is(*stop, CC_WS));
}

/* The next name=value: 1, at the end 0, on broken syntax -1. */
static int next_param(struct str *rest, struct str *name, struct str *value)
{
	const char *p = rest->p, *end = cc_end(*rest);
	while (p < end && (*p == ',' || cc_is(*p, CC_WS)))
		p++;
	if (p == end)
		return 0;
	const char *start = p;
	p = cc_span(p, end, CC_TOKEN);
	*name = str_of(start, (size_t)(p - start));
	p = cc_skip_ws(p, end);
	if (!name->n || p == end || *p != '=')
		return -1;
	p = cc_skip_ws(p + 1, end);
	if (p < end && *p == '"') {
		const char *close = cc_quote_end(p, end);
		if (close == end)
			return -1;
		*value = str_of(p + 1, (size_t)(close - p - 1));
		p = close + 1;
	} else {
		start = p;
		while (p < end && *p != ',' && *p != '\\' && cc_is(*p, CC_URI))
			p++;
		*value = str_of(start, (size_t)(p - start));
	}
	p = cc_skip_ws(p, end);
	if (p < end && *p != ',')
		return -1;
	*rest = str_of(p, (size_t)(end - p));
	return 1;
}

struct field {
	struct str name;
	struct str *to;
};

/* Fills the fields by name; others are ignored. Twice the same is an error. */
static enum err read_params(struct str rest, const struct field *fields, size_t n)
{
	struct str name, value;
	int more;
	while ((more = next_param(&rest, &name, &value)) > 0) {
		for (size_t i = 0; i < n; i++) {
			const struct str *f = &fields[i].name;
			if (name.n != f->n || (name.p[0] | 0x20) != f->p[0] || !str_ieq(name, *f))
				continue; /* field names are in lower case */
			if (fields[i].to->p)
				return ERR_SYNTAX;
			*fields[i].to = value;
			break;
		}
	}
	return more < 0 ? ERR_SYNTAX : OK;
}

/* ---- algorithms ---- */

static const struct str alg_names[MD__N] = {
	[MD_MD5] = STR_INIT("MD5"),
	[MD_SHA256] = STR_INIT("SHA-256"),
	[MD_SHA512_256] = STR_INIT("SHA-512-256"),
};

/* Without an algorithm it is MD5. [RFC7616 3.3] */
static bool find_alg(struct str name, enum md_alg *alg, bool *is_sess)
{
	*alg = MD_MD5;
	*is_sess = str_ends(name, STR("-sess")) || str_ends(name, STR("-SESS"));
	if (*is_sess)
		name.n -= 5;
	if (!name.n)
		return !*is_sess;
	for (unsigned i = 0; i < MD__N; i++)
		if (str_ieq(name, alg_names[i])) {
			*alg = i;
			return true;
		}
	return false;
}

static void read_qop(struct str list, struct sip_challenge *c)
{
	while (list.n) {
		struct str q = str_trim(str_cut(list, ',', &list));
		c->qop_auth |= str_ieq(q, STR("auth"));
		c->qop_auth_int |= str_ieq(q, STR("auth-int"));
	}
}

/* ---- challenges ---- */

enum err sip_challenge_parse(struct str value, struct sip_challenge *out)
{
	struct str rest, alg = STR_NONE, qop = STR_NONE, stale = STR_NONE;
	*out = (struct sip_challenge){.alg = MD_MD5};
	const struct field fields[] = {
		{STR_INIT("realm"),     &out->realm },
                {STR_INIT("nonce"),     &out->nonce },
		{STR_INIT("opaque"),    &out->opaque},
                {STR_INIT("domain"),    &out->domain},
		{STR_INIT("algorithm"), &alg        },
                {STR_INIT("qop"),       &qop        },
		{STR_INIT("stale"),     &stale      },
	};
	if (!take_scheme(value, &out->scheme, &rest))
		return ERR_SYNTAX;
	if (!str_ieq(out->scheme, STR("Digest")))
		return ERR_UNSUPPORTED;
	enum err e = read_params(rest, fields, sizeof(fields) / sizeof(fields[0]));
	if (e != OK)
		return e;
	if (!out->realm.p || !out->nonce.p)
		return ERR_SYNTAX;
	out->is_known_alg = find_alg(alg, &out->alg, &out->is_sess);
	out->stale = str_ieq(stale, STR("true"));
	out->has_qop = qop.p != NULL;
	read_qop(qop, out);
	return OK;
}

bool sip_challenge_choose(const struct sip_msg *resp, enum sip_hdr_id id, struct sip_challenge *out)
{
	struct sip_iter it = {0, 0};
	struct str v;
	while (sip_each(resp, id, &it, &v))
		if (sip_challenge_parse(v, out) == OK && out->is_known_alg && !out->is_sess &&
		    (!out->has_qop || out->qop_auth))
			return true;
	return false;
}

/* name="value" behind `lead`; not by printf, which would end at a NUL. */
static void put_field(struct buf *b, const char *lead, struct str value)
{
	buf_str(b, str_c(lead));
	buf_str(b, STR("=\""));
	buf_str(b, value);
	buf_chr(b, '"');
}

void sip_challenge_put(struct buf *b, struct str realm, struct str nonce, enum md_alg alg,
		       bool stale)
{
	put_field(b, "Digest realm", realm);
	put_field(b, ", nonce", nonce);
	buf_str(b, STR(", algorithm="));
	buf_str(b, alg_names[alg]);
	buf_str(b, STR(", qop=\"auth\""));
	if (stale)
		buf_str(b, STR(", stale=true"));
}

/* ---- credentials ---- */

enum err sip_credentials_parse(struct str value, struct sip_credentials *out)
{
	struct str rest, alg = STR_NONE;
	bool is_sess;
	*out = (struct sip_credentials){.alg = MD_MD5};
	const struct field fields[] = {
		{STR_INIT("username"),  &out->username},
		{STR_INIT("realm"),     &out->realm   },
		{STR_INIT("nonce"),     &out->nonce   },
		{STR_INIT("uri"),       &out->uri     },
		{STR_INIT("response"),  &out->response},
		{STR_INIT("cnonce"),    &out->cnonce  },
		{STR_INIT("opaque"),    &out->opaque  },
		{STR_INIT("qop"),       &out->qop     },
		{STR_INIT("nc"),        &out->nc      },
		{STR_INIT("algorithm"), &alg          },
	};
	if (!take_scheme(value, &out->scheme, &rest))
		return ERR_SYNTAX;
	if (!str_ieq(out->scheme, STR("Digest")))
		return ERR_UNSUPPORTED;
	enum err e = read_params(rest, fields, sizeof(fields) / sizeof(fields[0]));
	if (e != OK)
		return e;
	if (!out->username.p || !out->realm.p || !out->nonce.p || !out->uri.p || !out->response.p)
		return ERR_SYNTAX;
	out->has_alg = alg.p != NULL;
	out->is_known_alg = find_alg(alg, &out->alg, &is_sess) && !is_sess;
	return OK;
}

bool sip_credentials_for(const struct sip_msg *m, enum sip_hdr_id id, struct str realm,
			 struct sip_credentials *out)
{
	struct sip_iter it = {0, 0};
	struct str v;
	while (sip_each(m, id, &it, &v))
		if (sip_credentials_parse(v, out) == OK && str_eq(out->realm, realm))
			return true;
	return false;
}

/* ---- arithmetic ---- */

struct str sip_ha1(enum md_alg alg, struct str user, struct str realm, struct str password,
		   char out[SIP_HA1_MAX])
{
	const struct str parts[] = {user, realm, password};
	return md_hex_joined(alg, parts, 3, out);
}

struct str sip_digest_response(const struct sip_credentials *c, struct str ha1, struct str method,
			       struct str body, char out[SIP_HA1_MAX])
{
	char ha2_text[SIP_HA1_MAX], body_text[SIP_HA1_MAX];
	struct str a2[3] = {method, c->uri, STR_NONE};
	bool is_int = str_ieq(c->qop, STR("auth-int"));
	if (is_int)
		a2[2] = md_hex_joined(c->alg, &body, 1, body_text);
	struct str ha2 = md_hex_joined(c->alg, a2, is_int ? 3 : 2, ha2_text);
	if (!c->qop.n) {
		const struct str parts[] = {ha1, c->nonce, ha2};
		return md_hex_joined(c->alg, parts, 3, out);
	}
	const struct str parts[] = {ha1, c->nonce, c->nc, c->cnonce, c->qop, ha2};
	return md_hex_joined(c->alg, parts, 6, out);
}

static void put_quoted(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_chr(b, '\\');
		buf_chr(b, s.p[i]);
	}
}

void sip_credentials_put(struct buf *b, const struct sip_challenge *ch, struct str user,
			 struct str password, struct str method, struct str uri, struct str cnonce,
			 uint32_t nc)
{
	char ha1_text[SIP_HA1_MAX], response[SIP_HA1_MAX], nc_text[16], name_text[256];
	struct buf nb, qb;
	buf_init_fixed(&nb, nc_text, sizeof(nc_text));
	buf_fmt(&nb, "%08x", nc);
	buf_init_fixed(&qb, name_text, sizeof(name_text));
	put_quoted(&qb, user);
	if (qb.err != OK && b->err == OK)
		b->err = ERR_LIMIT;
	struct sip_credentials c = {
		.username = buf_view(&qb),
		.realm = ch->realm,
		.nonce = ch->nonce,
		.uri = uri,
		.cnonce = cnonce,
		.qop = ch->qop_auth ? STR("auth") : STR_NONE,
		.nc = buf_view(&nb),
		.alg = ch->alg,
	};
	struct str ha1 = sip_ha1(ch->alg, c.username, ch->realm, password, ha1_text);
	struct str r = sip_digest_response(&c, ha1, method, STR_NONE, response);
	put_field(b, "Digest username", c.username);
	put_field(b, ", realm", c.realm);
	put_field(b, ", nonce", c.nonce);
	put_field(b, ", uri", uri);
	put_field(b, ", response", r);
	buf_str(b, STR(", algorithm="));
	buf_str(b, alg_names[ch->alg]);
	if (c.qop.n) {
		put_field(b, ", cnonce", cnonce);
		buf_str(b, STR(", qop=auth, nc="));
		buf_str(b, c.nc);
	}
	if (ch->opaque.p)
		put_field(b, ", opaque", ch->opaque);
}
