#pragma once
/* Subscriptions of RFC 6665, both sides, for any event package: the package brings bodies. One
 * NOTIFY at a time; what changes meanwhile is collapsed into the next. A subscription ends by
 * expiry, by its owner, or when a NOTIFY meets 481, a time-out, a closed port or connection.
 * NOTIFYs go back over the way by which the SUBSCRIBE came. */

#include "dialog/uac.h"

struct sub;

enum sub_why {
	SUB_END_LOCAL,  /* sub_terminate */
	SUB_END_REMOTE, /* unsubscribed (Expires 0), or NOTIFY with state terminated */
	SUB_END_EXPIRED,
	SUB_END_GONE, /* 481 and the like, time-out, transport error on a request in the dialog */
	SUB_END_REFUSED, /* subscriber: a final non-2xx to SUBSCRIBE; status tells */
	SUB_END_FAILED,  /* here: memory, bounds */
};
struct sub_end {
	enum sub_why why;
	unsigned status;
	struct str reason; /* of Subscription-State, or a phrase */
};

/* --- notifier ----------------------------------------------------------------------------------
 */
struct sub_notifier {
	/* Writes the state (and may call sub_notify, when it knows of something newer);
	 * content_type is preset by sub_accept and may be changed. The whole state where
	 * sub_owes_full says so, else what is new is enough. ERR_MORE: it has to be fetched,
	 * sub_ready will be called. ERR_STATE: nothing is new, no NOTIFY (unless one is owed).
	 * Other errors and an empty body send a NOTIFY without body. */
	enum err (*body)(void *ctx, struct sub *s, struct str *content_type, struct buf *body);
	/* May be NULL: nothing is durable. The subscription (sub_keep) is to be made so before a
	 * SUBSCRIBE is answered 200. ERR_MORE: sub_saved will be called; any other error refuses
	 * with 500. Also called when only the reserve of CSeq numbers has run low; then nobody
	 * waits for sub_saved. */
	enum err (*save)(void *ctx, struct sub *s);
	/* May be NULL. A refresh was granted. */
	void (*on_refresh)(void *ctx, struct sub *s, uint32_t expires_s);
	/* The last one: freed when it returns. */
	void (*on_end)(void *ctx, struct sub *s, const struct sub_end *end);
};
struct sub_accept {
	struct str event;        /* package, as in Event */
	struct str content_type; /* of the bodies; the SUBSCRIBE must accept it, if it names any
				    (406) */
	struct str contact_user;
	uint32_t min_s, max_s, default_s; /* of Expires; below min: 423; 0: 60, 3600, 3600 */
	bool is_pending;                  /* first state is pending rather than active */
	uint32_t gap_us;    /* between two NOTIFYs for changes; 0: none [RFC6665 5.4.11] */
	struct str headers; /* whole lines for each 200 and NOTIFY, such as Require; may be empty */
	struct uac_account account; /* as in struct ses_accept */
};
/* Takes a new SUBSCRIBE: answers 200 with Expires and sends the first NOTIFY. Refuses by itself and
 * returns ERR_STATE: other package (489 with Allow-Events), Require (420), 423, 406, bounds (503).
 * An Expires of 0 is a poll: one NOTIFY, then on_end. */
enum err sub_accept(struct dlg_mgr *m, tsx_id st, struct tp_rx *rx, const struct sub_accept *acc,
		    const struct sub_notifier *user, void *ctx, struct sub **out);
/* The state has changed: sends a NOTIFY now, or after the one that is under way. */
void sub_notify(struct sub *s);
/* What `body` said it would fetch is there: `body` is asked again. */
void sub_ready(struct sub *s);
/* The next NOTIFY answers a SUBSCRIBE, or follows one that got lost: it must be whole and must not
 * be left out. [RFC6665 4.2.1.2] */
bool sub_owes_full(const struct sub *s);
/* NOTIFYs sent for it, over restarts and all: a version number that only grows. */
uint32_t sub_n_notified(const struct sub *s);
void sub_activate(struct sub *s); /* pending becomes active, with a NOTIFY */
/* Final NOTIFY with that reason (RFC 6665 4.1.3: "deactivated", "noresource", ...), then on_end. */
void sub_terminate(struct sub *s, struct str reason);

/* Outliving the process. sub_keep appends all that goes on from here (tags, routes, numbers, time);
 * sub_restore makes a subscription of it, which sends a whole NOTIFY within `within_us`, at random.
 * CSeq and the count of NOTIFYs go on behind what the other run can have used. ERR_TIMEOUT: it has
 * expired meanwhile; ERR_SYNTAX: not what sub_keep writes; ERR_LIMIT, ERR_NOMEM. */
void sub_keep(struct sub *s, struct buf *out);
enum err sub_restore(struct dlg_mgr *m, struct str kept, const struct sub_accept *acc,
		     uint64_t within_us, const struct sub_notifier *user, void *ctx,
		     struct sub **out);
void sub_saved(struct sub *s, enum err e);

/* --- subscriber --------------------------------------------------------------------------------
 */
enum sub_event_kind {
	SUB_EV_ACCEPTED, /* 2xx to SUBSCRIBE; expires_s */
	SUB_EV_NOTIFY,   /* rx, state, body */
	SUB_EV_ENDED,    /* the last one */
};
struct sub_event {
	enum sub_event_kind kind;
	uint32_t expires_s;
	struct str state; /* "active", "pending", "terminated" */
	struct str content_type, body;
	struct tp_rx *rx; /* borrowed; may be NULL */
	struct sub_end end;
	const struct uac_result *result; /* ENDED by the answer to a SUBSCRIBE; else NULL */
};
struct sub_subscriber {
	void (*on_event)(void *ctx, struct sub *s, const struct sub_event *ev);
};
struct sub_subscribe {
	struct uac_account account;
	struct str target, to;
	struct str event, accept; /* "message-summary", "application/simple-message-summary" */
	struct str headers;
	uint32_t expires_s; /* asked for; refreshed until unsubscribed. 0: poll once */
	const struct tp_dst *dst;
};
enum err sub_subscribe(struct dlg_mgr *m, const struct sub_subscribe *req,
		       const struct sub_subscriber *user, void *ctx, struct sub **out);
/* SUBSCRIBE with Expires 0; ENDED follows with the terminating NOTIFY or after 64*T1. */
void sub_unsubscribe(struct sub *s);

/* --- both --------------------------------------------------------------------------------------
 */
void sub_drop(struct sub *s); /* forgets it at once: no message, no callback. NULL is harmless */
struct dlg *sub_dialog(const struct sub *s);
struct str sub_event_of(const struct sub *s); /* the package */
/* Walks those that we notify; *at starts at 0. NULL at the end. */
struct sub *sub_next_notified(struct dlg_mgr *m, uint32_t *at);
obj_id sub_id(const struct sub *s);
struct sub *sub_find(struct dlg_mgr *m, obj_id id);
