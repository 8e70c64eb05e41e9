/* Framing: every unit in one piece, in every split, and byte by byte must come out alike.
 * [RFC3261 18.3] [RFC5626 3.5.1] */

#include "wire/frame.h"

#include "base/buf.h"
#include "test.h"

#include <string.h>

#define OPTIONS "OPTIONS sip:a@example.com SIP/2.0\r\n"

/* Feeds text in pieces of `step` bytes and writes what came: M<n> message, P ping, O pong, s skip,
 * E<error>. */
static void run(struct wire_frame *f, struct str text, size_t step, struct buf *out)
{
	size_t start = 0, have = 0;
	while (have < text.n) {
		have = have + step > text.n ? text.n : have + step;
		for (;;) {
			size_t len;
			enum wire_event ev = wire_frame_next(f, text.p + start, have - start, &len);
			CHECK(len <= have - start);
			if (ev == WIRE_MORE)
				break;
			if (ev == WIRE_ERROR) {
				buf_fmt(out, "E%u/%zu", f->error, f->head_n);
				CHECK_EQ(wire_frame_next(f, "OPTIONS", 7, &len), WIRE_ERROR);
				return;
			}
			if (ev == WIRE_MESSAGE)
				buf_fmt(out, "M%zu/%zu ", f->head_n, len);
			else
				buf_chr(out, ev == WIRE_PING ? 'P' : ev == WIRE_PONG ? 'O' : 's');
			CHECK(len > 0);
			start += len;
		}
	}
	buf_fmt(out, "+%zu", text.n - start);
}

static void expect(struct str text, const char *want)
{
	for (size_t step = 1; step <= text.n; step++) {
		char mem[400];
		struct buf out;
		struct wire_frame f;
		buf_init_fixed(&out, mem, sizeof(mem));
		wire_frame_init(&f, 400);
		run(&f, text, step, &out);
		CHECK_EQ(out.err, OK);
		CHECK_STR_EQ(buf_view(&out), str_c(want));
	}
}

TEST(message_without_body)
{
	expect(STR(OPTIONS "Content-Length: 0\r\n\r\n"), "M56/56 +0");
	expect(STR(OPTIONS "Max-Forwards: 70\r\n\r\n"), "M55/55 +0");
}

TEST(messages_follow_each_other)
{
	expect(STR(OPTIONS "l: 4\r\n\r\nabcd" OPTIONS "\r\n"
			   "SIP/2.0 200 OK\r\nL : 1\r\n\r\nx"),
	       "M43/47 M37/37 M25/26 +0");
}

TEST(body_is_awaited)
{
	expect(STR(OPTIONS "content-LENGTH :5\r\n\r\nabcd"), "+60");
	struct wire_frame f;
	size_t len;
	struct str s = STR(OPTIONS "l:5\r\n\r\nab");
	wire_frame_init(&f, 1000);
	CHECK_EQ(wire_frame_next(&f, s.p, 20, &len), WIRE_MORE);
	CHECK_EQ(f.want, 0);
	CHECK_EQ(wire_frame_next(&f, s.p, s.n, &len), WIRE_MORE);
	CHECK_EQ(f.want, s.n + 3);
	CHECK(f.has_length);
}

TEST(folded_length)
{
	expect(STR(OPTIONS "Content-Length:\r\n \t3 \r\n\r\nabc"), "M60/63 +0");
	expect(STR(OPTIONS "l: 3\r\n \r\nA: b\r\n\r\nabc"), "M52/55 +0");
	expect(STR(OPTIONS "l: 3\r\n 4\r\nA: b\r\n\r\nabc"), "E2/53"); /* "3 4" is no number */
	/* a line that looks like the header but continues another one */
	expect(STR(OPTIONS "Subject: x\r\n l: 3\r\n\r\nabc\r\n"), "M56/56 E1/0");
}

TEST(lengths_look_alike)
{
	expect(STR(OPTIONS "Content-Length-X: 3\r\nlx: 3\r\nContent-Lengt: 3\r\n\r\n"),
	       "M83/83 +0");
}

TEST(bare_lf)
{
	expect(STR("OPTIONS sip:a SIP/2.0\nl: 2\n\nab\nOPTIONS sip:a SIP/2.0\n\r\n"),
	       "M28/30 sM24/24 +0");
}

