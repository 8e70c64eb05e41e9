/* Busy lamps of all kinds of calls: through plans of the routing policy, in two dialogs, to the
 * echo test. [RFC4235] */
#include "lookout.h"

#define A_URI "sip:1001@" STAGE_SERVER
#define C_URI "sip:1003@" STAGE_SERVER

struct desk { /* watches 1001, 1002, 1003 */
	struct scene *t;
	struct raw *r;
	struct watch a, b, c;
};

static void open_office(struct desk *d, const char *policy)
{
	struct scene *t = d->t = scene_new();
	stage_account(t->s, "1003");
	stage_account(t->s, "1004");
	snprintf(t->c->user, sizeof(t->c->user), "1003");
	scene_register(t->b, B_CONTACT);
	scene_register(t->c, "<sip:1003@10.0.0.23:5060>");
	scene_policy(t, policy);
	d->r = raw_new(t->s, "10.0.0.31", 5060, "1004");
}

static void open_desk(struct desk *d, const char *policy)
{
	open_office(d, policy);
	lookout_start(&d->a, d->r, A_URI, "dialog");
	lookout_start(&d->b, d->r, TO_B, "dialog");
	lookout_start(&d->c, d->r, C_URI, "dialog");
	stage_run(d->t->s, 5);
}

static void close_desk(struct desk *d)
{
	CHECK_EQ(exc_set_policy(d->t->s->exc, NULL), OK);
	stage_run(d->t->s, 40);
	raw_free(d->r);
	scene_free(d->t);
}

/* Its NOTIFYs until one says that; three a second at most. */
static void sees(struct watch *w, const char *text)
{
	for (int i = 0; i < 4; i++) {
		lookout_next_within(w, 3);
		if (lookout_says(w, text))
			return;
	}
	test_fail(__FILE__, __LINE__, "never said: %s", text);
}

static void call(struct desk *d, const char *uri)
{
	d->t->call = (struct raw_req){.method = "INVITE", .uri = uri};
	raw_ask(d->t->a, 0, &d->t->call);
}

/* One after the other: the lamp of the first goes out when he has declined. */
static void hunt(const char *policy)
{
	struct desk d;
	open_desk(&d, policy);
	call(&d, "sip:h@" STAGE_SERVER);
	struct raw_msg *m = raw_get(d.t->b, "INVITE ", 1);
	raw_reply(d.t->b, m, "180 Ringing", "b", NULL, NULL);
	sees(&d.a, ">early</state>");
	sees(&d.b, ">early</state>");
	raw_reply(d.t->b, m, "486 Busy Here", "b", NULL, NULL);
	sees(&d.b, ">terminated</state>");
	m = raw_get(d.t->c, "INVITE ", 1);
	raw_reply(d.t->c, m, "180 Ringing", "c", NULL, NULL);
	sees(&d.c, ">early</state>");
	CHECK(lookout_says(&d.c, "direction=\"recipient\""));
	raw_reply(d.t->c, m, "486 Busy Here", "c", NULL, NULL);
	raw_get(d.t->a, "SIP/2.0 486", 1);
	sees(&d.c, ">terminated</state>");
	sees(&d.a, ">terminated</state>");
	close_desk(&d);
}

TEST_NO_OOM(lamps_of_a_hunt)
{
	hunt("groups: {h: {ring: in-turn, members: ['1002', '1003']}}");
}

TEST_NO_OOM(lamps_of_a_hunt_in_two_dialogs)
{
	hunt("mode: b2bua\ngroups: {h: {ring: in-turn, members: ['1002', '1003']}}");
}

/* A transfer between phones through the proxy: b sends a to c. c's lamp names a, b's goes out when
 * he leaves, a's burns for as long as he talks to anybody. [RFC5589 6.1] */
TEST_NO_OOM(lamps_of_a_transfer_by_the_proxy)
{
	struct desk d;
	struct scene_dialog ab, ac;
	open_desk(&d, "mode: proxy");
	call(&d, TO_B);
	scene_answer(d.t, d.t->b, &ab);
	sees(&d.a, ">confirmed</state>");
	sees(&d.b, ">confirmed</state>");
	struct raw_req refer = scene_in_dialog(&ab, false, "REFER");
	refer.extra = "Refer-To: <" C_URI ">\n";
	raw_request(d.t->b, ab.b_sock, &refer);
	raw_reply(d.t->a, raw_get(d.t->a, "REFER ", 1), "202 Accepted", NULL, NULL, NULL);
	raw_get(d.t->b, "SIP/2.0 202", 1);
	CHECK(lookout_is_quiet(&d.c, 1));
	call(&d, C_URI);
	scene_answer(d.t, d.t->c, &ac);
	sees(&d.c, ">confirmed</state>");
	CHECK(lookout_says(&d.c, "direction=\"recipient\"") && lookout_says(&d.c, "sip:1001@"));
	struct raw_req bye = scene_in_dialog(&ab, true, "BYE");
	raw_request(d.t->a, ab.a_sock, &bye);
	raw_reply(d.t->b, raw_get(d.t->b, "BYE ", 1), "200 OK", NULL, NULL, NULL);
	raw_get(d.t->a, "SIP/2.0 200", 1);
	sees(&d.b, ">terminated</state>");
	CHECK(lookout_is_quiet(&d.c, 1));
	bye = scene_in_dialog(&ac, false, "BYE");
	raw_request(d.t->c, ac.b_sock, &bye);
	raw_reply(d.t->a, raw_get(d.t->a, "BYE ", 1), "200 OK", NULL, NULL, NULL);
	raw_get(d.t->c, "SIP/2.0 200", 1);
	sees(&d.c, ">terminated</state>");
	close_desk(&d);
}

