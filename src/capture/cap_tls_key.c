/* Record protection of TLS, as a bystander with the secret undoes it.
 *
 *	TLS 1.3      traffic secret ── HKDF-Expand-Label ──► key, IV          [RFC8446 7.3]
 *	up to 1.2    master secret, randoms ── PRF ──► MAC keys, keys, IVs    [RFC5246 6.3]
 *
 * How the bytes were agreed on (RSA, DHE, ECDHE, PSK; certificates) does not matter to who has the
 * secret, so that a suite is a cipher and a hash or two. Each record carries a proof: the AEAD's
 * tag, or the MAC of a CBC suite. It covers the sequence number, which is how the caller finds the
 * place again after a gap.
 *
 * Invariants: a key with a context is complete; a record whose proof fails gives nothing. The one
 * thing that a record leaves behind is TLS 1.0's chaining: its last block is the next IV.
 *
 * Standards: [RFC5246 6.2.3] CBC and AEAD, [RFC5288] GCM, [RFC6655] CCM, [RFC7905] ChaCha20,
 * [RFC7366] encrypt-then-MAC, [RFC8446 5.2, 5.3] TLS 1.3, [RFC2246 5, 6.3] TLS 1.0.
 */
#include "capture/cap_tls_key.h"

#include "base/assert.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum {
	AES_128_GCM,
	AES_256_GCM,
	CHACHA20,
	AES_128_CCM,
	AES_256_CCM,
	AES_128_CCM_8,
	AES_256_CCM_8,
	AES_128_CBC,
	AES_256_CBC,
	DES_EDE_CBC
};
enum { NONE, SHA1, SHA256, SHA384, MD5 };

static const struct {
	const EVP_CIPHER *(*cipher)(void);
	uint8_t key_n, iv_n, tag_n; /* iv_n: what the key block holds up to TLS 1.2 */
	bool is_ccm;
} bulks[] = {
	[AES_128_GCM] = {EVP_aes_128_gcm,       16, 4,  16, false},
	[AES_256_GCM] = {EVP_aes_256_gcm,       32, 4,  16, false},
	[CHACHA20] = {EVP_chacha20_poly1305, 32, 12, 16, false},
	[AES_128_CCM] = {EVP_aes_128_ccm,       16, 4,  16, true },
	[AES_256_CCM] = {EVP_aes_256_ccm,       32, 4,  16, true },
	[AES_128_CCM_8] = {EVP_aes_128_ccm,       16, 4,  8,  true },
	[AES_256_CCM_8] = {EVP_aes_256_ccm,       32, 4,  8,  true },
	[AES_128_CBC] = {EVP_aes_128_cbc,       16, 16, 0,  false},
	[AES_256_CBC] = {EVP_aes_256_cbc,       32, 16, 0,  false},
	[DES_EDE_CBC] = {EVP_des_ede3_cbc,      24, 8,  0,  false},
};

static const struct cap_tls_suite suites[] = {
#define SUITE(id, bulk, hash, mac) {id, bulk, hash, mac, (hash) == SHA384 ? 48 : 32},
#include "capture/cap_tls.def"
#undef SUITE
};

static bool is_cbc(const struct cap_tls_suite *s)
{
	return s->bulk >= AES_128_CBC;
}

const struct cap_tls_suite *cap_tls_suite(uint16_t version, uint16_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
		const struct cap_tls_suite *s = &suites[i];
		/* those of TLS 1.3 are 0x13nn; before TLS 1.2 there was CBC only */
		if (s->id == id && (id >> 8 == 0x13) == (version == CAP_TLS_1_3) &&
		    (version >= CAP_TLS_1_2 || is_cbc(s)))
			return s;
	}
	return NULL;
}

static const EVP_MD *hash_of(unsigned hash)
{
	return hash == SHA384   ? EVP_sha384()
	       : hash == SHA256 ? EVP_sha256()
	       : hash == SHA1   ? EVP_sha1()
				: EVP_md5();
}

