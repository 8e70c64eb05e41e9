/* What a message must have, and what it must not, whatever its values say: the findings of the
 * index pass under the lint's own names and severities, then presence by method.
 *
 * A response copies Via, From, To, Call-ID and CSeq from the request, so what is wrong with those
 * is not held against the one that answers. A frame that the capture holds only in part says
 * nothing about its body.
 *
 * [RFC3261 7, 8.1, 9.1, 10.2, 13.2.1, 18.1.1, 20] [RFC3428] [RFC5626 4.2]
 */
#include "base/assert.h"
#include "lint/lint_priv.h"

#define UDP_MAX 1'300u /* [RFC3261 18.1.1] */

static const uint16_t diag_rules[SIP_DIAG__N] = {
	[SIP_DIAG_BARE_LF] = LINT_BARE_LF,
	[SIP_DIAG_BARE_CR] = LINT_BARE_CR,
	[SIP_DIAG_NO_EMPTY_LINE] = LINT_NO_EMPTY_LINE,
	[SIP_DIAG_BODY_SHORT] = LINT_BODY_SHORT,
	[SIP_DIAG_BODY_EXTRA] = LINT_BODY_EXTRA,
	[SIP_DIAG_NO_CONTENT_LENGTH] = LINT_NO_LENGTH_STREAM,
	[SIP_DIAG_START_SPACE] = LINT_START_SPACE,
	[SIP_DIAG_START_TAIL] = LINT_START_TAIL,
	[SIP_DIAG_METHOD_BAD] = LINT_METHOD_BAD,
	[SIP_DIAG_RURI_BAD] = LINT_RURI_BAD,
	[SIP_DIAG_RURI_SPACE] = LINT_RURI_SPACE,
	[SIP_DIAG_RURI_BRACKETS] = LINT_RURI_BRACKETS,
	[SIP_DIAG_RURI_HEADERS] = LINT_RURI_HEADERS,
	[SIP_DIAG_RURI_SCHEME] = LINT_RURI_SCHEME,
	[SIP_DIAG_VERSION] = LINT_VERSION_BAD,
	[SIP_DIAG_STATUS_SPACE] = LINT_STATUS_SPACE,
	[SIP_DIAG_REASON_SPACE] = LINT_REASON_SPACE,
	[SIP_DIAG_HDR_NO_COLON] = LINT_HDR_NO_COLON,
	[SIP_DIAG_HDR_NAME] = LINT_HDR_NAME,
	[SIP_DIAG_HDR_FOLD_FIRST] = LINT_HDR_FOLD_FIRST,
	[SIP_DIAG_HDR_TWICE] = LINT_HDR_TWICE,
	[SIP_DIAG_HDR_AGAIN] = LINT_HDR_TWICE,
	[SIP_DIAG_HDR_NUL] = LINT_HDR_NUL,
	[SIP_DIAG_NO_VIA] = LINT_NO_VIA,
	[SIP_DIAG_NO_FROM] = LINT_NO_FROM,
	[SIP_DIAG_NO_TO] = LINT_NO_TO,
	[SIP_DIAG_NO_CALL_ID] = LINT_NO_CALL_ID,
	[SIP_DIAG_NO_CSEQ] = LINT_NO_CSEQ,
	[SIP_DIAG_NO_MAX_FORWARDS] = LINT_NO_MAX_FORWARDS,
	[SIP_DIAG_NO_FROM_TAG] = LINT_NO_FROM_TAG,
	[SIP_DIAG_VIA_BAD] = LINT_VIA_BAD,
	[SIP_DIAG_VIA_BRANCH] = LINT_VIA_COOKIE,
	[SIP_DIAG_FROM_BAD] = LINT_FROM_BAD,
	[SIP_DIAG_TO_BAD] = LINT_TO_BAD,
	[SIP_DIAG_DISPLAY_QUOTES] = LINT_DISPLAY_QUOTES,
	[SIP_DIAG_DISPLAY_NAME] = LINT_DISPLAY_QUOTES,
	[SIP_DIAG_CALL_ID_BAD] = LINT_CALL_ID_BAD,
	[SIP_DIAG_CSEQ_BAD] = LINT_CSEQ_BAD,
	[SIP_DIAG_CSEQ_RANGE] = LINT_CSEQ_RANGE,
	[SIP_DIAG_CSEQ_HIGH] = LINT_CSEQ_RANGE,
	[SIP_DIAG_CSEQ_METHOD] = LINT_CSEQ_METHOD,
	[SIP_DIAG_CSEQ_METHOD_UNKNOWN] = LINT_CSEQ_METHOD,
	[SIP_DIAG_MAX_FORWARDS_BAD] = LINT_MAX_FORWARDS_BAD,
	[SIP_DIAG_CONTENT_LENGTH_BAD] = LINT_CONTENT_LENGTH_BAD,
};

