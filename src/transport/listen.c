/* Listeners, and which of our addresses is which.
 *
 * With one listener of a family and protocol there is nothing to choose. With several, or when a
 * Via or Contact must name an address although the socket is bound to the wildcard, the kernel's
 * routing decides: env_source_for(peer) is the address that it would send from, and the listener of
 * that address, else a wildcard, else the first of the family is taken. What the user pinned
 * (tp_dst.from, as in every answer: the address the request came to) goes before all that.
 *
 * Behind a NAT peers outside must be told the address that they see (tp_advertise): it replaces
 * the IP in what is named to them, while peers on private networks are told the local one. Nothing
 * is bound to it, but requests that name it are for us. Where nothing was set the address that
 * peers outside have told does the same (seen.c).
 *
 * Of several shards each opens the same listeners with SO_REUSEPORT. That option would also let a
 * second exchange of the same user in, silently sharing our traffic; so shard 0 opens each address
 * once without it first.
 *
 * Invariant: listeners[i].local is what the kernel bound, port included.
 */
#include "transport/seen.h"
#include "transport/tp_priv.h"

static void ignore(void *arg, unsigned events)
{
}

/* Nobody else has the address? */
static enum err probe(struct tp *tp, enum tp_proto proto, const struct addr *local,
		      const char **why)
{
	struct env_sock *s = NULL;
	struct env *env = tp->loop->env;
	enum err e = proto == TP_UDP ? env_udp_open(env, local, 0, ignore, NULL, &s, why)
				     : env_tcp_listen(env, local, 0, ignore, NULL, &s, why);
	env_close(s);
	return e;
}

enum err tp_listen(struct tp *tp, enum tp_proto proto, const struct addr *local, const char **why)
{
	ASSERT(tp->has_keys);
	if (tp_is_secure(proto) && !net_tls_can_serve(tp->tls)) {
		*why = "there is no certificate";
		return ERR_UNSUPPORTED;
	}
	if (tp->n_listeners == TP_MAX_LISTENERS) {
		*why = "too many listeners";
		return ERR_LIMIT;
	}
	enum err e = OK;
	if (tp->n_shards > 1 && tp->shard == 0 && local->port)
		e = probe(tp, proto, local, why);
	if (e != OK)
		return e;
	struct tp_listener *l = &tp->listeners[tp->n_listeners];
	*l = (struct tp_listener){.tp = tp, .proto = proto, .local = *local};
	unsigned flags = tp->n_shards > 1 ? ENV_REUSEPORT : 0;
	e = proto == TP_UDP ? tp_udp_open(l, flags, why) : tp_tcp_open(l, flags, why);
	if (e != OK)
		return e;
	l->local = env_local(l->sock);
	l->is_any = addr_is_any(&l->local);
	tp->n_listeners++;
	return OK;
}

void tp_listeners_close(struct tp *tp)
{
	for (size_t i = 0; i < tp->n_listeners; i++)
		env_close(tp->listeners[i].sock);
	tp->n_listeners = 0;
}

bool tp_listener(const struct tp *tp, size_t i, enum tp_proto *proto, struct addr *local)
{
	if (i >= tp->n_listeners)
		return false;
	*proto = tp->listeners[i].proto;
	*local = tp->listeners[i].local;
	return true;
}

bool tp_has_listener(const struct tp *tp, enum tp_proto proto, uint8_t family)
{
	for (size_t i = 0; i < tp->n_listeners; i++) {
		if (tp->listeners[i].proto == proto && tp->listeners[i].local.family == family)
			return true;
	}
	return false;
}

/* --- choosing a listener -------------------------------------------------------------------- */

static bool is_same_port(const struct tp_listener *l, uint16_t port)
{
	return port == 0 || l->local.port == port;
}