/* Bytes of the MAC, 0 when it failed. */
static size_t hmac(unsigned hash, const uint8_t *key, size_t key_n, const uint8_t *p, size_t n,
		   uint8_t out[EVP_MAX_MD_SIZE])
{
	unsigned len = 0;
	return HMAC(hash_of(hash), key, (int)key_n, p, n, out, &len) ? len : 0;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* HKDF-Expand-Label without context; n is at most the hash's size, so that one block does.
 * [RFC8446 7.1] */
static void expand_label(unsigned hash, const uint8_t *secret, size_t secret_n, const char *label,
			 uint8_t *out, size_t n)
{
	uint8_t info[64], block[EVP_MAX_MD_SIZE] = {0};
	size_t label_n = strlen(label), at = 0;
	info[at++] = 0;
	info[at++] = (uint8_t)n;
	info[at++] = (uint8_t)(6 + label_n);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, label_n);
	at += 6 + label_n;
	info[at++] = 0; /* no context */
	info[at++] = 1; /* the first block */
	hmac(hash, secret, secret_n, info, at, block);
	memcpy(out, block, n);
}

/* P_hash, XORed onto out. [RFC5246 5] */
static void p_hash(unsigned hash, const uint8_t *secret, size_t secret_n, const uint8_t *seed,
		   size_t seed_n, uint8_t *out, size_t n)
{
	uint8_t a[EVP_MAX_MD_SIZE + 96], block[EVP_MAX_MD_SIZE];
	size_t size = hmac(hash, secret, secret_n, seed, seed_n, a);
	while (n && size) {
		memcpy(a + size, seed, seed_n);
		hmac(hash, secret, secret_n, a, size + seed_n, block);
		for (size_t i = 0; i < size && n; i++, n--)
			*out++ ^= block[i];
		hmac(hash, secret, secret_n, a, size, block);
		memcpy(a, block, size);
	}
}

static void key_block(const struct cap_tls_key *k, const uint8_t *master, const uint8_t *client,
		      const uint8_t *server, uint8_t *out, size_t n)
{
	uint8_t seed[13 + 64];
	memcpy(seed, "key expansion", 13);
	memcpy(seed + 13, server, 32);
	memcpy(seed + 45, client, 32);
	memset(out, 0, n);
	if (k->version >= CAP_TLS_1_2) {
		p_hash(k->suite->hash, master, 48, seed, sizeof seed, out, n);
		return;
	}
	p_hash(MD5, master, 24, seed, sizeof seed, out, n); /* [RFC2246 5] */
	p_hash(SHA1, master + 24, 24, seed, sizeof seed, out, n);
}

static size_t mac_size(const struct cap_tls_suite *s)
{
	return s->mac == SHA384 ? 48 : s->mac == SHA256 ? 32 : s->mac == SHA1 ? 20 : 0;
}

/* A context that holds the key and waits for IVs. */
static bool make_ctx(struct cap_tls_key *k, const uint8_t *key)
{
	unsigned bulk = k->suite->bulk;
	const EVP_CIPHER *cipher = bulks[bulk].cipher();
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = c && EVP_DecryptInit_ex(c, cipher, NULL, NULL, NULL) == 1;
	if (ok && !is_cbc(k->suite))
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1;
	if (ok && bulks[bulk].is_ccm)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, bulks[bulk].tag_n, NULL) == 1;
	ok = ok && EVP_DecryptInit_ex(c, NULL, NULL, key, NULL) == 1;
	if (!ok) {
		EVP_CIPHER_CTX_free(c);
		return false;
	}
	EVP_CIPHER_CTX_set_padding(c, 0);
	k->ctx = c;
	return true;
}

bool cap_tls_key_init13(struct cap_tls_key *k, const struct cap_tls_suite *suite,
			const uint8_t *secret)
{
	uint8_t key[32];
	cap_tls_key_fini(k);
	k->suite = suite;
	k->version = CAP_TLS_1_3;
	memcpy(k->secret, secret, suite->secret_n);
	expand_label(suite->hash, secret, suite->secret_n, "key", key, bulks[suite->bulk].key_n);
	expand_label(suite->hash, secret, suite->secret_n, "iv", k->iv, 12);
	return make_ctx(k, key);
}

