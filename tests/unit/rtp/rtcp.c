/* RTCP compounds: written, walked, read back; broken ones refused. [RFC3550 6] */

#include "rtp/rtcp.h"

#include "test.h"

#include <string.h>

static void put_all(struct buf *b)
{
	struct rtcp_sr sr = {
		.ssrc = 1, .ntp = 0x83AA7E8080000000, .rtp_ts = 5, .packets = 6, .octets = 7};
	struct rtcp_block r[2] = {
		{.ssrc = 10,
		 .fraction = 128,
		 .lost = -3,
		 .ext_seq = 70000,
		 .jitter = 9,
		 .lsr = 11,
		 .dlsr = 12},
		{.ssrc = 20, .fraction = 1,       .lost = 0x7fffff},
	};
	rtcp_put_sr(b, &sr, r, 2);
	rtcp_put_sdes_cname(b, 1, STR("abc"));
	rtcp_put_rr(b, 1, r, 1);
	rtcp_put_bye(b, 1, STR("gone"));
	rtcp_put_bye(b, 2, STR_NONE);
}

TEST(compound_round_trip)
{
	struct buf b;
	struct rtcp_pkt p;
	struct rtcp_sr sr;
	struct rtcp_block r;
	struct str s;
	uint32_t ssrc;
	size_t at = 0;
	buf_init(&b);
	put_all(&b);
	CHECK_EQ(b.err, OK);
	CHECK_EQ(b.n % 4, 0);
	CHECK_EQ(rtcp_next(b.p, b.n, &at, &p), OK);
	CHECK(p.type == RTCP_SR && p.count == 2 && p.ssrc == 1);
	CHECK_EQ(rtcp_sr_parse(&p, &sr), OK);
	CHECK(sr.ssrc == 1 && sr.ntp == 0x83AA7E8080000000 && sr.rtp_ts == 5 && sr.packets == 6 &&
	      sr.octets == 7);
	CHECK_EQ(rtcp_block_parse(&p, 0, &r), OK);
	CHECK(r.ssrc == 10 && r.fraction == 128 && r.lost == -3 && r.ext_seq == 70000 &&
	      r.jitter == 9 && r.lsr == 11 && r.dlsr == 12);
	CHECK_EQ(rtcp_block_parse(&p, 1, &r), OK);
	CHECK(r.ssrc == 20 && r.lost == 0x7fffff);
	CHECK_EQ(rtcp_block_parse(&p, 2, &r), ERR_NOTFOUND);
	CHECK_EQ(rtcp_next(b.p, b.n, &at, &p), OK);
	CHECK_EQ(rtcp_sdes_find(&p, 1, RTCP_CNAME, &s), OK);
	CHECK_STR(s, "abc");
	CHECK_EQ(rtcp_sdes_find(&p, 1, RTCP_TOOL, &s), ERR_NOTFOUND);
	CHECK_EQ(rtcp_sdes_find(&p, 2, RTCP_CNAME, &s), ERR_NOTFOUND);
	CHECK_EQ(rtcp_sr_parse(&p, &sr), ERR_SYNTAX);
	CHECK_EQ(rtcp_next(b.p, b.n, &at, &p), OK);
	CHECK(p.type == RTCP_RR && p.count == 1);
	CHECK_EQ(rtcp_block_parse(&p, 0, &r), OK);
	CHECK_EQ(r.ssrc, 10);
	CHECK_EQ(rtcp_next(b.p, b.n, &at, &p), OK);
	CHECK_EQ(rtcp_bye_source(&p, 0, &ssrc), OK);
	CHECK_EQ(ssrc, 1);
	CHECK_EQ(rtcp_bye_source(&p, 1, &ssrc), ERR_NOTFOUND);
	CHECK_STR(rtcp_bye_reason(&p), "gone");
	CHECK_EQ(rtcp_next(b.p, b.n, &at, &p), OK);
	CHECK_STR(rtcp_bye_reason(&p), "");
	CHECK_EQ(rtcp_next(b.p, b.n, &at, &p), ERR_MORE);
	buf_fini(&b);
}

/* CNAMEs of every length end their chunk with one to four zero bytes on a word boundary. */
TEST(sdes_of_all_lengths)
{
	static const char name[300] = "a";
	for (size_t n = 0; n <= 300; n++) {
		char mem[400];
		struct buf b;
		struct rtcp_pkt p;
		struct str s;
		size_t at = 0;
		buf_init_fixed(&b, mem, sizeof(mem));
		rtcp_put_sdes_cname(&b, 7, str_of(name, n));
		CHECK_EQ(rtcp_next(b.p, b.n, &at, &p), OK);
		CHECK_EQ(at, b.n);
		CHECK_EQ(rtcp_sdes_find(&p, 7, RTCP_CNAME, &s), OK);
		CHECK_EQ(s.n, n > 255 ? 255 : n);
		CHECK_EQ(b.p[b.n - 1], 0);
	}
}