/* The listener with that address, or a wildcard; those of the right port only. */
static struct tp_listener *find(struct tp *tp, enum tp_proto proto, const struct addr *local)
{
	struct tp_listener *any = NULL;
	bool is_any = addr_is_any(local);
	for (size_t i = 0; i < tp->n_listeners; i++) {
		struct tp_listener *l = &tp->listeners[i];
		if (l->proto != proto || l->local.family != local->family ||
		    !is_same_port(l, local->port))
			continue;
		if (is_any || addr_ip_eq(&l->local, local))
			return l;
		if (l->is_any && !any)
			any = l;
	}
	return any;
}

/* The first of that family; *is_only: there is no other. */
static struct tp_listener *first(struct tp *tp, enum tp_proto proto, uint8_t family, bool *is_only)
{
	struct tp_listener *found = NULL;
	*is_only = true;
	for (size_t i = 0; i < tp->n_listeners; i++) {
		struct tp_listener *l = &tp->listeners[i];
		if (l->proto != proto || l->local.family != family)
			continue;
		if (found)
			*is_only = false;
		else
			found = l;
	}
	return found;
}

struct tp_listener *tp_pick(struct tp *tp, enum tp_proto proto, const struct tp_dst *dst,
			    struct addr *src)
{
	struct tp_listener *l;
	struct addr source;
	bool is_only;
	*src = (struct addr){0};
	if (dst->from.family == dst->to.family && (l = find(tp, proto, &dst->from))) {
		if (l->is_any && !addr_is_any(&dst->from))
			*src = dst->from;
		return l;
	}
	struct tp_listener *fallback = first(tp, proto, dst->to.family, &is_only);
	if (!fallback || is_only || env_source_for(tp->loop->env, &dst->to, &source) != OK)
		return fallback;
	source.port = 0;
	l = find(tp, proto, &source);
	return l ? l : fallback;
}

struct addr tp_bind_for(struct tp *tp, const struct tp_dst *dst)
{
	struct addr local = dst->from, source;
	local.port = 0;
	if (local.family == dst->to.family && !addr_is_any(&local))
		return local;
	const struct tp_listener *bound = NULL;
	for (size_t i = 0; i < tp->n_listeners; i++) {
		const struct tp_listener *l = &tp->listeners[i];
		if (l->local.family != dst->to.family)
			continue;
		if (l->is_any)
			return (struct addr){0};
		if (!bound)
			bound = l;
	}
	if (!bound)
		return (struct addr){0};
	/* Bound to addresses only: one of these it must be, the kernel's choice if it is there. */
	local = bound->local;
	if (env_source_for(tp->loop->env, &dst->to, &source) == OK) {
		for (size_t i = 0; i < tp->n_listeners; i++) {
			if (addr_ip_eq(&tp->listeners[i].local, &source))
				local = source;
		}
	}
	local.port = 0;
	return local;
}

/* --- naming ourselves ----------------------------------------------------------------------- */

/* The address that we are told to have, at its own port or that of a listener. */
static bool is_advertised(const struct tp *tp, const struct addr *addr)
{
	const struct addr *a = &tp->advertised[addr->family == ADDR_V6];
	bool is_port = !addr->port || addr->port == a->port;
	for (size_t i = 0; i < tp->n_listeners && !a->port; i++)
		is_port |= tp->listeners[i].local.port == addr->port;
	return a->family != ADDR_NONE && addr_ip_eq(a, addr) && is_port;
}

/* The same for the one that we have learned. */
static bool is_seen(const struct tp *tp, const struct addr *addr)
{
	struct addr none = {.family = ADDR_V4}, a = tp_seen_for(tp, &none, false);
	if (a.family != addr->family || !addr_ip_eq(&a, addr))
		return false;
	bool is_port = !addr->port || addr->port == ev_words_get(tp->seen, 1);
	for (size_t i = 0; i < tp->n_listeners; i++)
		is_port |= tp->listeners[i].local.port == addr->port;
	return is_port;
}

