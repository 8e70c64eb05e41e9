#pragma once
/* The facts of SIP as tables: one row per header, method, status, diagnostic (*.def), made into
 * enums, names and perfect hashes. A hash hit is always confirmed by comparing the name. */

#include "base/str.h"

enum sip_method {
	SIP_METHOD_OTHER = 0,
#define METHOD(id, flags, rfc) SIP_##id,
#include "sip/methods.def"
#undef METHOD
	SIP_METHOD__N
};

enum sip_hdr_id {
	SIP_HDR_OTHER = 0,
#define HEADER(id, name, compact, flags, rfc) SIP_HDR_##id,
#include "sip/headers.def"
#undef HEADER
	SIP_HDR__N
};

enum sip_hdr_flag {
	SIP_HF_LIST = 1,  /* comma-separated values, lines may be joined (RFC 3261 7.3.1) */
	SIP_HF_ADDR = 2,  /* name-addr or addr-spec */
	SIP_HF_HOP = 4,   /* hop by hop: a B2BUA does not pass it on */
	SIP_HF_ONCE = 8,  /* must not occur twice */
	SIP_HF_AUTH = 16, /* challenge or credentials: lines are not joined by comma */
};

enum sip_method_flag {
	SIP_MF_DIALOG = 1, /* may make a dialog */
	SIP_MF_TARGET = 2, /* target refresh */
};

struct str sip_method_name(enum sip_method m);
enum sip_method sip_method_find(struct str name); /* case-sensitive (RFC 3261 7.1) */
unsigned sip_method_flags(enum sip_method m);
struct str sip_hdr_name(enum sip_hdr_id id);
enum sip_hdr_id sip_hdr_find(struct str name); /* long or compact form, any case */
unsigned sip_hdr_flags(enum sip_hdr_id id);
/* The usual phrase of a status ("Not Found"); of its class when unknown. */
struct str sip_status_reason(unsigned status);

/* What a diagnostic means for the exchange; diag.def says more. */
enum sip_severity { SIP_SEV_NOTE, SIP_SEV_WARN, SIP_SEV_REJECT, SIP_SEV_REFUSE, SIP_SEV_DISCARD };

enum sip_diag_code {
#define DIAG(id, severity, status, rfc, text) SIP_DIAG_##id,
#include "sip/diag.def"
#undef DIAG
	SIP_DIAG__N
};
const char *sip_diag_text(unsigned code);
const char *sip_diag_rfc(unsigned code);  /* "RFC3261 20.14" */
const char *sip_diag_name(unsigned code); /* "BARE_LF": stable, for tests and filters */
enum sip_severity sip_diag_severity(unsigned code);
unsigned sip_diag_status(unsigned code); /* status to answer with, 0 when there is none */
