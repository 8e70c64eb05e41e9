#include "registrar_rig.h"

#include "base/assert.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REALM STR("rung-test")

static struct addr ip4(uint8_t last, uint16_t port)
{
	return (struct addr){
		.family = ADDR_V4, .port = port, .ip = {192, 0, 2, last}
        };
}

/* --- the exchange --------------------------------------------------------------------------- */

static void on_request(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct rig_shard *s = ctx;
	struct auth_check c = {0};
	if (rx->msg->method == SIP_REGISTER) {
		reg_on_request(s->reg, st, rx);
		return;
	}
	/* anything else only shows what authentication says */
	enum err e = auth_verify(s->auth, rx, &c);
	if (e == OK && auth_is_ok(c.verdict))
		e = tsx_reply(s->tsx, st, 200, STR_NONE, STR_NONE);
	else if (e == OK)
		auth_challenge(s->auth, s->tsx, st, &c);
	CHECK_EQ(e, OK);
}

static void on_rx(void *ctx, struct tp_rx *rx)
{
}

static void on_cancel(void *ctx, tsx_id st, struct tp_rx *rx)
{
}

static void on_end(void *ctx, tsx_id st, void *owner, enum tsx_end why)
{
}

static void on_message(void *ctx, struct tp_rx *rx)
{
	tsx_on_message(((struct rig_shard *)ctx)->tsx, rx);
}

static void on_error(void *ctx, const struct tp_error *e)
{
	tsx_on_error(((struct rig_shard *)ctx)->tsx, e);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	tsx_on_flow_down(((struct rig_shard *)ctx)->tsx, flow);
}

static void on_outcome(void *ctx, const struct reg_outcome *o)
{
	struct rig *r = ctx;
	r->outcome = *o;
	r->n_outcomes++;
	str_copy(r->outcome_user, sizeof(r->outcome_user), o->user);
	str_copy(r->why_mem, sizeof(r->why_mem), o->why);
	r->outcome_why = str_c(r->why_mem);
}

static void start_shard(struct rig *r, size_t i)
{
	static const uint8_t branch_key[16] = "branch", call_id_key[16] = "call-id";
	struct rig_shard *s = &r->shard[i];
	const char *why = NULL;
	*s = (struct rig_shard){.r = r, .n = i};
	struct tsx_user user = {.ctx = s,
				.on_request = on_request,
				.on_ack = on_rx,
				.on_cancel = on_cancel,
				.on_stray_response = on_rx,
				.on_server_end = on_end};
	struct tp_user up = {.ctx = s,
			     .on_message = on_message,
			     .on_error = on_error,
			     .on_flow_down = on_flow_down};
	struct addr local = ip4(1, 5060);
	CHECK_EQ(tp_new(ev_shard(r->shards, i), &s->blocks, &up, NULL, &s->tp), OK);
	tp_set_keys(s->tp, branch_key, call_id_key);
	CHECK_EQ(tsx_mgr_new(ev_shard(r->shards, i), s->tp, &s->blocks, &user, &s->tsx), OK);
	CHECK_EQ(auth_new(r->shards, i, &r->auth_cfg, r->acc, &s->auth), OK);
	loc_set_transport(r->loc, i, s->tp);
	struct reg_env env = {.shard = i,
			      .loop = ev_shard(r->shards, i),
			      .tp = s->tp,
			      .tsx = s->tsx,
			      .loc = r->loc,
			      .auth = s->auth,
			      .acc = r->acc,
			      .dom = r->dom,
			      .on_outcome = on_outcome,
			      .ctx = r};
	CHECK_EQ(reg_new(&env, &r->reg_cfg, &s->reg), OK);
	CHECK_EQ(tp_listen(s->tp, TP_UDP, &local, &why), OK);
	CHECK_EQ(tp_listen(s->tp, TP_TCP, &local, &why), OK);
	sim_add_loop(r->sim, ev_shard(r->shards, i));
}

static void add_account(struct rig *r, struct str user, struct str password, bool is_enabled)
{
	struct st_account a = {.user = user, .is_enabled = is_enabled};
	acc_set_password(&a, REALM, password);
	CHECK_EQ(st_account_put(r->st, &a, ST_UPSERT), OK);
}

static void on_readable(void *arg, unsigned events);

