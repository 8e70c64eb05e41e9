/* See party.h. */
#include "party.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the world -------------------------------------------------------------------------------- */

static const char *name_of(const struct world *w, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	struct addr ip = *a;
	ip.port = 0;
	addr_text(&ip, text);
	for (unsigned i = 0; i < w->n; i++)
		if (strcmp(text, w->parties[i]->ip) == 0)
			return w->parties[i]->name;
	return "?";
}

static unsigned ms_of(const struct world *w)
{
	return (unsigned)((sim_now_us(w->sim) - w->start_us + 500) / 1000);
}

static void put_step(struct world *w, const struct sim_packet *p)
{
	enum err e;
	struct sip_msg *m = sip_msg_from(p->bytes, &e);
	if (!m)
		return;
	buf_fmt(&w->ladder, "%5u %s%s%s ", ms_of(w), name_of(w, &p->from), p->is_lost ? "-x" : "->",
		name_of(w, &p->to));
	struct str sdp;
	if (m->is_request)
		buf_str(&w->ladder, m->method_name);
	else
		buf_fmt(&w->ladder, "%u (" STR_FMT ")", m->status, STR_ARG(m->method_name));
	if (sip_body_find(m, STR("application"), STR("sdp"), &sdp) && sdp.n)
		buf_fmt(&w->ladder, " sdp %u", party_sdp_version(sdp));
	buf_chr(&w->ladder, '\n');
	sip_msg_free(m);
}

static void on_packet(void *arg, const struct sim_packet *p)
{
	static const uint8_t key[16] = {7};
	struct world *w = arg;
	uint64_t in[3] = {w->hash, p->at_us, siphash(key, p->bytes.p, p->bytes.n)};
	w->hash = siphash(key, in, sizeof(in));
	w->n_packets++;
	if (!w->is_quiet && p->bytes.n > 4)
		put_step(w, p);
}

/* The world that a failed case has left behind: thousands of runs with failing allocations must not
 * fill the machine. One that was left from inside its loops cannot be taken down. */
static struct world *present;

struct world *world_new(uint64_t seed, const struct sim_link *link)
{
	static const struct sim_link usual = {.delay_us = 10000};
	if (present && !present->is_running)
		world_free(present);
	struct world *w = calloc(1, sizeof(*w));
	CHECK(w);
	present = w;
	buf_init(&w->ladder);
	CHECK_EQ(sim_new(seed, &w->sim), OK);
	sim_link_default(w->sim, link ? link : &usual);
	sim_tap(w->sim, on_packet, w);
	ladder_clear(w);
	return w;
}

void world_free(struct world *w)
{
	present = NULL;
	for (unsigned i = 0; i < w->n; i++) {
		party_close(w->parties[i]);
		buf_fini(&w->parties[i]->log);
		free(w->parties[i]);
	}
	if (w->sim)
		sim_free(w->sim);
	buf_fini(&w->ladder);
	free(w);
}

void world_run(struct world *w, uint64_t ms)
{
	w->is_running = true;
	sim_run(w->sim, sim_now_us(w->sim) + ms * 1000);
	w->is_running = false;
}

void ladder_clear(struct world *w)
{
	buf_clear(&w->ladder);
	w->start_us = sim_now_us(w->sim);
	for (unsigned i = 0; i < w->n; i++)
		buf_clear(&w->parties[i]->log);
}

void world_check_idle(struct world *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct party *p = w->parties[i];
		struct dlg_stats d;
		struct tsx_stats t;
		if (!p->is_up)
			continue;
		dlg_stats(p->dlg, &d);
		tsx_stats(p->tsx, &t);
		CHECK_EQ(d.sessions, 0);
		CHECK_EQ(d.subscriptions, 0);
		CHECK_EQ(d.requests, 0);
		CHECK_EQ(d.dialogs, 0);
		CHECK_EQ(t.live_client, 0);
		CHECK_EQ(t.live_server, 0);
		CHECK_EQ(t.live_records, 0);
	}
}

/* --- SDP -------------------------------------------------------------------------------------- */

void party_put_sdp(const struct party *p, unsigned version, struct buf *b)
{
	buf_fmt(b,
		"v=0\r\no=%s 1 %u IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
		"m=audio 4000 RTP/AVP 0\r\n",
		p->name, version, p->ip, p->ip);
}

unsigned party_sdp_version(struct str sdp)
{
	struct str rest = str_skip(sdp, str_find(sdp, STR("o=")));
	uint32_t v = 0;
	str_cut(rest, ' ', &rest);
	str_cut(rest, ' ', &rest);
	(void)str_u32(str_cut(rest, ' ', &rest), &v);
	return v;
}

