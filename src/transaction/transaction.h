#pragma once
/* The four machines of RFC 3261 17 with RFC 6026 and RFC 4320, matching, CANCEL. One manager per
 * shard. Every transaction ends exactly once: its user gets exactly one on_end. Users are called
 * from the loop after the layer has finished changing, never from inside a call that they made. */

#include "transport/transport.h"

struct tsx_mgr;
typedef obj_id tsx_id; /* of a client or server transaction; stale after its end */

enum tsx_end {
	TSX_END_DONE,    /* a final response was received or sent, and the machine has run out */
	TSX_END_TIMEOUT, /* Timer B, F (client: nobody answered) or H (server: no ACK for a non-2xx)
			  */
	TSX_END_TRANSPORT, /* the transport failed */
	TSX_END_DROPPED,   /* tsx_drop */
};

/* Why this layer refuses a request by itself. */
enum tsx_refusal {
	TSX_REFUSE_MALFORMED, /* a diagnostic of the grammar */
	TSX_REFUSE_FULL,      /* 503: no room for another transaction */
	TSX_REFUSE_NO_INVITE, /* 481: a CANCEL of nothing */
};

/* The user of the server side; one per manager (the dispatcher of the exchange, or a phone). */
struct tsx_user {
	void *ctx;
	/* A new request (not ACK, not a retransmission, not CANCEL) with its server transaction.
	 * Must be answered with tsx_respond some time. */
	void (*on_request)(void *ctx, tsx_id st, struct tp_rx *rx);
	/* An ACK for a 2xx: it has no transaction. */
	void (*on_ack)(void *ctx, struct tp_rx *rx);
	/* A CANCEL matched the pending INVITE server transaction `st`; the CANCEL itself has been
	 * answered 200. Without match it was answered 481. */
	void (*on_cancel)(void *ctx, tsx_id st, struct tp_rx *rx);
	/* A response that belongs to no client transaction (a late or repeated 2xx): a proxy
	 * forwards it by its Via, a UA ACKs it. */
	void (*on_stray_response)(void *ctx, struct tp_rx *rx);
	/* The server transaction has ended; `owner` as set by tsx_set_owner. */
	void (*on_server_end)(void *ctx, tsx_id st, void *owner, enum tsx_end why);
	/* A connection has ended; may be NULL. */
	void (*on_flow_down)(void *ctx, tp_flow flow);
	/* Adds whole header lines (a Warning with a stable code) to a refusal of this layer's own;
	 * `diag` only when it is MALFORMED. May be NULL. */
	void (*on_refusal)(void *ctx, enum tsx_refusal why, const struct sip_diag *diag,
			   struct buf *lines);
};

enum err tsx_mgr_new(struct ev_loop *loop, struct tp *tp, struct block_cache *blocks,
		     const struct tsx_user *user, struct tsx_mgr **out);
void tsx_mgr_free(struct tsx_mgr *m); /* ends what lives, without telling */
/* Header lines for the two answers that this layer gives to requests of a user agent's call by
 * itself: 100 to INVITE, 200 to CANCEL. */
void tsx_set_courtesy(struct tsx_mgr *m,
		      void (*put)(void *ctx, const struct tp_rx *rx, struct buf *lines), void *ctx);
/* Bounds smaller than those of limits.h. */
void tsx_set_limits(struct tsx_mgr *m, uint32_t max_client, uint32_t max_server,
		    uint32_t max_records);
/* How late the timers that only end the wait for repetitions (D, I, J, K, L, M) may be, so that
 * many fire in one go; at first TSX_SLACK_US. 1: never late. */
#define TSX_SLACK_US 250'000
void tsx_set_slack(struct tsx_mgr *m, uint32_t slack_us);
/* To be set as the transport's user (tp_user.ctx = the manager). */
void tsx_on_message(void *mgr, struct tp_rx *rx);
void tsx_on_error(void *mgr, const struct tp_error *e);
void tsx_on_flow_down(void *mgr, tp_flow flow);

/* --- server side --- */
/* The request of a server transaction; borrowed while it lives. NULL when stale. */
struct tp_rx *tsx_request(struct tsx_mgr *m, tsx_id st);
void tsx_set_owner(struct tsx_mgr *m, tsx_id st, void *owner);
void *tsx_owner(struct tsx_mgr *m, tsx_id st);
/* Sends a response: bytes are copied where the machine keeps them for retransmission. INVITE: 100
 * is sent by the machine itself after 200 ms when nothing else was (RFC 3261 17.2.1); 2xx go to
 * Accepted, and further 2xx (retransmitted by a UA core, or other forks through a proxy) may
 * follow. ERR_STATE: a final response was sent already, or stale. */