static const enum md_alg *algs;
static size_t n_algs;

void rig_offer(const enum md_alg *list, size_t n)
{
	algs = list;
	n_algs = n;
}

struct rig *rig_new(size_t n, struct st_mem *disk)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct addr exchange = ip4(1, 0), phone = ip4(9, 0), at = ip4(9, 5060);
	struct str bad;
	struct buf why;
	const char *text;
	CHECK(r != NULL);
	buf_init(&why);
	r->n = n;
	r->disk = disk;
	CHECK_EQ(sim_new(1, &r->sim), OK);
	CHECK_EQ(sim_host_new(r->sim, "exchange", &exchange, 1, &r->host), OK);
	CHECK_EQ(sim_host_new(r->sim, "phone", &phone, 1, &r->phone_host), OK);
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(sim_env_new(r->host, &r->env[i]), OK);
	CHECK_EQ(ev_shards_new(r->env, n, &r->shards), OK);
	if (!r->disk)
		CHECK_EQ(st_mem_new(&r->disk), OK);
	CHECK_EQ(st_open_mem(r->disk, &r->st, &why), OK);
	add_account(r, STR("100"), STR("secret100"), true);
	add_account(r, STR("200"), STR("secret200"), true);
	add_account(r, STR("300"), STR("secret300"), false);
	r->auth_cfg.realm = REALM;
	for (r->auth_cfg.n_algs = 0; r->auth_cfg.n_algs < n_algs; r->auth_cfg.n_algs++)
		r->auth_cfg.algs[r->auth_cfg.n_algs] = algs[r->auth_cfg.n_algs];
	memcpy(r->auth_cfg.nonce_key, "0123456789abcdef", 16);
	CHECK_EQ(acc_new(r->shards, r->st, &r->acc), OK);
	CHECK_EQ(loc_new(r->shards, r->st, &(struct loc_cfg){0}, &r->loc), OK);
	CHECK_EQ(dom_new(NULL, 0, REALM, STR("lilkr"), &bad, &r->dom), OK);
	for (size_t i = 0; i < n; i++)
		start_shard(r, i);
	CHECK_EQ(sim_env_new(r->phone_host, &r->phone_env), OK);
	ev_loop_init(&r->phone_loop, r->phone_env);
	sim_add_loop(r->sim, &r->phone_loop);
	CHECK_EQ(env_udp_open(r->phone_env, &at, 0, on_readable, r, &r->sock, &text), OK);
	buf_fini(&why);
	return r;
}

void rig_free(struct rig *r, bool keep_disk)
{
	for (size_t i = 0; i < r->n; i++) {
		struct rig_shard *s = &r->shard[i];
		sim_del_loop(r->sim, ev_shard(r->shards, i));
		reg_free(s->reg);
		auth_free(s->auth);
		tsx_mgr_free(s->tsx);
		tp_free(s->tp);
	}
	loc_free(r->loc);
	acc_free(r->acc);
	dom_free(r->dom);
	st_close(r->st);
	ev_shards_free(r->shards);
	for (size_t i = 0; i < r->n; i++) {
		block_cache_fini(&r->shard[i].blocks);
		env_free(r->env[i]);
	}
	sim_del_loop(r->sim, &r->phone_loop);
	env_close(r->sock);
	ev_loop_fini(&r->phone_loop);
	env_free(r->phone_env);
	sim_free(r->sim);
	if (r->last)
		sip_msg_free(r->last);
	if (!keep_disk)
		st_mem_free(r->disk);
	free(r);
}

/* --- the phone ------------------------------------------------------------------------------ */

static void on_readable(void *arg, unsigned events)
{
	struct rig *r = arg;
	struct env_rx rx;
	while (env_recv(r->sock, r->reply, sizeof(r->reply), &rx) == OK)
		r->reply_n = rx.n;
}

static bool has_reply(void *arg)
{
	return ((struct rig *)arg)->reply_n > 0;
}

