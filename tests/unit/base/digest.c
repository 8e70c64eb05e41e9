/* Digests against published vectors; base64 both ways. [RFC1321 A.5] [RFC7616 3.9] [RFC4648 10] */
#include "base/digest.h"
#include "base/buf.h"
#include "test.h"

#include <string.h>

static void digest(enum md_alg alg, struct str in, struct str want, int line)
{
	char out[2 * MD_MAX], hex[2 * MD_MAX];
	uint8_t raw[MD_MAX];
	struct buf b;
	test_str(__FILE__, line, "hex", md_hex_joined(alg, &in, 1, out), want);
	md_raw(alg, in, raw);
	buf_init_fixed(&b, hex, sizeof(hex));
	buf_hex(&b, raw, md_size(alg));
	test_str(__FILE__, line, "raw", buf_view(&b), want);
}

TEST(digest_vectors)
{
	digest(MD_MD5, STR_NONE, STR("d41d8cd98f00b204e9800998ecf8427e"), __LINE__);
	digest(MD_MD5, STR("message digest"), STR("f96b697d7cb7938d525a2f31aaf161d0"), __LINE__);
	digest(MD_SHA256, STR("abc"),
	       STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), __LINE__);
	digest(MD_SHA512_256, STR("abc"),
	       STR("53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"), __LINE__);
	digest(MD_SHA512_256, STR_NONE,
	       STR("c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"), __LINE__);
	CHECK_EQ(test_allocs(), 0);
}

/* [RFC7616 3.9.1]: the response for Mufasa, both algorithms. */
TEST(digest_rfc7616_example)
{
	static const struct {
		enum md_alg alg;
		struct str want;
	} rows[] = {
		{MD_MD5,    STR_INIT("8ca523f5e9506fed4657c9700eebdbec")                     },
		{MD_SHA256,
		 STR_INIT("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")},
	};
	for (int i = 0; i < 2; i++) {
		char h1[2 * MD_MAX], h2[2 * MD_MAX], out[2 * MD_MAX];
		struct str a1[] = {STR("Mufasa"), STR("http-auth@example.org"),
				   STR("Circle of Life")};
		struct str a2[] = {STR("GET"), STR("/dir/index.html")};
		struct str all[] = {md_hex_joined(rows[i].alg, a1, 3, h1),
				    STR("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
				    STR("00000001"),
				    STR("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
				    STR("auth"),
				    md_hex_joined(rows[i].alg, a2, 2, h2)};
		CHECK_STR_EQ(md_hex_joined(rows[i].alg, all, 6, out), rows[i].want);
	}
	CHECK_EQ(test_allocs(), 0);
}

TEST(digest_of_parts_of_any_length)
{
	char whole[1200], h1[2 * MD_MAX], h2[2 * MD_MAX];
	for (size_t i = 0; i < sizeof(whole); i++)
		whole[i] = (char)('a' + i % 25);
	for (size_t n = 0; n < 600; n += 7) { /* two parts, and the same with its ':' written out */
		struct str parts[] = {str_of(whole, n), str_of(whole + n + 1, 599 - n)};
		whole[n] = ':';
		struct str all = str_of(whole, 600);
		for (unsigned alg = 0; alg < MD__N; alg++)
			CHECK_STR_EQ(md_hex_joined(alg, parts, 2, h1),
				     md_hex_joined(alg, &all, 1, h2));
		whole[n] = (char)('a' + n % 25);
	}
}

TEST(digest_equal)
{
	CHECK(md_equal(STR("abc"), STR("abc")) && !md_equal(STR("abc"), STR("abd")));
	CHECK(!md_equal(STR("abc"), STR("ab")) && md_equal(STR_NONE, STR_NONE));
}

TEST(base64_both_ways)
{
	static const struct str rows[][2] = {
		{STR_INIT(""),           STR_INIT("")        },
		{STR_INIT("f"),          STR_INIT("Zg==")    },
		{STR_INIT("fo"),         STR_INIT("Zm8=")    },
		{STR_INIT("foo"),        STR_INIT("Zm9v")    },
		{STR_INIT("foob"),       STR_INIT("Zm9vYg==")},
		{STR_INIT("fooba"),      STR_INIT("Zm9vYmE=")},
		{STR_INIT("foobar"),     STR_INIT("Zm9vYmFy")},
		{STR_INIT("\xfb\xff\0"), STR_INIT("+/8A")    },
	};
	char mem[32];
	struct buf b;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_init_fixed(&b, mem, sizeof(mem));
		b64_put(&b, rows[i][0].p, rows[i][0].n);
		CHECK_STR_EQ(buf_view(&b), rows[i][1]);
		buf_init_fixed(&b, mem, sizeof(mem));
		CHECK(b64_get(&b, rows[i][1]));
		CHECK_STR_EQ(buf_view(&b), rows[i][0]);
	}
	char bytes[200], text[400], again[200];
	for (size_t n = 0; n < sizeof(bytes); n++) {
		struct buf t;
		bytes[n] = (char)(n * 37 + 200);
		buf_init_fixed(&t, text, sizeof(text));
		b64_put(&t, bytes, n + 1);
		buf_init_fixed(&b, again, sizeof(again));
		CHECK(b64_get(&b, buf_view(&t)));
		CHECK_STR_EQ(buf_view(&b), str_of(bytes, n + 1));
	}
	static const struct str bad[] = {STR_INIT("Zg="),      STR_INIT("Zg"),    STR_INIT("Z==="),
					 STR_INIT("===="),     STR_INIT("Zh=="),  STR_INIT("Zm 9v"),
					 STR_INIT("Zg==Zg=="), STR_INIT("Zm9v\n")};
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_chr(&b, 'x');
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(!b64_get(&b, bad[i]));
		CHECK_STR(buf_view(&b), "x");
	}
	buf_init_fixed(&b, mem, 2);
	CHECK(!b64_get(&b, STR("Zm9v"))); /* no room */
}
