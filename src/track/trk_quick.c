/* Registrations that go well, in a live tracker that is not asked to tell of them.
 *
 * An exchange sees thousands of them a second, and nobody hears of any. So a REGISTER is put aside
 * as it is, not indexed: its Call-ID is found, its bytes are kept. When the answers are those of a
 * registration that goes well (200; or 401, REGISTER, 200), each once and soon, the bytes are
 * forgotten and only the counters know. Whatever else happens under that Call-ID, or if nothing
 * does for WAIT_US, what was put aside is handed to the tracker in its order, and that registration
 * is tracked like everything else, with its times and its evidence.
 *
 *	SENT ── 401 ──► CHALLENGED ── REGISTER ──► SENT_AGAIN
 *	  └── 200 ──► DONE ◄── 200 ──────────────────┘		a late copy finds DONE and is
 *counted
 *
 * Invariants:
 * 1. A Call-ID is known here or to the tracker, not to both.
 * 2. An entry that is not DONE has its text; its messages were not counted yet.
 * 3. Entries are in one list per deadline, oldest first. At most MAX_ENTRIES; beyond it a REGISTER
 *    goes the long way.
 */
#include "base/block.h"
#include "track/trk_priv.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_US     4'000'000u /* 8*T1: by then something is wrong */
#define LINGER_US   5'000'000u
#define MAX_ENTRIES 65'536u
#define TEXT_BYTES  4'096u /* a block: three messages of a usual phone */
#define MESSAGES    3u

enum state { SENT, CHALLENGED, SENT_AGAIN, DONE };

struct text {
	struct trk_packet packet[MESSAGES]; /* their bytes point to what follows */
	uint32_t n;
	char bytes[];
};
#define TEXT_MAX (TEXT_BYTES - sizeof(struct text))

struct entry {
	struct hnode node;
	struct link age;
	uint64_t due_us;
	struct text *text;
	uint8_t state, n_messages;
};

struct trk_quick {
	struct htab entries;
	struct pool entries_of;
	struct block_cache texts;
	struct link waiting, done;
};

struct trk_quick *trk_quick_new(void)
{
	struct trk_quick *q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	pool_init(&q->entries_of, sizeof(struct entry), MAX_ENTRIES, 3, 0);
	list_init(&q->waiting);
	list_init(&q->done);
	if (htab_init(&q->entries, 1024)) {
		trk_quick_free(q);
		return NULL;
	}
	return q;
}

void trk_quick_free(struct trk_quick *q)
{
	if (!q)
		return;
	uint32_t cursor = 0;
	for (struct entry *e; (e = pool_next(&q->entries_of, &cursor));)
		block_put(NULL, e->text);
	block_cache_fini(&q->texts);
	pool_fini(&q->entries_of);
	htab_fini(&q->entries);
	free(q);
}

static void drop_text(struct trk_quick *q, struct entry *e)
{
	block_put(&q->texts, e->text);
	e->text = NULL;
}

static void entry_free(struct trk_quick *q, struct entry *e)
{
	drop_text(q, e);
	list_del(&e->age);
	htab_del(&q->entries, &e->node);
	pool_put(&q->entries_of, e);
}

static void hand_over(struct trk *t, struct entry *e)
{
	struct trk_quick *q = t->quick;
	struct text *x = e->text;
	unsigned n = e->n_messages;
	uint64_t last_us = t->stats.last_us;
	e->text = NULL;
	entry_free(q, e);
	for (unsigned i = 0; x && i < n; i++) {
		enum err err = trk_take(t, &x->packet[i], NULL);
		(void)err; /* counted by the tracker */
	}
	block_put(&q->texts, x);
	if (last_us > t->stats.last_us)
		t->stats.last_us = last_us;
}

static bool put_aside(struct entry *e, const struct trk_packet *p)
{
	struct text *x = e->text;
	if (e->n_messages == MESSAGES || p->bytes.n > TEXT_MAX - x->n)
		return false;
	memcpy(x->bytes + x->n, p->bytes.p, p->bytes.n);
	x->packet[e->n_messages] = *p;
	x->packet[e->n_messages++].bytes.p = x->bytes + x->n;
	x->n += (uint32_t)p->bytes.n;
	return true;
}

