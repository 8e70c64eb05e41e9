/* The grammar of header values: each header that there is a parser for is read, and what cannot be
 * read is reported. One walk over the rows; which check a header gets stands in one table.
 *
 * Values that a response or a proxy copies are judged in the request alone. A lower Via, and what
 * a Record-Route says, are their proxies' own affair: only the topmost one is the sender's.
 *
 * [RFC3261 7.3.1, 19.1.1, 20, 25.1] [RFC3262 7] [RFC3326] [RFC3325 9.1] [RFC3891] [RFC3966 5.1.5]
 * [RFC4028] [RFC6665 8.2] [RFC7989 5]
 */
#include "base/assert.h"
#include "lint/lint_priv.h"
#include "sip/chars.h"

#include <string.h>

/* --- URIs ---------------------------------------------------------------------------------------
 */

static void check_uri(struct lint_at *a, const struct sip_uri *u)
{
	struct str v;
	if (u->password.p)
		lint_hit(a, LINT_URI_PASSWORD, u->all);
	if (u->scheme == SIP_URI_SIPS && sip_param(u->params, STR("transport"), &v) &&
	    str_ieq(v, STR("udp")))
		lint_hit(a, LINT_SIPS_UDP, u->all);
	if (u->scheme == SIP_URI_TEL && u->user.n && u->user.p[0] != '+' &&
	    !sip_param(u->params, STR("phone-context"), NULL))
		lint_hit(a, LINT_TEL_LOCAL, u->all);
}

/* Parameters of a URI that stand where only those of a header can be. */
static bool has_uri_params(struct str params)
{
	static const struct str names[] = {STR_INIT("transport"), STR_INIT("lr"), STR_INIT("user"),
					   STR_INIT("maddr"), STR_INIT("ob")};
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (sip_param(params, names[i], NULL))
			return true;
	return false;
}

static bool has_twice(struct str params)
{
	struct str names[12], name, v;
	unsigned n = 0;
	while (n < ARRAY_LEN(names) && sip_param_next(&params, &name, &v)) {
		for (unsigned i = 0; i < n; i++)
			if (str_ieq(names[i], name))
				return true;
		names[n++] = name;
	}
	return false;
}

/* One value of the form name-addr or addr-spec. */
static bool check_addr(struct lint_at *a, struct str v, enum lint_rule bad, struct sip_addr *k)
{
	if (sip_addr_parse(v, k) != OK || (k->uri_err == ERR_SYNTAX && !k->is_star)) {
		lint_hit(a, bad, v);
		return false;
	}
	if (k->is_star)
		return true;
	if (!k->has_brackets &&
	    ((k->uri_err == OK && k->uri.headers.n) || has_uri_params(k->params)))
		lint_hit(a, LINT_URI_UNBRACKETED, v);
	if (k->params.n && has_twice(k->params))
		lint_hit(a, LINT_PARAM_TWICE, v);
	if (k->uri_err == OK)
		check_uri(a, &k->uri);
	return true;
}

static void check_contact(struct lint_at *a, struct str v)
{
	struct sip_addr k;
	struct str p;
	uint32_t n;
	uint16_t q;
	if (!check_addr(a, v, LINT_CONTACT_BAD, &k))
		return;
	if (sip_param(k.params, STR("expires"), &p) && sip_seconds_parse(p, &n) != OK)
		lint_hit(a, LINT_EXPIRES_BAD, v);
	if (sip_param(k.params, STR("q"), &p) && !sip_q_parse(p, &q))
		lint_hit(a, LINT_Q_BAD, v);
}

static void check_any_addr(struct lint_at *a, struct str v)
{
	struct sip_addr k;
	(void)check_addr(a, v, LINT_ADDR_BAD, &k);
}

/* From and To: the index pass has read their shape. */
static void check_party(struct lint_at *a, struct str v)
{
	struct sip_addr k;
	if (!a->m->is_request || sip_addr_parse(v, &k) != OK)
		return;
	if (!k.has_brackets && k.uri_err == OK && k.uri.headers.n)
		lint_hit(a, LINT_URI_UNBRACKETED, v);
	if (has_twice(k.params))
		lint_hit(a, LINT_PARAM_TWICE, v);
	if (k.uri_err == OK)
		check_uri(a, &k.uri);
}

