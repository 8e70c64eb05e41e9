/* Byte strings: every function at its edges, and case folding against a byte-wise model. */
#include "base/str.h"
#include "test.h"

#include <ctype.h>
#include <string.h>

TEST(str_compare)
{
	CHECK(str_eq(STR_NONE, STR("")));
	CHECK(str_eq(STR("abc"), STR("abc")) && !str_eq(STR("abc"), STR("abd")));
	CHECK(!str_eq(STR("abc"), STR("ab")));
	CHECK(str_ieq(STR("Call-ID: long"), STR("cALL-id: LONG")));
	CHECK(!str_ieq(STR("abc"), STR("abcd")));
	CHECK(str_ieq(STR_NONE, STR_NONE));
	CHECK(str_cmp(STR("a"), STR("b")) < 0 && str_cmp(STR("b"), STR("a")) > 0);
	CHECK(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("ab"), STR("a")) > 0);
	CHECK_EQ(str_cmp(STR_NONE, STR("")), 0);
	CHECK(str_starts(STR("sip:x"), STR("sip:")) && !str_starts(STR("si"), STR("sip:")));
	CHECK(str_starts(STR("x"), STR_NONE) && str_starts(STR_NONE, STR_NONE));
	CHECK(str_istarts(STR("SIP/2.0 200"), STR("sip/2.0")));
	CHECK(!str_istarts(STR("SIP"), STR("sip/2.0")));
	CHECK(str_ends(STR("a.wav"), STR(".wav")) && !str_ends(STR("wav"), STR(".wav")));
	CHECK(str_ends(STR_NONE, STR_NONE));
	CHECK_STR_EQ(str_c(NULL), STR_NONE);
	CHECK_STR_EQ(str_c("xy"), STR("xy"));
}

/* All pairs of bytes, at each place of the eight that are folded at once. */
TEST(str_ieq_model)
{
	char a[9] = "........", b[9] = "........";
	for (int at = 0; at < 9; at++) {
		for (int x = 0; x < 256; x++) {
			for (int y = 0; y < 256; y++) {
				a[at] = (char)x;
				b[at] = (char)y;
				bool want =
					(x < 128 ? tolower(x) : x) == (y < 128 ? tolower(y) : y);
				if (str_ieq(str_of(a, 9), str_of(b, 9)) != want)
					test_fail(__FILE__, __LINE__, "bytes %d, %d at %d", x, y,
						  at);
			}
		}
		a[at] = b[at] = '.';
	}
}

TEST(str_search)
{
	CHECK_EQ(str_find(STR("abcabd"), STR("abd")), 3);
	CHECK(str_find(STR("abc"), STR("abcd")) == SIZE_MAX);
	CHECK_EQ(str_find(STR_NONE, STR_NONE), 0);
	CHECK(str_find(STR_NONE, STR("a")) == SIZE_MAX);
	CHECK_EQ(str_ifind(STR("xxBranch=Z"), STR("BRANCH=")), 2);
	CHECK(str_ifind(STR("xx"), STR("y")) == SIZE_MAX);
	CHECK_EQ(str_ifind(STR("aab"), STR("AB")), 1);
	CHECK_EQ(str_ifind(STR("a"), STR_NONE), 0);
	CHECK_EQ(str_chr(STR("a\0b"), 'b'), 2);
	CHECK(str_chr(STR_NONE, 'b') == SIZE_MAX);
}

TEST(str_parts)
{
	struct str rest;
	CHECK_STR(str_sub(STR("abcdef"), 2, 3), "cde");
	CHECK_STR(str_sub(STR("abc"), 2, 9), "c");
	CHECK_STR(str_sub(STR("abc"), 9, 1), "");
	CHECK_STR(str_sub(STR("abc"), 0, SIZE_MAX), "abc");
	CHECK_STR(str_skip(STR("abc"), 1), "bc");
	CHECK_STR(str_skip(STR_NONE, 1), "");
	CHECK_STR(str_trim(STR(" \t\r\na b \r\n")), "a b");
	CHECK_STR(str_trim(STR(" \t ")), "");
	CHECK_STR(str_cut(STR("a,b,c"), ',', &rest), "a");
	CHECK_STR(rest, "b,c");
	CHECK_STR(str_cut(rest, ',', &rest), "b");
	CHECK_STR(str_cut(rest, ',', &rest), "c");
	CHECK_EQ(rest.n, 0);
	CHECK_STR(str_cut(STR(",x"), ',', &rest), "");
	CHECK_STR(rest, "x");
	CHECK_STR(str_cut(STR_NONE, ',', &rest), "");
}

TEST(str_numbers)
{
	uint32_t v = 7;
	uint64_t w = 7;
	CHECK(!str_u32(STR(""), &v) && !str_u32(STR("-1"), &v) && !str_u32(STR("1 "), &v));
	CHECK(!str_u32(STR("4294967296"), &v));
	CHECK_EQ(v, 7);
	CHECK(str_u32(STR("4294967295"), &v) && v == UINT32_MAX);
	CHECK(str_u32(STR("007"), &v) && v == 7);
	CHECK(str_u64(STR("18446744073709551615"), &w) && w == UINT64_MAX);
	w = 7;
	CHECK(!str_u64(STR("18446744073709551616"), &w));
	CHECK(!str_u64(STR("99999999999999999999999"), &w));
	CHECK(!str_u64(STR("0x1"), &w));
	CHECK_EQ(w, 7);
}

TEST(str_copy_cuts)
{
	char d[4] = "zzz";
	CHECK(str_copy(d, sizeof(d), STR("abc")));
	CHECK_STR_EQ(str_c(d), STR("abc"));
	CHECK(!str_copy(d, sizeof(d), STR("wxyz")));
	CHECK_STR_EQ(str_c(d), STR("wxy"));
	CHECK(str_copy(d, sizeof(d), STR_NONE));
	CHECK_EQ(d[0], 0);
	CHECK(!str_copy(d, 0, STR("a")));
}

TEST(str_suggestions)
{
	static const struct str keys[] = {STR_INIT("aors"), STR_INIT("certificate"),
					  STR_INIT("listen")};
	char big[65];
	CHECK_EQ(str_distance(STR("kitten"), STR("sitting")), 3);
	CHECK_EQ(str_distance(STR(""), STR("abc")), 3);
	CHECK_EQ(str_distance(STR("abc"), STR("abc")), 0);
	memset(big, 'a', sizeof(big));
	CHECK_EQ(str_distance(str_of(big, 65), STR("a")), 64);
	CHECK_EQ(str_distance(str_of(big, 64), str_of(big, 64)), 0);
	CHECK_STR(str_nearest(STR("aor"), keys, 3), "aors");
	CHECK_STR(str_nearest(STR("certficat"), keys, 3), "certificate");
	CHECK_STR(str_nearest(STR("lisen"), keys, 3), "listen");
	CHECK_STR(str_nearest(STR("oars"), keys, 3), "aors");
	CHECK_EQ(str_distance(STR("nmae"), STR("name")), 1);
	CHECK_EQ(str_distance(STR("ab"), STR("ba")), 1);
	CHECK_EQ(str_distance(STR("abcd"), STR("badc")), 2);
	CHECK_EQ(str_nearest(STR("xyz"), keys, 3).n, 0);
}
