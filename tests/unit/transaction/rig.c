/* See rig.h. */
#include "rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t rig_hits[TSX_MACHINES][256];

static void note(struct rig *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_fmt(&r->log, "%llu ",
		(unsigned long long)((ev_now_us(&r->la) - r->start_us + 500) / 1000));
	buf_vfmt(&r->log, fmt, ap);
	buf_chr(&r->log, '\n');
	va_end(ap);
}

static struct addr at(const char *text)
{
	struct addr a = {0};
	CHECK(addr_parse(str_c(text), 0, &a));
	return a;
}

/* --- the manager's users ---------------------------------------------------------------------- */

static const char *const ends[] = {"DONE", "TIMEOUT", "TRANSPORT", "DROPPED"};

static void on_request(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct rig *r = ctx;
	note(r, "user request " STR_FMT, STR_ARG(rx->msg->method_name));
	r->st = st;
	r->flow = rx->flow;
	r->is_merged = tsx_is_merged(r->m, st);
	CHECK(tsx_request(r->m, st) == rx);
	tsx_set_owner(r->m, st, r);
	CHECK(tsx_owner(r->m, st) == r);
	if (r->on_request)
		r->on_request(r, st, rx);
	else if (r->auto_status)
		CHECK_EQ(tsx_reply(r->m, st, r->auto_status, STR_NONE, STR_NONE), OK);
}

static void on_ack(void *ctx, struct tp_rx *rx)
{
	note(ctx, "user ack");
}

static void on_cancel(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct rig *r = ctx;
	CHECK(tsx_is_cancelled(r->m, st));
	note(r, "user cancel%s", st == r->st ? "" : " of another");
}

static void on_stray(void *ctx, struct tp_rx *rx)
{
	note(ctx, "user stray %u", rx->msg->status);
}

static void on_server_end(void *ctx, tsx_id st, void *owner, enum tsx_end why)
{
	struct rig *r = ctx;
	CHECK(owner == r);
	CHECK(tsx_request(r->m, st));
	CHECK_EQ(tsx_reply(r->m, st, 500, STR_NONE, STR_NONE), ERR_STATE);
	note(r, "user end server %s", ends[why]);
	r->has_ended_server = true;
}

static void on_refusal(void *ctx, enum tsx_refusal why, const struct sip_diag *diag,
		       struct buf *lines)
{
	struct rig *r = ctx;
	r->refusal = why;
	CHECK_EQ(diag != NULL, why == TSX_REFUSE_MALFORMED);
	buf_fmt(lines, "Warning: 399 rig \"%u\"\r\n", why);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	note(ctx, "user flow down");
}

static enum err compose(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out)
{
	struct rig *r = ctx;
	const char *method = (const char *)r->last.p; /* set by rig_client */
	buf_fmt(out,
		"%s sip:b@10.0.0.2 SIP/2.0\r\n" STR_FMT
		"Max-Forwards: 70\r\nFrom: <sip:a@x>;tag=f\r\n"
		"To: <sip:b@x>\r\nCall-ID: ours\r\nCSeq: 7 %s\r\nContent-Length: %zu\r\n\r\n",
		method, STR_ARG(via), method, r->n_body);
	buf_fill(out, 'x', r->n_body);
	return OK;
}

static void on_response(void *ctx, tsx_id ct, struct tp_rx *rx)
{
	struct rig *r = ctx;
	note(r, "user response %u", rx->msg->status);
	CHECK_EQ(ct, r->ct);
}

static void on_client_end(void *ctx, tsx_id ct, enum tsx_end why)
{
	struct rig *r = ctx;
	CHECK_EQ(ct, r->ct);
	note(r, "user end client %s", ends[why]);
}

enum err rig_client(struct rig *r, const char *method, const struct tp_dst *dst)
{
	static const struct tsx_client_user user = {
		.compose = compose, .on_response = on_response, .on_end = on_client_end};
	buf_clear(&r->last);
	buf_str(&r->last, str_c(method));
	CHECK(buf_cstr(&r->last));
	return tsx_client_new(r->m, str_c(method), dst, &user, r, &r->ct);
}

/* --- the peer --------------------------------------------------------------------------------- */

static void heard(struct rig *r, struct str s)
{
	enum err e;
	struct str none, line = str_trim(str_cut(s, '\n', &none));
	r->n_peer++;
	if (str_starts(line, STR("SIP/2.0 ")))
		line = str_skip(line, 8);
	else
		line = str_cut(line, ' ', &none);
	if (!r->is_quiet)
		note(r, "peer " STR_FMT, STR_ARG(line));
	struct sip_msg *m = sip_msg_from(s, &e);
	CHECK(m);
	if (m->is_request)
		str_copy(r->branch, sizeof(r->branch), m->via_branch);
	sip_msg_free(m);
	buf_clear(&r->last);
	buf_str(&r->last, s);
}

