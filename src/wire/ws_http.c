/* The opening handshake. Only what RFC 6455 asks for is looked at: method, version, Upgrade,
 * Connection, key, version 13, and that the client offers "sip" [RFC7118 3.1]. Any path will do.
 * Where a request came from (Origin) is told, not judged: SIP's digest, not a cookie, says who it
 * is, so another site's page gains nothing by connecting from a visitor's browser.
 *
 * A header line is "Name: value"; folding is obsolete in HTTP and refused. Lists (Connection,
 * Sec-WebSocket-Protocol) may be spread over several lines.
 */
#include "wire/ws_http.h"

#include "base/digest.h"

#include <openssl/sha.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct head {
	struct str host, origin, key, accept;
	bool is_upgrade, is_connection, is_sip, is_13, is_broken;
	unsigned n_keys;
};

static bool list_has(struct str list, struct str word)
{
	while (list.n) {
		if (str_ieq(str_trim(str_cut(list, ',', &list)), word))
			return true;
	}
	return false;
}

static void read_line(struct str line, struct head *h)
{
	struct str value = STR_NONE, name = str_cut(line, ':', &value);
	if (!name.n || name.n == line.n || name.p[0] == ' ' || name.p[0] == '\t') {
		h->is_broken = true;
		return;
	}
	value = str_trim(value);
	if (str_ieq(name, STR("Host"))) {
		h->host = value;
	} else if (str_ieq(name, STR("Origin"))) {
		h->origin = value;
	} else if (str_ieq(name, STR("Upgrade"))) {
		h->is_upgrade |= list_has(value, STR("websocket"));
	} else if (str_ieq(name, STR("Connection"))) {
		h->is_connection |= list_has(value, STR("Upgrade"));
	} else if (str_ieq(name, STR("Sec-WebSocket-Key"))) {
		h->key = value;
		h->n_keys++;
	} else if (str_ieq(name, STR("Sec-WebSocket-Version"))) {
		h->is_13 |= list_has(value, STR("13"));
	} else if (str_ieq(name, STR("Sec-WebSocket-Protocol"))) {
		h->is_sip |= list_has(value, STR("sip"));
	} else if (str_ieq(name, STR("Sec-WebSocket-Accept"))) {
		h->accept = value;
	}
}

/* The first line and the headers; ERR_MORE when the empty line is missing. */
static enum err read_head(struct str bytes, struct str *first, struct head *h, size_t *used)
{
	size_t end = str_find(bytes, STR("\r\n\r\n"));
	*h = (struct head){0};
	if (end == SIZE_MAX)
		return ERR_MORE;
	*used = end + 4;
	struct str rest = str_sub(bytes, 0, end + 2);
	size_t eol = str_find(rest, STR("\r\n"));
	*first = str_sub(rest, 0, eol);
	for (rest = str_skip(rest, eol + 2); rest.n; rest = str_skip(rest, eol + 2)) {
		eol = str_find(rest, STR("\r\n"));
		read_line(str_sub(rest, 0, eol), h);
	}
	return OK;
}

/* --- server --------------------------------------------------------------------------------- */

static bool is_key(struct str key)
{
	char mem[18];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	return key.n == WIRE_WS_KEY && b64_get(&b, key) && b.n == 16;
}

static unsigned judge(struct str method, struct str version, const struct head *h)
{
	if (h->is_broken || !str_starts(version, STR("HTTP/1.")) || !h->host.n)
		return 400;
	if (!str_eq(method, STR("GET")))
		return 405;
	if (!h->is_upgrade || !h->is_connection || !h->is_13)
		return 426;
	return h->n_keys == 1 && is_key(h->key) && h->is_sip ? 101 : 400;
}

enum err wire_ws_ask_read(struct str bytes, struct wire_ws_ask *out, size_t *used)
{
	struct str line;
	struct head h;
	*out = (struct wire_ws_ask){0};
	if (read_head(bytes, &line, &h, used) != OK) {
		if (bytes.n < WIRE_WS_HTTP_MAX)
			return ERR_MORE;
		*used = bytes.n;
		out->status = 431;
		return OK;
	}
	struct str method = str_cut(line, ' ', &line), path = str_cut(line, ' ', &line);
	*out = (struct wire_ws_ask){.path = path,
				    .host = h.host,
				    .origin = h.origin,
				    .key = h.key,
				    .status = judge(method, line, &h)};
	return OK;
}

static void put_accept(struct buf *b, struct str key)
{
	char text[WIRE_WS_KEY + sizeof(GUID)];
	unsigned char sum[SHA_DIGEST_LENGTH];
	struct buf joined;
	buf_init_fixed(&joined, text, sizeof(text));
	buf_str(&joined, key);
	buf_str(&joined, STR(GUID));
	SHA1((const unsigned char *)text, joined.n, sum);
	b64_put(b, sum, sizeof(sum));
}

void wire_ws_put_answer(struct buf *b, const struct wire_ws_ask *ask)
{
	if (ask->status != 101) {
		const char *text = ask->status == 405   ? "Method Not Allowed"
				   : ask->status == 426 ? "Upgrade Required"
				   : ask->status == 431 ? "Request Header Fields Too Large"
							: "Bad Request";
		buf_fmt(b,
			"HTTP/1.1 %u %s\r\n%s%sSec-WebSocket-Version: 13\r\nConnection: close\r\n"
			"Content-Type: text/plain\r\nContent-Length: 42\r\n\r\n"
			"This is SIP over WebSocket, protocol sip.\n",
			ask->status, text, ask->status == 426 ? "Upgrade: websocket\r\n" : "",
			ask->status == 405 ? "Allow: GET\r\n" : "");
		return;
	}
	buf_str(b, STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		       "Connection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n"
		       "Sec-WebSocket-Accept: "));
	put_accept(b, ask->key);
	buf_str(b, STR("\r\n\r\n"));
}

/* --- client --------------------------------------------------------------------------------- */

void wire_ws_make_key(const uint8_t random[16], char key[WIRE_WS_KEY])
{
	struct buf b;
	buf_init_fixed(&b, key, WIRE_WS_KEY);
	b64_put(&b, random, 16);
}

void wire_ws_put_ask(struct buf *b, struct str host, const char key[WIRE_WS_KEY])
{
	buf_fmt(b,
		"GET / HTTP/1.1\r\nHost: " STR_FMT "\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Key: %.*s\r\n"
		"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n",
		STR_ARG(host), WIRE_WS_KEY, key);
}

enum err wire_ws_answer_read(struct str bytes, const char key[WIRE_WS_KEY], size_t *used)
{
	char mem[32];
	struct buf want;
	struct str line;
	struct head h;
	if (read_head(bytes, &line, &h, used) != OK)
		return bytes.n < WIRE_WS_HTTP_MAX ? ERR_MORE : ERR_SYNTAX;
	buf_init_fixed(&want, mem, sizeof(mem));
	put_accept(&want, str_of(key, WIRE_WS_KEY));
	bool is_ok = str_starts(line, STR("HTTP/1.1 101")) && !h.is_broken && h.is_upgrade &&
		     h.is_connection && h.is_sip && str_eq(h.accept, buf_view(&want));
	return is_ok ? OK : ERR_SYNTAX;
}