static bool is_copied(enum sip_hdr_id id)
{
	return id == SIP_HDR_VIA || id == SIP_HDR_FROM || id == SIP_HDR_TO ||
	       id == SIP_HDR_CALL_ID || id == SIP_HDR_CSEQ;
}

static bool is_excused(const struct lint_at *a, const struct sip_diag *d)
{
	const struct sip_msg *m = a->m;
	if (a->p->is_cut && (d->code == SIP_DIAG_BODY_SHORT || d->code == SIP_DIAG_NO_EMPTY_LINE))
		return true;
	if (m->is_request)
		return false;
	if (d->code == SIP_DIAG_NO_FROM_TAG || d->code == SIP_DIAG_VIA_BRANCH)
		return true;
	return d->hdr != SIP_ROW_NONE && is_copied((enum sip_hdr_id)sip_row(m, d->hdr)->id);
}

void lint_check_diags(struct lint_at *a)
{
	for (unsigned i = 0; i < a->m->n_diags; i++) {
		const struct sip_diag *d = &a->m->diags[i];
		if (diag_rules[d->code] && !is_excused(a, d))
			lint_hit(a, (enum lint_rule)diag_rules[d->code],
				 str_of(a->m->bytes + d->off, 0));
	}
}

/* --- body ------------------------------------------------------------------------------------- */

static void check_body(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	bool has_type = sip_has(m, SIP_HDR_CONTENT_TYPE);
	struct str type = sip_value(m, SIP_HDR_CONTENT_TYPE);
	struct sip_media_type mt;
	if (m->body.n && !has_type)
		lint_hit(a, LINT_CONTENT_TYPE_MISSING, m->body);
	if (!m->body.n && has_type && !a->p->is_cut)
		lint_hit(a, LINT_CONTENT_TYPE_EMPTY, type);
	bool is_stream = a->p->transport == TRK_TCP || a->p->transport == TRK_TLS;
	if (!is_stream && !sip_has(m, SIP_HDR_CONTENT_LENGTH))
		lint_hit(a, LINT_CONTENT_LENGTH_MISSING, STR_NONE);
	if (m->body.n && has_type && sip_media_type_parse(type, &mt) == OK &&
	    str_ieq(mt.type, STR("multipart")) && !sip_param(mt.params, STR("boundary"), NULL))
		lint_hit(a, LINT_BOUNDARY, type);
}

/* --- headers of the wrong kind -----------------------------------------------------------------
 */

static void check_category(struct lint_at *a)
{
	static const enum sip_hdr_id in_request[] = {
		SIP_HDR_MAX_FORWARDS,        SIP_HDR_ROUTE,         SIP_HDR_AUTHORIZATION,
		SIP_HDR_PROXY_AUTHORIZATION, SIP_HDR_PROXY_REQUIRE, SIP_HDR_PRIORITY};
	static const enum sip_hdr_id in_response[] = {
		SIP_HDR_WWW_AUTHENTICATE, SIP_HDR_PROXY_AUTHENTICATE, SIP_HDR_AUTHENTICATION_INFO,
		SIP_HDR_UNSUPPORTED,      SIP_HDR_MIN_EXPIRES,        SIP_HDR_SERVER};
	const enum sip_hdr_id *ids = a->m->is_request ? in_response : in_request;
	for (unsigned i = 0; i < ARRAY_LEN(in_request); i++)
		if (sip_has(a->m, ids[i]))
			lint_hit(a, LINT_CATEGORY, sip_value(a->m, ids[i]));
}

