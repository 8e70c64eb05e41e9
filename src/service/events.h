#pragma once
/* The event server: who watches what of whom, and what there is to tell. [RFC6665]
 *
 * Packages are rows of packages.def. All that concerns one address of record is on that address's
 * shard (location's: loc_shard_of); each subscription's dialog is on the shard of its Call-ID, and
 * only asks, renders and sends. What goes between them are the EVENT rows of event/inbox.def.
 * Subscriptions, offline messages and mailbox counts are durable. */

#include "dialog/stack.h"
#include "location/location.h"
#include "service/accounts.h"
#include "service/domains.h"
#include "service/gruu.h"

struct evt;       /* of the process */
struct evt_shard; /* of one shard */

enum evt_pkg {
#define PACKAGE(id, event, type, who, base, gap, rfc) EVT_##id,
#include "service/packages.def"
#undef PACKAGE
	EVT__N
};

struct evt_env {
	struct ev_shards *shards;
	struct st *st; /* NULL: nothing is durable */
	struct loc *loc;
	struct acc *acc;
	struct dom *dom;
	struct gruu_self gruu;
};
/* Before the shards start; borrows all. Takes location's listener. */
enum err evt_new(const struct evt_env *env, struct evt **out);
void evt_free(struct evt *e); /* before the stacks */
/* Once per shard, after its stack is made. The calls of the exchange (service/calls) of that shard
 * are asked by `gather` about an address that somebody begins to watch. */
enum err evt_shard_new(struct evt *e, size_t shard, const struct dlg_stack *stack,
		       struct evt_shard **out);
void evt_shard_free(struct evt_shard *s);
void evt_set_gather(struct evt_shard *s, void (*fn)(void *ctx, struct str aor), void *ctx);
/* When all shards are there: reads the store. The error's sentence is st_why's. */
enum err evt_load(struct evt *e);

/* From the dispatcher. `user`: who has authenticated, empty for a trusted source; `aor`: of the
 * request-URI. Each answers by itself. */
void evt_on_subscribe(struct evt_shard *s, tsx_id st, struct tp_rx *rx, struct str user,
		      struct str aor);
void evt_on_publish(struct evt_shard *s, tsx_id st, struct tp_rx *rx, struct str user,
		    struct str aor);
/* A MESSAGE for somebody who is not there: kept until he registers. [RFC3428 5, 7] */
void evt_on_message(struct evt_shard *s, tsx_id st, struct tp_rx *rx, struct str aor);
/* Appends "Allow-Events: ...\r\n". */
void evt_allow_put(struct buf *out);
/* The built-in address that stands for a list of all colleagues. [RFC4662] */
bool evt_is_list(const struct evt_shard *s, struct str user);

/* One dialog of one party, as its phone would see it. [RFC4235 3.7] */
enum evt_dialog_state { EVT_TRYING, EVT_EARLY, EVT_CONFIRMED, EVT_TERMINATED };
struct evt_dialog {
	uint64_t call; /* which call, and which fork of it: name the dialog */
	uint16_t fork;
	uint8_t state; /* enum evt_dialog_state */
	bool is_initiator;
	uint16_t code;                             /* of a final response; 0: none */
	struct str call_id, local_tag, remote_tag; /* remote_tag may be empty */
	struct str local, remote, remote_name;     /* URIs; a display name */
};
/* Does anybody watch the dialogs of that address? From any shard; a few others say yes too. Where
 * to look is worked out once. */
struct evt_watch {
	uint16_t home, word;
};
struct evt_watch evt_watch_of(struct evt_shard *s, struct str aor);
bool evt_is_watched(struct evt_shard *s, struct evt_watch w);
/* A dialog of an address of ours has changed. */
void evt_tell_dialog(struct evt_shard *s, struct str aor, const struct evt_dialog *d);

/* Counts of a mailbox: durable, told to its watchers, and without any to its phones [RFC3842]. From
 * any thread. ERR_NOMEM. */
enum err evt_set_mailbox(struct evt *e, struct str aor, uint32_t n_new, uint32_t n_old);

struct evt_stats {
	uint32_t subscriptions, watchers, resources, messages;
};
void evt_stats(const struct evt_shard *s, struct evt_stats *out);
