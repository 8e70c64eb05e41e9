/* What a response must have by its status, what events, transfers and publications must carry, and
 * the numbers of reliable provisional responses and session timers that show in one message alone.
 *
 * [RFC3261 8.2, 10.3, 13.3.1, 20, 21, 22] [RFC4320] [RFC6665 3, 4, 8] [RFC3515 2.4] [RFC3903 6]
 * [RFC3428 7] [RFC3262 3, 7] [RFC4028 4, 5, 7, 9]
 */
#include "base/assert.h"
#include "lint/lint_priv.h"

#define MIN_TIMER_S 90u        /* [RFC4028 4] */
#define JUST_NOW_US 400'000ull /* a client that lost nothing has not resent yet */

static bool has(const struct lint_at *a, enum sip_hdr_id id)
{
	return sip_has(a->m, id);
}

static void need(struct lint_at *a, enum lint_rule r, bool has_it)
{
	if (!has_it)
		lint_hit(a, r, STR_NONE);
}

/* --- responses -------------------------------------------------------------------------------- */

static void check_by_status(struct lint_at *a)
{
	bool is_invite = a->method == SIP_INVITE;
	switch (a->m->status) {
	case 300:
	case 301:
	case 302:
		need(a, LINT_CONTACT_3XX, !is_invite || has(a, SIP_HDR_CONTACT));
		break;
	case 401:
		need(a, LINT_CHALLENGE_401, has(a, SIP_HDR_WWW_AUTHENTICATE));
		break;
	case 405:
		need(a, LINT_ALLOW_405, has(a, SIP_HDR_ALLOW));
		break;
	case 407:
		need(a, LINT_CHALLENGE_407, has(a, SIP_HDR_PROXY_AUTHENTICATE));
		break;
	case 415:
		need(a, LINT_ACCEPT_415,
		     has(a, SIP_HDR_ACCEPT) || has(a, SIP_HDR_ACCEPT_ENCODING) ||
			     has(a, SIP_HDR_ACCEPT_LANGUAGE));
		break;
	case 420:
		need(a, LINT_UNSUPPORTED_420, has(a, SIP_HDR_UNSUPPORTED));
		break;
	case 421:
		need(a, LINT_REQUIRE_421, has(a, SIP_HDR_REQUIRE));
		break;
	case 422:
		need(a, LINT_MIN_SE_422, has(a, SIP_HDR_MIN_SE));
		break;
	case 423:
		need(a, LINT_MIN_EXPIRES_423, has(a, SIP_HDR_MIN_EXPIRES));
		break;
	case 488:
		need(a, LINT_WARNING_488, !is_invite || has(a, SIP_HDR_WARNING));
		break;
	default:
		break;
	}
}

static void check_register_ok(struct lint_at *a)
{
	struct sip_iter it = {0, 0};
	struct sip_addr k;
	struct str v;
	while (sip_each(a->m, SIP_HDR_CONTACT, &it, &v))
		if (sip_addr_parse(v, &k) == OK && !k.is_star &&
		    !sip_param(k.params, STR("expires"), NULL))
			lint_hit(a, LINT_REG_OK_EXPIRES, v);
	need(a, LINT_REG_OK_DATE, has(a, SIP_HDR_DATE));
	bool is_known = a->tsx && a->tsx->has_contact_expiry;
	need(a, LINT_REG_OK_CONTACT, !is_known || has(a, SIP_HDR_CONTACT));
}

