/* From a URI to where it leads. [RFC3263 4]
 *
 * The target host is maddr if there is one, else the URI's host; the port is the URI's, else 5060.
 * The transport is what ;transport= says, and is then fixed; else UDP where we have a UDP listener
 * of that family, TCP where we have not [RFC3263 4.1]. Numeric hosts are answered at once, names by
 * the resolver for the families that we can send from. NAPTR and SRV are not asked (they come
 * later): a name is its A and AAAA records.
 *
 * Order: addresses of both families take turns, IPv6 first [RFC7984 4], each family in the order of
 * the DNS; so a broken IPv6 costs one attempt and not four. An address that there is no route to is
 * left out.
 *
 * Refused: sips and transports that we do not speak, tel, and addresses that name no one machine
 * (wildcard, multicast): whoever can write a Contact could else aim us at everybody.
 */
#include "transport/tp_priv.h"

#include <stdlib.h>

#define PORT_SIP 5060

struct tp_resolve {
	struct link link; /* in tp.resolves */
	struct tp *tp;
	struct dns_query *query;
	tp_resolve_fn *fn;
	void *ctx;
	enum tp_proto proto;
	bool is_fixed; /* proto was asked for */
	uint16_t port;
};

/* --- the resolver --------------------------------------------------------------------------- */

void tp_set_dns(struct tp *tp, struct dns *dns)
{
	if (tp->is_own_dns)
		dns_free(tp->dns);
	tp->is_own_dns = false;
	tp->dns = dns;
}

struct dns *tp_dns(struct tp *tp)
{
	if (tp->dns)
		return tp->dns;
	enum err e = dns_new(tp->loop, NULL, &tp->dns);
	if (e == ERR_UNSUPPORTED)
		e = dns_new_table(tp->loop, &tp->dns);
	tp->is_own_dns = e == OK;
	return tp->dns;
}

/* --- targets -------------------------------------------------------------------------------- */

/* False: we cannot send to this family by that transport. */
static bool proto_for(const struct tp *tp, const struct tp_resolve *r, uint8_t family,
		      enum tp_proto *out)
{
	bool has_udp = tp_has_listener(tp, TP_UDP, family);
	*out = r->proto;
	if (r->is_fixed)
		return r->proto != TP_UDP || has_udp;
	*out = has_udp ? TP_UDP : TP_TCP;
	return true;
}

static void add(const struct tp_resolve *r, const struct addr *ip, struct tp_targets *t)
{
	enum tp_proto proto;
	if (t->n == TP_MAX_TARGETS || addr_is_any(ip) || addr_is_multicast(ip) ||
	    !proto_for(r->tp, r, ip->family, &proto))
		return;
	struct tp_dst *d = &t->dst[t->n++];
	*d = (struct tp_dst){.proto = proto, .to = *ip, .is_fixed = r->is_fixed};
	d->to.port = r->port;
}

/* The i-th address of that family, from *at on. */
static const struct addr *next_of(const struct dns_answer *a, uint8_t family, size_t *at)
{
	while (*at < a->n) {
		const struct addr *ip = &a->addr[(*at)++];
		if (ip->family == family)
			return ip;
	}
	return NULL;
}

static enum err targets_of(const struct tp_resolve *r, const struct dns_answer *a,
			   struct tp_targets *t)
{
	size_t at6 = 0, at4 = 0;
	struct addr source;
	struct env *env = r->tp->loop->env;
	t->n = 0;
	while (at6 < a->n || at4 < a->n) {
		const struct addr *ip = next_of(a, ADDR_V6, &at6);
		if (ip && env_source_for(env, ip, &source) == OK)
			add(r, ip, t);
		ip = next_of(a, ADDR_V4, &at4);
		if (ip && env_source_for(env, ip, &source) == OK)
			add(r, ip, t);
	}
	return t->n ? OK : ERR_NOTFOUND;
}

