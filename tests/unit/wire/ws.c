/* WebSocket: frames in every split, both roles, what must be refused; the opening handshake with
 * the example of RFC 6455 1.3. [RFC6455 4 5] [RFC7118 3] */

#include "wire/ws.h"

#include "base/assert.h"
#include "test.h"
#include "wire/ws_http.h"

#include <string.h>

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* Feeds bytes cut at `cut`, and writes what comes: M<text> P<text> C<status> s E<status>. */
static void run(enum wire_ws_role role, struct str bytes, size_t cut, struct buf *out)
{
	static uint8_t mem[4096];
	struct wire_ws w;
	size_t at = 0;
	CHECK(bytes.n <= sizeof(mem));
	if (bytes.n)
		memcpy(mem, bytes.p, bytes.n);
	wire_ws_init(&w, role, 1000);
	for (size_t have = cut;; have = bytes.n) {
		enum wire_ws_event ev;
		size_t used;
		struct str body;
		while ((ev = wire_ws_next(&w, mem + at, have - at, &used, &body)) != WIRE_WS_MORE) {
			if (ev == WIRE_WS_MESSAGE)
				buf_fmt(out, "M" STR_FMT " ", STR_ARG(body));
			else if (ev == WIRE_WS_PING)
				buf_fmt(out, "P" STR_FMT " ", STR_ARG(body));
			else if (ev == WIRE_WS_CLOSE)
				buf_fmt(out, "C%u ", w.status);
			else if (ev == WIRE_WS_SKIP)
				buf_str(out, STR("s "));
			else
				buf_fmt(out, "E%u", w.status);
			if (ev == WIRE_WS_ERROR) {
				wire_ws_fini(&w);
				return;
			}
			at += used;
		}
		if (have == bytes.n)
			break;
	}
	wire_ws_fini(&w);
	if (at < bytes.n)
		buf_fmt(out, "+%zu", bytes.n - at);
}

static void expect(enum wire_ws_role role, struct str bytes, const char *want)
{
	for (size_t cut = 0; cut <= bytes.n; cut++) {
		struct buf out;
		buf_init(&out);
		run(role, bytes, cut, &out);
		bool is_same = !out.err && str_eq(str_trim(buf_view(&out)), str_c(want));
		if (!is_same)
			CHECK_STR_EQ(buf_view(&out), str_c(want));
		buf_fini(&out);
	}
}

#define BYTES(lit) str_of(lit, sizeof(lit) - 1)

/* The examples of [RFC6455 5.7]. */
TEST(ws_frames_of_the_rfc)
{
	expect(WIRE_WS_CLIENT, BYTES("\x81\x05Hello"), "MHello");
	expect(WIRE_WS_SERVER, BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "MHello");
	expect(WIRE_WS_CLIENT, BYTES("\x01\x03Hel\x80\x02lo"), "s MHello");
	expect(WIRE_WS_CLIENT, BYTES("\x01\x03Hel\x89\x02hi\x80\x02lo\x82\x01z"),
	       "s Phi MHello Mz");
	expect(WIRE_WS_SERVER, BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "s");
	expect(WIRE_WS_CLIENT, BYTES("\x88\x02\x03\xe8"), "C1000");
	expect(WIRE_WS_CLIENT, BYTES("\x88\x00"), "C0");
	expect(WIRE_WS_CLIENT, BYTES("\x81\x05Hell"), "+6");
}

