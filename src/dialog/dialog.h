#pragma once
/* Dialogs of RFC 3261 12 and their manager, one per shard: the table by Call-ID and tags, dispatch
 * of in-dialog requests to the usages of a dialog (a session, a subscription). Everything in
 * dialog/ lives on one shard's loop over one tsx_mgr. Users are told from the loop when the layer
 * is done changing, never from inside a call of theirs; questions (make_offer, body ...) are asked
 * at once and must not call back into the layer. This layer never calls tsx_set_owner. */

#include "transaction/transaction.h"

struct dlg_mgr;
struct dlg;

struct dlg_config {
	struct str product;   /* User-Agent and Server value, copied; empty: none */
	uint32_t max_dialogs; /* 0: the default of limits.h; also bounds sessions, subscriptions */
};

/* Borrows all but the strings. */
enum err dlg_mgr_new(struct ev_loop *loop, struct tp *tp, struct tsx_mgr *tsx,
		     struct block_cache *blocks, const struct dlg_config *cfg,
		     struct dlg_mgr **out);
/* Drops sessions, subscriptions, requests without a message on the wire or a callback. Call it
 * before tsx_mgr_free. */
void dlg_mgr_free(struct dlg_mgr *m);

/* To be called from the tsx_user of the shard, in the order: dialog layer first, then whoever else.
 * Each tells whether the thing was for a dialog or session of ours and is dealt with. A request
 * with a To tag that is not ours gives false: an exchange forwards it, a phone answers
 * dlg_refuse_unknown. */
bool dlg_on_request(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx);
bool dlg_on_ack(struct dlg_mgr *m, struct tp_rx *rx);
bool dlg_on_cancel(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx);
bool dlg_on_stray_response(struct dlg_mgr *m, struct tp_rx *rx);
bool dlg_on_server_end(struct dlg_mgr *m, tsx_id st, void *owner, enum tsx_end why);
void dlg_on_flow_down(struct dlg_mgr *m, tp_flow flow);

/* What a user agent answers to a request that nobody took: 481 with a To tag and to stray BYE,
 * NOTIFY, CANCEL; 200 with Allow to OPTIONS; 405 with Allow to the rest. */
void dlg_refuse_unknown(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx);

struct dlg_stats {
	uint32_t dialogs, sessions, subscriptions, requests; /* live */
};
void dlg_stats(const struct dlg_mgr *m, struct dlg_stats *out);

/* --- a dialog, read-only; borrowed from its session or subscription -----------------------------
 */
struct str dlg_call_id(const struct dlg *d);
struct str dlg_local_tag(const struct dlg *d);
struct str dlg_remote_tag(const struct dlg *d); /* empty before the first response */
struct str dlg_local(const struct dlg *d);      /* our From/To value, without tag */
struct str dlg_remote(const struct dlg *d);     /* theirs */
struct str dlg_remote_target(const struct dlg *d);
size_t dlg_route_count(const struct dlg *d);
bool dlg_is_uac(const struct dlg *d); /* we sent the request that made it */
bool dlg_is_early(const struct dlg *d);
