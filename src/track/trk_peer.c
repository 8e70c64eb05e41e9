/* Who speaks in a call: its addresses and the tags of its ends, each kept once; a row has their
 * numbers only.
 *
 *	live     three addresses in the call, more on the heap
 *	file     the first two as a pair, which the calls of a phone have in common; more in the
 *heap of the file
 */
#include "track/trk_priv.h"

#include <stdlib.h>
#include <string.h>

static bool more_peers(struct trk_call *c)
{
	unsigned cap = c->peers_cap < 8 ? 8 : TRK_MAX_PEERS;
	bool is_own = c->peers == c->first_peers;
	struct trk_peer *p = realloc(is_own ? NULL : (void *)(uintptr_t)c->peers, cap * sizeof *p);
	if (!p)
		return false;
	if (is_own)
		memcpy(p, c->first_peers, sizeof c->first_peers);
	c->peers = p;
	c->peers_cap = (uint8_t)cap;
	return true;
}

/* In a file pairs are kept once: a phone registers at the same exchange again and again. */
static bool keep_pair(struct trk *t, struct trk_call *c, const struct trk_peer *pair, unsigned n)
{
	struct str bytes = str_of((const char *)pair, n * sizeof *pair);
	const struct trk_name *x = trk_name_keep(t, c, bytes, STR_NONE);
	if (x)
		c->peers = (const struct trk_peer *)(const void *)x->text;
	return x;
}

/* Longer lists are the call's; what is outgrown is not given back, but most calls have three. */
static bool add_peer_in_file(struct trk *t, struct trk_call *c, const struct trk_peer *peer)
{
	unsigned n = c->n_peers, cap = n < 3 ? 3 : n < 8 ? 8 : TRK_MAX_PEERS;
	if (n < 2) {
		struct trk_peer pair[2];
		if (n)
			pair[0] = c->peers[0];
		pair[n] = *peer;
		return keep_pair(t, c, pair, n + 1);
	}
	if (n >= c->peers_cap) {
		struct trk_peer *p = trk_heap(t, cap * sizeof *p, _Alignof(struct trk_peer));
		if (!p)
			return false;
		memcpy(p, c->peers, n * sizeof *p);
		c->peers = p;
		c->peers_cap = (uint8_t)cap;
	}
	memcpy((struct trk_peer *)(uintptr_t)c->peers + n, peer, sizeof *peer);
	return true;
}

static bool add_peer(struct trk *t, struct trk_call *c, const struct addr *a,
		     enum trk_transport transport)
{
	struct trk_peer x = trk_peer(a, transport);
	if (!t->cfg.is_live)
		return add_peer_in_file(t, c, &x);
	if (c->n_peers == c->peers_cap && !more_peers(c))
		return false;
	memcpy((struct trk_peer *)(uintptr_t)c->peers + c->n_peers, &x, sizeof x);
	return true;
}

uint8_t trk_peer_of(struct trk *t, struct trk_call *c, const struct addr *a,
		    enum trk_transport transport)
{
	for (unsigned i = 0; i < c->n_peers; i++)
		if (addr_eq(&c->peers[i].addr, a))
			return (uint8_t)i;
	if (c->n_peers == TRK_MAX_PEERS) {
		c->is_cut = true;
		return TRK_MAX_PEERS - 1;
	}
	if (!add_peer(t, c, a, transport)) {
		c->is_cut = true;
		return (uint8_t)(c->n_peers ? c->n_peers - 1 : 0);
	}
	return c->n_peers++;
}

uint8_t trk_tag_of(struct trk_call *c, uint32_t hash)
{
	if (!hash)
		return 0;
	uint16_t h = (uint16_t)hash;
	unsigned i = 0;
	while (i < c->n_tags && c->tags[i] != h)
		i++;
	if (i == c->n_tags) {
		if (i == ARRAY_LEN(c->tags))
			return (uint8_t)i;
		c->tags[c->n_tags++] = h;
	}
	return (uint8_t)(i + 1);
}
