#pragma once
/* All accounts in memory, as one immutable snapshot that every shard reads without locks; made anew
 * by a worker when the database has changed (a second `rung user add` takes effect within a second,
 * or at once after acc_reload). */

#include "store/store.h"

struct acc;

/* Loads all accounts (blocking: before the shards start) and polls for changes from shard 0's loop
 * once per second. Borrows st. */
enum err acc_new(struct ev_shards *shards, struct st *st, struct acc **out);
void acc_free(struct acc *a); /* after the shards have stopped */
/* Reads the database again now; from shard 0. `done` (may be NULL) is called there afterwards. */
void acc_reload(struct acc *a, void (*done)(void *ctx, enum err e), void *ctx);

/* A setting to be written by the worker that looks at the database, within a second: it alone uses
 * the store. The caller's block until done is called, on shard 0, from where it is asked for. */
struct acc_setting {
	struct acc_setting *next;
	struct str key, value;
	enum err result;
	void (*done)(struct acc_setting *s);
};
void acc_put_setting(struct acc *a, struct acc_setting *s);

struct acc_user { /* borrowed until the end of the turn */
	struct str name;
	bool is_enabled;
	const uint8_t *ha1[MD__N]; /* raw */
};
/* From any shard. False: no such user; then *out is a stand-in, so that a check costs the same
 * time; whatever comes of that check, the user is unknown. Disabled users are found. */
bool acc_find(struct acc *a, struct str user, struct acc_user *out);
bool acc_has(struct acc *a, struct str user); /* exists and is enabled */
size_t acc_count(struct acc *a);
/* Those that are enabled, by name; false from fn stops. From any shard, within the turn. */
void acc_each(struct acc *a, bool (*fn)(void *arg, struct str user), void *arg);
uint64_t acc_generation(struct acc *a); /* grows with each reload */

/* --- making accounts: blocking, for commands and start-up --- */
#define ACC_REALM_MAX 255
/* The realm of this data folder, decided at its first use and never changed: `wanted`, or a made-up
 * one ("rung-5f2c9a") when that is empty. Appends it. */
enum err acc_realm(struct st *st, struct env *env, struct str wanted, struct buf *out);
/* A key of n <= 32 bytes of this data folder, made at its first use ("nonce": the nonces). */
enum err acc_key(struct st *st, struct env *env, struct str name, uint8_t *key, size_t n);
/* ERR_SYNTAX with a sentence in `why`: empty, too long (> 64), or with characters that no user part
 * has. */
enum err acc_name_check(struct str user, struct buf *why);
enum err acc_password_check(struct str password, struct buf *why);
/* Fills the HA1s of all algorithms. */
void acc_set_password(struct st_account *a, struct str realm, struct str password);
/* A password of 4 groups of 4 characters ("k7mq-x3fd-9wtp-hn4e": 74 bits), none of them easily
 * mistaken for another. Appends it. */
void acc_password_make(struct env *env, struct buf *out);
/* The first minute: when there is no account at all, makes `n` of them ("100", "101", ...) with
 * generated passwords and tells each to fn. */
enum err acc_first(struct st *st, struct env *env, struct str realm, size_t n,
		   void (*fn)(void *arg, struct str user, struct str password), void *arg);
