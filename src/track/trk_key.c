/* Keys of SRTP as SDP gives them [RFC4568 4, 6, 9]:
 *
 *	a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY||SALT in base64|2^31|1:1 SESSION-PARAMETERS
 *	           suite                          key, lifetime, MKI:length     (several: ';')
 *
 * A key is that of whoever wrote the description: the other side decrypts with it. All that a call
 * names are kept, newest first, MAX_KEYS at most; which one a packet has is found out by trying.
 * Streams with parameters that change what is encrypted (UNENCRYPTED_SRTP ...) are not opened.
 *
 * Ownership: keys are the call's, and wiped when freed.
 */
#include "base/assert.h"
#include "base/digest.h"
#include "track/trk_media_priv.h"
#include "track/trk_srtp.h"

#include <stdlib.h>
#include <string.h>

#define MAX_KEYS 32

static bool has_key(const struct trk_call *c, const struct trk_key *k)
{
	unsigned n = 0;
	for (const struct trk_key *x = trk_av(c)->keys; x; x = x->next, n++)
		if (x->side == k->side && x->suite == k->suite &&
		    !memcmp(x->bytes, k->bytes, sizeof k->bytes))
			return true;
	return n >= MAX_KEYS;
}

/* "1:4": value and length of the MKI. */
static bool read_mki(struct str s, struct trk_key *k)
{
	struct str rest, value = str_cut(s, ':', &rest);
	uint64_t v;
	uint32_t n;
	if (!rest.n)
		return true; /* a lifetime */
	if (!str_u64(value, &v) || !str_u32(rest, &n) || n < 1 || n > sizeof k->mki)
		return false;
	k->n_mki = (uint8_t)n;
	for (uint32_t i = n; i-- > 0; v >>= 8)
		k->mki[i] = (uint8_t)v;
	return true;
}

static bool read_key(struct str s, struct trk_key *k)
{
	struct str rest, method = str_cut(s, ':', &rest);
	if (!str_ieq(method, STR("inline")))
		return false;
	char mem[64];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof mem);
	struct str text = str_cut(rest, '|', &rest);
	if (!b64_get(&b, text) || b.n != k->n)
		return false;
	memcpy(k->bytes, mem, b.n);
	while (rest.n)
		if (!read_mki(str_cut(rest, '|', &rest), k))
			return false;
	return true;
}

static void learn_key(struct trk_call *c, enum trk_side side, struct str line)
{
	struct trk_key k = {.side = (uint8_t)side};
	struct str rest = str_trim(line);
	str_cut(rest, ' ', &rest); /* the tag */
	k.suite = (uint8_t)trk_srtp_suite(str_cut(str_trim(rest), ' ', &rest));
	struct str keys = str_cut(str_trim(rest), ' ', &rest);
	k.n = trk_srtp_key_size((enum trk_srtp_suite)k.suite);
	if (!k.suite || !read_key(str_cut(keys, ';', &keys), &k) || has_key(c, &k))
		return;
	struct trk_key *x = malloc(sizeof *x);
	if (!x)
		return;
	*x = k;
	x->next = c->av->keys;
	c->av->keys = x;
}

void trk_keys_learn(struct trk *t, struct trk_call *c, enum trk_side side, unsigned i)
{
	struct str v;
	unsigned at = 0;
	while (sdp_attr_next(&t->sdp, (int)i, SDP_A_CRYPTO, &at, &v))
		learn_key(c, side, v);
}

void trk_keys_forget(struct trk_call *c)
{
	struct trk_av *av = c->av;
	while (av && av->keys) {
		struct trk_key *k = av->keys;
		av->keys = k->next;
		memset(k, 0, sizeof *k);
		free(k);
	}
}
