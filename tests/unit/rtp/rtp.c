/* RTP headers, telephone events, demultiplexing. [RFC3550 5.1] [RFC4733 2.3] [RFC7983 7] */

#include "rtp/rtp.h"

#include "test.h"

#include <string.h>

TEST(header_round_trip)
{
	uint8_t p[RTP_HDR_MIN + 3];
	struct rtp_hdr h;
	rtp_put(p, 101, true, 65535, 0xdeadbeef, 0x01020304);
	memcpy(p + RTP_HDR_MIN, "abc", 3);
	CHECK_EQ(rtp_parse(p, sizeof(p), &h), OK);
	CHECK(h.has_marker && h.pt == 101 && h.seq == 65535);
	CHECK_EQ(h.ts, 0xdeadbeef);
	CHECK_EQ(h.ssrc, 0x01020304);
	CHECK(h.ext.p == NULL && h.n_csrc == 0 && h.n_pad == 0);
	CHECK_STR(h.payload, "abc");
	CHECK_EQ(test_allocs(), 0);
}

TEST(header_with_everything)
{
	uint8_t p[] = {0xb2, 0x08, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, /* P X CC=2 */
		       1,    1,    1, 1, 2, 2, 2, 2,             /* CSRC */
		       0xbe, 0xde, 0, 1, 9, 9, 9, 9,             /* extension */
		       'h',  'i',  0, 0, 3};
	struct rtp_hdr h;
	CHECK_EQ(rtp_parse(p, sizeof(p), &h), OK);
	CHECK(!h.has_marker && h.pt == 8 && h.n_csrc == 2 && h.n_pad == 3);
	CHECK_EQ(h.ext_profile, 0xbede);
	CHECK_EQ(h.ext.n, 4);
	CHECK_STR(h.payload, "hi");
	/* every cut is refused or, where padding happens to fit, still in bounds */
	for (size_t n = 0; n < sizeof(p); n++)
		if (rtp_parse(p, n, &h) == OK)
			CHECK(h.payload.p + h.payload.n + h.n_pad == (char *)p + n);
}

TEST(header_refused)
{
	uint8_t p[16] = {0x80};
	struct rtp_hdr h;
	CHECK_EQ(rtp_parse(p, 11, &h), ERR_SYNTAX);
	p[0] = 0x40;
	CHECK_EQ(rtp_parse(p, 16, &h), ERR_SYNTAX);
	p[0] = 0x82; /* two CSRC do not fit */
	CHECK_EQ(rtp_parse(p, 16, &h), ERR_SYNTAX);
	p[0] = 0x90; /* extension of 0 words fits, of 1 does not */
	CHECK_EQ(rtp_parse(p, 16, &h), OK);
	p[15] = 1;
	CHECK_EQ(rtp_parse(p, 16, &h), ERR_SYNTAX);
	p[0] = 0xa0;
	p[15] = 0; /* padding of 0, of 5 */
	CHECK_EQ(rtp_parse(p, 16, &h), ERR_SYNTAX);
	p[15] = 5;
	CHECK_EQ(rtp_parse(p, 16, &h), ERR_SYNTAX);
	p[15] = 4;
	CHECK_EQ(rtp_parse(p, 16, &h), OK);
	CHECK_EQ(h.payload.n, 0);
	CHECK_EQ(rtp_parse(p, 12, &h), ERR_SYNTAX);
}

TEST(telephone_event)
{
	uint8_t p[RTP_EVENT_SIZE];
	struct rtp_event ev = {.event = 11, .is_end = true, .volume = 10, .duration = 1280}, got;
	rtp_event_put(p, &ev);
	CHECK_EQ(memcmp(p, "\x0b\x8a\x05\x00", 4), 0);
	CHECK_EQ(rtp_event_parse(str_of((char *)p, 4), &got), OK);
	CHECK(got.event == 11 && got.is_end && got.volume == 10 && got.duration == 1280);
	CHECK_EQ(rtp_event_parse(str_of((char *)p, 3), &got), ERR_SYNTAX);
	struct str all = STR("0123456789*#ABCD!");
	for (size_t i = 0; i < all.n; i++) {
		CHECK_EQ(rtp_event_digit((uint8_t)i), all.p[i]);
		CHECK_EQ(rtp_event_of_digit(all.p[i]), i);
	}
	CHECK_EQ(rtp_event_of_digit('b'), 13);
	CHECK_EQ(rtp_event_of_digit('x'), -1);
	CHECK_EQ(rtp_event_of_digit(0), -1);
	CHECK_EQ(rtp_event_digit(17), 0);
	CHECK_EQ(rtp_event_digit(255), 0);
}

static enum rtp_kind kind(int b0, int b1, size_t n)
{
	uint8_t p[64] = {(uint8_t)b0, (uint8_t)b1};
	return rtp_demux(p, n);
}

TEST(demultiplex)
{
	static const uint8_t stun[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
	static const uint8_t zrtp[12] = {0x10, 0, 0, 1, 'Z', 'R', 'T', 'P'};
	CHECK_EQ(rtp_demux(stun, 20), RTP_STUN);
	CHECK_EQ(rtp_demux(stun, 19), RTP_UNKNOWN);
	CHECK_EQ(rtp_demux(zrtp, 12), RTP_ZRTP);
	CHECK_EQ(kind(0, 1, 64), RTP_UNKNOWN); /* no cookie */
	CHECK_EQ(kind(20, 254, 13), RTP_DTLS);
	CHECK_EQ(kind(63, 0, 13), RTP_DTLS);
	CHECK_EQ(kind(64, 0, 4), RTP_TURN);
	CHECK_EQ(kind(79, 0, 4), RTP_TURN);
	CHECK_EQ(kind(80, 0, 64), RTP_UNKNOWN);
	CHECK_EQ(kind(127, 0, 64), RTP_UNKNOWN);
	CHECK_EQ(kind(192, 0, 64), RTP_UNKNOWN);
	CHECK_EQ(kind(128, 0, 12), RTP_RTP);
	CHECK_EQ(kind(191, 0, 12), RTP_RTP);
	CHECK_EQ(kind(128, 0, 11), RTP_UNKNOWN);
	CHECK_EQ(kind(128, 191, 12), RTP_RTP); /* marker, payload type 63 */
	CHECK_EQ(kind(128, 192, 8), RTP_RTCP);
	CHECK_EQ(kind(128, 223, 8), RTP_RTCP);
	CHECK_EQ(kind(128, 224, 12), RTP_RTP); /* marker, payload type 96 */
	CHECK_EQ(kind(129, 200, 7), RTP_UNKNOWN);
	CHECK_EQ(kind(128, 203, 4), RTP_RTCP); /* an empty BYE is all of 4 bytes */
	CHECK_EQ(kind(128, 203, 3), RTP_UNKNOWN);
	CHECK_EQ(rtp_demux(NULL, 0), RTP_UNKNOWN);
}

TEST(the_usual_kind_as_any_other)
{
	for (int b0 = 0; b0 < 256; b0++)
		for (int b1 = 0; b1 < 256; b1++)
			for (size_t n = 0; n <= 20; n++) {
				uint8_t p[20] = {(uint8_t)b0, (uint8_t)b1};
				CHECK_EQ(rtp_demux(p, n), rtp_demux_any(p, n));
			}
}
