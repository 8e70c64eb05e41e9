/* The simulated network: hosts, addresses, links, ports, datagrams and ICMP.
 *
 * A datagram meets the link from its sender's host to its receiver's: it may be lost, doubled,
 * delayed (so overtaken), or dropped for its size. What survives is an event; when it happens, the
 * receiving host looks for a bound socket. No socket: the sender gets an ICMP "port unreachable",
 * which may be lost as well. A host that is down, or an address that nobody has, answers nothing.
 *
 * Invariants:
 * 1. Within one host, and on loopback, nothing is lost and the delay is LOCAL_US.
 * 2. A socket bound to an address is preferred to one bound to the wildcard. Sockets that share a
 * port (ENV_REUSEPORT) get what a hash of the four-tuple gives them, so a flow stays with one.
 * 3. A receive queue is bounded in bytes as the kernel's is; beyond that datagrams are dropped.
 */

#include "event/sim_priv.h"

#include <stdlib.h>
#include <string.h>

#define LOCAL_US       20
#define PORT_FIRST     32'768
#define PORT_LAST      60'999
#define IP_HEADER_ROOM 28 /* IPv4 and UDP headers, counted against the MTU */

static const uint8_t no_key[16];
static const struct sim_link local_link = {.delay_us = LOCAL_US};

static uint64_t ip_hash(struct addr a)
{
	a.port = 0;
	return addr_hash(no_key, &a);
}

static struct sim_host_ip *ip_find(struct sim *s, const struct addr *ip)
{
	for (struct hnode *n = htab_first(&s->ips, ip_hash(*ip)); n; n = htab_next(n)) {
		struct sim_host_ip *k = CONTAINER_OF(n, struct sim_host_ip, node);
		if (addr_ip_eq(&k->ip, ip))
			return k;
	}
	return NULL;
}

enum err sim_host_new(struct sim *s, const char *name, const struct addr *ips, size_t n_ips,
		      struct sim_host **out)
{
	ASSERT(n_ips > 0 && n_ips <= ARRAY_LEN((*out)->ip));
	struct sim_host *h = calloc(1, sizeof(*h));
	if (!h)
		return ERR_NOMEM;
	if (htab_init(&h->binds, 0) != OK) {
		free(h);
		return ERR_NOMEM;
	}
	h->sim = s;
	h->n_ips = n_ips;
	h->is_up = true;
	h->next_port = PORT_FIRST;
	str_copy(h->name, sizeof(h->name), str_c(name));
	list_init(&h->envs);
	list_push(&s->hosts, &h->link);
	for (size_t i = 0; i < n_ips; i++) {
		ASSERT(!ip_find(s, &ips[i]));
		h->ip[i].ip = ips[i];
		h->ip[i].ip.port = 0;
		h->ip[i].host = h;
		htab_add(&s->ips, &h->ip[i].node, ip_hash(ips[i]));
	}
	*out = h;
	return OK;
}

void sim_host_crash(struct sim_host *h)
{
	h->is_up = false;
	LIST_EACH (&h->envs, l)
		sim_env_kill(LIST_ENTRY(l, struct sim_env, link));
}

void sim_host_up(struct sim_host *h)
{
	h->is_up = true;
}

void sim_clock_skew(struct sim_host *h, int64_t wall_us)
{
	h->skew_us = wall_us;
}

void sim_link_default(struct sim *s, const struct sim_link *l)
{
	s->link = *l;
}

void sim_link_set(struct sim *s, struct sim_host *from, struct sim_host *to,
		  const struct sim_link *l)
{
	for (size_t i = 0; i < s->n_links; i++) {
		if (s->links[i].from == from && s->links[i].to == to) {
			s->links[i].link = *l;
			return;
		}
	}
	struct sim_link_row *rows = realloc(s->links, (s->n_links + 1) * sizeof(*rows));
	if (!rows)
		return;
	s->links = rows;
	rows[s->n_links++] = (struct sim_link_row){from, to, *l};
}

