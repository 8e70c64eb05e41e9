/* SIP in TCP and WebSocket: split anywhere, out of order, twice, with gaps. */
#include "fixture.h"

#include <string.h>
#include <zlib.h>

#define A "192.0.2.1:4000"
#define B "192.0.2.2:5060"

static void begin(struct buf *cap)
{
	pcap_begin(cap, CAP_LINK_ETHERNET);
	rec_tcp(cap, 1, A, B, 999, 0, CAP_TCP_SYN, STR_NONE);
}

static void two_messages(struct buf *s)
{
	struct buf m;
	buf_init(&m);
	buf_str(s, small_request(&m, "MESSAGE", 1, "first body"));
	buf_str(s, STR("\r\n\r\n"));
	buf_str(s, small_request(&m, "MESSAGE", 2, ""));
	if (m.err)
		s->err = m.err;
	buf_fini(&m);
}

TEST(two_messages_in_a_segment)
{
	struct buf cap, s;
	buf_init(&cap);
	buf_init(&s);
	two_messages(&s);
	begin(&cap);
	rec_tcp(&cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, buf_view(&s));
	if (s.err)
		cap.err = s.err;
	buf_fini(&s);
	CHECK_CAPTURE(cap, "2 " A " > " B " MESSAGE 1\n2 " A " > " B " MESSAGE 2\n");
	buf_fini(&cap);
}

/* Each pair of cuts: three segments; the messages belong to the segment that completes them. */
TEST_NO_OOM(split_at_every_byte)
{
	struct buf s;
	buf_init(&s);
	two_messages(&s);
	size_t first = str_find(buf_view(&s), STR("first body")) + 10;
	for (size_t i = 1; i < s.n; i++) {
		struct buf cap;
		buf_init(&cap);
		begin(&cap);
		rec_tcp(&cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, str_sub(buf_view(&s), 0, i));
		rec_tcp(&cap, 3, A, B, 1'000 + (uint32_t)i, 0, CAP_TCP_ACK,
			str_skip(buf_view(&s), i));
		CHECK_CAPTURE(cap,
			      i < first ? "3 " A " > " B " MESSAGE 1\n3 " A " > " B " MESSAGE 2\n"
					: "2 " A " > " B " MESSAGE 1\n3 " A " > " B " MESSAGE 2\n");
		buf_fini(&cap);
	}
	buf_fini(&s);
}

TEST_NO_OOM(one_byte_per_segment)
{
	struct buf s, cap;
	buf_init(&s);
	buf_init(&cap);
	two_messages(&s);
	begin(&cap);
	for (size_t i = 0; i < s.n; i++)
		rec_tcp(&cap, 2 + i, A, B, 1'000 + (uint32_t)i, 0, CAP_TCP_ACK,
			str_sub(buf_view(&s), i, 1));
	struct buf out;
	buf_init(&out);
	digest(buf_view(&cap), &out, NULL);
	struct str rest, first = str_cut(buf_view(&out), '\n', &rest);
	CHECK(str_ends(first, STR("MESSAGE 1")));
	CHECK(str_ends(str_trim(rest), STR("MESSAGE 2")));
	buf_fini(&out);
	buf_fini(&cap);
	buf_fini(&s);
}

/* Five segments in every order of four of them, with overlaps and copies. */
TEST_NO_OOM(out_of_order_overlapping_and_twice)
{
	struct buf s;
	buf_init(&s);
	two_messages(&s);
	size_t cut[6] = {0, 50, 190, 300, 420, s.n};
	for (unsigned perm = 0; perm < 120; perm++) {
		unsigned order[5] = {0, 1, 2, 3, 4}, p = perm;
		for (unsigned i = 5; i > 1; i--) {
			unsigned k = p % i, t = order[i - 1];
			p /= i;
			order[i - 1] = order[k];
			order[k] = t;
		}
		struct buf cap, out;
		buf_init(&cap);
		buf_init(&out);
		begin(&cap);
		for (unsigned i = 0; i < 5; i++) {
			unsigned k = order[i];
			size_t from = k ? cut[k] - 7 : 0; /* seven bytes of the one before, too */
			rec_tcp(&cap, 2 + i, A, B, 1'000 + (uint32_t)from, 0, CAP_TCP_ACK,
				str_sub(buf_view(&s), from, cut[k + 1] - from));
			if (i % 2)
				rec_tcp(&cap, 2 + i, A, B, 1'000 + (uint32_t)from, 0, CAP_TCP_ACK,
					str_sub(buf_view(&s), from, cut[k + 1] - from));
		}
		digest(buf_view(&cap), &out, NULL);
		struct str rest, line = str_cut(buf_view(&out), '\n', &rest);
		CHECK(str_ends(line, STR("MESSAGE 1")));
		CHECK(str_ends(str_trim(rest), STR("MESSAGE 2")));
		CHECK_EQ(str_chr(str_trim(rest), '\n'), SIZE_MAX);
		buf_fini(&cap);
		buf_fini(&out);
	}
	buf_fini(&s);
}

