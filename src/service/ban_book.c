/* Bans, on shard 0: what was reported of each address is added up, and makes a ban or does not.
 *
 * Points. Each deed has its points (ban.def). They decay by one in DECAY_S, by ten in a second
 * where a user has logged in within GOOD_S ("good"); BAN_POINTS of them are a ban, ten times as
 * many of a good address. So a phone whose password is wrong, and which tries once a minute, is
 * never banned, nor one that tries each second behind the owner's own NAT; a guesser is after ten
 * guesses, there after a hundred.
 *
 * Scans. Who asks as one user after the other gets challenges, as everybody does; but phones come
 * back with credentials. So users that were tried are weighed against log-ins in windows of
 * WINDOW_US; a thousand phones that come back after a power cut have logged in by its end.
 *
 * Bans double up: a minute, ten, an hour, six, a day; by UDP an hour at most, because somebody else
 * may have sent it. After LEVEL_S without a ban the next one is short again.
 *
 * Memory: LIMIT_SUSPECTS records. The one that was quiet longest goes, those that are banned only
 * when a handful of the quietest all are.
 *
 * The snapshot is made anew when a ban was made or lifted, at most once in SOON_US, and
 * costs about 30 ns for each ban. Readers look at the time themselves, so a ban ends on time.
 * Bans of an hour and more, and those by hand, are written to the settings within a second.
 *
 * Invariants: 1. A suspect is on `banned` exactly while its until_us is not 0. 2. is_stale from
 * each change of a ban to the publishing of a set that tells it. */
#include "service/ban_priv.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_US   1000000ull
#define TICK_US     SECOND_US
#define SOON_US     20000u
#define WINDOW_US   (5 * SECOND_US)
#define DECAY_S     6
#define GOOD_S      3600
#define GOOD_WAYS   4
#define GOOD_FACTOR 10 /* as many points are needed */
#define GOOD_DECAY  60
#define LEVEL_S     86400
#define BAN_POINTS  100
#define TRIED_FREE  8 /* users tried in vain in a window that are nobody's business */
#define SAVED_S     3600
#define QUIETEST    8

static const uint32_t ban_s[] = {60, 600, 3600, 6 * 3600, 24 * 3600};
#define LEVELS    (sizeof(ban_s) / sizeof(ban_s[0]))
#define LEVEL_UDP 2

static const uint32_t points[BAN_DEEDS] = {
#define DEED(id, points, text) [BAN_##id] = (points)*1000,
#include "service/ban.def"
#undef DEED
};

/* ---- good addresses -------------------------------------------------------------------------- */

static struct ban_good *good_set(const struct ban *b, uint64_t hash)
{
	return &b->book.good[(hash & (LIMIT_GOOD_SOURCES / GOOD_WAYS - 1)) * GOOD_WAYS];
}

static uint64_t good_hash(const struct ban *b, const struct addr *key)
{
	return addr_hash(b->cfg.key, key) | 1;
}

bool ban_book_is_good(const struct ban *b, const struct addr *key)
{
	uint64_t hash = good_hash(b, key);
	const struct ban_good *set = good_set(b, hash);
	for (unsigned i = 0; i < GOOD_WAYS; i++)
		if (set[i].hash == hash)
			return ev_now_us(b->loop) < set[i].until_us;
	return false;
}

void ban_is_good(struct ban *b, const struct addr *from)
{
	struct addr key = ban_key(from);
	uint64_t hash = good_hash(b, &key);
	struct ban_good *set = good_set(b, hash), *g = set;
	for (unsigned i = 0; i < GOOD_WAYS; i++) {
		if (set[i].hash == hash) {
			g = &set[i];
			break;
		}
		if (set[i].until_us < g->until_us)
			g = &set[i];
	}
	*g = (struct ban_good){.hash = hash, .until_us = ev_now_us(b->loop) + GOOD_S * SECOND_US};
}

/* ---- suspects -------------------------------------------------------------------------------- */

struct ban_suspect *ban_book_find(struct ban *b, const struct addr *key)
{
	uint64_t hash = addr_hash(b->cfg.key, key);
	for (struct hnode *n = htab_first(&b->book.suspects, hash); n; n = htab_next(n)) {
		struct ban_suspect *s = CONTAINER_OF(n, struct ban_suspect, node);
		if (addr_ip_eq(&s->key, key))
			return s;
	}
	return NULL;
}

