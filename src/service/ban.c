/* Bans, on the shard that sees what is done: who is not listened to, and what is reported.
 *
 * A shard keeps a mark for each address that did something of note: a set of WAYS per hash, of
 * which the one that was idle longest is taken over, so memory is bounded and an attacker with many
 * addresses displaces nobody but others of his sets. Marks hold only what is new since the last
 * report; REPORT_US after the first news all of them go to shard 0 in one message, which adds them
 * up (ban_book.c). So a flood costs a counter for each message and five inbox messages a second.
 *
 * A message from outside asks ban_may first: a look at the snapshot, where most often there is
 * none.
 *
 * Invariants: 1. A shard touches its own marks only; the book is touched by shard 0 only. 2. A mark
 * is on its shard's list of news exactly while it has some. 3. An exempt address has no mark, and
 * ban_may is true of it even when somebody banned its network. */
#include "service/ban_priv.h"

#include <stdlib.h>
#include <string.h>

#define SETS      256 /* power of two; 256 * 4 * 260 B = 260 kB a shard */
#define WAYS      4
#define REPORT_US 200000u

struct mark {
	uint64_t hash; /* 0: free */
	uint64_t at_us;
	bool is_news;
	uint16_t news_at; /* its place on the shard's list */
	struct ban_report r;
};

struct ban_shard {
	struct ban *b;
	struct ev_loop *loop;
	size_t n_news;
	uint16_t news[SETS * WAYS];
	struct tmr timer;
	struct mark marks[SETS * WAYS];
};

struct report_msg {
	struct inbox_msg msg;
	size_t n;
	struct ban_report r[];
};

/* ---- who is not listened to ------------------------------------------------------------------ */

struct addr ban_key(const struct addr *a)
{
	struct addr key = {.family = a->family};
	memcpy(key.ip, a->ip, a->family == ADDR_V6 ? 8 : 4);
	return key;
}

static bool is_in(const struct addr_net *nets, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_net_has(&nets[i], a))
			return true;
	return false;
}

bool ban_is_trusted(const struct ban *b, const struct addr *from)
{
	return is_in(b->cfg.trust, b->cfg.n_trust, from);
}

bool ban_is_exempt(const struct ban *b, const struct addr *from)
{
	return is_in(b->cfg.never, b->cfg.n_never, from) || ban_is_trusted(b, from);
}

static bool is_banned(const struct ban *b, const struct ban_set *s, const struct addr *from,
		      uint64_t now_us, bool is_stream)
{
	struct addr key = ban_key(from);
	size_t i = (size_t)addr_hash(b->cfg.key, &key) & (s->n_slots - 1);
	for (; s->slot[i].key.family; i = (i + 1) & (s->n_slots - 1))
		if (addr_ip_eq(&s->slot[i].key, &key))
			return now_us < s->slot[i].until_us &&
			       !(is_stream && s->slot[i].is_for_udp_only);
	for (i = 0; i < s->n_nets; i++)
		if (now_us < s->nets[i].until_us && addr_net_has(&s->nets[i].net, from))
			return true;
	return false;
}

static struct mark *mark_of(struct ban_shard *s, const struct addr *from, bool is_stream);
static void note(struct ban_shard *s, struct mark *m);

bool ban_may(struct ban *b, size_t shard, const struct addr *from, bool is_stream)
{
	const struct ban_set *set = ev_snap_get(&b->set);
	struct ban_shard *s = &b->by_shard[shard];
	if (!set || !is_banned(b, set, from, ev_now_us(s->loop), is_stream) ||
	    ban_is_exempt(b, from))
		return true;
	struct mark *m = mark_of(s, from, is_stream);
	m->r.n_dropped++;
	note(s, m);
	return false;
}

bool ban_is_scanner(struct str agent)
{
	static const struct str names[] = {
#define SCANNER(text) STR_INIT(text),
#include "service/scanners.def"
#undef SCANNER
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_istarts(agent, names[i]))
			return true;
	return false;
}