TEST(broken_compounds)
{
	static const uint8_t version[8] = {0x40, 200, 0, 1}, longer[8] = {0x80, 201, 0, 2},
			     pad[8] = {0xa0, 201, 0, 1, 0, 0, 0, 5},
			     pad0[8] = {0xa0, 201, 0, 1, 0, 0, 0, 0},
			     fine[8] = {0xa0, 201, 0, 1, 0, 0, 0, 4};
	struct rtcp_pkt p;
	struct rtcp_block r;
	struct str s;
	uint32_t ssrc;
	size_t at = 0;
	CHECK_EQ(rtcp_next(version, 8, &at, &p), ERR_SYNTAX);
	CHECK_EQ(rtcp_next(longer, 8, &at, &p), ERR_SYNTAX);
	CHECK_EQ(rtcp_next(pad, 8, &at, &p), ERR_SYNTAX);
	CHECK_EQ(rtcp_next(pad0, 8, &at, &p), ERR_SYNTAX);
	CHECK_EQ(rtcp_next(fine, 3, &at, &p), ERR_SYNTAX);
	CHECK_EQ(at, 0);
	CHECK_EQ(rtcp_next(fine, 8, &at, &p), OK);
	CHECK_EQ(p.body.n, 0);
	/* counts that promise more than there is */
	static const uint8_t rr[8] = {0x9f, 201, 0, 1}, sdes[8] = {0x9f, 202, 0, 1},
			     item[12] = {0x81, 202, 0, 2, 0, 0, 0, 0, 1, 9},
			     bye[8] = {0x9f, 203, 0, 1},
			     text[12] = {0x81, 203, 0, 2, 0, 0, 0, 1, 99, 'a', 'b', 'c'};
	at = 0;
	CHECK_EQ(rtcp_next(rr, 8, &at, &p), OK);
	CHECK_EQ(rtcp_block_parse(&p, 0, &r), ERR_SYNTAX);
	at = 0;
	CHECK_EQ(rtcp_next(sdes, 8, &at, &p), OK);
	CHECK_EQ(rtcp_sdes_find(&p, 1, RTCP_CNAME, &s), ERR_SYNTAX);
	at = 0;
	CHECK_EQ(rtcp_next(item, 12, &at, &p), OK);
	CHECK_EQ(rtcp_sdes_find(&p, 0, RTCP_CNAME, &s), ERR_SYNTAX);
	at = 0;
	CHECK_EQ(rtcp_next(bye, 8, &at, &p), OK);
	CHECK_EQ(rtcp_bye_source(&p, 1, &ssrc), ERR_SYNTAX);
	CHECK_STR(rtcp_bye_reason(&p), "");
	at = 0;
	CHECK_EQ(rtcp_next(text, 12, &at, &p), OK);
	CHECK_STR(rtcp_bye_reason(&p), "abc");
}

TEST(ntp_and_round_trip)
{
	CHECK_EQ(rtcp_ntp(0), 2208988800ull << 32);
	CHECK_EQ(rtcp_ntp(1'500'000), (2208988801ull << 32) + 0x80000000u);
	/* The example of RFC 3550 6.4.1, figure 2: 0xb710:8000 - 5.25 s - 0xb705:2000 = 6.125 s. */
	struct rtcp_block r = {.lsr = 0xb7052000, .dlsr = 0x00054000};
	CHECK_EQ(rtcp_round_trip_us(&r, 0xb44db7108000ull << 16), 6'125'000);
	r.lsr = 0;
	CHECK_EQ(rtcp_round_trip_us(&r, 0xb44db7108000ull << 16), 0);
	r.lsr = 0xb7108000; /* the peer's delay is longer than the trip */
	CHECK_EQ(rtcp_round_trip_us(&r, 0xb44db7108000ull << 16), 0);
}

TEST(too_many_blocks_are_cut)
{
	static const struct rtcp_block r[40];
	char mem[2000];
	struct buf b;
	struct rtcp_pkt p;
	size_t at = 0;
	buf_init_fixed(&b, mem, sizeof(mem));
	rtcp_put_rr(&b, 1, r, 40);
	CHECK_EQ(rtcp_next(b.p, b.n, &at, &p), OK);
	CHECK_EQ(p.count, 31);
	CHECK_EQ(at, b.n);
}
