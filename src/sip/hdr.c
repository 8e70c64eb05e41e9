/* Values of headers that are no name-addr. Each parser takes one value, as sip_value or sip_each
 * gives it, and points into it. White space is allowed wherever the grammar allows LWS, folds
 * included. [RFC3261 20, 25.1]
 *
 * Via is the one that hurts: "SIP / 2.0\r\n / UDP [2001:db8::1] : 5060 ; branch = x" is one value,
 * a comma may follow it, and its received parameter may be an IPv6 address with or without
 * brackets. [RFC5118 4.5] The parser reads it from the front and stops at the comma, since the
 * index wants the topmost value without splitting the others. */

#include "sip/hdr.h"

#include "sip/sip_priv.h"

#include <string.h>

/* ---- Via ---- */

static const char *skip_slash(const char *p, const char *end)
{
	p = cc_skip_ws(p, end);
	return p < end && *p == '/' ? cc_skip_ws(p + 1, end) : NULL;
}

/* "SIP/2.0/UDP" and the white space after it. */
static const char *via_protocol(const char *p, const char *end, struct sip_via *out)
{
	const char *start = p, *q, *version_end;
	if (end - p > 8 && memcmp(p, "SIP/2.0/", 8) == 0 && !cc_is(p[8], CC_WS)) {
		version_end = p + 7; /* as nearly always */
		p += 8;
	} else {
		p = cc_span(p, end, CC_TOKEN);
		if (p == start || !(p = skip_slash(p, end)))
			return NULL;
		q = p;
		version_end = p = cc_span(p, end, CC_TOKEN);
		if (p == q || !(p = skip_slash(p, end)))
			return NULL;
	}
	out->proto = str_of(start, (size_t)(version_end - start));
	q = p;
	p = cc_span(p, end, CC_TOKEN);
	out->transport = str_of(q, (size_t)(p - q));
	q = cc_skip_ws(p, end);
	return out->transport.n && q > p ? q : NULL;
}

static const char *via_sent_by(const char *p, const char *end, struct sip_via *out)
{
	const char *start = p;
	if (p < end && *p == '[') {
		const char *close = memchr(p, ']', (size_t)(end - p));
		if (!close || close == p + 1)
			return NULL;
		out->host = str_of(p + 1, (size_t)(close - p - 1));
		p = close + 1;
	} else {
		p = cc_span(p, end, CC_HOST);
		out->host = str_of(start, (size_t)(p - start));
		if (p == start)
			return NULL;
	}
	p = cc_skip_ws(p, end);
	if (p < end && *p == ':') {
		p = cc_skip_ws(p + 1, end);
		const char *digits = p;
		uint32_t port = 0;
		for (; p < end && cc_is(*p, CC_DIGIT); p++)
			if ((port = port * 10 + (uint32_t)(*p - '0')) > 65535)
				return NULL;
		if (p == digits)
			return NULL;
		out->port = (uint16_t)port;
		p = cc_skip_ws(p, end);
	}
	return p;
}

static bool via_param(struct sip_via *out, struct str name, struct str value)
{
	uint32_t n;
	switch (name.n) {
	case 3:
		if (CC_IS_WORD(name, "ttl")) {
			if (!str_u32(value, &n) || n > 255)
				return false;
			out->ttl = (uint8_t)n;
		}
		break;
	case 5:
		if (CC_IS_WORD(name, "rport")) {
			out->has_rport = true;
			if (value.n && (!str_u32(value, &n) || n > 65535))
				return false;
			out->rport = value.n ? (uint16_t)n : 0;
		} else if (CC_IS_WORD(name, "maddr")) {
			out->maddr = value;
		}
		break;
	case 6:
		if (CC_IS_WORD(name, "branch"))
			out->branch = value;
		break;
	case 8:
		if (CC_IS_WORD(name, "received")) {
			bool is_ref =
				value.n > 2 && value.p[0] == '[' && value.p[value.n - 1] == ']';
			out->received = is_ref ? str_of(value.p + 1, value.n - 2) : value;
		}
		break;
	default:
		break;
	}
	return true;
}