TEST(ws_refuses)
{
	expect(WIRE_WS_SERVER, BYTES("\x81\x05Hello"), "E1002");                /* no mask */
	expect(WIRE_WS_CLIENT, BYTES("\x81\x81\x37\xfa\x21\x3d\x7f"), "E1002"); /* mask */
	expect(WIRE_WS_CLIENT, BYTES("\xc1\x01x"), "E1002");                    /* an extension */
	expect(WIRE_WS_CLIENT, BYTES("\xa1\x01x"), "E1002");
	expect(WIRE_WS_CLIENT, BYTES("\x83\x01x"), "E1002");
	expect(WIRE_WS_CLIENT, BYTES("\x8b\x01x"), "E1002");
	expect(WIRE_WS_CLIENT, BYTES("\x80\x01x"), "E1002");            /* goes on with nothing */
	expect(WIRE_WS_CLIENT, BYTES("\x01\x01x\x81\x01y"), "s E1002"); /* begins twice */
	expect(WIRE_WS_CLIENT, BYTES("\x09\x01x"), "E1002");            /* half a ping */
	expect(WIRE_WS_CLIENT, BYTES("\x89\x7e\x01\x00"), "E1002");     /* a long one */
	expect(WIRE_WS_CLIENT, BYTES("\x88\x01x"), "E1002");            /* half a status */
	expect(WIRE_WS_CLIENT, BYTES("\x81\x02\xc3\x28"), "E1007");     /* no UTF-8 */
	expect(WIRE_WS_CLIENT, BYTES("\x82\x02\xc3\x28"), "M\xc3\x28"); /* need not be */
	expect(WIRE_WS_CLIENT, BYTES("\x82\x7e\x03\xe9"), "E1009");     /* 1,001 bytes */
	expect(WIRE_WS_CLIENT, BYTES("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), "E1009");
}

TEST(ws_joined_message_is_bounded)
{
	struct buf b;
	char part[600];
	buf_init(&b);
	memset(part, 'x', sizeof(part));
	buf_str(&b, BYTES("\x01\x7e\x02\x58"));
	buf_put(&b, part, 600);
	buf_str(&b, BYTES("\x80\x7e\x02\x58"));
	buf_put(&b, part, 600);
	CHECK(!b.err);
	expect(WIRE_WS_CLIENT, buf_view(&b), "s E1009");
	buf_fini(&b);
}

/* A bystander reads both sides. */
TEST(ws_bystander)
{
	expect(WIRE_WS_BYSTANDER, BYTES("\x81\x05Hello"), "MHello");
	expect(WIRE_WS_BYSTANDER, BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "MHello");
}

#define HELLO "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"

/* The examples of [RFC7692 7.2.3], and what cannot be read. */
TEST(ws_bystander_inflates)
{
	static const struct {
		struct str bytes;
		const char *want;
	} rows[] = {
		{STR_INIT(HELLO),							  "MHello"         },
		{STR_INIT("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"),                 "s MHello"       },
		{STR_INIT(HELLO "\xc1\x05\xf2\x00\x11\x00\x00"),                           "MHello MHello"  },
		{STR_INIT("\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),         "MHello"         },
		{STR_INIT("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),                     "MHello"         },
		{STR_INIT("\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
		 "MHello"										   },
		{STR_INIT("\x81\x01x" HELLO "\x81\x01y"),                                  "Mx MHello My"   },
		{STR_INIT("\xc1\x87\x37\xfa\x21\x3d\xc5\xb2\xec\xf4\xfe\xfd\x21"),         "MHello"         },
 /* the history is not there; what is damaged ends it */
		{STR_INIT("\xc1\x05\xf2\x00\x11\x00\x00\x81\x01y"),                        "s My"           },
		{STR_INIT(HELLO "\xc1\x01\xff" HELLO),                                     "MHello s MHello"},
		{STR_INIT(HELLO "\xc1\x01\xff\xc1\x05\xf2\x00\x11\x00\x00"),               "MHello s s"     },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(WIRE_WS_BYSTANDER, rows[i].bytes, rows[i].want);
}

/* 1,100 letters in 12 bytes: more than a message may have. */
TEST(ws_inflated_message_is_bounded)
{
	expect(WIRE_WS_BYSTANDER,
	       BYTES("\xc1\x0c\x4a\x4c\x1c\x05\xa3\x60\x14\x8c\x02\xca\x01\x00\x81\x01y"), "s My");
}

TEST(ws_gap_ends_the_history)
{
	char bytes[] = HELLO "\xc1\x05\xf2\x00\x11\x00\x00";
	uint8_t *p = (uint8_t *)bytes;
	size_t n = sizeof bytes - 1, used;
	struct wire_ws w;
	struct str body;
	wire_ws_init(&w, WIRE_WS_BYSTANDER, 1000);
	enum wire_ws_event first = wire_ws_next(&w, p, n, &used, &body);
	bool is_hello = str_eq(body, STR("Hello"));
	size_t held = wire_ws_bytes(&w);
	wire_ws_gap(&w);
	enum wire_ws_event second = wire_ws_next(&w, p + used, n - used, &used, &body);
	wire_ws_fini(&w);
	CHECK(first == WIRE_WS_MESSAGE && is_hello && held >= INFLATE_BYTES);
	CHECK_EQ(second, WIRE_WS_SKIP);
}

TEST(ws_what_is_written_is_read)
{
	static const size_t sizes[] = {0, 1, 125, 126, 127, 999};
	char text[1000];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int masked = 0; masked < 2; masked++) {
			struct buf b, out, want;
			buf_init(&b);
			buf_init(&out);
			buf_init(&want);
			wire_ws_put(&b, WS_TEXT, str_of(text, sizes[i]), masked ? mask : NULL);
			wire_ws_put_close(&b, 1001, masked ? mask : NULL);
			buf_fmt(&want, "M%.*s C1001 ", (int)sizes[i], text);
			run(masked ? WIRE_WS_SERVER : WIRE_WS_CLIENT, buf_view(&b), 0, &out);
			bool is_ok = !b.err && !want.err && str_eq(buf_view(&out), buf_view(&want));
			buf_fini(&b);
			buf_fini(&out);
			buf_fini(&want);
			CHECK(is_ok);
		}
	}
	CHECK_EQ(wire_ws_op_for(STR("Gr\xc3\xbc\xc3\x9f")), WS_TEXT);
	CHECK_EQ(wire_ws_op_for(STR("\xff\xfe")), WS_BINARY);
}

/* --- handshake ------------------------------------------------------------------------------ */

#define LINES                                                                                      \
	"Host: server.example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"    \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"            \
	"Sec-WebSocket-Version: 13\r\n"
#define ASK "GET /chat HTTP/1.1\r\n" LINES "Sec-WebSocket-Protocol: other, SIP\r\n\r\n"

TEST(ws_opening_of_the_rfc)
{
	struct wire_ws_ask ask;
	size_t used;
	struct buf b;
	struct str all = STR(ASK "rest");
	for (size_t n = 0; n < sizeof(ASK) - 1; n++)
		CHECK_EQ(wire_ws_ask_read(str_sub(all, 0, n), &ask, &used), ERR_MORE);
	CHECK_EQ(wire_ws_ask_read(all, &ask, &used), OK);
	CHECK_EQ(used, sizeof(ASK) - 1);
	CHECK_EQ(ask.status, 101);
	CHECK_STR(ask.path, "/chat");
	CHECK_STR(ask.origin, "http://example.com");
	CHECK_STR(ask.host, "server.example.com");
	buf_init(&b);
	wire_ws_put_answer(&b, &ask);
	bool is_right =
		str_find(buf_view(&b), STR("Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) != SIZE_MAX;
	enum err e = wire_ws_answer_read(buf_view(&b), "dGhlIHNhbXBsZSBub25jZQ==", &used);
	size_t n = b.n;
	enum err other = wire_ws_answer_read(buf_view(&b), "xGhlIHNhbXBsZSBub25jZQ==", &used);
	enum err more = wire_ws_answer_read(str_sub(buf_view(&b), 0, n - 1),
					    "dGhlIHNhbXBsZSBub25jZQ==", &used);
	buf_fini(&b);
	CHECK(is_right);
	CHECK_EQ(e, OK);
	CHECK(used == n);
	CHECK_EQ(other, ERR_SYNTAX);
	CHECK_EQ(more, ERR_MORE);
}

TEST(ws_opening_refused)
{
	static const struct {
		struct str text;
		unsigned status;
	} rows[] = {
		{STR_INIT("GET / HTTP/1.1\r\n" LINES "\r\n"),                                      400 /* not for SIP */},
		{STR_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),                                    426                  },
		{STR_INIT("GET / HTTP/1.1\r\n\r\n"),                                               400                  },
		{STR_INIT("POST / HTTP/1.1\r\n" LINES "Sec-WebSocket-Protocol: sip\r\n\r\n"),      405                  },
		{STR_INIT("GET / SIP/2.0\r\n" LINES "Sec-WebSocket-Protocol: sip\r\n\r\n"),        400                  },
		{STR_INIT("GET / HTTP/1.1\r\n" LINES
			  " folded\r\nSec-WebSocket-Protocol: sip\r\n\r\n"),
		 400												    },
		{STR_INIT("GET / HTTP/1.1\r\n" LINES "Sec-WebSocket-Protocol: sip\r\n"
			  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
		 400												    },
		{STR_INIT("\r\n\r\n"),							     400                  },
	};
	static char large[WIRE_WS_HTTP_MAX];
	struct wire_ws_ask ask;
	size_t used;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b;
		CHECK_EQ(wire_ws_ask_read(rows[i].text, &ask, &used), OK);
		CHECK_EQ(ask.status, rows[i].status);
		buf_init(&b);
		wire_ws_put_answer(&b, &ask);
		bool is_ok = !b.err &&
			     wire_ws_answer_read(buf_view(&b), "dGhlIHNhbXBsZSBub25jZQ==", &used) ==
				     ERR_SYNTAX;
		buf_fini(&b);
		CHECK(is_ok);
	}
	memset(large, 'x', sizeof(large));
	CHECK_EQ(wire_ws_ask_read(str_of(large, sizeof(large)), &ask, &used), OK);
	CHECK_EQ(ask.status, 431);
}

TEST(ws_opening_between_our_own)
{
	uint8_t random[16] = {1, 2, 3};
	char key[WIRE_WS_KEY];
	struct wire_ws_ask ask;
	size_t used;
	struct buf b;
	wire_ws_make_key(random, key);
	buf_init(&b);
	wire_ws_put_ask(&b, STR("example.com:8088"), key);
	enum err e = b.err ? b.err : wire_ws_ask_read(buf_view(&b), &ask, &used);
	bool is_ok = e == OK && ask.status == 101 && used == b.n;
	buf_fini(&b);
	CHECK(is_ok);
}

/* [RFC6455 5.3]: byte i by byte i mod 4 of the mask, at every length and place in memory. */
TEST(ws_masks_of_every_length)
{
	static const uint8_t mask[4] = {1, 2, 4, 8};
	char body[40];
	memset(body, 'x', sizeof(body));
	for (size_t n = 0; n <= sizeof(body); n++) {
		struct buf b;
		buf_init(&b);
		wire_ws_put(&b, WS_BINARY, str_of(body, n), mask);
		if (b.err == OK) {
			CHECK_EQ(b.n, 6 + n);
			for (size_t i = 0; i < n; i++)
				CHECK_EQ(b.p[6 + i], 'x' ^ mask[i & 3]);
		}
		buf_fini(&b);
	}
}