static void check_route(struct lint_at *a, struct str v)
{
	struct sip_addr k;
	if (!a->m->is_request)
		return;
	if (sip_addr_parse(v, &k) != OK || k.uri_err == ERR_SYNTAX || !k.has_brackets)
		lint_hit(a, LINT_ROUTE_BAD, v);
}

static void check_via(struct lint_at *a, struct str v)
{
	static const char *const names[] = {[TRK_UDP] = "UDP",
					    [TRK_TCP] = "TCP",
					    [TRK_TLS] = "TCP",
					    [TRK_WS] = "WS",
					    [TRK_WSS] = "WS"};
	struct sip_via via;
	if (!a->m->is_request)
		return;
	if (sip_via_parse(v, &via) != OK) {
		lint_hit(a, LINT_VIA_BAD, v);
		return;
	}
	if (str_ends(v, STR(";")))
		lint_hit(a, LINT_VIA_SEMICOLON, v);
	if (v.p != a->m->via.p)
		return;
	if (!str_istarts(via.proto, STR("SIP")) || !str_ends(via.proto, STR("2.0")))
		lint_hit(a, LINT_VIA_PROTOCOL, v);
	if (has_twice(via.params))
		lint_hit(a, LINT_PARAM_TWICE, v);
	/* TLS may have been taken off on the way to where we look */
	struct str t = via.transport;
	t = str_ieq(t, STR("TLS")) ? STR("TCP") : str_ieq(t, STR("WSS")) ? STR("WS") : t;
	if (!str_ieq(t, str_c(names[a->p->transport])))
		lint_hit_fmt(a, LINT_VIA_TRANSPORT, v, "it came over " STR_FMT,
			     STR_ARG(trk_transport_name(a->p->transport)));
}

/* --- other values --------------------------------------------------------------------------------
 */

static void check_seconds(struct lint_at *a, struct str v)
{
	uint32_t n;
	if (sip_seconds_parse(v, &n) != OK)
		lint_hit(a, LINT_EXPIRES_BAD, v);
}

static void check_type(struct lint_at *a, struct str v)
{
	struct sip_media_type t;
	if (sip_media_type_parse(v, &t) != OK)
		lint_hit(a, LINT_CONTENT_TYPE_BAD, v);
}

/* An empty Accept is allowed: nothing is. */
static void check_accept(struct lint_at *a, struct str v)
{
	struct sip_media_type t;
	if (v.n && sip_media_type_parse(v, &t) != OK)
		lint_hit(a, LINT_ACCEPT_BAD, v);
}

/* "Sat, 13 Nov 2010 23:29:00 GMT": letters and digits in their places. [RFC3261 20.17] */
static void check_date(struct lint_at *a, struct str v)
{
	static const char days[] = "MonTueWedThuFriSatSun";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char shape[] = "aaa, dd aaa dddd dd:dd:dd GMT";
	bool is_good = v.n == sizeof shape - 1;
	for (size_t i = 0; is_good && i < v.n; i++)
		is_good = shape[i] == 'a'   ? cc_is(v.p[i], CC_ALPHA)
			  : shape[i] == 'd' ? cc_is(v.p[i], CC_DIGIT)
					    : v.p[i] == shape[i];
	if (is_good) {
		size_t day = str_find(str_c(days), str_sub(v, 0, 3));
		size_t month = str_find(str_c(months), str_sub(v, 8, 3));
		is_good = day != SIZE_MAX && day % 3 == 0 && month != SIZE_MAX && month % 3 == 0;
	}
	if (!is_good)
		lint_hit(a, LINT_DATE_BAD, v);
}

static bool is_decimal(struct str s)
{
	struct str frac, whole = str_cut(s, '.', &frac);
	return (whole.n || frac.n) && (!whole.n || cc_all(whole, CC_DIGIT)) &&
	       (!frac.n || cc_all(frac, CC_DIGIT));
}