static void forget(struct ban *b, struct ban_suspect *s)
{
	if (s->until_us)
		ban_book_lift(b, s);
	list_del(&s->lru);
	htab_del(&b->book.suspects, &s->node);
	free(s);
}

static void make_room(struct ban *b)
{
	struct ban_suspect *victim = NULL;
	unsigned n = 0;
	if (b->book.suspects.n < LIMIT_SUSPECTS)
		return;
	LIST_EACH (&b->book.lru, l) {
		struct ban_suspect *s = LIST_ENTRY(l, struct ban_suspect, lru);
		if (!victim || !s->until_us || s->until_us < victim->until_us)
			victim = s;
		if (!victim->until_us || ++n == QUIETEST)
			break;
	}
	if (victim)
		forget(b, victim);
}

struct ban_suspect *ban_book_get(struct ban *b, const struct addr *key)
{
	struct ban_suspect *s = ban_book_find(b, key);
	uint64_t now = ev_now_us(b->loop);
	if (!s) {
		make_room(b);
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		s->key = *key;
		s->first_us = s->scored_us = now;
		list_init(&s->lru);
		list_init(&s->banned);
		htab_add(&b->book.suspects, &s->node, addr_hash(b->cfg.key, key));
	}
	s->last_us = now;
	list_del(&s->lru);
	list_push(&b->book.lru, &s->lru);
	return s;
}

/* ---- bans ------------------------------------------------------------------------------------ */

void ban_book_lift(struct ban *b, struct ban_suspect *s)
{
	b->book.is_stale = true;
	b->book.is_unsaved |= s->is_manual || s->until_us - s->since_us >= SAVED_S * SECOND_US;
	b->book.n_banned--;
	s->until_us = 0;
	s->is_manual = false;
	list_del(&s->banned);
}

void ban_book_put(struct ban *b, struct ban_suspect *s, uint64_t until_us, bool is_udp_only)
{
	if (!s->until_us) {
		b->book.n_banned++;
		list_push(&b->book.banned, &s->banned);
	}
	s->since_us = ev_now_us(b->loop);
	s->until_us = until_us;
	s->is_for_udp_only = is_udp_only;
	s->score[0] = s->score[1] = 0;
	s->n_dropped = 0;
	b->book.is_stale = true;
	b->book.is_unsaved |= s->is_manual || until_us - s->since_us >= SAVED_S * SECOND_US;
}

static void tell(struct ban *b, const struct ban_suspect *s)
{
	char mem[400], ip[ADDR_TEXT_MAX];
	struct buf t;
	if (!b->cfg.on_ban)
		return;
	buf_init_fixed(&t, mem, sizeof(mem));
	buf_fmt(&t, "%s%s is banned ", addr_text(&s->key, ip), s->is_for_udp_only ? " (UDP)" : "");
	ban_put_span(&t, s->since_us, s->until_us);
	buf_str(&t, STR(": "));
	ban_put_deeds(&t, s);
	if (s->last.agent[0])
		buf_fmt(&t, " (%s)", s->last.agent);
	buf_fmt(&t, "; `rung ban explain %s`", ip);
	b->cfg.on_ban(b->cfg.ctx, &s->key, buf_view(&t));
}

static void ban(struct ban *b, struct ban_suspect *s, bool is_stream)
{
	uint64_t now = ev_now_us(b->loop);
	if (s->level && now - s->level_us > LEVEL_S * SECOND_US)
		s->level = 0;
	size_t level = s->level, top = is_stream ? LEVELS - 1 : LEVEL_UDP;
	if (s->level < LEVELS)
		s->level++;
	s->level_us = now;
	s->why[0] = 0;
	ban_book_put(b, s, now + ban_s[level < top ? level : top] * SECOND_US, !is_stream);
	b->book.n_bans++;
	tell(b, s);
}

/* ---- points ---------------------------------------------------------------------------------- */

static void decay(const struct ban *b, struct ban_suspect *s, bool is_good)
{
	uint64_t now = ev_now_us(b->loop);
	uint64_t less = (now - s->scored_us) / (DECAY_S * 1000);
	if (!less)
		return; /* let the time add up */
	s->scored_us = now;
	if (is_good)
		less *= GOOD_DECAY;
	for (int i = 0; i < 2; i++)
		s->score[i] -= less < s->score[i] ? less : s->score[i];
}

