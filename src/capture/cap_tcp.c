/* TCP reassembly for SIP.
 *
 * A connection has two directions; each knows the next sequence number and keeps a short sorted
 * queue of segments that came too early. Its bytes go in order, each once, to cap_talk, which finds
 * the messages in them.
 *
 * A gap is waited for until it is hopeless: the receiver acknowledged the bytes and 200 ms have
 * passed (so they arrived, but not here), or too much is queued behind it. Then the unfinished unit
 * is lost and reading goes on behind the gap.
 *
 * Invariants:
 * 1. Each byte is looked at once per direction: what was delivered is never delivered again.
 * 2. The queue is sorted by sequence number; its first segment begins after `next`.
 * 3. Memory: at most MAX_CONNS connections, MAX_UNIT bytes in work and MAX_QUEUED waiting per
 *    direction, MAX_BYTES in all; the connection silent longest makes room.
 * 4. A message belongs to the segment whose arrival completed it.
 *
 * [RFC9293 3.4, 3.10]
 */
#include "capture/cap_tcp_priv.h"

#include "event/env.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CONNS  65'536u
#define MAX_QUEUED (256u << 10)
#define MAX_SEGS   64u
#define MAX_BYTES  (512u << 20)
#define GAP_NS     200'000'000

static void dir_reset(struct dir *d)
{
	while (d->queue) {
		struct piece *q = d->queue;
		d->queue = q->next;
		free(q);
	}
	d->n_segs = d->n_queued = 0;
	d->has_seq = false;
	cap_talk_reset(d);
}

/* A new connection on the same ports, as far as this direction tells. */
static void begin_anew(struct conn *c, struct dir *d)
{
	dir_reset(d);
	cap_tls_free(c->tls);
	c->tls = NULL;
	c->d[0].is_tls = c->d[1].is_tls = false;
}

static void conn_free(struct cap_tcp *t, struct conn *c)
{
	for (int i = 0; i < 2; i++) {
		dir_reset(&c->d[i]);
		wire_ws_fini(&c->d[i].ws);
		free(c->d[i].p);
	}
	cap_tls_free(c->tls);
	t->n_bytes -= c->n_bytes;
	list_del(&c->lru);
	htab_del(&t->conns, &c->node);
	free(c);
}

struct cap_tcp *cap_tcp_new(cap_tcp_fn *fn, void *arg)
{
	struct cap_tcp *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->tls.log = t->own_log = cap_tls_log_new();
	if (!t->own_log || htab_init(&t->conns, 64)) {
		cap_tls_log_free(t->own_log);
		free(t);
		return NULL;
	}
	env_entropy(t->hash_key, sizeof t->hash_key);
	list_init(&t->lru);
	t->fn = fn;
	t->arg = arg;
	return t;
}

void cap_tcp_free(struct cap_tcp *t)
{
	if (!t)
		return;
	while (!list_is_empty(&t->lru))
		conn_free(t, LIST_ENTRY(t->lru.next, struct conn, lru));
	htab_fini(&t->conns);
	cap_tls_log_free(t->own_log);
	cap_tls_world_fini(&t->tls);
	free(t);
}

struct cap_tls_world *cap_tcp_tls(struct cap_tcp *t)
{
	return &t->tls;
}

void cap_tcp_share_log(struct cap_tcp *t, struct cap_tls_log *log)
{
	cap_tls_log_free(t->own_log);
	t->own_log = NULL;
	t->tls.log = log;
}

bool cap_tcp_saw_ws(const struct cap_tcp *t)
{
	return t->saw_ws;
}

/* The same for both directions. */
static uint64_t conn_hash(const struct cap_tcp *t, const struct addr *a, const struct addr *b)
{
	return addr_hash(t->hash_key, a) + addr_hash(t->hash_key, b);
}

static struct conn *conn_get(struct cap_tcp *t, const struct cap_pkt *k, int *way)
{
	uint64_t hash = conn_hash(t, &k->src, &k->dst);
	for (struct hnode *n = htab_first(&t->conns, hash); n; n = htab_next(n)) {
		struct conn *c = CONTAINER_OF(n, struct conn, node);
		for (*way = 0; *way < 2; ++*way)
			if (addr_eq(&c->d[*way].from, &k->src) &&
			    addr_eq(&c->d[!*way].from, &k->dst)) {
				list_del(&c->lru);
				list_push(&t->lru, &c->lru);
				return c;
			}
	}
	if (!k->n && !(k->tcp_flags & CAP_TCP_SYN))
		return NULL; /* nothing to learn from the acknowledgements of a stranger */
	if (t->conns.n >= MAX_CONNS)
		conn_free(t, LIST_ENTRY(t->lru.next, struct conn, lru));
	struct conn *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	for (int i = 0; i < 2; i++) {
		wire_ws_init(&c->d[i].ws, WIRE_WS_BYSTANDER, MAX_UNIT);
		dir_reset(&c->d[i]);
	}
	c->no = ++t->n_conns;
	c->d[0].from = k->src;
	c->d[1].from = k->dst;
	*way = 0;
	htab_add(&t->conns, &c->node, hash);
	list_push(&t->lru, &c->lru);
	return c;
}

/* --- sequence -------------------------------------------------------------------------------- */

/* Bytes at d->next or before, overlapping what is known. */
static void deliver(const struct reader *r, uint32_t seq, const uint8_t *p, uint32_t n)
{
	struct dir *d = r->d;
	uint32_t known = d->next - seq;
	if (known >= n)
		return;
	d->next = seq + n;
	if (d->at == d->n || r->no < d->first_no)
		d->first_no = r->no;
	cap_talk_bytes(r, p + known, n - known);
}

