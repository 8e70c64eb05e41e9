/* Globally routable user agent URIs. [RFC5627 3.1, 5]
 *
 * Public:     sip:100@192.0.2.1;gr=urn:uuid:...    what `gr` says is compared with the instances
 * Temporary:  sip:tgruu.<seal>@192.0.2.1;gr
 *
 *     seal = nonce:8 | sealed{ instance hash:8 | Call-ID hash:4 | account } | check:8
 *
 * printed in the URL-safe alphabet. The sealed part is covered by a key stream of siphash over the
 * nonce and a counter, the check is a siphash over all before it; both need the key of the data
 * folder. So two of them tell nobody whether they are one phone's, nobody can make one, and they
 * live through restarts. A temporary GRUU is valid as long as a binding of its instance has the
 * Call-ID that it was made with: a phone that registers with a new Call-ID, or goes, ends all of
 * its old ones, as RFC 5627 5.1 wants it, without a list of them.
 */
#include "service/gruu.h"

#include "base/digest.h"
#include "base/hash.h"

#include <string.h>

#define NONCE_BYTES 8u
#define FIXED_BYTES 12u /* of the sealed part */
#define CHECK_BYTES 8u
#define RAW_MAX     (NONCE_BYTES + FIXED_BYTES + GRUU_USER_MAX + CHECK_BYTES)
#define PREFIX      "tgruu."

/* The siphash key has three uses; each input begins with a letter of its own. */
static uint64_t keyed(const struct gruu_self *self, char use, const void *p, size_t n)
{
	uint8_t in[1 + RAW_MAX];
	in[0] = (uint8_t)use;
	memcpy(in + 1, p, n);
	return siphash(self->key, in, n + 1);
}

static uint64_t hash_of(const struct gruu_self *self, struct str s)
{
	uint64_t h = siphash(self->key, s.p, s.n);
	return keyed(self, 'h', &h, sizeof(h));
}

/* Covers n bytes, or uncovers them. */
static void cover(const struct gruu_self *self, const uint8_t *nonce, uint8_t *p, size_t n)
{
	uint8_t block[NONCE_BYTES + 1];
	memcpy(block, nonce, NONCE_BYTES);
	for (size_t i = 0; i < n; i++) {
		block[NONCE_BYTES] = (uint8_t)(i / 8);
		uint64_t k = keyed(self, 's', block, sizeof(block));
		p[i] ^= (uint8_t)(k >> (i % 8 * 8));
	}
}

static struct str bare(struct str instance)
{
	if (instance.n >= 2 && instance.p[0] == '<' && instance.p[instance.n - 1] == '>')
		return str_sub(instance, 1, instance.n - 2);
	return instance;
}

/* As the value of a URI parameter [RFC3261 25.1]; within quotes, so without any. */
static void put_escaped(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				(c >= '0' && c <= '9') || (c && memchr("-_.!~*'()[]/:&+$", c, 16));
		if (is_plain)
			buf_chr(b, c);
		else
			buf_fmt(b, "%%%02X", (uint8_t)c);
	}
}

static void put_host(struct buf *b, const struct sip_uri *u)
{
	buf_fmt(b, u->is_ip && u->ip.family == ADDR_V6 ? "[" STR_FMT "]" : STR_FMT,
		STR_ARG(u->host));
	if (u->port)
		buf_fmt(b, ":%u", u->port);
}

static size_t seal(const struct gruu_self *self, uint8_t *raw, const struct gruu_of *of)
{
	uint64_t h = hash_of(self, bare(of->instance));
	uint32_t c = (uint32_t)hash_of(self, of->call_id);
	size_t n = NONCE_BYTES + FIXED_BYTES + of->user.n;
	memcpy(raw, &of->nonce, NONCE_BYTES);
	memcpy(raw + NONCE_BYTES, &h, 8);
	memcpy(raw + NONCE_BYTES + 8, &c, 4);
	memcpy(raw + NONCE_BYTES + FIXED_BYTES, of->user.p, of->user.n);
	cover(self, raw, raw + NONCE_BYTES, FIXED_BYTES + of->user.n);
	h = keyed(self, 'c', raw, n);
	memcpy(raw + n, &h, CHECK_BYTES);
	return n + CHECK_BYTES;
}

static bool is_possible(const struct gruu_of *of)
{
	return of->user.n && of->user.n <= GRUU_USER_MAX;
}

void gruu_put_public(struct buf *b, const struct gruu_of *of)
{
	if (!is_possible(of))
		return;
	buf_fmt(b, "%s:" STR_FMT "@", of->is_sips ? "sips" : "sip", STR_ARG(of->aor_uri->user));
	put_host(b, of->aor_uri);
	buf_str(b, STR(";gr="));
	put_escaped(b, bare(of->instance));
}

void gruu_put_temporary(const struct gruu_self *self, struct buf *b, const struct gruu_of *of)
{
	uint8_t raw[RAW_MAX];
	char text[RAW_MAX * 2];
	if (!is_possible(of))
		return;
	size_t n = url64_put(text, raw, seal(self, raw, of));
	buf_str(b, of->is_sips ? STR("sips:" PREFIX) : STR("sip:" PREFIX));
	buf_put(b, text, n);
	buf_chr(b, '@');
	put_host(b, of->aor_uri);
	buf_str(b, STR(";gr"));
}

void gruu_put(const struct gruu_self *self, struct buf *b, const struct gruu_of *of)
{
	if (!is_possible(of))
		return;
	buf_str(b, STR(";pub-gruu=\""));
	gruu_put_public(b, of);
	buf_str(b, STR("\";temp-gruu=\""));
	gruu_put_temporary(self, b, of);
	buf_chr(b, '"');
}

static void unseal(const struct gruu_self *self, struct str text, struct gruu *g)
{
	uint8_t raw[RAW_MAX];
	size_t n = url64_get(text, raw, sizeof(raw));
	if (n <= NONCE_BYTES + FIXED_BYTES + CHECK_BYTES)
		return;
	n -= CHECK_BYTES;
	uint64_t check = keyed(self, 'c', raw, n);
	if (memcmp(raw + n, &check, CHECK_BYTES) != 0)
		return;
	cover(self, raw, raw + NONCE_BYTES, n - NONCE_BYTES);
	memcpy(&g->instance_hash, raw + NONCE_BYTES, 8);
	memcpy(&g->call_id_hash, raw + NONCE_BYTES + 8, 4);
	g->n_user = n - NONCE_BYTES - FIXED_BYTES;
	memcpy(g->user, raw + NONCE_BYTES + FIXED_BYTES, g->n_user);
}

bool gruu_read(const struct gruu_self *self, const struct sip_uri *u, struct gruu *out)
{
	struct str gr;
	if (u->scheme > SIP_URI_SIPS || !u->has_user || !sip_param(u->params, STR("gr"), &gr))
		return false;
	*out = (struct gruu){.gr = gr, .self = self, .is_temp = !gr.n};
	if (out->is_temp && str_starts(u->user, STR(PREFIX)))
		unseal(self, str_skip(u->user, sizeof(PREFIX) - 1), out);
	return true;
}

bool gruu_is_meant(void *ctx, struct str instance, struct str call_id)
{
	const struct gruu *g = ctx;
	char mem[128];
	struct buf b;
	if (!instance.n)
		return false;
	if (g->is_temp)
		return hash_of(g->self, bare(instance)) == g->instance_hash &&
		       (uint32_t)hash_of(g->self, call_id) == g->call_id_hash;
	buf_init_fixed(&b, mem, sizeof(mem));
	return sip_unescape(&b, g->gr) && !b.err && str_eq(buf_view(&b), bare(instance));
}
