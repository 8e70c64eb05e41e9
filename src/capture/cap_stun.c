/* STUN transactions of a capture: a request, whoever sends it again, and what answers it.
 *
 * Wireshark tells requests from all else, an indication too, and does not ask who sent them.
 *
 * Invariants: `all` holds what the table holds, in the order of the transactions' beginnings.
 */
#include "capture/cap_stun.h"

#include "base/cut.h"
#include "base/hash.h"
#include "base/list.h"
#include "event/env.h"
#include "rtp/rtp.h"
#include "rtp/stun.h"

#include <stdlib.h>
#include <string.h>

struct key {
	uint32_t stream;
	uint8_t id[12];
};

struct transaction {
	struct hnode node;
	struct link link;
	struct key key;
	uint32_t request_frame, other_frame;
	int64_t first_ns;
};

struct cap_stuns {
	struct htab table;
	struct link all;
	uint8_t hash_key[16];
	size_t max;
};

bool cap_is_stun(const uint8_t *p, size_t n)
{
	struct stun_msg m;
	return n >= STUN_HDR && rtp_demux(p, n) == RTP_STUN && stun_parse(p, n, &m) == OK;
}

struct cap_stuns *cap_stuns_new(size_t max)
{
	struct cap_stuns *s = calloc(1, sizeof *s);
	if (!s || htab_init(&s->table, 64)) {
		free(s);
		return NULL;
	}
	env_entropy(s->hash_key, sizeof s->hash_key);
	list_init(&s->all);
	s->max = max;
	return s;
}

static void forget_eldest(struct cap_stuns *s)
{
	struct transaction *t = LIST_ENTRY(s->all.next, struct transaction, link);
	htab_del(&s->table, &t->node);
	list_del(&t->link);
	free(t);
}

void cap_stuns_free(struct cap_stuns *s)
{
	if (!s)
		return;
	while (!list_is_empty(&s->all))
		forget_eldest(s);
	htab_fini(&s->table);
	free(s);
}

static struct transaction *transaction_of(struct cap_stuns *s, const struct key *key, int64_t at_ns)
{
	uint64_t hash = htab_hash(s->hash_key, key, sizeof *key);
	struct transaction *t;
	for (struct hnode *n = htab_first(&s->table, hash); n; n = htab_next(n)) {
		t = CONTAINER_OF(n, struct transaction, node);
		if (!memcmp(&t->key, key, sizeof *key))
			return t;
	}
	if (s->max && s->table.n >= s->max)
		forget_eldest(s);
	t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->key = *key;
	t->first_ns = at_ns;
	htab_add(&s->table, &t->node, hash);
	list_push(&s->all, &t->link);
	return t;
}

struct cap_stun_seen cap_stuns_add(struct cap_stuns *s, uint32_t stream, const uint8_t *p,
				   const struct cap_rec *r)
{
	enum { CLASS = 0x0110, REQUEST = 0, ID = 8 };
	struct key key = {.stream = stream};
	memcpy(key.id, p + ID, sizeof key.id);
	struct transaction *t = transaction_of(s, &key, r->at_ns);
	if (!t)
		return (struct cap_stun_seen){0};
	uint32_t *frame = (be16(p) & CLASS) == REQUEST ? &t->request_frame : &t->other_frame;
	if (!*frame)
		*frame = r->no;
	return (struct cap_stun_seen){t->request_frame, t->other_frame, r->at_ns - t->first_ns};
}
