/* Credentials of a user agent: what servers asked for, and what we say to them.
 *
 * Each realm that has challenged us has an entry with its last challenge; its credentials go into
 * every further request (nc counts up), so that a dialog or registration is challenged once and not
 * for each request. Several proxies on the way may each want theirs, one after the other or in one
 * 407 [RFC3261 22.3].
 *
 * When is a second challenge of the same realm an invitation, and when a refusal? A refusal when it
 * comes in answer to credentials made for a challenge of this very request, unless it says stale.
 * An invitation when our credentials were made from an older nonce: that had expired. Requests that
 * run side by side in one dialog share the entries, so each remembers for itself what it has
 * answered. AUTH_ROUNDS bounds it all.
 *
 * Of the challenges for one realm the first that we can answer counts: the order is the server's
 * preference.
 *
 * Whoever gets a digest of our password over a nonce of his own can guess passwords at home. So a
 * peer must not have one for the asking: inside a dialog only those are answered who asked when it
 * began, nobody at all where we were called; and an account may be bound to the first realm that
 * asks for it. (That a peer takes the name of that realm, the exchange prevents: service/forward.)
 * [RFC3261 22] [RFC7616] [RFC8760 2.3]
 */
#include "dialog/priv.h"

#include <stdlib.h>
#include <string.h>

#define AUTH_ROUNDS 5 /* challenges answered per request: a few proxies, each once stale */

static unsigned count(const struct auth *a)
{
	unsigned n = 0;
	while (a->e && n < AUTH_REALMS && a->e[n].mem)
		n++;
	return n;
}

void auth_fini(struct auth *a)
{
	for (unsigned i = 0, n = count(a); i < n; i++)
		free(a->e[i].mem);
	free(a->e);
	*a = (struct auth){0};
}

static bool has_room(struct auth *a)
{
	if (!a->e)
		a->e = calloc(AUTH_REALMS, sizeof(*a->e));
	return a->e && count(a) < AUTH_REALMS;
}

static bool can_answer(const struct sip_challenge *ch)
{
	return str_ieq(ch->scheme, STR("Digest")) && ch->is_known_alg && !ch->is_sess &&
	       (!ch->has_qop || ch->qop_auth);
}

static struct auth_entry *entry_of(struct auth *a, struct str realm, bool is_proxy)
{
	for (unsigned i = 0, n = count(a); i < n; i++)
		if (a->e[i].is_proxy == is_proxy && str_eq(a->e[i].ch.realm, realm))
			return &a->e[i];
	return NULL;
}

static char *put_copy(char *at, struct str *s)
{
	if (s->n)
		memcpy(at, s->p, s->n);
	*s = str_of(at, s->n);
	return at + s->n;
}

/* Keeps ch with strings of its own. */
static bool set(struct auth_entry *e, const struct sip_challenge *ch)
{
	char *mem = malloc(ch->realm.n + ch->nonce.n + ch->opaque.n + 1);
	if (!mem)
		return false;
	struct sip_challenge c = *ch;
	bool has_opaque = c.opaque.p != NULL;
	char *at = put_copy(mem, &c.realm);
	at = put_copy(at, &c.nonce);
	put_copy(at, &c.opaque);
	if (!has_opaque)
		c.opaque = STR_NONE;
	c.scheme = c.domain = STR_NONE;
	free(e->mem);
	e->mem = mem;
	e->ch = c;
	e->nc = 0;
	return true;
}

enum err auth_copy(struct auth *to, const struct auth *from)
{
	auth_fini(to);
	for (unsigned i = 0, n = count(from); i < n; i++) {
		if (!has_room(to))
			return ERR_NOMEM;
		struct auth_entry *e = &to->e[i];
		*e = (struct auth_entry){.is_proxy = from->e[i].is_proxy};
		if (!set(e, &from->e[i].ch))
			return ERR_NOMEM;
		e->nc = from->e[i].nc;
	}
	return OK;
}

static bool is_for(const struct uac_account *acc, struct str realm)
{
	const struct uac_realm *r = acc->realm;
	return !r || (r->n ? str_eq(str_of(r->text, r->n), realm) : realm.n < UAC_REALM_MAX);
}

static void bind(const struct uac_account *acc, struct str realm)
{
	struct uac_realm *r = acc->realm;
	if (!r || r->n || !realm.n)
		return;
	memcpy(r->text, realm.p, realm.n);
	r->n = (uint16_t)realm.n;
}

/* One challenge. *is_new: there is something to answer now; false: refused. */
static bool learn(struct auth *a, struct auth_try *t, const struct sip_challenge *ch, bool is_proxy,
		  bool *is_new)
{
	struct auth_entry *e = entry_of(a, ch->realm, is_proxy);
	unsigned bit = e ? 1u << (e - a->e) : 1u << count(a);
	if (e && (t->answered & bit) && !ch->stale)
		return false;
	if (!e && !has_room(a))
		return false;
	bool is_known = e && str_eq(e->ch.nonce, ch->nonce); /* from a request beside this one */
	if (!e) {
		e = &a->e[count(a)];
		*e = (struct auth_entry){.is_proxy = is_proxy};
	}
	if (!is_known && !set(e, ch))
		return false;
	t->answered |= bit;
	*is_new = true;
	return true;
}

/* The realm has an answerable challenge before `at` in this response: that one counts. */
static bool is_second(const struct sip_msg *resp, enum sip_hdr_id id, struct str at,
		      struct str realm)
{
	struct sip_iter it = {0};
	struct str v;
	struct sip_challenge ch;
	while (sip_each(resp, id, &it, &v) && v.p != at.p)
		if (sip_challenge_parse(v, &ch) == OK && can_answer(&ch) && str_eq(ch.realm, realm))
			return true;
	return false;
}

bool auth_learn(struct auth *a, struct auth_try *t, const struct uac_account *acc, bool is_inside,
		const struct sip_msg *resp)
{
	if (++t->rounds > AUTH_ROUNDS)
		return false;
	const enum sip_hdr_id ids[] = {SIP_HDR_WWW_AUTHENTICATE, SIP_HDR_PROXY_AUTHENTICATE};
	bool is_new = false;
	for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
		struct sip_iter it = {0};
		struct str v;
		struct sip_challenge ch;
		while (sip_each(resp, ids[i], &it, &v)) {
			if (sip_challenge_parse(v, &ch) != OK || !can_answer(&ch) ||
			    is_second(resp, ids[i], v, ch.realm))
				continue;
			if (!is_for(acc, ch.realm) || (is_inside && !entry_of(a, ch.realm, i == 1)))
				continue;
			if (!learn(a, t, &ch, i == 1, &is_new))
				return false;
			bind(acc, ch.realm);
		}
	}
	return is_new;
}

void auth_put(struct auth *a, struct env *env, struct buf *b, const struct uac_account *acc,
	      struct str method, struct str uri)
{
	for (unsigned i = 0, n = count(a); i < n; i++) {
		struct auth_entry *e = &a->e[i];
		uint8_t r[8];
		char text[17];
		struct buf cnonce;
		env_random(env, r, sizeof(r));
		buf_init_fixed(&cnonce, text, sizeof(text));
		buf_hex(&cnonce, r, sizeof(r));
		buf_str(b, e->is_proxy ? STR("Proxy-Authorization: ") : STR("Authorization: "));
		sip_credentials_put(b, &e->ch, acc->auth_user, acc->password, method, uri,
				    buf_view(&cnonce), ++e->nc);
		buf_str(b, STR("\r\n"));
	}
}
