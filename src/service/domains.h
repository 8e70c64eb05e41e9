#pragma once
/* Which hosts are ours. One exchange has one set of accounts; its names and addresses are aliases
 * of each other: `sip:100@lilkr`, `sip:100@192.0.2.7` and the canonical AOR mean the same. */

#include "transport/transport.h"

struct dom;

/* `names`: the configured domains (host names or address literals; a leading "*." matches any one
 * label), first the one to show; may be none. `canonical`: what AORs are stored under, whatever
 * phones call us: the realm, fixed at first start. `host_name`: this machine's name, counts when no
 * names are configured; may be empty. "localhost" and all addresses that we listen on always
 * count. ERR_SYNTAX with *bad set: a name that is none. */
enum err dom_new(const struct str *names, size_t n, struct str canonical, struct str host_name,
		 struct str *bad, struct dom **out);
void dom_free(struct dom *d); /* immutable in between: all shards may use one */

/* Is the host (port 0: any) one of ours? For To, From, and realms. */
bool dom_is_ours(const struct dom *d, struct tp *tp, struct str host, uint16_t port);
/* The same for a Request-URI or Route: ours only if its port, when it has one, is one that we
 * listen on. tel: URIs are ours. */
bool dom_uri_is_ours(const struct dom *d, struct tp *tp, const struct sip_uri *u);
/* Appends the canonical AOR "user@canonical" of a URI whose host is ours: user unescaped.
 * ERR_SYNTAX when it has no user or a broken escape. */
enum err dom_aor_put(const struct dom *d, const struct sip_uri *u, struct buf *out);
/* The same from a plain user name. */
void dom_aor_of_user(const struct dom *d, struct str user, struct buf *out);
struct str dom_user_of_aor(const struct dom *d, struct str aor); /* the user part */
struct str dom_canonical(const struct dom *d);
/* The name to show to people and to put into our own From: the first configured one, else empty. */
struct str dom_first(const struct dom *d);
