/* Digest authentication of requests: who asks, verified. Nonces are auth_nonce.c, challenges
 * auth_challenge.c.
 *
 * Linphone reuses a nonce over several Call-IDs: the count is checked by the shard that the nonce
 * names, by message when that is another one (NONCE_CHECK, NONCE_RESULT).
 *
 * Who asks with a user that does not exist is told the same, in the same time, as with a wrong
 * password: a digest is computed against the account table's stand-in, and what differs still is
 * blurred (tests/sim/equal.c). stale=true is said only when
 * the digest itself was right [RFC7616 3.3]: PJSUA gives up otherwise.
 *
 * Invariants: 1. AUTH_OK is given only after digest, nonce and count were right, in this order.
 * 2. A struct auth_check is told at most once; after auth_cancel never.
 */
#include "service/auth_priv.h"

#include "base/assert.h"
#include "base/hash.h"
#include "sip/auth.h"

#include <stdlib.h>
#include <string.h>

#define LIFETIME_S 3600

static const char *const verdict_texts[AUTH__N] = {
	[AUTH_OK] = "authenticated",
	[AUTH_TRUSTED] = "trusted source",
	[AUTH_NONE] = "no credentials",
	[AUTH_UNKNOWN_USER] = "unknown user",
	[AUTH_WRONG_PASSWORD] = "wrong password",
	[AUTH_DISABLED] = "account disabled",
	[AUTH_STALE] = "nonce expired",
	[AUTH_REPLAYED] = "nonce count used before",
	[AUTH_FOREIGN_NONCE] = "nonce of another server",
	[AUTH_WRONG_URI] = "credentials for another URI",
	[AUTH_WRONG_ALG] = "algorithm not offered",
	[AUTH_MALFORMED] = "credentials cannot be read",
};

const char *auth_verdict_text(enum auth_verdict v)
{
	return verdict_texts[v];
}

/* --- credentials ---------------------------------------------------------------------------- */

static bool is_offered(const struct auth *a, enum md_alg alg)
{
	for (size_t i = 0; i < a->cfg.n_algs; i++)
		if (a->cfg.algs[i] == alg)
			return true;
	return false;
}

static bool hex_u32(struct str s, uint32_t *out)
{
	uint32_t v = 0;
	if (s.n != 8)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
			     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
			     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
						    : 16;
		if (d > 15)
			return false;
		v = v << 4 | d;
	}
	*out = v;
	return true;
}

/* Does uri= mean the Request-URI? Proxies in front of us rewrite parameters, ports, names to
 * addresses; another user or another domain is another request. */
static bool is_same_target(struct str uri, struct str ruri)
{
	struct sip_uri a, b;
	if (str_eq(uri, ruri))
		return true;
	if (sip_uri_parse(uri, &a) != OK || sip_uri_parse(ruri, &b) != OK)
		return false;
	if (a.user.n && b.user.n) {
		char ma[256], mb[256];
		struct buf ua, ub;
		buf_init_fixed(&ua, ma, sizeof(ma));
		buf_init_fixed(&ub, mb, sizeof(mb));
		if (!sip_unescape(&ua, a.user) || !sip_unescape(&ub, b.user) || ua.err || ub.err ||
		    !str_eq(buf_view(&ua), buf_view(&ub)))
			return false;
	}
	return a.is_ip || b.is_ip || str_ieq(a.host, b.host);
}

static bool is_right(const struct acc_user *u, const struct sip_credentials *c,
		     const struct sip_msg *m)
{
	char hex[SIP_HA1_MAX], want[SIP_HA1_MAX], given[SIP_HA1_MAX];
	struct buf b;
	if (c->response.n > sizeof(given))
		return false;
	for (size_t i = 0; i < c->response.n; i++) { /* some phones write it in capitals */
		char x = c->response.p[i];
		given[i] = x >= 'A' && x <= 'F' ? (char)(x + 32) : x;
	}
	buf_init_fixed(&b, hex, sizeof(hex));
	buf_hex(&b, u->ha1[c->alg], md_size(c->alg));
	struct str right = sip_digest_response(c, buf_view(&b), m->method_name, m->body, want);
	return md_equal(right, str_of(given, c->response.n));
}