/* One ";name[=value]" at p, which stands behind the ';'. */
static const char *via_one_param(const char *p, const char *end, struct sip_via *out)
{
	struct str name, value = STR_NONE;
	if (end - p > 7 && memcmp(p, "branch=", 7) == 0) { /* as nearly always */
		const char *stop = cc_span(p + 7, end, CC_PLAIN);
		if (stop > p + 7 && (stop == end || *stop == ';' || *stop == ',')) {
			out->branch = str_of(p + 7, (size_t)(stop - p - 7));
			return stop;
		}
	}
	if (end - p >= 5 && memcmp(p, "rport", 5) == 0 &&
	    (p + 5 == end || p[5] == ';' || p[5] == ',')) { /* as a client asks for it */
		out->has_rport = true;
		out->rport = 0;
		return p + 5;
	}
	p = cc_skip_ws(p, end);
	const char *start = p;
	p = cc_span(p, end, CC_TOKEN);
	name = str_of(start, (size_t)(p - start));
	p = cc_skip_ws(p, end);
	if (!name.n)
		return NULL;
	if (p < end && *p == '=') {
		p = cc_skip_ws(p + 1, end);
		start = p;
		if (p < end && *p == '"') {
			p = cc_quote_end(p, end);
			if (p == end)
				return NULL;
			value = str_of(start + 1, (size_t)(p - start - 1));
			p++;
		} else {
			p = cc_span(p, end, CC_PLAIN);
			value = str_of(start, (size_t)(p - start));
			if (!value.n)
				return NULL;
		}
		p = cc_skip_ws(p, end);
	}
	return via_param(out, name, value) ? p : NULL;
}

/* A semicolon behind the last parameter, which the grammar forbids and phones send: an ACK that is
 * refused for it is a call that drops. */
static bool is_stray(const char *p, const char *end)
{
	return p < end && *p == ';' && cc_skip_ws(p + 1, end) == end;
}

enum err sip_via_scan(const char *p, const char *end, struct sip_via *out, const char **stop)
{
	out->proto = out->transport = out->host = STR_NONE;
	out->branch = out->received = out->maddr = out->params = STR_NONE;
	out->port = out->rport = 0;
	out->ttl = 0;
	out->has_rport = false;
	p = via_protocol(cc_skip_ws(p, end), end, out);
	if (!p || !(p = via_sent_by(p, end, out)))
		return ERR_SYNTAX;
	const char *params = p;
	while (p < end && *p == ';' && !is_stray(p, end))
		if (!(p = via_one_param(p + 1, end, out)))
			return ERR_SYNTAX;
	if (p > params)
		out->params = str_of(params + 1, (size_t)(cc_trim_end(params, p) - params - 1));
	if (p < end && *p != ',' && !is_stray(p, end))
		return ERR_SYNTAX;
	*stop = p;
	return OK;
}

enum err sip_via_parse(struct str value, struct sip_via *out)
{
	const char *stop = NULL, *end = cc_end(value);
	enum err e = sip_via_scan(value.p, end, out, &stop);
	return e == OK && stop != end && !is_stray(stop, end) ? ERR_SYNTAX : e;
}

/* ---- numbers ---- */

enum err sip_cseq_parse(struct str value, struct sip_cseq *out)
{
	const char *p = value.p, *end = cc_end(value);
	uint64_t n = 0;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (n <= UINT32_MAX)
			n = n * 10 + (uint64_t)(*p - '0');
	const char *method = cc_skip_ws(p, end);
	if (p == value.p || method == p)
		return ERR_SYNTAX;
	*out = (struct sip_cseq){(uint32_t)n, str_of(method, (size_t)(end - method))};
	if (!cc_all(out->method, CC_TOKEN))
		return ERR_SYNTAX;
	return n > UINT32_MAX ? ERR_LIMIT : OK;
}

bool sip_q_parse(struct str s, uint16_t *out)
{
	unsigned q = 0;
	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return false;
	for (size_t i = 2, digit = 100; i < s.n; i++, digit /= 10) {
		if (!cc_is(s.p[i], CC_DIGIT))
			return false;
		q += (unsigned)(s.p[i] - '0') * (unsigned)digit;
	}
	q += s.p[0] == '1' ? 1000 : 0;
	if (q > 1000)
		return false;
	*out = (uint16_t)q;
	return true;
}

enum err sip_seconds_parse(struct str s, uint32_t *out)
{
	uint64_t n = 0;
	if (!cc_all(s, CC_DIGIT))
		return ERR_SYNTAX;
	for (size_t i = 0; i < s.n && n <= UINT32_MAX; i++)
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	*out = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
	return OK;
}

/* ---- tokens ---- */