/* --- the owner of sessions -------------------------------------------------------------------- */

void party_note(struct party *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!p->w->is_quiet) {
		buf_vfmt(&p->log, fmt, ap);
		buf_chr(&p->log, '\n');
	}
	va_end(ap);
}

static enum err make_offer(void *ctx, struct ses *s, struct buf *sdp)
{
	struct party *p = ctx;
	if (p->no_offer)
		return ERR_STATE;
	if (p->is_late)
		return ERR_MORE;
	party_put_sdp(p, ++p->offer_version, sdp);
	return OK;
}

static unsigned answer_offer(void *ctx, struct ses *s, struct str offer, struct buf *sdp)
{
	struct party *p = ctx;
	if (p->refuse_offer)
		return p->refuse_offer;
	if (p->is_late)
		return SES_LATER;
	party_put_sdp(p, ++p->offer_version, sdp);
	p->local = p->offer_version;
	p->remote = party_sdp_version(offer);
	return 200;
}

static bool on_answer(void *ctx, struct ses *s, struct str answer, bool is_early)
{
	struct party *p = ctx;
	party_note(p, "answer %u%s", party_sdp_version(answer), is_early ? " early" : "");
	if (p->refuse_answer && !is_early)
		return false;
	if (!is_early) {
		p->local = p->offer_version;
		p->remote = party_sdp_version(answer);
	}
	return true;
}

static const char *const by_names[] = {"local", "remote", "network"};

static void keep_end(struct party *p, struct ses *s, const struct ses_end *end)
{
	if (p->n_ends == PARTY_ENDS)
		return;
	struct party_end *e = &p->ends[p->n_ends++];
	str_copy(e->call_id, sizeof(e->call_id), ses_call_id(s));
	e->end = *end;
	e->end.text = STR_NONE;
	e->is_caller = ses_is_caller(s);
	e->was_confirmed = p->is_confirmed;
}

static void on_event(void *ctx, struct ses *s, const struct ses_event *ev)
{
	struct party *p = ctx;
	CHECK(s == p->ses);
	CHECK(ses_find(p->dlg, ses_id(s)) == s);
	switch (ev->kind) {
	case SES_EV_PROGRESS:
		party_note(p, "progress %u", ev->status);
		break;
	case SES_EV_EARLY_MEDIA:
		party_note(p, "early media");
		break;
	case SES_EV_CONFIRMED:
		p->is_confirmed = true;
		party_note(p, "confirmed");
		break;
	case SES_EV_RENEGOTIATED:
		party_note(p, "renegotiated by %s", by_names[ev->by]);
		break;
	case SES_EV_MODIFY_FAILED:
		party_note(p, "modify failed %u", ev->status);
		break;
	case SES_EV_LEFT:
	case SES_EV_REFUSED:
	case SES_EV_UNUSABLE:
		break;
	case SES_EV_OFFER:
		party_note(p, "offer waits");
		break;
	case SES_EV_REQUEST:
		party_note(p, "request " STR_FMT, STR_ARG(ev->rx->msg->method_name));
		p->waiting = ev->tag;
		break;
	case SES_EV_RESPONSE:
		party_note(p, "response %u", ev->status);
		break;
	case SES_EV_REFER:
		party_note(p, "refer");
		break;
	case SES_EV_REFERRED:
		party_note(p, "referred %u", ev->status);
		break;
	case SES_EV_INFO:
		party_note(p, "info " STR_FMT, STR_ARG(ev->rx->msg->body));
		break;
	case SES_EV_ENDED:
		party_note(p, "ended by %s, " STR_FMT ", %u " STR_FMT, by_names[ev->end.by],
			   STR_ARG(ses_cause_text(ev->end.cause)), ev->end.status,
			   STR_ARG(ev->end.text));
		p->end = ev->end;
		keep_end(p, s, &ev->end);
		p->has_ended = true;
		p->n_ended++;
		p->ses = NULL;
		ev_timer_stop(&p->loop, &p->answer_timer);
		break;
	}
}

static unsigned on_owner_request(void *ctx, struct ses *s, struct tp_rx *rx, struct buf *lines)
{
	return ((struct party *)ctx)->request_status;
}

static const struct ses_user ses_user = {.on_request = on_owner_request,
					 .make_offer = make_offer,
					 .answer_offer = answer_offer,
					 .on_answer = on_answer,
					 .on_event = on_event};

static void answer_now(struct party *p)
{
	if (!p->ses)
		return;
	if (p->answer == 200)
		(void)!ses_answer(p->ses);
	else
		CHECK_EQ(ses_reject(p->ses, p->answer, STR_NONE, STR_NONE), OK);
}

