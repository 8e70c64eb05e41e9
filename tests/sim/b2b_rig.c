/* See b2b_rig.h. */
#include "b2b_rig.h"

static const char names[] = "abcd";

static char name_of(const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	struct str s = str_c(addr_text(a, text));
	static const char *const ips[] = {"10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.24"};
	for (int i = 0; i < 4; i++)
		if (str_starts(s, str_c(ips[i])))
			return names[i];
	return '?';
}

static void put_sdp(struct buf *b, struct str bytes)
{
	size_t at = str_find(bytes, STR("\r\no="));
	if (at == SIZE_MAX)
		return;
	struct str rest = str_skip(bytes, at + 4), user = str_cut(rest, ' ', &rest);
	str_cut(rest, ' ', &rest);
	struct str version = str_cut(rest, ' ', &rest);
	buf_fmt(b, " " STR_FMT STR_FMT, STR_ARG(user), STR_ARG(version));
}

static void on_message(void *ctx, uint64_t at_us, bool is_sent, enum tp_proto proto,
		       const struct addr *from, const struct addr *to, struct str bytes)
{
	struct rig *g = ctx;
	struct buf *b = &g->ladder;
	struct str line = str_sub(bytes, 0, str_chr(bytes, '\r')), word = str_cut(line, ' ', &line);
	char peer = name_of(is_sent ? to : from);
	size_t cseq = str_find(bytes, STR("\r\nCSeq: "));
	struct str rest = str_skip(bytes, cseq + 8);
	buf_fmt(b, "%5llu ", (unsigned long long)((at_us - g->start_us) / 1000));
	if (is_sent)
		buf_fmt(b, "x->%c ", peer);
	else
		buf_fmt(b, "%c->x ", peer);
	if (str_starts(word, STR("SIP/2.0"))) {
		str_cut(rest, ' ', &rest);
		rest.n = str_chr(rest, '\r');
		buf_fmt(b, STR_FMT " (" STR_FMT ")", STR_ARG(str_sub(line, 0, 3)), STR_ARG(rest));
	} else {
		buf_fmt(b, STR_FMT, STR_ARG(word));
	}
	put_sdp(b, bytes);
	buf_chr(b, '\n');
}

struct rig *rig_new_with(const struct exc_cfg *cfg)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct tp_tap tap = {.ctx = g, .fn = on_message};
	CHECK(g);
	buf_init(&g->ladder);
	g->t = scene_new_with(cfg);
	g->a = g->t->a;
	g->b = g->t->b;
	g->c = g->t->c;
	stage_account(g->t->s, "1003");
	g->d = raw_new(g->t->s, "10.0.0.24", 5060, "1003");
	for (size_t i = 0; i < g->t->s->n_shards; i++)
		exc_set_tap(g->t->s->exc, i, &tap);
	scene_register(g->a, "<sip:1001@10.0.0.21:5060>");
	scene_register(g->b, B_CONTACT);
	scene_register(g->d, "<sip:1003@10.0.0.24:5060>");
	rig_clear(g);
	return g;
}

struct rig *rig_new(void)
{
	static const struct exc_cfg cfg = {
		.realm = STR_INIT("sim"), .product = STR_INIT("rung"), .is_b2bua = true};
	return rig_new_with(&cfg);
}

void rig_free(struct rig *g)
{
	struct scene *t = g->t;
	stage_run(t->s, 400);
	raw_free(g->d);
	scene_free(t);
	buf_fini(&g->ladder);
	free(g);
}

void rig_clear(struct rig *g)
{
	buf_clear(&g->ladder);
	g->start_us = ev_now_us(ev_shard(g->t->s->shards, 0));
}

static int index_of(const struct rig *g, const struct raw *r)
{
	return r == g->a ? 0 : r == g->b ? 1 : r == g->c ? 2 : 3;
}

const char *rig_sdp(struct rig *g, struct raw *r, const char *dir)
{
	int i = index_of(g, r);
	snprintf(g->sdp_mem[i], sizeof(g->sdp_mem[i]),
		 "v=0\no=%c 77 %u IN IP4 %s\ns=-\nc=IN IP4 %s\nt=0 0\nm=audio 4000 RTP/AVP "
		 "0\n%s%s%s",
		 names[i], ++g->version[i], r->ip, r->ip, dir ? "a=" : "", dir ? dir : "",
		 dir ? "\n" : "");
	return g->sdp_mem[i];
}

