/* Texts that are kept squeezed come back as they were. */
#include "base/squeeze.h"
#include "test.h"

#include <stdlib.h>

/* Bytes that it takes; SIZE_MAX: it cannot be squeezed. */
static size_t round_trip(struct str text, struct str words)
{
	struct buf small, back;
	buf_init(&small);
	buf_init(&back);
	buf_str(&small, STR("before"));
	buf_str(&back, STR("xyz"));
	size_t n = SIZE_MAX;
	if (squeeze(text, words, &small)) {
		n = small.n - 6;
		unsqueeze(str_skip(buf_view(&small), 6), words, &back);
		CHECK(back.err || str_eq(str_skip(buf_view(&back), 3), text));
	} else {
		CHECK(small.n <= 6);
	}
	buf_fini(&small);
	buf_fini(&back);
	return n;
}

TEST(squeeze_makes_sip_short)
{
	struct str words = STR("sip:;transport=udp;remote=00000000000000000000000000000000");
	CHECK_EQ(round_trip(STR(""), words), SIZE_MAX);
	CHECK_EQ(round_trip(STR("ab"), words), SIZE_MAX);
	CHECK(round_trip(STR("sip:alice@192.0.2.1;transport=udp"), words) < 24);
	CHECK(round_trip(STR("ca6b30fe32344278a469c5ee2589bdb7;remote="
			     "00000000000000000000000000000000"),
			 words) < 48);
	CHECK(round_trip(STR("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
			 STR_NONE) < 12);
}

/* Of all lengths, distances, runs, at all places. */
TEST_NO_OOM(squeeze_gives_back_what_it_got)
{
	static const char letters[] = "0123abcf:;=@\r\nxyz";
	static char mem[SQUEEZE_MOST + 1];
	srand(7);
	for (unsigned i = 0; i < 4'000; i++) {
		size_t n = (size_t)rand() % (i % 7 ? 400 : SQUEEZE_MOST + 2);
		unsigned kinds = 1 + (unsigned)rand() % (sizeof letters - 1);
		for (size_t k = 0; k < n && k < sizeof mem; k++) {
			size_t d = 1 + (size_t)rand() % 1'700;
			mem[k] = i % 5 == 4 ? (char)rand() : letters[(unsigned)rand() % kinds];
			for (unsigned run = (unsigned)rand() % 60; d <= k && run && k + 1 < n;
			     run--, k++)
				mem[k + 1] = mem[k - d];
		}
		size_t n_words = n ? (size_t)rand() % n : 0;
		size_t got = round_trip(str_of(mem + n_words, n - n_words), str_of(mem, n_words));
		CHECK(got == SIZE_MAX || got < n - n_words);
		CHECK(n <= SQUEEZE_MOST || got == SIZE_MAX);
	}
}
