/* TCP reassembly for SIP.
 *
 * A connection has two directions; each knows the next sequence number, keeps the bytes of the unit
 * (message, frame) that is not complete yet, and a short sorted queue of segments that came too
 * early. What a direction speaks is found by content, again and again until it is known:
 *
 *	UNKNOWN ── SIP start line ──► SIP ── framing lost ──► UNKNOWN
 *	   ├────── "GET ", "HTTP/" ─► HTTP ── Upgrade: websocket ─► WS
 *	   ├────── "HEP3" ─► HEP (an agent of Homer: messages of other addresses)
 *	   └────── TLS record ──────► is_tls: what is inside begins as UNKNOWN again
 *
 * TLS is a filter before all that: while is_tls, a direction's bytes go to cap_tls, and what that
 * opens is read as if it had come so. When it is out of step (a gap), the next segment that begins
 * with a record takes it up again, and SIP in the clear ends it.
 *
 * UNKNOWN keeps nothing but an unfinished first line, so other protocols cost one look per segment,
 * and SIP that begins in mid-stream is found at the next segment that starts with a start line.
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
 * [RFC9293 3.4, 3.10] [RFC3261 18.3] [RFC7118]
 */
#include "capture/cap_tcp.h"

#include "base/hash.h"
#include "base/list.h"
#include "capture/cap_tls.h"
#include "capture/cap_ws.h"
#include "event/env.h"
#include "wire/frame.h"
#include "wire/hep.h"
#include "wire/ws.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CONNS      65'536u
#define MAX_UNIT       (1u << 20)
#define MAX_QUEUED     (256u << 10)
#define MAX_SEGS       64u
#define MAX_BYTES      (512u << 20)
#define MAX_FIRST_LINE 8'192u
#define MAX_HTTP_HEAD  16'384u
#define GAP_NS         200'000'000

enum speaks { UNKNOWN, SIP, HTTP, WS, HEP };

struct piece { /* a segment ahead of its time */
	struct piece *next;
	struct cap_seg seg;
	uint32_t seq, n;
	uint8_t bytes[];
};

struct dir {
	struct addr from;
	uint8_t speaks; /* enum speaks */
	bool has_seq, is_tls;
	uint32_t next;     /* sequence number */
	uint32_t acked;    /* by the other side */
	uint32_t first_no; /* frame where the unit in work begins */
	uint8_t *p;        /* bytes p[at .. n) are not consumed */
	size_t at, n, cap;
	struct piece *queue;
	uint32_t n_segs, n_queued;
	int64_t gap_ns; /* since when the queue waits */
	struct wire_frame frame;
	struct wire_ws ws;
};

struct conn {
	struct hnode node;
	struct link lru;
	struct dir d[2];
	struct cap_tls *tls; /* once a direction spoke it */
	uint32_t no;
	size_t n_bytes; /* that it holds, when it was looked at last */
};

struct cap_tcp {
	struct htab conns;
	uint8_t hash_key[16];
	struct link lru; /* longest silence first */
	cap_tcp_fn *fn;
	void *arg;
	struct cap_tls_world tls;
	size_t n_bytes; /* of all connections */
	bool saw_ws;
	uint32_t n_conns;            /* ever */
	uint32_t last_no;            /* connection of the last segment */
	const struct cap_tls *last;  /* ... and its TLS, NULL none */
	struct cap_tls_log *own_log; /* NULL: tls.log is somebody else's */
};

