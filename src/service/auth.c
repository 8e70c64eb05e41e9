/* Digest authentication of requests.
 *
 * A nonce is 18 bytes in 24 characters of base64: shard, boot, time, serial, and a SipHash of those
 * with the data folder's key. Nobody can make one, and a restarted server knows its own again; so
 * an unanswered challenge costs no memory beyond a place in a ring.
 *
 * Replay. Each shard has a ring of nonce-count windows, one per serial: the highest count seen and
 * a bit for each of the 32 below. A nonce whose place was given to a later one (262,144 challenges
 * on) counts as stale, which costs a phone one more round trip. Nonces of an earlier boot have no
 * window any more; their counts are followed in a small table from their first use on, so that what
 * can be replayed across a restart is one request that was never repeated before it. Linphone
 * reuses a nonce over several Call-IDs: the count is checked by the shard that the nonce names, by
 * message when that is another one (NONCE_CHECK, NONCE_RESULT).
 *
 * Who asks with a user that does not exist is told the same, in the same time, as with a wrong
 * password: a digest is computed against the account table's stand-in, and what differs still is
 * blurred (tests/sim/equal.c). stale=true is said only when
 * the digest itself was right [RFC7616 3.3]: PJSUA gives up otherwise.
 *
 * Old phones without qop get one use per nonce.
 *
 * Which algorithms are offered, and in which order, is docs/adr/003.
 *
 * Invariants: 1. AUTH_OK is given only after digest, nonce and count were right, in this order.
 * 2. A struct auth_check is told at most once; after auth_cancel never. 3. The windows of a shard
 * are touched by that shard alone.
 */
#include "service/auth.h"

#include "base/assert.h"
#include "base/hash.h"
#include "sip/auth.h"

#include <stdlib.h>
#include <string.h>

#define RING       (1u << 18)
#define SERIALS    (1u << 24)
#define OLD_PLACES 4096u
#define FUTURE_S   60 /* a clock that was set back a little is no reason to ask again */
#define NONCE_RAW  18
#define NONCE_TEXT 24
#define LIFETIME_S 3600

struct nonce {
	uint8_t shard;
	uint16_t boot;
	uint32_t time_s, serial;
	uint64_t mac;
};

struct window { /* zeroed: not used yet */
	uint32_t high;
	uint32_t seen; /* bit i: high - i was used */
};
#define SEEN_PLAIN (1u << 31) /* with high 0: used once without qop */

struct old_place {    /* a nonce of an earlier boot */
	uint64_t mac; /* 0: free */
	uint32_t time_s;
	struct window w;
};

struct auth_nonce_msg {
	struct inbox_msg inbox;
	struct auth_check *check; /* NULL: cancelled. Touched by the asking shard alone. */
	struct nonce nonce;
	uint32_t nc; /* 0: without qop */
	uint16_t from_shard;
	enum auth_verdict verdict;
};

struct challenge { /* the header lines, without the nonce */
	struct buf text;
	size_t cut[MD__N]; /* where the nonce goes, once per line */
	size_t end[MD__N]; /* of each line */
};

struct auth {
	struct ev_shards *shards;
	struct ev_loop *loop;
	size_t shard, n_shards;
	struct acc *acc;
	struct auth_cfg cfg;
	uint16_t boot;
	uint32_t next_serial;
	struct window *ring;
	struct old_place *old;            /* made when the first one is met */
	struct challenge challenge[2][2]; /* [is_proxy][is_stale] */
	struct auth_stats stats;
	uint64_t blur;
};

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

/* --- nonces --------------------------------------------------------------------------------- */

static void nonce_fields(const struct nonce *n, uint8_t p[10])
{
	p[0] = n->shard;
	memcpy(p + 1, &n->boot, 2);
	memcpy(p + 3, &n->time_s, 4);
	memcpy(p + 7, &n->serial, 3);
}

static uint64_t nonce_mac(const struct auth *a, const uint8_t fields[10])
{
	return siphash(a->cfg.nonce_key, fields, 10);
}

static uint32_t wall_s(const struct auth *a)
{
	return (uint32_t)(env_wall_us(a->loop->env) / 1000000);
}

static void nonce_make(struct auth *a, struct buf *out)
{
	uint8_t raw[NONCE_RAW];
	struct nonce n = {.shard = (uint8_t)a->shard, .boot = a->boot, .time_s = wall_s(a)};
	n.serial = a->next_serial;
	a->next_serial = (a->next_serial + 1) % SERIALS;
	a->ring[n.serial % RING] = (struct window){0};
	nonce_fields(&n, raw);
	uint64_t mac = nonce_mac(a, raw);
	memcpy(raw + 10, &mac, 8);
	b64_put(out, raw, sizeof(raw));
}

