#pragma once
/* Digest authentication of requests: challenge and verify. One `struct auth` per shard.
 * [RFC7616] [RFC8760] [RFC3261 22]
 *
 * A nonce names the shard that issued it and carries time and a MAC whose key is kept in the store:
 * a restart makes nobody stale. The nonce count is checked by the issuing shard, so a verification
 * may end in a later turn. Unknown user and wrong password look and take the same. */

#include "service/accounts.h"
#include "service/codes.h"
#include "service/domains.h"

#define AUTH_MAX_ALGS MD__N

struct auth_cfg {
	struct str realm;             /* borrowed for the life of auth */
	uint8_t nonce_key[16];        /* from the store: acc_key */
	uint32_t nonce_lifetime_s;    /* 0: 3600 */
	enum md_alg algs[MD__N];      /* challenges in this order; RFC 8760: preferred first */
	size_t n_algs;                /* 0: the default, MD5 then SHA-256 (docs/adr/003) */
	const struct addr_net *trust; /* sources that need no digest */
	size_t n_trust;
};

enum auth_verdict { /* auth_verdict_text() */
		    AUTH_OK,
		    AUTH_TRUSTED, /* the source is in `trust`; no user is known */
		    AUTH_NONE,    /* no credentials for our realm */
		    AUTH_UNKNOWN_USER,
		    AUTH_WRONG_PASSWORD,
		    AUTH_DISABLED,      /* right password, disabled account */
		    AUTH_STALE,         /* right password, but the nonce is too old */
		    AUTH_REPLAYED,      /* right password, but the nonce count was used already */
		    AUTH_FOREIGN_NONCE, /* not a nonce of ours (or another key) */
		    AUTH_WRONG_URI,     /* uri= is not the Request-URI */
		    AUTH_WRONG_ALG,     /* algorithm or qop that we did not offer */
		    AUTH_MALFORMED,
		    AUTH__N
};
const char *auth_verdict_text(enum auth_verdict v);
static inline bool auth_is_ok(enum auth_verdict v)
{
	return v == AUTH_OK || v == AUTH_TRUSTED;
}
/* No refusal: the answer to a challenge is still to come. */
static inline bool auth_is_asking(enum auth_verdict v)
{
	return v == AUTH_NONE || v == AUTH_STALE;
}

struct auth_check { /* one verification; the caller's, who keeps it until done is called */
	void (*done)(struct auth_check *c);
	enum auth_verdict verdict;
	char user[68]; /* who it claims to be, unescaped, cut to fit; only AUTH_OK proves it */
	uint8_t n_user;
	uint8_t alg; /* enum md_alg */
	/* auth's own */
	bool is_pending, is_cancelled;
	struct auth_nonce_msg *msg;
};
static inline struct str auth_user(const struct auth_check *c)
{
	return (struct str){c->user, c->n_user};
}

struct auth;
/* Before the shards start; sets the handlers of NONCE_CHECK and NONCE_RESULT. acc is borrowed. */
enum err auth_new(struct ev_shards *shards, size_t shard, const struct auth_cfg *cfg,
		  struct acc *acc, struct auth **out);
void auth_free(struct auth *a);

/* Verifies the credentials of a request: Authorization for REGISTER, Proxy-Authorization else; the
 * other one is taken too when only that is there. OK: c->verdict is decided, done is not called.
 * ERR_MORE: done will be called later on this shard, unless auth_cancel comes first. rx must live
 * only during the call. */
enum err auth_verify(struct auth *a, const struct tp_rx *rx, struct auth_check *c);
void auth_cancel(struct auth_check *c);
bool auth_is_trusted(const struct auth *a, const struct addr *from);

/* Answers a request that was not verified (c->verdict) with 401 (REGISTER) or 407 and challenges,
 * or 400 where asking again would not help. The code is in Warning. Returns it. */
enum code auth_challenge(struct auth *a, struct tsx_mgr *m, tsx_id st, const struct auth_check *c);

struct auth_stats {
	uint64_t n_challenges, n_by_verdict[AUTH__N];
};
void auth_stats(const struct auth *a, struct auth_stats *out);
