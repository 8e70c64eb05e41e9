/* Accounts in memory, and how they are made.
 *
 * A snapshot is one allocation: an index of 32-bit offsets by hash (open addressing, at most a
 * third full), then one packed entry per account: flags, length, name, HA1s. 100,000 accounts take
 * about 12 MB and 60 ms to build. It is immutable; readers on any shard take the pointer and use it
 * until the end of their turn; a new one replaces it whole, the old one is retired.
 *
 * Shard 0 asks a worker once per second whether the database has changed (2.4 µs there), and the
 * worker builds the new snapshot at once if so. Only one such job is under way at any time, and
 * only it uses the store then.
 *
 * Unknown names find a stand-in: the entry of some other account, near by in the index, so that the
 * digest of an unknown user costs what a known one's costs, down to the memory that it reads (a
 * single stand-in is always in the cache, and 0.1 µs quicker: tests/sim/equal.c). While there are
 * no accounts it is an entry that no password has.
 *
 * Invariants: 1. Entries are never changed in place. 2. The current snapshot is freed by
 * acc_free, an old one after every shard has turned. 3. A failed reload keeps the old snapshot.
 */
#include "service/accounts.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define POLL_US 1000000u

struct entry { /* 81 bytes before the name */
	uint8_t is_enabled;
	uint8_t name_n;
	uint8_t md5[16], sha256[32], sha512_256[32];
	char name[];
};

struct snapshot {
	struct ev_retired retired;
	uint64_t generation;
	size_t n, n_slots; /* n_slots: power of two */
	uint8_t key[16];
	uint8_t *entries;
	uint32_t slot[]; /* 1 + offset into entries; 0: free. */
};

struct waiter {
	struct waiter *next;
	void (*done)(void *ctx, enum err e);
	void *ctx;
};

struct look { /* one look at the database, by a worker */
	struct ev_job job;
	struct acc *a;
	bool is_forced;
	struct acc_setting *settings; /* to be written */
	struct snapshot *fresh;       /* NULL: nothing new */
	enum err result;
};

struct acc {
	struct st *st;
	struct ev_loop *loop;
	ev_snap current;
	struct tmr poll;
	bool is_busy, has_failed; /* has_failed: the last look; the next one reads all again */
	struct waiter *waiters, *serving; /* serving: those whom the present job answers */
	struct acc_setting *settings;     /* for the next job */
	uint64_t generation;
	uint8_t key[16];
	uint8_t dummy[sizeof(struct entry)]; /* an entry whose HA1s match no password */
};

/* --- building ------------------------------------------------------------------------------- */

struct builder {
	struct buf entries;
	size_t n;
};

static bool add_entry(void *arg, const struct st_account *a)
{
	struct builder *b = arg;
	struct entry e = {.is_enabled = a->is_enabled, .name_n = (uint8_t)a->user.n};
	if (!a->user.n || a->user.n > UINT8_MAX)
		return true; /* not made by us: nobody can be called that */
	memcpy(e.md5, a->ha1[MD_MD5], sizeof(e.md5));
	memcpy(e.sha256, a->ha1[MD_SHA256], sizeof(e.sha256));
	memcpy(e.sha512_256, a->ha1[MD_SHA512_256], sizeof(e.sha512_256));
	buf_put(&b->entries, &e, sizeof(e));
	buf_str(&b->entries, a->user);
	b->n++;
	return b->entries.err == OK;
}

static void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	free(s->entries);
	free(s);
}

static void on_retired(struct ev_retired *node)
{
	snapshot_free(CONTAINER_OF(node, struct snapshot, retired));
}

static void index_entries(struct snapshot *s, size_t n_bytes)
{
	for (size_t off = 0; off < n_bytes;) {
		const struct entry *e = (const void *)(s->entries + off);
		size_t i = (size_t)htab_hash(s->key, e->name, e->name_n) & (s->n_slots - 1);
		while (s->slot[i])
			i = (i + 1) & (s->n_slots - 1);
		s->slot[i] = (uint32_t)off + 1;
		off += sizeof(*e) + e->name_n;
	}
}

