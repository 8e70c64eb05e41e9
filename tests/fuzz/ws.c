/* WebSocket: however the bytes are cut, the same messages come out, in all three roles; and the
 * opening handshake, of both sides, looks at nothing beyond its bytes. */

#include "wire/ws.h"
#include "base/assert.h"
#include "base/hash.h"
#include "wire/ws_http.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 2000

struct sum { /* of all that came */
	uint64_t hash;
	size_t n, at;
	unsigned status;
};

static const uint8_t key[16] = {1};

static struct sum read_all(enum wire_ws_role role, const uint8_t *data, size_t n, size_t piece)
{
	struct sum s = {0};
	struct wire_ws w;
	uint8_t *p = malloc(n + 1);
	ASSERT(p);
	memcpy(p, data, n);
	wire_ws_init(&w, role, MAX_MESSAGE);
	for (size_t have = piece < n ? piece : n;; have = have + piece < n ? have + piece : n) {
		enum wire_ws_event ev;
		size_t used;
		struct str body;
		while ((ev = wire_ws_next(&w, p + s.at, have - s.at, &used, &body)) !=
			       WIRE_WS_MORE &&
		       ev != WIRE_WS_ERROR) {
			ASSERT(used >= 2 && used <= have - s.at);
			ASSERT(body.n <= MAX_MESSAGE);
			s.hash = s.hash * 31 + (uint64_t)ev + siphash(key, body.p, body.n);
			s.at += used;
			s.n++;
		}
		s.status = ev == WIRE_WS_ERROR ? w.status : 0;
		ASSERT(w.joined.n <= MAX_MESSAGE);
		if (have == n || s.status)
			break;
	}
	wire_ws_fini(&w);
	free(p);
	return s;
}

static void read_http(struct str bytes)
{
	struct wire_ws_ask ask;
	size_t used = 0;
	if (wire_ws_ask_read(bytes, &ask, &used) == OK) {
		struct buf b;
		size_t n = 0;
		ASSERT(used <= bytes.n);
		buf_init(&b);
		wire_ws_put_answer(&b, &ask);
		char k[WIRE_WS_KEY] = {0};
		if (ask.key.n == WIRE_WS_KEY)
			memcpy(k, ask.key.p, WIRE_WS_KEY);
		bool is_taken = wire_ws_answer_read(buf_view(&b), k, &n) == OK;
		ASSERT(b.err || is_taken == (ask.status == 101));
		buf_fini(&b);
	}
	if (wire_ws_answer_read(bytes, "dGhlIHNhbXBsZSBub25jZQ==", &used) == OK)
		ASSERT(used <= bytes.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum wire_ws_role roles[] = {WIRE_WS_SERVER, WIRE_WS_CLIENT,
						  WIRE_WS_BYSTANDER};
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		struct sum a = read_all(roles[i], data, size, size ? size : 1),
			   b = read_all(roles[i], data, size, 1);
		ASSERT(a.hash == b.hash && a.n == b.n && a.at == b.at && a.status == b.status);
	}
	read_http(str_of((const char *)data, size));
	return 0;
}