static void drain(const struct reader *r, bool is_own_seg)
{
	struct dir *d = r->d;
	while (d->queue && (int32_t)(d->queue->seq - d->next) <= 0) {
		struct piece *q = d->queue;
		d->queue = q->next;
		d->n_segs--;
		d->n_queued -= q->n;
		struct reader own = *r;
		own.no = q->seg.frame_no;
		if (is_own_seg)
			own.seg = &q->seg;
		deliver(&own, q->seq, q->bytes, q->n);
		free(q);
	}
	if (d->queue)
		d->gap_ns = r->seg->at_ns;
}

static void skip_gap(const struct reader *r)
{
	struct dir *d = r->d;
	cap_talk_gap(r, d->queue->seq - d->next);
	d->next = d->queue->seq;
	struct reader behind = *r;
	struct cap_seg seg = d->queue->seg;
	behind.seg = &seg;
	drain(&behind, true);
}

static void enqueue(const struct reader *r, const struct cap_pkt *k)
{
	struct dir *d = r->d;
	struct piece **at = &d->queue;
	while (*at && (int32_t)((*at)->seq - k->tcp_seq) < 0)
		at = &(*at)->next;
	if (*at && (*at)->seq == k->tcp_seq && (*at)->n >= k->n)
		return;
	struct piece *q = malloc(sizeof *q + k->n);
	if (!q)
		return;
	*q = (struct piece){.next = *at, .seg = *r->seg, .seq = k->tcp_seq, .n = k->n};
	memcpy(q->bytes, k->p, k->n);
	if (!d->queue)
		d->gap_ns = r->seg->at_ns;
	*at = q;
	d->n_segs++;
	d->n_queued += k->n;
	while (d->n_segs > MAX_SEGS || d->n_queued > MAX_QUEUED)
		skip_gap(r);
}

static void on_data(const struct reader *r, const struct cap_pkt *k)
{
	struct dir *d = r->d;
	if (!d->has_seq) {
		d->has_seq = true;
		d->next = k->tcp_seq;
	}
	int32_t ahead = (int32_t)(k->tcp_seq - d->next);
	if (ahead > (1 << 24) || ahead < -(1 << 24)) { /* another connection on the same ports */
		begin_anew(r->c, d);
		d->has_seq = true;
		d->next = k->tcp_seq;
		ahead = 0;
	}
	if (ahead > 0) {
		enqueue(r, k);
		return;
	}
	deliver(r, k->tcp_seq, k->p, k->n);
	drain(r, false);
}

/* The bytes before the queue were acknowledged, yet never seen. */
static void give_up_gap(struct cap_tcp *t, struct conn *c, int way, const struct cap_seg *seg)
{
	struct dir *d = &c->d[way];
	if (!d->queue || seg->at_ns - d->gap_ns < GAP_NS || (int32_t)(d->acked - d->queue->seq) < 0)
		return;
	skip_gap(&(struct reader){t, c, d, &c->d[!way].from, seg, seg->frame_no});
}

/* What a connection holds has changed; the others make room for it. */
static void weigh(struct cap_tcp *t, struct conn *c)
{
	size_t n = c->tls ? cap_tls_n_bytes(c->tls) : 0;
	for (int i = 0; i < 2; i++)
		n += c->d[i].cap + c->d[i].n_queued + wire_ws_bytes(&c->d[i].ws);
	t->n_bytes += n - c->n_bytes;
	c->n_bytes = n;
	while (t->n_bytes > MAX_BYTES && t->lru.next != &c->lru)
		conn_free(t, LIST_ENTRY(t->lru.next, struct conn, lru));
}

void cap_tcp_add(struct cap_tcp *t, const struct cap_pkt *k, const struct cap_seg *seg)
{
	int way = 0;
	if (t->tls.seen.is_there)
		t->tls.seen = (struct cap_tls_seen){0};
	t->saw_ws = false;
	t->last = NULL;
	t->last_no = 0;
	struct conn *c = conn_get(t, k, &way);
	if (!c)
		return;
	t->last_no = c->no;
	if (k->tcp_flags & CAP_TCP_RST) {
		conn_free(t, c);
		return;
	}
	struct dir *d = &c->d[way];
	if (k->tcp_flags & CAP_TCP_SYN) {
		/* one that lies a little behind is a duplicate, or overtaken by its data */
		if (!d->has_seq || d->next - (k->tcp_seq + 1) > MAX_UNIT) {
			if (d->has_seq)
				begin_anew(c, d);
			if (d->has_seq && !(k->tcp_flags & CAP_TCP_ACK))
				t->last_no = c->no = ++t->n_conns;
			d->has_seq = true;
			d->next = k->tcp_seq + 1;
		}
		return;
	}
	if (k->tcp_flags & CAP_TCP_ACK)
		c->d[!way].acked = k->tcp_ack;
	if (k->n)
		on_data(&(struct reader){t, c, d, &c->d[!way].from, seg, seg->frame_no}, k);
	give_up_gap(t, c, 0, seg);
	give_up_gap(t, c, 1, seg);
	t->last = c->tls;
	weigh(t, c);
}

uint32_t cap_tcp_no(const struct cap_tcp *t)
{
	return t->last_no;
}

const uint8_t *cap_tcp_random(const struct cap_tcp *t)
{
	return t->last ? cap_tls_random(t->last) : NULL;
}

bool cap_tcp_flush(struct cap_tcp *t)
{
	t->saw_ws = false;
	LIST_EACH (&t->lru, l) {
		struct conn *c = LIST_ENTRY(l, struct conn, lru);
		for (int way = 0; way < 2; way++) {
			struct dir *d = &c->d[way];
			if (!d->queue)
				continue;
			struct cap_seg seg = d->queue->seg;
			skip_gap(&(struct reader){t, c, d, &c->d[!way].from, &seg, seg.frame_no});
			return true;
		}
	}
	return false;
}
