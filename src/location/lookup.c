/* Reading bindings, from any shard, without locks.
 *
 * A reader hashes the AOR, takes the slice's array and the record; both stay as they are until the
 * end of its turn. What cannot stand in the record (is the connection up?) is asked of the reader's
 * own transport.
 *
 * Where a request goes, by RFC 3261 16.5 and what real phones taught: a phone that registered over
 * a connection is reached over that connection or not at all; a UDP phone behind NAT at the address
 * that it sent from; a phone behind an edge proxy by its Path; everybody else by the Contact's URI.
 */
#include "location/location_priv.h"

#include "base/assert.h"

#include <string.h>

const struct loc_rec *loc_get(struct loc *l, struct str aor)
{
	uint64_t hash = loc_hash(l, aor);
	return loc_table_find(&l->shard[hash % l->n].table, hash, aor);
}

static bool is_flow_down(const struct loc_shard *reader, const struct loc_item *i)
{
	return i->flow && (i->is_down || (reader->tp && !tp_flow_is_up(reader->tp, i->flow)));
}

void loc_binding_of(struct loc_shard *owner, const struct loc_item *i, uint32_t now,
		    struct loc_binding *out)
{
	*out = (struct loc_binding){
		.uri = i->uri,
		.q = i->q,
		.is_down = i->is_down,
		.is_nated = i->is_nated,
		.proto = i->proto,
		.expires_s = i->expires > now ? i->expires - now : 0,
		.age_s = now > i->updated ? now - i->updated : 0,
		.cseq = i->cseq,
		.reg_id = i->reg_id,
		.call_id = i->call_id,
		.path = i->path,
		.user_agent = loc_agent_text(owner, i->agent),
		.instance = i->instance,
		.from = i->from,
		.to = i->to,
		.flow = i->flow,
	};
}

bool loc_next(struct loc *l, size_t shard, const struct loc_rec *r, size_t *cursor,
	      struct loc_binding *out, struct loc_scratch *scratch)
{
	struct loc_item item;
	uint32_t now = loc_now_s(&l->shard[shard]);
	size_t n;
	const uint8_t *p = loc_rec_contacts(r, &n);
	while (loc_item_next(p, n, cursor, &item, scratch)) {
		if (item.expires <= now)
			continue;
		loc_binding_of(&l->shard[r->shard], &item, now, out);
		out->is_down = is_flow_down(&l->shard[shard], &item);
		return true;
	}
	return false;
}

static void fill_target(const struct loc_item *i, struct loc_target *out)
{
	*out = (struct loc_target){.uri = i->uri, .path = i->path, .q = i->q};
	if (i->path.n || (!i->flow && !i->is_nated))
		return;
	out->has_dst = true;
	out->dst = (struct tp_dst){.proto = (enum tp_proto)i->proto,
				   .to = i->from,
				   .from = i->to,
				   .flow = i->flow,
				   .is_fixed = true};
}

struct ranked {
	struct loc_target t;
	uint32_t updated;
	uint64_t instance; /* a hash of it, 0: none */
};

/* Of the contacts of one instance the first in order is asked; the others stand in for it. */
static void group(const struct ranked *found, struct loc_targets *out)
{
	for (size_t i = 1; i < out->n; i++) {
		for (size_t k = 0; k < i && found[i].instance && !out->t[i].backup_of; k++)
			if (found[k].instance == found[i].instance)
				out->t[i].backup_of = (uint8_t)(k + 1);
	}
}

static bool goes_before(const struct loc_item *i, const struct ranked *r)
{
	return i->q != r->t.q ? i->q > r->t.q : i->updated >= r->updated;
}

enum err loc_lookup_some(struct loc *l, size_t shard, struct str aor, loc_pick_fn *fn, void *ctx,
			 struct loc_targets *out)
{
	struct ranked found[LOC_MAX_TARGETS];
	struct loc_scratch scratch;
	struct loc_item item;
	const struct loc_rec *r = loc_get(l, aor);
	uint32_t now = loc_now_s(&l->shard[shard]);
	size_t n, off = 0;
	out->n = out->n_down = 0;
	if (!r)
		return ERR_NOTFOUND;
	const uint8_t *p = loc_rec_contacts(r, &n);
	while (loc_item_next(p, n, &off, &item, &scratch)) {
		if (item.expires <= now || (fn && !fn(ctx, item.instance, item.call_id)))
			continue;
		if (is_flow_down(&l->shard[shard], &item)) {
			out->n_down++;
			continue;
		}
		size_t at = out->n;
		while (at > 0 && goes_before(&item, &found[at - 1]))
			at--;
		if (at == LOC_MAX_TARGETS)
			continue;
		size_t n_after = (out->n < LOC_MAX_TARGETS ? out->n : LOC_MAX_TARGETS - 1) - at;
		memmove(&found[at + 1], &found[at], n_after * sizeof(found[0]));
		fill_target(&item, &found[at].t);
		found[at].updated = item.updated;
		found[at].instance =
			item.instance.n ? htab_hash(l->key, item.instance.p, item.instance.n) : 0;
		out->n = at + n_after + 1;
	}
	for (size_t i = 0; i < out->n; i++)
		out->t[i] = found[i].t;
	group(found, out);
	return out->n || out->n_down ? OK : ERR_NOTFOUND;
}

enum err loc_lookup(struct loc *l, size_t shard, struct str aor, struct loc_targets *out)
{
	return loc_lookup_some(l, shard, aor, NULL, NULL, out);
}

static bool each_of(struct loc_slice *sl,
		    bool (*fn)(void *arg, struct str aor, const struct loc_rec *r), void *arg)
{
	const struct loc_slots *s = ev_snap_get(&sl->slots);
	for (size_t i = 0; s && i < s->cap; i++) {
		const struct loc_rec *r = loc_slot_get(s, i);
		if (r && !fn(arg, loc_rec_aor(r), r))
			return false;
	}
	return true;
}

void loc_each_of(struct loc *l, size_t of_shard, unsigned part,
		 bool (*fn)(void *arg, struct str aor, const struct loc_rec *r), void *arg)
{
	(void)each_of(&l->shard[of_shard].table.slice[part], fn, arg);
}

void loc_each(struct loc *l, size_t of_shard,
	      bool (*fn)(void *arg, struct str aor, const struct loc_rec *r), void *arg)
{
	for (unsigned k = 0; k < LOC_SLICES; k++)
		if (!each_of(&l->shard[of_shard].table.slice[k], fn, arg))
			return;
}