static void check_timestamp(struct lint_at *a, struct str v)
{
	struct str delay, time = str_cut(v, ' ', &delay);
	delay = str_trim(delay);
	if (!is_decimal(str_trim(time)) || (delay.n && !is_decimal(delay)))
		lint_hit(a, LINT_TIMESTAMP_BAD, v);
}

static void check_token(struct lint_at *a, struct str v)
{
	if (v.n && !cc_all(v, CC_TOKEN))
		lint_hit(a, LINT_TOKENS_BAD, v);
}

static void check_event(struct lint_at *a, struct str v)
{
	struct sip_event e;
	if (sip_event_parse(v, &e) != OK)
		lint_hit(a, LINT_EVENT_BAD, v);
}

static void check_sub_state(struct lint_at *a, struct str v)
{
	struct sip_sub_state s;
	if (sip_sub_state_parse(v, &s) != OK)
		lint_hit(a, LINT_SUB_STATE_BAD, v);
}

static void check_rack(struct lint_at *a, struct str v)
{
	struct sip_rack r;
	if (sip_rack_parse(v, &r) != OK)
		lint_hit(a, LINT_RACK_BAD, v);
}

static void check_rseq(struct lint_at *a, struct str v)
{
	uint32_t n;
	if (!str_u32(v, &n) || n == 0)
		lint_hit(a, LINT_RSEQ_BAD, v);
}

static void check_session(struct lint_at *a, struct str v)
{
	struct sip_session_expires s;
	if (sip_session_expires_parse(v, &s) != OK)
		lint_hit(a, LINT_SE_BAD, v);
}

static void check_reason(struct lint_at *a, struct str v)
{
	struct sip_reason r;
	if (sip_reason_parse(v, &r) != OK)
		lint_hit(a, LINT_REASON_BAD, v);
	else if (sip_reason_is_again(a->m, v))
		lint_hit(a, LINT_REASON_TWICE, v);
}

static void check_warning(struct lint_at *a, struct str v)
{
	struct sip_warning w;
	if (sip_warning_parse(v, &w) != OK)
		lint_hit(a, LINT_WARNING_BAD, v);
}

static void check_retry(struct lint_at *a, struct str v)
{
	struct sip_retry_after r;
	if (sip_retry_after_parse(v, &r) != OK)
		lint_hit(a, LINT_RETRY_AFTER_BAD, v);
}

static void check_replaces(struct lint_at *a, struct str v)
{
	struct sip_replaces r;
	if (sip_replaces_parse(v, &r) != OK)
		lint_hit(a, LINT_REPLACES_BAD, v);
}

static void check_info_uri(struct lint_at *a, struct str v)
{
	if (!v.n || v.p[0] != '<' || str_chr(v, '>') == SIZE_MAX ||
	    str_chr(str_sub(v, 0, str_chr(v, '>')), ':') == SIZE_MAX)
		lint_hit(a, LINT_INFO_URI_BAD, v);
}

static void check_session_id(struct lint_at *a, struct str v)
{
	bool is_good = v.n == 32 || (v.n > 32 && (v.p[32] == ';' || cc_is(v.p[32], CC_WS)));
	for (unsigned i = 0; is_good && i < 32; i++)
		is_good = cc_is(v.p[i], CC_DIGIT) || (v.p[i] >= 'a' && v.p[i] <= 'f');
	if (!is_good)
		lint_hit(a, LINT_SESSION_ID_BAD, v);
}

/* --- the table -----------------------------------------------------------------------------------
 */