uint64_t ban_book_points(const struct ban *b, const struct ban_suspect *s, bool is_stream)
{
	struct ban_suspect copy = *s;
	decay(b, &copy, ban_book_is_good(b, &s->key));
	return copy.score[is_stream] / 1000;
}

/* Banned already for all that this kind of transport can ban? */
static bool is_banned_for(const struct ban_suspect *s, uint64_t now_us, bool is_stream)
{
	return s->until_us > now_us && !(is_stream && s->is_for_udp_only);
}

static void charge(struct ban *b, struct ban_suspect *s, bool is_stream, uint64_t more)
{
	bool is_good = ban_book_is_good(b, &s->key);
	decay(b, s, is_good);
	s->score[is_stream] += more;
	uint64_t enough = BAN_POINTS * 1000ull * (is_good ? GOOD_FACTOR : 1);
	if (s->score[is_stream] >= enough && !is_banned_for(s, ev_now_us(b->loop), is_stream))
		ban(b, s, is_stream);
}

/* Users tried in this window and log-ins. */
static void weigh(struct ban *b, struct ban_suspect *s)
{
	uint32_t n_tried = (uint32_t)__builtin_popcountll(s->asked), n_ok = s->n_ok;
	s->window_us = s->asked = 0;
	s->n_ok = 0;
	if (n_tried < n_ok + TRIED_FREE)
		return;
	s->n[BAN_SCAN] += n_tried - n_ok;
	charge(b, s, s->is_window_stream, (uint64_t)(n_tried - n_ok) * points[BAN_SCAN]);
}

static uint64_t add_deeds(struct ban_suspect *s, const struct ban_report *r, bool is_good)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < BAN_DEEDS; i++) {
		s->n[i] += r->n[i];
		/* one client of a good address that storms is held back by itself (limit.h) */
		if (i != BAN_STORM || !is_good)
			sum += (uint64_t)r->n[i] * points[i];
	}
	return sum;
}

void ban_book_take(struct ban *b, const struct ban_report *r)
{
	if (r->n_ok)
		ban_is_good(b, &r->key);
	struct ban_suspect *s = ban_book_find(b, &r->key);
	bool has_news = r->asked || r->n_dropped;
	for (size_t i = 0; i < BAN_DEEDS; i++)
		has_news |= r->n[i] > 0;
	if (!has_news && !s)
		return; /* somebody logged in: that is all that is to be known of him */
	s = ban_book_get(b, &r->key);
	if (!s)
		return;
	s->n_dropped += r->n_dropped;
	if (r->last.request[0])
		s->last = r->last;
	if (!s->window_us && r->asked)
		s->window_us = ev_now_us(b->loop) + WINDOW_US;
	s->asked |= r->asked;
	s->n_ok += r->n_ok;
	s->is_window_stream = r->is_stream;
	uint64_t more = add_deeds(s, r, ban_book_is_good(b, &r->key));
	if (more)
		charge(b, s, r->is_stream, more);
}

/* ---- the snapshot ---------------------------------------------------------------------------- */

static void on_retired(struct ev_retired *node)
{
	free(CONTAINER_OF(node, struct ban_set, retired));
}

static struct ban_set *make_set(struct ban *b)
{
	struct ban_book *k = &b->book;
	size_t n = 16;
	while (n < 2 * k->n_banned)
		n *= 2;
	struct ban_set *set = calloc(1, sizeof(*set) + n * sizeof(set->slot[0]));
	if (!set)
		return NULL;
	set->n_slots = n;
	set->n_nets = k->n_nets;
	memcpy(set->nets, k->nets, sizeof(set->nets));
	LIST_EACH (&k->banned, l) {
		const struct ban_suspect *s = LIST_ENTRY(l, struct ban_suspect, banned);
		size_t i = (size_t)addr_hash(b->cfg.key, &s->key) & (n - 1);
		while (set->slot[i].key.family)
			i = (i + 1) & (n - 1);
		set->slot[i] = (struct ban_entry){s->key, s->is_for_udp_only, s->until_us};
	}
	return set;
}

