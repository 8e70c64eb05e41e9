/* From a URI to where it leads. [RFC3263 4]
 *
 * The target is maddr if there is one, else the URI's host. Three questions, each only where the
 * URI leaves it open:
 *
 *     which transports?  NAPTR of the target; without any, those that we speak, as SRV
 *     which hosts?       SRV of each transport; by priority and weighted chance [RFC2782]
 *     which addresses?   A and AAAA of each host
 *
 * ;transport= answers the first, a port the first two, an address all three. A target with neither
 * NAPTR nor SRV is its A and AAAA records at the default port, by UDP, or TCP where we have no UDP
 * listener of that family; sips by TLS. The questions that are likely are asked at once
 * (dns_prefetch), so that a resolver that drops NAPTR costs its time-out once and not for each.
 *
 * A struct tp_resolve is a walk: `srv` are the SRV questions still to ask, `place` the hosts that
 * came of them, `t` the targets of those that have addresses. Whatever comes of one question, the
 * walk goes on with the next, and is at its end when all are asked or `t` is full. A question that
 * fails is as good as none: what counts is whether an address comes out.
 *
 * Order: addresses of both families take turns, IPv6 first [RFC7984 4], each family in the order of
 * the DNS; so a broken IPv6 costs one attempt and not four. An address that there is no route to is
 * left out; hops that are known to be dead come last (hops.c).
 *
 * Who answers by TLS must prove to be the URI's host, maddr or not [RFC5922 7.3].
 *
 * Refused: transports that we do not speak, tel, and addresses that name no one machine (wildcard,
 * multicast): whoever can write a Contact could else aim us at everybody.
 */
#include "transport/tp_priv.h"

#include <stdlib.h>

#define MAX_SRV    4
#define MAX_PLACES 12
#define TEXT_BYTES 1024 /* names of hosts; one that does not fit is left out */

struct place { /* a host and what is known of it */
	enum tp_proto proto;
	bool is_chosen; /* proto is from the DNS or the URI; else UDP or TCP, as we have it */
	uint16_t port, name;
};

struct tp_resolve {
	struct link link; /* in tp.resolves */
	struct tp *tp;
	struct dns_query *query;
	tp_resolve_fn *fn;
	void *ctx;
	enum tp_proto proto;      /* of the URI, when is_fixed; else what it is by default */
	bool is_fixed, is_secure; /* ;transport=; sips */
	uint64_t name;            /* of the URI's host, for TLS, where the target is not it */
	bool is_found;            /* an SRV record was there, if only to say that there is none */
	uint16_t port;            /* of the URI, 0: none */
	enum { ASK_NAPTR, ASK_SRV, ASK_HOST } step;
	size_t n_srv, at_srv, n_places, at_place;
	struct place srv[MAX_SRV], place[MAX_PLACES]; /* srv: name of the question */
	enum err err;                                 /* the worst that was heard */
	struct tp_targets t;
	size_t n_text;
	char text[TEXT_BYTES]; /* the target first */
};

/* --- the resolver --------------------------------------------------------------------------- */

void tp_set_dns(struct tp *tp, struct dns *dns)
{
	if (tp->is_own_dns)
		dns_free(tp->dns);
	tp->is_own_dns = false;
	tp->dns = dns;
}