/* ---- reports --------------------------------------------------------------------------------- */

static void clear(struct mark *m)
{
	struct ban_report *r = &m->r;
	*r = (struct ban_report){.key = r->key, .is_stream = r->is_stream, .last = r->last};
	m->is_news = false;
}

/* To the book; false when there is no memory for it now. */
static bool report(struct ban_shard *s, const uint16_t *which, size_t n)
{
	struct ban *b = s->b;
	struct report_msg *q = NULL;
	if (s->loop != b->loop) {
		q = malloc(sizeof(*q) + n * sizeof(q->r[0]));
		if (!q)
			return false;
		q->msg.kind = INBOX_BAN_REPORT;
		q->n = n;
	}
	for (size_t i = 0; i < n; i++) {
		struct mark *m = &s->marks[which[i]];
		if (q)
			q->r[i] = m->r;
		else
			ban_book_take(b, &m->r);
		clear(m);
	}
	if (q)
		ev_post(s->loop, 0, &q->msg);
	else
		ban_book_publish_soon(b);
	return true;
}

static void on_report_time(struct tmr *t)
{
	struct ban_shard *s = CONTAINER_OF(t, struct ban_shard, timer);
	if (report(s, s->news, s->n_news))
		s->n_news = 0;
	else
		ev_timer(s->loop, &s->timer, REPORT_US, on_report_time);
}

static void note(struct ban_shard *s, struct mark *m)
{
	if (m->is_news)
		return;
	m->is_news = true;
	if (!s->n_news)
		ev_timer(s->loop, &s->timer, REPORT_US, on_report_time);
	m->news_at = (uint16_t)s->n_news;
	s->news[s->n_news++] = (uint16_t)(m - s->marks);
}

/* A mark is given to another address: what it still had to tell goes first, or is lost. */
static void take_over(struct ban_shard *s, struct mark *m)
{
	uint16_t at = (uint16_t)(m - s->marks);
	if (!m->is_news)
		return;
	s->news[m->news_at] = s->news[--s->n_news];
	s->marks[s->news[m->news_at]].news_at = m->news_at;
	if (!report(s, &at, 1))
		clear(m);
	if (!s->n_news)
		ev_timer_stop(s->loop, &s->timer);
}

static struct mark *mark_of(struct ban_shard *s, const struct addr *from, bool is_stream)
{
	struct addr key = ban_key(from);
	key.port = is_stream; /* for the hash alone */
	uint64_t hash = addr_hash(s->b->cfg.key, &key);
	struct mark *set = &s->marks[(hash & (SETS - 1)) * WAYS], *oldest = set;
	key.port = 0;
	for (unsigned i = 0; i < WAYS; i++) {
		struct mark *m = &set[i];
		if (m->hash == hash && addr_ip_eq(&m->r.key, &key)) {
			m->at_us = ev_now_us(s->loop);
			return m;
		}
		if (m->at_us < oldest->at_us)
			oldest = m;
	}
	take_over(s, oldest);
	*oldest = (struct mark){.hash = hash, .at_us = ev_now_us(s->loop)};
	oldest->r.key = key;
	oldest->r.is_stream = is_stream;
	return oldest;
}

/* ---- what is done ---------------------------------------------------------------------------- */

static void copy(char *to, size_t cap, struct str s)
{
	struct buf b;
	buf_init_fixed(&b, to, cap);
	buf_plain(&b, str_sub(s, 0, cap - 1));
	if (!buf_cstr(&b))
		to[0] = 0;
}

static void remember(struct mark *m, const struct ban_sight *by)
{
	copy(m->r.last.request, sizeof(m->r.last.request), by->request);
	copy(m->r.last.user, sizeof(m->r.last.user), by->user);
	copy(m->r.last.agent, sizeof(m->r.last.agent), by->agent);
}