enum err tsx_respond(struct tsx_mgr *m, tsx_id st, unsigned status, struct str bytes);
/* The usual short answer: status, reason (empty: the usual one), our tag, extra header lines
 * ("Name: value\r\n", may be empty), no body. When there is no memory for a final one the
 * transaction ends without (TSX_END_DROPPED); the peer repeats its request. */
enum err tsx_reply(struct tsx_mgr *m, tsx_id st, unsigned status, struct str reason,
		   struct str extra_lines);
/* For challenges: answers once and forgets the request, so that who is not known yet takes no
 * memory. Its repetition is a new request, an ACK that comes for the answer a stray one. ERR_STATE
 * as above. [RFC3261 26.3.2.4] */
enum err tsx_reply_and_forget(struct tsx_mgr *m, tsx_id st, unsigned status,
			      struct str extra_lines);
/* The To tag that tsx_reply uses for this transaction (stable: a keyed hash), for whoever builds
 * his own response. */
struct str tsx_to_tag(struct tsx_mgr *m, const struct sip_msg *req, char out[24]);
/* Merged request: another server transaction that was asked about lives (or was answered in the
 * last 64*T1) with the same From tag, Call-ID and CSeq but another branch, and came first. To be
 * asked for each request that a user agent takes, before it is answered. [RFC3261 8.2.2.2] */
bool tsx_is_merged(struct tsx_mgr *m, tsx_id st);
bool tsx_is_cancelled(struct tsx_mgr *m, tsx_id st);

/* --- client side --- */
struct tsx_client_user {
	/* Writes the whole request with `via` (a complete "Via: ...\r\n" line) on top. Called from
	 * tsx_client_new, and a second time when the request goes over another transport (UDP to
	 * TCP for size, and back when the peer has no TCP). */
	enum err (*compose)(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out);
	/* Provisional and final responses; for an INVITE every 2xx (also of other forks). 100
	 * included. */
	void (*on_response)(void *ctx, tsx_id ct, struct tp_rx *rx);
	/* The last call about this transaction. TIMEOUT and TRANSPORT: no final response came. */
	void (*on_end)(void *ctx, tsx_id ct, enum tsx_end why);
};
/* Starts a client transaction. INVITE or not is told by `method`; never for ACK. A request over
 * 1,300 bytes goes by TCP when dst allows (RFC 3261 18.1.1). An error return means that nothing was
 * started and no callback will come. */
enum err tsx_client_new(struct tsx_mgr *m, struct str method, const struct tp_dst *dst,
			const struct tsx_client_user *user, void *ctx, tsx_id *out);
/* INVITE only: sends CANCEL as soon as a provisional response has come (at once when one has), RFC
 * 3261 9.1; gives up 64*T1 after the CANCEL. Harmless when a final response has come. */
void tsx_cancel(struct tsx_mgr *m, tsx_id ct, struct str extra_lines /* Reason */);
/* Forgets the user: no callback comes any more; the machine goes on by itself (absorbs, ACKs), an
 * INVITE that still rings at most 64*T1. */
void tsx_detach(struct tsx_mgr *m, tsx_id ct);
/* The request as it was sent, borrowed; for an INVITE until its first 2xx was told. */
struct str tsx_client_bytes(struct tsx_mgr *m, tsx_id ct);
struct tp_dst tsx_client_dst(struct tsx_mgr *m, tsx_id ct);

/* Ends a transaction of either side without a message; on_end or on_server_end comes with DROPPED.
 * For requests that shall get no answer at all: a proxy's non-INVITE that timed out (RFC 4320 4.2),
 * a storm. */
void tsx_drop(struct tsx_mgr *m, tsx_id id);

/* Outside of transactions: ACK for 2xx, and what a stateless forward needs. `via` line as above,
 * with a branch that answers to nobody. */
enum err tsx_send_stateless(struct tsx_mgr *m, const struct tp_dst *dst,
			    enum err (*compose)(void *ctx, struct str via, const struct tp_dst *dst,
						struct buf *out),
			    void *ctx);

/* RFC 3261 17: µs. */
enum { TSX_T1_US = 500000, TSX_T2_US = 4000000, TSX_T4_US = 5000000 };

struct tsx_stats { /* counters since the start; live objects */
	uint64_t n_client, n_server, retransmits_sent, retransmits_absorbed, timeouts,
		transport_errors,
		refused; /* refused: malformed, answered or dropped at the entry */
	uint32_t live_client, live_server, live_records;
};
void tsx_stats(const struct tsx_mgr *m, struct tsx_stats *out);

/* Prints the machines as text tables or DOT, for `rung fsm`. */
void tsx_fsm_put(struct buf *b, bool as_dot);
