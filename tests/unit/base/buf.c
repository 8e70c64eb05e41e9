/* Buffers: growth, sticky errors, formatting, JSON. */
#include "base/buf.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

TEST(buf_appends)
{
	struct buf b;
	buf_init(&b);
	buf_str(&b, STR("SIP/2.0 "));
	buf_u64(&b, 200);
	buf_chr(&b, ' ');
	buf_fmt(&b, "%s-%d", "OK", 7);
	buf_fill(&b, '.', 3);
	buf_hex(&b, "\x00\xff", 2);
	if (b.err == OK)
		CHECK_STR(buf_view(&b), "SIP/2.0 200 OK-7...00ff");
	else
		CHECK_EQ(b.err, ERR_NOMEM);
	buf_drop(&b, 8);
	char *c = buf_cstr(&b);
	if (c)
		CHECK_STR_EQ(str_c(c), STR("200 OK-7...00ff"));
	buf_drop(&b, 99);
	CHECK_EQ(b.err ? 0 : b.n, 0);
	buf_fini(&b);
	CHECK(!b.p);
}

TEST(buf_grows_and_formats_long)
{
	struct buf b;
	buf_init(&b);
	for (int i = 0; i < 1000; i++)
		buf_u64(&b, (uint64_t)i);
	buf_fmt(&b, "%5000d", 1);
	bool is_ok = b.err == OK && b.n == 10 + 180 + 2700 + 5000 && b.p[b.n - 1] == '1';
	bool is_oom = b.err == ERR_NOMEM;
	buf_fini(&b);
	CHECK(is_ok || is_oom);
	buf_init(&b);
	buf_u64(&b, UINT64_MAX);
	is_ok = b.err || str_eq(buf_view(&b), STR("18446744073709551615"));
	buf_fini(&b);
	CHECK(is_ok);
}

TEST(buf_fixed_is_sticky)
{
	char mem[8];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, STR("12345678"));
	CHECK_EQ(b.err, OK);
	CHECK_STR(buf_view(&b), "12345678");
	buf_chr(&b, '9');
	CHECK_EQ(b.err, ERR_LIMIT);
	buf_str(&b, STR_NONE);
	CHECK(!buf_cstr(&b));
	CHECK_STR(buf_view(&b), "12345678");
	buf_clear(&b);
	buf_fmt(&b, "%d", 1234567);
	CHECK_EQ(b.err, OK);
	buf_clear(&b);
	buf_fmt(&b, "%d", 12345678); /* no room for printf's NUL */
	CHECK_EQ(b.err, ERR_LIMIT);
	buf_str(&b, STR("a")); /* sticky */
	CHECK_EQ(b.n, 0);
	buf_clear(&b);
	CHECK_EQ(buf_reserve(&b, SIZE_MAX), ERR_LIMIT);
	buf_clear(&b);
	buf_hex(&b, mem, SIZE_MAX / 2);
	CHECK_EQ(b.err, ERR_LIMIT);
	buf_fini(&b);
	CHECK_EQ(test_allocs(), 0);
}

TEST(buf_formats_like_printf)
{
	struct buf b;
	char mem[16];
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b, "<%.*s>%u %s", 2, "abc", 4294967295u, "");
	CHECK_STR(buf_view(&b), "<ab>4294967295 ");
	buf_clear(&b);
	buf_fmt(&b, STR_FMT "%.*s%.*s;", STR_ARG(STR_NONE), 5, "a\0b", -1, "whole"); /* not plain */
	CHECK_STR(buf_view(&b), "awhole;");
	buf_clear(&b);
	buf_fmt(&b, "%s,%u%%,%5d,%c", "a", 7u, -3, 'x'); /* begins plain */
	CHECK_STR(buf_view(&b), "a,7%,   -3,x");
	buf_fmt(&b, "%s", "345");
	CHECK_EQ(b.err, OK);
	buf_fmt(&b, "%u", 1u); /* room for it, but for no NUL; what is there stays */
	CHECK_EQ(b.err, ERR_LIMIT);
	CHECK_STR(buf_view(&b), "a,7%,   -3,x345");
}

static void real(double v, unsigned digits)
{
	char mem[400], want[400];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_real(&b, v, digits);
	snprintf(want, sizeof want, "%.*f", (int)digits, v);
	CHECK(str_eq(buf_view(&b), str_c(want)));
}

