/* Pools: bounds, ids that go stale, iteration. */
#include "base/pool.h"
#include "test.h"

#include <string.h>

TEST(pool_ids_go_stale)
{
	struct pool p;
	pool_init(&p, 40, 10, 3, 7);
	CHECK_EQ(test_allocs(), 0);
	char *a = pool_get(&p), *b = pool_get(&p);
	if (!a || !b) {
		pool_fini(&p);
		CHECK(!"memory refused");
	}
	obj_id ia = pool_id(&p, a), ib = pool_id(&p, b);
	CHECK(ia && ib && ia != ib);
	CHECK_EQ(obj_id_kind(ia), 3);
	CHECK_EQ(obj_id_shard(ia), 7);
	CHECK(pool_find(&p, ia) == a && pool_find(&p, ib) == b);
	CHECK(!pool_find(&p, 0) && !pool_find(&p, ia + 5));
	CHECK(!pool_find(&p, ia ^ (obj_id)1 << 56) && !pool_find(&p, ia ^ (obj_id)1 << 48));
	memset(a, 0xee, 40);
	pool_put(&p, a);
	CHECK(!pool_find(&p, ia));
	char *c = pool_get(&p); /* the same slot, another life */
	CHECK(c == a && c[0] == 0 && c[39] == 0);
	CHECK(!pool_find(&p, ia) && pool_find(&p, pool_id(&p, c)) == c);
	CHECK_EQ(p.n_used, 2);
	pool_fini(&p);
}

TEST(pool_is_bounded)
{
	struct pool p;
	void *obj[200];
	size_t n = 0;
	pool_init(&p, 1, 150, 0, 0);
	while (n < 200 && (obj[n] = pool_get(&p)))
		CHECK(((uintptr_t)obj[n++] & 15) == 0);
	size_t n_all = n;
	while (n)
		pool_put(&p, obj[--n]);
	CHECK_EQ(p.n_used, 0);
	for (n = 0; n < n_all; n++)
		CHECK((obj[n] = pool_get(&p))); /* a spare chunk stays */
	bool is_kind0_id_set = n && pool_id(&p, obj[0]) != 0;
	pool_fini(&p);
	CHECK_EQ(n_all, 150);
	CHECK(is_kind0_id_set);
}

TEST(pool_iterates_over_the_living)
{
	struct pool p;
	int *obj[100];
	pool_init(&p, sizeof(int), 1000, 1, 1);
	for (int i = 0; i < 100; i++) {
		if (!(obj[i] = pool_get(&p))) {
			pool_fini(&p);
			CHECK(!"memory refused");
		}
		*obj[i] = i;
	}
	for (int i = 0; i < 100; i += 3)
		pool_put(&p, obj[i]);
	uint32_t cursor = 0;
	int n = 0, sum = 0;
	for (int *o; (o = pool_next(&p, &cursor)); n++) {
		CHECK(*o % 3 != 0);
		sum += *o;
		pool_put(&p, o);
	}
	CHECK_EQ(n, 66);
	CHECK_EQ(sum, 4950 - 1683);
	CHECK_EQ(p.n_used, 0);
	pool_fini(&p);
}

/* A burst's memory goes back, and the ids of its objects find nothing in its next one. */
TEST(pool_gives_back_what_a_burst_took)
{
	enum { N = 6000 };
	struct pool p;
	static void *obj[N];
	static obj_id id[N];
	pool_init(&p, 240, N, 1, 1);
	for (int round = 0; round < 3; round++) {
		uint32_t cursor = 0;
		int n = 0, n_stale = 0;
		while (n < N && (obj[n] = pool_get(&p))) {
			n_stale += round && !pool_find(&p, id[n]);
			id[n] = pool_id(&p, obj[n]);
			n++;
		}
		if (n < N) { /* memory was refused: what is there must still be whole */
			for (int i = 0; i < n; i++)
				pool_put(&p, obj[i]);
			break;
		}
		CHECK(round == 0 || n_stale == N);
		CHECK(!pool_get(&p));
		uint32_t n_filled = p.n_filled;
		for (int i = 0; i < N; i++)
			if (i != 1234)
				pool_put(&p, obj[i]);
		CHECK(n_filled > 10 && p.n_filled <= 3);
		CHECK(pool_find(&p, id[1234]) == obj[1234]);
		CHECK(!pool_find(&p, id[0]) && !pool_find(&p, id[N - 1]));
		CHECK(pool_next(&p, &cursor) == obj[1234] && !pool_next(&p, &cursor));
		pool_put(&p, obj[1234]);
	}
	CHECK_EQ(p.n_used, 0);
	pool_fini(&p);
}

TEST(pool_generation_wraps_past_zero)
{
	struct pool p;
	pool_init(&p, 8, 1, 0, 0);
	void *o = pool_get(&p);
	if (!o) {
		pool_fini(&p);
		CHECK(!"memory refused");
	}
	obj_id first = pool_id(&p, o), id = first;
	for (uint32_t i = 0; i < (1u << 24) - 1; i++) {
		pool_put(&p, o);
		o = pool_get(&p);
		id = pool_id(&p, o);
		if (id == 0)
			break;
	}
	pool_fini(&p);
	CHECK(id == first); /* 2^24-1 lives: generation 0 is never used */
}