static void dir_reset(struct dir *d)
{
	while (d->queue) {
		struct piece *q = d->queue;
		d->queue = q->next;
		free(q);
	}
	d->n_segs = d->n_queued = 0;
	d->at = d->n = 0;
	d->speaks = UNKNOWN;
	d->has_seq = d->is_tls = false;
	buf_clear(&d->ws.joined);
	d->ws.is_joining = false;
	wire_frame_init(&d->frame, MAX_UNIT);
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

/* --- what a direction speaks ----------------------------------------------------------------- */

struct reader { /* a direction at work */
	struct cap_tcp *t;
	struct conn *c;
	struct dir *d;
	const struct addr *to;
	const struct cap_seg *seg;
	uint32_t no; /* frame that the bytes came in */
};

static void emit(const struct reader *r, struct str bytes, bool is_ws)
{
	enum trk_transport transport = r->d->is_tls ? is_ws ? TRK_WSS : TRK_TLS
				       : is_ws      ? TRK_WS
						    : TRK_TCP;
	struct cap_seg seg = *r->seg;
	seg.first_no = r->d->first_no;
	r->t->fn(r->t->arg, bytes, &r->d->from, r->to, transport, &seg);
	r->d->first_no = r->no;
}

static void forget_unit(struct dir *d)
{
	d->at = d->n = 0;
	wire_frame_init(&d->frame, MAX_UNIT);
}

static bool append(struct dir *d, const uint8_t *p, size_t n);
static void read_units(const struct reader *r);

static void on_bytes(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	if (append(d, p, n)) {
		read_units(r);
	} else {
		d->speaks = UNKNOWN;
		forget_unit(d);
	}
}

static void on_plain(void *arg, int way, const uint8_t *p, size_t n)
{
	on_bytes(arg, p, n);
}

static void feed_tls(const struct reader *r, const uint8_t *p, size_t n)
{
	struct reader inside = *r;
	if (cap_tls_feed(r->c->tls, (int)(r->d - r->c->d), p, n, on_plain, &inside))
		return;
	r->d->is_tls = false;
	if (r->d->speaks != WS)
		r->d->speaks = UNKNOWN;
	forget_unit(r->d);
	if (cap_sip_start(p, n) == CAP_YES)
		on_bytes(r, p, n);
}

/* The bytes at hand begin with a record; their place is needed for what is inside. */
static void begin_tls(const struct reader *r)
{
	struct dir *d = r->d;
	uint8_t *bytes = d->p;
	size_t at = d->at, n = d->n;
	if (!r->c->tls)
		r->c->tls = cap_tls_new(&r->t->tls);
	d->p = NULL;
	d->cap = 0;
	forget_unit(d);
	d->is_tls = r->c->tls != NULL;
	if (d->is_tls)
		feed_tls(r, bytes + at, n - at);
	free(bytes);
}

/* Each reader returns whether to go on with what is left. */
static bool read_unknown(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	if (cap_ws_looks_like_sip(p, n)) {
		d->speaks = WS;
		return true;
	}
	enum cap_start tls = d->is_tls ? CAP_NO : cap_tls_start(p, n);
	if (tls == CAP_YES)
		begin_tls(r);
	if (tls != CAP_NO)
		return false;
	if (n >= 5 && (memcmp(p, "GET ", 4) == 0 || memcmp(p, "HTTP/", 5) == 0)) {
		d->speaks = HTTP;
		return true;
	}
	if (n >= 6 && wire_hep_starts(p, n)) {
		d->speaks = HEP;
		return true;
	}
	enum cap_start s = cap_sip_start(p, n);
	if (s == CAP_YES) {
		d->speaks = SIP;
		wire_frame_init(&d->frame, MAX_UNIT);
		return true;
	}
	if (s == CAP_NO || n > MAX_FIRST_LINE)
		forget_unit(d);
	return false;
}

static bool read_hep(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	struct wire_hep h;
	size_t used;
	enum err e = wire_hep_parse(p, n, &h, &used);
	if (e == ERR_MORE)
		return false;
	if (e) {
		d->speaks = UNKNOWN;
		forget_unit(d);
		return false;
	}
	if (h.type == WIRE_HEP_SIP && !h.is_packed && h.from.family && h.to.family &&
	    cap_sip_start(h.payload.p, h.payload.n) == CAP_YES) {
		struct cap_seg seg = *r->seg;
		seg.first_no = d->first_no;
		seg.is_hep = true;
		r->t->fn(r->t->arg, h.payload, &h.from, &h.to,
			 h.ip_proto == CAP_TCP ? TRK_TCP : TRK_UDP, &seg);
	}
	d->first_no = r->no;
	d->at += used;
	return true;
}

static bool read_sip(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	size_t len = 0;
	switch (wire_frame_next(&d->frame, (const char *)p, n, &len)) {
	case WIRE_MESSAGE:
		emit(r, str_of((const char *)p, len), false);
		break;
	case WIRE_PING:
	case WIRE_PONG:
	case WIRE_SKIP:
		break;
	case WIRE_ERROR:
		if (d->frame.error == WIRE_BAD_LENGTH || d->frame.error == WIRE_TOO_LARGE)
			emit(r, str_of((const char *)p, d->frame.head_n), false);
		d->speaks = UNKNOWN;
		forget_unit(d);
		return false;
	case WIRE_MORE:
		return false;
	}
	d->at += len;
	return len > 0;
}

static bool read_http(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	struct str s = {(const char *)p, n};
	size_t end = str_find(s, STR("\r\n\r\n"));
	if (end == SIZE_MAX) {
		if (n > MAX_HTTP_HEAD) {
			d->speaks = UNKNOWN;
			forget_unit(d);
		}
		return false;
	}
	struct str head = str_sub(s, 0, end);
	d->speaks = UNKNOWN;
	if (str_ifind(head, STR("\r\nupgrade:")) != SIZE_MAX &&
	    str_ifind(head, STR("websocket")) != SIZE_MAX) {
		d->speaks = WS;
		d->at += end + 4;
		return true;
	}
	forget_unit(d);
	return false;
}

static bool read_ws(const struct reader *r, uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	size_t used = 0;
	struct str msg;
	switch (wire_ws_next(&d->ws, p, n, &used, &msg)) {
	case WIRE_WS_MESSAGE:
		if (cap_sip_start(msg.p, msg.n) == CAP_YES)
			emit(r, msg, true);
		break;
	case WIRE_WS_PING:
	case WIRE_WS_CLOSE:
	case WIRE_WS_SKIP:
		break;
	case WIRE_WS_MORE:
		return false;
	case WIRE_WS_ERROR:
		d->speaks = UNKNOWN;
		forget_unit(d);
		return false;
	}
	r->t->saw_ws = true;
	d->at += used;
	return true;
}

static void read_units(const struct reader *r)
{
	struct dir *d = r->d;
	bool go_on = true;
	while (go_on && d->at < d->n) {
		uint8_t *p = d->p + d->at;
		size_t n = d->n - d->at;
		switch ((enum speaks)d->speaks) {
		case UNKNOWN:
			go_on = read_unknown(r, p, n);
			break;
		case SIP:
			go_on = read_sip(r, p, n);
			break;
		case HTTP:
			go_on = read_http(r, p, n);
			break;
		case WS:
			go_on = read_ws(r, p, n);
			break;
		case HEP:
			go_on = read_hep(r, p, n);
			break;
		}
	}
	if (d->at == d->n)
		d->at = d->n = 0;
}

/* --- sequence -------------------------------------------------------------------------------- */

static bool append(struct dir *d, const uint8_t *p, size_t n)
{
	if (d->at) {
		memmove(d->p, d->p + d->at, d->n - d->at);
		d->n -= d->at;
		d->at = 0;
	}
	if (d->n + n > MAX_UNIT + 65'536) {
		d->speaks = UNKNOWN;
		forget_unit(d);
	}
	if (d->n + n > d->cap) {
		size_t cap = d->cap ? d->cap : 4'096;
		while (cap < d->n + n)
			cap *= 2;
		uint8_t *q = realloc(d->p, cap);
		if (!q)
			return false;
		d->p = q;
		d->cap = cap;
	}
	memcpy(d->p + d->n, p, n);
	d->n += n;
	return true;
}

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
	if (d->is_tls)
		feed_tls(r, p + known, n - known);
	else
		on_bytes(r, p + known, n - known);
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
	if (d->speaks == SIP || d->speaks == HTTP || d->speaks == HEP)
		d->speaks = UNKNOWN;
	forget_unit(d);
	if (r->c->tls)
		cap_tls_gap(r->c->tls, (int)(d - r->c->d), d->queue->seq - d->next);
	d->is_tls = false;
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
		n += c->d[i].cap + c->d[i].n_queued + c->d[i].ws.joined.cap;
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