/* --- requests by method ------------------------------------------------------------------------
 */

static void check_allow(struct lint_at *a)
{
	static const struct str must[] = {STR_INIT("INVITE"), STR_INIT("ACK"), STR_INIT("BYE"),
					  STR_INIT("CANCEL")};
	struct sip_iter it = {0, 0};
	struct str v;
	unsigned missing = (1u << ARRAY_LEN(must)) - 1;
	if (!sip_has(a->m, SIP_HDR_ALLOW))
		return;
	while (sip_each(a->m, SIP_HDR_ALLOW, &it, &v))
		for (unsigned i = 0; i < ARRAY_LEN(must); i++)
			if (str_ieq(v, must[i]))
				missing &= ~(1u << i);
	for (unsigned i = 0; i < ARRAY_LEN(must); i++)
		if (missing & 1u << i)
			lint_hit_fmt(a, LINT_ALLOW_PART, sip_value(a->m, SIP_HDR_ALLOW),
				     STR_FMT " is missing", STR_ARG(must[i]));
}

static void check_invite(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	if (a->is_passed || (!m->is_request && !a->is_2xx))
		return;
	check_allow(a);
	if (!m->is_request || m->to_tag.n)
		return;
	if (!sip_has(m, SIP_HDR_ALLOW))
		lint_hit(a, LINT_INVITE_ALLOW, STR_NONE);
	if (!sip_has(m, SIP_HDR_SUPPORTED))
		lint_hit(a, LINT_INVITE_SUPPORTED, STR_NONE);
}

/* Contact of requests that make a dialog: exactly one, with a SIP or SIPS URI. */
static void check_dialog_contact(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	unsigned n = sip_count(m, SIP_HDR_CONTACT);
	struct sip_addr k;
	struct sip_uri ruri;
	struct str value = lint_at_hdr(a, SIP_HDR_CONTACT);
	if (!n) {
		lint_hit(a, LINT_CONTACT_MISSING, STR_NONE);
		return;
	}
	if (n > 1)
		lint_hit(a, LINT_CONTACT_MANY, value);
	struct sip_iter it = {0, 0};
	if (!sip_each(m, SIP_HDR_CONTACT, &it, &value) || sip_addr_parse(value, &k) != OK)
		return;
	if (k.is_star || (k.uri_err == OK && k.uri.scheme == SIP_URI_TEL) ||
	    k.uri_err == ERR_UNSUPPORTED)
		lint_hit(a, LINT_CONTACT_SCHEME, value);
	if (k.uri_err == OK && k.uri.scheme == SIP_URI_SIP && a->n_vias == 1 &&
	    sip_uri_parse(m->ruri, &ruri) == OK && ruri.scheme == SIP_URI_SIPS)
		lint_hit(a, LINT_CONTACT_SIPS, value);
}

static void check_register_contacts(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct sip_iter it = {0, 0};
	struct sip_addr k;
	struct str v, id;
	uint32_t n = 0;
	unsigned n_contacts = sip_count(m, SIP_HDR_CONTACT);
	while (sip_each(m, SIP_HDR_CONTACT, &it, &v)) {
		if (sip_addr_parse(v, &k) != OK)
			continue;
		bool is_zero = sip_has(m, SIP_HDR_EXPIRES) &&
			       sip_seconds_parse(sip_value(m, SIP_HDR_EXPIRES), &n) == OK && n == 0;
		if (k.is_star && (n_contacts > 1 || !is_zero))
			lint_hit(a, LINT_REG_STAR, v);
		if (sip_param(k.params, STR("action"), NULL))
			lint_hit(a, LINT_REG_ACTION, v);
		if (!sip_param(k.params, STR("reg-id"), &id))
			continue;
		if (!str_u32(id, &n) || !n || !sip_param(k.params, STR("+sip.instance"), NULL))
			lint_hit(a, LINT_REG_ID, v);
		if (!sip_has_token(m, SIP_HDR_SUPPORTED, STR("outbound")))
			lint_hit(a, LINT_OUTBOUND, v);
	}
}

