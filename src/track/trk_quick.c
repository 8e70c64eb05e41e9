/* Exchanges of requests that go well, in a live tracker that is not asked to tell of them.
 *
 * An exchange sees thousands of registrations and subscriptions a second, and nobody hears of any.
 * So such a request is put aside as it is, not indexed: its Call-ID is found, its bytes are kept.
 * When what follows is what follows when all goes well, each once and soon, the bytes are forgotten
 * and only the counters know. Whatever else happens under that Call-ID, or if nothing does for
 * WAIT_US, what was put aside is handed to the tracker in its order, and that request is tracked
 * like everything else, with its times and its evidence.
 *
 *     REGISTER, PUBLISH, OPTIONS, SUBSCRIBE ─► ASKED
 *     ASKED ── 401, 407 ──► CHALLENGED ── again ──► ASKED_AGAIN
 *     ASKED, ASKED_AGAIN ── 200 ──► DONE, of a SUBSCRIBE GRANTED
 *     GRANTED ── NOTIFY ──► TOLD ── 200 ──► DONE
 *     NOTIFY of an older subscription ──► TOLD
 *
 * Invariants:
 * 1. A Call-ID is known here or to the tracker, not to both.
 * 2. An entry that is not DONE has its text; its messages were not counted yet.
 * 3. Entries are in one list per deadline, oldest first. At most MAX_ENTRIES, and MAX_TEXTS that
 * are not DONE (16 MB: who storms and is not answered fills no more); beyond it a request goes the
 *    long way.
 *
 * [RFC3261 10, 22] [RFC6665 4.1.2]
 */
#include "base/block.h"
#include "track/trk_priv.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_US     4'000'000u /* 8*T1: by then something is wrong */
#define LINGER_US   5'000'000u
#define MAX_ENTRIES 32'768u
#define MAX_TEXTS   2'048u
#define TEXT_BYTES  8'192u /* a block: five messages of a usual phone are below 4 kB */
#define MESSAGES    5u     /* the sixth, which ends it, is not put aside */

enum state { ASKED, CHALLENGED, ASKED_AGAIN, GRANTED, TOLD, DONE };
enum event { REQUEST, CHALLENGE, OK_200, NOTIFY, NOTHING_GOOD };

struct opening {
	struct str line;
	enum sip_method method;
	enum trk_kind kind;
	enum state first, granted; /* granted: after its 200 */
};
static const struct opening openings[] = {
	{STR_INIT("REGISTER "),  SIP_REGISTER,  TRK_REG, ASKED, DONE   },
	{STR_INIT("SUBSCRIBE "), SIP_SUBSCRIBE, TRK_SUB, ASKED, GRANTED},
	{STR_INIT("NOTIFY "),    SIP_NOTIFY,    TRK_SUB, TOLD,  DONE   },
	{STR_INIT("PUBLISH "),   SIP_PUBLISH,   TRK_PUB, ASKED, DONE   },
	{STR_INIT("OPTIONS "),   SIP_OPTIONS,   TRK_OPT, ASKED, DONE   },
};

struct aside {               /* a message */
	struct trk_packet p; /* its bytes are in text */
	uint16_t status;     /* 0: a request */
	uint8_t method;
};

struct text {
	struct aside message[MESSAGES];
	uint32_t n;
	char bytes[];
};
#define TEXT_MAX (TEXT_BYTES - sizeof(struct text))

struct entry {
	struct hnode node;
	struct link age;
	uint64_t due_us;
	uint64_t asked; /* DONE: hash of the request that was granted, to know it when it comes
			   again */
	struct text *text;
	const struct opening *opening;
	uint8_t state, n_messages, request; /* request: which message asked last */
};