static enum err snapshot_new(struct acc *a, struct snapshot **out)
{
	struct builder b = {0};
	buf_init(&b.entries);
	enum err e = st_accounts_each(a->st, add_entry, &b);
	if (e == OK)
		e = b.entries.err;
	if (e == OK && b.entries.n >= UINT32_MAX)
		e = ERR_LIMIT;
	size_t n_slots = 16;
	while (n_slots < b.n * 3)
		n_slots *= 2;
	struct snapshot *s = e == OK ? calloc(1, sizeof(*s) + n_slots * sizeof(s->slot[0])) : NULL;
	if (!s) {
		buf_fini(&b.entries);
		return e == OK ? ERR_NOMEM : e;
	}
	char *exact = realloc(b.entries.p, b.entries.n ? b.entries.n : 1);
	s->entries = (uint8_t *)(exact ? exact : b.entries.p);
	s->n = b.n;
	s->n_slots = n_slots;
	memcpy(s->key, a->key, sizeof(s->key));
	index_entries(s, b.entries.n);
	*out = s;
	return OK;
}

/* --- reloading ------------------------------------------------------------------------------ */

/* On a worker. */
static void look_for_changes(struct ev_job *job)
{
	struct look *k = CONTAINER_OF(job, struct look, job);
	for (struct acc_setting *s = k->settings; s; s = s->next)
		s->result = st_meta_put(k->a->st, s->key, s->value);
	if (st_has_changed(k->a->st) || k->is_forced)
		k->result = snapshot_new(k->a, &k->fresh);
}

static void publish(struct acc *a, struct snapshot *s)
{
	struct snapshot *old = ev_snap_get(&a->current);
	s->generation = ++a->generation;
	ev_snap_set(&a->current, s);
	if (old)
		ev_retire(a->loop, &old->retired, on_retired);
}

static void start_job(struct acc *a, bool is_forced);

static void tell(struct waiter *w, enum err e)
{
	while (w) {
		struct waiter *next = w->next;
		w->done(w->ctx, e);
		free(w);
		w = next;
	}
}

static void drop_look(struct ev_job *job)
{
	struct look *k = CONTAINER_OF(job, struct look, job);
	snapshot_free(k->fresh);
	free(k);
}

static void on_looked(struct ev_job *job)
{
	struct look *k = CONTAINER_OF(job, struct look, job);
	struct acc *a = k->a;
	struct waiter *served = a->serving;
	struct acc_setting *written = k->settings;
	enum err result = k->result;
	if (k->fresh)
		publish(a, k->fresh);
	free(k);
	a->serving = NULL;
	a->is_busy = false;
	a->has_failed = result != OK;
	if (a->waiters)
		start_job(a, true);
	tell(served, result);
	while (written) {
		struct acc_setting *next = written->next;
		written->done(written);
		written = next;
	}
}

static void start_job(struct acc *a, bool is_forced)
{
	struct look *k = calloc(1, sizeof(*k));
	if (!k) {
		a->has_failed = true;
		struct waiter *w = a->waiters;
		a->waiters = NULL;
		tell(w, ERR_NOMEM);
		return;
	}
	a->is_busy = true;
	a->serving = a->waiters;
	a->waiters = NULL;
	k->a = a;
	k->settings = a->settings;
	a->settings = NULL;
	k->is_forced = is_forced || a->has_failed;
	k->job.work = look_for_changes;
	k->job.done = on_looked;
	k->job.drop = drop_look;
	ev_work(a->loop, &k->job);
}

static void on_poll(struct tmr *t)
{
	struct acc *a = CONTAINER_OF(t, struct acc, poll);
	if (!a->is_busy)
		start_job(a, false);
	ev_timer(a->loop, &a->poll, POLL_US, on_poll);
}

