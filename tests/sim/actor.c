/* See actor.h: stack, registration, subscriptions, messages. Calls are in actor_call.c. */
#include "actor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_message(struct actor *a, tsx_id st, struct tp_rx *rx)
{
	(void)!tsx_reply(a->stack.tsx, st, 200, STR_NONE, STR_NONE);
	if (a->on_text)
		a->on_text(a, rx->msg->body);
}

static void on_request(void *ctx, tsx_id st, struct tp_rx *rx)
{
	struct actor *a = ctx;
	const struct sip_msg *m = rx->msg;
	if (dlg_on_request(a->stack.dlg, st, rx))
		return;
	if (m->method == SIP_INVITE && !m->to_tag.n)
		actor_on_invite(a, st, rx);
	else if (m->method == SIP_MESSAGE && !m->to_tag.n)
		on_message(a, st, rx);
	else if (m->method == SIP_NOTIFY && !m->to_tag.n) /* unsolicited message-summary */
		(void)!tsx_reply(a->stack.tsx, st, 200, STR_NONE, STR_NONE);
	else
		dlg_refuse_unknown(a->stack.dlg, st, rx);
}

static void on_ack(void *ctx, struct tp_rx *rx)
{
	dlg_on_ack(((struct actor *)ctx)->stack.dlg, rx);
}

static void on_cancel(void *ctx, tsx_id st, struct tp_rx *rx)
{
	dlg_on_cancel(((struct actor *)ctx)->stack.dlg, st, rx);
}

static void on_stray(void *ctx, struct tp_rx *rx)
{
	dlg_on_stray_response(((struct actor *)ctx)->stack.dlg, rx);
}

static void on_server_end(void *ctx, tsx_id st, void *owner, enum tsx_end why)
{
	dlg_on_server_end(((struct actor *)ctx)->stack.dlg, st, owner, why);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	dlg_on_flow_down(((struct actor *)ctx)->stack.dlg, flow);
}

static void listen(struct actor *a)
{
	const char *why = "";
	CHECK(addr_parse(str_c(a->host), 5060, &a->local));
	a->local.port = 5060;
	CHECK_EQ(tp_listen(a->stack.tp, TP_UDP, &a->local, &why), OK);
	if (a->proto == TP_TCP)
		CHECK_EQ(tp_listen(a->stack.tp, TP_TCP, &a->local, &why), OK);
}

struct actor *actor_new(struct stage *s, const char *user, const char *host, enum tp_proto proto)
{
	static const uint8_t keys[2][16] = {{1}, {2}};
	struct actor *a = calloc(1, sizeof(*a));
	CHECK(a);
	a->stage = s;
	a->proto = proto;
	snprintf(a->user, sizeof(a->user), "%s", user);
	snprintf(a->host, sizeof(a->host), "%s", host);
	snprintf(a->from, sizeof(a->from), "<sip:%s@" STAGE_SERVER ">", user);
	struct str param = tp_proto_param(proto);
	snprintf(a->proxy, sizeof(a->proxy), "sip:" STAGE_SERVER ";transport=" STR_FMT ";lr",
		 STR_ARG(param));
	stage_account(s, user);
	struct addr ip;
	CHECK(addr_parse(str_c(host), 0, &ip));
	CHECK_EQ(sim_host_new(s->sim, user, &ip, 1, &a->sim_host), OK);
	CHECK_EQ(sim_env_new(a->sim_host, &a->env), OK);
	ev_loop_init(&a->loop, a->env);
	sim_add_loop(s->sim, &a->loop);
	struct tsx_user tu = {.ctx = a,
			      .on_request = on_request,
			      .on_ack = on_ack,
			      .on_cancel = on_cancel,
			      .on_stray_response = on_stray,
			      .on_server_end = on_server_end,
			      .on_flow_down = on_flow_down};
	struct dlg_config cfg = {.product = STR("actor")};
	CHECK_EQ(dlg_stack_new(&a->stack, &a->loop, &a->blocks, &tu, &cfg, keys[0], keys[1]), OK);
	tp_set_tls(a->stack.tp, s->tls);
	listen(a);
	return a;
}