struct sim_host *sim_host_at(struct sim_host *from, const struct addr *ip)
{
	if (addr_is_loopback(ip))
		return from;
	struct sim_host_ip *k = ip_find(from->sim, ip);
	bool is_hidden = k && k->host->nat && k->host->nat != from->nat;
	return k && !is_hidden ? k->host : NULL;
}

const struct sim_link *sim_link_of(struct sim_host *from, struct sim_host *to)
{
	if (from == to)
		return &local_link;
	struct sim *s = from->sim;
	for (size_t i = 0; i < s->n_links; i++) {
		if (s->links[i].from == from && s->links[i].to == to)
			return &s->links[i].link;
	}
	return &s->link;
}

/* `to` may be NULL: somewhere behind the default link. */
uint64_t sim_delay_us(struct sim_host *from, struct sim_host *to)
{
	const struct sim_link *l = sim_link_of(from, to);
	return l->delay_us + sim_below(from->sim, (uint64_t)l->jitter_us + (l->jitter_us > 0));
}

static unsigned common_bits(const struct addr *a, const struct addr *b)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned diff = a->ip[i] ^ b->ip[i];
		if (diff)
			return 8 * i + (unsigned)__builtin_clz(diff) - 24;
	}
	return 128;
}

/* Loopback towards loopback and oneself is oneself; else the address nearest to the peer's. */
static bool source_of(struct sim_host *h, const struct addr *peer, struct addr *local)
{
	const struct addr *best = NULL;
	if (addr_is_loopback(peer)) {
		*local = *peer;
		local->port = 0;
		return true;
	}
	for (size_t i = 0; i < h->n_ips; i++) {
		const struct addr *ip = &h->ip[i].ip;
		if (ip->family == peer->family &&
		    (!best || common_bits(ip, peer) > common_bits(best, peer)))
			best = ip;
	}
	if (best)
		*local = *best;
	return best != NULL;
}

enum err sim_source_for(struct env *e, const struct addr *peer, struct addr *local)
{
	return source_of(((struct sim_env *)(void *)e)->host, peer, local) ? OK : ERR_NET;
}

struct addr sim_host_addr(struct env *e)
{
	return ((struct sim_env *)(void *)e)->host->ip[0].ip;
}

static uint64_t bind_hash(enum sim_kind kind, uint16_t port)
{
	return ((uint64_t)kind << 16 | port) * 0x9e3779b97f4a7c15 >> 16;
}

/* Next bound socket of this kind and port, after n (NULL: from the beginning). */
static struct sim_sock *bind_next(const struct hnode *n, enum sim_kind kind, uint16_t port,
				  struct hnode *first)
{
	struct hnode *k = n ? htab_next(n) : first;
	for (; k; k = htab_next(k)) {
		struct sim_sock *s = CONTAINER_OF(k, struct sim_sock, bind);
		if (s->kind == kind && s->local.port == port)
			return s;
	}
	return NULL;
}

static struct sim_sock *bind_first(struct sim_host *h, enum sim_kind kind, uint16_t port)
{
	return bind_next(NULL, kind, port, htab_first(&h->binds, bind_hash(kind, port)));
}

struct sim_sock *sim_bound(struct sim_host *h, enum sim_kind kind, const struct addr *to,
			   const struct addr *from)
{
	for (int is_any = 0; is_any < 2; is_any++) { /* exact addresses first */
		struct sim_sock *s;
		unsigned n = 0;
		for (s = bind_first(h, kind, to->port); s;
		     s = bind_next(&s->bind, kind, to->port, 0))
			n += is_any ? s->local.family == to->family && addr_is_any(&s->local)
				    : addr_ip_eq(&s->local, to);
		if (n == 0)
			continue;
		unsigned pick =
			(unsigned)((addr_hash(no_key, from) * 31 + addr_hash(no_key, to)) % n);
		for (s = bind_first(h, kind, to->port); s;
		     s = bind_next(&s->bind, kind, to->port, 0)) {
			bool is_match =
				is_any ? s->local.family == to->family && addr_is_any(&s->local)
				       : addr_ip_eq(&s->local, to);
			if (is_match && pick-- == 0)
				return s;
		}
	}
	return NULL;
}