void ban_book_publish(struct ban *b)
{
	struct ban_book *k = &b->book;
	struct ban_set *old = ev_snap_get(&b->set), *set = NULL;
	if (!k->is_stale)
		return;
	if (k->n_banned || k->n_nets) {
		set = make_set(b);
		if (!set)
			return; /* the next tick tries again */
	}
	k->is_stale = false;
	ev_snap_set(&b->set, set);
	if (old)
		ev_retire(b->loop, &old->retired, on_retired);
}

static void on_soon(struct tmr *t)
{
	struct ban *b = CONTAINER_OF(t, struct ban, book.soon);
	b->book.is_soon = false;
	ban_book_publish(b);
}

void ban_book_publish_soon(struct ban *b)
{
	if (!b->book.is_stale || b->book.is_soon)
		return;
	b->book.is_soon = true;
	ev_timer(b->loop, &b->book.soon, SOON_US, on_soon);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void on_saved(struct acc_setting *s)
{
	struct ban *b = CONTAINER_OF(s, struct ban, book.saved);
	free((void *)s->value.p);
	s->value = STR_NONE;
	b->book.is_saving = false;
	b->book.is_unsaved |= s->result != OK;
}

static void save(struct ban *b)
{
	struct ban_book *k = &b->book;
	struct buf lines;
	if (!k->is_unsaved || k->is_saving)
		return;
	buf_init(&lines);
	ban_write(b, &lines);
	if (lines.err) {
		buf_fini(&lines);
		return;
	}
	k->is_unsaved = false;
	k->is_saving = true;
	k->saved = (struct acc_setting){
		.key = STR("bans"), .value = buf_view(&lines), .done = on_saved};
	acc_put_setting(b->acc, &k->saved);
}

static void end_nets(struct ban *b, uint64_t now)
{
	struct ban_book *k = &b->book;
	for (size_t i = 0; i < k->n_nets; i++)
		if (k->nets[i].until_us <= now) {
			k->nets[i--] = k->nets[--k->n_nets];
			k->is_stale = k->is_unsaved = true;
		}
}

static void on_tick(struct tmr *t)
{
	struct ban *b = CONTAINER_OF(t, struct ban, book.tick);
	uint64_t now = ev_now_us(b->loop);
	/* windows are open only of those who were heard of lately */
	for (struct link *l = b->book.lru.prev; l != &b->book.lru; l = l->prev) {
		struct ban_suspect *s = LIST_ENTRY(l, struct ban_suspect, lru);
		if (s->window_us && s->window_us <= now)
			weigh(b, s);
		if (now - s->last_us > 2 * WINDOW_US)
			break;
	}
	LIST_EACH (&b->book.banned, l) {
		struct ban_suspect *s = LIST_ENTRY(l, struct ban_suspect, banned);
		if (s->until_us <= now)
			ban_book_lift(b, s);
	}
	end_nets(b, now);
	ban_book_publish(b);
	save(b);
	ev_timer(b->loop, &b->book.tick, TICK_US, on_tick);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum err ban_book_init(struct ban *b)
{
	struct ban_book *k = &b->book;
	list_init(&k->lru);
	list_init(&k->banned);
	k->good = calloc(LIMIT_GOOD_SOURCES, sizeof(*k->good));
	if (!k->good)
		return ERR_NOMEM;
	enum err e = htab_init(&k->suspects, 64);
	if (e == OK)
		ev_timer(b->loop, &k->tick, TICK_US, on_tick);
	return e;
}

void ban_book_fini(struct ban *b)
{
	struct ban_book *k = &b->book;
	if (!k->good)
		return;
	ev_timer_stop(b->loop, &k->tick);
	ev_timer_stop(b->loop, &k->soon);
	LIST_EACH (&k->lru, l) {
		struct ban_suspect *s = LIST_ENTRY(l, struct ban_suspect, lru);
		list_del(&s->banned);
		list_del(&s->lru);
		free(s);
	}
	htab_fini(&k->suspects);
	free((void *)k->saved.value.p);
	free(k->good);
}

void ban_stats(const struct ban *b, struct ban_stats *out)
{
	*out = (struct ban_stats){.n_suspects = b->book.suspects.n,
				  .n_banned = b->book.n_banned,
				  .n_bans = b->book.n_bans};
}
