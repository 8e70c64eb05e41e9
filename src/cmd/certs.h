#pragma once
/* Certificates for the commands: those that the flags name, or the exchange's own. */

#include "cmd/opt.h"
#include "net/tls.h"

struct certs {
	/* flags */
	struct opt_list cert, key;
	const char *ca;
	bool needs_client, is_lax;
};

/* For `rung serve`: with a self-signed certificate in `data` where none is given and `is_secure`,
 * for these domains and listeners. Negative: done; else an exit code, after a message. */
struct certs_host {
	const char *data;
	bool is_secure;
	const struct opt_list *domains, *listen;
	struct addr lan;
};
int certs_serve(const struct certs *c, const struct certs_host *h, struct net_tls **out);
/* For phones: whom to trust, and a certificate to show if one is given. */
int certs_phone(const struct certs *c, const char *command, struct net_tls **out);