void ban_deed(struct ban *b, size_t shard, enum ban_deed what, const struct ban_sight *by)
{
	struct ban_shard *s = &b->by_shard[shard];
	if (ban_is_exempt(b, &by->from))
		return;
	struct mark *m = mark_of(s, &by->from, by->is_stream);
	m->r.n[what]++;
	remember(m, by);
	note(s, m);
}

void ban_asked(struct ban *b, size_t shard, const struct ban_sight *by)
{
	struct ban_shard *s = &b->by_shard[shard];
	if (ban_is_exempt(b, &by->from))
		return;
	struct mark *m = mark_of(s, &by->from, by->is_stream);
	m->r.asked |= 1ull << (htab_hash(b->cfg.key, by->user.p, by->user.n) & 63);
	if (!m->r.last.request[0] || m->r.n_ok == 0)
		remember(m, by);
	note(s, m);
}

void ban_logged_in(struct ban *b, size_t shard, const struct ban_sight *by)
{
	struct ban_shard *s = &b->by_shard[shard];
	if (ban_is_exempt(b, &by->from))
		return;
	struct mark *m = mark_of(s, &by->from, by->is_stream);
	m->r.n_ok++;
	note(s, m);
}

static void on_report(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct ban *b = ctx;
	struct report_msg *q = CONTAINER_OF(m, struct report_msg, msg);
	for (size_t i = 0; i < q->n; i++)
		ban_book_take(b, &q->r[i]);
	ban_book_publish_soon(b);
	free(q);
}

static void drop_report(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct report_msg, msg));
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum err copy_nets(const struct addr_net **nets, size_t n)
{
	struct addr_net *own = calloc(n + 1, sizeof(*own));
	if (own && n)
		memcpy(own, *nets, n * sizeof(*own));
	*nets = own;
	return own ? OK : ERR_NOMEM;
}

static enum err init(struct ban *b, struct st *st)
{
	struct buf lines;
	enum err e = copy_nets(&b->cfg.trust, b->cfg.n_trust),
		 e2 = copy_nets(&b->cfg.never, b->cfg.n_never);
	if (e || e2)
		return ERR_NOMEM;
	b->by_shard = calloc(b->n_shards, sizeof(*b->by_shard));
	if (!b->by_shard)
		return ERR_NOMEM;
	for (size_t i = 0; i < b->n_shards; i++) {
		b->by_shard[i].b = b;
		b->by_shard[i].loop = ev_shard(b->shards, i);
	}
	e = ban_book_init(b);
	if (e)
		return e;
	buf_init(&lines);
	e = st_meta_get(st, STR("bans"), &lines);
	if (e == OK)
		ban_read(b, buf_view(&lines));
	buf_fini(&lines);
	return e == ERR_NOTFOUND ? OK : e;
}

enum err ban_new(struct ev_shards *shards, struct st *st, struct acc *acc,
		 const struct ban_cfg *cfg, struct ban **out)
{
	struct ban *b = calloc(1, sizeof(*b));
	if (!b)
		return ERR_NOMEM;
	b->shards = shards;
	b->loop = ev_shard(shards, 0);
	b->acc = acc;
	b->cfg = *cfg;
	b->n_shards = ev_shards_count(shards);
	enum err e = init(b, st);
	if (e) {
		ban_free(b);
		return e;
	}
	ev_inbox_handle(shards, 0, INBOX_BAN_REPORT, on_report, b);
	ev_inbox_discard(shards, INBOX_BAN_REPORT, drop_report);
	*out = b;
	return OK;
}

void ban_free(struct ban *b)
{
	if (!b)
		return;
	for (size_t i = 0; b->by_shard && i < b->n_shards; i++)
		ev_timer_stop(b->by_shard[i].loop, &b->by_shard[i].timer);
	ban_book_fini(b);
	free(ev_snap_get(&b->set));
	free(b->by_shard);
	free((void *)b->cfg.trust);
	free((void *)b->cfg.never);
	free(b);
}
