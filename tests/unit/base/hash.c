/* SipHash against its authors' vectors; the table against a plain model while it grows. */
#include "base/hash.h"
#include "test.h"

#include <ctype.h>
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

TEST(siphash_nocase_folds_ascii_only)
{
	uint8_t key[16] = {1, 2, 3};
	unsigned char in[256], low[256];
	for (int i = 0; i < 256; i++) {
		in[i] = (unsigned char)i;
		low[i] = (unsigned char)(i < 128 ? tolower(i) : i);
	}
	for (size_t from = 0; from < 256; from++) {
		for (size_t n = 0; n < 20 && from + n <= 256; n++)
			CHECK(siphash_nocase(key, in + from, n) == siphash(key, low + from, n));
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
