#pragma once
/* The exchange: what all shards share (store, accounts, bindings, domains, keys), and per shard the
 * stack with its services and the dispatcher that decides which of them a request is for. The same
 * over env_os and env_sim. */

#include "location/location.h"
#include "service/domains.h"
#include "service/events.h"
#include "service/route.h"

struct ban;
struct exc;       /* of the process */
struct exc_shard; /* of one shard */

struct net_tls;

struct exc_cfg {
	const struct str *domains; /* configured names, may be none */
	size_t n_domains;
	struct str host_name; /* of this machine; counts as a domain when none are configured */
	struct str realm;     /* wanted at the first start; empty: one is made */
	const struct addr_net *trust;
	size_t n_trust;
	const struct addr_net *never_ban; /* networks that are not judged (service/ban.h) */
	size_t n_never_ban;
	struct str echo_user; /* number of the echo test; empty: "echo" and "*43" */
	struct str product;   /* Server header */
	const char *dns;      /* name servers, as tp_set_dns_servers has them; NULL: the system's */
	struct addr advertise[2]; /* public addresses when behind a NAT; ADDR_NONE: not */
	bool is_b2bua;            /* calls between accounts go through two dialogs, not the proxy */
	bool has_farewell;  /* of these, a callee who hangs up leaves the caller with a tone */
	uint32_t session_s; /* session timer of these; 0: the default */
};

enum exc_note_kind {
	EXC_NOTE_REGISTERED,
	EXC_NOTE_REFUSED,
	EXC_NOTE_STORM,
	EXC_NOTE_BANNED,
	EXC_NOTE_TRUNK,
	EXC_NOTE_LEG /* call_id: of a leg that the back-to-back user agent made; text: of whose */
};
struct exc_note { /* something to tell the operator */
	enum exc_note_kind kind;
	size_t shard;
	uint64_t at_us;  /* the shard's clock */
	unsigned code;   /* number of the rejection (service/codes), 0: none */
	struct str text; /* a sentence; of a refusal the reason only */
	struct str user, call_id;
	struct addr from;
};

/* Before the shards start; borrows shards, store, env (of the first shard). ERR_SYNTAX with a
 * sentence in `why` for a bad domain, realm or name server. */
enum err exc_new(struct ev_shards *shards, struct st *st, struct env *env,
		 const struct exc_cfg *cfg, struct exc **out, struct buf *why);
void exc_free(struct exc *x); /* after the shards have stopped */
/* Called from the shards' threads. */
void exc_set_notes(struct exc *x, void (*fn)(void *ctx, const struct exc_note *n), void *ctx);
/* Before exc_listen; borrowed, outlives x. Without it there is neither TLS nor WSS. */
void exc_set_tls(struct exc *x, struct net_tls *tls);
/* Before the shards start. ERR_NET with *why. On every shard the same addresses. */
enum err exc_listen(struct exc *x, enum tp_proto proto, const struct addr *local, const char **why);
/* The routing policy, taken over; NULL: none. On shard 0, or before the shards start. ERR_NOMEM: it
 * is freed, the old one stays. */
struct pol_config;
enum err exc_set_policy(struct exc *x, struct pol_config *policy);
void exc_set_tap(struct exc *x, size_t shard, const struct tp_tap *tap);
struct str exc_realm(const struct exc *x);
struct acc *exc_accounts(struct exc *x);
struct loc *exc_location(struct exc *x);
const struct dom *exc_domains(const struct exc *x);
struct evt *exc_events(struct exc *x);
struct ban *exc_bans(struct exc *x);
uint64_t exc_n_shed(struct exc *x, size_t shard); /* refused for overload; on that shard */
struct tp *exc_transport(struct exc *x, size_t shard);
struct tsx_mgr *exc_transactions(struct exc *x, size_t shard);
struct dlg_mgr *exc_dialogs(struct exc *x, size_t shard);
struct prx_stats;
void exc_proxy_stats(struct exc *x, size_t shard, struct prx_stats *out);
struct trunks *exc_trunks(struct exc *x);
/* The routing policy in force, NULL: none; borrowed until the end of the turn. */
const struct pol_config *exc_policy(struct exc *x);
struct b2b *exc_b2b(struct exc *x, size_t shard);
/* Stops taking new calls: requests outside dialogs are answered 503 with Retry-After; calls under
 * way go on. */
void exc_drain(struct exc *x);
/* Ends what the exchange is an end of, on that shard: calls through the back-to-back user agent
 * that talk, echo tests; is_all: also what is being set up. Registrations at upstreams are taken
 * out. Then pending tells when it is over. */
void exc_hangup(struct exc *x, size_t shard, bool is_all);
/* Calls and requests that somebody still waits for: forwarded requests without a final response,
 * echo tests, registrations being taken out. Call it on that shard. */
size_t exc_pending(struct exc *x, size_t shard);
/* All transactions, sessions and forwarded requests in memory, also those that only linger; call it
 * on that shard or when all stand still. */
size_t exc_live(struct exc *x, size_t shard);
