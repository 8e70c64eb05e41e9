/* Values of the headers that calls are steered with: RAck, Session-Expires, Replaces and its kin,
 * Retry-After. Like those of hdr.c they take one value, allow white space where the grammar has LWS
 * or SEMI, and point into it. Numbers that the machines compare (RSeq, CSeq) must fit; durations
 * that are too long become the longest. [RFC3262 7.2] [RFC4028 4] [RFC3891 6.1] [RFC3261 20.33] */

#include "sip/hdr.h"

#include "sip/chars.h"

/* The digits at *p, which is moved behind them. */
static struct str take_digits(const char **p, const char *end)
{
	const char *start = *p;
	*p = cc_span(start, end, CC_DIGIT);
	return str_of(start, (size_t)(*p - start));
}

enum err sip_rack_parse(struct str value, struct sip_rack *out)
{
	const char *p = value.p, *end = cc_end(value);
	struct sip_cseq cseq;
	struct str digits = take_digits(&p, end);
	const char *rest = cc_skip_ws(p, end);
	if (!str_u32(digits, &out->rseq))
		return digits.n ? ERR_LIMIT : ERR_SYNTAX;
	if (rest == p)
		return ERR_SYNTAX;
	enum err e = sip_cseq_parse(str_of(rest, (size_t)(end - rest)), &cseq);
	out->cseq = cseq.n;
	out->method = cseq.method;
	return e;
}

enum err sip_session_expires_parse(struct str value, struct sip_session_expires *out)
{
	const char *p = value.p, *end = cc_end(value);
	struct str who, digits = take_digits(&p, end);
	*out = (struct sip_session_expires){0, false, false};
	p = cc_skip_ws(p, end);
	if (sip_seconds_parse(digits, &out->seconds) != OK || (p < end && *p != ';'))
		return ERR_SYNTAX;
	if (sip_param(str_of(p, (size_t)(end - p)), STR("refresher"), &who)) {
		out->has_refresher = true;
		out->is_uac_refresher = str_ieq(who, STR("uac"));
		if (!out->is_uac_refresher && !str_ieq(who, STR("uas")))
			return ERR_SYNTAX;
	}
	return OK;
}

static bool is_uuid(struct str s)
{
	if (s.n != SIP_UUID)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!cc_is(s.p[i], CC_DIGIT) && (s.p[i] < 'a' || s.p[i] > 'f'))
			return false;
	return true;
}

enum err sip_session_id_parse(struct str value, struct sip_session_id *out)
{
	struct str name, v, rest;
	*out = (struct sip_session_id){.local = str_trim(str_cut(value, ';', &rest))};
	while (sip_param_next(&rest, &name, &v)) {
		if (!str_ieq(name, STR("remote")))
			continue;
		if (out->has_remote || !is_uuid(v))
			return ERR_SYNTAX;
		out->has_remote = true;
		out->remote = v;
	}
	return is_uuid(out->local) ? OK : ERR_SYNTAX;
}

enum err sip_replaces_parse(struct str value, struct sip_replaces *out)
{
	struct str name, v, rest;
	*out = (struct sip_replaces){.call_id = str_trim(str_cut(value, ';', &rest))};
	while (sip_param_next(&rest, &name, &v)) {
		if (str_ieq(name, STR("to-tag")) || str_ieq(name, STR("remote-tag")))
			out->to_tag = v;
		else if (str_ieq(name, STR("from-tag")) || str_ieq(name, STR("local-tag")))
			out->from_tag = v;
		else if (str_ieq(name, STR("early-only")))
			out->is_early_only = true;
	}
	return out->call_id.n && out->to_tag.n && out->from_tag.n ? OK : ERR_SYNTAX;
}

enum err sip_retry_after_parse(struct str value, struct sip_retry_after *out)
{
	const char *p = value.p, *end = cc_end(value);
	struct str v, digits = take_digits(&p, end);
	*out = (struct sip_retry_after){0, UINT32_MAX, STR_NONE};
	if (sip_seconds_parse(digits, &out->seconds) != OK)
		return ERR_SYNTAX;
	p = cc_skip_ws(p, end);
	if (p < end && *p == '(') {
		const char *start = p + 1;
		unsigned depth = 0;
		for (; p < end; p++) { /* comments nest */
			if (*p == '\\' && p + 1 < end)
				p++;
			else if (*p == '(')
				depth++;
			else if (*p == ')' && --depth == 0)
				break;
		}
		if (p == end)
			return ERR_SYNTAX;
		out->comment = str_of(start, (size_t)(p - start));
		p = cc_skip_ws(p + 1, end);
	}
	if (p < end && *p != ';')
		return ERR_SYNTAX;
	if (sip_param(str_of(p, (size_t)(end - p)), STR("duration"), &v))
		return sip_seconds_parse(v, &out->duration);
	return OK;
}
