/* User-Agents of phones: few different ones as a rule, so a contact has a number, and the text is
 * kept once for its shard. Where phones name their own address or serial number there are as many
 * as phones: then numbers that nobody has any more are found by the tick's walk over all records,
 * and given again.
 *
 * Invariants: 1. A number is nobody's when two whole walks, of 16 s each, have met it in no record,
 * and no change has asked for it: no reader's turn and no change under way takes so long. 2.
 * Without a number that is free, or memory, a contact has none: 0. */
#include "location/location_priv.h"

#include <stdlib.h>
#include <string.h>

#define AGENT_MAX  64u /* bytes kept of a User-Agent */
#define MANY       (LOC_AGENTS / 4 * 3)
#define WALKS_LEFT 2u

struct loc_agent {
	struct hnode node;
	struct ev_retired retired;
	uint32_t walk; /* the last one that met it */
	uint16_t id, n;
	char text[];
};

struct loc_agent_page {
	ev_snap agent[LOC_AGENT_PAGE];
};

static ev_snap *slot_of(struct loc_agents *g, uint32_t id)
{
	struct loc_agent_page *page = ev_snap_get(&g->page[id / LOC_AGENT_PAGE]);
	return page ? &page->agent[id % LOC_AGENT_PAGE] : NULL;
}

static struct loc_agent *at(struct loc_agents *g, uint32_t id)
{
	ev_snap *slot = id ? slot_of(g, id) : NULL;
	return slot ? ev_snap_get(slot) : NULL;
}

/* A number that is free, and the page that it is on; 0: none. */
static uint32_t find_id(struct loc_agents *g)
{
	if (g->n + 1 >= LOC_AGENTS)
		return 0;
	do
		g->last = g->last + 1 < LOC_AGENTS ? g->last + 1 : 1;
	while (at(g, g->last));
	if (!slot_of(g, g->last)) {
		struct loc_agent_page *page = calloc(1, sizeof(*page));
		if (!page)
			return 0;
		ev_snap_set(&g->page[g->last / LOC_AGENT_PAGE], page);
	}
	return g->last;
}

uint16_t loc_agent_id(struct loc_shard *s, struct str text)
{
	struct loc_agents *g = &s->agents;
	text = str_sub(text, 0, AGENT_MAX);
	if (!text.n)
		return 0;
	uint64_t h = htab_hash(s->all->key, text.p, text.n);
	for (struct hnode *k = htab_first(&g->by_text, h); k; k = htab_next(k)) {
		struct loc_agent *a = CONTAINER_OF(k, struct loc_agent, node);
		if (str_eq(str_of(a->text, a->n), text)) {
			a->walk = g->walk;
			return a->id;
		}
	}
	uint32_t id = find_id(g);
	struct loc_agent *a = id ? malloc(sizeof(*a) + text.n) : NULL;
	if (!a)
		return 0;
	*a = (struct loc_agent){.walk = g->walk, .id = (uint16_t)id, .n = (uint16_t)text.n};
	memcpy(a->text, text.p, text.n);
	htab_add(&g->by_text, &a->node, h);
	ev_snap_set(slot_of(g, id), a);
	g->n++;
	return a->id;
}

struct str loc_agent_text(struct loc_shard *s, uint16_t id)
{
	const struct loc_agent *a = at(&s->agents, id);
	return a ? str_of(a->text, a->n) : STR_NONE;
}

/* ---- numbers that nobody has ----------------------------------------------------------------- */

static void mark(void *arg, struct loc_rec *r)
{
	struct loc_shard *s = arg;
	struct loc_scratch scratch;
	struct loc_item item;
	size_t n, off = 0;
	const uint8_t *p = loc_rec_contacts(r, &n);
	while (loc_item_next(p, n, &off, &item, &scratch)) {
		struct loc_agent *a = at(&s->agents, item.agent);
		if (a)
			a->walk = s->agents.walk;
	}
}

static void free_retired(struct ev_retired *node)
{
	free(CONTAINER_OF(node, struct loc_agent, retired));
}

static void drop_unmet(void *arg, struct hnode *node)
{
	struct loc_shard *s = arg;
	struct loc_agents *g = &s->agents;
	struct loc_agent *a = CONTAINER_OF(node, struct loc_agent, node);
	if (g->walk - a->walk <= WALKS_LEFT)
		return;
	htab_del(&g->by_text, node);
	ev_snap_set(slot_of(g, a->id), NULL);
	g->n--;
	ev_retire(s->loop, &a->retired, free_retired);
}

void loc_agents_walk(struct loc_shard *s, struct loc_slice *sl, bool is_last)
{
	if (s->agents.n < MANY)
		return;
	loc_slice_each(sl, mark, s);
	if (!is_last)
		return;
	s->agents.walk++;
	htab_each(&s->agents.by_text, drop_unmet, s);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum err loc_agents_init(struct loc_agents *g)
{
	return htab_init(&g->by_text, 64);
}

static void free_agent(void *arg, struct hnode *node)
{
	free(CONTAINER_OF(node, struct loc_agent, node));
}

void loc_agents_fini(struct loc_agents *g)
{
	if (g->by_text.buckets)
		htab_each(&g->by_text, free_agent, NULL);
	htab_fini(&g->by_text);
	for (size_t i = 0; i < LOC_AGENTS / LOC_AGENT_PAGE; i++)
		free(ev_snap_get(&g->page[i]));
}
