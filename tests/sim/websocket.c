/* What browsers are like: a peer of text over WebSocket [RFC6455] [RFC7118]. */
#include "scene.h"

#define WS_PORT 80

static int open_websocket(struct raw *r)
{
	int sock = raw_connect_to(r, WS_PORT);
	raw_say(r, sock,
		"GET / HTTP/1.1\nHost: h\nConnection: Upgrade\nUpgrade: websocket\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n"
		"Sec-WebSocket-Protocol: sip\n\n");
	CHECK(raw_has(raw_get(r, "HTTP/1.1 101", 1), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	return sock;
}

/* One message as one frame, masked with zeros; "\n" stands for CRLF. */
static void say(struct raw *r, int sock, const char *text)
{
	char mem[2048];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_put(&b, "\x81\xfe\0\0\0\0\0\0", 8);
	for (; *text; text++)
		buf_str(&b, *text == '\n' ? STR("\r\n") : str_of(text, 1));
	CHECK_EQ(b.err, OK);
	mem[2] = (char)((b.n - 8) >> 8);
	mem[3] = (char)(b.n - 8);
	raw_bytes(r, sock, buf_view(&b));
}

/* JsSIP and SIP.js look at the last challenge only, and know MD5 alone. (docs/adr/003) */
TEST_NO_OOM(one_challenge_for_browsers)
{
	struct scene *t = scene_new();
	int sock = open_websocket(t->a);
	say(t->a, sock,
	    "REGISTER sip:" STAGE_SERVER " SIP/2.0\n"
	    "Via: SIP/2.0/WS x.invalid;branch=z9hG4bK1\nMax-Forwards: 69\n"
	    "To: <sip:1001@" STAGE_SERVER ">\nFrom: <sip:1001@" STAGE_SERVER ">;tag=a\n"
	    "Call-ID: ws\nCSeq: 1 REGISTER\nContact: <sip:a@x.invalid;transport=ws>\n"
	    "Content-Length: 0\n\n");
	struct raw_msg *m =
		raw_get(t->a, "\x81", 1); /* a frame, of a length that is not its point */
	CHECK(raw_has(m, "SIP/2.0 401 "));
	CHECK_EQ(raw_count(m, "WWW-Authenticate"), 1);
	CHECK(raw_has(m, "algorithm=MD5"));
	scene_free(t);
}
