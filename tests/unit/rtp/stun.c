/* STUN against the test vectors of RFC 5769, and our own messages. [RFC8489] */

#include "rtp/stun.h"

#include "rtp/rtp.h"
#include "test.h"

#include <string.h>

#define TXID "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"

static const char request[] =
	"\x00\x01\x00\x58\x21\x12\xa4\x42" TXID "\x80\x22\x00\x10STUN test client"
	"\x00\x24\x00\x04\x6e\x00\x01\xff"
	"\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36"
	"\x00\x06\x00\x09\x65vtj:h6vY   "
	"\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5"
	"\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2"
	"\x80\x28\x00\x04\xe5\x7a\x3b\xcf";
static const char response4[] =
	"\x01\x01\x00\x3c\x21\x12\xa4\x42" TXID "\x80\x22\x00\x0btest vector "
	"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43"
	"\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9"
	"\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7"
	"\x80\x28\x00\x04\xc0\x7d\x4c\x96";
static const char response6[] =
	"\x01\x01\x00\x48\x21\x12\xa4\x42" TXID "\x80\x22\x00\x0btest vector "
	"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79"
	"\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9"
	"\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c"
	"\x82\x92\xc2\x75\xbf\xe3\xed\x41"
	"\x80\x28\x00\x04\xc8\xfb\x0b\x4c";

TEST(vectors_of_rfc5769)
{
	struct stun_msg m;
	char text[ADDR_TEXT_MAX];
	CHECK_EQ(stun_parse(request, sizeof(request) - 1, &m), OK);
	CHECK(m.cls == STUN_REQUEST && m.method == STUN_BINDING);
	CHECK_EQ(memcmp(m.txid, TXID, 12), 0);
	CHECK_STR(m.software, "STUN test client");
	CHECK_STR(m.username, "evtj:h6vY");
	CHECK_EQ(m.priority, 0x6e0001ff);
	CHECK(m.has_integrity && m.has_fingerprint && m.mapped.family == ADDR_NONE);
	CHECK_EQ(stun_parse(response4, sizeof(response4) - 1, &m), OK);
	CHECK(m.cls == STUN_SUCCESS && m.method == STUN_BINDING);
	CHECK_STR_EQ(str_c(addr_text(&m.mapped, text)), str_c("192.0.2.1:32853"));
	CHECK_EQ(stun_parse(response6, sizeof(response6) - 1, &m), OK);
	CHECK_STR_EQ(str_c(addr_text(&m.mapped, text)),
		     str_c("[2001:db8:1234:5678:11:2233:4455:6677]:32853"));
	CHECK_EQ(rtp_demux(request, sizeof(request) - 1), RTP_STUN);
}

TEST(fingerprint_must_be_right)
{
	struct stun_msg m;
	char copy[sizeof(request)];
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		memcpy(copy, request, sizeof(copy));
		copy[i] ^= 4;
		enum err e = stun_parse(copy, sizeof(request) - 1, &m);
		/* a FINGERPRINT that is none any more (type or length hit) cannot be wrong */
		CHECK(e == ERR_SYNTAX || !m.has_fingerprint);
	}
}

TEST(cut_anywhere)
{
	struct stun_msg m;
	for (size_t n = 0; n < sizeof(request) - 1; n++)
		CHECK_EQ(stun_parse(request, n, &m), ERR_SYNTAX);
}

static void round_trip(const char *addr, struct str software)
{
	char mem[300];
	struct buf b;
	struct addr a;
	struct stun_msg m;
	CHECK(addr_parse(str_c(addr), 0, &a));
	buf_init_fixed(&b, mem, sizeof(mem));
	stun_put_response(&b, (const uint8_t *)TXID, &a, software);
	CHECK_EQ(b.err, OK);
	CHECK_EQ(stun_parse(b.p, b.n, &m), OK);
	CHECK(m.cls == STUN_SUCCESS && m.has_fingerprint);
	CHECK(addr_eq(&m.mapped, &a));
	CHECK_STR_EQ(m.software, str_sub(software, 0, 127));
	buf_clear(&b);
	stun_put_request(&b, (const uint8_t *)TXID, software);
	CHECK_EQ(stun_parse(b.p, b.n, &m), OK);
	CHECK(m.cls == STUN_REQUEST && m.method == STUN_BINDING && m.has_fingerprint);
}

TEST(own_messages)
{
	static const char longer[200] = "a";
	round_trip("203.0.113.9:65535", STR("rung"));
	round_trip("[2001:db8::1]:1", STR_NONE);
	round_trip("[2001:db8::1]:1", str_of(longer, 200));
	CHECK_EQ(test_allocs(), 0);
}

TEST(buffer_too_small)
{
	char mem[44];
	struct buf b;
	struct addr a = {.family = ADDR_V4};
	for (size_t n = 0; n < sizeof(mem); n++) {
		buf_init_fixed(&b, mem, n);
		stun_put_response(&b, (const uint8_t *)TXID, &a, STR("ab"));
		CHECK_EQ(b.err, ERR_LIMIT);
	}
}

TEST(errors_and_old_addresses)
{
	static const char error[] =
		"\x01\x11\x00\x14\x21\x12\xa4\x42" TXID "\x00\x09\x00\x04\x00\x00\x04\x01"
		"\x00\x01\x00\x08\x00\x01\x13\xc4\xc0\x00\x02\x07";
	struct stun_msg m;
	char text[ADDR_TEXT_MAX];
	CHECK_EQ(stun_parse(error, sizeof(error) - 1, &m), OK);
	CHECK_EQ(m.cls, STUN_ERROR);
	CHECK_EQ(m.error, 401);
	CHECK_STR_EQ(str_c(addr_text(&m.mapped, text)), str_c("192.0.2.7:5060"));
	static const char bad[] =
		"\x01\x01\x00\x08\x21\x12\xa4\x42" TXID "\x00\x20\x00\x04\x00\x02\x13\xc4";
	CHECK_EQ(stun_parse(bad, sizeof(bad) - 1, &m), ERR_SYNTAX);
	static const char ind[] = "\x00\x11\x00\x00\x21\x12\xa4\x42" TXID;
	CHECK_EQ(stun_parse(ind, sizeof(ind) - 1, &m), OK);
	CHECK_EQ(m.cls, STUN_INDICATION);
}