void actor_free(struct actor *a)
{
	rgc_free(a->rgc);
	for (size_t i = 0; i < a->n_calls; i++)
		ev_timer_stop(&a->loop, &a->calls[i].answer_timer);
	dlg_stack_free(&a->stack);
	block_cache_fini(&a->blocks);
	stage_check_loop(&a->loop);
	sim_del_loop(a->stage->sim, &a->loop);
	ev_loop_fini(&a->loop);
	env_free(a->env);
	free(a);
}

struct uac_account actor_account(struct actor *a)
{
	return (struct uac_account){.from = str_c(a->from),
				    .contact_user = str_c(a->user),
				    .auth_user = str_c(a->user),
				    .password = STR(STAGE_PASSWORD),
				    .proxy = str_c(a->proxy)};
}

/* ---- registration ---------------------------------------------------------------------------- */

static void on_registration(void *ctx, struct rgc *r, const struct rgc_event *ev)
{
	struct actor *a = ctx;
	a->is_registered = ev->kind == RGC_EV_REGISTERED || ev->kind == RGC_EV_REFRESHED;
	if (ev->kind == RGC_EV_UNREGISTERED)
		a->rgc = NULL;
}

void actor_register(struct actor *a)
{
	static const struct rgc_user user = {.on_event = on_registration};
	struct rgc_config cfg = {.account = actor_account(a), .expires_s = 120};
	if (!a->rgc)
		CHECK_EQ(rgc_new(a->stack.dlg, &cfg, &user, a, &a->rgc), OK);
}

void actor_unregister(struct actor *a)
{
	if (a->rgc)
		rgc_stop(a->rgc);
}

void actor_break_flows(struct actor *a)
{
	struct tp_dst dst;
	if (a->rgc && rgc_dst(a->rgc, &dst) && dst.flow)
		tp_flow_close(a->stack.tp, dst.flow);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

static struct str attribute(struct str tag, struct str name)
{
	size_t at = str_find(tag, name);
	if (at == SIZE_MAX)
		return STR_NONE;
	struct str rest = str_skip(tag, at + name.n);
	return str_sub(rest, 0, str_chr(rest, '"'));
}

static void set_lamp(struct actor_sub *w, struct str id, bool is_lit)
{
	size_t i = 0;
	while (i < w->n_lamps && !str_eq(str_c(w->lamps[i].id), id))
		i++;
	if (i == w->n_lamps && !is_lit)
		return;
	CHECK(i < ACTOR_LAMPS);
	w->n_lamps += i == w->n_lamps;
	CHECK(str_copy(w->lamps[i].id, sizeof(w->lamps[i].id), id));
	if (!is_lit) /* it does not come back */
		w->lamps[i] = w->lamps[--w->n_lamps];
	else
		w->lamps[i].is_lit = true;
}

/* [RFC4235 4.1] */
static void read_lamps(struct actor_sub *w, struct str body)
{
	if (str_find(body, STR("state=\"full\"")) != SIZE_MAX)
		w->n_lamps = 0;
	for (;;) {
		size_t at = str_find(body, STR("<dialog "));
		if (at == SIZE_MAX)
			return;
		body = str_skip(body, at);
		struct str one = str_sub(body, 0, str_find(body, STR("</dialog>")));
		set_lamp(w, attribute(one, STR(" id=\"")),
			 str_find(one, STR(">terminated</state>")) == SIZE_MAX);
		body = str_skip(body, one.n);
	}
}

static void on_sub_event(void *ctx, struct sub *s, const struct sub_event *ev)
{
	struct actor_sub *w = ctx;
	if (ev->kind == SUB_EV_ENDED)
		w->sub = NULL;
	if (ev->kind != SUB_EV_NOTIFY)
		return;
	w->n_notified++;
	if (w->is_dialog && ev->body.n)
		read_lamps(w, ev->body);
}

void actor_subscribe(struct actor *a, const char *user, const char *package)
{
	static const struct sub_subscriber events = {.on_event = on_sub_event};
	char target[64];
	size_t i = 0;
	while (i < ACTOR_SUBS && a->subs[i].sub)
		i++;
	if (i == ACTOR_SUBS)
		return;
	snprintf(target, sizeof(target), "sip:%s@" STAGE_SERVER, user);
	a->subs[i] = (struct actor_sub){.actor = a, .is_dialog = strcmp(package, "dialog") == 0};
	struct sub_subscribe req = {.account = actor_account(a),
				    .target = str_c(target),
				    .event = str_c(package),
				    .headers = STR("Supported: eventlist\r\n"),
				    .expires_s = 120};
	CHECK_EQ(sub_subscribe(a->stack.dlg, &req, &events, &a->subs[i], &a->subs[i].sub), OK);
}

void actor_unsubscribe_all(struct actor *a)
{
	for (size_t i = 0; i < ACTOR_SUBS; i++)
		if (a->subs[i].sub)
			sub_unsubscribe(a->subs[i].sub);
}

unsigned actor_lit_lamps(const struct actor *a)
{
	unsigned n = 0;
	for (size_t i = 0; i < ACTOR_SUBS; i++)
		if (a->subs[i].sub)
			n += (unsigned)a->subs[i].n_lamps;
	return n;
}

/* ---- single requests ------------------------------------------------------------------------- */

static void on_text_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct actor_text *t = ctx;
	CHECK(t->uac == u); /* once */
	t->uac = NULL;
	t->status = r->status;
}