static void check_register(struct lint_at *a)
{
	struct sip_uri u;
	if (sip_uri_parse(a->m->ruri, &u) == OK && u.has_user)
		lint_hit(a, LINT_REG_USER, a->m->ruri);
	if (sip_has(a->m, SIP_HDR_RECORD_ROUTE))
		lint_hit(a, LINT_REG_ROUTED, sip_value(a->m, SIP_HDR_RECORD_ROUTE));
	check_register_contacts(a);
}

static void check_method(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	bool has_contact = sip_has(m, SIP_HDR_CONTACT);
	switch (a->method) {
	case SIP_INVITE:
	case SIP_SUBSCRIBE:
	case SIP_REFER:
		check_dialog_contact(a);
		break;
	case SIP_UPDATE:
	case SIP_NOTIFY:
		if (!has_contact)
			lint_hit(a, LINT_CONTACT_REFRESH, STR_NONE);
		break;
	case SIP_REGISTER:
		check_register(a);
		break;
	case SIP_MESSAGE:
		if (has_contact)
			lint_hit(a, LINT_CONTACT_MESSAGE, sip_value(m, SIP_HDR_CONTACT));
		break;
	case SIP_CANCEL:
		if (sip_has(m, SIP_HDR_REQUIRE) || sip_has(m, SIP_HDR_PROXY_REQUIRE))
			lint_hit(a, LINT_CANCEL_REQUIRE, lint_at_hdr(a, SIP_HDR_REQUIRE));
		[[fallthrough]];
	case SIP_BYE:
		if (has_contact)
			lint_hit(a, LINT_CONTACT_BYE, sip_value(m, SIP_HDR_CONTACT));
		break;
	default:
		break;
	}
}

static void check_request(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	bool in_dialog = a->method == SIP_BYE || a->method == SIP_PRACK ||
			 a->method == SIP_UPDATE || a->method == SIP_INFO;
	check_method(a);
	if (in_dialog && !m->to_tag.n && sip_has(m, SIP_HDR_TO))
		lint_hit(a, LINT_IN_DIALOG_TAG, sip_value(m, SIP_HDR_TO));
	if ((a->method == SIP_REGISTER || a->method == SIP_PUBLISH) && m->to_tag.n)
		lint_hit(a, LINT_REG_TO_TAG, sip_value(m, SIP_HDR_TO));
	if (m->has_max_forwards && m->max_forwards > 70 && a->n_vias == 1)
		lint_hit(a, LINT_MF_HIGH, sip_value(m, SIP_HDR_MAX_FORWARDS));
	if (a->method != SIP_INVITE && sip_has(m, SIP_HDR_REPLACES))
		lint_hit(a, LINT_REPLACES_WHERE, sip_value(m, SIP_HDR_REPLACES));
	/* on loopback the path MTU is known, and large */
	bool is_local = addr_is_loopback(&a->p->from) && addr_is_loopback(&a->p->to);
	if (a->p->transport == TRK_UDP && m->n_bytes > UDP_MAX && !is_local)
		lint_hit_fmt(a, LINT_UDP_SIZE, STR_NONE, "%u bytes", m->n_bytes);
}

void lint_check_message(struct lint_at *a)
{
	check_body(a);
	check_category(a);
	if (a->method == SIP_INVITE)
		check_invite(a);
	if (a->m->is_request)
		check_request(a);
}
