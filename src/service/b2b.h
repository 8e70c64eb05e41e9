#pragma once
/* The back-to-back user agent: each side of a call has a dialog of its own with the exchange, and
 * what one side says is said to the other in the exchange's words. SDP passes through but for its
 * o= line. One per shard; a call and both its dialogs stay on it. It is told where an INVITE may
 * go, as the proxy is. [RFC3261 6, 16.7] [RFC7092] */

#include "dialog/relay.h"
#include "service/codes.h"
#include "service/proxy.h"

struct b2b;

/* Which header fields pass from one side to the other, beyond what always passes (b2b_headers.c).
 * Names in any case. Borrowed while the call is set up; `add`: whole lines. */
struct b2b_rules {
	const struct str *pass, *strip;
	size_t n_pass, n_strip;
	struct str add; /* to the INVITE of the callee's side */
};

struct b2b_request {
	const struct prx_target *targets; /* copied; as for the proxy, highest q first */
	size_t n_targets;
	const struct b2b_rules *rules; /* NULL: none */
	bool is_trusted;               /* the caller: his P-Asserted-Identity may pass */
	bool is_farewell; /* a callee who hangs up leaves the caller with a tone of ours first */
};

struct b2b_config {
	uint32_t max_calls; /* 0: the default of limits.h */
	uint32_t session_s; /* session timer on either side; 0: 1800 s */
	struct str realm;   /* credentials for it go no further; must live as long */
	/* Where a transfer may go: fills t (at most *n; strings borrowed until the end of the
	 * turn), or says with which code it is refused. */
	enum code (*route)(void *ctx, const struct sip_uri *uri, struct prx_target *t, size_t *n);
	/* Who may hear an identity that its owner wants kept private [RFC3325 5]. */
	bool (*is_trusted)(void *ctx, const struct addr *to);
	void *ctx;
	struct ev_shards *shards;
	struct addr media; /* where tones of ours come from; ADDR_NONE: the address of the call */
};
/* Borrows all. */
enum err b2b_new(struct ev_loop *loop, struct tp *tp, struct tsx_mgr *tsx, struct dlg_mgr *dlg,
		 const struct b2b_config *cfg, struct b2b **out);
void b2b_free(struct b2b *b);
/* Takes over the server transaction of a new INVITE: every outcome is answered through it. */
void b2b_on_invite(struct b2b *b, tsx_id st, struct tp_rx *rx, const struct b2b_request *req);

struct b2b_stats {
	uint64_t n_calls, n_transfers;
	uint32_t live;
};
void b2b_stats(const struct b2b *b, struct b2b_stats *out);
