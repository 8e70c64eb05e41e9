/* Who is who: an address and what it calls itself. A card without a name takes the first one that
 * it hears; where a card of that name is there already, the two become one and the empty one is not
 * shown. Both tables are bounded: beyond, peers share one card, and addresses are looked up by name
 * alone. */
#include "base/assert.h"
#include "lint/lint_priv.h"

#include <stdlib.h>
#include <string.h>

static uint64_t peer_hash(const struct lint *l, const struct addr *ip, struct str agent,
			  bool behind)
{
	struct addr bare = *ip;
	bare.port = 0;
	return htab_hash(l->hash_key, agent.p ? agent.p : "", agent.n) ^
	       addr_hash(l->hash_key, &bare) ^ behind;
}

static struct lint_peer *peer_find(const struct lint *l, const struct addr *ip, struct str agent,
				   bool behind)
{
	struct hnode *n = htab_first(&l->peers, peer_hash(l, ip, agent, behind));
	for (; n; n = htab_next(n)) {
		struct lint_peer *p = CONTAINER_OF(n, struct lint_peer, node);
		if (addr_ip_eq(&p->addr, ip) && str_eq(str_c(p->agent), agent) &&
		    p->is_behind == behind)
			return p;
	}
	return NULL;
}

static struct lint_peer *peer_new(struct lint *l)
{
	struct lint_peer *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	if (l->last)
		l->last->next = p;
	else
		l->first = p;
	l->last = p;
	return p;
}

static struct lint_peer *peer_get(struct lint *l, const struct addr *ip, struct str agent,
				  bool behind)
{
	struct lint_peer *p = peer_find(l, ip, agent, behind);
	if (p || (l->n_peers >= l->cfg.max_peers && (p = l->rest)))
		return p;
	p = peer_new(l);
	if (!p)
		return NULL;
	if (l->n_peers >= l->cfg.max_peers) {
		p->is_rest = true;
		return l->rest = p;
	}
	l->n_peers++;
	p->addr = *ip;
	p->addr.port = 0;
	p->is_behind = behind;
	(void)str_copy(p->agent, sizeof p->agent, agent);
	htab_add(&l->peers, &p->node, peer_hash(l, ip, agent, behind));
	return p;
}

/* A card that had no name gets one, unless another bears it already: then that takes it over, and
 * the empty one is not shown. */
static void peer_name(struct lint *l, struct lint_peer *p, struct lint_peer *other,
		      struct str agent)
{
	if (!other) {
		htab_del(&l->peers, &p->node);
		(void)str_copy(p->agent, sizeof p->agent, agent);
		htab_add(&l->peers, &p->node, peer_hash(l, &p->addr, agent, p->is_behind));
		return;
	}
	for (struct lint_kind *k = p->kinds, *next; k; k = next) {
		next = k->next;
		struct lint_kind *o = lint_kind_of(other, (enum lint_rule)k->rule);
		if (o) {
			o->count += k->count;
			free(k);
			continue;
		}
		k->next = other->kinds;
		other->kinds = k;
		other->n_kinds[lint_about((enum lint_rule)k->rule)->severity]++;
	}
	for (unsigned s = 0; s < 3; s++)
		other->n_found[s] += p->n_found[s];
	other->n_messages += p->n_messages;
	other->n_passed += p->n_passed;
	other->n_copies += p->n_copies;
	p->kinds = NULL;
	memset(p->n_found, 0, sizeof p->n_found);
	memset(p->n_kinds, 0, sizeof p->n_kinds);
	p->n_messages = p->n_passed = p->n_copies = p->n_selves = 0;
}

static struct lint_self *self_find(const struct lint *l, const struct addr *a)
{
	struct hnode *n = htab_first(&l->selves, addr_hash(l->hash_key, a));
	for (; n; n = htab_next(n)) {
		struct lint_self *s = CONTAINER_OF(n, struct lint_self, node);
		if (addr_eq(&s->addr, a))
			return s;
	}
	return NULL;
}

static struct lint_self *self_get(struct lint *l, const struct addr *a)
{
	struct lint_self *s = self_find(l, a);
	if (s || l->n_selves >= 8 * l->cfg.max_peers)
		return s;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->addr = *a;
	l->n_selves++;
	htab_add(&l->selves, &s->node, addr_hash(l->hash_key, a));
	return s;
}

/* Who sits at an address, given what a message of its own calls it (agent may be empty). */
struct lint_peer *lint_peer_at(struct lint *l, const struct addr *a, struct str agent)
{
	struct lint_self *s = self_get(l, a);
	struct lint_peer *now = s ? s->peer : NULL;
	if (now && (!agent.n || now->is_rest || str_eq(str_c(now->agent), agent)))
		return now;
	struct lint_peer *named = agent.n ? peer_find(l, a, agent, false) : NULL;
	if (now && !now->agent[0] && now->n_selves == 1) {
		peer_name(l, now, named, agent);
		named = named ? named : now;
	}
	if (!named)
		named = peer_get(l, a, agent, false);
	if (s && named && s->peer != named) {
		s->peer = named;
		named->n_selves++;
	}
	return named;
}

static struct str agent_of(const struct lint_at *a)
{
	static const enum sip_hdr_id ids[2][2] = {
		{SIP_HDR_SERVER,     SIP_HDR_USER_AGENT},
                {SIP_HDR_USER_AGENT, SIP_HDR_SERVER    }
        };
	struct str s = STR_NONE;
	for (unsigned i = 0; i < 2 && !s.n; i++)
		s = sip_value(a->m, ids[a->m->is_request][i]);
	s = str_sub(s, 0, sizeof(((struct lint_peer *)0)->agent) - 1);
	return str_sub(s, 0, str_chr(s, '\0'));
}

void lint_find_peers(struct lint_at *a)
{
	struct str agent = agent_of(a);
	if (!a->is_forwarded) {
		a->author = a->sender = lint_peer_at(a->l, &a->p->from, agent);
	} else {
		a->sender = lint_peer_at(a->l, &a->p->from, STR_NONE);
		a->author = a->is_passed ? a->sender : peer_get(a->l, &a->p->from, agent, true);
	}
	if (!a->author || !a->sender)
		a->err = ERR_NOMEM;
	if (!a->is_shown)
		return;
	if (a->author && !a->is_passed)
		a->author->n_messages++;
	if (a->sender && a->is_forwarded)
		a->sender->n_passed++;
}
