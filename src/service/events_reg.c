/* Contacts that have ended: a watcher of registrations hears once how each did, in the document
 * that has it no more among the living. Kept until all who watch have been told, the latest few of
 * an address; what is not kept is only missing there, which says that it has ended, too. [RFC3680
 * 3, 5.1] */
#include "service/events_priv.h"
#include "service/pidf.h"

#include <stdlib.h>
#include <string.h>

#define KEPT 16u

struct gone {
	struct link link; /* of res->gone */
	uint32_t stamp, id;
	bool is_expired;
	size_t n;
	char uri[];
};

/* Two flows of a phone may have one URI: their numbers tell them apart [RFC3680 5.1]. */
uint32_t evt_contact_id(const struct loc_binding *c)
{
	return (uint32_t)(hash_quick32(c->uri) ^ hash_quick32(c->instance) ^ c->reg_id);
}

static void forget(struct evt_res *r, struct gone *g)
{
	list_del(&g->link);
	free(g);
	r->n_gone--;
}

void evt_gone_note(struct evt_res *r, const struct loc_event *ev)
{
	const struct loc_binding *c = ev->binding;
	uint32_t id = evt_contact_id(c);
	LIST_EACH (&r->gone, l) {
		struct gone *g = LIST_ENTRY(l, struct gone, link);
		if (g->id == id || r->n_gone >= KEPT)
			forget(r, g);
	}
	bool is_end = ev->kind == LOC_REMOVED || ev->kind == LOC_EXPIRED;
	struct gone *g = is_end && r->n_watchers[EVT_REG] ? calloc(1, sizeof(*g) + c->uri.n) : NULL;
	if (!g)
		return;
	g->stamp = r->stamp + 1;
	g->id = id;
	g->is_expired = ev->kind == LOC_EXPIRED;
	g->n = c->uri.n;
	memcpy(g->uri, c->uri.p, c->uri.n);
	list_push(&r->gone, &g->link);
	r->n_gone++;
}

void evt_gone_told(struct evt_res *r)
{
	uint32_t seen = UINT32_MAX;
	if (!r->n_gone)
		return;
	LIST_EACH (&r->watchers, l) {
		const struct evt_watcher *w = LIST_ENTRY(l, struct evt_watcher, link);
		if (w->pkg == EVT_REG && w->seen < seen)
			seen = w->seen;
	}
	LIST_EACH (&r->gone, l) {
		struct gone *g = LIST_ENTRY(l, struct gone, link);
		if (g->stamp <= seen)
			forget(r, g);
	}
}

void evt_gone_free(struct evt_res *r)
{
	LIST_EACH (&r->gone, l)
		forget(r, LIST_ENTRY(l, struct gone, link));
}

bool evt_gone_has(const struct evt_view *v)
{
	return v->res && v->has_seen && v->res->n_gone &&
	       LIST_ENTRY(v->res->gone.prev, struct gone, link)->stamp > v->since;
}

void evt_gone_put(const struct evt_view *v, struct buf *b)
{
	if (!evt_gone_has(v))
		return;
	LIST_EACH (&v->res->gone, l) {
		const struct gone *g = LIST_ENTRY(l, struct gone, link);
		if (g->stamp <= v->since)
			continue;
		buf_fmt(b, "<contact id=\"c%08x\" state=\"terminated\" event=\"%s\"><uri>", g->id,
			g->is_expired ? "expired" : "unregistered");
		xml_put(b, str_of(g->uri, g->n));
		buf_str(b, STR("</uri></contact>\n"));
	}
}