static void put_credentials(struct rig *r, const struct ask *a, struct buf *b)
{
	struct sip_challenge ch;
	struct sip_iter it = {0};
	struct str value = STR_NONE;
	bool is_proxy = sip_has(r->last, SIP_HDR_PROXY_AUTHENTICATE);
	enum sip_hdr_id id = is_proxy ? SIP_HDR_PROXY_AUTHENTICATE : SIP_HDR_WWW_AUTHENTICATE;
	for (unsigned i = 0; i <= a->challenge; i++)
		CHECK(sip_each(r->last, id, &it, &value));
	CHECK_EQ(sip_challenge_parse(value, &ch), OK);
	if (a->no_qop)
		ch.qop_auth = ch.has_qop = false;
	buf_str(b, is_proxy ? STR("Proxy-Authorization: ") : STR("Authorization: "));
	sip_credentials_put(b, &ch, str_c(a->user), str_c(a->password), str_c(a->method),
			    str_c(a->uri), STR("0a4f113b"), a->nc);
	buf_str(b, STR("\r\n"));
}

static void set_usual(struct ask *a)
{
	if (!a->method)
		a->method = "REGISTER";
	if (!a->ruri)
		a->ruri = "sip:192.0.2.1";
	if (!a->uri)
		a->uri = a->ruri;
	if (!a->to)
		a->to = "<sip:100@192.0.2.1>";
	if (!a->call_id)
		a->call_id = "call-1";
	if (!a->contact)
		a->contact = "Contact: <sip:100@192.0.2.9:5060>\r\n";
	if (!a->via_host)
		a->via_host = "192.0.2.9:5060";
	if (!a->cseq)
		a->cseq = 1;
	if (!a->nc)
		a->nc = 1;
}

unsigned rig_ask(struct rig *r, const struct ask *asked)
{
	struct ask a = *asked;
	struct buf b;
	struct addr to = ip4(1, 5060);
	enum err e;
	set_usual(&a);
	buf_init(&b);
	buf_fmt(&b,
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK-%u;rport\r\n"
		"Max-Forwards: 70\r\nFrom: %s;tag=f\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u "
		"%s\r\n%s%s",
		a.method, a.ruri, a.via_host, ++r->n_branch, a.to, a.to, a.call_id, a.cseq,
		a.method, a.contact, a.more ? a.more : "");
	if (a.user)
		put_credentials(r, &a, &b);
	buf_str(&b, STR("User-Agent: Test/1\r\nContent-Length: 0\r\n\r\n"));
	CHECK_EQ(b.err, OK);
	r->reply_n = 0;
	CHECK_EQ(env_send(r->sock, b.p, b.n, &to, NULL), OK);
	buf_fini(&b);
	if (!sim_run_until(r->sim, sim_now_us(r->sim) + 2000000, has_reply, r))
		return 0;
	struct sip_msg *m = sip_msg_from(str_of(r->reply, r->reply_n), &e);
	CHECK(m != NULL && e == OK && !m->is_request);
	if (r->last)
		sip_msg_free(r->last);
	r->last = m;
	CHECK_EQ(m->cseq, a.cseq);
	CHECK(m->to_tag.n > 0);
	return m->status;
}

unsigned rig_register(struct rig *r, const struct ask *a)
{
	struct ask first = *a, second = *a;
	first.user = NULL;
	CHECK_EQ(rig_ask(r, &first), 401);
	second.cseq = (a->cseq ? a->cseq : 1) + 1;
	if (!second.user) {
		second.user = "100";
		second.password = "secret100";
	}
	return rig_ask(r, &second);
}

struct str rig_hdr(struct rig *r, enum sip_hdr_id id)
{
	return sip_value(r->last, id);
}

struct str rig_contacts(struct rig *r)
{
	static char text[2000];
	struct sip_iter it = {0};
	struct str value;
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	while (sip_each(r->last, SIP_HDR_CONTACT, &it, &value)) {
		if (b.n)
			buf_str(&b, STR(" | "));
		buf_str(&b, value);
	}
	return buf_view(&b);
}

void rig_run_s(struct rig *r, uint32_t seconds)
{
	sim_run(r->sim, sim_now_us(r->sim) + seconds * 1000000ull);
}

unsigned rig_code(struct rig *r)
{
	struct str w = rig_hdr(r, SIP_HDR_WARNING);
	size_t at = str_find(w, STR("399 rung \""));
	uint32_t n = 0;
	if (at == 0)
		(void)str_u32(str_sub(w, 10, 4), &n);
	return n;
}
