/* The table of keys: look-ups against a plain list, with buckets made to collide. */
#include "rig.h"

#define KEYS 300

static bool has(const struct keytab *t, struct tsx_key *k)
{
	for (struct tsx_key *at = keytab_first(t, k->hash); at; at = keytab_next(at))
		if (at == k)
			return true;
	return false;
}

TEST(keys_are_found_while_they_are_in)
{
	struct keytab t;
	static struct tsx_key keys[KEYS];
	bool is_in[KEYS] = {false};
	CHECK_EQ(keytab_init(&t, 16), OK);
	uint64_t r = 1;
	for (int i = 0; i < 20000; i++) {
		r = r * 6364136223846793005u + 1442695040888963407u;
		unsigned k = (unsigned)(r >> 33) % KEYS;
		if (is_in[k]) {
			CHECK(has(&t, &keys[k]));
			keytab_del(&t, &keys[k]);
			CHECK(!has(&t, &keys[k]));
		} else {
			/* few buckets, few hashes: several nodes with the same one */
			keytab_add(&t, &keys[k], (uint64_t)(k % 90) * 0x9e3779b97f4a7c15u | 1);
		}
		is_in[k] = !is_in[k];
	}
	for (unsigned k = 0; k < KEYS; k++)
		if (keys[k].hash)
			CHECK_EQ(has(&t, &keys[k]), is_in[k]);
	keytab_fini(&t);
}

TEST(it_grows_while_keys_come_and_go)
{
	struct keytab t;
	static struct tsx_key keys[5000];
	CHECK_EQ(keytab_init(&t, 16), OK);
	for (unsigned i = 0; i < 5000; i++) {
		keytab_add(&t, &keys[i], (i + 1) * 0x9e3779b97f4a7c15u);
		if (i >= 100) { /* the oldest goes; one of the middle is there in each state */
			CHECK(has(&t, &keys[i - 50]));
			if (i % 3)
				keytab_del(&t, &keys[i - 100]);
		}
	}
	CHECK(test_allocs() > 5 || t.mask == 15); /* grown, unless memory was refused */
	for (unsigned i = 0; i < 5000; i++)
		CHECK_EQ(has(&t, &keys[i]), i >= 4900 || (i + 100) % 3 == 0);
	keytab_fini(&t);
}

TEST(an_empty_table_finds_nothing)
{
	struct keytab t;
	CHECK_EQ(keytab_init(&t, 64), OK);
	for (uint64_t h = 0; h < 1000; h++)
		CHECK(!keytab_first(&t, h * 0x9e3779b97f4a7c15u));
	keytab_fini(&t);
}