static void on_answer_timer(struct tmr *t)
{
	answer_now(CONTAINER_OF(t, struct party, answer_timer));
}

static void on_invite(struct party *p, tsx_id st, struct tp_rx *rx)
{
	if (p->ses) {
		(void)!tsx_reply(p->tsx, st, 486, STR_NONE, STR_NONE);
		return;
	}
	struct ses_accept acc = {.contact_user = str_c(p->name),
				 .account = party_account(p),
				 .session_s = p->session_s};
	if (ses_incoming(p->dlg, st, rx, &acc, &ses_user, p, &p->ses) != OK)
		return;
	p->n_calls++;
	p->has_ended = p->is_confirmed = false;
	str_copy(p->call_id, sizeof(p->call_id), ses_call_id(p->ses));
	if (p->ring && p->is_reliable)
		(void)!ses_ring_reliably(p->ses, p->ring, p->ring_sdp, STR_NONE);
	else if (p->ring)
		(void)!ses_ring(p->ses, p->ring, p->ring_sdp);
	if (p->answer && p->answer_ms)
		ev_timer(&p->loop, &p->answer_timer, p->answer_ms * 1000, on_answer_timer);
	else if (p->answer)
		answer_now(p);
}

/* --- the user of transactions ----------------------------------------------------------------- */

/* Digest with a fixed nonce: enough to see clients answer. Who was not asked when the dialog began
 * is not asked inside it: he would not answer. */
static bool is_allowed(struct party *p, tsx_id st, struct tp_rx *rx)
{
	const struct sip_msg *m = rx->msg;
	enum sip_hdr_id id = p->is_proxy_auth ? SIP_HDR_PROXY_AUTHORIZATION : SIP_HDR_AUTHORIZATION;
	struct sip_credentials c;
	char ha1[SIP_HA1_MAX], want[SIP_HA1_MAX];
	if (!p->password)
		return true;
	bool has_any = sip_credentials_for(m, id, STR("r"), &c);
	if (m->to_tag.n && !has_any)
		return true;
	if (has_any) {
		struct str h = sip_ha1(MD_MD5, STR("u"), STR("r"), str_c(p->password), ha1);
		if (str_eq(c.response, sip_digest_response(&c, h, m->method_name, m->body, want)))
			return true;
	}
	char text[256];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	buf_str(&b, p->is_proxy_auth ? STR("Proxy-Authenticate: ") : STR("WWW-Authenticate: "));
	sip_challenge_put(&b, STR("r"), STR("nonce1"), MD_MD5, false);
	buf_str(&b, STR("\r\n"));
	(void)!tsx_reply(p->tsx, st, p->is_proxy_auth ? 407 : 401, STR_NONE, buf_view(&b));
	return false;
}

static void on_request(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct party *p = ctx;
	if (!is_allowed(p, st, rx) || (p->is_asked_first && p->on_request(p, st, rx)) ||
	    dlg_on_request(p->dlg, st, rx))
		return;
	if (p->on_request && p->on_request(p, st, rx))
		return;
	if (rx->msg->method == SIP_INVITE && !rx->msg->to_tag.n)
		on_invite(p, st, rx);
	else
		dlg_refuse_unknown(p->dlg, st, rx);
}

static void on_ack(void *ctx, struct tp_rx *rx)
{
	dlg_on_ack(((struct party *)ctx)->dlg, rx);
}

static void on_cancel(void *ctx, tsx_id st, struct tp_rx *rx)
{
	dlg_on_cancel(((struct party *)ctx)->dlg, st, rx);
}

static void on_stray(void *ctx, struct tp_rx *rx)
{
	dlg_on_stray_response(((struct party *)ctx)->dlg, rx);
}

static void on_server_end(void *ctx, tsx_id st, void *owner, enum tsx_end why)
{
	dlg_on_server_end(((struct party *)ctx)->dlg, st, owner, why);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	dlg_on_flow_down(((struct party *)ctx)->dlg, flow);
}

static void up_message(void *ctx, struct tp_rx *rx)
{
	tsx_on_message(((struct party *)ctx)->tsx, rx);
}

static void up_error(void *ctx, const struct tp_error *e)
{
	tsx_on_error(((struct party *)ctx)->tsx, e);
}

static void up_pong(void *ctx, const struct tp_pong *pong)
{
	dlg_on_pong(((struct party *)ctx)->dlg, pong);
}

static void up_flow_down(void *ctx, tp_flow flow)
{
	tsx_on_flow_down(((struct party *)ctx)->tsx, flow);
}