/* Is there a line for us that cannot be read? */
static bool has_unreadable(const struct sip_msg *m, enum sip_hdr_id id)
{
	for (uint16_t i = m->first[id]; i != SIP_ROW_NONE; i = sip_row(m, i)->next) {
		struct sip_credentials c;
		if (sip_credentials_parse(sip_row_value(m, sip_row(m, i)), &c) == ERR_SYNTAX)
			return true;
	}
	return false;
}

static bool find_credentials(const struct auth *a, const struct sip_msg *m,
			     struct sip_credentials *c, enum auth_verdict *verdict)
{
	enum sip_hdr_id first = SIP_HDR_PROXY_AUTHORIZATION, second = SIP_HDR_AUTHORIZATION;
	if (m->method == SIP_REGISTER) {
		first = SIP_HDR_AUTHORIZATION;
		second = SIP_HDR_PROXY_AUTHORIZATION;
	}
	if (sip_credentials_for(m, first, a->cfg.realm, c) ||
	    sip_credentials_for(m, second, a->cfg.realm, c))
		return true;
	*verdict =
		has_unreadable(m, first) || has_unreadable(m, second) ? AUTH_MALFORMED : AUTH_NONE;
	return false;
}

static void note_user(struct auth_check *k, struct str name)
{
	k->n_user = (uint8_t)(name.n < sizeof(k->user) ? name.n : sizeof(k->user));
	if (k->n_user)
		memcpy(k->user, name.p, k->n_user);
}

/* Work of random length, some microseconds at most. What a user who exists costs more or less than
 * one who does not (cache lines, branches) is a few hundredths of a microsecond and drowns in it.
 */
static void blur(struct auth *a)
{
	unsigned rounds = (unsigned)a->blur & 511;
	for (unsigned i = 0; i <= rounds; i++)
		a->blur = siphash(a->cfg.nonce_key, &a->blur, sizeof(a->blur));
}

/* Everything but the count. AUTH_OK: *n and *nc are what is left to be checked. */
static enum auth_verdict judge(struct auth *a, const struct sip_msg *m, struct auth_check *k,
			       struct nonce *n, uint32_t *nc)
{
	struct sip_credentials c;
	struct acc_user user;
	enum auth_verdict v;
	if (!find_credentials(a, m, &c, &v))
		return v;
	note_user(k, c.username);
	k->alg = (uint8_t)c.alg;
	*nc = 0;
	if (!c.is_known_alg || !is_offered(a, c.alg) || (c.qop.n && !str_ieq(c.qop, STR("auth"))))
		return AUTH_WRONG_ALG;
	if (c.qop.n && (!c.cnonce.p || !hex_u32(c.nc, nc) || !*nc))
		return AUTH_MALFORMED;
	bool is_known = acc_find(a->acc, c.username, &user);
	if (!is_right(&user, &c, m) || !is_known) {
		blur(a);
		return is_known ? AUTH_WRONG_PASSWORD : AUTH_UNKNOWN_USER;
	}
	if (!user.is_enabled)
		return AUTH_DISABLED;
	if (!is_same_target(c.uri, m->ruri))
		return AUTH_WRONG_URI;
	return auth_nonce_read(a, c.nonce, n) ? AUTH_OK : AUTH_FOREIGN_NONCE;
}

/* --- verifying ------------------------------------------------------------------------------ */

static void decide(struct auth *a, struct auth_check *k, enum auth_verdict v)
{
	k->verdict = v;
	a->stats.n_by_verdict[v]++;
}

bool auth_is_trusted(const struct auth *a, const struct addr *from)
{
	for (size_t i = 0; i < a->cfg.n_trust; i++)
		if (addr_net_has(&a->cfg.trust[i], from))
			return true;
	return false;
}

static enum err ask_owner(struct auth *a, size_t owner, struct auth_check *k, const struct nonce *n,
			  uint32_t nc)
{
	struct auth_nonce_msg *q = calloc(1, sizeof(*q));
	if (!q)
		return ERR_NOMEM;
	q->inbox.kind = INBOX_NONCE_CHECK;
	q->check = k;
	q->nonce = *n;
	q->nc = nc;
	q->from_shard = (uint16_t)a->shard;
	k->msg = q;
	k->is_pending = true;
	ev_send(a->shards, owner, &q->inbox);
	return OK;
}