static void keep_until(struct trk *t, struct entry *e, struct link *list, uint64_t delay_us)
{
	list_del(&e->age);
	e->due_us = t->now_us + delay_us;
	list_push(list, &e->age);
}

static void went_well(struct trk *t, struct entry *e, const struct trk_packet *last)
{
	struct trk_stats *s = &t->stats;
	const struct text *x = e->text;
	if (!s->n_messages)
		s->first_us = x->packet[0].at_us;
	s->last_us = last->at_us;
	s->n_messages += e->n_messages + 1u;
	s->n_bytes += x->n + last->bytes.n;
	s->n_requests[SIP_REGISTER] += e->state == SENT ? 1 : 2;
	s->n_statuses[401] += e->state == SENT ? 0 : 1;
	s->n_statuses[200]++;
	s->n_calls[TRK_REG]++;
	e->state = DONE;
	drop_text(t->quick, e);
	keep_until(t, e, &t->quick->done, LINGER_US);
}

static bool begin(struct trk *t, const struct trk_packet *p, uint64_t hash)
{
	struct trk_quick *q = t->quick;
	struct entry *e = pool_get(&q->entries_of);
	if (!e)
		return false;
	list_init(&e->age);
	htab_add(&q->entries, &e->node, hash);
	e->text = block_get(&q->texts, TEXT_BYTES, NULL);
	if (e->text)
		e->text->n = 0;
	if (!e->text || !put_aside(e, p)) {
		entry_free(q, e);
		return false;
	}
	keep_until(t, e, &q->waiting, WAIT_US);
	return true;
}

/* The start line's status of a response, 0 for anything else. */
static unsigned status_of(struct str s)
{
	if (!str_starts(s, STR("SIP/2.0 ")) || s.n < 12 || s.p[11] != ' ')
		return 0;
	uint32_t n;
	return str_u32(str_sub(s, 8, 3), &n) ? n : 0;
}

/* One message of a known entry: true when it is settled here. */
static bool go_on(struct trk *t, struct entry *e, const struct trk_packet *p, bool is_register,
		  unsigned status)
{
	if (e->state == DONE && status == 200) {
		t->stats.n_messages++;
		t->stats.n_retrans++;
		return true;
	}
	if ((e->state == SENT || e->state == SENT_AGAIN) && status == 200) {
		went_well(t, e, p);
		return true;
	}
	bool is_next =
		(e->state == SENT && status == 401) || (e->state == CHALLENGED && is_register);
	if (is_next && put_aside(e, p)) {
		e->state++;
		return true;
	}
	return false;
}

bool trk_quick_take(struct trk *t, const struct trk_packet *p)
{
	struct trk_quick *q = t->quick;
	struct str call_id;
	bool is_register = str_starts(p->bytes, STR("REGISTER "));
	if (!is_register && q->entries.n == 0)
		return false;
	unsigned status = is_register ? 0 : status_of(p->bytes);
	if (!sip_peek_call_id(p->bytes, &call_id))
		return false;
	/* With a keyed hash of 64 bits two Call-IDs do not meet; if they did, both went the long
	 * way. */
	uint64_t hash = trk_call_hash(t, call_id);
	struct hnode *n = htab_first(&q->entries, hash);
	if (n) {
		struct entry *e = CONTAINER_OF(n, struct entry, node);
		if (go_on(t, e, p, is_register, status))
			return true;
		hand_over(t, e);
	}
	return is_register && !trk_call_find(t, call_id, hash) && begin(t, p, hash);
}

void trk_quick_release(struct trk *t, struct str call_id)
{
	struct hnode *n = htab_first(&t->quick->entries, trk_call_hash(t, call_id));
	if (n)
		hand_over(t, CONTAINER_OF(n, struct entry, node));
}

static void release_due(struct trk *t, struct link *list, uint64_t now_us)
{
	while (!list_is_empty(list)) {
		struct entry *e = LIST_ENTRY(list->next, struct entry, age);
		if (e->due_us > now_us)
			return;
		hand_over(t, e);
	}
}

void trk_quick_tick(struct trk *t, uint64_t now_us)
{
	release_due(t, &t->quick->waiting, now_us);
	release_due(t, &t->quick->done, now_us);
}

void trk_quick_flush(struct trk *t)
{
	trk_quick_tick(t, UINT64_MAX);
}