static void check_ok(struct lint_at *a)
{
	switch (a->method) {
	case SIP_INVITE:
		need(a, LINT_CONTACT_2XX, has(a, SIP_HDR_CONTACT));
		if (a->tsx && !a->tsx->has_to_tag) {
			need(a, LINT_OK_ALLOW, has(a, SIP_HDR_ALLOW));
			need(a, LINT_OK_SUPPORTED, has(a, SIP_HDR_SUPPORTED));
		}
		break;
	case SIP_SUBSCRIBE:
		need(a, LINT_CONTACT_2XX, has(a, SIP_HDR_CONTACT));
		need(a, LINT_SUB_OK_EXPIRES, has(a, SIP_HDR_EXPIRES));
		if (a->m->status == 202)
			lint_hit(a, LINT_SUB_202, STR_NONE);
		break;
	case SIP_REGISTER:
		check_register_ok(a);
		break;
	case SIP_OPTIONS:
		need(a, LINT_OPTIONS_BARE, has(a, SIP_HDR_ACCEPT) && has(a, SIP_HDR_SUPPORTED));
		break;
	case SIP_PUBLISH:
		need(a, LINT_ETAG, has(a, SIP_HDR_SIP_ETAG) && has(a, SIP_HDR_EXPIRES));
		break;
	case SIP_MESSAGE:
		if (a->m->body.n || has(a, SIP_HDR_CONTACT))
			lint_hit(a, LINT_MESSAGE_BODY, STR_NONE);
		break;
	default:
		break;
	}
}

static void check_non_invite(struct lint_at *a)
{
	unsigned status = a->m->status;
	if (status > 100 && status < 200)
		lint_hit(a, LINT_NON_INVITE_1XX, STR_NONE);
	if (status == 408)
		lint_hit(a, LINT_NON_INVITE_408, STR_NONE);
	if (status == 100 && a->p->transport == TRK_UDP && a->tsx && a->tsx->first_us &&
	    a->p->at_us < a->tsx->first_us + JUST_NOW_US)
		lint_hit(a, LINT_NON_INVITE_100, STR_NONE);
	if (a->method == SIP_CANCEL && (status == 401 || status == 407))
		lint_hit(a, LINT_AUTH_CANCEL, STR_NONE);
}

void lint_check_response(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	check_by_status(a);
	if (a->is_2xx)
		check_ok(a);
	if (a->method != SIP_INVITE && m->has_cseq)
		check_non_invite(a);
	if (m->status > 100 && !m->to_tag.n && has(a, SIP_HDR_TO))
		lint_hit(a, LINT_TO_TAG_MISSING, sip_value(m, SIP_HDR_TO));
	if (a->method == SIP_REGISTER) {
		if (m->status >= 600)
			lint_hit(a, LINT_REG_6XX, STR_NONE);
		if (has(a, SIP_HDR_RECORD_ROUTE))
			lint_hit(a, LINT_REG_RESP_ROUTED, sip_value(m, SIP_HDR_RECORD_ROUTE));
	}
	bool is_early = a->is_1xx && m->status > 100 && m->to_tag.n && a->method == SIP_INVITE;
	if (is_early && a->tsx && !a->tsx->has_to_tag)
		need(a, LINT_CONTACT_1XX, has(a, SIP_HDR_CONTACT));
}

/* --- events and transfer -----------------------------------------------------------------------
 */

static void check_refer_body(struct lint_at *a)
{
	struct sip_media_type mt;
	struct str type = lint_at_hdr(a, SIP_HDR_CONTENT_TYPE);
	bool is_frag = type.n && sip_media_type_parse(type, &mt) == OK &&
		       str_ieq(mt.type, STR("message")) && str_ieq(mt.subtype, STR("sipfrag"));
	if (!is_frag || !str_istarts(a->m->body, STR("SIP/2.0 ")))
		lint_hit(a, LINT_REFER_BODY, type);
}

static void check_notify(struct lint_at *a)
{
	struct sip_sub_state s;
	struct sip_event e;
	struct str state = lint_at_hdr(a, SIP_HDR_SUBSCRIPTION_STATE);
	if (has(a, SIP_HDR_EVENT) && sip_event_parse(sip_value(a->m, SIP_HDR_EVENT), &e) == OK &&
	    str_ieq(e.package, STR("refer")) && !a->p->is_cut)
		check_refer_body(a);
	if (!has(a, SIP_HDR_SUBSCRIPTION_STATE)) {
		lint_hit(a, LINT_SUB_STATE_MISSING, STR_NONE);
		return;
	}
	if (sip_sub_state_parse(state, &s) != OK)
		return;
	bool is_over = str_ieq(s.state, STR("terminated"));
	bool is_on = str_ieq(s.state, STR("active")) || str_ieq(s.state, STR("pending"));
	if (is_over && !s.reason.n)
		lint_hit(a, LINT_SUB_STATE_REASON, state);
	if (is_on && s.expires == UINT32_MAX)
		lint_hit(a, LINT_SUB_STATE_EXPIRES, state);
}