typedef void check_fn(struct lint_at *a, struct str value);
static check_fn *const checks[SIP_HDR__N] = {
	[SIP_HDR_VIA] = check_via,
	[SIP_HDR_FROM] = check_party,
	[SIP_HDR_TO] = check_party,
	[SIP_HDR_CONTACT] = check_contact,
	[SIP_HDR_CONTENT_TYPE] = check_type,
	[SIP_HDR_ROUTE] = check_route,
	[SIP_HDR_RECORD_ROUTE] = check_route,
	[SIP_HDR_ACCEPT] = check_accept,
	[SIP_HDR_ALLOW] = check_token,
	[SIP_HDR_ALERT_INFO] = check_info_uri,
	[SIP_HDR_CALL_INFO] = check_info_uri,
	[SIP_HDR_ERROR_INFO] = check_info_uri,
	[SIP_HDR_DATE] = check_date,
	[SIP_HDR_EXPIRES] = check_seconds,
	[SIP_HDR_MIN_EXPIRES] = check_seconds,
	[SIP_HDR_PROXY_REQUIRE] = check_token,
	[SIP_HDR_REPLY_TO] = check_any_addr,
	[SIP_HDR_REQUIRE] = check_token,
	[SIP_HDR_RETRY_AFTER] = check_retry,
	[SIP_HDR_SUPPORTED] = check_token,
	[SIP_HDR_TIMESTAMP] = check_timestamp,
	[SIP_HDR_UNSUPPORTED] = check_token,
	[SIP_HDR_WARNING] = check_warning,
	[SIP_HDR_RACK] = check_rack,
	[SIP_HDR_RSEQ] = check_rseq,
	[SIP_HDR_SESSION_EXPIRES] = check_session,
	[SIP_HDR_MIN_SE] = check_session,
	[SIP_HDR_REFER_TO] = check_any_addr,
	[SIP_HDR_REFERRED_BY] = check_any_addr,
	[SIP_HDR_REPLACES] = check_replaces,
	[SIP_HDR_JOIN] = check_replaces,
	[SIP_HDR_TARGET_DIALOG] = check_replaces,
	[SIP_HDR_EVENT] = check_event,
	[SIP_HDR_ALLOW_EVENTS] = check_token,
	[SIP_HDR_SUBSCRIPTION_STATE] = check_sub_state,
	[SIP_HDR_PATH] = check_any_addr,
	[SIP_HDR_SERVICE_ROUTE] = check_any_addr,
	[SIP_HDR_P_ASSERTED_IDENTITY] = check_any_addr,
	[SIP_HDR_P_PREFERRED_IDENTITY] = check_any_addr,
	[SIP_HDR_REASON] = check_reason,
	[SIP_HDR_DIVERSION] = check_any_addr,
	[SIP_HDR_HISTORY_INFO] = check_any_addr,
	[SIP_HDR_SESSION_ID] = check_session_id,
};

/* At most two, and then one of each kind. [RFC3325 9.1] */
static void check_identities(struct lint_at *a)
{
	struct sip_iter it = {0, 0};
	struct sip_addr k;
	struct str v;
	unsigned n = 0, n_tel = 0;
	while (sip_each(a->m, SIP_HDR_P_ASSERTED_IDENTITY, &it, &v)) {
		n++;
		if (sip_addr_parse(v, &k) == OK && k.uri_err == OK && k.uri.scheme == SIP_URI_TEL)
			n_tel++;
	}
	if (n > 2 || (n == 2 && n_tel != 1))
		lint_hit(a, LINT_PAI_MANY, sip_value(a->m, SIP_HDR_P_ASSERTED_IDENTITY));
}

static void check_header(struct lint_at *a, enum sip_hdr_id id)
{
	struct sip_iter it = {0, 0};
	struct str v;
	if (!(sip_hdr_flags(id) & SIP_HF_LIST)) {
		checks[id](a, sip_value(a->m, id));
		return;
	}
	while (sip_each(a->m, id, &it, &v))
		checks[id](a, v);
}

void lint_check_values(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct sip_uri u;
	for (unsigned i = 0; i < m->n_rows; i++) {
		enum sip_hdr_id id = (enum sip_hdr_id)sip_row(m, i)->id;
		/* what is passed on has been read; only its new Via is the sender's */
		if (m->first[id] == i && checks[id] && (!a->is_passed || id == SIP_HDR_VIA))
			check_header(a, id);
	}
	if (a->is_passed)
		return;
	if (sip_has(m, SIP_HDR_P_ASSERTED_IDENTITY))
		check_identities(a);
	if (m->is_request && sip_uri_parse(m->ruri, &u) == OK)
		check_uri(a, &u);
}
