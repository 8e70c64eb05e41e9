/* Names to ids and back. Everything here is made of the .def files: arrays by the preprocessor, the
 * hash slots by gen_tables at build time (tables_hash.inc).
 *
 * A lookup is one multiplication pair and one byte: the slot holds the only id that the name can
 * be, and the name is then compared, so that a stranger with the same hash is never taken for it.
 * Header names are compared without case, and first as they are usually written (find.h, inline for
 * the index pass). Methods are case-sensitive. [RFC3261 7.1, 7.3.1, 7.3.3] */

#include "sip/tables.h"

#include "sip/find.h"

_Static_assert(SIP_HDR__N <= 256, "a header id is one byte of a row");

const uint8_t sip_hdr_slots[1 << HDR_BITS] = {HDR_SLOTS};
const struct name_key sip_hdr_keys[SIP_HDR__N] = {HDR_KEYS};
const struct str sip_hdr_names[SIP_HDR__N] = {
#define HEADER(id, name, compact, flags, rfc) [SIP_HDR_##id] = STR_INIT(name),
#include "sip/headers.def"
#undef HEADER
};

static const char hdr_compact[SIP_HDR__N] = {
#define HEADER(id, name, compact, flags, rfc) [SIP_HDR_##id] = compact,
#include "sip/headers.def"
#undef HEADER
};

static const uint8_t hdr_flags[SIP_HDR__N] = {
#define HEADER(id, name, compact, flags, rfc) [SIP_HDR_##id] = (uint8_t)(flags),
#include "sip/headers.def"
#undef HEADER
};

static const uint8_t method_slots[1 << METHOD_BITS] = {METHOD_SLOTS};

struct method_fact {
	struct str name;
	uint8_t flags;
};

static const struct method_fact method_facts[SIP_METHOD__N] = {
#define METHOD(id, flags, rfc) [SIP_##id] = {STR_INIT(#id), (uint8_t)(flags)},
#include "sip/methods.def"
#undef METHOD
};

struct diag_fact {
	const char *text, *rfc;
	uint8_t severity;
	uint16_t status;
};

static const struct diag_fact diag_facts[SIP_DIAG__N] = {
#define DIAG(id, severity, status, rfc, text)                                                      \
	[SIP_DIAG_##id] = {text, rfc, SIP_SEV_##severity, status},
#include "sip/diag.def"
#undef DIAG
};

static const char *const diag_names[SIP_DIAG__N] = {
#define DIAG(id, severity, status, rfc, text) [SIP_DIAG_##id] = #id,
#include "sip/diag.def"
#undef DIAG
};

struct str sip_method_name(enum sip_method m)
{
	return (unsigned)m < SIP_METHOD__N ? method_facts[m].name : STR_NONE;
}

enum sip_method sip_method_find(struct str name)
{
	struct name_key k = name_key(name.p, name.n);
	unsigned id = method_slots[name_slot(k, METHOD_FOLD, METHOD_MUL_HEAD, METHOD_MUL_TAIL,
					     METHOD_BITS)];
	return id && str_eq(method_facts[id].name, name) ? id : SIP_METHOD_OTHER;
}

unsigned sip_method_flags(enum sip_method m)
{
	return (unsigned)m < SIP_METHOD__N ? method_facts[m].flags : 0;
}

struct str sip_hdr_name(enum sip_hdr_id id)
{
	return (unsigned)id < SIP_HDR__N ? sip_hdr_names[id] : STR_NONE;
}

enum sip_hdr_id sip_hdr_find(struct str name)
{
	return sip_hdr_find_inline(name);
}

/* id is the only header that the name can be; SIP_HDR_OTHER has neither name nor compact form. */
enum sip_hdr_id sip_hdr_find_slow(unsigned id, struct str name)
{
	if (name.n == 1 && hdr_compact[id] && (name.p[0] | 0x20) == hdr_compact[id])
		return id;
	return id && str_ieq(sip_hdr_names[id], name) ? id : SIP_HDR_OTHER;
}

unsigned sip_hdr_flags(enum sip_hdr_id id)
{
	return (unsigned)id < SIP_HDR__N ? hdr_flags[id] : 0;
}

struct str sip_status_reason(unsigned status)
{
	switch (status) {
#define STATUS(code, reason, rfc)                                                                  \
	case code:                                                                                 \
		return STR(reason);
#include "sip/status.def"
#undef STATUS
	default:
		break;
	}
	static const struct str classes[] = {
		STR_INIT("Session Progress"), STR_INIT("OK"),
		STR_INIT("Redirection"),      STR_INIT("Request Failure"),
		STR_INIT("Server Failure"),   STR_INIT("Global Failure"),
	};
	return status >= 100 && status < 700 ? classes[status / 100 - 1] : STR("Unknown");
}

const char *sip_diag_text(unsigned code)
{
	return code < SIP_DIAG__N ? diag_facts[code].text : "unknown diagnostic";
}

const char *sip_diag_rfc(unsigned code)
{
	return code < SIP_DIAG__N ? diag_facts[code].rfc : "";
}

const char *sip_diag_name(unsigned code)
{
	return code < SIP_DIAG__N ? diag_names[code] : "";
}

enum sip_severity sip_diag_severity(unsigned code)
{
	return code < SIP_DIAG__N ? diag_facts[code].severity : SIP_SEV_NOTE;
}

unsigned sip_diag_status(unsigned code)
{
	return code < SIP_DIAG__N ? diag_facts[code].status : 0;
}