bool sip_has_token(const struct sip_msg *m, enum sip_hdr_id id, struct str token)
{
	struct sip_iter it = {0, 0};
	struct str v;
	while (sip_each(m, id, &it, &v))
		if (str_ieq(v, token))
			return true;
	return false;
}

/* A token at the start of value, then the end or ';': the parameters behind it. */
static enum err token_and_params(struct str value, struct str *token, struct str *params)
{
	const char *p = value.p, *end = cc_end(value);
	const char *stop = cc_span(p, end, CC_TOKEN);
	*token = str_of(p, (size_t)(stop - p));
	*params = STR_NONE;
	stop = cc_skip_ws(stop, end);
	if (!token->n || (stop < end && *stop != ';'))
		return ERR_SYNTAX;
	if (stop < end)
		*params = str_of(stop + 1, (size_t)(end - stop - 1));
	return OK;
}

enum err sip_event_parse(struct str value, struct sip_event *out)
{
	struct str params;
	out->id = STR_NONE;
	enum err e = token_and_params(value, &out->package, &params);
	if (e == OK)
		(void)sip_param(params, STR("id"), &out->id);
	return e;
}

enum err sip_sub_state_parse(struct str value, struct sip_sub_state *out)
{
	struct str params, v;
	*out = (struct sip_sub_state){STR_NONE, STR_NONE, UINT32_MAX, UINT32_MAX};
	enum err e = token_and_params(value, &out->state, &params);
	if (e != OK)
		return e;
	(void)sip_param(params, STR("reason"), &out->reason);
	if (sip_param(params, STR("expires"), &v) && sip_seconds_parse(v, &out->expires) != OK)
		return ERR_SYNTAX;
	if (sip_param(params, STR("retry-after"), &v) &&
	    sip_seconds_parse(v, &out->retry_after) != OK)
		return ERR_SYNTAX;
	return OK;
}

enum err sip_reason_parse(struct str value, struct sip_reason *out)
{
	struct str params, v;
	*out = (struct sip_reason){STR_NONE, STR_NONE, 0, false};
	enum err e = token_and_params(value, &out->protocol, &params);
	if (e != OK)
		return e;
	(void)sip_param(params, STR("text"), &out->text);
	if (sip_param(params, STR("cause"), &v)) {
		if (!str_u32(v, &out->cause))
			return ERR_SYNTAX;
		out->has_cause = true;
	}
	return OK;
}

bool sip_reason_is_again(const struct sip_msg *m, struct str value)
{
	struct sip_iter it = {0};
	struct sip_reason one, other;
	struct str v;
	if (sip_reason_parse(value, &one) != OK || str_ieq(one.protocol, STR("STIR")))
		return false;
	while (sip_each(m, SIP_HDR_REASON, &it, &v) && v.p != value.p)
		if (sip_reason_parse(v, &other) == OK && str_ieq(one.protocol, other.protocol))
			return true;
	return false;
}

void sip_reasons_put(const struct sip_msg *m, struct buf *out)
{
	struct sip_iter it = {0};
	struct str v, by = STR_NONE;
	while (sip_each(m, SIP_HDR_REASON, &it, &v)) {
		if (sip_reason_is_again(m, v))
			continue;
		buf_str(out, by);
		buf_str(out, v);
		by = STR(", ");
	}
}

/* warn-code SP warn-agent SP quoted warn-text. [RFC3261 20.43] */
enum err sip_warning_parse(struct str value, struct sip_warning *out)
{
	const char *p = value.p, *end = cc_end(value);
	const char *code_end = cc_span(p, end, CC_DIGIT);
	uint32_t code = 0;
	if (code_end - p != 3 || !str_u32(str_of(p, 3), &code))
		return ERR_SYNTAX;
	const char *agent = cc_skip_ws(code_end, end), *agent_end = agent;
	while (agent_end < end && *agent_end != '"' && !cc_is(*agent_end, CC_WS))
		agent_end++;
	const char *text = cc_skip_ws(agent_end, end);
	if (agent == code_end || agent == agent_end || text == end || *text != '"')
		return ERR_SYNTAX;
	const char *close = cc_quote_end(text, end);
	if (close == end)
		return ERR_SYNTAX;
	*out = (struct sip_warning){(uint16_t)code, str_of(agent, (size_t)(agent_end - agent)),
				    str_of(text + 1, (size_t)(close - text - 1))};
	return OK;
}