/* The families that an answer may be of: those we listen on; without any listener, both. */
static unsigned types_for(const struct tp *tp, const struct tp_resolve *r)
{
	unsigned types = 0;
	for (size_t i = 0; i < tp->n_listeners; i++) {
		const struct tp_listener *l = &tp->listeners[i];
		if (r->is_fixed && r->proto == TP_UDP && l->proto != TP_UDP)
			continue;
		types |= l->local.family == ADDR_V4 ? DNS_A : DNS_AAAA;
	}
	return types || tp->n_listeners ? types : (unsigned)(DNS_A | DNS_AAAA);
}

/* --- looking up ----------------------------------------------------------------------------- */

static void finish(struct tp_resolve *r)
{
	list_del(&r->link);
	free(r);
}

static void on_answer(void *ctx, enum err e, const struct dns_answer *a)
{
	struct tp_resolve *r = ctx;
	struct tp_targets t = {0};
	tp_resolve_fn *fn = r->fn;
	void *fn_ctx = r->ctx;
	if (e == OK)
		e = targets_of(r, a, &t);
	finish(r);
	fn(fn_ctx, e, e == OK ? &t : NULL);
}

static enum err look_up(const struct tp_resolve *want, struct str host, struct tp_targets *now,
			struct tp_resolve **running)
{
	struct dns_answer answer;
	struct dns *dns = tp_dns(want->tp);
	unsigned types = types_for(want->tp, want);
	if (!types)
		return ERR_NOTFOUND;
	struct tp_resolve *r = dns ? malloc(sizeof(*r)) : NULL;
	if (!r)
		return ERR_NOMEM;
	*r = *want;
	enum err e = dns_lookup(dns, host, types, &answer, on_answer, r, &r->query);
	if (e == ERR_MORE) {
		list_push(&r->tp->resolves, &r->link);
		*running = r;
		return ERR_MORE;
	}
	if (e == OK)
		e = targets_of(r, &answer, now);
	free(r);
	return e == ERR_SYNTAX ? ERR_NOTFOUND : e;
}

/* Scheme, transport and port; ERR_UNSUPPORTED when that is nothing for us. */
static enum err read_uri(const struct sip_uri *uri, struct tp_resolve *r)
{
	struct str name;
	if (uri->scheme != SIP_URI_SIP || !uri->host.n || (uri->has_port && !uri->port))
		return ERR_UNSUPPORTED;
	r->port = uri->port ? uri->port : PORT_SIP;
	r->proto = TP_UDP;
	r->is_fixed = sip_param(uri->params, STR("transport"), &name);
	if (r->is_fixed && (!tp_proto_find(name, &r->proto) || r->proto > TP_TCP))
		return ERR_UNSUPPORTED;
	return OK;
}

enum err tp_resolve_uri(struct tp *tp, const struct sip_uri *uri, struct tp_targets *now,
			tp_resolve_fn *fn, void *ctx, struct tp_resolve **running)
{
	struct tp_resolve want = {.tp = tp, .fn = fn, .ctx = ctx};
	struct str host = uri->host, maddr;
	struct addr ip;
	*running = NULL;
	now->n = 0;
	enum err e = read_uri(uri, &want);
	if (e != OK)
		return e;
	if (sip_param(uri->params, STR("maddr"), &maddr) && maddr.n)
		host = maddr;
	if (!addr_parse(host, 0, &ip) || ip.port)
		return look_up(&want, host, now, running);
	add(&want, &ip, now);
	return now->n ? OK : ERR_UNSUPPORTED;
}

void tp_resolve_cancel(struct tp_resolve *r)
{
	if (!r)
		return;
	dns_cancel(r->query);
	finish(r);
}

void tp_resolves_fini(struct tp *tp)
{
	while (!list_is_empty(&tp->resolves))
		tp_resolve_cancel(LIST_ENTRY(tp->resolves.next, struct tp_resolve, link));
}
