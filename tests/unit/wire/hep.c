/* HEP packets: written and read back, the older versions, damaged ones. */
#include "wire/hep.h"

#include "test.h"

static struct addr at(const char *s)
{
	struct addr a = {0};
	CHECK(addr_parse(str_c(s), 0, &a));
	return a;
}

static struct wire_hep full(const char *from, const char *to)
{
	return (struct wire_hep){
		.version = 3,
		.ip_proto = 17,
		.type = WIRE_HEP_SIP,
		.from = at(from),
		.to = at(to),
		.at_us = 1'795'000'000'123'456,
		.agent = 2001,
		.vlan = 7,
		.key = STR("secret"),
		.correlation = STR("a@b"),
		.node = STR("edge-1"),
		.payload = STR("OPTIONS sip:a SIP/2.0\r\n\r\n"),
	};
}

static void check_alike(const struct wire_hep *a, const struct wire_hep *b)
{
	CHECK_EQ(a->version, b->version);
	CHECK_EQ(a->ip_proto, b->ip_proto);
	CHECK_EQ(a->type, b->type);
	CHECK_EQ(a->is_packed, b->is_packed);
	CHECK(addr_eq(&a->from, &b->from));
	CHECK(addr_eq(&a->to, &b->to));
	CHECK_EQ(a->at_us, b->at_us);
	CHECK_EQ(a->agent, b->agent);
	CHECK_EQ(a->vlan, b->vlan);
	CHECK_STR_EQ(a->key, b->key);
	CHECK_STR_EQ(a->correlation, b->correlation);
	CHECK_STR_EQ(a->node, b->node);
	CHECK_STR_EQ(a->payload, b->payload);
}

static void round_trip(const struct wire_hep *h)
{
	struct buf b;
	struct wire_hep got;
	size_t used;
	buf_init(&b);
	CHECK_EQ(wire_hep_put(&b, h), OK);
	CHECK(wire_hep_starts(b.p, b.n));
	for (size_t n = 0; n < b.n; n++)
		CHECK_EQ(wire_hep_parse(b.p, n, &got, &used), ERR_MORE);
	size_t len = b.n;
	buf_str(&b, STR("HEP3"));
	CHECK_EQ(b.err, OK);
	CHECK_EQ(wire_hep_parse(b.p, b.n, &got, &used), OK);
	CHECK_EQ(used, len);
	check_alike(&got, h);
	buf_fini(&b);
}

TEST(hep3_round_trip)
{
	struct wire_hep h = full("192.0.2.1:5060", "198.51.100.2:5080");
	round_trip(&h);
	h = full("[2001:db8::1]:5060", "[2001:db8::2]:5061");
	h.is_packed = true;
	h.ip_proto = 6;
	round_trip(&h);
	h.key = h.correlation = h.node = STR_NONE;
	h.vlan = 0;
	round_trip(&h);
}

/* A packet as an agent sends it, byte by byte: a vendor's chunk, an unknown one and one that is too
 * short for its type are passed over. */
TEST(hep3_chunks_that_are_passed_over)
{
	struct str p = STR("HEP3\0\x3d"
			   "\0\0\0\x02\0\x07\x11"
			   "\0\x07\0\x0b\0\x07\x63"
			   "\0\0\0\xee\0\x08xx"
			   "\0\0\0\x07\0\x07\x13"
			   "\0\0\0\x0b\0\x07\x01"
			   "\0\0\0\x03\0\x0a\xc0\0\x02\x01"
			   "\0\0\0\x0f\0\x09"
			   "abc");
	struct wire_hep h;
	size_t used;
	CHECK_EQ(wire_hep_parse(p.p, p.n, &h, &used), OK);
	CHECK_EQ(used, p.n);
	CHECK_EQ(h.ip_proto, 17);
	CHECK_EQ(h.type, WIRE_HEP_SIP);
	CHECK_EQ(h.from.port, 0);
	struct addr a = at("192.0.2.1");
	CHECK(addr_eq(&h.from, &a));
	CHECK_EQ(h.to.family, ADDR_NONE);
	CHECK_EQ(h.at_us, 0);
	CHECK_STR(h.payload, "abc");
}

