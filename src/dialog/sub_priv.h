#pragma once
/* The inside of a subscription, both sides. */

#include "dialog/priv.h"

struct sub {
	struct dlg_mgr *m;
	const struct sub_notifier *notifier; /* one of the two; both NULL: dropped */
	const struct sub_subscriber *subscriber;
	void *ctx;
	struct arena arena;
	struct dlg_usage usage;
	struct dlg *d;
	struct str event, event_id; /* Event package and its id parameter */
	struct uac *uac;            /* NOTIFY or SUBSCRIBE under way */
	struct tmr timer;           /* notifier: expiry; subscriber: refresh */
	struct ev_task task;        /* notifier: a NOTIFY to be sent; both: the end to be told */
	uint64_t expires_at_us;
	bool is_over; /* the end is decided and only to be told */
	bool is_telling_end;
	bool is_pending;

	/* notifier */
	struct str content_type;
	struct str own_lines; /* for each 200 and NOTIFY */
	uint32_t min_s, max_s, default_s, gap_us;
	uint32_t n_notified, cseq_kept; /* cseq_kept: what a restart would go on behind */
	uint32_t granted_s;             /* of the SUBSCRIBE that waits to be durable ... */
	tsx_id saving;                  /* ... and its transaction; 0: none */
	uint64_t next_us;               /* the next NOTIFY for a change, not before */
	bool is_dirty;                  /* the state is newer than the last NOTIFY */
	bool is_owed;                   /* it must be sent, and whole */
	bool is_fetching;               /* the owner fetches the body */
	bool is_cut_off;     /* restored, over a connection that is gone: until he refreshes */
	bool is_terminating; /* the next NOTIFY is the last */
	struct str reason;   /* of that one */
	enum sub_why why;    /* of that end */

	/* subscriber */
	struct str accept, headers;
	uint32_t expires_s; /* asked for */
	bool is_unsubscribing, has_raised;
	struct tp_dst *dst; /* of the first SUBSCRIBE, when told; in the arena */
	struct tmr timer_n; /* no NOTIFY came [RFC6665 4.1.2.4]; notifier: the gap is over */

	struct sub_end end;
	struct uac_result *result; /* behind the end, in the arena; rx referenced */
	_Alignas(16) char mem[64]; /* a package's words */
};

/* How far ahead of the last CSeq a restart goes on. */
#define SUB_CSEQ_RESERVE 1000u
/* What both sub_accept and sub_restore set. */
enum err sub_fill(struct sub *s, const struct sub_accept *acc, struct str event_id);
void sub_become_notifier(struct sub *s, const struct sub_notifier *user);
void sub_start_expiry(struct sub *s);
void sub_notify_later(struct sub *s, uint64_t delay_us);
struct sub *sub_alloc(struct dlg_mgr *m, void *ctx);
void sub_free(struct sub *s);
/* Decides the end; it is told, and the object freed, later in this turn. */
void sub_finish(struct sub *s, enum sub_why why, unsigned status, struct str reason);
void sub_tell_end(struct sub *s);
/* Event of a request is ours. */
bool sub_is_event(const struct sub *s, const struct sip_msg *msg);
/* Expires of a message; `otherwise` when it has none. */
uint32_t sub_expires_of(const struct sip_msg *msg, uint32_t otherwise);
extern const struct dlg_usage_ops sub_notifier_ops, sub_subscriber_ops;