uint16_t sim_ephemeral(struct sim_host *h, enum sim_kind kind)
{
	for (int tries = 0; tries <= PORT_LAST - PORT_FIRST; tries++) {
		uint16_t port = h->next_port;
		h->next_port = port == PORT_LAST ? PORT_FIRST : (uint16_t)(port + 1);
		if (!bind_first(h, kind, port))
			return port;
	}
	return 0;
}

enum err sim_bind(struct sim_sock *s, const struct addr *local, unsigned flags, const char **why)
{
	struct sim_host *h = s->host;
	if (!addr_is_any(local) && !addr_is_loopback(local)) {
		struct sim_host_ip *k = ip_find(h->sim, local);
		if (!k || k->host != h) {
			*why = "address is not one of this machine";
			return ERR_NET;
		}
	}
	s->local = *local;
	s->is_reuseport = flags & ENV_REUSEPORT;
	if (s->local.port == 0)
		s->local.port = sim_ephemeral(h, s->kind);
	struct sim_sock *o = bind_first(h, s->kind, s->local.port);
	for (; o; o = bind_next(&o->bind, s->kind, s->local.port, 0)) {
		bool is_same = addr_ip_eq(&o->local, local) || addr_is_any(&o->local) ||
			       addr_is_any(local);
		if (o->local.family == local->family && is_same &&
		    !(o->is_reuseport && s->is_reuseport)) {
			*why = "address already in use";
			return ERR_NET;
		}
	}
	htab_add(&h->binds, &s->bind, bind_hash(s->kind, s->local.port));
	s->is_bound = true;
	return OK;
}

void sim_unbind(struct sim_sock *s)
{
	if (s->is_bound)
		htab_del(&s->host->binds, &s->bind);
	s->is_bound = false;
}

static void icmp_arrives(struct sim *s, struct sim_event *ev)
{
	struct sim_sock *to = ev->a;
	if (!to->is_closed && !to->is_dead && to->n_icmp < SIM_ICMP_MAX) {
		struct env_icmp *icmp = &to->icmp[to->n_icmp++];
		*icmp = (struct env_icmp){.peer = ev->to, .is_refused = true, .n_head = ev->n};
		if (ev->n)
			memcpy(icmp->head, ev->bytes, ev->n);
		to->is_icmp_new = true;
		sim_sock_check(to);
	}
	(void)s;
	sim_event_free(ev);
}

static void refuse(struct sim *s, const struct sim_event *dgram)
{
	struct sim_sock *sender = dgram->a;
	const struct sim_link *back = sim_link_of(dgram->host, sender->host);
	if (sim_chance(s, back->loss))
		return;
	size_t n =
		dgram->n < sizeof(sender->icmp[0].head) ? dgram->n : sizeof(sender->icmp[0].head);
	struct sim_event *ev = sim_event_new(icmp_arrives, sender, NULL, sender->host, n);
	if (!ev)
		return;
	ev->to = dgram->to;
	if (n)
		memcpy(ev->bytes, dgram->bytes, n);
	sim_schedule(s, ev, s->now_us + sim_delay_us(dgram->host, sender->host));
}

