/* Message digests, hex and base64.
 *
 * The block functions of libcrypto are called directly, with the context on the stack. The EVP
 * layer above them was measured (tests/bench/digest.c): with a prefetched algorithm and a kept
 * context it costs 8 to 40 % more. But its contexts are heap objects: they must be kept per thread,
 * and their allocation can fail, for which Digest has no answer. This way a digest cannot fail,
 * allocates nothing and keeps nothing.
 *
 * SHA-512/256 is SHA-512 with its own initial values and a shorter output [FIPS180-4 5.3.6.2, 6.7];
 * libcrypto's block functions know the output length, the initial values stand here.
 *
 * Standards: [RFC7616 3.4] (joined by ':'), [RFC4648 4] base64.
 */

#include "base/digest.h"
#include "base/assert.h"
#include "base/buf.h"

#include <string.h>

/* libcrypto has a type of the name of one of our error values. */
#define ERR_STATE                   openssl_err_state
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#undef ERR_STATE

union ctx {
	MD5_CTX md5;
	SHA256_CTX sha256;
	SHA512_CTX sha512;
};

size_t md_size(enum md_alg alg)
{
	static const uint8_t size[MD__N] = {16, 32, 32};
	return size[alg];
}

static void begin(enum md_alg alg, union ctx *c)
{
	/* [FIPS180-4 5.3.6.2] */
	static const uint64_t sha512_256[8] = {
		0x22312194fc2bf72c, 0x9f555fa3c84c64c2, 0x2393b86b6f53b151, 0x963877195940eabd,
		0x96283ee2a88effe3, 0xbe5e1e2553863992, 0x2b0199fc2c85b8aa, 0x0eb72ddc81c52ca2,
	};
	switch (alg) {
	case MD_MD5:
		MD5_Init(&c->md5);
		break;
	case MD_SHA256:
		SHA256_Init(&c->sha256);
		break;
	default:
		SHA512_Init(&c->sha512);
		for (int i = 0; i < 8; i++)
			c->sha512.h[i] = sha512_256[i];
		c->sha512.md_len = SHA256_DIGEST_LENGTH;
	}
}

static void add(enum md_alg alg, union ctx *c, const void *p, size_t n)
{
	if (n == 0)
		return;
	switch (alg) {
	case MD_MD5:
		MD5_Update(&c->md5, p, n);
		break;
	case MD_SHA256:
		SHA256_Update(&c->sha256, p, n);
		break;
	default:
		SHA512_Update(&c->sha512, p, n);
	}
}

static void end(enum md_alg alg, union ctx *c, uint8_t out[MD_MAX])
{
	switch (alg) {
	case MD_MD5:
		MD5_Final(out, &c->md5);
		break;
	case MD_SHA256:
		SHA256_Final(out, &c->sha256);
		break;
	default:
		SHA512_Final(out, &c->sha512);
	}
}

/* Through b, so that short pieces go in together: a call of libcrypto costs more than the copy. */
static void gather(enum md_alg alg, union ctx *c, struct buf *b, struct str s)
{
	if (s.n > b->cap - b->n) {
		add(alg, c, b->p, b->n);
		buf_clear(b);
	}
	if (s.n > b->cap)
		add(alg, c, s.p, s.n);
	else
		buf_str(b, s);
}

struct str md_hex_joined(enum md_alg alg, const struct str *parts, size_t n_parts,
			 char out[2 * MD_MAX])
{
	union ctx c;
	uint8_t raw[MD_MAX];
	char text[256];
	struct buf b;
	begin(alg, &c);
	buf_init_fixed(&b, text, sizeof(text));
	for (size_t i = 0; i < n_parts; i++) {
		if (i)
			gather(alg, &c, &b, STR(":"));
		gather(alg, &c, &b, parts[i]);
	}
	add(alg, &c, b.p, b.n);
	end(alg, &c, raw);
	buf_init_fixed(&b, out, 2 * (size_t)MD_MAX);
	buf_hex(&b, raw, md_size(alg));
	return buf_view(&b);
}

void md_raw(enum md_alg alg, struct str in, uint8_t out[MD_MAX])
{
	union ctx c;
	begin(alg, &c);
	add(alg, &c, in.p, in.n);
	end(alg, &c, out);
}

bool md_equal(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void b64_put(struct buf *b, const void *p, size_t n)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = p;
	for (; n > 0; in += 3) {
		unsigned v = (unsigned)in[0] << 16 | (n > 1 ? (unsigned)in[1] << 8 : 0) |
			     (n > 2 ? in[2] : 0u);
		char out[4] = {digit[v >> 18], digit[v >> 12 & 63],
			       n > 1 ? digit[v >> 6 & 63] : '=', n > 2 ? digit[v & 63] : '='};
		buf_put(b, out, 4);
		n -= n < 3 ? n : 3;
	}
}

static int b64_value(char c)
{
	unsigned u = (unsigned char)c, letter = (u | 0x20) - 'a';
	if (letter < 26)
		return (int)(u & 0x20 ? letter + 26 : letter);
	if (u - '0' < 10)
		return (int)(u - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool b64_get(struct buf *b, struct str in)
{
	size_t n = in.n, n_out = 0;
	if (n % 4)
		return false;
	if (n && in.p[n - 1] == '=')
		n -= in.p[n - 2] == '=' ? 2 : 1;
	if (buf_reserve(b, n * 3 / 4) != OK)
		return false;
	uint32_t acc = 0;
	int bits = 0;
	for (size_t i = 0; i < n; i++) {
		int v = b64_value(in.p[i]);
		if (v < 0)
			return false;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			b->p[b->n + n_out++] = (char)(acc >> bits);
			acc &= (1u << bits) - 1;
		}
	}
	if (acc) /* left-over bits of the last digit: not what an encoder makes [RFC4648 3.5] */
		return false;
	b->n += n_out;
	return true;
}

static const char url_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t url64_put(char *out, const void *p, size_t n)
{
	const uint8_t *raw = p;
	size_t at = 0;
	uint32_t acc = 0;
	unsigned bits = 0;
	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | raw[i];
		bits += 8;
		for (; bits >= 6; bits -= 6)
			out[at++] = url_alphabet[acc >> (bits - 6) & 63];
	}
	if (bits)
		out[at++] = url_alphabet[acc << (6 - bits) & 63];
	return at;
}

static int url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

size_t url64_get(struct str in, uint8_t *out, size_t cap)
{
	size_t n = 0;
	uint32_t acc = 0;
	unsigned bits = 0;
	for (size_t i = 0; i < in.n; i++) {
		int d = url_digit(in.p[i]);
		if (d < 0 || (bits + 6 >= 8 && n == cap))
			return 0;
		acc = acc << 6 | (unsigned)d;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (uint8_t)(acc >> bits);
		}
	}
	return n;
}