static void of_name_addr(struct str value, char *out, size_t cap)
{
	size_t at = str_chr(value, '<') + 1;
	raw_cstr(str_sub(value, at, str_chr(value, '>') - at), out, cap);
}

static char *uri_of(const char *user)
{
	static char text[4][64];
	static int at;
	char *p = text[at++ % 4];
	snprintf(p, sizeof(text[0]), "sip:%s@" STAGE_SERVER, user);
	return p;
}

static void begin(struct rig *g, struct raw *from, const char *to, const char *extra,
		  const char *body, struct rig_end *caller)
{
	*caller = (struct rig_end){.r = from};
	caller->q = (struct raw_req){
		.method = "INVITE", .uri = uri_of(to), .extra = extra, .body = body};
	raw_ask(from, 0, &caller->q);
}

void rig_call(struct rig *g, struct raw *from, const char *to, const char *extra,
	      struct rig_end *caller)
{
	static char lines[1024];
	snprintf(lines, sizeof(lines), "%s%s", RIG_SDP, extra ? extra : "");
	begin(g, from, to, lines, rig_sdp(g, from, NULL), caller);
}

void rig_late_call(struct rig *g, struct raw *from, const char *to, struct rig_end *caller)
{
	begin(g, from, to, NULL, NULL, caller);
}

void rig_ring(struct rig *g, struct raw *r, struct rig_end *e)
{
	*e = (struct rig_end){.r = r};
	e->invite = raw_get(r, "INVITE ", 2);
	e->q = (struct raw_req){.cseq = 100, .extra = NULL};
	snprintf(e->q.tag, sizeof(e->q.tag), "tag%.20s", r->user);
	raw_cstr(raw_header(e->invite, "Call-ID", 0), e->q.call_id, sizeof(e->q.call_id));
	raw_cstr(raw_header(e->invite, "From", 0), e->to, sizeof(e->to));
	raw_cstr(raw_header(e->invite, "To", 0), e->from, sizeof(e->from));
	of_name_addr(raw_header(e->invite, "Contact", 0), e->uri, sizeof(e->uri));
	raw_routes(e->invite, e->routes, sizeof(e->routes));
}

void rig_set_caller(struct rig_end *e, const struct raw_msg *answer)
{
	e->answer = answer;
	raw_cstr(raw_header(answer, "To", 0), e->to, sizeof(e->to));
	of_name_addr(raw_header(answer, "Contact", 0), e->uri, sizeof(e->uri));
	raw_routes(answer, e->routes, sizeof(e->routes));
}

void rig_answer(struct rig *g, struct rig_end *callee, struct rig_end *caller)
{
	raw_reply(callee->r, callee->invite, "200 OK", callee->q.tag, RIG_SDP,
		  rig_sdp(g, callee->r, NULL));
	rig_set_caller(caller, raw_get(caller->r, "SIP/2.0 200", 2));
	rig_ack(caller, &caller->q, NULL, NULL);
	raw_get(callee->r, "ACK ", 2);
}

void rig_talk(struct rig *g, struct raw *from, const char *to, struct raw *at,
	      struct rig_end *caller, struct rig_end *callee)
{
	rig_call(g, from, to, NULL, caller);
	rig_ring(g, at, callee);
	raw_reply(at, callee->invite, "180 Ringing", callee->q.tag, NULL, NULL);
	raw_get(from, "SIP/2.0 180", 2);
	rig_answer(g, callee, caller);
	stage_run(g->t->s, 0.1);
	rig_clear(g);
}

static struct raw_req inside(struct rig_end *e, const char *method)
{
	struct raw_req q = e->q;
	q.method = method;
	q.uri = e->uri;
	q.to = e->to;
	q.from = e->from[0] ? e->from : NULL;
	q.route = e->routes;
	q.auth[0] = q.branch[0] = 0;
	q.extra = q.body = NULL;
	return q;
}

struct raw_req rig_ask(struct rig_end *e, const char *method, const char *extra, const char *body)
{
	struct raw_req q = inside(e, method);
	q.cseq = ++e->q.cseq;
	q.extra = extra;
	q.body = body;
	raw_request(e->r, 0, &q);
	return q;
}

void rig_ack(struct rig_end *e, const struct raw_req *invite, const char *extra, const char *body)
{
	struct raw_req q = inside(e, "ACK");
	q.cseq = invite->cseq;
	q.extra = extra;
	q.body = body;
	raw_request(e->r, 0, &q);
}

void rig_reply(struct raw *r, const struct raw_msg *m, const char *status)
{
	raw_reply(r, m, status, NULL, NULL, NULL);
}

