#pragma once
/* The back-to-back user agent: each side of a call has a dialog of its own with the exchange, and
 * what one side says is said to the other in the exchange's words. SDP passes through but for its
 * o= line. One per shard; a call and both its dialogs stay on it. It is told where an INVITE may
 * go, as the proxy is. [RFC3261 6, 16.7] [RFC7092] */

#include "dialog/relay.h"
#include "service/codes.h"
#include "service/proxy.h"
#include "service/sign.h"

struct b2b;

struct b2b_request {
	const struct prx_target *targets; /* copied; as for the proxy, highest q first */
	size_t n_targets;
	const struct prx_step *steps; /* copied; NULL: the targets are one, which none follows */
	size_t n_steps;
	bool follows; /* a 3xx is followed instead of passed back */
	struct hist_ask history;
	bool is_trusted;       /* the caller: his P-Asserted-Identity may pass */
	bool is_farewell;      /* a callee who hangs up leaves the caller with a tone of ours */
	uint16_t trunk;        /* 1 + the trunk that the call came over, if that counts calls */
	struct str caller_aor; /* empty: none of ours */
};

/* A trunk's seat for one call, and what it says of itself there. */
struct b2b_account {
	struct str user, auth_user, password; /* user empty: the caller's own */
};

struct b2b_config {
	uint32_t max_calls; /* 0: the default of limits.h */
	uint32_t session_s; /* session timer on either side; 0: 1800 s */
	struct str realm;   /* credentials for it go no further; must live as long */
	/* Where a transfer may go: fills t (at most *n; strings borrowed until the end of the
	 * turn, or in `aor`, which gets whose phones they are), or says with which code it is
	 * refused. */
	enum code (*route)(void *ctx, const struct sip_uri *uri, struct buf *aor,
			   struct prx_target *t, size_t *n);
	/* Is it the number of the echo test? A transfer to it the exchange takes itself; may be
	 * NULL. */
	bool (*is_echo)(void *ctx, const struct sip_uri *uri);
	/* Who may hear an identity that its owner wants kept private [RFC3325 5]. */
	bool (*is_trusted)(void *ctx, const struct addr *to);
	/* A call takes a seat of a trunk, or is refused it by a code; `out` may be NULL, its texts
	 * are borrowed until the end of the turn. Each seat taken is left again. */
	enum code (*take)(void *ctx, uint16_t trunk, struct b2b_account *out);
	void (*leave)(void *ctx, uint16_t trunk);
	prx_deaf_fn *on_deaf; /* as the proxy's; may be NULL */
	/* Where a Contact of a 3xx leads, as for the proxy; NULL: nothing is followed. */
	size_t (*expand)(void *ctx, const struct sip_uri *contact, struct prx_target *t,
			 size_t max);
	void (*on_sign)(void *ctx, const struct sign *s); /* of each dialog; may be NULL */
	/* A leg of ours for the call in which `of` is a Call-ID; may be NULL. */
	void (*on_leg)(void *ctx, struct str of, struct str call_id);
	void *ctx;
	struct ev_shards *shards;
	struct block_cache *blocks;
	struct addr media; /* where tones of ours come from; ADDR_NONE: the address of the call */
};
/* Borrows all. */
enum err b2b_new(struct ev_loop *loop, struct tp *tp, struct tsx_mgr *tsx, struct dlg_mgr *dlg,
		 const struct b2b_config *cfg, struct b2b **out);
void b2b_free(struct b2b *b);
/* Takes over the server transaction of a new INVITE: every outcome is answered through it. */
void b2b_on_invite(struct b2b *b, tsx_id st, struct tp_rx *rx, const struct b2b_request *req);

/* Signs (TALKS) of all calls that talk, for those who ask about an address. */
void b2b_gather(struct b2b *b, struct str aor);

/* The exchange stops: calls that talk are hung up on both sides; is_all: those that are being set
 * up end, too. */
void b2b_stop(struct b2b *b, bool is_all);

struct b2b_stats {
	uint64_t n_calls, n_transfers;
	uint32_t live;
};
void b2b_stats(const struct b2b *b, struct b2b_stats *out);
