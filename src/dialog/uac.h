#pragma once
/* Requests of a user agent outside of dialogs (REGISTER, OPTIONS, MESSAGE, ...): next hops
 * (RFC 3263), fail-over to the next of them on time-out, transport error and 503 (RFC 3263 4.3),
 * credentials for 401 and 407 (RFC 3261 22; several realms, stale). One callback at the end. */

#include "dialog/dialog.h"

/* Who sends. Strings are copied by whoever keeps them. Also used by sessions, registrations,
 * subscriptions. */
/* What an account is good for: the realm that asked first, and no other. */
#define UAC_REALM_MAX 256
struct uac_realm {
	uint16_t n; /* 0: nobody has asked yet */
	char text[UAC_REALM_MAX];
};

struct uac_account {
	struct str from; /* name-addr or addr-spec without tag: "Alice" <sip:alice@example.com> */
	struct str contact_user; /* user part of our Contact, unescaped; empty: none. Host and port
				  * are those that the transport names towards the peer */
	struct str contact_params; /* header parameters of our Contact, with ';'; may be empty */
	/* auth_user empty: contact_user */
	struct str auth_user, password; /* empty password: challenges are not answered */
	struct uac_realm *realm;        /* borrowed, lives longer; NULL: whoever asks is answered */
	struct str proxy;         /* URI of the outbound proxy, the first Route; empty: none */
	struct str service_route; /* values of Service-Route, by commas, of the registration
				   * [RFC3608]; may be empty */
	struct str headers;       /* further whole lines for each request, may be empty */
};

struct uac_request {
	struct str method;
	struct str ruri;
	struct str to;      /* name-addr without tag; empty: <ruri> */
	struct str headers; /* whole lines ("Name: value\r\n"), may be empty */
	struct str content_type, body;
	struct str call_id;       /* empty: a new one */
	bool has_contact;         /* adds our Contact */
	const struct tp_dst *dst; /* not NULL: go there, without looking at ruri and proxy */
};

enum uac_how {
	UAC_FINAL,       /* a final response came: status, rx */
	UAC_TIMEOUT,     /* nobody answered in 64*T1 */
	UAC_UNREACHABLE, /* the name, connection or transport failed on all next hops */
	UAC_FAILED, /* something here failed: memory, a bound, a request that cannot be built */
};
struct uac_result {
	enum uac_how how;
	unsigned status;    /* UAC_FINAL; else 408, 503, 500, as RFC 3261 8.1.3.1 maps them */
	struct tp_rx *rx;   /* the final response, borrowed; else NULL */
	enum err err;       /* why, where it is not UAC_FINAL */
	struct tp_dst dst;  /* where it went last */
	bool is_challenged; /* the final is a 401 or 407 that the credentials at hand cannot answer,
			     * or refused them */
};

struct uac; /* a running request */
struct uac_user {
	void (*on_provisional)(void *ctx, struct uac *u, struct tp_rx *rx);    /* may be NULL */
	void (*on_done)(void *ctx, struct uac *u, const struct uac_result *r); /* the last one */
};
/* An error return means that nothing was sent and no callback comes (ERR_SYNTAX: a URI or From that
 * cannot be read). Names that do not resolve come as UAC_UNREACHABLE. */
enum err uac_send(struct dlg_mgr *m, const struct uac_account *acc, const struct uac_request *req,
		  const struct uac_user *user, void *ctx, struct uac **out);
/* Forgets it; no callback comes. NULL is harmless. */
void uac_drop(struct uac *u);
