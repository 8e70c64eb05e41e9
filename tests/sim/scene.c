/* What scene.h says. */
#include "scene.h"

#include "policy/config.h"

static const struct sim_link lan = {.delay_us = 1000};

struct scene *scene_new_with(const struct exc_cfg *cfg)
{
	struct scene *t = calloc(1, sizeof(*t));
	CHECK(t);
	t->s = stage_new_with(11, 2, &lan, cfg);
	stage_account(t->s, "1001");
	stage_account(t->s, "1002");
	t->a = raw_new(t->s, "10.0.0.21", 5060, "1001");
	t->b = raw_new(t->s, "10.0.0.22", 5060, "1002");
	t->c = raw_new(t->s, "10.0.0.23", 5060, "1002");
	t->x = raw_new(t->s, "10.0.0.99", 5060, "nobody");
	t->call = (struct raw_req){.method = "INVITE", .uri = TO_B};
	return t;
}

struct scene *scene_new(void)
{
	static const struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	return scene_new_with(&cfg);
}

void scene_free(struct scene *t)
{
	stage_run(t->s, 400);
	for (size_t i = 0; i < t->s->n_shards; i++) {
		CHECK_EQ(exc_pending(t->s->exc, i), 0);
		CHECK_EQ(exc_live(t->s->exc, i), 0);
	}
	raw_free(t->a);
	raw_free(t->b);
	raw_free(t->c);
	raw_free(t->x);
	stage_free(t->s);
	free(t);
}

void scene_register(struct raw *r, const char *contact)
{
	raw_register(r, 0, contact, NULL);
}

void scene_invite(struct scene *t)
{
	raw_ask(t->a, 0, &t->call);
	raw_get(t->a, "SIP/2.0 100", 1);
}

static void of_name_addr(struct str value, char *out, size_t cap)
{
	size_t at = str_chr(value, '<') + 1;
	raw_cstr(str_sub(value, at, str_chr(value, '>') - at), out, cap);
}

void scene_answer(struct scene *t, struct raw *callee, struct scene_dialog *d)
{
	*d = (struct scene_dialog){.callee = callee};
	d->invite = raw_get(callee, "INVITE ", 2);
	raw_reply(callee, d->invite, "180 Ringing", "callee", NULL, NULL);
	raw_get(t->a, "SIP/2.0 180", 2);
	raw_reply(callee, d->invite, "200 OK", "callee", NULL, NULL);
	d->answer = raw_get(t->a, "SIP/2.0 200", 2);
	d->b_sock = d->invite->sock;
	raw_cstr(raw_header(d->answer, "To", 0), d->a_to, sizeof(d->a_to));
	raw_cstr(raw_header(d->invite, "From", 0), d->b_to, sizeof(d->b_to));
	raw_cstr(raw_header(d->invite, "To", 0), d->b_from, sizeof(d->b_from));
	of_name_addr(raw_header(d->answer, "Contact", 0), d->a_uri, sizeof(d->a_uri));
	of_name_addr(raw_header(d->invite, "Contact", 0), d->b_uri, sizeof(d->b_uri));
	raw_routes(d->answer, d->a_routes, sizeof(d->a_routes));
	raw_routes(d->invite, d->b_routes, sizeof(d->b_routes));
	d->a = t->call;
	d->b = (struct raw_req){.tag = "callee", .cseq = 100};
	snprintf(d->b.call_id, sizeof(d->b.call_id), "%s", t->call.call_id);
	struct raw_req ack = scene_in_dialog(d, true, "ACK");
	ack.cseq = t->call.cseq;
	raw_request(t->a, d->a_sock, &ack);
	raw_get(callee, "ACK ", 2);
}

struct raw_req scene_in_dialog(const struct scene_dialog *d, bool is_caller, const char *method)
{
	struct raw_req q = is_caller ? d->a : d->b;
	q.method = method;
	q.uri = is_caller ? d->a_uri : d->b_uri;
	q.to = is_caller ? d->a_to : d->b_to;
	q.from = is_caller ? NULL : d->b_from;
	q.route = is_caller ? d->a_routes : d->b_routes;
	q.auth[0] = q.branch[0] = 0;
	q.extra = q.body = NULL;
	q.cseq++;
	return q;
}

void scene_policy(struct scene *t, const char *text)
{
	struct pol_diags d;
	struct pol_config *c = NULL;
	struct buf b;
	pol_diags_init(&d);
	buf_init(&b);
	enum err e = pol_load(str_c(text), &c, &d);
	pol_diags_put(&d, STR("policy"), &b);
	CHECK_STR(buf_view(&b), "");
	CHECK_EQ(e, OK);
	buf_fini(&b);
	pol_diags_fini(&d);
	CHECK_EQ(exc_set_policy(t->s->exc, c), OK);
}