void peer_close(struct rig *r)
{
	env_close(r->tcp);
	r->tcp = NULL;
}

static void on_udp(void *arg, unsigned events)
{
	struct rig *r = arg;
	static char bytes[65536];
	struct env_rx rx;
	enum err e;
	while ((e = env_recv(r->udp, bytes, sizeof(bytes), &rx)) == OK)
		heard(r, str_of(bytes, rx.n));
	CHECK_EQ(e, ERR_MORE);
}

static void on_tcp(void *arg, unsigned events)
{
	struct rig *r = arg;
	char bytes[4096];
	size_t n;
	enum err e;
	env_want(r->tcp, ENV_READ); /* connected */
	while ((e = env_read(r->tcp, bytes, sizeof(bytes), &n)) == OK)
		buf_put(&r->stream, bytes, n);
	if (e != ERR_MORE) {
		peer_close(r);
		return;
	}
	struct str s = buf_view(&r->stream);
	size_t at = str_find(s, STR("\r\n\r\n"));
	if (at == SIZE_MAX)
		return;
	struct str rest, len = str_skip(s, str_find(s, STR("Content-Length: ")) + 16);
	uint32_t body = 0;
	CHECK(str_u32(str_trim(str_cut(len, '\r', &rest)), &body));
	if (s.n < at + 4 + body)
		return;
	heard(r, str_of(s.p, at + 4 + body));
	buf_drop(&r->stream, at + 4 + body);
}

static void on_accept(void *arg, unsigned events)
{
	struct rig *r = arg;
	struct addr peer;
	if (env_accept(r->listener, on_tcp, r, &r->tcp, &peer) == OK)
		r->is_tcp = true;
}

void peer_listen(struct rig *r)
{
	struct addr a = at("10.0.0.2:5060");
	CHECK_EQ(env_tcp_listen(r->eb, &a, 0, on_accept, r, &r->listener, NULL), OK);
}

void peer_connect(struct rig *r)
{
	struct addr a = at("10.0.0.1:5060");
	CHECK_EQ(env_tcp_connect(r->eb, NULL, &a, on_tcp, r, &r->tcp), OK);
	rig_run_ms(r, 10);
	r->is_tcp = true;
}

void peer_leave(struct rig *r)
{
	env_close(r->udp);
	r->udp = NULL;
}

void peer_send(struct rig *r, const char *text)
{
	struct buf b;
	struct addr a = at("10.0.0.1:5060");
	buf_init(&b);
	CHECK(r->is_tcp ? r->tcp : r->udp);
	for (; *text; text++) {
		if (*text == '\n')
			buf_chr(&b, '\r');
		buf_chr(&b, *text);
	}
	enum err e = b.err;
	size_t n;
	if (e == OK && r->is_tcp)
		e = env_write(r->tcp, b.p, b.n, &n);
	else if (e == OK)
		e = env_send(r->udp, b.p, b.n, &a, NULL);
	buf_fini(&b);
	CHECK_EQ(e, OK);
	rig_run_ms(r, 0);
}

void peer_request(struct rig *r, const char *method, const char *branch, const char *to_tag)
{
	char text[1024];
	snprintf(text, sizeof(text),
		 "%s sip:a@10.0.0.1 SIP/2.0\n"
		 "Via: SIP/2.0/%s 10.0.0.2:5060%s%s\n"
		 "Max-Forwards: 70\nFrom: <sip:b@x>;tag=f\nTo: <sip:a@x>%s%s\nCall-ID: c\n"
		 "CSeq: 1 %s\nContent-Length: 0\n\n",
		 method, r->is_tcp ? "TCP" : "UDP", branch ? ";branch=" : "", branch ? branch : "",
		 to_tag ? ";tag=" : "", to_tag ? to_tag : "", method);
	peer_send(r, text);
}

void peer_respond_cseq(struct rig *r, unsigned status, const char *to_tag, const char *method)
{
	char text[1024];
	snprintf(text, sizeof(text),
		 "SIP/2.0 %u Whatever\n"
		 "Via: SIP/2.0/UDP 10.0.0.1:5060;rport=5060;received=10.0.0.1;branch=%s\n"
		 "From: <sip:a@x>;tag=f\nTo: <sip:b@x>;tag=%s\nCall-ID: ours\nCSeq: 7 %s\n"
		 "Content-Length: 0\n\n",
		 status, r->branch, to_tag, method);
	peer_send(r, text);
}

void peer_respond(struct rig *r, unsigned status, const char *to_tag)
{
	enum err e;
	struct sip_msg *m = sip_msg_from(buf_view(&r->last), &e);
	char method[32];
	CHECK(m);
	str_copy(method, sizeof(method), m->method == SIP_ACK ? STR("INVITE") : m->method_name);
	sip_msg_free(m);
	peer_respond_cseq(r, status, to_tag, method);
}