void lint_check_events(struct lint_at *a)
{
	if (!a->m->is_request)
		return;
	bool needs_event =
		a->method == SIP_SUBSCRIBE || a->method == SIP_NOTIFY || a->method == SIP_PUBLISH;
	if (needs_event && !has(a, SIP_HDR_EVENT))
		lint_hit(a, LINT_EVENT_MISSING, STR_NONE);
	if (a->method == SIP_SUBSCRIBE)
		need(a, LINT_SUB_EXPIRES, has(a, SIP_HDR_EXPIRES));
	if (a->method == SIP_NOTIFY)
		check_notify(a);
	if (a->method == SIP_REFER && sip_count(a->m, SIP_HDR_REFER_TO) != 1)
		lint_hit(a, LINT_REFER_TO, lint_at_hdr(a, SIP_HDR_REFER_TO));
}

/* --- reliable provisional responses, session timers --------------------------------------------
 */

static void check_reliable(struct lint_at *a)
{
	struct sip_rack r;
	bool needs_rel = sip_has_token(a->m, SIP_HDR_REQUIRE, STR("100rel"));
	if (a->is_1xx && a->method == SIP_INVITE) {
		if (a->m->status == 100 && (needs_rel || has(a, SIP_HDR_RSEQ)))
			lint_hit(a, LINT_RSEQ_100, STR_NONE);
		else if (needs_rel != has(a, SIP_HDR_RSEQ))
			lint_hit(a, LINT_RSEQ_PAIR, lint_at_hdr(a, SIP_HDR_RSEQ));
	}
	if (!a->m->is_request || a->method != SIP_PRACK)
		return;
	if (!has(a, SIP_HDR_RACK))
		lint_hit(a, LINT_RACK_MISSING, STR_NONE);
	else if (sip_rack_parse(sip_value(a->m, SIP_HDR_RACK), &r) == OK &&
		 !str_eq(r.method, STR("INVITE")))
		lint_hit(a, LINT_RACK_MISSING, sip_value(a->m, SIP_HDR_RACK));
}

static bool min_se(const struct lint_at *a, uint32_t *seconds)
{
	struct str v = str_trim(str_cut(lint_at_hdr(a, SIP_HDR_MIN_SE), ';', &(struct str){0}));
	return v.n && sip_seconds_parse(v, seconds) == OK;
}

void lint_check_timers(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct sip_session_expires se;
	uint32_t least = 0;
	check_reliable(a);
	bool has_min = min_se(a, &least);
	if (has_min && least < MIN_TIMER_S)
		lint_hit(a, LINT_SE_SMALL, sip_value(m, SIP_HDR_MIN_SE));
	struct str v = lint_at_hdr(a, SIP_HDR_SESSION_EXPIRES);
	if (!v.n || sip_session_expires_parse(v, &se) != OK)
		return;
	if (se.seconds < MIN_TIMER_S)
		lint_hit(a, LINT_SE_SMALL, v);
	bool knows = sip_has_token(m, SIP_HDR_SUPPORTED, STR("timer")) ||
		     sip_has_token(m, SIP_HDR_REQUIRE, STR("timer"));
	if (m->is_request) {
		if (has_min && se.seconds < least)
			lint_hit(a, LINT_SE_MIN, v);
		if (a->n_vias == 1 && !knows)
			lint_hit(a, LINT_SE_SUPPORTED, v);
	} else if (a->is_2xx) {
		if (!se.has_refresher)
			lint_hit(a, LINT_SE_REFRESHER, v);
		else if (se.is_uac_refresher && !sip_has_token(m, SIP_HDR_REQUIRE, STR("timer")))
			lint_hit(a, LINT_SE_REQUIRE, v);
		if (a->tsx && a->tsx->session_expires && se.seconds > a->tsx->session_expires)
			lint_hit_fmt(a, LINT_SE_LONGER, v, "%u s were asked for",
				     a->tsx->session_expires);
	}
}