TEST(buf_rounds_like_printf)
{
	static const double odd[] = {0,          -0.0,  0.5,    1.5,      2.5,       0.125,
				     0.375,      0.005, 0.995,  1.005,    9.995,     99.995,
				     4.9e-4,     1e-3,  5e-324, -1.25,    0x1p52,    0x1p53,
				     1e15 + 0.5, 1e22,  1e300,  INFINITY, -INFINITY, NAN};
	for (unsigned digits = 0; digits <= 3; digits++) {
		for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
			real(odd[i], digits);
		uint64_t x = 88'172'645'463'325'252u;
		for (unsigned i = 0; i < 20'000; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17; /* xorshift */
			real((double)(x >> 40) / 1e3, digits);
			real((double)(x >> 44) / 64, digits); /* ties */
			real((double)x / 0x1p70, digits);
		}
	}
}

static void json(struct str in, struct str want, int line)
{
	char mem[256];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_json(&b, in);
	test_str(__FILE__, line, "json", buf_view(&b), want);
}

TEST(buf_masks_what_steers_a_terminal)
{
	char mem[200];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, STR("\033[31m"));
	buf_plain(&b, STR("a\033[2Jb\r\n\tc\x7f d\xc2\x9b"
			  "e\xc3\xa9\xe2\x86\x92\xc2"));
	CHECK_STR(buf_view(&b), "\033[31ma?[2Jb???c? d??e\xc3\xa9\xe2\x86\x92?");
	buf_clear(&b); /* a C1 control to who does not read UTF-8; and text from right to left */
	/* NOLINTNEXTLINE(misc-misleading-bidirectional) */
	buf_plain(&b, STR("a\x9b"
			  "2J b\xe2\x80\xae"
			  "c\xe2\x81\xa6"
			  "d\xe2\x80\x93"));
	CHECK_STR(buf_view(&b), "a?2J b???c???d\xe2\x80\x93");
	buf_clear(&b);
	buf_str(&b, STR("a: b\r\n\tc\rd\ne\0"));
	buf_mask(&b, 0, true);
	CHECK_STR(buf_view(&b), "a: b\r\n\tc?d\ne?");
}

TEST(buf_masks_at_every_place)
{
	for (unsigned c = 0; c < 256; c++)
		for (size_t at = 0; at < 20; at++) {
			char mem[20];
			struct buf b;
			memset(mem, 'a', sizeof mem);
			mem[at] = (char)c;
			b = (struct buf){
				.p = mem, .n = sizeof mem, .cap = sizeof mem, .is_fixed = true};
			buf_mask(&b, 0, false);
			CHECK_EQ(mem[at], c < ' ' || c >= 0x7f ? '?' : (char)c);
			CHECK_EQ(mem[(at + 1) % 20], 'a');
		}
}

TEST(buf_json_escapes)
{
	json(STR_NONE, STR("\"\""), __LINE__);
	json(STR("plain"), STR("\"plain\""), __LINE__);
	json(STR("a\"b\\c\r\n\t\x01\x7f/"), STR("\"a\\\"b\\\\c\\r\\n\\t\\u0001\\u007f/\""),
	     __LINE__);
	json(STR("\0"), STR("\"\\u0000\""), __LINE__);
	json(STR("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
	     STR("\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\""), __LINE__);
	/* overlong, surrogate, beyond the range, cut off, stray continuation [RFC3629 3] */
	json(STR("\xc0\x80"), STR("\"\xef\xbf\xbd\xef\xbf\xbd\""), __LINE__);
	json(STR("\xe0\x80\x80x"), STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\""), __LINE__);
	json(STR("\xed\xa0\x80"), STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""), __LINE__);
	json(STR("\xf4\x90\x80\x80"), STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""),
	     __LINE__);
	json(STR("\xf0\x9f\x98"), STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""), __LINE__);
	json(STR("a\xff"), STR("\"a\xef\xbf\xbd\""), __LINE__);
}

/* Words of ASCII are skipped whole: whatever is wrong is seen wherever it stands. */
TEST(utf8_is_looked_at_everywhere)
{
	char text[100];
	for (size_t n = 1; n <= sizeof(text); n++)
		for (size_t at = 0; at < n; at++) {
			memset(text, 'a', n);
			CHECK(str_is_utf8(str_of(text, n)));
			text[at] = (char)0xff;
			CHECK(!str_is_utf8(str_of(text, n)));
			if (at + 1 == n)
				continue;
			memcpy(text + at, "\xc3\xa4", 2);
			CHECK(str_is_utf8(str_of(text, n)));
		}
}
