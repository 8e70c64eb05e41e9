#pragma once
/* The routing policy as compiled out of its file: immutable, one for all shards. All strings and
 * arrays lie in its arena. The keys of the file, with what they mean, are keys.def. */

#include "base/hash.h"
#include "policy/kinds.h"

struct pol_domain {
	struct pol_text place, name;
	uint8_t mode; /* enum pol_mode */
};
struct pol_forward {
	struct pol_dest always, busy, no_answer, offline;
	uint32_t after_s; /* 0: not said */
};
struct pol_user {
	struct pol_text name, display, caller_id;
	struct pol_texts numbers, aliases;
	struct pol_forward forward;
	uint8_t mode, permanent;
};
struct pol_member {
	struct pol_text place;
	struct pol_dest to;
	struct pol_whens at;
};
struct pol_group {
	struct pol_text name, display;
	struct pol_texts numbers;
	struct pol_list members;
	uint8_t ring; /* enum pol_ring */
	uint32_t time_s;
	struct pol_dest otherwise;
};
struct pol_host {
	struct pol_text place, host;
	uint32_t priority, weight;
};
struct pol_trunk {
	struct pol_text name, user, password, caller_id;
	struct pol_list hosts; /* by priority */
	struct pol_sources sources;
	struct pol_rewrites in, out, caller_in, caller_out;
	struct pol_numbers numbers;
	struct pol_dest otherwise;
	struct pol_headers set;
	struct pol_texts remove, pass;
	uint32_t max_calls, probe_s;
	uint8_t does_register, mode;
};
struct pol_route {
	struct pol_text place, name;
	struct pol_patterns from, to, host;
	struct pol_sources source;
	struct pol_headers header, set;
	struct pol_whens at;
	struct pol_texts method, remove, trunk;
	struct pol_dests redirect;
	uint32_t trunks[8]; /* those of `trunk`, found */
	struct pol_dest user, group;
	struct pol_rewrites number, caller;
	uint32_t reject, ring_s;
	struct pol_text reason;
	uint8_t mode, recurse, permanent, farewell, goes_on; /* goes_on: `continue` */
};

struct pol_big;
struct pol_config {
	/* what the file says */
	struct pol_texts listen, trust;
	struct pol_text data, realm, echo;
	uint32_t shards, forwards;
	struct pol_list domains, users, groups, trunks, routes;
	struct pol_numbers numbers;
	uint8_t mode, recurse, history, private_history;
	/* found by it */
	struct arena mem;
	struct pol_big *big; /* arrays too large for the arena */
	struct htab names;   /* struct pol_name */
	bool has_names, has_times;
};

struct pol_name { /* a user, number, alias or group */
	struct hnode node;
	struct str key;
	struct pol_dest dest;
};

/* Reads a file's text. OK: *out is the policy, `d` may hold warnings. ERR_SYNTAX: `d` holds all
 * errors, in their order. ERR_NOMEM. */
enum err pol_load(struct str text, struct pol_config **out, struct pol_diags *d);
void pol_free(struct pol_config *c);
/* Appends "FILE:3:5: error: ...\n" for each diagnostic. */
void pol_diags_put(const struct pol_diags *d, struct str file, struct buf *out);
/* NULL: nobody has that name or number. */
const struct pol_dest *pol_find(const struct pol_config *c, struct str name);
/* The trunk that this address may speak for without digest; NULL: none. */
const struct pol_trunk *pol_trunk_of(const struct pol_config *c, const struct addr *source);
/* Its `sources` have the address. */
bool pol_trunk_has(const struct pol_trunk *t, const struct addr *source);
/* All keys with their meanings, as Markdown. */
void pol_keys_put(struct buf *out);

static inline const struct pol_user *pol_user_at(const struct pol_config *c, uint32_t i)
{
	return (const struct pol_user *)c->users.v + i;
}
static inline const struct pol_group *pol_group_at(const struct pol_config *c, uint32_t i)
{
	return (const struct pol_group *)c->groups.v + i;
}
static inline const struct pol_trunk *pol_trunk_at(const struct pol_config *c, uint32_t i)
{
	return (const struct pol_trunk *)c->trunks.v + i;
}
static inline const struct pol_route *pol_route_at(const struct pol_config *c, uint32_t i)
{
	return (const struct pol_route *)c->routes.v + i;
}