void cap_tls_key_next(const struct cap_tls_suite *suite, const uint8_t *secret,
		      uint8_t next[CAP_TLS_SECRET_MAX])
{
	expand_label(suite->hash, secret, suite->secret_n, "traffic upd", next, suite->secret_n);
}

bool cap_tls_key_init12(struct cap_tls_key *k, const struct cap_tls_suite *suite, uint16_t version,
			bool is_etm, bool is_server, const uint8_t *master,
			const uint8_t *client_random, const uint8_t *server_random)
{
	size_t mac_n = mac_size(suite), key_n = bulks[suite->bulk].key_n,
	       iv_n = bulks[suite->bulk].iv_n;
	uint8_t block[2 * (CAP_TLS_SECRET_MAX + 32 + 16)];
	cap_tls_key_fini(k);
	k->suite = suite;
	k->version = version;
	k->is_etm = is_etm;
	key_block(k, master, client_random, server_random, block, 2 * (mac_n + key_n + iv_n));
	const uint8_t *at = block; /* MAC keys, keys, IVs: the client's first, each */
	memcpy(k->mac_key, at + (is_server ? mac_n : 0), mac_n);
	at += 2 * mac_n;
	const uint8_t *key = at + (is_server ? key_n : 0);
	at += 2 * key_n;
	memcpy(k->iv, at + (is_server ? iv_n : 0), iv_n);
	return make_ctx(k, key);
}

void cap_tls_key_fini(struct cap_tls_key *k)
{
	EVP_CIPHER_CTX_free(k->ctx);
	*k = (struct cap_tls_key){0};
}

/* --- records ---------------------------------------------------------------------------------- */

static void put_seq(uint8_t *p, uint64_t seq)
{
	for (int i = 7; i >= 0; i--, seq >>= 8)
		p[i] = (uint8_t)seq;
}

/* Sequence number, type, version, length: what MACs and AEADs up to TLS 1.2 cover besides. */
static void put_pseudo_head(uint8_t out[13], uint64_t seq, const uint8_t head[5], size_t n)
{
	put_seq(out, seq);
	memcpy(out + 8, head, 3);
	out[11] = (uint8_t)(n >> 8);
	out[12] = (uint8_t)n;
}

static bool aead(const struct cap_tls_key *k, const uint8_t *nonce, struct str aad,
		 const uint8_t *p, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *c = k->ctx;
	int tag_n = bulks[k->suite->bulk].tag_n, len = 0;
	uint8_t tag[16];
	memcpy(tag, p + n, (size_t)tag_n);
	if (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, tag_n, tag) != 1 ||
	    EVP_DecryptInit_ex(c, NULL, NULL, NULL, nonce) != 1)
		return false;
	if (bulks[k->suite->bulk].is_ccm) /* wants to know the length, and decides at once */
		return EVP_DecryptUpdate(c, NULL, &len, NULL, (int)n) == 1 &&
		       EVP_DecryptUpdate(c, NULL, &len, (const uint8_t *)aad.p, (int)aad.n) == 1 &&
		       EVP_DecryptUpdate(c, out, &len, p, (int)n) == 1;
	return EVP_DecryptUpdate(c, NULL, &len, (const uint8_t *)aad.p, (int)aad.n) == 1 &&
	       EVP_DecryptUpdate(c, out, &len, p, (int)n) == 1 &&
	       EVP_DecryptFinal_ex(c, out + n, &len) == 1;
}