TEST_NO_OOM(sequence_numbers_wrap)
{
	struct buf s, cap;
	buf_init(&s);
	buf_init(&cap);
	two_messages(&s);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	rec_tcp(&cap, 1, A, B, 0xffffffc0, 0, CAP_TCP_SYN, STR_NONE);
	rec_tcp(&cap, 2, A, B, 0xffffffc1 + 100, 0, CAP_TCP_ACK, str_skip(buf_view(&s), 100));
	rec_tcp(&cap, 3, A, B, 0xffffffc1, 0, CAP_TCP_ACK, str_sub(buf_view(&s), 0, 100));
	CHECK_CAPTURE(cap, "3 " A " > " B " MESSAGE 1\n3 " A " > " B " MESSAGE 2\n");
	buf_fini(&cap);
	buf_fini(&s);
}

TEST_NO_OOM(begun_in_mid_stream)
{
	struct buf s, m, cap;
	buf_init(&s);
	buf_init(&m);
	buf_init(&cap);
	two_messages(&s);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	/* the tail of a message is nothing; what begins at a segment's start is read */
	rec_tcp(&cap, 1, A, B, 5'000, 0, CAP_TCP_ACK,
		STR("half a header\r\nContent-Length: 0\r\n\r\n"));
	rec_tcp(&cap, 2, A, B, 5'036, 0, CAP_TCP_ACK, small_request(&m, "BYE", 9, ""));
	CHECK_CAPTURE(cap, "2 " A " > " B " BYE 9\n");
	buf_fini(&cap);
	buf_fini(&m);
	buf_fini(&s);
}

/* A segment that the sniffer lost. */
static void with_gap(struct buf *cap, bool is_acked)
{
	struct buf m;
	buf_init(&m);
	begin(cap);
	struct str first = small_request(&m, "MESSAGE", 1, "");
	uint32_t n1 = (uint32_t)first.n;
	rec_tcp(cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, str_sub(first, 0, 40));
	rec_tcp(cap, 3, A, B, 1'000 + n1, 0, CAP_TCP_ACK, small_request(&m, "MESSAGE", 2, ""));
	uint32_t end = 1'000 + n1 + (uint32_t)m.n;
	if (is_acked) {
		rec_tcp(cap, 4, B, A, 1, end, CAP_TCP_ACK, STR_NONE);
		rec_tcp(cap, 500'000, B, A, 1, end, CAP_TCP_ACK, STR_NONE);
	}
	rec_tcp(cap, 600'000, A, B, end, 0, CAP_TCP_ACK, small_request(&m, "MESSAGE", 3, ""));
	buf_fini(&m);
}

TEST_NO_OOM(a_lost_segment_costs_its_message_only)
{
	struct buf cap;
	buf_init(&cap);
	with_gap(&cap, true);
	CHECK_CAPTURE(cap, "3 " A " > " B " MESSAGE 2\n6 " A " > " B " MESSAGE 3\n");
	buf_clear(&cap);
	with_gap(&cap, false); /* nobody acknowledged: found at the end of the capture */
	CHECK_CAPTURE(cap, "3 " A " > " B " MESSAGE 2\n4 " A " > " B " MESSAGE 3\n");
	buf_fini(&cap);
}

TEST_NO_OOM(other_protocols_on_the_port)
{
	struct buf cap, m;
	buf_init(&cap);
	buf_init(&m);
	begin(&cap);
	rec_tcp(&cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	rec_tcp(&cap, 3, A, B, 1'027, 0, CAP_TCP_ACK, STR("\x16\x03\x01\x02\0binary"));
	rec_tcp(&cap, 4, A, B, 1'038, 0, CAP_TCP_ACK, small_request(&m, "BYE", 9, ""));
	CHECK_CAPTURE(cap, ""); /* after a TLS record there is nothing to read */
	buf_fini(&cap);
	buf_fini(&m);
}

TEST_NO_OOM(a_new_connection_on_the_same_ports)
{
	struct buf cap, m;
	buf_init(&cap);
	buf_init(&m);
	begin(&cap);
	rec_tcp(&cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, small_request(&m, "MESSAGE", 1, ""));
	rec_tcp(&cap, 3, A, B, 0x50000000, 0, CAP_TCP_SYN, STR_NONE);
	rec_tcp(&cap, 4, A, B, 0x50000001, 0, CAP_TCP_ACK, small_request(&m, "MESSAGE", 2, ""));
	rec_tcp(&cap, 5, A, B, 0x90000001, 0, CAP_TCP_RST, STR_NONE);
	rec_tcp(&cap, 6, A, B, 0x70000001, 0, CAP_TCP_ACK, small_request(&m, "MESSAGE", 3, ""));
	CHECK_CAPTURE(cap, "2 " A " > " B " MESSAGE 1\n4 " A " > " B " MESSAGE 2\n"
			   "6 " A " > " B " MESSAGE 3\n");
	buf_fini(&cap);
	buf_fini(&m);
}

TEST_NO_OOM(a_wrong_content_length_loses_no_more_than_its_message)
{
	struct buf cap, m;
	buf_init(&cap);
	buf_init(&m);
	begin(&cap);
	struct str bad = STR("OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nCall-ID: x\r\n"
			     "From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCSeq: 1 OPTIONS\r\n"
			     "Content-Length: many\r\n\r\n");
	rec_tcp(&cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, bad);
	rec_tcp(&cap, 3, A, B, 1'000 + (uint32_t)bad.n, 0, CAP_TCP_ACK,
		small_request(&m, "MESSAGE", 2, ""));
	struct buf out;
	buf_init(&out);
	digest(buf_view(&cap), &out, NULL);
	CHECK(str_ends(buf_view(&out), STR("3 " A " > " B " MESSAGE 2\n")));
	buf_fini(&out);
	buf_fini(&cap);
	buf_fini(&m);
}

/* --- WebSocket -------------------------------------------------------------------------------- */

static void ws_frame(struct buf *s, unsigned first, bool is_masked, struct str payload)
{
	static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
	buf_chr(s, (char)first);
	if (payload.n < 126) {
		buf_chr(s, (char)((is_masked ? 0x80 : 0) | payload.n));
	} else {
		buf_chr(s, (char)((is_masked ? 0x80 : 0) | 126));
		put_be16(s, (unsigned)payload.n);
	}
	if (is_masked)
		buf_put(s, mask, 4);
	for (size_t i = 0; i < payload.n; i++)
		buf_chr(s, is_masked ? (char)(payload.p[i] ^ mask[i & 3]) : payload.p[i]);
}

/* permessage-deflate, with those before it as its history. [RFC7692 7.2.1] */
static void ws_deflated(struct buf *s, z_stream *z, struct str text)
{
	uint8_t packed[1'000];
	z->next_in = (z_const Bytef *)text.p;
	z->avail_in = (uInt)text.n;
	z->next_out = packed;
	z->avail_out = sizeof packed;
	CHECK_EQ(deflate(z, Z_SYNC_FLUSH), Z_OK);
	ws_frame(s, 0xc1, true, str_of((char *)packed, sizeof packed - z->avail_out - 4));
}

static void ws_stream(struct buf *s, bool has_handshake)
{
	struct buf m;
	z_stream z = {0};
	buf_init(&m);
	CHECK_EQ(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	if (has_handshake)
		buf_str(s, STR("GET /sip HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n"
			       "Sec-WebSocket-Protocol: sip\r\n\r\n"));
	ws_frame(s, 0x81, true, small_request(&m, "MESSAGE", 1, "one"));
	ws_frame(s, 0x89, true, STR("ping"));
	struct str whole = small_request(&m, "MESSAGE", 2, "in two pieces");
	ws_frame(s, 0x01, true, str_sub(whole, 0, 33));
	ws_frame(s, 0x8a, true, STR_NONE);
	ws_frame(s, 0x80, true, str_skip(whole, 33));
	ws_frame(s, 0x82, false, small_request(&m, "MESSAGE", 3, ""));
	ws_deflated(s, &z, small_request(&m, "MESSAGE", 4, "deflated"));
	ws_deflated(s, &z, small_request(&m, "MESSAGE", 5, "deflated"));
	deflateEnd(&z);
	buf_fini(&m);
}

TEST_NO_OOM(websocket_split_at_every_byte)
{
	struct buf s;
	buf_init(&s);
	ws_stream(&s, true);
	for (size_t i = 1; i < s.n; i++) {
		struct buf cap, out;
		buf_init(&cap);
		buf_init(&out);
		begin(&cap);
		rec_tcp(&cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, str_sub(buf_view(&s), 0, i));
		rec_tcp(&cap, 3, A, B, 1'000 + (uint32_t)i, 0, CAP_TCP_ACK,
			str_skip(buf_view(&s), i));
		digest(buf_view(&cap), &out, NULL);
		struct str rest = buf_view(&out);
		CHECK(str_ends(str_cut(rest, '\n', &rest), STR("MESSAGE 1")));
		CHECK(str_ends(str_cut(rest, '\n', &rest), STR("MESSAGE 2")));
		CHECK(str_ends(str_cut(rest, '\n', &rest), STR("MESSAGE 3")));
		CHECK(str_ends(str_cut(rest, '\n', &rest), STR("MESSAGE 4")));
		CHECK(str_ends(str_cut(rest, '\n', &rest), STR("MESSAGE 5")));
		CHECK_EQ(rest.n, 0);
		buf_fini(&cap);
		buf_fini(&out);
	}
	buf_fini(&s);
}

TEST_NO_OOM(websocket_without_its_handshake)
{
	struct buf s, cap;
	buf_init(&s);
	buf_init(&cap);
	ws_stream(&s, false);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	rec_tcp(&cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, buf_view(&s));
	CHECK_CAPTURE(cap, "1 " A " > " B " MESSAGE 1\n1 " A " > " B " MESSAGE 2\n"
			   "1 " A " > " B " MESSAGE 3\n1 " A " > " B " MESSAGE 4\n"
			   "1 " A " > " B " MESSAGE 5\n");
	buf_fini(&cap);
	buf_fini(&s);
}

/* Of the shortest frames those are known that say "SIP/". */
TEST_NO_OOM(websocket_of_few_bytes)
{
	struct buf s, cap;
	buf_init(&s);
	buf_init(&cap);
	ws_frame(&s, 0x81, false, STR("SIP/ 1\r\n\r\n"));
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	rec_tcp(&cap, 2, A, B, 1'000, 0, CAP_TCP_ACK, buf_view(&s));
	CHECK_CAPTURE(cap, "1 " A " > " B " 0 0\n");
	buf_fini(&cap);
	buf_fini(&s);
}

TEST(stream_without_memory)
{
	struct buf s, cap;
	buf_init(&s);
	buf_init(&cap);
	ws_stream(&s, true);
	begin(&cap);
	rec_tcp(&cap, 2, A, B, 1'100, 0, CAP_TCP_ACK, str_skip(buf_view(&s), 100));
	rec_tcp(&cap, 3, A, B, 1'000, 0, CAP_TCP_ACK, str_sub(buf_view(&s), 0, 100));
	if (s.err)
		cap.err = s.err;
	buf_fini(&s);
	CHECK_CAPTURE(cap, "3 " A " > " B " MESSAGE 1\n3 " A " > " B " MESSAGE 2\n"
			   "3 " A " > " B " MESSAGE 3\n3 " A " > " B " MESSAGE 4\n"
			   "3 " A " > " B " MESSAGE 5\n");
	buf_fini(&cap);
}
