/* WebSocket frames: an INVITE in, unmasked in place, and a response out. Budget: a fifth of an
 * index pass. */
#include "bench.h"
#include "wire/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE 1100

struct rig {
	struct wire_ws ws;
	struct buf frame, out;
	char body[MESSAGE];
};

static void die(const char *what)
{
	fprintf(stderr, "bench_wire: %s\n", what);
	exit(1);
}

static void frames_in(void *arg, uint64_t n)
{
	struct rig *r = arg;
	for (uint64_t i = 0; i < n; i++) {
		struct str body;
		size_t used;
		/* unmasked in place, so masked again by the same key the next time: always read */
		enum wire_ws_event ev =
			wire_ws_next(&r->ws, (uint8_t *)r->frame.p, r->frame.n, &used, &body);
		if (ev != WIRE_WS_MESSAGE || body.n != MESSAGE)
			die("no message");
		BENCH_KEEP(body.p[0]);
	}
}

static void frames_out(void *arg, uint64_t n)
{
	struct rig *r = arg;
	for (uint64_t i = 0; i < n; i++) {
		struct str body = str_of(r->body, MESSAGE);
		buf_clear(&r->out);
		wire_ws_put(&r->out, wire_ws_op_for(body), body, NULL);
		BENCH_KEEP(r->out.p[0]);
	}
}

void bench_main(void)
{
	static struct rig r;
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	memset(r.body, 'a', sizeof(r.body));
	buf_init(&r.frame);
	buf_init(&r.out);
	wire_ws_init(&r.ws, WIRE_WS_SERVER, 65536);
	wire_ws_put(&r.frame, WS_BINARY, str_of(r.body, MESSAGE), mask);
	if (r.frame.err)
		die("no memory");
	bench_run(&(struct bench){.name = "WebSocket frame in, 1.1 kB masked",
				  .fn = frames_in,
				  .arg = &r,
				  .budget_ns = 200});
	bench_run(&(struct bench){.name = "WebSocket frame out, 1.1 kB",
				  .fn = frames_out,
				  .arg = &r,
				  .budget_ns = 200});
	wire_ws_fini(&r.ws);
	buf_fini(&r.frame);
	buf_fini(&r.out);
}