static bool nonce_read(const struct auth *a, struct str text, struct nonce *n)
{
	uint8_t mem[NONCE_RAW + 3], fields[10];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	if (text.n != NONCE_TEXT || !b64_get(&b, text) || b.n != NONCE_RAW)
		return false;
	const uint8_t *p = (const uint8_t *)b.p;
	memcpy(fields, p, 10);
	*n = (struct nonce){.shard = p[0]};
	memcpy(&n->boot, p + 1, 2);
	memcpy(&n->time_s, p + 3, 4);
	memcpy(&n->serial, p + 7, 3);
	memcpy(&n->mac, p + 10, 8);
	return n->mac == nonce_mac(a, fields);
}

static bool is_old(const struct auth *a, const struct nonce *n)
{
	uint32_t now = wall_s(a);
	return n->time_s > now ? n->time_s - now > FUTURE_S
			       : now - n->time_s > a->cfg.nonce_lifetime_s;
}

/* --- windows -------------------------------------------------------------------------------- */

static enum auth_verdict window_take(struct window *w, uint32_t nc)
{
	bool is_plain_used = w->high == 0 && (w->seen & SEEN_PLAIN);
	if (nc == 0) { /* no count: the first use only */
		if (w->high || w->seen)
			return AUTH_STALE;
		w->seen = SEEN_PLAIN;
		return AUTH_OK;
	}
	if (is_plain_used)
		return AUTH_STALE;
	if (nc > w->high) {
		uint32_t by = nc - w->high;
		w->seen = by < 32 ? w->seen << by : 0;
		w->high = nc;
		w->seen |= 1;
		return AUTH_OK;
	}
	uint32_t back = w->high - nc;
	if (back >= 32 || (w->seen & (1u << back)))
		return AUTH_REPLAYED;
	w->seen |= 1u << back;
	return AUTH_OK;
}

static enum auth_verdict take_old(struct auth *a, const struct nonce *n, uint32_t nc)
{
	if (!a->old)
		a->old = calloc(OLD_PLACES, sizeof(*a->old));
	if (!a->old)
		return AUTH_STALE;
	struct old_place *p = &a->old[n->mac % OLD_PLACES];
	if (p->mac != n->mac) {
		struct nonce there = {.time_s = p->time_s};
		if (p->mac && !is_old(a, &there))
			return AUTH_STALE; /* its count must not be forgotten */
		*p = (struct old_place){.mac = n->mac, .time_s = n->time_s};
	}
	return window_take(&p->w, nc);
}

/* On the shard that the nonce names. */
static enum auth_verdict take_count(struct auth *a, const struct nonce *n, uint32_t nc)
{
	if (is_old(a, n))
		return AUTH_STALE;
	if (n->boot != a->boot || n->shard != a->shard)
		return take_old(a, n, nc);
	uint32_t age = (a->next_serial - n->serial) % SERIALS;
	if (age == 0 || age > RING)
		return AUTH_STALE;
	return window_take(&a->ring[n->serial % RING], nc);
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
	return nonce_read(a, c.nonce, n) ? AUTH_OK : AUTH_FOREIGN_NONCE;
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
		v = owner == a->shard ? take_count(a, &n, nc) : AUTH_STALE;
	}
	decide(a, k, v);
	return OK;
}

