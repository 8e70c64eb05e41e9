/* What Digest and the tables spend: digests as they are made (block functions of libcrypto, see
 * base/digest.c) beside the same through EVP with a prefetched algorithm and a kept context;
 * SipHash; the hash table. The arguments have the lengths of a real REGISTER.
 */

#include "base/digest.h"
#include "base/hash.h"
#include "bench.h"

#include <stdlib.h>

#define ERR_STATE openssl_err_state
#include <openssl/evp.h>
#undef ERR_STATE

static const struct str response[] = {
	STR_INIT("939e7578ed9e3c518a452acee763bce9"),
	STR_INIT("01.5f3c1a2b.8d1e6a7c9b0f1e2d3c4b5a69"),
	STR_INIT("00000001"),
	STR_INIT("0a4f113b"),
	STR_INIT("auth"),
	STR_INIT("39aff3a2bab6126f332b942af96d3366"),
};

static void joined(void *arg, uint64_t n)
{
	const enum md_alg *alg = arg;
	char out[2 * MD_MAX];
	while (n--)
		BENCH_KEEP(md_hex_joined(*alg, response, 6, out).p);
}

static void evp(void *arg, uint64_t n)
{
	static EVP_MD_CTX *c;
	EVP_MD *md = arg;
	uint8_t out[EVP_MAX_MD_SIZE];
	if (!c)
		c = EVP_MD_CTX_new();
	while (n--) {
		EVP_DigestInit_ex2(c, md, NULL);
		for (int i = 0; i < 6; i++) {
			if (i)
				EVP_DigestUpdate(c, ":", 1);
			EVP_DigestUpdate(c, response[i].p, response[i].n);
		}
		EVP_DigestFinal_ex(c, out, NULL);
		BENCH_KEEP(out);
	}
}

static void sip_hash(void *arg, uint64_t n)
{
	static const uint8_t key[16] = {1};
	struct str *s = arg;
	while (n--)
		BENCH_KEEP(htab_hash(key, s->p, s->n));
}

static void sip_hash_nocase(void *arg, uint64_t n)
{
	static const uint8_t key[16] = {1};
	struct str *s = arg;
	while (n--)
		BENCH_KEEP(htab_hash_nocase(key, s->p, s->n));
}

#define TABLE 65'536
static struct hnode node[TABLE];

static void table(void *arg, uint64_t n)
{
	struct htab *t = arg;
	for (uint64_t i = 0; i < n; i++) {
		struct hnode *x = &node[i % TABLE];
		htab_del(t, x);
		htab_add(t, x, x->hash);
		BENCH_KEEP(htab_first(t, x->hash));
	}
}

void bench_main(void)
{
	static enum md_alg md5 = MD_MD5, sha256 = MD_SHA256, sha512 = MD_SHA512_256;
	struct str call_id = STR("843817637684230@998sdasdh09");
	struct htab t;
	bench_run(&(struct bench){"MD5 of a Digest response", joined, &md5, 400, 0, 1});
	bench_run(&(struct bench){"SHA-256 of a Digest response", joined, &sha256, 0, 0, 1});
	bench_run(&(struct bench){"SHA-512/256 of a Digest response", joined, &sha512, 0, 0, 1});
	EVP_MD *md = EVP_MD_fetch(NULL, "MD5", NULL);
	if (md)
		bench_run(&(struct bench){"MD5 the same through EVP", evp, md, 0, 0, 1});
	EVP_MD_free(md);
	bench_run(&(struct bench){"hash of a Call-ID", sip_hash, &call_id, 40, 0, 1});
	bench_run(&(struct bench){"case-blind hash of a Call-ID", sip_hash_nocase, &call_id, 50, 0,
				  1});
	if (htab_init(&t, 0) != OK)
		return;
	for (size_t i = 0; i < TABLE; i++)
		htab_add(&t, &node[i], i * 0x9e3779b97f4a7c15u);
	bench_run(&(struct bench){"htab del + add + find of 65,536", table, &t, 100, 0, 1});
	htab_fini(&t);
}
