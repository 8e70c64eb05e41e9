/* Fuzz target: Digest. The input is a challenge or credentials; a challenge that can be answered is
 * answered, the answer read back and verified as a server would. Asserted: strings stay inside; our
 * answer to any challenge that we choose verifies with the password and with no other. */

#include "sip/auth.h"
#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct str whole, struct str s)
{
	ASSERT(!s.n || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n));
}

static bool verifies(const struct sip_credentials *c, struct str password)
{
	char ha1[SIP_HA1_MAX], out[SIP_HA1_MAX];
	struct str h = sip_ha1(c->alg, c->username, c->realm, password, ha1);
	return md_equal(sip_digest_response(c, h, STR("REGISTER"), STR_NONE, out), c->response);
}

static void answer(const struct sip_challenge *ch)
{
	struct buf b;
	struct sip_credentials c;
	buf_init(&b);
	sip_credentials_put(&b, ch, STR("al\"ice"), STR("secret"), STR("REGISTER"), STR("sip:r"),
			    STR("0a4f113b"), 1);
	if (b.err == OK) {
		enum err e = sip_credentials_parse(buf_view(&b), &c);
		ASSERT(e == OK && c.is_known_alg);
		ASSERT(str_eq(c.realm, ch->realm) && str_eq(c.nonce, ch->nonce));
		ASSERT(verifies(&c, STR("secret")) && !verifies(&c, STR("Secret")));
	}
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sip_challenge ch;
	struct sip_credentials c;
	char *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	struct str all = str_of(copy, size);
	if (sip_challenge_parse(all, &ch) == OK) {
		check_inside(all, ch.realm);
		check_inside(all, ch.nonce);
		check_inside(all, ch.opaque);
		if (ch.is_known_alg && !ch.is_sess && (!ch.has_qop || ch.qop_auth))
			answer(&ch);
	}
	if (sip_credentials_parse(all, &c) == OK) {
		check_inside(all, c.username);
		check_inside(all, c.response);
		check_inside(all, c.nc);
		(void)verifies(&c, STR("secret"));
	}
	free(copy);
	return 0;
}