/* Phones that have lost each other send no BYE: who asks in the dialog hears 481, or nothing, and
 * gives it up, too. [RFC3261 12.2.1.2] */
static void lose(bool is_known, const char *method)
{
	struct desk d;
	struct scene_dialog ab;
	open_desk(&d, "mode: proxy");
	call(&d, TO_B);
	scene_answer(d.t, d.t->b, &ab);
	sees(&d.a, ">confirmed</state>");
	sees(&d.b, ">confirmed</state>");
	struct raw_req q = scene_in_dialog(&ab, true, method);
	raw_request(d.t->a, ab.a_sock, &q);
	struct raw_msg *m = raw_get(d.t->b, method, 1);
	CHECK(lookout_is_quiet(&d.a, 5) && lookout_is_quiet(&d.b, 1));
	if (is_known)
		raw_reply(d.t->b, m, "481 Call/Transaction Does Not Exist", NULL, NULL, NULL);
	else
		stage_run(d.t->s, 30);
	sees(&d.a, ">terminated</state>");
	sees(&d.b, ">terminated</state>");
	close_desk(&d);
}

TEST_NO_OOM(lamps_of_a_call_that_one_has_lost)
{
	lose(true, "INVITE");
}

TEST_NO_OOM(lamps_of_a_call_whose_phone_is_gone)
{
	lose(false, "INVITE");
	lose(false, "UPDATE");
}

static const char sdp[] = "v=0\no=a 1 1 IN IP4 10.0.0.21\ns=-\nc=IN IP4 10.0.0.21\nt=0 0\n"
			  "m=audio 4000 RTP/AVP 0\n";
#define SDP_LINE "Content-Type: application/sdp\n"

static void hang_up(struct desk *d, const struct raw_msg *ok)
{
	char to[128], uri[128];
	raw_cstr(raw_header(ok, "To", 0), to, sizeof(to));
	struct str contact = raw_header(ok, "Contact", 0);
	raw_cstr(str_sub(contact, 1, str_chr(contact, '>') - 1), uri, sizeof(uri));
	struct raw_req bye = d->t->call;
	bye.method = "BYE";
	bye.uri = uri;
	bye.to = to;
	bye.body = bye.extra = NULL;
	bye.cseq++;
	bye.branch[0] = bye.auth[0] = 0;
	raw_request(d->t->a, 0, &bye);
}

/* Who begins to watch while two talk in two dialogs: nothing of them is kept for lamps alone. */
TEST_NO_OOM(lamps_of_a_call_that_talks)
{
	struct desk d;
	open_office(&d, "mode: b2bua");
	d.t->call =
		(struct raw_req){.method = "INVITE", .uri = TO_B, .extra = SDP_LINE, .body = sdp};
	raw_ask(d.t->a, 0, &d.t->call);
	struct raw_msg *m = raw_get(d.t->b, "INVITE ", 1);
	raw_reply(d.t->b, m, "200 OK", "b", "Contact: " B_CONTACT "\n" SDP_LINE, sdp);
	struct raw_msg *ok = raw_get(d.t->a, "SIP/2.0 200", 1);
	raw_ack(d.t->a, 0, &d.t->call, ok);
	raw_get(d.t->b, "ACK ", 1);
	stage_run(d.t->s, 40);
	lookout_start(&d.a, d.r, A_URI, "dialog");
	lookout_start(&d.b, d.r, TO_B, "dialog");
	if (!lookout_says(&d.a, ">confirmed</state>"))
		sees(&d.a, ">confirmed</state>");
	CHECK(lookout_says(&d.a, "direction=\"initiator\""));
	CHECK(lookout_says(&d.a, TO_B));
	if (!lookout_says(&d.b, ">confirmed</state>"))
		sees(&d.b, ">confirmed</state>");
	CHECK(lookout_says(&d.b, "direction=\"recipient\""));
	CHECK(lookout_says(&d.b, "remote-tag=\""));
	hang_up(&d, ok);
	m = raw_get(d.t->b, "BYE ", 1);
	raw_reply(d.t->b, m, "200 OK", NULL, NULL, NULL);
	sees(&d.a, ">terminated</state>");
	sees(&d.b, ">terminated</state>");
	close_desk(&d);
}

/* The echo test: the caller's own lamp. */
TEST_NO_OOM(lamp_of_an_echo_test)
{
	struct desk d;
	open_desk(&d, "mode: proxy");
	d.t->call = (struct raw_req){.method = "INVITE",
				     .uri = "sip:echo@" STAGE_SERVER,
				     .extra = SDP_LINE,
				     .body = sdp};
	raw_ask(d.t->a, 0, &d.t->call);
	struct raw_msg *ok = raw_get(d.t->a, "SIP/2.0 200", 1);
	raw_ack(d.t->a, 0, &d.t->call, ok);
	sees(&d.a, ">confirmed</state>");
	CHECK(lookout_says(&d.a, "direction=\"initiator\""));
	hang_up(&d, ok);
	raw_get(d.t->a, "SIP/2.0 200", 1);
	sees(&d.a, ">terminated</state>");
	close_desk(&d);
}
