#pragma once
/* Digest access authentication as pure functions: challenges and credentials, for clients and
 * servers. [RFC7616] [RFC8760] [RFC3261 22]
 *
 * Offering several algorithms so that old phones survive: one header line per algorithm, MD5 first,
 * then SHA-256, then SHA-512-256, all with the same realm and nonce; answers in any of them are
 * accepted. Browser phones and many desk phones look at the first challenge only and know only MD5;
 * phones that keep the last challenge without looking at its algorithm answer with MD5 to the right
 * nonce. A client that follows RFC 8760 takes the first that it knows, MD5 here: who wants SHA-256
 * from it offers SHA-256 first, or alone. */

#include "base/digest.h"
#include "sip/hdr.h"

struct sip_challenge { /* WWW-Authenticate or Proxy-Authenticate, quotes removed */
	struct str scheme, realm, nonce, opaque, domain;
	enum md_alg alg;
	bool is_known_alg; /* false: an algorithm that we do not have */
	bool is_sess;      /* "-sess" variants are understood and refused */
	bool stale, has_qop, qop_auth, qop_auth_int;
};
enum err sip_challenge_parse(struct str value, struct sip_challenge *out);

struct sip_credentials { /* Authorization or Proxy-Authorization, quotes removed */
	struct str scheme, username, realm, nonce, uri, response, cnonce, opaque, qop, nc;
	enum md_alg alg;
	bool is_known_alg, has_alg;
};
enum err sip_credentials_parse(struct str value, struct sip_credentials *out);
/* The credentials among all lines of `id` for that realm (Digest only); false when there are none.
 */
bool sip_credentials_for(const struct sip_msg *m, enum sip_hdr_id id, struct str realm,
			 struct sip_credentials *out);

#define SIP_HA1_MAX (2 * MD_MAX) /* hex characters */
/* H(user:realm:password); out has 2*md_size(alg) characters. */
struct str sip_ha1(enum md_alg alg, struct str user, struct str realm, struct str password,
		   char out[SIP_HA1_MAX]);
/* The response that the credentials should carry: with qop (auth, or auth-int over body) as RFC
 * 7616 3.4.1, without qop as RFC 2069. */
struct str sip_digest_response(const struct sip_credentials *c, struct str ha1, struct str method,
			       struct str body, char out[SIP_HA1_MAX]);
/* Appends one challenge value: Digest realm="..", nonce="..", algorithm=.., qop="auth"[,
 * stale=true]. */
void sip_challenge_put(struct buf *b, struct str realm, struct str nonce, enum md_alg alg,
		       bool stale);
/* Chooses among the challenges of a 401 or 407 the first that we can answer (the order is the
 * server's preference, RFC 8760 2.3). `id` is SIP_HDR_WWW_AUTHENTICATE or
 * SIP_HDR_PROXY_AUTHENTICATE. */
bool sip_challenge_choose(const struct sip_msg *resp, enum sip_hdr_id id,
			  struct sip_challenge *out);
/* Appends credentials (the value, not the name) that answer ch. nc counts from 1 per nonce. */
void sip_credentials_put(struct buf *b, const struct sip_challenge *ch, struct str user,
			 struct str password, struct str method, struct str uri, struct str cnonce,
			 uint32_t nc);