static void on_nonce_check(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct auth *a = ctx;
	struct auth_nonce_msg *q = CONTAINER_OF(m, struct auth_nonce_msg, inbox);
	q->verdict = take_count(a, &q->nonce, q->nc);
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

/* --- challenging ---------------------------------------------------------------------------- */

/* Composed once: what changes in a challenge is the nonce. */
static enum err challenge_init(const struct auth *a, struct challenge *c, bool is_proxy,
			       bool is_stale)
{
	static const struct str mark = STR_INIT("?NONCE?");
	buf_init(&c->text);
	for (size_t i = 0; i < a->cfg.n_algs; i++) {
		size_t from = c->text.n;
		buf_str(&c->text,
			is_proxy ? STR("Proxy-Authenticate: ") : STR("WWW-Authenticate: "));
		sip_challenge_put(&c->text, a->cfg.realm, mark, a->cfg.algs[i], is_stale);
		buf_str(&c->text, STR("\r\n"));
		if (c->text.err)
			return c->text.err;
		/* the realm comes first, and might hold the mark */
		size_t at = str_find(str_skip(buf_view(&c->text), from), STR("nonce=\"?NONCE?\""));
		ASSERT(at != SIZE_MAX);
		at += from + sizeof("nonce=\"") - 1;
		memmove(c->text.p + at, c->text.p + at + mark.n, c->text.n - at - mark.n);
		c->text.n -= mark.n;
		c->cut[i] = at;
		c->end[i] = c->text.n;
	}
	return OK;
}

/* The first n challenges. */
static void put_challenges(struct auth *a, struct buf *b, bool is_proxy, bool is_stale, size_t n)
{
	const struct challenge *c = &a->challenge[is_proxy][is_stale];
	char mem[NONCE_TEXT + 4];
	struct buf nonce;
	size_t from = 0;
	buf_init_fixed(&nonce, mem, sizeof(mem));
	nonce_make(a, &nonce);
	a->stats.n_challenges++;
	for (size_t i = 0; i < n; i++) {
		buf_put(b, c->text.p + from, c->cut[i] - from);
		buf_put(b, nonce.p, nonce.n);
		buf_put(b, c->text.p + c->cut[i], c->end[i] - c->cut[i]);
		from = c->end[i];
	}
}

/* How many challenges the sender survives; who does not survive all gets the first alone. libre
 * before it learnt SHA-256 (baresip up to 2.x; Debian 12 has 1.0) gives up at the first algorithm
 * that it does not know, in whatever place. JsSIP and SIP.js, whose User-Agent is that of the
 * application around them, look at the last challenge only and know MD5 only. (docs/adr/003) */
static size_t survives(const struct auth *a, const struct tp_rx *rx)
{
	struct str agent = sip_value(rx->msg, SIP_HDR_USER_AGENT);
	bool is_old_libre = str_starts(agent, STR("baresip v0.")) ||
			    str_starts(agent, STR("baresip v1.")) ||
			    str_starts(agent, STR("baresip v2."));
	return is_old_libre || tp_is_ws(rx->proto) ? 1 : a->cfg.n_algs;
}

static enum code code_of(enum auth_verdict v)
{
	switch (v) {
	case AUTH_NONE:
		return CODE_AUTH_NEEDED;
	case AUTH_STALE:
	case AUTH_REPLAYED:
	case AUTH_FOREIGN_NONCE:
		return CODE_AUTH_STALE;
	case AUTH_MALFORMED:
		return CODE_AUTH_MALFORMED;
	case AUTH_WRONG_URI:
		return CODE_AUTH_URI;
	default:
		return CODE_AUTH_FAILED;
	}
}

enum code auth_challenge(struct auth *a, struct tsx_mgr *m, tsx_id st, const struct auth_check *k)
{
	const struct tp_rx *rx = tsx_request(m, st);
	enum code code = code_of(k->verdict);
	char mem[1500];
	struct buf lines;
	ASSERT(!auth_is_ok(k->verdict));
	if (!rx)
		return code; /* it has ended meanwhile: nobody waits for an answer */
	if (code == CODE_AUTH_MALFORMED || code == CODE_AUTH_URI) {
		code_refuse(m, st, code, STR_NONE);
		return code;
	}
	bool is_proxy = rx->msg->method != SIP_REGISTER;
	buf_init_fixed(&lines, mem, sizeof(mem));
	put_challenges(a, &lines, is_proxy, code == CODE_AUTH_STALE, survives(a, rx));
	ASSERT(lines.err == OK); /* the realm is bounded */
	enum err e = code_challenge(m, st, code, is_proxy ? 407 : 401, buf_view(&lines));
	(void)e; /* ERR_STATE as above */
	return code;
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
	a->ring = calloc(RING, sizeof(*a->ring));
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
	for (int i = 0; i < 4; i++)
		if (challenge_init(a, &a->challenge[i / 2][i % 2], i / 2, i % 2) != OK) {
			auth_free(a);
			return ERR_NOMEM;
		}
	env_random(a->loop->env, &a->blur, sizeof(a->blur));
	env_random(a->loop->env, &a->boot, sizeof(a->boot));
	env_random(a->loop->env, &a->next_serial, sizeof(a->next_serial));
	a->next_serial %= SERIALS;
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
	for (int i = 0; i < 4; i++)
		buf_fini(&a->challenge[i / 2][i % 2].text);
	free(a->ring);
	free(a->old);
	free(a);
}

void auth_stats(const struct auth *a, struct auth_stats *out)
{
	*out = a->stats;
}