TEST(lengths_that_cannot_be_read)
{
	expect(STR(OPTIONS "Content-Length: -5\r\n\r\n"), "E2/57");
	expect(STR(OPTIONS "Content-Length:\r\nA: b\r\n\r\n"), "E2/60");
	expect(STR(OPTIONS "Content-Length: 5 5\r\nA: b\r\n\r\n"), "E2/64");
	expect(STR(OPTIONS "Content-Length: 0x5\r\n\r\n"), "E2/58");
	expect(STR(OPTIONS "l: 5\r\nContent-Length: 6\r\n\r\n"), "E2/62");
	expect(STR(OPTIONS "l: 2\r\nContent-Length: 02\r\n\r\nab"), "M63/65 +0");
}

TEST(too_large)
{
	expect(STR(OPTIONS "l: 365\r\n\r\n"), "E4/45");
	expect(STR(OPTIONS "l: 355\r\n\r\n"), "+45");
	expect(STR(OPTIONS "l: 99999999999999999999999999\r\n\r\n"), "E4/68");
}

TEST(head_limit)
{
	struct buf b;
	buf_init(&b);
	buf_str(&b, STR(OPTIONS "S: "));
	buf_fill(&b, 'x', 70000);
	struct str s = buf_view(&b);
	struct wire_frame f;
	size_t len, n = 0;
	enum wire_event ev = WIRE_MORE;
	CHECK_EQ(b.err, OK);
	wire_frame_init(&f, 1 << 20);
	while (ev == WIRE_MORE && n < s.n)
		ev = wire_frame_next(&f, s.p, ++n, &len);
	CHECK_EQ(ev, WIRE_ERROR);
	CHECK_EQ(f.error, WIRE_HEAD_LIMIT);
	CHECK_EQ(n, 65536);
	buf_fini(&b);
}

TEST(garbage)
{
	expect(STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "E1/0");
	expect(STR("\x16\x03\x01\x02\x01"), "E1/0");
	expect(STR(OPTIONS "\r\n\xff\xfe"), "M37/37 E1/0");
	expect(STR(" OPTIONS sip:a SIP/2.0\r\n"), "E1/0");
	expect(STR("\rOPTIONS sip:a SIP/2.0\r\n"), "E1/0");
	expect(STR("hello\r\n"), "E1/0");
}

/* What stays incomplete at the end is not judged. */
TEST(pings)
{
	struct wire_frame f;
	char mem[100];
	struct buf out;
	struct {
		const char *text;
		uint8_t due;
		size_t step;
		const char *want;
	} t[] = {
		{"\r\n\r\n",				  0, 4,  "P+0"        },
		{"\r\n\r\n",				  0, 2,  "sP+0"       },
		{"\r\n\r\n",				  0, 1,  "sP+0"       },
		{"\r\n\r\n",				  0, 3,  "sP+0"       },
		{"\r\n\r\n\r\n\r\n",                          0, 8,  "PP+0"       },
		{"\r\n",				      1, 2,  "O+0"        },
		{"\r\n",				      1, 1,  "O+0"        },
		{"\r\n\r\n",				  1, 4,  "Os+0"       },
		{"\r\n\r\n",				  2, 4,  "OO+0"       },
		{"\r\n\r\n\r\n\r\n",                          2, 8,  "OOP+0"      },
		{"\r",					0, 1,  "+1"         },
		{"\r\nOPTIONS sip:a SIP/2.0\r\n\r\n\r\n\r\n", 0, 99, "sM25/25 P+0"},
		{"\r\nOPTIONS sip:a SIP/2.0\r\n\r\n\r\n",     0, 99, "sM25/25 s+0"},
		{"\n\r\n\n\r\n\r\n",                          0, 99, "sssP+0"     },
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		buf_init_fixed(&out, mem, sizeof(mem));
		wire_frame_init(&f, 1000);
		f.pongs_due = t[i].due;
		run(&f, str_c(t[i].text), t[i].step, &out);
		CHECK_STR_EQ(buf_view(&out), str_c(t[i].want));
		CHECK_EQ(f.pongs_due, 0);
	}
}

TEST(errors_have_texts)
{
	for (int e = WIRE_OK; e <= WIRE_TOO_LARGE; e++)
		CHECK(strlen(wire_error_text((enum wire_error)e)) > 5);
}
