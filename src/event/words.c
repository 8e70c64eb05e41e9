/* Words that one shard writes and all read: facts about its objects, seen from everywhere without a
 * message. A reader sees a word as it was at some moment not long ago; what follows from it must be
 * true even if the word changes at once (a connection that was up a moment ago may refuse the
 * send).
 *
 * The table is allocated zeroed and large; pages never written are never backed by memory. The
 * shard that lends it owns it and frees it only when the others have ended. Release and acquire, so
 * that who sees a word sees what its writer did before.
 */

#include "event/shard_priv.h"

#include <stdlib.h>

struct ev_words {
	size_t n;
	_Atomic(uint32_t) word[];
};

enum err ev_words_new(size_t n, struct ev_words **out)
{
	struct ev_words *w = calloc(1, sizeof(*w) + n * sizeof(w->word[0]));
	if (!w)
		return ERR_NOMEM;
	w->n = n;
	*out = w;
	return OK;
}

void ev_words_free(struct ev_words *w)
{
	free(w);
}

void ev_words_set(struct ev_words *w, size_t i, uint32_t v)
{
	if (i < w->n)
		atomic_store_explicit(&w->word[i], v, memory_order_release);
}

uint32_t ev_words_add(struct ev_words *w, size_t i, int32_t by)
{
	if (i >= w->n)
		return 0;
	return atomic_fetch_add_explicit(&w->word[i], (uint32_t)by, memory_order_acq_rel) +
	       (uint32_t)by;
}

uint32_t ev_words_get(const struct ev_words *w, size_t i)
{
	return i < w->n ? atomic_load_explicit(&w->word[i], memory_order_acquire) : 0;
}

void ev_lend(struct ev_shards *s, size_t shard, struct ev_words *w)
{
	ASSERT(shard < s->n);
	atomic_store_explicit(&s->shard[shard]->lent, w, memory_order_release);
}

const struct ev_words *ev_lent(struct ev_shards *s, size_t shard)
{
	ASSERT(shard < s->n);
	return atomic_load_explicit(&s->shard[shard]->lent, memory_order_acquire);
}
