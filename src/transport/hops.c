/* Dead next hops: where nobody answered, the connection was refused, or 503 came. [RFC3263 4.3]
 *
 * Such a hop is not skipped but tried last: it may be the only one, and it may be back. It is
 * forgotten when it answers, or after a while; then one request finds out, and may pay for it.
 *
 * Each shard has its own list and learns for itself: with n shards a dead hop costs n slow
 * requests, against a message to everybody for each failure, and a list that all of them write. The
 * list is an array that is searched whole: it is looked at for names with several addresses only,
 * and nearly always empty. When it is full, what would be forgotten first makes room.
 */
#include "transport/tp_priv.h"

#define DEAD_US     60'000'000u
#define DEAD_MAX_US 600'000'000u /* of a Retry-After */

static struct tp_hop *find(struct tp *tp, const struct tp_dst *dst)
{
	for (size_t i = 0; i < tp->n_hops; i++) {
		struct tp_hop *h = &tp->hops[i];
		if (h->proto == dst->proto && addr_eq(&h->to, &dst->to))
			return h;
	}
	return NULL;
}

static struct tp_hop *make_room(struct tp *tp)
{
	struct tp_hop *first = &tp->hops[0];
	if (tp->n_hops < ARRAY_LEN(tp->hops))
		return &tp->hops[tp->n_hops++];
	for (size_t i = 1; i < tp->n_hops; i++) {
		if (tp->hops[i].until_us < first->until_us)
			first = &tp->hops[i];
	}
	return first;
}

void tp_hop_failed(struct tp *tp, const struct tp_dst *dst, uint32_t for_s)
{
	if (dst->flow)
		return; /* its end is known without us */
	uint64_t us = for_s ? for_s * UINT64_C(1'000'000) : DEAD_US;
	struct tp_hop *h = find(tp, dst);
	if (!h)
		h = make_room(tp);
	*h = (struct tp_hop){.to = dst->to, .proto = (uint8_t)dst->proto};
	h->until_us = tp_now(tp) + (us < DEAD_MAX_US ? us : DEAD_MAX_US);
	tp->stats.n_dead_hops++;
}

void tp_hop_answered(struct tp *tp, const struct tp_dst *dst)
{
	struct tp_hop *h = tp->n_hops ? find(tp, dst) : NULL;
	if (h)
		*h = tp->hops[--tp->n_hops];
}

bool tp_hop_is_dead(struct tp *tp, const struct tp_dst *dst)
{
	const struct tp_hop *h = tp->n_hops ? find(tp, dst) : NULL;
	return h && h->until_us > tp_now(tp);
}

void tp_hops_last(struct tp *tp, struct tp_targets *t)
{
	struct tp_targets sorted;
	size_t n = 0;
	if (!tp->n_hops || t->n < 2)
		return;
	for (int is_dead = 0; is_dead < 2; is_dead++) {
		for (size_t i = 0; i < t->n; i++) {
			if (tp_hop_is_dead(tp, &t->dst[i]) == is_dead)
				sorted.dst[n++] = t->dst[i];
		}
	}
	sorted.n = n;
	*t = sorted;
}
