/* Fields of SIP headers with parameters of their own: credentials and challenges, Reason,
 * Session-ID, Security-*, P-Charging-Vector and its like; and what only the tracker knows of a
 * message.
 *
 * Values are as they are written, quotes included where Wireshark keeps them.
 * [RFC3261 20.7, 20.27, 20.44] [RFC7616] [RFC3326] [RFC7989] [RFC3329] [RFC7315]
 */
#include "filter/flt_args.h"

#include "base/assert.h"
#include "sip/hdr.h"

/* One item of a list, cut at `sep` outside of quotes. */
static struct str item(struct str *rest, char sep)
{
	size_t n = 0;
	bool is_quoted = false;
	for (; n < rest->n && (is_quoted || rest->p[n] != sep); n++) {
		if (rest->p[n] == '\\' && is_quoted && n + 1 < rest->n)
			n++;
		else if (rest->p[n] == '"')
			is_quoted = !is_quoted;
	}
	struct str one = str_trim(str_sub(*rest, 0, n));
	*rest = str_skip(*rest, n + 1);
	return one;
}

static struct str unquoted(struct str s)
{
	return s.n > 1 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? str_sub(s, 1, s.n - 2) : s;
}

/* --- Digest ----------------------------------------------------------------------------------- */

static const struct str auth_names[] = {
	[AU_USERNAME] = STR_INIT("username"),
	[AU_REALM] = STR_INIT("realm"),
	[AU_NONCE] = STR_INIT("nonce"),
	[AU_URI] = STR_INIT("uri"),
	[AU_RESPONSE] = STR_INIT("response"),
	[AU_ALGORITHM] = STR_INIT("algorithm"),
	[AU_OPAQUE] = STR_INIT("opaque"),
	[AU_QOP] = STR_INIT("qop"),
	[AU_NC] = STR_INIT("nc"),
	[AU_CNONCE] = STR_INIT("cnonce"),
	[AU_DOMAIN] = STR_INIT("domain"),
	[AU_STALE] = STR_INIT("stale"),
	[AU_AUTS] = STR_INIT("auts"),
	[AU_RSPAUTH] = STR_INIT("rspauth"),
	[AU_NEXTNONCE] = STR_INIT("nextnonce"),
	[AU_IK] = STR_INIT("ik"),
	[AU_CK] = STR_INIT("ck"),
};

static void auth_line(const struct flt_field *f, struct str v, bool has_scheme, struct outlet *o)
{
	struct str value;
	if (has_scheme) {
		struct str scheme = str_cut(v, ' ', &v);
		if (f->arg == AU_SCHEME)
			put_s(o, scheme);
	}
	while (v.n && f->arg >= AU_USERNAME) {
		struct str one = item(&v, ',');
		struct str name = str_trim(str_cut(one, '=', &value));
		if (str_ieq(name, auth_names[f->arg]))
			put_s(o, str_trim(value));
	}
}

/* With its name and its line end, as sip.auth is. */
static struct str whole_line(const struct sip_msg *m, const struct sip_row *r)
{
	uint32_t end = r->val_off + (uint32_t)r->val_len;
	while (end < m->head_n && m->bytes[end] != '\n')
		end++;
	end += end < m->head_n;
	return str_of(m->bytes + r->name_off, end - r->name_off);
}

unsigned flt_get_auth(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = cap_index(fr, i);
		o.layer = flt_msg_layer(fr, i);
		for (unsigned k = 0; k < m->n_rows; k++) {
			const struct sip_row *r = sip_row(m, k);
			bool has_scheme = r->id == SIP_HDR_AUTHORIZATION ||
					  r->id == SIP_HDR_PROXY_AUTHORIZATION ||
					  r->id == SIP_HDR_WWW_AUTHENTICATE ||
					  r->id == SIP_HDR_PROXY_AUTHENTICATE;
			if (!has_scheme && r->id != SIP_HDR_AUTHENTICATION_INFO)
				continue;
			if (f->arg == AU_LINE)
				put_s(&o, whole_line(m, r));
			else
				auth_line(f, sip_row_value(m, r), has_scheme, &o);
		}
	}
	return o.n;
}

/* --- Reason ----------------------------------------------------------------------------------- */

static void reason(const struct flt_field *f, struct str v, struct outlet *o)
{
	struct str value, protocol = item(&v, ';');
	if (f->arg == RE_PROTOCOLS)
		put_s(o, protocol);
	while (v.n && f->arg != RE_PROTOCOLS) {
		struct str name = str_trim(str_cut(item(&v, ';'), '=', &value));
		uint64_t cause;
		if (f->arg == RE_TEXT) {
			if (str_ieq(name, STR("text")))
				put_s(o, unquoted(str_trim(value)));
			continue;
		}
		unsigned kind = str_ieq(protocol, STR("Q.850")) ? RE_Q850
				: str_ieq(protocol, STR("SIP")) ? RE_SIP
								: RE_OTHER;
		if (str_ieq(name, STR("cause")) && kind == f->arg &&
		    str_u64(str_trim(value), &cause))
			put_u(o, cause);
	}
}

unsigned flt_get_reason(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		struct sip_iter it = {0};
		struct str v;
		o.layer = flt_msg_layer(fr, i);
		while (sip_each(cap_index(fr, i), SIP_HDR_REASON, &it, &v))
			reason(f, v, &o);
	}
	return o.n;
}