bool tp_is_local(struct tp *tp, const struct addr *addr)
{
	struct addr source;
	bool is_wildcard = false;
	if (is_advertised(tp, addr) || is_seen(tp, addr))
		return true;
	for (size_t i = 0; i < tp->n_listeners; i++) {
		const struct tp_listener *l = &tp->listeners[i];
		if (l->local.family != addr->family || (addr->port && l->local.port != addr->port))
			continue;
		if (addr_ip_eq(&l->local, addr))
			return true;
		is_wildcard |= l->is_any;
	}
	if (!is_wildcard)
		return false;
	/* All of 127.0.0.0/8 is this machine; for other addresses of ours the kernel's source is
	 * the address itself. */
	return addr_is_loopback(addr) ||
	       (env_source_for(tp->loop->env, addr, &source) == OK && addr_ip_eq(&source, addr));
}

/* Our side of a connection: an accepted one has the listener's address, of ours only the IP is
 * worth naming when there is a listener to connect to. */
static void local_of_conn(struct tp *tp, const struct tp_conn *c, struct addr *out)
{
	bool is_only;
	const struct tp_listener *l = first(tp, c->proto, c->local.family, &is_only);
	*out = c->local;
	if (c->is_outgoing && l)
		out->port = l->local.port;
}

static enum err source_ip(struct tp *tp, const struct tp_dst *dst, struct addr *out)
{
	*out = tp_bind_for(tp, dst);
	if (out->family != ADDR_NONE)
		return OK;
	return env_source_for(tp->loop->env, &dst->to, out);
}

/* Without a listener to name: a connection that stands has a port of its own, else none is named.
 */
static enum err local_without_listener(struct tp *tp, const struct tp_dst *dst, struct addr *out)
{
	const struct tp_conn *c = tp_conn_to(tp, dst);
	if (c && c->state == TP_CONN_OPEN) {
		*out = c->local;
		return OK;
	}
	enum err e = source_ip(tp, dst, out);
	out->port = 0;
	return e;
}

enum err tp_own_for(struct tp *tp, const struct tp_dst *dst, struct addr *out)
{
	struct addr src;
	const struct tp_conn *c = dst->flow ? tp_flow_find(tp, dst->flow) : NULL;
	if (c && c->state == TP_CONN_OPEN) {
		local_of_conn(tp, c, out);
		return OK;
	}
	const struct tp_listener *l = tp_pick(tp, dst->proto, dst, &src);
	if (!l && dst->proto == TP_UDP)
		return ERR_NET;
	if (!l)
		return local_without_listener(tp, dst, out);
	*out = l->local;
	if (!l->is_any)
		return OK;
	enum err e = OK;
	if (src.family != ADDR_NONE)
		*out = src;
	else
		e = source_ip(tp, dst, out);
	out->port = l->local.port;
	return e;
}

static struct addr *advertised(struct tp *tp, uint8_t family)
{
	return &tp->advertised[family == ADDR_V6];
}

void tp_advertise(struct tp *tp, const struct addr *public_addr)
{
	*advertised(tp, public_addr->family) = *public_addr;
}

/* Who has an address of a private network is on this side of the NAT. */
bool tp_is_outside(const struct addr *peer)
{
	return !addr_is_private(peer) && !addr_is_loopback(peer);
}

struct str tp_secure_name(struct tp *tp, const struct addr *local)
{
	return net_tls_name(tp->tls, local);
}

enum err tp_local_for(struct tp *tp, const struct tp_dst *dst, struct addr *out)
{
	enum err e = tp_own_for(tp, dst, out);
	if (e != OK || !tp_is_outside(&dst->to))
		return e;
	const struct addr *set = advertised(tp, out->family);
	struct addr a = *set;
	if (a.family == ADDR_NONE)
		a = tp_seen_for(tp, out, dst->proto == TP_UDP);
	if (a.family == ADDR_NONE)
		return OK;
	uint16_t port = a.port ? a.port : out->port;
	*out = a;
	out->port = port;
	return OK;
}