static bool open_aead(const struct cap_tls_key *k, uint64_t seq, const uint8_t head[5],
		      const uint8_t *body, size_t n, uint8_t *out, struct str *plain)
{
	size_t tag_n = bulks[k->suite->bulk].tag_n;
	bool is_13 = k->version == CAP_TLS_1_3;
	size_t explicit_n = !is_13 && k->suite->bulk != CHACHA20 ? 8 : 0;
	uint8_t nonce[12], aad[13];
	if (n < explicit_n + tag_n)
		return false;
	size_t plain_n = n - explicit_n - tag_n;
	memcpy(nonce, k->iv, sizeof nonce);
	if (explicit_n) {
		memcpy(nonce + 4, body, 8);
	} else {
		uint8_t be[8];
		put_seq(be, seq);
		for (int i = 0; i < 8; i++)
			nonce[4 + i] ^= be[i];
	}
	if (!is_13)
		put_pseudo_head(aad, seq, head, plain_n);
	struct str a = is_13 ? str_of((const char *)head, 5) : str_of((const char *)aad, 13);
	*plain = str_of((const char *)out, plain_n);
	return aead(k, nonce, a, body + explicit_n, plain_n, out);
}

/* Whether p[0..n), which has 13 bytes of room before it, is followed by its MAC. */
static bool check_mac(const struct cap_tls_key *k, uint64_t seq, const uint8_t head[5], uint8_t *p,
		      size_t n)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	put_pseudo_head(p - 13, seq, head, n);
	size_t mac_n = hmac(k->suite->mac, k->mac_key, mac_size(k->suite), p - 13, 13 + n, mac);
	return mac_n && CRYPTO_memcmp(mac, p + n, mac_n) == 0;
}

/* IV and ciphertext at p, deciphered in place; *text is then content (and MAC), its padding off. */
static bool decipher(const struct cap_tls_key *k, uint8_t *p, size_t n, struct str *text)
{
	size_t block = bulks[k->suite->bulk].iv_n;
	size_t iv_n = k->version >= CAP_TLS_1_1 ? block : 0;
	uint8_t iv[16];
	int len = 0;
	if (n < iv_n + block || (n - iv_n) % block)
		return false;
	memcpy(iv, iv_n ? p : k->iv, block);
	uint8_t *at = p + iv_n;
	n -= iv_n;
	if (EVP_DecryptInit_ex(k->ctx, NULL, NULL, NULL, iv) != 1 ||
	    EVP_DecryptUpdate(k->ctx, at, &len, at, (int)n) != 1)
		return false;
	size_t pad = (size_t)at[n - 1] + 1;
	if (pad > n)
		return false;
	for (size_t i = 0; i < pad; i++)
		if (at[n - 1 - i] != pad - 1)
			return false;
	*text = str_of((const char *)at, n - pad);
	return true;
}

static bool open_cbc(const struct cap_tls_key *k, uint64_t seq, const uint8_t head[5],
		     const uint8_t *body, size_t n, uint8_t *out, struct str *plain)
{
	size_t mac_n = mac_size(k->suite);
	uint8_t *p = out + 32; /* room for what is put before what a MAC covers */
	if (n < mac_n || n < 16)
		return false;
	memcpy(p, body, n);
	if (k->is_etm)
		return check_mac(k, seq, head, p, n - mac_n) && decipher(k, p, n - mac_n, plain);
	if (!decipher(k, p, n, plain) || plain->n < mac_n)
		return false;
	plain->n -= mac_n;
	return check_mac(k, seq, head, out + (plain->p - (const char *)out), plain->n);
}

bool cap_tls_open(const struct cap_tls_key *k, uint64_t seq, const uint8_t head[5],
		  const uint8_t *body, size_t n, uint8_t *out, struct str *plain)
{
	if (!k->ctx || n > CAP_TLS_RECORD_MAX)
		return false;
	return is_cbc(k->suite) ? open_cbc(k, seq, head, body, n, out, plain)
				: open_aead(k, seq, head, body, n, out, plain);
}

void cap_tls_key_pass(struct cap_tls_key *k, const uint8_t *body, size_t n)
{
	if (!k->ctx || k->version != CAP_TLS_1_0 || !is_cbc(k->suite))
		return;
	size_t block = bulks[k->suite->bulk].iv_n, behind = k->is_etm ? mac_size(k->suite) : 0;
	if (n >= block + behind)
		memcpy(k->iv, body + n - behind - block, block);
}
