#pragma once
/* The registrar of RFC 3261 10.3, with Path (RFC 3327), flows (RFC 5626) and GRUUs (RFC 5627). One
 * `struct reg` per shard. */

#include "location/location.h"
#include "service/auth.h"
#include "service/gruu.h"

struct reg_cfg {                    /* zeroed fields take the defaults */
	uint32_t default_expires_s; /* when the phone names none: 3600 */
	uint32_t min_expires_s;     /* below: 423; 30 */
	uint32_t max_expires_s;     /* above: cut to it; 7200 */
	size_t max_contacts;        /* in one request and per AOR: 16 */
	bool is_path_strict; /* Path without Supported: path is refused with 420 [RFC3327 5.3] */
};

/* How a REGISTER ended, for verdict lines and logs. Strings are borrowed during the call. */
struct reg_outcome {
	unsigned status;
	enum code code; /* CODE_NONE for 200 */
	enum auth_verdict auth;
	bool is_fetch; /* no Contact: the phone only asked */
	uint16_t n_added, n_refreshed, n_removed, n_evicted, n_bindings;
	uint32_t expires_s; /* granted to the first contact; 0: removed */
	struct str user, aor, contact, user_agent, call_id;
	struct str why; /* more than the code tells, for the operator alone; may be empty */
	uint32_t cseq;
	struct addr from;
	enum tp_proto proto;
	bool is_nated;
	uint64_t took_us; /* since the request was received */
};

struct reg;
struct reg_env { /* all borrowed */
	size_t shard;
	struct ev_loop *loop;
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct loc *loc;
	struct auth *auth;
	struct acc *acc;
	const struct dom *dom;
	struct gruu_self gruu;
	void (*on_outcome)(void *ctx, const struct reg_outcome *o); /* may be NULL */
	void *ctx;
};
enum err reg_new(const struct reg_env *env, const struct reg_cfg *cfg, struct reg **out);
/* Requests still being worked on are forgotten without an answer. The loop must not run any more.
 */
void reg_free(struct reg *r);
/* A REGISTER whose Request-URI is ours, with its server transaction: authenticates, changes the
 * bindings, answers. */
void reg_on_request(struct reg *r, tsx_id st, struct tp_rx *rx);
