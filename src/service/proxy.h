#pragma once
/* The stateful proxy of RFC 3261 16: one server transaction, one or several branches, the best
 * response back. It is told where a request may go; it knows neither accounts nor bindings. One per
 * shard. */

#include "service/forward.h"
#include "transaction/transaction.h"

struct prx;

struct prx_target;
/* `trunk`, `host`: of the target; `refusal`: its 503, NULL: it said nothing. */
typedef void prx_deaf_fn(void *ctx, uint16_t trunk, uint32_t host, const struct sip_msg *refusal);
struct prx_config {
	struct str realm;      /* credentials for it are removed before forwarding */
	uint64_t timer_c_us;   /* 0: 190 s; more than 180 s by RFC 3261 16.6 step 11 */
	uint64_t serial_us;    /* how long one q group rings while another waits; 0: 30 s */
	uint32_t max_contexts; /* 0: the default of limits.h */
	/* What the caller of an INVITE that begins a call is answered; `resp` NULL: a refusal of
	 * our own; `aor`: of the target that answers. May be NULL. */
	void (*on_answer)(void *ctx, const struct sip_msg *invite, const struct sip_msg *resp,
			  unsigned status, struct str aor);
	/* A branch for that address ends, the INVITE goes on; `resp` NULL: it said nothing. */
	void (*on_miss)(void *ctx, const struct sip_msg *invite, const struct sip_msg *resp,
			struct str aor);
	/* Nobody knows the call that this request is in: 481, 408, silence. May be NULL. */
	void (*on_gone)(void *ctx, const struct sip_msg *request);
	/* Nobody answered at a host of a trunk, or with this 503; may be NULL. */
	prx_deaf_fn *on_deaf;
	/* Who may hear an identity that its owner wants kept private [RFC3325 5]; NULL: nobody. */
	bool (*is_trusted)(void *ctx, const struct addr *to);
	/* Where a Contact of a 3xx leads, for requests that follow one: at most `max` targets,
	 * whose texts are borrowed until the end of the turn; 0: nowhere. NULL: nothing is
	 * followed. */
	size_t (*expand)(void *ctx, const struct sip_uri *contact, struct prx_target *t,
			 size_t max);
	void *ctx;
};
/* Borrows all; realm must live as long. */
enum err prx_new(struct ev_loop *loop, struct tp *tp, struct tsx_mgr *tsx,
		 struct block_cache *blocks, const struct rt_self *self,
		 const struct prx_config *cfg, struct prx **out);
void prx_free(struct prx *p);

struct prx_target {
	struct str ruri; /* request-URI of the branch; empty: as it is */
	struct str path; /* Route values to push; the first is the next hop; may be empty */
	uint8_t step;    /* of the request's steps; 0 where it has none */
	uint16_t q; /* thousandths, within a step; equal values fork in parallel, higher ones come
		       first */
	uint8_t backup_of; /* 1 + the index of the target that it stands in for when that one cannot
			    * be reached (no answer, 430, 408); 0: a branch by itself [RFC5626 7] */
	uint16_t trunk;    /* 1 + the trunk that the call goes by; 0: none */
	uint32_t host;     /* of the trunk: hash_quick32 of its text */
	struct str aor;    /* whose phone it is; empty: nobody's of ours */
	uint8_t way, by;   /* how it was found: of the request's ways; enum hist_by */
	bool is_outside;   /* it is of another domain */
	struct hist_row *row; /* its entry, if it was found by a 3xx; else NULL */
	struct str diversion; /* found by a 3xx: in place of its step's, of which it has all */
	bool has_dst;         /* reach it by dst (the flow or address that the phone opened) ... */
	struct tp_dst dst;    /* ... else by path, Route or request-URI */
};

/* How a step has ended, all of its branches together. */
enum prx_on {
	PRX_ON_BUSY,      /* 486, 600 */
	PRX_ON_NO_ANSWER, /* it rang its time */
	PRX_ON_OFFLINE,   /* nobody was reached, 480, 5xx */
	PRX_ON_REFUSED,
	PRX_ON__N
};
#define PRX_MAX_STEPS 16
struct prx_step {
	uint32_t ring_s;         /* 0: as long as the caller waits */
	uint8_t next[PRX_ON__N]; /* the step that follows then; 0: none, the best answer goes back
				  */
	struct fwd_headers headers;
};

struct prx_request {
	const struct rt_plan *route;
	const struct prx_target *targets; /* copied as far as needed */
	size_t n_targets;                 /* at most PRX_MAX_TARGETS */
	bool is_trusted;
	bool record_route;
	bool add_path;         /* a REGISTER of a phone whose edge proxy we are */
	struct rt_side caller; /* for the Record-Route token */
	bool follows;          /* a 3xx is followed instead of passed back [RFC3261 16.7 step 4] */
	struct hist_ask history;      /* zeroed: History-Info passes as it is */
	const struct prx_step *steps; /* copied; NULL: the targets are one, which none follows */
	size_t n_steps;
};
#define PRX_MAX_TARGETS 32

/* Takes over the server transaction: every outcome, refusals included, is answered through it. */
void prx_forward(struct prx *p, tsx_id st, struct tp_rx *rx, const struct prx_request *req);
/* Sends an ACK for a 2xx on; nothing answers it. */
void prx_forward_ack(struct prx *p, struct tp_rx *rx, const struct rt_plan *route,
		     const struct prx_target *target);
/* From the dispatcher: `owner` is what tsx_owner gives for st. */
void prx_on_cancel(struct prx *p, void *owner, struct tp_rx *rx);
void prx_on_server_end(struct prx *p, void *owner, enum tsx_end why);
/* A response that belongs to no transaction of ours (a repeated 2xx): goes on by its next Via,
 * statelessly [RFC3261 16.7, 16.11]. */
void prx_on_stray_response(struct prx *p, struct tp_rx *rx);

struct prx_stats {
	uint64_t n_forwarded, n_forked, n_cancelled, n_loops;
	uint32_t live;    /* contexts in memory */
	uint32_t pending; /* of them those without a final response yet */
};
void prx_stats(const struct prx *p, struct prx_stats *out);
