/* What is asked of who has not proved who he is: 401 or 407 with challenges, composed once but for
 * the nonce. Which algorithms are offered, in which order, and to whom fewer, is docs/adr/003.
 * [RFC7616 3.3] [RFC8760] */
#include "service/auth_priv.h"

#include "base/assert.h"
#include "sip/auth.h"

#include <string.h>

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
	char mem[AUTH_NONCE_TEXT + 4];
	struct buf nonce;
	size_t from = 0;
	buf_init_fixed(&nonce, mem, sizeof(mem));
	auth_nonce_make(a, &nonce);
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
	enum err e = code_reply_and_forget(m, st, code, is_proxy ? 407 : 401, buf_view(&lines));
	(void)e; /* ERR_STATE as above */
	return code;
}

enum err auth_challenges_init(struct auth *a)
{
	enum err e = OK;
	for (int i = 0; i < 4 && e == OK; i++)
		e = challenge_init(a, &a->challenge[i / 2][i % 2], i / 2, i % 2);
	return e;
}

void auth_challenges_fini(struct auth *a)
{
	for (int i = 0; i < 4; i++)
		buf_fini(&a->challenge[i / 2][i % 2].text);
}