static void on_refusal(void *ctx, enum dlg_refusal why, unsigned status, struct buf *lines)
{
	((struct party *)ctx)->refusal = why;
	buf_fmt(lines, "Warning: 399 party \"%u %u\"\r\n", why, status);
}

/* --- life ------------------------------------------------------------------------------------- */

void party_open(struct party *p)
{
	struct tp_user tu = {.ctx = p,
			     .on_message = up_message,
			     .on_error = up_error,
			     .on_flow_down = up_flow_down,
			     .on_pong = up_pong};
	struct tsx_user su = {.ctx = p,
			      .on_request = on_request,
			      .on_ack = on_ack,
			      .on_cancel = on_cancel,
			      .on_stray_response = on_stray,
			      .on_server_end = on_server_end,
			      .on_flow_down = on_flow_down};
	const struct tp_limits few = {.max_connections = 256}; /* its table is made at once */
	struct dlg_config cfg = {.ctx = p, .on_refusal = on_refusal, .product = STR("party")};
	struct addr a;
	CHECK(addr_parse(str_c(p->ip), 5060, &a));
	p->is_up = true;
	CHECK_EQ(sim_env_new(p->host, &p->env), OK);
	ev_loop_init(&p->loop, p->env);
	sim_add_loop(p->w->sim, &p->loop);
	CHECK_EQ(tp_new(&p->loop, &p->blocks, &tu, &few, &p->tp), OK);
	CHECK_EQ(tsx_mgr_new(&p->loop, p->tp, &p->blocks, &su, &p->tsx), OK);
	CHECK_EQ(dlg_mgr_new(&p->loop, p->tp, p->tsx, &p->blocks, &cfg, &p->dlg), OK);
	CHECK_EQ(tp_listen(p->tp, TP_UDP, &a, NULL), OK);
	CHECK_EQ(tp_listen(p->tp, TP_TCP, &a, NULL), OK);
}

void (*party_closing)(struct party *p);

/* Also of one that could not be opened all the way. */
void party_close(struct party *p)
{
	if (!p->is_up)
		return;
	p->is_up = false;
	p->ses = NULL;
	if (p->dlg && party_closing)
		party_closing(p);
	if (p->env)
		ev_timer_stop(&p->loop, &p->answer_timer);
	dlg_mgr_free(p->dlg);
	tsx_mgr_free(p->tsx);
	if (p->tp)
		tp_free(p->tp);
	block_cache_fini(&p->blocks);
	if (p->env) {
		sim_del_loop(p->w->sim, &p->loop);
		ev_loop_fini(&p->loop);
		env_free(p->env);
	}
	p->dlg = NULL;
	p->tsx = NULL;
	p->tp = NULL;
	p->env = NULL;
}

struct party *party_new(struct world *w, const char *name)
{
	struct party *p = calloc(1, sizeof(*p));
	CHECK(p && w->n < PARTIES);
	p->w = w;
	p->name = name;
	buf_init(&p->log);
	w->parties[w->n++] = p;
	snprintf(p->ip, sizeof(p->ip), "10.0.0.%u", w->n);
	struct addr ip;
	CHECK(addr_parse(str_c(p->ip), 0, &ip));
	CHECK_EQ(sim_host_new(w->sim, name, &ip, 1, &p->host), OK);
	party_open(p);
	return p;
}

struct uac_account party_account(struct party *p)
{
	static char from[PARTIES][64];
	char *f = from[p->ip[7] - '1'];
	snprintf(f, sizeof(from[0]), "<sip:%s@%s>", p->name, p->ip);
	return (struct uac_account){.from = str_c(f),
				    .contact_user = str_c(p->name),
				    .auth_user = STR("u"),
				    .password = STR("secret")};
}

const char *party_uri(const struct party *p, const char *params)
{
	static char text[4][128];
	static unsigned at;
	char *t = text[at++ % 4];
	snprintf(t, sizeof(text[0]), "sip:%s@%s%s", p->name, p->ip, params);
	return t;
}

void party_call_with(struct party *p, struct ses_call *call)
{
	if (!call->account.from.n)
		call->account = party_account(p);
	p->has_ended = p->is_confirmed = false;
	p->n_calls++;
	CHECK(!p->ses);
	CHECK_EQ(ses_call(p->dlg, call, &ses_user, p, &p->ses), OK);
	str_copy(p->call_id, sizeof(p->call_id), ses_call_id(p->ses));
}

void party_call(struct party *p, const struct party *to, const char *params)
{
	struct ses_call call = {.target = str_c(party_uri(to, params))};
	party_call_with(p, &call);
}