static void dgram_arrives(struct sim *s, struct sim_event *ev)
{
	struct sim_sock *to =
		ev->host->is_up ? sim_bound(ev->host, SIM_UDP, &ev->to, &ev->from) : NULL;
	if (to && to->rx_bytes + ev->n <= LIMIT_UDP_SOCKET_BYTES) {
		ev->next = NULL;
		if (to->rx_last)
			to->rx_last->next = ev;
		else
			to->rx_first = ev;
		to->rx_last = ev;
		to->rx_bytes += ev->n;
		sim_sock_check(to);
		return;
	}
	if (!to && ev->host->is_up && !ev->host->nat) /* a NAT keeps ICMP to itself */
		refuse(s, ev);
	sim_event_free(ev);
}

static void dgram_launch(struct sim *s, struct sim_sock *from, struct sim_host *host,
			 const struct sim_packet *p)
{
	struct sim_event *ev = sim_event_new(dgram_arrives, from, NULL, host, p->bytes.n);
	if (!ev)
		return; /* lost, like any datagram */
	ev->from = p->from;
	ev->to = p->to;
	if (p->bytes.n)
		memcpy(ev->bytes, p->bytes.p, p->bytes.n);
	sim_schedule(s, ev, s->now_us + sim_delay_us(from->host, host));
}

enum err sim_send(struct env_sock *sock, const void *p, size_t n, const struct addr *to,
		  const struct addr *from)
{
	struct sim_sock *u = (struct sim_sock *)(void *)sock;
	struct sim *s = u->host->sim;
	struct addr source = u->local;
	if (n > LIMIT_DATAGRAM_BYTES)
		return ERR_LIMIT;
	if (u->is_dead || to->family != u->local.family || to->port == 0)
		return ERR_NET;
	if (addr_is_any(&u->local)) {
		if (from && from->family == to->family && !addr_is_any(from))
			source = *from;
		else if (!source_of(u->host, to, &source))
			return ERR_NET;
		source.port = u->local.port;
	}
	struct sim_host *host = sim_host_at(u->host, to);
	struct addr inside = *to;
	bool is_out = u->host->nat && (!host || host->nat != u->host->nat);
	if (is_out && !sim_nat_out(u->host, &source, to))
		return OK; /* lost, like any datagram */
	if (!host)
		host = sim_nat_in(s, &source, &inside);
	const struct sim_link *l = sim_link_of(u->host, host);
	struct sim_packet pkt = {
		s->now_us, source, *to, false, false, {p, n}
        };
	bool is_too_big = l->drop_fragments && l->mtu && n + IP_HEADER_ROOM > l->mtu;
	pkt.is_lost = !host || is_too_big || sim_chance(s, l->loss);
	if (s->tap)
		s->tap(s->tap_arg, &pkt);
	if (pkt.is_lost)
		return OK;
	pkt.to = inside;
	dgram_launch(s, u, host, &pkt);
	if (sim_chance(s, l->duplicate))
		dgram_launch(s, u, host, &pkt);
	return OK;
}

enum err sim_recv(struct env_sock *sock, void *p, size_t cap, struct env_rx *rx)
{
	struct sim_sock *u = (struct sim_sock *)(void *)sock;
	if (u->is_icmp_new) {
		u->is_icmp_new = false;
		return ERR_NET;
	}
	struct sim_event *ev = u->rx_first;
	if (!ev)
		return ERR_MORE;
	u->rx_first = ev->next;
	if (!u->rx_first)
		u->rx_last = NULL;
	u->rx_bytes -= ev->n;
	rx->n = ev->n < cap ? ev->n : cap;
	rx->is_truncated = ev->n > cap;
	rx->from = ev->from;
	rx->to = ev->to;
	if (rx->n)
		memcpy(p, ev->bytes, rx->n);
	sim_event_free(ev);
	return OK;
}

enum err sim_icmp_next(struct env_sock *sock, struct env_icmp *out)
{
	struct sim_sock *u = (struct sim_sock *)(void *)sock;
	if (u->n_icmp == 0)
		return ERR_MORE;
	*out = u->icmp[0];
	memmove(u->icmp, u->icmp + 1, --u->n_icmp * sizeof(u->icmp[0]));
	return OK;
}
