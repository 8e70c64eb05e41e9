#pragma once
/* Dialogs of RFC 3261 12 and their manager, one per shard: the table by Call-ID and tags, dispatch
 * of in-dialog requests to the usages of a dialog (a session, a subscription). Everything in
 * dialog/ lives on one shard's loop over one tsx_mgr. Users are told from the loop when the layer
 * is done changing, never from inside a call of theirs; questions (make_offer, body ...) are asked
 * at once and must not call back into the layer. This layer never calls tsx_set_owner. */

#include "transaction/transaction.h"

struct dlg_mgr;
struct dlg;

/* Why this layer refuses a request by itself. */
enum dlg_refusal {
	DLG_REFUSE_NONE,      /* no refusal of ours: the owner's, or success */
	DLG_REFUSE_ORDER,     /* 500: CSeq below the last one */
	DLG_REFUSE_MERGED,    /* 482: the same request by another way */
	DLG_REFUSE_EXTENSION, /* 420 */
	DLG_REFUSE_BODY,      /* 415: no SDP, or encoded */
	DLG_REFUSE_CONTACT,   /* 400: a request that makes a dialog needs one */
	DLG_REFUSE_NO_DIALOG, /* 481 */
	DLG_REFUSE_METHOD,    /* 405 */
	DLG_REFUSE_FULL,      /* 503, 500: memory or a bound */
	DLG_REFUSE_GLARE,     /* 491 */
	DLG_REFUSE_EARLY,     /* 500: a change before the first answer, a request too early */
	DLG_REFUSE_MEDIA,     /* 488 and the like: the owner could not answer the offer */
	DLG_REFUSE_EVENT,     /* 489 */
	DLG_REFUSE_ACCEPT,    /* 406 */
	DLG_REFUSE_INTERVAL,  /* 423 */
	DLG_REFUSE_TIMER,     /* 422: a session timer that is too short */
	DLG_REFUSE_PRACK,     /* 504: a reliable response was not acknowledged */
	DLG_REFUSE_CANCELLED, /* 487: by CANCEL, or the call ended meanwhile */
	DLG_REFUSE_DECLINED,  /* 603: the owner hung up before he had answered */
	DLG_REFUSE_REPLACES,  /* 400: several, or not in an INVITE */
	DLG_REFUSE_REFER,     /* 403: SUBSCRIBE for refer that no REFER began */
	DLG_REFUSE_STATE,     /* 400: NOTIFY without a readable Subscription-State */
};

struct dlg_config {
	void *ctx;
	/* Adds whole header lines (a Warning with a stable code) to such a refusal. May be NULL. */
	void (*on_refusal)(void *ctx, enum dlg_refusal why, unsigned status, struct buf *lines);
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
void dlg_on_pong(struct dlg_mgr *m, const struct tp_pong *p);
void dlg_on_flow_down(struct dlg_mgr *m, tp_flow flow);

/* What a user agent answers to a request that nobody took: 481 with a To tag and to stray BYE,
 * NOTIFY, CANCEL; 200 with Allow to OPTIONS; 405 with Allow to the rest. */
void dlg_refuse_unknown(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx);

/* The owner's own answer to a new request that no session was made for: a phone is busy. */
void dlg_turn_away(struct dlg_mgr *m, tsx_id st, unsigned status);

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