void rig_bye(struct rig *g, struct rig_end *from, struct rig_end *to)
{
	rig_ask(from, "BYE", NULL, NULL);
	raw_get(from->r, "SIP/2.0 200", 2);
	struct raw_msg *bye = raw_get(to->r, "BYE ", 2);
	rig_reply(to->r, bye, "200 OK");
	stage_run(g->t->s, 0.1);
}

const char *rig_refer_to(const struct rig_end *e, char line[800])
{
	char theirs[64];
	struct str to = str_c(e->to), tag = str_skip(to, str_find(to, STR("tag=")) + 4);
	snprintf(line, 800,
		 "Refer-To: <sip:1003@" STAGE_SERVER
		 "?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\n",
		 e->q.call_id, raw_cstr(tag, theirs, sizeof(theirs)), e->q.tag);
	return line;
}

/* r is asked for an offer, and makes one. */
struct raw_msg *rig_offers(struct rig *g, struct rig_end *e)
{
	struct raw_msg *m = raw_get(e->r, "INVITE ", 5);
	CHECK_EQ(raw_body(m).n, 0);
	CHECK_EQ(raw_count(m, "Replaces"), 0);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(e->q.call_id));
	raw_reply(e->r, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, e->r, NULL));
	return m;
}

struct raw_msg *rig_gets_offer(struct rig_end *e, const struct rig_end *of)
{
	char line[64];
	struct raw_msg *m = raw_get(e->r, "INVITE ", 5);
	snprintf(line, sizeof(line), "c=IN IP4 %s\r\n", of->r->ip);
	CHECK(raw_has(m, line));
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(e->q.call_id));
	return m;
}

void rig_gets_answer(struct rig_end *e, const struct rig_end *of)
{
	char line[64];
	struct raw_msg *m = raw_get(e->r, "ACK ", 5);
	snprintf(line, sizeof(line), "c=IN IP4 %s\r\n", of->r->ip);
	CHECK(raw_has(m, line));
}

void rig_answers(struct rig *g, struct rig_end *e, const struct raw_msg *m)
{
	raw_reply(e->r, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, e->r, NULL));
	raw_get(e->r, "ACK ", 2);
}

void rig_meet(struct rig *g, struct rig_end *first, struct rig_end *other)
{
	rig_offers(g, first);
	rig_answers(g, other, rig_gets_offer(other, first));
	rig_gets_answer(first, other);
}

void rig_still_talk(struct rig *g, struct rig_end *from, struct rig_end *to)
{
	rig_ask(from, "INFO", "Content-Type: text/plain\n", "still there\n");
	struct raw_msg *m = raw_get(to->r, "INFO ", 2);
	CHECK_STR_EQ(raw_header(m, "Call-ID", 0), str_c(to->q.call_id));
	rig_reply(to->r, m, "200 OK");
	raw_get(from->r, "SIP/2.0 200", 2);
	stage_run(g->t->s, 0.1);
}

void rig_refuses(struct rig_end *e, const struct raw_msg *m, const char *status)
{
	rig_reply(e->r, m, status);
	CHECK_EQ(raw_body(raw_get(e->r, "ACK ", 1)).n, 0);
}

void rig_bye_from(struct rig_end *e)
{
	rig_ask(e, "BYE", NULL, NULL);
	raw_get(e->r, "SIP/2.0 200", 1);
	stage_run(e->r->stage, 0.1);
}

struct raw_msg *rig_notify(struct raw *r, const char *status)
{
	struct raw_msg *m = raw_get(r, "NOTIFY ", 5);
	CHECK(raw_has(m, status));
	CHECK(raw_has(m, "Event: refer"));
	CHECK(raw_has(m, "Content-Type: message/sipfrag"));
	rig_reply(r, m, "200 OK");
	stage_run(r->stage, 0.01); /* before anything else happens */
	return m;
}

void rig_join(struct rig *g, struct rig_end *d, struct rig_end *e)
{
	raw_reply(g->d, d->invite, "200 OK", d->q.tag, RIG_SDP, rig_sdp(g, g->d, NULL));
	struct raw_msg *m = raw_get(e->r, "INVITE ", 2);
	CHECK(raw_has(m, "c=IN IP4 10.0.0.24"));
	raw_reply(e->r, m, "200 OK", NULL, RIG_SDP, rig_sdp(g, e->r, NULL));
	raw_get(e->r, "ACK ", 2);
	CHECK(raw_body(raw_get(g->d, "ACK ", 2)).n > 0);
}