void actor_message(struct actor *a, const char *user, unsigned number)
{
	static const struct uac_user events = {.on_done = on_text_done};
	char uri[64], body[16];
	CHECK(a->n_texts < ACTOR_TEXTS);
	struct actor_text *t = &a->texts[a->n_texts++];
	struct uac_account acc = actor_account(a);
	*t = (struct actor_text){.actor = a, .number = number};
	snprintf(uri, sizeof(uri), "sip:%s@" STAGE_SERVER, user);
	snprintf(body, sizeof(body), "%u", number);
	struct uac_request req = {.method = STR("MESSAGE"),
				  .ruri = str_c(uri),
				  .content_type = STR("text/plain"),
				  .body = str_c(body)};
	CHECK_EQ(uac_send(a->stack.dlg, &acc, &req, &events, t, &t->uac), OK);
}

static void on_published(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct actor *a = ctx;
	CHECK(a->publication == u);
	a->publication = NULL;
}

void actor_publish(struct actor *a, unsigned number)
{
	static const struct uac_user events = {.on_done = on_published};
	char uri[64], body[400];
	struct uac_account acc = actor_account(a);
	if (a->publication)
		return;
	snprintf(uri, sizeof(uri), "sip:%s@" STAGE_SERVER, a->user);
	snprintf(body, sizeof(body),
		 "<?xml version='1.0'?><presence xmlns='urn:ietf:params:xml:ns:pidf' "
		 "entity='%s'><tuple id='t'><status><basic>open</basic></status>"
		 "<note>%u</note></tuple></presence>",
		 uri, number);
	struct uac_request req = {.method = STR("PUBLISH"),
				  .ruri = str_c(uri),
				  .headers = STR("Event: presence\r\nExpires: 60\r\n"),
				  .content_type = STR("application/pidf+xml"),
				  .body = str_c(body)};
	CHECK_EQ(uac_send(a->stack.dlg, &acc, &req, &events, a, &a->publication), OK);
}

/* ---- at the end ------------------------------------------------------------------------------ */

void actor_shake(struct actor *a)
{
	for (size_t i = 0; i < a->n_calls; i++)
		a->calls[i].is_shaken |= a->calls[i].ses != NULL;
	for (size_t i = 0; i < a->n_texts; i++)
		a->texts[i].is_shaken = true;
}

bool actor_is_idle(const struct actor *a)
{
	struct dlg_stats d;
	struct tsx_stats t;
	dlg_stats(a->stack.dlg, &d);
	tsx_stats(a->stack.tsx, &t);
	bool is_idle = d.sessions + d.subscriptions + d.requests + d.dialogs == 0 &&
		       t.live_client + t.live_server + t.live_records == 0;
	if (!is_idle)
		printf("# %s: %u sessions, %u subscriptions, %u requests, %u dialogs, %u + %u "
		       "transactions, %u records\n",
		       a->user, d.sessions, d.subscriptions, d.requests, d.dialogs, t.live_client,
		       t.live_server, t.live_records);
	return is_idle;
}