enum err tp_set_dns_servers(struct tp *tp, const char *servers)
{
	struct dns_config config = {.servers = servers};
	struct dns *dns = NULL;
	enum err e = dns_new(tp->loop, &config, &dns);
	if (e != OK)
		return e;
	tp_set_dns(tp, dns);
	tp->is_own_dns = true;
	return OK;
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

static struct str text_at(const struct tp_resolve *r, uint16_t at)
{
	return str_c(r->text + at);
}

/* --- targets -------------------------------------------------------------------------------- */

/* Before a phone has a listener it asks where to have one: then all is still possible. */
static bool may_have_udp(const struct tp *tp, uint8_t family)
{
	return !tp->n_listeners || tp_has_listener(tp, TP_UDP, family);
}

static void add(const struct tp_resolve *r, const struct place *p, const struct addr *ip,
		struct tp_targets *t)
{
	enum tp_proto proto = p->proto;
	if (t->n == TP_MAX_TARGETS || addr_is_any(ip) || addr_is_multicast(ip))
		return;
	if (!p->is_chosen && !tp_has_listener(r->tp, TP_UDP, ip->family))
		proto = proto == TP_UDP ? TP_TCP : proto;
	if (proto == TP_UDP && !may_have_udp(r->tp, ip->family))
		return;
	struct tp_dst *d = &t->dst[t->n++];
	*d = (struct tp_dst){.proto = proto,
			     .to = *ip,
			     .is_fixed = r->is_fixed || r->is_secure,
			     .name = r->name};
	if (tp_is_secure(proto) && !d->name) /* what the DNS chose for a URI that is not sips */
		d->name = tp_name_put(r->tp, text_at(r, 0));
	d->to.port = p->port ? p->port : tp_default_port(proto);
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

static void add_all(struct tp_resolve *r, const struct place *p, const struct dns_answer *a)
{
	size_t at6 = 0, at4 = 0;
	struct addr source;
	struct env *env = r->tp->loop->env;
	while (at6 < a->n || at4 < a->n) {
		const struct addr *ip = next_of(a, ADDR_V6, &at6);
		if (ip && env_source_for(env, ip, &source) == OK)
			add(r, p, ip, &r->t);
		ip = next_of(a, ADDR_V4, &at4);
		if (ip && env_source_for(env, ip, &source) == OK)
			add(r, p, ip, &r->t);
	}
}

/* The families that an answer may be of: those we listen on; without any listener, both. */
static unsigned types_for(const struct tp *tp, const struct place *p)
{
	unsigned types = 0;
	for (size_t i = 0; i < tp->n_listeners; i++) {
		const struct tp_listener *l = &tp->listeners[i];
		if (p->is_chosen && p->proto == TP_UDP && l->proto != TP_UDP)
			continue;
		types |= l->local.family == ADDR_V4 ? DNS_A : DNS_AAAA;
	}
	return types || tp->n_listeners ? types : (unsigned)(DNS_A | DNS_AAAA);
}

/* --- places and questions ------------------------------------------------------------------- */

/* Keeps "prefix" "name"; false without room. */
static bool keep(struct tp_resolve *r, struct str prefix, struct str name, uint16_t *at)
{
	if (r->n_text + prefix.n + name.n + 1 > sizeof(r->text))
		return false;
	*at = (uint16_t)r->n_text;
	memcpy(r->text + r->n_text, prefix.p, prefix.n);
	memcpy(r->text + r->n_text + prefix.n, name.p, name.n);
	r->n_text += prefix.n + name.n;
	r->text[r->n_text++] = 0;
	return true;
}

static void add_place(struct tp_resolve *r, struct place p, struct str host)
{
	if (r->n_places < MAX_PLACES && keep(r, STR(""), host, &p.name))
		r->place[r->n_places++] = p;
}

static void add_srv(struct tp_resolve *r, enum tp_proto proto, struct str prefix, struct str name)
{
	struct place p = {.proto = proto, .is_chosen = true};
	bool is_ours = proto == TP_UDP
			       ? may_have_udp(r->tp, ADDR_V4) || may_have_udp(r->tp, ADDR_V6)
			       : tp_speaks(r->tp, proto);
	if (is_ours && r->n_srv < MAX_SRV && keep(r, prefix, name, &p.name))
		r->srv[r->n_srv++] = p;
}

/* By transport: names of SRV records, and services of NAPTR records [RFC3263 4.1] [RFC7118 4]. */
static const struct {
	struct str srv, naptr;
	bool is_secure;
} services[TP__N] = {
	[TP_UDP] = {STR_INIT("_sip._udp."),  STR_INIT("sip+d2u"),  false},
	[TP_TCP] = {STR_INIT("_sip._tcp."),  STR_INIT("sip+d2t"),  false},
	[TP_TLS] = {STR_INIT("_sips._tcp."), STR_INIT("sips+d2t"), true },
	[TP_WS] = {STR_INIT("_sip._ws."),   STR_INIT("sip+d2w"),  false},
	[TP_WSS] = {STR_INIT("_sips._ws."),  STR_INIT("sips+d2w"), true },
};

/* The SRV questions that the target itself gives rise to. */
static void add_own_srv(struct tp_resolve *r)
{
	for (int p = r->is_fixed ? (int)r->proto : TP_UDP; p <= TP_TLS || r->is_fixed; p++) {
		if (services[p].is_secure || !r->is_secure)
			add_srv(r, (enum tp_proto)p, services[p].srv, text_at(r, 0));
		if (r->is_fixed)
			return;
	}
}

static void take_naptr(struct tp_resolve *r, const struct dns_answer *a)
{
	bool is_used[DNS_MAX_RRS] = {0};
	for (size_t k = 0; k < a->n; k++) {
		size_t best = a->n;
		for (size_t i = 0; i < a->n; i++) {
			const struct dns_rr *x = &a->rr[i], *y = &a->rr[best < a->n ? best : i];
			bool is_before = x->priority != y->priority ? x->priority < y->priority
								    : x->weight < y->weight;
			if (!is_used[i] && (best == a->n || is_before))
				best = i;
		}
		is_used[best] = true;
		struct str service = dns_text(a, a->rr[best].service);
		struct str name = dns_text(a, a->rr[best].target);
		for (int p = 0; p < TP__N && a->rr[best].flag == 's' && name.n; p++) {
			if (str_eq(service, services[p].naptr) &&
			    (services[p].is_secure || !r->is_secure))
				add_srv(r, (enum tp_proto)p, STR(""), name);
		}
	}
}

/* [RFC2782]: by priority; among equals one that is drawn with a chance of its weight comes first,
 * then the next is drawn from the rest. Those of weight 0 stand in front in each draw, so that they
 * have a small chance. */
static void put_in_order(struct env *env, struct dns_rr *rr, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		uint16_t priority = UINT16_MAX;
		uint64_t sum = 0, drawn;
		for (size_t i = k; i < n; i++)
			priority = rr[i].priority < priority ? rr[i].priority : priority;
		for (size_t i = k; i < n; i++)
			sum += rr[i].priority == priority ? rr[i].weight : 0;
		drawn = sum ? env_random_u64(env) % (sum + 1) : 0;
		size_t pick = n;
		for (int is_zero = 1; is_zero >= 0 && pick == n; is_zero--) {
			for (size_t i = k; i < n && pick == n; i++) {
				if (rr[i].priority != priority || (rr[i].weight == 0) != is_zero)
					continue;
				if (rr[i].weight >= drawn)
					pick = i;
				else
					drawn -= rr[i].weight;
			}
		}
		struct dns_rr first = rr[pick];
		memmove(&rr[k + 1], &rr[k], (pick - k) * sizeof(rr[0]));
		rr[k] = first;
	}
}

static void take_srv(struct tp_resolve *r, struct place p, struct dns_answer *a)
{
	r->is_found = true;
	put_in_order(r->tp->loop->env, a->rr, a->n);
	for (size_t i = 0; i < a->n; i++) {
		struct str host = dns_text(a, a->rr[i].target);
		p.port = a->rr[i].port;
		if (host.n && p.port) /* "." says: not here [RFC2782] */
			add_place(r, p, host);
	}
}

/* --- the walk ------------------------------------------------------------------------------- */

/* Takes the answer to the question that the walk stands at, and goes to the next. */
static void take(struct tp_resolve *r, enum err e, struct dns_answer *a)
{
	if (e != OK && e != ERR_SYNTAX && (r->err == OK || r->err == ERR_NOTFOUND))
		r->err = e;
	switch (r->step) {
	case ASK_NAPTR:
		if (e == OK)
			take_naptr(r, a);
		if (!r->n_srv)
			add_own_srv(r);
		r->step = ASK_SRV;
		return;
	case ASK_SRV:
		if (e == OK)
			take_srv(r, r->srv[r->at_srv], a);
		r->at_srv++;
		return;
	case ASK_HOST:
		if (e == OK)
			add_all(r, &r->place[r->at_place], a);
		r->at_place++;
		return;
	}
}

/* The question that the walk stands at; false when there is none. */
static bool question(struct tp_resolve *r, struct str *name, unsigned *types)
{
	if (r->step == ASK_NAPTR) {
		*name = text_at(r, 0);
		*types = DNS_NAPTR;
		return true;
	}
	if (r->step == ASK_SRV && r->at_srv < r->n_srv) {
		*name = text_at(r, r->srv[r->at_srv].name);
		*types = DNS_SRV;
		return true;
	}
	if (r->step == ASK_SRV) {
		if (!r->is_found)
			add_place(r,
				  (struct place){.proto = r->proto,
						 .is_chosen = r->is_fixed || r->is_secure,
						 .port = r->port},
				  text_at(r, 0));
		r->step = ASK_HOST;
	}
	for (; r->at_place < r->n_places && r->t.n < TP_MAX_TARGETS; r->at_place++) {
		*name = text_at(r, r->place[r->at_place].name);
		*types = types_for(r->tp, &r->place[r->at_place]);
		if (*types)
			return true;
	}
	return false;
}

static void on_answer(void *ctx, enum err e, const struct dns_answer *a);

/* ERR_MORE: a question is on its way. */
static enum err walk(struct tp_resolve *r)
{
	struct dns_answer a;
	struct str name;
	unsigned types;
	while (question(r, &name, &types)) {
		struct addr ip;
		enum err e = OK;
		if (r->step == ASK_HOST && addr_parse(name, 0, &ip) && !ip.port)
			a = (struct dns_answer){.n = 1, .addr = {ip}}; /* SRV to an address */
		else
			e = dns_lookup(r->tp->dns, name, types, &a, on_answer, r, &r->query);
		if (e == ERR_MORE)
			return e;
		take(r, e, &a);
	}
	if (!r->t.n)
		return r->err == OK ? ERR_NOTFOUND : r->err;
	tp_hops_last(r->tp, &r->t);
	return OK;
}

static void finish(struct tp_resolve *r)
{
	list_del(&r->link);
	free(r);
}

static void on_answer(void *ctx, enum err e, const struct dns_answer *a)
{
	struct tp_resolve *r = ctx;
	struct dns_answer copy;
	copy.n = 0;
	if (a)
		copy = *a;
	r->query = NULL;
	take(r, e, &copy);
	e = walk(r);
	if (e == ERR_MORE)
		return;
	struct tp_targets t = r->t;
	tp_resolve_fn *fn = r->fn;
	void *fn_ctx = r->ctx;
	finish(r);
	fn(fn_ctx, e, e == OK ? &t : NULL);
}

/* What the walk will ask for unless the first answers say otherwise. */
static void prefetch(struct tp_resolve *r)
{
	struct tp_resolve own = *r;
	add_own_srv(&own);
	for (size_t i = 0; i < own.n_srv; i++)
		dns_prefetch(r->tp->dns, text_at(&own, own.srv[i].name), DNS_SRV);
	struct place p = {.proto = r->proto, .is_chosen = r->is_fixed || r->is_secure};
	unsigned types = types_for(r->tp, &p);
	if (types)
		dns_prefetch(r->tp->dns, text_at(r, 0), types);
}

static enum err look_up(const struct tp_resolve *want, struct str host, struct tp_targets *now,
			struct tp_resolve **running)
{
	uint16_t at;
	if (!tp_dns(want->tp))
		return ERR_NOMEM;
	struct tp_resolve *r = malloc(sizeof(*r));
	if (!r)
		return ERR_NOMEM;
	*r = *want;
	r->step = r->port || r->is_fixed ? ASK_SRV : ASK_NAPTR;
	if (!host.n || !keep(r, STR(""), host, &at)) {
		free(r);
		return ERR_NOTFOUND;
	}
	if (!r->port && r->is_fixed)
		add_own_srv(r);
	if (r->step == ASK_NAPTR)
		prefetch(r);
	list_push(&r->tp->resolves, &r->link);
	enum err e = walk(r);
	if (e == ERR_MORE) {
		*running = r;
		return e;
	}
	*now = r->t;
	finish(r);
	return e;
}

/* --- URIs ----------------------------------------------------------------------------------- */

/* Scheme, transport and port; ERR_UNSUPPORTED when that is nothing for us. sips is TLS on every
 * hop, whatever the transport below it [RFC3263 4.1] [RFC5630 3.1.1]. */
static enum err read_uri(const struct sip_uri *uri, struct tp_resolve *r)
{
	struct str name;
	if (uri->scheme > SIP_URI_SIPS || !uri->host.n || (uri->has_port && !uri->port))
		return ERR_UNSUPPORTED;
	r->is_secure = uri->scheme == SIP_URI_SIPS;
	r->port = uri->port;
	r->proto = r->is_secure ? TP_TLS : TP_UDP;
	r->is_fixed = sip_param(uri->params, STR("transport"), &name);
	if (r->is_fixed && !tp_proto_find(name, &r->proto))
		return ERR_UNSUPPORTED;
	if (r->is_secure && r->proto == TP_UDP)
		return ERR_UNSUPPORTED;
	if (r->is_secure)
		r->proto = r->proto == TP_TCP ? TP_TLS : r->proto == TP_WS ? TP_WSS : r->proto;
	if (!tp_speaks(r->tp, r->proto))
		return ERR_UNSUPPORTED;
	if (!tp_is_secure(r->proto) && !sip_param(uri->params, STR("maddr"), &name))
		return OK;
	r->name = tp_name_put(r->tp, uri->host);
	return r->name ? OK : ERR_NOMEM;
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
	struct place p = {.proto = want.proto,
			  .is_chosen = want.is_fixed || want.is_secure,
			  .port = want.port};
	add(&want, &p, &ip, now);
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
