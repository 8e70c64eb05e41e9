/* The sentences of explain.def beside the RFC sections of the SIP layer's tables. */
#include "scope/explain.h"

#include "base/assert.h"
#include "base/buf.h"

static const char *const methods[SIP_METHOD__N] = {
	[SIP_METHOD_OTHER] = "",
#define EXPLAIN_METHOD(id, sentence) [SIP_##id] = sentence,
#define EXPLAIN_HEADER(id, sentence)
#define EXPLAIN_STATUS(code, sentence)
#define EXPLAIN_PARAM(name, sentence)
#define EXPLAIN_SDP(name, sentence)
#include "scope/explain.def"
#undef EXPLAIN_METHOD
#undef EXPLAIN_HEADER
};

static const char *const headers[SIP_HDR__N] = {
	[SIP_HDR_OTHER] = "",
#define EXPLAIN_METHOD(id, sentence)
#define EXPLAIN_HEADER(id, sentence) [SIP_HDR_##id] = sentence,
#include "scope/explain.def"
#undef EXPLAIN_HEADER
#undef EXPLAIN_STATUS
};

static const char *const statuses[700] = {
#define EXPLAIN_HEADER(id, sentence)
#define EXPLAIN_STATUS(code, sentence) [code] = sentence,
#include "scope/explain.def"
#undef EXPLAIN_STATUS
#undef EXPLAIN_PARAM
};

struct word {
	const char *name, *sentence;
};

static const struct word params[] = {
#define EXPLAIN_STATUS(code, sentence)
#define EXPLAIN_PARAM(name, sentence) {name, sentence},
#include "scope/explain.def"
#undef EXPLAIN_PARAM
#undef EXPLAIN_SDP
};

static const struct word sdp[] = {
#define EXPLAIN_PARAM(name, sentence)
#define EXPLAIN_SDP(name, sentence) {name, sentence},
#include "scope/explain.def"
#undef EXPLAIN_METHOD
#undef EXPLAIN_HEADER
#undef EXPLAIN_STATUS
#undef EXPLAIN_PARAM
#undef EXPLAIN_SDP
};

static const struct {
	const char *name;
	char compact;
	const char *rfc;
} header_rows[SIP_HDR__N] = {
#define HEADER(id, name, compact, flags, rfc) [SIP_HDR_##id] = {name, compact, rfc},
#include "sip/headers.def"
#undef HEADER
};

static const char *const method_rfcs[SIP_METHOD__N] = {
#define METHOD(id, flags, rfc) [SIP_##id] = rfc,
#include "sip/methods.def"
#undef METHOD
};

static const char *const status_rfcs[700] = {
#define STATUS(code, reason, rfc) [code] = rfc,
#include "sip/status.def"
#undef STATUS
};

static const char *or_none(const char *sentence)
{
	return sentence ? sentence : "";
}

const char *explain_method(enum sip_method m)
{
	return or_none(methods[m]);
}

const char *explain_header(enum sip_hdr_id id)
{
	return or_none(headers[id]);
}

const char *explain_status(unsigned status)
{
	return status < ARRAY_LEN(statuses) ? or_none(statuses[status]) : "";
}

static void put_pair(struct buf *b, const char *sentence, const char *rfc)
{
	buf_chr(b, '[');
	buf_json(b, str_c(sentence));
	buf_chr(b, ',');
	buf_json(b, str_c(or_none(rfc)));
	buf_chr(b, ']');
}

static void put_header(struct buf *b, enum sip_hdr_id id)
{
	char lower[64];
	struct str name = str_c(header_rows[id].name);
	size_t n = 0;
	for (; n < name.n && n < sizeof lower; n++)
		lower[n] =
			(char)(name.p[n] >= 'A' && name.p[n] <= 'Z' ? name.p[n] + 32 : name.p[n]);
	for (unsigned i = 0; i < (header_rows[id].compact ? 2 : 1); i++) {
		buf_str(b, id > 1 || i ? STR(",\n") : STR("\n"));
		buf_json(b, i ? str_of(&header_rows[id].compact, 1) : str_of(lower, n));
		buf_str(b, STR(":["));
		buf_json(b, name);
		buf_chr(b, ',');
		buf_json(b, str_c(explain_header(id)));
		buf_chr(b, ',');
		buf_json(b, str_c(header_rows[id].rfc));
		buf_chr(b, ']');
	}
}

static void put_words(struct buf *b, const struct word *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_str(b, i ? STR(",\n") : STR("\n"));
		buf_json(b, str_c(w[i].name));
		buf_chr(b, ':');
		buf_json(b, str_c(w[i].sentence));
	}
}

void explain_put_json(struct buf *b)
{
	buf_str(b, STR("{\"methods\":{"));
	for (unsigned i = 1; i < SIP_METHOD__N; i++) {
		buf_str(b, i > 1 ? STR(",\n") : STR("\n"));
		buf_json(b, sip_method_name((enum sip_method)i));
		buf_chr(b, ':');
		put_pair(b, explain_method((enum sip_method)i), method_rfcs[i]);
	}
	buf_str(b, STR("},\"headers\":{"));
	for (unsigned i = 1; i < SIP_HDR__N; i++)
		put_header(b, (enum sip_hdr_id)i);
	buf_str(b, STR("},\"statuses\":{"));
	for (unsigned i = 0, n = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i]) {
			buf_fmt(b, "%s\"%u\":", n++ ? ",\n" : "\n", i);
			put_pair(b, statuses[i], status_rfcs[i]);
		}
	buf_str(b, STR("},\"params\":{"));
	put_words(b, params, ARRAY_LEN(params));
	buf_str(b, STR("},\"sdp\":{"));
	put_words(b, sdp, ARRAY_LEN(sdp));
	buf_str(b, STR("}}"));
}
