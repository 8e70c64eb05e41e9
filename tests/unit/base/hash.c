/* SipHash against its authors' vectors; the table against a plain model while it grows. */
#include "base/hash.h"
#include "test.h"

#include <ctype.h>
#define ERR_STATE openssl_err_state
#include <openssl/evp.h>
#undef ERR_STATE
#include <stdlib.h>
#include <string.h>

TEST(siphash_vectors)
{
	/* key 00..0f, message 00, 01, ... of the length given: from the paper's appendix A and the
	 * reference vectors */
	static const struct {
		size_t n;
		uint64_t want;
	} rows[] = {
		{0,  0x726fdb47dd0e0e31},
                {1,  0x74f839c593dc67fd},
                {7,  0xab0200f58b01d137},
		{8,  0x93f5f5799a932462},
                {15, 0xa129ca6149be45e5},
                {63, 0x958a324ceb064572},
	};
	uint8_t key[16], msg[64];
	for (int i = 0; i < 64; i++)
		msg[i] = (uint8_t)i;
	memcpy(key, msg, 16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(siphash(key, msg, rows[i].n) == rows[i].want);
}

/* Against libcrypto's, which takes the numbers of rounds. */
static uint64_t openssl_siphash(const uint8_t key[16], const void *p, size_t n, unsigned per_word,
				unsigned at_end)
{
	unsigned size = 8;
	uint64_t out = 0;
	size_t got = 0;
	const OSSL_PARAM params[] = {OSSL_PARAM_construct_uint("size", &size),
				     OSSL_PARAM_construct_uint("c-rounds", &per_word),
				     OSSL_PARAM_construct_uint("d-rounds", &at_end),
				     OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *c = EVP_MAC_CTX_new(mac);
	CHECK(EVP_MAC_init(c, key, 16, params) == 1);
	CHECK(EVP_MAC_update(c, p, n) == 1);
	CHECK(EVP_MAC_final(c, (unsigned char *)&out, &got, sizeof(out)) == 1 && got == 8);
	EVP_MAC_CTX_free(c);
	EVP_MAC_free(mac);
	return out;
}

TEST(hashes_equal_those_of_libcrypto)
{
	uint8_t key[16], msg[64];
	for (int i = 0; i < 64; i++)
		msg[i] = (uint8_t)(7 * i + 3);
	memcpy(key, msg + 40, 16);
	for (size_t n = 0; n < sizeof(msg); n++) {
		CHECK(siphash(key, msg, n) == openssl_siphash(key, msg, n, 2, 4));
		CHECK(htab_hash(key, msg, n) == openssl_siphash(key, msg, n, 1, 3));
	}
}

TEST(htab_hash_nocase_folds_ascii_only)
{
	uint8_t key[16] = {1, 2, 3};
	unsigned char in[256], low[256];
	for (int i = 0; i < 256; i++) {
		in[i] = (unsigned char)i;
		low[i] = (unsigned char)(i < 128 ? tolower(i) : i);
	}
	for (size_t from = 0; from < 256; from++) {
		for (size_t n = 0; n < 20 && from + n <= 256; n++)
			CHECK(htab_hash_nocase(key, in + from, n) == htab_hash(key, low + from, n));
	}
}

struct node {
	struct hnode h;
	int v;
};

#define N 3000

static int n_seen, sum_seen;
static struct htab *tab_of_each;

static void see(void *arg, struct hnode *h)
{
	struct node *x = (struct node *)(void *)h;
	n_seen++;
	sum_seen += x->v;
	if (arg && x->v % 2)
		htab_del(tab_of_each, h);
}

/* Hashes are few on purpose, so that chains hold equal and unequal ones. */
static uint64_t hash_of(int v)
{
	return (uint64_t)(v / 2) * 0x9e3779b97f4a7c15u;
}

static bool has(struct htab *t, struct node *x)
{
	for (struct hnode *h = htab_first(t, hash_of(x->v)); h; h = htab_next(h)) {
		if (h == &x->h)
			return true;
	}
	return false;
}

TEST(htab_model)
{
	static struct node node[N];
	static bool is_in[N];
	struct htab t;
	CHECK_EQ(htab_init(&t, 0), OK);
	memset(is_in, 0, sizeof(is_in));
	srand(5);
	for (int step = 0; step < 20'000; step++) {
		int i = rand() % (step < 4000 ? 1 + step / 4 : N);
		node[i].v = i;
		if (!is_in[i])
			htab_add(&t, &node[i].h, hash_of(i));
		else if (rand() % 3 == 0)
			htab_del(&t, &node[i].h);
		else
			continue;
		is_in[i] = !is_in[i];
		for (int k = 0; k < 5; k++) {
			int j = rand() % N;
			node[j].v = j;
			CHECK_EQ(has(&t, &node[j]), is_in[j]);
		}
	}
	int n = 0, sum = 0, n_even = 0;
	for (int i = 0; i < N; i++) {
		n += is_in[i];
		n_even += is_in[i] && i % 2 == 0;
		sum += is_in[i] ? i : 0;
	}
	CHECK_EQ(t.n, n);
	tab_of_each = &t;
	n_seen = sum_seen = 0;
	htab_each(&t, see, &t);
	CHECK_EQ(n_seen, n);
	CHECK_EQ(sum_seen, sum);
	CHECK_EQ(t.n, n_even);
	htab_fini(&t);
}

TEST(htab_keeps_order_of_equal_hashes)
{
	static struct node node[200];
	struct htab t;
	CHECK_EQ(htab_init(&t, 0), OK);
	for (int i = 0; i < 200; i++) {
		node[i].v = i;
		htab_add(&t, &node[i].h, (uint64_t)(i % 2) << 4 | 3); /* parted by one split */
	}
	int want = 1;
	for (struct hnode *h = htab_first(&t, 1u << 4 | 3); h; h = htab_next(h), want += 2)
		CHECK_EQ(((struct node *)(void *)h)->v, want);
	CHECK_EQ(want, 201);
	htab_fini(&t);
}