/* --- life ------------------------------------------------------------------------------------- */

struct tp_dst rig_dst(enum tp_proto proto)
{
	return (struct tp_dst){.proto = proto, .to = at("10.0.0.2:5060")};
}

void rig_run_ms(struct rig *r, uint64_t ms)
{
	/* a little more, so that what is due at that time has happened */
	r->is_running = true;
	sim_run(r->sim, sim_now_us(r->sim) + ms * 1000);
	r->is_running = false;
}

struct str rig_log(struct rig *r)
{
	return buf_view(&r->log);
}

void rig_clear(struct rig *r)
{
	buf_clear(&r->log);
	r->start_us = ev_now_us(&r->la);
	r->n_peer = 0;
}

static void add_hits(const struct rig *r)
{
	for (unsigned i = 0; i < TSX_MACHINES; i++)
		for (unsigned k = 0; k < 256; k++)
			rig_hits[i][k] += r->m->fsm[i].hits[k];
}

/* The rig that a failed case has left behind: runs with failing allocations must not fill the
 * machine. One that was left from inside its loops cannot be taken down. */
static struct rig *present;

static void end_loop(struct rig *r, struct ev_loop *l, struct env *e)
{
	if (!e)
		return;
	sim_del_loop(r->sim, l);
	ev_loop_fini(l);
	env_free(e);
}

void rig_free(struct rig *r)
{
	present = NULL;
	if (r->m)
		add_hits(r);
	tsx_mgr_free(r->m);
	if (r->tp)
		tp_free(r->tp);
	block_cache_fini(&r->blocks);
	env_close(r->udp);
	env_close(r->tcp);
	env_close(r->listener);
	end_loop(r, &r->la, r->ea);
	end_loop(r, &r->lb, r->eb);
	if (r->sim)
		sim_free(r->sim);
	buf_fini(&r->log);
	buf_fini(&r->last);
	buf_fini(&r->stream);
	free(r);
}

/* The transport is made before its user. */
static void up_message(void *ctx, struct tp_rx *rx)
{
	tsx_on_message(((struct rig *)ctx)->m, rx);
}

static void up_error(void *ctx, const struct tp_error *e)
{
	tsx_on_error(((struct rig *)ctx)->m, e);
}

static void up_flow_down(void *ctx, tp_flow flow)
{
	tsx_on_flow_down(((struct rig *)ctx)->m, flow);
}

struct rig *rig_new(void)
{
	static const struct tsx_user user = {
		.on_request = on_request,
		.on_ack = on_ack,
		.on_cancel = on_cancel,
		.on_stray_response = on_stray,
		.on_server_end = on_server_end,
		.on_flow_down = on_flow_down,
		.on_refusal = on_refusal,
	};
	struct addr a = at("10.0.0.1:5060"), b = at("10.0.0.2:5060");
	struct addr ipa = at("10.0.0.1"), ipb = at("10.0.0.2");
	if (present && !present->is_running)
		rig_free(present);
	struct rig *r = calloc(1, sizeof(*r));
	CHECK(r);
	present = r;
	buf_init(&r->log);
	buf_init(&r->last);
	buf_init(&r->stream);
	CHECK_EQ(sim_new(1, &r->sim), OK);
	CHECK_EQ(sim_host_new(r->sim, "a", &ipa, 1, &r->ha), OK);
	CHECK_EQ(sim_host_new(r->sim, "b", &ipb, 1, &r->hb), OK);
	CHECK_EQ(sim_env_new(r->ha, &r->ea), OK);
	ev_loop_init(&r->la, r->ea);
	sim_add_loop(r->sim, &r->la);
	CHECK_EQ(sim_env_new(r->hb, &r->eb), OK);
	ev_loop_init(&r->lb, r->eb);
	sim_add_loop(r->sim, &r->lb);
	struct tsx_user u = user;
	u.ctx = r;
	struct tp_user tu = {.ctx = r,
			     .on_message = up_message,
			     .on_error = up_error,
			     .on_flow_down = up_flow_down};
	CHECK_EQ(tp_new(&r->la, &r->blocks, &tu, NULL, &r->tp), OK);
	CHECK_EQ(tsx_mgr_new(&r->la, r->tp, &r->blocks, &u, &r->m), OK);
	tsx_set_slack(r->m, 1);
	CHECK_EQ(env_udp_open(r->eb, &b, 0, on_udp, r, &r->udp, NULL), OK);
	CHECK_EQ(tp_listen(r->tp, TP_UDP, &a, NULL), OK);
	CHECK_EQ(tp_listen(r->tp, TP_TCP, &a, NULL), OK);
	rig_clear(r);
	return r;
}
