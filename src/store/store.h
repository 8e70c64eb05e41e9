#pragma once
/* Durable facts of one data folder: accounts and settings in SQLite (rung.db), bindings and the
 * facts of events in append-only journals (one per shard and set). No SIP types: a binding is a key
 * and bytes.
 *
 * Who calls what: opening, settings, accounts and loading block, and belong to start-up, to
 * commands, and to workers (one call at a time). The journal of a shard belongs to that shard's
 * loop and never blocks longer than one write into the page cache. docs/adr/001 says why. */

#include "base/digest.h"
#include "event/shard.h"

struct st;
struct st_mem;

enum st_flag {
	ST_SERVER = 1, /* takes the folder's lock: one server per folder */
	ST_CREATE = 2, /* makes folder and database when missing */
};
/* `why` gets a sentence for the user when it fails: what, which file, what to do. ERR_NOTFOUND: no
 * such folder or database (without ST_CREATE). ERR_STATE: another server has the lock.
 * ERR_UNSUPPORTED: written by a newer rung. ERR_IO: damaged, not readable, disk full. */
enum err st_open(const char *dir, unsigned flags, struct st **out, struct buf *why);
/* The same on a disk in memory that outlives the store: store/mem.h. */
enum err st_open_mem(struct st_mem *disk, struct st **out, struct buf *why);
/* The loops must not run any more. What was put and not written yet is forgotten, without done.
 * NULL is harmless. */
void st_close(struct st *s);
/* What start-up found and repaired, one sentence per line, for the log; may be empty. */
struct str st_notices(const struct st *s);
/* The sentence that belongs to the last error of a blocking call ("disk full: ..."). */
struct str st_why(const struct st *s);

/* --- settings --- */
/* ERR_NOTFOUND: never set. */
enum err st_meta_get(struct st *s, struct str key, struct buf *out);
enum err st_meta_put(struct st *s, struct str key, struct str value);
/* Sets key to value unless it has one already; appends the one that it has now. Two processes that
 * do it at once get the same. */
enum err st_meta_init(struct st *s, struct str key, struct str value, struct buf *out);

/* --- accounts --- */
struct st_account {
	struct str user; /* as in a URI, unescaped; the same in all domains */
	bool is_enabled;
	uint8_t ha1[MD__N][MD_MAX]; /* raw H(user:realm:password); md_size() bytes count */
	uint64_t changed_s;         /* wall clock, s; the caller's */
};
enum st_put_mode { ST_ADD, ST_REPLACE, ST_UPSERT };
/* ERR_STATE: ST_ADD and it exists. ERR_NOTFOUND: ST_REPLACE and it does not. */
enum err st_account_put(struct st *s, const struct st_account *a, enum st_put_mode mode);
enum err st_account_del(struct st *s, struct str user);
/* a->user is the caller's string afterwards. */
enum err st_account_get(struct st *s, struct str user, struct st_account *a);
/* In order of name; strings are borrowed during the call. fn returns false to stop. */
enum err st_accounts_each(struct st *s, bool (*fn)(void *arg, const struct st_account *a),
			  void *arg);
enum err st_accounts_count(struct st *s, size_t *n);
/* Many changes as one: st_begin ... st_commit or st_rollback. */
enum err st_begin(struct st *s);
enum err st_commit(struct st *s);
void st_rollback(struct st *s);
/* True once after accounts or settings may have changed, by whatever process (and at the first
 * call). Cheap enough for once per second. */
bool st_has_changed(struct st *s);

/* --- journals: bindings, what events must remember (subscriptions, messages, mailboxes), and the
 * trails of calls (admin/trail.h) --- */
enum st_set { ST_BINDINGS, ST_EVENTS, ST_CALLS, ST_SET__N };
/* Reads all journals, oldest first: a later value of a key replaces the earlier, an empty one
 * deletes it. A torn tail is dropped; a damaged file is kept aside under another name, what is
 * readable in it is used, and st_notices says so. Before st_journals_open, once. */
enum err st_journals_read(struct st *s, enum st_set set,
			  void (*fn)(void *arg, struct str key, struct str value), void *arg);
/* Opens one journal per shard. `layout` says how keys are dealt out to shards. *rewrite: the caller
 * must now give each journal all keys that belong to its shard, with st_journal_keep, and then call
 * st_journals_ready; the files on disk were made for another number of shards or another layout,
 * are damaged, or left over from a compaction. */
enum err st_journals_open(struct st *s, enum st_set set, struct ev_shards *shards, uint32_t layout,
			  bool *rewrite);
enum err st_journals_ready(struct st *s, enum st_set set);
/* Takes the journals off their loops, which may be freed afterwards; st_close does it too. */
void st_journals_leave(struct st *s, enum st_set set);

struct st_journal;
struct st_journal *st_journal(struct st *s, enum st_set set, size_t shard);
struct st_put { /* one change, part of its owner until done is called */
	struct st_put *next;
	void (*done)(struct st_put *p, enum err e);
};
/* Writes key = value (empty: delete) at the end of this loop turn, together with the others of the
 * turn, then calls done from there: OK means that it survives kill -9. ERR_LIMIT: disk full,
 * ERR_IO: other failures; nothing of the batch is kept then. Key and value are copied. done may
 * put again. */
void st_journal_put(struct st_journal *j, struct st_put *p, struct str key, struct str value);
/* Compaction: when wanted (live_bytes: what a file of live keys alone would take), begin; then keep
 * every live key once, in as many turns as one likes; then end. Changes put meanwhile are part of
 * it. A compaction that fails costs nothing but disk: the old file stays until a later one
 * succeeds. */
bool st_journal_wants_compaction(const struct st_journal *j, uint64_t live_bytes);
enum err st_journal_compact_begin(struct st_journal *j);
/* Not for a key that has a put under way: that put is in the new file anyway. */
void st_journal_keep(struct st_journal *j, struct str key, struct str value);
/* Writes what is waiting now, and tells; between parts of a rewrite at start-up. */
void st_journal_flush(struct st_journal *j);
/* For who does not have the values any more: gives the next max_bytes or so of what the files say
 * that are to go, in their order, and true when that was all. What cannot be read makes the
 * compaction fail. */
bool st_journal_reread(struct st_journal *j, size_t max_bytes,
		       void (*fn)(void *arg, struct str key, struct str value), void *arg);
void st_journal_compact_end(struct st_journal *j);

struct st_journal_stats {
	uint64_t n_puts, n_writes, n_failed, n_compactions;
	uint64_t size_bytes; /* of the file */
};
void st_journal_stats(const struct st_journal *j, struct st_journal_stats *out);
/* The sentence that belongs to the last failed write; empty when none has failed since the last
 * good one. On the journal's shard. */
struct str st_journal_why(const struct st_journal *j);