/* --- parameters of other headers -------------------------------------------------------------- */

static const struct {
	enum sip_hdr_id id;
	struct str name;
} params[] = {
	[VA_ICID] = {SIP_HDR_P_CHARGING_VECTOR,     STR_INIT("icid-value")        },
	[VA_ICID_ADDR] = {SIP_HDR_P_CHARGING_VECTOR,     STR_INIT("icid-generated-at") },
	[VA_ACCESS] = {SIP_HDR_P_ACCESS_NETWORK_INFO, STR_INIT("")                  },
	[VA_CELL] = {SIP_HDR_P_ACCESS_NETWORK_INFO, STR_INIT("utran-cell-id-3gpp")},
	[VA_FEATURE] = {SIP_HDR_FEATURE_CAPS,          STR_INIT("")                  },
};

/* The parameter of that name, or without one the value before them (of Feature-Caps, "*", each
 * parameter). */
static void param_of(const struct flt_field *f, struct str v, struct outlet *o)
{
	struct str value, want = params[f->arg].name, first = item(&v, ';');
	if (f->arg == VA_ACCESS)
		put_s(o, first);
	if (f->arg == VA_ICID || f->arg == VA_ICID_ADDR) { /* parameters only */
		v.n += (size_t)(v.p - first.p);
		v.p = first.p;
	}
	while (v.n && f->arg != VA_ACCESS) {
		struct str one = item(&v, ';'), name = str_trim(str_cut(one, '=', &value));
		if (f->arg == VA_FEATURE && one.n)
			put_s(o, one);
		else if (want.n && str_ieq(name, want))
			put_s(o, f->arg == VA_CELL ? unquoted(str_trim(value)) : str_trim(value));
	}
}

unsigned flt_get_value(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = cap_index(fr, i);
		o.layer = flt_msg_layer(fr, i);
		for (unsigned row = m->first[params[f->arg].id]; row != SIP_ROW_NONE;
		     row = sip_row(m, row)->next)
			param_of(f, sip_row_value(m, sip_row(m, row)), &o);
	}
	return o.n;
}

static bool is_uuid(struct str s)
{
	size_t n = 0;
	for (; n < s.n; n++) {
		char c = (char)(s.p[n] | 0x20);
		if (!(s.p[n] >= '0' && s.p[n] <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
	}
	return n == 32;
}

/* "local;remote=...", then ";logme" or other parameters; without a remote end all that follows is
 * one value. [RFC7989 5] [RFC8497 4.3] */
static void session(const struct flt_field *f, struct str v, struct outlet *o)
{
	struct str remote, id = item(&v, ';'), rest = v, one = item(&rest, ';');
	bool has_remote = str_ieq(str_trim(str_cut(one, '=', &remote)), STR("remote"));
	bool is_pair = has_remote && is_uuid(id) && is_uuid(str_trim(remote));
	bool is_logme = is_pair && str_starts(rest, STR("logme"));
	if (f->arg == SE_LOCAL && id.n)
		put_s(o, id);
	else if (f->arg == SE_REMOTE && has_remote)
		put_s(o, str_trim(remote));
	else if (f->arg == SE_LOGME && is_logme)
		put_u(o, 1);
	else if (f->arg == SE_PARAM && !is_logme && (is_pair ? rest : v).n)
		put_s(o, is_pair ? rest : v);
}

unsigned flt_get_session(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		o.layer = flt_msg_layer(fr, i);
		session(f, sip_value(cap_index(fr, i), SIP_HDR_SESSION_ID), &o);
	}
	return o.n;
}

/* Security-Client, -Server, -Verify [RFC3329 2.2]. */
static void security(const struct flt_field *f, struct str v, struct outlet *o)
{
	static const struct str names[] = {
		[SC_ALG] = STR_INIT("alg"),       [SC_EALG] = STR_INIT("ealg"),
		[SC_PROT] = STR_INIT("prot"),     [SC_SPI_C] = STR_INIT("spi-c"),
		[SC_SPI_S] = STR_INIT("spi-s"),   [SC_PORT1] = STR_INIT("port1"),
		[SC_PORT_C] = STR_INIT("port-c"), [SC_PORT2] = STR_INIT("port2"),
		[SC_PORT_S] = STR_INIT("port-s"),
	};
	struct str value, mechanism = item(&v, ';');
	if (f->arg == SC_MECHANISM)
		put_s(o, mechanism);
	while (v.n && f->arg != SC_MECHANISM) {
		struct str name = str_trim(str_cut(item(&v, ';'), '=', &value));
		uint64_t u;
		if (!str_ieq(name, names[f->arg]))
			continue;
		if (f->type == FLT_STR)
			put_s(o, str_trim(value));
		else if (str_u64(str_trim(value), &u))
			put_u(o, u);
	}
}

unsigned flt_get_sec(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	static const enum sip_hdr_id ids[] = {SIP_HDR_SECURITY_CLIENT, SIP_HDR_SECURITY_SERVER,
					      SIP_HDR_SECURITY_VERIFY};
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		o.layer = flt_msg_layer(fr, i);
		for (unsigned k = 0; k < ARRAY_LEN(ids); k++) {
			struct sip_iter it = {0};
			struct str v;
			while (sip_each(cap_index(fr, i), ids[k], &it, &v))
				security(f, v, &o);
		}
	}
	return o.n;
}
