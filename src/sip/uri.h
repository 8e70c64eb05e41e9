#pragma once
/* SIP, SIPS and TEL URIs, and everything of the form name-addr. [RFC3261 19.1, 20.10] [RFC3966] */

#include "base/addr.h"
#include "sip/tables.h"

enum sip_scheme { SIP_URI_SIP, SIP_URI_SIPS, SIP_URI_TEL, SIP_URI_OTHER };

struct sip_uri {
	enum sip_scheme scheme;
	struct str all; /* the whole URI as written */
	struct str scheme_name;
	struct str user; /* still escaped; without password; tel: the number */
	struct str password;
	struct str host;                /* IPv6 without its brackets */
	struct str params;              /* after the first ';', without it; tel: too */
	struct str headers;             /* after '?' */
	uint16_t port;                  /* 0 when not given */
	bool has_user, has_port, is_ip; /* is_ip: host is an address literal */
	struct addr ip;                 /* when is_ip; its port is `port` */
};

/* The whole of s must be one URI. ERR_SYNTAX otherwise; ERR_UNSUPPORTED for a scheme other than the
 * three, with scheme_name and all set. */
enum err sip_uri_parse(struct str s, struct sip_uri *out);
/* A parameter ";name" or ";name=value" of a parameter string (also of header parameters; quotes and
 * LWS respected). The value is without its quotes, and STR_NONE when there is no '='; `value` may
 * be NULL. */
bool sip_param(struct str params, struct str name, struct str *value);
/* Walks parameters: while (sip_param_next(&rest, &name, &value)). */
bool sip_param_next(struct str *rest, struct str *name, struct str *value);
/* Equality by RFC 3261 19.1.4, escapes and all. */
bool sip_uri_eq(const struct sip_uri *a, const struct sip_uri *b);
/* Appends u as a Request-URI may be: without headers and the method parameter. [RFC3261 19.1.1] */
void sip_uri_put_request(struct buf *b, const struct sip_uri *u);
/* Appends s with %XX undone; false on a broken escape. */
bool sip_unescape(struct buf *b, struct str s);
/* Appends s as a user part, escaping what must be. */
void sip_escape_user(struct buf *b, struct str s);
/* Address of record: "user@host", user unescaped, host in lower case, no port, no parameters: the
 * key of location and accounts. */
enum err sip_aor_put(struct buf *b, const struct sip_uri *u);

struct sip_addr { /* name-addr or addr-spec with header parameters: From, To, Contact, Route, ... */
	struct str display; /* without quotes, escapes as written */
	struct str uri_text;
	struct sip_uri uri;
	enum err uri_err;  /* of sip_uri_parse; the rest is valid nevertheless */
	struct str params; /* header parameters after the first ';' */
	bool is_star;      /* Contact: * */
	bool has_brackets;
};
/* One value (as sip_each gives it). ERR_SYNTAX when its shape is broken. */
enum err sip_addr_parse(struct str value, struct sip_addr *out);
/* The same for those who do not look into the URI: uri is empty, uri_err OK. */
enum err sip_addr_shape(struct str value, struct sip_addr *out);
