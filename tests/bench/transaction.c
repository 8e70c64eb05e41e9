/* Transactions in user space: what matching, a machine step and timers cost beside parsing and
 * sending. One received message is indexed once; its branch is patched in place for each
 * repetition, so that every one is a new transaction in tables of their steady size. tp_send ends
 * in an environment without a world, and is part of the figures (its own is shown first). Budget:
 * DESIGN 11, match + machine step + timers. */
#include "transaction/transaction.h"
#include "bench.h"
#include "null_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rig {
	struct env *env;
	struct ev_loop loop;
	struct block_cache blocks;
	struct tp *tp;
	struct tsx_mgr *m;
	struct addr us, peer;
	struct tp_rx *options, *invite, *ack, *response;
	struct str ok, busy;
	uint64_t serial;
	tsx_id ct;
	char *branch; /* of the request sent last, inside `response` */
};

static void die(const char *what)
{
	fprintf(stderr, "bench_transaction: %s\n", what);
	exit(1);
}

/* --- users ------------------------------------------------------------------------------------ */

static void on_request(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct rig *r = ctx;
	bool is_invite = rx->msg->method == SIP_INVITE;
	if (tsx_respond(r->m, st, is_invite ? 486 : 200, is_invite ? r->busy : r->ok) != OK)
		die("no response");
}
static void ignore_rx(void *ctx, struct tp_rx *rx)
{
}
static void ignore_cancel(void *ctx, tsx_id st, struct tp_rx *rx)
{
}
static void ignore_end(void *ctx, tsx_id st, void *owner, enum tsx_end why)
{
}
static enum err compose(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out)
{
	buf_str(out, STR("OPTIONS sip:b@192.0.2.9 SIP/2.0\r\n"));
	buf_str(out, via);
	buf_str(out, STR("Max-Forwards: 70\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\n"
			 "Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
	return OK;
}
static void ignore_response(void *ctx, tsx_id ct, struct tp_rx *rx)
{
}
static void ignore_client_end(void *ctx, tsx_id ct, enum tsx_end why)
{
}
static const struct tsx_client_user client_user = {
	.compose = compose, .on_response = ignore_response, .on_end = ignore_client_end};

/* --- messages --------------------------------------------------------------------------------- */

static struct tp_rx *make(struct rig *r, const char *method, const char *to_tag)
{
	char text[1024];
	int n = snprintf(
		text, sizeof(text),
		"%s sip:a@192.0.2.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK0000000000000000\r\n"
		"Max-Forwards: 70\r\nFrom: \"Caller\" <sip:b@example.com>;tag=4711abcd\r\n"
		"To: <sip:a@example.com>%s\r\nCall-ID: 0123456789abcdef@192.0.2.9\r\n"
		"CSeq: 1 %s\r\nContact: <sip:b@192.0.2.9:5060>\r\nContent-Length: 0\r\n\r\n",
		method, to_tag, method);
	struct tp_rx *rx = tp_rx_make(r->tp, str_of(text, (size_t)n), &r->peer, &r->us, TP_UDP);
	if (!rx)
		die("no message");
	return rx;
}

/* The branch is part of the bytes, which are const for all but this bench. */
static void patch(struct tp_rx *rx, uint64_t serial)
{
	char *p = (char *)(uintptr_t)rx->msg->via_branch.p + 7;
	for (unsigned i = 0; i < 16; i++, serial >>= 4)
		p[i] = "0123456789abcdef"[serial & 15];
}

static void tick(struct rig *r)
{
	if (r->serial % 16 == 0) { /* 1,000 a second: 32,000 records live */
		null_env_advance(r->env, 16000);
		ev_turn(&r->loop);
	}
}

/* --- operations ------------------------------------------------------------------------------- */

static void only_send(void *arg, uint64_t n)
{
	struct rig *r = arg;
	struct tp_dst dst = {.proto = TP_UDP, .to = r->peer, .from = r->us, .is_fixed = true};
	for (; n > 0; n--)
		if (tp_send(r->tp, &dst, r->ok, 0) != OK)
			die("tp_send");
}

static void new_options(void *arg, uint64_t n)
{
	struct rig *r = arg;
	for (; n > 0; n--) {
		patch(r->options, ++r->serial);
		tsx_on_message(r->m, r->options);
		tick(r);
	}
}

static void repeated_options(void *arg, uint64_t n)
{
	struct rig *r = arg;
	for (; n > 0; n--)
		tsx_on_message(r->m, r->options);
}

static void refused_invite(void *arg, uint64_t n)
{
	struct rig *r = arg;
	for (; n > 0; n--) {
		patch(r->invite, ++r->serial);
		patch(r->ack, r->serial);
		tsx_on_message(r->m, r->invite);
		tsx_on_message(r->m, r->ack);
		tick(r);
	}
}

static void client(void *arg, uint64_t n)
{
	struct rig *r = arg;
	struct tp_dst dst = {.proto = TP_UDP, .to = r->peer, .from = r->us, .is_fixed = true};
	char branch[TP_BRANCH_MAX];
	for (; n > 0; n--) {
		r->serial++;
		if (tsx_client_new(r->m, STR("OPTIONS"), &dst, &client_user, r, &r->ct) != OK)
			die("no client transaction");
		struct str b = tp_branch_make(r->tp, r->ct, branch);
		memcpy(r->branch, b.p, b.n);
		tsx_on_message(r->m, r->response);
		tick(r);
	}
}

/* --- frame ------------------------------------------------------------------------------------ */

static void up_message(void *ctx, struct tp_rx *rx)
{
}
static void up_error(void *ctx, const struct tp_error *e)
{
}
static void up_flow_down(void *ctx, tp_flow flow)
{
}

static void open_rig(struct rig *r)
{
	static const struct tsx_user user = {
		.on_request = on_request,
		.on_ack = ignore_rx,
		.on_cancel = ignore_cancel,
		.on_stray_response = ignore_rx,
		.on_server_end = ignore_end,
	};
	static const struct tp_user below = {
		.on_message = up_message, .on_error = up_error, .on_flow_down = up_flow_down};
	struct tsx_user u = user;
	u.ctx = r;
	r->env = null_env_new();
	addr_parse(STR("192.0.2.1:5060"), 0, &r->us);
	addr_parse(STR("192.0.2.9:5060"), 0, &r->peer);
	if (!r->env)
		die("no environment");
	ev_loop_init(&r->loop, r->env);
	if (tp_new(&r->loop, &r->blocks, &below, NULL, &r->tp) ||
	    tp_listen(r->tp, TP_UDP, &r->us, NULL) ||
	    tsx_mgr_new(&r->loop, r->tp, &r->blocks, &u, &r->m))
		die("no transactions");
	r->options = make(r, "OPTIONS", "");
	r->invite = make(r, "INVITE", "");
	r->ack = make(r, "ACK", ";tag=1");
	static const char ok[] =
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKaaaaaaaaaaaaabbbbbbbbbb\r\n"
		"From: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: c\r\n"
		"CSeq: 1 OPTIONS\r\nContact: <sip:b@192.0.2.9:5060>\r\n"
		"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE, NOTIFY\r\n"
		"Server: bench\r\nContent-Length: 0\r\n\r\n";
	r->ok = str_of(ok, sizeof(ok) - 1);
	r->busy =
		STR("SIP/2.0 486 Busy Here\r\n"
		    "Via: SIP/2.0/UDP 192.0.2.9:5060;rport=5060;branch=z9hG4bK0000000000000000\r\n"
		    "From: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: c\r\n"
		    "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n");
	r->response = tp_rx_make(r->tp, r->ok, &r->peer, &r->us, TP_UDP);
	if (!r->response)
		die("no response");
	r->branch = (char *)(uintptr_t)r->response->msg->via_branch.p;
}

void bench_main(void)
{
	static struct rig r;
	open_rig(&r);
	/* pools and tables get their steady size */
	new_options(&r, 40000);
	refused_invite(&r, 8000);
	client(&r, 8000);
	bench_run(&(struct bench){.name = "tp_send alone", .fn = only_send, .arg = &r, .ops = 1});
	bench_run(&(struct bench){.name = "server, OPTIONS answered",
				  .fn = new_options,
				  .arg = &r,
				  .ops = 1,
				  .budget_ns = 600});
	bench_run(&(struct bench){
		.name = "server, OPTIONS repeated", .fn = repeated_options, .arg = &r, .ops = 1});
	bench_run(&(struct bench){.name = "server, INVITE refused, its ACK",
				  .fn = refused_invite,
				  .arg = &r,
				  .ops = 2,
				  .budget_ns = 600});
	bench_run(&(struct bench){.name = "client, OPTIONS and its 200",
				  .fn = client,
				  .arg = &r,
				  .ops = 2,
				  .budget_ns = 600});
	tp_rx_unref(r.tp, r.options);
	tp_rx_unref(r.tp, r.invite);
	tp_rx_unref(r.tp, r.ack);
	tp_rx_unref(r.tp, r.response);
	tsx_mgr_free(r.m);
	tp_free(r.tp);
	block_cache_fini(&r.blocks);
	ev_loop_fini(&r.loop);
	env_free(r.env);
}