TEST(hep3_damaged)
{
	struct wire_hep h;
	size_t used;
	CHECK_EQ(wire_hep_parse("HEP4", 4, &h, &used), ERR_SYNTAX);
	CHECK_EQ(wire_hep_parse("HEP3\0\5xxxxxx", 12, &h, &used), ERR_SYNTAX);
	/* a chunk of 5 bytes; one that goes beyond the packet; one whose head is cut */
	CHECK_EQ(wire_hep_parse("HEP3\0\x0c\0\0\0\1\0\5", 12, &h, &used), ERR_SYNTAX);
	CHECK_EQ(wire_hep_parse("HEP3\0\x0c\0\0\0\1\0\7", 12, &h, &used), ERR_SYNTAX);
	CHECK_EQ(wire_hep_parse("HEP3\0\x09\0\0\0", 9, &h, &used), ERR_SYNTAX);
	CHECK(!wire_hep_starts("HEP3\0\6", 6));
	CHECK(!wire_hep_starts("HEP", 3));
}

TEST(hep3_too_large)
{
	struct buf body, b;
	buf_init(&body);
	buf_init(&b);
	buf_fill(&body, 'x', 65'400);
	CHECK_EQ(body.err, OK);
	struct wire_hep h = full("192.0.2.1:5060", "198.51.100.2:5080");
	h.payload = buf_view(&body);
	CHECK_EQ(wire_hep_put(&b, &h), ERR_LIMIT);
	buf_fini(&b);
	buf_fini(&body);
}

TEST(hep_version_1)
{
	struct str v4 = STR("\1\x10\2\x11\x13\xc4\x13\xc5\xc0\0\2\1\xc0\0\2\2SIP/2.0 200 OK\r\n");
	struct wire_hep h;
	size_t used;
	CHECK(wire_hep_starts(v4.p, v4.n));
	CHECK_EQ(wire_hep_parse(v4.p, v4.n, &h, &used), OK);
	struct addr from = at("192.0.2.1:5060"), to = at("192.0.2.2:5061");
	CHECK(addr_eq(&h.from, &from));
	CHECK(addr_eq(&h.to, &to));
	CHECK_EQ(h.version, 1);
	CHECK_STR(h.payload, "SIP/2.0 200 OK\r\n");
	/* RTP of version 2 and DNS begin with other bytes; so does a payload that is no SIP */
	CHECK(!wire_hep_starts("\1\x10\2\x11\x13\xc4\x13\xc5\xc0\0\2\1\xc0\0\2\2\0", 17));
	CHECK(!wire_hep_starts("\1\x11\2\x11\x13\xc4\x13\xc5\xc0\0\2\1\xc0\0\2\2S", 17));
	CHECK_EQ(wire_hep_parse(v4.p, 16, &h, &used), ERR_SYNTAX);
}

TEST(hep_version_2)
{
	/* 1,700,000,000 s and 5 µs, agent 3, little-endian; IPv6 */
	struct str v6 =
		STR("\2\x34\x0a\6\x13\xc4\x13\xc5"
		    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2"
		    "\0\xf1\x53\x65\5\0\0\0\3\0\0\0"
		    "BYE sip:a SIP/2.0\r\n");
	struct wire_hep h;
	size_t used;
	CHECK(wire_hep_starts(v6.p, v6.n));
	CHECK_EQ(wire_hep_parse(v6.p, v6.n, &h, &used), OK);
	struct addr from = at("[2001:db8::1]:5060"), to = at("[2001:db8::2]:5061");
	CHECK(addr_eq(&h.from, &from));
	CHECK(addr_eq(&h.to, &to));
	CHECK_EQ(h.at_us, 1'700'000'000'000'005);
	CHECK_EQ(h.agent, 3);
	CHECK_EQ(h.ip_proto, 6);
	CHECK_STR(h.payload, "BYE sip:a SIP/2.0\r\n");
}