struct trk_quick {
	struct htab entries;
	struct pool entries_of;
	struct block_cache texts;
	unsigned n_texts; /* in entries */
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

static struct text *take_text(struct trk_quick *q, struct entry *e)
{
	struct text *x = e->text;
	e->text = NULL;
	q->n_texts -= x != NULL;
	return x;
}

static void drop_text(struct trk_quick *q, struct entry *e)
{
	block_put(&q->texts, take_text(q, e));
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
	struct text *x = take_text(q, e);
	unsigned n = e->n_messages;
	uint64_t last_us = t->stats.last_us;
	entry_free(q, e);
	for (unsigned i = 0; x && i < n; i++) {
		enum err err = trk_take(t, &x->message[i].p, NULL);
		(void)err; /* counted by the tracker */
	}
	block_put(&q->texts, x);
	if (last_us > t->stats.last_us)
		t->stats.last_us = last_us;
}

/* What a message is, as far as it matters here. */
struct look {
	const struct opening *opening; /* NULL: a response, or another request */
	unsigned status;               /* 0: a request */
	uint64_t hash;
};

static bool put_aside(struct entry *e, const struct trk_packet *p, const struct look *l)
{
	struct text *x = e->text;
	if (e->n_messages == MESSAGES || p->bytes.n > TEXT_MAX - x->n)
		return false;
	memcpy(x->bytes + x->n, p->bytes.p, p->bytes.n);
	if (l->opening)
		e->request = e->n_messages;
	struct aside *a = &x->message[e->n_messages++];
	*a = (struct aside){.p = *p,
			    .status = (uint16_t)l->status,
			    .method = l->opening ? (uint8_t)l->opening->method : 0};
	a->p.bytes.p = x->bytes + x->n;
	x->n += (uint32_t)p->bytes.n;
	return true;
}

static void keep_until(struct trk *t, struct entry *e, struct link *list, uint64_t delay_us)
{
	list_del(&e->age);
	e->due_us = t->now_us + delay_us;
	list_push(list, &e->age);
}

static void count(struct trk_stats *s, const struct aside *a)
{
	s->n_messages++;
	s->n_bytes += a->p.bytes.n;
	if (a->status)
		s->n_statuses[a->status]++;
	else
		s->n_requests[a->method]++;
}

/* The last message, which ended it, is a 200. */
static void went_well(struct trk *t, struct entry *e, const struct trk_packet *last)
{
	struct trk_stats *s = &t->stats;
	const struct text *x = e->text;
	if (!s->n_messages)
		s->first_us = x->message[0].p.at_us;
	s->last_us = last->at_us;
	for (unsigned i = 0; i < e->n_messages; i++) {
		const struct aside *a = &x->message[i];
		count(s, a);
		if (!a->status && a->method == e->opening->method)
			e->asked = hash_quick(t->hash_key, a->p.bytes);
	}
	count(s, &(struct aside){.p = *last, .status = 200});
	s->n_calls[e->opening->kind]++;
	e->state = DONE;
	drop_text(t->quick, e);
	keep_until(t, e, &t->quick->done, LINGER_US);
}

static bool begin(struct trk *t, const struct trk_packet *p, const struct look *l)
{
	struct trk_quick *q = t->quick;
	struct entry *e = q->n_texts < MAX_TEXTS ? pool_get(&q->entries_of) : NULL;
	if (!e)
		return false;
	list_init(&e->age);
	htab_add(&q->entries, &e->node, l->hash);
	e->opening = l->opening;
	e->state = (uint8_t)l->opening->first;
	e->text = block_get(&q->texts, TEXT_BYTES, NULL);
	q->n_texts += e->text != NULL;
	if (e->text)
		e->text->n = 0;
	if (!e->text || !put_aside(e, p, l)) {
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

static const struct opening *opening_of(struct str s)
{
	for (unsigned i = 0; i < ARRAY_LEN(openings); i++)
		if (str_starts(s, openings[i].line))
			return &openings[i];
	return NULL;
}

/* Responses go where the last request came from, requests where the first one did or against it. */
static enum event event_of(const struct entry *e, const struct trk_packet *p, const struct look *l)
{
	const struct aside *first = &e->text->message[0], *asked = &e->text->message[e->request];
	if (l->opening == e->opening && addr_eq(&p->from, &first->p.from))
		return REQUEST;
	if (l->opening)
		return l->opening->method == SIP_NOTIFY && addr_eq(&p->from, &first->p.to)
			       ? NOTIFY
			       : NOTHING_GOOD;
	if (!addr_eq(&p->to, &asked->p.from))
		return NOTHING_GOOD;
	return l->status == 200                       ? OK_200
	       : l->status == 401 || l->status == 407 ? CHALLENGE
						      : NOTHING_GOOD;
}

/* The state after an event; the same one: it is none that goes well. */
static enum state step(const struct entry *e, enum event v)
{
	switch ((enum state)e->state) {
	case ASKED:
		return v == CHALLENGE ? CHALLENGED : v == OK_200 ? e->opening->granted : ASKED;
	case CHALLENGED:
		return v == REQUEST ? ASKED_AGAIN : CHALLENGED;
	case ASKED_AGAIN:
		return v == OK_200 ? e->opening->granted : ASKED_AGAIN;
	case GRANTED:
		return v == NOTIFY ? TOLD : GRANTED;
	case TOLD:
		return v == OK_200 ? DONE : TOLD;
	case DONE:
		break;
	}
	return DONE;
}

/* After it has ended well: the answer again, or the request. */
static bool is_copy(const struct trk *t, const struct entry *e, const struct trk_packet *p,
		    const struct look *l)
{
	return l->status == 200 ||
	       (l->opening == e->opening && hash_quick(t->hash_key, p->bytes) == e->asked);
}

/* One message of a known entry: true when it is settled here. */
static bool go_on(struct trk *t, struct entry *e, const struct trk_packet *p, const struct look *l)
{
	if (e->state == DONE && is_copy(t, e, p, l)) {
		t->stats.n_messages++;
		t->stats.n_retrans++;
		return true;
	}
	enum state next = e->state == DONE ? DONE : step(e, event_of(e, p, l));
	if (next == e->state)
		return false;
	if (next == DONE) {
		went_well(t, e, p);
		return true;
	}
	if (!put_aside(e, p, l))
		return false;
	e->state = (uint8_t)next;
	return true;
}

bool trk_quick_take(struct trk *t, const struct trk_packet *p)
{
	struct trk_quick *q = t->quick;
	struct str call_id;
	struct look l = {.opening = opening_of(p->bytes)};
	if (!l.opening && q->entries.n == 0)
		return false;
	l.status = l.opening ? 0 : status_of(p->bytes);
	if (!sip_peek_call_id(p->bytes, &call_id))
		return false;
	/* With a keyed hash of 64 bits two Call-IDs do not meet; if they did, both went the long
	 * way. */
	l.hash = trk_call_hash(t, call_id);
	struct hnode *n = htab_first(&q->entries, l.hash);
	if (n) {
		struct entry *e = CONTAINER_OF(n, struct entry, node);
		if (go_on(t, e, p, &l))
			return true;
		hand_over(t, e);
	}
	return l.opening && !trk_call_find(t, call_id, l.hash) && begin(t, p, &l);
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
