/* Words that one shard writes and all read. */
#include "event/shard.h"
#include "test.h"

TEST(words_are_lent)
{
	struct env *env;
	struct ev_shards *s;
	struct ev_words *w = NULL;
	CHECK_EQ(env_os_new(&env), OK);
	if (ev_shards_new(&env, 1, &s) != OK || ev_words_new(100, &w) != OK) {
		CHECK(!"memory refused");
	}
	CHECK(!ev_lent(s, 0));
	ev_lend(s, 0, w);
	const struct ev_words *r = ev_lent(s, 0);
	CHECK(r == w);
	CHECK_EQ(ev_words_get(r, 99), 0);
	ev_words_set(w, 99, 7);
	ev_words_set(w, 100, 8); /* outside: nothing */
	CHECK_EQ(ev_words_get(r, 99), 7);
	CHECK_EQ(ev_words_get(r, 98), 0);
	CHECK_EQ(ev_words_get(r, 100), 0);
	ev_shards_free(s);
	ev_words_free(w);
	env_free(env);
}