enum err auth_verify(struct auth *a, const struct tp_rx *rx, struct auth_check *k)
{
	struct nonce n;
	uint32_t nc;
	k->n_user = 0;
	k->alg = MD_MD5;
	k->msg = NULL;
	k->is_pending = k->is_cancelled = false;
	if (auth_is_trusted(a, &rx->from)) {
		decide(a, k, AUTH_TRUSTED);
		return OK;
	}
	enum auth_verdict v = judge(a, rx->msg, k, &n, &nc);
	if (v == AUTH_OK) {
		size_t owner = n.shard % a->n_shards;
		if (owner != a->shard && ask_owner(a, owner, k, &n, nc) == OK)
			return ERR_MORE;
		v = owner == a->shard ? auth_nonce_take(a, &n, nc) : AUTH_STALE;
	}
	decide(a, k, v);
	return OK;
}

static void on_nonce_check(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct auth *a = ctx;
	struct auth_nonce_msg *q = CONTAINER_OF(m, struct auth_nonce_msg, inbox);
	q->verdict = auth_nonce_take(a, &q->nonce, q->nc);
	q->inbox.kind = INBOX_NONCE_RESULT;
	ev_send(a->shards, q->from_shard, &q->inbox);
}

static void on_nonce_result(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct auth *a = ctx;
	struct auth_nonce_msg *q = CONTAINER_OF(m, struct auth_nonce_msg, inbox);
	struct auth_check *k = q->check;
	enum auth_verdict v = q->verdict;
	free(q);
	if (!k)
		return;
	k->msg = NULL;
	k->is_pending = false;
	decide(a, k, v);
	k->done(k);
}

void auth_cancel(struct auth_check *k)
{
	k->is_cancelled = true;
	if (k->msg)
		k->msg->check = NULL;
	k->msg = NULL;
	k->is_pending = false;
}

/* --- life ----------------------------------------------------------------------------------- */

static void discard_msg(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct auth_nonce_msg, inbox));
}

enum err auth_new(struct ev_shards *shards, size_t shard, const struct auth_cfg *cfg,
		  struct acc *acc, struct auth **out)
{
	struct auth *a = calloc(1, sizeof(*a));
	if (!a)
		return ERR_NOMEM;
	a->ring = calloc(AUTH_RING, sizeof(*a->ring));
	if (!a->ring) {
		free(a);
		return ERR_NOMEM;
	}
	a->shards = shards;
	a->shard = shard;
	a->n_shards = ev_shards_count(shards);
	a->loop = ev_shard(shards, shard);
	a->acc = acc;
	a->cfg = *cfg;
	if (!a->cfg.nonce_lifetime_s)
		a->cfg.nonce_lifetime_s = LIFETIME_S;
	if (!a->cfg.n_algs) {
		a->cfg.algs[a->cfg.n_algs++] = MD_MD5;
		a->cfg.algs[a->cfg.n_algs++] = MD_SHA256;
	}
	if (auth_challenges_init(a) != OK) {
		auth_free(a);
		return ERR_NOMEM;
	}
	env_random(a->loop->env, &a->blur, sizeof(a->blur));
	env_random(a->loop->env, &a->boot, sizeof(a->boot));
	env_random(a->loop->env, &a->next_serial, sizeof(a->next_serial));
	a->next_serial %= AUTH_SERIALS;
	ev_inbox_handle(shards, shard, INBOX_NONCE_CHECK, on_nonce_check, a);
	ev_inbox_handle(shards, shard, INBOX_NONCE_RESULT, on_nonce_result, a);
	ev_inbox_discard(shards, INBOX_NONCE_CHECK, discard_msg);
	ev_inbox_discard(shards, INBOX_NONCE_RESULT, discard_msg);
	*out = a;
	return OK;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	auth_challenges_fini(a);
	free(a->ring);
	free(a->old);
	free(a);
}

void auth_stats(const struct auth *a, struct auth_stats *out)
{
	*out = a->stats;
}