void acc_put_setting(struct acc *a, struct acc_setting *s)
{
	s->next = a->settings;
	a->settings = s;
}

void acc_reload(struct acc *a, void (*done)(void *ctx, enum err e), void *ctx)
{
	if (done) {
		struct waiter *w = malloc(sizeof(*w));
		if (!w) {
			done(ctx, ERR_NOMEM);
			return;
		}
		*w = (struct waiter){.next = a->waiters, .done = done, .ctx = ctx};
		a->waiters = w;
	}
	if (!a->is_busy)
		start_job(a, true);
}

enum err acc_new(struct ev_shards *shards, struct st *st, struct acc **out)
{
	struct acc *a = calloc(1, sizeof(*a));
	struct snapshot *first;
	if (!a)
		return ERR_NOMEM;
	a->st = st;
	a->loop = ev_shard(shards, 0);
	env_random(a->loop->env, a->key, sizeof(a->key));
	env_random(a->loop->env, a->dummy, sizeof(a->dummy));
	(void)st_has_changed(st); /* what is there now is what we read next */
	enum err e = snapshot_new(a, &first);
	if (e != OK) {
		free(a);
		return e;
	}
	publish(a, first);
	ev_timer(a->loop, &a->poll, POLL_US, on_poll);
	*out = a;
	return OK;
}

static void forget(struct waiter *w)
{
	while (w) {
		struct waiter *next = w->next;
		free(w);
		w = next;
	}
}

void acc_free(struct acc *a)
{
	if (!a)
		return;
	ev_timer_stop(a->loop, &a->poll);
	forget(a->waiters);
	forget(a->serving);
	snapshot_free(ev_snap_get(&a->current));
	free(a);
}

/* --- reading -------------------------------------------------------------------------------- */

static void fill(const struct entry *e, struct str name, struct acc_user *out)
{
	*out = (struct acc_user){.name = name, .is_enabled = e->is_enabled};
	out->ha1[MD_MD5] = e->md5;
	out->ha1[MD_SHA256] = e->sha256;
	out->ha1[MD_SHA512_256] = e->sha512_256;
}

static struct str name_of(const struct entry *e)
{
	return str_of(e->name, e->name_n);
}

/* An unknown name reads what a known one does: its place in the index, and an entry. */
bool acc_find(struct acc *a, struct str user, struct acc_user *out)
{
	const struct snapshot *s = ev_snap_get(&a->current);
	const struct entry *e = (const void *)a->dummy;
	size_t i = (size_t)htab_hash(s->key, user.p, user.n) & (s->n_slots - 1);
	bool is_nobodys = !s->slot[i];
	while (s->n && !s->slot[i])
		i = (i + 1) & (s->n_slots - 1); /* then the next one's will do */
	for (; s->slot[i]; i = (i + 1) & (s->n_slots - 1)) {
		e = (const void *)(s->entries + s->slot[i] - 1);
		if (str_eq(name_of(e), user)) {
			fill(e, name_of(e), out);
			return true;
		}
		if (is_nobodys)
			break;
	}
	fill(e, STR_NONE, out);
	out->is_enabled = false;
	return false;
}

bool acc_has(struct acc *a, struct str user)
{
	struct acc_user u;
	return acc_find(a, user, &u) && u.is_enabled;
}

void acc_each(struct acc *a, bool (*fn)(void *arg, struct str user), void *arg)
{
	const struct snapshot *s = ev_snap_get(&a->current);
	size_t off = 0;
	for (size_t i = 0; s && i < s->n; i++) {
		const struct entry *e = (const void *)(s->entries + off);
		if (e->is_enabled && !fn(arg, str_of((const char *)e->name, e->name_n)))
			return;
		off += sizeof(*e) + e->name_n;
	}
}

size_t acc_count(struct acc *a)
{
	return ((const struct snapshot *)ev_snap_get(&a->current))->n;
}

uint64_t acc_generation(struct acc *a)
{
	return ((const struct snapshot *)ev_snap_get(&a->current))->generation;
}
