/* A simulated NAT, as routers in homes and offices have one.
 *
 * Each address and port inside has one port outside, whatever it sends to [RFC4787 4.1]; in comes
 * only what is from an address and port that was sent to before [RFC4787 5]. A mapping lives
 * idle_us after the last datagram that went out: what comes in does not keep it alive
 * [RFC4787 4.3]. Ports outside are given in turn, so that none is what it was inside.
 *
 * Of TCP only the address that the listener sees is translated; its connections know each other
 * without a network in between.
 *
 * Invariants: 1. A mapping that is over is never used again: its port goes to the next one at the
 * earliest after all others. 2. Hosts outside cannot reach an inside address at all.
 */
#include "event/sim_priv.h"

#include <stdlib.h>

#define PORT_FIRST 10'000
#define PEERS      16 /* let in by one mapping; the one added longest ago makes room */

struct sim_map {
	struct link link;
	struct addr inside;
	struct sim_host *host;
	uint16_t port;
	uint64_t used_us;
	struct addr peer[PEERS];
	unsigned n_peers;
};

struct sim_nat {
	struct link link; /* in sim.nats */
	struct sim *sim;
	struct addr outside;
	uint64_t idle_us;
	uint16_t next_port;
	struct link maps;
};

enum err sim_nat_new(struct sim *s, const struct addr *outside, uint64_t idle_us,
		     struct sim_nat **out)
{
	struct sim_nat *n = calloc(1, sizeof(*n));
	if (!n)
		return ERR_NOMEM;
	n->sim = s;
	n->outside = *outside;
	n->idle_us = idle_us;
	n->next_port = PORT_FIRST;
	list_init(&n->maps);
	list_push(&s->nats, &n->link);
	*out = n;
	return OK;
}

void sim_nat_add(struct sim_nat *n, struct sim_host *h)
{
	h->nat = n;
}

void sim_nat_restart(struct sim_nat *n)
{
	for (struct link *l; (l = list_pop(&n->maps));)
		free(LIST_ENTRY(l, struct sim_map, link));
}

void sim_nats_free(struct sim *s)
{
	for (struct link *l; (l = list_pop(&s->nats));) {
		struct sim_nat *n = LIST_ENTRY(l, struct sim_nat, link);
		sim_nat_restart(n);
		free(n);
	}
}

static void forget_old(struct sim_nat *n)
{
	LIST_EACH (&n->maps, l) {
		struct sim_map *m = LIST_ENTRY(l, struct sim_map, link);
		if (n->sim->now_us - m->used_us < n->idle_us)
			continue;
		list_del(&m->link);
		free(m);
	}
}

static struct sim_map *map_of(struct sim_nat *n, struct sim_host *h, const struct addr *inside)
{
	LIST_EACH (&n->maps, l) {
		struct sim_map *m = LIST_ENTRY(l, struct sim_map, link);
		if (addr_eq(&m->inside, inside))
			return m;
	}
	struct sim_map *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->inside = *inside;
	m->host = h;
	m->port = n->next_port++;
	list_push(&n->maps, &m->link);
	return m;
}

static bool lets_in(const struct sim_map *m, const struct addr *peer)
{
	for (unsigned i = 0; i < PEERS && i < m->n_peers; i++)
		if (addr_eq(&m->peer[i], peer))
			return true;
	return false;
}

bool sim_nat_out(struct sim_host *h, struct addr *source, const struct addr *to)
{
	struct sim_nat *n = h->nat;
	forget_old(n);
	struct sim_map *m = map_of(n, h, source);
	if (!m)
		return false;
	m->used_us = n->sim->now_us;
	if (!lets_in(m, to))
		m->peer[m->n_peers++ % PEERS] = *to;
	*source = n->outside;
	source->port = m->port;
	return true;
}

struct sim_host *sim_nat_in(struct sim *s, const struct addr *from, struct addr *to)
{
	LIST_EACH (&s->nats, l) {
		struct sim_nat *n = LIST_ENTRY(l, struct sim_nat, link);
		if (!addr_ip_eq(&n->outside, to))
			continue;
		forget_old(n);
		LIST_EACH (&n->maps, k) {
			struct sim_map *m = LIST_ENTRY(k, struct sim_map, link);
			if (m->port != to->port || !lets_in(m, from))
				continue;
			*to = m->inside;
			return m->host;
		}
	}
	return NULL;
}
